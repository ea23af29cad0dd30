"""The compiled primitives against closed forms: dice, events, hosts, histogram, curves, producer batches, fetch loops.

Formulas of waiting: M/G/1-PS and M/M/c as in any text on queues (Kleinrock); truncated batches and the long-poll
loop as in docs/model.md. Tolerances: four standard errors, by batch means, and a few per cent beside.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numba import njit
from scipy import special, stats

from models.coefficients import LAWS
from simulator import kernels as k
from simulator.layout import Built, build
from simulator.memory import Memory
from simulator.trace import from_ramps
from tests.strategies import GENERIC, QUIET, SHORT, bare

FEW = 20 if SHORT else 1  # divides sample sizes
# numpy's own 64-bit integers warn where they wrap around; compiled ones do not
pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in scalar:RuntimeWarning")


def tiny(
    exact: bool = False, until: float = 10.0, costs: dict[str, float] | None = None, seed: int = 1, **changed
) -> Built:
    return build(bare(**changed), GENERIC.with_values(QUIET | (costs or {})), seed, exact, 1.0, (0.0, until), until)


def z_of(values: np.ndarray, expected: float, batches: int = 40) -> float:
    """Standard errors between a mean and what it should be, the error from means of consecutive batches."""
    means = values[: len(values) // batches * batches].reshape(batches, -1).mean(axis=1)
    return float((means.mean() - expected) / (means.std(ddof=1) / math.sqrt(batches)))


# ---------------------------------------------------------------- dice


def along(axis: int, n: int, draw: Callable[..., float] = k.uniform) -> np.ndarray:
    """Draws at addresses that differ in one place: seed, stream, a, b or c."""
    address = [7, 3, 5, 11, 2]
    out = np.empty(n)
    for at in range(n):
        address[axis] = at
        out[at] = draw(*address)
    return out


@pytest.mark.parametrize("axis", range(5), ids=["seed", "stream", "a", "b", "c"])
def test_dice_are_uniform_along_every_place_of_their_address(axis: int) -> None:
    u = along(axis, 40_000 // FEW)
    assert stats.kstest(u, "uniform").pvalue > 1e-4
    assert u.min() > 0.0 and u.max() < 1.0
    for lag in (1, 2, 10):
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 4.5 / math.sqrt(len(u))


def test_dice_of_neighbouring_addresses_are_independent() -> None:
    """Pairs fill the square evenly: chi-square over 16 x 16 cells, for each pair of neighbouring places."""
    base = [7, 3, 5, 11, 2]
    for axis in range(5):
        u, v = np.empty(20_000 // FEW), np.empty(20_000 // FEW)
        for n in range(len(u)):
            address = list(base)
            address[(axis + 1) % 5] = n
            u[n] = k.uniform(*address)
            address[axis] += 1
            v[n] = k.uniform(*address)
        cells = (
            np.histogram2d(u, v, bins=16, range=[[0, 1], [0, 1]])[0] if not SHORT else np.histogram2d(u, v, bins=4)[0]
        )
        assert stats.chisquare(cells.ravel()).pvalue > 1e-4, axis


def test_swapped_addresses_are_other_dice() -> None:
    draws = {k.uniform(7, 3, a, b, c) for a in range(6) for b in range(6) for c in range(6)}
    assert len(draws) == 216


def test_normal_dice_are_the_inverse_of_their_uniforms() -> None:
    for n in range(3000 // FEW):
        x, u = k.normal(5, 1, n, 0, 0), k.uniform(5, 1, n, 0, 0)
        assert x == pytest.approx(special.ndtri(u), rel=2e-9, abs=2e-9)


def test_exponential_and_lognormal_dice_have_mean_one() -> None:
    n = 40_000 // FEW
    e = np.array([k.exponential(2, 1, a, 0, 0) for a in range(n)])
    assert stats.kstest(e, "expon").pvalue > 1e-4
    factor = np.array([k.lognormal(0.6, 2, 2, a, 0, 0) for a in range(n)])
    assert abs(factor.mean() - 1) < 4 * factor.std() / math.sqrt(n)
    assert np.log(factor).std() == pytest.approx(0.6, rel=0.02 * math.sqrt(FEW))
    assert k.lognormal(0.0, 2, 2, 1, 0, 0) == 1.0


@pytest.mark.parametrize("mean", [0.3, 4.0, 49.0, 51.0, 900.0])
def test_poisson_dice_count_as_poisson_does(mean: float) -> None:
    """Up to a mean of 50 by inversion, beyond it by the normal law: mean and variance hold on both sides."""
    n = 30_000 // FEW
    x = np.array([k.poisson(mean, 3, 1, a, 0, 0) for a in range(n)])
    assert abs(x.mean() - mean) < 4.5 * math.sqrt(mean / n)
    assert x.var() / mean == pytest.approx(1.0, abs=4.5 * math.sqrt((2 + 1 / mean) / n))
    assert (x == np.floor(x)).all() and x.min() >= 0
    edges = np.unique(stats.poisson.ppf([0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98], mean))
    seen = np.searchsorted(np.sort(x), edges, side="right") / n
    assert np.abs(seen - stats.poisson.cdf(edges, mean)).max() < 2.5 / math.sqrt(n) + 0.004


# ---------------------------------------------------------------- event list


@njit
def pop(integers, floats):
    k._pop(k.bare(integers), k.bare(floats))


def test_events_come_in_order_and_ties_in_the_order_they_were_pushed() -> None:
    m = tiny().memory
    m.I[k.N_EVENTS] = 0
    rng = np.random.default_rng(1)
    room = len(m.event_time) - 1
    for _ in range(30 // (FEW if SHORT else 1) + 1):
        times = rng.integers(0, 12, room).astype(float)
        for n, time in enumerate(times):
            k.push(m.I, m.F, time, n % 7, n, 0)
        order = []
        while m.I[k.N_EVENTS] > 0:
            order.append(int(m.event_a[0]))
            pop(m.I, m.F)
        assert order == list(np.argsort(times, kind="stable"))


# ---------------------------------------------------------------- hosts: processor sharing


def respond(m: Memory, host: int, arrivals: np.ndarray, work: np.ndarray, weight: float = 1.0) -> np.ndarray:
    """Time that each job spends on a host; job n enters at arrivals[n]."""
    left = np.empty(len(work))

    def run_to(until: float) -> None:
        while k.advance(m.I, m.F, until) == k.DONE:
            for j in range(m.I[k.N_DONE]):
                left[m.done_a[j]] = m.F[k.NOW]

    m.I[k.N_EVENTS] = 0  # no refreshes
    for n in range(len(work)):
        run_to(arrivals[n])
        k.add_job(m.I, m.F, host, work[n], weight, k.DRIVER, n, 0, 0)
    run_to(arrivals[-1] + 1e7)
    return left - arrivals


def one_host(cores: float, speed: float = 1.0) -> tuple[Memory, int]:
    m = tiny().memory
    m.host_cores[1], m.host_speed[1] = cores, speed
    return m, 1


SIZES = {
    "exponential": lambda rng, n: rng.exponential(1.0, n),
    "constant": lambda rng, n: np.ones(n),
    "two kinds": lambda rng, n: np.where(rng.random(n) < 0.1, 5.5, 0.5),  # mean 1, squared cv 2.25
}


@pytest.mark.parametrize("sizes", SIZES)
def test_a_core_shared_by_all_answers_in_work_over_what_is_left(sizes: str) -> None:
    """M/G/1-PS: mean response S / (1 - rho), whatever the sizes; a job's own in proportion to its size."""
    rho, n, rng = 0.7, 200_000 // FEW, np.random.default_rng(5)
    work = SIZES[sizes](rng, n)
    m, host = one_host(1.0)
    # every job leaves before the table of jobs is full: its size is proven from slots, and 60 are never together here
    seen = respond(m, host, np.cumsum(rng.exponential(1 / rho, n)), work)
    assert abs(z_of(seen, 1 / (1 - rho))) <= 4
    assert seen.mean() == pytest.approx(1 / (1 - rho), rel=0.03 * math.sqrt(FEW))
    if sizes == "two kinds":
        for size in (0.5, 5.5):
            own = seen[work == size]
            assert own.mean() / size == pytest.approx(1 / (1 - rho), rel=0.04 * math.sqrt(FEW))
    assert m.host_work[host] == pytest.approx(work.sum(), rel=1e-9)


