"""Level 1 against the fluid level, on stacks and curves that its tables were never tuned on."""

from __future__ import annotations

import math
import sys
import time
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from models.coefficients import load_set
from models.spark import next_start
from models.stack import Scenario
from models.units import DAY
from simulator import kernels as k
from simulator import months_kernel as mk
from simulator.months import Months, Table, months, tabulate
from simulator.run import simulate
from simulator.trace import FlowTrace, Histogram

GENERIC = load_set("generic-2026-11")
DAILY = (3, 2, 2, 2, 2, 3, 5, 8, 10, 11, 11, 10, 10, 11, 12, 11, 10, 9, 9, 10, 10, 8, 6, 4)


def stack(workload: dict, query: dict | None = None, index: dict | None = None, partitions: int = 16) -> Scenario:
    """Two executors of four slots, three data nodes; times scaled down so that a test is short."""
    return Scenario(
        name="months",
        flows=[
            {
                "workload": {"size": 700.0} | workload,
                "topic": {"partitions": partitions},
                "query": {"trigger": 2.0, "checkpoint": "hdfs", "sink": {"kind": "jvm-connector"}} | (query or {}),
                "index": {"primaries": 6, "copies": 2} | (index or {}),
            }
        ],
        kafka={"brokers": 3, "machine": "m7g.xlarge"},
        spark={"executors": 2, "cores": 4, "machine": "m7i.2xlarge"},
        elasticsearch={"data_nodes": 3, "machine": "r7g.xlarge"},
    )


UPS_AND_DOWNS = ((120.0, 8e3), (180.0, 22e3), (120.0, 14e3), (180.0, 3e3))
CASES = {  # name: (scenario, horizon, outages); none of them was looked at while level 1 was written
    "ups and downs": (stack({"steps": UPS_AND_DOWNS}), 600.0, ()),
    "as fast as possible": (stack({"rate": 9e3}, {"trigger": 0.0}), 300.0, ()),
    "a burst under a cap": (
        stack({"steps": ((120.0, 10e3), (60.0, 60e3), (420.0, 10e3))}, {"max_offsets_per_trigger": 50_000}), 600.0, (),
    ),
    "slow refresh": (
        stack({"rate": 12e3, "partition_skew": 0.4}, {"trigger": 10.0}, {"refresh_interval": 15.0}), 900.0, (),
    ),
    "after an outage": (stack({"rate": 9e3}, {"max_offsets_per_trigger": 60_000}), 600.0, ((200.0, 60.0),)),
    "python, a state": (
        stack(
            {"rate": 3e3}, {"sink": {"kind": "python-foreach"}, "state": {"shuffle_partitions": 16}, "trigger": 5.0}
        ),
        600.0,
        (),
    ),
}  # fmt: skip
SINCE = 40.0


@cache
def both(case: str, seed: int = 1) -> tuple[Months, FlowTrace]:
    scenario, horizon, outages = CASES[case]
    told = months(scenario, GENERIC, horizon, seed=seed, measured_from=SINCE, outages=outages)["events"]
    run = scenario.run.model_copy(update={"warm_up": SINCE, "measure": horizon - SINCE})
    trace = simulate(scenario.model_copy(update={"run": run}), GENERIC, seed=seed, outages=outages)
    return told, trace.flows["events"]


def errors(case: str, seed: int = 1) -> dict[str, float]:
    """Level 1 over the fluid level, less 1."""
    told, seen = both(case, seed)
    batches = seen.counted(SINCE, CASES[case][1])
    lasted = float((batches["finished"] - batches["started"]).mean())
    found = {f"p{q:g}": told.latency.quantile(q) / seen.latency.quantile(q) - 1 for q in (0.5, 0.99, 0.999)}
    found |= {"duration": told.mean_batch_seconds / lasted - 1}
    lag = float(seen.batches["lag_records"].max())
    return found | {"most lag": float(np.nanmax(told.series["lag_records"])) / lag - 1}


@pytest.mark.parametrize("case", ["ups and downs", "a burst under a cap", "slow refresh"])
def test_tables_agree_with_the_fluid_level(case: str) -> None:
    found = errors(case)
    assert abs(found["p0.5"]) < 0.03 and abs(found["p0.99"]) < 0.05 and abs(found["duration"]) < 0.06, found


def test_lag_of_a_burst_is_carried_under_the_cap() -> None:
    """60k/s into 25k/s of cap for a minute leaves (60 - 25) × 60 thousand unread; both levels say so."""
    told, seen = both("a burst under a cap")
    most = float(np.nanmax(told.series["lag_records"]))
    assert most == pytest.approx(35e3 * 60 + 50e3, rel=0.05)
    assert most == pytest.approx(float(seen.batches["lag_records"].max()), rel=0.03)
    assert told.latency.count == pytest.approx(seen.latency.count, rel=1e-3)


@cache
def a_table() -> tuple[Scenario, tuple[Table, ...]]:
    scenario = stack({"rate": 9e3, "daily_curve": DAILY, "growth_per_month": 0.1}, {"max_offsets_per_trigger": 80_000})
    return scenario, tuple(tabulate(scenario, GENERIC, 30 * DAY))


