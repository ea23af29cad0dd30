"""Hourly prices of boxes, brokers, nodes and EMR, turned from the facts into rows of the price book."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pricing import build_names as names
from pricing.build_machines import read_rows
from pricing.build_names import PREFIXES as PREFIXES
from pricing.build_names import READ, usage_type
from pricing.rows import Row, plain

PAYMENTS = ("all", "partial", "no")


def _hourly(
    region: str, item: str, usd: str, service: str, name: str, operation: str, identity: str, grade: str,
    source: str, as_of: str, unit: str = "hour",
) -> Row:  # fmt: skip
    return Row(item, region, plain(usd), unit, "", "", service, name, operation, identity, grade, source, as_of)


def ec2_rows(facts: Path) -> Iterator[Row]:
    """On-demand Linux, shared tenancy."""
    for row in read_rows(facts / "aws" / "ec2_prices.csv"):
        region, box, source = row["region"], row["instance_type"], row["source"]
        if row["od_confirmed_by"] and row["od_confirmed_by"] != source:
            source = f"{source}; {row['od_confirmed_by']}"
        name = usage_type(region, f"BoxUsage:{box}")
        yield _hourly(
            region, f"ec2/on-demand/{box}", row["on_demand_usd_per_hour"], "AmazonEC2", name, "RunInstances",
            f"{'read' if name in READ.get(region, ()) else 'derived'}/read", "published", source, row["as_of"],
        )  # fmt: skip


def ec2_commitment_rows(facts: Path) -> Iterator[Row]:
    """Standard RIs, and EC2 Instance Savings Plans where no RI is sold, as effective dollars an hour."""
    for row in read_rows(facts / "aws" / "ec2_prices.csv"):
        make = partial(_commitment, row)
        ri1, ri3 = row["ri_std_1yr_all_upfront_eff_usd_per_hour"], row["ri_std_3yr_all_upfront_eff_usd_per_hour"]
        if ri1:
            yield make("ri-1yr-all-upfront", ri1, row["source"], row["as_of"])
        if ri3:
            yield make("ri-3yr-all-upfront", ri3, row["source"], row["as_of"])
        elif row["ec2_sp_or_ri_3yr_all_upfront_usd_per_hour"]:
            yield make("sp-3yr-all-upfront", row["ec2_sp_or_ri_3yr_all_upfront_usd_per_hour"], "scm-0.3.212", "2026-06")


def _commitment(row: dict[str, str], plan: str, usd: str, source: str, as_of: str) -> Row:
    region, box = row["region"], row["instance_type"]
    name, service = usage_type(region, f"HeavyUsage:{box}"), "AmazonEC2"
    if plan.startswith("sp"):
        name, service = "EC2SP", "ComputeSavingsPlans"
    return _hourly(
        region, f"ec2/{plan}/{box}", usd, service, name, "RunInstances",
        "remembered/remembered" if plan.startswith("sp") else "derived/read", "published", source, as_of,
        "effective hour",
    )  # fmt: skip


def extra_plan_rows(facts: Path) -> Iterator[Row]:
    """Compute Savings Plan rates that the folder of facts lacks: those that were read, and other sizes of the same
    family in proportion to vCPU, as on-demand prices and plan rates are within a family."""
    boxes = {row["instance_type"]: row for row in read_rows(facts / "aws" / "ec2_instances.csv")}
    for row in read_rows(Path(__file__).parent / "extra_plans.csv"):
        mine = boxes[row["machine"]]
        for name, box in boxes.items():
            if box["family"] != mine["family"]:
                continue
            usd = float(row["usd"]) * float(box["vcpu"]) / float(mine["vcpu"])
            source = row["source"] if name == row["machine"] else f"{row['source']}, in proportion to vCPU"
            yield _hourly(
                row["region"], f"ec2/{row['plan']}/{name}", f"{usd:.6f}", "ComputeSavingsPlans", "ComputeSP",
                "RunInstances", "remembered/read", "published" if name == row["machine"] else "derived", source,
                row["as_of"], "effective hour",
            )  # fmt: skip


def spot_rows(facts: Path) -> Iterator[Row]:
    """Spot averages and interruption bands by box; the low, middle and high discount by family, over six regions."""
    for row in read_rows(facts / "aws" / "ec2_spot.csv"):
        region, box = row["region"], row["instance_type"]
        if row["spot_avg_usd_per_hour"]:
            yield _hourly(
                region, f"ec2/spot/{box}", row["spot_avg_usd_per_hour"], "AmazonEC2",
                usage_type(region, f"SpotUsage:{box}"), "RunInstances", "remembered/remembered", "measured",
                row["source"], row["as_of"],
            )  # fmt: skip
        if row["advisor_interruption_band_2025_06"]:
            yield _band(region, box, row)
    for row in read_rows(facts / "aws" / "ec2_spot_by_family.csv"):
        for end, share in (("low", row["p10"]), ("median", row["spot_discount_median"]), ("high", row["p90"])):
            yield _hourly(
                "any", f"ec2/spot-discount-{end}/{row['family']}", share, "", "", "", "unknown/unknown", "measured",
                row["source"], row["as_of"], "share off on-demand",
            )  # fmt: skip


def _band(region: str, box: str, row: dict[str, str]) -> Row:
    """Interruption band as a number: the upper end of the advisor's band, share of instances a month."""
    text = row["advisor_interruption_band_2025_06"]
    upper = {"<5%": "0.05", "5-10%": "0.1", "10-15%": "0.15", "15-20%": "0.2", ">20%": "0.3"}[text]
    return Row(f"ec2/spot-interruption/{box}", region, upper, "share a month", "", "", "", "", "", "unknown/unknown",
               "published" if text != ">20%" else "guess", "spot-advisor-2025-06-28", "2025-06-28")  # fmt: skip


