"""What gives way over months: each rule looks at the hours and names the first at which something ends.

Rules: disks at their marks; what that does to readers and, when retention ends, to records; peaks and growth past the
query's capacity; promises; network cards and volumes; burst credits; merges; memory; shards. A rule says nothing where
nothing gives way within the horizon.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from models.coefficients import CoefficientSet
from models.credits import Bucket, cpu_bucket, ebs_bucket, network_bucket
from models.machines import machine
from models.memory import MEMORY_MAPS_PER_SEGMENT, MOST_MEMORY_MAPS
from models.spark import AVAILABLE_NOW, NEVER
from models.stack import Scenario
from models.storage import indices_kept
from models.units import DAY, GIB, show
from planner.checks_memory import HEAP_FULL
from planner.checks_shards import SHARDS_A_NODE
from planner.limits import limits
from planner.memory import data_node_heap, memory, until_told
from planner.months_ahead import STEP, Array, Breaking, Capacity, Load, at_levels, unread
from planner.months_blocks import Blocked
from planner.months_disks import blocked_writes, index_disks, lost_records, topic_disks
from planner.months_hours import Hours, day_of
from planner.storage import document_bytes, index_shares, segments_per_broker
from simulator.months_slow import bucket, debt
from simulator.screen import Screened, screen
from simulator.screen_numbers import numbers_of

GUARD = 0.7  # of anything: above it the screen's percentiles are not to be shown
POINTS = 14  # rates that are screened between the least and the greatest
LATE = 0.5  # share of an hour's batches


def all_breaks(
    scenario: Scenario, c: CoefficientSet, loads: Sequence[Load], series: dict[str, Array],
    capacity: Sequence[Capacity], shut: Blocked,
) -> tuple[list[Breaking], dict[str, Array]]:  # fmt: skip
    """Everything that gives way, and the series that were worked out for it."""
    hours = Hours(scenario, c, loads, series, capacity, shut)
    found = list(topic_disks(hours))
    stops = min((b.day * DAY for b in found if b.severity == "critical"), default=None)
    hours.more.update(unread(loads, capacity, stops, shut.open))
    for rule in (index_disks, blocked_writes, *RULES):
        found += rule(hours)
    found += lost_records(hours, stops)
    return found, hours.more


def overload(h: Hours) -> Iterator[Breaking]:
    """Peaks past capacity, and the day from which the lag never dies away."""
    for number, (load, able) in enumerate(zip(h.loads, h.capacity, strict=True)):
        if not math.isfinite(able.per_second):
            continue
        where, told = f"flows[{number}].query", f"{show(able.per_second, '1/s')} are got through ({able.evidence})"
        day = day_of(load.peak > able.per_second)
        if day is not None:
            hours = int((load.mean > able.per_second).sum())
            yield Breaking(
                "peak-over-capacity",
                day,
                "warning",
                where,
                f"a peak of flow '{load.flow.name}' is more than it gets through",
                f"{show(float(load.peak[load.peak > able.per_second][0]), '1/s')} arrive; {told}; {hours} hours of the "
                "horizon are above",
                "more of what binds (floodmark forecast names it), or bear the lag",
                "spark.md A3, L6",
            )
        a_day = round(DAY / STEP)
        daily = load.mean[: len(load.mean) // a_day * a_day].reshape(-1, a_day).mean(axis=1)
        over = daily > able.per_second
        last_under = np.flatnonzero(~over)
        since = 0 if not len(last_under) else int(last_under[-1]) + 1
        if since < len(daily):
            yield Breaking(
                "lag-for-good",
                float(since),
                "critical",
                where,
                f"flow '{load.flow.name}' grows past what is got through, for good: the lag never dies away again",
                f"{show(float(daily[since]), '1/s')} on that day's mean; {told}",
                "more slots, less fixed work in a batch, or more data nodes before that day",
                "spark.md L6",
            )


def late_batches(h: Hours) -> Iterator[Breaking]:
    late = h.series.get("late")
    if late is None:
        return
    seen = np.nan_to_num(late) > LATE
    day = day_of(seen)
    if day is not None and max(load.flow.query.trigger for load in h.loads) > 0:
        first = int(np.flatnonzero(seen)[0])
        yield Breaking(
            "batches-late",
            day,
            "warning",
            "flows",
            "most batches of an hour outlast their trigger",
            f"{late[first]:.0%} of them, {show(float(h.series['batch_seconds'][first]), 's')} each on the mean; "
            f"{int(seen.sum())} such hours in the horizon",
            "a longer trigger, less fixed work in a batch, or more slots",
            "spark.md A3",
        )


def _screened(h: Hours) -> tuple[Array, list[Screened]] | None:
    """The screen at rates from the least to the greatest of the horizon; None where nothing can be screened."""
    if any(load.flow.query.trigger == AVAILABLE_NOW for load in h.loads):
        return None
    least, most = max(1e-3, float(h.level.min())), float(h.level.max())
    levels = np.unique(np.geomspace(max(least, most / 1e3), max(most, least * 1.0001), POINTS))
    return levels, [screen(numbers_of(at_levels(h.scenario, [float(x)] * len(h.loads)), h.c)) for x in levels]


def promises(h: Hours) -> Iterator[Breaking]:
    """Targets that the busier hours break: headroom from capacity, percentiles from the screen."""
    targets, total = h.scenario.targets, sum(able.per_second for able in h.capacity)
    found = _screened(h)
    if found is not None and len(h.loads) > 1:  # each flow's capacity is with the others at their mean
        total = min(total, float(found[1][-1].events_per_second[0]))
    if targets.throughput_headroom is not None and math.isfinite(total):
        day = day_of(h.series["rate_peak"] * targets.throughput_headroom > total)
        if day is not None:
            yield Breaking(
                "headroom-broken",
                day,
                "warning",
                "targets.throughput_headroom",
                f"the promise of {targets.throughput_headroom:g} times the peak no longer holds",
                f"{show(total, '1/s')} are got through; the peak has come to "
                f"{show(total / targets.throughput_headroom, '1/s')}",
                "more of what binds",
                "spark.md L6",
            )
    if found is None:
        return
    levels, rows = found
    used = np.array([float(s.utilisation[0]) for s in rows])
    h.more["utilisation"] = np.interp(h.level, levels, used)
    yield from _percentiles(h, levels, rows, used)
    day = day_of(h.more["utilisation"] >= GUARD)
    if day is not None:
        at = int(np.flatnonzero(used >= GUARD)[0]) if (used >= GUARD).any() else -1
        yield Breaking(
            "busy",
            day,
            "info",
            "flows",
            f"something is {GUARD:.0%} busy in the busiest hour: percentiles begin to run away",
            f"{rows[at].binding[0]} binds (screened)",
            "floodmark forecast at that rate says by how much",
            "engine.md D4",
        )


def _percentiles(h: Hours, levels: Array, rows: list[Screened], used: Array) -> Iterator[Breaking]:
    for name in ("p50", "p99"):
        promised = getattr(h.scenario.targets, name)
        if promised is None:
            continue
        worst = np.array([float(getattr(s, name).max()) for s in rows])
        sure = used < GUARD
        if not sure.any():
            continue
        told = np.interp(h.level, levels[sure], worst[sure], right=np.nan)
        day = day_of(np.nan_to_num(told, nan=0.0) > promised)
        if day is not None:
            yield Breaking(
                f"{name}-broken",
                day,
                "warning",
                f"targets.{name}",
                f"the promise of {name} = {show(promised, 's')} no longer holds in the busiest hour",
                f"{show(float(np.nanmax(told[told > promised])), 's')} (screened)",
                "floodmark forecast, and what it says binds",
                "simulator/screen.py",
            )


def networks_and_volumes(h: Hours) -> Iterator[Breaking]:
    """Steady limits of network cards and volumes, and the burst credits that carry both above their baseline."""
    for load in limits(h.scenario, h.c, 1.0):
        use = load.utilisation * h.level
        part: Literal["kafka", "elasticsearch"] = "kafka" if load.name.startswith("kafka") else "elasticsearch"
        credit = _burst(h.scenario, part, load.kind)
        if credit is not None:
            yield from _credits(h, load.utilisation, part, credit, load.name)
            continue
        day = day_of(use > 1.0)
        if day is not None and load.kind in ("network", "volume"):
            yield Breaking(
                f"{load.name.replace(' ', '-')}-full",
                day,
                "warning",
                f"{part}.machine",
                f"{load.name} is full in the busiest hour",
                f"{load.evidence} at the mean rate; the peak is {1 / load.utilisation:.3g} times it",
                "larger machines or more of them",
                "kafka.md A5; elasticsearch.md A6",
            )


def _burst(scenario: Scenario, part: Literal["kafka", "elasticsearch"], kind: str) -> Bucket | None:
    """The bucket of a cluster's cards, or of its volumes where the machine's EBS baseline is below their own rate."""
    cluster = getattr(scenario, part)
    if cluster.hosts or kind not in ("network", "volume"):
        return None
    box = machine(cluster.machine)
    if kind == "network":
        return network_bucket(box)
    found = ebs_bucket(box)
    return found if found is not None and found.baseline < cluster.volume.throughput else None


def _credits(h: Hours, utilisation: float, part: str, credit: Bucket, load: str) -> Iterator[Breaking]:
    """`utilisation` is of the baseline at the mean rate. Above the baseline credits are spent, above the volume "
    none help."""
    ebs = credit.name.startswith("EBS")
    most = min(credit.peak, getattr(h.scenario, part).volume.throughput) if ebs else credit.peak
    use = utilisation * credit.baseline * h.mean_level
    left, missing = bucket(np.minimum(use, most), credit.baseline, credit.size, STEP)
    name = f"{part}_ebs_credits" if ebs else f"{load.replace(' ', '_')}_credits"
    h.more[name] = left / credit.size
    day = day_of(missing > 0)
    if day is not None:
        what = (
            f"the EBS burst credits of {part} are spent: its volumes"
            if ebs
            else f"burst credits of {load} are spent: it"
        )
        lasts = "half an hour a day" if ebs else "five minutes"
        yield Breaking(
            name.replace("_", "-"),
            day,
            "warning",
            f"{part}.machine",
            f"{what} fall{'' if ebs else 's'} to the machine's baseline",
            f"{show(credit.baseline, 'bytes/s')} are sustained, "
            f"{show(float(use[missing > 0][0]), 'bytes/s')} {'written' if ebs else 'sent'}; {lasts} of "
            f"{show(credit.peak, 'bytes/s')} is the bucket",
            "a larger machine",
            credit.source + " (remembered)",
        )


def burstable(h: Hours) -> Iterator[Breaking]:
    """CPU credits of T-class machines."""
    found = None
    parts = (("kafka", "broker CPU"), ("spark", "executor CPU"), ("elasticsearch", "data-node CPU"))
    for part, name in parts:
        cluster = getattr(h.scenario, part)
        credit = None if cluster.hosts else cpu_bucket(machine(cluster.machine))
        if credit is None:
            continue
        found = found or _screened(h)
        if found is None:
            return
        levels, rows = found
        cores = np.array([float(s.loads[name][0]) for s in rows]) * credit.peak
        use = np.minimum(np.interp(h.mean_level, levels, cores), credit.peak)
        left, missing = bucket(use, credit.baseline, credit.size, STEP)
        h.more[f"{part}_cpu_credits"] = left / credit.size
        day = day_of(missing > 0)
        if day is not None:
            yield Breaking(
                f"{part}-cpu-credits",
                day,
                "critical",
                f"{part}.machine",
                f"the CPU credits of {part}'s {cluster.machine} are "
                "spent: it falls to its baseline, or bills the rest where unlimited",
                f"{credit.baseline:.2g} of {credit.peak:g} cores are sustained, {float(use[missing > 0][0]):.2g} used",
                "a machine that is not burstable",
                f"{credit.source} (remembered)",
            )


def merges(h: Hours) -> Iterator[Breaking]:
    """Merges that a peak leaves and a night works off; a debt that outlives a day is a debt for good."""
    cluster, amplification = h.scenario.elasticsearch, h.c["search.merge_amplification"]
    room = cluster.volume.throughput
    if not cluster.hosts:
        room = min(room, machine(cluster.machine).ebs_baseline_bytes_per_second)
    hours = len(h.series["rate"])
    need, first = np.zeros(hours), np.zeros(hours)
    for load in h.loads:
        flow = load.flow
        if flow.query.sink.kind == "noop":
            continue
        share = max(index_shares(h.scenario, flow))
        documents = load.mean * flow.workload.documents_per_event * share
        first += documents * (flow.workload.json_bytes + document_bytes(flow, h.c))
        need += documents * document_bytes(flow, h.c) * amplification
    owed = debt(need, np.maximum(0.0, room - first), STEP)
    h.more["merge_debt"] = owed
    if not need.any():
        return
    a_day = round(DAY / STEP)
    zero = owed <= 1.0
    since = np.maximum.accumulate(np.where(zero, np.arange(hours), -1))
    stuck = (np.arange(hours) - since >= a_day) & ~zero
    day = day_of(stuck)
    if day is not None:
        yield Breaking(
            "merges-behind",
            day,
            "warning",
            "elasticsearch.volume.throughput",
            "merges have been behind for a whole day: small "
            "segments pile up and indexing is throttled to one thread a shard",
            f"{show(float(owed[stuck][0]), 'bytes')} wait to be merged; the fullest node writes up to "
            f"{show(room, 'bytes/s')}",
            "more throughput, more nodes, or a longer refresh",
            "elasticsearch.md A5, A6, B2",
        )


def processes(h: Hours) -> Iterator[Breaking]:
    """Memory that follows the load: the multiple at which a kill or a full heap gets likely, and the day of it."""
    where = {
        "broker": "kafka.heap",
        "executor": "spark.heap",
        "data node": "elasticsearch.heap",
        "driver": "spark.driver_heap",
    }
    for ledger in memory(h.scenario, h.c):
        until = ledger.holds_until
        if until is None:
            continue
        day = day_of(h.mean_level >= until)
        worst = ledger.risk_at(float(h.mean_level.max()))
        if day is not None:
            yield Breaking(
                f"memory-{ledger.process.replace(' ', '-')}",
                day,
                "critical" if worst > 0.5 else "warning",
                where[ledger.process],
                f"{'an' if ledger.process == 'executor' else 'a'} {ledger.process} may well be ended for its memory",
                f"{ledger.setting}: likely {until_told(ledger)} ({ledger.limit}); {worst:.0%} at the horizon's busiest",
                "more memory for it (floodmark check says how much)",
                "spark.md C4, C5; elasticsearch.md B3",
            )


def endless_state(h: Hours) -> Iterator[Breaking]:
    """State that no watermark ends, against the executors' heaps."""
    spark = h.scenario.spark
    for number, load in enumerate(h.loads):
        state = load.flow.query.state
        if state is None or state.watermark_delay != NEVER:
            continue
        keys = state.keys + np.cumsum(load.events) * load.flow.workload.kept * state.new_keys
        held = keys * state.bytes_per_key / spark.executors
        h.more["state"] = np.maximum(h.more.get("state", 0.0), held)
        day = day_of(held > HEAP_FULL * spark.heap) if state.provider == "hdfs-backed" else None
        if day is not None:
            yield Breaking(
                "state-full",
                day,
                "critical",
                f"flows[{number}].query.state.watermark_delay",
                "state that nothing ends fills the executors' heaps: they only collect garbage, then end",
                f"{show(HEAP_FULL * spark.heap, 'bytes')} of {show(spark.heap, 'bytes')} each",
                "a watermark and a delay",
                "spark.md A4",
            )


