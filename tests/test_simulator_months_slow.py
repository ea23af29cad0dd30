"""Slow state against the plainest loop that says the same: hour by hour, record by record."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simulator.months_slow import backlog, bucket, debt, kept

RATES = hnp.arrays(float, st.integers(1, 60), elements=st.floats(0, 10).map(lambda x: round(x, 3)))


@given(need=RATES, room=st.floats(0, 10))
def test_a_debt_is_what_a_loop_leaves_over(need: np.ndarray, room: float) -> None:
    left, loop = 0.0, []
    for one in need:
        left = max(0.0, left + (one - room) * 3.0)
        loop.append(left)
    assert debt(need, room, 3.0) == pytest.approx(loop, abs=1e-9)


@given(use=RATES, baseline=st.floats(0.1, 5), size=st.floats(0, 40))
def test_a_bucket_starts_full_and_never_holds_more(use: np.ndarray, baseline: float, size: float) -> None:
    level, loop, short = size, [], []
    for one in use:
        level += (baseline - one) * 2.0
        short.append(max(0.0, -level) / 2.0)
        level = min(size, max(0.0, level))
        loop.append(level)
    left, missing = bucket(use, baseline, size, 2.0)
    assert left == pytest.approx(loop, abs=1e-9) and missing == pytest.approx(short, abs=1e-9)


@given(arrived=RATES, life=st.integers(1, 30))
def test_retention_keeps_the_last_steps(arrived: np.ndarray, life: int) -> None:
    loop = [arrived[max(0, k + 1 - life) : k + 1].sum() for k in range(len(arrived))]
    assert kept(arrived, 1.0, float(life)) == pytest.approx(loop, abs=1e-9)


@given(arrives=RATES, reads=RATES, keeps=st.integers(2, 20))
def test_every_record_is_read_lost_or_left(arrives: np.ndarray, reads: np.ndarray, keeps: int) -> None:
    """Against a queue of hours that forgets what is too old, first in, first out."""
    count = min(len(arrives), len(reads))
    arrives, reads = arrives[:count], reads[:count]
    queue: deque[list[float]] = deque()
    for k in range(count):
        queue.append([k, arrives[k]])
        able = reads[k]
        while queue and able > 0:
            took = min(able, queue[0][1])
            able -= took
            queue[0][1] -= took
            if queue[0][1] <= 1e-12:
                queue.popleft()
        while queue and queue[0][0] + 1 <= k + 1 - keeps:
            queue.popleft()
        assert backlog(arrives, reads, 1.0, float(keeps))[0][k] == pytest.approx(sum(n for _, n in queue), abs=1e-6)
    left, _, lost = backlog(arrives, reads, 1.0, float(keeps))
    assert (lost >= 0).all() and lost.sum() + left[-1] <= arrives.sum() + 1e-9


def test_a_reader_that_stops_loses_its_first_record_when_retention_ends_it() -> None:
    """An even hundred a second, nothing read from hour 10 on, kept 24 hours."""
    reads = np.where(np.arange(60) < 10, 1000.0, 0.0)
    left, age, lost = backlog(np.full(60, 100.0), reads, 3600.0, 24 * 3600.0)
    assert np.flatnonzero(lost)[0] == 34
    assert age[20] == pytest.approx(11 * 3600) and age[-1] == pytest.approx(24 * 3600)
    assert left[-1] == pytest.approx(100 * 24 * 3600)
