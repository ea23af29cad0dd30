"""Which settings, on the machines that are there: partitions, trigger, cap, bulk, writers, shuffle partitions.

Nothing is bought here, so the price of a setting is the CPU that it takes: of those that keep every target, the one
that leaves most of the machines free. A *cap* (maxOffsetsPerTrigger) above what a batch at the peak takes changes
nothing but what follows an outage, so it is chosen last: where a smaller one would lengthen catching up by more (as a
factor) than it shortens the longest batch. The model's own error counts: a p99 holds here if the forecast's 95 % lies
within it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from models.coefficients import CoefficientSet
from models.spark import AS_FAST_AS_POSSIBLE
from models.stack import Flow, Scenario
from models.units import show
from planner.candidates_wants import Wants, growth_of, wants_of
from planner.domain import domain_of
from planner.forecast import coefficients_of, forecast
from planner.recommend_stack import at_rates
from planner.recommend_trial import Outcome, Trials
from planner.refusal import ScenarioError
from planner.shown import Shown
from planner.uncertainty import model_sigma

if TYPE_CHECKING:
    from planner.forecast import Forecast

SCHEMA_VERSION = 1
TRIALS = 60
CHOOSE_MACHINES = ("regions", "families", "managed", "most_nodes", "budget")  # wants that have no meaning here
NAMES = {
    "partitions": "partitions", "trigger": "trigger", "cap": "maxOffsetsPerTrigger", "bulk": "bulk entries",
    "writers": "writers a task", "shuffles": "shuffle partitions",
}  # fmt: skip
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Setting:
    """What one flow is set to. `trigger` 0 is as fast as possible; `shuffles` 0 where there is no state."""

    partitions: int
    trigger: float
    cap: int | None
    bulk: int
    writers: int
    shuffles: int = 0

    @classmethod
    def of(cls, flow: Flow) -> Setting:
        """As the flow has it."""
        query = flow.query
        state = query.state.shuffle_partitions if query.state else 0
        return cls(flow.topic.partitions, max(0.0, query.trigger), query.max_offsets_per_trigger,
                   query.sink.bulk_entries, query.sink.writers_per_task, state)  # fmt: skip

    def told(self, name: str) -> str:
        """One of its values in words."""
        value = getattr(self, name)
        if name == "trigger":
            return show(value, "s") if value > 0 else "as fast as possible"
        return "none" if value is None else f"{value:,}"

    def as_dict(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}


Choice = tuple[Setting, ...]  # one a flow


def choice_of(scenario: Scenario) -> Choice:
    """What the scenario is set to."""
    return tuple(Setting.of(flow) for flow in scenario.flows)


def applied(scenario: Scenario, choice: Choice) -> Scenario:
    """The scenario with each flow so set; nothing else changes."""
    flows = []
    for flow, mine in zip(scenario.flows, choice, strict=True):
        topic = flow.topic.model_copy(update={"partitions": mine.partitions})
        sink = flow.query.sink.model_copy(update={"bulk_entries": mine.bulk, "writers_per_task": mine.writers})
        state = flow.query.state
        if state is not None:
            state = state.model_copy(update={"shuffle_partitions": mine.shuffles})
        query = flow.query.model_copy(update={
            "trigger": mine.trigger if mine.trigger > 0 else AS_FAST_AS_POSSIBLE, "max_offsets_per_trigger": mine.cap,
            "sink": sink, "state": state})  # fmt: skip
        flows.append(flow.model_copy(update={"topic": topic, "query": query}))
    return scenario.model_copy(update={"flows": tuple(flows)})


def differences(scenario: Scenario, before: Choice, after: Choice) -> list[tuple[str, str, str, str]]:
    """(flow, setting, before, after) of each value that differs."""
    return [
        (flow.name, name, a.told(name), b.told(name))
        for flow, a, b in zip(scenario.flows, before, after, strict=True)
        for name in NAMES
        if getattr(a, name) != getattr(b, name)
    ]


@dataclass(frozen=True)
class Held:
    """A choice that was simulated, and what it came to."""

    choice: Choice
    outcome: Outcome
    domain: str

    def as_dict(self) -> dict[str, Any]:
        return {"flows": [s.as_dict() for s in self.choice], "outcome": self.outcome.as_dict(), "domain": self.domain}


@dataclass(frozen=True)
class Neighbour:
    """The recommended choice with one value moved: what that would break, or cost."""

    flow: str
    name: str
    value: str
    held: Held

    def as_dict(self) -> dict[str, Any]:
        return {"flow": self.flow, "setting": self.name, "value": self.value} | self.held.as_dict()


@dataclass
class SettingsAdvice(Shown):
    """The settings to take and why. `best` is None where none keeps every target; `nearest` says what was short."""

    given: Scenario
    wants: Wants
    seed: int
    cores: float
    now: Held
    best: Held | None
    runner: Held | None
    nearest: list[Held]
    caps: list[Held]
    neighbours: list[Neighbour] = field(default_factory=list)
    scenario: Scenario | None = None
    answer: Forecast | None = field(default=None, repr=False)
    runner_answer: Forecast | None = field(default=None, repr=False)
    counts: dict[str, int] = field(default_factory=dict)
    untried: int = 0
    unmeasured: str = ""
    interrupted: bool = False

    @property
    def holds(self) -> bool:
        """Whether settings were found that keep every target."""
        return self.best is not None

    def as_dict(self) -> dict[str, Any]:
        from planner.recommend_settings_text import as_dict

        return as_dict(self)

    def as_text(self) -> str:
        from planner.recommend_settings_text import page

        return page(self).as_text()


def recommend_settings(
    scenario: Scenario, *, seed: int = 1, trials: int = TRIALS, reasons: bool = True, today: Scenario | None = None,
    progress: Progress | None = None, **wanted: Any,
) -> SettingsAdvice:  # fmt: skip
    """The settings that keep the scenario's targets on its own machines with the least CPU, and the runner-up.

    `today` is what runs: partitions never shrink below its own, shuffle partitions stay. `wanted` overrides wants by
    name (p99=10.0). Raises ScenarioError for what cannot be searched.
    """
    from planner.recommend import unknown_wants
    from planner.recommend_settings_search import SettingsSearch

    if refused := _refused(scenario, wanted):
        raise ScenarioError(refused)
    if unknown := set(wanted) - {f.name for f in fields(Wants)}:
        raise ScenarioError(unknown_wants(unknown))
    wants, c, said = wants_of(scenario, **wanted), coefficients_of(scenario), progress or (lambda *_: None)
    if today is not None:
        wants = replace(wants, least_partitions=tuple(f.topic.partitions for f in today.flows))
    growth = growth_of(scenario, wants.growth_to_first - 1)
    rates = [rate * growth for rate in wants.peaks]
    held = Trials(scenario, c, rates, seed, lambda text: said(text, 0, 0), model_sigma(c, "latency p99"))
    search = SettingsSearch(scenario, c, wants, rates, held, said, keep_state=today is not None)
    out = search.solve(trials, seed)
    if out.best is not None and not out.interrupted:
        try:
            if reasons:
                out.neighbours = search.neighbours(out.best)
            _forecasts(out, rates, seed, said)
        except KeyboardInterrupt:
            out.interrupted = True
    return out


def _refused(scenario: Scenario, wanted: dict[str, Any]) -> list[str]:
    from planner.recommend import ends

    found = ends(scenario)
    for name in CHOOSE_MACHINES:
        if wanted.get(name) is not None:
            value = ", ".join(wanted[name]) if isinstance(wanted[name], tuple) else wanted[name]
            found.append(f"{name} = {value}; it chooses machines, and settings alone are searched: leave it out")
    return found


def _forecasts(out: SettingsAdvice, rates: list[float], seed: int, said: Progress) -> None:
    """The whole forecast of the recommended settings and of the runner-up, at the peak: values with intervals."""
    for name, held in (("answer", out.best), ("runner_answer", out.runner)):
        if held is not None:
            said(f"forecast of the {'recommended settings' if name == 'answer' else 'runner-up'}", 0, 0)
            setattr(out, name, forecast(at_peak(out, held.choice, rates), seed=seed))
    if out.best is not None:
        out.scenario = applied(out.given, out.best.choice)


def at_peak(out: SettingsAdvice, choice: Choice, rates: list[float]) -> Scenario:
    """A choice at the peak as a scenario of its own, warm, with the outage that was asked for."""
    loaded = at_rates(applied(out.given, choice), rates)
    period = max(1.0, *(max(0.0, s.trigger) for s in choice))
    run = loaded.run.model_copy(update={"jvm": "warm", "warm_up": max(20.0, 3 * period), "measure": 60 * period,
                                        "repeats": max(2, loaded.run.repeats)})  # fmt: skip
    targets = loaded.targets.model_copy(update={"outage": out.wants.outage, "p99": out.wants.p99, "p50": out.wants.p50,
                                                "catch_up": out.wants.catch_up})  # fmt: skip
    return loaded.model_copy(update={"run": run, "targets": targets})


def cores_of(scenario: Scenario, c: CoefficientSet) -> float:
    """Cores of all machines that do the work [count]."""
    from simulator.hosts import place

    placement = place(scenario, c)
    used = {*placement.brokers, *placement.executors, *placement.nodes}
    return float(sum(placement.sites[k].cores for k in used))


def rank(held: Held, cores: float, now: Choice) -> tuple[Any, ...]:
    """What is better comes first: CPU to a hundredth of the machines, what was measured, fewer changes, small bulks."""
    changes = sum(getattr(a, n) != getattr(b, n) for a, b in zip(now, held.choice, strict=True) for n in NAMES)
    bulks = sum(s.bulk for s in held.choice)
    return round(held.outcome.cores / cores, 2), held.domain != "measured", changes, bulks, held.outcome.cores


def domain_at(scenario: Scenario, choice: Choice, rates: list[float], c: CoefficientSet) -> str:
    return domain_of(at_rates(applied(scenario, choice), rates), c)


def least_cap(rate: float, setting: Setting, factor: float) -> int:
    """A cap of so many times what a batch at the peak takes, rounded up to two digits [records].

    >>> least_cap(900.0, Setting(4, 2.0, None, 1000, 1), 1.5)
    2700
    """
    wanted = max(rate * factor * max(setting.trigger, 1.0), setting.partitions)
    step = 10 ** max(0, math.floor(math.log10(wanted)) - 1)
    return int(math.ceil(wanted / step - 1e-9) * step)
