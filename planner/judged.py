"""Promises judged over a window of their own, or without the scenario's faults: the scenario simulated once more.

A quantile over an hour is another number than one over a minute wherever the load moves or noise has a memory.
"""

from __future__ import annotations

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.answers import QUANTILES, Answer, Domain
from planner.engine import simulate
from planner.uncertainty import answer

Judged = dict[str, dict[str, Answer]]  # by target, then by flow


def judged(scenario: Scenario, coefficients: CoefficientSet, seeds: list[int], level: str, domain: Domain) -> Judged:
    """Answers for the targets whose window is not the run's: a run a seed for each such window."""
    found: Judged = {}
    for name, over in scenario.targets.judged.items():
        window, faults = over.window or scenario.run.measure, scenario.faults if over.faults else ()
        same = window == scenario.run.measure and faults == scenario.faults
        if same or getattr(scenario.targets, name) is None:
            continue
        run = scenario.run.model_copy(update={"measure": window})
        long = scenario.model_copy(update={"run": run, "faults": faults})
        traces = [simulate(long, coefficients, seed=seed, level=level) for seed in seeds]
        found[name] = {
            flow.name: answer([t.flows[flow.name].latency.quantile(QUANTILES[name]) for t in traces], [], "s", domain)
            for flow in scenario.flows
        }
    return found
