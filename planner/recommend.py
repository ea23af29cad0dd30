"""Which stack to buy: the cheapest one that keeps its promises, with the reasons, the runner-up and the price of each.

All three systems are chosen together, for every flow through them. The answer is the stack of day 1; what growth asks
for later is a list of dated steps. A recommendation is a scenario again: `recommendation.scenario` can be forecast,
billed, and given back as what runs today.
"""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from models.coefficients import CoefficientSet
from models.spark import AVAILABLE_NOW
from models.stack import Scenario
from planner.bill import MonthlyBill, monthly_bill
from planner.candidates import Builder, Excuse
from planner.candidates_wants import Wants, growth_of, wants_of
from planner.domain import domain_of
from planner.forecast import coefficients_of
from planner.front import Point, front
from planner.migrate import commitments
from planner.recommend_faults import unwatched
from planner.recommend_growth import Step, by_month
from planner.recommend_horizon import to_the_horizon
from planner.recommend_reasons import TargetPrice, family_excuses, price_of_targets, runner_up, zone_loss
from planner.recommend_rollover import rolled_over
from planner.recommend_search import TRIALS, Found, Search, screened
from planner.recommend_stack import Stack, built
from planner.recommend_trial import Outcome, Trials
from planner.refusal import ScenarioError
from planner.shown import Shown

if TYPE_CHECKING:
    from planner.migrate import Migration
    from planner.recommend_uncertain import Uncertainty
    from planner.recommend_unknowns import Unknowns

SCHEMA_VERSION = 1
DRAWS, SIMULATED = 256, 64  # worlds of an uncertain recommendation; at most so many of those near a limit simulated
BINDS = {
    "kafka": ("broker CPU", "kafka network in", "kafka network out", "kafka volume"),
    "search": ("data-node CPU", "write threads", "refresh threads", "bytes in flight", "data-node network",
               "data-node volume"),
    "spark": ("executor CPU", "task slots", "executor network", "batch over trigger"),
}  # fmt: skip
MEASURED_BY = {  # coefficients of each part, and the test that measures them
    "kafka": (("kafka.",), "`floodmark calibrate` on your brokers, or the laboratory's kafka-3-copies-acks-all"),
    "search": (("search.", "index."), "`floodmark calibrate` on your index, or the laboratory's bulk-2x1000-replica"),
    "spark": (("spark.", "sink."), "`floodmark calibrate` on your query, or the laboratory's pipe-10s"),
}
Progress = Callable[[str, int, int], None]


