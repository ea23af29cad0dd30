"""Machines: what an EC2 box has, read from a dated table.

A machine is one EC2 instance type. Its *cores* are physical; an x86 vCPU is usually one of two hardware
threads of a core, a Graviton vCPU is a whole core, so machines are never compared by vCPU. *Baseline* is
what a box sustains for network and for EBS; *peak* is a burst that a streaming node spends in minutes.
CoreMark is the iterations a second of the whole box with every thread busy, as measured on a live one.
MSK and OpenSearch run on the same boxes under longer names (`kafka.m7g.large`, `r7g.large.search`).
The table is `data/machines.csv`, in AWS's own units; `python -m pricing.build_book` writes it. A price book made from
live AWS has a table of the same shape beside its prices; `extend` adds the types that are new. What the packaged table
knows it keeps, so that no forecast moves because another book was opened before it.
"""

from __future__ import annotations

import csv
import difflib
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from models.units import GB, GIB, MB

TABLE = Path(__file__).parent / "data" / "machines.csv"
GIGABIT_BYTES = 1e9 / 8
MORE_TABLES = "FLOODMARK_MACHINES"  # environment: further tables, so that worker processes know them too
NEEDED = ("vcpu", "cores", "threads_per_core", "memory_gib", "net_baseline_gbps", "net_peak_gbps", "ebs_baseline_MBps",
          "ebs_peak_MBps", "ebs_baseline_iops", "ebs_peak_iops")  # fmt: skip

# AWS does not name the box under an optimized OpenSearch instance. These have the same vCPU and memory at
# every size and are our guess (grade "guess"): good for a sketch, to be replaced by a calibration.
OPENSEARCH_BOXES = {"or1": "r6g", "or2": "r7g", "om2": "m7g", "oi2": "i8g"}

# share of its vCPUs that a T instance sustains without credits, by size (AWS, "Burstable performance instances";
# remembered, alike for t3, t3a and t4g)
BURST_CPU_SHARE = {"nano": 0.05, "micro": 0.1, "small": 0.2, "medium": 0.2, "large": 0.3, "xlarge": 0.4, "2xlarge": 0.4}

Basis = Literal["measured", "derived", ""]


class UnknownMachine(ValueError):
    """A machine name that is not in the table: names the nearest right ones."""


@dataclass(frozen=True, slots=True)
class Machine:
    """One EC2 instance type. Bytes are bytes, rates are bytes a second, memory is true GiB turned to bytes."""

    name: str
    family: str
    size: str
    architecture: Literal["x86_64", "arm64"]
    manufacturer: str
    clock_ghz: float
    vcpu: int
    cores: int
    threads_per_core: int
    memory_bytes: float
    network_baseline_bytes_per_second: float
    network_peak_bytes_per_second: float
    ebs_baseline_bytes_per_second: float
    ebs_peak_bytes_per_second: float
    ebs_baseline_iops: float
    ebs_peak_iops: float
    ebs_attachments: int
    local_disks: int
    local_disk_bytes: float
    local_disk_kind: str
    burstable: bool
    current: bool
    coremark: float | None
    coremark_basis: Basis
    coremark_source: str
    source: str
    as_of: str

    @property
    def lifecycle(self) -> Literal["current", "previous"]:
        return "current" if self.current else "previous"

    @property
    def local_bytes(self) -> float:
        """All local disks together [bytes]."""
        return self.local_disks * self.local_disk_bytes

    def capacity_threads(self, smt_yield: float) -> float:
        """How many threads-alone-on-a-core the whole box is worth [threads].

        A core with two hardware threads busy does `smt_yield` times the work of one thread alone on it.

        >>> machine("m7i.xlarge").capacity_threads(1.3), machine("m7g.xlarge").capacity_threads(1.3)
        (2.6, 4.0)
        """
        return self.cores * _yield(self, smt_yield)

    def per_core_speed(self, smt_yield: float) -> float | None:
        """CoreMark of one thread alone on one core [iterations/s]; None where the box was never measured.

        >>> round(machine("m7g.large").per_core_speed(1.3)), round(machine("m7i.large").per_core_speed(1.3))
        (25830, 35985)
        """
        return None if self.coremark is None else self.coremark / self.capacity_threads(smt_yield)


def _yield(box: Machine, smt_yield: float) -> float:
    if not 1 <= smt_yield <= box.threads_per_core and box.threads_per_core > 1:
        raise ValueError(
            f"hosts.smt_yield = {smt_yield}; expected 1 to {box.threads_per_core} ({box.name} has "
            f"{box.threads_per_core} threads a core)"
        )
    return smt_yield if box.threads_per_core > 1 else 1.0


