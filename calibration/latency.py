"""Latency as the distance of two curves, partition by partition.

A record is *due* when the plan creates it, and *visible* at the first poll answer whose highest
sequence in its partition has reached it. Order holds within a partition only, so each partition's
records are matched by themselves and the latencies are then mixed, each record once. Pooling the
partitions' counts first would understate the tail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.observations import Curve, Floats, ObservationError, Poll

QUANTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99, "p999": 0.999}


@dataclass(frozen=True)
class Latency:
    """End-to-end latency of some records [s]; `resolution` is the 90th percentile of the polls' spacing.

    A value may exceed the truth by up to one spacing, by half of it on average: the poll's, not the system's.
    """

    records: int
    mean_seconds: float
    p50_seconds: float
    p90_seconds: float
    p95_seconds: float
    p99_seconds: float
    p999_seconds: float
    max_seconds: float
    resolution_seconds: float


def latencies(arrivals: Curve, first: int, partitions: int, polls: Sequence[Poll]) -> tuple[Floats, Floats]:
    """Due time [epoch s] and latency [s] of every record of `arrivals`, in order of sequence.

    Sequence `first + i` is due when the arrivals' count reaches i, and lies in partition sequence mod partitions.
    """
    total = round(float(arrivals.count[-1]))
    sequence = np.arange(first, first + total)
    due = arrivals.when(np.arange(total, dtype=float))
    answered = np.array([p.answered for p in polls])
    visible = np.full(total, np.nan)
    for partition in range(partitions):
        mine = sequence % partitions == partition
        highest = np.maximum.accumulate(np.array([p.highest.get(partition, -1) for p in polls], dtype=float))
        at = np.searchsorted(highest, sequence[mine], side="left")
        seen = at < len(polls)
        visible[np.flatnonzero(mine)[seen]] = answered[at[seen]]
    return due, visible - due


def summary(latency: Floats, polls: Sequence[Poll], start: float, end: float) -> Latency:
    """Quantiles of those latencies, with the polls' spacing while they were taken; refuses if some never came."""
    missing = int(np.isnan(latency).sum())
    if missing or not len(latency):
        raise ObservationError(f"{missing} of {len(latency)} records were never seen; poll until all are visible")
    answered = np.array([p.answered for p in polls if start <= p.answered <= end])
    q = {name: float(np.quantile(latency, at)) for name, at in QUANTILES.items()}
    return Latency(
        records=len(latency),
        mean_seconds=float(latency.mean()),
        p50_seconds=q["p50"],
        p90_seconds=q["p90"],
        p95_seconds=q["p95"],
        p99_seconds=q["p99"],
        p999_seconds=q["p999"],
        max_seconds=float(latency.max()),
        resolution_seconds=float(np.quantile(np.diff(answered), 0.9)) if len(answered) > 1 else float("nan"),
    )
