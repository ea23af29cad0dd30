"""Findings: what a reader of a scenario or a forecast should know, with evidence, source and remedy.

A finding's code is stable, so that a build may ignore or refuse it by name. Severity says what it
costs: `critical` data or the promise, `warning` money or headroom, `info` nothing yet.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["critical", "warning", "info"]
ORDER: tuple[Severity, ...] = ("critical", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One thing found: where, what, how it is known, and what to do about it."""

    code: str
    severity: Severity
    where: str
    message: str
    evidence: str
    remedy: str
    source: str = ""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def sorted_findings(findings: list[Finding]) -> list[Finding]:
    """Worst first, else in the order found."""
    return sorted(findings, key=lambda f: ORDER.index(f.severity))
