"""Folds: coefficients fitted without some runs, to forecast those runs blind.

A fold leaves out one experiment with its repeats: leaving out one of two equal runs would test on what the
other one showed. What the remaining runs cannot tell stays at the generic set's value, and such a value may
itself come from all laboratory runs: `leaks` names the coefficients where that is so, and the forecast is not
wholly blind in them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration import fit
from calibration.fit_set import to_toml
from calibration.lab import LabRun
from calibration.noise import experiment_of
from models.coefficients import CoefficientSet, carried, load_set

PRIOR = "generic-2026-11"


@dataclass(frozen=True)
class Fold:
    """Runs left out, the set fitted on the others, and the priors in it that know the runs left out."""

    left_out: tuple[str, ...]
    coefficients: CoefficientSet
    leaks: tuple[str, ...]


def groups(runs: Sequence[LabRun]) -> list[tuple[str, ...]]:
    """Experiments with a trigger, each with its repeats."""
    names = [run.name for run in runs if run.batches]
    first = list(dict.fromkeys(experiment_of(name) for name in names))
    return [tuple(n for n in names if experiment_of(n) == one) for one in first]


def fold(runs: Sequence[LabRun], left_out: tuple[str, ...], machine: Mapping[str, Any], work: Path) -> Fold:
    """The coefficient set of the runs but some; `work` is a folder for its file."""
    runs = [run for run in runs if run.name not in left_out]
    outcome = fit.fit_runs(runs, fit.Base.of(carried(load_set(PRIOR), machine["per_core_speed"])))
    path = work / f"without-{left_out[0].removeprefix('fit-')}.toml"
    told = f"all but {', '.join(left_out)}"
    path.write_text(to_toml(path.stem, machine, PRIOR, "a fold", told, runs, outcome), encoding="utf-8")
    fitted = load_set(str(path))
    return Fold(left_out, fitted, _leaks(outcome, fitted))


def _leaks(outcome: fit.Outcome, fitted: CoefficientSet) -> tuple[str, ...]:
    priors = (c for name, c in fitted.values.items() if name not in outcome.told)
    return tuple(sorted(c.name for c in priors if "aboratory" in c.source))
