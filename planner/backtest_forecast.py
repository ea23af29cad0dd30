"""A recorded run forecast blind, told in the statistics it was measured in, with its interval.

What the measurement adds is added to the forecast too: a record counts as visible at the first poll's answer after it
can be found, so each latency carries a uniform wait for the next poll and half a poll's response.

Known and used: due times, trigger grid, settings, what was planned to be done to the stack. Not known: refresh phase,
noise; several seeds stand for them. Coefficients drawn from their intervals stand for what the fit does not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from calibration.lab import LabRun, Step, lag, whole_batches
from calibration.latency import QUANTILES
from calibration.observations import Batch
from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.backtest_memory import expected
from planner.backtest_overload import stated, stated_drawn
from planner.backtest_scenario import NO_HOST, SEARCH_HOST, SPARK_HOST, load_steps, outages, scenario_of, zero_of
from planner.backtest_values import (
    ACKNOWLEDGED,
    BATCH,
    INDEX_BYTES,
    LAG,
    LATENCIES,
    LOG_BYTES,
    Value,
    batch_values,
    catch_ups,
    collected,
    failed_starts,
    part_names,
    sustained,
)
from planner.engine import simulate
from planner.uncertainty import draws
from simulator.elasticsearch import index_ratio
from simulator.hosts import place
from simulator.kafka import front_of
from simulator.trace import Histogram, Trace

Key = tuple[str, str]
ROLES = {"kafka": "kafka", "spark": "spark", "search": "elasticsearch"}  # as simulator/hosts.py names them
DRAWN_SEED = 1000  # seeds of the runs at drawn coefficients, apart from the others


@dataclass(frozen=True)
class Poller:
    """How the measurement looked: mean spacing of the polls' answers and mean response [s]."""

    spacing: float
    response: float

    @staticmethod
    def of(run: LabRun) -> Poller:
        mine = [p for p in run.polls if p.answered >= run.start]
        answered = np.array([p.answered for p in mine])
        return Poller(float(np.diff(answered).mean()), float(np.mean([p.answered - p.asked for p in mine])))

    def quantile(self, latency: Histogram, q: float) -> float:
        """Quantile of a latency as it would have been measured: plus U(0, spacing) and half a response [s]."""
        top = float(latency.edges[-1]) + self.spacing
        x = np.arange(0.0, top + 2e-3, 1e-3)
        share = np.interp(x, latency.edges, latency.mass / latency.count, left=0.0)
        area = np.concatenate([[0.0], np.cumsum(0.5 * (share[1:] + share[:-1]) * 1e-3)])
        seen_share = (area - np.interp(x - self.spacing, x, area, left=0.0)) / self.spacing
        return float(np.interp(q, seen_share, x)) + 0.5 * self.response


@dataclass(frozen=True)
class Forecast:
    """A run forecast: values as `seen` gives them, their 5 % and 95 % over the seeds, and each draw's values.

    `low` and `high` hold only where each seed has a value of its own; `drawn` is empty without draws.
    """

    values: dict[Key, Value]
    low: dict[Key, float]
    high: dict[Key, float]
    drawn: dict[Key, list[float]] = field(default_factory=dict)
    seeded: dict[Key, list[float]] = field(default_factory=dict)

    def spread(self, key: Key) -> float:
        """Log standard deviation over coefficients drawn, or over seeds where that is more; nan without draws [1]."""
        return max((_spread(x) for x in (self.drawn.get(key, []), self.seeded.get(key, []))), default=math.nan)


def _spread(values: Sequence[float]) -> float:
    known = [x for x in values if x > 0 and math.isfinite(x)]
    return float(np.std(np.log(known), ddof=1)) if len(known) > 1 else math.nan


def foreseen(run: LabRun, coefficients: CoefficientSet, seeds: Sequence[int], count: int = 0) -> Forecast:
    """The same statistics as `seen`, from simulations that know settings and due times only.

    Batches and latencies of all seeds are pooled; a maximum is the median of the seeds' maxima. `count` more runs at
    coefficients drawn from their intervals, each with a seed of its own, tell how far the coefficients could move it.
    """
    pooled, each = _foreseen(run, coefficients, list(seeds))
    pooled += stated(run, coefficients, seeds)
    seeded = _by_key(each)
    drawn: dict[Key, list[float]] = {}
    if count:
        sets = draws(coefficients, scenario_of(run), count, DRAWN_SEED)
        for k, one in enumerate(sets):
            told = [*_foreseen(run, one, [DRAWN_SEED + k])[0], *stated_drawn(run, one, DRAWN_SEED + k)]
            for key, value in collected(told).items():
                drawn.setdefault(key, []).append(value.value)
    low = {key: float(np.quantile(x, 0.05)) for key, x in seeded.items()}
    high = {key: float(np.quantile(x, 0.95)) for key, x in seeded.items()}
    return Forecast(collected(pooled), low, high, drawn, seeded)


