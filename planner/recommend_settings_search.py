"""The search over settings: screened as arrays, the least CPU first; what is within the screen's error is simulated.

One flow's values are gone through whole. With several, all flows are first moved together, then each in turn with the
others as they are, until none moves: a flow's settings hang on the others' only by the cores that these leave it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.candidates_wants import Wants
from planner.recommend_search import COMFORT, Bias, Table, chance, margins, most_to_win, plausible
from planner.recommend_settings import (
    NAMES,
    Choice,
    Held,
    Neighbour,
    Setting,
    SettingsAdvice,
    applied,
    choice_of,
    cores_of,
    domain_at,
    least_cap,
    rank,
)
from planner.recommend_stack import at_rates
from planner.recommend_trial import Trials, upper
from simulator.screen import screen
from simulator.screen_numbers import Numbers, numbers_of

Array = np.ndarray[Any, np.dtype[Any]]

PARTITIONS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
TRIGGERS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0)  # [s]; those below the p99
BULKS = (100, 250, 500, 1000, 2000, 4000)
WRITERS = (1, 2, 4)
CAPS = (1.5, 2.0, 3.0, 5.0, 8.0)  # times what a batch at the peak takes
ROUNDS = 3  # of the flows in turn
LEAST_SAVING = 0.003  # of all cores: nobody changes a setting for less
BESIDE = 8  # tried for a runner-up
PARTS = ("partitions", "bulk", "shuffles")  # settings that costs hang on by a law; the others are plain numbers:
PLAIN: dict[str, Callable[[Setting], float]] = {
    "spark.trigger": lambda s: s.trigger,
    "spark.most": lambda s: s.cap or math.inf,
    "spark.writers": lambda s: s.writers,
}


class SettingsSearch:
    """The search on one scenario's machines at one load."""

    def __init__(
        self, scenario: Scenario, c: CoefficientSet, wants: Wants, rates: Sequence[float], trials: Trials,
        said: Callable[[str, int, int], None] = lambda *_: None, keep_state: bool = False,
    ) -> None:  # fmt: skip
        self.scenario, self.c, self.wants, self.rates, self.trials, self.said = scenario, c, wants, rates, trials, said
        self.cores, self.own, self.keep_state = cores_of(scenario, c), choice_of(scenario), keep_state
        slack = upper([1.0], trials.tail)
        less = {n: None if v is None else v / slack for n, v in (("p99", wants.p99), ("p50", wants.p50))}
        self._screen_wants = replace(wants, survive=(), p99=less["p99"], p50=less["p50"])
        self._loaded = at_rates(scenario, rates)
        self._numbers: dict[tuple[int, Any], Numbers] = {}
        self.screened = 0

    # ------------------------------------------------------------ values

    def levels(self, f: int) -> dict[str, list[Any]]:
        """The values of each setting that a flow may take; its own among them."""
        flow, own = self.scenario.flows[f], self.own[f]
        slots = self.scenario.spark.executors * self.scenario.spark.cores
        floor = self.wants.least_partitions[f]
        most = max(2 * own.partitions, 4 * slots)
        promised = self.wants.p99 or math.inf
        found: dict[str, set[Any]] = {
            "partitions": {p for p in PARTITIONS if floor <= p <= most},
            "trigger": {t for t in TRIGGERS if t < promised} if self.wants.p99 and self.wants.free_trigger else set(),
            "bulk": set(), "writers": set(), "shuffles": set(),
        }  # fmt: skip
        if flow.query.sink.kind != "noop":
            found["bulk"] = {b for b in BULKS if b * flow.workload.json_bytes <= flow.query.sink.bulk_bytes}
            found["writers"] = set(WRITERS)
        if flow.query.state is not None and not self.keep_state:
            found["shuffles"] = {max(1, slots), 2 * slots}
        if own.partitions < floor:
            found["partitions"].add(floor)
        for name, values in found.items():
            if name != "partitions" or own.partitions >= floor:
                values.add(getattr(own, name))
        return {name: sorted(values) for name, values in found.items()}

    def of_flow(self, f: int) -> list[Setting]:
        """All settings of a flow, uncapped."""
        levels = self.levels(f)
        return [Setting(cap=None, **dict(zip(levels, v, strict=True))) for v in itertools.product(*levels.values())]

    # ------------------------------------------------------------ the screen

    def screen(self, choices: Sequence[Choice]) -> Table:
        """Margins of many choices; the price is the CPU that the screen sees them take [cores]."""
        self.screened += len(choices)
        out = screen(self._joined(choices))
        count, none = len(choices), np.zeros(len(choices), dtype=np.int64)

        def wide(values: Array) -> Array:
            return np.broadcast_to(values, (count,)) if len(values) == 1 else values

        cpu = np.max([wide(out.loads[n]) for n in ("executor CPU", "data-node CPU", "broker CPU")], axis=0)
        used = self._used({name: wide(v) for name, v in out.loads.items()})
        return Table([], [], [], none, none, used, np.zeros(count), out.p99.max(axis=1), out.p50.max(axis=1),
                     out.sustainable, out.utilisation, out.binding, cpu, wide(out.loads["data-node CPU"]))  # fmt: skip

    def _used(self, loads: dict[str, Array]) -> Array:
        """CPU of all machines as the screen has it, each told by its busiest kind [cores]."""
        one = numbers_of(self._loaded, self.c) if not self._numbers else next(iter(self._numbers.values()))
        n = {name: float(one[name].ravel()[0]) for name in one if one[name].size}
        data = self._loaded
        used = loads["data-node CPU"] * n["search.all_cores"] * data.elasticsearch.data_nodes / n["search.on_host"]
        if not n["search.executors_beside"]:
            used = used + loads["executor CPU"] * n["spark.all_cores"] * data.spark.executors / n["spark.on_host"]
        if not n["search.brokers_beside"]:
            used = used + loads["broker CPU"] * n["front.all_cores"] * data.kafka.brokers
        return used

    def _joined(self, choices: Sequence[Choice]) -> Numbers:
        """Numbers of many choices: what costs hang on is read once for each distinct value, the rest is replaced."""
        flows = len(self.scenario.flows)
        columns: dict[str, list[Array]] = {}
        whole: Numbers = {}
        for f in range(flows):
            mine = [choice[f] for choice in choices]
            keys = [tuple(getattr(s, name) for name in PARTS) for s in mine]
            order = {key: n for n, key in enumerate(dict.fromkeys(keys))}
            rows = [self._of(f, key) for key in order]
            pick = np.array([order[key] for key in keys])
            for name, value in rows[0].items():
                if name in PLAIN:
                    continue
                if value.ndim > 1 and value.shape[1] == flows:
                    columns.setdefault(name, []).append(np.concatenate([row[name][:, f] for row in rows])[pick])
                else:
                    whole[name] = value
            for name, of in PLAIN.items():
                columns.setdefault(name, []).append(np.array([of(s) for s in mine], dtype=float))
        return whole | {name: np.stack(values, axis=1) for name, values in columns.items()}

    def _of(self, f: int, key: tuple[Any, ...]) -> Numbers:
        """All numbers with one flow so set."""
        if (f, key) not in self._numbers:
            changed = list(choice_of(self._loaded))
            changed[f] = replace(changed[f], **dict(zip(PARTS, key, strict=True)))
            self._numbers[f, key] = numbers_of(applied(self._loaded, tuple(changed)), self.c)
        return self._numbers[f, key]

    # ------------------------------------------------------------ which choices

    def choices(self) -> tuple[list[Choice], Table]:
        """The choices that are worth a look, and what the screen says of them."""
        flows = len(self.scenario.flows)
        if flows == 1:
            alone: list[Choice] = [(s,) for s in self.of_flow(0)]
            return alone, self.screen(alone)
        now = self._together()
        seen: dict[Choice, None] = {}
        for _ in range(ROUNDS):
            before = now
            for f in range(flows):
                mine = [(*now[:f], s, *now[f + 1 :]) for s in self.of_flow(f)]
                seen |= dict.fromkeys(mine)
                now = mine[_best(self.screen(mine), self._screen_wants)]
            if now == before:
                break
        return list(seen), self.screen(list(seen))

    def _together(self) -> Choice:
        """All flows moved alike: the same place in each one's list of values."""
        levels = [self.levels(f) for f in range(len(self.scenario.flows))]
        counts = {name: max(len(each[name]) for each in levels) for name in levels[0]}
        found = []
        for places in itertools.product(*(range(n) for n in counts.values())):
            at = dict(zip(counts, places, strict=True))
            found.append(tuple(
                Setting(cap=None, **{n: each[n][_place(k, counts[n], len(each[n]))] for n, k in at.items()})
                for each in levels
            ))  # fmt: skip
        found = list(dict.fromkeys(found))
        return found[_best(self.screen(found), self._screen_wants)]

    # ------------------------------------------------------------ deciding

    def solve(self, trials: int, seed: int) -> SettingsAdvice:
        """The choice that holds with the least CPU."""
        now = self.hold(self.own)
        out = SettingsAdvice(self.scenario, self.wants, seed, self.cores, now, None, None, [], [])
        held: list[Held] = []
        try:
            held = self._simulate(out, trials)
            if held:
                out.best, out.caps = self._capped(held[0])
                others = [h for h in held[1:] if _apart(h.choice, held[0].choice)]
                out.runner = self._capped(others[0])[0] if others else None
        except KeyboardInterrupt:
            out.interrupted = True
            out.best = out.best or (held[0] if held else None)
        out.counts = {"screened": self.screened, "simulated": self.trials.stacks, "runs": self.trials.runs}
        if out.best is not None:
            out.unmeasured = self._unmeasured(out.best)
        return out

    def hold(self, choice: Choice) -> Held:
        """A choice simulated; what follows an outage too, where it holds."""
        made = applied(self.scenario, choice)
        told = "; ".join(", ".join(f"{NAMES[n]} {s.told(n)}" for n in NAMES if n != "shuffles" or s.shuffles)
                         for s in choice)  # fmt: skip
        outcome = self.trials.hold(choice, told, made, self.wants)
        if outcome.holds and math.isnan(outcome.catch_up):
            outcome = self.trials.with_outage(choice, made, self.wants, outcome)
        return Held(choice, outcome, domain_at(self.scenario, choice, list(self.rates), self.c))

    def _simulate(self, out: SettingsAdvice, trials: int) -> list[Held]:
        """Choices that hold, best first."""
        choices, table = self.choices()
        facts = margins(table, self._screen_wants)
        score, open_ = chance(table, facts), plausible(table, facts)
        bias, held, least = Bias(), [], math.inf
        for spent in range(trials):
            left = np.flatnonzero(open_ & (table.usd < least - LEAST_SAVING * self.cores))
            out.untried = len(left)
            if len(left) == 0:
                break
            self.said(f"simulated {self.trials.stacks} settings, {len(left)} that take less are left", spent, trials)
            pick = int(left[most_to_win(table.usd[left], bias.chance(score[left]), least)])
            one = self.hold(choices[pick])
            bias.learn(float(score[pick]), one.outcome.holds)
            open_[pick] = False
            if one.outcome.holds:
                held.append(one)
                least = min(least, float(table.usd[pick]))
            else:
                out.nearest.append(one)
                open_ &= ~np.array([_worse(c, one) for c in choices])
        if held:
            held += self._beside(choices, table, open_, score, held)
        return sorted(held, key=lambda h: rank(h, self.cores, self.own))

    def _beside(
        self, choices: list[Choice], table: Table, open_: Array, score: Array, held: list[Held]
    ) -> Iterator[Held]:
        """More that hold, next in CPU and set otherwise than the best: one of them is the runner-up."""
        best = min(held, key=lambda h: rank(h, self.cores, self.own))
        if any(_apart(h.choice, best.choice) for h in held):
            return
        apart = np.array([_apart(c, best.choice) for c in choices]) & open_ & (score >= 0)
        for pick in sorted(np.flatnonzero(apart), key=lambda n: float(table.usd[n]))[:BESIDE]:
            one = self.hold(choices[int(pick)])
            if one.outcome.holds:
                yield one
                return

    def _capped(self, held: Held) -> tuple[Held, list[Held]]:
        """The same with the cap that best trades catching up against the longest batch, and all that were tried."""
        tried = [held, *(self.hold(choice) for choice in self._caps(held.choice))]
        good = [h for h in tried if h.outcome.holds]
        return min(good, key=lambda h: (h.outcome.catch_up * h.outcome.longest_batch, h.choice != held.choice)), tried

    def _caps(self, choice: Choice) -> list[Choice]:
        found = [
            tuple(replace(s, cap=least_cap(rate, s, factor)) for s, rate in zip(choice, self.rates, strict=True))
            for factor in CAPS
        ]
        own = tuple(replace(s, cap=o.cap) for s, o in zip(choice, self.own, strict=True))
        return [c for c in dict.fromkeys([*found, own]) if c != choice]

    def _unmeasured(self, best: Held) -> str:
        """What was never measured where these settings lie; '' where all was."""
        from planner.domain import measured_ranges

        scenario = at_rates(applied(self.scenario, best.choice), self.rates)
        if best.domain == "measured":
            return ""
        rows = [r for r in measured_ranges(scenario, self.c) if r["domain"] != "measured"]
        told = ", ".join(f"{r['quantity']} {r['scenario'][1]:g} (measured: {_range(r['measured'])})" for r in rows)
        where = f": {told}" if told else "; what drives a batch is no measured coefficient"
        return f"outside what {self.c.name} was measured in{where}; `floodmark calibrate` on these settings tells"

    # ------------------------------------------------------------ reasons

    def neighbours(self, best: Held) -> list[Neighbour]:
        """Each value of the best moved one step down and up, all else kept."""
        found = []
        for f, flow in enumerate(self.scenario.flows):
            levels = self.levels(f)
            for name, values in levels.items():
                at = values.index(getattr(best.choice[f], name))
                for value in [*values[max(0, at - 1) : at], *values[at + 1 : at + 2]]:
                    moved = replace(best.choice[f], **{name: value})
                    if name == "trigger" and moved.cap is not None:  # a cap is so many batches at the peak
                        moved = replace(
                            moved, cap=round(moved.cap * max(1.0, value) / max(1.0, best.choice[f].trigger))
                        )
                    choice = (*best.choice[:f], moved, *best.choice[f + 1 :])
                    found.append(Neighbour(flow.name, name, moved.told(name), self.hold(choice)))
        return found