def test_a_host_of_several_cores_queues_like_as_many_servers() -> None:
    """Jobs of one thread: as many on the host as in M/M/c, so the mean response is 1 / mu + C / (c mu - lam)."""
    c, lam, n, rng = 4, 3.2, 200_000 // FEW, np.random.default_rng(6)
    m, host = one_host(float(c))
    seen = respond(m, host, np.cumsum(rng.exponential(1 / lam, n)), rng.exponential(1.0, n))
    a = lam
    last = a**c / math.factorial(c) / (1 - a / c)
    wait = last / (sum(a**j / math.factorial(j) for j in range(c)) + last) / (c - lam)
    assert abs(z_of(seen, 1 + wait)) <= 4
    assert seen.mean() == pytest.approx(1 + wait, rel=0.03 * math.sqrt(FEW))


def test_a_faster_core_does_the_same_in_less_time() -> None:
    rng = np.random.default_rng(7)
    gaps, work = np.cumsum(rng.exponential(1.5, 500)), rng.exponential(1.0, 500)
    slow = respond(*one_host(1.0), gaps, work)
    fast = respond(*one_host(1.0, speed=2.0), gaps / 2, work)
    np.testing.assert_allclose(fast, slow / 2, rtol=1e-9)


def test_equal_jobs_that_come_together_leave_together() -> None:
    """D/D/1 burst, shared: n jobs of work w on c cores all take n w / c."""
    m, host = one_host(2.0)
    seen = respond(m, host, np.zeros(10), np.full(10, 0.3))
    np.testing.assert_allclose(seen, 10 * 0.3 / 2, rtol=1e-12)


