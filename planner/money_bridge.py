"""The bridge from a plan to a bill: what each cause added, in order.

A *plan* is a file: what was assumed where it differs from the scenario, and causes that put it right or add to it.
Each step is a whole scenario, simulated and billed; the causes' dollars and the plan's make the
end exactly. What a cause is worth depends on those before it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from models.money import Money
from models.noun import Noun
from models.stack import Scenario, Targets
from models.units import field
from planner import yaml_text
from planner.bill import MonthlyBill, monthly_bill, paced
from planner.forecast import coefficients_of
from planner.refusal import ScenarioError, house_lines
from planner.scenario import resolved, validated
from planner.shown import Shown
from planner.usage import Pace
from pricing.bridge import Effect, Step, bridge, effects

if TYPE_CHECKING:
    from rich.console import RenderableType

PLANS = Path(__file__).parent / "data" / "plans"
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Cause(Noun):
    """One reason for which the bill moved: paths put back as the scenario has them, and paths set anew."""

    cause: str = field(unit="", meaning="the reason", min_length=1)
    why: str = field("", unit="", meaning="how it comes about")
    back: tuple[str, ...] = field((), unit="", meaning="paths that the plan had assumed otherwise")
    set: dict[str, Any] = field({}, unit="", meaning="paths and their new values")


class PlanFile(Noun):
    """What was planned, and why it came otherwise."""

    name: str = field(unit="", meaning="the scenario that it belongs to")
    says: str = field("", unit="", meaning="what was promised, in words")
    plan: dict[str, Any] = field(unit="", meaning="paths and the values that were assumed")
    causes: tuple[Cause, ...] = field((), unit="", meaning="in the order they came to light")


@dataclass(frozen=True)
class Bridge(Shown):
    """The bill as planned, what each cause added, and the bill at the end."""

    says: str
    start: MonthlyBill
    end: MonthlyBill
    steps: tuple[Step, ...]
    why: tuple[str, ...]

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The whole difference line by line, quantity apart from price."""
        return effects(self.start.bill, self.end.bill)

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema_version": 1, "says": self.says,
            "start_usd": float(self.start.monthly_usd), "end_usd": float(self.end.monthly_usd),
            "steps": [{"cause": s.cause, "why": why, "added_usd": float(s.added_usd), "total_usd": float(s.total_usd),
                       "by_kind": {k: float(v) for k, v in s.by_kind.items()}}
                      for s, why in zip(self.steps, self.why, strict=True)],
            "effects": [{"system": e.system, "line": e.name, "quantity_usd": float(e.quantity_usd),
                         "price_usd": float(e.price_usd)} for e in self.effects],
        }  # fmt: skip


def load_plan(source: str, scenario: Scenario) -> PlanFile:
    """The plan in a file; `plan` is the packaged one of the scenario's name."""
    path = PLANS / f"{scenario.name}.yaml" if source == "plan" else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        known = ", ".join(sorted(p.stem for p in PLANS.glob("*.yaml")))
        hint = f"; packaged plans are for {known}" if source == "plan" else ""
        raise ScenarioError(f"--against {source}: {error.strerror or error}{hint}") from None
    data, _ = yaml_text.parse(text, path.name)
    try:
        return PlanFile.model_validate(data)
    except ValidationError as error:
        lines = house_lines(error.errors(include_url=False), PlanFile)
        raise ScenarioError([f"{path.name}: {line}" for line in lines]) from None


def bridged(
    scenario: Scenario, plan: PlanFile, *, seed: int = 1, simulated: bool = True,
    said: Callable[[str, int, int], None] = lambda text, done, of: None,
) -> Bridge:  # fmt: skip
    """The bridge of a plan."""
    own = resolved(scenario)
    at = assumed(own, plan)
    billing = _Billing(scenario, seed, simulated)
    made: list[tuple[str, MonthlyBill]] = []
    left = dict.fromkeys(plan.plan)
    causes = list(plan.causes)
    for number, cause in enumerate((None, *causes)):
        said("bills", number, len(causes) + 1)
        if cause is not None:
            for path in cause.back:
                left.pop(path, None)
                put(at, path, look(own, path))
            for path, value in cause.set.items():
                put(at, path, value)
        made.append((cause.cause if cause else "plan", billing.of(at)))
    if left and not any(cause.set for cause in causes):
        for path in left:
            put(at, path, look(own, path))
        made.append(("all else: " + ", ".join(left), billing.of(at)))
    steps = bridge(made[0][1].bill, [(name, bill.bill) for name, bill in made[1:]])
    why = [cause.why for cause in causes] + [""] * (len(steps) - len(causes))
    return Bridge(plan.says, made[0][1], made[-1][1], steps, tuple(why))


