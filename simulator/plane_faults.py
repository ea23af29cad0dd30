"""What faults do to the compiled data plane, between two calls of `advance`: stop, give up, move, start again.

These acts are rare, so they are plain Python over the kernel's tables; the kernel itself only knows what
follows from them: epochs that void what was under way, ghosts that no client waits for, dead nodes whose
shares wait. `reference.py` does the same to its own processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from simulator import kernels as k
from simulator.memory import KINDS, Memory

if TYPE_CHECKING:
    import simpy

    Array = np.ndarray[Any, np.dtype[Any]]


LEAST_FRESH = 1e-9  # documents: enough for a refresh to run


class Disturbed:
    """The acts, for `plane.CompiledPlane`."""

    env: simpy.Environment
    m: Memory
    waiting: dict[int, simpy.Event]
    parked: dict[int, Array]
    usual_bulks: int
    usual_events: int

    def _to_now(self) -> None:
        raise NotImplementedError

    # ------------------------------------------------------------ queries

    def abort(self, flow: int) -> None:
        """A query's batch is given up where it stands; its bulks that left go on as ghosts.

        Tasks that wrote are kept with what they indexed, for the batch to be run again.
        """
        self._to_now()
        m = self.m
        self.waiting.pop(flow, None)
        self._drop(int(m.I[k.DRIVER_HOST]), k.DRIVER, lambda a, b: a == flow)
        rows = m.stage_row[flow, : m.stage_tasks[flow]].copy()
        self._out_of_line(flow)
        states = m.task_state[rows].copy()
        m.task_state[rows] = k.OVER
        for row, state in zip(rows, states, strict=True):
            if state == k.RUNNING:
                self._stop_task(int(row))
                m.exec_free[m.task_exec[row]] += 1
                k.next_task(m.I, m.F)
        m.task_epoch[rows] += 1
        m.stage_left[flow] = 0
        if len(rows) and m.task_bulks[rows].max() > 0:
            self.parked[flow] = rows
            m.stage_tasks[flow] = 0
        else:
            k.end_stage(m.I, m.F, flow)
        self.make_room()

    def _stop_task(self, task: int) -> None:
        """What a task has on a core is dropped, its slot is counted, its bulks become ghosts."""
        m = self.m
        e = int(m.task_exec[task])
        if m.task_piece[task] == 1:
            self._drop(int(m.exec_host[e]), k.PIECE, lambda a, b: a == task)
        m.slot_seconds[e] += m.F[k.NOW] - m.task_started[task]
        m.task_piece[task] = m.task_flight[task] = m.task_next[task] = m.task_failed[task] = 0
        for bulk in np.flatnonzero((m.bulk_state == k.ALIVE) & (m.bulk_task == task)):
            asleep = m.bulk_place[bulk] == k.UNDER_WAY and m.bulk_leaves[bulk] > m.F[k.NOW]
            m.bulk_state[bulk] = k.VOID if asleep else k.GHOST
            m.task_ghosts[task] += 1

    def _out_of_line(self, flow: int) -> None:
        """A flow's tasks leave the line for slots."""
        m = self.m
        line = _ring(m.ready, int(m.I[k.READY_HEAD]), int(m.I[k.N_READY]))
        kept = line[m.task_flow[line] != flow]
        m.I[k.READY_HEAD], m.I[k.N_READY] = 0, len(kept)
        m.ready[: len(kept)] = kept

    # ------------------------------------------------------------ executors

    def stop_executor(self, executor: int) -> None:
        """An executor is gone; its tasks hang until the driver notices."""
        self._to_now()
        m = self.m
        for task in self._tasks_of(executor, k.RUNNING):
            self._stop_task(task)
            m.task_epoch[task] += 1
            m.task_state[task] = k.STRANDED
        m.exec_free[executor] = 0
        self.make_room()

    def notice_executor(self, executor: int, counts: bool = True) -> None:
        """The driver learns of it: its tasks run again elsewhere; an attempt is used up unless it was announced."""
        self._to_now()
        m, again = self.m, []
        for task in self._tasks_of(executor, k.STRANDED):
            m.task_attempt[task] += int(counts)
            if m.task_attempt[task] >= k.MOST_TASK_ATTEMPTS:
                m.task_state[task] = k.OVER
                self._fail(int(m.task_flow[task]))
            else:
                again.append(task)
        for task in again:
            k.first_in_line(m.I, m.F, task)
        for _ in again:
            k.next_task(m.I, m.F)

    def start_executor(self, executor: int, slots: int, amplitude: float) -> None:
        """An executor takes tasks again, its JVM as cold as `amplitude` says."""
        self._to_now()
        m = self.m
        m.exec_free[executor], m.exec_amplitude[executor], m.exec_work[executor] = slots, amplitude, 0.0
        for _ in range(slots):
            k.next_task(m.I, m.F)

    def _tasks_of(self, executor: int, state: int) -> list[int]:
        m = self.m
        rows = [int(r) for f in range(len(m.stage_tasks)) for r in m.stage_row[f, : m.stage_tasks[f]]]
        return [r for r in rows if m.task_state[r] == state and m.task_exec[r] == executor]

    def running(self) -> list[tuple[int, int, int, float]]:
        """Tasks on slots: flow, number in their stage, executor, since when [s]."""
        m, found = self.m, []
        for f in range(len(m.stage_tasks)):
            for number, row in enumerate(m.stage_row[f, : m.stage_tasks[f]]):
                if m.task_state[row] == k.RUNNING:
                    found.append((f, number, int(m.task_exec[row]), float(m.task_started[row])))
        return found

    def _fail(self, flow: int) -> None:
        event = self.waiting.pop(flow, None)
        if event is not None:
            event.succeed(False)

    # ------------------------------------------------------------ data nodes

    def stop_node(self, node: int) -> None:
        """A data node's process dies: its shares of bulks wait for another primary, its clients ask the next node."""
        self._to_now()
        m = self.m
        host = int(m.node_host[node])
        look = m.bulk_state == k.ALIVE
        look &= (m.bulk_node == node) & ((m.bulk_place == k.COORDINATED) | (m.bulk_place == k.SPLIT))
        self.make_room(int(look.sum()))
        m = self.m
        k.look(m.I, m.F)
        queued = _ring(m.node_queue[node], int(m.queue_head[node]), int(m.queue_length[node]))
        m.node_down[node], m.node_free[node] = 1, m.node_threads[node]
        shares = [
            (a, b & k.ROLE_MASK)
            for kind in (k.PRIMARY, k.REPLICA)
            for _, a, b in self._jobs(host, kind)
            if b >> k.ROLE_BITS == node
        ]
        order = {(a, b): key for kind in (k.PRIMARY, k.REPLICA) for key, a, b in self._jobs(host, kind)}
        shares.sort(key=lambda s: order[s[0], (node << k.ROLE_BITS) | s[1]])
        for kind in (k.PRIMARY, k.REPLICA):
            self._drop(host, kind, lambda a, b: b >> k.ROLE_BITS == node)
        self._drop(host, k.COORDINATE, lambda a, b: int(m.bulk_node[a]) == node)
        for _, f, held in [(key, a, held) for key, a, b, held in self._refreshes(host) if b == node]:
            m.refreshing[f, node] = 0
            m.fresh[f, node] += m.refresh_documents[f, node]
            if held == 1:
                k.push(m.I, m.F, m.F[k.NOW] + m.refresh_interval[f], k.REFRESH_DUE, f, node)
        self._drop(host, k.REFRESH, lambda a, b: b == node)
        if m.merging[node]:
            m.merging[node] = 0
            m.merge_debt[node] += self._drop(host, k.MERGE, lambda a, b: a == node)
        m.node_bytes[node] = 0.0
        for bulk in sorted(np.flatnonzero((m.bulk_node == node) & (m.bulk_state != k.NOBODYS)), key=m.bulk_key.item):
            self._cut_off(int(bulk))
        m.queue_head[node] = m.queue_length[node] = m.queue_ops[node] = 0
        for bulk, role in [*shares, *((int(c) >> k.ROLE_BITS, int(c) & k.ROLE_MASK) for c in queued)]:
            f = int(m.task_flow[m.bulk_task[bulk]])
            if m.bulk_node[bulk] == node:  # nobody is left who would ask again
                k.share_over(m.I, m.F, bulk)
            else:
                k.ask_threads(m.I, m.F, node, bulk, role, k.threads_wanted(m.I, f, node, role))
        self.make_room()

    def _cut_off(self, bulk: int) -> None:
        """A bulk whose coordinating node died: its client sends all of it again, to the next node."""
        m = self.m
        place, state = int(m.bulk_place[bulk]), int(m.bulk_state[bulk])
        m.bulk_bytes[bulk] = 0.0  # its memory is gone
        if place not in (k.COORDINATED, k.SPLIT):
            return
        task = int(m.bulk_task[bulk])
        if state == k.ALIVE:
            m.bulk_state[bulk] = k.GHOST
            m.task_ghosts[task] += 1
            m.I[k.FREE_BULKS] -= 1
            again = int(m.bulk_free[m.I[k.FREE_BULKS]])
            f = int(m.task_flow[task])
            for name in ("task", "index", "documents", "share", "c0", "c1", "sent", "attempt"):
                getattr(m, f"bulk_{name}")[again] = getattr(m, f"bulk_{name}")[bulk]
            m.bulk_todo[again] = m.primary_share[f] > 0
            m.bulk_node[again] = (m.bulk_node[bulk] + 1) % len(m.node_host)
            k.send(m.I, m.F, again, 0.0)
        if place == k.COORDINATED:
            k.free_bulk(m.I, m.F, bulk)

    def reroute(self, node: int) -> None:
        """The cluster knows that a node is gone: primaries' shares follow the primaries, replicas' are let go."""
        self._to_now()
        m, groups = self.m, self.m.primary_share.shape[1]
        codes = _ring(m.node_queue[node], int(m.queue_head[node]), int(m.queue_length[node]))
        m.queue_head[node] = m.queue_length[node] = m.queue_ops[node] = 0
        for code in codes:
            bulk, role = int(code) >> k.ROLE_BITS, int(code) & k.ROLE_MASK
            f = int(m.task_flow[m.bulk_task[bulk]])
            if role >= groups:
                k.share_over(m.I, m.F, bulk)
            elif m.primary_node[f, role] == node:
                k.queue_share(m.I, m.F, node, bulk, role, k.threads_wanted(m.I, f, node, role))
            else:
                at = int(m.primary_node[f, role])
                k.ask_threads(m.I, m.F, at, bulk, role, k.threads_wanted(m.I, f, at, role))
        self.make_room()

    def start_node(self, node: int, amplitude: float) -> None:
        """A data node is back, its JVM as cold as `amplitude` says; what waited for it runs."""
        self._to_now()
        m = self.m
        m.node_down[node], m.node_free[node], m.node_bytes[node] = 0, m.node_threads[node], 0.0
        m.write_seen[node] = m.F[k.NOW]
        m.warm_amplitude[node], m.node_work[node] = amplitude, -m.node_idle[node] * m.F[k.NOW]
        k.release(m.I, m.F, node, 0)

    def move_pending(self, flow: int, node: int, shares: dict[int, float]) -> None:
        """What a lost primary had indexed and not shown is shown by the nodes that its copies are on."""
        m = self.m
        cap, head, length = m.pend_mass.shape[2], int(m.pend_head[flow, node]), int(m.pend_length[flow, node])
        at = (head + np.arange(length)) % cap
        while any(m.pend_length[flow, y] + length + 2 >= m.pend_mass.shape[2] for y in shares):
            m.I[k.GROW_WHAT] = k.GROW_PENDING
            self._grow()
            m = self.m
            at = np.arange(length)
            cap = m.pend_mass.shape[2]
        for y, share in shares.items():
            to = (int(m.pend_head[flow, y]) + int(m.pend_length[flow, y]) + np.arange(length)) % cap
            for name in ("c0", "c1", "time", "cut", "mass", "in_window"):
                table = getattr(m, f"pend_{name}")
                table[flow, y, to] = table[flow, node, at] * (share if name in ("mass", "in_window") else 1.0)
            m.pend_length[flow, y] += length
            m.fresh[flow, y] = max(m.fresh[flow, y], LEAST_FRESH)  # its copy was counted when it was indexed
        rest = 1.0 - sum(shares.values())
        for name in ("mass", "in_window"):
            getattr(m, f"pend_{name}")[flow, node, at] *= rest
        if rest < 1e-9:
            m.pend_length[flow, node] = 0
            m.fresh[flow, node] = 0.0

    def _grow(self) -> None:
        raise NotImplementedError

    def pending(self, flow: int, node: int) -> float:
        """Records that a node has indexed and not shown [records]."""
        m = self.m
        at = (m.pend_head[flow, node] + np.arange(m.pend_length[flow, node])) % m.pend_mass.shape[2]
        return float(m.pend_mass[flow, node, at].sum())

    def set_speed(self, host: int, speed: float) -> None:
        self._to_now()
        k.set_speed(self.m.I, self.m.F, host, speed)

    # ------------------------------------------------------------ jobs on hosts

    def _jobs(self, host: int, kind: int) -> Iterator[tuple[int, int, int]]:
        m, n = self.m, int(self.m.host_jobs[host])
        for at in np.flatnonzero(m.job_kind[host, :n] == kind):
            yield int(m.job_key[host, at]), int(m.job_a[host, at]), int(m.job_b[host, at])

    def _refreshes(self, host: int) -> list[tuple[int, int, int, int]]:
        m, n = self.m, int(self.m.host_jobs[host])
        at = np.flatnonzero(m.job_kind[host, :n] == k.REFRESH)
        return sorted(
            (int(m.job_key[host, j]), int(m.job_a[host, j]), int(m.job_b[host, j]), int(m.job_held[host, j]))
            for j in at
        )

    def _drop(self, host: int, kind: int, which: Any) -> float:
        """Take the jobs of a kind that `which(a, b)` names off a host; the CPU they still wanted [s]."""
        left = 0.0
        while True:
            m, n = self.m, int(self.m.host_jobs[host])
            found = [
                j
                for j in np.flatnonzero(m.job_kind[host, :n] == kind)
                if which(int(m.job_a[host, j]), int(m.job_b[host, j]))
            ]
            if not found:
                return left
            left += float(k.drop_job(m.I, m.F, host, found[0]))

    # ------------------------------------------------------------ room

    def make_room(self, extra: int = 0) -> None:
        """Room for ghosts beside all that a run without faults may have under way."""
        m = self.m
        if m.I[k.FREE_BULKS] < self.usual_bulks + extra:
            self.m = m = _more_bulks(m, self.usual_bulks + extra)
        if m.I[k.N_EVENTS] + self.usual_events + 8 * len(m.bulk_task) > len(m.event_time):
            wide = {n: _longer(getattr(m, n), len(m.event_time) + 8 * len(m.bulk_task)) for n in EVENTS}
            self.m = m.resized(wide)

    def room_for_tasks(self, count: int) -> None:
        """Rows for a stage's tasks, beside those that are kept for ghosts or for a batch that is to be run again."""
        m = self.m
        if m.I[k.FREE_TASKS] < count:
            self.m = _more_tasks(m, count)


