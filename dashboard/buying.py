"""The view that recommends: a front of stacks, of which one opens as B."""

from __future__ import annotations

import streamlit as st

from dashboard import blocks, state
from dashboard.drawn import chart
from dashboard.work import asked
from planner.front_page import Choice, Front, front_chart, front_rows
from planner.told import changed_fields
from planner.told_parts import Cell

WHAT = (
    "Searches every machine and count for the cheapest stack that keeps the promises, simulates the likely ones at the "
    "peak, and says why not another."
)
FRONT = "Cost against latency: click a stack, or choose it below, to see what it changes and to open it as B"


def recommend_view() -> None:
    """Of the variant that the controls move: searched when asked, as that takes its time."""
    slot = state.editing()
    scenario = state.variants()[slot].scenario
    name = state.key("front", scenario)
    wanted = st.session_state.setdefault("fronts", set())
    if state.shelf().get(name) is None and name not in wanted:
        st.html(blocks.note(WHAT))
        st.button("Recommend a stack", key="recommend", type="primary", on_click=wanted.add, args=(name,))
        return
    made: Front | None = asked("recommendation", name, "planner.front_page:front", scenario)
    if made is not None:
        _draw(made)


def _draw(made: Front) -> None:
    st.html(blocks.sentence(made.headline, "holds" if made.holds else "broken", source=WHAT))
    chart(front_chart(made), "Cost against latency", "front", FRONT, on_select=_clicked, selection_mode="points")
    names = [p.name for p in made.choices]
    if st.session_state.get("front-chosen") not in names:
        st.session_state["front-chosen"] = names[min(1, len(names) - 1)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("Stack", names, key="front-chosen", width=300)
        st.button("Open as B", key="front-open", on_click=_open, args=(made,))
    _chosen(made)
    head, rows = front_rows(made)
    st.html(blocks.table(head, rows, numbers=(1, 2)))
    for title, text in made.paragraphs:
        st.html(blocks.paragraphs(title, text, made.source))


def _chosen(made: Front) -> None:
    """What the chosen stack would change of today's."""
    today, chosen = made.choices[0], _stack(made)
    fields = changed_fields(today.scenario, chosen.scenario)
    if not fields:
        st.html(blocks.note("This is the stack as it stands."))
        return
    rows = [[Cell(path), Cell(was), Cell(then)] for path, was, then in fields]
    st.html(blocks.table(("what it changes", "today", chosen.name), rows, source=f"the two stacks: {chosen.told}"))


def _stack(made: Front) -> Choice:
    return next(p for p in made.choices if p.name == st.session_state["front-chosen"])


def _clicked() -> None:
    """A point of the chart was chosen: it becomes the one that the button opens."""
    points = st.session_state["chart-front"].selection.points
    if points and points[0].get("customdata"):
        st.session_state["front-chosen"] = points[0]["customdata"][2]


def _open(made: Front) -> None:
    chosen = _stack(made)
    if state.editing() == "B":
        state.load("A", state.variants()["B"].scenario, state.variants()["B"].source)
    state.load("B", chosen.scenario, f"recommendation: {chosen.name}")
    st.session_state["editing"], st.session_state["view"] = "B", "Overview"
