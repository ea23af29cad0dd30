"""CloudWatch, live: MSK, OpenSearch Service and EMR, by `get_metric_data`; means only.

A target is `kafka:CLUSTER`, `es:DOMAIN` or `emr:j-…`. What it has is asked of `list_metrics` first, so that
nothing is asked that was never stored. Every value is the Average of its period (a minute at best): a
mean of means, no maximum and no percentile, and a rate that one broker tells. Some of MSK's are told
by every broker and are right at the controller alone (`GlobalPartitionCount` and the like), where a mean
would be too small: they are left out. A period is asked once it has been over for two minutes.

Credentials, region and retries are boto3's own (`AWS_PROFILE`, `AWS_REGION`, roles); `AWS_ENDPOINT_URL` is
its own too. GetMetricData costs 0.01 USD a 1,000 metrics asked.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from calibration import live_aws
from calibration.live import Answer, Call, LiveError, Reason, Source

NAMESPACES = {"kafka": ("AWS/Kafka", "Cluster Name"), "es": ("AWS/ES", "DomainName"),
              "emr": ("AWS/ElasticMapReduce", "JobFlowId")}  # fmt: skip
WANTED = {
    "kafka": (
        "BytesInPerSec BytesOutPerSec MessagesInPerSec CpuUser CpuSystem CpuIdle CpuIoWait CPUCreditBalance "
        "BurstBalance KafkaDataLogsDiskUsed StorageUsed MemoryUsed MemoryFree HeapMemoryAfterGC PartitionCount "
        "LeaderCount UnderReplicatedPartitions ProduceTotalTimeMsMean ProduceLocalTimeMsMean "
        "ProduceRequestQueueTimeMsMean ProduceResponseQueueTimeMsMean ProduceResponseSendTimeMsMean "
        "FetchConsumerTotalTimeMsMean FetchConsumerLocalTimeMsMean FetchConsumerRequestQueueTimeMsMean "
        "FetchConsumerResponseQueueTimeMsMean FetchConsumerResponseSendTimeMsMean FetchFollowerTotalTimeMsMean "
        "FetchFollowerLocalTimeMsMean FetchFollowerRequestQueueTimeMsMean FetchFollowerResponseQueueTimeMsMean "
        "FetchFollowerResponseSendTimeMsMean RequestBytesMean RequestTime ConnectionCount "
        "TrafficShaping ReplicationBytesInPerSec ReplicationBytesOutPerSec RequestHandlerAvgIdlePercent "
        "NetworkProcessorAvgIdlePercent VolumeReadBytes VolumeWriteBytes VolumeReadOps VolumeWriteOps "
        "VolumeQueueLength ProduceThrottleTime FetchThrottleTime BwInAllowanceExceeded BwOutAllowanceExceeded "
        "SumOffsetLag MaxOffsetLag EstimatedMaxTimeLag"
    ),
    "es": (
        "IndexingRate IndexingLatency SearchRate SearchLatency CPUUtilization JVMMemoryPressure "
        "OldGenJVMMemoryPressure JVMGCYoungCollectionCount JVMGCYoungCollectionTime JVMGCOldCollectionCount "
        "JVMGCOldCollectionTime FreeStorageSpace ClusterUsedSpace SearchableDocuments DeletedDocuments "
        "SegmentCount ThreadpoolWriteQueue ThreadpoolWriteRejected ThreadpoolWriteThreads "
        "CoordinatingWriteRejected PrimaryWriteRejected ReplicaWriteRejected ReadThroughput WriteThroughput "
        "ReadIOPS WriteIOPS DiskQueueDepth BurstBalance ThroughputThrottle IopsThrottle Nodes Shards.active "
        "Shards.activePrimary Shards.unassigned ClusterStatus.green ClusterStatus.yellow ClusterStatus.red "
        "ClusterIndexWritesBlocked MasterCPUUtilization MasterJVMMemoryPressure WarmStorageSpaceUtilization"
    ),
    "emr": (
        "IsIdle ContainerAllocated ContainerReserved ContainerPending AppsRunning AppsFailed CoreNodesRunning "
        "MRTotalNodes MRActiveNodes MRLostNodes MemoryTotalMB MemoryAvailableMB MemoryAllocatedMB "
        "YARNMemoryAvailablePercentage HDFSUtilization S3BytesWritten S3BytesRead TotalUnitsRunning"
    ),
}
PERIODS = {"kafka": 60, "es": 60, "emr": 300}
MOST_METRICS, MOST_POINTS = 500, 100_800  # of one call: its own limits
MOST_IN_ALL = 5_000  # metrics of one target; per-partition metrics of a large cluster are more
KEPT = ((15 * 86400.0, 60), (63 * 86400.0, 300), (455 * 86400.0, 3600))  # age [s] up to which a period [s] is kept
LATE_SECONDS = 120.0  # a period is asked when it is over by this: values still come in before
ANSWERS = {"list_metrics": "Metrics", "get_metric_data": "MetricDataResults"}
CANNOT_TELL = (
    "maxima and percentiles: every value is the mean of its period",
    "anything shorter than a minute (EMR: five minutes)",
    "RemoteTime of MSK's requests (total less the other parts); executors' heap and streaming latency on EMR",
)


@dataclass(frozen=True)
class Target:
    """One cluster or domain: kafka, es or emr, and its name."""

    kind: str
    name: str

    @property
    def shown(self) -> str:
        return f"{self.kind}:{self.name}"


def target(text: str) -> Target:
    """`kafka:CLUSTER`, `es:DOMAIN` or `emr:j-…`.

    >>> target("kafka:orders-prod")
    Target(kind='kafka', name='orders-prod')
    """
    kind, colon, name = text.partition(":")
    kind = {"msk": "kafka", "opensearch": "es"}.get(kind.lower(), kind.lower())
    if kind not in NAMESPACES or not colon or not re.fullmatch(r"[\w.\-]+", name):
        raise LiveError("settings", f"--cloudwatch {text}: expected kafka:CLUSTER, es:DOMAIN or emr:j-CLUSTERID")
    return Target(kind, name)


def clients(region: str | None, seconds: float = 20.0) -> Any:
    """boto3's CloudWatch client with its own retries, which wait when throttled, each try so long. Raises LiveError."""
    try:
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise LiveError("settings", "CloudWatch needs boto3: pip install 'floodmark[aws]'") from None
    try:
        return live_aws.client("cloudwatch", region, seconds)
    except (BotoCoreError, ValueError) as error:
        raise refusal(error, "cloudwatch") from None


