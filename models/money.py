"""Money: what the bill needs and the stack does not say.

Where it runs, which month, what else the AWS account uses (tiers of S3, internet, CloudWatch and support count the
whole account), what is promised to AWS for a lower price, and what is bought beside the three systems: network,
monitoring, snapshots, support, people. What is left at nothing is left out of the bill, and the bill says so.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from models.noun import Noun
from models.units import DAY, GIB, MINUTE, Bytes, Count, Fraction, Ratio, Seconds, Whole, field

REGION = r"^[a-z]{2}(-[a-z]+)+-\d$"
MONTH_TEXT = r"^(average|\d{4}-(0[1-9]|1[0-2]))$"
SOLD = ("ec2-ri", "ec2-instance-sp", "compute-sp", "opensearch-ri")


class Commitment(Noun):
    """Hours promised to AWS: a Reserved Instance or a Savings Plan. MSK sells none."""

    kind: Literal["ec2-ri", "ec2-instance-sp", "compute-sp", "opensearch-ri"] = field(
        unit="", meaning="what is bought: EC2 Standard RI, EC2 Instance or Compute Savings Plan, OpenSearch RI"
    )
    machine: str = field(unit="", meaning="the machine it is bought for", min_length=1)
    count: Count = field(unit="count", meaning="machines' worth of hours bought", gt=0, le=100_000)
    years: Literal[1, 3] = field(1, unit="", meaning="term in years")
    payment: Literal["no", "partial", "all"] = field("no", unit="", meaning="how much is paid upfront")
    owned_months: Whole | None = field(
        None, unit="count", meaning="months of its term that have passed; none: it is yet to be bought", ge=0, le=36
    )
    leaves_in_month: Whole | None = field(
        None, unit="count", meaning="month from now, 1 the first, in which the stack leaves this machine", ge=1, le=120
    )
    share_of_listed: Fraction | None = field(
        None, unit="1", meaning="its hourly rate over on demand, where the price book has none", gt=0, le=1
    )


class Discount(Noun):
    """A share off by agreement with AWS, for a service or one usage type of it."""

    service: str = field(unit="", meaning="AWS's service code, such as AmazonEC2 or AmazonMSK", min_length=1)
    usage_type: str = field("*", unit="", meaning="AWS's usage type; * is all of the service", min_length=1)
    share: Fraction = field(unit="1", meaning="share off the list price", ge=0, le=1)


class Change(Noun):
    """A change of the stack that is planned for a month: more executors, another machine, longer retention."""

    month: Whole = field(unit="count", meaning="month from now, 1 the first, from which it holds", ge=1, le=120)
    set: dict[str, str | float | int | bool] = field(
        unit="", meaning="fields by path and their new values, as {spark.executors: 4}", min_length=1
    )
    why: str = field("", unit="", meaning="the reason, for the months' table")


class RestOfAccount(Noun):
    """What the rest of the AWS account uses in the month: it fills the account-wide tiers first."""

    aws_usd: float = field(0.0, unit="USD", meaning="AWS charges of the rest of the account, support aside", ge=0)
    s3_standard: Bytes = field(0.0, unit="bytes", meaning="bytes in S3 Standard", ge=0)
    internet_out: Bytes = field(0.0, unit="bytes", meaning="bytes sent to the internet in the month", ge=0)
    custom_metrics: Count = field(0.0, unit="count", meaning="CloudWatch custom metrics", ge=0)
    prometheus_samples: Count = field(0.0, unit="count", meaning="samples into Managed Prometheus", ge=0)


class Network(Noun):
    """Gateways, balancers and what leaves the region, in a month. Traffic between zones is derived, not stated."""

    nat_gateways: Whole = field(0, unit="count", meaning="NAT gateways", ge=0, le=1000)
    nat_data: Bytes = field(0.0, unit="bytes", meaning="bytes through them in a month", ge=0)
    endpoint_zones: Whole = field(0, unit="count", meaning="interface endpoints x zones", ge=0, le=10_000)
    endpoint_data: Bytes = field(0.0, unit="bytes", meaning="bytes through interface endpoints in a month", ge=0)
    application_balancers: Whole = field(0, unit="count", meaning="Application Load Balancers", ge=0, le=1000)
    application_lcus: Count = field(0.0, unit="count", meaning="their capacity units, mean over the month", ge=0)
    network_balancers: Whole = field(0, unit="count", meaning="Network Load Balancers", ge=0, le=1000)
    network_lcus: Count = field(0.0, unit="count", meaning="their capacity units, mean over the month", ge=0)
    public_addresses: Whole = field(0, unit="count", meaning="public IPv4 addresses", ge=0, le=100_000)
    internet_out: Bytes = field(0.0, unit="bytes", meaning="bytes to the internet in a month", ge=0)
    to_regions: dict[str, Bytes] = field({}, unit="bytes", meaning="bytes to other regions in a month, by region")


class Monitoring(Noun):
    """What watches the stack. Metrics that MSK, OpenSearch Service and EMR publish of themselves cost nothing."""

    custom_metrics: Count = field(0.0, unit="count", meaning="CloudWatch custom metrics", ge=0)
    metrics_read: Count = field(0.0, unit="count", meaning="metrics asked for by GetMetricData in a month", ge=0)
    alarms: Whole = field(0, unit="count", meaning="CloudWatch alarms", ge=0, le=1_000_000)
    logs: Bytes = field(0.0, unit="bytes", meaning="bytes of logs into CloudWatch in a month", ge=0)
    logs_kept: Seconds = field(30 * DAY, unit="s", meaning="how long CloudWatch keeps them", ge=0)
    prometheus_samples: Count = field(0.0, unit="count", meaning="samples into Managed Prometheus in a month", ge=0)
    prometheus_stored: Bytes = field(0.0, unit="bytes", meaning="bytes that Managed Prometheus holds", ge=0)
    grafana_editors: Whole = field(0, unit="count", meaning="Managed Grafana editors", ge=0, le=100_000)
    grafana_viewers: Whole = field(0, unit="count", meaning="Managed Grafana viewers", ge=0, le=100_000)


class Snapshots(Noun):
    """Snapshots of the index in a bucket of one's own. OpenSearch Service's own hourly ones cost nothing."""

    every: Seconds | None = field(None, unit="s", meaning="time between snapshots; none: none are taken", ge=60)
    kept: Seconds = field(14 * DAY, unit="s", meaning="how long each is kept", gt=0)


class Money(Noun):
    """Where, when and on what terms the stack is paid for."""

    not_modelled: ClassVar[dict[str, str]] = {
        "taxes": "the bill is before tax, as AWS's price list is",
        "credits": "credits and refunds are left out; a discount by agreement is money.discounts",
    }

    region: str = field("us-east-1", unit="", meaning="AWS region", pattern=REGION)
    month: str = field(
        "average", unit="", meaning="'average' (730 h) or a dated month with its own hours, as 2026-12",
        pattern=MONTH_TEXT,
    )  # fmt: skip
    currency: str = field("USD", unit="", meaning="currency that totals are shown in beside USD", pattern=r"^[A-Z]{3}$")
    currency_per_usd: Ratio = field(1.0, unit="1", meaning="units of that currency for one USD", gt=0, le=1e6)
    price_book: str = field(
        "packaged", unit="", meaning="folder of a price book, or 'packaged'; an older one makes an old bill again",
        min_length=1,
    )  # fmt: skip
    prices: dict[str, float] = field(
        {}, unit="USD", meaning="prices of your own by the book's item names (a contract, an invoice)"
    )
    load_spread: Fraction = field(
        0.2, unit="1", meaning="how far the month's events may be off, up or down (90 %): a policy, not a measurement",
        ge=0, le=5,
    )  # fmt: skip
    support_plan: Literal[
        "none", "developer", "business", "enterprise-on-ramp", "enterprise", "business-plus", "enterprise-2026",
        "unified-operations",
    ] = field("none", unit="", meaning="AWS Support plan of the account")  # fmt: skip
    engineer_hours: Count = field(0.0, unit="count", meaning="hours of engineers a month that keep it running", ge=0)
    engineer_usd_per_hour: float | None = field(None, unit="USD", meaning="what such an hour costs you", ge=0)
    third_parties: dict[str, float] = field(
        {}, unit="USD", meaning="bills a month that AWS does not send, by name (monitoring, support contracts)"
    )
    spot_share: Fraction = field(0.0, unit="1", meaning="share of executor hours bought on the spot market", ge=0, le=1)
    spot_interruptions: Fraction | None = field(
        None, unit="1", meaning="share of spot executors that AWS takes back in a month; none: the middle of the "
        "spot advisor's band for the machine", ge=0, le=10,
    )  # fmt: skip
    spot_replacement: Seconds = field(
        10 * MINUTE, unit="s", meaning="paid time in which the replacement of a spot executor starts and does no "
        "work: a policy, measure your own", ge=0, le=DAY,
    )  # fmt: skip
    spot_fallback: Fraction = field(
        0.0, unit="1", meaning="share of spot hours in which there is no spot to be had, bought on demand", ge=0, le=1
    )
    spark_disk: Bytes | None = field(
        None, unit="bytes", meaning="EBS data volume of each Spark host; none: EMR's own default, nothing elsewhere",
        ge=0, le=16 * 1024 * GIB,
    )  # fmt: skip
    spark_reads_near: bool = field(
        False, unit="", meaning="all executors are in one zone and client.rack names it, so that they too profit from "
        "kafka.rack_aware_fetch", foreign="kafka.client.rack",
    )  # fmt: skip
    kafka_controllers: Whole = field(
        3, unit="count", meaning="KRaft controllers of a self-managed cluster, on boxes of their own", ge=0, le=9
    )
    controller_machine: str = field("m7g.large", unit="", meaning="instance type of a controller", min_length=1)
    dashboards_nodes: Whole = field(
        0, unit="count", meaning="boxes for Kibana or Dashboards of a self-managed cluster; the service has its own",
        ge=0, le=100,
    )  # fmt: skip
    dashboards_machine: str = field("m7g.large", unit="", meaning="instance type of such a box", min_length=1)
    node_losses_per_year: Count = field(
        0.0, unit="count", meaning="brokers, and as many data nodes, that are lost and refilled in a year", ge=0, le=1e4
    )
    snapshots: Snapshots = field(Snapshots(), unit="", meaning="snapshots of the index in a bucket of your own")
    account: RestOfAccount = field(RestOfAccount(), unit="", meaning="the rest of the AWS account")
    network: Network = field(Network(), unit="", meaning="gateways, balancers, what leaves the region")
    monitoring: Monitoring = field(Monitoring(), unit="", meaning="what watches the stack")
    changes: tuple[Change, ...] = field((), unit="", meaning="changes of the stack planned for later months")
    commitments: tuple[Commitment, ...] = field((), unit="", meaning="Reserved Instances and Savings Plans")
    discounts: tuple[Discount, ...] = field((), unit="", meaning="shares off by agreement")

    @model_validator(mode="after")
    def _complete(self) -> Money:
        if self.engineer_hours and self.engineer_usd_per_hour is None:
            raise ValueError("engineer_hours needs engineer_usd_per_hour: what an hour of an engineer costs you [USD]")
        if self.currency == "USD" and self.currency_per_usd != 1:
            raise ValueError(
                f"currency_per_usd = {self.currency_per_usd:g} with currency USD; expected 1, or a currency"
            )
        for name, given in (("prices", self.prices), ("third_parties", self.third_parties)):
            for key, value in given.items():
                if not 0 <= value < 1e12:
                    raise ValueError(f"{name}: {key} = {value}; expected USD of 0 or more")
        return self
