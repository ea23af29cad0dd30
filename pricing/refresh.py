"""Refresh: a new price book from live AWS, a region at a time; the old one is never touched.

Each answer's rows are kept as a *page* in a work folder the moment they are read, so a refresh that is stopped goes on
where it was. When all sources are read, the base book with the new rows is written beside and renamed into place in
one step: a reader sees the old books, or the old and the new one, never half of it. AWS's throttling is waited out.

Prices come from GetProducts or, for services named in `bulk`, from a price list file; spot from its history; rates of
savings plans and hardware from their own calls. What no rule understands is counted and said.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pricing import refresh_rules as rules
from pricing import refresh_sources as sources
from pricing.price_book import PriceBook, table_of
from pricing.refresh_calls import Clients, RefreshError, StaleToken, asked, live_clients
from pricing.rows import Row, pack, unpack

__all__ = ["Clients", "Made", "RefreshError", "asked", "live_clients", "refresh"]

SOURCES = ("prices", "spot", "savings", "types")
STALE_SECONDS = 24 * 3600  # pages older than this belong to another day's prices


class Made(NamedTuple):
    """The new book, its digest, how many rows are new, changed, and not understood, and boxes no table knows."""

    folder: Path
    digest: str
    fresh: int
    unknown: int
    unknown_machines: tuple[str, ...]

    @property
    def summary(self) -> str:
        told = f"{self.fresh:,} rows read, {self.unknown:,} charges that no rule knows; book {self.digest}"
        if self.unknown_machines:
            names = ", ".join(self.unknown_machines[:8])
            told += f"; {len(self.unknown_machines)} boxes are new, read from this book's instance_types.csv: {names}"
        return told


def refresh(
    region: str, into: Path, clients: Clients, base: PriceBook | None = None, only: Sequence[str] = (),
    bulk: Sequence[str] = (),
) -> Made:  # fmt: skip
    """A new book in `into`: the base book with the region's rows as AWS answers them today."""
    if unknown := set(only) - set(SOURCES):
        raise RefreshError(f"--only {', '.join(sorted(unknown))}; expected of {', '.join(SOURCES)}")
    base = base or PriceBook()
    wanted = tuple(only or SOURCES)
    work = _work_folder(into, region, clients, {"base": base.digest, "wanted": list(wanted), "bulk": list(bulk)})
    for name, read in _plan(region, clients, bulk, wanted):
        _read_all(work / name, read)
    return _finished(work, into, region, base, clients, wanted)


def _plan(
    region: str, clients: Clients, bulk: Sequence[str], wanted: Sequence[str]
) -> Iterator[tuple[str, sources.Reader]]:
    """The sources to read, each with a reader of one page."""
    if "prices" in wanted:
        for number, (service, filters) in enumerate(rules.QUERIES):
            if service not in bulk:
                yield f"prices-{number:02d}-{service}", sources.products(clients, service, filters, region)
        for service in bulk:
            yield f"bulk-{service}", sources.bulk(clients, service, region)
    if "spot" in wanted:
        yield "spot", sources.spot(clients)
    if "savings" in wanted:
        yield "savings", sources.savings(clients, region)
    if "types" in wanted:
        yield "types", sources.types(clients)


def _read_all(folder: Path, read: sources.Reader) -> None:
    """Every page of a source that is not there yet; a token that AWS no longer takes starts the source anew."""
    folder.mkdir(exist_ok=True)
    number, token = _reached(folder)
    while token is not None:
        try:
            found, following, unknown = read(token)
        except StaleToken:
            if number == 0:
                raise RefreshError(f"{folder.name}: AWS refuses the token of its own first page") from None
            shutil.rmtree(folder)
            folder.mkdir()
            number, token = 0, ""
            continue
        _keep(folder / f"{number:06d}.json", {"found": found, "next": following, "unknown": unknown})
        number, token = number + 1, following or None


def _reached(folder: Path) -> tuple[int, str | None]:
    """How many pages are kept, and the token of the next one; None when all are."""
    kept = sorted(folder.glob("*.json"))
    if not kept:
        return 0, ""
    return len(kept), json.loads(kept[-1].read_text(encoding="utf-8"))["next"] or None


def _keep(path: Path, data: Any) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data), encoding="utf-8")
    os.replace(part, path)


