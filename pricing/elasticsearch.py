"""What a search cluster costs in a month: OpenSearch Service, OpenSearch Serverless, or one's own on EC2.

*Managers* are the three nodes that hold no data. The service's volumes cost about 1.5 times raw EBS and include
more throughput: 125 MB/s up to 170 GB, then 250 MB/s for every started 3 TB. Traffic between the service's nodes
and its hourly snapshots are free; a self-managed cluster pays for both.
"""

from __future__ import annotations

import math

from models.machines import box_name
from models.units import MB
from pricing.bill import Ledger
from pricing.boxes import add_boxes, add_root_volumes, add_volumes
from pricing.price_book import PriceBook
from pricing.traffic import add_crossings, gb, search_crossings
from pricing.usage import ALONE, Account, Month, SearchUsage, Volume

# OpenSearch Service gp3 allowances (AWS's price sheet as read in infracost's golden, 2024-07). IOPS: remembered.
INCLUDED_IOPS = 3000
SMALL_VOLUME_GIB, SMALL_BYTES_PER_SECOND = 170, 125 * MB
STEP_GIB, STEP_BYTES_PER_SECOND = 3 * 1024, 250 * MB


def lines(usage: SearchUsage, month: Month, book: PriceBook, rest: Account = ALONE) -> Ledger:
    """The lines and gaps of a search cluster's month."""
    ledger = Ledger("elasticsearch", usage.region, book, usage.tags)
    {"opensearch-service": _service, "opensearch-serverless": _serverless, "self-managed": _self_managed}[usage.kind](
        ledger, usage, month
    )
    if usage.kind != "opensearch-serverless":
        add_crossings(ledger, search_crossings(usage))
    _snapshots(ledger, usage, rest)
    return ledger


def search_name(machine: str) -> str:
    """The OpenSearch Service name of a box.

    >>> search_name("r7g.large"), search_name("or1.large.search")
    ('r7g.large.search', 'or1.large.search')
    """
    return machine if machine.endswith(".search") else f"{machine}.search"


def included_bytes_per_second(gib: float) -> float:
    """Throughput a service gp3 volume has without buying any [bytes/s].

    >>> included_bytes_per_second(100) / MB, included_bytes_per_second(500) / MB, included_bytes_per_second(3073) / MB
    (125.0, 250.0, 500.0)
    """
    if gib <= SMALL_VOLUME_GIB:
        return SMALL_BYTES_PER_SECOND
    return STEP_BYTES_PER_SECOND * math.ceil(gib / STEP_GIB)


def _service(ledger: Ledger, usage: SearchUsage, month: Month) -> None:
    for role, machine, count in _roles(usage):
        name = search_name(machine)
        ledger.add("compute", f"OpenSearch {name} ({role})", f"opensearch/node/{name}", count * month.hours, "fixed",
                   f"{role} x hours")  # fmt: skip
    _service_volumes(ledger, "data nodes", usage.volume, usage.data_nodes)
    _service_volumes(ledger, "managers", usage.manager_volume, usage.managers)
    add = ledger.add
    add("storage", "OpenSearch managed storage", "opensearch/managed-storage", gb(usage.managed_bytes), "scaling",
        "bytes in the S3-backed copy")  # fmt: skip
    add("storage", "OpenSearch UltraWarm storage", "opensearch/ultrawarm-managed-storage", gb(usage.warm_bytes),
        "scaling", "bytes in UltraWarm")  # fmt: skip
    add("storage", "OpenSearch cold storage", "opensearch/cold-storage", gb(usage.cold_bytes), "scaling",
        "bytes in cold storage")  # fmt: skip


def _roles(usage: SearchUsage) -> tuple[tuple[str, str, int], ...]:
    roles = (
        ("data nodes", usage.machine, usage.data_nodes),
        ("managers", usage.manager_machine, usage.managers),
        ("warm nodes", usage.warm_machine, usage.warm_nodes),
        ("dashboards", usage.dashboards_machine, usage.dashboards_nodes),
    )
    return tuple(role for role in roles if role[2])


def _service_volumes(ledger: Ledger, role: str, volume: Volume, count: int) -> None:
    if volume.kind == "none" or not count:
        return
    kind = "io1" if volume.kind == "io2" else volume.kind
    ledger.add("storage", f"OpenSearch {kind} storage ({role})", f"opensearch/{kind}-storage", count * volume.gib,
               "fixed", f"{role} x GiB")  # fmt: skip
    free = INCLUDED_IOPS if kind == "gp3" else 0
    if kind in ("gp3", "io1"):
        ledger.add("storage", f"OpenSearch {kind} IOPS ({role})", f"opensearch/{kind}-iops",
                   count * max(0.0, volume.iops - free), "fixed", f"{role} x IOPS above {free}")  # fmt: skip
    extra = max(0.0, volume.bytes_per_second - included_bytes_per_second(volume.gib)) / MB
    if kind == "gp3":
        ledger.add("storage", f"OpenSearch gp3 throughput ({role})", "opensearch/gp3-throughput", count * extra,
                   "fixed", f"{role} x MB/s above the included")  # fmt: skip


def _serverless(ledger: Ledger, usage: SearchUsage, month: Month) -> None:
    ledger.add("compute", "OpenSearch Serverless OCUs", "opensearch/serverless-ocu-hour", usage.ocu_hours, "scaling",
               "OCU x hours")  # fmt: skip
    ledger.add("storage", "OpenSearch Serverless storage", "opensearch/serverless-storage", gb(usage.managed_bytes),
               "scaling", "bytes held")  # fmt: skip


def _self_managed(ledger: Ledger, usage: SearchUsage, month: Month) -> None:
    roles = [role for role in _roles(usage) if usage.boxed or role[0] != "data nodes"]
    for role, machine, count in roles:
        add_boxes(ledger, role, box_name(machine), count, month.hours)
    add_root_volumes(ledger, usage.root_volume_gib, sum(count for _, _, count in roles))
    add_volumes(ledger, "data nodes", usage.volume, usage.data_nodes)
    add_volumes(ledger, "managers", usage.manager_volume, usage.managers)


def _snapshots(ledger: Ledger, usage: SearchUsage, rest: Account) -> None:
    ledger.add("storage", "S3 standard storage (snapshots)", "s3/standard-storage", gb(usage.snapshot_bytes),
               "scaling", "snapshot bytes", gb(rest.s3_standard_bytes))  # fmt: skip
    ledger.add("requests", "S3 standard PUT, COPY, POST, LIST (snapshots)", "s3/standard-put-copy-post-list",
               usage.snapshot_puts, "scaling", "snapshot files written")  # fmt: skip
