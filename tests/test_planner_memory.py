"""Memory ledgers against published sizes, the resource managers' arithmetic, and what makes a kill likely."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.coefficients import load_set
from models.hosts import Host
from models.machines import machine
from models.memory import exceeds, local_spark_bytes, sizes, touched_heap_bytes
from models.spark import unified_memory
from models.stack import Scenario
from models.units import GIB, MIB
from planner.checks_memory import eks_room
from planner.memory import Ledger, hosts, memory, yarn_bytes
from planner.scenario import example

GENERIC = load_set("generic-2026-11")


def stack(**changed: Any) -> Scenario:
    """The example with fields of its flow's query or of clusters replaced; `query__sink={...}` reaches inside."""
    scenario = example("events")
    flow, parts = scenario.flows[0], {}
    for path, value in changed.items():
        part, *inner = path.split("__")
        if part == "query":
            noun = getattr(flow.query, inner[0])
            flow = flow.model_copy(update={"query": flow.query.model_copy(update={
                inner[0]: noun.model_copy(update=value) if isinstance(value, dict) else value})})  # fmt: skip
        else:
            parts[part] = getattr(scenario, part).model_copy(update=value)
    return scenario.model_copy(update=parts | {"flows": (flow,)})


def of(scenario: Scenario, process: str) -> Ledger:
    return next(entry for entry in memory(scenario, GENERIC) if entry.process == process)


def entry(ledger: Ledger, name: str) -> float:
    return next(e.bytes for e in ledger.entries if e.name.startswith(name))


@pytest.mark.parametrize(("kind", "manager", "python", "more", "container"), [
    ("ec2", "yarn", False, {}, 9216), ("emr-ec2", "yarn", False, {}, 9024), ("ec2", "kubernetes", False, {}, 9011),
    ("ec2", "kubernetes", True, {}, 11469), ("ec2", "kubernetes", True, {"python_memory": 2 * GIB}, 13517),
    ("ec2", "kubernetes", False, {"off_heap": 2 * GIB}, 11059),
])  # fmt: skip
def test_eight_gigabytes_are_what_the_resource_manager_makes_of_them(
    kind: str, manager: str, python: bool, more: dict[str, float], container: int
) -> None:
    """The table of spark.md C2, in MiB."""
    sink = {"kind": "python-foreach" if python else "jvm-connector"}
    scenario = stack(spark={"kind": kind, "resource_manager": manager} | more, query__sink=sink)
    assert of(scenario, "executor").reserved_bytes / MIB == pytest.approx(container, abs=1)


@pytest.mark.parametrize(("xmx", "provider", "resident"), [
    (1024, "hdfs-backed", 1262), (2048, "hdfs-backed", 2299), (1024, "rocksdb", 686),
])  # fmt: skip
def test_resident_memory_of_an_executor_is_what_was_measured(xmx: int, provider: str, resident: int) -> None:
    """spark.md C5, a million keys, MiB, on two processors and 24 GiB: with state on it the heap climbs to all of Xmx,
    with RocksDB it never grew past what it started with, a 64th of the memory."""
    state = {"keys": 2e6, "provider": provider, "shuffle_partitions": 4}  # two stores, as E1.3 had
    it = stack(spark={"heap": xmx * MIB, "resource_manager": "standalone", "hosts": ("vm",)}, query__state=state)
    it = it.model_copy(update={"hosts": (Host(name="vm", cores=2, memory=24 * GIB),)})
    ledger = of(it, "executor")
    told = ledger.resident_bytes if provider == "hdfs-backed" else ledger.resident_least_bytes
    assert told is not None and told / MIB == pytest.approx(resident, rel=0.06)


FIT = Path(__file__).parents[1] / "lab" / "results" / "2026-11-23-epyc-2core"


@pytest.mark.parametrize(("run", "workers", "within"), [
    ("fit-noop-2s", 0, 0.03), ("fit-pipe-2s", 1, 0.03), ("fit-pipe-2s-again", 1, 0.03),
    ("fit-pipe-8-partitions-4s", 1, 0.03), ("fit-noop-agg", 0, 0.17),  # its state on the heap is not in this law
])  # fmt: skip
def test_local_spark_takes_what_was_recorded_and_not_its_whole_heap(run: str, workers: int, within: float) -> None:
    """Heap 1 GiB on one processor and 23.5 GiB: 612 to 737 MiB resident, three fifths of a filled heap and its native
    memory. Middle of the recording."""
    recorded = median(recorded_bytes(FIT / run, "spark"))
    assert local_spark_bytes(GIB, 25_276_510_208, 1, workers) == pytest.approx(recorded, rel=within)


def recorded_bytes(folder: Path, process: str) -> list[float]:
    with gzip.open(folder / "procs.jsonl.gz", "rt") as file:
        samples = [json.loads(line)["procs"] for line in file]
    return [float(sample[process]["rss_bytes"]) for sample in samples if process in sample]


