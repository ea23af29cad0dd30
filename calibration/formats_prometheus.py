"""Names in Prometheus: which sample of which exporter is which quantity.

Each exporter has its dialect: Strimzi's rules for jmx_exporter put the MBean's name into the metric's,
MSK's Open Monitoring (and jmx_exporter without rules) keep it as the label `name`; kafka_exporter,
elasticsearch_exporter, cAdvisor, node_exporter and Spark's PrometheusServlet have fixed names. Names are
compared in lower case. Of several names for one quantity that a scrape shows, the lowest rank counts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

MS, NS, PERCENT = 1e-3, 1e-9, 0.01
MSK = "MSK Open Monitoring"


@dataclass(frozen=True)
class Rule:
    """One metric as a quantity: times `scale`, of the entity that these labels name, keeping those others.

    `where` are labels it must have (a value ending in * is a beginning). What differs in other labels is summed.
    `system` "java" is the process that publishes it, whichever it is: the rest of the scrape tells.
    """

    system: str
    quantity: str
    dialect: str
    scale: float = 1.0
    keep: Mapping[str, str] = field(default_factory=dict)  # label there: label here
    where: Mapping[str, str] = field(default_factory=dict)
    entity: tuple[str, ...] = ("pod", "instance")
    rank: int = 0
    fixed: Mapping[str, str] = field(default_factory=dict)
    cluster: bool = False  # of the whole cluster, whoever is asked

    def may_fit(self, line: str) -> bool:
        """Whether a line of text has those labels, before it is taken apart: most of a scrape has not."""
        return all(f'{key}="{wanted.rstrip("*")}' in line for key, wanted in self.where.items())

    def fits(self, labels: Mapping[str, str]) -> bool:
        for key, wanted in self.where.items():
            got = labels.get(key, "")
            if not (got.startswith(wanted[:-1]) if wanted.endswith("*") else got == wanted):
                return False
        return True


TOPICS = {
    "messagesin": "records_in",
    "bytesin": "bytes_in",
    "bytesout": "bytes_out",
    "totalproducerequests": "produce_requests",
    "totalfetchrequests": "fetch_requests",
    "replicationbytesin": "replication_bytes_in",
    "replicationbytesout": "replication_bytes_out",
}
STAGES = {
    "totaltimems": "total",
    "requestqueuetimems": "request_queue",
    "localtimems": "local",
    "remotetimems": "remote",
    "responsequeuetimems": "response_queue",
    "responsesendtimems": "response_send",
    "throttletimems": "throttle",
}
REPLICAS = {
    "partitioncount": "partitions",
    "leadercount": "leaders",
    "underreplicatedpartitions": "under_replicated_partitions",
}
REQUESTS = ("Produce", "Fetch", "FetchConsumer", "FetchFollower")
IDLE = {
    "requesthandleravgidlepercent": ("kafkarequesthandlerpool", "handler_idle_fraction"),
    "brokerrequesthandleravgidlepercent": ("kafkarequesthandlerpool", "handler_idle_fraction"),
    "networkprocessoravgidlepercent": ("socketserver", "network_idle_fraction"),
}
BEANS = {
    "MessagesInPerSec": "records_in",
    "BytesInPerSec": "bytes_in",
    "BytesOutPerSec": "bytes_out",
    "TotalProduceRequestsPerSec": "produce_requests",
    "TotalFetchRequestsPerSec": "fetch_requests",
    "ReplicationBytesInPerSec": "replication_bytes_in",
    "ReplicationBytesOutPerSec": "replication_bytes_out",
}
STAGE_BEANS = {
    "TotalTimeMs": "total",
    "RequestQueueTimeMs": "request_queue",
    "LocalTimeMs": "local",
    "RemoteTimeMs": "remote",
    "ResponseQueueTimeMs": "response_queue",
    "ResponseSendTimeMs": "response_send",
}
MSK_VALUES = {
    "kafka_server_kafkarequesthandlerpool_oneminuterate": {"RequestHandlerAvgIdlePercent": "handler_idle_fraction"},
    "kafka_network_socketserver_value": {"NetworkProcessorAvgIdlePercent": "network_idle_fraction"},
    "kafka_server_replicamanager_value": {
        "PartitionCount": "partitions",
        "LeaderCount": "leaders",
        "UnderReplicatedPartitions": "under_replicated_partitions",
    },
}
_TOPIC = re.compile(r"^kafka_server_broker_?topic_?metrics_([a-z_]+?)(?:_?per_?sec)?(_total|_count|_count_total)?$")
_STAGE = re.compile(r"^kafka_network_requestmetrics_([a-z]+ms)(?:_(mean))?$")
_IDLE = re.compile(r"^kafka_(?:server|network)_(?:kafkarequesthandlerpool|socketserver)_(\w+?)(?:_(oneminuterate))?$")
_STREAM = re.compile(
    r"^metrics_(.+?)_driver_spark_streaming_(.+)_(latency|inputrate_total|processingrate_total|states_rowstotal|states_usedbytes)"
    r"_(value|number)$"
)
STREAM = {
    "latency": ("batch_seconds", MS),
    "inputrate_total": ("records_in_per_second", 1.0),
    "processingrate_total": ("records_done_per_second", 1.0),
    "states_rowstotal": ("state_rows", 1.0),
    "states_usedbytes": ("state_bytes", 1.0),
}
DRIVER = {
    "jvm_heap_used": ("heap_used_bytes", 1.0),
    "jvm_heap_max": ("heap_max_bytes", 1.0),
    "executormetrics_jvmheapmemory": ("heap_used_bytes", 1.0),
    "executormetrics_processtreejvmrssmemory": ("resident_bytes", 1.0),
    "executormetrics_processtreepythonrssmemory": ("python_resident_bytes", 1.0),
    "executor_cputime": ("cpu_seconds", NS),
    "executor_jvmgctime": ("gc_seconds", MS),
}
_DRIVER = re.compile(rf"^metrics_(.+?)_(driver|\d+)_({'|'.join(DRIVER)})_(value|number|count)$")

_JAVA = Rule("java", "", "jmx_exporter")
_TOPIC_LABEL = {"topic": "topic"}


def _java() -> dict[str, list[Rule]]:
    """What a Java process says of itself, under the names of the exporter's old and new versions."""
    heap = {"area": "heap"}
    rows: list[tuple[str, str, float, Mapping[str, str], int]] = [
        ("process_cpu_seconds_total", "cpu_seconds", 1.0, {}, 0),
        ("process_cpu_seconds", "cpu_seconds", 1.0, {}, 1),
        ("java_lang_operatingsystem_processcputime", "cpu_seconds", NS, {}, 2),
        ("process_resident_memory_bytes", "resident_bytes", 1.0, {}, 0),
        ("process_start_time_seconds", "start_seconds", 1.0, {}, 0),
        ("jvm_memory_used_bytes", "heap_used_bytes", 1.0, heap, 0),
        ("jvm_memory_bytes_used", "heap_used_bytes", 1.0, heap, 1),
        ("java_lang_memory_heapmemoryusage_used", "heap_used_bytes", 1.0, {}, 2),
        ("jvm_memory_max_bytes", "heap_max_bytes", 1.0, heap, 0),
        ("jvm_memory_bytes_max", "heap_max_bytes", 1.0, heap, 1),
        ("java_lang_memory_heapmemoryusage_max", "heap_max_bytes", 1.0, {}, 2),
        ("jvm_gc_collection_seconds_count", "pauses", 1.0, {}, 0),
        ("jvm_gc_collection_seconds_sum", "pause_seconds", 1.0, {}, 0),
        ("java_lang_garbagecollector_collectioncount", "pauses", 1.0, {}, 2),
        ("java_lang_garbagecollector_collectiontime", "pause_seconds", MS, {}, 2),
    ]
    return {
        name: [replace(_JAVA, quantity=quantity, scale=scale, where=where, rank=rank)]
        for name, quantity, scale, where, rank in rows
    }


