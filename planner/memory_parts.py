"""Parts of a process's memory: each with its bytes, its formula and where that is from.

*Live* parts lie on the heap and fill it; *native* ones lie beside it; a *region* divides the heap and adds
nothing to it. `load` multiplies the rate: what follows the rate (state of a watermark, shuffles, bulks in
flight) grows with it, what is there once a process is there does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from models.coefficients import CoefficientSet
from models.elasticsearch import pressure_limit_bytes
from models.machines import machine
from models.memory import (
    HOT_SHARD_BUFFER,
    INDEX_BUFFER_SHARE,
    MEMORY_MAPS_PER_SEGMENT,
    MOST_MEMORY_MAPS,
    Collector,
    Size,
    collector_of,
    container_bytes,
    initial_heap_bytes,
    overhead_bytes,
    rocksdb_bytes,
    sizes,
    touched_heap_bytes,
)
from models.spark import RESERVED_MIB, live_keys, unified_memory
from models.stack import Flow, Scenario
from models.storage import index_life_seconds
from models.units import GIB, MIB, show
from planner.storage import kept_index, segments_per_broker, shards_per_node

Where = Literal["region", "heap", "native", "container", "page cache"]
CLEANER_BYTES = 128 * MIB  # log.cleaner.dedupe.buffer.size, kafka.md B2: on the heap, for the offsets topic at least
REPLICA_RESPONSE_BYTES = 10 * MIB  # replica.fetch.response.max.bytes, kafka.md B2
PARTITION_FETCH_BYTES = 1 * MIB  # max.partition.fetch.bytes, kafka.md B4
CACHED_CONSUMERS = 64  # spark.kafka.consumer.cache.capacity, spark.md B4
VERSIONS_PER_SNAPSHOT = 10  # minDeltasForSnapshot, spark.md B2


@dataclass(frozen=True)
class Entry:
    """One line of a ledger: `where` it lies, how many bytes, by which formula, from where known and how surely."""

    name: str
    where: Where
    bytes: float
    formula: str
    source: str
    grade: str = "published"


@dataclass(frozen=True)
class Parts:
    """What one process is made of [bytes]: `certain` is resident for sure, `native` is not known exactly."""

    entries: tuple[Entry, ...]
    certain: float
    native: tuple[Size, ...]
    live_certain: float
    live: tuple[Size, ...]
    heap: float
    initial: float = 0.0
    container_bytes: float = 0.0
    pretouched: bool = False
    collector: Collector = "G1"
    touched_at_most: float | None = None  # of the heap, where it is known not to fill

    @property
    def live_bytes(self) -> float:
        return self.live_certain + sum(p.value for p in self.live)

    def climbs_to(self) -> float:
        """Resident memory under load, after long: the whole heap is touched [bytes]."""
        return self.certain + sum(p.value for p in self.native)

    @property
    def least_bytes(self) -> float:
        """Resident memory after minutes of light work [bytes]."""
        most = self.heap if self.touched_at_most is None else self.touched_at_most
        touched = most
        if not self.pretouched:
            touched = min(most, touched_heap_bytes(self.live_bytes, self.heap, self.initial, self.collector))
        return self.climbs_to() - most + touched

    @property
    def heap_touched_bytes(self) -> float:
        """Heap that is touched after minutes of light work [bytes]."""
        return self.least_bytes - (self.climbs_to() - (self.touched_at_most or self.heap))

    @property
    def touched_entry(self) -> Entry:
        """The line that says what of the heap is resident soon, and why no more."""
        if self.pretouched:
            told = "all of it: -XX:+AlwaysPreTouch"
        elif self.initial:
            told = f"{self.collector} starts with {show(self.initial, 'bytes')}, grows until 40 % are free"
        else:
            told = "what lives, 40 % free beside it; the host's memory is not known"
        return Entry("heap touched soon", "region", self.heap_touched_bytes, told, "spark.md C5; HotSpot", "remembered")

    def as_heap(self) -> Parts:
        """The same seen from inside the heap: what is live against the breaker."""
        return Parts(self.entries, self.live_certain, self.live, self.live_certain, self.live, self.heap)


def _entry(size: Size, name: str, where: Where, formula: str) -> Entry:
    return Entry(name, where, size.value, formula, size.source, size.grade)


def is_python(scenario: Scenario) -> bool:
    """Whether tasks hand rows to Python workers."""
    return any(flow.query.sink.kind == "python-foreach" for flow in scenario.flows)


# ---------------------------------------------------------------- Spark


def rate_of_state(flow: Flow, load: float) -> float:
    """Events a second that reach the stateful operator [1/s]."""
    return flow.workload.events_per_second * flow.workload.kept * load


def state_bytes(scenario: Scenario, load: float = 1.0) -> float:
    """State that one executor holds [bytes]: on its heap under the HDFS-backed store, beside it under RocksDB.

    Source: spark.md A4; the bytes of a key are those of two versions. Keys follow the load.
    """
    return sum(_state(flow, load) for flow in scenario.flows) / scenario.spark.executors


def _state(flow: Flow, load: float) -> float:
    state = flow.query.state
    if state is None:
        return 0.0
    keys = live_keys(state, rate_of_state(flow, load))
    return keys * (load if state.watermark_delay is None else 1.0) * state.bytes_per_key  # as many keys an event


def _states(scenario: Scenario, load: float, backed: bool) -> float:
    """Of one executor, of the flows whose store is on the heap (`backed`) or not [bytes]."""
    found = [f for f in scenario.flows if f.query.state and (f.query.state.provider == "hdfs-backed") == backed]
    return sum(_state(f, load) for f in found) / scenario.spark.executors


def executor_parts(scenario: Scenario, load: float) -> Parts:
    """One executor. Source: spark.md C."""
    spark, table, slots = scenario.spark, sizes(), scenario.spark.cores
    heap, python = spark.heap, is_python(scenario)
    on_heap = _states(scenario, load, backed=True)
    fetch, fetch_told = _consumer_bytes(scenario)
    bulks = max((_bulk_buffers(flow) for flow in scenario.flows), default=0.0) * slots
    entries = [
        Entry("reserved", "region", RESERVED_MIB * MIB, "300 MiB of the heap", "spark.md C1"),
        Entry("execution and storage", "region", unified_memory(heap), "0.6 × (heap - 300 MiB)", "spark.md C1"),
        Entry("  of it storage that is not evicted", "region", 0.5 * unified_memory(heap), "0.5 of it", "spark.md C1"),
        Entry(
            "user memory",
            "region",
            0.4 * (heap - RESERVED_MIB * MIB),
            "0.4 × (heap - 300 MiB): state maps, buffers, your objects",
            "spark.md C1",
        ),
        _entry(table["executor.live"], "Spark's own objects", "heap", "measured"),
        Entry("fetched records", "heap", fetch, fetch_told, "kafka.md B4, spark.md C1: on the heap"),
        Entry("bulk buffers", "heap", bulks, f"{slots} tasks × writers × bulk_bytes", "spark.md A6"),
    ]
    if on_heap > 0:
        entries.append(
            Entry(
                "state, HDFS-backed", "heap", on_heap, "keys × bytes_per_key / executors, two versions", "spark.md A4"
            )
        )
    native = [table["executor.native"], table["netty.arenas"]]
    told = ["metaspace, code, threads, collector", "Netty's arenas"]
    for size, formula in (*_shuffle(scenario, load), *_rocksdb(scenario, load)):
        native.append(size)
        told.append(formula)
    if python:
        native += [table["python.worker"].times(slots), table["python.daemon"]]
        told += [f"Python workers: {slots} tasks × {show(table['python.worker'].value, 'bytes')}", "Python daemon"]
    entries += [_entry(s, formula.split(":")[0], "native", formula) for s, formula in zip(native, told, strict=True)]
    if spark.off_heap:
        entries.append(Entry("off-heap memory", "native", spark.off_heap, "spark.memory.offHeap.size", "spark.md C1"))
    reserved, lines = _container(scenario, heap, python)
    initial, collector = _started(scenario, heap, reserved)
    return Parts(
        (*entries, *lines),
        heap + spark.off_heap,
        tuple(native),
        on_heap + fetch + bulks,
        (table["executor.live"],),
        heap,
        initial,
        container_bytes=reserved,
        collector=collector,
    )


def _started(scenario: Scenario, heap: float, container: float, driver: bool = False) -> tuple[float, Collector]:
    """What a JVM of Spark commits of its heap at first, and its collector: by the memory and processors that it sees.

    Spark sets -Xmx only. On Kubernetes a JVM sees its container's memory, under YARN the host's (no cgroups by
    default, remembered). Nothing is committed at first that is known of where the host's memory is not.
    """
    memory, processors = _seen(scenario, driver)
    if scenario.spark.manager == "kubernetes":
        memory = container
    if memory is None:
        return 0.0, "G1"
    return initial_heap_bytes(heap, memory), collector_of(processors, memory)


def _seen(scenario: Scenario, driver: bool) -> tuple[float | None, float]:
    """Memory [bytes] and processors of the host of an executor or of the driver."""
    spark = scenario.spark
    if not spark.hosts:
        box = machine(spark.driver_machine if driver else spark.machine)
        return box.memory_bytes, box.vcpu
    host = next(h for h in scenario.hosts if h.name == spark.hosts[0])
    if host.machine is not None:
        box = machine(host.machine)
        return box.memory_bytes, box.vcpu
    return host.memory, host.cores or 1.0


def _container(scenario: Scenario, heap: float, python: bool) -> tuple[float, list[Entry]]:
    """What the resource manager reserves for an executor, and its lines."""
    spark = scenario.spark
    overhead = overhead_bytes(heap, spark.memory_overhead, python, spark.manager)
    own = spark.python_memory or 0.0
    factor = 0.4 if python and spark.manager == "kubernetes" else 0.1
    rule = (
        "as set"
        if spark.memory_overhead
        else f"max(384 MiB, {factor:g} × heap): {spark.manager}, " + ("Python" if python else "JVM only")
    )
    asked = heap + overhead + own + spark.off_heap
    reserved = container_bytes(asked, spark.manager, spark.kind == "emr-ec2")
    lines = [Entry("memory overhead", "container", overhead, rule, "spark.md C1, C2")]
    if own:
        lines.append(Entry("Python's own share", "container", own, "spark.executor.pyspark.memory", "spark.md C1"))
    told = "heap + overhead" + (" + Python" if own else "") + (" + off-heap" if spark.off_heap else "")
    told += ", rounded up by YARN" if spark.manager == "yarn" else ""
    lines.append(Entry("container", "container", reserved, told, "spark.md C2"))
    return reserved, lines


def _consumer_bytes(scenario: Scenario) -> tuple[float, str]:
    """Records that the cached consumers of one executor hold fetched [bytes]."""
    partitions = sum(flow.topic.partitions for flow in scenario.flows)
    cached = min(CACHED_CONSUMERS, -(-partitions // scenario.spark.executors))
    return cached * PARTITION_FETCH_BYTES, f"{cached} cached consumers × max.partition.fetch.bytes 1 MiB, at most"


def _bulk_buffers(flow: Flow) -> float:
    sink = flow.query.sink
    return 0.0 if sink.kind == "noop" else sink.bulk_bytes * sink.writers_per_task


def _shuffle(scenario: Scenario, load: float) -> list[tuple[Size, str]]:
    """Shuffle fetches in flight of one executor: none without a stateful operator."""
    table, slots = sizes(), scenario.spark.cores
    found = []
    for flow in scenario.flows:
        state = flow.query.state
        if state is None:
            continue
        batch = rate_of_state(flow, load) * max(flow.query.trigger, 1.0) * flow.workload.value_bytes
        one = min(table["netty.fetch"].value, batch / state.shuffle_partitions)
        size = table["netty.fetch"]
        share = one * slots / size.value
        found.append(
            (
                size.times(share),
                f"Netty, shuffle of {flow.name}: {slots} tasks × min(48 MiB, "
                f"{show(batch / state.shuffle_partitions, 'bytes')})",
            )
        )
    return found


def _rocksdb(scenario: Scenario, load: float) -> list[tuple[Size, str]]:
    """RocksDB's native memory on one executor."""
    found, table = [], sizes()
    for flow in scenario.flows:
        state = flow.query.state
        if state is None or state.provider == "hdfs-backed":
            continue
        stores = state.shuffle_partitions / scenario.spark.executors
        held = _state(flow, load) / 2 / scenario.spark.executors  # one version; the bytes of a key are of two
        updated = rate_of_state(flow, load) * max(flow.query.trigger, 1.0) / scenario.spark.executors
        batches = VERSIONS_PER_SNAPSHOT if state.provider == "rocksdb-changelog" else 1  # flushed with each snapshot
        written = updated * batches * state.bytes_per_key / 2
        cache, tables = rocksdb_bytes(stores, held, written)
        found.append(
            (
                table["rocksdb.cache"].times(cache / table["rocksdb.cache"].value),
                f"RocksDB caches: {stores:.3g} stores × min(8 MiB, its data)",
            )
        )
        found.append(
            (
                table["rocksdb.memtable"].times(tables / table["rocksdb.memtable"].value),
                f"RocksDB memtables: {stores:.3g} stores × min(64 MiB, written in {batches} batches)",
            )
        )
    return found