def test_a_broker_and_a_data_node_take_what_was_recorded() -> None:
    """A broker started with -Xms512m and collected serially touches its young generation, its cleaner's buffer and
    what lives; a data node all of its heap."""
    table = sizes()
    touched = touched_heap_bytes(table["broker.live"].value + 128 * MIB, GIB, 512 * MIB, "serial")
    for run in ("fit-kafka", "fit-noop-2s", "fit-pipe-2s"):
        recorded = max(recorded_bytes(FIT / run, "kafka-1"))
        assert touched + table["broker.native"].value == pytest.approx(recorded, rel=0.05), run
    for run in ("fit-bulk-1x1000", "fit-bulk-4x1000", "fit-pipe-2s"):
        assert GIB + table["node.native"].value == pytest.approx(max(recorded_bytes(FIT / run, "search-0")), rel=0.06)


def test_a_heap_starts_at_a_64th_of_the_memory_and_a_lone_processor_collects_serially() -> None:
    beside = {"provider": "rocksdb-changelog", "keys": 1e5, "shuffle_partitions": 4}  # nothing of it on the heap
    small, large = (
        of(stack(spark={"machine": name}, query__state=beside), "executor") for name in ("m7g.xlarge", "m7g.4xlarge")
    )
    assert entry(small, "heap touched soon") == pytest.approx(16 * GIB / 64)
    assert (small.resident_least_bytes or 0) < (large.resident_least_bytes or 0) < (large.resident_bytes or 0)
    assert small.resident_bytes == large.resident_bytes  # the limit is the setting's, not the host's
    assert touched_heap_bytes(90 * MIB, GIB, 376 * MIB, "serial") < touched_heap_bytes(90 * MIB, GIB, 376 * MIB, "G1")


@given(live=st.floats(0, 2000), heap=st.floats(64, 4000), initial=st.floats(0, 4000))
def test_no_more_is_touched_than_there_is_and_no_less_than_lives(live: float, heap: float, initial: float) -> None:
    for collector in ("serial", "G1"):
        touched = touched_heap_bytes(live, heap, min(initial, heap), collector)  # type: ignore[arg-type]
        assert touched <= heap * (1 + 1e-9)
        assert touched >= min(live, 0.6 * heap) * (1 - 1e-9)


def test_regions_of_the_heap_are_spark_s_own_arithmetic() -> None:
    """REST maxMemory of an 8g executor is 4,735 MiB and of a 1,024 MiB one 434 (spark.md C1, C5)."""
    ledger = of(stack(), "executor")
    assert entry(ledger, "execution and storage") / MIB == pytest.approx(4735, abs=1)
    assert unified_memory(1024 * MIB) / MIB == pytest.approx(434, abs=1)
    regions = entry(ledger, "reserved") + entry(ledger, "execution and storage") + entry(ledger, "user memory")
    assert regions == pytest.approx(8 * GIB)


def test_state_on_the_heap_is_two_versions_of_every_key() -> None:
    """A million (long, long) keys are 213 MB (spark.md A4)."""
    ledger = of(stack(query__state={"keys": 1e6}, spark={"executors": 1}), "executor")
    assert entry(ledger, "state") == pytest.approx(213e6)


def test_state_of_a_watermark_follows_the_rate_and_the_delay() -> None:
    """20 minutes at 2,500 a second are the example's three million keys."""
    stated = of(stack(), "executor").state_bytes
    derived = of(stack(query__state={"watermark_delay": 1200.0}), "executor").state_bytes
    assert derived == pytest.approx(stated)


def test_two_hundred_rocksdb_stores_kill_a_small_container() -> None:
    """100 stores an executor: 8 MiB of cache each is more than the 384 MiB that a 1 GiB heap gets beside it."""
    state = {"provider": "rocksdb-changelog", "keys": 30e6}
    many = of(stack(spark={"heap": GIB}, query__state=state), "executor")
    few = of(stack(spark={"heap": GIB}, query__state=state | {"shuffle_partitions": 8}), "executor")
    assert many.risks[0].probability > 0.9 and many.holds_until == 0.0
    assert few.risks[0].probability < 0.2


def test_a_kill_gets_likelier_with_the_load() -> None:
    state = {"provider": "rocksdb-changelog", "keys": 1e6, "shuffle_partitions": 64}
    ledger = of(stack(spark={"heap": GIB}, query__state=state), "executor")
    chances = [risk.probability for risk in ledger.risks]
    assert chances == sorted(chances) and chances[-1] > chances[0]
    assert ledger.holds_until is not None and 0 <= ledger.holds_until < 5


def test_state_that_outgrows_the_heap_ends_in_an_out_of_memory_error() -> None:
    ledger = of(stack(spark={"heap": GIB}, query__state={"keys": 11e6}), "executor")
    assert ledger.risks[0].heap_probability > 0.9
    assert ledger.risks[0].probability < 0.5  # the container would have held


