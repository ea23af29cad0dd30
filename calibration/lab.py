"""A recorded laboratory run: what was asked of the stack, and what it was seen to do.

A run's `plan` is a list of steps (seconds, records a second) after a warm-up at `warm_rate`; a `Step`
is one of them in epoch time. Records carry sequences that run on from the warm-up; partition is
sequence mod partitions. `measured` says of each step what a forecast of it has to say: batch
duration, end-to-end latency, lag, CPU cores and resident bytes by process.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from calibration import elasticsearch, kafka, spark
from calibration.latency import Latency, latencies, summary
from calibration.observations import (
    Batch,
    Counter,
    Curve,
    Gauge,
    ObservationError,
    Poll,
    Processes,
    Task,
    counter,
    find,
    gauge,
    json_lines,
    read_json,
    read_text,
)
from models.units import MILLISECOND

TOPIC = "events"
BULK_DOCUMENTS = 1000  # the laboratory job's own, where experiment.json names none (its README)
SPARK, BROKER, SEARCH = "spark", "kafka-1", "search-0"
NODE_NEEDS = {"cpu_seconds", "documents", "bulks", "refreshes", "refresh_seconds", "merge_bytes", "merge_seconds",
              "queries", "index_seconds"}  # fmt: skip
EXPORTED = "exported"
FIRST_BATCH_BYTES = 1e6  # librdkafka's default, which the first recordings left as it was (they name no batch_bytes)


@dataclass(frozen=True)
class Step:
    """One step of the plan: records are due from `start` to `end` [epoch s] at `rate` [1/s]."""

    start: float
    end: float
    rate: float


@dataclass(frozen=True)
class Experiment:
    """What was asked: sizes in bytes of JSON, trigger in seconds; `sink` is bulk, noop or none."""

    name: str
    kind: str
    record_bytes: float
    partitions: int
    plan: tuple[tuple[float, float], ...]
    warm_seconds: float
    warm_rate: float
    trigger_seconds: float
    cores: int
    sink: str
    bulk_documents: int
    clients: int
    state_partitions: int
    set: str = "fit"
    disturbed: bool = False
    max_offsets: int = 0
    writers: int = 1
    brokers: int = 1
    copies: int = 1
    min_insync: int = 1
    tls: bool = False
    linger_seconds: float = 0.005
    batch_bytes: float = FIRST_BATCH_BYTES
    acks: str = "all"
    compression: str = "none"
    nodes: int = 1
    replicas: int = 0
    refresh_seconds: float = 1.0
    codec: str = "default"
    product: str = "opensearch"
    ids: str = "auto"
    retry_seconds: float = 60.0
    start_seconds: Mapping[str, float] = field(default_factory=dict)
    disturb: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    sink_kind: str = "python"
    stack: object = None  # of exported metrics: the scenario they came from, which only planner reads


@dataclass(frozen=True)
class Event:
    """A disturbance as it was really done: when [epoch s], what, and its details."""

    t: float
    kind: str
    details: Mapping[str, Any]


@dataclass(frozen=True)
class OneNode:
    """One broker or data node of a cluster of several: its process's CPU and what it holds on disk, where recorded."""

    system: str
    name: str
    cpu: Counter | None
    disk: Gauge | None