def driver_parts(scenario: Scenario, load: float) -> Parts:
    """The driver: what it holds follows batches and tasks, not records.

    Its heap never filled at 2 GiB (spark.md C5: peak 833-974 MiB of it), so it climbs to what a busy one touched.
    """
    spark, table = scenario.spark, sizes()
    python = is_python(scenario)
    overhead = overhead_bytes(spark.driver_heap, None, python, spark.manager)
    native = [table["driver.native"]] + ([table["python.worker"]] if python else [])
    entries = [
        _entry(table["driver.live"], "plans, listeners, UI", "heap", "measured"),
        _entry(table["driver.native"], "metaspace, code, threads, collector", "native", "measured"),
        *([_entry(table["python.worker"], "Python driver", "native", "one process")] if python else []),
        Entry("memory overhead", "container", overhead, "the executors' rule", "spark.md C3"),
    ]
    reserved = container_bytes(spark.driver_heap + overhead, spark.manager, spark.kind == "emr-ec2")
    entries.append(Entry("container", "container", reserved, "heap + overhead", "spark.md C3"))
    touched = min(spark.driver_heap, table["driver.touched"].value)
    initial, collector = _started(scenario, spark.driver_heap, reserved, driver=True)
    return Parts(
        tuple(entries), touched, tuple(native), 0.0, (table["driver.live"],), spark.driver_heap, initial,
        container_bytes=reserved, collector=collector, touched_at_most=touched,
    )  # fmt: skip


