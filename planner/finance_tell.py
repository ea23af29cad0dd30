"""Telling a finance report: as plain data, as a page (Markdown), as a table of lines by month (CSV).

Every form says the same numbers in the same words; `executive` is the first page of each.
"""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

from planner.export_cells import inert
from planner.finance import SCHEMA_VERSION, Report, assumptions, dates, review
from planner.money_months import remarks
from planner.money_tell import NUMBERS, dominating, foot, headline
from pricing.offers import Choice, Compared

FORMATS = (".json", ".xlsx", ".html", ".md", ".csv")
MOST_ROWS = 15  # of variances on a page; the workbook and the JSON have all


def executive(out: Report) -> list[tuple[str, str]]:
    """What a decision needs, a label and a sentence each."""
    first, last, spread = out.months[0], out.months[-1], out.range
    horizon = f"{len(out.months)} months"
    found = [("a month, once retention is full", headline(out.bill))]
    told = f"{out.total_usd:,.0f} USD ({spread.p10_usd:,.0f} to {spread.p90_usd:,.0f}, P10 to P90 of joint draws)"
    found.append((f"the next {horizon}", told))
    grown = "" if out.growth is None else f" ({out.growth:+.0%})"
    found.append(
        (
            "growth",
            f"{first.bill.monthly_usd:,.0f} USD in the first month, {last.bill.monthly_usd:,.0f} in the last{grown}",
        )
    )
    if out.budget is not None:
        budget, holds = out.budget
        word = "is within" if holds else "is over"
        found.append(("budget", f"P90 of {out.bill.range.p90_usd:,.0f} USD {word} the {budget:,.0f} USD a month"))
    found.append(("most of it", dominating(out.bill)))
    if out.bill.unit is not None and out.bill.marginal is not None and out.bill.bill.complete:
        unit = out.bill.unit
        found.append(("unit cost", f"{unit.usd_per_million_events:.3f} USD a million events, the next million "
                                   f"{out.bill.marginal[0]:.3f}; {unit.usd_per_gib:.3f} USD a GiB, the next "
                                   f"{out.bill.marginal[1]:.3f}"))  # fmt: skip
    if best := best_saving(out):
        found.append(("commitments", best))
    needed = next((m for m in out.months if m.needed), None)
    if needed is not None:
        told = (
            f"month {needed.number + 1}: {needed.needed}; its price is not in these months (plan it in money.changes)"
        )
        found.append(("machines", told))
    if out.against is not None:
        moved = out.against
        found.append(("since the last review", f"{moved.was_usd:,.2f} USD became {moved.is_usd:,.2f}: " + ", ".join(
            f"{p.name} {p.added_usd:+,.2f}" for p in moved.parts)))  # fmt: skip
    if out.actuals is not None:
        v = out.actuals
        found.append(
            (
                f"against {v.actuals.month} as charged",
                f"{v.forecast_usd:,.2f} USD forecast, {v.actual_usd:,.2f} "
                f"charged ({v.actuals.basis}): quantity {v.part('quantity_usd'):+,.2f}, rate "
                f"{v.part('rate_usd'):+,.2f}, new or removed {v.part('new_usd'):+,.2f}, unexplained "
                f"{v.part('unexplained_usd'):+,.2f}",
            )
        )
    return [*found, ("prices", foot(out.bill))]


def best_saving(out: Report) -> str:
    """The best commitment of each machine that saves something, and what could turn it."""
    told, saved, cash, turned = [], Decimal(0), Decimal(0), False
    for one in out.commitments:
        best = one.best
        if best.plan is None or best.saved_usd <= 0:
            continue
        bought = f"{best.plan.bought:f}".rstrip("0").rstrip(".")
        told.append(f"{bought} x {one.machine} ({best.name})")
        saved, cash, turned = saved + best.saved_usd, cash + best.cash_usd[0], turned or bool(one.turned_by)
    if not told:
        return ""
    unsure = "; which payment is best rests on derived rates" if turned else ""
    return (f"{saved:,.0f} USD less over {len(out.months)} months, amortised, with {', '.join(told)}; "
            f"{cash:,.0f} USD leave in the first month{unsure}")  # fmt: skip


