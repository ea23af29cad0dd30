"""Executors that come and go: Spark's dynamic allocation, and a cluster under it that is scaled too.

While tasks have been waiting for `backlog_timeout` executors are asked for: one, then two, four, eight, every
`sustained_timeout`, never more than the waiting and running tasks can use. What was asked for comes `start` later,
whether it is still wanted or not: the over-ask. An executor that had no task for `idle_timeout` is let go. A new JVM is
cold, and its first tasks are slow. Under a managed cluster a node must come first and goes later.

Tasks of a stage are alike and are handed, one by one, to any executor with a free slot, by dice of the seed, as Spark
shuffles its offers. Batch after batch follows the trigger's own rule. Left out: locality, tasks that fail, and requests
taken back before their container started.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.spark import next_start, warming_work
from simulator.months_kernel import uniform

Array = np.ndarray[Any, np.dtype[Any]]
DICE = 71  # stream of the offers
BATCH = np.dtype([("started", "f8"), ("finished", "f8"), ("records", "f8"), ("held", "f8"), ("needed", "f8")])
MOST_TASKS = 3e7


@dataclass(frozen=True)
class Work:
    """What batches cost. Stages have `tasks` tasks; `seconds[l, s]` is one of stage s in a batch of `records[l]`."""

    trigger: float
    most: float
    cores: int
    fixed: Array  # [L] driver and checkpoint [s], before the tasks and after them in halves
    tasks: tuple[int, ...]
    records: Array  # [L]
    seconds: Array  # [L, S] of a warm task
    warm_amplitude: float
    warm_work: float

    def of(self, records: float) -> tuple[float, list[float]]:
        """Fixed seconds and seconds of a task of each stage; beyond the table both go on as they rose."""
        at = min(max(int(np.searchsorted(self.records, records)) - 1, 0), len(self.records) - 2)
        x = max(0.0, (records - self.records[at]) / (self.records[at + 1] - self.records[at]))
        each = self.seconds[at] + x * (self.seconds[at + 1] - self.seconds[at])
        fixed = self.fixed[at] + x * (self.fixed[at + 1] - self.fixed[at])
        return float(fixed), [max(1e-4, float(v)) for v in each]

    def lasts(self, records: float, executors: int) -> float:
        """A batch on so many warm executors [s]."""
        fixed, each = self.of(records)
        waves = [math.ceil(n / (executors * self.cores)) for n in self.tasks]
        return fixed + sum(w * t for w, t in zip(waves, each, strict=True))


@dataclass(frozen=True)
class Rules:
    """Who asks for executors and lets them go. Times in seconds; `node_*` are 0 where nodes do not come and go."""

    least: int
    most: int
    first: int
    backlog_timeout: float = 1.0
    sustained_timeout: float = 1.0
    idle_timeout: float = 60.0
    start: float = 30.0
    node_start: float = 0.0
    node_idle: float = 0.0
    fixed: bool = False  # as many as there are at first, for good


@dataclass
class Scaled:
    """What happened. `steps`: (time, executors held from then on); `nodes`: the same of nodes that are paid."""

    batches: Array
    steps: list[tuple[float, int]]
    nodes: list[tuple[float, int]]
    asked: int
    unused: int  # that came and left without a task
    horizon: float
    most_lag: float
    cold_seconds: float

    def hours(self, steps: list[tuple[float, int]]) -> float:
        """Integral over the horizon [h]."""
        ends = [*(t for t, _ in steps[1:]), self.horizon]
        return sum(n * max(0.0, min(end, self.horizon) - t) for (t, n), end in zip(steps, ends, strict=True)) / 3600


@dataclass
class _Executor:
    ready: float
    spent: float = 0.0  # CPU that its JVM has done
    running: int = 0
    idle_since: float = 0.0
    used: bool = False


@dataclass
class _Run:
    work: Work
    rules: Rules
    seed: int
    executors: dict[int, _Executor] = field(default_factory=dict)
    coming: list[tuple[float, int]] = field(default_factory=list)  # (ready, id)
    target: int = 0
    add: int = 1
    next_add: float = math.inf
    numbers: int = 0
    asked: int = 0
    unused: int = 0
    drawn: int = 0
    cold: float = 0.0
    steps: list[tuple[float, int]] = field(default_factory=list)
    nodes: list[tuple[float, int]] = field(default_factory=list)
    leaving: list[float] = field(default_factory=list)  # when an emptied node goes


def scale(work: Work, rules: Rules, times: Array, rates: Array, horizon: float, *, seed: int = 1) -> Scaled:
    """Batches from 0 to `horizon` [s] under the rules; `rates` are steps from each of `times` on [1/s].

    Raises ValueError where that would be too many tasks to walk.
    """
    expected = horizon / max(work.trigger, work.of(0.0)[0], 0.05) * sum(work.tasks)
    if expected > MOST_TASKS:
        raise ValueError(f"{expected:.2g} tasks to walk; expected at most {MOST_TASKS:.0e}: a shorter horizon")
    run = _Run(work, rules, seed)
    for _ in range(rules.first):
        run.executors[run.numbers] = _Executor(0.0, spent=1e9)
        run.numbers += 1
    run.target = rules.first
    run.steps.append((0.0, rules.first))
    run.nodes.append((0.0, rules.first if rules.node_start else max(rules.first, rules.most)))
    total = np.concatenate([[0.0], np.cumsum(rates[:-1] * np.diff(times))])
    now, offset, most_lag, rows = 0.0, 0.0, 0.0, []
    while now < horizon:
        ready = math.floor(_created(times, rates, total, now) + 1e-6)
        records = min(ready - offset, work.most)
        _settle(run, now)
        if records < 1:
            now = next_start(now, now, work.trigger) if work.trigger > 0 else now + 0.1
            continue
        most_lag = max(most_lag, ready - offset)
        held = len(run.executors)
        ended = _batch(run, now, records)
        rate = float(rates[max(0, int(np.searchsorted(times, now, side="right")) - 1)])
        rows.append((now, ended, records, held, needed(work, rules, rate)))
        offset += records
        now = next_start(now, ended, work.trigger)
    _settle(run, horizon)
    return Scaled(np.array(rows, dtype=BATCH), run.steps, run.nodes, run.asked, run.unused, horizon, most_lag, run.cold)


def _created(times: Array, rates: Array, total: Array, at: float) -> float:
    k = max(0, int(np.searchsorted(times, at, side="right")) - 1)
    return float(total[k] + rates[k] * (at - times[k]))


def needed(work: Work, rules: Rules, rate: float) -> int:
    """Least executors whose batches keep to their trigger at a rate, all warm; the most there may be where none do.

    Without a trigger a batch may take five seconds, so that something is asked.
    """
    patience = work.trigger or 5.0
    useful = min(rules.most, max(1, math.ceil(max(work.tasks) / work.cores)))
    for count in range(max(1, rules.least), useful + 1):
        if work.lasts(rate * patience, count) <= patience:
            return count
    return useful


def _batch(run: _Run, now: float, records: float) -> float:
    """One batch from its start; when it has committed [s]."""
    fixed, each = run.work.of(records)
    at = now + fixed / 2
    for count, seconds in zip(run.work.tasks, each, strict=True):
        at = _stage(run, at, count, seconds)
    return at + fixed / 2


def _stage(run: _Run, at: float, count: int, seconds: float) -> float:
    """Hand out a stage's tasks as slots come free and executors come; when the last has ended [s]."""
    waiting, ends = count, []  # type: int, list[tuple[float, int]]
    _settle(run, at)
    run.next_add = at + run.rules.backlog_timeout
    while waiting or ends:
        while waiting and (free := _free(run)):
            number = free[int(uniform(run.seed, DICE, run.drawn, 0, 0) * len(free))]
            run.drawn += 1
            waiting -= 1
            heapq.heappush(ends, (at + _task(run, number, seconds), number))
        if not waiting:
            run.next_add, run.add = math.inf, 1
            _limit(run, len(ends))
        comes = run.coming[0][0] if run.coming else math.inf
        until = min(ends[0][0] if ends else math.inf, comes, run.next_add)
        if math.isinf(until):
            raise ValueError("no executor is left and none is coming: least = 0 with nothing asked for")
        at = max(at, until)
        while ends and ends[0][0] <= at:
            executor = run.executors[heapq.heappop(ends)[1]]
            executor.running -= 1
            executor.idle_since = at
        if at >= run.next_add:
            _ask(run, at, waiting + len(ends))
        _settle(run, at)
    _limit(run, 0)
    return at


