"""The finance report as a workbook whose sums are alive: change a quantity, a price or a month, and the totals follow.

Every dollar that follows from others is a formula: lines are ROUND(quantity x price, 2), sums are sums, support takes
its tiers of the charges above it, variances subtract. Ranges and simulated figures are numbers, since a sheet cannot
draw them again; their cells say so. Text from outside is text (see `export_cells`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from planner.export_cells import COUNT, PRICE, SHARE, Cell, Formula, Number, fill, save, workbook
from planner.finance import Report, assumptions, dates, price_rows
from planner.finance_tell import executive
from planner.money_months import remarks
from pricing.bill import Line
from pricing.offers import Choice

LINE_HEAD = (
    "system",
    "kind",
    "line",
    "quantity",
    "unit",
    "USD a unit",
    "USD a month",
    "AWS",
    "scaling",
    "from which quantity",
    "service",
    "usage type",
    "operation",
    "region",
    "how sure",
    "as of",
    "source",
)
QUANTITY, PRICED, AMOUNT, IS_AWS = "D", "F", "G", "H"


def write_workbook(out: Report, path: Path) -> None:
    """Write the workbook; the file is there whole or not at all."""
    book = workbook(path)
    names = ["Summary", "Lines", "Months", "Month lines", "Commitments"]
    sheets = {name: book.create_sheet(name) for name in names}
    ordered, rows = _lines(out)
    last = len(rows)
    fill(sheets["Lines"], [*rows, _total_row(last)], (14, 12, 52, 16, 16, 14, 14, 6, 9, 28, 18, 30, 20, 14, 12, 12, 40))
    count = _month_lines(out, sheets["Month lines"])
    _months(out, sheets["Months"], count)
    _commitments(out, sheets["Commitments"])
    _summary(out, sheets["Summary"], last, ordered)
    if out.bill.commitments:
        _held(out, book.create_sheet("Commitments held"))
    if out.against is not None:
        _against(out, book.create_sheet("Since last review"))
    if out.actuals is not None:
        _actuals(out, book.create_sheet("Against actuals"))
    _assumptions(out, book.create_sheet("Assumptions"))
    _prices(out, book.create_sheet("Prices"))
    book.properties.title = f"Finance report: {out.scenario.name}"[:200]
    book.properties.creator = "floodmark"
    save(book, path)


def _lines(out: Report) -> tuple[list[Line], list[list[Cell]]]:
    """The lines with support last, since it is a share of all that stand above it."""
    plain = [x for x in out.bill.bill.lines if x.kind != "support"]
    support = [x for x in out.bill.bill.lines if x.kind == "support"]
    tags = list(dict.fromkeys(key for x in out.bill.bill.lines for key, _ in x.tags))
    rows: list[list[Cell]] = [[*LINE_HEAD, *(f"tag: {key}" for key in tags)]]
    for number, line in enumerate([*plain, *support], start=2):
        row = _line(line, number, tags)
        if line.kind == "support":
            _alive(row, line, number, len(plain) + 1, out)
        rows.append(row)
    for gap in out.bill.bill.gaps:
        rows.append([gap.system, gap.kind, f"{gap.name} (no price: {gap.reason})", Number(gap.quantity, COUNT)])
    return [*plain, *support], rows


def _line(line: Line, number: int, tags: Sequence[str]) -> list[Cell]:
    price, mine = line.price, dict(line.tags)
    return [
        line.system, line.kind, line.name, Number(line.quantity, COUNT), price.unit, Number(price.usd, PRICE),
        Formula(f"ROUND({QUANTITY}{number}*{PRICED}{number},2)"), Number(int(line.is_aws), "0"), line.scaling,
        line.driver, price.service_code, price.usage_type, price.operation, price.region, price.grade, price.as_of,
        price.source, *(mine.get(key, "") for key in tags),
    ]  # fmt: skip


def _alive(row: list[Cell], line: Line, number: int, last: int, out: Report) -> None:
    """Support's quantity is the part of its tier that AWS's charges above fill, after the rest of the account; its
    minimum tops up what the tiers lack, where the account has nothing else (else it stays the number it is)."""
    charged = f"SUMIF({IS_AWS}2:{IS_AWS}{last},1,{AMOUNT}2:{AMOUNT}{last})"
    before = out.scenario.money.account.aws_usd
    if line.driver == "plan's minimum less its share":
        if not before:
            item = line.price.item
            least = next(r["usd"] for r in price_rows(out) if r["item"] == item)
            tiers = f"SUM({AMOUNT}{last + 1}:{AMOUNT}{number - 1})" if number > last + 1 else "0"
            row[5] = Formula(f"MAX(0,{least}-{tiers})", PRICE)
        return
    top = f"{before:.12g}+{charged}"
    if line.price.tier_to is not None:
        top = f"MIN({top},{line.price.tier_to:f})"
    row[3] = Formula(f"MAX(0,{top}-{max(before, float(line.price.tier_from)):.12g})", COUNT)


def _total_row(last: int) -> list[Cell]:
    return ["", "", "total", None, "", None, Formula(f"SUM({AMOUNT}2:{AMOUNT}{last})")]


def _summary(out: Report, sheet: Any, last: int, lines: Sequence[Line]) -> None:
    rows: list[list[Cell]] = [[f"Finance report: {out.scenario.name}"], [out.scenario.description], []]
    rows += [[what, told] for what, told in executive(out)]
    rows += [[], ["USD a month", "", "P10", "P50", "P90"]]
    spread = out.bill.range
    rows.append(["total", Formula(f"Lines!{AMOUNT}{last + 1}"), *(Number(x) for x in (spread.p10_usd, spread.p50_usd,
                                                                                     spread.p90_usd))])  # fmt: skip
    total = len(rows)
    rows.append(["AWS", Formula(_sum_if(IS_AWS, "1", last))])
    rows.append(["people and third parties", Formula(_sum_if(IS_AWS, "0", last))])
    rows += [
        [f"system: {name}", Formula(_sum_if("A", f'"{name}"', last))] for name in dict.fromkeys(x.system for x in lines)
    ]
    rows += [
        [f"kind: {name}", Formula(_sum_if("B", f'"{name}"', last))] for name in dict.fromkeys(x.kind for x in lines)
    ]
    events = out.bill.events
    rows.append(["events a month", Number(events, "#,##0")])
    if events:
        rows.append(["USD a million events", Formula(f"B{total}/B{len(rows)}*1000000", "0.000000")])
    if out.bill.marginal is not None:
        rows.append(["USD of the next million events", Number(out.bill.marginal[0], "0.000000")])
    money = out.scenario.money
    if money.currency != "USD":
        rows.append([f"total in {money.currency}", Formula(f"ROUND(B{total}*{money.currency_per_usd:.12g},2)")])
    months = len(out.months)
    rows += [[], [f"USD in {months} months", "", "P10", "P50", "P90"]]
    whole = out.range
    rows.append(["total", Formula(f"Months!D{months + 2}"), *(Number(x) for x in (whole.p10_usd, whole.p50_usd,
                                                                                whole.p90_usd))])  # fmt: skip
    rows.append([])
    rows += [[name.replace("_", " "), date] for name, date in dates(out).items()]
    rows.append(["price book", out.bill.bill.book_digest])
    rows.append(["ranges", "are drawn, not formulas: changing a cell does not move them"])
    fill(sheet, rows, (34, 60, 16, 16, 16))


def _sum_if(column: str, is_what: str, last: int) -> str:
    return f"SUMIF(Lines!{column}2:{column}{last},{is_what},Lines!{AMOUNT}2:{AMOUNT}{last})"


def _month_lines(out: Report, sheet: Any) -> int:
    """Every line of every month; the last row that has one."""
    rows: list[list[Cell]] = [["month", "label", "system", "kind", "line", "quantity", "unit", "USD a unit",
                               "USD a month", "scaling", "usage type"]]  # fmt: skip
    for m in out.months:
        for x in m.bill.lines:
            n = len(rows) + 1
            rows.append([
                Number(m.number + 1, "0"), m.bill.month.label, x.system, x.kind, x.name, Number(x.quantity, COUNT),
                x.price.unit, Number(x.price.usd, PRICE), Formula(f"ROUND(F{n}*H{n},2)"), x.scaling, x.price.usage_type,
            ])  # fmt: skip
    fill(sheet, rows, (7, 22, 14, 12, 52, 18, 14, 14, 14, 9, 30))
    return len(rows)


def _months(out: Report, sheet: Any, count: int) -> None:
    rows: list[list[Cell]] = [["month", "label", "events", "USD", "change", "P10 (drawn)", "P50 (drawn)", "P90 (drawn)",
                               "peak over sustained", "Kafka disk", "index disk", "what changes"]]  # fmt: skip
    for m, said in zip(out.months, remarks(out.months), strict=True):
        n = len(rows) + 1
        total = f"SUMIF('Month lines'!A2:A{count},A{n},'Month lines'!I2:I{count})"
        rows.append([
            Number(m.number + 1, "0"), m.bill.month.label, Number(m.events, "#,##0"), Formula(total),
            Formula(f"IF(D{n - 1}=0,0,D{n}/D{n - 1}-1)", SHARE) if n > 2 else None, Number(m.range.p10_usd),
            Number(m.range.p50_usd), Number(m.range.p90_usd),
            None if m.headroom is None else Number(m.headroom.share, SHARE), Number(m.full["kafka"], SHARE),
            Number(m.full["elasticsearch"], SHARE), said,
        ])  # fmt: skip
    last, spread = len(rows), out.range
    rows.append(["", "all", Formula(f"SUM(C2:C{last})", "#,##0"), Formula(f"SUM(D2:D{last})"), None,
                 Number(spread.p10_usd), Number(spread.p50_usd), Number(spread.p90_usd), None, None, None,
                 "P10 to P90 of the sum come from joint draws, not from adding"])  # fmt: skip
    fill(sheet, rows, (7, 22, 18, 14, 9, 14, 14, 14, 12, 11, 11, 80))


def _commitments(out: Report, sheet: Any) -> None:
    """Each option twice: when cash leaves, and amortised; sums and savings are formulas."""
    from openpyxl.utils import get_column_letter

    months = len(out.months)
    first, last = "K", get_column_letter(10 + months)
    rows: list[list[Cell]] = [
        [
            "machine",
            "option",
            "basis",
            "bought",
            "USD an hour",
            "upfront",
            "total",
            "saved",
            "break-even month",
            "stranded",
            *(f"month {m.number + 1}" for m in out.months),
        ]
    ]
    for one in out.commitments:
        base = len(rows) + 1
        for choice in one.choices:
            for basis, values in (("cash", choice.cash_usd), ("amortised", choice.amortised_usd)):
                n = len(rows) + 1
                rows.append([
                    one.machine, _named(choice, one.best.name, one.turned_by), basis, *_bought(choice),
                    Formula(f"SUM({first}{n}:{last}{n})"), Formula(f"G{base}-G{n}"),
                    None if choice.break_even_month is None else Number(choice.break_even_month, "0"),
                    Number(choice.stranded_usd) if choice.stranded_usd else None, *(Number(v) for v in values),
                ])  # fmt: skip
        rows += [[one.machine, text, "not priced"] for text in one.missing]
    if len(rows) == 1:
        rows.append(["no line of the bill can be committed to: MSK sells none"])
    fill(sheet, rows, (22, 44, 11, 8, 12, 14, 14, 14, 10, 12))


def _named(choice: Choice, best: str, turned_by: Sequence[str]) -> str:
    return choice.name + (
        " (best)" if choice.name == best else " (could be the best)" if choice.name in turned_by else ""
    )


def _bought(choice: Choice) -> tuple[Cell, Cell, Cell]:
    if choice.plan is None:
        return None, None, None
    plan = choice.plan
    upfront = plan.offer.upfront_usd * plan.bought
    return Number(plan.bought, COUNT), Number(plan.hourly_commitment_usd, "0.0000"), Number(upfront)


def _held(out: Report, sheet: Any) -> None:
    rows: list[list[Cell]] = [
        [
            "commitment",
            "machine",
            "count",
            "years",
            "payment",
            "USD an hour",
            "used",
            "break-even month",
            "saved over the term",
            "stranded",
            "applied",
        ]
    ]
    for h in out.bill.commitments:
        plan = h.plan
        rows.append([
            plan.offer.kind, plan.offer.machine, Number(h.said.count, COUNT), Number(plan.offer.years, "0"),
            plan.offer.payment, Number(plan.hourly_commitment_usd, "0.0000"), Number(plan.utilisation, SHARE),
            "never" if plan.break_even_month is None else Number(plan.break_even_month, "0"), Number(plan.saved_usd),
            Number(plan.stranded_usd), "yes" if h.applied else "its term is over",
        ])  # fmt: skip
    fill(sheet, rows, (18, 22, 8, 7, 9, 12, 8, 12, 18, 14, 16))


def _against(out: Report, sheet: Any) -> None:
    assert out.against is not None
    moved = out.against
    rows: list[list[Cell]] = [
        ["part", "added USD", "USD a month", "what"],
        ["as reviewed", None, Number(moved.was_usd)],
    ]
    for part in moved.parts:
        n = len(rows) + 1
        rows.append([part.name, Number(part.added_usd), Formula(f"C{n - 1}+B{n}"), part.told])
    rows.append(
        ["all of it", Formula(f"SUM(B3:B{len(rows)})"), Formula(f"Summary!B{_summary_total(out)}"), "today's total"]
    )
    rows += [["note", None, None, note] for note in moved.notes]
    rows += [[], ["field", "then", "now"]]
    rows += [[path, was, now] for path, was, now in moved.fields]
    rows += [[], ["part", "system", "line", "quantity USD", "price USD"]]
    rows += [
        [p.name, e.system, e.name, Number(e.quantity_usd), Number(e.price_usd)] for p in moved.parts for e in p.effects
    ]
    fill(sheet, rows, (40, 24, 24, 40, 16))


def _summary_total(out: Report) -> int:
    """The row of the month's total on the summary sheet."""
    return 3 + len(executive(out)) + 3


