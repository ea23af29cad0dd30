"""Faults in time: lag, batches, states of shards and of partitions, and what is copied, as rows and as charts.

States are steps: each row holds from its time until the next of its flow; the last row of a flow stands at the end of
the run. Rows are plain data (`tidy` makes them a frame), and the charts are drawn from the same rows, so that a page,
the JSON and a notebook tell one story.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from models.faults import Fault
from models.units import show
from planner.answers import finite
from planner.look import INK, JUDGED, template
from simulator.trace import Trace

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Figure = dict[str, Any]
MOST_ROWS = 600  # batches of one flow; more are thinned, the worst lag of each stretch kept
SHARDS = ("started", "relocating", "initializing", "unassigned")
PARTITIONS = ("in_sync", "out_of_sync", "closed", "leaderless")
COLOURS = {
    "started": JUDGED["holds"], "relocating": JUDGED["info"], "initializing": JUDGED["unsure"],
    "unassigned": JUDGED["broken"], "in_sync": JUDGED["holds"], "out_of_sync": JUDGED["unsure"],
}  # fmt: skip
TITLES = {
    "shards": "Shards in time", "partitions": "Partitions in time", "copying": "What is copied, and what it takes",
    "lag": "Lag, faults marked", "batches": "Batches in time",
}  # fmt: skip


def shards_in_time(trace: Trace) -> list[Row]:
    """Shard copies by state: {flow, time_seconds, started, relocating, initializing, unassigned, on_node}.

    The states add up to all copies that the index settings want; `on_node` counts the copies on each data node.
    Empty without faults.
    """
    names = list(trace.flows)
    rows = [
        {"flow": names[s.flow], "time_seconds": s.time, **{name: getattr(s, name) for name in SHARDS},
         "on_node": list(s.on_node)}
        for s in trace.faults.shards
    ]  # fmt: skip
    return _to_the_end(rows, trace.ended)


def partitions_in_time(trace: Trace) -> list[Row]:
    """Copies of the topic in sync and not, partitions that take no records and those without a leader:
    {flow, time_seconds, in_sync, out_of_sync, closed, leaderless, led_by}. Empty without faults.
    """
    names = list(trace.flows)
    rows = [
        {"flow": names[s.flow], "time_seconds": s.time, **{name: getattr(s, name) for name in PARTITIONS},
         "led_by": list(s.led_by)}
        for s in trace.faults.partitions
    ]  # fmt: skip
    return _to_the_end(rows, trace.ended)


def _to_the_end(rows: list[Row], ended: float) -> list[Row]:
    """With a last row for each flow at the end of the run, as steps need one."""
    last = {row["flow"]: row for row in rows}
    return rows + [row | {"time_seconds": ended} for row in last.values() if row["time_seconds"] < ended]


def batches_in_time(trace: Trace) -> list[Row]:
    """Each batch: {flow, started_seconds, finished_seconds, seconds, records, lag_records, lag_seconds, left_records}.

    Lag is what was unread when it started, `left_records` when it had ended. Beyond `MOST_ROWS` a flow's batches are
    thinned: of each stretch the one with the longest lag is kept.
    """
    rows: list[Row] = []
    for name, flow in trace.flows.items():
        mine = [
            {"flow": name, "started_seconds": float(b["started"]), "finished_seconds": float(b["finished"]),
             "seconds": float(b["finished"] - b["started"]), "records": float(b["records"]),
             "lag_records": float(b["lag_records"]), "lag_seconds": float(b["lag_seconds"]),
             "left_records": float(b["lag_after"])}
            for b in flow.batches
        ]  # fmt: skip
        rows += _thinned(mine)
    return rows


def _thinned(rows: list[Row]) -> list[Row]:
    if len(rows) <= MOST_ROWS:
        return rows
    step = -(-len(rows) // MOST_ROWS)
    return [max(rows[k : k + step], key=lambda r: float(r["lag_records"])) for k in range(0, len(rows), step)]


def copying_in_time(trace: Trace) -> list[Row]:
    """What nodes copied because of faults, from when to when, how fast, and the shares of their cards and volumes [1]
    that it took them to (`…_before`: without it).
    """
    return [
        {"system": r.system, "what": r.what, "since_seconds": r.since, "until_seconds": finite(r.until),
         "bytes": r.bytes, "bytes_per_second": r.rate, "twice_bytes": r.twice_bytes,
         "hosts": [{"host": host, "network": a, "volume": b, "network_before": c, "volume_before": d}
                   for host, a, b, c, d in zip(r.hosts, r.network, r.volume, r.network_before, r.volume_before,
                                               strict=True)]}
        for r in trace.faults.recoveries
    ]  # fmt: skip


def downs_in_time(trace: Trace) -> list[Row]:
    """Stretches in which a query did not run: {flow, since_seconds, until_seconds (null: to the end), why}."""
    names = list(trace.flows)
    return [
        {"flow": names[f], "since_seconds": down.since, "until_seconds": finite(down.until), "why": down.why}
        for f, mine in enumerate(trace.faults.downs)
        for down in mine
    ]


def timelines(trace: Trace) -> dict[str, list[Row]]:
    """All of them, as the JSON carries them under `faults.timelines`."""
    return {
        "shards": shards_in_time(trace), "partitions": partitions_in_time(trace), "copying": copying_in_time(trace),
        "downs": downs_in_time(trace), "batches": batches_in_time(trace),
    }  # fmt: skip


def tidy(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows as a frame; lists (copies on each node, hosts) are left in their cells."""
    import pandas as pd

    return pd.DataFrame(list(rows))


