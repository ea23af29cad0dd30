"""Memory: what each process takes of its host, beside the setting that its owner wrote.

A heap setting is not what a process takes: a container reserves more, resident memory climbs past the
heap, and what is left over is page cache that Kafka's tail reads and the index's searches live on.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from models.coefficients import CoefficientSet
from models.elasticsearch import heap_bytes, pressure_limit_bytes
from models.kafka import page_cache_seconds
from models.machines import machine
from models.spark import container_bytes, resident_bytes
from models.stack import Scenario
from models.units import GIB
from planner.places import place
from planner.storage import document_bytes, index_shares, stored_event_bytes, topic_shares

SYSTEM_BYTES = 1 * GIB  # kernel and agents; the same headroom as models.kafka.page_cache_seconds


@dataclass(frozen=True)
class Ledger:
    """Memory of one process of each kind [bytes]. None: the scenario does not say what its host has."""

    process: str
    count: int
    heap_bytes: float
    reserved_bytes: float
    evidence: str
    resident_bytes: float | None = None
    host_bytes: float | None = None
    page_cache_bytes: float | None = None
    page_cache_seconds: float | None = None
    in_flight_limit_bytes: float | None = None
    state_bytes: float | None = None
    hot_bytes: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def memory(scenario: Scenario, coefficients: CoefficientSet) -> list[Ledger]:
    """Ledgers of a broker, an executor and a data node."""
    return [_broker(scenario), _executor(scenario), _data_node(scenario, coefficients)]


def _broker(scenario: Scenario) -> Ledger:
    host = place(scenario, "kafka").memory_bytes
    heap = scenario.kafka.heap
    per_broker = [
        sum(topic_shares(scenario, f)[b] * f.workload.events_per_second * stored_event_bytes(f) for f in scenario.flows)
        for b in range(scenario.kafka.brokers)
    ]
    seconds = None if host is None else page_cache_seconds(host, heap, max(per_broker))
    cache = None if host is None else max(0.0, host - heap - SYSTEM_BYTES)
    return Ledger(
        "broker",
        scenario.kafka.brokers,
        heap,
        heap,
        "kafka.md A7: the newest writes",
        host_bytes=host,
        page_cache_bytes=cache,
        page_cache_seconds=seconds,
    )


def _executor(scenario: Scenario) -> Ledger:
    spark = scenario.spark
    python = any(flow.query.sink.kind == "python-foreach" for flow in scenario.flows)
    manager = "yarn" if spark.kind == "emr-ec2" else "standalone"
    reserved = container_bytes(spark.heap, spark.memory_overhead, python, manager)
    resident = resident_bytes(spark.heap, spark.cores if python else 0)
    host = place(scenario, "spark").memory_bytes
    return Ledger(
        "executor",
        spark.executors,
        spark.heap,
        reserved,
        "spark.md C1, C5: measured; state A4",
        resident_bytes=resident,
        host_bytes=host,
        state_bytes=state_bytes(scenario),
    )


def state_bytes(scenario: Scenario) -> float:
    """State that one executor holds [bytes]: on its heap under the HDFS-backed store, beside it under RocksDB.

    Source: spark.md A4; the bytes of a key are those of two versions.
    """
    states = [flow.query.state for flow in scenario.flows if flow.query.state is not None]
    return sum(state.keys * state.bytes_per_key for state in states) / scenario.spark.executors


def data_node_heap(scenario: Scenario) -> float | None:
    """Heap of a data node [bytes]; None where neither the scenario nor its host says."""
    cluster, host = scenario.elasticsearch, place(scenario, "elasticsearch").memory_bytes
    if cluster.heap is not None:
        return cluster.heap
    return None if host is None else heap_bytes(host, cluster.kind == "opensearch-service")


def _data_node(scenario: Scenario, coefficients: CoefficientSet) -> Ledger:
    host, heap = place(scenario, "elasticsearch").memory_bytes, data_node_heap(scenario)
    known = heap or 0.0
    cache = None if host is None else max(0.0, host - known - SYSTEM_BYTES)
    limit = pressure_limit_bytes(known) if heap is not None else None
    hot = hot_bytes(scenario, coefficients)
    return Ledger(
        "data node",
        scenario.elasticsearch.data_nodes,
        known,
        known,
        "elasticsearch.md B1, B3",
        host_bytes=host,
        page_cache_bytes=cache,
        in_flight_limit_bytes=limit,
        hot_bytes=hot,
    )


def hot_bytes(scenario: Scenario, coefficients: CoefficientSet) -> float:
    """What searches want in the page cache of the fullest node, once retention is full [bytes]."""
    wanted = [0.0] * scenario.elasticsearch.data_nodes
    for flow in scenario.flows:
        if flow.index.search.rate > 0:
            documents = flow.workload.events_per_second * flow.workload.documents_per_event * flow.index.retention
            held = documents * document_bytes(flow, coefficients) * flow.index.search.hot
            wanted = [w + held * share for w, share in zip(wanted, index_shares(scenario, flow), strict=True)]
    return max(wanted)


def yarn_bytes(machine_type: str) -> float:
    """Memory that EMR lets YARN hand out on a machine [bytes].

    Source: spark.md C6, fitted to EMR's own table of 2022 (m5, c5, r5 and m6g, c6g, r6g); newer families are
    taken to follow their architecture (not in that table).

    >>> round(yarn_bytes("m5.2xlarge") / GIB, 2), round(yarn_bytes("m6g.4xlarge") / GIB, 2)
    (24.0, 53.0)
    """
    box = machine(machine_type)
    ram = box.memory_bytes
    if box.architecture == "x86_64":
        return 0.75 * ram if ram <= 32 * GIB else ram - 8 * GIB
    less = ((64, 11), (128, 14), (256, 20), (512, 32))
    if ram <= 32 * GIB:
        return 0.715 * ram
    return ram - next((gib for limit, gib in less if ram <= limit * GIB), 32) * GIB
