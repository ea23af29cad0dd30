"""Commitments compared over a horizon: renewed when they end, as cash and amortised, with what could turn the best."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pricing.bill import cents
from pricing.commitments import offer
from pricing.offers import compared
from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.usage import KafkaUsage, SearchUsage, SparkUsage, Volume

BOOK = PriceBook()
D = Decimal


def month(executors: float, nodes: int = 3):
    return bill(
        [SparkUsage("ec2", "us-east-1", "m7g.2xlarge", executors),
         SearchUsage("opensearch-service", "us-east-1", "r7g.large", nodes, volume=Volume("gp3", 100)),
         KafkaUsage("msk-standard", "us-east-1", "m7g.large", 3, volume=Volume("gp3", 100))], BOOK)  # fmt: skip


def of(bills, machine, **more):
    return next(one for one in compared(bills, BOOK, **more) if one.machine == machine)


def option(one, name):
    return next(c for c in one.choices if c.name == name)


def test_a_term_that_ends_within_the_horizon_is_bought_anew():
    one = of([month(4)] * 30, "m7g.2xlarge")
    yearly = option(one, "ec2-ri 1 yr, all upfront")
    sold = offer(BOOK, "ec2-ri", "m7g.2xlarge", "us-east-1", 1, "all")
    assert [k for k, usd in enumerate(yearly.cash_usd) if usd] == [0, 12, 24]
    assert yearly.cash_usd[0] == cents(4 * sold.upfront_usd)
    assert len(set(yearly.amortised_usd)) == 1  # the same each month


def test_on_demand_is_the_bills_own_lines():
    bills = [month(4), month(6)]
    one = of(bills, "m7g.2xlarge")
    assert one.choices[0].amortised_usd == tuple(
        sum(x.monthly_usd for x in b.lines if x.price.item == "ec2/on-demand/m7g.2xlarge") for b in bills
    )
    assert one.demand == (4, 6)


def test_a_demand_that_grows_is_committed_to_as_far_as_it_pays():
    """Boxes wanted in a third of the months only are cheaper on demand than for a year."""
    one = of([month(2)] * 8 + [month(9)] * 4, "m7g.2xlarge")
    assert option(one, "ec2-ri 1 yr, no upfront").plan.bought == 2
    one = of([month(2)] * 2 + [month(9)] * 10, "m7g.2xlarge")
    assert option(one, "ec2-ri 1 yr, no upfront").plan.bought == 9


def test_no_option_that_is_bought_as_pays_best_costs_more_than_on_demand():
    for one in compared([month(3)] * 12, BOOK):
        assert all(c.saved_usd >= 0 for c in one.choices)
        assert one.best.total_usd <= one.choices[0].total_usd


def test_msk_has_no_options_and_what_has_no_rate_is_listed_once():
    found = compared([month(3)] * 3, BOOK)
    assert {one.machine for one in found} == {"m7g.2xlarge", "r7g.large.search"}
    assert of([month(3)] * 3, "m7g.2xlarge").missing == ()
    elsewhere = compared([bill([SparkUsage("ec2", "eu-west-1", "m7g.2xlarge", 3)], BOOK)] * 3, BOOK)[0]
    assert "compute-sp 1 yr" in " ".join(elsewhere.missing)


def test_leaving_early_strands_the_rest_of_the_term():
    one = of([month(3)] * 12, "r7g.large.search", leave_after=4)
    held = option(one, "opensearch-ri 1 yr, no upfront")
    assert held.stranded_usd == cents(held.plan.hourly_commitment_usd * 730 * 8)
    assert one.choices[0].stranded_usd == 0


def test_an_unsure_rate_may_turn_the_best_and_a_published_one_may_not():
    box = of([month(3)] * 36, "m7g.2xlarge")
    assert all(option(box, name).spread for name in box.turned_by)
    search = of([month(3)] * 36, "r7g.large.search")
    assert search.turned_by == ()  # all six reserved prices of it are published


@pytest.mark.parametrize("months", [1, 11, 12, 13, 36, 40])
def test_amortised_and_cash_agree_over_whole_terms(months):
    one = of([month(3)] * months, "r7g.large.search")
    for c in one.choices[1:]:
        term = 12 if " 1 yr" in c.name else 36
        if months % term == 0:
            assert abs(c.total_usd - c.total_cash_usd) < D("0.5")
