"""Memory: what the ledgers say of the laboratory's processes, beside what was recorded of them.

A recording lasts minutes, so what is compared is *resident soon*: the data node touches its whole heap when it starts,
broker and Spark touch what their collectors have enlarged the heap to. What they *climb to* is an upper bound that no
recording may pass. Of the heap itself broker and node state what is committed, Spark the most that a task saw in use.
Sizes of native memory and of what lives on a heap were taken from the recordings of 2026-11-23; those of other days are
blind. `python -m benchmarks.accuracy.memory_rows` prints the section.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calibration.lab import load_run, measured
from calibration.observations import find, json_lines
from models.units import MIB
from planner.backtest_memory import expected

RESULTS = Path(__file__).parents[2] / "lab" / "results"
FITTED = "2026-11-23-epyc-2core"  # whose processes gave the sizes in models/data/memory.csv
COMMITTED = re.compile(r'jvm_memory_committed_bytes\{area="heap"\} (\S+)')


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
    heap_is: str = ""
    heap: float = 0.0
    heap_recorded: float | None = None

    @property
    def error(self) -> float:
        return self.soon / self.recorded - 1

    @property
    def heap_error(self) -> float | None:
        return self.heap / self.heap_recorded - 1 if self.heap_recorded else None


def heap_seen(folder: Path, process: str) -> float | None:
    """Heap of a process as it stated it: committed at the end, or of Spark the most that a task saw in use [bytes]."""
    if process == "spark":
        log = find(folder, "eventlog.jsonl")
        found = [row["Task Executor Metrics"]["JVMHeapMemory"] for row in (json_lines(log) if log else ())
                 if "Task Executor Metrics" in row]  # fmt: skip
        return float(max(found)) if found else None
    if process.startswith("kafka"):
        scrapes = find(folder, f"{process}.prom.jsonl")
        texts = [line["text"] for line in json_lines(scrapes)] if scrapes else []
        match = COMMITTED.search(texts[-1]) if texts else None
        return float(match[1]) if match else None
    stats = find(folder, "search.nodes_stats.jsonl")
    lines = list(json_lines(stats)) if stats else []
    nodes = lines[-1]["body"]["nodes"].values() if lines else []
    return float(max((n["jvm"]["mem"]["heap_committed_in_bytes"] for n in nodes), default=0)) or None


def rows() -> Iterator[Resident]:
    """Every process of every recording that has a ledger."""
    for folder in sorted(p.parent for p in RESULTS.glob("*/*/experiment.json")):
        run = load_run(folder)
        for process, recorded in measured(run).resident_bytes.items():
            told = expected(process, run)
            if told is not None and recorded == recorded and recorded > 0:
                yield Resident(
                    folder.name, process, told.setting, told.soon, told.climbs_to, recorded,
                    folder.parent.name != FITTED, told.heap_is, told.heap, heap_seen(folder, process),
                )  # fmt: skip


def section(found: list[Resident]) -> str:
    """The page's section."""
    lines = [
        "## Resident memory: ledgers beside recordings", "",
        "*Soon* is what a process takes after minutes of light work, *climbs to* what it may come to under load for",
        "long; recorded is the greatest of the window. Sizes beside the heap, and what lives on it, were taken from",
        "the runs of 2026-11-23, so only the others are blind. The goal is 10 % for both.", "",
        "| process | setting | runs | recorded MiB | soon MiB | median error | largest | climbs to MiB | past it |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]  # fmt: skip
    for blind in (False, True):
        for kind in ("kafka", "search", "spark"):
            mine = [r for r in found if r.process.startswith(kind) and r.blind == blind]
            if mine:
                lines.append(_line(mine, f"{kind}, {'blind' if blind else 'in sample'}"))
    lines += ["", "| heap | is | runs | recorded MiB | forecast MiB | median error | largest |",
              "|---|---|--:|--:|--:|--:|--:|"]  # fmt: skip
    for blind in (False, True):
        for kind in ("kafka", "search", "spark"):
            mine = [r for r in found if r.process.startswith(kind) and r.blind == blind and r.heap_recorded]
            if mine:
                lines.append(_heap_line(mine, f"{kind}, {'blind' if blind else 'in sample'}"))
    return "\n".join(lines) + "\n"


def _heap_line(mine: list[Resident], name: str) -> str:
    errors = [r.heap_error or 0.0 for r in mine]
    seen = [(r.heap_recorded or 0.0) / MIB for r in mine]
    cells = (name, mine[0].heap_is, str(len(mine)), f"{min(seen):.0f} to {max(seen):.0f}",
             " or ".join(map(str, sorted({round(r.heap / MIB) for r in mine}))), f"{statistics.median(errors):+.1%}",
             f"{max(errors, key=abs):+.1%}")  # fmt: skip
    return "| " + " | ".join(cells) + " |"


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


__all__ = ["Resident", "rows", "section"]

if __name__ == "__main__":
    print(section(list(rows())))
