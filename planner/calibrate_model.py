"""The model's own error: what a forecast gets wrong beyond what its coefficients' intervals explain.

Each experiment with a query is left out in turn, with its repeats; the others are fitted, and it is forecast blind. Of
each quantity the squared logarithm of forecast over measured, less the spread that drawn coefficients and noise give,
is averaged first over the experiment's parts and then over the experiments: numbers of one run err together, so the
experiments are what is counted. Few of them know a spread badly: the value is that whose normal interval is Student's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from calibration.fit import Base, Told, fit_runs
from calibration.fit_set import to_toml
from calibration.lab import LabRun
from calibration.noise import experiment_of
from calibration.observations import ObservationError
from planner.backtest import Scored, scored
from planner.backtest_scenario import unlike
from planner.calibrate_load import Gathered
from planner.student import quantile
from planner.uncertainty import TAIL, Z, model_law

LEAST_EXPERIMENTS = 2  # of a spread; Student's interval of two is 1.8 times a normal one
LEAST_SIGMA = 0.01  # an error of less is below what any of these quantities is measured to
UNTOLD = ("model.catch_up_sigma", "model.throughput_sigma")  # no fit run shows a backlog or an overload
SEEDS, DRAWS = range(1, 5), 8


@dataclass(frozen=True)
class Residual:
    """One number of an experiment left out: log of forecast over measured, and its spread by coefficients [1]."""

    experiment: str
    law: str
    log_error: float
    spread: float


def experiments(runs: Sequence[LabRun]) -> dict[str, list[LabRun]]:
    """Runs with a query that can be forecast, by experiment."""
    found: dict[str, list[LabRun]] = {}
    for run in (r for r in runs if r.batches and not unlike(r)):
        found.setdefault(experiment_of(run.name), []).append(run)
    return found


def left_out(gathered: Gathered, base: Base, prior: str, work: Path) -> tuple[list[Scored], str]:
    """Every experiment forecast from a fit without it, or why there is nothing to tell."""
    from planner.calibrate import loaded

    groups = experiments(gathered.runs)
    if len(groups) < LEAST_EXPERIMENTS:
        return [], f"{len(groups)} experiments with a query; {LEAST_EXPERIMENTS} are needed to leave one out in turn"
    found: list[Scored] = []
    for name, mine in groups.items():
        others = [run for run in gathered.runs if experiment_of(run.name) != name]
        try:
            outcome = fit_runs(others, base)
        except ObservationError:
            continue  # what is left tells nothing: no forecast to hold against it
        text = to_toml("left-out", gathered.machine, prior, "a fit without one experiment", "", others, outcome)
        central = loaded(text, work / "left-out.toml")
        found += [scored(run, central, list(gathered.runs), others, SEEDS, DRAWS) for run in mine]
    return found, "" if found else "no experiment can be left out and the rest still be fitted"


def residuals(found: Sequence[Scored]) -> list[Residual]:
    """Log errors of all numbers that a coefficient of the model's own error speaks of."""
    rows = []
    for one in found:
        for s in one.scores:
            if s.forecast > 0 and s.measured > 0 and one.forecast is not None and model_law(s.quantity):
                spread = one.forecast.spread((s.part, s.quantity))
                error = math.log(s.forecast / s.measured)
                rows.append(Residual(experiment_of(s.run), model_law(s.quantity), error, spread))
    return rows


def model_errors(rows: Sequence[Residual]) -> dict[str, Told]:
    """Each law's sigma with a 90 % interval by chi-square over experiments."""
    from scipy.stats import chi2

    found = {}
    for law in dict.fromkeys(r.law for r in rows):
        mine = [r for r in rows if r.law == law]
        names = list(dict.fromkeys(r.experiment for r in mine))
        if len(names) < LEAST_EXPERIMENTS:
            continue
        beyond = [_beyond([r for r in mine if r.experiment == name]) for name in names]
        rms, n = math.sqrt(max(mean(beyond), LEAST_SIGMA**2)), len(names)
        low, high = (rms * math.sqrt(n / float(chi2.ppf(q, n))) for q in (0.95, 0.05))
        value = rms * quantile(1 - TAIL, n) / Z
        source = f"{len(mine)} numbers of {n} experiments, each left out of the fit that forecast it; log error "
        source += (
            f"{math.sqrt(mean(r.log_error**2 for r in mine)):.2f} RMS, {rms:.2f} beyond the coefficients' own spread, "
        )
        source += f"times {quantile(1 - TAIL, n) / Z:.2f} for {n} experiments (Student)"
        found[law] = Told(value, min(low, value), max(high, value), source)
    return found


def _beyond(rows: Sequence[Residual]) -> float:
    """Mean squared log error beyond what coefficients explain [1]; what they explain too much of is none."""
    return max(0.0, mean(r.log_error**2 - (0.0 if math.isnan(r.spread) else r.spread**2) for r in rows))
