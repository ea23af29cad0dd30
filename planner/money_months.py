"""Months: the bill as the stack fills and grows, from an empty start to a horizon.

Load grows by the workload's own rate, stored bytes fill up to retention, commitments run out, a disk that would pass
its mark is enlarged in the month before (EBS, MSK and OpenSearch all grow volumes in place), and the changes planned in
`money.changes` are made. A *step* is such a change. Machines do not grow by themselves: a month whose peak is more than
the stack sustains says so, with what is full, and `money.changes` is where more of them are bought.
A volume grows past what its machine takes only on paper: the month says that more or larger nodes are needed then.
The pace of batches is that of the first month's runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from models.coefficients import CoefficientSet
from models.elasticsearch import watermark_bytes
from models.stack import Flow, Scenario
from models.units import GIB, MONTH, show
from planner.bill import PRICE_DRAWS, book_of, drawn_stacks, offers, priced, runs, terms_of
from planner.candidates_limits import EBS_MOST, largest_volume
from planner.money_changes import Headroom, changed, due, headroom, told
from planner.refusal import ScenarioError
from planner.storage import index_shares, kept_index, topic_node_bytes
from planner.usage import Pace, flowing, used
from pricing.bill import Bill
from pricing.shared import Terms
from pricing.spread import Range, ranged, totals

MOST_MONTHS = 60
LOOK_AHEAD = 1.25  # an enlarged disk holds a quarter more than its mark needs, so that it is not enlarged every month
STEP_GIB = 64.0
KAFKA_ALARM = 0.85  # share of a broker's disk, kafka.md B6


@dataclass(frozen=True)
class MonthOfBill:
    """One month: its bill and range, events, how full the fullest disks end it, and what changed in it."""

    number: int
    bill: Bill
    range: Range
    events: float
    full: Mapping[str, float]
    steps: tuple[str, ...]
    headroom: Headroom | None = None
    scenario: Scenario | None = None
    listed: Bill | None = None  # without commitments: what there would be to commit to
    too_large: tuple[str, ...] = ()
    totals: Any = field(default=None, repr=False, compare=False)  # one a draw [USD]; draw i is the same in each month

    @property
    def needed(self) -> str:
        """What the month asks for that the stack has not: machines for its peak, nodes for its disks; '' if nothing."""
        room = self.headroom
        told = (
            [f"its peak is {room.share:.0%} of what the stack sustains ({room.binding})"]
            if room and room.needed
            else []
        )
        return f"a step of machines is needed: {'; '.join([*told, *self.too_large])}" if told or self.too_large else ""

    @property
    def warning(self) -> str:
        """What is needed, or that the peak is near what the stack sustains."""
        room = self.headroom
        if self.needed or room is None or not room.close:
            return self.needed
        return f"simulate this month: its peak is {room.share:.0%} of what the stack sustains ({room.binding})"

    def as_dict(self) -> dict[str, Any]:
        bill = self.bill
        scaling = sum(float(x.monthly_usd) for x in bill.lines if x.scaling == "scaling")
        return {
            "month": self.number + 1, "label": bill.month.label, "events": self.events,
            "monthly_usd": float(bill.monthly_usd), "aws_usd": float(bill.aws_usd), "other_usd": float(bill.other_usd),
            "scaling_usd": round(scaling, 2), "p10": self.range.p10_usd, "p50": self.range.p50_usd,
            "p90": self.range.p90_usd, "full": dict(self.full), "steps": list(self.steps), "complete": bill.complete,
            "peak_over_sustained": None if self.headroom is None else self.headroom.share,
            "binding": None if self.headroom is None else self.headroom.binding, "warning": self.warning,
        }  # fmt: skip


def months(
    scenario: Scenario, coefficients: CoefficientSet, pace: Mapping[str, Pace], horizon: int, seed: int = 1
) -> list[MonthOfBill]:
    """The bills of the months to a horizon. Raises ScenarioError for one beyond five years."""
    if not 1 <= horizon <= MOST_MONTHS:
        raise ScenarioError(f"--months {horizon}; expected 1 to {MOST_MONTHS}")
    book, out = book_of(scenario.money), []
    for number in range(horizon):
        made = due(scenario, number + 1)
        scenario, planned = changed(scenario, made), [told(change) for change in made]
        scenario, steps = _enlarged(scenario, coefficients, number)
        steps = planned + steps
        steps += _ended(scenario, number)
        terms, flows = terms_of(scenario.money, book, number + 1), flowing(scenario, number)
        month = used(scenario, coefficients, pace, number=number, flows=flows)
        drawn = [
            priced(used(one, coefficients, pace, number=number, load=load, flows=flows), book, terms)
            for load, one in drawn_stacks(scenario, seed)
        ]
        totalled = totals(drawn, book, seed, PRICE_DRAWS)
        full = {name: fill / volume for name, (fill, volume, _) in _disks(scenario, coefficients, number).items()}
        room = headroom(scenario, coefficients, number)
        bill = priced(month, book, terms)
        listed = priced(month, book, Terms(terms.discounts)) if terms.commitments else bill
        large = _too_large(scenario)
        out.append(MonthOfBill(number, bill, ranged(totalled), month.events, full, tuple(steps), room, scenario, listed,
                               large, totalled))  # fmt: skip
    return out


def _disks(scenario: Scenario, coefficients: CoefficientSet, number: int) -> dict[str, tuple[float, float, float]]:
    """Of each system: bytes of its fullest node at the month's end, its volume, and the mark not to pass."""
    end = (number + 1) * MONTH
    kafka, search = scenario.kafka, scenario.elasticsearch
    topics = [topic_node_bytes(scenario, f, end) for f in scenario.flows]
    indices = [_index_node_bytes(scenario, f, coefficients, end) for f in scenario.flows]
    marks = watermark_bytes(search.volume.size, search.kind, search.version, search.free_space_rule)
    return {
        "kafka": (_fullest(topics), kafka.volume.size, KAFKA_ALARM * kafka.volume.size),
        "elasticsearch": (_fullest(indices), search.volume.size, min(marks["low"], marks["write_block"])),
    }


