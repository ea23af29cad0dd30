"""Level 0: an answer without a run, for many candidates at once.

A batch is driver + checkpoint writes + waves of tasks; a task is a customer of a closed network, now on
its executor's cores, now waiting for a bulk at the data nodes, and the more tasks run the slower each
bulk (a fixed point, Schweitzer's approximation under processor sharing). The batch feeds back on itself:
what arrives while it runs is the next one. Latency is a sum of what a record waits for: its batch's
trigger, its place in the batch, the next refresh.

Scored on 30 drawn scenarios that nobody had looked at (`tests/test_simulator_screen.py fresh 30`, 2026-11-24): below
70 % of everything p99 is off by 1.7 % (median; p90 6.9 %, range -7 .. +13 %), a batch's duration by 3.4 % (p90 13 %,
-25 .. +33 %), the sustainable rate by 8 % (p90 27 %, -29 .. +43 %). An earlier held-out set of 50 had one p99 at +92 %,
where refreshes could not keep up while a batch was written; that is a load of its own now (`refresh threads`).

It is an approximation: a screen finds the hundred candidates worth simulating, it does not forecast. A
candidate above 70 % of anything is marked `simulate_me`, and its percentiles are not to be shown. Left out:
rejections and retries (marked where bytes in flight pass the limit), cold reads, JVM warm-up, a backlog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Scenario
from simulator.screen_batch import batch_of, first_guess, refresh_cycle, refresh_seconds
from simulator.screen_numbers import numbers_of, read_tasks, shard_numbers, varied

Array = np.ndarray[Any, np.dtype[Any]]

CHUNK = 8192  # candidates at a time: their arrays stay near the processor
SIZES = 14  # moves of the batch's size
GUARD = 0.7  # of capacity: above, simulate (engine.md D4)
BUSY = 0.9  # a host above this is what its permits wait for
AMORTISED = 3.0  # a batch of so many triggers (or of fixed costs) is what full load is judged at
HERMITE = ((-np.sqrt(3.0), 1 / 6), (0.0, 2 / 3), (np.sqrt(3.0), 1 / 6))  # three-point normal quadrature
HOSTS = ("executor CPU", "data-node CPU", "broker CPU", "kafka network in", "kafka network out", "data-node network",
         "executor network", "kafka volume", "data-node volume")  # fmt: skip
PERMITS = ("task slots", "write threads", "refresh threads", "bytes in flight", "batch over trigger")


@dataclass(frozen=True)
class Screened:
    """What the screen says of each candidate; flows along the second axis where there is one.

    `utilisation` is the highest of `loads` (named as hosts and permits; at the offered rate) and of offered over
    sustainable rate. `binding` names what is fullest at the sustainable rate.
    """

    sustainable: Array  # [C] factor on the offered rate
    query_factor: Array  # [C] the same of the queries alone, were cards, volumes and brokers endless
    events_per_second: Array  # [C] sustainable, all flows
    batch_seconds: Array  # [C, F]
    period_seconds: Array  # [C, F]
    batch_records: Array  # [C, F]
    p50: Array  # [C, F] seconds
    p99: Array  # [C, F]
    loads: dict[str, Array]  # [C]
    utilisation: Array  # [C]
    binding: Array  # [C] of str
    simulate_me: Array  # [C] of bool


def screen(numbers: Mapping[str, Array]) -> Screened:
    """Judge every candidate. Each number has one row a candidate, or one row for all."""
    count = max(len(v) for v in numbers.values())
    odd = {name: len(v) for name, v in numbers.items() if len(v) not in (1, count)}
    if odd:
        raise ValueError(f"numbers need 1 or {count} rows; got {odd}")
    parts = []
    for start in range(0, count, CHUNK):
        chunk = {n: v if len(v) == 1 else v[start : start + CHUNK] for n, v in numbers.items()}
        parts.append(_screen_chunk(chunk, min(CHUNK, count - start)))
    return _joined(parts)


def _joined(parts: list[Screened]) -> Screened:
    if len(parts) == 1:
        return parts[0]
    out: dict[str, Any] = {}
    for name in Screened.__dataclass_fields__:
        values = [getattr(p, name) for p in parts]
        if name == "loads":
            out[name] = {k: np.concatenate([v[k] for v in values]) for k in values[0]}
        else:
            out[name] = np.concatenate(values)
    return Screened(**out)


def _screen_chunk(numbers: Mapping[str, Array], count: int) -> Screened:
    flows = numbers["front.rate"].shape[1]
    each = [_flow(numbers, f, count) for f in range(flows)]
    offered = [v.rate for v in each]
    found = _together(each, offered)
    at_full, query = _full_load(each, offered)
    factor = query
    for _ in range(4):  # brokers' batches grow with the rate, so their load is not linear in it
        at_limit = _linear_loads(each, [rate * factor for rate in offered])
        factor = factor / np.maximum(1.0, np.max(list(at_limit.values()), axis=0))
    loads = _loads(each, found, _linear_loads(each, offered))
    full = _loads(each, at_full, at_limit)
    p50, p99 = zip(*(_latency(v, s) for v, s in zip(each, found, strict=True)), strict=True)
    slowest = np.maximum(1 / factor, np.max([loads[name] for name in loads], axis=0))
    return Screened(
        factor,
        query,
        factor * np.sum(offered, axis=0),
        np.stack([s.duration for s in found], axis=1),
        np.stack([s.period for s in found], axis=1),
        np.stack([s.records for s in found], axis=1),
        np.stack(p50, axis=1),
        np.stack(p99, axis=1),
        loads,
        slowest,
        _binding(full),
        slowest > GUARD,
    )


# ---------------------------------------------------------------- a flow's numbers, one array each


def _flow(numbers: Mapping[str, Array], f: int, count: int) -> SimpleNamespace:
    """A flow's numbers as `v.front_rate`, and what follows from its partitions, shards and rate."""
    v = SimpleNamespace()
    for name, value in numbers.items():
        row = value if value.ndim == 1 else value[:, f]
        setattr(v, name.replace(".", "_"), np.broadcast_to(row, (count, *row.shape[1:])))
    v.rate = v.front_rate
    tasks = _on_distinct(read_tasks, v.spark_partitions, v.spark_skew, v.spark_min_partitions)
    v.tasks, v.hottest, v.typical = tasks
    index = _on_distinct(shard_numbers, v.search_primaries, v.search_copies, v.search_nodes, v.search_hottest, f)
    (v.primary_nodes, v.primary_share, v.primary_threads, first, second, v.replica_share, v.replica_threads, third,
     fourth, v.shards_on) = index  # fmt: skip
    v.lead_cpu = first * v.search_document_cpu + second * v.search_replica_cpu
    v.follow_cpu = third * v.search_document_cpu + fourth * v.search_replica_cpu
    v.node_document_cpu = np.maximum(v.lead_cpu, v.follow_cpu)
    v.stored_load = np.maximum(first + second, third + fourth)
    v.fresh_load = np.maximum(first + second * v.search_replica_fresh, third + fourth * v.search_replica_fresh)
    often = np.minimum(0.2, v.search_refresh_interval)  # a refresh whenever a task closes
    v.interval = np.where(v.search_refresh_per_write > 0, often, v.search_refresh_interval)
    return v


