"""What AWS's own describe calls tell: MSK clusters, OpenSearch domains, EMR clusters.

Answers as `aws … --output json` prints them and as boto3 returns them. Sources: the service models of botocore.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

from calibration.discover import GIB, Fact, Reader, at, flag, has, whole
from calibration.discover_kafka import broker_facts
from calibration.discover_spark import spark_facts, spark_version

VERSIONS = ("3.6", "3.9", "4.0", "4.1", "4.3")  # that a scenario knows; others are said as the nearest below


def msk(document: Any, name: str) -> Iterator[Fact]:
    """aws kafka describe-cluster, describe-cluster-v2, list-clusters(-v2)."""
    one = document.get("ClusterInfo") or (document.get("ClusterInfoList") or [None])[0]
    if not isinstance(one, Mapping):
        return
    body = one.get("Provisioned", one)
    group = body.get("BrokerNodeGroupInfo") or {}
    where = f"{name}: ClusterInfo"
    yield Fact("kafka.kind", "msk-standard", "read", where)
    yield Fact("name", one.get("ClusterName"), "inferred", f"{where}.ClusterName")
    yield Fact("kafka.brokers", whole(body.get("NumberOfBrokerNodes")), "read", f"{where}.NumberOfBrokerNodes")
    machine = group.get("InstanceType")
    if isinstance(machine, str):
        yield Fact("kafka.machine", machine.removeprefix("kafka."), "read", f"{where}.BrokerNodeGroupInfo.InstanceType")
    subnets = group.get("ClientSubnets")
    if isinstance(subnets, list) and subnets:
        yield Fact("kafka.zones", len(subnets), "inferred", f"{where}: {len(subnets)} client subnets, one a zone")
    disk = at(group, "StorageInfo", "EbsStorageInfo") or {}
    yield from volume("kafka", whole(disk.get("VolumeSize")), _throughput(disk), f"{where}.EbsStorageInfo")
    version = at(body, "CurrentBrokerSoftwareInfo", "KafkaVersion")
    yield from kafka_version(version, f"{where}.KafkaVersion")
    transit = at(body, "EncryptionInfo", "EncryptionInTransit") or {}
    if "ClientBroker" in transit:
        yield Fact("kafka.tls", transit["ClientBroker"] != "PLAINTEXT", "read", f"{where}.EncryptionInTransit")
    yield Fact("kafka.tls_between_brokers", flag(transit.get("InCluster")), "read", f"{where}.EncryptionInTransit")
    yield from authentication(body.get("ClientAuthentication"), f"{where}.ClientAuthentication")


def _throughput(disk: Mapping[str, Any]) -> int | None:
    told = disk.get("ProvisionedThroughput") or {}
    return whole(told.get("VolumeThroughput")) if told.get("Enabled") else None


def volume(part: str, gib: int | None, mib: int | None, where: str) -> Iterator[Fact]:
    """A volume's size [GiB] and, where it is provisioned, its throughput [MiB/s]."""
    if gib:
        yield Fact(f"{part}.volume.size", f"{gib} GiB", "read", where)
    if mib:
        yield Fact(f"{part}.volume.throughput", f"{mib} MiB/s", "read", where)


def kafka_version(version: Any, where: str) -> Iterator[Fact]:
    """A Kafka version as the nearest that a scenario knows, at or below it."""
    if not isinstance(version, str) or "." not in version:
        return
    told = tuple(int(part) if part.isdigit() else 0 for part in version.split(".")[:2])
    known = [v for v in VERSIONS if tuple(map(int, v.split("."))) <= told]
    nearest = known[-1] if known else VERSIONS[0]
    same = version.startswith(nearest)
    yield Fact("kafka.version", nearest, "read" if same else "inferred", where + ("" if same else f": it is {version}"))


