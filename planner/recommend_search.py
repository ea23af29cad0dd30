"""The joint search: brokers, executors and data nodes together, cheapest first.

The screen says of a stack how far it is from each want, as a *margin* (log of what there is over what is needed), and
errs (measured: capacity -33 to +60 %, p99 above 70 % load up to +60 %). So nothing is dropped inside a *guard band* of
those errors; what is in it is simulated, and the simulation decides. Stacks are looked at in the order of their price;
of those cheaper than the best that holds, the next to be simulated is the one with most to be won: its saving times the
chance that it holds. What fails takes with it all that is no better in anything. The search ends when nothing cheaper
is left, or with the runs it was given, and then says how many cheaper stacks nobody tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from planner.candidates import Brokers, Builder, DataNodes, Excuse, Executors
from planner.candidates_wants import Wants
from planner.recommend_stack import Stack
from planner.recommend_trial import Outcome, Trials
from simulator.screen import Screened, screen
from simulator.screen_parts import joined

Array = np.ndarray[Any, np.dtype[Any]]

COARSE = (1, 2, 3, 4, 6, 8, 12, 16, 24, 36, 48, 64, 96, 144, 208, 304, 400)  # counts of executors in the first look
NODES = (1, 2, 3, 4, 6, 9, 12, 15, 18, 24, 36, 48, 72, 96, 144, 208, 304, 400)  # and of data nodes
LOOKS = (6, 24, 96, 400)  # it looks at no more than so many, then at more
ROUND = 16_384  # stacks screened at a time
MOST_SCREENED = 400_000
TRIALS = 40
# width of the guard band on each margin, and the standard deviation that the chance of holding is reckoned with [log]:
# the screen's own scores (simulator/screen.py), above and below 70 % load
GUARD = {"capacity": 0.45, "p99": 0.50, "p99 quiet": 0.15, "cpu": 0.20, "loss": 0.45}
SIGMA = {"capacity": 0.15, "p99": 0.25, "p99 quiet": 0.06, "cpu": 0.08, "loss": 0.15}
BUSY = 0.7
STEPS_APART = 3  # of the flows' triggers away from a shared one
COMFORT = 1.3  # standard deviations: a stack that is likely enough to hold to end the first look
LEAST_SAVING = 0.005  # USD a month


@dataclass
class Table:
    """Stacks that were screened: which settings, their price, and margins by want."""

    kafka: list[Brokers]
    spark: list[Executors]
    search: list[DataNodes]
    s: Array
    e: Array
    usd: Array
    nodes: Array
    p99: Array
    p50: Array
    sustainable: Array
    utilisation: Array
    binding: Array
    cpu: Array
    node_cpu: Array

    @classmethod
    def empty(cls) -> Table:
        whole, real = np.zeros(0, dtype=np.int64), np.zeros(0)
        return cls([], [], [], whole, whole, real, real, real, real, real, real, np.zeros(0, dtype="U24"), real, real)

    def stack(self, row: int) -> Stack:
        n = int(self.s[row])
        return Stack(self.kafka[n], self.spark[n], self.search[int(self.e[row])])

    def __len__(self) -> int:
        return len(self.usd)


def margins(table: Table, wants: Wants) -> dict[str, Array]:
    """How much more there is than each want needs [log]; below 0 the screen says no."""
    need = wants.headroom
    if wants.catch_up is not None:
        need = max(need, 1 + wants.outage / wants.catch_up)
    with np.errstate(divide="ignore"):
        found = {"capacity": np.log(np.maximum(table.sustainable, 1e-9) / need)}
        for name in ("p99", "p50"):
            promised = getattr(wants, name)
            if promised is not None:
                found[name] = np.log(promised / getattr(table, name))
        if wants.cpu_headroom > 0:
            found["cpu"] = np.log((1 - wants.cpu_headroom) / np.maximum(table.cpu, 1e-9))
        if {"data-node", "zone"} & set(wants.survive) and len(table):
            left = _left(table, wants)
            found["loss"] = np.log(left / np.maximum(table.node_cpu, 1e-9))
    return found


def _left(table: Table, wants: Wants) -> Array:
    """Share of the data nodes that the losses leave."""
    nodes = np.array([d.row.nodes for d in table.search], dtype=float)
    zones = np.array([d.row.zones for d in table.search], dtype=float)
    gone = np.ceil(nodes / zones) if "zone" in wants.survive else np.ones_like(nodes)
    left: Array = np.maximum(1e-6, (nodes - gone) / nodes)[table.e]
    return left


def plausible(table: Table, found: dict[str, Array]) -> Array:
    """Whether a stack may hold, the screen's errors granted."""
    ok = np.ones(len(table), dtype=bool)
    for name, margin in found.items():
        ok &= margin >= -_by_load(GUARD, name, table)
    return ok


