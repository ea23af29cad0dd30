"""Level 1: days and months from tables.

Spark waits for every acknowledgement, so when a batch starts nothing of the last one is left: how long it
lasts and when its records show depend on how many records it has, and on little else. So short fluid runs
tabulate both at some levels of load, and a recursion walks from batch to batch through the workload's
curve: what has arrived, under the cap, is a batch; it lasts what the table says times this batch's noise;
the next starts at its trigger or at once. The noise has the simulator's own dice, seed by seed.

Where it stops being true: work that outlives a batch (merge debt, refreshes that fall behind a full node),
other flows whose load moves differently, cold reads behind the page cache, rejections and retries; and
batches beyond the tables' range, whose share of the records is counted in `beyond`. Counts of arrivals are
taken at their mean; that scatter of small batches is in the tables only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.spark import AVAILABLE_NOW
from models.stack import Flow, Scenario
from simulator import kernels as k
from simulator import months_kernel as mk
from simulator.hosts import place
from simulator.kafka import front_of
from simulator.run import simulate
from simulator.spark import costs_of
from simulator.state import cumulative
from simulator.trace import FlowTrace, Histogram, from_ramps

Array = np.ndarray[Any, np.dtype[Any]]
LEVELS = 9
SHARES = (0.02, 0.08, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0)  # of the largest batch
BATCHES = 60  # of one level's run that count
SETTLING = 6  # batches before
MERGES_AFTER = 14  # refreshes until merges are steady
LONGEST_WARM_UP = 600.0
GROUPS = 8  # groups of tasks by when they end
HEADROOM = 1.5  # of the tables, over the largest batch that the rate alone makes


@dataclass(frozen=True)
class Table:
    """One flow's batches by their size. Durations are base + per_factor × the batch's CPU factor [s]."""

    flow: str
    records: Array  # [L]
    base: Array  # [L]
    per_factor: Array  # [L]
    rest: Array  # [L] standard deviation that the factor does not explain
    work: Array  # [L] CPU that warms one executor's JVM, at factor 1
    python: Array  # [L] of it in Python workers, which no cold JVM stretches
    starts: Array  # [L, G] of the duration
    ends: Array  # [L, G]
    weights: Array  # [L, G] of the records
    shift: Array  # [L] seconds between a record's place in its task and its being indexed
    bulks: Array  # [L] of one task
    refresh: Array  # [L] mean wait for the refresh
    delay: float


@dataclass(frozen=True)
class Months:
    """One flow over the horizon. `series` runs over equal steps of time; `beyond` is the share of records read in
    batches larger than the tables know.
    """

    name: str
    latency: Histogram
    series: dict[str, Array]
    batches: int
    mean_batch_seconds: float
    late: float
    beyond: float
    ended: float


def months(
    scenario: Scenario,
    coefficients: CoefficientSet,
    horizon: float,
    *,
    seed: int = 1,
    rate_factor: float = 1.0,
    outages: Sequence[tuple[float, float]] = (),
    measured_from: float = 0.0,
    tables: Sequence[Table] | None = None,
    points: int = 1440,
) -> dict[str, Months]:
    """Every flow from 0 to `horizon` [s]; latency counts records created from `measured_from` on.

    Tables are built when none are given; build them once for many seeds or outages.
    """
    if tables is None:
        tables = tabulate(scenario, coefficients, horizon, seed=seed, rate_factor=rate_factor, outages=outages)
    return {
        table.flow: _walk(f, table, scenario, coefficients, horizon, seed, rate_factor, outages, measured_from, points)
        for f, table in enumerate(tables)
    }


# ---------------------------------------------------------------- tables


def tabulate(
    scenario: Scenario,
    coefficients: CoefficientSet,
    horizon: float,
    *,
    seed: int = 1,
    rate_factor: float = 1.0,
    outages: Sequence[tuple[float, float]] = (),
) -> list[Table]:
    """Tables of every flow, from one fluid run a level with all flows at the same share of their largest batch."""
    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        raise ValueError("query.trigger = 'available now' has no steady batches to tabulate; use level fluid")
    tops = [_largest_batch(f, scenario, coefficients, horizon, rate_factor, outages) for f in scenario.flows]
    rows: list[list[dict[str, Any]]] = [[] for _ in scenario.flows]
    for share in SHARES[:LEVELS]:
        here = _level(scenario, coefficients, [share * top for top in tops])
        trace = simulate(here, coefficients, seed=seed)
        for f, flow in enumerate(scenario.flows):
            rows[f].append(_row(f, flow, trace.flows[flow.name], here, coefficients, seed))
    return [_table(flow, rows[f], scenario, coefficients, rate_factor) for f, flow in enumerate(scenario.flows)]


def tabulate_each(scenario: Scenario, coefficients: CoefficientSet, horizon: float, *, seed: int = 1) -> list[Table]:
    """Tables of every flow with the other flows at their mean over the horizon: flows whose loads move differently.

    One flow gives `tabulate`. Several take as many runs a level as there are flows.
    """
    if len(scenario.flows) == 1:
        return tabulate(scenario, coefficients, horizon, seed=seed)
    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        raise ValueError("query.trigger = 'available now' has no steady batches to tabulate; use level fluid")
    usual = [_mean_batch(flow, scenario, coefficients, horizon) for flow in scenario.flows]
    found = []
    for f, flow in enumerate(scenario.flows):
        top, rows = _largest_batch(flow, scenario, coefficients, horizon, 1.0, ()), []
        for share in SHARES[:LEVELS]:
            sizes = [share * top if k == f else size for k, size in enumerate(usual)]
            here = _level(scenario, coefficients, sizes)
            trace = simulate(here, coefficients, seed=seed)
            rows.append(_row(f, flow, trace.flows[flow.name], here, coefficients, seed))
        found.append(_table(flow, rows, scenario, coefficients, 1.0))
    return found


def _mean_batch(flow: Flow, scenario: Scenario, c: CoefficientSet, horizon: float) -> float:
    """Records of a batch at the mean rate over the horizon, growth included."""
    times, rates = flow.workload.corners(horizon)
    ends = [*times[1:], max(horizon, times[-1])]
    events = sum(
        rate * max(0.0, min(end, horizon) - start) for start, end, rate in zip(times, ends, rates, strict=True)
    )
    cycle = max(flow.query.trigger, _least_seconds(flow, scenario, c))
    return max(float(flow.topic.partitions), events / horizon * cycle)


def _least_seconds(flow: Flow, scenario: Scenario, c: CoefficientSet) -> float:
    """A batch of no records: what the driver and the checkpoint take [s]."""
    costs = costs_of(flow, scenario, c)
    return 2 * costs.commit + costs.driver + costs.launch * flow.topic.partitions


def _largest_batch(
    flow: Flow,
    scenario: Scenario,
    c: CoefficientSet,
    horizon: float,
    factor: float,
    outages: Sequence[tuple[float, float]],
) -> float:
    """Records of the largest batch that the tables should know: the cap, or what the peak or an outage leaves."""
    peak = max(flow.workload.corners(horizon)[1]) * factor
    cycle = max(flow.query.trigger, 3 * _least_seconds(flow, scenario, c))
    usual = HEADROOM * peak * cycle
    left = max((length for _, length in outages), default=0.0) * peak
    return max(flow.topic.partitions, min(flow.query.max_offsets_per_trigger or math.inf, max(usual, left)))


def _level(scenario: Scenario, c: CoefficientSet, sizes: list[float]) -> Scenario:
    """The scenario with batches of these sizes, one after another: a constant rate, and a cap that holds it."""
    flows, longest = [], 0.0
    for flow, size in zip(scenario.flows, sizes, strict=True):
        cycle = flow.query.trigger or _least_seconds(flow, scenario, c)
        load = flow.workload
        steady = {
            "rate": size / cycle,
            "size": load.event_bytes,
            "bytes_per_second": None,
            "steps": (),
            "recorded": None,
        }
        steady |= {"daily_curve": (), "weekly_curve": (), "bursts": (), "growth_per_month": 0.0}
        query = flow.query.model_copy(update={"max_offsets_per_trigger": max(1, math.ceil(size))})
        flows.append(flow.model_copy(update={"workload": load.model_copy(update=steady), "query": query}))
        longest = max(longest, flow.query.trigger, 2 * _least_seconds(flow, scenario, c))
    warm = max(SETTLING * longest, min(LONGEST_WARM_UP, MERGES_AFTER * max(f.index.refresh_interval for f in flows)))
    run = scenario.run.model_copy(update={"warm_up": warm, "measure": BATCHES * longest, "jvm": "warm"})
    return scenario.model_copy(update={"flows": tuple(flows), "run": run})


def _row(f: int, flow: Flow, trace: FlowTrace, here: Scenario, c: CoefficientSet, seed: int) -> dict[str, Any]:
    """What one level's run says of a flow."""
    if trace.outcome != "running":
        raise ValueError(f"flow '{flow.name}' cannot be tabulated: at its largest batches it {trace.outcome}")
    since = here.run.warm_up
    counted = trace.batches[(trace.batches["started"] >= since) & (trace.batches["records"] > 0)]
    if len(counted) < 8:  # batches that outlast the window: take what there is but the first two
        counted = trace.batches[2:]
    if len(counted) < 3:
        raise ValueError(f"flow '{flow.name}' cannot be tabulated: its largest batches outlast the run")
    lasted, sizes = counted["finished"] - counted["started"], counted["records"]
    factor = (
        run_factor(c, seed, f)
        * mk.batch_noise(
            seed, f, int(counted["number"][-1]) + 1, c["spark.batch_autocorrelation"], c["spark.batch_sigma"]
        )[counted["number"]]
    )
    records = float(sizes.mean())
    return {
        "records": records, "lasted": lasted, "factor": factor,
        **_cpu(flow, here, c, records, float(counted["tasks"].mean())),
        "refresh": trace.hops.get("refresh", 0.0),
        **_profile(f, flow, trace, here, c, lasted.mean()),
    }  # fmt: skip


