"""Against the last review: what moved the total, split into engine, coefficients, prices and scenario.

The earlier review is run again with one of its four parts exchanged at a time: first today's engine on everything of
then, then today's coefficients, then today's prices, then today's scenario. The parts' dollars are differences of
whole bills, so together they are the whole change to the cent; what each is worth depends on this order.

Where it stops being true: old code is not kept, so the engine's part is the difference between the total as it was
recorded and the same inputs billed today. Items that an earlier bill did not price (and its book is gone) have today's
price in the first steps; they are named.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.bill import MonthlyBill, bill_of, book_of, runs_of, stack_of
from planner.finance import Report
from planner.refusal import ScenarioError
from planner.scenario import resolved, validated
from planner.shown import Shown
from pricing.bill import NOTHING
from pricing.bridge import Effect, Step, bridge, effects
from pricing.price_book import PriceBook
from pricing.rows import Row

PARTS = ("engine", "coefficients", "prices", "scenario")
MOST_BYTES = 64 * 2**20
Said = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Part:
    """One part of the change: what it added, the total after it, and in which lines, quantity apart from price."""

    name: str
    added_usd: Decimal
    total_usd: Decimal
    effects: tuple[Effect, ...]
    told: str


@dataclass(frozen=True)
class Moved(Shown):
    """The earlier total, the parts of the change in order, and today's total."""

    was_usd: Decimal
    is_usd: Decimal
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    fields: tuple[tuple[str, str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "was_usd": str(self.was_usd), "is_usd": str(self.is_usd), "notes": list(self.notes),
            "parts": [{"part": p.name, "added_usd": str(p.added_usd), "total_usd": str(p.total_usd), "told": p.told,
                       "lines": [{"system": e.system, "line": e.name, "quantity_usd": str(e.quantity_usd),
                                  "price_usd": str(e.price_usd)} for e in p.effects]} for p in self.parts],
            "fields": [{"path": path, "was": was, "is": now} for path, was, now in self.fields],
        }  # fmt: skip


def load_review(path: Path) -> dict[str, Any]:
    """The review in a report's JSON. Raises ScenarioError for another file."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ScenarioError(f"--against {path}: more than {MOST_BYTES // 2**20} MiB; expected a report's JSON")
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"--against {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise ScenarioError(f"--against {path}: not JSON: {error}") from None
    found = data.get("review") if isinstance(data, dict) else None
    needed = {"scenario", "coefficients", "prices", "engine", "seed", "simulated", "draws", "monthly_usd"}
    if not isinstance(found, dict) or (lacking := needed - found.keys()):
        lacks = f"its review lacks {', '.join(sorted(lacking))}" if isinstance(found, dict) else "it has no 'review'"
        raise ScenarioError(f"--against {path}: {lacks}; expected what `floodmark report FILE -o x.json` wrote")
    try:
        Decimal(found["monthly_usd"])
    except (InvalidOperation, TypeError):
        raise ScenarioError(f"--against {path}: monthly_usd = {found['monthly_usd']!r}; expected dollars") from None
    return found


def against(out: Report, was: Mapping[str, Any], said: Said = lambda text, done, of: None) -> Moved:
    """What moved from an earlier review to a report."""
    old, old_set = _scenario_of(was, out.scenario), _coefficients_of(was, out.coefficients)
    old_book, notes = _book_of(was, out.scenario)
    new_book = book_of(out.scenario.money)
    priced_anew = old.model_copy(update={"money": old.money.model_copy(update={
        "prices": out.scenario.money.prices, "price_book": out.scenario.money.price_book})})  # fmt: skip
    runs = [(old, old_set, old_book), (old, out.coefficients, old_book), (priced_anew, out.coefficients, new_book)]
    bills = []
    for number, (scenario, coefficients, book) in enumerate(runs):
        said("the last review, again", number, len(runs))
        bills.append(_billed(scenario, coefficients, book, was))
    bills.append(out.bill)
    recorded = Decimal(was["monthly_usd"])
    return Moved(
        recorded, out.bill.monthly_usd, _parts(recorded, bills, was, out), tuple(notes),
        differing(resolved(old), resolved(out.scenario)),
    )  # fmt: skip


def _billed(scenario: Scenario, coefficients: CoefficientSet, book: PriceBook, was: Mapping[str, Any]) -> MonthlyBill:
    seed, draws = int(was["seed"]), int(was["draws"])
    repeats, drawn, sets = runs_of(scenario, coefficients, seed, draws) if was["simulated"] else ([], [], [])
    return bill_of([stack_of(scenario, coefficients, repeats, drawn, sets, seed)], seed, book)


def _parts(recorded: Decimal, bills: list[MonthlyBill], was: Mapping[str, Any], out: Report) -> tuple[Part, ...]:
    steps = bridge(bills[0].bill, [(name, made.bill) for name, made in zip(PARTS[1:], bills[1:], strict=True)])
    first = Step("engine", bills[0].monthly_usd - recorded, bills[0].monthly_usd, {})
    told = _told(was, out)
    moved = [(), *(effects(a.bill, b.bill) for a, b in itertools.pairwise(bills))]
    return tuple(
        Part(step.cause, step.added_usd, step.total_usd, lines, told[step.cause])
        for step, lines in zip((first, *steps), moved, strict=True)
    )


def _told(was: Mapping[str, Any], out: Report) -> dict[str, str]:
    """Of each part, which version of it was then and is now."""
    from planner.version import engine_digest

    pairs = {
        "engine": (str(was["engine"].get("digest", "")), engine_digest()),
        "coefficients": (str(was["coefficients"]["digest"]), out.coefficients.digest),
        "prices": (str(was["prices"]["digest"]), out.bill.bill.book_digest),
    }
    told = {name: "the same" if a == b else f"{a} became {b}" for name, (a, b) in pairs.items()}
    return told | {"scenario": "what the two files say"}


def _scenario_of(was: Mapping[str, Any], now: Scenario) -> Scenario:
    """The earlier scenario as today's engine reads it; its coefficients come apart from it."""
    data = dict(was["scenario"]) | {"coefficients": now.coefficients, "overrides": {}}
    money = dict(data.get("money", {}))
    if not (Path(str(money.get("price_book"))) / "services.csv.gz").is_file():
        money["price_book"] = now.money.price_book
    try:
        return validated(data | {"money": money})
    except ScenarioError as error:
        raise ScenarioError(
            f"--against: today's engine cannot read the earlier scenario, so nothing can be split: {error}"
        ) from None


def _coefficients_of(was: Mapping[str, Any], now: CoefficientSet) -> CoefficientSet:
    """The earlier values; a coefficient that no law knew then has today's."""
    told = was["coefficients"]
    if told["digest"] == now.digest:
        return now
    values = dict(now.values)
    for name, value in told["values"].items():
        if name in values:
            low, high = told["low"].get(name, value), told["high"].get(name, value)
            values[name] = replace(values[name], value=value, low=low, high=high)
    return replace(now, name=str(told["set"]), values=values, digest=str(told["digest"]))


def _book_of(was: Mapping[str, Any], now: Scenario) -> tuple[PriceBook, list[str]]:
    """The earlier book: its folder where it is still there and unchanged, else today's with the rows that were kept."""
    told, today = was["prices"], book_of(now.money)
    given = was["scenario"].get("money", {}).get("prices", {})
    region = was["scenario"].get("money", {}).get("region", now.money.region)
    own = {(item, region): Decimal(repr(usd)) for item, usd in given.items()}
    for book in (PriceBook(), PriceBook(Path(str(told["folder"])))):
        if (book.folder / "services.csv.gz").is_file() and book.with_prices(own).digest == told["digest"]:
            return book.with_prices(own), []
    rows = [Row(**row) for row in told["rows"]]
    items = {(row.item, row.region) for row in rows}
    note = f"the price book {told['digest']} is not here: its {len(items)} items that were billed keep their prices"
    return today.with_rows(rows), [note + ", any other has today's"]


def differing(was: Any, now: Any, path: str = "") -> tuple[tuple[str, str, str], ...]:
    """Fields that differ between two scenarios: path, then and now.

    >>> differing({"a": {"b": 1, "c": 2}}, {"a": {"b": 3, "c": 2}})
    (('a.b', '1', '3'),)
    """
    if isinstance(was, dict) and isinstance(now, dict):
        keys = dict.fromkeys((*was, *now))
        parts = [differing(was.get(k), now.get(k), f"{path}.{k}" if path else str(k)) for k in keys]
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        parts = [differing(a, b, f"{path}[{k}]") for k, (a, b) in enumerate(zip(was, now, strict=True))]
    else:
        return () if was == now else ((path, _short(was), _short(now)),)
    return tuple(x for part in parts for x in part)


def _short(value: Any) -> str:
    text = "none" if value is None else json.dumps(value) if isinstance(value, dict | list) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."


def total_of(parts: tuple[Part, ...]) -> Decimal:
    """The parts together."""
    return sum((p.added_usd for p in parts), NOTHING)
