"""Prices and usage types against sources that the builder of the book never reads, row by row of prices_elsewhere.csv.

The builder's sources of these items are AWS's web price feed, infracost's goldens (for EBS and NAT in us-east-1), AWS's
agent toolkit, one cost tool's seed prices, an AWS bill and memory; none of the sources here is among them. Every
transfer, S3 and EBS line of the golden bills must be here in its own region.
"""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import pytest
from test_pricing_golden import MANAGED, OWN

from pricing.build_book import facts_folder
from pricing.build_machines import read_rows
from pricing.price_book import PriceBook
from pricing.shared import bill

BOOK = PriceBook()
WHERE = {
    "A": "github patibandlavenkatamanideep/pharma-analytics-copilot infra/aws-staging/cost/prices-us-east-1.json: "
    "AWS's bulk offer files with SKU and SHA-256",
    "B": "a cost model on GitHub whose unit prices were fetched from the bulk offer files of us-east-1 on 2026-09-29",
    "C": "a pricing client's recorded answer on GitHub: S3 Standard of us-east-1, SKU WP9ANXZGBYYSGJEA, three tiers",
    "D": "github henderjm/world-cup-sweepstake docs/costs/aws-ireland-rates.json: bulk offer files of eu-west-1",
    "E": "a cost tool's test on GitHub, 'rows shaped exactly like real AWS Bulk Price List rows (eu-west-1 offers, "
    "retrieved 2026-10-02; prices/units/tiers are the real ones)'",
    "F": "an audit on GitHub of EBS findings against the Pricing API, price list version 2026-08-06 (throughput: "
    "45.056 USD a GiB/s / 1024)",
    "G": "an EBS cost comparison on GitHub, rates with SKU from the Price List of ap-northeast-1 (throughput: 49.152 "
    "/ 1024)",
    "H": "ahmedahamid.com/which-is-better, saisci.com/aws/gp2-vs-gp3-cost-comparison-ebs-volumes: quoting AWS's page",
    "I": "c3x.dev/blog/ebs-gp3-vs-io2-when-to-use-each",
    "J": "infracost's goldens lb, grafana_workspace, cloudwatch_*, eks_cluster, s3_bucket (the book has these from "
    "AWS's feed)",
    "K": "the S3 Express One Zone examples of aws.amazon.com/s3/faqs",
    "L": "a project's notes of the Pricing API, ap-southeast-1",
}


def elsewhere() -> list[dict[str, str]]:
    with (Path(__file__).parent / "prices_elsewhere.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


ROWS = elsewhere()


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['item']} {r['region']} {r['tier_from']}")
def test_a_price_agrees_with_a_source_that_the_builder_never_reads(row):
    tiers = BOOK.tiers(row["item"], row["region"])
    found = next((t for t in tiers if t.tier_from == Decimal(row["tier_from"] or 0)), None)
    assert found is not None and found.usd == Decimal(row["usd"]), WHERE[row["where"]]
    if row["usage_type"]:
        assert found.usage_type == row["usage_type"]


def test_every_transfer_s3_and_ebs_line_of_the_golden_bills_is_checked_elsewhere():
    checked = {(r["item"], r["region"], Decimal(r["tier_from"] or 0)) for r in ROWS}
    prefixes = ("transfer/", "nat/", "alb/", "nlb/", "endpoint/", "ipv4/", "s3/", "ebs/")
    used = {
        (x.price.item, x.price.region, x.price.tier_from)
        for golden in (MANAGED, OWN) for x in bill(golden, BOOK).lines if x.price.item.startswith(prefixes)
    }  # fmt: skip
    assert len(used) > 12 and used <= checked


def test_what_was_remembered_of_ebs_and_then_read_was_right():
    """Grades stay as the facts have them; these eight were read since, in two regions."""
    read = [r for r in ROWS if r["where"] in "FG" and BOOK.price(r["item"], r["region"]).grade == "remembered"]
    assert len(read) >= 8


def test_no_source_here_is_one_of_the_builders():
    try:
        facts = facts_folder()
    except FileNotFoundError:
        pytest.skip("the folder of facts is not here")
    text = " ".join(row["what"] for row in read_rows(facts / "aws" / "sources.csv"))
    named = ("pharma-analytics-copilot", "world-cup-sweepstake", "ahmedahamid", "saisci", "c3x.dev", "s3/faqs")
    assert all(name not in text for name in named) and all(any(n in w for w in WHERE.values()) for n in named)
    ours = {r["item"].split("/")[0] for r in ROWS if r["where"] == "J"}
    from_feed = {row["source"] for row in read_rows(facts / "aws" / "network_prices.csv") if row["item"][:3] == "nlb"}
    assert ours == {"nlb", "amg", "cloudwatch", "eks", "s3"} and from_feed == {"aws-feed-elb"}