def run_factor(c: CoefficientSet, seed: int, flow: int) -> float:
    """What this seed's run costs over the mean of runs, as simulator.spark draws it [1]."""
    sigma = c["spark.run_sigma"]
    return math.exp(sigma * k.normal(seed, k.DICE_RUN, flow, 0, 0) - 0.5 * sigma * sigma)


def _cpu(flow: Flow, scenario: Scenario, c: CoefficientSet, records: float, tasks: float) -> dict[str, float]:
    """CPU of a batch at factor 1 [s]: what warms one executor's JVM, what of it is Python's, driver and one slot."""
    costs, spark, placement = costs_of(flow, scenario, c), scenario.spark, place(scenario, c)
    documents = records * flow.workload.documents_per_event
    bulks = documents / costs.bulk_documents if costs.has_bulks else 0.0
    work = tasks * costs.setup + documents * costs.document + bulks * costs.bulk
    slots = spark.executors * spark.cores
    in_a_row = work / tasks * math.ceil(tasks / slots) / placement.sites[placement.executors[0]].speed
    state = 0.0
    if flow.query.state:
        stage = flow.query.state.shuffle_partitions
        state = stage * costs.state_setup + documents * costs.state_row
        in_a_row += state / min(stage, slots) / placement.sites[placement.executors[0]].speed
    driver = costs.driver / placement.sites[placement.driver].speed
    python = documents * costs.python_document + bulks * costs.python_bulk
    return {"work": (costs.driver + work + state) / spark.executors, "python": python / spark.executors,
            "slot_seconds": in_a_row + driver}  # fmt: skip


