"""The quantities that recordings tell, by system: unit, kind and meaning, one vocabulary for every source.

A kind is what a source *can* tell of it: a running total ("counter") or a value ("gauge"). CloudWatch and
MSK's meters tell rates and means instead; those have names of their own (`…_per_second`, `…_mean_seconds`)
so that a mean is never taken for a total. A `need` is what a fit asks for: where nobody tells it, the
import says so, with what would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Quantity:
    """Unit, kind and meaning of one quantity of one system."""

    unit: str
    kind: Literal["counter", "gauge"]
    meaning: str


def _table(kind: Literal["counter", "gauge"], text: str) -> dict[str, Quantity]:
    """Rows `name | unit | meaning`."""
    rows = (tuple(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines())
    return {name: Quantity(unit, kind, meaning) for name, unit, meaning in rows}


KAFKA = _table(
    "counter",
    """
    cpu_seconds | s | CPU of the broker's process
    bytes_in | byte | record batches received from producers, as stored
    bytes_out | byte | record batches sent to consumers
    records_in | record | records received from producers
    produce_requests | request | produce requests
    fetch_requests | request | fetch requests of consumers and followers
    replication_bytes_in | byte | received from leaders
    replication_bytes_out | byte | sent to followers
    requests | request | requests answered, by request
    pauses | 1 | garbage collections
    pause_seconds | s | time in garbage collections
    end_offset | record | sum of the topic's end offsets
    """,
) | _table(
    "gauge",
    """
    log_bytes | byte | logs on disk
    heap_used_bytes | byte | Java heap in use
    heap_max_bytes | byte | Java heap, at most
    resident_bytes | byte | resident memory of the process
    start_seconds | s | when the process started, since 1970
    request_seconds | s | quantile of a request's time in a stage since some minutes, whole milliseconds
    request_mean_seconds | s | mean of a request's time in a stage
    handler_idle_fraction | 1 | share of time that request handlers idle; some exporters give the mean since the start
    network_idle_fraction | 1 | share of time that network threads idle
    cpu_fraction | 1 | CPU of the broker's machine, user and system
    partitions | 1 | partition replicas on the broker
    leaders | 1 | partitions that the broker leads
    under_replicated_partitions | 1 | partitions whose followers are behind
    topic_partitions | 1 | partitions of a topic
    brokers | 1 | brokers of the cluster
    lag_records | record | records that a group has not committed
    bytes_in_per_second | byte/s | record batches received
    bytes_out_per_second | byte/s | record batches sent to consumers
    records_in_per_second | record/s | records received
    replication_bytes_in_per_second | byte/s | received from leaders
    replication_bytes_out_per_second | byte/s | sent to followers
    disk_used_fraction | 1 | share of the data volume in use
    disk_write_bytes | byte | written to the data volume in a period
    disk_read_bytes | byte | read from the data volume in a period
    """,
)

SEARCH = _table(
    "counter",
    """
    cpu_seconds | s | CPU of the node's process
    documents | document | index operations on the node, primaries and replicas
    index_seconds | s | wall time of index threads
    bulks | task | tasks done by the write pool: a bulk's part for each shard
    bulks_rejected | task | tasks refused by the write pool
    refreshes | 1 | refreshes
    refresh_seconds | s | wall time of refreshes
    flushes | 1 | flushes
    flush_seconds | s | wall time of flushes
    merges | 1 | merges ended
    merge_seconds | s | wall time of merges
    merge_throttled_seconds | s | of it held back by the throttle
    merge_bytes | byte | bytes merged
    queries | 1 | queries answered by shards
    query_seconds | s | wall time of queries
    scrolls | 1 | scrolls begun
    pauses | 1 | young and old collections, which stop the node
    pause_seconds | s | time in them
    index_throttled_seconds | s | indexing held to one thread by merges behind
    disk_write_bytes | byte | written to the data volume
    disk_read_bytes | byte | read from the data volume
    force_merges | task | tasks done by the force-merge pool
    pressure_rejections | 1 | requests refused by indexing pressure
    """,
) | _table(
    "gauge",
    """
    heap_used_bytes | byte | Java heap in use
    heap_max_bytes | byte | Java heap, at most
    old_used_bytes | byte | old generation in use
    uptime_seconds | s | since the node's process started
    cpu_fraction | 1 | CPU of the node's machine
    write_threads | 1 | threads of the write pool
    write_queue | 1 | tasks waiting for the write pool
    write_active | 1 | tasks running in the write pool
    store_bytes | byte | shards on the node's disk
    documents_held | document | documents in the node's shards
    segments | 1 | Lucene segments on the node
    disk_total_bytes | byte | data volume
    disk_available_bytes | byte | of it free to the node
    nodes | 1 | nodes of the cluster
    data_nodes | 1 | data nodes of the cluster
    relocating_shards | 1 | shards on the move
    documents_per_second | document/s | index operations, primaries and replicas
    index_mean_seconds | s | mean wall time of an index operation
    heap_fraction | 1 | Java heap in use, of its most
    disk_write_bytes_per_second | byte/s | written to the data volume
    disk_read_bytes_per_second | byte/s | read from the data volume
    """,
)

INDEX = _table(
    "counter",
    """
    documents | document | index operations on primaries
    index_seconds | s | wall time of index threads on primaries
    refreshes | 1 | refreshes of primaries
    refresh_seconds | s | wall time of them
    merges | 1 | merges of primaries that ended
    merge_seconds | s | wall time of them
    merge_bytes | byte | bytes that they merged
    queries | 1 | queries answered by all copies
    scrolls | 1 | scrolls begun on all copies
    """,
) | _table(
    "gauge",
    """
    documents_held | document | documents in primaries
    documents_deleted | document | deleted and not merged away
    store_bytes | byte | primaries on disk; cached by the server for some ten seconds
    total_store_bytes | byte | all copies on disk
    segments | 1 | segments of primaries
    primaries | 1 | primary shards
    replicas | 1 | replica shards, all of the index
    """,
)

SPARK = _table(
    "counter",
    """
    gc_seconds | s | time in garbage collections, of the executor
    task_seconds | s | time in tasks, of the executor
    tasks_done | task | tasks completed
    cpu_seconds | s | CPU of the process that publishes it; Python workers are not in it
    pauses | 1 | garbage collections
    pause_seconds | s | time in them
    """,
) | _table(
    "gauge",
    """
    heap_used_bytes | byte | Java heap in use, of the executor
    heap_max_bytes | byte | Java heap, at most
    resident_bytes | byte | resident memory of the Java process
    python_resident_bytes | byte | resident memory of Python workers
    memory_limit_bytes | byte | unified memory: execution and storage
    cores | 1 | cores of the executor
    executors | 1 | executors that are active
    batch_seconds | s | duration of the last trigger that ended
    records_in_per_second | record/s | records that arrived between two triggers, a second
    records_done_per_second | record/s | records a second of batch time
    state_rows | 1 | rows of state
    state_bytes | byte | memory that state takes
    containers | 1 | YARN containers allocated
    memory_allocated_bytes | byte | YARN memory allocated
    """,
)

PRODUCER = _table(
    "counter",
    """
    records | record | records sent
    record_bytes | byte | of them, framing included
    requests | request | requests sent to brokers
    request_bytes | byte | bytes sent to brokers
    """,
) | _table(
    "gauge",
    """
    batch_bytes | byte | mean size of a batch
    batch_records | record | mean records of a batch
    round_trip_seconds | s | mean round trip of a request
    queue_seconds | s | mean wait before a batch is sent
    waiting_records | record | records in the producer's queue
    records_per_second | record/s | offered load, as a file of time and rate tells it
    """,
)

PROCESS = _table(
    "counter",
    """
    cpu_seconds | s | CPU of the process tree or container
    throttled_seconds | s | container held back by its CPU quota
    """,
) | _table(
    "gauge",
    """
    resident_bytes | byte | resident memory
    working_set_bytes | byte | memory that the kernel cannot drop, as Kubernetes counts it
    memory_limit_bytes | byte | memory limit of the container
    """,
)

MACHINE = _table(
    "counter",
    """
    busy_seconds | s | CPU in use, of all cores
    idle_seconds | s | CPU idle, of all cores
    wait_seconds | s | CPU idle while the disk was waited for
    steal_seconds | s | CPU that the hypervisor gave to others
    pressure_seconds | s | time in which some task waited for CPU
    disk_read_bytes | byte | read, by device
    disk_write_bytes | byte | written, by device
    network_in_bytes | byte | received, by device
    network_out_bytes | byte | sent, by device
    sampling_cpu_seconds | s | CPU that the sampling itself took
    """,
) | _table(
    "gauge",
    """
    load | 1 | load average of the last minute
    probe_seconds | s | CPU seconds of one fixed piece of work, by core
    memory_total_bytes | byte | memory
    memory_available_bytes | byte | of it available
    """,
)

QUANTITIES: dict[str, dict[str, Quantity]] = {
    "kafka": KAFKA,
    "search": SEARCH,
    "index": INDEX,
    "spark": SPARK,
    "producer": PRODUCER,
    "process": PROCESS,
    "machine": MACHINE,
}

# what a fit asks of a system that was seen: quantity, what else tells it, and where to get it
NEEDS: tuple[tuple[str, str, str], ...] = (
    ("kafka", "cpu_seconds", "process_cpu_seconds_total of the broker's jmx_exporter, or its container's CPU"),
    ("kafka", "bytes_in", "kafka_server_brokertopicmetrics_bytesin_total of jmx_exporter"),
    ("kafka", "bytes_out", "kafka_server_brokertopicmetrics_bytesout_total of jmx_exporter"),
    ("kafka", "records_in", "kafka_server_brokertopicmetrics_messagesin_total of jmx_exporter"),
    ("kafka", "produce_requests", "kafka_server_brokertopicmetrics_totalproducerequests_total of jmx_exporter"),
    ("kafka", "fetch_requests", "kafka_server_brokertopicmetrics_totalfetchrequests_total of jmx_exporter"),
    ("kafka", "log_bytes", "kafka_log_log_size of jmx_exporter, or kafka-log-dirs.sh --describe"),
    ("kafka", "heap_used_bytes", "jvm_memory_used_bytes of jmx_exporter"),
    ("search", "cpu_seconds", "process.cpu.total_in_millis of _nodes/stats"),
    ("search", "documents", "indices.indexing.index_total of _nodes/stats"),
    ("search", "bulks", "thread_pool.write.completed of _nodes/stats"),
    ("search", "refreshes", "indices.refresh.total of _nodes/stats"),
    ("search", "merge_bytes", "indices.merges.total_size_in_bytes of _nodes/stats"),
    ("search", "merge_seconds", "indices.merges.total_time_in_millis of _nodes/stats"),
    ("search", "pauses", "jvm.gc.collectors of _nodes/stats"),
    ("search", "heap_used_bytes", "jvm.mem.heap_used_in_bytes of _nodes/stats"),
    ("index", "store_bytes", "GET /<index>/_stats"),
    ("index", "replicas", "GET /_cat/shards?format=json&bytes=b"),
    ("spark", "batches", "StreamingQueryProgress, one JSON a line (a StreamingQueryListener), or the event log"),
    ("spark", "tasks", "the event log (spark.eventLog.enabled)"),
    ("process", "cpu_seconds", "CPU of process trees or containers (cAdvisor), Python workers included"),
    ("process", "resident_bytes", "resident bytes of process trees or containers (cAdvisor)"),
    ("visible", "latency", "the newest visible sequence or creation time of the index, polled (floodmark probe)"),
)
