"""The shape of one row of the price book, and how it is packed on disk.

A price row says what one unit of one *item* costs in one region. `item` is Floodmark's own name
(`ec2/on-demand/m7g.large`); the *billing identity* is AWS's: service code, usage type, operation, region and
unit, which is what invoices, FOCUS exports and the calculator are joined on. `identity` says how the two names
were come by, usage type first: `read`, `derived` from a pattern that was read, `remembered`, or `unknown`
(then the name is empty). Tiers are rows of one item with `tier_from` and `tier_to` in its unit.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Literal, NamedTuple

PriceGrade = Literal["given", "measured", "published", "derived", "vendor", "remembered", "guess"]

GRADES: dict[PriceGrade, str] = {
    "given": "the user's own figure: a contract or an invoice",
    "measured": "an average of what a market paid (spot)",
    "published": "AWS's own list, read in a dated copy or quotation of it",
    "derived": "computed from published prices by a rule that the source names",
    "vendor": "said by one seller or one third-party page, not confirmed",
    "remembered": "from memory, not read anywhere: confirm before use",
    "guess": "a placeholder to be replaced by the user's own figure",
}


class Row(NamedTuple):
    """One priced item in one region, all as text, as on disk."""

    item: str
    region: str
    usd: str
    unit: str
    tier_from: str
    tier_to: str
    service_code: str
    usage_type: str
    operation: str
    identity: str
    grade: str
    source: str
    as_of: str


def plain(number: str | float) -> str:
    """A decimal as people write it: no exponent, no binary dust.

    >>> plain("4e-07"), plain("0.10000000000000001"), plain("2.04"), plain("0")
    ('0.0000004', '0.1', '2.04', '0')
    """
    value = Decimal(f"{float(number):.12g}").normalize()
    return f"{value:f}"


def pack(rows: Iterable[Row]) -> bytes:
    """Rows as a compressed table; the same rows give the same bytes (no clock in the header)."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows(sorted(rows))
    return gzip.compress(out.getvalue().encode(), compresslevel=9, mtime=0)


def unpack(path: Path) -> list[Row]:
    """The rows of a packed table."""
    with gzip.open(path, "rt", newline="", encoding="utf-8") as file:
        reader = csv.reader(file)
        if tuple(next(reader)) != Row._fields:
            raise ValueError(f"{path.name}: expected the columns {', '.join(Row._fields)}")
        return [Row._make(line) for line in reader]
