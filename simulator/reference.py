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
from simulator.plane_faults import LEAST_FRESH

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

    def drop(self, done: simpy.Event) -> float:
        """Take a job away, unfinished; the CPU it still wanted."""
        job = next((j for j in self.jobs if j[3] is done), None)
        if job is None:
            return 0.0
        self.settle()
        self.jobs.remove(job)
        heapq.heapify(self.jobs)
        self.weight = self.weight - job[2] if self.jobs else 0.0
        self.arm()
        return max(0.0, job[0] - self.v) * job[2]

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

    def first_in_line(self) -> simpy.Event:
        """A task that failed is the next to get a slot: Spark adds it to the end of the list that it takes from."""
        event = self.env.event()
        self.line.appendleft(event)
        return event

    def _give(self, event: simpy.Event) -> None:
        executor = self.free.index(max(self.free))
        self.free[executor] -= 1
        event.succeed(executor)

    def give_back(self, executor: int, since: float) -> None:
        self.free[executor] += 1
        self.held[executor] += self.env.now - since
        self.serve()

    def serve(self) -> None:
        if self.line and max(self.free) > 0:
            self._give(self.line.popleft())


class All:
    """A set that holds everything: what a batch that was written but not committed has indexed."""

    def __contains__(self, _: object) -> bool:
        return True


@dataclass(eq=False)
class Task:
    """One task of a stage, by the row that the control plane wrote for it (see kernels.start_stage)."""

    flow: int
    batch: int
    number: int
    row: np.ndarray
    indexed: Any = field(default_factory=set)  # (group of shards, bulk) once indexed
    attempt: int = 0
    process: simpy.Process | None = None
    asked: simpy.Event | None = None  # for a slot
    executor: int | None = None
    stranded: int | None = None  # on an executor that is gone, which the driver does not know yet
    noticed: simpy.Event | None = None  # when it does
    started: float = 0.0
    piece: simpy.Event | None = None  # what it has on a core
    flying: list[Bulk] = field(default_factory=list)  # bulks that it waits for
    wake: simpy.Event | None = None  # for their answers
    failed: bool = False
    all_sent: bool = False

    def __post_init__(self) -> None:
        self.partition, self.first, self.last, self.documents = int(self.row[0]), *(float(x) for x in self.row[1:4])
        self.setup, self.document_cpu, self.bulk_cpu, self.threads = (float(x) for x in self.row[4:8])
        self.fetch, self.tail, self.c0, self.c1 = (float(x) for x in self.row[8:12])
        self.bulks, self.share = int(self.row[12]), float(self.row[13])

    @property
    def address(self) -> int:
        return self.batch * 1_000_003 + self.number


@dataclass(eq=False)
class Bulk:
    """A bulk on its way: the groups of shards that have not indexed it, and how many shares are under way."""

    task: Task
    index: int
    documents: float
    todo: set[int]
    node: int
    sent: float
    left: int = 0
    attempt: int = 0
    done: simpy.Event | None = None
    state: int = k.ALIVE
    place: int = k.UNDER_WAY
    leaves: float = 0.0
    fatal: bool = False
    parsing: simpy.Event | None = None
    size: float = 0.0


