"""The months from now as a page walks through them: made once to a horizon, then told month by month."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from models.units import show
from planner.bill import pace_by
from planner.forecast import Progress, coefficients_of
from planner.money_months import MonthOfBill, months
from planner.told import Judged, Told

if TYPE_CHECKING:
    from planner.forecast import Forecast

HORIZON = 36  # months, three years: the longest commitment that AWS sells


def months_of(out: Forecast, horizon: int = HORIZON, progress: Progress | None = None) -> list[MonthOfBill]:
    """The bills of the months to a horizon, at the pace of the forecast's own runs."""
    if progress is not None:
        progress(f"the bills of {horizon} months", 0, 1)
    central = coefficients_of(out.scenario)
    return months(out.scenario, central, pace_by(out.scenario, out.traces, central, out.seed), horizon, out.seed)


def month_numbers(made: Sequence[MonthOfBill], number: int) -> list[Told]:
    """The numbers of one month, 1 the first."""
    month = made[number - 1]
    usd, spread = float(month.bill.monthly_usd), month.range
    steps = "; ".join(filter(None, [*month.steps, month.warning]))
    beside = f"{spread.p10_usd:,.0f} to {spread.p90_usd:,.0f}, P10 to P90"
    how: Judged = "unsure" if month.warning else ""
    found = [
        Told(
            f"USD in month {number}", f"{usd:,.0f}", beside, f"{len(month.bill.lines)} lines\n{steps}", usd, "USD", how
        ),
        Told(
            "events", show(month.events, "count"), "in the month", "the workload's curve and growth", month.events, ""
        ),
    ]
    for system, full in month.full.items():
        told = "of the fullest disk at the month's end"
        found.append(Told(f"{system} disk", f"{full:.0%}", told, f"{told}\n{steps}", full, "share"))
    return found
