"""What load would tell a coefficient that recordings leave open, and what a recording must be to tell any.

The sentences follow the laboratory's fit set, which varies one thing at a time (lab/README.md).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from calibration.lab import LabRun
from calibration.noise import settled
from calibration.observations import Counter, Floats, ObservationError

FLAT = 1.3  # largest over smallest batch (95 % over 5 %) below which a load counts as constant
GAP, LONG_GAP = 3.0, 20.0  # a hole: over three usual spacings, and over so many seconds
MOST_CORES = 1024.0  # as models/hosts.py: a process that used more is no measurement
LEAST_BATCHES = 10

RECORD = {
    "kafka.request_cpu_seconds": "produce at three rates or more with the broker's CPU and request counts recorded",
    "kafka.batch_cpu_seconds": "produce the same records with a longer linger or from Java clients, so that requests "
    "carry other numbers of batches",
    "kafka.byte_cpu_seconds": "produce the same bytes in fewer, larger records",
    "kafka.fetch_byte_cpu_seconds": "add a consumer group that only reads, at two rates",
    "kafka.follower_cpu_ratio": "the same load on three brokers with one copy, then with three",
    "kafka.tls_byte_cpu_seconds": "the same load with and without TLS",
    "kafka.append_wait_seconds": "a producer's acknowledgement times with acks=1, far from saturation",
    "kafka.idle_cpu_cores": "some minutes without load, the broker's CPU recorded",
    "spark.batch_cpu_seconds": "batches of other sizes at one number of partitions, event log recorded",
    "spark.launch_seconds": "the same records on other numbers of slots (on one, launching is part of the batch)",
    "spark.task_cpu_seconds": "the same records in other numbers of partitions",
    "spark.python_task_cpu_seconds": "the same query with and without its Python sink",
    "spark.record_cpu_seconds": "two rates, a factor of three apart, on the same partitions",
    "spark.byte_cpu_seconds": "fewer and larger records of the same bytes",
    "spark.state_task_cpu_seconds": "the same windows on other numbers of shuffle partitions",
    "spark.state_row_cpu_seconds": "a stateful query at two rates",
    "spark.start_cpu_seconds": "the CPU of Spark's process tree from its start on (python -m lab run pipe-2s)",
    "spark.idle_cpu_cores": "the CPU of Spark's process tree (not Executor CPU Time) beside the event log",
    "sink.python_record_cpu_seconds": "the sink at two rates, a factor of three apart",
    "sink.python_bulk_cpu_seconds": "the same records in bulks of other sizes, several a task",
    "search.bulk_cpu_seconds": "the same documents in bulks of other sizes",
    "search.document_cpu_seconds": "documents of two sizes at the same bytes a second",
    "search.byte_cpu_seconds": "documents of two sizes at the same bytes a second",
    "search.bulk_wait_seconds": "one client in a closed loop on the index (python -m lab run bulk-1x1000)",
    "search.replica_cpu_ratio": "the same load with and without a replica",
    "search.refresh_cpu_seconds": "the same load at two refresh intervals",
    "search.merge_byte_cpu_seconds": "an hour of load, so that merges come and go",
    "search.merge_amplification": "hours of load on one index",
    "search.query_cpu_seconds": "searches at two rates beside the load",
    "search.task_sigma": "the spread of single bulks of one size, far from saturation",
    "search.idle_cpu_cores": "some minutes without load, the node's CPU recorded",
    "index.bytes_per_json_byte": "the index's store after a flush, with its count of documents",
    "hosts.smt_yield": "the same load on one and on both hardware threads of a core",
    "hosts.speed_residual_sigma": "the same experiment on two machine types",
    "sink.python_overlap": "records whose reading costs as much as their Python does",
    "spark.run_sigma": "the same experiment again, hours later",
}
OTHERWISE = "an experiment that varies it (lab/experiments says how)"


def remedy(name: str) -> str:
    """What to record so that a coefficient is told."""
    return RECORD.get(name, OTHERWISE)


def refusals(runs: Sequence[LabRun]) -> list[str]:
    """Why these runs cannot be fitted, a line each with what to record instead; empty where they can."""
    if not runs:
        return ["no run to fit; record a load of two or more rates (python -m lab run, or floodmark import)"]
    found = [line for run in runs for line in garbage(run) or gaps(run)]
    if len({_recording(run) for run in runs}) == 1 and not _several_windows(runs[0]):
        found.append(
            f"{_recording(runs[0])}: a single run says nothing of how far equal runs lie apart; record the same load "
            "again, hours later, and give both"
        )
    if (flat := flat_load(runs)) is not None:
        found.append(flat)
    return found


def _recording(run: LabRun) -> str:
    """The recording that a run is a part of: an import makes one of each broker, node and piece."""
    return run.name.split(", ")[0]


def _several_windows(run: LabRun) -> bool:
    """A long recording in production repeats itself: its hours stand for runs."""
    start, end = run.window()
    return end - start >= 4 * 3600.0


def garbage(run: LabRun) -> list[str]:
    """Numbers that no system can have shown."""
    found = []
    for name, c in run.processes.cpu.items():
        if not np.isfinite(c.total).all() or (np.diff(c.t) <= 0).any():
            found.append(f"{run.name}: CPU of {name} has times that do not rise or values that are no numbers")
        elif len(c.t) > 1 and (most := float(np.max(np.diff(c.unwrapped()) / np.diff(c.t)))) > MOST_CORES:
            found.append(
                f"{run.name}: CPU of {name} = {most:,.0f} cores; expected seconds since its start, not percent"
            )
        elif len(c.t) > 5 and np.ptp(c.total) == 0:
            found.append(f"{run.name}: CPU of {name} never changes; expected a running total of its process tree [s]")
    for batch in run.batches:
        if batch.records < 0 or batch.seconds <= 0 or not math.isfinite(batch.seconds):
            said = f"batch {batch.number} has {batch.records} records in {batch.seconds} s"
            found.append(f"{run.name}: {said}; expected StreamingQueryProgress as Spark writes it")
            break
    return found


def gaps(run: LabRun) -> list[str]:
    """Holes in what was sampled while the load ran: nothing can be shared out over them."""
    try:
        start, end = run.window()
    except ObservationError as error:
        return [str(error)]
    counters: dict[str, Counter] = {f"CPU of {n}": c for n, c in run.processes.cpu.items()}
    for name, owner in (("the broker", run.broker), ("the data node", run.node)):
        if owner is not None and "cpu_seconds" in owner.counters:
            counters[name] = owner.counters["cpu_seconds"]
    return [line for name, c in counters.items() for line in _holes(run.name, name, c.t, start, end)]


def _holes(run: str, name: str, t: Floats, start: float, end: float) -> list[str]:
    inside = t[(t >= start - 60) & (t <= end + 60)]
    if len(inside) < 3:
        return [f"{run}: {name} was sampled {len(inside)} times in {end - start:.0f} s; record it every 5 to 15 s"]
    steps = np.diff(inside)
    usual = float(np.median(steps))
    wide = [(a, b) for a, b in itertools.pairwise(inside) if b - a > max(GAP * usual, LONG_GAP)]
    return [
        f"{run}: {name} has a hole of {b - a:.0f} s (usually {usual:.0f} s); record without one, or import what lies "
        "before and after as two recordings"
        for a, b in wide[:1]
    ]


def flat_load(runs: Sequence[LabRun]) -> str | None:
    """Why batches of one size tell nothing apart; None where sizes differ, or no run has batches."""
    mine = [run for run in runs if run.batches]
    if not mine:
        return None
    sizes = np.array([b.records for run in mine for step in settled(run) for b in step if b.records > 0], dtype=float)
    rates = sorted({rate for run in mine for _, rate in run.experiment.plan})
    if len(sizes) < LEAST_BATCHES:
        said = f"{len(sizes)} batches after the warm-up"
        return f"{mine[0].name}: {said}; expected {LEAST_BATCHES} or more; record longer steps"
    least, most = np.quantile(sizes, [0.05, 0.95])
    if most > FLAT * least:
        return None
    return (
        f"the load is constant: batches of {least:,.0f} to {most:,.0f} records, {len(rates)} rate(s) "
        f"({', '.join(f'{r:g}/s' for r in rates[:4])}); what a batch costs and what a record costs cannot be told "
        "apart; record at least two rates, a factor of three apart"
    )
