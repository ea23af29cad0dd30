"""Blocks of HTML: what the page shows that is no chart. Text in, markup out; all text is escaped.

Numbers come worded from the planner; widths of bars are shares of what the planner says. `data-tip` is what hovers,
and what the keyboard's focus shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from planner import look
from planner.told import Told, difference
from planner.told_parts import Bar, Cell

if TYPE_CHECKING:
    from planner.breaks import Break
    from planner.findings import Finding
    from planner.money_months import MonthOfBill
STATED = "what the scenario says: a control moves it, or Edit as text"


@cache
def style(shade: look.Shade) -> str:
    """The style sheet with the look's colours in it."""
    named = {f"c-{name}": colour for name, colour in look.JUDGED.items()} | look.SYSTEM
    named |= {"card": shade.card, "text": shade.text, "line": shade.line}
    variables = "".join(f"--{name}:{colour};" for name, colour in named.items())
    return f"<style>:root{{{variables}}}{Path(__file__).with_name('style.css').read_text(encoding='utf-8')}</style>"


def _wrap(*parts: str) -> str:
    return f'<div class="fm">{"".join(parts)}</div>'


def _tip(text: str, focus: bool = False) -> str:
    if not text:
        return ""
    return f' data-tip="{escape(text)}"' + (' tabindex="0"' if focus else "")


def masthead(name: str, description: str) -> str:
    said = f' <span class="quiet">{escape(description)}</span>' if description else ""
    return _wrap(f'<h1><span class="fm-mark" aria-hidden="true"></span>{escape(name)}{said}</h1>')


def sentence(text: str, judged: str, prefix: str = "", source: str = "") -> str:
    """The verdict."""
    head = f"<b>{escape(prefix)}</b> " if prefix else ""
    return _wrap(f'<div class="fm-verdict {judged}" role="status"{_tip(source, True)}>{head}{escape(text)}</div>')


def tiles(numbers: Sequence[Told]) -> str:
    """The main numbers of one forecast."""
    cells = [
        f'<div class="fm-tile {t.judged}"{_tip(t.source, True)}><div class="label">{escape(t.label)}</div>'
        f'<div class="value">{escape(t.value)}</div><div class="beside">{escape(t.beside)}</div></div>'
        for t in numbers
    ]
    return _wrap(f'<div class="fm-tiles">{"".join(cells)}</div>')


def side_by_side(one: Sequence[Told], other: Sequence[Told], changed: Sequence[tuple[str, str, str]]) -> str:
    """A and B with the difference, and the fields they differ in."""
    rows = [
        [Cell(a.label), Cell(a.value, a.source, a.judged, a.beside), Cell(b.value, b.source, b.judged, b.beside),
         Cell(difference(a, b), f"B less A, by the same dice\n{b.source}", number=True)]
        for a, b in zip(one, other, strict=True)
    ]  # fmt: skip
    fields = [[Cell(f"{path}"), Cell(x), Cell(y)] for path, x, y in changed]
    parts = [table(("", "A", "B", "B − A"), rows, numbers=(3,), bare=True)]
    if fields:
        parts.append("<h3>What B changes</h3>" + table(("field", "A", "B"), fields, bare=True, source=STATED))
    else:
        parts.append('<p class="quiet">B is still equal to A: move a control of B.</p>')
    return _wrap(*parts)


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    numbers: Sequence[int] = (),
    bare: bool = False,
    total: bool = False,
    source: str = "",
) -> str:
    """A table; columns in `numbers` are set to the right. `total`: the last row is the sum.

    A number without a source of its own hovers to the first of its row, else to the table's.
    """
    body = list(rows)
    lines = ["".join(f"<th{_right(k in numbers)}>{escape(text)}</th>" for k, text in enumerate(head))]
    for row in body:
        of_row = next((cell.source for cell in row if cell.source), source)
        lines.append("".join(_cell(cell, k in numbers, of_row) for k, cell in enumerate(row)))
    marks = ["" for _ in lines]
    if total and body:
        marks[-1] = ' class="total"'
    text = "".join(f"<tr{mark}>{line}</tr>" for mark, line in zip(marks, lines, strict=True))
    made = f'<div class="fm-scroll"><table>{text}</table></div>'
    return made if bare else _wrap(made)


def _right(yes: bool) -> str:
    return ' class="n"' if yes else ""


