"""Golden bills, line by line: what finance would read. Quantities are worked out in the comments beside each shape.

The unit prices are checked against other sources in test_pricing_price_book.py; here quantities and sums are fixed.
A line reads: system | name | quantity | unit | unit price | USD a month | fixed or scaling.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest

from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.usage import KafkaUsage, SearchUsage, SharedUsage, SparkUsage, Volume

BOOK = PriceBook()
GIB, TIB = 2.0**30, 2.0**40

# Three m7g.large brokers x 730 h; 18 TiB in, read twice: each flow crosses 18,432 x 2/3 = 12,288 GB, billed twice.
# EMR adds a quarter to each box. Bulks: 27 TiB x 2/3 x 2 = 36,864 GB. Snapshots of one's own pass 50 TB together with
# the checkpoint's 10 GB. Support: a tenth of what AWS charges.
MANAGED = [
    KafkaUsage(
        "msk-standard", "us-east-1", "m7g.large", 3, volume=Volume("gp3", 1000), produced_bytes=18 * TIB,
        consumed_bytes={"spark": 18 * TIB, "audit": 18 * TIB}, tiered_bytes=2 * TIB,
    ),
    SparkUsage(
        "emr-ec2", "us-east-1", "m7g.xlarge", 4, 1, put_requests=5_000_000, get_requests=1_000_000,
        checkpoint_bytes=10 * GIB, volume=Volume("gp3", 64),
    ),
    SearchUsage(
        "opensearch-service", "us-east-1", "r7g.xlarge", 6, 3, "m7g.large", volume=Volume("gp3", 1000),
        bulk_bytes=27 * TIB, search_bytes=3 * TIB, snapshot_bytes=60 * TIB, snapshot_puts=100_000,
    ),
    SharedUsage(
        "us-east-1", "business", 2, 3 * TIB, network_balancers=1, network_lcus=2.0, custom_metrics=500, alarms=20,
        log_bytes=50 * GIB, engineer_hours=40, engineer_usd_per_hour=90.0,
    ),
]  # fmt: skip
MANAGED_LINES = """\
kafka|MSK broker kafka.m7g.large|2190|broker-hour|0.204|446.76|fixed
kafka|MSK broker storage (provisioned GP2-priced)|3000|GB-month|0.1|300.00|fixed
kafka|MSK tiered storage|2048|GB-month|0.06|122.88|scaling
kafka|Data transfer between zones: producers|24576|GB|0.01|245.76|scaling
kafka|Data transfer between zones: consumer group spark|24576|GB|0.01|245.76|scaling
kafka|Data transfer between zones: consumer group audit|24576|GB|0.01|245.76|scaling
spark|EC2 m7g.xlarge on demand (Spark executors)|2920|hour|0.1632|476.54|fixed
spark|EC2 m7g.xlarge on demand (Spark driver and masters)|730|hour|0.1632|119.14|fixed
spark|EMR on EC2 m7g.xlarge (executors)|2920|hour|0.0408|119.14|fixed
spark|EMR on EC2 m7g.xlarge (driver and masters)|730|hour|0.0408|29.78|fixed
spark|EBS gp3 storage (Spark)|320|GB-month|0.08|25.60|fixed
spark|EBS gp3 storage (boot volumes)|100|GB-month|0.08|8.00|fixed
spark|S3 standard PUT, COPY, POST, LIST (checkpoints)|5000000|request|0.000005|25.00|scaling
spark|S3 standard GET and others (checkpoints)|1000000|request|0.0000004|0.40|scaling
spark|S3 standard storage (checkpoints) (0 to 51,200 GB-month)|10|GB-month|0.023|0.23|scaling
elasticsearch|OpenSearch r7g.xlarge.search (data nodes)|4380|hour|0.356|1559.28|fixed
elasticsearch|OpenSearch m7g.large.search (managers)|2190|hour|0.135|295.65|fixed
elasticsearch|OpenSearch gp3 storage (data nodes)|6000|GB-month|0.122|732.00|fixed
elasticsearch|Data transfer between zones: bulk requests|36864|GB|0.01|368.64|scaling
elasticsearch|Data transfer between zones: search answers|4096|GB|0.01|40.96|scaling
elasticsearch|S3 standard storage (snapshots) (0 to 51,200 GB-month)|51190|GB-month|0.023|1177.37|scaling
elasticsearch|S3 standard storage (snapshots) (51,200 to 512,000 GB-month)|10250|GB-month|0.022|225.50|scaling
elasticsearch|S3 standard PUT, COPY, POST, LIST (snapshots)|100000|request|0.000005|0.50|scaling
shared|NAT gateway hours|1460|hour|0.045|65.70|fixed
shared|NAT gateway data|3072|GB|0.045|138.24|scaling
shared|Network Load Balancer hours|730|hour|0.0225|16.43|fixed
shared|Network Load Balancer LCUs|1460|NLCU-hour|0.006|8.76|scaling
shared|CloudWatch custom metrics (0 to 10,000 metric-month)|500|metric-month|0.3|150.00|scaling
shared|CloudWatch alarms|20|alarm-metric-month|0.1|2.00|fixed
shared|CloudWatch Logs ingestion|50|GB|0.5|25.00|scaling
shared|Engineers|40|hour|90|3600.00|fixed
shared|AWS Support business (0 to 10,000 USD of charges)|7216.78|USD of charges|0.1|721.68|scaling
"""

# Replication crosses twice (three copies, three zones): 30,720 x 2 x 2 = 122,880 GB; the audit group fetches near.
# gp3 above its allowance: 2,000 IOPS and 125 MB/s on each of six. Three in four executor hours are on the spot market.
# One copy of 45 TiB goes from primaries to another zone: 46,080 x 2 = 92,160 GB.
OWN = [
    KafkaUsage(
        "self-managed", "eu-west-1", "r7g.xlarge", 6, volume=Volume("gp3", 2000, 5000, 250e6), controllers=3,
        controller_machine="m7g.large", produced_bytes=30 * TIB,
        consumed_bytes={"spark": 30 * TIB, "audit": 30 * TIB}, rack_aware_groups=frozenset({"audit"}),
    ),
    SparkUsage(
        "ec2", "eu-west-1", "m7g.2xlarge", 4, 1, spot_share=0.75, zones=3, shuffle_bytes=6 * TIB,
        put_requests=20_000_000,
    ),
    SearchUsage(
        "self-managed", "eu-west-1", "r7g.2xlarge", 6, 3, "m7g.large", dashboards_nodes=1,
        dashboards_machine="m7g.large", volume=Volume("gp3", 3000), bulk_bytes=45 * TIB, replica_bytes=45 * TIB,
        snapshot_bytes=40 * TIB, snapshot_puts=1_000_000,
    ),
]  # fmt: skip
OWN_LINES = """\
kafka|EC2 r7g.xlarge on demand (Kafka broker)|4380|hour|0.2397|1049.89|fixed
kafka|EBS gp3 storage (Kafka broker)|12000|GB-month|0.088|1056.00|fixed
kafka|EBS gp3 IOPS (Kafka broker)|12000|IOPS-month|0.0055|66.00|fixed
kafka|EBS gp3 throughput (Kafka broker)|750|MB/s-month|0.044|33.00|fixed
kafka|EC2 m7g.large on demand (Kafka controller)|2190|hour|0.091|199.29|fixed
kafka|EBS gp3 storage (boot volumes)|180|GB-month|0.088|15.84|fixed
kafka|Data transfer between zones: producers|40960|GB|0.01|409.60|scaling
kafka|Data transfer between zones: replication|122880|GB|0.01|1228.80|scaling
kafka|Data transfer between zones: consumer group spark|40960|GB|0.01|409.60|scaling
spark|EC2 m7g.2xlarge on demand (Spark executors)|730|hour|0.3638|265.57|fixed
spark|EC2 m7g.2xlarge spot (Spark executors)|2190|hour|0.169967|372.23|fixed
spark|EC2 m7g.2xlarge on demand (Spark driver and masters)|730|hour|0.3638|265.57|fixed
spark|EBS gp3 storage (boot volumes)|100|GB-month|0.088|8.80|fixed
spark|Data transfer between zones: shuffle|8192|GB|0.01|81.92|scaling
spark|S3 standard PUT, COPY, POST, LIST (checkpoints)|20000000|request|0.000005|100.00|scaling
elasticsearch|EC2 r7g.2xlarge on demand (data nodes)|4380|hour|0.4794|2099.77|fixed
elasticsearch|EC2 m7g.large on demand (managers)|2190|hour|0.091|199.29|fixed
elasticsearch|EC2 m7g.large on demand (dashboards)|730|hour|0.091|66.43|fixed
elasticsearch|EBS gp3 storage (boot volumes)|200|GB-month|0.088|17.60|fixed
elasticsearch|EBS gp3 storage (data nodes)|18000|GB-month|0.088|1584.00|fixed
elasticsearch|Data transfer between zones: bulk requests|61440|GB|0.01|614.40|scaling
elasticsearch|Data transfer between zones: bulks passed on to primaries|61440|GB|0.01|614.40|scaling
elasticsearch|Data transfer between zones: replication|92160|GB|0.01|921.60|scaling
elasticsearch|S3 standard storage (snapshots) (0 to 51,200 GB-month)|40960|GB-month|0.023|942.08|scaling
elasticsearch|S3 standard PUT, COPY, POST, LIST (snapshots)|1000000|request|0.000005|5.00|scaling
"""


def shown(month) -> str:
    rows = (
        f"{x.system}|{x.name}|{x.quantity.normalize():f}|{x.price.unit}|{x.price.usd.normalize():f}|{x.monthly_usd}|{x.scaling}"
        for x in month.lines
    )
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize(("usages", "golden"), [(MANAGED, MANAGED_LINES), (OWN, OWN_LINES)])
def test_bill_for_finance(usages, golden):
    assert shown(bill(usages, BOOK)) == golden


@pytest.mark.parametrize("golden", [MANAGED_LINES, OWN_LINES])
def test_the_golden_tables_multiply_out(golden):
    for row in golden.splitlines():
        _, _, quantity, _, price, usd, _ = row.split("|")
        assert (Decimal(quantity) * Decimal(price)).quantize(Decimal("0.01"), ROUND_HALF_UP) == Decimal(usd), row


@pytest.mark.parametrize(("usages", "golden"), [(MANAGED, MANAGED_LINES), (OWN, OWN_LINES)])
def test_the_golden_tables_add_up(usages, golden):
    printed = sum(Decimal(row.split("|")[5]) for row in golden.splitlines())
    month = bill(usages, BOOK)
    assert month.complete and month.monthly_usd == printed


def test_the_golden_bills_are_lines_of_published_prices_but_for_those_that_say_so():
    assert set(bill(MANAGED, BOOK).by_grade) == {"published", "given"}
    own = bill(OWN, BOOK)
    assert own.by_grade["remembered"] == Decimal("99.00")  # gp3 IOPS and MB/s outside us-east-1
    assert own.by_grade["measured"] == Decimal("372.23")  # spot
