"""What one run leaves behind: latency as a histogram, batches as a table, accounts of what became of every record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from simulator.kernels import COARSE_BINS, FINE_BINS
from simulator.story import FaultReport

Array = np.ndarray[Any, np.dtype[Any]]

BATCH_FIELDS = [
    ("number", "i8"),
    ("due", "f8"),
    ("started", "f8"),
    ("finished", "f8"),
    ("records", "f8"),
    ("documents", "f8"),
    ("tasks", "i8"),
    ("waited_sink", "f8"),
    ("lag_records", "f8"),
    ("lag_after", "f8"),
    ("lag_seconds", "f8"),
]
TASK_FIELDS = [("batch", "i8"), ("partition", "i8"), ("executor", "i8"), ("started", "f8"), ("finished", "f8")]
HOPS = ("before_cut", "process", "refresh")


@dataclass(frozen=True)
class Histogram:
    """A distribution of seconds, by records: cumulative mass at the edges of its bins.

    `censored` is the mass whose value is only known to exceed what the run lasted; quantiles that reach into it
    are infinite (the run saw no end of them).
    """

    edges: Array
    mass: Array
    censored: float
    mean: float

    @property
    def count(self) -> float:
        return float(self.mass[-1] + self.censored) if len(self.mass) else 0.0

    def quantile(self, q: float) -> float:
        """The value below which a share q of the records lies [s]; nan where nothing was counted."""
        if self.count <= 0:
            return float("nan")
        wanted = q * self.count
        if wanted > self.mass[-1] * (1 + 1e-9):
            return float("inf")
        at = int(np.searchsorted(self.mass, wanted))
        if at == 0:
            return float(self.edges[0])
        low, high = self.mass[at - 1], self.mass[min(at, len(self.mass) - 1)]
        x = (wanted - low) / (high - low) if high > low else 1.0
        return float(self.edges[at - 1] + x * (self.edges[min(at, len(self.edges) - 1)] - self.edges[at - 1]))

    def cdf(self, points: int = 400) -> tuple[Array, Array]:
        """Seconds and the share of records at or below them, thinned to about `points`."""
        shares = np.linspace(0.0, 1.0, points)
        values = np.array([self.quantile(q) for q in shares])
        return values[np.isfinite(values)], shares[np.isfinite(values)]

    @staticmethod
    def pooled(parts: list[Histogram]) -> Histogram:
        """Several histograms as one, each weighed by its records."""
        edges = _merged([p.edges for p in parts])
        mass = sum(np.interp(edges, p.edges, p.mass, left=0.0) for p in parts)
        counted = sum(float(p.mass[-1]) for p in parts)
        mean = sum(p.mean * float(p.mass[-1]) for p in parts) / counted if counted > 0 else float("nan")
        return Histogram(edges, np.asarray(mass), sum(p.censored for p in parts), mean)


class Kept(Histogram):
    """A histogram as a kernel kept it, laid out when first asked for: who asks for throughput or lag never does."""

    def __init__(self, slope: Array, step: Array, fine: float, coarse: float, censored: float) -> None:
        at = np.flatnonzero((slope != 0) | (step != 0))
        vars(self)["_kept"] = (len(slope), at, slope[at], step[at], fine, coarse, censored)

    def __getattr__(self, name: str) -> Any:
        if name not in ("edges", "mass", "censored", "mean") or "_kept" not in vars(self):
            raise AttributeError(name)
        bins, at, slopes, steps, fine, coarse, censored = vars(self).pop("_kept")
        slope, step = np.zeros(bins), np.zeros(bins)
        slope[at], step[at] = slopes, steps
        vars(self).update(vars(_laid_out(slope, step, fine, coarse, censored)))
        return vars(self)[name]


def from_ramps(slope: Array, step: Array, fine: float, coarse: float, censored: float) -> Histogram:
    """The histogram that a kernel kept as second differences."""
    return Kept(slope, step, fine, coarse, censored)


def _laid_out(slope: Array, step: Array, fine: float, coarse: float, censored: float) -> Histogram:
    cut = FINE_BINS
    parts = [(slope[:cut], step[:cut], fine), (slope[cut : cut + COARSE_BINS], step[cut : cut + COARSE_BINS], coarse)]
    curves = [_cumulative(*part) for part in parts if part[1].any() or part[0].any()]
    if not curves:
        return Histogram(np.zeros(1), np.zeros(1), censored, float("nan"))
    edges, mass = curves[0]
    if len(curves) == 2:
        edges = _merged([curves[0][0], curves[1][0]])
        mass = np.sum([np.interp(edges, *curve, left=0.0) for curve in curves], axis=0)
    mean = float((np.diff(mass) * 0.5 * (edges[1:] + edges[:-1])).sum() + mass[0] * edges[0]) / float(mass[-1])
    return Histogram(edges, mass, censored, mean)


def _merged(ascending: list[Array]) -> Array:
    """All values of some ascending arrays, each once, ascending: np.unique, by a sort that knows sorted stretches."""
    every = np.concatenate(ascending)
    every.sort(kind="stable")
    first = np.ones(len(every), dtype=bool)
    np.not_equal(every[1:], every[:-1], out=first[1:])
    return every[first]


def _cumulative(rise: Array, jump: Array, width: float) -> tuple[Array, Array]:
    """Edges and cumulative mass of one half of the histogram, from its first to its last change."""
    changed = np.flatnonzero((rise != 0) | (jump != 0))
    first, last = int(changed[0]) - 1, int(changed[-1]) + 1
    rise, jump = rise[first:last], jump[first:last]
    mass = np.cumsum(jump) + np.concatenate([[0.0], np.cumsum(np.cumsum(rise))[:-1]])
    return np.arange(first, last) * width, np.maximum.accumulate(np.maximum(mass, 0.0))


@dataclass(frozen=True)
class FlowTrace:
    """One flow's run."""

    name: str
    latency: Histogram
    publish: Histogram | None
    hops: dict[str, float]
    batches: Array
    partition_lag: Array
    tasks: Array
    counts: dict[str, float]
    outcome: str

    def counted(self, since: float, until: float) -> Array:
        """Batches that started in a window."""
        return self.batches[(self.batches["started"] >= since) & (self.batches["started"] < until)]


@dataclass(frozen=True)
class HostLoad:
    """One host's load over the measured window; utilisation counts background work too."""

    name: str
    roles: tuple[str, ...]
    zone: int
    cores: float
    utilisation: float
    peak: float
    permits: float
    permits_busy: float


@dataclass(frozen=True)
class Trace:
    """One run: its seed and level, its measured window, its flows and hosts."""

    seed: int
    level: str
    measured_from: float
    measured_until: float
    ended: float
    flows: dict[str, FlowTrace]
    hosts: list[HostLoad]
    slots_busy: float
    events: int
    series: dict[str, Array] = field(default_factory=dict)
    faults: FaultReport = field(default_factory=FaultReport)

    @property
    def latency(self) -> Histogram:
        """End-to-end latency of all flows, by records."""
        return Histogram.pooled([flow.latency for flow in self.flows.values()])