def test_a_job_of_several_threads_is_no_faster_than_its_cores() -> None:
    m, host = one_host(8.0)
    assert respond(m, host, np.zeros(1), np.array([2.0]), weight=4.0)[0] == pytest.approx(0.5)
    m, host = one_host(2.0)
    assert respond(m, host, np.zeros(1), np.array([2.0]), weight=4.0)[0] == pytest.approx(1.0)


def test_an_alone_job_takes_its_work() -> None:
    m, host = one_host(64.0)
    seen = respond(m, host, np.arange(50.0), np.linspace(0.01, 0.9, 50))
    np.testing.assert_allclose(seen, np.linspace(0.01, 0.9, 50), rtol=1e-12)


def test_a_pause_stops_every_job_of_its_host() -> None:
    """Two jobs at once are late by the same pauses, and by all of them."""
    costs = {"spark.pause_per_cpu_second": 2.0, "spark.pause_seconds": 0.05}
    built = tiny(costs=costs)
    m, host = built.memory, built.placement.executors[0]
    m.host_cores[host] = 2.0
    seen = respond(m, host, np.zeros(2), np.array([10.0, 10.0]))
    pauses = [0.05 * k.exponential(1, k.DICE_PAUSE, host, n, 0) for n in range(m.host_pauses[host])]
    assert len(pauses) > 20
    np.testing.assert_allclose(seen, 10.0 + sum(pauses), rtol=1e-9)


