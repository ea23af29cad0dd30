"""Prices of settings: each system's part of the month's bill, by the very code that makes the bill.

A stack's bill is the sum of its systems' lines and of what they share; support is a share of it all and follows. So a
setting is priced alone and sums are exact to the cents that lines are rounded by.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from models.coefficients import CoefficientSet
from models.machines import box_name
from models.stack import Scenario
from planner.bill import book_of, terms_of
from planner.usage import Flowing, Pace, flowing, kafka_usage, month_of, search_usage, spark_usage
from pricing import elasticsearch, kafka, spark
from pricing.bill import Ledger
from pricing.elasticsearch import search_name
from pricing.price_book import Price

if TYPE_CHECKING:
    from planner.candidates import Brokers, DataNodes


class Prices:
    """The price of settings in one region [USD a month]."""

    def __init__(self, scenario: Scenario, coefficients: CoefficientSet, region: str) -> None:
        money = scenario.money.model_copy(update={"region": region})
        self.scenario = scenario.model_copy(update={"money": money})
        self.c, self.region = coefficients, region
        self.book = book_of(money)
        self.terms = terms_of(money, self.book)
        self.month = month_of(money)
        self._hourly: dict[tuple[str, str], float | None] = {}
        self._flows: dict[tuple[object, ...], list[Flowing]] = {}
        self.requests = cache(self._requests)

    def hourly(self, system: str, kind: str, name: str) -> float | None:
        """What an hour of a box costs there, discounts taken off [USD]; None if the book has no price."""
        key = (kind, name)
        if key not in self._hourly:
            self._hourly[key] = self._hour(kind, name)
        return self._hourly[key]

    def _hour(self, kind: str, name: str) -> float | None:
        box = f"ec2/on-demand/{name}"
        items = {
            "msk-standard": (f"msk/broker/kafka.{name}",), "self-managed": (box,), "ec2": (box,),
            "emr-ec2": (box, f"emr/ec2/{name}"), "opensearch-service": (f"opensearch/node/{search_name(name)}",),
        }.get(kind, (box,))  # fmt: skip
        if not all(self.book.has(item, self.region) for item in items):
            return None
        found = [self.book.price(item, self.region) for item in items]
        return sum(float(price.usd) * (1 - self._share(price)) for price in found)

    def _share(self, price: Price) -> float:
        shares = self.terms.discounts
        return float(shares.get((price.service_code, price.usage_type), shares.get((price.service_code, "*"), 0)))

    def controllers(self, kind: str) -> int:
        return self.scenario.money.kafka_controllers if kind == "self-managed" else 0

    def brokers(self, made: Brokers) -> float:
        """Brokers, their volumes and what crosses zones to and from them."""
        row, scenario = made.row, self.scenario
        topics = [
            f.topic.model_copy(update={"partitions": p, "copies": c, "min_insync": i})
            for f, p, c, i in zip(scenario.flows, row.partitions, row.copies, made.min_insync, strict=True)
        ]
        flows = [f.model_copy(update={"topic": t}) for f, t in zip(scenario.flows, topics, strict=True)]
        volume = scenario.kafka.volume.model_copy(update={"size": made.volume, "throughput": row.volume_throughput})
        cluster = scenario.kafka.model_copy(update={"kind": made.kind, "brokers": row.brokers, "zones": row.zones,
                                                    "machine": row.machine, "volume": volume})  # fmt: skip
        variant = scenario.model_copy(update={"flows": tuple(flows), "kafka": cluster})
        usage = kafka_usage(variant, self._flowing(variant, ("kafka", row.partitions, row.copies)), ())
        return self._usd(kafka.lines(usage, self.month, self.book))

    def executors(self, kind: str, name: str, driver: str) -> tuple[float, float]:
        """One executor's host with the driver's, and each further host."""
        found = []
        for count in (1, 2):
            cluster = self.scenario.spark.model_copy(
                update={"kind": kind, "machine": name, "driver_machine": driver, "executors": count}
            )
            variant = self.scenario.model_copy(update={"spark": cluster})
            usage = replace(
                spark_usage(variant, self._flowing(variant, ("spark",)), self._paces(None), self.month, ())[0],
                put_requests=0.0, get_requests=0.0, checkpoint_bytes=0.0,
            )  # fmt: skip
            found.append(self._usd(spark.lines(usage, self.month, self.book)))
        return found[0], found[1] - found[0]

    def _requests(self, triggers: tuple[float, ...], shuffles: tuple[int, ...]) -> float:
        """Checkpoint requests and bytes of all flows, a batch a trigger."""
        flows = []
        for flow, trigger, shuffle in zip(self.scenario.flows, triggers, shuffles, strict=True):
            state = flow.query.state and flow.query.state.model_copy(update={"shuffle_partitions": shuffle})
            query = flow.query.model_copy(update={"trigger": trigger, "state": state})
            flows.append(flow.model_copy(update={"query": query}))
        variant = self.scenario.model_copy(update={"flows": tuple(flows)})
        total = 0.0
        for usage in spark_usage(variant, flowing(variant), self._paces(triggers), self.month, ()):
            alone = replace(usage, boxed=False, executor_hosts=0.0, other_hosts=0.0, kind="ec2")
            total += self._usd(spark.lines(alone, self.month, self.book))
        return total

    def data_nodes(self, made: DataNodes) -> float:
        """Data nodes, managers, their volumes and what crosses zones to and from them."""
        row, scenario = made.row, self.scenario
        indices = [f.index.model_copy(update={"primaries": p, "copies": c})
                   for f, p, c in zip(scenario.flows, row.primaries, row.copies, strict=True)]  # fmt: skip
        flows = [f.model_copy(update={"index": i}) for f, i in zip(scenario.flows, indices, strict=True)]
        volume = scenario.elasticsearch.volume.model_copy(
            update={"size": made.volume, "throughput": row.volume_throughput}
        )
        cluster = scenario.elasticsearch.model_copy(
            update={"kind": made.kind, "data_nodes": row.nodes, "zones": row.zones, "machine": row.machine,
                    "volume": volume, "managers": made.managers}
        )  # fmt: skip
        variant = scenario.model_copy(update={"flows": tuple(flows), "elasticsearch": cluster})
        flowing_ = self._flowing(variant, ("search", row.copies, row.primaries))
        usage = search_usage(variant, flowing_, self.c, self._paces(None), self.month, ())
        return self._usd(elasticsearch.lines(usage, self.month, self.book))

    def _flowing(self, variant: Scenario, key: tuple[object, ...]) -> list[Flowing]:
        if key not in self._flows:
            self._flows[key] = flowing(variant)
        return self._flows[key]

    def _paces(self, triggers: tuple[float, ...] | None) -> dict[str, Pace]:
        own = triggers or tuple(max(f.query.trigger, 0.0) for f in self.scenario.flows)
        return {f.name: Pace(t if t > 0 else 1.0) for f, t in zip(self.scenario.flows, own, strict=True)}

    def _usd(self, ledger: Ledger) -> float:
        """The lines' sum less the discounts agreed; a line without a price makes the setting unpriceable."""
        if ledger.gaps:
            return float("inf")
        total = sum(float(line.exact_usd) * (1 - self._share(line.price)) for line in ledger.lines)
        return total


__all__ = ["Prices", "box_name"]
