"""Telling a bill: as plain data (JSON), as tables (CSV, Markdown, spreadsheet), on a terminal.

Every form has the same lines in the same order with the same cents. Text that a spreadsheet could take for a formula
(a tag, a supplier's name) is written as text.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.export_cells import inert
from planner.look import STYLES
from planner.refusal import ScenarioError
from pricing.bill import Line

if TYPE_CHECKING:
    from rich.console import RenderableType

    from planner.bill import MonthlyBill
    from planner.money_bridge import Bridge
    from planner.money_months import MonthOfBill

COLUMNS = ("system", "kind", "name", "quantity", "unit", "unit_price", "monthly_usd", "scaling", "driver", "grade",
           "service_code", "usage_type", "operation", "region", "item", "identity", "source", "as_of")  # fmt: skip
NUMBERS = ("quantity", "unit_price", "monthly_usd")
IN_CELLS = (
    *NUMBERS,
    "added_usd",
    "total_usd",
    "month",
    "events",
    "p10",
    "p50",
    "p90",
    "kafka_full",
    "index_full",
    "peak",
)
FORMATS = (".json", ".csv", ".xlsx", ".md", ".txt")


def as_dict(out: MonthlyBill) -> dict[str, Any]:
    """Plain data; `planner.money_schema` is its schema."""
    bill, money = out.bill, out.money
    return {
        "month": {"label": bill.month.label, "hours": bill.month.hours}, "region": money.region,
        "price_book": {"digest": bill.book_digest, "folder": money.price_book, "as_of": dates(bill.lines)},
        "monthly_usd": float(bill.monthly_usd), "aws_usd": float(bill.aws_usd), "other_usd": float(bill.other_usd),
        "complete": bill.complete, "p10": out.range.p10_usd, "p50": out.range.p50_usd, "p90": out.range.p90_usd,
        "unit": _unit(out),
        "lines": [_line(line) for line in bill.lines],
        "gaps": [{"system": g.system, "kind": g.kind, "name": g.name, "item": g.item, "region": g.region,
                  "quantity": float(g.quantity), "driver": g.driver, "reason": g.reason} for g in bill.gaps],
        "by_system": _floats(bill.by_system), "by_kind": _floats(bill.by_kind), "by_grade": _floats(bill.by_grade),
        "commitments": [held.as_dict() for held in out.commitments],
        "dominant": [line.name for line in out.dominant],
        "currency": {"code": money.currency, "per_usd": money.currency_per_usd,
                     "monthly": round(float(bill.monthly_usd) * money.currency_per_usd, 2)},
        "notes": list(out.notes),
    }  # fmt: skip


def _floats(sums: dict[str, Decimal]) -> dict[str, float]:
    return {key: float(usd) for key, usd in sums.items()}


def _unit(out: MonthlyBill) -> dict[str, float] | None:
    """USD for each million events and GiB of payload: on average, metered lines only, and for the next ones."""
    if out.unit is None or out.marginal is None:
        return None
    u = out.unit
    return {
        "usd_per_million_events": float(u.usd_per_million_events), "usd_per_gib": float(u.usd_per_gib),
        "metered_usd_per_million_events": float(u.metered_usd_per_million_events),
        "metered_usd_per_gib": float(u.metered_usd_per_gib),
        "marginal_usd_per_million_events": float(out.marginal[0]), "marginal_usd_per_gib": float(out.marginal[1]),
    }  # fmt: skip


def _line(line: Line) -> dict[str, Any]:
    row = line.row()
    told: dict[str, Any] = {name: row[name] for name in COLUMNS}
    told |= {name: float(row[name]) for name in NUMBERS}
    return told | {"tags": dict(line.tags)}


def dates(lines: Sequence[Line]) -> list[str]:
    """The oldest and the newest date of the prices that a bill is made of."""
    found = sorted({line.price.as_of.partition("..")[0] for line in lines if line.price.as_of[:1].isdigit()})
    return [found[0], found[-1]] if found else []


def as_json(out: MonthlyBill) -> str:
    return json.dumps(as_dict(out), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def rows(out: MonthlyBill) -> Iterator[dict[str, str]]:
    """One flat row a line, tags as columns, gaps as rows without a price."""
    for line in out.bill.lines:
        yield line.row()
    for gap in out.bill.gaps:
        yield {"system": gap.system, "kind": gap.kind, "name": gap.name, "quantity": f"{gap.quantity:f}",
               "item": gap.item, "region": gap.region, "driver": gap.driver, "grade": "missing",
               "source": gap.reason} | {f"tag:{key}": value for key, value in out.tags.items()}  # fmt: skip


def columns(out: MonthlyBill) -> list[str]:
    keys = dict.fromkeys(key for line in out.bill.lines for key, _ in line.tags) | dict.fromkeys(out.tags)
    return [*COLUMNS, *(f"tag:{key}" for key in keys)]


def as_csv(out: MonthlyBill) -> str:
    """Lines as a table. A text that starts like a formula gets an apostrophe before it."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns(out), lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows(out):
        writer.writerow({key: value if key in NUMBERS else inert(value) for key, value in row.items()})
    return text.getvalue()


