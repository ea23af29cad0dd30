"""A recorded laboratory run as a scenario, forecast blind, and told in the statistics it was measured in.

The stack is what the recordings' README says: broker and search on one core, Spark on the other, one JVM
each, all cold. The load is the plan of the run, its warm-up before it. What the measurement adds is added
to the forecast too: a record counts as visible at the first poll's answer after it can be found, so each
latency carries a uniform wait for the next poll and half a poll's response.

Known and used: due times, trigger grid, settings. Not known: refresh phase, noise; several seeds stand for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calibration.lab import LabRun, Step, lag, measured, whole_batches
from calibration.latency import QUANTILES, latencies
from calibration.observations import Batch
from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.scenario import example
from simulator.elasticsearch import index_ratio
from simulator.hosts import place
from simulator.kafka import front_of
from simulator.run import simulate
from simulator.trace import Histogram, Trace

SEARCH_HOST, SPARK_HOST, NO_HOST = "core0", "core1", "unused"
REFRESH_SECONDS = 1.0  # of every recorded index (the recordings' README)
LATENCIES = {"p50": "latency p50", "p90": "latency p90", "p95": "latency p95", "p99": "latency p99"}


@dataclass(frozen=True)
class Value:
    """One number of one part of a run: `part` is a rate or "all", `unit` as printed."""

    part: str
    quantity: str
    unit: str
    value: float


Values = Mapping[tuple[str, str], Value]  # by (part, quantity)


def collected(values: Sequence[Value]) -> dict[tuple[str, str], Value]:
    return {(v.part, v.quantity): v for v in values}


def step_name(step: Step) -> str:
    return f"{step.rate:.0f}/s"


# ---------------------------------------------------------------- the scenario


def zero_of(run: LabRun) -> float:
    """Epoch time of the simulation's start: the trigger tick at or before the first record of the warm-up [s]."""
    first = run.warm_arrivals.t[0] if run.warm_arrivals is not None else run.start
    trigger = run.experiment.trigger_seconds
    return float(np.floor(first / trigger) * trigger)


def load_steps(run: LabRun) -> list[tuple[float, float]]:
    """(duration, records a second) from the simulation's start: to the first record, warm-up, its pause, the plan."""
    steps, at = [], zero_of(run)
    if run.warm_arrivals is not None:
        t, count = run.warm_arrivals.t, run.warm_arrivals.count
        steps += [(float(t[0]) - at, 0.0), (float(t[-1] - t[0]), float(count[-1]) / float(t[-1] - t[0]))]
        at = float(t[-1])
    steps.append((run.start - at, 0.0))
    return [(d, r) for d, r in [*steps, *run.experiment.plan] if d > 0]


def scenario_of(run: LabRun, window: tuple[float, float] | None = None) -> Scenario:
    """The run as a scenario; `window` is the measured part in epoch seconds, all of the plan by default.

    The stack is the packaged example's, the settings are the run's. A run that writes nothing had no data node: its
    node stands on a host of its own.
    """
    asked, writes = run.experiment, run.experiment.sink == "bulk"
    start, end = window or run.window()
    told: dict[str, Any] = example("lab").model_dump(exclude_unset=True)
    flow = told["flows"][0]
    flow["workload"] |= {"size": asked.record_bytes, "steps": load_steps(run)}
    flow["topic"] |= {"partitions": asked.partitions}
    flow["query"] |= {"trigger": asked.trigger_seconds}
    if asked.state_partitions:
        flow["query"]["state"] = {"shuffle_partitions": asked.state_partitions}
    if writes:
        flow["query"]["sink"] |= {"bulk_entries": asked.bulk_documents}
    else:
        flow["query"]["sink"] = {"kind": "noop"}
        flow["index"] |= {"search": {"rate": 0}}
        told["elasticsearch"] |= {"hosts": [NO_HOST]}
    told["hosts"] = [*told["hosts"], told["hosts"][0] | {"name": NO_HOST}]
    told["spark"] |= {"cores": asked.cores}
    told["run"] = {"jvm": "cold", "warm_up": start - zero_of(run), "measure": end - start, "repeats": 1}
    return Scenario.model_validate(told | {"name": run.name})


