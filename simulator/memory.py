"""The two flat arrays that compiled code works on, with named views for Python.

`memory.task_flow` is a numpy view of that table; writing to it writes the memory. A table that a run
outgrows is given a new shape by `resized`, which lays everything out anew.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from simulator import kernels as k

Array = np.ndarray[Any, np.dtype[Any]]
KINDS = {name: (kind, dims) for name, kind, dims in k.TABLES}
COLUMNS = {  # of tables whose rows are records
    "event_key": ("event", k.KEY),
    "event_kind": ("event", k.KIND),
    "event_a": ("event", k.A),
    "event_b": ("event", k.B),
    "log_records": ("log", k.TOTAL),
    "log_close": ("log", k.CLOSED),
    "job_v": ("job_float", k.V),
    "job_weight": ("job_float", k.WEIGHT),
    "job_key": ("job", k.KEY),
    "job_kind": ("job", k.KIND),
    "job_a": ("job", k.A),
    "job_b": ("job", k.B),
    "job_held": ("job", k.HELD),
}


class Memory:
    """I (integers: scalars, descriptors, tables) and F (floats: scalars, tables)."""

    def __init__(self, tables: dict[str, Array]) -> None:
        missing, extra = set(KINDS) - set(tables), set(tables) - set(KINDS)
        if missing or extra:
            raise ValueError(f"tables missing: {sorted(missing)}; unknown: {sorted(extra)}")
        head = k.HEAD + k.DESCRIPTOR * len(k.TABLES)
        sizes = {"i": head, "f": k.HEAD}
        place = {}
        for name, (kind, _) in KINDS.items():
            place[name] = sizes[kind]
            sizes[kind] += int(tables[name].size)
        self.I = np.zeros(sizes["i"], dtype=np.int64)
        self.F = np.zeros(sizes["f"], dtype=np.float64)
        self._views: dict[str, Array] = {}
        described: list[int] = []
        for name, (kind, dims) in KINDS.items():
            described += self._describe(name, kind, dims, place[name], tables[name])
        self.I[k.HEAD : head] = described

    def _describe(self, name: str, kind: str, dims: int, start: int, table: Array) -> tuple[int, int, int, int, int]:
        """Give a table its place and its view; its descriptor."""
        if table.ndim != dims:
            raise ValueError(f"table {name} has {table.ndim} dimensions; expected {dims}")
        flat = self.I if kind == "i" else self.F
        view = flat[start : start + table.size].reshape(table.shape)
        if any(table.strides) or table.size < 2:  # a broadcast zero needs no copy: the memory starts as zeros
            view[...] = table
        self._views[name] = view
        shape = table.shape
        return start, math.prod(shape[1:]), math.prod(shape[2:]), shape[0], shape[1] if dims > 1 else 1

    def __getattr__(self, name: str) -> Array:
        try:
            return self.__dict__["_views"][name]
        except KeyError:
            if name not in COLUMNS:
                raise AttributeError(f"no table {name}") from None
            table, column = COLUMNS[name]
            return self.__dict__["_views"][table][..., column]

    def resized(self, changed: dict[str, Array]) -> Memory:
        """The same memory with some tables replaced by larger ones; scalars are kept."""
        new = Memory(self._views | changed)
        new.I[: k.HEAD] = self.I[: k.HEAD]
        new.F[: k.HEAD] = self.F[: k.HEAD]
        return new
