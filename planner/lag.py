"""Lag: records not yet read, their age, and how long the query needs to catch up after an outage.

Caught up means: no more left unread at the end of a batch than arrives in one trigger, or in one usual
batch where batches outlast their trigger.
"""

from __future__ import annotations

import math

import numpy as np

from models.coefficients import CoefficientSet
from models.spark import AVAILABLE_NOW
from models.stack import Scenario
from planner.throughput import Simulate, steady
from simulator.trace import BATCH_FIELDS, FlowTrace, Trace

SLACK = 1.05  # over what arrives in one trigger: batches of equal length differ by a few records
NAMES = [name for name, _ in BATCH_FIELDS]
FINISHED, AFTER = NAMES.index("finished"), NAMES.index("lag_after")
PATIENCE = 3.0  # outages' lengths that the simulation waits; what is left then is extrapolated by its drain


def most_lag(trace: Trace, name: str) -> tuple[float, float]:
    """Largest lag of a flow within the measured window: records, and age of the oldest [s]."""
    flow = trace.flows[name]
    batches = flow.counted(trace.measured_from, trace.measured_until)
    if len(batches) == 0:
        return _stuck(flow, trace)
    return float(batches["lag_records"].max()), float(batches["lag_seconds"].max())


def _stuck(flow: FlowTrace, trace: Trace) -> tuple[float, float]:
    """No batch began in the window: the one before it was still running, or the query had failed."""
    if len(flow.batches) == 0:
        return float(flow.counts["committed"]), trace.measured_until
    last = flow.batches[-1]
    return float(last["lag_after"]), float(trace.measured_until - last["started"])


def catch_up_seconds(
    scenario: Scenario, coefficients: CoefficientSet, simulate: Simulate, seed: int, usual_seconds: dict[str, float]
) -> tuple[float, str]:
    """Time from the end of the targets' outage until the last flow has caught up [s], and how it is known."""
    outage = scenario.targets.outage
    period = max(*(max(flow.query.trigger, 0.0) for flow in scenario.flows), 1.0)
    warm = 3 * max(period, *usual_seconds.values())
    peak = [(peak_rate(scenario, f) / flow.workload.events_per_second) for f, flow in enumerate(scenario.flows)]
    at_peak = steady(scenario, outage + max(PATIENCE * outage, 12 * period), warm)
    back = warm + outage
    follow = [f for f in scenario.flows if f.query.trigger != AVAILABLE_NOW]
    left = {f.name: max(peak) * f.workload.events_per_second * max(period, usual_seconds[f.name]) for f in follow}

    def all_are_back(batches: list[list[tuple[float, ...]]]) -> bool:
        """Whether a batch of every flow ended after the outage with little left unread."""
        return all(
            any(row[FINISHED] >= back and row[AFTER] <= left[flow.name] * SLACK for row in reversed(rows[-50:]))
            for flow, rows in zip(scenario.flows, batches, strict=True)
            if flow.name in left
        )

    trace = simulate(
        at_peak, coefficients, seed=seed, rate_factor=max(peak), outages=((warm, outage),), settle=False,
        enough=all_are_back if left else None,
    )  # fmt: skip
    found = [_caught_up(trace.flows[name], back, records) for name, records in left.items()]
    if not found:
        return math.inf, "available-now queries do not follow their topic"
    return max(found, key=lambda pair: pair[0])


def peak_rate(scenario: Scenario, flow: int) -> float:
    """Highest rate of a flow in the window that the scenario simulates [1/s]."""
    until = scenario.run.warm_up + scenario.run.measure
    return max(scenario.flows[flow].workload.corners(until)[1])


def _caught_up(flow: FlowTrace, back: float, little: float) -> tuple[float, str]:
    if flow.outcome != "running":
        return math.inf, flow.outcome
    batches = flow.batches[flow.batches["finished"] >= back]
    below = batches["lag_after"] <= little * SLACK
    if len(batches) and below.any():
        first = batches[int(np.argmax(below))]
        return float(first["finished"] - back), f"{int(np.argmax(below)) + 1} batches, simulated"
    if len(batches) < 2:
        return math.inf, "the first batch after the outage did not end within the simulation"
    span = float(batches["finished"][-1] - batches["finished"][0])
    drain = float(batches["lag_after"][0] - batches["lag_after"][-1]) / span
    if drain <= 0:
        return math.inf, "the lag does not fall: more arrives than is read"
    rest = float(batches["lag_after"][-1] - little) / drain
    until = float(batches["finished"][-1] - back) + rest
    return until, f"drains {drain:.4g} records/s; extrapolated beyond the simulation"
