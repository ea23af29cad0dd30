"""Usage: a scenario and its runs as a month that AWS would meter.

Metered quantities are the integral of the workload's curve over the month: daily and weekly curves, growth, bursts
where they fall, never a peak times hours. What the runs showed (seconds from batch to batch, items sent again,
documents written twice) is a flow's *pace*; without a run it is the trigger's. A fault that the scenario states happens
once a month: what it did is counted once, and its stretch is no part of the pace.

Where it stops being true: the pace is that of the simulated window, so a query that overruns its trigger at the peak
and not at night makes more batches than are billed here; bytes of a record on the wire are those at the mean rate; the
shuffle stays in one zone, where EMR on EC2 puts all its hosts; searches answer with ten hits, their default.
"""

from __future__ import annotations

import calendar
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from math import prod
from typing import TYPE_CHECKING, Literal

import numpy as np

from models.coefficients import CoefficientSet
from models.faults import Fault
from models.machines import box_name, machine
from models.money import Money
from models.spark import AVAILABLE_NOW, State, checkpoint_writes
from models.stack import Flow, Scenario
from models.storage import index_life_seconds
from models.units import DAY, GIB, HOUR, MB, MIB, MONTH, WEEK
from models.workload import Workload
from planner.storage import document_bytes, seconds_of_rate, stored_event_bytes
from pricing.shared import AnyUsage
from pricing.usage import Account, HostUsage, KafkaUsage, Month, SearchUsage, SharedUsage, SparkUsage, Tags, Volume

if TYPE_CHECKING:
    from simulator.story import Story
    from simulator.trace import FlowTrace, Trace

DEFAULT_HITS = 10  # `size` of a search (Elasticsearch guide, Search API); the envelope around hits is left out
VERSIONS_PER_SNAPSHOT = 10  # minDeltasForSnapshot, spark.md A5
VERSIONS_KEPT = 100  # minBatchesToRetain, spark.md A1
HEADS_PER_RENAME = 2  # does source, does target exist (remembered; spark.md A5 says "+ HEAD/LIST")
EMR_DISK_BYTES_PER_VCPU = 16 * GIB  # EMR's default EBS storage: 64 GiB of an xlarge, 128 of a 2xlarge (remembered)
S3_BACKED = ("or1.", "or2.", "om2.", "oi2.")  # OpenSearch nodes that keep a copy in managed storage (B3)
STORES: dict[str, Literal["s3", "s3express", "hdfs", "local"]] = {
    "s3": "s3", "s3-express": "s3express", "hdfs": "hdfs", "local": "local",
}  # fmt: skip
LOG_COMPRESSION = 0.15  # bytes that CloudWatch Logs stores over bytes taken in (AWS's calculator, remembered)
SEGMENT_FILES, SEGMENTS_A_TIER = 3, 10  # compound segment files; Lucene's TieredMergePolicy (remembered)


@dataclass(frozen=True)
class Pace:
    """Of one flow's runs: seconds from batch to batch, items sent again and documents written twice for each one
    indexed. An interval of 0 means that nobody knows how often it runs.

    What stated faults did counts once a month: `resent_once`, `doubled_once` [documents], and the bytes that brokers
    and data nodes moved or rebuilt. What a copy had missed and fetched later is not among them: the month's replication
    holds it already."""

    interval: float
    resent: float = 0.0
    doubled: float = 0.0
    resent_once: float = 0.0
    doubled_once: float = 0.0
    moved_topics: float = 0.0
    moved_indices: float = 0.0

    def at(self, load: float) -> Pace:
        """The same with as many times the events; what happens once grows with them."""
        names = ("resent_once", "doubled_once", "moved_topics", "moved_indices")
        return replace(self, **{name: getattr(self, name) * load for name in names})


@dataclass(frozen=True)
class Flowing:
    """One flow's month: its events, the bytes of one on the wire, and the seconds at the mean rate still kept."""

    flow: Flow
    events: float
    wire_bytes: float
    topic_seconds: float
    index_seconds: float

    @property
    def produced(self) -> float:
        return self.events * self.wire_bytes

    @property
    def documents(self) -> float:
        return 0.0 if self.flow.query.sink.kind == "noop" else self.events * self.flow.workload.documents_per_event

    @property
    def bulk(self) -> float:
        return self.documents * self.flow.workload.json_bytes


