"""One look for everything that people read: colours, the Plotly template, the styles of the terminal.

A colour means one thing wherever it stands: a system (`SYSTEM`), a hop of the latency (`HOP`), a kind of cost (`KIND`),
a judgement (`JUDGED`). All are mid-tones that carry on white and on near-black (3:1 or more against both, tested), so
that a chart is one and the same figure in both; only its text and grid follow the page (`Shade`). Text is never told
apart by colour alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FONT = '"Source Sans", "Source Sans Pro", system-ui, -apple-system, "Segoe UI", sans-serif'
INK = ("#2b7fc3", "#d9692b", "#2f9468", "#8f63c7", "#a57c13", "#cf4a40", "#5b7f95", "#b3538f")
SYSTEM = {"kafka": INK[0], "spark": INK[1], "elasticsearch": INK[2], "shared": INK[6]}
HOP = {"produce": INK[0], "trigger_wait": INK[4], "process": INK[1], "refresh": INK[2]}
KIND = {
    "compute": INK[0], "storage": INK[2], "network": INK[1], "requests": INK[4], "monitoring": INK[3],
    "support": INK[6], "people": INK[7], "other": INK[5],
}  # fmt: skip
JUDGED = {"holds": "#2f9468", "unsure": "#a57c13", "broken": "#cf4a40", "info": "#2b7fc3"}
SEVERITY = {"critical": JUDGED["broken"], "warning": JUDGED["unsure"], "info": JUDGED["info"]}
DOMAIN = {"measured": JUDGED["holds"], "extrapolated": JUDGED["unsure"], "never measured": JUDGED["broken"]}


@dataclass(frozen=True)
class Shade:
    """What differs between a light and a dark page: its ground, its text, what is quiet, its lines."""

    ground: str
    card: str
    text: str
    quiet: str
    line: str


LIGHT = Shade("#ffffff", "#f4f7fa", "#16212b", "#5a6874", "#d9e0e6")
DARK = Shade("#0f1720", "#18222d", "#e6edf3", "#9aa8b5", "#2b3845")
SHADES = {"light": LIGHT, "dark": DARK}

# Styles of the terminal by what they mean, in the terminal's own colours, as its ground is not ours.
STYLES = {
    "holds": "green", "broken": "bold red", "unsure": "yellow", "critical": "bold red", "warning": "yellow",
    "info": "cyan", "measured": "green", "extrapolated": "yellow", "never measured": "red", "quiet": "dim",
    "strong": "bold", "remedy": "green",
}  # fmt: skip


def template(shade: Shade = LIGHT) -> dict[str, Any]:
    """The Plotly template: fonts, grid, colours, hover boxes, margins."""
    axis = {
        "gridcolor": shade.line, "zeroline": False, "linecolor": shade.line, "ticks": "", "automargin": True,
        "title": {"font": {"size": 12, "color": shade.quiet}, "standoff": 8},
        "tickfont": {"size": 11, "color": shade.quiet},
    }  # fmt: skip
    layout = {
        "font": {"family": FONT, "size": 13, "color": shade.text}, "colorway": list(INK),
        "paper_bgcolor": "rgba(0,0,0,0)", "plot_bgcolor": "rgba(0,0,0,0)", "xaxis": axis, "yaxis": axis,
        "hoverlabel": {
            "bgcolor": shade.card, "bordercolor": shade.line, "font": {"color": shade.text, "family": FONT},
            "align": "left",
        },
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "font": {"size": 11}},
        "margin": {"l": 56, "r": 16, "t": 10, "b": 64}, "bargap": 0.35,
        "colorscale": {"sequential": [[0, shade.card], [0.5, INK[0]], [1, INK[5]]]},
    }  # fmt: skip
    return {"layout": layout}


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2.1 defines it, 1 to 21 [1].

    >>> round(contrast("#ffffff", "#000000"), 1), round(contrast("#767676", "#ffffff"), 2)
    (21.0, 4.54)
    """
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
