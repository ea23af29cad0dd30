"""Numbers of many stacks for level 0, put together from parts: brokers, executors with their query, data nodes.

A *part* is an array of settings of one system with the numbers that level 0 needs of it, one row a setting. A stack
is a row of each; `joined` looks the rows up, so that a million stacks cost three index arrays. Every process has a
host of its own here (`hosts:` by name are not searched). Costs that hang on a setting by a law are computed by that
law; the rest is read once from `numbers_of` of the scenario the settings are variants of.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.elasticsearch import heap_bytes, pressure_limit_bytes
from models.machines import machine
from models.stack import Scenario
from simulator.hosts import Site, place, site_of_machine
from simulator.screen import broker_cpu
from simulator.screen_numbers import KNOTS, Numbers, busiest_broker, front_table, numbers_of

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class FrontRow:
    """Brokers and topics: `partitions` and `copies` have one value a flow."""

    machine: str
    brokers: int
    zones: int
    partitions: tuple[int, ...]
    copies: tuple[int, ...]
    volume_throughput: float


@dataclass(frozen=True)
class SparkRow:
    """Executors and queries: `partitions`, `triggers` and `shuffles` (0: no state) have one value a flow."""

    machine: str
    executors: int
    slots: int
    partitions: tuple[int, ...]
    triggers: tuple[float, ...]
    shuffles: tuple[int, ...]


@dataclass(frozen=True)
class SearchRow:
    """Data nodes and indices: `primaries` and `copies` have one value a flow."""

    machine: str
    nodes: int
    zones: int
    primaries: tuple[int, ...]
    copies: tuple[int, ...]
    volume_throughput: float


class Parts:
    """Makes the numbers of parts that vary one scenario, at the rates given [1/s, one a flow]."""

    def __init__(
        self, scenario: Scenario, coefficients: CoefficientSet, rates: Sequence[float], knots: Array = KNOTS
    ) -> None:
        if any(getattr(scenario, part).hosts for part in ("kafka", "spark", "elasticsearch")):
            raise ValueError("hosts are given by name: parts on hosts of their own only")
        self.scenario, self.c = scenario, coefficients
        self.base = numbers_of(scenario, coefficients, knots[:2])  # the table is made anew for each row's partitions
        self.knots = knots
        self.rates = np.asarray(rates, dtype=np.float64)[None, :]
        self._tables: dict[Any, Any] = {}
        self._shares: dict[Any, Any] = {}
        self._sites: dict[tuple[str, str], Site] = {}

    def at(self, rates: Sequence[float]) -> Parts:
        """The same parts at other rates; what was worked out already is shared."""
        other = copy(self)
        other.rates = np.asarray(rates, dtype=np.float64)[None, :]
        return other

    def front(self, rows: Sequence[FrontRow]) -> Numbers:
        """Numbers of brokers and topics."""
        sites = [self._site("kafka", row.machine) for row in rows]
        tables = [self._front_tables(row) for row in rows]
        shares = [self._front_shares(row) for row in rows]
        found = self._kept("front.", ("producers", "keyed"))
        names = ("knots", "batch_records", "wire_bytes", "delay")
        found |= {f"front.{n}": np.stack([t[k] for t in tables]) for k, n in enumerate(names)}
        names = ("batch_cpu", "byte_cpu", "bytes_in", "bytes_out")
        found |= {f"front.{n}": np.stack([s[:, k] for s in shares]) for k, n in enumerate(names)}
        found |= _of_sites("front.", sites)
        found["front.volume"] = np.array([_volume(row.machine, row.volume_throughput) for row in rows])
        found["front.rate"] = self.rates
        return found

    def spark(self, rows: Sequence[SparkRow]) -> Numbers:
        """Numbers of executors and queries."""
        sites = [self._site("spark", row.machine) for row in rows]
        varied = {"executors", "slots", "cores", "all_cores", "speed", "network", "partitions", "trigger",
                  "state_tasks", "on_host", "nodes_beside", "pauses"}  # fmt: skip
        found = self._kept("spark.", {n.split(".", 1)[1] for n in self.base if n.startswith("spark.")} - varied)
        found |= _of_sites("spark.", sites)
        found |= {
            "spark.executors": np.array([float(r.executors) for r in rows]),
            "spark.slots": np.array([float(r.slots) for r in rows]),
            "spark.partitions": np.array([r.partitions for r in rows], dtype=np.float64),
            "spark.trigger": np.array([r.triggers for r in rows], dtype=np.float64),
            "spark.state_tasks": np.array([r.shuffles for r in rows], dtype=np.float64),
            "spark.on_host": np.ones(1),
            "spark.nodes_beside": np.zeros(1),
            "spark.pauses": np.array([self.c["spark.pause_per_cpu_second"] * self.c["spark.pause_seconds"]]),
        }
        return found

    def search(self, rows: Sequence[SearchRow]) -> Numbers:
        """Numbers of data nodes and indices."""
        sites = [self._site("elasticsearch", row.machine) for row in rows]
        varied = {"nodes", "cores", "all_cores", "speed", "network", "bulk_wait", "half_trip", "threads", "limit",
                  "refresh_threads", "volume", "primaries", "copies", "on_host", "executors_beside", "brokers_beside",
                  "pauses"}  # fmt: skip
        found = self._kept("search.", {n.split(".", 1)[1] for n in self.base if n.startswith("search.")} - varied)
        found |= _of_sites("search.", sites)
        asked = np.array([self._searching(row) for row in rows])  # searches take cores from each node
        found["search.cores"] = np.maximum(0.02, found["search.cores"] - asked / found["search.speed"])
        found |= {
            "search.nodes": np.array([float(r.nodes) for r in rows]),
            "search.bulk_wait": np.array([self._bulk_waits(r) for r in rows]),
            "search.half_trip": np.array([[self._half_trip(r.nodes, r.zones)] * len(r.copies) for r in rows]),
            "search.threads": np.array([float(self._threads(s)) for s in sites]),
            "search.limit": np.array([pressure_limit_bytes(self._heap(s)) for s in sites]),
            "search.refresh_threads": np.array([float(max(1, min(10, self._threads(s) // 2))) for s in sites]),
            "search.volume": np.array([_volume(row.machine, row.volume_throughput) for row in rows]),
            "search.primaries": np.array([r.primaries for r in rows], dtype=np.float64),
            "search.copies": np.array([r.copies for r in rows], dtype=np.float64),
            "search.on_host": np.ones(1),
            "search.executors_beside": np.zeros(1),
            "search.brokers_beside": np.zeros(1),
            "search.pauses": np.array([self.c["search.pause_per_cpu_second"] * self.c["search.pause_seconds"]]),
        }
        return found

    # ------------------------------------------------------------ what settings change

    def _kept(self, prefix: str, names: Any) -> Numbers:
        return {f"{prefix}{name}": self.base[f"{prefix}{name}"] for name in names}

    def _site(self, part: str, name: str) -> Site:
        """The host of one process, its idle CPU and measured background taken off."""
        key = (part, name)
        if key not in self._sites:
            site = site_of_machine(part, name, 0, self.c)
            site.background = getattr(self.scenario, part).background
            idle = {"kafka": "kafka", "spark": "spark", "elasticsearch": "search"}[part]
            site.background_cores = self.c[f"{idle}.idle_cpu_cores"] / site.speed
            self._sites[key] = site
        return self._sites[key]

    def _variant(self, row: FrontRow, brokers: int) -> Scenario:
        kafka = self.scenario.kafka.model_copy(update={"brokers": brokers, "zones": row.zones, "machine": row.machine})
        flows = []
        for flow, parts, copies in zip(self.scenario.flows, row.partitions, row.copies, strict=True):
            topic = flow.topic.model_copy(update={"partitions": parts, "copies": copies})
            flows.append(flow.model_copy(update={"topic": topic}))
        return self.scenario.model_copy(update={"kafka": kafka, "flows": tuple(flows)})

    def _front_tables(self, row: FrontRow) -> Any:
        """Producer batches against a stream's rate; a broker's speed moves the delay by microseconds only."""
        key = (row.partitions, row.copies, row.zones)
        if key not in self._tables:
            variant = self._variant(row, max(row.zones, *row.copies))
            placement = place(variant, self.c)
            each = [front_table(flow, variant, placement, self.c, self.knots) for flow in variant.flows]
            self._tables[key] = [np.stack([table[k] for table in each]) for k in range(4)]
        return self._tables[key]

    def _front_shares(self, row: FrontRow) -> Array:
        key = (row.partitions, row.copies, row.brokers)
        if key not in self._shares:
            variant = self._variant(row, row.brokers)
            placement = place(variant, self.c)
            each = [busiest_broker(flow, variant, placement, self.c) for flow in variant.flows]
            self._shares[key] = np.array(each)
        return self._shares[key]  # type: ignore[no-any-return]

    def _threads(self, site: Site) -> int:
        return self.scenario.elasticsearch.write_threads or site.processors

    def _heap(self, site: Site) -> float:
        cluster = self.scenario.elasticsearch
        return cluster.heap or heap_bytes(site.memory_bytes, cluster.kind == "opensearch-service")

    def _searching(self, row: SearchRow) -> float:
        """CPU that searches take on each data node [reference cores]."""
        cost, total = self.c["search.query_cpu_seconds"], 0.0
        for flow, primaries in zip(self.scenario.flows, row.primaries, strict=True):
            total += flow.index.search.rate * primaries * cost * flow.index.search.cpu
        return total / row.nodes

    def _half_trip(self, nodes: int, zones: int) -> float:
        """Mean one-way time from an executor, all in the first zone, to a data node [s]."""
        near = -(-nodes // zones) / nodes
        local, far = (self.c[f"hosts.{n}_round_trip_seconds"] for n in ("local", "zone"))
        return (near * local + (1 - near) * far) / 2

    def _bulk_waits(self, row: SearchRow) -> list[float]:
        """Time of a bulk that is not CPU, one a flow [s]; as `simulator.elasticsearch.bulk_wait`."""
        between = _between(row.nodes, row.zones)
        local, far = (self.c[f"hosts.{n}_round_trip_seconds"] for n in ("local", "zone"))
        trip = (between[0] * local + between[1] * far) / 2
        waits = []
        for flow, copies in zip(self.scenario.flows, row.copies, strict=True):
            wait = self.c["search.bulk_wait_seconds"]
            if flow.index.translog == "async":
                wait *= self.c["search.async_translog_wait_ratio"]
            if row.nodes > 1:
                wait += (1 if copies == 1 else 2) * 2 * trip
            waits.append(wait)
        return waits


@lru_cache(maxsize=4096)
def _between(nodes: int, zones: int) -> tuple[float, float]:
    """Of all ordered pairs of nodes (a node with itself counted as no trip): shares within a zone and across.

    >>> [round(x, 3) for x in _between(3, 3)], [round(x, 3) for x in _between(4, 2)]
    ([0.0, 0.667], [0.25, 0.5])
    """
    sizes = [len(range(z, nodes, zones)) for z in range(zones)]
    same = sum(n * (n - 1) for n in sizes) / nodes**2
    return same, 1 - same - 1 / nodes


def _of_sites(prefix: str, sites: Sequence[Site]) -> Numbers:
    return {
        f"{prefix}cores": np.array([s.cores_left for s in sites]),
        f"{prefix}all_cores": np.array([s.cores for s in sites]),
        f"{prefix}speed": np.array([s.speed for s in sites]),
        f"{prefix}network": np.array([s.network_bytes_per_second for s in sites]),
    }


def _volume(name: str, throughput: float) -> float:
    return min(throughput, machine(name).ebs_baseline_bytes_per_second)


def joined(front: Numbers, spark: Numbers, search: Numbers, which: tuple[Array, Array, Array]) -> Numbers:
    """Numbers of stacks: for each the row of its brokers, of its executors and of its data nodes."""
    found: Numbers = {}
    for part, rows in zip((front, spark, search), which, strict=True):
        found |= {name: value if len(value) == 1 else value[rows] for name, value in part.items()}
    return found


def front_loads(front: Numbers, partitions: Array) -> dict[str, Array]:
    """Loads of brokers, their cards and volumes, one a row [1]: these hang on nothing but the front.

    `partitions` has one row a row of the front, one value a flow.
    """
    count, flows = partitions.shape
    cpu = into = out = volume = np.zeros(count)
    for f in range(flows):
        v = SimpleNamespace(spark_partitions=partitions[:, f])
        for name, value in front.items():
            row = value if value.ndim == 1 else value[:, f]
            setattr(v, name.replace(".", "_"), np.broadcast_to(row, (count, *row.shape[1:])))
        broker, wire = broker_cpu(v, v.front_rate)
        cpu = cpu + broker
        into = into + v.front_rate * wire * v.front_bytes_in
        out = out + v.front_rate * wire * v.front_bytes_out
        volume = volume + v.front_rate * wire * v.front_bytes_in
    background = 1 - front["front.cores"] / front["front.all_cores"]
    return {
        "broker CPU": background + cpu / front["front.speed"] / front["front.all_cores"],
        "kafka network in": into / front["front.network"],
        "kafka network out": out / front["front.network"],
        "kafka volume": volume / front["front.volume"],
    }
