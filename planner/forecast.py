"""The forecast: a scenario in, answers out.

One `forecast` runs the scenario `run.repeats` times at the central coefficients (sampling), once for
each draw of the coefficients (forecast), a few times more for the sustainable rate and for the outage of
the targets; storage and memory follow by law. Same scenario, coefficients, seed and engine: same answers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from models.coefficients import CoefficientSet, load_set
from models.spark import AVAILABLE_NOW
from models.stack import Flow, Scenario
from models.units import show
from planner.answers import (
    QUANTILES,
    Answer,
    Batches,
    Domain,
    FlowForecast,
    Lag,
    Latency,
    Load,
    Promise,
    Throughput,
)
from planner.bill import MonthlyBill, monthly_bill
from planner.calibrate_anchor import anchoring
from planner.checks import check
from planner.domain import domain_of, ledger, measured_ranges, watched
from planner.engine import simulate
from planner.fault_tell import FaultAnswers, fault_answers
from planner.findings import Finding, sorted_findings
from planner.judged import Judged, judged
from planner.lag import catch_up_seconds, most_lag, peak_rate
from planner.level import chosen, too_busy
from planner.memory import Ledger, memory
from planner.refusal import ScenarioError
from planner.scenario import resolved
from planner.shown import Shown
from planner.storage import Fill, index_storage, topic_storage
from planner.throughput import bottleneck, loads, sustainable, through
from planner.uncertainty import answer, draws, model_sigma
from planner.verdict import promises, run_findings
from planner.version import engine_digest, engine_version
from simulator.trace import Histogram, Trace

SCHEMA_VERSION = 1
DRAWS = 8
LONGEST = 6 * 3600.0  # simulated event by event; months go through tables
SLOWEST = 3600.0  # trigger or refresh: thirty batches of more are days of simulation
CURVE_POINTS = 120

Level = Literal["auto", "fluid", "exact", "reference"]
Progress = Callable[[str, int, int], None]


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
    runs = scenario.run.repeats + draws_of_coefficients
    engine_level = chosen(scenario, central, runs) if level == "auto" else level
    seen, read = watched(central)
    storage = {"kafka": topic_storage(scenario), "elasticsearch": index_storage(scenario, seen)}
    repeats, drawn = _runs(scenario, central, seen, seed, engine_level, draws_of_coefficients, said)
    domain = domain_of(scenario, central)
    said("sustainable rate", 0, 1)
    usual = {flow.name: _usual_batch(repeats, flow.name) for flow in scenario.flows}
    throughput = _throughput(scenario, central, seed, draws_of_coefficients, domain)
    said("outage", 0, 1)
    caught = _caught_up(scenario, central, seed, draws_of_coefficients, usual, domain)
    flows = {f.name: _flow(scenario, f, repeats, drawn, domain, central, caught) for f in scenario.flows}
    sets = draws(central, scenario, draws_of_coefficients, seed) if drawn else []
    bill = monthly_bill(scenario, central, repeats, drawn, sets, seed)
    digests = _digests(scenario, central) | {"price_book": bill.bill.book_digest}
    out = Forecast(
        scenario, seed, engine_level, flows, throughput, memory(scenario, seen), storage, [], [],
        _provenance(scenario, central, read, domain), digests, len(drawn), repeats,
        loads(repeats[0], scenario, central, 1.0), bill, drawn=drawn,
    )  # fmt: skip
    seeds = [run_seed(seed, k) for k in range(scenario.run.repeats)]
    out = replace(out, judged=judged(scenario, central, seeds, engine_level, domain))
    out = replace(out, targets=promises(out))
    return replace(
        out,
        warnings=sorted_findings(
            [*run_findings(out), *too_busy(scenario, central, engine_level), *anchoring(central), *check(scenario)]
        ),
    )


def too_long(scenario: Scenario) -> list[str]:
    """Why a scenario would take a simulation of days, a line each: those are other models' questions."""
    run, found = scenario.run.measure + scenario.run.warm_up, []
    if run > LONGEST:
        found.append(f"run.measure = {show(scenario.run.measure, 's')}; expected at most {show(LONGEST, 's')} [s]")
    for k, flow in enumerate(scenario.flows):
        for name, value in (
            ("query.trigger", flow.query.trigger),
            ("index.refresh_interval", flow.index.refresh_interval),
        ):
            if value > SLOWEST:
                most = f"expected at most {show(SLOWEST, 's')} [s] in a forecast of streams"
                found.append(f"flows[{k}].{name} = {show(value, 's')}; {most}")
    return found


