"""Growth: when the stack of day 1 stops holding, and the smallest step that carries it on, dated, to the horizon.

Steps add nodes or take larger ones of the same kind, or of any kind where that does not do; what cannot be taken back
(partitions, state partitions) is the same from day 1 on. Where a month cannot be reached with day 1's, the last month
is searched for what it needs, and day 1 is sought again with no fewer (`floors`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.bill import monthly_bill
from planner.candidates import SYSTEMS, Builder, Excuse
from planner.candidates_wants import FIRST_MONTHS, growth_of
from planner.recommend_search import Found, Search, chance, margins, screened
from planner.recommend_stack import Stack, built
from planner.recommend_trial import Outcome, Trials

if TYPE_CHECKING:
    from planner.recommend import Recommendation

TRIALS = 10  # of one step's search


@dataclass(frozen=True)
class Step:
    """A change in a month to come (1 is the first), what it makes of the stack, and the month's bill then."""

    month: int
    why: str
    stack: Stack
    outcome: Outcome | None
    monthly_usd: float
    p90_usd: float
    until: int

    def as_dict(self) -> dict[str, Any]:
        return {"month": self.month, "why": self.why, "stack": self.stack.as_dict(), "until_month": self.until,
                "monthly_usd": round(self.monthly_usd, 2), "p90_usd": round(self.p90_usd, 2),
                "outcome": self.outcome and self.outcome.as_dict()}  # fmt: skip


def grown(out: Recommendation, search: Search, c: CoefficientSet) -> tuple[list[Step], list[str], int | None]:
    """The steps after day 1, what a reader must know of them, and the month that nothing carries, if there is one."""
    scenario, wants, best = out.given, out.wants, out.best
    if best is None:
        return [], [], None
    last, steps, notes, now, month = wants.months, [], [], best, wants.growth_to_first
    missed = None
    if growth_of(scenario, last - 1) == growth_of(scenario, wants.growth_to_first - 1):
        if last > 1:
            bill = monthly_bill(built(scenario, best, out.region), c, seed=out.seed, pace=_pace(out))
            notes.append(
                f"the load does not grow: day 1's stack lasts all {last} months at {bill.monthly_usd:,.0f} USD"
            )
        return [], notes, None
    while month < last:
        breaks = _first_break(search, now, month, last)
        if breaks is None:
            break
        until = min(last, breaks + FIRST_MONTHS - 1)
        found = _next(search, now, until)
        if found.best is None:
            missed = breaks
            break
        bill = monthly_bill(_loaded(out, found.best, until), c, seed=out.seed, pace=_pace(out, found.best))
        steps.append(Step(breaks, _changes(now, found.best), found.best, found.outcome, float(bill.monthly_usd),
                          bill.range.p90_usd, until))  # fmt: skip
        now, month = found.best, until
    final = monthly_bill(_loaded(out, now, last), c, seed=out.seed, pace=_pace(out, now))
    if steps:
        steps[-1] = replace(steps[-1], monthly_usd=float(final.monthly_usd), p90_usd=final.range.p90_usd, until=last)
    else:
        why = "no change: day 1's stack lasts to the horizon, disks enlarged in place as they fill"
        steps = [] if missed else [
            Step(last, why, now, None, float(final.monthly_usd), final.range.p90_usd, last)
        ]  # fmt: skip
    return steps, notes, missed


def floors(search: Search, trials: int) -> tuple[Stack | None, list[Excuse]]:
    """The cheapest stack of the last month, whatever day 1 has: what cannot grow later must be bought for it at once.

    With None, what the last month's stacks fell short of.
    """
    old, month = search.builder, search.wants.months
    builder = Builder(old.scenario, old.c, search.wants, old.prices.region, growth_of(old.scenario, month - 1), old)
    other = Search(builder, _trials(search, month), search.wants, search.said)
    found = other.solve(trials)
    if found.interrupted:
        raise KeyboardInterrupt
    failed = [outcome.excuse for _, outcome in found.outcomes if outcome.excuse is not None]
    return found.best, [*failed, *other.nearest(), *builder.excuses]


def _pace(out: Recommendation, stack: Stack | None = None) -> Any:
    from planner.usage import Pace

    triggers = (stack or out.best).spark.row.triggers  # type: ignore[union-attr]
    return {f.name: Pace(t if t > 0 else 1.0) for f, t in zip(out.given.flows, triggers, strict=True)}


def _loaded(out: Recommendation, stack: Stack, month: int) -> Any:
    """The stack's scenario with the load of a month to come (1 is the first)."""
    made = built(out.given, stack, out.region)
    factor = growth_of(out.given, month - 1)
    flows = []
    for flow in made.flows:
        load = flow.workload
        scaled: dict[str, Any] = {"steps": tuple((d, r * factor) for d, r in load.steps)}
        if not load.steps:
            scaled = {"rate": load.events_per_second * factor, "size": load.event_bytes, "bytes_per_second": None}
        flows.append(flow.model_copy(update={"workload": load.model_copy(update=scaled)}))
    return made.model_copy(update={"flows": tuple(flows)})


