"""From nouns to arrays: the layout of one run, and its state before the first event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Flow, Scenario
from simulator import elasticsearch as es
from simulator import kafka as front_room
from simulator import kernels as k
from simulator.hosts import Placement, mean_trip, place
from simulator.kafka import Front
from simulator.memory import Memory
from simulator.spark import costs_of
from simulator.state import curves, state_tables

Bursts = Sequence[tuple[float, float, float]]


@dataclass
class Built:
    """A layout with what the control plane needs beside it."""

    memory: Memory
    placement: Placement
    fronts: list[Front]
    partition_base: np.ndarray
    corners: list[tuple[np.ndarray, np.ndarray]]
    until: float
    shards: list[es.Shards]


def build(
    scenario: Scenario,
    c: CoefficientSet,
    seed: int,
    exact: bool,
    rate_factor: float,
    window: tuple[float, float],
    until: float,
    bursts: Bursts = (),
    shards_move: bool = False,
) -> Built:
    """Layout and state of one run that may last until `until` [s].

    `bursts` are stretches (from, to, factor) in which every flow's rate is another; `shards_move`: data nodes may be
    lost, so shards are grouped by all the nodes that they lie on.
    """
    placement = place(scenario, c)
    corners = [_burst(_corners(flow, until, rate_factor), bursts) for flow in scenario.flows]
    peaks = [float(rates.max()) for _, rates in corners]
    fronts = [
        front_room.front_of(flow, scenario.kafka, _typical(corner), placement, c)
        for flow, corner in zip(scenario.flows, corners, strict=True)
    ]
    spend_background(scenario, c, placement, fronts, corners, exact)
    base = np.cumsum([0] + [flow.topic.partitions for flow in scenario.flows]).astype(np.int64)
    nodes = scenario.elasticsearch.data_nodes
    group = es.groups_of if shards_move else es.shards_of
    shards = es.padded([group(flow, nodes, f) for f, flow in enumerate(scenario.flows)])
    tables = layout_tables(scenario, c, placement, fronts, corners, base, exact, shards)
    tables |= state_tables(scenario, c, tables, fronts, peaks, (window[1], until), exact, seed)
    if not exact:
        tables |= curves(scenario, corners, base, until, seed)
    memory = Memory(tables)
    _set_scalars(memory, placement, seed, exact, window, until)
    memory.I[k.GROUPS_ARE_NODES] = int(not shards_move)
    if exact:
        _open_streams(memory)
    _first_refreshes(scenario, memory)
    return Built(memory, placement, fronts, base, corners, until, shards)


def _corners(flow: Flow, until: float, factor: float) -> tuple[np.ndarray, np.ndarray]:
    times, rates = flow.workload.corners(until)
    return np.array(times), np.array(rates) * factor


def _burst(corner: tuple[np.ndarray, np.ndarray], bursts: Bursts) -> tuple[np.ndarray, np.ndarray]:
    """The rate with stretches of another: corners at their edges, rates multiplied in between."""
    if not bursts:
        return corner
    times, rates = corner
    marks = np.unique(np.concatenate([times, [t for start, end, _ in bursts for t in (start, end)]]))
    rate = rates[np.clip(np.searchsorted(times, marks, side="right") - 1, 0, len(rates) - 1)]
    for start, end, factor in bursts:
        rate = np.where((marks >= start) & (marks < end), rate * factor, rate)
    return marks, rate


def _typical(corner: tuple[np.ndarray, np.ndarray]) -> float:
    """The rate that batching is sized at: the highest of the run, where it matters most."""
    return float(corner[1].max())


def spend_background(
    scenario: Scenario, c: CoefficientSet, placement: Placement, fronts: list[Front], corners: list, exact: bool
) -> None:
    """CPU that the model does not simulate event by event, taken from each site's cores: idle burn, searches, and
    (with a fluid front) the brokers at the run's first rate. `run.py` follows the rate from there.
    """
    for k_site in placement.brokers:
        placement.sites[k_site].background_cores += c["kafka.idle_cpu_cores"] / placement.sites[k_site].speed
    for k_site in placement.executors:
        placement.sites[k_site].background_cores += c["spark.idle_cpu_cores"] / placement.sites[k_site].speed
    cores = es.search_cores(scenario, c)
    for k_site in placement.nodes:
        site = placement.sites[k_site]
        site.background_cores += (c["search.idle_cpu_cores"] + cores) / site.speed


def front_cores(
    scenario: Scenario, placement: Placement, fronts: list[Front], rates: list[float], exact: bool,
    homes: list[front_room.Homes] | None = None,
) -> dict[int, float]:  # fmt: skip
    """Cores that the front takes on each site at these rates [threads]: the brokers' work, or (exact) only readers'."""
    spent: dict[int, float] = {}
    for f, (flow, front, rate) in enumerate(zip(scenario.flows, fronts, rates, strict=True)):
        if exact:
            used = front_room.consumer_cpu(flow, front, scenario.kafka, rate)
        else:
            used = front_room.broker_cpu(flow, front, scenario.kafka, rate, homes[f] if homes is not None else None)
        for site, cpu in zip(placement.brokers, used, strict=True):
            spent[site] = spent.get(site, 0.0) + cpu / placement.sites[site].speed
    return spent


def layout_tables(
    scenario: Scenario,
    c: CoefficientSet,
    placement: Placement,
    fronts: list[Front],
    corners: list,
    base: np.ndarray,
    exact: bool,
    shards: list[es.Shards] | None = None,
) -> dict[str, np.ndarray]:
    """Tables that do not change while a run lasts (but for what a fault changes). `shards` are by node if not given."""
    if shards is None:
        nodes = scenario.elasticsearch.data_nodes
        shards = [es.shards_of(flow, nodes, f) for f, flow in enumerate(scenario.flows)]
    flows, sites = scenario.flows, placement.sites
    costs = [costs_of(flow, scenario, c) for flow in flows]
    numbers = es.node_numbers(scenario, placement)

    def per_flow(values) -> np.ndarray:
        return np.array(list(values), dtype=np.float64)

    rate_at, rate = _rate_tables(corners)
    ratio = [es.index_ratio(flow, c) * flow.workload.json_bytes * c["search.merge_amplification"] for flow in flows]
    streams = _streams(scenario, fronts, base, exact)
    searching = set(placement.nodes)
    running = set(placement.executors)
    return dict(
        host_cores=np.array([site.cores_left for site in sites]),
        host_speed=np.array([site.speed for site in sites]),
        pause_rate=np.array(
            [
                (c["spark.pause_per_cpu_second"] if s in running else 0.0)
                + (c["search.pause_per_cpu_second"] if s in searching else 0.0)
                for s in range(len(sites))
            ]
        ),
        pause_mean=np.array(
            [c["spark.pause_seconds"] if s in running else c["search.pause_seconds"] for s in range(len(sites))]
        ),
        exec_host=np.array(placement.executors, dtype=np.int64),
        node_host=np.array(placement.nodes, dtype=np.int64),
        warm_amplitude=np.full(len(placement.nodes), c["search.warm_amplitude"] if scenario.run.jvm == "cold" else 0.0),
        node_idle=np.full(len(placement.nodes), c["search.idle_cpu_cores"] + es.search_cores(scenario, c)),
        warm_work=np.full(len(placement.nodes), c["search.warm_work_seconds"]),
        **numbers,
        primary_share=np.array([s.primary_share for s in shards]),
        primary_threads=np.array([s.primary_threads for s in shards]),
        primary_node=np.array([s.primary_node for s in shards]),
        replica_share=np.array([s.replica_share for s in shards]),
        replica_threads=np.array([s.replica_threads for s in shards]),
        shards_on=np.array([s.shards_on for s in shards]),
        document_cpu=per_flow(es.document_cpu(flow, c) + es.decryption_cpu(flow, scenario, c) for flow in flows),
        replica_cpu=per_flow(es.replica_cpu(flow, c) for flow in flows),
        replica_fresh=per_flow(float(flow.index.replication == "document") for flow in flows),
        bulk_cpu=np.full(len(flows), c["search.bulk_cpu_seconds"]),
        bulk_wait=per_flow(es.bulk_wait(flow, scenario, placement, c) for flow in flows),
        half_trip=np.full(len(flows), mean_trip(placement, placement.executors, placement.nodes, c)),
        share_sigma=per_flow(es.share_sigma(f, x.bulk_documents, c) for f, x in zip(flows, costs, strict=True)),
        bulk_most=per_flow(x.bulk_documents for x in costs),
        document_bytes=per_flow(flow.workload.json_bytes for flow in flows),
        documents_per_record=per_flow(flow.workload.fan_out for flow in flows),
        refresh_fixed_rate=np.array([int(f.index.refresh_schedule == "fixed-rate") for f in flows], dtype=np.int64),
        refresh_interval=per_flow(flow.index.refresh_interval for flow in flows),
        refresh_cpu=np.full(len(flows), c["search.refresh_cpu_seconds"]),
        refresh_document_cpu=np.full(len(flows), c["search.refresh_document_cpu_seconds"]),
        merge_document_cpu=per_flow(r * c["search.merge_byte_cpu_seconds"] for r in ratio),
        merge_document_bytes=per_flow(ratio),
        retry_attempts=np.array([flow.query.sink.retry.attempts for flow in flows], dtype=np.int64),
        retry_wait=per_flow(flow.query.sink.retry.wait for flow in flows),
        retry_multiplier=per_flow(flow.query.sink.retry.multiplier for flow in flows),
        retry_longest=per_flow(flow.query.sink.retry.longest for flow in flows),
        connect_fatal=np.array([int(f.query.sink.kind == "jvm-connector") for f in flows], dtype=np.int64),
        refresh_per_write=np.array([int(flow.query.sink.refresh_per_write) for flow in flows], dtype=np.int64),
        writers=np.array([flow.query.sink.writers_per_task for flow in flows], dtype=np.int64),
        automatic_ids=per_flow(float(flow.query.sink.ids == "automatic") for flow in flows),
        partition_flow=np.repeat(np.arange(len(flows)), np.diff(base)).astype(np.int64),
        partition_base=base,
        broker_host=np.array(placement.brokers, dtype=np.int64),
        broker_threads=np.full(len(placement.brokers), scenario.kafka.io_threads, dtype=np.int64),
        partition_shares=np.concatenate([np.cumsum(f.workload.partition_shares(f.topic.partitions)) for f in flows]),
        **streams,
        poisson_share=per_flow(min(1.0, flow.workload.arrivals) for flow in flows),
        rate_at=rate_at,
        rate=rate,
        linger=per_flow(f.linger for f in fronts),
        most_records=per_flow(f.most_records for f in fronts),
        wire_bytes=per_flow(f.wire_bytes for f in fronts),
        request_cpu=per_flow(f.request_cpu for f in fronts),
        append_byte_cpu=per_flow(f.append_byte_cpu for f in fronts),
        append_wait=per_flow(f.append_wait for f in fronts),
        serve_cpu=per_flow(f.serve_cpu for f in fronts),
        serve_byte_cpu=per_flow(f.serve_byte_cpu for f in fronts),
        follow_cpu=per_flow(f.follow_cpu for f in fronts),
        follow_byte_cpu=per_flow(f.follow_byte_cpu for f in fronts),
        front_trip=per_flow(f.trip for f in fronts),
        acks=np.array([{"0": 0, "1": 1, "all": 2}[flow.topic.producer.acks] for flow in flows], dtype=np.int64),
        buffer_bytes=per_flow(f.buffer_bytes for f in fronts),
        **front_room.links(scenario),
    )


def _rate_tables(corners: list) -> tuple[np.ndarray, np.ndarray]:
    """Rates of all flows as one table: times padded with the last."""
    width = max(len(times) for times, _ in corners)
    at, rate = np.zeros((len(corners), width)), np.zeros((len(corners), width))
    for f, (times, rates) in enumerate(corners):
        at[f], rate[f] = times[-1], rates[-1]
        at[f, : len(times)], rate[f, : len(times)] = times, rates
    return at, rate


def _streams(scenario: Scenario, fronts: list[Front], base: np.ndarray, exact: bool) -> dict[str, np.ndarray]:
    """Streams of producer batches: one a producer if they stick, one a producer and partition if keyed."""
    flow_of, partition, share = [], [], []
    for f, (flow, front) in enumerate(zip(scenario.flows, fronts, strict=True)):
        if not exact:
            continue
        producers = flow.topic.producer.count
        parts = [(-1, 1.0)] if front.sticky else list(enumerate(flow.workload.partition_shares(flow.topic.partitions)))
        for p, weight in parts:
            for _ in range(producers):
                flow_of.append(f)
                partition.append(-1 if p < 0 else base[f] + p)
                share.append(weight / producers)
    return {
        "stream_flow": np.array(flow_of, dtype=np.int64),
        "stream_partition": np.array(partition, dtype=np.int64),
        "stream_share": np.array(share, dtype=np.float64),
    }


def _set_scalars(
    m: Memory, placement: Placement, seed: int, exact: bool, window: tuple[float, float], until: float
) -> None:
    m.I[k.SEED], m.I[k.EXACT_FRONT], m.I[k.DRIVER_HOST] = seed, int(exact), placement.driver
    m.I[k.FREE_TASKS], m.I[k.FREE_BULKS] = len(m.task_free), len(m.bulk_free)
    m.F[k.WINDOW_FROM], m.F[k.WINDOW_UNTIL] = window
    m.F[k.FINE_WIDTH] = 1e-3
    m.F[k.COARSE_WIDTH] = (until - window[0] + 1.0) / (k.COARSE_BINS - 4)


def _open_streams(m: Memory) -> None:
    """Every stream of producer batches draws its first."""
    for stream in range(len(m.stream_flow)):
        k.open_batch(m.I, m.F, stream)


def _first_refreshes(scenario: Scenario, m: Memory) -> None:
    """Refreshes start at a phase of their own on each node, or all at once (run.phase aligned)."""
    for f in range(len(m.document_cpu)):
        for n in range(len(m.node_host)):
            if m.shards_on[f, n] > 0:
                phase = k.uniform(int(m.I[k.SEED]), k.DICE_PHASE, f, n, 0) if scenario.run.phase == "random" else 1.0
                k.push(m.I, m.F, phase * m.refresh_interval[f], k.REFRESH_DUE, f, n)
