"""The page: controls left, answers in the centre, in one fragment, so that a slider redraws both and nothing else."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from dashboard import blocks, state
from dashboard.drawn import shade
from dashboard.panel import panel
from dashboard.results import results
from planner import look


def page() -> None:
    """The whole script; controls rerun only the board."""
    st.set_page_config(page_title="Floodmark", page_icon=icon(), layout="wide")
    state.begin()
    st.html(blocks.style(shade()))
    board()


@st.fragment
def board() -> None:
    """Controls and results."""
    left, centre = st.columns([0.26, 0.74], gap="medium")
    with left, st.container(key="panel"):
        panel()
    with centre:
        slot = state.editing()
        scenario = state.variants()[slot].scenario
        st.html(blocks.masthead(scenario.name, scenario.description))
        results()
    st.html(blocks.drawn(state.drawn()))
    state.settle_memory()


@cache
def icon() -> Any:
    """Three flood marks, drawn here: a named icon would be fetched from the internet."""
    from PIL import Image, ImageColor

    image = Image.new("RGB", (32, 32), ImageColor.getrgb(look.LIGHT.ground))
    for top, colour in ((4, look.SYSTEM["elasticsearch"]), (12, look.SYSTEM["spark"]), (20, look.SYSTEM["kafka"])):
        image.paste(ImageColor.getrgb(colour), (2, top, 30, top + (10 if top == 20 else 4)))
    return image
