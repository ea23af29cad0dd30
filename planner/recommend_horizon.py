"""To the horizon: the steps after day 1, and day 1 sought again where what it cannot change later falls short."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from planner.candidates import Builder, Excuse
from planner.candidates_wants import Wants, growth_of
from planner.recommend_growth import floors, grown
from planner.recommend_search import Found, Search
from planner.recommend_stack import Stack

if TYPE_CHECKING:
    from planner.recommend import Recommendation

DEAR = 1.25  # times the last month's own best: what day 1 cannot change is not to cost more than that later
Progress = Callable[[str, int, int], None]
Answered = Callable[[Wants, Search, Found], "Recommendation"]


def to_the_horizon(
    out: Recommendation, search: Search, found: Found, trials: int, answer: Answered, said: Progress
) -> tuple[Recommendation, Search, Found]:
    """The steps of growth; where a month cannot be reached, day 1 sought again with what that month needs."""
    said("growth", 0, 0)
    try:
        out.steps, notes, missed = grown(out, search, search.builder.c)
        changed = [step for step in out.steps if out.best is not None and step.stack.key != out.best.key]
        if missed is not None or changed:
            said("the last month is searched for what it needs", 0, 0)
            last, short = floors(search, trials)
            if missed is not None and last is None:
                notes.append(_unreached(out, missed, short))
            elif last is not None and (missed is not None or changed[-1].stack.usd > DEAR * last.usd):
                month = missed or changed[-1].month
                out, search, found, notes = _sought_again(out, search, last, trials, answer, month)
        out.notes += notes
    except KeyboardInterrupt:
        out.interrupted = True
    return out, search, found


def _sought_again(
    out: Recommendation, search: Search, last: Stack, trials: int, answer: Answered, missed: int
) -> tuple[Recommendation, Search, Found, list[str]]:
    """Day 1 with no fewer partitions, of topics and of state, than the last month needs, and its steps."""
    old, before = search.builder, _fixed(out.best) if out.best is not None else ""
    wants = replace(out.wants, least_partitions=last.kafka.row.partitions, least_shuffles=last.spark.row.shuffles)
    builder = Builder(old.scenario, old.c, wants, out.region, old.growth, old)
    other = Search(builder, search.trials, wants, search.said)
    found = other.solve(trials)
    if found.best is None:  # what the last month needs cannot be had today within the wants
        return out, search, Found(out.best, out.outcome), [_unreached(out, missed, other.nearest())]
    again = answer(wants, other, found)
    again.steps, notes, still = grown(again, other, old.c)
    notes.append(f"{before} would do today, but not at all, or only dearly, from month {missed} on: "
                 f"{_fixed(found.best)} from day 1, as more of them later moves keys or starts state anew")  # fmt: skip
    if still is not None:
        notes.append(_unreached(again, still, other.nearest()))
    return again, other, found, notes


def _fixed(stack: Stack) -> str:
    """What growth cannot change without moving keys or state."""
    shuffles = f", {_each(stack.spark.row.shuffles)} shuffle partitions" if any(stack.spark.row.shuffles) else ""
    return f"{_each(stack.kafka.row.partitions)} partitions{shuffles}"


def _each(values: tuple[int, ...]) -> str:
    return "/".join(map(str, dict.fromkeys(values)))


def _unreached(out: Recommendation, month: int, short: list[Excuse]) -> str:
    """That a month is not reached, and what came nearest to it."""
    load = growth_of(out.given, month - 1)
    near = min(short, key=lambda e: (e.system != "stack", e.short), default=None)
    why = f"; nearest: {near.candidate}, {near.constraint}: {near.change}" if near is not None else ""
    return f"from month {month} on nothing that the wants allow carries {load:.2f} times today's load{why}"