@dataclass(frozen=True)
class Used:
    """A month of the whole stack, as the price list is asked for it."""

    usages: tuple[AnyUsage, ...]
    month: Month
    rest: Account
    events: float
    payload_bytes: float


def pace_of(traces: Sequence[Trace], name: str, stated: Sequence[Fault] | None = None) -> Pace:
    """The pace of a flow over several runs, each run weighing the same.

    The stretch of the faults that are stated (None: of all) is left out of what goes on all month, and what they did
    counts once. Faults drawn at their rate, such as a spot market's, go on all month.
    """
    seen = [_pace_of_run(trace, name, stated) for trace in traces]
    often = sum(1 / pace.interval for pace in seen) / len(seen)
    rest = [n.name for n in fields(Pace) if n.name != "interval"]
    return Pace(1 / often, **{n: sum(getattr(pace, n) for pace in seen) / len(seen) for n in rest})


def _pace_of_run(trace: Trace, name: str, stated: Sequence[Fault] | None) -> Pace:
    flow, number = trace.flows[name], list(trace.flows).index(name)
    told = [n for n, s in enumerate(trace.faults.stories) if (stated is None or s.fault in stated)]
    indexed = max(flow.counts["indexed_documents"], 1.0)
    shares, once = {}, {}
    for what in ("rejected_items", "duplicated_documents"):
        before = trace.faults.before[told[0]][number] if told and told[0] in trace.faults.before else flow.counts
        shares[what] = before[what] / max(before["indexed_documents"], 1.0)
        once[what] = max(0.0, flow.counts[what] - shares[what] * indexed)
    copied = trace.faults.copied[number] if told else {}
    return Pace(
        _interval(trace, flow, [trace.faults.stories[n] for n in told]),
        shares["rejected_items"], shares["duplicated_documents"], once["rejected_items"], once["duplicated_documents"],
        copied.get("kafka moved", 0.0),
        copied.get("elasticsearch moved", 0.0) + copied.get("elasticsearch rebuilt", 0.0),
    )  # fmt: skip


def _interval(trace: Trace, flow: FlowTrace, stories: Sequence[Story]) -> float:
    """Mean seconds from batch to batch, those that a fault's stretch touches left out where others are left [s]."""
    started = flow.counted(trace.measured_from, trace.measured_until)["started"]
    if len(started) < 2:
        started = flow.batches["started"]
    gaps = np.diff(started)
    usual = np.ones(len(gaps), dtype=bool)
    for story in stories:
        usual &= (started[1:] <= story.fault.at) | (started[:-1] >= _recovered(flow, story))
    kept = gaps[usual] if usual.any() else gaps
    return float(kept.mean()) if kept.sum() > 0 else trace.measured_until


def _recovered(flow: FlowTrace, story: Story) -> float:
    """When a flow's lag is back to what it was at its most before a fault [s]; infinite if the run saw none."""
    batches, ended = flow.batches, story.ended if math.isfinite(story.ended) else story.fault.at
    before = batches["lag_after"][batches["finished"] < story.fault.at]
    if not len(before):
        return float(ended)
    back = (batches["started"] >= ended) & (batches["lag_after"] <= 1.05 * before.max() + 1)
    return float(batches["finished"][int(np.argmax(back))]) if back.any() else math.inf


def paces(scenario: Scenario, traces: Sequence[Trace] = ()) -> dict[str, Pace]:
    """Every flow's pace: as its runs showed, else one batch a trigger."""
    found = {}
    for flow in scenario.flows:
        trigger = flow.query.trigger
        if trigger == AVAILABLE_NOW:
            found[flow.name] = Pace(0.0)
        elif traces:
            found[flow.name] = pace_of(traces, flow.name, scenario.faults)
        elif trigger > 0:
            found[flow.name] = Pace(trigger)
        else:
            raise ValueError(f"flow '{flow.name}' runs as fast as possible: only a simulated run knows its batches")
    return found


