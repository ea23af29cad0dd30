"""The bill: named lines, each a quantity at a unit price, rounded to the cent as an invoice rounds.

A *line* is what AWS would print: what, how much of it, at what price, and which forecast quantity it came from.
It is `fixed` when it stands whatever flows (boxes, volumes), `scaling` when it is metered. A *gap* is a line whose
price is not in the book: it is listed, and the bill says it is incomplete, it is never counted as 0.
`aws_usd` is what an AWS invoice would confirm; `other_usd` is people and third parties.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from pricing.price_book import MissingPrice, Price, PriceBook
from pricing.usage import Month, Tags

Kind = Literal["compute", "storage", "transfer", "requests", "monitoring", "support", "people", "third-party"]
System = Literal["kafka", "spark", "elasticsearch", "shared"]
Scaling = Literal["fixed", "scaling"]

CENT = Decimal("0.01")
MICRO = Decimal("0.000001")
NOTHING = Decimal(0)
OTHER_KINDS = ("people", "third-party")


def cents(usd: Decimal) -> Decimal:
    """Dollars to the cent, halves up, as an invoice.

    >>> cents(Decimal("253.125")), cents(Decimal("0.004"))
    (Decimal('253.13'), Decimal('0.00'))
    """
    return usd.quantize(CENT, ROUND_HALF_UP)


def exact(quantity: float) -> Decimal:
    """A computed quantity as a decimal, to the millionth, so that no binary dust reaches the bill.

    >>> exact(0.1 + 0.2), exact(2190.0)
    (Decimal('0.3'), Decimal('2190.0'))
    """
    return Decimal(quantity) if quantity.__class__ is int else Decimal(repr(round(float(quantity), 6)))


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bill. `driver` names the forecast quantity that `quantity` came from."""

    system: System
    kind: Kind
    name: str
    price: Price
    quantity: Decimal
    monthly_usd: Decimal
    scaling: Scaling
    driver: str
    tags: Tags = ()

    @property
    def exact_usd(self) -> Decimal:
        """Before rounding to the cent."""
        return self.quantity * self.price.usd

    @property
    def is_aws(self) -> bool:
        return self.kind not in OTHER_KINDS

    def row(self) -> dict[str, str]:
        """The line as a flat row, for tables and files; keys are AWS's where AWS has one."""
        p = self.price
        return {
            "system": self.system, "kind": self.kind, "name": self.name, "service_code": p.service_code,
            "usage_type": p.usage_type, "operation": p.operation, "region": p.region, "unit": p.unit,
            "quantity": f"{self.quantity:f}", "unit_price": f"{p.usd:f}", "monthly_usd": f"{self.monthly_usd:f}",
            "scaling": self.scaling, "driver": self.driver, "item": p.item, "identity": p.identity, "grade": p.grade,
            "source": p.source, "as_of": p.as_of, **{f"tag:{key}": value for key, value in self.tags},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Gap:
    """A line that could not be priced, with the quantity that waits for a price."""

    system: System
    kind: Kind
    name: str
    item: str
    region: str
    quantity: Decimal
    driver: str
    reason: str


class Ledger:
    """Collects one system's lines and gaps. A quantity of 0 makes no line."""

    def __init__(self, system: System, region: str, book: PriceBook, tags: Tags = ()) -> None:
        self.system, self.region, self.book, self.tags = system, region, book, tags
        self.lines: list[Line] = []
        self.gaps: list[Gap] = []

    def add(
        self, kind: Kind, name: str, item: str, quantity: float, scaling: Scaling, driver: str, before: float = 0.0,
    ) -> None:  # fmt: skip
        """A line for that quantity; a tiered item makes a line a tier, after `before` units used elsewhere."""
        if quantity <= 0:
            return
        try:
            tiers = self.book.tiers(item, self.region)
        except MissingPrice as missing:
            gap = Gap(self.system, kind, name, item, self.region, exact(quantity), driver, str(missing))
            self.gaps.append(gap)
            return
        if len(tiers) == 1:
            self.put(kind, name, tiers[0], exact(quantity), scaling, driver)
            return
        for tier, part in split(tiers, exact(before), exact(quantity)):
            self.put(kind, f"{name} ({tier_name(tier)})", tier, part, scaling, driver)

    def put(self, kind: Kind, name: str, price: Price, quantity: Decimal, scaling: Scaling, driver: str) -> None:
        usd = (quantity * price.usd).quantize(CENT, ROUND_HALF_UP)
        self.lines.append(Line(self.system, kind, name, price, quantity, usd, scaling, driver, self.tags))


def split(tiers: Iterable[Price], before: Decimal, quantity: Decimal) -> list[tuple[Price, Decimal]]:
    """How much of a quantity falls into each tier when `before` was used already."""
    end = before + quantity
    parts = []
    for tier in tiers:
        top = end if tier.tier_to is None else min(end, tier.tier_to)
        part = top - max(before, tier.tier_from)
        if part > 0:
            parts.append((tier, part))
    return parts


def tier_name(tier: Price) -> str:
    first = f"{tier.tier_from:,f}"
    return f"over {first} {tier.unit}" if tier.tier_to is None else f"{first} to {tier.tier_to:,f} {tier.unit}"


@dataclass(frozen=True, slots=True)
class UnitCosts:
    """What one unit of work costs: average over the whole bill, and the part that is metered."""

    usd_per_million_events: Decimal
    usd_per_gib: Decimal
    metered_usd_per_million_events: Decimal
    metered_usd_per_gib: Decimal


@dataclass(frozen=True, slots=True)
class Bill:
    """The lines of a month, and what could not be priced. Sums are of the printed, rounded lines."""

    lines: tuple[Line, ...]
    gaps: tuple[Gap, ...]
    month: Month
    book_digest: str

    @property
    def monthly_usd(self) -> Decimal:
        return _sum(self.lines)

    @property
    def aws_usd(self) -> Decimal:
        return _sum(line for line in self.lines if line.is_aws)

    @property
    def other_usd(self) -> Decimal:
        return _sum(line for line in self.lines if not line.is_aws)

    @property
    def complete(self) -> bool:
        """False when a price was missing: the sums then leave something out."""
        return not self.gaps

    @property
    def by_system(self) -> dict[str, Decimal]:
        return self.by(lambda line: line.system)

    @property
    def by_kind(self) -> dict[str, Decimal]:
        return self.by(lambda line: line.kind)

    @property
    def by_grade(self) -> dict[str, Decimal]:
        """Dollars by how sure their price is: the assumption ledger of the bill."""
        return self.by(lambda line: line.price.grade)

    def by(self, key: Callable[[Line], str]) -> dict[str, Decimal]:
        sums: dict[str, Decimal] = defaultdict(lambda: NOTHING)
        for line in self.lines:
            sums[key(line)] += line.monthly_usd
        return dict(sums)

    def unit_costs(self, events: float, payload_bytes: float) -> UnitCosts:
        """USD per million events and per GiB of payload in the month."""
        if events <= 0 or payload_bytes <= 0:
            raise ValueError(f"events = {events}, payload_bytes = {payload_bytes}; expected more than 0 of each")
        millions, gib = exact(events) / 1_000_000, exact(payload_bytes / 2**30)
        metered = _sum(line for line in self.lines if line.scaling == "scaling")
        total = self.monthly_usd
        return UnitCosts(*(part.quantize(MICRO) for part in (
            total / millions, total / gib, metered / millions, metered / gib)))  # fmt: skip

    def discounted(self, shares: Mapping[tuple[str, str], Decimal]) -> Bill:
        """The bill under negotiated discounts: {(service code, usage type or '*'): share off}."""
        return replace(self, lines=tuple(_discounted(line, shares) for line in self.lines))


def _sum(lines: Iterable[Line]) -> Decimal:
    return sum((line.monthly_usd for line in lines), NOTHING)


def _discounted(line: Line, shares: Mapping[tuple[str, str], Decimal]) -> Line:
    price = line.price
    share = shares.get((price.service_code, price.usage_type), shares.get((price.service_code, "*")))
    if share is None or not price.service_code:
        return line
    if not 0 <= share <= 1:
        raise ValueError(f"discount of {price.service_code} = {share}; expected a share from 0 to 1")
    lower = replace(price, usd=price.usd * (1 - share), source=f"{price.source}; less {share:%} by agreement")
    return replace(line, price=lower, monthly_usd=cents(line.quantity * lower.usd))


def marginal(more: Bill, less: Bill, extra_events: float, extra_bytes: float) -> tuple[Decimal, Decimal]:
    """What the next million events and the next GiB cost [USD], from two bills of nearby loads.

    Uses unrounded lines, or a small step would drown in cents.
    """
    if extra_events <= 0 or extra_bytes <= 0:
        raise ValueError(f"extra_events = {extra_events}, extra_bytes = {extra_bytes}; expected more than 0 of each")
    rise = sum((x.exact_usd for x in more.lines), NOTHING) - sum((x.exact_usd for x in less.lines), NOTHING)
    return rise / exact(extra_events) * 1_000_000, rise / exact(extra_bytes / 2**30)
