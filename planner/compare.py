"""Comparing stacks: the same dice for both, so that what differs is the stacks.

Every draw in the simulator belongs to an address, so two scenarios at one seed meet the same noise, and at one
draw the same coefficients: differences are taken run by run and draw by draw (common random numbers, engine.md
C2), and their intervals are a few times narrower than those of the two values would suggest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.stack import Scenario
from models.units import GIB
from planner.answers import Interval, finite
from planner.findings import Finding
from planner.forecast import DRAWS, Forecast, forecast
from planner.shown import Shown
from planner.uncertainty import TAIL, Z, t_factor
from simulator.trace import Trace

TOP_LINES = 5
Said = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Moved:
    """One quantity before and after, and the difference with its 90 % interval, None where it is no matter of chance.

    `share` is the share of the paired draws in which the difference has the sign of its value [1].
    """

    name: str
    unit: str
    before: float
    after: float
    difference: Interval | None = None
    share: float | None = None

    @property
    def change(self) -> float:
        return self.after - self.before

    @property
    def relative(self) -> float:
        """Change over before [1]; nan from nothing."""
        return self.change / self.before if self.before else math.nan

    def as_dict(self) -> dict[str, Any]:
        interval = self.difference
        return {
            "name": self.name, "unit": self.unit, "before": finite(self.before), "after": finite(self.after),
            "difference": finite(self.change), "relative": finite(self.relative),
            "difference_90": None if interval is None else [finite(interval.low), finite(interval.high)],
            "same_sign_share": self.share,
        }  # fmt: skip


@dataclass(frozen=True)
class Comparison(Shown):
    """One stack against the first: what moved, the bill's lines that moved most, findings that came and went."""

    before: Forecast
    after: Forecast
    moved: tuple[Moved, ...]
    lines: tuple[Moved, ...]
    came: tuple[Finding, ...]
    went: tuple[Finding, ...]
    broken: tuple[str, ...]
    mended: tuple[str, ...]
    paired: bool

    @property
    def cost(self) -> Moved:
        return next(one for one in self.moved if one.name == "monthly cost")

    def as_dict(self) -> dict[str, Any]:
        return {
            "before": self.before.scenario.name, "after": self.after.scenario.name,
            "holds": {"before": self.before.holds, "after": self.after.holds},
            "moved": [one.as_dict() for one in self.moved], "bill_lines": [one.as_dict() for one in self.lines],
            "findings": {"new": [f.as_dict() for f in self.came], "gone": [f.as_dict() for f in self.went]},
            "targets": {"newly_broken": list(self.broken), "mended": list(self.mended)}, "paired": self.paired,
            "digests": {"before": self.before.digests, "after": self.after.digests},
        }  # fmt: skip


def compare(
    scenarios: Sequence[Scenario], *, seed: int = 1, draws_of_coefficients: int = DRAWS, progress: Said | None = None
) -> list[Comparison]:
    """Each further scenario against the first. Raises ValueError for fewer than two, ScenarioError as `forecast`."""
    if len(scenarios) < 2:
        raise ValueError(f"{len(scenarios)} scenario given; expected two or more")
    made = [forecast(s, seed=seed, draws_of_coefficients=draws_of_coefficients, progress=progress) for s in scenarios]
    return [compared(made[0], other) for other in made[1:]]


def compared(before: Forecast, after: Forecast) -> Comparison:
    """Two forecasts side by side; paired where both were made with the same seed, draws and coefficient set."""
    same = before.seed == after.seed and before.draws == after.draws
    paired = same and before.digests["coefficients"] == after.digests["coefficients"]
    known = {(f.code, f.where) for f in before.warnings}
    now = {(f.code, f.where) for f in after.warnings}
    held = {t.target: t.holds for t in before.targets}
    return Comparison(
        before, after, tuple(_moved(before, after, paired)), tuple(_lines(before, after)),
        tuple(f for f in after.warnings if (f.code, f.where) not in known),
        tuple(f for f in before.warnings if (f.code, f.where) not in now),
        tuple(t.target for t in after.targets if not t.holds and held.get(t.target, True)),
        tuple(t.target for t in after.targets if t.holds and not held.get(t.target, True)), paired,
    )  # fmt: skip


