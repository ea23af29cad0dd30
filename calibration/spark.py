"""Spark's own records: StreamingQueryProgress and the event log.

Progress gives one object a batch: the trigger's time, six phases of the driver in milliseconds, and
offsets by topic and partition, which the listener writes as objects and the event log as JSON in a
string. The event log gives launch and finish of each task, to the millisecond. Its Executor CPU Time
is the JVM thread's alone: a Python worker's CPU is nowhere in it, so CPU comes from process trees.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from calibration.observations import Batch, ObservationError, Task, json_lines
from models.units import MILLISECOND

NANOSECOND = 1e-9
PROGRESS_EVENT = "org.apache.spark.sql.streaming.StreamingQueryListener$QueryProgressEvent"
COMMITS = ("walCommit", "commitOffsets")


def epoch_seconds(text: str) -> float:
    """Spark's ISO time as seconds since 1970.

    >>> epoch_seconds("2026-11-23T07:13:22.073Z")
    1795418002.073
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def offsets(value: Any) -> dict[int, int] | None:
    """Offsets by partition, summed over topics' names (a partition number may not be in two topics).

    >>> offsets('{"events":{"0":27,"1":28}}')
    {0: 27, 1: 28}
    """
    if value is None:
        return None
    topics = json.loads(value) if isinstance(value, str) else value
    found: dict[int, int] = {}
    for partitions in topics.values():
        for partition, offset in partitions.items():
            if int(partition) in found:
                raise ObservationError("a query over several topics: offsets by partition cannot be told apart")
            found[int(partition)] = int(offset)
    return found


def batch(progress: dict[str, Any]) -> Batch:
    """One progress object as a Batch."""
    sources = progress.get("sources", [])
    if len(sources) != 1:
        raise ObservationError(f"batch {progress.get('batchId')}: {len(sources)} sources; this reader takes one")
    source = sources[0]
    phases = {name: ms * MILLISECOND for name, ms in progress["durationMs"].items()}
    total = phases.pop("triggerExecution")
    start, end = offsets(source["startOffset"]), offsets(source["endOffset"]) or {}
    records = int(progress.get("numInputRows", source["numInputRows"]))  # the event log states it by source only
    if start is None and sum(end.values()) == records:
        start = dict.fromkeys(end, 0)  # a fresh topic read from its beginning: the counts leave no other start
    return Batch(int(progress["batchId"]), epoch_seconds(progress["timestamp"]), total, phases, records, start, end)


def read_progress(path: Path) -> list[Batch]:
    """Batches of a file of StreamingQueryProgress lines, in order of trigger, each once."""
    found = {b.number: b for b in (batch(line) for line in json_lines(path))}
    if not found:
        raise ObservationError(f"{path.name}: no StreamingQueryProgress in it")
    return sorted(found.values(), key=lambda b: b.trigger)


def task(event: dict[str, Any]) -> Task:
    """One SparkListenerTaskEnd as a Task."""
    info, metrics = event["Task Info"], event["Task Metrics"]
    return Task(
        stage=event["Stage ID"],
        index=info["Index"],
        kind=event["Task Type"],
        launch=info["Launch Time"] * MILLISECOND,
        finish=info["Finish Time"] * MILLISECOND,
        run_seconds=metrics["Executor Run Time"] * MILLISECOND,
        cpu_seconds=(metrics["Executor CPU Time"] + metrics["Executor Deserialize CPU Time"]) * NANOSECOND,
        deserialize_seconds=metrics["Executor Deserialize Time"] * MILLISECOND,
        gc_seconds=metrics["JVM GC Time"] * MILLISECOND,
        records=metrics["Input Metrics"]["Records Read"],
    )


def read_event_log(path: Path) -> list[Task]:
    """The tasks that succeeded, in order of launch."""
    ends = (event for event in json_lines(path) if event.get("Event") == "SparkListenerTaskEnd")
    done = (event for event in ends if event["Task End Reason"]["Reason"] == "Success")
    return sorted((task(event) for event in done), key=lambda t: t.launch)


def tasks_of(batches: Iterable[Batch], tasks: Iterable[Task]) -> dict[int, list[Task]]:
    """Tasks by batch number: those launched between a batch's trigger and its end.

    Batches of one query never overlap, so the time alone tells; two queries in one application would not do.
    """
    ordered, found = list(tasks), {}
    for one in batches:
        found[one.number] = [t for t in ordered if one.trigger <= t.launch <= one.end]
    return found


def driver_seconds(one: Batch, tasks: list[Task], slots: int = 1) -> float:
    """What a batch spent before, between and after its stages, its two checkpoint writes left out [s].

    >>> from calibration.observations import Batch, Task
    >>> slot = lambda a, b: Task(0, 0, "", a, b, 0, 0, 0, 0, 1)
    >>> driver_seconds(Batch(0, 0.0, 5.0, {"walCommit": 1.0}, 1, None, {}), [slot(1.0, 2.0), slot(2.5, 3.0)])
    2.0
    """
    commits = sum(one.phases.get(name, 0.0) for name in COMMITS)
    return one.seconds - commits - (stage_seconds(tasks) if slots == 1 else busy_seconds(tasks))


def stage_seconds(tasks: list[Task]) -> float:
    """Time from the first launch to the last finish of each stage [s].

    On one slot tasks follow each other, and what passes between two of them (the driver hears of the end, launches the
    next) belongs to the next: the simulator launches ahead, so that only a stage's first launch is waited for.
    """
    stages = {t.stage for t in tasks}
    mine = [[t for t in tasks if t.stage == stage] for stage in stages]
    return sum(max(t.finish for t in x) - min(t.launch for t in x) for x in mine)


def busy_seconds(tasks: list[Task]) -> float:
    """Time in which at least one of the tasks ran [s]."""
    total, until = 0.0, -math.inf
    for task in sorted(tasks, key=lambda t: t.launch):
        total += max(0.0, task.finish - max(task.launch, until))
        until = max(until, task.finish)
    return total
