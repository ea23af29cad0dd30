"""Commitments: promises to pay for hours, used or not, for a lower price.

An *offer* is one as it is really sold: EC2 Standard RIs (one or three years; they cover any size of the family in
the region), EC2 Instance Savings Plans (likewise), Compute Savings Plans (any family), OpenSearch RIs (one type, no
size flexibility). MSK sells none. *Cash* is when money leaves, *amortised* spreads what was paid up front over the
term. A *plan* is an offer bought some number of times and held against a monthly demand for that machine.

Where it stops being true: discounts of the partial and no-upfront EC2 payments are ratios read on one type; a
Compute or Database Savings Plan's rate a type was not read, so the share of on-demand must be given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from models.machines import box_name, machine
from pricing.bill import NOTHING, Bill, Line, cents, exact
from pricing.elasticsearch import search_name
from pricing.price_book import Price, PriceBook

Kind = Literal["ec2-ri", "ec2-instance-sp", "compute-sp", "opensearch-ri"]
Payment = Literal["no", "partial", "all"]
Covers = Literal["family", "type", "anything"]

HOURS_A_YEAR, MONTHS_A_YEAR = 8760, 12
MONTH_HOURS = Decimal(HOURS_A_YEAR) / MONTHS_A_YEAR
PLANS = {"ec2-ri": "ri", "ec2-instance-sp": "sp", "compute-sp": "compute-sp"}
HALF = Decimal("0.5")  # partial upfront: half of the term's price is paid at once (AWS RI payment options)


class NotSold(ValueError):
    """A commitment that AWS does not sell: says what does exist."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One commitment as sold for one box, an hour: `price.usd` is effective (amortised), `listed` is on demand."""

    kind: Kind
    machine: str
    years: Literal[1, 3]
    payment: Payment
    price: Price
    listed: Price
    covers: Covers

    @property
    def upfront_usd(self) -> Decimal:
        """Paid at once for one box for the whole term [USD]."""
        share = {"no": NOTHING, "partial": HALF, "all": Decimal(1)}[self.payment]
        return self.price.usd * HOURS_A_YEAR * self.years * share

    @property
    def hourly_cash_usd(self) -> Decimal:
        """Paid each hour besides [USD/h]."""
        return self.price.usd - self.upfront_usd / (HOURS_A_YEAR * self.years)

    @property
    def saving(self) -> Decimal:
        """Share off the on-demand price [1]."""
        return 1 - self.price.usd / self.listed.usd

    @property
    def break_even_use(self) -> Decimal:
        """Share of the hours that must be used for the commitment to pay [1]."""
        return self.price.usd / self.listed.usd

    @property
    def months(self) -> int:
        return self.years * MONTHS_A_YEAR


def offer(
    book: PriceBook, kind: str, name: str, region: str, years: int = 1, payment: str = "no",
    share_of_listed: Decimal | None = None,
) -> Offer:  # fmt: skip
    """The offer of that kind for a machine, or why there is none.

    `share_of_listed` is the rate over on-demand of a savings plan whose rates are not in the book.
    """
    if name.startswith(("kafka.", "express.")) or kind.startswith("msk"):
        raise NotSold(f"commitment on {name}: MSK sells no reserved brokers and no Savings Plan covers it")
    if years not in (1, 3) or payment not in ("no", "partial", "all"):
        raise NotSold(f"commitment of {years} years paid '{payment}' upfront; sold: 1 or 3 years; no, partial, all")
    if kind == "opensearch-ri":
        node = search_name(name)
        listed = book.price(f"opensearch/node/{node}", region)
        price = book.price(f"opensearch/ri-{years}yr-{payment}-upfront/{node}", region)
        return Offer("opensearch-ri", node, years, payment, price, listed, "type")  # type: ignore[arg-type]
    box = box_name(name)
    listed = book.price(f"ec2/on-demand/{box}", region)
    if kind not in ("ec2-ri", "ec2-instance-sp", "compute-sp"):
        raise NotSold(f"commitment kind = '{kind}'; expected ec2-ri, ec2-instance-sp, compute-sp or opensearch-ri")
    price = _ec2_price(book, kind, box, region, years, payment, listed, share_of_listed)
    covers: Covers = "anything" if kind == "compute-sp" else "family"
    return Offer(kind, box, years, payment, price, listed, covers)  # type: ignore[arg-type]