def _moved(before: Forecast, after: Forecast, paired: bool) -> list[Moved]:
    found = []
    for name, unit, value, of_run in SIMULATED:
        a, b = value(before), value(after)
        interval, share = _interval(before, after, of_run, paired)
        found.append(Moved(name, unit, a, b, interval, share))
    found += [Moved(name, unit, value(before), value(after)) for name, unit, value in BY_LAW]
    drawn = (after.bill.drawn_usd, before.bill.drawn_usd)
    usd = Moved("monthly cost", "USD", float(before.bill.monthly_usd), float(after.bill.monthly_usd))
    if len(drawn[0]) == len(drawn[1]) > 0:
        apart = drawn[0] - drawn[1]
        low, high = (float(q) for q in np.quantile(apart, [TAIL, 1 - TAIL]))
        usd = Moved(usd.name, usd.unit, usd.before, usd.after, Interval(low, high), _same_sign(apart, usd.change))
    return [*found, usd]


def _worst(trace: Trace, q: float) -> float:
    return max(flow.latency.quantile(q) for flow in trace.flows.values())


def _batch(trace: Trace) -> float:
    """Mean batch time of the slowest flow [s]."""
    found = [0.0]
    for flow in trace.flows.values():
        batches = flow.counted(trace.measured_from, trace.measured_until)
        found.append(float((batches["finished"] - batches["started"]).mean()) if len(batches) else math.nan)
    return max(found)


def _lag(trace: Trace) -> float:
    found = [0.0]
    for flow in trace.flows.values():
        batches = flow.counted(trace.measured_from, trace.measured_until)
        found.append(float(batches["lag_records"].max()) if len(batches) else math.nan)
    return max(found)


SIMULATED: tuple[tuple[str, str, Callable[[Forecast], float], Callable[[Trace], float]], ...] = (
    ("p50", "s", lambda out: out.latency.p50_seconds, lambda t: _worst(t, 0.5)),
    ("p99", "s", lambda out: out.latency.p99_seconds, lambda t: _worst(t, 0.99)),
    ("batch", "s", lambda out: max(f.batches.seconds.value for f in out.flows.values()), _batch),
    ("most lag", "count", lambda out: max(f.lag.max_records.value for f in out.flows.values()), _lag),
)
BY_LAW: tuple[tuple[str, str, Callable[[Forecast], float]], ...] = (
    ("catch up", "s", lambda out: max(f.lag.catch_up_seconds for f in out.flows.values())),
    ("sustainable rate", "1/s", lambda out: out.throughput.sustainable_events_per_second),
    ("log", "GiB", lambda out: out.storage["kafka"].bytes / GIB),
    ("index", "GiB", lambda out: out.storage["elasticsearch"].bytes / GIB),
    ("memory reserved", "GiB", lambda out: sum(x.reserved_bytes * x.count for x in out.memory) / GIB),
    ("brokers", "count", lambda out: out.scenario.kafka.brokers),
    ("executors", "count", lambda out: out.scenario.spark.executors),
    ("data nodes", "count", lambda out: out.scenario.elasticsearch.data_nodes),
)


def _interval(
    before: Forecast, after: Forecast, of_run: Callable[[Trace], float], paired: bool
) -> tuple[Interval | None, float | None]:
    """90 % of the difference: over draws of the coefficients where there are any, else over repeats."""
    drawn = min(len(before.drawn), len(after.drawn)) > 1
    a, b = (before.drawn, after.drawn) if drawn else (before.traces, after.traces)
    x, y = np.array([of_run(t) for t in a]), np.array([of_run(t) for t in b])
    if not paired or len(x) != len(y):
        return _unpaired(x, y), None
    apart = y - x
    apart = apart[np.isfinite(apart)]
    if len(apart) < 2:
        return None, None
    reach = (Z if drawn else t_factor(len(apart))) * float(apart.std(ddof=1))
    mean = float(apart.mean())
    return Interval(mean - reach, mean + reach), _same_sign(apart, mean)


def _unpaired(x: np.ndarray, y: np.ndarray) -> Interval | None:
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if min(len(x), len(y)) < 2:
        return None
    reach = Z * math.hypot(float(x.std(ddof=1)), float(y.std(ddof=1)))
    mean = float(y.mean() - x.mean())
    return Interval(mean - reach, mean + reach)


def _same_sign(apart: np.ndarray, value: float) -> float | None:
    return float(np.mean(np.sign(apart) == np.sign(value))) if value else None


def _lines(before: Forecast, after: Forecast) -> list[Moved]:
    """The bill's lines that moved most, both bills' lines of one system and name added up."""
    sums: dict[str, list[float]] = {}
    for side, out in enumerate((before, after)):
        for line in out.bill.bill.lines:
            sums.setdefault(f"{line.system}: {line.name}", [0.0, 0.0])[side] += float(line.monthly_usd)
    moved = [Moved(name, "USD", a, b) for name, (a, b) in sums.items() if abs(b - a) >= 0.005]
    return sorted(moved, key=lambda one: -abs(one.change))[:TOP_LINES]
