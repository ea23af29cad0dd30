"""The load that a recording saw: events a second over time, from whatever source tells it best.

What was sent or appended is told as a running total (arrival plans, brokers' counters, end offsets, a producer's own
statistics, offsets of micro-batches) or as means over a period (CloudWatch). Totals are joined over restarts; where a
source was silent the records of the silence are known and their times are not, so the rate is even over it and said so.
Times of day are UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.observations import Floats, ObservationError
from calibration.recording import Recording, Series

DAY, HOUR = 86400.0, 3600.0
INTERNAL = ("__", "_schemas", "_confluent")
LEAST_SPACINGS = 5  # batches of which the usual spacing is a trigger


@dataclass(frozen=True)
class Load:
    """Events up to `t` [epoch s], cumulative; `source` says who told it, `topic` of what, "" where nobody said."""

    t: Floats
    count: Floats
    source: str
    topic: str = ""

    @property
    def seconds(self) -> float:
        return float(self.t[-1] - self.t[0])

    @property
    def rate(self) -> float:
        """Mean [1/s]."""
        return float(self.count[-1] - self.count[0]) / self.seconds

    def between(self, start: float, end: float) -> float:
        """Events in [start, end]."""
        return float(np.interp(end, self.t, self.count) - np.interp(start, self.t, self.count))

    def steps(self, most: int) -> list[tuple[float, float]]:
        """The load as at most `most` steps of equal length [s, 1/s]: their events are those that were counted."""
        usual = float(np.median(np.diff(self.t)))
        parts = max(1, min(most, int(self.seconds / max(usual, 1e-9))))
        edges = np.linspace(self.t[0], self.t[-1], parts + 1)
        counts = np.diff(np.interp(edges, self.t, self.count))
        return [(float(d), float(n / d)) for d, n in zip(np.diff(edges), counts, strict=True)]

    def by_hour(self) -> list[float] | None:
        """Mean rate in each hour of the day, UTC [1/s]; None unless each was seen for half an hour or more."""
        return self._by(HOUR, 24, HOUR / 2, 0.0)

    def by_day(self) -> list[float] | None:
        """Mean rate on each day of the week from Monday, UTC [1/s]; None unless half of each was seen."""
        return self._by(DAY, 7, DAY / 2, 3 * DAY)  # 1 January 1970 was a Thursday

    def peak(self, width: float = 60.0) -> float:
        """The busiest stretch of that length [1/s]; the mean of all where it is shorter."""
        if self.seconds <= width:
            return self.rate
        starts = self.t[self.t <= self.t[-1] - width]
        gains = np.interp(starts + width, self.t, self.count) - np.interp(starts, self.t, self.count)
        return float(gains.max() / width)

    def _by(self, width: float, parts: int, least: float, shift: float) -> list[float] | None:
        first = np.floor((self.t[0] + shift) / width) * width - shift
        edges = np.clip(np.arange(first, self.t[-1] + width, width), self.t[0], self.t[-1])
        seconds, counts = np.diff(edges), np.diff(np.interp(edges, self.t, self.count))
        part = ((edges[:-1] + seconds / 2 + shift) // width).astype(int) % parts
        seen = np.bincount(part, weights=seconds, minlength=parts)
        held = np.bincount(part, weights=counts, minlength=parts)
        return None if seen.min() < least else [float(n / s) for n, s in zip(held, seen, strict=True)]


def load_of(recording: Recording, topic: str = "") -> Load | None:
    """The load of a topic, or of the only one; None where nothing tells it. Raises ObservationError for several."""
    plan = recording.arrivals.get("arrivals") or next(iter(recording.arrivals.values()), None)
    if plan is not None and len(plan.t) > 1 and not topic:
        return Load(np.asarray(plan.t), np.asarray(plan.count), f"{recording.name}: arrivals")
    # offsets are the cluster's own and stand once; a broker may be there twice, by its page and by a Prometheus
    for quantity, told in (("end_offset", "end offsets"), ("records_in", "records in")):
        found = _of_topic(recording.find("kafka", quantity), topic)
        if found:
            return _summed(found, f"{recording.name}: {told} ({found[0].format})")
    means = _of_topic(recording.find("kafka", "records_in_per_second"), topic)
    if means:
        return _of_means(means, f"{recording.name}: records in, means of {means[0].period or 0:g} s")
    rates = recording.find("producer", "records_per_second")
    if rates and not topic:
        return _of_rates(rates, f"{recording.name}: a table of {len(rates)} rate(s)")
    sent = recording.find("producer", "records")
    if sent and not topic:
        return _summed(sent, f"{recording.name}: records of {len(sent)} producer(s)")
    return _of_batches(recording) if not topic else None


def trigger_of(recording: Recording) -> tuple[float, int] | None:
    """Usual spacing of batches that end before the next begins, and how many [s]; None if most do not."""
    if len(recording.queries) != 1:
        return None
    batches = recording.queries[0].batches
    spaces = np.diff([b.trigger for b in batches])
    rested = [space for b, space in zip(batches, spaces, strict=False) if b.end - b.trigger < 0.9 * space]
    if len(rested) < max(LEAST_SPACINGS, len(spaces) / 2):
        return None
    usual = float(np.median(rested))
    grain = 0.1 if usual < 10 else 1.0
    return round(usual / grain) * grain or usual, len(rested)


def record_bytes_of(recording: Recording) -> float | None:
    """Key and value of a record before batching, from producers' own statistics [bytes]; None where none tells it."""
    records, sizes = (recording.find("producer", name) for name in ("records", "record_bytes"))
    whole = [sum(s.counter().unwrapped()[-1] - s.counter().unwrapped()[0] for s in each if len(s.t) > 1)
             for each in (sizes, records)]  # fmt: skip
    return float(whole[0] / whole[1]) if whole[1] > 0 and whole[0] > 0 else None


