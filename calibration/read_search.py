"""Answers of Elasticsearch and OpenSearch: `_nodes/stats`, `_stats`, `_cat/shards`, health, settings, versions.

Counters run since a node started, and `index_total` of a node counts replica operations too. A field that
is missing (an old version) or null is counted as missing, never read as zero. A node's own clock rides
in its answer: where the recorder stated no time it is the sample's, else it tells how the clocks differ.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from calibration.elasticsearch import COUNTERS
from calibration.formats_kinds import Sample, epoch
from calibration.gather import Gathering, dig, number
from models.units import MILLISECOND

NODE_PATHS: dict[str, tuple[tuple[str, ...], float]] = COUNTERS | {
    "bulks_rejected": (("thread_pool", "write", "rejected"), 1.0),
    "flushes": (("indices", "flush", "total"), 1.0),
    "flush_seconds": (("indices", "flush", "total_time_in_millis"), MILLISECOND),
    "scrolls": (("indices", "search", "scroll_total"), 1.0),
    "index_throttled_seconds": (("indices", "indexing", "throttle_time_in_millis"), MILLISECOND),
    "force_merges": (("thread_pool", "force_merge", "completed"), 1.0),
    "heap_used_bytes": (("jvm", "mem", "heap_used_in_bytes"), 1.0),
    "heap_max_bytes": (("jvm", "mem", "heap_max_in_bytes"), 1.0),
    "old_used_bytes": (("jvm", "mem", "pools", "old", "used_in_bytes"), 1.0),
    "uptime_seconds": (("jvm", "uptime_in_millis"), MILLISECOND),
    "cpu_fraction": (("os", "cpu", "percent"), 0.01),
    "write_threads": (("thread_pool", "write", "threads"), 1.0),
    "write_queue": (("thread_pool", "write", "queue"), 1.0),
    "write_active": (("thread_pool", "write", "active"), 1.0),
    "store_bytes": (("indices", "store", "size_in_bytes"), 1.0),
    "documents_held": (("indices", "docs", "count"), 1.0),
    "segments": (("indices", "segments", "count"), 1.0),
    "disk_total_bytes": (("fs", "total", "total_in_bytes"), 1.0),
    "disk_available_bytes": (("fs", "total", "available_in_bytes"), 1.0),
    "disk_write_bytes": (("fs", "io_stats", "total", "write_kilobytes"), 1024.0),
    "disk_read_bytes": (("fs", "io_stats", "total", "read_kilobytes"), 1024.0),
}
OPTIONAL = {"force_merges", "scrolls", "disk_write_bytes", "disk_read_bytes", "index_throttled_seconds"}
INDEX_PATHS: dict[str, tuple[tuple[str, ...], float]] = {
    "documents": (("primaries", "indexing", "index_total"), 1.0),
    "index_seconds": (("primaries", "indexing", "index_time_in_millis"), MILLISECOND),
    "refreshes": (("primaries", "refresh", "total"), 1.0),
    "refresh_seconds": (("primaries", "refresh", "total_time_in_millis"), MILLISECOND),
    "merges": (("primaries", "merges", "total"), 1.0),
    "merge_seconds": (("primaries", "merges", "total_time_in_millis"), MILLISECOND),
    "merge_bytes": (("primaries", "merges", "total_size_in_bytes"), 1.0),
    "queries": (("total", "search", "query_total"), 1.0),
    "scrolls": (("total", "search", "scroll_total"), 1.0),
    "documents_held": (("primaries", "docs", "count"), 1.0),
    "documents_deleted": (("primaries", "docs", "deleted"), 1.0),
    "store_bytes": (("primaries", "store", "size_in_bytes"), 1.0),
    "total_store_bytes": (("total", "store", "size_in_bytes"), 1.0),
    "segments": (("primaries", "segments", "count"), 1.0),
}
CLUSTER_PATHS = {
    "nodes": ("nodes", "count", "total"),
    "data_nodes": ("nodes", "count", "data"),
    "documents_held": ("indices", "docs", "count"),
    "store_bytes": ("indices", "store", "size_in_bytes"),
    "segments": ("indices", "segments", "count"),
}
MOST_INDICES = 200
SETTINGS = re.compile(
    r"^(?:index\.)?(?:number_of_shards|number_of_replicas|refresh_interval|codec|translog\.(?:durability|sync_interval)"
    r"|merge\.[\w.]*|replication\.type|mapping\.total_fields\.limit|sort\.[\w.]*)$"
    r"|^cluster\.routing\.allocation\.[\w.]*$|^indices\.[\w.]*$|^thread_pool\.write\.[\w.]*$|^node\.processors$"
)
_SIZE = re.compile(r"^([\d.]+)\s*(b|kb|mb|gb|tb|pb)?$", re.IGNORECASE)
_UNITS = {"b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "pb": 1 << 50}


def nodes_stats(sample: Sample, into: Gathering) -> None:
    """Every node of one `_nodes/stats` answer."""
    failed = number(dig(sample.body, ("_nodes", "failed")))
    if failed:
        into.file.remark(f"some answers lack {failed:.0f} node(s) that did not answer")
    names, at = [], sample.t
    for id, node in sample.body["nodes"].items():
        if isinstance(node, Mapping):
            name = _node_name(node, id, sample.body, into)
            names.append(name)
            at = _node(node, name, sample.t, into) or at
    if at is not None:
        into.nodes.setdefault(into.file.name, {})[at] = frozenset(names)
    into.file.saw("_nodes/stats", at)


def _node_name(node: Mapping[str, Any], id: str, body: Mapping[str, Any], into: Gathering) -> str:
    """The node's name; with its cluster's where a second cluster is in the recording."""
    name, cluster = str(node.get("name") or id), str(body.get("cluster_name") or "")
    known = into.memory.setdefault("clusters", [])
    if cluster and cluster not in known:
        known.append(cluster)
        if len(known) == 2:
            into.note("nodes of several clusters: those of the second and later are called cluster/node")
    return f"{cluster}/{name}" if cluster and known[0] != cluster else name


def _node(node: Mapping[str, Any], name: str, t: float | None, into: Gathering) -> float | None:
    """One node's quantities; gives the time at which they count."""
    own = epoch(node.get("timestamp"))
    if t is not None and own is not None:
        into.skew(f"node {name}", own - t)
    at = t if t is not None else own
    if at is None:
        into.skip("answers of _nodes/stats without a time: neither the line nor the node states one")
        return None
    for quantity, (path, unit) in NODE_PATHS.items():
        value = number(dig(node, path))
        if value is None and path[:2] == ("thread_pool", "write"):
            value = number(dig(node, ("thread_pool", "bulk", path[2])))  # its name before Elasticsearch 6.3
        if value is None:
            if quantity not in OPTIONAL:
                into.missing("search", quantity, name)
        elif value >= 0:  # a node that cannot tell says -1
            into.add("search", name, quantity, at, value * unit, format="_nodes/stats")
    _collections(node, name, at, into)
    rejections = [
        number(v) for k, v in (dig(node, ("indexing_pressure", "memory", "total")) or {}).items() if "reject" in k
    ]
    if rejections and None not in rejections:
        into.add("search", name, "pressure_rejections", at, sum(filter(None, rejections)), format="_nodes/stats")
    return at


