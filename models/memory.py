"""Memory: what the parts of a process take, beside the heap that its owner wrote.

A heap is *reserved* up to -Xmx, *committed* from -Xms (or a 64th of the memory that the JVM sees) upwards, and
*touched* page by page: what was once written stays resident, so under load a JVM climbs towards its -Xmx and gives
nothing back, while light work leaves it near where it started. *Native* memory is all that the JVM holds beside the
heap (metaspace, code, threads, the collector's own tables). A container's *limit* is what its resource manager kills
it for; the heap's own end is an OutOfMemoryError. Sizes of parts that no law gives are dated rows of
`data/memory.csv`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Literal

from models.units import GIB, KIB, MB, MIB

TABLE = Path(__file__).parent / "data" / "memory.csv"
UNITS = {"KiB": KIB, "MiB": MIB, "GiB": GIB, "MB": MB}
Z = NormalDist().inv_cdf(0.95)
HEAP_FREE_SHARE = 0.40  # -XX:MinHeapFreeRatio: a collector grows the heap until this much is free after a collection
INITIAL_HEAP_SHARE = 1 / 64  # -XX:InitialRAMPercentage 1.5625 of HotSpot: the heap without -Xms
SERVER_PROCESSORS, SERVER_MEMORY = 2, 1792 * MIB  # HotSpot's "server-class machine": below it collects serially
YOUNG_SHARE = 1 / 3  # -XX:NewRatio=2 of the serial collector
YOUNG_TOUCHED = 0.9  # of its young generation: eden and one of two survivor spaces, -XX:SurvivorRatio=8
MOST_YOUNG = 0.6  # -XX:G1MaxNewSizePercent
YARN_STEP_BYTES = {"emr-ec2": 32 * MIB, "stock": 1024 * MIB}  # yarn.scheduler.minimum-allocation-mb, spark.md C2
PARENT_BREAKER_SHARE = 0.95  # of real heap use, elasticsearch.md B3
INDEX_BUFFER_SHARE = 0.10  # indices.memory.index_buffer_size, elasticsearch.md B2
HOT_SHARD_BUFFER = 512 * MIB  # more a busy shard gives nothing, elasticsearch.md B2
MEMORY_MAPS_PER_SEGMENT = 2  # offset and time index, kafka.md B2
MOST_MEMORY_MAPS = 65_530  # vm.max_map_count, Linux default (kafka.md B2: about 65,535)


@dataclass(frozen=True)
class Size:
    """One row of the table [bytes]: `low` and `high` are 90 %."""

    name: str
    value: float
    low: float
    high: float
    grade: str
    source: str
    as_of: str

    @property
    def deviation(self) -> float:
        """Standard deviation [bytes], of the wider side: its low and high are taken as a normal's 5 and 95 %."""
        return max(self.high - self.value, self.value - self.low) / Z

    def times(self, count: float) -> Size:
        """The same part `count` times; parts of one kind err together."""
        return Size(self.name, self.value * count, self.low * count, self.high * count, self.grade, self.source,
                    self.as_of)  # fmt: skip


