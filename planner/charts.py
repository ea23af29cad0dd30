"""Charts of a forecast as Plotly figures in plain data: what a page needs is their JSON.

Each chart is one small function from a forecast to `{"data": [...], "layout": {...}}`. The first repeat
is drawn where one run must stand for all (batches, lag by partition); the curve pools all repeats. Hovering over a
mark says its number and where that comes from. `shaded` turns a figure to a dark page, `together` lays variants over
each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from models.units import show
from planner.answers import QUANTILES, FlowForecast
from planner.look import HOP, INK, SYSTEM, Shade, template
from planner.tell import shown, shown_interval
from planner.timeline import timeline_figures

if TYPE_CHECKING:
    from planner.forecast import Forecast
    from planner.money_months import MonthOfBill

Figure = dict[str, Any]
DIGITS = 6  # of a number in a chart: more are seen by nobody
MOST_BATCHES = 400  # drawn; a Gantt of more is a grey bar
MOST_MARKERS = 120  # on a line: more run into each other
MOST_TASKS = 2000
MOST_PARTITIONS = 256
DASHES = ("solid", "dash", "dot")
HOPS = {"produce": "to the high watermark", "trigger_wait": "waiting for the trigger", "process": "in the batch",
        "refresh": "until the refresh"}  # fmt: skip


def figures(out: Forecast) -> dict[str, Figure]:
    """All charts by title, in reading order."""
    found = {
        "Latency": latency_curve(out),
        "Where the latency goes": budget(out),
        "Lag": lag(out),
        "Batches": gantt(out),
        "Tasks": tasks(out),
        "Lag by partition": heat_map(out),
        "How busy": busy(out),
        "Filling disks": filling(out),
    }
    faults = out.faults
    return found if faults is None else found | timeline_figures(faults.timelines, faults.faults)


def layout_of(x: str, y: str, **more: Any) -> dict[str, Any]:
    base = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}, "height": 280, "template": template()}
    return base | more


def _figure(data: list[dict[str, Any]], layout: dict[str, Any], empty: str) -> Figure:
    """The figure, or in words why there is nothing to draw."""
    if any(x is not None for trace in data for x in trace.get("x", ())):
        return {"data": data, "layout": layout}
    told = {"text": empty, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    bare = {axis: layout[axis] | {"visible": False} for axis in ("xaxis", "yaxis")}
    return {"data": data, "layout": layout | bare | {"annotations": [told], "shapes": [], "showlegend": False}}


def _tight(layout: dict[str, Any]) -> dict[str, Any]:
    """A layout whose labels fit the template's margins: Plotly then need not draw twice to find them."""
    return layout | {axis: layout[axis] | {"automargin": False} for axis in ("xaxis", "yaxis")}


def shaded(figure: Figure, shade: Shade) -> Figure:
    """The figure for a page of that shade."""
    return figure | {"layout": figure["layout"] | {"template": template(shade)}}


def together(variants: Mapping[str, Figure]) -> Figure:
    """The same chart of several variants in one: each trace says whose it is, the later ones are dashed."""
    data: list[dict[str, Any]] = []
    for k, (name, figure) in enumerate(variants.items()):
        for trace in figure["data"]:
            own = trace | {"name": f"{name}: {trace.get('name', '')}"}
            if "line" in own:
                own["line"] = own["line"] | {"dash": DASHES[k % len(DASHES)]}
            elif own["type"] == "bar":
                own["marker"] = own["marker"] | {"opacity": 1.0 if k == 0 else 0.55}
                own["y"] = [f"{name}: {y}" for y in own["y"]]
            data.append(own)
    return {"data": data, "layout": next(iter(variants.values()))["layout"]}


def latency_curve(out: Forecast) -> Figure:
    """Share of records found within a time, with the forecast interval of each quantile."""
    data = []
    for k, flow in enumerate(out.flows.values()):
        ink = INK[k % len(INK)]
        told = f"%{{y:.1%}} of records within %{{x:.3g}} s<br>{_simulated(out)}<extra></extra>"
        data.append(line_of(flow.latency.seconds, flow.latency.share, flow.name, ink, hovertemplate=told))
        data.append(_quantiles(flow, ink))
    layout = _tight(layout_of("seconds from creation to the first search that finds it", "share of records"))
    layout["xaxis"]["rangemode"] = "tozero"
    layout["yaxis"] |= {"tickformat": ".0%", "range": [0, 1.02]}
    return _figure(data, layout, "no record reaches an index within the run: there is no latency to show")


