"""Where a recording must be cut: what the stack was before is not what it is after.

A fit over a change of version, settings, nodes, partitions or replicas would average two stacks; while a
reindex or a force-merge runs, the index does work that no load asked for. A restart is no cut: it is
an event, and the fit knows warm-up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from calibration.gather import Gathering
from calibration.observations import Batch
from calibration.recording import Cut, Event, Query, Series

SIZES = {
    # gauges whose change is a change of the stack
    ("search", "nodes"): "nodes",
    ("search", "data_nodes"): "data nodes",
    ("kafka", "brokers"): "brokers",
    ("kafka", "topic_partitions"): "partitions",
    ("index", "primaries"): "primary shards",
    ("index", "replicas"): "replica shards",
    ("kafka", "heap_max_bytes"): "heap",
    ("search", "heap_max_bytes"): "heap",
}
LEAST = {"heap": 0.05}  # some collectors count a survivor space or not: a smaller change is no setting's
LATE = 30.0  # seconds: an entity that joins or leaves by less is the order of sampling


def cuts(into: Gathering, series: Sequence[Series], queries: Sequence[Query]) -> list[Cut]:
    """All cuts in order of time, each once."""
    found = [
        *_statements(into),
        *_sizes(series),
        *_answers(into),
        *_membership(into, series),
        *_partitions(queries),
        *_force_merges(series),
        *_reindexes(series),
        *_seen_tasks(into.events),
    ]
    unique = {(round(c.t, 3), c.system, c.why): c for c in found}
    return sorted(unique.values(), key=lambda c: (c.t, c.why))


def _statements(into: Gathering) -> Iterable[Cut]:
    last: dict[str, object] = {}
    for one in into.stated:
        if one.key in last and last[one.key] != one.value:
            system = one.key.replace(" ", ".").split(".")[0]
            if one.t is None:
                into.note(
                    f"{one.key} changes from {last[one.key]} to {one.value}, and nothing says when: not cut there"
                )
            else:
                yield Cut(one.t, system, f"{one.key} {last[one.key]} → {one.value}")
        last[one.key] = one.value


def _sizes(series: Sequence[Series]) -> Iterable[Cut]:
    for s in series:
        name = SIZES.get((s.system, s.quantity))
        if name is None or s.kind == "mean":
            continue
        whose = s.labels.get("topic") or s.entity
        change = np.abs(np.diff(s.value))
        for i in np.flatnonzero(change > LEAST.get(name, 0.0) * s.value[:-1]):
            why = f"{name} of {whose} {s.value[i]:g} → {s.value[i + 1]:g}"
            yield Cut(float(s.t[i]), s.system, why, end=float(s.t[i + 1]))


def _answers(into: Gathering) -> Iterable[Cut]:
    """Nodes in one file's answers: a node that comes or goes."""
    for by_time in into.nodes.values():
        before: tuple[float, frozenset[str]] | None = None
        for t in sorted(by_time):
            now = by_time[t]
            if before is not None and now != before[1] and (len(now) > 1 or len(before[1]) > 1):
                came, went = sorted(now - before[1]), sorted(before[1] - now)
                told = [*(f"{n} came" for n in came[:4]), *(f"{n} went" for n in went[:4])]
                yield Cut(before[0], "search", f"nodes {len(before[1])} → {len(now)}: {', '.join(told)}", end=t)
            before = t, now


def _membership(into: Gathering, series: Sequence[Series]) -> Iterable[Cut]:
    """Brokers and nodes that are each recorded by themselves: one that begins late or ends early."""
    together = any(len(names) > 1 for by_time in into.nodes.values() for names in by_time.values())
    for system in ("kafka",) if together else ("kafka", "search"):
        mine = [s for s in series if s.system == system and s.quantity == "cpu_seconds" and len(s.t) > 1]
        if len(mine) < 2:
            continue
        start, end = min(s.t[0] for s in mine), max(s.t[-1] for s in mine)
        for s in mine:
            slack = max(3 * s.resolution, LATE)
            if s.t[0] > start + slack:
                yield Cut(float(s.t[0]), system, f"{s.entity} is first seen")
            if s.t[-1] < end - slack:
                yield Cut(float(s.t[-1]), system, f"{s.entity} is last seen")


def _partitions(queries: Sequence[Query]) -> Iterable[Cut]:
    for query in queries:
        before: Batch | None = None
        for batch in query.batches:
            if before is not None and batch.end_offsets and len(batch.end_offsets) != len(before.end_offsets):
                why = f"partitions that a query reads {len(before.end_offsets)} → {len(batch.end_offsets)}"
                yield Cut(batch.trigger, "spark", why)
            before = batch if batch.end_offsets else before


def _force_merges(series: Sequence[Series]) -> Iterable[Cut]:
    for s in series:
        if (s.system, s.quantity) == ("search", "force_merges"):
            for i in np.flatnonzero(np.diff(s.value) > 0):
                yield Cut(float(s.t[i]), "search", f"force-merge on {s.entity}", end=float(s.t[i + 1]))


def _reindexes(series: Sequence[Series]) -> Iterable[Cut]:
    """Scrolls on one index while documents arrive in another that is new: what a reindex looks like in counters."""
    index = [s for s in series if s.system == "index"]
    scrolls = [s for s in index if s.quantity == "scrolls" and len(s.t) > 1]
    if not scrolls:
        return
    begin = min(float(s.t[0]) for s in index)
    young = [s for s in index if s.quantity == "documents" and len(s.t) > 1 and s.t[0] > begin + LATE]
    for read in scrolls:
        for i in np.flatnonzero(np.diff(read.value) > 0):
            start, end = float(read.t[i]), float(read.t[i + 1])
            for written in young:
                within = (written.t >= start) & (written.t <= end)
                if (
                    written.entity != read.entity
                    and within.sum()
                    and np.ptp(written.value[within | (written.t > end)]) > 0
                ):
                    why = f"reindex by the look of it: scrolls on {read.entity} while {written.entity} is new and fills"
                    yield Cut(start, "search", why, end=end)


def _seen_tasks(events: Sequence[Event]) -> Iterable[Cut]:
    """Reindexes and force-merges that `_tasks` showed, each from its begin to when it was last seen."""
    spans: dict[tuple[str, float], float] = {}
    for event in events:
        if event.kind in ("reindex", "force_merge"):
            begun = float(event.detail.get("begun") or event.t)
            spans[event.kind, begun] = max(event.t, spans.get((event.kind, begun), event.t))
    for (kind, begun), end in spans.items():
        yield Cut(begun, "search", kind.replace("_", "-"), end=end)
