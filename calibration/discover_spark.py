"""What Spark tells of itself: the environment of its REST interface, or a spark-defaults file's pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from calibration.discover import Fact, Reader, has, whole

DEFAULTS = re.compile(r"^\s*(spark\.[\w.]+)[\s=]+(.+?)\s*$", re.M)
SUBSCRIBED = re.compile(r"KafkaV\d\[Subscribe\[([^\]]+)\]\]")
CONNECTOR = re.compile(r"(?:Es|OpenSearch)SparkSqlStreamingSink|org\.(?:elasticsearch|opensearch)\.spark")
VERSIONS = ("3.5", "4.0", "4.1")
SIZES = {"k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}


def spark_facts(pairs: Mapping[str, Any], where: str) -> Iterator[Fact]:
    """Spark properties that a scenario holds."""
    counts = {
        "spark.executor.instances": "spark.executors", "spark.executor.cores": "spark.cores",
        "spark.sql.shuffle.partitions": "query.shuffle_partitions",
    }  # fmt: skip
    for key, path in counts.items():
        yield Fact(path, whole(pairs.get(key)), "read", f"{where}: {key}")
    for key, path in {
        "spark.executor.memory": "spark.heap",
        "spark.executor.memoryOverhead": "spark.memory_overhead",
    }.items():
        yield Fact(
            path, size(pairs.get(key), "b" if key == "spark.executor.memory" else "m"), "read", f"{where}: {key}"
        )
    store = str(pairs.get("spark.sql.streaming.stateStore.providerClass", ""))
    if store:
        yield Fact(
            "query.provider", "rocksdb" if "RocksDB" in store else "hdfs-backed", "read", f"{where}: providerClass"
        )
    location = str(pairs.get("spark.sql.streaming.checkpointLocation", ""))
    kinds = {"s3": "s3", "s3a": "s3", "s3n": "s3", "hdfs": "hdfs", "file": "local"}
    if ":" in location and (kind := kinds.get(location.split(":")[0])):
        yield Fact("query.checkpoint", kind, "read", f"{where}: checkpointLocation")
    if "checkpointFileManagerClass" in " ".join(pairs):
        manager = str(pairs.get("spark.sql.streaming.checkpointFileManagerClass", ""))
        yield Fact(
            "query.file_manager", "abortable" if "Abortable" in manager else "rename", "read", f"{where}: manager"
        )


def size(value: Any, unit: str) -> str | None:
    """`8g`, `512m`, `1024` (in `unit`) as a scenario writes a size; None if it is none.

    >>> size("8g", "b"), size("1024", "m"), size("8G", "b"), size(None, "m")
    ('8 GiB', '1024 MiB', '8 GiB', None)
    """
    match = re.fullmatch(r"\s*(\d+)\s*([kmgt]?)i?b?\s*", str(value).lower())
    if value is None or match is None:
        return None
    named = match[2] or unit
    return f"{match[1]} {SIZES.get(named, 'B')}"


def environment(document: Any, name: str) -> Iterator[Fact]:
    """GET /api/v1/applications/ID/environment."""
    told = document["sparkProperties"]
    pairs = dict(pair for pair in told if isinstance(pair, list) and len(pair) == 2) if isinstance(told, list) else told
    yield from spark_facts(pairs, f"{name}: sparkProperties")
    for pair in document.get("systemProperties") or []:
        if isinstance(pair, list) and len(pair) == 2 and "spark-core" in str(pair[1]):
            yield from spark_version(str(pair[1]), f"{name}: class path")


def applications(document: Any, name: str) -> Iterator[Fact]:
    """GET /api/v1/applications: the version that runs."""
    for one in document:
        for attempt in one.get("attempts") or []:
            yield from spark_version(str(attempt.get("appSparkVersion", "")), f"{name}: appSparkVersion")


def executors(document: Any, name: str) -> Iterator[Fact]:
    """GET /api/v1/applications/ID/executors: what runs now but the driver; inferred, as allocation may be dynamic."""
    running = [one for one in document if one.get("id") != "driver" and one.get("isActive", True)]
    cores = {whole(one.get("totalCores")) for one in running} - {None, 0}
    if running and len(cores) == 1:
        yield Fact("spark.executors", len(running), "inferred", f"{name}: executors that run now")
        yield Fact("spark.cores", cores.pop(), "inferred", f"{name}: totalCores of each")


def progress(document: Any, name: str) -> Iterator[Fact]:
    """StreamingQueryProgress: topic, sink and state of a query as far as its descriptions say."""
    sources = [str(source.get("description", "")) for source in document["sources"] if isinstance(source, Mapping)]
    topics = [match[1] for text in sources if (match := SUBSCRIBED.search(text))]
    if len(topics) == 1 and "," not in topics[0]:
        yield Fact("query.topic", topics[0], "read", f"{name}: sources.description")
    sink = str((document.get("sink") or {}).get("description", ""))
    if CONNECTOR.search(sink):
        yield Fact("query.sink.kind", "jvm-connector", "inferred", f"{name}: sink {sink.split('@')[0][:60]}")
    for operator in document.get("stateOperators") or []:
        where = f"{name}: stateOperators"
        yield Fact("query.shuffle_partitions", whole(operator.get("numShufflePartitions")), "read", where)
        custom = " ".join(operator.get("customMetrics") or {})
        yield Fact("query.provider", "rocksdb" if "rocksdb" in custom.lower() else "hdfs-backed", "inferred", where)
        yield Fact("query.stateful", True, "read", where)


def spark_version(text: str, where: str) -> Iterator[Fact]:
    """The version in a text, if a scenario knows it."""
    for version in VERSIONS:
        if re.search(rf"(?<!\d){re.escape(version)}(?:\.\d+)?(?!\d)", text):
            yield Fact("spark.version", version, "read", where)
            return


def defaults_text(text: Any, name: str) -> Iterator[Fact]:
    """spark-defaults.conf."""
    yield from spark_facts(dict(DEFAULTS.findall(str(text))), name)


def _applications(document: Any) -> bool:
    return isinstance(document, list) and bool(document) and all(has("attempts", "id")(one) for one in document)


def _executors(document: Any) -> bool:
    return (
        isinstance(document, list) and bool(document) and all(has("id", "hostPort", "totalCores")(d) for d in document)
    )


SPARK: tuple[tuple[Any, Reader], ...] = (
    (has("sparkProperties"), environment),
    (_applications, applications),
    (_executors, executors),
    (lambda d: has("batchId", "sources")(d) and isinstance(d["sources"], list), progress),
    (lambda d: isinstance(d, str) and DEFAULTS.search(d) is not None, defaults_text),
)
