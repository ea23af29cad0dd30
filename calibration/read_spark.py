"""Spark's own records: StreamingQueryProgress, event logs, executors of the REST API.

Progress comes from a listener, from `lastProgress`, from a driver's log or inside an event log; each
micro-batch is taken once. Old versions lack fields and state some as text: what is missing is said, not
made up. An event log's jobs say which batch of which query they ran, so its tasks know theirs, over
several rolled files too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from calibration.formats_kinds import Sample, epoch
from calibration.gather import Gathering, clean, dig, number
from calibration.observations import Batch, Task
from models.units import MILLISECOND

NANOSECOND = 1e-9
EVENT_LOG = "Spark event log"
SETTINGS = re.compile(
    r"^spark\.(?:executor\.(?:instances|cores|memory|memoryOverhead|memoryOverheadFactor|pyspark\.memory)"
    r"|driver\.(?:memory|cores)|memory\.(?:fraction|storageFraction|offHeap\.(?:enabled|size))|master|submit\.deployMode"
    r"|task\.cpus|cores\.max|default\.parallelism|sql\.shuffle\.partitions|sql\.adaptive\.enabled|speculation"
    r"|sql\.streaming\.[\w.]*|dynamicAllocation\.[\w.]*|locality\.wait[\w.]*|io\.compression\.codec|shuffle\.compress)$"
)
PEAKS = {
    "JVMHeapMemory": "heap_used_bytes",
    "ProcessTreeJVMRSSMemory": "resident_bytes",
    "ProcessTreePythonRSSMemory": "python_resident_bytes",
}


def progress(sample: Sample, into: Gathering) -> None:
    """One StreamingQueryProgress."""
    _progress(sample.body, "StreamingQueryProgress", into)


def _progress(body: Mapping[str, Any], format: str, into: Gathering) -> None:
    phases = {k: v * MILLISECOND for k, v in _numbers(body.get("durationMs")).items()}
    total = phases.pop("triggerExecution", None)
    told = {
        "timestamp": epoch(body.get("timestamp")),
        "batchId": number(body.get("batchId")),
        "durationMs.triggerExecution": _duration(body) if total is None else total,
        "numInputRows": _records(body),
    }
    missing = [name for name, value in told.items() if value is None]
    if missing:
        into.skip(f"progress that does not state {', '.join(missing)}")
        return
    trigger, number_, total, records = (float(value) for value in told.values() if value is not None)
    start, end = _offsets(body, into)
    if start is None and end and sum(end.values()) == records:
        start = dict.fromkeys(end, 0)  # a fresh topic read from its beginning: the counts leave no other start
    state = [_numbers(operator) for operator in body.get("stateOperators") or [] if isinstance(operator, Mapping)]
    run = clean(body.get("runId") or "")
    one = Batch(
        number=int(number_),
        trigger=trigger,
        seconds=total,
        phases=phases,
        records=int(records),
        start_offsets=start,
        end_offsets=end,
        run=run,
        state_rows=_total(state, "numRowsTotal"),
        state_bytes=_total(state, "memoryUsedBytes"),
    )
    into.batch(str(body.get("name") or ""), str(body.get("id") or ""), one)
    if format != EVENT_LOG:  # whose events are counted as they come
        into.file.saw(format, trigger)


def _duration(body: Mapping[str, Any]) -> float | None:
    """The batch's duration as 4.0 and later state it beside the phases [s]."""
    milliseconds = number(body.get("batchDuration"))
    return None if milliseconds is None else milliseconds * MILLISECOND


def _numbers(value: Any) -> dict[str, float]:
    found = {k: number(v) for k, v in value.items()} if isinstance(value, Mapping) else {}
    return {k: v for k, v in found.items() if v is not None}


def _total(parts: list[dict[str, float]], name: str) -> float | None:
    told = [part[name] for part in parts if name in part]
    return sum(told) if told and len(told) == len(parts) else None


def _records(body: Mapping[str, Any]) -> float | None:
    """The batch's records; the event log states them by source only."""
    told = number(body.get("numInputRows"))
    if told is not None:
        return told
    each = [number(source.get("numInputRows")) for source in body.get("sources") or [] if isinstance(source, Mapping)]
    values = [v for v in each if v is not None]
    return sum(values) if values and len(values) == len(each) else None


