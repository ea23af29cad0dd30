"""The numbers that level 0 needs of a scenario: every cost of the simulator, as arrays over candidates.

`numbers_of` reads them from the same tables the data plane is laid out from; a number has one row for a
scenario, [1] for a cluster's, [1, flows] for a flow's, [1, flows, knots] for what depends on the rate.
`varied` makes many rows: each candidate changes a few fields, and each part of the stack (brokers,
executors with the query, data nodes with the index) is worked out once for every distinct setting of the
fields it depends on, then looked up. Plain numbers (rate, trigger, executors, nodes, partitions, shards,
speeds) may also simply be replaced by arrays.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.elasticsearch import Index
from models.kafka import broker_network, leaders_of
from models.machines import machine
from models.spark import AVAILABLE_NOW
from models.stack import Flow, Scenario
from models.workload import Workload
from simulator.elasticsearch import index_ratio, shards_of
from simulator.hosts import Placement, place
from simulator.kafka import Front, broker_cpu, front_of
from simulator.layout import layout_tables, spend_background
from simulator.spark import costs_of, split

Array = np.ndarray[Any, np.dtype[Any]]
Numbers = dict[str, Array]
KNOTS = np.geomspace(2.0**-10, 2.0**10, 41)  # factors on the rate at which the brokers' front is tabulated
NEARBY = np.geomspace(2.0**-3, 2.0**4, 8)  # the same where many worlds are asked one question each
MANY = 1e9  # records that stand for "in proportion"

# which fields each part of the numbers depends on; a path is a field of the scenario, `workload`, `topic`, `query`
# and `index` stand for those of every flow
PARTS: dict[str, tuple[str, ...]] = {
    "front": ("kafka", "topic", "workload"),
    "spark": ("spark", "query", "workload", "topic.partitions", "kafka.tls", "elasticsearch.tls", "elasticsearch.kind"),
    "search": ("elasticsearch", "index", "workload", "query.sink"),
}


def numbers_of(scenario: Scenario, coefficients: CoefficientSet, knots: Array = KNOTS) -> Numbers:
    """All numbers of one scenario, one row each; the front is tabulated at `knots` times the rate.

    Raises ValueError for what cannot be placed.
    """
    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        raise ValueError("query.trigger = 'available now' has no steady batches to screen; simulate it")
    placement = place(scenario, coefficients)
    fronts = [
        front_of(f, scenario.kafka, f.workload.events_per_second, placement, coefficients) for f in scenario.flows
    ]
    corners = [(np.zeros(1), np.array([f.workload.events_per_second])) for f in scenario.flows]
    spend_background(scenario, coefficients, placement, fronts, corners, False)
    base = np.cumsum([0] + [flow.topic.partitions for flow in scenario.flows]).astype(np.int64)
    tables = layout_tables(scenario, coefficients, placement, fronts, corners, base, False)
    found = _front_numbers(scenario, coefficients, placement, knots)
    found |= _spark_numbers(scenario, coefficients, placement, tables)
    found |= _search_numbers(scenario, coefficients, placement, tables)
    return {name: np.asarray(value, dtype=np.float64)[None, ...] for name, value in found.items()}


def _part_of(name: str) -> str:
    return name.split(".", 1)[0]


# ---------------------------------------------------------------- the front: producers and brokers


def _front_numbers(scenario: Scenario, c: CoefficientSet, placement: Placement, knots: Array) -> dict[str, Any]:
    """Producer batches, brokers' CPU, cards and volumes. Tables run over the rate of one stream."""
    kafka, flows = scenario.kafka, scenario.flows
    tables = [front_table(flow, scenario, placement, c, knots) for flow in flows]
    units = [busiest_broker(flow, scenario, placement, c) for flow in flows]
    sites = [placement.sites[k] for k in placement.brokers]
    volume = kafka.volume.throughput
    if not kafka.hosts:
        volume = min(volume, machine(kafka.machine).ebs_baseline_bytes_per_second)
    return {
        "front.rate": [flow.workload.events_per_second for flow in flows],
        "front.producers": [flow.topic.producer.count for flow in flows],
        "front.keyed": [float(flow.topic.producer.partitioner == "keyed") for flow in flows],
        "front.knots": [table[0] for table in tables],
        "front.batch_records": [table[1] for table in tables],
        "front.wire_bytes": [table[2] for table in tables],
        "front.delay": [table[3] for table in tables],
        "front.batch_cpu": [unit[0] for unit in units],
        "front.byte_cpu": [unit[1] for unit in units],
        "front.bytes_in": [unit[2] for unit in units],
        "front.bytes_out": [unit[3] for unit in units],
        "front.cores": min(s.cores_left for s in sites),
        "front.all_cores": min(s.cores for s in sites),
        "front.speed": min(s.speed for s in sites),
        "front.network": min(s.network_bytes_per_second for s in sites),
        "front.volume": volume,
    }


