"""Checks of who may connect to the brokers, and what connecting costs."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.stack import Scenario
from models.units import show
from planner.findings import Finding

# AWS, MSK developer guide, "Amazon MSK Standard broker quota", read on 2026-11-24: with IAM access control
IAM_CONNECTIONS = 3000  # TCP connections of a broker
IAM_NEW_PER_SECOND = {"t3.small": 4, "kafka.t3.small": 4}  # new ones; every other type takes 100 a second
LONG_RECONNECT = 30.0  # s: by then a producer's 2 minutes of delivery.timeout.ms are a quarter gone


def connections(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    """IAM bounds connections and how fast they come back: each producer holds one to each broker, each reading task
    one to its partition's leader."""
    if scenario.kafka.authentication != "iam":
        return
    producers = sum(flow.topic.producer.count for flow in scenario.flows)
    readers = sum(flow.topic.partitions * (1 + flow.topic.consumer_groups) for flow in scenario.flows)
    held = producers + readers / scenario.kafka.brokers
    back = held / IAM_NEW_PER_SECOND.get(scenario.kafka.machine, 100)
    if held <= IAM_CONNECTIONS and back <= LONG_RECONNECT:
        return
    yield Finding(
        "iam-connections", "critical" if held > IAM_CONNECTIONS else "warning", "kafka.authentication",
        "connections with IAM are bounded, and so is how fast they come back",
        f"{held:.0f} connections a broker of {IAM_CONNECTIONS} allowed; after a restart they take {show(back, 's')}",
        "fewer producers, SCRAM, or listener.name.client_iam.max.connections", "AWS MSK guide, quotas (2026-11-24)",
    )  # fmt: skip


def what_stands_behind(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    """SCRAM and mutual TLS on MSK need services of AWS that are on no line of this bill."""
    needs = {
        "scram": "a secret in Secrets Manager encrypted with a customer-managed KMS key",
        "mtls": "certificates of AWS Private CA",
    }.get(scenario.kafka.authentication)
    if needs and scenario.kafka.kind == "msk-standard":
        yield Finding(
            "authentication-unpriced", "info", "kafka.authentication",
            f"{scenario.kafka.authentication} on MSK needs what the bill does not hold",
            f"authentication = {scenario.kafka.authentication}: {needs}; the price book has no row for it",
            "add it by hand", "AWS MSK guide, authentication (2026-11-24)",
        )  # fmt: skip


def in_the_clear(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    """A password over plain text is everybody's; without any, whoever reaches the port may write."""
    if scenario.kafka.authentication == "scram" and not scenario.kafka.tls:
        yield Finding(
            "scram-in-the-clear", "critical", "kafka.tls", "records and salted passwords cross the network unencrypted",
            "authentication = scram with tls = false; MSK refuses it", "tls: true", "AWS MSK guide, authentication",
        )  # fmt: skip
