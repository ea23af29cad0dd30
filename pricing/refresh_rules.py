"""Charges of AWS's answers turned into rows of the book, by the rules of `pricing.refresh_list`.

A *charge* is one price dimension as AWS lists it: service, usage type, operation, unit, range of quantity, dollars.
What no rule knows is left aside and counted, so that a refresh says how much it did not understand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

from pricing.build_names import PREFIXES, US_EAST_1, usage_type
from pricing.refresh_list import LINUX, QUERIES, RULES, Rule, filters
from pricing.rows import Row

__all__ = ["LINUX", "QUERIES", "RULES", "Charge", "Rule", "charges", "filters", "rows", "savings_rows", "spot_rows"]

YEAR_HOURS = 8760
TERMS = {"No Upfront": "no", "Partial Upfront": "partial", "All Upfront": "all"}
ENDLESS = ("Inf", "", None)


class Charge(NamedTuple):
    """One price dimension of AWS's list. `sku` and `term` join the parts of a reservation."""

    service: str
    usage_type: str
    operation: str
    attributes: Mapping[str, str]
    sku: str
    term: Mapping[str, str]
    unit: str
    begin: str
    end: str
    usd: str
    published: str


def bare(usage_type: str, region: str) -> str:
    """A usage type without its region's prefix; us-east-1 has one in some services only.

    >>> bare("EUC1-BoxUsage:m7g.large", "eu-central-1"), bare("USE1-Kafka.m5.large", "us-east-1")
    ('BoxUsage:m7g.large', 'Kafka.m5.large')
    """
    prefix = (PREFIXES.get(region) or US_EAST_1) + "-"
    return usage_type.removeprefix(prefix)


def charges(page: Iterable[str]) -> Iterator[Charge]:
    """The charges of a page of GetProducts: a list of JSON texts."""
    for text in page:
        data = json.loads(text)
        product = data["product"]
        attributes = product["attributes"]
        for kind in ("OnDemand", "Reserved"):
            for offer in data["terms"].get(kind, {}).values():
                term = {"kind": kind, "code": offer.get("offerTermCode", ""), **offer.get("termAttributes", {})}
                for part in offer["priceDimensions"].values():
                    yield Charge(
                        data.get("serviceCode") or attributes.get("servicecode", ""), attributes.get("usagetype", ""),
                        attributes.get("operation", ""), attributes, product["sku"], term, part["unit"],
                        part.get("beginRange", "0"), part.get("endRange", "Inf"),
                        part["pricePerUnit"].get("USD", ""), data.get("publicationDate", "")[:10],
                    )  # fmt: skip


def rows(found: Iterable[Charge], region: str) -> tuple[list[Row], int]:
    """Rows of the book from charges, and how many charges no rule knows."""
    made: list[Row] = []
    reserved: dict[tuple[str, str], list[Charge]] = {}
    unknown = 0
    for charge in found:
        if charge.term["kind"] == "Reserved":
            reserved.setdefault((charge.sku, charge.term["code"]), []).append(charge)
        elif (row := _row(charge, region)) is not None:
            made.append(row)
        else:
            unknown += 1
    made += [row for parts in reserved.values() if (row := _reserved(parts, region)) is not None]
    return made, unknown


def rule_of(charge: Charge, region: str) -> tuple[Rule, str] | None:
    """The rule that a charge falls under, and the item it is."""
    name = bare(charge.usage_type, region)
    for rule in RULES:
        if rule.service != charge.service:
            continue
        fits = re.fullmatch(rule.pattern, name)
        if fits and all(charge.attributes.get(k, v) == v for k, v in rule.attributes.items()):
            return rule, rule.item.format(*fits.groups())
    if charge.service == "AWSDataTransfer" and charge.attributes.get("toRegionCode") and "AWS-Out-Bytes" in name:
        peer = charge.attributes["toRegionCode"]
        return Rule(charge.service, "", "", "GB"), f"transfer/region-{peer}"
    return None


def _row(charge: Charge, region: str) -> Row | None:
    found = rule_of(charge, region)
    if found is None or not charge.usd or _is_free_box(charge):
        return None
    rule, item = found
    usd = Decimal(charge.usd) * rule.times / rule.divide.get(charge.unit, 1)
    tiered = charge.begin not in ("0", "") or charge.end not in ENDLESS
    tier = (_plain(charge.begin or "0"), "" if charge.end in ENDLESS else _plain(charge.end)) if tiered else ("", "")
    return _made(charge, item, region, usd, rule.unit, tier)


