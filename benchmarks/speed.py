"""Speed, as ratios within one run: `make bench`.

The pipeline is the one of the fact sheet on engines: 100,000 events/s in 48 partitions, trigger 2 s, bulks of
1,000 to 12 shards on 3 nodes, with shared cores, merges and pauses on. Every figure is CPU time of this process
(or of a child), never a wall clock alone: machines are shared. The levels are first shown to walk the same path.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import simpy

from models.coefficients import load_set
from models.stack import Run, Scenario
from models.units import KIB
from simulator.run import simulate
from simulator.trace import Trace

SAME_PATH_SECONDS = 1e-9


def pipeline(measure: float, scale: float = 1.0) -> Scenario:
    """The pipeline that all figures speak of; at another `scale`, events come in as many batches and bulks, each so
    much larger.
    """
    flow = {
        "workload": {"rate": 100_000 * scale, "size": 500},
        "topic": {"partitions": 48, "producer": {"count": 12, "batch_size": 16 * KIB * scale}},
        "query": {
            "trigger": "2 s",
            "checkpoint": "hdfs",
            "sink": {"kind": "jvm-connector", "bulk_entries": round(1000 * scale)},
        },
        "index": {"primaries": 12, "copies": 2},
    }
    return Scenario(
        name="bench",
        flows=(flow,),  # type: ignore[arg-type]
        kafka={"brokers": 6, "zones": 3, "machine": "m7g.2xlarge"},
        spark={"executors": 4, "cores": 4, "machine": "m7g.2xlarge"},
        elasticsearch={"data_nodes": 3, "machine": "r7g.4xlarge"},
        run=Run(measure=measure, warm_up=4),
    )


@dataclass
class Figure:
    """One measured line: what, its value, its unit, and the goal it stands beside."""

    what: str
    value: float
    unit: str
    goal: str = ""

    def show(self) -> str:
        return f"{self.what:<68} {self.value:>12,.4g} {self.unit:<16} {self.goal}"


def cpu_of(action: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Least CPU time of several runs and the last answer: the least is what the work costs when left alone."""
    best, answer = float("inf"), None
    for _ in range(repeats):
        start = time.process_time()
        answer = action()
        best = min(best, time.process_time() - start)
    return best, answer


def same_path(one: Trace, other: Trace) -> float:
    """Largest difference of any batch's end between two runs [s]; raises if it is not one path."""
    ends = [trace.flows["events"].batches["finished"] for trace in (one, other)]
    if len(ends[0]) != len(ends[1]):
        raise SystemExit(f"the two engines ran {len(ends[0])} and {len(ends[1])} batches: not one path")
    apart = float(np.abs(ends[0] - ends[1]).max())
    if apart > SAME_PATH_SECONDS:
        raise SystemExit(f"batch ends differ by {apart:.3g} s: not one path")
    return apart


def mm1_of_simpy(customers: int) -> float:
    """CPU of a customer of the ordinary SimPy M/M/1 (Resource, a process each), the peers' yardstick [s]."""
    generator = np.random.default_rng(1)
    gaps, services = generator.exponential(1.25, customers), generator.exponential(1.0, customers)

    def customer(env: simpy.Environment, server: simpy.Resource, service: float):
        with server.request() as turn:
            yield turn
            yield env.timeout(service)

    def source(env: simpy.Environment, server: simpy.Resource):
        for gap, service in zip(gaps, services, strict=True):
            yield env.timeout(gap)
            env.process(customer(env, server, service))

    start = time.process_time()
    env = simpy.Environment()
    env.process(source(env, simpy.Resource(env)))
    env.run()
    return (time.process_time() - start) / customers


def mm1_of_reference(customers: int) -> float:
    """CPU of a customer of an M/M/1-PS on the reference's own host [s]."""
    from simulator.layout import build
    from simulator.reference import Host

    env, built = simpy.Environment(), build(pipeline(1.0), load_set("generic-2026-11"), 1, False, 1.0, (0.0, 1.0), 2.0)
    host = Host(env, built.memory, 0, 1)
    host.cores, host.speed, host.pause_at = 1.0, 1.0, float("inf")
    generator = np.random.default_rng(1)
    gaps, services = generator.exponential(1.25, customers), generator.exponential(1.0, customers)

    def source():
        for gap, service in zip(gaps, services, strict=True):
            yield env.timeout(gap)
            host.work(float(service))

    start = time.process_time()
    env.process(source())
    env.run()
    return (time.process_time() - start) / customers


