"""The bill of a scenario: its month's usage at the price book's prices, on the terms agreed, with a range.

P10, P50 and P90 come from joint draws: of the load, of the coefficients and runs behind the usage, and of every price
that is not sure. What stands in the bill is dated: the price book's digest makes the same number again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.coefficients import CoefficientSet
from models.money import Commitment, Money
from models.stack import Scenario
from planner.money_notes import notes_of
from planner.refusal import ScenarioError
from planner.shown import Shown
from planner.usage import Pace, Used, flowing, paces, used
from pricing import shared
from pricing.bill import Bill, Line, UnitCosts, marginal
from pricing.commitments import NotSold, Offer, Plan, covered_hours, hold, offer
from pricing.price_book import DATA, MissingPrice, PriceBook
from pricing.shared import Terms
from pricing.spread import Z95, Range, ranged, totals
from pricing.usage import BadUsage, SharedUsage

if TYPE_CHECKING:
    from simulator.trace import Trace

USAGE_DRAWS = 32
PRICE_DRAWS = 2000
MARGIN = 0.01  # step of the load that marginal costs are taken over
DOMINANT = 0.6  # the dearest lines that make so much of a bill are named


@dataclass(frozen=True)
class Held:
    """A commitment held against the stack: what it costs, how much of it is used, what a change would strand."""

    said: Commitment
    plan: Plan
    applied: bool

    def as_dict(self) -> dict[str, Any]:
        bought, plan = self.plan.offer, self.plan
        return {
            "kind": bought.kind, "machine": bought.machine, "count": float(self.said.count), "years": bought.years,
            "payment": bought.payment, "owned_months": self.said.owned_months, "covers": bought.covers,
            "applied": self.applied, "hourly_commitment_usd": float(plan.hourly_commitment_usd),
            "upfront_usd": float(bought.upfront_usd * Decimal(repr(self.said.count))),
            "saving": float(bought.saving), "utilisation": float(plan.utilisation),
            "break_even_month": plan.break_even_month, "saved_usd": float(plan.saved_usd),
            "stranded_usd": float(plan.stranded_usd),
            "cash_usd": [float(m.cash_usd) for m in plan.months],
            "amortised_usd": [float(m.amortised_usd) for m in plan.months],
        }  # fmt: skip


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


@cache
def _opened(folder: str) -> PriceBook:
    return PriceBook() if folder == "packaged" else PriceBook(Path(folder))


def book_of(money: Money) -> PriceBook:
    """The price book that a scenario is billed from, with its own prices in it."""
    folder = DATA if money.price_book == "packaged" else Path(money.price_book)
    if not (folder / "services.csv.gz").is_file():
        raise ScenarioError(f"money.price_book = '{money.price_book}'; expected 'packaged' or a folder of price tables")
    book = _opened(money.price_book)
    if not book.has("transfer/zones", money.region):
        known = ", ".join(book.regions("transfer/zones"))
        raise ScenarioError(f"money.region = '{money.region}' is not in the price book; it has {known}")
    if not money.prices:
        return book
    return book.with_prices({(item, money.region): Decimal(repr(usd)) for item, usd in money.prices.items()})


def offers(money: Money, book: PriceBook) -> list[tuple[Commitment, Offer]]:
    """The commitments as sold. Raises ScenarioError for one that AWS does not sell or the book cannot price."""
    found = []
    for number, said in enumerate(money.commitments):
        share = None if said.share_of_listed is None else Decimal(repr(said.share_of_listed))
        try:
            made = offer(book, said.kind, said.machine, money.region, said.years, said.payment, share)
        except (NotSold, MissingPrice) as error:
            raise ScenarioError(f"money.commitments[{number}]: {error}") from None
        found.append((said, made))
    return found


def terms_of(money: Money, book: PriceBook, month: int = 1) -> Terms:
    """Discounts, and the commitments that still run in a month from now (1 is the first)."""
    shares = {(d.service, d.usage_type): Decimal(repr(d.share)) for d in money.discounts}
    return Terms(shares, tuple((o, said.count) for said, o in offers(money, book) if runs(said, o, month)))


def runs(said: Commitment, offered: Offer, month: int) -> bool:
    """Whether a commitment is within its term in that month, and the stack still on what it covers."""
    left = offered.months - (said.owned_months or 0)
    return month <= left


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
    pace = pace if pace is not None else _paced(scenario, repeats)
    drawn_paces: list[Mapping[str, Pace]] = [paces(scenario, [trace]) for trace in drawn]
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
        made, ranged(drawn_usd), unit, steeper, held(bought, listed),
        tuple(dict.fromkeys(note for s in scenarios for note in notes_of(s, made, book))), money,
        dict(scenarios[0].tags), month.events, drawn_usd,
    )  # fmt: skip


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


def _paced(scenario: Scenario, traces: Sequence[Trace]) -> dict[str, Pace]:
    try:
        return paces(scenario, traces)
    except ValueError as error:
        raise ScenarioError(str(error)) from None


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


def held(bought: Sequence[tuple[Commitment, Offer]], listed: Sequence[Bill]) -> tuple[Held, ...]:
    """Each commitment against the hours the stack wants of what it covers, in the order stated, month by month; the
    last of the bills holds for all months after it. A stack that no longer wants any of it has left its machine."""
    found: list[Held] = []
    left: dict[str, list[float]] = {}
    for said, offered in bought:
        pool = f"{offered.kind}/{offered.machine}"
        wanted = left.get(pool) or [float(covered_hours(bill, offered)) / bill.month.hours for bill in listed]
        owned = said.owned_months or 0
        months = max(0, offered.months - owned)
        plan = hold(offered, said.count, _over(wanted, months), owned, said.leaves_in_month or _left(wanted))
        left[pool] = [max(0.0, w - said.count) for w in wanted]
        found.append(Held(said, plan, runs(said, offered, 1)))
    return tuple(found)


def _over(wanted: Sequence[float], months: int) -> list[float]:
    """A demand over so many months, its last value kept."""
    return [wanted[min(k, len(wanted) - 1)] for k in range(months)]


def _left(wanted: Sequence[float]) -> int | None:
    """The month from which nothing is wanted that was wanted before, None if there is none."""
    last = max((k for k, w in enumerate(wanted) if w > 0), default=None)
    return None if last is None or last == len(wanted) - 1 else last + 2


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
    from planner.uncertainty import draws

    repeats, drawn = _runs(scenario, central, seed, count)
    return repeats, drawn, draws(central, scenario, count, seed) if drawn else []


def paced(scenario: Scenario, seed: int, simulated: bool) -> dict[str, Pace]:
    """The flows' paces, from the runs that a forecast makes."""
    from planner import forecast as whole

    if not simulated:
        return _paced(scenario, ())
    return _paced(scenario, _runs(scenario, whole.coefficients_of(scenario), seed, 0)[0])


def _runs(
    scenario: Scenario, central: CoefficientSet, seed: int, count: int
) -> tuple[Sequence[Trace], Sequence[Trace]]:
    from planner import forecast as whole

    if refused := whole.too_long(scenario):
        raise ScenarioError(refused)
    return whole._runs(scenario, central, central, seed, "fluid", count, lambda *_: None)
