"""The report's sections on memory and storage: ledgers with their limits, parts of what is stored, dates of the "
"marks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from models.units import show
from planner.memory import Ledger, hosts, until_told
from planner.storage_parts import stored

if TYPE_CHECKING:
    from planner.forecast import Forecast

Table = Callable[[Sequence[str], Iterable[Sequence[str]]], str]


def storage_html(out: Forecast, table: Table) -> str:
    """What each system comes to hold, the dates of its marks (also with a data node lost), and its parts."""
    from planner.forecast import coefficients_of

    rows = []
    for system, fill in out.storage.items():
        sizes = [show(x, "bytes") for x in (fill.bytes, fill.fullest_node_bytes, fill.volume_bytes)]
        after = _dates(fill.days_to_after_loss) if fill.days_to_after_loss else ""
        again = "" if fill.recovery_seconds is None else show(fill.recovery_seconds, "s")
        rows.append([system, *sizes, escape(_dates(fill.days_to)), escape(after), again])
    head = (
        "system",
        "at full retention",
        "fullest node",
        "its volume",
        "its marks",
        "with a node lost",
        "whole again in",
    )
    parts = [
        [p.system, escape(p.what), p.tier, str(p.copies), show(p.bytes, "bytes"), show(p.one_copy_bytes, "bytes"),
         escape(p.formula), escape(p.source)]
        for p in stored(out.scenario, coefficients_of(out.scenario))
    ]  # fmt: skip
    columns = ("system", "part", "tier", "copies", "all copies", "one copy", "formula", "source")
    return "<h2>Storage</h2>" + table(head, rows) + _folded("What is stored, part by part", table(columns, parts))


def _dates(days: dict[str, float | None]) -> str:
    told = ", ".join(f"{mark.replace('_', ' ')} day {day:.1f}" for mark, day in days.items() if day is not None)
    return told or "no mark is reached"


def _folded(title: str, inner: str) -> str:
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"


def memory_html(out: Forecast, table: Table) -> str:
    """Each process beside its setting, its limit and the load it holds until; the parts and risks of each; the "
    "hosts."""
    rows = []
    for m in out.memory:
        sizes = (m.resident_least_bytes, m.resident_bytes, m.reserved_bytes, m.limit_bytes, m.page_cache_bytes)
        told = ["not known" if x is None else show(x, "bytes") for x in sizes]
        if m.process in ("executor", "driver"):
            told[-1] = ""  # nobody reads through the page cache of theirs
        rows.append(
            [
                m.process,
                str(m.count),
                f"<code>{escape(m.setting)}</code>",
                *told,
                escape(until_told(m)),
                escape(m.limit),
            ]
        )
    head = ("process", "count", "setting", "resident soon", "climbs to", "reserved", "limit", "page cache", "likely "
    "ended",
            "by whom")  # fmt: skip
    folded = [_folded(f"{m.process}: its parts and its risk as load grows", _parts(m, table)) for m in out.memory]
    columns = ("host", "count", "carries", "they climb to", "it has", "left for the page cache")
    on = [
        [escape(h.host), str(h.count), ", ".join(h.processes), show(h.resident_bytes, "bytes"),
         "not known" if h.host_bytes is None else show(h.host_bytes, "bytes"),
         "not known" if h.left_bytes is None else show(h.left_bytes, "bytes")]
        for h in hosts(out.scenario, out.memory)
    ]  # fmt: skip
    return "<h2>Memory</h2>" + table(head, rows) + "".join(folded) + table(columns, on)


def _parts(ledger: Ledger, table: Table) -> str:
    parts = [[escape(e.name), e.where, show(e.bytes, "bytes"), escape(e.formula), e.grade, escape(e.source)]
             for e in ledger.entries]  # fmt: skip
    risks = [[f"{r.load:g}", show(r.demand_bytes, "bytes"), show(r.limit_bytes, "bytes"), f"{r.probability:.1%}",
              show(r.live_heap_bytes, "bytes"), f"{r.heap_probability:.1%}"] for r in ledger.risks]  # fmt: skip
    head = ("part", "where", "bytes", "formula", "grade", "source")
    columns = ("times the load", "may take", "limit", "passes it", "live heap", "heap overflows")
    return table(head, parts) + table(columns, risks)
