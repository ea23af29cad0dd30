"""The recursion over batches that `months.py` runs, compiled: one step a batch, nothing inside it.

Self-contained on purpose: numba's cache of a function does not see a change in another file, so what this
file shares with `kernels.py` (the dice, the ramp) is written out again and a test holds the two together.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

DICE_BATCH, DICE_RESIDUAL = 10, 40  # the first is kernels.DICE_BATCH: the same batch draws the same number
POLLING_DELAY = 0.01  # models/spark.py; a literal because compiled code reads no other file
# columns of the series
MOST_LAG, MOST_AGE, SECONDS, RECORDS, BATCHES, LATE = range(6)


@njit(cache=True)
def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True)
def uniform(seed, stream, a, b, c):
    """A number in (0, 1) that belongs to this address, as in kernels.uniform."""
    z = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(stream + 1) * np.uint64(0xD1B54A32D192ED03)
    z = _mix(z + np.uint64(a + 1) * np.uint64(0x8CB92BA72F3D8DD7))
    z = _mix(z + np.uint64(b + 1) * np.uint64(0xABC98388FB8FAC03))
    z = _mix(z + np.uint64(c + 1) * np.uint64(0xDA942042E4DD58B5))
    return (np.float64(z >> np.uint64(11)) + 0.5) * 1.1102230246251565e-16


@njit(cache=True)
def normal(seed, stream, a, b):
    """A standard normal number of that address, as in kernels.normal with c = 0 (Acklam's inverse)."""
    p = uniform(seed, stream, a, b, 0)
    if p < 0.02425 or p > 0.97575:
        q = math.sqrt(-2.0 * math.log(p if p < 0.5 else 1.0 - p))
        top = (((-0.007784894002430293 * q - 0.3223964580411365) * q - 2.400758277161838) * q - 2.549732539343734) * q
        top = (top + 4.374664141464968) * q + 2.938163982698783
        low = ((0.007784695709041462 * q + 0.3224671290700398) * q + 2.445134137142996) * q + 3.754408661907416
        x = top / (low * q + 1.0)
        return x if p < 0.5 else -x
    q = p - 0.5
    r = q * q
    top = (((-39.69683028665376 * r + 220.9460984245205) * r - 275.9285104469687) * r + 138.3577518672690) * r
    top = ((top - 30.66479806614716) * r + 2.506628277459239) * q
    low = (((-54.47609879822406 * r + 161.5858368580409) * r - 155.6989798598866) * r + 66.80131188771972) * r
    return top / ((low - 13.28068155288572) * r + 1.0)


@njit(cache=True)
def batch_noise(seed, flow, count, phi, sigma):
    """Autocorrelated factor on the CPU of each of `count` batches, mean 1: as simulator.spark draws it."""
    out = np.empty(count)
    drift = 0.0
    for k in range(count):
        z = normal(seed, DICE_BATCH, flow, k)
        drift = z if k == 0 else phi * drift + math.sqrt(1.0 - phi * phi) * z
        out[k] = math.exp(sigma * drift - 0.5 * sigma * sigma)
    return out


@njit(cache=True)
def created_by(times, rates, totals, at):
    """Events created by a time: rates are steps, `totals` the events by each step's start."""
    if at <= times[0]:
        return 0.0
    k = np.searchsorted(times, at, side="right") - 1
    return totals[k] + rates[k] * (at - times[k])


@njit(cache=True)
def created_at(times, rates, totals, offset):
    """When the event of that number was created."""
    k = np.searchsorted(totals, offset, side="left") - 1
    k = min(max(k, 0), len(times) - 1)
    while k > 0 and rates[k] <= 0.0:
        k -= 1
    if rates[k] <= 0.0:
        return times[k]
    return times[k] + (offset - totals[k]) / rates[k]


@njit(cache=True)
def _ramp(slope, step, low, high, mass, fine, coarse, fine_bins, coarse_bins):
    """`mass` spread evenly over low..high joins the second differences of a histogram, as in kernels.ramp."""
    low = max(low, 0.0)
    high = max(high, low)
    width, base, bins = fine, 0, fine_bins
    if high >= fine * (fine_bins - 2):
        width, base, bins = coarse, fine_bins, coarse_bins
    x0, x1 = min(low / width, bins - 2.0), min(high / width, bins - 2.0)
    k0, k1 = int(x0) + 1, int(x1) + 1
    if x1 - x0 < 1e-9:
        step[base + k0] += mass
        return
    rise = mass / (x1 - x0)
    step[base + k0] += rise * (k0 - x0)
    slope[base + k0] += rise
    step[base + k1] -= rise * (k1 - x1)
    slope[base + k1] -= rise


@njit(cache=True)
def _next_start(started, ended, interval):
    """models.spark.next_start: a late batch fires at once, else the next tick is waited for."""
    if interval <= 0.0:
        return ended
    tick = math.floor(started / interval + 1e-9) * interval + interval
    return tick if ended <= tick else ended


@njit(cache=True)
def warming_work(done, warm, amplitude, w0):
    """models.spark.warming_work: CPU that a JVM spends on work of `warm` seconds after it has spent `done` [s]."""
    if done > 600.0 * w0:
        return warm
    if warm > 600.0 * w0:
        return warm + w0 * math.log(math.exp(done / w0) + amplitude) - done
    return w0 * (warm / w0 + math.log(math.exp(done / w0) + amplitude - amplitude * math.exp(-warm / w0))) - done


@njit(cache=True)
def recurse(times, rates, totals, outages, trigger, most, delay, window, until, seed, flow, phi, sigma, run_factor,
            cold, warm_amplitude, warm_work, levels, base, per_factor, rest, work, python, starts, ends, shifts,
            weights, bulks, slope, step, fine, coarse, fine_bins, coarse_bins, series, series_step):  # fmt: skip
    """Batch by batch from 0 to `until`, or until the window's records are read.

    Tables run over `levels` (records of a batch): duration is base + per_factor × factor, with residual `rest`; `work`
    is the CPU that warms one executor's JVM, `python` the part of it that no cold JVM stretches;
    a task group j starts and ends at the shares starts[l, j], ends[l, j] of it, its records show `shifts[l]` later.
    Returns batches, records read, records beyond the last level, time, batches that started late, offset of the window.
    """
    top = len(levels) - 1
    groups = weights.shape[1]
    first, last = created_by(times, rates, totals, window[0]), created_by(times, rates, totals, window[1])
    now, offset, drift, done_work, number, late = 0.0, 0.0, 0.0, 0.0, 0, 0
    beyond, is_cold = 0.0, cold
    outage = 0
    while now < until and offset < last - 1e-6:
        while outage < outages.shape[0] and now >= outages[outage, 0]:
            back = outages[outage, 0] + outages[outage, 1]
            outage += 1
            if now < back:
                now, is_cold, done_work = back, True, 0.0
        ready = math.floor(created_by(times, rates, totals, now - delay) + 1e-6)
        n = min(ready - offset, most)
        if n < 1.0:
            if trigger > 0.0:
                now = _next_start(now, now, trigger)
            else:  # nothing to read: polls until there is; passed over in one step
                now = max(now + POLLING_DELAY, created_at(times, rates, totals, offset + 1.0) + delay)
            continue
        z = normal(seed, DICE_BATCH, flow, number)
        drift = z if number == 0 else phi * drift + math.sqrt(1.0 - phi * phi) * z
        factor = math.exp(sigma * drift - 0.5 * sigma * sigma) * run_factor
        at = min(max(np.searchsorted(levels, n) - 1, 0), top - 1)
        x = (n - levels[at]) / (levels[at + 1] - levels[at])
        spends = factor * max(work[at] + x * (work[at + 1] - work[at]), 1e-9)
        if is_cold:
            share = 1.0 - min(factor * max(python[at] + x * (python[at + 1] - python[at]), 0.0) / spends, 1.0)
            spent = warming_work(done_work, spends, warm_amplitude * share, warm_work)
            factor *= spent / spends
            spends = spent
        if n > 1.02 * levels[top]:  # a cap's last few records are rounding
            beyond += n
        seconds = (
            base[at]
            + x * (base[at + 1] - base[at])
            + factor * (per_factor[at] + x * (per_factor[at + 1] - per_factor[at]))
        )
        scatter = rest[at] + min(max(x, 0.0), 1.0) * (rest[at + 1] - rest[at])
        seconds = max(seconds + scatter * normal(seed, DICE_RESIDUAL, flow, number), 0.2 * seconds, 1e-3)
        done_work += spends
        c0 = created_at(times, rates, totals, offset)
        c1 = created_at(times, rates, totals, offset + n)
        near = at if x < 0.5 else at + 1
        if c1 > window[0] and c0 < window[1]:
            pieces = 1
            if np.searchsorted(times, c1) > np.searchsorted(times, c0, side="right"):
                pieces = 16  # the rate changed while these were created
            parts = max(bulks[near], pieces) if bulks[near] <= 4 else pieces
            stepped = bulks[near] <= 4
            a = c0
            for p in range(parts):
                u0, u1 = p / parts, (p + 1.0) / parts
                b = c1 if p == parts - 1 else created_at(times, rates, totals, offset + u1 * n)
                lo, hi = max(a, window[0]), min(b, window[1])
                if hi > lo or (hi == lo and b == a):
                    mass = n / parts * ((hi - lo) / (b - a) if b > a else 1.0)
                    v0, v1 = u0 + 0.5 / bulks[near], u1 + 0.5 / bulks[near]
                    if stepped:
                        v0 = math.ceil(u1 * bulks[near] - 1e-9) / bulks[near]
                        v1 = v0
                    if b > a:
                        span = v1 - v0
                        v0, v1 = v0 + span * (lo - a) / (b - a), v0 + span * (hi - a) / (b - a)
                    for j in range(groups):
                        length = ends[near, j] - starts[near, j]
                        begin = now + shifts[near] + seconds * starts[near, j]
                        early = begin + seconds * length * v0 - lo
                        later = begin + seconds * length * v1 - hi
                        _ramp(slope[near], step[near], min(early, later), max(early, later), mass * weights[near, j],
                              fine, coarse, fine_bins, coarse_bins)  # fmt: skip
                a = b
        k = min(int(now / series_step), series.shape[0] - 1)
        series[k, MOST_LAG] = max(series[k, MOST_LAG], ready - offset)
        series[k, MOST_AGE] = max(series[k, MOST_AGE], now - c0)
        series[k, SECONDS] += seconds
        series[k, RECORDS] += n
        series[k, BATCHES] += 1.0
        offset += n
        number += 1
        after = _next_start(now, now + seconds, trigger)
        if trigger > 0.0 and after == now + seconds:
            late += 1
            series[k, LATE] += 1.0
        now = after
    return number, offset, beyond, now, late, last - first
