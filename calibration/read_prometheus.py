"""Prometheus: scrapes as text, and answers of range queries.

A scrape is taken apart by prometheus_client, line by line where some lines are broken. One that states no time
tells no rate and is left out. In a range query each series carries its target; a result without a metric
name (what rate() and sum() return) cannot be told apart and is left out. Process metrics say nothing of which
process they are: what else its target shows decides, and an exporter's own are passed over.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from calibration.formats_kinds import Sample, epoch
from calibration.formats_prometheus import PREFIXES, TIMES, VERSIONS, Rule, rules
from calibration.gather import File, Gathering, clean, number, shown
from calibration.secrets import redact_text as redact

_WANTED = re.compile(rf"^((?:{'|'.join(PREFIXES)})[\w:]*)[^\n]*$", re.MULTILINE | re.IGNORECASE)
_EXEMPLAR = re.compile(r"\s# \{.*$")
VIRTUAL = ("lo", "veth", "ram", "dm-", "docker", "br-", "cali")  # devices whose bytes are another's
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Point:
    """One sample of a scrape; `t` where its line states one."""

    name: str
    labels: Labels
    value: float
    t: float | None = None


def parsed(text: str) -> tuple[list[Point], int]:
    """The points of a scrape that any rule wants, and how many of those lines could not be read.

    >>> parsed('kafka_brokers 3.0\\nother 1\\nkafka_brokers{ 3')
    ([Point(name='kafka_brokers', labels={}, value=3.0, t=None)], 1)
    """
    wanted = []
    for match in _WANTED.finditer(text):
        line, name = match[0], match[1]
        if name in VERSIONS or name in TIMES or any(rule.may_fit(line) for rule in rules(name)):
            wanted.append(_EXEMPLAR.sub("", line.rstrip("\r")))
    try:
        return list(_points("\n".join(wanted) + "\n")), 0
    except (ValueError, KeyError, IndexError, TypeError):
        return _one_by_one(wanted)


def _points(text: str) -> Iterator[Point]:
    from prometheus_client.parser import text_string_to_metric_families

    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            at = sample.timestamp
            t = None if at is None else epoch(float(at)) or epoch(float(at) * 1000)  # OpenMetrics writes seconds
            yield Point(sample.name, sample.labels, float(sample.value), t)


def _one_by_one(lines: Iterable[str]) -> tuple[list[Point], int]:
    found: list[Point] = []
    broken = 0
    for line in lines:
        try:
            found += _points(line + "\n")
        except (ValueError, KeyError, IndexError, TypeError):
            broken += 1
    return found, broken


def text(sample: Sample, into: Gathering) -> None:
    """One scrape."""
    points, broken = parsed(sample.body)
    if broken:
        into.file.remark("some lines of scrapes are broken and left out")
    if not points:
        into.skip("scrapes that show none of the metrics that are read")
        return
    unique = {(p.name, tuple(sorted(p.labels.items())), p.t): p for p in points}
    if len(unique) < len(points):
        into.file.remark("a scrape shows the same series twice (two in one sample?); the later is kept")
    own = next((epoch(p.value) for p in points if p.name in TIMES), None)
    t = sample.t if sample.t is not None else own
    if sample.t is not None and own is not None:
        into.skew(f"host {sample.source or into.file.entity}", own - sample.t)
    if t is None and any(p.t is None for p in unique.values()):
        into.skip('scrapes without a time, which tell no rate; wrap each as {"t": epoch seconds, "text": ...}')
        return
    scrape = _Scrape(into, t, sample.source or into.file.entity)
    scrape.take(unique.values())
    if not sample.source and any(what[1] == into.file.entity for what in scrape.sums):
        into.file.remark("nothing in it names whom it speaks of: called after the file")


class _Scrape:
    """One scrape's points summed by what they are, then added."""

    def __init__(self, into: Gathering, t: float | None, entity: str) -> None:
        self.into, self.t, self.entity = into, t, entity
        self.sums: dict[tuple[Any, ...], float] = {}
        self.dialects: set[str] = set()

    def take(self, points: Iterable[Point]) -> None:
        held = list(points)
        java = _owner(p.name for p in held)
        for point in held:
            if point.name in VERSIONS:
                _version(point.name, point.labels, self.entity, self.t, self.into)
            for rule in rules(point.name):
                if rule.fits(point.labels) and _counts(rule, point.labels):
                    self.point(rule, point, java)
        for (system, entity, quantity, labels, dialect, rank, t), value in self.sums.items():
            self.into.add(system, entity, quantity, t, value, labels, format=dialect, rank=rank)
        for dialect in sorted(self.dialects):
            self.into.file.saw(dialect, self.t)

    def point(self, rule: Rule, point: Point, java: str | None) -> None:
        system = java if rule.system == "java" else rule.system
        value = point.value * rule.scale
        if system is None or not math.isfinite(value) or not sensible(rule, value, self.into):
            return
        t = point.t if point.t is not None else self.t
        entity = entity_of(rule, point.labels, self.entity)
        key = (system, entity, rule.quantity, labels_of(rule, point.labels), rule.dialect, rule.rank, t)
        self.sums[key] = self.sums.get(key, 0.0) + value
        self.dialects.add(rule.dialect)