# ---------------------------------------------------------------- Kafka


def broker_parts(scenario: Scenario, load: float) -> Parts:
    """One broker, the fullest. Source: kafka.md A7, B2."""
    kafka, table = scenario.kafka, sizes()
    held = sum(f.topic.partitions * f.topic.copies for f in scenario.flows) / kafka.brokers
    fetchers = kafka.fetchers
    replicas = fetchers * (kafka.brokers - 1) * REPLICA_RESPONSE_BYTES
    if all(flow.topic.copies == 1 for flow in scenario.flows):
        replicas = 0.0
    maps = segments_per_broker(scenario) * MEMORY_MAPS_PER_SEGMENT
    entries = (
        _entry(table["broker.live"], "Kafka's own objects", "heap", "measured"),
        _entry(table["broker.partition"].times(held), "partitions", "heap", f"{held:.0f} partition copies × 30 KiB"),
        Entry("log cleaner", "heap", CLEANER_BYTES, "log.cleaner.dedupe.buffer.size", "kafka.md B2"),
        Entry(
            "replica fetches",
            "heap",
            replicas,
            f"{fetchers} fetchers × {kafka.brokers - 1} brokers × 10 MiB, at most",
            "kafka.md B2",
        ),
        _entry(
            table["broker.native"],
            "metaspace, code, threads, collector",
            "native",
            f"measured; beside it {maps:,.0f} memory maps of {MOST_MEMORY_MAPS:,} (indexes: page cache)",
        ),
    )
    return Parts(
        entries,
        kafka.heap,
        (table["broker.native"],),
        CLEANER_BYTES + replicas,
        (table["broker.live"], table["broker.partition"].times(held)),
        kafka.heap,
        kafka.heap,  # KAFKA_HEAP_OPTS sets -Xms as -Xmx, and kafka-run-class.sh takes G1 (remembered)
    )


