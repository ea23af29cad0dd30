"""EC2 boxes and EBS volumes: what a self-managed process stands on.

A volume's *allowance* is what its price per GB includes: a gp3 volume has 3,000 IOPS and 125 MB/s before either
is paid for. Costs are flat up to an allowance and never fall beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.units import MB
from pricing.bill import Ledger
from pricing.usage import Volume

# EBS gp3, AWS EBS pricing as read in infracost's goldens 2024-07 and AWS's agent toolkit 2026-08-20.
GP3_INCLUDED_IOPS = 3000
GP3_INCLUDED_BYTES_PER_SECOND = 125 * MB
IO2_TIERS = (("ebs/io2-iops-tier1-to-32000", 0.0, 32000.0), ("ebs/io2-iops-tier2-32001-64000", 32000.0, 64000.0),
             ("ebs/io2-iops-tier3-above-64000", 64000.0, float("inf")))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spot:
    """The spot market as boxes meet it: share of hours meant for it, share of those that find none, and the hours
    paid beside while replacements of boxes taken back are starting."""

    share: float = 0.0
    fallback: float = 0.0
    replaced_hours: float = 0.0


LISTED = Spot()


def add_boxes(ledger: Ledger, role: str, machine: str, count: float, hours: float, spot: Spot = LISTED) -> None:
    """EC2 hours of `count` boxes, a share of them on the spot market."""
    meant = count * hours * spot.share
    listed = count * hours - meant
    ledger.add("compute", f"EC2 {machine} on demand ({role})", f"ec2/on-demand/{machine}", listed, "fixed",
               f"{role} hosts x hours")  # fmt: skip
    ledger.add("compute", f"EC2 {machine} spot ({role})", f"ec2/spot/{machine}", meant * (1 - spot.fallback), "fixed",
               f"{role} hosts x hours on spot")  # fmt: skip
    ledger.add("compute", f"EC2 {machine} spot ({role}, replacements starting)", f"ec2/spot/{machine}",
               spot.replaced_hours, "fixed", "spot boxes taken back x time to replace one")  # fmt: skip
    ledger.add("compute", f"EC2 {machine} on demand ({role}, where there is no spot)", f"ec2/on-demand/{machine}",
               meant * spot.fallback, "fixed", f"{role} hosts x hours that found no spot")  # fmt: skip


def add_volumes(ledger: Ledger, role: str, volume: Volume, count: float, share: float = 1.0) -> None:
    """EBS volumes, one a host, for a share of the month."""
    if volume.kind == "none":
        return
    held, driver = count * share, f"{role} hosts x"
    ledger.add("storage", f"EBS {volume.kind} storage ({role})", f"ebs/{volume.kind}-storage", held * volume.gib,
               "fixed", f"{driver} GiB")  # fmt: skip
    if volume.kind == "io2":
        _add_io2_iops(ledger, role, volume.iops, held)
    elif volume.kind in ("gp3", "io1"):
        free = GP3_INCLUDED_IOPS if volume.kind == "gp3" else 0
        ledger.add("storage", f"EBS {volume.kind} IOPS ({role})", f"ebs/{volume.kind}-iops",
                   held * max(0.0, volume.iops - free), "fixed", f"{driver} IOPS above {free}")  # fmt: skip
    extra = max(0.0, volume.bytes_per_second - GP3_INCLUDED_BYTES_PER_SECOND) / MB
    if volume.kind == "gp3":
        ledger.add("storage", f"EBS gp3 throughput ({role})", "ebs/gp3-throughput", held * extra, "fixed",
                   f"{driver} MB/s above 125")  # fmt: skip


def _add_io2_iops(ledger: Ledger, role: str, iops: float, held: float) -> None:
    for item, low, high in IO2_TIERS:
        part = min(iops, high) - low
        ledger.add("storage", f"EBS io2 IOPS ({role})", item, held * part, "fixed", f"{role} hosts x IOPS")


def add_root_volumes(ledger: Ledger, gib: float, count: float, share: float = 1.0) -> None:
    """The boot volume of each EC2 host: gp3, 20 GiB unless said otherwise (our policy)."""
    add_volumes(ledger, "boot volumes", Volume("gp3", gib), count, share)
