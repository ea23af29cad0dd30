"""Faults told: what each did to the pipeline, when all was well again, what was lost and written twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from operator import itemgetter
from typing import Any

import numpy as np
from rich.table import Table
from rich.text import Text

from models.faults import Fault
from models.stack import Scenario
from models.units import show
from planner.answers import finite
from planner.timeline import SHARDS, Row, timelines, timelines_schema
from simulator.trace import FlowTrace, Trace

MOST_STATES = 60  # rows of shards' states in a page; the JSON has all
STATES = ("from", "flow", "started", "relocating", "initializing", "unassigned", "on each node")
COLUMNS = ("fault", "noticed after", "whole after", "caught up after", "query down")


@dataclass(frozen=True)
class FaultResult:
    """One fault of one run. Times are seconds of the simulation, infinite where the run did not see them."""

    fault: Fault
    noticed: float
    ended: float
    whole: float
    caught_up: float
    downtime_seconds: float
    timeline: tuple[tuple[float, str], ...]

    @property
    def green_seconds(self) -> float:
        """From the fault until every copy is back, the query runs and has caught up [s]."""
        return max(self.whole, self.caught_up) - self.fault.at

    def as_dict(self) -> dict[str, Any]:
        times = ("noticed", "ended", "whole", "caught_up")
        return {
            "fault": str(self.fault),
            "kind": self.fault.kind,
            "began_seconds": self.fault.at,
            **{f"{name}_seconds": finite(getattr(self, name)) for name in times},
            "green_after_seconds": finite(self.green_seconds),
            "downtime_seconds": self.downtime_seconds,
            "timeline": [{"time_seconds": time, "what": what} for time, what in self.timeline],
        }


@dataclass(frozen=True)
class FaultAnswers:
    """All faults of a run, and what they cost its flows together."""

    results: tuple[FaultResult, ...]
    lost_records: float
    lost_by_cause: dict[str, float]
    duplicated_documents: float
    restarts: int
    alive: bool
    copied_bytes: dict[str, dict[str, float]] = field(default_factory=dict)
    timelines: dict[str, list[Row]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def faults(self) -> list[Fault]:
        return [result.fault for result in self.results]

    def as_dict(self) -> dict[str, Any]:
        return {
            "events": [result.as_dict() for result in self.results],
            "lost_records": self.lost_records,
            "lost_by_cause": self.lost_by_cause,
            "duplicated_documents": self.duplicated_documents,
            "restarts": self.restarts,
            "alive": self.alive,
            "copied_bytes": {system: dict(of) for system, of in self.copied_bytes.items()},
            "timelines": self.timelines,
        }


def fault_answers(trace: Trace, scenario: Scenario, rate_factor: float = 1.0) -> FaultAnswers:
    """What one run says of its faults."""
    report, flows = trace.faults, list(trace.flows.values())
    losses: dict[str, float] = {}
    for mine in report.losses:
        for cause, records in mine.items():
            losses[cause] = losses.get(cause, 0.0) + records
    return FaultAnswers(
        tuple(_result(trace, scenario, n, rate_factor) for n in range(len(report.stories))),
        sum(flow.counts["lost"] for flow in flows),
        losses,
        sum(flow.counts["duplicated_documents"] for flow in flows),
        sum(report.restarts),
        all(flow.outcome == "running" for flow in flows),
        copied_bytes(report.copied),
        timelines(trace),
    )


def copied_bytes(copied: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Bytes that nodes copied because of faults, over all flows: {system: {what: bytes}}.

    >>> copied_bytes([{"kafka refetched": 3.0}, {"kafka refetched": 1.0, "elasticsearch rebuilt": 5.0}])
    {'kafka': {'refetched': 4.0}, 'elasticsearch': {'rebuilt': 5.0}}
    """
    found: dict[str, dict[str, float]] = {}
    for mine in copied:
        for name, size in mine.items():
            system, _, what = name.partition(" ")
            of = found.setdefault(system, {})
            of[what] = of.get(what, 0.0) + size
    return found


