"""Checks: a configuration held against what the field knows, before anything is simulated.

Each rule is one small function from a scenario to findings, with its evidence computed from the
scenario's own numbers and the source that says why it matters. What takes time to show (latency,
lag, sustainable throughput) is the forecast's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from models.coefficients import CoefficientSet, load_set
from models.stack import Flow, Scenario
from models.units import DAY, show
from planner import checks_access as access
from planner import checks_kafka as kafka
from planner import checks_memory as held
from planner import checks_scaling as scaling
from planner import checks_search as search
from planner import checks_shards as shards
from planner import checks_spark as spark
from planner import checks_versions as versions
from planner import checks_zones as zones
from planner.findings import Finding, sorted_findings
from planner.storage import Fill, index_storage, topic_storage

Rule = Callable[[Scenario, CoefficientSet], Iterator[Finding]]


def check(scenario: Scenario) -> list[Finding]:
    """All that the rules find, worst first."""
    coefficients = load_set(scenario.coefficients)
    return sorted_findings([finding for rule in RULES for finding in rule(scenario, coefficients)])


def disks(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    keep = max(flow.topic.retention for flow in scenario.flows)
    yield from _disk("topic", "kafka.volume.size", topic_storage(scenario), keep, "kafka.md B6")
    keep = max(flow.index.retention for flow in scenario.flows)
    yield from _disk("index", "elasticsearch.volume.size", index_storage(scenario, coefficients), keep,
                     "elasticsearch.md B4")  # fmt: skip


def _disk(what: str, where: str, fill: Fill, retention: float, source: str) -> Iterator[Finding]:
    passed = {mark: day for mark, day in fill.days_to.items() if day is not None}
    if not passed:
        return
    stops = min((day for mark, day in passed.items() if mark in ("full", "flood", "write_block")), default=None)
    never = stops is not None and stops * DAY <= retention  # else growth fills it, later
    held = f"{show(fill.fullest_node_bytes, 'bytes')} on the fullest node of {show(fill.volume_bytes, 'bytes')}"
    yield Finding(
        f"disk-{what}", "critical" if never else "warning", where,
        f"the fullest disk stops writes on day {stops:.0f}" if stops else "the fullest disk passes its first mark",
        f"{', '.join(f'{mark} on day {day:.1f}' for mark, day in passed.items())}; once retention is full {held}",
        "more volume, less retention, fewer copies or a denser codec", source,
    )  # fmt: skip


def losses_survived(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    """Static part of the promise `targets.survive`: writes go on, and no copy is the last."""
    for k, flow in enumerate(scenario.flows):
        for loss in scenario.targets.survive:
            reason = not_survived(scenario, flow, loss)
            if reason:
                yield Finding(
                    "not-survived", "critical", f"flows[{k}]", f"the loss of a {loss} is not survived", reason,
                    "more copies, over more zones", "kafka.md B2, elasticsearch.md B3",
                )  # fmt: skip


def not_survived(scenario: Scenario, flow: Flow, loss: str) -> str:
    """Why a loss stops writes or leaves a record with a last copy; '' if neither (allocators spread over zones)."""
    kafka, search, topic, index = scenario.kafka, scenario.elasticsearch, flow.topic, flow.index
    topics_lost = {"broker": 1, "zone": -(-topic.copies // min(kafka.zones, topic.copies)), "data-node": 0}[loss]
    shards_lost = {"data-node": 1, "zone": -(-index.copies // min(search.zones, index.copies)), "broker": 0}[loss]
    left = topic.copies - topics_lost
    if topics_lost and left < topic.min_insync and topic.producer.acks == "all":
        return f"{left} of {topic.copies} topic copies remain, below min_insync = {topic.min_insync}: writes stop"
    if topics_lost and left < 1:
        return "no topic copy remains"
    placed = min(index.copies, search.data_nodes)
    if shards_lost and placed - shards_lost < 1:
        return f"{placed - shards_lost} of {placed} copies of a shard remain"
    return ""


RULES: tuple[Rule, ...] = (
    losses_survived, disks,
    kafka.copies_of_topics, search.index_copies, held.executor_fits, search.bulk_too_large, spark.state_on_heap,
    spark.shuffle_partitions, spark.refresh_per_write, spark.checkpoint_on_s3, spark.uncapped_backlog,
    spark.partitions_and_slots, kafka.compression_of_lone_records, search.heap_of_data_nodes, search.hot_set,
    kafka.broker_page_cache, kafka.replicas_per_broker, spark.emr_releases, spark.duplicates_on_retry,
    access.connections, access.what_stands_behind, access.in_the_clear,
    search.managers, kafka.unclean_election, kafka.client_versions,
    shards.shard_sizes, shards.shard_counts, shards.watermarks, shards.quorum, shards.recovery,
    held.risks, held.shared_hosts, held.executor_heap_pointers, held.memory_maps, held.endless_state,
    zones.copies_over_zones, zones.uneven_zones, zones.spark_in_one_zone,
    versions.brokers_and_clients, versions.java, versions.scala, versions.connectors,
    scaling.never_idle, scaling.bounded_by_partitions, scaling.too_slow, scaling.emr_s_default,
)  # fmt: skip
