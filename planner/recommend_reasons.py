"""Reasons: the runner-up, why each family was not taken, and what each promise costs.

The price of a promise is the difference to the cheapest stack without it, found by the same search: the third copy,
the second zone, the last second of p99.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.elasticsearch import watermark_bytes
from models.stack import Scenario
from models.storage import index_life_seconds
from planner.candidates import SYSTEMS, Builder, DataNodes, Excuse, Executors
from planner.candidates_wants import Wants
from planner.recommend_search import Found, Search, Table, chance, margins, screened
from planner.recommend_stack import Stack
from planner.recommend_trial import Outcome
from planner.storage import index_at

LIKELY = 0.0  # standard deviations from which the screen counts a family's stack as one that would hold
MOST_RELAXED = 60_000  # stacks screened for the price of one promise


@dataclass(frozen=True)
class TargetPrice:
    """What a promise costs a month: the cheapest stack with it less the cheapest without."""

    promise: str
    without: str
    saved_usd: float
    stack: Stack | None
    proven: bool

    def as_dict(self) -> dict[str, Any]:
        return {"promise": self.promise, "without": self.without, "saved_usd": round(self.saved_usd, 2),
                "proven": self.proven, "stack": self.stack and self.stack.as_dict()}  # fmt: skip


def runner_up(search: Search, found: Found, others: list[Stack], trials: int = 8) -> tuple[Stack, Outcome] | None:
    """The cheapest other stack that holds, on another machine somewhere. Joint stacks are ranked, not their parts."""
    best, table = found.best, search.table
    if best is None:
        return None
    score = chance(table, margins(table, search.wants))
    rows = np.flatnonzero((score >= LIKELY) & search._few_enough(table, search.wants) & (table.usd >= best.usd - 0.005))
    nearest = sorted(rows, key=lambda r: table.usd[r])[: 50 * trials]
    stacks = [s for s in (table.stack(int(r)) for r in nearest) if s.machines != best.machines]
    stacks += [s for s, outcome in found.outcomes if outcome.holds and s.machines != best.machines]
    for stack in sorted([*stacks, *others], key=lambda s: s.usd)[:trials]:
        outcome = search.trials.judge(stack, search.wants, search.builder.prices.region)
        if outcome.holds:
            return stack, outcome
    return None


def family_excuses(search: Search, found: Found) -> tuple[list[Excuse], list[Stack]]:
    """Of each family that was not taken, in each system: the nearest it came, the other two systems as recommended.

    And the stacks among them that the screen would take.
    """
    best = found.best
    if best is None:
        return [], []
    out: list[Excuse | None] = []
    stacks: list[Stack] = []
    taken = dict(zip(SYSTEMS, (m.split(".")[0] for m in best.machines), strict=True))
    for system in SYSTEMS:
        for kind in search.builder.kinds[system]:
            search.builder._machines(system, kind)
        families = {b.family for kind in search.builder.kinds[system] for b in search.builder._usable[system, kind][0]}
        for family in sorted(families - {taken[system]}):
            out.append(_family(search, best, system, family, stacks))
    return [e for e in out if e is not None], stacks


def _family(search: Search, best: Stack, system: str, family: str, stacks: list[Stack]) -> Excuse | None:
    before = len(search.builder.excuses)
    table = _with_family(search, best, system, family)
    fresh = search.builder.excuses[before:]
    del search.builder.excuses[before:]
    if table is None or not len(table):
        near = min(fresh, key=lambda e: e.short, default=None)
        return near and replace(near, system=system)
    facts = margins(table, search.wants)
    score = chance(table, facts)
    good = np.flatnonzero((score >= LIKELY) & search._few_enough(table, search.wants))
    if not len(good):
        return _nearest(table, facts, score, system, family)
    row = int(good[np.argmin(table.usd[good])])
    stack = table.stack(row)
    stacks.append(stack)
    mine, theirs = _part(best, system), _part(stack, system)
    if stack.usd <= best.usd:
        return Excuse(system, _name(stack, system), "simulation", best.usd, stack.usd, "USD a month",
                      "the screen would take it; it was not among those that were simulated and held")  # fmt: skip
    cut = (stack.usd - best.usd) / theirs
    change = f"{cut:.0%} off its price, {stack.usd - best.usd:,.0f} USD a month" if cut < 1 else "a smaller size of it"
    return Excuse(system, _name(stack, system), "price", mine, theirs, "USD a month", change)


def _with_family(search: Search, best: Stack, system: str, family: str) -> Table | None:
    builder, scales, triggers = search.builder, [best.kafka.row.partitions], [best.spark.row.triggers]
    dearest = 4 * best.usd
    if system == "kafka":
        made = [k for k in builder.brokers(family) if k.row.partitions == scales[0] and math.isfinite(k.usd)]
        if not made:
            return None
        at = np.arange(len(made))
        return screened(builder, made, [best.spark] * len(made), [best.search], at, np.zeros(len(made), dtype=int))
    if system == "spark":
        spark = list(builder.executors(scales=scales, triggers=triggers, most_usd=dearest, only=family))
        at = np.arange(len(spark))
        return _one(builder, best, spark, [best.search], at, np.zeros(len(spark), dtype=int)) if spark else None
    nodes = [d for d in builder.data_nodes(most_usd=dearest, only=family) if math.isfinite(d.usd)]
    at = np.arange(len(nodes))
    return _one(builder, best, [best.spark], nodes, np.zeros(len(nodes), dtype=int), at) if nodes else None


def _one(builder: Builder, best: Stack, spark: list[Executors], nodes: list[DataNodes], s: Any, e: Any) -> Table:
    return screened(builder, [best.kafka] * len(spark), spark, nodes, s, e)


def _nearest(table: Table, facts: dict[str, Any], score: Any, system: str, family: str) -> Excuse:
    row = int(np.argmax(np.nan_to_num(score, neginf=-1e9)))
    name = min(facts, key=lambda n: float(facts[n][row]))
    short = math.exp(-float(facts[name][row])) if math.isfinite(facts[name][row]) else math.inf
    stack = table.stack(row)
    return Excuse(system, _name(stack, system), str(table.binding[row]) if name == "capacity" else name, short, 1.0,
                  "1", f"{short:.2g} times as much of it")  # fmt: skip


def _part(stack: Stack, system: str) -> float:
    return {"kafka": stack.kafka.usd, "spark": stack.spark.usd, "elasticsearch": stack.search.usd}[system]


def _name(stack: Stack, system: str) -> str:
    k, s, e = stack.kafka.row, stack.spark.row, stack.search.row
    told = {"kafka": f"{k.brokers} x {k.machine}", "spark": f"{s.executors} x {s.machine}"}
    return told.get(system, f"{e.nodes} x {e.machine}")


def zone_loss(scenario: Scenario, c: CoefficientSet) -> list[str]:
    """What a lost zone leaves: the survivors' disks, with forced awareness and without, and the quorum."""
    search = scenario.elasticsearch
    nodes, gone = search.data_nodes, -(-search.data_nodes // search.zones)
    life = max(index_life_seconds(f.index.retention, f.index.rollover) for f in scenario.flows)
    own = max(index_at(scenario, c, nodes, transient=False, relieve=False)(life)) / search.volume.size
    rebuilt = max(index_at(scenario, c, nodes - gone, transient=False, relieve=False)(life)) / search.volume.size
    marks = watermark_bytes(search.volume.size, search.kind, search.version, search.free_space_rule)
    low, block = marks["low"] / search.volume.size, marks["write_block"] / search.volume.size
    after = (
        "they hold them" if rebuilt <= low else f"the low mark ({low:.0%}) leaves copies unassigned until it is back"
    )
    set_by = (
        "AWS places copies: ask for Multi-AZ with standby" if search.kind == "opensearch-service" else "paste sets it"
    )
    told = [f"a zone lost, awareness forced ({set_by}): disks stay {own:.0%} full, writes stop at {block:.0%}",
            f"a zone lost, not forced: its copies are built anew on the rest, {rebuilt:.0%} full; {after}"]  # fmt: skip
    voters = search.managers or nodes
    lost = -(-voters // search.zones)
    told.append(f"quorum: {voters - lost} of {voters} {'managers' if search.managers else 'data nodes'} are left, "
                f"{voters // 2 + 1} needed")  # fmt: skip
    return told


# ---------------------------------------------------------------- the price of promises


def relaxed(wants: Wants, scenario: Any) -> list[tuple[str, str, Wants]]:
    """Each promise, in words what it is taken to be without, and the wants so loosened."""
    found: list[tuple[str, str, Wants]] = []
    if wants.p99 is not None:
        looser = wants.p99 + 1.0
        found.append((f"the last second of p99 ({wants.p99:g} s)", f"p99 {looser:g} s", replace(wants, p99=looser)))
    if wants.catch_up is not None:
        found.append((f"catching up within {wants.catch_up:g} s", "no promise", replace(wants, catch_up=None)))
    if wants.headroom > 1:
        found.append((f"throughput headroom {wants.headroom:g}", "headroom 1", replace(wants, headroom=1.0)))
    if "zone" in wants.survive:
        left = tuple(loss for loss in wants.survive if loss != "zone")
        kept = max(f.topic.copies for f in scenario.flows)
        found.append(("surviving a zone, in zones of its own", "one zone (MSK: two)",
                      replace(wants, survive=left, topic_floor=kept)))  # fmt: skip
    elif wants.survive:
        found.append((f"surviving the loss of a {' or '.join(wants.survive)}", "none", replace(wants, survive=())))
    topics, indices = (max(getattr(f, part).copies for f in scenario.flows) for part in ("topic", "index"))
    if topics > 1:
        floor = replace(wants, topic_floor=topics - 1, survive=_survivable(wants, topics - 1, "topic"))
        found.append((f"topic copy {topics}", f"{topics - 1} copies", floor))
    if indices > 1:
        floor = replace(wants, index_floor=indices - 1, survive=_survivable(wants, indices - 1, "index"))
        found.append((f"index copy {indices}", f"{indices - 1} copies", floor))
    if wants.most_nodes is not None:
        found.append((f"at most {wants.most_nodes} nodes", "any number", replace(wants, most_nodes=None)))
    if wants.families:
        found.append((f"families {', '.join(wants.families)} only", "every family", replace(wants, families=())))
    return found


def _survivable(wants: Wants, copies: int, what: str) -> tuple[str, ...]:
    """The losses that so many copies can still survive: the copy's price includes the promises it carries."""
    if copies >= 2:
        return wants.survive if what == "index" else tuple(x for x in wants.survive if x != "zone" or copies > 2)
    gone = {"topic": {"broker", "zone"}, "index": {"data-node", "zone"}}[what]
    return tuple(loss for loss in wants.survive if loss not in gone)


def price_of_targets(
    search: Search, found: Found, trials: int, said: Callable[[str, int, int], None]
) -> list[TargetPrice]:
    """What each promise costs, by the cheapest stack without it."""
    best = found.best
    out: list[TargetPrice] = []
    if best is None:
        return out
    todo = relaxed(search.wants, search.builder.scenario)
    for n, (promise, without, wants) in enumerate(todo):
        said(f"without {promise}", n, len(todo))
        cheaper = solved_below(search, wants, best, found, trials)
        saved = best.usd - cheaper.best.usd if cheaper.best is not None else 0.0
        out.append(TargetPrice(promise, without, max(0.0, saved), cheaper.best, cheaper.untried == 0))
    return out


def solved_below(search: Search, wants: Wants, best: Stack, found: Found, trials: int) -> Found:
    """The cheapest stack under looser wants; what holds under stricter ones holds still, so that one is the bound."""
    old = search.builder
    builder = Builder(old.scenario, old.c, wants, old.prices.region, old.growth, old)
    other = Search(builder, search.trials, wants)
    other._ideal_search, other._ideal_spark = search._ideal_search, search._ideal_spark
    answer = Found(best=best, outcome=found.outcome)
    if not other._kafka:
        return answer
    for until_likely in (True, False):  # all that is cheaper, unless a likely one is met before and holds
        other.enumerate(best.usd, MOST_RELAXED // len(old.scenario.flows), until_likely)
        other.decide(answer, wants, trials)
        if answer.best is not best or other.complete_below >= best.usd:
            break
    answer.untried += other.complete_below < answer.best.usd if answer.best is not None else 0
    return answer


__all__ = ["TargetPrice", "family_excuses", "price_of_targets", "relaxed", "runner_up", "solved_below"]
