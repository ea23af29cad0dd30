"""The verdict: answers held against the targets, and what the runs themselves warn of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from models.stack import Judged
from models.units import DAY, show
from planner.answers import Answer, FlowForecast, Promise
from planner.checks import not_survived
from planner.findings import Finding
from planner.headroom import headrooms

if TYPE_CHECKING:
    from planner.forecast import Forecast

JUDGED: tuple[Literal["p50", "p99"], ...] = ("p50", "p99")
LATE = 0.85  # batch time over trigger from which a late batch is a matter of noise


def promises(out: Forecast) -> list[Promise]:
    """Each target that the scenario states, judged on its worst flow."""
    targets = out.scenario.targets
    found = []
    for name in JUDGED:
        promised = getattr(targets, name)
        if promised is not None:
            found.append(_latency(out, name, promised))
    if targets.catch_up is not None:
        after = f"after an outage of {show(targets.outage, 's')} at the peak rate"
        answer = max((flow.lag.catch_up for flow in out.flows.values()), key=_value)
        found.append(_at_most("catch_up", targets.catch_up, answer, after, answer.note))
    if targets.throughput_headroom is not None:
        headroom, load = out.throughput.headroom, out.throughput.bottleneck
        found.append(
            Promise(
                "throughput_headroom",
                targets.throughput_headroom,
                headroom,
                "1",
                headroom >= targets.throughput_headroom,
                abs(math.log(max(headroom, 1e-9) / targets.throughput_headroom)) > 0.25,
                "constant rate",
                f"{load.name} is at {load.utilisation:.0%} at the sustainable rate",
            )
        )
    found += headrooms(out)
    if targets.horizon is not None:
        found.append(_disks(out, targets.horizon))
    if targets.monthly_budget_usd is not None:
        found.append(_budget_of_money(out, targets.monthly_budget_usd))
    for loss in targets.survive:
        reasons = [reason for flow in out.scenario.flows if (reason := not_survived(out.scenario, flow, loss))]
        told = reasons[0] if reasons else "writes go on, and every record has a copy left"
        found.append(
            Promise(f"survive {loss}", "yes", "no" if reasons else "yes", "", not reasons, True, "static", told)
        )
    return found


def _latency(out: Forecast, name: Literal["p50", "p99"], promised: float) -> Promise:
    """A quantile of the worst flow, over the window that the target names or the run's."""
    own = out.judged.get(name)
    answers = own or {flow.name: flow.latency.end_to_end[name] for flow in out.flows.values()}
    worst = max(answers, key=lambda flow: _value(answers[flow]))
    over = out.scenario.targets.judged.get(name, Judged())
    window = (over.window if own else None) or out.scenario.run.measure
    hit = bool(out.scenario.faults) and over.faults
    told = f"{show(window, 's')} {'with its faults' if hit else 'without faults'}"
    return _at_most(name, promised, answers[worst], told, _budget(out.flows[worst]))


def _disks(out: Forecast, horizon: float) -> Promise:
    """Held if no disk stops writes before the horizon ends."""
    ends = {
        f"{part}: {mark} on day {day:.0f}": day * DAY
        for part, fill in out.storage.items()
        for mark, day in fill.days_to.items()
        if day is not None and mark in ("full", "flood", "write_block")
    }
    first = min(ends, key=lambda end: ends[end], default="no disk stops writes within three years")
    last = ends.get(first, math.inf)
    return Promise(
        "horizon", horizon, last, "s", last >= horizon, abs(math.log(last / horizon)) > 0.25, "growth included", first
    )


def _budget_of_money(out: Forecast, budget: float) -> Promise:
    """Held if the bill's P90 is within the budget; sure if P10 lies on the same side, and no price is missing."""
    from planner.money_tell import dominating

    low, high, whole = out.bill.range.p10_usd, out.bill.range.p90_usd, out.bill.bill.complete
    holds = high <= budget
    return Promise(
        "monthly_budget_usd", f"{budget:,.0f} USD", f"{high:,.0f} USD at P90", "USD", holds,
        whole if holds else low > budget, out.bill.bill.month.label, f"most of it: {dominating(out.bill)}",
    )  # fmt: skip


def _value(answer: Answer) -> float:
    return -math.inf if math.isnan(answer.value) else answer.value


