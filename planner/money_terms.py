"""The terms that a month is billed on: the price book, discounts, and commitments held against what the stack wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from models.money import Commitment, Money
from planner.refusal import ScenarioError
from pricing.bill import Bill
from pricing.commitments import USED_UP, NotSold, Offer, Plan, apply, covered_hours, hold, offer
from pricing.price_book import DATA, MissingPrice, PriceBook
from pricing.shared import Terms


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


def held(bought: Sequence[tuple[Commitment, Offer]], listed: Sequence[Bill], book: PriceBook) -> tuple[Held, ...]:
    """Each commitment against the hours the stack wants of what it covers and what those before it leave, in AWS's
    order, month by month; the last of the bills holds for all months after it. A stack that no longer wants any of it
    has left its machine."""
    found: dict[int, Held] = {}
    left = list(listed)
    for number in sorted(range(len(bought)), key=lambda n: USED_UP[bought[n][1].kind]):
        said, offered = bought[number]
        wanted = [float(covered_hours(bill, offered, book)) / bill.month.hours for bill in left]
        left = [apply(bill, offered, said.count, book) for bill in left]
        owned = said.owned_months or 0
        months = max(0, offered.months - owned)
        plan = hold(offered, said.count, _over(wanted, months), owned, said.leaves_in_month or _left(wanted))
        found[number] = Held(said, plan, runs(said, offered, 1))
    return tuple(found[number] for number in range(len(bought)))


def _over(wanted: Sequence[float], months: int) -> list[float]:
    """A demand over so many months, its last value kept."""
    return [wanted[min(k, len(wanted) - 1)] for k in range(months)]


def _left(wanted: Sequence[float]) -> int | None:
    """The month from which nothing is wanted that was wanted before, None if there is none."""
    last = max((k for k, w in enumerate(wanted) if w > 0), default=None)
    return None if last is None or last == len(wanted) - 1 else last + 2
