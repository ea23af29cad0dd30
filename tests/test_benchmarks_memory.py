"""Ledgers of memory beside the resident bytes that the laboratory recorded."""

from __future__ import annotations

import statistics

import pytest

from benchmarks.accuracy.memory_rows import Resident, rows, section


@pytest.fixture(scope="module")
def found() -> list[Resident]:
    return list(rows())


@pytest.mark.parametrize(
    ("kind", "median", "most"), [("kafka", 0.10, 0.15), ("search", 0.05, 0.08), ("spark", 0.10, 0.20)]
)
def test_resident_memory_soon_is_what_was_recorded(
    found: list[Resident], kind: str, median: float, most: float
) -> None:
    mine = [r for r in found if r.process.startswith(kind)]
    assert len(mine) >= 5
    assert abs(statistics.median(r.error for r in mine)) < median
    assert max(abs(r.error) for r in mine) < most


def test_no_process_passed_what_it_may_climb_to(found: list[Resident]) -> None:
    """The data node's heap is touched from the start, so its bound is its estimate, native memory's error included."""
    for r in found:
        assert r.recorded < r.climbs_to * (1.08 if r.process.startswith("search") else 1.0), r


def test_the_section_tells_blind_rows_apart(found: list[Resident]) -> None:
    text = section(found)
    assert "kafka, in sample" in text and "kafka, blind" in text


def test_heaps_are_what_their_owners_committed_or_touched(found: list[Resident]) -> None:
    for kind, most in (("kafka", 0.10), ("search", 0.01), ("spark", 0.30)):
        errors = [r.heap_error for r in found if r.process.startswith(kind) and r.heap_error is not None]
        assert len(errors) >= 5 and abs(statistics.median(errors)) < most, kind
