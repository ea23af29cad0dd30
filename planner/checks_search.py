"""Checks of indices and data nodes."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.elasticsearch import place_shards
from models.stack import Scenario
from models.units import GIB, MIB, show
from planner.findings import Finding
from planner.memory import memory

SMALL_HTTP_LIMIT = 10 * MIB  # http.max_content_length on t2, t3 and *.large of the service, elasticsearch.md B1
POINTERS_END = 31 * GIB  # compressed object pointers, elasticsearch.md B3


def bulk_too_large(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    cluster = scenario.elasticsearch
    size = cluster.machine.removesuffix(".search").rpartition(".")[2]
    small = cluster.kind == "opensearch-service" and size in ("small", "medium", "large")
    for k, flow in enumerate(scenario.flows):
        bulk = min(flow.query.sink.bulk_bytes, flow.query.sink.bulk_entries * flow.workload.json_bytes)
        if small and bulk > SMALL_HTTP_LIMIT:
            yield Finding(
                "bulk-refused", "critical", f"flows[{k}].query.sink.bulk_bytes",
                "every full bulk is refused (HTTP 413)",
                f"{show(bulk, 'bytes')} a bulk; {cluster.machine} takes {show(SMALL_HTTP_LIMIT, 'bytes')}",
                "bulk_bytes: 5 MiB, or a machine of xlarge and up", "elasticsearch.md B1",
            )  # fmt: skip


def index_copies(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    cluster = scenario.elasticsearch
    for k, flow in enumerate(scenario.flows):
        index, at = flow.index, f"flows[{k}].index"
        if index.copies == 1:
            yield Finding(
                "index-one-copy", "critical", f"{at}.copies", "one data node lost is part of the index lost",
                "copies = 1: no replica", "copies: 2; each costs its disk and about a third of the indexing throughput",
                "elasticsearch.md A3, E",
            )  # fmt: skip
        elif index.copies > cluster.data_nodes:
            yield Finding(
                "index-unassigned", "warning", f"{at}.copies", "some copies are never placed: the cluster stays yellow",
                f"{index.copies} copies on {cluster.data_nodes} data nodes",
                f"copies: {cluster.data_nodes} or more nodes",
                "elasticsearch.md B3: copies of one shard lie on distinct nodes",
            )  # fmt: skip
        counts = [0] * cluster.data_nodes
        for on in place_shards(index.primaries, index.copies, cluster.data_nodes):
            for node in on:
                counts[node] += 1
        if max(counts) > min(counts) and max(counts) < 8:
            mean = sum(counts) / len(counts)
            yield Finding(
                "index-uneven", "warning", f"{at}.primaries", "data nodes carry unequal shares of the index",
                f"{max(counts)} shard copies on the fullest node, {min(counts)} on the emptiest, mean {mean:.2g}",
                f"primaries: a multiple of {cluster.data_nodes}", "elasticsearch.md A14",
            )  # fmt: skip
        if index.translog == "async":
            yield Finding(
                "translog-async", "warning", f"{at}.translog", "a crash loses up to 5 s of acknowledged documents",
                "translog = async: fsync every 5 s", "translog: request", "elasticsearch.md B2",
            )  # fmt: skip


def heap_of_data_nodes(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    cluster = scenario.elasticsearch
    ledger = next(entry for entry in memory(scenario, _) if entry.process == "data node")
    if cluster.heap is not None and cluster.kind == "opensearch-service":
        yield Finding(
            "heap-not-yours", "warning", "elasticsearch.heap", "the service sets the heap itself",
            f"heap = {show(cluster.heap, 'bytes')}; the service takes half the memory, at most 32 GiB",
            "leave heap out", "elasticsearch.md B3",
        )  # fmt: skip
    elif cluster.heap is not None and cluster.heap > POINTERS_END:
        yield Finding(
            "heap-pointers", "warning", "elasticsearch.heap",
            "a heap past compressed pointers holds less than one below",
            f"heap = {show(cluster.heap, 'bytes')}; pointers double beyond about 31 GiB", "heap: 30 GiB",
            "elasticsearch.md B3",
        )  # fmt: skip
    if ledger.host_bytes is not None and ledger.heap_bytes > 0.5 * ledger.host_bytes + 1:
        yield Finding(
            "heap-half", "warning", "elasticsearch.heap", "too little is left for the page cache",
            f"{show(ledger.heap_bytes, 'bytes')} of {show(ledger.host_bytes, 'bytes')}", "half the memory or less",
            "elasticsearch.md B3",
        )  # fmt: skip


def managers(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    count = scenario.elasticsearch.managers
    if count > 2 and count % 2 == 0:
        yield Finding(
            "managers-even", "warning", "elasticsearch.managers",
            "an even number survives no more losses than one less",
            f"{count} managers have a quorum of {count // 2 + 1}", "managers: 3", "elasticsearch.md A14",
        )  # fmt: skip
    if count == 0 and scenario.elasticsearch.data_nodes > 1:
        yield Finding(
            "managers-none", "info", "elasticsearch.managers", "data nodes also run the cluster",
            "managers = 0: a data node that struggles takes cluster state with it", "managers: 3",
            "elasticsearch.md A14: AWS says always 3",
        )  # fmt: skip


def hot_set(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    ledger = next(entry for entry in memory(scenario, coefficients) if entry.process == "data node")
    if ledger.page_cache_bytes is not None and (ledger.hot_bytes or 0.0) > ledger.page_cache_bytes:
        yield Finding(
            "hot-set", "warning", "elasticsearch.machine", "searches read from disk what they want in memory",
            f"{show(ledger.hot_bytes or 0.0, 'bytes')} are searched often on the fullest node; its page cache has "
            f"{show(ledger.page_cache_bytes, 'bytes')}", "more memory, shorter retention, or a warm tier",
            "elasticsearch.md A12, E",
        )  # fmt: skip