def engines(seconds: float, repeats: int) -> list[Figure]:
    """Kernels beside the reference: one path, and how many times less CPU a simulated second costs."""
    c, scenario = load_set("generic-2026-11"), pipeline(seconds)
    simulate(scenario, c, level="exact")  # compile
    slow, oracle = cpu_of(lambda: simulate(scenario, c, level="reference"), 1)
    apart = same_path(oracle, simulate(scenario, c, level="exact"))
    slow /= oracle.ended
    long = pipeline(10 * seconds)
    exact, run = cpu_of(lambda: simulate(long, c, level="exact"), repeats)
    fluid, smooth = cpu_of(lambda: simulate(long, c, level="fluid"), repeats)
    return [
        Figure("batch ends, reference against exact: largest difference", apart, "s", "1e-9"),
        Figure("reference.py, CPU of a simulated second", slow * 1e3, "ms"),
        Figure("exact front, CPU of a simulated second", exact / run.ended * 1e3, "ms"),
        Figure("fluid front, CPU of a simulated second", fluid / smooth.ended * 1e3, "ms"),
        Figure("exact front over reference.py", slow / (exact / run.ended), "times", "200"),
        Figure("fluid front over reference.py", slow / (fluid / smooth.ended), "times", "1,000"),
        Figure("fluid against exact: p50 of latency", _apart(smooth, run, 0.5), "%"),
        Figure("fluid against exact: p99 of latency", _apart(smooth, run, 0.99), "%"),
    ]


def _apart(one: Trace, other: Trace, q: float) -> float:
    return 100 * abs(one.latency.quantile(q) / other.latency.quantile(q) - 1)


def scaling(repeats: int) -> list[Figure]:
    """One simulated hour, and whether cost follows the event rate (it must not: batches and bulks are what costs)."""
    c, hour = load_set("generic-2026-11"), pipeline(3600.0)
    cpu, run = cpu_of(lambda: simulate(hour, c), repeats)
    figures = [Figure("one simulated hour, fluid front", cpu / run.ended * 3600, "CPU s", "2")]
    for level in ("fluid", "exact"):
        few, _ = cpu_of(lambda level=level: simulate(pipeline(60.0, 0.1), c, level=level), 2 * repeats)
        many, _ = cpu_of(lambda level=level: simulate(pipeline(60.0), c, level=level), 2 * repeats)
        figures.append(
            Figure(f"{level} front, CPU at ten times the events in as many batches", many / few, "times", "1")
        )
    return figures


def month() -> list[Figure]:
    """Thirty days through tables."""
    from simulator.months import months, tabulate

    c, scenario, horizon = load_set("generic-2026-11"), pipeline(60.0), 30 * 86400.0
    months(scenario, c, 3600.0)  # compile
    built, tables = cpu_of(lambda: tabulate(scenario, c, horizon), 1)
    cpu, _ = cpu_of(lambda: months(scenario, c, horizon, tables=tables), 2)
    return [Figure("tables for long horizons", built, "CPU s"), Figure("30 days from them", cpu, "CPU s", "2")]


def forecast_of_events(environment: dict[str, str] | None = None) -> tuple[float, float]:
    """CPU and wall seconds of a whole `floodmark forecast` of the packaged example, as a user starts it."""
    command = [sys.executable, "-m", "planner", "forecast", "-", "--json"]
    from planner.scenario import example_text

    text = example_text("events").encode()
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        command, input=text, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, env=environment
    )
    after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - began
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def start_up() -> list[Figure]:
    """Forecasts with kernels already compiled."""
    usage, walls = zip(*(forecast_of_events() for _ in range(4)), strict=True)
    return [
        Figure("floodmark forecast events, warm", min(usage), "CPU s"),
        Figure("floodmark forecast events, warm", min(walls), "wall s", "1.5 on an idle core"),
        Figure("its peak memory", resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, "MiB", "250"),
    ]


def cold_start() -> list[Figure]:
    """The very first forecast, which compiles."""
    with tempfile.TemporaryDirectory() as folder:
        usage, _ = forecast_of_events(dict(os.environ, NUMBA_CACHE_DIR=folder))
    return [Figure("floodmark forecast events, cold: kernels are compiled", usage, "CPU s")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs: for a look, not for the record")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    seconds, repeats, customers = (4.0, 2, 20_000) if asked.quick else (10.0, 5, 100_000)
    started = start_up()  # first: a child's peak memory counts this process as it was when it was forked
    plain, ours = mm1_of_simpy(customers), mm1_of_reference(customers)
    figures = [
        Figure("plain SimPy M/M/1, CPU of a customer", plain * 1e6, "us"),
        Figure("reference.py's host as M/M/1-PS, CPU of a customer", ours * 1e6, "us"),
        Figure("reference.py over plain SimPy, CPU of a customer", ours / plain, "times"),
        *engines(seconds, repeats),
        *([] if asked.quick else scaling(2)),
        *month(),
        *started,
        *([] if asked.quick else cold_start()),
    ]
    if asked.json:
        print(json.dumps([figure.__dict__ for figure in figures], indent=1))
    else:
        print("\n".join(figure.show() for figure in figures))


if __name__ == "__main__":
    main()
