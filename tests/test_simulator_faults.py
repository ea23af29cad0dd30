"""Faults in the simulated time: what each does by its law, with numbers that can be worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from models.faults import LAWS, Fault
from models.stack import Scenario
from simulator.run import Simulation, _trace, simulate
from simulator.trace import Trace
from tests.strategies import GENERIC, QUIET, bare

CALM = GENERIC.with_values(QUIET | {"spark.batch_cpu_seconds": 0.01, "spark.task_cpu_seconds": 0.01})
SUPERVISED = {"policy": "supervisor", "wait": 2.0, "start": 3.0}


def stack(**changed: Any) -> Scenario:
    """Three brokers, two executors of two slots, three data nodes, each on a host of its own; 1,000 records/s."""
    told: dict[str, Any] = {
        "flow__topic": {"partitions": 6, "copies": 3, "min_insync": 2, "producer": {"linger": 0, "acks": "all"}},
        "flow__query": {"trigger": 2.0, "checkpoint": "local",
                        "sink": {"kind": "jvm-foreach", "retry": {"attempts": 3, "wait": 2.0}}},
        "flow__index": {"primaries": 3, "copies": 2, "retention": "1 h"},
        "kafka": {"brokers": 3, "zones": 3, "hosts": []},
        "spark": {"executors": 2, "cores": 2, "hosts": []},
        "elasticsearch": {"data_nodes": 3, "zones": 3, "hosts": []},
        "hosts": [],
        "run": {"measure": 120.0, "warm_up": 10.0},
    }  # fmt: skip
    for part in ("kafka", "spark", "elasticsearch"):
        told[part] |= changed.pop(part, {})
    return bare(**(told | changed))


def run(it: Scenario, *faults: str, seed: int = 3, level: Any = "fluid", **options: Any) -> Trace:
    return simulate(it, CALM, seed=seed, level=level, faults=[Fault.model_validate(f) for f in faults], **options)


def only(trace: Trace) -> Any:
    return trace.flows["events"]


def balanced(trace: Trace, it: Scenario) -> None:
    """Produced = cut + pending + lost, and every document of a cut record is indexed once, duplicates apart."""
    for flow in trace.flows.values():
        c = flow.counts
        assert c["produced"] == pytest.approx(c["cut"] + c["pending"] + c["lost"], rel=1e-9, abs=1e-6)
        assert c["indexed_documents"] >= c["kept"] * (1 - 1e-9) - 1e-6
        assert c["visible_records"] <= c["indexed_documents"] * (1 + 1e-9) + 1e-6


def longest_gap(flow: Any) -> float:
    return float(np.diff(np.concatenate([[0.0], flow.batches["finished"]])).max())


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("broker-lst at 5 min for 2 min", "did you mean 'broker-lost'"),
        ("index-blocked wrte at 1 s for 2 s", "did you mean 'write'"),
        ("outage sprk at 1 s for 2 s", "did you mean 'spark'"),
        ("broker-lost two at 1 s", "expected a number"),
        ("burst x3", "says no time"),
        ("broker-lost at 5 parsecs", "parsecs"),
        ("driver-lost to 3 at 1 s", "takes no factor"),
        ("checkpoint-slow at 1 s", "needs a duration"),
        ("broker-lost at 1 s at 2 s", "said twice"),
        ("data-node-slow to 2 at 1 s for 2 s", "leaves it as fast"),
    ],
)
def test_a_wrong_sentence_is_refused_with_what_would_do(said: str, answer: str) -> None:
    with pytest.raises(ValueError, match=answer):
        Fault.model_validate(said)


def test_a_fault_is_the_sentence_that_makes_it() -> None:
    for said in ("broker-lost 1 at 5 min for 2 min", "burst x2.5 at 61.25 s for 1 h", "executor-lost silently at 20 s",
                 "zone-delay by 20 ms at 1 min for 2 min", "shards-moved of 2 GiB under 50 MiB/s at 90 s"):  # fmt: skip
        fault = Fault.model_validate(said)
        assert Fault.model_validate(str(fault)) == fault


def test_a_fault_of_what_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="there are 3 brokers"):
        stack(faults=["broker-lost 3 at 20 s"])
    with pytest.raises(ValueError, match="comes after the run"):
        stack(faults=["broker-lost 2 at 20 min"])


def test_every_law_has_a_source() -> None:
    assert all(law.value > 0 and law.source for law in LAWS.values())


def test_the_exact_front_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="fluid"):
        run(stack(), "broker-lost at 20 s", level="exact")


# ---------------------------------------------------------------- the query


def test_a_driver_that_nobody_restarts_stays_dead() -> None:
    it = stack()
    flow = only(run(it, "driver-lost at 31 s"))
    assert flow.outcome.startswith("failed at 31.0 s: the driver died")
    assert flow.batches["finished"].max() < 31


def test_a_restart_takes_the_policy_s_pause_and_start() -> None:
    it = stack(spark={"restart": SUPERVISED})
    trace = run(it, "driver-lost at 31 s")
    (down,) = trace.faults.downs[0]
    assert down.until - down.since == pytest.approx(2.0 + 3.0)
    assert trace.faults.restarts == [1] and only(trace).outcome == "running"
    balanced(trace, it)


def batch_in_the_middle(it: Scenario, after: float = 20.0, part: float = 0.5) -> float:
    """A moment in the middle of a batch's bulks."""
    rows = only(run(it)).batches
    row = rows[rows["started"] > after][0]
    return float(row["started"] + part * (row["finished"] - row["started"]))