def stored_bytes_of(recording: Recording, topic: str = "") -> float | None:
    """Bytes that a record takes as it is stored, compressed or not [bytes]; None where nothing tells both."""
    held = [_of_topic(recording.find("kafka", name), topic) for name in ("bytes_in", "records_in")]
    if not all(held):
        return None
    sizes, records = (_summed(each, "").count for each in held)
    return float((sizes[-1] - sizes[0]) / (records[-1] - records[0])) if records[-1] > records[0] else None


def _of_topic(found: Sequence[Series], topic: str) -> list[Series]:
    """The series of one topic over all brokers; all topics together where none is told apart."""
    found = [s for s in found if len(s.t) > 1]
    names = sorted(
        {s.labels["topic"] for s in found if "topic" in s.labels and not s.labels["topic"].startswith(INTERNAL)}
    )
    if topic or len(names) == 1:
        wanted = topic or names[0]
        return [s for s in found if s.labels.get("topic") == wanted]
    if len(names) > 1:
        raise ObservationError(f"several topics were recorded ({', '.join(names[:12])}); name one with --topic")
    return [s for s in found if "topic" not in s.labels]


def _summed(found: Sequence[Series], source: str) -> Load:
    """Running totals added up over the time that all of them cover."""
    start, end = max(s.t[0] for s in found), min(s.t[-1] for s in found)
    grid = np.unique(np.concatenate([s.t for s in found]))
    grid = grid[(grid >= start) & (grid <= end)]
    if len(grid) < 2:
        raise ObservationError(f"{source}: brokers were not recorded at the same time")
    total = sum((np.interp(grid, s.t, s.counter().unwrapped()) for s in found), np.zeros(len(grid)))
    return Load(grid, total, source + _holes(found), found[0].labels.get("topic", ""))


def _of_means(found: Sequence[Series], source: str) -> Load:
    """Means over periods added up where every broker has one; a period that is missing is bridged evenly."""
    times = sorted(set.intersection(*({float(t) for t in s.t} for s in found)))
    period = found[0].period or float(np.median(np.diff(times))) if len(times) > 1 else found[0].period or 60.0
    if not times:
        raise ObservationError(f"{source}: brokers were not recorded at the same time")
    rates = [sum(float(s.value[np.searchsorted(s.t, t)]) for s in found) for t in times]
    ends = [*times[1:], times[-1] + period]
    count = np.concatenate([[0.0], np.cumsum([r * (b - a) for r, a, b in zip(rates, times, ends, strict=True)])])
    return Load(np.array([*times, ends[-1]]), count, source + _holes(found), found[0].labels.get("topic", ""))


def _of_rates(found: Sequence[Series], source: str) -> Load:
    """Rates that hold from each row until the next; the last row says when the one before it ended."""
    times = sorted(set.intersection(*({float(t) for t in s.t} for s in found)))
    if len(times) < 2:
        raise ObservationError(f"{source}: fewer than two rows have a rate in each column")
    rates = [sum(float(s.value[np.searchsorted(s.t, t)]) for s in found) for t in times[:-1]]
    return Load(np.array(times), np.concatenate([[0.0], np.cumsum(rates * np.diff(times))]), source + _holes(found))


def _of_batches(recording: Recording) -> Load | None:
    """What the triggers of the only query found had arrived by then."""
    if len(recording.queries) != 1:
        return None
    query = recording.queries[0]
    ends = [(b.trigger, float(sum(b.end_offsets.values()))) for b in query.batches if b.end_offsets]
    if len(ends) < 3:
        return None
    t, count = (np.array(column) for column in zip(*ends, strict=True))
    rising = np.concatenate([[True], np.diff(t) > 0])
    return Load(t[rising], np.maximum.accumulate(count[rising]), f"{recording.name}: offsets of {len(ends)} batches")


def _holes(found: Sequence[Series]) -> str:
    seconds = sum(b - a for s in found for a, b in s.gaps()) / len(found)
    return f"; {seconds:.0f} s without samples are bridged evenly" if seconds else ""
