"""Student's t without scipy.special, whose import would cost a tenth of a short forecast's time."""

from __future__ import annotations

import math
from functools import cache
from statistics import NormalDist

MANY = 300  # degrees of freedom from which two corrections of the normal are exact to 1e-6


def two_sided(t: float, freedom: int) -> float:
    """Probability that |T| stays below t [1].

    Source: Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.

    >>> round(two_sided(2.353363, 3), 6), round(two_sided(1.859548, 8), 6)
    (0.9, 0.9)
    """
    angle = math.atan(t / math.sqrt(freedom))
    cosine, odd = math.cos(angle), freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(odd, freedom - 1, 2):
        total += term
        term *= cosine * cosine * (k + 1) / (k + 2)
    return 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total


@cache
def quantile(share: float, freedom: int) -> float:
    """The t below which T lies with probability `share`, above one half [1].

    >>> round(quantile(0.95, 1), 3), round(quantile(0.95, 28), 3), round(quantile(0.95, 5000), 3)
    (6.314, 1.701, 1.645)
    """
    if freedom >= MANY:
        z = NormalDist().inv_cdf(share)
        return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)  # 26.7.5
    low, high = 0.0, 1e4
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if two_sided(middle, freedom) < 2 * share - 1 else (low, middle)
    return high
