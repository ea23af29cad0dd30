"""Which front a forecast simulates when nobody says: the fluid one, unless the brokers are busy enough to queue.

The fluid front is a delay, true while brokers are not near saturation; the exact one simulates every producer
batch, at a cost that grows with them.
"""

from __future__ import annotations

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.findings import Finding
from planner.lag import peak_rate
from planner.limits import broker_cpu_load
from simulator.hosts import place
from simulator.kafka import front_of

BUSY = 0.7  # of a broker's cores: above, waiting for them is no longer small beside the work (1 / (1 - u) > 3)
MOST_BATCHES = 3e6  # producer batches of one forecast: some ten seconds


def chosen(scenario: Scenario, coefficients: CoefficientSet, runs: int) -> str:
    """`exact` where a broker is busy at the peak and its batches can be simulated in all runs, else `fluid`."""
    affordable = producer_batches(scenario, coefficients) * runs <= MOST_BATCHES
    return "exact" if affordable and _busiest(scenario, coefficients) >= BUSY else "fluid"


def producer_batches(scenario: Scenario, coefficients: CoefficientSet) -> float:
    """Producer batches of one run at the mean rate [count]."""
    placement, seconds = place(scenario, coefficients), scenario.run.warm_up + scenario.run.measure
    rates = [(flow, flow.workload.events_per_second) for flow in scenario.flows]
    fronts = [(rate, front_of(flow, scenario.kafka, rate, placement, coefficients)) for flow, rate in rates]
    return seconds * sum(rate / front.batch_records for rate, front in fronts)


def too_busy(scenario: Scenario, coefficients: CoefficientSet, level: str) -> list[Finding]:
    """A warning where the fluid front was used for brokers that it is not true for."""
    busy = _busiest(scenario, coefficients)
    if level != "fluid" or busy < BUSY:
        return []
    return [
        Finding(
            "brokers-busy", "warning", "kafka.machine", "the brokers queue, which this forecast does not simulate",
            f"{busy:.0%} of the busiest broker's cores at the peak; produce latency is too low here",
            "--level exact, or more or larger brokers", "docs/model.md: levels",
        )
    ]  # fmt: skip


def _busiest(scenario: Scenario, coefficients: CoefficientSet) -> float:
    peak = max(peak_rate(scenario, f) / flow.workload.events_per_second for f, flow in enumerate(scenario.flows))
    return broker_cpu_load(scenario, coefficients, peak).utilisation
