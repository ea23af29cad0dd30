"""The price book: what AWS charges, dated, offline, each figure with its source and how sure it is.

`PriceBook().price("msk/broker/kafka.m7g.large", "eu-west-1")` is one `Price`; `tiers` gives the steps of an item
that gets cheaper with volume. Tables load when first asked for. A price that is not in the book is a
`MissingPrice` that names it, never 0. A book is a folder: an older one stays loadable by its path, and its
`digest` says which book a bill was made from.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import get_args

from pricing.rows import PriceGrade, Row, unpack

DATA = Path(__file__).parent / "data"
ANYWHERE = "any"

# Which table holds an item: the longest prefix that fits.
TABLES = {
    "ec2/on-demand/": "ec2", "ec2/spot": "ec2_spot", "ec2/ri-": "ec2_commitments", "ec2/sp-": "ec2_commitments",
    "ec2/compute-sp-": "ec2_commitments",
    "emr/": "emr", "emr-": "emr", "eks/": "emr", "fargate-eks/": "emr", "glue/": "emr", "databricks/": "emr",
    "msk/": "msk", "opensearch/ri-": "opensearch_reserved", "opensearch/": "opensearch",
    "elastic-cloud/": "opensearch",
}  # fmt: skip


class MissingPrice(LookupError):
    """No such price in the book: names the item, the region, and what the book does have."""

    def __init__(self, item: str, region: str, hint: str) -> None:
        super().__init__(f"price of {item} in {region} is not in the book; {hint}")
        self.item, self.region = item, region


@dataclass(frozen=True, slots=True)
class Price:
    """What one unit costs: USD, unit, region, AWS's billing identity, how sure, from where and when.

    `tier_from` and `tier_to` bound the quantity (in `unit`, a month, whole account) it holds for; `tier_to` None
    is without end. `identity` says how usage type and operation were come by (`read`, `derived`, `remembered`,
    `unknown`).
    """

    item: str
    region: str
    usd: Decimal
    unit: str
    tier_from: Decimal
    tier_to: Decimal | None
    service_code: str
    usage_type: str
    operation: str
    identity: str
    grade: PriceGrade
    source: str
    as_of: str

    @property
    def usage_type_was_read(self) -> bool:
        return self.identity.partition("/")[0] == "read"


def _price(row: Row) -> Price:
    if row.grade not in get_args(PriceGrade):
        raise ValueError(f"{row.item} in {row.region}: grade = '{row.grade}'; expected one of {get_args(PriceGrade)}")
    grade: PriceGrade = row.grade  # type: ignore[assignment]
    return Price(
        row.item, row.region, Decimal(row.usd), row.unit, Decimal(row.tier_from or 0),
        Decimal(row.tier_to) if row.tier_to else None, row.service_code, row.usage_type, row.operation, row.identity,
        grade, row.source, row.as_of,
    )  # fmt: skip


def table_of(item: str) -> str:
    """The table that holds an item.

    >>> table_of("ec2/on-demand/m7g.large"), table_of("opensearch/ri-1yr-no-upfront/x"), table_of("nat/gb")
    ('ec2', 'opensearch_reserved', 'services')
    """
    fitting = [prefix for prefix in TABLES if item.startswith(prefix)]
    return TABLES[max(fitting, key=len)] if fitting else "services"


class PriceBook:
    """A folder of price tables, read when needed. `given` holds the user's own figures by (item, region)."""

    def __init__(self, folder: Path = DATA, given: Mapping[tuple[str, str], Decimal] | None = None) -> None:
        self.folder = folder
        self.given = dict(given or {})
        self.overlay: dict[tuple[str, str], list[Row]] = {}
        self._tables: dict[str, dict[tuple[str, str], list[Row]]] = {}
        self._found: dict[tuple[str, str], tuple[Price, ...]] = {}
        self._hints: dict[tuple[str, str], str] = {}

    def price(self, item: str, region: str) -> Price:
        """The one price of an item that has no tiers."""
        found = self.tiers(item, region)
        if len(found) > 1:
            raise ValueError(f"{item} in {region} has {len(found)} tiers; ask for tiers()")
        return found[0]

    def tiers(self, item: str, region: str) -> tuple[Price, ...]:
        """The prices of an item by growing quantity; one price for an item without tiers."""
        key = (item, region)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._look_up(item, region)
        return found

    def has(self, item: str, region: str) -> bool:
        rows = self.table(table_of(item))
        keys = ((item, region), (item, ANYWHERE))
        return (item, region) in self.given or any(key in rows or key in self.overlay for key in keys)

    def regions(self, item: str) -> tuple[str, ...]:
        """The regions in which an item has a price."""
        return tuple(sorted(region for name, region in self.table(table_of(item)) if name == item))

    def items(self, region: str, prefix: str = "") -> tuple[str, ...]:
        """The items of a region whose names start so."""
        names = TABLES.values() if not prefix else [table_of(prefix)]
        tables = {*names, *([] if prefix else ["services"])}
        return tuple(sorted(i for t in tables for i, r in self.table(t) if r == region and i.startswith(prefix)))

    def with_prices(self, given: Mapping[tuple[str, str], Decimal]) -> PriceBook:
        """The same book with some prices replaced by the user's own (a contract, an invoice)."""
        book = PriceBook(self.folder, {**self.given, **given})
        book.overlay = dict(self.overlay)
        book._tables = self._tables
        return book

    def with_rows(self, rows: Iterable[Row]) -> PriceBook:
        """The same book with the prices of some items, all their tiers, as another book had them."""
        newer: dict[tuple[str, str], list[Row]] = {}
        for row in rows:
            newer.setdefault((row.item, row.region), []).append(row)
        book = PriceBook(self.folder, self.given)
        book.overlay = self.overlay | newer
        book._tables = self._tables
        return book

    def table(self, name: str) -> Mapping[tuple[str, str], list[Row]]:
        """One table's rows by (item, region)."""
        if name not in self._tables:
            rows: dict[tuple[str, str], list[Row]] = {}
            for row in unpack(self.folder / f"{name}.csv.gz"):
                rows.setdefault((row.item, row.region), []).append(row)
            self._tables[name] = rows
        return self._tables[name]

    @cached_property
    def digest(self) -> str:
        """Twelve hex digits that name this book, its hardware and the user's own figures included."""
        sha = hashlib.sha256()
        for path in (*sorted(self.folder.glob("*.csv.gz")), *self.folder.glob("instance_types.csv")):
            sha.update(path.name.encode() + path.read_bytes())
        for key in sorted(self.given):
            sha.update(f"{key}={self.given[key]}".encode())
        for key in sorted(self.overlay):
            sha.update(repr(self.overlay[key]).encode())
        return sha.hexdigest()[:12]

    def _look_up(self, item: str, region: str) -> tuple[Price, ...]:
        rows = self.table(table_of(item))
        older = self.overlay.get((item, region)) or self.overlay.get((item, ANYWHERE))
        found = older or rows.get((item, region)) or rows.get((item, ANYWHERE))
        if (item, region) in self.given:
            return (self._given_price(item, region, found),)
        if not found:
            hint = self._hints.get((item, region)) or self._hint(item, region)
            self._hints[item, region] = hint
            raise MissingPrice(item, region, hint)
        return tuple(sorted((_price(row) for row in found), key=lambda p: p.tier_from))

    def _given_price(self, item: str, region: str, found: list[Row] | None) -> Price:
        like = found[0] if found else Row(item, region, "0", "unit", "", "", "", "", "", "unknown/unknown", "", "", "")
        usd = str(self.given[item, region])
        row = like._replace(usd=usd, tier_from="", tier_to="", grade="given", source="given by the user", as_of="given")
        return _price(row)

    def _hint(self, item: str, region: str) -> str:
        elsewhere = self.regions(item)
        if elsewhere:
            return f"it is known in {', '.join(elsewhere[:6])}"
        names = sorted({name for name, where in self.table(table_of(item)) if where == region})
        near = difflib.get_close_matches(item, names, n=3)
        return f"nearest: {', '.join(near)}" if near else f"the book has {len(names)} items of that table in {region}"
