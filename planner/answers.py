"""Answers: what a forecast says, each number with what it rests on.

An *answer* is a value with two intervals (90 %). *Sampling*: where another run of the stated length of
this very model would lie. *Forecast*: where the real stack is expected to lie. `monte_carlo` is how far
the value and the forecast's ends would move with other dice, one standard error, as a share of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

Domain = Literal["measured", "extrapolated", "never measured"]
SHARE = 0.90  # of both intervals; coefficients' own low and high are 90 % too


@dataclass(frozen=True)
class Interval:
    """From `low` to `high`; infinite where no end is seen."""

    low: float
    high: float


@dataclass(frozen=True)
class MonteCarlo:
    """One standard error of the value and of the forecast interval's ends, as shares of them [1]."""

    value: float
    ends: float


@dataclass(frozen=True)
class Answer:
    """A value with its unit, its two intervals and its domain. `note` says what a reader must know beside it."""

    value: float
    unit: str
    sampling: Interval | None = None
    forecast: Interval | None = None
    monte_carlo: MonteCarlo | None = None
    domain: Domain = "never measured"
    lower_bound: bool = False
    note: str = ""

    def __float__(self) -> float:
        return self.value

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: an infinite number is null, and `unbounded` says so."""
        out: dict[str, Any] = {"value": finite(self.value), "unit": self.unit}
        for name in ("sampling", "forecast"):
            interval = getattr(self, name)
            out[name] = None if interval is None else [finite(interval.low), finite(interval.high)]
        error = self.monte_carlo
        out["monte_carlo"] = None if error is None else {"value": finite(error.value), "ends": finite(error.ends)}
        out |= {"domain": self.domain, "lower_bound": self.lower_bound}
        if math.isinf(self.value):
            out["unbounded"] = True
        return out | ({"note": self.note} if self.note else {})


def finite(value: float | None) -> float | None:
    """The number, or None where JSON has no word for it."""
    return None if value is None or not math.isfinite(value) else float(value)


QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True)
class Latency:
    """Latency of records, from creation to the first search that can return them, mixed by records."""

    end_to_end: dict[str, Answer]
    by_hop: dict[str, Answer]
    seconds: list[float] = field(repr=False)
    share: list[float] = field(repr=False)

    @property
    def p50_seconds(self) -> float:
        return self.end_to_end["p50"].value

    @property
    def p99_seconds(self) -> float:
        return self.end_to_end["p99"].value

    def as_dict(self) -> dict[str, Any]:
        return {
            "end_to_end": {f"{name}_seconds": answer.as_dict() for name, answer in self.end_to_end.items()},
            "by_hop": {f"{name}_seconds": answer.as_dict() for name, answer in self.by_hop.items()},
            "curve": {"seconds": self.seconds, "share": self.share},
        }


@dataclass(frozen=True)
class Load:
    """How busy one thing that can run out is [1]: a host's cores, task slots, a network card, a volume."""

    name: str
    kind: str
    utilisation: float
    evidence: str

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "utilisation": self.utilisation, "evidence": self.evidence}


@dataclass(frozen=True)
class Throughput:
    """The highest constant rate whose lag does not grow, and what binds there."""

    offered_events_per_second: float
    peak_events_per_second: float
    sustainable: Answer
    bottleneck: Load
    loads: list[Load] = field(repr=False)
    evidence: str

    @property
    def sustainable_events_per_second(self) -> float:
        return self.sustainable.value

    @property
    def headroom(self) -> float:
        """Sustainable rate over the workload's peak [1]."""
        return self.sustainable.value / self.peak_events_per_second

    def as_dict(self) -> dict[str, Any]:
        return {
            "offered_events_per_second": self.offered_events_per_second,
            "peak_events_per_second": self.peak_events_per_second,
            "sustainable_events_per_second": self.sustainable.as_dict(),
            "headroom": finite(self.headroom),
            "bottleneck": self.bottleneck.as_dict(),
            "loads": [load.as_dict() for load in self.loads],
            "evidence": self.evidence,
        }


@dataclass(frozen=True)
class Lag:
    """Records not yet read, their age, and the time to catch up after the outage of the targets."""

    max_records: Answer
    max_seconds: Answer
    catch_up: Answer
    outage_seconds: float

    @property
    def catch_up_seconds(self) -> float:
        return self.catch_up.value

    def as_dict(self) -> dict[str, Any]:
        return {
            "max_records": self.max_records.as_dict(),
            "max_seconds": self.max_seconds.as_dict(),
            "catch_up_seconds": self.catch_up.as_dict(),
            "outage_seconds": self.outage_seconds,
        }


@dataclass(frozen=True)
class Batches:
    """Micro-batches of one flow: how long they take, and how much of the trigger that is."""

    seconds: Answer
    occupancy: float | None
    records: float
    tasks: float
    count: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds.as_dict(),
            "occupancy": finite(self.occupancy),
            "records": self.records,
            "tasks": self.tasks,
            "count": self.count,
        }


@dataclass(frozen=True)
class FlowForecast:
    """What happens to one flow."""

    name: str
    latency: Latency
    lag: Lag
    batches: Batches
    counts: dict[str, float]
    outcome: str

    def as_dict(self) -> dict[str, Any]:
        return {
            "latency": self.latency.as_dict(),
            "lag": self.lag.as_dict(),
            "batches": self.batches.as_dict(),
            "counts": self.counts,
            "outcome": self.outcome,
        }


@dataclass(frozen=True)
class Promise:
    """One target: what was promised, what is forecast, and whether it holds."""

    target: str
    promised: float | str
    forecast: float | str
    unit: str
    holds: bool
    sure: bool
    window: str
    reason: str

    def as_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = {
            "target": self.target,
            "promised": self.promised,
            "forecast": self.forecast,
            "unit": self.unit,
        }
        if isinstance(self.forecast, float):
            told["forecast"] = finite(self.forecast)
        return told | {"holds": self.holds, "sure": self.sure, "window": self.window, "reason": self.reason}
