"""Calibrations, back-tests and watches in a notebook."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from planner.asked import Backtest
from planner.calibrate import Calibration
from planner.look import INK, JUDGED
from planner.notebook_kinds import BARE, Chart, axis, charts, frame, rendered
from planner.watch import Watch


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
    layout = {"height": 120 + 18 * len(table), "xaxis": axis("fitted over prior", type="log", tickformat="~r"),
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
    axes = {"xaxis": axis(f"measured [{unit or 1}]", type="log", tickformat="~r"),
            "yaxis": axis(f"forecast [{unit or 1}]", type="log", tickformat="~r")}  # fmt: skip
    return {"data": data, "layout": axes | {"height": 460, "shapes": [right], "margin": {"b": 130}}}


@rendered.register
def _(result: Watch) -> RenderableType:
    from planner.watch_tell import rendered as told

    return told(result)


@frame.register
def _(result: Watch) -> pd.DataFrame:
    rows = [
        {"law": d.law, "measured_over_said": d.ratio, "low": d.low, "high": d.high, "observations": d.rows,
         "beyond": d.beyond(result.tolerance), "coefficients": ", ".join(d.coefficients)}
        for d in result.laws
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["law", "measured_over_said", "low", "high", "observations", "beyond",
                                       "coefficients"])  # fmt: skip


@charts.register
def _(result: Watch) -> dict[str, Chart]:
    return {"Laws": lambda: _drift(result)}


def _drift(result: Watch) -> dict[str, Any]:
    """Measured over said, a row a law; the dotted line is where nothing has moved."""
    laws = result.laws
    bars = {"type": "data", "symmetric": False, "array": [d.high - d.ratio for d in laws],
            "arrayminus": [d.ratio - d.low for d in laws]}  # fmt: skip
    inks = [JUDGED["broken" if d.beyond(result.tolerance) else "holds"] for d in laws]
    dots = {"type": "scatter", "mode": "markers", "x": [d.ratio for d in laws], "y": [d.law for d in laws],
            "error_x": bars, "marker": {"color": inks, "size": 9}}  # fmt: skip
    one = {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1, "line": {"dash": "dot"}}
    layout = {"height": 140 + 26 * len(laws), "xaxis": axis("measured over said", type="log", tickformat="~r"),
              "yaxis": {"autorange": "reversed"}, "shapes": [one]}  # fmt: skip
    return {"data": [dots], "layout": layout}
