"""What starting costs: an application on its driver's host, and a broker whose JVM is cold."""

from __future__ import annotations

from typing import Any

import pytest

from models.coefficients import CoefficientSet
from models.spark import warming_work
from simulator.run import simulate
from tests.strategies import FREE, GENERIC, QUIET, bare

START = 6.0
REQUEST = 2e-3


def costing(**known: float) -> CoefficientSet:
    return GENERIC.with_values(QUIET | FREE | {n.replace("__", "."): v for n, v in known.items()})


def used(host: str, c: CoefficientSet, outages: tuple[tuple[float, float], ...] = (), **changed: Any) -> float:
    """CPU of a host over the measured window [CPU s]."""
    trace = simulate(bare(**changed), c, seed=1, outages=outages)
    (one,) = (h for h in trace.hosts if h.name == host)
    return one.utilisation * one.cores * (trace.measured_until - trace.measured_from)


RUN = {"measure": 60.0, "warm_up": 0.0}


def test_a_query_that_starts_again_burns_its_start_on_the_drivers_host() -> None:
    """An outage of 20 s: the start's 6 CPU s fall into its end, and no batch waits for them."""
    away = ((20.0, 20.0),)
    with_start, without = (used("executor", costing(spark__start_cpu_seconds=x), away, run=RUN) for x in (START, 0.0))
    assert with_start - without == pytest.approx(START, rel=0.2)  # a host's background is looked at each second


def test_an_outage_shorter_than_the_start_burns_no_more_than_it_lasts() -> None:
    away = ((20.0, 3.0),)
    with_start, without = (used("executor", costing(spark__start_cpu_seconds=x), away, run=RUN) for x in (START, 0.0))
    assert with_start - without == pytest.approx(3.0, rel=0.4)


def test_no_start_is_charged_where_nothing_starts() -> None:
    both = [used("executor", costing(spark__start_cpu_seconds=x), run=RUN) for x in (START, 0.0)]
    assert both[0] == both[1]


def test_a_brokers_requests_are_those_of_the_rate_of_the_hour() -> None:
    """Linger 5 ms, even arrivals: 300/s come two to a request, 1,600/s nine; the quiet hour costs as if alone."""
    producer = {"count": 1, "linger": 0.005, "partitioner": "keyed"}
    c = costing(kafka__request_cpu_seconds=REQUEST)
    quiet = {"size": 100, "arrivals": 0, "steps": [(60.0, 300.0)]}
    both = {"size": 100, "arrivals": 0, "steps": [(60.0, 300.0), (60.0, 1600.0)]}
    alone, beside = (used("broker", c, run=RUN, flow__workload=w, flow__topic__producer=producer)
                     for w in (quiet, both))  # fmt: skip
    assert alone == pytest.approx(60 * 300 / 2 * REQUEST, rel=0.02)  # 1 + floor(300/s × 5 ms) = 2 a batch
    assert beside == pytest.approx(alone, rel=0.02)


def test_a_cold_broker_spends_the_warm_up_laws_integral() -> None:
    """All that it burns beyond a warm one in a minute is what the law says of its work, whatever the rate."""
    known = {"kafka__request_cpu_seconds": REQUEST, "kafka__warm_amplitude": 10.0, "kafka__warm_work_seconds": 2.0}
    load = {"rate": 100, "size": 100, "arrivals": 0}
    cold, warm = (used("broker", costing(**known), flow__workload=load, run=RUN | {"jvm": jvm})
                  for jvm in ("cold", "warm"))  # fmt: skip
    assert warm == pytest.approx(60 * 100 * REQUEST, rel=0.02)
    assert cold == pytest.approx(warming_work(0.0, warm, 10.0, 2.0), rel=0.1)
