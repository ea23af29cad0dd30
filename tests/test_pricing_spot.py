"""Spot executors as they are paid: on the market, on demand where there is none, twice while one is replaced."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from planner.bill import monthly_bill
from planner.fault_spot import drawn_interruptions
from planner.forecast import coefficients_of
from planner.money_months import months
from planner.money_notes import notes_of
from planner.scenario import from_yaml, load_scenario, resolved
from planner.usage import Pace
from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.spark import interruption_band, replaced_hours
from pricing.usage import SparkUsage

BOOK = PriceBook()
SPARK = SparkUsage("emr-ec2", "us-east-1", "m7g.xlarge", 10, 1, spot_share=0.6)
TEXT = """
name: quick
flows:
- workload: {rate: 200/s, size: 500 B}
  topic: {partitions: 2}
  query: {trigger: 2 s, sink: {kind: jvm-connector, ids: explicit}}
  index: {retention: 1 d}
"""


def hours(usage: SparkUsage) -> dict[str, Decimal]:
    return {x.name: x.quantity for x in bill([usage], BOOK).lines if x.kind == "compute"}


def test_hours_that_find_no_spot_are_bought_on_demand_and_none_is_lost():
    found = hours(replace(SPARK, spot_fallback=0.25))
    market = found["EC2 m7g.xlarge spot (Spark executors)"]
    instead = found["EC2 m7g.xlarge on demand (Spark executors, where there is no spot)"]
    listed = found["EC2 m7g.xlarge on demand (Spark executors)"]
    assert (listed, market, instead) == (2920, 3285, 1095) and listed + market + instead == 7300


def test_each_box_taken_back_is_paid_twice_while_it_is_replaced():
    """Six spot boxes, half of them taken back in a month, 20 minutes each: 3 x 1/3 h, with EMR's price on top."""
    usage = replace(SPARK, spot_interruptions=0.5, spot_replacement_seconds=1200.0)
    found = hours(usage)
    assert found["EC2 m7g.xlarge spot (Spark executors, replacements starting)"] == 1
    assert found["EMR on EC2 m7g.xlarge (executors)"] == 7301


def test_without_a_figure_of_ones_own_the_advisors_band_says_how_often():
    low, high = interruption_band(BOOK, "m7g.xlarge", "us-east-1")
    assert (low, high) == (pytest.approx(high - 0.05), high)
    usage = replace(SPARK, spot_replacement_seconds=3600.0)
    assert replaced_hours(usage, BOOK) == pytest.approx(6 * (low + high) / 2)
    assert replaced_hours(replace(usage, spot_share=0.0), BOOK) == 0


def test_a_box_that_nobody_published_a_band_of_is_said_and_not_guessed():
    unknown = next(i.rpartition("/")[2] for i in BOOK.items("us-east-1", "ec2/spot/")
                   if interruption_band(BOOK, i.rpartition("/")[2], "us-east-1") is None)  # fmt: skip
    it = scenario({"spot_share": 1.0}, unknown)
    assert replaced_hours(replace(SPARK, machine=unknown, spot_replacement_seconds=600.0), BOOK) == 0
    made = monthly_bill(it, coefficients_of(it)).bill
    assert any("nobody published how often" in note for note in notes_of(it, made, BOOK))


def scenario(money, machine="m7g.2xlarge"):
    data = resolved(from_yaml(TEXT))
    data["money"] |= money
    data["spark"] |= {"machine": machine}
    return load_scenario(data)


def test_the_bill_says_what_a_tenth_without_spot_costs():
    it = scenario({"spot_share": 1.0})
    plain = monthly_bill(it, coefficients_of(it))
    less = scenario({"spot_share": 1.0, "spot_fallback": 0.1})
    dearer = monthly_bill(less, coefficients_of(less))
    told = next(note for note in plain.notes if "every tenth" in note)
    said = Decimal(told.rpartition(" costs ")[2].partition(" USD")[0])
    assert abs(dearer.monthly_usd - plain.monthly_usd - said) <= Decimal("0.03")  # fewer boxes are replaced


def test_spot_with_a_fallback_lies_between_spot_and_on_demand():
    shares = ((1, 0), (1, 0.3), (1, 0.9), (0, 0))
    stacks = [scenario({"spot_share": share, "spot_fallback": back}) for share, back in shares]
    totals = [monthly_bill(it, coefficients_of(it)).monthly_usd for it in stacks]
    assert totals == sorted(totals) and len(set(totals)) == 4


def test_the_bills_range_is_wider_by_the_advisors_band():
    """A day twice for each box taken back: at the band's middle for all draws, or at a rate of its own a draw."""
    money = {"spot_share": 1.0, "spot_replacement": "1 d", "load_spread": 0.0}
    low, high = interruption_band(BOOK, "m7g.2xlarge", "us-east-1")
    drawn, fixed = scenario(money), scenario(money | {"spot_interruptions": (low + high) / 2})
    rates = drawn_interruptions(drawn, 32, seed=1)
    assert low < min(rates) < max(rates) < high and sum(rates) / 32 == pytest.approx((low + high) / 2)
    assert set(drawn_interruptions(fixed, 4, seed=1)) == {(low + high) / 2}
    banded, middle = (monthly_bill(it, coefficients_of(it)) for it in (drawn, fixed))
    assert banded.monthly_usd == middle.monthly_usd
    assert _width(banded) > 1.0001 * _width(middle)
    later = [months(it, coefficients_of(it), {"events": Pace(2.0)}, 1)[0] for it in (drawn, fixed)]
    assert _width(later[0]) > 1.0001 * _width(later[1])


def _width(made) -> float:
    return made.range.p90_usd - made.range.p10_usd
