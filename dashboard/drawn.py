"""Charts on the page: figures in plain data, sent as they are.

Streamlit would have Plotly validate each figure again at every move, which takes longer than to simulate; ours are
validated in the tests instead.
"""

from __future__ import annotations

from typing import Any

import streamlit as st
from plotly.basedatatypes import BaseFigure

from dashboard import blocks
from planner import charts, look

CONFIG = {"displaylogo": False, "displayModeBar": False}  # Streamlit itself follows the width


class Plain(BaseFigure):  # type: ignore[misc]
    """A figure that is its own JSON already."""

    def __init__(self, figure: charts.Figure) -> None:
        self._figure = figure

    def to_dict(self) -> charts.Figure:
        return self._figure


def shade() -> look.Shade:
    """The page's shade, as the browser has it."""
    return look.SHADES.get(getattr(st.context.theme, "type", None) or "light", look.LIGHT)


def chart(figure: charts.Figure, title: str, name: str, heading: str | None = None, **told: Any) -> Any:
    """One chart under its heading (the title, unless another is given); `name` tells it from the others."""
    st.html(blocks.heading(title if heading is None else heading))
    plain: Any = Plain(charts.shaded(figure, shade()))
    return st.plotly_chart(plain, theme=None, key=f"chart-{name}", config=CONFIG, alt=title, **told)
