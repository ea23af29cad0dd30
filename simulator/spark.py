"""A streaming query as the control plane drives it: trigger, cut, plan, tasks, commit.

The driver loop is sequential: offsets are cut and logged, the batch is planned (CPU of the driver),
its tasks run on the slots (the data plane's work), and the batch is committed. A late batch fires the
next one at once; ticks missed meanwhile are skipped.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from models.coefficients import CoefficientSet
from models.faults import law
from models.spark import (
    AVAILABLE_NOW,
    POLLING_DELAY_SECONDS,
    checkpoint_writes,
    next_start,
    next_trigger,
    read_wait_seconds,
    warming_work,
)
from models.stack import Flow, Scenario
from simulator import kernels as k

if TYPE_CHECKING:
    from simulator.run import Simulation

COLUMNS = 14  # of a task's row, see kernels.start_stage
STATE_CPU = {"hdfs-backed": 1.0, "rocksdb": 3.0 / 0.82, "rocksdb-changelog": 1.8 / 0.82}  # spark.md A4: put, µs a row


@dataclass(frozen=True)
class Costs:
    """What one query's work costs. CPU in reference seconds, waits in seconds."""

    setup: float  # of a read task
    document: float  # JVM and sink, a document
    bulk: float
    python_document: float  # of `document` and of `bulk`: in a Python worker, which is no JVM and has nothing to warm
    python_bulk: float
    weight: float  # threads that one task uses at once
    driver: float  # of a batch
    launch: float  # serial time of the driver, a task
    commit: float  # mean of one atomic checkpoint write
    commit_sigma: float
    state_setup: float
    state_row: float
    bulk_documents: float
    has_bulks: bool


def costs_of(flow: Flow, scenario: Scenario, c: CoefficientSet) -> Costs:
    """Turn a query's settings into costs by the coefficient set."""
    query, sink, load = flow.query, flow.query.sink, flow.workload
    tls = c["kafka.tls_byte_cpu_seconds"] if scenario.kafka.tls else 0.0
    record = c["spark.record_cpu_seconds"] + load.value_bytes * c["spark.byte_cpu_seconds"]
    jvm = (record * query.transform_cpu_ratio + load.value_bytes * tls) / load.documents_per_event
    https = c["kafka.tls_byte_cpu_seconds"] * load.json_bytes if scenario.elasticsearch.encrypted else 0.0
    python = sink.kind == "python-foreach"
    kind = "python" if python else "jvm"
    own = c[f"sink.{kind}_record_cpu_seconds"] * sink.cpu_ratio + https if sink.kind != "noop" else 0.0
    weight = 1.0
    if python and max(jvm, own) > 0:
        weight += c["sink.python_overlap"] * min(jvm, own) / max(jvm, own)
    store = {"local": "local", "hdfs": "hdfs", "s3": "s3", "s3-express": "s3express"}[query.checkpoint]
    writes = checkpoint_writes(query.file_manager, query.checkpoint)
    provider = STATE_CPU[query.state.provider] if query.state else 1.0
    bulk = c[f"sink.{kind}_bulk_cpu_seconds"] * sink.cpu_ratio
    return Costs(
        setup=c["spark.task_cpu_seconds"] + (c["spark.python_task_cpu_seconds"] if python else 0.0),
        document=jvm + own,
        bulk=bulk,
        python_document=own if python else 0.0,
        python_bulk=bulk if python else 0.0,
        weight=weight,
        driver=c["spark.batch_cpu_seconds"],
        launch=c["spark.launch_seconds"],
        commit=c[f"spark.{store}_commit_seconds"] * writes,
        commit_sigma=c["spark.commit_sigma"],
        state_setup=c["spark.state_task_cpu_seconds"],
        state_row=c["spark.state_row_cpu_seconds"] * provider,
        bulk_documents=bulk_documents(flow),
        has_bulks=sink.kind != "noop",
    )


@dataclass(frozen=True)
class Factors:
    """What a batch's CPU costs over the coefficient, by where it is spent [1]."""

    jvm: float
    python: float