def emr_rows(facts: Path) -> Iterator[Row]:
    """What EMR adds to each box an hour, and EMR on EKS and Serverless, EKS, Fargate, Glue, Databricks."""
    for row in read_rows(facts / "aws" / "emr_ec2_uplift.csv"):
        region, box = row["region"], row["instance_type"]
        yield _hourly(
            region, f"emr/ec2/{box}", row["emr_uplift_usd_per_hour"], "ElasticMapReduce",
            usage_type(region, f"BoxUsage:{box}"), "", "derived/unknown", "published", row["source"], row["as_of"],
        )  # fmt: skip
    previous = ""
    for row in read_rows(facts / "aws" / "spark_platform_prices.csv"):
        previous = previous if row["source"] == "same" else row["source"]
        yield _platform(row, previous)


def extra(*platforms: str) -> Callable[[Path], Iterator[Row]]:
    """A maker of rows that the folder of facts lacks, kept beside this script with their source."""

    def rows(facts: Path) -> Iterator[Row]:
        for row in read_rows(Path(__file__).parent / "extra_prices.csv"):
            if row["platform"] in platforms:
                yield _platform({**row, "basis": "read"}, row["source"])

    return rows


def _platform(row: dict[str, str], source: str) -> Row:
    item = f"{row['platform'].replace('_', '-')}/{row['item'].replace('_', '-')}"
    identity, unit = names.of(item, row["region"]), row["unit"].split(" (")[0].split("; ")[0]
    grade = grade_of(row["basis"], source)
    return _hourly(row["region"], item, row["usd"], *identity, grade, source, row["as_of"], unit)


# Ours, the usage type's pattern and its operation, '' where nobody was seen to write it. The patterns were read with
# Singapore's prefix in a copy of its Price List (2026-08-12) and in readers of that list, the operations in those and
# in the feed itself, whose keys begin with them.
MSK_ITEMS = {
    ("standard", "storage_gb_month"): ("msk/standard-storage", "Kafka.Storage.GP2", "RunVolume"),
    ("standard", "provisioned_throughput_mbs_month"): ("msk/standard-throughput", "", "RunVolume"),
    ("standard", "tiered_storage_gb_month"): ("msk/tiered-storage", "Kafka.Storage.Tiered", "TieredStorage"),
    ("standard", "tiered_retrieval_gb"): ("msk/tiered-retrieval", "Kafka.DataRetrieval.Tiered", "TieredStorage"),
    ("standard", "private_connectivity_gb"): ("msk/private-gb", "", "PrivateConnectivity"),
    ("standard", "private_connectivity_hour"): (
        "msk/private-hour",
        "Kafka.PrivateConnectivityHours",
        "PrivateConnectivity",
    ),
    ("express", "storage_gb_month"): ("msk/express-storage", "Express.Storage", ""),
    ("express", "data_in_gb"): ("msk/express-in", "Express.In-Bytes", ""),
    ("serverless", "cluster_hour"): ("msk/serverless-cluster", "KafkaServerless-ClusterHours", "Serverless"),
    ("serverless", "partition_hour"): ("msk/serverless-partition", "KafkaServerless-PartitionHours", "Serverless"),
    ("serverless", "data_in_gb"): ("msk/serverless-in", "KafkaServerless-In-Bytes", "Serverless"),
    ("serverless", "data_out_gb"): ("msk/serverless-out", "KafkaServerless-Out-Bytes", "Serverless"),
    ("serverless", "storage_gb_month"): ("msk/serverless-storage", "KafkaServerless-StorageHours", "Serverless"),
    ("connect", "mcu_hour"): ("msk/connect", "", "RunConnect"),
    ("replicator", "replicator_hour"): ("msk/replicator-hour", "", "RunReplicator"),
    ("replicator", "replicator_same_region_gb"): ("msk/replicator-zone-gb", "", "SameRegionSource"),
    ("replicator", "replicator_cross_region_gb"): ("msk/replicator-region-gb", "", "CrossRegionSourceLocal"),
}