def _on_distinct(law: Any, *columns: Any) -> list[Array]:
    """A law of whole numbers applied once to each distinct row of its arguments."""
    rows = np.stack(np.broadcast_arrays(*[np.asarray(c, dtype=np.float64) for c in columns]), axis=1)
    distinct, where = np.unique(rows, axis=0, return_inverse=True)
    values = np.array([law(*[int(x) if x == int(x) else float(x) for x in row]) for row in distinct])
    return list(values[where.ravel()].T)


# ---------------------------------------------------------------- batches that feed back on themselves


def _steady(v: SimpleNamespace, rate: Array, rest: Any) -> SimpleNamespace:
    """The batch that repeats: as many records as arrive in max(trigger, its own duration), or the cap."""
    slow, trigger = first_guess(v), v.spark_trigger
    cycle = np.maximum(trigger, 0.5)
    for _ in range(SIZES):
        records = np.maximum(1.0, np.minimum(rate * cycle, v.spark_most))
        batch = batch_of(v, records, np.maximum(cycle, records / rate), rest, slow)
        cycle = np.minimum(np.maximum(trigger, batch.duration), 10 * np.maximum(trigger, 2 * batch.fixed))
    batch.period = np.maximum(trigger, batch.duration)
    return batch


def _together(each: list[SimpleNamespace], rates: list[Array]) -> list[SimpleNamespace]:
    """Every flow's steady batch; with several flows each leaves the others the cores it does not use."""
    brokers = _brokers_beside(each, rates)
    found = [_steady(v, rate, SimpleNamespace(node=brokers, exec=0.0)) for v, rate in zip(each, rates, strict=True)]
    if len(each) == 1:
        return found
    for _ in range(2):
        used = [_used(v, s) for v, s in zip(each, found, strict=True)]
        rests = [
            SimpleNamespace(
                node=brokers + sum(u[1] for k, u in enumerate(used) if k != f),
                exec=sum(u[0] for k, u in enumerate(used) if k != f),
            )
            for f in range(len(each))
        ]
        found = [_steady(v, rate, rest) for v, rate, rest in zip(each, rates, rests, strict=True)]
    return found


