"""How `models/data/machines.csv` is made from the hardware facts.

A CoreMark that was measured is kept. A box without one borrows from its own family, else from its *sister*:
the family whose name lacks the `d` of local disks (r6id from r6i), which has the same processor. The sister's
figure of the same size is taken, else the family's median a vCPU times the vCPUs; both are marked `derived`.
A box with neither stays empty.
"""

from __future__ import annotations

import csv
import io
import statistics
from functools import cache
from pathlib import Path

Row = dict[str, str]

COLUMNS = [
    "instance_type", "family", "size", "arch", "manufacturer", "clock_ghz", "vcpu", "cores", "threads_per_core",
    "memory_gib", "net_baseline_gbps", "net_peak_gbps", "ebs_baseline_MBps", "ebs_peak_MBps", "ebs_baseline_iops",
    "ebs_peak_iops", "max_ebs_attachments", "local_disk_count", "local_disk_gb_each", "local_disk_kind",
    "burstable", "current_generation", "coremark_iter_per_s", "coremark_basis", "coremark_source", "source", "as_of",
]  # fmt: skip


@cache
def read_rows(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def sister_family(family: str) -> str:
    """The family of the same processor without local disks.

    >>> sister_family("r6id"), sister_family("c8gd"), sister_family("m5"), sister_family("d3")
    ('r6i', 'c8g', '', '')
    """
    return family[:-1] if len(family) > 2 and family.endswith("d") else ""


def machine_rows(facts: Path) -> list[Row]:
    """The rows of the machine table, in the order of the facts."""
    rows = read_rows(facts / "aws" / "ec2_instances.csv")
    measured = {r["instance_type"]: r for r in rows if r["coremark_iter_per_s"]}
    return [{**{c: row.get(c, "") for c in COLUMNS}, **_coremark(row, measured), **_source(row)} for row in rows]


def _coremark(row: Row, measured: dict[str, Row]) -> Row:
    own = row["coremark_iter_per_s"]
    if own:
        text = f"CoreMark of a live instance, Vantage, run {row['coremark_run_at']}"
        return {"coremark_iter_per_s": own, "coremark_basis": "measured", "coremark_source": text}
    for family in (row["family"], sister_family(row["family"])):
        kin = [r for r in measured.values() if r["family"] == family]
        if kin:
            return _borrowed(row, family, kin)
    return {"coremark_iter_per_s": "", "coremark_basis": "", "coremark_source": "not measured"}


def with_coremark(row: Row) -> Row:
    """A row of new hardware with the CoreMark that the packaged table's kin measured, where it has kin."""
    from models.machines import TABLE

    known = {r["instance_type"]: r for r in read_rows(TABLE)}
    if (own := known.get(row["instance_type"])) is not None:
        return row | {name: own[name] for name in ("coremark_iter_per_s", "coremark_basis", "coremark_source")}
    measured = {name: r for name, r in known.items() if r["coremark_basis"] == "measured"}
    return row | _coremark(row | {"coremark_iter_per_s": ""}, measured)


def _borrowed(row: Row, family: str, kin: list[Row]) -> Row:
    same = [r for r in kin if r["size"] == row["size"] and r["vcpu"] == row["vcpu"]]
    if same:
        value, how = float(same[0]["coremark_iter_per_s"]), f"{same[0]['instance_type']}'s"
    else:
        rate = statistics.median(float(r["coremark_iter_per_s"]) / float(r["vcpu"]) for r in kin)
        value, how = rate * float(row["vcpu"]), f"{family}'s median a vCPU x {row['vcpu']} vCPU"
    return {"coremark_iter_per_s": f"{value:.1f}", "coremark_basis": "derived", "coremark_source": f"derived: {how}"}


def _source(row: Row) -> Row:
    return {"source": row["source"].split(";")[0], "as_of": row["as_of"]}


def machine_table(facts: Path) -> bytes:
    """The machine table as it is written to disk."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(machine_rows(facts))
    return out.getvalue().encode()
