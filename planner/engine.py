"""The engine as the planner calls it: one run, its failures in the house's words, its length bounded."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner import start
from planner.fault_spot import spot_faults
from planner.refusal import ScenarioError
from simulator.run import simulate as _simulate
from simulator.trace import Trace

start.without_registries()  # in a command's own process, and before the first kernel is loaded


@cache
def _options() -> frozenset[str]:
    return frozenset(inspect.signature(_simulate).parameters)


def simulate(scenario: Scenario, coefficients: CoefficientSet, *, settle: bool = True, **options: Any) -> Trace:
    """One run. `settle=False`: the run may end with its window, without waiting for the last record to show.

    Raises ScenarioError for what cannot be placed or is too large to run.
    """
    if not settle and "settle" in _options():
        options["settle"] = False
    if scenario.money.spot_share and "faults" not in options:
        options["faults"] = [*scenario.faults, *spot_faults(scenario, options.get("seed", 1))]
    try:
        return _simulate(scenario, coefficients, **options)
    except (ValueError, MemoryError) as error:
        raise ScenarioError(f"{scenario.name}: cannot be simulated: {error}") from None


def warm_up() -> float:
    """Compile the kernels, or load them compiled, by one short run; how long it took [s]."""
    import time

    from models.coefficients import load_set
    from planner.scenario import example

    started = time.perf_counter()
    scenario = example("lab")
    short = scenario.run.model_copy(update={"measure": 10.0, "warm_up": 2.0})
    for level in ("fluid", "exact"):
        simulate(scenario.model_copy(update={"run": short}), load_set(scenario.coefficients), seed=1, level=level)
    return time.perf_counter() - started
