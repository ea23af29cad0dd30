"""Prices of volumes, objects, transfer, monitoring, support and the rivals, turned into rows of the price book."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pricing import build_names as names
from pricing.build_compute import grade_of
from pricing.build_machines import read_rows
from pricing.rows import Row, plain

TEBI_GB = 1024


def _row(
    region: str, item: str, usd: str, unit: str, grade: str, source: str, as_of: str, tier: tuple[str, str] = ("", ""),
) -> Row:  # fmt: skip
    service, name, operation, basis = names.of(item, region)
    return Row(item, region, plain(usd), unit, *tier, service, name, operation, basis, grade, source, as_of)


def ebs_rows(facts: Path) -> Iterator[Row]:
    """EBS volumes outside managed services."""
    for row in read_rows(facts / "aws" / "ebs_prices.csv"):
        item = f"{row['volume_type']}-{row['item'].replace('_', '-')}"
        unit = row["unit"].split(" above")[0]
        grade = grade_of(row["basis"], row["source"])
        yield _row(row["region"], f"ebs/{item}", row["usd"], unit, grade, row["source"], row["as_of"])


S3_TIERS = {
    "storage_first_50TB": ("0", str(50 * TEBI_GB)),
    "storage_next_450TB": (str(50 * TEBI_GB), str(500 * TEBI_GB)),
    "storage_over_500TB": (str(500 * TEBI_GB), ""),
}


def s3_rows(facts: Path) -> Iterator[Row]:
    """S3 classes and requests; Standard storage in its three tiers."""
    for row in read_rows(facts / "aws" / "s3_prices.csv"):
        kind, item = row["storage_class"].replace("_", "-"), row["item"]
        tier = S3_TIERS.get(item, ("", ""))
        short = f"{kind}-{'storage' if item in S3_TIERS else item.replace('_', '-')}"
        yield _row(
            row["region"], f"s3/{short}", row["usd"], row["unit"], "published", row["source"], row["as_of"], tier
        )


NETWORK = {
    "inter_az_each_direction": ("transfer/zones", "GB"), "internet_egress": ("transfer/internet", "GB"),
    "internet_free_tier": ("transfer/internet-free", "GB"), "nat_gateway_hour": ("nat/hour", "hour"),
    "nat_gateway_gb": ("nat/gb", "GB"), "interface_endpoint_hour": ("endpoint/hour", "endpoint-AZ-hour"),
    "interface_endpoint_gb": ("endpoint/gb", "GB"), "alb_hour": ("alb/hour", "hour"),
    "alb_lcu_hour": ("alb/lcu", "LCU-hour"), "nlb_hour": ("nlb/hour", "hour"), "nlb_lcu_hour": ("nlb/lcu", "NLCU-hour"),
    "public_ipv4_hour": ("ipv4/hour", "address-hour"), "tgw_attachment_hour": ("tgw/hour", "attachment-hour"),
    "tgw_gb": ("tgw/gb", "GB"),
}  # fmt: skip


def network_rows(facts: Path) -> Iterator[Row]:
    """Transfer, NAT, endpoints, balancers, addresses."""
    for row in read_rows(facts / "aws" / "network_prices.csv"):
        region, source = row["region"], row["source"]
        grade = "remembered" if "memory" in source else "derived" if "assumed" in source else "published"
        if row["item"] == "inter_region_out":
            pair = f"{names.short(region)}-{names.short(row['peer'])}-AWS-Out-Bytes"
            made = _row(region, f"transfer/region-{row['peer']}", row["usd"], "GB", grade, source, row["as_of"])
            yield made._replace(usage_type=pair, operation="InterRegion-Out", identity="derived/remembered")
            continue
        item, unit = NETWORK[row["item"]]
        tier = ("", "")
        if row["item"].startswith("internet"):
            tier = tuple(plain(row[end]) if row[end] else "" for end in ("tier_from_gb", "tier_to_gb"))  # type: ignore[assignment]
        yield _row(region, item, row["usd"], unit, grade, source, row["as_of"], tier)


OBSERVED = {
    "cw_custom_metric_month_0_10k": ("cloudwatch/metric", ("0", "10000")),
    "cw_custom_metric_month_10k_250k": ("cloudwatch/metric", ("10000", "250000")),
    "cw_custom_metric_month_250k_1M": ("cloudwatch/metric", ("250000", "1000000")),
    "cw_custom_metric_month_over_1M": ("cloudwatch/metric", ("1000000", "")),
    "amp_ingest_40M_2B": ("amp/samples", ("40000000", "2000000000")),
    "amp_ingest_2B_252B": ("amp/samples", ("2000000000", "252000000000")),
    "amp_ingest_over_252B": ("amp/samples", ("252000000000", "")),
    "amp_storage_gb_month": ("amp/storage", ("10", "")),
    "amp_query_sample": ("amp/query-samples", ("", "")),
    "amp_collector_hour": ("amp/collector", ("", "")),
    "amg_editor_user_month": ("amg/editor", ("", "")),
    "amg_viewer_user_month": ("amg/viewer", ("", "")),
    "cw_alarm_standard_month": ("cloudwatch/alarm", ("", "")),
    "cw_alarm_highres_month": ("cloudwatch/alarm-highres", ("", "")),
    "cw_getmetricdata": ("cloudwatch/get-metric-data", ("", "")),
    "cw_other_api": ("cloudwatch/api", ("", "")),
    "cw_metric_stream_update": ("cloudwatch/stream-update", ("", "")),
    "cw_logs_ingest_gb": ("cloudwatch/logs-in", ("", "")),
    "cw_logs_ia_ingest_gb": ("cloudwatch/logs-ia-in", ("", "")),
    "cw_logs_stored_gb_month": ("cloudwatch/logs-stored", ("", "")),
    "cw_logs_insights_gb": ("cloudwatch/logs-query", ("", "")),
}


def observability_rows(facts: Path) -> Iterator[Row]:
    """CloudWatch, Managed Prometheus, Managed Grafana. Free first parts are rows at 0."""
    for row in read_rows(facts / "aws" / "observability_prices.csv"):
        item, tier = OBSERVED[row["item"]]
        unit = row["unit"].split(" (")[0]
        made = _row(row["region"], item, row["usd"], unit, "published", row["source"], row["as_of"], tier)
        yield made
        if row["item"] in ("amp_ingest_40M_2B", "amp_storage_gb_month"):
            yield made._replace(usd="0", tier_from="0", tier_to=tier[0])


def support_rows(facts: Path) -> Iterator[Row]:
    """Support plans: a share of the month's AWS charges by tier, and a minimum."""
    seen: set[str] = set()
    for row in read_rows(facts / "aws" / "support_plans.csv"):
        plan = SUPPORT_PLANS[row["plan"]]
        grade = "remembered" if "memory" in row["source"] else grade_of("", row["source"])
        tier = (plain(row["usage_from_usd"]), plain(row["usage_to_usd"]) if row["usage_to_usd"] else "")
        source, as_of = row["source"], row["as_of"]
        yield _supported(_row("any", f"support/{plan}", row["rate_frac"], "USD of charges", grade, source, as_of, tier))
        if plan not in seen:
            seen.add(plan)
            usd = row["monthly_minimum_usd"]
            yield _supported(_row("any", f"support/{plan}-minimum", usd, "month", grade, source, as_of))