def authentication(told: Any, where: str) -> Iterator[Fact]:
    """The strongest way in that is open: IAM, SCRAM, mutual TLS; several may be open at once."""
    if not isinstance(told, Mapping):
        return
    ways = {
        "iam": at(told, "Sasl", "Iam", "Enabled"), "scram": at(told, "Sasl", "Scram", "Enabled"),
        "mtls": at(told, "Tls", "Enabled"),
    }  # fmt: skip
    on = [way for way, enabled in ways.items() if enabled]
    if on:
        yield Fact(
            "kafka.authentication", on[0], "read", where + (f": {', '.join(on)} are open" if len(on) > 1 else "")
        )


def msk_configuration(document: Any, name: str) -> Iterator[Fact]:
    """aws kafka describe-configuration-revision: its server properties (text or base64)."""
    text = document["ServerProperties"]
    with contextlib.suppress(binascii.Error, ValueError):  # boto3's answer is bytes, the command line's is base64
        text = base64.b64decode(text, validate=True).decode("utf-8")
    pairs = dict(line.split("=", 1) for line in str(text).splitlines() if "=" in line and not line.startswith("#"))
    yield from broker_facts({key.strip(): value.strip() for key, value in pairs.items()}, f"{name}: ServerProperties")


def domain(document: Any, name: str) -> Iterator[Fact]:
    """aws opensearch describe-domain, describe-domains; aws es describe-elasticsearch-domain."""
    one = document.get("DomainStatus") or (document.get("DomainStatusList") or [None])[0]
    if not isinstance(one, Mapping):
        return
    where = f"{name}: DomainStatus"
    config = one.get("ClusterConfig") or one.get("ElasticsearchClusterConfig") or {}
    yield Fact("elasticsearch.kind", "opensearch-service", "read", where)
    yield from engine(one.get("EngineVersion") or one.get("ElasticsearchVersion"), f"{where}.EngineVersion")
    yield from nodes(config.get("InstanceType"), config.get("InstanceCount"), f"{where}.ClusterConfig")
    if config.get("DedicatedMasterEnabled"):
        yield from managers(config.get("DedicatedMasterType"), config.get("DedicatedMasterCount"), where)
    zones = at(config, "ZoneAwarenessConfig", "AvailabilityZoneCount") if config.get("ZoneAwarenessEnabled") else 1
    yield Fact("elasticsearch.zones", whole(zones), "read", f"{where}.ZoneAwarenessConfig")
    disk = one.get("EBSOptions") or {}
    yield from volume(
        "elasticsearch", whole(disk.get("VolumeSize")), whole(disk.get("Throughput")), f"{where}.EBSOptions"
    )


def engine(version: Any, where: str) -> Iterator[Fact]:
    """`OpenSearch_2.19`, `Elasticsearch_7.10` or a bare version."""
    if isinstance(version, str):
        yield Fact("elasticsearch.version", ".".join(version.rpartition("_")[2].split(".")[:2]), "read", where)


def nodes(machine: Any, count: Any, where: str) -> Iterator[Fact]:
    if isinstance(machine, str):
        yield Fact("elasticsearch.machine", _bare(machine), "read", f"{where}.InstanceType")
    yield Fact("elasticsearch.data_nodes", whole(count), "read", f"{where}.InstanceCount")


def managers(machine: Any, count: Any, where: str) -> Iterator[Fact]:
    yield Fact("elasticsearch.managers", whole(count), "read", f"{where}: dedicated masters")
    if isinstance(machine, str):
        yield Fact("elasticsearch.manager_machine", _bare(machine), "read", f"{where}: dedicated masters")


def _bare(machine: str) -> str:
    """`r7g.large.search` and `r5.large.elasticsearch` are EC2's r7g.large and r5.large."""
    return machine.removesuffix(".search").removesuffix(".elasticsearch")


