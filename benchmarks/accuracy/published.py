"""Published rows: what others measured and told, kept as CSV beside this file with their sources.

A row is *fit* if coefficients were taken from it, *test* if none was, *identity* if both sides come from the same
run's numbers, *bound* if the forecast is a limit that the measurement may only stay below.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

DATA = Path(__file__).parent / "data"
Role = Literal["fit", "test", "identity", "bound"]


@dataclass(frozen=True)
class Row:
    """One published number beside a forecast of it."""

    group: str
    name: str
    role: Role
    quantity: str
    unit: str
    forecast: float
    measured: float

    @property
    def error(self) -> float:
        """Forecast over measured, less one [1]."""
        return self.forecast / self.measured - 1


@cache
def table(name: str) -> tuple[dict[str, str], ...]:
    """A CSV of published rows; raises FileNotFoundError naming the path."""
    with (DATA / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return tuple(csv.DictReader(file))


def row(name: str, key: str, value: str) -> dict[str, str]:
    """The one row whose column `key` has that value."""
    found = [r for r in table(name) if r[key] == value]
    if len(found) != 1:
        raise ValueError(f"{name}.csv: {len(found)} rows have {key} = '{value}'; expected one")
    return found[0]
