"""Traffic between zones: bytes a second that cross from one zone to another, by who sends them.

Some of it is billed and all of it takes a round trip. Spark on EMR lives in one zone. Partitions'
leaders are spread evenly over the brokers' zones, as the allocators do.
"""

from __future__ import annotations

from models.stack import Scenario
from planner.storage import stored_event_bytes


def cross_zone_bytes_per_second(scenario: Scenario) -> dict[str, float]:
    """Producers, replication between brokers, readers, and bulks with their replicas [bytes/s].

    Source: kafka.md A5: W (2/3 producers + (r - 1) + 2/3 f, 0 of it with follower fetch) in three zones; the
    same arithmetic for bulks (one zone sends, nodes are spread) and replicas of shards.
    """
    kafka, search = scenario.kafka, scenario.elasticsearch
    away = 1 - 1 / kafka.zones
    total = {"producers": 0.0, "replication": 0.0, "readers": 0.0, "bulks": 0.0, "shard_replicas": 0.0}
    for flow in scenario.flows:
        load, topic = flow.workload, flow.topic
        wire = load.events_per_second * stored_event_bytes(flow)
        total["producers"] += wire * away
        total["replication"] += wire * (topic.copies - 1) * (1.0 if kafka.zones > 1 else 0.0)
        far = (not (kafka.rack_aware_fetch and scenario.money.spark_reads_near)) + (
            0 if kafka.rack_aware_fetch else topic.consumer_groups
        )  # Spark has one client.rack for all executors: it reads near only where that is set
        total["readers"] += wire * far * away
        if flow.query.sink.kind == "noop":
            continue
        documents = load.events_per_second * load.documents_per_event * load.json_bytes
        total["bulks"] += documents * (1 - 1 / search.zones)
        total["shard_replicas"] += documents * (flow.index.copies - 1) * (1.0 if search.zones > 1 else 0.0)
    return total