def msk_rows(facts: Path) -> Iterator[Row]:
    """MSK brokers, storage and the rest. Usage types of brokers and Express were read region by region."""
    for row in read_rows(facts / "aws" / "msk_prices.csv"):
        region = row["region"]
        source = f"{row['source']}; {row['confirmed_by']}" if row["confirmed_by"] else row["source"]
        if row["item"] == "broker_hour":
            yield _hourly(
                region, f"msk/broker/{row['instance_type']}", row["usd"], "AmazonMSK", row["usagetype"], "RunBroker",
                "read/read", "published", source, row["as_of"], "broker-hour",
            )  # fmt: skip
            continue
        ours, pattern, operation = MSK_ITEMS[row["tier"], row["item"]]
        read = row["usagetype"].endswith(pattern) and bool(pattern)
        name = row["usagetype"] if read else usage_type(region, pattern, "AmazonMSK") if pattern else ""
        read = read or name in READ.get(region, ())
        basis = "read" if read else "derived" if pattern else "unknown"
        yield _hourly(
            region, ours, row["usd"], "AmazonMSK", name, operation, f"{basis}/{'read' if operation else 'unknown'}",
            "derived" if "inferred" in row["unit"] else "published", source, row["as_of"], row["unit"].split(" (")[0],
        )  # fmt: skip


def msk_quota_rows(facts: Path) -> Iterator[Row]:
    """MSK quotas as rows of their own: numbers, not dollars."""
    for row in read_rows(facts / "aws" / "msk_quotas.csv"):
        name = row["quota"].replace(",", "").replace("(", "").replace(")", "").replace(" ", "-").lower()
        yield _hourly(
            "any", f"msk/quota-{row['tier']}-{name}", row["value"], "", "", "", "unknown/unknown", "published",
            row["source"].split(";")[0], row["as_of"], row["unit"],
        )  # fmt: skip


def payment_rows(facts: Path) -> Iterator[Row]:
    """Hourly price of a payment option over all upfront, from the one type whose six prices were read (x2iedn)."""
    rows = [r for r in read_rows(facts / "aws" / "commitment_discounts.csv") if r["scope"] == "EC2 RI Standard"]
    share = {(r["term"], r["payment"]): r for r in rows if r["example"].startswith("x2iedn")}
    for term in ("1yr", "3yr"):
        for payment in ("partial", "no"):
            row = share[term, f"{payment}Upfront"]
            ratio = float(row["price_as_frac_of_on_demand"]) / float(
                share[term, "allUpfront"]["price_as_frac_of_on_demand"]
            )
            yield _hourly(
                "any", f"ec2/ri-payment-{term}-{payment}-upfront", f"{ratio:.4f}", "", "", "", "unknown/unknown",
                "derived", f"{row['source']} (x2iedn.32xlarge; m6a agrees)", row["as_of"], "over all upfront",
            )  # fmt: skip


def opensearch_rows(facts: Path) -> Iterator[Row]:
    """OpenSearch Service nodes, on demand."""
    for row in read_rows(facts / "aws" / "opensearch_prices.csv"):
        yield _node(row, "opensearch/node", row["on_demand_usd_per_hour"], f"ESInstance:{_plain_box(row)}", "hour")


def opensearch_reserved_rows(facts: Path) -> Iterator[Row]:
    """OpenSearch Service reserved nodes, six plans, as effective dollars an hour. No size flexibility."""
    for row in read_rows(facts / "aws" / "opensearch_prices.csv"):
        for years in ("1yr", "3yr"):
            for payment in PAYMENTS:
                usd = row[f"ri_{years}_{payment}_upfront_usd_per_hour"]
                if usd:
                    yield _node(row, f"opensearch/ri-{years}-{payment}-upfront", usd, "", "effective hour")


def _plain_box(row: dict[str, str]) -> str:
    return row["instance_type"].removesuffix(".search")


def _node(row: dict[str, str], kind: str, usd: str, pattern: str, unit: str) -> Row:
    basis = row["basis"] if row["basis"].startswith("derived") else ""
    source = f"{row['source']} ({basis.removeprefix('derived: ')})" if basis else row["source"]
    return _hourly(
        row["region"], f"{kind}/{row['instance_type']}", usd, "AmazonES",
        usage_type(row["region"], pattern) if pattern else "", "ESDomain" if pattern else "",
        "derived/read" if pattern else "unknown/unknown", grade_of(row["basis"], row["source"]), source,
        row["as_of"], unit,
    )  # fmt: skip


def grade_of(basis: str, source: str) -> str:
    """How sure a price is, from what the facts say of it.

    >>> grade_of("from memory", "memory"), grade_of("derived: x", "derived"), grade_of("read", "aws-feed-es")
    ('remembered', 'derived', 'published')
    >>> grade_of("read (one third-party page, unverified)", "x"), grade_of("read (second-hand, 4 sources)", "x")
    ('vendor', 'published')
    """
    text = f"{basis} {source}".lower()
    if "memory" in text or "remembered" in text:
        return "remembered"
    if basis.startswith("derived"):
        return "derived"
    return "vendor" if "third-party page" in text else "published"