# ---------------------------------------------------------------- what was measured


def seen(run: LabRun) -> dict[tuple[str, str], Value]:
    """What was measured, by part and quantity."""
    m, values = measured(run), []
    for step, part in zip(run.steps(), m.steps, strict=True):
        name = step_name(step)
        values += _batch_values(name, part.batch_seconds_median, part.batch_seconds_p90)
        values += [Value(name, "lag, most", "records", part.lag_records_max)]
        values += [Value(name, f"CPU of {_part(n)}", "cores", cores) for n, cores in part.cores.items()]
        if part.latency is not None:
            values += [Value(name, label, "s", getattr(part.latency, f"{q}_seconds")) for q, label in LATENCIES.items()]
    if m.latency is not None:
        values += [Value("all", label, "s", getattr(m.latency, f"{q}_seconds")) for q, label in LATENCIES.items()]
        values += hops_seen(run)
    batches = [b for step in run.steps() for b in whole_batches(run, step)]
    seconds = [b.seconds for b in batches]
    values += _batch_values("all", float(np.median(seconds)), float(np.quantile(seconds, 0.9)))
    values += [Value("all", "lag, most", "records", max(lag(run, b)[0] for b in batches))]
    if m.index_bytes_per_json_byte is not None:
        values.append(Value("all", "index bytes per JSON byte", "", m.index_bytes_per_json_byte))
    if m.log_bytes_per_record is not None:
        values.append(Value("all", "log bytes per record", "bytes", m.log_bytes_per_record))
    return collected(values)


def _batch_values(part: str, median: float, p90: float) -> list[Value]:
    return [Value(part, "batch time, median", "s", median), Value(part, "batch time, p90", "s", p90)]


def _part(process: str) -> str:
    return {"kafka-1": "kafka", "search-0": "search"}.get(process, process)


