"""Cells of a workbook: text that can never become a formula, numbers as numbers, and formulas of our own.

A `Formula` is made in this package only, from cell addresses and numbers; whatever comes from a scenario, a tag or an
export is text, and its cell is marked as text, so that a spreadsheet shows `=1+1` instead of 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from planner.refusal import ScenarioError

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for the start of one
USD, PRICE, COUNT, SHARE = "#,##0.00", "0.000000000", "#,##0.######", "0.0%"


@dataclass(frozen=True)
class Formula:
    """A formula that we wrote, without its equals sign."""

    text: str
    shown: str = USD


@dataclass(frozen=True)
class Number:
    """A number and how it is shown."""

    value: Decimal | float | int
    shown: str = USD


Cell = str | Number | Formula | None


def workbook(path: Path) -> Any:
    """A new workbook without sheets. Needs the extra `xlsx`."""
    try:
        from openpyxl import Workbook
    except ImportError:
        raise ScenarioError(f"--output {path}: needs openpyxl; pip install 'floodmark[xlsx]', or write .csv") from None
    book = Workbook()
    book.remove(book.active)
    return book


def fill(sheet: Any, table: Sequence[Sequence[Cell]], widths: Sequence[int] = (), head_rows: int = 1) -> None:
    """Write a table from the top left; its first rows are heads and stay in sight."""
    from openpyxl.styles import Alignment, Font
    from openpyxl.utils import get_column_letter

    for r, row in enumerate(table, start=1):
        for c, value in enumerate(row, start=1):
            cell = sheet.cell(row=r, column=c)
            _put(cell, value)
            if r <= head_rows:
                cell.font = Font(bold=True)
            if isinstance(value, str) and len(value) > 60:
                cell.alignment = Alignment(wrap_text=True, vertical="top")
    for c, width in enumerate(widths, start=1):
        sheet.column_dimensions[get_column_letter(c)].width = width
    if head_rows:
        sheet.freeze_panes = f"A{head_rows + 1}"


def _put(cell: Any, value: Cell) -> None:
    if value is None:
        return
    if isinstance(value, Formula):
        cell.value = f"={value.text}"
        cell.number_format = value.shown
    elif isinstance(value, Number):
        cell.value = float(value.value) if isinstance(value.value, Decimal) else value.value
        cell.number_format = value.shown
    else:
        cell.value = printable(value)
        cell.data_type = "s"


def inert(text: str) -> str:
    """A text for a CSV: one that a spreadsheet would take for a formula gets an apostrophe before it.

    >>> inert("=1+1"), inert("events")
    ("'=1+1", 'events')
    """
    return f"'{text}" if text.startswith(FORMULA) else text


def printable(text: str) -> str:
    """Text without control characters, which a workbook cannot hold, and no longer than a cell."""
    return "".join(c for c in text if c >= " " or c in "\t\n")[:32_000]


def save(book: Any, path: Path) -> None:
    """Write the file so that it is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    book.save(part)
    part.replace(path)