def _profile(f: int, flow: Flow, trace: FlowTrace, here: Scenario, c: CoefficientSet, lasted: float) -> dict[str, Any]:
    """When groups of tasks start and end within their batch, by records, and when a record in them is indexed."""
    stateful = flow.query.state is not None
    tasks = trace.tasks[(trace.tasks["partition"] < 0) if stateful else (trace.tasks["partition"] >= 0)]
    of = {int(b["number"]): b for b in trace.batches[1:]}
    tasks = tasks[np.isin(tasks["batch"], list(of))]
    begun = np.array([of[int(t["batch"])]["started"] for t in tasks])
    spans = np.array([of[int(t["batch"])]["finished"] for t in tasks]) - begun
    starts, ends = (tasks["started"] - begun) / spans, (tasks["finished"] - begun) / spans
    weights = np.ones(len(tasks))
    if not stateful:
        shares = np.array(flow.workload.partition_shares(flow.topic.partitions))
        base = int(tasks["partition"].min())
        local, per_batch = tasks["partition"] - base, len(of)
        split = np.bincount(local, minlength=len(shares)) / per_batch
        weights = shares[local] / np.maximum(1e-9, split[local])
    order = np.argsort(ends)
    heap = np.cumsum(weights[order])
    group = np.minimum(GROUPS - 1, (heap / heap[-1] * GROUPS - 1e-9).astype(int))
    share = np.bincount(group, weights[order], GROUPS)
    mean = [np.bincount(group, (weights * x)[order], GROUPS) / np.maximum(share, 1e-12) for x in (starts, ends)]
    share = share / share.sum()
    costs = costs_of(flow, here, c)
    each = float(trace.batches["documents"].mean()) / (len(tasks) / len(of))
    bulks = max(1, math.ceil(each / costs.bulk_documents - 1e-9)) if costs.has_bulks else 1
    middle = float((share * (mean[0] + (mean[1] - mean[0]) * (bulks + 1) / (2 * bulks))).sum()) * lasted
    shift = trace.hops["process"] - middle if trace.hops else 0.0
    return {"starts": mean[0], "ends": mean[1], "weights": share, "shift": shift, "bulks": bulks}


