"""Line charts as plain markup: the same figures as everywhere, drawn in a fiftieth of the time that a slider can wait.

Lines are an image that stretches with the page, so nothing in it is text or round: ticks, names and marks lie over it
at shares of its sides, and each mark hovers to its number and source. What cannot be said so (bars, heat,
zooming) is drawn by Plotly in the view of its own.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from models.units import show
from planner.charts import Figure

SIDE = 1000  # of the drawing's own square
MOST_DOTS = 60  # of one line: more run into each other, and every n-th is kept
LINE = 'fill="none" vector-effect="non-scaling-stroke" stroke-linejoin="round"'
DASH = {"dash": "7 4", "dot": "2 3"}


@dataclass(frozen=True)
class Axis:
    """From a number to its share of the axis' length, and the ticks on it."""

    low: float
    high: float
    percent: bool

    def at(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)

    @property
    def ticks(self) -> list[float]:
        """Round numbers, some four to seven, from one end to the other.

        >>> Axis(0.0, 1.02, True).ticks, Axis(0.0, 23.0, False).ticks
        ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 5.0, 10.0, 15.0, 20.0])
        """
        rough = (self.high - self.low) / 6
        scale = 10.0 ** math.floor(math.log10(rough))
        step = next(s * scale for s in (1, 2, 5, 10) if s * scale >= rough)
        first = math.ceil(self.low / step)
        return [round(k * step, 12) for k in range(first, math.floor(self.high / step + 1e-9) + 1)]

    def word(self, value: float) -> str:
        return f"{value:.0%}" if self.percent else show(value, "count") if abs(value) >= 1000 else f"{value:g}"


def sketch(figure: Figure, title: str) -> str:
    """A figure of lines and marks as markup."""
    data, layout = figure["data"], figure["layout"]
    told = [a["text"] for a in layout.get("annotations", ())]
    if not any(v is not None for trace in data for v in trace["x"]):
        return f'<div class="fm"><p class="quiet">{escape("; ".join(told) or "nothing to draw")}</p></div>'
    x, y = _axis(layout["xaxis"], [*_values(data, "x"), *_ends(data)]), _axis(layout["yaxis"], list(_values(data, "y")))
    drawn = [_area(shape, x) for shape in layout.get("shapes", ()) if shape["type"] == "rect"]
    drawn += [part for trace in data for part in _lines(trace, x, y)]
    inner = [*_ticks(x, y), _image(drawn), *(dot for trace in data for dot in _dots(trace, x, y))]
    names = "".join(
        f'<span><i style="background:{_ink(t)}"></i>{escape(t["name"])}</span>'
        for t in data
        if t.get("showlegend", True)
    )
    axes = [escape(layout[axis]["title"]["text"]) for axis in ("xaxis", "yaxis")]
    return (
        f'<div class="fm"><div class="fm-plot" role="figure" aria-label="{escape(title)}">'
        f'<div class="fm-y">{axes[1]}</div><div class="fm-lines">{"".join(inner)}</div>'
        f'<div class="fm-x">{axes[0]}</div><div class="fm-key">{names}</div></div></div>'
    )


def _values(data: Iterable[dict[str, Any]], axis: str) -> Iterator[float]:
    return (float(v) for trace in data for v in trace[axis] if v is not None)


def _ends(data: Iterable[dict[str, Any]]) -> Iterator[float]:
    """Where the error bars end."""
    for trace in data:
        bars = trace.get("error_x", {})
        for key, sign in (("array", 1.0), ("arrayminus", -1.0)):
            yield from (x + sign * e for x, e in zip(trace["x"], bars.get(key, ()), strict=False))


def _axis(told: dict[str, Any], values: Sequence[float]) -> Axis:
    low, high = told.get("range") or (min(values), max(values))
    if told.get("rangemode") == "tozero" or "range" not in told:
        low = min(0.0, low)
    if "range" not in told:
        high += 0.04 * (high - low)
    return Axis(low, high if high > low else low + 1.0, "%" in told.get("tickformat", ""))


def _ink(trace: dict[str, Any]) -> str:
    return str((trace.get("line") or trace["marker"])["color"])


