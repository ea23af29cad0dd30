"""Watch: today's metrics against today's forecast.

The recorded load is forecast with the set in use. A *quantity* has drifted where most of its parts lie outside their
90 % interval, or their median is off by more than the tolerance; a *law* has stopped being true where its own equations
say so (`calibration.watch`). When to calibrate again follows: now, if a law is beyond the tolerance; else at the pace
at which the worst of them has moved since the set was made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from statistics import median
from typing import Any

from calibration.lab import LabRun
from calibration.watch import Drift, drifts
from models.coefficients import CoefficientSet, load_set
from planner.backtest import scored
from planner.backtest_score import Score
from planner.backtest_values import forget
from planner.calibrate_load import load_loose
from planner.refusal import ScenarioError
from planner.shown import Shown

TOLERANCE = 0.20  # of a law or a quantity: as far as two equal runs of the laboratory lie apart (lab.md)
SEEDS, DRAWS = range(1, 4), 8
SHORTEST_DAYS = 1.0  # a pace is read from more than that


@dataclass(frozen=True)
class QuantityDrift:
    """One quantity today: forecast over measured, less one, as the median over parts; parts outside their interval."""

    quantity: str
    error: float
    outside: int
    parts: int
    tolerance: float

    @property
    def drifted(self) -> bool:
        return abs(self.error) > self.tolerance and 2 * self.outside > self.parts


@dataclass(frozen=True)
class Watch(Shown):
    """What was watched: runs, quantities, laws, what is silent, and when to calibrate again."""

    coefficients: CoefficientSet
    runs: tuple[str, ...]
    day: date
    quantities: list[QuantityDrift]
    laws: list[Drift]
    silent: dict[str, str]
    tolerance: float

    @property
    def broken(self) -> list[Drift]:
        """The laws that stopped being true."""
        return [law for law in self.laws if law.beyond(self.tolerance)]

    @property
    def drifted(self) -> bool:
        return bool(self.broken) or any(q.drifted for q in self.quantities)

    @property
    def calibrate_in_days(self) -> float | None:
        """Days until the fastest law is beyond the tolerance at its pace so far; 0: now; None: no pace is seen."""
        if self.drifted:
            return 0.0
        age = (self.day - date.fromisoformat(self.coefficients.as_of)).days
        moved = [abs(math.log(law.ratio)) for law in self.laws if not law.low <= 1.0 <= law.high]
        if age < SHORTEST_DAYS or not moved:
            return None
        return max(0.0, math.log1p(self.tolerance) / max(moved) * age - age)

    def advice(self) -> str:
        """One sentence."""
        days = self.calibrate_in_days
        if days == 0.0:
            names = ", ".join(law.law for law in self.broken) or "no single law: look at the quantities"
            return f"calibrate again now: {names}"
        if days is None:
            return "no drift is seen; watch again after the next change of load, version or machine"
        return f"calibrate again in about {days:.0f} days, at the pace since {self.coefficients.as_of}"

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "schema_version": 1,
            "set": self.coefficients.name,
            "as_of": self.coefficients.as_of,
            "day": self.day.isoformat(),
            "runs": list(self.runs),
            "tolerance": self.tolerance,
            "quantities": [
                {"quantity": q.quantity, "error": q.error, "outside": q.outside, "parts": q.parts, "drifted": q.drifted}
                for q in self.quantities
            ],
            "laws": [
                {"law": d.law, "coefficients": list(d.coefficients), "measured_over_said": d.ratio, "low": d.low,
                 "high": d.high, "observations": d.rows, "broken": d.beyond(self.tolerance)}
                for d in self.laws
            ],
            "silent": self.silent,
            "drifted": self.drifted,
            "calibrate_in_days": self.calibrate_in_days,
            "advice": self.advice(),
        }  # fmt: skip


def watch(
    paths: Sequence[Path], name: str, tolerance: float = TOLERANCE, scenario: Any = None
) -> Watch:  # fmt: skip
    """Recordings of today beside a set. Raises ScenarioError where nothing can be read."""
    forget()
    c = load_set(name)
    runs = load_loose(paths, scenario)
    if not runs:
        raise ScenarioError("nothing to watch; give a folder of a recorded run, or exported metrics with --scenario")
    laws, silent = drifts(runs, {n: one.value for n, one in c.values.items()})
    scores = [s for run in runs if run.batches for s in scored(run, c, runs, [], SEEDS, DRAWS).scores]
    if not laws and not scores:
        raise ScenarioError(["nothing of it can be watched", *(f"{law}: {why}" for law, why in silent.items())])
    return Watch(c, tuple(r.name for r in runs), _day(runs), quantities(scores, tolerance), laws, silent, tolerance)


def quantities(scores: Sequence[Score], tolerance: float) -> list[QuantityDrift]:
    """Drift by quantity, over runs and parts."""
    rows = []
    for quantity in dict.fromkeys(s.quantity for s in scores):
        mine = [s for s in scores if s.quantity == quantity and math.isfinite(s.error)]
        if mine:
            outside = sum(s.inside is False for s in mine)
            rows.append(QuantityDrift(quantity, median(s.error for s in mine), outside, len(mine), tolerance))
    return rows


def _day(runs: Sequence[LabRun]) -> date:
    return datetime.fromtimestamp(max(run.window()[1] for run in runs), UTC).date()