def _collections(node: Mapping[str, Any], name: str, at: float, into: Gathering) -> None:
    """Young and old collections, which stop the node; G1's concurrent cycles do not."""
    kinds = dig(node, ("jvm", "gc", "collectors"))
    for quantity, part, unit in (
        ("pauses", "collection_count", 1.0),
        ("pause_seconds", "collection_time_in_millis", 1e-3),
    ):
        each = [number(dig(kind, (part,))) for key, kind in (kinds or {}).items() if "Concurrent" not in key]
        told = [v for v in each if v is not None]
        if told:
            into.add("search", name, quantity, at, sum(told) * unit, format="_nodes/stats")
        else:
            into.missing("search", quantity, name)


def index_stats(sample: Sample, into: Gathering) -> None:
    """Indices of one `_stats` answer; of more than two hundred only all together."""
    if sample.t is None:
        into.skip('answers of _stats without a time; wrap each as {"t": epoch seconds, "body": ...}')
        return
    indices = {n: b for n, b in (sample.body.get("indices") or {}).items() if isinstance(b, Mapping)}
    mine = {n: b for n, b in indices.items() if not n.startswith(".")}
    if len(mine) > MOST_INDICES:
        into.file.remark(f"more than {MOST_INDICES} indices: read all together, as index _all")
        mine = {"_all": sample.body["_all"]}
    for name, body in (mine or {"_all": sample.body["_all"]}).items():
        _index(body, name, sample.t, into)
    into.file.saw("_stats", sample.t)