def write_xlsx(out: MonthlyBill, path: Path, bridge: Bridge | None = None, later: Sequence[MonthOfBill] = ()) -> None:
    """A workbook: lines, sums with their range, notes, and the bridge and months where they were asked for. Cells of
    text are text, never formulas."""
    try:
        from openpyxl import Workbook
    except ImportError:
        raise ScenarioError(f"--output {path}: needs openpyxl; pip install 'floodmark[xlsx]', or write .csv") from None
    book = Workbook()
    sheet = book.active
    sheet.title = "lines"
    head = columns(out)
    _fill(sheet, [head, *([row.get(name, "") for name in head] for row in rows(out))], head)
    _fill(book.create_sheet("sums"), [["what", "monthly_usd"], *sums(out)], ["what", "monthly_usd"])
    _fill(book.create_sheet("notes"), [["note"], *([note] for note in out.notes)], ["note"])
    if bridge is not None:
        head, table = (
            ["cause", "added_usd", "total_usd", "why"],
            [["as planned", "", f"{bridge.start.monthly_usd:f}", ""]],
        )
        table += [[step.cause, f"{step.added_usd:f}", f"{step.total_usd:f}", why]
                  for step, why in zip(bridge.steps, bridge.why, strict=True)]  # fmt: skip
        _fill(book.create_sheet("bridge"), [head, *table], head)
    if later:
        from planner import money_months

        _fill(book.create_sheet("months"), [money_months.HEAD, *money_months.rows(later)], money_months.HEAD)
    part = path.with_name(path.name + ".part")
    book.save(part)
    part.replace(path)


def _fill(sheet: Any, table: Sequence[Sequence[str]], head: Sequence[str]) -> None:
    for r, row in enumerate(table, start=1):
        for c, text in enumerate(row, start=1):
            cell = sheet.cell(row=r, column=c)
            if r > 1 and head[c - 1] in IN_CELLS and text:
                cell.value = float(text)
            else:
                cell.value = _printable(text)
                cell.data_type = "s"
    sheet.freeze_panes = "A2"


def _printable(text: str) -> str:
    """Without control characters, which a workbook cannot hold."""
    return "".join(c for c in text if c >= " " or c in "\t\n")


def sums(out: MonthlyBill) -> list[list[str]]:
    """The totals, each with its name: by system, by kind, AWS's and others', and the range."""
    bill = out.bill
    found = [[f"system: {name}", f"{usd:f}"] for name, usd in bill.by_system.items()]
    found += [[f"kind: {name}", f"{usd:f}"] for name, usd in bill.by_kind.items()]
    found += [["AWS", f"{bill.aws_usd:f}"], ["others", f"{bill.other_usd:f}"], ["total", f"{bill.monthly_usd:f}"]]
    ends = (("P10", out.range.p10_usd), ("P50", out.range.p50_usd), ("P90", out.range.p90_usd))
    return found + [[name, f"{usd:.2f}"] for name, usd in ends]