def refusal(error: Exception, where: str) -> LiveError:
    """What AWS's refusal means, in words."""
    kind = type(error).__name__
    answered = getattr(error, "response", None)  # a failed connection has none
    code = str(answered.get("Error", {}).get("Code", "")) if isinstance(answered, Mapping) else ""
    said = f"{where}: {code or kind}: {error}"
    reason: Reason = "failed"
    if (
        kind in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "TokenRetrievalError")
        or "SSO" in kind
    ):
        return LiveError("unauthorized", f"{said}; set AWS_PROFILE, or run aws sso login")
    if kind == "NoRegionError":
        return LiveError("settings", f"{where}: no region; set AWS_REGION or give --region, such as eu-west-1")
    if "AccessDenied" in code or code in ("UnauthorizedOperation", "AuthorizationError", "Forbidden"):
        return LiveError("forbidden", f"{said}; needs cloudwatch:ListMetrics and cloudwatch:GetMetricData")
    if "Expired" in code or code in ("InvalidClientTokenId", "SignatureDoesNotMatch", "UnrecognizedClientException"):
        return LiveError("unauthorized", f"{said}; log in again")
    if "Throttl" in code or code in ("RequestLimitExceeded", "TooManyRequestsException"):
        return LiveError("throttled", said, wait_seconds=30.0)
    if "Timeout" in kind:
        reason = "slow"
    elif "Connection" in kind or "Endpoint" in kind:
        reason = "unreachable"
    return LiveError(reason, said)