def _brokers_beside(each: list[SimpleNamespace], rates: list[Array]) -> Array:
    """Cores that brokers take on a data node's host, where they share one."""
    cores = sum(broker_cpu(v, rate)[0] for v, rate in zip(each, rates, strict=True)) / each[0].front_speed
    return cores * each[0].search_brokers_beside


def _used(v: SimpleNamespace, s: SimpleNamespace) -> tuple[Array, Array]:
    """Cores that a flow takes of one executor's host and of the busiest data node, on average."""
    work = s.read.work + (np.where(s.stateful, s.second.work, 0.0) if s.second else 0.0)
    node = np.where(s.stateful, s.second.node_work, s.read.node_work) if s.second else s.read.node_work
    on_exec = work / v.spark_executors * v.spark_on_host / v.spark_speed / s.period
    return on_exec, node / s.period + _later_cores(v, s)


def _later_cores(v: SimpleNamespace, s: SimpleNamespace) -> Array:
    """Cores of a node that refreshes and merges take on average over time, were there room for all of them."""
    documents = s.rest.batch / s.period * (v.search_refresh_document_cpu + v.search_merge_document_cpu)
    busy = np.minimum(1.0, (s.rest.batch / np.maximum(s.rest.fresh, 1e-9) + v.interval) / s.period)
    cycle = refresh_cycle(v, refresh_seconds(v, s.rest, np.ones_like(busy)))
    ticks = busy * v.shards_on * v.search_refresh_cpu / cycle
    return (documents + np.where(s.rest.batch > 0, ticks, 0.0)) / v.search_speed


def _full_load(each: list[SimpleNamespace], offered: list[Array]) -> tuple[list[SimpleNamespace], Array]:
    """Batches at full load and the factor on the offered rates that they get through.

    Full load is a batch that fills its trigger, or (fixed costs shrink in longer ones) lasts `AMORTISED` times
    that; the better of the two, and never more records than the cap.
    """
    rest = SimpleNamespace(node=_brokers_beside(each, offered), exec=0.0)
    best, batches = np.full_like(offered[0], np.inf), []
    for v, rate in zip(each, offered, strict=True):
        slow, wanted = first_guess(v), _full_batch(v)
        records = np.minimum(rate * wanted, v.spark_most)
        for _ in range(SIZES):
            batch = batch_of(v, records, np.maximum(wanted, 1e-3), rest, slow)
            records = np.minimum(v.spark_most, records * np.clip(wanted / batch.duration, 0.05, 20.0))
        batch.period = np.maximum(v.spark_trigger, batch.duration)
        factor = batch.records / batch.period / rate
        best = np.minimum(best, factor)
        batches.append(batch)
    return batches, best


def _full_batch(v: SimpleNamespace) -> Array:
    """Length of the batch that full load is judged at [s]: so many triggers, or batches of next to nothing."""
    nothing, slow = SimpleNamespace(node=0.0, exec=0.0), first_guess(v)
    for _ in range(2):
        least = batch_of(v, v.tasks, np.full_like(v.rate, 1e9), nothing, slow)
    return AMORTISED * np.maximum(v.spark_trigger, least.duration)


