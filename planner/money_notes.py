"""What a reader of a bill must know beside it: what is left out, what rests on memory, what a setting would change."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from models.machines import box_name
from models.spark import AVAILABLE_NOW
from models.stack import Scenario
from models.units import show
from planner.fault_words import LEAST_AFTERMATH
from planner.usage import month_of
from pricing.bill import Bill
from pricing.price_book import PriceBook
from pricing.spark import interruption_band
from pricing.spread import SPREAD

NOTHING = Decimal(0)


def notes_of(scenario: Scenario, made: Bill, book: PriceBook, hosts: float = 0.0) -> tuple[str, ...]:
    """All of them, what is missing first; `hosts` of executors on the mean (0: as many as the scenario says)."""
    hosts = hosts or float(scenario.spark.executors)
    parts = (_gaps(made), _left_out(scenario), _unseen(scenario), _settings(scenario), _untouched(scenario, made),
             _spot(scenario, book, hosts))  # fmt: skip
    return tuple(note for part in (*parts, _unsure(made)) for note in part)


def _gaps(made: Bill) -> Iterator[str]:
    for gap in made.gaps:
        yield f"not priced, so the sum is too low: {gap.name}, {gap.quantity:,.0f}: {gap.reason}"


def _left_out(scenario: Scenario) -> Iterator[str]:
    money = scenario.money
    empty = type(money.monitoring)()
    missing = []
    if money.monitoring == empty and not money.third_parties:
        missing.append("monitoring (money.monitoring)")
    if money.support_plan == "none":
        missing.append("support (money.support_plan)")
    if not money.engineer_hours:
        missing.append("people (money.engineer_hours)")
    if scenario.elasticsearch.kind != "opensearch-service" and money.snapshots.every is None:
        missing.append("snapshots (money.snapshots.every)")
    if missing:
        yield f"nothing is stated, so nothing is billed, for {', '.join(missing)}"
    for flow in scenario.flows:
        if flow.query.trigger == AVAILABLE_NOW:
            yield f"query of '{flow.name}' runs when started, nobody says how often: no checkpoint requests are billed"


def _unseen(scenario: Scenario) -> Iterator[str]:
    """Faults whose aftermath the run is too short for: what is rebuilt or sent again after its end is on no line."""
    ends = scenario.run.warm_up + scenario.run.measure
    for fault in scenario.faults:
        needed = (fault.end if math.isfinite(fault.end) else fault.at) + LEAST_AFTERMATH
        if needed > ends:
            yield (
                f"'{fault}' counts once a month as far as the run saw it, which ends at {show(ends, 's')}: what is "
                f"rebuilt or sent again later is not billed; run.measure = {show(needed - scenario.run.warm_up, 's')} "
                "sees it"
            )


def _settings(scenario: Scenario) -> Iterator[str]:
    kafka, money = scenario.kafka, scenario.money
    if kafka.rack_aware_fetch and not money.spark_reads_near:
        yield (
            "follower fetch saves the query nothing: Spark has one client.rack for all executors; where they all lie "
            "in one zone, set it to that zone and say money.spark_reads_near"
        )
    if scenario.spark.hosts and scenario.spark.kind == "emr-ec2":
        yield "spark.hosts are named, so they are billed as EC2 boxes, without EMR's uplift"
    managed = kafka.kind == "msk-standard" or scenario.elasticsearch.kind == "opensearch-service"
    if managed and money.node_losses_per_year:
        yield "a managed service refills its own lost nodes at no charge for traffic"


def _untouched(scenario: Scenario, made: Bill) -> Iterator[str]:
    """Discounts and prices of one's own that no line of the bill has: often a name that is not AWS's."""
    money = scenario.money
    names = {(x.price.service_code, x.price.usage_type) for x in made.lines}
    for d in money.discounts:
        if not any(d.service == service and d.usage_type in ("*", usage) for service, usage in names):
            known = ", ".join(sorted({service for service, _ in names if service}))
            yield f"the discount on {d.service} {d.usage_type} touches no line; services billed are {known}"
    used = {x.price.item for x in made.lines}
    for item in money.prices:
        if item not in used:
            yield f"the price of {item} (money.prices) is used by no line"


def _spot(scenario: Scenario, book: PriceBook, hosts: float) -> Iterator[str]:
    money, spark = scenario.money, scenario.spark
    if not money.spot_share:
        return
    box, boxes = box_name(spark.machine), hosts * money.spot_share
    band = interruption_band(book, box, money.region)
    if money.spot_interruptions is not None:
        lost = f"{boxes * money.spot_interruptions:.2g}"
        yield f"{lost} executors a month are taken back by AWS (money.spot_interruptions)"
    elif band is None:
        yield f"nobody published how often {box} is taken back: no replaced hours are billed (money.spot_interruptions)"
    else:
        yield (
            f"{boxes * band[0]:.2g} to {boxes * band[1]:.2g} executors a month are taken back by AWS (spot advisor's "
            f"band of {box}: {band[0]:.0%} to {band[1]:.0%}), each replaced in {show(money.spot_replacement, 's')}"
        )
    yield from _fallback(scenario, book, hosts)
    if any(flow.query.state is not None for flow in scenario.flows):
        yield "spot suits executors without state: each loss reloads state from the checkpoint before the batch goes on"


def _fallback(scenario: Scenario, book: PriceBook, hosts: float) -> Iterator[str]:
    """What it costs when the market has none: at the share stated, and for each tenth of the hours."""
    money, spark = scenario.money, scenario.spark
    box = box_name(spark.machine)
    if not book.has(f"ec2/spot/{box}", money.region) or not book.has(f"ec2/on-demand/{box}", money.region):
        return
    listed, market = (book.price(f"ec2/{kind}/{box}", money.region).usd for kind in ("on-demand", "spot"))
    hours = Decimal(repr(hosts * money.spot_share)) * Decimal(repr(month_of(money).hours))
    tenth = (listed - market) * hours / 10
    stated = f"{money.spot_fallback:.0%} of spot hours run on demand; " if money.spot_fallback else ""
    yield f"{stated}every tenth of the spot hours that finds no spot and runs on demand costs {tenth:,.2f} USD a month"


def _unsure(made: Bill) -> Iterator[str]:
    grades = {grade: usd for grade, usd in made.by_grade.items() if usd and SPREAD.get(grade, 0.0)}  # type: ignore[call-overload]
    for grade, usd in sorted(grades.items(), key=lambda pair: -pair[1]):
        yield f"{usd:,.2f} USD rest on prices that are {grade}, up to {SPREAD[grade]:.0%} off: confirm before signing"  # type: ignore[index]
