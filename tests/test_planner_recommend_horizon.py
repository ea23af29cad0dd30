"""Day 1 sought again where a month to come cannot be reached from it, or only dearly."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from planner import recommend_horizon
from planner.recommend_horizon import DEAR, to_the_horizon


def ask(monkeypatch: pytest.MonkeyPatch, *, later_usd: float, missed: int | None, last_usd: float | None) -> list[int]:
    """The months for which day 1 was sought again."""
    again: list[int] = []
    day_1, later = SimpleNamespace(key="a", usd=100.0), SimpleNamespace(key="b", usd=later_usd)
    out: Any = SimpleNamespace(best=day_1, steps=[], notes=[], given=None, interrupted=False)
    steps = [SimpleNamespace(month=5, stack=later)]
    monkeypatch.setattr(recommend_horizon, "grown", lambda *_: (steps, [], missed))
    last = None if last_usd is None else SimpleNamespace(usd=last_usd)
    monkeypatch.setattr(recommend_horizon, "floors", lambda *_: (last, []))
    monkeypatch.setattr(recommend_horizon, "growth_of", lambda *_: 3.0)

    def sought(out: Any, search: Any, last: Any, trials: int, answer: Any, month: int) -> Any:
        again.append(month)
        return out, search, None, []

    monkeypatch.setattr(recommend_horizon, "_sought_again", sought)
    search: Any = SimpleNamespace(builder=SimpleNamespace(c=None))
    to_the_horizon(out, search, None, 10, None, lambda *_: None)  # type: ignore[arg-type]
    ask.notes = out.notes  # type: ignore[attr-defined]
    return again


def test_a_month_that_nothing_reaches_is_searched_from_day_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, later_usd=120.0, missed=8, last_usd=150.0) == [8]


def test_a_step_that_costs_far_more_than_it_must_is_searched_from_day_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, later_usd=DEAR * 200.0 + 1, missed=None, last_usd=200.0) == [5]
    assert ask(monkeypatch, later_usd=DEAR * 200.0 - 1, missed=None, last_usd=200.0) == []


def test_a_month_that_nothing_can_reach_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(monkeypatch, later_usd=120.0, missed=8, last_usd=None) == []
    assert "from month 8 on nothing that the wants allow carries 3.00 times" in ask.notes[0]  # type: ignore[attr-defined]
