"""The other ways to move the same events: Lambda + SQS, Kinesis, Firehose, MSK Serverless, OpenSearch Serverless.

An *option* is the same workload on one of them: its lines, and its *limits*, each with the load at which it stops
fitting. Most of these services bill by the record, rounded up: SQS by 64 KB a request, Kinesis by 25 KB a put (1 KB
on demand), Firehose by 5 KB a record, so small events are dear. A price or limit that is only remembered says so
by its grade. What no published figure gives (OCUs a load needs, seconds of Lambda a batch) is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from models.units import MB, MIB
from pricing import kafka
from pricing.bill import Bill, Ledger
from pricing.price_book import MissingPrice, Price, PriceBook
from pricing.traffic import gb
from pricing.usage import KafkaUsage, Month

KIB, TB = 1024.0, 1e12
# Rounding rules as AWS states them (aws kinesis, firehose and sqs pricing pages; SQS's 64 KB is a row of the book).
KINESIS_PUT_UNIT_BYTES, KINESIS_ONDEMAND_UNIT_BYTES, FIREHOSE_UNIT_BYTES = 25 * KIB, 1 * KIB, 5 * KIB
SQS_BATCH, SQS_CALLS = 10, 3  # at most 10 messages a call; send, receive, delete
DAY_HOURS, WEEK_HOURS, MONTH_HOURS = 24.0, 168.0, 730.0
SHARED_READERS = 2  # groups that a shard's 2 MB/s out can serve when 1 MB/s comes in
SERVERLESS_FLOOR_OCU = 2  # OpenSearch Serverless with redundancy (AWS, as in the price facts)


@dataclass(frozen=True, slots=True)
class Workload:
    """The events of a month and their worst second. `retention_hours` is how long a reader may fall behind."""

    region: str
    events: float
    event_bytes: float
    peak_events_per_second: float
    groups: int = 1
    retention_hours: float = 24.0
    partitions: int = 24
    lambda_batch: int = 10
    lambda_seconds_per_batch: float | None = None
    lambda_memory_gib: float = 0.5
    search_ocus: float | None = None
    indexed_bytes_held: float = 0.0

    def __post_init__(self) -> None:
        for name in ("events", "event_bytes", "peak_events_per_second", "groups", "retention_hours", "partitions"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"workload.{name} = {value}; expected a finite number above 0")
        if not 1 <= self.lambda_batch <= SQS_BATCH:
            raise ValueError(f"workload.lambda_batch = {self.lambda_batch}; SQS hands over 1 to {SQS_BATCH} messages")

    @property
    def peak_bytes_per_second(self) -> float:
        return self.peak_events_per_second * self.event_bytes


@dataclass(frozen=True, slots=True)
class Limit:
    """What a service allows, what the workload's peak asks, and how sure the allowance is."""

    name: str
    allowed: float
    asked: float
    unit: str
    grade: str
    source: str

    @property
    def fits(self) -> bool:
        return self.asked <= self.allowed

    def stops_at(self, peak_events_per_second: float) -> float:
        """Events a second at which this limit is reached, the workload's shape being kept [1/s]."""
        return peak_events_per_second * self.allowed / self.asked if self.asked else math.inf


@dataclass(frozen=True, slots=True)
class Option:
    """One service for the workload: bill, limits, and remarks that a reader must see."""

    name: str
    bill: Bill
    limits: tuple[Limit, ...]
    remarks: tuple[str, ...] = field(default=())

    @property
    def fits(self) -> bool:
        return all(limit.fits for limit in self.limits)

    def stops_at(self, workload: Workload) -> float:
        """Events a second at which the first limit is reached [1/s]; infinite when none is known."""
        return min((x.stops_at(workload.peak_events_per_second) for x in self.limits), default=math.inf)


def options(workload: Workload, book: PriceBook, month: Month | None = None) -> tuple[Option, ...]:
    """Every alternative, fitting or not."""
    month = month or Month()
    makers = (lambda_sqs, kinesis_ondemand, kinesis_provisioned, firehose, msk_serverless, opensearch_serverless)
    return tuple(make(workload, book, month) for make in makers)