def _kafka() -> dict[str, list[Rule]]:
    lag = {"consumergroup": "group", "topic": "topic"}
    exporter = Rule("kafka", "", "kafka_exporter", cluster=True)
    msk_lag = {"groupid": "group", "topic": "topic"}
    log = Rule("kafka", "log_bytes", "jmx_exporter", keep=_TOPIC_LABEL)
    return {
        "kafka_log_log_size": [log],
        "kafka_log_log_value": [replace(log, where={"name": "Size"}, dialect=MSK)],
        "kafka_network_requestmetrics_requests_total": [
            Rule("kafka", "requests", "jmx_exporter", keep={"request": "request"})
        ],
        "kafka_consumergroup_lag": [replace(exporter, quantity="lag_records", keep=lag, rank=1)],
        "kafka_consumergroup_lag_sum": [replace(exporter, quantity="lag_records", keep=lag)],
        "kafka_consumer_group_consumerlagmetrics_value": [
            Rule(
                "kafka",
                "lag_records",
                "MSK Open Monitoring",
                keep=msk_lag,
                where={"name": "SumOffsetLag"},
                cluster=True,
            )
        ],
        "kafka_topic_partition_current_offset": [replace(exporter, quantity="end_offset", keep=_TOPIC_LABEL)],
        "kafka_topic_partitions": [replace(exporter, quantity="topic_partitions", keep=_TOPIC_LABEL)],
        "kafka_brokers": [replace(exporter, quantity="brokers")],
    }


