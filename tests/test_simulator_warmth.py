"""A JVM that has just started is slow and warms by work; a Python worker is no JVM and is not stretched."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.coefficients import CoefficientSet
from simulator.months import months
from simulator.run import Level, Simulation, simulate
from simulator.spark import warm_factor
from simulator.trace import FlowTrace
from tests.strategies import FREE, GENERIC, QUIET, bare

RECORD, OWN, BULK, DRIVER, STATE = 2e-5, 2e-4, 0.05, 0.1, 3e-5
AMPLITUDE, FOR_EVER = 3.0, 1e9  # work after which such a JVM were warm: no run of these comes near [CPU s]
DOCUMENTS, BULKS = 2000.0, 4.0  # of a batch of 2 s at 1000 records/s, in bulks of 500


def costing(work_seconds: float) -> CoefficientSet:
    known = {
        "spark.record_cpu_seconds": RECORD, "spark.batch_cpu_seconds": DRIVER, "spark.state_row_cpu_seconds": STATE,
        "sink.python_record_cpu_seconds": OWN, "sink.jvm_record_cpu_seconds": OWN, "sink.python_overlap": 0.0,
        "sink.python_bulk_cpu_seconds": BULK, "sink.jvm_bulk_cpu_seconds": BULK,
        "spark.warm_amplitude": AMPLITUDE, "spark.warm_work_seconds": work_seconds,
    }  # fmt: skip
    return GENERIC.with_values(QUIET | FREE | known)


def batches(kind: str, jvm: str, work_seconds: float = FOR_EVER, level: Level = "fluid", **changed: Any) -> np.ndarray:
    """Lengths of a run's batches, the first of 2,000 records [s]."""
    it = bare(
        flow__workload={"rate": 1000, "size": 100, "arrivals": 0}, flow__query__trigger=2.0,
        flow__query__sink={"kind": kind, "bulk_entries": 500},
        run={"measure": 40.0, "warm_up": 0.0, "jvm": jvm}, **changed,
    )  # fmt: skip
    flow: FlowTrace
    (flow,) = simulate(it, costing(work_seconds), seed=3, level=level).flows.values()
    assert flow.batches["records"][0] == pytest.approx(DOCUMENTS, rel=0.01)
    return flow.batches["finished"] - flow.batches["started"]


@pytest.mark.parametrize("level", ["fluid", "reference"])
def test_a_cold_batch_stretches_a_jvm_sink_and_leaves_a_python_sink_as_it_is(level: Level) -> None:
    jvm = DRIVER + DOCUMENTS * RECORD
    sink = DOCUMENTS * OWN + BULKS * BULK
    for kind, stretched in (("python-foreach", jvm), ("jvm-connector", jvm + sink)):
        warm, cold = (batches(kind, start, level=level)[0] for start in ("warm", "cold"))
        assert warm == pytest.approx(jvm + sink, rel=0.01), kind
        assert cold - warm == pytest.approx(AMPLITUDE * stretched, rel=0.01), kind


def test_bulks_of_a_cold_state_stage_follow_the_same_rule() -> None:
    jvm = DRIVER + DOCUMENTS * (RECORD + STATE)
    state = {"shuffle_partitions": 1}
    cold, warm = (batches("python-foreach", start, flow__query__state=state)[0] for start in ("cold", "warm"))
    assert cold - warm == pytest.approx(AMPLITUDE * jvm, rel=0.01)
    cold, warm = (batches("jvm-connector", start, flow__query__state=state)[0] for start in ("cold", "warm"))
    assert cold - warm == pytest.approx(AMPLITUDE * (jvm + DOCUMENTS * OWN + BULKS * BULK), rel=0.01)


def test_a_python_sinks_jvm_warms_while_it_works() -> None:
    cold, warm = (batches("python-foreach", start, work_seconds=2.0) for start in ("cold", "warm"))
    more = cold - warm
    jvm = DRIVER + DOCUMENTS * RECORD
    assert 0 < more[0] < AMPLITUDE * jvm and (np.diff(more) < 1e-9).all() and more[-1] < 0.01 * more[0]


def test_the_stretch_of_the_jvms_part_is_the_warm_up_law_over_all_work() -> None:
    """Beside a plain sum over small steps: each stretches the JVM's share alone, by all work done before it."""
    c, steps = costing(5.0), 20_000
    work, share, done = 8.0, 0.3, 1.5
    for _ in range(steps):
        done += work / steps * (1 + share * AMPLITUDE * np.exp(-done / 5.0))
    stretched = (done - 1.5 - work * (1 - share)) / (work * share)
    assert warm_factor(1.5, work, work * (1 - share), c) == pytest.approx(stretched, rel=1e-3)
    assert warm_factor(0.0, work, work, c) == 1.0 and warm_factor(1e6, work, 0.0, c) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["python-foreach", "jvm-connector"])
def test_a_cold_batch_of_the_tables_is_as_much_longer_as_a_simulated_one(kind: str) -> None:
    """Both draw one number for batch 0; tables need some noise to tell what follows the CPU."""
    c = costing(FOR_EVER).with_values({"spark.batch_sigma": 0.1})
    first = {}
    for jvm in ("warm", "cold"):
        it = bare(
            flow__workload={"rate": 1000, "size": 100, "arrivals": 0}, flow__query__trigger=2.0,
            flow__query__sink={"kind": kind, "bulk_entries": 500}, run={"measure": 40.0, "warm_up": 0.0, "jvm": jvm},
        )  # fmt: skip
        (simulated,) = simulate(it, c, seed=3).flows.values()
        (walked,) = months(it, c, 40.0, seed=3, points=20).values()
        lasted = walked.series["batch_seconds"]
        first[jvm] = float(simulated.batches["finished"][0] - simulated.batches["started"][0]), lasted[lasted > 0][0]
    of_run, of_tables = (first["cold"][k] / first["warm"][k] for k in (0, 1))
    assert of_tables == pytest.approx(of_run, rel=0.1) and of_run > 1.5


def test_a_new_executor_stretches_the_share_of_its_jvm() -> None:
    """What a task's piece costs on a replaced executor: 1 + A times the JVM's share, which Python's part lowers."""
    shares = {}
    for kind in ("python-foreach", "jvm-connector"):
        it = bare(
            flow__workload={"rate": 1000, "size": 100, "arrivals": 0}, flow__query__trigger=2.0,
            flow__query__sink={"kind": kind, "bulk_entries": 500}, run={"measure": 10.0, "warm_up": 0.0},
        )  # fmt: skip
        sim = Simulation(it, costing(FOR_EVER), 1, "fluid", 1.0, (), False)
        shares[kind] = sim.queries[0].jvm_share()
    sink = DOCUMENTS * OWN + (BULKS + 0.5) * BULK
    assert shares["jvm-connector"] == 1.0
    assert shares["python-foreach"] == pytest.approx(DOCUMENTS * RECORD / (DOCUMENTS * RECORD + sink), rel=0.1)
