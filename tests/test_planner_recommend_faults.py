"""Losses as events of a trial: what breaks a stack in the moment, and not only in what is left of it."""

from __future__ import annotations

from typing import Any

import pytest

from models.stack import Scenario
from planner.forecast import coefficients_of
from planner.recommend_faults import DRILLS, as_run, drill_of, not_weathered, unwatched
from planner.recommend_stack import at_rates
from planner.recommend_trial import Trials
from planner.scenario import example, load_scenario


def loaded(rate: float = 2500.0, **changes: Any) -> Scenario:
    """The example at a constant rate."""
    data = example("events").model_dump()
    flow = data["flows"][0]
    for name in ("topic", "index", "query"):
        flow[name] |= changes.pop(name, {})
    for name in ("kafka", "elasticsearch", "spark"):
        data[name] |= changes.pop(name, {})
    return at_rates(load_scenario(data), [rate])


@pytest.mark.parametrize("loss", DRILLS)
def test_three_copies_over_three_zones_lose_nothing(loss: str) -> None:
    it = loaded()
    assert not_weathered(it, coefficients_of(it), loss, 1, 1800.0, {}) == ""


def test_a_node_with_the_only_copy_takes_its_documents_along() -> None:
    """The rest carries the load, so nothing but the event itself tells."""
    it = loaded(index={"copies": 1, "primaries": 6})
    why = not_weathered(it, coefficients_of(it), "data-node", 1, None, {})
    assert why, "an index without a second copy weathered the loss of a node"


def test_a_loss_is_caught_up_within_what_was_promised() -> None:
    it = loaded()
    why = not_weathered(it, coefficients_of(it), "zone", 1, 0.5, {})
    assert why == "not caught up 500 ms after the cause was gone, as promised"


def test_the_loss_comes_in_the_middle_of_a_batch_and_something_starts_the_query_again() -> None:
    it = loaded(query={"trigger": 10.0})
    run, ended = as_run(it, drill_of(it, "zone"), None)
    (fault,) = run.faults
    assert fault.at % 10.0 == pytest.approx(3.7)
    assert ended == fault.at + 600.0
    assert run.run.warm_up + run.run.measure > ended
    assert it.spark.restart.policy == "none" and run.spark.restart.policy == "supervisor"
    assert unwatched(it, ("zone",)) and not unwatched(it, ("broker",))


def test_a_trial_asks_the_event_of_each_loss_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from planner import recommend_trial
    from planner.candidates_wants import wants_of

    asked: list[str] = []

    def broken(it: Any, c: Any, loss: str, *_: Any) -> str:
        asked.append(loss)
        return "" if loss == "broker" else "made up"

    monkeypatch.setattr(recommend_trial, "not_weathered", broken)
    monkeypatch.setattr(recommend_trial, "check", lambda _: [])
    it = loaded()
    wants = wants_of(it, survive=("broker", "data-node"), p99=60.0, headroom=1.0)
    trials = Trials(it, coefficients_of(it), [2500.0], 1)
    for _ in range(2):
        outcome = trials.hold("key", "name", it, wants)
        assert not outcome.holds and outcome.excuse is not None
        assert outcome.excuse.constraint == "the loss of a data-node"
        assert outcome.excuse.change == "made up"
    assert asked == ["broker", "data-node"]
