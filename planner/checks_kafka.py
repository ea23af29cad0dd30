"""Checks of topics, producers and brokers."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.kafka import batch_records, record_overhead_bytes
from models.stack import Scenario
from models.units import show
from planner.findings import Finding
from planner.memory import memory

# (end of an instance size's name, partition copies a broker), kafka.md B2 (AWS's MSK guide); larger ones 4000
MSK_REPLICAS = ((".small", 300), (".large", 1000), (".xlarge", 1000), (".2xlarge", 2000))
CACHE_SECONDS = 30.0  # writes that memory should hold, kafka.md A7


def copies_of_topics(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        topic, at = flow.topic, f"flows[{k}].topic"
        if topic.copies == 1:
            yield Finding(
                "topic-one-copy", "critical", f"{at}.copies", "one broker lost is data lost",
                "copies = 1: each record lies on one disk", "copies: 3 and min_insync: 2", "kafka.md B2, E",
            )  # fmt: skip
        elif topic.min_insync == topic.copies and topic.producer.acks == "all":
            yield Finding(
                "topic-no-spare", "warning", f"{at}.min_insync", "one broker down stops writes",
                f"min_insync = copies = {topic.copies}: every copy must acknowledge", "min_insync one below copies",
                "kafka.md B2",
            )  # fmt: skip
        elif topic.min_insync == 1 and topic.producer.acks == "all":
            yield Finding(
                "topic-last-copy", "warning", f"{at}.min_insync", "an acknowledged record may lie on one broker only",
                f"min_insync = 1 of {topic.copies} copies: acks=all waits for those in sync, be it one",
                "min_insync: 2", "kafka.md B2",
            )  # fmt: skip
        if topic.producer.acks != "all":
            yield Finding(
                "producer-acks", "warning", f"{at}.producer.acks", "a leader lost takes records that were acknowledged",
                f"acks = {topic.producer.acks}: followers are not waited for", "acks: all", "kafka.md A3: end-to-end "
                "latency does not depend on acks, publish latency does",
            )  # fmt: skip


def unclean_election(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    if scenario.kafka.kind == "msk-standard":
        yield Finding(
            "msk-unclean-election", "info", "kafka.kind", "MSK lets a copy that is behind become leader",
            "unclean.leader.election.enable is true on MSK Standard: after the loss of all in-sync copies, "
            "acknowledged records may vanish in silence", "set it to false in the cluster's configuration",
            "kafka.md B2",
        )  # fmt: skip


def replicas_per_broker(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    held = sum(f.topic.partitions * f.topic.copies for f in scenario.flows) / scenario.kafka.brokers
    most = next((n for size, n in MSK_REPLICAS if scenario.kafka.machine.endswith(size)), 4000)
    if scenario.kafka.kind == "msk-standard" and held > most:
        yield Finding(
            "broker-partitions", "warning", "kafka.brokers", "more partition copies a broker than MSK recommends",
            f"{held:.0f} a broker; {most} recommended for {scenario.kafka.machine}",
            "fewer partitions, or more or larger brokers", "kafka.md B2 (AWS MSK guide)",
        )  # fmt: skip


def compression_of_lone_records(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        producer, load = flow.topic.producer, flow.workload
        streams = producer.count * (flow.topic.partitions if producer.partitioner == "keyed" else 1)
        one = load.value_bytes + record_overhead_bytes(load.value_bytes, 2)
        records = batch_records(load.events_per_second / streams, producer.linger, producer.batch_size / one)
        ratio = producer.ratio(records * one)
        possible = producer.ratio(max(producer.batch_size, 16 * 1024.0))
        if producer.compression != "none" and ratio < 0.7 * possible:
            yield Finding(
                "batches-too-small", "warning", f"flows[{k}].topic.producer.linger",
                f"{producer.compression} compresses {ratio:.2g}-fold where {possible:.2g}-fold is possible",
                f"{streams} producer × partition streams at {show(load.events_per_second / streams, '1/s')} each close "
                f"a batch with {records:.2g} records after {show(producer.linger, 's')}",
                "a longer linger, fewer producers or fewer partitions", "kafka.md A2: the ratio is the batch's",
            )  # fmt: skip


def broker_page_cache(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    ledger = next(entry for entry in memory(scenario, _) if entry.process == "broker")
    seconds, trigger = ledger.page_cache_seconds, max(flow.query.trigger for flow in scenario.flows)
    if seconds is not None and seconds < max(CACHE_SECONDS, 2 * trigger):
        yield Finding(
            "broker-page-cache", "warning", "kafka.machine", "readers fall out of the page cache",
            f"{show(ledger.page_cache_bytes or 0.0, 'bytes')} hold the last {show(seconds, 's')} of writes; a batch "
            f"reads {show(trigger, 's')} back", "a smaller broker heap or more memory", "kafka.md A7: 30 s of writes",
        )  # fmt: skip


def client_versions(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    if scenario.kafka.version.startswith("4."):
        yield Finding(
            "kafka-4-clients", "info", "kafka.version", "brokers of 4.x refuse clients older than 2.1",
            f"version = {scenario.kafka.version}: APIs older than 2.1 are gone (KIP-896), brokers need Java 17",
            "count client versions first (kafka.server request metrics by version)", "kafka.md B5",
        )  # fmt: skip
