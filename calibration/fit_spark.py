"""Fit of Spark's coefficients from recorded batches.

Each batch gives two equations: what its driver did while no task ran, and what its tasks took, summed over
the slots. A task's length is CPU (on a core that nothing else of the run uses) and
three waits that are known beforehand and taken off: the index's time in its bulks, as the node's own
counters tell it, and the wait of a Kafka read for the next record.

What the simulator adds by itself is taken off first: collections within tasks, the state's own checkpoint writes,
and the share of the core that the JVM burns beside its batches (`spark.idle_cpu_cores`): a task's length is its CPU
over what is left of its core.

That last wait is a finding of these recordings: after its last poll Spark's consumer asks for the end
of the partition on the connection where a fetch is parked, so a task ends only when the next record of
its partition arrives, or after fetch.max.wait (0.5 s). Tasks of a batch that reads a topic to its very
end take half a second more each; state tasks of the same batch do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.lab import SPARK, LabRun
from calibration.noise import SETTLED_BATCHES
from calibration.observations import Batch, Task
from calibration.regress import Block, Fit, fit
from calibration.spark import COMMITS, driver_seconds, stage_seconds, tasks_of

WARM = 1e6  # CPU seconds after which no JVM is cold
FETCH_MAX_WAIT_SECONDS = 0.5  # kafka-clients' fetch.max.wait.ms, which the laboratory's job leaves as it is
STARTED_SECONDS = 0.5  # a sample so soon after the first trigger still tells what came before it
BATCH, LAUNCH = "spark.batch_cpu_seconds", "spark.launch_seconds"
COLUMNS = {
    "spark.batch_cpu_seconds": "batches",
    "spark.launch_seconds": "tasks launched until the slots are full",
    "spark.task_cpu_seconds": "tasks that read",
    "record_scale": "records, at the prior's cost of one",
    "spark.python_task_cpu_seconds": "Python tasks",
    "sink.python_record_cpu_seconds": "records through Python",
    "sink.python_bulk_cpu_seconds": "bulks",
    "sink.jvm_record_cpu_seconds": "records through a JVM sink",
    "sink.jvm_bulk_cpu_seconds": "bulks of a JVM sink",
    "spark.state_task_cpu_seconds": "state tasks",
}
NOT_WARMED = ("sink.python_record_cpu_seconds", "sink.python_bulk_cpu_seconds")  # a Python worker is no JVM


@dataclass
class Rows:
    """Equations while they are gathered."""

    columns: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in COLUMNS})
    known: list[float] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)
    run: list[str] = field(default_factory=list)

    def add(self, run: str, cost: float, known: float, work: float, units: Mapping[str, float]) -> None:
        for name, column in self.columns.items():
            column.append(units.get(name, 0.0))
        self.known.append(known)
        self.cost.append(cost)
        self.work.append(work)
        self.run.append(run)

    def block(self, name: str) -> Block:
        cost = np.array(self.cost)
        columns = {n: np.array(c) for n, c in self.columns.items() if any(c) or not n.startswith("sink.jvm")}
        return Block(
            name=name,
            warmed={n: c for n, c in columns.items() if n not in NOT_WARMED},
            plain={n: c for n, c in columns.items() if n in NOT_WARMED},
            known=np.array(self.known),
            priced=np.zeros(len(cost)),
            cost=cost,
            work=np.array(self.work),
            weight=1 / cost,
            run=tuple(self.run),
        )


def bulks(run: LabRun, batch: Batch) -> int:
    """Bulk requests of a batch: each task sends its records in bulks of the run's size."""
    if run.experiment.sink != "bulk":
        return 0
    return sum(math.ceil(n / run.experiment.bulk_documents) for n in batch.records_by_partition().values() if n)


def reads(run: LabRun, task: Task) -> bool:
    """Whether a task reads from Kafka: all do but those after a shuffle, which hold state."""
    return not (run.experiment.state_partitions and task.kind == "ResultTask")


def index_wait(run: LabRun, batch: Batch, around: float = 5.0) -> float | None:
    """Time the index spent in this batch's bulks [s], from the node's counters around it; None if none were seen."""
    count = bulks(run, batch)
    if not count:
        return 0.0
    if run.node is None:
        return None
    total, seconds = run.node.counters["bulks"], run.node.counters["index_seconds"]
    start, end = max(batch.trigger - around, total.t[0]), min(batch.end + around, total.t[-1])
    done = total.increase(start, end) if end > start else 0.0
    return count * seconds.increase(start, end) / done if done > 0.5 else None