def _table(flow: Flow, rows: list[dict[str, Any]], scenario: Scenario, c: CoefficientSet, factor: float) -> Table:
    """Rows of distinct sizes, smallest first; durations must not fall with size."""
    rows = sorted(rows, key=lambda row: row["records"])
    rows = [row for n, row in enumerate(rows) if n == 0 or row["records"] > 1.001 * rows[n - 1]["records"]]
    if len(rows) < 2:
        raise ValueError(f"flow '{flow.name}': all levels of load gave batches of one size; use level fluid")
    _explain(rows)
    columns = {name: np.array([row[name] for row in rows], dtype=np.float64) for name in rows[0]}
    rate = flow.workload.events_per_second * factor
    delay = front_of(flow, scenario.kafka, rate, place(scenario, c), c).delay
    return Table(flow=flow.name, delay=delay, **columns)


def _explain(rows: list[dict[str, Any]]) -> None:
    """Split each level's durations into a base, a part that follows the CPU factor, and the rest.

    One level's batches are too few to tell the factor's part; it is one straight line in the batch's size over all
    levels (least squares, within levels), no lower than 0 and no higher than the CPU of one slot. A factor far above 1
    (a cold JVM on a backlog) extrapolates it: waits for the index that the CPU would then hide are counted twice.
    """
    sizes = np.array([row["records"] for row in rows])
    within = [row["factor"] - row["factor"].mean() for row in rows]
    x = np.concatenate([np.stack([w, w * n / sizes[-1]], axis=1) for w, n in zip(within, sizes, strict=True)])
    y = np.concatenate([row["lasted"] - row["lasted"].mean() for row in rows])
    (fixed, growing), *_ = np.linalg.lstsq(x, y, rcond=None)
    for row, n in zip(rows, sizes, strict=True):
        lasted, factor = row.pop("lasted"), row.pop("factor")
        most = min(row.pop("slot_seconds"), float(lasted.mean() / factor.mean()))
        slope = float(np.clip(fixed + growing * n / sizes[-1], 0.0, most))
        rest = lasted - slope * factor
        row |= {"base": float(rest.mean()), "per_factor": slope, "rest": float(rest.std())}


# ---------------------------------------------------------------- the walk


def _walk(
    f: int, table: Table, scenario: Scenario, c: CoefficientSet, horizon: float, seed: int, factor: float,
    outages: Sequence[tuple[float, float]], since: float, points: int,
) -> Months:  # fmt: skip
    flow = scenario.flows[f]
    patience = 0.1 * horizon + 100 * max(flow.query.trigger, 1.0)
    times, rates = (np.array(x, dtype=np.float64) for x in flow.workload.corners(horizon + patience))
    rates = rates * factor
    totals = cumulative(times, rates, times)
    step = horizon / points
    series = np.zeros((points, 6))
    levels = len(table.records)
    slope = np.zeros((levels, k.FINE_BINS + k.COARSE_BINS + 2))
    jumps = np.zeros_like(slope)
    fine = max(1e-3, flow.query.trigger / 2000)
    coarse = (horizon + patience) / (k.COARSE_BINS - 4)
    batches, read, beyond, ended, late, wanted = mk.recurse(
        times, rates, totals, np.array(sorted(outages), dtype=np.float64).reshape(-1, 2), float(flow.query.trigger),
        float(flow.query.max_offsets_per_trigger or math.inf), table.delay, np.array([since, horizon]),
        horizon + patience, seed, f, c["spark.batch_autocorrelation"], c["spark.batch_sigma"], run_factor(c, seed, f),
        scenario.run.jvm == "cold", c["spark.warm_amplitude"], c["spark.warm_work_seconds"], table.records, table.base,
        table.per_factor, table.rest, table.work, table.python, table.starts, table.ends, table.shift, table.weights,
        table.bulks.astype(np.int64), slope, jumps, fine, coarse, k.FINE_BINS, k.COARSE_BINS, series, step,
    )  # fmt: skip
    kept = flow.workload.kept if costs_of(flow, scenario, c).has_bulks else 0.0  # what can be found at all
    latency = _latency(flow, table, slope * kept, jumps * kept, fine, coarse, wanted * kept)
    return Months(
        flow.name, latency, _series(series, step), int(batches),
        float(series[:, mk.SECONDS].sum() / max(1.0, series[:, mk.BATCHES].sum())), late / max(1, batches),
        beyond / max(read, 1.0), ended,
    )  # fmt: skip


