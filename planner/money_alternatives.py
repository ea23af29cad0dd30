"""The same load on the services that are named as ways out: Lambda + SQS, Kinesis, Firehose, the Serverless kinds.

Each stands for the part of the stack it would take the place of. Where a service stops fitting is said by its limits;
what nobody published (OCUs for a load, seconds of a Lambda batch) is not guessed.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from models.stack import Scenario
from models.units import HOUR, show
from planner.bill import book_of
from planner.forecast import coefficients_of
from planner.lag import peak_rate
from planner.usage import _primary_bytes, flowing, month_of
from pricing.alternatives import Option, Workload, options

if TYPE_CHECKING:
    from rich.console import RenderableType


def workload_of(scenario: Scenario) -> Workload:
    """All flows of a scenario as one stream of events of their mean size."""
    flows, month = flowing(scenario), month_of(scenario.money)
    events = sum(f.events for f in flows)
    size = sum(f.events * f.flow.workload.value_bytes for f in flows) / events
    groups = max(1 + f.flow.topic.consumer_groups for f in flows)
    peak = sum(peak_rate(scenario, number) for number in range(len(flows)))
    return Workload(
        scenario.money.region, events, size, max(peak, events / (month.hours * HOUR)), groups,
        max(f.flow.topic.retention for f in flows) / HOUR, sum(f.flow.topic.partitions for f in flows),
        indexed_bytes_held=sum(_primary_bytes(f, coefficients_of(scenario)) for f in flows),
    )  # fmt: skip


def alternatives(scenario: Scenario) -> list[tuple[Option, float]]:
    """Every option for the scenario's load, with the events a second at which it stops fitting."""
    load = workload_of(scenario)
    book, month = book_of(scenario.money), month_of(scenario.money)
    return [(option, option.stops_at(load)) for option in options(load, book, month)]


def as_dict(scenario: Scenario) -> list[dict[str, Any]]:
    """Plain data; a limit that is not known is null."""
    return [
        {"name": o.name, "monthly_usd": float(o.bill.monthly_usd), "complete": o.bill.complete, "fits": o.fits,
         "stops_at_events_per_second": stops if math.isfinite(stops) else None,
         "by_grade": {k: float(v) for k, v in o.bill.by_grade.items()},
         "limits": [{"name": x.name, "allowed": x.allowed, "asked": x.asked, "unit": x.unit, "grade": x.grade}
                    for x in o.limits],
         "remarks": list(o.remarks)}
        for o, stops in alternatives(scenario)
    ]  # fmt: skip


def rendered(scenario: Scenario) -> RenderableType:
    """The options on a terminal."""
    from rich.table import Table

    out = Table("instead", "USD a month", "fits", "until", "what to know", box=None, pad_edge=False, show_edge=False,
                header_style="dim")  # fmt: skip
    out.columns[1].justify = "right"
    for option, stops in alternatives(scenario):
        unsure = [g for g in option.bill.by_grade if g not in ("published", "given", "measured")]
        remarks = [*option.remarks, *([f"prices {', '.join(unsure)}"] if unsure else [])]
        remarks += [f"no price: {gap.name}" for gap in option.bill.gaps]
        until = show(stops, "1/s") if math.isfinite(stops) else "not known"
        out.add_row(
            option.name, f"{option.bill.monthly_usd:,.0f}", "yes" if option.fits else "NO", until, "; ".join(remarks)
        )
    return out
