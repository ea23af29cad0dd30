"""Resident memory: what the ledgers say of the laboratory's processes, beside what was recorded of them.

A recording lasts minutes, so what is compared is *resident soon*: the data node touches its whole heap when it starts,
broker and Spark touch what their collectors have enlarged the heap to. What they *climb to* is an upper bound that no
recording may pass. Sizes of a node's and a broker's native memory were taken from the recordings of 2026-11-23; those
of other days are blind. `python -m benchmarks.accuracy.memory_rows` prints the section.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calibration.lab import LabRun, load_run, measured
from models.memory import sizes, touched_heap_bytes
from models.units import GIB, MIB
from planner.memory_parts import CLEANER_BYTES

RESULTS = Path(__file__).parents[2] / "lab" / "results"
FITTED = "2026-11-23-epyc-2core"  # whose processes gave broker.native and node.native
HEAP, BROKER_INITIAL = GIB, 512 * MIB  # lab/search.py and lab/brokers.py; pyspark's own driver memory is 1 GiB too
HOST = 24 * GIB
INITIAL_SHARE = 1 / 64  # of the host's memory: what HotSpot starts a heap without -Xms with


@dataclass(frozen=True)
class Resident:
    """One process of one run [bytes]."""

    run: str
    process: str
    setting: str
    soon: float
    climbs_to: float
    recorded: float
    blind: bool

    @property
    def error(self) -> float:
        return self.soon / self.recorded - 1


def expected(process: str, run: LabRun) -> tuple[str, float, float] | None:
    """Setting, resident soon and what it climbs to of a laboratory process; None for one that has no ledger."""
    table = sizes()
    if process.startswith("search"):
        native = table["node.native"].value
        return "-Xms1g -Xmx1g", HEAP + native, HEAP + native
    if process.startswith("kafka"):
        native = table["broker.native"].value
        live = table["broker.live"].value + CLEANER_BYTES
        soon = touched_heap_bytes(live, HEAP, min(BROKER_INITIAL, young_and_old(live)))
        return "-Xms512m -Xmx1g", soon + native, HEAP + native
    if process == "spark":
        workers = 1 + (run.experiment.cores if run.experiment.sink == "bulk" else 0)  # the driver's own Python is one
        beside = table["driver.native"].value + workers * table["python.worker"].value
        soon = touched_heap_bytes(table["executor.live"].value, HEAP, HOST * INITIAL_SHARE)
        return "spark.driver.memory=1g, local", soon + beside, HEAP + beside
    return None


def young_and_old(live: float) -> float:
    """Heap that a broker started with -Xms512m touches in minutes: its young generation, a third, and what lives."""
    return BROKER_INITIAL / 3 + live


def rows() -> Iterator[Resident]:
    """Every process of every recording that has a ledger."""
    for folder in sorted(p.parent for p in RESULTS.glob("*/*/experiment.json")):
        run = load_run(folder)
        for process, recorded in measured(run).resident_bytes.items():
            told = expected(process, run)
            if told is not None and recorded == recorded and recorded > 0:
                blind = folder.parent.name != FITTED
                yield Resident(folder.name, process, *told, recorded, blind)


def section(found: list[Resident]) -> str:
    """The page's section."""
    lines = [
        "## Resident memory: ledgers beside recordings", "",
        "*Soon* is what a process takes after minutes of light work, *climbs to* what it may come to under load for",
        "long; recorded is the greatest of the window. Native sizes of broker and data node were taken from the",
        "runs of 2026-11-23, so only the others are blind.", "",
        "| process | setting | runs | recorded MiB | soon MiB | median error | largest | climbs to MiB | past it |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for blind in (False, True):
        for kind in ("kafka", "search", "spark"):
            mine = [r for r in found if r.process.startswith(kind) and r.blind == blind]
            if mine:
                lines.append(_line(mine, f"{kind}, {'blind' if blind else 'in sample'}"))
    return "\n".join(lines) + "\n"


def _line(mine: list[Resident], name: str) -> str:
    errors = [r.error for r in mine]
    low, high = min(r.recorded for r in mine) / MIB, max(r.recorded for r in mine) / MIB
    soon = sorted({round(r.soon / MIB) for r in mine})
    over = sum(r.recorded > r.climbs_to for r in mine)
    cells = (
        name, mine[0].setting, str(len(mine)), f"{low:.0f} to {high:.0f}", " or ".join(map(str, soon)),
        f"{statistics.median(errors):+.1%}", f"{max(errors, key=abs):+.1%}",
        " or ".join(str(x) for x in sorted({round(r.climbs_to / MIB) for r in mine})), str(over),
    )  # fmt: skip
    return "| " + " | ".join(cells) + " |"


__all__ = ["Resident", "expected", "rows", "section"]

if __name__ == "__main__":
    print(section(list(rows())))
