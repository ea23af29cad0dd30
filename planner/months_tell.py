"""Months told: on a terminal, as JSON, Markdown, CSV by day, and as a page with its curves."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.units import show
from planner.look import INK, STYLES, template
from planner.months_ahead import Breaking, MonthsAhead, on
from planner.render import COLOURS, write_files

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FORMATS = (".json", ".html", ".csv", ".md", ".txt")
UNITS = {"kafka": "bytes", "elasticsearch": "bytes", "elasticsearch_plain": "bytes", "merge_debt": "bytes",
         "state": "bytes", "rate": "1/s", "rate_peak": "1/s", "unread": "count", "lag_records": "count",
         "lost": "count", "unread_seconds": "s", "lag_seconds": "s", "batch_seconds": "s"}  # fmt: skip


def publish(out: MonthsAhead, outputs: Sequence[Path], wanted: str, console: Console) -> None:
    """Each file in its suffix's format; without one, standard output."""
    writers: dict[str, Callable[[], str]] = {
        ".json": lambda: as_json(out),
        ".html": lambda: as_html(out),
        ".csv": lambda: as_csv(out),
        ".md": lambda: as_markdown(out),
        ".txt": lambda: as_text(out),
    }
    write_files(outputs, writers)
    if wanted:
        print(writers[wanted](), end="")
    elif not outputs:
        print_months(out, console)


def headline(out: MonthsAhead) -> str:
    """The first thing to break and its date, in one sentence."""
    if out.first is None:
        return f"Nothing more gives way within {out.days:.0f} days."
    return f"First to break, {when(out, out.first)}: {out.first.message}."


def when(out: MonthsAhead, one: Breaking) -> str:
    """Day and, where a start is known, date."""
    date = on(out.start, one.day)
    return f"day {one.day:.1f}" + (f" ({date})" if date else "")


def print_months(out: MonthsAhead, console: Console) -> None:
    """On a terminal."""
    console.print(rendered(out))