def _ec2_price(
    book: PriceBook, kind: str, box: str, region: str, years: int, payment: str, listed: Price, share: Decimal | None
) -> Price:
    if share is not None:
        item = f"ec2/{kind}-{years}yr-{payment}-upfront/{box}"
        return replace(listed, item=item, usd=listed.usd * share, grade="given", source="share given by the user",
                       unit="effective hour", usage_type="", identity="unknown/unknown")  # fmt: skip
    exact_item = f"ec2/{PLANS[kind]}-{years}yr-{payment}-upfront/{box}"
    if book.has(exact_item, region):
        return book.price(exact_item, region)
    if kind == "compute-sp" or (kind == "ec2-instance-sp" and years == 1):
        raise NotSold(f"{kind} {years} yr of {box}: AWS sells it, its rate is not in the book; give share_of_listed")
    whole = book.price(f"ec2/{PLANS[kind]}-{years}yr-all-upfront/{box}", region)
    if payment == "all":
        return whole
    ratio = book.price(f"ec2/ri-payment-{years}yr-{payment}-upfront", region)
    return replace(whole, item=whole.item.replace("all-upfront", f"{payment}-upfront"), usd=whole.usd * ratio.usd,
                   grade="derived", source=f"{whole.source} x {ratio.source}")  # fmt: skip


@dataclass(frozen=True, slots=True)
class MonthOfPlan:
    """One month: boxes wanted, boxes bought, and dollars with the plan (cash, amortised) and without it."""

    month: int
    wanted: Decimal
    bought: Decimal
    cash_usd: Decimal
    amortised_usd: Decimal
    on_demand_usd: Decimal

    @property
    def utilisation(self) -> Decimal:
        """Share of what was bought that is used [1]."""
        return min(self.wanted, self.bought) / self.bought if self.bought else NOTHING


@dataclass(frozen=True, slots=True)
class Plan:
    """An offer bought `bought` times and held against a demand. `stranded_usd` is paid for nothing after a change."""

    offer: Offer
    bought: Decimal
    months: tuple[MonthOfPlan, ...]
    stranded_usd: Decimal

    @property
    def hourly_commitment_usd(self) -> Decimal:
        return self.offer.price.usd * self.bought

    @property
    def utilisation(self) -> Decimal:
        """Mean over the months of the term that were looked at [1]."""
        used = [m.utilisation for m in self.months if m.bought]
        return sum(used, NOTHING) / len(used) if used else NOTHING

    @property
    def break_even_month(self) -> int | None:
        """First month (from 1) from which the cash spent stays at or below what on-demand would have cost by then."""
        found: int | None = None
        cash = listed = NOTHING
        for m in self.months:
            cash, listed = cash + m.cash_usd, listed + m.on_demand_usd
            if cash > listed:
                found = None
            elif found is None:
                found = m.month
        return found

    @property
    def saved_usd(self) -> Decimal:
        """Amortised, over the months looked at; negative when the plan costs more than it saves."""
        return sum((m.on_demand_usd - m.amortised_usd for m in self.months), NOTHING)


def hold(offered: Offer, bought: float, wanted: Sequence[float], owned_months: int = 0, change_month: int | None = None,
         still_covered: bool | None = None) -> Plan:  # fmt: skip
    """A plan's months against a demand in boxes of its machine, one number a month (a part of a box is part of hours).

    `owned_months` of the term have passed already (their upfront is sunk). From `change_month` (from 1) the stack
    runs on another machine: nothing of this one is wanted any more, and what the term still costs is stranded.
    `still_covered` says that the offer covers the new machine too (another size of the family, for an EC2 RI).
    """
    if bought < 0 or any(w < 0 for w in wanted):
        raise ValueError(f"bought = {bought}; expected 0 or more boxes bought and wanted")
    covered = still_covered if still_covered is not None else offered.covers == "anything"
    changed = None if covered else change_month
    months = []
    for number, count in enumerate(wanted, start=1):
        running = number + owned_months <= offered.months
        gone = changed is not None and number >= changed
        held, needed = exact(bought) if running else NOTHING, NOTHING if gone else exact(count)
        months.append(_month(offered, held, needed, number, owned_months))
    left = 0 if changed is None else max(0, offered.months - owned_months - changed + 1)
    stranded = offered.price.usd * MONTH_HOURS * exact(bought) * left
    return Plan(offered, exact(bought), tuple(months), cents(stranded))