def warm_factor(done: float, work: float, python: float, c: CoefficientSet) -> float:
    """CPU of an executor's JVM in a batch over that of a warm JVM, after it has done `done` CPU seconds [1].

    `work` is the batch's CPU on that executor when warm, `python` the part of it in Python workers: that warms no JVM
    and is not stretched. Work is counted as the law was fitted, all of it; the amplitude acts on the JVM's share.

    >>> from models.coefficients import load_set
    >>> c = load_set("generic-2026-11").with_values({"spark.warm_amplitude": 3, "spark.warm_work_seconds": 10})
    >>> [round(warm_factor(0.0, 1e-3, x, c), 2) for x in (0.0, 5e-4, 1e-3)], round(warm_factor(1e3, 1.0, 0.5, c), 2)
    ([4.0, 4.0, 1.0], 1.0)
    """
    jvm = work - python
    if jvm <= 0:
        return 1.0
    spent = warming_work(done, work, c["spark.warm_amplitude"] * jvm / work, c["spark.warm_work_seconds"])
    return 1.0 + (spent - work) / jvm


def bulk_documents(flow: Flow) -> float:
    """Documents of a full bulk: entries or bytes, whichever is reached first [documents]."""
    sink = flow.query.sink
    return float(max(1, min(sink.bulk_entries, math.floor(sink.bulk_bytes / flow.workload.json_bytes))))


def capped(start: np.ndarray, end: np.ndarray, most: int | None) -> np.ndarray:
    """End offsets under maxOffsetsPerTrigger: each partition gets its share of the backlog.

    Shares below one record are rounded up, so that no small partition starves: the cap may be passed by a record a
    partition. Source: spark.md B4; KafkaOffsetReader.rateLimit of Spark.

    >>> capped(np.zeros(2), np.array([300.0, 100.0]), 100), capped(np.zeros(2), np.array([9.0, 9.0]), 1)
    (array([75., 25.]), array([1., 1.]))
    """
    backlog = end - start
    total = backlog.sum()
    if most is None or total <= most:
        return end
    share = backlog * (most / total)
    return np.minimum(end, start + np.where(share < 1, np.ceil(share), np.floor(share)))


def split(start: np.ndarray, end: np.ndarray, least: int | None) -> list[tuple[int, float, float]]:
    """Read tasks of a batch: one a partition with new records, large ones divided up to minPartitions.

    Source: spark.md B4; KafkaOffsetRangeCalculator: parts in proportion to size, at least one.
    """
    ranges = [(p, float(a), float(b)) for p, (a, b) in enumerate(zip(start, end, strict=True)) if b > a]
    total = sum(b - a for _, a, b in ranges)
    if least is None or len(ranges) >= least or total <= 0:
        return ranges
    out = []
    for p, a, b in ranges:
        parts = max(1, round((b - a) / total * least))
        cuts = [a + math.floor((b - a) * k / parts) for k in range(parts)] + [b]
        out += [(p, low, high) for low, high in pairwise(cuts) if high > low]
    return out


class Died(Exception):
    """The query ends itself: what it could not do."""


