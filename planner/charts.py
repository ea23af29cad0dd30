"""Charts of a forecast as Plotly figures in plain data: what a page needs is their JSON.

Each chart is one small function from a forecast to `{"data": [...], "layout": {...}}`. The first repeat
is drawn where one run must stand for all (batches, lag by partition); the curve pools all repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from planner.answers import QUANTILES, FlowForecast

if TYPE_CHECKING:
    from planner.forecast import Forecast

Figure = dict[str, Any]
MOST_BATCHES = 400  # drawn; a Gantt of more is a grey bar
MOST_TASKS = 2000
MOST_PARTITIONS = 256
INK = ("#2f6f9f", "#c96a2b", "#4a8f5b", "#9a4f96", "#8a7a3c", "#b0453f")
HOPS = {"produce": "to the high watermark", "trigger_wait": "waiting for the trigger", "process": "in the batch",
        "refresh": "until the refresh"}  # fmt: skip


def figures(out: Forecast) -> dict[str, Figure]:
    """All charts by title, in reading order."""
    return {
        "Latency": latency_curve(out),
        "Where the latency goes": budget(out),
        "Lag": lag(out),
        "Batches": gantt(out),
        "Tasks": tasks(out),
        "Lag by partition": heat_map(out),
        "How busy": busy(out),
        "Filling disks": filling(out),
    }


def _layout(x: str, y: str, **more: Any) -> dict[str, Any]:
    axis = {"gridcolor": "#e4e4e4", "zeroline": False}
    base = {
        "xaxis": {"title": {"text": x}} | axis,
        "yaxis": {"title": {"text": y}} | axis,
        "margin": {"l": 70, "r": 20, "t": 10, "b": 50},
        "height": 340,
        "template": None,
        "plot_bgcolor": "rgba(0,0,0,0)",
        "paper_bgcolor": "rgba(0,0,0,0)",
        "legend": {"orientation": "h", "y": 1.12},
    }
    return base | more


def latency_curve(out: Forecast) -> Figure:
    """Share of records found within a time, with the forecast interval of each quantile."""
    data = []
    for k, flow in enumerate(out.flows.values()):
        ink = INK[k % len(INK)]
        data.append(_line(flow.latency.seconds, flow.latency.share, flow.name, ink))
        data.append(_quantiles(flow, ink))
    return {"data": data, "layout": _layout("seconds from creation to the search that finds it", "share of records")}


def _quantiles(flow: FlowForecast, ink: str) -> dict[str, Any]:
    """The quantiles as points, their forecast intervals as bars; those without end are left out."""
    points = []
    for q, answer in zip(QUANTILES.values(), flow.latency.end_to_end.values(), strict=True):
        ends = answer.forecast
        if ends is not None and np.isfinite([answer.value, ends.high]).all():
            points.append((q, answer.value, ends.high - answer.value, answer.value - ends.low))
    bars = {"type": "data", "symmetric": False, "array": [p[2] for p in points], "arrayminus": [p[3] for p in points]}
    told = {"type": "scatter", "mode": "markers", "name": f"{flow.name}: real stack, 90 %", "marker": {"color": ink}}
    return told | {"x": [p[1] for p in points], "y": [p[0] for p in points], "error_x": bars}


def _line(x: Any, y: Any, name: str, ink: str, **more: Any) -> dict[str, Any]:
    line = {"type": "scatter", "mode": "lines", "name": name, "line": {"color": ink}}
    return line | {"x": _plain(x), "y": _plain(y)} | more


def _plain(values: Any) -> list[Any]:
    """Numbers as JSON takes them: nan and infinity are gaps."""
    return [float(v) if np.isfinite(v) else None for v in np.asarray(values, dtype=float)]


def budget(out: Forecast) -> Figure:
    """Mean seconds of each hop, stacked."""
    names = list(dict.fromkeys(hop for flow in out.flows.values() for hop in flow.latency.by_hop))
    flows = list(out.flows.values())
    data = [
        {
            "type": "bar", "orientation": "h", "name": HOPS.get(hop, hop), "marker": {"color": INK[k % len(INK)]},
            "y": [flow.name for flow in flows],
            "x": _plain([flow.latency.by_hop[hop].value if hop in flow.latency.by_hop else 0.0 for flow in flows]),
        }
        for k, hop in enumerate(names)
    ]  # fmt: skip
    height = 160 + 40 * len(flows)
    return {"data": data, "layout": _layout("mean seconds", "", barmode="stack", height=height)}


def _batches(out: Forecast, name: str) -> Any:
    batches = out.traces[0].flows[name].batches
    return batches[:: max(1, len(batches) // MOST_BATCHES)]


def lag(out: Forecast) -> Figure:
    """Records unread when each batch starts."""
    data = []
    for k, name in enumerate(out.flows):
        batches = _batches(out, name)
        data.append(_line(batches["started"], batches["lag_records"], name, INK[k % len(INK)], mode="lines+markers"))
    return {"data": data, "layout": _layout("simulated seconds", "records", shapes=_window(out))}


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
    layout = _layout("simulated seconds", "", barmode="overlay", showlegend=False, shapes=_window(out))
    return {"data": data, "layout": layout | {"height": 140 + 80 * len(data)}}


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
    return {"data": data, "layout": _layout("simulated seconds", "partition", barmode="overlay", height=420)}


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
        "colorbar": {"title": {"text": "records"}},
    }
    return {"data": [cells], "layout": _layout("simulated seconds", f"partition of {flow.name}")}


def busy(out: Forecast) -> Figure:
    """Hosts, permits, networks and volumes: at the scenario's load, and at the sustainable rate."""
    at_limit = {load.name: load.utilisation for load in out.throughput.loads}
    now = list(reversed(out.loads[:16]))
    names = [load.name for load in now]
    data = [
        {"type": "bar", "orientation": "h", "name": "at this load", "y": names, "x": [load.utilisation for load in now],
         "marker": {"color": INK[0]}},
        {"type": "bar", "orientation": "h", "name": "at the sustainable rate", "y": names,
         "x": [at_limit.get(name) for name in names], "marker": {"color": INK[1]}},
    ]  # fmt: skip
    layout = _layout("share of capacity", "", barmode="group", height=160 + 34 * len(names))
    layout["margin"] = layout["margin"] | {"l": 220}
    return {"data": data, "layout": layout}


def filling(out: Forecast) -> Figure:
    """The days at which the fullest node of each system passes its marks."""
    data = []
    for k, (system, fill) in enumerate(out.storage.items()):
        passed = [(mark, day) for mark, day in fill.days_to.items() if day is not None]
        data.append(
            {
                "type": "scatter", "mode": "markers+text", "name": system, "x": [day for _, day in passed],
                "y": [fill.marks_bytes[mark] / 2**30 for mark, _ in passed], "text": [mark for mark, _ in passed],
                "textposition": "top center", "marker": {"color": INK[k], "size": 10},
            }
        )  # fmt: skip
    return {"data": data, "layout": _layout("days from an empty start", "GiB on the fullest node")}
