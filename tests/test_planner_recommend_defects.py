"""The ten defects of the closest peer (peer-netflix.md, D), each as a fact that does not hold here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.stack import Scenario
from planner import candidates, recommend_reasons
from planner import recommend as recommendation
from planner.candidates import Builder
from planner.candidates_wants import wants_of
from planner.forecast import coefficients_of
from planner.recommend import recommend
from planner.recommend_uncertain import _factors, regrets
from planner.recommend_unknowns import draw, read_unknowns
from planner.refusal import ScenarioError
from planner.scenario import example, load_scenario
from simulator.screen_parts import FrontRow, front_loads

SMALL: dict[str, Any] = {"families": ("m7g",), "most_nodes": 12, "trials": 30}


@pytest.fixture(autouse=True)
def few_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "SCALES", (1.0,))
    monkeypatch.setattr(candidates, "TRIGGERS", (5.0,))


def scenario(**workload: Any) -> Scenario:
    data = example("events").model_dump()
    data["flows"][0]["workload"] |= {"partition_skew": 0.0} | workload
    data["flows"][0]["topic"]["producer"]["compression"] = "none"
    data["flows"][0]["query"]["state"] |= {"shuffle_partitions": 8}
    return load_scenario(data)


def builder(it: Scenario, **wanted: Any) -> Builder:
    return Builder(it, coefficients_of(it), wants_of(it, **wanted), "us-east-1")


def test_1_the_same_bytes_spelled_another_way_want_the_same_disk() -> None:
    """Theirs: 202,455 against 2,354 USD for size × rate given as one or the other."""
    one = builder(scenario(rate=2500.0, size=850.0))
    other = builder(scenario(rate=2500.0, size=None, bytes_per_second=2500.0 * 850.0))
    assert one._topic_bytes(3, (12,), (3,)) == other._topic_bytes(3, (12,), (3,))
    fewer = builder(scenario(rate=250.0, size=8500.0))  # framing and compression are computed, payload rules
    assert fewer._topic_bytes(3, (12,), (3,)) == pytest.approx(one._topic_bytes(3, (12,), (3,)), rel=0.25)


def test_2_readers_cost_in_proportion_to_their_number() -> None:
    """Theirs: CPU quadratic in consumer groups."""
    loads = []
    for groups in (0, 1, 2, 4):
        data = scenario().model_dump()
        data["flows"][0]["topic"]["consumer_groups"] = groups
        made = builder(load_scenario(data)).parts.front([FrontRow("m7g.large", 3, 3, (12,), (3,), 250e6)])
        loads.append(float(front_loads(made, np.array([[12.0]]))["kafka network out"][0]))
    step = loads[1] - loads[0]
    assert loads[2] - loads[0] == pytest.approx(2 * step)
    assert loads[3] - loads[0] == pytest.approx(4 * step)


def test_3_a_tier_that_cannot_be_is_a_stack_that_cannot_be() -> None:
    """Theirs: a plan without data nodes for 5 PB."""
    data = scenario().model_dump()
    data["flows"][0]["index"]["retention"] = 9 * 365 * 86400.0
    data["flows"][0]["workload"]["rate"] = 40_000.0
    found = recommend(load_scenario(data), reasons=False, **SMALL)
    assert found.best is None
    assert any(e.system == "elasticsearch" and e.constraint == "disk of a node" for e in found.excuses)


def test_4_the_index_holds_what_is_written_into_it() -> None:
    """Theirs: 100 GiB whatever the rate."""
    once, twice = (max(builder(scenario(rate=r))._index_bytes(
        builder(scenario(rate=r))._indices(3, (3,), (2,)))[:1]) for r in (2500.0, 5000.0))  # fmt: skip
    assert twice == pytest.approx(2 * once, rel=0.05)


def test_5_copies_take_their_disk() -> None:
    """Theirs: disk unchanged from three copies to five."""
    it = builder(scenario())
    assert it._topic_bytes(5, (10,), (5,)) == pytest.approx(5 / 3 * it._topic_bytes(5, (10,), (3,)), rel=1e-6)


def test_6_what_is_allowed_is_allowed_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs: options reach some of the plans only."""
    monkeypatch.setattr(recommendation, "front", lambda *_: [])
    every = recommend_reasons.relaxed
    few = [p for p in every(wants_of(scenario(), most_nodes=12), scenario()) if "copy" in p[0] or "second" in p[0]]
    assert len(few) == 3
    monkeypatch.setattr(
        recommend_reasons, "relaxed",
        lambda wants, it: [p for p in every(wants, it) if any(p[0] == f[0] for f in few)],
    )  # fmt: skip
    found = recommend(scenario(), months=6, **SMALL)
    assert found.best is not None
    stacks = [
        found.best,
        *(s.stack for s in found.steps),
        *(p.stack for p in found.prices),
    ]
    stacks += [found.runner[0]] if found.runner else []
    for stack in (s for s in stacks if s is not None):
        assert {m.split(".")[0] for m in stack.machines} == {"m7g"}


def test_7_unknowns_move_what_follows_from_them() -> None:
    """Theirs: rate and the bytes it leaves are drawn apart (correlation 0.05)."""
    it = scenario()
    unsure = read_unknowns({"flows[0].workload.rate": {"low": "1k/s", "likely": "2500/s", "high": "6k/s"},
                            "coefficients": False}, it)  # fmt: skip
    c = coefficients_of(it)
    worlds, _ = draw(unsure, it, c, 64, 1)
    rates = [w.scenario.flows[0].workload.events_per_second for w in worlds]
    disks = [_factors(w, it, c)[1] for w in worlds]
    assert np.corrcoef(rates, disks)[0, 1] > 0.999


def test_7b_a_world_in_which_a_stack_breaks_is_its_worst_regret() -> None:
    """Theirs: infeasible samples are dropped, and a plan that holds in 11 of 128 worlds is recommended."""
    cost = np.array([[10.0, 30.0]] * 4)
    holds = np.array([[True, True]] + [[False, True]] * 3)
    found = regrets(cost, holds)
    assert found[1:, 0].min() > found[:, 1].max()
    assert found.mean(axis=0).argmin() == 1


def test_8_the_runner_up_is_a_whole_stack_that_was_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Theirs: second of each part, zipped."""
    monkeypatch.setattr(recommendation, "front", lambda *_: [])
    monkeypatch.setattr(recommendation, "price_of_targets", lambda *_: [])
    found = recommend(scenario(), families=("m7g", "c7g"), most_nodes=12, trials=30)
    assert found.best is not None and found.runner is not None
    stack, outcome = found.runner
    assert outcome.holds
    assert stack.machines != found.best.machines
    assert stack.usd >= found.best.usd


def test_9_unknown_names_are_refused_with_the_nearest_right_one() -> None:
    """Theirs: ignored."""
    with pytest.raises(ScenarioError, match="did you mean families"):
        recommend(scenario(), familys=("m7g",))
    with pytest.raises(
        ScenarioError, match=r"flows\[0\].workload.rat is no field.*did you mean flows\[0\].workload.rate"
    ):
        read_unknowns({"flows[0].workload.rat": {"low": 1, "likely": 2, "high": 3}}, scenario())


def test_10_a_disk_that_is_too_slow_binds() -> None:
    """Theirs: disk operations never bind on local drives."""
    data = scenario(rate=400_000.0).model_dump()
    data["flows"][0]["index"]["retention"] = 600.0
    found = builder(load_scenario(data), families=("m7g",))
    list(found.data_nodes([3]))
    assert any(e.constraint == "EBS throughput" and e.needed > e.had for e in found.excuses)
