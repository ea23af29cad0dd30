"""Calibrate: recordings in, a dated coefficient set out, with what it is worth.

The fit itself is `calibration.fit`. Here recordings are gathered and refused, the last part of each is held out and
forecast, the set is written, and today's load is replayed with it: until CPU, batch time and bytes come out as they
were measured, per process, a what-if that starts from today says so (`unanchored`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from calibration.backtest import held_out
from calibration.fit import Base, Outcome, fit_runs
from calibration.fit_set import to_toml
from calibration.lab import LabRun
from calibration.observations import ObservationError
from models.coefficients import LAWS, CoefficientSet, carried, load_set
from planner.backtest import repeats, scored
from planner.backtest_forecast import foreseen
from planner.backtest_scenario import unlike
from planner.backtest_score import Score
from planner.backtest_values import part_names, seen
from planner.calibrate_load import Gathered
from planner.calibrate_model import UNTOLD, left_out, model_errors, residuals
from planner.calibrate_nodes import TOLERANCE as NODE_TOLERANCE
from planner.calibrate_nodes import by_node, worst
from planner.refusal import ScenarioError
from planner.shown import Shown

SEEDS, DRAWS = range(1, 5), 8
TOLERANCE = {"batch time, median": 0.15, "CPU": 0.15, "log bytes": 0.05, "index bytes": 0.10}
TWICE = 2.0  # a tolerance is never below twice what two equal runs differ by
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Match:
    """One quantity of today's stack replayed: replayed over measured, less one, as the median over its parts; of nodes
    the worst of them."""

    quantity: str
    error: float
    tolerance: float
    parts: int

    @property
    def holds(self) -> bool:
        return abs(self.error) <= self.tolerance


@dataclass(frozen=True)
class Calibration(Shown):
    """A fitted set: its text, what was told and left, errors on what was held out, and the replay of today."""

    name: str
    gathered: Gathered
    outcome: Outcome
    text: str
    prior: str
    coefficients: CoefficientSet
    held: list[Score] = field(default_factory=list)
    held_refused: str = ""
    replay: list[Match] = field(default_factory=list)

    @property
    def anchored(self) -> bool:
        """Whether everything that was replayed came out as measured."""
        return bool(self.replay) and all(match.holds for match in self.replay)


def calibrate(
    gathered: Gathered, name: str, *, prior: str = "generic-2026-11", holdout: float = 0.25, made_by: str = "",
    work: Path, progress: Progress | None = None, leave_out: bool = True,
) -> Calibration:  # fmt: skip
    """Fit, hold out, replay. `work` is a folder for the set while it is tried; `leave_out` tells the model's own error
    by leaving out each experiment in turn, which takes as many fits.

    Raises ScenarioError, a line a reason, where the recordings cannot be fitted.
    """
    said = progress or (lambda text, done, of: None)
    runs = list(gathered.runs)
    speed = float(gathered.machine["per_core_speed"])
    base = Base.of(carried(load_set(prior), speed))
    held: list[Score] = []
    refused = ""
    if holdout:
        said("holding out the last part", 0, 1)
        held, refused = _held_out(gathered, base, prior, holdout, work)
    said("fitting", 0, 1)
    outcome = _fitted(gathered, base)
    if leave_out:
        said("leaving out each experiment in turn", 0, 1)
        _own_error(outcome, gathered, base, prior, work)
    text = to_toml(name, gathered.machine, prior, made_by, gathered.digest, runs, outcome)
    central = loaded(text, work / f"{name}.toml")
    said("replaying today's load", 0, 1)
    replay = replayed(runs, central)
    text = to_toml(
        name, gathered.machine, prior, made_by, gathered.digest, runs, outcome, _told(gathered, replay, held)
    )
    return Calibration(name, gathered, outcome, text, prior, loaded(text, work / f"{name}.toml"), held, refused, replay)


def _own_error(outcome: Outcome, gathered: Gathered, base: Base, prior: str, work: Path) -> None:
    """The model's own error by quantity, told into the outcome or named as left."""
    found, why = left_out(gathered, base, prior, work)
    told = model_errors(residuals(found))
    outcome.told |= told
    for law in (law for law in LAWS if law.startswith("model.") and law not in told):
        short = "no fit run shows a backlog or an overload" if law in UNTOLD else why or "too few experiments show it"
        outcome.left[law] = short


