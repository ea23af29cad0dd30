"""Questions that a notebook asks in one line, each with a result that shows itself: drills, back-test, sweep."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.stack import Scenario
from planner.shown import Shown

if TYPE_CHECKING:
    from planner.backtest import Scored
    from planner.backtest_score import Score
    from planner.calibrate import Calibration
    from planner.drill import DrillResult
    from planner.money_bridge import Bridge
    from planner.sweep import Cell


@dataclass(frozen=True)
class Drills(Shown):
    """The bad days that were run on a stack."""

    scenario: Scenario
    results: tuple[DrillResult, ...]
    seed: int

    @property
    def holds(self) -> bool:
        """Whether every one of them holds."""
        return all(result.holds for result in self.results)

    def __getitem__(self, name: str) -> DrillResult:
        return {result.drill.name: result for result in self.results}[name]


@dataclass(frozen=True)
class Backtest(Shown):
    """Recorded runs beside their blind forecasts; `refused` are the runs that cannot be forecast, with why."""

    runs: tuple[Scored, ...]

    @property
    def scores(self) -> list[Score]:
        return [score for run in self.runs for score in run.scores]

    @property
    def refused(self) -> dict[str, str]:
        return {run.run.name: "; ".join(run.refused) for run in self.runs if run.refused}


@dataclass(frozen=True)
class Sweep(Shown):
    """A grid of values, each stack simulated with the same dice and priced."""

    axes: tuple[str, ...]
    cells: tuple[Cell, ...]


def drill(scenario: Scenario, *names: str, seed: int = 1) -> Drills:
    """The named bad days of a stack, all that it can have if none is named. Raises ScenarioError for another name."""
    from planner.drill import run_drills

    return Drills(scenario, tuple(run_drills(scenario, names, seed)), seed)


def backtest(
    runs: Sequence[str | Path], coefficients: str | Calibration, *, seeds: int = 4, draws: int = 8
) -> Backtest:
    """Recorded runs forecast from settings and due times alone, with a set that was not fitted to them.

    `coefficients` is a packaged set, a .toml file, or a calibration just made. Raises ScenarioError for runs that the
    set was fitted to.
    """
    from planner.backtest_run import named_runs

    paths, numbers = [Path(path) for path in runs], range(1, seeds + 1)
    if isinstance(coefficients, str):
        return Backtest(tuple(named_runs(paths, coefficients, numbers, draws)))
    with tempfile.TemporaryDirectory() as work:
        file = Path(work) / f"{coefficients.name}.toml"
        file.write_text(coefficients.text, encoding="utf-8")
        return Backtest(tuple(named_runs(paths, str(file), numbers, draws)))


def fit(recordings: Sequence[str | Path], name: str, *, holdout: float = 0.0, leave_out: bool = False) -> Calibration:
    """A coefficient set fitted to folders of recorded runs; `leave_out` also tells the model's own error, which takes
    as many fits as there are experiments. Raises ScenarioError where they cannot be fitted."""
    from planner.calibrate import calibrate
    from planner.calibrate_load import gather

    gathered = gather([Path(path) for path in recordings])
    with tempfile.TemporaryDirectory() as work:
        return calibrate(gathered, name, holdout=holdout, work=Path(work), leave_out=leave_out)


def sweep(scenario: Scenario, axes: Mapping[str, Sequence[Any]], *, seed: int = 1) -> Sweep:
    """Every combination of the values of the fields named by path; with the same dice for all."""
    from planner.sweep import swept

    return Sweep(tuple(axes), tuple(swept(scenario, axes, seed=seed)))


def bridge(scenario: Scenario, plan: str = "plan", *, seed: int = 1) -> Bridge:
    """From the bill as planned to the bill as it is, cause by cause; `plan` is a file, or the packaged plan."""
    from planner.money_bridge import bridged, load_plan

    return bridged(scenario, load_plan(plan, scenario), seed=seed)
