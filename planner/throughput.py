"""Throughput: the highest constant rate whose lag does not grow, and what binds there.

Sustainable means: under the stated trigger and cap, after the start has died away, the slope of the lag
over at least thirty batches is not positive at 95 % (one-sided t-test). The search first overloads the
stack for a few batches, reads off how batch time grows with records, closes in on the limit with short
runs around the rate that this predicts, and settles with long ones what those leave open.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Flow, Scenario
from planner.answers import Load
from planner.limits import broker_cpu_load, limits
from planner.student import quantile
from simulator.trace import Trace

FEWEST_BATCHES = 30
WINDOWS = ((30, 15), (90, 90))  # batches tested, and before them: near capacity a batch forgets its forerunners slowly
LEAST_SLOPE = 0.002  # of the offered rate: below, 30 batches cannot tell growth from rounding
MOST_PROBES = 24
TESTS = 6
CLOSER = 8  # divisions by which a limit is found: each leaves a fraction of the error of the one before
LEAST_RATE = 20.0  # events/s that a search starts with: less makes empty batches
CLEAR_SLOPE = 0.03  # of the offered rate: growth that noise does not make over 30 batches
CLOSE = 1.04  # the bracket's ends apart, as a factor
BUSY = 0.9  # a host above this is what its permits wait for

Simulate = Callable[..., Trace]


@dataclass(frozen=True)
class Sustained:
    """What the search found: the factor on the workload's mean rate, between `low` (held) and `high` (did not).
    `overload` is a factor at which the stack gets through all that it can."""

    factor: float
    overload: float
    low: float
    high: float
    at_limit: Trace | None
    evidence: str


def steady(scenario: Scenario, measure: float, warm_up: float) -> Scenario:
    """The scenario at its constant mean rate, warm and without faults, for a length of time."""
    flows = []
    for flow in scenario.flows:
        load = flow.workload
        constant: dict[str, object] = {
            "rate": load.events_per_second,
            "size": load.event_bytes,
            "bytes_per_second": None,
        }
        constant |= {"steps": (), "recorded": None, "daily_curve": (), "weekly_curve": (), "bursts": ()}
        flows.append(flow.model_copy(update={"workload": load.model_copy(update=constant | {"growth_per_month": 0.0})}))
    run = scenario.run.model_copy(update={"measure": measure, "warm_up": warm_up, "jvm": "warm"})
    return scenario.model_copy(update={"flows": tuple(flows), "run": run, "faults": ()})


@dataclass(frozen=True)
class Tried:
    """A factor simulated: whether the lag grew over it, and whether a longer run could say otherwise."""

    trace: Trace
    grows: bool
    sure: bool
    evidence: str


def sustainable(scenario: Scenario, coefficients: CoefficientSet, simulate: Simulate, seed: int) -> Sustained:
    """The highest factor on the mean rate that the stack carries."""
    guess, period = _predicted(scenario, coefficients, simulate, seed)
    if guess <= 0:
        return Sustained(0.0, 0.0, 0.0, 0.0, None, "no batch ended within eight triggers, however little arrived")
    ceiling = _limit_factor(scenario, coefficients)

    def tried(factor: float, window: tuple[int, int]) -> Tried:
        return _tried(scenario, coefficients, simulate, seed, factor, period, window)

    low, high, known = _closed_in(tried, ceiling, min(guess, ceiling) * 0.95)
    if low == 0:
        return Sustained(0.0, 3 * guess, 0.0, high, None, next(iter(known.values())).evidence)
    held = known[low]
    if low >= ceiling * 0.999:
        return Sustained(ceiling, 3 * guess, low, ceiling, held.trace, _full(scenario, coefficients, ceiling))
    top = high if math.isfinite(high) else low * CLOSE
    return Sustained(low, 3 * guess, low, top, held.trace, held.evidence)


def _closed_in(
    tried: Callable[[float, tuple[int, int]], Tried], ceiling: float, factor: float
) -> tuple[float, float, dict[float, Tried]]:
    """The highest factor that held (0: none did), the lowest that did not, and all that were simulated.

    Short runs close in; a factor that they leave open counts as held until a long run settles it, from the highest
    such factor down. What lies far below the limit is so never simulated at length.
    """
    known: dict[float, Tried] = {}
    low, high = 0.0, math.inf
    for window in WINDOWS:
        low = 0.0
        for _ in range(TESTS):
            if factor not in known or not known[factor].sure:
                known[factor] = tried(factor, window)
            if known[factor].grows and known[factor].sure:
                high = min(high, factor)
            else:
                low = max(low, factor)
            if low >= ceiling or high / max(low, 1e-12) < CLOSE:
                break
            factor = _next(factor, low, high, ceiling, known)
        if low == 0:
            break
        factor = low
    return low, high, known


def _next(factor: float, low: float, high: float, ceiling: float, known: dict[float, Tried]) -> float:
    """The factor to try after one."""
    if low == 0:
        return max((f for f, one in known.items() if f < factor and not one.sure), default=factor * 0.8)
    return min(ceiling, factor * 1.1) if math.isinf(high) else math.sqrt(low * high)


def _full(scenario: Scenario, coefficients: CoefficientSet, factor: float) -> str:
    first = _fullest(scenario, coefficients, factor)
    return f"{first.name} is full before the query is: {first.evidence}"


def _limit_factor(scenario: Scenario, coefficients: CoefficientSet) -> float:
    """Factor on the mean rate at which the first limit is full [1]; they are not linear, so it is closed in on."""
    factor = 1.0
    for _ in range(CLOSER):
        factor /= _fullest(scenario, coefficients, factor).utilisation
    return factor


def _fullest(scenario: Scenario, coefficients: CoefficientSet, factor: float) -> Load:
    found = [*limits(scenario, coefficients, factor), broker_cpu_load(scenario, coefficients, factor)]
    return max(found, key=lambda load: load.utilisation)


def _predicted(scenario: Scenario, coefficients: CoefficientSet, simulate: Simulate, seed: int) -> tuple[float, float]:
    """Factor that overloaded batches get through, and how long a batch lasts that still keeps up [1, s]."""
    period = _period(scenario)
    factor = max(1.0, LEAST_RATE / min(flow.workload.events_per_second for flow in scenario.flows))
    best, lasted = 0.0, period
    for _ in range(MOST_PROBES):  # overload by tripling: a few batches tell
        trace = simulate(steady(scenario, 8 * period, period), coefficients, seed=seed, rate_factor=factor)
        found = [_through(trace, flow.name, flow.workload.events_per_second) for flow in scenario.flows]
        if any(one is None for one in found):  # a batch outlasts the probe
            if best > 0:
                break
            factor /= 10
            continue
        reached, seconds = min(one for one in found if one is not None)
        if reached >= 0.95 * factor or best == 0:
            lasted = max(period, seconds)
        if reached <= 1.1 * best:
            break
        best = reached
        factor = max(3 * factor, 1.2 * reached)
    return best, lasted


def _period(scenario: Scenario) -> float:
    return max(*(max(flow.query.trigger, 0.0) for flow in scenario.flows), 1.0)


def through(scenario: Scenario, coefficients: CoefficientSet, simulate: Simulate, seed: int, overload: float) -> float:
    """Factor on the mean rate that an overloaded stack gets through [1]; nan if no batch ended.

    A quick measure of capacity: it moves with the coefficients as the sustainable rate does.
    """
    period = _period(scenario)
    trace = simulate(steady(scenario, 8 * period, period), coefficients, seed=seed, rate_factor=overload)
    found = [_through(trace, flow.name, flow.workload.events_per_second) for flow in scenario.flows]
    return min(math.nan if one is None else one[0] for one in found)


def _through(trace: Trace, name: str, rate: float) -> tuple[float, float] | None:
    """Factor on the mean rate that a flow's later batches got through, from start to start, and how long they
    took [1, s]; None if none ended."""
    batches = trace.flows[name].batches
    batches = batches[batches["records"] > 0]
    if len(batches) == 0:
        return None
    later = batches[len(batches) // 2 :] if len(batches) > 2 else batches[-1:]
    lasted = later["finished"] - later["started"]
    if len(later) > 1:
        span = float(later["started"][-1] - later["started"][0])
        records = float(later["records"][:-1].sum())
    else:
        span, records = float(lasted[0]), float(later["records"][0])
    return records / span / rate, float(np.median(lasted))


def tested(
    scenario: Scenario, coefficients: CoefficientSet, simulate: Simulate, seed: int, factor: float, period: float
) -> tuple[Trace, bool, str]:
    """Whether the lag grows at a factor: a run, and a longer one if the first leaves it open."""
    for window in WINDOWS:
        one = _tried(scenario, coefficients, simulate, seed, factor, period, window)
        if one.sure:
            break
    return one.trace, one.grows, one.evidence


def _tried(
    scenario: Scenario, coefficients: CoefficientSet, simulate: Simulate, seed: int, factor: float, period: float,
    window: tuple[int, int],
) -> Tried:  # fmt: skip
    """Whether the lag grows over one run. A short one with few batches, or with a slope that autocorrelated batch
    times alone could make, leaves it open."""
    batches, settling = window
    run = steady(scenario, batches * period, settling * period)
    trace = simulate(run, coefficients, seed=seed, rate_factor=factor)
    rates = {flow.name: flow.workload.events_per_second * factor for flow in scenario.flows}
    verdicts = [lag_grows(trace, name, rate, run.run.warm_up) for name, rate in rates.items()]
    worst = max(verdicts, key=lambda verdict: verdict.relative_slope)
    steep = worst.relative_slope >= CLEAR_SLOPE
    flat = worst.batches >= FEWEST_BATCHES and worst.relative_slope <= 0
    sure = steep or flat or window == WINDOWS[-1]
    return Tried(trace, any(verdict.grows for verdict in verdicts), sure, worst.evidence)


@dataclass(frozen=True)
class Verdict:
    """Of one flow: whether its lag grows, by what share of what arrives, over how many batches."""

    grows: bool
    relative_slope: float
    batches: int
    evidence: str


def lag_grows(trace: Trace, name: str, rate: float, since: float) -> Verdict:
    """Whether a flow's lag has a positive slope at 95 %, with the evidence."""
    flow = trace.flows[name]
    if flow.outcome != "running":
        return Verdict(True, 1.0, len(flow.batches), flow.outcome)
    batches = flow.batches[(flow.batches["started"] >= since) & (flow.batches["started"] < trace.measured_until)]
    n = len(batches)
    if n < 4:
        return Verdict(True, 1.0, n, f"{n} batches in the window: each outlasts it")
    slope, error = _regression(batches["started"], batches["lag_records"])
    grows = slope > quantile(0.95, n - 2) * error and slope > LEAST_SLOPE * rate
    told = f"lag slope {slope:+.3g} ± {error:.2g} records/s over {n} batches at {rate:.4g} events/s"
    return Verdict(grows, slope / rate, n, told)