def units(size: float, unit: float) -> int:
    """Billing units of one record, rounded up [1].

    >>> units(300, 1024), units(26 * 1024, 25 * 1024)
    (1, 2)
    """
    return max(1, math.ceil(size / unit))


def _option(name: str, ledger: Ledger, month: Month, limits: Sequence[Limit | None], *remarks: str) -> Option:
    """An option; a limit that the book lacks (one made before it was known) is said."""
    bill = Bill(tuple(ledger.lines), tuple(ledger.gaps), month, ledger.book.digest)
    known = tuple(limit for limit in limits if limit is not None)
    lacks = ("the book lacks a limit of it: ask AWS",) if len(known) < len(limits) else ()
    return Option(name, bill, known, (*remarks, *lacks))


SCALED = {MB: "bytes/s", MIB: "bytes/s", TB: "bytes"}


def _limit(book: PriceBook, region: str, item: str, name: str, asked: float, scale: float = 1.0) -> Limit | None:
    try:
        row: Price = book.price(item, region)
    except MissingPrice:
        return None
    return Limit(name, float(row.usd) * scale, asked, SCALED.get(scale, row.unit), row.grade, row.source)


def lambda_sqs(workload: Workload, book: PriceBook, month: Month) -> Option:
    """SQS queue in front of Lambda functions that write the bulks. Each group is a queue of its own."""
    ledger = Ledger("kafka", workload.region, book)
    batches = workload.events / workload.lambda_batch
    chunk = float(book.price("sqs/request-unit", workload.region).usd) * KIB
    calls = SQS_CALLS * batches * units(workload.event_bytes * workload.lambda_batch, chunk) * workload.groups
    ledger.add("requests", "SQS standard requests", "sqs/standard-requests", calls / 1e6, "scaling",
               "events / batch x 3 calls x groups, in 64 KB")  # fmt: skip
    ledger.add("requests", "Lambda invocations", "lambda/requests", batches * workload.groups / 1e6, "scaling",
               "events / batch x groups")  # fmt: skip
    seconds = workload.lambda_seconds_per_batch
    limits: list[Limit | None] = []
    remarks = []
    if seconds is None:
        remarks.append("Lambda's duration is not priced: give lambda_seconds_per_batch, as measured")
    else:
        held = batches * seconds * workload.lambda_memory_gib * workload.groups
        ledger.add("compute", "Lambda duration (x86)", "lambda/duration-x86", held, "scaling", "batch seconds x GiB")
        busy = workload.peak_events_per_second / workload.lambda_batch * seconds
        limits += [
            _limit(book, workload.region, "lambda/concurrency-default-quota", "Lambda executions at once",
                   busy * workload.groups),
            _limit(book, workload.region, "sqs/in-flight-standard", "SQS messages in flight",
                   workload.peak_events_per_second * seconds),
        ]  # fmt: skip
    remarks.append("no replay: a message is gone once deleted; order is not kept")
    return _option("Lambda + SQS", ledger, month, limits, *remarks)


