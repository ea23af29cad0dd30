"""The parts of a forecast: its runs, what each flow does in them, what it carries, how it catches up, what it rests on.

`planner.forecast` puts them together for the whole answer, `planner.quick` for the one that is given at once.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet, load_set
from models.spark import AVAILABLE_NOW
from models.stack import Flow, Scenario
from planner.answers import QUANTILES, Answer, Batches, Domain, FlowForecast, Lag, Latency, Load, Throughput
from planner.domain import ledger, measured_ranges
from planner.engine import simulate
from planner.lag import catch_up_seconds, most_lag, peak_rate
from planner.scenario import resolved
from planner.throughput import bottleneck, loads, sustainable, through
from planner.uncertainty import answer, model_sigma
from planner.version import engine_digest, engine_version
from simulator.trace import Histogram, Trace

CURVE_POINTS = 120

Progress = Callable[[str, int, int], None]
Sets = Sequence[CoefficientSet]


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


def runs(
    scenario: Scenario, central: CoefficientSet, sets: Sets, seed: int, level: str, said: Progress
) -> tuple[list[Trace], list[Trace]]:
    """Repeats at the central coefficients, and a run for each drawn set."""
    repeats = scenario.run.repeats
    made = []
    for k, coefficients in enumerate([*[central] * repeats, *sets]):
        said("simulating", k, repeats + len(sets))
        made.append(simulate(scenario, coefficients, seed=run_seed(seed, k), level=level))
    return made[:repeats], made[repeats:]


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


def flow_of(
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
        name, _latency(name, repeats, ask, _pauses_unknown(central, domain)), lag,
        Batches(seconds, occupancy, mean["records"], mean["tasks"], len(whole)), first.counts, first.outcome,
    )  # fmt: skip


def _pauses_unknown(central: CoefficientSet, domain: Domain) -> str:
    """Why p99 and p99.9 are lower bounds; "" where a pause process was fitted to a stack like this."""
    if any(central.values[f"{part}.pause_seconds"].grade != "measured" for part in ("spark", "search")):
        return "a lower bound: no pause process was fitted"
    if domain == "never measured":
        return "a lower bound: the pause process was fitted to another stack than this"
    return ""


def _latency(name: str, repeats: list[Trace], ask: Callable[..., Answer], pauses_unknown: str) -> Latency:
    end_to_end = {}
    for label, q in QUANTILES.items():
        note = pauses_unknown if label in ("p99", "p999") else ""

        def at(trace: Trace, q: float = q) -> float:
            return trace.flows[name].latency.quantile(q)

        end_to_end[label] = ask(
            at, f"latency {'p99' if label in ('p99', 'p999') else label}", lower_bound=bool(note), note=note
        )
    hops = {}
    for hop in repeats[0].flows[name].hops:

        def mean(trace: Trace, hop: str = hop) -> float:
            return float(trace.flows[name].hops.get(hop, float("nan")))

        hops[hop] = ask(mean, "latency")
    seconds, share = Histogram.pooled([t.flows[name].latency for t in repeats]).cdf(CURVE_POINTS)
    return Latency(end_to_end, hops, [float(s) for s in seconds], [float(s) for s in share])


def throughput_of(scenario: Scenario, central: CoefficientSet, sets: Sets, seed: int, domain: Domain) -> Throughput:
    """The highest rate that the stack carries, its spread told by how the drawn sets get through an overload."""
    offered = sum(flow.workload.events_per_second for flow in scenario.flows)
    highest = [peak_rate(scenario, f) / flow.workload.events_per_second for f, flow in enumerate(scenario.flows)]
    peak = max(highest) * offered

    def run(*args: Any, **options: Any) -> Trace:
        return simulate(*args, settle=False, **options)

    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        return once(offered, peak, domain)
    found = sustainable(scenario, central, run, seed)
    if found.at_limit is None:
        nothing = Load("nothing", "host", 0.0, "no rate was found that holds")
        none = Answer(0.0, "1/s", domain=domain, note=found.evidence)
        return Throughput(offered, peak, none, nothing, [], found.evidence)
    count = scenario.run.repeats
    got = [
        through(scenario, c, run, run_seed(seed, k), found.overload) for k, c in enumerate([*[central] * count, *sets])
    ]
    repeats, drawn = got[:count], got[count:]
    scale = found.factor * offered / float(np.exp(np.mean(np.log(repeats))))
    note = f"held at {found.low:.3g}, not at {found.high:.3g} times the mean rate"
    own = model_sigma(central, "throughput")
    value = answer([x * scale for x in repeats], [x * scale for x in drawn], "1/s", domain, discrepancy=own, note=note)
    busy = loads(found.at_limit, scenario, central, found.factor)
    return Throughput(offered, peak, value, bottleneck(busy), busy, found.evidence)


def caught_up(
    scenario: Scenario, central: CoefficientSet, sets: Sets, seed: int, repeats: list[Trace], drawn: list[Trace],
    domain: Domain,
) -> Answer:  # fmt: skip
    """Time to catch up after the targets' outage, once at the central coefficients and once for each drawn set.

    Each is held against its own usual batches: a stack has caught up when it is as it was before the outage.
    """
    value, note = catch_up_seconds(scenario, central, simulate, seed, _usual(scenario, repeats))
    ends = [
        catch_up_seconds(scenario, c, simulate, run_seed(seed, len(repeats) + k), _usual(scenario, [trace]))[0]
        for k, (c, trace) in enumerate(zip(sets, drawn, strict=True) if math.isfinite(value) else [])
    ]
    return answer([value], ends, "s", domain, discrepancy=model_sigma(central, "catch-up"), note=note)


def _usual(scenario: Scenario, traces: list[Trace]) -> dict[str, float]:
    """How long a batch of each flow usually lasts [s]."""
    return {flow.name: _usual_batch(traces, flow.name) for flow in scenario.flows}


def once(offered: float, peak: float, domain: Domain) -> Throughput:
    """A query that reads what is there and ends has no sustainable rate."""
    why = "available now: the query reads what is there and ends"
    return Throughput(
        offered, peak, Answer(math.nan, "1/s", domain=domain, note=why), Load("nothing", "host", 0.0, why), [], why
    )


def provenance(scenario: Scenario, central: CoefficientSet, read: set[str], domain: Domain) -> dict[str, Any]:
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


def digests(scenario: Scenario, central: CoefficientSet) -> dict[str, str]:
    text = json.dumps(resolved(scenario), sort_keys=True)
    return {
        "engine": engine_digest(),
        "engine_version": engine_version(),
        "coefficients": central.digest,
        "scenario": hashlib.sha256(text.encode()).hexdigest()[:16],
    }
