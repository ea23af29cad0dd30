"""What crosses a zone and who pays for it, against published examples and in both directions."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.traffic import (
    BILLED_GB,
    client_crossing,
    copies_crossing,
    kafka_crossings,
    rack_crossing,
    search_crossings,
)
from pricing.usage import Account, KafkaUsage, SearchUsage, SharedUsage, Volume

BOOK = PriceBook()
SECONDS = 730 * 3600


def self_managed(mb_per_second: float, mb_bytes: float, rack_aware: bool = False) -> KafkaUsage:
    """RF 3, three zones, three consumer groups that each read everything."""
    moved = mb_per_second * mb_bytes * SECONDS
    groups = dict.fromkeys(("a", "b", "c"), moved)
    return KafkaUsage(
        "self-managed",
        "us-east-1",
        "m7g.2xlarge",
        9,
        volume=Volume("gp3", 1000),
        produced_bytes=moved,
        consumed_bytes=groups,
        rack_aware_groups=frozenset(groups) if rack_aware else frozenset(),
    )


def transfer_usd(usage) -> Decimal:
    return bill([usage], BOOK).by_kind.get("transfer", Decimal(0))


def test_the_published_cross_zone_example_comes_out():
    """100 MB/s, RF 3, three groups: 467 MB/s cross, 24.5k USD a month; 14.0k with follower fetch.

    Confluent's teardown names 24.2k, AutoMQ quotes 14k to 24k. They count 1,000 MB to the GB that is billed.
    """
    thousandth = BILLED_GB / 1000
    assert transfer_usd(self_managed(100, thousandth)) == pytest.approx(Decimal(24528), abs=Decimal("0.05"))
    assert transfer_usd(self_managed(100, thousandth, True)) == pytest.approx(Decimal(14016), abs=Decimal("0.05"))


def test_the_same_flow_of_decimal_megabytes_is_cheaper_since_aws_bills_binary_gigabytes():
    usd = transfer_usd(self_managed(100, 1e6))
    assert usd == pytest.approx(Decimal("24528") * Decimal(1e9 / BILLED_GB), abs=Decimal("0.05"))


def test_three_hundred_mib_a_second_with_fan_out_two_moves_twelve_hundred():
    usage = KafkaUsage(
        "self-managed", "us-east-1", "m7g.large", 3, produced_bytes=300.0, consumed_bytes={"a": 300.0, "b": 300.0}
    )
    assert sum(kafka_crossings(usage).values()) == pytest.approx(1200)


def test_each_crossing_gigabyte_is_billed_on_both_sides():
    """AWS bills 0.01 out of one zone and 0.01 into the other: DataTransfer-Regional-Bytes counts it twice."""
    usage = KafkaUsage("msk-standard", "us-east-1", "m7g.large", 3, produced_bytes=3 * BILLED_GB)
    (line,) = [x for x in bill([usage], BOOK).lines if x.kind == "transfer"]
    assert line.quantity == 4 and line.price.usd == Decimal("0.01") and line.monthly_usd == Decimal("0.04")
    assert (line.price.service_code, line.price.usage_type) == ("AWSDataTransfer", "DataTransfer-Regional-Bytes")


def test_msk_does_not_bill_replication_and_a_cluster_of_ones_own_does():
    own = self_managed(100, 1e6)
    msk = KafkaUsage(
        "msk-standard",
        "us-east-1",
        "m7g.2xlarge",
        9,
        produced_bytes=own.produced_bytes,
        consumed_bytes=own.consumed_bytes,
        volume=own.volume,
    )
    assert "replication" in kafka_crossings(own) and "replication" not in kafka_crossings(msk)
    replication = kafka_crossings(own)["replication"]
    assert replication == 2 * own.produced_bytes
    assert float(transfer_usd(own) - transfer_usd(msk)) == pytest.approx(replication / BILLED_GB * 0.02, abs=0.02)


def test_opensearch_service_does_not_bill_replicas_and_a_cluster_of_ones_own_does():
    shape = {"region": "us-east-1", "machine": "r7g.large", "data_nodes": 3, "bulk_bytes": 9e12, "replica_bytes": 9e12}
    service = search_crossings(SearchUsage("opensearch-service", **shape))
    own = search_crossings(SearchUsage("self-managed", **shape))
    assert set(service) == {"bulk requests", "search answers"}
    assert own["replication"] == 9e12 and own["bulks passed on to primaries"] == pytest.approx(6e12)


def test_one_zone_pays_for_no_crossing():
    usage = self_managed(100, 1e6)
    one = KafkaUsage("self-managed", "us-east-1", "m7g.large", 3, 1, produced_bytes=usage.produced_bytes)
    assert transfer_usd(one) == 0


def test_a_rack_aware_group_reads_in_its_zone_only_if_a_copy_lies_there():
    assert rack_crossing(3, 3) == 0
    assert rack_crossing(2, 3) == pytest.approx(1 / 3)
    assert rack_crossing(1, 3) == client_crossing(3)


@given(copies=st.integers(1, 9), zones=st.integers(1, 6))
def test_copies_cross_no_more_than_once_each_and_never_less_with_more_zones(copies, zones):
    crossing = copies_crossing(copies, zones)
    assert 0 <= crossing <= copies - 1
    assert copies_crossing(copies, zones + 1) >= crossing
    assert copies_crossing(copies + 1, zones) >= crossing


def test_internet_egress_fills_the_accounts_tiers_after_its_free_hundred_gigabytes():
    terabyte = 1024 * BILLED_GB
    alone = bill([SharedUsage("us-east-1", internet_out_bytes=terabyte)], BOOK)
    assert alone.monthly_usd == Decimal("83.16")  # (1,024 - 100) GB x 0.09
    rest = Account(internet_out_bytes=60 * terabyte)
    late = bill([SharedUsage("us-east-1", internet_out_bytes=terabyte)], BOOK, rest=rest)
    assert late.monthly_usd == Decimal("71.68")  # 1,024 GB x 0.07: the account is past 50 TB
    across = bill(
        [SharedUsage("us-east-1", internet_out_bytes=terabyte)],
        BOOK,
        rest=Account(internet_out_bytes=10.0 * terabyte),
    )
    assert [(x.quantity, x.price.usd) for x in across.lines] == [
        (Decimal(100), Decimal("0.09")),
        (Decimal(924), Decimal("0.085")),
    ]


def test_nat_bills_hours_and_every_gigabyte():
    month = bill([SharedUsage("us-east-1", nat_gateways=3, nat_bytes=1000 * BILLED_GB)], BOOK)
    assert [x.monthly_usd for x in month.lines] == [Decimal("98.55"), Decimal("45.00")]
    assert [x.price.usage_type for x in month.lines] == ["NatGateway-Hours", "NatGateway-Bytes"]


def test_another_region_costs_by_the_pair():
    month = bill([SharedUsage("us-east-1", region_out_bytes={"us-west-2": 100 * BILLED_GB})], BOOK)
    assert month.monthly_usd == Decimal("2.00") and month.lines[0].price.usage_type == "USE1-USW2-AWS-Out-Bytes"