@given(heap=st.integers(1, 200), workers=st.booleans())
def test_more_overhead_never_raises_the_risk(heap: int, workers: bool) -> None:
    sink = {"kind": "python-foreach" if workers else "jvm-connector"}
    chances = [of(stack(spark={"heap": heap * GIB, "memory_overhead": over * MIB}, query__sink=sink), "executor")
               .risks[0].probability for over in (300, 700, 2000)]  # fmt: skip
    assert chances == sorted(chances, reverse=True)


def test_a_probability_is_that_of_independent_normal_parts() -> None:
    """Against ten thousand draws."""
    import numpy as np

    parts = [sizes()["executor.native"], sizes()["python.worker"].times(4)]
    rng = np.random.default_rng(1)
    drawn = sum(p.value + p.deviation * rng.standard_normal(10_000) for p in parts) + 8 * GIB
    for limit in (8.4 * GIB, 8.55 * GIB, 8.7 * GIB):
        assert exceeds(limit, 8 * GIB, parts) == pytest.approx(float((drawn > limit).mean()), abs=0.02)


def test_emr_s_table_of_yarn_memory_is_met(facts: Path) -> None:
    """Law against EMR's own table (spark.md C6), the families that it was fitted to, within 4 %."""
    with (facts / "benchmarks" / "spark_emr_yarn_memory.csv").open() as file:
        rows = {row["instance_type"]: float(row["yarn_nodemanager_resource_memory_mb"]) for row in csv.DictReader(file)}
    seen = 0
    for name, mib in rows.items():
        if name.split(".")[0] in ("m5", "r5", "m6g", "r6g") and mib > 5000 and "metal" not in name:
            assert yarn_bytes(name) / MIB == pytest.approx(mib, rel=0.04), name
            seen += 1
    assert seen > 20


def test_a_four_core_executor_fits_eight_processors_of_eks_once() -> None:
    """spark.md C6: 29,317 MiB and 7.91 CPU of an m5.2xlarge."""
    room, cpu = eks_room(machine("m5.2xlarge"))
    assert room / MIB == pytest.approx(29_317, abs=1) and int(cpu // 4) == 1


def test_a_broker_holds_its_cleaner_and_its_page_cache_the_newest_writes() -> None:
    ledger = of(stack(), "broker")
    assert entry(ledger, "log cleaner") == 128 * MIB
    assert ledger.page_cache_bytes == pytest.approx(8 * GIB - 6 * GIB - GIB)
    assert of(stack(kafka={"machine": "m7g.xlarge"}), "broker").page_cache_seconds > (ledger.page_cache_seconds or 0)


def test_a_data_node_s_breaker_is_95_percent_of_its_heap() -> None:
    ledger = of(stack(), "data node")
    assert ledger.limit_bytes == pytest.approx(0.95 * 8 * GIB)
    assert ledger.in_flight_limit_bytes == pytest.approx(0.1 * 8 * GIB)
    assert ledger.resident_bytes == ledger.resident_least_bytes  # the heap is touched when the node starts


def test_segments_lie_on_the_heap_of_old_versions_only() -> None:
    old = of(stack(elasticsearch={"kind": "self-managed-elasticsearch", "version": "6.8"}), "data node")
    new = of(stack(elasticsearch={"kind": "self-managed-elasticsearch", "version": "8.17"}), "data node")
    assert entry(new, "segments") == 0.0
    held = 2500 * 850 * 14 * 86400 * 2 * GENERIC["index.bytes_per_json_byte"] * GENERIC["index.dynamic_mapping_ratio"]
    assert entry(old, "segments") == pytest.approx(held / 3 / GIB * 5.5 * MIB, rel=0.3)  # growth on top


def test_every_entry_says_how_and_from_where() -> None:
    for ledger in memory(stack(query__sink={"kind": "python-foreach"}), GENERIC):
        assert ledger.entries and ledger.setting and ledger.limit
        for one in ledger.entries:
            assert one.formula and one.source and one.bytes >= 0, (ledger.process, one)


def test_the_parts_of_a_process_add_up_to_what_it_climbs_to() -> None:
    for process in ("broker", "executor", "data node"):
        ledger = of(stack(), process)
        native = sum(e.bytes for e in ledger.entries if e.where == "native")
        assert ledger.resident_bytes == pytest.approx(ledger.heap_bytes + native)


def test_a_driver_s_heap_does_not_fill() -> None:
    """spark.md C5: 1,365 to 1,584 MiB resident with Xmx 2 GiB, in two runs."""
    told = of(stack(spark={"driver_heap": 2 * GIB}), "driver").resident_bytes
    assert told is not None and 0.9 * 1365 < told / MIB < 1.1 * 1584


def test_one_host_carries_what_all_on_it_take() -> None:
    lab = example("lab")
    ledgers = memory(lab, GENERIC)
    rows = hosts(lab, ledgers)
    named = {entry.process: entry for entry in ledgers}
    for row in rows:
        assert row.resident_bytes == pytest.approx(sum(named[p].resident_bytes or 0.0 for p in row.processes))
    assert sum(row.count * len(row.processes) for row in rows) == 1 + sum(
        named[p].count for p in named if p != "driver"
    )
