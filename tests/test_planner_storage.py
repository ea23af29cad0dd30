"""Storage and memory: bytes by arithmetic that can be done on paper, dates against stepping day by day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.coefficients import load_set
from models.stack import Scenario
from models.units import DAY, GIB, MONTH
from planner.memory import memory
from planner.scenario import example
from planner.storage import (
    document_bytes,
    index_storage,
    seconds_of_rate,
    shard_shares,
    stored_event_bytes,
    topic_storage,
)

GENERIC = load_set("generic-2026-11")


def changed(scenario: Scenario, **updates: dict[str, object]) -> Scenario:
    """The scenario with fields of its one flow's nouns replaced."""
    flow = scenario.flows[0]
    parts = {part: getattr(flow, part).model_copy(update=change) for part, change in updates.items()}
    return scenario.model_copy(update={"flows": (flow.model_copy(update=parts),)})


@pytest.fixture(scope="module")
def events() -> Scenario:
    return example("events")


@pytest.fixture(scope="module")
def steady(events: Scenario) -> Scenario:
    return changed(events, workload={"growth_per_month": 0.0, "partition_skew": 0.0})


def test_index_bytes_are_in_times_retention_times_copies_times_expansion(steady: Scenario) -> None:
    flow = steady.flows[0]
    ratio = document_bytes(flow, GENERIC) / flow.workload.json_bytes
    on_paper = 2500 * 850 * ratio * 14 * DAY * 2
    assert index_storage(steady, GENERIC).bytes == pytest.approx(on_paper, rel=1e-9)
    assert ratio == pytest.approx(GENERIC["index.bytes_per_json_byte"] * GENERIC["index.dynamic_mapping_ratio"])


def test_a_topic_holds_retention_and_one_segment_a_partition_more(steady: Scenario) -> None:
    flow = steady.flows[0]
    rate = 2500 * stored_event_bytes(flow)
    on_paper = 3 * (rate * 7 * DAY * 1.005 + 12 * GIB)
    assert topic_storage(steady).bytes == pytest.approx(on_paper, rel=1e-9)


@pytest.mark.parametrize("part", ["topic", "index"])
@given(a=st.integers(1, 3), b=st.integers(1, 3))
def test_more_copies_never_hold_less(part: str, a: int, b: int) -> None:
    events = example("events")
    held = {}
    for copies in (a, b):
        scenario = changed(events, **{part: {"copies": copies}})
        fill = topic_storage(scenario) if part == "topic" else index_storage(scenario, GENERIC)
        held[copies] = fill.bytes
    assert held[max(a, b)] >= held[min(a, b)]
    assert held[b] / held[a] == pytest.approx(b / a)


@given(factor=st.floats(0.1, 10))
def test_events_times_size_is_what_counts(factor: float) -> None:
    """(rate × a, size / a) leaves payload bytes alone; the index holds what it held."""
    events = example("events")
    load = events.flows[0].workload
    other = changed(events, workload={"rate": (load.rate or 0) * factor, "size": load.event_bytes / factor})
    assert index_storage(other, GENERIC).bytes == pytest.approx(index_storage(events, GENERIC).bytes, rel=1e-9)


@given(days=st.integers(1, 60), more=st.integers(1, 60))
def test_longer_retention_never_holds_less(days: int, more: int) -> None:
    events = example("events")
    for part, fill in (("topic", topic_storage), ("index", lambda s: index_storage(s, GENERIC))):
        short = changed(events, **{part: {"retention": days * DAY}})
        long = changed(events, **{part: {"retention": (days + more) * DAY}})
        assert fill(long).bytes >= fill(short).bytes


def test_growth_is_the_integral_of_the_rate(events: Scenario) -> None:
    """Against summing hours: 5 % a month compounded, days 100 to 114."""
    flow = events.flows[0]
    hours = [1.05 ** ((100 * DAY + (h + 0.5) * 3600) / MONTH) * 3600 for h in range(14 * 24)]
    assert seconds_of_rate(flow, 114 * DAY, 14 * DAY) == pytest.approx(sum(hours), rel=1e-6)


def test_the_date_of_a_mark_is_the_first_day_that_stepping_finds(events: Scenario) -> None:
    fill = index_storage(events, GENERIC)
    flow = events.flows[0]
    per_second = 2500 * document_bytes(flow, GENERIC) * 2 / 3
    for mark, day in fill.days_to.items():
        held, minutes = 0.0, 0
        while held < fill.marks_bytes[mark]:
            held += per_second * 60 * 1.05 ** (minutes * 60 / MONTH)
            minutes += 1
        assert day == pytest.approx(minutes / 1440, abs=0.01), mark


def test_a_small_volume_of_the_service_blocks_at_80_percent(steady: Scenario) -> None:
    """elasticsearch.md B4: 100 GiB blocks writes with less than 20 GiB free."""
    cluster = steady.elasticsearch
    small = cluster.model_copy(update={"volume": cluster.volume.model_copy(update={"size": 100 * GIB})})
    fill = index_storage(steady.model_copy(update={"elasticsearch": small}), GENERIC)
    assert fill.marks_bytes["write_block"] == 80 * GIB
    blocked, low = fill.days_to["write_block"], fill.days_to["low"]
    assert blocked is not None and low is not None and blocked < low


def test_the_fullest_node_is_not_the_mean(steady: Scenario) -> None:
    uneven = changed(steady, index={"primaries": 4, "copies": 1})
    fill = index_storage(uneven, GENERIC)
    assert fill.fullest_node_bytes == pytest.approx(fill.bytes / 2)  # two of four shards on one of three nodes


def test_the_hottest_shard_takes_its_share() -> None:
    flow = changed(example("events"), index={"primaries": 4, "hottest_shard": 2.0}).flows[0]
    assert shard_shares(flow) == pytest.approx([0.5, 1 / 6, 1 / 6, 1 / 6])


def test_an_executor_of_8g_takes_more(events: Scenario) -> None:
    """spark.md C1: 8 GiB and max(384 MiB, 10 %) beside it."""
    executor = next(entry for entry in memory(events, GENERIC) if entry.process == "executor")
    assert executor.reserved_bytes / GIB == pytest.approx(8.8)
    assert executor.resident_bytes is not None and executor.resident_bytes > executor.heap_bytes


def test_a_python_sink_takes_a_worker_for_each_slot(events: Scenario) -> None:
    sink = events.flows[0].query.sink.model_copy(update={"kind": "python-foreach"})
    python = changed(events, query={"sink": sink})
    jvm, py = (next(e for e in memory(s, GENERIC) if e.process == "executor").resident_bytes for s in (events, python))
    assert jvm is not None and py is not None and py - jvm == pytest.approx(4 * 80e6)