SLOW = GENERIC.with_values(QUIET | {"search.document_cpu_seconds": 2e-3, "search.bulk_cpu_seconds": 1e-3})


@pytest.mark.parametrize("ids", ["automatic", "explicit"])
def test_a_batch_that_is_run_again_writes_twice_without_ids(ids: str) -> None:
    it = stack(flow__query__sink__ids=ids, flow__query__sink__bulk_entries=20, spark={"restart": SUPERVISED})
    trace = simulate(it, SLOW, seed=3, faults=[Fault(kind="driver-lost", at=31.3)])
    calm = simulate(it, SLOW, seed=3)
    counts = only(trace).counts
    balanced(trace, it)
    assert (counts["duplicated_documents"] > 0) == (ids == "automatic")
    assert only(calm).counts["duplicated_documents"] == 0
    if ids == "automatic":  # no more than the batch that was killed
        killed = only(trace).batches
        again = killed[killed["finished"] > 31.3][0]
        assert counts["duplicated_documents"] <= again["documents"]


def test_what_is_written_but_not_committed_is_written_twice_as_a_whole() -> None:
    """The driver dies in the commit: all of the batch stands in the index already."""
    it = stack(spark={"restart": SUPERVISED})
    slow_commit = CALM.with_values({"spark.local_commit_seconds": 0.4})
    rows = only(simulate(it, slow_commit, seed=3)).batches
    row = rows[rows["started"] > 30][0]
    trace = simulate(it, slow_commit, seed=3, faults=[Fault(kind="driver-lost", at=float(row["finished"]) - 0.1)])
    assert only(trace).counts["duplicated_documents"] == pytest.approx(row["documents"], rel=1e-9)


def test_a_restart_reads_the_same_offsets() -> None:
    it = stack(spark={"restart": SUPERVISED})
    at = batch_in_the_middle(it)
    before = only(run(it)).batches
    rows = only(run(it, f"driver-lost at {at} s")).batches
    killed = before[before["started"] < at][-1]
    again = rows[rows["finished"] > at][0]
    assert again["number"] == killed["number"] and again["records"] == killed["records"]
    assert again["started"] >= at + 5.0


def test_a_supervisor_waits_longer_from_death_to_death() -> None:
    it = stack(spark={"restart": SUPERVISED | {"multiplier": 3.0}})
    trace = run(it, "checkpoint-failing at 20 s for 40 s")
    waits = [d.until - d.since for d in trace.faults.downs[0]]
    assert waits[:3] == pytest.approx([2 + 3, 6 + 3, 18 + 3], abs=0.1)


def test_a_query_outage_is_the_fault_of_that_name() -> None:
    it = stack()
    by_argument = simulate(it, CALM, seed=3, outages=[(30.0, 15.0)], faults=[])
    by_fault = run(it, "outage spark at 30 s for 15 s")
    assert only(by_argument).batches.tolist() == only(by_fault).batches.tolist()


