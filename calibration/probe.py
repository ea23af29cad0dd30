"""Probe: how long a record really takes from its creation to being found, measured on a live index.

Beside the users' own traffic one small search every half second counts what is visible by creation time,
in narrow buckets over the last minutes. What a bucket gained between two answers became visible between
them, so its age at the second answer is an end-to-end latency, whatever the order of arrival and however
uneven the load; nothing is assumed of records that are never seen. Latencies count to the answer that
shows the record, hence are up to one spacing of answers (and half a bucket) too long: that is the resolution,
and it is told. Read-only; the time, the searches and the answers are bounded, and a search that
takes long makes the spacing wider.

Creation times are the producers' clocks, answers are ours: what those clocks are apart is in every latency.
"""

from __future__ import annotations

import itertools
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from calibration.live import LiveError
from calibration.live_http import Endpoint
from calibration.live_search import index_path, skew

MOST_BUCKETS = 20_000  # of one answer; the servers' own limit is 65,536 (search.max_buckets)
MOST_PARTITIONS = 500
SHARE = 0.2  # of the time that searches may take: a busier server is asked less often
FIRST_WINDOW, LEAST_WINDOW, MOST_WINDOW = 120.0, 30.0, 900.0  # seconds of creation times that are watched
SPARE = 4.0  # windows are this many times the longest latency seen
UNITS = {1e9: 1.0, 1e12: 1e-3, 1e15: 1e-6, 1e18: 1e-9}  # a number of this size today is epoch time in this unit [s]
NUMBERS = ("long", "unsigned_long", "integer", "double", "float", "half_float", "scaled_float")
QUANTILES = (0.5, 0.9, 0.99, 1.0)
PREFERENCE = "floodmark-probe"  # the same copies each time: copies refresh at different times


@dataclass(frozen=True)
class Field:
    """The creation time's field: its name, type, and seconds that one of its numbers stands for."""

    name: str
    type: str
    seconds: float


@dataclass(frozen=True)
class Gain:
    """Records of one partition that became visible by one answer: their latency [s] and their number."""

    answered: float
    partition: str
    latency: float
    records: int


@dataclass
class Seen:
    """All that a probe saw. `behind` is the age of the newest visible record at each answer [s]."""

    gains: list[Gain] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    partial: int = 0
    bucket_seconds: float = 0.0
    window_seconds: float = 0.0
    other_partitions: int = 0
    ahead_seconds: float | None = None
    widened: bool = False
    stopped: bool = False
    whole_seconds: bool = True

    @property
    def grain_seconds(self) -> float:
        """What creation times are rounded down to, where every one of many is a whole second."""
        return (
            1.0 if self.whole_seconds and len(self.gains) >= 20 and self.bucket_seconds < 0.5 else self.bucket_seconds
        )


