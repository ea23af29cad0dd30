"""Memory: what each process takes of its host, beside the setting that its owner wrote.

A heap setting is not what a process takes: a container reserves more, resident memory climbs past the
heap, and what is left over is page cache that Kafka's tail reads and the index's searches live on. A *ledger*
lists the parts of one process of each kind, each with its formula and source; a *risk* says how likely what
the parts add up to passes the limit that the process is killed at, at this load and at multiples of it.
The parts themselves are in `memory_parts.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.coefficients import CoefficientSet
from models.elasticsearch import heap_bytes, pressure_limit_bytes
from models.hosts import spread
from models.kafka import page_cache_seconds
from models.machines import machine
from models.memory import exceeds, sizes
from models.stack import Scenario
from models.units import GIB, show
from planner.memory_parts import (
    Entry,
    Parts,
    broker_parts,
    driver_parts,
    executor_parts,
    node_parts,
    state_bytes,
)
from planner.once import once
from planner.places import Part, nodes, place
from planner.storage import document_bytes, index_shares, stored_event_bytes, topic_shares

LOADS = (1.0, 1.5, 2.0, 3.0, 5.0)
LIKELY = 0.05  # a risk from which a ledger warns
MOST_LOAD = 100.0


@dataclass(frozen=True)
class Risk:
    """One process at a multiple of the load: what it may take, its limit, and how likely it passes it [1]."""

    load: float
    demand_bytes: float
    limit_bytes: float
    probability: float
    live_heap_bytes: float
    heap_probability: float


@dataclass(frozen=True)
class Ledger:
    """Memory of one process of each kind [bytes]. None: the scenario does not say what its host has.

    `resident_least_bytes` is after minutes of light work, `resident_bytes` what it climbs to under load. `limit` says
    who ends a process past `limit_bytes`; `holds_until` is the multiple of the load at which that gets likely (5 %).
    """

    process: str
    count: int
    heap_bytes: float
    reserved_bytes: float
    evidence: str
    resident_bytes: float | None = None
    host_bytes: float | None = None
    page_cache_bytes: float | None = None
    page_cache_seconds: float | None = None
    in_flight_limit_bytes: float | None = None
    state_bytes: float | None = None
    hot_bytes: float | None = None
    setting: str = ""
    resident_least_bytes: float | None = None
    live_heap_bytes: float | None = None
    limit: str = ""
    limit_bytes: float | None = None
    holds_until: float | None = None
    entries: tuple[Entry, ...] = ()
    risks: tuple[Risk, ...] = ()

    def risk_at(self, load: float) -> float:
        """The greater of both probabilities at a multiple of the load, between those told [1]."""
        rows = [(r.load, max(r.probability, r.heap_probability)) for r in self.risks]
        below = max((row for row in rows if row[0] <= load), default=rows[0])
        above = min((row for row in rows if row[0] >= load), default=rows[-1])
        if above[0] <= below[0]:
            return below[1]
        return below[1] + (above[1] - below[1]) * (load - below[0]) / (above[0] - below[0])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class HostLedger:
    """One host: the resident memory of all that lives on it [bytes]."""

    host: str
    count: int
    processes: tuple[str, ...]
    resident_bytes: float
    host_bytes: float | None

    @property
    def left_bytes(self) -> float | None:
        """What is left to the page cache; below 0 the host swaps or the kernel kills [bytes]."""
        return None if self.host_bytes is None else self.host_bytes - self.resident_bytes - sizes()["system"].value

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"left_bytes": self.left_bytes}


@once
def memory(scenario: Scenario, coefficients: CoefficientSet) -> list[Ledger]:
    """Ledgers of a broker, an executor, a data node and the driver."""
    return [_broker(scenario), executor_ledger(scenario), _data_node(scenario, coefficients), _driver(scenario)]


def hosts(scenario: Scenario, ledgers: Sequence[Ledger]) -> list[HostLedger]:
    """Every kind of host with what lives on it; processes with hosts of their own make one row a kind."""
    by_process = {entry.process: entry for entry in ledgers}
    kinds: tuple[tuple[Part, str], ...] = (
        ("kafka", "broker"), ("spark", "executor"), ("elasticsearch", "data node"),
    )  # fmt: skip
    found: list[HostLedger] = []
    on: dict[str, list[str]] = {host.name: [] for host in scenario.hosts}
    for part, process in kinds:
        named = getattr(scenario, part).hosts
        if named:
            for name in spread(nodes(scenario, part), named):
                on[name].append(process)
            continue
        mine = by_process[process]
        found.append(_host(place(scenario, part).host, mine.count, [mine], mine.host_bytes))
    driver = by_process["driver"]
    if scenario.spark.hosts:
        on[scenario.spark.hosts[0]].append("driver")
    else:
        found.append(_host(scenario.spark.driver_machine, 1, [driver], driver.host_bytes))
    for host in scenario.hosts:
        if on[host.name]:
            memory_of = machine(host.machine).memory_bytes if host.machine else host.memory
            found.append(_host(host.name, 1, [by_process[p] for p in on[host.name]], memory_of))
    return found


def _host(name: str, count: int, on: Sequence[Ledger], has: float | None) -> HostLedger:
    return HostLedger(name, count, tuple(e.process for e in on), sum(e.resident_bytes or 0.0 for e in on), has)


def _risks(of: Any, heap: float, limit: float) -> tuple[tuple[Risk, ...], float | None]:
    """Risks at the multiples of the load, and the multiple up to which none is likely (None: beyond a hundred)."""

    def at(load: float) -> Risk:
        parts: Parts = of(load)
        demand = parts.certain + sum(p.value for p in parts.native)
        return Risk(
            load, demand, limit, exceeds(limit, parts.certain, parts.native), parts.live_bytes,
            exceeds(heap, parts.live_certain, parts.live),
        )  # fmt: skip

    def likely(load: float) -> bool:
        risk = at(load)
        return max(risk.probability, risk.heap_probability) >= LIKELY

    return tuple(at(load) for load in LOADS), _last(likely)


def _last(likely: Any) -> float | None:
    """The multiple of the load from which something is likely, within 1 %; 0 if it is at the smallest."""
    low, high = 0.01, MOST_LOAD
    if not likely(high):
        return None
    if likely(low):
        return 0.0
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if likely(middle) else (middle, high)
    return low


def until_told(ledger: Ledger) -> str:
    """From which load on a process is likely to be ended, in words."""
    if ledger.holds_until is None:
        return f"not within {MOST_LOAD:.0f} times this load"
    return "at any load" if ledger.holds_until == 0 else f"from {ledger.holds_until:.2g} times this load"


def _broker(scenario: Scenario) -> Ledger:
    kafka, host = scenario.kafka, place(scenario, "kafka").memory_bytes
    per_broker = [
        sum(topic_shares(scenario, f)[b] * f.workload.events_per_second * stored_event_bytes(f) for f in scenario.flows)
        for b in range(kafka.brokers)
    ]
    parts = broker_parts(scenario, 1.0)
    seconds = None if host is None else page_cache_seconds(host, kafka.heap, max(per_broker))
    cache = None if host is None else max(0.0, host - kafka.heap - sizes()["system"].value)
    limit = host - sizes()["system"].value if host is not None else None
    risks, until = _risks(lambda f: broker_parts(scenario, f), kafka.heap, limit) if limit else ((), None)
    return Ledger(
        "broker", kafka.brokers, kafka.heap, kafka.heap, "kafka.md A7: the newest writes",
        resident_bytes=parts.climbs_to(), host_bytes=host, page_cache_bytes=cache, page_cache_seconds=seconds,
        setting=f"-Xmx{show(kafka.heap, 'bytes')}", resident_least_bytes=parts.least_bytes,
        live_heap_bytes=parts.live_bytes, limit="the kernel: the host's memory is full", limit_bytes=limit,
        holds_until=until, entries=(*parts.entries, parts.touched_entry, *_cache_entry(cache, seconds)), risks=risks,
    )  # fmt: skip


def _cache_entry(cache: float | None, seconds: float | None) -> tuple[Entry, ...]:
    if cache is None or seconds is None:
        return ()
    told = f"host - heap - system; holds the last {show(seconds, 's')} of writes on the busiest broker"
    return (Entry("page cache", "page cache", cache, told, "kafka.md A7"),)


def executor_ledger(scenario: Scenario) -> Ledger:
    spark, host = scenario.spark, place(scenario, "spark").memory_bytes
    parts = executor_parts(scenario, 1.0)
    limited = spark.manager != "standalone"
    limit = parts.container_bytes if limited else None if host is None else host - sizes()["system"].value
    risks, until = _risks(lambda f: executor_parts(scenario, f), spark.heap, limit) if limit else ((), None)
    who = {
        "yarn": "YARN: 'Container killed by YARN for exceeding memory limits' (143)",
        "kubernetes": "Kubernetes: OOMKilled (137)",
        "standalone": "the kernel: the host's memory is full",
    }
    return Ledger(
        "executor", spark.executors, spark.heap, parts.container_bytes, "spark.md C1, C5: measured; state A4",
        resident_bytes=parts.climbs_to(), host_bytes=host, state_bytes=state_bytes(scenario),
        setting=f"spark.executor.memory={show(spark.heap, 'bytes')}", resident_least_bytes=parts.least_bytes,
        live_heap_bytes=parts.live_bytes, limit=who[spark.manager], limit_bytes=limit, holds_until=until,
        entries=(*parts.entries, parts.touched_entry), risks=risks,
    )  # fmt: skip


def _driver(scenario: Scenario) -> Ledger:
    spark = scenario.spark
    parts = driver_parts(scenario, 1.0)
    host = place(scenario, "spark").memory_bytes if spark.hosts else machine(spark.driver_machine).memory_bytes
    limited = spark.manager != "standalone"
    limit = parts.container_bytes if limited else None if host is None else host - sizes()["system"].value
    risks, until = _risks(lambda f: driver_parts(scenario, f), spark.driver_heap, limit) if limit else ((), None)
    return Ledger(
        "driver", 1, spark.driver_heap, parts.container_bytes, "spark.md C3, C5",
        resident_bytes=parts.climbs_to(), host_bytes=host,
        setting=f"spark.driver.memory={show(spark.driver_heap, 'bytes')}", resident_least_bytes=parts.least_bytes,
        live_heap_bytes=parts.live_bytes, limit="as for executors", limit_bytes=limit, holds_until=until,
        entries=(*parts.entries, parts.touched_entry), risks=risks,
    )  # fmt: skip


def data_node_heap(scenario: Scenario) -> float | None:
    """Heap of a data node [bytes]; None where neither the scenario nor its host says."""
    cluster, host = scenario.elasticsearch, place(scenario, "elasticsearch").memory_bytes
    if cluster.heap is not None:
        return cluster.heap
    return None if host is None else heap_bytes(host, cluster.kind == "opensearch-service")


def _data_node(scenario: Scenario, coefficients: CoefficientSet) -> Ledger:
    cluster, host = scenario.elasticsearch, place(scenario, "elasticsearch").memory_bytes
    heap = data_node_heap(scenario)
    hot, known = hot_bytes(scenario, coefficients), heap or 0.0
    cache = None if host is None else max(0.0, host - known - sizes()["system"].value)
    if heap is None:
        return Ledger("data node", cluster.data_nodes, 0.0, 0.0, "elasticsearch.md B1, B3", hot_bytes=hot)
    parts = node_parts(scenario, coefficients, heap, 1.0)
    breaker = 0.95 * heap
    risks, until = _risks(lambda f: node_parts(scenario, coefficients, heap, f).as_heap(), breaker, breaker)
    entries = parts.entries
    if cache is not None:
        told = f"host - heap - system; searches want {show(hot, 'bytes')} of the fullest node in it"
        entries += (Entry("page cache", "page cache", cache, told, "elasticsearch.md B3: at least half of RAM"),)
    return Ledger(
        "data node", cluster.data_nodes, heap, heap, "elasticsearch.md B1, B3", host_bytes=host,
        resident_bytes=parts.climbs_to(), page_cache_bytes=cache, in_flight_limit_bytes=pressure_limit_bytes(heap),
        hot_bytes=hot, setting=f"-Xms{show(heap, 'bytes')} -Xmx{show(heap, 'bytes')}",
        resident_least_bytes=parts.least_bytes, live_heap_bytes=parts.live_bytes,
        limit="the parent breaker, 95 % of the heap: 429 circuit_breaking_exception", limit_bytes=breaker,
        holds_until=until, entries=entries, risks=risks,
    )  # fmt: skip


def hot_bytes(scenario: Scenario, coefficients: CoefficientSet) -> float:
    """What searches want in the page cache of the fullest node, once retention is full [bytes]."""
    wanted = [0.0] * scenario.elasticsearch.data_nodes
    for flow in scenario.flows:
        if flow.index.search.rate > 0:
            documents = flow.workload.events_per_second * flow.workload.documents_per_event * flow.index.retention
            held = documents * document_bytes(flow, coefficients) * flow.index.search.hot
            wanted = [w + held * share for w, share in zip(wanted, index_shares(scenario, flow), strict=True)]
    return max(wanted)


def yarn_bytes(machine_type: str) -> float:
    """Memory that EMR lets YARN hand out on a machine [bytes].

    Source: spark.md C6, fitted to EMR's own table of 2022 (m5, c5, r5 and m6g, c6g, r6g); newer families are
    taken to follow their architecture (not in that table).

    >>> round(yarn_bytes("m5.2xlarge") / GIB, 2), round(yarn_bytes("m6g.4xlarge") / GIB, 2)
    (24.0, 53.0)
    """
    box = machine(machine_type)
    ram = box.memory_bytes
    if box.architecture == "x86_64":
        return 0.75 * ram if ram <= 32 * GIB else ram - 8 * GIB
    less = ((64, 11), (128, 14), (256, 20), (512, 32))
    if ram <= 32 * GIB:
        return 0.715 * ram
    return ram - next((gib for limit, gib in less if ram <= limit * GIB), 32) * GIB


__all__ = ["Entry", "HostLedger", "Ledger", "Risk", "data_node_heap", "hosts", "hot_bytes", "memory", "state_bytes"]
