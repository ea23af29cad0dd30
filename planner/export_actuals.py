"""What AWS really charged: charges as one shape, whoever wrote them down.

A *charge* is a sum of money for a usage type in a month. Its *kind* says whether it is comparable with a bill (`usage`,
`commitment`) or stands apart (`tax`, `credit`, `refund`). The *basis* says which of AWS's four costs is meant:
unblended (as invoiced), amortised (upfront fees spread over their term), or either one net of discounts. A *scope*
keeps some accounts, tags and regions; what lies outside is counted, not forgotten.

AWS FOCUS exports hold net costs only: `BilledCost` is net unblended, `EffectiveCost` net amortised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

from planner.refusal import ScenarioError
from pricing.bill import NOTHING

Basis = Literal["unblended", "amortised", "net-unblended", "net-amortised"]
ChargeKind = Literal["usage", "commitment", "tax", "credit", "refund"]
BASES: tuple[Basis, ...] = get_args(Basis)
APART: tuple[ChargeKind, ...] = ("tax", "credit", "refund")


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge, or the sum of many alike. `quantity` None: nobody said how much."""

    kind: ChargeKind
    service: str
    usage_type: str
    operation: str
    region: str
    account: str
    quantity: Decimal | None
    unit: str
    usd: Decimal
    month: str
    until: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scope:
    """Which charges are the stack's: accounts, tags and regions; nothing named keeps everything."""

    accounts: frozenset[str] = frozenset()
    tags: tuple[tuple[str, str], ...] = ()
    regions: frozenset[str] = frozenset()

    def holds(self, charge: Charge) -> bool:
        if self.accounts and charge.account not in self.accounts:
            return False
        if self.regions and charge.region not in self.regions:
            return False
        return all(tag_of(charge.tags, key) == value for key, value in self.tags)

    @property
    def told(self) -> str:
        parts = [f"accounts {', '.join(sorted(self.accounts))}"] if self.accounts else []
        parts += [f"regions {', '.join(sorted(self.regions))}"] if self.regions else []
        parts += [f"tag {key} = {value}" for key, value in self.tags]
        return "; ".join(parts) or "everything in the export"


@dataclass(frozen=True)
class Actuals:
    """A month's charges within a scope, summed by usage type, and what lay outside it."""

    source: str
    basis: Basis
    month: str
    scope: Scope
    charges: tuple[Charge, ...]
    outside_usd: Decimal
    rows: int
    notes: tuple[str, ...] = ()

    def apart(self) -> dict[str, Decimal]:
        """Tax, credits and refunds [USD]."""
        return {kind: sum((c.usd for c in self.charges if c.kind == kind), NOTHING) for kind in APART}

    @property
    def comparable(self) -> tuple[Charge, ...]:
        return tuple(c for c in self.charges if c.kind not in APART)


def tag_of(tags: Mapping[str, str], key: str) -> str | None:
    """A tag's value under its plain name; exports put `user:` or `user_` before it.

    >>> tag_of({"user_team": "search"}, "team"), tag_of({"team": "a"}, "team"), tag_of({}, "team")
    ('search', 'a', None)
    """
    for name in (key, f"user:{key}", f"user_{key}", f"resourceTags/user:{key}", f"user_{key.lower()}"):
        if name in tags:
            return tags[name]
    return None


def decimal(value: Any, what: str) -> Decimal:
    """A number of an export as a decimal, without binary dust. Nothing is 0."""
    if value is None or value == "":
        return NOTHING
    try:
        found = (
            value if isinstance(value, Decimal) else Decimal(repr(value) if isinstance(value, float) else str(value))
        )
    except InvalidOperation:
        raise ScenarioError(f"{what} = {value!r}; expected a number") from None
    if not found.is_finite():
        raise ScenarioError(f"{what} = {value!r}; expected a finite number")
    return found


def gathered(
    charges: Iterable[Charge], source: str, basis: Basis, scope: Scope, month: str = "", notes: Iterable[str] = ()
) -> Actuals:
    """The charges of one month within a scope, summed by what they are for.

    Without a month the export must hold one only. Raises ScenarioError for several, for none, and for a scope that
    keeps nothing.
    """
    sums: dict[tuple[str, ...], list[Any]] = {}
    months: set[str] = set()
    outside, rows, regions, accounts, until = NOTHING, 0, set[str](), set[str](), ""
    for charge in charges:
        rows += 1
        months.add(charge.month)
        if month and charge.month != month:
            continue
        until = max(until, charge.until)
        regions.add(charge.region)
        accounts.add(charge.account)
        if not scope.holds(charge):
            outside += charge.usd
            continue
        key = (charge.kind, charge.service, charge.usage_type, charge.operation, charge.region, charge.unit)
        told = sums.setdefault(key, [charge, NOTHING, None])
        told[1] += charge.usd
        if charge.quantity is not None:
            told[2] = (told[2] or NOTHING) + charge.quantity
    if not rows:
        raise ScenarioError(f"{source}: holds no charges")
    if not month and len(months) > 1:
        raise ScenarioError(f"{source}: holds {', '.join(sorted(months))}; name one with --month")
    if month and month not in months:
        raise ScenarioError(f"{source}: has no charges of {month}; it holds {', '.join(sorted(months))}")
    if not sums:
        seen = f"accounts {', '.join(sorted(accounts))}; regions {', '.join(sorted(filter(None, regions)))}"
        raise ScenarioError(f"{source}: nothing lies in the scope ({scope.told}); it holds {seen}")
    kept = tuple(
        Charge(c.kind, c.service, c.usage_type, c.operation, c.region, "", quantity, c.unit, usd, c.month)
        for c, usd, quantity in sums.values()
    )
    month = month or months.pop()
    remarks = (*notes, *filter(None, [partial(month, until)]))
    return Actuals(source, basis, month, scope, kept, outside, rows, tuple(dict.fromkeys(remarks)))


def partial(month: str, until: str) -> str:
    """That an export holds a part of its month only, '' for a whole one. Nothing is scaled up.

    >>> partial("2026-10", "2026-10-17T05:00:00Z"), partial("2026-10", "2026-11-01T00:00:00Z"), partial("2026-10", "")
    ('the charges end on 2026-10-17: the forecast beside them is of the whole month', '', '')
    """
    year, number = (int(x) for x in month.split("-"))
    end = f"{year + number // 12}-{number % 12 + 1:02d}-01"
    if not until or until[:10] >= end:
        return ""
    return f"the charges end on {until[:10]}: the forecast beside them is of the whole month"


def tags_from(value: Any) -> dict[str, str]:
    """Tags as an export holds them: JSON text, a mapping, or a list of pairs (Parquet's maps)."""
    import json

    if value is None or value == "":
        return {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    if isinstance(value, Mapping):
        return {str(k): str(v) for k, v in value.items() if v is not None}
    return {str(pair[0]): str(pair[1]) for pair in value if pair[1] is not None}
