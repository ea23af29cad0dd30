"""What a Spark application costs in a month: EMR on EC2, EMR on EKS, EMR Serverless, or plain EC2.

EMR's *uplift* is dollars an hour on top of each box, looked up by type (a quarter of the box's price for newer
ones, capped for older). It starts at xlarge: EMR does not sell smaller boxes, and asking for one is a gap.
A *checkpoint request* is one PUT, COPY or LIST on the checkpoint store; with many state partitions and a short
trigger they can outweigh the executors.
"""

from __future__ import annotations

from models.machines import box_name
from models.units import HOUR
from pricing.bill import Ledger
from pricing.boxes import Spot, add_boxes, add_root_volumes, add_volumes
from pricing.price_book import PriceBook
from pricing.traffic import add_crossings, client_crossing, gb
from pricing.usage import ALONE, Account, Month, SparkUsage

BAND, LAST_BAND = 0.05, 0.2  # width of the spot advisor's bands, and where its open one begins (aws-prices.md C)
S3_CLASS = {"s3": "standard", "s3express": "express-onezone"}


def lines(usage: SparkUsage, month: Month, book: PriceBook, rest: Account = ALONE) -> Ledger:
    """The lines and gaps of a Spark application's month."""
    ledger = Ledger("spark", usage.region, book, usage.tags)
    hours = month.hours if usage.hours is None else usage.hours
    if usage.kind == "emr-serverless":
        _serverless(ledger, usage)
    elif usage.boxed:
        _hosts(ledger, usage, hours, hours / month.hours)
    if usage.kind == "emr-eks":
        ledger.add("compute", "EMR on EKS vCPU", "emr-on-eks/vcpu-hour", usage.vcpu_hours, "fixed", "pod vCPU x hours")
        ledger.add("compute", "EMR on EKS memory", "emr-on-eks/gb-hour", usage.gb_hours, "fixed", "pod GB x hours")
    ledger.add("compute", "EKS cluster", "eks/cluster-hour", usage.eks_clusters * month.hours, "fixed", "EKS clusters")
    add_crossings(ledger, {"shuffle": usage.shuffle_bytes * client_crossing(usage.zones)})
    _checkpoints(ledger, usage, rest)
    return ledger


def _hosts(ledger: Ledger, usage: SparkUsage, hours: float, share: float) -> None:
    machine = box_name(usage.machine)
    other = box_name(usage.other_machine or usage.machine)
    replaced = replaced_hours(usage, ledger.book, share)
    spot = Spot(usage.spot_share, usage.spot_fallback, replaced)
    add_boxes(ledger, "Spark executors", machine, usage.executor_hosts, hours, spot)
    add_boxes(ledger, "Spark driver and masters", other, usage.other_hosts, hours)
    if usage.kind == "emr-ec2":
        roles = (("executors", machine, usage.executor_hosts * hours + replaced),
                 ("driver and masters", other, usage.other_hosts * hours))  # fmt: skip
        for role, box, spent in roles:
            ledger.add("compute", f"EMR on EC2 {box} ({role})", f"emr/ec2/{box}", spent, "fixed", "EMR hosts x hours")
    hosts = usage.executor_hosts + usage.other_hosts
    add_volumes(ledger, "Spark", usage.volume, hosts, share)
    add_root_volumes(ledger, usage.root_volume_gib, hosts, share)


def interruption_band(book: PriceBook, machine: str, region: str) -> tuple[float, float] | None:
    """Least and most share of spot boxes that AWS takes back in a month [1], None where nobody published it.

    The spot advisor's bands are 5 % wide; the book holds their upper ends (its last one, over 20 %, is read to 30 %).
    """
    item = f"ec2/spot-interruption/{machine}"
    if not book.has(item, region):
        return None
    upper = float(book.price(item, region).usd)
    return (max(0.0, upper - BAND) if upper <= LAST_BAND else LAST_BAND), upper


def replaced_hours(usage: SparkUsage, book: PriceBook, share_of_month: float = 1.0) -> float:
    """Hours paid in a month while replacements of spot boxes taken back start [h]; 0 where no band is known (the bill
    then says so)."""
    if not usage.spot_share:
        return 0.0
    often = usage.spot_interruptions
    if often is None:
        band = interruption_band(book, box_name(usage.machine), usage.region)
        often = sum(band) / 2 if band else 0.0
    boxes = usage.executor_hosts * usage.spot_share * (1 - usage.spot_fallback)
    return boxes * share_of_month * often * usage.spot_replacement_seconds / HOUR


def _serverless(ledger: Ledger, usage: SparkUsage) -> None:
    chip = "arm64" if usage.architecture == "arm64" else "x86"
    ledger.add("compute", f"EMR Serverless vCPU ({chip})", f"emr-serverless/vcpu-hour-{chip}", usage.vcpu_hours,
               "scaling", "worker vCPU x hours")  # fmt: skip
    ledger.add("compute", f"EMR Serverless memory ({chip})", f"emr-serverless/gb-hour-{chip}", usage.gb_hours,
               "scaling", "worker GB x hours")  # fmt: skip


def _checkpoints(ledger: Ledger, usage: SparkUsage, rest: Account) -> None:
    store = S3_CLASS.get(usage.checkpoint_store)
    if store is None:
        return
    ledger.add("requests", f"S3 {store} PUT, COPY, POST, LIST (checkpoints)", f"s3/{store}-put-copy-post-list",
               usage.put_requests, "scaling", "checkpoint writes")  # fmt: skip
    ledger.add("requests", f"S3 {store} GET and others (checkpoints)", f"s3/{store}-get-select-other",
               usage.get_requests, "scaling", "checkpoint reads")  # fmt: skip
    before = gb(rest.s3_standard_bytes) if store == "standard" else 0.0
    ledger.add("storage", f"S3 {store} storage (checkpoints)", f"s3/{store}-storage", gb(usage.checkpoint_bytes),
               "scaling", "checkpoint bytes", before)  # fmt: skip
