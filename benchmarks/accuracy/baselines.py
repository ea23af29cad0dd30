"""What a forecast must beat: the last value seen, and ten lines of arithmetic.

*Last value*: a quantity stays what it was in the step measured last before, whatever the settings then.
*Ten lines*: batch time is a + b n by least squares over the settled batches of the runs that were fitted, of the
same kind of sink; latency is the sum of a uniform wait for the trigger, the batch, a uniform wait for the
refresh and one for the poll; lag is what arrives in a trigger and a batch.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from benchmarks.accuracy.lab import LATENCIES, REFRESH_SECONDS, Poller, Value, collected, seen, step_name
from calibration.lab import LabRun
from calibration.latency import QUANTILES
from calibration.noise import settled

GRID_SECONDS = 1e-3


def kind(run: LabRun) -> tuple[str, bool]:
    """Runs that one line can speak for: the same sink, with or without state."""
    return run.experiment.sink, bool(run.experiment.state_partitions)


def last_values(run: LabRun, runs: Sequence[LabRun]) -> dict[tuple[str, str], Value]:
    """For each step the values of the step before it in time, among runs of that kind; the first step may have none."""
    alike = sorted((r for r in runs if kind(r) == kind(run) and r.start <= run.start), key=lambda r: r.start)
    steps = [(r.name, step_name(step), seen(r)) for r in alike for step in r.steps()]
    found: list[Value] = []
    for (_, before, values), (name, part, _) in itertools.pairwise(steps):
        if name == run.name:
            found += [Value(part, v.quantity, v.unit, v.value) for v in values.values() if v.part == before]
    return collected(found)


def line(runs: Sequence[LabRun]) -> tuple[float, float] | None:
    """a and b of batch time = a + b n over settled batches; None without such batches."""
    batches = [b for run in runs for step in settled(run) for b in step]
    if len(batches) < 2:
        return None
    n = np.array([b.records for b in batches], dtype=float)
    b, a = np.polyfit(n, [b.seconds for b in batches], 1)
    return float(a), float(b)


def ten_lines(run: LabRun, fitted: Sequence[LabRun]) -> dict[tuple[str, str], Value]:
    """The closed form's values for each step of a run, from the batches of the runs that were fitted."""
    known, found = line([r for r in fitted if kind(r) == kind(run)]), []
    if known is None:
        return {}
    trigger = run.experiment.trigger_seconds
    for step in run.steps():
        a, b = known
        batch = a + b * step.rate * trigger
        if batch > trigger:  # it then fires at once: T = a / (1 - b rate) (spark.md A3)
            batch = a / (1 - b * step.rate) if b * step.rate < 1 else float("inf")
        cycle, name = max(trigger, batch), step_name(step)
        found.append(Value(name, "batch time, median", "s", batch))
        found.append(Value(name, "lag, most", "records", step.rate * (cycle + batch)))
        if run.polls:
            poller = Poller.of(run)
            waits = [cycle, REFRESH_SECONDS, poller.spacing]
            quantiles = _sum_of_uniforms(waits, [QUANTILES[q] for q in LATENCIES])
            shift = batch + 0.5 * poller.response
            found += [Value(name, n, "s", x + shift) for n, x in zip(LATENCIES.values(), quantiles, strict=True)]
    return collected(found)


def _sum_of_uniforms(widths: Sequence[float], shares: Sequence[float]) -> list[float]:
    """Quantiles of a sum of independent uniforms on [0, width] [s], on a grid.

    >>> [round(x, 2) for x in _sum_of_uniforms([2.0, 1.0], [0.5, 0.95])]
    [1.5, 2.55]
    """
    density = np.ones(1)
    for width in widths:
        density = np.convolve(density, np.ones(max(1, round(width / GRID_SECONDS))))
    total = np.cumsum(density) / density.sum()
    return [float(np.searchsorted(total, share)) * GRID_SECONDS for share in shares]