def _result(trace: Trace, scenario: Scenario, n: int, rate_factor: float) -> FaultResult:
    story = trace.faults.stories[n]
    ended = story.ended if math.isfinite(story.ended) else story.fault.at
    caught = max(
        caught_up(trace, flow.name, story.fault.at, ended, usual_rate(scenario, f, ended, rate_factor),
                  max(flow.query.trigger, 1.0))
        for f, flow in enumerate(scenario.flows)
    )  # fmt: skip
    told = tuple((h.time, h.what) for h in trace.faults.timeline if h.fault in (n, -1) and h.time >= story.fault.at)
    down = sum(
        min(d.until, trace.ended) - d.since for mine in trace.faults.downs for d in mine if d.since >= story.fault.at
    )
    whole = story.whole if math.isfinite(story.whole) else story.expected  # a rebuild may outlast the run
    return FaultResult(story.fault, story.noticed, story.ended, whole, caught, down, told)


def usual_rate(scenario: Scenario, flow: int, time: float, factor: float) -> float:
    """Events a second at a time [1/s]."""
    times, rates = scenario.flows[flow].workload.corners(time + 1.0)
    return float(rates[max(0, int(np.searchsorted(times, time, side="right")) - 1)]) * factor


def caught_up(trace: Trace, name: str, began: float, ended: float, rate: float, trigger: float) -> float:
    """When a flow is back to its usual lag after a fault [s]: the first batch behind it that leaves no more unread than
    arrives in one trigger, or in one batch as long as those before the fault. Infinite if the run saw none.
    """
    flow: FlowTrace = trace.flows[name]
    before = flow.batches[flow.batches["finished"] < began]
    usual = max(trigger, float(np.median(before["finished"] - before["started"])) if len(before) else 0.0)
    after = flow.batches[flow.batches["finished"] >= ended]
    below = after["lag_after"] <= max(rate * usual * 1.05, 1.0)
    below &= after["started"] >= ended - usual
    if not below.any():
        return math.inf
    return float(after[int(np.argmax(below))]["finished"])


def when(time: float) -> str:
    """A time as a reader takes it; 'never' where the run did not see it."""
    return show(time, "s") if math.isfinite(time) else "never"


def fault_lines(answers: FaultAnswers) -> list[Any]:
    """For a terminal: a table of the faults, what they cost, and the timeline."""
    table = Table(*COLUMNS, box=None, pad_edge=False, show_edge=False, header_style="dim")
    for result in answers.results:
        table.add_row(*_cells(result))
    told = [Text(f"  {show(time, 's'):>9}  {what}", style="dim") for time, what in _once(answers)]
    return [table, Text(cost(answers)), *told, *(Text(line, style="dim") for line in _copying(answers))]


def _copying(answers: FaultAnswers) -> list[str]:
    """What was copied, one line each: when, how fast, and what it filled."""
    lines = []
    for row in answers.timelines.get("copying", []):
        fullest = [max(row["hosts"], key=itemgetter(way)) for way in ("network", "volume")]
        until = "the end" if row["until_seconds"] is None else show(row["until_seconds"], "s")
        lines.append(
            f"{show(row['bytes'], 'bytes')} {row['what']} by {row['system']} from {show(row['since_seconds'], 's')} to "
            f"{until} at {show(row['bytes_per_second'], 'bytes/s')}: card of {fullest[0]['host']} "
            f"{fullest[0]['network']:.0%} full ({fullest[0]['network_before']:.0%} without), volume of "
            f"{fullest[1]['host']} {fullest[1]['volume']:.0%} ({fullest[1]['volume_before']:.0%})"
        )
    return lines


def _shards(answers: FaultAnswers) -> list[list[str]]:
    """States of shards at each change, in cells; the first of many."""
    rows = answers.timelines.get("shards", [])[:MOST_STATES]
    return [[show(row["time_seconds"], "s"), row["flow"], *(f"{row[name]:,}" for name in SHARDS),
             " ".join(map(str, row["on_node"]))] for row in rows]  # fmt: skip


def _cells(r: FaultResult) -> list[str]:
    since = (r.noticed - r.fault.at, r.whole - r.fault.at, r.caught_up - r.fault.at)
    return [str(r.fault), *(when(t) for t in since), show(r.downtime_seconds, "s")]