def as_dict(out: Report) -> dict[str, Any]:
    """Plain data: the bill, the months, the options, what it is held against, and the review for the next report."""
    from planner.finance import assumptions as of

    spread = out.range
    return {
        "schema_version": SCHEMA_VERSION, "name": out.scenario.name, "dates": dict(dates(out)),
        "executive": [{"what": what, "told": told} for what, told in executive(out)],
        "bill": out.bill.as_dict(), "months": [m.as_dict() for m in out.months],
        "total": {"months": len(out.months), "usd": str(out.total_usd), "p10": spread.p10_usd, "p50": spread.p50_usd,
                  "p90": spread.p90_usd, "growth": out.growth},
        "steps": [{"month": month, "what": what} for month, what in out.steps],
        "commitments": [_compared(one) for one in out.commitments],
        "assumptions": [{"what": a.what, "value": a.value, "grade": a.grade, "source": a.source} for a in of(out)],
        "against": None if out.against is None else out.against.as_dict(),
        "actuals": None if out.actuals is None else out.actuals.as_dict(),
        "review": review(out),
    }  # fmt: skip


def _compared(one: Compared) -> dict[str, Any]:
    return {
        "machine": one.machine, "demand": [float(w) for w in one.demand], "best": one.best.name,
        "turned_by": list(one.turned_by), "choices": [_choice(c) for c in one.choices], "missing": list(one.missing),
    }  # fmt: skip


def _choice(c: Choice) -> dict[str, Any]:
    plan = c.plan
    return {
        "name": c.name, "bought": None if plan is None else float(plan.bought),
        "hourly_commitment_usd": None if plan is None else str(plan.hourly_commitment_usd),
        "upfront_usd": None if plan is None else str(plan.offer.upfront_usd * plan.bought),
        "utilisation": None if plan is None else float(plan.utilisation), "break_even_month": c.break_even_month,
        "cash_usd": [str(x) for x in c.cash_usd], "amortised_usd": [str(x) for x in c.amortised_usd],
        "total_cash_usd": str(c.total_cash_usd), "total_amortised_usd": str(c.total_usd), "saved_usd": str(c.saved_usd),
        "stranded_usd": str(c.stranded_usd),
    }  # fmt: skip


