"""Elasticsearch and OpenSearch: data nodes, an index, its shards and their copies.

A bulk reaches a node, which splits it by shard; each primary indexes its share and hands it to its
replicas; the answer comes when every copy in sync has it. A document can be found after the next
refresh of its shard. Elasticsearch counts replicas beside the primary; here `copies` counts them all.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from models.hosts import Drive, Volume
from models.noun import Noun
from models.units import DAY, GIB, MIB, Bytes, Fraction, PerSecond, Ratio, Seconds, Whole, field

WRITE_QUEUE = 10_000  # write pool queue, ES 7.9+ and OpenSearch (elasticsearch.md B1)
PRESSURE_SHARE = 0.10  # indexing pressure: share of heap that coordinating + primary + replica bytes may take
MIN_HEAP = 256 * MIB


class Search(Noun):
    """The search load on one index."""

    rate: PerSecond = field(0.0, unit="1/s", meaning="searches a second", ge=0, le=1e7)
    cpu: Ratio = field(
        1.0, unit="1", meaning="CPU of one of yours on one shard over the coefficient set's", gt=0, le=10_000
    )
    hot: Fraction = field(0.2, unit="1", meaning="share of the index that searches keep in the page cache", ge=0, le=1)


class Index(Noun):
    """One index, or the write index of one data stream."""

    not_modelled: ClassVar[dict[str, str]] = {
        "ingest_pipeline": "its CPU is not told apart; measure it into index.cpu_ratio",
    }

    primaries: Whole = field(
        1,
        unit="count",
        meaning="primary shards",
        foreign="index.number_of_shards",
        ge=1,
        le=1024,
        by_version={"Elasticsearch 7+": "1", "OpenSearch": "1", "OpenSearch Service": "5 (2023 guide)"},
        source="elasticsearch.md B3",
    )
    copies: Whole = field(
        2,
        unit="count",
        meaning="copies of each shard, the primary counted (number_of_replicas + 1)",
        ge=1,
        le=11,
        by_version={"Elasticsearch": "2 (one replica)", "OpenSearch": "2 (one replica)"},
        source="elasticsearch.md B3",
    )
    replication: Literal["document", "segment"] = field(
        "document",
        unit="",
        meaning="replicas index again, or copy segments",
        foreign="index.replication.type",
        source="elasticsearch.md A3, A4",
    )
    refresh_interval: Seconds = field(
        1.0,
        unit="s",
        meaning="wait from one refresh to the next",
        foreign="index.refresh_interval",
        ge=0.01,
        le=86400,
        source="elasticsearch.md B2",
    )
    refresh_schedule: Literal["fixed-delay", "fixed-rate"] = field(
        "fixed-delay",
        unit="",
        meaning="whether the interval counts from the end of a refresh or from its start",
        foreign="cluster.index.refresh.fixed_interval_scheduling.enabled",
        source="fixed delay is both engines' rule; OpenSearch can schedule at a fixed interval (remembered)",
    )
    translog: Literal["request", "async"] = field(
        "request",
        unit="",
        meaning="fsync before each answer, or every 5 s",
        foreign="index.translog.durability",
        source="elasticsearch.md B2",
    )
    codec: Literal["default", "best_compression", "zstd"] = field(
        "default", unit="", meaning="stored fields' codec", foreign="index.codec", source="elasticsearch.md B6"
    )
    mapping: Literal["explicit", "dynamic", "text"] = field(
        "explicit",
        unit="",
        meaning="cost class: keywords and numbers, text+keyword on every string, or prose",
        source="elasticsearch.md D3",
    )
    cpu_ratio: Ratio = field(
        1.0, unit="1", meaning="indexing CPU of your documents over the mapping class's", gt=0, le=1000
    )
    bytes_ratio: Ratio = field(
        1.0, unit="1", meaning="index bytes of your documents over the mapping class's", gt=0, le=100
    )
    hottest_shard: Ratio = field(
        1.0, unit="1", meaning="documents of the busiest shard over the mean (custom routing)", ge=1, le=1024
    )
    retention: Seconds = field(30 * DAY, unit="s", meaning="how long documents are kept", gt=0, le=20 * 365 * DAY)
    rollover: Seconds | None = field(
        None,
        unit="s",
        meaning="age at which the write index is closed and a new one begun; retention counts from there on; "
        "none: documents leave one by one when they are as old as retention says",
        foreign="max_age",
        gt=0,
        le=366 * DAY,
        source="elasticsearch.md B3; rollover also at a size is not modelled",
    )
    search: Search = field(Search(), unit="", meaning="the search load on it")

    @model_validator(mode="after")
    def _skew_possible(self) -> Index:
        if self.hottest_shard > self.primaries:
            raise ValueError(
                f"hottest_shard = {self.hottest_shard:g} exceeds primaries = {self.primaries}: "
                "one shard cannot take more than all"
            )
        return self


class SearchCluster(Drive):
    """Data nodes and dedicated managers."""

    not_modelled: ClassVar[dict[str, str]] = {
        "ultrawarm": "hot tier only",
        "ingest_nodes": "data nodes coordinate",
        "authentication": "a node caches whom it knows, so that a bulk's check costs nothing that was measured",
    }

    kind: Literal["opensearch-service", "self-managed-opensearch", "self-managed-elasticsearch"] = field(
        "opensearch-service", unit="", meaning="whose software, and who runs it"
    )
    version: str = field("2.19", unit="", meaning="version of it", pattern=r"^\d+\.\d+$")
    data_nodes: Whole = field(3, unit="count", meaning="data nodes", ge=1, le=1000)
    machine: str = field("r7g.large", unit="", meaning="instance type of a data node")
    zones: Whole = field(3, unit="count", meaning="availability zones they spread over", ge=1, le=6)
    volume: Volume = field(Volume(size=500 * GIB), unit="", meaning="data volume of each node")
    free_space_rule: Literal["smaller", "larger"] = field(
        "smaller",
        unit="",
        meaning="the AWS service blocks writes when a node has less free than the smaller (or the larger) of 20 % and "
        "20 GiB: two texts of AWS disagree",
        source="elasticsearch.md B4, F1",
    )
    heap: Bytes | None = field(
        None,
        unit="bytes",
        meaning="heap of a data node; none: half the memory, at most 31 GiB (32 on the service)",
        ge=MIN_HEAP,
        le=512 * GIB,
        foreign="-Xmx",
        source="elasticsearch.md B3",
    )
    write_threads: Whole | None = field(
        None,
        unit="count",
        meaning="write pool; none: the node's processors",
        foreign="node.processors",
        ge=1,
        le=1024,
        source="elasticsearch.md B1",
    )
    tls: bool | None = field(
        None, unit="", meaning="bulks come over HTTPS; none: the kind's own (the AWS service yes, self-managed no)"
    )
    managers: Whole = field(0, unit="count", meaning="dedicated manager nodes", ge=0, le=9)
    manager_machine: str = field("m7g.large", unit="", meaning="instance type of a manager")

    @property
    def encrypted(self) -> bool:
        """Whether bulks are encrypted on their way: as said, or as the AWS service asks for."""
        return self.kind == "opensearch-service" if self.tls is None else self.tls


def index_bytes(primary_bytes: float, copies: int) -> float:
    """Disk that an index and its replica shards hold [bytes].

    Each replica is a full copy of every primary shard.
    Source: Elasticsearch guide, "Index modules", index.number_of_replicas.

    >>> index_bytes(100 * GIB, copies=2) / GIB
    200.0
    """
    return primary_bytes * copies


def heap_bytes(memory: float, service: bool) -> float:
    """Heap of a data node that sets none [bytes]: half of memory, capped below compressed pointers' end.

    Source: elasticsearch.md B3 (self-managed about 31 GB; the AWS service 50 % and at most 32 GiB).

    >>> heap_bytes(16 * GIB, True) / GIB, heap_bytes(128 * GIB, False) / GIB
    (8.0, 31.0)
    """
    return min(memory / 2, (32 if service else 31) * GIB)


def pressure_limit_bytes(heap: float) -> float:
    """Bytes of bulks in flight on a node above which the next is answered 429 [bytes].

    Source: elasticsearch.md B1 (IndexingPressure: 10 % of heap).

    >>> pressure_limit_bytes(16 * GIB) / GIB
    1.6
    """
    return PRESSURE_SHARE * heap


def search_threads(processors: int) -> int:
    """Search pool [count]. Source: elasticsearch.md B1: int(1.5 p) + 1.

    >>> search_threads(8)
    13
    """
    return int(1.5 * processors) + 1


def watermark_bytes(volume: float, kind: str, version: str, rule: str = "smaller") -> dict[str, float]:
    """Used bytes at which the low, high and flood watermark, or the service's write block, act [bytes].

    Elasticsearch 8.5+ leaves at most 200, 150, 100 GB free; older ones and OpenSearch use 85, 90, 95 %. The AWS
    service blocks writes when less than min(20 %, 20 GiB) is free (`rule` larger: the max, as AWS's newer text says).
    Source: elasticsearch.md B4.

    >>> {k: round(v / GIB) for k, v in watermark_bytes(100 * GIB, "opensearch-service", "2.19").items()}
    {'low': 85, 'high': 90, 'flood': 95, 'write_block': 80}
    """
    major, minor = (int(part) for part in version.split("."))
    headroom = kind == "self-managed-elasticsearch" and (major, minor) >= (8, 5)
    free = {"low": (0.15, 200), "high": (0.10, 150), "flood": (0.05, 100)}
    marks = {
        n: volume - (min(share * volume, gb * GIB) if headroom else share * volume) for n, (share, gb) in free.items()
    }
    pick = min if rule == "smaller" else max
    block = max(0.0, volume - pick(0.2 * volume, 20 * GIB)) if kind == "opensearch-service" else marks["flood"]
    return marks | {"write_block": block}


def place_shards(primaries: int, copies: int, nodes: int, first: int = 0) -> list[list[int]]:
    """Nodes of each shard's copies, primary first, as a balancing allocator leaves them.

    Each primary goes to the node with fewest primaries, then fewest shards; each replica to the node with fewest
    shards that has no copy of it yet; ties go round from node `first`. A copy without a node of its own stays
    unassigned (shorter list). Source: both allocators balance by shard count (elasticsearch.md B5); they also weigh
    disk and, in Elasticsearch, write load, which are even here.

    >>> place_shards(3, 2, 3), place_shards(1, 2, 1), place_shards(3, 2, 6)
    ([[0, 1], [2, 0], [1, 2]], [[0]], [[0, 1], [2, 3], [4, 5]])
    """
    turn = [(first + n) % nodes for n in range(nodes)]
    total, led = [0] * nodes, [0] * nodes
    placed = []
    for _ in range(primaries):
        lead = min(turn, key=lambda n: (led[n], total[n]))
        led[lead] += 1
        total[lead] += 1
        homes = [lead]
        for _ in range(min(copies, nodes) - 1):
            home = min((n for n in turn if n not in homes), key=lambda n: total[n])
            total[home] += 1
            homes.append(home)
        placed.append(homes)
    return placed
