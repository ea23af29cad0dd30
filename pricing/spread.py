"""How far a bill may be off: joint draws of usage and of prices that are not sure.

A price's *factor* multiplies it in one draw; every line that uses the price moves together, in every option that
is compared. Published prices do not move (a year of MSK, OpenSearch and EC2 lists shows none that did); the others
spread by their grade. Percentiles are of drawn totals: adding up percentiles of lines would claim that all go wrong
at once.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pricing.bill import Bill, Line
from pricing.price_book import MissingPrice, Price, PriceBook
from pricing.rows import PriceGrade

Z90, Z95 = 1.2815515655446004, 1.6448536269514722  # standard normal quantiles

# Half width of the 90 % interval of a price, as a share of it. `derived` is what the sister-type rule errs by on
# OpenSearch nodes whose regional price is published (-5 % to +9 % for nine of ten, tested); the rest are policy.
SPREAD: dict[PriceGrade, float] = {
    "given": 0.0, "published": 0.0, "measured": 0.0, "derived": 0.10, "remembered": 0.15, "vendor": 0.30, "guess": 0.50,
}  # fmt: skip
WHY = {
    "derived": "error of the sister-type rule where the true price is known",
    "remembered": "policy: a figure from memory may be one step of a price list off",
    "vendor": "policy: third-party pages differed by about a third on one figure",
    "guess": "policy: a placeholder",
}


@dataclass(frozen=True, slots=True)
class Range:
    """P10, P50 and P90 of the monthly total [USD], the mean, and the draws they come from."""

    p10_usd: float
    p50_usd: float
    p90_usd: float
    mean_usd: float
    draws: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which of two bills is cheaper, how often over the draws, and which unsure prices could turn it."""

    cheaper: str
    usd_apart: float
    share_of_draws: float
    turned_by: tuple[str, ...]


def sigma(price: Price, book: PriceBook) -> float:
    """Log standard deviation of a price [1]; spot from the spread of its family's discounts over six regions."""
    if price.item.startswith("ec2/spot/"):
        family = price.item.rpartition("/")[2].partition(".")[0]
        try:
            low, high = (
                float(book.price(f"ec2/spot-discount-{e}/{family}", price.region).usd) for e in ("low", "high")
            )
        except MissingPrice:
            return math.log1p(SPREAD["vendor"]) / Z95
        return math.log((1 - low) / (1 - high)) / (2 * Z90)
    return math.log1p(SPREAD[price.grade]) / Z95


@cache
def _normals(seed: int, item: str, draws: int) -> NDArray[np.float64]:
    """Standard normals addressed by (seed, item): the same price draws the same dice in every bill."""
    key = int.from_bytes(hashlib.sha256(f"{seed}/{item}".encode()).digest()[:8], "big")
    return np.random.Generator(np.random.Philox(key)).standard_normal(draws)


def factors(price: Price, book: PriceBook, seed: int, draws: int) -> NDArray[np.float64]:
    """What the price is multiplied by in each draw [1]."""
    spread = sigma(price, book)
    if not spread:
        return np.ones(draws)
    return np.exp(spread * _normals(seed, f"{price.item}@{price.region}", draws))


def totals(bills: Sequence[Bill], book: PriceBook, seed: int = 1, draws: int = 2000) -> NDArray[np.float64]:
    """Monthly totals, one a draw [USD]: draw i has the usage of bill i (by turns) and its own prices.

    Support is a share of AWS's charges and follows them (the tier of the undrawn bill is kept).
    """
    if not bills:
        raise ValueError("bills is empty; expected one bill for each drawn usage")
    turn = np.arange(draws) % len(bills)
    aws, other, support_share = (np.zeros(draws) for _ in range(3))
    for number, bill in enumerate(bills):
        mine = np.flatnonzero(turn == number)
        charged = sum(float(x.exact_usd) for x in bill.lines if x.is_aws and x.kind != "support")
        support = sum(float(x.exact_usd) for x in bill.lines if x.kind == "support")
        support_share[mine] = support / charged if charged else 0.0
        for line in bill.lines:
            if line.kind != "support":
                into = aws if line.is_aws else other
                into[mine] += float(line.exact_usd) * factors(line.price, book, seed, draws)[mine]
    return aws * (1 + support_share) + other


def joint_range(bills: Sequence[Bill], book: PriceBook, seed: int = 1, draws: int = 2000) -> Range:
    """P10, P50, P90 of the total over joint draws of usage (one bill a drawn usage) and prices."""
    return ranged(totals(bills, book, seed, draws))


def ranged(drawn: NDArray[np.float64]) -> Range:
    """The range of drawn totals."""
    p10, p50, p90 = (float(q) for q in np.quantile(drawn, [0.1, 0.5, 0.9]))
    return Range(p10, p50, p90, float(drawn.mean()), len(drawn))


def unsure(bill: Bill) -> tuple[Line, ...]:
    """Lines whose price is not sure, the dearest first: what to confirm before anyone signs."""
    lines = [line for line in bill.lines if SPREAD[line.price.grade] or line.price.item.startswith("ec2/spot/")]
    return tuple(sorted(lines, key=lambda line: -line.monthly_usd))


def verdict(a: Bill, b: Bill, book: PriceBook, seed: int = 1, draws: int = 2000) -> Verdict:
    """Which of bills `a` and `b` is cheaper, and whether a price that is not sure could turn the answer."""
    first, second = totals([a], book, seed, draws), totals([b], book, seed, draws)
    apart = float(a.monthly_usd - b.monthly_usd)
    wins = float(np.mean(first <= second))
    return Verdict(
        "a" if apart <= 0 else "b", abs(apart), wins if apart <= 0 else 1 - wins, _turning(a, b, apart, book)
    )


def _turning(a: Bill, b: Bill, apart: float, book: PriceBook) -> tuple[str, ...]:
    """Items that alone, at an end of their 90 % interval, make the other bill the cheaper one."""
    weights: dict[str, float] = {}
    ends: dict[str, float] = {}
    for bill, sign in ((a, 1.0), (b, -1.0)):
        for line in bill.lines:
            spread = sigma(line.price, book)
            if spread:
                weights[line.price.item] = weights.get(line.price.item, 0.0) + sign * float(line.exact_usd)
                ends[line.price.item] = spread
    turns = []
    for item, weight in weights.items():
        moved = [apart + weight * (math.exp(s * Z95 * ends[item]) - 1) for s in (-1, 1)]
        if any((m > 0) != (apart > 0) for m in moved):
            turns.append(item)
    return tuple(sorted(turns))
