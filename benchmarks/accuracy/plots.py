"""Plots of the page as small SVG: points on logarithmic axes, whiskers, and a diagonal to lie on.

Written by hand because a picture in a repository should be a few kilobytes of text whose difference can be read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

INK = ("#2f6f9f", "#c96a2b", "#4a8f5b", "#9a4f96", "#8a7a3c", "#b0453f", "#5b7083", "#a0522d", "#3b3b6d", "#7a9a01")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 620, 420, 64, 48, 16, 200


@dataclass(frozen=True)
class Point:
    """One point, with a whisker from `low` to `high` where there is one; `inside` fills it."""

    x: float
    y: float
    series: str
    low: float | None = None
    high: float | None = None
    inside: bool = True


def scatter(points: Sequence[Point], x: str, y: str, diagonal: bool = True) -> str:
    """A plot on two logarithmic axes. Points outside their interval are hollow."""
    known = [p for p in points if p.x > 0 and p.y > 0 and math.isfinite(p.x) and math.isfinite(p.y)]
    if not known:
        return ""
    across, up = _axis([p.x for p in known]), _axis([v for p in known for v in (p.y, p.low, p.high) if v])
    if diagonal:
        across = up = min(across[0], up[0]), max(across[1], up[1])
    names = list(dict.fromkeys(p.series for p in known))
    parts = [_frame(across, up, x, y)]
    if diagonal:
        parts.append(_line(_at(across[0], across), _up(up[0], up), _at(across[1], across), _up(up[1], up), "#999", "4"))
    for p in known:
        parts.append(_mark(p, INK[names.index(p.series) % len(INK)], across, up))
    parts += [_legend(n, name) for n, name in enumerate(names)]
    return _svg(parts)


def _axis(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis, with a little room."""
    return min(values) / 1.15, max(values) * 1.15


def _at(value: float, ends: tuple[float, float]) -> float:
    share = math.log(value / ends[0]) / math.log(ends[1] / ends[0])
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def _up(value: float, ends: tuple[float, float]) -> float:
    share = math.log(value / ends[0]) / math.log(ends[1] / ends[0])
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def ticks(ends: tuple[float, float]) -> list[float]:
    """Round values within an axis: 1, 2 and 5 of each decade; powers of ten only where those are many.

    >>> ticks((0.3, 6.0))
    [0.5, 1.0, 2.0, 5.0]
    """
    first, last = math.floor(math.log10(ends[0])), math.ceil(math.log10(ends[1]))
    found = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
    found = [v for v in found if ends[0] <= v <= ends[1]]
    return found if len(found) <= 8 else [v for v in found if math.isclose(10 ** round(math.log10(v)), v)]


def _frame(across: tuple[float, float], up: tuple[float, float], x: str, y: str) -> str:
    right, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = [f'<rect x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{floor - TOP}" fill="none" stroke="#ccc"/>']
    for v in ticks(across):
        parts.append(_line(_at(v, across), TOP, _at(v, across), floor, "#eee"))
        parts.append(_text(_at(v, across), floor + 16, f"{v:g}", "middle"))
    for v in ticks(up):
        parts.append(_line(LEFT, _up(v, up), right, _up(v, up), "#eee"))
        parts.append(_text(LEFT - 6, _up(v, up) + 4, f"{v:g}", "end"))
    parts.append(_text((LEFT + right) / 2, HEIGHT - 10, x, "middle"))
    parts.append(f'<g transform="translate(14 {(TOP + floor) / 2:.0f}) rotate(-90)">{_text(0, 0, y, "middle")}</g>')
    return "\n".join(parts)


def _mark(p: Point, ink: str, across: tuple[float, float], up: tuple[float, float]) -> str:
    x, y = _at(p.x, across), _up(p.y, up)
    fill = ink if p.inside else "white"
    dot = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{fill}" stroke="{ink}"/>'
    if p.low and p.high:
        return _line(x, _up(p.low, up), x, _up(p.high, up), ink) + dot
    return dot


def _legend(n: int, name: str) -> str:
    y, x = TOP + 12 + 17 * n, WIDTH - RIGHT + 14
    return f'<circle cx="{x}" cy="{y - 4}" r="3.5" fill="{INK[n % len(INK)]}"/>' + _text(x + 9, y, name, "start")


def _line(x: float, y: float, x2: float, y2: float, ink: str, dash: str = "") -> str:
    more = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{ink}"{more}/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(parts: Sequence[str]) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    body = "\n".join(parts)
    return f'{head} font-size="11" fill="#333">\n<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
