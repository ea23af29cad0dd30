"""What a search cluster tells of itself (Elasticsearch, OpenSearch): version, nodes, settings, templates, policies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calibration.discover import GIB, Fact, Reader, at, flag, has, seconds, whole

CODECS = {"default": "default", "best_compression": "best_compression", "zstd": "zstd", "zstd_no_dict": "zstd"}


def root(document: Any, name: str) -> Iterator[Fact]:
    """GET /."""
    version = document["version"]
    product = version.get("distribution", "elasticsearch")
    yield Fact("elasticsearch.version", ".".join(str(version["number"]).split(".")[:2]), "read", f"{name}: version")
    yield Fact("elasticsearch.kind", f"self-managed-{product}", "inferred", f"{name}: version; nobody said AWS runs it")


def version_facts(version: str, where: str) -> Iterator[Fact]:
    """The version, and the product where its number tells it: no OpenSearch is beyond 4 yet."""
    major = whole(version.split(".")[0])
    yield Fact("elasticsearch.version", ".".join(version.split(".")[:2]), "read", where)
    if major is not None and (major >= 5 or major <= 3):
        product = "elasticsearch" if major >= 5 else "opensearch"
        why = f"{where}: {product} by its number; nobody said AWS runs it"
        yield Fact("elasticsearch.kind", f"self-managed-{product}", "inferred", why)


def nodes(document: Any, name: str) -> Iterator[Fact]:
    """GET /_nodes."""
    told = [node for node in document["nodes"].values() if isinstance(node, Mapping)]
    data = [node for node in told if any(str(r).startswith("data") for r in node.get("roles", []))]
    only = [node for node in told if set(node.get("roles", [])) & {"master", "cluster_manager"} and node not in data]
    yield Fact("elasticsearch.data_nodes", len(data) or None, "read", f"{name}: nodes with a data role")
    yield Fact("elasticsearch.managers", len(only) or None, "read", f"{name}: nodes that only manage")
    zones = {at(node, "attributes", "zone") for node in data} - {None}
    if zones:
        yield Fact("elasticsearch.zones", len(zones), "read", f"{name}: attribute zone")
    heaps = {whole(at(node, "jvm", "mem", "heap_max_in_bytes")) for node in data} - {None}
    if len(heaps) == 1:
        yield Fact("elasticsearch.heap", f"{heaps.pop()} B", "read", f"{name}: heap_max_in_bytes")
    versions = {str(node.get("version")) for node in told} - {"None"}
    if len(versions) == 1:
        yield from version_facts(versions.pop(), f"{name}: version of the nodes")
    threads = {whole(at(node, "thread_pool", "write", "size")) for node in data} - {None}
    if len(threads) == 1:
        yield Fact("elasticsearch.write_threads", threads.pop(), "read", f"{name}: thread_pool.write.size")


def allocation(document: Any, name: str) -> Iterator[Fact]:
    """GET /_cat/allocation?format=json&bytes=b: the volume of the smallest node."""
    sizes = [whole(row.get("disk.total")) for row in document if str(row.get("node")) != "UNASSIGNED"]
    told = [size for size in sizes if size]
    if told and len(told) == len(sizes):
        why = f"{name}: disk.total" + ("" if len(set(told)) == 1 else ", of the smallest node")
        yield Fact("elasticsearch.volume.size", f"{min(told) / GIB:.4g} GiB", "inferred", why)


def index_settings(document: Any, name: str) -> Iterator[Fact]:
    """GET /INDEX/_settings, nested or flat."""
    for index, body in document.items():
        if not index.startswith("."):
            yield from index_facts(index, _flat(body["settings"]), f"{name}: {index}")


def index_facts(index: str, flat: Mapping[str, Any], where: str) -> Iterator[Fact]:
    """Index settings that a scenario holds, from flat names with or without `index.` before them."""
    told = {key.removeprefix("index."): value for key, value in flat.items()}
    begins = f"indices.{index}"
    yield Fact(f"{begins}.primaries", whole(told.get("number_of_shards")), "read", f"{where}: number_of_shards")
    replicas = whole(told.get("number_of_replicas"))
    yield Fact(f"{begins}.copies", None if replicas is None else replicas + 1, "read", f"{where}: number_of_replicas")
    yield Fact(
        f"{begins}.refresh_interval", seconds(told.get("refresh_interval")), "read", f"{where}: refresh_interval"
    )
    yield Fact(f"{begins}.codec", CODECS.get(str(told.get("codec", ""))), "read", f"{where}: codec")
    durability = {"request": "request", "async": "async"}.get(str(told.get("translog.durability", "")).lower())
    yield Fact(f"{begins}.translog", durability, "read", f"{where}: translog.durability")
    if str(told.get("replication.type", "")).upper() == "SEGMENT":
        yield Fact(f"{begins}.replication", "segment", "read", f"{where}: replication.type")


def templates(document: Any, name: str) -> Iterator[Fact]:
    """GET /_index_template."""
    for one in document["index_templates"]:
        body = at(one, "index_template", "template") or {}
        if isinstance(body.get("settings"), Mapping) and not str(one.get("name", ".")).startswith("."):
            where = f"{name}: template {one['name']}"
            yield from index_facts(str(one["name"]), _flat(body["settings"]), where)
            if at(body, "mappings", "dynamic") in (False, "false", "strict"):
                yield Fact(f"indices.{one['name']}.mapping", "explicit", "inferred", f"{where}: dynamic is off")


def ilm(document: Any, name: str) -> Iterator[Fact]:
    """GET /_ilm/policy: the age at which indices are deleted."""
    for policy, body in document.items():
        age = at(body, "policy", "phases", "delete", "min_age")
        yield Fact("index_defaults.retention", seconds(age), "inferred", f"{name}: {policy} deletes at {age}")
        roll = at(body, "policy", "phases", "hot", "actions", "rollover", "max_age")
        yield Fact("index_defaults.rollover", seconds(roll), "inferred", f"{name}: {policy} rolls over at {roll}")


def ism(document: Any, name: str) -> Iterator[Fact]:
    """GET /_plugins/_ism/policies: the age at which a state that deletes is entered."""
    for one in document["policies"]:
        body = one.get("policy", {})
        ends = {s.get("name") for s in body.get("states", []) if any("delete" in a for a in s.get("actions", []))}
        for state in body.get("states", []):
            for move in state.get("transitions", []):
                if move.get("state_name") in ends:
                    age = at(move, "conditions", "min_index_age")
                    told = f"{name}: {one.get('_id', body.get('policy_id', 'policy'))} deletes at {age}"
                    yield Fact("index_defaults.retention", seconds(age), "inferred", told)
            for action in state.get("actions", []):
                roll = at(action, "rollover", "min_index_age")
                yield Fact("index_defaults.rollover", seconds(roll), "inferred", f"{name}: rolls over at {roll}")


def cluster_settings(document: Any, name: str) -> Iterator[Fact]:
    """GET /_cluster/settings: how refreshes are scheduled. Nothing else of it is in a scenario."""
    flat = {**_flat(document["persistent"]), **_flat(document["transient"])}
    fixed = flag(flat.get("cluster.index.refresh.fixed_interval_scheduling.enabled"))
    if fixed is not None:
        yield Fact(
            "index_defaults.refresh_schedule", "fixed-rate" if fixed else "fixed-delay", "read", f"{name}: refresh"
        )


def _flat(settings: Any, begins: str = "") -> dict[str, Any]:
    """Nested settings as flat names."""
    found: dict[str, Any] = {}
    for key, value in settings.items() if isinstance(settings, Mapping) else ():
        name = f"{begins}{key}"
        found |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return found


def _settings(document: Any) -> bool:
    return (
        isinstance(document, Mapping) and bool(document)
        and all(isinstance(body, Mapping) and isinstance(body.get("settings"), Mapping) for body in document.values())
    )  # fmt: skip


def _policies(document: Any) -> bool:
    return (
        isinstance(document, Mapping) and bool(document)
        and all(isinstance(at(body, "policy", "phases"), Mapping) for body in document.values())
    )  # fmt: skip


def _nodes(document: Any) -> bool:
    """Nodes as `GET /_nodes` tells them, whole or filtered; not their statistics and not the tasks that they run."""
    if not has("nodes")(document) or not isinstance(document["nodes"], Mapping):
        return False
    told = [node for node in document["nodes"].values() if isinstance(node, Mapping)]
    return bool(told) and all({"roles", "version"} <= node.keys() for node in told)


def _rows(document: Any, *keys: str) -> bool:
    return isinstance(document, list) and any(has(*keys)(row) for row in document)


SEARCH: tuple[tuple[Any, Reader], ...] = (
    (lambda d: has("version", "cluster_name")(d) and isinstance(d["version"], Mapping), root),
    (_nodes, nodes),
    (lambda d: _rows(d, "disk.total", "node", "shards"), allocation),
    (_settings, index_settings),
    (has("index_templates"), templates),
    (_policies, ilm),
    (lambda d: has("policies")(d) and isinstance(d["policies"], list), ism),
    (lambda d: has("persistent", "transient")(d), cluster_settings),
)