@cache
def sizes() -> dict[str, Size]:
    """All rows by name."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {row["name"]: _size(row) for row in rows}


def _size(row: dict[str, str]) -> Size:
    value, low, high = (float(row[key]) * UNITS[row["unit"]] for key in ("value", "low", "high"))
    if not low <= value <= high:
        raise ValueError(f"{TABLE.name}: {row['name']} = {value:g} lies outside {low:g}..{high:g} [bytes]")
    return Size(row["name"], value, low, high, row["grade"], row["source"], row["as_of"])


Collector = Literal["G1", "serial"]


def collector_of(processors: float, memory: float) -> Collector:
    """What HotSpot collects with where nobody chose: G1, or serially on one processor or below 1,792 MiB.

    Source: HotSpot ergonomics (remembered); the laboratory's JVMs, pinned to one processor, say Copy and
    MarkSweepCompact (2026-11-23).

    >>> collector_of(2, 4 * GIB), collector_of(1, 24 * GIB)
    ('G1', 'serial')
    """
    return "G1" if processors >= SERVER_PROCESSORS and memory >= SERVER_MEMORY else "serial"


def initial_heap_bytes(heap: float, memory: float, given: float | None = None) -> float:
    """What a JVM commits of its heap when it starts [bytes]: -Xms, or a 64th of the memory that it sees.

    Source: HotSpot, InitialRAMPercentage (remembered); a heap of 1 GiB on 24 GiB that never grew: 372 MiB at its
    peak (spark.md C5, RocksDB).

    >>> round(initial_heap_bytes(GIB, 24 * GIB) / MIB), initial_heap_bytes(GIB, 24 * GIB, 512 * MIB) / MIB
    (384, 512.0)
    """
    return min(heap, given if given is not None else memory * INITIAL_HEAP_SHARE)


def touched_heap_bytes(live: float, heap: float, initial: float = 0.0, collector: Collector = "G1") -> float:
    """Heap that a JVM has touched after minutes of light work [bytes]; under pressure it climbs to all of `heap`.

    A collector enlarges the heap until 40 % of it are free after a collection, and starts with `initial`. G1 writes
    through up to 60 % of it and lets what lives lie beside; the serial collector through its eden and one survivor
    space, and what lives (and was promoted) beside. Above 8 % of the time in collections G1 enlarges the heap too:
    that is load, not light work (spark.md C5: 11.6 % and all of the heap with state on it, 0.9 % and 372 MiB without).
    Source: -XX:MinHeapFreeRatio, -XX:G1MaxNewSizePercent of HotSpot (remembered); recordings of 2026-11-23.

    >>> round(touched_heap_bytes(60 * MIB, 1024 * MIB, 512 * MIB, "serial") / MIB, 1)
    213.6
    >>> round(touched_heap_bytes(90 * MIB, 1024 * MIB, 376 * MIB) / MIB), touched_heap_bytes(600 * MIB, 900 * MIB) / MIB
    (376, 900.0)
    """
    spacious = live / (1 - HEAP_FREE_SHARE)
    committed = min(heap, max(initial, spacious))
    if collector == "serial":
        young = committed * YOUNG_SHARE
        return YOUNG_TOUCHED * young + min(committed - young, live)
    return min(committed, MOST_YOUNG * committed + spacious)


def local_spark_bytes(heap: float, memory: float, processors: float, workers: int) -> float:
    """Resident memory of Spark in local mode after minutes of light work [bytes]: one JVM and its Python processes.

    Driver and executor are one JVM; beside it runs the driver's own Python and, where tasks hand rows to Python, a
    daemon and `workers` workers. `climbs to` is the whole heap instead of what was touched.
    It grows for as long as code is compiled and objects are promoted: this is the middle of a recording of minutes.
    Source: rows of `data/memory.csv`, from the fit recordings of 2026-11-23 (612 without, 721 to 737 MiB with Python).

    >>> round(local_spark_bytes(GIB, 24 * GIB, 1, 1) / MIB), round(local_spark_bytes(GIB, 24 * GIB, 1, 0) / MIB)
    (729, 616)
    """
    table = sizes()
    initial = initial_heap_bytes(heap, memory)
    touched = touched_heap_bytes(table["driver.live"].value, heap, initial, collector_of(processors, memory))
    return table["local.native"].value + touched + python_bytes(workers) + table["python.worker"].value


def python_bytes(workers: float) -> float:
    """Python processes that tasks hand rows to [bytes]: a daemon and its workers; none without workers.

    >>> round(python_bytes(1) / MIB), python_bytes(0)
    (112, 0.0)
    """
    table = sizes()
    return 0.0 if workers <= 0 else table["python.daemon"].value + workers * table["python.worker"].value


def overhead_bytes(heap: float, given: float | None, python: bool, manager: str) -> float:
    """Container memory that is asked for beside the heap [bytes].

    max(384 MiB, factor × heap); factor 0.10, and 0.40 for non-JVM jobs on Kubernetes. Source: spark.md C1, C2.

    >>> round(overhead_bytes(8 * GIB, None, True, "kubernetes") / MIB), overhead_bytes(GIB, None, False, "yarn") / MIB
    (3277, 384.0)
    """
    factor = 0.4 if python and manager == "kubernetes" else 0.1
    return given if given is not None else max(384 * MIB, factor * heap)


def container_bytes(asked: float, manager: str, emr: bool) -> float:
    """What the resource manager reserves for what was asked [bytes]: YARN rounds up to its smallest allocation.

    Source: spark.md C2 (32 MB on EMR, 1,024 MB in stock YARN).

    >>> container_bytes(9011 * MIB, "yarn", False) / GIB, round(container_bytes(9011 * MIB, "yarn", True) / MIB)
    (9.0, 9024)
    """
    if manager != "yarn":
        return asked
    step = YARN_STEP_BYTES["emr-ec2" if emr else "stock"]
    return math.ceil(asked / step - 1e-9) * step


def rocksdb_bytes(stores: float, state_bytes: float, written_bytes: float) -> tuple[float, float]:
    """Native memory of the RocksDB stores of one executor: block caches and memtables [bytes].

    Each store has a cache of its own (never larger than its data) and a memtable that holds what was written since
    the last flush. Source: spark.md A4 (both sizes remembered; nothing bounds their sum by default).

    >>> cache, table = rocksdb_bytes(100, 2 * GIB, 100 * MIB)
    >>> cache / MIB, table / MIB
    (800.0, 100.0)
    """
    if stores <= 0:
        return 0.0, 0.0
    one_cache, one_table = sizes()["rocksdb.cache"].value, sizes()["rocksdb.memtable"].value
    return stores * min(one_cache, state_bytes / stores), stores * min(one_table, written_bytes / stores)


def exceeds(limit: float, certain: float, unsure: Sequence[Size]) -> float:
    """Probability that a process is larger than its limit [1]: a certain part and unsure ones, as normals.

    Parts are taken as independent. It is the spread of our knowledge of the parts, not of a process over time.

    >>> exceeds(100 * MIB, 200 * MIB, []), exceeds(300 * MIB, 200 * MIB, [])
    (1.0, 0.0)
    """
    mean = certain + sum(part.value for part in unsure)
    sigma = math.sqrt(sum(part.deviation**2 for part in unsure))
    if sigma == 0:
        return 1.0 if mean > limit else 0.0
    return 1.0 - NormalDist(mean, sigma).cdf(limit)
