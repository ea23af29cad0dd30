"""What serves the whole stack: network, monitoring, support, people; and the bill put together.

Support is a share of the month's AWS charges after discounts and commitments, by tiers that count the whole account,
with a minimum: the stack pays what it adds to the account's support. People and third parties are not AWS's and are
summed apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from models.machines import box_name
from pricing import commitments, elasticsearch, kafka, spark
from pricing.bill import NOTHING, Bill, Gap, Ledger, cents, exact, split, tier_name
from pricing.boxes import add_boxes, add_root_volumes
from pricing.price_book import MissingPrice, Price, PriceBook
from pricing.traffic import add_network, gb
from pricing.usage import ALONE, Account, HostUsage, KafkaUsage, Month, SearchUsage, SharedUsage, SparkUsage

AnyUsage = KafkaUsage | SparkUsage | SearchUsage | SharedUsage | HostUsage


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed with AWS: shares off by (service code, usage type or '*'), and commitments with their counts."""

    discounts: Mapping[tuple[str, str], Decimal] = field(default_factory=dict)
    commitments: tuple[tuple[commitments.Offer, float], ...] = ()


LISTED = Terms()


def bill(
    usages: Iterable[AnyUsage], book: PriceBook, month: Month | None = None, rest: Account = ALONE,
    terms: Terms = LISTED,
) -> Bill:  # fmt: skip
    """The month's bill of everything used, in the given order, on the terms agreed, support last."""
    month = month or Month()
    ledgers: list[Ledger] = []
    plans: list[SharedUsage] = []
    for usage in usages:
        ledgers.append(_priced(usage, month, book, rest))
        rest = _used_up(rest, usage)
        if isinstance(usage, SharedUsage) and usage.support_plan:
            plans.append(usage)
    if len(plans) > 1:
        raise ValueError(f"support_plan is given {len(plans)} times; an account has one")
    lines = tuple(x for ledger in ledgers for x in ledger.lines)
    gaps = tuple(x for ledger in ledgers for x in ledger.gaps)
    made = _agreed(Bill(lines, gaps, month, book.digest), terms, book)
    helped = [support(plan, made.aws_usd, book, rest) for plan in plans]
    return replace(made, lines=made.lines + tuple(x for ledger in helped for x in ledger.lines))


def _agreed(made: Bill, terms: Terms, book: PriceBook) -> Bill:
    if terms.discounts:
        made = made.discounted(terms.discounts)
    for offered, count in sorted(terms.commitments, key=lambda pair: commitments.USED_UP[pair[0].kind]):
        made = commitments.apply(made, offered, count, book)
    return made


def _priced(usage: AnyUsage, month: Month, book: PriceBook, rest: Account) -> Ledger:
    if isinstance(usage, KafkaUsage):
        return kafka.lines(usage, month, book)
    if isinstance(usage, SparkUsage):
        return spark.lines(usage, month, book, rest)
    if isinstance(usage, SearchUsage):
        return elasticsearch.lines(usage, month, book, rest)
    if isinstance(usage, HostUsage):
        return _hosts(usage, month, book)
    return lines(usage, month, book, rest)


def _hosts(usage: HostUsage, month: Month, book: PriceBook) -> Ledger:
    ledger = Ledger("shared", usage.region, book, usage.tags)
    for name, count in usage.machines.items():
        add_boxes(ledger, "shared hosts", box_name(name), count, month.hours)
    add_root_volumes(ledger, usage.root_volume_gib, sum(usage.machines.values()))
    for host in usage.unpriced:
        reason = f"host '{host}' is given by its cores: name an EC2 type (hosts[].machine) to have it priced"
        gap = Gap(
            "shared", "compute", f"host {host}", f"host/{host}", usage.region, exact(month.hours), "hours", reason
        )
        ledger.gaps.append(gap)
    return ledger


def _used_up(rest: Account, usage: AnyUsage) -> Account:
    """The account as the next usage meets it: the account's tiers are filled in order."""
    if isinstance(usage, SparkUsage) and usage.checkpoint_store == "s3":
        return replace(rest, s3_standard_bytes=rest.s3_standard_bytes + usage.checkpoint_bytes)
    if isinstance(usage, SearchUsage):
        return replace(rest, s3_standard_bytes=rest.s3_standard_bytes + usage.snapshot_bytes)
    if isinstance(usage, SharedUsage):
        return replace(
            rest,
            internet_out_bytes=rest.internet_out_bytes + usage.internet_out_bytes,
            custom_metrics=rest.custom_metrics + usage.custom_metrics,
            prometheus_samples=rest.prometheus_samples + usage.prometheus_samples,
        )
    return rest


