"""What is used in a month: the stack as a bill sees it.

A *cluster's usage* is what stands (boxes, volumes, zones) and what flowed through it in the month (bytes,
requests): flows are the month's integral, never a peak times hours. Bytes are bytes and hours are hours; each
system's pricing turns them into the units AWS bills. `copies` counts all copies. Traffic between zones is
derived from these by `pricing.traffic`, so nobody types gigabytes crossed.
"""

from __future__ import annotations

import calendar
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

Tags = tuple[tuple[str, str], ...]
AVERAGE_MONTH_HOURS = 730.0
FULL_MONTH: None = None


class BadUsage(ValueError):
    """A usage that cannot be: names the field, its value and what would do."""


def _need(where: str, holds: object, name: str, wanted: str) -> None:
    if not holds:
        raise BadUsage(f"{where}.{name} is missing or out of range; expected {wanted}")


def _check(where: str, usage: Any) -> None:
    """No quantity is negative, infinite or not a number; no cluster lies in zero zones or holds zero copies."""
    names, read, mappings = _numbers(usage.__class__)
    for name, value in zip(names, read(usage), strict=True):
        if value is not None and not 0 <= value < math.inf:
            raise BadUsage(f"{where}.{name} = {value}; expected a finite number of 0 or more")
        if value == 0 and name in ("zones", "copies"):
            raise BadUsage(f"{where}.{name} = 0; expected 1 or more")
    for name in mappings:
        for key, value in getattr(usage, name).items():
            if not 0 <= value < math.inf:
                raise BadUsage(f"{where}.{name}[{key}] = {value}; expected a finite number of 0 or more")


@cache
def _numbers(kind: type) -> tuple[tuple[str, ...], Callable[[Any], Any], tuple[str, ...]]:
    """The numeric fields of a usage, a fast reader of them, and its mappings of numbers."""
    names = tuple(n for n, text in kind.__annotations__.items() if text in ("int", "float", "float | None"))
    mappings = tuple(n for n, text in kind.__annotations__.items() if text == "Mapping[str, float]")
    read = operator.attrgetter(*names) if len(names) > 1 else lambda usage: tuple(getattr(usage, n) for n in names)
    return names, read, mappings


@dataclass(frozen=True, slots=True)
class Month:
    """The month a bill is for: its hours and what it is called. Only hourly items depend on the hours."""

    hours: float = AVERAGE_MONTH_HOURS
    label: str = "average month (730 h)"

    @classmethod
    def of(cls, year: int, month: int) -> Month:
        """A dated month with its own hours.

        >>> Month.of(2026, 2).hours, Month.of(2026, 12).hours, Month().hours
        (672.0, 744.0, 730.0)
        """
        return cls(calendar.monthrange(year, month)[1] * 24.0, f"{year}-{month:02d}")


@dataclass(frozen=True, slots=True)
class Account:
    """The rest of the AWS account in the month. Tiers of S3, internet, CloudWatch and support count it first."""

    aws_usd: float = 0.0
    s3_standard_bytes: float = 0.0
    internet_out_bytes: float = 0.0
    custom_metrics: float = 0.0
    prometheus_samples: float = 0.0


ALONE = Account()


@dataclass(frozen=True, slots=True)
class Volume:
    """The EBS volume of one broker or node. `none` is a box that keeps its data on its own disks."""

    kind: Literal["gp3", "gp2", "io1", "io2", "none"] = "gp3"
    gib: float = 0.0
    iops: float = 0.0
    bytes_per_second: float = 0.0

    def __post_init__(self) -> None:
        _check("volume", self)
        if self.kind == "none" and self.gib:
            raise BadUsage(f"volume.gib = {self.gib} GiB on a volume of kind 'none'; expected 0 or a kind")


@dataclass(frozen=True, slots=True)
class KafkaUsage:
    """A Kafka cluster in a month.

    `produced_bytes` are compressed bytes from producers to leaders, `consumed_bytes` those to each group.
    `rack_aware_groups` fetch from a replica in their own zone; Spark's executors do not (see `pricing.traffic`).
    `copies` may be a mean over topics. `boxed` false: the processes live on boxes that a `HostUsage` pays for.
    `volume.bytes_per_second` is the throughput bought for each broker's volume. `stored_bytes` is what Express or
    Serverless hold on average, one copy. `moved_bytes` are reassignments and recoveries between brokers.
    """

    kind: Literal["msk-standard", "msk-express", "msk-serverless", "self-managed"]
    region: str
    machine: str = ""
    brokers: int = 0
    zones: int = 3
    copies: float = 3
    volume: Volume = Volume("none")
    controllers: int = 0
    controller_machine: str = ""
    produced_bytes: float = 0.0
    consumed_bytes: Mapping[str, float] = field(default_factory=dict)
    rack_aware_groups: frozenset[str] = frozenset()
    stored_bytes: float = 0.0
    tiered_bytes: float = 0.0
    tiered_read_bytes: float = 0.0
    moved_bytes: float = 0.0
    partitions: int = 0
    root_volume_gib: float = 20.0
    boxed: bool = True
    tags: Tags = ()

    def __post_init__(self) -> None:
        _check("kafka", self)
        unknown = sorted(self.rack_aware_groups - set(self.consumed_bytes))
        if unknown:
            raise BadUsage(f"kafka.rack_aware_groups names {unknown}; expected groups of consumed_bytes")
        _need("kafka", self.machine or self.kind == "msk-serverless", "machine", "an EC2 or MSK type such as m7g.large")


