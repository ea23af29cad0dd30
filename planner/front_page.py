"""A recommendation as a page shows it: each stack that was found with what it costs a month and how late it is.

The stacks are today's, the recommended one, the runner-up, those of the recommendation's front, and the cheapest
without each promise. Each is asked the same quick answer, so that they compare; one that another beats in both cost and
latency is not on the line.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from models.stack import Scenario
from models.units import show
from planner.charts import Figure, layout_of, line_of
from planner.forecast import Progress
from planner.look import INK, JUDGED
from planner.quick import quick
from planner.recommend import Recommendation, recommend
from planner.recommend_stack import Stack, built
from planner.recommend_text import headline, lines
from planner.told_parts import Cell

P99 = "the quick answer: one simulated run, from creation to the first search that finds it"
TRIALS = 24  # stacks that a page waits for being simulated; the command takes more


@dataclass(frozen=True)
class Choice:
    """One stack: what it is, its scenario, what it costs [USD a month], its p99 [s], what it keeps."""

    name: str
    told: str
    scenario: Scenario
    usd: float
    p99_seconds: float
    keeps: str
    holds: bool
    on_line: bool = False


@dataclass(frozen=True)
class Front:
    """A recommendation and its stacks, today's first; `source` says what its numbers rest on."""

    headline: str
    paragraphs: tuple[tuple[str, tuple[str, ...]], ...]
    choices: tuple[Choice, ...]
    holds: bool
    source: str


def front(scenario: Scenario, trials: int = TRIALS, progress: Progress | None = None) -> Front:
    """The recommendation for a scenario. Raises ScenarioError for what cannot be searched."""
    said = progress or (lambda *_: None)
    out = recommend(scenario, trials=trials, progress=said)
    stacks, found = _stacks(out), [_choice("today", "as it stands", scenario)]
    for n, (name, stack) in enumerate(stacks):
        said(f"comparing: {name}", n, len(stacks))
        found.append(_choice(name, stack.told(), built(out.given, stack, out.region)))
    told = tuple((title, tuple(text)) for title, text in lines(out))
    return Front(headline(out), told, tuple(_marked(found)), out.holds, source_of(out))


def source_of(out: Recommendation) -> str:
    """What the numbers of a recommendation rest on: its runs, its prices, its coefficients."""
    return (
        f"the recommendation: each stack simulated at the peak (seed {out.seed}), judged by 95 of 100 runs; prices of "
        f"{out.region}, billed line by line; coefficients {out.given.coefficients}"
    )


def _stacks(out: Recommendation) -> list[tuple[str, Stack]]:
    """Each different stack once, under the first name it has."""
    found: list[tuple[str, Stack]] = [("recommended", out.best)] if out.best is not None else []
    if out.runner is not None:
        found.append(("runner-up", out.runner[0]))
    found += [(f"{p.survives}, p99 {show(p.p99, 's')}", p.stack) for p in out.front]
    found += [(f"without {p.promise}", p.stack) for p in out.prices if p.stack is not None]
    seen: dict[Any, tuple[str, Stack]] = {}
    for name, stack in found:
        seen.setdefault(stack.key, (name, stack))
    return list(seen.values())


def _choice(name: str, told: str, scenario: Scenario) -> Choice:
    answer = quick(scenario)
    broken = [t.target.replace("_", " ") for t in answer.targets if not t.holds]
    keeps = f"breaks {', '.join(broken)}" if broken else "keeps what the quick answer judges"
    p99 = answer.latency.p99_seconds
    return Choice(name, told, scenario, float(answer.bill.monthly_usd), p99, keeps, not broken)


def _marked(found: list[Choice]) -> list[Choice]:
    """Those that no other beats in both get their mark; one without end is on no line."""

    def beats(q: Choice, p: Choice) -> bool:
        mine, theirs = (q.usd, q.p99_seconds), (p.usd, p.p99_seconds)
        return q.usd <= p.usd and q.p99_seconds <= p.p99_seconds and mine != theirs

    def beaten(p: Choice) -> bool:
        return any(beats(q, p) for q in found)

    return [replace(p, on_line=math.isfinite(p.p99_seconds) and not beaten(p)) for p in found]


def front_chart(made: Front) -> Figure:
    """Cost against p99; the line joins those that no other beats in both."""
    seen = [p for p in made.choices if math.isfinite(p.p99_seconds)]
    line = sorted((p for p in seen if p.on_line), key=lambda p: p.usd)
    joined = line_of([p.usd for p in line], [p.p99_seconds for p in line], "front", INK[6], hoverinfo="skip")
    told = (
        "<b>%{text}</b>: %{x:,.0f} USD a month, p99 %{y:.3g} s<br>%{customdata[0]}<br>%{customdata[1]}<extra></extra>"
    )
    dots: dict[str, Any] = {"type": "scatter", "mode": "markers", "name": "stacks", "hovertemplate": told}
    dots |= {"x": [p.usd for p in seen], "y": [p.p99_seconds for p in seen], "text": [p.name for p in seen]}
    dots["customdata"] = [[p.told, p.keeps, p.name] for p in seen]
    named = [
        {"x": p.usd, "y": p.p99_seconds, "text": p.name, "showarrow": False, "yshift": 16}
        for p in seen
        if p.name in ("today", "recommended")
    ]
    inks = [JUDGED["holds" if p.holds else "broken"] for p in seen]
    layout = layout_of("USD a month", "p99 latency, seconds", showlegend=False, annotations=named)
    layout["xaxis"] |= {"rangemode": "tozero"}
    layout["yaxis"] |= {"rangemode": "tozero"}
    return {"data": [joined, dots | {"marker": {"size": 13, "color": inks}}], "layout": layout}


def front_rows(made: Front) -> tuple[list[str], list[list[Cell]]]:
    """The stacks as a table."""
    rows = [
        [Cell(p.name, beside="on the front" if p.on_line else ""),
         Cell(f"{p.usd:,.0f}", "the month's bill of this stack: the quick answer's lines, quantity × unit price"),
         Cell(f"{p.p99_seconds:.3g} s" if math.isfinite(p.p99_seconds) else "without end", P99), Cell(p.told),
         Cell(p.keeps, judged="holds" if p.holds else "broken")]
        for p in made.choices
    ]  # fmt: skip
    return ["stack", "USD a month", "p99", "what it is", "quick answer"], rows