def _first_break(search: Search, stack: Stack, month: int, last: int) -> int | None:
    """First month after one in which the stack no longer holds: guessed by the screen, settled by simulation."""
    scenario = search.builder.scenario
    months = list(range(month + 1, last + 1))
    scores = [_score(search, stack, growth_of(scenario, m - 1)) for m in months]
    low, high = 0, len(months)  # months[:low] hold, months[high:] do not
    guess = next((n for n, score in enumerate(scores) if score < 0), len(months) - 1)
    while low < high:
        n = min(max(guess, low), high - 1)
        if _holds(search, stack, months[n]):
            low = n + 1
        else:
            high = n
        guess = (low + high) // 2
    return months[low] if low < len(months) else None


def _score(search: Search, stack: Stack, growth: float) -> float:
    old = search.builder
    builder = Builder(old.scenario, old.c, search.wants, old.prices.region, growth, old)
    zero = np.zeros(1, dtype=np.int64)
    table = screened(builder, [stack.kafka], [stack.spark], [stack.search], zero, zero)
    return float(chance(table, margins(table, search.wants))[0])


def _trials(search: Search, month: int) -> Trials:
    factor = growth_of(search.builder.scenario, month - 1)
    rates = [r * factor for r in search.wants.peaks]
    kept = search.__dict__.setdefault("_later", {})
    if month not in kept:
        kept[month] = Trials(search.builder.scenario, search.builder.c, rates, search.trials.seed)
    return kept[month]  # type: ignore[no-any-return]


def _holds(search: Search, stack: Stack, month: int) -> bool:
    """Whether the stack carries a month's load; its disks are enlarged in place as they fill."""
    growth = growth_of(search.builder.scenario, month - 1)
    old = search.builder
    builder = Builder(old.scenario, old.c, search.wants, old.prices.region, growth, old)
    row = stack.kafka.row
    loads = builder._loads([row], row.partitions, 1.0)
    if max(float(v[0]) for v in loads.values()) * search.wants.headroom > 1:
        return False
    return _trials(search, month).judge(stack, search.wants, search.builder.prices.region).holds


def _next(search: Search, now: Stack, month: int) -> Found:
    """The cheapest stack that carries a month with today's one-way settings, nothing made smaller: on machines of
    today's families, or of any."""
    found = _on(search, now, month, True)
    return found if found.best is not None else _on(search, now, month, False)


def _on(search: Search, now: Stack, month: int, same_families: bool) -> Found:
    growth = growth_of(search.builder.scenario, month - 1)
    old = search.builder
    builder = Builder(old.scenario, old.c, search.wants, old.prices.region, growth, old)
    families = dict.fromkeys(SYSTEMS, "")
    if same_families:
        families = {system: m.split(".")[0] for system, m in zip(SYSTEMS, now.machines, strict=True)}
    parts, triggers = now.kafka.row.partitions, now.spark.row.triggers
    brokers = [k for k in builder.brokers(families["kafka"]) if k.row.partitions == parts
               and (k.row.brokers >= now.kafka.row.brokers or not same_families) and math.isfinite(k.usd)]  # fmt: skip
    spark = [
        s
        for s in builder.executors(scales=[parts], triggers=[triggers], only=families["spark"], most_usd=6 * now.usd)
        if s.row.shuffles == now.spark.row.shuffles
    ]
    nodes = [d for d in builder.data_nodes(only=families["elasticsearch"], most_usd=6 * now.usd)
             if (d.row.nodes >= now.search.row.nodes or not same_families) and math.isfinite(d.usd)]  # fmt: skip
    other = Search.__new__(Search)
    other.__dict__.update(search.__dict__)
    other.builder, other.trials = builder, _trials(search, month)
    if not brokers or not spark or not nodes:
        return Found()
    other._kafka = {parts: min(brokers, key=lambda k: k.usd)}
    found = Found()
    bound = min(s.usd for s in spark) + min(d.usd for d in nodes) + other._kafka[parts].usd
    for _ in range(8):
        bound = max(bound * 1.3, now.usd)
        other._pairs(spark, nodes, bound, 60_000, keep=True)
        other.decide(found, search.wants, TRIALS)
        if found.best is not None:
            break
    return found


def by_month(out: Recommendation) -> list[Scenario]:
    """The stack of each month of the horizon, day 1's until the first step."""
    if out.best is None:
        return []
    starts = {1: out.best} | {step.month: step.stack for step in out.steps}
    stacks, now = [], out.best
    for month in range(1, out.wants.months + 1):
        now = starts.get(month, now)
        stacks.append(built(out.given, now, out.region))
    return stacks


def _changes(now: Stack, then: Stack) -> str:
    """What a step changes, in words."""
    pairs = [
        (
            "brokers",
            f"{now.kafka.row.brokers} x {now.kafka.row.machine}",
            f"{then.kafka.row.brokers} x {then.kafka.row.machine}",
        ),
        (
            "executors",
            f"{now.spark.row.executors} x {now.spark.row.machine}",
            f"{then.spark.row.executors} x {then.spark.row.machine}",
        ),
        (
            "data nodes",
            f"{now.search.row.nodes} x {now.search.row.machine}",
            f"{then.search.row.nodes} x {then.search.row.machine}",
        ),
        ("primaries (from the next rollover)", str(now.search.row.primaries), str(then.search.row.primaries)),
    ]
    told = [f"{what} {a} → {b}" for what, a, b in pairs if a != b]
    return "; ".join(told) or "disks enlarged"