def hops_seen(run: LabRun) -> list[Value]:
    """Mean time from due to the trigger of a record's batch, and from there to the poll that saw it [s]."""
    assert run.arrivals is not None
    due, latency = latencies(run.arrivals, run.first_sequence, run.experiment.partitions, run.polls)
    count = run.experiment.partitions
    sequence = run.first_sequence + np.arange(len(due))
    trigger = np.empty(len(due))
    times = np.array([b.trigger for b in run.batches])
    for p in range(count):
        mine = sequence % count == p
        ends = np.array([b.end_offsets[p] for b in run.batches])
        trigger[mine] = times[np.searchsorted(ends, sequence[mine] // count, side="right")]
    wait = float((trigger - due).mean())
    return [
        Value("all", "mean until the trigger", "s", wait),
        Value("all", "mean from trigger to visible", "s", float(latency.mean()) - wait),
    ]


# ---------------------------------------------------------------- what is forecast


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
    """A run forecast: values as `seen` gives them, and their 5 % and 95 % over the seeds where each seed has one."""

    values: dict[tuple[str, str], Value]
    low: dict[tuple[str, str], float]
    high: dict[tuple[str, str], float]


def foreseen(run: LabRun, coefficients: CoefficientSet, seeds: Sequence[int]) -> Forecast:
    """The same statistics as `seen`, from simulations that know settings and due times only.

    Batches and latencies of all seeds are pooled; a maximum is the median of the seeds' maxima.
    """
    poller = Poller.of(run) if run.polls else None
    whole = [simulate(scenario_of(run), coefficients, seed=s) for s in seeds]
    runs = [replace(run, batches=_batches(run, trace)) for trace in whole]
    pooled, each = _told(run, "all", whole, runs, run.steps(), poller)
    for step in run.steps():
        window = scenario_of(run, (step.start, step.end))
        traces = [simulate(window, coefficients, seed=s) for s in seeds]
        more, more_each = _told(run, step_name(step), traces, runs, [step], poller)
        pooled += more + _cpu(run, step_name(step), (step.start, step.end), coefficients, seeds)
        each += more_each
    pooled += _sizes(run, coefficients)
    spread = {(v[0].part, v[0].quantity): np.array([x.value for x in v]) for v in each}
    low = {key: float(np.quantile(x, 0.05)) for key, x in spread.items()}
    high = {key: float(np.quantile(x, 0.95)) for key, x in spread.items()}
    return Forecast(collected(pooled), low, high)


def batch_median(run: LabRun, c: CoefficientSet, seeds: Sequence[int]) -> float:
    """Median batch time of a run's measured part, forecast [s]."""
    scenario = scenario_of(run)
    runs = [replace(run, batches=_batches(run, simulate(scenario, c, seed=s))) for s in seeds]
    return float(np.median([b.seconds for one in runs for step in one.steps() for b in whole_batches(one, step)]))


def _batches(run: LabRun, trace: Trace) -> tuple[Batch, ...]:
    """A simulated run's batches as recorded ones: epoch times, offsets summed over partitions."""
    zero, total, found = zero_of(run), 0.0, []
    for row in trace.flows["events"].batches:
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
    seconds = [np.array([b.seconds for b in mine]) for mine in batches]
    lags = [max(lag(one, b)[0] for b in mine) for one, mine in zip(runs, batches, strict=True)]
    together = np.concatenate(seconds)
    values = _batch_values(part, float(np.median(together)), float(np.quantile(together, 0.9)))
    values.append(Value(part, "lag, most", "records", float(np.median(lags))))
    each = [[Value(part, "batch time, median", "s", float(np.median(s))) for s in seconds]]
    if poller is not None:
        latency = [t.flows["events"].latency for t in traces]
        pool = Histogram.pooled(latency)
        for q, label in LATENCIES.items():
            values.append(Value(part, label, "s", poller.quantile(pool, QUANTILES[q])))
            each.append([Value(part, label, "s", poller.quantile(one, QUANTILES[q])) for one in latency])
        if part == "all":
            values += _hops(traces, poller)
    return values, each


def _hops(traces: list[Trace], poller: Poller) -> list[Value]:
    hops = [t.flows["events"].hops for t in traces]
    before = float(np.mean([h["produce"] + h["trigger_wait"] for h in hops]))
    after = float(np.mean([h["process"] + h["refresh"] for h in hops])) + 0.5 * (poller.spacing + poller.response)
    return [
        Value("all", "mean until the trigger", "s", before),
        Value("all", "mean from trigger to visible", "s", after),
    ]


def _cpu(run: LabRun, part: str, window: tuple[float, float], c: CoefficientSet, seeds: Sequence[int]) -> list[Value]:
    """CPU by process. A trace tells it by host, so each process gets a host of its own here: its work is the same."""
    scenario = scenario_of(run, window)
    apart = scenario.elasticsearch.model_copy(update={"hosts": (NO_HOST,)})
    traces = [simulate(scenario.model_copy(update={"elasticsearch": apart}), c, seed=s) for s in seeds]
    hosts = {"kafka": SEARCH_HOST, "spark": SPARK_HOST} | ({"search": NO_HOST} if run.experiment.sink == "bulk" else {})
    return [
        Value(part, f"CPU of {name}", "cores",
              float(np.mean([h.utilisation * h.cores for t in traces for h in t.hosts if h.name == host])))
        for name, host in hosts.items()
    ]  # fmt: skip


def _sizes(run: LabRun, c: CoefficientSet) -> list[Value]:
    """Bytes on disk by law: of the index from its coefficient, of the log from batching and framing at each rate."""
    scenario = scenario_of(run)
    flow, placement, total, records = scenario.flows[0], place(scenario, c), 0.0, 0.0
    for seconds, rate in load_steps(run):
        if rate > 0:
            total += seconds * rate * front_of(flow, scenario.kafka, rate, placement, c).wire_bytes
            records += seconds * rate
    values = [Value("all", "log bytes per record", "bytes", total / records)]
    if run.experiment.sink == "bulk":
        values.append(Value("all", "index bytes per JSON byte", "", index_ratio(flow, c)))
    return values