def front_table(
    flow: Flow, scenario: Scenario, placement: Placement, c: CoefficientSet, knots: Array = KNOTS
) -> tuple[Array, ...]:
    """Rate of a stream, records of a batch, wire bytes of a record, delay to the high watermark: at the knots."""
    rate = flow.workload.events_per_second
    fronts = [front_of(flow, scenario.kafka, rate * x, placement, c) for x in knots]
    return (
        rate * knots / fronts[0].streams,
        np.array([f.batch_records for f in fronts]),
        np.array([f.wire_bytes for f in fronts]),
        np.array([f.delay for f in fronts]),
    )


def busiest_broker(flow: Flow, scenario: Scenario, placement: Placement, c: CoefficientSet) -> tuple[float, ...]:
    """CPU of the busiest broker for a batch and for a byte produced, and the bytes in and out of its card a byte."""
    front = front_of(flow, scenario.kafka, flow.workload.events_per_second, placement, c)
    only_batches: Front = replace(front, batch_records=1.0, wire_bytes=0.0)
    only_bytes: Front = replace(front, batch_records=math.inf, wire_bytes=1.0)
    a_batch = max(broker_cpu(flow, only_batches, scenario.kafka, 1.0))
    a_byte = max(broker_cpu(flow, only_bytes, scenario.kafka, 1.0))
    topic, brokers = flow.topic, scenario.kafka.brokers
    even_in, even_out = broker_network(1.0, topic.copies, 1.0 + topic.consumer_groups, brokers)
    lead, hold = broker_shares(topic.partitions, topic.copies, brokers, flow.workload.partition_skew)
    return a_batch, a_byte, even_in * hold * brokers, even_out * lead * brokers


@lru_cache(maxsize=4096)
def broker_shares(partitions: int, copies: int, brokers: int, skew: float) -> tuple[float, float]:
    """Share of a topic's bytes that its busiest broker leads, and of all its copies that one holds [1]."""
    lead, hold = np.zeros(brokers), np.zeros(brokers)
    for share, placed in zip(shares_of(partitions, skew), leaders_of(partitions, copies, brokers), strict=True):
        lead[placed[0]] += share
        hold[placed] += share / copies
    return float(lead.max()), float(hold.max())


@lru_cache(maxsize=4096)
def shares_of(partitions: int, skew: float) -> tuple[float, ...]:
    """Shares of the partitions, as the workload gives them."""
    return tuple(Workload(rate=1, size=1, partition_skew=skew).partition_shares(partitions))


# ---------------------------------------------------------------- driver, executors, query


