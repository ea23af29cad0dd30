"""A recording: what was seen of one stack over some time, whatever it was read from.

A `Series` is one quantity of one entity (a broker, a node, a process) over time: a running total, a
value at each sample, or a mean over a period. A `Query` is one streaming query with its batches. A
`Recording` holds those of one stack, with what the files said of its settings, the places where it must
be cut, and lists of what was read, what was not used, and what nobody told.

`calibration/quantities.py` names the quantities and their units. Readers make recordings
(`importer.py`); fits take them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from calibration.observations import (
    Batch,
    Counter,
    Curve,
    Floats,
    Gauge,
    ObservationError,
    Poll,
    Processes,
    Task,
    counter,
)

Kind = Literal["counter", "gauge", "mean"]
AS_IT_HAPPENS = "Spark event log"  # a source that tells of events and is not sampled: silence is no gap
GAP = 3.0  # a spacing of more than three usual ones is called a gap: one lost sample is not


@dataclass(frozen=True)
class Series:
    """One quantity over time: `t` [epoch s], rising, each time once; `value` in `unit`.

    `kind` says what a value is: "counter" a running total as published (restarts from zero not joined:
    `counter().unwrapped()` does that), "gauge" the value at that time, "mean" the mean over the
    `period` seconds that begin at that time (CloudWatch: no quantile can be had from it).
    `system` is kafka, spark, search, index, producer, process or machine; `entity` the broker, node, index, process
    or host as its source called it; `labels` what is left: topic, group, request, stage, quantile, core.
    """

    system: str
    entity: str
    quantity: str
    unit: str
    kind: Kind
    t: Floats
    value: Floats
    labels: Mapping[str, str] = field(default_factory=dict)
    period: float | None = None
    files: tuple[str, ...] = ()
    format: str = ""

    @property
    def name(self) -> str:
        """`search n0 cpu_seconds`, with its labels."""
        told = "".join(f" {key}={value}" for key, value in sorted(self.labels.items()))
        return f"{self.system} {self.entity} {self.quantity}{told}"

    @property
    def resolution(self) -> float:
        """Seconds between samples, the median; a mean's period; nan with one sample [s]."""
        if self.period is not None:
            return self.period
        return float(np.median(np.diff(self.t))) if len(self.t) > 1 else float("nan")

    def counter(self) -> Counter:
        """As a running total; refuses what is none."""
        if self.kind != "counter":
            raise ObservationError(f"{self.name} is a {self.kind}, not a running total; it has no increase")
        return Counter(self.name, self.t, self.value)

    def gauge(self) -> Gauge:
        """As values at times; refuses a running total."""
        if self.kind == "counter":
            raise ObservationError(f"{self.name} is a running total; take counter() and its rate")
        return Gauge(self.name, self.t, self.value)

    def mean(self, start: float, end: float) -> float:
        """Mean over [start, end] [unit/s of a counter, else unit]; refuses where nothing was sampled."""
        if self.kind == "counter":
            return self.counter().rate(start, end)
        inside = self.value[(self.t >= start) & (self.t <= end)]
        if not len(inside):
            raise ObservationError(f"{self.name}: no sample in {start:.1f}..{end:.1f} s")
        return float(inside.mean())

    def resets(self) -> Floats:
        """Times at which a running total was found lower than before: what published it had restarted [epoch s]."""
        if self.kind != "counter":
            return np.empty(0)
        return self.t[1:][np.diff(self.value) < 0]

    def gaps(self) -> list[tuple[float, float]]:
        """Stretches without samples longer than `GAP` usual spacings, as (last before, first after) [epoch s]."""
        if len(self.t) < 3 or self.format == AS_IT_HAPPENS:
            return []
        wide = np.flatnonzero(np.diff(self.t) > GAP * self.resolution)
        return [(float(self.t[i]), float(self.t[i + 1])) for i in wide]

    def between(self, start: float, end: float) -> Series:
        """Only the samples in [start, end]."""
        inside = (self.t >= start) & (self.t <= end)
        return replace(self, t=self.t[inside], value=self.value[inside])


