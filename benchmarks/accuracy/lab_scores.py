"""The laboratory runs scored: in sample, each experiment left out of the fit that forecasts it, and the test set."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.accuracy.folds import Fold, fold, groups
from calibration.fit import load_runs
from calibration.lab import LabRun, load_run
from models.coefficients import CoefficientSet, load_set
from planner.backtest import Scored, scored
from planner.backtest_forecast import batch_median
from planner.backtest_run import held_parts
from planner.backtest_score import Score
from planner.backtest_values import BATCH, seen
from planner.backtest_ways import both

RECORDINGS = Path(__file__).parents[2] / "lab" / "results"
RESULTS, TESTS = RECORDINGS / "2026-11-23-epyc-2core", RECORDINGS / "2026-11-24-epyc-2core"
FOLDERS = (TESTS, RESULTS)  # fit runs lie in both, of a name that no test run has; the newer day's machine.toml counts
SET = "lab-2026-11-23"
LEAST_SWAY = 0.01
LAST_STEP = 1 / 3  # of a run: the highest rate of those with three steps
COUNT = 8  # draws of coefficients for an interval


@cache
def recorded() -> tuple[LabRun, ...]:
    """The recorded fit runs, read once: their Prometheus texts are long."""
    return tuple(run for folder in reversed(FOLDERS) for run in load_runs(folder))


def machine() -> dict[str, Any]:
    """The laboratory's machine, as the newer recordings state it."""
    return tomllib.loads((FOLDERS[0] / "machine.toml").read_text(encoding="utf-8"))


@cache
def tested() -> tuple[LabRun, ...]:
    """The test runs, in order of name; what was recorded beside other work is none."""
    runs = (load_run(path) for path in sorted(TESTS.glob("test-*")) if path.is_dir())
    return tuple(run for run in runs if not run.experiment.disturbed)


@dataclass(frozen=True)
class Sway:
    """Median batch time of a left-out run, error with one leaking prior at its low end, as it is, at its high end."""

    run: str
    coefficient: str
    low: float
    as_is: float
    high: float


@dataclass(frozen=True)
class LabScores:
    """Scores in sample, by experiment left out, and of the test set; the folds, and what their priors could do.

    `load` are the last thirds of the fit runs, forecast from a fit to what lies before.
    """

    fitted: list[Scored]
    left_out: list[Scored]
    folds: list[Fold]
    sways: list[Sway]
    test: list[Scored] = field(default_factory=list)
    load: list[Scored] = field(default_factory=list)


def flat(found: Sequence[Scored]) -> list[Score]:
    """All their blind scores."""
    return [score for one in found for score in one.scores]


def sways(run: LabRun, fold: Fold, seeds: Sequence[int]) -> list[Sway]:
    """How far each leaking prior could move the forecast of a left-out run; those that move it by 1 % or more."""
    goal = seen(run)["all", BATCH].value

    def error(c: CoefficientSet) -> float:
        return batch_median(run, c, seeds) / goal - 1

    found, as_is = [], error(fold.coefficients)
    for name in fold.leaks:
        prior = fold.coefficients.values[name]
        low, high = (error(fold.coefficients.with_values({name: value})) for value in (prior.low, prior.high))
        if max(abs(low - as_is), abs(high - as_is)) >= LEAST_SWAY:
            found.append(Sway(run.name, name, low, as_is, high))
    return found


def score_tests(seeds: Sequence[int], count: int = COUNT, only: Sequence[str] = ()) -> list[Scored]:
    """The test set with the packaged set, which never saw it, three ways."""
    c, fitted = load_set(SET), recorded()
    runs = [run for run in tested() if not only or run.name in only]
    blind = [scored(run, c, [*fitted, *tested()], fitted, seeds, count) for run in runs]
    return [one if one.refused else _with_ways(one, c) for one in blind]


def _with_ways(one: Scored, c: CoefficientSet) -> Scored:
    return Scored(one.run, one.scores, one.kinds, one.forecast, one.refused, both(one.run, c))


def score_lab(seeds: Sequence[int], only: Sequence[str] = (), count: int = COUNT) -> LabScores:
    """All of it; `only` limits the experiments that are left out in turn, and the runs scored, to those names."""
    runs = recorded()
    spark = [run for run in runs if run.batches and (not only or run.name in only)]
    fitted = [_with_ways(scored(run, load_set(SET), runs, runs, seeds), load_set(SET)) for run in spark]
    left, folds, swayed = [], [], []
    with tempfile.TemporaryDirectory() as work:
        for names in groups(runs):
            tested_ = [run for run in spark if run.name in names]
            if tested_:
                folds.append(fold(runs, names, machine(), Path(work)))
                c, others = folds[-1].coefficients, [run for run in runs if run.name not in names]
                left += [_with_ways(scored(run, c, runs, others, seeds, count), c) for run in tested_]
                swayed += sways(tested_[0], folds[-1], seeds[:2])
    if only:
        return LabScores(fitted, left, folds, swayed)
    load = held_parts(FOLDERS, LAST_STEP, "", 0.0, seeds, count)
    return LabScores(fitted, left, folds, swayed, score_tests(seeds, count), load)