def as_json(out: Report) -> str:
    return json.dumps(as_dict(out), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


CSV_HEAD = ("month", "label", "system", "kind", "name", "quantity", "unit", "unit_price", "monthly_usd", "scaling",
            "driver", "service_code", "usage_type", "operation", "region", "grade", "as_of", "source")  # fmt: skip


def as_csv(out: Report) -> str:
    """A row a line a month. A text that starts like a formula gets an apostrophe before it."""
    keys = dict.fromkeys(f"tag:{key}" for m in out.months for line in m.bill.lines for key, _ in line.tags)
    text = io.StringIO()
    writer = csv.DictWriter(text, [*CSV_HEAD, *keys], lineterminator="\n", restval="", extrasaction="ignore")
    writer.writeheader()
    for m in out.months:
        for line in m.bill.lines:
            row = {k: v if k in NUMBERS else inert(v) for k, v in line.row().items()}
            writer.writerow({"month": str(m.number + 1), "label": m.bill.month.label, **row})
    return text.getvalue()


def as_markdown(out: Report) -> str:
    """The report for a wiki: the executive page, months, lines, commitments, variances, assumptions."""
    parts = [f"# Finance report: {cell(out.scenario.name)}", "", cell(out.scenario.description), ""]
    parts += [f"- **{what}**: {cell(told)}" for what, told in executive(out)]
    for title, head, rows in tables(out):
        marks = ["--:" if right else "---" for _, right in head]
        parts += ["", f"## {title}", "", "| " + " | ".join(name for name, _ in head) + " |", f"|{'|'.join(marks)}|"]
        parts += ["| " + " | ".join(cell(x) for x in row) + " |" for row in rows]
    return "\n".join(parts) + "\n"


def cell(text: str) -> str:
    """Text for a cell of a Markdown table: no bars, breaks or tags."""
    plain = text.replace("|", "\\|").replace("\n", " ")
    return plain.replace("<", "&lt;").replace(">", "&gt;")


Head = tuple[tuple[str, bool], ...]


def tables(out: Report) -> list[tuple[str, Head, list[list[str]]]]:
    """The report's tables, title, head (name, is it a number) and rows of text, as pages show them."""
    found = [
        ("Month by month", _heads("month", "events#", "USD#", "P10#", "P90#", "change#", "what changes"), _months(out)),
        (
            "Lines of the month",
            _heads("system", "line", "quantity#", "unit", "USD a unit#", "USD a month#", "price"),
            _lines(out),
        ),
    ]
    if out.commitments:
        heads = _heads("machine", "option", "bought#", "USD an hour#", "upfront#", "cash#", "amortised#", "saved#",
                       "break-even month#", "stranded#")  # fmt: skip
        found.append((f"Commitments over {len(out.months)} months", heads, _options(out)))
        missing: dict[str, list[str]] = {}
        for one in out.commitments:
            for text in one.missing:
                missing.setdefault(text, []).append(one.machine)
        if missing:
            rows = [[", ".join(machines), text] for text, machines in missing.items()]
            found.append(("Sold, and not priced", _heads("machine", "what"), rows))
    if out.bill.commitments:
        heads = _heads("commitment", "count#", "USD an hour#", "used#", "break-even month#", "saved over the term#",
                       "stranded#")  # fmt: skip
        found.append(("Commitments held", heads, _held(out)))
    if out.against is not None:
        found += _against(out)
    if out.actuals is not None:
        found += _actuals(out)
    rows = [[a.what, a.value, a.grade, a.source] for a in assumptions(out)]
    return [*found, ("Assumptions", _heads("what", "value", "how sure", "from"), rows)]


def _heads(*names: str) -> Head:
    return tuple((name.rstrip("#"), name.endswith("#")) for name in names)


def _months(out: Report) -> list[list[str]]:
    rows, before = [], None
    for m, said in zip(out.months, remarks(out.months), strict=True):
        label = m.bill.month.label if m.bill.month.label[:4].isdigit() else str(m.number + 1)
        change = f"{float(m.bill.monthly_usd / before - 1):+.1%}" if before else ""
        rows.append([label, f"{m.events:,.0f}", _usd(m.bill.monthly_usd), f"{m.range.p10_usd:,.0f}",
                     f"{m.range.p90_usd:,.0f}", change, said])  # fmt: skip
        before = m.bill.monthly_usd
    spread = out.range
    rows.append(["all", f"{sum(m.events for m in out.months):,.0f}", _usd(out.total_usd), f"{spread.p10_usd:,.0f}",
                 f"{spread.p90_usd:,.0f}", "", "P10 and P90 of the sum, by joint draws"])  # fmt: skip
    return rows


def _lines(out: Report) -> list[list[str]]:
    rows = [[x.system, x.name, f"{x.quantity:,.2f}", x.price.unit, f"{x.price.usd.normalize():f}", _usd(x.monthly_usd),
             f"{x.price.grade}, {x.price.as_of}"] for x in out.bill.bill.lines]  # fmt: skip
    rows += [[g.system, g.name, f"{g.quantity:,.2f}", "", "no price", "", g.reason] for g in out.bill.bill.gaps]
    return [*rows, ["", "total", "", "", "", _usd(out.bill.monthly_usd), ""]]


def _options(out: Report) -> list[list[str]]:
    rows = []
    for one in out.commitments:
        for c in one.choices:
            plan = c.plan
            mark = " (best)" if c is one.best else " (could be the best)" if c.name in one.turned_by else ""
            rows.append([
                one.machine, c.name + mark, "" if plan is None else f"{float(plan.bought):g}",
                "" if plan is None else f"{plan.hourly_commitment_usd:.4f}",
                "" if plan is None else _usd(plan.offer.upfront_usd * plan.bought), _usd(c.total_cash_usd),
                _usd(c.total_usd), _usd(c.saved_usd), str(c.break_even_month or "") if plan else "",
                _usd(c.stranded_usd) if c.stranded_usd else "",
            ])  # fmt: skip
    return rows


def _held(out: Report) -> list[list[str]]:
    return [
        [f"{h.plan.offer.kind} {h.plan.offer.machine}, {h.plan.offer.years} yr, {h.plan.offer.payment} upfront",
         f"{h.said.count:g}", f"{h.plan.hourly_commitment_usd:.4f}", f"{h.plan.utilisation:.0%}",
         str(h.plan.break_even_month or "never"), _usd(h.plan.saved_usd), _usd(h.plan.stranded_usd)]
        for h in out.bill.commitments
    ]  # fmt: skip


def _against(out: Report) -> list[tuple[str, Head, list[list[str]]]]:
    assert out.against is not None
    moved = out.against
    rows = [["as reviewed", "", _usd(moved.was_usd), ""]]
    rows += [[p.name, f"{p.added_usd:+,.2f}", _usd(p.total_usd), p.told] for p in moved.parts]
    rows += [["note", "", "", note] for note in moved.notes]
    found = [("Since the last review", _heads("part", "added#", "USD a month#", "what"), rows)]
    if moved.fields:
        changed = [[path, was, now] for path, was, now in moved.fields]
        found.append(("What the scenario says otherwise", _heads("field", "then", "now"), changed))
    lines = [[p.name, e.system, e.name, f"{e.quantity_usd:+,.2f}", f"{e.price_usd:+,.2f}"]
             for p in moved.parts for e in p.effects[:MOST_ROWS]]  # fmt: skip
    if lines:
        found.append(("In which lines", _heads("part", "system", "line", "quantity#", "price#"), lines))
    return found


def _actuals(out: Report) -> list[tuple[str, Head, list[list[str]]]]:
    assert out.actuals is not None
    v = out.actuals
    heads = _heads(
        "usage type", "line", "forecast#", "charged#", "quantity#", "rate#", "new or removed#", "unexplained#", "why"
    )
    rows = [[f"{r.key.family} {r.key.usage_type}".strip(), ", ".join(r.names), _usd(r.forecast_usd), _usd(r.actual_usd),
             *(_signed(x) for x in (r.quantity_usd, r.rate_usd, r.new_usd, r.unexplained_usd)), r.told]
            for r in v.rows]  # fmt: skip
    parts = [v.part(n) for n in ("quantity_usd", "rate_usd", "new_usd", "unexplained_usd")]
    rows.append(["all", "", _usd(v.forecast_usd), _usd(v.actual_usd), *(f"{x:+,.2f}" for x in parts), ""])
    apart = [[kind, _usd(usd)] for kind, usd in v.actuals.apart().items()]
    apart += [["charges compared", _usd(v.actual_usd)], ["all charges in the scope", _usd(v.invoiced_usd)],
              ["outside the scope", _usd(v.actuals.outside_usd)], ["scope", v.actuals.scope.told]]  # fmt: skip
    apart += [["note", note] for note in v.actuals.notes]
    return [(f"Against actuals, {v.actuals.month}, {v.actuals.basis}", heads, rows),
            ("Apart from the comparison", _heads("what", "USD#"), apart)]  # fmt: skip


def _signed(usd: Decimal) -> str:
    return f"{usd:+,.2f}" if usd else ""


def _usd(value: Decimal) -> str:
    return f"{value:,.2f}"
