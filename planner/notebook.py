"""Results in a notebook: the words of the terminal, tidy tables, and the dashboard's charts as Plotly figures.

Three questions are answered for every result, each by its type: `rendered` (what rich prints), `frame` (a tidy
DataFrame) and `charts` (figures by name, in plain data). Nothing here calculates: words come from the `*_tell` modules,
charts from `planner.charts` and its like.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import singledispatch
from typing import Any

import pandas as pd
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.theme import Theme

from planner import charts as drawn
from planner.answers import Answer
from planner.asked import Backtest, Drills, Sweep
from planner.bill import MonthlyBill
from planner.calibrate import Calibration
from planner.compare import Comparison
from planner.finance import Report
from planner.finance_against import Moved
from planner.forecast import Forecast
from planner.look import INK, JUDGED, KIND, LIGHT, STYLES, template
from planner.money_bridge import Bridge
from planner.recommend import Recommendation
from planner.refusal import ScenarioError
from planner.sizers import Sizers

Chart = Callable[[], dict[str, Any]]
WIDTH = 110
BARE: dict[str, Any] = {"box": None, "pad_edge": False, "show_edge": False, "header_style": "dim"}
PRE = '<pre style="line-height:1.25;font-family:monospace;white-space:pre">{code}</pre>'


def shown(result: Any) -> dict[str, str]:
    """The result as plain text, and with its colours as HTML."""
    console = Console(
        file=io.StringIO(), width=WIDTH, highlight=False, record=True, theme=Theme(STYLES), force_jupyter=False
    )
    console.print(rendered(result))
    plain = console.export_text(clear=False)
    return {"text/plain": plain, "text/html": console.export_html(inline_styles=True, code_format=PRE)}


def plotted(result: Any, chart: str = "") -> Any:
    """One of the result's charts as a Plotly figure. Raises ScenarioError for a chart that there is not."""
    import difflib

    import plotly.graph_objects as go

    found = charts(result)
    name = chart or next(iter(found))
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(found)}"
        raise ScenarioError(f"no chart '{name}'; {hint}")
    figure = found[name]()
    figure["layout"] = {"template": template()} | figure["layout"] | {"paper_bgcolor": LIGHT.ground}
    return go.Figure(figure)


@singledispatch
def rendered(result: Any) -> RenderableType:
    """What the terminal prints of a result."""
    raise TypeError(f"{type(result).__name__} has no words for a terminal")


@singledispatch
def frame(result: Any) -> pd.DataFrame:
    """The result as a tidy table."""
    raise TypeError(f"{type(result).__name__} has no table")


@singledispatch
def charts(result: Any) -> dict[str, Chart]:
    """What draws each chart of a result, by name, in reading order."""
    raise TypeError(f"{type(result).__name__} has no charts")


# A forecast


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


# Money


@rendered.register
def _(result: MonthlyBill) -> RenderableType:
    from planner.money_tell import compact

    return compact(result)


@frame.register
def _(result: MonthlyBill) -> pd.DataFrame:
    rows = [
        {"system": x.system, "kind": x.kind, "line": x.name, "quantity": float(x.quantity), "unit": x.price.unit,
         "usd_a_unit": float(x.price.usd), "usd_a_month": float(x.monthly_usd), "price_is": x.price.grade}
        for x in result.bill.lines
    ]  # fmt: skip
    return pd.DataFrame(rows)


@charts.register
def _(result: MonthlyBill) -> dict[str, Chart]:
    return {"By system and kind": lambda: _by_kind(result)}


def _by_kind(result: MonthlyBill) -> dict[str, Any]:
    table = frame(result).pivot_table("usd_a_month", "system", "kind", "sum", fill_value=0.0)
    data = [
        {"type": "bar", "orientation": "h", "name": kind, "y": list(table.index), "x": table[kind].round(2).tolist(),
         "marker": {"color": KIND.get(str(kind), INK[6])}}
        for kind in table.columns
    ]  # fmt: skip
    return {"data": data, "layout": {"barmode": "stack", "height": 300, "xaxis": _axis("USD a month")}}


def _axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title}} | more


