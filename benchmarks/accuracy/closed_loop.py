"""Bulk clients in a closed loop, through the simulator: each sends a bulk, waits for its answer, sends the next.

A benchmark's client is a Spark task whose own work costs next to nothing: as many slots as clients, a topic of
as many partitions filled beforehand, read to its end in batches. Throughput is counted between the first batch's
end and the last's, so what is left at each batch's end, where the last bulk is waited for, is part of it: with
`BULKS_A_TASK` bulks a client between two such ends it is a few per cent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Scenario
from simulator.run import simulate

BULKS_A_TASK = 25
LEAST_BATCHES = 6
AFTERWARDS = 40.0  # times as long arrivals go on, unread: a reader whose partition stands still waits for its fetch
NOTHING = 1e-9  # of a client's own costs
CLIENT_COSTS = (
    "spark.batch_cpu_seconds", "spark.task_cpu_seconds", "spark.record_cpu_seconds", "spark.byte_cpu_seconds",
    "spark.launch_seconds", "spark.local_commit_seconds", "sink.jvm_record_cpu_seconds", "sink.jvm_bulk_cpu_seconds",
    "spark.run_sigma", "spark.batch_sigma", "spark.task_sigma", "spark.pause_per_cpu_second", "spark.idle_cpu_cores",
)  # fmt: skip


@dataclass(frozen=True)
class Loop:
    """One closed-loop benchmark: its index, its nodes and its clients. `hosts` are machines by hand, if any."""

    nodes: int
    machine: str
    json_bytes: float
    primaries: int
    copies: int
    bulk_documents: int
    clients: int
    replication: str = "document"
    codec: str = "default"
    mapping: str = "explicit"
    kind: str = "self-managed-opensearch"
    version: str = "2.11"
    cold: bool = False
    one_core: bool = False
    client_seconds: float = 0.0


def scenario_of(loop: Loop, documents_per_second: float, seconds: float, cpu_ratio: float) -> Scenario:
    """The benchmark as a scenario: its documents lie in the topic before it starts, `seconds` of them at that rate."""
    sink = {
        "kind": "jvm-connector", "bulk_entries": loop.bulk_documents, "bulk_bytes": "100 MiB",
        "retry": {"attempts": 1000, "wait": "0.1 s"},
    }  # fmt: skip
    batch = loop.clients * loop.bulk_documents * BULKS_A_TASK
    index: dict[str, Any] = {"primaries": loop.primaries, "copies": loop.copies, "replication": loop.replication}
    index |= {"codec": loop.codec, "mapping": loop.mapping, "cpu_ratio": cpu_ratio}
    client = {"name": "client", "cores": 2 * loop.clients, "memory": "256 GiB", "network": "100 GB/s"}
    hosts: list[dict[str, Any]] = [client]
    volume = {"size": "2 TB", "throughput": "1000 MiB/s"}
    cluster: dict[str, Any] = {"kind": loop.kind, "version": loop.version, "data_nodes": loop.nodes, "zones": 1}
    cluster |= {"volume": volume, "machine": loop.machine}
    if loop.one_core:
        hosts.append({"name": "node", "cores": 1, "memory": "12 GiB", "network": "1 GB/s"})
        cluster |= {"hosts": ["node"], "write_threads": 1, "heap": "1 GiB"}
    steps = [(seconds, documents_per_second), (AFTERWARDS * seconds, documents_per_second)]
    query = {"trigger": "available now", "max_offsets_per_trigger": batch, "checkpoint": "local", "sink": sink}
    flow = {
        "workload": {"size": loop.json_bytes, "arrivals": "deterministic", "steps": steps},
        "topic": {"partitions": loop.clients, "copies": 1, "min_insync": 1},
        "query": query,
        "index": index,
    }
    brokers = {"kind": "self-managed", "version": "3.9", "brokers": 1, "zones": 1, "hosts": ["client"], "tls": False}
    told: dict[str, Any] = {
        "name": "closed loop",
        "hosts": hosts,
        "flows": [flow],
        "kafka": brokers,
        "spark": {"kind": "ec2", "executors": 1, "cores": loop.clients, "hosts": ["client"]},
        "elasticsearch": cluster,
        "run": {"jvm": "cold" if loop.cold else "warm", "warm_up": 0.0, "measure": seconds},
    }
    return Scenario.model_validate(told)


def throughput(
    loop: Loop, c: CoefficientSet, guess: float, cpu_ratio: float = 1.0, seed: int = 1, after: float = 0.0,
    seconds: float = 60.0,
) -> float:  # fmt: skip
    """Documents a second of a closed loop, from `after` seconds past its start on.

    `guess` documents a second times `seconds` are sent in all, and six batches at least: a rough guess will do.
    """
    seconds = max(seconds, LEAST_BATCHES * loop.clients * loop.bulk_documents * BULKS_A_TASK / guess)
    free = c.with_values(
        dict.fromkeys(CLIENT_COSTS, NOTHING) | {"sink.jvm_bulk_cpu_seconds": max(NOTHING, loop.client_seconds)}
    )
    trace = simulate(scenario_of(loop, guess, seconds, cpu_ratio), free, seed=seed)
    batches = trace.flows["events"].batches
    if len(batches) < 3:
        raise ValueError(f"{len(batches)} batches in {trace.ended:.0f} s; send more documents, or smaller batches")
    begun = batches["started"] - batches["started"][0]
    first = max(1, int(np.searchsorted(begun, after)))
    span = float(batches["finished"][-1] - batches["started"][first])
    return float(batches["documents"][first:].sum()) / span


def mean_throughput(
    loop: Loop, c: CoefficientSet, guess: float, cpu_ratio: float, seeds: Sequence[int]
) -> float:  # fmt: skip
    """Documents a second over several seeds."""
    return float(np.mean([throughput(loop, c, guess, cpu_ratio, s) for s in seeds]))


def cpu_ratio_of(loop: Loop, c: CoefficientSet, measured: float, seeds: Sequence[int]) -> float:
    """`index.cpu_ratio` at which the loop has the measured throughput, within half a per cent [1]."""
    low, high = 0.05, 20.0
    while high / low > 1.005:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if mean_throughput(loop, c, measured, middle, seeds) > measured else (low, middle)
    return (low * high) ** 0.5
