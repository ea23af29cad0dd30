"""A recommendation under uncertainty: how likely each target breaks, which stack is regretted least, what to measure.

Every drawn world is screened for the recommended stack and for larger ones; worlds near a limit are simulated for the
recommended one. A world in which a stack breaks a target is the worst regret that the stack can have, never left out.
The value of knowing an unknown is how much less would be regretted if one could choose the stack after seeing it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Flow, Scenario
from models.units import show
from planner.bill import book_of, monthly_bill
from planner.candidates import MOST_VOLUME, Builder
from planner.candidates_limits import largest_volume
from planner.candidates_wants import Wants, peak_of
from planner.forecast import run_seed
from planner.recommend_search import SIGMA, Search, Table, margins, tabled
from planner.recommend_stack import Stack, built
from planner.recommend_trial import Seen, Trials
from planner.recommend_unknowns import Unknowns, World, draw
from planner.storage import document_bytes, stored_event_bytes
from planner.usage import Pace
from pricing.spread import totals
from simulator.screen import screen
from simulator.screen_numbers import NEARBY
from simulator.screen_parts import Parts, joined

if TYPE_CHECKING:
    from planner.recommend import Recommendation

Array = np.ndarray[Any, np.dtype[Any]]
LARGER = (1.15, 1.35, 1.65, 2.2)  # stacks are also sought for so many times the load
NEAR = 1.0  # standard deviations of the screen's error within which a world is simulated
BINS = 4  # of an unknown's draws, when it is asked what knowing it is worth
SHUFFLES = 60  # with which the same is asked of an unknown that tells nothing
CHANCE = 0.95  # of those shuffles: what is not above is put down to chance
QUANTILES = (0.1, 0.5, 0.9)
WORDS = {"loss": "the capacity that a loss leaves", "capacity": "capacity with its headroom, or the time to catch up",
         "disk": "the largest disk that a node takes"}  # fmt: skip


@dataclass
class Uncertainty:
    """What may come: quantiles over worlds, chances of breaking, regret of each stack, what each unknown is worth."""

    worlds: int
    simulated: int
    quantiles: dict[str, tuple[float, float, float]]
    breaks: dict[str, float]
    over_budget: float | None
    stacks: list[Stack]
    infeasible: list[float]
    regret: list[float]
    usd: list[float]
    least: int
    worth: list[tuple[str, float]]
    nowhere: float
    notes: list[str] = field(default_factory=list)
    near: int = 0  # worlds within the screen's error of a limit

    def as_dict(self) -> dict[str, Any]:
        return {
            "worlds": self.worlds, "simulated": self.simulated, "near_a_limit": self.near,
            "on_the_screen_alone": self.simulated == 0,
            "quantiles": {k: [_plain(x) for x in v] for k, v in self.quantiles.items()},
            "probability_of_breaking": self.breaks, "probability_over_budget": self.over_budget,
            "stacks": [{"stack": s.as_dict(), "probability_infeasible": p, "mean_regret_usd": r, "mean_usd": u}
                       for s, p, r, u in zip(self.stacks, self.infeasible, self.regret, self.usd, strict=True)],
            "least_regret": self.least, "no_stack_holds": self.nowhere,
            "worth_knowing_usd": [{"unknown": n, "usd_a_month": usd} for n, usd in self.worth], "notes": self.notes,
        }  # fmt: skip

    def _how(self) -> str:
        if not self.simulated:
            return f"on the screen alone: none was simulated, {self.near} lie within its error of a limit"
        if self.near > self.simulated:
            return f"{self.simulated} of the {self.near} near a limit simulated, the nearest first"
        return f"the {self.simulated} near a limit simulated"

    def lines(self) -> list[str]:
        told = [f"{self.worlds:,} drawn worlds, {self._how()}"]
        for name, (low, middle, high) in self.quantiles.items():
            unit = {"p99": "s"}.get(name, "")
            told.append(f"{name}: P10 {_said(low, unit)}, P50 {_said(middle, unit)}, P90 {_said(high, unit)}")
        for name, share in self.breaks.items():
            told.append(f"breaks {WORDS.get(name, name)} in {share:.0%} of them")
        if self.over_budget is not None:
            told.append(f"passes the budget in {self.over_budget:.0%} of them")
        best = self.stacks[self.least]
        if self.least:
            told.append(
                f"least regretted: {best.told()}, {self.usd[self.least] - self.usd[0]:+,.0f} USD a month on the mean, "
                f"breaks a target in {self.infeasible[self.least]:.0%} instead of {self.infeasible[0]:.0%}"
            )
        else:
            told.append("least regretted of those compared: the recommended one")
        if self.nowhere:
            told.append(f"in {self.nowhere:.0%} of the worlds none of the {len(self.stacks)} stacks compared holds")
        if self.worth and self.worth[0][1] > 0:
            told.append(
                "measure next: " + ", ".join(f"{n} (worth {usd:,.0f} USD a month)" for n, usd in self.worth[:3])
            )
        else:
            told.append("no one unknown is worth more to know than chance alone would make of these draws")
        return told + self.notes


def _plain(x: float) -> float | None:
    return x if math.isfinite(x) else None


def _said(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "without end"
    return show(value, unit) if unit else f"{value:,.4g}"


def uncertain(
    out: Recommendation, search: Search, unknowns: Unknowns, c: CoefficientSet, count: int, simulated: int,
    said: Callable[[str, int, int], None] = lambda *_: None,
) -> Uncertainty | None:  # fmt: skip
    """The recommendation held against drawn worlds, at most `simulated` of those near a limit simulated."""
    if out.best is None:
        return None
    scenario, wants, growth = out.given, out.wants, search.builder.growth
    worlds, normals = draw(unknowns, scenario, c, count, out.seed)
    stacks = [out.best, *_larger(search, out.best)]
    tables, factors = [], []
    for n, world in enumerate(worlds):
        if n % 32 == 0:
            said("worlds", n, len(worlds))
        tables.append(_numbers(world, stacks, growth))
        factors.append(_factors(world, scenario, c))
    table = _table(tables, stacks, len(worlds))
    holds, by_name, score = _judged(table, wants, stacks, factors, search, len(worlds))
    near, settled = _simulated(worlds, out.best, wants, out, growth, score, holds, by_name, simulated, said)
    cost = _costs(stacks, out, c, factors, len(worlds))
    regret = regrets(cost, holds)
    mean = regret.mean(axis=0)
    least = int(np.argmin(mean))
    p99 = table.p99.reshape(len(worlds), -1)[:, 0]
    asked = {"p99": p99, "USD a month": cost[:, 0],
             "capacity over the peak": table.sustainable.reshape(len(worlds), -1)[:, 0]}  # fmt: skip
    over = None if wants.budget is None else float((cost[:, 0] > wants.budget).mean())
    notes = ["p99 and capacity of the worlds are the screen's, good to some 10 % below 70 % load and to 60 % above"]
    return Uncertainty(
        len(worlds),
        settled,
        {k: _quantiles(v) for k, v in asked.items()},
        {name: float((~ok[:, 0]).mean()) for name, ok in by_name.items()},
        over,
        stacks,
        [float((~holds[:, s]).mean()) for s in range(len(stacks))],
        [float(x) for x in mean],
        [float(x) for x in cost.mean(axis=0)],
        least,
        worth_knowing(regret, normals, out.seed),
        float((~holds.any(axis=1)).mean()),
        notes,
        near,
    )


def _quantiles(values: Array) -> tuple[float, float, float]:
    low, middle, high = (float(q) for q in np.quantile(values, QUANTILES, method="lower"))
    return low, middle, high


def _larger(search: Search, best: Stack) -> list[Stack]:
    """The cheapest comfortable stacks for more load than is planned for."""
    old = search.builder
    found: list[Stack] = []
    for factor in LARGER:
        builder = Builder(old.scenario, old.c, search.wants, old.prices.region, old.growth * factor, old)
        stack = Search(builder, search.trials, search.wants).look()
        if stack is not None and stack.usd > best.usd and all(stack.key != s.key for s in found):
            found.append(stack)
    return found


def _numbers(world: World, stacks: Sequence[Stack], growth: float) -> dict[str, Array]:
    rates = [peak_of(f.workload) * growth for f in world.scenario.flows]
    parts = Parts(world.scenario, world.coefficients, rates, NEARBY)
    rows = np.arange(len(stacks))
    found = joined(parts.front([s.kafka.row for s in stacks]), parts.spark([s.spark.row for s in stacks]),
                   parts.search([s.search.row for s in stacks]), (rows, rows, rows))  # fmt: skip
    return {n: np.broadcast_to(v, (len(stacks), *v.shape[1:])) if len(v) == 1 else v for n, v in found.items()}


def _table(tables: list[dict[str, Array]], stacks: list[Stack], worlds: int) -> Table:
    numbers = {name: np.concatenate([t[name] for t in tables]) for name in tables[0]}
    at = np.tile(np.arange(len(stacks)), worlds)
    kafka, spark, search = ([getattr(s, part) for s in stacks] for part in ("kafka", "spark", "search"))
    return tabled(screen(numbers), kafka, spark, search, at, at)


def _factors(world: World, scenario: Scenario, c: CoefficientSet) -> tuple[float, float, float]:
    """Bytes on the brokers' and the data nodes' disks and through the stack, over those that were planned for."""

    def log(flow: Flow) -> float:
        return flow.workload.events_per_second * stored_event_bytes(flow) * flow.topic.retention * flow.topic.copies

    def index(flow: Flow, of: CoefficientSet) -> float:
        documents = flow.workload.events_per_second * flow.workload.documents_per_event
        return documents * document_bytes(flow, of) * flow.index.retention * flow.index.copies

    drawn = world.scenario.flows
    kafka = sum(map(log, drawn)) / sum(map(log, scenario.flows))
    nodes = sum(index(f, world.coefficients) for f in drawn) / max(1e-9, sum(index(f, c) for f in scenario.flows))
    flow = sum(f.workload.events_per_second * f.workload.value_bytes for f in drawn)
    return kafka, nodes, flow / sum(f.workload.events_per_second * f.workload.value_bytes for f in scenario.flows)


def _judged(
    table: Table,
    wants: Wants,
    stacks: list[Stack],
    factors: list[tuple[float, float, float]],
    search: Search,
    worlds: int,
) -> tuple[Array, dict[str, Array], Array]:
    """Whether each stack holds in each world, by target, and how near the tightest is [standard deviations]."""
    by_name = {}
    score = np.full((worlds, len(stacks)), np.inf)
    for name, margin in margins(table, wants).items():
        shaped = margin.reshape(worlds, len(stacks))
        by_name[name] = shaped >= 0
        score = np.minimum(score, shaped / SIGMA.get(name, SIGMA["p99"]))
    drawn = np.array(factors)  # disks are enlarged in place as they fill, up to the largest that a node takes
    room = np.array([[most_volume(s)[k] for s in stacks] for k in (0, 1)])
    by_name["disk"] = (drawn[:, 0:1] <= room[0]) & (drawn[:, 1:2] <= room[1])
    holds = np.ones((worlds, len(stacks)), dtype=bool)
    for ok in by_name.values():
        holds &= ok
    return holds, by_name, score


def most_volume(stack: Stack) -> tuple[float, float]:
    """How many times their size a stack's disks can be made: brokers', data nodes' [1]."""
    most, _ = largest_volume(stack.search.kind, stack.search.row.machine)
    return MOST_VOLUME / stack.kafka.volume, most / stack.search.volume


