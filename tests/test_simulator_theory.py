"""Whole runs against closed forms: the micro-batch loop, its phases, slots, refreshes, and Little's law.

Costs are set so that one thing at a time takes time; formulas as in docs/model.md (gated loops are derived there).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.coefficients import CoefficientSet
from models.spark import read_wait_seconds
from models.stack import Scenario
from simulator import kernels as k
from simulator.run import Simulation, simulate
from simulator.trace import FlowTrace
from tests.strategies import FREE, GENERIC, QUIET, bare

REFRESH = 0.01  # the shortest interval: a record waits half of it on average


def costing(**costs: float) -> CoefficientSet:
    """Nothing takes time but what is named (system__coefficient=value)."""
    return GENERIC.with_values(QUIET | FREE | {name.replace("__", "."): value for name, value in costs.items()})


def run(it: Scenario, c: CoefficientSet, seed: int = 1, exact: bool = False, **more: Any) -> FlowTrace:
    return simulate(it, c, seed=seed, level="exact" if exact else "fluid", **more).flows["events"]


def steady_batches(flow: FlowTrace, skip: int = 3) -> np.ndarray:
    return flow.batches[skip:]


# ---------------------------------------------------------------- the gated loop


ONE_BULK = {"bulk_entries": 100_000, "bulk_bytes": 100 * 1024**2}
GATED = {"flow__query__sink": {"kind": "jvm-foreach", **ONE_BULK}, "flow__index__refresh_interval": REFRESH}


def test_a_gated_loop_answers_as_theory_says() -> None:
    """Mean D/2 + s0 + c (lam D + 1): seen from one record, its batch holds lam D others and itself."""
    rate, interval, s0, c = 20.0, 1.0, 0.2, 0.02
    it = bare(flow__workload__rate=rate, run={"measure": 3000.0, "warm_up": 10.0}, **GATED)
    seen = run(it, costing(spark__batch_cpu_seconds=s0, spark__record_cpu_seconds=c), exact=True)
    fetch = read_wait_seconds(rate)
    mean = interval / 2 + s0 + fetch + c * (rate * interval + 1) + REFRESH / 2
    assert seen.latency.mean == pytest.approx(mean, rel=0.005)


def test_a_gated_loop_of_even_arrivals_has_the_p99_of_its_first_records() -> None:
    """p99 .99 D + s0 + lam D c: who came first waited all of D for the cut."""
    rate, interval, s0, c = 400.0, 1.0037, 0.2, 0.001  # not a multiple of the refresh: its phases are all met
    it = bare(
        flow__workload={"rate": rate, "size": 100, "arrivals": 0},
        flow__query__trigger=interval,
        run={"measure": 600.0, "warm_up": 10.0},
        **GATED,
    )
    seen = run(it, costing(spark__batch_cpu_seconds=s0, spark__record_cpu_seconds=c))
    whole = s0 + read_wait_seconds(rate) + rate * interval * c
    assert seen.latency.mean == pytest.approx(interval / 2 + whole + REFRESH / 2, rel=0.003)
    assert seen.latency.quantile(0.99) == pytest.approx(0.99 * interval + whole + REFRESH / 2, rel=0.006)


@pytest.mark.parametrize("trigger", ["asap", 0.1])
def test_an_overrunning_loop_settles_at_its_own_cycle(trigger: Any) -> None:
    """Each batch takes what came during the last: cycle C = s0 / (1 - lam c), latency 1.5 C."""
    rate, s0, c = 400.0, 0.5, 0.001
    it = bare(
        flow__workload={"rate": rate, "size": 100, "arrivals": 0},
        flow__query__trigger=trigger,
        run={"measure": 200.0, "warm_up": 30.0},
        **GATED,
    )
    seen = run(it, costing(spark__batch_cpu_seconds=s0, spark__record_cpu_seconds=c))
    cycle = (s0 + read_wait_seconds(rate)) / (1 - rate * c)
    batches = steady_batches(seen, 20)
    assert np.diff(batches["started"]).mean() == pytest.approx(cycle, rel=0.005)
    assert seen.latency.mean == pytest.approx(1.5 * cycle + REFRESH / 2, rel=0.01)
    np.testing.assert_allclose(batches["started"][1:], batches["finished"][:-1], rtol=1e-9)


def test_no_steady_state_where_records_cost_more_than_their_spacing() -> None:
    it = bare(
        flow__workload={"rate": 400, "size": 100, "arrivals": 0},
        flow__query__trigger="asap",
        run={"measure": 60.0, "warm_up": 0.0},
        **GATED,
    )
    seen = run(it, costing(spark__batch_cpu_seconds=0.5, spark__record_cpu_seconds=0.004))
    lengths = seen.batches["finished"] - seen.batches["started"]
    assert (np.diff(lengths) > 0).all()  # each takes 1.6 times its predecessor's arrivals
    assert lengths[-1] / lengths[-2] == pytest.approx(1.6, rel=0.1)


# ---------------------------------------------------------------- one batch, phase by phase


PHASES = {
    "spark__local_commit_seconds": 0.03,
    "spark__batch_cpu_seconds": 0.11,
    "spark__launch_seconds": 0.007,
    "spark__task_cpu_seconds": 0.05,
    "spark__record_cpu_seconds": 2e-4,
    "sink__jvm_record_cpu_seconds": 1e-4,
    "sink__jvm_bulk_cpu_seconds": 0.004,
    "search__bulk_cpu_seconds": 0.006,
    "search__document_cpu_seconds": 3e-4,
    "search__bulk_wait_seconds": 0.009,
    "hosts__local_round_trip_seconds": 0.002,
}


@pytest.mark.parametrize("shards", [1, 4])
def test_a_batch_is_the_sum_of_its_phases(shards: int) -> None:
    """Commit, plan, launch, fetch, then bulk after bulk: CPU before it, the way there, parse, index, wait, way back."""
    rate, entries = 250.0, 100
    it = bare(
        flow__workload={"rate": rate, "size": 100, "arrivals": 0},
        flow__query__sink={"kind": "jvm-foreach", "bulk_entries": entries},
        flow__index__primaries=shards,
        flow__index__refresh_interval=5.0,
        run={"measure": 10.0, "warm_up": 0.0},
    )
    seen = run(it, costing(**PHASES))
    p = PHASES
    for batch in steady_batches(seen, 1):
        n = batch["records"]
        bulks = math.ceil(n / entries)
        executor = n * 3e-4 + bulks * p["sink__jvm_bulk_cpu_seconds"]
        index = n * p["search__document_cpu_seconds"] / shards  # one thread a shard
        apart = p["search__bulk_cpu_seconds"] + p["search__bulk_wait_seconds"] + p["hosts__local_round_trip_seconds"]
        expected = (
            2 * p["spark__local_commit_seconds"] + p["spark__batch_cpu_seconds"] + p["spark__launch_seconds"]
            + read_wait_seconds(rate) + p["spark__task_cpu_seconds"] + executor + index + bulks * apart
        )  # fmt: skip
        assert batch["finished"] - batch["started"] == pytest.approx(expected, rel=1e-9)
        waits = index + bulks * apart
        assert batch["waited_sink"] == pytest.approx(waits, rel=1e-9)


def test_bulks_in_flight_hide_their_waits() -> None:
    """Bulks of wait W, w in flight: n of them take W n / w."""
    wait, cpu, entries, rate = 0.4, 0.001, 100, 160.0
    lengths = {}
    for writers in (1, 2, 4):
        it = bare(
            flow__workload={"rate": rate, "size": 100, "arrivals": 0},
            flow__query__sink={"kind": "jvm-foreach", "bulk_entries": entries, "writers_per_task": writers},
            flow__query__trigger=10.0,
            flow__index__refresh_interval=5.0,
            run={"measure": 30.0, "warm_up": 0.0},
        )
        seen = run(it, costing(search__bulk_wait_seconds=wait, sink__jvm_bulk_cpu_seconds=cpu))
        batch = seen.batches[1]
        lengths[writers] = float(batch["finished"] - batch["started"])
        rounds = math.ceil(batch["records"] / entries / writers)
        assert lengths[writers] == pytest.approx(rounds * wait, rel=0.05)
    assert lengths[1] > 1.9 * lengths[2] > 3.5 * lengths[4]


# ---------------------------------------------------------------- slots


@pytest.mark.parametrize(("tasks", "slots"), [(6, 6), (7, 6), (12, 6), (13, 6), (5, 8)])
def test_equal_tasks_run_in_waves(tasks: int, slots: int) -> None:
    """ceil(tasks / slots) waves (spark.md L7)."""
    it = bare(
        flow__workload={"rate": 13_000, "size": 100, "arrivals": 0},
        flow__topic={"partitions": tasks, "copies": 1, "min_insync": 1},
        flow__query__sink={"kind": "noop"},
        spark={"executors": 2, "cores": slots // 2},
        run={"measure": 10.0, "warm_up": 0.0},
    )
    seen = run(it, costing(spark__task_cpu_seconds=0.1))
    lengths = seen.batches["finished"] - seen.batches["started"]
    fetch = read_wait_seconds(13_000 / tasks)
    assert lengths[2:] == pytest.approx(math.ceil(tasks / slots) * (0.1 + fetch), rel=1e-6)


def test_a_slot_that_waits_for_a_bulk_is_busy_and_no_core_is() -> None:
    """Four slots on one core, each half a second in a bulk: side by side, and the core idles."""
    it = bare(
        flow__workload={"rate": 400, "size": 100, "arrivals": 0},
        flow__topic={"partitions": 4, "copies": 1, "min_insync": 1},
        flow__query__sink={"kind": "jvm-foreach", **ONE_BULK},
        spark={"executors": 1, "cores": 4},
        hosts=[{"name": "broker", "cores": 64}, {"name": "executor", "cores": 1}, {"name": "node", "cores": 64}],
        run={"measure": 20.0, "warm_up": 0.0},
    )
    trace = simulate(it, costing(search__bulk_wait_seconds=0.5), seed=1)
    lengths = trace.flows["events"].batches["finished"] - trace.flows["events"].batches["started"]
    assert lengths[1:] == pytest.approx(0.5 + read_wait_seconds(100), abs=1e-6)
    assert trace.slots_busy == pytest.approx(0.5 + read_wait_seconds(100), abs=0.05)
    executor = next(host for host in trace.hosts if host.name == "executor")
    assert executor.utilisation < 1e-6


def test_little_holds_for_slots() -> None:
    """Slots held on average = tasks a second × their mean time."""
    it = bare(
        flow__topic={"partitions": 6, "copies": 1, "min_insync": 1},
        spark={"executors": 2, "cores": 2},
        run={"measure": 60.0, "warm_up": 0.0},
    )
    trace = simulate(it, GENERIC, seed=3)
    tasks = trace.flows["events"].tasks
    over = tasks[tasks["finished"] <= trace.measured_until]
    held = (over["finished"] - over["started"]).sum() / (trace.measured_until - trace.measured_from)
    assert trace.slots_busy * 4 == pytest.approx(held, rel=1e-6)


def test_little_holds_between_creation_and_visibility() -> None:
    """The area between created and visible records is the sum of all latencies."""
    it = bare(flow__workload={"rate": 500, "size": 100, "arrivals": 0}, run={"measure": 6.0, "warm_up": 0.0})
    sim = Simulation(it, GENERIC, 1, "fluid", 1.0, (), False)
    for query in sim.queries:
        sim.env.process(query.run())
    step, area, now = 0.001, 0.0, 0.0
    m = sim.plane.m
    while now < sim.measured_until + 6.0:  # arrivals of the window, until they are visible
        now += step
        sim.plane.run_until(now)
        m = sim.plane.m
        created = k.count_at(m.I, m.F, 0, min(now, sim.measured_until))
        area += step * max(0.0, created - m.counts[0, k.VISIBLE])
    latency = run(it, GENERIC).latency
    assert latency.count == pytest.approx(3000.0, rel=1e-3)
    assert area / 3000.0 == pytest.approx(latency.mean, rel=2e-3)


# ---------------------------------------------------------------- refresh


@pytest.mark.parametrize("interval", [0.381966, 2.618034])
def test_a_record_waits_half_a_refresh_on_average(interval: float) -> None:
    """Refreshes keep no step with triggers: the wait is uniform, mean R / 2, p99 .99 R."""
    it = bare(
        flow__workload={"rate": 2000, "size": 100, "arrivals": 0},
        flow__query__sink={"kind": "jvm-foreach", **ONE_BULK},
        flow__index__refresh_interval=interval,
        run={"measure": 1500.0, "warm_up": 5.0},
    )
    # 1 s over either interval is a golden number: triggers meet every phase evenly
    seen = run(it, costing())
    assert seen.hops["refresh"] == pytest.approx(interval / 2, rel=0.005)
    # trigger wait and refresh wait are uniform and independent: their sum is a trapezium
    short, long = min(interval, 1.0), max(interval, 1.0)
    p99 = short + long - math.sqrt(0.02 * short * long)
    assert seen.latency.quantile(0.99) == pytest.approx(p99 + read_wait_seconds(2000), rel=0.004)


def visible_at(it: Scenario, c: CoefficientSet, until: float, step: float = 0.002) -> np.ndarray:
    """Times at which records became visible."""
    sim = Simulation(it, c, 1, "fluid", 1.0, (), False)
    for query in sim.queries:
        sim.env.process(query.run())
    times, seen = [], 0.0
    for now in np.arange(step, until, step):
        sim.plane.run_until(float(now))
        if sim.plane.m.counts[0, k.VISIBLE] > seen:
            seen = float(sim.plane.m.counts[0, k.VISIBLE])
            times.append(float(now))
    return np.array(times)


@pytest.mark.parametrize(("schedule", "spacing"), [("fixed-delay", 0.8), ("fixed-rate", 0.5)])
def test_the_refresh_interval_counts_from_where_it_is_said(schedule: str, spacing: float) -> None:
    """An interval of 0.5 s and a refresh of 0.3 s: one every 0.8 s by fixed delay, every 0.5 s at a fixed rate."""
    it = bare(
        flow__workload={"rate": 2000, "size": 100, "arrivals": 0},
        flow__query={"trigger": 0.05, "checkpoint": "local", "sink": {"kind": "jvm-foreach", **ONE_BULK}},
        flow__index__refresh_interval=0.5,
        flow__index__refresh_schedule=schedule,
        run={"measure": 20.0, "warm_up": 0.0},
    )
    times = visible_at(it, costing(search__refresh_cpu_seconds=0.3), 20.0)
    np.testing.assert_allclose(np.diff(times)[2:], spacing, atol=0.005)


def test_nothing_new_is_nothing_to_refresh() -> None:
    """A refresh without new documents costs nothing, and the next is due an interval later."""
    idle = bare(
        flow__workload={"size": 100, "steps": [[1.0, 1000], [60.0, 0]]},
        flow__index__refresh_interval=0.5,
        run={"measure": 60.0, "warm_up": 0.0},
    )
    trace = simulate(idle, costing(search__refresh_cpu_seconds=0.01), seed=1)
    node = next(host for host in trace.hosts if host.name == "node")
    refreshes = node.utilisation * node.cores * 60.0 / 0.01
    assert refreshes == pytest.approx(round(refreshes), abs=1e-6)
    assert 1 <= refreshes <= 4


# ---------------------------------------------------------------- bursts


def test_a_burst_is_worked_off_at_the_rate_of_service() -> None:
    """D/D/1: a backlog of sigma behind a rate R is served in T + sigma / R, to the last bulk."""
    it = bare(
        flow__workload={"size": 100, "arrivals": 0, "steps": [[1.0, 5000], [30.0, 0]]},
        flow__query={
            "trigger": "available now",
            "checkpoint": "local",
            "sink": {"kind": "jvm-foreach", "bulk_entries": 100},
        },
        flow__index__refresh_interval=REFRESH,
        run={"measure": 2.0, "warm_up": 0.0},
    )
    seen = run(it, costing(search__document_cpu_seconds=1e-3, spark__batch_cpu_seconds=0.2))
    (batch,) = seen.batches
    assert batch["records"] == 5000
    assert batch["finished"] - batch["started"] == pytest.approx(0.2 + 0.5 + 5000 * 1e-3, rel=1e-9)
    # the last record is created at 1 s, cut at 2 s and found with the last bulk
    assert seen.latency.quantile(1.0) == pytest.approx(2.0 + 0.7 + 5.0 - 1.0, abs=0.15)


# ---------------------------------------------------------------- merges


def merging(throughput: float = 1e9, **costs: float) -> tuple[float, float, Simulation]:
    """A minute of indexing whose only cost is merging: CPU seconds of merges, documents refreshed, and the run."""
    it = bare(
        flow__workload={"rate": 2000, "size": 1000, "arrivals": 0},
        flow__query__sink={"kind": "jvm-foreach", **ONE_BULK},
        flow__index__refresh_interval=0.5,
        elasticsearch={"volume": {"size": 1e12, "throughput": throughput}},
        run={"measure": 60.0, "warm_up": 0.0},
    )
    c = costing(**costs)
    sim = Simulation(it, c, 1, "fluid", 1.0, (), False)
    sim.run()
    node = sim.built.placement.nodes[0]
    return float(sim.plane.look()["host_work"][node]), float(sim.plane.m.counts[0, k.INDEXED]), sim


def test_merges_move_every_byte_as_often_as_their_amplification_says() -> None:
    """CPU of merges = documents × index bytes × amplification × CPU a byte, less what waits for ten segments."""
    byte_cpu = 2e-8
    spent, documents, sim = merging(search__merge_byte_cpu_seconds=byte_cpu)
    each = 1000 * GENERIC["index.bytes_per_json_byte"] * GENERIC["search.merge_amplification"] * byte_cpu
    waiting = float(sim.plane.m.merge_debt[0])
    assert spent + waiting == pytest.approx(documents * each, rel=1e-6)
    assert 0 <= waiting <= 11 * 2000 * each  # a segment a trigger: at most ten wait, and the one just refreshed


def test_a_slow_disk_makes_merges_long_and_thin() -> None:
    """Merges on a disk that moves less than is written: their CPU is bounded by what the disk moves."""
    byte_cpu, slow = 2e-8, 1e6
    spent, documents, _ = merging(throughput=slow, search__merge_byte_cpu_seconds=byte_cpu)
    assert documents * 1000 > 60 * slow  # more is written than the disk could merge
    assert spent <= 62 * slow * byte_cpu * 1.01
    assert spent > 0.7 * 50 * slow * byte_cpu