def fetch_wait(run: LabRun, task: Task, before: Task | None) -> float:
    """Wait of a reading task for the next record of its partition [s], at most fetch.max.wait.

    While records arrive evenly it is half their spacing in the partition. After arrivals stop it is the whole of
    fetch.max.wait, once: that poll has then taken all there was, and the next batch finds its records at hand
    (`before` is the task that read this partition in the batch before).
    """
    for curve in (c for c in (run.warm_arrivals, run.arrivals) if c is not None):
        if curve.t[0] <= task.launch <= curve.t[-1]:
            rate = float(curve.at(task.launch + 0.5) - curve.at(task.launch - 0.5))
            return min(run.experiment.partitions / max(rate, 1e-9) / 2, FETCH_MAX_WAIT_SECONDS)
        if before is not None and before.launch <= curve.t[-1] < task.launch:
            return FETCH_MAX_WAIT_SECONDS
    return 0.0


def assumed_tasks(run: LabRun, batch: Batch) -> list[Task]:
    """The tasks that a batch must have had where no event log tells them: one a partition with records, and those of
    its state; of no length, since nobody saw it."""
    counts = batch.records_by_partition() if batch.start_offsets is not None else {0: batch.records}
    having = [p for p, n in sorted(counts.items()) if n > 0]
    kind = "ShuffleMapTask" if run.experiment.state_partitions else "ResultTask"
    at = batch.trigger
    found = [Task(0, k, kind, at, at, 0.0, 0.0, 0.0, 0.0, counts[p]) for k, p in enumerate(having)]
    state = range(run.experiment.state_partitions)
    return found + [Task(1, k, "ResultTask", at, at, 0.0, 0.0, 0.0, 0.0, 0) for k in state]


def commit_mean(run: LabRun) -> float:
    """Mean time of one checkpoint write in a run [s]; 0 where no batch states any."""
    seen = [b.phases[name] for b in run.batches for name in COMMITS if name in b.phases]
    return float(np.mean(seen)) if seen else 0.0


def slot_seconds(run: LabRun, tasks: list[Task]) -> float:
    """Time that a batch's tasks took, summed over the slots; on one slot the pauses between them too [s]."""
    return stage_seconds(tasks) if run.experiment.cores == 1 else sum(t.seconds for t in tasks)


def waves(run: LabRun, tasks: int) -> float:
    """Share of its tasks' time that a batch lasts: they follow each other in waves over the slots [1].

    A task's time counts in whole waves: five tasks on four slots last as long as two.
    """
    return math.ceil(tasks / run.experiment.cores) / tasks if tasks else 1.0


@dataclass(frozen=True)
class Seen:
    """One batch with its tasks: its waits, the law's work in it, and that work summed since the JVM started [s].

    `waits` is None where the node's counters do not reach, and the batch then gives no equation.
    """

    batch: Batch
    tasks: tuple[Task, ...]
    waits: float | None
    work: float
    work_before: float


@dataclass(frozen=True)
class BulkRest:
    """What a bulk takes at the index beside its index threads' time [s]: CPU of HTTP and coordination, which a cold
    data node stretches by its own warm-up law, and waits (fsync), which it does not."""

    cpu: float
    wait: float = 0.0
    amplitude: float = 0.0
    work: float = 1.0

    @staticmethod
    def of(value: Mapping[str, float]) -> BulkRest:
        """By coefficients: of a set, or as just fitted."""
        warm = value["search.warm_amplitude"], value["search.warm_work_seconds"]
        return BulkRest(value["search.bulk_cpu_seconds"], value["search.bulk_wait_seconds"], *warm)

    def seconds(self, run: LabRun, at: float) -> float:
        """At a time of a run; the node's work is its CPU since its first document."""
        node = run.node
        if not self.amplitude or node is None or run.exported or not {"cpu_seconds", "documents"} <= set(node.counters):
            return self.cpu + self.wait
        documents, cpu = node.counters["documents"], node.counters["cpu_seconds"]
        began = max(int(np.argmax(documents.unwrapped() > 0)) - 1, 0)
        done = float(np.interp(at, cpu.t, cpu.unwrapped()) - cpu.unwrapped()[began])
        return self.cpu * (1 + self.amplitude * math.exp(-max(done, 0.0) / self.work)) + self.wait


def walk(run: LabRun, bulk_rest: BulkRest) -> list[Seen]:
    """A run's batches in order.

    Work is counted as the law counts it, waits and checkpoint writes left out; the process tree's CPU holds
    compilers and listeners beside it.
    """
    seen: list[Seen] = []
    tasks, total = tasks_of(run.batches, run.tasks), 0.0
    if run.exported and run.batches and run.batches[0].number >= SETTLED_BATCHES:
        total = WARM  # it ran before anybody looked
    before: dict[int, Task] = {}
    written = commit_mean(run)
    for batch in run.batches:
        mine = tasks[batch.number] if run.tasks else assumed_tasks(run, batch)
        readers = {t.index: t for t in mine if reads(run, t)}
        parked = sum(fetch_wait(run, t, before.get(t.index)) for t in readers.values())
        index, before = index_wait(run, batch), readers
        state = run.experiment.state_partitions * written
        waits = (
            None
            if index is None
            else parked + index + bulks(run, batch) * bulk_rest.seconds(run, batch.trigger) + state
        )
        spent = driver_seconds(batch, mine, run.experiment.cores) + slot_seconds(run, mine)
        work = max(spent - (parked if waits is None else waits), 0.0)
        seen.append(Seen(batch, tuple(mine), waits, work, total))
        total += work
    return seen


