"""Candidates: every setting of each system that may carry the load, priced; and why the others may not.

A *setting* is a machine, a count, a volume and what hangs on them: partitions and copies for brokers, trigger and
shuffle partitions for executors, shards and copies for data nodes. What can be decided of one system alone is decided
here (price, memory, disk, cards, partitions a broker, a lost zone's disk); what couples them (time) is the search's.
An *excuse* is a rejection as data: what, which constraint, how much was needed, how much there was.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from models.coefficients import CoefficientSet
from models.elasticsearch import watermark_bytes
from models.machines import Machine, box_name, machine, machines
from models.memory import sizes
from models.stack import Flow, Scenario
from models.storage import index_life_seconds
from models.units import GIB, MIB
from planner.candidates_limits import largest_volume
from planner.candidates_usd import Prices
from planner.candidates_wants import Wants
from planner.checks import not_survived
from planner.checks_kafka import CACHE_SECONDS, MSK_REPLICAS
from planner.memory import executor_ledger, yarn_bytes
from planner.storage import (
    document_bytes,
    index_at,
    index_shares,
    kept_index,
    kept_log,
    stored_event_bytes,
    topic_shares,
    transient_bytes,
)
from simulator.screen_parts import FrontRow, Parts, SearchRow, SparkRow, front_loads

System = Literal["kafka", "spark", "elasticsearch"]
SYSTEMS: tuple[System, ...] = ("kafka", "spark", "elasticsearch")

SCALES = (0.25, 1 / 3, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0)  # on the scenario's partitions
TRIGGERS = (1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0)  # [s]; those that can meet the p99
COUNTS = (*range(1, 17), *range(18, 33, 2), *range(36, 65, 4), *range(72, 129, 8), *range(144, 513, 16))
SHARDS_A_NODE = (1, 2)
MOST_BROKERS = 60  # MSK, KRaft mode (msk_quotas.csv); self-managed is given the same
MOST_VOLUME = 16 * 1024 * GIB  # MSK and EBS gp3 (msk_quotas.csv)
DISK_STEP = 8 * GIB
THROUGHPUT_STEP = 25 * MIB
KAFKA_MARK = 0.85  # of a broker's disk, kafka.md B6
MOST_HEAP = 30 * GIB  # compressed pointers, spark.md C


@dataclass(frozen=True)
class Excuse:
    """Why a candidate was not taken: the constraint, what was needed of it, what there was, what would change it."""

    system: str
    candidate: str
    constraint: str
    needed: float
    had: float
    unit: str
    change: str

    def as_dict(self) -> dict[str, Any]:
        out = asdict(self)
        return out | {k: None for k in ("needed", "had") if not math.isfinite(out[k])}

    @property
    def short(self) -> float:
        """How far from enough [log]: excuses of a family are told by the one that came nearest."""
        if self.needed <= 0 or self.had <= 0:
            return math.inf
        return abs(math.log(self.needed / self.had))


@dataclass(frozen=True)
class Brokers:
    """A setting of Kafka."""

    kind: str
    row: FrontRow
    min_insync: tuple[int, ...]
    volume: float
    heap: float
    usd: float
    nodes: int
    loads: dict[str, float] = field(compare=False, default_factory=dict)


@dataclass(frozen=True)
class Executors:
    """A setting of Spark and the queries."""

    kind: str
    row: SparkRow
    heap: float
    driver: str
    usd: float
    nodes: int


@dataclass(frozen=True)
class DataNodes:
    """A setting of the search cluster and the indices."""

    kind: str
    row: SearchRow
    managers: int
    volume: float
    usd: float
    nodes: int


class Builder:
    """Makes the catalogue of one region for one load: rates [1/s] at the peak, one a flow."""

    def __init__(
        self, scenario: Scenario, coefficients: CoefficientSet, wants: Wants, region: str, growth: float = 1.0,
        like: Builder | None = None,
    ) -> None:  # fmt: skip
        """`like` is another builder of the same scenario: what hangs on neither load nor wants is taken from it."""
        self.shared: dict[Any, Any] = {} if like is None else like.shared
        self.scenario, self.c, self.wants, self.growth = scenario, coefficients, wants, growth
        self.prices = Prices(scenario, coefficients, region)
        self.rates = [rate * growth for rate in wants.peaks]
        self.parts: Parts = Parts(scenario, coefficients, self.rates) if like is None else like.parts.at(self.rates)
        self.excuses: list[Excuse] = []
        self.considered = 0
        self._usable: dict[tuple[str, str], tuple[list[Machine], list[Machine]]] = {}

    # ------------------------------------------------------------ machines

    def boxes(self, system: System, kind: str) -> list[Machine]:
        """Machines that the region sells for a system, that were measured, and that the wants allow."""
        found = []
        for box in machines():
            if self.wants.families and box.family not in self.wants.families:
                continue
            reason = self._unusable(system, kind, box)
            if reason is None:
                found.append(box)
            elif reason.constraint:
                self.excuses.append(reason)
        return found

    def _unusable(self, system: System, kind: str, box: Machine) -> Excuse | None:
        def no(constraint: str, needed: float, had: float, unit: str, change: str) -> Excuse:
            return Excuse(system, box.name, constraint, needed, had, unit, change)

        if self.prices.hourly(system, kind, box.name) is None:
            sold = "" if kind in ("self-managed", "ec2") or box.family not in self.wants.families else "sold"
            return no(sold, 1, 0, "", f"{kind} in {self.prices.region} has no price for it")
        if box.coremark is None:
            return no("measured speed", 1, 0, "CoreMark", "a CoreMark of a live one")
        if box.burstable and box.family not in self.wants.families:
            return no("sustained CPU", 1, 0, "", "name the family: its credits are then taken as never spent")
        if not box.current and box.family not in self.wants.families and system != "kafka":
            return no("current generation", 1, 0, "", "name the family")
        return None

    @cached_property
    def kinds(self) -> dict[System, tuple[str, ...]]:
        return self.wants.kinds(self.scenario)

    # ------------------------------------------------------------ Kafka

    def scales(self) -> list[tuple[int, ...]]:
        """Numbers of partitions, one a flow; never fewer than today's where something runs."""
        floor = self.wants.least_partitions
        found = {tuple(f.topic.partitions for f in self.scenario.flows)}
        for scale in SCALES:
            parts = tuple(max(1, math.ceil(f.topic.partitions * scale)) for f in self.scenario.flows)
            found.add(tuple(-(-p // 3) * 3 if p > 2 else p for p in parts))
        ok = [p for p in found if all(a >= b for a, b in zip(p, floor, strict=True)) and max(p) <= 2000]
        return sorted(ok)

    def brokers(self, only: str = "", cheapest: bool = False) -> Iterator[Brokers]:
        """The smallest count of each machine that carries the topics, for each number of partitions; with `cheapest`
        those are left out whose hours alone cost more than another's whole month."""
        for kind in self.kinds["kafka"]:
            options = self.wants.topic_copies(self.scenario, kind)
            if not options:
                self.excuses.append(Excuse("kafka", kind, "survives", 1, 0, "", zones_text(self.wants.survive)))
            boxes = self._machines("kafka", kind, only)
            for copies, insync, zones in options:
                counts = [n for n in _multiples(zones, MOST_BROKERS) if n >= max(copies)]
                for parts in self.scales():
                    found = self._brokers_of(kind, boxes, counts, parts, copies, insync, zones)
                    yield from self._priced(found, cheapest)

    def _priced(self, found: Sequence[Brokers], cheapest: bool) -> Iterator[Brokers]:
        """Settings with their price, those with the cheapest hours first."""
        least, hours, hour = math.inf, self.prices.month.hours, self.prices.hourly
        at_least = [(b.row.brokers * (hour("kafka", b.kind, b.row.machine) or 0.0) * hours, b) for b in found]
        for hourly, made in sorted(at_least, key=lambda pair: pair[0]) if cheapest else at_least:
            if cheapest and hourly > least:
                return
            usd = self.prices.brokers(made)
            least = min(least, usd)
            yield replace(made, usd=usd)

    def _brokers_of(
        self, kind: str, boxes: Sequence[Machine], counts: Sequence[int], parts: tuple[int, ...],
        copies: tuple[int, ...], insync: tuple[int, ...], zones: int,
    ) -> list[Brokers]:  # fmt: skip
        """The same of one number of partitions, not priced yet."""
        rows = [(box, n) for box in boxes for n in counts]
        if not rows:
            return []
        self.considered += len(rows)
        included = (250 if kind == "msk-standard" else 125) * MIB
        fronts = [FrontRow(box.name, n, zones, parts, copies, included) for box, n in rows]
        loads = self._loads(fronts, parts, 1.0)
        degraded = self._degraded(rows, zones, parts, copies, included)
        stored = {n: self._topic_bytes(n, parts, copies) for n in counts}
        best: dict[str, Brokers] = {}
        nearest: dict[str, Excuse] = {}
        for k, ((box, n), front) in enumerate(zip(rows, fronts, strict=True)):
            if box.name in best:
                continue
            mine = {name: float(values[k]) for name, values in loads.items()}
            lost = {name: float(values[k]) for name, values in degraded.items()}
            excuse = self._broker_excuse(kind, box, n, parts, copies, mine, lost, stored[n])
            if excuse is not None:
                if box.name not in nearest or excuse.short < nearest[box.name].short:
                    nearest[box.name] = excuse
                continue
            volume = max(
                self.wants.least_volumes[0], _up(stored[n] / (KAFKA_MARK * (1 - self.wants.disk_headroom)), DISK_STEP)
            )
            need = mine["kafka volume"] * min(included, box.ebs_baseline_bytes_per_second) * self.wants.headroom
            front = replace(front, volume_throughput=max(included, _up(need, THROUGHPUT_STEP)))
            heap = self._broker_heap(box)
            made = Brokers(kind, front, insync, volume, heap, 0.0, n + self.prices.controllers(kind), mine)
            best[box.name] = made
        self.excuses += [e for name, e in nearest.items() if name not in best]
        return list(best.values())

    def _loads(self, fronts: list[FrontRow], parts: tuple[int, ...], factor: float) -> dict[str, Any]:
        made = self.parts.front(fronts)
        made["front.rate"] = made["front.rate"] * factor
        return front_loads(made, np.tile(np.array(parts, dtype=float), (len(fronts), 1)))

    def _degraded(
        self, rows: Sequence[tuple[Machine, int]], zones: int, parts: tuple[int, ...], copies: tuple[int, ...],
        included: float,
    ) -> dict[str, Any]:  # fmt: skip
        """Loads at the peak with what the targets say is lost."""
        if not {"broker", "zone"} & set(self.wants.survive):
            return {}
        fronts = []
        for box, n in rows:
            gone = -(-n // zones) if "zone" in self.wants.survive else 1
            fewer = tuple(max(1, c - (-(-c // min(zones, c)) if "zone" in self.wants.survive else 1)) for c in copies)
            left = max(n - gone, 1, *fewer)
            fronts.append(FrontRow(box.name, left, min(zones, left), parts, fewer, included))
        return self._loads(fronts, parts, 1.0)

    def _broker_heap(self, box: Machine) -> float:
        return min(self.scenario.kafka.heap, _down(box.memory_bytes / 2, GIB / 4))

    def _broker_excuse(
        self, kind: str, box: Machine, n: int, parts: tuple[int, ...], copies: tuple[int, ...], loads: dict[str, float],
        lost: dict[str, float], stored: float,
    ) -> Excuse | None:  # fmt: skip
        def no(constraint: str, needed: float, had: float, unit: str, change: str) -> Excuse:
            return Excuse("kafka", f"{n} x {box.name}", constraint, needed, had, unit, change)

        for name, load in loads.items():
            room = 1 - self.wants.cpu_headroom if name == "broker CPU" else 1.0
            if load * self.wants.headroom > 1 or load > room:
                needed = max(load * self.wants.headroom, load / room)
                return no(name, needed, 1.0, "1", f"{needed:.2g} times as much of it, or more brokers")
        for name, load in lost.items():
            if load > 1:
                return no(f"{name} with the loss", load, 1.0, "1", "more brokers: the rest carry the lost ones' load")
        held = sum(p * c for p, c in zip(parts, copies, strict=True)) / n
        most = next((m for size, m in MSK_REPLICAS if box.name.endswith(size)), 4000)
        if kind == "msk-standard" and held > most:
            return no("partition copies a broker", held, most, "count", "fewer partitions or more brokers")
        if stored / (KAFKA_MARK * (1 - self.wants.disk_headroom)) > MOST_VOLUME:
            return no("disk", stored / KAFKA_MARK, MOST_VOLUME, "bytes", "shorter retention or more brokers")
        return self._page_cache(box, n, parts, copies)

    def _page_cache(self, box: Machine, n: int, parts: tuple[int, ...], copies: tuple[int, ...]) -> Excuse | None:
        """A broker's memory holds the last half minute of writes, or readers go to disk (kafka.md A7)."""
        cache = box.memory_bytes - self._broker_heap(box) - sizes()["system"].value
        variant = self._topics(n, parts, copies)
        written = [
            sum(topic_shares(variant, f)[b] * rate * stored_event_bytes(f)
                for f, rate in zip(variant.flows, self.rates, strict=True))
            for b in (0,)
        ]  # fmt: skip
        needed = max(written) * CACHE_SECONDS
        memory = self.wants.memory_headroom * box.memory_bytes
        if cache - memory < needed:
            change = "more memory, or more brokers"
            return Excuse("kafka", f"{n} x {box.name}", "page cache", needed, max(cache - memory, 1.0), "bytes", change)
        return None

    def _topics(self, n: int, parts: tuple[int, ...], copies: tuple[int, ...]) -> Scenario:
        kafka = self.scenario.kafka.model_copy(update={"brokers": n})
        flows = [
            f.model_copy(update={"topic": f.topic.model_copy(update={"partitions": p, "copies": c})})
            for f, p, c in zip(self.scenario.flows, parts, copies, strict=True)
        ]
        return self.scenario.model_copy(update={"kafka": kafka, "flows": tuple(flows)})

    def _topic_bytes(self, n: int, parts: tuple[int, ...], copies: tuple[int, ...]) -> float:
        """Bytes on the fullest broker once retention is full, at this load [bytes]."""
        variant = self._topics(n, parts, copies)
        held = [0.0] * n
        for flow in variant.flows:
            whole = kept_log(flow, flow.topic.retention) * self.growth
            held = [h + share * whole for h, share in zip(held, topic_shares(variant, flow), strict=True)]
        return max(held)

    # ------------------------------------------------------------ Spark

    def triggers(self) -> list[tuple[float, ...]]:
        """Triggers, one a flow: the scenario's own, and round ones that the p99 leaves room for."""
        own = tuple(max(0.0, f.query.trigger) for f in self.scenario.flows)
        found = {own}
        if self.wants.p99 is not None and self.wants.free_trigger:
            found |= {(t,) * len(own) for t in TRIGGERS if t < self.wants.p99}
        return sorted(found)

    def triggers_near(self, now: tuple[float, ...]) -> list[tuple[float, ...]]:
        """Triggers with each flow's one step shorter, the same or one step longer; what all flows share is left out."""
        if self.wants.p99 is None or not self.wants.free_trigger:
            return []
        shared, options = set(self.triggers()), []
        for flow, mine in zip(self.scenario.flows, now, strict=True):
            own = max(0.0, flow.query.trigger)
            values = sorted({own, mine, *(t for t in TRIGGERS if t < self.wants.p99)})
            at = values.index(mine)
            options.append(values[max(0, at - 1) : at + 2])
        return [each for each in itertools.product(*options) if each not in shared]

    def executors(self, counts: Sequence[int] = COUNTS, scales: Sequence[tuple[int, ...]] | None = None,
                  triggers: Sequence[tuple[float, ...]] | None = None, most_usd: float = math.inf,
                  only: str = "") -> Iterator[Executors]:  # fmt: skip
        """Every machine and count, with every trigger and number of partitions; who cannot hold the heap is left out.

        `only` names a family and lifts dominance; `most_usd` bounds the hosts' price.
        """
        most = self.wants.most_nodes or max(COUNTS)
        scales = self.scales() if scales is None else scales
        triggers = self.triggers() if triggers is None else triggers
        for kind in self.kinds["spark"]:
            driver = self._driver(kind)
            for box in self._machines("spark", kind, only):
                one, step = self.prices.executors(kind, box.name, driver)
                for n in (n for n in counts if n <= most):
                    hosts = one + (n - 1) * step
                    if hosts > most_usd:
                        break
                    for shuffles in self._shuffles(n * box.vcpu):
                        for each in triggers:
                            usd = hosts + self.prices.requests(each, shuffles)
                            self.considered += len(scales)
                            for parts in scales:
                                row = SparkRow(box.name, n, box.vcpu, parts, each, shuffles)
                                yield Executors(kind, row, self._heap(box), driver, usd, n + 1)

    def _machines(self, system: System, kind: str, only: str = "") -> list[Machine]:
        """Machines of a system that are not beaten in everything; of one family, all that can be used."""
        key = (system, kind)
        if key not in self._usable:
            boxes = self._with_heap(kind) if system == "spark" else self.boxes(system, kind)
            self._usable[key] = boxes, self._undominated(system, kind, boxes)
        boxes, best = self._usable[key]
        return [b for b in boxes if b.family == only] if only else best

    def _shuffles(self, slots: int) -> list[tuple[int, ...]]:
        """Shuffle partitions, one a flow: one a slot, within reason, or the scenario's own."""
        own = tuple(f.query.state.shuffle_partitions if f.query.state else 0 for f in self.scenario.flows)
        if not any(own):
            return [own]
        floor = self.wants.least_shuffles or (0,) * len(own)
        found = {tuple(min(n, max(2, slots)) if n else 0 for n in own), own}
        return sorted({tuple(max(n, least) for n, least in zip(each, floor, strict=True)) for each in found})

    def _driver(self, kind: str) -> str:
        """The scenario's own driver machine, where the region sells it."""
        return self.scenario.spark.driver_machine

    def _heap(self, box: Machine) -> float:
        """Heap a slot as the scenario has it, for all slots of the box [bytes]."""
        spark = self.scenario.spark
        return min(MOST_HEAP, _up(spark.heap / spark.cores * box.vcpu, 64 * MIB))

    def _with_heap(self, kind: str) -> list[Machine]:
        """Machines on which an executor fits; worked out once for all loads."""
        key = ("heap", kind, self.prices.region, self.wants.families, self.wants.memory_headroom)
        if key not in self.shared:
            before = len(self.excuses)
            boxes = list(self._fitting(kind))
            self.shared[key] = boxes, self.excuses[before:]
            del self.excuses[before:]
        found: tuple[list[Machine], list[Excuse]] = self.shared[key]
        self.excuses += found[1]
        return found[0]

    def _fitting(self, kind: str) -> Iterator[Machine]:
        spark = self.scenario.spark
        for box in self.boxes("spark", kind):
            room = yarn_bytes(box.name) if kind == "emr-ec2" else box.memory_bytes - sizes()["system"].value
            room -= self.wants.memory_headroom * box.memory_bytes
            changed = {"kind": kind, "machine": box.name, "cores": box.vcpu, "heap": self._heap(box), "executors": 1}
            variant = self.scenario.model_copy(update={"spark": spark.model_copy(update=changed)})
            needed = executor_ledger(variant).reserved_bytes
            if needed > room:
                change = f"{(needed - room) / GIB:.1f} GiB more memory, or a smaller heap a slot"
                self.excuses.append(Excuse("spark", box.name, "memory of an executor", needed, room, "bytes", change))
            else:
                yield box

    # ------------------------------------------------------------ data nodes

    def data_nodes(self, counts: Sequence[int] = COUNTS, most_usd: float = math.inf,
                   only: str = "") -> Iterator[DataNodes]:  # fmt: skip
        """Every machine, count, shards and copies whose disk holds the index."""
        most = self.wants.most_nodes or max(COUNTS)
        for kind in self.kinds["elasticsearch"]:
            options = self.wants.index_copies(self.scenario, kind)
            if not options:
                self.excuses.append(Excuse("elasticsearch", kind, "survives", 1, 0, "", zones_text(self.wants.survive)))
            boxes = self._machines("elasticsearch", kind, only)
            hourly = {b.name: self.prices.hourly("elasticsearch", kind, b.name) or 0.0 for b in boxes}
            for copies, zones in options:
                # whole zones: with awareness a zone of fewer nodes would fill them further than the others
                for n in (n for n in counts if n <= most and n >= max(zones, *copies) and n % zones == 0):
                    cheap = [b for b in boxes if hourly[b.name] * n * self.prices.month.hours <= most_usd]
                    for primaries in self._primaries(n) if cheap else []:
                        yield from self._nodes_of(kind, cheap, n, primaries, copies, zones)

    def _primaries(self, n: int) -> list[tuple[int, ...]]:
        """Primary shards, one a flow: the scenario's own, and one or two a node."""
        flows = self.scenario.flows
        own = tuple(f.index.primaries for f in flows)
        found = {own} if any(f.index.primaries * f.index.copies >= n for f in flows) else set()
        found |= {tuple(max(n * k, math.ceil(f.index.hottest_shard)) for f in flows) for k in SHARDS_A_NODE}
        return sorted(p for p in found if max(p) <= 1024)

    def _nodes_of(
        self, kind: str, boxes: Sequence[Machine], n: int, primaries: tuple[int, ...], copies: tuple[int, ...],
        zones: int,
    ) -> Iterator[DataNodes]:  # fmt: skip
        key = (kind, n, primaries, copies)
        if key not in self.shared:
            self.shared[key] = self._index_bytes(self._indices(n, primaries, copies))
        held, written = (x * self.growth for x in self.shared[key])
        size, priced = max(self.wants.least_volumes[1], self._volume_for(kind, held)), None
        managers = self.wants.managers(self.scenario, n, zones)
        throughput = max(125 * MIB, _up(written * self.wants.headroom, THROUGHPUT_STEP))
        for box in boxes:
            self.considered += 1
            name = f"{n} x {box.name}"
            most, source = largest_volume(kind, box.name)
            if size > most:
                change = f"more nodes, shorter retention, or a larger node ({source})"
                self.excuses.append(Excuse("elasticsearch", name, "disk of a node", size, most, "bytes", change))
                continue
            if written * self.wants.headroom > box.ebs_baseline_bytes_per_second:
                need, has = written * self.wants.headroom, box.ebs_baseline_bytes_per_second
                self.excuses.append(Excuse("elasticsearch", name, "EBS throughput", need, has, "bytes/s", "more nodes"))
                continue
            row = SearchRow(box.name, n, zones, primaries, copies, throughput)
            made = DataNodes(kind, row, managers, size, 0.0, n + managers)
            hour = self.prices.hourly("elasticsearch", kind, box.name) or 0.0
            if priced is None:  # boxes differ by their hour only
                priced = self.prices.data_nodes(made) - n * hour * self.prices.month.hours
            yield replace(made, usd=priced + n * hour * self.prices.month.hours)

    def _indices(self, n: int, primaries: tuple[int, ...], copies: tuple[int, ...]) -> Scenario:
        search = self.scenario.elasticsearch.model_copy(update={"data_nodes": n})
        flows = [
            f.model_copy(update={"index": f.index.model_copy(update={"primaries": p, "copies": c})})
            for f, p, c in zip(self.scenario.flows, primaries, copies, strict=True)
        ]
        return self.scenario.model_copy(update={"elasticsearch": search, "flows": tuple(flows)})

    def _index_bytes(self, variant: Scenario) -> tuple[float, float]:
        """Bytes on the fullest data node once retention is full, and bytes a second that the busiest writes."""
        n = variant.elasticsearch.data_nodes
        written = 0.0
        for flow, peak in zip(variant.flows, self.wants.peaks, strict=True):
            if flow.query.sink.kind == "noop":
                continue
            merged = document_bytes(flow, self.c) * (1 + self.c["search.merge_amplification"])
            rate = peak * flow.workload.documents_per_event * (flow.workload.json_bytes + merged)
            written += rate * max(_even_shares(flow, n) or index_shares(variant, flow))
        life = max(index_life_seconds(f.index.retention, f.index.rollover) for f in variant.flows)
        if all(_even_shares(f, n) for f in variant.flows):
            held = sum(kept_index(f, self.c, life) * f.index.copies / n for f in variant.flows)
            counts = [[f.index.primaries * f.index.copies // n] * n for f in variant.flows]
            return held + max(transient_bytes(variant, self.c, life, counts)), written
        return max(index_at(variant, self.c, n, relieve=False)(life)), written

    def _volume_for(self, kind: str, held: float) -> float:
        """Smallest volume whose first mark lies above what the fullest node holds, with the headroom asked for."""
        wanted = max(held, GIB) / (1 - self.wants.disk_headroom)
        size = max(10 * GIB, _up(wanted, DISK_STEP))
        while size < wanted * 3 + 64 * GIB:
            cluster = self.scenario.elasticsearch
            marks = watermark_bytes(size, kind, cluster.version, cluster.free_space_rule)
            if min(marks["low"], marks["write_block"]) >= wanted:
                break
            size += DISK_STEP * max(1, int(size / (64 * DISK_STEP)))
        return size

    # ------------------------------------------------------------ dominance

    def _undominated(self, system: System, kind: str, boxes: list[Machine]) -> list[Machine]:
        """Machines that no other beats in everything for the same money or less."""
        if self.wants.every_machine:
            return boxes
        keep = []
        facts = {b.name: self._worth(b, kind, system) for b in boxes}
        usd = {b.name: self.prices.hourly(system, kind, b.name) or math.inf for b in boxes}
        for box in boxes:
            mine, cost = facts[box.name], usd[box.name]
            better = [o for o in boxes if o is not box and usd[o.name] <= cost and (facts[o.name] >= mine).all()
                      and (usd[o.name] < cost or (facts[o.name] > mine).any() or o.name < box.name)]  # fmt: skip
            if not better:
                keep.append(box)
                continue
            best = min(better, key=lambda o: (usd[o.name], o.name))
            change = f"{best.name} has no less of anything for {usd[best.name]:.4g} USD an hour"
            self.excuses.append(Excuse(system, box.name, "price", usd[best.name], cost, "USD/h", change))
        return keep

    def _worth(self, box: Machine, kind: str, system: System) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What a machine is bought for, each no more than the whole load could use of it: cores, their speed, threads,
        network; for what keeps data also disk throughput, room on disk, and memory."""
        speed, card = box.per_core_speed(self.c["hosts.smt_yield"]) or 0.0, box.network_baseline_bytes_per_second
        worth = [box.capacity_threads(self.c["hosts.smt_yield"]), speed, box.vcpu, min(card, self._traffic)]
        if system != "spark":
            room = largest_volume(kind, box.name)[0] if system == "elasticsearch" else 0.0
            memory = min(box.memory_bytes, 64 * GIB) if system == "elasticsearch" else box.memory_bytes
            worth += [min(box.ebs_baseline_bytes_per_second, self._traffic), room, memory]
        return np.array(worth)

    @cached_property
    def _traffic(self) -> float:
        """More bytes a second than any one card or disk could see of this load [bytes/s]."""
        total = 0.0
        for flow, rate in zip(self.scenario.flows, self.rates, strict=True):
            merged = document_bytes(flow, self.c) * (1 + self.c["search.merge_amplification"])
            copies = max(3, flow.topic.copies, flow.index.copies)
            one = 2 * flow.workload.value_bytes + flow.workload.documents_per_event * (
                flow.workload.json_bytes + merged
            )
            total += rate * one * (copies + flow.topic.consumer_groups + 1)
        return total * max(1.0, self.wants.headroom)


def _even_shares(flow: Flow, n: int) -> list[float]:
    """Shares of an index on its nodes where whole rounds of shards lie on them [1]; empty where they do not."""
    even = flow.index.primaries % n == 0 and flow.index.hottest_shard == 1
    return [min(flow.index.copies, n) / n] if even else []


def zones_text(survive: Sequence[str]) -> str:
    return f"no number of copies and zones survives {', '.join(survive)}"


def _multiples(zones: int, most: int) -> list[int]:
    return [n for n in COUNTS if n % zones == 0 and n <= most]


def _up(value: float, step: float) -> float:
    return math.ceil(value / step - 1e-9) * step


def _down(value: float, step: float) -> float:
    return max(step, math.floor(value / step + 1e-9) * step)


__all__ = ["Brokers", "Builder", "DataNodes", "Excuse", "Executors", "box_name", "machine", "not_survived"]
