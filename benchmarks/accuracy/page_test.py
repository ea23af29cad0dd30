"""The page's first part: the test set, forecast blind, with goals, baselines, kinds of extrapolation and intervals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from benchmarks.accuracy.goals import judged, with_tiers
from benchmarks.accuracy.lab_scores import LabScores, flat, recorded, tested
from benchmarks.accuracy.plots import Point, scatter
from benchmarks.accuracy.published import Row
from calibration.lab import LabRun, whole_batches
from calibration.noise import equal_runs
from planner.backtest import DISTURBED, KNOBS, LOAD, Scored, highest, off_the_knobs, on_priors
from planner.backtest_baselines import kind
from planner.backtest_score import Score, coverage, summarise
from planner.backtest_tell import (
    HOPS,
    coverage_table,
    largest,
    number,
    pairs,
    pairs_table,
    per_run,
    percent,
    size,
    summary,
    table,
    ways_table,
)
from planner.backtest_values import BATCH, SUSTAINED, seen

LEAST_BATCHES = 300  # that a headline pools
SUSTAINED_WORDS = """Sustainable throughput: full batches back to back under more than they can carry, records over the
time between their starts. *Same statistic* simulates the run as it was, from cold; *as stated* is the rate that
`floodmark forecast` states for the same settings, the highest whose lag does not grow."""
PLOTS = Path(__file__).parents[2] / "docs" / "accuracy"


def by_step(scores: Sequence[Score]) -> list[Score]:
    """Scores of steps, and of the whole run where steps have none."""
    stepped = {(s.run, s.quantity) for s in scores if s.part != "all"}
    return [s for s in scores if s.part != "all" or (s.run, s.quantity) not in stepped]


def headline_scores(found: Sequence[Scored]) -> list[Score]:
    """The blind scores of the test set beyond the fit, by step."""
    return by_step([s for one in found for s in one.headline])


def batches(found: Sequence[Scored]) -> int:
    """Measured batches that the scores of these runs rest on."""
    runs = [one.run for one in found if one.scores]
    return sum(len(whole_batches(run, step)) for run in runs for step in run.steps())


def goal_table(scores: Sequence[Score]) -> str:
    """Errors by quantity beside repeatability, goal and baselines."""
    rows, known = [], _runs()
    scores = with_tiers(scores, known, recorded())
    for s in summarise(scores):
        told = judged([x for x in scores if x.quantity == s.quantity], known).words
        rows.append([s.quantity, str(s.count), size(s.median), size(s.worst), percent(s.bias), size(s.repeat), told,
                     size(s.bare)])  # fmt: skip
    head = ("quantity", "rows", "median error", "largest", "bias", "two equal runs", "goal", "without constants")
    return table(head, rows)


def _runs() -> dict[str, LabRun]:
    return {run.name: run for run in tested()}


def sustained_table(found: Sequence[Scored]) -> str:
    """Sustainable throughput run by run: what full batches carried, its multiple of the highest fitted rate, both
    forecasts of it, goal and baselines."""
    rows, known = [], _runs()
    scores = [s for s in flat(found) if s.quantity.startswith(SUSTAINED)]
    for s in with_tiers(scores, known, recorded()):
        run, label = known[s.run], s.quantity.removeprefix(SUSTAINED).removeprefix(", ")
        multiple = f"{s.measured / highest(run, recorded()):.1f} × the highest fitted, {label.split('at ')[-1]}"
        what = "as stated (search, warm)" if label.startswith("as stated") else "same statistic, as cold"
        ends = "–" if s.low is None else f"{number(s.low)} – {number(s.high)}{'' if s.inside else ' ✗'}"
        rows.append([f"{s.run} {s.part}", multiple, what, number(s.forecast), ends, f"{number(s.measured)} 1/s",
                     percent(s.error), judged([s], known).words, percent(s.error_of(s.last)),
                     percent(s.error_of(s.ten_lines))])  # fmt: skip
    head = ("overload", "load", "forecast", "records/s", "90 %", "measured", "error", "goal", "last value", "a + b·n")
    return table(head, rows) if rows else ""


def repeats_table(runs: Sequence[LabRun]) -> str:
    """How far equal runs lie apart: the pairs, and by quantity the median and the largest difference of their parts."""
    pairs_ = equal_runs(runs)
    names = ", ".join(f"`{b.name}` after {(b.start - a.start) / 3600:.1f} h" for a, b in pairs_)
    apart: dict[str, list[float]] = {}
    for a, b in pairs_:
        one, other = seen(a), seen(b)
        for key in (key for key in one if key in other and one[key].value):
            apart.setdefault(key[1], []).append(abs(other[key].value / one[key].value - 1))
    rows = [[q, str(len(x)), size(median(x)), size(max(x))] for q, x in apart.items()]
    return f"{names}.\n\n{table(('quantity', 'parts', 'median difference', 'largest'), rows)}"


def strata(found: Sequence[Scored], c: object) -> tuple[list[Score], list[Score]]:
    """Headline scores of runs whose axes the fit varied, and of those that rest on priors in some."""
    from models.coefficients import CoefficientSet

    assert isinstance(c, CoefficientSet)
    varied = [one for one in found if not one.refused and not on_priors(one.run, c)]
    priors = [one for one in found if not one.refused and on_priors(one.run, c)]
    return headline_scores(varied), headline_scores(priors)


def differences(test: Sequence[Scored], fitted: Sequence[Scored]) -> str:
    """Error of the *difference* that knobs make, against the fit run of that kind at the nearest rate.

    Both are forecast with one set; what they share cancels. The error is over the measured reference.
    """
    rows = []
    for one in (one for one in test if KNOBS in one.kinds.values() and one.scores):
        alike = [r for r in fitted if kind(r.run) == kind(one.run)]
        for s in (s for s in one.scores if s.quantity in (BATCH, "latency p50") and s.part != "all"):
            near = [(abs(_rate(o.part) - _rate(s.part)), o) for r in alike for o in r.scores
                    if o.quantity == s.quantity and o.part != "all"]  # fmt: skip
            if not near:
                continue
            o = min(near, key=lambda pair: pair[0])[1]
            told, seen = s.forecast - o.forecast, s.measured - o.measured
            rows.append([f"{s.run} {s.part} against {o.run} {o.part}", s.quantity, number(told), number(seen),
                         percent((told - seen) / o.measured)])  # fmt: skip
    head = ("knobs changed", "quantity", "difference forecast [s]", "measured [s]", "error over the reference")
    return table(head, rows) if rows else "No test run changes knobs."


def _rate(part: str) -> float:
    return float(part.split("/")[0])


def load_text(held: Sequence[Scored]) -> str:
    """Parts of fit runs above the load that lies before them, forecast from a fit that ends there."""
    above = [s for one in held for s in one.scores if one.kinds.get(s.part) == LOAD]
    if not above:
        return "No part lies above the load before it."
    names = ", ".join(f"`{s}`" for s in dict.fromkeys(f"{s.run} {s.part}" for s in above))
    what = (
        "The last third of each fit run is held out and forecast from a fit to what lies before (its warm-up counts)."
    )
    return f"{what}\nAbove the load before it lie {names}.\n\n{summary(above)}"


def kinds_text(
    found: Sequence[Scored], fitted: Sequence[Scored], loops: Sequence[Row], held: Sequence[Scored]
) -> str:  # fmt: skip
    """The kinds of extrapolation, apart."""
    runs = recorded()
    parts = []
    for name, title in ((KNOBS, "Knobs"), (LOAD, "Load"), (DISTURBED, "Disturbances")):
        mine = [one for one in found if name in one.kinds.values()]
        scores = by_step([s for one in mine for s in one.scores if one.kinds.get(s.part) == name])
        refused = [f"- `{one.run.name}`: not forecast: {'; '.join(one.refused)}" for one in mine if one.refused]
        parts.append(f"### {title}")
        parts += [_what(mine, runs, name)] if mine else ["No test run of this kind."]
        parts += ["\n".join(refused)] if refused else []
        parts += [summary(scores)] if scores else []
        if name == KNOBS and scores:
            parts += ["The error of the difference alone:", differences(found, fitted)]
        if name == LOAD:
            over = sustained_table(found)
            parts += [f"{SUSTAINED_WORDS}\n\n{over}"] if over else []
            parts += [load_text(held), *([_loops_table(loops)] if loops else [])]
    parts += ["### Machines", "Published rows on other machine types; see *From machine to machine* below."]
    return "\n\n".join(parts)


def _what(found: Sequence[Scored], runs: Sequence[LabRun], name: str) -> str:
    lines = []
    for one in found:
        off = off_the_knobs(one.run, runs)
        most = highest(one.run, runs)
        rates = [r for _, r in one.run.experiment.plan]
        load = f"up to {max(rates) / most:.2g} × the highest fitted rate" if rates and most else "no fitted rate"
        done = ", ".join(d["kind"] for d in one.run.experiment.disturb) or "a burst" if name == DISTURBED else ""
        told = "; ".join(filter(None, [", ".join(off), load, done]))
        lines.append(f"- `{one.run.name}`: {told}")
    return "\n".join(lines)


def _loops_table(loops: Sequence[Row]) -> str:
    rows = ([r.name, number(r.forecast), f"{number(r.measured)} {r.unit}", percent(r.error)] for r in loops)
    return table(("closed loop on the index", "forecast", "measured", "error"), rows)


def plots(found: Sequence[Scored]) -> dict[str, str]:
    """SVG texts by file name: forecast beside measured with intervals, batch time and latency."""
    scores = by_step(flat(found))
    made = {}
    for name, chosen, unit in (
        ("batch-time", (BATCH,), "s"),
        ("latency", ("latency p50", "latency p99"), "s"),
        ("cpu", ("CPU of kafka", "CPU of search", "CPU of spark"), "cores"),
    ):
        points = [Point(s.measured, s.forecast, s.run.removeprefix("test-"), s.low, s.high, s.inside is not False)
                  for s in scores if s.quantity in chosen]  # fmt: skip
        text = scatter(points, f"measured [{unit}]", f"forecast [{unit}]")
        if text:
            made[f"{name}.svg"] = text
    return made


def intervals_text(lab: LabScores) -> str:
    """Coverage of the test set and of the experiments left out, and by quantity."""
    test, left = flat(lab.test), flat(lab.left_out)
    groups: dict[str, Sequence[Score]] = {"test set, all": test, "left out in turn, all": left}
    for quantity in dict.fromkeys(s.quantity for s in test):
        groups[f"test set, {quantity}"] = [s for s in test if s.quantity == quantity]
    return coverage_table(groups)


def winners_text(scores: Sequence[Score]) -> str:
    """Where a baseline is nearer, in words."""
    rows = pairs(scores)
    lost = [f"{name} ({theirs} to our {ours})" for name, _, ours, theirs, nearer in rows if nearer != "forecast"]
    often = [f"{name} ({won} ours)" for name, won, *_, nearer in rows if nearer == "forecast" and _seldom(won)]
    told = (
        f"A baseline's median is nearer in: {'; '.join(lost)}."
        if lost
        else "No baseline's median is nearer in anything."
    )
    return told + (f" A baseline is nearer in most runs in: {'; '.join(often)}." if often else "")


def _seldom(won: str) -> bool:
    """Whether "2 of 5" is less than half."""
    ours, of = (int(x) for x in won.split(" of "))
    return 2 * ours < of


def test_text(lab: LabScores, c: object, loops: Sequence[Row]) -> str:
    """The test set's part of the page."""
    if not lab.test:
        return "## The test set\n\nNot scored."
    scores = headline_scores(lab.test)
    varied, priors = strata(lab.test, c)
    pooled, whole = batches(lab.test), coverage(flat(lab.test))
    enough = "" if pooled >= LEAST_BATCHES else f" (fewer than the {LEAST_BATCHES} that a headline should pool)"
    held = f"{whole.share:.0%} ({whole.low:.0%} to {whole.high:.0%})" if whole else "–"
    hops = [s for s in flat(lab.test) if s.quantity in HOPS]
    figures = "\n".join(f"![{name.removesuffix('.svg')}](accuracy/{name})" for name in plots(lab.test))
    return f"""## The test set: blind

{len([one for one in lab.test if one.scores])} runs recorded after the fit, never fitted to: {pooled} batches{enough}.
Forecast from settings and due times alone; parts within the fitted load and knobs are interpolation and not
in this table. 90 % intervals held {held} of the measurements, counted by run.

{goal_table(scores)}

{figures}

Forecast beside measured; whiskers are the 90 % interval, hollow points lie outside theirs.

### Two strata

Axes that the fit varied (the goals speak of these):

{goal_table(varied) if varied else "No run."}

Axes that rest on priors in something (only the interval speaks of these):

{goal_table(priors) if priors else "No run."}

### Beside the baselines, paired by run

{winners_text(by_step(flat(lab.test)))}

{pairs_table(by_step(flat(lab.test)))}

### How far equal runs lie apart

{repeats_table([*recorded(), *tested()])}

### By hop

{summary(hops)}

### Given more: where the error sits

*Batch time from measured records* asks only the laws, *latency from measured batch times* only the path.

{ways_table(lab.test)}

## Extrapolation, kind by kind

{kinds_text(lab.test, lab.fitted, loops, lab.load)}

## Intervals

{intervals_text(lab)}

## The test set, run by run

Largest misses, over what two equal runs differ by:

{largest(by_step(flat(lab.test)))}

{per_run(flat(lab.test), lambda name: f"### {name}")}"""