# ---------------------------------------------------------------- Elasticsearch, OpenSearch


def node_parts(scenario: Scenario, coefficients: CoefficientSet, heap: float, load: float) -> Parts:
    """One data node, the fullest. Source: elasticsearch.md A12, B1-B3."""
    table, cluster = sizes(), scenario.elasticsearch
    shards = shards_per_node(scenario)
    writing = min(heap * INDEX_BUFFER_SHARE, _writing_shards(scenario) * HOT_SHARD_BUFFER)
    flight = min(pressure_limit_bytes(heap), _in_flight(scenario) * load)
    live: list[Size] = [table["node.live"], table["node.shard"].times(shards)]
    told = ["the node itself", f"shards: {shards:.0f} shard copies × 0.5 MiB"]
    if _segments_on_heap(scenario):
        gib = _index_bytes(scenario, coefficients) / cluster.data_nodes / GIB
        live.append(table["node.segment_per_gib_old"].times(gib))
        told.append(f"segments: {gib:.0f} GiB × 5.5 MiB")
    entries = [_entry(s, f.split(":")[0], "heap", f) for s, f in zip(live, told, strict=True)]
    if not _segments_on_heap(scenario):
        size = table["node.segment_per_gib"]
        entries.append(Entry("segments", "heap", 0.0, "0: outside the heap, in page cache", size.source, size.grade))
    entries += [
        Entry(
            "indexing buffer",
            "heap",
            writing,
            f"min(10 % of heap, {_writing_shards(scenario):.2g} busy shards × 512 MiB)",
            "elasticsearch.md B2",
        ),
        Entry(
            "bulks in flight",
            "heap",
            flight,
            f"open bulks × their bytes × copies / nodes, at load {load:g}; "
            f"429 from {show(pressure_limit_bytes(heap), 'bytes')} (10 % of heap)",
            "elasticsearch.md B1",
        ),
        _entry(table["node.native"], "metaspace, code, threads, collector", "native", "measured"),
    ]
    return Parts(tuple(entries), heap, (table["node.native"],), writing + flight, tuple(live), heap, pretouched=True)