def _offsets(body: Mapping[str, Any], into: Gathering) -> tuple[dict[Any, int] | None, dict[Any, int]]:
    """Start and end offsets by partition, over all sources; start is None where any source does not state it."""
    starts: dict[tuple[str, str], int] | None = {}
    ends: dict[tuple[str, str], int] = {}
    for source in body.get("sources") or []:
        if not isinstance(source, Mapping):
            continue
        end = _partitions(source.get("endOffset"))
        if end is None:
            into.file.remark("offsets of a source that is not Kafka are not read")
            return None, {}
        ends |= end
        start = _partitions(source.get("startOffset"))
        starts = None if start is None or starts is None else starts | start
    topics = {topic for topic, _ in ends}

    def named(found: Mapping[tuple[str, str], int]) -> dict[Any, int]:
        return {int(p) if len(topics) == 1 else f"{topic}-{p}": n for (topic, p), n in found.items()}

    return (None if starts is None else named(starts)), named(ends)


def _partitions(value: Any) -> dict[tuple[str, str], int] | None:
    """{"topic": {"0": 12}}, as an object or as text, by topic and partition; None where it is anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return None
    if not isinstance(value, Mapping):
        return None
    found: dict[tuple[str, str], int] = {}
    for topic, partitions in value.items():
        if not isinstance(partitions, Mapping):
            return None
        for partition, offset in partitions.items():
            at = number(offset)
            if at is None or not str(partition).isdigit():
                return None
            found[clean(topic), str(partition)] = int(at)
    return found


# event logs ----------------------------------------------------------------------------------------


def event(sample: Sample, into: Gathering) -> None:
    """One event of a Spark event log."""
    body = sample.body
    name = str(body["Event"]).rpartition(".")[2].rpartition("$")[2]
    read = EVENTS.get(name)
    at = epoch(body.get("Timestamp")) or epoch(dig(body, ("Task Info", "Finish Time"))) or epoch(body.get("timestamp"))
    into.file.saw(EVENT_LOG, at)
    if read is not None:
        read(body, into)


def _jobs(into: Gathering) -> dict[int, tuple[int | None, str]]:
    """Which batch and query each stage works for, in this folder's application."""
    place = into.file.name.rpartition("/")[0]
    return into.memory.setdefault(("stages", place), {})


def _log_start(body: Mapping[str, Any], into: Gathering) -> None:
    _jobs(into).clear()
    if isinstance(body.get("Spark Version"), str):
        into.state("spark.version", body["Spark Version"], into.file.end)


def _application(body: Mapping[str, Any], into: Gathering) -> None:
    into.event(epoch(body.get("Timestamp")), "spark_application_started", name=clean(body.get("App Name") or ""))


def _environment(body: Mapping[str, Any], into: Gathering) -> None:
    properties = body.get("Spark Properties") or {}
    pairs = properties.items() if isinstance(properties, Mapping) else [p for p in properties if len(p) == 2]
    for key, value in pairs:
        if SETTINGS.match(str(key)) and len(str(value)) <= 200:
            into.state(str(key), str(value), into.file.end)


def _executor(body: Mapping[str, Any], into: Gathering) -> None:
    cores = number(dig(body, ("Executor Info", "Total Cores")))
    at = epoch(body.get("Timestamp"))
    if cores is not None:
        into.add("spark", str(body.get("Executor ID")), "cores", at, cores, format=EVENT_LOG)
    into.event(at, "executor_added", executor=clean(body.get("Executor ID") or ""), cores=cores)


def _executor_removed(body: Mapping[str, Any], into: Gathering) -> None:
    into.event(epoch(body.get("Timestamp")), "executor_removed", executor=clean(body.get("Executor ID") or ""))


def _job(body: Mapping[str, Any], into: Gathering) -> None:
    properties = body.get("Properties") or {}
    number_ = number(properties.get("streaming.sql.batchId"))
    whose = (None if number_ is None else int(number_), clean(properties.get("sql.streaming.queryId") or ""))
    stages = _jobs(into)
    for stage in (body.get("Stage IDs") or [])[:100_000]:
        if isinstance(stage, int):
            stages[stage] = whose