def _image(drawn: Iterable[str]) -> str:
    """The lines as an image of their own: a page that takes markup from elsewhere leaves no SVG in it."""
    told = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIDE} {SIDE}" preserveAspectRatio="none">'
    made = base64.b64encode(f"{told}{''.join(drawn)}</svg>".encode()).decode()
    return f'<img alt="" src="data:image/svg+xml;base64,{made}">'


def _area(shape: dict[str, Any], x: Axis) -> str:
    """A stretch of time, over the whole height."""
    left, right = (min(1.0, max(0.0, x.at(shape[end]))) * SIDE for end in ("x0", "x1"))
    told = f'fill="{shape["fillcolor"]}" opacity="{shape.get("opacity", 1)}"'
    return f'<path d="M{left:.0f} 0H{right:.0f}V{SIDE}H{left:.0f}Z" {told}/>'


def _lines(trace: dict[str, Any], x: Axis, y: Axis) -> Iterator[str]:
    """A trace's line, broken where numbers are missing, and its error bars."""
    points = [
        None if a is None or b is None else f"{SIDE * x.at(a):.1f} {SIDE * (1 - y.at(b)):.1f}"
        for a, b in zip(trace["x"], trace["y"], strict=True)
    ]
    if "lines" in trace.get("mode", "lines"):
        dash = DASH.get(trace["line"].get("dash", ""))
        more = f' stroke-dasharray="{dash}"' if dash else ""
        path = "".join(
            (("L" if k and points[k - 1] else "M") + point) for k, point in enumerate(points) if point is not None
        )
        yield f'<path d="{path}" {LINE} stroke-width="2" stroke="{_ink(trace)}"{more}/>'
    bars = trace.get("error_x")
    if bars:
        for value, height, more_, less in zip(trace["x"], trace["y"], bars["array"], bars["arrayminus"], strict=True):
            left, right = (SIDE * min(1.0, max(0.0, x.at(end))) for end in (value - less, value + more_))
            at = SIDE * (1 - y.at(height))
            yield f'<path d="M{left:.0f} {at:.0f}H{right:.0f}" {LINE} stroke="{_ink(trace)}"/>'


def _ticks(x: Axis, y: Axis) -> Iterator[str]:
    for value in x.ticks:
        at = f"left:{100 * x.at(value):.1f}%"
        yield f'<i class="fm-grid x" style="{at}"></i><span class="fm-at" style="{at}">{x.word(value)}</span>'
    for value in y.ticks:
        at = f"bottom:{100 * y.at(value):.1f}%"
        yield f'<i class="fm-grid" style="{at}"></i><span class="fm-at y" style="{at}">{y.word(value)}</span>'


def _dots(trace: dict[str, Any], x: Axis, y: Axis) -> Iterator[str]:
    """The marks of a trace; a line of many points has an unseen one at every n-th, to hover."""
    count = len(trace["x"])
    seen = "markers" in trace.get("mode", "lines")
    step = max(1, math.ceil(count / MOST_DOTS))
    for k in range(0, count, step):
        a, b = trace["x"][k], trace["y"][k]
        if a is None or b is None:
            continue
        tip = hovered(trace, k)
        ink = f";background:{_ink(trace)}" if seen and step == 1 else ""
        place = f"left:{100 * x.at(a):.2f}%;bottom:{100 * y.at(b):.2f}%{ink}"
        yield f'<span class="fm-dot" style="{place}" data-tip="{escape(tip)}"></span>'


def hovered(trace: dict[str, Any], k: int) -> str:
    """What Plotly would show over a mark.

    >>> hovered({"x": [2.0], "y": [0.5], "hovertemplate": "%{y:.0%} within %{x:.3g} s<br>seed 1<extra></extra>"}, 0)
    '50% within 2 s\\nseed 1'
    """
    told = {"x": trace["x"][k], "y": trace["y"][k], "text": (trace.get("text") or [""] * (k + 1))[k]}
    template = re.sub(r"<extra>.*?</extra>", "", trace.get("hovertemplate", "%{y:,.4g}"))
    filled = re.sub(r"%\{(\w+)(?::([^}]*))?\}", lambda m: format(told[m[1]], m[2] or ""), template)
    return filled.replace("<br>", "\n")
