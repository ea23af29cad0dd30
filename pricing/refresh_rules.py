"""Rules: which item of the book a charge of AWS's price list is, and in which unit.

A *charge* is one price dimension as AWS lists it: service, usage type, operation, unit, range of quantity, dollars. A
rule names the service and the usage type without its region's prefix, and the attributes a charge must have. What no
rule knows is left aside and counted, so that a refresh says how much it did not understand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from pricing.build_compute import PREFIXES, usage_type
from pricing.rows import Row

YEAR_HOURS = 8760
BOX = r"([a-z]+\d[a-z0-9-]*\.[a-z0-9-]+)"  # m7g.large, u-6tb1.metal; not `mcu.general`
LINUX = {"operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"}
TERMS = {"No Upfront": "no", "Partial Upfront": "partial", "All Upfront": "all"}
ENDLESS = ("Inf", "", None)


class Charge(NamedTuple):
    """One price dimension of AWS's list. `sku` and `term` join the parts of a reservation."""

    service: str
    usage_type: str
    operation: str
    attributes: Mapping[str, str]
    sku: str
    term: Mapping[str, str]
    unit: str
    begin: str
    end: str
    usd: str
    published: str


class Rule(NamedTuple):
    """A usage type without prefix (a pattern), the item it is, the book's unit, and what divides its price."""

    service: str
    pattern: str
    item: str
    unit: str
    attributes: Mapping[str, str] = {}
    divide: Mapping[str, int] = {}


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
    Rule("AmazonES", rf"ESInstance:{BOX}", "opensearch/node/{0}.search", "hour"),
    Rule("AmazonES", r"ES:GP3-Storage", "opensearch/gp3-storage", "GB-month"),
    Rule("AmazonES", r"ES:GP3-PIOPS", "opensearch/gp3-iops", "IOPS-month"),
    Rule("AmazonES", r"ES:GP3-Provisioned-ThroughPut", "opensearch/gp3-throughput", "MB/s-month", {},
         {"GiBps-mo": 1024}),
    Rule("AmazonES", r"ES:GP2-Storage", "opensearch/gp2-storage", "GB-month"),
    Rule("AmazonES", r"ES:Managed-Storage", "opensearch/managed-storage", "GB-month"),
    Rule("ElasticMapReduce", rf"BoxUsage:{BOX}", "emr/ec2/{0}", "hour", {"softwareType": "EMR"}),
    Rule("AmazonS3", r"TimedStorage-ByteHrs", "s3/standard-storage", "GB-month"),
    Rule("AmazonS3", r"TimedStorage-SIA-ByteHrs", "s3/standard-ia-storage", "GB-month"),
    Rule("AmazonS3", r"Requests-Tier1", "s3/standard-put-copy-post-list", "request"),
    Rule("AmazonS3", r"Requests-Tier2", "s3/standard-get-select-other", "request"),
    Rule("AWSDataTransfer", r"DataTransfer-Regional-Bytes", "transfer/zones", "GB"),
    Rule("AWSDataTransfer", r"DataTransfer-Out-Bytes", "transfer/internet", "GB"),
    Rule("AmazonVPC", r"VpcEndpoint-Hours", "endpoint/hour", "endpoint-AZ-hour"),
    Rule("AmazonVPC", r"VpcEndpoint-Bytes", "endpoint/gb", "GB"),
    Rule("AmazonVPC", r"PublicIPv4:InUseAddress", "ipv4/hour", "address-hour"),
    Rule("AWSELB", r"LoadBalancerUsage", "alb/hour", "hour", {"operation": "LoadBalancing:Application"}),
    Rule("AWSELB", r"LCUUsage", "alb/lcu", "LCU-hour", {"operation": "LoadBalancing:Application"}),
    Rule("AWSELB", r"LoadBalancerUsage", "nlb/hour", "hour", {"operation": "LoadBalancing:Network"}),
    Rule("AWSELB", r"LCUUsage", "nlb/lcu", "NLCU-hour", {"operation": "LoadBalancing:Network"}),
    Rule("AmazonCloudWatch", r"CW:MetricMonitorUsage", "cloudwatch/metric", "metric-month"),
    Rule("AmazonCloudWatch", r"CW:AlarmMonitorUsage", "cloudwatch/alarm", "alarm-metric-month"),
    Rule("AmazonCloudWatch", r"CW:GMD-Metrics", "cloudwatch/get-metric-data", "metric requested"),
    Rule("AmazonCloudWatch", r"DataProcessing-Bytes", "cloudwatch/logs-in", "GB"),
    Rule("AmazonCloudWatch", r"TimedStorage-ByteHrs", "cloudwatch/logs-stored", "GB-month"),
    Rule("AmazonEKS", r"AmazonEKS-Hours:perCluster", "eks/cluster-hour", "cluster-hour (standard support)"),
)  # fmt: skip