def equations(
    runs: Sequence[LabRun], record_prior: float, byte_prior: float, bulk_rest: BulkRest, idle: float = 0.0
) -> Block:
    """All batches of all runs as equations; a run with state gives one a batch (its stages' overheads are one)."""
    rows = Rows()
    for run in runs:
        each = record_prior + run.experiment.record_bytes * byte_prior
        for seen in walk(run, bulk_rest):
            if seen.waits is not None:
                _batch_rows(rows, run, seen, seen.waits, each, 1 - idle / run.experiment.cores)
    return rows.block("Spark's batches")


def _batch_rows(rows: Rows, run: LabRun, seen: Seen, waits: float, record_cost: float, left: float) -> None:
    """`left` is what the JVM's own threads leave of a core to its batches [1]."""
    tasks, writes = seen.tasks, run.experiment.sink == "bulk"
    python = writes and run.experiment.sink_kind == "python"
    kind, sent = run.experiment.sink_kind, float(bulks(run, seen.batch))
    readers = [t for t in tasks if reads(run, t)]
    driver = {"spark.batch_cpu_seconds": 1.0, "spark.launch_seconds": float(min(len(tasks), run.experiment.cores))}
    slot = {
        "spark.task_cpu_seconds": float(len(readers)),
        "record_scale": seen.batch.records * record_cost,
        "spark.python_task_cpu_seconds": float(len(readers) * python),
        f"sink.{kind}_record_cpu_seconds": float(seen.batch.records * writes),
        f"sink.{kind}_bulk_cpu_seconds": sent,
        "spark.state_task_cpu_seconds": float(len(tasks) - len(readers)),
    }
    spent = slot_seconds(run, list(tasks))
    outside = driver_seconds(seen.batch, list(tasks), run.experiment.cores) * left
    spent = waits + (spent - waits - sum(t.gc_seconds for t in tasks)) * left if tasks and run.tasks else spent
    if not run.tasks:  # progress only: one equation for the whole batch
        share = waves(run, len(tasks))
        cost = waits * share + (outside / left - waits * share) * left
        rows.add(run.name, cost, waits * share, seen.work_before, driver | {n: x * share for n, x in slot.items()})
        return
    if outside <= 0 or spent <= 0:
        return
    if run.experiment.state_partitions:
        rows.add(run.name, spent + outside, waits, seen.work_before, driver | slot)
    else:
        rows.add(run.name, outside, 0.0, seen.work_before, driver)
        rows.add(run.name, spent, waits, seen.work_before, slot)


def fit_batches(
    runs: Sequence[LabRun], prior: Mapping[str, float], bulk_rest: BulkRest, seed: int = 7,
    sigma: Mapping[str, float] | None = None, idle: float = 0.0,
) -> Fit:  # fmt: skip
    """The batch law's coefficients and its warm-up, from every batch of these runs, cold ones too.

    `idle` is what the JVM burns beside its batches [cores].
    """
    block = equations(runs, prior["spark.record_cpu_seconds"], prior["spark.byte_cpu_seconds"], bulk_rest, idle)
    held = {}
    if np.array_equal(block.warmed[LAUNCH], block.warmed[BATCH]):  # one slot everywhere: both come once a batch
        held[LAUNCH] = prior[LAUNCH]
        block = block.without(LAUNCH, prior[LAUNCH])
    found = fit(block, {"record_scale": 1.0, **prior}, warm=True, seed=seed, sigma=sigma)
    return replace(found, held={**held, **found.held})


def start_cpu(runs: Sequence[LabRun]) -> list[float]:
    """CPU that each run's application had used when its first batch was triggered [s]: JVM, session, plan, Python.

    Only of runs whose process tree was sampled from about then on, and that started for the run.
    """
    found = []
    for run in (r for r in runs if r.batches and not r.exported and r.spark_cpu is not None):
        assert run.spark_cpu is not None
        first = run.batches[0]
        if first.number == 0 and run.spark_cpu.t[0] <= first.trigger + STARTED_SECONDS:
            found.append(float(np.interp(first.trigger, run.spark_cpu.t, run.spark_cpu.total)))
    return found


def background_cores(run: LabRun, bulk_rest: BulkRest) -> float:
    """CPU that Spark's processes used beside the law's work in a run's measured part [cores].

    Compilers, collectors, listeners, the progress reporter, the idle Python daemon: no law has them yet.
    """
    start, end = run.window()
    work = sum(s.work for s in walk(run, bulk_rest) if start <= s.batch.trigger and s.batch.end <= end)
    return (run.processes.cpu[SPARK].increase(start, end) - work) / (end - start)
