"""Data nodes as the data plane sees them: where shards lie, what a document costs, how nodes refresh.

A bulk's shard operations on one node move together: one job on as many write threads as that node has
of the bulk's shards. A hot shard (custom routing) narrows that number, because one shard is one thread.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from models.coefficients import CoefficientSet
from models.elasticsearch import heap_bytes, place_shards, pressure_limit_bytes
from models.stack import Flow, Scenario
from simulator.hosts import Placement, mean_trip


@dataclass(frozen=True)
class Shards:
    """One flow's index on the nodes: shares of documents and the threads they can use.

    G groups of shards: those whose primaries share a node, one a node; or (`groups_of`) those whose copies all lie on
    the same nodes, so that a group moves as a whole when one is lost.
    """

    primary_share: np.ndarray  # [G]
    primary_threads: np.ndarray  # [G]
    primary_node: np.ndarray  # [G]
    replica_share: np.ndarray  # [G, N] of a group's documents
    replica_threads: np.ndarray  # [G, N]
    shards_on: np.ndarray  # [N]
    homes: tuple[tuple[int, ...], ...] = ()  # [G] nodes of each group's copies, primary first
    sizes: tuple[int, ...] = ()  # [G] shards of each group


def shard_weights(flow: Flow) -> np.ndarray:
    """Share of documents of each primary shard: the first takes `hottest_shard` times the mean, the rest are even."""
    n = flow.index.primaries
    weights = np.ones(n)
    if n > 1:
        weights[0] = flow.index.hottest_shard
        weights[1:] = (n - flow.index.hottest_shard) / (n - 1)
    return weights / weights.sum()


def shards_of(flow: Flow, nodes: int, first: int) -> Shards:
    """Place an index and sum its shards by node."""
    placed = [tuple(home) for home in place_shards(flow.index.primaries, flow.index.copies, nodes, first)]
    return _summed(flow, nodes, placed, np.arange(nodes, dtype=np.int64), [home[0] for home in placed])


def groups_of(flow: Flow, nodes: int, first: int) -> Shards:
    """Place an index and sum its shards by the nodes that their copies lie on, in the order of their primaries."""
    placed = [tuple(home) for home in place_shards(flow.index.primaries, flow.index.copies, nodes, first)]
    homes = tuple(dict.fromkeys(placed))
    number = {home: g for g, home in enumerate(homes)}
    group = [number[home] for home in placed]
    summed = _summed(flow, nodes, placed, np.array([home[0] for home in homes], dtype=np.int64), group)
    return replace(summed, homes=homes, sizes=tuple(group.count(g) for g in range(len(homes))))


def _summed(
    flow: Flow, nodes: int, placed: list[tuple[int, ...]], primary_node: np.ndarray, group: list[int]
) -> Shards:  # fmt: skip
    """Shards that lie at `placed`, summed by `group`: shares, and the threads that the busiest shard leaves."""
    groups = len(primary_node)
    primary, hot, count = np.zeros(groups), np.zeros(groups), np.zeros(nodes, dtype=np.int64)
    replica, replica_hot = np.zeros((groups, nodes)), np.zeros((groups, nodes))
    for weight, home, g in zip(shard_weights(flow), placed, group, strict=True):
        primary[g] += weight
        hot[g] = max(hot[g], weight)
        count[list(home)] += 1
        for node in home[1:]:
            replica[g, node] += weight
            replica_hot[g, node] = max(replica_hot[g, node], weight)
    return Shards(
        primary,
        _threads(primary, hot),
        primary_node,
        np.divide(replica, primary[:, None], out=np.zeros_like(replica), where=primary[:, None] > 0),
        _threads(replica, replica_hot),
        count,
    )


def padded(shards: list[Shards]) -> list[Shards]:
    """Flows' groups as tables of one length; a group that is only padding has no share."""
    most = max(len(s.primary_share) for s in shards)

    def longer(table: np.ndarray) -> np.ndarray:
        return np.pad(table, [(0, most - len(table)), *[(0, 0)] * (table.ndim - 1)])

    return [
        Shards(
            longer(s.primary_share), longer(s.primary_threads), longer(s.primary_node), longer(s.replica_share),
            longer(s.replica_threads), s.shards_on, s.homes, s.sizes,
        )
        for s in shards
    ]  # fmt: skip