def loaded(text: str, path: Path) -> CoefficientSet:
    """A set from its text, by way of a file; what was cached under that name is forgotten."""
    path.write_text(text, encoding="utf-8")
    load_set.cache_clear()
    return load_set(str(path))


def _fitted(gathered: Gathered, base: Base) -> Outcome:
    try:
        return fit_runs(gathered.runs, base)
    except ObservationError as error:
        lines = [f"cannot be fitted: {line}" for line in str(error).splitlines()]
        lines += [f"not taken: {name}: {why}" for name, why in gathered.skipped.items()]
        raise ScenarioError(lines) from None


def _held_out(
    gathered: Gathered, base: Base, prior: str, share: float, work: Path
) -> tuple[list[Score], str]:  # fmt: skip
    """Scores of the last part of each recording, forecast from a fit that ends before it, or why there is none."""
    try:
        early, late = held_out(list(gathered.runs), share)
        outcome = fit_runs(early, base)
    except ObservationError as error:
        return [], str(error).splitlines()[0]
    text = to_toml("held-out", gathered.machine, prior, "a fit without the last part", gathered.digest, early, outcome)
    central, found = loaded(text, work / "held-out.toml"), []
    for run, before in ((run, n) for run, n in late if not unlike(run)):
        after = set(part_names(run)[before:])
        one = scored(run, central, [r for r, _ in late], early, SEEDS, DRAWS)
        found += [s for s in one.scores if s.part in after]
    return found, ""


def replayed(runs: Sequence[LabRun], c: CoefficientSet) -> list[Match]:
    """Every run's own load simulated with the set, beside what was measured in it: quantity by quantity, and each node
    of a cluster of several beside its own forecast, of which the worst counts."""
    ratios: dict[str, list[float]] = {}
    nodes: dict[str, list[tuple[float, float]]] = {}
    for run in (run for run in runs if run.batches and not unlike(run)):
        told, measured = foreseen(run, c, SEEDS).values, seen(run)
        for key, value in measured.items():
            if _tolerance(key[1]) and key in told and value.value > 0 and told[key].value > 0:
                ratios.setdefault(key[1], []).append(math.log(told[key].value / value.value))
        for quantity, pairs in by_node(run, c, SEEDS).items():
            nodes.setdefault(quantity, []).extend(pairs)
    noise = repeats(runs)
    return [
        Match(q, math.expm1(median(x)), max(_tolerance(q), TWICE * noise.get(("", q), 0.0)), len(x))
        for q, x in ratios.items()
    ] + [Match(q, worst(x), NODE_TOLERANCE[q.split()[0]], len(x)) for q, x in nodes.items()]


def _tolerance(quantity: str) -> float:
    return next((share for start, share in TOLERANCE.items() if quantity.startswith(start)), 0.0)


def _told(gathered: Gathered, replay: Sequence[Match], held: Sequence[Score]) -> dict[str, Mapping[str, Any]]:
    """Tables of the set beside [fit]: the files, versions, the replay, and the error on what was held out."""
    anchored = bool(replay) and all(match.holds for match in replay)
    tables: dict[str, Mapping[str, Any]] = {
        "anchor": {"anchored": "yes" if anchored else "no", "why": why_unanchored(replay)},
        "anchor.error": {match.quantity: match.error for match in replay},
        "fit.versions": gathered.versions,
        "fit.files": gathered.files,
    }
    for quantity in dict.fromkeys(s.quantity for s in held):
        errors = [abs(s.error) for s in held if s.quantity == quantity]
        tables["fit.held_out_error"] = {**tables.get("fit.held_out_error", {}), quantity: median(errors)}
    return tables


def why_unanchored(replay: Sequence[Match]) -> str:
    """One sentence on what does not match; what matched where all does."""
    off = [f"{m.quantity} {m.error:+.0%} (at most {m.tolerance:.0%})" for m in replay if not m.holds]
    if not replay:
        return "no recorded load could be replayed"
    return f"replayed today's load: {', '.join(off)}" if off else f"{len(replay)} quantities replayed as measured"
