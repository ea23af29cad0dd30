"""Drills: the bad days of a stack, one after another, at its peak rate.

Each drill is a fault or two on the scenario's stack at the highest rate of its window, held constant. It
*holds* if the query runs at the end, no record is lost, and everything is whole and caught up again in the
time that the targets give (or that the drill simulates). What saved or killed the pipeline is said from
what happened, not from the configuration. Run under several dice it holds if it does under all of them; what is told
then is the worst of those runs, and beside its times where another run would lie.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from models.coefficients import CoefficientSet
from models.faults import Fault
from models.kafka import page_cache_seconds
from models.spark import AVAILABLE_NOW
from models.stack import Scenario
from models.units import HOUR, MINUTE, show
from planner.answers import Answer, finite
from planner.domain import domain_of
from planner.engine import simulate
from planner.fault_tell import FaultAnswers, cost, fault_answers
from planner.forecast import LONGEST, coefficients_of, run_seed, too_long
from planner.lag import peak_rate
from planner.refusal import ScenarioError
from planner.storage import stored_event_bytes
from planner.throughput import steady
from planner.uncertainty import answer
from simulator.hosts import place
from simulator.trace import Trace

Progress = Callable[[str, int, int], None]
QUICK, TIER_OUTAGE = 5 * MINUTE, 2 * HOUR
SETTLING = 6  # triggers before the fault
FOLLOW_UP = 1.5  # of the fault's length, simulated after it, and at least this long:
LEAST_FOLLOW_UP = 15 * MINUTE


@dataclass(frozen=True)
class Drill:
    """A bad day: its name, what it is, and how long its cause lasts."""

    name: str
    meaning: str
    kind: str
    target: str = ""
    duration: float | None = QUICK
    factor: float | None = None
    silent: bool = False
    delay: float | None = None

    def fault(self, at: float) -> Fault:
        told: dict[str, Any] = {"kind": self.kind, "target": self.target, "duration": self.duration, "at": at}
        return Fault.model_validate(told | {"factor": self.factor, "silent": self.silent, "delay": self.delay})


def drills(scenario: Scenario) -> dict[str, Drill]:
    """The bad days that this stack can have, by name."""
    rolling = max(MINUTE, min(10 * MINUTE, HOUR / max(scenario.kafka.brokers, scenario.elasticsearch.data_nodes)))
    found = [
        Drill("broker-lost", "a broker dies for five minutes", "broker-lost"),
        Drill("zone-lost", "zone 0 is gone for ten minutes, with what lies in it", "zone-lost", duration=10 * MINUTE),
        Drill("executor-lost", "an executor dies, and is replaced", "executor-lost", duration=None),
        Drill("executor-silent", "an executor's host vanishes; a timeout notices", "executor-lost", duration=None,
              silent=True),
        Drill("spot-interrupted", "an executor's spot instance is taken back", "spot-interrupted", duration=None),
        Drill("driver-lost", "the driver dies", "driver-lost", duration=None),
        Drill("data-node-lost", "a data node dies for five minutes", "data-node-lost"),
        Drill("data-node-gone", "a data node dies for good; its copies are rebuilt", "data-node-lost", duration=None),
        Drill("slow-node", "a data node runs at a quarter of its speed for ten minutes", "data-node-slow",
              duration=10 * MINUTE),
        Drill("slow-broker", "a broker runs at a quarter of its speed for ten minutes", "broker-slow",
              duration=10 * MINUTE),
        Drill("patch-kafka", "every broker is patched in turn", "rolling-restart", "kafka", rolling),
        Drill("patch-elasticsearch", "every data node is patched in turn", "rolling-restart", "elasticsearch", rolling),
        Drill("patch-spark", "every executor is restarted in turn", "rolling-restart", "spark", MINUTE),
        Drill("index-read-only", "flood stage: the index refuses writes for ten minutes (429)", "index-blocked",
              "read_only_allow_delete", 10 * MINUTE),
        Drill("index-write-block", "somebody sets a write block for ten minutes (403)", "index-blocked", "write",
              10 * MINUTE),
        Drill("burst", "three times the rate for ten minutes", "burst", duration=10 * MINUTE, factor=3.0),
        Drill("outage-kafka", "all brokers are down for two hours", "outage", "kafka", TIER_OUTAGE),
        Drill("outage-spark", "the query is stopped for two hours", "outage", "spark", TIER_OUTAGE),
        Drill("outage-elasticsearch", "all data nodes are down for two hours", "outage", "elasticsearch", TIER_OUTAGE),
        Drill("backlog-beyond-memory", "the query is stopped until its backlog has left the page cache", "outage",
              "spark", beyond_memory(scenario)),
        Drill("broker-disk-full", "a broker's disk is full for ten minutes", "disk-full", "kafka", 10 * MINUTE),
        Drill("index-disk-full", "a data node's disk passes flood stage for half an hour", "disk-full",
              "elasticsearch", 30 * MINUTE),
        Drill("credits-exhausted", "the data nodes have no burst credits for half an hour", "credits-exhausted",
              "elasticsearch", 30 * MINUTE),
        Drill("checkpoint-slow", "checkpoint writes take ten times as long for ten minutes", "checkpoint-slow",
              duration=10 * MINUTE, factor=10.0),
        Drill("checkpoint-failing", "checkpoint writes fail for five minutes", "checkpoint-failing"),
        Drill("zone-delay", "trips between zones take 50 ms more for ten minutes", "zone-delay",
              duration=10 * MINUTE, delay=0.05),
    ]  # fmt: skip
    return {drill.name: drill for drill in found}


def beyond_memory(scenario: Scenario) -> float:
    """Half as long again as it takes until a stopped query's backlog has left the brokers' page cache [s]."""
    placement = place(scenario, coefficients_of(scenario))
    memory = min(placement.sites[s].memory_bytes for s in placement.brokers)
    into = sum(
        peak_rate(scenario, f) * stored_event_bytes(flow) * flow.topic.copies for f, flow in enumerate(scenario.flows)
    )
    seconds = page_cache_seconds(memory, scenario.kafka.heap, into / scenario.kafka.brokers)
    return min(max(1.5 * seconds, 10 * MINUTE), LONGEST / (1 + FOLLOW_UP) - HOUR / 6)


@dataclass(frozen=True)
class DrillResult:
    """How one drill went: its worst run of `runs`, of which `held` held. `spread` says where another run would lie."""

    drill: Drill
    holds: bool
    why: str
    worst_seconds: float
    p99_seconds: float
    green_seconds: float
    catch_up_seconds: float
    answers: FaultAnswers
    trace: Trace | None = field(default=None, repr=False, compare=False)  # of the run, for charts
    runs: int = 1
    held: int = 0
    spread: dict[str, Answer] = field(default_factory=dict)

    @property
    def lost_records(self) -> float:
        return self.answers.lost_records

    @property
    def duplicated_documents(self) -> float:
        return self.answers.duplicated_documents

    def as_dict(self) -> dict[str, Any]:
        return {
            "drill": self.drill.name,
            "what": self.drill.meaning,
            "holds": self.holds,
            "why": self.why,
            "worst_latency_seconds": finite(self.worst_seconds),
            "p99_latency_seconds": finite(self.p99_seconds),
            "lost_records": self.lost_records,
            "duplicated_documents": self.duplicated_documents,
            "green_after_seconds": finite(self.green_seconds),
            "caught_up_after_cause_seconds": finite(self.catch_up_seconds),
            "runs": self.runs,
            "runs_held": self.held,
            "over_runs": {name: told.as_dict() for name, told in self.spread.items()},
            "faults": self.answers.as_dict(),
        }


def run_drills(
    scenario: Scenario, names: Sequence[str] = (), seed: int = 1, progress: Progress | None = None, runs: int = 1
) -> list[DrillResult]:
    """The named drills, all of them if none is named, each under so many dice.

    Raises ScenarioError for a name that there is not.
    """
    known = drills(scenario)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(known)}"
            raise ScenarioError(f"no drill '{name}'; {hint}")
    if refused := too_long(scenario):
        raise ScenarioError(refused)
    if all(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        raise ScenarioError("available-now queries read what is there and end: they have no bad day to survive")
    said, chosen = progress or (lambda text, done, of: None), [known[name] for name in names or known]
    c = coefficients_of(scenario)
    out = []
    for k, drill in enumerate(chosen):
        said(drill.name, k, len(chosen))
        each = [run_drill(scenario, c, drill, run_seed(seed, n)) for n in range(runs)]
        out.append(together(scenario, c, each))
    return out


def together(scenario: Scenario, c: CoefficientSet, each: Sequence[DrillResult]) -> DrillResult:
    """One drill's runs as one result: the worst of them, how many held, and the spread of its times."""
    held = sum(result.holds for result in each)
    worst = max(each, key=lambda r: (not r.holds, r.lost_records, r.green_seconds, r.worst_seconds))
    why = worst.why if held in (0, len(each)) else f"in {len(each) - held} of {len(each)} runs: {worst.why}"
    domain = domain_of(scenario, c)
    spread = {
        name: answer([getattr(r, name) for r in each], [], "s", domain)
        for name in ("worst_seconds", "p99_seconds", "green_seconds", "catch_up_seconds")
    }
    return replace(worst, why=why, runs=len(each), held=held, spread=spread)


