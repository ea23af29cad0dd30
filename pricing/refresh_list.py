"""What a refresh asks AWS's price list for, and which item of the book each charge is.

A *rule* names a service, a usage type without its region's prefix, and the attributes that a charge must have; it gives
the item, the book's unit, and what turns AWS's unit into it. Left out: support (its price list states shares of a bill
in words), what OpenSearch calls UltraWarm's and cold storage (their usage types were never read), and the services of
third parties.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

BOX = r"([a-z]+\d[a-z0-9-]*\.[a-z0-9-]+)"  # m7g.large, u-6tb1.metal; not `mcu.general`
LINUX = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
MILLION = 1_000_000


class Rule(NamedTuple):
    """A usage type without prefix (a pattern), the item it is, the book's unit, what divides its price by AWS's unit,
    and how many of AWS's units make one of the book's."""

    service: str
    pattern: str
    item: str
    unit: str
    attributes: Mapping[str, str] = {}
    divide: Mapping[str, int] = {}
    times: int = 1


RULES = (
    Rule("AmazonEC2", rf"BoxUsage:{BOX}", "ec2/on-demand/{0}", "hour", LINUX),
    *(Rule("AmazonEC2", rf"EBS:VolumeUsage\.{name}", f"ebs/{kind}-storage", "GB-month")
      for name, kind in (("gp3", "gp3"), ("gp2", "gp2"), ("piops", "io1"), ("io2", "io2"), ("st1", "st1"),
                         ("sc1", "sc1"))),
    Rule("AmazonEC2", r"EBS:VolumeP-IOPS\.gp3", "ebs/gp3-iops", "IOPS-month"),
    Rule("AmazonEC2", r"EBS:VolumeP-IOPS\.piops", "ebs/io1-iops", "IOPS-month"),
    Rule("AmazonEC2", r"EBS:VolumeP-IOPS\.io2", "ebs/io2-iops-tier1-to-32000", "IOPS-month"),
    Rule("AmazonEC2", r"EBS:VolumeP-IOPS\.io2\.tier2", "ebs/io2-iops-tier2-32001-64000", "IOPS-month"),
    Rule("AmazonEC2", r"EBS:VolumeP-IOPS\.io2\.tier3", "ebs/io2-iops-tier3-above-64000", "IOPS-month"),
    Rule("AmazonEC2", r"EBS:VolumeP-Throughput\.gp3", "ebs/gp3-throughput", "MB/s-month", {}, {"GiBps-mo": 1024}),
    Rule("AmazonEC2", r"EBS:VolumeUsage", "ebs/standard-storage", "GB-month"),
    Rule("AmazonEC2", r"EBS:SnapshotUsage", "ebs/snapshot-storage", "GB-month"),
    Rule("AmazonEC2", r"NatGateway-Hours", "nat/hour", "hour"),
    Rule("AmazonEC2", r"NatGateway-Bytes", "nat/gb", "GB"),
    Rule("AmazonMSK", rf"Kafka\.(?:kraft\.)?{BOX}", "msk/broker/kafka.{0}", "broker-hour"),
    Rule("AmazonMSK", rf"Express\.{BOX}", "msk/broker/express.{0}", "broker-hour"),
    Rule("AmazonMSK", r"Kafka\.Storage\.GP2", "msk/standard-storage", "GB-month"),
    Rule("AmazonMSK", r"Express\.Storage", "msk/express-storage", "GB-month"),
    Rule("AmazonMSK", r"Express\.In-Bytes", "msk/express-in", "GB written"),
    Rule("AmazonMSK", r"Kafka\.PrivateConnectivityHours", "msk/private-hour", "auth-scheme-hour"),
    Rule("AmazonMSK", r"Kafka\.Storage\.Tiered", "msk/tiered-storage", "GB-month"),
    Rule("AmazonMSK", r"Kafka\.DataRetrieval\.Tiered", "msk/tiered-retrieval", "GB retrieved"),
    Rule("AmazonMSK", r"KafkaServerless-ClusterHours", "msk/serverless-cluster", "cluster-hour"),
    Rule("AmazonMSK", r"KafkaServerless-PartitionHours", "msk/serverless-partition", "partition-hour"),
    Rule("AmazonMSK", r"KafkaServerless-In-Bytes", "msk/serverless-in", "GB"),
    Rule("AmazonMSK", r"KafkaServerless-Out-Bytes", "msk/serverless-out", "GB"),
    Rule("AmazonMSK", r"KafkaServerless-StorageHours", "msk/serverless-storage", "GB-month"),
    Rule("AmazonES", rf"ESInstance:{BOX}", "opensearch/node/{0}.search", "hour"),
    Rule("AmazonES", r"ES:GP3-Storage", "opensearch/gp3-storage", "GB-month"),
    Rule("AmazonES", r"ES:GP3-PIOPS", "opensearch/gp3-iops", "IOPS-month"),
    Rule("AmazonES", r"ES:GP3-Provisioned-ThroughPut", "opensearch/gp3-throughput", "MB/s-month", {},
         {"GiBps-mo": 1024}),
    Rule("AmazonES", r"ES:GP2-Storage", "opensearch/gp2-storage", "GB-month"),
    Rule("AmazonES", r"ES:Managed-Storage", "opensearch/managed-storage", "GB-month"),
    Rule("AmazonES", r"ES:PIOPS-Storage", "opensearch/io1-storage", "GB-month"),
    Rule("AmazonES", r"ES:PIOPS", "opensearch/io1-iops", "IOPS-month"),
    Rule("AmazonES", r"ES:Magnetic-Storage", "opensearch/magnetic-storage", "GB-month"),
    Rule("AmazonES", r"SearchOCU", "opensearch/serverless-ocu-hour", "OCU-hour"),
    Rule("AmazonES", r"StorageUsedInS3ByteHour", "opensearch/serverless-storage", "GB-month"),
    *(Rule("ElasticMapReduce", rf"EMR-SERVERLESS-{chip}{name}", f"emr-serverless/{item}", unit)
      for chip, name, item, unit in (
          ("", "vCPUHours", "vcpu-hour-x86", "vCPU-hour"), ("", "MemoryGBHours", "gb-hour-x86", "GB-hour"),
          ("ARM-", "vCPUHours", "vcpu-hour-arm64", "vCPU-hour"), ("ARM-", "MemoryGBHours", "gb-hour-arm64", "GB-hour"),
          ("", "StorageGBHours", "ephemeral-storage-gb-hour-above-20gb", "GB-hour"))),
    Rule("ElasticMapReduce", r"EMR-EKS-EC2-vCPUHours", "emr-on-eks/vcpu-hour", "vCPU-hour uplift"),
    Rule("ElasticMapReduce", r"EMR-EKS-EC2-GBHours", "emr-on-eks/gb-hour", "GB-hour uplift"),
    Rule("ElasticMapReduce", rf"BoxUsage:{BOX}", "emr/ec2/{0}", "hour", {"softwareType": "EMR"}),
    Rule("AmazonS3", r"TimedStorage-ByteHrs", "s3/standard-storage", "GB-month"),
    Rule("AmazonS3", r"TimedStorage-SIA-ByteHrs", "s3/standard-ia-storage", "GB-month"),
    Rule("AmazonS3", r"Requests-Tier1", "s3/standard-put-copy-post-list", "request"),
    Rule("AmazonS3", r"Requests-Tier2", "s3/standard-get-select-other", "request"),
    *(Rule("AmazonS3", name, f"s3/{item}", unit)
      for name, item, unit in (
          ("Requests-SIA-Tier1", "standard-ia-put-copy-post-list", "request"),
          ("Requests-SIA-Tier2", "standard-ia-get-select-other", "request"),
          ("Retrieval-SIA", "standard-ia-retrieval", "GB"),
          ("TimedStorage-ZIA-ByteHrs", "onezone-ia-storage", "GB-month"),
          ("TimedStorage-GIR-ByteHrs", "glacier-ir-storage", "GB-month"),
          ("TimedStorage-INT-IA-ByteHrs", "intelligent-tiering-storage-infrequent", "GB-month"),
          ("TimedStorage-XZ-ByteHrs", "express-onezone-storage", "GB-month"))),
    Rule("AWSDataTransfer", r"DataTransfer-Regional-Bytes", "transfer/zones", "GB"),
    Rule("AWSDataTransfer", r"DataTransfer-Out-Bytes", "transfer/internet", "GB"),
    Rule("AmazonVPC", r"VpcEndpoint-Hours", "endpoint/hour", "endpoint-AZ-hour"),
    Rule("AmazonVPC", r"VpcEndpoint-Bytes", "endpoint/gb", "GB"),
    Rule("AmazonVPC", r"PublicIPv4:InUseAddress", "ipv4/hour", "address-hour"),
    Rule("AmazonVPC", r"TransitGateway-Hours", "tgw/hour", "attachment-hour", {"operation": "TransitGatewayVPC"}),
    Rule("AmazonVPC", r"TransitGateway-Bytes", "tgw/gb", "GB", {"operation": "TransitGatewayVPC"}),
    Rule("AWSELB", r"LoadBalancerUsage", "alb/hour", "hour", {"operation": "LoadBalancing:Application"}),
    Rule("AWSELB", r"LCUUsage", "alb/lcu", "LCU-hour", {"operation": "LoadBalancing:Application"}),
    Rule("AWSELB", r"LoadBalancerUsage", "nlb/hour", "hour", {"operation": "LoadBalancing:Network"}),
    Rule("AWSELB", r"LCUUsage", "nlb/lcu", "NLCU-hour", {"operation": "LoadBalancing:Network"}),
    Rule("AmazonCloudWatch", r"CW:MetricMonitorUsage", "cloudwatch/metric", "metric-month"),
    Rule("AmazonCloudWatch", r"CW:AlarmMonitorUsage", "cloudwatch/alarm", "alarm-metric-month"),
    Rule("AmazonCloudWatch", r"CW:GMD-Metrics", "cloudwatch/get-metric-data", "metric requested"),
    Rule("AmazonCloudWatch", r"DataProcessing-Bytes", "cloudwatch/logs-in", "GB"),
    Rule("AmazonCloudWatch", r"TimedStorage-ByteHrs", "cloudwatch/logs-stored", "GB-month"),
    Rule("AmazonCloudWatch", r"DataScanned-Bytes", "cloudwatch/logs-query", "GB scanned"),
    Rule("AmazonPrometheus", r"AMP:MetricSampleCount", "amp/samples", "sample"),
    Rule("AmazonPrometheus", r"AMP:MetricStorageByteHrs", "amp/storage", "GB-month"),
    Rule("AmazonPrometheus", r"AMP:QuerySamplesProcessed", "amp/query-samples", "sample processed"),
    Rule("AmazonGrafana", r"Grafana:EditorUser", "amg/editor", "user-month"),
    Rule("AmazonGrafana", r"Grafana:ViewerUser", "amg/viewer", "user-month"),
    Rule("AmazonEKS", r"AmazonEKS-Hours:perCluster", "eks/cluster-hour", "cluster-hour"),
    Rule("AmazonEKS", r"AmazonEKS-Hours:extendedSupport", "eks/cluster-hour-extended-support",
         "cluster-hour surcharge"),
    Rule("AWSGlue", r"ETL-DPU-Hour", "glue/dpu-hour", "DPU-hour"),
    Rule("AWSLambda", r"Request", "lambda/requests", "million requests", {}, {}, MILLION),
    Rule("AWSLambda", r"Lambda-GB-Second", "lambda/duration-x86", "GB-second"),
    Rule("AWSLambda", r"Lambda-GB-Second-ARM", "lambda/duration-arm", "GB-second"),
    Rule("AWSQueueService", r"Requests-FIFO-RBP|Requests-FIFO-Tier1", "sqs/fifo-requests", "million requests", {}, {},
         MILLION),
    Rule("AWSQueueService", r"Requests-RBP|Requests-Tier1", "sqs/standard-requests", "million requests", {},
         {}, MILLION),
    Rule("AmazonKinesis", r"Storage-ShardHour", "kinesis/provisioned-shard", "shard-hour"),
    Rule("AmazonKinesis", r"Extended-ShardHour", "kinesis/extended-retention-shard", "shard-hour"),
    Rule("AmazonKinesis", r"LongTermRetention-ByteHrs", "kinesis/long-retention", "GB-month"),
    Rule("AmazonKinesis", r"PutRequestPayloadUnits", "kinesis/put-payload-unit", "25 KB unit"),
    Rule("AmazonKinesis", r"ReadBytes", "kinesis/efo-data", "GB"),
    Rule("AmazonKinesis", r"EnhancedFanoutHour", "kinesis/efo-consumer-shard", "consumer-shard-hour"),
    Rule("AmazonKinesis", r"OnDemand-StreamHour", "kinesis/ondemand-stream", "hour"),
    Rule("AmazonKinesis", r"OnDemand-BilledIncomingBytes", "kinesis/ondemand-in", "GB"),
    Rule("AmazonKinesis", r"OnDemand-BilledOutgoingBytes", "kinesis/ondemand-out", "GB"),
    Rule("AmazonKinesis", r"OnDemand-ExtendedRetention-ByteHrs", "kinesis/ondemand-extended-retention", "GB-month"),
    Rule("AmazonKinesis", r"OnDemand-LongTermRetention-ByteHrs", "kinesis/ondemand-long-retention", "GB-month"),
    Rule("AmazonKinesisFirehose", r"BilledBytes", "firehose/ingest", "GB"),
)  # fmt: skip

# What is asked of GetProducts, by service; the region is added to each. A value that begins with `~` may be anywhere.
QUERIES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("AmazonEC2", {"productFamily": "Compute Instance", **LINUX}),
    ("AmazonEC2", {"productFamily": "Storage"}),
    ("AmazonEC2", {"productFamily": "System Operation"}),
    ("AmazonEC2", {"productFamily": "Provisioned Throughput"}),
    ("AmazonEC2", {"productFamily": "Storage Snapshot"}),
    ("AmazonEC2", {"productFamily": "NAT Gateway"}),
    ("AmazonMSK", {}),
    ("AmazonES", {}),
    ("ElasticMapReduce", {"softwareType": "EMR"}),
    ("ElasticMapReduce", {"productFamily": "EMR Serverless"}),
    ("ElasticMapReduce", {"usagetype": "~EMR-EKS-EC2"}),
    ("AmazonS3", {"productFamily": "Storage"}),
    ("AmazonS3", {"productFamily": "API Request"}),
    ("AmazonS3", {"usagetype": "~Retrieval-SIA"}),
    ("AWSDataTransfer", {"productFamily": "Data Transfer"}),
    ("AmazonVPC", {}),
    ("AWSELB", {}),
    ("AmazonCloudWatch", {}),
    ("AmazonPrometheus", {}),
    ("AmazonGrafana", {}),
    ("AmazonEKS", {}),
    ("AWSGlue", {}),
    ("AWSLambda", {}),
    ("AWSQueueService", {}),
    ("AmazonKinesis", {}),
    ("AmazonKinesisFirehose", {}),
)
REGION_FIELD = {"AWSDataTransfer": "fromRegionCode"}


def filters(service: str, wanted: Mapping[str, str], region: str) -> list[dict[str, str]]:
    """The filters of a query, its region among them; GetProducts takes at most 50."""
    fields = {REGION_FIELD.get(service, "regionCode"): region, **wanted}
    return [
        {"Type": "CONTAINS" if value.startswith("~") else "TERM_MATCH", "Field": name, "Value": value.removeprefix("~")}
        for name, value in fields.items()
    ]
