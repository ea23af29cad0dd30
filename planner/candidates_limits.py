"""Limits that AWS sets on volumes, dated, with their source."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

from models.units import GIB

TABLE = Path(__file__).parent / "data" / "opensearch_limits.csv"
EBS_MOST = 16 * 1024 * GIB  # gp3 (aws/ebs_prices.csv of the facts: 16 TiB); OpenSearch's own table goes up to 24 TiB
UNLISTED = 1024 * GIB  # a node type the table does not have: the least that the large sizes of its peers take (guess)


@cache
def _table() -> dict[str, tuple[float, str]]:
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return {r["machine"]: (float(r["most_gp3_gib"]) * GIB, f"{r['source']}, {r['as_of']}") for r in rows}


def largest_volume(kind: str, machine: str) -> tuple[float, str]:
    """Largest volume of a node [bytes], and who says so.

    >>> largest_volume("opensearch-service", "r7g.large")[0] / GIB, largest_volume("self-managed-opensearch", "x")[1]
    (1536.0, 'EBS gp3')
    """
    if kind != "opensearch-service":
        return EBS_MOST, "EBS gp3"
    return _table().get(machine.removesuffix(".search"), (UNLISTED, "not in AWS's table as we have it: 1 TiB taken"))
