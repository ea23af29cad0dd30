"""Spark Structured Streaming as a loop of micro-batches.

A query fires every trigger, reads the offsets that have arrived since, runs one task a partition on
its cores, writes to the sink, and commits. A batch that outlasts its trigger starts the next at once:
lag then grows until load falls.
"""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from models.hosts import Drive
from models.noun import Noun
from models.units import GIB, MB, MIB, Bytes, Count, Fraction, Ratio, Seconds, Whole, field, parse_seconds, word

AS_FAST_AS_POSSIBLE = 0.0
AVAILABLE_NOW = -1.0
POLLING_DELAY_SECONDS = 0.01  # spark.sql.streaming.pollingDelay, spark.md B2
FETCH_MAX_WAIT_SECONDS = 0.5  # fetch.max.wait.ms, kafka.md B4
RESERVED_MIB = 300  # Spark's reserved memory, spark.md C1


def _trigger(value: Any) -> float:
    words = {"as fast as possible": AS_FAST_AS_POSSIBLE, "asap": AS_FAST_AS_POSSIBLE, "available now": AVAILABLE_NOW}
    if isinstance(value, str) and value.strip().lower().replace("-", " ") in words:
        return words[value.strip().lower().replace("-", " ")]
    if isinstance(value, int | float) and value in (AS_FAST_AS_POSSIBLE, AVAILABLE_NOW):
        return float(value)
    seconds = parse_seconds(value)
    if not 0.001 <= seconds <= 86400:
        raise ValueError("expected 1 ms to 1 day, 'as fast as possible' or 'available now'")
    return seconds


Trigger = Annotated[float, BeforeValidator(_trigger)]
NEVER = -1.0  # a watermark that never lets a key go


def _watermark(value: Any) -> float:
    if isinstance(value, str) and value.strip().lower() == "never":
        return NEVER
    if isinstance(value, int | float) and value == NEVER:
        return NEVER
    seconds = parse_seconds(value)
    if not 0 < seconds <= 366 * 86400:
        raise ValueError("expected more than 0 to 366 days, or 'never'")
    return seconds


Watermark = Annotated[float, BeforeValidator(_watermark)]
Java = Annotated[Literal["8", "11", "17", "21", "25"], BeforeValidator(word)]
Scala = Annotated[Literal["2.12", "2.13"], BeforeValidator(word)]


def _connector(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"(elasticsearch|opensearch)-hadoop \d+\.\d+", value.strip()):
        return value.strip()
    raise ValueError("expected a connector and its version: 'elasticsearch-hadoop 8.17' or 'opensearch-hadoop 2.0'")


Connector = Annotated[str, BeforeValidator(_connector)]


class Retry(Noun):
    """What a bulk client does with items answered 429 or 503."""

    attempts: Whole = field(
        3,
        unit="count",
        meaning="times the rejected items are sent again",
        foreign="es.batch.write.retry.count",
        ge=0,
        le=1000,
        source="spark.md A6",
    )
    wait: Seconds = field(
        10.0,
        unit="s",
        meaning="sleep before sending them again",
        foreign="es.batch.write.retry.wait",
        ge=0,
        le=3600,
        source="spark.md A6",
    )
    multiplier: Ratio = field(1.0, unit="1", meaning="growth of that sleep from try to try; 1 is fixed", ge=1, le=10)
    longest: Seconds = field(
        600.0,
        unit="s",
        meaning="where that growth ends",
        foreign="max_backoff",
        gt=0,
        le=3600,
        source="elasticsearch-py helpers.streaming_bulk: 600 s (remembered)",
    )


