"""What AWS calls each item of the book: service code, usage type without its region's prefix, operation.

A *name* is what actuals, FOCUS and the calculator join on. Its `basis` says how usage type and operation were come by:
`read`, `derived` (read in another region), `remembered`, `unknown` (then it is empty). A usage type that was read in a
row's own region makes that row `read`.

Read in: a Cost Explorer report by operation and usage type of ap-northeast-2 (2019; EBS, NAT, balancers, S3,
CloudWatch); a project's notes of the Price List of ap-southeast-1 (2026-08-12; MSK, EC2, S3, EMR Serverless,
CloudWatch); readers of the Price List with its fixtures (MSK Serverless, EBS, Grafana, OpenSearch volumes); prices that
several projects drew from the offer files of us-east-1, eu-west-1 and ap-northeast-1 (2026-09-10 to 2026-10-07:
balancers, NAT, VPC, logs, Prometheus, transfer, EBS, S3, Lambda, SQS, Kinesis, EKS, OpenSearch Serverless);
infracost's product filters (2026-08: Kinesis, S3 classes, transit gateways, OpenSearch); a cost report's mapping of
EMR; AWS's page of S3 usage types.
"""

from __future__ import annotations

from typing import NamedTuple

# What AWS puts before a usage type. us-east-1 has none in its oldest services, and `USE1` in the others.
PREFIXES = {
    "us-east-1": "", "us-east-2": "USE2", "us-west-1": "USW1", "us-west-2": "USW2", "ca-central-1": "CAN1",
    "eu-west-1": "EU", "eu-west-2": "EUW2", "eu-west-3": "EUW3", "eu-central-1": "EUC1", "eu-north-1": "EUN1",
    "ap-southeast-1": "APS1", "ap-southeast-2": "APS2", "ap-northeast-1": "APN1", "ap-northeast-2": "APN2",
    "ap-south-1": "APS3", "sa-east-1": "SAE1",
}  # fmt: skip
US_EAST_1 = "USE1"
# Seen with USE1 in us-east-1: all of these services (Grafana's is taken to be so), and these of OpenSearch Serverless.
PREFIXED_SERVICES = {"AmazonMSK", "AmazonVPC", "AmazonPrometheus", "AmazonEKS", "AWSGlue", "AmazonGrafana"}
PREFIXED_TYPES = {"SearchOCU", "IndexingOCU", "StorageUsedInS3ByteHour"}


class Name(NamedTuple):
    """AWS's name of an item; `usage_type` is without its region's prefix."""

    service: str
    usage_type: str = ""
    operation: str = ""
    basis: str = "unknown/unknown"


def usage_type(region: str, name: str, service: str = "") -> str:
    """A usage type with its region's prefix.

    >>> usage_type("us-east-1", "BoxUsage:m7g.large"), usage_type("eu-west-1", "BoxUsage:m7g.large")
    ('BoxUsage:m7g.large', 'EU-BoxUsage:m7g.large')
    >>> usage_type("us-east-1", "VpcEndpoint-Hours", "AmazonVPC")
    'USE1-VpcEndpoint-Hours'
    """
    prefix = PREFIXES[region]
    if not prefix and (service in PREFIXED_SERVICES or name in PREFIXED_TYPES):
        prefix = US_EAST_1
    return f"{prefix}-{name}" if prefix else name


def short(region: str) -> str:
    """The short name of a region in an inter-region usage type.

    >>> short("us-east-1"), short("us-west-2"), short("eu-west-1")
    ('USE1', 'USW2', 'EU')
    """
    return PREFIXES[region] or US_EAST_1


def of(item: str, region: str) -> tuple[str, str, str, str]:
    """Service code, usage type with prefix, operation and basis of an item in a region; what is not known is empty."""
    name = NAMES.get(item) or Name(next((code for start, code in SERVICES.items() if item.startswith(start)), ""))
    if not name.usage_type:
        return name
    full = name.usage_type if region == "any" else usage_type(region, name.usage_type, name.service)
    first, _, second = name.basis.partition("/")
    return name.service, full, name.operation, f"{'read' if full in READ.get(region, ()) else first}/{second}"