def _threads(total: np.ndarray, hottest: np.ndarray) -> np.ndarray:
    """Threads that a share can use: all its documents over those of its busiest shard, whole."""
    ratio = np.divide(total, hottest, out=np.ones_like(total), where=hottest > 0)
    return np.maximum(1, np.floor(ratio + 1e-9)).astype(np.int64)


def document_cpu(flow: Flow, c: CoefficientSet) -> float:
    """CPU to index one document on its primary [reference s]."""
    index = flow.index
    per_byte = c["search.byte_cpu_seconds"] * (c["index.text_mapping_cpu_ratio"] if index.mapping == "text" else 1.0)
    cpu = c["search.document_cpu_seconds"] + flow.workload.json_bytes * per_byte
    cpu *= c["index.dynamic_mapping_cpu_ratio"] if index.mapping == "dynamic" else 1.0
    codec = {
        "default": 1.0,
        "best_compression": c["index.best_compression_cpu_ratio"],
        "zstd": c["index.zstd_cpu_ratio"],
    }
    return cpu * codec[index.codec] * index.cpu_ratio


def decryption_cpu(flow: Flow, scenario: Scenario, c: CoefficientSet) -> float:
    """CPU of TLS that a document costs the node it is sent to [reference s]; counted where its primary is."""
    return flow.workload.json_bytes * c["kafka.tls_byte_cpu_seconds"] if scenario.elasticsearch.encrypted else 0.0


def index_ratio(flow: Flow, c: CoefficientSet) -> float:
    """Index bytes of one copy over JSON bytes [1]."""
    index = flow.index
    codec = {"default": 1.0, "best_compression": c["index.best_compression_ratio"], "zstd": c["index.zstd_ratio"]}
    mapping = c["index.dynamic_mapping_ratio"] if index.mapping == "dynamic" else 1.0
    return c["index.bytes_per_json_byte"] * codec[index.codec] * mapping * index.bytes_ratio


def replica_cpu(flow: Flow, c: CoefficientSet) -> float:
    """CPU to index one document on a replica [reference s]."""
    segment = flow.index.replication == "segment"
    return document_cpu(flow, c) * c["search.segment_replica_cpu_ratio" if segment else "search.replica_cpu_ratio"]


def bulk_wait(flow: Flow, scenario: Scenario, placement: Placement, c: CoefficientSet) -> float:
    """Time of a bulk that is not CPU: translog, and the trips to primaries and replicas [s]."""
    wait = c["search.bulk_wait_seconds"]
    if flow.index.translog == "async":
        wait *= c["search.async_translog_wait_ratio"]
    if scenario.elasticsearch.data_nodes > 1:
        trips = 1 if flow.index.copies == 1 else 2
        wait += trips * 2 * mean_trip(placement, placement.nodes, placement.nodes, c)
    return wait


def share_sigma(flow: Flow, bulk_documents: float, c: CoefficientSet) -> float:
    """Log standard deviation of a node's share of a bulk, the scatter of document sizes in it included [1]."""
    return math.hypot(c["search.task_sigma"], flow.workload.size_cv / math.sqrt(max(1.0, bulk_documents)))


def node_numbers(scenario: Scenario, placement: Placement) -> dict[str, np.ndarray]:
    """Write threads, byte limit, refresh threads and merge rate of each data node."""
    search = scenario.elasticsearch
    threads, limits, refresh = [], [], []
    for k in placement.nodes:
        site = placement.sites[k]
        processors = search.write_threads or site.processors
        threads.append(processors)
        heap = search.heap or heap_bytes(site.memory_bytes, search.kind == "opensearch-service")
        limits.append(pressure_limit_bytes(heap))
        refresh.append(max(1, min(10, processors // 2)))
    return {
        "node_threads": np.array(threads, dtype=np.int64),
        "node_limit": np.array(limits),
        "refresh_threads": np.array(refresh, dtype=np.int64),
        "merge_rate": np.full(len(threads), search.volume.throughput),
    }


def search_cores(scenario: Scenario, c: CoefficientSet) -> float:
    """CPU that the search load takes on each data node, evenly spread [reference cores]."""
    total = 0.0
    for flow in scenario.flows:
        load = flow.index.search
        total += load.rate * flow.index.primaries * c["search.query_cpu_seconds"] * load.cpu
    return total / scenario.elasticsearch.data_nodes