def _simulated(
    worlds: list[World], best: Stack, wants: Wants, out: Recommendation, growth: float, score: Array, holds: Array,
    by_name: dict[str, Array], most: int, said: Callable[[str, int, int], None],
) -> tuple[int, int]:  # fmt: skip
    """Settle by simulation the worlds in which the screen is not sure of the recommended stack; how many those are, and
    how many were simulated. One run tells a world: scatter between runs is among what the worlds draw."""
    near = [int(n) for n in np.argsort(np.abs(score[:, 0])) if abs(score[n, 0]) < NEAR and by_name["disk"][n, 0]]
    for k, n in enumerate(near[:most]):
        said("simulating worlds near a limit", k, min(most, len(near)))
        world = worlds[n]
        rates = [peak_of(f.workload) * growth for f in world.scenario.flows]
        trials = Trials(world.scenario, world.coefficients, rates, run_seed(out.seed, n), repeats=1)
        trials.seen[best.key] = Seen(static=())  # copies are the same in every world, and disks are judged apart
        seen = trials.judge(best, wants, out.region)
        holds[n, 0] = seen.holds
        for ok in by_name.values():
            ok[n, 0] = True
        if seen.excuse is not None:
            name = {"p99": "p99", "p50": "p50"}.get(seen.excuse.constraint, "capacity")
            by_name.setdefault(name, np.ones_like(holds))[n, 0] = False
    return len(near), min(most, len(near))