def test_expired_offsets_end_a_query_or_are_lost() -> None:
    """A partition that takes 150 MB/s fills a segment in seven seconds; retention is ten."""
    fat = {"rate": 1500, "size": 100_000, "arrivals": "deterministic"}
    topic = {"partitions": 1, "copies": 1, "min_insync": 1, "retention": 10.0}
    told = {"flow__workload": fat, "flow__topic": topic, "flow__query__sink": {"kind": "noop"}}
    careful = run(stack(**told), "outage spark at 20 s for 60 s")
    assert "expired before they were read" in only(careful).outcome
    it = stack(**told, flow__query__fail_on_data_loss=False)
    careless = run(it, "outage spark at 20 s for 60 s")
    c = only(careless).counts
    assert only(careless).outcome == "running" and c["lost"] > 0
    assert c["produced"] == pytest.approx(c["cut"] + c["pending"] + c["lost"])


# ---------------------------------------------------------------- executors


def test_tasks_of_a_lost_executor_run_again_elsewhere() -> None:
    it = stack(flow__query__sink__bulk_entries=20)
    at = 30.5
    trace = simulate(it, SLOW, seed=3, faults=[Fault(kind="executor-lost", at=at, target="0")])
    calm = only(simulate(it, SLOW, seed=3)).batches
    rows = only(trace).batches
    hit, same = rows[rows["finished"] > at][0], calm[calm["finished"] > at][0]
    assert hit["number"] == same["number"] and hit["finished"] > same["finished"]
    assert only(trace).outcome == "running"
    story = trace.faults.stories[0]
    assert (story.noticed, story.whole) == (at, pytest.approx(at + LAWS["spark.container"].value))
    balanced(trace, it)


def test_a_silent_executor_holds_its_batch_up_for_the_network_timeout() -> None:
    it = stack(run={"measure": 300.0})
    at = batch_in_the_middle(it, part=0.3)
    flow = only(run(it, f"executor-lost silently at {at} s"))
    assert longest_gap(flow) == pytest.approx(LAWS["spark.network_timeout"].value, abs=3.0)


def test_half_the_slots_are_gone_until_the_replacement_comes() -> None:
    it = stack()
    rows = run(it, "executor-lost 0 at 31 s").flows["events"].tasks
    during = rows[(rows["started"] > 31) & (rows["started"] < 60)]
    after = rows[rows["started"] > 63]
    assert set(during["executor"]) == {1} and set(after["executor"]) == {0, 1}


# ---------------------------------------------------------------- the index


ONE_WAVE = {"flow__topic__partitions": 4}  # as many tasks as slots


def test_a_block_shorter_than_the_retries_is_outlasted() -> None:
    it = stack()
    trace = run(it, "index-blocked at 31 s for 5 s")
    flow = only(trace)
    assert flow.outcome == "running" and flow.counts["rejected_items"] > 0
    assert flow.counts["duplicated_documents"] == 0
    balanced(trace, it)


def test_a_block_longer_than_the_retries_kills_the_query_after_four_attempts() -> None:
    """Four attempts of a first try and three retries 2 s apart: 24 s, however many tasks wait behind."""
    flow = only(run(stack(flow__topic__partitions=24), "index-blocked at 30.5 s for 60 s"))
    assert flow.outcome.endswith("bulks were rejected longer than their retries lasted")
    died = float(flow.outcome.split(" ")[2])
    began = 32.0
    assert died - began == pytest.approx(4 * 3 * 2.0, abs=0.5)


def test_a_write_block_is_no_reason_to_retry() -> None:
    flow = only(run(stack(), "index-blocked write at 30.5 s for 60 s"))
    assert float(flow.outcome.split(" ")[2]) == pytest.approx(32.0, abs=0.5)


def test_before_7_7_the_flood_stage_answers_403() -> None:
    old = {"kind": "self-managed-elasticsearch", "version": "7.6"}
    flow = only(run(stack(elasticsearch=old), "index-blocked at 30.5 s for 60 s"))
    assert float(flow.outcome.split(" ")[2]) == pytest.approx(32.0, abs=0.5)


def test_a_connector_gives_up_where_no_node_answers_and_a_client_retries() -> None:
    for kind, died in (("jvm-connector", 32.0), ("jvm-foreach", 32.0 + 24.0)):
        flow = only(run(stack(flow__query__sink__kind=kind, **ONE_WAVE), "outage elasticsearch at 30.5 s for 90 s"))
        assert float(flow.outcome.split(" ")[2]) == pytest.approx(died, abs=0.6), kind


