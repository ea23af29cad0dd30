"""Where a session's scenarios come from: a link, the command line, an example, a file, an editor."""

from __future__ import annotations

import atexit
import shutil
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st

from planner.own_sets import kept_set
from planner.refusal import ScenarioError
from planner.scenario import example, load_scenario
from planner.share import from_query

IN_LINK = {"a": "A", "b": "B"}  # parameters of the address


def first_scenarios() -> dict[str, tuple[Any, str]]:
    """By slot: the scenario and where it is from. What is wrong with a link or file is kept for the page to say."""
    st.session_state["refused"] = []
    found = _of_link()
    if "A" not in found:
        try:
            found["A"] = _of_command_line()
        except ValueError as error:
            _refuse(f"{file_given()} cannot be used; the example is shown instead", error)
            found["A"] = (example("events"), "example events")
    return found


def _of_link() -> dict[str, tuple[Any, str]]:
    found: dict[str, tuple[Any, str]] = {}
    for name, slot in IN_LINK.items():
        text = st.query_params.get(name)
        if text and (slot == "A" or "A" in found):
            try:
                found[slot] = (from_query(text), "a link")
            except ValueError as error:
                _refuse("The scenario in the link cannot be used", error)
    return found


def _refuse(title: str, error: Exception) -> None:
    lines = error.lines if isinstance(error, ScenarioError) else [str(error)]
    st.session_state["refused"].append((title, lines))


def file_given() -> str | None:
    """The scenario file on the command line, behind `--`."""
    return sys.argv[1] if len(sys.argv) > 1 else None


@lru_cache(maxsize=8)
def _loaded(path: str, changed: float) -> Any:
    return load_scenario(path)


def _given(path: str) -> Any:
    file = Path(path)
    return _loaded(path, file.stat().st_mtime if file.exists() else 0.0)


def _of_command_line() -> tuple[Any, str]:
    path = file_given()
    return (example("events"), "example events") if path is None else (_given(path), Path(path).name)


def own_files() -> dict[str, str]:
    """Files that this session may name, each with its path: the command line's own, and the sets brought here."""
    brought: dict[str, str] = st.session_state.setdefault("sets", {})
    path = file_given()
    if path is None:
        return brought
    try:
        own = _given(path)
    except ValueError:
        return brought
    return brought | {name: name for name in (own.coefficients, own.money.price_book)}


@st.cache_resource(show_spinner=False)
def folder_of_sets() -> Path:
    """Where this server keeps the sets that were brought to it, until it ends."""
    made = tempfile.mkdtemp(prefix="floodmark-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return Path(made)


def bring_set(raw: bytes, name: str) -> str:
    """A coefficient set brought to this session: its path. Raises ScenarioError."""
    path = kept_set(raw, name, folder_of_sets())
    st.session_state.setdefault("sets", {})[Path(path).name] = path
    return path