class CloudWatch:
    """One target's metrics; `since` seconds of the past are read first."""

    def __init__(self, client: Any, target: Target, since: float = 0.0, period: int | None = None) -> None:
        self.client, self.target = client, target
        self.period = period or PERIODS[target.kind]
        if self.period % 60:
            raise LiveError("settings", f"period = {self.period} s; expected whole minutes")
        self.metrics: list[dict[str, Any]] = []
        self.next = _down(time.time() - max(since, 2 * self.period + LATE_SECONDS), self.period)

    def call(self, name: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """The pages of a paginated call. Raises LiveError."""
        from botocore.exceptions import BotoCoreError, ClientError

        where, holds = f"cloudwatch {self.target.shown}", ANSWERS[name]
        try:
            for page in self.client.get_paginator(name).paginate(**asked):
                if not isinstance(page.get(holds), list):
                    raise LiveError("garbage", f"{where}: an answer without {holds}; is that AWS, or a proxy's page?")
                yield page
        except (BotoCoreError, ClientError) as error:
            raise refusal(error, where) from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:  # a body that is none of AWS's
            said = f"{where}: not an answer of AWS ({type(error).__name__}); is a proxy in between?"
            raise LiveError("garbage", said) from None

    def list_metrics(self) -> Iterator[Answer]:
        """What is stored of the target, of what can be used."""
        namespace, dimension = NAMESPACES[self.target.kind]
        only = [{"Name": dimension, "Value": self.target.name}]
        wanted, found = set(WANTED[self.target.kind].split()), []
        for page in self.call("list_metrics", Namespace=namespace, Dimensions=only):
            found += [one for one in page["Metrics"] if one["MetricName"] in wanted]
            if len(found) > MOST_IN_ALL:
                break
        self.metrics = [one for _, one in sorted({_key(one): one for one in found[:MOST_IN_ALL]}.items())]
        if not found:
            said = f"cloudwatch {self.target.shown}: no metric in {namespace} with {dimension} = {self.target.name}"
            raise LiveError("missing", f"{said}; is it the right region and name?")
        if len(found) > MOST_IN_ALL:
            raise LiveError(
                "too large", f"cloudwatch {self.target.shown}: more than {MOST_IN_ALL:,} metrics; the first are read"
            )
        return iter(())

    def read(self, start: float, end: float) -> Iterator[dict[str, Any]]:
        """Answers for [start, end) [epoch s], each with the queries that it answers."""
        period = kept_period(time.time() - start, self.period)
        per_call = min(MOST_METRICS, max(len(self.metrics), 1))
        span = max(MOST_POINTS // per_call, 1) * period
        for first in range(0, len(self.metrics), per_call):
            queries = [_query(n, one, period) for n, one in enumerate(self.metrics[first : first + per_call])]
            at = start
            while at < end:
                until = min(at + span, end)
                yield from self._pages(queries, at, until)
                at = until

    def _pages(self, queries: Sequence[dict[str, Any]], start: float, end: float) -> Iterator[dict[str, Any]]:
        window = {"StartTime": datetime.fromtimestamp(start, UTC), "EndTime": datetime.fromtimestamp(end, UTC)}
        asked = {"MetricDataQueries": queries, "ScanBy": "TimestampAscending", **window}
        for page in self.call("get_metric_data", **asked):
            results = [
                {**one, "Timestamps": [round(t.timestamp(), 3) for t in one["Timestamps"]]}
                for one in page["MetricDataResults"]
            ]
            refused = sorted(
                {one["StatusCode"] for one in results if one.get("StatusCode") in ("Forbidden", "InternalError")}
            )
            if refused:
                raise LiveError("forbidden", f"cloudwatch {self.target.shown}: answered {', '.join(refused)}")
            yield {"MetricDataQueries": queries, "MetricDataResults": results, "Messages": page.get("Messages", [])}

    def follow(self) -> Iterator[Answer]:
        """The periods that are over since the last time."""
        if not self.metrics:
            yield from self.list_metrics()
        end = _down(time.time() - LATE_SECONDS, self.period)
        if end <= self.next:
            return
        for body in self.read(self.next, end):
            yield Answer(time.time(), f"cloudwatch {self.target.shown}", "cloudwatch", body=body)
        self.next = end


def kept_period(age: float, wanted: int) -> int:
    """The period that is still stored of points of that age [s], a multiple of what is wanted.

    >>> kept_period(3600, 60), kept_period(20 * 86400, 60), kept_period(100 * 86400, 60)
    (60, 300, 3600)
    """
    for oldest, period in KEPT:
        if age <= oldest:
            return math.ceil(max(wanted, period) / period) * period
    return math.ceil(max(wanted, 3600) / 3600) * 3600


def _query(number: int, metric: dict[str, Any], period: int) -> dict[str, Any]:
    kept = {name: metric[name] for name in ("Namespace", "MetricName", "Dimensions")}
    return {"Id": f"m{number}", "MetricStat": {"Metric": kept, "Period": period, "Stat": "Average"}, "ReturnData": True}


def _key(metric: dict[str, Any]) -> tuple[str, str]:
    return metric["MetricName"], str(sorted((d["Name"], d["Value"]) for d in metric["Dimensions"]))


def _down(t: float, step: int) -> float:
    return math.floor(t / step) * step


def cloudwatch_source(text: str, region: str | None = None, since: float = 0.0, seconds: float = 20.0) -> Source:
    """A target's metrics as a source."""
    which = target(text)
    watch = CloudWatch(clients(region, seconds), which, since)
    calls = [Call("list_metrics", watch.list_metrics, 900.0), Call("get_metric_data", watch.follow, watch.period)]
    resolution = f"means of {watch.period} s, {LATE_SECONDS:g} s late"
    return Source(f"cloudwatch {which.shown}", which.shown, calls, resolution, CANNOT_TELL, watch.client.close)