class Probe:
    """Polls one index through one endpoint."""

    def __init__(
        self, endpoint: Endpoint, index: str, field_name: str, partition: str = "", every: float = 0.5
    ) -> None:
        self.endpoint, self.index, self.partition, self.every = endpoint, index, partition, every
        self.path = index_path(index)
        self.field = self._field(field_name)
        self.partitions = self._partitions() if partition else 1
        self.window = FIRST_WINDOW
        self.counts: dict[str, dict[float, int]] | None = None
        self.since = 0.0

    def search(self, body: dict[str, Any]) -> dict[str, Any]:
        """One search of counts only. Raises LiveError."""
        params = {"request_cache": "false", "preference": PREFERENCE}
        answer = self.endpoint.post_json(
            f"{self.path}/_search", {"size": 0, "track_total_hits": False, "timeout": "5s", **body}, params
        )
        if not isinstance(answer, dict) or "_shards" not in answer:
            raise LiveError("garbage", f"{self.endpoint.shown}{self.path}/_search: not an answer to a search")
        return answer

    def _field(self, name: str) -> Field:
        """The field as the mapping has it; refuses one that holds no time."""
        told = self.endpoint.get_json(f"{self.path}/_mapping/field/{name}")
        kinds = {
            inner.get("type", "object")
            for one in told.values()
            for held in one.get("mappings", {}).values()
            for inner in held.get("mapping", {}).values()
        }
        if not kinds:
            raise LiveError(
                "missing", f"--field {name}: {self.index} has no such field; `GET {self.path}/_mapping` lists them"
            )
        if len(kinds) > 1:
            raise LiveError(
                "settings", f"--field {name} is {' and '.join(sorted(kinds))} in the indices of {self.index}"
            )
        kind = kinds.pop()
        if kind in ("date", "date_nanos"):
            return Field(name, kind, 1e-3)
        if kind not in NUMBERS:
            would = "a date, or a number of epoch time"
            raise LiveError("settings", f"--field {name} is {kind}; expected {would}; a keyword cannot be aged")
        return Field(name, kind, self._unit(name))

    def _unit(self, name: str) -> float:
        """Seconds per number, by how large the newest is."""
        newest = self.search({"aggs": {"newest": {"max": {"field": name}}}})["aggregations"]["newest"]["value"]
        if newest is None:
            raise LiveError("missing", f"--field {name}: no document has it yet; start the probe when documents come")
        now = time.time()
        for unit in UNITS.values():
            if 0.5 < newest * unit / now < 1.5:
                return unit
        near = ", ".join(f"{size:.0e}" for size in UNITS)
        raise LiveError("settings", f"--field {name}: the largest is {newest:g}, no epoch time of today (about {near})")

    def _partitions(self) -> int:
        count = self.search({"aggs": {"n": {"cardinality": {"field": self.partition}}}})
        found = int(count["aggregations"]["n"]["value"])
        if found == 0:
            raise LiveError("missing", f"--partition-field {self.partition}: no document in {self.index} has it")
        if found > MOST_PARTITIONS:
            said = f"--partition-field {self.partition} has about {found:,} values; expected at most {MOST_PARTITIONS}"
            raise LiveError("too large", f"{said}: it should be what orders records, as Kafka's partition does")
        return found

    def bucket_seconds(self) -> float:
        """As narrow as half the spacing of answers, unless that made too many buckets."""
        least = max(self.window * max(self.partitions, 1) / MOST_BUCKETS, self.field.seconds)
        return max(math.ceil(max(self.every / 2, least) * 1000) / 1000, 0.001)

    def ask(self, width: float, since: float) -> tuple[dict[str, dict[float, int]], dict[str, Any]]:
        """Visible records by partition and creation bucket [epoch s, its start], created since then."""
        unit = self.field.seconds
        name = {"field": self.field.name}
        if self.field.type in ("date", "date_nanos"):
            by_time: dict[str, Any] = {
                "date_histogram": {**name, "fixed_interval": f"{round(width * 1000)}ms", "min_doc_count": 1}
            }
            bound: Any = {"gte": round(since * 1000), "format": "epoch_millis"}
        else:
            by_time = {"histogram": {**name, "interval": width / unit, "min_doc_count": 1}}
            bound = {"gte": since / unit}
        aggs: dict[str, Any] = {"t": by_time, "newest": {"max": name}}
        if self.partition:
            each = {"terms": {"field": self.partition, "size": self.partitions + 20}, "aggs": {"t": by_time}}
            aggs = {"p": each, "newest": {"max": name}}
        answer = self.search({"query": {"range": {self.field.name: bound}}, "aggs": aggs})
        told = answer["aggregations"]
        groups = told["p"]["buckets"] if self.partition else [{"key": "", "t": told["t"]}]
        found = {
            str(one["key"]): {round(b["key"] * unit, 6): int(b["doc_count"]) for b in one["t"]["buckets"]}
            for one in groups
        }
        return found, answer

    def run(self, seconds: float, progress: Callable[[int, float], None] = lambda gained, left: None) -> Seen:
        """Polls for that long. Raises LiveError where the first search fails; later ones leave gaps."""
        seen, until = Seen(window_seconds=self.window), time.monotonic() + seconds
        width = seen.bucket_seconds = self.bucket_seconds()
        due = time.monotonic()
        try:
            while time.monotonic() < until:
                self._poll(seen, width)
                progress(sum(one.records for one in seen.gains), until - time.monotonic())
                took = statistics.median(seen.took[-5:]) if seen.took else 0.0
                spacing = max(self.every, took / SHARE)
                seen.widened = seen.widened or spacing > self.every * 1.2
                due = max(due + spacing, time.monotonic())
                time.sleep(max(min(due, until) - time.monotonic(), 0.0))
        except KeyboardInterrupt:
            seen.stopped = True  # what was seen until then is an answer too
        return seen

    def _poll(self, seen: Seen, width: float) -> None:
        asked = time.time()
        since = math.floor((asked - self.window) / width) * width
        try:
            counts, answer = self.ask(width, since)
        except LiveError as error:
            if self.counts is None:
                raise
            seen.failures[str(error)] = seen.failures.get(str(error), 0) + 1
            return
        answered = time.time()
        seen.answers.append(answered)
        seen.took.append(answered - asked)
        if answer["_shards"].get("failed") or answer.get("timed_out"):
            seen.partial += 1  # a shard that did not count would look like records that vanished
            return
        seen.ahead_seconds = skew(self.endpoint) or seen.ahead_seconds
        newest = answer["aggregations"]["newest"]["value"]
        if newest is not None:
            seen.behind.append(answered - newest * self.field.seconds)
        if self.partition:
            seen.other_partitions = max(seen.other_partitions, answer["aggregations"]["p"]["sum_other_doc_count"])
        if self.counts is not None:
            self._gains(seen, counts, since, width, answered)
        self.counts, self.since = counts, since

    def _gains(
        self, seen: Seen, counts: Mapping[str, Mapping[float, int]], since: float, width: float, answered: float
    ) -> None:
        """What each bucket gained since the answer before; a bucket that has left the window is not compared."""
        before, longest = self.counts or {}, 0.0
        whole = max(since, self.since)  # what the answer before did not reach has not been gained since
        for partition, buckets in counts.items():
            old = before.get(partition, {})
            for start, now in buckets.items():
                gained = now - old.get(start, 0)
                if gained > 0 and start >= whole:
                    latency = answered - (start + width / 2)
                    longest = max(longest, latency)
                    seen.gains.append(Gain(answered, partition, latency, gained))
                    seen.whole_seconds = seen.whole_seconds and start % 1 == 0
                elif gained < 0:
                    seen.lost -= gained
        wanted = min(max(SPARE * longest, LEAST_WINDOW), MOST_WINDOW)
        if wanted > self.window:
            self.window = wanted
            seen.window_seconds = wanted