def _costs(
    stacks: list[Stack], out: Recommendation, c: CoefficientSet, factors: list[tuple[float, float, float]], worlds: int
) -> Array:
    """Each stack's month in each world [USD]: disks grow where they must, what is metered follows the bytes, prices are
    drawn too."""
    drawn = np.array(factors)
    found: list[Array] = []
    for stack in stacks:
        made = built(out.given, stack, out.region)
        pace = {f.name: Pace(f.query.trigger if f.query.trigger > 0 else 1.0) for f in made.flows}
        bill = monthly_bill(made, c, seed=out.seed, pace=pace).bill
        metered = sum(float(x.monthly_usd) for x in bill.lines if x.scaling == "scaling")
        book = book_of(made.money)
        price = totals([bill], book, out.seed, worlds) / max(1e-9, float(bill.monthly_usd))
        disks = {part: sum(float(x.monthly_usd) for x in bill.lines if x.kind == "storage" and x.system == part)
                 for part in ("kafka", "elasticsearch")}  # fmt: skip
        more = sum(disks[part] * np.maximum(0.0, drawn[:, k] / _room(stack, stacks[0])[k] - 1)
                   for k, part in enumerate(("kafka", "elasticsearch")))  # fmt: skip
        found.append((float(bill.monthly_usd) - metered + metered * drawn[:, 2] + more) * price)
    return np.stack(found, axis=1)


