"""Checks of zones: what the loss of one leaves, whether or not the scenario promises to survive it."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.findings import Finding


def copies_over_zones(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    """Copies left when one zone is lost, as rack-aware allocators lay them."""
    kafka, search = scenario.kafka, scenario.elasticsearch
    if "zone" in scenario.targets.survive:
        return  # then it is a broken promise, said by the target
    for flow in scenario.flows:
        topic, index = flow.topic, flow.index
        lost = -(-topic.copies // kafka.zones)
        left = topic.copies - lost
        if topic.producer.acks == "all" and left < topic.min_insync and topic.copies > 1:
            yield Finding(
                "zone-topic",
                "warning",
                "kafka.zones",
                "a lost zone stops writes to the topic",
                f"{topic.copies} copies over {kafka.zones} zones: {left} left, min_insync = {topic.min_insync}",
                f"zones: {topic.copies}, or min_insync: {max(1, left)}",
                "kafka.md B2",
            )
        placed = min(index.copies, search.data_nodes)
        if placed > 1 and -(-placed // min(search.zones, search.data_nodes)) >= placed:
            yield Finding(
                "zone-index",
                "warning",
                "elasticsearch.zones",
                "all copies of a shard may lie in one zone",
                f"{placed} copies on {search.data_nodes} nodes in {search.zones} zone",
                "zones: 2 or more, with allocation awareness of the zone",
                "elasticsearch.md A14",
            )


def uneven_zones(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    search = scenario.elasticsearch
    rest = search.data_nodes % search.zones
    if search.zones > 1 and search.data_nodes > 1 and rest:
        less = search.data_nodes // search.zones
        yield Finding(
            "zones-uneven",
            "info",
            "elasticsearch.data_nodes",
            "zones have unequal numbers of data nodes",
            f"{search.data_nodes} nodes over {search.zones} zones: {less} in one, {less + 1} in another; copies spread "
            "by zone load the smaller one more",
            f"data_nodes: a multiple of {search.zones}",
            "elasticsearch.md A14",
        )


def spark_in_one_zone(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    if scenario.spark.kind == "emr-ec2" and max(scenario.kafka.zones, scenario.elasticsearch.zones) > 1:
        yield Finding(
            "spark-one-zone",
            "info",
            "spark.kind",
            "an EMR cluster on EC2 lives in one zone, whatever else does not",
            f"brokers in {scenario.kafka.zones} zones, data nodes in {scenario.elasticsearch.zones}, Spark in 1: "
            "its loss means a new cluster and a restart from the checkpoint",
            "a checkpoint in s3, and a rehearsed restart; or EMR on EKS over zones",
            "EMR instance groups are launched into one subnet (remembered)",
        )
