"""Storage: bytes that the topics and indices come to hold, and the day the fullest node is full.

The stack starts empty and fills at the mean rate (daily and weekly curves average out over days),
with its growth, until retention takes away what came first. Bytes are laid on nodes as the systems'
own allocators lay partitions and shards. Left out: temporary space of merges and relocations,
snapshots, and what other topics and indices hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from models.coefficients import CoefficientSet
from models.elasticsearch import place_shards, watermark_bytes
from models.kafka import batch_records, compression_ratio, leaders_of, log_bytes, record_overhead_bytes
from models.stack import Flow, Scenario
from models.units import DAY, GIB, MONTH

SEGMENT_BYTES = 1 * GIB  # log.segment.bytes, kafka.md B2: a segment goes when its youngest record expires
SEGMENT_ROLL_SECONDS = 7 * DAY  # log.roll.hours, kafka.md B2
HORIZON_DAYS = 3 * 365  # fuller later than this is not a date anyone plans by


@dataclass(frozen=True)
class Fill:
    """What one system holds: at full retention now, on its fullest node, and when that node crosses each mark."""

    bytes: float
    fullest_node_bytes: float
    volume_bytes: float
    marks_bytes: dict[str, float]
    days_to: dict[str, float | None]

    @property
    def fullest_share(self) -> float:
        """Used share of the fullest node's volume once retention is full [1]."""
        return self.fullest_node_bytes / self.volume_bytes


def stored_event_bytes(flow: Flow) -> float:
    """Bytes of one event in the log: value, framing and batch header, compressed as its batches allow [bytes]."""
    load, topic, producer = flow.workload, flow.topic, flow.topic.producer
    streams = producer.count * (topic.partitions if producer.partitioner == "keyed" else 1)
    one = load.value_bytes + record_overhead_bytes(load.value_bytes, 2)
    records = batch_records(load.events_per_second / streams, producer.linger, producer.batch_size / one)
    raw = load.value_bytes + record_overhead_bytes(load.value_bytes, records)
    return raw / compression_ratio(producer.compression, raw * records)


def document_bytes(flow: Flow, coefficients: CoefficientSet) -> float:
    """Index bytes of one copy of one document, after natural merges [bytes]."""
    ratio = coefficients["index.bytes_per_json_byte"] * flow.index.bytes_ratio
    if flow.index.mapping == "dynamic":
        ratio *= coefficients["index.dynamic_mapping_ratio"]
    if flow.index.codec == "best_compression":
        ratio *= coefficients["index.best_compression_ratio"]
    if flow.index.codec == "zstd":
        ratio *= coefficients["index.zstd_ratio"]
    return flow.workload.json_bytes * ratio


def seconds_of_rate(flow: Flow, until: float, retention: float) -> float:
    """Events kept at a time, over the mean rate at the start [s]: retention's length, stretched by growth.

    The integral of (1 + g)^(t / month) over the last `retention` seconds, from the empty start.
    """
    start, per_second = max(0.0, until - retention), math.log1p(flow.workload.growth_per_month) / MONTH
    if abs(per_second * (until - start)) < 1e-9:
        return until - start
    return (math.exp(per_second * until) - math.exp(per_second * start)) / per_second


def topic_shares(scenario: Scenario, flow: Flow) -> list[float]:
    """Share of a topic's stored bytes on each broker, copies counted; sums to copies [1]."""
    shares = [0.0] * scenario.kafka.brokers
    placed = leaders_of(flow.topic.partitions, flow.topic.copies, scenario.kafka.brokers)
    for share, brokers in zip(flow.workload.partition_shares(flow.topic.partitions), placed, strict=True):
        for broker in brokers:
            shares[broker] += share
    return shares


def index_shares(scenario: Scenario, flow: Flow) -> list[float]:
    """Share of an index's bytes on each data node, copies counted [1]; unassigned copies hold nothing."""
    shares = [0.0] * scenario.elasticsearch.data_nodes
    placed = place_shards(flow.index.primaries, flow.index.copies, scenario.elasticsearch.data_nodes)
    for share, on in zip(shard_shares(flow), placed, strict=True):
        for node in on:
            shares[node] += share
    return shares


def shard_shares(flow: Flow) -> list[float]:
    """Share of the documents that each shard takes, busiest first [1]."""
    count, hottest = flow.index.primaries, flow.index.hottest_shard / flow.index.primaries
    return [hottest, *[(1 - hottest) / (count - 1)] * (count - 1)] if count > 1 else [1.0]


def topic_storage(scenario: Scenario) -> Fill:
    """What the brokers come to hold; a volume that is full stops its broker."""
    volume = scenario.kafka.volume.size

    def at(seconds: float) -> list[float]:
        return _summed([_topic_bytes(scenario, f, seconds) for f in scenario.flows], scenario.kafka.brokers)

    longest = max(flow.topic.retention for flow in scenario.flows)
    return _fill(at, longest, volume, {"alarm": 0.85 * volume, "full": volume})  # kafka.md B6: disk < 85 %


def _topic_bytes(scenario: Scenario, flow: Flow, seconds: float) -> list[float]:
    kept = seconds_of_rate(flow, seconds, flow.topic.retention)
    rate = flow.workload.events_per_second * stored_event_bytes(flow)
    whole = log_bytes(rate, kept, 1)
    # the oldest segment of each partition outlives retention until its last record expires
    segment = min(SEGMENT_BYTES, rate / flow.topic.partitions * SEGMENT_ROLL_SECONDS) * flow.topic.partitions
    return [share * (whole + min(segment, whole)) for share in topic_shares(scenario, flow)]


def index_storage(scenario: Scenario, coefficients: CoefficientSet) -> Fill:
    """What the data nodes come to hold, against the engine's own marks."""
    cluster = scenario.elasticsearch

    def at(seconds: float) -> list[float]:
        parts = []
        for flow in scenario.flows:
            rate = flow.workload.events_per_second * flow.workload.documents_per_event
            held = rate * document_bytes(flow, coefficients) * seconds_of_rate(flow, seconds, flow.index.retention)
            parts.append([share * held for share in index_shares(scenario, flow)])
        return _summed(parts, cluster.data_nodes)

    longest = max(flow.index.retention for flow in scenario.flows)
    marks = watermark_bytes(cluster.volume.size, cluster.kind, cluster.version)
    return _fill(at, longest, cluster.volume.size, marks)


def _summed(parts: list[list[float]], nodes: int) -> list[float]:
    return [sum(part[n] for part in parts) for n in range(nodes)]


def _fill(at: Callable[[float], list[float]], longest: float, volume: float, marks: dict[str, float]) -> Fill:
    full = at(longest)
    days: dict[str, float | None] = {name: _first_day(at, limit) for name, limit in marks.items()}
    return Fill(sum(full), max(full), volume, marks, days)


def _first_day(at: Callable[[float], list[float]], limit: float) -> float | None:
    """First time that the fullest node holds `limit` [days], None within the horizon.

    Bytes only shrink where the rate does (growth below 0), so the day is found by stepping, then halved.
    """
    day = next((d for d in range(1, HORIZON_DAYS + 1) if max(at(d * DAY)) >= limit), None)
    if day is None:
        return None
    low, high = float(day - 1), float(day)
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (low, middle) if max(at(middle * DAY)) >= limit else (middle, high)
    return high
