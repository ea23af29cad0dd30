"""The laboratory runs scored: in sample, and with each experiment left out of the fit that forecasts it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.accuracy.baselines import kind, last_values, ten_lines
from benchmarks.accuracy.folds import Fold, fold, groups
from benchmarks.accuracy.lab import REFRESH_SECONDS, Value, batch_median, foreseen, seen
from benchmarks.accuracy.score import Score
from calibration.fit import load_runs
from calibration.lab import LabRun
from models.coefficients import CoefficientSet, load_set

RESULTS = Path(__file__).parents[2] / "lab" / "results" / "2026-11-23-epyc-2core"
SET = "lab-2026-11-23"
LEAST_SWAY = 0.01


@cache
def recorded() -> tuple[LabRun, ...]:
    """The recorded runs, read once: their Prometheus texts are long."""
    return tuple(load_runs(RESULTS))


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
    """In-sample scores, scores by experiment left out, the folds they came from, and what their priors could do."""

    fitted: list[Score]
    left_out: list[Score]
    folds: list[Fold]
    sways: list[Sway]


def repeats(runs: Sequence[LabRun]) -> dict[tuple[str, str], float]:
    """Relative difference of the two equal runs, by part and quantity, and by ("", quantity) its mean over steps."""
    by_name = {run.name: run for run in runs}
    found: dict[tuple[str, str], float] = {}
    for name, run in by_name.items():
        if not name.endswith("-again"):
            continue
        one, other = seen(by_name[name.removesuffix("-again")]), seen(run)
        found |= {key: abs(other[key].value / one[key].value - 1) for key in one if key in other}
    for quantity in {q for _, q in found}:
        steps = [v for (part, q), v in found.items() if q == quantity and part != "all"]
        found["", quantity] = sum(steps) / len(steps) if steps else found["all", quantity]
    return found


def scored(
    run: LabRun, c: CoefficientSet, runs: Sequence[LabRun], fitted: Sequence[LabRun], seeds: Sequence[int]
) -> list[Score]:
    """One run's scores; `fitted` are the runs that the coefficients, and so the ten lines, were taken from."""
    forecast, measured = foreseen(run, c, seeds), seen(run)
    spread, last, lines = repeats(runs), last_values(run, runs), ten_lines(run, fitted)
    twin = any(r.experiment.plan == run.experiment.plan and r.name != run.name and kind(r) == kind(run) for r in runs)

    def one(key: tuple[str, str], value: Value) -> Score:
        constant = 0.5 * (run.experiment.trigger_seconds + REFRESH_SECONDS) if value.quantity.startswith("lat") else 0.0
        return Score(
            run.name, value.part, value.quantity, value.unit, forecast.values[key].value, value.value, constant,
            spread.get(key if twin else ("", value.quantity)),
            last[key].value if key in last else None, lines[key].value if key in lines else None,
            forecast.low.get(key), forecast.high.get(key),
        )  # fmt: skip

    return [one(key, value) for key, value in measured.items()]


def sways(run: LabRun, fold: Fold, seeds: Sequence[int]) -> list[Sway]:
    """How far each leaking prior could move the forecast of a left-out run; those that move it by 1 % or more."""
    goal = seen(run)["all", "batch time, median"].value

    def error(c: CoefficientSet) -> float:
        return batch_median(run, c, seeds) / goal - 1

    found, as_is = [], error(fold.coefficients)
    for name in fold.leaks:
        prior = fold.coefficients.values[name]
        low, high = (error(fold.coefficients.with_values({name: value})) for value in (prior.low, prior.high))
        if max(abs(low - as_is), abs(high - as_is)) >= LEAST_SWAY:
            found.append(Sway(run.name, name, low, as_is, high))
    return found


def score_lab(seeds: Sequence[int], only: Sequence[str] = ()) -> LabScores:
    """All of it; `only` limits the experiments that are left out in turn, and the runs scored, to those names."""
    runs = recorded()
    spark = [run for run in runs if run.batches and (not only or run.name in only)]
    fitted = [s for run in spark for s in scored(run, load_set(SET), runs, runs, seeds)]
    left, folds, swayed = [], [], []
    with tempfile.TemporaryDirectory() as work:
        for names in groups(runs):
            tested = [run for run in spark if run.name in names]
            if tested:
                folds.append(fold(RESULTS, runs, names, Path(work)))
                others = [run for run in runs if run.name not in names]
                left += [s for run in tested for s in scored(run, folds[-1].coefficients, runs, others, seeds)]
                swayed += sways(tested[0], folds[-1], seeds[:2])
    return LabScores(fitted, left, folds, swayed)
