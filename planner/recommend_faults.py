"""The losses that targets name, as events: the moment itself, what it costs, and the way back to calm.

Each is a drill at the load given, ended once every flow has caught up: a broker and a data node go for good, a zone
for ten minutes. A query that nothing restarts is
its owner's choice and is told, not held against machines: here something starts it again.
"""

from __future__ import annotations

import math
from dataclasses import replace

from models.coefficients import CoefficientSet
from models.stack import Scenario
from models.units import show
from planner.drill import LEAST_FOLLOW_UP, SETTLING, Drill, drills
from planner.engine import simulate
from planner.fault_tell import FaultAnswers, fault_answers
from planner.forecast import LONGEST
from planner.lag import AFTER, FINISHED, SLACK
from planner.throughput import steady
from simulator.trace import Trace

DRILLS = {"broker": "broker-lost", "data-node": "data-node-gone", "zone": "zone-lost"}
LATER, LEAST_WATCH = 2.0, 120.0  # triggers, and seconds, after the cause is gone before calm is believed


def not_weathered(
    loaded: Scenario, c: CoefficientSet, loss: str, seed: int, catch_up: float | None, usual: dict[str, float]
) -> str:
    """Why a loss in the middle of a run at a constant load is not survived; '' if it is.

    `catch_up` is how long the targets give after the cause is gone [s]; without one, as long as the run looks.
    """
    drill = drill_of(loaded, loss)
    run, ended = as_run(loaded, drill, catch_up)
    period = _period(loaded)
    left = {f.name: f.workload.events_per_second * max(period, usual.get(f.name, 0.0)) * SLACK for f in loaded.flows}

    def calm(batches: list[list[tuple[float, ...]]]) -> bool:
        """Whether a batch of every flow ended after the cause with little left unread, or one too late for that."""
        since = ended + max(LATER * period, LEAST_WATCH)
        if any(rows and rows[-1][FINISHED] > since + (catch_up or math.inf) for rows in batches):
            return True
        return all(
            any(row[FINISHED] >= since and row[AFTER] <= left[flow.name] for row in reversed(rows[-20:]))
            for flow, rows in zip(loaded.flows, batches, strict=True)
        )

    trace = simulate(run, c, seed=seed, settle=False, enough=calm)
    return _why(trace, fault_answers(trace, run), catch_up)


def drill_of(scenario: Scenario, loss: str) -> Drill:
    """The drill of a loss; a broker of it does not come back."""
    drill = drills(scenario)[DRILLS[loss]]
    return replace(drill, duration=None) if loss == "broker" else drill


def as_run(loaded: Scenario, drill: Drill, catch_up: float | None) -> tuple[Scenario, float]:
    """The run of a loss in the middle of a batch, and when its cause is gone [s]."""
    period = _period(loaded)
    calm, lasts = SETTLING * period, drill.duration or 0.0
    at = calm + 0.37 * period
    restart = loaded.spark.restart.model_copy(update={"policy": "supervisor"})
    spark = loaded.spark.model_copy(update={"restart": restart})
    measure = min(LONGEST, at - calm + lasts + max(LEAST_FOLLOW_UP, 1.2 * (catch_up or 0.0)))
    kept = steady(loaded.model_copy(update={"spark": spark}), measure, calm)
    return kept.model_copy(update={"faults": (drill.fault(at),)}), at + lasts


def _period(scenario: Scenario) -> float:
    return max(*(max(flow.query.trigger, 0.0) for flow in scenario.flows), 1.0)


def _why(trace: Trace, answers: FaultAnswers, catch_up: float | None) -> str:
    if not answers.alive:
        return "; ".join(f"{n} {flow.outcome}" for n, flow in trace.flows.items() if flow.outcome != "running")
    if answers.lost_records > 0:
        causes = ", ".join(f"{records:,.0f} {cause}" for cause, records in answers.lost_by_cause.items() if records)
        return f"{answers.lost_records:,.0f} records lost ({causes})"
    gone = sum(flow.counts["lost_documents"] for flow in trace.flows.values())
    if gone > 0:
        return f"{gone:,.0f} documents had their only copy on what is gone"
    result = answers.results[0]
    after = result.caught_up - (result.ended if math.isfinite(result.ended) else result.fault.at)
    if catch_up is not None and after > catch_up:
        return f"not caught up {show(catch_up, 's')} after the cause was gone, as promised"
    if math.isinf(after):
        return f"the lag is not worked off within {show(trace.measured_until - result.fault.at, 's')} of the loss"
    return ""


def unwatched(scenario: Scenario, survive: tuple[str, ...]) -> list[str]:
    """What a reader must know where a loss that the targets name ends a query that nothing starts again."""
    if "zone" not in survive or scenario.spark.restart.policy != "none":
        return []
    return [
        "spark.restart.policy is none: a zone takes the driver with it, and somebody has to start the query again "
        "(supervisor); the loss was simulated with something that does"
    ]
