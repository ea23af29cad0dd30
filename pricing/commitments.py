"""Commitments: promises to pay for hours, used or not, for a lower price.

An *offer* is one as it is really sold: EC2 Standard RIs (one or three years; they cover any size of the family in
the region), EC2 Instance Savings Plans (likewise), Compute Savings Plans (any family), OpenSearch RIs (one type, no
size flexibility). MSK sells none. *Cash* is when money leaves, *amortised* spreads what was paid up front over the
term. A *plan* is an offer bought some number of times and held against a monthly demand for that machine.

Commitments are used up as AWS uses them: reservations first, then EC2 Instance Savings Plans, then Compute Savings
Plans, of which every machine takes its own rate's worth.

Where it stops being true: discounts of the partial and no-upfront EC2 payments are ratios read on one type; EC2
Instance Savings Plans cost what Standard RIs do where their own rate was not read (r8i, three years, no upfront: 0.3 %
off); Compute Savings Plan rates were read for the families m7g and m6a in us-east-1, others come with a refreshed book
or from the user; on a machine without a rate a Compute Savings Plan takes off the share that it takes off its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from models.machines import box_name, machine
from pricing.bill import NOTHING, Bill, Line, System, cents, exact
from pricing.elasticsearch import search_name
from pricing.price_book import MissingPrice, Price, PriceBook
from pricing.usage import Tags

Kind = Literal["ec2-ri", "ec2-instance-sp", "compute-sp", "opensearch-ri"]
Payment = Literal["no", "partial", "all"]
Covers = Literal["family", "type", "anything"]

HOURS_A_YEAR, MONTHS_A_YEAR = 8760, 12
MONTH_HOURS = Decimal(HOURS_A_YEAR) / MONTHS_A_YEAR
PLANS = {"ec2-ri": "ri", "ec2-instance-sp": "sp", "compute-sp": "compute-sp"}
NEGLIGIBLE = Decimal("1e-6")  # hours of a commitment that are left over by division only
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
    item = f"ec2/{PLANS[kind]}-{years}yr-{payment}-upfront/{box}"
    if book.has(item, region):
        return book.price(item, region)
    known = next((p for p in ("all", "no") if book.has(item.replace(f"{payment}-upfront", f"{p}-upfront"), region)), "")
    if known:
        return _at_payment(book, item.replace(f"{payment}-upfront", f"{known}-upfront"), region, years, known, payment)
    if kind == "ec2-instance-sp":
        return _as_reserved(book, item, box, region, years, payment)
    if kind == "compute-sp":
        raise NotSold(
            f"{kind} {years} yr of {box}: AWS sells it, its rate is not in the book; give share_of_listed, or a book "
            "that `floodmark prices refresh` made"
        )
    return book.price(item.replace(f"{payment}-upfront", "all-upfront"), region)


def _at_payment(book: PriceBook, item: str, region: str, years: int, known: str, payment: str) -> Price:
    """A price at another payment than the one that was read, by the ratios of the type whose payments all were."""
    read = book.price(item, region)
    sources, ratio = [read.source], Decimal(1)
    for name, power in ((payment, 1), (known, -1)):
        if name != "all":
            row = book.price(f"ec2/ri-payment-{years}yr-{name}-upfront", region)
            sources, ratio = [*sources, row.source], ratio * (row.usd if power > 0 else 1 / row.usd)
    return replace(read, item=item.replace(f"{known}-upfront", f"{payment}-upfront"), usd=read.usd * ratio,
                   grade="derived", source=" x ".join(dict.fromkeys(sources)))  # fmt: skip


def _as_reserved(book: PriceBook, item: str, box: str, region: str, years: int, payment: str) -> Price:
    """An EC2 Instance Savings Plan whose rate was not read, at the Standard RI's price. Raises NotSold without one."""
    try:
        listed = book.price(f"ec2/on-demand/{box}", region)
        like = _ec2_price(book, "ec2-ri", box, region, years, payment, listed, None)
    except MissingPrice:
        raise NotSold(
            f"ec2-instance-sp {years} yr of {box}: AWS sells it, its rate is not in the book; give share_of_listed, "
            "or a book that `floodmark prices refresh` made"
        ) from None
    return replace(like, item=item, grade="derived", source=f"{like.source}, as a Standard RI",
                   service_code="ComputeSavingsPlans", usage_type="", identity="unknown/unknown")  # fmt: skip


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


