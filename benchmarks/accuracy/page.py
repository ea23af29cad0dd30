"""docs/accuracy.md: tables and plain words from scores. Nothing here calculates a forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.accuracy import machines, memory_rows
from benchmarks.accuracy.everything import Everything
from benchmarks.accuracy.folds import Fold
from benchmarks.accuracy.lab_scores import SET, Sway, flat
from benchmarks.accuracy.page_test import by_step, goal_table, headline_scores, test_text, winners_text
from benchmarks.accuracy.published import Row
from models.coefficients import load_set
from planner.backtest_tell import largest, number, per_run, percent, size, summary, table, ways_table

KNOBS = "fit-pipe-8-partitions-4s"  # the one run whose knobs no other run shares
FINDINGS = Path(__file__).parent / "findings.md"


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
    """The test set by quantity, beside repeatability and goal."""
    return goal_table(headline_scores(found.lab.test))


def lab_text(found: Everything) -> str:
    """The laboratory's part of the page."""
    lab = found.lab
    left, fitted = by_step(flat(lab.left_out)), by_step(flat(lab.fitted))
    return f"""## Laboratory: experiments left out of the fit that forecasts them

Coefficients are fitted again without the experiment (and without its repeat), which is then forecast from its settings
and due times alone. `fit-pipe-8-partitions-4s` left out is an extrapolation of knobs: 8 partitions, 400 B, trigger 4 s
and bulks of 250 from runs with 4 partitions, 800 B, 2 s and bulks of 1,000. The others are left out in the same way.

{summary(left)}

{winners_text(left)}

Given more, as above:

{ways_table(lab.left_out)}

A fold is not wholly blind where a coefficient stays at a generic value that came from all laboratory runs:

{leaks(lab.folds)}

What those priors could do to the median batch time of the whole run, each at the ends of its interval (from 1 % on):

{sway_table(lab.sways)}

The knob extrapolation by itself:

{summary([s for s in left if s.run == KNOBS])}

Largest misses, over what two equal runs differ by:

{largest(left)}

{per_run(flat(lab.left_out), lambda name: f"### {name}, left out")}

## Laboratory: in sample

The same runs with the packaged set `{SET}`, which was fitted to them: how well the laws can follow the data at all.
This is no test.

{summary(fitted)}

{winners_text(fitted)}

{per_run(flat(lab.fitted), lambda name: f"### {name}, in sample")}"""


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
experiment and its repeat, one to four hours later, differ: an error below it means nothing, and no goal is claimed
below it. *Without constants* is the error after half the trigger and half the refresh interval, which configuration
alone gives, are taken from both. *Last value*, *a + b·n* and *static rule* are the errors of three baselines: the step
measured last before, ten lines of arithmetic, and the rules that sizers publish. Where a baseline wins, it says so.

{test_text(found.lab, load_set(SET), found.loops)}

## What explains the largest misses

{FINDINGS.read_text(encoding="utf-8").strip()}

{lab_text(found)}

{published_text(found)}

{machines_text(found.pairs)}

{memory_rows.section(list(memory_rows.rows())).strip()}

{log_text(log)}
"""
