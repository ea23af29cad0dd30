"""The rivals for the same workload: rounding, limits, gaps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from pricing.alternatives import Workload, kinesis_shards, options, units
from pricing.price_book import PriceBook

BOOK = PriceBook()
ORDERS = Workload("us-east-1", 2.6e9, 500, 5000, retention_hours=24, lambda_seconds_per_batch=0.05, search_ocus=4)


def option(name: str, workload: Workload = ORDERS):
    return next(o for o in options(workload, BOOK) if o.name == name)


def line(name: str, item: str, workload: Workload = ORDERS):
    return next(x for x in option(name, workload).bill.lines if x.price.item == item)


def test_every_rival_that_the_seed_names_is_priced():
    names = [o.name for o in options(ORDERS, BOOK)]
    assert names == [
        "Lambda + SQS", "Kinesis on demand", "Kinesis provisioned", "Firehose", "MSK Serverless",
        "OpenSearch Serverless",
    ]  # fmt: skip
    assert all(o.bill.monthly_usd > 0 for o in options(ORDERS, BOOK))


def test_small_records_are_billed_rounded_up():
    """2.6e9 records of 500 B: 5 KB each on Firehose, 1 KB on Kinesis on demand, one 25 KB unit when provisioned."""
    assert float(line("Firehose", "firehose/ingest").quantity) == pytest.approx(2.6e9 * 5 * 1024 / 2**30)
    assert float(line("Kinesis on demand", "kinesis/ondemand-in").quantity) == pytest.approx(2.6e9 * 1024 / 2**30)
    assert line("Kinesis provisioned", "kinesis/put-payload-unit").quantity == Decimal("2600000000")


def test_sqs_bills_three_calls_a_batch_in_chunks_of_64_kb():
    assert line("Lambda + SQS", "sqs/standard-requests").quantity == 780  # million: 2.6e9 / 10 x 3
    large = replace(ORDERS, event_bytes=10_000)  # ten of them are 100 kB: two chunks a call
    assert line("Lambda + SQS", "sqs/standard-requests", large).quantity == 1560


def test_kinesis_shards_carry_records_or_bytes_whichever_is_more():
    assert kinesis_shards(replace(ORDERS, peak_events_per_second=5000, event_bytes=100), BOOK) == 5
    assert kinesis_shards(replace(ORDERS, peak_events_per_second=5000, event_bytes=4000), BOOK) == 20


def test_many_groups_need_fan_out_consumers():
    items = {x.price.item for x in option("Kinesis provisioned", replace(ORDERS, groups=3)).bill.lines}
    assert "kinesis/efo-consumer-shard" in items
    assert "kinesis/efo-consumer-shard" not in {x.price.item for x in option("Kinesis provisioned").bill.lines}


def test_each_stops_fitting_at_a_known_load_and_says_how_sure_that_is():
    sure = option("MSK Serverless")
    assert sure.fits and {x.grade for x in sure.limits} == {"published"}
    assert sure.stops_at(ORDERS) == pytest.approx(240_000)  # 5 MB/s x 24 partitions / 500 B
    unsure = option("Lambda + SQS")
    assert {x.grade for x in unsure.limits} == {"remembered"}
    assert unsure.stops_at(ORDERS) == pytest.approx(200_000)  # 1,000 executions / (0.05 s / 10 messages)
    assert not option("MSK Serverless", replace(ORDERS, peak_events_per_second=500_000)).fits


def test_a_price_that_was_never_read_is_a_gap():
    here = replace(ORDERS, region="eu-central-1", retention_hours=168)
    found = option("Kinesis on demand", here)
    assert not found.bill.complete
    assert "kinesis/ondemand-extended-retention" in {g.item for g in found.bill.gaps}
    assert all(o.bill.complete for o in options(ORDERS, BOOK))


def test_a_week_in_kinesis_is_paid_beyond_its_first_day_by_shard_or_by_gigabyte():
    """0.02 USD per shard-hour; 0.10 USD per GB-month held from hour 25 to day 7, 0.023 USD beyond it."""
    week, month = (replace(ORDERS, retention_hours=hours) for hours in (168, 720))
    shards = kinesis_shards(week, BOOK)
    assert line("Kinesis provisioned", "kinesis/extended-retention-shard", week).quantity == shards * 730
    a_month = 2.6e9 * 500 / 2**30
    extended = line("Kinesis on demand", "kinesis/ondemand-extended-retention", week)
    assert float(extended.quantity) == pytest.approx(a_month * (168 - 24) / 730, rel=1e-6)
    assert float(extended.monthly_usd) == pytest.approx(a_month * 144 / 730 * 0.10, abs=0.01)
    long = line("Kinesis on demand", "kinesis/ondemand-long-retention", month)
    assert float(long.monthly_usd) == pytest.approx(a_month * (720 - 168) / 730 * 0.023, abs=0.01)


def test_streams_that_scale_themselves_have_a_published_end_too():
    for name in ("Kinesis on demand", "Kinesis provisioned", "Firehose", "OpenSearch Serverless"):
        assert option(name).limits, name
    assert not option("Firehose", replace(ORDERS, peak_events_per_second=10_000_000)).fits


def test_what_nobody_published_is_asked_for():
    silent = replace(ORDERS, lambda_seconds_per_batch=None, search_ocus=None)
    assert "give lambda_seconds_per_batch" in option("Lambda + SQS", silent).remarks[0]
    assert "give search_ocus" in option("OpenSearch Serverless", silent).remarks[0]
    assert option("OpenSearch Serverless", silent).bill.by_kind["compute"] == Decimal("350.40")  # 2 OCU x 730 x 0.24


def test_remembered_prices_of_rivals_are_marked():
    assert line("Firehose", "firehose/ingest").price.grade == "remembered"


def test_twice_the_events_never_cost_less():
    for one, two in zip(options(ORDERS, BOOK), options(replace(ORDERS, events=5.2e9), BOOK), strict=True):
        assert two.bill.monthly_usd >= one.bill.monthly_usd


def test_a_record_needs_at_least_one_unit():
    assert units(1, 1024) == 1 and units(1024, 1024) == 1 and units(1025, 1024) == 2


@pytest.mark.parametrize("bad", [{"events": 0}, {"event_bytes": -1}, {"lambda_batch": 11}, {"groups": 0}])
def test_a_workload_that_cannot_be_is_refused_by_name(bad):
    with pytest.raises(ValueError, match=rf"workload\.{next(iter(bad))}"):
        replace(ORDERS, **bad)
