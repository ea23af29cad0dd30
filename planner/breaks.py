"""What breaks first: everything that a forecast knows to give way, in the order of time.

Now: what is critical and what is promised and not held. Later: the days at which disks pass their marks, and the month
in which growth carries the peak past the sustainable rate. A date rests on the scenario's own growth and retention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.units import DAY, MONTH, show

if TYPE_CHECKING:
    from planner.forecast import Forecast

STOPS_WRITES = ("full", "flood", "write_block")  # marks at which a system takes no more; the others are warnings
MARKS = {
    "low": "reaches its low watermark: no new shard comes to it", "high": "reaches its high watermark: shards leave it",
    "flood": "reaches its flood stage: its indices become read-only", "write_block": "is write-blocked by the service",
    "alarm": "reaches its alarm", "full": "is full: its broker stops",
}  # fmt: skip
HORIZON_MONTHS = 60.0  # growth further away than five years is not a date anyone plans by


@dataclass(frozen=True)
class Break:
    """One thing that gives way: when [days from the start, 0 is now], what, how it is known, what to do."""

    days: float
    what: str
    evidence: str
    remedy: str
    critical: bool

    @property
    def when(self) -> str:
        """As a person says it.

        >>> Break(0, "", "", "", True).when, Break(9.7, "", "", "", True).when, Break(700, "", "", "", True).when
        ('now', 'day 10', 'month 23')
        """
        if self.days <= 0:
            return "now"
        return f"day {self.days:.0f}" if self.days < 180 else f"month {self.days * DAY / MONTH:.0f}"


def breaks(out: Forecast) -> list[Break]:
    """All that is known to give way, first what does so first; of one time, what is critical first."""
    found = [*_now(out), *_disks(out), *_growth(out)]
    return sorted(found, key=lambda b: (b.days, not b.critical))


def _now(out: Forecast) -> list[Break]:
    found = [
        Break(0.0, f.message, f"{f.where}: {f.evidence}", f.remedy, True)
        for f in out.warnings
        if f.severity == "critical" and f.code != "disk-index" and f.code != "disk-topic"
    ]
    for t in out.targets:
        if not t.holds:
            promised, told = (show(x, t.unit) if isinstance(x, float) else x for x in (t.promised, t.forecast))
            evidence = f"{told} where {promised} is promised"
            found.append(Break(0.0, f"the target {t.target.replace('_', ' ')} is broken", evidence, t.reason, True))
    return found


def _disks(out: Forecast) -> list[Break]:
    found = []
    for system, fill in out.storage.items():
        for mark, day in fill.days_to.items():
            if day is not None:
                held = f"{show(fill.marks_bytes[mark], 'bytes')} of {show(fill.volume_bytes, 'bytes')} on the fullest"
                what = f"the fullest {system} disk {MARKS.get(mark, f'reaches its {mark} mark')}"
                stops = mark in STOPS_WRITES
                found.append(Break(day, what, held, "more volume, less retention, or fewer copies", stops))
    return found


def _growth(out: Forecast) -> list[Break]:
    """The month in which the peak, growing as the fastest flow does, passes the sustainable rate."""
    growth = max(flow.workload.growth_per_month for flow in out.scenario.flows)
    headroom, sustained = out.throughput.headroom, out.throughput
    if growth <= 0 or not headroom > 1 or math.isinf(headroom):
        return []
    months = math.log(headroom) / math.log1p(growth)
    if months > HORIZON_MONTHS:
        return []
    told = f"{show(sustained.peak_events_per_second, '1/s')} at the peak grows {growth:.0%} a month"
    evidence = f"{told}; {show(sustained.sustainable.value, '1/s')} is sustainable"
    what = "the peak outgrows what is sustainable"
    return [Break(months * MONTH / DAY, what, evidence, f"more of what binds: {sustained.bottleneck.name}", True)]
