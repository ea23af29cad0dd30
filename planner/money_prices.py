"""Price books as a person asks for them: rows shown, two books compared, a book verified, a book made anew."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from models.machines import UnknownMachine, extend, machine
from planner.refusal import ScenarioError
from pricing.price_book import DATA, PriceBook
from pricing.rows import PriceGrade, Row, unpack

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pricing.refresh import Made

SHOWN = ("item", "region", "usd", "unit", "tier_from", "tier_to", "service_code", "usage_type", "operation", "identity",
         "grade", "as_of", "source")  # fmt: skip
MOST_NAMED = 20  # rows of a kind that a terminal shows
LINEAR = 0.01  # EC2 prices are linear in vCPU within a family and region (aws-prices.md A1), t families excepted


def opened(folder: str) -> PriceBook:
    """The book in a folder, or the packaged one."""
    path = DATA if folder == "packaged" else Path(folder)
    if not (path / "services.csv.gz").is_file():
        raise ScenarioError(f"price book '{folder}'; expected 'packaged' or a folder of price tables")
    return PriceBook(path)


def know_machines(folder: str) -> int:
    """Make the hardware of a book known, where it was refreshed with its prices; how many types are new."""
    table = opened(folder).folder / "instance_types.csv"
    try:
        return extend(table) if table.is_file() else 0
    except ValueError as error:
        raise ScenarioError(f"price book '{folder}': {error}") from None


def every_row(book: PriceBook) -> dict[tuple[str, str, str], Row]:
    """All rows of a book by item, region and the start of their tier."""
    tables = (unpack(path) for path in sorted(book.folder.glob("*.csv.gz")))
    return {(row.item, row.region, row.tier_from): row for table in tables for row in table}


def rows(folder: str, region: str, start: str) -> list[dict[str, str]]:
    """The prices of a region whose item starts so."""
    from pricing.price_book import ANYWHERE

    wanted, every = (region, ANYWHERE), every_row(opened(folder))
    regions = sorted({where for _, where, _ in every} - {ANYWHERE})
    if region not in regions:
        raise ScenarioError(f"--region {region}: not in the price book; it has {', '.join(regions)}")
    found = [row for (item, where, _), row in every.items() if where in wanted and item.startswith(start)]
    if not found:
        raise ScenarioError(f"no price starts with '{start}' in {region}")
    found.sort(key=lambda r: (r.item, float(r.tier_from or 0)))
    return [{name: getattr(row, name) for name in SHOWN} for row in found]


def table(found: Sequence[Mapping[str, str]]) -> RenderableType:
    """Prices on a terminal."""
    from rich.table import Table

    out = Table("item", "USD", "unit", "from", "usage type", "sure", "as of", "source", box=None, pad_edge=False,
                show_edge=False, header_style="dim")  # fmt: skip
    out.columns[1].justify = "right"
    for name in (0, 4):  # names are to be copied: folded, never cut short
        out.columns[name].overflow = "fold"
    out.columns[0].min_width = max(len(r["item"]) for r in found)
    for r in found:
        usage = r["usage_type"] + ("" if r["identity"].startswith("read") or not r["usage_type"] else "?")
        out.add_row(r["item"], r["usd"], r["unit"], r["tier_from"], usage, r["grade"], r["as_of"], r["source"])
    return out


def moved(old: str, new: str, region: str = "") -> dict[str, Any]:
    """Rows of two books that differ: gone, new, dearer or cheaper with the share, and those billed under another name
    or unit."""
    before, after = every_row(opened(old)), every_row(opened(new))
    if region:
        before, after = ({k: r for k, r in rows.items() if k[1] == region} for rows in (before, after))
    changed: list[dict[str, Any]] = [
        {"item": k[0], "region": k[1], "tier_from": k[2], "old_usd": before[k].usd, "new_usd": row.usd,
         "change": _share(before[k].usd, row.usd), "old_as_of": before[k].as_of, "new_as_of": row.as_of}
        for k, row in after.items() if k in before and float(before[k].usd) != float(row.usd)
    ]  # fmt: skip
    changed.sort(key=lambda x: -abs(x["change"] or 0.0))
    renamed = [
        {"item": k[0], "region": k[1], "was": _identity(before[k]), "is": _identity(row)}
        for k, row in sorted(after.items()) if k in before and _identity(before[k]) != _identity(row)
    ]  # fmt: skip
    return {
        "changed": changed, "renamed": renamed, "gone": sorted({k[:2] for k in before.keys() - after.keys()}),
        "new": sorted({k[:2] for k in after.keys() - before.keys()}),
        "same": sum(1 for k in before.keys() & after.keys() if float(before[k].usd) == float(after[k].usd)),
    }  # fmt: skip


def _identity(row: Row) -> str:
    return " ".join(filter(None, [row.service_code, row.usage_type, row.operation, f"({row.unit})"]))


def _share(old: str, new: str) -> float | None:
    return float(new) / float(old) - 1 if float(old) else None


def moved_table(found: Mapping[str, Any]) -> RenderableType:
    """The difference on a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    out = Table("item", "region", "was", "is", "change", box=None, pad_edge=False, show_edge=False, header_style="dim")
    for x in found["changed"]:
        change = "" if x["change"] is None else f"{x['change']:+.1%}"
        out.add_row(x["item"], x["region"], x["old_usd"], x["new_usd"], change)
    for x in found["renamed"][:MOST_NAMED]:
        out.add_row(x["item"], x["region"], x["was"], x["is"], "other identity")
    parts: list[RenderableType] = [out]
    for what in ("new", "gone"):
        items = [f"{item} in {region}" for item, region in found[what][:MOST_NAMED]]
        more = len(found[what]) - len(items)
        if items:
            parts.append(Text(f"{what}: {', '.join(items)}{f' and {more} more (--json)' if more else ''}"))
    told = [f"{len(found[what])} {what}" for what in ("changed", "renamed", "new", "gone")]
    return Group(*parts, Text(f"{', '.join(told)}, {found['same']} at the same price"))