SERVICES = {
    "ebs/": "AmazonEC2", "s3/": "AmazonS3", "transfer/": "AWSDataTransfer", "tgw/": "AmazonVPC",
    "cloudwatch/": "AmazonCloudWatch", "amp/": "AmazonPrometheus", "amg/": "AmazonGrafana", "opensearch/": "AmazonES",
    "msk/": "AmazonMSK", "eks/": "AmazonEKS", "fargate-eks/": "AmazonEKS", "glue/": "AWSGlue",
    "emr": "ElasticMapReduce", "lambda/": "AWSLambda", "sqs/": "AWSQueueService", "kinesis/": "AmazonKinesis",
    "firehose/": "AmazonKinesisFirehose",
}  # fmt: skip
ALB, NLB = "LoadBalancing:Application", "LoadBalancing:Network"
EC2, S3, CW, ES = "AmazonEC2", "AmazonS3", "AmazonCloudWatch", "AmazonES"
NAMES = {
    "ebs/gp3-storage": Name(EC2, "EBS:VolumeUsage.gp3", "CreateVolume-Gp3", "derived/read"),
    "ebs/gp3-throughput": Name(EC2, "EBS:VolumeP-Throughput.gp3", "CreateVolume-Gp3", "derived/remembered"),
    "ebs/gp3-iops": Name(EC2, "EBS:VolumeP-IOPS.gp3", "CreateVolume-Gp3", "derived/remembered"),
    "ebs/gp2-storage": Name(EC2, "EBS:VolumeUsage.gp2", "CreateVolume-Gp2", "derived/read"),
    "ebs/io1-storage": Name(EC2, "EBS:VolumeUsage.piops", "CreateVolume-P-IOPS", "derived/read"),
    "ebs/io1-iops": Name(EC2, "EBS:VolumeP-IOPS.piops", "CreateVolume-P-IOPS", "derived/read"),
    "ebs/io2-storage": Name(EC2, "EBS:VolumeUsage.io2", "", "derived/unknown"),
    "ebs/io2-iops-tier1-to-32000": Name(EC2, "EBS:VolumeP-IOPS.io2", "", "derived/unknown"),
    "ebs/io2-iops-tier2-32001-64000": Name(EC2, "EBS:VolumeP-IOPS.io2.tier2", "", "derived/unknown"),
    "ebs/io2-iops-tier3-above-64000": Name(EC2, "EBS:VolumeP-IOPS.io2.tier3", "", "derived/unknown"),
    "ebs/st1-storage": Name(EC2, "EBS:VolumeUsage.st1", "CreateVolume-St1", "derived/read"),
    "ebs/sc1-storage": Name(EC2, "EBS:VolumeUsage.sc1", "CreateVolume-Sc1", "derived/read"),
    "ebs/standard-storage": Name(EC2, "EBS:VolumeUsage", "CreateVolume", "derived/read"),
    "ebs/snapshot-storage": Name(EC2, "EBS:SnapshotUsage", "CreateSnapshot", "derived/read"),
    "nat/hour": Name(EC2, "NatGateway-Hours", "NatGateway", "derived/read"),
    "nat/gb": Name(EC2, "NatGateway-Bytes", "NatGateway", "derived/read"),
    "s3/standard-storage": Name(S3, "TimedStorage-ByteHrs", "StandardStorage", "derived/read"),
    "s3/standard-put-copy-post-list": Name(S3, "Requests-Tier1", "PutObject", "derived/remembered"),
    "s3/standard-get-select-other": Name(S3, "Requests-Tier2", "GetObject", "derived/remembered"),
    "s3/standard-ia-storage": Name(S3, "TimedStorage-SIA-ByteHrs", "StandardIAStorage", "derived/read"),
    "s3/standard-ia-put-copy-post-list": Name(S3, "Requests-SIA-Tier1", "", "derived/unknown"),
    "s3/standard-ia-get-select-other": Name(S3, "Requests-SIA-Tier2", "", "derived/unknown"),
    "s3/standard-ia-retrieval": Name(S3, "Retrieval-SIA", "", "derived/unknown"),
    "s3/onezone-ia-storage": Name(S3, "TimedStorage-ZIA-ByteHrs", "", "derived/unknown"),
    "s3/glacier-ir-storage": Name(S3, "TimedStorage-GIR-ByteHrs", "GlacierInstantRetrievalStorage", "derived/read"),
    "s3/intelligent-tiering-storage-infrequent": Name(S3, "TimedStorage-INT-IA-ByteHrs", "", "derived/unknown"),
    "s3/express-onezone-storage": Name(S3, "TimedStorage-XZ-ByteHrs", "", "derived/unknown"),
    "transfer/zones": Name("AWSDataTransfer", "DataTransfer-Regional-Bytes", "InterZone-In/Out", "derived/read"),
    "transfer/internet": Name("AWSDataTransfer", "DataTransfer-Out-Bytes", "", "derived/unknown"),
    "endpoint/hour": Name("AmazonVPC", "VpcEndpoint-Hours", "VpcEndpoint", "derived/derived"),
    "endpoint/gb": Name("AmazonVPC", "VpcEndpoint-Bytes", "VpcEndpoint", "derived/derived"),
    "ipv4/hour": Name("AmazonVPC", "PublicIPv4:InUseAddress", "", "derived/unknown"),
    "tgw/hour": Name("AmazonVPC", "TransitGateway-Hours", "TransitGatewayVPC", "derived/remembered"),
    "tgw/gb": Name("AmazonVPC", "TransitGateway-Bytes", "TransitGatewayVPC", "derived/remembered"),
    "alb/hour": Name("AWSELB", "LoadBalancerUsage", ALB, "derived/read"),
    "alb/lcu": Name("AWSELB", "LCUUsage", ALB, "derived/read"),
    "nlb/hour": Name("AWSELB", "LoadBalancerUsage", NLB, "derived/read"),
    "nlb/lcu": Name("AWSELB", "LCUUsage", NLB, "derived/read"),
    "cloudwatch/metric": Name(CW, "CW:MetricMonitorUsage", "MetricStorage", "derived/read"),
    "cloudwatch/alarm": Name(CW, "CW:AlarmMonitorUsage", "Unknown", "derived/read"),
    "cloudwatch/get-metric-data": Name(CW, "CW:GMD-Metrics", "GetMetricData", "derived/read"),
    "cloudwatch/logs-in": Name(CW, "DataProcessing-Bytes", "PutLogEvents", "derived/read"),
    "cloudwatch/logs-query": Name(CW, "DataScanned-Bytes", "StartQuery", "derived/remembered"),
    "cloudwatch/logs-stored": Name(CW, "TimedStorage-ByteHrs", "HourlyStorageMetering", "derived/remembered"),
    "amp/samples": Name("AmazonPrometheus", "AMP:MetricSampleCount", "", "derived/unknown"),
    "amp/storage": Name("AmazonPrometheus", "AMP:MetricStorageByteHrs", "", "derived/unknown"),
    "amp/query-samples": Name("AmazonPrometheus", "AMP:QuerySamplesProcessed", "", "derived/unknown"),
    "amg/editor": Name("AmazonGrafana", "Grafana:EditorUser", "", "derived/unknown"),
    "amg/viewer": Name("AmazonGrafana", "Grafana:ViewerUser", "", "derived/unknown"),
    "opensearch/gp3-storage": Name(ES, "ES:GP3-Storage", "ESDomain", "derived/read"),
    "opensearch/gp3-iops": Name(ES, "ES:GP3-PIOPS", "ESDomain", "derived/remembered"),
    "opensearch/gp3-throughput": Name(ES, "ES:GP3-Provisioned-ThroughPut", "ESDomain", "derived/remembered"),
    "opensearch/gp2-storage": Name(ES, "ES:GP2-Storage", "ESDomain", "derived/remembered"),
    "opensearch/io1-storage": Name(ES, "ES:PIOPS-Storage", "ESDomain", "derived/remembered"),
    "opensearch/io1-iops": Name(ES, "ES:PIOPS", "ESDomain", "derived/remembered"),
    "opensearch/magnetic-storage": Name(ES, "ES:Magnetic-Storage", "ESDomain", "derived/remembered"),
    "opensearch/managed-storage": Name(ES, "ES:Managed-Storage", "ESDomain", "derived/remembered"),
    "opensearch/serverless-ocu-hour": Name(ES, "SearchOCU", "SearchOCU", "derived/read"),
    "opensearch/serverless-storage": Name(ES, "StorageUsedInS3ByteHour", "StorageUsedInS3ByteHour", "derived/read"),
    "eks/cluster-hour": Name("AmazonEKS", "AmazonEKS-Hours:perCluster", "CreateOperation", "derived/read"),
    "eks/cluster-hour-extended-support": Name("AmazonEKS", "AmazonEKS-Hours:extendedSupport", "", "derived/unknown"),
    "emr-on-eks/vcpu-hour": Name("ElasticMapReduce", "EMR-EKS-EC2-vCPUHours", "", "derived/unknown"),
    "emr-on-eks/gb-hour": Name("ElasticMapReduce", "EMR-EKS-EC2-GBHours", "", "derived/unknown"),
    "emr-serverless/vcpu-hour-x86": Name("ElasticMapReduce", "EMR-SERVERLESS-vCPUHours", "", "derived/unknown"),
    "emr-serverless/gb-hour-x86": Name("ElasticMapReduce", "EMR-SERVERLESS-MemoryGBHours", "", "derived/unknown"),
    "emr-serverless/vcpu-hour-arm64": Name("ElasticMapReduce", "EMR-SERVERLESS-ARM-vCPUHours", "", "derived/unknown"),
    "emr-serverless/gb-hour-arm64": Name("ElasticMapReduce", "EMR-SERVERLESS-ARM-MemoryGBHours", "", "derived/unknown"),
    "emr-serverless/ephemeral-storage-gb-hour-above-20gb": Name(
        "ElasticMapReduce", "EMR-SERVERLESS-StorageGBHours", "", "derived/unknown"),
    "glue/dpu-hour": Name("AWSGlue", "ETL-DPU-Hour", "", "derived/unknown"),
    "lambda/requests": Name("AWSLambda", "Request", "", "derived/unknown"),
    "lambda/duration-x86": Name("AWSLambda", "Lambda-GB-Second", "", "derived/unknown"),
    "lambda/duration-arm": Name("AWSLambda", "Lambda-GB-Second-ARM", "", "derived/unknown"),
    "sqs/standard-requests": Name("AWSQueueService", "Requests-RBP", "", "derived/unknown"),
    "sqs/fifo-requests": Name("AWSQueueService", "Requests-FIFO-RBP", "", "remembered/unknown"),
    "kinesis/provisioned-shard": Name("AmazonKinesis", "Storage-ShardHour", "shardHourStorage", "derived/read"),
    "kinesis/put-payload-unit": Name("AmazonKinesis", "PutRequestPayloadUnits", "PutRequest", "derived/read"),
    "kinesis/extended-retention-shard": Name("AmazonKinesis", "Extended-ShardHour", "shardHourStorage", "derived/read"),
    "kinesis/efo-data": Name("AmazonKinesis", "ReadBytes", "EnhancedFanoutDataRetrieval", "derived/read"),
    "kinesis/efo-consumer-shard": Name("AmazonKinesis", "EnhancedFanoutHour", "ConsumerHour", "derived/read"),
    "kinesis/ondemand-stream": Name("AmazonKinesis", "OnDemand-StreamHour", "OnDemandStreamHr", "derived/read"),
    "kinesis/ondemand-in": Name(
        "AmazonKinesis", "OnDemand-BilledIncomingBytes", "OnDemandDataIngested", "derived/read"),
    "kinesis/ondemand-out": Name(
        "AmazonKinesis", "OnDemand-BilledOutgoingBytes", "OnDemandDataRetrieval", "derived/read"),
    "kinesis/ondemand-extended-retention": Name(
        "AmazonKinesis", "OnDemand-ExtendedRetention-ByteHrs", "OnDemandExtendedRetentionByteHrs", "derived/read"),
    "kinesis/ondemand-long-retention": Name(
        "AmazonKinesis", "OnDemand-LongTermRetention-ByteHrs", "OnDemandLongTermRetentionByteHrs", "derived/read"),
    "kinesis/long-retention": Name(
        "AmazonKinesis", "LongTermRetention-ByteHrs", "LongTermRetentionByteHrs", "derived/read"),
    "firehose/ingest": Name("AmazonKinesisFirehose", "BilledBytes", "", "derived/unknown"),
}  # fmt: skip

