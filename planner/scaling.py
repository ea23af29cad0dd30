"""Scaling answered: how many executor-hours a policy holds, wastes and lacks against a load curve.

Batches are those of the tables (`simulator.months`), simulated at the scenario's own number of executors; their part
beside the driver is divided over the tasks, so that another number of executors makes another number of waves. What is
*needed* at a rate is the least number whose warm batches keep to the trigger; *wasted* is what is held beyond it,
*missing* what it is short of, both integrated over the hours.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.spark import AVAILABLE_NOW
from models.stack import Scenario
from models.units import DAY, HOUR
from planner.answers import finite
from planner.refusal import ScenarioError
from planner.shown import Shown
from simulator.hosts import place
from simulator.months import tabulate
from simulator.scaling import Array, Rules, Scaled, Work, needed, scale
from simulator.spark import costs_of

MOST_DAYS = 31.0
SINK_SHARE = 0.5  # of a document's CPU that lies in the last stage of a query with state; only its ratio matters


@dataclass(frozen=True)
class Policy:
    """One way to hold executors, and what came of it. Hours are executor-hours over the horizon."""

    name: str
    held_hours: float
    needed_hours: float
    wasted_hours: float
    missing_hours: float
    node_hours: float
    usd: float | None
    least_held: int
    most_held: int
    asked: int
    unused: int
    batches: int
    late: float
    most_lag: float
    cold_seconds: float

    def as_dict(self) -> dict[str, Any]:
        return {key: finite(value) if isinstance(value, float) else value for key, value in self.__dict__.items()}


@dataclass(frozen=True)
class ScalingAnswer(Shown):
    """The stated policy beside fleets that never change."""

    scenario: Scenario
    days: float
    seed: int
    policies: tuple[Policy, ...]
    runs: dict[str, Scaled]
    needed: tuple[tuple[float, int], ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "schema_version": 1, "scenario": self.scenario.name, "horizon_days": self.days, "seed": self.seed,
            "policies": [policy.as_dict() for policy in self.policies],
            "held": {name: [[t, n] for t, n in run.steps if t < run.horizon] for name, run in self.runs.items()},
            "needed": [[t, n] for t, n in self.needed],
        }  # fmt: skip


def scaling(
    scenario: Scenario, coefficients: CoefficientSet | None = None, days: float = 1.0, *, seed: int = 1
) -> ScalingAnswer:
    """The scenario's policy over so many days; without coefficients, with the scenario's own.

    Raises ScenarioError where no policy is stated or it cannot be walked.
    """
    from planner.forecast import coefficients_of

    coefficients = coefficients or coefficients_of(scenario)
    rules = rules_of(scenario)
    if not 1 / 24 <= days <= MOST_DAYS:
        raise ScenarioError(f"horizon = {days:g} days; expected an hour to {MOST_DAYS:g} days [d]")
    horizon = days * DAY
    try:
        work = work_of(scenario, coefficients, horizon, seed)
        times, rates = (np.array(x, dtype=float) for x in scenario.flows[0].workload.corners(horizon))
        wanted = needs(work, rules, times, rates)
        peak = max(n for _, n in wanted)
        fleets = {
            "as stated": rules,
            f"{scenario.spark.executors} always (spark.executors)": _always(rules, scenario.spark.executors),
            f"{peak} always (the busiest hour's need)": _always(rules, peak),
        }
        runs = {name: scale(work, fleet, times, rates, horizon, seed=seed) for name, fleet in fleets.items()}
    except ValueError as error:
        raise ScenarioError(f"{scenario.name}: cannot be scaled: {error}") from None
    usd = usd_an_hour(scenario, coefficients)
    policies = tuple(_policy(name, run, wanted, work, usd) for name, run in runs.items())
    return ScalingAnswer(scenario, days, seed, policies, runs, tuple(wanted))


def rules_of(scenario: Scenario) -> Rules:
    """The stated rules. Raises ScenarioError where there are none, or several queries would share them."""
    said, spark = scenario.spark.scaling, scenario.spark
    if said is None:
        raise ScenarioError("spark.scaling is missing; it says who adds executors, for example "
                            "scaling: {kind: dynamic-allocation, least: 1, most: 8}")  # fmt: skip
    if len(scenario.flows) > 1:
        raise ScenarioError(f"flows: {len(scenario.flows)}; expected 1: the executors of several queries in one "
                            "application are not scaled here [count]")  # fmt: skip
    first = min(max(spark.executors, said.least), said.most)
    managed = said.kind == "managed"
    return Rules(
        said.least, said.most, first, said.backlog_timeout, said.sustained_timeout or said.backlog_timeout,
        said.idle_timeout, said.start, said.node_start if managed else 0.0, said.node_idle if managed else 0.0,
    )  # fmt: skip


def _always(rules: Rules, count: int) -> Rules:
    return replace(rules, least=count, most=count, first=count, fixed=True, node_start=0.0)


def work_of(scenario: Scenario, c: CoefficientSet, horizon: float, seed: int) -> Work:
    """What batches cost, by stage, from the tables at the scenario's own executors."""
    flow, spark = scenario.flows[0], scenario.spark
    if flow.query.trigger == AVAILABLE_NOW:
        raise ScenarioError(
            "flows[0].query.trigger = 'available now'; expected a trigger: a query that ends is not scaled"
        )
    table = tabulate(scenario, c, horizon, seed=seed)[0]
    costs, placement = costs_of(flow, scenario, c), place(scenario, c)
    tasks = [max(flow.topic.partitions, flow.query.min_partitions or 0)]
    if flow.query.state is not None:
        tasks.append(flow.query.state.shuffle_partitions)
    driver = costs.driver / placement.sites[placement.driver].speed
    lasts = np.asarray(table.base + table.per_factor)
    fixed = np.minimum(2 * costs.commit + driver + costs.launch * sum(tasks), 0.95 * lasts)
    documents = np.asarray(table.records) * flow.workload.documents_per_event
    weights = [costs.setup + documents / tasks[0] * costs.document]
    if flow.query.state is not None:
        weights = [costs.setup + documents / tasks[0] * costs.document * (1 - SINK_SHARE)]
        rows = costs.state_row + costs.document * SINK_SHARE
        weights.append(costs.state_setup + costs.commit + documents / tasks[1] * rows)
    waves = [math.ceil(n / (spark.executors * spark.cores)) for n in tasks]
    scale_by = (lasts - fixed) / sum(w * n for w, n in zip(weights, waves, strict=True))
    usual = flow.workload.events_per_second * max(flow.query.trigger, 1.0)
    tasks_work = np.maximum(table.work - costs.driver / spark.executors, 1e-12)
    jvm = max(0.0, 1 - float(np.interp(usual, table.records, table.python / tasks_work)))  # Python warms no JVM
    return Work(
        flow.query.trigger, float(flow.query.max_offsets_per_trigger or math.inf), spark.cores, fixed, tuple(tasks),
        np.asarray(table.records), np.stack([w * scale_by for w in weights], axis=1), c["spark.warm_amplitude"] * jvm,
        c["spark.warm_work_seconds"],
    )  # fmt: skip


