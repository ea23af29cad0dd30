"""Unknowns and what follows from them; the way from today; the front."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.stack import Scenario
from planner import candidates
from planner.forecast import coefficients_of
from planner.migrate import commitments, migration, most_committed
from planner.recommend import recommend
from planner.recommend_uncertain import worth_knowing
from planner.recommend_unknowns import Unknowns, draw, read_unknowns, with_values
from planner.refusal import ScenarioError
from planner.scenario import example, example_text, load_scenario

RATE, SIZE = "flows[0].workload.rate", "flows[0].workload.size"
LAWS: dict[str, Any] = {
    RATE: {"low": "1k/s", "likely": "2500/s", "high": "6k/s"}, SIZE: {"uniform": ["600 B", "1 KiB"]},
    "coefficients": False,
}  # fmt: skip


def values(laws: dict[str, Any], count: int = 1024) -> dict[str, np.ndarray]:
    it = example("events")
    worlds, _ = draw(read_unknowns(laws, it), it, coefficients_of(it), count, 3)
    return {
        RATE: np.array([w.scenario.flows[0].workload.events_per_second for w in worlds]),
        SIZE: np.array([w.scenario.flows[0].workload.event_bytes for w in worlds]),
    }


def test_an_interval_is_the_5_50_and_95_per_cent() -> None:
    low, middle, high = np.quantile(values(LAWS)[RATE], [0.05, 0.5, 0.95])
    assert [low, middle, high] == pytest.approx([1000, 2500, 6000], rel=0.02)


def test_a_uniform_law_fills_its_range() -> None:
    found = values(LAWS)[SIZE]
    assert found.min() == pytest.approx(600, rel=0.02)
    assert found.mean() == pytest.approx((600 + 1024) / 2, rel=0.01)


@pytest.mark.parametrize("by", [0.0, 0.7, -0.6])
def test_correlations_are_as_stated(by: float) -> None:
    laws = LAWS | {"correlated": [{"between": [RATE, SIZE], "by": by}]}
    it = example("events")
    _, normals = draw(read_unknowns(laws, it), it, coefficients_of(it), 1024, 3)
    assert np.corrcoef(normals[RATE], normals[SIZE])[0, 1] == pytest.approx(by, abs=0.03)


def test_correlations_that_contradict_are_refused() -> None:
    third = "flows[0].index.retention"
    laws = LAWS | {third: {"low": "7 d", "likely": "14 d", "high": "30 d"}, "correlated": [
        {"between": [RATE, SIZE], "by": 0.9}, {"between": [RATE, third], "by": 0.9},
        {"between": [SIZE, third], "by": -0.9}]}  # fmt: skip
    with pytest.raises(ScenarioError, match="contradict"):
        read_unknowns(laws, example("events"))


@pytest.mark.parametrize(
    ("law", "told"),
    [
        ({RATE: {"low": "5k/s", "likely": "2k/s", "high": "6k/s"}}, "expected them in this order"),
        ({RATE: {"unifrom": [1, 2]}}, "did you mean uniform"),
        ({RATE: 3000}, "expected {low"),
        ({"kafka.machine": {"low": 1, "likely": 2, "high": 3}}, "kafka.machine"),
        ({RATE: {"low": "5 GB", "likely": "2k/s", "high": "6k/s"}}, "rate"),
        ({"correlated": [{"between": [RATE, SIZE], "by": 0.5}]}, "has no law of its own"),
    ],
)
def test_what_is_wrong_with_a_law_is_named(law: dict[str, Any], told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        read_unknowns(law, example("events"))


def test_coefficients_bring_their_own_intervals() -> None:
    it = example("events")
    c = coefficients_of(it)
    worlds, normals = draw(Unknowns(), it, c, 64, 1)
    drawn = [w.coefficients["search.document_cpu_seconds"] for w in worlds]
    assert min(drawn) < c["search.document_cpu_seconds"] < max(drawn)
    assert "machines of search" in normals


def test_a_block_of_unknowns_in_a_scenario_is_no_field_of_it() -> None:
    text = example_text("events") + "\nuncertain:\n  flows[0].workload.rate: {uniform: [1k/s, 2k/s]}\n"
    assert load_scenario(text) == example("events")


def test_knowing_what_decides_is_worth_most() -> None:
    """A stack is cheap and breaks where the load is high; who knows the load buys right."""
    rng = np.random.default_rng(5)
    load, other = rng.standard_normal(512), rng.standard_normal(512)
    regret = np.stack([np.where(load > 0.5, 1000.0, 0.0), np.where(load > 0.5, 0.0, 300.0)], axis=1)
    found = dict(worth_knowing(regret, {"load": load, "other": other}, seed=1))
    assert found["load"] > 100
    assert found["other"] == 0


def test_a_recommendation_is_held_against_drawn_worlds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "SCALES", (1.0,))
    monkeypatch.setattr(candidates, "TRIGGERS", (5.0,))
    it = with_values(example("events"), {"flows[0].query.state.shuffle_partitions": 8})
    sure = Unknowns(coefficients=False)
    wide = read_unknowns(LAWS | {RATE: {"low": "1k/s", "likely": "2500/s", "high": "60k/s"}}, it)
    asked = {"families": ("m7g",), "most_nodes": 14, "reasons": False, "draws": 16, "budget": 9000.0}
    still, moved = (recommend(it, unknowns=u, **asked).uncertainty for u in (sure, wide))  # type: ignore[arg-type]
    assert still is not None and moved is not None
    assert set(still.breaks.values()) == {0.0}
    assert max(moved.breaks.values()) > 0.1
    assert moved.quantiles["p99"][2] > still.quantiles["p99"][2]
    assert moved.infeasible[0] >= max(moved.breaks.values())
    assert moved.worlds == 16


# ---------------------------------------------------------------- the way from today


def changed(**parts: dict[str, Any]) -> Scenario:
    data = example("events").model_dump()
    for name, values_ in parts.items():
        (data["flows"][0][name] if name in ("topic", "index", "query") else data[name]).update(values_)
    return load_scenario(data)


def test_doors_that_shut_are_named() -> None:
    then = changed(topic={"partitions": 24}, kafka={"volume": {"size": "2 TiB", "throughput": "250 MiB/s"}})
    made = migration(example("events"), then, coefficients_of(then))
    shut = [m.what for m in made.moves if m.one_way]
    assert any("partitions from 12 to 24" in what for what in shut)
    assert any("Kafka disk" in what for what in shut)
    back = migration(then, example("events"), coefficients_of(then))
    assert any("24 partitions cannot become 12" in reason for reason in back.impossible)


def test_blue_green_doubles_the_nodes_for_its_time() -> None:
    then = changed(elasticsearch={"machine": "r7g.xlarge"})
    move = migration(example("events"), then, coefficients_of(then)).moves[0]
    assert "blue/green" in move.what
    assert move.extra_nodes == 3
    assert move.seconds > 3600


def test_the_same_stack_is_no_way_to_go() -> None:
    it = example("events")
    assert migration(it, it, coefficients_of(it)).unchanged


def test_commitments_stay_within_what_nine_of_ten_months_use() -> None:
    small, large = changed(spark={"executors": 2}), changed(spark={"executors": 6})
    found = commitments([small] * 3 + [large] * 9)
    assert found["m7g.2xlarge"] == 2
    assert found["r7g.large.search"] == 3
    assert most_committed([730.0 * 4] * 12) == 4


def test_wants_loosened_are_told_apart() -> None:
    from planner.candidates_wants import wants_of
    from planner.recommend_reasons import relaxed

    wants = wants_of(example("events"))
    loose = {name: w for name, _, w in relaxed(wants, example("events"))}
    assert loose["the last second of p99 (10 s)"] == replace(wants, p99=11.0)
    assert loose["topic copy 3"].topic_floor == 2
    assert len(loose) >= 6