EVENTS = ("event_time", "event")
JOBS = ("job_float", "job")
BULKS = tuple(name for name in KINDS if name.startswith("bulk_") and name not in ("bulk_cpu", "bulk_wait", "bulk_most"))
TASKS = tuple(name for name in KINDS if name.startswith("task_") and name != "task_log")


def _ring(table: Array, head: int, length: int) -> Array:
    return table[(head + np.arange(length)) % len(table)].copy()


def _longer(table: Array, more: int, axis: int = 0) -> Array:
    width = [(0, 0)] * table.ndim
    width[axis] = (0, more)
    return np.pad(table, width)


def _more_bulks(m: Memory, more: int) -> Memory:
    have, free = len(m.bulk_task), int(m.I[k.FREE_BULKS])
    wide = {name: _longer(getattr(m, name), more) for name in BULKS}
    wide["bulk_free"][free : free + more] = np.arange(have, have + more)[::-1]
    wide |= {name: _longer(getattr(m, name), 2 * more, axis=1) for name in JOBS}
    rings = np.zeros((m.node_queue.shape[0], m.node_queue.shape[1] * (have + more) // have + 8), dtype=np.int64)
    for n in range(len(rings)):
        ring = _ring(m.node_queue[n], int(m.queue_head[n]), int(m.queue_length[n]))
        rings[n, : len(ring)] = ring
    new = m.resized(wide | {"node_queue": rings})
    new.queue_head[:] = 0
    new.I[k.FREE_BULKS] = free + more
    return new


def _more_tasks(m: Memory, more: int) -> Memory:
    have, free, n = len(m.task_flow), int(m.I[k.FREE_TASKS]), int(m.I[k.N_READY])
    wide = {name: _longer(getattr(m, name), more) for name in TASKS}
    wide["task_free"][free : free + more] = np.arange(have, have + more)[::-1]
    ready = np.zeros(have + more, dtype=np.int64)
    ready[:n] = _ring(m.ready, int(m.I[k.READY_HEAD]), n)
    new = m.resized(wide | {"ready": ready, "stage_row": _longer(m.stage_row, more, axis=1)})
    new.I[k.READY_HEAD], new.I[k.FREE_TASKS] = 0, free + more
    return new