def _simulated(out: Forecast) -> str:
    """Where the marks of a chart come from."""
    return f"simulated: {len(out.traces)} runs of {show(out.scenario.run.measure, 's')}, seed {out.seed}"


def _quantiles(flow: FlowForecast, ink: str) -> dict[str, Any]:
    """The quantiles as points, their forecast intervals as bars; those without end are left out."""
    points = []
    for q, answer in zip(QUANTILES.values(), flow.latency.end_to_end.values(), strict=True):
        ends = answer.forecast
        if ends is not None and np.isfinite([answer.value, ends.high]).all():
            text = f"p{q * 100:g}: {shown(answer)}<br>real stack (90 %): {shown_interval(answer, 'forecast')}"
            points.append((q, answer.value, ends.high - answer.value, answer.value - ends.low, text))
    bars = {"type": "data", "symmetric": False, "array": [p[2] for p in points], "arrayminus": [p[3] for p in points]}
    told: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "name": f"{flow.name}: real stack, 90 %",
        "marker": {"color": ink},
    }
    told |= {"text": [p[4] for p in points], "hovertemplate": "%{text}<extra></extra>", "showlegend": bool(points)}
    return told | {"x": [p[1] for p in points], "y": [p[0] for p in points], "error_x": bars}


def line_of(x: Any, y: Any, name: str, ink: str, **more: Any) -> dict[str, Any]:
    line = {"type": "scatter", "mode": "lines", "name": name, "line": {"color": ink}}
    return line | {"x": _plain(x), "y": _plain(y)} | more


def _plain(values: Any) -> list[Any]:
    """Numbers as JSON takes them, to six digits: nan and infinity are gaps."""
    plain = np.asarray(values, dtype=float)
    seen = np.isfinite(plain)
    sure = np.where(seen, plain, 0.0)
    with np.errstate(divide="ignore", over="ignore"):
        scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.abs(sure))))
    short = np.where(np.isfinite(scale), np.round(sure * np.where(np.isfinite(scale), scale, 1.0)), 0.0)
    numbers = (short / np.where(np.isfinite(scale), scale, 1.0)).tolist()
    return numbers if seen.all() else [x if known else None for x, known in zip(numbers, seen.tolist(), strict=True)]


def budget(out: Forecast) -> Figure:
    """Mean seconds of each hop, stacked."""
    names = list(dict.fromkeys(hop for flow in out.flows.values() for hop in flow.latency.by_hop))
    flows = list(out.flows.values())
    data = [
        {
            "type": "bar", "orientation": "h", "name": HOPS.get(hop, hop),
            "marker": {"color": HOP.get(hop, INK[k % len(INK)])},
            "hovertemplate": f"{HOPS.get(hop, hop)}: %{{x:.3g}} s<br>{_simulated(out)}<extra></extra>",
            "y": [flow.name for flow in flows],
            "x": _plain([flow.latency.by_hop[hop].value if hop in flow.latency.by_hop else 0.0 for flow in flows]),
        }
        for k, hop in enumerate(names)
    ]  # fmt: skip
    height = 160 + 40 * len(flows)
    return _figure(data, layout_of("mean seconds", "", barmode="stack", height=height), "nothing reaches an index")


