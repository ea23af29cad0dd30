"""One batch of level 0: tasks in waves on slots, each a customer of executors' cores and data nodes.

`v` holds a flow's numbers as arrays over candidates (`screen.py` makes it), `rest` what else takes cores. A
batch is asked for again and again with moving sizes, so the slow-downs found last time are handed back in as the
first guess (`slow`), and few rounds of the fixed point are enough.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from scipy.special import ndtri

Array = np.ndarray[Any, np.dtype[Any]]
ROUNDS = 2  # of the fixed point, each time the batch's size is moved


def _stage(v: SimpleNamespace, tasks: Array, documents: Array, setup: Array, document: Array, writes: Array,
           active: Array, rest: Any, guess: Any, tail: Any) -> SimpleNamespace:  # fmt: skip
    """Time of one task when `active` run at once: customers of executors' cores, primary and replica nodes.

    `guess` holds the slow-downs found before: of executors, of a primary's and a replica's node, of what runs there.
    """
    bulks = np.maximum(1.0, np.ceil(documents / v.spark_bulk_most - 1e-9))
    size = documents / bulks
    own = setup / bulks + size * document + v.spark_bulk * writes
    thread = own / (v.spark_weight * v.spark_speed)
    coordinate = v.search_bulk_cpu / v.search_nodes
    primary = size * v.primary_share * v.search_document_cpu / v.search_speed
    replica = size * v.replica_share * v.search_replica_cpu / v.search_speed
    in_lead = (size * v.lead_cpu + coordinate) / v.search_speed * writes
    in_follow = (size * v.follow_cpu + coordinate) / v.search_speed * writes
    spread, flying = _spread(v), np.minimum(v.spark_writers, bulks)
    cores = np.maximum(0.02, v.search_cores - rest.node)
    waits = 2 * v.search_half_trip + v.search_bulk_wait

    def task_at(work: Array, lead: Array, follow: Array) -> tuple[Array, Array]:
        elsewhere = 1 + (lead - 1) * v.primary_nodes / v.search_nodes
        response = waits + v.search_bulk_cpu / v.search_speed * elsewhere + (primary * lead + replica * follow) * spread
        response = writes * response
        return np.maximum(bulks * work + response, bulks / flying * (work + response)) + tail, response

    exec_, lead, follow, shared = guess
    for _ in range(ROUNDS):
        task, response = task_at(thread * exec_, lead, follow)
        through, alone = active * bulks / task, np.maximum(1.0, active * flying)
        others = 1 - 1 / alone
        at_lead, at_follow = through * in_lead, through * in_follow
        later = later_threads(v, rest, shared)
        on_lead = v.primary_threads + others * at_lead * lead
        shared = np.maximum(1.0, (np.minimum(on_lead, v.search_threads) + later) / cores)
        on_follow = v.replica_threads + others * at_follow * follow
        lead = 0.5 * (lead + _slowed(v, on_lead, at_lead, v.primary_threads, cores, later))
        follow = 0.5 * (follow + _slowed(v, on_follow, at_follow, v.replica_threads, cores, later))
        neighbours = np.maximum(0.0, active / v.spark_executors - 1.0) * v.spark_on_host
        beside = at_lead * lead * v.spark_nodes_beside
        weight = v.spark_weight * (1 + neighbours * np.minimum(1.0, bulks * thread * exec_ / task)) + beside
        pauses = 1 + v.spark_pauses * v.spark_speed * np.minimum(weight, v.spark_cores)
        exec_ = _stretch(weight, 0.0, v.spark_weight, np.maximum(0.02, v.spark_cores - rest.exec)) * pauses
    quiet = _slowed(v, v.primary_threads, 0.0, v.primary_threads, cores, later_threads(v, rest, 1.0))
    alone, unqueued = task_at(thread, quiet, quiet)
    return SimpleNamespace(
        task=task, alone=np.minimum(task, alone), guess=[exec_, lead, follow, shared], slow=lead, shared=shared,
        bulks=bulks, response=np.minimum(response, unqueued) * bulks / flying, cpu=bulks * thread * exec_,
        work=bulks * own, node_work=bulks * np.maximum(in_lead, in_follow),
        shown=0.5 * (task - tail) / bulks - tail
        - writes * (replica * follow * spread + v.search_bulk_wait + v.search_half_trip),
    )  # fmt: skip


def _slowed(v: SimpleNamespace, wanted: Array, busy: Any, grain: Array, cores: Array, later: Array) -> Array:
    """Time of an operation on a data node over its time alone: `wanted` threads there, `busy` threads' worth of work.

    Operations beyond the write threads queue; those that run share the cores with refreshes and merges. A pause of
    any node holds up a bulk, unless it would have queued there anyway.
    """
    queue = np.maximum(1.0, wanted / v.search_threads)
    stretched = np.maximum(queue, _stretch(wanted, later * queue, grain, cores))
    return stretched * (1 + v.search_pauses * (busy + later) * (1 + (v.primary_nodes - 1) / stretched))


def _spread(v: SimpleNamespace) -> Array:
    """Slowest of the nodes that a bulk is split over, over their mean: largest of n lognormal numbers."""
    both = (v.search_document_cpu * v.primary_share) ** 2 + (v.search_replica_cpu * v.replica_share) ** 2
    total = v.search_document_cpu * v.primary_share + v.search_replica_cpu * v.replica_share
    return 1 + largest(v.primary_nodes) * v.search_share_sigma * np.sqrt(both) / total


def largest(n: Array) -> Array:
    """Expected largest of n standard normal numbers (Blom's approximation) [1]."""
    return ndtri((n - 0.375) / (n + 0.25))


def _stretch(wanted: Array, later: Any, grain: Array, cores: Array) -> Array:
    """Mean of max(1, threads wanted / cores) when the number wanted scatters as jobs of `grain` threads do.

    `later` are threads of refreshes and merges, there or not there together.
    """
    sigma = np.sqrt(np.maximum(1e-9, (wanted - grain) * grain + 0.5 * later))
    return 1 + sigma * _excess((wanted + later - cores) / sigma) / cores


def _excess(a: Array) -> Array:
    """Mean of max(0, a + x) for a standard normal x, within 0.002 (one exponential: this is the inner loop).

    >>> [round(float(_excess(np.array(a))), 3) for a in (-1.0, 0.0, 1.0)]  # exactly 0.0833, 0.3989, 1.0833
    [0.082, 0.399, 1.082]
    """
    size = np.abs(a)
    return np.maximum(a, 0.0) + 0.39894 * np.exp(-(1.2533 + 0.33 * size) * size)


def batch_of(v: SimpleNamespace, records: Array, cycle: Array, rest: Any, slow: list[Any]) -> SimpleNamespace:
    """Duration of a batch of `records` that repeats every `cycle`."""
    documents = records * v.spark_documents
    rest = _with_later_work(v, documents, slow[6], cycle, rest)
    stateful = v.spark_state_tasks > 0
    first_writes = np.where(stateful, 0.0, v.spark_writes)
    slots = v.spark_executors * v.spark_slots
    first = slow[:3]
    read = _waves(v, v.tasks, documents, v.spark_setup, v.spark_document, first_writes, slots, rest, first, 0.0)
    slow[:3] = first
    fixed = 2 * v.spark_commit + v.spark_driver / v.spark_driver_speed
    second = None
    if stateful.any():
        n = np.maximum(1.0, v.spark_state_tasks)
        later = slow[3:6]
        second = _waves(
            v, n, documents, v.spark_state_setup, v.spark_state_row, v.spark_writes, slots, rest, later, v.spark_commit
        )
        slow[3:6] = later
        second.span = np.where(stateful, second.span, 0.0)
    writing = np.where(stateful, second.span, read.span) if second else read.span
    slow[6] = np.maximum(writing, 0.05)
    duration = fixed + read.span + (second.span if second else 0.0)
    return SimpleNamespace(
        duration=duration, records=records, documents=documents, read=read, second=second, fixed=fixed, rest=rest,
        before=v.spark_commit + v.spark_driver / v.spark_driver_speed, stateful=stateful, cycle=cycle,
    )  # fmt: skip


def _waves(v: SimpleNamespace, tasks: Array, documents: Array, setup: Array, document: Array, writes: Array,
           slots: Array, rest: Any, slow: list[Any], tail: Any) -> SimpleNamespace:  # fmt: skip
    """List scheduling of equal tasks on slots, the last wave with fewer of them; the largest task is a lower bound."""
    each = documents / tasks
    hot, typical = (v.hottest, v.typical) if tasks is v.tasks else (np.ones_like(tasks), np.ones_like(tasks))
    full = np.minimum(tasks, slots)
    whole = np.floor((tasks - 1) / slots)  # waves before the last
    last = tasks - whole * slots
    running = np.maximum(1.0, np.minimum(full, slow[2] / np.maximum(1e-9, v.spark_launch)))
    a = _stage(v, tasks, each, setup, document, writes, running, rest, slow[0], tail)
    b = _stage(v, tasks, each, setup, document, writes, np.minimum(last, running), rest, slow[1], tail)
    slow[:] = a.guess, b.guess, a.task
    # a queue that forms while tasks are still being launched is not waited for twice
    launched = v.spark_launch * last + (whole + 1) * a.alone
    even = np.maximum(np.maximum(launched, v.spark_launch * tasks + a.alone), v.spark_launch + whole * a.task + b.task)
    # scatter of tasks: their own CPU factor, and their bulks' shares
    sigma = np.sqrt(
        (v.spark_task_sigma * b.cpu) ** 2
        + (v.spark_commit_sigma * tail) ** 2
        + (v.search_share_sigma * b.response) ** 2 / b.bulks
    )
    scatter = largest(full) * np.minimum(sigma * np.sqrt(1 + whole), 0.5 * b.task)
    biggest = v.spark_launch + np.where(hot > 1.0001, hot * b.task, 0.0)
    span = np.maximum(even + scatter, biggest)
    return SimpleNamespace(
        span=span, task=b.task, typical=typical, start=np.maximum(0.0, even - b.task), work=tasks * b.work,
        held=tasks * 0.5 * (a.task + b.task), node_work=tasks * b.node_work, slow=a.slow, shared=a.shared,
        shown=b.shown,
        bulk_bytes=running * np.minimum(v.spark_writers, a.bulks) * each / a.bulks * v.search_document_bytes * writes,
        cpu=b.cpu / b.task,
    )  # fmt: skip


def _with_later_work(v: SimpleNamespace, documents: Array, writing: Array, cycle: Array, rest: Any) -> SimpleNamespace:
    """Adds what this flow leaves a node to refresh and merge: documents a second while it writes, and of a batch.

    `lasting` is how long refreshes may grow from one to the next before writing pauses (without end where it never
    does).
    """
    mine = documents * v.fresh_load * v.spark_writes
    spread = np.clip(np.minimum(cycle, v.interval), writing, np.maximum(cycle, writing))
    duty = np.minimum(1.0, spread / cycle)
    lasting = spread / np.maximum(1e-3, 1 - duty * duty)
    return SimpleNamespace(node=rest.node, exec=rest.exec, fresh=mine / spread, batch=mine, lasting=lasting)


def later_threads(v: SimpleNamespace, rest: Any, slow: Any) -> Array:
    """Threads that refreshes and merges of a node want while it is written to, slowed as they are themselves.

    A refresh starts an interval after the last one ended, a node merges on one thread: both fall behind on a full
    node rather than take it over.
    """
    merges = np.minimum(1.0, rest.fresh * v.search_merge_document_cpu / v.search_speed * slow)
    lasts = refresh_seconds(v, rest, slow)
    refreshes = np.minimum(v.shards_on, v.search_refresh_threads) * lasts / refresh_cycle(v, lasts)
    return merges + np.where(rest.fresh > 0, refreshes, 0.0)


def refresh_seconds(v: SimpleNamespace, rest: Any, slow: Any) -> Array:
    """Time of one refresh of a node that is written to [s].

    It shows what came in an interval and in the refresh before it, so it grows with itself while writing lasts (the
    third of that is read off development runs).
    """
    threads = np.minimum(v.shards_on, v.search_refresh_threads) * v.search_speed / slow
    share = v.search_refresh_document_cpu / threads
    fixed = v.shards_on * v.search_refresh_cpu / threads
    again = np.where(v.search_refresh_fixed_rate > 0, 0.0, np.minimum(0.9, rest.fresh * share))
    growing = (fixed + rest.fresh * v.interval * share) / (1 - again)
    return np.minimum(growing, fixed + rest.fresh * np.maximum(rest.lasting / 3, v.interval) * share)


def refresh_cycle(v: SimpleNamespace, lasts: Array) -> Array:
    """From one refresh to the next [s]: the interval counts from its end, or (fixed rate) from its start."""
    return np.where(v.search_refresh_fixed_rate > 0, np.maximum(v.interval, lasts), v.interval + lasts)


def first_guess(v: SimpleNamespace) -> list[Any]:
    """First guesses of the fixed points: nodes not slowed, tasks of a second."""
    one = np.ones_like(v.rate)
    four = [one, one, one, one]
    return [four, four, one, four, four, one, one]
