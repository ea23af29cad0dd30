"""Overload: what a stack carries when more arrives than it can, forecast in the words of the measurement.

A run whose batches are capped (`maxOffsetsPerTrigger`) and whose load lasts above what they carry fires full batches
back to back. *Sustainable throughput* of that step is the records of those batches over the time between their starts
(`backtest_values.sustained`), counted alike in simulated batches that start as cold. *As stated* is the number that
`floodmark forecast` states for the same settings: the highest rate whose lag does not grow in a warm stack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from calibration.lab import LabRun, Step
from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.backtest_scenario import LOADS, scenario_of
from planner.backtest_values import STATED, Value, overloads
from planner.engine import simulate
from planner.throughput import sustainable, through
from simulator.trace import Trace

TIERS = {"1.5×": 1.5, "2×": 2.0, "3×": 3.0}  # of the highest fitted rate
OVERLOAD = 3.0  # times the step's rate: as far above what was found as a forecast's own draws are taken


def stated(run: LabRun, c: CoefficientSet, seeds: Sequence[int]) -> list[Value]:
    """What a forecast of these settings states as sustainable [1/s]: mean over seeds, each of which searches anew."""
    found = []
    for name, step in overloads(run):
        scenario = steady_of(run, step)
        factors = [sustainable(scenario, c, _quick, seed).factor for seed in seeds]
        found.append(Value(name, STATED, "1/s", float(np.mean(factors)) * step.rate))
    return found


def stated_drawn(run: LabRun, c: CoefficientSet, seed: int) -> list[Value]:
    """What an overloaded stack gets through with drawn coefficients [1/s]: it moves with them as the search's answer
    does, at a fraction of its cost (as `planner.forecast` takes it)."""
    return [
        Value(name, STATED, "1/s", step.rate * through(steady_of(run, step), c, _quick, seed, OVERLOAD))
        for name, step in overloads(run)
    ]


def steady_of(run: LabRun, step: Step) -> Scenario:
    """The run's settings at the constant rate of one step, as a user would state them."""
    scenario = scenario_of(run)
    flow = scenario.flows[0]
    told = flow.workload.model_dump(exclude_unset=True, exclude=set(LOADS)) | {"rate": step.rate}
    load = type(flow.workload).model_validate(told)
    return scenario.model_copy(update={"flows": (flow.model_copy(update={"workload": load}), *scenario.flows[1:])})


def _quick(*args: Any, **options: Any) -> Trace:
    return simulate(*args, settle=False, **options)


def tier(rate: float, highest: float) -> str:
    """Which of the three kinds of load a rate is, as a multiple of the highest fitted rate: the nearest by ratio.

    >>> tier(1300, 1000), tier(2200, 1000), tier(3000, 1000)
    ('1.5×', '2×', '3×')
    """
    return min(TIERS, key=lambda name: abs(math.log(rate / highest / TIERS[name])))