@rendered.register
def _(result: Bridge) -> RenderableType:
    from planner.money_bridge import rendered as told

    return told(result)


@frame.register
def _(result: Bridge) -> pd.DataFrame:
    rows = [{"cause": "as planned", "added_usd": float(result.start.monthly_usd), "usd_a_month": None, "why": ""}]
    rows[0]["usd_a_month"] = rows[0]["added_usd"]
    for step, why in zip(result.steps, result.why, strict=True):
        rows.append({"cause": step.cause, "added_usd": float(step.added_usd), "usd_a_month": float(step.total_usd),
                     "why": why})  # fmt: skip
    return pd.DataFrame(rows)


@charts.register
def _(result: Bridge) -> dict[str, Chart]:
    return {"Bridge": lambda: _waterfall(result)}


def _waterfall(result: Bridge) -> dict[str, Any]:
    table = frame(result)
    names = [*table["cause"], "the bill"]
    bar = {
        "type": "waterfall", "orientation": "h", "y": names, "x": [*table["added_usd"].round(2), None],
        "measure": ["absolute", *["relative"] * (len(table) - 1), "total"],
        "increasing": {"marker": {"color": JUDGED["broken"]}}, "decreasing": {"marker": {"color": JUDGED["holds"]}},
        "totals": {"marker": {"color": INK[0]}},
    }  # fmt: skip
    layout = {"height": 120 + 24 * len(names), "xaxis": _axis("USD a month"), "yaxis": {"autorange": "reversed"}}
    return {"data": [bar], "layout": layout | {"showlegend": False}}


@rendered.register
def _(result: Report) -> RenderableType:
    from planner.finance_tell import executive

    table = Table(show_header=False, **BARE)
    for what, told in executive(result):
        table.add_row(Text(what, "dim"), told)
    return Group(Text(f"Finance report: {result.scenario.name}", "bold"), table)


@frame.register
def _(result: Report) -> pd.DataFrame:
    rows = [
        {"month": m.number + 1, "events": m.events, "usd": float(m.bill.monthly_usd), "p10_usd": m.range.p10_usd,
         "p90_usd": m.range.p90_usd, "warning": m.warning}
        for m in result.months
    ]  # fmt: skip
    return pd.DataFrame(rows)


@charts.register
def _(result: Report) -> dict[str, Chart]:
    return {
        "Months": lambda: drawn.growth(result.months),
        "Commitments": lambda: _options(result),
    }


def _options(result: Report) -> dict[str, Any]:
    """What each way of paying for a machine saves over the horizon, amortised."""
    table = result.options()
    data = [
        {"type": "bar", "orientation": "h", "name": machine, "y": mine["option"].tolist(),
         "x": mine["saved_usd"].round(2).tolist(), "marker": {"color": INK[k % len(INK)]}}
        for k, (machine, mine) in enumerate(table.groupby("machine", sort=False))
    ]  # fmt: skip
    names = table["option"].nunique()
    layout = {"barmode": "group", "height": 160 + 40 * names, "xaxis": _axis("USD saved over the horizon, amortised")}
    return {"data": data, "layout": layout}


def options(result: Report) -> pd.DataFrame:
    """Every way of paying for each machine over the report's months, on demand first."""
    rows = []
    for one in result.commitments:
        for c in one.choices:
            rows.append({
                "machine": one.machine, "option": c.name, "cash_usd": float(c.total_cash_usd),
                "amortised_usd": float(c.total_usd), "saved_usd": float(c.saved_usd),
                "break_even_month": c.break_even_month, "stranded_usd": float(c.stranded_usd), "best": c is one.best,
            })  # fmt: skip
    return pd.DataFrame(rows)


@rendered.register
def _(result: Moved) -> RenderableType:
    table = Table("part", "added", "USD a month", "why", **BARE)
    table.columns[1].justify = table.columns[2].justify = "right"
    table.add_row("last review", "", f"{result.was_usd:,.2f}", "")
    for part in result.parts:
        table.add_row(part.name, f"{part.added_usd:+,.2f}", f"{part.total_usd:,.2f}", Text(part.told, "dim"))
    return Group(table, *(Text(note, "dim") for note in result.notes))


