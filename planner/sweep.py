"""Sweeping a scenario's fields: a grid of values, each stack simulated with the same dice and priced.

Runs go through `simulator.sweep`: here, over processes, or over a Dask cluster; the numbers are the same, and a
folder keeps what is done, so that an interrupted sweep goes on.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from models.stack import Scenario
from planner.bill import monthly_bill
from planner.fault_spot import spot_faults
from planner.forecast import coefficients_of, run_seed, too_long
from planner.refusal import ScenarioError
from planner.scenario import load_scenario, resolved
from planner.usage import Pace, pace_of
from planner.usage_scaling import with_hosts
from simulator.sweep import Job, Refused, summary, sweep
from simulator.trace import Trace

MOST_CELLS = 10_000
COLUMNS = ("p50_seconds", "p99_seconds", "batch_seconds", "most_lag_records", "busiest", "busiest_share", "monthly_usd")


@dataclass(frozen=True)
class Cell:
    """One point of the grid: its values, what came out, or why it is no stack."""

    values: Mapping[str, Any]
    answers: Mapping[str, float | str]
    refused: str = ""

    def row(self) -> dict[str, Any]:
        blank = dict.fromkeys(COLUMNS)
        return {**self.values, **blank, **self.answers, "refused": self.refused or None}


def axis(text: str) -> tuple[str, list[Any]]:
    """A field and its values, from `path=v1,v2,v3`; values are written as in the file (`2 s`, `[a, b]`, `true`).

    >>> axis("flows[0].query.trigger=2 s,10 s")
    ('flows[0].query.trigger', ['2 s', '10 s'])
    """
    path, given, values = text.partition("=")
    if not given or not path.strip() or not values.strip():
        raise ScenarioError(f"--set '{text}'; expected path=value,value such as flows[0].query.trigger=2 s,10 s")
    try:
        found = yaml.safe_load(f"[{values}]")
    except yaml.YAMLError:
        raise ScenarioError(
            f"--set {path}: cannot read '{values}'; expected values as in the file, by commas"
        ) from None
    return path.strip(), list(found)


def with_values(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """The scenario with fields set by path. Raises ScenarioError for an unknown path, with the nearest right one."""
    data: dict[str, Any] = resolved(scenario)
    for path, value in values.items():
        at: Any = data
        steps = path.replace("[", ".[").split(".")
        try:
            for step in steps[:-1]:
                at = at[int(step[1:-1])] if step.startswith("[") else at.setdefault(step, {})
            last = steps[-1]
            at[int(last[1:-1]) if last.startswith("[") else last] = value
        except (IndexError, ValueError, TypeError, AttributeError):
            raise ScenarioError(
                f"--set {path}: no such place; expected a path such as flows[0].topic.partitions"
            ) from None
    return load_scenario(data)


def swept(
    scenario: Scenario, axes: Mapping[str, Sequence[Any]], *, seed: int = 1, level: str = "fluid", workers: int = 1,
    folder: Path | None = None, dask: str = "",
) -> list[Cell]:  # fmt: skip
    """Every combination of the axes' values, in order; cells that are no stack say why and the others run on."""
    cells = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    if len(cells) > MOST_CELLS:
        raise ScenarioError(f"--set: {len(cells):,} combinations; expected at most {MOST_CELLS:,}")
    made = [_stack(scenario, cell) for cell in cells]
    repeats = scenario.run.repeats
    jobs = [
        Job(interrupted(stack, run_seed(seed, k)), coefficients_of(stack), run_seed(seed, k), level)  # type: ignore[arg-type]
        for stack in made if isinstance(stack, Scenario) for k in range(repeats)
    ]  # fmt: skip
    results = iter(sweep(jobs, workers=workers, measure=measured, folder=folder, dask=dask))
    found = []
    for cell, stack in zip(cells, made, strict=True):
        if isinstance(stack, str):
            found.append(Cell(cell, {}, stack))
        else:
            found.append(_cell(cell, stack, [next(results) for _ in range(repeats)]))
    return found


def interrupted(stack: Scenario, seed: int) -> Scenario:
    """The stack with the interruptions that its spot share brings under these dice, as a forecast has them."""
    if not stack.money.spot_share:
        return stack
    return stack.model_copy(update={"faults": (*stack.faults, *spot_faults(stack, seed))})


def measured(trace: Trace) -> dict[str, Any]:
    """What a cell needs of a run: the summary, and the pace that the bill is metered at."""
    return summary(trace) | {"pace": {name: asdict(pace_of([trace], name)) for name in trace.flows}}


def _paces(runs: Sequence[dict[str, Any]]) -> dict[str, Pace]:
    """Every flow's pace on the mean of its runs."""
    of = {name: [run["pace"][name] for run in runs] for name in runs[0]["pace"]}
    return {name: Pace(**{key: _mean([one[key] for one in seen]) for key in seen[0]}) for name, seen in of.items()}


def _stack(scenario: Scenario, cell: Mapping[str, Any]) -> Scenario | str:
    """The stack of a cell, or why it is none. A path that is no field at all is the user's error, not the cell's."""
    try:
        made = with_values(scenario, cell)
    except ScenarioError as error:
        if "unknown" in str(error) or "no such place" in str(error):
            raise
        return str(error)
    return "; ".join(too_long(made)) or made


def _cell(values: Mapping[str, Any], stack: Scenario, runs: Sequence[dict[str, Any] | Refused]) -> Cell:
    """Means over the repeats; of several flows the worst."""
    if refused := next((run.reason for run in runs if isinstance(run, Refused)), ""):
        return Cell(values, {}, refused)
    whole = [run for run in runs if not isinstance(run, Refused)]
    flows = [list(run["flows"].values()) for run in whole]
    hosts = {name: _mean([run["hosts"][name]["utilisation"] for run in whole]) for name in whole[0]["hosts"]}
    busiest = max(hosts, key=lambda name: hosts[name])
    coefficients = coefficients_of(stack)
    pace = with_hosts(_paces(whole), stack, coefficients)
    usd = float(monthly_bill(stack, coefficients, pace=pace).monthly_usd)
    answers: dict[str, float | str] = {
        "p50_seconds": _mean([max(flow["quantiles"]["0.5"] for flow in of) for of in flows]),
        "p99_seconds": _mean([max(flow["quantiles"]["0.99"] for flow in of) for of in flows]),
        "batch_seconds": _mean([max(flow["batch_seconds"] for flow in of) for of in flows]),
        "most_lag_records": _mean([max(flow["most_lag_records"] for flow in of) for of in flows]),
        "busiest": busiest, "busiest_share": hosts[busiest], "monthly_usd": usd,
    }  # fmt: skip
    return Cell(values, answers)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