@dataclass(frozen=True)
class Query:
    """One streaming query: its name and id as Spark states them, its batches in order of trigger.

    A batch of a later start of the query (another `run`) repeats a number where the first had not committed.
    """

    name: str
    id: str
    batches: tuple[Batch, ...]
    files: tuple[str, ...] = ()

    @property
    def runs(self) -> tuple[str, ...]:
        """Run ids in order of appearance: one a start."""
        return tuple(dict.fromkeys(b.run for b in self.batches))

    def between(self, start: float, end: float) -> Query:
        return replace(self, batches=tuple(b for b in self.batches if start <= b.trigger and b.end <= end))


@dataclass(frozen=True)
class Cut:
    """A time that no observation may span: what changed there. `end` is given where the change took a while."""

    t: float
    system: str
    why: str
    end: float | None = None


@dataclass(frozen=True)
class Event:
    """Something done to the stack, or that it did: a disturbance, a start, a failure."""

    t: float
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Stated:
    """A setting, version or size that a file states: `t` is when it was read, where that is known [epoch s]."""

    key: str
    value: Any
    file: str
    t: float | None = None


@dataclass(frozen=True)
class FileRead:
    """One file: what it was told to be by its content, how many samples, over which time [epoch s]."""

    name: str
    format: str
    samples: int
    start: float | None
    end: float | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unused:
    """A file, or a part of one, that was not used, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Untold:
    """A quantity that a fit asks for and no source told; `remedy` says what would tell it."""

    system: str
    quantity: str
    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Piece:
    """A stretch between cuts, in which the stack stayed what it was [epoch s]; `opened_by` is the cut before it."""

    start: float
    end: float
    opened_by: str

    @property
    def seconds(self) -> float:
        return self.end - self.start


@dataclass(frozen=True)
class Recording:
    """All that was read of one stack. `disturbed`: its maker says that other work shared the machine.

    `arrivals` are cumulative records due, by name (`arrivals`, `arrivals_warm` of the laboratory, else the
    file's); `polls` looks at the index for the newest visible sequence. `experiment` is the laboratory's own
    description where there is one. `documents` holds the laboratory's small results (producer.json, bulk.json,
    index_end.json, outcome.json, log_dirs.json) by name.
    """

    name: str
    series: tuple[Series, ...] = ()
    queries: tuple[Query, ...] = ()
    tasks: tuple[Task, ...] = ()
    polls: tuple[Poll, ...] = ()
    arrivals: Mapping[str, Curve] = field(default_factory=dict)
    stated: tuple[Stated, ...] = ()
    events: tuple[Event, ...] = ()
    cuts: tuple[Cut, ...] = ()
    files: tuple[FileRead, ...] = ()
    unused: tuple[Unused, ...] = ()
    untold: tuple[Untold, ...] = ()
    notes: tuple[str, ...] = ()
    disturbed: bool = False
    experiment: Mapping[str, Any] | None = None
    documents: Mapping[str, Any] = field(default_factory=dict)

    def entities(self, system: str) -> list[str]:
        """The brokers, nodes, processes... of that system that something was read of, in order of name."""
        return sorted({s.entity for s in self.series if s.system == system})

    def find(self, system: str, quantity: str | None = None, entity: str | None = None, **labels: str) -> list[Series]:
        """The series of that system that match; a label that is not named may have any value."""

        def fits(s: Series) -> bool:
            named = all(s.labels.get(key) == value for key, value in labels.items())
            return s.system == system and quantity in (None, s.quantity) and entity in (None, s.entity) and named

        return [s for s in self.series if fits(s)]

    def one(self, system: str, quantity: str, entity: str | None = None, **labels: str) -> Series:
        """The one series that matches; without labels the entity's total, the one that has none. Refuses otherwise."""
        found = self.find(system, quantity, entity, **labels)
        if not labels and any(not s.labels for s in found):
            found = [s for s in found if not s.labels]
        if len(found) == 1:
            return found[0]
        wanted = " ".join(filter(None, [system, entity, quantity, *(f"{k}={v}" for k, v in labels.items())]))
        if not found:
            reasons = [u.reason for u in self.untold if (u.system, u.quantity) == (system, quantity)]
            why = reasons[0] if reasons else "no file tells it"
            raise ObservationError(f"{self.name}: no {wanted}: {why}")
        raise ObservationError(f"{self.name}: {len(found)} series are {wanted}: {', '.join(s.name for s in found[:4])}")

    def counters(self, system: str, entity: str) -> dict[str, Counter]:
        """All running totals of an entity by quantity, without those of single topics and the like."""
        mine = [s for s in self.find(system, entity=entity) if s.kind == "counter" and not s.labels]
        return {s.quantity: s.counter() for s in mine}

    def processes(self) -> Processes:
        """CPU and resident bytes of process trees and containers; steal is empty where the machine told none."""
        cpu = {s.entity: s.counter() for s in self.find("process", "cpu_seconds") if not s.labels}
        resident = {s.entity: s.gauge() for s in self.find("process", "resident_bytes") if not s.labels}
        steal = [s.counter() for s in self.find("machine", "steal_seconds")]
        return Processes(cpu, resident, steal[0] if steal else counter("steal", [], []))

    def batches(self, query: str | None = None) -> tuple[Batch, ...]:
        """The batches of the query of that name or id; without one, of the only query. Refuses several."""
        mine = [q for q in self.queries if query is None or query in (q.name, q.id)]
        if len(mine) > 1:
            names = ", ".join(q.name or q.id for q in mine)
            raise ObservationError(f"{self.name}: {len(mine)} queries ({names}); name one")
        return mine[0].batches if mine else ()

    def setting(self, key: str) -> Any:
        """The last stated value of that key, None if nobody stated it."""
        return next((s.value for s in reversed(self.stated) if s.key == key), None)

    def span(self) -> tuple[float, float]:
        """First and last time of anything that was seen [epoch s]."""
        edges = [(float(s.t[0]), float(s.t[-1])) for s in self.series if len(s.t)]
        edges += [(q.batches[0].trigger, q.batches[-1].end) for q in self.queries if q.batches]
        edges += [(self.polls[0].asked, self.polls[-1].answered)] if self.polls else []
        edges += [(float(c.t[0]), float(c.t[-1])) for c in self.arrivals.values() if len(c.t)]
        if not edges:
            raise ObservationError(f"{self.name}: nothing in it has a time")
        return min(a for a, _ in edges), max(b for _, b in edges)

    def pieces(self) -> list[Piece]:
        """The stretches between cuts, in order; the whole span where nothing changed."""
        start, end = self.span()
        found, opened, at = [], "begin of the recording", start
        for cut in sorted(self.cuts, key=lambda c: c.t):
            if cut.t > at:
                found.append(Piece(at, min(cut.t, end), opened))
            at, opened = max(at, cut.end if cut.end is not None else cut.t), f"{cut.system}: {cut.why}"
        return [*found, Piece(at, end, opened)] if at < end else found

    def between(self, start: float, end: float) -> Recording:
        """Only what was seen in [start, end]: for one piece, or to hold out the last part."""
        series = tuple(s for s in (s.between(start, end) for s in self.series) if len(s.t))
        return replace(
            self,
            series=series,
            queries=tuple(q for q in (q.between(start, end) for q in self.queries) if q.batches),
            tasks=tuple(t for t in self.tasks if start <= t.launch and t.finish <= end),
            polls=tuple(p for p in self.polls if start <= p.asked and p.answered <= end),
            events=tuple(e for e in self.events if start <= e.t <= end),
            cuts=tuple(c for c in self.cuts if start < c.t < end),
        )


def quantities(recordings: Iterable[Recording]) -> list[tuple[str, str]]:
    """(system, quantity) pairs that some of the recordings hold."""
    return sorted({(s.system, s.quantity) for r in recordings for s in r.series})