@frame.register
def _(result: Moved) -> pd.DataFrame:
    rows = [
        {"part": part.name, "system": e.system, "line": e.name, "quantity_usd": float(e.quantity_usd),
         "price_usd": float(e.price_usd)}
        for part in result.parts for e in part.effects
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["part", "system", "line", "quantity_usd", "price_usd"])


@charts.register
def _(result: Moved) -> dict[str, Chart]:
    return {"What moved": lambda: _moved(result)}


def _moved(result: Moved) -> dict[str, Any]:
    names = ["last review", *(part.name for part in result.parts), "today"]
    added = [float(result.was_usd), *(float(part.added_usd) for part in result.parts), None]
    bar = {"type": "waterfall", "orientation": "h", "y": names, "x": added,
           "measure": ["absolute", *["relative"] * len(result.parts), "total"],
           "totals": {"marker": {"color": INK[0]}}}  # fmt: skip
    layout = {"height": 120 + 24 * len(names), "xaxis": _axis("USD a month"), "yaxis": {"autorange": "reversed"}}
    return {"data": [bar], "layout": layout | {"showlegend": False}}


# Stacks side by side


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
    axes = {"xaxis": _axis(first, type="category"), "yaxis": _axis(title, rangemode="tozero")}
    return {"data": data, "layout": axes | {"height": 300, "showlegend": bool(others)}}


@rendered.register
def _(result: Recommendation) -> RenderableType:
    from planner.recommend_text import rendered as told

    words: RenderableType = told(result)
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
    axes = {"xaxis": _axis("p99 [s]", rangemode="tozero"), "yaxis": _axis("USD a month", rangemode="tozero")}
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
    axis = _axis(title) | ({"tickformat": ".0%"} if key == "busiest" else {})
    return {"data": [bar], "layout": {"height": 240, "xaxis": axis, "yaxis": {"autorange": "reversed"}}}


# Bad days


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
    layout = {"height": 140 + 22 * len(table), "xaxis": _axis(title), "barmode": "overlay"}
    return {"data": data, "layout": layout | {"yaxis": {"categoryorder": "array", "autorange": "reversed",
                                                        "categoryarray": table["drill"].tolist()}}}  # fmt: skip


# Truth


@rendered.register
def _(result: Calibration) -> RenderableType:
    from planner.calibrate import why_unanchored

    told = result.outcome.told
    head = f"{result.name}: {len(told)} coefficients told by {len(result.gathered.runs)} runs; "
    head += f"{len(result.outcome.left)} left at the prior ({result.prior})"
    table = Table("today replayed", "error", "at most", "parts", "", **BARE)
    for match in result.replay:
        word = "as measured" if match.holds else "does NOT match"
        table.add_row(match.quantity, f"{match.error:+.1%}", f"{match.tolerance:.0%}", str(match.parts), word)
    end = f"{'anchored' if result.anchored else 'UNANCHORED'}: {why_unanchored(result.replay)}"
    return Group(Text(head, "bold"), Text(), table, Text(), Text(end))


@frame.register
def _(result: Calibration) -> pd.DataFrame:
    from models.coefficients import LAWS, carried, load_set

    prior = carried(load_set(result.prior), float(result.gathered.machine["per_core_speed"]))
    rows = []
    for name in (n for n in LAWS if n in result.outcome.told):
        one = result.outcome.told[name]
        rows.append({"coefficient": name, "value": one.value, "low": one.low, "high": one.high, "unit": LAWS[name][0],
                     "prior": prior[name].value})  # fmt: skip
    return pd.DataFrame(rows)


@charts.register
def _(result: Calibration) -> dict[str, Chart]:
    from planner.calibrate_tell import residual_figures

    residuals = residual_figures(result)
    made: dict[str, Chart] = {"Coefficients": lambda: _over_prior(result)}
    return made | {name: lambda figure=figure: figure for name, figure in residuals.items()}


