"""Limits that need no simulation: network cards, volumes, brokers' CPU and fetchers, on the busiest node, at a rate.

They grow with the rate, some less than in proportion (larger batches cost less a record). They are steady-state:
burst credits are taken as spent.
"""

from __future__ import annotations

from models.coefficients import CoefficientSet
from models.kafka import fetcher_of, leaders_of
from models.machines import machine
from models.stack import Scenario
from models.units import MIB, show
from planner.answers import Load
from planner.places import Part, place
from planner.storage import document_bytes, index_shares, stored_event_bytes, topic_shares
from simulator.hosts import mean_trip
from simulator.hosts import place as placed
from simulator.kafka import broker_cpu, front_of

FETCH_OF_PARTITION, FETCH_IN_ALL = 1 * MIB, 10 * MIB  # replica.fetch.max.bytes, .response.max.bytes
Link = tuple[int, int, int]  # leader, follower, which of its fetchers


def limits(scenario: Scenario, coefficients: CoefficientSet, factor: float = 1.0) -> list[Load]:
    """Loads of brokers' and data nodes' networks and volumes at the mean rate times `factor`, busiest node each."""
    found = [
        *_broker_network(scenario, factor),
        *_fetchers(scenario, coefficients, factor),
        _broker_volume(scenario, factor),
    ]
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


def broker_cpu_load(scenario: Scenario, coefficients: CoefficientSet, factor: float) -> Load:
    """CPU of the busiest broker: requests, bytes, followers and readers, its idle burn, and the stated background.

    The fluid front lets brokers work as a background that follows the rate, so that none of them ever refuses more:
    this is what bounds them.
    """
    placement = placed(scenario, coefficients)
    spent = [coefficients["kafka.idle_cpu_cores"]] * scenario.kafka.brokers
    for flow in scenario.flows:
        rate = flow.workload.events_per_second * factor
        front = front_of(flow, scenario.kafka, rate, placement, coefficients)
        spent = [a + b for a, b in zip(spent, broker_cpu(flow, front, scenario.kafka, rate), strict=True)]
    homes = [placement.sites[k] for k in placement.brokers]
    shares = [cpu / home.speed / home.cores + home.background for cpu, home in zip(spent, homes, strict=True)]
    most = max(shares)
    return Load("kafka cpu", "host", most, f"{most:.0%} of {homes[shares.index(most)].cores:.3g} cores")


def _fetchers(scenario: Scenario, coefficients: CoefficientSet, factor: float) -> list[Load]:
    """The busiest fetcher of a follower: it has one fetch under way, so what its loop takes is what it can do.

    A fetch takes a round trip and the work at both ends, and brings at most 1 MiB of each partition and 10 MiB in all.
    Source: kafka.md B2.
    """
    placement = placed(scenario, coefficients)
    trip = 2 * mean_trip(placement, placement.brokers, placement.brokers, coefficients)
    speed, works, sizes = placement.sites[placement.brokers[0]].speed, dict[Link, float](), dict[Link, list[float]]()
    for f, flow in enumerate(scenario.flows):
        rate = flow.workload.events_per_second * factor
        front = front_of(flow, scenario.kafka, rate, placement, coefficients)
        a_byte, shares = (
            front.serve_byte_cpu + front.follow_byte_cpu,
            flow.workload.partition_shares(flow.topic.partitions),
        )
        for p, on in enumerate(leaders_of(flow.topic.partitions, flow.topic.copies, scenario.kafka.brokers)):
            records = rate * shares[p]
            size, batches = records * front.wire_bytes, records / front.batch_records
            for follower in on[1:]:
                link = (on[0], follower, fetcher_of(f, p, scenario.kafka.fetchers))
                works[link] = works.get(link, 0.0) + (size * a_byte + batches * front.follow_cpu) / speed
                sizes.setdefault(link, []).append(size)
    if not works:
        return []
    busy = {k: works[k] + trip * max(max(s) / FETCH_OF_PARTITION, sum(s) / FETCH_IN_ALL) for k, s in sizes.items()}
    most = max(busy.values())
    told = f"{most:.1%} of the busiest fetcher's time, {scenario.kafka.fetchers} for each pair of brokers"
    return [Load("kafka replica fetchers", "permits", most, told)]


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