def as_markdown(out: MonthlyBill) -> str:
    """A page for a wiki: lines, sums, notes."""
    lines = [
        "| system | line | quantity | unit | USD a unit | USD a month | from | price |",
        "|---|---|--:|---|--:|--:|---|---|",
    ]
    for x in out.bill.lines:
        cells = (x.system, x.name, f"{x.quantity:,.0f}", x.price.unit, f"{x.price.usd:f}", f"{x.monthly_usd:,.2f}")
        lines.append(
            "| " + " | ".join(_cell(c) for c in (*cells, x.driver, f"{x.price.grade}, {x.price.as_of}")) + " |"
        )
    lines += ["", "| sum | USD a month |", "|---|--:|"]
    lines += [f"| {_cell(name)} | {float(usd):,.2f} |" for name, usd in sums(out)]
    lines += ["", *(f"- {note}" for note in out.notes), "", foot(out)]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def foot(out: MonthlyBill) -> str:
    """Which prices, of when, in which month."""
    told = dates(out.bill.lines)
    dated = f"prices of {told[0]} to {told[1]}" if told else "no prices"
    money = out.money
    text = f"{money.region}, {out.bill.month.label}, {dated}, price book {out.bill.book_digest}"
    if money.currency != "USD":
        total = float(out.monthly_usd) * money.currency_per_usd
        text += f"; total {total:,.2f} {money.currency} at {money.currency_per_usd:g} for a USD"
    return text


def headline(out: MonthlyBill) -> str:
    """The total with its range.

    A sum that lacks a price says that it is too low.
    """
    told = f"{out.monthly_usd:,.0f} USD a month ({out.range.p10_usd:,.0f} to {out.range.p90_usd:,.0f}, P10 to P90)"
    return told if out.bill.complete else f"at least {told}: {len(out.bill.gaps)} lines have no price"


def dominating(out: MonthlyBill) -> str:
    """The lines that make most of the bill, with their shares."""
    total = float(out.monthly_usd) or 1.0
    return ", ".join(f"{x.name} {float(x.monthly_usd) / total:.0%}" for x in out.dominant)


def compact(out: MonthlyBill) -> RenderableType:
    """The bill as a forecast shows it: by system and kind, the total, what dominates."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    kinds = list(out.bill.by_kind)
    table = Table("USD a month", *kinds, "total", box=None, pad_edge=False, show_edge=False, header_style="dim")
    for column in table.columns[1:]:
        column.justify = "right"
    for system, total in out.bill.by_system.items():
        mine = {k: sum(x.monthly_usd for x in out.bill.lines if x.system == system and x.kind == k) for k in kinds}
        table.add_row(system, *(f"{usd:,.0f}" if usd else "" for usd in mine.values()), f"{total:,.0f}")
    head = Text.assemble(("bill  ", "dim"), (headline(out), "bold"))
    if out.unit is not None and out.marginal is not None and out.bill.complete:
        head.append(f"; {out.unit.usd_per_million_events:.3f} USD a million events, the next {out.marginal[0]:.3f}")
    parts: list[RenderableType] = [head, table, Text(f"most of it: {dominating(out)}", style="dim")]
    return Group(*parts, *(Text(f"  {note}", style="dim") for note in out.notes), Text(foot(out), style="dim"))


def full(out: MonthlyBill) -> RenderableType:
    """Every line, then the compact bill and the commitments."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = ("line", "quantity", "unit", "USD a unit", "USD a month", "")
    table = Table(*head, box=None, pad_edge=False, show_edge=False, header_style="dim")
    for name in (1, 3, 4):
        table.columns[name].justify = "right"
    for x in out.bill.lines:
        mark = "" if x.price.grade in ("published", "given") else x.price.grade
        table.add_row(f"{x.system}: {x.name}", f"{x.quantity:,.0f}", x.price.unit, f"{x.price.usd.normalize():f}",
                      f"{x.monthly_usd:,.2f}", Text(mark, STYLES["unsure"]))  # fmt: skip
    return Group(table, Text(), compact(out), *(Text(text) for text in commitment_lines(out)))


def commitment_lines(out: MonthlyBill) -> Iterator[str]:
    """A sentence for each commitment."""
    for held in out.commitments:
        plan, bought = held.plan, held.plan.offer
        even = f"pays from month {plan.break_even_month}" if plan.break_even_month else "does not pay within its term"
        stranded = f", strands {plan.stranded_usd:,.0f} USD on the change" if plan.stranded_usd else ""
        yield (
            f"commitment: {float(held.said.count):g} x {bought.kind} {bought.machine}, {bought.years} yr, "
            f"{bought.payment} upfront: {plan.hourly_commitment_usd:.4f} USD an hour, {plan.utilisation:.0%} used, "
            f"{even}, {plan.saved_usd:,.0f} USD saved over the term{stranded}"
        )


def as_text(out: MonthlyBill, width: int = 120) -> str:
    """As on a terminal, without colours."""
    from planner.render import plain_text

    return plain_text(full(out), width)
