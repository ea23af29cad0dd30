"""What Kafka tells of itself: settings of brokers and topics, live or as its own scripts print them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from calibration.discover import GIB, Fact, Reader, at, flag, has, seconds, whole

CONFIGURED = re.compile(
    r"(?:Dynamic|All) configs? for (topic|broker|brokers) (\S+)|Configs for (topic|broker)s?[ -]'?([^\s']+)"
)
PAIR = re.compile(r"^\s*([\w.]+)=(\S*)")
TOPIC = re.compile(
    r"^Topic:\s*(\S+).*?PartitionCount:\s*(\d+).*?ReplicationFactor:\s*(\d+)(?:.*?Configs:\s*(\S*))?", re.M
)


def broker_facts(pairs: Mapping[str, Any], where: str) -> Iterator[Fact]:
    """Broker settings that a scenario holds; unstated ones stay unstated."""
    yield Fact("kafka.io_threads", whole(pairs.get("num.io.threads")), "read", f"{where}: num.io.threads")
    yield Fact(
        "kafka.replica_fetchers", whole(pairs.get("num.replica.fetchers")), "read", f"{where}: num.replica.fetchers"
    )
    if str(pairs.get("replica.selector.class", "")).endswith("RackAwareReplicaSelector"):
        yield Fact("kafka.rack_aware_fetch", True, "read", f"{where}: replica.selector.class")
    inter = pairs.get("security.inter.broker.protocol")
    if inter is not None:
        yield Fact("kafka.tls_between_brokers", "SSL" in str(inter), "read", f"{where}: security.inter.broker.protocol")
    defaults = {
        "default.replication.factor": "copies",
        "min.insync.replicas": "min_insync",
        "num.partitions": "partitions",
    }
    for key, field in defaults.items():
        yield Fact(f"topic_defaults.{field}", whole(pairs.get(key)), "read", f"{where}: {key}")
    yield Fact("topic_defaults.retention", retention(pairs, "log."), "read", f"{where}: log.retention")


def topic_facts(topic: str, pairs: Mapping[str, Any], where: str) -> Iterator[Fact]:
    """Topic settings that a scenario holds."""
    begins = f"topics.{topic}"
    yield Fact(f"{begins}.min_insync", whole(pairs.get("min.insync.replicas")), "read", f"{where}: min.insync.replicas")
    yield Fact(f"{begins}.retention", retention(pairs, ""), "read", f"{where}: retention.ms")
    codec = pairs.get("compression.type")
    if codec in ("none", "uncompressed", "snappy", "lz4", "zstd", "gzip"):
        name = "none" if codec == "uncompressed" else codec
        yield Fact(f"{begins}.producer.compression", name, "inferred", f"{where}: the topic recompresses to {codec}")


def retention(pairs: Mapping[str, Any], begins: str) -> str | None:
    """Retention by time, the finest unit said."""
    for key, unit in (("retention.ms", 1e-3), ("retention.minutes", 60.0), ("retention.hours", 3600.0)):
        if (told := seconds(pairs.get(begins + key), unit)) is not None:
            return told
    return None


def configs(document: Any, name: str) -> Iterator[Fact]:
    """{"configs": {"broker 1" | "topic events": {name: value}}}, as a live cluster is asked."""
    for entity, pairs in document["configs"].items():
        kind, _, which = str(entity).partition(" ")
        where = f"{name}: {entity}"
        yield from broker_facts(pairs, where) if kind == "broker" else topic_facts(which, pairs, where)


def topics(document: Any, name: str) -> Iterator[Fact]:
    """{"topics": {topic: {partition: {leader, replicas, isr}}}}."""
    for topic, parts in document["topics"].items():
        if not isinstance(parts, Mapping) or not parts:
            continue
        yield Fact(f"topics.{topic}.partitions", len(parts), "read", f"{name}: {topic}")
        copies = [len(p.get("replicas", [])) for p in parts.values() if isinstance(p, Mapping)]
        yield Fact(f"topics.{topic}.copies", max(copies, default=0) or None, "read", f"{name}: {topic}")


def cluster(document: Any, name: str) -> Iterator[Fact]:
    """{"clusterId", "brokers": [{"id", "rack"}]}."""
    brokers = document["brokers"]
    yield Fact("kafka.brokers", len(brokers), "read", f"{name}: brokers")
    racks = {broker.get("rack") for broker in brokers} - {None, ""}
    if racks:
        yield Fact("kafka.zones", len(racks), "read", f"{name}: broker racks")


def log_dirs(document: Any, name: str) -> Iterator[Fact]:
    """{"brokers": [{"broker", "logDirs": [{"totalBytes"}]}]}, of Kafka 3.3 on: the volumes of the smallest broker."""
    totals = [sum(whole(at(d, "totalBytes")) or 0 for d in broker["logDirs"]) for broker in document["brokers"]]
    if totals and min(totals) > 0:
        why = f"{name}: totalBytes" + ("" if len(set(totals)) == 1 else ", of the smallest broker")
        yield Fact("kafka.volume.size", f"{min(totals) / GIB:.4g} GiB", "inferred", why)


def configs_text(text: Any, name: str) -> Iterator[Fact]:
    """kafka-configs.sh --describe [--all]."""
    sections: list[tuple[str, str, dict[str, str]]] = []
    for line in str(text).splitlines():
        if head := CONFIGURED.search(line):
            sections.append(((head[1] or head[3]).rstrip("s"), head[2] or head[4], {}))
        elif sections and (pair := PAIR.match(line)):
            sections[-1][2][pair[1]] = pair[2].rstrip(",")
    for kind, which, pairs in sections:
        where = f"{name}: {kind} {which}"
        yield from topic_facts(which, pairs, where) if kind == "topic" else broker_facts(pairs, where)


def topics_text(text: Any, name: str) -> Iterator[Fact]:
    """kafka-topics.sh --describe."""
    for topic, partitions, copies, settings in TOPIC.findall(str(text)):
        if topic.startswith("__"):
            continue
        yield Fact(f"topics.{topic}.partitions", int(partitions), "read", f"{name}: {topic}")
        yield Fact(f"topics.{topic}.copies", int(copies), "read", f"{name}: {topic}")
        pairs = dict(pair.split("=", 1) for pair in settings.split(",") if "=" in pair)
        yield from topic_facts(topic, pairs, f"{name}: {topic}")


def _log_dirs(document: Any) -> bool:
    brokers = document.get("brokers") if isinstance(document, Mapping) else None
    return isinstance(brokers, list) and bool(brokers) and all(has("logDirs")(broker) for broker in brokers)


def _topics(document: Any) -> bool:
    return has("topics")(document) and isinstance(document["topics"], Mapping)


KAFKA: tuple[tuple[Any, Reader], ...] = (
    (lambda d: has("configs")(d) and isinstance(d["configs"], Mapping), configs),
    (_topics, topics),
    (_log_dirs, log_dirs),
    (lambda d: has("clusterId", "brokers")(d) and isinstance(d["brokers"], list), cluster),
    (lambda d: isinstance(d, str) and CONFIGURED.search(d) is not None, configs_text),
    (lambda d: isinstance(d, str) and TOPIC.search(d) is not None, topics_text),
)
__all__ = ["KAFKA", "broker_facts", "flag", "topic_facts"]