def month_of(money: Money, number: int = 0) -> Month:
    """The month that is billed: the average one, or a dated one and those after it.

    >>> month_of(Money()).hours, month_of(Money(month="2026-12"), 2).label
    (730.0, '2027-02')
    """
    if money.month == "average":
        return Month() if number == 0 else Month(label=f"month {number + 1} (730 h)")
    year, month = (int(part) for part in money.month.split("-"))
    years, month = divmod(month - 1 + number, 12)
    return Month.of(year + years, month + 1)


def seconds_at_mean(flow: Flow, money: Money, number: int = 0) -> float:
    """What the month's events are over the mean rate at the start [s].

    The average month holds whole days and weeks (curves count 1); a dated one has its own weekdays, the first value of
    a weekly curve being Monday. Growth compounds within it; a burst counts once, where it falls.
    """
    load, month = flow.workload, month_of(money, number)
    start = number * MONTH
    end = start + month.hours * HOUR
    plain = seconds_of_rate(flow, end, end - start) * _weekdays(load, month)
    return plain if load.steps else plain + _bursts(load, start, end)


def _weekdays(load: Workload, month: Month) -> float:
    """Mean of the weekly curve over a dated month's days [1]."""
    if not load.weekly_curve or not month.label[:4].isdigit():
        return 1.0
    year, number = (int(part) for part in month.label.split("-"))
    first, days = calendar.monthrange(year, number)
    curve, parts = load.weekly_curve, len(load.weekly_curve) // 7
    daily = [sum(curve[d * parts : (d + 1) * parts]) / parts for d in range(7)]
    return sum(daily[(first + d) % 7] for d in range(days)) / days * 7 / sum(daily)


def _bursts(load: Workload, start: float, end: float) -> float:
    """What bursts add to a stretch of time [s at the mean rate]; where two overlap their factors multiply."""
    edges = {t for b in load.bursts for t in (b.at, b.at + b.duration) if start < t < end}
    marks, extra = sorted({start, end} | edges), 0.0
    for a, b in itertools.pairwise(marks):
        factor = prod(x.factor for x in load.bursts if x.at <= a and b <= x.at + x.duration)
        if factor != 1:
            extra += (factor - 1) * _usual(load, a, b)
    return extra