def test_copies_take_over_from_a_dead_node_and_come_back() -> None:
    it = stack()
    trace = run(it, "data-node-lost 1 at 31 s for 20 s")
    flow, story = only(trace), trace.faults.stories[0]
    assert flow.outcome == "running"
    assert story.noticed == pytest.approx(31 + LAWS["search.promotion"].value)
    assert 51 <= story.whole < 56
    assert flow.latency.quantile(1.0) < 10
    balanced(trace, it)


def test_a_vanished_node_is_missed_for_its_fault_detection() -> None:
    it = stack(flow__query__sink__retry={"attempts": 30, "wait": 2.0})
    trace = run(it, "data-node-lost 1 silently at 31 s for 100 s")
    assert trace.faults.stories[0].noticed == pytest.approx(31 + 30 + 1)
    assert longest_gap(only(trace)) == pytest.approx(31, abs=3)


def test_without_a_copy_the_shard_waits_for_its_node() -> None:
    """A bulk waits a minute for the primary, is answered 503, and is sent again, until the node is back."""
    it = stack(flow__index__copies=1, flow__query__sink__retry={"attempts": 50, "wait": 2.0})
    trace = run(it, "data-node-lost 1 at 31 s for 70 s")
    rows = only(trace).batches
    assert not ((rows["finished"] > 33) & (rows["finished"] < 101)).any()
    assert only(trace).counts["rejected_items"] > 0 and only(trace).outcome == "running"
    balanced(trace, it)


def test_the_only_copy_on_a_node_that_never_returns_is_lost() -> None:
    it = stack(flow__index__copies=1, flow__query__sink__retry={"attempts": 1, "wait": 2.0})
    counts = only(run(it, "data-node-lost 1 at 31 s")).counts
    assert counts["lost_documents"] == pytest.approx(counts["indexed_documents"] / 3)
    assert only(run(stack(), "data-node-lost 1 at 31 s")).counts["lost_documents"] == 0


def test_lost_copies_are_rebuilt_after_a_minute_at_the_published_rate() -> None:
    """elasticsearch.md A13: 60 s + S / (N - 1 nodes x 40 MB/s), S what the lost node held, where volumes suffice."""
    it = stack(run={"measure": 200.0}, elasticsearch={"machine": "r7g.2xlarge"})
    lost = Fault(kind="data-node-lost", at=31.0, target="1")
    sim = Simulation(it, CALM, 3, "fluid", 1.0, (), False, faults=[lost])
    sim.run()
    shards = sim.faults.shards
    held = sum(shards.group_bytes(0, g) for g, home in enumerate(sim.built.shards[0].homes) if 1 in home)
    story = _trace(sim).faults.stories[0]
    assert held > 0
    assert story.whole == pytest.approx(31 + 1 + 60 + held / (2 * 40e6), rel=1e-6)


def test_two_data_nodes_without_managers_have_no_quorum_when_one_is_lost() -> None:
    it = stack(elasticsearch={"data_nodes": 2, "zones": 2}, flow__query__sink__retry={"attempts": 50, "wait": 2.0})
    trace = run(it, "data-node-lost 1 at 31 s for 30 s")
    assert any("no quorum" in h.what for h in trace.faults.timeline)
    rows = only(trace).batches
    assert not ((rows["finished"] > 33) & (rows["finished"] < 60)).any()
    kept = stack(elasticsearch={"data_nodes": 2, "zones": 2, "managers": 3})
    assert longest_gap(only(run(kept, "data-node-lost 1 at 31 s for 30 s"))) < 6


# ---------------------------------------------------------------- brokers


def test_a_crashed_broker_stalls_its_partitions_for_the_session_timeout() -> None:
    """Three copies on three brokers: every partition has one there, and none commits until the broker is fenced."""
    it = stack()
    trace = run(it, "broker-lost 1 at 31 s for 40 s")
    assert trace.faults.stories[0].noticed == pytest.approx(31 + 9)
    assert longest_gap(only(trace)) == pytest.approx(10, abs=2.5)
    assert only(trace).counts["lost"] == 0
    assert only(trace).latency.quantile(1.0) == pytest.approx(9 + 2, abs=3)
    balanced(trace, it)


