"""Why one bill became another: a bridge of named causes, and price apart from quantity.

A *step* is one cause (more retention, one more copy, traffic between zones) and the bill after it; the bridge says
what each step added. *Effects* split the difference of two bills line by line: quantity at the old price, then the
new price on the new quantity; together they are the whole difference, to the last digit.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from pricing.bill import NOTHING, Bill, Line


@dataclass(frozen=True, slots=True)
class Step:
    """One cause: what it added to the month [USD], and the total after it."""

    cause: str
    added_usd: Decimal
    total_usd: Decimal
    by_kind: dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Effect:
    """How one line changed [USD, unrounded]."""

    system: str
    name: str
    quantity_usd: Decimal
    price_usd: Decimal


def bridge(start: Bill, steps: Sequence[tuple[str, Bill]]) -> tuple[Step, ...]:
    """What each cause added, in order. The added dollars and the start make the end exactly."""
    made = []
    before = start
    for cause, bill in steps:
        kinds = sorted(set(before.by_kind) | set(bill.by_kind))
        moved = {k: bill.by_kind.get(k, NOTHING) - before.by_kind.get(k, NOTHING) for k in kinds}
        added = bill.monthly_usd - before.monthly_usd
        made.append(Step(cause, added, bill.monthly_usd, {k: v for k, v in moved.items() if v}))
        before = bill
    return tuple(made)


def effects(before: Bill, after: Bill) -> tuple[Effect, ...]:
    """Quantity and price effects by line, the largest first. A line on one side only is all quantity."""
    old, new = _by_line(before), _by_line(after)
    found = []
    for key in old.keys() | new.keys():
        q0, p0 = old.get(key, (NOTHING, None))
        q1, p1 = new.get(key, (NOTHING, None))
        base, now = (p0 if p0 is not None else p1), (p1 if p1 is not None else p0)
        if base is None or now is None:
            continue
        effect = Effect(key[0], key[1], (q1 - q0) * base, q1 * (now - base))
        if effect.quantity_usd or effect.price_usd:
            found.append(effect)
    return tuple(sorted(found, key=lambda e: (-abs(e.quantity_usd + e.price_usd), e.system, e.name)))


def _by_line(bill: Bill) -> dict[tuple[str, str], tuple[Decimal, Decimal | None]]:
    """Quantity and mean price of each line of a bill."""
    grouped: dict[tuple[str, str], list[Line]] = defaultdict(list)
    for line in bill.lines:
        grouped[line.system, line.name].append(line)
    return {key: _mean(lines) for key, lines in grouped.items()}


def _mean(lines: list[Line]) -> tuple[Decimal, Decimal | None]:
    quantity = sum((x.quantity for x in lines), NOTHING)
    return quantity, sum((x.exact_usd for x in lines), NOTHING) / quantity if quantity else None
