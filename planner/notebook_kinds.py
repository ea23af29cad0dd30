"""The three questions that a notebook asks of any result, answered by the result's type.

`rendered` is what rich prints, `frame` a tidy DataFrame, `charts` figures by name in plain data. The answers stand in
`notebook_stack` (forecasts and stacks side by side), `notebook_money`, `notebook_days` (bad days and months ahead) and
`notebook_truth` (calibration, back-test, watch). None of them calculates: words come from the `*_tell` modules, charts
from `planner.charts` and its like.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from typing import Any

import pandas as pd
from rich.console import RenderableType

Chart = Callable[[], dict[str, Any]]
BARE: dict[str, Any] = {"box": None, "pad_edge": False, "show_edge": False, "header_style": "dim"}


@singledispatch
def rendered(result: Any) -> RenderableType:
    """What the terminal prints of a result."""
    raise TypeError(f"{type(result).__name__} has no words for a terminal")


@singledispatch
def frame(result: Any) -> pd.DataFrame:
    """The result as a tidy table."""
    raise TypeError(f"{type(result).__name__} has no table")


@singledispatch
def charts(result: Any) -> dict[str, Chart]:
    """What draws each chart of a result, by name, in reading order."""
    raise TypeError(f"{type(result).__name__} has no charts")


def axis(title: str, **more: Any) -> dict[str, Any]:
    """An axis with its title."""
    return {"title": {"text": title}} | more