@dataclass(frozen=True, slots=True)
class SparkUsage:
    """A Spark application and its hosts in a month.

    `executor_hosts` and `other_hosts` (masters, drivers) run `hours` each (None: the whole month); `spot_share` of
    the executors' hours are bought on the spot market: of those `spot_fallback` find none and run on demand, and each
    box taken back (`spot_interruptions` of them a month; None: the book's band) is paid twice while its replacement
    starts (`spot_replacement_seconds`). `shuffle_bytes` cross between executors, which lie in
    `zones` (an EMR-on-EC2 cluster lies in one). `put_requests` counts PUT, COPY, POST and LIST on the checkpoint
    store. `vcpu_hours` and `gb_hours` are what EMR on EKS and EMR Serverless meter.
    """

    kind: Literal["emr-ec2", "emr-eks", "emr-serverless", "ec2"]
    region: str
    machine: str = ""
    executor_hosts: float = 0.0
    other_hosts: float = 0.0
    other_machine: str = ""
    hours: float | None = FULL_MONTH
    spot_share: float = 0.0
    spot_fallback: float = 0.0
    spot_interruptions: float | None = None
    spot_replacement_seconds: float = 0.0
    zones: int = 1
    volume: Volume = Volume("none")
    root_volume_gib: float = 20.0
    shuffle_bytes: float = 0.0
    checkpoint_store: Literal["s3", "s3express", "hdfs", "local"] = "s3"
    put_requests: float = 0.0
    get_requests: float = 0.0
    checkpoint_bytes: float = 0.0
    vcpu_hours: float = 0.0
    gb_hours: float = 0.0
    architecture: Literal["x86_64", "arm64"] = "x86_64"
    eks_clusters: int = 0
    boxed: bool = True
    tags: Tags = ()

    def __post_init__(self) -> None:
        _check("spark", self)
        for name in ("spot_share", "spot_fallback"):
            _need("spark", getattr(self, name) <= 1, name, "a share from 0 to 1")
        _need("spark", self.machine or not self.executor_hosts, "machine", "an EC2 type such as m7g.2xlarge")


@dataclass(frozen=True, slots=True)
class SearchUsage:
    """An Elasticsearch or OpenSearch cluster in a month.

    `bulk_bytes` come from clients, `search_bytes` go back to them; `replica_bytes` are what primaries send to one
    extra copy (operations or segments), so (copies - 1) times it flows. `snapshot_bytes` and requests are those in
    a bucket of one's own: automated snapshots of the service cost nothing. `moved_bytes` are recoveries and
    rebalancing. `managed_bytes` is the S3-backed copy of OR1, OR2, OM2, OI2.
    """

    kind: Literal["opensearch-service", "opensearch-serverless", "self-managed"]
    region: str
    machine: str = ""
    data_nodes: int = 0
    managers: int = 0
    manager_machine: str = ""
    dashboards_nodes: int = 0
    dashboards_machine: str = ""
    warm_nodes: int = 0
    warm_machine: str = ""
    zones: int = 3
    copies: float = 2
    volume: Volume = Volume("none")
    manager_volume: Volume = Volume("none")
    root_volume_gib: float = 20.0
    bulk_bytes: float = 0.0
    search_bytes: float = 0.0
    replica_bytes: float = 0.0
    moved_bytes: float = 0.0
    snapshot_bytes: float = 0.0
    snapshot_puts: float = 0.0
    managed_bytes: float = 0.0
    warm_bytes: float = 0.0
    cold_bytes: float = 0.0
    ocu_hours: float = 0.0
    boxed: bool = True
    tags: Tags = ()

    def __post_init__(self) -> None:
        _check("search", self)
        serverless = self.kind == "opensearch-serverless"
        _need("search", self.machine or serverless, "machine", "an EC2 or .search type such as r7g.large")
        _need("search", self.manager_machine or not self.managers, "manager_machine", "a type such as m7g.large")
        _need("search", self.warm_machine or not self.warm_nodes, "warm_machine", "ultrawarm1.medium")
        _need("search", self.dashboards_machine or not self.dashboards_nodes, "dashboards_machine", "m7g.large")


@dataclass(frozen=True, slots=True)
class HostUsage:
    """Boxes that processes of several systems share, billed once: {EC2 type: how many}, and hosts of no EC2 type."""

    region: str
    machines: Mapping[str, float] = field(default_factory=dict)
    unpriced: tuple[str, ...] = ()
    root_volume_gib: float = 20.0
    tags: Tags = ()

    def __post_init__(self) -> None:
        _check("hosts", self)


@dataclass(frozen=True, slots=True)
class SharedUsage:
    """What serves the whole stack in a month: network, monitoring, support, people.

    `engineer_usd_per_hour` has no default: people cost what they cost where you are. `third_parties` are
    (name, USD a month) of bills that AWS does not send.
    """

    region: str
    support_plan: str = ""
    nat_gateways: int = 0
    nat_bytes: float = 0.0
    endpoint_zones: int = 0
    endpoint_bytes: float = 0.0
    application_balancers: int = 0
    application_lcus: float = 0.0
    network_balancers: int = 0
    network_lcus: float = 0.0
    public_addresses: int = 0
    internet_out_bytes: float = 0.0
    region_out_bytes: Mapping[str, float] = field(default_factory=dict)
    custom_metrics: float = 0.0
    metric_requests: float = 0.0
    alarms: float = 0.0
    log_bytes: float = 0.0
    log_stored_bytes: float = 0.0
    prometheus_samples: float = 0.0
    prometheus_stored_bytes: float = 0.0
    grafana_editors: int = 0
    grafana_viewers: int = 0
    engineer_hours: float = 0.0
    engineer_usd_per_hour: float | None = None
    third_parties: tuple[tuple[str, float], ...] = ()
    tags: Tags = ()

    def __post_init__(self) -> None:
        _check("shared", self)
        given = self.engineer_usd_per_hour is not None or not self.engineer_hours
        _need("shared", given, "engineer_usd_per_hour", "what an hour of an engineer costs you [USD]")