class Query:
    """One running query: its offsets, its JVM's warmth, its noise."""

    def __init__(self, sim: Simulation, number: int, flow: Flow) -> None:
        self.sim, self.number, self.flow = sim, number, flow
        self.costs = costs_of(flow, sim.scenario, sim.coefficients)
        self.offsets = np.zeros(flow.topic.partitions)
        self.batch = 0
        self.drift = 0.0
        self.work_at_start = 0.0
        self.shares = flow.workload.partition_shares(flow.topic.partitions)
        self._waits: dict[float, np.ndarray] = {}
        self.warm = sim.scenario.run.jvm == "warm"
        self.failed: tuple[float, str] | None = None
        self.planned: np.ndarray | None = None  # end offsets in the offset log, not yet in the commit log
        self.written = "nothing"  # of the planned batch: nothing, part, all
        self.goal: np.ndarray | None = None  # of an available-now query
        self.restarts, self.skipped = 0, 0.0
        self.worked, self.hopeless = True, False
        c = sim.coefficients
        z = k.normal(sim.seed, k.DICE_RUN, number, 0, 0)
        self.run_factor = math.exp(c["spark.run_sigma"] * z - 0.5 * c["spark.run_sigma"] ** 2)

    # ------------------------------------------------------------ time

    def run(self) -> Generator[Any, Any, None]:
        """The query, as a SimPy process: its life, and a new one after each death if something starts it again."""
        dead, streak = "", 0
        while self.failed is None:
            try:
                if dead:
                    yield from self._start_again(streak)
                    dead = ""
                yield from self._live()
                return
            except Died as death:
                dead = str(death)
            except simpy.Interrupt as blow:
                dead = str(blow.cause)
            self.sim.plane.abort(self.number)
            streak = 0 if self.worked else streak + 1
            self.worked = False
            self.sim.faults.query_died(self, dead)
            if self.sim.scenario.spark.restart.policy == "none" or self.hopeless:
                self.failed = (self.sim.env.now, dead)

    def _start_again(self, streak: int) -> Generator[Any, Any, None]:
        """The supervisor's pause and the start: a cold JVM fires at once, and runs a planned batch again."""
        env, policy = self.sim.env, self.sim.scenario.spark.restart
        pause = min(policy.wait * policy.multiplier ** min(streak, 64), policy.longest) + policy.start
        pause = max(pause, self.sim.faults.cluster_back() - env.now)
        env.process(self.sim.start_application(env.now + pause))
        yield env.timeout(pause)
        self.warm, self.work_at_start = False, self.sim.spark_work()
        self.restarts += 1
        self.sim.faults.query_lives(self)

    def _live(self) -> Generator[Any, Any, None]:
        """The driver loop."""
        env, interval = self.sim.env, self.flow.query.trigger
        if interval == AVAILABLE_NOW:
            if env.now < self.sim.measured_until:
                yield env.timeout(self.sim.measured_until - env.now)
            yield from self._drain()
            return
        start = next_trigger(0.0, interval) if self.restarts == 0 else env.now
        while True:
            start = yield from self._sit_out_outages(start)
            if start > env.now:
                yield env.timeout(start - env.now)
            due, began = start, env.now
            found = yield from self._micro_batch(due)
            if found:
                start = next_start(began, env.now, interval)
            else:
                start = env.now + POLLING_DELAY_SECONDS if interval <= 0 else next_start(began, env.now, interval)

    def _drain(self) -> Generator[Any, Any, None]:
        """Available-now: read what is there at the start, in batches under the cap, then stop."""
        if self.goal is None:
            self.goal = self.sim.readable(self.number, self.sim.env.now)
        while (self.offsets < self.goal).any():
            yield from self._micro_batch(self.sim.env.now, self.goal)

    def _sit_out_outages(self, start: float) -> Generator[Any, Any, float]:
        """A query that is down fires no trigger; it comes back with a cold JVM and fires at once."""
        for begin, length in self.sim.outages:
            if begin <= start < begin + length:
                self.sim.faults.query_stopped(self)
                self.sim.env.process(self.sim.start_application(begin + length))
                yield self.sim.env.timeout(begin + length - self.sim.env.now)
                self.warm, self.work_at_start = False, self.sim.spark_work()
                self.sim.faults.query_lives(self)
                return self.sim.env.now
        return start

    def _micro_batch(self, due: float, goal: np.ndarray | None = None) -> Generator[Any, Any, bool]:
        sim, env = self.sim, self.sim.env
        if sim.faults.topics.leaderless(self.number):
            yield from self._wait_for_leaders()
        began = env.now
        self._skip_or_die_of_expired(began)
        ready = np.maximum(sim.readable(self.number, began), self.offsets)
        lag_before = ready - self.offsets
        end = self.planned
        if end is None:
            end = capped(
                self.offsets,
                ready if goal is None else np.minimum(ready, goal),
                self.flow.query.max_offsets_per_trigger,
            )
        tasks = split(self.offsets, end, self.flow.query.min_partitions)
        if not tasks:
            return False
        batch = self.batch
        factor = self.batch_factors(batch, len(tasks), float((end - self.offsets).sum()))
        if self.planned is None:
            yield env.timeout(self._commit_seconds(batch, 0))
            self._checkpoint_works()
            self.planned = end  # the offset log has it: a restart runs the same batch again
        yield sim.plane.driver_work(self.number, self.costs.driver * factor.jvm)
        table = self._read_stage(batch, tasks, factor, began, ready)
        stateful = self.flow.query.state is not None
        ok = yield self._stage(batch, began, table, "nothing" if stateful else self.written)
        if ok and stateful:
            table = self._state_stage(batch, end, factor, began)
            ok = yield self._stage(batch, began, table, self.written)
        sink_wait = sim.plane.sink_wait(self.number)
        if not ok:
            raise Died("a task failed four times: bulks were rejected longer than their retries lasted")
        self.written = "all"
        yield env.timeout(self._commit_seconds(batch, 1))
        self._checkpoint_works()
        sim.record_batch(self, batch, due, began, self.offsets, end, lag_before, len(tasks), sink_wait)
        self.offsets, self.planned, self.written = end, None, "nothing"
        self.batch += 1
        self.worked = True
        return True

    def _stage(self, batch: int, began: float, table: np.ndarray, written: str) -> simpy.Event:
        event = self.sim.plane.stage(self.number, batch, began, table, self.costs.launch, written)
        if self.costs.has_bulks and table[:, 12].any() and self.written == "nothing":
            self.written = "part"
        return event

    def _wait_for_leaders(self) -> Generator[Any, Any, None]:
        """The driver lists offsets: partitions without a leader make it wait, and then fail."""
        led = self.sim.faults.topics.led(self.number)
        yield led | self.sim.env.timeout(law("kafka.admin_timeout"))
        if not led.triggered:
            raise Died("offsets could not be listed: a partition had no leader for a minute")

    def _checkpoint_works(self) -> None:
        if self.sim.faults.checkpoint_fails:
            raise Died("the checkpoint could not be written")

    def _skip_or_die_of_expired(self, now: float) -> None:
        """Offsets that retention has taken: the query dies of them, or skips them and they are lost."""
        if self.number in self.sim.faults.topics.behind_readers and self.flow.query.fail_on_data_loss:
            self.hopeless = True
            raise Died("the topic ends before offsets that were read (unclean election), and failOnDataLoss is true")
        first = self.sim.earliest(self.number, now)
        if first is None or (self.offsets >= first - 1e-6).all():
            return
        gone = float(np.maximum(0.0, first - self.offsets).sum())
        if self.flow.query.fail_on_data_loss:
            self.hopeless = True
            raise Died(f"{gone:.0f} records expired before they were read, and failOnDataLoss is true")
        self.sim.faults.lose(self.number, gone, "expired in the topic before they were read")
        self.skipped += gone
        self.offsets = np.maximum(self.offsets, first)
        if self.planned is not None:
            self.planned, self.written = None, "nothing"

    # ------------------------------------------------------------ costs of this batch

    def batch_factors(self, batch: int, tasks: int, records: float) -> Factors:
        """What this batch's CPU costs over the coefficient: run × autocorrelated batch noise, in a JVM × warmth."""
        c = self.sim.coefficients
        phi, sigma = c["spark.batch_autocorrelation"], c["spark.batch_sigma"]
        z = k.normal(self.sim.seed, k.DICE_BATCH, self.number, batch, 0)
        self.drift = z if batch == 0 else phi * self.drift + math.sqrt(1 - phi * phi) * z
        noise = math.exp(sigma * self.drift - 0.5 * sigma * sigma) * self.run_factor
        return Factors(jvm=noise * self.warmth(tasks, records), python=noise)

    def warmth(self, tasks: int, records: float) -> float:
        """What a batch costs the JVM over a warm one: the warm-up law over the work of one executor [1]."""
        if self.warm:
            return 1.0
        executors = self.sim.scenario.spark.executors
        done = (self.sim.spark_work() - self.work_at_start) / executors
        work, python = self.warm_work(tasks, records)
        return warm_factor(done, work / executors, python / executors, self.sim.coefficients)

    def warm_work(self, tasks: int, records: float) -> tuple[float, float]:
        """CPU of a batch in a warm JVM, and what of it Python workers do [reference s]."""
        costs, state = self.costs, self.flow.query.state
        documents = records * self.flow.workload.documents_per_event
        bulks = documents / costs.bulk_documents + tasks / 2 if costs.has_bulks else 0.0
        rest = state.shuffle_partitions * costs.state_setup + documents * costs.state_row if state else 0.0
        whole = costs.driver + tasks * costs.setup + documents * costs.document + bulks * costs.bulk + rest
        return whole, documents * costs.python_document + bulks * costs.python_bulk

    def jvm_share(self) -> float:
        """Share of its tasks' CPU that the JVM does and Python workers do not, at the mean rate [1]: what a cold
        executor stretches."""
        flow = self.flow
        tasks = flow.topic.partitions
        records = flow.workload.events_per_second * max(flow.query.trigger, 1.0)
        work, python = self.warm_work(tasks, records)
        work -= self.costs.driver
        return 1.0 - python / work if work > 0 else 1.0

    def _commit_seconds(self, batch: int, which: int) -> float:
        return float(self._commits(batch, which, 1)[0])

    def _commits(self, batch: int, first: int, files: int) -> np.ndarray:
        """Time of each checkpoint write of a batch, from number `first` on [s]."""
        costs = self.costs
        return (
            costs.commit
            * self.sim.faults.checkpoint_factor
            * k.commit_noise(costs.commit_sigma, self.sim.seed, self.number, batch, first, files)
        )

    def _task_noise(self, batch: int, stage: int, tasks: int) -> np.ndarray:
        sigma = self.sim.coefficients["spark.task_sigma"]
        return k.task_noise(sigma, self.sim.seed, self.number, batch, stage, tasks)

    def _read_stage(
        self, batch: int, tasks: list[tuple[int, float, float]], factor: Factors, cut: float, ready: np.ndarray
    ) -> np.ndarray:
        """Rows of the read tasks. With a stateful operator they only read, parse and shuffle."""
        costs, sim = self.costs, self.sim
        parts, first, last = (np.array(column) for column in zip(*tasks, strict=True))
        scatter = self._task_noise(batch, 0, len(tasks))
        noise, spared = factor.jvm * scatter, (factor.jvm - factor.python) * scatter
        documents = (last - first) * self.flow.workload.documents_per_event
        rate = sim.rate_at(self.number, cut)
        rows = np.zeros((len(tasks), COLUMNS))
        rows[:, 0] = sim.partition_base[self.number] + parts
        rows[:, 1], rows[:, 2], rows[:, 3] = first, last, documents
        rows[:, 4], rows[:, 5] = costs.setup * noise, costs.document * noise - costs.python_document * spared
        rows[:, 6] = costs.bulk * noise - costs.python_bulk * spared
        rows[:, 7] = costs.weight
        to_the_end = last >= ready[parts] - 1e-6  # a capped task finds its records there and waits for none
        rows[:, 8] = sim.cold_seconds(self.number, tasks, cut) + np.where(to_the_end, self.read_waits(rate)[parts], 0.0)
        if costs.has_bulks and self.flow.query.state is None:
            rows[:, 12] = np.ceil(documents / costs.bulk_documents - 1e-9)
        return rows

    def read_waits(self, rate: float) -> np.ndarray:
        """Wait of a read task of each partition at a rate [s]."""
        if rate not in self._waits:
            self._waits[rate] = np.array([read_wait_seconds(rate * share) for share in self.shares])
        return self._waits[rate]

    def _state_stage(self, batch: int, end: np.ndarray, factor: Factors, cut: float) -> np.ndarray:
        """Rows of the state tasks: fold the batch's rows, write what comes out, commit each partition's state."""
        costs, state = self.costs, self.flow.query.state
        assert state is not None
        n = state.shuffle_partitions
        documents = float((end - self.offsets).sum()) * self.flow.workload.documents_per_event / n
        first, last, share = self.sim.in_window(self.number, self.offsets, end)
        scatter = self._task_noise(batch, 1, n)
        noise, spared = factor.jvm * scatter, (factor.jvm - factor.python) * scatter
        rows = np.zeros((n, COLUMNS))
        rows[:, 0], rows[:, 3] = -1, documents
        rows[:, 4], rows[:, 5] = costs.state_setup * noise, costs.state_row * noise
        rows[:, 6] = costs.bulk * noise - costs.python_bulk * spared
        rows[:, 7] = 1.0
        rows[:, 9] = self._commits(batch, 2, n)
        rows[:, 10], rows[:, 11], rows[:, 13] = first, last, share
        if costs.has_bulks:
            rows[:, 12] = math.ceil(documents / costs.bulk_documents - 1e-9)
        return rows
