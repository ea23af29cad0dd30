"""Nothing is lost and nothing invented: the accounts of drawn runs, at every batch's end and at the run's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given

from simulator import kernels as k
from simulator.run import Simulation, _trace
from tests.strategies import REGIMES, Brief, Case, cases, drawn

pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered in scalar:RuntimeWarning"
)  # see test_simulator_kernels
FRONTS = {"fluid front": ("fluid", False), "every producer batch": ("exact", True)}


class Audited(Brief):
    """A run whose accounts are checked whenever a batch ends."""

    audits = 0

    def record_batch(self, query: Any, number: int, due: float, began: float, start: Any, end: Any, *rest: Any) -> None:
        super().record_batch(query, number, due, began, start, end, *rest)
        self.audits += 1
        assert (end >= start).all() and (start == query.offsets).all()
        audit_front(self, query.number, end)
        audit_documents(self, query.number)
        audit_permits(self)
        if self.level != "reference":
            audit_batch(self, query.number)


def audited(case: Case, front: str) -> Audited:
    level, exact = FRONTS[front]
    return Audited(case.scenario, case.coefficients, case.seed, level, case.rate_factor, case.outages, exact)


def audit_front(sim: Simulation, f: int, cut: np.ndarray) -> None:
    """Offsets: produced = committed + in front, committed = cut + lag, partition by partition."""
    m, now = sim.plane.m, sim.env.now
    base = sim.partition_base[f]
    parts = range(base, sim.partition_base[f + 1])
    readable = sim.plane.committed(f, now)
    assert (readable - cut >= -1e-9).all()
    if not sim.exact_front:
        created = np.array([k.count_at(m.I, m.F, p, now) for p in parts])
        assert (readable <= created + 1e-6).all()
        return
    waiting = 0.0
    for p in parts:
        at = (m.part_head[p] + np.arange(m.part_length[p])) % m.part_line.shape[1]
        waiting += m.part_line[p, at, k.TOTAL].sum()
        if m.log_count[p] > 0:
            assert m.log_end[p] == pytest.approx(m.log_records[p, m.log_count[p] - 1])
        assert m.commit_count[p] <= m.log_count[p]
    appended = sum(m.log_end[p] for p in parts)
    assert m.counts[f, k.PRODUCED] == pytest.approx(appended + waiting, rel=1e-12)
    assert m.counts[f, k.COMMITTED] <= appended + 1e-9
    unread = sum(m.log_records[p, m.commit_count[p] - 1] for p in parts if m.commit_count[p] > 0)
    assert m.counts[f, k.COMMITTED] == pytest.approx(unread, rel=1e-12)
    answered = m.counts[f, k.COMMITTED] if sim.scenario.flows[f].topic.producer.acks == "all" else appended
    unsent = (m.counts[f, k.PRODUCED] - answered) * m.wire_bytes[f]
    assert m.unsent[f] == pytest.approx(unsent, rel=1e-9, abs=1e-3)


def audit_documents(sim: Simulation, f: int) -> None:
    """Documents: visible <= indexed, and what is indexed and not visible waits for a refresh of its node."""
    m, counts = sim.plane.m, sim.plane.look()["counts"][f]
    flow = sim.scenario.flows[f]
    pending = 0.0
    for n in range(len(m.node_host)):
        at = (m.pend_head[f, n] + np.arange(m.pend_length[f, n])) % m.pend_mass.shape[2]
        pending += m.pend_mass[f, n, at].sum()
    indexed = counts[k.INDEXED] / flow.workload.fan_out  # records that the filter kept
    assert counts[k.VISIBLE] + pending == pytest.approx(indexed, rel=1e-9, abs=1e-6)
    if counts[k.DUPLICATED] > 0:
        assert flow.query.sink.ids == "automatic" and counts[k.REJECTED] > 0
    if flow.query.sink.kind == "noop":
        assert counts[k.INDEXED] == counts[k.VISIBLE] == counts[k.REJECTED] == 0
    assert counts[k.LOST] == 0


def audit_permits(sim: Simulation) -> None:
    """Slots, write threads and handlers are neither created nor destroyed."""
    m = sim.plane.m
    assert (m.exec_free >= 0).all() and (m.exec_free <= sim.scenario.spark.cores).all()
    assert (m.node_free >= 0).all() and (m.node_free <= m.node_threads).all()
    assert (m.broker_free >= 0).all() and (m.broker_free <= m.broker_threads).all()
    assert (m.queue_ops >= 0).all() and (m.queue_ops[m.queue_length == 0] == 0).all()
    assert (m.node_bytes > -1e-3).all()
    assert (m.host_weight > -1e-9).all()
    held_by_tasks = int((sim.scenario.spark.cores - m.exec_free).sum())
    assert held_by_tasks + m.I[k.N_READY] <= len(m.task_flow) - m.I[k.FREE_TASKS]


def audit_batch(sim: Simulation, f: int) -> None:
    """A batch ends when all it read is indexed: kept records x fan-out, each once."""
    m = sim.plane.m
    written = sum(row[5] for row in sim.batches[f])
    if sim.queries[f].costs.has_bulks:
        assert m.counts[f, k.INDEXED] == pytest.approx(written, rel=1e-9, abs=1e-6)
    if len(sim.queries) == 1:  # nobody else holds anything
        assert (m.exec_free == sim.scenario.spark.cores).all()
        assert (m.node_free == m.node_threads).all()
        assert m.I[k.FREE_TASKS] == len(m.task_flow) and m.I[k.FREE_BULKS] == len(m.bulk_task)
        np.testing.assert_allclose(m.node_bytes, 0.0, atol=1e-3)


def most_in_flight(sim: Simulation, f: int) -> float:
    """Documents of the batch under way, which its query has not counted as cut yet [documents]."""
    ready = sim.plane.committed(f, sim.env.now) - sim.queries[f].offsets
    return float(ready.sum()) * sim.scenario.flows[f].workload.documents_per_event


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("regime", REGIMES)
def test_accounts_balance_at_every_batch_s_end(regime: str, front: str) -> None:
    @drawn
    @given(cases(regime))
    def balance(case: Case) -> None:
        sim = audited(case, front)
        sim.run()
        for f, flow in enumerate(_trace(sim).flows.values()):
            audit_front(sim, f, sim.queries[f].offsets)
            audit_documents(sim, f)
            it = flow.counts
            load = case.scenario.flows[f].workload
            assert it["produced"] >= it["committed"] - 1e-6 and it["committed"] >= it["cut"] - 1e-6
            assert it["pending"] == pytest.approx(it["produced"] - it["cut"])
            assert it["kept"] + it["filtered"] == pytest.approx(it["cut"])
            assert it["indexed_documents"] <= it["kept"] * load.fan_out + most_in_flight(sim, f) * (1 + 1e-9) + 1e-6
            assert it["cut"] == pytest.approx(flow.batches["records"].sum())
        audit_permits(sim)

    balance()


@pytest.mark.parametrize("regime", ["anything", "crowded", "stateful"])
def test_every_record_of_the_window_is_in_the_histogram_or_known_to_be_missing(regime: str) -> None:
    @drawn
    @given(cases(regime))
    def whole(case: Case) -> None:
        sim = case.simulation("fluid", False)
        sim.run()
        for f, flow in enumerate(_trace(sim).flows.values()):
            query = case.scenario.flows[f].query
            if query.sink.kind == "noop" or flow.outcome != "running":
                continue
            created = sim._created_by(f, sim.measured_until) - sim._created_by(f, sim.measured_from)
            expected = created.sum() * case.scenario.flows[f].workload.kept
            assert flow.latency.count == pytest.approx(expected, rel=0.02, abs=2.0 * len(created) + 3)

    whole()


@drawn
@given(cases("blocking"))
def test_no_producer_waits_while_the_buffer_has_room_for_it(case: Case) -> None:
    sim = case.simulation("exact", True)
    for query in sim.queries:
        sim.env.process(query.run())
    for until in np.linspace(0.0, sim.measured_until, 23)[1:]:
        sim.plane.run_until(float(until))
        m = sim.plane.m
        for f in range(len(sim.queries)):
            if m.blocked_n[f] > 0:
                first = m.stream_n[m.blocked[f, 0]] * m.wire_bytes[f]
                assert m.unsent[f] > 0 and m.unsent[f] + first > m.buffer_bytes[f] * (1 - 1e-9)