@dataclass
class Recommendation(Shown):
    """The stack to buy and why. `best` is None where nothing holds; `excuses` then say what was short."""

    given: Scenario
    wants: Wants
    region: str
    seed: int
    best: Stack | None
    outcome: Outcome | None
    scenario: Scenario | None
    bill: MonthlyBill | None
    runner: tuple[Stack, Outcome] | None
    steps: list[Step]
    prices: list[TargetPrice]
    excuses: list[Excuse]
    families: list[Excuse]
    untried: int
    counts: dict[str, int]
    unmeasured: str
    notes: list[str] = field(default_factory=list)
    interrupted: bool = False
    front: list[Point] = field(default_factory=list)
    zone_loss: list[str] = field(default_factory=list)
    commit: dict[str, int] = field(default_factory=dict)
    migration: Migration | None = None
    uncertainty: Uncertainty | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether a stack was found that keeps every want, the budget included."""
        return self.best is not None and self.within_budget

    @property
    def worst_p90_usd(self) -> float:
        """P90 of the dearest month of the horizon [USD]."""
        months = [self.bill.range.p90_usd] if self.bill is not None else []
        return max([*months, *(step.p90_usd for step in self.steps)], default=math.nan)

    @property
    def within_budget(self) -> bool:
        return self.wants.budget is None or self.worst_p90_usd <= self.wants.budget

    def as_dict(self) -> dict[str, Any]:
        from planner.recommend_text import as_dict

        return as_dict(self)

    def as_text(self) -> str:
        from planner.recommend_text import page

        return page(self).as_text()


def recommend(
    scenario: Scenario, *, seed: int = 1, trials: int = TRIALS, reasons: bool = True, today: Scenario | None = None,
    progress: Progress | None = None, unknowns: Unknowns | None = None, draws: int = DRAWS, simulated: int = SIMULATED,
    **wanted: Any,
) -> Recommendation:  # fmt: skip
    """The cheapest stack that keeps the scenario's targets. `wanted` overrides wants by name (p99=10.0, months=12).

    With `unknowns` the answer is held against so many drawn worlds, of which `simulated` at most are simulated where
    they lie near a limit (0: the screen alone). `today` is what runs: partitions never shrink
    below it, and the way from there is told in steps.
    Raises ScenarioError for what cannot be searched.
    """
    began = time.perf_counter()
    if refused := unsearchable(scenario):
        raise ScenarioError(refused)
    if unknown := set(wanted) - {f.name for f in fields(Wants)}:
        raise ScenarioError(unknown_wants(unknown))
    wants = _kept(wants_of(scenario, **wanted), today)
    coefficients, said = coefficients_of(scenario), progress or (lambda *_: None)
    scenario, rolled = rolled_over(scenario, coefficients)
    first = growth_of(scenario, wants.growth_to_first - 1)
    trials_made = Trials(scenario, coefficients, [r * first for r in wants.peaks], seed, lambda text: said(text, 0, 0))
    regions = {}
    for region in wants.regions:
        search = Search(Builder(scenario, coefficients, wants, region, first), trials_made, wants, said)
        regions[region] = search, search.solve(trials)
    seconds = {"search": time.perf_counter() - began}
    region = min(regions, key=lambda r: _usd(regions[r][1]))
    search, found = regions[region]
    out = _answer(scenario, wants, search, found, region=region, seed=seed, c=coefficients)
    if out.best is not None and not out.interrupted:
        answer = partial(_answer, scenario, region=region, seed=seed, c=coefficients)
        out, search, found = to_the_horizon(out, search, found, trials, answer, said)
    out.seconds = seconds | {"growth": time.perf_counter() - began}
    out.notes += [*rolled, *(unwatched(scenario, wants.survive) if out.best is not None else [])]
    if out.best is not None and reasons and not out.interrupted:
        _reasons(out, search, found, coefficients, trials, said)
    if out.best is not None and unknowns is not None and not out.interrupted:
        from planner.recommend_uncertain import uncertain

        try:
            out.uncertainty = uncertain(out, search, unknowns, coefficients, draws, simulated, said)
        except KeyboardInterrupt:
            out.interrupted = True
        out.seconds["uncertainty"] = time.perf_counter() - began
    if out.best is not None and today is not None:
        from planner.migrate import migration

        out.migration = migration(today, out.scenario or today, coefficients)
    out.seconds["all"] = time.perf_counter() - began
    return out


def unknown_wants(unknown: set[str]) -> list[str]:
    known, told = [f.name for f in fields(Wants)], []
    for name in sorted(unknown):
        near = difflib.get_close_matches(name, known, n=1)
        told.append(f"{name} is no want; " + (f"did you mean {near[0]}?" if near else f"expected {', '.join(known)}"))
    return told


def unsearchable(scenario: Scenario) -> list[str]:
    """Why a scenario's stack cannot be searched, a line each."""
    found = []
    for part in ("kafka", "spark", "elasticsearch"):
        if hosts := getattr(scenario, part).hosts:
            found.append(
                f"{part}.hosts = {', '.join(hosts)}; expected none: machines are what is searched (settings_only keeps "
                "them and searches settings)"
            )
    return found + ends(scenario)


def ends(scenario: Scenario) -> list[str]:
    """Queries that end by themselves, a line each."""
    found = []
    for k, flow in enumerate(scenario.flows):
        if flow.query.trigger == AVAILABLE_NOW:
            found.append(f"flows[{k}].query.trigger = 'available now'; expected a trigger: it has no latency to keep")
    return found