def needs(work: Work, rules: Rules, times: Array, rates: Array) -> list[tuple[float, int]]:
    """Executors needed from each change of the rate on."""
    found: list[tuple[float, int]] = []
    for t, rate in zip(times, rates, strict=True):
        count = needed(work, rules, float(rate))
        if not found or found[-1][1] != count:
            found.append((float(t), count))
    return found


def apart(held: list[tuple[float, int]], wanted: list[tuple[float, int]], until: float) -> tuple[float, float, float]:
    """Executor-hours needed, held beyond the need and short of it.

    >>> apart([(0.0, 4), (3600.0, 1)], [(0.0, 2)], 7200.0)
    (4.0, 2.0, 1.0)
    """
    marks = sorted({t for t, _ in (*held, *wanted) if t < until} | {until})
    need = wasted = missing = 0.0
    h = w = -1
    for start, end in pairwise(marks):
        while h + 1 < len(held) and held[h + 1][0] <= start:
            h += 1
        while w + 1 < len(wanted) and wanted[w + 1][0] <= start:
            w += 1
        have, want, hours = held[max(h, 0)][1], wanted[max(w, 0)][1], (end - start) / HOUR
        need += want * hours
        wasted += max(0, have - want) * hours
        missing += max(0, want - have) * hours
    return need, wasted, missing


def usd_an_hour(scenario: Scenario, coefficients: CoefficientSet) -> float | None:
    """What one executor's host costs an hour [USD]; None where the bill does not say."""
    from planner.bill import monthly_bill
    from planner.claims import screened_pace

    made = monthly_bill(scenario, coefficients, pace=screened_pace(scenario, coefficients))
    lines = [line for line in made.bill.lines if line.system == "spark" and "executor" in line.name.lower()]
    usd = sum(float(line.monthly_usd) for line in lines)
    return usd / scenario.spark.executors / made.bill.month.hours if usd > 0 else None


def _policy(name: str, run: Scaled, wanted: list[tuple[float, int]], work: Work, usd: float | None) -> Policy:
    need, wasted, missing = apart(run.steps, wanted, run.horizon)
    nodes = run.hours(run.nodes)
    lasted = run.batches["finished"] - run.batches["started"]
    counts = [n for t, n in run.steps if t < run.horizon]
    late = float((lasted > work.trigger).mean()) if work.trigger > 0 and len(lasted) else 0.0
    return Policy(
        name, run.hours(run.steps), need, wasted, missing, nodes, None if usd is None else usd * nodes, min(counts),
        max(counts), run.asked, run.unused, len(lasted), late, run.most_lag, run.cold_seconds,
    )  # fmt: skip


def paid_executors(scenario: Scenario, coefficients: CoefficientSet, *, seed: int = 1) -> float:
    """Executors that are paid for on the mean: those held under the stated policy, simulated over a day, or over a week
    where the load has a weekly curve; `spark.executors` where nothing scales.

    What a bill multiplies by the month's hours. A node is held longer than its executor (it starts first and goes
    later), so it is the nodes that count. Raises ScenarioError where the policy cannot be walked.
    """
    if scenario.spark.scaling is None:
        return float(scenario.spark.executors)
    rules = rules_of(scenario)
    days = 7.0 if any(flow.workload.weekly_curve for flow in scenario.flows) else 1.0
    horizon = days * DAY
    try:
        work = work_of(scenario, coefficients, horizon, seed)
        times, rates = (np.array(x, dtype=float) for x in scenario.flows[0].workload.corners(horizon))
        run = scale(work, rules, times, rates, horizon, seed=seed)
    except ValueError as error:
        raise ScenarioError(f"{scenario.name}: cannot be scaled: {error}") from None
    return run.hours(run.nodes) * HOUR / horizon