def lines(usage: SharedUsage, month: Month, book: PriceBook, rest: Account = ALONE) -> Ledger:
    """Network, monitoring, people and third parties; support comes last, by `support`."""
    ledger = Ledger("shared", usage.region, book, usage.tags)
    add_network(ledger, usage, month, rest)
    _monitoring(ledger, usage, rest)
    _people(ledger, usage)
    return ledger


def _monitoring(ledger: Ledger, usage: SharedUsage, rest: Account) -> None:
    add = ledger.add
    add("monitoring", "CloudWatch custom metrics", "cloudwatch/metric", usage.custom_metrics, "scaling",
        "custom metrics", rest.custom_metrics)  # fmt: skip
    add("monitoring", "CloudWatch GetMetricData", "cloudwatch/get-metric-data", usage.metric_requests, "scaling",
        "metrics asked for")  # fmt: skip
    add("monitoring", "CloudWatch alarms", "cloudwatch/alarm", usage.alarms, "fixed", "alarms")
    add("monitoring", "CloudWatch Logs ingestion", "cloudwatch/logs-in", gb(usage.log_bytes), "scaling", "log bytes")
    add("monitoring", "CloudWatch Logs storage", "cloudwatch/logs-stored", gb(usage.log_stored_bytes), "scaling",
        "log bytes kept")  # fmt: skip
    add("monitoring", "Managed Prometheus samples", "amp/samples", usage.prometheus_samples, "scaling",
        "samples written", rest.prometheus_samples)  # fmt: skip
    add("monitoring", "Managed Prometheus storage", "amp/storage", gb(usage.prometheus_stored_bytes), "scaling",
        "metric bytes kept")  # fmt: skip
    add("monitoring", "Managed Grafana editors", "amg/editor", usage.grafana_editors, "fixed", "editors")
    add("monitoring", "Managed Grafana viewers", "amg/viewer", usage.grafana_viewers, "fixed", "viewers")


def _people(ledger: Ledger, usage: SharedUsage) -> None:
    if usage.engineer_hours and usage.engineer_usd_per_hour is not None:
        price = _given("people/engineer-hour", usage.region, exact(usage.engineer_usd_per_hour), "hour")
        ledger.put("people", "Engineers", price, exact(usage.engineer_hours), "fixed", "engineer hours")
    for name, usd in usage.third_parties:
        price = _given(f"third-party/{name}", usage.region, exact(usd), "month")
        ledger.put("third-party", name, price, Decimal(1), "fixed", "third party's bill")


def _given(item: str, region: str, usd: Decimal, unit: str) -> Price:
    return Price(item, region, usd, unit, NOTHING, None, "", "", "", "unknown/unknown", "given", "given by the user",
                 "given")  # fmt: skip


def support(usage: SharedUsage, charged: Decimal, book: PriceBook, rest: Account = ALONE) -> Ledger:
    """What the stack adds to the account's support: its part of each tier, and the change of the minimum top-up.

    Support(x) = max(minimum, sum over tiers of rate x part of x), of the account's AWS charges x.
    Source: AWS support plans' price pages, as in the rows.
    """
    ledger = Ledger("shared", usage.region, book, usage.tags)
    item, name = f"support/{usage.support_plan}", f"AWS Support {usage.support_plan}"
    try:
        tiers, least = book.tiers(item, usage.region), book.price(f"{item}-minimum", usage.region)
    except MissingPrice as missing:
        plans = sorted(i.removeprefix("support/").removesuffix("-minimum") for i in book.items("any", "support/"))
        wanted = ", ".join(dict.fromkeys(plans))
        raise ValueError(f"shared.support_plan = '{usage.support_plan}'; expected one of {wanted}") from missing
    before = exact(rest.aws_usd)
    for tier, part in split(tiers, before, charged):
        ledger.put("support", f"{name} ({tier_name(tier)})", tier, part, "scaling", "AWS charges of the month")
    now, then = _cost(tiers, least, before + charged), _cost(tiers, least, before) if before else NOTHING
    top_up = cents(now - then) - sum((line.monthly_usd for line in ledger.lines), NOTHING)
    if top_up and least.usd in (now, then):
        price = replace(least, usd=top_up)
        ledger.put("support", f"{name} minimum", price, Decimal(1), "fixed", "plan's minimum less its share")
    return ledger


def _cost(tiers: Iterable[Price], least: Price, charges: Decimal) -> Decimal:
    share = sum((part * tier.usd for tier, part in split(tiers, NOTHING, charges)), NOTHING)
    return max(least.usd, share)
