"""Uncertainty: coefficients drawn from their intervals, and intervals from repeated runs.

Quantities here are positive and wrong by factors, so all is done on logarithms. A coefficient's draw is
lognormal with its own spread below and above its value (its low and high are the 5 % and 95 %). Draws
are a Latin hypercube: each coefficient's range is cut into as many slices as there are draws and each
slice used once, which for a few draws of many coefficients lies close to the best that is known
(engine.md C2). Left out: that coefficients fitted together err together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.answers import SHARE, Answer, Domain, Interval, MonteCarlo
from planner.student import quantile

DICE = 0x0D1CE  # stream of the draws; the simulator's own streams are elsewhere
TAIL = (1 - SHARE) / 2
Z = NormalDist().inv_cdf(1 - TAIL)
FURTHEST = 2.5  # standard deviations: beyond, a lognormal says more than its two quantiles know

# What the model itself gets wrong with exact coefficients, by quantity: sets carry it as `model.…` (a log standard
# deviation), told by recordings that were left out of the fit which forecast them. The first that a name begins with.
MODEL = {
    "batch time": "model.batch_time_sigma",
    "mean until": "model.latency_sigma",
    "mean from": "model.latency_sigma",
    "latency p99": "model.tail_sigma",
    "latency": "model.latency_sigma",
    "publish": "model.tail_sigma",
    "lag": "model.lag_sigma",
    "catch-up": "model.catch_up_sigma",
    "throughput": "model.throughput_sigma",
    "sustainable": "model.throughput_sigma",
    "CPU": "model.cpu_sigma",
    "index bytes": "model.bytes_sigma",
    "log bytes": "model.bytes_sigma",
}

SHARES = ("sink.python_overlap", "spark.batch_autocorrelation", "search.async_translog_wait_ratio")  # never above 1


def model_sigma(c: CoefficientSet, quantity: str) -> float:
    """The model's own error in a quantity, as a log standard deviation [1]."""
    return c[model_law(quantity)]


def model_law(quantity: str) -> str:
    """The coefficient that holds the model's own error in a quantity; "" where none does, and no interval is stated."""
    return next((law for start, law in MODEL.items() if quantity.startswith(start)), "")


def draws(coefficients: CoefficientSet, scenario: Scenario, count: int, seed: int) -> list[CoefficientSet]:
    """Sets with every coefficient drawn from its interval; the same seed gives the same sets."""
    names = sorted(name for name in coefficients.values if not name.startswith("model."))  # no law's coefficient
    groups = carried(scenario, coefficients)
    rng = np.random.default_rng((seed, DICE))
    grid = np.array([_slices(rng, count) for _ in range(len(names) + len(groups))])
    out = []
    for k in range(count):
        changed = {name: drawn_values(coefficients, name, grid[i, k]) for i, name in enumerate(names)}
        for g, group in enumerate(groups):
            factor = math.exp(coefficients["hosts.speed_residual_sigma"] * grid[len(names) + g, k])
            changed |= {n: v * factor for n, v in changed.items() if n.startswith(group) and "cpu_seconds" in n}
        out.append(coefficients.with_values(changed))
    return out


def _slices(rng: np.random.Generator, count: int) -> np.ndarray:
    """Standard normal numbers, one from each of `count` equal slices, in random order."""
    shares = (rng.permutation(count) + rng.random(count)) / count
    return np.clip([NormalDist().inv_cdf(min(max(p, 1e-6), 1 - 1e-6)) for p in shares], -FURTHEST, FURTHEST)


def drawn_values(coefficients: CoefficientSet, name: str, z: float) -> float:
    c = coefficients.values[name]
    edge = c.low if z < 0 else c.high
    if c.value > 0 and edge > 0:
        value = c.value * math.exp(abs(z) / Z * math.log(edge / c.value))
    else:
        value = max(0.0, c.value + abs(z) / Z * (edge - c.value))
    if name == "hosts.smt_yield":
        return min(2.0, max(1.0, value))
    return min(1.0, value) if name in SHARES else value