# What is asked of GetProducts, by service; the region is added to each.
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
    ("AmazonS3", {"productFamily": "Storage", "volumeType": "Standard"}),
    ("AmazonS3", {"productFamily": "Storage", "volumeType": "Standard - Infrequent Access"}),
    ("AmazonS3", {"productFamily": "API Request"}),
    ("AWSDataTransfer", {"productFamily": "Data Transfer"}),
    ("AmazonVPC", {}),
    ("AWSELB", {}),
    ("AmazonCloudWatch", {}),
    ("AmazonEKS", {}),
)
REGION_FIELD = {"AWSDataTransfer": "fromRegionCode"}


def filters(service: str, wanted: Mapping[str, str], region: str) -> list[dict[str, str]]:
    """The filters of a query, its region among them; GetProducts takes at most 50."""
    fields = {REGION_FIELD.get(service, "regionCode"): region, **wanted}
    return [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in fields.items()]


def bare(usage_type: str, region: str) -> str:
    """A usage type without its region's prefix; us-east-1 has one in some services only.

    >>> bare("EUC1-BoxUsage:m7g.large", "eu-central-1"), bare("USE1-Kafka.m5.large", "us-east-1")
    ('BoxUsage:m7g.large', 'Kafka.m5.large')
    """
    prefix = (PREFIXES.get(region) or "USE1") + "-"
    return usage_type.removeprefix(prefix)


def charges(page: Iterable[str]) -> Iterator[Charge]:
    """The charges of a page of GetProducts: a list of JSON texts."""
    for text in page:
        data = json.loads(text)
        product = data["product"]
        attributes = product["attributes"]
        for kind in ("OnDemand", "Reserved"):
            for offer in data["terms"].get(kind, {}).values():
                term = {"kind": kind, "code": offer.get("offerTermCode", ""), **offer.get("termAttributes", {})}
                for part in offer["priceDimensions"].values():
                    yield Charge(
                        data.get("serviceCode") or attributes.get("servicecode", ""), attributes.get("usagetype", ""),
                        attributes.get("operation", ""), attributes, product["sku"], term, part["unit"],
                        part.get("beginRange", "0"), part.get("endRange", "Inf"),
                        part["pricePerUnit"].get("USD", ""), data.get("publicationDate", "")[:10],
                    )  # fmt: skip


def rows(found: Iterable[Charge], region: str) -> tuple[list[Row], int]:
    """Rows of the book from charges, and how many charges no rule knows."""
    made: list[Row] = []
    reserved: dict[tuple[str, str], list[Charge]] = {}
    unknown = 0
    for charge in found:
        if charge.term["kind"] == "Reserved":
            reserved.setdefault((charge.sku, charge.term["code"]), []).append(charge)
        elif (row := _row(charge, region)) is not None:
            made.append(row)
        else:
            unknown += 1
    made += [row for parts in reserved.values() if (row := _reserved(parts, region)) is not None]
    return made, unknown


def rule_of(charge: Charge, region: str) -> tuple[Rule, str] | None:
    """The rule that a charge falls under, and the item it is."""
    name = bare(charge.usage_type, region)
    for rule in RULES:
        if rule.service != charge.service:
            continue
        fits = re.fullmatch(rule.pattern, name)
        if fits and all(charge.attributes.get(k, v) == v for k, v in rule.attributes.items()):
            return rule, rule.item.format(*fits.groups())
    if charge.service == "AWSDataTransfer" and charge.attributes.get("toRegionCode") and "AWS-Out-Bytes" in name:
        peer = charge.attributes["toRegionCode"]
        return Rule(charge.service, "", "", "GB"), f"transfer/region-{peer}"
    return None