def emr(document: Any, name: str) -> Iterator[Fact]:
    """aws emr describe-cluster: release, applications' configurations, and instance groups where it lists them."""
    one = document["Cluster"]
    yield Fact("spark.kind", "emr-ec2", "read", f"{name}: Cluster")
    for spark in _classified(one.get("Configurations"), "spark-defaults"):
        yield from spark_facts(spark, f"{name}: Configurations.spark-defaults")
    for application in one.get("Applications") or []:
        if isinstance(application, Mapping) and application.get("Name") == "Spark":
            yield from spark_version(str(application.get("Version", "")), f"{name}: Applications.Spark")
    yield from groups(one.get("InstanceGroups"), f"{name}: Cluster.InstanceGroups")


def emr_groups(document: Any, name: str) -> Iterator[Fact]:
    """aws emr list-instance-groups."""
    yield from groups(document["InstanceGroups"], f"{name}: InstanceGroups")


def groups(told: Any, where: str) -> Iterator[Fact]:
    """Core and task groups run executors, the master the driver; of several groups the largest's machine is told."""
    workers: list[tuple[int, str]] = []
    for group in told if isinstance(told, list) else []:
        kind = group.get("InstanceGroupType") or group.get("InstanceRole")
        machine = group.get("InstanceType")
        count = whole(group.get("RunningInstanceCount") or group.get("InstanceCount"))
        if kind == "MASTER":
            yield Fact("spark.driver_machine", machine, "read", f"{where}: MASTER")
        elif kind in ("CORE", "TASK") and count and isinstance(machine, str):
            workers.append((count, machine))
            share = 1.0 if group.get("Market") == "SPOT" else None
            yield Fact("money.spot_share", share, "inferred", f"{where}: {kind}")
    yield from _workers(workers, where)


def _workers(workers: list[tuple[int, str]], where: str) -> Iterator[Fact]:
    """Machines and number of those that run executors."""
    if workers:
        mixed = len({machine for _, machine in workers}) > 1
        said = f"{where}: " + " and ".join(f"{count} {machine}" for count, machine in workers)
        yield Fact("spark.machine", max(workers)[1], "inferred" if mixed else "read", said)
        yield Fact("spark.nodes", sum(count for count, _ in workers), "read", said)


def fleets(document: Any, name: str) -> Iterator[Fact]:
    """aws emr list-instance-fleets: capacity is in units, of which a type's weight is so many."""
    workers: list[tuple[int, str]] = []
    for fleet in document["InstanceFleets"]:
        kind, types = fleet.get("InstanceFleetType"), fleet.get("InstanceTypeSpecifications") or []
        machine = at(types, 0, "InstanceType")
        units = sum(whole(fleet.get(f"Provisioned{way}Capacity")) or 0 for way in ("OnDemand", "Spot"))
        weight = whole(at(types, 0, "WeightedCapacity")) or 1
        if kind == "MASTER":
            yield Fact("spark.driver_machine", machine, "inferred", f"{name}: InstanceFleets MASTER, its first type")
        elif isinstance(machine, str) and units:
            workers.append((max(1, units // weight), machine))
    for fact in _workers(workers, f"{name}: InstanceFleets, by the first type of each"):
        yield Fact(fact.path, fact.value, "inferred", fact.source)


def _classified(told: Any, name: str) -> Iterator[Mapping[str, Any]]:
    for one in told if isinstance(told, list) else []:
        if isinstance(one, Mapping) and one.get("Classification") == name:
            yield one.get("Properties") or {}


AWS: tuple[tuple[Any, Reader], ...] = (
    (lambda d: has("ClusterInfo")(d) or has("ClusterInfoList")(d), msk),
    (has("ServerProperties"), msk_configuration),
    (lambda d: has("DomainStatus")(d) or has("DomainStatusList")(d), domain),
    (lambda d: has("Cluster")(d) and isinstance(d["Cluster"], Mapping) and "Id" in d["Cluster"], emr),
    (lambda d: has("InstanceFleets")(d) and isinstance(d["InstanceFleets"], list), fleets),
    (lambda d: has("InstanceGroups")(d) and isinstance(d["InstanceGroups"], list), emr_groups),
)
__all__ = ["AWS", "GIB"]