def _index(body: Mapping[str, Any], name: str, t: float, into: Gathering) -> None:
    for quantity, (path, unit) in INDEX_PATHS.items():
        value = number(dig(body, path))
        if value is None:
            into.missing("index", quantity, name)
        else:
            into.add("index", name, quantity, t, value * unit, format="_stats")


def size(text: Any) -> tuple[float | None, bool]:
    """Bytes of a `_cat` size, and whether it was rounded to a larger unit.

    >>> size("208"), size("208b"), size("1.2gb"), size(None)
    ((208.0, False), (208.0, False), (1288490188.8, True), (None, False))
    """
    match = _SIZE.match(str(text).strip()) if text is not None else None
    if match is None:
        return None, False
    unit = (match[2] or "b").lower()
    return float(match[1]) * _UNITS[unit], unit != "b"


def cat_shards(sample: Sample, into: Gathering) -> None:
    """Shards by index: how many primaries and replicas, and what the primaries hold."""
    if sample.t is None:
        into.skip('answers of _cat/shards without a time; wrap each as {"t": epoch seconds, "body": ...}')
        return
    by_index: dict[str, list[Mapping[str, Any]]] = {}
    for row in sample.body:
        if isinstance(row, Mapping) and isinstance(row.get("index"), str) and not row["index"].startswith("."):
            by_index.setdefault(row["index"], []).append(row)
    for index, rows in list(by_index.items())[:MOST_INDICES]:
        primaries = [row for row in rows if row.get("prirep") == "p"]
        into.add("index", index, "primaries", sample.t, len(primaries), format="_cat/shards")
        into.add("index", index, "replicas", sample.t, len(rows) - len(primaries), format="_cat/shards")
        _held(index, primaries, sample.t, into)
    if len(by_index) > MOST_INDICES:
        into.file.remark(f"of {len(by_index)} indices the first {MOST_INDICES} are read")
    into.file.saw("_cat/shards", sample.t)


def _held(index: str, primaries: list[Mapping[str, Any]], t: float, into: Gathering) -> None:
    """Bytes and documents of the primaries, where every one of them states its own."""
    sizes = [size(row.get("store")) for row in primaries]
    documents = [number(row.get("docs")) for row in primaries]
    if any(rounded for _, rounded in sizes):
        into.file.remark("sizes are rounded by the server (kb, mb, gb); ask with &bytes=b")
    for quantity, values in (("store_bytes", [v for v, _ in sizes]), ("documents_held", documents)):
        told = [v for v in values if v is not None]
        if len(told) == len(values) and told:
            into.add("index", index, quantity, t, sum(told), format="_cat/shards", rank=1)
        else:
            into.missing("index", quantity, index)


def cat_indices(sample: Sample, into: Gathering) -> None:
    """Indices as a table: shards, documents, bytes of the primaries and of all copies."""
    if sample.t is None:
        into.skip('answers of _cat/indices without a time; wrap each as {"t": epoch seconds, "body": ...}')
        return
    rows = [row for row in sample.body if isinstance(row, Mapping) and isinstance(row.get("index"), str)]
    mine = [row for row in rows if not row["index"].startswith(".")]
    for row in mine[:MOST_INDICES]:
        primaries, replicas = number(row.get("pri")), number(row.get("rep"))
        held, total = size(row.get("pri.store.size")), size(row.get("store.size"))
        if held[1] or total[1]:
            into.file.remark("sizes are rounded by the server (kb, mb, gb); ask with &bytes=b")
        told = {
            "primaries": primaries,
            "replicas": None if primaries is None or replicas is None else primaries * replicas,
            "documents_held": number(row.get("docs.count")),
            "documents_deleted": number(row.get("docs.deleted")),
            "store_bytes": held[0],
            "total_store_bytes": total[0],
        }
        for quantity, value in told.items():
            if value is None:
                into.missing("index", quantity, row["index"])
            else:
                into.add("index", row["index"], quantity, sample.t, value, format="_cat/indices", rank=2)
    if len(mine) > MOST_INDICES:
        into.file.remark(f"of {len(mine)} indices the first {MOST_INDICES} are read")
    into.file.saw("_cat/indices", sample.t)


