"""CloudWatch: `get_metric_data` answers of AWS/Kafka, AWS/ES and EMR, and `get_metric_statistics`.

An answer holds values by time and the id of a query; metric, dimensions, period and statistic stand in the
query only, so it is looked for beside the answer or in a file of the same folder. What comes is a mean over each
period that begins at its time: no quantile and no total can be had from it, and nothing shorter than the
period is seen.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calibration.formats_kinds import Sample, epoch
from calibration.gather import File, Gathering, clean, number

MIB = float(1 << 20)
FORMAT = "CloudWatch, means only"


@dataclass(frozen=True)
class Metric:
    """A CloudWatch metric as a quantity."""

    system: str
    quantity: str
    scale: float = 1.0
    labels: Mapping[str, str] = field(default_factory=dict)


_KAFKA = {
    "BytesInPerSec": Metric("kafka", "bytes_in_per_second"),
    "BytesOutPerSec": Metric("kafka", "bytes_out_per_second"),
    "MessagesInPerSec": Metric("kafka", "records_in_per_second"),
    "ReplicationBytesInPerSec": Metric("kafka", "replication_bytes_in_per_second"),
    "ReplicationBytesOutPerSec": Metric("kafka", "replication_bytes_out_per_second"),
    "KafkaDataLogsDiskUsed": Metric("kafka", "disk_used_fraction", 0.01),
    "PartitionCount": Metric("kafka", "partitions"),
    "LeaderCount": Metric("kafka", "leaders"),
    "UnderReplicatedPartitions": Metric("kafka", "under_replicated_partitions"),
    "RequestHandlerAvgIdlePercent": Metric("kafka", "handler_idle_fraction"),
    "NetworkProcessorAvgIdlePercent": Metric("kafka", "network_idle_fraction"),
    "SumOffsetLag": Metric("kafka", "lag_records"),
    "VolumeWriteBytes": Metric("kafka", "disk_write_bytes"),
    "VolumeReadBytes": Metric("kafka", "disk_read_bytes"),
}
_STAGES = {
    "TotalTimeMs": "total",
    "RequestQueueTimeMs": "request_queue",
    "LocalTimeMs": "local",
    "ResponseQueueTimeMs": "response_queue",
    "ResponseSendTimeMs": "response_send",
}
_KAFKA |= {
    f"{request}{name}Mean": Metric("kafka", "request_mean_seconds", 1e-3, {"request": request, "stage": stage})
    for request in ("Produce", "FetchConsumer", "FetchFollower")
    for name, stage in _STAGES.items()
}
_ES = {
    "CPUUtilization": Metric("search", "cpu_fraction", 0.01),
    "IndexingRate": Metric("search", "documents_per_second", 1 / 60),  # operations a minute, copies counted
    "IndexingLatency": Metric("search", "index_mean_seconds", 1e-3),
    "JVMMemoryPressure": Metric("search", "heap_fraction", 0.01),
    "FreeStorageSpace": Metric("search", "disk_available_bytes", MIB),
    "ClusterUsedSpace": Metric("search", "store_bytes", MIB),
    "SearchableDocuments": Metric("search", "documents_held"),
    "ThreadpoolWriteQueue": Metric("search", "write_queue"),
    "ThreadpoolWriteThreads": Metric("search", "write_threads"),
    "SegmentCount": Metric("search", "segments"),
    "WriteThroughput": Metric("search", "disk_write_bytes_per_second"),
    "ReadThroughput": Metric("search", "disk_read_bytes_per_second"),
    "Nodes": Metric("search", "nodes"),
}
_EMR = {
    "ContainerAllocated": Metric("spark", "containers"),
    "MemoryAllocatedMB": Metric("spark", "memory_allocated_bytes", MIB),
}
METRICS = {"AWS/Kafka": _KAFKA, "AWS/ES": _ES, "AWS/ElasticMapReduce": _EMR}
CPU = ("CpuUser", "CpuSystem")  # of AWS/Kafka, added up where both are there
_AMBIGUOUS = {"CPUUtilization", "Nodes"}  # other namespaces have them too


@dataclass(frozen=True)
class Asked:
    """What a query asked: whose metric, with which dimensions, period [s] and statistic."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    period: float | None
    statistic: str


def _asked(query: Mapping[str, Any]) -> Asked | None:
    stat = query.get("MetricStat")
    metric = stat.get("Metric") if isinstance(stat, Mapping) else None
    if not isinstance(stat, Mapping) or not isinstance(metric, Mapping):
        return None
    pairs = [d for d in metric.get("Dimensions") or [] if isinstance(d, Mapping)]
    dimensions = {str(d.get("Name")): clean(d.get("Value")) for d in pairs}
    names = str(metric.get("Namespace") or ""), str(metric.get("MetricName") or "")
    return Asked(*names, dimensions, number(stat.get("Period")), str(stat.get("Stat") or ""))


def _queries(rows: Any) -> dict[str, Asked | None]:
    return {str(q.get("Id")): _asked(q) for q in rows if isinstance(q, Mapping)}


def queries(sample: Sample, into: Gathering) -> None:
    """Queries in a file of their own: they name what the answers of the same folder hold."""
    rows = sample.body if isinstance(sample.body, list) else sample.body["MetricDataQueries"]
    into.memory.setdefault(("cloudwatch", _folder(into)), {}).update(_queries(rows))
    into.file.saw("CloudWatch queries", None)


