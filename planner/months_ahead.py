"""Months ahead: what fills, what grows, what gives way first, and on which date.

The workload's own curves, growth, campaigns and steps are laid on a grid of hours. Disks hold what retention keeps
of them, merges and burst credits carry what a peak leaves, state follows its watermark, and what the query cannot
read waits. Batches come from the tables of `simulator.months`; what the query gets through is the
analytic screen's (8 % off on the median), whose percentiles are used below 70 % of everything only. The stack starts
empty and nobody acts: a disk that stops writes stays full until old documents leave it (`months_blocks`), and the
topic's retention ends what nobody read by then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.spark import AVAILABLE_NOW
from models.stack import Flow, Scenario
from models.storage import index_life_seconds
from models.units import DAY, HOUR, show
from planner.answers import finite
from planner.findings import Finding, Severity
from planner.months_blocks import blocked
from planner.refusal import ScenarioError
from planner.shown import Shown
from planner.storage import document_bytes, index_at, stored_event_bytes, topic_shares, unexpired_bytes
from simulator.months import Table, tabulate_each
from simulator.months import months as walked
from simulator.months_slow import backlog, kept
from simulator.screen import screen
from simulator.screen_numbers import numbers_of

Array = np.ndarray[Any, np.dtype[Any]]
STEP = HOUR
MOST_DAYS = 5 * 366
MOST_BATCHES = 8e6  # walked one by one; longer horizons carry the lag by capacity only


@dataclass(frozen=True)
class Breaking:
    """One thing that gives way: its code, day from the start, what happens, how it is known, what would do."""

    code: str
    day: float
    severity: Severity
    where: str
    message: str
    evidence: str
    remedy: str
    source: str

    def as_dict(self, start: date | None) -> dict[str, Any]:
        told: dict[str, Any] = {key: getattr(self, key) for key in self.__dataclass_fields__}
        return told | {"date": on(start, self.day)}

    def as_finding(self) -> Finding:
        return Finding(self.code, self.severity, self.where, self.message, self.evidence, self.remedy, self.source)


@dataclass(frozen=True)
class Capacity:
    """What one flow's query gets through [records/s], from which batches, and whether they were simulated."""

    flow: str
    per_second: float
    evidence: str


@dataclass(frozen=True)
class MonthsAhead(Shown):
    """Everything over the horizon: series by hour, marks of the disks, what breaks in order of time."""

    scenario: Scenario
    start: date | None
    days: float
    seed: int
    series: dict[str, Array] = field(repr=False)
    marks: dict[str, dict[str, float]]
    capacity: tuple[Capacity, ...]
    breaks: tuple[Breaking, ...]
    notes: tuple[str, ...]

    @property
    def already(self) -> tuple[Breaking, ...]:
        """What does not hold in the very first hour."""
        return tuple(b for b in self.breaks if b.day <= STEP / DAY and b.severity != "info")

    @property
    def first(self) -> Breaking | None:
        """The first thing to give way later than the first hour; what only informs is passed over."""
        return next((b for b in self.breaks if b.severity != "info" and b not in self.already), None)

    def as_dict(self) -> dict[str, Any]:
        """Plain data: the series by day (greatest value in each)."""
        first = self.first
        return {
            "schema_version": 1,
            "scenario": self.scenario.name,
            "start": self.start.isoformat() if self.start else None,
            "horizon_days": self.days,
            "seed": self.seed,
            "already": [b.code for b in self.already],
            "first": None if first is None else first.as_dict(self.start),
            "breaks": [b.as_dict(self.start) for b in self.breaks],
            "capacity": [
                {"flow": c.flow, "records_per_second": finite(c.per_second), "evidence": c.evidence}
                for c in self.capacity
            ],
            "marks_bytes": self.marks,
            "days": {name: [finite(v) for v in values] for name, values in self.by_day().items()},
            "notes": list(self.notes),
        }

    def by_day(self) -> dict[str, Array]:
        """The series by day: `day` from 1, each other the greatest of its hours; nan where nothing was seen."""
        a_day = round(DAY / STEP)
        count = len(self.series["rate"]) // a_day
        out: dict[str, Array] = {"day": np.arange(1, count + 1, dtype=float)}
        for name, values in self.series.items():
            rows = values[: count * a_day].reshape(count, a_day)
            seen = np.where(np.isnan(rows), -np.inf, rows).max(axis=1)
            out[name] = np.where(np.isneginf(seen), np.nan, seen)
        return out