def apply(bill: Bill, offered: Offer, bought: float, book: PriceBook | None = None) -> Bill:
    """The bill with a commitment on it, amortised: what it covers leaves the on-demand lines, all of it is paid.

    An RI or plan that covers the family covers other sizes in proportion to vCPU. A Compute Savings Plan is dollars an
    hour: each machine, in any region, uses up its own rate of them, the one with the largest share off first. Each
    system and its tags pay for what they use; what nobody uses is a line of its own.
    """
    left = exact(bought) * exact(bill.month.hours)
    shares = [_covered_share(line, offered, book) for line in bill.lines]
    lines = list(bill.lines)
    users: dict[tuple[System, Tags], Decimal] = {}
    for n in sorted(range(len(lines)), key=lambda n: shares[n] / (lines[n].price.usd or 1)):
        if shares[n] and left > 0:
            used = min(lines[n].quantity, left / shares[n])
            left -= used * shares[n]
            whose = (lines[n].system, lines[n].tags)
            users[whose] = users.get(whose, NOTHING) + used * shares[n]
            lines[n] = _less(lines[n], used)
    lines += [_committed(offered, system, tags, hours) for (system, tags), hours in users.items() if hours]
    if left > NEGLIGIBLE:
        common = tuple(tag for tag in lines[0].tags if all(tag in x.tags for x in lines)) if lines else ()
        lines.append(_committed(offered, "shared", common, left, "unused"))
    return replace(bill, lines=tuple(line for line in lines if line.quantity))


def _committed(offered: Offer, system: System, tags: Tags, hours: Decimal, said: str = "") -> Line:
    """Hours of a commitment as a line of the bill."""
    hours = exact(float(hours))
    told = ", ".join(filter(None, ["amortised", said]))
    name = f"{offered.kind} {offered.machine}, {offered.years} yr, {offered.payment} upfront ({told})"
    usd = cents(hours * offered.price.usd)
    return Line(system, "compute", name, offered.price, hours, usd, "fixed", "commitment", tags)


# The order in which AWS uses commitments up.
USED_UP = {"ec2-ri": 0, "opensearch-ri": 0, "ec2-instance-sp": 1, "compute-sp": 2}


def covered_hours(bill: Bill, offered: Offer, book: PriceBook | None = None) -> Decimal:
    """Hours a month that the bill's on-demand lines could use of an offer, in hours of its machine [h]."""
    return sum((x.quantity * _covered_share(x, offered, book) for x in bill.lines), NOTHING)


def _covered_share(line: Line, offered: Offer, book: PriceBook | None) -> Decimal:
    """Commitment hours that one hour of the line uses up [1]; 0 where it is not covered."""
    item, region = line.price.item, line.price.region
    if item == offered.listed.item and region == offered.listed.region:
        return Decimal(1)
    if offered.covers == "type" or not item.startswith("ec2/on-demand/"):
        return NOTHING
    if offered.covers == "anything":
        return _own_rate(line, offered, book) / offered.price.usd
    if region != offered.listed.region:
        return NOTHING
    mine, theirs = machine(offered.machine), machine(item.rpartition("/")[2])
    return Decimal(theirs.vcpu) / Decimal(mine.vcpu) if theirs.family == mine.family else NOTHING


def _own_rate(line: Line, offered: Offer, book: PriceBook | None) -> Decimal:
    """What an hour of the line takes of a Compute Savings Plan [USD]: its own rate, else the same share off."""
    item, region = line.price.item, line.price.region
    if book is None or offered.price.grade == "given":
        listed = line.price.usd if book is None else book.price(item, region).usd
        return listed * offered.price.usd / offered.listed.usd
    try:
        return offer(book, offered.kind, item.rpartition("/")[2], region, offered.years, offered.payment).price.usd
    except NotSold:
        return book.price(item, region).usd * offered.price.usd / offered.listed.usd


def _less(line: Line, used: Decimal) -> Line:
    quantity = line.quantity - used
    quantity = quantity if quantity > NEGLIGIBLE else NOTHING
    return replace(line, quantity=quantity, monthly_usd=cents(quantity * line.price.usd))