def _place(k: int, of: int, count: int) -> int:
    """The same place in a list of `count` as the k-th of `of`."""
    return round(k * (count - 1) / max(1, of - 1))


def _range(known: list[float] | None) -> str:
    return "never" if known is None else f"{known[0]:g} to {known[1]:g}"


def _best(table: Table, wants: Wants) -> int:
    """The choice with the least CPU that the screen is comfortable with; else the likeliest."""
    score = np.nan_to_num(chance(table, margins(table, wants)), neginf=-1e9, posinf=1e9)
    good = np.flatnonzero(score >= COMFORT)
    return int(good[np.argmin(table.usd[good])]) if len(good) else int(np.argmax(score))


def _apart(a: Choice, b: Choice) -> bool:
    """Whether two choices differ in what a reader would call another setting: partitions or trigger."""
    return any((x.partitions, x.trigger) != (y.partitions, y.trigger) for x, y in zip(a, b, strict=True))


def _worse(choice: Choice, failed: Held) -> bool:
    """Whether a choice can only be worse than one that failed: as set, but for triggers on the wrong side of its."""
    excuse = failed.outcome.excuse
    if excuse is None or excuse.constraint not in ("p99", "p50", "capacity", "catch-up"):
        return False
    late = excuse.constraint in ("p99", "p50")
    return all(
        replace(x, trigger=y.trigger) == y and (x.trigger >= y.trigger if late else x.trigger <= y.trigger)
        for x, y in zip(choice, failed.choice, strict=True)
    )
