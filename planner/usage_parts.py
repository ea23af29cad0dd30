"""A month's use of each system, as its price list asks for it: brokers, executors, data nodes, hosts, what is shared.

Where it stops being true: bytes of a record on the wire are those at the mean rate; the shuffle stays in one zone,
where EMR on EC2 puts all its hosts; searches answer with ten hits, their default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from models.coefficients import CoefficientSet
from models.machines import box_name, machine
from models.money import Money
from models.spark import State, checkpoint_writes
from models.stack import Flow, Scenario
from models.storage import index_life_seconds
from models.units import GIB, HOUR, MB, MIB, MONTH
from planner.storage import document_bytes
from planner.usage_pace import Pace
from pricing.usage import HostUsage, KafkaUsage, Month, SearchUsage, SharedUsage, SparkUsage, Tags, Volume

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
class Flowing:
    """One flow's month: its events, the bytes of one on the wire, and the seconds at the mean rate still kept."""

    flow: Flow
    events: float
    wire_bytes: float
    topic_seconds: float
    index_seconds: float
    month_seconds: float = MONTH

    @property
    def produced(self) -> float:
        return self.events * self.wire_bytes

    def read(self, pace: Pace | None) -> float:
        """Bytes that the query reads: all of them, and those of batches that it ran again."""
        if pace is None:
            return self.produced
        return self.produced * (1 + pace.reread) + pace.reread_once * self.wire_bytes

    @property
    def load(self) -> float:
        """The month's events over what the mean rate at the start would make [1]."""
        return self.events / (self.flow.workload.events_per_second * self.month_seconds)

    @property
    def documents(self) -> float:
        return 0.0 if self.flow.query.sink.kind == "noop" else self.events * self.flow.workload.documents_per_event

    @property
    def bulk(self) -> float:
        return self.documents * self.flow.workload.json_bytes


def mean_index_life(flow: Flow) -> float:
    """Seconds of documents that an index holds on the mean: its retention, and half of what its oldest index spans.

    An index that rolled over goes as a whole, when its youngest document has been kept for the retention.
    """
    return (flow.index.retention + index_life_seconds(flow.index.retention, flow.index.rollover)) / 2


def _mean_copies(weights: Sequence[tuple[float, int]]) -> float:
    """Copies over flows, weighed by their bytes; a whole number where all agree."""
    total = sum(w for w, _ in weights)
    return sum(w * copies for w, copies in weights) / total if total > 0 else float(max(c for _, c in weights))


def kafka_usage(
    scenario: Scenario, flows: Sequence[Flowing], tags: Tags, pace: Mapping[str, Pace] | None = None
) -> KafkaUsage:
    kafka, money = scenario.kafka, scenario.money
    produced = sum(f.produced for f in flows)
    readers = {"query": sum(f.read(pace[f.flow.name] if pace else None) for f in flows)}
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


def spark_usage(
    scenario: Scenario, flows: Sequence[Flowing], pace: Mapping[str, Pace], month: Month, tags: Tags
) -> list[SparkUsage]:
    """The hosts and the first checkpoint store, then a usage without hosts for each other store."""
    stores: dict[str, list[Flowing]] = {}
    for found in flows:
        stores.setdefault(found.flow.query.checkpoint, []).append(found)
    made = []
    for number, (store, of) in enumerate(stores.items()):
        usage = SparkUsage("ec2", scenario.money.region, tags=tags)
        if number == 0:
            usage = _hosts_of_spark(scenario, tags, _held(of, pace))
        files = [checkpoint_files(f.flow.query.state) * batches(f, pace[f.flow.name], month) for f in of]
        writes = [checkpoint_writes(f.flow.query.file_manager, f.flow.query.checkpoint) for f in of]
        usage = replace(
            usage,
            checkpoint_store=STORES[store],
            put_requests=sum(n * w for n, w in zip(files, writes, strict=True)),
            get_requests=sum(n * HEADS_PER_RENAME * (w - 1) for n, w in zip(files, writes, strict=True)),
            checkpoint_bytes=sum(checkpoint_bytes(f.flow.query.state) for f in of),
        )
        made.append(usage)
    return made


def checkpoint_bytes(state: State | None) -> float:
    """Bytes that a checkpoint keeps: a snapshot every ten of the last hundred versions, deltas left out."""
    if state is None:
        return 0.0
    one = state.keys * state.bytes_per_key / (2 if state.provider == "hdfs-backed" else 1)
    return one * (VERSIONS_KEPT / VERSIONS_PER_SNAPSHOT if state.provider == "hdfs-backed" else 1)


def _held(flows: Sequence[Flowing], pace: Mapping[str, Pace]) -> float | None:
    """Executors' hosts that a scaling policy holds on the mean at the month's load; None where none was walked."""
    return pace[flows[0].flow.name].hosts_at(flows[0].load)


def _hosts_of_spark(scenario: Scenario, tags: Tags, held: float | None = None) -> SparkUsage:
    spark, money = scenario.spark, scenario.money
    executors = float(spark.executors)
    if held is not None and spark.scaling is not None:
        executors = min(max(held, spark.scaling.least), spark.scaling.most)
    if spark.hosts:
        return SparkUsage("ec2", money.region, boxed=False, tags=tags)
    disk = _spark_disk(scenario) / GIB
    return SparkUsage(
        spark.kind, money.region, box_name(spark.machine), executors, 1.0, box_name(spark.driver_machine),
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


def search_usage(
    scenario: Scenario, flows: Sequence[Flowing], coefficients: CoefficientSet, pace: Mapping[str, Pace], month: Month,
    tags: Tags,
) -> SearchUsage:  # fmt: skip
    cluster, money = scenario.elasticsearch, scenario.money
    own, shared = cluster.kind != "opensearch-service", bool(cluster.hosts)
    primary = [primary_bytes(f, coefficients) for f in flows]
    held = sum(b * f.flow.index.copies for b, f in zip(primary, flows, strict=True))
    snapshot, puts = snapshots_of(scenario, flows, primary, coefficients, month)
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


def primary_bytes(found: Flowing, coefficients: CoefficientSet) -> float:
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


def snapshots_of(
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


def hosts_usage(scenario: Scenario, tags: Tags) -> list[HostUsage]:
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


def shared_usage(money: Money, tags: Tags) -> SharedUsage:
    net, seen = money.network, money.monitoring
    return SharedUsage(
        money.region, "" if money.support_plan == "none" else money.support_plan, net.nat_gateways, net.nat_data,
        net.endpoint_zones, net.endpoint_data, net.application_balancers, net.application_lcus, net.network_balancers,
        net.network_lcus, net.public_addresses, net.internet_out, dict(net.to_regions), seen.custom_metrics,
        seen.metrics_read, float(seen.alarms), seen.logs, seen.logs * LOG_COMPRESSION * seen.logs_kept / MONTH,
        seen.prometheus_samples, seen.prometheus_stored, seen.grafana_editors, seen.grafana_viewers,
        money.engineer_hours, money.engineer_usd_per_hour, tuple(money.third_parties.items()), tags,
    )  # fmt: skip
