"""Spark Structured Streaming as a loop of micro-batches.

A query fires every trigger, reads the offsets that have arrived since, runs one task a partition on
its cores, writes to the sink, and commits. A batch that outlasts its trigger starts the next at once:
lag then grows until load falls.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from models.hosts import Drive
from models.noun import Noun
from models.spark_laws import (
    FETCH_MAX_WAIT_SECONDS,
    POLLING_DELAY_SECONDS,
    RESERVED_MIB,
    checkpoint_writes,
    container_bytes,
    live_keys,
    next_start,
    next_trigger,
    read_wait_seconds,
    unified_memory,
    warming_work,
)
from models.spark_query import AS_FAST_AS_POSSIBLE, AVAILABLE_NOW, NEVER, Query, Retry, Sink, State
from models.units import GIB, MIB, Bytes, Ratio, Seconds, Whole, field, word

__all__ = [
    "AS_FAST_AS_POSSIBLE",
    "AVAILABLE_NOW",
    "FETCH_MAX_WAIT_SECONDS",
    "NEVER",
    "POLLING_DELAY_SECONDS",
    "RESERVED_MIB",
    "Query",
    "Restart",
    "Retry",
    "Scaling",
    "Sink",
    "SparkCluster",
    "State",
    "checkpoint_writes",
    "container_bytes",
    "live_keys",
    "next_start",
    "next_trigger",
    "read_wait_seconds",
    "unified_memory",
    "warming_work",
]

Java = Annotated[Literal["8", "11", "17", "21", "25"], BeforeValidator(word)]
Scala = Annotated[Literal["2.12", "2.13"], BeforeValidator(word)]


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
