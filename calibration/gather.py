"""Gathering: what readers put together while files go by, in compact columns, before it is a recording.

A reader adds points (`add`), says what it left out (`skip`), what was missing or null (`missing`), and
what was stated (`state`). Nothing here knows a format. Memory is bounded: columns of floats, a most
of series, samples and tasks; what is beyond is counted and said, never silently dropped.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter as Tally
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from calibration.observations import Batch, Curve, Poll, Task
from calibration.quantities import QUANTITIES
from calibration.recording import Event, FileRead, Kind, Series, Stated, Unused
from calibration.secrets import redact as redact_value
from calibration.secrets import redact_text as redact

MOST_SERIES, MOST_SAMPLES, MOST_TASKS, MOST_STATED, MOST_NAME = 50_000, 30_000_000, 1_000_000, 20_000, 200
_SUFFIXES = (
    ".prom",
    ".nodes_stats",
    ".index_stats",
    ".cat_shards",
    ".jsonl",
    ".json",
    ".txt",
    ".ndjson",
    ".log",
    ".csv",
)

Labels = tuple[tuple[str, str], ...]


@dataclass
class File:
    """What is known of the file that is being read: `entity` is whom its name speaks of."""

    name: str
    format: str = ""
    samples: int = 0
    start: float | None = None
    end: float | None = None
    remarks: list[str] = field(default_factory=list)
    skipped: Tally[str] = field(default_factory=Tally)
    formats: Tally[str] = field(default_factory=Tally)

    @property
    def entity(self) -> str:
        base = PurePosixPath(self.name).name
        for suffix in (".gz", ".zst", ".lz4", *_SUFFIXES, *_SUFFIXES):
            base = base.removesuffix(suffix)
        return base or self.name

    def remark(self, text: str) -> None:
        """Something to be told of this file, once."""
        if text not in self.remarks and len(self.remarks) < 20:
            self.remarks.append(text)

    def saw(self, format: str, t: float | None) -> None:
        """One sample of that format, taken at t."""
        self.samples += 1
        self.formats[format] += 1
        if t is not None:
            self.start = t if self.start is None else min(self.start, t)
            self.end = t if self.end is None else max(self.end, t)

    def told(self) -> FileRead:
        names = [name for name, _ in self.formats.most_common()] or ([self.format] if self.format else [])
        return FileRead(
            redact(self.name), ", ".join(names), self.samples, self.start, self.end, tuple(map(redact, self.remarks))
        )

    def left(self) -> list[Unused]:
        """Its parts that were not used; the file as a whole where it gave no sample."""
        most = self.skipped.most_common(12)
        return [Unused(redact(self.name), redact(why) + (f" ({n} times)" if n > 1 else "")) for why, n in most]


@dataclass
class Column:
    """One series while it grows."""

    t: array[float] = field(default_factory=lambda: array("d"))
    value: array[float] = field(default_factory=lambda: array("d"))
    kind: Kind = "gauge"
    period: float | None = None
    files: dict[str, None] = field(default_factory=dict)


@dataclass(frozen=True)
class Key:
    """Whose column it is; of several formats that tell the same, the one of the lowest rank is taken."""

    system: str
    entity: str
    quantity: str
    labels: Labels
    format: str
    rank: int


class Gathering:
    """All that is gathered of one stack."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.columns: dict[Key, Column] = {}
        self.samples = 0
        self.files: list[File] = []
        self.file = File("")
        self.absent: Tally[tuple[str, str, str]] = Tally()
        self.present: Tally[tuple[str, str, str]] = Tally()
        self.stated: list[Stated] = []
        self.last: dict[str, Any] = {}  # the last stated value by key
        self.events: list[Event] = []
        self.notes: dict[str, None] = {}
        self.batches: dict[tuple[str, str], dict[tuple[str, int, float], Batch]] = {}
        self.batch_files: dict[tuple[str, str], dict[str, None]] = {}
        self.tasks: list[Task] = []
        self.tasks_left = 0
        self.polls: dict[tuple[float, float], Poll] = {}
        self.curves: dict[str, Curve] = {}
        self.documents: dict[str, Any] = {}
        self.experiment: dict[str, Any] | None = None
        self.skews: dict[str, array[float]] = {}
        self.errors: list[tuple[float | None, str, str]] = []
        self.nodes: dict[str, dict[float, frozenset[str]]] = {}
        self.memory: dict[Any, Any] = {}  # what a reader must remember from one file to the next

    def begin(self, name: str) -> File:
        """From here on, what is added comes from that file."""
        self.file = File(name)
        self.files.append(self.file)
        return self.file

    def add(
        self,
        system: str,
        entity: str,
        quantity: str,
        t: float | None,
        value: float,
        labels: Mapping[str, str] | Labels = (),
        *,
        format: str,
        rank: int = 0,
        period: float | None = None,
    ) -> None:
        """One point; times and values that are no numbers are counted as missing. Units are QUANTITIES' own."""
        told = QUANTITIES[system][quantity]
        if t is None or not math.isfinite(value):
            self.absent[system, quantity, entity] += 1
            return
        items = labels.items() if isinstance(labels, Mapping) else labels
        named: Labels = tuple(sorted((k, clean(v)) for k, v in items))
        key = Key(system, clean(entity), quantity, named, format, rank)
        column = self.columns.get(key)
        if column is None:
            if len(self.columns) >= MOST_SERIES:
                self.file.skipped[f"more than {MOST_SERIES:,} series; ask for fewer topics or indices"] += 1
                return
            column = self.columns[key] = Column(kind="mean" if period is not None else told.kind, period=period)
        if self.samples >= MOST_SAMPLES:
            self.file.skipped[f"more than {MOST_SAMPLES // 1_000_000} million values; give a shorter time"] += 1
            return
        self.samples += 1
        self.present[system, quantity, entity] += 1
        column.t.append(t)
        column.value.append(value)
        column.files[self.file.name] = None

    def missing(self, system: str, quantity: str, entity: str) -> None:
        """A sample that does not state it, or states null."""
        self.absent[system, quantity, entity] += 1

    def skip(self, reason: str) -> None:
        """A part of this file that is not used."""
        if reason in self.file.skipped or len(self.file.skipped) < 200:
            self.file.skipped[reason] += 1

    def state(self, key: str, value: Any, t: float | None = None) -> None:
        """A setting, version or size; kept where it is new or changed, so that changes can be found."""
        name, value = clean(key), shown(value)
        if name in self.last and self.last[name] == value:
            return
        if len(self.stated) >= MOST_STATED:
            self.skip(f"more than {MOST_STATED:,} settings and changes of settings")
            return
        self.last[name] = value
        self.stated.append(Stated(name, value, redact(self.file.name), t))

    def event(self, t: float | None, kind: str, **detail: Any) -> None:
        if t is not None and len(self.events) < 10_000:
            self.events.append(Event(t, clean(kind), shown(detail)))

    def note(self, text: str) -> None:
        self.notes[redact(text)] = None

    def batch(self, name: str, id: str, one: Batch) -> None:
        """A micro-batch, once: the event log and the listener tell of the same."""
        query = (clean(name), clean(id))
        self.batches.setdefault(query, {}).setdefault((one.run, one.number, one.trigger), one)
        self.batch_files.setdefault(query, {})[redact(self.file.name)] = None

    def task(self, one: Task) -> None:
        if len(self.tasks) < MOST_TASKS:
            self.tasks.append(one)
        else:
            self.tasks_left += 1

    def skew(self, clock: str, seconds: float) -> None:
        """How far a system's own clock was ahead of the recorder's when it answered."""
        self.skews.setdefault(clean(clock), array("d")).append(seconds)

    def series(self) -> list[Series]:
        """The columns as series: sorted, each time once, of rival tellers the best."""
        chosen: dict[tuple[str, str, str, Labels], Key] = {}
        for key in self.columns:
            what = (key.system, key.entity, key.quantity, key.labels)
            other = chosen.get(what)
            if other is None or _better(key, other, self.columns):
                chosen[what] = key
            if other is not None and other.format != key.format and other.rank == key.rank:
                told = " and ".join(sorted({key.format, other.format}))
                self.note(f"{key.system} {key.quantity} is told by {told}; {chosen[what].format} is taken")
        return [self._one(key, self.columns[key]) for key in chosen.values()]

    def _one(self, key: Key, column: Column) -> Series:
        t, value = np.frombuffer(column.t), np.frombuffer(column.value)
        if (np.diff(t) < 0).any():
            self.note(f"{key.system} {key.entity}: samples out of order, sorted by time")
        order = np.argsort(t, kind="stable")
        t, value = t[order], value[order]
        last = np.append(np.diff(t) > 0, True)
        if not last.all():
            self.note(f"{key.system} {key.entity}: samples with equal times, the last of each kept")
        files = tuple(redact(name) for name in column.files)
        unit = QUANTITIES[key.system][key.quantity].unit
        what = (key.system, key.entity, key.quantity, unit)
        return Series(*what, column.kind, t[last], value[last], dict(key.labels), column.period, files, key.format)


