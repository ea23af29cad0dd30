"""Open-loop load: due times are the plan's alone, and documents are what was asked, byte for byte."""

from __future__ import annotations

import doctest
import importlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.documents import MAPPING, SCHEMA, SMALLEST, Documents
from lab.load import quantiles, settings
from lab.schedule import Schedule

steps = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 500)), min_size=1, max_size=5)


@given(steps)
def test_due_times_are_the_cumulative_rate(plan: list[tuple[int, int]]) -> None:
    """Against the plain sum: record i of a step is due i / rate after the step's start."""
    due, at = [], 0.0
    for seconds, rate in plan:
        due += [at + i / rate for i in range(seconds * rate)]
        at += seconds
    schedule = Schedule.of(plan)
    assert list(schedule.due_times()) == due
    assert schedule.records == len(due) and schedule.seconds == at
    for i in {0, len(due) // 2, len(due) - 1} - {-1}:
        if due:
            assert schedule.due(i) == due[i]


@given(steps, st.floats(0, 400))
def test_records_due_by_a_time_are_those_whose_due_time_has_come(plan: list[tuple[int, int]], elapsed: float) -> None:
    schedule = Schedule.of(plan)
    near = {sum(due <= elapsed + slack for due in schedule.due_times()) for slack in (-1e-6, 1e-6)}
    assert min(near) <= schedule.by(elapsed) <= max(near)


@given(steps)
def test_corners_are_the_arrival_curve(plan: list[tuple[int, int]]) -> None:
    schedule = Schedule.of(plan)
    corners = schedule.corners()
    assert corners[0] == (0.0, 0) and corners[-1] == (schedule.seconds, schedule.records)
    assert corners == sorted(corners)


def test_a_slow_answer_moves_no_due_time() -> None:
    """The schedule knows nothing of sends: two passes over it, one of them stalled, are the same."""
    schedule = Schedule.of([[1, 100], [1, 10]])
    stalled = []
    for due in schedule.due_times():
        stalled.append(due)
        list(schedule.due_times())
    assert stalled == list(schedule.due_times())


@given(st.integers(SMALLEST, 5000), st.integers(0, 10**9), st.integers(0, 63))
def test_a_document_is_of_the_size_asked_and_carries_its_three_marks(size: int, sequence: int, partition: int) -> None:
    body = Documents(size).make(1_795_418_002_129, sequence, partition)
    read = json.loads(body)
    assert len(body) == size
    assert (read["@timestamp"], read["seq"], read["p"]) == (1_795_418_002_129, sequence, partition)


def test_the_same_sequence_makes_the_same_document() -> None:
    assert Documents(800).make(1, 77, 1) == Documents(800).make(1, 77, 1)
    assert Documents(800).make(1, 77, 1) != Documents(800, seed=2).make(1, 77, 1)


def test_index_and_job_know_the_fields_that_documents_have() -> None:
    fields = json.loads(Documents(400).make(1, 1, 1)).keys()
    assert fields == MAPPING["properties"].keys()  # type: ignore[attr-defined]
    assert [column.split()[0].strip("`") for column in SCHEMA.split(", ")] == list(fields)


def test_a_document_without_room_for_its_fields_is_refused() -> None:
    with pytest.raises(ValueError, match=r"load\.size = 200 bytes; a document's fields alone need 330 bytes or more"):
        Documents(200)


def test_acknowledgements_are_told_by_nearest_rank() -> None:
    told = quantiles([i / 1000 for i in range(1000)])
    assert (told["p50"], told["p99"], told["p999"]) == (0.5, 0.99, 0.999)
    assert told["mean"] == pytest.approx(0.4995)
    assert quantiles([]) == {}


def test_a_load_over_tls_trusts_the_brokers_own_certificate() -> None:
    ask = {"bootstrap": "127.0.0.1:1", "linger_ms": 5, "batch_bytes": 1, "acks": "1", "compression": "none"}
    assert "security.protocol" not in settings(ask | {"ca": ""})
    assert settings(ask | {"ca": "/x/ca.pem"})["ssl.ca.location"] == "/x/ca.pem"


@pytest.mark.parametrize("name", ["schedule", "java", "processes", "record", "machine"])
def test_worked_values_in_the_text_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"lab.{name}"))
    assert result.attempted > 0 and result.failed == 0
