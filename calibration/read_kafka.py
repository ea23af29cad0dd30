"""Kafka without JMX: what the admin tools and the Admin API tell, and librdkafka's statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibration.formats_kinds import Sample, epoch
from calibration.gather import Gathering, clean, dig, number

MICROSECOND = 1e-6
CONFIGS = {
    *("min.insync.replicas", "retention.ms", "retention.bytes", "segment.bytes", "compression.type", "cleanup.policy"),
    *("num.io.threads", "num.network.threads", "num.replica.fetchers", "message.max.bytes", "max.message.bytes"),
    *("default.replication.factor", "unclean.leader.election.enable", "log.retention.hours", "log.retention.bytes"),
    *("replica.lag.time.max.ms", "socket.send.buffer.bytes", "socket.receive.buffer.bytes", "node.id", "process.roles"),
}
FORMAT = "Kafka Admin"


def log_dirs(sample: Sample, into: Gathering) -> None:
    """Bytes of logs by broker and topic, from `kafka-log-dirs.sh --describe` or the Admin API."""
    if sample.t is None:
        into.skip('log dirs without a time; wrap each answer as {"t": epoch seconds, "body": ...}')
        return
    for broker in sample.body["brokers"]:
        sizes: dict[str, float] = {}
        for folder in dig(broker, ("logDirs",)) or []:
            for part in dig(folder, ("partitions",)) or []:
                topic, bytes_ = str(dig(part, ("partition",)) or "").rpartition("-")[0], number(dig(part, ("size",)))
                if topic and bytes_ is not None and not part.get("isFuture"):
                    sizes[topic] = sizes.get(topic, 0.0) + bytes_
        for topic, total in sizes.items():
            name = f"broker {dig(broker, ('broker',))}"
            into.add("kafka", name, "log_bytes", sample.t, total, {"topic": topic}, format=FORMAT, rank=1)
    into.file.saw("Kafka log dirs", sample.t)


def offsets(sample: Sample, into: Gathering) -> None:
    """End offsets by topic, summed over its partitions."""
    for topic, partitions in sample.body["offsets"].items():
        values = [number(v) for v in partitions.values()]
        told = [v for v in values if v is not None]
        if told and len(told) == len(values):
            into.add("kafka", "cluster", "end_offset", sample.t, sum(told), {"topic": topic}, format=FORMAT)
            into.add("kafka", "cluster", "topic_partitions", sample.t, len(told), {"topic": topic}, format=FORMAT)
    into.file.saw("Kafka offsets", sample.t)


def configs(sample: Sample, into: Gathering) -> None:
    for whose, settings in sample.body["configs"].items():
        for key, value in settings.items():
            if key in CONFIGS and value is not None and len(str(value)) <= 100:
                into.state(f"kafka.{whose} {key}", str(value), sample.t)
    into.file.saw("Kafka configs", sample.t)


def topics(sample: Sample, into: Gathering) -> None:
    """Partitions and copies by topic, and the brokers that hold them."""
    brokers: set[Any] = set()
    for topic, partitions in sample.body.get("topics", sample.body).items():
        replicas = [dig(p, ("replicas",)) for p in partitions.values()]
        known = [r for r in replicas if isinstance(r, list)]
        into.state(f"kafka.topic {topic} partitions", len(partitions), sample.t)
        if known:
            into.state(f"kafka.topic {topic} copies", max(map(len, known)), sample.t)
            brokers |= {b for each in known for b in each if isinstance(b, int | str)}
    if brokers and sample.t is not None:
        into.add("kafka", "cluster", "brokers", sample.t, len(brokers), format=FORMAT, rank=1)
    into.file.saw("Kafka topics", sample.t)


def cluster(sample: Sample, into: Gathering) -> None:
    brokers = sample.body.get("brokers")
    if isinstance(brokers, list) and sample.t is not None:
        into.add("kafka", "cluster", "brokers", sample.t, len(brokers), format=FORMAT)
    if isinstance(sample.body.get("version"), str):
        into.state("kafka.version", sample.body["version"], sample.t)
    level = dig(sample.body, ("features", "metadata.version"))
    if level is not None:
        into.state("kafka.metadata.version", level, sample.t)
    into.file.saw("Kafka cluster", sample.t)


def groups(sample: Sample, into: Gathering) -> None:
    """What groups have committed; lag is known where end offsets were asked for at the same time."""
    into.file.remark("committed offsets of groups are not used: Spark keeps its own in the checkpoint")
    into.file.saw("Kafka groups", sample.t)


# librdkafka ----------------------------------------------------------------------------------------


def librdkafka(sample: Sample, into: Gathering) -> None:
    """One statistics object: the whole one, or the laboratory's thinned one."""
    body = sample.body
    own = epoch(body.get("time"))
    t = sample.t if sample.t is not None else own
    if t is None:
        into.skip("librdkafka statistics without a time")
        return
    if body.get("type") == "consumer":
        into.skip("librdkafka statistics of a consumer; those of producers are read")
        return
    name = clean(body.get("client_id") or into.file.entity)
    totals = {
        "records": number(body.get("txmsgs")),
        "record_bytes": number(body.get("txmsg_bytes")),
        "requests": number(body.get("tx")),
        "request_bytes": number(body.get("tx_bytes")),
        "waiting_records": number(body.get("msg_cnt")),
    }
    for quantity, value in totals.items():
        if value is not None:
            into.add("producer", name, quantity, t, value, format="librdkafka")
        elif quantity in ("records", "requests"):
            into.missing("producer", quantity, name)
    _windows(body, name, t, into)
    into.file.saw("librdkafka statistics", t)


def _windows(body: Mapping[str, Any], name: str, t: float, into: Gathering) -> None:
    """Means of librdkafka's rolling windows; a window without a sample tells nothing."""
    topics = [v for v in (body.get("topics") or {}).values() if isinstance(v, Mapping)]
    brokers = [v for v in (body.get("brokers") or {}).values() if isinstance(v, Mapping)]
    for quantity, ours, theirs, unit in (
        ("batch_bytes", body.get("batchsize"), [v.get("batchsize") for v in topics], 1.0),
        ("batch_records", body.get("batchcnt"), [v.get("batchcnt") for v in topics], 1.0),
        ("round_trip_seconds", body.get("rtt"), [v.get("rtt") for v in brokers], MICROSECOND),
        ("queue_seconds", body.get("int_latency"), [v.get("int_latency") for v in brokers], MICROSECOND),
    ):
        windows = ours if isinstance(ours, list) else [ours] if isinstance(ours, Mapping) else theirs
        count = sum(number(dig(w, ("cnt",))) or 0.0 for w in windows)
        total = sum(number(dig(w, ("sum",))) or 0.0 for w in windows)
        if count > 0:
            into.add("producer", name, quantity, t, total / count * unit, format="librdkafka")


READERS = {
    "kafka_log_dirs": log_dirs,
    "kafka_offsets": offsets,
    "kafka_configs": configs,
    "kafka_topics": topics,
    "kafka_cluster": cluster,
    "kafka_groups": groups,
    "librdkafka": librdkafka,
}
