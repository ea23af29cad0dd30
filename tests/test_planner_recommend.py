"""Recommendations on small catalogues, held against brute force and against each other."""

from __future__ import annotations

import itertools
import math
from functools import cache
from typing import Any

import numpy as np
import pytest

from models.stack import Scenario
from planner import candidates
from planner.bill import monthly_bill
from planner.candidates import Builder
from planner.candidates_wants import quorum_survives, wants_of
from planner.checks import check
from planner.forecast import coefficients_of
from planner.recommend import Recommendation, recommend
from planner.recommend_search import Search, _between, _threshold
from planner.recommend_stack import Stack, built
from planner.recommend_trial import Trials, without
from planner.refusal import ScenarioError
from planner.scenario import example, load_scenario
from planner.usage import Pace
from simulator.screen import screen
from simulator.screen_numbers import numbers_of
from simulator.screen_parts import joined

SMALL = {"families": ("m7g",), "most_nodes": 12}


@pytest.fixture(autouse=True)
def few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalogue that can be gone through stack by stack: few numbers of partitions and triggers."""
    monkeypatch.setattr(candidates, "SCALES", (0.5, 1.0))
    monkeypatch.setattr(candidates, "TRIGGERS", (2.0, 5.0))


def events(**changes: Any) -> Scenario:
    """The example where machines matter: few state tasks, no refresh a task, more load, less kept."""
    data = example("events").model_dump()
    flow = data["flows"][0]
    flow["workload"] |= {"rate": 9000.0, "daily_curve": ()} | changes.pop("workload", {})
    flow["query"]["sink"] |= {"refresh_per_write": False}
    flow["query"]["state"] |= {"shuffle_partitions": 8}
    flow["topic"]["retention"], flow["index"]["retention"] = 86400.0, 2 * 86400.0  # so that CPU is bought, not disk
    for name in ("topic", "index", "query"):
        flow[name] |= changes.pop(name, {})
    data["targets"] |= changes.pop("targets", {})
    return load_scenario(data | changes)


@cache
def small(rate: float = 9000.0, families: tuple[str, ...] = ("m7g",), p99: float = 10.0) -> Recommendation:
    scenario = events(workload={"rate": rate})
    return recommend(scenario, reasons=False, families=families, most_nodes=12, p99=p99, trials=400)


def test_brute_force_finds_nothing_cheaper_that_holds() -> None:
    """Every stack of the catalogue that is cheaper, simulated without any screen: none keeps the targets."""
    found = small(rate=17_000.0, p99=6.0)
    assert found.best is not None
    assert found.untried == 0
    scenario, wants = found.given, found.wants
    c = coefficients_of(scenario)
    builder = Builder(scenario, c, wants, "us-east-1")
    cheapest: dict[Any, Any] = {}
    for made in builder.brokers():
        at = made.row.partitions
        cheapest[at] = min((made, cheapest.get(at, made)), key=lambda k: k.usd)
    bound = found.best.usd - 0.01
    spark = [s for s in builder.executors(range(1, 9), most_usd=bound) if s.row.partitions in cheapest]
    nodes = list(builder.data_nodes(range(1, 10), most_usd=bound))
    trials, looked = Trials(scenario, c, builder.rates, found.seed), 0
    for s, d in itertools.product(spark, nodes):
        stack = Stack(cheapest[s.row.partitions], s, d)
        if stack.usd < bound and stack.nodes <= 12:
            looked += 1
            assert not trials.judge(stack, wants, "us-east-1").holds, stack.told()
    assert looked > 12


def test_a_recommendation_holds_under_other_dice() -> None:
    found = small()
    assert found.best is not None
    trials = Trials(found.given, coefficients_of(found.given), found.wants.peaks, seed=4711)
    assert trials.judge(found.best, found.wants, found.region).holds


def test_what_is_recommended_has_nothing_critical() -> None:
    found = small()
    assert found.scenario is not None
    assert [f.code for f in check(found.scenario) if f.severity == "critical"] == []


def test_the_recommended_stack_given_as_todays_is_kept() -> None:
    found = small()
    assert found.best is not None
    again = recommend(found.scenario, today=found.scenario, reasons=False, trials=400, **SMALL)  # type: ignore[arg-type]
    assert again.best is not None
    assert again.best.usd == pytest.approx(found.best.usd, abs=0.01)
    assert again.migration is not None
    assert again.migration.unchanged, again.migration.lines()


def test_same_seed_same_recommendation() -> None:
    a, b = small(), recommend(small().given, reasons=False, trials=400, **SMALL)  # type: ignore[arg-type]
    assert a.best == b.best
    assert a.outcome == b.outcome


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({}, {"p99": 6.0}),
        ({"families": ("m7g", "c7g", "r7g")}, {}),
        ({}, {"rate": 14000.0}),
        ({"rate": 4000.0}, {}),
    ],
    ids=["a looser target", "a larger catalogue", "more load", "less load"],
)
def test_less_asked_never_costs_more(less: dict[str, Any], more: dict[str, Any]) -> None:
    easy, hard = small(**less), small(**more)
    assert easy.best is not None
    assert hard.best is None or easy.best.usd <= hard.best.usd + 0.01


def test_prices_of_settings_are_the_bill() -> None:
    """Settings are priced alone; their sum is the bill of the whole stack, to the cents that lines are rounded by."""
    found = small()
    assert found.best is not None and found.scenario is not None
    pace = {f.name: Pace(f.query.trigger) for f in found.scenario.flows}
    bill = monthly_bill(found.scenario, coefficients_of(found.scenario), pace=pace)
    assert float(bill.monthly_usd) == pytest.approx(found.best.usd, abs=0.3)


def test_parts_put_together_are_the_whole_scenarios_numbers() -> None:
    """The screen's numbers of a stack from parts equal those read from its scenario, and so do its answers."""
    found = small()
    assert found.best is not None and found.scenario is not None
    scenario, stack = found.scenario, found.best
    c = coefficients_of(scenario)
    whole = numbers_of(scenario, c)
    builder = Builder(events(), c, found.wants, "us-east-1")
    rows = (np.zeros(1, dtype=int),) * 3
    parts = builder.parts
    made = joined(
        parts.front([stack.kafka.row]), parts.spark([stack.spark.row]), parts.search([stack.search.row]), rows
    )
    assert set(made) == set(whole)
    for name in made:
        wanted = np.broadcast_to(whole[name], np.broadcast_shapes(whole[name].shape, made[name].shape))
        assert made[name] == pytest.approx(wanted, rel=1e-3), name
    assert screen(made).p99 == pytest.approx(screen(whole).p99, rel=1e-3)