def _month(offered: Offer, bought: Decimal, wanted: Decimal, number: int, owned: int) -> MonthOfPlan:
    rest = max(NOTHING, wanted - bought) * offered.listed.usd * MONTH_HOURS
    hourly = bought * offered.hourly_cash_usd * MONTH_HOURS
    upfront = bought * offered.upfront_usd if number == 1 and not owned else NOTHING
    amortised = bought * offered.price.usd * MONTH_HOURS + rest
    listed = wanted * offered.listed.usd * MONTH_HOURS
    return MonthOfPlan(number, wanted, bought, cents(upfront + hourly + rest), cents(amortised), cents(listed))


def best_count(offered: Offer, wanted: Sequence[float]) -> int:
    """How many boxes to commit to so that the term's amortised cost is least [boxes].

    Each further box pays when it is used more than `break_even_use` of the months looked at.
    """
    best = 0
    while best < max(wanted, default=0):
        used = sum(min(1.0, max(0.0, w - best)) for w in wanted[: offered.months]) / len(wanted[: offered.months])
        if Decimal(repr(used)) <= offered.break_even_use:
            return best
        best += 1
    return best


def apply(bill: Bill, offered: Offer, bought: float) -> Bill:
    """The bill with a commitment on it, amortised: what it covers leaves the on-demand lines, all of it is paid.

    An RI or plan that covers the family covers other sizes in proportion to vCPU.
    """
    left = exact(bought) * exact(bill.month.hours)
    paid = left * offered.price.usd
    lines: list[Line] = []
    for line in bill.lines:
        share = _covered_share(line, offered)
        used = min(line.quantity, left / share) if share and left > 0 else NOTHING
        left -= used * share
        lines.append(_less(line, used) if used else line)
    name = f"{offered.kind} {offered.machine}, {offered.years} yr, {offered.payment} upfront (amortised)"
    quantity = exact(bought) * exact(bill.month.hours)
    first = next((x for x in bill.lines if _covered_share(x, offered)), None)
    if first is not None or paid:
        system = first.system if first is not None else "shared"
        tags = first.tags if first is not None else ()
        lines.append(Line(system, "compute", name, offered.price, quantity, cents(paid), "fixed", "commitment", tags))
    return replace(bill, lines=tuple(line for line in lines if line.quantity))


def covered_hours(bill: Bill, offered: Offer) -> Decimal:
    """Hours a month that the bill's on-demand lines could use of an offer, in hours of its machine [h]."""
    return sum((x.quantity * _covered_share(x, offered) for x in bill.lines), NOTHING)


def _covered_share(line: Line, offered: Offer) -> Decimal:
    """Commitment hours that one hour of the line uses up [1]; 0 where it is not covered."""
    if line.price.region != offered.listed.region:
        return NOTHING
    if line.price.item == offered.listed.item:
        return Decimal(1)
    if offered.covers == "type" or not line.price.item.startswith("ec2/on-demand/"):
        return NOTHING
    mine, theirs = machine(offered.machine), machine(line.price.item.rpartition("/")[2])
    if offered.covers == "anything":
        return line.price.usd / offered.listed.usd
    return Decimal(theirs.vcpu) / Decimal(mine.vcpu) if theirs.family == mine.family else NOTHING


def _less(line: Line, used: Decimal) -> Line:
    quantity = line.quantity - used
    return replace(line, quantity=quantity, monthly_usd=cents(quantity * line.price.usd))