def cluster_stats(sample: Sample, into: Gathering) -> None:
    """Nodes, versions, documents and bytes of the whole cluster, from `_cluster/stats`."""
    body = sample.body
    t = sample.t if sample.t is not None else epoch(body.get("timestamp"))
    name = str(body.get("cluster_name") or "cluster")
    versions = [v for v in dig(body, ("nodes", "versions")) or [] if isinstance(v, str)]
    if len(versions) == 1:
        into.state("search.version", versions[0], t)
    elif versions:
        into.note(f"search.version: {' and '.join(sorted(versions))} run side by side")
    for quantity, path in CLUSTER_PATHS.items():
        value = number(dig(body, path))
        if value is not None and t is not None:
            into.add("search", name, quantity, t, value, format="_cluster/stats", rank=2)
    into.file.saw("_cluster/stats", t)


def cluster_health(sample: Sample, into: Gathering) -> None:
    for quantity, field in (
        ("nodes", "number_of_nodes"),
        ("data_nodes", "number_of_data_nodes"),
        ("relocating_shards", "relocating_shards"),
    ):
        value = number(sample.body.get(field))
        if value is not None:
            into.add("search", str(sample.body["cluster_name"]), quantity, sample.t, value, format="_cluster/health")
    into.file.saw("_cluster/health", sample.t)


def nodes_info(sample: Sample, into: Gathering) -> None:
    """Versions, processors, heap and write threads of the nodes, from `GET /_nodes`."""
    for id, node in sample.body["nodes"].items():
        if not isinstance(node, Mapping):
            continue
        name = str(node.get("name") or id)
        facts = {
            "version": node.get("version"),
            "processors": dig(node, ("os", "allocated_processors")),
            "heap_max_bytes": dig(node, ("jvm", "mem", "heap_max_in_bytes")),
            "write_threads": dig(node, ("thread_pool", "write", "size")),
        }
        for key, value in facts.items():
            if value is not None:
                into.state(f"search.node {name} {key}", value, sample.t)
        if facts["version"] is not None and "search.version" not in into.last:
            into.state("search.version", facts["version"], sample.t)
    into.file.saw("GET /_nodes", sample.t)


def root(sample: Sample, into: Gathering) -> None:
    version = sample.body["version"]
    into.state("search.version", version.get("number"), sample.t)
    into.state("search.product", version.get("distribution") or "elasticsearch", sample.t)
    into.file.saw("GET /", sample.t)


def flat(settings: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Nested settings as dotted names.

    >>> flat({"index": {"refresh_interval": "1s"}})
    {'index.refresh_interval': '1s'}
    """
    found: dict[str, Any] = {}
    for key, value in settings.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and depth < 12:
            found |= flat(value, f"{name}.", depth + 1)
        else:
            found[name] = value
    return found


def index_settings(sample: Sample, into: Gathering) -> None:
    """The settings that the model knows, by index; all others are passed over."""
    for index, body in list(sample.body.items())[:MOST_INDICES]:
        if not str(index).startswith("."):
            _settings(f"index {index}", flat(body["settings"]), sample.t, into)
    into.file.saw("index settings", sample.t)


def cluster_settings(sample: Sample, into: Gathering) -> None:
    for part in ("persistent", "transient"):
        _settings("search.cluster", flat(sample.body.get(part) or {}), sample.t, into)
    into.file.saw("_cluster/settings", sample.t)


def _settings(whose: str, settings: Mapping[str, Any], t: float | None, into: Gathering) -> None:
    for key, value in settings.items():
        if SETTINGS.match(key) and isinstance(value, str | int | float | bool) and len(str(value)) <= 100:
            into.state(f"{whose} {key}", value, t)


def tasks(sample: Sample, into: Gathering) -> None:
    """Reindexes and force-merges that run, from `_tasks`."""
    for node in sample.body["nodes"].values():
        for task in (dig(node, ("tasks",)) or {}).values():
            action = str(dig(task, ("action",)) or "")
            begun = epoch(dig(task, ("start_time_in_millis",)))
            for what, name in (("reindex", "write/reindex"), ("force_merge", "admin/forcemerge")):
                if name in action:
                    into.event(sample.t or begun, what, begun=begun)
    into.file.saw("_tasks", sample.t)


READERS = {
    "nodes_stats": nodes_stats,
    "index_stats": index_stats,
    "cat_shards": cat_shards,
    "cat_indices": cat_indices,
    "cluster_stats": cluster_stats,
    "cluster_health": cluster_health,
    "nodes_info": nodes_info,
    "root": root,
    "index_settings": index_settings,
    "cluster_settings": cluster_settings,
    "tasks": tasks,
}
