"""docs/accuracy.md: tables and plain words from scores. Nothing here calculates a forecast."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from benchmarks.accuracy.folds import Fold
from benchmarks.accuracy.score import Score, Summary, summarise


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
           "a + b·n")  # fmt: skip


def summary(scores: Sequence[Score]) -> str:
    """Errors by quantity, in size; `bias` is their median with its sign."""

    def row(s: Summary) -> list[str]:
        rest = (s.bare, s.repeat, s.last, s.ten_lines)
        return [s.quantity, str(s.count), size(s.median), size(s.worst), percent(s.bias), *map(size, rest)]

    return table(SUMMARY, map(row, summarise(scores)))


def by_step(scores: Sequence[Score]) -> list[Score]:
    """Scores of steps, and of the whole run where steps have none."""
    stepped = {s.quantity for s in scores if s.part != "all"}
    return [s for s in scores if s.part != "all" or s.quantity not in stepped]


def run_table(scores: Sequence[Score]) -> str:
    """One run: a row a quantity and part."""
    head = ("quantity", "at", "forecast", "measured", "error", "without constants", "two equal runs", "last value",
            "a + b·n")  # fmt: skip

    def row(s: Score) -> list[str]:
        unit = f" {s.unit}" if s.unit else ""
        bare = percent(s.bare_error) if s.constant else "–"
        return [
            s.quantity, s.part, number(s.forecast), f"{number(s.measured)}{unit}", percent(s.error), bare,
            size(s.repeat), percent(s.error_of(s.last)), percent(s.error_of(s.ten_lines)),
        ]  # fmt: skip

    return table(head, map(row, scores))


def per_run(scores: Sequence[Score], title: Callable[[str], str]) -> str:
    """A table for each run."""
    parts = []
    for name in dict.fromkeys(s.run for s in scores):
        parts += [title(name), run_table([s for s in scores if s.run == name])]
    return "\n\n".join(parts)


def leaks(folds: Sequence[Fold]) -> str:
    """Which priors of each fold know the runs left out."""
    return table(
        ("left out", "left at a generic value that itself came from all laboratory runs"),
        ([", ".join(f.left_out), ", ".join(f"`{n}`" for n in f.leaks) or "none"] for f in folds),
    )


def spread(scores: Sequence[Score]) -> tuple[int, int]:
    """How many measured values lie within the seeds' 5 to 95 %, of how many."""
    known = [s for s in scores if s.low is not None and s.high is not None]
    return sum(1 for s in known if s.low <= s.measured <= s.high), len(known)  # type: ignore[operator]


def largest(scores: Sequence[Score], count: int = 12) -> str:
    """The largest errors over what two equal runs differ by."""
    ordered = sorted(scores, key=lambda s: -abs(s.error) / max(s.repeat or 0.0, 0.02))
    return table(
        ("run", "at", "quantity", "forecast", "measured", "error", "two equal runs"),
        (
            [s.run, s.part, s.quantity, number(s.forecast), number(s.measured), percent(s.error), size(s.repeat)]
            for s in ordered[:count]
        ),
    )