def _regression(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Slope of y over x and its standard error."""
    dx, dy = x - x.mean(), y - y.mean()
    slope = float((dx * dy).sum() / (dx * dx).sum())
    rest = dy - slope * dx
    return slope, float(math.sqrt((rest * rest).sum() / max(1, len(x) - 2) / (dx * dx).sum()))


def loads(trace: Trace, scenario: Scenario, coefficients: CoefficientSet, factor: float) -> list[Load]:
    """How busy everything was, busiest first: hosts, permits, networks, volumes."""
    found = []
    for host in trace.hosts:
        if not host.roles:
            continue  # nobody lives there
        name, evidence = f"{host.name} ({', '.join(host.roles)})", f"{host.utilisation:.0%} of {host.cores:.3g} cores"
        found.append(Load(name, "host", host.utilisation, evidence))
    found.append(Load("spark task slots", "permits", trace.slots_busy, _slot_evidence(trace, scenario)))
    for host in trace.hosts:
        if "elasticsearch" in host.roles and host.permits > 0:
            held = f"{host.permits_busy:.0%} of {host.permits:.0f} write threads held"
            found.append(Load(f"{host.name} write threads", "permits", host.permits_busy, held))
    found += [cap for flow in scenario.flows if (cap := _cap(trace, flow)) is not None]
    found += limits(scenario, coefficients, factor)
    return sorted(found, key=lambda load: -load.utilisation)


def _cap(trace: Trace, flow: Flow) -> Load | None:
    """How much of what a batch may take it takes."""
    most, batches = flow.query.max_offsets_per_trigger, trace.flows[flow.name].batches
    batches = batches[batches["started"] >= trace.measured_from]
    if most is None or len(batches) == 0:
        return None
    mean = float(batches["records"].mean())
    return Load(f"{flow.name} maxOffsetsPerTrigger", "permits", mean / most, f"{mean:.0f} of {most} records a batch")


def _slot_evidence(trace: Trace, scenario: Scenario) -> str:
    slots = scenario.spark.executors * scenario.spark.cores
    return f"{trace.slots_busy:.0%} of {slots} task slots held{_waits(trace)}"


def _waits(trace: Trace) -> str:
    waited = sum(float(flow.batches["waited_sink"].sum()) for flow in trace.flows.values())
    held = sum(float((flow.tasks["finished"] - flow.tasks["started"]).sum()) for flow in trace.flows.values())
    return f", {min(1.0, waited / held):.0%} of that waiting for the index" if held > 0 and waited > 0 else ""


def bottleneck(found: list[Load]) -> Load:
    """What binds: a host that is all but full (its permits only queue for it), else whatever is busiest."""
    full = [load for load in found if load.kind in ("host", "network", "volume") and load.utilisation >= BUSY]
    return full[0] if full else found[0]
