"""The bill of a scenario: its month's usage at the price book's prices, on the terms agreed, with a range.

P10, P50 and P90 come from joint draws: of the load, of the coefficients and runs behind the usage, and of every price
that is not sure. What stands in the bill is dated: the price book's digest makes the same number again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.coefficients import CoefficientSet
from models.money import Money
from models.stack import Scenario
from planner.money_notes import notes_of
from planner.money_terms import Held, book_of, held, offers, runs, terms_of
from planner.refusal import ScenarioError
from planner.shown import Shown
from planner.usage import Pace, Used, flowing, paces, used
from planner.usage_scaling import held_as, hosts_told, with_hosts
from pricing import shared
from pricing.bill import Bill, Line, UnitCosts, marginal
from pricing.price_book import PriceBook
from pricing.shared import Terms
from pricing.spread import Z95, Range, ranged, totals
from pricing.usage import BadUsage, SharedUsage

if TYPE_CHECKING:
    from simulator.trace import Trace

__all__ = [
    "PRICE_DRAWS", "USAGE_DRAWS", "Held", "MonthlyBill", "Stack", "bill_of", "billed", "book_of", "drawn_stacks",
    "monthly_bill", "offers", "pace_by", "paced", "priced", "runs", "runs_of", "stack_of", "terms_of", "together",
]  # fmt: skip

USAGE_DRAWS = 32
PRICE_DRAWS = 2000
MARGIN = 0.01  # step of the load that marginal costs are taken over
DOMINANT = 0.6  # the dearest lines that make so much of a bill are named


@dataclass(frozen=True)
class MonthlyBill(Shown):
    """A month's bill, its range, what a unit of work costs, its commitments, and what a reader must know."""

    bill: Bill
    range: Range
    unit: UnitCosts | None
    marginal: tuple[Decimal, Decimal] | None
    commitments: tuple[Held, ...]
    notes: tuple[str, ...]
    money: Money
    tags: Mapping[str, str]
    events: float
    drawn_usd: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0), repr=False, compare=False)

    @property
    def monthly_usd(self) -> Decimal:
        return self.bill.monthly_usd

    @property
    def dominant(self) -> tuple[Line, ...]:
        """The dearest lines that together make most of the bill."""
        found: list[Line] = []
        left = float(self.monthly_usd) * DOMINANT
        for line in sorted(self.bill.lines, key=lambda x: -x.monthly_usd):
            if left <= 0:
                break
            found.append(line)
            left -= float(line.monthly_usd)
        return tuple(found)

    def as_dict(self) -> dict[str, Any]:
        from planner.money_tell import as_dict

        return as_dict(self)


def priced(month: Used, book: PriceBook, terms: Terms) -> Bill:
    """A month's usage at a book's prices."""
    try:
        return shared.bill(month.usages, book, month.month, month.rest, terms)
    except (BadUsage, ValueError) as error:
        raise ScenarioError(f"money: {error}") from None


@dataclass(frozen=True)
class Stack:
    """One scenario's month: at its own load, at the drawn ones, and a little above."""

    scenario: Scenario
    month: Used
    drawn: tuple[Used, ...]
    more: Used
    coefficients: CoefficientSet
    pace: Mapping[str, Pace]


def stack_of(
    scenario: Scenario, coefficients: CoefficientSet, repeats: Sequence[Trace] = (), drawn: Sequence[Trace] = (),
    drawn_sets: Sequence[CoefficientSet] = (), seed: int = 1, pace: Mapping[str, Pace] | None = None,
) -> Stack:  # fmt: skip
    """The month of a scenario once retention is full, its usage paced by the runs given, or by a pace known."""
    flows = flowing(scenario)
    pace = pace if pace is not None else pace_by(scenario, repeats, coefficients, seed)
    drawn_paces: list[Mapping[str, Pace]] = [held_as(paces(scenario, [trace]), pace) for trace in drawn]
    drawn_paces = drawn_paces or [pace]
    sets = list(drawn_sets) or [coefficients]
    others = []
    for k, (load, one) in enumerate(drawn_stacks(scenario, seed)):
        which, how = sets[k % len(sets)], drawn_paces[k % len(drawn_paces)]
        others.append(used(one, which, how, load=load, flows=flows))
    month = used(scenario, coefficients, pace, flows=flows)
    more = used(scenario, coefficients, pace, load=1 + MARGIN, flows=flows)
    return Stack(scenario, month, tuple(others), more, coefficients, pace)