def fault_markdown(answers: FaultAnswers) -> list[str]:
    """For a wiki: the table, the cost, the timeline."""
    lines = ["## Faults", "", "| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(_cells(r)) + " |" for r in answers.results]
    lines += ["", f"{cost(answers)}.", ""]
    lines += [f"- {show(time, 's')}: {what}" for time, what in _once(answers)]
    lines += ["", *(f"- {line}" for line in _copying(answers))] if _copying(answers) else []
    if states := _shards(answers):
        lines += ["", "| " + " | ".join(STATES) + " |", "|" + "---|" * len(STATES)]
        lines += ["| " + " | ".join(row) + " |" for row in states]
    return lines


def _once(answers: FaultAnswers) -> list[tuple[float, str]]:
    """All timelines as one, in order of time; what belongs to no fault alone stands in each of them."""
    moments = dict.fromkeys(moment for result in answers.results for moment in result.timeline)
    return sorted(moments, key=itemgetter(0))


def fault_html(answers: FaultAnswers | None, table: Callable[[Sequence[str], Iterable[Sequence[str]]], str]) -> str:
    """For the report: the same, escaped; nothing where there are no faults."""
    if answers is None:
        return ""
    rows = [[escape(cell) for cell in _cells(r)] for r in answers.results]
    items = "".join(f"<li>{escape(show(t, 's'))}: {escape(what)}</li>" for t, what in _once(answers))
    items += "".join(f"<li>{escape(line)}</li>" for line in _copying(answers))
    states = [[escape(cell) for cell in row] for row in _shards(answers)]
    inner = f"<details><summary>Shards in time</summary>{table(STATES, states)}</details>" if states else ""
    return f"<h2>Faults</h2>{table(COLUMNS, rows)}<p>{escape(cost(answers))}.</p><ul>{items}</ul>{inner}"


def cost(answers: FaultAnswers) -> str:
    """One sentence: lost, doubled, restarted, alive."""
    lost = f"{answers.lost_records:,.0f} records lost"
    if answers.lost_by_cause:
        lost += " (" + ", ".join(f"{n:,.0f} {why}" for why, n in answers.lost_by_cause.items()) + ")"
    told = f"{lost}; {answers.duplicated_documents:,.0f} documents written twice"
    told += f"; {answers.restarts} restart{'s' * (answers.restarts > 1)}" if answers.restarts else ""
    for system, of in answers.copied_bytes.items():
        told += "".join(f"; {show(size, 'bytes')} {what} by {system}" for what, size in of.items() if size > 0)
    return told + ("" if answers.alive else "; the query is dead at the end")


def fault_schema() -> dict[str, Any]:
    """JSON Schema of `faults` in a forecast; null without faults."""
    number = {"type": ["number", "null"], "x-unit": "s"}
    names = ("began", "noticed", "ended", "whole", "caught_up", "green_after", "downtime")
    event: dict[str, Any] = {"fault": {"type": "string"}, "kind": {"type": "string"}}
    event |= {f"{name}_seconds": number for name in names}
    row = {"time_seconds": {"type": "number"}, "what": {"type": "string"}}
    event["timeline"] = {"type": "array", "items": {"type": "object", "properties": row}}
    sizes = {"type": "object", "additionalProperties": {"type": "number"}}
    top = {
        "events": {"type": "array", "items": {"type": "object", "properties": event, "required": list(event)}},
        "lost_records": {"type": "number"},
        "lost_by_cause": {"type": "object", "additionalProperties": {"type": "number"}},
        "duplicated_documents": {"type": "number"},
        "restarts": {"type": "integer"},
        "alive": {"type": "boolean"},
        "copied_bytes": {"type": "object", "additionalProperties": sizes, "x-unit": "bytes"},
        "timelines": timelines_schema(),
    }
    return {
        "type": ["object", "null"],
        "description": "what the scenario's faults did in the first run; null: it has none",
        "properties": top,
        "required": list(top),
        "additionalProperties": False,
    }
