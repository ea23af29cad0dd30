"""Executors that come and go are billed as the policy holds them, not as the first number of the scenario."""

from __future__ import annotations

from functools import cache

import pytest

from models.coefficients import load_set
from planner.bill import monthly_bill
from planner.scaling import paid_executors
from planner.scenario import load_scenario
from planner.usage import Pace, used
from planner.usage_scaling import hosts_by_scaling, with_hosts
from pricing.usage import SparkUsage

C = load_set("generic-2026-11")
DAY = (1, 1, 1, 1, 4, 4, 4, 4)  # four times the load in the second half of a day


def scenario(scaling=None, executors=2, rate="20k/s", **spark):
    load = {"rate": rate, "size": "500 B", "daily_curve": DAY}
    flow = {"name": "events", "workload": load, "topic": {"partitions": 24},
            "query": {"trigger": "10 s", "sink": {"kind": "jvm-connector"}}, "index": {"primaries": 3}}  # fmt: skip
    said = {"executors": executors, "machine": "m7g.xlarge", **spark, **({"scaling": scaling} if scaling else {})}
    return load_scenario({"name": "s", "flows": [flow], "spark": said})


def hosts_of(it, pace, load=1.0) -> float:
    return next(x.executor_hosts for x in used(it, C, pace, load=load).usages if isinstance(x, SparkUsage))


MANAGED = {"kind": "managed", "least": 1, "most": 12}


@cache
def walked():
    it = scenario(MANAGED)
    return it, with_hosts({"events": Pace(10.0)}, it, C)


def test_managed_scaling_pays_for_the_nodes_that_it_holds_on_the_mean():
    it, pace = walked()
    held = paid_executors(it, C)
    assert hosts_of(it, pace) == pytest.approx(held) and 1 <= held < 12 and held != it.spark.executors
    made = monthly_bill(it, C, pace=pace)
    assert any(float(x.quantity) == pytest.approx(held * 730) for x in made.bill.lines if x.system == "spark")
    assert any(note.startswith(f"{held:.4g} executors' nodes are held") for note in made.notes)


def test_more_load_holds_more_nodes_up_to_the_most():
    it, pace = walked()
    found = [hosts_of(it, pace, load) for load in (0.1, 0.5, 1.0, 1.5, 2.0, 4.0)]
    assert found == sorted(found) and found[0] < found[-1] <= 12
    assert found[3] == pytest.approx((found[2] + found[4]) / 2)


def test_executors_that_come_and_go_on_nodes_that_stay_save_nothing():
    it = scenario({"kind": "dynamic-allocation", "least": 1, "most": 6})
    assert hosts_by_scaling(it, C) == ((1.0, 6.0),)
    made = monthly_bill(it, C)
    fixed = monthly_bill(scenario(executors=6), C)
    assert made.bill.by_system["spark"] == fixed.bill.by_system["spark"]
    assert any("room for 6 is billed" in note for note in made.notes)


def test_a_policy_that_cannot_be_walked_is_told_and_not_guessed():
    it = scenario(MANAGED)
    two = it.model_copy(update={"flows": (it.flows[0], it.flows[0].model_copy(update={"name": "b"}))})
    assert hosts_by_scaling(two, C) == ()
    assert any("cannot be walked ahead" in note for note in monthly_bill(two, C).notes)


def test_without_a_policy_as_many_are_paid_as_the_scenario_says():
    it = scenario(executors=5)
    assert hosts_by_scaling(it, C) == () and hosts_of(it, with_hosts({"events": Pace(10.0)}, it, C)) == 5
