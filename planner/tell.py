"""Telling a forecast: as plain data (JSON), as a table of its answers (CSV), as Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from models.units import show
from planner.answers import Answer, finite
from planner.export_cells import inert
from planner.fault_tell import fault_markdown
from planner.money_tell import as_markdown as bill_markdown
from planner.money_tell import dominating, headline
from planner.render import findings_markdown
from planner.scenario import resolved
from planner.storage import Fill
from planner.traffic import cross_zone_bytes_per_second

if TYPE_CHECKING:
    from planner.forecast import Forecast


def as_dict(out: Forecast) -> dict[str, Any]:
    """Plain data; numbers without end are null."""
    from planner.forecast import SCHEMA_VERSION, coefficients_of
    from planner.memory import hosts
    from planner.storage_parts import stored

    return {
        "schema_version": SCHEMA_VERSION,
        "scenario": resolved(out.scenario),
        "digests": out.digests,
        "run": {
            "seed": out.seed,
            "level": out.level,
            "repeats": out.scenario.run.repeats,
            "draws": out.draws,
            "measured_seconds": out.scenario.run.measure,
        },
        "verdict": {"holds": out.holds, "targets": [target.as_dict() for target in out.targets]},
        "latency": {"flow": out.worst.name} | out.latency.as_dict(),
        "throughput": out.throughput.as_dict(),
        "lag": {"flow": out.worst.name} | out.lag.as_dict(),
        "memory": [entry.as_dict() for entry in out.memory],
        "storage": {system: _fill(system, fill) for system, fill in out.storage.items()},
        "stored": [part.as_dict() for part in stored(out.scenario, coefficients_of(out.scenario))],
        "hosts_memory": [host.as_dict() for host in hosts(out.scenario, out.memory)],
        "bill": out.bill.as_dict(),
        "traffic": {"cross_zone_bytes_per_second": cross_zone_bytes_per_second(out.scenario)},
        "data_loss": {"records": out.lost_records},
        "duplicates": {"documents": out.duplicated_documents},
        "faults": None if out.faults is None else out.faults.as_dict(),
        "flows": {name: flow.as_dict() for name, flow in out.flows.items()},
        "loads": [load.as_dict() for load in out.loads],
        "warnings": [finding.as_dict() for finding in out.warnings],
        "provenance": out.provenance,
    }


def _fill(system: str, fill: Fill) -> dict[str, Any]:
    name = {"kafka": "log_bytes", "elasticsearch": "index_bytes"}[system]
    return {
        name: fill.bytes,
        "fullest_node_bytes": fill.fullest_node_bytes,
        "volume_bytes": fill.volume_bytes,
        "fullest_share": fill.fullest_share,
        "marks_bytes": fill.marks_bytes,
        "days_to": fill.days_to,
        "days_to_after_loss": fill.days_to_after_loss,
        "transient_bytes": fill.transient_bytes,
        "moved_shards": fill.moved_shards,
        "recovery_seconds": fill.recovery_seconds,
        "curve": {"days": [day for day, _ in fill.curve], "fullest_node_bytes": [size for _, size in fill.curve]},
    }


def as_json(out: Forecast) -> str:
    return json.dumps(as_dict(out), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def answers(out: Forecast) -> Iterator[tuple[str, str, Answer]]:
    """Every answer with intervals: flow, name, answer."""
    for flow in out.flows.values():
        for name, answer in flow.latency.end_to_end.items():
            yield flow.name, f"latency.end_to_end.{name}_seconds", answer
        for name, answer in flow.latency.by_hop.items():
            yield flow.name, f"latency.by_hop.{name}_seconds", answer
        yield flow.name, "lag.max_records", flow.lag.max_records
        yield flow.name, "lag.max_seconds", flow.lag.max_seconds
        yield flow.name, "lag.catch_up_seconds", flow.lag.catch_up
        yield flow.name, "batches.seconds", flow.batches.seconds
    yield "", "throughput.sustainable_events_per_second", out.throughput.sustainable


def as_csv(out: Forecast) -> str:
    """One row an answer."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            *("flow", "answer", "value", "unit", "sampling_low", "sampling_high", "forecast_low", "forecast_high"),
            *("domain", "lower_bound"),
        ]
    )
    for flow, name, answer in answers(out):
        ends: list[float | None] = []
        for interval in (answer.sampling, answer.forecast):
            ends += [None, None] if interval is None else [finite(interval.low), finite(interval.high)]
        told = [inert(flow), name, finite(answer.value), answer.unit, *ends, answer.domain]
        writer.writerow([*told, "yes" if answer.lower_bound else "no"])
    return text.getvalue()


def shown(answer: Answer) -> str:
    """A value as a person reads it; '≥' where it is a lower bound."""
    if math.isnan(answer.value):
        return "not known"
    if math.isinf(answer.value):
        return "without end"
    return ("≥ " if answer.lower_bound else "") + show(answer.value, answer.unit)


def shown_interval(answer: Answer, which: str) -> str:
    """'from to to' of one of the two intervals, '' where there is none."""
    interval = getattr(answer, which)
    if interval is None:
        return ""
    high = show(interval.high, answer.unit) if math.isfinite(interval.high) else "without end"
    return f"{show(interval.low, answer.unit)} to {high}"


def as_markdown(out: Forecast) -> str:
    """A page for a wiki: verdict, answers, findings."""
    lines = [f"# Forecast: {out.scenario.name}", "", out.scenario.description, ""]
    if out.targets:
        lines += ["| target | promised | forecast | holds | why |", "|---|---|---|---|---|"]
        for t in out.targets:
            promised, told = (show(x, t.unit) if isinstance(x, float) else x for x in (t.promised, t.forecast))
            holds = ("yes" if t.holds else "**no**") + ("" if t.sure else " (not sure)")
            lines.append(f"| {t.target} | {promised} | {told} | {holds} | {t.reason} |")
        lines.append("")
    lines += ["| flow | answer | value | one run (90 %) | real stack (90 %) | domain |", "|---|---|---|---|---|---|"]
    for flow, name, answer in answers(out):
        cells = (flow, name, shown(answer), shown_interval(answer, "sampling"), shown_interval(answer, "forecast"))
        lines.append("| " + " | ".join((*cells, answer.domain)) + " |")
    if out.faults is not None:
        lines += ["", *fault_markdown(out.faults)]
    bound = out.throughput.bottleneck
    lines += ["", f"Bottleneck at the sustainable rate: {bound.name}, {bound.evidence}.", ""]
    lines += ["## Bill", "", f"{headline(out.bill)}. Most of it: {dominating(out.bill)}.", "", bill_markdown(out.bill)]
    lines += [findings_markdown(out.warnings), _foot(out)]
    return "\n".join(lines)


def _foot(out: Forecast) -> str:
    return (
        f"Floodmark {out.digests['engine_version']}, engine {out.digests['engine']}, coefficients "
        f"{out.provenance['coefficients']['set']} ({out.digests['coefficients']}), seed {out.seed}.\n"
    )
