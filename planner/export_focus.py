"""The forecast as a FOCUS 1.2 dataset: one row for each line of each month.

FOCUS describes charges that happened; a forecast says of itself that it did not, in columns of its own (`x_`). Standard
columns hold what they mean: `ListCost` at list prices, `ContractedCost` after agreed discounts, `EffectiveCost` with
commitments amortised, `BilledCost` the same, since a forecast has no invoice to differ from it. What a forecast cannot
know (resources, invoices) is empty. Average months have no dates, so only dated ones (`money.month`, `--month`) are
exported. Columns and their order: FOCUS 1.2, May 2025.
"""

from __future__ import annotations

import csv
import io
import json
import re
from decimal import Decimal

from models.stack import Scenario
from planner.export_cells import inert
from planner.finance import Report
from planner.refusal import ScenarioError
from pricing.bill import Line

COLUMNS = (
    "AvailabilityZone", "BilledCost", "BillingAccountId", "BillingAccountName", "BillingAccountType", "BillingCurrency",
    "BillingPeriodEnd", "BillingPeriodStart", "CapacityReservationId", "CapacityReservationStatus", "ChargeCategory",
    "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd", "ChargePeriodStart",
    "CommitmentDiscountCategory", "CommitmentDiscountId", "CommitmentDiscountName", "CommitmentDiscountQuantity",
    "CommitmentDiscountStatus", "CommitmentDiscountType", "CommitmentDiscountUnit", "ConsumedQuantity", "ConsumedUnit",
    "ContractedCost", "ContractedUnitPrice", "EffectiveCost", "InvoiceId", "InvoiceIssuerName", "ListCost",
    "ListUnitPrice", "PricingCategory", "PricingCurrency", "PricingCurrencyContractedUnitPrice",
    "PricingCurrencyEffectiveCost", "PricingCurrencyListUnitPrice", "PricingQuantity", "PricingUnit", "ProviderName",
    "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory",
    "ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId", "SubAccountId",
    "SubAccountName", "SubAccountType", "Tags",
)  # fmt: skip
OWN = ("x_Forecast", "x_ForecastMonth", "x_ForecastSystem", "x_ForecastKind", "x_ForecastDriver", "x_ForecastScaling",
       "x_PriceItem", "x_PriceGrade", "x_PriceSource", "x_PriceAsOf", "x_PriceBook", "x_UsageTypeKnownBy",
       "x_MonthP10Cost", "x_MonthP90Cost", "x_ServiceCode", "x_UsageType", "x_Operation")  # fmt: skip
NO_ACCOUNT = "000000000000"  # a forecast belongs to no account unless --account says which

# Service categories and subcategories of FOCUS 1.2 for the services that a bill can have.
SERVICES: dict[str, tuple[str, str, str]] = {
    "AmazonEC2": ("Amazon Elastic Compute Cloud", "Compute", "Virtual Machines"),
    "AmazonMSK": ("Amazon Managed Streaming for Apache Kafka", "Integration", "Messaging"),
    "AmazonES": ("Amazon OpenSearch Service", "Analytics", "Search"),
    "ElasticMapReduce": ("Amazon EMR", "Analytics", "Data Processing"),
    "AmazonEKS": ("Amazon Elastic Kubernetes Service", "Compute", "Containers"),
    "AmazonS3": ("Amazon Simple Storage Service", "Storage", "Object Storage"),
    "AWSDataTransfer": ("AWS Data Transfer", "Networking", "Other (Networking)"),
    "AmazonVPC": ("Amazon Virtual Private Cloud", "Networking", "Network Connectivity"),
    "AWSELB": ("Elastic Load Balancing", "Networking", "Application Networking"),
    "AmazonCloudWatch": ("Amazon CloudWatch", "Management and Governance", "Observability"),
    "AmazonPrometheus": ("Amazon Managed Service for Prometheus", "Management and Governance", "Observability"),
    "AmazonGrafana": ("Amazon Managed Grafana", "Management and Governance", "Observability"),
    "ComputeSavingsPlans": ("Compute Savings Plans", "Compute", "Virtual Machines"),
}  # fmt: skip
# Names of regions as botocore has them (endpoints.json).
REGIONS = {
    "us-east-1": "US East (N. Virginia)", "us-east-2": "US East (Ohio)", "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)", "ca-central-1": "Canada (Central)", "eu-west-1": "Europe (Ireland)",
    "eu-west-2": "Europe (London)", "eu-west-3": "Europe (Paris)", "eu-central-1": "Europe (Frankfurt)",
    "eu-north-1": "Europe (Stockholm)", "ap-southeast-1": "Asia Pacific (Singapore)",
    "ap-southeast-2": "Asia Pacific (Sydney)", "ap-northeast-1": "Asia Pacific (Tokyo)",
    "ap-northeast-2": "Asia Pacific (Seoul)", "ap-south-1": "Asia Pacific (Mumbai)",
    "sa-east-1": "South America (Sao Paulo)",
}  # fmt: skip
SUPPORT = ("AWS Support", "Management and Governance", "Support")
OTHER = ("Other", "Other (Other)")
EBS = ("Amazon Elastic Block Store", "Storage", "Block Storage")