# ---------------------------------------------------------------- charts


def timeline_figures(lines: Mapping[str, Sequence[Row]], faults: Sequence[Fault] = ()) -> dict[str, Figure]:
    """Charts of `timelines` by title, the moments of the faults marked; nothing where there is nothing to tell."""
    marks = _marks(faults)
    found = {}
    if lines["shards"]:
        found[TITLES["shards"]] = states(lines["shards"], SHARDS, "shard copies", marks)
    if lines["partitions"]:
        found[TITLES["partitions"]] = states(lines["partitions"], PARTITIONS[:2], "copies of partitions", marks)
    if lines["copying"]:
        found[TITLES["copying"]] = copying(lines["copying"], marks)
    if faults and lines["batches"]:
        found[TITLES["lag"]] = lag(lines["batches"], marks)
        found[TITLES["batches"]] = batches(lines["batches"], marks)
    return found


def states(rows: Sequence[Row], names: Sequence[str], what: str, marks: dict[str, Any] | None = None) -> Figure:
    """Counts by state, stacked, as steps in time; one chart for all flows together."""
    times = sorted({row["time_seconds"] for row in rows})
    flows = list(dict.fromkeys(row["flow"] for row in rows))
    told = {flow: [row for row in rows if row["flow"] == flow] for flow in flows}
    data = []
    for name in names:
        counts = [sum(_at(told[flow], time)[name] for flow in flows) for time in times]
        data.append(
            {"type": "scatter", "mode": "lines", "name": name.replace("_", " "), "x": times, "y": counts,
             "stackgroup": "states", "line": {"shape": "hv", "width": 0.5, "color": COLOURS[name]},
             "hovertemplate": f"%{{y:,}} {name.replace('_', ' ')} from %{{x:,.1f}} s<extra></extra>"}
        )  # fmt: skip
    return {"data": data, "layout": _layout("simulated seconds", what, marks)}


def _at(rows: Sequence[Row], time: float) -> Row:
    return next((row for row in reversed(rows) if row["time_seconds"] <= time), rows[0])


def copying(rows: Sequence[Row], marks: dict[str, Any] | None = None) -> Figure:
    """Each copying as a bar in time, with the busiest card and volume that it makes."""
    data = []
    for k, row in enumerate(rows):
        until = row["until_seconds"] if row["until_seconds"] is not None else row["since_seconds"]
        card = max((h["network"] for h in row["hosts"]), default=0.0)
        disk = max((h["volume"] for h in row["hosts"]), default=0.0)
        told = (
            f"{show(row['bytes'], 'bytes')} {row['what']} at {show(row['bytes_per_second'], 'bytes/s')}<br>"
            f"busiest card {card:.0%}, busiest volume {disk:.0%}<extra>{row['system']}</extra>"
        )
        data.append(
            {"type": "bar", "orientation": "h", "name": f"{row['system']}: {row['what']}",
             "y": [f"{row['system']}: {row['what']}"], "base": [row["since_seconds"]],
             "x": [until - row["since_seconds"]], "marker": {"color": INK[k % len(INK)]}, "hovertemplate": told}
        )  # fmt: skip
    layout = _layout("simulated seconds", "", marks) | {"barmode": "overlay", "showlegend": False}
    return {"data": data, "layout": layout | {"height": 150 + 34 * len({row["what"] for row in rows})}}