def _series(table: Array, step: float) -> dict[str, Array]:
    """Lag, batches and their durations by equal steps of time; nan where no batch started."""
    count = table[:, mk.BATCHES]
    some = np.where(count > 0, count, np.nan)
    blank = np.where(count > 0, 1.0, np.nan)
    return {
        "time": np.arange(len(table)) * step,
        "lag_records": table[:, mk.MOST_LAG] * blank,
        "lag_seconds": table[:, mk.MOST_AGE] * blank,
        "batch_seconds": table[:, mk.SECONDS] / some,
        "records_per_second": table[:, mk.RECORDS] / step,
        "late": table[:, mk.LATE] / some,
    }


def _latency(
    flow: Flow, table: Table, slope: Array, step: Array, fine: float, coarse: float, wanted: float
) -> Histogram:
    """Latency of all levels together, each smeared over its wait for the refresh."""
    parts = []
    for level in range(len(table.records)):
        indexed = from_ramps(slope[level], step[level], fine, coarse, 0.0)
        if len(indexed.mass) and indexed.mass[-1] > 0:
            parts.append(_smeared(indexed, *_refresh_wait(flow, float(table.refresh[level]))))
    if not parts:
        return Histogram(np.zeros(1), np.zeros(1), wanted, float("nan"))
    pooled = Histogram.pooled(parts)
    missing = wanted - float(pooled.mass[-1])  # created in the window, not yet read at the end
    return Histogram(pooled.edges, pooled.mass, missing if missing > 1e-6 * wanted else 0.0, pooled.mean)


def _refresh_wait(flow: Flow, mean: float) -> tuple[float, float]:
    """Shortest wait and spread of waits for a refresh whose mean is known [s].

    A record waits for the next refresh to start (evenly, over the interval and, where that counts from a refresh's
    end, the refresh itself) and to end.
    """
    interval = flow.index.refresh_interval
    if flow.index.refresh_schedule == "fixed-rate" and mean > interval / 2:
        return mean - interval / 2, interval
    lasts = (mean - interval / 2) / 1.5
    if lasts <= 0:
        return 0.0, 2 * mean
    return lasts, interval + lasts


def _smeared(part: Histogram, least: float, spread: float) -> Histogram:
    """The histogram of a sum with an even wait from `least` to `least + spread`."""
    if spread <= 0:
        return part
    edges = np.unique(np.concatenate([part.edges + least, part.edges + least + spread]))
    gaps = np.diff(part.edges)
    area = np.concatenate([[0.0], np.cumsum(0.5 * (part.mass[1:] + part.mass[:-1]) * gaps)])

    def under(x: Array) -> Array:
        past = np.maximum(0.0, x - part.edges[-1]) * part.mass[-1]
        n = np.clip(np.searchsorted(part.edges, x, side="right") - 1, 0, len(part.edges) - 2)
        left = np.clip(x - part.edges[n], 0.0, gaps[n])
        rise = (part.mass[n + 1] - part.mass[n]) / gaps[n]
        return np.where(x <= part.edges[0], 0.0, area[n] + left * (part.mass[n] + 0.5 * rise * left) + past)

    if len(part.edges) < 2:
        share = np.clip((edges - part.edges[0] - least) / spread, 0.0, 1.0)
        return Histogram(edges, part.mass[-1] * share, part.censored, part.mean + least + spread / 2)
    mass = (under(edges - least) - under(edges - least - spread)) / spread
    return Histogram(edges, np.maximum.accumulate(np.maximum(mass, 0.0)), part.censored, part.mean + least + spread / 2)
