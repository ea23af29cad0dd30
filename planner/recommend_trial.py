"""Trials: what a stack does in the simulator, asked once and remembered.

A trial is at the peak of every flow at once. Capacity is tested at a factor of it (does the lag grow?), latency over
several seeds, and the time to catch up after the outage. Of each loss that the targets name two things are asked: what
is left must carry the peak, and the loss as an event in a run must cost no record and be caught up with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.candidates import Excuse
from planner.candidates_wants import Wants
from planner.checks import check
from planner.engine import simulate
from planner.findings import Finding
from planner.forecast import run_seed
from planner.lag import catch_up_seconds
from planner.recommend_faults import not_weathered
from planner.recommend_stack import Stack, at_rates, built
from planner.refusal import ScenarioError
from planner.student import quantile
from planner.throughput import tested
from planner.uncertainty import Z
from simulator.trace import Trace

REPEATS = 4
OWN_CHOICES = {"topic-one-copy", "index-one-copy"}
CLEARLY = 1.10  # a first run so far over a target is not repeated
SHARE = 0.95  # of runs of the same length that keep the target: Student's t on logarithms, as in a forecast


@dataclass
class Seen:
    """What is known of one stack at one load."""

    held: float = 0.0
    failed: float = math.inf
    evidence: str = ""
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    batch: dict[str, float] = field(default_factory=dict)
    busiest: dict[str, float] = field(default_factory=dict)
    catch_up: float | None = None
    longest: float = math.nan
    cores: float = math.nan
    degraded: dict[str, bool] = field(default_factory=dict)
    events: dict[tuple[str, float | None], str] = field(default_factory=dict)
    static: tuple[Finding, ...] | None = None


@dataclass(frozen=True)
class Outcome:
    """Whether a stack keeps all wants, and what each came to."""

    holds: bool
    excuse: Excuse | None
    p99: float
    p50: float
    catch_up: float
    capacity: float
    busiest: dict[str, float]
    cores: float = math.nan  # that all machines take at the peak
    longest_batch: float = math.nan  # after the outage [s]

    def as_dict(self) -> dict[str, Any]:
        def plain(x: float) -> float | None:
            return x if math.isfinite(x) else None

        return {"holds": self.holds, "excuse": self.excuse and self.excuse.as_dict(), "p99_seconds": plain(self.p99),
                "p50_seconds": plain(self.p50), "catch_up_seconds": plain(self.catch_up),
                "capacity_held": self.capacity, "busiest": self.busiest, "cores": plain(self.cores),
                "longest_batch_seconds": plain(self.longest_batch)}  # fmt: skip


class Trials:
    """Simulated trials of stacks of one scenario at one load; each question is simulated once."""

    def __init__(
        self, scenario: Scenario, coefficients: CoefficientSet, rates: Sequence[float], seed: int,
        said: Callable[[str], None] = lambda text: None, tail: float = 0.0, repeats: int = REPEATS,
    ) -> None:  # fmt: skip
        """`tail` is the model's own error in a quantile of latency [log sd], where that is to be survived too;
        `repeats` how many runs tell a quantile."""
        self.scenario, self.c, self.rates, self.seed, self.said = scenario, coefficients, tuple(rates), seed, said
        self.tail, self.repeats = tail, repeats
        self.seen: dict[Any, Seen] = {}
        # what the scenario itself has and the search does not touch (one copy, acks) is its owner's choice
        self.accepted = {f.code for f in check(scenario) if f.severity == "critical"} & OWN_CHOICES
        self.runs = 0
        self.stacks = 0

    def judge(self, stack: Stack, wants: Wants, region: str) -> Outcome:
        """Hold a stack against the wants."""
        return self.hold(stack.key, stack.told(), built(self.scenario, stack, region), wants)

    def hold(self, key: Any, name: str, made: Scenario, wants: Wants) -> Outcome:
        """Hold a scenario against the wants, cheapest question first; the first that breaks ends it.

        `key` is what a simulation of it hangs on: what is asked of the same key again is not simulated again.
        """
        loaded = at_rates(made, self.rates)
        if key not in self.seen:
            self.stacks += 1
            self.said(name)
        seen = self.seen.setdefault(key, Seen())

        def no(constraint: str, needed: float, had: float, unit: str, change: str) -> Outcome:
            return self._outcome(seen, Excuse("stack", name, constraint, needed, had, unit, change))

        try:
            self._latency(loaded, seen, 1)
            if (late := self._late(seen, wants, CLEARLY)) is not None:
                return no(*late)
            if not self._carries(loaded, seen, wants.headroom):
                return no("capacity", wants.headroom, seen.held, "1", f"more of what is full ({seen.evidence})")
            if (broken := self._static(made, seen, wants)) is not None:  # half a second, where a run takes a tenth
                return no(*broken)
            self._latency(loaded, seen, self.repeats)
            if (late := self._late(seen, wants, 1.0)) is not None:
                return no(*late)
            for part, load in seen.busiest.items():
                if load > 1 - wants.cpu_headroom:
                    return no(f"{part} CPU", load, 1 - wants.cpu_headroom, "1", "more or larger nodes")
            for loss in wants.survive:
                if not self._carries_without(loaded, seen, loss):
                    return no(f"capacity without a {loss}", 1.0, 0.0, "1", "more nodes: the rest carry the load")
            if wants.catch_up is not None and self._catch_up(loaded, seen, wants) > wants.catch_up:
                return no("catch-up", seen.catch_up or math.inf, wants.catch_up, "s", "more of what is full")
            for loss in wants.survive:
                if why := self._event(loaded, seen, loss, wants):
                    return no(f"the loss of a {loss}", 1.0, 0.0, "", why)
        except ScenarioError as error:
            return no("can be simulated", 1, 0, "", str(error))
        return self._outcome(seen, None)

    def with_outage(self, key: Any, made: Scenario, wants: Wants, outcome: Outcome) -> Outcome:
        """The outcome of what holds, with what follows an outage, promised or not."""
        seen = self.seen[key]
        catch_up = self._catch_up(at_rates(made, self.rates), seen, wants)
        return replace(outcome, catch_up=catch_up, longest_batch=seen.longest)

    def _outcome(self, seen: Seen, excuse: Excuse | None) -> Outcome:
        catch_up = math.nan if seen.catch_up is None else seen.catch_up
        p99, p50 = upper(seen.p99, self.tail), upper(seen.p50, self.tail)
        return Outcome(excuse is None, excuse, p99, p50, catch_up, seen.held, dict(seen.busiest), seen.cores,
                       seen.longest)  # fmt: skip

    def _static(self, made: Scenario, seen: Seen, wants: Wants) -> tuple[str, float, float, str, str] | None:
        """What the rules that need no run find critical: a disk that fills, memory that does not suffice."""
        if seen.static is None:
            targets = made.targets.model_copy(update={"survive": wants.survive})
            worst = [f for f in check(made.model_copy(update={"targets": targets})) if f.severity == "critical"]
            seen.static = tuple(worst)
        allowed = self.accepted | (OWN_CHOICES if wants.topic_floor or wants.index_floor else set())
        asked = [f for f in seen.static if f.code not in allowed]
        return (asked[0].code, 1.0, 0.0, "", f"{asked[0].evidence}: {asked[0].remedy}") if asked else None

    def _carries(self, loaded: Scenario, seen: Seen, factor: float) -> bool:
        """Whether the lag does not grow at a factor on the peak; what held at more holds at less."""
        if factor <= seen.held:
            return True
        if factor >= seen.failed:
            return False
        _, grows, seen.evidence = self._test(loaded, factor)
        if grows:
            seen.failed = factor
        else:
            seen.held = factor
        return not grows

    def _test(self, loaded: Scenario, factor: float) -> tuple[Trace, bool, str]:
        self.runs += 1
        period = max(1.0, *(f.query.trigger for f in loaded.flows), 0.0)
        return tested(loaded, self.c, _quick, self.seed, factor, period)

    def _latency(self, loaded: Scenario, seen: Seen, runs: int) -> None:
        """Quantiles of the worst flow over so many seeds; loads of the busiest host of each system."""
        period = max(1.0, *(f.query.trigger for f in loaded.flows), 0.0)
        run = loaded.run.model_copy(
            update={"measure": max(loaded.run.measure, 6 * period), "warm_up": max(20.0, 3 * period), "jvm": "warm"}
        )
        steady = loaded.model_copy(update={"run": run})
        while len(seen.p99) < runs:
            self.runs += 1
            trace = simulate(steady, self.c, seed=run_seed(self.seed, len(seen.p99)), level="fluid")
            flows = [trace.flows[f.name] for f in loaded.flows]
            ok = all(flow.outcome == "running" for flow in flows)
            seen.p99.append(max(f.latency.quantile(0.99) for f in flows) if ok else math.inf)
            seen.p50.append(max(f.latency.quantile(0.5) for f in flows) if ok else math.inf)
            if not seen.batch:
                seen.batch = {name: _usual(trace, name) for name in trace.flows}
                seen.busiest = _busiest(trace)
                seen.cores = sum(host.utilisation * host.cores for host in trace.hosts)

    def _catch_up(self, loaded: Scenario, seen: Seen, wants: Wants) -> float:
        """Time to catch up after the outage; and the longest batch of that time."""
        if seen.catch_up is None:
            self.runs += 1
            targets = loaded.targets.model_copy(update={"outage": wants.outage})
            asked, kept = loaded.model_copy(update={"targets": targets}), []

            def run(*args: Any, **options: Any) -> Trace:
                kept.append((simulate(*args, **options), options["outages"][0]))
                return kept[-1][0]

            seen.catch_up = catch_up_seconds(asked, self.c, run, self.seed, seen.batch)[0]
            trace, (began, lasted) = kept[0]
            seen.longest = max(_longest(flow.batches, began + lasted) for flow in trace.flows.values())
        return seen.catch_up

    def _late(self, seen: Seen, wants: Wants, slack: float) -> tuple[str, float, float, str, str] | None:
        for name, promised, values in (("p99", wants.p99, seen.p99), ("p50", wants.p50, seen.p50)):
            if promised is not None and upper(values, self.tail) > promised * slack:
                change = "a shorter trigger, more slots or faster data nodes"
                return name, upper(values, self.tail), promised, "s", change
        return None

    def _event(self, loaded: Scenario, seen: Seen, loss: str, wants: Wants) -> str:
        """Why a loss in the middle of a run is not survived, '' if it is."""
        key = loss, wants.catch_up
        if key not in seen.events:
            self.runs += 1
            seen.events[key] = not_weathered(loaded, self.c, loss, self.seed, wants.catch_up, seen.batch)
        return seen.events[key]

    def _carries_without(self, loaded: Scenario, seen: Seen, loss: str) -> bool:
        """Whether what a loss leaves of the brokers and data nodes carries the peak."""
        if loss not in seen.degraded:
            left = without(loaded, loss)
            seen.degraded[loss] = left is not None and not self._test(left, 1.0)[1]
        return seen.degraded[loss]


def without(scenario: Scenario, loss: str) -> Scenario | None:
    """The stack as a loss leaves it, copies that were lost not yet made again; None if nothing is left.

    Executors lie in one zone: if it is theirs, the query is started again in another, which is an outage (catch-up).
    """
    kafka, search, flows = scenario.kafka, scenario.elasticsearch, scenario.flows
    brokers = {"broker": 1, "zone": -(-kafka.brokers // kafka.zones)}.get(loss, 0)
    nodes = {"data-node": 1, "zone": -(-search.data_nodes // search.zones)}.get(loss, 0)
    left, nodes_left = kafka.brokers - brokers, search.data_nodes - nodes
    if left < 1 or nodes_left < 1:
        return None
    made = []
    for flow in flows:
        topic, index = flow.topic, flow.index
        copies = min(left, topic.copies - (-(-topic.copies // min(kafka.zones, topic.copies)) if brokers else 0) or 1)
        shards = min(nodes_left, index.copies)  # each survivor goes on with its own, and takes over what is rebuilt
        topic = topic.model_copy(update={"copies": max(1, copies), "min_insync": min(topic.min_insync, max(1, copies))})
        made.append(flow.model_copy(update={"topic": topic, "index": index.model_copy(update={"copies": shards})}))
    zones = [max(1, c.zones - (loss == "zone")) for c in (kafka, search)]
    kind = (
        "self-managed" if left % zones[0] else kafka.kind
    )  # MSK goes on with an uneven number, it only sells even ones
    return scenario.model_copy(update={
        "kafka": kafka.model_copy(update={"brokers": left, "zones": zones[0], "kind": kind}),
        "elasticsearch": search.model_copy(update={"data_nodes": nodes_left, "zones": min(zones[1], nodes_left)}),
        "flows": tuple(made),
    })  # fmt: skip


def _quick(scenario: Scenario, coefficients: CoefficientSet, **options: Any) -> Trace:
    return simulate(scenario, coefficients, settle=False, **options)


def upper(values: Sequence[float], tail: float = 0.0) -> float:
    """Below this lies one more run of the same length, in 95 of 100 [s]; of a single run, its value.

    With `tail`, the model's own error [log sd], below this lies what a real stack would show.

    >>> upper([3.0]), round(upper([1.0, 1.0, 1.0]), 3), upper([]), round(upper([3.0], 0.1), 2)
    (3.0, 1.0, nan, 3.54)
    """
    if not values or not all(math.isfinite(v) and v > 0 for v in values):
        return max(values, default=math.nan)
    logs, reach = np.log(values), 0.0
    if len(values) > 1:
        reach = quantile(SHARE, len(values) - 1) * float(np.std(logs, ddof=1)) * math.sqrt(1 + 1 / len(values))
    return float(np.exp(logs.mean() + math.hypot(reach, Z * tail)))


def _longest(batches: np.ndarray[Any, Any], since: float) -> float:
    """The longest batch that ended after a time [s]."""
    mine = batches[batches["finished"] >= since]
    return float((mine["finished"] - mine["started"]).max()) if len(mine) else math.nan


def _usual(trace: Trace, name: str) -> float:
    batches = trace.flows[name].counted(trace.measured_from, trace.measured_until)
    lasted = batches["finished"] - batches["started"]
    return float(np.median(lasted)) if len(lasted) else trace.measured_until


def _busiest(trace: Trace) -> dict[str, float]:
    """Load of the busiest host of each system over the window [1]."""
    found: dict[str, float] = {}
    for host in trace.hosts:
        for role in host.roles:
            found[role] = max(found.get(role, 0.0), host.utilisation)
    return found
