"""A sweep drawn: latency and cost over the first axis, a line for each combination of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.look import INK, template
from planner.sweep import Cell

PANELS = (
    ("p99_seconds", "p99 [s]"), ("batch_seconds", "batch [s]"), ("busiest_share", "busiest host [1]"),
    ("monthly_usd", "USD a month"),
)  # fmt: skip


def page(cells: Sequence[Cell]) -> str:
    """One HTML file that stands alone (Plotly embedded)."""
    from plotly.subplots import make_subplots

    first, *others = list(cells[0].values)
    figure: Any = make_subplots(rows=2, cols=2, subplot_titles=[title for _, title in PANELS])
    lines: dict[str, list[Cell]] = {}
    for cell in cells:
        lines.setdefault(", ".join(f"{p.rsplit('.', 1)[-1]} {cell.values[p]}" for p in others), []).append(cell)
    for number, (name, of) in enumerate(lines.items()):
        whole = [cell for cell in of if not cell.refused]
        for panel, (key, _) in enumerate(PANELS):
            figure.add_scatter(
                x=[str(cell.values[first]) for cell in whole], y=[cell.answers[key] for cell in whole],
                name=name or first, mode="lines+markers", legendgroup=name, showlegend=panel == 0 and bool(others),
                row=panel // 2 + 1, col=panel % 2 + 1, line={"color": INK[number % len(INK)]},
            )  # fmt: skip
    figure.update_xaxes(title_text=first, type="category")
    figure.update_layout(
        template=template(), height=720, margin={"t": 80}, title_text=f"Sweep over {', '.join(cells[0].values)}"
    )
    return str(figure.to_html(include_plotlyjs=True, full_html=True))