@dataclass(frozen=True)
class LabRun:
    """One recorded run; a part that the run did not have is None or empty. `nodes` are told of exported metrics."""

    experiment: Experiment
    start: float
    first_sequence: int
    arrivals: Curve | None
    warm_arrivals: Curve | None
    acknowledgement: Mapping[str, float]
    polls: tuple[Poll, ...]
    batches: tuple[Batch, ...]
    tasks: tuple[Task, ...]
    processes: Processes
    broker: kafka.Broker | None
    node: elasticsearch.Node | None
    index: elasticsearch.IndexEnd | None
    bulk: elasticsearch.BulkResult | None
    log_bytes: float | None
    events: tuple[Event, ...] = ()
    nodes: tuple[OneNode, ...] = ()

    @property
    def name(self) -> str:
        return self.experiment.name

    @property
    def exported(self) -> bool:
        """Whether it was read from exported metrics of a stack that ran before: its JVMs are warm."""
        return self.experiment.set == EXPORTED

    @property
    def spark_cpu(self) -> Counter | None:
        """CPU of Spark's process tree, Python workers included; None where it was not recorded."""
        return self.processes.cpu.get(SPARK)

    @property
    def node_is_whole(self) -> bool:
        """Whether the data node's counters are all that its fit reads; the sum of several nodes is no node."""
        summed = self.exported and bool(self.batches)
        return self.node is not None and not summed and not NODE_NEEDS - set(self.node.counters)

    def steps(self) -> list[Step]:
        """The steps of the plan in epoch time."""
        found, at = [], self.start
        for seconds, rate in self.experiment.plan:
            found.append(Step(at, at + seconds, rate))
            at += seconds
        return found

    def window(self) -> tuple[float, float]:
        """The measured part, warm-up left out [epoch s]."""
        steps = self.steps()
        if steps:
            return steps[0].start, steps[-1].end
        if self.bulk is None:
            raise ObservationError(f"{self.name}: neither a plan nor a bulk result, so nothing was measured")
        return self.bulk.start, self.bulk.end

    def sent(self) -> int:
        """Records sent, warm-up included."""
        curves = [c for c in (self.warm_arrivals, self.arrivals) if c is not None]
        return int(sum(c.count[-1] for c in curves))


def read_experiment(path: Path) -> Experiment:
    """`experiment.json` of a run."""
    return experiment_of(read_json(path))


def experiment_of(raw: Mapping[str, Any]) -> Experiment:
    """What `experiment.json` says, as a document."""
    job, kafka_, search = raw.get("job", {}), raw.get("kafka", {}), raw.get("search", {})
    return Experiment(
        name=raw["name"],
        kind=raw["type"],
        record_bytes=float(raw["size"]) if "size" in raw else 500.0,  # the Kafka run's size is in its README only
        partitions=int(raw.get("partitions", 1)),
        plan=tuple((float(seconds), float(rate)) for seconds, rate in raw.get("plan", [])),
        warm_seconds=float(raw.get("warm_s", 0.0)),
        warm_rate=float(raw.get("warm_rate", 0.0)),
        trigger_seconds=job.get("trigger_ms", 0) * MILLISECOND,
        cores=int(job.get("cores", 1)),
        sink=job.get("sink", "none"),
        bulk_documents=int(raw.get("bulk", job.get("bulk", BULK_DOCUMENTS))),
        clients=int(raw.get("clients", 0)),
        state_partitions=int(job.get("shuffle", 0)) if job.get("agg") else 0,
        set=raw.get("set", "fit"),
        disturbed=bool(raw.get("disturbed", False)),
        max_offsets=int(job.get("max_offsets", 0)),
        writers=int(job.get("writers", 1)),
        brokers=int(kafka_.get("brokers", 1)),
        copies=int(kafka_.get("copies", 1)),
        min_insync=int(kafka_.get("min_insync", 1)),
        tls=bool(kafka_.get("tls", False)),
        linger_seconds=float(raw.get("linger_ms", 5.0)) * MILLISECOND,
        batch_bytes=float(raw.get("batch_bytes", FIRST_BATCH_BYTES)),
        acks=str(raw.get("acks", "all")),
        compression=raw.get("compression", "none"),
        nodes=int(search.get("nodes", 1)),
        replicas=int(search.get("replicas", 0)),
        refresh_seconds=_seconds(search.get("refresh", "1s")),
        codec=search.get("codec", "default"),
        product=search.get("product", "opensearch"),
        ids=search.get("ids", "auto"),
        retry_seconds=float(job.get("retry_s", 60.0)),
        start_seconds=raw.get("start_s", {}),
        disturb=tuple(raw.get("disturb", ())),
        versions=raw.get("versions", {}),
    )


