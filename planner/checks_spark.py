"""Checks of queries, their checkpoints and sinks, and of executors."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.spark import checkpoint_writes
from models.stack import Flow, Scenario
from models.units import show
from planner.findings import Finding
from planner.memory import state_bytes
from planner.places import slots

STATE_TASK_SECONDS = 0.033  # slot time of one state task with a free commit, spark.md A4
EMR_SPARK = "3.5"  # emr-7.13.0, spark.md


def shuffle_partitions(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        state = flow.query.state
        if state is None or state.shuffle_partitions <= 2 * slots(scenario):
            continue
        commit = _commit_seconds(flow, coefficients)
        cost = state.shuffle_partitions / slots(scenario) * (STATE_TASK_SECONDS + commit)
        yield Finding(
            "shuffle-partitions", "warning", f"flows[{k}].query.state.shuffle_partitions",
            f"every batch opens and commits {state.shuffle_partitions} state stores, whatever arrived",
            f"{state.shuffle_partitions} / {slots(scenario)} slots × ({STATE_TASK_SECONDS:g} s + {commit:.2g} s a "
            f"commit to {flow.query.checkpoint}) ≈ {cost:.2g} s of each batch",
            f"shuffle_partitions: {slots(scenario)} to {2 * slots(scenario)}, on a new checkpoint, as the old one "
            "holds the number", "spark.md A4: 16-56 ms each",
        )  # fmt: skip


def _commit_seconds(flow: Flow, coefficients: CoefficientSet) -> float:
    name = flow.query.checkpoint.replace("-", "")
    writes = checkpoint_writes(flow.query.file_manager, flow.query.checkpoint)
    return coefficients[f"spark.{name}_commit_seconds"] * writes


def checkpoint_on_s3(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        query = flow.query
        if query.checkpoint not in ("s3", "s3-express") or query.file_manager != "rename":
            continue
        files = 2 + (query.state.shuffle_partitions if query.state else 0)
        writes = files * checkpoint_writes(query.file_manager, query.checkpoint)
        rate = f", {writes / query.trigger:.3g} a second" if query.trigger > 0 else ""
        yield Finding(
            "checkpoint-rename", "warning", f"flows[{k}].query.file_manager",
            "a checkpoint file on S3 is written by PUT + COPY + DELETE, which is slow, billed twice and not atomic",
            f"{files} files a batch are {writes:.0f} billed writes{rate}", "file_manager: abortable "
            "(AbortableStreamBasedCheckpointFileManager of spark-hadoop-cloud)", "spark.md A5",
        )  # fmt: skip


def uncapped_backlog(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        if flow.query.max_offsets_per_trigger is None:
            rate, outage = flow.workload.events_per_second, scenario.targets.outage
            yield Finding(
                "uncapped-backlog", "warning", f"flows[{k}].query.max_offsets_per_trigger",
                "the first batch after an outage takes the whole backlog",
                f"{show(outage, 's')} at {show(rate, '1/s')} is one batch of {show(rate * outage, 'count')} records, "
                "which is all lost work if it fails", "set it to a few triggers' worth of records",
                "spark.md A3, B4: it is the only limiter, there is no back-pressure",
            )  # fmt: skip


def refresh_per_write(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        if flow.query.sink.refresh_per_write and flow.query.sink.kind != "noop":
            tasks = max(flow.topic.partitions, flow.query.min_partitions or 0)
            often = f"{tasks / flow.query.trigger:.3g} a second" if flow.query.trigger > 0 else f"{tasks} a batch"
            yield Finding(
                "refresh-per-write", "warning", f"flows[{k}].query.sink.refresh_per_write",
                f"each task ends with a refresh of the index, beside the one every "
                f"{show(flow.index.refresh_interval, 's')}",
                f"{tasks} tasks a batch are {often}", "refresh_per_write: false (es.batch.write.refresh)",
                "spark.md A6: the connector's default defeats index.refresh_interval",
            )  # fmt: skip


def duplicates_on_retry(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        if flow.query.sink.ids == "automatic" and flow.query.sink.kind != "noop":
            yield Finding(
                "automatic-ids", "info", f"flows[{k}].query.sink.ids", "a task that is run again writes twice",
                "ids are given by the index, so a repeated bulk is new documents", "ids: explicit, from the event",
                "spark.md A6",
            )  # fmt: skip


def partitions_and_slots(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        tasks, have = max(flow.topic.partitions, flow.query.min_partitions or 0), slots(scenario)
        together = sum(max(f.topic.partitions, f.query.min_partitions or 0) for f in scenario.flows)
        if together < have:
            yield Finding(
                "idle-slots", "warning", f"flows[{k}].topic.partitions",
                f"{have - together} of {have} task slots never read: fewer partitions than cores",
                f"a batch has one read task a partition: {tasks}{'' if together == tasks else f', {together} in all'}",
                f"min_partitions: {have}, or fewer executors",
                "spark.md L7",
            )  # fmt: skip
        elif tasks % have and tasks < 4 * have and tasks > have:
            waves = -(-tasks // have)
            yield Finding(
                "ragged-waves", "info", f"flows[{k}].topic.partitions", "the last wave of tasks leaves slots idle",
                f"{tasks} tasks on {have} slots run in {waves} waves, the last with {tasks % have}",
                f"partitions or slots so that one divides the other, for example {waves * have} partitions",
                "spark.md L7",
            )  # fmt: skip


def state_on_heap(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    held = state_bytes(scenario)
    backed = any(f.query.state is not None and f.query.state.provider == "hdfs-backed" for f in scenario.flows)
    if backed and held > 0.5 * scenario.spark.heap:
        yield Finding(
            "state-heap", "critical" if held > 0.9 * scenario.spark.heap else "warning", "spark.heap",
            "state fills the executors' heap", f"{show(held, 'bytes')} of state in a heap of "
            f"{show(scenario.spark.heap, 'bytes')} each", "provider: rocksdb-changelog, more executors or fewer keys",
            "spark.md A4: the HDFS-backed store keeps two versions on the heap",
        )  # fmt: skip


def emr_releases(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    if scenario.spark.kind == "emr-ec2" and scenario.spark.version != EMR_SPARK:
        yield Finding(
            "emr-version", "warning", "spark.version", "no EMR release known here has this Spark",
            f"emr-7.13.0, the newest known, has Spark 3.5.6; this says {scenario.spark.version}",
            f"version: \"{EMR_SPARK}\", or kind: ec2", "spark.md (EMR release history, 2026-11-22)",
        )  # fmt: skip
