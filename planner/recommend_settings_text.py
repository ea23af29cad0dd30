"""Recommended settings told: what to set, what it comes to, why not the next value, and what is there now."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from models.units import show
from planner.answers import Answer
from planner.recommend_page import Page
from planner.recommend_settings import NAMES, Held, SettingsAdvice, choice_of, differences
from planner.scenario import resolved, to_yaml

if TYPE_CHECKING:
    from planner.forecast import Forecast

MOST_SHORT = 6


def as_dict(out: SettingsAdvice) -> dict[str, Any]:
    """All of it as plain data."""
    return {
        "schema_version": 1, "scenario": out.given.name, "seed": out.seed, "holds": out.holds,
        "unmeasured": out.unmeasured, "machine_cores": out.cores, "now": out.now.as_dict(),
        "best": out.best and out.best.as_dict(), "runner_up": out.runner and out.runner.as_dict(),
        "forecast": out.answer and answers(out.answer), "runner_up_forecast":
        out.runner_answer and answers(out.runner_answer),
        "caps": [h.as_dict() for h in out.caps], "neighbours": [n.as_dict() for n in out.neighbours],
        "nearest": [h.as_dict() for h in out.nearest], "counts": out.counts, "untried_less": out.untried,
        "interrupted": out.interrupted, "stack": None if out.scenario is None else resolved(out.scenario),
    }  # fmt: skip


def answers(forecast: Forecast) -> dict[str, Any]:
    """What the settings come to at the peak, each with its interval; latency and batches of the worst flow."""
    flow = forecast.worst
    found = {f"{name}_seconds": flow.latency.end_to_end[name] for name in ("p50", "p99")}
    found |= {"batch_seconds": flow.batches.seconds, "catch_up_seconds": flow.lag.catch_up}
    found |= {"sustainable_events_per_second": forecast.throughput.sustainable}
    return {name: answer.as_dict() for name, answer in found.items()}


def as_json(out: SettingsAdvice) -> str:
    return json.dumps(as_dict(out), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_yaml(out: SettingsAdvice) -> str:
    """The scenario with the recommended settings."""
    if out.scenario is None:
        return "# nothing holds: no settings to write\n"
    told = ", ".join(f"{flow} {NAMES[n]} {a} → {b}" for flow, n, a, b in _changes(out, out.best)) or "as they were"
    return f"# {out.given.name}: settings {told}\n" + to_yaml(out.scenario)


def _changes(out: SettingsAdvice, held: Held | None) -> list[tuple[str, str, str, str]]:
    return differences(out.given, choice_of(out.given), held.choice) if held is not None else []


def lines(out: SettingsAdvice) -> list[tuple[str, list[str]]]:
    """The advice as titled paragraphs; a title of '' is plain text."""
    found: list[tuple[str, list[str]]] = []
    if out.unmeasured:
        found.append(("", [out.unmeasured]))
    if out.interrupted:
        found.append(("", ["interrupted: the best so far, not all of what follows was asked"]))
    if out.best is None:
        found.append(("no settings keep every target on these machines", _short(out)))
        return [*found, ("how it was sought", _sought(out))]
    found.append(("settings", _settings(out, out.best)))
    found.append((f"holds, at the peak of {_peak(out)}", _held(out, out.best, out.answer)))
    found.append(("as it is set now", _now(out)))
    if out.runner is not None:
        found.append(("runner-up", [_differs(out, out.runner), *_held(out, out.runner, out.runner_answer)]))
    if len(out.caps) > 1:
        found.append(("maxOffsetsPerTrigger, after an outage of " + show(out.wants.outage, "s"), _caps(out, out.best)))
    if out.neighbours:
        found.append(("why not another value, all else kept", _neighbours(out, out.best)))
    return [*found, ("how it was sought", _sought(out))]


def _peak(out: SettingsAdvice) -> str:
    return " + ".join(show(rate, "1/s") for rate in out.wants.peaks)


def _settings(out: SettingsAdvice, best: Held) -> list[str]:
    told = []
    for flow, before, after in zip(out.given.flows, choice_of(out.given), best.choice, strict=True):
        parts = []
        for name, word in NAMES.items():
            a, b = before.told(name), after.told(name)
            if name != "shuffles" or after.shuffles:
                parts.append(f"{word} {b}" if a == b else f"{word} {a} → {b}")
        told.append(f"{flow.name}: " + " · ".join(parts))
    if any(b.partitions < a.partitions for a, b in zip(choice_of(out.given), best.choice, strict=True)):
        told.append("fewer partitions than the topic has mean a new topic: a topic's never shrink (--keep keeps them)")
    if any(b.shuffles != a.shuffles for a, b in zip(choice_of(out.given), best.choice, strict=True)):
        told.append("other shuffle partitions mean a new checkpoint: state is laid out by them (--keep keeps them)")
    return told


def _held(out: SettingsAdvice, held: Held, forecast: Forecast | None) -> list[str]:
    seen, wants = held.outcome, out.wants
    told = []
    if forecast is not None:
        flow = forecast.worst
        promised = f" of {show(wants.p99, 's')} promised" if wants.p99 is not None else ""
        p50, p99 = (_answer(flow.latency.end_to_end[q]) for q in ("p50", "p99"))
        told.append(f"p99 {p99}{promised}, p50 {p50}; a batch lasts {_answer(flow.batches.seconds)}")
        rate = forecast.throughput
        told.append(f"sustains {_answer(rate.sustainable)}, {rate.headroom:.2f} times the peak; "
                    f"{rate.bottleneck.name} binds: {rate.bottleneck.evidence}")  # fmt: skip
    elif math.isfinite(seen.p99):
        told.append(f"p99 below {show(seen.p99, 's')}, p50 below {show(seen.p50, 's')} in 95 of 100")
    if math.isfinite(seen.catch_up):
        most = f" of {show(wants.catch_up, 's')} promised" if wants.catch_up is not None else ""
        told.append(f"catches up {show(seen.catch_up, 's')}{most} after an outage of {show(wants.outage, 's')}; "
                    f"no batch then lasts longer than {show(seen.longest_batch, 's')}")  # fmt: skip
    told.append(f"takes {_cpu(out, held)}; busiest: "
                + ", ".join(f"{part} {load:.0%}" for part, load in seen.busiest.items()))  # fmt: skip
    return told


def _answer(answer: Answer) -> str:
    told = show(answer.value, answer.unit)
    if answer.forecast is None:
        return told
    return f"{told} ({show(answer.forecast.low, answer.unit)} to {show(answer.forecast.high, answer.unit)})"


def _cpu(out: SettingsAdvice, held: Held) -> str:
    return f"{held.outcome.cores:.2f} of {out.cores:g} cores ({held.outcome.cores / out.cores:.0%})"


def _now(out: SettingsAdvice) -> list[str]:
    if out.best is not None and out.now.choice == out.best.choice:
        return ["the same: nothing has to be changed"]
    seen = out.now.outcome
    if seen.excuse is not None:
        return [f"does not hold: {_why(out.now)}"]
    return [f"holds too, and takes {_cpu(out, out.now)}; p99 below {show(seen.p99, 's')} in 95 of 100, catches up "
            f"{show(seen.catch_up, 's')} after an outage"]  # fmt: skip


def _why(held: Held) -> str:
    e = held.outcome.excuse
    if e is None:
        return "holds"
    if e.unit == "s":
        return f"{e.constraint} {show(e.needed, 's')} of {show(e.had, 's')} promised"
    if e.constraint == "capacity":
        return f"does not carry {e.needed:g} times the peak"
    return f"{e.constraint}: {e.change}" if not e.unit else f"{e.constraint} {e.needed:.2f} of {e.had:.2f}"


def _differs(out: SettingsAdvice, held: Held) -> str:
    changes = differences(out.given, out.best.choice if out.best else held.choice, held.choice)
    many = len(out.given.flows) > 1
    return ", ".join(f"{flow + ' ' if many else ''}{NAMES[n]} {b} instead of {a}" for flow, n, a, b in changes)


def _caps(out: SettingsAdvice, best: Held) -> list[str]:
    told = []
    for held in out.caps:
        name = "/".join(s.told("cap") for s in held.choice)
        mark = " (recommended)" if held.choice == best.choice else ""
        seen = held.outcome
        caught = f"caught up in {show(seen.catch_up, 's')}, longest batch {show(seen.longest_batch, 's')}"
        told.append(f"{name}{mark}: {caught if seen.holds else _why(held)}")
    return told


def _neighbours(out: SettingsAdvice, best: Held) -> list[str]:
    told, many = [], len(out.given.flows) > 1
    for n in out.neighbours:
        seen = n.held.outcome
        more = (seen.cores - best.outcome.cores) / out.cores
        what = _why(n.held) if not seen.holds else (
            f"holds, p99 below {show(seen.p99, 's')}, {more:+.1%} of the machines' CPU, caught up in "
            f"{show(seen.catch_up, 's')}")  # fmt: skip
        told.append(f"{n.flow + ' ' if many else ''}{NAMES[n.name]} {n.value}: {what}")
    return told


def _short(out: SettingsAdvice) -> list[str]:
    near = sorted(out.nearest, key=lambda h: h.outcome.excuse.short if h.outcome.excuse else 0.0)[:MOST_SHORT]
    told = []
    for held in near or [out.now]:
        changes = ", ".join(f"{flow} {NAMES[n]} {b}" for flow, n, _, b in _changes(out, held)) or "as it is set"
        told.append(f"{changes}: {_why(held)}")
    return [*told, "`floodmark recommend` without --settings-only says which machines would do"]


def _sought(out: SettingsAdvice) -> list[str]:
    c = out.counts
    told = [f"{c['screened']:,} settings screened, {c['simulated']} simulated in {c['runs']} runs, seed {out.seed}",
            "the machines are as they are, so the price of a setting is the CPU that it takes"]  # fmt: skip
    if out.wants.p99 is None:
        told.append("no p99 is promised, so triggers stay as they are: --p99 lets them move")
    if out.untried:
        told.append(f"{out.untried} settings that the screen sees taking less were not simulated: --trials goes on")
    return told


def page(out: SettingsAdvice) -> Page:
    """The advice as a page, for each of its formats."""
    return Page(f"{out.given.name}: which settings, on the machines that are there", lines(out))
