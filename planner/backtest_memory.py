"""Resident memory of the laboratory's processes by the ledgers' laws, as a recording of minutes sees them.

The laboratory starts a broker with -Xms512m -Xmx1g, a data node with -Xms1g -Xmx1g, and Spark in local mode with
pyspark's own driver memory of 1 GiB, each pinned to one processor of a host of 24 GiB. *Soon* is after minutes of light
work; *climbs to* is the whole heap touched, which hours of load may come to.
"""

from __future__ import annotations

from dataclasses import dataclass

from calibration.lab import LabRun
from models.memory import collector_of, initial_heap_bytes, local_spark_bytes, sizes, touched_heap_bytes
from models.units import GIB, MIB
from planner.memory_parts import CLEANER_BYTES

HEAP, BROKER_INITIAL, HOST = GIB, 512 * MIB, 24 * GIB
PROCESSORS = 1  # that each server is pinned to


@dataclass(frozen=True)
class Process:
    """One process: what it was started with, its heap (the statistic's name and size) and resident memory [bytes]."""

    setting: str
    heap_is: str
    heap: float
    soon: float
    climbs_to: float


def expected(process: str, run: LabRun) -> Process | None:
    """A laboratory process by its ledger's laws; None for one that has none."""
    table = sizes()
    if process.startswith("search"):
        whole = HEAP + table["node.native"].value
        return Process("-Xms1g -Xmx1g", "committed", HEAP, whole, whole)
    if process.startswith("kafka"):
        native, live = table["broker.native"].value, table["broker.live"].value + CLEANER_BYTES
        touched = touched_heap_bytes(live, HEAP, BROKER_INITIAL, collector_of(PROCESSORS, HOST))
        return Process("-Xms512m -Xmx1g", "committed", BROKER_INITIAL, touched + native, HEAP + native)
    if process == "spark":
        cores = run.experiment.cores
        soon = local_spark_bytes(HEAP, HOST, cores, cores if run.experiment.sink == "bulk" else 0)
        initial, collector = initial_heap_bytes(HEAP, HOST), collector_of(cores, HOST)
        touched = touched_heap_bytes(table["driver.live"].value, HEAP, initial, collector)
        return Process("spark.driver.memory=1g, local", "most used", touched, soon, soon - touched + HEAP)
    return None
