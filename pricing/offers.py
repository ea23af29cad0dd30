"""Commitments compared: everything that AWS sells for the boxes of a bill, as cash and amortised, over one horizon.

A *demand* is how many of a machine's hours a month could be covered, month by month, in boxes. Each offer is bought as
often as pays best over the months of the horizon that lie in its term, and held against the demand. What AWS sells and
the book has no rate for is listed with its reason, never left out in silence. The best option is the least amortised
cost; where a price that is not sure could make another one the best, that option is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pricing.bill import NOTHING, Bill, cents
from pricing.commitments import MONTH_HOURS, NotSold, Offer, Plan, best_count, hold, offer
from pricing.price_book import MissingPrice, PriceBook
from pricing.spread import SPREAD

PAYMENTS = ("no", "partial", "all")
EC2_KINDS = (("ec2-ri", 1), ("ec2-ri", 3), ("ec2-instance-sp", 1), ("ec2-instance-sp", 3), ("compute-sp", 1),
             ("compute-sp", 3))  # fmt: skip
UNKNOWN_RATE = "its rate is not in the book; give money.commitments' share_of_listed, or refresh the book"
SEARCH_KINDS = (("opensearch-ri", 1), ("opensearch-ri", 3))


@dataclass(frozen=True, slots=True)
class Choice:
    """One option for a machine: an offer and its plan over the horizon, or what it costs on demand (no offer)."""

    machine: str
    name: str
    plan: Plan | None
    cash_usd: tuple[Decimal, ...]
    amortised_usd: tuple[Decimal, ...]
    on_demand_usd: Decimal
    spread: float
    stranded_usd: Decimal = NOTHING
    break_even_month: int | None = None
    committed_usd: Decimal = NOTHING  # of the amortised total, what the commitments' own price makes

    @property
    def total_usd(self) -> Decimal:
        """Amortised, over the horizon."""
        return sum(self.amortised_usd, NOTHING)

    @property
    def total_cash_usd(self) -> Decimal:
        return sum(self.cash_usd, NOTHING)

    @property
    def saved_usd(self) -> Decimal:
        return self.on_demand_usd - self.total_usd


@dataclass(frozen=True, slots=True)
class Compared:
    """All options of one machine, on demand first; the best of them, what could turn that, and what has no rate."""

    machine: str
    demand: tuple[Decimal, ...]
    choices: tuple[Choice, ...]
    missing: tuple[str, ...]

    @property
    def best(self) -> Choice:
        return min(self.choices, key=lambda c: c.total_usd)

    @property
    def turned_by(self) -> tuple[str, ...]:
        """Options that an unsure price (theirs, or the best one's) could make the cheapest."""
        best = self.best
        return tuple(
            c.name for c in self.choices
            if c is not best and (c.spread or best.spread) and _end(c, -1) < _end(best, 1)
        )  # fmt: skip


def _end(choice: Choice, sign: int) -> Decimal:
    """Amortised cost at an end of the price's 90 % interval; hours beyond the commitment keep their list price."""
    if choice.plan is None or not choice.spread:
        return choice.total_usd
    return choice.total_usd + sign * choice.committed_usd * Decimal(repr(choice.spread))


def compared(bills: Sequence[Bill], book: PriceBook, leave_after: int | None = None) -> tuple[Compared, ...]:
    """The options for every machine of the bills (on demand, one a month of the horizon) that a commitment covers.

    With `leave_after` the dollars stranded when the stack leaves the machine after so many months are told too.
    """
    found: dict[tuple[str, str, str], None] = {}
    for bill in bills:
        for line in bill.lines:
            service, _, machine = line.price.item.rpartition("/")
            if service in ("ec2/on-demand", "opensearch/node") and "ultrawarm" not in machine:
                found[service, machine, line.price.region] = None
    return tuple(_of_machine(bills, book, *key, leave_after=leave_after) for key in found)


def _of_machine(
    bills: Sequence[Bill], book: PriceBook, service: str, machine: str, region: str, leave_after: int | None
) -> Compared:
    listed = book.price(f"{service}/{machine}", region)
    wanted = [
        sum((x.quantity for x in bill.lines if x.price.item == listed.item), NOTHING) / Decimal(repr(bill.month.hours))
        for bill in bills
    ]
    base = tuple(cents(w * Decimal(repr(b.month.hours)) * listed.usd) for w, b in zip(wanted, bills, strict=True))
    on_demand = sum(base, NOTHING)
    choices = [Choice(machine, "on demand", None, base, base, on_demand, SPREAD[listed.grade])]
    missing: list[str] = []
    for kind, years in SEARCH_KINDS if service.startswith("opensearch") else EC2_KINDS:
        for payment in PAYMENTS:
            try:
                sold = offer(book, kind, machine, region, years, payment)
            except (NotSold, MissingPrice):
                missing.append(f"{kind} {years} yr")
                continue
            choices.append(_held(sold, wanted, bills, on_demand, leave_after))
    return Compared(
        machine,
        tuple(wanted),
        tuple(choices),
        (f"{', '.join(dict.fromkeys(missing))}: {UNKNOWN_RATE}",) if missing else (),
    )


def _held(
    sold: Offer, wanted: Sequence[Decimal], bills: Sequence[Bill], on_demand: Decimal, leave_after: int | None
) -> Choice:
    """An offer over the horizon; a term that ends within it is bought anew, as often as pays best then."""
    boxes = [float(w) for w in wanted]
    plans = [_plan(sold, boxes[k : k + sold.months]) for k in range(0, len(boxes), sold.months)]
    months = [m for plan in plans for m in plan.months]
    rest = [
        cents(max(NOTHING, w - m.bought) * Decimal(repr(b.month.hours)) * sold.listed.usd)
        for w, m, b in zip(wanted, months, bills, strict=True)
    ]
    paid = [m.bought * sold.price.usd * MONTH_HOURS for m in months]
    cash = [m.bought * sold.hourly_cash_usd * MONTH_HOURS + (m.bought * sold.upfront_usd if m.month == 1 else NOTHING)
            for m in months]  # fmt: skip
    count = float(plans[0].bought)
    term = hold(sold, count, [boxes[min(k, len(boxes) - 1)] for k in range(sold.months)])
    left = hold(sold, count, boxes, change_month=leave_after + 1) if leave_after else None
    return Choice(
        sold.machine, f"{sold.kind} {sold.years} yr, {sold.payment} upfront", plans[0],
        tuple(cents(c) + r for c, r in zip(cash, rest, strict=True)),
        tuple(cents(p) + r for p, r in zip(paid, rest, strict=True)), on_demand, SPREAD[sold.price.grade],
        left.stranded_usd if left else NOTHING, term.break_even_month if count else None,
        sum((m.bought for m in months), NOTHING) * sold.price.usd * MONTH_HOURS,
    )  # fmt: skip


def _plan(sold: Offer, boxes: Sequence[float]) -> Plan:
    return hold(sold, best_count(sold, boxes), boxes)