def _work_folder(into: Path, region: str, clients: Clients, asked_for: dict[str, Any]) -> Path:
    """The folder of a refresh's pages: the one that was begun for the same question today, else a new one."""
    into.mkdir(parents=True, exist_ok=True)
    work = into / f".refresh-{region}"
    about, now = work / "about.json", clients.today().timestamp()
    if about.is_file():
        said = json.loads(about.read_text(encoding="utf-8"))
        if said["asked_for"] == asked_for and 0 <= now - said["begun"] < STALE_SECONDS:
            return work
    if work.exists():
        shutil.rmtree(work)
    work.mkdir()
    _keep(about, {"asked_for": asked_for, "begun": now})
    return work


def _finished(work: Path, into: Path, region: str, base: PriceBook, clients: Clients, wanted: Sequence[str]) -> Made:
    """The new book written aside and renamed into place; the pages are then thrown away."""
    date = f"{clients.today():%Y-%m-%d}"
    fresh, unknown = _gathered(work, region, date)
    if not fresh and set(wanted) != {"types"}:
        raise RefreshError(f"AWS answered with no price of {region} that a rule knows; nothing was written")
    aside = into / f".new-{region}"
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir()
    _write_tables(aside, base, fresh)
    types = _pages(work / "types")
    if types:
        _write_types(aside / "instance_types.csv", types, date)
    folder = _free(into, f"{date}-{region}")
    os.rename(aside, folder)
    shutil.rmtree(work)
    return Made(folder, PriceBook(folder).digest, len(fresh), unknown, _not_in_table(types))


def _gathered(work: Path, region: str, date: str) -> tuple[list[Row], int]:
    rows, unknown = [], 0
    for folder in sorted(p for p in work.iterdir() if p.is_dir()):
        for page in sorted(folder.glob("*.json")):
            unknown += json.loads(page.read_text(encoding="utf-8"))["unknown"]
        if folder.name.startswith(("prices", "bulk", "savings")):
            rows += [Row(*(str(x) for x in row)) for row in _pages(folder)]
    rows += rules.spot_rows([(b, z, u) for b, z, u in _pages(work / "spot")], region, date)
    return list({(row.item, row.region, row.tier_from): row for row in rows}.values()), unknown


def _pages(folder: Path) -> list[Any]:
    found: list[Any] = []
    for page in sorted(folder.glob("*.json")):
        found += json.loads(page.read_text(encoding="utf-8"))["found"]
    return found


def _write_tables(folder: Path, base: PriceBook, fresh: Sequence[Row]) -> None:
    """Each table of the base, rows of the items read anew replaced; the rest is the same bytes."""
    replaced: dict[str, list[Row]] = {}
    for row in fresh:
        replaced.setdefault(table_of(row.item), []).append(row)
    for path in sorted(base.folder.glob("*.csv*")):
        name = path.name.removesuffix(".csv.gz")
        new = replaced.pop(name, []) if path.name.endswith(".csv.gz") else []
        if not new:
            shutil.copyfile(path, folder / path.name)
            continue
        keys = {(row.item, row.region) for row in new}
        kept = [row for row in unpack(path) if (row.item, row.region) not in keys]
        (folder / path.name).write_bytes(pack([*kept, *new]))
    for name, new in replaced.items():
        (folder / f"{name}.csv.gz").write_bytes(pack(new))


def _write_types(path: Path, types: Sequence[dict[str, str]], as_of: str) -> None:
    """Hardware as a machine table; a CoreMark is borrowed from the packaged table's same family or sister."""
    from pricing.build_machines import COLUMNS, with_coremark

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in sorted(types, key=lambda r: r["instance_type"]):
            writer.writerow(with_coremark(row) | {"source": "EC2 DescribeInstanceTypes", "as_of": as_of})


def _free(into: Path, name: str) -> Path:
    """A folder of that name that is not there yet; a second book of a day gets a number."""
    number, folder = 1, into / name
    while folder.exists():
        number += 1
        folder = into / f"{name}-{number}"
    return folder


def _not_in_table(types: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Instance types that no machine of the packaged table describes: the new book's own table has them."""
    from models.machines import machines

    known = {m.name for m in machines()}
    return tuple(sorted(row["instance_type"] for row in types if row["instance_type"] not in known))