def _row(charge: Charge, region: str) -> Row | None:
    found = rule_of(charge, region)
    if found is None or not charge.usd or _is_free_box(charge):
        return None
    rule, item = found
    usd = Decimal(charge.usd) / rule.divide.get(charge.unit, 1)
    tiered = charge.begin not in ("0", "") or charge.end not in ENDLESS
    tier = (_plain(charge.begin or "0"), "" if charge.end in ENDLESS else _plain(charge.end)) if tiered else ("", "")
    return _made(charge, item, region, usd, rule.unit, tier)


def _is_free_box(charge: Charge) -> bool:
    """Rows of price 0 beside the real one (dedicated hosts, capacity blocks) are not prices of a box."""
    return "BoxUsage" in charge.usage_type and Decimal(charge.usd) == 0


def _reserved(parts: list[Charge], region: str) -> Row | None:
    """A Standard RI as effective dollars an hour: hourly part, and the upfront part over the term."""
    first = parts[0]
    found, term = rule_of(first, region), first.term
    payment = TERMS.get(term.get("PurchaseOption", ""))
    if found is None or payment is None or term.get("OfferingClass") != "standard":
        return None
    if not found[1].startswith(("ec2/on-demand/", "opensearch/node/")):
        return None
    years = int(term["LeaseContractLength"].removesuffix("yr"))
    hourly = sum((Decimal(p.usd) for p in parts if p.unit.lower() in ("hrs", "hours")), Decimal(0))
    upfront = sum((Decimal(p.usd) for p in parts if p.unit == "Quantity"), Decimal(0))
    family = "ec2" if found[1].startswith("ec2/") else "opensearch"
    item = f"{family}/ri-{years}yr-{payment}-upfront/{found[1].rpartition('/')[2]}"
    usd = (hourly + upfront / (YEAR_HOURS * years)).quantize(Decimal("0.000001"))
    return _made(first, item, region, usd, "effective hour", ("", ""))


def _made(charge: Charge, item: str, region: str, usd: Decimal, unit: str, tier: tuple[str, str]) -> Row:
    source = f"AWS Price List, {charge.service}, published {charge.published or 'without a date'}"
    return Row(item, region, _plain(usd), unit, *tier, charge.service, charge.usage_type, charge.operation, "read/read",
               "published", source, charge.published)  # fmt: skip


def _plain(number: str | Decimal) -> str:
    return f"{Decimal(number).normalize():f}"


def savings_rows(results: Iterable[Mapping[str, Any]], region: str, as_of: str) -> list[Row]:
    """Rates of EC2 Instance and Compute Savings Plans, from DescribeSavingsPlansOfferingRates."""
    made = []
    for found in results:
        offering = found["savingsPlanOffering"]
        named = {p["name"]: p["value"] for p in found.get("properties", [])}
        payment = TERMS.get(offering.get("paymentOption", ""))
        box = named.get("instanceType", "")
        if payment is None or not box or named.get("productDescription", "Linux/UNIX") != "Linux/UNIX":
            continue
        years = round(offering["durationSeconds"] / (YEAR_HOURS * 3600))
        plan = {"EC2Instance": "sp", "Compute": "compute-sp"}.get(offering["planType"])
        if plan is None or named.get("tenancy", "shared") != "shared":
            continue
        item = f"ec2/{plan}-{years}yr-{payment}-upfront/{box}"
        made.append(
            Row(item, region, _plain(found["rate"]), "effective hour", "", "", "ComputeSavingsPlans",
                found["usageType"], found.get("operation", ""), "read/read", "published",
                "DescribeSavingsPlansOfferingRates", as_of)
        )  # fmt: skip
    return made


def spot_rows(seen: Iterable[tuple[str, str, str]], region: str, as_of: str) -> list[Row]:
    """Spot prices by box: the mean over zones of the latest price in each; (box, zone, USD), latest first."""
    latest: dict[str, dict[str, Decimal]] = {}
    for box, zone, usd in seen:
        latest.setdefault(box, {}).setdefault(zone, Decimal(usd))
    made = []
    for box, zones in sorted(latest.items()):
        mean = (sum(zones.values(), Decimal(0)) / len(zones)).quantize(Decimal("0.000001"))
        source = f"DescribeSpotPriceHistory, mean of the latest in {len(zones)} zones"
        name = usage_type(region, f"SpotUsage:{box}") if region in PREFIXES else ""
        made.append(
            Row(f"ec2/spot/{box}", region, _plain(mean), "hour", "", "", "AmazonEC2", name, "RunInstances",
                "derived/remembered", "measured", source, as_of)
        )  # fmt: skip
    return made
