"""What an answer is, told by its content: the shapes of the systems' own JSON, and envelopes around them.

`samples` takes one JSON value as it lay in a file and gives `Sample`s: what kind of answer, its content,
and the time that an envelope around it states. An envelope may be anything that a client puts around an
answer, a few levels deep, even the answer as a string.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from calibration.formats_json import parse

Json = Any
TIMES = ("t", "time", "ts", "timestamp", "@timestamp", "epoch", "date", "Time", "Timestamp", "collected_at", "at")
INNER = ("body", "text", "data", "response", "result", "answer", "payload", "message", "content", "value", "_source")
HINTED = {  # kinds that a recorder names and whose shape alone would not tell
    *("kafka_cluster", "kafka_groups", "cat_nodes", "cat_allocation", "spark_applications", "spark_environment"),
    *("spark_streaming_statistics", "prometheus_families", "end"),
}
SINCE, UNTIL = 946684800.0, 4102444800.0  # 2000 and 2100: a number outside is no time of a recording
ENVELOPES = 5  # levels of wrapping
_NUMBER = r"[-+]?(?:\d[\d.eE+-]*|\.\d+|Inf|NaN)"
_SAMPLE = rf"[a-zA-Z_:][\w:]*(?:\{{.*\}})?[ \t]+{_NUMBER}(?:[ \t]+-?[\d.]+)?(?:[ \t]+#.*)?[ \t\r]*"
EXPOSITION = re.compile(rf"^(?:# (?:HELP|TYPE|UNIT) [a-zA-Z_:].*|{_SAMPLE})$", re.MULTILINE)  # a line of a scrape


@dataclass(frozen=True)
class Sample:
    """One answer: its kind, content, time [epoch s] (None: not stated), and who was asked ("": not said)."""

    kind: str
    body: Json
    t: float | None
    source: str = ""


def epoch(value: Any) -> float | None:
    """A time as seconds since 1970: a number in s, ms, µs or ns, or ISO text (without a zone: UTC); None if none.

    >>> epoch(1795418002.5), epoch(1795418002500), epoch("2026-11-23T07:13:22.500Z"), epoch(12)
    (1795418002.5, 1795418002.5, 1795418002.5, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        try:
            return epoch(float(text))
        except ValueError:
            return _iso(text)
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    for unit in (1.0, 1e3, 1e6, 1e9):
        if SINCE <= value / unit < UNTIL:
            return value / unit
    return None


def _iso(text: str) -> float | None:
    if not 10 <= len(text) <= 40 or not text[:4].isdigit():
        return None
    try:
        at = datetime.fromisoformat(text.replace(" UTC", "+00:00").replace("Z", "+00:00").replace("/", "-"))
    except ValueError:
        return None
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    seconds = at.timestamp()
    return seconds if SINCE <= seconds < UNTIL else None


def exposition(text: str) -> bool:
    """Whether a text is Prometheus exposition: a line of it near the beginning."""
    return EXPOSITION.search(text[:4000]) is not None


# shapes --------------------------------------------------------------------------------------------


def _dicts(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(v, Mapping) for v in value.values())


def _nodes(body: Mapping[str, Any], *parts: str) -> bool:
    nodes = body.get("nodes")
    return isinstance(nodes, Mapping) and any(
        isinstance(n, Mapping) and any(p in n for p in parts) for n in nodes.values()
    )


def _matrix(body: Mapping[str, Any], kind: str) -> bool:
    data = body.get("data") if "data" in body else body
    return isinstance(data, Mapping) and data.get("resultType") == kind and isinstance(data.get("result"), list)


def _rows(value: Any, *keys: str) -> bool:
    return (
        isinstance(value, list) and bool(value) and isinstance(value[0], Mapping) and all(k in value[0] for k in keys)
    )


def _poll(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(v, int | float) and epoch(v) is not None for v in value[:2])
        and isinstance(value[2], dict)
    )


def _librdkafka(body: Mapping[str, Any]) -> bool:
    whole = {"client_id", "type", "brokers"} <= body.keys() and body["type"] in ("producer", "consumer")
    return whole or {"tx", "txmsgs", "rtt"} <= body.keys()