class _Billing:
    """Bills of the steps. A step is simulated once, and not again for a cause that only money is in; the scenario
    itself is simulated as often as its forecast is, so that its step is the forecast's bill to the cent."""

    def __init__(self, own: Scenario, seed: int, simulated: bool) -> None:
        self.own, self.seed, self.simulated = _without_money(own), seed, simulated
        self.seen: list[tuple[Scenario, dict[str, Pace]]] = []

    def of(self, data: Mapping[str, Any]) -> MonthlyBill:
        scenario = validated(dict(data))
        return monthly_bill(scenario, coefficients_of(scenario), seed=self.seed, pace=self._pace(scenario))

    def _pace(self, scenario: Scenario) -> dict[str, Pace]:
        bare = _without_money(scenario)
        for other, pace in self.seen:
            if other == bare:
                return pace
        once = bare.model_copy(update={"run": bare.run.model_copy(update={"repeats": 1})})
        pace = paced(bare if bare == self.own else once, self.seed, self.simulated)
        self.seen.append((bare, pace))
        return pace


def _without_money(scenario: Scenario) -> Scenario:
    """What a run depends on."""
    return scenario.model_copy(update={"money": Money(), "targets": Targets(), "tags": {}, "description": ""})


def assumed(own: Mapping[str, Any], plan: PlanFile) -> dict[str, Any]:
    """The scenario as it was planned, as plain data."""
    at: dict[str, Any] = _copied(own)
    for path, value in plan.plan.items():
        look(at, path)
        put(at, path, value)
    return at


def _copied(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _copied(value) for key, value in data.items()}
    return [_copied(value) for value in data] if isinstance(data, list | tuple) else data


def steps_of(path: str) -> list[str | int]:
    """A path as its steps.

    >>> steps_of("flows[0].topic.copies")
    ['flows', 0, 'topic', 'copies']
    """
    return [int(index) if index else name for name, index in _STEP.findall(path)]


def look(data: Any, path: str) -> Any:
    """The value at a path. Raises ScenarioError where the scenario has none."""
    at = data
    for step in steps_of(path):
        try:
            at = at[step]
        except (KeyError, IndexError, TypeError):
            raise ScenarioError(f"plan: the scenario has no {path}") from None
    return _copied(at)


def put(data: Any, path: str, value: Any) -> None:
    """Set the value at a path; the way there must exist."""
    *way, last = steps_of(path)
    at = data
    for step in way:
        try:
            at = at[step]
        except (KeyError, IndexError, TypeError):
            raise ScenarioError(f"plan: the scenario has no {path}") from None
    at[last] = value


def rendered(out: Bridge) -> RenderableType:
    """The bridge on a terminal: the plan, each cause with its dollars and reason, the end."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table("cause", "added", "USD a month", "why", box=None, pad_edge=False, show_edge=False, header_style="dim")
    table.columns[1].justify = table.columns[2].justify = "right"
    table.add_row("as planned", "", f"{out.start.monthly_usd:,.0f}", out.says)
    for step, why in zip(out.steps, out.why, strict=True):
        table.add_row(step.cause, f"{step.added_usd:+,.0f}", f"{step.total_usd:,.0f}", Text(why, style="dim"))
    return Group(Text.assemble(("from plan to bill  ", "dim"), (summary(out), "bold")), table)


def summary(out: Bridge) -> str:
    """The two ends, and how much of the difference is quantity and how much price."""
    quantity = sum((e.quantity_usd for e in out.effects), Decimal(0))
    price = sum((e.price_usd for e in out.effects), Decimal(0))
    moved = f"; of the difference {price:+,.0f} is price" if price else "; all of it quantity, no price moved"
    told = f"{out.start.monthly_usd:,.0f} USD a month became {out.end.monthly_usd:,.0f}"
    return told + (moved if quantity or price else "")


def as_markdown(out: Bridge) -> str:
    """The bridge as a table."""
    lines = [f"{summary(out)}.", "", "| cause | added USD | USD a month | why |", "|---|--:|--:|---|"]
    lines.append(f"| as planned |  | {out.start.monthly_usd:,.2f} | {out.says} |")
    for step, why in zip(out.steps, out.why, strict=True):
        lines.append(f"| {step.cause} | {step.added_usd:+,.2f} | {step.total_usd:,.2f} | {why} |")
    return "\n".join(lines) + "\n"
