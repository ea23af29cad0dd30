"""Fit of Spark's coefficients from recorded batches.

Each batch gives two equations: what its driver did outside tasks, and what its tasks took one after
another on the one slot. A task's length is CPU (on a core that nothing else of the run uses) and
three waits that are known beforehand and taken off: the index's time in its bulks, as the node's own
counters tell it, and the wait of a Kafka read for the next record.

That last wait is a finding of these recordings: after its last poll Spark's consumer asks for the end
of the partition on the connection where a fetch is parked, so a task ends only when the next record of
its partition arrives, or after fetch.max.wait (0.5 s). Tasks of a batch that reads a topic to its very
end take half a second more each; state tasks of the same batch do not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.lab import SPARK, LabRun, whole_batches
from calibration.observations import Batch, Floats, ObservationError, Task
from calibration.regress import Block, Fit, fit
from calibration.spark import COMMITS, driver_seconds, tasks_of

FETCH_MAX_WAIT_SECONDS = 0.5  # kafka-clients' fetch.max.wait.ms, which the laboratory's job leaves as it is
SETTLED_BATCHES = 20  # batches after which the warm-up is over for spreads and medians (lab.md: ten, or 60 s)
COLUMNS = {
    "spark.batch_cpu_seconds": "batches",
    "spark.launch_seconds": "tasks launched",
    "spark.task_cpu_seconds": "tasks that read",
    "record_scale": "records, at the prior's cost of one",
    "spark.python_task_cpu_seconds": "Python tasks",
    "sink.python_record_cpu_seconds": "records through Python",
    "sink.python_bulk_cpu_seconds": "bulks",
    "spark.state_task_cpu_seconds": "state tasks",
}


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
        warmed = {n: np.array(c) for n, c in self.columns.items()}
        return Block(
            name=name,
            warmed=warmed,
            plain={},
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


def equations(runs: Sequence[LabRun], record_prior: float, byte_prior: float, bulk_rest: float) -> Block:
    """All batches of all runs as equations; a run with state gives one a batch (its stages' overheads are one).

    `bulk_rest` is what a bulk takes at the index beside its index threads' time [s]: HTTP, coordination, fsync.
    """
    rows = Rows()
    for run in runs:
        cpu, tasks = run.processes.cpu[SPARK], tasks_of(run.batches, run.tasks)
        first, before = max(float(cpu.t[0]), run.batches[0].trigger), {}
        for batch in run.batches:
            readers = {t.index: t for t in tasks[batch.number] if reads(run, t)}
            parked = sum(fetch_wait(run, t, before.get(t.index)) for t in readers.values())
            before = readers
            wait = index_wait(run, batch)
            rest = bulks(run, batch) * bulk_rest
            if wait is None or batch.end > cpu.t[-1]:
                continue
            work = cpu.increase(first, batch.trigger) if batch.trigger > first else 0.0
            scale = batch.records * (record_prior + run.experiment.record_bytes * byte_prior)
            _batch_rows(rows, run, batch, tasks[batch.number], wait + rest + parked, work, scale)
    return rows.block("Spark's batches")


def _batch_rows(
    rows: Rows, run: LabRun, batch: Batch, tasks: list[Task], waits: float, work: float, scale: float
) -> None:
    readers = [t for t in tasks if reads(run, t)]
    python = run.experiment.sink == "bulk"
    driver = {"spark.batch_cpu_seconds": 1.0, "spark.launch_seconds": float(len(tasks))}
    slot = {
        "spark.task_cpu_seconds": float(len(readers)),
        "record_scale": scale,
        "spark.python_task_cpu_seconds": float(len(readers) * python),
        "sink.python_record_cpu_seconds": float(batch.records * python),
        "sink.python_bulk_cpu_seconds": float(bulks(run, batch)),
        "spark.state_task_cpu_seconds": float(len(tasks) - len(readers)),
    }
    spent, outside = sum(t.seconds for t in tasks), driver_seconds(batch, tasks)
    if outside <= 0 or spent <= 0:
        return
    if run.experiment.state_partitions:
        rows.add(run.name, spent + outside, waits, work, driver | slot)
    else:
        rows.add(run.name, outside, 0.0, work, driver)
        rows.add(run.name, spent, waits, work, slot)


def fit_batches(runs: Sequence[LabRun], prior: Mapping[str, float], bulk_rest: float, seed: int = 7) -> Fit:
    """The batch law's coefficients and its warm-up, from every batch of these runs, cold ones too."""
    block = equations(runs, prior["spark.record_cpu_seconds"], prior["spark.byte_cpu_seconds"], bulk_rest)
    return fit(block, {**prior, "record_scale": 1.0}, warm=True, seed=seed)


@dataclass(frozen=True)
class Spreads:
    """Noise of settled batches: log standard deviations, lag-1 autocorrelation, and how many were seen."""

    batch_sigma: float
    batch_autocorrelation: float
    task_sigma: float
    commit_seconds: float
    commit_sigma: float
    batches: int


def settled(run: LabRun) -> list[list[Batch]]:
    """Batches of each step, without the first ones of the run."""
    return [[b for b in whole_batches(run, step) if b.number >= SETTLED_BATCHES] for step in run.steps()]


def spreads(runs: Sequence[LabRun]) -> Spreads:
    """Noise left in batches of one rate in one run.

    By quartiles, which batches hit by a merge or a pause do not move: the simulator draws those by themselves.
    """
    logs, products, squares, task_logs, commits, commit_logs = [], [], [], [], [], []
    for run in runs:
        tasks = tasks_of(run.batches, run.tasks)
        for batches in (step for step in settled(run) if len(step) >= 5):
            log = np.log([b.seconds for b in batches])
            log -= np.median(log)
            logs.append(log)
            clipped = np.clip(log, -0.5, 0.5)
            products.append(clipped[1:] * clipped[:-1])
            squares.append(clipped**2)
            task_logs.append(_within(np.array([[t.seconds for t in tasks[b.number]] for b in batches])))
            for name in COMMITS:
                seconds = np.array([max(b.phases[name], 1e-3) for b in batches])
                commits.append(seconds)
                commit_logs.append(np.log(seconds) - np.median(np.log(seconds)))
    if not logs:
        raise ObservationError(f"no step has five batches after the first {SETTLED_BATCHES}; record longer steps")
    return Spreads(
        batch_sigma=_sigma(np.concatenate(logs)),
        batch_autocorrelation=float(np.mean(np.concatenate(products)) / np.mean(np.concatenate(squares))),
        task_sigma=_sigma(np.concatenate(task_logs)),
        commit_seconds=float(np.mean(np.concatenate(commits))),
        commit_sigma=_sigma(np.concatenate(commit_logs)),
        batches=sum(len(log) for log in logs),
    )


def _sigma(log: Floats) -> float:
    """Standard deviation by quartiles; 1.349 of them span the middle half of a normal."""
    return float(np.subtract(*np.quantile(log, [0.75, 0.25])) / 1.349)


def _within(seconds: Floats) -> Floats:
    """Logs of task lengths with the batch's and the task position's medians taken out, flat."""
    log = np.log(seconds)
    log -= np.median(log, axis=1, keepdims=True)
    return (log - np.median(log, axis=0, keepdims=True)).ravel()


def repeatability(one: LabRun, other: LabRun) -> float:
    """Log standard deviation of one run against another of the same settings [1]: two runs, one degree of freedom."""
    medians = [[np.median([b.seconds for b in batches]) for batches in settled(run) if batches] for run in (one, other)]
    if len(medians[0]) != len(medians[1]) or one.experiment.plan != other.experiment.plan:
        raise ObservationError(f"{one.name} and {other.name} are not the same experiment")
    return float(np.mean(np.abs(np.log(np.array(medians[1]) / np.array(medians[0])))) / math.sqrt(2))


def pauses(runs: Sequence[LabRun]) -> tuple[float, float, int]:
    """Collections a CPU second of Spark's processes and their mean length [1/s, s], and how many were seen.

    Only those inside tasks show in the event log, and two in one task count once: a lower bound of the rate.
    """
    lengths, cpu = [], 0.0
    for run in runs:
        start, end = run.window()
        lengths += [t.gc_seconds for t in run.tasks if t.gc_seconds > 0 and start <= t.launch <= end]
        cpu += run.processes.cpu[SPARK].increase(start, end)
    if not lengths:
        raise ObservationError("no task shows a collection, so pauses are not told; record longer")
    return len(lengths) / cpu, float(np.mean(lengths)), len(lengths)