def _spark_numbers(scenario: Scenario, c: CoefficientSet, placement: Placement, tables: dict) -> dict[str, Any]:
    spark, flows = scenario.spark, scenario.flows
    costs = [costs_of(flow, scenario, c) for flow in flows]
    hosts, driver = placement.executors, placement.sites[placement.driver]
    cost = {
        f"spark.{name}": [float(getattr(x, name)) for x in costs]
        for name in ("setup", "document", "bulk", "weight", "driver", "launch", "commit", "commit_sigma")
    }
    state = [flow.query.state for flow in flows]
    queries = [flow.query for flow in flows]
    return cost | {
        "spark.executors": spark.executors,
        "spark.slots": spark.cores,
        "spark.cores": min(placement.sites[h].cores_left for h in hosts),
        "spark.all_cores": min(placement.sites[h].cores for h in hosts),
        "spark.speed": min(placement.sites[h].speed for h in hosts),
        "spark.network": min(placement.sites[h].network_bytes_per_second for h in hosts),
        "spark.on_host": _crowd(hosts, hosts),
        "spark.nodes_beside": _crowd(hosts, placement.nodes),
        "spark.pauses": float(tables["pause_rate"][hosts[0]] * tables["pause_mean"][hosts[0]]),
        "spark.driver_speed": driver.speed,
        "spark.partitions": [flow.topic.partitions for flow in flows],
        "spark.skew": [flow.workload.partition_skew for flow in flows],
        "spark.min_partitions": [q.min_partitions or 0 for q in queries],
        "spark.trigger": [max(0.0, q.trigger) for q in queries],
        "spark.most": [q.max_offsets_per_trigger or math.inf for q in queries],
        "spark.value_bytes": [flow.workload.value_bytes for flow in flows],
        "spark.documents": [flow.workload.documents_per_event for flow in flows],
        "spark.bulk_most": [x.bulk_documents for x in costs],
        "spark.writes": [float(x.has_bulks) for x in costs],
        "spark.writers": [q.sink.writers_per_task for q in queries],
        "spark.state_tasks": [s.shuffle_partitions if s else 0 for s in state],
        "spark.state_setup": [x.state_setup for x in costs],
        "spark.state_row": [x.state_row for x in costs],
        "spark.task_sigma": c["spark.task_sigma"],
        "spark.batch_sigma": math.hypot(c["spark.batch_sigma"], c["spark.run_sigma"]),
    }


def _crowd(here: Sequence[int], others: Sequence[int]) -> float:
    """Processes of a kind on the host of one of another kind, on average [count]."""
    return sum(list(others).count(h) for h in here) / len(here)


@lru_cache(maxsize=65536)
def read_tasks(partitions: int, skew: float, least: int) -> tuple[float, float, float]:
    """Read tasks of a large batch: how many, the largest over the mean, and what a record sees: the mean by records."""
    sizes = np.array(shares_of(partitions, skew)) * MANY
    tasks = split(np.zeros(partitions), sizes, least or None)
    records = np.array([b - a for _, a, b in tasks])
    mean = float(records.mean())
    return float(len(tasks)), float(records.max()) / mean, float((records**2).sum() / records.sum()) / mean


# ---------------------------------------------------------------- data nodes and index


def _search_numbers(scenario: Scenario, c: CoefficientSet, placement: Placement, tables: dict) -> dict[str, Any]:
    search, flows = scenario.elasticsearch, scenario.flows
    hosts = placement.nodes
    volume = search.volume.throughput
    if not search.hosts:
        volume = min(volume, machine(search.machine).ebs_baseline_bytes_per_second)
    per_flow = (
        "document_cpu", "replica_cpu", "replica_fresh", "bulk_cpu", "bulk_wait", "share_sigma", "document_bytes",
        "half_trip", "refresh_interval", "refresh_cpu", "refresh_document_cpu", "merge_document_cpu",
        "refresh_per_write", "refresh_fixed_rate",
    )  # fmt: skip
    stored = [index_ratio(flow, c) * flow.workload.json_bytes * (1 + c["search.merge_amplification"]) for flow in flows]
    return {f"search.{name}": tables[name] for name in per_flow} | {
        "search.nodes": search.data_nodes,
        "search.cores": min(placement.sites[h].cores_left for h in hosts),
        "search.all_cores": min(placement.sites[h].cores for h in hosts),
        "search.speed": min(placement.sites[h].speed for h in hosts),
        "search.network": min(placement.sites[h].network_bytes_per_second for h in hosts),
        "search.on_host": _crowd(hosts, hosts),
        "search.executors_beside": _crowd(hosts, placement.executors),
        "search.brokers_beside": _crowd(hosts, placement.brokers),
        "search.pauses": float(tables["pause_rate"][hosts[0]] * tables["pause_mean"][hosts[0]]),
        "search.threads": float(tables["node_threads"].min()),
        "search.limit": float(tables["node_limit"].min()),
        "search.refresh_threads": float(tables["refresh_threads"].min()),
        "search.volume": volume,
        "search.primaries": [flow.index.primaries for flow in flows],
        "search.copies": [flow.index.copies for flow in flows],
        "search.hottest": [flow.index.hottest_shard for flow in flows],
        "search.stored_bytes": [json + s for json, s in zip(tables["document_bytes"], stored, strict=True)],
    }


