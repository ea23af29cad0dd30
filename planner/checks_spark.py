"""Checks of queries, their checkpoints and sinks, and of executors."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.machines import machine
from models.spark import checkpoint_writes
from models.stack import Flow, Scenario
from models.units import GIB, show
from planner.findings import Finding
from planner.memory import memory, state_bytes, yarn_bytes
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
        if len(scenario.flows) == 1 and tasks < have:
            yield Finding(
                "idle-slots", "warning", f"flows[{k}].topic.partitions",
                f"{have - tasks} of {have} task slots never read",
                f"a batch has one read task a partition: {tasks}", f"min_partitions: {have}, or fewer executors",
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


def executor_fits(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    spark = scenario.spark
    ledger = next(entry for entry in memory(scenario, _) if entry.process == "executor")
    if spark.hosts:
        return
    box = machine(spark.machine)
    room = yarn_bytes(spark.machine) if spark.kind == "emr-ec2" else box.memory_bytes - GIB
    if ledger.reserved_bytes > room:
        yield Finding(
            "executor-too-large", "critical", "spark.heap", "no executor can start",
            f"a heap of {show(spark.heap, 'bytes')} reserves {show(ledger.reserved_bytes, 'bytes')}; {box.name} has "
            f"{show(room, 'bytes')} to give", "a smaller heap or a larger machine", "spark.md C1, C6",
        )  # fmt: skip
    elif spark.cores > box.vcpu:
        yield Finding(
            "executor-cores", "warning", "spark.cores", "more task slots than the machine has processors",
            f"{spark.cores} slots on {box.vcpu} vCPU of {box.name}", f"cores: {box.vcpu}", "spark.md C6",
        )  # fmt: skip
    elif ledger.reserved_bytes < 0.5 * room and spark.cores <= box.vcpu / 2:
        yield Finding(
            "executor-fits-twice", "info", "spark.machine", "half of each machine is paid for and not used",
            f"one executor of {spark.cores} slots and {show(ledger.reserved_bytes, 'bytes')} on {box.vcpu} vCPU and "
            f"{show(room, 'bytes')}", "a smaller machine, or an executor that fills it", "spark.md C6",
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
