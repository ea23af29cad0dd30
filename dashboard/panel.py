"""The left side: which scenario, and its controls, made from the fields' own metadata."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import blocks, state
from dashboard.start import own_files
from planner.controls import GROUPS, Control, at, controls
from planner.refusal import ScenarioError
from planner.scenario import example, example_names, example_text, to_yaml
from planner.share import foreign_yaml, to_query

OPEN = "Workload"  # the group that is unfolded at first


def panel() -> None:
    """All of the left side; what it moves is in the session's variants when it returns."""
    _start()
    _variants()
    slot = state.editing()
    variant = state.variants()[slot]
    flow = _flow(variant)
    found = controls(variant.scenario, flow, variant.base)
    for group in GROUPS:
        _group(group, [c for c in found if c.group == group], slot)


def _start() -> None:
    """Start from an example or a file, save, share, edit as text."""
    with st.container(horizontal=True, gap="small"):
        opened = st.popover("Open", key="open", on_change="rerun")
        if opened.open:
            with opened:
                _open()
        saved = st.popover("Save", key="save", on_change="rerun")
        if saved.open:
            with saved:
                _save()
        if st.button("Edit as text", key="edit", help="the whole scenario as YAML: also what has no control here"):
            _editor()
    for title, lines in st.session_state.pop("refused", []):
        st.html(blocks.errors(title, lines))


def _open() -> None:
    for name in example_names():
        st.button(f"Example: {name}", key=f"open-{name}", on_click=_open_example, args=(name,), width="stretch")
    st.file_uploader(
        "A scenario file (YAML); what `floodmark init`, `discover` or `recommend` wrote is one", type=["yaml", "yml"],
        key="upload", on_change=_open_upload, max_upload_size=8,
    )  # fmt: skip


def _open_example(name: str) -> None:
    state.load(state.editing(), example(name), f"example {name}")


def _open_upload() -> None:
    file = st.session_state["upload"]
    if file is not None:
        _open_text(file.getvalue().decode("utf-8", errors="replace"), file.name)


def _open_text(text: str, name: str) -> None:
    """A text into the slot edited, or what is wrong with it for the page to say."""
    try:
        state.load(state.editing(), foreign_yaml(text, name, own_files()), name)
    except ValueError as error:
        st.session_state.setdefault("refused", []).append((f"{name} was not opened", state.refusal(error)))


def _save() -> None:
    slot = state.editing()
    scenario = state.variants()[slot].scenario
    st.download_button(
        "Download YAML", to_yaml(scenario), file_name=f"{scenario.name}.yaml", mime="application/yaml", width="stretch",
        on_click="ignore", key="download",
    )  # fmt: skip
    st.button("Make a link", on_click=_share, width="stretch", key="share", help="the page's address then holds it all")
    if link := st.session_state.get("link"):
        st.code(link, language=None, wrap_lines=True)


def _share() -> None:
    try:
        told = {slot.lower(): to_query(v.scenario) for slot, v in state.variants().items()}
    except ScenarioError as error:
        st.session_state["link"] = "; ".join(error.lines)
        return
    st.query_params.from_dict(told)
    base = st.context.url or ""
    st.session_state["link"] = f"{base.split('?')[0]}?" + "&".join(f"{k}={v}" for k, v in told.items())


@st.dialog("The scenario as text", width="large")
def _editor() -> None:
    """The scenario as text: everything that a control has no place for (curves, bursts, hosts, commitments)."""
    variant = state.variants()[state.editing()]
    commented = variant.source.startswith("example ") and not variant.moves
    text = example_text(variant.source.removeprefix("example ")) if commented else to_yaml(variant.scenario)
    written = st.text_area("YAML", text, height=520, key=f"text|{hash(text)}", label_visibility="collapsed")
    if st.button("Use this text", type="primary", key="use-text"):
        try:
            state.load(state.editing(), foreign_yaml(written, "the text", own_files()), "the text")
        except ValueError as error:
            st.html(blocks.errors("This text is no scenario yet", state.refusal(error)))
        else:
            st.rerun()


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


def _group(group: str, found: list[Control], slot: str) -> None:
    """A group, folded but for the first; a folded one is not drawn at all."""
    fold = st.expander(group, expanded=group == OPEN, key=f"group-{group}", on_change="rerun")
    if not fold.open:
        return
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
        st.selectbox(control.label, control.options, **told)
    elif control.kind == "switch":
        st.toggle(control.label, **told)
    elif control.kind == "number":
        low, high = (None if x is None else int(x) for x in (control.low, control.high))
        st.number_input(control.label, min_value=low, max_value=high, step=1, **told)
    else:
        st.text_input(control.label, placeholder="none" if control.optional else "", **told)


def _shown(control: Control, variant: state.Variant) -> Any:
    """What a control shows: what was typed into it, else the scenario's value."""
    if control.place in variant.moves:
        return variant.moves[control.place]
    value = at(variant.scenario, control.place)
    if control.kind == "switch":
        return control.value
    return control.say(value) if control.kind in ("quantity", "text") else value


def _moved(control: Control, slot: str, name: str) -> None:
    value = st.session_state[name]
    if isinstance(value, str) and not value.strip() and control.optional:
        value = None
    variant = state.variants()[slot]
    before = variant.scenario
    variant.move(control.place, value)
    if variant.scenario is not before:
        state.stop(slot)
