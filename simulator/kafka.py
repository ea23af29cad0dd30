"""Kafka as the data plane sees it: streams of producer batches, leaders, links to followers.

The exact front simulates every producer batch; the fluid front replaces it by the delay that a record
has on average from creation to the high watermark, and by the CPU that brokers spend at that rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.coefficients import CoefficientSet
from models.kafka import batch_records, fetcher_of, leaders_of, record_overhead_bytes
from models.stack import Flow, KafkaCluster, Scenario
from simulator.hosts import Placement, mean_trip

MOST_STREAMS = 200_000


@dataclass(frozen=True)
class Front:
    """One flow's producers and topic as numbers. Times in s, sizes in bytes, CPU in reference seconds."""

    streams: int
    sticky: bool
    linger: float
    batch_records: float
    most_records: float
    wire_bytes: float
    compression: float
    request_cpu: float
    append_byte_cpu: float
    append_wait: float
    serve_cpu: float
    serve_byte_cpu: float
    consume_byte_cpu: float
    follow_cpu: float
    follow_byte_cpu: float
    trip: float
    buffer_bytes: float
    delay: float


def front_of(flow: Flow, cluster: KafkaCluster, rate: float, placement: Placement, c: CoefficientSet) -> Front:
    """The front of a flow at a mean rate [records/s]."""
    producer, topic = flow.topic.producer, flow.topic
    sticky = producer.partitioner == "sticky"
    streams = producer.count * (1 if sticky else topic.partitions)
    if streams > MOST_STREAMS:
        raise ValueError(
            f"flow '{flow.name}': {producer.count} keyed producers × {topic.partitions} partitions = {streams} streams "
            f"of batches; expected {MOST_STREAMS} or fewer (group producers, or use the sticky partitioner)"
        )
    records, wire, ratio, most = _batch(flow, rate / streams)
    tls = c["kafka.tls_byte_cpu_seconds"] if cluster.tls else 0.0
    between = c["kafka.tls_byte_cpu_seconds"] if cluster.replication_encrypted else 0.0
    trip = mean_trip(placement, placement.brokers, placement.brokers, c) if cluster.brokers > 1 else 0.0
    front = Front(
        streams=streams,
        sticky=sticky,
        linger=producer.linger,
        batch_records=records,
        most_records=most,
        wire_bytes=wire,
        compression=ratio,
        # one batch a request, as librdkafka was recorded to send them; Java's may gather several (kafka.md A3)
        request_cpu=c["kafka.request_cpu_seconds"] + c["kafka.batch_cpu_seconds"],
        append_byte_cpu=c["kafka.byte_cpu_seconds"] + tls,
        append_wait=c["kafka.append_wait_seconds"],
        serve_cpu=c["kafka.request_cpu_seconds"],
        serve_byte_cpu=c["kafka.fetch_byte_cpu_seconds"] + between,
        consume_byte_cpu=c["kafka.fetch_byte_cpu_seconds"] + tls,
        follow_cpu=c["kafka.batch_cpu_seconds"] * c["kafka.follower_cpu_ratio"],
        follow_byte_cpu=c["kafka.byte_cpu_seconds"] * c["kafka.follower_cpu_ratio"] + between,
        trip=trip,
        buffer_bytes=producer.count * producer.buffer_memory,
        delay=0.0,
    )
    speed = placement.sites[placement.brokers[0]].speed
    return Front(**{**front.__dict__, "delay": front_delay(front, topic.copies, rate, speed)})


def _batch(flow: Flow, rate: float) -> tuple[float, float, float, float]:
    """Records of a stream's batch, wire bytes of a record, compression ratio, most records of a batch."""
    producer, value = flow.topic.producer, flow.workload.value_bytes
    framed = value + record_overhead_bytes(value, max(2.0, producer.batch_size / value))
    ratio = producer.ratio(producer.batch_size)
    most = max(1.0, float(np.floor(producer.batch_size * ratio / framed)))
    records = batch_records(rate, producer.linger, most, flow.workload.arrivals)
    raw = value + record_overhead_bytes(value, records)
    ratio = producer.ratio(records * raw)
    return records, raw / ratio, ratio, most


