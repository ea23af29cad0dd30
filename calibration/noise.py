"""Noise: how batches of one rate scatter, how equal runs differ, how often and long a JVM stands still.

Spreads are taken by quartiles of logarithms, within one step of one run, from batches after the
warm-up. Batches that a merge or a pause hit lie outside the quartiles and do not move them: the
simulator draws those by themselves.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.lab import SPARK, LabRun, whole_batches
from calibration.observations import Batch, Floats, ObservationError
from calibration.spark import COMMITS, tasks_of

SETTLED_BATCHES = 20  # where the recordings have become steady: ten batches or a minute, and some


@dataclass(frozen=True)
class Spreads:
    """Noise of settled batches: log standard deviations, lag-1 autocorrelation, and how many were seen."""

    batch_sigma: float
    batch_autocorrelation: float
    task_sigma: float
    commit_seconds: float
    commit_sigma: float
    batches: int


def settled(run: LabRun) -> list[list[Batch]]:
    """Batches of each step, without the first ones of the run."""
    return [[b for b in whole_batches(run, step) if b.number >= SETTLED_BATCHES] for step in run.steps()]


def spreads(runs: Sequence[LabRun]) -> Spreads:
    """Noise left in batches of one rate in one run."""
    logs, products, squares, task_logs, commits, commit_logs = [], [], [], [], [], []
    for run in runs:
        tasks = tasks_of(run.batches, run.tasks)
        for batches in (step for step in settled(run) if len(step) >= 5):
            log = np.log([b.seconds for b in batches])
            log -= np.median(log)
            logs.append(log)
            clipped = np.clip(log, -0.5, 0.5)
            products.append(clipped[1:] * clipped[:-1])
            squares.append(clipped**2)
            task_logs += _task_logs([[t.seconds for t in tasks[b.number]] for b in batches])
            for name in COMMITS:
                seconds = np.array([max(b.phases[name], 1e-3) for b in batches])
                commits.append(seconds)
                commit_logs.append(np.log(seconds) - np.median(np.log(seconds)))
    if not logs:
        raise ObservationError(f"no step has five batches after the first {SETTLED_BATCHES}; record longer steps")
    return Spreads(
        batch_sigma=_sigma(np.concatenate(logs)),
        batch_autocorrelation=float(np.mean(np.concatenate(products)) / np.mean(np.concatenate(squares))),
        task_sigma=_sigma(np.concatenate(task_logs)) if task_logs else math.nan,
        commit_seconds=float(np.mean(np.concatenate(commits))),
        commit_sigma=_sigma(np.concatenate(commit_logs)),
        batches=sum(len(log) for log in logs),
    )


def commit_seconds(runs: Sequence[LabRun]) -> Floats:
    """Every checkpoint write of settled batches [s]; refuses where none were seen."""
    batches = [b for run in runs for step in settled(run) for b in step]
    seconds = [b.phases[name] for b in batches for name in COMMITS if name in b.phases]
    if not seconds:
        raise ObservationError("no batch after the warm-up states walCommit or commitOffsets")
    return np.array(seconds)


def _sigma(log: Floats) -> float:
    """Standard deviation by quartiles; 1.349 of them span the middle half of a normal."""
    return float(np.subtract(*np.quantile(log, [0.75, 0.25])) / 1.349)


def _task_logs(lengths: list[list[float]]) -> list[Floats]:
    """Spreads of tasks within batches of the usual number of tasks; none where no event log tells them."""
    usual = max((len(x) for x in lengths), key=[len(x) for x in lengths].count, default=0)
    alike = [x for x in lengths if len(x) == usual and min(x, default=0.0) > 0]
    return [_within(np.array(alike))] if usual and len(alike) >= 2 else []


def _within(seconds: Floats) -> Floats:
    """Logs of task lengths with the batch's and the task position's medians taken out, flat."""
    log = np.log(seconds)
    log -= np.median(log, axis=1, keepdims=True)
    return (log - np.median(log, axis=0, keepdims=True)).ravel()


def repeatability(one: LabRun, other: LabRun) -> float:
    """Log standard deviation of one run against another of the same settings [1]: two runs, one degree of freedom."""
    medians = [[np.median([b.seconds for b in batches]) for batches in settled(run) if batches] for run in (one, other)]
    if len(medians[0]) != len(medians[1]) or one.experiment.plan != other.experiment.plan:
        raise ObservationError(f"{one.name} and {other.name} are not the same experiment")
    return float(np.mean(np.abs(np.log(np.array(medians[1]) / np.array(medians[0])))) / math.sqrt(2))


def experiment_of(name: str) -> str:
    """A run's name without what tells its repeats apart.

    >>> experiment_of("fit-pipe-2s-again"), experiment_of("test-pipe-burst.2"), experiment_of("fit-pipe-2s")
    ('fit-pipe-2s', 'test-pipe-burst', 'fit-pipe-2s')
    """
    stem, dot, last = name.rpartition(".")
    return (stem if dot and last.isdigit() else name).removesuffix("-again")


def equal_runs(runs: Sequence[LabRun]) -> list[tuple[LabRun, LabRun]]:
    """Pairs of runs of one experiment: `x` and `x-again`, or `x.1` and `x.2`, each with the one before it."""
    groups: dict[str, list[LabRun]] = {}
    for run in sorted(runs, key=lambda r: r.start):
        groups.setdefault(experiment_of(run.name), []).append(run)
    return [pair for mine in groups.values() for pair in itertools.pairwise(mine)]


def has_pauses(run: LabRun) -> bool:
    """Whether a run shows collections and the CPU of the processes that had them."""
    start, end = run.window()
    c = run.spark_cpu
    covered = c is not None and len(c.t) > 1 and c.t[0] <= start and c.t[-1] >= end
    return covered and any(t.gc_seconds > 0 and start <= t.launch <= end for t in run.tasks)


def pauses(runs: Sequence[LabRun]) -> tuple[float, float, int]:
    """Collections a CPU second of Spark's processes and their mean length [1/s, s], and how many were seen.

    Only those inside tasks show in the event log, and two in one task count once: a lower bound of the rate.
    """
    lengths, cpu = [], 0.0
    for run in runs:
        start, end = run.window()
        lengths += [t.gc_seconds for t in run.tasks if t.gc_seconds > 0 and start <= t.launch <= end]
        cpu += run.processes.cpu[SPARK].increase(start, end)
    if not lengths:
        raise ObservationError("no task shows a collection, so pauses are not told; record longer")
    return len(lengths) / cpu, float(np.mean(lengths)), len(lengths)
