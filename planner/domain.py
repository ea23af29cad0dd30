"""Domain and ledger: what a forecast's numbers rest on.

The coefficient set says in which ranges it was measured. A scenario inside them is *measured*; outside
one is *extrapolated*; where the set was never measured at all for what the scenario uses, the answer is
*never measured*. The ledger lists the coefficients that the run really read, by grade.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from models.coefficients import GRADES, Coefficient, CoefficientSet
from models.stack import Scenario
from planner.answers import Domain

WORST: tuple[Domain, ...] = ("measured", "extrapolated", "never measured")
SURE = ("measured", "published", "vendor")


class _Read(dict[str, Coefficient]):
    """Coefficients that remember who was asked for."""

    def __init__(self, values: dict[str, Coefficient], read: set[str]) -> None:
        super().__init__(values)
        self.read = read

    def __getitem__(self, name: str) -> Coefficient:
        self.read.add(name)
        return super().__getitem__(name)


def watched(coefficients: CoefficientSet) -> tuple[CoefficientSet, set[str]]:
    """The same set, and the names that are read from it from now on."""
    read: set[str] = set()
    return replace(coefficients, values=_Read(coefficients.values, read)), read


def quantities(scenario: Scenario) -> dict[str, list[float]]:
    """What a scenario asks in the terms of a set's [domain], one value a flow (two: from least to most)."""
    out: dict[str, list[float]] = {}

    def say(name: str, *values: float) -> None:
        out.setdefault(name, []).extend(values)

    slots = scenario.spark.executors * scenario.spark.cores
    for flow in scenario.flows:
        load, query = flow.workload, flow.query
        rates = [rate for _, rate in load.steps if rate > 0] or [load.events_per_second]
        per_slot = [rate / slots for rate in rates]
        say("records_per_second", min(per_slot), max(per_slot))
        say("record_bytes", load.value_bytes)
        say("partitions", float(flow.topic.partitions))
        if query.trigger > 0:
            say("trigger_seconds", query.trigger)
            say("records_per_batch", min(rates) * query.trigger / slots, max(rates) * query.trigger / slots)
        if query.sink.kind != "noop":
            say("bulk_documents", min(query.sink.bulk_entries, query.sink.bulk_bytes / load.json_bytes))
        if query.state is not None:
            say("state_partitions", float(query.state.shuffle_partitions))
    say("spark_cores", float(scenario.spark.cores))
    return out


def measured_ranges(scenario: Scenario, coefficients: CoefficientSet) -> list[dict[str, Any]]:
    """Each quantity of the scenario against the range it was measured in."""
    rows = []
    for name, values in quantities(scenario).items():
        low, high = min(values), max(values)
        known = coefficients.domain.get(name)
        inside = known is not None and known[0] * 0.999 <= low and high <= known[1] * 1.001
        domain: Domain = "never measured" if known is None else "measured" if inside else "extrapolated"
        rows.append({"quantity": name, "scenario": [low, high], "measured": known and list(known), "domain": domain})
    return rows


def domain_of(scenario: Scenario, coefficients: CoefficientSet, read: set[str], groups: tuple[str, ...]) -> Domain:
    """Domain of the answers that rest on these groups of coefficients (`spark.`, `index.`)."""
    found: list[Domain] = [row["domain"] for row in measured_ranges(scenario, coefficients)] if _timed(groups) else []
    for name in sorted(read):
        if name.startswith(groups) and coefficients.values[name].grade not in SURE and "_sigma" not in name:
            found.append("extrapolated")
    found += [_sinks(scenario, coefficients)] if _timed(groups) else []
    if not coefficients.domain and _timed(groups):
        return "never measured"
    return max(found, key=WORST.index, default="measured")


def _timed(groups: tuple[str, ...]) -> bool:
    return "spark." in groups


def _sinks(scenario: Scenario, coefficients: CoefficientSet) -> Domain:
    """A sink whose own CPU nobody measured is a system never measured, whatever else is known."""
    for flow in scenario.flows:
        kind = {"python-foreach": "python", "noop": ""}.get(flow.query.sink.kind, "jvm")
        if kind and coefficients.values[f"sink.{kind}_record_cpu_seconds"].grade not in SURE:
            return "never measured"
    return "measured"


def ledger(coefficients: CoefficientSet, read: set[str]) -> dict[str, list[dict[str, Any]]]:
    """The coefficients that were read, by grade, most certain first."""
    return {grade: list(_rows(coefficients, read, grade)) for grade in GRADES}


def _rows(coefficients: CoefficientSet, read: set[str], grade: str) -> Iterator[dict[str, Any]]:
    for name in sorted(read):
        c = coefficients.values[name]
        if c.grade == grade:
            told = {"name": name, "value": c.value, "low": c.low, "high": c.high, "unit": c.unit}
            yield told | {"source": c.source, "measured_on": c.measured_on, "as_of": c.as_of}