def _by_key(each: list[list[Value]]) -> dict[Key, list[float]]:
    return {(v[0].part, v[0].quantity): [x.value for x in v] for v in each if v}


def _foreseen(run: LabRun, c: CoefficientSet, seeds: list[int]) -> tuple[list[Value], list[list[Value]]]:
    """Values pooled over the seeds, and lists of them seed by seed."""
    if not run.experiment.trigger_seconds:
        return [*_produced(run, c, seeds), *_sizes(run, c)], []
    poller, away = Poller.of(run) if run.polls else None, outages(run)
    whole = [simulate(scenario_of(run), c, seed=s, outages=away) for s in seeds]
    runs = [replace(run, batches=batches_of(run, trace)) for trace in whole]
    pooled, each = _told(run, "all", whole, runs, run.steps(), poller)
    pooled += _caught_up(runs) + _carried(run, runs)
    for name, step in zip(part_names(run), run.steps(), strict=True):
        window = scenario_of(run, (step.start, step.end))
        traces = [simulate(window, c, seed=s, outages=away) for s in seeds] if poller else []
        more, more_each = _told(run, name, traces, runs, [step], poller)
        pooled += more + _cpu(run, name, window, c, seeds)
        each += more_each
    return [*pooled, *_sizes(run, c), *_resident(run)], each


def _resident(run: LabRun) -> list[Value]:
    """Resident bytes of the laboratory's processes by law, after minutes of work; of several brokers one."""
    if run.exported:
        return []
    wanted = {"kafka": "kafka-1", "spark": "spark", "search": "search-0"}
    told = {system: expected(process, run) for system, process in wanted.items()}
    return [Value("all", f"resident bytes of {system}", "bytes", p.soon) for system, p in told.items() if p is not None]


def batch_median(run: LabRun, c: CoefficientSet, seeds: Sequence[int]) -> float:
    """Median batch time of a run's measured part, forecast [s]."""
    scenario, away = scenario_of(run), outages(run)
    runs = [replace(run, batches=batches_of(run, simulate(scenario, c, seed=s, outages=away))) for s in seeds]
    return float(np.median([b.seconds for one in runs for step in one.steps() for b in whole_batches(one, step)]))


def flow_name(run: LabRun) -> str:
    """The flow that a run's query is in its scenario."""
    stack = run.experiment.stack
    return stack.flows[0].name if isinstance(stack, Scenario) else "events"


def batches_of(run: LabRun, trace: Trace) -> tuple[Batch, ...]:
    """A simulated run's batches as recorded ones: epoch times, offsets summed over partitions."""
    zero, total, found = zero_of(run), 0.0, []
    for row in trace.flows[flow_name(run)].batches:
        start, total = total, total + float(row["records"])
        found.append(
            Batch(
                int(row["number"]), zero + float(row["started"]), float(row["finished"] - row["started"]), {},
                round(float(row["records"])), {0: round(start)}, {0: round(total)},
            )
        )  # fmt: skip
    return tuple(found)


def _told(
    run: LabRun, part: str, traces: list[Trace], runs: list[LabRun], steps: list[Step], poller: Poller | None
) -> tuple[list[Value], list[list[Value]]]:
    """Values of one part pooled over seeds, and lists of them seed by seed."""
    batches = [[b for step in steps for b in whole_batches(one, step)] for one in runs]
    seconds = [np.array([b.seconds for b in mine]) for mine in batches if mine]
    if not seconds:
        return [], []
    lags = [max(lag(one, b)[0] for b in mine) for one, mine in zip(runs, batches, strict=True) if mine]
    together = np.concatenate(seconds)
    values = batch_values(part, float(np.median(together)), float(np.quantile(together, 0.9)))
    values.append(Value(part, LAG, "records", float(np.median(lags))))
    each = [[Value(part, BATCH, "s", float(np.median(s))) for s in seconds]]
    if poller is not None:
        latency = [t.flows[flow_name(run)].latency for t in traces]
        pool = Histogram.pooled(latency)
        for q, label in LATENCIES.items():
            values.append(Value(part, label, "s", poller.quantile(pool, QUANTILES[q])))
            each.append([Value(part, label, "s", poller.quantile(one, QUANTILES[q])) for one in latency])
        if part == "all":
            values += _hops(run, traces, poller)
    return values, each


def _caught_up(runs: list[LabRun]) -> list[Value]:
    """Time to catch up after each backlog: median over the seeds that saw its end."""
    found: dict[str, list[float]] = {}
    for one in runs:
        for name, seconds in catch_ups(one).items():
            found.setdefault(name, []).append(seconds)
    return [Value("all", name, "s", float(np.median(x))) for name, x in found.items()]


