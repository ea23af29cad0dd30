"""Results in a notebook: the words of the terminal, tidy tables, and the dashboard's charts as Plotly figures.

How each kind of result answers stands in `notebook_kinds` and the modules named there, which are imported here so that
every kind is known.
"""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console
from rich.theme import Theme

from planner import notebook_days, notebook_money, notebook_stack, notebook_truth  # noqa: F401
from planner.look import LIGHT, STYLES, template
from planner.notebook_kinds import charts, frame, rendered
from planner.refusal import ScenarioError

WIDTH = 110
PRE = '<pre style="line-height:1.25;font-family:monospace;white-space:pre">{code}</pre>'


def shown(result: Any) -> dict[str, str]:
    """The result as plain text, and with its colours as HTML."""
    console = Console(
        file=io.StringIO(), width=WIDTH, highlight=False, record=True, theme=Theme(STYLES), force_jupyter=False
    )
    console.print(rendered(result))
    plain = console.export_text(clear=False)
    return {"text/plain": plain, "text/html": console.export_html(inline_styles=True, code_format=PRE)}


def plotted(result: Any, chart: str = "") -> Any:
    """One of the result's charts as a Plotly figure. Raises ScenarioError for a chart that there is not."""
    import difflib

    import plotly.graph_objects as go

    found = charts(result)
    name = chart or next(iter(found))
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(found)}"
        raise ScenarioError(f"no chart '{name}'; {hint}")
    figure = found[name]()
    figure["layout"] = {"template": template()} | figure["layout"] | {"paper_bgcolor": LIGHT.ground}
    return go.Figure(figure)


__all__ = ["charts", "frame", "plotted", "rendered", "shown"]