def shard_cap(h: Hours) -> Iterator[Breaking]:
    """Rolled-over indices add shards until retention takes the first away."""
    cluster, hours = h.scenario.elasticsearch, np.arange(1, len(h.series["rate"]) + 1) * STEP
    count = np.zeros(len(hours))
    for load in h.loads:
        index = load.flow.index
        shards = index.primaries * min(index.copies, cluster.data_nodes)
        there = np.ceil(hours / index.rollover) if index.rollover else np.ones(len(hours))
        count += np.minimum(there, indices_kept(index.retention, index.rollover)) * shards
    heap = data_node_heap(h.scenario)
    most = SHARDS_A_NODE
    if cluster.kind == "opensearch-service" and heap is not None:
        most = int(min(4000.0, max(1.0, heap // (16 * GIB)) * SHARDS_A_NODE))
    h.more["shards"] = count / cluster.data_nodes
    day = day_of(h.more["shards"] > most)
    if day is not None:
        yield Breaking(
            "shards-cap",
            day,
            "critical",
            "elasticsearch.data_nodes",
            "the cluster refuses the next index",
            f"{most:,} shard copies a node are the cap",
            "an older rollover, fewer primaries or more nodes",
            "elasticsearch.md B3",
        )


def memory_maps(h: Hours) -> Iterator[Breaking]:
    full = segments_per_broker(h.scenario) * MEMORY_MAPS_PER_SEGMENT
    held = h.series["kafka"]
    at_full = max(load.flow.topic.retention for load in h.loads)
    own = held[min(len(held) - 1, max(0, round(at_full / STEP) - 1))]
    if own <= 0:
        return
    day = day_of(held / own * full > MOST_MEMORY_MAPS)
    if day is not None:
        yield Breaking(
            "broker-maps",
            day,
            "critical",
            "kafka.brokers",
            "a broker runs out of memory maps and stops",
            f"two for each segment, {MOST_MEMORY_MAPS:,} by default",
            "vm.max_map_count: 262144",
            "kafka.md B2",
        )


Rule = Callable[[Hours], Iterator[Breaking]]
RULES: tuple[Rule, ...] = (
    overload,
    late_batches,
    promises,
    networks_and_volumes,
    burstable,
    merges,
    processes,
    endless_state,
    shard_cap,
    memory_maps,
)