def _task(body: Mapping[str, Any], into: Gathering) -> None:
    info, metrics = body.get("Task Info") or {}, body.get("Task Metrics") or {}
    if dig(body, ("Task End Reason", "Reason")) != "Success":
        into.file.remark("tasks that failed or were killed are left out")
        return
    launch, finish, stage = epoch(info.get("Launch Time")), epoch(info.get("Finish Time")), number(body.get("Stage ID"))
    clocks = {name: number(metrics.get(name)) for name in CLOCKS}
    if launch is None or finish is None or stage is None or None in clocks.values():
        into.skip("tasks without launch, finish, run or CPU time")
        return
    told = {name: value for name, value in clocks.items() if value is not None}
    batch, query = _jobs(into).get(int(stage), (None, ""))
    one = Task(
        stage=int(stage),
        index=int(number(info.get("Index")) or 0),
        kind=str(body.get("Task Type") or ""),
        launch=launch,
        finish=finish,
        run_seconds=told["Executor Run Time"] * MILLISECOND,
        cpu_seconds=(told["Executor CPU Time"] + told["Executor Deserialize CPU Time"]) * NANOSECOND,
        deserialize_seconds=told["Executor Deserialize Time"] * MILLISECOND,
        gc_seconds=told["JVM GC Time"] * MILLISECOND,
        records=int(number(dig(metrics, ("Input Metrics", "Records Read"))) or 0),
        batch=batch,
        query=query,
        executor=clean(info.get("Executor ID") or ""),
    )
    into.task(one)
    for name, quantity in PEAKS.items():
        value = number(dig(body, ("Task Executor Metrics", name)))
        if value:
            into.add("spark", one.executor, quantity, finish, value, format=EVENT_LOG, rank=3)


CLOCKS = (
    "Executor Run Time",
    "Executor CPU Time",
    "Executor Deserialize CPU Time",
    "Executor Deserialize Time",
    "JVM GC Time",
)


def _query_progress(body: Mapping[str, Any], into: Gathering) -> None:
    told = body.get("progress")
    if isinstance(told, str):
        try:
            told = json.loads(told)
        except (ValueError, RecursionError):
            told = None
    if isinstance(told, Mapping):
        _progress(told, EVENT_LOG, into)


def _query_started(body: Mapping[str, Any], into: Gathering) -> None:
    into.event(
        epoch(body.get("timestamp")),
        "query_started",
        id=clean(body.get("id") or ""),
        run=clean(body.get("runId") or ""),
    )


def _query_ended(body: Mapping[str, Any], into: Gathering) -> None:
    into.event(None, "query_ended", failed=body.get("exception") is not None)


EVENTS = {
    "SparkListenerLogStart": _log_start,
    "SparkListenerApplicationStart": _application,
    "SparkListenerEnvironmentUpdate": _environment,
    "SparkListenerExecutorAdded": _executor,
    "SparkListenerExecutorRemoved": _executor_removed,
    "SparkListenerJobStart": _job,
    "SparkListenerTaskEnd": _task,
    "QueryProgressEvent": _query_progress,
    "QueryStartedEvent": _query_started,
    "QueryTerminatedEvent": _query_ended,
}


def executors(sample: Sample, into: Gathering) -> None:
    """The REST API's executors: cores, unified memory, peaks, and how many are active."""
    if sample.t is None:
        into.skip('answers of /executors without a time; wrap each as {"t": epoch seconds, "body": ...}')
        return
    active = [row for row in sample.body if isinstance(row, Mapping) and row.get("isActive", True)]
    into.add("spark", "application", "executors", sample.t, len(active), format="Spark REST")
    for row in active:
        name = str(row.get("id"))
        for field, quantity, unit in REST:
            value = number(dig(row, field))
            if value is not None:
                into.add("spark", name, quantity, sample.t, value * unit, format="Spark REST", rank=2)
    into.file.saw("Spark REST executors", sample.t)


REST: tuple[tuple[tuple[str, ...], str, float], ...] = (
    (("totalCores",), "cores", 1.0),
    (("maxMemory",), "memory_limit_bytes", 1.0),
    (("totalGCTime",), "gc_seconds", MILLISECOND),
    (("totalDuration",), "task_seconds", MILLISECOND),
    (("completedTasks",), "tasks_done", 1.0),
    (("peakMemoryMetrics", "JVMHeapMemory"), "heap_used_bytes", 1.0),
    (("peakMemoryMetrics", "ProcessTreeJVMRSSMemory"), "resident_bytes", 1.0),
    (("peakMemoryMetrics", "ProcessTreePythonRSSMemory"), "python_resident_bytes", 1.0),
)


def version(sample: Sample, into: Gathering) -> None:
    into.state("spark.version", sample.body["spark"], sample.t)
    into.file.saw("Spark version", sample.t)


def environment(sample: Sample, into: Gathering) -> None:
    """The REST API's environment; only the settings that the model knows are kept."""
    for pair in sample.body.get("sparkProperties") or []:
        if isinstance(pair, list) and len(pair) == 2 and SETTINGS.match(str(pair[0])) and len(str(pair[1])) <= 200:
            into.state(str(pair[0]), str(pair[1]), sample.t)
    into.file.saw("Spark REST environment", sample.t)


READERS = {
    "progress": progress,
    "eventlog": event,
    "spark_executors": executors,
    "spark_version": version,
    "spark_environment": environment,
}
