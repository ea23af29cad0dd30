"""Laws of Spark Structured Streaming: when a batch starts, what waits, what a cold JVM costs, what memory holds."""

from __future__ import annotations

import math

from models.spark_query import NEVER, State
from models.units import MIB

POLLING_DELAY_SECONDS = 0.01  # spark.sql.streaming.pollingDelay, spark.md B2
FETCH_MAX_WAIT_SECONDS = 0.5  # fetch.max.wait.ms, kafka.md B4
RESERVED_MIB = 300  # Spark's reserved memory, spark.md C1


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

    >>> round(container_bytes(8 * 1024 * MIB, None, False, "yarn") / MIB)
    9011
    >>> round(container_bytes(8 * 1024 * MIB, None, True, "kubernetes") / MIB)
    11469
    """
    factor = 0.4 if python and resource_manager == "kubernetes" else 0.1
    return heap + (overhead if overhead is not None else max(384 * MIB, factor * heap))


def unified_memory(heap: float) -> float:
    """Execution and storage memory inside the heap [bytes]. Source: spark.md C1: 0.6 (heap - 300 MiB).

    >>> round(unified_memory(8 * 1024 * MIB) / MIB)
    4735
    """
    return 0.6 * (heap - RESERVED_MIB * MIB)
