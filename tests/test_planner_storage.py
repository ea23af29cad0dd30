"""Storage: bytes by arithmetic that can be done on paper, dates against stepping hour by hour."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.coefficients import load_set
from models.elasticsearch import place_shards
from models.stack import Scenario
from models.storage import recovery_seconds
from models.units import DAY, GIB, MIB, MONTH
from planner.scenario import example
from planner.storage import (
    Fill,
    document_bytes,
    index_storage,
    seconds_of_rate,
    shard_shares,
    stored_event_bytes,
    topic_storage,
)
from planner.storage_parts import stored

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


def stepped(scenario: Scenario, nodes: int, until: int = 1200) -> Iterator[tuple[float, list[float]]]:
    """Hour by hour, no law of ours: indices begin, take documents, roll over and go; shards lie where the allocator
    put them; each written shard may have a merge of at most 5 GiB and half its data under way, and 512 MiB of translog.
    Yields the day and the bytes on each node."""
    flow = scenario.flows[0]
    index, load, hour = flow.index, flow.workload, 3600.0
    one, placed_before = document_bytes(flow, GENERIC), 0
    age, living, raw = index.rollover or math.inf, [], 0.0
    for number in range(until * 24):
        now = number * hour
        if not living or now - living[-1]["born"] >= age - 1:
            living.append({"born": now, "first": placed_before, "shards": [0.0] * index.primaries})
        rate = load.events_per_second * (1 + load.growth_per_month) ** ((now + hour / 2) / MONTH)
        for shard, share in enumerate(shard_shares(flow)):
            living[-1]["shards"][shard] += rate * load.documents_per_event * hour * one * share
        raw += rate * load.documents_per_event * hour * load.json_bytes
        if math.isinf(age):  # documents leave one by one
            gone = now + hour - index.retention
            if gone > 0:
                then = load.events_per_second * (1 + load.growth_per_month) ** ((gone - hour / 2) / MONTH)
                for shard, share in enumerate(shard_shares(flow)):
                    living[0]["shards"][shard] -= then * load.documents_per_event * hour * one * share
        living = [it for it in living if now + hour < it["born"] + age + index.retention + 1]
        sizes = [size for it in living for size in it["shards"]]
        on = place_shards(len(sizes), index.copies, nodes)
        held = [0.0] * nodes
        for homes, size in zip(on, sizes, strict=True):
            for home in homes:
                held[home] += size
        written = place_shards(index.primaries, index.copies, nodes)
        count = [sum(node in homes for homes in written) for node in range(nodes)]
        newest = sum(living[-1]["shards"]) * min(index.copies, nodes)
        for node in range(nodes):
            mine = newest * count[node] / sum(count)
            held[node] += min(mine / 2, count[node] * 5 * GIB) + count[node] * min(512 * MIB, raw / index.primaries)
        yield (number + 1) / 24, held


CASES = {  # r7g.large: two processors, one merge a shard
    "even": {},
    "one by one, four shards": {"index": {"primaries": 4}},
    "daily indices": {"index": {"rollover": 1 * DAY}},
    "weekly indices": {"index": {"rollover": 7 * DAY, "retention": 10 * DAY}},
    "shrinking": {"workload": {"growth_per_month": -0.3}},
    "fast growth": {"workload": {"growth_per_month": 0.6}, "index": {"retention": 4 * DAY}},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("lost", [0, 1])
def test_the_date_of_a_mark_is_the_first_hour_that_stepping_finds(events: Scenario, case: str, lost: int) -> None:
    scenario = changed(events, **CASES[case])
    fill = index_storage(scenario, GENERIC)
    dates = fill.days_to_after_loss if lost else fill.days_to
    marks = {name: limit for name, limit in fill.marks_bytes.items() if name in ("low", "high")}
    found: dict[str, float] = {}
    for day, held in stepped(scenario, 3 - lost, until=100):
        for name, limit in marks.items():
            if max(held) >= limit:
                found.setdefault(name, day)
        if len(found) == len(marks):
            break
    for name in marks:
        told = dates[name]
        if name in found:
            assert told == pytest.approx(found[name], abs=0.1), name  # a merge is taken as large as its index ever gets
        else:
            assert told is None or told > 99, name


def test_what_stops_writes_comes_after_the_allocator_moved_what_it_could(events: Scenario) -> None:
    """Four shards on three nodes: the node with two hands none away, as a whole shard fits nowhere; smaller ones do."""
    few = index_storage(changed(events, index={"primaries": 4, "copies": 1, "retention": 20 * DAY}), GENERIC)
    many = index_storage(changed(events, index={"primaries": 16, "copies": 1, "retention": 20 * DAY}), GENERIC)
    assert few.days_to["high"] is not None and few.days_to["flood"] is not None
    assert few.days_to["flood"] / few.days_to["high"] == pytest.approx(0.95 / 0.90, rel=0.03)
    assert many.days_to["high"] is not None
    assert many.days_to["flood"] is None or many.days_to["flood"] > 1.05 * many.days_to["high"]


def test_a_shard_on_its_way_lies_on_both_nodes(events: Scenario) -> None:
    """Hour by hour: the fullest node gives its largest shard away once past 90 %, and keeps it until the copy is there,
    at half of 40 MB/s. Filled fast enough it comes to flood stage before the shard has left."""
    slow = changed(events, index={"primaries": 4, "copies": 1, "retention": 20 * DAY})
    quick = changed(slow, workload={"rate": 250_000.0, "growth_per_month": 0.0}, index={
        "primaries": 4, "copies": 1, "retention": 20 * DAY})  # fmt: skip
    for scenario in (slow, quick):
        fill = index_storage(scenario, GENERIC)
        volume, rate = scenario.elasticsearch.volume.size, 40 * MIB
        flow = scenario.flows[0]
        a_second = flow.workload.events_per_second * document_bytes(flow, GENERIC) * flow.workload.documents_per_event
        share, step, flood = 1 / 4, 60.0, None
        on: list[set[int]] = [{0, 3}, {1}, {2}]
        way: dict[int, tuple[int, int, float]] = {}
        for k in range(int(60 * DAY / step)):
            now = (k + 1) * step
            size = a_second * seconds_of_rate(flow, now, 20 * DAY) * share
            for shard, (source, to, until) in list(way.items()):
                if now >= until:
                    on[source].discard(shard)
                    on[to].add(shard)
                    del way[shard]
            held = [len(mine) * size + sum(size for _, to, _ in way.values() if to == n) for n, mine in enumerate(on)]
            held = [h + len(on[n]) * (min(size / 2, 5 * GIB) + 512 * MIB) for n, h in enumerate(held)]
            full = max(range(3), key=lambda n: held[n])
            if held[full] >= 0.95 * volume:
                flood = now / DAY
                break
            spare = min((n for n in range(3) if n != full), key=lambda n: held[n])
            if held[full] > 0.90 * volume and not way and held[spare] + size < 0.85 * volume:
                way[min(on[full])] = (full, spare, now + 2 * size / rate)
        assert flood is not None
        assert fill.days_to["flood"] == pytest.approx(flood, rel=0.03)


def test_a_topic_is_full_on_the_day_that_stepping_its_segments_finds(events: Scenario) -> None:
    """Partition by partition and hour by hour: a segment rolls at 1 GiB, goes when its youngest record has expired."""
    scenario = changed(events, topic={"retention": 2 * DAY}, workload={"growth_per_month": 0.5, "partition_skew": 0.0})
    small = scenario.kafka.model_copy(update={"volume": scenario.kafka.volume.model_copy(update={"size": 500 * GIB})})
    scenario = scenario.model_copy(update={"kafka": small})
    flow, fill = scenario.flows[0], topic_storage(scenario)
    rate, segments, day = 2500 * stored_event_bytes(flow) * 1.005 / 12, [[0.0, 0.0]], 0.0
    for hour in range(24 * 365):
        segments[-1][0] += rate * 3600 * 1.5 ** ((hour + 0.5) * 3600 / MONTH)
        segments[-1][1] = hour + 1.0
        if segments[-1][0] >= GIB:
            segments.append([0.0, hour + 1.0])
        segments = [s for s in segments if s[1] > hour + 1 - 48]
        if (
            12 * sum(size for size, _ in segments) >= fill.marks_bytes["full"]
        ):  # three brokers, three copies: all on each
            day = (hour + 1) / 24
            break
    assert fill.days_to["full"] == pytest.approx(day, rel=0.02)


def dates(fill: Fill) -> list[float]:
    return [math.inf if day is None else day for day in fill.days_to.values()]


@given(copies=st.integers(1, 3), retention=st.integers(2, 40), rollover=st.sampled_from([None, 1, 5]))
def test_more_room_is_never_full_earlier(copies: int, retention: int, rollover: int | None) -> None:
    index = {"copies": copies, "retention": retention * DAY, "rollover": rollover and rollover * DAY}
    scenario = changed(example("events"), index=index)
    volume = scenario.elasticsearch.volume
    larger = scenario.elasticsearch.model_copy(update={"volume": volume.model_copy(update={"size": 2 * volume.size})})
    wide = scenario.model_copy(update={"elasticsearch": larger})
    for less, more in zip(dates(index_storage(scenario, GENERIC)), dates(index_storage(wide, GENERIC)), strict=True):
        assert more >= less


def test_rolled_over_indices_outlive_their_retention(steady: Scenario) -> None:
    """Seven days of documents in the oldest index, then 14 more until it goes: 21 days are held at most."""
    weekly = index_storage(changed(steady, index={"rollover": 7 * DAY}), GENERIC)
    assert weekly.bytes / index_storage(steady, GENERIC).bytes == pytest.approx(21 / 14)


def test_the_curve_of_a_fill_passes_its_marks_on_their_dates(events: Scenario) -> None:
    fill = index_storage(events, GENERIC)
    day = fill.days_to["low"]
    before = max(held for at, held in fill.curve if at < (day or 0))
    after = min(held for at, held in fill.curve if at > (day or 0))
    assert before <= fill.marks_bytes["low"] <= after


def test_recovery_of_two_terabytes_over_nine_nodes_takes_an_hour_and_a_half() -> None:
    """elasticsearch.md A13."""
    assert recovery_seconds(2e12, 9, 250e6, None) / 3600 == pytest.approx(1.5, rel=0.05)


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
    whole = fill.fullest_node_bytes - 2 * (5 * GIB + 512 * MIB)  # a merge and a translog of each of two shards
    assert whole == pytest.approx(fill.bytes / 2)  # two of four shards on one of three nodes


def test_the_hottest_shard_takes_its_share() -> None:
    flow = changed(example("events"), index={"primaries": 4, "hottest_shard": 2.0}).flows[0]
    assert shard_shares(flow) == pytest.approx([0.5, 1 / 6, 1 / 6, 1 / 6])


def test_the_parts_of_what_is_stored_add_up_to_the_fills(events: Scenario) -> None:
    """All copies on the nodes' own disks, system by system."""
    parts = stored(events, GENERIC)
    for system, fill in (("kafka", topic_storage(events)), ("elasticsearch", index_storage(events, GENERIC))):
        kept = [p for p in parts if p.system == system and p.tier == "disk" and "at most" not in p.what]
        assert sum(p.bytes for p in kept) == pytest.approx(fill.bytes, rel=1e-9)
    beside = next(p for p in parts if "at most" in p.what)
    assert beside.bytes == pytest.approx(index_storage(events, GENERIC).transient_bytes, rel=1e-6)


def test_state_in_rocksdb_lies_on_executors_disks_and_in_the_checkpoint(events: Scenario) -> None:
    """spark.md A4: a million (long, long) keys are 201 MB of tables."""
    state = events.flows[0].query.state
    assert state is not None
    rocks = changed(events, query={"state": state.model_copy(update={"provider": "rocksdb", "keys": 1e6})})
    tiers = {p.tier: p.bytes for p in stored(rocks, GENERIC) if p.system == "spark"}
    assert tiers["local"] == pytest.approx(201e6) and tiers["store"] > 0
    assert "local" not in {p.tier for p in stored(events, GENERIC)}
