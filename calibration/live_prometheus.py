"""Prometheus (or Thanos, Mimir, Amazon's), live: range queries of the families that Floodmark can use.

A server is asked first which families of `FAMILIES` it has and how many series each counts; a family with
more series than `MOST_SERIES` is left out and said so, since a shared server may hold a whole company
(`--match 'cluster="prod"'` narrows). One answer never has more than 11,000 points a series, the
server's own limit, nor more than `MOST_POINTS` in all. A range query repeats the last sample up to
five minutes: what is finer than the scrape interval is not there.

The same file reads a single exporter's text (`exposition_source`).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from typing import Any

from calibration.live import Answer, Call, LiveError, Source
from calibration.live_http import Endpoint
from calibration.live_search import skew

POINTS = 11_000  # a series in one answer: prometheus/web/api/v1, "exceeded maximum resolution"
MOST_POINTS = 400_000  # in one answer, some 12 MB
MOST_SERIES = 2_000  # of one family
FAMILIES: dict[str, str] = {
    # what for: names, as a regular expression that must match whole
    "kafka by jmx_exporter (stock, Strimzi)": (
        r"kafka_server_brokertopicmetrics_(bytesin|bytesout|messagesin|replicationbytesin|replicationbytesout|"
        r"totalproducerequests|totalfetchrequests)(_?per_?sec)?(_total|_count|_count_total)?|"
        r"kafka_network_requestmetrics_(totaltimems|localtimems|remotetimems|requestqueuetimems|responsequeuetimems|"
        r"responsesendtimems|throttletimems|requests)(_count|_total|"
        r"_count_total|_mean)?|kafka_network_socketserver_networkprocessoravgidle_?percent|"
        r"kafka_server_kafkarequesthandlerpool_(broker)?_?requesthandleravgidle_?percent.*|kafka_log_log_(size|logendoffset)|"
        r"kafka_server_replicamanager_(partitioncount|leadercount|underreplicatedpartitions)|kafka_server_app_info"
    ),
    "kafka by MSK open monitoring": (
        r"kafka_server_BrokerTopicMetrics_(Count|OneMinuteRate)|kafka_network_RequestMetrics_(Count|Mean|99thPercentile)|"
        r"kafka_server_KafkaRequestHandlerPool_OneMinuteRate|kafka_network_SocketServer_Value|kafka_log_Log_Value|"
        r"kafka_server_ReplicaManager_Value|kafka_consumer_group_ConsumerLagMetrics_Value"
    ),
    "kafka_exporter": (
        r"kafka_consumergroup_(lag|lag_sum|current_offset|members)|kafka_brokers|kafka_topic_partitions|"
        r"kafka_topic_partition_(current_offset|oldest_offset|replicas|in_sync_replica|under_replicated_partition)"
    ),
    "elasticsearch_exporter": (
        r"elasticsearch_indices_(indexing_index|indexing_index_time_seconds|indexing_throttle_time_seconds|refresh|refresh_time_seconds|flush|"
        r"flush_time_seconds|merges|merges_docs|merges_total_size_bytes|merges_total_time_seconds|"
        r"merges_total_throttled_time_seconds|search_query|search_query_time_seconds|store_size_bytes|"
        r"store_size_bytes_primary|store_size_bytes_total|docs|docs_deleted|docs_primary|segments_count)(_total)?|"
        r"elasticsearch_thread_pool_(threads|queue|active|rejected|completed)_count|"
        r"elasticsearch_jvm_(memory_used_bytes|memory_max_bytes|memory_pool_used_bytes|uptime_seconds|"
        r"gc_collection_seconds_count|gc_collection_seconds_sum)|elasticsearch_clusterinfo_version_info|"
        r"elasticsearch_filesystem_io_stats_device_(read|write)_size_kilobytes_sum|"
        r"elasticsearch_(os_cpu_percent|process_cpu_percent|process_cpu_seconds_total)|"
        r"elasticsearch_filesystem_data_(size|free|available)_bytes|elasticsearch_cluster_health_.*"
    ),
    "spark": (
        r"metrics_.*spark_streaming_.*|metrics_.*_(driver|[0-9]+)_(jvm_heap_(used|max)|executormetrics_jvmheapmemory|"
        r"executormetrics_processtree(jvm|python)rssmemory|executor_(cputime|jvmgctime))_(value|number|count)|"
        r"metrics_executor_(JVMHeapMemory_bytes|ProcessTreeJVMRSSMemory_bytes|"
        r"ProcessTreePythonRSSMemory_bytes|totalGCTime_seconds_total|completedTasks_total|failedTasks_total|"
        r"totalDuration_seconds_total|totalCores|maxTasks|memoryUsed_bytes|maxMemory_bytes)|spark_info"
    ),
    "JVM client": (
        r"process_cpu_seconds(_total)?|process_resident_memory_bytes|process_start_time_seconds|"
        r"jvm_gc_collection_seconds_(count|sum)|jvm_memory_(used|max)_bytes|jvm_memory_bytes_(used|max)|"
        r"java_lang_(operatingsystem_processcputime|memory_heapmemoryusage_(used|max)|"
        r"garbagecollector_collection(count|time))"
    ),
    "cAdvisor": (
        r"container_(cpu_usage_seconds_total|cpu_cfs_throttled_seconds_total|memory_working_set_bytes|memory_rss|"
        r"spec_cpu_quota|spec_cpu_period|spec_memory_limit_bytes|network_receive_bytes_total|"
        r"network_transmit_bytes_total|fs_writes_bytes_total)"
    ),
    "node_exporter": (
        r"node_(cpu_seconds_total|load1|memory_MemTotal_bytes|memory_MemAvailable_bytes|filesystem_avail_bytes|"
        r"filesystem_size_bytes|disk_written_bytes_total|disk_read_bytes_total|disk_io_time_seconds_total|"
        r"network_receive_bytes_total|network_transmit_bytes_total|pressure_cpu_waiting_seconds_total)"
    ),
}
CANNOT_TELL = (
    "anything between two scrapes: a range query repeats the last sample",
    "counters that exporters do not have (elasticsearch_exporter 1.11 has no indexing pressure)",
)
_MATCH = re.compile(r'^\s*(?:[a-zA-Z_]\w*\s*(?:=~|!~|!=|=)\s*"(?:[^"\\]|\\.)*"\s*(?:,\s*(?=[a-zA-Z_])|$))+$')


def checked_match(match: str) -> str:
    """Label matchers as PromQL writes them between braces; refuses what is none.

    >>> checked_match('cluster="prod",job=~"kafka.*"')
    'cluster="prod",job=~"kafka.*"'
    """
    if match and not _MATCH.match(match):
        would = 'cluster="prod",job=~"kafka.*"'
        raise LiveError("settings", f"--match {match!r}: expected label matchers such as '{would}'")
    return match


class Prometheus:
    """The HTTP API of one server."""

    def __init__(self, endpoint: Endpoint, match: str = "") -> None:
        self.endpoint, self.match = endpoint, checked_match(match)

    def api(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        """A successful answer of the API. Raises LiveError with the server's own reason."""
        answer = self.endpoint.get_json(f"/api/v1/{path}", params)
        if not isinstance(answer, dict) or answer.get("status") != "success" or "data" not in answer:
            reason = answer.get("error", "no data") if isinstance(answer, dict) else "not an object"
            where = f"{self.endpoint.shown}/api/v1/{path}"
            raise LiveError("garbage", f"{where}: not an answer of Prometheus's API ({reason}); is it its address?")
        return answer

    def selector(self, name: str) -> str:
        """A family's series, of real containers only where cAdvisor sums them up beside."""
        parts = [self.match] if self.match else []
        parts += (
            ['container!=""', 'container!="POD"'] if name.startswith("container_") and "network" not in name else []
        )
        return f'{{__name__="{name}"{"".join("," + part for part in parts)}}}'

    def families(self) -> dict[str, int]:
        """The families that it has of those that can be used, with their numbers of series."""
        found: dict[str, int] = {}
        for names in FAMILIES.values():
            match = f",{self.match}" if self.match else ""
            asked = f'count by (__name__) ({{__name__=~"(?i:{names})"{match}}})'  # exporters differ in case
            answer = self.api("query", {"query": asked})
            for one in answer["data"].get("result", []):
                found[one["metric"]["__name__"]] = int(float(one["value"][1]))
        return found

    def read(
        self, query: str, start: float, end: float, step: float, series: int = 1
    ) -> Iterator[tuple[float, dict[str, Any]]]:
        """(last step, answer) of a query from `start` to `end` [epoch s], each within the server's limit of points."""
        for a, b in windows(start, end, step, max(min(POINTS, MOST_POINTS // max(series, 1)), 2)):
            asked = {"query": query, "start": f"{a:.3f}", "end": f"{b:.3f}", "step": f"{step:g}"}
            yield b, self.api("query_range", asked)


def windows(start: float, end: float, step: float, points: int = POINTS) -> list[tuple[float, float]]:
    """[start, end] cut into windows of at most that many points, none asked twice.

    >>> windows(0, 50, 10, points=3)
    [(0, 20), (30, 50)]
    """
    found, at = [], start
    while at <= end:
        last = min(at + (points - 1) * step, at + math.floor((end - at) / step + 1e-9) * step)
        found.append((at, last))
        at = last + step
    return found


class _Follower:
    """Reads each family on from where it was read last, so that a recording has every step once."""

    def __init__(self, server: Prometheus, name: str, step: float, since: float) -> None:
        self.server, self.name, self.step = server, name, step
        self.first = math.floor((time.time() - since) / step) * step
        self.known: dict[str, int] = {}
        self.next: dict[str, float] = {}
        self.turn: dict[str, float] = {}
        self.left_out: list[str] = []

    def list_families(self) -> Iterator[Answer]:
        found, where = self.server.families(), self.server.endpoint.shown
        self.known = {name: n for name, n in found.items() if n <= MOST_SERIES}
        large = {name: n for name, n in found.items() if n > MOST_SERIES}
        if not found:
            narrowed = f" with {self.server.match}" if self.server.match else ""
            expected = "kafka_…, elasticsearch_…, metrics_…, container_…, node_… or process_…"
            raise LiveError("missing", f"{where}: no family that can be used{narrowed}; expected {expected}")
        body = {"families": self.known, "left_out": large}
        yield self._answer("prometheus_families", body)
        if large and sorted(large) != self.left_out:
            self.left_out = sorted(large)
            some = ", ".join(f"{name} ({n:,} series)" for name, n in sorted(large.items())[:6])
            said = f"{where}: left out, as more than {MOST_SERIES:,} series: {some}; narrow with --match"
            raise LiveError("too large", said)

    def follow(self) -> Iterator[Answer]:
        """The new steps of each family, the longest unasked first; scrapes of the last 2 s may be under way still."""
        end = math.floor((time.time() - 2.0) / self.step) * self.step
        for family in sorted(self.known, key=lambda name: self.turn.get(name, 0.0)):
            self.turn[family] = time.monotonic()
            begin, query = self.next.get(family, self.first), self.server.selector(family)
            for last, body in self.server.read(query, begin, end, self.step, self.known[family]):
                yield self._answer("prometheus_range", body, {"query": query, "end": last, "step": self.step})
                self.next[family] = last + self.step

    def _answer(self, kind: str, body: Any, asked: dict[str, Any] | None = None) -> Answer:
        return Answer(time.time(), self.name, kind, body, asked=asked, ahead_seconds=skew(self.server.endpoint))


def prometheus_source(
    endpoint: Endpoint, step: float, since: float = 0.0, match: str = "", name: str = "prometheus"
) -> Source:
    """A Prometheus as a source: at each tick the steps that are new; `since` seconds of the past first."""
    follower = _Follower(Prometheus(endpoint, match), name, step, since)
    calls = [
        Call("families", follower.list_families, every=300.0),
        Call("query_range", follower.follow),
    ]
    resolution = f"{step:g} s asked; not finer than the server's scrape interval"
    return Source(name, endpoint.shown, calls, resolution, CANNOT_TELL, endpoint.close)


def exposition_source(endpoint: Endpoint, name: str) -> Source:
    """One exporter's text (JMX exporter, kafka_exporter, …) as a source; the address is that of the text itself."""

    def scrape() -> Iterator[Answer]:
        yield exposition(endpoint, name)

    resolution = "at each tick; jmx_exporter's request-time quantiles are whole ms"
    told = ("percentiles over time: an exporter's quantiles cannot be added up",)
    return Source(name, endpoint.shown, [Call(endpoint.shown, scrape)], resolution, told, endpoint.close)


def exposition(endpoint: Endpoint, name: str, path: str = "") -> Answer:
    """One scrape; refuses a page that is no Prometheus text."""
    text = endpoint.get_text(path)
    if not re.search(r"(?m)^[a-zA-Z_:][\w:]*(\{[^\n]*\})? +[-+0-9.eEInfNa]+", text):
        where = f"{endpoint.shown}{path}"
        raise LiveError("garbage", f"{where}: no line of Prometheus text in {len(text)} characters; is it /metrics?")
    return Answer(time.time(), name, "prometheus_text", text=text, ahead_seconds=skew(endpoint))
