"""Slow state: what outlives a batch and is carried through months, on an even grid of time.

Bytes that retention holds, a debt of work that a peak leaves and a night works off, a bucket of burst credits, and
the records that nobody has read. Each is one array over the grid in and one out; nothing here knows of a stack. The
batches' own tables are `months.py`; these carry what those forget.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def kept(per_step: Array, step: float, life: float) -> Array:
    """Sum of what arrived in the last `life` seconds, at the end of each step; what arrives in a step is spread evenly.

    >>> kept(np.ones(5), 1.0, 2.5)
    array([1. , 2. , 2.5, 2.5, 2.5])
    """
    total = np.concatenate([[0.0], np.cumsum(per_step)])
    at = np.arange(1, len(per_step) + 1) * step
    return total[1:] - np.interp(at - life, np.arange(len(total)) * step, total, left=0.0)


def debt(need: Array, room: Array | float, step: float) -> Array:
    """Work left over at the end of each step: what is needed and not done waits, and is done when there is room.

    Lindley's recursion d' = max(0, d + (need - room) × step), by the running minimum of its unbounded sum.

    >>> debt(np.array([3.0, 1.0, 0.0, 0.0]), 1.0, 1.0)
    array([2., 2., 1., 0.])
    """
    walk = np.cumsum((need - room) * step)
    return walk - np.minimum(0.0, np.minimum.accumulate(walk))


def bucket(use: Array, baseline: float, size: float, step: float) -> tuple[Array, Array]:
    """Credits left at the end of each step, and the use that had none (per second): a bucket that starts full.

    Below the baseline it fills by the difference, above it drains; empty, only the baseline can be had.

    >>> left, missing = bucket(np.array([3.0, 3.0, 0.0]), 1.0, 3.0, 1.0)
    >>> left, missing
    (array([1., 0., 1.]), array([0., 1., 0.]))
    """
    spent = debt(use, baseline, step)  # of an endless bucket
    left, missing, short = np.empty_like(use), np.zeros_like(use), 0.0
    if spent.max(initial=0.0) <= size:
        return size - spent, missing
    level = size
    for k, wanted in enumerate(use):
        level += (baseline - wanted) * step
        short = max(0.0, -level)
        missing[k] = short / step
        level = min(size, max(0.0, level))
        left[k] = level
    return left, missing


def backlog(arrives: Array, reads: Array | float, step: float, keeps: float) -> tuple[Array, Array, Array]:
    """Records unread at the end of each step, age of the oldest [s], and records that retention ended, each step.

    `arrives` and `reads` are per second. A record goes when it is `keeps` old, read or not.

    >>> left, age, lost = backlog(np.array([2.0, 2.0, 2.0]), 1.0, 1.0, 1.0)
    >>> left, age, lost
    (array([1., 2., 2.]), array([0.5, 1. , 1. ]), array([0., 0., 1.]))
    """
    created = np.concatenate([[0.0], np.cumsum(arrives * step)])
    times = np.arange(len(created)) * step
    reads = np.broadcast_to(np.asarray(reads, dtype=float), arrives.shape)
    expired = np.interp(times - keeps, times, created, left=0.0)
    done, left, lost = 0.0, np.empty(len(arrives)), np.zeros(len(arrives))
    for k in range(len(arrives)):
        done = min(created[k + 1], done + reads[k] * step)
        if done < expired[k + 1]:
            lost[k] = expired[k + 1] - done
            done = expired[k + 1]
        left[k] = created[k + 1] - done
    # where the cumulative curve reaches what is done: flat parts (no arrivals) are stepped over
    rising = np.concatenate([[True], np.diff(created) > 0])
    oldest = np.interp(created[1:] - left, created[rising], times[rising])
    return left, np.where(left > 1e-6, times[1:] - oldest, 0.0), lost
