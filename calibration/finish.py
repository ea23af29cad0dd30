"""From what was gathered to a recording: totals, queries in order, cuts, and what nobody told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from calibration import read_cloudwatch, read_prometheus
from calibration.cuts import cuts
from calibration.gather import Gathering
from calibration.observations import Batch
from calibration.quantities import NEEDS
from calibration.recording import Event, Query, Recording, Series, Untold

SKEW = 1.0  # seconds between clocks that are worth telling
VERSIONS = {
    "kafka": "kafka_server_app_info of jmx_exporter",
    "search": "GET / or GET /_nodes",
    "spark": "the event log, or spark_info of the Prometheus page",
}
JMX = ("jmx_exporter", "MSK")
LIMITS: dict[str, tuple[str, str, str, str, tuple[str, ...]]] = {
    # what a source cannot tell, by how its name begins: system, quantity, reason, what would, and which sources do
    "CloudWatch": ("kafka", "quantiles", "CloudWatch tells means over its period only", "JMX (Open Monitoring)", JMX),
    "jmx_exporter": ("kafka", "request parts below 1 ms", "the broker rounds them to whole ms", "none; use means", ()),
    "kafka_exporter": ("kafka", "bytes and requests", "kafka_exporter tells offsets and lag only", "jmx_exporter", JMX),
    "elasticsearch_exporter": (
        *("search", "pressure_rejections", "the exporter does not export them", "_nodes/stats"),
        ("_nodes/stats",),
    ),
    "Spark event log": ("spark", "CPU of Python workers", "Executor CPU Time is the JVM thread's", "process trees", ()),
    "Kafka Admin": ("kafka", "requests and CPU", "the Admin API tells offsets, sizes and settings only", "JMX", JMX),
}


def recording(into: Gathering) -> Recording:
    """The recording of all that was gathered."""
    read_prometheus.settle(into)
    read_cloudwatch.settle(into)
    series = _with_totals(into.series(), into)
    queries = _queries(into)
    made = Recording(
        name=into.name,
        series=tuple(sorted(series, key=lambda s: s.name)),
        queries=tuple(queries),
        tasks=tuple(sorted(_once(into.tasks, "tasks", into), key=lambda t: t.launch)),
        polls=tuple(sorted(into.polls.values(), key=lambda p: p.answered)),
        arrivals=dict(into.curves),
        stated=tuple(into.stated),
        events=tuple(sorted([*_events(into), *_restarts(series)], key=lambda e: e.t)),
        cuts=tuple(cuts(into, series, queries)),
        files=tuple(f.told() for f in into.files if f.samples),
        unused=tuple(left for f in into.files for left in f.left()),
        disturbed=bool(into.experiment and into.experiment.get("disturbed")),
        experiment=into.experiment,
        documents=into.documents,
    )
    made = replace(made, untold=tuple(_untold(made, into)))
    return replace(made, notes=(*into.notes, *_remarks(made, into)))


def _with_totals(series: list[Series], into: Gathering) -> list[Series]:
    """Where a broker tells a quantity by topic only, their sum beside it; a broker's own total is left alone."""
    bare = {(s.system, s.entity, s.quantity) for s in series if not s.labels}
    parts: dict[tuple[str, str, str], list[Series]] = {}
    for s in series:
        what = (s.system, s.entity, s.quantity)
        if s.system == "kafka" and set(s.labels) == {"topic"} and what not in bare and s.quantity != "topic_partitions":
            parts.setdefault(what, []).append(s)
    return series + [_sum(each) for each in parts.values()]


def _sum(parts: list[Series]) -> Series:
    """Topics added up at every time that any of them has; of a running total its growth, so that a topic that is
    deleted takes nothing away, and one that is new counts from zero."""
    t = np.unique(np.concatenate([s.t for s in parts]))
    value = np.zeros(len(t))
    for s in parts:
        own = s.counter().unwrapped() if s.kind == "counter" else s.value
        before = own[0] if s.t[0] == t[0] else 0.0
        value += np.interp(t, s.t, own, left=before, right=own[-1] if s.kind == "counter" else 0.0)
    files = tuple(dict.fromkeys(name for s in parts for name in s.files))
    return replace(parts[0], t=t, value=value, labels={}, files=files)


def _queries(into: Gathering) -> list[Query]:
    """Batches in order of trigger. A poll that found nothing reports the number of the batch that comes next; it is
    left out where that batch is there."""
    found = []
    for (name, id), batches in sorted(into.batches.items()):
        real = {(b.run, b.number) for b in batches.values() if not _idle(b)}
        kept = [b for b in batches.values() if not (_idle(b) and (b.run, b.number) in real)]
        if len(kept) < len(batches):
            into.note(f"{len(batches) - len(kept)} reports of triggers that found nothing are left out")
        files = tuple(into.batch_files[name, id])
        found.append(Query(name, id, tuple(sorted(kept, key=lambda b: b.trigger)), files))
    return found


