"""The data plane in plain SimPy: the same model as `kernels.py`, told to be read.

Hosts share their cores among jobs; executors hold slots; data nodes hold write threads; brokers hold
request handlers. A task walks through its pieces and bulks; a bulk through its coordinator, primaries
and replicas; a refresh shows what its node has indexed; a producer batch is appended, fetched by
followers and committed. Same seed, same dice, same path as the compiled plane, to 1e-9: that is the
test of both. It is some hundred times slower and never on the user's way.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import simpy

from simulator import kernels as k
from simulator.layout import Built
from simulator.memory import Memory

Process = Generator[Any, Any, Any]


class Host:
    """Cores shared equally by the threads that want one, no thread faster than a core; now and then all stand still."""

    def __init__(self, env: simpy.Environment, memory: Memory, number: int, seed: int) -> None:
        self.env, self.number, self.seed = env, number, seed
        self.cores, self.speed = float(memory.host_cores[number]), float(memory.host_speed[number])
        self.pause_rate, self.pause_mean = float(memory.pause_rate[number]), float(memory.pause_mean[number])
        self.pause_at = float(memory.pause_at[number])
        self.jobs: list[tuple[float, int, float, simpy.Event]] = []
        self.order, self.version, self.pauses = count(), 0, 0
        self.v = self.work_done = self.busy = self.weight = self.seen = 0.0
        self.paused = False

    def work(self, cpu: float, threads: float = 1.0) -> simpy.Event:
        """A job of so many CPU seconds on so many threads; the event comes when it is done."""
        self.settle()
        done = self.env.event()
        heapq.heappush(self.jobs, (self.v + cpu / threads, next(self.order), threads, done))
        self.weight += threads
        self.arm()
        return done

    def share(self) -> float:
        return self.speed * (1.0 if self.weight <= self.cores else self.cores / self.weight)

    def settle(self) -> None:
        passed, self.seen = self.env.now - self.seen, self.env.now
        if passed > 0 and self.jobs and not self.paused:
            share = self.share()
            self.v += passed * share
            self.work_done += passed * share * self.weight
            self.busy += passed * min(self.weight, self.cores)

    def arm(self) -> None:
        """Set the alarm for the first job done, or for a pause before that; earlier alarms are void."""
        self.version += 1
        if self.paused or not self.jobs:
            return
        share = self.share()
        to_job = max(0.0, self.jobs[0][0] - self.v) / share
        to_pause = max(0.0, self.pause_at - self.work_done) / (share * self.weight)
        if to_pause < to_job:
            self._alarm(to_pause, self._pause)
        else:
            self._alarm(to_job, self._job_done)

    def _alarm(self, delay: float, action: Callable[[], None]) -> None:
        version = self.version

        def ring(_: simpy.Event) -> None:
            if version == self.version:
                action()

        self.env.timeout(delay).callbacks.append(ring)

    def _job_done(self) -> None:
        self.settle()
        self.v, _, threads, done = heapq.heappop(self.jobs)
        self.weight = self.weight - threads if self.jobs else 0.0
        self.arm()
        done.succeed()

    def _pause(self) -> None:
        self.settle()
        self.work_done = self.pause_at
        self.paused = True
        self.arm()
        length = self.pause_mean * k.exponential(self.seed, k.DICE_PAUSE, self.number, self.pauses, 0)
        self.env.timeout(length).callbacks.append(lambda _: self._resume())

    def _resume(self) -> None:
        self.settle()
        self.paused = False
        self.pauses += 1
        gap = k.exponential(self.seed, k.DICE_PAUSE_GAP, self.number, self.pauses, 0) / self.pause_rate
        self.pause_at = self.work_done + gap
        self.arm()


class Slots:
    """Task slots of all executors: a task takes one on the executor with most free, or waits in line."""

    def __init__(self, env: simpy.Environment, free: np.ndarray) -> None:
        self.env, self.free, self.line = env, [int(n) for n in free], deque[simpy.Event]()
        self.held = [0.0] * len(free)

    def take(self) -> simpy.Event:
        event = self.env.event()
        self._give(event) if max(self.free) > 0 else self.line.append(event)
        return event

    def _give(self, event: simpy.Event) -> None:
        executor = self.free.index(max(self.free))
        self.free[executor] -= 1
        event.succeed(executor)

    def give_back(self, executor: int, since: float) -> None:
        self.free[executor] += 1
        self.held[executor] += self.env.now - since
        if self.line:
            self._give(self.line.popleft())


@dataclass
class Task:
    """One task of a stage, by the row that the control plane wrote for it (see kernels.start_stage)."""

    flow: int
    batch: int
    number: int
    row: np.ndarray
    cut: float
    indexed: set[tuple[int, int]] = field(default_factory=set)  # (node, bulk) once indexed

    def __post_init__(self) -> None:
        self.partition, self.first, self.last, self.documents = int(self.row[0]), *(float(x) for x in self.row[1:4])
        self.setup, self.document_cpu, self.bulk_cpu, self.threads = (float(x) for x in self.row[4:8])
        self.fetch, self.tail, self.c0, self.c1 = (float(x) for x in self.row[8:12])
        self.bulks, self.share = int(self.row[12]), float(self.row[13])

    @property
    def address(self) -> int:
        return self.batch * 1_000_003 + self.number


@dataclass
class Bulk:
    """A bulk on its way: the nodes whose share is not indexed yet, and how many shares are under way."""

    task: Task
    index: int
    documents: float
    todo: set[int]
    left: int = 0
    attempt: int = 0
    done: simpy.Event | None = None


class Node:
    """A data node: write threads with a queue, bytes in flight, what it indexed since its last refresh, its merges."""

    def __init__(self, plane: ReferencePlane, number: int) -> None:
        m = plane.m
        self.plane, self.number, self.host = plane, number, plane.hosts[int(m.node_host[number])]
        self.threads = self.free = int(m.node_threads[number])
        self.queue: deque[tuple[Bulk, int, int]] = deque()
        self.bytes = self.held = self.seen = self.indexed_cpu = 0.0
        flows = len(m.document_cpu)
        self.fresh, self.refreshing = [0.0] * flows, [False] * flows
        self.pending: list[list[tuple[float, float, float, float, float, float]]] = [[] for _ in range(flows)]
        self.merging, self.debt, self.debt_bytes, self.flushed = False, 0.0, 0.0, 0.0

    def cold(self, cpu: float) -> float:
        """CPU as a cold JVM spends it: c (1 + A exp(-w/w0)), w all CPU it has spent since it started."""
        m, n = self.plane.m, self.number
        if m.warm_amplitude[n] <= 0:
            return cpu
        done = self.indexed_cpu + float(m.node_idle[n]) * self.plane.env.now
        cpu *= 1.0 + float(m.warm_amplitude[n]) * math.exp(-done / float(m.warm_work[n]))
        self.indexed_cpu += cpu
        return cpu

    def account(self) -> None:
        self.held += (self.threads - self.free) * (self.plane.env.now - self.seen)
        self.seen = self.plane.env.now

    # ------------------------------------------------------------ shares of bulks

    def ask(self, bulk: Bulk, role: int, wanted: int) -> None:
        """A share (role: the primary's node for a replica, the number of nodes for a primary) asks for threads."""
        primary = role == len(self.plane.nodes)
        if self.free > 0 and not self.queue:
            self.run(bulk, role, wanted)
        elif primary and sum(w for _, _, w in self.queue) + wanted > k.WRITE_QUEUE:
            m, f = self.plane.m, bulk.task.flow
            self.plane.counts[f, k.REJECTED] += bulk.documents * m.primary_share[f, self.number]
            bulk.left -= 1
        else:
            self.queue.append((bulk, role, wanted))

    def run(self, bulk: Bulk, role: int, wanted: int) -> None:
        m, f, nodes = self.plane.m, bulk.task.flow, len(self.plane.nodes)
        threads = min(wanted, self.free)
        self.account()
        self.free -= threads
        if role == nodes:
            work = bulk.documents * m.primary_share[f, self.number] * m.document_cpu[f]
        else:
            work = bulk.documents * m.primary_share[f, role] * m.replica_share[f, role, self.number] * m.replica_cpu[f]
        address = bulk.task.address, bulk.index, self.number * (nodes + 1) + role
        work *= k.lognormal(m.share_sigma[f], self.plane.seed, k.DICE_SHARE + 100 * f, *address)
        finished = self.host.work(self.cold(work), float(threads))
        after = self.primary_done if role == nodes else self.replica_done
        finished.callbacks.append(lambda _: after(bulk, role, threads))

    def release(self, threads: int) -> None:
        self.account()
        self.free += threads
        while self.queue and self.free > 0:
            self.run(*self.queue.popleft())

    def primary_done(self, bulk: Bulk, role: int, threads: int) -> None:
        m, f, me = self.plane.m, bulk.task.flow, self.number
        documents = bulk.documents * m.primary_share[f, me]
        bulk.todo.discard(me)
        self.fresh[f] += documents
        if (me, bulk.index) in bulk.task.indexed:
            self.plane.counts[f, k.DUPLICATED] += documents * m.automatic_ids[f]
        else:
            bulk.task.indexed.add((me, bulk.index))
            self.plane.counts[f, k.INDEXED] += documents
            self.pending[f].append(self.plane.creation(bulk, documents))
        replicas = [n for n in self.plane.nodes if m.replica_share[f, me, n.number] > 0]
        bulk.left += len(replicas)
        self.release(threads)
        for node in replicas:
            node.ask(bulk, me, int(m.replica_threads[f, me, node.number]))
        self.plane.share_done(bulk)

    def replica_done(self, bulk: Bulk, source: int, threads: int) -> None:
        m, f = self.plane.m, bulk.task.flow
        documents = bulk.documents * m.primary_share[f, source] * m.replica_share[f, source, self.number]
        self.fresh[f] += documents * m.replica_fresh[f]
        self.release(threads)
        self.plane.share_done(bulk)

    # ------------------------------------------------------------ refresh and merge

    def refresh_ticks(self, f: int, phase: float) -> Process:
        """Refresh, then wait the interval: from the refresh's end, or from its start where the rate is fixed."""
        yield self.plane.env.timeout(phase)
        while True:
            if self.plane.m.refresh_fixed_rate[f]:
                self.plane.env.process(self.refresh(f))
            elif not self.refreshing[f] and self.fresh[f] > 0:
                yield from self.refresh(f)
            yield self.plane.env.timeout(float(self.plane.m.refresh_interval[f]))

    def refresh(self, f: int) -> Process:
        if self.refreshing[f] or self.fresh[f] <= 0:
            return
        m = self.plane.m
        self.refreshing[f] = True
        shown, documents = len(self.pending[f]), self.fresh[f]
        self.fresh[f] = 0.0
        shards = int(m.shards_on[f, self.number])
        work = shards * m.refresh_cpu[f] + documents * m.refresh_document_cpu[f]
        yield self.host.work(self.cold(work), float(min(shards, int(m.refresh_threads[self.number]))))
        self.refreshing[f] = False
        for entry in self.pending[f][:shown]:
            self.plane.show(f, *entry)
        del self.pending[f][:shown]
        self.debt += documents * m.merge_document_cpu[f]
        self.debt_bytes += documents * m.merge_document_bytes[f]
        self.flushed = documents * m.merge_document_cpu[f]
        self.merge_if_due()

    def merge_if_due(self) -> None:
        if self.merging or self.debt <= 0 or self.debt < k.MERGE_AFTER * self.flushed:
            return
        cpu, disk = self.debt / self.host.speed, self.debt_bytes / float(self.plane.m.merge_rate[self.number])
        self.merging = True
        finished = self.host.work(self.cold(self.debt), 1.0 if disk <= cpu else cpu / disk)
        self.debt = self.debt_bytes = 0.0
        finished.callbacks.append(lambda _: self._merged())

    def _merged(self) -> None:
        self.merging = False
        self.merge_if_due()


class ReferencePlane:
    """The data plane as SimPy processes, with the interface that `run.Plane` describes."""

    def __init__(self, env: simpy.Environment, built: Built) -> None:
        self.env, self.m, self.base, self.fronts = env, built.memory, built.partition_base, built.fronts
        self.seed = int(self.m.I[k.SEED])
        self.hosts = [Host(env, self.m, h, self.seed) for h in range(len(self.m.host_cores))]
        self.nodes = [Node(self, n) for n in range(len(self.m.node_host))]
        self.slots = Slots(env, self.m.exec_free)
        self.counts, self.hops = np.zeros_like(self.m.counts), np.zeros_like(self.m.hops)
        self.sink_waits = [0.0] * len(self.m.document_cpu)
        self.exact = bool(self.m.I[k.EXACT_FRONT])
        self._start_refreshes()
        if self.exact:
            from simulator.reference_front import ReferenceFront

            self.front = ReferenceFront(self)

    def _start_refreshes(self) -> None:
        for time, kind, f, n in _queued(self.m):
            if kind == k.REFRESH_DUE:
                self.env.process(self.nodes[n].refresh_ticks(f, time))

    # ------------------------------------------------------------ what the control plane asks for

    def driver_work(self, flow: int, cpu: float) -> simpy.Event:
        return self.hosts[int(self.m.I[k.DRIVER_HOST])].work(cpu)

    def stage(self, flow: int, batch: int, cut: float, table: np.ndarray, launch: float) -> simpy.Event:
        self.sink_waits[flow] = 0.0
        return self.env.process(self._stage(flow, batch, cut, table, launch))

    def _stage(self, flow: int, batch: int, cut: float, table: np.ndarray, launch: float) -> Process:
        tasks = [Task(flow, batch, n, row, cut) for n, row in enumerate(table)]
        running = [self.env.process(self._task(task, (task.number + 1) * launch)) for task in tasks]
        failed = self.env.event()
        for process in running:
            process.callbacks.append(lambda p: None if p.value or failed.triggered else failed.succeed())
        yield self.env.all_of(running) | failed
        return not failed.triggered

    def committed(self, flow: int, time: float) -> np.ndarray:
        parts = range(self.base[flow], self.base[flow + 1])
        if self.exact:
            return np.array([self.front.committed(p, time) for p in parts])
        m, delayed = self.m, time - self.fronts[flow].delay
        return np.floor(np.array([k.count_at(m.I, m.F, p, delayed) for p in parts]) + 1e-6)

    def created_span(self, flow: int, start: np.ndarray, end: np.ndarray) -> tuple[float, float]:
        m, some = self.m, [p for p in range(len(end)) if end[p] > start[p]]
        base = self.base[flow]
        first = min(k.created_from(m.I, m.F, base + p, start[p]) for p in some)
        return first, max(k.created(m.I, m.F, base + p, end[p]) for p in some)

    def sink_wait(self, flow: int) -> float:
        return self.sink_waits[flow]

    def set_cores(self, host: int, cores: float) -> None:
        self.hosts[host].settle()
        self.hosts[host].cores = cores
        self.m.host_cores[host] = cores
        self.hosts[host].arm()

    def look(self) -> dict[str, np.ndarray]:
        for part in (*self.hosts, *self.nodes):
            part.settle() if isinstance(part, Host) else part.account()
        return {
            "host_busy": np.array([h.busy for h in self.hosts]),
            "host_work": np.array([h.work_done for h in self.hosts]),
            "slot_seconds": np.array(self.slots.held),
            "write_seconds": np.array([n.held for n in self.nodes]),
            "counts": self.counts.copy(),
            "hops": self.hops.copy(),
            "host_cores": self.m.host_cores.copy(),
        }

    def run_until(self, until: float) -> None:
        while self.env.peek() <= until:
            self.env.step()
        if until > self.env.now:
            self.env.run(until=until)

    # ------------------------------------------------------------ tasks

    def _task(self, task: Task, launched: float) -> Process:
        """Wait for a slot, read, then piece by piece: CPU, a bulk away, until all are answered. False: failed."""
        yield self.env.timeout(launched)
        for _ in range(k.MOST_TASK_ATTEMPTS):
            executor = yield self.slots.take()
            started = self.env.now
            if task.fetch > 0:
                yield self.env.timeout(task.fetch)
            ok = yield from self._attempt(task, self.hosts[int(self.m.exec_host[executor])])
            if ok:
                if task.tail > 0:
                    yield self.env.timeout(task.tail)
                self.slots.give_back(executor, started)
                self._maybe_refresh(task)
                return True
            self.slots.give_back(executor, started)
        return False

    def _attempt(self, task: Task, host: Host) -> Process:
        if task.bulks == 0:
            yield host.work(task.setup + task.documents * task.document_cpu, task.threads)
            return True
        writers, setup = int(self.m.writers[task.flow]), task.setup
        flying: list[simpy.Event] = []
        failed = False
        for index in range(task.bulks):
            while len(flying) >= writers and not failed:
                answered = yield simpy.AnyOf(self.env, flying)
                failed |= not all(answered.values())
                flying = [event for event in flying if not event.processed]
            if failed:
                break
            documents = self._documents(task, index)
            yield host.work(setup + (documents * task.document_cpu + task.bulk_cpu), task.threads)
            setup = 0.0
            failed |= any(event.processed and not event.value for event in flying)
            flying = [event for event in flying if not event.processed]
            if failed:
                break
            flying.append(self.env.process(self._bulk(task, index, documents)))
        answered = yield simpy.AllOf(self.env, flying)
        return not failed and all(answered.values())

    def _documents(self, task: Task, index: int) -> float:
        most = float(self.m.bulk_most[task.flow])
        return min(most, task.documents - index * most)

    def _maybe_refresh(self, task: Task) -> None:
        if self.m.refresh_per_write[task.flow] and task.bulks:
            for node in self.nodes:
                if self.m.shards_on[task.flow, node.number] > 0:
                    self.env.process(node.refresh(task.flow))

    # ------------------------------------------------------------ bulks

    def _bulk(self, task: Task, index: int, documents: float) -> Process:
        """Send a bulk, again where items were refused, until all are in or the retries are used up."""
        m, f, sent = self.m, task.flow, self.env.now
        bulk = Bulk(task, index, documents, {n.number for n in self.nodes if m.primary_share[f, n.number] > 0})
        node = self.nodes[(task.number + index) % len(self.nodes)]
        while True:
            yield self.env.timeout(float(m.half_trip[f]))
            yield from self._coordinate(bulk, node)
            if not bulk.todo or bulk.attempt >= int(m.retry_attempts[f]):
                break
            wait = float(m.retry_wait[f]) * float(m.retry_multiplier[f]) ** bulk.attempt
            bulk.attempt += 1
            yield self.env.timeout(wait)
        self.sink_waits[f] += self.env.now - sent
        return not bulk.todo

    def _coordinate(self, bulk: Bulk, node: Node) -> Process:
        m, f = self.m, bulk.task.flow
        share = 0.0
        for n in sorted(bulk.todo):
            share += m.primary_share[f, n]
        size = bulk.documents * share * m.document_bytes[f]
        if node.bytes + size > m.node_limit[node.number]:
            self.counts[f, k.REJECTED] += bulk.documents * share
            yield self.env.timeout(float(m.half_trip[f]))
            return
        node.bytes += size
        yield node.host.work(node.cold(float(m.bulk_cpu[f])))
        bulk.done, asked = self.env.event(), sorted(bulk.todo)
        bulk.left = len(asked)
        for n in asked:
            self.nodes[n].ask(bulk, len(self.nodes), int(m.primary_threads[f, n]))
        if bulk.left > 0:
            yield bulk.done
        noise = k.lognormal(
            m.share_sigma[f], self.seed, k.DICE_WAIT + 100 * f, bulk.task.address, bulk.index, bulk.attempt
        )
        yield self.env.timeout(float(m.bulk_wait[f]) * noise + float(m.half_trip[f]))
        node.bytes -= size

    def share_done(self, bulk: Bulk) -> None:
        bulk.left -= 1
        if bulk.left == 0 and bulk.done is not None:
            bulk.done.succeed()

    # ------------------------------------------------------------ visibility

    def creation(self, bulk: Bulk, documents: float) -> tuple[float, float, float, float, float, float]:
        """When a bulk's records of the window were created, first to last; all its records on this node; the window's
        share of them; when they were indexed, when cut.
        """
        m, task = self.m, bulk.task
        most, total = float(m.bulk_most[task.flow]), task.documents
        x0, x1 = bulk.index * most / total, min(1.0, (bulk.index * most + bulk.documents) / total)
        records = documents / float(m.documents_per_record[task.flow])
        if task.partition < 0:
            span = task.c1 - task.c0
            return task.c0 + x0 * span, task.c0 + x1 * span, records, task.share, self.env.now, task.cut
        span, p = task.last - task.first, task.partition
        first, last = task.first + x0 * span, task.first + x1 * span
        since, until = float(m.F[k.WINDOW_FROM]), float(m.F[k.WINDOW_UNTIL])
        c0, c1 = k.created_from(m.I, m.F, p, first), k.created(m.I, m.F, p, last)
        low = min(last, max(first, k.count_at(m.I, m.F, p, since))) if c0 < since else first
        high = max(first, min(last, k.count_at(m.I, m.F, p, until))) if c1 > until else last
        share = max(0.0, high - low) / (last - first)
        return max(c0, since), min(c1, until), records, share, self.env.now, task.cut

    def show(self, f: int, c0: float, c1: float, records: float, share: float, indexed: float, cut: float) -> None:
        """Records become visible now; those created in the window join the histogram, spread evenly."""
        m, now = self.m, self.env.now
        self.counts[f, k.VISIBLE] += records
        counted = records * share
        if counted <= 0:
            return
        fine, coarse = float(m.F[k.FINE_WIDTH]), float(m.F[k.COARSE_WIDTH])
        k.ramp(m.I, m.F, k.SLOPE, k.STEP, f, now - c1, now - c0, counted, fine, coarse)
        waited, worked, hidden = cut - 0.5 * (c0 + c1), indexed - cut, now - indexed
        self.hops[f] += [counted, counted * waited, counted * worked, counted * hidden]


def _queued(m: Memory) -> list[tuple[float, int, int, int]]:
    """The events that the layout queued before the first: time, kind, a, b, in their order."""
    rows = [(float(m.ev_time[n]), int(m.ev_key[n]), n) for n in range(int(m.I[k.N_EVENTS]))]
    return [(time, int(m.ev_kind[n]), int(m.ev_a[n]), int(m.ev_b[n])) for time, _, n in sorted(rows)]
