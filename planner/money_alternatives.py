"""The same load on the services that are named as ways out: Lambda + SQS, Kinesis, Firehose, the Serverless kinds.

Each stands for the part of the stack it would take the place of. Where a service stops fitting is said by its limits;
what nobody published (OCUs for a load, seconds of a Lambda batch) is not guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.stack import Scenario
from models.units import HOUR, show
from planner.bill import book_of, monthly_bill
from planner.forecast import coefficients_of
from planner.lag import peak_rate
from planner.usage import flowing, month_of, primary_bytes
from pricing.alternatives import Option, Workload, options
from pricing.spread import Verdict, verdict

if TYPE_CHECKING:
    from rich.console import RenderableType


def workload_of(scenario: Scenario) -> Workload:
    """All flows of a scenario as one stream of events of their mean size."""
    flows, month = flowing(scenario), month_of(scenario.money)
    events = sum(f.events for f in flows)
    size = sum(f.events * f.flow.workload.value_bytes for f in flows) / events
    groups = max(1 + f.flow.topic.consumer_groups for f in flows)
    peak = sum(peak_rate(scenario, number) for number in range(len(flows)))
    return Workload(
        scenario.money.region, events, size, max(peak, events / (month.hours * HOUR)), groups,
        max(f.flow.topic.retention for f in flows) / HOUR, sum(f.flow.topic.partitions for f in flows),
        indexed_bytes_held=sum(primary_bytes(f, coefficients_of(scenario)) for f in flows),
    )  # fmt: skip


@dataclass(frozen=True)
class WayOut:
    """An option, the events a second at which it stops fitting, what of the stack it replaces, and which is cheaper."""

    option: Option
    stops_at: float
    replaces: str
    own_usd: float
    verdict: Verdict | None

    @property
    def compared(self) -> str:
        """Which is cheaper and how sure that is; a bill with something left out is not compared."""
        if self.verdict is None:
            return "not compared: something of it has no price"
        apart, share = self.verdict.usd_apart, self.verdict.share_of_draws
        told = f"{apart:,.0f} USD {'cheaper' if self.verdict.cheaper == 'b' else 'dearer'} than your {self.replaces}"
        if not self.verdict.turned_by:
            return told
        return f"{told} in {share:.0%} of draws; the price of {', '.join(self.verdict.turned_by)} alone could turn it"


def alternatives(scenario: Scenario) -> list[WayOut]:
    """Every option for the scenario's load, beside the part of the stack that it would take the place of."""
    load, money = workload_of(scenario), scenario.money
    book, month = book_of(money), month_of(money)
    own = monthly_bill(scenario, coefficients_of(scenario)).bill
    found = []
    for option in options(load, book, month):
        system = "elasticsearch" if option.name.startswith("OpenSearch") else "kafka"
        part = replace(own, lines=tuple(x for x in own.lines if x.system == system))
        whole = option.bill.complete and not any("not priced" in r or "is priced" in r for r in option.remarks)
        judged = verdict(part, option.bill, book) if whole and own.complete else None
        found.append(WayOut(option, option.stops_at(load), system, float(part.monthly_usd), judged))
    return found


def as_dict(scenario: Scenario) -> list[dict[str, Any]]:
    """Plain data; a limit that is not known is null."""
    return [
        {"name": w.option.name, "monthly_usd": float(w.option.bill.monthly_usd), "complete": w.option.bill.complete,
         "fits": w.option.fits, "stops_at_events_per_second": w.stops_at if math.isfinite(w.stops_at) else None,
         "by_grade": {k: float(v) for k, v in w.option.bill.by_grade.items()},
         "limits": [{"name": x.name, "allowed": x.allowed, "asked": x.asked, "unit": x.unit, "grade": x.grade}
                    for x in w.option.limits],
         "replaces": w.replaces, "own_usd": w.own_usd, "compared": w.compared,
         "turned_by": list(w.verdict.turned_by) if w.verdict else [], "remarks": list(w.option.remarks)}
        for w in alternatives(scenario)
    ]  # fmt: skip


def rendered(scenario: Scenario) -> RenderableType:
    """The options on a terminal."""
    from rich.table import Table

    out = Table("instead", "USD a month", "fits", "until", "what to know", box=None, pad_edge=False, show_edge=False,
                header_style="dim")  # fmt: skip
    out.columns[1].justify = "right"
    for way in alternatives(scenario):
        option = way.option
        unsure = [g for g in option.bill.by_grade if g not in ("published", "given", "measured")]
        remarks = [way.compared, *option.remarks, *([f"prices {', '.join(unsure)}"] if unsure else [])]
        remarks += [f"no price: {gap.name}" for gap in option.bill.gaps]
        until = show(way.stops_at, "1/s") if math.isfinite(way.stops_at) else "not known"
        fits = "yes" if option.fits else "NO"
        out.add_row(option.name, f"{option.bill.monthly_usd:,.0f}", fits, until, "; ".join(remarks))
    return out


HEAD = ["instead", "monthly_usd", "fits", "stops_at_events_per_second", "replaces", "own_usd", "limits",
        "what to know"]  # fmt: skip


def table_rows(made: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """A row an option, of `as_dict`'s plain data; a price or limit that is missing or only remembered is told."""
    found = []
    for way in made:
        limits = "; ".join(f"{x['name']}: {x['allowed']:g} {x['unit']} ({x['grade']})" for x in way["limits"])
        unsure = ", ".join(grade for grade in way["by_grade"] if grade not in ("published", "given", "measured"))
        told = [way["compared"], *way["remarks"], *([f"prices {unsure}"] if unsure else [])]
        until = way["stops_at_events_per_second"]
        found.append(
            [way["name"], f"{way['monthly_usd']:.2f}", "yes" if way["fits"] else "no",
             "not known" if until is None else f"{until:.0f}", way["replaces"], f"{way['own_usd']:.2f}", limits,
             "; ".join(told)]
        )  # fmt: skip
    return found


def as_markdown(made: Sequence[Mapping[str, Any]]) -> str:
    """The options as a table."""
    lines = [
        "The same load on other services.",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|---|--:|---|--:|---|--:|---|---|",
    ]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table_rows(made)]
    return "\n".join(lines) + "\n"


def add_sheet(made: Sequence[Mapping[str, Any]], path: Path) -> None:
    """A sheet of the options in a workbook that stands; text is text, never a formula."""
    from openpyxl import load_workbook

    book = load_workbook(path)
    sheet = book.create_sheet("alternatives")
    numbers = ("monthly_usd", "stops_at_events_per_second", "own_usd")
    for r, row in enumerate([HEAD, *table_rows(made)], start=1):
        for c, (name, text) in enumerate(zip(HEAD, row, strict=True), start=1):
            cell = sheet.cell(row=r, column=c)
            if r > 1 and name in numbers and text != "not known":
                cell.value = float(text)
            else:
                cell.value, cell.data_type = text, "s"
    part = path.with_name(path.name + ".part")
    book.save(part)
    part.replace(path)
