"""Limits that need no simulation: network cards and volumes, on the busiest node, at a given rate.

Each is linear in the rate, so the rate at which it is full follows by division. They are steady-state:
burst credits are taken as spent.
"""

from __future__ import annotations

from models.coefficients import CoefficientSet
from models.kafka import leaders_of
from models.machines import machine
from models.stack import Scenario
from models.units import show
from planner.answers import Load
from planner.places import Part, place
from planner.storage import document_bytes, index_shares, stored_event_bytes, topic_shares


def limits(scenario: Scenario, coefficients: CoefficientSet, factor: float = 1.0) -> list[Load]:
    """Loads of brokers' and data nodes' networks and volumes at the mean rate times `factor`, busiest node each."""
    found = [*_broker_network(scenario, factor), _broker_volume(scenario, factor)]
    return [*found, _search_volume(scenario, coefficients, factor)]


def _broker_network(scenario: Scenario, factor: float) -> list[Load]:
    """Source: kafka.md A5, for the broker that holds most."""
    card = place(scenario, "kafka").network_bytes_per_second
    if card is None:
        return []
    brokers = scenario.kafka.brokers
    into, out = [0.0] * brokers, [0.0] * brokers
    for flow in scenario.flows:
        rate = flow.workload.events_per_second * factor * stored_event_bytes(flow)
        readers = 1 + flow.topic.consumer_groups
        for broker, share in enumerate(topic_shares(scenario, flow)):
            into[broker] += rate * share
        placed = leaders_of(flow.topic.partitions, flow.topic.copies, brokers)
        for share, on in zip(flow.workload.partition_shares(flow.topic.partitions), placed, strict=True):
            out[on[0]] += rate * share * (flow.topic.copies - 1 + readers)
    found = []
    for way, most in (("in", max(into)), ("out", max(out))):
        evidence = f"{show(most, 'bytes/s')} of {show(card, 'bytes/s')}"
        found.append(Load(f"kafka network {way}", "network", most / card, evidence))
    return found


def _broker_volume(scenario: Scenario, factor: float) -> Load:
    written = [0.0] * scenario.kafka.brokers
    for flow in scenario.flows:
        rate = flow.workload.events_per_second * factor * stored_event_bytes(flow)
        written = [w + rate * share for w, share in zip(written, topic_shares(scenario, flow), strict=True)]
    return _volume(scenario, "kafka", max(written))


def _search_volume(scenario: Scenario, coefficients: CoefficientSet, factor: float) -> Load:
    """Translog and segments with their merges. Source: elasticsearch.md A6."""
    written = [0.0] * scenario.elasticsearch.data_nodes
    for flow in scenario.flows:
        documents = flow.workload.events_per_second * factor * flow.workload.documents_per_event
        segments = document_bytes(flow, coefficients) * (1 + coefficients["search.merge_amplification"])
        bytes_of_one = flow.workload.json_bytes + segments
        if flow.query.sink.kind == "noop":
            continue
        shares = index_shares(scenario, flow)
        written = [w + documents * bytes_of_one * share for w, share in zip(written, shares, strict=True)]
    return _volume(scenario, "elasticsearch", max(written))


def _volume(scenario: Scenario, part: Part, written: float) -> Load:
    cluster = getattr(scenario, part)
    most = cluster.volume.throughput
    if not cluster.hosts:
        most = min(most, machine(cluster.machine).ebs_baseline_bytes_per_second)
    return Load(
        f"{part} volume", "volume", written / most, f"{show(written, 'bytes/s')} written of {show(most, 'bytes/s')}"
    )
