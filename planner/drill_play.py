"""A drill as a page plays it: one bad day simulated, its lag, batches and shards in time, and what happened when."""

from __future__ import annotations

import math
from typing import Any

from models.stack import Scenario
from models.units import show
from planner.drill import DrillResult, drills, run_drills
from planner.fault_tell import FaultResult, when
from planner.forecast import Progress
from planner.look import JUDGED
from planner.timeline import (
    PARTITIONS,
    SHARDS,
    Figure,
    batches,
    batches_in_time,
    copying,
    copying_in_time,
    lag,
    partitions_in_time,
    shards_in_time,
    states,
)
from planner.told import Told
from planner.told_parts import Cell

MARKS = (("at", "fault", JUDGED["broken"]), ("ended", "cause gone", JUDGED["unsure"]),
         ("caught_up", "caught up", JUDGED["holds"]))  # fmt: skip


def names(scenario: Scenario) -> dict[str, str]:
    """The bad days that this stack can have, by name, each with what it is."""
    return {name: drill.meaning for name, drill in drills(scenario).items()}


def play(scenario: Scenario, name: str, progress: Progress | None = None) -> DrillResult:
    """One drill. Raises ScenarioError for a stack that has none."""
    if progress is not None:
        progress(f"simulating {name}", 0, 1)
    return run_drills(scenario, [name])[0]


def drill_numbers(result: DrillResult) -> list[Told]:
    """The numbers of a drill."""
    worst = "without end" if math.isinf(result.worst_seconds) else show(result.worst_seconds, "s")
    why = f"simulated at the peak rate\n{result.drill.meaning}"
    lost, twice = result.lost_records, result.duplicated_documents
    return [
        Told("green again after", when(result.green_seconds), "copies whole, query runs, lag worked off", why,
             result.green_seconds, "s"),
        Told("caught up after the cause", when(result.catch_up_seconds), "", why, result.catch_up_seconds, "s"),
        Told("worst latency", worst, f"p99 {when(result.p99_seconds)}", why, result.worst_seconds, "s"),
        Told("records lost", show(lost, "count"), "", why, lost, "count", "broken" if lost else "holds"),
        Told("documents twice", show(twice, "count"), "", why, twice, "count", "unsure" if twice else "holds"),
    ]  # fmt: skip


def in_time(result: DrillResult) -> dict[str, Figure]:
    """Lag, batches, and what faults made of shards, partitions and copies, by title; each with the fault's moments."""
    if result.trace is None:
        return {}
    marks = {"shapes": _shapes(result), "annotations": _words(result)}
    ran = batches_in_time(result.trace)
    found = {"Lag in time": lag(ran, marks), "Batches in time": batches(ran, marks)}
    if shards := shards_in_time(result.trace):
        found["Shards in time"] = states(shards, SHARDS, "shard copies, by state", marks)
    if partitions := partitions_in_time(result.trace):
        found["Partitions in time"] = states(partitions, PARTITIONS[:2], "copies of partitions, by state", marks)
    if copied := copying_in_time(result.trace):
        found["What is copied in time"] = copying(copied, marks)
    return found


def _moments(fault: FaultResult) -> list[tuple[float, str, str]]:
    times = {"at": fault.fault.at, "ended": fault.ended, "caught_up": fault.caught_up}
    return [(times[key], word, ink) for key, word, ink in MARKS if math.isfinite(times[key])]


def _shapes(result: DrillResult) -> list[dict[str, Any]]:
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1}
    return [
        line | {"x0": time, "x1": time, "line": {"color": ink, "dash": "dot"}}
        for fault in result.answers.results
        for time, _, ink in _moments(fault)
    ]


def _words(result: DrillResult) -> list[dict[str, Any]]:
    return [
        {"x": time, "yref": "paper", "y": 1 - 0.09 * k, "text": word, "showarrow": False, "xanchor": "left",
         "font": {"size": 11, "color": ink}}
        for fault in result.answers.results
        for k, (time, word, ink) in enumerate(_moments(fault))
    ]  # fmt: skip


def happenings(result: DrillResult) -> tuple[list[str], list[list[Cell]]]:
    """What happened when: nodes, leaders, shards, the query."""
    rows = [
        [Cell(f"{time:,.1f} s"), Cell(f"+{time - fault.fault.at:,.1f} s"), Cell(what)]
        for fault in result.answers.results
        for time, what in fault.timeline
    ]
    return ["simulated", "after the fault", "what happened to nodes, leaders, shards and the query"], rows


def told(result: DrillResult) -> str:
    """The drill in one sentence."""
    meaning, word = result.drill.meaning, "holds" if result.holds else "broken"
    return f"{meaning[:1].upper()}{meaning[1:]}: {word}; {result.why}."
