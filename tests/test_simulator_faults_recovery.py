"""Copying because of faults is a load on cards and volumes of both ends while it lasts, and takes what is left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.faults import LAWS, Fault
from simulator.run import Simulation, simulate
from simulator.story import Recovery
from simulator.trace import Trace
from tests.test_simulator_faults import CALM, longest_gap, only, run, stack

FAT = {"rate": 1000, "size": 20_000, "arrivals": "deterministic"}  # 20 MB/s, so that cards and volumes matter


def copied(trace: Trace, what: str) -> Recovery:
    return next(r for r in trace.faults.recoveries if r.what == what)


def fat(**changed: Any) -> Any:
    topic = {"partitions": 6, "copies": 3, "min_insync": 2, "producer": {"linger": 0, "buffer_memory": "8 GiB"}}
    told = {"flow__topic": topic, "flow__query__sink": {"kind": "noop"}, "run": {"measure": 240.0}}
    return stack(flow__workload=FAT, **(told | changed))


def test_a_returned_broker_fetches_what_it_missed_from_what_cards_and_volumes_have_left() -> None:
    """40 s of 20 MB/s, all of it missed: the follower's card or volume less what new records take."""
    it = fat()
    trace = run(it, "broker-lost 1 at 31 s for 40 s")
    told = copied(trace, "refetched")
    sim = Simulation(it, CALM, 3, "fluid", 1.0, (), False, faults=[])
    into = 1000 * sim.built.fronts[0].wire_bytes  # every partition has a copy on each of three brokers
    assert told.bytes == pytest.approx(40 * into, rel=0.02)
    card, disk = sim.faults.copying.card(sim.built.placement.brokers), sim.faults.copying.volume("kafka")
    assert told.rate == pytest.approx(min(card, disk) - into, rel=0.02)
    assert told.until - told.since == pytest.approx(told.bytes / told.rate)
    assert trace.faults.stories[0].whole == pytest.approx(told.until, rel=1e-6)


def test_while_it_lasts_the_survivors_carry_it_too() -> None:
    told = copied(run(fat(), "broker-lost 1 at 31 s for 40 s"), "refetched")
    assert told.hosts == ("kafka-0", "kafka-1", "kafka-2")
    more = np.array(told.network) - np.array(told.network_before)
    assert (more > 0).all() and more[1] > 1.5 * more[0]  # one takes what two give
    assert max(*told.network, *told.volume) == pytest.approx(1.0, abs=0.01)  # something is full: nothing throttles it


def test_a_backlog_beyond_the_page_cache_is_read_from_the_leaders_volumes() -> None:
    small = {"brokers": 3, "zones": 3, "machine": "m7g.large", "heap": "4 GiB"}
    warm = copied(run(fat(kafka=small), "broker-lost 1 at 31 s for 20 s"), "refetched")
    cold = copied(run(fat(kafka=small), "broker-lost 1 at 31 s for 190 s"), "refetched")
    more = [np.array(r.volume) - np.array(r.volume_before) for r in (warm, cold)]
    assert more[0][0] == 0.0 and more[1][0] > 0.05


def test_records_wait_behind_the_responses_of_a_full_card_or_volume_while_it_is_full() -> None:
    """Half of a follower's response of 10 MiB at the rate of what is full, on the mean."""
    sim = Simulation(fat(), CALM, 3, "fluid", 1.0, (), False,
                     faults=[Fault.model_validate("partitions-moved of 3 GB at 40 s")])  # fmt: skip
    before, seen = sim.built.fronts[0].delay, []

    def watch() -> Any:
        while True:
            yield sim.env.timeout(1.0)
            seen.append((sim.env.now, sim.built.fronts[0].delay - before))

    sim.env.process(watch())
    sim.run()
    (moved,) = sim.faults.report.recoveries
    during = {round(more, 9) for t, more in seen if moved.since < t < moved.until}
    copying = sim.faults.copying
    full = min(copying.card(sim.built.placement.brokers), copying.volume("kafka"))
    assert list(during) == [pytest.approx(0.5 * LAWS["kafka.fetch_response"].value / full, rel=1e-6)]
    assert seen[-1][1] == pytest.approx(0.0, abs=1e-12)


