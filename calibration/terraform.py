"""`terraform show -json`: what a plan or a state says of MSK, OpenSearch, EMR and topics.

That document holds every attribute of every resource, secrets among them, in plain text: only the attributes named
here are read, and nothing else of it is kept or told. Format versions 0.x and 1.x are known; another major may mean
something else and is refused. Source: Terraform, JSON output format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from calibration import discover_aws as aws
from calibration.discover import DiscoverError, Fact, Found, at, flag, whole
from calibration.discover_kafka import broker_facts, topic_facts
from calibration.discover_search import index_facts
from calibration.discover_spark import spark_facts

KNOWN_MAJORS = ("0", "1")
Resource = Mapping[str, Any]


def is_terraform(document: Any) -> bool:
    """Whether a document is an answer of `terraform show -json`."""
    return "format_version" in document and ("values" in document or "planned_values" in document)


def read(document: Mapping[str, Any], name: str, found: Found) -> None:
    """Adds what a plan or state says; resources of other types and values unknown until apply are listed as unused."""
    version = str(document["format_version"])
    if version.split(".")[0] not in KNOWN_MAJORS:
        raise DiscoverError(f"{name}: format_version = {version}; expected 0.x or 1.x of terraform show -json")
    unknown = _unknown(document)
    root = at(document, "planned_values", "root_module") or at(document, "values", "root_module") or {}
    for resource in _resources(root):
        kind, address = str(resource.get("type")), str(resource.get("address"))
        if resource.get("mode", "managed") != "managed":
            continue
        if kind not in READERS:
            found.unused.append(f"{name}: {address}: resources of type {kind} say nothing of a scenario")
            continue
        found.take(READERS[kind](resource.get("values") or {}, f"{name}: {address}"))
        if left := unknown.get(address):
            found.unused.append(f"{name}: {address}: unknown until apply: {', '.join(left)}")


def _resources(module: Mapping[str, Any]) -> Iterator[Resource]:
    """All resources of a module and its children, those of count and for_each one by one."""
    yield from module.get("resources") or []
    for child in module.get("child_modules") or []:
        yield from _resources(child)


def _unknown(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Attributes of the resources we read whose values are known only after apply, by address."""
    found = {}
    for change in document.get("resource_changes") or []:
        told = at(change, "change", "after_unknown")
        if isinstance(told, Mapping) and change.get("type") in READERS:
            found[str(change.get("address"))] = sorted(k for k, v in told.items() if k in ALLOWED and _any(v))
    return found


def _any(value: Any) -> bool:
    """Whether anything in a nested mark of unknown values is true."""
    if isinstance(value, Mapping):
        return any(map(_any, value.values()))
    return any(map(_any, value)) if isinstance(value, list) else bool(value)


ALLOWED = {
    "cluster_name", "kafka_version", "number_of_broker_nodes", "broker_node_group_info", "encryption_info",
    "client_authentication", "server_properties", "engine_version", "elasticsearch_version", "cluster_config",
    "ebs_options", "release_label", "core_instance_group", "master_instance_group", "instance_type", "instance_count",
    "configurations_json", "partitions", "replication_factor", "config", "name", "body",
}  # fmt: skip


def _msk(values: Resource, where: str) -> Iterator[Fact]:
    group = at(values, "broker_node_group_info", 0) or {}
    yield Fact("kafka.kind", "msk-standard", "read", where)
    yield Fact("name", values.get("cluster_name"), "inferred", f"{where}.cluster_name")
    yield Fact("kafka.brokers", whole(values.get("number_of_broker_nodes")), "read", f"{where}.number_of_broker_nodes")
    machine = group.get("instance_type")
    if isinstance(machine, str):
        yield Fact("kafka.machine", machine.removeprefix("kafka."), "read", f"{where}.instance_type")
    subnets = group.get("client_subnets")
    if isinstance(subnets, list) and subnets:
        yield Fact("kafka.zones", len(subnets), "inferred", f"{where}: {len(subnets)} client_subnets, one a zone")
    disk = at(group, "storage_info", 0, "ebs_storage_info", 0) or {}
    through = at(disk, "provisioned_throughput", 0) or {}
    mib = whole(through.get("volume_throughput")) if through.get("enabled") else None
    yield from aws.volume("kafka", whole(disk.get("volume_size")), mib, f"{where}.ebs_storage_info")
    yield from aws.kafka_version(values.get("kafka_version"), f"{where}.kafka_version")
    transit = at(values, "encryption_info", 0, "encryption_in_transit", 0) or {}
    if "client_broker" in transit:
        yield Fact("kafka.tls", transit["client_broker"] != "PLAINTEXT", "read", f"{where}.encryption_in_transit")
    yield Fact("kafka.tls_between_brokers", flag(transit.get("in_cluster")), "read", f"{where}.encryption_in_transit")
    told = at(values, "client_authentication", 0) or {}
    ways = {"iam": at(told, "sasl", 0, "iam"), "scram": at(told, "sasl", 0, "scram"), "mtls": bool(at(told, "tls", 0))}
    on = [way for way, enabled in ways.items() if enabled]
    if on:
        yield Fact("kafka.authentication", on[0], "read", f"{where}.client_authentication: {', '.join(on)}")


