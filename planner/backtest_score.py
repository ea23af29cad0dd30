"""Scores: a forecast beside its measurement, with what it has to beat and what no forecast could."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Score:
    """One forecast number and its measurement.

    `constant` is the part that configuration alone gives (half a trigger and half a refresh interval), `repeat`
    the relative difference of two equal runs, `last`, `ten_lines` and `rule` the baselines; None where there is none.
    `low` and `high` are the ends of the forecast's interval.
    """

    run: str
    part: str
    quantity: str
    unit: str
    forecast: float
    measured: float
    constant: float = 0.0
    repeat: float | None = None
    last: float | None = None
    ten_lines: float | None = None
    low: float | None = None
    high: float | None = None
    rule: float | None = None

    @property
    def inside(self) -> bool | None:
        """Whether the measurement lies in the interval; None without one."""
        return None if self.low is None or self.high is None else self.low <= self.measured <= self.high

    @property
    def error(self) -> float:
        """Forecast over measured, less one [1]."""
        return self.forecast / self.measured - 1 if self.measured else math.nan

    @property
    def bare_error(self) -> float:
        """The same after configuration's constants are taken from both [1]."""
        rest = self.measured - self.constant
        return (self.forecast - self.measured) / rest if rest > 0 else math.nan

    def error_of(self, other: float | None) -> float:
        return math.nan if other is None or not self.measured else other / self.measured - 1


@dataclass(frozen=True)
class Summary:
    """Errors of one quantity over steps: median and largest, in size; nan where there is none."""

    quantity: str
    count: int
    median: float
    worst: float
    bare: float
    repeat: float
    last: float
    ten_lines: float
    bias: float
    rule: float = math.nan


@dataclass(frozen=True)
class Coverage:
    """Of measurements with an interval: runs, the share inside (each run counts once, by its share), the share's own
    Clopper-Pearson interval over runs, mean interval score and median width, both of logarithms."""

    runs: int
    rows: int
    share: float
    low: float
    high: float
    score: float
    width: float


def coverage(scores: Sequence[Score], share: float = 0.90) -> Coverage | None:
    """How often intervals held the measurement; None where no score has one.

    Numbers of one run err together, so the runs are what is counted. Source: Clopper and Pearson 1934, by quantiles of
    the beta distribution; interval score: Gneiting and Raftery 2007, eq. 43.
    """
    from scipy.stats import beta

    known = [s for s in scores if s.inside is not None and s.measured > 0 and s.low and s.high]
    if not known:
        return None
    names = list(dict.fromkeys(s.run for s in known))
    held = sum(float(np.mean([bool(s.inside) for s in known if s.run == name])) for name in names)
    n, tail = len(names), (1 - share) / 2
    low = float(beta.ppf(tail, held, n - held + 1)) if held > 0 else 0.0
    high = float(beta.ppf(1 - tail, held + 1, n - held)) if held < n else 1.0
    told = [_interval_score(s, 1 - share) for s in known]
    widths = [math.log(s.high / s.low) for s in known if s.high and s.low]
    return Coverage(n, len(known), held / n, low, high, float(np.mean(told)), float(np.median(widths)))


def _interval_score(s: Score, alpha: float) -> float:
    low, high, x = math.log(s.low or 1.0), math.log(s.high or 1.0), math.log(s.measured)
    return high - low + 2 / alpha * (max(low - x, 0.0) + max(x - high, 0.0))


def middle(values: Iterable[float]) -> float:
    """Median of the numbers among them; nan if there are none."""
    known = [v for v in values if not math.isnan(v)]
    return float(np.median(known)) if known else math.nan


def summarise(scores: Sequence[Score]) -> list[Summary]:
    """One row a quantity, in order of first appearance."""
    rows = []
    for quantity in dict.fromkeys(s.quantity for s in scores):
        mine = [s for s in scores if s.quantity == quantity]

        def typical(error: Callable[[Score], float], mine: list[Score] = mine) -> float:
            return middle(abs(error(s)) for s in mine)

        rows.append(
            Summary(
                quantity,
                len(mine),
                typical(lambda s: s.error),
                max(abs(s.error) for s in mine),
                typical(lambda s: s.bare_error if s.constant else math.nan),
                typical(lambda s: math.nan if s.repeat is None else s.repeat),
                typical(lambda s: s.error_of(s.last)),
                typical(lambda s: s.error_of(s.ten_lines)),
                middle(s.error for s in mine),
                typical(lambda s: s.error_of(s.rule)),
            )
        )
    return rows