def test_a_controlled_restart_is_hardly_felt() -> None:
    it = stack()
    trace = run(it, "rolling-restart kafka at 31 s for 20 s")
    assert longest_gap(only(trace)) < 4
    assert only(trace).counts["lost"] == 0 and math.isfinite(trace.faults.stories[0].whole)


def test_below_min_insync_nothing_is_accepted_and_the_buffers_decide_what_is_lost() -> None:
    """Two copies, both wanted: closed for all of the downtime; producers keep two minutes, or what fits."""
    roomy = {"partitions": 6, "copies": 2, "min_insync": 2, "producer": {"linger": 0, "buffer_memory": "1 GiB"}}
    it = stack(flow__topic=roomy, flow__workload={"rate": 1000, "size": 1000, "arrivals": "deterministic"})
    kept = run(it, "broker-lost 1 at 31 s for 60 s")
    assert only(kept).counts["lost"] == 0
    tight = stack(flow__topic=roomy | {"producer": {"linger": 0, "count": 1, "buffer_memory": "10 MB"}},
                  flow__workload={"rate": 1000, "size": 1000, "arrivals": "deterministic"})  # fmt: skip
    lost = run(tight, "broker-lost 1 at 31 s for 60 s")
    c = only(lost).counts
    wire = 1000 + 70  # framing of a lone record, about
    closed = 60 * 1000 * 4 / 6  # four of six partitions have a copy there
    assert c["lost"] == pytest.approx(closed - 10e6 / wire, rel=0.05)
    assert list(lost.faults.losses[0]) == ["producers' buffers were full"]
    balanced(lost, tight)


def test_acks_of_the_leader_alone_lose_what_no_follower_had() -> None:
    one = {"partitions": 6, "copies": 3, "min_insync": 1, "producer": {"linger": 0, "acks": "1"}}
    trace = run(stack(flow__topic=one), "broker-lost 0 at 31 s for 40 s")
    front_seconds = 0.05
    assert 0 < only(trace).counts["lost"] < 1000 * 2 / 6 * front_seconds
    assert only(run(stack(), "broker-lost 0 at 31 s for 40 s")).counts["lost"] == 0


def test_an_unclean_election_loses_what_the_last_copy_alone_had() -> None:
    """Broker 1 is down and misses records; broker 0, alone in sync, dies; 1 comes back first. MSK lets it lead."""
    two = {"partitions": 2, "copies": 2, "min_insync": 1, "producer": {"linger": 0}}
    story = ("broker-lost 1 at 31 s for 40 s", "broker-lost 0 at 50 s for 60 s")
    told = {"flow__topic": two, "run": {"measure": 150.0, "warm_up": 10.0}}
    pair = {"brokers": 2, "zones": 2}
    msk = run(stack(**told, kafka=pair | {"kind": "msk-standard"}), *story)
    careful = run(stack(**told, kafka=pair), *story)
    assert only(careful).counts["lost"] == 0 and "unclean election" not in only(careful).outcome
    assert "unclean election" in only(msk).outcome
    reading = stack(**told, kafka=pair | {"kind": "msk-standard"}, flow__query__fail_on_data_loss=False)
    careless = run(reading, *story)
    assert only(careless).outcome == "running"
    balanced(careless, reading)


def test_one_copy_waits_for_its_broker_and_the_query_dies_of_it() -> None:
    lone = {"partitions": 6, "copies": 1, "min_insync": 1}
    dead = run(stack(flow__topic=lone), "broker-lost 1 at 31 s for 80 s")
    assert "no leader for a minute" in only(dead).outcome
    short = run(stack(flow__topic=lone), "broker-lost 1 at 31 s for 40 s")
    assert only(short).outcome == "running" and only(short).counts["lost"] == 0


