"""Bad days and months ahead in a notebook."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.text import Text

from models.units import HOUR
from planner.asked import Drills
from planner.look import INK, JUDGED
from planner.months_ahead import MonthsAhead
from planner.notebook_kinds import Chart, axis, charts, frame, rendered
from planner.scaling import ScalingAnswer


@rendered.register
def _(result: Drills) -> RenderableType:
    from planner.drill_tell import drill_table, summary

    return Group(drill_table(result.results), Text(), Text(summary(result.results), "bold"))


@frame.register
def _(result: Drills) -> pd.DataFrame:
    rows = [one.as_dict() for one in result.results]
    return pd.DataFrame([{key: value for key, value in row.items() if key not in ("faults", "what")} for row in rows])


@charts.register
def _(result: Drills) -> dict[str, Chart]:
    green, worst = "minutes until all is green", "minutes, latency of the worst record"
    return {
        "Until all is green": lambda: _bars(result, "green_after_seconds", green),
        "Worst latency": lambda: _bars(result, "worst_latency_seconds", worst),
    }


def _bars(result: Drills, key: str, title: str) -> dict[str, Any]:
    table = frame(result)
    data = []
    for holds, name, ink in ((True, "holds", JUDGED["holds"]), (False, "broken", JUDGED["broken"])):
        mine = table[table["holds"] == holds]
        minutes = [None if pd.isna(s) else round(float(s) / 60, 2) for s in mine[key]]
        text = ["never" if m is None else "" for m in minutes]
        bar: dict[str, Any] = {"type": "bar", "orientation": "h", "name": name, "y": mine["drill"].tolist()}
        bar |= {"x": [m or 0.0 for m in minutes], "marker": {"color": ink}}
        bar |= {"text": text, "textposition": "outside", "cliponaxis": False}
        data.append(bar)
    layout = {"height": 140 + 22 * len(table), "xaxis": axis(title), "barmode": "overlay"}
    return {"data": data, "layout": layout | {"yaxis": {"categoryorder": "array", "autorange": "reversed",
                                                        "categoryarray": table["drill"].tolist()}}}  # fmt: skip


@rendered.register
def _(result: MonthsAhead) -> RenderableType:
    from planner.months_tell import rendered as told

    return told(result)


@frame.register
def _(result: MonthsAhead) -> pd.DataFrame:
    days = pd.DataFrame(result.by_day())
    days["day"] = days["day"].astype(int)
    if result.start is not None:
        days.insert(0, "date", pd.date_range(pd.Timestamp(result.start), periods=len(days), freq="D"))
    return days


@charts.register
def _(result: MonthsAhead) -> dict[str, Chart]:
    from planner.months_tell import figures

    return {name: lambda figure=figure: figure for name, figure in figures(result).items()}  # type: ignore[misc]


@rendered.register
def _(result: ScalingAnswer) -> RenderableType:
    from planner.cli_scale import rendered as told

    return told(result)


@frame.register
def _(result: ScalingAnswer) -> pd.DataFrame:
    return pd.DataFrame([policy.as_dict() for policy in result.policies])


@charts.register
def _(result: ScalingAnswer) -> dict[str, Chart]:
    return {"Executors held": lambda: _held(result), "Executor-hours": lambda: _hours(result)}


def _held(result: ScalingAnswer) -> dict[str, Any]:
    """Executors that the stated policy holds, beside what each moment needs."""
    stated = next(iter(result.runs.values()))
    held = [(t, n) for t, n in stated.steps if t < stated.horizon]
    data = [
        {"type": "scatter", "mode": "lines", "name": name, "x": [t / HOUR for t, _ in steps],
         "y": [n for _, n in steps], "line": {"color": INK[k], "shape": "hv"}}
        for k, (name, steps) in enumerate((("held", held), ("needed", list(result.needed))))
    ]  # fmt: skip
    axes = {"xaxis": axis("hours"), "yaxis": axis("executors", rangemode="tozero")}
    return {"data": data, "layout": axes | {"height": 300}}


def _hours(result: ScalingAnswer) -> dict[str, Any]:
    names = [policy.name for policy in result.policies]
    data = [
        {"type": "bar", "orientation": "h", "name": told, "y": names, "x": [getattr(p, key) for p in result.policies],
         "marker": {"color": ink}}
        for key, told, ink in (("wasted_hours", "held for nothing", JUDGED["unsure"]),
                               ("missing_hours", "missing", JUDGED["broken"]))
    ]  # fmt: skip
    layout = {"barmode": "group", "height": 140 + 50 * len(names), "xaxis": axis("executor-hours over the horizon")}
    return {"data": data, "layout": layout | {"yaxis": {"autorange": "reversed"}}}