def carried(scenario: Scenario, coefficients: CoefficientSet) -> list[tuple[str, ...]]:
    """Groups of coefficients that are used on machines other than the one they were measured on."""
    groups = {"kafka": ("kafka.",), "spark": ("spark.", "sink."), "elasticsearch": ("search.",)}
    own = {host.name for host in scenario.hosts if host.machine is None and host.per_core_speed is None}
    return [names for part, names in groups.items() if not set(getattr(scenario, part).hosts) & own]


def t_factor(count: int) -> float:
    """Student's t of the interval's end for `count` runs [1].

    >>> round(t_factor(4), 3)
    2.353
    """
    return quantile(1 - TAIL, count - 1)


def answer(
    repeats: Sequence[float], drawn: Sequence[float], unit: str, domain: Domain, *, discrepancy: float = 0.0,
    lower_bound: bool = False, note: str = "",
) -> Answer:  # fmt: skip
    """Value and both intervals from repeats at the central coefficients and runs at drawn ones.

    `discrepancy` is the model's own error (`model_sigma`), which widens the forecast interval that draws give.
    A run in which the quantity has no end (infinite) makes the interval's upper end infinite if more than the
    interval leaves out are such; nan (nothing was counted) is left out.
    """
    runs = [x for x in repeats if not math.isnan(x)]
    others = [x for x in drawn if not math.isnan(x)]
    if not runs:
        return Answer(math.nan, unit, domain=domain, note=note or "nothing was counted")
    ends = [x for x in runs if math.isfinite(x)]
    if len(ends) <= len(runs) / 2:
        return Answer(math.inf, unit, domain=domain, lower_bound=lower_bound, note=note or "no end was seen")
    value, spread = _centre(ends), _spread(ends)
    sampling = _interval(value, spread * math.sqrt(1 + 1 / len(ends)), len(ends)) if len(ends) > 1 else None
    error = MonteCarlo(_share(spread / math.sqrt(len(ends))), 0.0)
    seen = [x for x in others if math.isfinite(x)]
    if len(seen) < 2:
        return Answer(value, unit, sampling, None, error, domain, lower_bound, note)
    wide = math.hypot(max(_spread(seen), spread), discrepancy)
    forecast = _interval(value, wide, 10_000)  # the discrepancy is no sample: normal ends
    low, high = min(forecast.low, sampling.low if sampling else value), forecast.high
    if 1 - len(seen) / len(others) > TAIL:
        high = math.inf
        note = note or f"no end was seen in {len(others) - len(seen)} of {len(others)} draws of the coefficients"
    ends_error = _share(Z * wide / math.sqrt(2 * (len(seen) - 1)))
    return Answer(
        value, unit, sampling, Interval(low, max(high, sampling.high if sampling else value)),
        MonteCarlo(error.value, ends_error), domain, lower_bound, note,
    )  # fmt: skip


def _centre(values: Sequence[float]) -> float:
    """Geometric mean; arithmetic where a value is 0."""
    if min(values) > 0:
        return math.exp(sum(math.log(x) for x in values) / len(values))
    return sum(values) / len(values)


def _spread(values: Sequence[float]) -> float:
    """Standard deviation of the logarithms [1]; of shares of the mean where a value is 0."""
    if len(values) < 2 or max(values) <= 0:
        return 0.0
    if min(values) > 0:
        logs = [math.log(x) for x in values]
    else:
        mean = sum(values) / len(values)
        logs = [x / mean for x in values]
    return float(np.std(logs, ddof=1))


def _interval(value: float, spread: float, count: int) -> Interval:
    reach = (Z if count > 1000 else t_factor(count)) * spread
    return Interval(value * math.exp(-reach), value * math.exp(reach))


def _share(spread: float) -> float:
    return math.expm1(spread) if spread < 20 else math.inf