def run_drill(scenario: Scenario, c: CoefficientSet, drill: Drill, seed: int) -> DrillResult:
    """One drill: simulated from calm to calm at the peak rate."""
    period = max(*(max(flow.query.trigger, 0.0) for flow in scenario.flows), 1.0)
    calm = SETTLING * period
    at = calm + 0.37 * period  # in the middle of a batch
    lasts = (drill.duration or 0.0) * _turns(scenario, drill)
    after = max(LEAST_FOLLOW_UP, FOLLOW_UP * lasts)
    fault = drill.fault(at)
    peak = max(peak_rate(scenario, f) / flow.workload.events_per_second for f, flow in enumerate(scenario.flows))
    measure = min(LONGEST, at - calm + lasts + after)
    run = steady(scenario, measure, calm).model_copy(update={"faults": (fault,)})
    trace = simulate(run, c, seed=seed, rate_factor=peak)
    return _judged(scenario, run, drill, trace, peak)


def _turns(scenario: Scenario, drill: Drill) -> float:
    """How often the duration follows itself: a rolling restart takes its nodes one after another."""
    if drill.kind != "rolling-restart":
        return 1.0
    sizes = {
        "kafka": scenario.kafka.brokers,
        "spark": scenario.spark.executors,
        "elasticsearch": scenario.elasticsearch.data_nodes,
    }
    return 1.3 * sizes[drill.target]


