"""Back-tests as a user asks for them: named runs with a set that never saw them, or the last part of recordings."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from calibration.backtest import held_out
from calibration.fit import Base, fit_runs
from calibration.fit_set import to_toml
from calibration.lab import LabRun, load_run
from calibration.observations import ObservationError
from models.coefficients import DATA, carried, load_set
from planner.backtest import Scored, scored
from planner.backtest_scenario import unlike
from planner.backtest_values import part_names
from planner.backtest_ways import both
from planner.calibrate import loaded
from planner.calibrate_load import gather
from planner.refusal import ScenarioError

PRIOR = "generic-2026-11"


def named_runs(paths: Sequence[Path], name: str, seeds: Sequence[int], count: int) -> list[Scored]:
    """Each run forecast with a set. Raises ScenarioError for runs that the set was fitted to.

    Runs named fit-… that lie beside them are not forecast; they are what the ten lines are drawn through.
    """
    c, fitted_to = load_set(name), fitted_names(name)
    runs, known = _runs(paths, fitted_to)
    if not runs:
        raise ScenarioError(f"--set {name} was fitted to all of {', '.join(r.name for r in known)}; give other runs")
    everything = [*known, *runs]
    found = [scored(run, c, everything, known, seeds, count) for run in runs]
    return [one if one.refused else replace(one, ways=both(one.run, c)) for one in found]


def fitted_names(name: str) -> list[str]:
    """The runs that a set says it was fitted to."""
    path = Path(name) if name.endswith(".toml") else DATA / f"{name}.toml"
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    return [str(run) for run in raw.get("fit", {}).get("runs", [])]


def _runs(paths: Sequence[Path], fitted_to: Sequence[str]) -> tuple[list[LabRun], list[LabRun]]:
    """Runs to forecast, and runs that the set was fitted to."""
    folders: list[Path] = []
    for path in paths:
        if (path / "experiment.json").is_file():
            folders.append(path)
        elif path.is_dir() and (inside := [p for p in sorted(path.iterdir()) if (p / "experiment.json").is_file()]):
            folders += inside
        else:
            raise ScenarioError(f"{path}: no folder of a recorded run (experiment.json), nor a folder of such folders")
    try:
        runs = [load_run(folder) for folder in folders]
    except ObservationError as error:
        raise ScenarioError(f"cannot be read: {error}") from None
    runs = [run for run in runs if not run.experiment.disturbed and run.experiment.set != "anchor"]
    return [r for r in runs if r.name not in fitted_to], [r for r in runs if r.name in fitted_to]


def held_parts(
    paths: Sequence[Path], share: float, machine: str, speed: float, seeds: Sequence[int], count: int
) -> list[Scored]:  # fmt: skip
    """The last part of each recording, forecast from a fit to all that lies before.

    Parts whose load lies within the fitted one are interpolation, and are told apart. Raises ScenarioError where the
    recordings cannot be fitted.
    """
    gathered = gather(paths, None, machine, speed)
    base = Base.of(carried(load_set(PRIOR), float(gathered.machine["per_core_speed"])))
    try:
        early, late = held_out(list(gathered.runs), share)
        outcome = fit_runs(early, base)
    except ObservationError as error:
        raise ScenarioError([f"cannot be back-tested: {line}" for line in str(error).splitlines()]) from None
    with tempfile.TemporaryDirectory() as work:
        text = to_toml("held-out", gathered.machine, PRIOR, "back-test", gathered.digest, early, outcome)
        c = loaded(text, Path(work) / "held-out.toml")
        found = []
        for run, before in ((run, n) for run, n in late if not unlike(run)):
            one = scored(run, c, [r for r, _ in late], early, seeds, count)
            after = set(part_names(run)[before:])
            ways = {way: [s for s in told if s.part in after] for way, told in both(run, c).items()}
            found.append(replace(one, scores=[s for s in one.scores if s.part in after], ways=ways))
    return found
