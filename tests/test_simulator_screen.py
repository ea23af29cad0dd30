"""Level 0 against the fluid level, on scenarios drawn with fixed seeds, and what must hold of any screen."""

from __future__ import annotations

import math
import random
import sys
import time
from dataclasses import dataclass

import numpy as np

from models.coefficients import load_set
from models.stack import Scenario
from planner.throughput import steady, sustainable
from simulator.run import simulate
from simulator.screen import full_load_seconds, numbers_of, screen, varied

GENERIC = load_set("generic-2026-11").with_values({"spark.run_sigma": 0.0})  # the screen tells the mean of runs
DEVELOPMENT, HELD_OUT = range(1000, 1100), range(5000, 5100)  # seeds of drawn scenarios; the second is scored, never tuned on


def drawn(seed: int) -> Scenario:
    """A scenario of a seed, over the fields that a recommendation varies."""
    r = random.Random(seed)
    nodes, kind = r.choice([2, 3, 3, 4, 6, 9]), r.choice(["jvm-connector", "jvm-connector", "jvm-foreach", "python-foreach"])
    primaries = r.choice([nodes, nodes, 2 * nodes, max(1, nodes // 2), 1, 6])
    query = {
        "trigger": r.choice([0.0, 1.0, 2.0, 5.0, 10.0, 30.0]),
        "checkpoint": r.choice(["s3", "s3", "hdfs", "local"]),
        "sink": {"kind": kind, "bulk_entries": r.choice([250, 500, 1000, 1000, 5000]), "writers_per_task": r.choice([1, 1, 1, 2])},
        "min_partitions": r.choice([None, None, None, 64]),
        "transform_cpu_ratio": r.choice([1.0, 1.0, 3.0]),
    }
    if r.random() < 0.15:
        query["state"] = {"shuffle_partitions": r.choice([16, 48])}
    return Scenario(
        name=f"drawn {seed}",
        flows=[
            {
                "workload": {
                    "rate": 10 ** r.uniform(3, 5),
                    "size": 10 ** r.uniform(2.2, 3.2),
                    "partition_skew": r.choice([0.0, 0.0, 0.0, 0.4]),
                },
                "topic": {"partitions": r.choice([6, 12, 24, 48, 96]), "producer": {"compression": "lz4"}},
                "query": query,
                "index": {"primaries": primaries, "copies": r.choice([1, 2, 2, 3]), "refresh_interval": r.choice([1.0, 1.0, 5.0, 10.0])},
            }
        ],
        kafka={"brokers": 6, "zones": 3, "machine": "m7g.4xlarge", "volume": {"size": 1e12, "throughput": 1e9}},
        spark={"executors": r.choice([1, 2, 4, 8]), "cores": r.choice([2, 4, 8]), "machine": r.choice(["m7g.2xlarge", "m7i.2xlarge"])},
        elasticsearch={
            "data_nodes": nodes,
            "machine": r.choice(["r7g.large", "r7g.xlarge", "r7g.2xlarge", "r6i.2xlarge"]),
            "volume": {"size": 1e12, "throughput": 1e9},
        },
    )  # fmt: skip


@dataclass(frozen=True)
class Score:
    """One scenario: screened over simulated, less 1. p99 and duration at three loads below 70 % of capacity."""

    seed: int
    capacity: float
    by_slope: float
    binding: str
    durations: list[float]
    p50s: list[float]
    p99s: list[float]
    loads: list[float]


def at_rate(scenario: Scenario, rate: float) -> Scenario:
    flow = scenario.flows[0]
    load = flow.workload.model_copy(update={"rate": rate})
    return scenario.model_copy(update={"flows": (flow.model_copy(update={"workload": load}),)})


def merging_after(scenario: Scenario) -> float:
    """When merges are steady: ten segments have gathered and the first merges run [s]."""
    return 14 * scenario.flows[0].index.refresh_interval


def simulated(scenario: Scenario, seeds: int = 4) -> tuple[float, float, float]:
    """Mean batch duration, median and 99th percentile, pooled over seeds."""
    trigger = max(1.0, scenario.flows[0].query.trigger)
    found = []
    for seed in range(seeds):
        trace = simulate(steady(scenario, 24 * trigger, max(8 * trigger, merging_after(scenario))), GENERIC, seed=100 + seed)
        flow = trace.flows["events"]
        batches = flow.counted(trace.measured_from, trace.measured_until)
        found.append((np.mean(batches["finished"] - batches["started"]), flow.latency.quantile(0.5), flow.latency.quantile(0.99)))
    return tuple(float(x) for x in np.mean(found, axis=0))


def capacity_simulated(scenario: Scenario, predicted: float) -> float:
    """Factor on the rate that batches as long as the screen's full load get through, from overloaded runs.

    Batches grow from one to the next; records over duration is read at the length that the screen judges.
    """
    length, flow = full_load_seconds(scenario, GENERIC), scenario.flows[0]
    before, rate = merging_after(scenario), predicted * flow.workload.events_per_second
    points = []
    for seed in range(3):
        for over in (1.25, 1.8):
            steps = ((before, 0.7 * rate), (6 * length, over * rate))
            load = flow.workload.model_copy(update={"steps": steps, "rate": None})
            run = scenario.run.model_copy(update={"warm_up": before, "measure": 6 * length})
            here = scenario.model_copy(update={"flows": (flow.model_copy(update={"workload": load}),), "run": run})
            batches = simulate(here, GENERIC, seed=200 + seed).flows["events"].batches
            lasted = batches["finished"] - batches["started"]
            keep = (lasted > length / 3) & (lasted < length * 3) & (batches["started"] > before)
            points += list(zip(lasted[keep], batches["records"][keep], strict=True))
    if len(points) < 4:
        return math.nan
    lasted, records = np.array(points).T
    slope, level = np.polyfit(np.log(lasted / length), np.log(records / lasted), 1)
    return math.exp(level) / flow.workload.events_per_second


def score(seed: int, loads: tuple[float, ...] = (0.15, 0.4, 0.65), slope_test: bool = False) -> Score:
    scenario = drawn(seed)
    rate = scenario.flows[0].workload.events_per_second
    whole = screen(numbers_of(scenario, GENERIC))
    predicted = float(whole.query_factor[0])
    truth = capacity_simulated(scenario, predicted)
    slope = sustainable(scenario, GENERIC, simulate, 1).factor if slope_test else math.nan
    kept = Score(seed, predicted / truth - 1, whole.sustainable[0] / slope - 1, str(whole.binding[0]), [], [], [], [])
    for load in loads:
        here = at_rate(scenario, rate * truth * load)
        told = screen(numbers_of(here, GENERIC))
        if told.simulate_me[0]:
            continue
        seen = simulated(here)
        kept.durations.append(float(told.batch_seconds[0, 0]) / seen[0] - 1)
        kept.p50s.append(float(told.p50[0, 0]) / seen[1] - 1)
        kept.p99s.append(float(told.p99[0, 0]) / seen[2] - 1)
        kept.loads.append(load)
    return kept


def spread(errors: list[float]) -> tuple[float, float, float, float]:
    """Median and 90th percentile of the size of errors, and the lowest and highest."""
    size = np.abs(errors)
    return float(np.median(size)), float(np.quantile(size, 0.9)), float(np.min(errors)), float(np.max(errors))


if __name__ == "__main__":
    which, count = sys.argv[1], int(sys.argv[2])
    seeds = (DEVELOPMENT if which == "development" else HELD_OUT)[:count]
    began = time.process_time()
    scores = []
    for seed in seeds:
        try:
            scores.append(score(seed, slope_test=len(sys.argv) > 3))
        except ValueError as error:
            print(seed, "refused:", error)
            continue
        s = scores[-1]
        flow = drawn(seed).flows[0]
        print(seed, f"cap {s.capacity:+.3f} slope {s.by_slope:+.3f} {s.binding:18s} trig {flow.query.trigger:g} {flow.query.sink.kind[:6]} w{flow.query.sink.writers_per_task}"
              f" st{int(flow.query.state is not None)} sk{flow.workload.partition_skew}", " ".join(f"[{l:.2f} dur {d:+.3f} p50 {a:+.3f} p99 {b:+.3f}]" for l, d, a, b in zip(s.loads, s.durations, s.p50s, s.p99s)), flush=True)  # fmt: skip
    for name, errors in (
        ("capacity", [s.capacity for s in scores]), ("by slope", [s.by_slope for s in scores]), ("duration", sum([s.durations for s in scores], [])),
        ("p50", sum([s.p50s for s in scores], [])), ("p99", sum([s.p99s for s in scores], [])),
    ):  # fmt: skip
        print(name, len(errors), "median {:.3f} p90 {:.3f} range {:+.3f} .. {:+.3f}".format(*spread([e for e in errors if math.isfinite(e)] or [math.nan])))
    print("CPU s", time.process_time() - began)
