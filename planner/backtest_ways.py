"""Two partial forecasts, which tell where a blind one goes wrong.

*Batch time from measured records*: each batch as it was cut, with the records of each of its partitions and the work
its JVMs had behind them; the laws say how long it takes. Contention within the data node (refreshes, merges) is left
out: only the broker's own cores are taken off its host.

*Latency from measured batch times*: each record waits for the batch that really read it and for the end of the task
that really carried it, then for a refresh at a phase that nobody knows and for the next poll. Nothing of it is a law of
cost, so its error is that of the path alone: order in partitions, refresh, polls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calibration.lab import LabRun, whole_batches
from calibration.latency import QUANTILES, latencies
from calibration.observations import Batch, Task
from calibration.spark import tasks_of
from models.coefficients import CoefficientSet
from models.spark import read_wait_seconds, warming_work
from planner.backtest_forecast import Poller
from planner.backtest_scenario import scenario_of
from planner.backtest_score import Score
from planner.backtest_values import BATCH, LATENCIES, batch_of, part_names, seen
from simulator.elasticsearch import document_cpu
from simulator.spark import Costs, costs_of, warm_factor

MEASURED_RECORDS, MEASURED_BATCHES = "batch time from measured records", "latency from measured batch times"
PHASES = 20  # of the refresh against the records, evenly


def from_records(run: LabRun, c: CoefficientSet) -> list[Score]:
    """Median batch time of each step, every batch's length by law from its own records."""
    scenario, measured = scenario_of(run), seen(run)
    costs = costs_of(scenario.flows[0], scenario, c)
    told, work, indexed = {}, 0.0, 0.0
    for batch in run.batches:
        if batch.start_offsets is None:
            continue
        counts = [n for n in batch.records_by_partition().values() if n > 0]
        warm, python = _warm_work(run, costs, counts)
        spent = python + (warm - python) * warm_factor(work, warm, python, c) if warm else 0.0
        index, indexed = _index_wait(run, c, costs, counts, indexed)
        rate = _rate(run, batch.trigger) / run.experiment.partitions
        told[batch.number] = spent + index + 2 * costs.commit + len(counts) * read_wait_seconds(rate)
        work += spent
    found = []
    for name, step in zip([*part_names(run), "all"], [*run.steps(), None], strict=True):
        steps = run.steps() if step is None else [step]
        mine = [told[b.number] for s in steps for b in whole_batches(run, s) if b.number in told]
        key = (name, BATCH)
        if mine and key in measured:
            found.append(Score(run.name, name, BATCH, "s", float(np.median(mine)), measured[key].value))
    return found


def _warm_work(run: LabRun, costs: Costs, counts: Sequence[int]) -> tuple[float, float]:
    """CPU of a batch in a warm JVM, and what of it Python does [s]; tasks follow each other on the one slot."""
    state = run.experiment.state_partitions
    bulks = sum(math.ceil(n / costs.bulk_documents) for n in counts) if costs.has_bulks else 0
    work = costs.driver + len(counts) * (costs.setup + costs.launch) + sum(counts) * costs.document + bulks * costs.bulk
    work += state * (costs.state_setup + costs.launch) + sum(counts) * costs.state_row if state else 0.0
    return work, sum(counts) * costs.python_document + bulks * costs.python_bulk


def _index_wait(
    run: LabRun, c: CoefficientSet, costs: Costs, counts: Sequence[int], indexed: float
) -> tuple[float, float]:
    """Time that the index takes for a batch's bulks [s], and the node's work so far, whose JVM warms too."""
    if not costs.has_bulks:
        return 0.0, indexed
    bulks = sum(math.ceil(n / costs.bulk_documents) for n in counts)
    cpu = bulks * c["search.bulk_cpu_seconds"] + sum(counts) * document_cpu(scenario_of(run).flows[0], c)
    spent = warming_work(indexed, cpu, c["search.warm_amplitude"], c["search.warm_work_seconds"]) if cpu else 0.0
    left = 1 - c["kafka.idle_cpu_cores"] - c["search.idle_cpu_cores"]
    return spent / left + bulks * c["search.bulk_wait_seconds"], indexed + spent


def _rate(run: LabRun, at: float) -> float:
    curves = [x for x in (run.warm_arrivals, run.arrivals) if x is not None and x.t[0] <= at <= x.t[-1]]
    return float(curves[0].at(at + 0.5) - curves[0].at(at - 0.5)) if curves else 0.0


def from_batches(run: LabRun) -> list[Score]:
    """Latency quantiles of the whole run from its own batches and tasks; empty where nothing was polled."""
    if not run.polls or run.arrivals is None or not run.tasks:
        return []
    indexed, due = _indexed(run)
    poller, refresh = Poller.of(run), run.experiment.refresh_seconds
    phases = (np.arange(PHASES) + 0.5) / PHASES * refresh
    every = np.concatenate([np.ceil((indexed - x) / refresh) * refresh + x - due for x in phases])
    poll = (np.arange(len(every)) * 0.6180339887) % 1.0 * poller.spacing  # evenly spread, whatever the record
    told, measured = every + poll + 0.5 * poller.response, seen(run)
    constant, found = 0.5 * (run.experiment.trigger_seconds + refresh), []
    for q, label in LATENCIES.items():
        if (seen_ := measured.get(("all", label))) is not None:
            value = float(np.quantile(told, QUANTILES[q]))
            found.append(Score(run.name, "all", label, "s", value, seen_.value, constant))
    return found


def _indexed(run: LabRun) -> tuple[np.ndarray, np.ndarray]:
    """When each record of the plan had been indexed, and when it was due [epoch s].

    The bulks of one partition leave one after another, so the records of a task are indexed evenly over the part of it
    that its bulks take; a bulk is indexed when it is answered.
    """
    assert run.arrivals is not None
    due, _ = latencies(run.arrivals, run.first_sequence, run.experiment.partitions, run.polls)
    indexed, tasks = np.empty(len(due)), tasks_of(run.batches, run.tasks)
    for partition, (mine, found) in batch_of(run, run.batches, len(due)).items():
        at = np.minimum(found, len(run.batches) - 1)
        for place in np.unique(at):
            batch, records = run.batches[place], mine[at == place]
            task = _task_of(batch, tasks[batch.number], partition)
            indexed[records] = batch.end if task is None else _answered(run, task, len(records))
    return indexed, due


def _task_of(batch: Batch, tasks: Sequence[Task], partition: int) -> Task | None:
    """The task that read a partition: a stage's tasks are in order of the partitions that have records."""
    counts = batch.records_by_partition() if batch.start_offsets is not None else {}
    having = sorted(p for p, n in counts.items() if n > 0)
    place = having.index(partition) if partition in having else -1
    return next((t for t in tasks if t.index == place), None)


def _answered(run: LabRun, task: Task, records: int) -> np.ndarray:
    bulk = run.experiment.bulk_documents
    bulks = max(1, math.ceil(records / bulk))
    number = np.minimum(np.arange(records) // bulk, bulks - 1)
    began = task.finish - task.seconds * 0.5 if bulks > 1 else task.launch
    return began + (task.finish - began) * (number + 1) / bulks


def both(run: LabRun, c: CoefficientSet) -> dict[str, list[Score]]:
    """Both partial forecasts of a run with a query."""
    if not run.batches:
        return {}
    return {MEASURED_RECORDS: from_records(run, c), MEASURED_BATCHES: from_batches(run)}
