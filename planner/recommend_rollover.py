"""Rollover of what is recommended: an index that nobody rolls over grows shards too large to move or recover.

Where a scenario states no rollover and its shards would pass the advised size, indices roll over daily, or more often
where a day is too much. A stated rollover is kept.
"""

from __future__ import annotations

from models.coefficients import CoefficientSet
from models.stack import Flow, Scenario
from models.units import DAY, HOUR, show
from planner.checks_shards import LARGE_SHARD, largest_shard

AGES = (DAY, 12 * HOUR, 6 * HOUR, HOUR)  # few, so that a little more load seldom changes how long documents lie


def rolled_over(scenario: Scenario, coefficients: CoefficientSet) -> tuple[Scenario, list[str]]:
    """The scenario with rollovers where shards ask for one, and a note for each."""
    flows, notes = [], []
    for flow in scenario.flows:
        age = _age(flow, coefficients)
        if age is not None:
            size = show(largest_shard(flow, coefficients)[0], "bytes")
            notes.append(
                f"{flow.name}: its index rolls over every {show(age, 's')}; a shard would come to hold {size} else"
            )
            flow = _with(flow, age)
        flows.append(flow)
    return (scenario.model_copy(update={"flows": tuple(flows)}), notes) if notes else (scenario, [])


def _age(flow: Flow, coefficients: CoefficientSet) -> float | None:
    """The oldest age at which shards stay within the advised size; None where none is needed or one is stated."""
    fits = largest_shard(flow, coefficients)[0] <= LARGE_SHARD
    if flow.query.sink.kind == "noop" or flow.index.rollover is not None or fits:
        return None
    ages = [age for age in AGES if age < flow.index.retention]
    small = [age for age in ages if largest_shard(_with(flow, age), coefficients)[0] <= LARGE_SHARD]
    return small[0] if small else (ages[-1] if ages else None)


def _with(flow: Flow, age: float) -> Flow:
    return flow.model_copy(update={"index": flow.index.model_copy(update={"rollover": age})})