def test_pauses_come_with_the_cpu_spent() -> None:
    """As many a CPU second as the coefficient says, Poisson, however many jobs share the host."""
    counts = []
    for seed in range(40 // (4 if SHORT else 1)):
        built = tiny(costs={"spark.pause_per_cpu_second": 3.0, "spark.pause_seconds": 0.01}, seed=seed)
        host = built.placement.executors[0]
        respond(built.memory, host, np.zeros(4), np.full(4, 5.0))
        counts.append(int(built.memory.host_pauses[host]))
    expected = 3.0 * 20
    assert abs(np.mean(counts) - expected) < 4 * math.sqrt(expected / len(counts))


# ---------------------------------------------------------------- latency histogram


def test_ramps_add_up_to_the_exact_distribution() -> None:
    """At every bin's edge the cumulative mass is that of evenly spread records, fine and coarse bins alike."""
    m = tiny().memory
    fine, coarse = m.F[k.FINE_WIDTH], m.F[k.COARSE_WIDTH]
    rng = np.random.default_rng(8)
    n = 400 // (4 if SHORT else 1)
    low = rng.exponential(3.0, n)
    high = low + rng.choice([0.0, 1e-4, 0.4, 3.0], n) * rng.random(n)
    mass = rng.exponential(100.0, n)
    for a, b, w in zip(low, high, mass, strict=True):
        k.ramp(m.I, m.F, k.SLOPE, k.STEP, 0, a, b, w, fine, coarse)
    seen = from_ramps(m.slope[0], m.step[0], fine, coarse, 0.0)
    edges = seen.edges

    def exact(x: float) -> float:
        inside = np.clip((x - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
        return float((mass * np.where(high > low, inside, x >= low)).sum())

    told = np.interp(edges, edges, seen.mass)
    for at in range(0, len(edges), max(1, len(edges) // 200)):
        slack = mass[(high - low < fine) & (np.abs(low - edges[at]) <= 2 * fine)].sum()  # a bin wide at most
        assert told[at] == pytest.approx(exact(edges[at]), abs=slack + 1e-6)
    assert seen.mass[-1] == pytest.approx(mass.sum(), rel=1e-9)
    assert seen.mean == pytest.approx(float((mass * (low + high) / 2).sum() / mass.sum()), abs=fine)


def test_quantiles_of_ramps_are_those_of_their_records() -> None:
    m = tiny().memory
    fine, coarse = m.F[k.FINE_WIDTH], m.F[k.COARSE_WIDTH]
    rng = np.random.default_rng(9)
    records = []
    for _ in range(300 // (4 if SHORT else 1)):
        low, span, count = rng.uniform(0.5, 2.0), rng.uniform(0.0, 2.0), int(rng.integers(1, 200))
        k.ramp(m.I, m.F, k.SLOPE, k.STEP, 0, low, low + span, float(count), fine, coarse)
        records.append(low + span * (np.arange(count) + 0.5) / count)
    every = np.sort(np.concatenate(records))
    seen = from_ramps(m.slope[0], m.step[0], fine, coarse, 0.0)
    for q in (0.01, 0.5, 0.9, 0.99, 0.999):
        assert seen.quantile(q) == pytest.approx(np.quantile(every, q), abs=0.02 if SHORT else 0.005)


def test_latencies_beyond_the_fine_bins_are_kept_in_coarse_ones() -> None:
    m = tiny(until=400.0).memory
    fine, coarse = m.F[k.FINE_WIDTH], m.F[k.COARSE_WIDTH]
    k.ramp(m.I, m.F, k.SLOPE, k.STEP, 0, 100.0, 300.0, 10.0, fine, coarse)
    k.ramp(m.I, m.F, k.SLOPE, k.STEP, 0, 1.0, 2.0, 10.0, fine, coarse)
    seen = from_ramps(m.slope[0], m.step[0], fine, coarse, 0.0)
    assert seen.count == pytest.approx(20.0)
    assert seen.quantile(0.25) == pytest.approx(1.5, abs=fine)
    assert seen.quantile(0.75) == pytest.approx(200.0, abs=coarse)


# ---------------------------------------------------------------- curves


def test_creation_times_and_counts_are_inverse() -> None:
    m = tiny().memory
    for offset in np.linspace(1.0, 9_000.0, 57):
        time = k.created(m.I, m.F, 0, offset)
        assert k.count_at(m.I, m.F, 0, time) == pytest.approx(offset, rel=1e-9)


def test_the_first_record_behind_a_silence_was_created_after_it() -> None:
    """The same offset ends one record before the silence and begins the next after it."""
    m = tiny(flow__workload={"size": 100, "arrivals": 0, "steps": [[2.0, 100], [3.0, 0], [2.0, 100]]}).memory
    assert k.created(m.I, m.F, 0, 200.0) == pytest.approx(2.0, abs=0.06)
    assert k.created_from(m.I, m.F, 0, 200.0) == pytest.approx(5.0, abs=0.06)


@pytest.mark.parametrize("dispersion", [0.0, 1.0, 8.0])
def test_counts_scatter_by_the_index_of_dispersion(dispersion: float) -> None:
    times = np.linspace(0.0, 200.0, 4001 // (4 if SHORT else 1))
    count = np.empty(len(times))
    k.draw_curve(4, 0, 0, times, 900.0 * times, dispersion, count)
    cells = np.diff(count)
    mean = 900.0 * times[1]
    assert abs(cells.mean() - mean) <= 4.5 * math.sqrt(dispersion * mean / len(cells)) + 1e-9
    assert cells.var() / mean == pytest.approx(dispersion, rel=4.5 * math.sqrt(2 / len(cells)), abs=1e-9)


# ---------------------------------------------------------------- producers


def batches_of(rate: float, linger: float, most: float, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Records, time open and cycle of n producer batches of one stream."""
    m = tiny(exact=True).memory
    m.rate[:], m.linger[:], m.most_records[:] = rate, linger, most
    assert m.stream_share[0] == pytest.approx(1 / len(m.stream_share))
    m.stream_share[:] = 1.0
    records, open_for, close = np.empty(n), np.empty(n), np.empty(n + 1)
    close[0] = m.stream_clock[0] = 0.0
    m.stream_k[0] = 0
    for j in range(n):
        m.I[k.N_EVENTS] = 0
        k.open_batch(m.I, m.F, 0)
        records[j], close[j + 1] = m.stream_n[0], m.stream_clock[0]
        open_for[j] = close[j + 1] - m.stream_first[0]
    return records, open_for, np.diff(close)


@pytest.mark.parametrize(
    ("rate", "linger", "most"), [(1000.0, 0.005, 9.0), (4000.0, 0.005, 16.0), (100.0, 0.02, 500.0)]
)
def test_producer_batches_are_truncated_poisson(rate: float, linger: float, most: float) -> None:
    """P(full) = P(Erlang(most - 1) < linger); E n = 1 + E min(Poisson, most - 1); E n / E cycle = rate."""
    n = 30_000 // FEW
    records, open_for, cycle = batches_of(rate, linger, most, n)
    full = stats.gamma.cdf(linger, most - 1, scale=1 / rate)
    assert abs((records == most).mean() - full) <= 4.5 * math.sqrt(full * (1 - full) / n) + 1e-9
    counts = np.arange(int(most))
    weights = stats.poisson.pmf(counts, rate * linger)
    mean = 1 + float((counts * weights).sum()) + (most - 1) * (1 - weights.sum())
    assert abs(z_of(records, mean)) <= 4
    assert records.sum() / cycle.sum() == pytest.approx(rate, rel=0.02 * math.sqrt(FEW))
    assert (open_for <= linger + 1e-12).all()
    if full < 1e-6:
        np.testing.assert_allclose(open_for, linger)


def test_no_linger_sends_every_record_alone() -> None:
    records, open_for, cycle = batches_of(500.0, 0.0, 100.0, 4000 // FEW)
    assert (records == 1).all() and (open_for == 0).all()
    assert stats.kstest(cycle * 500.0, "expon").pvalue > 1e-4


def test_sticky_batches_choose_partitions_by_their_shares() -> None:
    m = tiny(
        exact=True,
        flow__workload__partition_skew=1.0,
        flow__topic__partitions=4,
        flow__topic__producer={"count": 1, "partitioner": "sticky"},
    ).memory
    chosen = np.empty(8000 // FEW, dtype=int)
    for j in range(len(chosen)):
        m.I[k.N_EVENTS] = 0
        k.open_batch(m.I, m.F, 0)
        chosen[j] = m.stream_part[0]
    expected = np.array([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12) * len(chosen)
    assert stats.chisquare(np.bincount(chosen, minlength=4), expected).pvalue > 1e-4


def test_a_stream_stays_silent_while_its_rate_is_zero() -> None:
    m = tiny(exact=True, flow__workload={"size": 100, "steps": [[1.0, 0], [1.0, 200], [1.0, 0]]}).memory
    m.stream_share[:] = 1.0
    m.stream_clock[0], m.stream_k[0] = 0.0, 0
    first = []
    while True:
        m.I[k.N_EVENTS] = 0
        k.open_batch(m.I, m.F, 0)
        if m.I[k.N_EVENTS] == 0:
            break
        first.append(m.stream_first[0])
    assert min(first) >= 1.0 and max(first) <= 2.0
    assert 60 < len(first) < 220


# ---------------------------------------------------------------- brokers


NO_BROKER_CPU = {name: 0.0 for name in LAWS if name.startswith("kafka.") and name.endswith("_seconds")}
ALONE = {"count": 1, "linger": 0, "batch_size": 200}  # every record a batch of its own


def front(**changed: object) -> Built:
    """Two brokers, one partition of two copies; only the fetch loop takes time."""
    return tiny(
        exact=True,
        costs=NO_BROKER_CPU,
        flow__workload__rate=300,
        flow__topic={"partitions": 1, "copies": 2, "min_insync": 1, "producer": ALONE},
        hosts=[{"name": name, "cores": 64} for name in ("leader", "follower", "executor", "node")],
        kafka={"brokers": 2, "hosts": ["leader", "follower"]},
        **changed,
    )


def run_front(built: Built, until: float) -> Memory:
    from simpy import Environment

    from simulator.plane import CompiledPlane

    plane = CompiledPlane(Environment(), built)
    plane.run_until(until)
    plane.look()
    return plane.m


def test_a_follower_s_fetch_loop_waits_as_long_polls_do() -> None:
    """M/D[inf]/1: a fetch every T + exp(-lam T) / lam; a record waits T + P(busy) T / 2."""
    until = 200.0 / FEW
    built = front(until=until)
    m = built.memory
    m.serve_cpu[:] = 0.002
    trip = float(m.front_trip[0])
    seen = run_front(built, until)
    lam, whole = 300.0, 0.002 + 2 * trip
    every = whole + math.exp(-lam * whole) / lam
    fetches = seen.host_work[0] / 0.002
    assert fetches / until == pytest.approx(1 / every, rel=0.01 * math.sqrt(FEW))
    publish = from_ramps(seen.publish_slope[0], seen.publish_step[0], 1e-4, 0.01, 0.0)
    delay = whole + whole / every * whole / 2 + trip
    assert publish.mean == pytest.approx(delay, rel=0.01 * math.sqrt(FEW), abs=6e-5)


def test_a_broker_with_one_handler_appends_one_batch_at_a_time() -> None:
    """M/D/1 in front of the handler: Wq = rho / (2 mu (1 - rho))."""
    until = 100.0 / FEW
    built = tiny(
        exact=True,
        until=until,
        costs=NO_BROKER_CPU,
        flow__workload__rate=350,
        flow__topic={"partitions": 8, "copies": 1, "min_insync": 1, "producer": ALONE},
        kafka={"io_threads": 1},
    )
    built.memory.request_cpu[:] = 0.002
    seen = run_front(built, until)
    publish = from_ramps(seen.publish_slope[0], seen.publish_step[0], 1e-4, 0.01, 0.0)
    rho = 350 * 0.002
    assert publish.mean - 0.002 == pytest.approx(rho * 0.002 / (2 * (1 - rho)), rel=0.1 * math.sqrt(FEW))


def test_what_producers_sent_is_in_the_log_or_on_the_way() -> None:
    until = 20.0 / FEW
    built = front(until=until)
    built.memory.serve_cpu[:] = 0.002
    m = run_front(built, until)
    line = (m.part_head[0] + np.arange(m.part_length[0])) % m.part_line.shape[1]
    waiting = m.part_line[0, line, k.TOTAL].sum()
    assert m.counts[0, k.PRODUCED] == pytest.approx(m.log_end[0] + waiting)
    assert m.counts[0, k.COMMITTED] == m.log_records[0, m.commit_count[0] - 1]
    assert 0 <= m.log_end[0] - m.counts[0, k.COMMITTED] < 50


# ---------------------------------------------------------------- write pool


def write_pool(shards: int, bulks: int) -> Memory:
    """A data node with one write thread, asked at once by so many bulks of so many shard operations."""
    m = tiny(
        flow__index__primaries=shards,
        flow__query__sink__writers_per_task=16,
        elasticsearch={"write_threads": 1},
    ).memory
    m.I[k.N_EVENTS] = 0
    for bulk in range(bulks):
        m.bulk_task[bulk] = 0
        m.bulk_documents[bulk] = 100.0
        m.bulk_left[bulk] = 1
        k.ask_threads(m.I, m.F, 0, bulk, 0, int(m.primary_threads[0, 0]))
    return m


def test_a_full_write_queue_refuses_the_next_bulk() -> None:
    """One runs, 9 x 1,024 operations wait, the next would make more than 10,000: 429."""
    m = write_pool(1024, 10)
    assert (m.queue_length[0], m.queue_ops[0], m.counts[0, k.REJECTED]) == (9, 9216, 0.0)
    m = write_pool(1024, 12)
    assert (m.queue_length[0], m.queue_ops[0], m.counts[0, k.REJECTED]) == (9, 9216, 200.0)
    assert (m.bulk_left[10], m.bulk_left[11], m.bulk_left[9]) == (0, 0, 1)


def test_a_node_takes_no_more_threads_than_it_has() -> None:
    m = write_pool(4, 3)
    assert m.node_free[0] == 0 and m.host_weight[2] == 1.0 and m.queue_ops[0] == 8
