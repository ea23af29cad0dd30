"""The forecast: a scenario in, answers out.

One `forecast` runs the scenario `run.repeats` times at the central coefficients (sampling), once for
each draw of the coefficients (forecast), a few times more for the sustainable rate and for the outage of
the targets; storage and memory follow by law. Same scenario, coefficients, seed and engine: same answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from models.stack import Scenario
from models.units import show
from planner.answers import FlowForecast, Lag, Latency, Load, Promise, Throughput
from planner.bill import MonthlyBill, monthly_bill
from planner.calibrate_anchor import anchoring
from planner.checks import check
from planner.domain import domain_of, watched
from planner.fault_tell import FaultAnswers, fault_answers
from planner.findings import Finding, sorted_findings
from planner.forecast_parts import Progress as Progress
from planner.forecast_parts import caught_up, digests, flow_of, provenance, runs, throughput_of
from planner.forecast_parts import coefficients_of as coefficients_of
from planner.forecast_parts import run_seed as run_seed
from planner.judged import Judged, judged
from planner.level import chosen, too_busy
from planner.memory import Ledger, memory
from planner.refusal import ScenarioError
from planner.shown import Shown
from planner.storage import Fill, index_storage, topic_storage
from planner.throughput import loads
from planner.uncertainty import draws
from planner.verdict import promises, run_findings
from simulator.trace import Trace

SCHEMA_VERSION = 1
DRAWS = 8
LONGEST = 6 * 3600.0  # simulated event by event; months go through tables
SLOWEST = 3600.0  # trigger or refresh: thirty batches of more are days of simulation

Level = Literal["auto", "fluid", "exact", "reference"]


@dataclass(frozen=True)
class Forecast(Shown):
    """What a scenario's stack will do, and what that is known from."""

    scenario: Scenario
    seed: int
    level: str
    flows: dict[str, FlowForecast]
    throughput: Throughput
    memory: list[Ledger]
    storage: dict[str, Fill]
    targets: list[Promise]
    warnings: list[Finding]
    provenance: dict[str, Any]
    digests: dict[str, str]
    draws: int
    traces: list[Trace] = field(repr=False, compare=False)
    loads: list[Load] = field(repr=False)
    bill: MonthlyBill = field(repr=False)
    judged: Judged = field(default_factory=dict, repr=False)
    drawn: list[Trace] = field(default_factory=list, repr=False, compare=False)

    @property
    def worst(self) -> FlowForecast:
        """The flow with the longest p99."""
        return max(self.flows.values(), key=lambda flow: (flow.latency.p99_seconds, flow.name))

    @property
    def latency(self) -> Latency:
        """Latency of the worst flow."""
        return self.worst.latency

    @property
    def lag(self) -> Lag:
        """Lag of the worst flow."""
        return self.worst.lag

    @property
    def holds(self) -> bool:
        """Whether every target holds."""
        return all(target.holds for target in self.targets)

    @property
    def lost_records(self) -> float:
        return sum(flow.counts["lost"] for flow in self.flows.values())

    @property
    def faults(self) -> FaultAnswers | None:
        """What the scenario's faults did in the first run; None where it has none."""
        return fault_answers(self.traces[0], self.scenario) if self.scenario.faults else None

    @property
    def duplicated_documents(self) -> float:
        return sum(flow.counts["duplicated_documents"] for flow in self.flows.values())

    def as_dict(self) -> dict[str, Any]:
        """Plain data, as `floodmark forecast --json` prints it; `floodmark schema forecast` is its schema."""
        from planner.tell import as_dict

        return as_dict(self)

    def as_text(self) -> str:
        """As on a terminal, without colours."""
        from planner.forecast_text import as_text

        return as_text(self)


def forecast(
    scenario: Scenario,
    *,
    seed: int = 1,
    level: Level = "auto",
    draws_of_coefficients: int = DRAWS,
    progress: Progress | None = None,
) -> Forecast:
    """What the scenario's stack will do. `level` auto is the fluid front where it is true (planner/level.py); `exact`
    simulates every producer batch.

    Raises ScenarioError for what cannot be simulated, CoefficientError for coefficients that cannot be used.
    """
    if refused := too_long(scenario):
        raise ScenarioError(refused)
    said = progress or (lambda text, done, of: None)
    central = coefficients_of(scenario)
    sets = draws(central, scenario, draws_of_coefficients, seed) if draws_of_coefficients else []
    engine_level = chosen(scenario, central, scenario.run.repeats + len(sets)) if level == "auto" else level
    seen, read = watched(central)  # notes which coefficients are read
    storage = {"kafka": topic_storage(scenario), "elasticsearch": index_storage(scenario, seen)}
    repeats, drawn = runs(scenario, seen, sets, seed, engine_level, said)
    domain = domain_of(scenario, central)
    said("sustainable rate", 0, 1)
    throughput = throughput_of(scenario, central, sets, seed, domain)
    said("outage", 0, 1)
    caught = caught_up(scenario, central, sets, seed, repeats, drawn, domain)
    flows = {f.name: flow_of(scenario, f, repeats, drawn, domain, central, caught) for f in scenario.flows}
    bill = monthly_bill(scenario, central, repeats, drawn, sets, seed)
    out = Forecast(
        scenario, seed, engine_level, flows, throughput, memory(scenario, seen), storage, [], [],
        provenance(scenario, central, read, domain),
        digests(scenario, central) | {"price_book": bill.bill.book_digest}, len(drawn), repeats,
        loads(repeats[0], scenario, central, 1.0), bill, drawn=drawn,
    )  # fmt: skip
    seeds = [run_seed(seed, k) for k in range(scenario.run.repeats)]
    out = replace(out, judged=judged(scenario, central, seeds, engine_level, domain))
    out = replace(out, targets=promises(out))
    found = [*run_findings(out), *too_busy(scenario, central, engine_level), *anchoring(central), *check(scenario)]
    return replace(out, warnings=sorted_findings(found))


def too_long(scenario: Scenario) -> list[str]:
    """Why a scenario would take a simulation of days, a line each: those are other models' questions."""
    run, found = scenario.run.measure + scenario.run.warm_up, []
    if run > LONGEST:
        most = f"expected at most {show(LONGEST, 's')} [s] with run.warm_up (`floodmark months` looks further)"
        found.append(f"run.measure = {show(scenario.run.measure, 's')}; {most}")
    for k, flow in enumerate(scenario.flows):
        for name, value in (
            ("query.trigger", flow.query.trigger),
            ("index.refresh_interval", flow.index.refresh_interval),
        ):
            if value > SLOWEST:
                most = f"expected at most {show(SLOWEST, 's')} [s] in a forecast of streams"
                found.append(f"flows[{k}].{name} = {show(value, 's')}; {most}")
    return found
