"""Claims about money, people and other ways."""

from __future__ import annotations

import math
from collections.abc import Iterator

from models.stack import Scenario
from models.units import show
from planner.claims import Claim, Judge, Known

LAMBDA_SAID = 100_000  # events after which the article has Lambda fail
AT_LEAST_USD, BEFORE_USD, AFTER_USD = 8_000, 2_000, 12_000  # the article's month
HOURS_A_MONTH = 160.0  # of one person


def lambda_fails(k: Known) -> Iterator[Claim]:
    from planner.money_alternatives import alternatives

    way = next((w for w in alternatives(_triggered(k.scenario)) if "ambda" in w.option.name), None)
    if way is None:
        return
    until = (
        f"fits until {show(way.stops_at, '1/s')}" if math.isfinite(way.stops_at) else "no limit known here is reached"
    )
    yield Claim(
        "lambda",
        "other ways",
        f"Lambda functions fail after {LAMBDA_SAID // 1000}K events",
        "false",
        f"your {show(k.bill.events, 'count')} events a month: {way.option.name} "
        f"{'fits' if way.option.fits else 'does not fit'}, {until}; {float(way.option.bill.monthly_usd):,.0f} USD a "
        f"month "
        f"for {way.own_usd:,.0f} of your {way.replaces}",
        "No limit counts events. What ends it is concurrency, a rate of requests, and money.",
        "aws-prices.md; floodmark bill --alternatives",
    )


def _triggered(scenario: Scenario) -> Scenario:
    """The scenario with a trigger where it has none: the brokers' bill, which Lambda is held against, is the same."""
    flows = []
    for flow in scenario.flows:
        often = flow.query.trigger or 1.0
        flows.append(flow.model_copy(update={"query": flow.query.model_copy(update={"trigger": often})}))
    return scenario.model_copy(update={"flows": tuple(flows)})


def eight_thousand(k: Known) -> Iterator[Claim]:
    usd, ends = float(k.bill.monthly_usd), k.bill.range
    whole = "" if k.bill.bill.complete else ", and something of it has no price"
    yield Claim(
        "at-least-8k",
        "money",
        f"expect at least ${AT_LEAST_USD:,} a month",
        "true"
        if ends.p10_usd >= AT_LEAST_USD and whole == ""
        else "false"
        if ends.p90_usd < AT_LEAST_USD and whole == ""
        else "it depends",
        f"{usd:,.0f} USD a month ({ends.p10_usd:,.0f} to {ends.p90_usd:,.0f}, P10 to P90){whole}",
        "It depends on storage, traffic and commitments: committed EC2 costs 0.38 to 0.64 of on-demand, OpenSearch "
        "0.48 to "
        "0.69; MSK, EBS and traffic get nothing.",
        "aws-prices.md E, B3, B6",
    )


def copies_cost(k: Known) -> Iterator[Claim]:
    from planner.money_tell import dominating

    flows = k.scenario.flows
    held = k.index.bytes + k.topic.bytes
    topic = k.topic.bytes / max(f.topic.copies for f in flows)
    once = k.index.bytes / max(min(f.index.copies, k.scenario.elasticsearch.data_nodes) for f in flows)
    yield Claim(
        "2k-to-12k",
        "money",
        f"${BEFORE_USD // 1000}k became ${AFTER_USD // 1000}k because the index keeps three copies",
        "false",
        f"copies hold {show(max(0.0, round(held - once - topic)), 'bytes')} of your {show(held, 'bytes')}; most of "
        f"your "
        f"{float(k.bill.monthly_usd):,.0f} USD is {dominating(k.bill)}",
        "A second copy adds as much storage as the first and about 27 % less indexing throughput; a factor of six is "
        "instances, retention, traffic between zones, requests and monitoring that nobody counted.",
        "elasticsearch.md E; aws-prices.md E; floodmark bill --against plan",
    )


def prices_climb(k: Known) -> Iterator[Claim]:
    growth = max(f.workload.growth_per_month for f in k.scenario.flows)
    year = (1 + growth) ** 12
    yield Claim(
        "prices-climb",
        "money",
        "costs climb since 2023 with all the instance price increases",
        "false",
        f"your events grow {growth:.1%} a month: ×{year:.2f} in a year, at prices that stand still",
        "No list price of MSK, OpenSearch or EC2 in us-east-1 moved between the feed of June 2025 and the copies of "
        "2026. "
        "Earlier years are not in the price book.",
        "aws-prices.md D1, E; floodmark prices diff",
    )


def babysitter(k: Known) -> Iterator[Claim]:
    money = k.scenario.money
    hours, worst = money.engineer_hours, sum(f.severity == "critical" for f in k.findings)
    usd = hours * (money.engineer_usd_per_hour or 0.0)
    told = f"your scenario plans {hours:g} hours a month" + (
        f" ({usd:,.0f} USD)" if hours else " (money.engineer_hours)"
    )
    yield Claim(
        "babysitter",
        "people",
        "budget at least one full-time person to keep it running",
        "it depends",
        f"{told}; one person is {HOURS_A_MONTH:.0f}. {worst} of {len(k.findings)} findings of `floodmark "
        "check` are critical today",
        "No figure found for how many people such a stack takes. Each cause of a page by night is a named limit, and "
        "managed kinds move some of them to AWS.",
        "no published figure; floodmark check",
    )


def coin_flip(k: Known) -> Iterator[Claim]:
    if k.screened is None:
        return
    factor = float(k.screened.sustainable[0])
    yield Claim(
        "coin-flip",
        "performance",
        "whether it performs is a coin flip",
        "false",
        f"yours carries {factor:.2g} times its mean rate, bound by {k.screened.binding[0]} (screened)"
        + ("; so near its end, simulate it" if bool(k.screened.simulate_me[0]) else ""),
        "A closed loop of writers, whose response time is linear in their number, meets four published series "
        "within 5 %.",
        "elasticsearch.md A2, E; docs/accuracy.md",
    )


JUDGES: tuple[Judge, ...] = (lambda_fails, eight_thousand, copies_cost, prices_climb, babysitter, coin_flip)