def _segments_on_heap(scenario: Scenario) -> bool:
    """Terms indexes lay on the heap before Elasticsearch 7.7 (remembered)."""
    cluster = scenario.elasticsearch
    major, minor = (int(part) for part in cluster.version.split("."))
    return cluster.kind == "self-managed-elasticsearch" and (major, minor) < (7, 7)


def _index_bytes(scenario: Scenario, coefficients: CoefficientSet) -> float:
    """All copies of all indices at full retention [bytes]."""
    nodes, found = scenario.elasticsearch.data_nodes, 0.0
    for flow in scenario.flows:
        life = index_life_seconds(flow.index.retention, flow.index.rollover)
        found += kept_index(flow, coefficients, life) * min(flow.index.copies, nodes)
    return found


def _writing_shards(scenario: Scenario) -> float:
    """Shard copies that are written now, on one node [count]."""
    written = [f for f in scenario.flows if f.query.sink.kind != "noop"]
    nodes = scenario.elasticsearch.data_nodes
    return sum(f.index.primaries * min(f.index.copies, nodes) for f in written) / nodes


def _in_flight(scenario: Scenario) -> float:
    """Bytes of open bulks on one node with every task of the executors writing [bytes]."""
    slots, found = scenario.spark.executors * scenario.spark.cores, 0.0
    for flow in scenario.flows:
        sink, load = flow.query.sink, flow.workload
        if sink.kind == "noop":
            continue
        tasks = min(slots, max(flow.topic.partitions, flow.query.min_partitions or 0))
        one = min(sink.bulk_bytes, sink.bulk_entries * load.json_bytes)
        again = min(flow.index.copies, scenario.elasticsearch.data_nodes)
        found += tasks * sink.writers_per_task * one * again
    return found / scenario.elasticsearch.data_nodes


def total(entries: Sequence[Entry], where: Where) -> float:
    """Bytes of the entries of one place."""
    return sum(entry.bytes for entry in entries if entry.where == where)
