"""Unanchored: a calibrated set whose own load did not come out as measured when it was replayed."""

from __future__ import annotations

from models.coefficients import CoefficientSet
from planner.findings import Finding


def anchoring(c: CoefficientSet) -> list[Finding]:
    """A warning for a set that was calibrated and does not replay its stack; none for others."""
    if c.anchored is not False:
        return []
    return [
        Finding(
            "unanchored",
            "warning",
            "coefficients",
            f"{c.name} does not replay the load it was calibrated on: every what-if with it is unanchored",
            c.anchor or "no replay was recorded",
            "record what floodmark calibrate names as left at the prior, and calibrate again",
            "floodmark calibrate",
        )
    ]
