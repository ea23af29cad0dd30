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
from models.stack import Flow, Scenario
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


def domain_of(scenario: Scenario, coefficients: CoefficientSet) -> Domain:
    """Domain of the answers in time (latency, lag, throughput): the worst of its ranges and of what drives it.

    A range that the set never measured counts only if it measured none of the kind at all: a set without
    [domain] is *never measured*, one that lacks, say, state partitions is *extrapolated* for a query with state.
    """
    if not coefficients.domain:
        return "never measured"
    rows = [row["domain"] for row in measured_ranges(scenario, coefficients)]
    found: list[Domain] = ["measured" if row == "measured" else "extrapolated" for row in rows]
    for flow in scenario.flows:
        for name in drivers(flow):
            if coefficients.values[name].grade not in SURE:
                found.append("never measured" if name.startswith("sink.") else "extrapolated")
    return max(found, key=WORST.index)


def drivers(flow: Flow) -> list[str]:
    """The coefficients that a batch's time is mostly made of."""
    store = flow.query.checkpoint.replace("-", "")
    names = [f"spark.{store}_commit_seconds", "spark.batch_cpu_seconds", "spark.record_cpu_seconds"]
    names += ["spark.state_task_cpu_seconds"] if flow.query.state else []
    if flow.query.sink.kind == "noop":
        return names
    kind = "python" if flow.query.sink.kind == "python-foreach" else "jvm"
    names += [f"sink.{kind}_record_cpu_seconds", f"sink.{kind}_bulk_cpu_seconds"]
    return [*names, "search.document_cpu_seconds", "search.bulk_cpu_seconds", "search.refresh_cpu_seconds"]


def ledger(coefficients: CoefficientSet, read: set[str]) -> dict[str, list[dict[str, Any]]]:
    """The coefficients that were read, by grade, most certain first."""
    return {grade: list(_rows(coefficients, read, grade)) for grade in GRADES}


def _rows(coefficients: CoefficientSet, read: set[str], grade: str) -> Iterator[dict[str, Any]]:
    for name in sorted(read):
        c = coefficients.values[name]
        if c.grade == grade:
            told = {"name": name, "value": c.value, "low": c.low, "high": c.high, "unit": c.unit}
            yield told | {"source": c.source, "measured_on": c.measured_on, "as_of": c.as_of}