def test_survivors_do_the_work_of_a_lost_broker() -> None:
    """Leaders serve all readers: with many of them a third of the leaderships is a third of the work."""
    told = {"rate": 2000, "size": 500}
    topic = {"partitions": 6, "copies": 3, "min_insync": 2, "consumer_groups": 20, "producer": {"linger": 0.2}}
    it = stack(flow__workload=told, flow__topic=topic, run={"measure": 60.0, "warm_up": 5.0})
    c = GENERIC.with_values({"kafka.idle_cpu_cores": 0.0})
    calm = simulate(it, c, seed=3, faults=[])
    hurt = simulate(it, c, seed=3, faults=[Fault(kind="broker-lost", at=6.0, target="1", duration=300.0)])
    use = {h.name: h.utilisation for h in calm.hosts}, {h.name: h.utilisation for h in hurt.hosts}
    assert use[1]["kafka-0"] > use[0]["kafka-0"] * 1.1
    assert use[1]["kafka-1"] < use[0]["kafka-1"] * 0.5


# ---------------------------------------------------------------- zones, speed, bursts


def test_emr_lives_in_one_zone_and_dies_with_it() -> None:
    it = stack(spark={"restart": SUPERVISED}, run={"measure": 900.0})
    trace = run(it, "zone-lost 0 at 31 s for 100 s")
    (down, *_) = trace.faults.downs[0]
    assert down.until - down.since == pytest.approx(LAWS["spark.cluster"].value)
    away = run(it, "zone-lost 1 at 31 s for 100 s")
    assert away.faults.downs[0] == [] or all("zone" not in d.why for d in away.faults.downs[0])


def test_executors_in_another_zone_are_lost_alone() -> None:
    """The driver lives with the first executor: only the second one's zone is gone."""
    hosts = [{"name": name, "cores": 64, "zone": zone} for name, zone in
             (("broker", "a"), ("node", "a"), ("first", "a"), ("second", "b"))]  # fmt: skip
    it = bare(
        flow__topic={"partitions": 4, "copies": 1, "min_insync": 1, "producer": {"linger": 0}},
        kafka={"hosts": ["broker"]}, elasticsearch={"hosts": ["node"], "zones": 1}, hosts=hosts,
        spark={"kind": "ec2", "executors": 2, "cores": 1, "hosts": ["first", "second"]},
        run={"measure": 300.0, "warm_up": 4.0},
    )  # fmt: skip
    trace = run(it, "zone-lost 1 at 31.3 s for 200 s")
    assert only(trace).outcome == "running" and trace.faults.downs[0] == []
    dead = run(it, "zone-lost 0 at 31.3 s for 200 s")
    assert "the driver with it" in only(dead).outcome


def test_a_burst_multiplies_what_arrives() -> None:
    it = stack(flow__workload={"rate": 1000, "size": 100, "arrivals": "deterministic"}, run={"measure": 60.0})
    calm, burst = run(it), run(it, "burst x3 at 30 s for 10 s")
    assert only(burst).counts["produced"] - only(calm).counts["produced"] == pytest.approx(20_000, rel=0.01, abs=2500)


def test_a_slow_node_slows_its_batches_and_no_longer_than_it_is_slow() -> None:
    it = stack(flow__query__sink__bulk_entries=100, flow__workload__rate=400)
    rows = only(simulate(it, SLOW, seed=3, faults=[Fault.model_validate("data-node-slow 0 to 25 % at 40 s for 40 s")]))
    seconds = rows.batches["finished"] - rows.batches["started"]
    started = rows.batches["started"]
    during = seconds[(started > 41) & (started < 76)].mean()
    assert during > 1.5 * seconds[started < 36].mean()
    assert seconds[started > 90].mean() == pytest.approx(seconds[started < 36].mean(), rel=0.1)


def test_a_slow_checkpoint_store_adds_its_writes_to_each_batch() -> None:
    c = CALM.with_values({"spark.local_commit_seconds": 0.05})
    rows = only(
        simulate(stack(), c, seed=3, faults=[Fault.model_validate("checkpoint-slow x10 at 40 s for 40 s")])
    ).batches
    seconds = rows["finished"] - rows["started"]
    during = (rows["started"] > 42) & (rows["started"] < 76)
    assert seconds[during].mean() - seconds[rows["started"] < 38].mean() == pytest.approx(2 * 9 * 0.05, rel=0.1)


def test_a_longer_trip_between_zones_is_felt_by_each_bulk() -> None:
    it = stack()
    calm, far = run(it), run(it, "zone-delay by 100 ms at 20 s for 80 s")
    assert only(far).latency.mean > only(calm).latency.mean + 0.1