def on(start: date | None, day: float) -> str | None:
    """The date of a day from the start, ISO; None where no start is known.

    >>> on(date(2026, 12, 1), 30.7), on(None, 1.0)
    ('2026-12-31', None)
    """
    return (start + timedelta(days=math.floor(day))).isoformat() if start else None


def first_of_month(scenario: Scenario) -> date | None:
    """Day one of the month that `money.month` dates; None for an average one."""
    month = scenario.money.month
    return None if month == "average" else date.fromisoformat(f"{month}-01")


@dataclass(frozen=True)
class Load:
    """One flow's arrivals by hour: events a second on the mean and at most, and events in the hour."""

    flow: Flow
    mean: Array
    peak: Array

    @property
    def events(self) -> Array:
        return self.mean * STEP

    def until(self, hour: int) -> Load:
        """The same with nothing from an hour on."""
        before = np.arange(len(self.mean)) < hour
        return Load(self.flow, self.mean * before, self.peak * before)

    @property
    def factor(self) -> Array:
        """Mean rate of the hour over the scenario's own [1]."""
        return self.mean / self.flow.workload.events_per_second


def load_of(flow: Flow, hours: int) -> Load:
    """Arrivals over the grid. After the end of a recorded series its mean goes on, with the growth."""
    until = hours * STEP
    times, rates = (np.array(x, dtype=float) for x in flow.workload.corners(until))
    if flow.workload.steps and times[-1] < until:
        later = np.arange(times[-1], until, STEP)
        grown = [(1 + flow.workload.growth_per_month) ** (t / (730 * HOUR)) for t in later - times[-1]]
        times = np.concatenate([times[:-1], later])
        rates = np.concatenate([rates[:-1], flow.workload.events_per_second * np.array(grown)])
    grid = np.arange(hours + 1) * STEP
    total = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(times))])
    ends = np.interp(
        grid,
        np.append(times, max(until, times[-1] + STEP)),
        np.append(total, total[-1] + rates[-1] * (max(until, times[-1] + STEP) - times[-1])),
    )
    peak = rates[np.maximum(0, np.searchsorted(times, grid[:-1], side="right") - 1)].copy()
    inside = np.minimum((times // STEP).astype(int), hours - 1)
    np.maximum.at(peak, inside[times < until], rates[times < until])
    return Load(flow, np.diff(ends) / STEP, peak)


def months_ahead(
    scenario: Scenario,
    coefficients: CoefficientSet | None = None,
    days: float = 365.0,
    *,
    seed: int = 1,
    start: date | None = None,
) -> MonthsAhead:
    """What happens over so many days; without coefficients, with the scenario's own.

    Raises ScenarioError for a horizon that is none, or what cannot be run.
    """
    from planner.forecast import coefficients_of
    from planner.months_breaks import all_breaks

    coefficients = coefficients or coefficients_of(scenario)

    if not 1 <= days <= MOST_DAYS:
        raise ScenarioError(f"horizon = {days:g} days; expected 1 to {MOST_DAYS} days [d]")
    hours, notes = math.ceil(days * DAY / STEP), []
    loads = [load_of(flow, hours) for flow in scenario.flows]
    if any(flow.workload.steps for flow in scenario.flows):
        notes.append("after the end of a series its mean rate goes on, with the growth")
    tables, why = _tables(scenario, coefficients, hours, seed)
    notes += [why] if why else []
    series: dict[str, Array] = {"rate": sum((one.mean for one in loads), np.zeros(hours))}
    series["rate_peak"] = sum((one.peak for one in loads), np.zeros(hours))
    series |= disks(scenario, coefficients, loads)
    full = np.flatnonzero(series["kafka"] >= scenario.kafka.volume.size)
    if len(full):  # its disk stays full, as a broker that is down deletes nothing, and nothing more comes to the index
        came = [load.until(int(full[0]) + 1) for load in loads]
        series |= {"kafka": np.minimum(series["kafka"], np.where(np.arange(hours) < full[0], np.inf,
                                                                 scenario.kafka.volume.size))}  # fmt: skip
        series |= {name: held for name, held in disks(scenario, coefficients, came).items() if name != "kafka"}
    else:
        came = loads
    capacity = tuple(_capacity(scenario, coefficients, f, tables) for f in range(len(loads)))
    shut = blocked(
        scenario, coefficients, [load.events for load in came], [able.per_second for able in capacity],
        series["elasticsearch"], series["elasticsearch_plain"],
    )  # fmt: skip
    series |= {"elasticsearch": shut.fullest, "elasticsearch_plain": shut.fullest_plain}
    series |= _batches(scenario, coefficients, tables, hours, seed, notes)
    found, more = all_breaks(scenario, coefficients, loads, series, capacity, shut)
    order = {"critical": 0, "warning": 1, "info": 2}
    ordered = sorted((b for b in found if b.day <= days), key=lambda b: (b.day, order[b.severity]))
    from planner.months_hours import marks_of

    return MonthsAhead(
        scenario,
        start or first_of_month(scenario),
        days,
        seed,
        series | more,
        marks_of(scenario),
        capacity,
        tuple(ordered),
        tuple(notes),
    )


def _tables(scenario: Scenario, c: CoefficientSet, hours: int, seed: int) -> tuple[list[Table], str]:
    """The batches' tables; none, and why, where the query has no steady batches or fails at its largest."""
    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        return [], "available now: the query reads what is there and ends, so no batches are carried through"
    try:
        return tabulate_each(scenario, c, hours * STEP, seed=seed), ""
    except (ValueError, MemoryError) as error:
        return [], f"no tables of batches ({error}); the query's capacity is the analytic screen's"


def _capacity(scenario: Scenario, c: CoefficientSet, f: int, tables: Sequence[Table]) -> Capacity:
    """Records a second that a flow's query gets through, the other flows at their own mean rate.

    The analytic screen's sustainable rate; with a cap also its largest batch again and again, as the table has it.
    """
    flow, able = scenario.flows[f], _screened_capacity(scenario, c, f)
    most = flow.query.max_offsets_per_trigger
    if most is None or not tables:
        return able
    table = tables[f]
    seconds = table.base + table.per_factor
    back = max(-3, -len(seconds))
    grows = max(0.0, float(seconds[-1] - seconds[back]) / float(table.records[-1] - table.records[back]))
    beyond = max(0.0, most - float(table.records[-1]))
    lasts = max(float(np.interp(most, table.records, seconds)) + grows * beyond, flow.query.trigger, 1e-3)
    if most / lasts >= able.per_second:
        return able
    return Capacity(
        flow.name, most / lasts, f"its cap of {show(float(most), 'count')} records every {show(lasts, 's')}"
    )


def _screened_capacity(scenario: Scenario, c: CoefficientSet, f: int) -> Capacity:
    flow = scenario.flows[f]
    if any(one.query.trigger == AVAILABLE_NOW for one in scenario.flows):
        return Capacity(flow.name, math.inf, "available now: not bounded here")
    rate = flow.workload.events_per_second
    found = screen(numbers_of(at_levels(scenario, [1.0] * len(scenario.flows)), c))
    if len(scenario.flows) == 1:
        factor = float(found.sustainable[0])
        return Capacity(
            flow.name, factor * rate, f"{factor:.3g} times the mean rate, bound by {found.binding[0]} (screened)"
        )
    low, high = 1e-3, 1e6
    while high / low > 1.02:
        middle = math.sqrt(low * high)
        levels = [middle if k == f else 1.0 for k in range(len(scenario.flows))]
        holds = float(screen(numbers_of(at_levels(scenario, levels), c)).sustainable[0]) >= 1
        low, high = (middle, high) if holds else (low, middle)
    return Capacity(flow.name, low * rate, f"{low:.3g} times its mean rate, the other flows at theirs (screened)")


def at_levels(scenario: Scenario, levels: Sequence[float]) -> Scenario:
    """The scenario with each flow at a constant multiple of its mean rate."""
    flows = []
    for flow, level in zip(scenario.flows, levels, strict=True):
        load = flow.workload
        steady: dict[str, Any] = {"rate": load.events_per_second * level, "size": load.event_bytes}
        steady |= {"bytes_per_second": None, "steps": (), "daily_curve": (), "weekly_curve": (), "bursts": ()}
        steady |= {"growth_per_month": 0.0, "recorded": None}
        flows.append(flow.model_copy(update={"workload": load.model_copy(update=steady)}))
    return scenario.model_copy(update={"flows": tuple(flows)})


def disks(scenario: Scenario, coefficients: CoefficientSet, loads: Sequence[Load]) -> dict[str, Array]:
    """Bytes on the fullest broker and data node at the end of each hour; `plain`: before the allocator moves shards."""
    hours = len(loads[0].mean)
    brokers = np.zeros((hours, scenario.kafka.brokers))
    held: dict[str, Array] = {}
    for load in loads:
        flow = load.flow
        log = kept(load.events, STEP, flow.topic.retention) * stored_event_bytes(flow) * 1.005
        log = log + np.minimum(unexpired_bytes(flow), log)
        brokers += np.outer(log, topic_shares(scenario, flow))
        life = index_life_seconds(flow.index.retention, flow.index.rollover)
        documents = 0.0 if flow.query.sink.kind == "noop" else flow.workload.documents_per_event
        held[flow.name] = kept(load.events, STEP, life) * documents * document_bytes(flow, coefficients)

    def at_hour(flow: Flow, seconds: float) -> float:
        return float(held[flow.name][min(hours - 1, max(0, round(seconds / STEP) - 1))])

    out = {"kafka": brokers.max(axis=1)}
    for name, relieve in (("elasticsearch", True), ("elasticsearch_plain", False)):
        at = index_at(scenario, coefficients, scenario.elasticsearch.data_nodes, relieve=relieve, kept=at_hour)
        out[name] = np.array([max(at((k + 1) * STEP)) for k in range(hours)])
    return out


def _batches(
    scenario: Scenario, c: CoefficientSet, tables: Sequence[Table], hours: int, seed: int, notes: list[str]
) -> dict[str, Array]:
    """Batch time, share of late batches and lag by hour, of the flow where each is worst."""
    if not tables:
        return {}
    shortest = min(max(flow.query.trigger, 0.05) for flow in scenario.flows)
    if hours * STEP / shortest > MOST_BATCHES:
        days = MOST_BATCHES * shortest / DAY
        notes.append(f"batches are walked one by one for the first {days:.0f} days; later their lag follows capacity")
        hours_walked = max(1, int(days * DAY / STEP))
    else:
        hours_walked = hours
    told = walked(scenario, c, hours_walked * STEP, seed=seed, tables=tables, points=hours_walked)
    out = {}
    for name in ("batch_seconds", "late", "lag_records", "lag_seconds"):
        rows = np.array([m.series[name] for m in told.values()])
        worst = np.where(np.isnan(rows), -np.inf, rows).max(axis=0)
        whole = np.full(hours, np.nan)
        whole[:hours_walked] = np.where(np.isneginf(worst), np.nan, worst)
        out[name] = whole
    return out


def unread(
    loads: Sequence[Load], capacity: Sequence[Capacity], stops: float | None, takes: Array
) -> Mapping[str, Array]:
    """Records unread, their age and those that retention ends, by hour, of all flows.

    Nothing is read in hours in which the index takes nothing (`takes`: 1 or 0). From `stops` [s] on the brokers are
    down: nothing is read either, nothing is taken in (producers give up after two minutes, models/faults.py), and the
    topic keeps what it has.
    """
    hours = len(loads[0].mean)
    left, age, lost = np.zeros(hours), np.zeros(hours), np.zeros(hours)
    ends = (np.arange(hours) + 1) * STEP
    for load, able in zip(loads, capacity, strict=True):
        reads = np.full(hours, able.per_second if math.isfinite(able.per_second) else 1e15)
        if load.flow.query.sink.kind != "noop":
            reads = reads * takes
        up = np.ones(hours) if stops is None else np.clip((stops - (ends - STEP)) / STEP, 0.0, 1.0)
        one, old, gone = backlog(load.mean * up, reads * up, STEP, load.flow.topic.retention)
        if stops is not None and (down := np.flatnonzero(up < 1.0)).size:
            first = int(down[0])
            one[first:], old[first:], gone[first:] = one[first], old[first] + (ends[first:] - ends[first]), 0.0
        left, age, lost = left + one, np.maximum(age, old), lost + gone + load.mean * (1 - up) * STEP
    return {"unread": left, "unread_seconds": age, "lost": lost}
