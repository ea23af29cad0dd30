"""Back-test: recorded runs forecast blind, beside what was measured, what has to be beaten, and an interval.

A run is scored three ways. *Batch time from measured records* takes the records that each batch really had and asks
the laws only for its length; *latency from measured batch times* takes the batches as they were and asks only for the
way to the poll that saw a record (`backtest_ways`). *Blind* knows settings and due times only; it alone is the
headline. A part whose load and settings lie within what the fit saw is called interpolation and kept out of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from calibration.lab import LabRun
from calibration.noise import equal_runs
from models.coefficients import CoefficientSet
from planner.backtest_baselines import kind, last_values, static_rules, ten_lines
from planner.backtest_forecast import Forecast, Key, foreseen, interval
from planner.backtest_scenario import scenario_of, unlike
from planner.backtest_score import Score
from planner.backtest_values import Value, backlogs, overloads, part_names, seen
from planner.domain import measured_ranges
from planner.uncertainty import Z, model_law, model_sigma

DISTURBANCES = {"job_stop": "restart", "index_block": "block", "broker_kill": "broker kill", "search_kill": "node kill"}
LOAD, KNOBS, DISTURBED, WITHIN = "load", "knobs", "disturbances", "interpolation"


@dataclass(frozen=True)
class Scored:
    """One run's scores by way, how it lies to the fit, and its forecast; `refused` says why there is none."""

    run: LabRun
    scores: list[Score]
    kinds: Mapping[str, str]
    forecast: Forecast | None = None
    refused: tuple[str, ...] = ()
    ways: Mapping[str, list[Score]] = field(default_factory=dict)

    @property
    def headline(self) -> list[Score]:
        """The blind scores of parts that the fit does not enclose."""
        return [s for s in self.scores if self.kinds.get(s.part, WITHIN) != WITHIN]


def repeats(runs: Sequence[LabRun]) -> dict[Key, float]:
    """Relative difference of equal runs, by part and quantity, and by ("", quantity) its mean over steps."""
    found: dict[Key, list[float]] = {}
    for one, other in equal_runs(runs):
        a, b = seen(one), seen(other)
        for key in (key for key in a if key in b and a[key].value):
            found.setdefault(key, []).append(abs(b[key].value / a[key].value - 1))
    mean = {key: sum(x) / len(x) for key, x in found.items()}
    for quantity in {q for _, q in mean}:
        steps = [v for (part, q), v in mean.items() if q == quantity and part != "all"]
        mean["", quantity] = sum(steps) / len(steps) if steps else mean["all", quantity]
    return mean


def kinds_of(run: LabRun, fitted: Sequence[LabRun]) -> dict[str, str]:
    """By part of a run, how it lies to the fit: something was done to it, knobs that no fit run had, load above the
    highest fitted or above what the stack carries, or within all that."""
    names = part_names(run)
    if run.experiment.disturb or backlogs(run):
        return dict.fromkeys([*names, "all"], DISTURBED)
    if over := [name for name, _ in overloads(run)]:
        return dict.fromkeys(names, KNOBS) | dict.fromkeys([*over, "all"], LOAD)
    if off_the_knobs(run, fitted):
        return dict.fromkeys([*names, "all"], KNOBS)
    most = highest(run, fitted)
    by_part = {n: LOAD if step.rate > 1.001 * most else WITHIN for n, step in zip(names, run.steps(), strict=True)}
    return by_part | {"all": LOAD if LOAD in by_part.values() else WITHIN}


def highest(run: LabRun, fitted: Sequence[LabRun]) -> float:
    """Highest rate at which a fit run of that kind stood, warm-ups too [1/s]; 0 without one."""
    alike = [r.experiment for r in fitted if kind(r) == kind(run) and r.experiment.kind == run.experiment.kind]
    return max((rate for e in alike for rate in (*(r for _, r in e.plan), e.warm_rate)), default=0.0)


def settings(run: LabRun) -> dict[str, float | str]:
    """The knobs of a run that the fit may have seen at other values."""
    e = run.experiment
    return {
        "record bytes": e.record_bytes, "partitions": float(e.partitions), "trigger": e.trigger_seconds,
        "bulk": float(e.bulk_documents) if e.sink == "bulk" else 0.0, "cores": float(e.cores),
        "state partitions": float(e.state_partitions), "clients": float(e.clients), "copies": float(e.copies),
        "refresh": e.refresh_seconds, "compression": e.compression, "acks": e.acks, "sink": e.sink, "tls": str(e.tls),
        "writers": float(e.writers), "cap": float(e.max_offsets), "codec": e.codec, "product": e.product,
    }  # fmt: skip


def off_the_knobs(run: LabRun, fitted: Sequence[LabRun]) -> list[str]:
    """The knobs at which no fit run of that kind stood, each with its values."""
    alike = [settings(r) for r in fitted if kind(r) == kind(run) and r.experiment.kind == run.experiment.kind]
    mine = settings(run)
    return [f"{n} = {v:g}" if isinstance(v, float) else f"{n} = {v}" for n, v in mine.items()
            if v not in {other[n] for other in alike}]  # fmt: skip


def on_priors(run: LabRun, c: CoefficientSet) -> list[str]:
    """The axes of a run that the fit did not vary: it stands where the set has no range, or outside a single value."""
    if unlike(run):
        return unlike(run)
    rows = measured_ranges(scenario_of(run), c)
    found = [row["quantity"] for row in rows if row["domain"] != "measured" and _single(row["measured"])]
    return found + [DISTURBANCES[d["kind"]] for d in run.experiment.disturb]


def _single(measured: list[float] | None) -> bool:
    return measured is None or measured[0] == measured[1]


def scored(
    run: LabRun, c: CoefficientSet, runs: Sequence[LabRun], fitted: Sequence[LabRun], seeds: Sequence[int],
    count: int = 0,
) -> Scored:  # fmt: skip
    """One run forecast blind and scored. `runs` are all that is known of (repeatability, last value), `fitted` those
    that the coefficients, and so the ten lines, were taken from; `count` draws of coefficients make the interval."""
    kinds = kinds_of(run, fitted)
    if reasons := unlike(run):
        return Scored(run, [], kinds, refused=tuple(reasons))
    forecast, measured = foreseen(run, c, seeds, count), seen(run)
    spread, known = repeats(runs), [r for r in runs if r.start <= run.start]
    others = (last_values(run, known), ten_lines(run, fitted), static_rules(run))
    scores = [_score(run, key, value, forecast, c, spread, others, bool(count)) for key, value in measured.items()
              if key in forecast.values]  # fmt: skip
    return Scored(run, scores, kinds, forecast)


def _score(
    run: LabRun, key: Key, value: Value, forecast: Forecast, c: CoefficientSet, spread: Mapping[Key, float],
    others: Sequence[Mapping[Key, Value]], with_interval: bool,
) -> Score:  # fmt: skip
    e, quantity = run.experiment, value.quantity
    constant = 0.5 * (e.trigger_seconds + e.refresh_seconds) if quantity.startswith("latency") else 0.0
    told = forecast.values[key].value
    low, high = forecast.low.get(key), forecast.high.get(key)
    if with_interval and model_law(quantity):
        low, high = interval(told, forecast.spread(key), model_sigma(c, quantity), Z)
    last, lines, rule = (other[key].value if key in other else None for other in others)
    same = spread.get(key, spread.get(("", quantity)))
    return Score(
        run.name, value.part, quantity, value.unit, told, value.value, constant, same, last, lines, low, high, rule
    )
