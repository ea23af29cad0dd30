"""A forecast on a terminal: the verdict, the answers, what binds, what to mind, what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from models.units import show
from planner import look
from planner.answers import Answer, FlowForecast
from planner.fault_tell import fault_lines
from planner.memory import Ledger
from planner.money_tell import compact
from planner.render import finding_lines, plain_text
from planner.storage import Fill
from planner.tell import shown, shown_interval

if TYPE_CHECKING:
    from planner.forecast import Forecast

TABLE: dict[str, Any] = {"box": None, "pad_edge": False, "show_edge": False, "header_style": "dim"}
DOMAIN = {domain: look.STYLES[domain] for domain in ("measured", "extrapolated", "never measured")}


def rendered(out: Forecast) -> RenderableType:
    """All of it, as rich renders it."""
    parts: list[RenderableType] = [_head(out), Text(), *_verdict(out)]
    for flow in out.flows.values():
        parts += [_answers(flow, several=len(out.flows) > 1), Text()]
    parts += [_throughput(out), Text(), _storage(out), Text(), _memory(out.memory), Text()]
    if out.faults is not None:
        parts += [*fault_lines(out.faults), Text()]
    parts += [compact(out.bill), Text()]
    for finding in out.warnings:
        parts += finding_lines(finding)
    return Group(*parts, Text(), _foot(out))


def as_text(out: Forecast, width: int = 110) -> str:
    """The same without colours."""
    return plain_text(rendered(out), width)


def _head(out: Forecast) -> Text:
    head = Text(out.scenario.name, style="bold")
    return head.append(f"  {out.scenario.description}", style="dim") if out.scenario.description else head


def _verdict(out: Forecast) -> list[RenderableType]:
    if not out.targets:
        return [Text("No targets are stated: nothing is promised, nothing broken."), Text()]
    table = Table("target", "promised", "forecast", "", "why", **TABLE)
    for target in out.targets:
        promised, told = (
            show(x, target.unit) if isinstance(x, float) else x for x in (target.promised, target.forecast)
        )
        word = ("holds" if target.holds else "BROKEN") + ("" if target.sure else "?")
        style = look.STYLES["holds" if target.holds else "broken"]
        table.add_row(target.target, promised, told, Text(word, style), target.reason)
    return [table, Text()]


def _answers(flow: FlowForecast, several: bool) -> Table:
    table = Table(
        f"{flow.name}: latency" if several else "latency",
        "value",
        "one run (90 %)",
        "real stack (90 %)",
        "rests on",
        **TABLE,
    )
    for name, answer in flow.latency.end_to_end.items():
        _row(table, name.replace("p999", "p99.9"), answer)
    for name, answer in flow.latency.by_hop.items():
        _row(table, f"  mean {name.replace('_', ' ')}", answer)
    _row(table, "batch", flow.batches.seconds)
    _row(table, "most lag", flow.lag.max_records)
    _row(table, "age of it", flow.lag.max_seconds)
    _row(table, f"catch up after {show(flow.lag.outage_seconds, 's')}", flow.lag.catch_up)
    return table


def _row(table: Table, name: str, answer: Answer) -> None:
    rests = Text(answer.domain, DOMAIN[answer.domain])
    table.add_row(name, shown(answer), shown_interval(answer, "sampling"), shown_interval(answer, "forecast"), rests)


def _throughput(out: Forecast) -> Text:
    t = out.throughput
    text = Text.assemble(("throughput  ", "dim"), f"{show(t.offered_events_per_second, '1/s')} on the mean, ")
    text.append(f"{show(t.peak_events_per_second, '1/s')} at the peak; sustainable ")
    text.append(show(t.sustainable.value, "1/s"), style="bold")
    text.append(f", bound by {t.bottleneck.name}: {t.bottleneck.evidence}")
    return text


def _storage(out: Forecast) -> Table:
    table = Table("storage", "at full retention", "fullest node", "of volume", "dates", **TABLE)
    for system, fill in out.storage.items():
        held = (show(fill.bytes, "bytes"), show(fill.fullest_node_bytes, "bytes"), f"{fill.fullest_share:.0%}")
        table.add_row(system, *held, _dates(fill))
    return table


def _dates(fill: Fill) -> str:
    known = [f"{mark.replace('_', ' ')} day {day:.0f}" for mark, day in fill.days_to.items() if day is not None]
    return ", ".join(known) or "no mark is reached"


def _memory(ledgers: list[Ledger]) -> Table:
    table = Table("memory", "count", "heap", "reserved", "resident", "page cache", "host has", "ended from", **TABLE)
    for entry in ledgers:
        sizes = (entry.heap_bytes, entry.reserved_bytes, entry.resident_bytes, entry.page_cache_bytes, entry.host_bytes)
        until = "" if entry.holds_until is None else f"{entry.holds_until:.2g} × load"
        table.add_row(entry.process, str(entry.count), *("" if s is None else show(s, "bytes") for s in sizes), until)
    return table


def _foot(out: Forecast) -> Text:
    told = {grade: len(rows) for grade, rows in out.provenance["ledger"].items() if rows}
    grades = ", ".join(f"{count} {grade}" for grade, count in told.items())
    c = out.provenance["coefficients"]
    return Text(
        f"{c['set']} of {c['as_of']}: {grades}; {out.scenario.run.repeats} runs and {out.draws} draws of "
        f"{show(out.scenario.run.measure, 's')}, seed {out.seed}, engine {out.digests['engine']}",
        style="dim",
    )
