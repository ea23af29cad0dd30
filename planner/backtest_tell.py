"""Scores told: Markdown tables and plain words. Nothing here calculates a forecast."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from planner.backtest import Scored
from planner.backtest_score import Coverage, Score, Summary, coverage, middle, summarise
from planner.backtest_ways import MEASURED_BATCHES, MEASURED_RECORDS

BASELINES = (("last value", "last"), ("a + b·n", "ten_lines"), ("static rule", "rule"))
HOPS = ("mean until the trigger", "mean from trigger to visible")
TWO_STEPS = 2.0  # per cent: a miss is weighed by what two equal runs differ by, but never by less


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: first column to the left, the others to the right."""
    lines = [f"| {' | '.join(head)} |", f"|---|{'--:|' * (len(head) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def number(value: float | None) -> str:
    """Three digits.

    >>> number(0.98765), number(3456.7), number(21458.6), number(None)
    ('0.988', '3,457', '21,459', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def percent(value: float | None, sign: bool = True) -> str:
    """A share as per cent; past a tenth of a per cent one digit below ten.

    >>> percent(0.1234), percent(-0.012), percent(0.05, sign=False), percent(float("nan"))
    ('+12 %', '-1.2 %', '5.0 %', '–')
    """
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    digits = 0 if abs(value) >= 0.0995 else 1
    return f"{100 * value:{'+' if sign else ''}.{digits}f} %"


def size(value: float | None) -> str:
    return percent(value, sign=False)


SUMMARY = ("quantity", "rows", "median error", "largest", "bias", "without constants", "two equal runs", "last value",
           "a + b·n", "static rule")  # fmt: skip


def summary(scores: Sequence[Score]) -> str:
    """Errors by quantity, in size; `bias` is their median with its sign."""

    def row(s: Summary) -> list[str]:
        rest = (s.bare, s.repeat, s.last, s.ten_lines, s.rule)
        return [s.quantity, str(s.count), size(s.median), size(s.worst), percent(s.bias), *map(size, rest)]

    return table(SUMMARY, map(row, summarise(scores)))


def run_table(scores: Sequence[Score]) -> str:
    """One run: a row a quantity and part."""
    head = ("quantity", "at", "forecast", "90 %", "measured", "error", "without constants", "two equal runs",
            "last value", "a + b·n")  # fmt: skip

    def row(s: Score) -> list[str]:
        unit = f" {s.unit}" if s.unit else ""
        bare = percent(s.bare_error) if s.constant else "–"
        ends = "–" if s.low is None else f"{number(s.low)} – {number(s.high)}{'' if s.inside else ' ✗'}"
        return [
            s.quantity, s.part, number(s.forecast), ends, f"{number(s.measured)}{unit}", percent(s.error), bare,
            size(s.repeat), percent(s.error_of(s.last)), percent(s.error_of(s.ten_lines)),
        ]  # fmt: skip

    return table(head, map(row, scores))


def per_run(scores: Sequence[Score], title: Callable[[str], str]) -> str:
    """A table for each run."""
    parts = []
    for name in dict.fromkeys(s.run for s in scores):
        parts += [title(name), run_table([s for s in scores if s.run == name])]
    return "\n\n".join(parts)


def largest(scores: Sequence[Score], count: int = 12) -> str:
    """The largest errors over what two equal runs differ by."""
    ordered = sorted(scores, key=lambda s: -abs(s.error) / max(s.repeat or 0.0, TWO_STEPS / 100))
    return table(
        ("run", "at", "quantity", "forecast", "measured", "error", "two equal runs"),
        (
            [s.run, s.part, s.quantity, number(s.forecast), number(s.measured), percent(s.error), size(s.repeat)]
            for s in ordered[:count]
        ),
    )


def pairs(scores: Sequence[Score]) -> list[list[str]]:
    """Per baseline and quantity: runs in which the forecast was nearer, of how many, and both median errors.

    A run is one pair: the median size of error over its parts that have both.
    """
    rows = []
    for label, field in BASELINES:
        for quantity in dict.fromkeys(s.quantity for s in scores):
            mine = [s for s in scores if s.quantity == quantity and getattr(s, field) is not None]
            runs = list(dict.fromkeys(s.run for s in mine))
            if not runs:
                continue
            both = [_pair([s for s in mine if s.run == run], field) for run in runs]
            won = sum(ours < theirs for ours, theirs in both)
            ours, theirs = (middle(x) for x in zip(*both, strict=True))
            nearer = "forecast" if ours < theirs else label
            rows.append([f"{quantity}, {label}", f"{won} of {len(runs)}", size(ours), size(theirs), nearer])
    return rows


def _pair(scores: Sequence[Score], field: str) -> tuple[float, float]:
    ours = middle(abs(s.error) for s in scores)
    return ours, middle(abs(s.error_of(getattr(s, field))) for s in scores)


def pairs_table(scores: Sequence[Score]) -> str:
    """Wins against each baseline, paired by run."""
    return table(("quantity, against", "runs nearer", "median error", "baseline's", "nearer"), pairs(scores))


def coverage_line(name: str, found: Coverage | None) -> list[str]:
    if found is None:
        return [name, "0", "0", "–", "–", "–", "–"]
    ends = f"{found.low:.0%} – {found.high:.0%}"
    return [name, str(found.runs), str(found.rows), f"{found.share:.0%}", ends, f"{found.score:.2f}",
            f"× {math.exp(found.width):.2f}"]  # fmt: skip


def coverage_table(groups: dict[str, Sequence[Score]]) -> str:
    """Coverage of 90 % intervals, group by group."""
    head = ("intervals", "runs", "rows", "held", "of runs, 90 %", "interval score", "high over low, median")
    return table(head, (coverage_line(name, coverage(scores)) for name, scores in groups.items()))


def ways_table(found: Sequence[Scored]) -> str:
    """Errors by way: laws alone, path alone, and blind, for what each can say."""
    rows = []
    for one in found:
        for way in (MEASURED_RECORDS, MEASURED_BATCHES):
            for s in (s for s in one.ways.get(way, []) if s.part == "all"):
                blind = next((b for b in one.scores if (b.part, b.quantity) == (s.part, s.quantity)), None)
                rows.append([s.run, s.quantity, way, percent(s.error), percent(blind.error) if blind else "–"])
    return table(("run", "quantity", "given", "error", "blind"), rows)


def as_markdown(found: Sequence[Scored]) -> str:
    """A back-test as a page: headline, what has to be beaten, coverage, ways, each run."""
    scores = [s for one in found for s in one.scores]
    head = [s for one in found for s in one.headline]
    parts = ["# Back-test"]
    parts += [f"Not forecast: {one.run.name}: {why}" for one in found for why in one.refused]
    if head:
        parts += ["## Blind, beyond the fit", summary(head)]
    within = [s for s in scores if s not in head]
    if within:
        parts += ["## Blind, within the fitted load (interpolation: no headline)", summary(within)]
    if scores:
        parts += ["## Beside the baselines, paired by run", pairs_table(scores)]
        parts += ["## Intervals", coverage_table({"all": scores})]
        parts += ["## Given more", ways_table(found)]
        parts += [per_run(scores, lambda name: f"## {name}")]
    return "\n\n".join(parts) + "\n"


def as_dict(found: Sequence[Scored]) -> dict[str, Any]:
    """Plain data for JSON."""
    return {
        "schema_version": 1,
        "runs": [
            {
                "run": one.run.name,
                "refused": list(one.refused),
                "lies": dict(one.kinds),
                "scores": [_row(s) for s in one.scores],
                "given_more": {way: [_row(s) for s in scores] for way, scores in one.ways.items()},
            }
            for one in found
        ],
        "coverage": _coverage([s for one in found for s in one.scores]),
    }


def _row(s: Score) -> dict[str, Any]:
    told = {
        "part": s.part, "quantity": s.quantity, "unit": s.unit, "forecast": s.forecast, "measured": s.measured,
        "error": s.error, "error_without_constants": s.bare_error if s.constant else None, "low": s.low, "high": s.high,
        "inside": s.inside, "two_equal_runs": s.repeat, "last_value": s.last, "ten_lines": s.ten_lines,
        "static_rule": s.rule,
    }  # fmt: skip
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in told.items()}


def _coverage(scores: Sequence[Score]) -> dict[str, float] | None:
    found = coverage(scores)
    if found is None:
        return None
    return {"runs": found.runs, "rows": found.rows, "share": found.share, "low": found.low, "high": found.high,
            "interval_score": found.score, "median_log_width": found.width}  # fmt: skip
