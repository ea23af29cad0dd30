"""Folds: coefficients fitted without some runs, to forecast those runs blind.

A fold leaves out one experiment with its repeats: leaving out one of two equal runs would test on what the
other one showed. What the remaining runs cannot tell stays at the generic set's value, and such a value may
itself come from all laboratory runs: `leaks` names the coefficients where that is so, and the forecast is not
wholly blind in them.
"""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration import fit
from calibration.fit_set import digest, to_toml
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


def fold(results: Path, runs: Sequence[LabRun], left_out: tuple[str, ...], work: Path) -> Fold:
    """The coefficient set of a results folder's runs but some; `work` is a folder for its files."""
    kept = work / f"without-{left_out[0]}"
    kept.mkdir(parents=True)
    for path in sorted(results.glob("fit-*")):
        if path.is_dir() and path.name not in left_out:
            shutil.copytree(path, kept / path.name)
    machine = tomllib.loads((results / "machine.toml").read_text(encoding="utf-8"))
    runs = [run for run in runs if run.name not in left_out]
    outcome = fit.fit_runs(runs, fit.Base.of(carried(load_set(PRIOR), machine["per_core_speed"])))
    path = work / f"without-{left_out[0].removeprefix('fit-')}.toml"
    path.write_text(to_toml(path.stem, machine, PRIOR, "a fold", digest(kept), runs, outcome), encoding="utf-8")
    fitted = load_set(str(path))
    return Fold(left_out, fitted, _leaks(outcome, fitted))


def _leaks(outcome: fit.Outcome, fitted: CoefficientSet) -> tuple[str, ...]:
    priors = (c for name, c in fitted.values.items() if name not in outcome.told)
    return tuple(sorted(c.name for c in priors if "aboratory" in c.source))