def _is_free_box(charge: Charge) -> bool:
    """Rows of price 0 beside the real one (dedicated hosts, capacity blocks) are not prices of a box."""
    return "BoxUsage" in charge.usage_type and Decimal(charge.usd) == 0


def _reserved(parts: list[Charge], region: str) -> Row | None:
    """A Standard RI as effective dollars an hour: hourly part, and the upfront part over the term."""
    first = parts[0]
    found, term = rule_of(first, region), first.term
    payment = TERMS.get(term.get("PurchaseOption", ""))
    if found is None or payment is None or term.get("OfferingClass") != "standard":
        return None
    if not found[1].startswith(("ec2/on-demand/", "opensearch/node/")):
        return None
    years = int(term["LeaseContractLength"].removesuffix("yr"))
    hourly = sum((Decimal(p.usd) for p in parts if p.unit.lower() in ("hrs", "hours")), Decimal(0))
    upfront = sum((Decimal(p.usd) for p in parts if p.unit == "Quantity"), Decimal(0))
    family = "ec2" if found[1].startswith("ec2/") else "opensearch"
    item = f"{family}/ri-{years}yr-{payment}-upfront/{found[1].rpartition('/')[2]}"
    usd = (hourly + upfront / (YEAR_HOURS * years)).quantize(Decimal("0.000001"))
    return _made(first, item, region, usd, "effective hour", ("", ""))


def _made(charge: Charge, item: str, region: str, usd: Decimal, unit: str, tier: tuple[str, str]) -> Row:
    source = f"AWS Price List, {charge.service}, published {charge.published or 'without a date'}"
    return Row(item, region, _plain(usd), unit, *tier, charge.service, charge.usage_type, charge.operation, "read/read",
               "published", source, charge.published)  # fmt: skip


def _plain(number: str | Decimal) -> str:
    return f"{Decimal(number).normalize():f}"


def savings_rows(results: Iterable[Mapping[str, Any]], region: str, as_of: str) -> list[Row]:
    """Rates of EC2 Instance and Compute Savings Plans, from DescribeSavingsPlansOfferingRates."""
    made = []
    for found in results:
        offering = found["savingsPlanOffering"]
        named = {p["name"]: p["value"] for p in found.get("properties", [])}
        payment = TERMS.get(offering.get("paymentOption", ""))
        box = named.get("instanceType", "")
        if payment is None or not box or named.get("productDescription", "Linux/UNIX") != "Linux/UNIX":
            continue
        years = round(offering["durationSeconds"] / (YEAR_HOURS * 3600))
        plan = {"EC2Instance": "sp", "Compute": "compute-sp"}.get(offering["planType"])
        if plan is None or named.get("tenancy", "shared") != "shared":
            continue
        item = f"ec2/{plan}-{years}yr-{payment}-upfront/{box}"
        made.append(
            Row(item, region, _plain(found["rate"]), "effective hour", "", "", "ComputeSavingsPlans",
                found["usageType"], found.get("operation", ""), "read/read", "published",
                "DescribeSavingsPlansOfferingRates", as_of)
        )  # fmt: skip
    return made


def spot_rows(seen: Iterable[tuple[str, str, str]], region: str, as_of: str) -> list[Row]:
    """Spot prices by box: the mean over zones of the latest price in each; (box, zone, USD), latest first."""
    latest: dict[str, dict[str, Decimal]] = {}
    for box, zone, usd in seen:
        latest.setdefault(box, {}).setdefault(zone, Decimal(usd))
    made = []
    for box, zones in sorted(latest.items()):
        mean = (sum(zones.values(), Decimal(0)) / len(zones)).quantize(Decimal("0.000001"))
        source = f"DescribeSpotPriceHistory, mean of the latest in {len(zones)} zones"
        name = usage_type(region, f"SpotUsage:{box}") if region in PREFIXES else ""
        made.append(
            Row(f"ec2/spot/{box}", region, _plain(mean), "hour", "", "", "AmazonEC2", name, "RunInstances",
                "derived/remembered", "measured", source, as_of)
        )  # fmt: skip
    return made
