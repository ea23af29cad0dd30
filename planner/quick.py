"""The quick answer: what a moved control is answered with at once, before the whole forecast is made.

It is a Forecast like any other, with less in it: one run at the central coefficients instead of `run.repeats` and the
draws, so no interval; the sustainable rate from the analytic screen instead of a search by simulation; no catch-up,
which needs an hour of simulated backlog. What it leaves out says so in its note, and is not judged.
"""

from __future__ import annotations

import math
from dataclasses import replace

from models.coefficients import CoefficientSet
from models.spark import AVAILABLE_NOW
from models.stack import Scenario
from planner.answers import Answer, Domain, Load, Throughput
from planner.bill import monthly_bill
from planner.checks import check
from planner.domain import domain_of, watched
from planner.findings import sorted_findings
from planner.forecast import Forecast, too_long
from planner.forecast_parts import coefficients_of, digests, flow_of, once, provenance, runs
from planner.lag import peak_rate
from planner.memory import memory
from planner.refusal import ScenarioError
from planner.storage import index_storage, topic_storage
from planner.throughput import loads
from planner.verdict import promises, run_findings
from simulator.screen import numbers_of, screen

NOT_YET = "with the whole forecast"
SCREENED = "screened, not simulated: off by 8 % at the median of 30 cases, by 43 % at most"  # simulator/screen.py


def quick(scenario: Scenario, *, seed: int = 1) -> Forecast:
    """The quick answer. Raises as `forecast` does."""
    if refused := too_long(scenario):
        raise ScenarioError(refused)
    central = coefficients_of(scenario)
    seen, read = watched(central)
    storage = {"kafka": topic_storage(scenario), "elasticsearch": index_storage(scenario, seen)}
    single = scenario.model_copy(update={"run": scenario.run.model_copy(update={"repeats": 1})})
    traces, _ = runs(single, seen, [], seed, "fluid", lambda *_: None)
    domain = domain_of(scenario, central)
    later = Answer(math.nan, "s", domain=domain, note=NOT_YET)
    flows = {f.name: flow_of(scenario, f, traces, [], domain, central, later) for f in scenario.flows}
    bill = monthly_bill(scenario, central, traces, seed=seed)
    out = Forecast(
        scenario, seed, "fluid", flows, _screened(scenario, central, domain), memory(scenario, seen), storage, [], [],
        provenance(scenario, central, read, domain),
        digests(scenario, central) | {"price_book": bill.bill.book_digest}, 0, traces,
        loads(traces[0], scenario, central, 1.0), bill,
    )  # fmt: skip
    out = replace(out, targets=promises(replace(out, scenario=_judged(scenario))))
    return replace(out, warnings=sorted_findings([*run_findings(out), *check(scenario)]))


def _judged(scenario: Scenario) -> Scenario:
    """The scenario without the target that the quick answer cannot judge."""
    return scenario.model_copy(update={"targets": scenario.targets.model_copy(update={"catch_up": None})})


def _screened(scenario: Scenario, central: CoefficientSet, domain: Domain) -> Throughput:
    offered = sum(flow.workload.events_per_second for flow in scenario.flows)
    peak = offered * max(
        peak_rate(scenario, f) / flow.workload.events_per_second for f, flow in enumerate(scenario.flows)
    )
    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        return once(offered, peak, domain)
    try:
        found = screen(numbers_of(scenario, central))
    except ValueError as error:
        raise ScenarioError(f"{scenario.name}: {error}") from None
    rate = Answer(float(found.events_per_second[0]), "1/s", domain=domain, note=SCREENED)
    name = str(found.binding[0])
    busy = [Load(k, "screened", float(v[0]), f"{float(v[0]):.0%} at the mean rate") for k, v in found.loads.items()]
    binding = next((load for load in busy if load.name == name), Load(name, "screened", 1.0, SCREENED))
    return Throughput(offered, peak, rate, binding, sorted(busy, key=lambda b: -b.utilisation), SCREENED)