def kinesis_ondemand(workload: Workload, book: PriceBook, month: Month) -> Option:
    """Kinesis Data Streams, on demand: records rounded up to 1 KB."""
    ledger = Ledger("kafka", workload.region, book)
    billed = workload.events * units(workload.event_bytes, KINESIS_ONDEMAND_UNIT_BYTES) * KINESIS_ONDEMAND_UNIT_BYTES
    ledger.add("compute", "Kinesis on-demand stream", "kinesis/ondemand-stream", month.hours, "fixed", "hours")
    ledger.add("requests", "Kinesis on-demand data in", "kinesis/ondemand-in", gb(billed), "scaling",
               "events in whole KB")  # fmt: skip
    ledger.add("requests", "Kinesis on-demand data out", "kinesis/ondemand-out",
               gb(workload.events * workload.event_bytes * workload.groups), "scaling", "bytes read")  # fmt: skip
    ledger.add("storage", "Kinesis on-demand extended retention", "kinesis/ondemand-extended-retention",
               _kept(workload, DAY_HOURS, WEEK_HOURS), "scaling", "bytes kept beyond 24 h, up to 7 days")  # fmt: skip
    _long(ledger, workload, "kinesis/ondemand-long-retention")
    into, out = workload.peak_bytes_per_second, workload.peak_bytes_per_second * workload.groups
    limits = tuple(
        _limit(book, workload.region, f"kinesis/quota-ondemand-{way}", name, asked, MB)
        for way, name, asked in (("in", "bytes in a second", into), ("out", "bytes out a second", out))
    )
    return _option("Kinesis on demand", ledger, month, limits, "a new stream starts at 4 MB/s and doubles as it fills")


def _kept(workload: Workload, since: float, until: float = math.inf) -> float:
    """GB that are on the mean kept for longer than `since` and not yet `until` [h]."""
    hours = max(0.0, min(workload.retention_hours, until) - since)
    return gb(workload.events * workload.event_bytes) * hours / MONTH_HOURS


def _long(ledger: Ledger, workload: Workload, item: str) -> None:
    ledger.add("storage", "Kinesis long-term retention", item, _kept(workload, WEEK_HOURS), "scaling",
               "bytes kept beyond 7 days")  # fmt: skip


def kinesis_provisioned(workload: Workload, book: PriceBook, month: Month) -> Option:
    """Kinesis Data Streams with shards bought for the peak; more groups than two need fan-out consumers.

    A shard lets in half of what its readers share, so two groups fit without.
    """
    ledger = Ledger("kafka", workload.region, book)
    shards = kinesis_shards(workload, book)
    hours = shards * month.hours
    ledger.add("compute", "Kinesis shards", "kinesis/provisioned-shard", hours, "fixed", "shards for the peak x hours")
    puts = workload.events * units(workload.event_bytes, KINESIS_PUT_UNIT_BYTES)
    ledger.add("requests", "Kinesis put units", "kinesis/put-payload-unit", puts, "scaling", "events in 25 KB units")
    if workload.groups > SHARED_READERS:
        ledger.add("compute", "Kinesis fan-out consumers", "kinesis/efo-consumer-shard", hours * workload.groups,
                   "fixed", "shards x groups x hours")  # fmt: skip
        ledger.add("requests", "Kinesis fan-out data", "kinesis/efo-data",
                   gb(workload.events * workload.event_bytes * workload.groups), "scaling", "bytes read")  # fmt: skip
    if workload.retention_hours > DAY_HOURS:
        ledger.add("storage", "Kinesis extended retention", "kinesis/extended-retention-shard", hours, "fixed",
                   "shards x hours, for keeping more than 24 h")  # fmt: skip
    _long(ledger, workload, "kinesis/long-retention")
    limits = (_limit(book, workload.region, "kinesis/quota-shards", "shards of the account", shards),)
    return _option("Kinesis provisioned", ledger, month, limits, f"{shards} shards carry the peak, none spare")


def kinesis_shards(workload: Workload, book: PriceBook) -> int:
    """Shards that carry the peak: by bytes in, records in, and bytes out of a shard that one reader has alone [1]."""

    def allowed(name: str) -> float:
        return float(book.price(f"kinesis/{name}", workload.region).usd)

    bytes_in = workload.peak_bytes_per_second / (allowed("shard-in-bytes") * MB)
    records = workload.peak_events_per_second / allowed("shard-in-records")
    bytes_out = workload.peak_bytes_per_second / (allowed("shard-out-bytes") * MB)
    return math.ceil(max(bytes_in, records, bytes_out))