@dataclass(frozen=True)
class Latency:
    """Quantiles of latency [s] by name (p50, p90, p99, max), over `records` that became visible."""

    records: int
    quantiles: Mapping[str, float]


def quantiles(gains: Sequence[Gain]) -> Latency:
    """Of latencies weighed by their records: the least that at least this share does not pass.

    >>> quantiles([Gain(0, "", 1.0, 9), Gain(0, "", 5.0, 1)]).quantiles
    {'p50': 1.0, 'p90': 1.0, 'p99': 5.0, 'max': 5.0}
    """
    ordered = sorted(gains, key=lambda one: one.latency)
    total = sum(one.records for one in ordered)
    found, reached, ahead = {}, 0, iter(ordered)
    now = next(ahead, None)
    for share in QUANTILES:
        while now is not None and reached + now.records < share * total - 1e-9:
            reached += now.records
            now = next(ahead, None)
        name = "max" if share == 1.0 else f"p{share * 100:g}"
        found[name] = now.latency if now is not None else math.nan
    return Latency(total, found)


def summary(seen: Seen, probe: Probe) -> dict[str, Any]:
    """What the probe found, as plain data in seconds. Raises LiveError where no record became visible."""
    if not seen.gains:
        age = f"; the newest is {min(seen.behind):.0f} s old" if seen.behind else ""
        said = f"{probe.index}: no record became visible in {len(seen.answers)} answers{age}"
        raise LiveError("missing", f"{said}; is it written to, and is {probe.field.name} the time of creation?")
    spacing = _spacing(seen.answers)
    whole = quantiles(seen.gains)
    names = sorted({one.partition for one in seen.gains}, key=_natural)
    by = {name: quantiles([one for one in seen.gains if one.partition == name]) for name in names if probe.partition}
    return {
        "index": probe.index,
        "field": probe.field.name,
        "records": whole.records,
        "answers": len(seen.answers),
        "from": round(seen.answers[0], 3),
        "to": round(seen.answers[-1], 3),
        "resolution_seconds": spacing["p99"] + seen.grain_seconds - seen.bucket_seconds / 2,
        "spacing_seconds": spacing,
        "bucket_seconds": seen.bucket_seconds,
        "window_seconds": seen.window_seconds,
        "latency_seconds": dict(whole.quantiles),
        "newest_behind_seconds": {"median": statistics.median(seen.behind), "max": max(seen.behind)},
        "partitions": {name: {"records": one.records, **one.quantiles} for name, one in by.items()},
        "search_seconds": {"median": statistics.median(seen.took), "max": max(seen.took)},
        "clock_ahead_seconds": seen.ahead_seconds,
        "notes": notes(seen, probe),
    }


def notes(seen: Seen, probe: Probe) -> list[str]:
    """What a reader of the numbers has to know."""
    found = [
        "latencies count to the answer that showed the record: up to one resolution too long",
        "creation times are the producers' clocks, answers this machine's",
    ]
    early = [one for one in seen.gains if one.latency < 0]
    if early:
        apart = -min(one.latency for one in early)
        found.append(
            f"{sum(one.records for one in early)} records come from our future: clocks differ by {apart:.1f} s"
        )
    if seen.grain_seconds > seen.bucket_seconds:
        found.append("creation times are whole seconds: latencies are up to 1 s too long, half of it on average")
    if seen.ahead_seconds is not None:
        found.append(f"the search server's clock is {seen.ahead_seconds:+.1f} s from ours")
    if seen.failures:
        found += [f"{times} answers missing: {why}" for why, times in seen.failures.items()]
    if seen.partial:
        found.append(f"{seen.partial} answers left out, as not every shard had answered in time")
    if seen.lost:
        found.append(f"{seen.lost} records vanished while watched (updated, deleted, another copy of the shard)")
    if seen.widened:
        found.append(f"searches took so long that answers were spaced wider than {probe.every:g} s")
    if seen.other_partitions:
        found.append(f"{seen.other_partitions} records lie in partitions that came later, and are not counted")
    if seen.stopped:
        found.append("stopped before its time")
    found.append(f"records older than {seen.window_seconds:g} s when they became visible are not seen")
    return found


def _spacing(answers: Sequence[float]) -> dict[str, float]:
    gaps = sorted(b - a for a, b in itertools.pairwise(answers))
    return {"median": statistics.median(gaps), "p99": gaps[math.ceil(0.99 * len(gaps)) - 1], "max": gaps[-1]}


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (2**62, name)
