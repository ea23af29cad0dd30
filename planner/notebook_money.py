"""Bills, bridges, finance reports and what moved since a review, in a notebook."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from planner import charts as drawn
from planner.bill import MonthlyBill
from planner.finance import Report
from planner.finance_against import Moved
from planner.look import INK, JUDGED, KIND
from planner.money_bridge import Bridge
from planner.notebook_kinds import BARE, Chart, axis, charts, frame, rendered


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
    return {"data": data, "layout": {"barmode": "stack", "height": 300, "xaxis": axis("USD a month")}}


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
    layout = {"height": 120 + 24 * len(names), "xaxis": axis("USD a month"), "yaxis": {"autorange": "reversed"}}
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
    layout = {"barmode": "group", "height": 160 + 40 * names, "xaxis": axis("USD saved over the horizon, amortised")}
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
    layout = {"height": 120 + 24 * len(names), "xaxis": axis("USD a month"), "yaxis": {"autorange": "reversed"}}
    return {"data": [bar], "layout": layout | {"showlegend": False}}
