"""What every result can do in a notebook: show itself, be a table, be a chart.

`Shown` is a mixin without fields. `to_frame` gives a tidy table (a row an observation, a column a variable, units in
the column's name or beside the value), `plot` a Plotly figure, and a cell that ends with a result prints what the
terminal prints. How each result does it stands in `planner/notebook.py`, imported when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame


class Shown:
    """A result that a notebook can show."""

    def to_frame(self) -> DataFrame:
        """The result as a tidy table."""
        from planner.notebook import frame

        return frame(self)

    def plot(self, chart: str = "") -> Any:
        """A Plotly figure; `chart` is one of `charts()`, by default the first. Raises ScenarioError for another."""
        from planner.notebook import plotted

        return plotted(self, chart)

    def charts(self) -> tuple[str, ...]:
        """Names of the charts that `plot` draws."""
        from planner.notebook import charts

        return tuple(charts(self))

    def __rich__(self) -> Any:
        from planner.notebook import rendered

        return rendered(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """In a notebook: the words of the terminal, with their colours where HTML is shown."""
        from planner.notebook import shown

        return shown(self)