def as_focus(out: Report, account: str = "") -> str:
    """The months of a report as FOCUS 1.2 CSV. Raises ScenarioError where its months have no dates."""
    refuse_undated(out.scenario, account)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *OWN], lineterminator="\n", restval="")
    writer.writeheader()
    for row in rows(out, account or NO_ACCOUNT):
        writer.writerow(row)
    return text.getvalue()


def dated(scenario: Scenario, month: str) -> Scenario:
    """The scenario with its first month, '' leaves it. Raises ScenarioError for what is no month."""
    if not month:
        return scenario
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise ScenarioError(f"--month {month}; expected a month such as 2027-01")
    return scenario.model_copy(update={"money": scenario.money.model_copy(update={"month": month})})


def refuse_undated(scenario: Scenario, account: str) -> None:
    """Raises ScenarioError for months without dates and for what is no AWS account."""
    if scenario.money.month == "average":
        raise ScenarioError(
            "FOCUS rows need dates, and money.month = average has none: give --month 2027-01 (the first month of the "
            "forecast), or say money.month in the scenario"
        )
    if account and not (account.isdigit() and len(account) == 12):
        raise ScenarioError(f"--account {account}; expected twelve digits")


def rows(out: Report, account: str) -> list[dict[str, str]]:
    """One row a line a month. People and third parties are rows of providers that are not AWS."""
    found = []
    for month in out.months:
        start, end = period(month.bill.month.label)
        p10, p90 = (f"{x:.2f}" for x in (month.range.p10_usd, month.range.p90_usd))
        told = {
            "BillingPeriodStart": start,
            "BillingPeriodEnd": end,
            "ChargePeriodStart": start,
            "ChargePeriodEnd": end,
            "x_ForecastMonth": str(month.number + 1),
            "x_MonthP10Cost": p10,
            "x_MonthP90Cost": p90,
            "x_PriceBook": month.bill.book_digest,
        }
        found += [told | _row(line, account) for line in month.bill.lines]
    return found