def chance(table: Table, found: dict[str, Array]) -> Array:
    """Standard deviations by which the tightest want is kept [1]."""
    score = np.full(len(table), np.inf)
    for name, margin in found.items():
        score = np.minimum(score, margin / _by_load(SIGMA, name, table))
    return score


def _by_load(widths: dict[str, float], name: str, table: Table) -> Array:
    if name in ("p99", "p50"):
        return np.where(table.utilisation > BUSY, widths["p99"], widths["p99 quiet"])
    return np.full(len(table), widths[name])


class Interrupted(Exception):
    """The user stopped it; what was found is kept."""


@dataclass
class Found:
    """What the search knows at its end."""

    best: Stack | None = None
    outcome: Outcome | None = None
    outcomes: list[tuple[Stack, Outcome]] = field(default_factory=list)
    untried: int = 0
    first_look: Stack | None = None
    screened: int = 0
    interrupted: bool = False


class Search:
    """The search in one region at one load."""

    def __init__(
        self, builder: Builder, trials: Trials, wants: Wants, said: Callable[[str, int, int], None] = lambda *_: None
    ) -> None:
        self.builder, self.trials, self.wants, self.said = builder, trials, wants, said
        self.table = Table.empty()
        self.screened = 0
        self.complete_below = -math.inf
        self._kafka = self._cheapest_brokers()
        self._ideal_search: list[DataNodes] = []
        self._ideal_spark: list[Executors] = []
        self.bound = math.inf
        self._near: dict[type, tuple[Stack, str, float, str]] = {}

    # ------------------------------------------------------------ looking

    def _cheapest_brokers(self) -> dict[tuple[int, ...], Brokers]:
        """The cheapest setting for each number of partitions: brokers move latency by milliseconds only."""
        found: dict[tuple[int, ...], Brokers] = {}
        for made in self.builder.brokers(cheapest=True):
            key = made.row.partitions
            if math.isfinite(made.usd) and (key not in found or made.usd < found[key].usd):
                found[key] = made
        return found

    def look(self) -> Stack | None:
        """The first look: few counts of everything; the cheapest stack that the screen is comfortable with."""
        if not self._kafka:
            return None
        for most in LOOKS:
            found = self._look(most)
            if found is not None:
                self.bound = found.usd
                return found
        return None

    def _look(self, most: int) -> Stack | None:
        """The same with no more than so many of anything."""
        scales, triggers = self._few(sorted(self._kafka), 3), self._few(self.builder.triggers(), 2)
        counts = [n for n in COARSE if n <= most]
        spark = list(self.builder.executors(counts, scales, triggers))
        search = [d for d in self.builder.data_nodes([n for n in NODES if n <= most]) if math.isfinite(d.usd)]
        if not spark or not search:
            return None

        def cores(one: DataNodes) -> float:
            return one.row.nodes * _cores(self.builder, "elasticsearch", one.row.machine)

        self._ideal_search = _strongest(search, cores, 1)
        self._ideal_spark = self._ideals(spark)
        spark, search = self._hopeful_spark(spark), self._hopeful_search(search)
        return self._pairs(spark, search, math.inf, ROUND, until_likely=True)

    def enumerate(
        self, bound: float, most: int = MOST_SCREENED, until_likely: bool = False,
        triggers: Sequence[tuple[float, ...]] | None = None,
    ) -> None:  # fmt: skip
        """Screen every stack below a price, cheapest first, into the table; or until one is likely to hold."""
        least_search = min((d.usd for d in self._all_search(bound)), default=math.inf)
        least_kafka = min((k.usd for k in self._kafka.values()), default=math.inf)
        spark = [
            s
            for s in self.builder.executors(
                most_usd=bound - least_search - least_kafka, scales=sorted(self._kafka), triggers=triggers
            )
            if s.usd + self._kafka[s.row.partitions].usd + least_search <= bound
        ]
        spark = self._hopeful_spark(spark)
        least_spark = min((s.usd + self._kafka[s.row.partitions].usd for s in spark), default=math.inf)
        search = self._hopeful_search([d for d in self._all_search(bound) if d.usd + least_spark <= bound])
        self._pairs(spark, search, bound, most, keep=True, until_likely=until_likely)

    def _all_search(self, bound: float) -> list[DataNodes]:
        return [d for d in self.builder.data_nodes(most_usd=bound) if math.isfinite(d.usd) and d.usd <= bound]

    def _few(self, values: Sequence[Any], count: int = 4) -> list[Any]:
        """Some of the values, the ends and the scenario's own among them."""
        picks = {values[round(k * (len(values) - 1) / max(1, count - 1))] for k in range(count)}
        flows = self.builder.scenario.flows
        own = (tuple(f.topic.partitions for f in flows), tuple(max(0.0, f.query.trigger) for f in flows))
        return sorted(picks | {v for v in values if v in own})

    def _ideals(self, spark: list[Executors]) -> list[Executors]:
        """Strong executors, one for each trigger: what data nodes are first held against."""
        found = []
        for triggers in sorted({s.row.triggers for s in spark}):
            mine = [s for s in spark if s.row.triggers == triggers]
            found += _strongest(mine, lambda s: min(s.row.executors * s.row.slots, max(s.row.partitions))
                                * 1e3 + s.row.executors * _cores(self.builder, "spark", s.row.machine), 1)  # fmt: skip
        return found[-2:]

    def _hopeful_spark(self, spark: list[Executors]) -> list[Executors]:
        """Executors that might do with data nodes without end."""
        return self._hopeful(spark, self._ideal_search, lambda s, d: (s, d)) if spark else []

    def _hopeful_search(self, search: list[DataNodes]) -> list[DataNodes]:
        """Data nodes that might do with executors without end."""
        return self._hopeful(search, self._ideal_spark, lambda d, s: (s, d)) if search else []

    def _hopeful(
        self, mine: list[Any], ideals: Iterable[Any], order: Callable[[Any, Any], tuple[Any, Any]]
    ) -> list[Any]:
        ok, best = np.zeros(len(mine), dtype=bool), -math.inf
        for ideal in ideals:
            pairs = [order(one, ideal) for one in mine]
            table = self._screen(
                [s for s, _ in pairs], [d for _, d in pairs], np.arange(len(mine)), np.arange(len(mine))
            )
            facts = margins(table, self.wants)
            ok |= plausible(table, facts)
            score = np.nan_to_num(chance(table, facts), neginf=-1e9, posinf=1e9)
            if len(score) and score.max() > best:
                best, row = float(score.max()), int(score.argmax())
                name = min(facts, key=lambda n: float(facts[n][row]))
                self._near[type(mine[0])] = table.stack(row), name, float(facts[name][row]), str(table.binding[row])
        return [one for one, good in zip(mine, ok, strict=True) if good]

    def nearest(self) -> list[Excuse]:
        """What the stacks that came nearest fell short of, where none was worth a simulation."""
        found = []
        for stack, name, margin, binding in self._near.values():
            if margin < 0:
                short = math.exp(-margin) if margin > -50 else math.inf
                what = f"{name} ({binding} is fullest)"
                found.append(
                    Excuse("stack", stack.told(), what, short, 1.0, "1", f"{short:.2g} times as much, or less asked")
                )
        return found

    def _screen(self, spark: Sequence[Executors], search: Sequence[DataNodes], s: Array, e: Array) -> Table:
        """Screen pairs of executors and data nodes, each with the cheapest brokers for its partitions."""
        kafka = [self._kafka.get(x.row.partitions) or next(iter(self._kafka.values())) for x in spark]
        return screened(self.builder, kafka, spark, search, s, e)

    def _pairs(
        self, spark: list[Executors], search: list[DataNodes], bound: float, most: int, keep: bool = False,
        until_likely: bool = False,
    ) -> Stack | None:  # fmt: skip
        """Screen pairs in the order of their price; all below the bound, or until one is comfortable."""
        if not spark or not search:
            return None
        spark = sorted(spark, key=lambda x: x.usd + self._kafka[x.row.partitions].usd)
        search = sorted(search, key=lambda x: x.usd)
        a = np.array([x.usd + self._kafka[x.row.partitions].usd for x in spark])
        b = np.array([x.usd for x in search])
        done, low, tables, best = 0, -math.inf, [], None
        while low < bound and done < most:
            high = min(bound, _threshold(a, b, done + (ROUND // 4 if until_likely else ROUND)))
            if high <= low:
                break
            s, e = _between(a, b, low, high)
            low = high
            if len(s) == 0:
                continue
            done += len(s)
            table = self._screen(spark, search, s, e)
            self.screened += len(s)
            self.said(f"screened {self.screened:,} stacks", 0, 0)
            tables.append(table)
            if until_likely:
                best = self._comfortable(table)
                if best is not None:
                    break
            if high >= bound:
                break
        if keep:
            self.table = _stacked(tables) if tables else Table.empty()
            self.complete_below = math.inf if low >= min(bound, float(a[-1] + b[-1])) - 1e-9 else low
        return best

    def _comfortable(self, table: Table) -> Stack | None:
        score = chance(table, margins(table, self.wants))
        rows = np.flatnonzero((score >= COMFORT) & self._few_enough(table, self.wants))
        return table.stack(int(rows[np.argmin(table.usd[rows])])) if len(rows) else None

    def _few_enough(self, table: Table, wants: Wants) -> Array:
        return table.nodes <= (wants.most_nodes or 10**9)

    # ------------------------------------------------------------ deciding

    def solve(self, trials: int = TRIALS) -> Found:
        """The cheapest stack that holds."""
        found = Found()
        try:
            self.said("first look", 0, 0)
            found.first_look = self.look()
            if found.first_look is not None:
                self.said(f"first answer, not simulated yet: {found.first_look.told()}", 0, 0)
            if found.first_look is not None:
                self._try(found, found.first_look, self.wants)
                bound = found.first_look.usd
                if found.best is None:
                    bound *= 1.35
                self.enumerate(bound, until_likely=True)
                self.decide(found, self.wants, trials)
                if self.complete_below < min(bound, found.best.usd if found.best else bound):
                    self.enumerate(bound)  # the likely one did not hold: all that is cheaper then
                    self.decide(found, self.wants, trials)
                while found.best is None and bound < 4 * found.first_look.usd and self.trials.stacks < 3 * trials:
                    bound *= 1.5
                    self.enumerate(bound)
                    self.decide(found, self.wants, trials)
                self._triggers_apart(found, trials)
        except KeyboardInterrupt:
            found.interrupted = True
        found.screened = self.screened
        return found

    def _triggers_apart(self, found: Found, trials: int) -> None:
        """Let each flow have a trigger of its own: from the best with a shared one, step by step while that saves."""
        if len(self.builder.scenario.flows) < 2:
            return
        tables, untried = [self.table], found.untried
        tried: set[tuple[float, ...]] = set()
        for _ in range(STEPS_APART):
            best = found.best
            if best is None or not (near := set(self.builder.triggers_near(best.spark.row.triggers)) - tried):
                break
            tried |= near
            self.enumerate(best.usd, triggers=sorted(near))
            self.decide(found, self.wants, trials)
            tables.append(self.table)
            untried += found.untried
            if found.best is best:
                break
        self.table = _stacked([t for t in tables if len(t)]) if any(len(t) for t in tables) else Table.empty()
        found.untried = untried

    def decide(self, found: Found, wants: Wants, trials: int) -> None:
        """Simulate stacks of the table until nothing cheaper than the best is left, or the trials are."""
        table = self.table
        facts = margins(table, wants)
        score = chance(table, facts)
        open_ = plausible(table, facts) & self._few_enough(table, wants)
        bias, spent = Bias(), 0
        for row in np.flatnonzero(open_):
            if spent >= trials or len(found.outcomes) == 0:
                break
            stack = table.stack(int(row))
            if any(stack.key == s.key for s, _ in found.outcomes):
                open_[row] = False
        for stack, outcome in found.outcomes:
            if not outcome.holds:
                open_ &= ~_no_better(table, stack)
        while True:
            best = found.best.usd if found.best is not None else math.inf
            left = np.flatnonzero(open_ & (table.usd < best - LEAST_SAVING))
            found.untried = len(left)
            if len(left) == 0 or spent >= trials:
                return
            pick = left[most_to_win(table.usd[left], bias.chance(score[left]), best)]
            stack = table.stack(int(pick))
            outcome = self._try(found, stack, wants)
            spent += 1
            bias.learn(float(score[pick]), outcome.holds)
            open_[pick] = False
            if not outcome.holds:
                open_ &= ~_no_better(table, stack)
            self.said(f"simulated {self.trials.stacks} stacks, {found.untried} cheaper left", spent, trials)

    def _try(self, found: Found, stack: Stack, wants: Wants) -> Outcome:
        outcome = self.trials.judge(stack, wants, self.builder.prices.region)
        found.outcomes.append((stack, outcome))
        if outcome.holds and (found.best is None or stack.usd < found.best.usd):
            found.best, found.outcome = stack, outcome
        return outcome


class Bias:
    """How far the screen errs here in one direction, learned from what held and what did not [standard deviations]."""

    GRID = np.linspace(-4, 4, 81)

    def __init__(self) -> None:
        self.weight = np.exp(-0.5 * (self.GRID / 1.0) ** 2)

    def chance(self, score: Array) -> Array:
        from scipy.special import ndtr

        weight = self.weight / self.weight.sum()
        return np.asarray(ndtr(np.clip(score, -8, 8)[:, None] + self.GRID[None, :]) @ weight)

    def learn(self, score: float, held: bool) -> None:
        from scipy.special import ndtr

        share = ndtr((min(8.0, max(-8.0, score)) + self.GRID) / 0.6)
        self.weight = self.weight * np.maximum(1e-6, share if held else 1 - share)


def most_to_win(usd: Array, chances: Array, best: float) -> int:
    """The stack with the largest expected saving; with no best yet, the cheapest that is likely to hold."""
    if math.isfinite(best):
        return int(np.argmax(chances * (best - usd)))
    likely = np.flatnonzero(chances >= 0.5)
    return int(likely[np.argmin(usd[likely])]) if len(likely) else int(np.argmax(chances))


def screened(
    builder: Builder,
    kafka: Sequence[Brokers],
    spark: Sequence[Executors],
    search: Sequence[DataNodes],
    s: Array,
    e: Array,
) -> Table:
    """The table of stacks (kafka[s], spark[s], search[e])."""
    used_s, s_at = np.unique(s, return_inverse=True)
    used_e, e_at = np.unique(e, return_inverse=True)
    kafka, spark = [kafka[i] for i in used_s], [spark[i] for i in used_s]
    search = [search[i] for i in used_e]
    distinct = {k.row: n for n, k in enumerate(dict.fromkeys(k for k in kafka))}
    rows = list(distinct)
    order = {row: n for n, row in enumerate(rows)}
    parts = builder.parts
    numbers = joined(parts.front(rows), parts.spark([x.row for x in spark]), parts.search([x.row for x in search]),
                     (np.array([order[k.row] for k in kafka])[s_at], s_at, e_at))  # fmt: skip
    return tabled(screen(numbers), kafka, spark, search, s_at, e_at)


def tabled(
    out: Screened, kafka: Sequence[Brokers], spark: Sequence[Executors], search: Sequence[DataNodes], s: Array, e: Array
) -> Table:
    """What the screen said of stacks (kafka[s], spark[s], search[e]), with their prices."""
    count = len(s)

    def wide(values: Array) -> Array:
        return np.broadcast_to(values, (count,)) if len(values) == 1 else values

    usd = np.array([k.usd + x.usd for k, x in zip(kafka, spark, strict=True)])[s]
    usd = usd + np.array([d.usd for d in search])[e]
    nodes = np.array([k.nodes + x.nodes for k, x in zip(kafka, spark, strict=True)])[s]
    nodes = nodes + np.array([d.nodes for d in search])[e]
    cpu = np.max([wide(out.loads[n]) for n in ("executor CPU", "data-node CPU", "broker CPU")], axis=0)
    return Table(list(kafka), list(spark), list(search), s, e, usd, nodes, out.p99.max(axis=1), out.p50.max(axis=1),
                 out.sustainable, out.utilisation, out.binding, cpu, wide(out.loads["data-node CPU"]))  # fmt: skip


def _stacked(tables: list[Table]) -> Table:
    """Tables as one."""
    kafka: list[Brokers] = []
    spark: list[Executors] = []
    search: list[DataNodes] = []
    s, e = [], []
    for t in tables:
        s.append(t.s + len(spark))
        e.append(t.e + len(search))
        kafka += t.kafka
        spark += t.spark
        search += t.search
    names = ("usd", "nodes", "p99", "p50", "sustainable", "utilisation", "binding", "cpu", "node_cpu")
    made = {name: np.concatenate([getattr(t, name) for t in tables]) for name in names}
    return Table(kafka, spark, search, np.concatenate(s), np.concatenate(e), *(made[n] for n in names))


def _threshold(a: Array, b: Array, count: int) -> float:
    """A sum of one of each sorted array below which about so many pairs lie."""
    if len(a) * len(b) <= count:
        return float(a[-1] + b[-1])
    low, high = float(a[0] + b[0]), float(a[-1] + b[-1])
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.searchsorted(b, middle - a, side="right").sum() < count else (low, middle)
    return high


def _between(a: Array, b: Array, low: float, high: float) -> tuple[Array, Array]:
    """Pairs whose sum lies above `low` and not above `high`."""
    first = np.searchsorted(b, low - a, side="right") if math.isfinite(low) else np.zeros(len(a), dtype=np.int64)
    last = np.searchsorted(b, high - a, side="right")
    sizes = np.maximum(0, last - first)
    s = np.repeat(np.arange(len(a)), sizes)
    start = np.repeat(np.cumsum(sizes) - sizes, sizes)
    return s, np.arange(len(s)) - start + np.repeat(first, sizes)


def _no_better(table: Table, failed: Stack) -> Array:
    """Stacks that have no more of anything than one that failed, on the same machines and with the same settings."""
    ks, ke = failed.spark.row, failed.search.row
    s_ok = np.array([
        x.row.machine == ks.machine and x.row.executors <= ks.executors and x.row.triggers == ks.triggers
        and x.row.partitions == ks.partitions and x.row.shuffles == ks.shuffles and x.kind == failed.spark.kind
        and k.row == failed.kafka.row
        for k, x in zip(table.kafka, table.spark, strict=True)
    ], dtype=bool)  # fmt: skip
    e_ok = np.array([
        d.row.machine == ke.machine and d.row.nodes <= ke.nodes and d.row.copies == ke.copies
        and d.row.zones == ke.zones and d.kind == failed.search.kind
        and (d.row.primaries == ke.primaries or (d.row.nodes < ke.nodes and _per_node(d.row) == _per_node(ke)))
        for d in table.search
    ], dtype=bool)  # fmt: skip
    if not len(table):
        return np.zeros(0, dtype=bool)
    return np.asarray(s_ok[table.s] & e_ok[table.e])


def _per_node(row: Any) -> tuple[float, ...]:
    return tuple(p / row.nodes for p in row.primaries)


def _strongest(rows: list[Any], worth: Callable[[Any], float], count: int = 2) -> list[Any]:
    return sorted(rows, key=worth, reverse=True)[:count]


def _cores(builder: Builder, part: str, name: str) -> float:
    site = builder.parts._site(part, name)
    return site.cores * site.speed
