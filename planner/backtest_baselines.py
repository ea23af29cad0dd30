"""What a forecast must beat: the last value seen, ten lines of arithmetic, and the rules that sizers publish.

*Last value*: a quantity stays what it was in the step measured last before, whatever the settings then.
*Ten lines*: batch time is a + b n by least squares over the settled batches of the runs that were fitted, of the
same kind of sink; latency is the sum of a uniform wait for the trigger, the batch, a uniform wait for the
refresh and one for the poll; lag is what arrives in a trigger and a batch. Batches of at most n records carry
n / (a + b n); what arrives beyond that waits, at the end of a step of D seconds for D (rate / carried - 1).
*Static rules* are those of `RULES`; they speak of a broker's cores and of bytes on disk only.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from calibration.lab import LabRun, Step
from calibration.latency import QUANTILES
from calibration.noise import settled
from models.units import MIB
from planner.backtest_forecast import Poller
from planner.backtest_values import (
    BATCH,
    INDEX_BYTES,
    LAG,
    LATENCIES,
    LOG_BYTES,
    STATED,
    SUSTAINED,
    Value,
    collected,
    overloads,
    part_names,
    seen,
)

GRID_SECONDS = 1e-3
BYTES_PER_CORE = 5 * MIB  # of ingress a vCPU: AKalculator's published assumption, with 15 MiB/s of egress (peers.md)
INDEX_OVER_SOURCE = 1.1  # AWS, "Sizing OpenSearch Service domains": indexing overhead of 10 % over the source


def kind(run: LabRun) -> tuple[str, bool]:
    """Runs that one line can speak for: the same sink, with or without state."""
    return run.experiment.sink, bool(run.experiment.state_partitions)


def last_values(run: LabRun, runs: Sequence[LabRun]) -> dict[tuple[str, str], Value]:
    """For each step the values of the step before it in time, among runs of that kind; the first step may have none."""
    alike = sorted((r for r in runs if kind(r) == kind(run) and r.start <= run.start), key=lambda r: r.start)
    steps = [(r.name, name, values) for r in alike for values in (seen(r),) for name in part_names(r)]
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
    asked, over = run.experiment, {name for name, _ in overloads(run)}
    for name, step in zip(part_names(run), run.steps(), strict=True):
        one = closed_form(*known, step, asked.trigger_seconds, asked.max_offsets or math.inf)
        found += [Value(name, BATCH, "s", one.batch), Value(name, LAG, "records", one.lag)]
        if name in over:
            found += [Value(name, told, "1/s", one.carried) for told in (SUSTAINED, STATED)]
        if run.polls:
            poller = Poller.of(run)
            waits = [one.cycle, asked.refresh_seconds, poller.spacing, one.late]
            quantiles = _sum_of_uniforms(waits, [QUANTILES[q] for q in LATENCIES])
            shift = one.batch + 0.5 * poller.response
            found += [Value(name, n, "s", x + shift) for n, x in zip(LATENCIES.values(), quantiles, strict=True)]
    return collected(found)


class Lines(NamedTuple):
    """One step by the ten lines: median batch and cycle [s], most records waiting, records carried a second, and how
    late its last record is read beyond a cycle [s]."""

    batch: float
    cycle: float
    lag: float
    carried: float
    late: float


def closed_form(a: float, b: float, step: Step, trigger: float, most: float) -> Lines:
    """One step batch by batch: each reads what waits, at most `most`, and lasts a + b n; the next starts at the
    trigger, or at once.

    >>> step = Step(0.0, 60.0, 100.0)
    >>> [round(x, 2) for x in closed_form(0.5, 0.001, step, 2.0, math.inf)]
    [0.7, 2.0, 270.0, 100.0, 0.0]
    >>> [round(x, 2) for x in closed_form(1.0, 0.0, step, 0.1, 50.0)]
    [1.0, 1.0, 3100.0, 50.0, 60.0]
    """
    waiting, at, lag = step.rate * trigger, 0.0, 0.0
    records, seconds = [], []
    while at < step.end - step.start:
        records.append(min(waiting, most))
        seconds.append(a + b * records[-1])
        lag = max(lag, waiting + step.rate * seconds[-1])
        at += max(trigger, seconds[-1])
        waiting += step.rate * max(trigger, seconds[-1]) - records[-1]
    batch = float(np.median(seconds))
    cycle = max(trigger, batch)
    carried = float(np.median(records)) / cycle
    late = max(0.0, waiting / carried - cycle) if carried < 0.99 * step.rate else 0.0
    return Lines(batch, cycle, lag, carried, late)


def static_rules(run: LabRun) -> dict[tuple[str, str], Value]:
    """What the sizers' rules say of a run: a broker's cores by ingress, log and index bytes by record size."""
    asked, found = run.experiment, [Value("all", LOG_BYTES, "bytes", run.experiment.record_bytes)]
    for name, step in zip(part_names(run), run.steps(), strict=True):
        found.append(Value(name, "CPU of kafka", "cores", step.rate * asked.record_bytes / BYTES_PER_CORE))
    if asked.sink == "bulk":
        found.append(Value("all", INDEX_BYTES, "", INDEX_OVER_SOURCE))
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