def _msk_configuration(values: Resource, where: str) -> Iterator[Fact]:
    lines = [line.split("=", 1) for line in str(values.get("server_properties") or "").splitlines() if "=" in line]
    yield from broker_facts({key.strip(): value.strip() for key, value in lines}, f"{where}.server_properties")


def _domain(values: Resource, where: str) -> Iterator[Fact]:
    config = at(values, "cluster_config", 0) or {}
    yield Fact("elasticsearch.kind", "opensearch-service", "read", where)
    yield from aws.engine(
        values.get("engine_version") or values.get("elasticsearch_version"), f"{where}.engine_version"
    )
    yield from aws.nodes(config.get("instance_type"), config.get("instance_count"), f"{where}.cluster_config")
    if config.get("dedicated_master_enabled"):
        yield from aws.managers(config.get("dedicated_master_type"), config.get("dedicated_master_count"), where)
    zones = at(config, "zone_awareness_config", 0, "availability_zone_count") or 2
    zones = zones if config.get("zone_awareness_enabled") else 1
    yield Fact("elasticsearch.zones", whole(zones), "read", f"{where}.zone_awareness_config")
    disk = at(values, "ebs_options", 0) or {}
    yield from aws.volume(
        "elasticsearch", whole(disk.get("volume_size")), whole(disk.get("throughput")), f"{where}.ebs_options"
    )


def _emr(values: Resource, where: str) -> Iterator[Fact]:
    yield Fact("spark.kind", "emr-ec2", "read", where)
    master, core = at(values, "master_instance_group", 0) or {}, at(values, "core_instance_group", 0) or {}
    yield Fact("spark.driver_machine", master.get("instance_type"), "read", f"{where}.master_instance_group")
    yield Fact("spark.machine", core.get("instance_type"), "read", f"{where}.core_instance_group")
    yield Fact("spark.nodes", whole(core.get("instance_count")), "read", f"{where}.core_instance_group")
    for one in _json(values.get("configurations_json")) or []:
        if isinstance(one, Mapping) and one.get("Classification") == "spark-defaults":
            yield from spark_facts(one.get("Properties") or {}, f"{where}: spark-defaults")


def _emr_group(values: Resource, where: str) -> Iterator[Fact]:
    yield Fact("spark.machine", values.get("instance_type"), "read", f"{where}.instance_type")
    yield Fact("spark.nodes", whole(values.get("instance_count")), "read", f"{where}.instance_count")


def _topic(values: Resource, where: str) -> Iterator[Fact]:
    name = str(values.get("name"))
    yield Fact(f"topics.{name}.partitions", whole(values.get("partitions")), "read", f"{where}.partitions")
    yield Fact(f"topics.{name}.copies", whole(values.get("replication_factor")), "read", f"{where}.replication_factor")
    config = values.get("config")
    yield from topic_facts(name, config if isinstance(config, Mapping) else {}, where)


def _template(values: Resource, where: str) -> Iterator[Fact]:
    body = _json(values.get("body")) or {}
    settings = at(body, "template", "settings") or at(body, "settings") or {}
    flat = {**settings, **(settings.get("index") or {})} if isinstance(settings, Mapping) else {}
    yield from index_facts(str(values.get("name")), flat, f"{where}.body")


def _json(text: Any) -> Any:
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return None


READERS: dict[str, Callable[[Resource, str], Iterator[Fact]]] = {
    "aws_msk_cluster": _msk, "aws_msk_configuration": _msk_configuration,
    "aws_opensearch_domain": _domain, "aws_elasticsearch_domain": _domain,
    "aws_emr_cluster": _emr, "aws_emr_instance_group": _emr_group,
    "kafka_topic": _topic, "opensearch_index_template": _template, "elasticsearch_index_template": _template,
    "opensearch_composable_index_template": _template, "elasticstack_elasticsearch_index_template": _template,
}  # fmt: skip