def _owner(names: Iterable[str]) -> str | None:
    """Which system's process a scrape's own metrics are of; None for an exporter that is a process beside it."""
    system, java = None, False
    for name in names:
        lower = name.lower()
        java = java or lower.startswith(("jvm_", "java_lang_"))
        if lower.startswith(("kafka_server_", "kafka_network_", "kafka_log_")):
            system = "kafka"
        elif lower.startswith("metrics_"):
            system = system or "spark"
    return system if java or system == "kafka" else None


def sensible(rule: Rule, value: float, into: Gathering) -> bool:
    """False for what a metric says when it cannot tell: a negative size, a share of time above one."""
    if value < 0:
        return False
    if rule.quantity.endswith("idle_fraction") and value > 1.001:
        into.file.remark("request handlers' idle share is above 1 (broker and controller in one add up); left out")
        return False
    return True


def _counts(rule: Rule, labels: Labels) -> bool:
    """False for series that sum others: a pod's own cgroup beside its containers', virtual devices."""
    if rule.dialect == "cAdvisor":
        pod = "pod" in labels or "pod_name" in labels
        named = labels.get("container", labels.get("container_name", ""))
        return (named not in ("", "POD")) if pod else bool(labels.get("name") or labels.get("container"))
    device = labels.get("device", "")
    return not (
        rule.dialect == "node_exporter" and device.startswith(("lo", "veth", "ram", "dm-", "docker", "br-", "cali"))
    )


def entity_of(rule: Rule, labels: Labels, default: str) -> str:
    """Whom the sample speaks of: by its labels, else whoever was asked."""
    for name in rule.entity:
        if name.startswith("="):
            return name[1:]
        if labels.get(name) and not rule.cluster:
            return labels[name]
    return (
        labels.get(rule.entity[0], "cluster")
        if rule.cluster and rule.entity == ("cluster",)
        else ("cluster" if rule.cluster else default)
    )


def labels_of(rule: Rule, labels: Labels) -> tuple[tuple[str, str], ...]:
    """The labels that are kept, under our names."""
    kept = {ours: labels[theirs] for theirs, ours in rule.keep.items() if labels.get(theirs)}
    lower = {key.lower(): value for key, value in labels.items()} if len(kept) < len(rule.keep) else {}
    kept |= {ours: lower[theirs] for theirs, ours in rule.keep.items() if ours not in kept and lower.get(theirs)}
    if "quantile" in kept:
        share = number(kept["quantile"])
        kept["quantile"] = f"{share:g}" if share is not None else kept["quantile"]
    return tuple(sorted({**kept, **rule.fixed}.items()))


def _version(name: str, labels: Labels, entity: str, t: float | None, into: Gathering) -> None:
    """The system's version: stated when it is first seen, and when an entity (a rolling upgrade) shows another than it
    did. Entities that differ from the start are a note."""
    label, key = VERSIONS[name]
    version = labels.get(label)
    if not version:
        return
    before = into.memory.get((key, entity))
    into.memory[key, entity] = version
    if key not in into.last or before not in (None, version):
        into.state(key, version, t)
    elif before is None and into.last[key] != shown(version):
        into.note(f"{key}: {into.last[key]} and {clean(version)} run side by side")


