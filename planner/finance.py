"""The finance report: what a budget review asks of a forecast, on one page and line by line.

A *review* is all that a report was made from, kept in its JSON: the scenario, the coefficients, the prices of its
lines and the engine. A later report takes it up again (`--against`) and says what moved the total. The report itself
calculates nothing that the bill does not: months, lines and ranges are the bill's, in `Decimal` to the cent.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from models.coefficients import CoefficientSet
from models.stack import Scenario
from models.units import show
from planner.bill import MonthlyBill, bill_of, book_of, pace_by, runs_of, stack_of
from planner.money_months import MonthOfBill, months
from planner.scenario import resolved
from planner.shown import Shown
from planner.usage import Pace
from pricing.bill import NOTHING, Line
from pricing.offers import Compared, compared
from pricing.price_book import PriceBook
from pricing.spread import SPREAD, Range, ranged

if TYPE_CHECKING:
    from pandas import DataFrame

    from planner.export_actuals import Actuals
    from planner.finance_actuals import Variance
    from planner.finance_against import Moved

SCHEMA_VERSION = 1
HORIZON = 12
DRAWS = 8
Said = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Report(Shown):
    """A bill, its months, the commitments that could be bought, what it all rests on, and what it is held against."""

    scenario: Scenario
    coefficients: CoefficientSet
    bill: MonthlyBill
    months: tuple[MonthOfBill, ...]
    commitments: tuple[Compared, ...]
    seed: int
    simulated: bool
    draws: int
    made: datetime.date
    pace: Mapping[str, Pace]
    against: Moved | None = None
    actuals: Variance | None = None

    @property
    def total_usd(self) -> Decimal:
        """All months of the horizon."""
        return sum((m.bill.monthly_usd for m in self.months), NOTHING)

    @property
    def range(self) -> Range:
        """P10 to P90 of the horizon's total: draw i of every month is the same load and the same prices."""
        return ranged(sum(m.totals for m in self.months))

    @property
    def growth(self) -> float | None:
        """Last month over the first, less 1 [1]; None where the first costs nothing."""
        first, last = self.months[0].bill.monthly_usd, self.months[-1].bill.monthly_usd
        return float(last / first - 1) if first else None

    @property
    def steps(self) -> tuple[tuple[int, str], ...]:
        """(month, what changes in it or is asked of it): changes made, and the first month of each warning."""
        found: list[tuple[int, str]] = []
        warned: set[str] = set()
        for month in self.months:
            found += [(month.number + 1, step) for step in month.steps]
            kind = month.warning.partition(":")[0]
            if kind and kind not in warned:
                warned.add(kind)
                found.append((month.number + 1, month.warning))
        return tuple(found)

    @property
    def budget(self) -> tuple[float, bool] | None:
        """The month's budget and whether P90 is within it, where the scenario has one."""
        budget = self.scenario.targets.monthly_budget_usd
        return None if budget is None else (budget, self.bill.range.p90_usd <= budget)

    def options(self) -> DataFrame:
        """Every way of paying for each machine over the report's months: tidy, on demand first."""
        from planner.notebook_money import options

        return options(self)

    def as_dict(self) -> dict[str, Any]:
        from planner.finance_tell import as_dict

        return as_dict(self)


def report(
    scenario: Scenario, *, horizon: int = HORIZON, seed: int = 1, simulated: bool = True, draws: int = DRAWS,
    leave_after: int | None = None, said: Said = lambda text, done, of: None, today: datetime.date | None = None,
) -> Report:  # fmt: skip
    """The report of a scenario over so many months; `leave_after` asks what leaving the machines then would strand."""
    from planner.forecast import coefficients_of

    central = coefficients_of(scenario)
    said("bill", 0, 2)
    repeats, drawn, sets = runs_of(scenario, central, seed, draws) if simulated else ([], [], [])
    made = bill_of([stack_of(scenario, central, repeats, drawn, sets, seed)], seed)
    said("months", 1, 2)
    pace = pace_by(scenario, repeats, central, seed)
    later = months(scenario, central, pace, horizon, seed)
    options = compared([m.listed or m.bill for m in later], book_of(scenario.money), leave_after)
    date = today or datetime.date.today()
    return Report(scenario, central, made, tuple(later), options, seed, simulated, draws, date, pace)


def held_against(
    out: Report, was: Mapping[str, Any] | None = None, charged: Actuals | None = None,
    said: Said = lambda text, done, of: None,
) -> Report:  # fmt: skip
    """The report beside an earlier review, and beside what AWS charged in a month, billed for that very month."""
    from planner.finance_actuals import variance
    from planner.finance_against import against

    if was is not None:
        out = replace(out, against=against(out, was, said))
    if charged is not None:
        money = out.scenario.money.model_copy(update={"month": charged.month})
        dated = out.scenario.model_copy(update={"money": money})
        stack = stack_of(dated, out.coefficients, seed=out.seed, pace=out.pace)
        book = book_of(money)
        out = replace(out, actuals=variance(bill_of([stack], out.seed).bill, charged, book, money.region))
    return out


