"""How far CoreMark per core carries a cost from one EC2 machine to another: residuals of published pairs.

The cost of a corpus is fitted on one machine and its throughput forecast on another; what is left is the logarithm
of measured over forecast. OpenSearch version, shards, copies and clients differ within a pair as well, so this is an
upper estimate of the scaling error. By *arithmetic* both are saturated and only CoreMark, nodes and copies count; by
the *simulator* clients, shards, refreshes and merges count too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import gammaincinv

from benchmarks.accuracy.closed_loop import cpu_ratio_of, mean_throughput
from benchmarks.accuracy.search_rows import docs_per_second, loop_of
from models.coefficients import CoefficientSet
from models.machines import machine

PAIRS = (
    ("os211-nyc_taxis-lz4", "rs-nyc_taxis-doc-24c"),
    ("os211-nyc_taxis-lz4", "sr1-doc"),
    ("rs-nyc_taxis-doc-24c", "sr1-doc"),
    ("rs-so-doc-8c", "sr4-doc-1r"),
)
INDEPENDENT = 3  # of the four: the third follows from the first two
NINETY = (0.05, 0.95)


@dataclass(frozen=True)
class Pair:
    """Two machines, the ratio of their throughputs as published, by arithmetic, and by the simulator."""

    source: str
    target: str
    machines: tuple[str, str]
    measured: float
    arithmetic: float
    simulated: float

    def residual(self, forecast: float) -> float:
        """Log of measured over forecast [1]."""
        return math.log(self.measured / forecast)


def pairs(c: CoefficientSet, seeds: Sequence[int]) -> list[Pair]:
    """Every pair, forecast both ways."""
    return [_pair(source, target, c, seeds) for source, target in PAIRS]


def _pair(source: str, target: str, c: CoefficientSet, seeds: Sequence[int]) -> Pair:
    loops, measured = (loop_of(source), loop_of(target)), (docs_per_second(source), docs_per_second(target))
    boxes = [machine(loop.machine) for loop in loops]
    rho = c["search.replica_cpu_ratio"]
    capacity = [
        loop.nodes * (box.coremark or math.nan) / (1 + rho * (loop.copies - 1))
        for loop, box in zip(loops, boxes, strict=True)
    ]
    ratio = cpu_ratio_of(loops[0], c, measured[0], seeds)
    ours = mean_throughput(loops[1], c, measured[1], ratio, seeds)
    names = (loops[0].machine, loops[1].machine)
    simulated = ours / measured[0]
    return Pair(source, target, names, measured[1] / measured[0], capacity[1] / capacity[0], simulated)


def sigma(residuals: Sequence[float]) -> tuple[float, float, float]:
    """Root mean square of residuals around nothing, and its 90 % interval by chi-square [1].

    >>> [round(x, 3) for x in sigma([0.1, -0.1, 0.1])]
    [0.1, 0.062, 0.292]
    """
    count = len(residuals)
    value = math.sqrt(sum(r * r for r in residuals) / count)
    high, low = (math.sqrt(count / (2 * float(gammaincinv(count / 2, p)))) for p in NINETY)  # chi-square quantiles
    return value, value * low, value * high


def sigmas(found: Sequence[Pair]) -> dict[str, tuple[float, float, float]]:
    """The residual's sigma by arithmetic and by simulator, over the independent pairs."""
    alone = [p for p in found if p.source != "rs-nyc_taxis-doc-24c"]
    if len(alone) != INDEPENDENT:
        raise ValueError(f"{len(alone)} independent pairs; expected {INDEPENDENT}")
    return {
        "CoreMark arithmetic": sigma([p.residual(p.arithmetic) for p in alone]),
        "simulator": sigma([p.residual(p.simulated) for p in alone]),
    }