def mean_batch_wait(front: Front, rate: float) -> float:
    """Mean time of a record in its producer batch [s].

    The first waits until the close, the others half of it. A full batch closes when it fills.
    """
    per_stream = rate / front.streams
    close = front.linger
    if per_stream > 0 and front.batch_records >= 0.999 * front.most_records:
        close = min(close, (front.most_records - 1) / per_stream)
    return close * (1 + (front.batch_records - 1) / 2) / front.batch_records


def front_delay(front: Front, copies: int, rate: float, speed: float) -> float:
    """Mean time from a record's creation to the high watermark, brokers not saturated [s].

    Source: kafka.md A3 (end to end does not depend on acks: consumers wait for the high watermark).
    """
    size = front.batch_records * front.wire_bytes
    append = (front.request_cpu + size * front.append_byte_cpu) / speed
    delay = mean_batch_wait(front, rate) + append + front.append_wait
    if copies > 1:
        serve = (front.serve_cpu + size * front.serve_byte_cpu) / speed
        delay += serve + (front.follow_cpu + size * front.follow_byte_cpu) / speed + 2 * front.trip
    return delay


Homes = list[list[int]]


def broker_cpu(flow: Flow, front: Front, cluster: KafkaCluster, rate: float, homes: Homes | None = None) -> list[float]:
    """Reference CPU seconds a second that a flow costs each broker [cores of the reference machine].

    `homes` are each partition's brokers, leader first, where they are not those of the first assignment.
    """
    shares = flow.workload.partition_shares(flow.topic.partitions)
    spent = [0.0] * cluster.brokers
    readers = 1 + flow.topic.consumer_groups
    placed = homes if homes is not None else leaders_of(len(shares), flow.topic.copies, cluster.brokers)
    for share, brokers in zip(shares, placed, strict=True):
        if not brokers:
            continue
        records = rate * share
        batches, size = records / front.batch_records, records * front.wire_bytes
        spent[brokers[0]] += batches * front.request_cpu + size * (
            front.append_byte_cpu + readers * front.consume_byte_cpu
        )
        for follower in brokers[1:]:
            spent[brokers[0]] += batches * front.serve_cpu + size * front.serve_byte_cpu
            spent[follower] += batches * front.follow_cpu + size * front.follow_byte_cpu
    return spent


def consumer_cpu(flow: Flow, front: Front, cluster: KafkaCluster, rate: float) -> list[float]:
    """The part of `broker_cpu` that readers cost, which the exact front does not simulate [cores]."""
    spent = [0.0] * cluster.brokers
    shares = flow.workload.partition_shares(flow.topic.partitions)
    for share, brokers in zip(shares, leaders_of(len(shares), flow.topic.copies, cluster.brokers), strict=True):
        spent[brokers[0]] += rate * share * front.wire_bytes * (1 + flow.topic.consumer_groups) * front.consume_byte_cpu
    return spent


def links(scenario: Scenario) -> dict[str, np.ndarray]:
    """Links from leaders to followers over all flows: which partitions each carries, and which each partition feeds.

    A link is one fetcher of a follower: it has one fetch under way.
    """
    pairs: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    leaders, feeds, base = [], [], 0
    for f, flow in enumerate(scenario.flows):
        for p, brokers in enumerate(leaders_of(flow.topic.partitions, flow.topic.copies, scenario.kafka.brokers)):
            fetcher = fetcher_of(f, p, scenario.kafka.fetchers)
            leaders.append(brokers[0])
            feeds.append([(brokers[0], follower, fetcher) for follower in brokers[1:]])
            for copy, follower in enumerate(brokers[1:]):
                pairs.setdefault((brokers[0], follower, fetcher), []).append((base + p, copy))
        base += flow.topic.partitions
    order = {pair: k for k, pair in enumerate(pairs)}
    return {
        "partition_leader": np.array(leaders, dtype=np.int64),
        "link_from": np.array([a for a, _, _ in pairs], dtype=np.int64),
        "link_to": np.array([b for _, b, _ in pairs], dtype=np.int64),
        "link_start": np.cumsum([0] + [len(rows) for rows in pairs.values()]).astype(np.int64),
        "link_partition": np.array([p for rows in pairs.values() for p, _ in rows], dtype=np.int64),
        "link_copy": np.array([r for rows in pairs.values() for _, r in rows], dtype=np.int64),
        "leader_start": np.cumsum([0] + [len(row) for row in feeds]).astype(np.int64),
        "leader_link": np.array([order[pair] for row in feeds for pair in row], dtype=np.int64),
    }
