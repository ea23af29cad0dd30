"""docs/accuracy.md: tables and plain words from scores. Nothing here calculates a forecast."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from benchmarks.accuracy import machines
from benchmarks.accuracy.everything import Everything, by_step
from benchmarks.accuracy.folds import Fold
from benchmarks.accuracy.lab_scores import SET, Sway
from benchmarks.accuracy.published import Row
from benchmarks.accuracy.score import Score, Summary, middle, summarise

KNOBS = "fit-pipe-8-partitions-4s"  # the one run whose knobs no other run shares
FINDINGS = Path(__file__).parent / "findings.md"
GOALS = {"batch time, median": 0.10, "latency p50": 0.15, "latency p99": 0.30, "log bytes per record": 0.03,
         "index bytes per JSON byte": 0.10}  # fmt: skip


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


def sway_table(found: Sequence[Sway]) -> str:
    """What the leaking priors could do to a left-out run's median batch time."""
    return table(
        ("left out", "coefficient", "error at its low end", "as forecast", "at its high end"),
        ([s.run, f"`{s.coefficient}`", percent(s.low), percent(s.as_is), percent(s.high)] for s in found),
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


def rows_table(rows: Sequence[Row]) -> str:
    """Published rows, group by group."""
    parts = []
    for group in dict.fromkeys(r.group for r in rows):
        mine = [r for r in rows if r.group == group]
        parts.append(f"**{group}**")
        parts.append(
            table(
                ("row", "quantity", "forecast", "measured", "error"),
                (
                    [
                        r.name,
                        r.quantity,
                        number(r.forecast),
                        f"{number(r.measured)} {r.unit}".removesuffix(" 1"),
                        percent(r.error),
                    ]
                    for r in mine
                ),
            )
        )
    return "\n\n".join(parts)


def bounds_table(rows: Sequence[Row]) -> str:
    """Limits, and how much of them was used."""
    return table(
        ("row", "at most", "measured", "of the limit"),
        ([r.name, number(r.forecast), f"{number(r.measured)} {r.unit}", size(r.measured / r.forecast)] for r in rows),
    )


def headline(found: Everything) -> str:
    """The left-out laboratory runs by quantity, beside repeatability, goal and baselines."""
    rows = []
    for s in summarise(by_step(found.lab.left_out)):
        goal = GOALS.get(s.quantity)
        rows.append([
            s.quantity, size(s.median), size(s.worst), size(s.repeat), "–" if goal is None else f"{100 * goal:.0f} %",
            size(s.last), size(s.ten_lines),
        ])  # fmt: skip
    return table(
        ("quantity", "median error", "largest", "two equal runs", "goal on the test set", "last value", "a + b·n"), rows
    )


def winners(scores: Sequence[Score]) -> str:
    """Where a baseline is nearer than the forecast, over the rows that have both; in words."""
    told = []
    for name, other in (("ten lines", "ten_lines"), ("the last value", "last")):
        won, lost = [], []
        for quantity in dict.fromkeys(s.quantity for s in scores):
            mine = [s for s in scores if s.quantity == quantity and getattr(s, other) is not None]
            if mine:
                ours = middle(abs(s.error) for s in mine)
                theirs = middle(abs(s.error_of(getattr(s, other))) for s in mine)
                (won if theirs < ours else lost).append(f"{quantity} ({size(theirs)}, ours {size(ours)})")
        beaten = f"; Floodmark is nearer in {', '.join(lost)}" if lost else ""
        told.append(f"{name[:1].upper()}{name[1:]}: nearer in {', '.join(won) or 'nothing'}{beaten}.")
    return " ".join(told)


def lab_text(found: Everything) -> str:
    """The laboratory's part of the page."""
    lab = found.lab
    inside, total = spread(lab.left_out)
    return f"""## Laboratory: experiments left out of the fit that forecasts them

Coefficients are fitted again without the experiment (and without its repeat), which is then forecast from its settings
and due times alone. `fit-pipe-8-partitions-4s` left out is an extrapolation of knobs: 8 partitions, 400 B, trigger 4 s
and bulks of 250 from runs with 4 partitions, 800 B, 2 s and bulks of 1,000. The others are left out in the same way.
{inside} of {total} measured batch times and latencies lie within the 5 to 95 % of the seeds, which vary noise and
phases only and no coefficient.

{summary(by_step(lab.left_out))}

On the rows that have both, median error in size. {winners(by_step(lab.left_out))}

A fold is not wholly blind where a coefficient stays at a generic value that came from all laboratory runs:

{leaks(lab.folds)}

What those priors could do to the median batch time of the whole run, each at the ends of its interval (from 1 % on):

{sway_table(lab.sways)}

The knob extrapolation by itself:

{summary(by_step([s for s in lab.left_out if s.run == KNOBS]))}

Largest misses, over what two equal runs differ by:

{largest(by_step(lab.left_out))}

{per_run(lab.left_out, lambda name: f"### {name}, left out")}

## Laboratory: in sample

The same runs with the packaged set `{SET}`, which was fitted to them: how well the laws can follow the data at all.
This is no test.

{summary(by_step(lab.fitted))}

On the rows that have both, median error in size. {winners(by_step(lab.fitted))}

{per_run(lab.fitted, lambda name: f"### {name}, in sample")}"""


def published_text(found: Everything) -> str:
    """Published rows by role."""
    by_role = {role: [r for r in found.rows if r.role == role] for role in ("test", "fit", "identity", "bound")}
    return f"""## Published measurements: test rows

No coefficient was taken from these. Rows of a corpus on other machines, with other copies, shards and clients, run
through the simulator with one cost ratio a corpus. Kafka's latency comes from the exact front; runs with a flush for
every message are left out, because the model has none. Remote-store rows serve as "no replica work" only. http_logs
has no test row: what else is published on it states no hardware, or ran beside heavy aggregations.

{rows_table(by_role["test"])}

## Published measurements: rows that coefficients were taken from

{rows_table(by_role["fit"])}

## Identities: arithmetic, not accuracy

Both sides come from the same run's numbers.

{rows_table(by_role["identity"])}

## Bounds

LinkedIn 2014 against one 1-gigabit card a host, followers keeping up. Over the limit, followers cannot have kept up
(the row's producers did not wait for them), or a host had more than that one card.

{bounds_table(by_role["bound"])}"""


def machines_text(pairs: Sequence[machines.Pair]) -> str:
    """Machine pairs and the scaling interval."""
    if not pairs:
        return "## From machine to machine\n\nNot scored in a quick run."
    head = ("from", "to", "measured ratio", "CoreMark arithmetic", "its residual", "simulator", "its residual")
    body = (
        [f"{p.source} ({p.machines[0]})", f"{p.target} ({p.machines[1]})", number(p.measured), number(p.arithmetic),
         f"{p.residual(p.arithmetic):+.2f}", number(p.simulated), f"{p.residual(p.simulated):+.2f}"]
        for p in pairs
    )  # fmt: skip
    found = machines.sigmas(pairs)
    told = ", ".join(f"{name} {v:.2f} ({low:.2f} to {high:.2f})" for name, (v, low, high) in found.items())
    return f"""## From machine to machine

Throughput of one corpus on two EC2 machines, total of the cluster, CPU carried by CoreMark a core. Residual is the
logarithm of measured over forecast. Versions, shards and clients differ within a pair too, and the m5 rows had eight
clients for ten nodes, so this bounds the error of scaling from above. Over the three independent pairs its sigma
(`hosts.speed_residual_sigma`) is: {told}.

{table(head, body)}"""


def log_text(log: Sequence[Mapping[str, str]]) -> str:
    """Every scoring so far."""
    if not log:
        return "## Scorings\n\nNone yet."
    names = list(log[-1])
    return f"""## Scorings

Median errors in per cent. A test set that is scored often turns into a fit set; this is how often, and with what.

{table(names, ([row.get(name, "") for name in names] for row in log))}"""


def text(found: Everything, log: Sequence[Mapping[str, str]]) -> str:
    """The page."""
    return f"""# Accuracy: forecast beside measured

Generated by `make accuracy`; do not edit. Errors are forecast over measured, less one. *Two equal runs* is how far one
experiment and its repeat an hour later differ: an error below it means nothing. *Without constants* is the error after
half the trigger and half the refresh interval, which configuration alone gives, are taken from both. *Last value* and
*a + b·n* are the errors of two baselines: the step measured last before, and ten lines of arithmetic. Where a baseline
wins, it says so. No run named `test-…` exists yet, so the goals of the test set are printed beside experiments that
were left out of the fit in turn. The line *a + b·n* knows records only, so it fails where partitions or the trigger
change; in sample, where they do not, it is nearer in batch time than Floodmark (below).

{headline(found)}

## What explains the largest misses

{FINDINGS.read_text(encoding="utf-8").strip()}

{lab_text(found)}

{published_text(found)}

{machines_text(found.pairs)}

{log_text(log)}
"""
