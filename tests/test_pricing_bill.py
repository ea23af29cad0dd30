"""The arithmetic of a bill: sums to the cent, gaps instead of zeros, tiers, support, unit costs."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.bill import marginal, split
from pricing.bridge import bridge, effects
from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.usage import Account, BadUsage, KafkaUsage, Month, SearchUsage, SharedUsage, SparkUsage, Volume

BOOK = PriceBook()
GIB = 2.0**30


def stack(scale: float = 1.0) -> list:
    moved = 20e12 * scale
    tags = (("team", "orders"), ("environment", "production"))
    return [
        KafkaUsage(
            "msk-standard", "us-east-1", "m7g.large", 3, volume=Volume("gp3", 1000), produced_bytes=moved,
            consumed_bytes={"spark": moved}, tags=tags,
        ),
        SparkUsage("emr-ec2", "us-east-1", "m7g.xlarge", 4, 2, put_requests=5e6 * scale, checkpoint_bytes=10 * GIB),
        SearchUsage(
            "opensearch-service", "us-east-1", "r7g.xlarge", 6, 3, "m7g.large", volume=Volume("gp3", 1000),
            bulk_bytes=1.5 * moved, tags=tags,
        ),
        SharedUsage(
            "us-east-1", "business", nat_gateways=1, nat_bytes=0.05 * moved, custom_metrics=500, engineer_hours=40,
            engineer_usd_per_hour=90.0, third_parties=(("pager", 100.0),),
        ),
    ]  # fmt: skip


def test_the_sum_of_the_lines_is_the_total_to_the_cent():
    month = bill(stack(), BOOK)
    assert sum(line.monthly_usd for line in month.lines) == month.monthly_usd
    assert month.aws_usd + month.other_usd == month.monthly_usd
    assert sum(month.by_system.values()) == sum(month.by_kind.values()) == sum(month.by_grade.values())
    assert all(line.monthly_usd == line.monthly_usd.quantize(Decimal("0.01")) for line in month.lines)


def test_a_line_is_its_quantity_times_its_unit_price():
    for line in bill(stack(), BOOK).lines:
        assert abs(line.monthly_usd - line.quantity * line.price.usd) <= Decimal("0.005")


def test_people_and_third_parties_stand_apart_from_what_an_invoice_confirms():
    month = bill(stack(), BOOK)
    assert month.other_usd == Decimal("3700.00")  # 40 h x 90 + 100
    without = bill([*stack()[:3], SharedUsage("us-east-1", "business")], BOOK)
    assert without.other_usd == 0


def test_a_missing_price_is_a_listed_gap_and_never_zero():
    usage = KafkaUsage("self-managed", "sa-east-1", "m7g.large", 3, volume=Volume("gp3", 500))
    month = bill([usage], BOOK)
    assert not month.complete
    assert {gap.item for gap in month.gaps} == {"ebs/gp3-storage"}
    assert [gap.quantity for gap in month.gaps] == [1500, 60]
    assert "is not in the book" in month.gaps[0].reason
    assert all(line.monthly_usd > 0 for line in month.lines)


def test_a_users_own_price_closes_the_gap():
    usage = KafkaUsage("self-managed", "sa-east-1", "m7g.large", 3, volume=Volume("gp3", 500))
    book = BOOK.with_prices({("ebs/gp3-storage", "sa-east-1"): Decimal("0.152")})
    month = bill([usage], book)
    assert month.complete and month.by_grade["given"] == Decimal("237.12")  # (1,500 + 60) GiB x 0.152


def test_every_line_carries_aws_billing_identity_and_its_driver():
    for line in bill(stack(), BOOK).lines:
        row = line.row()
        assert row["driver"] and row["unit"] and row["region"] and row["grade"] and row["identity"]
        if line.is_aws and line.kind != "support":
            assert row["service_code"].startswith(("Amazon", "AWS", "Elastic")), row


def test_tags_ride_on_every_line_of_their_system():
    month = bill(stack(), BOOK)
    for line in month.lines:
        if line.system in ("kafka", "elasticsearch"):
            assert line.row()["tag:team"] == "orders" and line.row()["tag:environment"] == "production"


def test_only_hourly_lines_know_how_long_the_month_was():
    february, december = (bill(stack(), BOOK, Month.of(2026, m)) for m in (2, 12))
    for short, long in zip(february.lines, december.lines, strict=True):
        if "hour" in short.price.unit and short.is_aws:
            assert long.quantity / short.quantity == pytest.approx(Decimal(744) / 672)
        elif short.is_aws and short.kind != "support":
            assert long.quantity == short.quantity, short.name


def test_what_is_metered_is_the_months_integral_and_never_the_peak_times_hours():
    """A daily curve of 4:1 between its highest and lowest hour moves its mean, 62.5 % of its peak, all month."""
    peak = 40e6
    day = [peak * (0.625 + 0.375 * shape) for shape in (1, 0.5, 0, -0.5, -1, -0.5, 0, 0.5)]
    assert max(day) / min(day) == 4
    moved = sum(rate * 3 * 3600 for rate in day) * 730 / 24
    express = KafkaUsage("msk-express", "us-east-1", "m7g.large", 3, produced_bytes=moved)
    at_peak = replace(express, produced_bytes=peak * 730 * 3600)
    metered, wrong = (
        next(x for x in bill([u], BOOK).lines if x.price.item == "msk/express-in") for u in (express, at_peak)
    )
    assert float(metered.exact_usd / wrong.exact_usd) == pytest.approx(0.625)
    assert float(metered.quantity) == pytest.approx(moved / GIB)


def test_support_takes_each_tiers_share_of_what_the_stack_adds_to_the_account():
    month = bill([SharedUsage("us-east-1", "business", nat_gateways=1, nat_bytes=400_000 * GIB)], BOOK)
    charged = month.aws_usd - month.by_kind["support"]
    expected = 1000 + (charged - 10_000) * Decimal("0.07")
    assert charged == Decimal("18032.85") and month.by_kind["support"] == expected.quantize(Decimal("0.01"))


def test_support_counts_the_rest_of_the_account_first():
    shared = SharedUsage("us-east-1", "business", nat_gateways=1)
    big = bill([shared], BOOK, rest=Account(aws_usd=300_000))
    assert big.by_kind["support"] == Decimal("0.99")  # 3 % of 32.85 USD
    small = bill([shared], BOOK)
    assert small.by_kind["support"] == Decimal("100.00")  # the plan's minimum, topped up


def test_support_may_cost_nothing_more_where_the_minimum_was_paid_already():
    rest = Account(aws_usd=200)
    month = bill([SharedUsage("us-east-1", "business", nat_gateways=1)], BOOK, rest=rest)
    assert month.by_kind["support"] == 0


def test_an_unknown_support_plan_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match=r"support_plan = 'gold'.*business.*enterprise"):
        bill([SharedUsage("us-east-1", "gold")], BOOK)


def test_a_plan_that_was_only_remembered_is_marked_on_the_bill():
    month = bill([SharedUsage("us-east-1", "enterprise-2026", nat_gateways=1)], BOOK)
    assert month.by_grade["remembered"] > 0


@given(before=st.floats(0, 3e5), quantity=st.floats(0.01, 3e5))
def test_tiers_share_out_a_quantity_without_loss(before, quantity):
    tiers = BOOK.tiers("transfer/internet", "us-east-1")
    start, amount = Decimal(repr(round(before, 6))), Decimal(repr(round(quantity, 6)))
    parts = split(tiers, start, amount)
    assert sum(part for _, part in parts) == amount
    whole = sum(t.usd * p for t, p in split(tiers, Decimal(0), start + amount))
    first = sum(t.usd * p for t, p in split(tiers, Decimal(0), start))
    assert sum(t.usd * p for t, p in parts) == whole - first


def test_systems_of_one_bill_share_the_accounts_s3_tiers():
    spark = SparkUsage("ec2", "us-east-1", checkpoint_bytes=50 * 1024 * GIB)
    search = SearchUsage("self-managed", "us-east-1", "r7g.large", snapshot_bytes=1024 * GIB)
    storage = [x for x in bill([spark, search], BOOK).lines if x.kind == "storage"]
    assert [x.price.usd for x in storage] == [Decimal("0.023"), Decimal("0.022")]


def test_unit_costs_are_the_bill_over_the_work():
    month = bill(stack(), BOOK)
    unit = month.unit_costs(2e10, 20e12)
    assert unit.usd_per_million_events == (month.monthly_usd / 20_000).quantize(Decimal("0.000001"))
    assert unit.metered_usd_per_gib < unit.usd_per_gib
    with pytest.raises(ValueError, match="events = 0"):
        month.unit_costs(0, 1)


def test_the_next_gigabyte_costs_what_is_metered_not_the_average():
    less, more = bill(stack(1.0), BOOK), bill(stack(1.01), BOOK)
    per_million, per_gib = marginal(more, less, 2e8, 0.2e12)
    unit = less.unit_costs(2e10, 20e12)
    assert 0 < per_million < unit.usd_per_million_events and 0 < per_gib < unit.usd_per_gib


def test_a_negotiated_discount_holds_for_its_service_or_usage_type_alone():
    month = bill(stack(), BOOK)
    lower = month.discounted({("AmazonMSK", "*"): Decimal("0.1"), ("AmazonEC2", "NatGateway-Bytes"): Decimal("0.5")})
    for old, new in zip(month.lines, lower.lines, strict=True):
        share = {"AmazonMSK": Decimal("0.9")}.get(old.price.service_code, Decimal(1))
        share = Decimal("0.5") if old.price.usage_type == "NatGateway-Bytes" else share
        assert new.price.usd == old.price.usd * share
    with pytest.raises(ValueError, match="discount"):
        month.discounted({("AmazonMSK", "*"): Decimal(2)})


def test_a_bridge_of_causes_leads_from_one_bill_to_the_other_exactly():
    plan = bill(stack(1.0)[:3], BOOK)
    volume = bill(stack(3.0)[:3], BOOK)
    kafka = stack(3.0)[0]
    kept = bill([replace(kafka, volume=Volume("gp3", 7000)), *stack(3.0)[1:3]], BOOK)
    steps = bridge(plan, [("three times the events", volume), ("a week kept instead of a day", kept)])
    assert plan.monthly_usd + sum(s.added_usd for s in steps) == kept.monthly_usd
    assert steps[1].by_kind == {"storage": Decimal("1800.00")}
    assert "compute" not in steps[0].by_kind and steps[0].by_kind["transfer"] > 0


def test_price_and_quantity_effects_make_the_whole_difference():
    old = bill(stack(1.0)[:3], BOOK)
    dearer = BOOK.with_prices({("msk/broker/kafka.m7g.large", "us-east-1"): Decimal("0.25")})
    new = bill(stack(2.0)[:3], dearer)
    found = effects(old, new)
    moved = sum(e.quantity_usd + e.price_usd for e in found)
    exact = sum(x.exact_usd for x in new.lines) - sum(x.exact_usd for x in old.lines)
    assert abs(moved - exact) < Decimal("1e-15")
    assert [e.name for e in found if e.price_usd] == ["MSK broker kafka.m7g.large"]


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: KafkaUsage("msk-standard", "us-east-1", "m7g.large", -1), r"kafka\.brokers = -1"),
        (lambda: KafkaUsage("msk-standard", "us-east-1", "m7g.large", 3, 0), r"kafka\.zones = 0"),
        (lambda: KafkaUsage("msk-standard", "us-east-1", "", 3), r"kafka\.machine"),
        (lambda: KafkaUsage("msk-express", "us-east-1", "m7g.large", 3, produced_bytes=float("nan")), "produced_bytes"),
        (lambda: KafkaUsage("msk-express", "us-east-1", "m7g.large", 3, consumed_bytes={"a": -1.0}), r"\[a\] = -1"),
        (lambda: KafkaUsage("msk-express", "r", "m7g.large", rack_aware_groups=frozenset({"x"})), "rack_aware_groups"),
        (lambda: SparkUsage("ec2", "us-east-1", "m7g.large", 1, spot_share=1.5), r"spark\.spot_share"),
        (lambda: SearchUsage("self-managed", "us-east-1", "r7g.large", 3, 3), r"search\.manager_machine"),
        (lambda: SharedUsage("us-east-1", engineer_hours=1), "engineer_usd_per_hour"),
        (lambda: Volume("none", 10), r"volume\.gib"),
    ],
)
def test_a_usage_that_cannot_be_is_refused_by_name(make, named):
    with pytest.raises(BadUsage, match=named):
        make()


def test_numbers_of_numpy_are_taken_and_checked_like_any_other():
    usage = KafkaUsage("msk-express", "us-east-1", "m7g.large", 3, produced_bytes=np.float64(1e12))
    plain = replace(usage, produced_bytes=1e12)
    assert bill([usage], BOOK).lines == bill([plain], BOOK).lines
    with pytest.raises(BadUsage, match="brokers"):
        KafkaUsage("msk-express", "us-east-1", "m7g.large", np.int64(-3))
