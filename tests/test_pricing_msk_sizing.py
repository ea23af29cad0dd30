"""AWS's sizing script against our own arithmetic, line by line, on the recorded grid."""

from __future__ import annotations

import csv
from decimal import Decimal

import pytest

from pricing.build_book import facts_folder
from pricing.msk_sizing import MAX_VOLUME_GIB, Need, brokers, ingress_per_broker, size, volume_gib
from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.usage import KafkaUsage, Volume


def golden_rows() -> list[dict[str, str]]:
    try:
        path = facts_folder() / "benchmarks" / "kafka_msk_sizing_golden.csv"
    except FileNotFoundError:
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


GOLDEN = golden_rows()
needs_golden = pytest.mark.skipif(not GOLDEN, reason="the folder of facts is not here")


def need_of(row: dict[str, str]) -> Need:
    return Need(
        float(row["avg_in_mibs"]),
        float(row["peak_in_mibs"]),
        float(row["fan_out"]),
        int(row["partition_replicas"]),
        float(row["retention_h"]),
        float(row["primary_h"]),
    )


@needs_golden
def test_every_line_of_the_aws_script_is_equal_to_the_cent():
    wrong = []
    for row in GOLDEN:
        answer = size(brokers()[row["instance"]], need_of(row))
        ours = {
            "brokers": answer.brokers,
            "bottleneck": answer.bottleneck,
            "broker_usd": f"{answer.broker_usd:.2f}",
            "storage_usd": f"{answer.storage_usd:.2f}",
            "tiered_usd": f"{answer.tiered_usd:.2f}",
            "data_in_usd": f"{answer.data_in_usd:.2f}",
            "cross_az_usd": f"{answer.cross_zone_usd:.2f}",
            "total_usd": f"{answer.total_usd:.2f}",
        }
        wrong += [(row, k, v) for k, v in ours.items() if not same(v, row[k])]
    assert len(GOLDEN) == 1350 and wrong == []


def same(ours: object, theirs: str) -> bool:
    try:
        return Decimal(str(ours)) == Decimal(theirs)
    except ArithmeticError:
        return ours == theirs


def test_a_16xlarge_broker_takes_what_the_launch_post_says():
    """154 MBps a broker in AWS's launch text of m7g.16xlarge: the script's figure before its half utilisation."""
    assert ingress_per_broker(brokers()["kafka.m7g.16xlarge"], 1, tiered=False) / 0.5 == pytest.approx(153.8, abs=0.1)


def test_the_script_and_a_published_comparison_agree():
    """100 MiB/s on average, 200 at peak, 2 groups, RF 3, 24 h, 900 partition replicas: 20,689 USD, half traffic."""
    need = Need(100, 200, 2, 900, 24, 24, rack_aware=False)
    answer = size(brokers()["kafka.m7g.2xlarge"], need)
    assert answer.brokers == 9 and volume_gib(need) == 50625
    assert (round(answer.broker_usd), round(answer.storage_usd)) == (5361, 5062)
    assert round(answer.cross_zone_usd) == 10266 and round(answer.total_usd) == 20689
    assert round(size(brokers()["kafka.m7g.2xlarge"], Need(100, 200, 2, 900, 24, 24)).total_usd) == 13845


def test_its_broker_prices_are_the_books_but_for_one_that_the_feed_rounds():
    """kafka.m5.16xlarge is 6.73 in AWS's price feed, 6.72 in its script."""
    book = PriceBook()
    odd = []
    for broker in brokers().values():
        item = broker.name.replace("kafka.", "express.").removesuffix(" (Express)") if broker.express else broker.name
        if float(book.price(f"msk/broker/{item}", "us-east-1").usd) != broker.usd_per_hour:
            odd.append(broker.name)
    assert odd == ["kafka.m5.16xlarge"]


def test_its_tiered_storage_is_priced_as_s3_and_the_feed_says_otherwise():
    from pricing.msk_sizing import TIERED_USD

    book = PriceBook()
    assert book.price("msk/tiered-storage", "us-east-1").usd == Decimal("0.06")
    assert float(book.tiers("s3/standard-storage", "us-east-1")[0].usd) == TIERED_USD


def test_storage_becomes_the_bottleneck_once_volumes_are_full():
    long = Need(100, 100, 1, 300, 168, 168)
    answer = size(brokers()["kafka.m7g.4xlarge"], long)
    assert answer.bottleneck == "storage" and answer.brokers * MAX_VOLUME_GIB >= volume_gib(long)


SHARED = {"broker_usd": "compute", "storage_usd": "storage", "data_in_usd": "requests", "cross_zone_usd": "transfer"}


def our_bill(row: dict[str, str], tiered_usd: str = "0.023"):
    """The script's cluster as Floodmark bills it, on the script's one differing price."""
    need, answer = need_of(row), size(brokers()[row["instance"]], need_of(row))
    mib, express = 2.0**20, "Express" in row["instance"]
    moved = need.average_mib_per_second * mib * 730 * 3600
    held = need.average_mib_per_second * mib * 3600
    usage = KafkaUsage(
        "msk-express" if express else "msk-standard",
        "us-east-1",
        row["instance"].removesuffix(" (Express)"),
        answer.brokers,
        volume=Volume("none") if express else Volume("gp3", volume_gib(need) / answer.brokers),
        produced_bytes=moved,
        consumed_bytes={"readers": moved * need.fan_out},
        rack_aware_groups=frozenset({"readers"}),
        stored_bytes=held * need.retention_hours,
        tiered_bytes=0.0 if express else held * (need.retention_hours - need.primary_hours),
    )
    book = PriceBook().with_prices({("msk/tiered-storage", "us-east-1"): Decimal(tiered_usd)})
    return bill([usage], book), answer


@needs_golden
def test_our_bill_of_the_scripts_cluster_is_the_scripts_to_the_cent_once_tiered_storage_costs_the_same():
    """Shared inputs: brokers, GiB, bytes. A cent may differ where the script rounds halves to even."""
    for row in GOLDEN[::9]:
        month, answer = our_bill(row)
        for ours, kind in SHARED.items():
            wanted = getattr(answer, ours) + (answer.tiered_usd if ours == "storage_usd" else 0.0)
            assert float(month.by_kind.get(kind, Decimal(0))) == pytest.approx(wanted, abs=0.0101), (row, ours)
        assert float(month.monthly_usd) == pytest.approx(float(row["total_usd"]), abs=0.03)


@needs_golden
def test_the_only_difference_in_dollars_is_the_price_of_tiered_storage():
    row = next(r for r in GOLDEN if r["primary_h"] != r["retention_h"] and float(r["tiered_usd"]) > 500)
    ours, answer = our_bill(row, "0.06")
    assert float(ours.monthly_usd) - answer.total_usd == pytest.approx(answer.tiered_usd * (0.06 / 0.023 - 1), abs=0.03)