def test_a_throttle_leaves_cards_and_volumes_room() -> None:
    free = copied(run(fat(), "partitions-moved of 3 GB at 40 s"), "moved")
    held = copied(run(fat(), "partitions-moved of 3 GB under 5 MB/s at 40 s"), "moved")
    assert held.rate == pytest.approx(15e6) and held.until - held.since == pytest.approx(200.0)
    assert max(held.network) < max(free.network)


def test_a_rebuild_takes_its_volumes_from_merges_and_gives_them_back() -> None:
    it = stack(run={"measure": 200.0})
    sim = Simulation(it, CALM, 3, "fluid", 1.0, (), False, faults=[Fault.model_validate("data-node-lost 1 at 31 s")])
    usual, seen = sim.plane.m.merge_rate.copy(), []

    def watch() -> Any:
        while True:
            yield sim.env.timeout(1.0)
            seen.append((sim.env.now, sim.plane.m.merge_rate.copy()))

    sim.env.process(watch())
    sim.run()
    (told,) = [r for r in sim.faults.report.recoveries if r.what == "rebuilt"]
    during = [rates for t, rates in seen if told.since < t < told.until]
    assert during and all((rates[[0, 2]] < usual[[0, 2]]).all() for rates in during)
    assert (seen[-1][1] == usual).all()
    taken = usual - during[0]
    assert taken.sum() == pytest.approx(2 * told.rate)  # each byte is read from one volume and written to another


def test_overlapping_copies_add_up_and_leave_nothing_behind() -> None:
    it = stack(run={"measure": 300.0})
    both = ("shards-moved of 4 GB under 40 MB/s at 31 s", "shards-moved of 2 GB under 40 MB/s at 60 s",
            "credits-exhausted elasticsearch at 50 s for 60 s")  # fmt: skip
    sim = Simulation(it, CALM, 3, "fluid", 1.0, (), False, faults=[Fault.model_validate(f) for f in both])
    usual = sim.plane.m.merge_rate.copy()
    sim.run()
    assert sim.plane.m.merge_rate == pytest.approx(usual)
    assert [r.what for r in sim.faults.report.recoveries] == ["moved", "moved"]


@pytest.mark.parametrize(("kind", "told"), [
    ("opensearch-service", "lacks up to 60 min of documents"), ("self-managed-opensearch", "no snapshot is taken"),
])  # fmt: skip
def test_the_only_copy_is_brought_back_from_a_snapshot_if_there_is_one(kind: str, told: str) -> None:
    """elasticsearch.md B6: the service takes one every hour."""
    lone = stack(elasticsearch={"kind": kind}, flow__index__copies=1, flow__query__sink__retry={"attempts": 1})
    trace = run(lone, "data-node-lost 1 at 31 s")
    assert any(told in h.what for h in trace.faults.timeline)
    assert not any("only copy" in h.what for h in run(stack(), "data-node-lost 1 at 31 s").faults.timeline)


def test_a_small_volume_bounds_a_rebuild_below_its_setting() -> None:
    """r7g.large sustains 78.75 MB/s to EBS, read and written together: not 40 MB/s each way beside its writes."""
    it = stack(run={"measure": 200.0}, elasticsearch={"machine": "r7g.large"})
    told = copied(run(it, "data-node-lost 1 at 31 s"), "rebuilt")
    assert told.rate < 2 * LAWS["search.recovery_rate"].value
    assert max(told.volume) == pytest.approx(1.0, abs=0.01) and max(told.volume_before) < 0.02


# ---------------------------------------------------------------- other faults of this file's age


