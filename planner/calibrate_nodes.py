"""Today's cluster replayed node by node: each broker and data node beside its own forecast.

A cluster's total may come out right while one node does twice its share. Recorded nodes and simulated hosts share no
names, so they are paired by rank: the busiest with the busiest. What is held against each other is the CPU of each
node's process, and by how much what it holds on disk grew; a node whose disk shrank (retention, merges) says nothing
of growth and is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import mean

from calibration.lab import LabRun, OneNode
from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.backtest_scenario import scenario_of
from planner.engine import simulate
from simulator.elasticsearch import index_ratio
from simulator.hosts import place
from simulator.kafka import front_of
from simulator.trace import Trace

ROLES = {"kafka": "kafka", "search": "elasticsearch"}
TOLERANCE = {"CPU": 0.15, "disk": 0.10}


def by_node(run: LabRun, c: CoefficientSet, seeds: Sequence[int]) -> dict[str, list[tuple[float, float]]]:
    """By quantity (forecast, measured) of each node, largest first; empty for a stack of single nodes, or one whose
    nodes were not told apart."""
    if not run.exported or not run.nodes:
        return {}
    scenario = scenario_of(run)
    traces = [simulate(scenario, c, seed=seed) for seed in seeds]
    start, end = run.window()
    found = {}
    for system, count in (("kafka", scenario.kafka.brokers), ("search", scenario.elasticsearch.data_nodes)):
        mine = [node for node in run.nodes if node.system == system]
        if count < 2 or len(mine) != count:
            continue
        used = _cores(traces, ROLES[system])
        seen = [node.cpu.rate(start, end) for node in mine if node.cpu is not None and _covers(node, start, end)]
        if len(used) == len(seen) == count:
            found[f"CPU of {system}, node by node"] = _ranked(used, seen)
        grown = [_grown(node, start, end) for node in mine]
        if all(bytes_ is not None and bytes_ > 0 for bytes_ in grown):
            told = _growth(run, scenario, c, system) / count
            found[f"disk of {system}, node by node"] = _ranked([told] * count, [float(b or 0.0) for b in grown])
    return found


def worst(pairs: Sequence[tuple[float, float]]) -> float:
    """The largest error of any node, with its sign: forecast over measured, less one.

    >>> round(worst([(1.0, 1.0), (1.0, 2.0)]), 2)
    -0.5
    """
    return max((told / seen - 1 for told, seen in pairs if seen > 0), key=abs, default=math.nan)


def _ranked(told: Sequence[float], seen: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(sorted(told, reverse=True), sorted(seen, reverse=True), strict=True))


def _cores(traces: Sequence[Trace], role: str) -> list[float]:
    """CPU of each host that only that role lives on, mean over runs [cores]; none where hosts are shared."""
    hosts = [h.name for h in traces[0].hosts if role in h.roles]
    if any(set(h.roles) != {role} for h in traces[0].hosts if h.name in hosts):
        return []
    return [mean(h.utilisation * h.cores for t in traces for h in t.hosts if h.name == name) for name in hosts]


def _covers(node: OneNode, start: float, end: float) -> bool:
    """Whether its CPU was sampled over all but a tenth of the window."""
    if node.cpu is None or len(node.cpu.t) < 2:
        return False
    slack, t = 0.1 * (end - start), node.cpu.t
    return bool(t[0] <= start + slack and t[-1] >= end - slack)


def _grown(node: OneNode, start: float, end: float) -> float | None:
    """Bytes that a node's disk grew by; None where it was not sampled or ever shrank."""
    if node.disk is None:
        return None
    value = node.disk.value[(node.disk.t >= start) & (node.disk.t <= end)]
    return float(value[-1] - value[0]) if len(value) > 1 and (value[1:] >= value[:-1]).all() else None


def _growth(run: LabRun, scenario: Scenario, c: CoefficientSet, system: str) -> float:
    """Bytes that all nodes of a system grow by over the run, all copies [bytes]."""
    flow, placement, total = scenario.flows[0], place(scenario, c), 0.0
    for seconds, rate in run.experiment.plan:
        if system == "kafka" and rate > 0:
            total += seconds * rate * front_of(flow, scenario.kafka, rate, placement, c).wire_bytes * flow.topic.copies
        if system == "search":
            documents = seconds * rate * flow.workload.documents_per_event * flow.workload.kept
            total += documents * flow.workload.json_bytes * index_ratio(flow, c) * flow.index.copies
    return total