def period(label: str) -> tuple[str, str]:
    """A dated month as FOCUS's two instants, its end exclusive.

    >>> period("2026-12")
    ('2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z')
    """
    year, month = (int(x) for x in label.split("-"))
    later = (year + month // 12, month % 12 + 1)
    return f"{year}-{month:02d}-01T00:00:00Z", f"{later[0]}-{later[1]:02d}-01T00:00:00Z"


def _row(line: Line, account: str) -> dict[str, str]:
    price, aws = line.price, line.is_aws
    name, category, sub = _service(line)
    list_price = price.usd / (1 - _off(line)) if _off(line) < 1 else price.usd
    cost, quantity = f"{line.monthly_usd:f}", f"{line.quantity:f}"
    commitment = line.driver == "commitment"
    provider = "AWS" if aws else name
    row = {
        "BilledCost": cost,
        "EffectiveCost": cost,
        "ContractedCost": cost,
        "BillingAccountId": account,
        "BillingAccountName": "forecast",
        "BillingAccountType": "Account",
        "BillingCurrency": "USD",
        "PricingCurrency": "USD",
        "ChargeCategory": "Usage",
        "ChargeDescription": inert(line.name),
        "ChargeFrequency": "Usage-Based",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": price.unit,
        "ContractedUnitPrice": f"{price.usd:f}",
        "PricingCurrencyContractedUnitPrice": f"{price.usd:f}",
        "PricingCurrencyEffectiveCost": cost,
        "InvoiceIssuerName": inert(provider),
        "ListCost": cost if list_price == price.usd else f"{(line.quantity * list_price):.10f}",
        "ListUnitPrice": _plain(list_price),
        "PricingCurrencyListUnitPrice": _plain(list_price),
        "PricingCategory": "Committed" if commitment else "Dynamic" if "/spot/" in price.item else "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": price.unit,
        "ProviderName": inert(provider),
        "PublisherName": inert(provider),
        "RegionId": price.region if aws and price.region != "any" else "",  # null for what belongs to no region
        "RegionName": REGIONS.get(price.region, price.region) if aws and price.region != "any" else "",
        "ServiceName": inert(name),
        "ServiceCategory": category,
        "ServiceSubcategory": sub,
        "SkuId": inert(price.item),
        "SkuPriceId": inert(f"{price.item}@{price.region}"),
        "SkuMeter": price.usage_type,
        "SubAccountId": account,
        "SubAccountName": "forecast",
        "SubAccountType": "Account",
        "Tags": json.dumps(dict(line.tags), ensure_ascii=False, sort_keys=True),
    }
    if commitment:
        row |= {"CommitmentDiscountId": inert(price.item), "CommitmentDiscountName": inert(line.name),
                "CommitmentDiscountType": "Reserved" if "/ri-" in price.item else "Savings Plan",
                "CommitmentDiscountCategory": "Usage" if "/ri-" in price.item else "Spend",
                "CommitmentDiscountStatus": "Used", "CommitmentDiscountQuantity": quantity,
                "CommitmentDiscountUnit": "Hours"}  # fmt: skip
    return row | {
        "x_Forecast": "true", "x_ForecastSystem": line.system, "x_ForecastKind": line.kind,
        "x_ForecastDriver": inert(line.driver), "x_ForecastScaling": line.scaling, "x_PriceItem": inert(price.item),
        "x_PriceGrade": price.grade, "x_PriceSource": inert(price.source), "x_PriceAsOf": price.as_of,
        "x_UsageTypeKnownBy": price.identity.partition("/")[0], "x_ServiceCode": price.service_code,
        "x_UsageType": price.usage_type, "x_Operation": price.operation,
    }  # fmt: skip


def _off(line: Line) -> Decimal:
    """The share taken off the list price by agreement [1]; the price's source tells it."""
    told = line.price.source.partition("; less ")[2].partition("%")[0]
    return Decimal(told) / 100 if told else Decimal(0)


def _plain(value: Decimal) -> str:
    return f"{value.quantize(Decimal('1e-12')).normalize():f}" if value.as_tuple().exponent < -12 else f"{value:f}"  # type: ignore[operator]


def _service(line: Line) -> tuple[str, str, str]:
    if line.kind == "support":
        return SUPPORT
    if line.price.item.startswith("ebs/"):
        return EBS
    if line.price.item.startswith("nat/"):
        return ("Amazon Virtual Private Cloud", "Networking", "Network Connectivity")
    if line.kind in ("people", "third-party"):
        return (line.name, *OTHER)
    return SERVICES.get(line.price.service_code, (line.price.service_code or "unknown", *OTHER))
