"""A series: rounds of all experiments between speed anchors, so that repeats lie hours apart.

One round runs every experiment once, in an order shuffled by its number, with the same short *anchor*
run before and after: if the anchors differ, the machine did. What is recorded already is passed over,
so a series that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import machine
from lab.experiment import Experiment, ExperimentError, folder_name
from lab.processes import ProcessError
from lab.run import perform as perform_one
from lab.search import SearchError
from lab.stack import Kit

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Planned:
    """One run to come."""

    experiment: Experiment
    repeat: int


def default_results() -> Path:
    """lab/results/<date>-<machine>, the machine by its CPU and cores: host names are nobody's business."""
    return RESULTS / f"{time.strftime('%Y-%m-%d', time.gmtime())}-{machine.short_name()}"


def plan(
    experiments: Sequence[Experiment],
    names: Sequence[str] = (),
    sets: Sequence[str] | None = None,
    rounds: Sequence[int] | None = None,
    *,
    anchors: bool = True,
) -> list[Planned]:
    """The runs in order; refuses names that are no experiment."""
    known = {e.name: e for e in experiments}
    for name in names:
        if name not in known:
            raise ExperimentError(f"{name}: no such experiment; `python -m lab list` names them")
    wanted = [e for e in experiments if (e.name in names if names else e.set != "anchor")]
    wanted = [e for e in wanted if not sets or e.set in sets]
    anchor = [e for e in experiments if e.set == "anchor"] if anchors else []
    found: list[Planned] = []
    for number in rounds or range(1, max((e.repeats for e in wanted), default=0) + 1):
        batch = [e for e in wanted if number <= e.repeats]
        random.Random(number).shuffle(batch)
        found += [Planned(a, 2 * number - 1) for a in anchor]
        found += [Planned(e, number) for e in batch]
        found += [Planned(a, 2 * number) for a in anchor]
    return found


def seconds(runs: Sequence[Planned]) -> float:
    return sum(one.experiment.seconds for one in runs)


def perform(kit: Kit, runs: Sequence[Planned], results: Path, *, disturbed: bool = False) -> int:
    """Runs them all; one that fails is told and the series goes on. The number of those that failed, at most 1."""
    results.mkdir(parents=True, exist_ok=True)
    if not (results / "machine.toml").exists():
        (results / "machine.toml").write_text(machine.describe(), encoding="utf-8")
    failed = []
    for number, one in enumerate(runs, 1):
        name = folder_name(one.experiment, one.repeat, disturbed)
        if (results / name).exists():
            continue
        kit.tell(f"{number}/{len(runs)} {name}: about {one.experiment.seconds:.0f} s")
        try:
            perform_one(kit, one.experiment, one.repeat, results, disturbed=disturbed)
        except (ProcessError, SearchError, TimeoutError, OSError, subprocess.SubprocessError) as error:
            kit.tell(f"    failed: {error}")
            failed.append(name)
    if failed:
        kit.tell(f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}")
    return min(len(failed), 1)
