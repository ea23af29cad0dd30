"""No table is read or written outside its own room: all of them lie side by side in two flat arrays.

NUMBA_BOUNDSCHECK sees only the ends of those arrays, so a table that overruns lands in its neighbour unseen. Here
each table has a guard behind it, and without a compiler every index is held against its own table.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numba import config

import simulator.layout
import simulator.memory
from simulator import kernels as k
from simulator.memory import KINDS, Memory
from tests.strategies import REGIMES, Case, cases, drawn

pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered in scalar:RuntimeWarning"
)  # see test_simulator_kernels
WIDTH, MARK = 3, -(2**62)  # entries of a guard; what an integer one holds (a float one holds nan)
FRONTS = {"fluid front": ("fluid", False), "every producer batch": ("exact", True)}


class Guarded(Memory):
    """A memory with a guard behind each table; what reads one goes wrong, what writes one is found."""

    def __init__(self, tables: dict[str, np.ndarray]) -> None:
        sizes = {"i": k.HEAD + k.DESCRIPTOR * len(k.TABLES), "f": k.HEAD}
        place: dict[str, int] = {}
        for name, (kind, _) in KINDS.items():
            place[name] = sizes[kind]
            sizes[kind] += int(tables[name].size) + WIDTH
        self.I = np.zeros(sizes["i"], dtype=np.int64)
        self.F = np.zeros(sizes["f"], dtype=np.float64)
        self._views = {}
        described: list[int] = []
        for name, (kind, dims) in KINDS.items():
            described += self._describe(name, kind, dims, place[name], tables[name])
            self.guard(name, place[name] + int(tables[name].size))
        self.I[k.HEAD : k.HEAD + k.DESCRIPTOR * len(k.TABLES)] = described

    def guard(self, name: str, at: int) -> None:
        kind = KINDS[name][0]
        (self.I if kind == "i" else self.F)[at : at + WIDTH] = MARK if kind == "i" else np.nan

    def broken(self) -> list[str]:
        """Tables whose guard was written to."""
        out = []
        for n, (name, (kind, _)) in enumerate(KINDS.items()):
            end = int(self.I[k.HEAD + k.DESCRIPTOR * n]) + self._views[name].size
            behind = (self.I if kind == "i" else self.F)[end : end + WIDTH]
            if not (np.isnan(behind).all() if kind == "f" else (behind == MARK).all()):
                out.append(name)
        return out

    def resized(self, changed: dict[str, np.ndarray]) -> Memory:
        assert self.broken() == []
        new = Guarded(self._views | changed)
        new.I[: k.HEAD], new.F[: k.HEAD] = self.I[: k.HEAD], self.F[: k.HEAD]
        return new


@pytest.fixture
def guards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator.layout, "Memory", Guarded)
    monkeypatch.setattr(simulator.memory, "Memory", Guarded)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("regime", REGIMES)
def test_no_table_is_written_behind_its_end(regime: str, front: str, guards: None) -> None:
    @drawn
    @given(cases(regime))
    def kept(case: Case) -> None:
        sim, trace = case.run(*FRONTS[front])
        assert isinstance(sim.plane.m, Guarded)
        assert sim.plane.m.broken() == []
        for flow in trace.flows.values():  # nor is nan read from one
            assert all(np.isfinite(x) for x in flow.counts.values())
            assert np.isfinite(flow.latency.mass).all()

    kept()


def test_a_guard_that_is_written_is_found() -> None:
    it = Guarded({name: np.zeros((1,) * dims) for name, (_, dims) in KINDS.items()})
    assert it.broken() == []
    it.I[k.row(it.I, k.TASK_FLOW, 1)] = 7
    it.F[k.cell(it.I, k.FRESH, 0, 2)] = 0.0
    assert it.broken() == ["task_flow", "fresh"]


# ---------------------------------------------------------------- every index, without a compiler


def name_of(table: int) -> str:
    return k.TABLES[(table - k.HEAD) // k.DESCRIPTOR][0]


def checked(dims: int, place: Any) -> Any:
    """An address function that refuses an index outside its table."""

    def address(integers: Any, table: int, *at: int) -> Any:
        first, second, length = (int(x) for x in integers[table + 1 : table + 4])
        name = name_of(table)
        assert KINDS[name][1] == dims == len(at), name
        shape = {1: (length,), 2: (length, first), 3: (length, first // max(second, 1), second)}[dims]
        for index, size in zip(at, shape, strict=True):
            assert 0 <= int(index) < size, f"{name}{list(map(int, at))} of {shape}"
        return place(integers, table, *at)

    return address


@pytest.mark.skipif(not config.DISABLE_JIT, reason="compiled code cannot be watched; see test_simulator_modes")
@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("regime", REGIMES)
def test_every_index_lies_in_its_table(regime: str, front: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for dims, name in ((1, "row"), (2, "cell"), (3, "cube")):
        monkeypatch.setattr(k, name, checked(dims, getattr(k, name)))

    @drawn
    @given(cases(regime))
    def inside(case: Case) -> None:
        case.run(*FRONTS[front])

    inside()
