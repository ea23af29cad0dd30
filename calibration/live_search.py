"""Elasticsearch and OpenSearch, live: what `record` asks of a cluster, and small questions that probe and sample ask.

Counters and sizes are asked at each tick, what changes by hand (settings, versions, running force
merges and reindexes) once a minute. Each answer is kept as it came; indices are those of a pattern, so that
a shared cluster does not send thousands. A cluster that lacks a call (a serverless one, a hardened one)
answers it with 401, 403, 404 or 405, which is listed and asked again ten minutes later.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from calibration.live import Answer, Call, Source
from calibration.live_http import Endpoint

NODE_STATS = "/_nodes/stats/indices,os,process,jvm,thread_pool,fs,breaker,indexing_pressure"
SLOW_SECONDS = 60.0
SKEW_TOLD_SECONDS = 1.5  # beyond what cannot be told apart
_CAT = {"format": "json", "bytes": "b"}
_NODES = "nodes.*.name,nodes.*.version,nodes.*.roles,nodes.*.build_flavor,nodes.*.os,nodes.*.jvm,nodes.*.thread_pool"
CANNOT_TELL = (
    "CPU of threads: index, refresh and merge times are wall times of their threads",
    "latency of a record: `floodmark probe` measures it",
    "who writes: bulk sizes are only known as bulks and documents in all",
)


def search_source(endpoint: Endpoint, index: str = "_all", name: str = "search") -> Source:
    """A cluster as a source; `index` is a name or pattern of its indices."""
    at = index_path(index)

    def call(kind: str, path: str, params: Mapping[str, Any] | None = None, every: float = 0.0) -> Call:
        return Call(path, lambda: [answered(endpoint, name, kind, path, params)], every)

    tasks = {"detailed": "true", "actions": "*forcemerge*,*reindex*"}
    shards = {**_CAT, "h": "index,shard,prirep,state,docs,store,node"}
    nodes = {**_CAT, "h": "name,version,node.role,heap.max,ram.max,cpu,load_1m,disk.total,disk.used"}
    calls = [
        call("nodes_stats", NODE_STATS),
        call("index_stats", f"{at}/_stats"),
        call("cat_shards", f"/_cat/shards{'' if index == '_all' else at}", shards),
        call("root", "/", None, SLOW_SECONDS),
        call("nodes_info", "/_nodes", {"filter_path": _NODES}, SLOW_SECONDS),
        call("cluster_health", "/_cluster/health", None, SLOW_SECONDS),
        call("cluster_settings", "/_cluster/settings", {"flat_settings": "true"}, SLOW_SECONDS),
        call("index_settings", f"{at}/_settings", {"flat_settings": "true"}, SLOW_SECONDS),
        call("cat_nodes", "/_cat/nodes", nodes, SLOW_SECONDS),
        call("cat_allocation", "/_cat/allocation", _CAT, SLOW_SECONDS),
        call("tasks", "/_tasks", tasks, SLOW_SECONDS),
    ]
    resolution = "counters at each tick; times in whole ms; store sizes up to 10 s old (the server caches them)"
    return Source(name, f"{endpoint.shown}{at}", calls, resolution, CANNOT_TELL, endpoint.close)


def answered(endpoint: Endpoint, source: str, kind: str, path: str, params: Mapping[str, Any] | None = None) -> Answer:
    """One JSON answer, with the server's clock where it is off."""
    body = endpoint.get_json(path, params)
    return Answer(time.time(), source, kind, body=body, ahead_seconds=skew(endpoint))


def skew(endpoint: Endpoint) -> float | None:
    """How far that server's clock is ahead [s], where a Date header and a slow answer cannot explain it."""
    ahead = endpoint.ahead_seconds
    return ahead if ahead is not None and abs(ahead) > SKEW_TOLD_SECONDS + endpoint.clock_grain else None


def index_path(index: str) -> str:
    """An index, alias or pattern as a path; date math keeps its brackets percent-encoded.

    >>> index_path("logs-*,events"), index_path("<a-{now/d}>")
    ('/logs-*,events', '/%3Ca-%7Bnow%2Fd%7D%3E')
    """
    return "/" + quote(index.strip("/"), safe="*,-_.")


def poll(ask: Callable[[], Any], done: Callable[[Any], bool], seconds: float, every: float = 0.5) -> Iterator[Any]:
    """Answers until one is done or the time is up."""
    until = time.monotonic() + seconds
    while True:
        answer = ask()
        yield answer
        if done(answer) or time.monotonic() >= until:
            return
        time.sleep(every)
