"""Burst credits: what a small machine may do above what it sustains, until a bucket is empty.

A bucket fills at the baseline's rate while less than the baseline is used, and drains by what is used above it; empty,
the machine falls to its baseline. EBS bandwidth of small instances bursts for half an hour a day; their network for
minutes; the CPU of T-class instances bursts on earned minutes, up to a day's worth of them.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from models.machines import Machine, machine
from models.units import DAY, HOUR, MINUTE

TABLE = Path(__file__).parent / "data" / "burst.csv"
EBS_BURST_SECONDS = 1800.0  # at the peak, once in 24 hours (kafka.md A6: 30 min a day, remembered)

NETWORK_BURST_SECONDS = 300.0  # at the peak; AWS says 5 to 60 minutes by size, and not which (remembered): the least


@dataclass(frozen=True)
class Bucket:
    """A bucket: what is sustained and what is possible, in one unit a second, and how much more it holds when full."""

    name: str
    baseline: float
    peak: float
    size: float
    unit: str
    source: str


def ebs_bucket(box: Machine) -> Bucket | None:
    """EBS bandwidth of a machine [bytes/s, bytes]; None where the peak is sustained.

    >>> bucket = ebs_bucket(machine("m7g.large"))
    >>> round(bucket.size / 1e9, 1)
    2108.2
    >>> ebs_bucket(machine("m7g.16xlarge"))
    """
    base, peak = box.ebs_baseline_bytes_per_second, box.ebs_peak_bytes_per_second
    if peak <= base * 1.001:
        return None
    return Bucket("EBS bandwidth", base, peak, (peak - base) * EBS_BURST_SECONDS, "bytes/s", "kafka.md A6")


def network_bucket(box: Machine) -> Bucket | None:
    """Network of a machine "up to" a rate [bytes/s, bytes]; None where the peak is sustained.

    >>> bucket = network_bucket(machine("m7g.large"))
    >>> round(bucket.baseline / 1e6), round(bucket.peak / 1e6), round(bucket.size / 1e9)
    (117, 1562, 434)
    >>> network_bucket(machine("m7g.16xlarge"))
    """
    base, peak = box.network_baseline_bytes_per_second, box.network_peak_bytes_per_second
    if peak <= base * 1.001:
        return None
    return Bucket("network", base, peak, (peak - base) * NETWORK_BURST_SECONDS, "bytes/s", "kafka.md A6")


@cache
def _rows() -> dict[str, dict[str, str]]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        return {row["size"]: row for row in csv.DictReader(file)}


def cpu_bucket(box: Machine) -> Bucket | None:
    """CPU of a burstable machine [cores, core seconds]; None for one that is not. A credit is a minute of one vCPU.

    >>> bucket = cpu_bucket(machine("t3.small"))
    >>> bucket.baseline, bucket.peak, bucket.size / MINUTE
    (0.4, 2.0, 576.0)
    """
    row = _rows().get(box.size)
    if not box.burstable or row is None:
        return None
    earned = float(row["credits_per_hour_per_vcpu"]) * box.vcpu * MINUTE / HOUR  # core seconds a second
    return Bucket("CPU", box.vcpu * float(row["baseline_share"]), float(box.vcpu), earned * DAY, "cores", row["source"])


__all__ = ["Bucket", "cpu_bucket", "ebs_bucket", "machine", "network_bucket"]
