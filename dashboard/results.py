"""The centre: what the planner answers, drawn. One view at a time: a moved slider redraws no more than is seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import streamlit as st

from dashboard import blocks, state
from dashboard.drawn import chart
from dashboard.status import status
from dashboard.work import asked
from planner import charts
from planner.breaks import breaks
from planner.forecast import Forecast
from planner.months import HORIZON, month_numbers
from planner.sketch import sketch
from planner.told import changed_fields, main_numbers, verdict
from planner.told_parts import (
    MEMORY_KEY,
    answer_rows,
    bill_beside,
    bill_lines,
    bill_table,
    budget_bars,
    budget_key,
    ledger_rows,
    memory_bars,
    memory_rows,
    range_rows,
    rests_on,
    storage_bars,
)

Forecasts = dict[str, Forecast]
MEMORY_TITLE = "Memory: one process of each kind on its host"
RANGES = "what the scenario asks for, and the range that its coefficients were measured in"
STORAGE_TITLE = "Storage: the fullest node against its volume"


def results() -> None:
    """All of the centre."""
    found: Forecasts = {}
    for slot, variant in state.variants().items():
        if variant.wrong:
            st.html(blocks.errors(f"{slot} does not go together; shown is the last stack that did", variant.wrong))
        try:
            found[slot] = state.answer(variant.scenario)
        except ValueError as error:
            st.html(blocks.errors(f"{slot} cannot be forecast", state.refusal(error)))
    if not found:
        return
    for slot, out in found.items():
        prefix = slot if len(state.variants()) > 1 else ""
        st.html(blocks.sentence(verdict(out), _tone(out), prefix, rests_on(out)))
    status(tuple(found))
    _numbers(found)
    views = _views()
    chosen = st.segmented_control("View", list(views), default="Overview", key="view", required=True,
                                  label_visibility="collapsed")  # fmt: skip
    for name, draw in views.items():  # a place of its own for each view: what is not chosen is gone at once
        if name != chosen:
            st.empty()
            continue
        with st.container():
            draw(found)


def _tone(out: Forecast) -> str:
    if not out.targets:
        return "info"
    return "broken" if not out.holds else "holds" if all(t.sure for t in out.targets) else "unsure"


def _numbers(found: Forecasts) -> None:
    if len(found) < 2:
        st.html(blocks.tiles(main_numbers(next(iter(found.values())))))
        return
    a, b = found["A"], found["B"]
    st.html(blocks.side_by_side(main_numbers(a), main_numbers(b), changed_fields(a.scenario, b.scenario)))


def _views() -> dict[str, Callable[[Forecasts], None]]:
    return {
        "Overview": _overview, "Latency": _latency, "Batches": _batches, "Load": _load, "Memory": _memory,
        "Storage": _storage, "Bill": _bill, "Growth": _growth, "Bad days": _drill, "Recommend": _recommend,
        "Findings": _findings, "Rests on": _rests_on,
    }  # fmt: skip


def _chart(draw: Callable[[Forecast], Any], found: Forecasts, title: str, name: str) -> None:
    """One chart of all variants: laid over each other where they share axes."""
    chart(_over_each_other(draw, found), title, name)


def _sketch(draw: Callable[[Forecast], Any], found: Forecasts, title: str) -> None:
    """One chart of lines that is drawn at once, as a moved slider wants it."""
    st.html(blocks.heading(title) + sketch(_over_each_other(draw, found), title))


def _over_each_other(draw: Callable[[Forecast], Any], found: Forecasts) -> Any:
    figures = {slot: draw(out) for slot, out in found.items()}
    return next(iter(figures.values())) if len(figures) == 1 else charts.together(figures)


def _each(found: Forecasts, draw: Callable[[Forecast], None]) -> None:
    """The same for every variant, side by side."""
    if len(found) == 1:
        draw(next(iter(found.values())))
        return
    for (slot, out), column in zip(found.items(), st.columns(len(found)), strict=True):
        with column:
            st.html(blocks.heading(slot))
            draw(out)


def _overview(found: Forecasts) -> None:
    left, right = st.columns(2, gap="medium")
    with left:
        _sketch(charts.latency_curve, found, "Latency: share of records that can be found within")
    with right:
        _sketch(charts.lag, found, "Lag: records not yet read, when each batch starts")
    _each(found, partial(_overview_of, narrow=len(found) > 1))


def _overview_of(out: Forecast, narrow: bool) -> None:
    st.html(blocks.first_breaks(breaks(out)))
    left, right = (st.container(), st.container()) if narrow else st.columns(2, gap="medium")
    with left:
        st.html(blocks.bars(budget_bars(out), "Where the mean latency goes", budget_key()))
        st.html(blocks.bars(storage_bars(out), STORAGE_TITLE))
    with right:
        st.html(blocks.bars(memory_bars(out), MEMORY_TITLE, MEMORY_KEY))
    _bill_table(out)


def _latency(found: Forecasts) -> None:
    _chart(charts.latency_curve, found, "Latency: share of records that can be found within", "latency")
    _chart(charts.budget, found, "Where the mean latency goes", "budget")
    _each(found, lambda out: _table(*answer_rows(out)))


def _table(head: list[str], rows: Any, **told: Any) -> None:
    st.html(blocks.table(head, rows, **told))


def _batches(found: Forecasts) -> None:
    _chart(charts.lag, found, "Lag: records not yet read, when each batch starts", "lag")
    for slot, out in found.items():
        own = {slot: out}
        of = f" of {slot}" if len(found) > 1 else ""
        _chart(charts.gantt, own, f"Batches{of}: what outlasts its trigger is red", f"gantt-{slot}")
        _chart(charts.heat_map, own, f"Lag{of} by partition", f"heat-{slot}")
        _chart(charts.tasks, own, f"Tasks{of} of the last batches", f"tasks-{slot}")


def _load(found: Forecasts) -> None:
    for slot, out in found.items():
        of = f" of {slot}" if len(found) > 1 else ""
        _chart(charts.busy, {slot: out}, f"How busy each part{of} is", f"busy-{slot}")


def _memory(found: Forecasts) -> None:
    _each(found, lambda out: st.html(blocks.bars(memory_bars(out), MEMORY_TITLE, MEMORY_KEY)))
    _each(found, lambda out: _table(*memory_rows(out), numbers=(3,)))


def _storage(found: Forecasts) -> None:
    _chart(charts.filling, found, "Storage: how full the fullest node gets", "filling")
    _each(found, lambda out: st.html(blocks.bars(storage_bars(out), STORAGE_TITLE)))


def _bill(found: Forecasts) -> None:
    _each(found, _bill_table)
    if len(found) > 1:
        head, rows = bill_beside(found["A"].bill, found["B"].bill)
        st.html(blocks.heading("Line by line, the largest change first"))
        _table(head, rows, numbers=(2, 3, 4), total=True)
        return
    out = next(iter(found.values()))
    head, rows = bill_lines(out.bill)
    st.html(blocks.heading("Line by line"))
    _table(head, rows, numbers=(2, 4, 5))
    for text in out.bill.notes:
        st.html(blocks.note(text))


def _bill_table(out: Forecast) -> None:
    head, rows = bill_table(out.bill)
    _table(head, rows, numbers=range(1, len(head)), total=True)


def _growth(found: Forecasts) -> None:
    """The months from now: made once to their horizon, then a slider walks through them."""
    number = st.slider("Months from now", 1, HORIZON, 12, key="month")
    for slot, out in found.items():
        of = f" of {slot}" if len(found) > 1 else ""
        name = state.key("months", out.scenario)
        made = asked(f"months{of}", name, "planner.months:months_of", out, HORIZON)
        if made is None:
            continue
        st.html(blocks.tiles(month_numbers(made, number)))
        draw = partial(charts.growth, made, number)
        _chart(
            lambda _, draw=draw: draw(), {slot: out}, f"Bill{of} and fullest disks, month by month", f"months-{slot}"
        )
        st.html(blocks.steps(made))


def _drill(_: Forecasts) -> None:
    from dashboard.drilling import drill_view

    drill_view()


def _recommend(_: Forecasts) -> None:
    from dashboard.buying import recommend_view

    recommend_view()


def _findings(found: Forecasts) -> None:
    _each(found, lambda out: st.html(blocks.first_breaks(breaks(out), 30) + blocks.findings(out.warnings)))


def _rests_on(found: Forecasts) -> None:
    _each(found, _rests_on_of)


def _rests_on_of(out: Forecast) -> None:
    st.html(blocks.note(rests_on(out)))
    _table(["quantity", "this scenario", "measured", ""], range_rows(out), source=RANGES)
    for grade, rows in ledger_rows(out):
        with st.expander(f"{len(rows)} coefficients: {grade}"):
            _table(["coefficient", "value", "90 %", "source", "as of"], rows)
