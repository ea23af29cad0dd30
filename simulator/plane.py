"""The compiled data plane behind the control plane's back: it turns kernel calls into SimPy events.

The control plane asks for work and gets an event that succeeds when the work is done; `run_until`
lets kernel and SimPy take turns, each going no further than the other's next moment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from simulator import kernels as k
from simulator.layout import Built
from simulator.memory import Memory
from simulator.plane_faults import Disturbed

if TYPE_CHECKING:
    Array = np.ndarray[Any, np.dtype[Any]]


class CompiledPlane(Disturbed):
    """Kernels plus the SimPy events that wait for them."""

    def __init__(self, env: simpy.Environment, built: Built) -> None:
        self.env, self.m = env, built.memory
        self.base, self.fronts = built.partition_base, built.fronts
        self.waiting: dict[int, simpy.Event] = {}
        self.parked: dict[int, Array] = {}  # rows of tasks whose batch will be run again
        self.usual_bulks, self.usual_events = len(self.m.bulk_task), len(self.m.event_time)

    # ------------------------------------------------------------ what the control plane asks for

    def driver_work(self, flow: int, cpu: float) -> simpy.Event:
        k.driver_job(self.m.I, self.m.F, flow, cpu)
        return self._wait(flow)

    def stage(
        self, flow: int, batch: int, cut: float, table: Array, launch: float, written: str = "nothing"
    ) -> simpy.Event:
        """Run a stage's tasks; the event's value is False if a task failed for good.

        `written` says what its documents' index holds already: "nothing", what its aborted forerunner wrote ("part"),
        or "all" of them.
        """
        rows = self.parked.pop(flow, NO_ROWS) if written == "part" else NO_ROWS
        self.room_for_tasks(len(table) - len(rows))
        self._room_for(table)
        k.start_stage(self.m.I, self.m.F, flow, batch, cut, table, launch, rows)
        if written == "all":
            self.m.task_bits[self.m.stage_row[flow, : len(table)]] = ALL_BITS
        return self._wait(flow)

    def committed(self, flow: int, time: float) -> Array:
        """Records of each partition below the high watermark [records]."""
        return k.readable(self.m.I, self.m.F, flow, time, self.fronts[flow].delay)

    def created_span(self, flow: int, start: Array, end: Array) -> tuple[float, float]:
        """When the first and the last record between two sets of offsets were created [s]."""
        return k.created_span(self.m.I, self.m.F, flow, start, end)

    def sink_wait(self, flow: int) -> float:
        return float(self.m.stage_sink_wait[flow])

    def set_cores(self, host: int, cores: float) -> None:
        self._to_now()
        k.set_cores(self.m.I, self.m.F, host, cores)

    def look(self) -> dict[str, Array]:
        """Copies of every account, brought up to now."""
        self._to_now()
        k.look(self.m.I, self.m.F)
        names = ("host_busy", "host_work", "slot_seconds", "write_seconds", "counts", "hops", "host_cores")
        return {name: getattr(self.m, name).copy() for name in names}

    @property
    def counts(self) -> Array:
        """Of each flow what was counted so far; nothing is brought up to now for it."""
        return self.m.counts

    @property
    def events(self) -> int:
        return int(self.m.I[k.EVENTS_SEEN])

    # ------------------------------------------------------------ taking turns

    def run_until(self, until: float) -> None:
        env = self.env
        while True:
            stop = min(env.peek(), until)
            code = k.advance(self.m.I, self.m.F, stop)
            if code == k.GROW:
                self._grow()
            elif code == k.DONE:
                self._succeed()
            elif env.peek() <= until:
                env.step()
            else:
                self._move_clock(until)
                return

    def _succeed(self) -> None:
        """Wake what waits for the kernel, at the kernel's moment (triggered ahead, as SimPy's own Timeout is)."""
        delay = max(0.0, float(self.m.F[k.NOW]) - self.env.now)
        for n in range(self.m.I[k.N_DONE]):
            event = self.waiting.pop(int(self.m.done_a[n]), None)
            if event is not None:
                event._ok, event._value = True, bool(self.m.done_kind[n] != k.DONE_FAILED)
                self.env.schedule(event, delay=delay)

    def _move_clock(self, time: float) -> None:
        if time > self.env.now:
            self.env.run(until=time)

    def _to_now(self) -> None:
        self.m.F[k.NOW] = max(self.m.F[k.NOW], self.env.now)

    def _wait(self, flow: int) -> simpy.Event:
        self.waiting[flow] = self.env.event()
        return self.waiting[flow]

    # ------------------------------------------------------------ room

    def _room_for(self, table: Array) -> None:
        """Make the bit table wide enough for a stage's longest task, before the kernel touches it."""
        words = int(table[:, 12].max()) // 32 + 1 if len(table) else 1
        have = self.m.task_bits.shape[2]
        if words > have:
            wide = np.zeros((*self.m.task_bits.shape[:2], max(words, 2 * have)), dtype=np.int64)
            wide[:, :, :have] = self.m.task_bits
            self.m = self.m.resized({"task_bits": wide})

    def _grow(self) -> None:
        what, m = self.m.I[k.GROW_WHAT], self.m
        if what == k.GROW_PENDING:
            self.m = m.resized({n: _unrolled(getattr(m, n), m) for n in PENDING})
            self.m.pend_head[:] = 0
        else:
            wide = {}
            if m.part_length.max() + 2 >= m.part_line.shape[1]:
                wide["part_line"] = _unrolled_line(m)
            if m.curve_length.max() + 6 >= m.curve_time.shape[1] or m.log_count.max() + 4 >= m.log.shape[1]:
                wide |= {n: _wider(getattr(m, n)) for n in LOGS}
            self.m = m.resized(wide)
            if "part_line" in wide:
                self.m.part_head[:] = 0
        self.m.I[k.GROW_WHAT] = 0
        for f in range(len(self.m.unsent)):
            k.unblock(self.m.I, self.m.F, f)  # producers that waited for room in the tables, not in their buffers


NO_ROWS, ALL_BITS = np.zeros(0, dtype=np.int64), -1
PENDING = ("pend_c0", "pend_c1", "pend_mass", "pend_in_window", "pend_time", "pend_cut")
LOGS = ("curve_time", "curve_count", "log")


def _wider(table: Array) -> Array:
    wide = np.zeros((table.shape[0], 2 * table.shape[1], *table.shape[2:]))
    wide[:, : table.shape[1]] = table
    return wide


def _unrolled(table: Array, m: Memory) -> Array:
    """A ring of double size whose entries start at 0."""
    flows, nodes, cap = table.shape
    wide = np.zeros((flows, nodes, 2 * cap))
    for f in range(flows):
        for n in range(nodes):
            at = (m.pend_head[f, n] + np.arange(m.pend_length[f, n])) % cap
            wide[f, n, : len(at)] = table[f, n, at]
    return wide


def _unrolled_line(m: Memory) -> Array:
    wide = _wider(np.zeros_like(m.part_line))
    for p, line in enumerate(m.part_line):
        at = (m.part_head[p] + np.arange(m.part_length[p])) % len(line)
        wide[p, : len(at)] = line[at]
    return wide