class Node:
    """A data node: write threads with a queue, bytes in flight, what it indexed since its last refresh, its merges."""

    def __init__(self, plane: ReferencePlane, number: int) -> None:
        m = plane.m
        self.plane, self.number, self.host = plane, number, plane.hosts[int(m.node_host[number])]
        self.threads = self.free = int(m.node_threads[number])
        self.queue: deque[tuple[Bulk, int, int]] = deque()
        self.running: list[tuple[Bulk, int, simpy.Event]] = []  # shares on write threads, in the order they began
        self.down, self.amplitude = False, float(m.warm_amplitude[number])
        self.merge_job: simpy.Event | None = None
        self.refresher: list[tuple[simpy.Process, simpy.Event] | None] = [None] * len(m.document_cpu)
        self.bytes = self.held = self.seen = self.indexed_cpu = 0.0
        flows = len(m.document_cpu)
        self.fresh, self.refreshing = [0.0] * flows, [False] * flows
        self.pending: list[list[tuple[float, float, float, float, float, float]]] = [[] for _ in range(flows)]
        self.merging, self.debt, self.debt_bytes, self.flushed = False, 0.0, 0.0, 0.0

    def cold(self, cpu: float) -> float:
        """CPU as a cold JVM spends it: c (1 + A exp(-w/w0)), w all CPU it has spent since it started."""
        m, n = self.plane.m, self.number
        if self.amplitude <= 0:
            return cpu
        done = self.indexed_cpu + float(m.node_idle[n]) * self.plane.env.now
        cpu *= 1.0 + self.amplitude * math.exp(-done / float(m.warm_work[n]))
        self.indexed_cpu += cpu
        return cpu

    def account(self) -> None:
        self.held += (self.threads - self.free) * (self.plane.env.now - self.seen)
        self.seen = self.plane.env.now

    # ------------------------------------------------------------ shares of bulks

    def ask(self, bulk: Bulk, role: int, wanted: int) -> None:
        """A share (role: its group of shards, or the number of groups more for a replica) asks for threads."""
        primary = role < self.plane.groups
        if not self.down and self.free > 0 and not self.queue:
            self.run(bulk, role, wanted)
        elif primary and sum(w for _, _, w in self.queue) + wanted > k.WRITE_QUEUE:
            m, f = self.plane.m, bulk.task.flow
            self.plane.counts[f, k.REJECTED] += bulk.documents * m.primary_share[f, role]
            bulk.left -= 1
        else:
            self.queue.append((bulk, role, wanted))
            if self.down and primary:
                self.plane.env.timeout(k.PRIMARY_TIMEOUT).callbacks.append(lambda _: self.expire(bulk, role))

    def expire(self, bulk: Bulk, role: int) -> None:
        """A share that has waited long enough for a primary is answered 503."""
        mine = next((entry for entry in self.queue if entry[0] is bulk and entry[1] == role), None)
        if self.down and mine is not None:
            self.queue.remove(mine)
            f = bulk.task.flow
            self.plane.counts[f, k.REJECTED] += bulk.documents * self.plane.m.primary_share[f, role]
            self.plane.share_done(bulk)

    def run(self, bulk: Bulk, role: int, wanted: int) -> None:
        m, f, nodes, groups = self.plane.m, bulk.task.flow, len(self.plane.nodes), self.plane.groups
        threads = min(wanted, self.free)
        self.account()
        self.free -= threads
        if role < groups:
            work = bulk.documents * m.primary_share[f, role] * m.document_cpu[f]
        else:
            g = role - groups
            work = bulk.documents * m.primary_share[f, g] * m.replica_share[f, g, self.number] * m.replica_cpu[f]
        dice = k.share_address(groups, nodes, self.number, role, int(m.I[k.GROUPS_ARE_NODES]))
        address = bulk.task.address, bulk.index, dice
        work *= k.lognormal(m.share_sigma[f], self.plane.seed, k.DICE_SHARE + 100 * f, *address)
        finished = self.host.work(self.cold(work), float(threads))
        self.running.append((bulk, role, finished))
        after = self.primary_done if role < groups else self.replica_done
        finished.callbacks.append(lambda _: after(bulk, role, threads))

    def release(self, threads: int, bulk: Bulk, role: int) -> None:
        self.running = [entry for entry in self.running if entry[0] is not bulk or entry[1] != role]
        self.account()
        self.free += threads
        self.serve()

    def serve(self) -> None:
        while self.queue and self.free > 0:
            self.run(*self.queue.popleft())

    def primary_done(self, bulk: Bulk, role: int, threads: int) -> None:
        m, f = self.plane.m, bulk.task.flow
        documents = bulk.documents * m.primary_share[f, role]
        bulk.todo.discard(role)
        self.fresh[f] += documents
        if (role, bulk.index) in bulk.task.indexed:
            self.plane.counts[f, k.DUPLICATED] += documents * m.automatic_ids[f]
        else:
            bulk.task.indexed.add((role, bulk.index))
            self.plane.counts[f, k.INDEXED] += documents
            self.pending[f].append(self.plane.creation(bulk, documents))
        replicas = [n for n in self.plane.nodes if m.replica_share[f, role, n.number] > 0]
        bulk.left += len(replicas)
        self.release(threads, bulk, role)
        for node in replicas:
            node.ask(bulk, self.plane.groups + role, int(m.replica_threads[f, role, node.number]))
        self.plane.share_done(bulk)

    def replica_done(self, bulk: Bulk, role: int, threads: int) -> None:
        m, f, g = self.plane.m, bulk.task.flow, role - self.plane.groups
        documents = bulk.documents * m.primary_share[f, g] * m.replica_share[f, g, self.number]
        self.fresh[f] += documents * m.replica_fresh[f]
        self.release(threads, bulk, role)
        self.plane.share_done(bulk)

    # ------------------------------------------------------------ down and up

    def stop(self) -> None:
        """The process dies: its jobs are gone; shares of bulks wait for another primary, clients ask the next."""
        self.account()
        queued, shares = list(self.queue), list(self.running)
        self.queue.clear()
        self.running.clear()
        self.down, self.free = True, self.threads
        for _, _, job in shares:
            self.host.drop(job)
        for mine in self.refresher:
            if mine is not None and mine[0].is_alive:
                self.host.drop(mine[1])
                mine[0].interrupt()
        if self.merging:
            self.merging = False
            self.debt += self.host.drop(self.merge_job)
        self.bytes = 0.0
        mine = [b for b in self.plane.bulks if b.node == self.number and b.place != k.UNDER_WAY]
        for bulk in mine:
            bulk.size = 0.0
        for bulk in [b for b in mine if b.place in (k.COORDINATED, k.SPLIT)]:
            if bulk.place == k.COORDINATED and bulk.parsing is not None:
                self.host.drop(bulk.parsing)
            self.plane.cut_off(bulk)
        for bulk, role, _ in [*shares, *queued]:
            if bulk.node == self.number:
                self.plane.share_done(bulk)
            else:
                self.ask(bulk, role, self.plane.wanted(bulk, role, self.number))

    def start(self, amplitude: float) -> None:
        self.account()
        self.down, self.free, self.bytes = False, self.threads, 0.0
        self.amplitude = amplitude
        self.indexed_cpu = -float(self.plane.m.node_idle[self.number]) * self.plane.env.now
        self.serve()

    # ------------------------------------------------------------ refresh and merge

    def refresh_ticks(self, f: int, phase: float) -> Process:
        """Refresh, then wait the interval: from the refresh's end, or from its start where the rate is fixed."""
        yield self.plane.env.timeout(phase)
        while True:
            if self.plane.m.refresh_fixed_rate[f]:
                self.plane.env.process(self.refresh(f))
            else:
                yield from self.refresh(f)
            yield self.plane.env.timeout(float(self.plane.m.refresh_interval[f]))

    def refresh(self, f: int) -> Process:
        if self.refreshing[f] or self.fresh[f] <= 0 or self.down:
            return
        m = self.plane.m
        self.refreshing[f] = True
        shown, documents = len(self.pending[f]), self.fresh[f]
        self.fresh[f] = 0.0
        shards = int(m.shards_on[f, self.number])
        work = shards * m.refresh_cpu[f] + documents * m.refresh_document_cpu[f]
        job = self.host.work(self.cold(work), float(min(shards, int(m.refresh_threads[self.number]))))
        self.refresher[f] = (self.plane.env.active_process, job)
        try:
            yield job
        except simpy.Interrupt:  # the node died meanwhile
            self.fresh[f] += documents
            return
        finally:
            self.refreshing[f], self.refresher[f] = False, None
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
        finished = self.merge_job = self.host.work(self.cold(self.debt), 1.0 if disk <= cpu else cpu / disk)
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
        self.groups = self.m.primary_share.shape[1]
        self.nodes = [Node(self, n) for n in range(len(self.m.node_host))]
        self.slots = Slots(env, self.m.exec_free)
        self.counts, self.hops = np.zeros_like(self.m.counts), np.zeros_like(self.m.hops)
        self.sink_waits = [0.0] * len(self.m.document_cpu)
        self.cuts = [0.0] * len(self.m.document_cpu)
        self.bulks: list[Bulk] = []  # those under way, in the order they were sent
        self.stages: list[list[Task]] = [[] for _ in self.sink_waits]
        self.parked: dict[int, list[Task]] = {}
        self.driving: dict[int, simpy.Event] = {}
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
        self.driving[flow] = self.hosts[int(self.m.I[k.DRIVER_HOST])].work(cpu)
        return self.driving[flow]

    def stage(
        self, flow: int, batch: int, cut: float, table: np.ndarray, launch: float, written: str = "nothing"
    ) -> simpy.Event:
        self.sink_waits[flow], self.cuts[flow] = 0.0, cut
        before = self.parked.pop(flow, None) if written == "part" else None
        tasks = [Task(flow, batch, n, row) for n, row in enumerate(table)]
        for n, task in enumerate(tasks):
            task.indexed = All() if written == "all" else before[n].indexed if before else task.indexed
        self.stages[flow] = tasks
        return self.env.process(self._stage(tasks, launch))

    def _stage(self, tasks: list[Task], launch: float) -> Process:
        failed = self.env.event()
        for task in tasks:
            task.process = self.env.process(self._task(task, (task.number + 1) * launch))
            task.process.callbacks.append(lambda p: None if p.value or failed.triggered else failed.succeed())
        yield self.env.all_of([task.process for task in tasks]) | failed
        if not failed.triggered:
            self.stages[tasks[0].flow] = []
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

    # ------------------------------------------------------------ what faults do

    def abort(self, flow: int) -> None:
        """A query's batch is given up where it stands; its bulks that left go on as ghosts."""
        if (job := self.driving.pop(flow, None)) is not None:
            self.hosts[int(self.m.I[k.DRIVER_HOST])].drop(job)
        tasks, self.stages[flow] = self.stages[flow], []
        for task in tasks:
            if task.asked in self.slots.line:
                self.slots.line.remove(task.asked)
        for task in tasks:
            self._stop(task)
            if task.asked is not None and task.asked.triggered:  # it had just been given a slot
                task.executor, task.started = task.asked.value, self.env.now
            if task.executor is not None:
                self.slots.give_back(task.executor, task.started)
            if task.process is not None and task.process.is_alive:
                task.process.interrupt()
        if tasks and max(task.bulks for task in tasks) > 0:
            self.parked[flow] = tasks

    def _stop(self, task: Task) -> None:
        """What a task has on a core is dropped, its bulks become ghosts."""
        if task.piece is not None:
            for host in self.hosts:
                host.drop(task.piece)
            task.piece = None
        for bulk in task.flying:
            asleep = bulk.place == k.UNDER_WAY and bulk.leaves > self.env.now
            bulk.state = k.VOID if asleep else k.GHOST
        task.flying.clear()
        task.wake = None

    def stop_executor(self, executor: int) -> None:
        """An executor is gone; its tasks hang until the driver notices."""
        for task in [t for stage in self.stages for t in stage if t.executor == executor]:
            self._stop(task)
            self.slots.held[executor] += self.env.now - task.started
            task.executor, task.stranded, task.noticed = None, executor, self.env.event()
            task.process.interrupt(task.noticed)
        self.slots.free[executor] = 0

    def notice_executor(self, executor: int, counts: bool = True) -> None:
        mine = [t for stage in self.stages for t in stage if t.stranded == executor]
        for task in mine:
            task.stranded = None
            self._again(task, int(counts))
        for _ in mine:
            self.slots.serve()
        for task in reversed(mine):  # as they stand in line: the first to get a slot is the first to work on it
            task.noticed.succeed()

    def start_executor(self, executor: int, slots: int, amplitude: float) -> None:
        self.m.exec_amplitude[executor], self.m.exec_work[executor] = amplitude, 0.0
        self.slots.free[executor] = slots
        for _ in range(slots):
            self.slots.serve()

    def stop_node(self, node: int) -> None:
        self.nodes[node].stop()

    def start_node(self, node: int, amplitude: float) -> None:
        self.nodes[node].start(amplitude)

    def cut_off(self, bulk: Bulk) -> None:
        """A bulk whose coordinating node died: its client sends all of it again, to the next node."""
        if bulk.state == k.ALIVE:
            bulk.state = k.GHOST
            bulk.task.flying.remove(bulk)
            node = (bulk.node + 1) % len(self.nodes)
            task = bulk.task
            again = Bulk(task, bulk.index, bulk.documents, self._groups(task.flow), node, bulk.sent)
            again.attempt = bulk.attempt
            self._send(again)
        if bulk.place == k.COORDINATED:
            self.bulks.remove(bulk)

    def reroute(self, node: int) -> None:
        """The cluster knows that a node is gone: primaries' shares follow the primaries, replicas' are let go."""
        entries = list(self.nodes[node].queue)
        self.nodes[node].queue.clear()
        for bulk, role, wanted in entries:
            at = node if role >= self.groups else int(self.m.primary_node[bulk.task.flow, role])
            if role >= self.groups:
                self.share_done(bulk)
            elif at == node:
                self.nodes[node].queue.append((bulk, role, wanted))
            else:
                self.nodes[at].ask(bulk, role, self.wanted(bulk, role, at))

    def move_pending(self, flow: int, node: int, shares: dict[int, float]) -> None:
        """What a lost primary had indexed and not shown is shown by the nodes that its copies are on."""
        lost = self.nodes[node]
        rest = 1.0 - sum(shares.values())
        for y, share in shares.items():
            self.nodes[y].pending[flow] += [(a, b, n * share, *more) for a, b, n, *more in lost.pending[flow]]
            self.nodes[y].fresh[flow] = max(self.nodes[y].fresh[flow], LEAST_FRESH)
        lost.pending[flow] = [(a, b, n * rest, *more) for a, b, n, *more in lost.pending[flow]]
        if rest < 1e-9:
            lost.pending[flow].clear()
            lost.fresh[flow] = 0.0

    def pending(self, flow: int, node: int) -> float:
        return float(sum(entry[2] for entry in self.nodes[node].pending[flow]))

    def set_speed(self, host: int, speed: float) -> None:
        self.hosts[host].settle()
        self.hosts[host].speed = speed
        self.m.host_speed[host] = speed
        self.hosts[host].arm()

    def run_until(self, until: float) -> None:
        while self.env.peek() <= until:
            self.env.step()
        if until > self.env.now:
            self.env.run(until=until)

    # ------------------------------------------------------------ tasks

    def _task(self, task: Task, launched: float) -> Process:
        """Run it until an attempt succeeds. False: failed for good; None: given up from outside."""
        try:
            yield self.env.timeout(launched)
            while True:
                try:
                    if (yield from self._on_a_slot(task)):
                        return True
                except simpy.Interrupt as lost:  # its executor is gone: the driver notices later, and asks for it again
                    if lost.cause is None:
                        return None
                    yield lost.cause
                if task.attempt >= k.MOST_TASK_ATTEMPTS:
                    return False
        except simpy.Interrupt:
            return None

    def _on_a_slot(self, task: Task) -> Process:
        """Wait for a slot, read, then piece by piece: CPU, a bulk away, until all are answered. False: failed."""
        if task.asked is None:
            task.asked = self.slots.take()
        task.executor = yield task.asked
        task.asked, task.started = None, self.env.now
        if task.fetch > 0:
            yield self.env.timeout(task.fetch)
        ok = yield from self._attempt(task, self.hosts[int(self.m.exec_host[task.executor])])
        if ok and task.tail > 0:
            yield self.env.timeout(task.tail)
        executor, task.executor = task.executor, None
        if not ok:
            self._again(task)
        self.slots.give_back(executor, task.started)
        if ok:
            self._maybe_refresh(task)
        return ok

    def _again(self, task: Task, used: int = 1) -> None:
        """An attempt has failed: the task is first in line for a slot, while it has attempts left."""
        task.attempt += used
        if task.attempt < k.MOST_TASK_ATTEMPTS:
            task.asked = self.slots.first_in_line()

    def _piece(self, task: Task, host: Host, cpu: float) -> simpy.Event:
        m, e = self.m, task.executor
        if m.exec_amplitude[e] > 0:
            cpu *= 1.0 + float(m.exec_amplitude[e]) * math.exp(-float(m.exec_work[e]) / float(m.exec_warm_work[e]))
            m.exec_work[e] += cpu
        task.piece = host.work(cpu, task.threads)
        return task.piece

    def _attempt(self, task: Task, host: Host) -> Process:
        if task.bulks == 0:
            yield self._piece(task, host, task.setup + task.documents * task.document_cpu)
            return True
        writers, setup = int(self.m.writers[task.flow]), task.setup
        task.failed = task.all_sent = False
        for index in range(task.bulks):
            while len(task.flying) >= writers and not task.failed:
                yield self._answer(task)
            if task.failed:
                break
            documents = self._documents(task, index)
            yield self._piece(task, host, setup + (documents * task.document_cpu + task.bulk_cpu))
            setup = 0.0
            if task.failed:
                break
            self._bulk(task, index, documents)
        task.all_sent = True
        while task.flying:
            yield self._answer(task)
        return not task.failed

    def _answer(self, task: Task) -> simpy.Event:
        """The next answer that a task has to act on: one that makes room for a bulk, or the last."""
        task.wake = self.env.event()
        return task.wake

    def _answered(self, bulk: Bulk) -> None:
        task = bulk.task
        task.flying.remove(bulk)
        task.failed |= bool(bulk.todo)
        if task.wake is not None and (not task.flying or not (task.failed or task.all_sent)):
            task.wake.succeed()
            task.wake = None

    def _documents(self, task: Task, index: int) -> float:
        most = float(self.m.bulk_most[task.flow])
        return min(most, task.documents - index * most)

    def _maybe_refresh(self, task: Task) -> None:
        if self.m.refresh_per_write[task.flow] and task.bulks:
            for node in self.nodes:
                if self.m.shards_on[task.flow, node.number] > 0:
                    self.env.process(node.refresh(task.flow))

    # ------------------------------------------------------------ bulks

    def _groups(self, f: int) -> set[int]:
        return {g for g in range(self.groups) if self.m.primary_share[f, g] > 0}

    def _bulk(self, task: Task, index: int, documents: float) -> None:
        node = (task.number + index) % len(self.nodes)
        bulk = Bulk(task, index, documents, self._groups(task.flow), node, self.env.now)
        self._send(bulk)

    def _send(self, bulk: Bulk) -> None:
        bulk.leaves = self.env.now
        self.bulks.append(bulk)
        bulk.task.flying.append(bulk)
        self.env.process(self._serve(bulk))

    def _serve(self, bulk: Bulk) -> Process:
        """Send it again where items were refused, until all are in or the retries are used up."""
        m, f, wait = self.m, bulk.task.flow, 0.0
        while True:
            bulk.leaves, bulk.place, bulk.fatal = self.env.now + wait, k.UNDER_WAY, False
            yield self.env.timeout(wait + float(m.half_trip[f]))
            if bulk.state != k.VOID:
                yield from self._coordinate(bulk)
            if bulk.state != k.ALIVE:  # nobody waits for it
                self.bulks.remove(bulk)
                return
            if not bulk.todo or bulk.attempt >= int(m.retry_attempts[f]) or bulk.fatal:
                break
            wait = float(m.retry_wait[f]) * float(m.retry_multiplier[f]) ** bulk.attempt
            wait = min(wait, float(m.retry_longest[f]))
            bulk.attempt += 1
            self.bulks.remove(bulk)
            self.bulks.append(bulk)
        self.sink_waits[f] += self.env.now - bulk.sent
        self.bulks.remove(bulk)
        self._answered(bulk)

    def _coordinate(self, bulk: Bulk) -> Process:
        m, f = self.m, bulk.task.flow
        turns = [(bulk.node + n) % len(self.nodes) for n in range(len(self.nodes))]
        bulk.node = next((n for n in turns if not self.nodes[n].down), bulk.node)
        node, share = self.nodes[bulk.node], 0.0
        for g in sorted(bulk.todo):
            share += m.primary_share[f, g]
        bulk.size = bulk.documents * share * m.document_bytes[f]
        if node.down or node.bytes + bulk.size > m.node_limit[node.number]:
            bulk.fatal = node.down and bool(m.connect_fatal[f])
            yield from self._refuse(bulk, share)
            return
        node.bytes += bulk.size
        bulk.place = k.COORDINATED
        bulk.parsing = node.host.work(node.cold(float(m.bulk_cpu[f])))
        yield bulk.parsing
        if m.index_block[f] > 0:
            node.bytes -= bulk.size
            bulk.fatal = m.index_block[f] == k.BLOCK_FATAL
            yield from self._refuse(bulk, share)
            return
        bulk.place = k.SPLIT
        bulk.done, asked = self.env.event(), sorted(bulk.todo)
        bulk.left = len(asked)
        for g in asked:
            self.nodes[int(m.primary_node[f, g])].ask(bulk, g, int(m.primary_threads[f, g]))
        if bulk.left > 0:
            yield bulk.done
        bulk.place = k.ANSWERED
        if bulk.state != k.ALIVE:
            node.bytes -= bulk.size
            return
        noise = k.lognormal(
            m.share_sigma[f], self.seed, k.DICE_WAIT + 100 * f, bulk.task.address, bulk.index, bulk.attempt
        )
        yield self.env.timeout(float(m.bulk_wait[f]) * noise + float(m.half_trip[f]))
        node.bytes -= bulk.size

    def _refuse(self, bulk: Bulk, share: float) -> Process:
        f = bulk.task.flow
        self.counts[f, k.REJECTED] += bulk.documents * share
        bulk.place = k.ANSWERED
        yield self.env.timeout(float(self.m.half_trip[f]))

    def wanted(self, bulk: Bulk, role: int, node: int) -> int:
        return int(k.threads_wanted(self.m.I, bulk.task.flow, node, role))

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
            return task.c0 + x0 * span, task.c0 + x1 * span, records, task.share, self.env.now, self.cuts[task.flow]
        span, p = task.last - task.first, task.partition
        first, last = task.first + x0 * span, task.first + x1 * span
        since, until = float(m.F[k.WINDOW_FROM]), float(m.F[k.WINDOW_UNTIL])
        c0, c1 = k.created_from(m.I, m.F, p, first), k.created(m.I, m.F, p, last)
        low = min(last, max(first, k.count_at(m.I, m.F, p, since))) if c0 < since else first
        high = max(first, min(last, k.count_at(m.I, m.F, p, until))) if c1 > until else last
        share = max(0.0, high - low) / (last - first)
        return max(c0, since), min(c1, until), records, share, self.env.now, self.cuts[task.flow]

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
    rows = [(float(m.event_time[n]), int(m.event_key[n]), n) for n in range(int(m.I[k.N_EVENTS]))]
    return [(time, int(m.event_kind[n]), int(m.event_a[n]), int(m.event_b[n])) for time, _, n in sorted(rows)]
