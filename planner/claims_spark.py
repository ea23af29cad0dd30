"""Claims about Spark."""

from __future__ import annotations

from collections.abc import Iterator

from models.spark import checkpoint_writes
from models.units import GB, show
from planner.claims import Claim, Judge, Known
from planner.memory import until_told
from planner.places import slots

SAID_SECONDS = (2.0, 5.0)
BEST_SECONDS = 0.1


def _least(k: Known, number: int) -> float:
    """A batch of no records: two checkpoint writes, the driver, the launch of its tasks [s]."""
    flow, c = k.scenario.flows[number], k.coefficients
    writes = checkpoint_writes(flow.query.file_manager, flow.query.checkpoint)
    commit = c[f"spark.{flow.query.checkpoint.replace('-', '')}_commit_seconds"] * writes
    tasks = max(flow.topic.partitions, flow.query.min_partitions or 0)
    seconds = 2 * commit + c["spark.batch_cpu_seconds"] + tasks * c["spark.launch_seconds"]
    if flow.query.state is not None:
        stage = flow.query.state.shuffle_partitions
        seconds += stage * (c["spark.state_task_cpu_seconds"] + commit) / min(stage, slots(k.scenario))
    return seconds


def two_to_five_seconds(k: Known) -> Iterator[Claim]:
    if k.screened is None:
        return
    low, high = SAID_SECONDS
    for number, flow in enumerate(k.scenario.flows):
        p50, p99 = float(k.screened.p50[0, number]), float(k.screened.p99[0, number])
        unsure = " (screened; too near its end for the percentiles to be trusted, so simulate it)"
        yield Claim(
            "2-5-seconds",
            f"flow {flow.name}",
            "the docs say sub-second; expect 2 to 5 seconds in reality",
            "true" if low <= p50 <= high else "false",
            f"half of your records are found within {show(p50, 's')}, 99 % within {show(p99, 's')}"
            + (unsure if bool(k.screened.simulate_me[0]) else " (screened)"),
            "Not a law: it is half the trigger, the batch, and half the refresh. Tuned stateless queries run at 60 "
            "to 500 ms, "
            "200 shuffle partitions or a checkpoint on S3 alone make 2 to 10 s.",
            "spark.md F, E1-E3",
        )


def best_case(k: Known) -> Iterator[Claim]:
    for number, flow in enumerate(k.scenario.flows):
        least = _least(k, number)
        yield Claim(
            "100-ms",
            f"flow {flow.name}",
            "micro-batches reach 100 ms at best",
            "true" if least > BEST_SECONDS else "it depends",
            f"an empty batch of yours takes {show(least, 's')}: checkpoint to {flow.query.checkpoint}, "
            f"{flow.topic.partitions} read tasks"
            + (f", {flow.query.state.shuffle_partitions} state stores" if flow.query.state else "")
            + f"; a document waits up to {show(flow.index.refresh_interval, 's')} for its refresh",
            "As documented. The lowest that was reproduced is 61 ms for an empty batch with fast commits.",
            "spark.md F, A5, E1",
        )


def continuous(k: Known) -> Iterator[Claim]:
    sinks = sorted({f.query.sink.kind for f in k.scenario.flows})
    yield Claim(
        "continuous-1-ms",
        "Spark",
        "continuous processing hits 1 ms if you sacrifice fault tolerance",
        "it depends",
        f"not for you: your sink ({', '.join(sinks)}) writes from batches, and continuous mode has none",
        "1 to 6 ms were measured. It keeps at-least-once, loses task retries and aggregation, and is still "
        "experimental; "
        "real-time mode (4.1+) takes its place and cannot use foreachBatch either.",
        "spark.md B3, F",
    )