# range queries -------------------------------------------------------------------------------------


def matrix(sample: Sample, into: Gathering) -> None:
    """All series of a range query's answer; what differs in labels that are not kept is summed where all are there."""
    body = sample.body
    data = body.get("data", body)
    for warning in list(body.get("warnings") or [])[:3]:
        into.file.remark(f"Prometheus warns: {redact(str(warning))[:200]}")
    sums: dict[tuple[Any, ...], dict[float, list[float]]] = {}
    counts = 0
    for series in data["result"]:
        rows = (
            series.get("values") or ([series["value"]] if "value" in series else [])
            if isinstance(series, Mapping)
            else []
        )
        counts += _series(series, rows, sums, into) if rows else 0
    for (system, entity, quantity, labels, dialect, rank), by_time in sums.items():
        _summed(into, (system, entity, quantity), labels, dialect, rank, by_time)
    if not data["result"]:
        into.skip("range queries that found no series")
    elif not counts:
        into.skip("a range query's answer without any of the metrics that are read")


def _series(series: Mapping[str, Any], rows: list[Any], sums: dict[Any, Any], into: Gathering) -> int:
    labels = {str(k): str(v) for k, v in (series.get("metric") or {}).items()}
    name = labels.pop("__name__", "")
    if not name:
        into.skip("results without a metric name (rate() and sum() drop it); query the plain metric instead")
        return 0
    if name in VERSIONS:
        _version(name, labels, labels.get("pod") or labels.get("instance") or "", epoch(rows[0][0]), into)
    found = [rule for rule in rules(name) if rule.fits(labels) and _counts(rule, labels)]
    if not found:
        if not rules(name) and name not in VERSIONS:
            into.skip("series of metrics that are not read")
        return 0
    times = [(epoch(row[0]), number(row[1])) for row in rows if isinstance(row, list) and len(row) == 2]
    for rule in found:
        entity = entity_of(rule, labels, into.file.entity)
        if rule.system == "kafka" and not rule.cluster:
            into.memory.setdefault("brokers", set()).add(entity)
        key = (rule.system, entity, rule.quantity, labels_of(rule, labels), rule.dialect, rule.rank)
        mine = sums.setdefault(key, {})
        for t, value in times:
            if t is not None and value is not None and sensible(rule, value * rule.scale, into):
                at = mine.setdefault(t, [0.0, 0])
                at[0] += value * rule.scale
                at[1] += 1
    edges = [t for t, _ in times if t is not None]
    for t in {min(edges), max(edges)} if edges else ():
        into.file.saw(f"range query ({found[0].dialect})", t)
    into.file.samples += max(len(edges) - 2, 0)
    return 1


def _summed(
    into: Gathering,
    whose: tuple[str, str, str],
    labels: tuple[tuple[str, str], ...],
    dialect: str,
    rank: int,
    by_time: Mapping[float, list[float]],
) -> None:
    """Times at which fewer series were there than at most would be a false fall of the sum: they are left out."""
    full = max((n for _, n in by_time.values()), default=0)
    whole = [(t, value) for t, (value, n) in by_time.items() if n == full]
    if len(whole) < len(by_time):
        into.file.remark("sums over partitions, cores or containers skip times at which some of them are missing")
    system, entity, quantity = whose
    for t, value in whole:
        if system == "java":
            into.memory.setdefault("java", []).append((entity, quantity, t, value, dialect, rank, into.file.name))
        else:
            into.add(system, entity, quantity, t, value, labels, format=dialect, rank=rank)


def settle(into: Gathering) -> None:
    """Gives process metrics of range queries to the broker whose target they are of, once all files were read."""
    brokers = into.memory.get("brokers", set())
    others: set[str] = set()
    for entity, quantity, t, value, dialect, rank, file in into.memory.pop("java", []):
        into.file = File(file)
        if entity in brokers:
            into.add("kafka", entity, quantity, t, value, format=dialect, rank=rank)
        else:
            others.add(entity)
    if others:
        into.note(
            f"process metrics of {len(others)} target(s) are not used: no broker's metric has the same target, "
            "so nothing says whose process it is"
        )


READERS = {"prometheus_text": text, "prometheus_range": matrix, "prometheus_instant": matrix}
