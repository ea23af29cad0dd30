"""Goals, and how a quantity's errors are judged by them: which rule was applied to how many rows, in words.

A quantity reaches its goal where its median error does. Catching up has a limit for each row, and most rows have to be
within theirs: 15 %, or one trigger, where the stack is at most half busy while it catches up; where it is busier an
error of its speed counts mu / (mu - lambda) times, and so does the limit. No goal is claimed that equal runs do not
reach: that is said instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from calibration.lab import LabRun
from planner.backtest import highest
from planner.backtest_overload import TIERS, tier
from planner.backtest_score import Score, middle
from planner.backtest_tell import size
from planner.backtest_values import BATCH, CATCH_UP, INDEX_BYTES, LOG_BYTES, SUSTAINED, catch_up_use

GOALS = {BATCH: 0.10, "latency p50": 0.15, "latency p99": 0.30, CATCH_UP: 0.15, LOG_BYTES: 0.03, INDEX_BYTES: 0.10,
         "resident bytes": 0.10, "heap bytes": 0.10}  # fmt: skip
SUSTAINED_GOALS = {"1.5×": 0.10, "2×": 0.15, "3×": 0.30}  # by tier
BUSY = 0.5  # utilisation up to which one trigger is forgiven in catching up
PLAIN, TRIGGER, SLOW = "15 %", "one trigger at utilisation ≤ 0.5", "15 % × μ/(μ-λ) above it"


@dataclass(frozen=True)
class Limit:
    """How far one row may be off [of the measured], and the rule that says so."""

    most: float
    rule: str


@dataclass(frozen=True)
class Verdict:
    """A quantity's goal judged: the words of it, and whether it is reached; None where no goal can be claimed."""

    words: str
    reached: bool | None


def goal_of(quantity: str) -> float | None:
    """The goal of a quantity as printed [of the measured]; None for one without."""
    if quantity.startswith(SUSTAINED):
        return next((g for t, g in SUSTAINED_GOALS.items() if quantity.endswith(t)), None)
    return next((g for q, g in GOALS.items() if quantity.startswith(q)), None)


def with_tiers(scores: Sequence[Score], runs: Mapping[str, LabRun], fitted: Sequence[LabRun]) -> list[Score]:
    """Sustainable throughput named by its kind of load: the measured rate over the highest that was fitted."""
    found = []
    for s in scores:
        if s.quantity.startswith(SUSTAINED) and not s.quantity.endswith(tuple(TIERS)) and s.run in runs:
            s = replace(s, quantity=f"{s.quantity}, at {tier(s.measured, highest(runs[s.run], fitted))}")
        found.append(s)
    return found


def limit(score: Score, goal: float, runs: Mapping[str, LabRun]) -> Limit:
    """What a row may be off by; catching up has rules of its own."""
    run = runs.get(score.run)
    if not score.quantity.startswith(CATCH_UP) or run is None:
        return Limit(goal, f"{100 * goal:.0f} %")
    use = catch_up_use(run).get(score.quantity, 1.0)
    if use > BUSY:
        return Limit(goal / max(1 - use, 1e-6), SLOW)
    trigger = run.experiment.trigger_seconds / score.measured
    return Limit(trigger, TRIGGER) if trigger > goal else Limit(goal, PLAIN)


def judged(scores: Sequence[Score], runs: Mapping[str, LabRun]) -> Verdict:
    """One quantity's rows against its goal."""
    goal = goal_of(scores[0].quantity)
    if goal is None:
        return Verdict("–", None)
    limits = [limit(s, goal, runs) for s in scores]
    within = [abs(s.error) <= one.most for s, one in zip(scores, limits, strict=True)]
    reached = middle(abs(s.error) for s in scores) <= goal
    told = f"{100 * goal:.0f} %"
    if scores[0].quantity.startswith(CATCH_UP):
        reached = 2 * sum(within) > len(within)
        rules = list(dict.fromkeys(one.rule for one in limits))
        by = [(rule, [ok for ok, one in zip(within, limits, strict=True) if one.rule == rule]) for rule in rules]
        told += f" ({'; '.join(f'{sum(ok)} of {len(ok)} within {rule}' for rule, ok in by)})"
    repeat = middle(float("nan") if s.repeat is None else s.repeat for s in scores)
    if repeat > goal:
        return Verdict(f"{told}: not claimed, equal runs differ by {size(repeat)}", None)
    return Verdict(f"{told}: {'reached' if reached else 'MISSED'}", reached)
