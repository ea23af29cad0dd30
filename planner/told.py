"""What a page says of a forecast: the verdict in one sentence, its main numbers, and how two forecasts differ.

Every number carries the words to hover over it with: what it is, both intervals, its domain and where it comes from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from models.stack import Scenario
from models.units import show
from planner.answers import Answer, Promise
from planner.breaks import breaks
from planner.fields import Location, extra, field_at, path_of
from planner.money_tell import foot, headline
from planner.storage import Fill
from planner.tell import shown, shown_interval

if TYPE_CHECKING:
    from planner.forecast import Forecast

Judged = Literal["holds", "unsure", "broken", ""]
NAMED = 2  # broken targets that the verdict's sentence names
MARKS = {"low": "low watermark", "high": "high watermark", "flood": "flood stage", "write_block": "write block",
         "alarm": "alarm", "full": "full"}  # fmt: skip


@dataclass(frozen=True)
class Told:
    """A number as it is shown: its label, its value, what stands beside it, what hovers over it, how it is judged."""

    label: str
    value: str
    beside: str
    source: str
    number: float
    unit: str
    judged: Judged = ""


def verdict(out: Forecast) -> str:
    """The forecast in one sentence: the targets, what breaks first, what it costs."""
    broken = [t for t in out.targets if not t.holds]
    count = len(out.targets)
    if not count:
        head = "No target is stated"
    elif not broken:
        unsure = sum(not t.sure for t in out.targets)
        head = "The one target holds" if count == 1 else f"All {count} targets hold"
        head += f", {unsure} not surely" if unsure else ""
    else:
        verb = "is" if len(broken) == 1 else "are"
        told = "; ".join(_missed(t) for t in broken[:NAMED])
        head = f"{len(broken)} of {count} targets {verb} broken: {told}"
        head += f" and {len(broken) - NAMED} more" if len(broken) > NAMED else ""
    later = next((b for b in breaks(out) if b.days > 0 and b.critical), None)
    parts = [head, f"{later.what.split(':')[0]} {_on(later.when)}" if later else "", headline(out.bill)]
    return "; ".join(part for part in parts if part) + "."


def _on(when: str) -> str:
    return f"on {when}" if when.startswith("day") else f"in {when}"


def _missed(t: Promise) -> str:
    promised, told = (show(x, t.unit) if isinstance(x, float) else x for x in (t.promised, t.forecast))
    if t.target.startswith("survive"):
        return f"does not {t.target.replace('-', ' ')} loss"
    return f"{t.target.replace('_', ' ')} {_endless(told)} instead of {promised}"


def _endless(text: str) -> str:
    return {"inf d": "without end", "nan ms": "not known"}.get(text, text)


def main_numbers(out: Forecast) -> list[Told]:
    """The numbers that stand first on a page, in reading order."""
    latency, lag = out.latency.end_to_end, out.lag
    return [
        of_answer("p99 latency", latency["p99"], "creation to the first search that finds it", judged(out, "p99")),
        of_answer("median latency", latency["p50"], "creation to the first search that finds it", judged(out, "p50")),
        _sustainable(out),
        of_answer(f"catch-up after {show(lag.outage_seconds, 's')}", lag.catch_up, "from the outage's end until the "
                  "lag is that of any batch", judged(out, "catch_up")),
        _disk("index disk, fullest", out.storage["elasticsearch"]),
        _disk("topic disk, fullest", out.storage["kafka"]),
        _bill(out),
    ]  # fmt: skip


def judged(out: Forecast, target: str) -> Judged:
    """How a target was judged, '' where it is not stated."""
    for t in out.targets:
        if t.target == target:
            return "broken" if not t.holds else "holds" if t.sure else "unsure"
    return ""


def of_answer(label: str, answer: Answer, what: str, how: Judged = "") -> Told:
    """An answer with its forecast interval beside it, else the one of a single run."""
    beside = shown_interval(answer, "forecast") or shown_interval(answer, "sampling")
    beside = beside or (answer.note if math.isnan(answer.value) else "")
    return Told(label, shown(answer), beside, source_of(answer, what), answer.value, answer.unit, how)


def source_of(answer: Answer, what: str) -> str:
    """What an answer rests on, a line each."""
    lines = [what]
    for which, name in (("sampling", "one run (90 %)"), ("forecast", "real stack (90 %)")):
        if told := shown_interval(answer, which):
            lines.append(f"{name}: {told}")
    error = answer.monte_carlo
    if error is not None and math.isfinite(error.value):
        lines.append(f"other dice would move it by {error.value:.1%}, the interval's ends by {error.ends:.1%}")
    lines.append(f"rests on coefficients: {answer.domain}")
    return "\n".join([*lines, answer.note] if answer.note else lines)


def _sustainable(out: Forecast) -> Told:
    t = out.throughput
    source = source_of(t.sustainable, "highest constant rate whose lag does not grow")
    source += f"\nbound by {t.bottleneck.name}: {t.bottleneck.evidence}"
    beside = f"{t.headroom:.2g} × the peak of {show(t.peak_events_per_second, '1/s')}"
    how = judged(out, "throughput_headroom") or ("broken" if t.headroom < 1 else "")
    return Told("sustainable rate", shown(t.sustainable), beside, source, t.sustainable.value, "1/s", how)


def _disk(label: str, fill: Fill) -> Told:
    passed = dates(fill)
    source = f"{show(fill.fullest_node_bytes, 'bytes')} of {show(fill.volume_bytes, 'bytes')} on the fullest node once "
    source += f"retention is full; {show(fill.bytes, 'bytes')} in all. By the placement of shards and partitions.\n"
    source += "\n".join(f"{name}: day {day:.1f}" for name, day in passed) or "no mark is reached"
    beside = f"{passed[0][0]} on day {passed[0][1]:.0f}" if passed else "no mark is reached"
    how: Judged = "broken" if fill.fullest_share >= 1 else "unsure" if passed else "holds"
    return Told(label, f"{fill.fullest_share:.0%}", beside, source, fill.fullest_share, "share", how)


def dates(fill: Fill) -> list[tuple[str, float]]:
    """The marks that are reached, with their days, first what comes first."""
    found = [(MARKS.get(mark, mark), day) for mark, day in fill.days_to.items() if day is not None]
    return sorted(found, key=lambda pair: pair[1])


def _bill(out: Forecast) -> Told:
    made = out.bill
    beside = f"{made.range.p10_usd:,.0f} to {made.range.p90_usd:,.0f}, P10 to P90"
    lacks = "" if made.bill.complete else f"\n{len(made.bill.gaps)} lines have no price: the sum is too low"
    source = f"{len(made.bill.lines)} lines, quantity × unit price\n{foot(made)}{lacks}"
    how = judged(out, "monthly_budget_usd") or ("" if made.bill.complete else "unsure")
    return Told("USD a month", f"{made.monthly_usd:,.0f}", beside, source, float(made.monthly_usd), "USD", how)


def difference(one: Told, other: Told) -> str:
    """By how much `other` is more (+) or less (-) than `one`, '' where either has no end or is not known.

    >>> a, b = (Told("", "", "", "", x, "s") for x in (31.0, 12.0))
    >>> difference(a, b), difference(a, a)
    ('−19 s', 'the same')
    """
    if not (math.isfinite(one.number) and math.isfinite(other.number)):
        return ""
    apart = other.number - one.number
    if abs(apart) <= 1e-9 * max(abs(one.number), abs(other.number), 1e-12):
        return "the same"
    sign = "+" if apart > 0 else "−"
    if other.unit == "USD":
        return f"{sign}{abs(apart):,.0f}"
    return f"{sign}{abs(apart) * 100:.0f} points" if other.unit == "share" else f"{sign}{show(abs(apart), other.unit)}"


def changed_fields(one: Scenario, other: Scenario) -> list[tuple[str, str, str]]:
    """The fields in which two scenarios differ: path, and both values as a person writes them."""
    found = _differ(one.model_dump(mode="json"), other.model_dump(mode="json"), ())
    return [(path_of(place), _word(place, x), _word(place, y)) for place, (x, y) in found]


def _differ(one: object, other: object, place: Location) -> Iterator[tuple[Location, tuple[object, object]]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys([*one, *other]):
            yield from _differ(one.get(key), other.get(key), (*place, str(key)))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for k, (x, y) in enumerate(zip(one, other, strict=True)):
            yield from _differ(x, y, (*place, k))
    elif one != other:
        yield place, (one, other)


def _word(place: Location, value: object) -> str:
    if value is None or isinstance(value, dict | list):
        return "none" if value is None else f"{len(value)} values"
    if isinstance(value, bool | str) or not isinstance(value, int | float):
        return brief(str(value))
    _, info = field_at(Scenario, place)
    return show(float(value), extra(info, "unit") if info is not None else "")


def brief(text: str) -> str:
    """A coefficient file by its name alone; any other text as it is.

    >>> brief("sets/3f/orders-prod.toml"), brief("m7g.large")
    ('orders-prod.toml', 'm7g.large')
    """
    return re.split(r"[/\\]", text)[-1] if text.endswith(".toml") else text