def _supported(row: Row) -> Row:
    """A support row under its plan's service code, where one was read; AWS meters it in dollars."""
    service = SUPPORT_CODES.get(row.item.removeprefix("support/").removesuffix("-minimum"), "")
    if not service:
        return row
    basis = "read/unknown" if service in SUPPORT_READ else "remembered/unknown"
    return row._replace(service_code=service, usage_type="Dollar", identity=basis)


SUPPORT_PLANS = {
    "business": "business", "enterprise": "enterprise", "developer": "developer",
    "enterprise_on_ramp": "enterprise-on-ramp", "business_plus (new, from 2025-12)": "business-plus",
    "enterprise (new, from 2025-12)": "enterprise-2026", "unified_operations (new, from 2025-12)": "unified-operations",
}  # fmt: skip
# Read with `Dollar` in a bill's lines (business), the code alone in AWS's billing API (enterprise, developer).
SUPPORT_CODES = {
    "business": "AWSSupportBusiness", "enterprise": "AWSSupportEnterprise", "developer": "AWSSupportDeveloper",
}  # fmt: skip
SUPPORT_READ = ("AWSSupportBusiness",)


def storage_rows(facts: Path) -> Iterator[Row]:
    """OpenSearch Service storage and Serverless; Elastic Cloud as a placeholder."""
    for row in read_rows(facts / "aws" / "opensearch_storage_and_elastic_cloud.csv"):
        item = row["item"].replace("_", "-").removesuffix("-or1-or2-om2-oi2")
        service = "elastic-cloud" if row["service"] == "elastic_cloud" else "opensearch"
        yield _row(
            row["region"], f"{service}/{item}", row["usd"], row["unit"].split(" (")[0].split(" above")[0],
            grade_of(row["basis"], row["source"]), row["source"], row["as_of"],
        )  # fmt: skip


ALTERNATIVE_UNITS = {"per 1M requests": ("million requests", 1.0)}


def alternative_rows(facts: Path) -> Iterator[Row]:
    """Lambda, SQS, Kinesis, Firehose: prices, and the limits at which each stops fitting."""
    for row in read_rows(facts / "aws" / "alternatives_prices.csv"):
        found = re.match(r"(.*?)_(first|next|over)_([\d.]+)(\w*)$", row["item"])
        item = (found[1] if found and row["service"] != "sqs" else row["item"]).replace("_", "-")
        unit = ALTERNATIVE_UNITS.get(row["unit"], (row["unit"].split(" (")[0], 1.0))[0]
        tier = ALTERNATIVE_TIERS.get((row["service"], row["item"]), ("", ""))
        grade = "remembered" if row["basis"] == "remembered" else grade_of(row["basis"], row["source"])
        yield _row(
            row["region"], f"{row['service']}/{item}", row["usd_or_limit"], unit, grade, row["source"],
            row["as_of"] or "unknown", tier,
        )  # fmt: skip


# Tier ends are AWS's words: 6 and 9 billion GB-seconds, 500 TB, 1.5 and 3 PB (binary, in GB).
ALTERNATIVE_TIERS = {
    ("lambda", "duration_x86_first_6B"): ("0", "6000000000"),
    ("lambda", "duration_x86_next_9B"): ("6000000000", "15000000000"),
    ("lambda", "duration_x86_over_15B"): ("15000000000", ""),
    ("lambda", "duration_arm_first_7.5B"): ("0", "7500000000"),
    ("firehose", "ingest_first_500TB"): ("0", str(500 * TEBI_GB)),
    ("firehose", "ingest_next_1.5PB"): (str(500 * TEBI_GB), str(2000 * TEBI_GB)),
    ("firehose", "ingest_next_3PB"): (str(2000 * TEBI_GB), str(5000 * TEBI_GB)),
}