# Usage types that were read with their region's own prefix: these rows are `read`.
READ = {
    "us-east-1": frozenset({
        "BoxUsage:m7g.large", "NatGateway-Hours", "NatGateway-Bytes", "LoadBalancerUsage", "LCUUsage",
        "USE1-VpcEndpoint-Hours", "USE1-VpcEndpoint-Bytes", "USE1-PublicIPv4:InUseAddress", "DataTransfer-Out-Bytes",
        "DataTransfer-Regional-Bytes", "TimedStorage-ByteHrs", "Requests-Tier1", "Requests-Tier2",
        "TimedStorage-INT-IA-ByteHrs", "DataProcessing-Bytes", "CW:AlarmMonitorUsage", "USE1-AMP:MetricSampleCount",
        "USE1-AMP:MetricStorageByteHrs", "USE1-AMP:QuerySamplesProcessed", "USE1-SearchOCU",
        "USE1-StorageUsedInS3ByteHour", "USE1-AmazonEKS-Hours:perCluster", "USE1-AmazonEKS-Hours:extendedSupport",
        "USE1-ETL-DPU-Hour", "Request", "Lambda-GB-Second", "Requests-RBP", "Storage-ShardHour",
        "PutRequestPayloadUnits",
    }),
    "ap-southeast-1": frozenset({
        "APS1-EBS:VolumeUsage.gp3", "APS1-EBS:VolumeP-IOPS.gp3", "APS1-EBS:VolumeP-Throughput.gp3",
        "APS1-EBS:SnapshotUsage", "APS1-NatGateway-Hours", "APS1-NatGateway-Bytes", "APS1-VpcEndpoint-Hours",
        "APS1-VpcEndpoint-Bytes", "APS1-TimedStorage-ByteHrs", "APS1-TimedStorage-SIA-ByteHrs",
        "APS1-TimedStorage-GIR-ByteHrs", "APS1-Requests-Tier1", "APS1-Requests-Tier2", "APS1-DataScanned-Bytes",
        "APS1-CW:AlarmMonitorUsage", "APS1-EMR-SERVERLESS-vCPUHours", "APS1-EMR-SERVERLESS-MemoryGBHours",
        "APS1-EMR-SERVERLESS-ARM-vCPUHours", "APS1-EMR-SERVERLESS-ARM-MemoryGBHours",
        "APS1-EMR-SERVERLESS-StorageGBHours", "APS1-Grafana:EditorUser", "APS1-ES:GP3-Storage",
        "APS1-Kafka.Storage.Tiered", "APS1-Kafka.DataRetrieval.Tiered", "APS1-Kafka.PrivateConnectivityHours",
        "APS1-KafkaServerless-ClusterHours", "APS1-KafkaServerless-PartitionHours", "APS1-KafkaServerless-In-Bytes",
        "APS1-KafkaServerless-Out-Bytes", "APS1-KafkaServerless-StorageHours",
    }),
    "ap-northeast-1": frozenset({
        "APN1-EBS:VolumeUsage.gp3", "APN1-EBS:VolumeP-IOPS.gp3", "APN1-EBS:VolumeP-Throughput.gp3",
        "APN1-EBS:VolumeUsage.io2", "APN1-EBS:VolumeP-IOPS.io2", "APN1-EBS:VolumeUsage.gp2",
        "APN1-EBS:VolumeUsage.piops", "APN1-EBS:VolumeP-IOPS.piops", "APN1-EBS:VolumeUsage.st1",
        "APN1-EBS:VolumeUsage.sc1", "APN1-EBS:SnapshotUsage", "APN1-DataTransfer-Regional-Bytes",
    }),
    "ap-northeast-2": frozenset({
        "APN2-SearchOCU", "APN2-AMP:MetricSampleCount", "APN2-AMP:MetricStorageByteHrs",
    }),
    "eu-west-1": frozenset({
        "EU-EBS:VolumeUsage.gp3", "EU-EBS:VolumeP-IOPS.gp3", "EU-AMP:MetricSampleCount",
        "EU-AMP:MetricStorageByteHrs", "EU-TimedStorage-ByteHrs", "EU-Requests-Tier1", "EU-Requests-Tier2",
        "EU-PublicIPv4:InUseAddress", "EU-CW:MetricMonitorUsage", "EU-CW:AlarmMonitorUsage",
        "EU-DataProcessing-Bytes", "EU-DataTransfer-Out-Bytes", "EU-DataTransfer-Regional-Bytes",
        "EU-NatGateway-Bytes", "EU-LCUUsage",
    }),
}  # fmt: skip
