"""Every kind of fault: it acts, its story ends, and no record is unaccounted for while it does."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from models.faults import SHAPES, Fault, Kind
from tests.test_simulator_faults import balanced, only, run, stack

LATE = 300.0  # by when every story below has ended
EVERY = (
    "broker-lost 1 at 31 s for 40 s", "broker-slow 1 to 10 % at 31 s for 20 s", "controller-lost at 31 s",
    "controller-slow at 31 s for 20 s", "partitions-moved of 1 GB under 20 MB/s at 31 s",
    "executor-lost 0 at 31 s", "executor-slow 0 at 31 s for 20 s", "executor-oom 0 at 31 s for 20 s",
    "spot-interrupted 0 at 31 s", "driver-lost at 31 s", "driver-slow at 31 s for 20 s",
    "checkpoint-slow x50 at 31 s for 20 s", "checkpoint-failing at 31 s for 10 s",
    "data-node-lost 1 at 31 s for 40 s", "data-node-slow 0 at 31 s for 20 s", "manager-lost at 31 s",
    "manager-slow at 31 s for 20 s", "index-blocked at 31 s for 5 s", "index-blocked write at 31 s for 5 s",
    "index-blocked manually at 31 s for 40 s", "shards-moved of 1 GB under 20 MB/s at 31 s",
    "zone-lost 1 at 31 s for 40 s", "zone-slow 0 at 31 s for 20 s", "zone-delay by 20 ms at 31 s for 20 s",
    "disk-full kafka at 31 s for 20 s", "disk-full spark at 31 s for 5 s", "disk-full elasticsearch at 31 s for 20 s",
    "credits-exhausted elasticsearch at 31 s for 20 s", "rolling-restart kafka at 31 s for 10 s",
    "rolling-restart spark at 31 s for 10 s", "rolling-restart elasticsearch at 31 s for 10 s",
    "outage kafka at 31 s for 10 s", "outage spark at 31 s for 10 s", "outage elasticsearch at 31 s for 10 s",
    "burst x3 at 31 s for 10 s",
)  # fmt: skip


def test_every_kind_is_here() -> None:
    assert {fault.split()[0] for fault in EVERY} == set(get_args(Kind)) == set(SHAPES)


@pytest.mark.parametrize("fault", EVERY)
def test_a_fault_acts_ends_and_accounts_for_every_record(fault: str) -> None:
    policy = {"restart": {"policy": "supervisor", "wait": 2.0, "start": 3.0}}
    it = stack(spark=policy, run={"measure": LATE - 10.0}, flow__query__fail_on_data_loss=False)
    trace = run(it, fault)
    balanced(trace, it)
    assert only(trace).outcome == "running"
    (story,) = trace.faults.stories
    assert story.fault == Fault.model_validate(fault)
    assert story.noticed >= 31 and 31 <= story.ended < LATE and 31 <= story.whole < LATE
    assert not math.isinf(story.noticed) and len(trace.faults.timeline) >= 2