def _judged(scenario: Scenario, run: Scenario, drill: Drill, trace: Trace, peak: float) -> DrillResult:
    answers = fault_answers(trace, run, peak)
    result = answers.results[0]
    ended = result.ended if math.isfinite(result.ended) else result.fault.at
    catch_up = max(0.0, result.caught_up - ended)
    worst = max(flow.latency.quantile(1.0) for flow in trace.flows.values())
    p99 = max(flow.latency.quantile(0.99) for flow in trace.flows.values())
    broken = list(_broken(scenario, trace, answers, catch_up))
    why = "; ".join(broken) if broken else "; ".join(_saved(trace, answers)) or "nothing came near a limit"
    return DrillResult(drill, not broken, why, worst, p99, result.green_seconds, catch_up, answers, trace,
                       held=int(not broken))  # fmt: skip


def _broken(scenario: Scenario, trace: Trace, answers: FaultAnswers, catch_up: float) -> Iterator[str]:
    """Why a drill does not hold."""
    for flow in trace.flows.values():
        if flow.outcome != "running":
            policy = scenario.spark.restart.policy
            hint = "; nothing starts it again (spark.restart.policy: none)" if policy == "none" else ""
            yield f"{flow.name} {flow.outcome}{hint}"
    if answers.lost_records > 0:
        yield cost(answers).split(";")[0]
    gone = sum(flow.counts["lost_documents"] for flow in trace.flows.values())
    if gone > 0:
        yield f"{gone:,.0f} documents had their only copy on the node that is gone (index.copies)"
    if not answers.alive:
        return
    if math.isinf(catch_up):
        yield f"the lag is not worked off in {show(trace.measured_until, 's')} simulated"
    elif scenario.targets.catch_up is not None and catch_up > scenario.targets.catch_up:
        promised = show(scenario.targets.catch_up, "s")
        yield f"caught up {show(catch_up, 's')} after the cause was gone; promised {promised}"
    if math.isinf(answers.results[0].whole):
        yield f"not whole again in {show(trace.measured_until, 's')} simulated"


def _saved(trace: Trace, answers: FaultAnswers) -> Iterator[str]:
    """What carried the pipeline over."""
    for happened in answers.results[0].timeline:
        time, what = happened
        if any(word in what for word in ("that move from data node", "in-sync sets", "run again elsewhere", "elected")):
            after = time - answers.results[0].fault.at
            yield f"{show(after, 's')} on, {what}" if after > 0 else f"at once {what}"
    if answers.restarts:
        times = "once" if answers.restarts == 1 else f"{answers.restarts} times"
        yield f"restarted {times}, {show(answers.results[0].downtime_seconds, 's')} down"
    refused = sum(flow.counts["rejected_items"] for flow in trace.flows.values())
    if refused:
        yield f"{refused:,.0f} items were refused and sent again{'' if answers.restarts else ' before retries ran out'}"
    if answers.duplicated_documents:
        yield f"{answers.duplicated_documents:,.0f} documents stand in the index twice (sink.ids: explicit prevents it)"
    most = max(float(flow.batches["lag_records"].max()) if len(flow.batches) else 0.0 for flow in trace.flows.values())
    yield f"at most {show(most, 'count')} records waited in the topic"