def _carried(run: LabRun, runs: list[LabRun]) -> list[Value]:
    """Sustainable throughput of each overloaded step: mean over the seeds."""
    found: dict[str, list[Value]] = {}
    for value in (v for one in runs for v in sustained(run, one)):
        found.setdefault(value.part, []).append(value)
    return [replace(x[0], value=float(np.mean([v.value for v in x]))) for x in found.values()]


def _hops(run: LabRun, traces: list[Trace], poller: Poller) -> list[Value]:
    hops = [t.flows[flow_name(run)].hops for t in traces]
    before = float(np.mean([h["produce"] + h["trigger_wait"] for h in hops]))
    after = float(np.mean([h["process"] + h["refresh"] for h in hops])) + 0.5 * (poller.spacing + poller.response)
    return [
        Value("all", "mean until the trigger", "s", before),
        Value("all", "mean from trigger to visible", "s", after),
    ]


def _cpu(run: LabRun, part: str, scenario: Scenario, c: CoefficientSet, seeds: Sequence[int]) -> list[Value]:
    """CPU by process. A trace tells it by host, so each process gets a host of its own here: its work is the same."""
    if run.exported:
        return _by_role(run, part, [simulate(scenario, c, seed=s) for s in seeds])
    apart = scenario.elasticsearch.model_copy(update={"hosts": (NO_HOST,)})
    alone, away = scenario.model_copy(update={"elasticsearch": apart}), outages(run)
    traces = [simulate(alone, c, seed=s, outages=away) for s in seeds]
    hosts = {"kafka": SEARCH_HOST}
    hosts |= {"spark": SPARK_HOST} if run.experiment.trigger_seconds else {}
    hosts |= {"search": NO_HOST} if run.experiment.sink == "bulk" else {}
    start, end = zero_of(run) + scenario.run.warm_up, zero_of(run) + scenario.run.warm_up + scenario.run.measure
    burnt = failed_starts(run, start, end) * c["spark.start_cpu_seconds"] / (end - start)
    more = {"spark": burnt}  # a start that failed is known as the outage is; the simulated query starts once
    return [
        Value(part, f"CPU of {name}", "cores", more.get(name, 0.0)
              + float(np.mean([h.utilisation * h.cores for t in traces for h in t.hosts if h.name == host])))
        for name, host in hosts.items()
    ]  # fmt: skip


def _by_role(run: LabRun, part: str, traces: list[Trace]) -> list[Value]:
    """CPU of all brokers, executors and data nodes of a user's own stack, where each kind has hosts of its own."""
    found = []
    for name, role in ROLES.items():
        hosts = [h for h in traces[0].hosts if role in h.roles]
        if hosts and all(set(h.roles) <= {role, "driver"} for h in hosts):
            cores = [h.utilisation * h.cores for t in traces for h in t.hosts if role in h.roles]
            found.append(Value(part, f"CPU of {name}", "cores", sum(cores) / len(traces)))
    return found


def _produced(run: LabRun, c: CoefficientSet, seeds: Sequence[int]) -> list[Value]:
    """A run without a query: the broker's CPU by step, and what the producer saw, from the exact front."""
    found = []
    for name, step in zip(part_names(run), run.steps(), strict=True):
        found += _cpu(run, name, scenario_of(run, (step.start, step.end)), c, seeds)
    traces = [simulate(scenario_of(run), c, seed=s, level="exact") for s in seeds[:1]]
    publish = [t.flows[flow_name(run)].publish for t in traces]
    if (pool := _pooled(publish)) is not None:
        found += [Value("all", label, "s", pool(QUANTILES[q])) for q, label in ACKNOWLEDGED.items()]
    return found


def _pooled(histograms: Sequence[Histogram | None]) -> Callable[[float], float] | None:
    known = [h for h in histograms if h is not None and h.count > 0]
    return Histogram.pooled(known).quantile if known else None


def _sizes(run: LabRun, c: CoefficientSet) -> list[Value]:
    """Bytes on disk by law: of the index from its coefficient, of the log from batching and framing at each rate."""
    scenario = scenario_of(run)
    flow, placement, total, records = scenario.flows[0], place(scenario, c), 0.0, 0.0
    for seconds, rate in load_steps(run):
        if rate > 0:
            total += seconds * rate * front_of(flow, scenario.kafka, rate, placement, c).wire_bytes
            records += seconds * rate
    values = [Value("all", LOG_BYTES, "bytes", total / records)]
    if run.experiment.sink == "bulk":
        values.append(Value("all", INDEX_BYTES, "", index_ratio(flow, c)))
    return values


def interval(value: float, spread: float, discrepancy: float, z: float) -> tuple[float, float]:
    """Ends of a forecast interval from the coefficients' spread and the model's own, on logarithms.

    >>> [round(x, 3) for x in interval(1.0, 0.0, 0.1, 1.645)]
    [0.848, 1.179]
    """
    wide = z * math.hypot(0.0 if math.isnan(spread) else spread, discrepancy)
    return value * math.exp(-wide), value * math.exp(wide)