def full_load_seconds(scenario: Scenario, coefficients: CoefficientSet) -> float:
    """Length of the batch that full load of a scenario's first flow is judged at [s]."""
    return float(_full_batch(_flow(numbers_of(scenario, coefficients), 0, 1))[0])


# ---------------------------------------------------------------- loads


def _linear_loads(each: list[SimpleNamespace], rates: list[Array]) -> dict[str, Array]:
    """Loads that need no batch: brokers, cards, volumes, at these rates [1]."""
    cpu = into = out = volume = indexed = carried = sent = 0.0
    for v, rate in zip(each, rates, strict=True):
        broker, wire = broker_cpu(v, rate)
        cpu = cpu + broker
        into, out = into + rate * wire * v.front_bytes_in, out + rate * wire * v.front_bytes_out
        volume = volume + rate * wire * v.front_bytes_in
        documents = rate * v.spark_documents * v.spark_writes
        indexed = indexed + documents * v.stored_load * v.search_stored_bytes
        carried = carried + documents * v.stored_load * v.search_document_bytes
        sent = sent + (documents * v.search_document_bytes + rate * wire) / v.spark_executors * v.spark_on_host
    v = each[0]
    background = 1 - v.front_cores / v.front_all_cores
    return {
        "broker CPU": background + cpu / v.front_speed / v.front_all_cores,
        "kafka network in": into / v.front_network,
        "kafka network out": out / v.front_network,
        "kafka volume": volume / v.front_volume,
        "data-node network": carried / v.search_network,
        "data-node volume": indexed / v.search_volume,
        "executor network": sent / v.spark_network,
    }


def broker_cpu(v: SimpleNamespace, rate: Array) -> tuple[Array, Array]:
    """CPU that a flow costs its busiest broker [reference cores], and wire bytes of a record."""
    streams = v.front_producers * np.where(v.front_keyed > 0, v.spark_partitions, 1.0)
    records = _at_knots(v, rate / streams, v.front_batch_records)
    wire = _at_knots(v, rate / streams, v.front_wire_bytes)
    return rate / records * v.front_batch_cpu + rate * wire * v.front_byte_cpu, wire


def _at_knots(v: SimpleNamespace, stream_rate: Array, table: Array) -> Array:
    """A table of the front at a rate of one stream, between its knots in log rate."""
    low, high = np.log(v.front_knots[:, 0]), np.log(v.front_knots[:, -1])
    last = v.front_knots.shape[1] - 1
    x = np.clip((np.log(np.maximum(stream_rate, 1e-12)) - low) / (high - low) * last, 0, last - 1e-9)
    k = x.astype(np.int64)
    rows = np.arange(len(k))
    return table[rows, k] + (x - k) * (table[rows, k + 1] - table[rows, k])


def _loads(each: list[SimpleNamespace], batches: list[SimpleNamespace], linear: dict[str, Array]) -> dict[str, Array]:
    """Every named load, at the batches given."""
    v = each[0]
    used = [_used(w, s) for w, s in zip(each, batches, strict=True)]
    slots = v.spark_executors * v.spark_slots
    held = threads = flying = over = refreshing = 0.0
    for w, s, (_, node) in zip(each, batches, used, strict=True):
        second = np.where(s.stateful, s.second.held, 0.0) if s.second else 0.0
        held = held + (s.read.held + second) / s.period
        threads = threads + (node - _later_cores(w, s)) * s.read.slow
        writing = (
            s.rest.fresh * w.search_refresh_document_cpu / w.search_speed
        )  # while the batch writes, not on average
        refreshing = np.maximum(refreshing, writing / np.minimum(w.shards_on, w.search_refresh_threads))
        flying = flying + s.read.bulk_bytes / w.search_nodes
        over = np.maximum(over, np.where(w.spark_trigger > 0, s.duration / np.maximum(w.spark_trigger, 1e-9), 0.0))
    on_exec = sum(u[0] for u in used) + sum(u[1] for u in used) * v.spark_nodes_beside
    on_node = sum(u[1] for u in used) + sum(u[0] for u in used) * v.search_executors_beside
    on_node = on_node + _brokers_beside(each, [w.rate for w in each])
    return linear | {
        "task slots": np.minimum(1.0, held / slots),
        "executor CPU": np.minimum(1.0, 1 - (v.spark_cores - on_exec) / v.spark_all_cores),
        "data-node CPU": np.minimum(1.0, 1 - (v.search_cores - on_node) / v.search_all_cores),
        "write threads": np.minimum(1.0, threads / v.search_threads),
        "refresh threads": refreshing,
        "bytes in flight": flying / v.search_limit,
        "batch over trigger": over,
    }


