"""A page of HTML that opens offline: one style, light or dark as its reader has it, charts and data inside.

Nothing is fetched: Plotly's own script is embedded where there are charts (some 4 MB). Text that comes from a scenario
is escaped by who writes the body; data stands in the page as JSON that cannot end its element.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

from planner.look import DARK, FONT, JUDGED, LIGHT, SEVERITY, Shade, template

DRAW = """
const read = (id) => JSON.parse(document.getElementById(id).textContent);
const dark = matchMedia("(prefers-color-scheme: dark)"), shades = read("shades"), figures = read("figures");
const draw = () => { for (const [id, f] of Object.entries(figures))
  Plotly.react(id, f.data, {...f.layout, template: shades[dark.matches ? "dark" : "light"]},
    {responsive: true, displaylogo: false}); };
draw(); dark.addEventListener("change", draw);
"""
RULES = (
    "body{font:15px/1.5 FONT;max-width:1100px;margin:2rem auto;padding:0 1rem;color:var(--text);"
    "background:var(--ground)}h1{margin-bottom:0;font-size:1.5rem}"
    "h2{margin-top:2rem;border-bottom:1px solid var(--line);font-size:1.15rem}"
    "table{border-collapse:collapse;width:100%;font-size:.92em}td,th{text-align:left;padding:.22rem .7rem .22rem 0;"
    "border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--quiet);font-weight:normal}"
    ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.quiet{color:var(--quiet)}"
    ".judged{font-weight:600;border-left:.3em solid var(--tone);padding-left:.45em;white-space:nowrap}"
    "p.judged{white-space:normal}details{margin:.6rem 0}code{font-size:.9em}dl{display:grid;"
    "grid-template-columns:max-content 1fr;gap:.3rem 1.2rem;background:var(--card);padding:1rem;border-radius:6px}"
    "dt{color:var(--quiet)}dd{margin:0}svg{width:100%;height:auto}svg text{fill:var(--quiet);font-size:12px}"
    "div.wide{overflow-x:auto}@media print{body{max-width:none}h2{break-after:avoid}tr{break-inside:avoid}}"
)


def page(
    title: str, body: Iterable[str], figures: Mapping[str, Mapping[str, Any]] | None = None, **data: object
) -> str:
    """The whole page. `body` is HTML; `figures` are drawn into the elements of their names; `data` is in it as JSON."""
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{style()}</style>',
    ]
    if figures:
        from plotly.offline import get_plotlyjs

        parts.append(f"<script>{get_plotlyjs()}</script>")
    parts += ["</head><body>", *body]
    parts += [_element(name, value) for name, value in data.items()]
    if figures:
        plain = {name: {"data": f["data"], "layout": _bare(f["layout"])} for name, f in figures.items()}
        shades = {"light": template(LIGHT), "dark": template(DARK)}
        parts += [_element("figures", plain), _element("shades", shades), f"<script>{DRAW}</script>"]
    return "\n".join([*parts, "</body></html>\n"])


def _bare(layout: Mapping[str, Any]) -> dict[str, Any]:
    """A layout without its template, which is the page's."""
    return {name: value for name, value in layout.items() if name != "template"}


def _element(name: str, value: object) -> str:
    return f'<script id="{name}" type="application/json">{script_json(value)}</script>'


def script_json(data: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(data, allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")


@cache
def style() -> str:
    """The style sheet with the look's colours, of both shades."""
    tones = "".join(f".{name}{{--tone:{colour}}}" for name, colour in (JUDGED | SEVERITY).items())
    dark = f"@media (prefers-color-scheme:dark){{:root{{{_shade(DARK)}}}}}"
    return f":root{{color-scheme:light dark;{_shade(LIGHT)}}}{dark}{RULES.replace('FONT', FONT)}{tones}"


def _shade(shade: Shade) -> str:
    named = {"ground": shade.ground, "card": shade.card, "text": shade.text, "quiet": shade.quiet, "line": shade.line}
    return ";".join(f"--{name}:{colour}" for name, colour in named.items())


def judged(word: str, how: str) -> str:
    """A word with the mark of its judgement (a key of look.JUDGED or look.SEVERITY)."""
    return f'<span class="judged {how}">{escape(word)}</span>'


def table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int] = ()) -> str:
    """Cells are HTML already: the caller escapes. Columns in `numbers` are set to the right."""
    marks = [' class="n"' if k in numbers else "" for k in range(len(head))]
    top = "".join(f"<th{mark}>{escape(cell)}</th>" for mark, cell in zip(marks, head, strict=True))
    lines = [
        "<tr>" + "".join(f"<td{mark}>{cell}</td>" for mark, cell in zip(marks, row, strict=True)) + "</tr>"
        for row in rows
    ]
    inner = "\n".join([f"<thead><tr>{top}</tr></thead><tbody>", *lines, "</tbody>"])
    return f'<div class="wide"><table>{inner}</table></div>'


def charts(named: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], dict[str, Mapping[str, Any]]]:
    """Charts by title: a heading and a place for each, and the figures by the names of their places."""
    places = {f"chart-{k}": figure for k, figure in enumerate(named.values())}
    body = [f'<h2>{escape(title)}</h2><div id="{at}"></div>' for title, at in zip(named, places, strict=True)]
    return body, places
