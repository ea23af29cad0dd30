"""Traffic that AWS bills: which bytes cross a zone, and what leaves by a gateway.

Two zones of one region pay on both sides: what goes out of one and into the other, 0.01 USD a GB each in every
region, so a GB moved is two GB billed. MSK and OpenSearch Service do not bill what their own nodes send each
other; clients pay always, and a self-managed cluster pays for everything.

Spark reads from leaders wherever they lie: `client.rack` is one setting of the query while its executors may sit
in several zones, so the saving of follower fetch needs every executor in one zone and a static rack that names it.
"""

from __future__ import annotations

from pricing.bill import Ledger
from pricing.price_book import PriceBook
from pricing.usage import ALONE, Account, KafkaUsage, Month, SearchUsage, SharedUsage

# A billed GB is 2^30 bytes (AWS's calculator and its 10 TB = 10,240 GB tiers; that invoices count the same is
# remembered). A planner who counts 10^9 sees 7.4 % more GB for the same flow.
BILLED_GB = 2.0**30
BOTH_SIDES = 2


def gb(count: float) -> float:
    """Bytes as billed GB.

    >>> gb(1024**4)
    1024.0
    """
    return count / BILLED_GB


def client_crossing(zones: int) -> float:
    """Share of a client's bytes that cross a zone, leaders or nodes being spread evenly [1].

    The client sits in one of the zones; the other side is anywhere.
    Source: Kafka capacity arithmetic (kafka.md A5), AWS msk_sizing.py (2/3 for three zones).

    >>> client_crossing(1), round(client_crossing(3), 4)
    (0.0, 0.6667)
    """
    return (zones - 1) / zones


def copies_crossing(copies: float, zones: int) -> float:
    """Times each byte crosses a zone to reach its other copies, placed evenly over zones [1].

    Copies beyond the number of zones share the first one's zone by turns.

    >>> copies_crossing(3, 3), copies_crossing(3, 2), copies_crossing(2, 3), copies_crossing(3, 1)
    (2.0, 1.5, 1.0, 0.0)
    """
    return copies - max(1.0, copies / zones)


def rack_crossing(copies: float, zones: int) -> float:
    """Share of a rack-aware group's bytes that still cross: those with no copy in its zone [1].

    >>> rack_crossing(3, 3), round(rack_crossing(2, 3), 4)
    (0.0, 0.3333)
    """
    return max(0, zones - copies) / zones


def kafka_crossings(usage: KafkaUsage) -> dict[str, float]:
    """Bytes of a Kafka cluster that cross a zone in the month and are billed, by what they are [bytes]."""
    away = client_crossing(usage.zones)
    near = rack_crossing(usage.copies, usage.zones)
    crossings = {"producers": usage.produced_bytes * away}
    if usage.kind == "self-managed":
        crossings["replication"] = usage.produced_bytes * copies_crossing(usage.copies, usage.zones)
        crossings["reassignment"] = usage.moved_bytes * away
    for group, count in usage.consumed_bytes.items():
        crossings[f"consumer group {group}"] = count * (near if group in usage.rack_aware_groups else away)
    return crossings


def search_crossings(usage: SearchUsage) -> dict[str, float]:
    """Bytes of a search cluster that cross a zone in the month and are billed, by what they are [bytes].

    Left out: a search's fan-out between nodes of a self-managed cluster (small beside its indexing).
    """
    away = client_crossing(usage.zones)
    crossings = {"bulk requests": usage.bulk_bytes * away, "search answers": usage.search_bytes * away}
    if usage.kind == "self-managed":
        crossings["bulks passed on to primaries"] = usage.bulk_bytes * away
        crossings["replication"] = usage.replica_bytes * copies_crossing(usage.copies, usage.zones)
        crossings["recovery and rebalancing"] = usage.moved_bytes * away
    return crossings


def add_crossings(ledger: Ledger, crossings: dict[str, float]) -> None:
    """A line for each flow between zones, both directions billed."""
    for what, count in crossings.items():
        ledger.add("transfer", f"Data transfer between zones: {what}", "transfer/zones", BOTH_SIDES * gb(count),
                   "scaling", f"bytes crossing zones, {what}")  # fmt: skip


def add_network(ledger: Ledger, usage: SharedUsage, month: Month, rest: Account = ALONE) -> None:
    """NAT, endpoints, balancers, addresses, internet and other regions."""
    hours = month.hours
    add = ledger.add
    add("transfer", "NAT gateway hours", "nat/hour", usage.nat_gateways * hours, "fixed", "NAT gateways")
    add("transfer", "NAT gateway data", "nat/gb", gb(usage.nat_bytes), "scaling", "bytes through NAT")
    add("transfer", "VPC endpoint hours", "endpoint/hour", usage.endpoint_zones * hours, "fixed", "endpoint zones")
    add("transfer", "VPC endpoint data", "endpoint/gb", gb(usage.endpoint_bytes), "scaling", "bytes through endpoints")
    balancers, lcus = usage.application_balancers * hours, usage.application_lcus * hours
    add("transfer", "Application Load Balancer hours", "alb/hour", balancers, "fixed", "application balancers")
    add("transfer", "Application Load Balancer LCUs", "alb/lcu", lcus, "scaling", "mean LCUs")
    balancers, lcus = usage.network_balancers * hours, usage.network_lcus * hours
    add("transfer", "Network Load Balancer hours", "nlb/hour", balancers, "fixed", "network balancers")
    add("transfer", "Network Load Balancer LCUs", "nlb/lcu", lcus, "scaling", "mean NLCUs")
    add("transfer", "Public IPv4 addresses", "ipv4/hour", usage.public_addresses * hours, "fixed", "public addresses")
    add_internet(ledger, usage, rest)
    for peer, count in usage.region_out_bytes.items():
        add("transfer", f"Data transfer to {peer}", f"transfer/region-{peer}", gb(count), "scaling", f"bytes to {peer}")


def add_internet(ledger: Ledger, usage: SharedUsage, rest: Account) -> None:
    """Internet egress by tier, after what the rest of the account sent; the account's free GB come off first."""
    free = free_internet_gb(ledger.book, usage.region)
    sent, before = gb(usage.internet_out_bytes), gb(rest.internet_out_bytes)
    billed_before = max(0.0, before - free)
    billed = max(0.0, before + sent - free) - billed_before
    ledger.add("transfer", "Data transfer to the internet", "transfer/internet", billed, "scaling",
               "bytes to the internet", billed_before)  # fmt: skip


def free_internet_gb(book: PriceBook, region: str) -> float:
    """GB to the internet that are free for the whole account in a month."""
    top = book.price("transfer/internet-free", region).tier_to
    return float(top) if top is not None else 0.0