def _actuals(out: Report, sheet: Any) -> None:
    assert out.actuals is not None
    v = out.actuals
    rows: list[list[Cell]] = [
        [
            "service",
            "region",
            "usage type",
            "lines",
            "forecast quantity",
            "charged quantity",
            "unit",
            "forecast USD",
            "charged USD",
            "variance",
            "quantity",
            "rate",
            "new or removed",
            "unexplained",
            "state",
            "why",
        ]
    ]
    for r in v.rows:
        n = len(rows) + 1
        quantities = (None if q is None else Number(q, COUNT) for q in (r.forecast_quantity, r.actual_quantity))
        rows.append(
            [
                r.key.family,
                r.key.region,
                r.key.usage_type,
                "; ".join(r.names),
                *quantities,
                r.unit,
                Number(r.forecast_usd),
                Number(r.actual_usd),
                Formula(f"I{n}-H{n}"),
                Number(r.quantity_usd),
                Number(r.rate_usd),
                Number(r.new_usd),
                Formula(f"J{n}-K{n}-L{n}-M{n}"),
                r.state,
                r.told,
            ]
        )
    last = len(rows)
    rows.append(["all", "", "", "", None, None, "", *(Formula(f"SUM({c}2:{c}{last})") for c in "HIJKLMN")])
    compared = len(rows)
    rows += [[], ["apart from the comparison"]]
    first = len(rows) + 1
    rows += [[kind, "", "", "", None, None, "", None, Number(usd)] for kind, usd in v.actuals.apart().items()]
    rows.append(["all charges in the scope", "", "", "", None, None, "", None,
                 Formula(f"I{compared}+SUM(I{first}:I{len(rows)})")])  # fmt: skip
    rows.append(["outside the scope", "", "", "", None, None, "", None, Number(v.actuals.outside_usd)])
    about = [("scope", v.actuals.scope.told), ("basis", v.actuals.basis), ("month", v.actuals.month),
             ("source", v.actuals.source), *(("note", note) for note in v.actuals.notes)]  # fmt: skip
    rows += [[what, told] for what, told in about]
    fill(sheet, rows, (20, 14, 34, 44, 16, 16, 12, 14, 14, 14, 14, 14, 14, 14, 12, 60))


def _assumptions(out: Report, sheet: Any) -> None:
    rows: list[list[Cell]] = [["what", "value", "how sure", "from"]]
    rows += [[a.what, a.value, a.grade, a.source] for a in assumptions(out)]
    fill(sheet, rows, (24, 90, 14, 40))


def _prices(out: Report, sheet: Any) -> None:
    names = (
        "item",
        "region",
        "usd",
        "unit",
        "tier_from",
        "tier_to",
        "usage_type",
        "identity",
        "grade",
        "as_of",
        "source",
    )
    rows: list[list[Cell]] = [[name.replace("_", " ") for name in names]]
    for row in price_rows(out):
        rows.append([Number(float(row[n]), PRICE) if n == "usd" else row[n] for n in names])
    fill(sheet, rows, (44, 14, 14, 18, 10, 10, 34, 18, 12, 14, 60))