def firehose(workload: Workload, book: PriceBook, month: Month) -> Option:
    """Firehose straight into a search index: each record rounded up to 5 KB; no code of one's own between."""
    ledger = Ledger("kafka", workload.region, book)
    billed = workload.events * units(workload.event_bytes, FIREHOSE_UNIT_BYTES) * FIREHOSE_UNIT_BYTES
    ledger.add("requests", "Firehose ingestion", "firehose/ingest", gb(billed), "scaling", "events in whole 5 KB")
    dearer = rounding_ratio(workload, FIREHOSE_UNIT_BYTES)
    limits = (
        _limit(book, workload.region, "firehose/quota-in", "bytes in a second", workload.peak_bytes_per_second, MIB),
        _limit(book, workload.region, "firehose/quota-records", "records a second", workload.peak_events_per_second),
    )
    return _option("Firehose", ledger, month, limits, f"rounding bills {dearer:.1f} times the bytes sent",
                   "its limits are those of a new stream by direct PUT: it grows while it is throttled",
                   "one destination, no replay; buffers for seconds to minutes before it delivers")  # fmt: skip


def msk_serverless(workload: Workload, book: PriceBook, month: Month) -> Option:
    """Kafka by the gigabyte: the same clients, with quotas on rates and no brokers to size."""
    payload = workload.events * workload.event_bytes
    held = payload / month.hours * workload.retention_hours
    usage = KafkaUsage(
        "msk-serverless", workload.region, partitions=workload.partitions, produced_bytes=payload, stored_bytes=held,
        consumed_bytes={str(n): payload for n in range(workload.groups)},
    )  # fmt: skip
    into, out = workload.peak_bytes_per_second, workload.peak_bytes_per_second * workload.groups
    quota = "msk/quota-serverless-max"
    limits = tuple(
        _limit(book, workload.region, f"{quota}-{item}", name, asked, MB)
        for item, name, asked in (
            ("ingress-per-cluster", "bytes in a second", into),
            ("egress-per-cluster", "bytes out a second", out),
            ("ingress-per-partition", "bytes in a second a partition", into / workload.partitions),
            ("egress-per-partition", "bytes out a second a partition", out / workload.partitions),
        )
    )
    return _option("MSK Serverless", kafka.lines(usage, month, book), month, limits)


def opensearch_serverless(workload: Workload, book: PriceBook, month: Month) -> Option:
    """The index without nodes. How many OCUs a load takes is published nowhere: it is asked for."""
    ledger = Ledger("elasticsearch", workload.region, book)
    ocus = max(SERVERLESS_FLOOR_OCU, workload.search_ocus or 0)
    ledger.add("compute", "OpenSearch Serverless OCUs", "opensearch/serverless-ocu-hour", ocus * month.hours,
               "scaling", "OCUs x hours")  # fmt: skip
    ledger.add("storage", "OpenSearch Serverless storage", "opensearch/serverless-storage",
               gb(workload.indexed_bytes_held), "scaling", "bytes held")  # fmt: skip
    remark = "only the floor of 2 OCUs is priced: give search_ocus, as measured" if workload.search_ocus is None else ""
    limits = [_limit(book, workload.region, "opensearch/quota-serverless-held", "bytes of time series held",
                     workload.indexed_bytes_held, TB)]  # fmt: skip
    if workload.search_ocus is not None:
        limits.append(_limit(book, workload.region, "opensearch/quota-serverless-ocus", "OCUs of each kind",
                             workload.search_ocus / 2))  # fmt: skip
    told = "AWS may have raised its limits since 2024"
    return _option("OpenSearch Serverless", ledger, month, limits, *([remark] if remark else []), told)


def rounding_ratio(workload: Workload, unit_bytes: float) -> Decimal:
    """Bytes billed over bytes sent for a service that rounds each record up to a unit [1].

    >>> rounding_ratio(Workload("us-east-1", 1e9, 512, 1000), 5 * 1024)
    Decimal('10.0')
    """
    return Decimal(repr(units(workload.event_bytes, unit_bytes) * unit_bytes / workload.event_bytes))
