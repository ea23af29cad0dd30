"""Forecasts, stacks side by side, sweeps, recommendations and sizers in a notebook."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from planner import charts as drawn
from planner.answers import Answer
from planner.asked import Sweep
from planner.compare import Comparison
from planner.forecast import Forecast
from planner.look import INK, JUDGED
from planner.notebook_kinds import BARE, Chart, axis, charts, frame, rendered
from planner.recommend import Recommendation
from planner.sizers import Sizers


@rendered.register
def _(result: Forecast) -> RenderableType:
    from planner.forecast_text import rendered as told

    return told(result)


@frame.register
def _(result: Forecast) -> pd.DataFrame:
    rows = []
    for flow in result.flows.values():
        answers = {f"latency {q}": a for q, a in flow.latency.end_to_end.items()}
        answers |= {f"mean {hop}": a for hop, a in flow.latency.by_hop.items()}
        answers |= {"batch": flow.batches.seconds, "most lag": flow.lag.max_records, "age of it": flow.lag.max_seconds}
        answers |= {"catch up": flow.lag.catch_up}
        rows += [_answer(flow.name, name, answer) for name, answer in answers.items()]
    rows.append(_answer("all", "sustainable rate", result.throughput.sustainable))
    return pd.DataFrame(rows)


def _answer(flow: str, quantity: str, answer: Answer) -> dict[str, Any]:
    ends = answer.forecast
    return {"flow": flow, "quantity": quantity, "value": answer.value, "unit": answer.unit,
            "low": None if ends is None else ends.low, "high": None if ends is None else ends.high,
            "domain": answer.domain}  # fmt: skip


@charts.register
def _(result: Forecast) -> dict[str, Chart]:
    made = {
        "Latency": drawn.latency_curve, "Where the latency goes": drawn.budget, "Lag": drawn.lag,
        "Batches": drawn.gantt, "Tasks": drawn.tasks, "Lag by partition": drawn.heat_map, "How busy": drawn.busy,
        "Filling disks": drawn.filling,
    }  # fmt: skip
    return {name: lambda draw=draw: draw(result) for name, draw in made.items()}  # type: ignore[misc]


@rendered.register
def _(result: Comparison) -> RenderableType:
    from planner.compare_tell import rendered as told

    return told([result])


@frame.register
def _(result: Comparison) -> pd.DataFrame:
    rows = [one.as_dict() for one in result.moved]
    for row in rows:
        row["low"], row["high"] = row.pop("difference_90") or (None, None)
    return pd.DataFrame(rows)


@charts.register
def _(result: Comparison) -> dict[str, Chart]:
    sides = {result.before.scenario.name: result.before, result.after.scenario.name: result.after}
    if len(sides) < 2:
        sides = {"before": result.before, "after": result.after}
    made = {"Latency": drawn.latency_curve, "Where the latency goes": drawn.budget, "Lag": drawn.lag}

    def both(draw: Callable[[Forecast], dict[str, Any]]) -> dict[str, Any]:
        return drawn.together({name: draw(side) for name, side in sides.items()})

    return {name: lambda draw=draw: both(draw) for name, draw in made.items()}  # type: ignore[misc]


@rendered.register
def _(result: Sweep) -> RenderableType:
    return Text(frame(result).to_string(index=False))


@frame.register
def _(result: Sweep) -> pd.DataFrame:
    return pd.DataFrame([cell.row() for cell in result.cells])


@charts.register
def _(result: Sweep) -> dict[str, Chart]:
    from planner.sweep_plot import PANELS

    return {title: lambda key=key, title=title: _line(result, key, title) for key, title in PANELS}  # type: ignore[misc]


def _line(result: Sweep, key: str, title: str) -> dict[str, Any]:
    table, first, others = frame(result), result.axes[0], list(result.axes[1:])
    groups = table.groupby(others, sort=False) if others else [((), table)]
    data = [
        {"type": "scatter", "mode": "lines+markers", "name": ", ".join(map(str, name)) if others else first,
         "x": mine[first].astype(str).tolist(), "y": mine[key].tolist(), "line": {"color": INK[k % len(INK)]}}
        for k, (name, mine) in enumerate(groups)
    ]  # fmt: skip
    axes = {"xaxis": axis(first, type="category"), "yaxis": axis(title, rangemode="tozero")}
    return {"data": data, "layout": axes | {"height": 300, "showlegend": bool(others)}}


@rendered.register
def _(result: Recommendation) -> RenderableType:
    from planner.recommend_text import page

    words: RenderableType = page(result).rendered()
    return words


@frame.register
def _(result: Recommendation) -> pd.DataFrame:
    rows = []
    for point in result.front:
        told = point.as_dict()
        rows.append({"usd_a_month": told["usd"], "p99_seconds": told["p99_seconds"], "survives": told["survives"]})
    return pd.DataFrame(rows, columns=["usd_a_month", "p99_seconds", "survives"])


@charts.register
def _(result: Recommendation) -> dict[str, Chart]:
    return {"Front": lambda: _front(result)}


def _front(result: Recommendation) -> dict[str, Any]:
    data = [
        {"type": "scatter", "mode": "markers", "name": f"survives: {name}", "x": mine["p99_seconds"].tolist(),
         "y": mine["usd_a_month"].tolist(), "marker": {"size": 11, "color": INK[k % len(INK)]}}
        for k, (name, mine) in enumerate(frame(result).groupby("survives", sort=False))
    ]  # fmt: skip
    axes = {"xaxis": axis("p99 [s]", rangemode="tozero"), "yaxis": axis("USD a month", rangemode="tozero")}
    return {"data": data, "layout": axes | {"height": 320, "showlegend": True}}


@rendered.register
def _(result: Sizers) -> RenderableType:
    need = result.need
    head = f"{need.average_mib_per_second:,.0f} MiB/s in on the mean, {need.peak_mib_per_second:,.0f} at the peak, "
    head += f"read {need.fan_out:g} times, kept {need.retention_hours:g} h, {need.partition_replicas} replicas"
    table = Table("rule", "brokers", "vCPU", "bound by", "brokers USD", "simulated", "a broker lost", "", **BARE)
    for x in result.sized:
        word = Text("holds", JUDGED["holds"]) if x.holds else Text("BROKEN", JUDGED["broken"])
        full = f"{x.busiest_what} {x.busiest:.0%}"
        table.add_row(x.rule, str(x.brokers), str(x.vcpu), x.bound_by, f"{x.brokers_usd:,.0f}", full, word, x.why)
    return Group(Text(head, "bold"), table)


@frame.register
def _(result: Sizers) -> pd.DataFrame:
    return pd.DataFrame([vars(x) for x in result.sized])


@charts.register
def _(result: Sizers) -> dict[str, Chart]:
    return {"vCPU": lambda: _sized(result, "vcpu", "vCPU"), "Brokers": lambda: _sized(result, "brokers", "brokers"),
            "How busy": lambda: _sized(result, "busiest", "of the fullest part of a broker, at the peak")}  # fmt: skip


def _sized(result: Sizers, key: str, title: str) -> dict[str, Any]:
    table = frame(result)
    bar = {"type": "bar", "orientation": "h", "y": table["rule"].tolist(), "x": table[key].tolist(),
           "marker": {"color": INK[0]}}  # fmt: skip
    across = axis(title) | ({"tickformat": ".0%"} if key == "busiest" else {})
    return {"data": [bar], "layout": {"height": 240, "xaxis": across, "yaxis": {"autorange": "reversed"}}}