def coefficients_of(scenario: Scenario) -> CoefficientSet:
    """The scenario's set with its overrides, which are taken as exact."""
    base = load_set(scenario.coefficients)
    own = base.with_values(dict(scenario.overrides))
    values = dict(own.values)
    for name, value in scenario.overrides.items():
        values[name] = replace(
            values[name], value=value, low=value, high=value, source="set in the scenario", grade="guess"
        )
    return replace(own, values=values)


def _runs(
    scenario: Scenario,
    central: CoefficientSet,
    seen: CoefficientSet,
    seed: int,
    level: str,
    count: int,
    said: Progress,
) -> tuple[list[Trace], list[Trace]]:
    """Repeats at the central coefficients (`seen` notes which are read), and a run for each draw."""
    total = scenario.run.repeats + count
    repeats, drawn = [], []
    for k in range(scenario.run.repeats):
        said("simulating", k, total)
        repeats.append(simulate(scenario, seen, seed=run_seed(seed, k), level=level))
    for k, coefficients in enumerate(draws(central, scenario, count, seed) if count else []):
        said("simulating", scenario.run.repeats + k, total)
        other = run_seed(seed, scenario.run.repeats + k)
        drawn.append(simulate(scenario, coefficients, seed=other, level=level))
    return repeats, drawn


def run_seed(seed: int, number: int) -> int:
    """Seed of one run of a forecast: apart from all others, the first equal to the seed itself.

    >>> run_seed(7, 0), run_seed(7, 1) != run_seed(8, 0)
    (7, True)
    """
    return (seed + number * 1_000_003) % 2**31


def _usual_batch(traces: list[Trace], name: str) -> float:
    lasted = np.concatenate([_lasted(trace, name) for trace in traces])
    return float(np.median(lasted)) if len(lasted) else traces[0].measured_until


