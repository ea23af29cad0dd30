"""Faults as a person says them on a command line, put into a scenario."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from models.faults import Fault, exactly
from models.stack import Scenario
from planner.refusal import ScenarioError

AFTERMATH, LEAST_AFTERMATH = 2.0, 300.0  # how long is measured after a fault: of its length, and at least [s]


def parsed(words: Sequence[str]) -> list[Fault]:
    """The faults of some sentences. Raises ScenarioError, a line for each that is wrong."""
    found, wrong = [], []
    for word in words:
        try:
            found.append(Fault.model_validate(word))
        except ValidationError as error:
            for one in error.errors(include_url=False):
                reason = one["ctx"]["error"] if one["type"] == "value_error" else f"{one['loc'][-1]}: {one['msg']}"
                wrong.append(f"--fault '{word}': {reason}")
    if wrong:
        raise ScenarioError(wrong)
    return found


def with_faults(scenario: Scenario, words: Sequence[str], stretch: bool = True) -> Scenario:
    """The scenario with more faults. `stretch`: its measured window is lengthened to hold them and their aftermath."""
    faults = (*scenario.faults, *parsed(words))
    told = scenario.model_dump() | {"faults": [fault.model_dump() for fault in faults]}
    needed = max(
        (f.end if math.isfinite(f.end) else f.at) + max(LEAST_AFTERMATH, AFTERMATH * (f.duration or 0.0))
        for f in faults
    )
    measure = needed - scenario.run.warm_up
    if stretch and measure > scenario.run.measure:
        told["run"] = scenario.run.model_dump() | {"measure": measure}
        print(f"measured window lengthened to {exactly(measure)} to hold the faults", file=sys.stderr)
    try:
        return Scenario.model_validate(told)
    except ValidationError as error:
        lines = [str(one["ctx"]["error"]) if "ctx" in one else one["msg"] for one in error.errors(include_url=False)]
        raise ScenarioError(lines) from None