def _room(stack: Stack, best: Stack) -> tuple[float, float]:
    """A stack's disks over those of the recommended one, which hold the load that is planned for [1]."""
    nodes = stack.search.volume * stack.search.row.nodes / (best.search.volume * best.search.row.nodes)
    return stack.kafka.volume * stack.kafka.row.brokers / (best.kafka.volume * best.kafka.row.brokers), nodes


def regrets(cost: Array, holds: Array) -> Array:
    """What one would have saved by the best choice for each world, [worlds, stacks]; to break is the worst of all.

    >>> regrets(np.array([[1.0, 3.0], [1.0, 3.0]]), np.array([[True, True], [False, True]])).tolist()
    [[0.0, 2.0], [5.0, 0.0]]
    """
    least = np.where(holds, cost, np.inf).min(axis=1, keepdims=True)
    saved = cost - np.where(np.isfinite(least), least, cost.min(axis=1, keepdims=True))
    worst = float(np.where(holds, saved, 0.0).max()) + float(cost.max())
    return np.where(holds, saved, worst)


def worth_knowing(regret: Array, normals: dict[str, Array], seed: int) -> list[tuple[str, float]]:
    """What knowing each unknown before choosing is worth [USD a month], the most valuable first.

    The draws are cut into bins of the unknown; what the best choice in each bin regrets less than the best choice for
    all, less what chance alone may make of that (19 of 20 shuffles of the draws make less).
    """
    rng = np.random.default_rng((seed, 0x4E))
    chance = float(np.quantile([_told(regret, rng.permutation(len(regret))) for _ in range(SHUFFLES)], CHANCE))
    found = [(name, max(0.0, _told(regret, np.argsort(z, kind="stable")) - chance)) for name, z in normals.items()]
    return sorted(found, key=lambda pair: (-pair[1], pair[0]))


def _told(regret: Array, order: Array) -> float:
    whole = float(regret.mean(axis=0).min())
    bins = np.array_split(regret[order], BINS)
    return whole - sum(len(b) * float(b.mean(axis=0).min()) for b in bins) / len(regret)


__all__ = ["Uncertainty", "regrets", "replace", "uncertain", "worth_knowing"]
