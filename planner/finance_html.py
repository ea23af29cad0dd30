"""The finance report as one page that opens offline and prints: the executive page, a chart of months, tables.

No script and nothing fetched; all text from a scenario, a tag or an export is escaped. Light and dark follow the
reader.
"""

from __future__ import annotations

from html import escape

from planner import look_page
from planner.finance import Report, dates
from planner.finance_tell import Head, executive, tables
from planner.look import INK

WIDTH, HEIGHT, LEFT, BOTTOM = 960, 260, 70, 30


def as_html(out: Report) -> str:
    """The whole page."""
    title = f"Finance report: {out.scenario.name}"
    facts = "".join(f"<dt>{escape(what)}</dt><dd>{escape(told)}</dd>" for what, told in executive(out))
    found = dates(out)
    prices = (
        f"prices of {found['prices_oldest']} to {found['prices_newest']}" if found["prices_oldest"] else "no prices"
    )
    body = [
        f"<h1>{escape(title)}</h1>", f"<p>{escape(out.scenario.description)}</p>",
        f'<p class="quiet">made on {escape(found["made"])}, {escape(prices)}</p>', f"<dl>{facts}</dl>", chart(out),
        *(f"<h2>{escape(name)}</h2>{_table(head, rows)}" for name, head, rows in tables(out)),
    ]  # fmt: skip
    return look_page.page(title, body)


def _table(head: Head, rows: list[list[str]]) -> str:
    numbers = [k for k, (_, number) in enumerate(head) if number]
    return look_page.table([name for name, _ in head], [[escape(x) for x in row] for row in rows], numbers)


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
