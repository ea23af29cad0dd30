"""A comparison told: on a terminal, as JSON, as CSV, and as a comment on a pull request."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.units import show
from planner.compare import Comparison, Moved
from planner.export_cells import inert
from planner.findings import Finding
from planner.look import STYLES

if TYPE_CHECKING:
    from rich.console import RenderableType

MARKER = "<!-- floodmark compare -->"  # by which a bot finds its comment to update it in place
LONGEST = 60_000  # characters of a comment (GitHub takes 65,536)
MOST_FINDINGS = 20


def number(value: float, unit: str) -> str:
    """A value as people read it; USD and counts without fractions they do not have."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "without end"
    if unit == "USD":
        return f"{value:,.0f} USD"
    if unit == "GiB":
        return f"{value:,.4g} GiB"
    return f"{value:,.4g}" if unit == "count" else show(value, unit)


def change(one: Moved) -> str:
    """The difference with its sign, and what share of before it is."""
    if math.isnan(one.change):
        return "–"
    if one.change == 0:
        return "0"
    sign = "+" if one.change > 0 else "−"
    told = f"{sign}{number(abs(one.change), one.unit)}"
    return told + (f" ({one.relative:+.0%})" if math.isfinite(one.relative) and one.relative else "")


def interval(one: Moved) -> str:
    """The 90 % interval of the difference, and how sure its sign is."""
    if one.difference is None or one.change == 0:
        return ""
    ends = [
        f"{'−' if end < 0 else '+'}{number(abs(end), one.unit)}" for end in (one.difference.low, one.difference.high)
    ]
    return " to ".join(ends)


def verdict(one: Comparison) -> str:
    """One sentence: what it costs, and what it does to the promises."""
    cost = one.cost
    money = (
        "costs the same" if abs(cost.change) < 0.5
        else f"costs {number(abs(cost.change), 'USD')} a month {'more' if cost.change > 0 else 'less'}"
    )  # fmt: skip
    if one.broken:
        return f"{money} and breaks {', '.join(one.broken)}"
    if one.mended:
        return f"{money} and mends {', '.join(one.mended)}"
    return f"{money}; {'every promise holds' if one.after.holds else 'the promises that were broken still are'}"


def _basis(one: Comparison) -> str:
    many = f"{one.after.draws} draws of the coefficients" if one.after.draws else f"{len(one.after.traces)} runs"
    how = "paired: both stacks meet the same dice" if one.paired else "not paired: their coefficients or dice differ"
    return f"90 % of the difference over {many}; {how}"


def rendered(comparisons: Sequence[Comparison]) -> RenderableType:
    """Tables for a terminal, one a comparison."""
    from rich.console import Group

    return Group(*(part for one in comparisons for part in _parts(one)))


def _parts(one: Comparison) -> list[RenderableType]:
    from rich.table import Table
    from rich.text import Text

    names = (one.before.scenario.name, one.after.scenario.name)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", names[0], names[1] if names[1] != names[0] else f"{names[1]} (2)", "difference", "90 % of it"):
        table.add_column(column, justify="left" if not column else "right")
    for row in one.moved:
        table.add_row(row.name, number(row.before, row.unit), number(row.after, row.unit), change(row), interval(row))
    parts: list[RenderableType] = [
        Text.assemble((f"{names[0]} → {names[1]}", "bold"), f"  {verdict(one)}"), table, Text(_basis(one), style="dim"),
    ]  # fmt: skip
    if one.lines:
        lines = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("bill, what moved most", "before", "after", "difference"):
            lines.add_column(column, justify="left" if column.startswith("bill") else "right")
        for row in one.lines:
            lines.add_row(row.name, number(row.before, "USD"), number(row.after, "USD"), change(row))
        parts.append(lines)
    for label, found, style in (("new", one.came, STYLES["unsure"]), ("gone", one.went, STYLES["holds"])):
        parts += [Text(f"{label}: {f.severity}  {f.message} ({f.code}, {f.where})", style=style) for f in found]
    return [*parts, Text("")]


def as_json(comparisons: Sequence[Comparison]) -> str:
    told = {"schema_version": 1, "comparisons": [one.as_dict() for one in comparisons]}
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def as_csv(comparisons: Sequence[Comparison]) -> str:
    """One row a quantity, tidy."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("before", "after", "kind", "name", "unit", "from", "to", "difference", "low_90", "high_90"))
    for one in comparisons:
        for kind, rows in (("quantity", one.moved), ("bill line", one.lines)):
            for row in rows:
                ends = ("", "") if row.difference is None else (row.difference.low, row.difference.high)
                writer.writerow(
                    (inert(one.before.scenario.name), inert(one.after.scenario.name), kind, inert(row.name), row.unit,
                     row.before, row.after, row.change, *ends)
                )  # fmt: skip
    return out.getvalue()


def as_markdown(comparisons: Sequence[Comparison]) -> str:
    """A comment for a pull request, bounded in length, with a marker to find it again."""
    text = MARKER + "\n" + "\n".join(_markdown(one, MOST_FINDINGS) for one in comparisons)
    if len(text) > LONGEST:
        text = MARKER + "\n" + "\n".join(_markdown(one, 3) for one in comparisons)
    if len(text) > LONGEST:
        cut = text[: LONGEST - 200].rsplit("\n", 1)[0]
        text = f"{cut}\n\n*Cut at {LONGEST:,} characters; `floodmark compare -o x.json` has all of it.*\n"
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _markdown(one: Comparison, most: int) -> str:
    mark = "❌" if one.broken else "✅" if one.after.holds else "⚠️"
    names = _cell(one.before.scenario.name), _cell(one.after.scenario.name)
    rows = [f"### {mark} {names[0]} → {names[1]}: {verdict(one)}", ""]
    rows += [f"| | {names[0]} | {names[1]} | difference | 90 % of it |", "|---|--:|--:|--:|--:|"]
    for row in one.moved:
        cells = (row.name, number(row.before, row.unit), number(row.after, row.unit), change(row), interval(row))
        rows.append("| " + " | ".join(map(_cell, cells)) + " |")
    if one.lines:
        rows += ["", "| bill, what moved most | before | after | difference |", "|---|--:|--:|--:|"]
        rows += [
            f"| {_cell(x.name)} | {number(x.before, 'USD')} | {number(x.after, 'USD')} | {change(x)} |"
            for x in one.lines
        ]
    for label, found in (("New findings", one.came), ("Findings that are gone", one.went)):
        rows += _findings(label, found, most)
    return "\n".join([*rows, "", f"<sub>{_basis(one)}. {_digests(one)}</sub>", ""])


def _findings(label: str, found: Sequence[Finding], most: int) -> list[str]:
    if not found:
        return []
    told = [f"- **{f.severity}** {_cell(f.message)} (`{_cell(f.where)}`): {_cell(f.evidence)}" for f in found[:most]]
    more = [f"- and {len(found) - most} more"] if len(found) > most else []
    return ["", f"**{label}**", "", *told, *more]


def _digests(one: Comparison) -> str:
    told = one.after.digests
    return f"engine {told['engine']}, coefficients {told['coefficients']}, prices {told['price_book']}"