def _seconds(text: str) -> float:
    """A search server's time, such as 1s or 500ms.

    >>> _seconds("1s"), _seconds("500ms"), _seconds("2m")
    (1.0, 0.5, 120.0)
    """
    for unit, scale in (("ms", MILLISECOND), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
        if text.endswith(unit) and text.removesuffix(unit).replace(".", "", 1).isdigit():
            return float(text.removesuffix(unit)) * scale
    raise ObservationError(f"refresh interval '{text}'; expected a time such as 1s or 500ms")


def read_events(path: Path) -> tuple[Event, ...]:
    """`events.json`: the disturbances in order of time."""
    return events_of(read_json(path))


def events_of(rows: Sequence[Mapping[str, Any]]) -> tuple[Event, ...]:
    """The same from the document."""
    rows = [dict(row) for row in rows]
    found = [Event(float(row.pop("t")), str(row.pop("kind")), row) for row in rows]
    return tuple(sorted(found, key=lambda e: e.t))


def read_arrivals(path: Path) -> Curve:
    """Corners of the arrival plan, `t,sent`."""
    rows = [line.split(",") for line in read_text(path).splitlines()[1:] if line.strip()]
    return Curve(np.array([float(t) for t, _ in rows]), np.array([float(n) for _, n in rows]))


def read_polls(path: Path) -> tuple[Poll, ...]:
    """`[asked, answered, {partition: [documents, highest sequence]}]` lines, in order of answer."""
    found = []
    for asked, answered, seen in json_lines(path):
        highest = {int(p): int(pair[1]) for p, pair in seen.items()}
        found.append(Poll(asked, answered, highest, {int(p): int(pair[0]) for p, pair in seen.items()}))
    return tuple(sorted(found, key=lambda p: p.answered))


def read_processes(path: Path) -> Processes:
    """CPU and resident bytes of each process, and the machine's steal, from `procs` lines."""
    lines = list(json_lines(path))
    names = sorted({name for line in lines for name in line["procs"]})
    cpu, resident = {}, {}
    for name in names:
        rows = [(line["t"], line["procs"][name]) for line in lines if name in line["procs"]]
        t = [at for at, _ in rows]
        cpu[name] = counter(f"{name} CPU", t, tree_seconds([row["cpu_seconds"] for _, row in rows]))
        resident[name] = gauge(f"{name} resident bytes", t, [row["rss_bytes"] for _, row in rows])
    steal = counter("steal", [line["t"] for line in lines], [int(line["cpu_stat"][7]) / 100 for line in lines])
    return Processes(cpu, resident, steal)  # a jiffy is 1/100 s on Linux's usual USER_HZ


def tree_seconds(totals: Sequence[float]) -> list[float]:
    """CPU of a process tree as a running total: a child that ends takes its own out of the sum [s].

    A fall to less than half is a new start, and stays one; from a smaller one the count goes on as it stood.

    >>> tree_seconds([60.0, 65.0, 43.0, 45.0, 1.0])
    [60.0, 65.0, 65.0, 67.0, 1.0]
    """
    found, ended = [], 0.0
    for before, now in itertools.pairwise([totals[0], *totals] if len(totals) else []):
        if now < before / 2:
            ended = 0.0
        elif now < before:
            ended += before - now
        found.append(now + ended)
    return found


def load_run(folder: Path | str) -> LabRun:
    """A run's folder as it was recorded; refuses a folder that is none, naming what it lacks."""
    folder = Path(folder)
    experiment = find(folder, "experiment.json")
    processes = find(folder, "procs.jsonl")
    if experiment is None or processes is None:
        raise ObservationError(f"{folder.name}: no experiment.json or procs.jsonl in it; give the folder of one run")
    producer = _maybe(folder, "producer.json", read_json) or {}
    bulk = _maybe(folder, "bulk.json", elasticsearch.read_bulk)
    broker = _maybe(folder, "kafka-1.prom.jsonl", lambda path: kafka.read_broker(path, TOPIC))
    log_bytes = _maybe(folder, "log_dirs.json", kafka.read_log_dirs)
    return LabRun(
        experiment=read_experiment(experiment),
        start=producer.get("t0", bulk.start if bulk else 0.0),
        first_sequence=int(producer.get("seq0", 0)),
        arrivals=_maybe(folder, "arrivals.csv", read_arrivals),
        warm_arrivals=_maybe(folder, "arrivals_warm.csv", read_arrivals),
        acknowledgement=producer.get("ack_s", {}),
        polls=_maybe(folder, "visible.jsonl", read_polls) or (),
        batches=tuple(_maybe(folder, "progress.jsonl", spark.read_progress) or ()),
        tasks=tuple(_maybe(folder, "eventlog.jsonl", spark.read_event_log) or ()),
        processes=read_processes(processes),
        broker=broker,
        node=_maybe(folder, "search.nodes_stats.jsonl", elasticsearch.read_node),
        index=_maybe(folder, "index_end.json", elasticsearch.read_index_end),
        bulk=bulk,
        log_bytes=log_bytes if log_bytes is not None else (broker.log_bytes if broker else None),
        events=_maybe(folder, "events.json", read_events) or (),
    )


def _maybe(folder: Path, name: str, reader: Any) -> Any:
    path = find(folder, name)
    return None if path is None else reader(path)


@dataclass(frozen=True)
class StepMeasured:
    """What was seen in one step; `batches` are those whose records were all due in it."""

    rate: float
    batches: int
    batch_seconds_median: float
    batch_seconds_p90: float
    batch_records_median: float
    lag_records_max: float
    lag_seconds_max: float
    cores: Mapping[str, float]
    latency: Latency | None


@dataclass(frozen=True)
class Measured:
    """What was seen in a run: by step, and in its whole measured part (the warm-up left out).

    `index_bytes_per_json_byte` is after natural merges and a flush, of the nominal record size.
    """

    name: str
    steps: tuple[StepMeasured, ...]
    latency: Latency | None
    index_bytes_per_json_byte: float | None
    log_bytes_per_record: float | None
    resident_bytes: Mapping[str, float]
    acknowledgement: Mapping[str, float]


def measured(run: LabRun) -> Measured:
    """The statistics a forecast of this run is held against."""
    steps, whole = run.steps(), None
    seen: list[Latency | None] = [None] * len(steps)
    if run.polls and run.arrivals is not None:
        due, latency = latencies(run.arrivals, run.first_sequence, run.experiment.partitions, run.polls)
        last = float((due + latency).max())
        whole = summary(latency, run.polls, run.start, last)
        for i, step in enumerate(steps):
            mine = (due >= step.start) & (due < step.end)
            seen[i] = summary(latency[mine], run.polls, step.start, step.end)
    documents = run.index.documents if run.index else 0
    start, end = run.window()
    return Measured(
        name=run.name,
        steps=tuple(_step(run, step, latency) for step, latency in zip(steps, seen, strict=True)),
        latency=whole,
        index_bytes_per_json_byte=run.index.bytes / documents / run.experiment.record_bytes if run.index else None,
        log_bytes_per_record=run.log_bytes / run.sent() if run.log_bytes else None,
        resident_bytes={n: float(g.between(start, end).max()) for n, g in run.processes.resident.items()},
        acknowledgement=run.acknowledgement,
    )


def whole_batches(run: LabRun, step: Step) -> list[Batch]:
    """The batches whose records were all due in that step: the one before was triggered in it too."""
    pairs = zip(run.batches, run.batches[1:], strict=False)
    return [b for before, b in pairs if step.start <= before.trigger and b.trigger <= step.end]


def lag(run: LabRun, batch: Batch) -> tuple[float, float]:
    """Records due but not committed just before a batch commits, and the age of the oldest [records, s].

    Reads the arrival plan, so records still in the producer count as lag.
    """
    if run.arrivals is None or batch.start_offsets is None:
        raise ObservationError(f"{run.name}: no arrivals or no start offsets, so no lag")
    committed = sum(batch.start_offsets.values()) - run.first_sequence
    due = float(run.arrivals.at(batch.end))
    oldest = float(run.arrivals.when(float(max(committed, 0))))
    return max(due - committed, 0.0), max(batch.end - oldest, 0.0)


def _step(run: LabRun, step: Step, latency: Latency | None) -> StepMeasured:
    batches = whole_batches(run, step)
    lags = [lag(run, b) for b in batches]
    seconds = np.array([b.seconds for b in batches])
    cores = {n: c.rate(step.start, step.end) for n, c in run.processes.cpu.items() if _covers(c.t, step)}
    nan = float("nan")
    return StepMeasured(
        rate=step.rate,
        batches=len(batches),
        batch_seconds_median=float(np.median(seconds)) if batches else nan,
        batch_seconds_p90=float(np.quantile(seconds, 0.9)) if batches else nan,
        batch_records_median=float(np.median([b.records for b in batches])) if batches else nan,
        lag_records_max=max((records for records, _ in lags), default=nan),
        lag_seconds_max=max((age for _, age in lags), default=nan),
        cores=cores,
        latency=latency,
    )


def _covers(t: Any, step: Step) -> bool:
    return bool(len(t) > 1 and t[0] <= step.start and t[-1] >= step.end)