def _free(run: _Run) -> list[int]:
    return [n for n, e in run.executors.items() if e.running < run.work.cores]


def _task(run: _Run, number: int, seconds: float) -> float:
    """A task on that executor, whose JVM warms by what it does [s]."""
    executor, work = run.executors[number], run.work
    lasts = seconds
    if executor.spent < 20 * work.warm_work and work.warm_amplitude > 0:
        lasts = warming_work(executor.spent, seconds, work.warm_amplitude, work.warm_work)
        run.cold += lasts - seconds
    executor.spent += lasts
    executor.running += 1
    executor.used = True
    return lasts


def _limit(run: _Run, tasks: int) -> None:
    """The target falls to what the tasks can use."""
    run.target = max(run.rules.least, min(run.target, math.ceil(tasks / run.work.cores)))


def _ask(run: _Run, at: float, tasks: int) -> None:
    """One request: the double of the last, never above what the tasks can use or what there may be."""
    rules = run.rules
    run.next_add = at + rules.sustained_timeout
    there = len(run.executors) + len(run.coming)
    useful = min(rules.most, math.ceil(tasks / run.work.cores))
    wanted = min(max(run.target, there) + run.add, useful)
    if rules.fixed or wanted <= there:
        run.add = 1
        run.target = max(run.target, min(wanted, useful))
        return
    run.target, run.add = wanted, run.add * 2
    for _ in range(wanted - there):
        late = rules.start
        if rules.node_start:
            if run.leaving:  # a node that has not gone yet takes it
                run.leaving.sort()
                run.leaving.pop()
            else:
                late += rules.node_start
                _step(run.nodes, at, run.nodes[-1][1] + 1)
        heapq.heappush(run.coming, (at + late, run.numbers))
        run.numbers += 1
        run.asked += 1


def _settle(run: _Run, at: float) -> None:
    """Executors that have come by now, and those let go meanwhile."""
    while run.coming and run.coming[0][0] <= at:
        ready, number = heapq.heappop(run.coming)
        run.executors[number] = _Executor(ready, idle_since=ready)
        _step(run.steps, ready, len(run.executors))
    if not run.rules.fixed:
        _let_go(run, at)
    while run.leaving and min(run.leaving) <= at:
        gone = min(run.leaving)
        run.leaving.remove(gone)
        _step(run.nodes, gone, run.nodes[-1][1] - 1)


def _let_go(run: _Run, at: float) -> None:
    rules = run.rules
    idle = sorted((e.idle_since, n) for n, e in run.executors.items() if e.running == 0)
    for since, number in idle:
        left = since + rules.idle_timeout
        if left > at or len(run.executors) <= max(rules.least, run.target):
            break
        run.unused += 0 if run.executors[number].used else 1
        del run.executors[number]
        _step(run.steps, left, len(run.executors))
        if rules.node_start:
            run.leaving.append(left + rules.node_idle)


def _step(steps: list[tuple[float, int]], at: float, count: int) -> None:
    """A change; what comes to light late is put no earlier than the last."""
    steps.append((max(at, steps[-1][0]), count))
