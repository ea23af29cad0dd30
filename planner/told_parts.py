"""What a page shows in tables and bars: cells and parts with the words to hover over them, read off a forecast.

A *bar* is a whole (a host's memory, a volume, the mean latency) and its parts as shares of it; a *tick* marks a place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.units import show
from planner.charts import HOPS
from planner.look import HOP, INK, SYSTEM
from planner.memory import LIKELY, Ledger
from planner.money_tell import foot
from planner.storage import Fill
from planner.tell import answers, shown, shown_interval
from planner.told import MARKS, Judged, dates, source_of

if TYPE_CHECKING:
    from planner.answers import FlowForecast
    from planner.bill import MonthlyBill
    from planner.forecast import Forecast

HEAP, RESERVED, CACHE, SYSTEM_MEMORY = INK[0], INK[4], INK[2], INK[6]
MEMORY_KEY = (("heap", HEAP), ("reserved beside the heap", RESERVED), ("page cache", CACHE), ("system", SYSTEM_MEMORY))


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    source: str = ""
    judged: str = ""
    beside: str = ""
    number: bool = False


@dataclass(frozen=True)
class Part:
    """A part of a bar: its share of the whole [1], its colour, what hovers over it."""

    share: float
    colour: str
    source: str


@dataclass(frozen=True)
class Bar:
    """A whole and its parts; `ticks` are (share of the whole, what hovers)."""

    name: str
    beside: str
    parts: tuple[Part, ...]
    source: str = ""
    under: str = ""
    ticks: tuple[tuple[float, str], ...] = ()
    judged: Judged = ""


def budget_bars(out: Forecast) -> list[Bar]:
    """Where the mean latency goes, a bar a flow."""
    return [_budget(flow) for flow in out.flows.values()]


def _budget(flow: FlowForecast) -> Bar:
    hops = flow.latency.by_hop
    total = sum(answer.value for answer in hops.values())
    if not total > 0:
        return Bar(flow.name, "not known", (), "nothing reaches an index")
    parts = tuple(
        Part(answer.value / total, HOP.get(name, INK[k]), f"{HOPS.get(name, name)}: {shown(answer)} on the mean\n"
             + source_of(answer, "mean over the same records as the latency"))
        for k, (name, answer) in enumerate(hops.items())
    )  # fmt: skip
    under = ", ".join(f"{shown(answer)} {HOPS.get(name, name)}" for name, answer in hops.items())
    source = "mean over the same records as the latency, hop by hop: they add up to the mean latency"
    return Bar(flow.name, f"{show(total, 's')} on the mean", parts, source, under)


def budget_key() -> list[tuple[str, str]]:
    """The hops and their colours."""
    return [(HOPS[name], colour) for name, colour in HOP.items()]


def memory_bars(out: Forecast) -> list[Bar]:
    """One process of each kind on its host."""
    return [_memory(entry) for entry in out.memory]


def _memory(entry: Ledger) -> Bar:
    whole = max(entry.host_bytes or 0.0, entry.reserved_bytes, entry.resident_bytes or 0.0)
    beside, cache = max(0.0, entry.reserved_bytes - entry.heap_bytes), entry.page_cache_bytes or 0.0
    rest = max(0.0, whole - entry.reserved_bytes - cache) if entry.page_cache_bytes is not None else 0.0
    sizes = (("heap set", entry.heap_bytes, HEAP), ("reserved beside the heap", beside, RESERVED),
             ("page cache", cache, CACHE), ("system", rest, SYSTEM_MEMORY))  # fmt: skip
    parts = tuple(
        Part(size / whole, colour, f"{name}: {show(size, 'bytes')}\n{entry.evidence}")
        for name, size, colour in sizes
        if size > 0 and whole > 0
    )
    marks = [
        (entry.resident_bytes, "resident under load"),
        (entry.limit_bytes, entry.limit),
        (entry.state_bytes, "state"),
    ]
    ticks = tuple((x / whole, f"{name}: {show(x, 'bytes')}") for x, name in marks if x is not None and 0 < x <= whole)
    host = "its host's memory is not stated" if entry.host_bytes is None else f"of {show(entry.host_bytes, 'bytes')}"
    return Bar(f"{entry.count} × {entry.process}", host, parts, _memory_source(entry), _beside_memory(entry), ticks,
               _memory_judged(entry))  # fmt: skip


def _memory_judged(entry: Ledger) -> Judged:
    """By how likely the process passes what it is killed at, or fills its heap, at this load."""
    if not entry.risks:
        return ""
    likely = max(entry.risks[0].probability, entry.risks[0].heap_probability)
    return "broken" if likely >= 0.5 else "unsure" if likely >= LIKELY else ""


def _memory_source(entry: Ledger) -> str:
    lines = [entry.setting, entry.evidence] if entry.setting else [entry.evidence]
    for risk in entry.risks:
        kill, heap = f"{risk.probability:.0%}", f"{risk.heap_probability:.0%}"
        lines.append(f"at {risk.load:g} × the load: killed {kill}, heap full {heap}")
    return "\n".join(lines)


def _beside_memory(entry: Ledger) -> str:
    told = [f"heap {show(entry.heap_bytes, 'bytes')}"]
    if entry.resident_bytes is not None:
        told.append(f"resident {show(entry.resident_bytes, 'bytes')}")
    if entry.limit_bytes is not None:
        told.append(f"killed above {show(entry.limit_bytes, 'bytes')}")
    if entry.page_cache_bytes is not None:
        told.append(f"page cache {show(entry.page_cache_bytes, 'bytes')}")
    if entry.page_cache_seconds is not None:
        told.append(f"the last {show(entry.page_cache_seconds, 's')} of writes")
    if entry.hot_bytes:
        told.append(f"searches want {show(entry.hot_bytes, 'bytes')} of it")
    if entry.holds_until is not None:
        told.append(f"holds until {entry.holds_until:.2g} × the load")
    return ", ".join(told)


def memory_rows(out: Forecast) -> tuple[list[str], list[list[Cell]]]:
    """Every part of every process: bytes, formula, source and how sure."""
    rows = [
        [Cell(entry.process), Cell(part.name), Cell(part.where),
         Cell(show(part.bytes, "bytes"), f"{part.formula}\n{part.source} ({part.grade})"), Cell(part.formula),
         Cell(part.source), Cell(part.grade, judged=_sure(part.grade))]
        for entry in out.memory for part in entry.entries
    ]  # fmt: skip
    return ["process", "part", "where", "size", "formula", "source", ""], rows


def storage_bars(out: Forecast) -> list[Bar]:
    """The fullest node of each system against its volume, with the days of its marks."""
    return [_storage(system, fill) for system, fill in out.storage.items()]


def _storage(system: str, fill: Fill) -> Bar:
    whole = max(fill.volume_bytes, fill.fullest_node_bytes)
    held = f"fullest node at full retention: {show(fill.fullest_node_bytes, 'bytes')}\nall nodes: "
    part = Part(fill.fullest_node_bytes / whole, SYSTEM[system], held + show(fill.bytes, "bytes"))
    passed = dict(dates(fill))
    ticks = [(fill.volume_bytes / whole, f"the volume: {show(fill.volume_bytes, 'bytes')}")]
    for mark, limit in fill.marks_bytes.items():
        name = MARKS.get(mark, mark)
        when = f", reached on day {passed[name]:.1f}" if name in passed else ", not reached"
        ticks.append((limit / whole, f"{name}: {show(limit, 'bytes')}{when}"))
    when = ", ".join(f"{name} on day {day:.0f}" for name, day in passed.items()) or "no mark is reached"
    full = f"{fill.fullest_share:.0%} of {show(fill.volume_bytes, 'bytes')}"
    judged: Judged = "broken" if fill.fullest_share >= 1 else "unsure" if passed else ""
    return Bar(system, full, (part,), held + show(fill.bytes, "bytes"), when, tuple(ticks), judged)


def bill_table(made: MonthlyBill) -> tuple[list[str], list[list[Cell]]]:
    """The bill by system and kind: head and rows, the last row the sum."""
    bill = made.bill
    kinds = list(bill.by_kind)
    rows = []
    for system, total in bill.by_system.items():
        cells = [Cell(system)]
        for kind in kinds:
            own = [x for x in bill.lines if x.system == system and x.kind == kind]
            lines = [f"{x.name}: {x.quantity:,.0f} {x.price.unit} × {x.price.usd.normalize():f} = {x.monthly_usd:,.2f}"
                     f" ({x.price.grade}, {x.price.as_of})" for x in own]  # fmt: skip
            cells.append(Cell(f"{sum(x.monthly_usd for x in own):,.0f}" if own else "", "\n".join(lines)))
        rows.append([*cells, Cell(f"{total:,.0f}", f"all lines of {system}, quantity × unit price")])
    sums = [Cell(f"{usd:,.0f}", f"all lines of {kind}, of every system") for kind, usd in bill.by_kind.items()]
    spread = f"{made.range.p10_usd:,.0f} to {made.range.p90_usd:,.0f}"
    told = f"the sum of the lines; {spread} from P10 to P90\n{foot(made)}"
    rows.append([Cell("in all", beside=f"P10 to P90 {spread}"), *sums, Cell(f"{made.monthly_usd:,.0f}", told)])
    return ["USD a month", *kinds, "in all"], rows


def bill_beside(one: MonthlyBill, other: MonthlyBill) -> tuple[list[str], list[list[Cell]]]:
    """Two bills line by line, dearest change first; the last row is the sum."""
    sums = [{(x.system, x.name): x for x in made.bill.lines} for made in (one, other)]
    rows = []
    for system, name in dict.fromkeys([*sums[0], *sums[1]]):
        lines = [own.get((system, name)) for own in sums]
        usd = [float(x.monthly_usd) if x is not None else 0.0 for x in lines]
        cells = [
            Cell(f"{x.monthly_usd:,.2f}", f"{x.quantity:,.0f} {x.price.unit} × {x.price.usd.normalize():f}; {x.driver}")
            if x is not None else Cell("") for x in lines
        ]  # fmt: skip
        rows.append((abs(usd[1] - usd[0]), [Cell(system), Cell(name), *cells, Cell(_more(usd[1] - usd[0]))]))
    total = [float(made.monthly_usd) for made in (one, other)]
    ends = [Cell(f"{x:,.2f}", f"the sum of its {len(made.bill.lines)} lines\n{foot(made)}")
            for x, made in zip(total, (one, other), strict=True)]  # fmt: skip
    last = [Cell("in all"), Cell(""), *ends, Cell(_more(total[1] - total[0]), "B less A")]
    ordered = [row for _, row in sorted(rows, key=lambda pair: -pair[0])]
    return ["system", "line", "A", "B", "B − A"], [*ordered, last]


def _more(usd: float) -> str:
    return "" if abs(usd) < 0.005 else f"{'+' if usd > 0 else '−'}{abs(usd):,.2f}"


def bill_lines(made: MonthlyBill) -> tuple[list[str], list[list[Cell]]]:
    """Every line: quantity × unit price, what drives it, how sure its price is; missing prices last."""
    rows = [
        [Cell(x.system), Cell(x.name, f"{x.kind}, {x.scaling}; from {x.driver}"), Cell(f"{x.quantity:,.0f}"),
         Cell(x.price.unit), Cell(f"{x.price.usd.normalize():f}", f"{x.price.source}, {x.price.as_of}"),
         Cell(f"{x.monthly_usd:,.2f}"), Cell(x.price.grade, judged=_sure(x.price.grade))]
        for x in made.bill.lines
    ]  # fmt: skip
    rows += [
        [Cell(g.system), Cell(g.name, g.reason), Cell(f"{g.quantity:,.0f}"), Cell(""), Cell("no price", g.item),
         Cell("left out"), Cell("missing", judged="broken")]
        for g in made.bill.gaps
    ]  # fmt: skip
    return ["system", "line", "quantity", "unit", "USD a unit", "USD a month", "price"], rows


def _sure(grade: str) -> str:
    return "" if grade in ("published", "given", "measured") else "unsure"


def answer_rows(out: Forecast) -> tuple[list[str], list[list[Cell]]]:
    """Every answer with both intervals, as the report has it."""
    several = len(out.flows) > 1
    rows = [
        [Cell(_spoken(name, flow if several else "")), Cell(shown(a), source_of(a, name)),
         Cell(shown_interval(a, "sampling")), Cell(shown_interval(a, "forecast")),
         Cell(a.domain, judged={"measured": "holds", "extrapolated": "unsure"}.get(a.domain, "broken"))]
        for flow, name, a in answers(out)
    ]  # fmt: skip
    return ["answer", "value", "one run (90 %)", "real stack (90 %)", "rests on"], rows


def _spoken(name: str, flow: str) -> str:
    """An answer's name in words.

    >>> _spoken("latency.end_to_end.p99_seconds", ""), _spoken("latency.by_hop.trigger_wait_seconds", "b")
    ('latency p99', 'b: mean trigger wait')
    """
    words = name.replace("latency.end_to_end.", "latency ").replace("latency.by_hop.", "mean ")
    words = words.replace("p999", "p99.9").replace("_events_per_second", "").replace(".", " ", name.count("lag."))
    words = words.removesuffix("_seconds").removesuffix(".seconds").replace("_", " ").replace("throughput.", "")
    return f"{flow}: {words}" if flow and not name.startswith("throughput") else words


def ledger_rows(out: Forecast) -> Iterator[tuple[str, list[list[Cell]]]]:
    """The coefficients that were read, a table a grade, most certain first: name, value, interval, source."""
    for grade, rows in out.provenance["ledger"].items():
        if rows:
            yield grade, [
                [Cell(r["name"], r["measured_on"]), Cell(f"{r['value']:.4g} {r['unit']}", r["source"]),
                 Cell(f"{r['low']:.3g} to {r['high']:.3g}"), Cell(r["source"]), Cell(r["as_of"])]
                for r in rows
            ]  # fmt: skip


def range_rows(out: Forecast) -> list[list[Cell]]:
    """Each quantity of the scenario against the range that its coefficients were measured in."""
    return [
        [Cell(r["quantity"]), Cell(_range(r["scenario"])), Cell(_range(r["measured"]) if r["measured"] else "never"),
         Cell(r["domain"], judged={"measured": "holds", "extrapolated": "unsure"}.get(r["domain"], "broken"))]
        for r in out.provenance["ranges"]
    ]  # fmt: skip


def rests_on(out: Forecast) -> str:
    """Which coefficients, engine, seed and runs a forecast is made of, in one line."""
    c = out.provenance["coefficients"]
    return (
        f"Coefficient set {c['set']} of {c['as_of']}, CPU seconds of {c['machine']}; engine {out.digests['engine']}, "
        f"seed {out.seed}, {len(out.traces)} runs, {out.draws} draws of the coefficients."
    )


def _range(ends: list[float]) -> str:
    return f"{ends[0]:.4g} to {ends[1]:.4g}" if ends[0] != ends[1] else f"{ends[0]:.4g}"