def _better(key: Key, other: Key, columns: Mapping[Key, Column]) -> bool:
    """Lower rank first, then more samples."""
    return (key.rank, -len(columns[key].t)) < (other.rank, -len(columns[other].t))


_CLEANED: dict[str, str] = {}


def clean(text: Any) -> str:
    """A name as it may be shown: one line, not endless, nothing secret-shaped in it."""
    text = str(text)
    if text not in _CLEANED:
        if len(_CLEANED) > 100_000:
            _CLEANED.clear()
        shown = "".join(c if c.isprintable() else "?" for c in redact(text))
        _CLEANED[text] = shown if len(shown) <= MOST_NAME else shown[: MOST_NAME - 1] + "…"
    return _CLEANED[text]


def shown(value: Any) -> Any:
    """A JSON value as it may be kept: nothing secret in it, and null for numbers that are none.

    >>> shown({"a": [1, math.inf], "password": "hunter2"})
    {'a': [1, None], 'password': '(hidden)'}
    """
    return _finite(redact_value(value))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def number(value: Any) -> float | None:
    """A finite number, also where a client made it text; None for null, booleans and all else.

    >>> number("12.5"), number(None), number(True), number("n/a")
    (12.5, None, None, None)
    """
    if isinstance(value, bool) or value is None:
        return None
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def dig(body: Any, path: Iterable[str]) -> Any:
    """What lies at that path, None where a step is missing."""
    for key in path:
        body = body.get(key) if isinstance(body, Mapping) else None
    return body
