"""A recommendation told: on a terminal, as Markdown, HTML or JSON. What it rests on comes first, then what to buy."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from models.units import show
from planner.recommend_page import Page
from planner.recommend_stack import Stack
from planner.scenario import resolved, to_yaml

if TYPE_CHECKING:
    from planner.recommend import Recommendation

MOST_FAMILIES = 8  # of each system, the nearest first


def as_dict(out: Recommendation) -> dict[str, Any]:
    """All of it as plain data."""
    bill = out.bill
    return {
        "schema_version": 1, "scenario": out.given.name, "seed": out.seed, "region": out.region, "holds": out.holds,
        "unmeasured": out.unmeasured,
        "best": out.best and out.best.as_dict(), "outcome": out.outcome and out.outcome.as_dict(),
        "monthly_usd": None if bill is None else float(bill.monthly_usd),
        "range_usd": None if bill is None else [bill.range.p10_usd, bill.range.p50_usd, bill.range.p90_usd],
        "worst_month_p90_usd": out.worst_p90_usd if math.isfinite(out.worst_p90_usd) else None,
        "budget_usd": out.wants.budget, "within_budget": out.within_budget if out.best else None,
        "runner_up": None if out.runner is None else {"stack": out.runner[0].as_dict(),
                                                      "outcome": out.runner[1].as_dict()},
        "front": [p.as_dict() for p in out.front], "zone_loss": out.zone_loss, "commitments": out.commit,
        "steps": [s.as_dict() for s in out.steps], "prices": [p.as_dict() for p in out.prices],
        "families": [e.as_dict() for e in out.families], "excuses": [e.as_dict() for e in out.excuses],
        "untried_cheaper": out.untried, "counts": out.counts, "notes": out.notes, "interrupted": out.interrupted,
        "uncertainty": out.uncertainty and out.uncertainty.as_dict(),
        "migration": out.migration and out.migration.as_dict(), "seconds": out.seconds,
        "stack": None if out.scenario is None else resolved(out.scenario),
    }  # fmt: skip


def as_json(out: Recommendation) -> str:
    return json.dumps(as_dict(out), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_yaml(out: Recommendation) -> str:
    """The scenario on the recommended stack: forecast it, bill it, or give it back as what runs today."""
    if out.scenario is None:
        return "# nothing holds: no stack to write\n"
    return f"# {out.given.name}: recommended, {headline(out)}\n" + to_yaml(out.scenario)


def headline(out: Recommendation) -> str:
    if out.best is None or out.bill is None:
        return "no stack was found that keeps every target"
    low, high = out.bill.range.p10_usd, out.bill.range.p90_usd
    return f"{out.bill.monthly_usd:,.0f} USD a month ({low:,.0f} to {high:,.0f}), {out.region}"


def lines(out: Recommendation) -> list[tuple[str, list[str]]]:
    """The recommendation as titled paragraphs; a title of '' is plain text."""
    found: list[tuple[str, list[str]]] = []
    if out.unmeasured:
        found.append(("", [out.unmeasured]))
    if out.interrupted:
        found.append(("", ["interrupted: the best so far, not all of what follows was asked"]))
    if out.best is None:
        return [*found, ("nothing holds", _failure(out)), ("how it was sought", _sought(out))]
    found.append((headline(out), _stack(out, out.best)))
    found.append(("holds, at the peak with growth of the first months", _held(out)))
    if out.runner is not None:
        found.append(("runner-up", _runner(out)))
    if out.steps:
        found.append(("growth", [_step(s) for s in out.steps]))
    if out.notes:
        found.append(("to know", list(out.notes)))
    if out.zone_loss:
        found.append(("when a zone is lost", out.zone_loss))
    if len(out.front) > 1:
        found.append(("front of price, p99 and resilience", [_point(p, out) for p in out.front]))
    if out.commit:
        found.append(("commitments, no more than nine of ten months use", _commit(out)))
    if out.prices:
        found.append(("what each promise costs a month", [_price(p) for p in out.prices]))
    if out.uncertainty is not None:
        found.append(("what is not sure", out.uncertainty.lines()))
    if out.migration is not None:
        found.append(("the way from today", out.migration.lines()))
    if out.families:
        found.append(("why not", _families(out)))
    found.append(("how it was sought", _sought(out)))
    return found


def _stack(out: Recommendation, best: Stack) -> list[str]:
    k, s, e = best.kafka, best.spark, best.search
    names = [f.name for f in out.given.flows]

    def each(values: Any, told: Any = str) -> str:
        if len(set(values)) == 1:
            return str(told(values[0]))
        return ", ".join(f"{n} {told(v)}" for n, v in zip(names, values, strict=True))

    shuffles = f", {each(s.row.shuffles)} shuffle partitions" if any(s.row.shuffles) else ""
    managers = f", {e.managers} managers" if e.managers else ", data nodes vote"
    return [
        f"Kafka          {k.row.brokers} x {k.row.machine} ({k.kind}), {k.row.zones} zones, "
        f"{show(k.volume, 'bytes')} each · {each(k.row.partitions)} partitions, {each(k.row.copies)} copies, "
        f"{each(k.min_insync)} in sync · {k.usd:,.0f} USD",
        f"Spark          {s.row.executors} x {s.row.machine} ({s.kind}), {s.row.slots} slots and "
        f"{show(s.heap, 'bytes')} heap each, driver {s.driver} · trigger {each(s.row.triggers, _trigger)}{shuffles} · "
        f"{s.usd:,.0f} USD",
        f"Elasticsearch  {e.row.nodes} x {e.row.machine} ({e.kind}), {e.row.zones} zones, {show(e.volume, 'bytes')} "
        f"each{managers} · {each(e.row.primaries)} primaries, {each(e.row.copies)} copies · {e.usd:,.0f} USD",
    ]  # fmt: skip


def _trigger(seconds: float) -> str:
    return show(seconds, "s") if seconds > 0 else "as fast as possible"


def _held(out: Recommendation) -> list[str]:
    seen, wants = out.outcome, out.wants
    if seen is None:
        return []
    told = []
    if math.isfinite(seen.p99):
        target = f" of {show(wants.p99, 's')} promised" if wants.p99 is not None else ""
        told.append(f"p99 {show(seen.p99, 's')}{target}, p50 {show(seen.p50, 's')} (95 of 100 runs lie below)")
    told.append(f"capacity {seen.capacity:g} times the peak, simulated until the lag would show")
    if math.isfinite(seen.catch_up):
        told.append(f"catches up {show(seen.catch_up, 's')} after an outage of {show(wants.outage, 's')} at the peak")
    if wants.survive:
        told.append(f"carries the peak without a {', a '.join(wants.survive)}")
    if seen.busiest:
        told.append("busiest: " + ", ".join(f"{part} {load:.0%}" for part, load in seen.busiest.items()))
    if wants.budget is not None:
        word = "within" if out.within_budget else "over"
        told.append(f"{word} the budget of {wants.budget:,.0f} USD: P90 of the dearest month {out.worst_p90_usd:,.0f}")
    return told


def _runner(out: Recommendation) -> list[str]:
    if out.runner is None or out.best is None:
        return []
    stack, seen = out.runner
    parts = [("Kafka", stack.kafka.usd - out.best.kafka.usd), ("Spark", stack.spark.usd - out.best.spark.usd),
             ("Elasticsearch", stack.search.usd - out.best.search.usd)]  # fmt: skip
    why = ", ".join(f"{name} {usd:+,.0f}" for name, usd in parts if abs(usd) >= 0.5)
    return [stack.told(), f"{stack.usd - out.best.usd:+,.0f} USD a month ({why}), p99 {show(seen.p99, 's')}"]


def _step(step: Any) -> str:
    return (f"month {step.month}: {step.why}; lasts to month {step.until}, then {step.monthly_usd:,.0f} USD "
            f"(P90 {step.p90_usd:,.0f})")  # fmt: skip


def _point(point: Any, out: Recommendation) -> str:
    mark = " (recommended)" if out.best is not None and point.stack.key == out.best.key else ""
    return f"{point.usd:,.0f} USD, p99 {show(point.p99, 's')}, survives {point.survives}{mark}: {point.stack.told()}"


def _commit(out: Recommendation) -> list[str]:
    told = ", ".join(f"{count} x {name}" for name, count in out.commit.items())
    kafka = "; MSK sells none" if out.best is not None and out.best.kafka.kind == "msk-standard" else ""
    return [f"at most {told}{kafka}"]


def _price(price: Any) -> str:
    sure = "" if price.proven else " at least"
    if price.saved_usd < 0.5:
        return f"{price.promise}: nothing found cheaper without it ({price.without})"
    return f"{price.promise}: {price.saved_usd:,.0f} USD{sure}; {price.without} would do on {price.stack.told()}"


def _families(out: Recommendation) -> list[str]:
    told = []
    for system in ("kafka", "spark", "elasticsearch"):
        mine = sorted((e for e in out.families if e.system == system), key=lambda e: e.short)
        told += [f"{system}: {_excuse(e)}" for e in mine[:MOST_FAMILIES]]
        if len(mine) > MOST_FAMILIES:
            told.append(f"{system}: and {len(mine) - MOST_FAMILIES} families further off (all are in -o x.json)")
    return told


def _excuse(e: Any) -> str:
    unit = e.unit.split(" ")[0]
    if e.unit in ("bytes", "bytes/s", "s", "count"):
        numbers = f"needs {show(e.needed, e.unit)}, has {show(e.had, e.unit)}"
    elif unit == "USD":
        numbers = f"{e.had:,.4g} against {e.needed:,.4g} {e.unit}"
    elif e.unit == "1":
        numbers = f"needs {e.needed:.2f}, has {e.had:.2f}"
    else:
        numbers = f"needs {e.needed:g}, has {e.had:g} {e.unit}".strip()
    return f"{e.candidate}: {e.constraint}, {numbers} → {e.change}"


def _failure(out: Recommendation) -> list[str]:
    by: dict[str, list[Any]] = {}
    for e in out.excuses:
        by.setdefault(e.constraint, []).append(e)
    told = []
    by.pop("price", None)  # beaten by another machine in everything: no reason why nothing holds

    def first(pair: tuple[str, list[Any]]) -> tuple[bool, float]:
        return pair[1][0].system != "stack", min(e.short for e in pair[1])

    for constraint, mine in sorted(by.items(), key=first)[:8]:
        nearest = min(mine, key=lambda e: e.short)
        told.append(f"{len(mine)} of them by {constraint}; the nearest: {_excuse(nearest)}")
    return told or ["no machine of the region can be used at all"]


def _sought(out: Recommendation) -> list[str]:
    c = out.counts
    told = [f"{c['settings']:,} settings, {c['screened']:,} stacks screened, {c['simulated']} simulated in "
            f"{c['runs']} runs, seed {out.seed}"]  # fmt: skip
    if out.untried:
        told.append(f"{out.untried} cheaper stacks within the screen's error were not simulated: --trials goes on")
    elif out.best is not None:
        told.append("every cheaper stack within the screen's error was simulated and failed, or is no better than one "
                    "that did")  # fmt: skip
    return told


def page(out: Recommendation) -> Page:
    """The advice as a page, for each of its formats."""
    return Page(f"{out.given.name}: which stack to buy", lines(out))