def _fullest(parts: Sequence[Sequence[float]]) -> float:
    return float(max(sum(node) for node in zip(*parts, strict=True)))


def _index_node_bytes(scenario: Scenario, flow: Flow, coefficients: CoefficientSet, end: float) -> list[float]:
    kept = kept_index(flow, coefficients, end)
    return [share * kept for share in index_shares(scenario, flow)]


def _enlarged(scenario: Scenario, coefficients: CoefficientSet, number: int) -> tuple[Scenario, list[str]]:
    steps = []
    for name, (fullest, volume, mark) in _disks(scenario, coefficients, number).items():
        if fullest <= mark:
            continue
        size = math.ceil(fullest * volume / mark * LOOK_AHEAD / GIB / STEP_GIB) * STEP_GIB * GIB
        part = getattr(scenario, name)
        disk = part.volume.model_copy(update={"size": size})
        scenario = scenario.model_copy(update={name: part.model_copy(update={"volume": disk})})
        steps.append(f"{name} disks enlarged from {show(volume, 'bytes')} to {show(size, 'bytes')}")
    return scenario, steps


def _too_large(scenario: Scenario) -> tuple[str, ...]:
    """Volumes that no machine of their type takes, in words."""
    kafka, search = scenario.kafka, scenario.elasticsearch
    most, source = largest_volume(search.kind, search.machine)
    parts = (
        ("broker", kafka.volume.size, EBS_MOST, "MSK and EBS", kafka.machine, bool(kafka.hosts)),
        ("data node", search.volume.size, most, source, search.machine, bool(search.hosts)),
    )
    return tuple(
        f"{show(size, 'bytes')} a {what}, {machine} takes {show(limit, 'bytes')} at most ({said})"
        for what, size, limit, said, machine, shared in parts
        if size > limit and not shared
    )


def _ended(scenario: Scenario, number: int) -> list[str]:
    """Commitments whose term ended with the month before."""
    sold = offers(scenario.money, book_of(scenario.money))
    ended = [s for s, o in sold if number and runs(s, o, number) and not runs(s, o, number + 1)]
    return [f"{said.kind} of {said.machine} has run out" for said in ended]


def remarks(made: Sequence[MonthOfBill]) -> list[str]:
    """Of each month, what changes in it and what it asks for; what the one before asked for is not repeated."""
    said, before = [], ""
    for month in made:
        kind = month.warning.partition(":")[0]
        said.append("; ".join([*month.steps, *([month.warning] if kind and kind != before else [])]))
        before = kind
    return said


def table(made: Sequence[MonthOfBill]) -> Any:
    """The months on a terminal."""
    from rich.table import Table

    out = Table("month", "events", "USD", "P10 to P90", "Kafka disk", "index disk", "peak", "what changed", box=None,
                pad_edge=False, show_edge=False, header_style="dim")  # fmt: skip
    for m, said in zip(made, remarks(made), strict=True):
        between = f"{m.range.p10_usd:,.0f} to {m.range.p90_usd:,.0f}"
        full = (f"{m.full['kafka']:.0%}", f"{m.full['elasticsearch']:.0%}")
        label = m.bill.month.label if m.bill.month.label[:4].isdigit() else str(m.number + 1)
        peak = "" if m.headroom is None else f"{m.headroom.share:.0%}"
        out.add_row(label, show(m.events, "count"), f"{m.bill.monthly_usd:,.0f}", between, *full, peak, said)
    return out


HEAD = (
    "month",
    "label",
    "events",
    "monthly_usd",
    "p10",
    "p50",
    "p90",
    "kafka_full",
    "index_full",
    "peak",
    "what changed",
)


def rows(made: Sequence[MonthOfBill]) -> list[list[str]]:
    """The months as a flat table, under HEAD."""
    return [
        [str(m.number + 1), m.bill.month.label, f"{m.events:.0f}", f"{m.bill.monthly_usd:f}", f"{m.range.p10_usd:.2f}",
         f"{m.range.p50_usd:.2f}", f"{m.range.p90_usd:.2f}", f"{m.full['kafka']:.4f}", f"{m.full['elasticsearch']:.4f}",
         "" if m.headroom is None else f"{m.headroom.share:.4f}", said]
        for m, said in zip(made, remarks(made), strict=True)
    ]  # fmt: skip


def as_markdown(made: Sequence[MonthOfBill]) -> str:
    """The months as a table for a wiki."""
    lines = ["| month | events | USD | P10 to P90 | what changed |", "|---|--:|--:|--:|---|"]
    for m, said in zip(made, remarks(made), strict=True):
        told = (
            show(m.events, "count"),
            f"{m.bill.monthly_usd:,.2f}",
            f"{m.range.p10_usd:,.0f} to {m.range.p90_usd:,.0f}",
        )
        lines.append(f"| {m.number + 1} | {' | '.join(told)} | {said.replace('|', '/')} |")
    return "\n".join(lines) + "\n"