def monthly_bill(
    scenario: Scenario, coefficients: CoefficientSet, repeats: Sequence[Trace] = (), drawn: Sequence[Trace] = (),
    drawn_sets: Sequence[CoefficientSet] = (), seed: int = 1, pace: Mapping[str, Pace] | None = None,
) -> MonthlyBill:  # fmt: skip
    """The bill of one scenario's average month, as `stack_of` makes it."""
    return bill_of([stack_of(scenario, coefficients, repeats, drawn, drawn_sets, seed, pace)], seed)


def bill_of(stacks: Sequence[Stack], seed: int = 1, book: PriceBook | None = None) -> MonthlyBill:
    """One bill of several stacks in one account: production, staging, another region for disaster recovery.

    Account-wide tiers are filled in their order; book, month, account and currency are the first's, discounts and
    commitments everyone's, support is paid once. Every line is tagged with its stack. `book` is another than theirs.
    """
    scenarios = [stack.scenario for stack in stacks]
    money = scenarios[0].money
    book = book or _book_of_all(scenarios)
    bought = [pair for s in scenarios for pair in offers(s.money, book)]
    terms = Terms(_shares(scenarios), tuple((o, said.count) for said, o in bought if runs(said, o, 1)))
    month, more = together([s.month for s in stacks], scenarios), together([s.more for s in stacks], scenarios)
    made = priced(month, book, terms)
    others = [priced(together(drawn, scenarios), book, terms) for drawn in zip(*(s.drawn for s in stacks), strict=True)]
    unit = made.unit_costs(month.events, month.payload_bytes) if month.events and month.payload_bytes else None
    extra = (more.events - month.events, more.payload_bytes - month.payload_bytes)
    steeper = marginal(priced(more, book, terms), made, *extra) if unit else None
    listed = _listed_later(stacks, book, terms, month) if bought else [made]
    drawn_usd = totals(others, book, seed, PRICE_DRAWS)
    return MonthlyBill(
        made, ranged(drawn_usd), unit, steeper, held(bought, listed, book),
        tuple(dict.fromkeys(note for stack in stacks for note in _notes(stack, made, book))), money,
        dict(scenarios[0].tags), month.events, drawn_usd,
    )  # fmt: skip


def _notes(stack: Stack, made: Bill, book: PriceBook) -> tuple[str, ...]:
    """What a reader must know beside one stack's part of the bill."""
    hosts = next(iter(stack.pace.values())).hosts_at(1.0) or 0.0
    return (*hosts_told(stack.scenario, stack.pace), *notes_of(stack.scenario, made, book, hosts))


def _shares(scenarios: Sequence[Scenario]) -> dict[tuple[str, str], Decimal]:
    return {(d.service, d.usage_type): Decimal(repr(d.share)) for s in scenarios for d in s.money.discounts}


def _book_of_all(scenarios: Sequence[Scenario]) -> PriceBook:
    """The first's book, with the own prices of all."""
    books = [book_of(s.money) for s in scenarios]
    given = {key: usd for book in books for key, usd in book.given.items()}
    return books[0] if len(books) == 1 else books[0].with_prices(given)


def together(months: Sequence[Used], scenarios: Sequence[Scenario]) -> Used:
    """Several stacks' months as one account's, each line tagged with its stack, support on the first that has it."""
    if len(months) == 1:
        return months[0]
    usages: list[shared.AnyUsage] = []
    supported = False
    for month, scenario in zip(months, scenarios, strict=True):
        for usage in month.usages:
            usage = replace(usage, tags=(*usage.tags, ("stack", scenario.name)))
            if isinstance(usage, SharedUsage) and usage.support_plan:
                usage = replace(usage, support_plan="" if supported else usage.support_plan)
                supported = True
            usages.append(usage)
    events, payload = (sum(getattr(m, name) for m in months) for name in ("events", "payload_bytes"))
    return Used(tuple(usages), months[0].month, months[0].rest, events, payload)