def exactly_once(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        sink = flow.query.sink
        safe = sink.ids == "explicit" or sink.kind == "noop"
        load, tasks = flow.workload, max(flow.topic.partitions, flow.query.min_partitions or 0)
        each = load.events_per_second * load.documents_per_event * max(flow.query.trigger, 1.0) / tasks
        yield Claim(
            "exactly-once",
            f"flow {flow.name}",
            "micro-batching is recommended for its exactly-once guarantees",
            "true" if safe else "it depends",
            f"ids = {sink.ids}: a task that runs again writes its {show(each, 'count')} documents "
            + ("over" if safe else "twice"),
            "State is exactly once; a search sink is at least once, and only explicit ids make the repeat harmless. "
            "Since 2025 Databricks promotes real-time mode for low latency.",
            "spark.md B5, A6, F",
        )


def eight_is_twelve(k: Known) -> Iterator[Claim]:
    entry = k.ledgers["executor"]
    heap, reserved, resident = entry.heap_bytes, entry.reserved_bytes, entry.resident_bytes or 0.0
    manager = k.scenario.spark.manager
    yield Claim(
        "8g-is-12-gb",
        "Spark",
        "spark.executor.memory=8g uses 12 GB",
        "true" if reserved >= 1.395 * heap else "false",
        f"{show(heap, 'bytes')} of heap reserve {show(reserved, 'bytes')} ({reserved / GB:.2f} GB, "
        f"×{reserved / heap:.2f}) "
        f"under {manager} and climb to {show(resident, 'bytes')} resident"
        + (f"; likely killed {until_told(entry)}" if entry.holds_until is not None else ""),
        "Exact as a reservation of PySpark on Kubernetes (11,468 MiB = 12.03 GB); JVM jobs and YARN reserve 8.8 to "
        "9 GiB, and "
        "what is resident is heap + 0.25 GB.",
        "spark.md C2, C5",
    )


def ram_gobbler(k: Known) -> Iterator[Claim]:
    entry = k.ledgers["executor"]
    live = entry.live_heap_bytes or 0.0
    backed = all(f.query.state is None or f.query.state.provider == "hdfs-backed" for f in k.scenario.flows)
    yield Claim(
        "spark-eats-ram",
        "Spark",
        "Spark gobbles RAM",
        "true" if live > 0.5 * entry.heap_bytes else "it depends",
        f"{show(live, 'bytes')} of your {show(entry.heap_bytes, 'bytes')} heap are live, "
        f"{show(entry.state_bytes or 0.0, 'bytes')} of state {'on it' if backed else 'are held beside it'}",
        "A collector touches the whole heap whatever is live and gives none back. State in RocksDB lies outside it.",
        "spark.md C5, F",
    )


def checkpoints(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        query = flow.query
        bad = query.checkpoint in ("s3", "s3-express") and query.file_manager == "rename"
        yield Claim(
            "checkpoints-corrupt",
            f"flow {flow.name}",
            "checkpoints fail at random and corrupt your state",
            "it depends" if bad else "false",
            f"checkpoint = {query.checkpoint}, file_manager = {query.file_manager}: "
            + (
                "a rename there is a copy and a delete, and not atomic"
                if bad
                else "each file appears whole or not at all"
            ),
            "Causes have names: a rename that is not atomic, two queries on one checkpoint, a changed plan or "
            "number of "
            "shuffle partitions. 4.x adds checksums.",
            "spark.md A5, F",
        )
        yield Claim(
            "checkpoint-backup",
            f"flow {flow.name}",
            "always back the checkpoint up to multiple locations",
            "false",
            f"your checkpoint lies in {query.checkpoint}; the topic replays {show(flow.topic.retention, 's')} from "
            f"its offsets",
            "Copying a live checkpoint file by file gives an inconsistent one. Keep the offsets that are committed, "
            "and a "
            "rehearsed restart from them.",
            "spark.md F",
        )


def connector_breaks(k: Known) -> Iterator[Claim]:
    spark = k.scenario.spark
    found = [f for f in k.findings if f.code.startswith("version-connector")]
    uses = any(f.query.sink.kind == "jvm-connector" for f in k.scenario.flows)
    yield Claim(
        "connector-breaks",
        "versions",
        "the Kafka-Spark connector breaks every upgrade",
        "false",
        f"Spark {spark.version}: "
        + (
            "; ".join(f.message for f in found)
            if found
            else "your search connector fits"
            if uses
            else "no search connector is used"
        ),
        "The Kafka source is Spark's own and comes with each release. What breaks is the search connector: none was "
        "built "
        "for Spark 4 for about 14 months.",
        "spark.md B6, F",
    )


def hundred_times(k: Known) -> Iterator[Claim]:
    yield Claim(
        "100x",
        "Spark",
        '"100x faster than batch" is marketing',
        "true",
        f"nothing of yours is compared with batch; your trigger is "
        f"{show(max(f.query.trigger for f in k.scenario.flows), 's')}",
        "No such claim was found. The known 100x is Spark beside MapReduce, in memory, on one regression, of about "
        "2012 "
        "(remembered); of latency it says nothing.",
        "spark.md F",
    )


JUDGES: tuple[Judge, ...] = (
    two_to_five_seconds,
    best_case,
    continuous,
    exactly_once,
    eight_is_twelve,
    ram_gobbler,
    checkpoints,
    connector_breaks,
    hundred_times,
)