NODE_PARTS = ("indices", "jvm", "process", "thread_pool", "fs")
DICTS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "nodes_stats": lambda b: _nodes(b, *NODE_PARTS) and not _nodes(b, "version"),
    "nodes_info": lambda b: _nodes(b, "version"),
    "index_stats": lambda b: isinstance(b.get("_all"), Mapping) and "primaries" in b["_all"],
    "lab_index_end": lambda b: "primaries" in b and "docs" in (b["primaries"] or {}) and "_all" not in b,
    "cluster_health": lambda b: {"cluster_name", "status", "number_of_nodes"} <= b.keys(),
    "cluster_stats": lambda b: isinstance(b.get("nodes"), Mapping) and {"count", "versions"} <= b["nodes"].keys(),
    "cluster_settings": lambda b: "persistent" in b and "transient" in b,
    "index_settings": lambda b: _dicts(b) and all(isinstance(v.get("settings"), Mapping) for v in b.values()),
    "root": lambda b: "tagline" in b and isinstance(b.get("version"), Mapping),
    "tasks": lambda b: _nodes(b, "tasks"),
    "progress": lambda b: "batchId" in b and "durationMs" in b,
    "eventlog": lambda b: isinstance(b.get("Event"), str),
    "spark_environment": lambda b: isinstance(b.get("sparkProperties"), list),
    "spark_version": lambda b: b.keys() == {"spark"} and isinstance(b["spark"], str),
    "prometheus_range": lambda b: _matrix(b, "matrix"),
    "prometheus_instant": lambda b: _matrix(b, "vector"),
    "cloudwatch": lambda b: isinstance(b.get("MetricDataResults"), list),
    "cloudwatch_queries": lambda b: isinstance(b.get("MetricDataQueries"), list),
    "cloudwatch_statistics": lambda b: "Datapoints" in b and "Label" in b,
    "procs": lambda b: isinstance(b.get("procs"), Mapping),
    "librdkafka": _librdkafka,
    "kafka_log_dirs": lambda b: isinstance(b.get("brokers"), list) and _rows(b["brokers"], "broker", "logDirs"),
    "kafka_offsets": lambda b: _dicts(b.get("offsets")),
    "kafka_configs": lambda b: _dicts(b.get("configs")),
    "kafka_topics": lambda b: _dicts(b.get("topics")) and "offsets" not in b,
    "lab_experiment": lambda b: {"name", "type"} <= b.keys() and ("plan" in b or "bulk" in b) and "brokers" not in b,
    "lab_producer": lambda b: {"sent", "t0", "ack_s"} <= b.keys(),
    "lab_bulk": lambda b: {"t_measured_from", "docs", "bulk_s"} <= b.keys(),
    "lab_outcome": lambda b: {"expected", "visible"} <= b.keys(),
    "lab_log_dirs": lambda b: (
        _dicts(b) and all(v.keys() == {"bytes"} or ("bytes" in v and len(v) <= 3) for v in b.values())
    ),
    "imported": lambda b: "floodmark_imported" in b,
    "header": lambda b: "floodmark_recording" in b,
    "error": lambda b: ("error" in b and ("status" in b or "errorType" in b)) or b.get("kind") == "error",
}
LISTS: dict[str, Callable[[Any], bool]] = {
    "cat_shards": lambda v: _rows(v, "shard", "prirep"),
    "cat_indices": lambda v: _rows(v, "index", "pri", "rep"),
    "cat_allocation": lambda v: _rows(v, "shards", "disk.total"),
    "spark_applications": lambda v: _rows(v, "id", "attempts"),
    "cat_nodes": lambda v: _rows(v, "ip", "name") and "shard" not in v[0],
    "spark_executors": lambda v: _rows(v, "id", "hostPort", "maxMemory"),
    "cloudwatch_queries": lambda v: _rows(v, "Id") and ("MetricStat" in v[0] or "Expression" in v[0]),
    "lab_events": lambda v: _rows(v, "t", "kind") and "body" not in v[0] and "text" not in v[0],
    "visible": _poll,
}


KINDS = HINTED | set(DICTS) | set(LISTS)


def recognise(value: Json) -> str | None:
    """The kind of an answer, None where its shape is none that is read."""
    shapes: Mapping[str, Callable[[Any], bool]] = DICTS if isinstance(value, Mapping) else LISTS
    if not isinstance(value, Mapping | list):
        return None
    for kind, fits in shapes.items():
        try:
            if fits(value):
                return kind
        except (TypeError, KeyError, AttributeError):
            continue
    return None


# envelopes -----------------------------------------------------------------------------------------


def samples(value: Json, t: float | None = None, source: str = "", level: int = 0) -> Iterator[Sample]:
    """The answers in a JSON value, envelopes opened; nothing if no part of it is known."""
    if isinstance(value, str):
        yield from _text(value, t, source, level)
        return
    kind = recognise(value)
    if isinstance(value, Mapping):
        t, source = _time(value, t), _source(value, source)
        hint = value.get("kind")
        if isinstance(hint, str) and hint in KINDS and isinstance(value.get("body"), Mapping | list):
            yield Sample(hint, value["body"], t, source)
        elif kind is not None:
            yield Sample(kind, value, t, source)
        elif level < ENVELOPES:
            yield from _inside(value, t, source, level)
    elif isinstance(value, list):
        if kind is not None:
            yield Sample(kind, value, t, source)
        elif level < ENVELOPES:
            for item in value:
                yield from samples(item, t, source, level + 1)


def _inside(value: Mapping[str, Any], t: float | None, source: str, level: int) -> Iterator[Sample]:
    """What is in an envelope: the usual places first, and the others only where those hold nothing."""
    for names in (INNER, [k for k in value if k not in INNER][:64]):
        found = False
        for name in names:
            if isinstance(value.get(name), Mapping | list | str):
                for sample in samples(value[name], t, source, level + 1):
                    found = True
                    yield sample
        if found:
            return


def _text(value: str, t: float | None, source: str, level: int) -> Iterator[Sample]:
    start = value.lstrip()[:1]
    if start in ("{", "[") and level < ENVELOPES and len(value) > 1:
        try:
            yield from samples(parse(value.strip()), t, source, level + 1)
        except ValueError:
            return
    elif exposition(value):
        yield Sample("prometheus_text", value, t, source)


def _time(value: Mapping[str, Any], t: float | None) -> float | None:
    """The time that an envelope states; the outermost wins, as it says when the answer was taken."""
    if t is not None:
        return t
    return next((at for at in (epoch(value.get(name)) for name in TIMES) if at is not None), None)


def _source(value: Mapping[str, Any], source: str) -> str:
    own = value.get("source")
    return own if isinstance(own, str) and not source and len(own) <= 200 else source
