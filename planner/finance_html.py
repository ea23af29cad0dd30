"""The finance report as one page that opens offline and prints: the executive page, a chart of months, tables.

No script and nothing fetched; all text from a scenario, a tag or an export is escaped. Light and dark follow the
reader.
"""

from __future__ import annotations

from html import escape

from planner.finance import Report, dates
from planner.finance_tell import Head, executive, tables
from planner.look import DARK, FONT, INK, LIGHT, Shade

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 260, 70, 30


def as_html(out: Report) -> str:
    """The whole page."""
    title = escape(f"Finance report: {out.scenario.name}")
    facts = "".join(f"<dt>{escape(what)}</dt><dd>{escape(told)}</dd>" for what, told in executive(out))
    found = dates(out)
    prices = (
        f"prices of {found['prices_oldest']} to {found['prices_newest']}" if found["prices_oldest"] else "no prices"
    )
    body = [
        f"<h1>{title}</h1>", f"<p>{escape(out.scenario.description)}</p>",
        f'<p class="quiet">made on {escape(found["made"])}, {escape(prices)}</p>', f"<dl>{facts}</dl>", chart(out),
        *(f"<h2>{escape(name)}</h2>{_table(head, rows)}" for name, head, rows in tables(out)),
    ]  # fmt: skip
    return (f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_style()}</style></head>'
            f"<body>{''.join(body)}</body></html>\n")  # fmt: skip


def _shade(shade: Shade) -> str:
    return (f"--ground:{shade.ground};--card:{shade.card};--text:{shade.text};--quiet:{shade.quiet};"
            f"--line:{shade.line}")  # fmt: skip


def _style() -> str:
    return (
        f":root{{{_shade(LIGHT)}}}@media (prefers-color-scheme:dark){{:root{{{_shade(DARK)}}}}}"
        f"body{{font:15px/1.5 {FONT};max-width:1100px;margin:2rem auto;padding:0 1rem;color:var(--text);"
        "background:var(--ground)}h1{margin-bottom:0}h2{margin-top:2rem;border-bottom:1px solid var(--line)}"
        "table{border-collapse:collapse;width:100%;font-size:.9em}td,th{text-align:left;padding:.2rem .6rem .2rem 0;"
        "border-bottom:1px solid var(--line);vertical-align:top}th{color:var(--quiet);font-weight:normal}"
        ".n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}.quiet{color:var(--quiet)}"
        "dl{display:grid;grid-template-columns:max-content 1fr;gap:.3rem 1.2rem;background:var(--card);padding:1rem;"
        "border-radius:6px}dt{color:var(--quiet)}dd{margin:0}svg{width:100%;height:auto}svg text{fill:var(--quiet);"
        "font-size:12px}div.wide{overflow-x:auto}@media print{body{max-width:none}h2{break-after:avoid}"
        "tr{break-inside:avoid}}"
    )


def _table(head: Head, rows: list[list[str]]) -> str:
    classes = [' class="n"' if number else "" for _, number in head]
    top = "".join(f"<th{c}>{escape(name)}</th>" for c, (name, _) in zip(classes, head, strict=True))
    lines = ("<tr>" + "".join(f"<td{c}>{escape(x)}</td>" for c, x in zip(classes, row, strict=True)) + "</tr>"
             for row in rows)  # fmt: skip
    return f'<div class="wide"><table><thead><tr>{top}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def chart(out: Report) -> str:
    """Months as bars with their range, in SVG; a title on each says the numbers."""
    top = max(m.range.p90_usd for m in out.months) or 1.0
    step, height = (WIDTH - LEFT) / len(out.months), HEIGHT - BOTTOM

    def y(usd: float) -> float:
        return height - usd / top * (height - 10)

    parts = []
    for share in (0.0, 0.5, 1.0):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH}" y1="{y(top * share):.1f}" y2="{y(top * share):.1f}" '
                     f'stroke="var(--line)"/><text x="{LEFT - 8}" y="{y(top * share) + 4:.1f}" text-anchor="end">'
                     f"{top * share:,.0f}</text>")  # fmt: skip
    for k, m in enumerate(out.months):
        usd, x = float(m.bill.monthly_usd), LEFT + k * step
        told = f"{m.bill.month.label}: {usd:,.0f} USD, {m.range.p10_usd:,.0f} to {m.range.p90_usd:,.0f}"
        label = m.bill.month.label[2:] if m.bill.month.label[:4].isdigit() else str(m.number + 1)
        named = f'<text x="{x + step / 2:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(label)}</text>'
        middle = f'x1="{x + step / 2:.1f}" x2="{x + step / 2:.1f}"'
        parts.append(f'<g><title>{escape(told)}</title><rect x="{x + step * 0.2:.1f}" y="{y(usd):.1f}" '
                     f'width="{step * 0.6:.1f}" height="{height - y(usd):.1f}" fill="{INK[0]}"/><line {middle} '
                     f'y1="{y(m.range.p90_usd):.1f}" y2="{y(m.range.p10_usd):.1f}" stroke="{INK[1]}" '
                     f'stroke-width="3"/></g>{named if len(out.months) <= 24 or k % 6 == 0 else ""}')  # fmt: skip
    return (f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="USD a month, with P10 to P90">'
            f'{"".join(parts)}</svg><p class="quiet">USD a month; the line on each bar is P10 to P90.</p>')  # fmt: skip