def lag(rows: Sequence[Row], marks: dict[str, Any] | None = None) -> Figure:
    """Records unread at each batch's start."""
    return {"data": _by_flow(rows, "lag_records", "records unread", "lines+markers"),
            "layout": _layout("simulated seconds", "records not yet read", marks)}  # fmt: skip


def batches(rows: Sequence[Row], marks: dict[str, Any] | None = None) -> Figure:
    """How long each batch took, by its start."""
    return {"data": _by_flow(rows, "seconds", "s a batch", "markers"),
            "layout": _layout("simulated seconds", "seconds a batch", marks)}  # fmt: skip


def _by_flow(rows: Sequence[Row], name: str, unit: str, mode: str) -> list[dict[str, Any]]:
    data = []
    for k, flow in enumerate(dict.fromkeys(row["flow"] for row in rows)):
        mine = [row for row in rows if row["flow"] == flow]
        ink = INK[k % len(INK)]
        data.append(
            {"type": "scatter", "mode": mode, "name": flow, "x": [row["started_seconds"] for row in mine],
             "y": [row[name] for row in mine], "line": {"color": ink}, "marker": {"color": ink, "size": 4},
             "text": [f"{row['records']:,.0f} records" for row in mine],
             "hovertemplate": f"%{{y:,.4g}} {unit} at %{{x:,.1f}} s<br>a batch of %{{text}}<extra></extra>"}
        )  # fmt: skip
    return data


def _marks(faults: Sequence[Fault]) -> dict[str, Any]:
    """Lines at each fault's beginning and, where it has one, its end."""
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1}
    shapes, words = [], []
    for k, fault in enumerate(faults):
        for time, ink in ((fault.at, JUDGED["broken"]), (finite(fault.end), JUDGED["unsure"])):
            if time is not None:
                shapes.append(line | {"x0": time, "x1": time, "line": {"color": ink, "dash": "dot"}})
        words.append({"x": fault.at, "yref": "paper", "y": 1 - 0.09 * (k % 8), "text": fault.kind, "showarrow": False,
                      "xanchor": "left", "font": {"size": 11, "color": JUDGED["broken"]}})  # fmt: skip
    return {"shapes": shapes, "annotations": words}


def _layout(x: str, y: str, marks: dict[str, Any] | None) -> dict[str, Any]:
    base = {"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}, "rangemode": "tozero"}, "height": 280}
    return base | {"template": template()} | (marks or {})


def timelines_schema() -> dict[str, Any]:
    """JSON Schema of `timelines`."""
    number, seconds = {"type": "number"}, {"type": "number", "x-unit": "s"}
    count, maybe = {"type": "integer", "x-unit": "count"}, {"type": ["number", "null"], "x-unit": "s"}
    text, counts = {"type": "string"}, {"type": "array", "items": {"type": "integer"}}

    def rows(**told: Any) -> dict[str, Any]:
        return {"type": "array", "items": {"type": "object", "properties": told, "required": list(told)}}

    share = {"type": "number", "x-unit": "1"}
    hosts = rows(host=text, network=share, volume=share, network_before=share, volume_before=share)
    sizes = {"type": "number", "x-unit": "bytes"}
    top = {
        "shards": rows(flow=text, time_seconds=seconds, **dict.fromkeys(SHARDS, count), on_node=counts),
        "partitions": rows(flow=text, time_seconds=seconds, **dict.fromkeys(PARTITIONS, count), led_by=counts),
        "copying": rows(system=text, what=text, since_seconds=seconds, until_seconds=maybe, bytes=sizes,
                        bytes_per_second=number | {"x-unit": "bytes/s"}, twice_bytes=sizes, hosts=hosts),
        "downs": rows(flow=text, since_seconds=seconds, until_seconds=maybe, why=text),
        "batches": rows(flow=text, started_seconds=seconds, finished_seconds=seconds, seconds=seconds,
                        records=number, lag_records=number, lag_seconds=seconds, left_records=number),
    }  # fmt: skip
    return {"type": "object", "properties": top, "required": list(top), "additionalProperties": False}
