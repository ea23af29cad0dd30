"""Faults in time: states of shards and partitions add up, and every telling has the same rows."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from models.faults import LAWS, Fault
from planner.fault_tell import fault_answers, fault_html, fault_lines, fault_markdown, fault_schema
from planner.timeline import MOST_ROWS, shards_in_time, tidy, timeline_figures, timelines
from simulator.trace import Trace
from tests.test_simulator_faults import run, stack

LONG = {"run": {"measure": 200.0}}


@cache
def lost(*faults: str) -> Trace:
    return run(stack(**LONG), *faults)


def rows(trace: Trace, name: str = "shards") -> list[dict[str, Any]]:
    return timelines(trace)[name]


def at(found: list[dict[str, Any]], time: float) -> dict[str, Any]:
    return [row for row in found if row["time_seconds"] <= time][-1]


def counts(row: dict[str, Any]) -> tuple[int, int, int, int]:
    return tuple(row[name] for name in ("started", "relocating", "initializing", "unassigned"))  # type: ignore[return-value]


def test_three_primaries_and_their_copies_are_six_shards_at_all_times() -> None:
    found = rows(lost("data-node-lost 1 at 31 s"))
    assert {sum(counts(row)) for row in found} == {6}
    assert counts(found[0]) == (6, 0, 0, 0) and found[0]["on_node"] == [2, 2, 2]


def test_a_lost_node_s_shards_are_unassigned_for_a_minute_then_copied_then_started() -> None:
    trace = lost("data-node-lost 1 at 31 s")
    found, story = rows(trace), trace.faults.stories[0]
    assert counts(at(found, 31.5)) == (6, 0, 0, 0)  # nobody has noticed
    assert counts(at(found, 40.0)) == (4, 0, 0, 2) and at(found, 40.0)["on_node"] == [2, 0, 2]
    began = 31 + 1 + LAWS["search.node_left_delay"].value
    assert counts(at(found, began + 0.1)) == (4, 0, 2, 0)
    assert counts(at(found, story.whole + 0.1)) == (6, 0, 0, 0) and at(found, story.whole)["on_node"] == [3, 0, 3]


def test_shards_that_move_are_relocating_two_at_a_time() -> None:
    trace = run(stack(**LONG), "shards-moved of 600 MB under 10 MB/s at 31 s")
    found = rows(trace)
    assert counts(at(found, 32.0)) in [(4, 2, 0, 0), (5, 1, 0, 0)]
    assert counts(found[-1]) == (6, 0, 0, 0)
    (copying,) = rows(trace, "copying")
    assert copying["until_seconds"] - copying["since_seconds"] == pytest.approx(60.0)
    assert 0 < copying["twice_bytes"] <= 600e6


def test_older_indices_share_the_fate_of_the_one_that_is_written() -> None:
    daily = {"primaries": 3, "copies": 2, "retention": "6 h", "rollover": "1 h"}
    found = rows(run(stack(flow__index=daily), "data-node-lost 1 at 31 s for 20 s"))
    assert sum(counts(found[0])) == 6 * 7


def test_more_copies_than_nodes_are_unassigned_from_the_start() -> None:
    told = stack(elasticsearch={"data_nodes": 1, "zones": 1}, flow__index={"primaries": 2, "copies": 2})
    found = rows(run(told, "index-blocked at 31 s for 5 s"))
    assert counts(found[0]) == (2, 0, 0, 2)


def test_partitions_are_closed_until_the_broker_is_fenced_and_out_of_sync_until_it_has_caught_up() -> None:
    trace = lost("broker-lost 1 at 31 s for 40 s")
    found = rows(trace, "partitions")
    keys = ("in_sync", "out_of_sync", "closed", "leaderless")
    assert [at(found, 30)[k] for k in keys] == [18, 0, 0, 0] and at(found, 30)["led_by"] == [2, 2, 2]
    assert [at(found, 35)[k] for k in keys] == [12, 6, 6, 2]
    assert [at(found, 50)[k] for k in keys] == [12, 6, 0, 0] and at(found, 50)["led_by"][1] == 0
    assert [found[-1][k] for k in keys] == [18, 0, 0, 0]


def test_without_faults_there_is_nothing_to_tell_but_batches() -> None:
    told = timelines(run(stack()))
    assert told["shards"] == told["partitions"] == told["copying"] == told["downs"] == []
    assert len(told["batches"]) > 10 and timeline_figures(told) == {}


def test_json_carries_the_timelines_its_schema_names() -> None:
    import jsonschema

    it = stack(faults=["data-node-lost 1 at 31 s for 20 s"])
    told = fault_answers(run(it, "data-node-lost 1 at 31 s for 20 s"), it).as_dict()
    jsonschema.validate(json.loads(json.dumps(told, allow_nan=False)), fault_schema())
    assert told["timelines"]["shards"][0]["started"] == 6


def test_terminal_page_and_wiki_tell_what_was_copied_and_where_shards_were() -> None:
    it = stack(**LONG)
    answers = fault_answers(lost("data-node-lost 1 at 31 s"), it)
    page, wiki = fault_html(answers, lambda head, rows: str((head, list(rows)))), "\n".join(fault_markdown(answers))
    shown = "\n".join(str(line) for line in fault_lines(answers)[1:])
    for told in (page, wiki, shown):
        assert "rebuilt by elasticsearch from" in told and "volume of elasticsearch-" in told
    assert "Shards in time" in page and "| unassigned |" in wiki


def test_charts_are_drawn_from_the_rows() -> None:
    trace = lost("data-node-lost 1 at 31 s")
    drawn = timeline_figures(timelines(trace), [Fault.model_validate("data-node-lost 1 at 31 s")])
    shards = drawn["Shards in time"]
    assert [part["name"] for part in shards["data"]] == ["started", "relocating", "initializing", "unassigned"]
    stacked = [sum(values) for values in zip(*(part["y"] for part in shards["data"]), strict=True)]
    assert set(stacked) == {6}
    assert shards["layout"]["annotations"][0]["text"] == "data-node-lost"
    assert set(drawn) == {"Shards in time", "Partitions in time", "What is copied, and what it takes",
                          "Lag, faults marked", "Batches in time"}  # fmt: skip


def test_rows_are_a_tidy_frame() -> None:
    frame = tidy(shards_in_time(lost("data-node-lost 1 at 31 s")))
    assert (
        list(frame.columns)[:3] == ["flow", "time_seconds", "started"] and frame["time_seconds"].is_monotonic_increasing
    )


def test_long_runs_are_thinned_to_their_worst_lag() -> None:
    trace = run(stack(flow__query__trigger=0.1, **LONG), "driver-slow to 10 % at 60 s for 20 s")
    told = timelines(trace)["batches"]
    assert len(told) <= MOST_ROWS
    assert max(row["lag_records"] for row in told) == trace.flows["events"].batches["lag_records"].max()
