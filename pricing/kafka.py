"""What a Kafka cluster costs in a month: MSK Standard, Express, Serverless, or one's own on EC2.

A *broker hour* is a box with Kafka on it; MSK's costs 2.2-2.5 times the bare box, and buys that the brokers'
own traffic is free. Its KRaft controllers cost nothing (remembered). MSK meters storage as provisioned (Standard),
as held (Express, Serverless), or as held in the tiered store.

Where it stops being true: Express meters stored bytes once here, as AWS's own sizing script does; its
`StorageUsed` metric counts three copies, so a bill may come out three times higher on that line
(`EXPRESS_BILLED_COPIES`). A cluster in KRaft mode may carry `Kafka.kraft.` in its usage type instead of `Kafka.`.
"""

from __future__ import annotations

from models.machines import box_name
from models.units import MIB
from pricing.bill import Ledger
from pricing.boxes import add_boxes, add_root_volumes, add_volumes
from pricing.price_book import PriceBook
from pricing.traffic import add_crossings, gb, kafka_crossings
from pricing.usage import KafkaUsage, Month

# Storage throughput a Standard broker has without buying any (MSK quotas, 2025..2026).
MSK_INCLUDED_BYTES_PER_SECOND = 250 * MIB
EXPRESS_BILLED_COPIES = 1


def lines(usage: KafkaUsage, month: Month, book: PriceBook) -> Ledger:
    """The lines and gaps of a Kafka cluster's month."""
    ledger = Ledger("kafka", usage.region, book, usage.tags)
    {"msk-standard": _standard, "msk-express": _express, "msk-serverless": _serverless,
     "self-managed": _self_managed}[usage.kind](ledger, usage, month)  # fmt: skip
    if usage.kind != "msk-serverless":
        add_crossings(ledger, kafka_crossings(usage))
    return ledger


def _standard(ledger: Ledger, usage: KafkaUsage, month: Month) -> None:
    _broker_hours(ledger, usage, month, f"kafka.{box_name(usage.machine)}")
    volume = usage.volume
    ledger.add("storage", "MSK broker storage (provisioned GP2-priced)", "msk/standard-storage",
               usage.brokers * volume.gib, "fixed", "brokers x volume GiB")  # fmt: skip
    extra = max(0.0, volume.bytes_per_second - MSK_INCLUDED_BYTES_PER_SECOND) / MIB
    ledger.add("storage", "MSK provisioned storage throughput", "msk/standard-throughput", usage.brokers * extra,
               "fixed", "brokers x MiB/s above 250")  # fmt: skip
    ledger.add("storage", "MSK tiered storage", "msk/tiered-storage", gb(usage.tiered_bytes), "scaling",
               "bytes in the tiered store")  # fmt: skip
    ledger.add("requests", "MSK tiered storage retrieval", "msk/tiered-retrieval", gb(usage.tiered_read_bytes),
               "scaling", "bytes read back from the tiered store")  # fmt: skip


def _express(ledger: Ledger, usage: KafkaUsage, month: Month) -> None:
    _broker_hours(ledger, usage, month, f"express.{box_name(usage.machine)}")
    ledger.add("storage", "MSK Express storage", "msk/express-storage", EXPRESS_BILLED_COPIES * gb(usage.stored_bytes),
               "scaling", "bytes held, one copy")  # fmt: skip
    ledger.add("requests", "MSK Express data in", "msk/express-in", gb(usage.produced_bytes), "scaling",
               "bytes produced")  # fmt: skip


def _broker_hours(ledger: Ledger, usage: KafkaUsage, month: Month, broker: str) -> None:
    ledger.add("compute", f"MSK broker {broker}", f"msk/broker/{broker}", usage.brokers * month.hours, "fixed",
               "brokers x hours")  # fmt: skip


def _serverless(ledger: Ledger, usage: KafkaUsage, month: Month) -> None:
    add = ledger.add
    add("compute", "MSK Serverless cluster", "msk/serverless-cluster", month.hours, "fixed", "hours")
    add("compute", "MSK Serverless partitions", "msk/serverless-partition", usage.partitions * month.hours, "fixed",
        "partitions x hours")  # fmt: skip
    add("requests", "MSK Serverless data in", "msk/serverless-in", gb(usage.produced_bytes), "scaling",
        "bytes produced")  # fmt: skip
    consumed = sum(usage.consumed_bytes.values())
    add("requests", "MSK Serverless data out", "msk/serverless-out", gb(consumed), "scaling", "bytes consumed")
    add("storage", "MSK Serverless storage", "msk/serverless-storage", gb(usage.stored_bytes), "scaling", "bytes held")


def _self_managed(ledger: Ledger, usage: KafkaUsage, month: Month) -> None:
    if usage.boxed:
        add_boxes(ledger, "Kafka broker", box_name(usage.machine), usage.brokers, month.hours)
    add_volumes(ledger, "Kafka broker", usage.volume, usage.brokers)
    controller = box_name(usage.controller_machine or usage.machine)
    add_boxes(ledger, "Kafka controller", controller, usage.controllers, month.hours)
    add_root_volumes(ledger, usage.root_volume_gib, usage.brokers * usage.boxed + usage.controllers)
