"""The left side: which scenario, and its controls, made from the fields' own metadata."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import state
from dashboard.files import files
from planner.controls import DEFAULT, GROUPS, Control, at, controls
from planner.told import brief

OPEN = "Workload"  # the group that is unfolded at first


def panel() -> None:
    """All of the left side; what it moves is in the session's variants when it returns."""
    files()
    _variants()
    slot = state.editing()
    variant = state.variants()[slot]
    flow = _flow(variant)
    for group in GROUPS:
        _group(group, slot, flow)


def _variants() -> None:
    """Which variant the controls move; B is made as a copy of A."""
    both = "B" in state.variants()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if not both:
            st.button("Compare with a variant B", on_click=_add_b, key="add-b",
                      help="a copy of A to change; both are shown side by side")  # fmt: skip
            return
        st.segmented_control(
            "The controls move", state.SLOTS, key="editing", required=True, label_visibility="collapsed"
        )
        st.button("Keep B as A", on_click=_keep_b, key="keep-b", help="B becomes the only variant")
        st.button("Drop B", on_click=state.drop_b, key="drop-b")


def _add_b() -> None:
    a = state.variants()["A"]
    state.load("B", a.scenario, a.source if not a.moves else "a copy of A")
    st.session_state["editing"] = "B"


def _keep_b() -> None:
    b = state.variants()["B"]
    scenario, source = b.scenario, b.source
    state.drop_b()
    state.load("A", scenario, source)


def _flow(variant: state.Variant) -> int:
    names = [flow.name for flow in variant.scenario.flows]
    if len(names) == 1:
        return 0
    chosen = st.selectbox("Flow that the controls move", names, key=f"flow|{variant.generation}")
    return names.index(chosen) if chosen in names else 0


def _group(group: str, slot: str, flow: int) -> None:
    """A group, folded but for the first; a folded one is not drawn at all."""
    fold = st.expander(group, expanded=group == OPEN, key=f"group-{group}", on_change="rerun")
    if not fold.open:
        return
    variant = state.variants()[slot]
    found = controls(variant.scenario, flow, variant.base, (group,))
    with fold:
        for control in (c for c in found if c.first):
            _draw(control, slot)
        rest = [c for c in found if not c.first]
        if rest and st.toggle(f"{len(rest)} advanced", key=f"more-{group}"):
            for control in rest:
                _draw(control, slot)


def _draw(control: Control, slot: str) -> None:
    """One control; its place in the session is of its variant, so that a loaded scenario brings its own values."""
    variant = state.variants()[slot]
    name = f"{slot}|{variant.generation}|{control.place}"
    if name not in st.session_state:
        st.session_state[name] = _shown(control, variant)
    told: dict[str, Any] = {"key": name, "help": control.help, "on_change": _moved, "args": (control, slot, name)}
    if control.kind == "slider":
        st.select_slider(control.label, control.options, format_func=control.say, **told)
    elif control.kind == "choice":
        st.selectbox(control.label, control.options, format_func=_word, **told)
    elif control.kind == "switch":
        st.toggle(control.label, **told)
    elif control.kind == "number":
        low, high = (None if x is None else int(x) for x in (control.low, control.high))
        st.number_input(control.label, min_value=low, max_value=high, step=1, **told)
    else:
        st.text_input(control.label, placeholder="none" if control.optional else "", **told)


def _word(value: Any) -> str:
    return {True: "yes", False: "no"}.get(value) or brief(str(value))


def _shown(control: Control, variant: state.Variant) -> Any:
    """What a control shows: what was typed into it, else the scenario's value."""
    if control.place in variant.moves:
        value = variant.moves[control.place]
        return DEFAULT if value is None and control.kind == "choice" else value
    value = at(variant.scenario, control.place)
    if control.kind == "switch":
        return control.value
    if control.kind == "choice":
        return DEFAULT if value is None else value
    return control.say(value) if control.kind in ("quantity", "text") else value


def _moved(control: Control, slot: str, name: str) -> None:
    value = st.session_state[name]
    if control.optional and isinstance(value, str) and (value == DEFAULT or not value.strip()):
        value = None
    variant = state.variants()[slot]
    before = variant.scenario
    variant.move(control.place, value)
    if variant.scenario is not before:
        state.stop(slot)