class Sink(Noun):
    """How documents reach the index. There is no default kind: its cost differs tenfold between them."""

    not_modelled: ClassVar[dict[str, str]] = {
        "es.nodes.wan.only": "bulks go to data nodes in turn; pinning to a primary's node is not modelled",
    }

    kind: Literal["jvm-connector", "jvm-foreach", "python-foreach", "noop"] = field(
        unit="", meaning="es-hadoop or opensearch-hadoop; a JVM or Python foreachBatch; or nothing written"
    )
    bulk_entries: Whole = field(
        1000,
        unit="count",
        meaning="documents of a bulk",
        foreign="es.batch.size.entries",
        ge=1,
        le=100_000,
        source="spark.md A6",
    )
    bulk_bytes: Bytes = field(
        1 * MB,
        unit="bytes",
        meaning="bytes of a bulk; whichever is reached first sends it",
        foreign="es.batch.size.bytes",
        gt=0,
        le=100 * MIB,
        source="spark.md A6",
    )
    writers_per_task: Whole = field(1, unit="count", meaning="bulks that one task keeps in flight", ge=1, le=64)
    retry: Retry = field(Retry(), unit="", meaning="what happens to rejected items")
    refresh_per_write: bool = field(
        False,
        unit="",
        meaning="the index is refreshed whenever a task closes",
        foreign="es.batch.write.refresh",
        by_version={"es-hadoop": "true", "opensearch-hadoop": "true"},
        source="spark.md A6",
    )
    ids: Literal["automatic", "explicit"] = field(
        "automatic",
        unit="",
        meaning="who gives a document its _id; explicit ones make a repeated write harmless",
        foreign="es.mapping.id",
    )
    cpu_ratio: Ratio = field(1.0, unit="1", meaning="this sink's CPU over the coefficient set's", gt=0, le=1000)
    connector: Connector | None = field(
        None,
        unit="",
        meaning="the connector and its version, such as 'elasticsearch-hadoop 8.17' or 'opensearch-hadoop 2.0'; "
        "none: not checked",
        source="spark.md B6",
    )


class State(Noun):
    """A stateful operator: a windowed aggregate, a deduplication."""

    shuffle_partitions: Whole = field(
        200,
        unit="count",
        meaning="partitions of the shuffle and of the state store",
        foreign="spark.sql.shuffle.partitions",
        ge=1,
        le=20_000,
        by_version={"3.5": "200", "4.1": "200"},
        source="spark.md B2; frozen into the checkpoint",
    )
    provider: Literal["hdfs-backed", "rocksdb", "rocksdb-changelog"] = field(
        "hdfs-backed",
        unit="",
        meaning="state store",
        foreign="spark.sql.streaming.stateStore.providerClass",
        by_version={"3.5": "hdfs-backed", "4.1": "hdfs-backed"},
        source="spark.md A4",
    )
    keys: Count = field(
        100_000.0,
        unit="count",
        meaning="live keys at the start; with a watermark_delay they follow from it",
        ge=0,
        le=1e12,
    )
    watermark_delay: Watermark | None = field(
        None,
        unit="s",
        meaning="how long a key is kept after its event: keys then follow the rate; 'never' keeps every key; "
        "none: keys stay as stated",
        foreign="withWatermark",
        ge=NEVER,
        source="spark.md A4: state rows = active keys × (window + delay)",
    )
    new_keys: Fraction = field(
        1.0, unit="1", meaning="share of the events that open a key of their own, with a watermark_delay", gt=0, le=1
    )
    bytes_per_key: Bytes = field(
        213.0, unit="bytes", meaning="state of one key", gt=0, source="spark.md A4: (long, long), two versions"
    )


class Query(Noun):
    """One streaming query from a topic to an index."""

    not_modelled: ClassVar[dict[str, str]] = {
        "continuous": "continuous processing is experimental in Spark and reports no progress (spark.md B3)",
        "real_time": "real-time mode cannot use foreachBatch, so no connector (spark.md B3)",
        "minOffsetsPerTrigger": "waiting for a minimum of offsets is not modelled",
    }

    trigger: Trigger = field(
        unit="s", meaning="processing-time trigger, 'as fast as possible' or 'available now'", foreign="processingTime"
    )
    max_offsets_per_trigger: Whole | None = field(
        None,
        unit="count",
        meaning="most records of one batch; none: the whole backlog",
        foreign="maxOffsetsPerTrigger",
        ge=1,
        source="spark.md B4",
    )
    min_partitions: Whole | None = field(
        None,
        unit="count",
        meaning="least number of read tasks; large partitions are split",
        foreign="minPartitions",
        ge=1,
        le=20_000,
        source="spark.md B4",
    )
    transform_cpu_ratio: Ratio = field(
        1.0, unit="1", meaning="CPU of reading, parsing and your logic over that of parsing alone", gt=0, le=1000
    )
    state: State | None = field(None, unit="", meaning="a stateful operator, if there is one")
    checkpoint: Literal["local", "hdfs", "s3", "s3-express"] = field(
        "s3", unit="", meaning="where offsets, commits and state go", foreign="checkpointLocation"
    )
    file_manager: Literal["rename", "abortable"] = field(
        "rename",
        unit="",
        meaning="how a checkpoint file is made atomic",
        foreign="spark.sql.streaming.checkpointFileManagerClass",
        source="spark.md A5: on S3 a rename is PUT + COPY + DELETE",
    )
    fail_on_data_loss: bool = field(
        True,
        unit="",
        meaning="offsets that the topic no longer has end the query; else they are skipped, and lost",
        foreign="failOnDataLoss",
        source="spark.md B4",
    )
    sink: Sink = field(unit="", meaning="how documents reach the index")


