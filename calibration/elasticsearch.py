"""Elasticsearch and OpenSearch through `_nodes/stats`, `_stats` and bulk clients.

All counters run since the node started, and `index_total` counts replica operations too. Index,
refresh and merge times are wall time of their threads, not CPU: on a full core they hold their waits.
A merge is counted when it ends. Store sizes are cached for some ten seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.observations import Counter, ObservationError, counter, json_lines, read_json
from models.units import MILLISECOND

COUNTERS: dict[str, tuple[tuple[str, ...], float]] = {
    # name: (path under the node, unit in ours)
    "cpu_seconds": (("process", "cpu", "total_in_millis"), MILLISECOND),
    "documents": (("indices", "indexing", "index_total"), 1.0),
    "index_seconds": (("indices", "indexing", "index_time_in_millis"), MILLISECOND),
    "bulks": (("thread_pool", "write", "completed"), 1.0),
    "refreshes": (("indices", "refresh", "total"), 1.0),
    "refresh_seconds": (("indices", "refresh", "total_time_in_millis"), MILLISECOND),
    "merges": (("indices", "merges", "total"), 1.0),
    "merge_seconds": (("indices", "merges", "total_time_in_millis"), MILLISECOND),
    "merge_throttled_seconds": (("indices", "merges", "total_throttled_time_in_millis"), MILLISECOND),
    "merge_bytes": (("indices", "merges", "total_size_in_bytes"), 1.0),
    "queries": (("indices", "search", "query_total"), 1.0),
    "query_seconds": (("indices", "search", "query_time_in_millis"), MILLISECOND),
}


@dataclass(frozen=True)
class Node:
    """One data node's counters over the samples."""

    name: str
    counters: Mapping[str, Counter]


@dataclass(frozen=True)
class IndexEnd:
    """An index after the last flush: documents, bytes of its primaries, bytes merged so far, refreshes."""

    documents: int
    bytes: float
    merged_bytes: float
    merges: int
    refreshes: int


@dataclass(frozen=True)
class BulkResult:
    """What closed-loop bulk clients saw: from when measured [epoch s], documents, latency [s]."""

    start: float
    seconds: float
    documents: int
    rejected: int
    request_bytes_per_document: float
    mean_seconds: float
    p50_seconds: float
    p90_seconds: float
    p99_seconds: float
    took_seconds: float

    @property
    def end(self) -> float:
        return self.start + self.seconds


def dig(body: Mapping[str, Any], path: tuple[str, ...]) -> float:
    """The number at that path; names the path where a field is missing or null."""
    value: Any = body
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    if not isinstance(value, int | float):
        raise ObservationError(f"_nodes/stats states no {'.'.join(path)}")
    return float(value)


def _collections(node: Mapping[str, Any], field: str) -> float:
    """Young and old collections, which stop the node; G1's concurrent cycles do not."""
    kinds = node["jvm"]["gc"]["collectors"]
    return float(sum(kind[field] for name, kind in kinds.items() if "Concurrent" not in name))


def read_node(path: Path) -> Node:
    """The counters of a one-node cluster from `{"t", "body": _nodes/stats}` lines."""
    t: list[float] = []
    rows: list[dict[str, float]] = []
    name = ""
    for line in json_lines(path):
        nodes = list(line["body"]["nodes"].values())
        if len(nodes) != 1:
            raise ObservationError(f"{path.name}: {len(nodes)} nodes in one answer; this reader takes one")
        node = nodes[0]
        row = {key: dig(node, where) * unit for key, (where, unit) in COUNTERS.items()}
        row["pauses"] = _collections(node, "collection_count")
        row["pause_seconds"] = _collections(node, "collection_time_in_millis") * MILLISECOND
        t.append(line["t"])
        rows.append(row)
        name = node["name"]
    if len(t) < 2:
        raise ObservationError(f"{path.name}: {len(t)} samples; two or more are needed to read a counter")
    return Node(name, {key: counter(f"node {name} {key}", t, [row[key] for row in rows]) for key in rows[0]})


def read_index_end(path: Path) -> IndexEnd:
    """The primaries' part of a last `_stats`."""
    return index_end_of(read_json(path))


def index_end_of(document: Mapping[str, Any]) -> IndexEnd:
    """The same from the document."""
    body = document["primaries"]
    return IndexEnd(
        documents=int(body["docs"]["count"]),
        bytes=float(body["store"]["size_in_bytes"]),
        merged_bytes=float(body["merges"]["total_size_in_bytes"]),
        merges=int(body["merges"]["total"]),
        refreshes=int(body["refresh"]["total"]),
    )


def read_bulk(path: Path) -> BulkResult:
    """The closed-loop result of bulk clients."""
    return bulk_of(read_json(path))


def bulk_of(body: Mapping[str, Any]) -> BulkResult:
    """The same from the document."""
    times = body["bulk_s"]
    return BulkResult(
        start=body["t_measured_from"],
        seconds=body["seconds"],
        documents=body["docs"],
        rejected=body["rejected"],
        request_bytes_per_document=body["bytes_per_doc_request"],
        mean_seconds=times["mean"],
        p50_seconds=times["p50"],
        p90_seconds=times["p90"],
        p99_seconds=times["p99"],
        took_seconds=body["took_mean"],
    )
