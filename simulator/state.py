"""The tables of a run before its first event: everything that changes while it lasts, at its proven size."""

from __future__ import annotations

import math

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Flow, Scenario
from simulator import kernels as k
from simulator.kafka import Front

MOST_CELLS = 3_000_000  # of creation curves, all partitions together
CELLS_A_TRIGGER = 20.0
CELL_SECONDS = (0.05, 0.5)  # shortest and longest
MOST_BATCHES = 40_000_000  # producer batches that the exact front will simulate
KEPT_TASKS = 6000
PENDING = 1024  # entries of a node between two refreshes; grows
NEVER = 2**62  # key of an event that comes after all others


def state_tables(
    scenario: Scenario,
    c: CoefficientSet,
    lay: dict[str, np.ndarray],
    fronts: list[Front],
    peaks: list[float],
    ends: tuple[float, float],
    exact: bool,
    seed: int,
) -> dict[str, np.ndarray]:
    """Tables that change, before the first event; sizes are proven from slots, threads and links.

    `ends` are those of the window and of the longest run [s]: the log has room for the first, and grows.
    """
    flows, nodes, hosts = len(lay["document_cpu"]), len(lay["node_host"]), len(lay["host_cores"])
    partitions, links, streams = len(lay["partition_flow"]), len(lay["link_from"]), len(lay["stream_flow"])
    slots = scenario.spark.executors * scenario.spark.cores
    tasks = sum(_most_tasks(flow) for flow in scenario.flows) + 8
    groups = lay["primary_share"].shape[1]
    bulks = slots * int(lay["writers"].max()) + 8
    events = tasks + bulks + 2 * flows * nodes + hosts + 2 * streams + 2 * links + 64
    jobs = (
        slots
        + 2 * bulks
        + int(lay["node_threads"].sum())
        + (flows + 1) * nodes
        + int(lay["broker_threads"].sum())
        + 2 * links
        + 64
    )
    logged, batches = _front_batches(fronts, peaks, ends, partitions) if exact else (2, 2)
    copies = max([1] + [flow.topic.copies - 1 for flow in scenario.flows])

    def ints(*shape: int) -> np.ndarray:
        return np.broadcast_to(np.int64(0), shape)

    def zeros(shape: int | tuple[int, ...]) -> np.ndarray:
        return np.broadcast_to(0.0, shape)

    bins = (flows, k.FINE_BINS + k.COARSE_BINS + 2)
    gaps = np.array(
        [
            math.inf if r <= 0 else k.exponential(seed, k.DICE_PAUSE_GAP, h, 0, 0) / r
            for h, r in enumerate(lay["pause_rate"])
        ]
    )
    idle = np.zeros((hosts, jobs, 2))
    idle[:, 0, k.V] = math.inf
    pauses = np.zeros((hosts, 4), dtype=np.int64)
    pauses[:, k.KIND], pauses[:, k.A] = k.HOST_PAUSE, np.arange(hosts)
    return dict(  # noqa: C408  (a hundred names read better so)
        link_work=zeros(links),
        event_time=zeros(events),
        event=ints(events, 4),
        post_time=zeros(links + 1),  # a link has one fetch under way
        post=ints(links + 1, 4),
        host_time=zeros(hosts),
        host_v=zeros(hosts),
        host_work=zeros(hosts),
        host_busy=zeros(hosts),
        host_weight=zeros(hosts),
        host_share=lay["host_speed"].copy(),
        host_paused=ints(hosts),
        host_pauses=ints(hosts),
        pause_at=gaps,
        host_next=np.full(-(-hosts // 4) * 4, math.inf),  # hosts are compared by fours: some never do anything
        host_next_key=np.where(np.arange(-(-hosts // 4) * 4) < hosts, 0, NEVER),
        host_next_is_pause=ints(hosts),
        pause_event=pauses,
        host_stale=ints(hosts),
        stale=ints(hosts),
        host_jobs=ints(hosts),
        job_float=idle,
        job=ints(hosts, jobs, 5),
        exec_amplitude=zeros(scenario.spark.executors),
        exec_warm_work=np.full(scenario.spark.executors, c["spark.warm_work_seconds"]),
        exec_work=zeros(scenario.spark.executors),
        exec_free=np.full(scenario.spark.executors, scenario.spark.cores, dtype=np.int64),
        slot_seconds=zeros(scenario.spark.executors),
        write_seconds=zeros(nodes),
        write_seen=zeros(nodes),
        ready=ints(tasks),
        task_flow=ints(tasks),
        task_batch=ints(tasks),
        task_number=ints(tasks),
        task_partition=ints(tasks),
        task_from=zeros(tasks),
        task_to=zeros(tasks),
        task_documents=zeros(tasks),
        task_bulks=ints(tasks),
        task_next=ints(tasks),
        task_flight=ints(tasks),
        task_setup=zeros(tasks),
        task_document_cpu=zeros(tasks),
        task_bulk_cpu=zeros(tasks),
        task_weight=zeros(tasks),
        task_fetch=zeros(tasks),
        task_tail=zeros(tasks),
        task_c0=zeros(tasks),
        task_c1=zeros(tasks),
        task_exec=ints(tasks),
        task_attempt=ints(tasks),
        task_failed=ints(tasks),
        task_piece=ints(tasks),
        task_started=zeros(tasks),
        task_sink_wait=zeros(tasks),
        task_bits=ints(tasks, groups, 1),
        task_state=ints(tasks),
        task_epoch=ints(tasks),
        task_ghosts=ints(tasks),
        stage_row=ints(flows, tasks),
        stage_tasks=ints(flows),
        task_free=np.arange(tasks, dtype=np.int64)[::-1].copy(),
        stage_left=ints(flows),
        stage_cut=zeros(flows),
        stage_sink_wait=zeros(flows),
        bulk_task=ints(bulks),
        bulk_index=ints(bulks),
        bulk_documents=zeros(bulks),
        bulk_share=zeros(bulks),
        task_share=zeros(tasks),
        bulk_c0=zeros(bulks),
        bulk_c1=zeros(bulks),
        task_point=ints(tasks),
        bulk_node=ints(bulks),
        bulk_left=ints(bulks),
        bulk_attempt=ints(bulks),
        bulk_sent=zeros(bulks),
        bulk_todo=ints(bulks, groups),
        bulk_state=ints(bulks),
        bulk_place=ints(bulks),
        bulk_key=ints(bulks),
        bulk_leaves=zeros(bulks),
        bulk_fatal=ints(bulks),
        node_down=ints(nodes),
        index_block=ints(flows),
        bulk_bytes=zeros(bulks),
        bulk_free=np.arange(bulks, dtype=np.int64)[::-1].copy(),
        node_work=zeros(nodes),
        node_free=lay["node_threads"].copy(),
        node_bytes=zeros(nodes),
        node_queue=ints(nodes, bulks * max(nodes + 1, 2 * groups) + 8),
        queue_head=ints(nodes),
        queue_length=ints(nodes),
        queue_ops=ints(nodes),
        fresh=zeros((flows, nodes)),
        refreshing=ints(flows, nodes),
        refresh_mark=ints(flows, nodes),
        refresh_documents=zeros((flows, nodes)),
        merging=ints(nodes),
        merge_debt=zeros(nodes),
        merge_bytes=zeros(nodes),
        merge_flush=zeros(nodes),
        pend_head=ints(flows, nodes),
        pend_length=ints(flows, nodes),
        pend_c0=zeros((flows, nodes, PENDING)),
        pend_c1=zeros((flows, nodes, PENDING)),
        pend_mass=zeros((flows, nodes, PENDING)),
        pend_in_window=zeros((flows, nodes, PENDING)),
        pend_time=zeros((flows, nodes, PENDING)),
        pend_cut=zeros((flows, nodes, PENDING)),
        curve_time=zeros((partitions, 2 * batches + 8)),
        curve_count=zeros((partitions, 2 * batches + 8)),
        curve_length=np.ones(partitions, dtype=np.int64),
        slope=zeros(bins),
        step=zeros(bins),
        hops=zeros((flows, 4)),
        counts=zeros((flows, 8)),
        task_log=zeros((KEPT_TASKS, 6)),
        done_kind=ints(64),
        done_a=ints(64),
        stream_clock=zeros(streams),
        stream_k=ints(streams),
        stream_n=zeros(streams),
        stream_first=zeros(streams),
        stream_part=ints(streams),
        blocked=ints(flows, streams + 1),
        blocked_n=ints(flows),
        unsent=zeros(flows),
        unsent_batches=ints(flows),
        part_line=zeros((partitions, 64, 4)),
        part_head=ints(partitions),
        part_length=ints(partitions),
        part_busy=ints(partitions),
        broker_free=lay["broker_threads"].copy(),
        broker_queue=ints(len(lay["broker_host"]), partitions + 1),
        broker_head=ints(len(lay["broker_host"])),
        broker_length=ints(len(lay["broker_host"])),
        log_count=ints(partitions),
        log_end=zeros(partitions),
        log=zeros((partitions, logged + 4, 5)),
        fetched=ints(partitions, copies),
        acked=ints(partitions, copies),
        commit_count=ints(partitions),
        link_busy=ints(links),
        link_news=ints(links),
        link_upto=ints(len(lay["link_partition"])),
        publish_slope=zeros(bins if exact else (flows, 1)),
        publish_step=zeros(bins if exact else (flows, 1)),
    )


def _most_tasks(flow: Flow) -> int:
    read = max(flow.topic.partitions, 2 * (flow.query.min_partitions or 0) + flow.topic.partitions)
    return max(read, flow.query.state.shuffle_partitions if flow.query.state else 0)


def _front_batches(
    fronts: list[Front], peaks: list[float], ends: tuple[float, float], partitions: int
) -> tuple[int, int]:
    """Producer batches of a partition by the end of the window and of the run [count]; refuses what is out of reach."""
    rate = sum(peak / front.batch_records for front, peak in zip(fronts, peaks, strict=True))
    total = rate * ends[1]
    if total > MOST_BATCHES:
        raise ValueError(
            f"the exact front would simulate {total:.3g} producer batches; expected {MOST_BATCHES:.0g} or fewer: "
            "shorten run.measure, lengthen linger, or use level 'fluid'"
        )
    return int(rate * ends[0] / partitions * 1.3) + 64, int(total / partitions * 1.3) + 64


def curves(scenario: Scenario, corners: list, base: np.ndarray, until: float, seed: int) -> dict[str, np.ndarray]:
    """Creation curves of a fluid front: cells fine enough for the arrivals, corners of the rate kept."""
    trigger = min(flow.query.trigger for flow in scenario.flows)
    cell = min(max(trigger / CELLS_A_TRIGGER, CELL_SECONDS[0]), CELL_SECONDS[1])
    cells = int(min(until / cell, max(64.0, MOST_CELLS / base[-1]))) + 1
    marks = [t for times, _ in corners for t in times if t < until]
    times = np.unique(np.concatenate([np.linspace(0.0, until, cells), marks]))
    curve_time = np.broadcast_to(times, (base[-1], len(times))).copy()
    count = np.zeros((base[-1], len(times)))
    for f, flow in enumerate(scenario.flows):
        expected = cumulative(*corners[f], times)
        for p, share in enumerate(flow.workload.partition_shares(flow.topic.partitions)):
            k.draw_curve(seed, f, p, times, expected * share, flow.workload.arrivals, count[base[f] + p])
    lengths = np.full(base[-1], len(times), dtype=np.int64)
    return {"curve_time": curve_time, "curve_count": count, "curve_length": lengths}


def cumulative(times: np.ndarray, rates: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Events expected by each time under stepwise rates [events]."""
    total = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(times))])
    where = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 1)
    return total[where] + rates[where] * (at - times[where])