class Scaling(Noun):
    """Executors that come and go. A forecast's runs keep `executors`; `floodmark scale` walks the rules."""

    kind: Literal["dynamic-allocation", "managed"] = field(
        "dynamic-allocation",
        unit="",
        meaning="executors come and go on nodes that stay, or nodes come and go with them (EMR managed scaling)",
        foreign="spark.dynamicAllocation.enabled",
        by_version={"Spark": "off", "EMR since 4.4": "on"},
        source="spark.md B2",
    )
    least: Whole = field(
        1, unit="count", meaning="fewest executors", foreign="spark.dynamicAllocation.minExecutors", ge=1, le=2000
    )
    most: Whole = field(
        unit="count", meaning="most executors", foreign="spark.dynamicAllocation.maxExecutors", ge=1, le=2000
    )
    backlog_timeout: Seconds = field(
        1.0,
        unit="s",
        meaning="tasks have waited so long when the first executor is asked for",
        foreign="spark.dynamicAllocation.schedulerBacklogTimeout",
        gt=0,
        le=3600,
        source="spark.md B2: 1 s, then doubling",
    )
    sustained_timeout: Seconds | None = field(
        None,
        unit="s",
        meaning="wait from one request to the next, which is twice as large; none: backlog_timeout",
        foreign="spark.dynamicAllocation.sustainedSchedulerBacklogTimeout",
        gt=0,
        le=3600,
        source="spark.md B2",
    )
    idle_timeout: Seconds = field(
        60.0,
        unit="s",
        meaning="an executor without a task for so long is let go",
        foreign="spark.dynamicAllocation.executorIdleTimeout",
        gt=0,
        le=7 * 86400,
        source="spark.md B2",
    )
    start: Seconds = field(
        30.0,
        unit="s",
        meaning="from asking for an executor to its first task, on a node that is there",
        ge=0,
        le=3600,
        source="spark.md A8: a new container 10-60 s (remembered)",
    )
    node_start: Seconds = field(
        180.0,
        unit="s",
        meaning="managed: from asking for a node to having it",
        ge=0,
        le=7200,
        source="a guess: minutes, by experience; no published figure was found",
    )
    node_idle: Seconds = field(
        300.0,
        unit="s",
        meaning="managed: a node without an executor is kept, and paid, for so long",
        ge=0,
        le=86400,
        source="a guess: no published figure was found",
    )

    @model_validator(mode="after")
    def _ordered(self) -> Scaling:
        if self.least > self.most:
            raise ValueError(f"least = {self.least} exceeds most = {self.most} executors")
        return self


class Restart(Noun):
    """What happens when a query has died."""

    policy: Literal["none", "supervisor"] = field(
        "none", unit="", meaning="it stays dead, or something starts it again (YARN's attempts, an operator, systemd)"
    )
    wait: Seconds = field(10.0, unit="s", meaning="pause before the first new start", ge=0, le=3600)
    multiplier: Ratio = field(2.0, unit="1", meaning="growth of that pause from death to death", ge=1, le=10)
    longest: Seconds = field(300.0, unit="s", meaning="where that growth ends", ge=0, le=86400)
    start: Seconds = field(
        30.0,
        unit="s",
        meaning="from the start command to the first trigger: containers, JVMs, the checkpoint read",
        ge=0,
        le=3600,
        source="spark.md A8: 30-120 s with the restart (remembered)",
    )


