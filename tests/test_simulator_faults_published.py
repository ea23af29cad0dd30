"""Laws of faults against the published recovery figures of the fact sheets, one test a figure that has no other.

Held elsewhere: a crashed broker stalls its partitions for 9 s (kafka.md B3), a silent executor is missed after 120 s
and a closed socket at once (spark.md A8), a lost node is back after 60 s + S / ((N - 1) × 40 MB/s) (elasticsearch.md
A13), all in `test_simulator_faults.py`; 2 TB over nine nodes in 1.5 h in `test_planner_storage.py`; flood stage's 30 s
of polling and its release in `test_simulator_faults_recovery.py`. Not on this path: KIP-848's 103 s to 5 s and the
45 s session of consumer groups, as Spark assigns its partitions itself (kafka.md B4, D).
"""

from __future__ import annotations

import numpy as np
import pytest

from models.faults import LAWS, Fault, law
from simulator.run import simulate
from tests.test_simulator_faults import SLOW, longest_gap, only, run, stack

EVEN = {"rate": 1000, "size": 1000, "arrivals": "deterministic"}


def test_producers_give_up_after_two_minutes() -> None:
    """kafka.md B1: delivery.timeout.ms 120 s. Two copies, both wanted, one gone for 200 s: 80 s of four of six
    partitions are given up, where buffers hold all."""
    roomy = {"partitions": 6, "copies": 2, "min_insync": 2, "producer": {"linger": 0, "buffer_memory": "8 GiB"}}
    it = stack(flow__topic=roomy, flow__workload=EVEN, run={"measure": 400.0})
    trace = run(it, "broker-lost 1 at 31 s for 200 s")
    assert list(trace.faults.losses[0]) == ["producers gave up after delivery.timeout"]
    assert only(trace).counts["lost"] == pytest.approx((200 - law("kafka.delivery_timeout")) * 1000 * 4 / 6, rel=0.03)


def test_a_follower_that_cannot_keep_up_leaves_the_in_sync_set_after_thirty_seconds() -> None:
    """kafka.md B2: replica.lag.time.max.ms 30 s."""
    heavy = {"rate": 20_000, "size": 1000, "arrivals": "deterministic"}
    it = stack(flow__workload=heavy, flow__query__sink={"kind": "noop"})
    trace = run(it, "broker-slow 1 to 0.01 % at 31 s for 60 s")
    assert trace.faults.stories[0].noticed - 31 == pytest.approx(law("kafka.lag_time_max"))
    assert trace.faults.partitions[-1].in_sync == 18


def test_another_controller_is_elected_within_three_seconds_and_records_flow_meanwhile() -> None:
    """kafka.md B3: quorum fetch timeout 2 s and election timeout 1 s; the data path is unaffected."""
    it = stack()
    trace = run(it, "controller-lost at 31 s")
    assert trace.faults.stories[0].noticed - 31 == pytest.approx(3.0)
    assert only(trace).batches.tolist() == only(run(it)).batches.tolist()


def test_preferred_leaders_lead_again_at_the_next_check() -> None:
    """kafka.md B2: leader.imbalance.check.interval.seconds 300."""
    trace = run(stack(run={"measure": 320.0}), "broker-lost 1 at 31 s for 40 s")
    led = [(row.time, row.led_by[1]) for row in trace.faults.partitions]
    assert [n for t, n in led if 41 < t < 299] == [0] * len([1 for t, _ in led if 41 < t < 299])
    assert led[-1] == (pytest.approx(300.0), 2)


def test_spark_recovers_from_an_executor_s_loss_within_thirty_seconds_without_a_restart() -> None:
    """spark.md A8: van Dongen and Van den Poel, IEEE Access 2021, abstract; the socket closes, tasks run elsewhere."""
    it = stack(flow__query__sink__bulk_entries=20)
    trace = simulate(it, SLOW, seed=3, faults=[Fault(kind="executor-lost", at=30.5, target="0")])
    assert trace.faults.restarts == [0] and only(trace).outcome == "running"
    assert longest_gap(only(trace)) < 30


@pytest.mark.parametrize("headroom", [1.5, 3.0])
def test_a_backlog_drains_in_its_size_over_what_is_gained(headroom: float) -> None:
    """spark.md A3, line "after an outage": B / (mu - lambda), mu the cap's rate, which two seconds of trigger make."""
    cap = round(1000 * 2 * headroom)
    it = stack(flow__workload=EVEN, flow__query__max_offsets_per_trigger=cap, run={"measure": 400.0})
    rows = only(run(it, "outage spark at 40 s for 60 s")).batches
    back = rows["started"][np.argmax(rows["lag_records"])]
    after = rows[rows["started"] > back]
    drained = after["finished"][np.argmax(after["lag_after"] <= 1000 * 2 * 1.05)]
    backlog = rows["lag_records"].max()
    assert drained - back == pytest.approx(backlog / (1000 * headroom - 1000), rel=0.12)


def test_every_published_law_is_used_by_a_test_or_by_a_fault() -> None:
    """A law that nothing reads would be decoration."""
    from pathlib import Path

    root = Path(__file__).parents[1]
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((root / "simulator").glob("*.py")))
    text += "".join(path.read_text(encoding="utf-8") for path in sorted((root / "planner").glob("fault*.py")))
    unused = [name for name in LAWS if f'law("{name}")' not in text]
    kernel = {"search.primary_timeout"}  # kernels.PRIMARY_TIMEOUT, which a test holds to it
    assert set(unused) <= kernel, unused


def test_a_bulk_waits_a_minute_for_its_primary() -> None:
    """Elasticsearch and OpenSearch: 1 min, then 503; the compiled plane holds the law's number."""
    from simulator.kernels import PRIMARY_TIMEOUT

    assert law("search.primary_timeout") == PRIMARY_TIMEOUT