@lru_cache(maxsize=65536)
def shard_numbers(primaries: int, copies: int, nodes: int, hottest: float, first: int) -> tuple[float, ...]:
    """An index on its nodes: how many have a primary; of the slowest primary operation its share of a bulk for one
    thread, its threads, and its node's shares of all primary and replica documents; the same four of the slowest
    replica operation; most shards on a node.
    """
    index = Index(primaries=primaries, copies=copies, hottest_shard=hottest)
    placed = shards_of(SimpleNamespace(index=index), nodes, first)  # type: ignore[arg-type]
    primary = placed.primary_share
    operations = primary[:, None] * placed.replica_share
    copied = operations.sum(axis=0)
    lead = int(np.lexsort((-copied, -primary / placed.primary_threads))[0])
    source, follow = np.unravel_index(int(np.argmax(operations / placed.replica_threads)), operations.shape)
    return (
        float((primary > 0).sum()),
        float(primary[lead] / placed.primary_threads[lead]),
        float(placed.primary_threads[lead]),
        float(primary[lead]),
        float(copied[lead]),
        float(operations[source, follow] / placed.replica_threads[source, follow]),
        float(placed.replica_threads[source, follow]),
        float(primary[follow]),
        float(copied[follow]),
        float(placed.shards_on.max()),
    )


# ---------------------------------------------------------------- many candidates


def varied(scenario: Scenario, coefficients: CoefficientSet, changes: Mapping[str, Sequence[Any]]) -> Numbers:
    """Numbers of many candidates: `changes` gives for each field path one value a candidate.

    Paths: `kafka.…`, `spark.…`, `elasticsearch.…`; `workload.…`, `topic.…`, `query.…`, `index.…` of every flow.
    A candidate that cannot be placed raises ValueError; leave it out before.
    """
    sizes = {len(values) for values in changes.values()}
    if len(sizes) != 1:
        raise ValueError(f"changes need one value a candidate for each field; got lengths {sorted(sizes)}")
    found: Numbers = {}
    for part, prefixes in PARTS.items():
        paths = [p for p in changes if scenario.hosts or any(p == x or p.startswith(x + ".") for x in prefixes)]
        keys = list(zip(*(changes[p] for p in paths), strict=True)) if paths else [()] * sizes.copy().pop()
        order = {key: k for k, key in enumerate(dict.fromkeys(keys))}
        rows = [numbers_of(changed(scenario, dict(zip(paths, key, strict=True))), coefficients) for key in order]
        pick = np.array([order[key] for key in keys])
        for name in rows[0]:
            if _part_of(name) == part:
                found[name] = np.concatenate([row[name] for row in rows])[pick if len(order) > 1 else [0]]
    return found


def changed(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """The scenario with fields replaced, validated again; flow fields are set in every flow."""
    data = scenario.model_dump()
    for path, value in values.items():
        head, *rest = path.split(".")
        roots = (
            [flow[head] for flow in data["flows"]] if head in ("workload", "topic", "query", "index") else [data[head]]
        )
        for root in roots:
            for name in rest[:-1]:
                root = root[name]
            if rest[-1] not in root:
                raise ValueError(f"{path} is no field of a scenario")
            root[rest[-1]] = value
    return Scenario.model_validate(data)
