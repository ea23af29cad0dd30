"""The HTML report: one file that opens offline, with its charts, its warnings and what it all rests on.

All text from the scenario is escaped; style, script and shades are `planner.look_page`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from models.units import show
from planner import look_page
from planner.charts import figures
from planner.fault_tell import fault_html
from planner.look_page import judged
from planner.look_page import table as _table
from planner.money_tell import dominating, headline
from planner.money_tell import foot as bill_foot
from planner.report_stack import memory_html, storage_html
from planner.tell import answers, as_dict, shown, shown_interval

if TYPE_CHECKING:
    from planner.forecast import Forecast


def as_html(out: Forecast) -> str:
    """The whole page."""
    charts, places = look_page.charts(figures(out))
    title = f"Forecast: {out.scenario.name}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(out.scenario.description)}</p>",
        _verdict(out),
        _answers(out),
        fault_html(out.faults, _table),
        *charts,
        _warnings(out),
        storage_html(out, _table),
        memory_html(out, _table),
        _bill(out),
        _ledger(out),
        _foot(out),
    ]
    return look_page.page(title, body, places, forecast=as_dict(out))


def _verdict(out: Forecast) -> str:
    rows = []
    for t in out.targets:
        told = [show(x, t.unit) if isinstance(x, float) else x for x in (t.promised, t.forecast)]
        word = ("holds" if t.holds else "broken") + ("" if t.sure else ", not sure")
        mark = judged(word, ("holds" if t.sure else "unsure") if t.holds else "broken")
        rows.append([escape(t.target), *map(escape, told), mark, escape(t.reason), escape(t.window)])
    return "<h2>Targets</h2>" + _table(("target", "promised", "forecast", "", "why", "judged over"), rows)


def _answers(out: Forecast) -> str:
    rows = []
    for flow, name, answer in answers(out):
        intervals = (shown_interval(answer, "sampling"), shown_interval(answer, "forecast"))
        note = f' <span class="quiet">{escape(answer.note)}</span>' if answer.note else ""
        rows.append(
            [escape(flow), f"<code>{escape(name)}</code>", escape(shown(answer)) + note, *intervals, answer.domain]
        )
    head = ("flow", "answer", "value", "one run (90 %)", "real stack (90 %)", "rests on")
    bound = out.throughput.bottleneck
    told = f"<p>The sustainable rate is bound by <b>{escape(bound.name)}</b>: {escape(bound.evidence)}.</p>"
    return "<h2>Answers</h2>" + _table(head, rows) + told


def _warnings(out: Forecast) -> str:
    rows = [
        [judged(f.severity, f.severity), f"{escape(f.message)}<br><code>{escape(f.where)}</code>",
         escape(f.evidence), escape(f.remedy), escape(f.source)]
        for f in out.warnings
    ]  # fmt: skip
    return "<h2>Warnings</h2>" + _table(("severity", "what", "evidence", "remedy", "source"), rows)


def _ledger(out: Forecast) -> str:
    parts = ["<h2>What it rests on</h2>"]
    ranges = [
        [r["quantity"], _range(r["scenario"]), _range(r["measured"]) if r["measured"] else "never", r["domain"]]
        for r in out.provenance["ranges"]
    ]
    parts.append(_table(("quantity", "this scenario", "measured", ""), ranges))
    for grade, rows in out.provenance["ledger"].items():
        if rows:
            cells = [_coefficient(row) for row in rows]
            table = _table(("coefficient", "value (90 %)", "source"), cells)
            parts.append(f"<details><summary>{len(rows)} {grade}</summary>{table}</details>")
    return "\n".join(parts)


def _coefficient(row: dict[str, Any]) -> list[str]:
    value = f"{row['value']:.4g} ({row['low']:.3g} to {row['high']:.3g}) {row['unit']}"
    return [f"<code>{row['name']}</code>", value, escape(row["source"])]


def _range(ends: Sequence[float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}" if ends[0] != ends[1] else f"{ends[0]:.4g}"


def _bill(out: Forecast) -> str:
    made = out.bill
    rows = [
        (escape(x.system), escape(x.name), f"{x.quantity:,.0f}", escape(x.price.unit), f"{x.price.usd:f}",
         f"{x.monthly_usd:,.2f}", escape(x.driver), escape(f"{x.price.grade}, {x.price.as_of}"))
        for x in made.bill.lines
    ]  # fmt: skip
    head = ("system", "line", "quantity", "unit", "USD a unit", "USD a month", "from", "price")
    told = [f"<p><b>{escape(headline(made))}</b>. Most of it: {escape(dominating(made))}.</p>", _table(head, rows)]
    notes = "".join(f"<li>{escape(note)}</li>" for note in made.notes)
    return "<h2>Bill</h2>" + "\n".join(told) + f"<ul>{notes}</ul><p class='quiet'>{escape(bill_foot(made))}</p>"


def _foot(out: Forecast) -> str:
    c, d = out.provenance["coefficients"], out.digests
    return (
        f'<p class="quiet">Floodmark {escape(d["engine_version"])}, engine {d["engine"]}, coefficients '
        f"{escape(c['set'])} of {escape(c['as_of'])} ({c['digest']}) in CPU seconds of {escape(c['machine'])}, "
        f"seed {out.seed}, {out.scenario.run.repeats} runs and {out.draws} draws. Intervals are 90 %. The forecast is "
        "in this page as JSON (element <code>forecast</code>).</p>"
    )
