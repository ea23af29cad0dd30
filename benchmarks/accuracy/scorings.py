"""The log of scorings: when which engine and coefficients were scored, and what came out.

A test set that is looked at again and again becomes a fit set. The log says how often it was.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from datetime import date
from pathlib import Path

LOG = Path(__file__).parent / "scorings.csv"


def read(path: Path = LOG) -> list[dict[str, str]]:
    """All scorings, oldest first."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(scored: Mapping[str, str], day: date, path: Path = LOG) -> list[dict[str, str]]:
    """The log with this scoring at its end; one that says the same as the last adds nothing."""
    log = read(path)
    if log and {k: v for k, v in log[-1].items() if k != "date"} == dict(scored):
        return log
    log.append({"date": day.isoformat(), **scored})
    names = list(dict.fromkeys(name for row in log for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(log)
    return read(path)