def box_name(name: str) -> str:
    """The EC2 name of the box under an MSK or OpenSearch name.

    >>> box_name("kafka.m7g.large"), box_name("express.m7g.large"), box_name("r7g.large.search"), box_name("c7i.xlarge")
    ('m7g.large', 'm7g.large', 'r7g.large', 'c7i.xlarge')
    """
    plain = name.strip().removeprefix("kafka.").removeprefix("express.")
    if not plain.endswith(".search"):
        return plain
    family, _, size = plain.removesuffix(".search").partition(".")
    return f"{OPENSEARCH_BOXES.get(family, family)}.{size}"


def machine(name: str) -> Machine:
    """The box of that EC2, MSK or OpenSearch name; an unknown name is refused with the nearest right ones."""
    found = _by_name().get(box_name(name))
    if found is None:
        raise UnknownMachine(_refusal(name))
    return found


def extend(path: Path) -> int:
    """Add the types of another table that the packaged one lacks, here and in processes started from here.

    How many were added; a type without cores, memory, network or disk figures is left out. Raises ValueError for a
    file of another shape.
    """
    before = len(_by_name())
    known = os.environ.get(MORE_TABLES, "").split(os.pathsep)
    if str(path.resolve()) in known:
        return 0
    _read(path)
    os.environ[MORE_TABLES] = os.pathsep.join([*filter(None, known), str(path.resolve())])
    _by_name.cache_clear()
    machines.cache_clear()
    return len(_by_name()) - before


@cache
def machines() -> tuple[Machine, ...]:
    """Every machine of the table, in its order (family, then size)."""
    return tuple(_by_name().values())


def _refusal(name: str) -> str:
    wanted = box_name(name)
    family, _, _ = wanted.partition(".")
    sizes = [m.name for m in machines() if m.family == family]
    near = difflib.get_close_matches(wanted, sizes or list(_by_name()), n=3, cutoff=0.4)
    families = ", ".join(sorted({m.family for m in machines()}))
    hint = f"; nearest: {', '.join(near)}" if near else f"; families: {families}"
    return f"machine = '{name}' is not in the table of {len(machines())} EC2 types{hint}"


@cache
def _by_name() -> dict[str, Machine]:
    found: dict[str, Machine] = {}
    for path in (str(TABLE), *filter(None, os.environ.get(MORE_TABLES, "").split(os.pathsep))):
        if Path(path).is_file():
            found |= {name: box for name, box in _read(Path(path)).items() if name not in found}
    return found


def _read(path: Path) -> dict[str, Machine]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := {*NEEDED, "instance_type", "coremark_basis"} - set(rows.fieldnames or ()):
            raise ValueError(f"{path}: not a table of machines; it lacks the columns {', '.join(sorted(missing))}")
        return {row["instance_type"]: _machine(row) for row in rows if all(row[name] for name in NEEDED)}


def _machine(row: dict[str, str]) -> Machine:
    return Machine(
        name=row["instance_type"],
        family=row["family"],
        size=row["size"],
        architecture="arm64" if row["arch"] == "arm64" else "x86_64",
        manufacturer=row["manufacturer"],
        clock_ghz=float(row["clock_ghz"]),
        vcpu=int(row["vcpu"]),
        cores=int(row["cores"]),
        threads_per_core=int(row["threads_per_core"]),
        memory_bytes=float(row["memory_gib"]) * GIB,
        network_baseline_bytes_per_second=float(row["net_baseline_gbps"]) * GIGABIT_BYTES,
        network_peak_bytes_per_second=float(row["net_peak_gbps"]) * GIGABIT_BYTES,
        ebs_baseline_bytes_per_second=float(row["ebs_baseline_MBps"]) * MB,
        ebs_peak_bytes_per_second=float(row["ebs_peak_MBps"]) * MB,
        ebs_baseline_iops=float(row["ebs_baseline_iops"]),
        ebs_peak_iops=float(row["ebs_peak_iops"]),
        ebs_attachments=int(row["max_ebs_attachments"]),
        local_disks=int(row["local_disk_count"]),
        local_disk_bytes=float(row["local_disk_gb_each"]) * GB,
        local_disk_kind=row["local_disk_kind"],
        burstable=row["burstable"] == "True",
        current=row["current_generation"] == "True",
        coremark=float(row["coremark_iter_per_s"]) if row["coremark_iter_per_s"] else None,
        coremark_basis=_basis(row["coremark_basis"]),
        coremark_source=row["coremark_source"],
        source=row["source"],
        as_of=row["as_of"],
    )


def _basis(text: str) -> Basis:
    if text == "measured":
        return "measured"
    return "derived" if text == "derived" else ""
