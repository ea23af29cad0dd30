"""Pace: what runs showed of a flow, as a month that goes on needs it.

Seconds from batch to batch, items sent again, documents written twice, records read again. A fault that the scenario
states happens once a month: what it did is counted once, and its stretch is no part of the pace.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from models.faults import Fault
from models.spark import AVAILABLE_NOW
from models.stack import Scenario

if TYPE_CHECKING:
    from simulator.story import Down, Story
    from simulator.trace import FlowTrace, Trace


@dataclass(frozen=True)
class Pace:
    """Of one flow's runs: seconds from batch to batch, items sent again and documents written twice for each one
    indexed, records read again for each one read. An interval of 0 means that nobody knows how often it runs.

    What stated faults did counts once a month: `resent_once`, `doubled_once` [documents], `reread_once` [records], and
    the bytes that brokers and data nodes moved or rebuilt. What a copy had missed and fetched later is not among them:
    the month's replication holds it already."""

    interval: float
    resent: float = 0.0
    doubled: float = 0.0
    reread: float = 0.0
    resent_once: float = 0.0
    doubled_once: float = 0.0
    reread_once: float = 0.0
    moved_topics: float = 0.0
    moved_indices: float = 0.0

    def hosts_at(self, load: float) -> float | None:
        """Executors' hosts on the mean at a multiple of the load; None where none come and go."""
        return None

    def at(self, load: float) -> Pace:
        """The same with as many times the events; what happens once grows with them."""
        names = ("resent_once", "doubled_once", "reread_once", "moved_topics", "moved_indices")
        return replace(self, **{name: getattr(self, name) * load for name in names})


@dataclass(frozen=True)
class Hosted(Pace):
    """A pace with executors' hosts on the mean, at multiples of the mean rate at the start: pairs (multiple, hosts),
    both rising, in a straight line between."""

    hosts: tuple[tuple[float, float], ...] = ()

    def hosts_at(self, load: float) -> float | None:
        if not self.hosts:
            return None
        return float(np.interp(load, [m for m, _ in self.hosts], [n for _, n in self.hosts]))


def pace_of(traces: Sequence[Trace], name: str, stated: Sequence[Fault] | None = None) -> Pace:
    """The pace of a flow over several runs, each run weighing the same.

    The stretch of the faults that are stated (None: of all) is left out of what goes on all month, and what they did
    counts once. Faults drawn at their rate, such as a spot market's, go on all month.
    """
    seen = [_pace_of_run(trace, name, stated) for trace in traces]
    often = sum(1 / pace.interval for pace in seen) / len(seen)
    rest = [n.name for n in fields(Pace) if n.name != "interval"]
    return Pace(1 / often, **{n: sum(getattr(pace, n) for pace in seen) / len(seen) for n in rest})


def _pace_of_run(trace: Trace, name: str, stated: Sequence[Fault] | None) -> Pace:
    flow, number = trace.flows[name], list(trace.flows).index(name)
    told = [n for n, s in enumerate(trace.faults.stories) if (stated is None or s.fault in stated)]
    indexed = max(flow.counts["indexed_documents"], 1.0)
    shares, once = {}, {}
    for what in ("rejected_items", "duplicated_documents"):
        before = trace.faults.before[told[0]][number] if told and told[0] in trace.faults.before else flow.counts
        shares[what] = before[what] / max(before["indexed_documents"], 1.0)
        once[what] = max(0.0, flow.counts[what] - shares[what] * indexed)
    copied = trace.faults.copied[number] if told else {}
    stated_from = min((trace.faults.stories[n].fault.at for n in told), default=math.inf)
    again = _read_again(flow, trace.faults.downs[number] if trace.faults.downs else [])
    return Pace(
        _interval(trace, flow, [trace.faults.stories[n] for n in told]),
        shares["rejected_items"], shares["duplicated_documents"],
        sum(records for since, records in again if since < stated_from) / max(flow.counts.get("cut", 0.0), 1.0),
        once["rejected_items"], once["duplicated_documents"],
        sum(records for since, records in again if since >= stated_from), copied.get("kafka moved", 0.0),
        copied.get("elasticsearch moved", 0.0) + copied.get("elasticsearch rebuilt", 0.0),
    )  # fmt: skip


def _read_again(flow: FlowTrace, downs: Sequence[Down]) -> list[tuple[float, float]]:
    """When a query died amid a batch, and the records of that batch, which its next life reads again.

    A batch was under way if the trigger after the last one that ended was due by then. Tasks of a lost executor that
    run again are not seen here.
    """
    rows, found = flow.batches, []
    for down in downs:
        ended, after = rows[rows["finished"] <= down.since], rows[rows["started"] >= down.until]
        if len(ended) and len(after) and _due(ended[-1], ended) < down.since:
            found.append((down.since, float(after[0]["records"])))
    return found


def _due(last: Any, ended: Any) -> float:
    """When the batch after the last one was due [s]: as long after its start as batches usually are apart."""
    usual = float(np.median(np.diff(ended["started"]))) if len(ended) > 1 else 0.0
    return max(float(last["finished"]), float(last["started"]) + usual)


def _interval(trace: Trace, flow: FlowTrace, stories: Sequence[Story]) -> float:
    """Mean seconds from batch to batch, those that a fault's stretch touches left out where others are left [s]."""
    started = flow.counted(trace.measured_from, trace.measured_until)["started"]
    if len(started) < 2:
        started = flow.batches["started"]
    gaps = np.diff(started)
    usual = np.ones(len(gaps), dtype=bool)
    for story in stories:
        usual &= (started[1:] <= story.fault.at) | (started[:-1] >= _recovered(flow, story))
    kept = gaps[usual] if usual.any() else gaps
    return float(kept.mean()) if kept.sum() > 0 else trace.measured_until


def _recovered(flow: FlowTrace, story: Story) -> float:
    """When a flow's lag is back to what it was at its most before a fault [s]; infinite if the run saw none."""
    batches, ended = flow.batches, story.ended if math.isfinite(story.ended) else story.fault.at
    before = batches["lag_after"][batches["finished"] < story.fault.at]
    if not len(before):
        return float(ended)
    back = (batches["started"] >= ended) & (batches["lag_after"] <= 1.05 * before.max() + 1)
    return float(batches["finished"][int(np.argmax(back))]) if back.any() else math.inf


def paces(scenario: Scenario, traces: Sequence[Trace] = ()) -> dict[str, Pace]:
    """Every flow's pace: as its runs showed, else one batch a trigger."""
    found = {}
    for flow in scenario.flows:
        trigger = flow.query.trigger
        if trigger == AVAILABLE_NOW:
            found[flow.name] = Pace(0.0)
        elif traces:
            found[flow.name] = pace_of(traces, flow.name, scenario.faults)
        elif trigger > 0:
            found[flow.name] = Pace(trigger)
        else:
            raise ValueError(f"flow '{flow.name}' runs as fast as possible: only a simulated run knows its batches")
    return found