class SparkCluster(Drive):
    """Driver and executors."""

    not_modelled: ClassVar[dict[str, str]] = {
        "dynamic_allocation": "say spark.scaling: {kind: dynamic-allocation, most: 8}",
        "speculation": "off in Spark by default; with a non-idempotent sink it duplicates writes",
    }

    kind: Literal["emr-ec2", "ec2"] = field("emr-ec2", unit="", meaning="who runs Spark")
    version: Literal["3.5", "4.0", "4.1"] = field("3.5", unit="", meaning="Spark version")
    executors: Whole = field(2, unit="count", meaning="executors", foreign="spark.executor.instances", ge=1, le=2000)
    cores: Whole = field(
        4, unit="count", meaning="task slots of an executor", foreign="spark.executor.cores", ge=1, le=128
    )
    heap: Bytes = field(
        8 * GIB, unit="bytes", meaning="executor heap", foreign="spark.executor.memory", gt=0, le=512 * GIB
    )
    memory_overhead: Bytes | None = field(
        None,
        unit="bytes",
        meaning="container memory beside the heap; none: Spark's own rule",
        foreign="spark.executor.memoryOverhead",
        gt=0,
        source="spark.md C1",
    )
    resource_manager: Literal["yarn", "kubernetes", "standalone"] | None = field(
        None,
        unit="",
        meaning="who reserves the executors' memory and kills what exceeds it; none: yarn on EMR, else standalone, "
        "which has no limit but the host",
        foreign="spark.master",
        source="spark.md C2, C4",
    )
    scaling: Scaling | None = field(None, unit="", meaning="executors that come and go, if they do")
    python_memory: Bytes | None = field(
        None,
        unit="bytes",
        meaning="container memory for Python workers beside the overhead; none: they live inside it",
        foreign="spark.executor.pyspark.memory",
        gt=0,
        le=512 * GIB,
        source="spark.md C1",
    )
    off_heap: Bytes = field(
        0.0,
        unit="bytes",
        meaning="execution and storage memory outside the heap; 0: not enabled",
        foreign="spark.memory.offHeap.size",
        ge=0,
        le=512 * GIB,
        source="spark.md C1",
    )
    driver_heap: Bytes = field(
        2 * GIB,
        unit="bytes",
        meaning="driver heap",
        foreign="spark.driver.memory",
        gt=0,
        le=512 * GIB,
        by_version={"3.5": "1 GiB", "4.1": "1 GiB"},
        source="spark.md C3: 2-4 GB suffice to ten thousand tasks a minute (remembered)",
    )
    java: Java | None = field(None, unit="", meaning="Java that Spark runs on; none: not checked", source="spark.md B6")
    scala: Scala | None = field(
        None,
        unit="",
        meaning="Scala that Spark and its connectors are built for; none: not checked",
        source="spark.md B6",
    )
    restart: Restart = field(Restart(), unit="", meaning="what happens when a query has died")
    machine: str = field("m7g.2xlarge", unit="", meaning="instance type of an executor's host")
    driver_machine: str = field("m7g.xlarge", unit="", meaning="instance type of the driver's host")

    @property
    def manager(self) -> str:
        """The resource manager in force: yarn, kubernetes or standalone."""
        return self.resource_manager or ("yarn" if self.kind == "emr-ec2" else "standalone")

    @model_validator(mode="after")
    def _heap_suffices(self) -> SparkCluster:
        if self.heap < 1.5 * RESERVED_MIB * MIB:
            raise ValueError(
                f"heap = {self.heap:.0f} bytes; expected {int(1.5 * RESERVED_MIB)} MiB or more "
                f"(Spark refuses less than 1.5 × its reserved {RESERVED_MIB} MiB)"
            )
        return self


def live_keys(state: State, events_per_second: float, seconds: float = math.inf) -> float:
    """Keys that a stateful operator holds, `seconds` after it started empty, at a steady rate of its input [count].

    With a watermark a key lives for the delay after its event; without one (`never`) it is kept for good; where the
    scenario states no delay the number is what it says. Source: spark.md A4.

    >>> live_keys(State(watermark_delay="10 min", new_keys=0.5), 1000.0)
    300000.0
    >>> live_keys(State(watermark_delay="never"), 10.0, 3600.0), live_keys(State(keys=5), 10.0)
    (136000.0, 5.0)
    """
    if state.watermark_delay is None:
        return state.keys
    opened = events_per_second * state.new_keys
    if state.watermark_delay == NEVER:
        return state.keys + (opened * seconds if math.isfinite(seconds) else 0.0)
    return opened * min(seconds, state.watermark_delay)


def next_trigger(ended: float, interval: float) -> float:
    """When the next micro-batch starts after one that ended [s].

    Ticks are multiples of the interval since the epoch; a tick passed meanwhile is not queued: the next
    batch starts at once. Source: spark.md A3 (and 172 of 175 real batches there).

    The caller passes the tick that the ended batch belonged to by way of `ended`: this gives the next
    multiple at or after it.

    >>> next_trigger(3.2, 2.0), next_trigger(4.0, 2.0), next_trigger(1.5, 0.0)
    (4.0, 4.0, 1.5)
    """
    if interval <= 0:
        return ended
    return math.ceil(ended / interval - 1e-9) * interval


