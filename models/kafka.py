"""Kafka: brokers, a topic's partitions and their copies, and the producers that fill them.

A producer gathers records of one partition into a batch, closes it by size or linger, and sends it
to the partition's leader; followers fetch it; once the in-sync copies have it the high watermark
passes it and consumers may read. `copies` counts the leader.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from models.hosts import Drive, Volume
from models.noun import Noun
from models.units import DAY, GIB, KIB, MIB, Bytes, Fraction, PerSecond, Ratio, Seconds, Whole, field, word

BATCH_HEADER_BYTES = 61  # kafka.md A1: DefaultRecordBatch
COMPRESSION: dict[str, tuple[tuple[float, float], ...]] = {
    # (batch bytes, ratio) of JSON clickstream with UUIDs, 461 B a record: kafka.md A2, measured on synthetic payloads
    "none": ((0.0, 1.0),),
    "snappy": ((520.0, 0.98), (16 * KIB, 2.2), (128 * KIB, 2.4), (MIB, 2.4)),
    "lz4": ((520.0, 1.0), (16 * KIB, 2.3), (128 * KIB, 2.4), (MIB, 2.4)),
    "zstd": ((520.0, 1.15), (16 * KIB, 3.5), (128 * KIB, 3.9), (MIB, 4.5)),
    "gzip": ((520.0, 1.18), (16 * KIB, 3.5), (128 * KIB, 3.8), (MIB, 3.9)),
}


Curve = tuple[tuple[float, float], ...]
LARGEST_RATIO = 1000.0


def _curve(value: Any) -> Any:
    """One ratio as a curve of one point, so that it holds for every batch; points as they are."""
    return ((16 * KIB, value),) if isinstance(value, str | int | float) and not isinstance(value, bool) else value


Ratios = Annotated[tuple[tuple[Bytes, Ratio], ...], BeforeValidator(_curve)]


def _client(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"\d+\.\d+", value.strip()):
        return value.strip()
    raise ValueError("expected a version in quotes, such as '3.4'")


class Producer(Noun):
    """The clients that write one topic."""

    not_modelled: ClassVar[dict[str, str]] = {
        "retries": "delivery is bounded by delivery.timeout.ms; retries inside it change no steady-state number",
    }

    count: Whole = field(4, unit="count", meaning="producer processes", ge=1, le=100_000)
    linger: Seconds = field(
        0.005,
        unit="s",
        meaning="longest wait of a batch's first record",
        foreign="linger.ms",
        ge=0,
        le=60,
        by_version={"3.x": "0 ms", "4.x": "5 ms"},
        source="kafka.md B1 (KIP-1030)",
    )
    batch_size: Bytes = field(
        16 * KIB,
        unit="bytes",
        meaning="bytes at which a batch of one partition closes",
        foreign="batch.size",
        gt=0,
        le=64 * MIB,
        by_version={"3.x": "16 KiB", "4.x": "16 KiB", "librdkafka": "1 MB"},
        source="kafka.md B1",
    )
    acks: Literal["all", "1", "0"] = field(
        "all",
        unit="",
        meaning="whose acknowledgement a send waits for",
        foreign="acks",
        by_version={"3.x": "all", "4.x": "all"},
        source="kafka.md B1",
    )
    partitioner: Literal["keyed", "sticky"] = field(
        "sticky",
        unit="",
        meaning="a key spreads each producer's records over all partitions at once; without one they stick to a "
        "partition for a batch",
        foreign="partitioner.class",
        source="kafka.md B1",
    )
    compression: Literal["none", "snappy", "lz4", "zstd", "gzip"] = field(
        "none", unit="", meaning="codec of a batch", foreign="compression.type", source="kafka.md B1"
    )
    compression_ratio: dict[Literal["snappy", "lz4", "zstd", "gzip"], Ratios] = field(
        {},
        unit="1",
        meaning="bytes before over bytes after compression by codec, as one ratio or as points (batch bytes, ratio); "
        "a codec that is left out has the ratio of JSON clickstream; `floodmark sample` measures your own",
        source="kafka.md A2: the ratio is the batch's",
    )
    buffer_memory: Bytes = field(
        32 * MIB,
        unit="bytes",
        meaning="unsent bytes at which send() blocks",
        foreign="buffer.memory",
        gt=0,
        le=64 * GIB,
        source="kafka.md B1",
    )
    client: Annotated[str, BeforeValidator(_client)] | None = field(
        None,
        unit="",
        meaning="version of the oldest Java client that writes it, such as '3.4'; none: not checked",
        foreign="kafka-clients",
        source="kafka.md B5 (KIP-896)",
    )

    @model_validator(mode="after")
    def _ratios_are_curves(self) -> Producer:
        for codec, points in self.compression_ratio.items():
            sizes, where = [size for size, _ in points], f"compression_ratio.{codec}"
            if not points or any(b <= a for a, b in itertools.pairwise(sizes)) or sizes[0] <= 0:
                raise ValueError(f"{where} = {points}; expected a ratio such as 3.4, or points (batch bytes, ratio) "
                                 "of rising batch bytes, such as [[4 KiB, 2.1], [16 KiB, 3.4]]")  # fmt: skip
            if wrong := [ratio for _, ratio in points if not 0.1 <= ratio <= LARGEST_RATIO]:
                raise ValueError(f"{where} = {wrong[0]:g}; expected bytes before over bytes after, 0.1 to 1000")
        return self

    def ratio(self, batch_bytes: float) -> float:
        """Bytes before over bytes after compression of one batch [1]: as stated, else by the law for its codec.

        >>> Producer(compression="zstd", compression_ratio={"zstd": 5}).ratio(1024)
        5.0
        """
        stated = self.compression_ratio.get(self.compression, ()) if self.compression != "none" else ()
        return along(stated, batch_bytes) if stated else compression_ratio(self.compression, batch_bytes)


class Topic(Noun):
    """One topic."""

    not_modelled: ClassVar[dict[str, str]] = {
        "compaction": "a compacted topic's size follows its live keys, which no field here states yet",
        "cleanup_policy": "only delete is modelled",
    }

    partitions: Whole = field(12, unit="count", meaning="partitions", foreign="num.partitions", ge=1, le=20_000)
    copies: Whole = field(
        3,
        unit="count",
        meaning="copies of each partition, the leader counted",
        foreign="replication.factor",
        ge=1,
        le=10,
        by_version={"3.x": "1", "4.x": "1", "MSK": "3"},
        source="kafka.md B2",
    )
    min_insync: Whole = field(
        2,
        unit="count",
        meaning="copies in sync below which acks=all is refused",
        foreign="min.insync.replicas",
        ge=1,
        by_version={"3.x": "1", "4.x": "1", "MSK": "2"},
        source="kafka.md B2",
    )
    retention: Seconds = field(
        7 * DAY,
        unit="s",
        meaning="how long records are kept",
        foreign="retention.ms",
        gt=0,
        le=20 * 365 * DAY,
        source="kafka.md B2",
    )
    consumer_groups: Whole = field(0, unit="count", meaning="consumer groups beside the query", ge=0, le=1000)
    producer: Producer = field(Producer(), unit="", meaning="the clients that write it")

    @model_validator(mode="after")
    def _copies_suffice(self) -> Topic:
        if self.min_insync > self.copies:
            raise ValueError(
                f"min_insync = {self.min_insync} exceeds copies = {self.copies}: no write would be accepted"
            )
        return self


class KafkaCluster(Drive):
    """The brokers."""

    not_modelled: ClassVar[dict[str, str]] = {
        "tiered_storage": "local retention only; the bill's alternatives name it",
        "num.network.threads": "network threads are part of the request's CPU here",
        "zookeeper": "KRaft only; controllers cost no data-path time",
    }

    kind: Literal["msk-standard", "self-managed"] = field("msk-standard", unit="", meaning="who runs the brokers")
    version: Literal["3.6", "3.9", "4.0", "4.1", "4.3"] = field("3.9", unit="", meaning="Kafka version")
    brokers: Whole = field(3, unit="count", meaning="brokers", ge=1, le=500)
    machine: str = field("m7g.large", unit="", meaning="instance type of a broker")
    zones: Whole = field(3, unit="count", meaning="availability zones they spread over", ge=1, le=6)
    volume: Volume = field(Volume(size=500 * GIB), unit="", meaning="data volume of each broker")
    java: Annotated[Literal["8", "11", "17", "21", "25"], BeforeValidator(word)] | None = field(
        None, unit="", meaning="Java that the brokers run on; none: not checked", source="kafka.md B5"
    )
    io_threads: Whole = field(
        8, unit="count", meaning="request handler threads", foreign="num.io.threads", ge=1, le=512, source="kafka.md B2"
    )
    heap: Bytes = field(
        6 * GIB,
        unit="bytes",
        meaning="broker heap (-Xmx); the rest of memory is page cache",
        gt=0,
        le=64 * GIB,
        source="kafka.md D2 (the published runs use 6 GiB)",
    )
    replica_fetchers: Whole | None = field(
        None,
        unit="count",
        meaning="fetch threads of a broker for each other broker; none: the kind's own (MSK 2, Kafka 1)",
        foreign="num.replica.fetchers",
        ge=1,
        le=64,
        by_version={"3.x": "1", "4.x": "1", "MSK": "2"},
        source="kafka.md B2: one outstanding fetch per (fetcher, source broker)",
    )
    tls: bool = field(True, unit="", meaning="producers and consumers connect encrypted", foreign="security.protocol")
    tls_between_brokers: bool | None = field(
        None,
        unit="",
        meaning="followers fetch encrypted; none: the kind's own (MSK yes, Kafka no)",
        foreign="security.inter.broker.protocol",
    )
    authentication: Literal["none", "scram", "mtls", "iam"] = field(
        "none",
        unit="",
        meaning="how clients prove who they are: it costs connections and what stands behind it, not the data path",
        foreign="sasl.mechanism, ssl.client.auth",
    )
    rack_aware_fetch: bool = field(
        False,
        unit="",
        meaning="consumers read the copy in their own zone",
        foreign="replica.selector.class",
        source="kafka.md B4 (KIP-392); Spark needs a static client.rack to profit",
    )

    @model_validator(mode="after")
    def _placeable(self) -> KafkaCluster:
        if self.kind == "msk-standard" and self.brokers % self.zones:
            raise ValueError(f"brokers = {self.brokers} is not a multiple of zones = {self.zones}, as MSK requires")
        if self.authentication in ("mtls", "iam") and not self.tls:
            raise ValueError(f"authentication = {self.authentication} runs over TLS only; set tls: true")
        if self.authentication == "iam" and self.kind != "msk-standard":
            raise ValueError("authentication = iam is MSK's own; expected none, scram or mtls")
        return self

    @property
    def fetchers(self) -> int:
        """Fetch threads of a follower for one leading broker [count]."""
        return self.replica_fetchers or (2 if self.kind == "msk-standard" else 1)

    @property
    def replication_encrypted(self) -> bool:
        """Whether followers fetch over TLS: as said, or as MSK does by default."""
        return self.kind == "msk-standard" if self.tls_between_brokers is None else self.tls_between_brokers


def record_overhead_bytes(value_bytes: float, records: float) -> float:
    """Framing of one record in a batch of `records`, batch header shared [bytes].

    Source: kafka.md A1; checked there against an independent encoder. Timestamps and offsets inside a
    batch are taken as two-byte varints in large batches.

    >>> round(record_overhead_bytes(100, 1)), round(record_overhead_bytes(1000, 16), 1)
    (70, 12.8)
    """
    offset_delta = _varint_bytes(int(records) - 1) if records > 1 else 1
    body = 1 + 1 + offset_delta + 1 + _varint_bytes(int(value_bytes)) + 1
    return body + _varint_bytes(int(value_bytes) + body) + BATCH_HEADER_BYTES / max(records, 1.0)


def _varint_bytes(number: int) -> int:
    """Bytes of a zig-zag varint: seven bits each, one bit for the sign."""
    return max(1, math.ceil((max(number, 1).bit_length() + 1) / 7))


def compression_ratio(codec: str, batch_bytes: float) -> float:
    """Bytes before over bytes after compression of one batch [1]: a function of the batch, never a constant.

    Source: kafka.md A2 (JSON clickstream, measured on synthetic payloads); linear in log(batch bytes) between.

    >>> compression_ratio("zstd", 16 * 1024), compression_ratio("none", 1e6)
    (3.5, 1.0)
    """
    return along(COMPRESSION[codec], batch_bytes)


def along(points: Curve, batch_bytes: float) -> float:
    """The ratio at a size of batch between its neighbours, linear in log(batch bytes); beyond the ends, the end's [1].

    >>> along(((1024.0, 2.0), (4096.0, 4.0)), 2048.0)
    3.0
    """
    if batch_bytes <= points[0][0]:
        return points[0][1]
    for (low, ratio), (high, next_ratio) in itertools.pairwise(points):
        if batch_bytes <= high:
            return ratio + (next_ratio - ratio) * math.log(batch_bytes / low) / math.log(high / low)
    return points[-1][1]


def batch_records(per_second: float, linger: float, most: float, dispersion: float = 1.0) -> float:
    """Mean records of a producer batch [records].

    The first record opens it; it closes at `linger` or with `most` records. Under Poisson arrivals (dispersion 1 and
    above) that is 1 + E min(Poisson, most - 1); under even arrivals (0) the whole number that fits; linear between.
    Source: Paolieri et al., MASCOTS 2025, truncated Poisson (engine.md A4).

    >>> round(batch_records(1000, 0.005, 100), 3), batch_records(10, 0.0, 16), batch_records(50, 0.005, 100, 0.0)
    (6.0, 1.0, 1.0)
    """
    most = max(1.0, math.floor(most))
    if dispersion < 1:
        even = min(most, 1.0 + math.floor(per_second * linger))
        return even + dispersion * (batch_records(per_second, linger, most) - even)
    mean = per_second * linger
    if mean <= 0:
        return 1.0
    if mean > 50 * most:
        return most
    if most > mean + 12 * math.sqrt(mean) + 20:
        return 1.0 + mean
    term, total, below = math.exp(-mean), 0.0, 0.0
    for k in range(int(most) - 1):
        total += k * term
        below += term
        term *= mean / (k + 1)
    return 1.0 + total + (most - 1) * max(0.0, 1.0 - below)


def log_bytes(in_bytes_per_second: float, retention: float, copies: int) -> float:
    """Disk that a topic holds once retention is full, index files included [bytes].

    Index files add 0.5 % (kafka.md A1). Up to one unexpired segment more a partition is left to the caller.

    >>> round(log_bytes(1e6, 86400, 3) / 1e9, 2)
    260.5
    """
    return in_bytes_per_second * retention * copies * 1.005


def broker_network(in_bytes: float, copies: int, fan_out: float, brokers: int) -> tuple[float, float]:
    """Bytes a second in and out of one broker's network card, evenly loaded [bytes/s].

    Source: kafka.md A5: in W r / B, out W (r - 1 + f) / B.

    >>> broker_network(300.0, 3, 2.0, 3)
    (300.0, 400.0)
    """
    return in_bytes * copies / brokers, in_bytes * (copies - 1 + fan_out) / brokers


def saturated_publish_seconds(buffer_memory: float, per_producer_bytes: float) -> float:
    """Mean publish latency of a producer that offers more than it can push [s] (Little).

    Source: kafka.md A4, within 2 % of six raw runs.

    >>> round(saturated_publish_seconds(32 * 1024**2, 150e6), 3)
    0.224
    """
    return buffer_memory / per_producer_bytes


def page_cache_seconds(memory: float, heap: float, in_bytes_per_second: float, headroom: float = GIB) -> float:
    """How far behind a reader may be and still be served from memory [s].

    Memory left by heap and the system holds the most recent writes. Source: kafka.md A7.

    >>> page_cache_seconds(16 * GIB, 6 * GIB, 9 * GIB / 60)
    60.0
    """
    return max(0.0, memory - heap - headroom) / in_bytes_per_second if in_bytes_per_second > 0 else math.inf


def leaders_of(partitions: int, copies: int, brokers: int) -> list[list[int]]:
    """Brokers of each partition, leader first: round-robin with the followers' step shifted each round.

    Source: AdminUtils.assignReplicasToBrokers of Kafka (rack-unaware), start index 0.

    >>> leaders_of(3, 2, 3)
    [[0, 1], [1, 2], [2, 0]]
    """
    placed, shift = [], 0
    for p in range(partitions):
        if p > 0 and p % brokers == 0:
            shift += 1
        first = p % brokers
        followers = [(first + 1 + (shift + j) % max(1, brokers - 1)) % brokers for j in range(copies - 1)]
        placed.append([first, *followers])
    return placed


def fetcher_of(flow: int, partition: int, fetchers: int) -> int:
    """Which of a follower's fetchers a partition has: a hash of topic and partition, here 31 × flow + partition.

    Source: kafka.md B2; AbstractFetcherManager.getFetcherId of Kafka.

    >>> [fetcher_of(0, p, 2) for p in range(4)], fetcher_of(1, 0, 2)
    ([0, 1, 0, 1], 1)
    """
    return (31 * flow + partition) % fetchers


__all__ = ["Fraction", "KafkaCluster", "PerSecond", "Producer", "Topic"]
