"""Observations: what a running system was seen to do, typed and in seconds, bytes and records.

A `Batch` is one micro-batch of a query, a `Task` one task of it. A `Counter` is a running total that
a system publishes (CPU seconds, bytes in); it may restart at zero and is read by difference. A
`Curve` is a cumulative count of records against time: arrivals, or records visible in a partition.
Readers (`spark.py`, `kafka.py`, `elasticsearch.py`, `lab.py`) turn files into these; nothing here
knows a file format beyond JSON lines.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class ObservationError(ValueError):
    """A recording that cannot be used: names the file or quantity, what is wrong, and what would do."""


@dataclass(frozen=True)
class Batch:
    """One micro-batch: trigger time [epoch s], total and phase durations [s], offsets by partition.

    `start_offsets` is None where the system did not state it (the first batch of a fresh query). Partitions are
    numbers, or `topic-number` where a query reads several topics. `run` is the id of the query's start that ran it;
    `state_rows` and `state_bytes` are summed over its state operators, None where it has none or did not say.
    """

    number: int
    trigger: float
    seconds: float
    phases: Mapping[str, float]
    records: int
    start_offsets: Mapping[Any, int] | None
    end_offsets: Mapping[Any, int]
    run: str = ""
    state_rows: float | None = None
    state_bytes: float | None = None

    @property
    def end(self) -> float:
        return self.trigger + self.seconds

    def records_by_partition(self) -> dict[Any, int]:
        """Records read from each partition; refuses where the start was not stated."""
        if self.start_offsets is None:
            raise ObservationError(f"batch {self.number}: start offsets are not stated, nor are records by partition")
        return {p: end - self.start_offsets.get(p, 0) for p, end in self.end_offsets.items()}


@dataclass(frozen=True)
class Task:
    """One finished task: launch and finish [epoch s], its clocks [s], records read.

    `cpu_seconds` is the JVM thread's own; a Python worker's CPU is not in it. `index` is its place in
    the stage, not the partition it read. `batch` and `query` are its micro-batch's number and its query's id where
    the job stated them, and `executor` where it ran.
    """

    stage: int
    index: int
    kind: str
    launch: float
    finish: float
    run_seconds: float
    cpu_seconds: float
    deserialize_seconds: float
    gc_seconds: float
    records: int
    batch: int | None = None
    query: str = ""
    executor: str = ""

    @property
    def seconds(self) -> float:
        return self.finish - self.launch


@dataclass(frozen=True)
class Counter:
    """A running total at sample times [epoch s]; a fall is a restart from zero."""

    name: str
    t: Floats
    total: Floats

    def __post_init__(self) -> None:
        if len(self.t) != len(self.total):
            raise ObservationError(f"{self.name}: {len(self.t)} times but {len(self.total)} values")

    def unwrapped(self) -> Floats:
        """The total with restarts joined: after a fall the count goes on from what it had reached.

        What was counted between the last sample and the restart is lost, and is not guessed.

        >>> Counter("x", np.array([0.0, 1, 2, 3]), np.array([5.0, 7, 1, 2])).unwrapped().tolist()
        [5.0, 7.0, 8.0, 9.0]
        """
        steps = np.diff(self.total)
        gained = np.where(steps < 0, self.total[1:], steps)
        return np.concatenate([self.total[:1], self.total[0] + np.cumsum(gained)])

    def increase(self, start: float, end: float) -> float:
        """Growth over [start, end], straight between samples; refuses outside the samples.

        >>> Counter("x", np.array([0.0, 10]), np.array([0.0, 20])).increase(2, 5)
        6.0
        """
        if len(self.t) < 2 or start < self.t[0] or end > self.t[-1] or end <= start:
            seen = f"{self.t[0]:.1f}..{self.t[-1]:.1f}" if len(self.t) else "nothing"
            raise ObservationError(f"{self.name}: asked for {start:.1f}..{end:.1f} s, sampled {seen}")
        at = np.interp([start, end], self.t, self.unwrapped())
        return float(at[1] - at[0])

    def rate(self, start: float, end: float) -> float:
        """Mean growth a second over [start, end]."""
        return self.increase(start, end) / (end - start)


@dataclass(frozen=True)
class Gauge:
    """A value at sample times [epoch s]."""

    name: str
    t: Floats
    value: Floats

    def between(self, start: float, end: float) -> Floats:
        return self.value[(self.t >= start) & (self.t <= end)]


@dataclass(frozen=True)
class Curve:
    """A cumulative count against time, straight between its corners."""

    t: Floats
    count: Floats

    def at(self, times: Floats | float) -> Floats:
        return np.asarray(np.interp(times, self.t, self.count))

    def when(self, counts: Floats | float) -> Floats:
        """The time at which the count is reached; flat stretches give their end.

        >>> Curve(np.array([0.0, 10, 20]), np.array([0.0, 10, 50])).when(30.0).item()
        15.0
        """
        return np.asarray(np.interp(counts, self.count, self.t))


@dataclass(frozen=True)
class Poll:
    """One look at the index: asked and answered [epoch s], highest sequence visible in each partition."""

    asked: float
    answered: float
    highest: Mapping[int, int]
    documents: Mapping[int, int]


@dataclass(frozen=True)
class Processes:
    """CPU seconds and resident bytes by process (children summed), and the machine's own jiffies."""

    cpu: Mapping[str, Counter]
    resident: Mapping[str, Gauge]
    steal: Counter


def find(folder: Path, name: str) -> Path | None:
    """The file of that name in the folder, plain or gzipped."""
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.exists():
            return candidate
    return None


def read_text(path: Path) -> str:
    """A file's text, plain or gzipped (told by its first bytes), without a byte order mark."""
    raw = path.read_bytes()
    try:
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, OSError) as error:
        raise ObservationError(f"{path.name}: gzip is cut short or broken ({error}); record it again") from None
    coding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return raw.decode(coding, errors="replace")


def read_json(path: Path) -> Any:
    """One JSON document."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise ObservationError(f"{path.name}: not JSON: {error}") from None


def json_lines(path: Path) -> Iterator[Any]:
    """The JSON documents of a file of JSON lines; an unreadable last line (a crash) is left out."""
    lines = [line for line in read_text(path).splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            if number == len(lines):
                return
            raise ObservationError(f"{path.name}, line {number}: not JSON: {error}") from None


def counter(name: str, t: list[float], total: list[float]) -> Counter:
    return Counter(name, np.asarray(t, dtype=float), np.asarray(total, dtype=float))


def gauge(name: str, t: list[float], value: list[float]) -> Gauge:
    return Gauge(name, np.asarray(t, dtype=float), np.asarray(value, dtype=float))