def _usual(load: Workload, start: float, end: float) -> float:
    """The curve without bursts over a stretch of time [s at the mean rate]."""
    plain = load.model_copy(update={"bursts": ()})
    widths = [DAY / max(1, len(load.daily_curve)), WEEK / max(1, len(load.weekly_curve)), DAY]
    width, total, now = min(widths), 0.0, start
    while now < end:
        after = min(end, (now // width + 1) * width)
        total += plain.factor_at((now + after) / 2) * (after - now)
        now = after
    return total


def mean_index_life(flow: Flow) -> float:
    """Seconds of documents that an index holds on the mean: its retention, and half of what its oldest index spans.

    An index that rolled over goes as a whole, when its youngest document has been kept for the retention.
    """
    return (flow.index.retention + index_life_seconds(flow.index.retention, flow.index.rollover)) / 2


def flowing(scenario: Scenario, number: int | None = None) -> list[Flowing]:
    """Every flow's month. With a number the stack started empty that many months ago; without, retention is full."""
    found = []
    for flow in scenario.flows:
        topic, index = flow.topic.retention, mean_index_life(flow)
        until = (topic, index) if number is None else ((number + 0.5) * MONTH,) * 2
        found.append(
            Flowing(
                flow,
                flow.workload.events_per_second * seconds_at_mean(flow, scenario.money, number or 0),
                stored_event_bytes(flow),
                seconds_of_rate(flow, until[0], topic),
                seconds_of_rate(flow, until[1], index),
            )
        )
    return found


def used(
    scenario: Scenario,
    coefficients: CoefficientSet,
    pace: Mapping[str, Pace],
    *,
    number: int | None = None,
    load: float = 1.0,
    flows: Sequence[Flowing] | None = None,
) -> Used:
    """The month of the stack at `load` times its events; `flows` are given where a caller has them already."""
    flows = flows if flows is not None else flowing(scenario, number)
    if load != 1.0:
        flows = [replace(f, events=f.events * load, topic_seconds=f.topic_seconds * load,
                         index_seconds=f.index_seconds * load) for f in flows]  # fmt: skip
        pace = {name: one.at(load) for name, one in pace.items()}
    month, tags = month_of(scenario.money, number or 0), tuple(scenario.tags.items())
    parts: list[AnyUsage] = [_kafka(scenario, flows, tags, pace)]
    parts += _spark(scenario, flows, pace, month, tags)
    parts.append(_search(scenario, flows, coefficients, pace, month, tags))
    parts += _hosts(scenario, tags)
    parts.append(_shared(scenario.money, tags))
    events = sum(f.events for f in flows)
    payload = sum(f.events * f.flow.workload.value_bytes for f in flows)
    return Used(tuple(parts), month, _account(scenario.money), events, payload)


def _mean_copies(weights: Sequence[tuple[float, int]]) -> float:
    """Copies over flows, weighed by their bytes; a whole number where all agree."""
    total = sum(w for w, _ in weights)
    return sum(w * copies for w, copies in weights) / total if total > 0 else float(max(c for _, c in weights))


def _kafka(
    scenario: Scenario, flows: Sequence[Flowing], tags: Tags, pace: Mapping[str, Pace] | None = None
) -> KafkaUsage:
    kafka, money = scenario.kafka, scenario.money
    produced = sum(f.produced for f in flows)
    readers = {"query": produced}
    if groups := sum(f.produced * f.flow.topic.consumer_groups for f in flows):
        readers["others"] = groups
    near = {"others": kafka.rack_aware_fetch, "query": kafka.rack_aware_fetch and money.spark_reads_near}
    own, shared = kafka.kind == "self-managed", bool(kafka.hosts)
    held = sum(f.flow.workload.events_per_second * f.topic_seconds * f.wire_bytes * f.flow.topic.copies for f in flows)
    throughput = kafka.volume.throughput * (MB / MIB if own else 1.0)  # EBS's "MB/s" are MiB/s, MSK's too
    return KafkaUsage(
        kafka.kind, money.region, box_name(kafka.machine), kafka.brokers, kafka.zones,
        _mean_copies([(f.produced, f.flow.topic.copies) for f in flows]),
        Volume("gp3", kafka.volume.size / GIB, 0.0, throughput),
        money.kafka_controllers if own and not shared else 0, box_name(money.controller_machine),
        produced, readers, frozenset(name for name in readers if near[name]),
        moved_bytes=money.node_losses_per_year / 12 * held / kafka.brokers
        + sum(pace[f.flow.name].moved_topics for f in flows if pace),
        partitions=sum(f.flow.topic.partitions for f in flows), boxed=not shared or not own, tags=tags,
    )  # fmt: skip


def checkpoint_files(state: State | None) -> float:
    """Files that one batch writes atomically [count]: two, and one for each state partition with its snapshots.

    RocksDB without a changelog uploads a version file and at least one table. Source: spark.md A4, A5.

    >>> checkpoint_files(None), checkpoint_files(State(shuffle_partitions=200))
    (2.0, 222.0)
    """
    if state is None:
        return 2.0
    if state.provider == "rocksdb":
        return 2.0 + 2 * state.shuffle_partitions
    return 2 + state.shuffle_partitions * (VERSIONS_PER_SNAPSHOT + 1) / VERSIONS_PER_SNAPSHOT


def batches(found: Flowing, pace: Pace, month: Month) -> float:
    """Micro-batches in the month [count]; a trigger without a new event makes none."""
    return min(month.hours * HOUR / pace.interval, found.events) if pace.interval > 0 else 0.0


def _spark(
    scenario: Scenario, flows: Sequence[Flowing], pace: Mapping[str, Pace], month: Month, tags: Tags
) -> list[SparkUsage]:
    """The hosts and the first checkpoint store, then a usage without hosts for each other store."""
    stores: dict[str, list[Flowing]] = {}
    for found in flows:
        stores.setdefault(found.flow.query.checkpoint, []).append(found)
    made = []
    for number, (store, of) in enumerate(stores.items()):
        usage = _hosts_of_spark(scenario, tags) if number == 0 else SparkUsage("ec2", scenario.money.region, tags=tags)
        files = [checkpoint_files(f.flow.query.state) * batches(f, pace[f.flow.name], month) for f in of]
        writes = [checkpoint_writes(f.flow.query.file_manager, f.flow.query.checkpoint) for f in of]
        usage = replace(
            usage,
            checkpoint_store=STORES[store],
            put_requests=sum(n * w for n, w in zip(files, writes, strict=True)),
            get_requests=sum(n * HEADS_PER_RENAME * (w - 1) for n, w in zip(files, writes, strict=True)),
            checkpoint_bytes=sum(_checkpoint_bytes(f.flow.query.state) for f in of),
        )
        made.append(usage)
    return made


def _checkpoint_bytes(state: State | None) -> float:
    """Bytes that a checkpoint keeps: a snapshot every ten of the last hundred versions, deltas left out."""
    if state is None:
        return 0.0
    one = state.keys * state.bytes_per_key / (2 if state.provider == "hdfs-backed" else 1)
    return one * (VERSIONS_KEPT / VERSIONS_PER_SNAPSHOT if state.provider == "hdfs-backed" else 1)


def _hosts_of_spark(scenario: Scenario, tags: Tags) -> SparkUsage:
    spark, money = scenario.spark, scenario.money
    if spark.hosts:
        return SparkUsage("ec2", money.region, boxed=False, tags=tags)
    disk = _spark_disk(scenario) / GIB
    return SparkUsage(
        spark.kind, money.region, box_name(spark.machine), float(spark.executors), 1.0, box_name(spark.driver_machine),
        spot_share=money.spot_share, spot_fallback=money.spot_fallback, spot_interruptions=money.spot_interruptions,
        spot_replacement_seconds=money.spot_replacement, zones=1,
        volume=Volume("gp3", disk) if disk else Volume("none"), tags=tags,
    )  # fmt: skip


def _spark_disk(scenario: Scenario) -> float:
    """EBS data volume of a Spark host, mean over hosts [bytes]."""
    spark, given = scenario.spark, scenario.money.spark_disk
    if given is not None:
        return given
    if spark.kind != "emr-ec2":
        return 0.0
    processors = spark.executors * machine(spark.machine).vcpu + machine(spark.driver_machine).vcpu
    return EMR_DISK_BYTES_PER_VCPU * processors / (spark.executors + 1)


def _search(
    scenario: Scenario, flows: Sequence[Flowing], coefficients: CoefficientSet, pace: Mapping[str, Pace], month: Month,
    tags: Tags,
) -> SearchUsage:  # fmt: skip
    cluster, money = scenario.elasticsearch, scenario.money
    own, shared = cluster.kind != "opensearch-service", bool(cluster.hosts)
    primary = [_primary_bytes(f, coefficients) for f in flows]
    held = sum(b * f.flow.index.copies for b, f in zip(primary, flows, strict=True))
    snapshot, puts = _snapshots(scenario, flows, primary, coefficients, month)
    node = cluster.machine.removesuffix(".search")
    return SearchUsage(
        "self-managed" if own else "opensearch-service", money.region, box_name(node) if own else node,
        cluster.data_nodes, cluster.managers, box_name(cluster.manager_machine),
        money.dashboards_nodes if own else 0, box_name(money.dashboards_machine),
        zones=cluster.zones, copies=_mean_copies([(f.bulk, f.flow.index.copies) for f in flows]),
        volume=Volume("gp3", cluster.volume.size / GIB, 0.0, cluster.volume.throughput / MIB * MB),
        bulk_bytes=sum(
            f.bulk * (1 + pace[f.flow.name].resent) + pace[f.flow.name].resent_once * f.flow.workload.json_bytes
            for f in flows
        ),
        search_bytes=sum(_answers(f.flow) for f in flows) * month.hours * HOUR,
        replica_bytes=sum(_to_replica(f, coefficients) * (1 + _twice(f, pace[f.flow.name])) for f in flows),
        moved_bytes=money.node_losses_per_year / 12 * held / cluster.data_nodes
        + sum(pace[f.flow.name].moved_indices for f in flows),
        snapshot_bytes=snapshot, snapshot_puts=puts,
        managed_bytes=sum(primary) if node.startswith(S3_BACKED) and not own else 0.0, boxed=not shared or not own,
        tags=tags,
    )  # fmt: skip


def _twice(found: Flowing, pace: Pace) -> float:
    """Documents written twice over the month's [1]: those of every day, and those of the stated faults."""
    return pace.doubled + (pace.doubled_once / found.documents if found.documents else 0.0)


def _primary_bytes(found: Flowing, coefficients: CoefficientSet) -> float:
    """Bytes that one copy of the index holds [bytes]."""
    load = found.flow.workload
    if found.flow.query.sink.kind == "noop":
        return 0.0
    rate = load.events_per_second * load.documents_per_event
    return rate * found.index_seconds * document_bytes(found.flow, coefficients)


def _answers(flow: Flow) -> float:
    return flow.index.search.rate * DEFAULT_HITS * flow.workload.json_bytes


def _to_replica(found: Flowing, coefficients: CoefficientSet) -> float:
    """Bytes to one further copy: documents again, or segments, those that merges make included [bytes]."""
    if found.flow.index.replication == "document":
        return found.bulk
    grown = 1 + coefficients["search.merge_amplification"]
    return found.documents * document_bytes(found.flow, coefficients) * grown


def _snapshots(
    scenario: Scenario, flows: Sequence[Flowing], primary: Sequence[float], coefficients: CoefficientSet, month: Month
) -> tuple[float, float]:
    """Bytes in the snapshot bucket and files written to it in a month.

    One copy of the index, and the segments that merges made and unmade while a snapshot that holds them is kept.
    """
    every, kept = scenario.money.snapshots.every, scenario.money.snapshots.kept
    if every is None:
        return 0.0, 0.0
    churn = coefficients["search.merge_amplification"]
    extra = sum(
        b / mean_index_life(f.flow) * min(kept, mean_index_life(f.flow)) * churn
        for b, f in zip(primary, flows, strict=True)
    )
    files = sum(f.flow.index.primaries for f in flows) * SEGMENT_FILES * SEGMENTS_A_TIER
    return sum(primary) + extra, month.hours * HOUR / every * files


def _hosts(scenario: Scenario, tags: Tags) -> list[HostUsage]:
    """Named hosts that self-managed processes live on, each paid once."""
    parts = [scenario.spark.hosts]
    parts += [scenario.kafka.hosts] if scenario.kafka.kind == "self-managed" else []
    parts += [scenario.elasticsearch.hosts] if scenario.elasticsearch.kind != "opensearch-service" else []
    names = {name for part in parts for name in part}
    if not names:
        return []
    machines: dict[str, float] = {}
    for host in scenario.hosts:
        if host.name in names and host.machine:
            machines[box_name(host.machine)] = machines.get(box_name(host.machine), 0.0) + 1
    bare = tuple(host.name for host in scenario.hosts if host.name in names and not host.machine)
    return [HostUsage(scenario.money.region, machines, bare, tags=tags)]


def _shared(money: Money, tags: Tags) -> SharedUsage:
    net, seen = money.network, money.monitoring
    return SharedUsage(
        money.region, "" if money.support_plan == "none" else money.support_plan, net.nat_gateways, net.nat_data,
        net.endpoint_zones, net.endpoint_data, net.application_balancers, net.application_lcus, net.network_balancers,
        net.network_lcus, net.public_addresses, net.internet_out, dict(net.to_regions), seen.custom_metrics,
        seen.metrics_read, float(seen.alarms), seen.logs, seen.logs * LOG_COMPRESSION * seen.logs_kept / MONTH,
        seen.prometheus_samples, seen.prometheus_stored, seen.grafana_editors, seen.grafana_viewers,
        money.engineer_hours, money.engineer_usd_per_hour, tuple(money.third_parties.items()), tags,
    )  # fmt: skip


def _account(money: Money) -> Account:
    rest = money.account
    return Account(rest.aws_usd, rest.s3_standard, rest.internet_out, rest.custom_metrics, rest.prometheus_samples)
