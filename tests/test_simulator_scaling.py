"""Dynamic allocation against what its rules say by hand: doubling, bounds, idleness, cold starts, hours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.cli_scale import as_markdown, told
from planner.forecast import coefficients_of
from planner.refusal import ScenarioError
from planner.scaling import apart, needs, paid_executors, scaling
from planner.scenario import from_yaml
from simulator.scaling import Rules, Scaled, Work, needed, scale


def work(**changed: Any) -> Work:
    """One stage of 16 tasks on 2 cores an executor; a task takes 1 ms a record of its share, a batch 1 s beside."""
    base = Work(
        trigger=60.0, most=np.inf, cores=2, fixed=np.array([1.0, 1.0]), tasks=(16,), records=np.array([1.0, 16_000.0]),
        seconds=np.array([[1e-3 / 16], [1.0]]), warm_amplitude=0.0, warm_work=1.0,
    )  # fmt: skip
    return replace(base, **changed)


RULES = Rules(least=1, most=8, first=1, start=5.0)


def walked(
    rate: float | list[tuple[float, float]], rules: Rules = RULES, seconds: float = 3600.0, **changed: Any
) -> Scaled:
    steps = [(0.0, rate)] if isinstance(rate, float) else rate
    times, rates = (np.array(x) for x in zip(*steps, strict=True))
    return scale(work(**changed), rules, times, rates, seconds)


def test_a_fixed_fleet_takes_its_waves() -> None:
    """Three executors of two slots: 16 tasks in three waves, of 60 s of records each."""
    run = walked(1000.0, replace(RULES, least=3, most=3, first=3, fixed=True))
    settled = run.batches[run.batches["records"] > 0]
    lasted = settled["finished"] - settled["started"]
    assert lasted == pytest.approx([work().lasts(r, 3) for r in settled["records"]])
    assert work().lasts(60_000.0, 3) == pytest.approx(1 + 3 * 60_000 / 16_000, rel=1e-3)
    assert run.steps == [(0.0, 3)] and run.asked == 0


def test_requests_double_while_tasks_wait() -> None:
    """After 1 s one more, then 2, then 4, a second apart; each comes 5 s later."""
    run = walked([(0.0, 2000.0)], seconds=100.0)
    begun = run.batches["started"][0] + 0.5  # the stage starts after half of what is fixed
    grown = [(t - begun, n) for t, n in run.steps[1:] if n > 1]
    assert [n for _, n in grown[:7]] == [2, 3, 4, 5, 6, 7, 8]
    assert [t for t, _ in grown[:7]] == pytest.approx([6.0, 7.0, 7.0, 8.0, 8.0, 8.0, 8.0], abs=1e-6)


def test_no_more_is_asked_for_than_tasks_can_use() -> None:
    run = walked(2000.0, replace(RULES, most=100))
    assert max(n for _, n in run.steps) <= 8  # 16 tasks on 2 cores
    few = walked(2000.0, replace(RULES, most=3))
    assert max(n for _, n in few.steps) == 3


def test_idle_executors_leave_and_the_least_stay() -> None:
    run = walked([(0.0, 2000.0), (600.0, 0.0)], replace(RULES, least=2, first=2, idle_timeout=30.0))
    assert max(n for _, n in run.steps) == 8
    assert run.steps[-1][1] == 2
    ended = run.batches["finished"][-1]
    assert run.steps[-1][0] - ended <= 31.0


def test_batches_shorter_than_the_timeout_never_let_go() -> None:
    """spark.md B2: under 60 s executors never look idle; above they come and go with each batch."""
    often = walked([(0.0, 4000.0), (900.0, 100.0)], trigger=10.0)
    seldom = walked([(0.0, 4000.0), (900.0, 100.0)], trigger=300.0)
    assert often.steps[-1][1] > 1 and often.steps[-1][0] < 1200
    assert min(n for t, n in seldom.steps if t > 1500) == 1


def test_what_comes_after_the_batch_is_over_is_wasted() -> None:
    """A start of two minutes, batches of one: every executor asked for comes to nothing to do."""
    run = walked(700.0, replace(RULES, start=200.0, idle_timeout=20.0), trigger=300.0)
    assert run.asked > 0 and run.unused > 0.5 * run.asked


def test_a_cold_executor_is_slower_and_a_warm_fleet_is_not() -> None:
    cold = walked(1000.0, warm_amplitude=11.0, warm_work=6.0)
    warm = walked(1000.0)
    assert cold.cold_seconds > 10 and warm.cold_seconds == 0.0
    assert (cold.batches["finished"] - cold.batches["started"]).max() > (warm.batches["finished"] -
                                                                        warm.batches["started"]).max()  # fmt: skip


def test_nodes_come_later_and_stay_longer_under_a_managed_cluster() -> None:
    rules = replace(RULES, node_start=100.0, node_idle=200.0, idle_timeout=20.0)
    managed, bare = walked(2000.0, rules, 7200.0), walked(2000.0, replace(RULES, idle_timeout=20.0), 7200.0)
    assert managed.hours(managed.nodes) >= managed.hours(managed.steps) - 1e-6
    assert bare.hours(bare.nodes) == pytest.approx(8 * 2.0)  # nodes that stay are paid for as many as there may be
    first = next(t for t, n in managed.steps if n > 1)
    assert first - next(t for t, n in bare.steps if n > 1) == pytest.approx(100.0, abs=1e-6)


@given(rates=st.lists(st.sampled_from([0.0, 200.0, 1000.0, 3000.0]), min_size=1, max_size=5), seed=st.integers(0, 50))
@settings(max_examples=20)
def test_records_are_read_once_and_in_order(rates: list[float], seed: int) -> None:
    steps = [(k * 600.0, rate) for k, rate in enumerate(rates)]
    times, values = (np.array(x) for x in zip(*steps, strict=True))
    run = scale(work(), RULES, times, values, 3000.0, seed=seed)
    created = sum(rate * (min(3000.0, 600.0 * (k + 1)) - 600.0 * k if k < len(rates) - 1 else 3000.0 - 600.0 * k)
                  for k, rate in enumerate(rates))  # fmt: skip
    assert run.batches["records"].sum() <= created + 1e-6
    assert (np.diff(run.batches["started"]) > 0).all()
    assert (run.batches["started"][1:] >= run.batches["finished"][:-1] - 1e-9).all()
    assert all(a <= b for (a, _), (b, _) in zip(run.steps, run.steps[1:], strict=False))
    assert all(RULES.least <= n <= RULES.most for _, n in run.steps)


@given(a=st.floats(10, 5000), b=st.floats(10, 5000))
def test_more_load_never_needs_fewer(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert needed(work(), RULES, low) <= needed(work(), RULES, high)


def test_hours_are_those_of_counting_seconds() -> None:
    run = walked([(0.0, 2000.0), (1200.0, 100.0), (2400.0, 3000.0)], replace(RULES, idle_timeout=30.0), trigger=120.0)
    wanted = needs(work(trigger=120.0), RULES, np.array([0.0, 1200.0, 2400.0]), np.array([2000.0, 100.0, 3000.0]))
    need, wasted, missing = apart(run.steps, wanted, 3600.0)

    def at(steps: list[tuple[float, int]], t: float) -> int:
        return [n for start, n in steps if start <= t][-1]

    pairs = [(at(run.steps, t + 0.5), at(wanted, t + 0.5)) for t in range(3600)]
    assert need == pytest.approx(sum(w for _, w in pairs) / 3600, abs=0.01)
    assert wasted == pytest.approx(sum(max(0, h - w) for h, w in pairs) / 3600, abs=0.02)
    assert missing == pytest.approx(sum(max(0, w - h) for h, w in pairs) / 3600, abs=0.02)


ELASTIC = """
name: elastic
flows:
- workload: {rate: 6000/s, size: 1 kB, daily_curve: [2, 1, 0.2, 0.8]}
  topic: {partitions: 32}
  query: {trigger: 120 s, checkpoint: local, sink: {kind: jvm-connector, ids: explicit}}
  index: {primaries: 6}