def _search() -> dict[str, list[Rule]]:
    node = Rule("search", "", "elasticsearch_exporter", entity=("name", "host", "instance"), rank=1)
    write, heap = {"type": "write"}, {"area": "heap"}
    rows: list[tuple[str, str, float, Mapping[str, str]]] = [
        ("process_cpu_seconds_total", "cpu_seconds", 1.0, {}),
        ("indices_indexing_index_total", "documents", 1.0, {}),
        ("indices_indexing_index_time_seconds_total", "index_seconds", 1.0, {}),
        ("indices_indexing_throttle_time_seconds_total", "index_throttled_seconds", 1.0, {}),
        ("thread_pool_completed_count", "bulks", 1.0, write),
        ("thread_pool_rejected_count", "bulks_rejected", 1.0, write),
        ("thread_pool_active_count", "write_active", 1.0, write),
        ("thread_pool_queue_count", "write_queue", 1.0, write),
        ("thread_pool_threads_count", "write_threads", 1.0, write),
        ("indices_refresh_total", "refreshes", 1.0, {}),
        ("indices_refresh_time_seconds_total", "refresh_seconds", 1.0, {}),
        ("indices_flush_total", "flushes", 1.0, {}),
        ("indices_flush_time_seconds", "flush_seconds", 1.0, {}),
        ("indices_merges_total", "merges", 1.0, {}),
        ("indices_merges_total_size_bytes_total", "merge_bytes", 1.0, {}),
        ("indices_merges_total_time_seconds_total", "merge_seconds", 1.0, {}),
        ("indices_merges_total_throttled_time_seconds_total", "merge_throttled_seconds", 1.0, {}),
        ("indices_search_query_total", "queries", 1.0, {}),
        ("indices_search_query_time_seconds", "query_seconds", 1.0, {}),
        ("jvm_gc_collection_seconds_count", "pauses", 1.0, {}),
        ("jvm_gc_collection_seconds_sum", "pause_seconds", 1.0, {}),
        ("jvm_memory_used_bytes", "heap_used_bytes", 1.0, heap),
        ("jvm_memory_max_bytes", "heap_max_bytes", 1.0, heap),
        ("jvm_memory_pool_used_bytes", "old_used_bytes", 1.0, {"pool": "old"}),
        ("jvm_uptime_seconds", "uptime_seconds", 1.0, {}),
        ("indices_store_size_bytes", "store_bytes", 1.0, {}),
        ("indices_docs", "documents_held", 1.0, {}),
        ("indices_segments_count", "segments", 1.0, {}),
        ("filesystem_data_size_bytes", "disk_total_bytes", 1.0, {}),
        ("filesystem_data_available_bytes", "disk_available_bytes", 1.0, {}),
        ("os_cpu_percent", "cpu_fraction", PERCENT, {}),
        ("filesystem_io_stats_device_read_size_kilobytes_sum", "disk_read_bytes", 1024.0, {}),
        ("filesystem_io_stats_device_write_size_kilobytes_sum", "disk_write_bytes", 1024.0, {}),
    ]
    made = {
        f"elasticsearch_{name}": [replace(node, quantity=quantity, scale=scale, where=where)]
        for name, quantity, scale, where in rows
    }
    health = Rule("search", "", "elasticsearch_exporter", entity=("cluster",), rank=1, cluster=True)
    index = Rule("index", "", "elasticsearch_exporter", entity=("index",), rank=2)
    return made | {
        "elasticsearch_cluster_health_number_of_nodes": [replace(health, quantity="nodes")],
        "elasticsearch_cluster_health_number_of_data_nodes": [replace(health, quantity="data_nodes")],
        "elasticsearch_cluster_health_relocating_shards": [replace(health, quantity="relocating_shards")],
        "elasticsearch_indices_store_size_bytes_primary": [replace(index, quantity="store_bytes")],
        "elasticsearch_indices_store_size_bytes_total": [replace(index, quantity="total_store_bytes")],
        "elasticsearch_indices_docs_primary": [replace(index, quantity="documents_held")],
    }


