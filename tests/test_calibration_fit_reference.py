"""Runs simulated by the plain reference with known coefficients: the fit gives those back, within their intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration.fit import Base, fit_runs
from calibration.fit_spark import BulkRest, fit_batches
from calibration.lab import Experiment, LabRun
from calibration.observations import Batch, Curve, Processes, Task, counter
from calibration.watch import drifts
from models.coefficients import CoefficientSet, load_set
from models.stack import Scenario
from planner.scenario import example
from simulator.run import simulate
from simulator.trace import Trace

RATES = (500.0, 2000.0, 6000.0)
STEP, TRIGGER, PARTITIONS, BYTES = 60.0, 2.0, 4, 800.0
TRUE = {
    "spark.batch_cpu_seconds": 0.09,
    "spark.launch_seconds": 0.011,
    "spark.task_cpu_seconds": 0.035,
    "spark.record_cpu_seconds": 4e-6,
    "spark.byte_cpu_seconds": 2e-8,
    "spark.warm_amplitude": 8.0,
    "spark.warm_work_seconds": 6.0,
    "spark.run_sigma": 1e-9,
    "spark.batch_sigma": 0.06,
    "spark.task_sigma": 0.05,
    "spark.pause_per_cpu_second": 1e-9,
    "spark.idle_cpu_cores": 1e-9,
    "spark.state_task_cpu_seconds": 0.06,
    "spark.state_row_cpu_seconds": 1e-12,
}


def truth() -> CoefficientSet:
    return load_set("lab-2026-11-23").with_values(TRUE)


def scenario_of(partitions: int, state: int = 0) -> Scenario:
    told = example("lab").model_dump(exclude_unset=True)
    flow = told["flows"][0]
    flow["workload"] |= {"size": BYTES, "steps": [(STEP, rate) for rate in RATES]}
    flow["topic"] |= {"partitions": partitions}
    flow["query"] |= {"trigger": TRIGGER, "sink": {"kind": "noop"}}
    if state:
        flow["query"]["state"] = {"shuffle_partitions": state}
    flow["index"] |= {"search": {"rate": 0}}
    told["hosts"] = [*told["hosts"], told["hosts"][0] | {"name": "unused"}]
    told["elasticsearch"] |= {"hosts": ["unused"]}
    told["run"] = {"jvm": "cold", "warm_up": 0.0, "measure": STEP * len(RATES), "repeats": 1}
    return Scenario.model_validate(told)


def recorded(trace: Trace, twin: Trace, name: str, partitions: int, state: int = 0) -> LabRun:
    """A simulated run in a recording's clothes: batches with phases, tasks, arrivals.

    The reference logs no tasks; its compiled twin walks the same path and does.
    """
    flow, zero = trace.flows["events"], 1_000_000.0
    batches, tasks, done = [], [], np.zeros(partitions)
    for row in flow.batches:
        start, done = done.copy(), done + float(row["records"]) / partitions
        trigger, end = zero + float(row["started"]), zero + float(row["finished"])
        batches.append(
            Batch(int(row["number"]), trigger, end - trigger, _commits(trace, row), round(float(row["records"])),
                  {p: round(x) for p, x in enumerate(start)}, {p: round(x) for p, x in enumerate(done)})
        )  # fmt: skip
        for task in twin.flows["events"].tasks[twin.flows["events"].tasks["batch"] == row["number"]]:
            at, until = zero + float(task["started"]), zero + float(task["finished"])
            folds = state > 0 and task["partition"] < 0
            kind, stage = ("ShuffleMapTask", 0) if state and not folds else ("ResultTask", int(folds))
            place = len([t for t in tasks if t.launch >= trigger]) if folds else int(task["partition"])
            tasks.append(Task(stage, place, kind, at, until, until - at, 0.0, 0.0, 0.0, 1))
    corners = np.cumsum([0.0, *(STEP for _ in RATES)])
    counts = np.cumsum([0.0, *(STEP * r for r in RATES)])
    grid = list(np.arange(zero - 5, zero + corners[-1] + 10, 5.0))
    plan = tuple((STEP, r) for r in RATES)
    asked = Experiment(name, "pipe", BYTES, partitions, plan, 0, 0, TRIGGER, 1, "noop", 1000, 0, state)
    return LabRun(
        experiment=asked, start=zero, first_sequence=0, arrivals=Curve(corners + zero, counts), warm_arrivals=None,
        acknowledgement={}, polls=(), batches=tuple(batches), tasks=tuple(tasks),
        processes=Processes({"spark": counter("spark", grid, list(np.linspace(0, 60, len(grid))))}, {},
                            counter("steal", grid, [0.0] * len(grid))),
        broker=None, node=None, index=None, bulk=None, log_bytes=None,
    )  # fmt: skip


def _commits(trace: Trace, row: np.void) -> dict[str, float]:
    """The two checkpoint writes are not in a trace; their mean is, and their noise is set to nothing here."""
    commit = truth()["spark.local_commit_seconds"]
    return {"walCommit": commit, "commitOffsets": commit}


@pytest.fixture(scope="module")
def runs() -> list[LabRun]:
    c, found = truth().with_values({"spark.commit_sigma": 1e-9}), []
    for k, partitions in enumerate((4, 4, 12)):
        name = ("ref-4", "ref-4-again", "ref-12")[k]
        trace = simulate(scenario_of(partitions), c, seed=11 + k, level="reference", exact_front=False)
        twin = simulate(scenario_of(partitions), c, seed=11 + k, level="fluid")
        one, other = (t.flows["events"].batches["finished"] for t in (trace, twin))
        assert one == pytest.approx(other, abs=1e-6)
        found.append(recorded(trace, twin, name, partitions))
    return found


def test_the_references_coefficients_come_back_within_their_intervals(runs: list[LabRun]) -> None:
    base = Base.of(load_set("generic-2026-11").values)
    prior, sigma = base.scaled("record_scale", "spark.record_cpu_seconds").named(
        warm_amplitude="spark.warm_amplitude", warm_seconds="spark.warm_work_seconds"
    )
    found = fit_batches(runs, prior, BulkRest(0.0), sigma=sigma)
    assert found.condition < 30
    scale = (TRUE["spark.record_cpu_seconds"] + BYTES * TRUE["spark.byte_cpu_seconds"]) / (
        prior["spark.record_cpu_seconds"] + BYTES * prior["spark.byte_cpu_seconds"]
    )
    launch = found.held["spark.launch_seconds"]
    wanted = {
        # on one slot a stage's first launch is part of the batch, and the launch's prior is left in
        "spark.batch_cpu_seconds": TRUE["spark.batch_cpu_seconds"] + TRUE["spark.launch_seconds"] - launch,
        "spark.task_cpu_seconds": TRUE["spark.task_cpu_seconds"],
        "record_scale": scale,
    }
    for name, true in wanted.items():
        wide = 0.35 * (found.high[name] - found.low[name])  # four 90 % intervals: one may just miss
        assert found.low[name] - wide <= true <= found.high[name] + wide, (name, found.value[name], true)
        assert found.value[name] == pytest.approx(true, rel=0.2), name
    assert found.value["warm_amplitude"] == pytest.approx(TRUE["spark.warm_amplitude"], rel=0.4)


def test_noise_and_repeatability_come_back(runs: list[LabRun]) -> None:
    out = fit_runs(runs, Base.of(load_set("generic-2026-11").values))
    assert out.told["spark.batch_sigma"].low <= TRUE["spark.batch_sigma"] <= out.told["spark.batch_sigma"].high
    assert out.told["spark.run_sigma"].value < 0.05  # no run factor was drawn
    assert "the data node" in out.refused and "search.document_cpu_seconds" in out.left


def test_laws_of_the_true_set_hold_and_one_made_dearer_is_named(runs: list[LabRun]) -> None:
    c = {n: x.value for n, x in truth().values.items()}
    laws, silent = drifts(runs, c)
    assert {d.law for d in laws} == {"a batch's driver", "a batch's tasks", "a checkpoint write"}
    assert "a broker's CPU" in silent and not [d for d in laws if d.beyond(0.2)]
    cheaper = c | {"spark.batch_cpu_seconds": c["spark.batch_cpu_seconds"] / 2, "spark.launch_seconds": 0.004}
    assert [d.law for d in drifts(runs, cheaper)[0] if d.beyond(0.2)] == ["a batch's driver"]


def test_progress_alone_tells_the_same(runs: list[LabRun]) -> None:
    """Without an event log a batch is one equation; several numbers of partitions tell its tasks from the rest."""
    blind = [replace(run, tasks=()) for run in runs]
    base = Base.of(load_set("generic-2026-11").values)
    prior, sigma = base.scaled("record_scale", "spark.record_cpu_seconds").named(
        warm_amplitude="spark.warm_amplitude", warm_seconds="spark.warm_work_seconds"
    )
    found = fit_batches(blind, prior, BulkRest(0.0), sigma=sigma)
    assert found.value["spark.task_cpu_seconds"] == pytest.approx(TRUE["spark.task_cpu_seconds"], rel=0.2)
    batch = TRUE["spark.batch_cpu_seconds"] + TRUE["spark.launch_seconds"]
    assert found.value["spark.batch_cpu_seconds"] + found.held["spark.launch_seconds"] == pytest.approx(batch, rel=0.2)


def test_the_states_own_writes_are_not_counted_as_its_work(runs: list[LabRun]) -> None:
    """Each state task writes a checkpoint of its own, which the simulator adds: it is no CPU of the task."""
    c = truth().with_values({"spark.commit_sigma": 1e-9})
    trace, twin = (
        simulate(scenario_of(4, 4), c, seed=21, level=level, exact_front=False) for level in ("reference", "fluid")
    )
    base = Base.of(load_set("generic-2026-11").values)
    prior, sigma = base.scaled("record_scale", "spark.record_cpu_seconds").named(
        warm_amplitude="spark.warm_amplitude", warm_seconds="spark.warm_work_seconds"
    )
    found = fit_batches([*runs, recorded(trace, twin, "ref-state", 4, 4)], prior, BulkRest(0.0), sigma=sigma)
    assert found.value["spark.state_task_cpu_seconds"] == pytest.approx(TRUE["spark.state_task_cpu_seconds"], rel=0.15)