def _binding(loads: dict[str, Array]) -> Array:
    """What binds: a host, card or volume that is all but full (its permits only queue for it), else what is fullest."""
    names = np.array([*HOSTS, *(p for p in PERMITS if p != "batch over trigger")])
    table = np.stack([loads[name] for name in names])
    hosts = table[: len(HOSTS)]
    full = hosts.max(axis=0) >= BUSY
    return np.where(full, names[hosts.argmax(axis=0)], names[table.argmax(axis=0)])


# ---------------------------------------------------------------- latency


def _latency(v: SimpleNamespace, s: SimpleNamespace) -> tuple[Array, Array]:
    """Median and 99th percentile from creation to the first search that can find the record [s].

    A sum of uniform waits (place in the trigger less place in the task, start of the task, refresh) and of the
    batch's own scatter, at independent phases.
    """
    stage = s.read
    streams = v.front_producers * np.where(v.front_keyed > 0, v.spark_partitions, 1.0)
    delay = _at_knots(v, v.rate / streams, v.front_delay)
    task, shown, start = stage.task * stage.typical, stage.shown, stage.start
    before = s.before
    if s.second is not None:
        before = before + np.where(s.stateful, stage.span, 0.0)
        task = np.where(s.stateful, s.second.task, task)
        shown, start = np.where(s.stateful, s.second.shown, shown), np.where(s.stateful, s.second.start, start)
    refresh = refresh_seconds(v, s.rest, stage.shared)
    wait = np.where(
        v.search_refresh_per_write > 0, np.minimum(v.search_refresh_interval, task), v.search_refresh_interval
    )
    place = np.abs(s.period - task)
    floor = delay + before + np.minimum(s.period, task) + shown + refresh
    tied = np.where(s.duration >= s.period * 0.999, 2.0, 1.0)
    sigma = v.spark_batch_sigma * stage.cpu * stage.span * tied
    cycle = np.where(v.search_refresh_fixed_rate > 0, np.maximum(wait, refresh), wait + refresh)
    widths = [np.maximum(w, 1e-4) for w in (place, start, cycle)]
    return _quantile(0.5, floor, widths, sigma), _quantile(0.99, floor, widths, sigma)


def _quantile(q: float, floor: Array, widths: list[Array], sigma: Array) -> Array:
    """Quantile of floor + three uniform numbers + a normal one, by bisection."""
    low, high = floor - 4 * sigma, floor + sum(widths) + 4 * sigma
    for _ in range(18):
        middle = 0.5 * (low + high)
        share = sum(weight * _three_uniforms(middle - floor - z * sigma, *widths) for z, weight in HERMITE)
        low, high = np.where(share < q, middle, low), np.where(share < q, high, middle)
    return 0.5 * (low + high)


def _three_uniforms(x: Array, a: Array, b: Array, c: Array) -> Array:
    """Share of sums of three uniform numbers (0..a, 0..b, 0..c) below x: inclusion and exclusion of corners.

    >>> [round(float(_three_uniforms(x, 1.0, 1.0, 1.0)), 4) for x in (0.0, 1.0, 1.5, 3.0)]
    [0.0, 0.1667, 0.5, 1.0]
    """
    total = 0.0
    for sign, corner in ((1, 0.0), (-1, a), (-1, b), (-1, c), (1, a + b), (1, a + c), (1, b + c), (-1, a + b + c)):
        left = np.maximum(0.0, x - corner)
        total = total + sign * left * left * left
    return np.clip(total / (6 * a * b * c), 0.0, 1.0)


__all__ = ["Screened", "numbers_of", "screen", "varied"]
