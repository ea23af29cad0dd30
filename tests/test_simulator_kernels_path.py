"""Two engines, one path: the compiled data plane against the same model in plain SimPy, with the same dice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from simulator.trace import Histogram, Trace
from tests.strategies import REGIMES, Case, cases, drawn

TOLERANCE = 1e-9
pytestmark = pytest.mark.filterwarnings(
    "ignore:overflow encountered in scalar:RuntimeWarning"
)  # see test_simulator_kernels


def assert_same_histogram(one: Histogram | None, other: Histogram | None) -> None:
    if one is None or other is None:
        assert one is other
        return
    assert one.count == pytest.approx(other.count, rel=TOLERANCE, abs=TOLERANCE)
    edges = np.union1d(one.edges, other.edges)
    mass = [np.interp(edges, h.edges, h.mass, left=0.0) if len(h.mass) else 0 * edges for h in (one, other)]
    np.testing.assert_allclose(mass[0], mass[1], rtol=TOLERANCE, atol=TOLERANCE * max(1.0, one.count))


def assert_same_path(compiled: Trace, plain: Trace) -> None:
    """Batches, lags, latencies, accounts and loads of two runs are equal to 1e-9."""
    assert compiled.ended == pytest.approx(plain.ended, abs=TOLERANCE)
    for name, a in compiled.flows.items():
        b = plain.flows[name]
        assert len(a.batches) == len(b.batches)
        for column in a.batches.dtype.names:
            np.testing.assert_allclose(
                a.batches[column], b.batches[column], rtol=TOLERANCE, atol=TOLERANCE, err_msg=column
            )
        np.testing.assert_allclose(a.partition_lag, b.partition_lag, rtol=TOLERANCE, atol=TOLERANCE)
        assert a.counts == pytest.approx(b.counts, rel=TOLERANCE, abs=1e-6)
        assert a.outcome == b.outcome
        assert_same_histogram(a.latency, b.latency)
        assert_same_histogram(a.publish, b.publish)
        assert a.hops == pytest.approx(b.hops, rel=1e-7, abs=TOLERANCE)
    for x, y in zip(compiled.hosts, plain.hosts, strict=True):
        assert (x.utilisation, x.peak, x.permits_busy) == pytest.approx(
            (y.utilisation, y.peak, y.permits_busy), rel=1e-7, abs=1e-8
        )
    assert compiled.slots_busy == pytest.approx(plain.slots_busy, rel=1e-7, abs=1e-8)


@pytest.mark.parametrize("regime", REGIMES)
def test_same_seed_same_path(regime: str) -> None:
    @drawn
    @given(cases(regime))
    def equal(case: Case) -> None:
        assert_same_path(case.run("fluid", False)[1], case.run("reference", False)[1])

    equal()


@pytest.mark.parametrize("regime", REGIMES)
def test_same_seed_same_path_with_every_producer_batch(regime: str) -> None:
    @drawn
    @given(cases(regime))
    def equal(case: Case) -> None:
        assert_same_path(case.run("exact", True)[1], case.run("reference", True)[1])

    equal()


@drawn
@given(cases())
def test_a_run_repeats_itself(case: Case) -> None:
    """Every draw is addressed: nothing is left over from the run before."""
    one, two = case.run("fluid", False)[1], case.run("fluid", False)[1]
    for name, flow in one.flows.items():
        assert flow.batches.tobytes() == two.flows[name].batches.tobytes()
        assert flow.latency.mass.tobytes() == two.flows[name].latency.mass.tobytes()
        assert flow.counts == two.flows[name].counts
