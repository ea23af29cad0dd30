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
    the relative difference of two equal runs, `last` and `ten_lines` the baselines; None where there is none.
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
            )
        )
    return rows