def pace_by(
    scenario: Scenario, traces: Sequence[Trace], coefficients: CoefficientSet, seed: int = 1
) -> dict[str, Pace]:
    """The flows' paces as runs showed them, with the executors' hosts that a scaling policy holds."""
    try:
        found = paces(scenario, traces)
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    return with_hosts(found, scenario, coefficients, seed)


def _loads(spread: float, seed: int) -> list[float]:
    """Factors on the month's events: one from each equal slice of a lognormal whose 5 % and 95 % lie `spread` off."""
    sigma = math.log1p(spread) / Z95
    order = [(k * 13 + seed) % USAGE_DRAWS for k in range(USAGE_DRAWS)]  # 13 and 32 share no factor: each slice once
    return [math.exp(sigma * NormalDist().inv_cdf((k + 0.5) / USAGE_DRAWS)) for k in order]


def drawn_stacks(scenario: Scenario, seed: int) -> list[tuple[float, Scenario]]:
    """What a range is drawn over: a factor on the month's events each, and the scenario with its own rate of spot
    interruptions out of the advisor's band."""
    loads = _loads(scenario.money.load_spread, seed)
    if not scenario.money.spot_share or scenario.money.spot_interruptions is not None:
        return [(load, scenario) for load in loads]
    from planner.fault_spot import drawn_interruptions

    moneys = [scenario.money.model_copy(update={"spot_interruptions": often})
              for often in drawn_interruptions(scenario, USAGE_DRAWS, seed)]  # fmt: skip
    return [(load, scenario.model_copy(update={"money": m})) for load, m in zip(loads, moneys, strict=True)]


def _listed_later(stacks: Sequence[Stack], book: PriceBook, terms: Terms, month: Used) -> list[Bill]:
    """The bills without commitments of the months to come, until nothing of the stacks changes any more."""
    from planner.money_changes import in_month

    scenarios = [stack.scenario for stack in stacks]
    last = max((c.month for s in scenarios for c in s.money.changes), default=1)
    bills = [priced(month, book, Terms(terms.discounts))]
    for number in range(2, last + 1):
        if not any(c.month == number for s in scenarios for c in s.money.changes):
            bills.append(bills[-1])
            continue
        later = [in_month(s, number) for s in scenarios]
        usages = [used(s, stack.coefficients, stack.pace) for s, stack in zip(later, stacks, strict=True)]
        bills.append(priced(together(usages, later), book, Terms(terms.discounts)))
    return bills


def billed(
    scenario: Scenario, *others: Scenario, seed: int = 1, draws_of_coefficients: int | None = None,
    simulated: bool = True,
) -> MonthlyBill:  # fmt: skip
    """The bill that a forecast of the scenario carries, without the rest of the forecast; several share an account.

    With `simulated` false no run is made: a batch a trigger, nothing sent again.
    """
    from planner import forecast as whole

    count = whole.DRAWS if draws_of_coefficients is None else draws_of_coefficients
    stacks = []
    for one in (scenario, *others):
        central = whole.coefficients_of(one)
        repeats, drawn, sets = runs_of(one, central, seed, count) if simulated else ([], [], [])
        stacks.append(stack_of(one, central, repeats, drawn, sets, seed))
    return bill_of(stacks, seed)


def runs_of(
    scenario: Scenario, central: CoefficientSet, seed: int, count: int
) -> tuple[Sequence[Trace], Sequence[Trace], Sequence[CoefficientSet]]:
    """The runs that a forecast makes: repeats, those at drawn coefficients, and the sets that were drawn."""
    from planner import forecast_parts
    from planner.forecast import too_long
    from planner.uncertainty import draws

    if refused := too_long(scenario):
        raise ScenarioError(refused)
    sets = draws(central, scenario, count, seed) if count else []
    repeats, drawn = forecast_parts.runs(scenario, central, sets, seed, "fluid", lambda *_: None)
    return repeats, drawn, sets


def paced(scenario: Scenario, seed: int, simulated: bool) -> dict[str, Pace]:
    """The flows' paces, from the runs that a forecast makes."""
    from planner.forecast import coefficients_of

    central = coefficients_of(scenario)
    traces = runs_of(scenario, central, seed, 0)[0] if simulated else ()
    return pace_by(scenario, traces, central, seed)
