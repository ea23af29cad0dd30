"""Drills told: a table for a terminal, JSON, CSV, Markdown and HTML."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from models.stack import Scenario
from models.units import show
from planner.drill import DrillResult
from planner.drill_play import in_time
from planner.fault_tell import when
from planner.look import STYLES

COLUMNS = ("drill", "", "worst latency", "lost", "twice", "green after", "what saved or killed it")


def row(result: DrillResult) -> tuple[str, ...]:
    """One drill as the tables show it."""
    return (
        result.drill.name,
        "holds" if result.holds else "BROKEN",
        _spread(result, "worst_seconds", result.worst_seconds, "without end"),
        show(result.lost_records, "count") if result.lost_records else "0",
        show(result.duplicated_documents, "count") if result.duplicated_documents else "0",
        _spread(result, "green_seconds", result.green_seconds, ""),
        result.why,
    )


def _spread(result: DrillResult, name: str, worst: float, endless: str) -> str:
    """The worst run's time, and where 90 of 100 other runs would lie."""
    told = when(worst) if math.isfinite(worst) or not endless else endless
    found = result.spread.get(name)
    if found is None or found.sampling is None or not math.isfinite(found.sampling.high):
        return told
    return f"{told} ({when(found.sampling.low)} to {when(found.sampling.high)})"


def drill_table(results: Sequence[DrillResult]) -> Table:
    """For a terminal."""
    table = Table(*COLUMNS, box=None, pad_edge=False, show_edge=False, header_style="dim")
    for result in results:
        cells: list[Any] = list(row(result))
        cells[1] = Text(cells[1], STYLES["holds" if result.holds else "broken"])
        table.add_row(*cells)
    return table


def summary(results: Sequence[DrillResult]) -> str:
    broken = [r.drill.name for r in results if not r.holds]
    runs = max((r.runs for r in results), default=1)
    each = f", each under {runs} seeds: the worst told, in brackets where 90 of 100 others lie" if runs > 1 else ""
    if not broken:
        return f"all {len(results)} drills hold{each}"
    return f"{len(results) - len(broken)} of {len(results)} drills hold{each}; broken: {', '.join(broken)}"


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
    names = [name for name in results[0].as_dict() if name not in ("faults", "over_runs")]
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
    """One page that opens offline: the table, and each drill's story with lag, batches, shards and copies in time."""
    from planner import look_page

    rows = [[html.escape(cell) for cell in row(r)] for r in results]
    for cells, r in zip(rows, results, strict=True):
        cells[1] = look_page.judged(cells[1], "holds" if r.holds else "broken")
    title = f"Drills: {scenario.name}"
    body = [f"<h1>{html.escape(title)}</h1><p>{html.escape(summary(results))}</p>", look_page.table(COLUMNS, rows)]
    places: dict[str, Any] = {}
    for result in results:
        body.append(_story(result))
        for name, figure in in_time(result).items():
            place = f"chart-{len(places)}"
            places[place] = figure
            body.append(f'<h3>{html.escape(name)}</h3><div id="{place}"></div>')
    return look_page.page(title, body, places)


def _story(result: DrillResult) -> str:
    events = result.answers.results[0].timeline
    items = "".join(f"<li><b>{html.escape(show(t, 's'))}</b> {html.escape(what)}</li>" for t, what in events)
    return f"<h2>{html.escape(result.drill.name)}</h2><p>{html.escape(result.drill.meaning)}</p><ul>{items}</ul>"