def _hosts() -> dict[str, list[Rule]]:
    container = Rule("process", "", "cAdvisor", entity=("pod", "pod_name", "name", "container", "instance"))
    node = Rule("machine", "", "node_exporter", entity=("instance", "nodename"))
    device = {"device": "device"}
    modes = {
        "busy_seconds": ("user", "nice", "system", "irq", "softirq"),
        "idle_seconds": ("idle",),
        "wait_seconds": ("iowait",),
        "steal_seconds": ("steal",),
    }
    return {
        "container_cpu_usage_seconds_total": [replace(container, quantity="cpu_seconds")],
        "container_cpu_cfs_throttled_seconds_total": [replace(container, quantity="throttled_seconds")],
        "container_memory_rss": [replace(container, quantity="resident_bytes")],
        "container_memory_working_set_bytes": [replace(container, quantity="working_set_bytes")],
        "container_spec_memory_limit_bytes": [replace(container, quantity="memory_limit_bytes")],
        "node_cpu_seconds_total": [
            replace(node, quantity=quantity, where={"mode": mode}) for quantity, each in modes.items() for mode in each
        ],
        "node_load1": [replace(node, quantity="load")],
        "node_pressure_cpu_waiting_seconds_total": [replace(node, quantity="pressure_seconds")],
        "node_memory_memtotal_bytes": [replace(node, quantity="memory_total_bytes")],
        "node_memory_memavailable_bytes": [replace(node, quantity="memory_available_bytes")],
        "node_disk_read_bytes_total": [replace(node, quantity="disk_read_bytes", keep=device)],
        "node_disk_written_bytes_total": [replace(node, quantity="disk_write_bytes", keep=device)],
        "node_network_receive_bytes_total": [replace(node, quantity="network_in_bytes", keep=device)],
        "node_network_transmit_bytes_total": [replace(node, quantity="network_out_bytes", keep=device)],
    }


def _spark() -> dict[str, list[Rule]]:
    executor = Rule("spark", "", "Spark executors", entity=("executor_id",), rank=1)
    rows = [
        ("jvmheapmemory_bytes", "heap_used_bytes"),
        ("processtreejvmrssmemory_bytes", "resident_bytes"),
        ("processtreepythonrssmemory_bytes", "python_resident_bytes"),
        ("maxmemory_bytes", "memory_limit_bytes"),
        ("totalcores", "cores"),
        ("totalgctime_seconds_total", "gc_seconds"),
        ("totalduration_seconds_total", "task_seconds"),
        ("completedtasks_total", "tasks_done"),
    ]
    return {f"metrics_executor_{name}": [replace(executor, quantity=quantity)] for name, quantity in rows}


RULES: dict[str, list[Rule]] = _java() | _kafka() | _search() | _hosts() | _spark()
VERSIONS = {
    # metric with a label that states a version: (label, what it is the version of)
    "kafka_server_app_info": ("version", "kafka.version"),
    "spark_info": ("version", "spark.version"),
    "elasticsearch_clusterinfo_version_info": ("version", "search.version"),
}
TIMES = ("node_time_seconds",)  # a metric that is the time of its own scrape
PREFIXES = (
    "kafka_",
    "process_",
    "jvm_",
    "java_lang_",
    "elasticsearch_",
    "container_",
    "node_",
    "metrics_",
    "spark_info",
)


