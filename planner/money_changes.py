"""Changes of the stack that are planned for later months, and whether the stack carries the load of a month.

A *change* sets fields by path from its month on; each is validated as the scenario itself is. Whether machines have to
grow is asked of the screen, at the month's peak: it is an approximation (8 % off in the median on the sustainable
rate), so a month near the limit is said to be one to simulate, not judged.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from models.coefficients import CoefficientSet
from models.money import Change
from models.stack import Scenario
from models.units import MONTH
from models.workload import Workload
from planner.money_bridge import look, put
from planner.refusal import ScenarioError
from planner.scenario import resolved, validated

SIMULATE = 0.7  # of what the screen says a stack sustains; above, simulate (engine.md D4)


@dataclass(frozen=True)
class Headroom:
    """A month's peak over what the stack sustains [1], and what is fullest at that limit."""

    share: float
    binding: str

    @property
    def needed(self) -> bool:
        return self.share > 1

    @property
    def close(self) -> bool:
        return SIMULATE < self.share <= 1


def due(scenario: Scenario, month: int) -> tuple[Change, ...]:
    """The changes that begin in a month from now, 1 the first."""
    return tuple(change for change in scenario.money.changes if change.month == month)


def changed(scenario: Scenario, changes: tuple[Change, ...]) -> Scenario:
    """The scenario with some changes made. Raises ScenarioError for a path or value that it cannot have."""
    if not changes:
        return scenario
    data = resolved(scenario)
    for change in changes:
        for path, value in change.set.items():
            try:
                look(data, path)
            except ScenarioError:
                raise ScenarioError(f"money.changes: month {change.month}: the scenario has no {path}") from None
            put(data, path, value)
    return validated(data)


def in_month(scenario: Scenario, month: int) -> Scenario:
    """The scenario as it stands in a month from now, 1 the first."""
    return changed(scenario, tuple(c for c in sorted(scenario.money.changes, key=_month) if c.month <= month))


def _month(change: Change) -> int:
    return change.month


def told(change: Change) -> str:
    """A change in words.

    >>> told(Change(month=3, set={"spark.executors": 4}, why="keeps up"))
    'spark.executors becomes 4 (keeps up)'
    """
    what = ", ".join(f"{path} becomes {value}" for path, value in change.set.items())
    return f"{what} ({change.why})" if change.why else what


def headroom(scenario: Scenario, coefficients: CoefficientSet, number: int) -> Headroom | None:
    """How the stack stands at the peak of a month (0 the first), by the screen; None where it cannot be screened."""
    from simulator.screen import screen
    from simulator.screen_numbers import numbers_of

    try:
        found = screen(numbers_of(at_peak_of(scenario, number), coefficients))
    except ValueError:
        return None
    return Headroom(float(1 / found.sustainable[0]), str(found.binding[0]))


def at_peak_of(scenario: Scenario, number: int) -> Scenario:
    """The scenario at a steady rate: the highest of a month (0 the first), grown to its end."""
    flows = []
    for flow in scenario.flows:
        load = flow.workload
        plain = {"rate": peak_of(load, number), "size": load.event_bytes, "bytes_per_second": None, "steps": (),
                 "daily_curve": (), "weekly_curve": (), "bursts": (), "growth_per_month": 0.0}  # fmt: skip
        flows.append(flow.model_copy(update={"workload": load.model_copy(update=plain)}))
    return scenario.model_copy(update={"flows": tuple(flows)})


def peak_of(load: Workload, number: int) -> float:
    """Highest rate of a month (0 the first) [1/s]: daily and weekly peaks together, growth to its end, bursts in it.

    >>> peak_of(Workload(rate=100, size=1, daily_curve=(1, 3), growth_per_month=0.1), 0)
    165.0
    """
    if load.steps:
        return max(rate for _, rate in load.steps)
    curves = prod(max(c) * len(c) / sum(c) for c in (load.daily_curve, load.weekly_curve) if c)
    bursts = [b.factor for b in load.bursts if number * MONTH <= b.at < (number + 1) * MONTH]
    grown = max(1.0, 1 + load.growth_per_month) * (1 + load.growth_per_month) ** number
    return load.events_per_second * curves * max([1.0, *bursts]) * grown