def _cell(cell: Cell, number: bool, of_row: str) -> str:
    text, tip = escape(cell.text), ""
    if cell.judged:
        text = f'<span class="fm-chip {cell.judged}">{text}</span>'
    if cell.beside:
        text += f' <span class="quiet">{escape(cell.beside)}</span>'
    if cell.source:
        text = f"<span{_tip(cell.source, True)}>{text}</span>"
    elif any(c.isdigit() for c in cell.text):
        tip = _tip(of_row)
    return f"<td{_right(number or cell.number)}{tip}>{text}</td>"


def bars(items: Sequence[Bar], title: str = "", key: Sequence[tuple[str, str]] = ()) -> str:
    """Rows of bars: each part's width is its share of the bar's whole; ticks stand where they say."""
    rows = [f"<h3>{escape(title)}</h3>"] if title else []
    for bar in items:
        parts = "".join(
            f'<span style="width:{min(1.0, part.share) * 100:.2f}%;background:{part.colour}"{_tip(part.source)}></span>'
            for part in bar.parts
        )
        ticks = "".join(
            f'<span class="fm-tick" style="left:{min(1.0, share) * 100:.2f}%"{_tip(told)}></span>'
            for share, told in bar.ticks
        )
        name = f'<div class="name"{_tip(bar.source)}>{escape(bar.name)}<small>{escape(bar.beside)}</small></div>'
        under = f'<div class="quiet"{_tip(bar.source)}>{escape(bar.under)}</div>' if bar.under else ""
        tone = f" {bar.judged}" if bar.judged else ""
        rows.append(
            f'<div class="fm-row">{name}<div><div class="fm-bar{tone}"{_tip(bar.source, True)}>{parts}{ticks}</div>'
            f"{under}</div></div>"
        )
    if key:
        named = (f'<span><i style="background:{colour}"></i>{escape(name)}</span>' for name, colour in key)
        rows.append(f'<div class="fm-key">{"".join(named)}</div>')
    return _wrap(*rows)


def first_breaks(found: Sequence[Break], most: int = 8) -> str:
    """What gives way, in the order of time."""
    if not found:
        return _wrap("<h3>What breaks first</h3>", "<p>Nothing that is known here gives way within three years.</p>")
    rows = [
        [Cell(b.when, judged="broken" if b.critical else "unsure"), Cell(b.what, b.evidence), Cell(b.remedy)]
        for b in found[:most]
    ]
    more = f'<p class="quiet">and {len(found) - most} more under Findings</p>' if len(found) > most else ""
    return _wrap("<h3>What breaks first</h3>", table(("when", "what", "what helps"), rows, bare=True), more)


def findings(found: Sequence[Finding]) -> str:
    """Every finding with its evidence, remedy and source."""
    if not found:
        return _wrap("<p>Nothing was found.</p>")
    rows = [
        [Cell(f.severity, judged=f.severity), Cell(f.message, f.source or f.code, beside=f.where), Cell(f.evidence),
         Cell(f.remedy), Cell(f.source)]
        for f in found
    ]  # fmt: skip
    return table(("", "what", "evidence", "remedy", "source"), rows)


def errors(title: str, lines: Sequence[str]) -> str:
    """What is wrong with a scenario, in the house's own words."""
    told = "".join(f"<div><code>{escape(line)}</code></div>" for line in lines)
    return _wrap(f'<div class="fm-verdict broken" role="alert"><b>{escape(title)}</b>{told}</div>')


def note(text: str) -> str:
    return _wrap(f'<p class="quiet">{escape(text)}</p>')


def drawn(times: int) -> str:
    """The end of the board: unseen, it tells whoever waits for the page that all above is of this drawing."""
    return f'<span class="fm-drawn" hidden data-times="{times}"></span>'


def heading(text: str) -> str:
    return _wrap(f"<h3>{escape(text)}</h3>")


def steps(months: Sequence[MonthOfBill]) -> str:
    """What changes in which month, and which months ask for more machines."""
    told = [(m, [*m.steps, m.warning] if m.warning else list(m.steps)) for m in months]
    rows = [[Cell(f"month {m.number + 1}"), Cell("; ".join(what)),
             Cell(f"{m.bill.monthly_usd:,.0f}", f"the month's own {len(m.bill.lines)} lines, quantity × unit price")]
            for m, what in told if what]  # fmt: skip
    if not rows:
        return note("Nothing has to be enlarged, and no commitment ends, within these months.")
    return table(("when", "what changes", "USD a month"), rows, numbers=(2,))


def paragraphs(title: str, text: Sequence[str], source: str) -> str:
    """Sentences under a title, each hovering to where its numbers come from."""
    told = (f"<div{_tip(source, True)}>{escape(line)}</div>" for line in text)
    return _wrap(f"<h3>{escape(title)}</h3>" if title else "", *told)
