"""The range of a bill: joint draws, dice shared by options, and prices that could turn an answer."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.spread import SPREAD, factors, joint_range, totals, unsure, verdict
from pricing.usage import KafkaUsage, SearchUsage, SharedUsage, SparkUsage, Volume

BOOK = PriceBook()
SPARK = SparkUsage("emr-ec2", "us-east-1", "m7g.xlarge", 20, 1, spot_share=1.0)
SEARCH = SearchUsage("opensearch-service", "eu-west-1", "or1.large", 6, volume=Volume("gp3", 1000))


def published() -> KafkaUsage:
    return KafkaUsage("msk-standard", "us-east-1", "m7g.large", 3, volume=Volume("gp3", 100), produced_bytes=1e13)


def test_a_bill_of_published_prices_and_one_usage_has_no_range():
    month = bill([published()], BOOK)
    found = joint_range([month], BOOK)
    assert found.p10_usd == found.p90_usd == pytest.approx(float(month.monthly_usd), abs=0.05)


def test_percentiles_of_lines_do_not_add_up_to_the_percentile_of_the_total():
    """Two prices that are not sure seldom go wrong together: the sum of P90s overstates the P90."""
    month = bill([SPARK, SEARCH], BOOK)
    total = joint_range([month], BOOK, draws=4000).p90_usd
    lines = sum(
        float(line.exact_usd) * float(np.quantile(factors(line.price, BOOK, 1, 4000), 0.9)) for line in month.lines
    )
    assert total < lines - 10


def test_usage_draws_and_price_draws_move_the_total_together():
    flows = np.random.Generator(np.random.Philox(7)).lognormal(0, 0.3, 200)
    months = [bill([replace(published(), produced_bytes=2e14 * f), SPARK], BOOK) for f in flows]
    both = joint_range(months, BOOK, draws=4000)
    usage_alone = [float(m.monthly_usd) for m in months]
    assert both.p90_usd - both.p10_usd > np.quantile(usage_alone, 0.9) - np.quantile(usage_alone, 0.1)
    assert both.p10_usd < both.p50_usd < both.p90_usd


def test_the_same_seed_draws_the_same_dice_and_another_seed_others():
    month = bill([SPARK], BOOK)
    assert np.array_equal(totals([month], BOOK, 3), totals([month], BOOK, 3))
    assert not np.array_equal(totals([month], BOOK, 3), totals([month], BOOK, 4))


def test_lines_of_one_price_share_their_draw():
    twice = bill([SPARK, SPARK], BOOK)
    once = bill([SPARK], BOOK)
    assert np.allclose(totals([twice], BOOK), 2 * totals([once], BOOK))


def test_spot_spreads_as_its_family_does_over_regions():
    """m7g: 59 % off in the median; the facts give P10 and P90 of the family over six regions."""
    price = BOOK.price("ec2/spot/m7g.xlarge", "us-east-1")
    low, high = (float(BOOK.price(f"ec2/spot-discount-{end}/m7g", "us-east-1").usd) for end in ("low", "high"))
    drawn = factors(price, BOOK, 1, 20000)
    p10, p90 = np.quantile(drawn, [0.1, 0.9])
    assert p90 / p10 == pytest.approx((1 - low) / (1 - high), rel=0.03)


def test_nine_of_ten_draws_of_an_unsure_price_lie_within_its_grades_spread():
    for item, region in (("ebs/gp3-iops", "eu-west-1"), ("opensearch/node/or1.large.search", "eu-west-1")):
        price = BOOK.price(item, region)
        drawn = factors(price, BOOK, 1, 20000)
        edge = 1 + SPREAD[price.grade]
        assert np.mean((drawn < edge) & (drawn > 1 / edge)) == pytest.approx(0.9, abs=0.01)


def test_support_follows_the_charges_it_is_a_share_of():
    alone, supported = ([SPARK, SharedUsage("us-east-1", plan, nat_gateways=1)] for plan in ("", "business"))
    ratio = totals([bill(supported, BOOK)], BOOK) / totals([bill(alone, BOOK)], BOOK)
    assert np.ptp(ratio) < 1e-9 and ratio[0] == pytest.approx(1.1, abs=0.001)


def test_a_close_call_on_an_unsure_price_says_which_price_could_turn_it():
    node = BOOK.price("opensearch/node/or1.large.search", "eu-west-1")
    a = bill([replace(SEARCH, data_nodes=6)], BOOK)
    near = BOOK.with_prices({("opensearch/node/r7g.large.search", "eu-west-1"): node.usd * Decimal("1.02")})
    b = bill([replace(SEARCH, machine="r7g.large")], near)
    said = verdict(a, b, near)
    assert said.cheaper == "a" and said.share_of_draws < 0.9
    assert said.turned_by == ("opensearch/node/or1.large.search",)


def test_a_clear_win_on_published_prices_is_certain_and_turned_by_nothing():
    small, large = bill([published()], BOOK), bill([replace(published(), brokers=6)], BOOK)
    said = verdict(small, large, BOOK)
    assert (said.cheaper, said.share_of_draws, said.turned_by) == ("a", 1.0, ())
    assert verdict(large, small, BOOK).cheaper == "b"


def test_a_price_shared_by_both_options_turns_nothing():
    """Both stand on the same remembered volumes: the winner has fewer nodes whatever they cost."""
    a, b = (
        bill([KafkaUsage("self-managed", "eu-west-1", "m7g.large", n, volume=Volume("gp3", 500, 9000))], BOOK)
        for n in (3, 6)
    )
    assert unsure(a) and verdict(a, b, BOOK).turned_by == ()


def test_what_to_confirm_first_is_the_dearest_unsure_line():
    lines = unsure(bill([SPARK, SEARCH, published()], BOOK))
    assert [x.monthly_usd for x in lines] == sorted((x.monthly_usd for x in lines), reverse=True)
    assert {x.price.grade for x in lines} == {"measured", "derived"}


def test_no_draws_of_no_bill():
    with pytest.raises(ValueError, match="bills is empty"):
        totals([], BOOK)