def test_thirty_days_take_two_seconds() -> None:
    scenario, tables = a_table()
    months(scenario, GENERIC, 600.0, tables=tables)  # compiled, or loaded
    began = time.process_time()
    found = months(scenario, GENERIC, 30 * DAY, tables=tables)["events"]
    assert time.process_time() - began < 2.0
    assert found.batches == pytest.approx(30 * DAY / 2, rel=0.01)
    rates = found.series["records_per_second"]
    day, last = rates[:48], rates[-48:]  # 1,440 points: half an hour each
    assert day.max() / day.min() == pytest.approx(12 / 2, rel=0.05)
    assert last.mean() / day.mean() == pytest.approx(1.1 ** (29 / 30.4), rel=0.02)


def test_every_record_of_the_window_has_a_latency() -> None:
    scenario, tables = a_table()
    found = months(scenario, GENERIC, 2 * DAY, tables=tables, measured_from=DAY)["events"]
    times, rates = scenario.flows[0].workload.corners(2 * DAY)
    widths = np.diff([*times, 2 * DAY])
    created = sum(r * w for t, r, w in zip(times, rates, widths, strict=True) if t >= DAY)
    assert found.latency.count == pytest.approx(created, rel=1e-6)
    assert found.latency.censored == 0


def test_same_seed_same_months_and_seeds_differ() -> None:
    scenario, tables = a_table()
    one, same, other = (months(scenario, GENERIC, DAY, seed=s, tables=tables)["events"] for s in (3, 3, 4))
    assert one.latency.quantile(0.99) == same.latency.quantile(0.99)
    assert one.latency.quantile(0.99) != other.latency.quantile(0.99)


def test_more_load_is_never_faster() -> None:
    scenario, tables = a_table()
    found = [months(scenario, GENERIC, DAY, rate_factor=x, tables=tables)["events"] for x in (0.5, 1.0, 1.5, 4.0)]
    assert all(a.latency.mean < b.latency.mean for a, b in pairwise(found))
    assert np.nanmax(found[-1].series["lag_seconds"]) > 3600  # the cap holds: the evening still reads the noon


def test_batches_beyond_the_tables_are_counted() -> None:
    """Tables made for the usual rate know nothing of the backlog after six hours without a cap."""
    scenario = stack({"rate": 9e3})
    tables = tabulate(scenario, GENERIC, DAY)
    quiet = months(scenario, GENERIC, DAY, tables=tables)["events"]
    backlog = months(scenario, GENERIC, DAY, tables=tables, outages=[(7200.0, 21600.0)])["events"]
    assert quiet.beyond == 0
    assert backlog.beyond > 0.2


def test_lag_that_is_never_read_is_censored() -> None:
    scenario = stack({"rate": 9e3}, {"max_offsets_per_trigger": 9_000})  # reads half of what arrives
    found = months(scenario, GENERIC, 3600.0)["events"]
    assert found.latency.quantile(0.99) == math.inf
    # the run goes on for a tenth and 200 s: what can be read until then at 4,500/s
    assert found.latency.censored == pytest.approx(9e3 * 3600 - 4500 * (1.1 * 3600 + 200), rel=0.01)


def test_available_now_is_refused() -> None:
    with pytest.raises(ValueError, match="available now"):
        tabulate(stack({"rate": 9e3}, {"trigger": "available now"}), GENERIC, DAY)


def test_its_dice_are_the_engines() -> None:
    for address in [(1, 10, 0, 0), (7, 10, 3, 12345), (2**40, 40, 1, 9), (5, 10, 0, 77)]:
        assert mk.normal(*address) == pytest.approx(k.normal(*address, 0), abs=1e-12)
    assert mk.DICE_BATCH == k.DICE_BATCH


@pytest.mark.parametrize(
    ("began", "ended", "trigger"), [(2.0, 3.1, 2.0), (2.0, 4.5, 2.0), (4.5, 5.2, 2.0), (1.0, 1.5, 0.0)]
)
def test_its_triggers_are_sparks(began: float, ended: float, trigger: float) -> None:
    assert mk._next_start(began, ended, trigger) == next_start(began, ended, trigger)


def test_a_rate_is_read_backwards() -> None:
    times, rates = np.array([0.0, 10.0, 20.0]), np.array([5.0, 0.0, 2.0])
    totals = np.array([0.0, 50.0, 50.0])
    assert mk.created_by(times, rates, totals, 5.0) == 25.0
    assert mk.created_by(times, rates, totals, 15.0) == 50.0
    assert mk.created_at(times, rates, totals, 25.0) == 5.0
    assert mk.created_at(times, rates, totals, 54.0) == 22.0


def test_waiting_for_a_refresh_smears_a_histogram_evenly() -> None:
    from simulator.months import _smeared

    point = Histogram(np.array([1.0, 1.001]), np.array([0.0, 10.0]), 0.0, 1.0005)
    found = _smeared(point, 0.5, 2.0)
    assert found.mass[-1] == pytest.approx(10.0)
    assert [found.quantile(q) for q in (0.25, 0.5, 0.99)] == pytest.approx([2.0, 2.5, 3.48], abs=0.002)


if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        for seed in (1, 2, 3):
            print(
                f"{case:22s} seed {seed}",
                {name: f"{100 * x:+.1f} %" for name, x in errors(case, seed).items()},
                flush=True,
            )
