"""A CSV of time and rate, or of time and a running total: the load, as a spreadsheet or a dashboard exports it.

The header tells which column is what. Without one, two columns are time and records a second, and that is
said. Times may be epoch seconds, milliseconds or ISO text; those without a zone are read as UTC, and
that is said too. With semicolons or tabs between cells a comma is a decimal one.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from calibration.formats_kinds import epoch
from calibration.gather import Gathering, clean
from calibration.observations import Curve

DELIMITERS = ",;\t|"
TIME = re.compile(r"^(?:t|ts|time|timestamp|epoch|date|datetime|@timestamp|when)\b", re.IGNORECASE)
RATE = re.compile(r"rate|per[_ ]?s|/s\b|rps|eps|qps|msgs?/|per[_ ]?min|/min|per[_ ]?h|/h\b", re.IGNORECASE)
TOTAL = re.compile(r"^(?:sent|count|total|cumulative|records|events|messages|offset|n)$|_total$|cumul", re.IGNORECASE)
FOREIGN = re.compile(r"byte|[kmg]i?b\b|cpu|percent|%|latency|lag\b|memory|heap", re.IGNORECASE)
MINUTE = re.compile(r"per[_ ]?min|/min", re.IGNORECASE)
HOUR = re.compile(r"per[_ ]?h|/h\b", re.IGNORECASE)
MOST_ROWS = 5_000_000


def delimiter(lines: list[str]) -> str | None:
    """What parts the cells: a character that each of the first lines holds equally often; None if none does."""
    rows = [line for line in lines if line.strip()][:20]
    for mark in DELIMITERS:
        counts = {line.count(mark) for line in rows}
        if len(counts) == 1 and counts != {0}:
            return mark
    # with semicolons, commas are decimal ones and may be there or not
    return None


def looks_like(lines: list[str]) -> bool:
    """Whether these lines are a table: a time and a number beside it in every row, a header aside."""
    rows = [line for line in lines if line.strip()][:20]
    mark = delimiter(rows)
    if mark is None or len(rows) < 2:
        return False
    return sum(_row(line, mark) for line in rows) >= len(rows) - 1


def _row(line: str, mark: str) -> bool:
    cells = [cell.strip('" ') for cell in line.split(mark)]
    timed = [i for i, cell in enumerate(cells) if epoch(cell) is not None]
    return bool(timed) and any(number_(cell, mark) is not None for i, cell in enumerate(cells) if i != timed[0])


@dataclass(frozen=True)
class Column:
    """One column of numbers: where, what it is called, what it is."""

    at: int
    name: str
    kind: str  # rate or total
    scale: float


def read(lines: Iterable[str], into: Gathering) -> None:
    """A whole table."""
    held = iter(lines)
    head = [line for _, line in zip(range(20), held, strict=False)]
    mark = delimiter(head) or ","
    rows = csv.reader(_again(head, held), delimiter=mark)
    try:
        first = next(rows)
        header = all(number_(cell, mark) is None for cell in first) and all(epoch(cell) is None for cell in first)
        names = [clean(cell.strip()) for cell in first] if header else []
        body = rows if header else _again_rows(first, rows)
        _table(names, body, mark, into)
    except (csv.Error, StopIteration):
        into.skip("a table that cannot be read as CSV")


def _again(head: list[str], rest: Iterator[str]) -> Iterator[str]:
    yield from head
    yield from rest


def _again_rows(first: list[str], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield first
    yield from rest


def number_(cell: str, mark: str) -> float | None:
    """A cell's number; decimal commas where commas do not part cells.

    >>> number_("1.200,5", ";"), number_("1,200.5", ","), number_("1 200", ",")
    (1200.5, None, 1200.0)
    """
    text = cell.strip().replace("\u00a0", "").replace(" ", "")
    if mark != "," and "," in text:
        text = text.replace(".", "").replace(",", ".")
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _columns(names: list[str], width: int, into: Gathering) -> tuple[int, list[Column]]:
    """Which column is the time, and what the others are."""
    if not names:
        into.file.remark("no header: read as time and records a second")
        return 0, [Column(1, "rate", "rate", 1.0)] if width == 2 else []
    at = next((i for i, name in enumerate(names) if TIME.match(name)), 0)
    found = []
    for i, name in enumerate(names):
        if i == at:
            continue
        if FOREIGN.search(name):
            into.skip(f"column '{name}', which is no count or rate of records")
        elif RATE.search(name):
            found.append(
                Column(i, name, "rate", 1 / 60 if MINUTE.search(name) else 1 / 3600 if HOUR.search(name) else 1.0)
            )
        elif TOTAL.search(name):
            found.append(Column(i, name, "total", 1.0))
        else:
            into.skip(f"column '{name}': call it records_per_second or total, so that it can be told which it is")
    return at, found


def _table(names: list[str], rows: Iterable[list[str]], mark: str, into: Gathering) -> None:
    time_at, columns, told = -1, [], {}  # type: ignore[var-annotated]
    zone = False
    for count, row in enumerate(rows):
        if count >= MOST_ROWS:
            into.skip(f"rows beyond {MOST_ROWS:,}; give a shorter time")
            break
        if time_at < 0:
            time_at, columns = _columns(names, len(row), into)
            if not columns:
                into.skip("a table without a column of records a second or of their total")
                return
        t = epoch(row[time_at]) if len(row) > time_at else None
        if t is None:
            into.skip("rows without a time")
            continue
        zone = zone or ("-" in row[time_at][:8] and not re.search(r"(?:Z|[+-]\d\d:?\d\d|UTC)$", row[time_at].strip()))
        for column in columns:
            value = number_(row[column.at], mark) if len(row) > column.at else None
            if value is None:
                into.skip(f"empty or unreadable cells of '{column.name}'")
            else:
                told.setdefault(column, []).append((t, value * column.scale))
        into.file.saw("CSV of time and load", t)
    if zone:
        into.file.remark("times without a zone: read as UTC")
    _keep(told, into)


def _keep(told: dict[Column, list[tuple[float, float]]], into: Gathering) -> None:
    for column, points in told.items():
        several = len(told) > 1
        name = f"{into.file.entity} {column.name}" if several else into.file.entity
        points.sort()
        t, value = np.array([p[0] for p in points]), np.array([p[1] for p in points])
        if column.kind == "rate":
            for at, rate in points:
                into.add("producer", name, "records_per_second", at, rate, format="CSV")
        elif (np.diff(value) < 0).any():
            into.skip(f"column '{column.name}' is called a total but falls; call it records_per_second if it is a rate")
        else:
            into.curves[clean(name)] = Curve(t, value)