def _kept(wants: Wants, today: Scenario | None) -> Wants:
    """What runs today bounds what can come: partitions never shrink, nor do volumes."""
    if today is None:
        return wants
    return replace(
        wants,
        least_partitions=tuple(f.topic.partitions for f in today.flows),
        least_volumes=(today.kafka.volume.size, today.elasticsearch.volume.size),
    )


def _usd(found: Found) -> float:
    return found.best.usd if found.best is not None else math.inf


def _answer(
    scenario: Scenario, wants: Wants, search: Search, found: Found, *, region: str, seed: int, c: CoefficientSet
) -> Recommendation:
    best = found.best
    made = built(scenario, best, region) if best is not None else None
    bill = monthly_bill(made, c, seed=seed, pace=_pace(made)) if made is not None else None
    counts = {"settings": search.builder.considered, "screened": found.screened, "simulated": search.trials.stacks,
              "runs": search.trials.runs}  # fmt: skip
    failed = [outcome.excuse for _, outcome in found.outcomes if outcome.excuse is not None]
    failed += [] if best is not None else search.nearest()
    return Recommendation(
        scenario,
        wants,
        region,
        seed,
        best,
        found.outcome,
        made,
        bill,
        None,
        [],
        [],
        [*failed, *search.builder.excuses],
        [],
        found.untried,
        counts,
        _unmeasured(made or scenario, c, _binding(search, best)),
        interrupted=found.interrupted,
    )


def _binding(search: Search, best: Stack | None) -> str:
    """What is fullest at the sustainable rate, as the screen sees it."""
    if best is None:
        return ""
    zero = np.zeros(1, dtype=np.int64)
    return str(screened(search.builder, [best.kafka], [best.spark], [best.search], zero, zero).binding[0])


def _pace(scenario: Scenario) -> Any:
    from planner.usage import Pace

    return {f.name: Pace(f.query.trigger if f.query.trigger > 0 else 1.0) for f in scenario.flows}


def _reasons(out: Recommendation, search: Search, found: Found, c: CoefficientSet, trials: int, said: Progress) -> None:
    """Runner-up, growth, families and the price of each target; what a Ctrl-C leaves out is said."""
    try:
        began = time.perf_counter()
        said("families", 0, 0)
        out.families, others = family_excuses(search, found)
        out.seconds["families"] = time.perf_counter() - began
        out.runner = runner_up(search, found, others)
        out.seconds["runner-up"] = time.perf_counter() - began
        out.zone_loss = zone_loss(out.scenario or out.given, c) if "zone" in out.wants.survive else []
        out.commit = commitments(by_month(out))
        out.prices = price_of_targets(search, found, max(4, trials // 6), said)
        out.seconds["prices"] = time.perf_counter() - began
        out.front = front(search, found, max(4, trials // 6), said)
        out.seconds["front"] = time.perf_counter() - began
    except KeyboardInterrupt:
        out.interrupted = True


def _unmeasured(scenario: Scenario, c: CoefficientSet, binding: str) -> str:
    """What binds, where nobody measured what it rests on, and the measurement that would tell; '' if it was."""
    from planner.domain import SURE, drivers

    if not binding or domain_of(scenario, c) == "measured":
        return ""
    system = next((s for s, names in BINDS.items() if binding in names), "spark")
    weak = [n for flow in scenario.flows for n in drivers(flow) if c.values[n].grade not in SURE]
    mine = [n for n in dict.fromkeys(weak) if n.startswith(MEASURED_BY[system][0])]
    rest = [n for n in dict.fromkeys(weak) if n not in mine]
    if not mine and not rest:
        return (
            f"{binding} binds, outside the ranges that it was measured in; {MEASURED_BY[system][1]} at this load tells"
        )
    if mine:
        return f"{binding} binds and rests on {', '.join(mine)}, never measured; {MEASURED_BY[system][1]} tells"
    return f"{binding} binds; latency also rests on {', '.join(rest)}, never measured; {MEASURED_BY['spark'][1]} tells"