def next_start(started: float, ended: float, interval: float) -> float:
    """When the next micro-batch starts, given when the last started and ended [s].

    A batch that overran its next tick is followed at once; otherwise the next tick is waited for.
    Source: spark.md A3 and L3; apache/spark#17525.

    >>> next_start(2.0, 3.1, 2.0), next_start(2.0, 4.5, 2.0), next_start(4.5, 5.2, 2.0)
    (4.0, 4.5, 6.0)
    """
    if interval <= 0:
        return ended
    tick = math.floor(started / interval + 1e-9) * interval + interval
    return tick if ended <= tick else ended


def read_wait_seconds(records_per_second: float) -> float:
    """Time that a read task waits for a fetch that is not CPU [s].

    The executor's consumer asks for a partition's offsets behind its own parked fetch: that returns with the next
    record (half the spacing away on average), or after fetch.max.wait.ms where none comes. Found in the laboratory's
    recordings (the batch after the load stops lasts 0.5 s longer a read task); the mechanism is inferred, not read.

    >>> read_wait_seconds(50.0), read_wait_seconds(0.0)
    (0.01, 0.5)
    """
    return min(FETCH_MAX_WAIT_SECONDS, 0.5 / records_per_second) if records_per_second > 0 else FETCH_MAX_WAIT_SECONDS


def warming_work(done: float, warm: float, amplitude: float, w0: float) -> float:
    """CPU that a JVM spends on work which would take `warm` once warm, after it has spent `done` [s].

    The warm-up law c(w) = c_inf (1 + A exp(-w/w0)) integrated over the work itself, so that one large batch after a
    restart warms the JVM while it runs: w0 ln((exp(done/w0) + A) exp(warm/w0) - A) - done.
    Source: the law is fitted in calibration (spark.warm_amplitude, spark.warm_work_seconds); the integral is algebra.

    >>> round(warming_work(0.0, 0.001, 11.0, 6.0), 4), round(warming_work(1e3, 5.0, 11.0, 6.0), 4)
    (0.012, 5.0)
    >>> round(warming_work(0.0, 100.0, 11.0, 6.0) - 100.0, 1)
    14.9
    """
    if done > 600 * w0:
        return warm
    if warm > 600 * w0:
        return warm + w0 * math.log(math.exp(done / w0) + amplitude) - done
    return w0 * (warm / w0 + math.log(math.exp(done / w0) + amplitude - amplitude * math.exp(-warm / w0))) - done


def checkpoint_writes(file_manager: str, store: str) -> float:
    """Paid object-store writes of one atomic checkpoint file [count].

    Source: spark.md A5: a rename on S3 is PUT + COPY + DELETE, at least two paid requests; elsewhere one.

    >>> checkpoint_writes("rename", "s3"), checkpoint_writes("abortable", "s3"), checkpoint_writes("rename", "local")
    (2.0, 1.0, 1.0)
    """
    return 2.0 if file_manager == "rename" and store in ("s3", "s3-express") else 1.0


def container_bytes(heap: float, overhead: float | None, python: bool, resource_manager: str) -> float:
    """Memory that an executor's container reserves [bytes].

    max(384 MiB, factor × heap) beside the heap; factor 0.10, 0.40 for non-JVM jobs on Kubernetes, and 0.1875 is
    EMR's own default (remembered). Source: spark.md C1, C2.

    >>> round(container_bytes(8 * GIB, None, False, "yarn") / MIB)
    9011
    >>> round(container_bytes(8 * GIB, None, True, "kubernetes") / MIB)
    11469
    """
    factor = 0.4 if python and resource_manager == "kubernetes" else 0.1
    return heap + (overhead if overhead is not None else max(384 * MIB, factor * heap))


def resident_bytes(heap: float, python_workers: int) -> float:
    """Resident memory that an executor climbs to under load [bytes].

    G1 touches the whole heap and gives none back; native memory adds about 0.25 GB; a Python worker takes
    60-100 MB before pandas (remembered). Source: spark.md C5, measured at 1 and 2 GiB heaps.

    >>> round(resident_bytes(1024 * MIB, 0) / MIB)
    1268
    """
    return heap + 244 * MIB + 80 * MB * python_workers


def unified_memory(heap: float) -> float:
    """Execution and storage memory inside the heap [bytes]. Source: spark.md C1: 0.6 (heap - 300 MiB).

    >>> round(unified_memory(8 * GIB) / MIB)
    4735
    """
    return 0.6 * (heap - RESERVED_MIB * MIB)
