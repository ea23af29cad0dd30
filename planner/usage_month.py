"""The month that is billed, and its events over the mean rate: curves, weekends, growth, bursts where they fall.

Never a peak times hours: metered quantities are the integral of the workload's own curve.
"""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Sequence
from math import prod

from models.faults import Fault
from models.money import Money
from models.stack import Flow
from models.units import DAY, HOUR, MONTH, WEEK
from models.workload import Workload
from planner.storage import seconds_of_rate
from pricing.usage import Month


def month_of(money: Money, number: int = 0) -> Month:
    """The month that is billed: the average one, or a dated one and those after it.

    >>> month_of(Money()).hours, month_of(Money(month="2026-12"), 2).label
    (730.0, '2027-02')
    """
    if money.month == "average":
        return Month() if number == 0 else Month(label=f"month {number + 1} (730 h)")
    year, month = (int(part) for part in money.month.split("-"))
    years, month = divmod(month - 1 + number, 12)
    return Month.of(year + years, month + 1)


def seconds_at_mean(flow: Flow, money: Money, number: int = 0, faults: Sequence[Fault] = ()) -> float:
    """What the month's events are over the mean rate at the start [s].

    The average month holds whole days and weeks (curves count 1); a dated one has its own weekdays, the first value of
    a weekly curve being Monday. Growth compounds within it; a burst counts once, where it falls; a burst that is stated
    as a fault happens in every month, at its own time of it.
    """
    load, month = flow.workload, month_of(money, number)
    start = number * MONTH
    end = start + month.hours * HOUR
    plain = seconds_of_rate(flow, end, end - start) * _weekdays(load, month)
    return plain + _extra(load, _stretches(load, faults, start, end), start, end)


def _weekdays(load: Workload, month: Month) -> float:
    """Mean of the weekly curve over a dated month's days [1]."""
    if not load.weekly_curve or not month.label[:4].isdigit():
        return 1.0
    year, number = (int(part) for part in month.label.split("-"))
    first, days = calendar.monthrange(year, number)
    curve, parts = load.weekly_curve, len(load.weekly_curve) // 7
    daily = [sum(curve[d * parts : (d + 1) * parts]) / parts for d in range(7)]
    return sum(daily[(first + d) % 7] for d in range(days)) / days * 7 / sum(daily)


def _stretches(load: Workload, faults: Sequence[Fault], start: float, end: float) -> list[tuple[float, float, float]]:
    """Stretches of a month with another rate: from, until [s], factor. A recorded series has its own bursts in it."""
    own = [] if load.steps else [(b.at, b.at + b.duration, b.factor) for b in load.bursts]
    return own + [(start + f.at, min(start + f.end, end), f.strength) for f in faults if f.kind == "burst"]


def _extra(load: Workload, stretches: Sequence[tuple[float, float, float]], start: float, end: float) -> float:
    """What they add to a month [s at the mean rate]; where two overlap their factors multiply."""
    edges = {t for since, until, _ in stretches for t in (since, until) if start < t < end}
    marks, extra = sorted({start, end} | edges), 0.0
    for a, b in itertools.pairwise(marks):
        factor = prod(f for since, until, f in stretches if since <= a and b <= until)
        if factor != 1:
            extra += (factor - 1) * _usual(load, a, b)
    return extra


def _usual(load: Workload, start: float, end: float) -> float:
    """The curve without bursts over a stretch of time [s at the mean rate]."""
    if load.steps:
        return end - start
    plain = load.model_copy(update={"bursts": ()})
    widths = [DAY / max(1, len(load.daily_curve)), WEEK / max(1, len(load.weekly_curve)), DAY]
    width, total, now = min(widths), 0.0, start
    while now < end:
        after = min(end, (now // width + 1) * width)
        total += plain.factor_at((now + after) / 2) * (after - now)
        now = after
    return total
