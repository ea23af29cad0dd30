"""Drills told: a table for a terminal, JSON, CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import html
import io
import json
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from models.stack import Scenario
from models.units import show
from planner.drill import DrillResult
from planner.fault_tell import when

COLUMNS = ("drill", "", "worst latency", "lost", "twice", "green after", "what saved or killed it")


def row(result: DrillResult) -> tuple[str, ...]:
    """One drill as the tables show it."""
    return (
        result.drill.name,
        "holds" if result.holds else "BROKEN",
        when(result.worst_seconds) if result.worst_seconds != float("inf") else "without end",
        show(result.lost_records, "count") if result.lost_records else "0",
        show(result.duplicated_documents, "count") if result.duplicated_documents else "0",
        when(result.green_seconds),
        result.why,
    )


def drill_table(results: Sequence[DrillResult]) -> Table:
    """For a terminal."""
    table = Table(*COLUMNS, box=None, pad_edge=False, show_edge=False, header_style="dim")
    for result in results:
        cells: list[Any] = list(row(result))
        cells[1] = Text(cells[1], "green" if result.holds else "bold red")
        table.add_row(*cells)
    return table


def summary(results: Sequence[DrillResult]) -> str:
    broken = [r.drill.name for r in results if not r.holds]
    if not broken:
        return f"all {len(results)} drills hold"
    return f"{len(results) - len(broken)} of {len(results)} drills hold; broken: {', '.join(broken)}"


def as_dict(scenario: Scenario, results: Sequence[DrillResult], seed: int) -> dict[str, Any]:
    """Plain data; times without end are null."""
    return {
        "schema_version": 1,
        "scenario": scenario.name,
        "seed": seed,
        "holds": all(r.holds for r in results),
        "drills": [r.as_dict() for r in results],
    }


def as_json(scenario: Scenario, results: Sequence[DrillResult], seed: int) -> str:
    return json.dumps(as_dict(scenario, results, seed), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(results: Sequence[DrillResult]) -> str:
    """One row a drill; seconds and counts, empty where there is no end."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [name for name in results[0].as_dict() if name != "faults"]
    writer.writerow(names)
    for result in results:
        told = result.as_dict()
        writer.writerow(["" if told[name] is None else told[name] for name in names])
    return text.getvalue()


def as_markdown(scenario: Scenario, results: Sequence[DrillResult]) -> str:
    """A page for a wiki: the table, and each drill's timeline."""
    head = ("drill", "holds", *COLUMNS[2:])
    lines = [f"# Drills: {scenario.name}", "", summary(results) + ".", ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row(r)) + " |" for r in results]
    for result in results:
        lines += ["", f"## {result.drill.name}", "", f"{result.drill.meaning}.", ""]
        lines += [f"- {show(time, 's')}: {what}" for time, what in result.answers.results[0].timeline]
    return "\n".join(lines) + "\n"


def as_html(scenario: Scenario, results: Sequence[DrillResult]) -> str:
    """One page that opens offline: the table, and each drill's timeline as a bar and a list."""
    rows = "".join(
        f'<tr class="{"ok" if r.holds else "bad"}">' + "".join(f"<td>{html.escape(c)}</td>" for c in row(r)) + "</tr>"
        for r in results
    )
    heads = "".join(f"<th>{html.escape(c)}</th>" for c in COLUMNS)
    body = "".join(_story(result) for result in results)
    title = html.escape(scenario.name)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Drills: {title}</title><style>{STYLE}</style>'
        f"<h1>Drills: {title}</h1><p>{html.escape(summary(results))}</p>"
        f"<table><tr>{heads}</tr>{rows}</table>{body}</html>\n"
    )


def _story(result: DrillResult) -> str:
    events = result.answers.results[0].timeline
    items = "".join(f"<li><b>{html.escape(show(t, 's'))}</b> {html.escape(what)}</li>" for t, what in events)
    return f"<h2>{html.escape(result.drill.name)}</h2><p>{html.escape(result.drill.meaning)}</p><ul>{items}</ul>"


STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:70em;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.3em .8em;text-align:left;vertical-align:top;"
    "border-bottom:1px solid #8884}tr.bad td:nth-child(2){color:#b00020;font-weight:bold}"
    "tr.ok td:nth-child(2){color:#1b7f3b}li b{display:inline-block;min-width:6em}"
)