spark: {executors: 1, cores: 2, machine: m7g.large, heap: 4 GiB, scaling: {least: 1, most: 8, idle_timeout: 30 s}}
elasticsearch: {data_nodes: 6, machine: r7g.xlarge}
"""


def test_a_scenario_s_policy_is_answered_beside_fixed_fleets() -> None:
    scenario = from_yaml(ELASTIC)
    out = scaling(scenario, coefficients_of(scenario), 0.5)
    stated, now, peak = out.policies
    assert stated.most_held > 1 and stated.batches == pytest.approx(0.5 * 720, abs=2)
    assert now.held_hours == pytest.approx(12.0) and now.asked == 0
    assert peak.missing_hours == 0.0
    assert stated.wasted_hours - stated.missing_hours == pytest.approx(
        stated.held_hours - stated.needed_hours, abs=1e-6
    )
    assert stated.usd is not None and "executor-hours are held for nothing" in told(out)
    assert as_markdown(out).count("\n") == 7


def test_a_scenario_without_scaling_is_told_what_to_write() -> None:
    scenario = from_yaml(ELASTIC.replace(", scaling: {least: 1, most: 8, idle_timeout: 30 s}", ""))
    with pytest.raises(ScenarioError, match=r"spark\.scaling is missing; it says who adds executors"):
        scaling(scenario, coefficients_of(scenario))


def test_what_is_paid_on_the_mean_is_what_the_policy_holds() -> None:
    """A day of node-hours over 24: between least and most; without scaling the number that is stated."""
    scenario = from_yaml(ELASTIC)
    c = coefficients_of(scenario)
    paid = paid_executors(scenario, c)
    stated = scaling(scenario, c, 1.0).policies[0]
    assert paid == pytest.approx(stated.node_hours / 24) and 1 <= paid <= 8
    fixed = from_yaml(ELASTIC.replace(", scaling: {least: 1, most: 8, idle_timeout: 30 s}", ""))
    assert paid_executors(fixed, c) == 1.0