def test_a_block_by_hand_is_lifted_when_the_server_looks_at_its_disks() -> None:
    """elasticsearch.md B4: usage is polled every 30 s, and a disk below its high mark takes the block away."""
    it = stack(flow__query__sink__retry={"attempts": 30, "wait": 2.0})
    ends = []
    for seed in range(1, 9):
        story = run(it, "index-blocked manually at 31 s for 60 s", seed=seed).faults.stories[0]
        ends.append(story.ended - 31)
    assert all(0 < x < 30 for x in ends) and len(set(ends)) > 4
    flood = run(it, "disk-full elasticsearch at 31 s for 60 s").faults.stories[0]
    assert flood.whole - 31 > 60  # nobody lifts it while the disk is full


@pytest.mark.parametrize(("kind", "version", "lifts"), [
    ("self-managed-elasticsearch", "7.3", False), ("self-managed-elasticsearch", "8.17", True),
    ("self-managed-opensearch", "2.19", True),
])  # fmt: skip
def test_old_elasticsearch_keeps_a_block_until_somebody_lifts_it(kind: str, version: str, lifts: bool) -> None:
    cluster = {"kind": kind, "version": version}
    story = run(stack(elasticsearch=cluster), "index-blocked manually at 31 s for 40 s").faults.stories[0]
    assert (story.ended - 31 < 30) == lifts


def test_a_write_block_by_hand_stays() -> None:
    assert run(stack(), "index-blocked write manually at 31 s for 40 s").faults.stories[0].ended == pytest.approx(71)


SLOW_TASKS = CALM.with_values({"spark.document_cpu_seconds": 2e-3} if "spark.document_cpu_seconds" in CALM.values else
                              {"spark.task_cpu_seconds": 0.5})  # fmt: skip


def hungry(*faults: str, **changed: Any) -> Trace:
    it = stack(**({"run": {"measure": 200.0}} | changed))
    return simulate(it, SLOW_TASKS, seed=3, faults=[Fault.model_validate(f) for f in faults])


def test_a_task_that_outgrows_its_container_kills_four_executors_and_then_the_query() -> None:
    trace = hungry("executor-oom 0 at 31 s for 100 s")
    killed = [h for h in trace.faults.timeline if "outgrows its container" in h.what]
    assert len(killed) == 4 and only(trace).outcome.startswith("failed at")


def test_a_supervisor_outlives_it_once_the_cause_is_gone() -> None:
    policy = {"restart": {"policy": "supervisor", "wait": 2.0, "start": 3.0}}
    trace = hungry("executor-oom 0 at 31 s for 60 s", spark=policy)
    assert only(trace).outcome == "running" and trace.faults.restarts[0] >= 1
    assert longest_gap(only(trace)) > 30


def test_an_executor_that_runs_nothing_is_not_killed() -> None:
    trace = run(stack(), "executor-oom 0 at 31 s for 1 s")
    assert any("nothing was killed" in h.what for h in trace.faults.timeline) or trace.faults.stories[0].whole < 200


@pytest.mark.parametrize("fault", ["executor-slow 0 to 5 %", "driver-slow to 1 %", "zone-slow 0 to 5 %"])
def test_what_is_slow_slows_its_batches_while_it_is(fault: str) -> None:
    rows = only(hungry(f"{fault} at 60 s for 60 s")).batches
    seconds, started = rows["finished"] - rows["started"], rows["started"]
    calm, during = seconds[(started > 20) & (started < 55)].mean(), seconds[(started > 62) & (started < 110)].mean()
    assert during > 1.2 * calm
    assert seconds[started > 140].mean() == pytest.approx(calm, rel=0.2)


def test_a_slow_manager_promotes_later_and_a_slow_controller_elects_later() -> None:
    slow = run(stack(), "manager-slow to 10 % at 20 s for 60 s", "data-node-lost 1 at 31 s for 20 s")
    assert slow.faults.stories[1].noticed == pytest.approx(31 + 10)
    quick = run(stack(), "broker-lost 1 at 31 s for 40 s")
    late = run(stack(), "controller-slow to 10 % at 20 s for 60 s", "broker-lost 1 at 31 s for 40 s")
    assert late.faults.stories[1].noticed - quick.faults.stories[0].noticed == pytest.approx(9 * 0.5)
