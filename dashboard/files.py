"""Scenarios in and out of the page: opened from a template or a file, saved, shared as a link, edited as text."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import blocks, state
from dashboard.start import bring_set, own_files
from planner.controls import moved
from planner.refusal import ScenarioError
from planner.scenario import example, example_names, example_text, to_yaml
from planner.share import foreign_yaml, portable, to_query


def files() -> None:
    """The buttons that open, save, share and edit, and what was refused."""
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
            st.session_state.pop("draft", None)
            _editor()
    for title, lines in st.session_state.pop("refused", []):
        st.html(blocks.errors(title, lines))
    if "draft" in st.session_state and st.button(f"Fill in {st.session_state['draft'][0]} here", key="fill-in"):
        _editor()


def _open() -> None:
    """What to start from: a template, a file of ours (a stack or a calibrated set), a recommendation."""
    st.html(blocks.heading("A template"))
    for name in example_names():
        told = example(name).description
        st.button(
            f"Example: {name}", key=f"open-{name}", on_click=_open_example, args=(name,), help=told, width="stretch"
        )
    st.html(blocks.heading("A cluster of your own, or a stack that was saved"))
    st.file_uploader(
        "YAML: what `floodmark discover`, `init` or `recommend -o` wrote, or Save here. TOML: a set that `floodmark "
        "calibrate` wrote, put under the stack on the page.", type=["yaml", "yml", "toml"], key="upload",
        on_change=_open_upload, max_upload_size=8,
    )  # fmt: skip
    st.html(blocks.heading("A recommendation"))
    st.button("Search a stack for this workload", key="open-recommend", on_click=_recommend, width="stretch")


def _opened() -> None:
    """Something was chosen: the popover closes, so that a click elsewhere is not taken for its closing."""
    st.session_state["open"] = False


def _open_example(name: str) -> None:
    _opened()
    state.load(state.editing(), example(name), f"example {name}")


def _recommend() -> None:
    _opened()
    st.session_state["view"] = "Recommend"


def _open_upload() -> None:
    file = st.session_state["upload"]
    if file is None:
        return
    _opened()
    if file.name.lower().endswith(".toml"):
        _open_set(file.getvalue(), file.name)
    else:
        _open_text(file.getvalue().decode("utf-8", errors="replace"), file.name)


def _open_set(raw: bytes, name: str) -> None:
    """A coefficient set under the stack of the slot edited: its forecasts rest on it from now on."""
    slot = state.editing()
    try:
        path = bring_set(raw, name)
        scenario = moved(state.variants()[slot].scenario, {("coefficients",): path})
        state.load(slot, scenario, f"calibrated with {name}")
    except ValueError as error:
        _refused(f"{name} was not opened", state.refusal(error))


def _open_text(text: str, name: str) -> None:
    """A text into the slot edited, or what is wrong with it for the page to say."""
    st.session_state.pop("draft", None)
    try:
        state.load(state.editing(), foreign_yaml(text, name, own_files()), name)
    except ValueError as error:
        _refused(f"{name} was not opened", state.refusal(error))
        st.session_state["draft"] = (name, text)


def _refused(title: str, lines: list[str]) -> None:
    st.session_state.setdefault("refused", []).append((title, lines))


def _saved(scenario: Any) -> Any:
    """The scenario as others can open it: no path of this machine in it."""
    return portable(scenario, own_files())


def _save() -> None:
    slot = state.editing()
    scenario = _saved(state.variants()[slot].scenario)
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
    draft = st.session_state.get("draft")
    commented = variant.source.startswith("example ") and not variant.moves
    if draft is not None:
        text = draft[1]
        st.html(blocks.note(f"{draft[0]}, which was not opened: fill in what is unknown or wrong."))
    else:
        text = example_text(variant.source.removeprefix("example ")) if commented else to_yaml(_saved(variant.scenario))
    written = st.text_area("YAML", text, height=520, key=f"text|{hash(text)}", label_visibility="collapsed")
    if st.button("Use this text", type="primary", key="use-text"):
        try:
            state.load(state.editing(), foreign_yaml(written, "the text", own_files()), "the text")
        except ValueError as error:
            st.html(blocks.errors("This text is no scenario yet", state.refusal(error)))
        else:
            st.session_state.pop("draft", None)
            st.rerun()