def test_a_zone_takes_managers_and_nodes_with_it() -> None:
    assert quorum_survives(3, 6, 3, ("zone",))
    assert not quorum_survives(3, 6, 2, ("zone",))
    left = without(example("events"), "zone")
    assert left is not None
    assert (left.kafka.brokers, left.elasticsearch.data_nodes) == (2, 2)
    assert left.flows[0].topic.copies == 2


def test_managers_are_added_where_data_nodes_cannot_keep_a_quorum() -> None:
    wants = wants_of(events(), survive=("data-node",))
    assert wants.managers(events(), nodes=2, zones=1) == 3
    assert wants.managers(events(), nodes=3, zones=3) == 0


def test_impossible_wants_are_refused_with_what_was_short() -> None:
    found = recommend(events(targets={"p99": 0.4}), reasons=False, trials=10, **SMALL)  # type: ignore[arg-type]
    assert found.best is None
    assert not found.holds
    assert "nothing holds" in found.as_text()


def test_a_budget_below_the_cheapest_is_an_answer_not_an_error() -> None:
    found = recommend(events(), reasons=False, budget=100.0, trials=400, **SMALL)  # type: ignore[arg-type]
    assert found.best is not None
    assert not found.holds
    assert "over the budget of 100 USD" in found.as_text()


def test_hosts_by_name_and_unknown_wants_are_refused_by_name() -> None:
    with pytest.raises(ScenarioError, match=r"kafka.hosts = core0; expected none"):
        recommend(example("lab"))
    with pytest.raises(ScenarioError, match="most_node is no want; did you mean most_nodes"):
        recommend(events(), most_node=9)


def test_pairs_below_a_price_are_each_met_once() -> None:
    a, b = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0])
    sums = sorted(float(x + y) for x in a for y in b)
    low, met = -math.inf, []
    while len(met) < 6:
        high = _threshold(a, b, len(met) + 2)
        met += [float(a[s] + b[e]) for s, e in zip(*_between(a, b, low, high), strict=True)]
        low = high
    assert sorted(met) == sums


def test_interrupted_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Search, "decide", stop)
    found = recommend(events(), **SMALL)  # type: ignore[arg-type]
    assert found.interrupted
    assert found.best is not None
    assert "interrupted" in found.as_text()


def test_the_stack_is_a_scenario_of_the_same_promises() -> None:
    found = small()
    assert found.best is not None and found.scenario is not None
    assert found.scenario.flows[0].workload == found.given.flows[0].workload
    assert found.scenario.targets == found.given.targets
    assert built(found.given, found.best, "us-east-1") == found.scenario