def _batches(out: Forecast, name: str) -> Any:
    batches = out.traces[0].flows[name].batches
    return batches[:: max(1, len(batches) // MOST_BATCHES)]


def lag(out: Forecast) -> Figure:
    """Records unread when each batch starts."""
    data = []
    for k, name in enumerate(out.flows):
        batches = _batches(out, name)
        mode = "lines+markers" if len(batches) <= MOST_MARKERS else "lines"
        data.append(line_of(batches["started"], batches["lag_records"], name, INK[k % len(INK)], mode=mode,
                          hovertemplate="%{y:,.0f} records unread at %{x:.3g} s<extra></extra>"))  # fmt: skip
    layout = _tight(layout_of("simulated seconds", "records not yet read", shapes=_window(out)))
    return _figure(data, layout, "no batch starts within the run")


def _window(out: Forecast) -> list[dict[str, Any]]:
    """The measured window, shaded."""
    trace = out.traces[0]
    area = {"type": "rect", "xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below", "line": {"width": 0}}
    return [area | {"x0": trace.measured_from, "x1": trace.measured_until, "fillcolor": INK[0], "opacity": 0.06}]


def gantt(out: Forecast) -> Figure:
    """Each batch from its start to its commit; what outlasts the trigger in another colour."""
    data = []
    for flow in out.scenario.flows:
        batches, trigger = _batches(out, flow.name), flow.query.trigger
        lasted = batches["finished"] - batches["started"]
        late = (trigger > 0) & (lasted > max(trigger, 0.0))
        rows = [f"{flow.name} {'odd' if n % 2 else 'even'}" for n in range(len(batches))]
        bars: dict[str, Any] = {"type": "bar", "orientation": "h", "name": flow.name, "y": rows, "x": _plain(lasted)}
        bars |= {"base": _plain(batches["started"]), "marker": {"color": [INK[5] if x else INK[0] for x in late]}}
        bars["customdata"] = [[int(b["number"]), float(b["records"])] for b in batches]
        bars["hovertemplate"] = "batch %{customdata[0]}: %{customdata[1]:.0f} records, %{x:.2f} s<extra></extra>"
        data.append(bars)
    layout = layout_of("simulated seconds", "", barmode="overlay", showlegend=False, shapes=_window(out))
    return _figure(data, layout | {"height": 140 + 80 * len(data)}, "no batch starts within the run")


def tasks(out: Forecast) -> Figure:
    """Tasks of the last batches, by partition, coloured by executor."""
    data = []
    for name in out.flows:
        rows = out.traces[0].flows[name].tasks[-MOST_TASKS:]
        for executor in sorted(set(rows["executor"].tolist())):
            own = rows[rows["executor"] == executor]
            data.append(
                {
                    "type": "bar", "orientation": "h", "name": f"{name}, executor {executor}",
                    "base": _plain(own["started"]), "x": _plain(own["finished"] - own["started"]),
                    "y": [f"{name} {p}" for p in own["partition"].tolist()],
                    "marker": {"color": INK[int(executor) % len(INK)]},
                    "hovertemplate": "%{y}: %{x:.3f} s<extra></extra>",
                }
            )  # fmt: skip
    layout = layout_of("simulated seconds", "partition", barmode="overlay", height=420)
    return _figure(data, layout, "no task ends within the run")


def heat_map(out: Forecast) -> Figure:
    """Records unread in each partition when each batch starts, of the worst flow."""
    flow = out.traces[0].flows[out.worst.name]
    step = max(1, len(flow.batches) // MOST_BATCHES)
    unread = flow.partition_lag[::step, :MOST_PARTITIONS]
    started = flow.batches["started"][::step][: len(unread)]
    cells: dict[str, Any] = {"type": "heatmap", "x": _plain(started), "y": list(range(unread.shape[1]))}
    cells |= {
        "z": [_plain(row) for row in unread.T],
        "colorscale": "Viridis",
        "colorbar": {"title": {"text": "records"}, "thickness": 12},
        "hovertemplate": "partition %{y} at %{x:.3g} s: %{z:,.0f} records unread<extra></extra>",
    }
    layout = layout_of("simulated seconds", f"partition of {flow.name}")
    return _figure([cells], layout, "no batch starts within the run")


def busy(out: Forecast) -> Figure:
    """Hosts, permits, networks and volumes: at the scenario's load, and at the sustainable rate."""
    at_limit = {load.name: load.utilisation for load in out.throughput.loads}
    now = list(reversed(out.loads[:16]))
    names = [load.name for load in now]
    data = [
        {"type": "bar", "orientation": "h", "name": "at this load", "y": names, "x": [load.utilisation for load in now],
         "marker": {"color": INK[0]}, "text": [load.evidence for load in now], "textposition": "none",
         "hovertemplate": "%{y}: %{x:.0%}<br>%{text}<extra></extra>"},
    ]  # fmt: skip
    if sum(name in at_limit for name in names) > len(names) / 2:  # a screened limit has other names
        data.append(
            {"type": "bar", "orientation": "h", "name": "at the sustainable rate", "y": names,
             "x": [at_limit.get(name) for name in names], "marker": {"color": INK[1]},
             "hovertemplate": "%{y}: %{x:.0%} at the sustainable rate<extra></extra>"}
        )  # fmt: skip
    layout = layout_of("share of capacity", "", barmode="group", height=160 + 34 * len(names))
    layout["xaxis"]["tickformat"] = ".0%"
    return {"data": data, "layout": layout}


def filling(out: Forecast) -> Figure:
    """How full the fullest node of each system gets from an empty start, and the days at which it passes its marks."""
    data = []
    for system, fill in out.storage.items():
        ink, whole = SYSTEM[system], fill.volume_bytes
        told = f"{system}: %{{y:.0%}} of the fullest node's volume on day %{{x:.1f}}<extra></extra>"
        days, held = [day for day, _ in fill.curve], [size / whole for _, size in fill.curve]
        data.append(line_of(days, held, system, ink, hovertemplate=told))
        passed = [(mark, day) for mark, day in fill.days_to.items() if day is not None]
        marks: dict[str, Any] = {"type": "scatter", "mode": "markers", "name": f"{system}: its marks"}
        marks |= {"x": [day for _, day in passed], "y": [fill.marks_bytes[mark] / whole for mark, _ in passed]}
        marks |= {"text": [mark.replace("_", " ") for mark, _ in passed], "marker": {"color": ink, "size": 9}}
        marks["hovertemplate"] = f"{system}: %{{text}} on day %{{x:.1f}}, %{{y:.0%}} of the volume<extra></extra>"
        data.append(marks)
    layout = layout_of("days from an empty start", "of the fullest node's volume")
    layout["xaxis"] |= {"type": "log", "tickformat": "~r", "dtick": "D2"}
    layout["yaxis"] |= {"tickformat": ".0%", "rangemode": "tozero"}
    return {"data": data, "layout": layout}


def growth(months: Sequence[MonthOfBill], chosen: int = 0) -> Figure:
    """The bill month by month with its range, how full the fullest disk of each system ends it, and a month chosen."""
    x = [m.number + 1 for m in months]
    low, high = [m.range.p10_usd for m in months], [m.range.p90_usd for m in months]
    band = {"type": "scatter", "x": [*x, *reversed(x)], "y": [*high, *reversed(low)], "fill": "toself", "mode": "lines",
            "line": {"width": 0}, "fillcolor": INK[3], "opacity": 0.18, "name": "P10 to P90",
            "hoverinfo": "skip"}  # fmt: skip
    usd = [float(m.bill.monthly_usd) for m in months]
    told = "month %{x}: %{y:,.0f} USD<br>%{text}<extra></extra>"
    told_of = [f"P10 to P90 {a:,.0f} to {b:,.0f}" for a, b in zip(low, high, strict=True)]
    data = [band, line_of(x, usd, "USD a month", INK[3], mode="lines+markers", hovertemplate=told, text=told_of)]
    for system in months[0].full:
        full = [m.full[system] for m in months]
        data.append(
            line_of(x, full, f"{system} disk, fullest", SYSTEM[system], yaxis="y2",
                  line={"color": SYSTEM[system], "dash": "dot"},
                  hovertemplate=f"month %{{x}}: fullest {system} disk %{{y:.0%}}<extra></extra>")
        )  # fmt: skip
    mark = {"type": "line", "x0": chosen, "x1": chosen, "yref": "paper", "y0": 0, "y1": 1, "line": {"color": INK[6]}}
    layout = layout_of("month from now", "USD a month", shapes=[mark] if chosen else [])
    layout["yaxis"] |= {"rangemode": "tozero"}
    layout["yaxis2"] = {"overlaying": "y", "side": "right", "tickformat": ".0%", "rangemode": "tozero",
                        "showgrid": False, "title": {"text": "of the fullest disk"}}  # fmt: skip
    return {"data": data, "layout": layout}
