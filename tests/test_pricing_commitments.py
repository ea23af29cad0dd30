"""Commitments as they are really sold: what they cover, when they pay, what a change of family strands."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.commitments import USED_UP, NotSold, apply, best_count, hold, offer
from pricing.price_book import MissingPrice, PriceBook
from pricing.shared import Terms, bill
from pricing.usage import KafkaUsage, SearchUsage, SparkUsage, Volume

BOOK = PriceBook()


def ri(payment: str = "no", years: int = 1, box: str = "m7g.xlarge"):
    return offer(BOOK, "ec2-ri", box, "us-east-1", years, payment)


def test_msk_sells_no_commitment_at_all():
    for name in ("kafka.m7g.large", "express.m7g.large"):
        with pytest.raises(NotSold, match="MSK sells no reserved brokers and no Savings Plan"):
            offer(BOOK, "ec2-ri", name, "us-east-1")


def test_a_new_storage_family_has_a_savings_plan_and_no_reserved_price():
    with pytest.raises(MissingPrice, match="ri-3yr-all-upfront/i7ie"):
        offer(BOOK, "ec2-ri", "i7ie.xlarge", "us-east-1", 3, "all")
    plan = offer(BOOK, "ec2-instance-sp", "i7ie.xlarge", "us-east-1", 3, "all")
    assert plan.saving == pytest.approx(Decimal("0.621"), abs=Decimal("0.002"))


def test_a_rate_that_was_not_read_must_be_given():
    with pytest.raises(NotSold, match="its rate is not in the book; give share_of_listed"):
        offer(BOOK, "compute-sp", "r7g.xlarge", "us-east-1")
    given_rate = offer(BOOK, "compute-sp", "r7g.xlarge", "us-east-1", share_of_listed=Decimal("0.81"))
    assert given_rate.price.grade == "given" and given_rate.saving == Decimal("0.19")


def test_a_compute_savings_plan_has_its_own_rates_where_they_were_read():
    """m7g.large 0.0599 (1 yr) and 0.0414 USD an hour (3 yr), no upfront, of 0.0816; sizes go by vCPU."""
    for years, large in ((1, "0.0599"), (3, "0.0414")):
        found = offer(BOOK, "compute-sp", "m7g.large", "us-east-1", years)
        assert found.price.usd == Decimal(large) and found.price.grade != "given"
        assert offer(BOOK, "compute-sp", "m7g.2xlarge", "us-east-1", years).price.usd == 4 * found.price.usd


def test_an_ec2_instance_savings_plan_costs_what_a_standard_reservation_does():
    """Capture of 2026-10-03: r8i.xlarge in eu-west-3, 3 yr, no upfront, 0.14753 USD an hour: 45.2 % of its price."""
    reserved, plan = (offer(BOOK, kind, "m7g.xlarge", "us-east-1", 3, "no") for kind in ("ec2-ri", "ec2-instance-sp"))
    assert plan.price.usd == pytest.approx(reserved.price.usd, rel=Decimal("0.01"))
    read = Decimal("0.4521")
    assert plan.price.usd / plan.listed.usd == pytest.approx(read, abs=Decimal("0.005"))


def test_a_compute_plan_goes_where_an_instance_plan_stays():
    """A family or a region that is left strands an EC2 Instance Savings Plan; a Compute one is used by the next."""
    new = bill([SparkUsage("ec2", "us-east-1", "m6a.2xlarge", 4)], BOOK)
    flexible, fixed = (offer(BOOK, kind, "m7g.2xlarge", "us-east-1") for kind in ("compute-sp", "ec2-instance-sp"))
    assert apply(new, flexible, 2, BOOK).monthly_usd < new.monthly_usd < apply(new, fixed, 2, BOOK).monthly_usd


def test_reservations_are_used_up_before_instance_plans_and_those_before_compute_plans():
    assert sorted(["compute-sp", "ec2-instance-sp", "ec2-ri"], key=lambda kind: USED_UP[kind]) == [
        "ec2-ri", "ec2-instance-sp", "compute-sp",
    ]  # fmt: skip
    one = SparkUsage("ec2", "us-east-1", "m7g.2xlarge", 1)
    listed = bill([one], BOOK)
    sold = [(offer(BOOK, kind, "m7g.2xlarge", "us-east-1"), 2) for kind in ("compute-sp", "ec2-ri")]
    together = bill([one], BOOK, terms=Terms({}, tuple(sold)))
    assert together.monthly_usd == apply(apply(listed, *sold[1], BOOK), *sold[0], BOOK).monthly_usd
    covered = sum(x.quantity for x in together.lines if "ec2-ri" in x.name.lower() or "reserved" in x.name.lower())
    assert covered > 0


def test_less_paid_upfront_costs_more_an_hour_in_the_known_ratios():
    all_, partial, none = ri("all"), ri("partial"), ri("no")
    assert float(all_.price.usd / partial.price.usd) == pytest.approx(0.98, abs=0.001)
    assert float(all_.price.usd / none.price.usd) == pytest.approx(0.933, abs=0.001)
    assert none.price.grade == "derived" and all_.price.grade == "published"


def test_another_types_no_upfront_price_was_read_and_the_ratio_meets_it():
    """m6a.xlarge, a capture of Vantage on 2026-10-01: 1 yr 0.6615 (no), 0.6301 (partial); 3 yr 0.4536, 0.4201."""
    for years, payment, share in ((1, "no", 0.6615), (1, "partial", 0.6301), (3, "no", 0.4536), (3, "partial", 0.4201)):
        found = offer(BOOK, "ec2-ri", "m6a.xlarge", "us-east-1", years, payment)
        assert float(found.price.usd / found.listed.usd) == pytest.approx(share, abs=0.002)


def test_upfront_and_hourly_cash_make_the_effective_price():
    for payment in ("no", "partial", "all"):
        found = ri(payment)
        whole = found.upfront_usd + found.hourly_cash_usd * 8760
        assert whole == pytest.approx(found.price.usd * 8760)
    assert ri("no").upfront_usd == 0 and ri("all").hourly_cash_usd == 0


def test_a_steady_demand_saves_the_discount_and_breaks_even_by_the_payment():
    demand = [4.0] * 12
    none, whole = hold(ri("no"), 4, demand), hold(ri("all"), 4, demand)
    assert none.utilisation == 1 and none.break_even_month == 1
    share = float(none.saved_usd / sum(m.on_demand_usd for m in none.months))
    assert share == pytest.approx(float(ri("no").saving), abs=1e-4)
    assert whole.break_even_month == 8  # 0.617 of a year's price is paid in the first month: 12 x 0.617 = 7.4
    assert whole.saved_usd > none.saved_usd


def test_a_demand_that_grows_into_the_commitment_wastes_it_at_first():
    plan = hold(ri("no"), 8, [2.0, 4.0, 6.0, 8.0, 10.0])
    assert [float(m.utilisation) for m in plan.months] == [0.25, 0.5, 0.75, 1, 1]
    assert plan.months[0].amortised_usd > plan.months[0].on_demand_usd
    assert plan.months[4].amortised_usd < plan.months[4].on_demand_usd


def test_a_change_of_family_strands_what_is_left_of_the_term():
    plan = hold(ri("no"), 4, [4.0] * 12, change_month=7)
    left = ri("no").price.usd * 730 * 4 * 6
    assert plan.stranded_usd == left.quantize(Decimal("0.01"))
    assert hold(ri("no"), 4, [4.0] * 12, change_month=7, still_covered=True).stranded_usd == 0
    flexible = offer(BOOK, "compute-sp", "m7g.xlarge", "us-east-1", share_of_listed=Decimal("0.81"))
    assert hold(flexible, 4, [4.0] * 12, change_month=7).stranded_usd == 0


def test_what_is_owned_already_costs_no_upfront_again_and_runs_out():
    plan = hold(ri("all"), 4, [4.0] * 12, owned_months=9)
    assert all(m.cash_usd == 0 for m in plan.months[:3])
    assert all(m.bought == 0 and m.cash_usd == m.on_demand_usd for m in plan.months[3:])


def test_opensearch_reservations_have_no_size_flexibility():
    search = SearchUsage("opensearch-service", "us-east-1", "r7g.large", 6, volume=Volume("gp3", 100))
    small = bill([search], BOOK)
    other = offer(BOOK, "opensearch-ri", "r7g.xlarge", "us-east-1")
    assert other.covers == "type"
    unused = apply(small, other, 3)
    assert unused.monthly_usd == small.monthly_usd + (other.price.usd * 3 * 730).quantize(Decimal("0.01"))


def test_an_opensearch_reservation_of_the_right_type_takes_its_published_share_off():
    search = SearchUsage("opensearch-service", "us-east-1", "r7g.large", 6, volume=Volume("gp3", 100))
    listed = bill([search], BOOK)
    reserved = apply(listed, offer(BOOK, "opensearch-ri", "r7g.large", "us-east-1", 1, "no"), 6)
    share = reserved.by_kind["compute"] / listed.by_kind["compute"]
    assert share == pytest.approx(Decimal("0.69"), abs=Decimal("0.005"))
    assert reserved.by_kind["storage"] == listed.by_kind["storage"]


def test_an_ec2_reservation_covers_other_sizes_of_its_family_by_vcpu():
    spark = SparkUsage("ec2", "us-east-1", "m7g.2xlarge", 2)
    listed = bill([spark], BOOK)
    reserved = apply(listed, ri("no", box="m7g.xlarge"), 4)
    assert not [x for x in reserved.lines if x.price.item == "ec2/on-demand/m7g.2xlarge"]
    assert float(reserved.by_kind["compute"] / listed.by_kind["compute"]) == pytest.approx(0.6615, abs=0.002)


def test_no_commitment_touches_msk_transfer_volumes_or_spot():
    usages = [
        KafkaUsage("msk-standard", "us-east-1", "m7g.large", 3, volume=Volume("gp3", 100), produced_bytes=1e12),
        SparkUsage("emr-ec2", "us-east-1", "m7g.xlarge", 4, spot_share=1.0),
    ]
    listed = bill(usages, BOOK)
    reserved = apply(listed, ri("no"), 2)
    kept = {x.name: x.monthly_usd for x in reserved.lines}
    assert all(kept[x.name] == x.monthly_usd for x in listed.lines)
    assert reserved.monthly_usd > listed.monthly_usd  # nothing to cover: all wasted


def test_each_system_pays_for_what_it_uses_of_a_plan_and_waste_stands_alone():
    """Five boxes' hours bought, three used by Kafka and one by Spark: a fifth of the money is a line named unused."""
    kafka = KafkaUsage("self-managed", "us-east-1", "m7g.xlarge", 3, volume=Volume("gp3", 100), tags=(("team", "a"),))
    spark = SparkUsage("ec2", "us-east-1", "m7g.xlarge", 1, tags=(("team", "a"), ("stack", "s")))
    made = apply(bill([kafka, spark], BOOK), ri(), 5, BOOK)
    held = {x.system: x for x in made.lines if x.driver == "commitment"}
    assert {name: x.quantity / 730 for name, x in held.items()} == {"kafka": 3, "spark": 1, "shared": 1}
    assert "unused" in held["shared"].name and held["shared"].tags == (("team", "a"),)
    assert held["spark"].tags == spark.tags
    assert not [x for x in made.lines if x.price.item.startswith("ec2/on-demand/m7g")]


@given(bought=st.integers(0, 20), base=st.integers(0, 20), swing=st.integers(0, 10))
def test_the_best_count_is_never_beaten(bought, base, swing):
    demand = [float(base + swing * (m % 3)) for m in range(12)]
    found = ri("no")
    best = hold(found, best_count(found, demand), demand)
    assert best.saved_usd >= hold(found, bought, demand).saved_usd - Decimal("0.50")  # cents a month of rounding


def test_a_commitment_that_does_not_exist_is_refused_with_what_does():
    with pytest.raises(NotSold, match="1 or 3 years"):
        offer(BOOK, "ec2-ri", "m7g.xlarge", "us-east-1", 2)
    with pytest.raises(NotSold, match="ec2-ri, ec2-instance-sp, compute-sp or opensearch-ri"):
        offer(BOOK, "database-sp", "m7g.xlarge", "us-east-1")