@lru_cache(maxsize=100_000)
def rules(name: str) -> tuple[Rule, ...]:
    """The rules for a metric of that name, whatever its case; none where it is not used."""
    lower = name.lower()
    if lower in RULES:
        return tuple(RULES[lower])
    for made in (_topic, _stage, _msk, _idle, _replicas, _stream, _driver):
        found = made(lower, name)
        if found:
            return tuple(found)
    return ()


def _topic(lower: str, name: str) -> list[Rule]:
    match = _TOPIC.match(lower)
    quantity = TOPICS.get(match[1].replace("_", "")) if match else None
    if not match or not quantity:
        return []
    rank = {"_total": 0, "_count": 1, "_count_total": 2}.get(match[2] or "", 3)  # rules may write one under two names
    return [Rule("kafka", quantity, "jmx_exporter", keep=_TOPIC_LABEL, rank=rank)]


def _stage(lower: str, name: str) -> list[Rule]:
    match = _STAGE.match(lower)
    stage = STAGES.get(match[1]) if match else None
    if not match or not stage:
        return []
    mean = match[2] == "mean"
    keep = {"request": "request"} if mean else {"request": "request", "quantile": "quantile"}
    what = "request_mean_seconds" if mean else "request_seconds"
    return [Rule("kafka", what, "jmx_exporter", MS, keep, {"request": r}, fixed={"stage": stage}) for r in REQUESTS]


def _msk(lower: str, name: str) -> list[Rule]:
    """The dialect that keeps the MBean's name as a label: MSK's, and jmx_exporter's without rules."""
    if lower in ("kafka_server_brokertopicmetrics_count", "kafka_server_brokertopicmetrics_count_total"):
        return [Rule("kafka", q, MSK, keep=_TOPIC_LABEL, where={"name": bean}) for bean, q in BEANS.items()]
    if lower == "kafka_network_requestmetrics_mean":
        made = Rule("kafka", "request_mean_seconds", MSK, MS, {"request": "request"})
        pairs = [(bean, stage, request) for bean, stage in STAGE_BEANS.items() for request in REQUESTS]
        return [replace(made, where={"name": b, "request": r}, fixed={"stage": s}) for b, s, r in pairs]
    found = MSK_VALUES.get(lower, {})
    return [Rule("kafka", quantity, MSK, where={"name": bean}) for bean, quantity in found.items()]


def _idle(lower: str, name: str) -> list[Rule]:
    """Rules write these with and without underscores; without a rate in the name it may be the mean since the start."""
    match = _IDLE.match(lower)
    bean = match[1].replace("_", "").removesuffix("total") if match else ""
    if not match or bean not in IDLE:
        return []
    rank = 0 if bean.startswith("broker") else 1 if match[2] else 2  # the broker's own, where a controller shares them
    return [Rule("kafka", IDLE[bean][1], "jmx_exporter", rank=rank)]


def _replicas(lower: str, name: str) -> list[Rule]:
    quantity = REPLICAS.get(lower.removeprefix("kafka_server_replicamanager_")) if "replicamanager" in lower else None
    return [Rule("kafka", quantity, "jmx_exporter")] if quantity else []


def _stream(lower: str, name: str) -> list[Rule]:
    """Gauges of a named query; the query's name stands in the metric's, in its own case."""
    match = _STREAM.match(lower)
    if not match:
        return []
    quantity, scale = STREAM[match[3]]
    query = name[match.start(2) : match.end(2)]
    rank = 1 if match[4] == "number" else 0
    return [Rule("spark", quantity, "Spark PrometheusServlet", scale, entity=(f"={query}",), rank=rank)]


def _driver(lower: str, name: str) -> list[Rule]:
    match = _DRIVER.match(lower)
    if not match:
        return []
    quantity, scale = DRIVER[match[3]]
    return [
        Rule(
            "spark",
            quantity,
            "Spark PrometheusServlet",
            scale,
            entity=(f"={match[2]}",),
            rank=2 - (match[4] != "number"),
        )
    ]