def verified(folder: str) -> dict[str, Any]:
    """What is not as it must be in a book, a line each."""
    book = opened(folder)
    found = list(every_row(book).values())
    wrong = [*_bad_rows(found), *_bad_tiers(found), *_not_linear(found)]
    regions = {row.region for row in found}
    summary = f"{len(found):,} prices in {len(regions)} regions, book {book.digest}: {len(wrong)} things wrong"
    return {"folder": folder, "digest": book.digest, "rows": len(found), "wrong": wrong, "summary": summary}


def _bad_rows(found: Iterable[Row]) -> Iterable[str]:
    for row in found:
        where = f"{row.item} in {row.region}"
        if not row.usd or float(row.usd) < 0:
            yield f"{where}: usd = '{row.usd}'; expected 0 or more"
        if row.grade not in get_args(PriceGrade):
            yield f"{where}: grade = '{row.grade}'; expected one of {', '.join(get_args(PriceGrade))}"
        if not row.unit or not row.source or not row.as_of:
            yield f"{where}: unit, source and as_of are needed; has '{row.unit}', '{row.source}', '{row.as_of}'"
        if row.item.startswith("ec2/on-demand/") and not float(row.usd or 0):
            yield f"{where}: an hour of a box costs 0"


def _bad_tiers(found: Iterable[Row]) -> Iterable[str]:
    """Tiers of an item follow each other without a hole; the last has no end."""
    tiers: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in found:
        if row.tier_from or row.tier_to:
            tiers[row.item, row.region].append(row)
    for (item, region), of in tiers.items():
        of.sort(key=lambda row: float(row.tier_from or 0))
        for low, high in itertools.pairwise(of):
            if float(low.tier_to or "inf") != float(high.tier_from or 0):
                yield f"{item} in {region}: a tier ends at {low.tier_to}, the next starts at {high.tier_from}"


def _not_linear(found: Iterable[Row]) -> Iterable[str]:
    """EC2 boxes of one family and region cost the same a vCPU; Kafka and OpenSearch nodes are left out."""
    per: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
    for row in found:
        name = row.item.removeprefix("ec2/on-demand/")
        if name == row.item or name.startswith("t") or "metal" in name:
            continue
        try:
            box = machine(name)
        except UnknownMachine:
            continue
        per[box.family, row.region][name] = float(row.usd) / box.vcpu
    for (family, region), prices in per.items():
        low, high = min(prices.values()), max(prices.values())
        if high > low * (1 + LINEAR):
            odd = max(prices, key=lambda name: prices[name])
            yield f"ec2/on-demand/{odd} in {region}: {high / low - 1:.1%} dearer a vCPU than the cheapest {family}"


def refreshed(region: str, into: Path, base: str, only: tuple[str, ...], bulk: tuple[str, ...]) -> Made:
    """A new book from live AWS."""
    from pricing.refresh import RefreshError, live_clients, refresh

    try:
        return refresh(region, into, live_clients(region), opened(base), only, bulk)
    except RefreshError as error:
        raise ScenarioError(f"prices refresh: {error}") from None
