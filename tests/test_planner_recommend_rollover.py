"""Rollover of what is recommended: shards stay within the size that moves and recovers in good time."""

from __future__ import annotations

import pytest

from models.units import DAY, HOUR
from planner.checks import check
from planner.forecast import coefficients_of
from planner.recommend_rollover import rolled_over
from planner.scenario import load_scenario


def stack(rate: str, retention: str = "14 d", **index: object):
    return load_scenario({
        "name": "rolling",
        "flows": [{
            "workload": {"rate": rate, "size": "1 kB"},
            "query": {"trigger": "10 s", "sink": {"kind": "jvm-connector"}},
            "index": {"primaries": 3, "retention": retention, **index},
        }],
    })  # fmt: skip


@pytest.mark.parametrize(
    ("rate", "age"), [("10/s", None), ("1k/s", DAY), ("3k/s", 12 * HOUR), ("6k/s", 6 * HOUR), ("20k/s", HOUR)]
)
def test_indices_roll_over_as_often_as_their_shards_ask_for(rate: str, age: float | None) -> None:
    it = stack(rate)
    made, notes = rolled_over(it, coefficients_of(it))
    assert made.flows[0].index.rollover == age and len(notes) == (age is not None)
    large = {"shard-too-large", "shard-documents"}
    assert not large & {finding.code for finding in check(made)}
    assert bool(large & {finding.code for finding in check(it)}) == (age is not None)


def test_a_stated_rollover_is_kept_and_an_answer_given_back_is_unchanged() -> None:
    it = stack("20k/s", rollover="2 d")
    assert rolled_over(it, coefficients_of(it)) == (it, [])
    once, _ = rolled_over(stack("20k/s"), coefficients_of(it))
    assert rolled_over(once, coefficients_of(it)) == (once, [])