def _once(found: Sequence[Any], what: str, into: Gathering) -> list[Any]:
    """Each once: the same log may have been given plain and in an archive."""
    unique = list(dict.fromkeys(found))
    if len(unique) < len(found):
        into.note(f"{len(found) - len(unique):,} {what} were there twice and count once")
    return unique


def _events(into: Gathering) -> list[Event]:
    return list({(e.t, e.kind, str(e.detail)): e for e in into.events}.values())


def _idle(batch: Batch) -> bool:
    return batch.records == 0 and "addBatch" not in batch.phases


def _restarts(series: Sequence[Series]) -> list[Event]:
    """Processes whose CPU seconds were found lower than before."""
    cpu = [s for s in series if s.quantity == "cpu_seconds" and not s.labels]
    return [Event(float(t), "restarted", {"system": s.system, "entity": s.entity}) for s in cpu for t in s.resets()]


def _untold(made: Recording, into: Gathering) -> list[Untold]:
    """What fits ask of the systems that were seen and no file told."""
    have = {(s.system, s.quantity) for s in made.series}
    seen = {s.system for s in made.series} | ({"spark"} if made.queries or made.tasks else set())
    seen |= {"process", "visible"} | ({"index"} if "search" in seen else set())
    have |= {("spark", "batches")} if made.queries else set()
    have |= {("spark", "tasks")} if made.tasks else set()
    have |= {("visible", "latency")} if made.polls else set()
    found = []
    for system, quantity, remedy in NEEDS:
        if system in seen and (system, quantity) not in have:
            found.append(Untold(system, quantity, _why(system, quantity, have, into), remedy))
    for system in sorted({"kafka", "search", "spark"} & seen):
        if made.setting(f"{system}.version") is None:
            found.append(Untold(system, "version", "no file states it", VERSIONS[system]))
    formats = sorted({s.format for s in made.series})
    for name, (*limit, others) in LIMITS.items():
        if any(f.startswith(name) for f in formats) and not any(f.startswith(others) for f in formats if others):
            found.append(Untold(*limit))
    return found


def _why(system: str, quantity: str, have: set[tuple[str, str]], into: Gathering) -> str:
    missed = sum(n for (s, q, _), n in into.absent.items() if (s, q) == (system, quantity))
    if missed:
        return f"missing or null in all of {missed} samples"
    if (system, f"{quantity}_per_second") in have:
        return "only its mean rate over a period is told, no running total"
    return "no file tells it"


def _remarks(made: Recording, into: Gathering) -> list[str]:
    told = []
    for (system, quantity, entity), missed in sorted(into.absent.items()):
        seen = into.present.get((system, quantity, entity), 0)
        if seen:
            told.append(f"{system} {entity} {quantity}: missing or null in {missed} of {missed + seen} samples")
    for clock, seconds in sorted(into.skews.items()):
        middle = float(np.median(np.frombuffer(seconds)))
        if abs(middle) > SKEW:
            way = "ahead of" if middle > 0 else "behind"
            told.append(f"the clock of {clock} is {abs(middle):.1f} s {way} the recorder's, whose times are taken")
    if into.tasks_left:
        told.append(f"{into.tasks_left:,} tasks beyond the first {len(into.tasks):,} are left out")
    failed: dict[tuple[str, str], int] = {}
    for _, source, why in into.errors:
        failed[source, why] = failed.get((source, why), 0) + 1
    told += [f"{source or 'a source'} failed {n} time(s): {why}" for (source, why), n in sorted(failed.items())][:20]
    return told + _apart(made)


def _apart(made: Recording) -> list[str]:
    """Systems whose times do not overlap: another day, another clock, or another zone."""
    spans: dict[str, tuple[float, float]] = {}
    for s in made.series:
        if len(s.t) and s.system not in ("process", "machine"):
            a, b = spans.get(s.system, (np.inf, -np.inf))
            spans[s.system] = min(a, float(s.t[0])), max(b, float(s.t[-1]))
    for query in made.queries:
        if query.batches:
            a, b = spans.get("spark", (np.inf, -np.inf))
            spans["spark"] = min(a, query.batches[0].trigger), max(b, query.batches[-1].end)
    names = sorted(spans)
    told = []
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            (a, b), (c, d) = spans[one], spans[other]
            if b < c or d < a:
                told.append(f"{one} ({clock(a)} to {clock(b)}) and {other} ({clock(c)} to {clock(d)}) do not overlap")
    return told


def clock(t: float) -> str:
    """A time as people read it, in UTC.

    >>> clock(1795418002.0)
    '2026-11-23 07:13:22Z'
    """
    return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
