"""AWS's own MSK sizing arithmetic, as a named policy with its own price set.

This is how AWS's agent toolkit sizes a cluster (msk_sizing.py of 2026-08-20): each *factor* of headroom is a
multiplier on ingress, so that the cluster survives one zone down, a rebalance, and lagging readers at once, at half
utilisation. It is no model of what happens; it is kept because finance meets its numbers, and as a yardstick for ours.

Where it differs from Floodmark's bill, and why: tiered storage is priced as S3 (0.023, AWS's price feed says 0.06);
storage is bought at twice the data; three zones and rack-aware consumers are assumed; every month has 730 hours;
volumes are never smaller than the data needs but bought in no step.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path

TABLE = Path(__file__).parent / "data" / "msk_sizing.csv"
POLICY = "aws-msk-sizing-2026-08-20"

# The script's factors (kafka.md A6): multiples of ingress that a broker's EBS and network must bear.
EBS_FACTOR, NETWORK_FACTOR, FAN_OUT_FACTOR, TIERED_EXTRA = 6.5, 5.7, 1.5, 1.5
STANDARD_UTILISATION, EXPRESS_UTILISATION = 0.50, 0.75
EXPRESS_EGRESS_RATIO = 2.5
COPIES, DISK_HEADROOM, BROKER_STEP = 3, 2, 3
MAX_VOLUME_GIB = 16384
HOURS, SECONDS_PER_HOUR, MIB_PER_GIB = 730, 3600, 1024
STORAGE_USD, TIERED_USD, EXPRESS_IN_USD, ZONE_USD = 0.10, 0.023, 0.01, 0.02  # its us-east-1 prices, a GiB
CLIENT_CROSSING = 2 / 3


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker type in the script's own figures; `express` ones have an ingress instead of EBS and network."""

    name: str
    express: bool
    ebs_mib_per_second: float
    network_mib_per_second: float
    ingress_mib_per_second: float
    partitions: int
    usd_per_hour: float


@dataclass(frozen=True, slots=True)
class Need:
    """What is asked: MiB/s in on average and at peak, bytes out over bytes in, partition replicas, hours kept.

    `primary_hours` less than `retention_hours` means that the rest lies in tiered storage.
    """

    average_mib_per_second: float
    peak_mib_per_second: float
    fan_out: float
    partition_replicas: int
    retention_hours: float
    primary_hours: float
    rack_aware: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """Brokers, what bound their number, and USD a month by line, unrounded."""

    broker: str
    brokers: int
    bottleneck: str
    broker_usd: float
    storage_usd: float
    tiered_usd: float
    data_in_usd: float
    cross_zone_usd: float

    @property
    def total_usd(self) -> float:
        return self.broker_usd + self.storage_usd + self.tiered_usd + self.data_in_usd + self.cross_zone_usd


@cache
def brokers() -> dict[str, Broker]:
    """The script's broker types by name."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {row["instance"]: _broker(row) for row in csv.DictReader(file)}


def _broker(row: dict[str, str]) -> Broker:
    return Broker(
        name=row["instance"],
        express="Express" in row["instance"],
        ebs_mib_per_second=float(row["ebs_throughput_mbs"] or 0),
        network_mib_per_second=float(row["network_throughput_mbs"] or 0),
        ingress_mib_per_second=float(row["ingress_mbs"] or 0),
        partitions=int(row["rec_partitions"]),
        usd_per_hour=float(row["price_per_hr"]),
    )


def ingress_per_broker(broker: Broker, fan_out: float, tiered: bool) -> float:
    """MiB/s that one broker is given by the policy [MiB/s].

    >>> round(ingress_per_broker(brokers()["kafka.m7g.16xlarge"], fan_out=1, tiered=False), 1)
    76.9
    """
    if broker.express:
        return broker.ingress_mib_per_second * EXPRESS_UTILISATION
    extra = TIERED_EXTRA if tiered else 0.0
    ebs = broker.ebs_mib_per_second / (EBS_FACTOR + extra)
    network = broker.network_mib_per_second / (NETWORK_FACTOR + extra + FAN_OUT_FACTOR * fan_out)
    return min(ebs, network) * STANDARD_UTILISATION


def volume_gib(need: Need) -> float:
    """GiB of EBS that the policy buys for the whole cluster: three copies, half full [GiB]."""
    return _gib(need.average_mib_per_second, need.primary_hours) * COPIES * DISK_HEADROOM


def _gib(mib_per_second: float, hours: float) -> float:
    return mib_per_second * hours * SECONDS_PER_HOUR / MIB_PER_GIB


def brokers_needed(broker: Broker, need: Need) -> dict[str, int]:
    """Brokers that each limit asks for, in multiples of three; the first of equals is the bottleneck."""
    tiered = need.primary_hours < need.retention_hours
    asked = {"ingress": need.peak_mib_per_second / ingress_per_broker(broker, need.fan_out, tiered)}
    if broker.express:
        egress = broker.ingress_mib_per_second * EXPRESS_EGRESS_RATIO
        asked["egress"] = need.peak_mib_per_second * need.fan_out / egress
    asked["partitions"] = need.partition_replicas / broker.partitions
    if not broker.express:
        asked["storage"] = volume_gib(need) / MAX_VOLUME_GIB
    return {limit: max(1, math.ceil(math.ceil(count) / BROKER_STEP)) * BROKER_STEP for limit, count in asked.items()}


def size(broker: Broker, need: Need) -> Answer:
    """The policy's cluster of that broker type and its monthly cost."""
    needed = brokers_needed(broker, need)
    bottleneck = max(needed, key=lambda limit: needed[limit])
    count = needed[bottleneck]
    month_gib = _gib(need.average_mib_per_second, HOURS)
    held = _gib(need.average_mib_per_second, need.retention_hours) if broker.express else volume_gib(need)
    tiered = 0.0 if broker.express else _gib(need.average_mib_per_second, need.retention_hours - need.primary_hours)
    crossing = CLIENT_CROSSING * (1 if need.rack_aware else 1 + need.fan_out)
    return Answer(
        broker=broker.name,
        brokers=count,
        bottleneck=bottleneck,
        broker_usd=count * broker.usd_per_hour * HOURS,
        storage_usd=held * STORAGE_USD,
        tiered_usd=tiered * TIERED_USD,
        data_in_usd=month_gib * EXPRESS_IN_USD if broker.express else 0.0,
        cross_zone_usd=month_gib * crossing * ZONE_USD,
    )
