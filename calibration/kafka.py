"""A Kafka broker through its JMX exporter: one Prometheus text a scrape.

A family appears without labels (the broker's total) and with a `topic`; the total is read. Request
time histograms are rounded to whole milliseconds by the broker and are left alone here. Names are
those of Strimzi's rules (`…_total`); the stock exporter drops the `_total` of some, so both are tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calibration.observations import Counter, ObservationError, counter, json_lines, read_json

_LINE = re.compile(r"^([a-zA-Z_:][\w:]*)(\{.*\})?\s+(\S+)(?:\s+\d+)?$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_PREFIX = "kafka_server_brokertopicmetrics_"
QUANTITIES = {
    "bytes_in": f"{_PREFIX}bytesin",
    "bytes_out": f"{_PREFIX}bytesout",
    "records_in": f"{_PREFIX}messagesin",
    "produce_requests": f"{_PREFIX}totalproducerequests",
    "fetch_requests": f"{_PREFIX}totalfetchrequests",
    "cpu_seconds": "process_cpu_seconds",
}


@dataclass(frozen=True)
class Point:
    """One line of a Prometheus text."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Broker:
    """A broker's counters over the scrapes; `log_bytes` is the last size of the topic's logs on it."""

    counters: Mapping[str, Counter]
    log_bytes: float


def parse_exposition(text: str) -> Iterable[Point]:
    """Points of a Prometheus exposition text; comments and what is no number are passed over.

    >>> list(parse_exposition('a_total{topic="x"} 3.0'))
    [Point(name='a_total', labels={'topic': 'x'}, value=3.0)]
    """
    for line in text.splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        yield Point(match[1], dict(_LABEL.findall(match[2] or "")), value)


def _total(points: list[Point], family: str, topic: str) -> float | None:
    """The broker's own total of a family, else its topic's (a broker that has seen one topic gives both)."""
    named = [p for p in points if p.name in (family, f"{family}_total")]
    bare = [p.value for p in named if not p.labels]
    labelled = [p.value for p in named if p.labels.get("topic") == topic]
    return bare[0] if bare else (labelled[0] if labelled else None)


def read_broker(path: Path, topic: str) -> Broker:
    """The counters of one broker from a file of scrapes {"t": epoch seconds, "text": exposition}.

    A family that a scrape does not show leaves a hole in that counter, not a zero.
    """
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in (*QUANTITIES, "pauses", "pause_seconds")}
    log_bytes = 0.0
    for line in json_lines(path):
        points = list(parse_exposition(line["text"]))
        values = {name: _total(points, family, topic) for name, family in QUANTITIES.items()}
        values["pauses"] = _sum(points, "jvm_gc_collection_seconds_count")
        values["pause_seconds"] = _sum(points, "jvm_gc_collection_seconds_sum")
        for name, value in values.items():
            if value is not None:
                seen[name].append((line["t"], value))
        log_bytes = _sum([p for p in points if p.labels.get("topic") == topic], "kafka_log_log_size") or log_bytes
    short = [name for name, rows in seen.items() if len(rows) < 2]
    if short:
        raise ObservationError(f"{path.name}: fewer than two scrapes state {', '.join(short)}; a counter needs two")
    made = {name: counter(f"broker {name}", [t for t, _ in rows], [v for _, v in rows]) for name, rows in seen.items()}
    return Broker(made, log_bytes)


def _sum(points: list[Point], name: str) -> float | None:
    values = [p.value for p in points if p.name == name]
    return sum(values) if values else None


def read_log_dirs(path: Path) -> float:
    """Bytes of all logs in a `{directory: {"bytes": n}}` file [bytes]."""
    return float(sum(entry["bytes"] for entry in read_json(path).values()))
