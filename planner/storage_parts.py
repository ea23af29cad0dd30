"""What is stored, part by part: by system, tier and copy, with each part's formula and source.

The tiers: `disk` is the nodes' own volume, `store` is where checkpoints go, `bucket` holds snapshots, `local` is an
executor's own disk. Bytes are those at full retention; what lies there for a while only is marked `at most`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from models.coefficients import CoefficientSet
from models.spark import live_keys
from models.stack import Flow, Scenario
from models.storage import index_life_seconds
from models.units import show
from planner.memory_parts import rate_of_state
from planner.storage import (
    document_bytes,
    kept_index,
    seconds_of_rate,
    stored_event_bytes,
    transient_bytes,
    unexpired_bytes,
    write_shards,
)
from planner.usage import flowing, month_of
from planner.usage_parts import checkpoint_bytes, primary_bytes, snapshots_of

Tier = Literal["disk", "store", "bucket", "local"]
INDEX_FILES = 0.005  # of the log, kafka.md A1
ROCKSDB_DISK = 201 / 213  # bytes on disk over two versions' bytes of a key: a million keys, spark.md A4


@dataclass(frozen=True)
class Stored:
    """One part: all copies over all nodes, and one copy [bytes]."""

    system: str
    what: str
    tier: Tier
    copies: int
    bytes: float
    formula: str
    source: str

    @property
    def one_copy_bytes(self) -> float:
        return self.bytes / self.copies

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"one_copy_bytes": self.one_copy_bytes}


def stored(scenario: Scenario, coefficients: CoefficientSet) -> list[Stored]:
    """Every part of every flow, the largest tiers' first."""
    found = [part for flow in scenario.flows for part in (*_log(flow), *_index(scenario, flow, coefficients))]
    found += _beside(scenario, coefficients)
    found += [part for flow in scenario.flows for part in _state(scenario, flow)]
    return found + list(_snapshot(scenario, coefficients))


def _log(flow: Flow) -> Iterator[Stored]:
    topic, one = flow.topic, stored_event_bytes(flow)
    kept = seconds_of_rate(flow, topic.retention, topic.retention)
    log = flow.workload.events_per_second * one * kept
    extra = min(unexpired_bytes(flow), log * (1 + INDEX_FILES))
    rows = (
        ("records", log, f"rate × {one:.0f} B × {show(topic.retention, 's')}", "kafka.md A1, A5"),
        ("offset and time indexes", log * INDEX_FILES, "0.5 % of the log", "kafka.md A1"),
        ("unexpired segments", extra, f"{topic.partitions} partitions × up to 1 GiB or 7 d", "kafka.md B2"),
    )
    for what, size, formula, source in rows:
        told = formula + (f", {topic.copies} copies" if topic.copies > 1 else "")
        yield Stored("kafka", f"{flow.name}: {what}", "disk", topic.copies, size * topic.copies, told, source)


def _index(scenario: Scenario, flow: Flow, c: CoefficientSet) -> Iterator[Stored]:
    if flow.query.sink.kind == "noop":
        return
    index, life = flow.index, index_life_seconds(flow.index.retention, flow.index.rollover)
    one = kept_index(flow, c, life)
    placed = min(index.copies, scenario.elasticsearch.data_nodes)
    over = show(life, "s") + (" (retention + rollover)" if index.rollover else "")
    told = f"documents × {document_bytes(flow, c):.0f} B × {over}"
    yield Stored("elasticsearch", f"{flow.name}: primaries", "disk", 1, one, told, "elasticsearch.md A10, D3")
    if placed > 1:
        yield Stored(
            "elasticsearch",
            f"{flow.name}: replicas",
            "disk",
            placed - 1,
            one * (placed - 1),
            f"{placed - 1} more of each primary",
            "elasticsearch.md B3",
        )


def _beside(scenario: Scenario, c: CoefficientSet) -> Iterator[Stored]:
    nodes = scenario.elasticsearch.data_nodes
    life = max(index_life_seconds(f.index.retention, f.index.rollover) for f in scenario.flows)
    written = [write_shards(flow, nodes) for flow in scenario.flows]
    size = sum(transient_bytes(scenario, c, life, written))
    if size > 0:
        yield Stored(
            "elasticsearch",
            "merges in flight and translogs, at most",
            "disk",
            1,
            size,
            "written shards × min(5 GiB × threads, half the index) + flush threshold",
            "elasticsearch.md B2",
        )


def _state(scenario: Scenario, flow: Flow) -> Iterator[Stored]:
    state = flow.query.state
    if state is None:
        return
    live = state.model_copy(update={"keys": live_keys(state, rate_of_state(flow, 1.0))})
    yield Stored(
        "spark",
        f"{flow.name}: state in the checkpoint",
        "store",
        1,
        checkpoint_bytes(live),
        "a snapshot every 10 of the last 100 versions" if state.provider == "hdfs-backed" else "one version",
        "spark.md A5, B2",
    )
    if state.provider != "hdfs-backed":
        yield Stored(
            "spark",
            f"{flow.name}: RocksDB tables",
            "local",
            1,
            live.keys * state.bytes_per_key * ROCKSDB_DISK,
            "keys × bytes_per_key × 0.94, over the executors' own disks",
            "spark.md A4: 201 MB of a million keys",
        )


def _snapshot(scenario: Scenario, c: CoefficientSet) -> Iterator[Stored]:
    flows, month = flowing(scenario), month_of(scenario.money)
    primary = [primary_bytes(f, c) for f in flows]
    size, _ = snapshots_of(scenario, flows, primary, c, month)
    if size > 0:
        yield Stored(
            "elasticsearch",
            "snapshots",
            "bucket",
            1,
            size,
            "one copy of each index, and the segments that merges unmade while a snapshot holds them",
            "elasticsearch.md B6",
        )
    elif scenario.elasticsearch.kind == "opensearch-service" and sum(primary) > 0:
        yield Stored(
            "elasticsearch",
            "automated snapshots (free)",
            "bucket",
            1,
            sum(primary),
            "hourly, kept 14 days, by the service; its growth by merged segments is not billed and not counted",
            "elasticsearch.md B6",
        )