def _over_prior(result: Calibration) -> dict[str, Any]:
    table = frame(result)
    table = table[(table["prior"] > 0) & (table["value"] > 0)]
    at = table["value"] / table["prior"]
    bars = {"type": "data", "symmetric": False, "array": (table["high"] / table["prior"] - at).round(4).tolist(),
            "arrayminus": (at - table["low"] / table["prior"]).round(4).tolist()}  # fmt: skip
    dots = {"type": "scatter", "mode": "markers", "x": at.round(4).tolist(), "y": table["coefficient"].tolist(),
            "error_x": bars, "marker": {"color": INK[0]}}  # fmt: skip
    one = {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dot"}}
    layout = {"height": 120 + 18 * len(table), "xaxis": _axis("fitted over prior", type="log", tickformat="~r"),
              "yaxis": {"autorange": "reversed"}, "shapes": [one]}  # fmt: skip
    return {"data": [dots], "layout": layout}


@rendered.register
def _(result: Backtest) -> RenderableType:
    from planner.backtest_score import coverage, summarise
    from planner.backtest_tell import percent, size

    table = Table("quantity", "rows", "median error", "largest", "bias", "two equal runs", "last value", "a + b·n",
                  **BARE)  # fmt: skip
    for column in table.columns[1:]:
        column.justify = "right"
    for s in summarise(result.scores):
        cells = (size(s.median), size(s.worst), percent(s.bias), size(s.repeat), size(s.last), size(s.ten_lines))
        table.add_row(s.quantity, str(s.count), *cells)
    found = coverage(result.scores)
    end = [Text(f"not forecast: {name}: {why}", "dim") for name, why in result.refused.items()]
    if found is not None:
        told = f"90 % intervals held {found.share:.0%} of the measurements ({found.low:.0%} to {found.high:.0%}, "
        end.insert(0, Text(f"{told}counted by run: {found.runs} runs)", "bold"))
    return Group(table, Text(), *end)


@frame.register
def _(result: Backtest) -> pd.DataFrame:
    rows = [
        {"run": s.run, "part": s.part, "quantity": s.quantity, "unit": s.unit, "measured": s.measured,
         "forecast": s.forecast, "low": s.low, "high": s.high, "error": s.error, "inside": s.inside,
         "two_equal_runs": s.repeat}
        for s in result.scores
    ]  # fmt: skip
    return pd.DataFrame(rows)


@charts.register
def _(result: Backtest) -> dict[str, Chart]:
    names = list(dict.fromkeys(s.quantity for s in result.scores))
    first = [name for name in names if name == "latency p50"]
    return {name: lambda name=name: _beside(result, name) for name in dict.fromkeys([*first, *names])}  # type: ignore[misc]


def _beside(result: Backtest, quantity: str) -> dict[str, Any]:
    """Forecast over measured, a colour a run; on the line the forecast is right."""
    table = frame(result)
    table = table[table["quantity"] == quantity]
    data = []
    for k, (name, mine) in enumerate(table.groupby("run", sort=False)):
        low, high = (mine[end].fillna(mine["forecast"]) for end in ("low", "high"))
        bars = {"type": "data", "symmetric": False, "array": (high - mine["forecast"]).tolist(),
                "arrayminus": (mine["forecast"] - low).tolist()}  # fmt: skip
        data.append({"type": "scatter", "mode": "markers", "name": str(name), "x": mine["measured"].tolist(),
                     "y": mine["forecast"].tolist(), "error_y": bars,
                     "marker": {"size": 8, "color": INK[k % len(INK)]}})  # fmt: skip
    ends = [float(table["measured"].min()), float(table["measured"].max())]
    right = {"type": "line", "x0": ends[0], "x1": ends[1], "y0": ends[0], "y1": ends[1], "line": {"dash": "dot"}}
    unit = table["unit"].iloc[0]
    axes = {"xaxis": _axis(f"measured [{unit or 1}]", type="log", tickformat="~r"),
            "yaxis": _axis(f"forecast [{unit or 1}]", type="log", tickformat="~r")}  # fmt: skip
    return {"data": data, "layout": axes | {"height": 460, "shapes": [right], "margin": {"b": 130}}}
