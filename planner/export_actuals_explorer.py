"""Cost Explorer as charges: two questions for a month, a page at a time, a cent each.

Cost Explorer groups by two things at most: by service and usage type for what is comparable, by record type and service
for tax, credits and refunds. It names services in words; `SERVICES` turns them into the codes of price lists.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from typing import Any

from planner.export_actuals import Actuals, Basis, Charge, ChargeKind, Scope, decimal, gathered
from planner.refusal import ScenarioError

METRICS: dict[Basis, str] = {
    "unblended": "UnblendedCost", "amortised": "AmortizedCost", "net-unblended": "NetUnblendedCost",
    "net-amortised": "NetAmortizedCost",
}  # fmt: skip
# Record types that stand apart. Their names as Cost Explorer's console has them (Credit, Refund, Tax).
RECORDS: dict[str, ChargeKind] = {"Credit": "credit", "Refund": "refund", "Tax": "tax"}
# MSK, OpenSearch, EC2, EC2 - Other and EMR were read (aws-prices.md C); the rest is remembered.
SERVICES = {
    "Amazon Managed Streaming for Apache Kafka": "AmazonMSK", "Amazon OpenSearch Service": "AmazonES",
    "Amazon Elastic Compute Cloud - Compute": "AmazonEC2", "EC2 - Other": "AmazonEC2",
    "Amazon Elastic MapReduce": "ElasticMapReduce", "Amazon Simple Storage Service": "AmazonS3",
    "AmazonCloudWatch": "AmazonCloudWatch", "Amazon Virtual Private Cloud": "AmazonVPC",
    "Amazon Elastic Load Balancing": "AWSELB", "AWS Data Transfer": "AWSDataTransfer",
    "Amazon Elastic Container Service for Kubernetes": "AmazonEKS", "Amazon Managed Service for Prometheus":
    "AmazonPrometheus", "Amazon Managed Grafana": "AmazonGrafana", "AWS Support (Business)": "AWSSupportBusiness",
    "AWS Support (Enterprise)": "AWSSupportEnterprise", "AWS Support (Developer)": "AWSDeveloperSupport",
    "Savings Plans for AWS Compute usage": "ComputeSavingsPlans",
}  # fmt: skip
MOST_PAGES = 1000


def live_client() -> Any:
    """Cost Explorer of real AWS, from the environment's credentials. Needs the extra `aws`."""
    try:
        import boto3
    except ImportError:
        raise ScenarioError("Cost Explorer needs boto3: pip install 'floodmark[aws]'") from None
    return boto3.Session().client("ce", region_name="us-east-1")


def ask_actuals(client: Any, basis: Basis, scope: Scope, month: str) -> Actuals:
    """A month's charges within a scope, as Cost Explorer answers."""
    notes: list[str] = []
    charges = [*_usage(client, basis, scope, month, notes), *_apart(client, basis, scope, month)]
    made = gathered(charges or [_nothing(month)], "Cost Explorer", basis, Scope(), month, notes)
    return Actuals(made.source, basis, month, scope, made.charges, made.outside_usd, made.rows, made.notes)


def _nothing(month: str) -> Charge:
    raise ScenarioError(f"Cost Explorer has no charges of {month} in the scope")


def period(month: str) -> dict[str, str]:
    """A month as Cost Explorer wants it: its end is exclusive.

    >>> period("2026-12")
    {'Start': '2026-12-01', 'End': '2027-01-01'}
    """
    try:
        year, number = (int(x) for x in month.split("-"))
        calendar.monthrange(year, number)
    except (ValueError, calendar.IllegalMonthError):
        raise ScenarioError(f"--month {month!r}; expected a month such as 2026-10") from None
    after = (year + 1, 1) if number == 12 else (year, number + 1)
    return {"Start": f"{year}-{number:02d}-01", "End": f"{after[0]}-{after[1]:02d}-01"}


def _filter(scope: Scope, records: dict[str, Any]) -> dict[str, Any]:
    parts = [records]
    if scope.accounts:
        parts.append({"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": sorted(scope.accounts)}})
    if scope.regions:
        parts.append({"Dimensions": {"Key": "REGION", "Values": sorted(scope.regions)}})
    parts += [{"Tags": {"Key": key, "Values": [value]}} for key, value in scope.tags]
    return {"And": parts} if len(parts) > 1 else parts[0]


def _pages(client: Any, **asked: Any) -> Iterator[dict[str, Any]]:
    from pricing.refresh import Clients, RefreshError
    from pricing.refresh import asked as patiently

    token = ""
    for _ in range(MOST_PAGES):
        waits = Clients(None, None, None, lambda url: ())
        try:
            answer = patiently(waits, client.get_cost_and_usage, **asked, NextPageToken=token)
        except RefreshError as error:
            raise ScenarioError(f"Cost Explorer: {error}") from None
        yield from (group for result in answer["ResultsByTime"] for group in result["Groups"])
        token = answer.get("NextPageToken", "")
        if not token:
            return
    raise ScenarioError(f"Cost Explorer: more than {MOST_PAGES} pages; narrow the scope")


def _usage(client: Any, basis: Basis, scope: Scope, month: str, notes: list[str]) -> Iterator[Charge]:
    metric = METRICS[basis]
    records = {"Not": {"Dimensions": {"Key": "RECORD_TYPE", "Values": list(RECORDS)}}}
    groups = [{"Type": "DIMENSION", "Key": key} for key in ("SERVICE", "USAGE_TYPE")]
    for group in _pages(client, TimePeriod=period(month), Granularity="MONTHLY", Metrics=[metric, "UsageQuantity"],
                        GroupBy=groups, Filter=_filter(scope, records)):  # fmt: skip
        service, usage_type = group["Keys"]
        if service not in SERVICES:
            notes.append(f"Cost Explorer's '{service}' is no service that a line of the bill has")
        cost, used = group["Metrics"][metric], group["Metrics"]["UsageQuantity"]
        if cost["Unit"] != "USD":
            raise ScenarioError(f"Cost Explorer answers in {cost['Unit']}; expected USD")
        unit = "" if used["Unit"] == "N/A" else used["Unit"]
        yield Charge(
            "usage", SERVICES.get(service, service), usage_type, "", "", "", decimal(used["Amount"], "UsageQuantity"),
            unit, decimal(cost["Amount"], metric), month,
        )  # fmt: skip


def _apart(client: Any, basis: Basis, scope: Scope, month: str) -> Iterator[Charge]:
    metric = METRICS[basis]
    groups = [{"Type": "DIMENSION", "Key": key} for key in ("RECORD_TYPE", "SERVICE")]
    records = {"Dimensions": {"Key": "RECORD_TYPE", "Values": list(RECORDS)}}
    for group in _pages(client, TimePeriod=period(month), Granularity="MONTHLY", Metrics=[metric], GroupBy=groups,
                        Filter=_filter(scope, records)):  # fmt: skip
        record, service = group["Keys"]
        usd = decimal(group["Metrics"][metric]["Amount"], metric)
        yield Charge(RECORDS[record], SERVICES.get(service, service), record, "", "", "", None, "", usd, month)
