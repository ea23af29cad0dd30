"""Months: the bill as the stack fills and grows, from an empty start to a horizon.

Load grows by the workload's own rate, stored bytes fill up to retention, commitments run out, and a disk that would
pass its mark is enlarged in the month before (EBS, MSK and OpenSearch all grow volumes in place). A *step* is such a
change. Left out: machines that would have to grow with the load (the forecast at the later rate says whether they do),
and the largest volume that a machine takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.coefficients import CoefficientSet
from models.elasticsearch import watermark_bytes
from models.stack import Flow, Scenario
from models.units import GIB, MONTH, show
from planner.bill import PRICE_DRAWS, _loads, book_of, offers, priced, runs, terms_of
from planner.refusal import ScenarioError
from planner.storage import _topic_bytes as topic_node_bytes
from planner.storage import document_bytes, index_shares, seconds_of_rate
from planner.usage import Pace, flowing, used
from pricing.bill import Bill
from pricing.spread import Range, joint_range

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

    def as_dict(self) -> dict[str, Any]:
        bill = self.bill
        scaling = sum(float(x.monthly_usd) for x in bill.lines if x.scaling == "scaling")
        return {
            "month": self.number + 1, "label": bill.month.label, "events": self.events,
            "monthly_usd": float(bill.monthly_usd), "aws_usd": float(bill.aws_usd), "other_usd": float(bill.other_usd),
            "scaling_usd": round(scaling, 2), "p10": self.range.p10_usd, "p50": self.range.p50_usd,
            "p90": self.range.p90_usd, "full": dict(self.full), "steps": list(self.steps), "complete": bill.complete,
        }  # fmt: skip


def months(
    scenario: Scenario, coefficients: CoefficientSet, pace: Mapping[str, Pace], horizon: int, seed: int = 1
) -> list[MonthOfBill]:
    """The bills of the months to a horizon. Raises ScenarioError for one beyond five years."""
    if not 1 <= horizon <= MOST_MONTHS:
        raise ScenarioError(f"--months {horizon}; expected 1 to {MOST_MONTHS}")
    book, out = book_of(scenario.money), []
    for number in range(horizon):
        scenario, steps = _enlarged(scenario, coefficients, number)
        steps += _ended(scenario, number)
        terms, flows = terms_of(scenario.money, book, number + 1), flowing(scenario, number)
        month = used(scenario, coefficients, pace, number=number, flows=flows)
        drawn = [
            priced(used(scenario, coefficients, pace, number=number, load=load, flows=flows), book, terms)
            for load in _loads(scenario.money.load_spread, seed)
        ]
        spread = joint_range(drawn, book, seed, PRICE_DRAWS)
        full = {name: fill / volume for name, (fill, volume, _) in _disks(scenario, coefficients, number).items()}
        out.append(MonthOfBill(number, priced(month, book, terms), spread, month.events, full, tuple(steps)))
    return out


def _disks(scenario: Scenario, coefficients: CoefficientSet, number: int) -> dict[str, tuple[float, float, float]]:
    """Of each system: bytes of its fullest node at the month's end, its volume, and the mark not to pass."""
    end = (number + 1) * MONTH
    kafka, search = scenario.kafka, scenario.elasticsearch
    topics = [topic_node_bytes(scenario, f, end) for f in scenario.flows]
    indices = [_index_node_bytes(scenario, f, coefficients, end) for f in scenario.flows]
    marks = watermark_bytes(search.volume.size, search.kind, search.version)
    return {
        "kafka": (_fullest(topics), kafka.volume.size, KAFKA_ALARM * kafka.volume.size),
        "elasticsearch": (_fullest(indices), search.volume.size, min(marks["low"], marks["write_block"])),
    }


def _fullest(parts: Sequence[Sequence[float]]) -> float:
    return float(max(sum(node) for node in zip(*parts, strict=True)))


def _index_node_bytes(scenario: Scenario, flow: Flow, coefficients: CoefficientSet, end: float) -> list[float]:
    rate = flow.workload.events_per_second * flow.workload.documents_per_event
    kept = seconds_of_rate(flow, end, flow.index.retention)
    return [share * rate * kept * document_bytes(flow, coefficients) for share in index_shares(scenario, flow)]


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


def _ended(scenario: Scenario, number: int) -> list[str]:
    """Commitments whose term ended with the month before."""
    sold = offers(scenario.money, book_of(scenario.money))
    ended = [s for s, o in sold if number and runs(s, o, number) and not runs(s, o, number + 1)]
    return [f"{said.kind} of {said.machine} has run out" for said in ended]


def table(made: Sequence[MonthOfBill]) -> Any:
    """The months on a terminal."""
    from rich.table import Table

    out = Table("month", "events", "USD", "P10 to P90", "Kafka disk", "index disk", "what changed", box=None,
                pad_edge=False, show_edge=False, header_style="dim")  # fmt: skip
    for m in made:
        told = f"{m.range.p10_usd:,.0f} to {m.range.p90_usd:,.0f}"
        full = (f"{m.full['kafka']:.0%}", f"{m.full['elasticsearch']:.0%}")
        label = m.bill.month.label if m.bill.month.label[:4].isdigit() else str(m.number + 1)
        out.add_row(label, show(m.events, "count"), f"{m.bill.monthly_usd:,.0f}", told, *full, "; ".join(m.steps))
    return out