def _at_most(name: str, promised: float, answer: Answer, window: str, reason: str) -> Promise:
    """Held if the value is below; sure if the whole forecast interval is on the same side, and is no lower bound."""
    holds = answer.value <= promised
    ends = answer.forecast
    sure = ends is not None and (ends.high <= promised and not answer.lower_bound if holds else ends.low > promised)
    if math.isnan(answer.value):
        reason = "not judged: nothing reaches an index"
    return Promise(name, promised, answer.value, "s", holds, sure, window, reason)


def _budget(flow: FlowForecast) -> str:
    hops = {name: answer.value for name, answer in flow.latency.by_hop.items()}
    if not hops:
        return ""
    worst = max(hops, key=lambda name: hops[name])
    return f"{worst.replace('_', ' ')} takes {show(hops[worst], 's')} of {show(sum(hops.values()), 's')} on the mean"


def run_findings(out: Forecast) -> list[Finding]:
    """What the simulated runs show, with their numbers as evidence."""
    found = []
    for k, flow in enumerate(out.flows.values()):
        found += _of_flow(out, f"flows[{k}]", flow)
    for load in out.loads:
        if load.kind in ("host", "network", "volume") and load.utilisation > 0.8:
            found.append(
                Finding(
                    "busy",
                    "critical" if load.utilisation > 0.98 else "warning",
                    load.name,
                    f"{load.name} is nearly full",
                    load.evidence,
                    "more or faster nodes, or less work for each event",
                    "simulated",
                )
            )
    sustained = out.throughput
    peak, carried = (show(x, "1/s") for x in (sustained.peak_events_per_second, sustained.sustainable.value))
    if sustained.headroom < 1:
        found.append(
            Finding(
                "unsustainable",
                "critical",
                "flows",
                "more arrives than is read: the lag grows until retention ends it",
                f"{peak} at the peak, {carried} is sustainable ({sustained.evidence})",
                f"more of what binds: {sustained.bottleneck.name}",
                "simulated",
            )
        )
    return found + _tails(out)


def _tails(out: Forecast) -> list[Finding]:
    """Whether p99 and p99.9 leave out pauses that nobody measured."""
    told = out.latency.end_to_end["p99"]
    if not told.lower_bound or math.isnan(told.value):
        return []
    return [
        Finding(
            "tail-lower-bound",
            "info",
            "coefficients",
            "p99 and p99.9 are lower bounds",
            told.note.removeprefix("a lower bound: "),
            "floodmark calibrate, from metrics of the stack or of one like it",
            "docs/model.md: what each answer means",
        )
    ]


def _of_flow(out: Forecast, where: str, flow: FlowForecast) -> list[Finding]:
    found = []
    if flow.outcome != "running":
        found.append(
            Finding(
                "query-failed",
                "critical",
                f"{where}.query",
                "the query died",
                flow.outcome,
                "a longer retry policy, smaller bulks, or more data nodes",
                "spark.md A6, A8",
            )
        )
    occupancy = flow.batches.occupancy
    if occupancy is not None and occupancy > LATE:
        trigger = next(f.query.trigger for f in out.scenario.flows if f.name == flow.name)
        found.append(
            Finding(
                "batch-over-trigger",
                "warning",
                f"{where}.query.trigger",
                "batches outlast their trigger" if occupancy > 1 else "batches nearly outlast their trigger",
                f"{show(flow.batches.seconds.value, 's')} a batch of {show(flow.batches.records, 'count')} records, "
                f"trigger {show(trigger, 's')}",
                "less fixed work in a batch (shuffle partitions, checkpoint), more slots, or a longer trigger",
                "spark.md A3: a late batch starts the next at once",
            )
        )
    if flow.counts["rejected_items"] > 0:
        found.append(
            Finding(
                "bulk-rejected",
                "warning",
                f"{where}.query.sink",
                "the index refuses part of the bulks (429)",
                f"{show(flow.counts['rejected_items'], 'count')} items sent again, after the retry's wait each",
                "fewer or smaller bulks in flight, or more heap",
                "spark.md A6, elasticsearch.md B1",
            )
        )
    if flow.counts["lost"] > 0:
        found.append(
            Finding(
                "data-lost",
                "critical",
                where,
                "records are lost",
                f"{show(flow.counts['lost'], 'count')} records",
                "see the query's outcome",
                "simulated",
            )
        )
    return found