def _folder(into: Gathering) -> str:
    return into.file.name.rpartition("/")[0]


def answer(sample: Sample, into: Gathering) -> None:
    """One `get_metric_data` answer; used once all files were read, as its queries may come later."""
    body = sample.body
    own = _queries(body.get("MetricDataQueries") or [])
    if body.get("NextToken"):
        into.file.remark("an answer goes on (NextToken): ask for the rest")
    for result in body["MetricDataResults"]:
        if isinstance(result, Mapping):
            into.memory.setdefault("cloudwatch results", []).append((into.file.name, own, result))
            at = [epoch(t) for t in result.get("Timestamps") or []]
            for t in at:
                into.file.saw(FORMAT, t)


def statistics(sample: Sample, into: Gathering) -> None:
    """A `get_metric_statistics` answer: it names its metric and nothing else."""
    points = [p for p in sample.body["Datapoints"] if isinstance(p, Mapping)]
    rows = [(p.get("Timestamp"), p.get("Average")) for p in points if p.get("Average") is not None]
    if points and not rows:
        into.skip("CloudWatch statistics without Average")
    result = {"Label": sample.body["Label"], "Timestamps": [t for t, _ in rows], "Values": [v for _, v in rows]}
    into.memory.setdefault("cloudwatch results", []).append((into.file.name, {}, result))
    for t, _ in rows:
        into.file.saw(FORMAT, epoch(t))


def settle(into: Gathering) -> None:
    """Gives every answer to the quantity that its query names."""
    by_name = {file.name: file for file in into.files}
    halves: dict[tuple[str, float, float], dict[str, float]] = {}
    for name, own, result in into.memory.pop("cloudwatch results", []):
        into.file = by_name.get(name, File(name))
        known = into.memory.get(("cloudwatch", name.rpartition("/")[0]), {})
        id = str(result.get("Id") or "")
        asked = own.get(id) or known.get(id) or _labelled(str(result.get("Label") or ""))
        _use(result, asked, halves, into)
    for (entity, t, period), parts in halves.items():
        if len(parts) == len(CPU):
            whole = sum(parts.values()) * 0.01
            into.add("kafka", entity, "cpu_fraction", t, whole, format=FORMAT, period=period, rank=5)


def _labelled(label: str) -> Asked | None:
    """Where only a label tells: it must hold the one name of a metric that no other service has."""
    words = set(re.findall(r"[A-Za-z]+", label))
    found = [(space, name) for space, names in METRICS.items() for name in names if name in words - _AMBIGUOUS]
    return Asked(*found[0], {}, None, "") if len(found) == 1 else None


def _use(result: Mapping[str, Any], asked: Asked | None, halves: dict[Any, Any], into: Gathering) -> None:
    status = str(result.get("StatusCode") or "Complete")
    if status not in ("Complete", "PartialData"):
        into.skip(f"a CloudWatch result that failed: {clean(status)[:60]}")
        return
    if asked is None:
        into.skip("CloudWatch results whose metric nobody names; keep the MetricDataQueries beside the answer")
        return
    metric = METRICS.get(asked.namespace, {}).get(asked.metric)
    half = asked.namespace == "AWS/Kafka" and asked.metric in CPU
    if metric is None and not half:
        into.skip(f"CloudWatch's {clean(asked.namespace)} {clean(asked.metric)}, which is not read")
        return
    if asked.statistic not in ("Average", ""):
        into.skip(f"CloudWatch's statistic {clean(asked.statistic)[:30]}; only Average is read")
        return
    pairs = zip(result.get("Timestamps") or [], result.get("Values") or [], strict=False)
    rows = [(epoch(t), number(v)) for t, v in pairs]
    told = sorted((t, v) for t, v in rows if t is not None and v is not None)
    period = _period(asked, [t for t, _ in told], into)
    if period is None:
        into.skip("CloudWatch results of one value and no stated period")
        return
    entity, labels = _whose(asked, metric, into)
    for t, value in told:
        if metric is None:
            halves.setdefault((entity, t, period), {})[asked.metric] = value
        else:
            what = (metric.system, entity, metric.quantity, t, value * metric.scale, labels)
            into.add(*what, format=FORMAT, period=period, rank=5)


def _period(asked: Asked, times: list[float], into: Gathering) -> float | None:
    if asked.period is not None:
        return asked.period
    if len(times) < 2:
        return None
    into.file.remark("the period is not stated: taken from the spacing of the values")
    return float(np.median(np.diff(times)))


def _whose(asked: Asked, metric: Metric | None, into: Gathering) -> tuple[str, dict[str, str]]:
    """The broker, node or cluster that the dimensions name."""
    named = asked.dimensions
    labels = dict(metric.labels) if metric else {}
    for theirs, ours in (("Topic", "topic"), ("Consumer Group", "group")):
        if theirs in named:
            labels[ours] = named[theirs]
    if "Broker ID" in named:
        return f"broker {named['Broker ID']}", labels
    for name in ("NodeId", "DomainName", "Cluster Name", "JobFlowId"):
        if name in named:
            return named[name], labels
    if not named:
        into.file.remark("no dimensions are stated: whose values they are is unknown, the file's name stands for it")
    return clean(into.file.entity), labels


READERS = {"cloudwatch": answer, "cloudwatch_queries": queries, "cloudwatch_statistics": statistics}