def rendered(out: MonthsAhead) -> RenderableType:
    """The first to break, all that breaks in order of time, and the months' course."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.text import Text

    parts: list[Any] = [Text(out.scenario.name, style="bold")]
    if out.already:
        told = "; ".join(b.message for b in out.already)
        parts.append(Text(f"Already from the first hour: {told}", style=STYLES["unsure"]))
    parts += [Text(headline(out), style=STYLES["holds" if out.first is None else "broken"]), Text()]
    for one in out.breaks:
        head = Text.assemble(
            (f"{when(out, one):<22} ", "bold"), (one.severity, COLOURS[one.severity]), f"  {one.message}"
        )
        parts.append(head)
        body = Text(f"{one.where} ({one.code}): {one.evidence}")
        body.append(f"\n→ {one.remedy}", style=STYLES["remedy"])
        body.append(f"   [{one.source}]", style="dim")
        parts.append(Padding(body, (0, 0, 0, 2)))
    parts += [Text(), _course(out)]
    for able in out.capacity:
        parts.append(Text(f"{able.flow} gets through {show(able.per_second, '1/s')}: {able.evidence}", style="dim"))
    return Group(*parts, *(Text(note, style="dim") for note in out.notes))


def _course(out: MonthsAhead) -> Any:
    from rich.table import Table

    head, rows = course(out)
    table = Table(*head, box=None, pad_edge=False, show_edge=False, header_style="dim")
    for row in rows:
        table.add_row(*row)
    return table


def course(out: MonthsAhead) -> tuple[list[str], list[list[str]]]:
    """One row a month of 30 days (less than two months: a week): the greatest value of each series in it."""
    days = out.by_day()
    width = 30 if out.days >= 60 else 7 if out.days >= 14 else 1
    titles = {
        "rate": "busiest hour",
        "rate_peak": "peak",
        "kafka": "fullest broker",
        "elasticsearch": "fullest data node",
        "batch_seconds": "batch",
        "unread": "left unread",
        "unread_seconds": "its age",
        "state": "state",
        "merge_debt": "merge debt",
    }
    names = [name for name in titles if name in days and np.nan_to_num(days[name]).any()]
    rows = []
    for first in range(0, len(days["day"]), width):
        part = {n: days[n][first : first + width] for n in names}
        last = min(first + width, len(days["day"]))
        label = f"{first + 1}-{last}" + (f" (to {on(out.start, last - 1)})" if out.start else "")
        seen = {n: v[~np.isnan(v)] for n, v in part.items()}
        rows.append([label, *(show(float(v.max()), UNITS[n]) if len(v) else "" for n, v in seen.items())])
    return ["days", *(titles[n] for n in names)], rows


def as_json(out: MonthsAhead) -> str:
    return json.dumps(out.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_text(out: MonthsAhead, width: int = 110) -> str:
    """As on a terminal, without colours."""
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width, highlight=False)
    print_months(out, console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def as_csv(out: MonthsAhead) -> str:
    """One row a day, the greatest value of each series in it."""
    text, days = io.StringIO(), out.by_day()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["date", *days])
    for k in range(len(days["day"])):
        row = [None if np.isnan(values[k]) else float(values[k]) for values in days.values()]
        writer.writerow([on(out.start, k) or "", *row])
    return text.getvalue()


def as_markdown(out: MonthsAhead) -> str:
    """A page for a wiki."""
    lines = [f"# Months ahead: {out.scenario.name}", "", headline(out), ""]
    lines += ["| when | severity | what | evidence | remedy | source |", "|---|---|---|---|---|---|"]
    for b in out.breaks:
        cells = (when(out, b), b.severity, b.message, b.evidence, b.remedy, b.source)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    head, rows = course(out)
    lines += ["", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *out.notes]) + "\n"


# ---------------------------------------------------------------- the page


def as_html(out: MonthsAhead) -> str:
    """One page that opens offline."""
    from planner import look_page

    charts, places = look_page.charts(figures(out))
    title = f"Months ahead: {out.scenario.name}"
    rows = [
        [escape(when(out, b)), look_page.judged(b.severity, b.severity),
         f"{escape(b.message)}<br><code>{escape(b.where)}</code>", *map(escape, (b.evidence, b.remedy, b.source))]
        for b in out.breaks
    ]  # fmt: skip
    head, table = course(out)
    already = "; ".join(b.message for b in out.already)
    body = [
        f"<h1>{escape(title)}</h1><p>{escape(out.scenario.description)}</p>",
        f'<p class="judged {"broken" if out.first else "holds"}">{escape(headline(out))}</p>',
        f'<p class="judged unsure">Already from the first hour: {escape(already)}.</p>' if already else "",
        *charts,
        "<h2>What gives way</h2>",
        look_page.table(("when", "severity", "what", "evidence", "remedy", "source"), rows),
        "<h2>Month by month</h2>",
        look_page.table(head, [[escape(cell) for cell in row] for row in table]),
        *(f'<p class="quiet">{escape(note)}</p>' for note in out.notes),
    ]
    return look_page.page(title, body, places, months=out.as_dict())


def figures(out: MonthsAhead) -> dict[str, dict[str, Any]]:
    """Charts by title, in plain data; the series by day."""
    days = out.by_day()
    at = [on(out.start, k) if out.start else k + 1 for k in range(len(days["day"]))]
    found = {}
    for system, title in (("elasticsearch", "Fullest data node"), ("kafka", "Fullest broker")):
        marks = {name: limit / 2**30 for name, limit in out.marks[system].items()}
        found[title] = _chart(at, {system: days[system] / 2**30}, "GiB", marks)
    able = sum(c.per_second for c in out.capacity)
    rates = {"busiest hour": days["rate"], "peak": days["rate_peak"]}
    found["Arrivals and what is got through"] = _chart(at, rates, "events/s", {"got through": able})
    found["Unread records"] = _chart(at, {"left unread": days["unread"]}, "records", {})
    if "batch_seconds" in days:
        trigger = max(flow.query.trigger for flow in out.scenario.flows)
        found["Batch time"] = _chart(
            at, {"batch": days["batch_seconds"]}, "s", {"trigger": trigger} if trigger > 0 else {}
        )
    credits = {n.replace("_", " "): v for n, v in days.items() if n.endswith("_credits") and v.min() < 1}
    if credits:
        found["Burst credits"] = _chart(at, credits, "share left", {})
    return found


def _chart(at: Sequence[Any], lines: dict[str, Any], unit: str, marks: dict[str, float]) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    for k, (name, values) in enumerate(lines.items()):
        plain = [float(v) if np.isfinite(v) else None for v in values]
        data.append({"type": "scatter", "mode": "lines", "name": name, "x": list(at), "y": plain,
                     "line": {"color": INK[k % len(INK)]}})  # fmt: skip
    for k, (name, level) in enumerate(marks.items()):
        if np.isfinite(level):
            data.append({"type": "scatter", "mode": "lines", "name": name.replace("_", " "), "x": [at[0], at[-1]],
                         "y": [level, level], "line": {"color": INK[(k + 2) % len(INK)], "dash": "dot"}})  # fmt: skip
    layout = {"yaxis": {"title": {"text": unit}, "rangemode": "tozero"}, "height": 320, "template": template()}
    return {"data": data, "layout": layout}
