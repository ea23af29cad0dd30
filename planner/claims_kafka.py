"""Claims about Kafka and the network."""

from __future__ import annotations

from collections.abc import Iterator

from models.units import DAY, show
from planner.claims import Claim, Judge, Known, Truth
from planner.places import slots

DELIVERY_SECONDS = 120.0  # delivery.timeout.ms, kafka.md B1
BROKER_LOST_SECONDS = 9.0  # broker.session.timeout.ms, kafka.md B3
SAID_ZONE_SECONDS = (0.001, 0.003)


def partitioning(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        shares = flow.workload.partition_shares(flow.topic.partitions)
        have = slots(k.scenario)
        tasks = max(flow.topic.partitions, flow.query.min_partitions or 0)
        bound = min(1 / max(shares), float(have), float(tasks))
        yield Claim(
            "wrong-partitions",
            f"flow {flow.name}",
            "wrong partitioning will bottleneck the entire pipeline",
            "true" if bound < 0.7 * have else "it depends",
            f"{flow.topic.partitions} partitions, the fullest with {max(shares):.1%} of the records: {bound:.3g} of "
            f"your "
            f"{have} task slots can work at once",
            "A batch lasts as long as its fullest partition: its share caps the speed-up at one over it, and "
            "partitions "
            "beyond the slots come in waves.",
            "spark.md A4, L7",
        )


def more_partitions_later(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        keyed = flow.topic.producer.partitioner == "keyed"
        verdict: Truth = "it depends" if keyed else "false"
        yield Claim(
            "partitions-later",
            f"flow {flow.name}",
            "start with more partitions: they cannot be raised later without pain",
            verdict,
            f"{flow.topic.partitions} partitions, partitioner {flow.topic.producer.partitioner}: "
            + (
                "raising them sends most keys elsewhere, and order by key breaks at that moment"
                if keyed
                else "no key, so nothing breaks"
            )
            + ("; the query's state is keyed by Spark's own shuffle and stays" if flow.query.state else ""),
            "Raising is one immediate call and moves no data; lowering is impossible. Too many cost latency, with "
            "acks=all "
            "most.",
            "kafka.md B4, E",
        )


def replication_saves(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        topic = flow.topic
        safe = topic.copies >= 3 and topic.min_insync >= 2 and topic.producer.acks == "all"
        left = topic.copies - 1
        yield Claim(
            "replication-saves",
            f"flow {flow.name}",
            "the replication factor saves you from disk failures",
            "true" if safe else "false" if topic.copies == 1 else "it depends",
            f"copies = {topic.copies}, min_insync = {topic.min_insync}, acks = {topic.producer.acks}: after one disk "
            f"{left} {'copy is' if left == 1 else 'copies are'} left, and writes "
            f"{'go on' if left >= topic.min_insync else 'stop'}",
            "With three copies, two in sync and acks=all. The defaults outside MSK are one copy and one in sync, "
            "and Kafka "
            "itself never syncs a disk.",
            "kafka.md B2, E",
        )


def three_six_two(k: Known) -> Iterator[Claim]:
    yield Claim(
        "kafka-3.6.2",
        "versions",
        "3.6.2 broke consumer groups' rebalancing and offset management",
        "false",
        f"you run {k.scenario.kafka.version}",
        "Between 3.6.1 and 3.6.2 no file of the coordinators or of the consumer package changed (46 commits).",
        "kafka.md E (source diff)",
    )


def four_breaks(k: Known) -> Iterator[Claim]:
    version, clients = (
        k.scenario.kafka.version,
        [f.topic.producer.client for f in k.scenario.flows if f.topic.producer.client],
    )
    new = version.startswith("4.")
    yield Claim(
        "kafka-4",
        "versions",
        "Kafka 4.x breaks the admin client and consumer groups' management",
        "true",
        f"you run {version}"
        + ("" if new else ", which it does not touch yet")
        + (
            f"; oldest client {min(clients)}"
            if clients
            else "; your clients' versions are not stated (producer.client)"
        ),
        "ZooKeeper is gone, brokers need Java 17, protocols older than 2.1 are refused both ways, and several Admin "
        "calls "
        "were removed. The producer's linger is 5 ms instead of 0.",
        "kafka.md B5",
    )


def kraft(k: Known) -> Iterator[Claim]:
    new = k.scenario.kafka.version.startswith("4.")
    yield Claim(
        "kraft",
        "versions",
        "KRaft is supposedly stable but needs other monitoring and procedures",
        "true",
        f"{k.scenario.kafka.version}: KRaft is " + ("the only mode" if new else "an option, ZooKeeper still works"),
        "Ready for production since 3.3, the only mode since 4.0. Controllers' metrics differ, and ZooKeeper's are "
        "gone.",
        "kafka.md B3, E",
    )


def pin_versions(k: Known) -> Iterator[Claim]:
    found = [f for f in k.findings if f.code.startswith("version-")]
    yield Claim(
        "pin-versions",
        "versions",
        "pin every single version or spend days on ClassNotFoundException",
        "it depends",
        f"{len(found)} pairs of yours do not fit"
        + (
            ": " + "; ".join(f.message for f in found)
            if found
            else " of those that the scenario states (kafka.java, spark.java, spark.scala, sink.connector, "
            "producer.client)"
        ),
        "Sound advice anywhere. The pairs that really bind are Scala with Spark, the search connector with Spark and "
        "cluster, and clients of 2.1 with brokers of 4.x.",
        "kafka.md B5; spark.md B6",
    )


def blips(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        producer, load = flow.topic.producer, flow.workload
        seconds = producer.buffer_memory * producer.count / (load.events_per_second * load.value_bytes)
        yield Claim(
            "network-blips",
            f"flow {flow.name}",
            "works great until the network blips",
            "it depends",
            f"your producers buffer {show(seconds, 's')} of events; a lost broker is noticed after "
            f"{BROKER_LOST_SECONDS:g} s, and records are given up after {DELIVERY_SECONDS:g} s"
            + ("" if seconds > BROKER_LOST_SECONDS else ": send() blocks before the next leader is elected"),
            "Bounded: about 9 s for a lost broker, 30 s for a slow follower, 120 s until a producer gives up.",
            "kafka.md B3, E",
        )


def zones(k: Known) -> Iterator[Claim]:
    trip = k.coefficients.values["hosts.zone_round_trip_seconds"]
    acks = max(2 if f.topic.producer.acks == "all" and f.topic.copies > 1 else 1 for f in k.scenario.flows)
    crossing = acks * trip.value if k.scenario.kafka.zones > 1 else 0.0
    low, high = SAID_ZONE_SECONDS
    yield Claim(
        "zones-1-3-ms",
        "network",
        "availability zones add 1 to 3 ms",
        "true" if low <= crossing <= high else "false",
        f"{show(trip.value, 's')} a round trip ({show(trip.low, 's')} to {show(trip.high, 's')}); a produce with acks="
        f"{k.scenario.flows[0].topic.producer.acks} over {k.scenario.kafka.zones} zones crosses up to {acks} times: "
        f"{show(crossing, 's')}",
        "Overstated for one round trip (0.5 to 1.5 ms, mostly 0.8), plausible for a produce that crosses twice.",
        "kafka.md D6, E",
    )


def rebalances(k: Known) -> Iterator[Claim]:
    groups = sum(f.topic.consumer_groups for f in k.scenario.flows)
    yield Claim(
        "rebalances",
        "Kafka",
        "Kafka rebalances for no reason",
        "false",
        f"your query takes no part in any group; {groups} other consumer groups may",
        "Causes are concrete: a session of 45 s, the poll interval, a deployment. Spark assigns offsets itself. With "
        "KIP-848 ten consumers of 900 partitions went from 103 s to 5 s.",
        "kafka.md B4, E",
    )


def backs_up(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        marks = ("flood", "write_block")
        days = [d for mark, d in k.index.days_to.items() if mark in marks and d is not None]
        stops = min(days) if days else None
        keeps = flow.topic.retention / DAY
        told = f"retention keeps {keeps:.3g} days" + (
            f"; if nobody acts, writes stop on day {stops:.1f} and the first records are lost on day "
            f"{stops + keeps:.1f}"
            if stops is not None
            else "; no disk of the index stops writes within three years"
        )
        yield Claim(
            "backs-up",
            f"flow {flow.name}",
            "the pipeline stops and data backs up in Kafka",
            "true",
            told,
            "Once an index refuses, batches wait and the lag grows until the topic's retention ends it; the readers "
            "that "
            "catch up then disturb the producers.",
            "kafka.md A7, E; elasticsearch.md E",
        )


JUDGES: tuple[Judge, ...] = (
    partitioning,
    more_partitions_later,
    replication_saves,
    three_six_two,
    four_breaks,
    kraft,
    pin_versions,
    blips,
    zones,
    rebalances,
    backs_up,
)