def _lasted(trace: Trace, name: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    batches = trace.flows[name].counted(trace.measured_from, trace.measured_until)
    return np.asarray(batches["finished"] - batches["started"], dtype=float)


def _flow(
    scenario: Scenario, flow: Flow, repeats: list[Trace], drawn: list[Trace], domain: Domain, central: CoefficientSet,
    caught: Answer,
) -> FlowForecast:  # fmt: skip
    name = flow.name

    def ask(what: Callable[[Trace], float], quantity: str, unit: str = "s", **told: Any) -> Answer:
        own = model_sigma(central, quantity)
        return answer([what(t) for t in repeats], [what(t) for t in drawn], unit, domain, discrepancy=own, **told)

    lag = Lag(
        ask(lambda t: most_lag(t, name)[0], "lag", "count"), ask(lambda t: most_lag(t, name)[1], "lag"),
        caught, scenario.targets.outage,
    )  # fmt: skip
    batches = [t.flows[name].counted(t.measured_from, t.measured_until) for t in repeats]
    whole = np.concatenate(batches)
    seconds = ask(lambda t: float(np.mean(_lasted(t, name))) if len(_lasted(t, name)) else float("nan"), "batch time")
    occupancy = seconds.value / flow.query.trigger if flow.query.trigger > 0 else None
    mean = {key: float(whole[key].mean()) if len(whole) else 0.0 for key in ("records", "tasks")}
    first = repeats[0].flows[name]
    return FlowForecast(
        name, _latency(name, repeats, ask, central), lag,
        Batches(seconds, occupancy, mean["records"], mean["tasks"], len(whole)), first.counts, first.outcome,
    )  # fmt: skip


def _latency(name: str, repeats: list[Trace], ask: Callable[..., Answer], central: CoefficientSet) -> Latency:
    fitted = all(central.values[f"{part}.pause_seconds"].grade == "measured" for part in ("spark", "search"))
    end_to_end = {}
    for label, q in QUANTILES.items():
        tail = label in ("p99", "p999") and not fitted
        note = "a lower bound: no pause process was fitted" if tail else ""

        def at(trace: Trace, q: float = q) -> float:
            return trace.flows[name].latency.quantile(q)

        end_to_end[label] = ask(
            at, f"latency {'p99' if label in ('p99', 'p999') else label}", lower_bound=tail, note=note
        )
    hops = {}
    for hop in repeats[0].flows[name].hops:

        def mean(trace: Trace, hop: str = hop) -> float:
            return float(trace.flows[name].hops.get(hop, float("nan")))

        hops[hop] = ask(mean, "latency")
    seconds, share = Histogram.pooled([t.flows[name].latency for t in repeats]).cdf(CURVE_POINTS)
    return Latency(end_to_end, hops, [float(s) for s in seconds], [float(s) for s in share])


def _throughput(scenario: Scenario, central: CoefficientSet, seed: int, count: int, domain: Domain) -> Throughput:
    offered = sum(flow.workload.events_per_second for flow in scenario.flows)
    highest = [peak_rate(scenario, f) / flow.workload.events_per_second for f, flow in enumerate(scenario.flows)]
    peak = max(highest) * offered

    def run(*args: Any, **options: Any) -> Trace:
        return simulate(*args, settle=False, **options)

    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        return _once(offered, peak, domain)
    found = sustainable(scenario, central, run, seed)
    if found.at_limit is None:
        nothing = Load("nothing", "host", 0.0, "no rate was found that holds")
        none = Answer(0.0, "1/s", domain=domain, note=found.evidence)
        return Throughput(offered, peak, none, nothing, [], found.evidence)
    repeats = [through(scenario, central, run, run_seed(seed, k), found.overload) for k in range(scenario.run.repeats)]
    drawn = [
        through(scenario, c, run, run_seed(seed, scenario.run.repeats + k), found.overload)
        for k, c in enumerate(draws(central, scenario, count, seed) if count else [])
    ]
    scale = found.factor * offered / float(np.exp(np.mean(np.log(repeats))))
    note = f"held at {found.low:.3g}, not at {found.high:.3g} times the mean rate"
    own = model_sigma(central, "throughput")
    value = answer([x * scale for x in repeats], [x * scale for x in drawn], "1/s", domain, discrepancy=own, note=note)
    busy = loads(found.at_limit, scenario, central, found.factor)
    return Throughput(offered, peak, value, bottleneck(busy), busy, found.evidence)


def _caught_up(
    scenario: Scenario, central: CoefficientSet, seed: int, count: int, usual: dict[str, float], domain: Domain
) -> Answer:  # fmt: skip
    """Time to catch up after the targets' outage, once at the central coefficients and once for each draw."""
    value, note = catch_up_seconds(scenario, central, simulate, seed, usual)
    drawn = [
        catch_up_seconds(scenario, c, simulate, run_seed(seed, scenario.run.repeats + k), usual)[0]
        for k, c in enumerate(draws(central, scenario, count, seed) if count and math.isfinite(value) else [])
    ]
    return answer([value], drawn, "s", domain, discrepancy=model_sigma(central, "catch-up"), note=note)


def _once(offered: float, peak: float, domain: Domain) -> Throughput:
    """A query that reads what is there and ends has no sustainable rate."""
    why = "available now: the query reads what is there and ends"
    return Throughput(
        offered, peak, Answer(math.nan, "1/s", domain=domain, note=why), Load("nothing", "host", 0.0, why), [], why
    )


def _provenance(scenario: Scenario, central: CoefficientSet, read: set[str], domain: Domain) -> dict[str, Any]:
    return {
        "coefficients": {
            "set": central.name,
            "as_of": central.as_of,
            "machine": central.machine,
            "per_core_speed": central.per_core_speed,
            "digest": central.digest,
            "anchored": central.anchored,
            "anchor": central.anchor or "not calibrated on a stack whose load was replayed",
        },
        "overrides": dict(scenario.overrides),
        "domain": domain,
        "ranges": measured_ranges(scenario, central),
        "ledger": ledger(central, read),
    }


def _digests(scenario: Scenario, central: CoefficientSet) -> dict[str, str]:
    text = json.dumps(resolved(scenario), sort_keys=True)
    return {
        "engine": engine_digest(),
        "engine_version": engine_version(),
        "coefficients": central.digest,
        "scenario": hashlib.sha256(text.encode()).hexdigest()[:16],
    }