@dataclass(frozen=True)
class Assumption:
    """One thing the report takes for granted: what, its value, how sure, and where from."""

    what: str
    value: str
    grade: str
    source: str


def assumptions(out: Report) -> tuple[Assumption, ...]:
    """Load, terms and time as the scenario states them, prices by how sure they are, notes of the bill."""
    scenario, money, bill = out.scenario, out.scenario.money, out.bill.bill
    found = [
        Assumption("month", bill.month.label, "", f"{bill.month.hours:g} hours"),
        Assumption("region", money.region, "", "scenario"),
        Assumption("load may be off by", f"{money.load_spread:.0%} up or down (90 %)", "policy", "money.load_spread"),
    ]
    for flow in scenario.flows:
        load = flow.workload
        told = f"{show(load.events_per_second, '1/s')} of {show(load.event_bytes, 'bytes')}"
        told += f", growing {load.growth_per_month:.2%} a month"
        found.append(Assumption(f"load of {flow.name}", told, "", "scenario"))
        kept = (
            f"topic {flow.topic.copies} copies for {flow.topic.retention / 86400:g} d, index {flow.index.copies} copies"
        )
        found.append(
            Assumption(f"kept of {flow.name}", f"{kept} for {flow.index.retention / 86400:g} d", "", "scenario")
        )
    for grade, usd in bill.by_grade.items():
        wide = SPREAD.get(grade, 0.0)  # type: ignore[call-overload]
        told = f"{usd:,.2f} USD a month" + (f", up to {wide:.0%} off" if wide else "")
        found.append(Assumption("prices", told, grade, f"book {bill.book_digest}"))
    c = out.coefficients
    found.append(Assumption("coefficients", f"{c.name}, {c.digest}", "", f"as of {c.as_of}"))
    return (*found, *(Assumption("note", note, "", "bill") for note in out.bill.notes))


def unsure_lines(out: Report) -> tuple[Line, ...]:
    """Lines whose price is to be confirmed before anyone signs, the dearest first."""
    from pricing.spread import unsure

    return unsure(out.bill.bill)


def review(out: Report) -> dict[str, Any]:
    """What the report was made from, so that a later one can be held against it."""
    from planner.version import engine_digest, engine_version

    money, c = out.scenario.money, out.coefficients
    return {
        "scenario": resolved(out.scenario), "seed": out.seed, "simulated": out.simulated, "draws": out.draws,
        "coefficients": {"set": c.name, "digest": c.digest, "values": {n: v.value for n, v in c.values.items()},
                         "low": {n: v.low for n, v in c.values.items()},
                         "high": {n: v.high for n, v in c.values.items()}},
        "prices": {"digest": out.bill.bill.book_digest, "folder": money.price_book, "rows": price_rows(out)},
        "engine": {"digest": engine_digest(), "version": engine_version()},
        "monthly_usd": str(out.bill.monthly_usd),
    }  # fmt: skip


def price_rows(out: Report) -> list[dict[str, str]]:
    """The book's rows behind the lines of the report, all tiers of an item, each once."""
    book: PriceBook = book_of(out.scenario.money)
    lines: Sequence[Line] = [x for bill in (out.bill.bill, *(m.bill for m in out.months)) for x in bill.lines]
    keys = dict.fromkeys((x.price.item, x.price.region) for x in lines if _in_book(x, book))
    return [as_row(price) for item, region in keys for price in book.tiers(item, region)]


def _in_book(line: Line, book: PriceBook) -> bool:
    return book.has(line.price.item, line.price.region)


def as_row(price: Any) -> dict[str, str]:
    """A price as a row of a book."""
    ends = {"tier_from": f"{price.tier_from:f}", "tier_to": "" if price.tier_to is None else f"{price.tier_to:f}"}
    names = (
        "item",
        "region",
        "unit",
        "service_code",
        "usage_type",
        "operation",
        "identity",
        "grade",
        "source",
        "as_of",
    )
    return {"usd": f"{price.usd:f}", **ends, **{name: str(getattr(price, name)) for name in names}}


def dates(out: Report) -> Mapping[str, str]:
    """When the prices are from, oldest and newest, and when the report was made."""
    from planner.money_tell import dates as of

    told = of(out.bill.bill.lines)
    return {"prices_oldest": told[0] if told else "", "prices_newest": told[-1] if told else "", "made": str(out.made)}
