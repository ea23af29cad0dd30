"""A recording cut in time: what came before to fit, what came after to be forecast blind.

`until` is a run as it would have been recorded had it ended then; `split` is the whole run with its plan divided at
that time, so that what came after is parts of their own. A closed loop has no plan to cut, and stays whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from calibration.lab import LabRun
from calibration.observations import Counter, Gauge, ObservationError

Plan = tuple[tuple[float, float], ...]
Sampled = TypeVar("Sampled", Counter, Gauge)
LEAST_SECONDS = 10.0  # of a part worth forecasting


def cut_time(run: LabRun, share: float) -> float:
    """When the last `share` of a run's measured time begins [epoch s]."""
    if not 0 < share < 1:
        raise ObservationError(f"holdout = {share:g}; expected a share between 0 and 1, such as 25 %")
    start, end = run.window()
    return end - share * (end - start)


def divided(plan: Plan, seconds: float) -> tuple[Plan, Plan]:
    """A plan's steps before and after a time from its start; a step that it falls into is in both, in parts.

    >>> divided(((40, 200), (40, 600)), 60)
    (((40, 200), (20.0, 600)), ((20.0, 600),))
    """
    before, after, at = [], [], 0.0
    for duration, rate in plan:
        first = min(max(seconds - at, 0.0), duration)
        if first > 0:
            before.append((first if first < duration else duration, rate))
        if first < duration:
            after.append((duration - first if first else duration, rate))
        at += duration
    return tuple(before), tuple(after)


def until(run: LabRun, end: float) -> LabRun:
    """The run as known at that time; a run without a plan stays whole."""
    if not run.experiment.plan:
        return run
    before, _ = divided(run.experiment.plan, end - run.start)
    processes = replace(
        run.processes,
        cpu={n: _before(c, end) for n, c in run.processes.cpu.items()},
        resident={n: _before(g, end) for n, g in run.processes.resident.items()},
    )
    node = run.node and replace(run.node, counters={n: _before(c, end) for n, c in run.node.counters.items()})
    broker = run.broker and replace(run.broker, counters={n: _before(c, end) for n, c in run.broker.counters.items()})
    return replace(
        run,
        experiment=replace(run.experiment, plan=before),
        batches=tuple(b for b in run.batches if b.end <= end),
        tasks=tuple(t for t in run.tasks if t.finish <= end),
        polls=(),  # what was due and not yet seen has no latency
        events=tuple(e for e in run.events if e.t <= end),
        processes=processes,
        node=node,
        broker=broker,
        index=None,
        log_bytes=None,
    )


def _before(series: Sampled, end: float) -> Sampled:
    """Samples up to the first at or after a time."""
    last = int(np.searchsorted(series.t, end)) + 1
    values = "total" if isinstance(series, Counter) else "value"
    return replace(series, t=series.t[:last], **{values: getattr(series, values)[:last]})


def split(run: LabRun, at: float) -> tuple[LabRun, int]:
    """The whole run with its plan divided at a time, and how many of its steps lie before."""
    before, after = divided(run.experiment.plan, at - run.start)
    if not before or not after or sum(d for d, _ in after) < LEAST_SECONDS:
        raise ObservationError(f"{run.name}: nothing of {LEAST_SECONDS:g} s or more lies after the cut; record longer")
    return replace(run, experiment=replace(run.experiment, plan=(*before, *after))), len(before)


def held_out(runs: Sequence[LabRun], share: float) -> tuple[list[LabRun], list[tuple[LabRun, int]]]:
    """Runs as known when their last `share` began, and those with a query, divided there, to be forecast."""
    early = [until(run, cut_time(run, share)) if run.experiment.plan else run for run in runs]
    late = [split(run, cut_time(run, share)) for run in runs if run.batches]
    return early, late
