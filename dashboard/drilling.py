"""The view of bad days: one is picked and played, and shown in time."""

from __future__ import annotations

import streamlit as st

from dashboard import blocks, state
from dashboard.drawn import chart
from dashboard.work import asked
from planner.drill_play import drill_numbers, happenings, in_time, names, told

WHAT = (
    "Simulated from calm to calm at the peak rate: it holds if the query runs at the end, no record is lost, and all "
    "is whole and caught up in the time promised."
)


def drill_view() -> None:
    """Of the variant that the controls move."""
    scenario = state.variants()[state.editing()].scenario
    known = names(scenario)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            "A bad day", list(known), format_func=lambda n: f"{n}: {known[n]}", key="drill", width=560
        )
        name = state.key(f"drill {chosen}", scenario)
        wanted = st.session_state.setdefault("drills", set())
        st.button("Play", key="play", type="primary", on_click=wanted.add, args=(name,))
    if state.shelf().get(name) is None and name not in wanted:
        st.html(blocks.note(WHAT))
        return
    result = asked(f"drill {chosen}", name, "planner.drill_play:play", scenario, chosen)
    if result is None:
        return
    st.html(blocks.sentence(told(result), "holds" if result.holds else "broken", source=WHAT))
    st.html(blocks.tiles(drill_numbers(result)))
    for title, figure in in_time(result).items():
        chart(figure, title, f"drill-{title}")
    head, rows = happenings(result)
    st.html(blocks.table(head, rows, numbers=(0, 1), source=WHAT))
