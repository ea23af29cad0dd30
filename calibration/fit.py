"""Fit: recorded runs in, a dated coefficient set out.

    floodmark calibrate lab/results/2026-11-23-epyc-2core --name lab-2026-11-23 -o lab-2026-11-23.toml

Of a results folder only runs named `fit-…` are read: what a forecast is tested on is not what it was fitted to. Each
coefficient comes from one law's equations (`fit_spark`, `fit_search`, `fit_kafka`) under its prior, with an interval
from resampled observations, widened by how far two equal runs lie apart. What the runs cannot tell is left out of the
set, so that the generic value fills it, and is named in `[fit.left_at_prior]` with what would tell it. CPU that no
law's work explains is background; it is stated, and never laid on records.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

import numpy as np

from calibration import fit_kafka, fit_search, fit_spark, noise
from calibration.fit_needs import remedy
from calibration.lab import LabRun, load_run
from calibration.observations import ObservationError
from calibration.regress import Fit
from models.coefficients import LAWS, Coefficient

WITHIN = 1.645  # a normal's 90 % in standard deviations, for the spread between runs
REPEATS = 0.25  # the recordings' README: medians of equal halves differ by up to a quarter


@dataclass
class Told:
    """One coefficient as it goes into the set."""

    value: float
    low: float
    high: float
    source: str


@dataclass
class Outcome:
    """What the runs told, by name, and by block its fit; `left` is what they could not tell, with the reason.

    `background` is the CPU of each process that no law's work explains [cores], `refused` the blocks that could not be
    fitted at all.
    """

    told: dict[str, Told] = field(default_factory=dict)
    fits: dict[str, Fit] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    background: dict[str, float] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def tell(self, name: str, value: float, low: float, high: float, source: str) -> None:
        if name not in LAWS:
            raise KeyError(name)
        self.told[name] = Told(value, min(low, value), max(high, value), source)


@dataclass(frozen=True)
class Base:
    """The prior: values and log standard deviations by coefficient, as carried to the recordings' machine."""

    value: dict[str, float]
    sigma: dict[str, float]

    @staticmethod
    def of(values: Mapping[str, Coefficient]) -> Base:
        """Of a set's coefficients: its intervals are 90 %."""
        known = {n: c for n, c in values.items() if 0 < c.low < c.high}
        sigma = {n: math.log(c.high / c.low) / (2 * WITHIN) for n, c in known.items()}
        return Base({n: c.value for n, c in values.items()}, sigma)

    def named(self, **other: str) -> tuple[dict[str, float], dict[str, float]]:
        """Values and spreads, with columns of another name beside: `warm_amplitude="spark.warm_amplitude"`."""
        more = {column: self.value[law] for column, law in other.items()}
        spread = {column: self.sigma[law] for column, law in other.items() if law in self.sigma}
        return {**self.value, **more}, {**self.sigma, **spread}

    def scaled(self, column: str, law: str) -> Base:
        """With a column that multiplies the prior of `law`: its prior is 1, with that law's spread."""
        return Base({**self.value, column: 1.0}, {**self.sigma, column: self.sigma.get(law, math.inf)})

    def with_values(self, **values: float) -> Base:
        return Base({**self.value, **{n.replace("__", "."): v for n, v in values.items()}}, self.sigma)


def load_runs(folder: Path) -> list[LabRun]:
    """The fit runs of a results folder, in order of name; what ran beside other work is passed over."""
    runs = [load_run(path) for path in sorted(folder.glob("fit-*")) if path.is_dir()]
    runs = [run for run in runs if not run.experiment.disturbed]
    if not runs:
        raise ObservationError(f"{folder}: no folder fit-… in it; give a results folder of recorded runs")
    return runs


def repeats(runs: Sequence[LabRun]) -> float:
    """Log standard deviation between equal runs, from runs named `…-again` or `.2` after `.1`."""
    pairs = noise.equal_runs([run for run in runs if run.batches])
    if not pairs:
        raise ObservationError(
            "no run was repeated (named …-again, or .2 after .1), so how far equal runs lie apart is unknown"
        )
    return sum(noise.repeatability(one, other) for one, other in pairs) / len(pairs)


def fit_runs(runs: Sequence[LabRun], base: Base) -> Outcome:
    """Every coefficient that these runs tell.

    A system that was not recorded, or too thinly, is left to its prior and named; raises ObservationError where none
    tells anything.
    """
    out, sigma = Outcome(), base.value["spark.run_sigma"]
    try:
        sigma = repeats(runs)
        # two runs leave one degree of freedom: chi-square 90 % is 0.51 to 16 times; the README's bound cuts the upper
        most = max(REPEATS / math.sqrt(2), sigma)
        out.tell("spark.run_sigma", sigma, sigma / 1.96, most, "two equal runs an hour apart")
    except ObservationError as error:
        out.left["spark.run_sigma"] = str(error)
    for what, part, mine in (
        ("the data node", _search, [run for run in runs if run.node is not None and run.node_is_whole]),
        ("Spark's batches", _spark, [run for run in runs if run.batches]),
        ("the broker", _kafka, [run for run in runs if run.broker is not None]),
    ):
        base = _part(out, what, part, mine, base, sigma)
    if not out.fits:
        raise ObservationError("\n".join(f"{what}: {why}" for what, why in out.refused.items()))
    _left(out)
    return out


Part = Callable[[Outcome, list[LabRun], Base, float], Base]


def _part(out: Outcome, what: str, part: Part, runs: list[LabRun], base: Base, sigma: float) -> Base:
    """One system's fit; its refusal is kept, and what it would have told stays at the prior."""
    if not runs:
        out.refused[what] = "nothing of it was recorded"
        return base
    try:
        return part(out, runs, base, sigma)
    except ObservationError as error:
        out.refused[what] = str(error)
        return base


def _take(out: Outcome, fitted: Fit, names: Sequence[str], sigma: float, runs: int, what: str) -> None:
    """Copy coefficients of a fit, their intervals widened by the spread between runs."""
    out.fits[fitted.block] = fitted
    wider = math.exp(WITHIN * sigma / math.sqrt(runs))
    for name in names:
        if name in fitted.held:
            out.left[name] = f"the rows of {fitted.block} cannot tell it from the others; {remedy(name)}"
        elif name in fitted.value:
            at = (fitted.value[name], fitted.low[name] / wider, fitted.high[name] * wider)
            out.tell(name, *at, f"{what}; {fitted.rows} observations, condition {fitted.condition:.1f}")


def _warm(out: Outcome, fitted: Fit, system: str, wider: float, source: str) -> None:
    for ours, theirs in (("warm_amplitude", "warm_amplitude"), ("warm_work_seconds", "warm_seconds")):
        at = fitted.value[theirs], fitted.low[theirs] / wider, fitted.high[theirs] * wider
        out.tell(f"{system}.{ours}", *at, source)


def _scaled(
    out: Outcome, fitted: Fit, column: str, names: Sequence[str], prior: Mapping[str, float], wider: float
) -> None:
    """Coefficients of which only the priors' common multiple was told, or not even that."""
    if column in fitted.held:
        out.left |= {n: f"the rows of {fitted.block} cannot tell it from the others; {remedy(n)}" for n in names}
        return
    scale = (fitted.value[column], fitted.low[column] / wider, fitted.high[column] * wider)
    for name in names:
        source = f"{scale[0]:.2f} times the prior's; only the sum over {' and '.join(names)} was told"
        out.tell(name, prior[name] * scale[0], prior[name] * scale[1], prior[name] * scale[2], source)


def _search(out: Outcome, runs: list[LabRun], base: Base, sigma: float) -> Base:
    wider = math.exp(WITHIN * sigma / math.sqrt(len(runs)))
    warm = {"warm_amplitude": "search.warm_amplitude", "warm_seconds": "search.warm_work_seconds"}
    try:
        refresh = fit_search.fit_refresh(runs, *base.named(**warm))
        names = [fit_search.REFRESH, fit_search.REFRESH_DOCUMENT]
        _take(out, refresh, names, sigma, len(runs), "refresh threads' time in intervals without a merge")
        base = Base({**base.value, **{name: refresh.value.get(name, base.value[name]) for name in names}}, base.sigma)
    except ObservationError as error:
        out.left |= dict.fromkeys([fit_search.REFRESH, fit_search.REFRESH_DOCUMENT], str(error))
    cpu = fit_search.fit_cpu(runs, *base.scaled("index_scale", fit_search.DOCUMENT).named(**warm))
    names = [fit_search.BULK, fit_search.MERGE, fit_search.IDLE, fit_search.QUERY]
    _take(out, cpu, names, sigma, len(runs), "process CPU of the node by interval")
    _scaled(out, cpu, "index_scale", [fit_search.DOCUMENT, fit_search.BYTE], base.value, wider)
    _warm(out, cpu, "search", wider, "warm-up of the same fit, work since the first document")
    out.background["data node, beside what its laws explain"] = fit_search.background_cores(runs, cpu)
    base = _bulk_wait(out, runs, cpu, base)
    _search_rest(out, runs)
    return base


def _bulk_wait(out: Outcome, runs: list[LabRun], cpu: Fit, base: Base) -> Base:
    """What a bulk waits for beside CPU, where one client's closed loop told it, and what Spark's fit needs of one."""
    bulk = cpu.value.get(fit_search.BULK, base.value[fit_search.BULK])
    warm = {"search.warm_amplitude": cpu.value["warm_amplitude"], "search.warm_work_seconds": cpu.value["warm_seconds"]}
    base = Base({**base.value, **warm, fit_search.BULK: bulk}, base.sigma)
    alone = [fit_search.bulk_rest(run)[0] for run in runs if run.bulk is not None and run.experiment.clients == 1]
    if not alone:
        why = "no closed-loop run with one client"
        out.left["search.bulk_wait_seconds"] = f"{why}; {remedy('search.bulk_wait_seconds')}"
        return base
    rest = sum(alone) / len(alone)
    cpu_part = min(_bulk_cpu([r for r in runs if r.bulk is not None and r.experiment.clients == 1], base), rest)
    source = "`took` of one client's bulks less its index threads' time and the bulk's own CPU, cold as the node was"
    out.tell("search.bulk_wait_seconds", rest - cpu_part, (rest - cpu_part) / 4, max(alone), source)
    return Base({**base.value, "search.bulk_wait_seconds": rest - cpu_part}, base.sigma)


def _bulk_cpu(runs: Sequence[LabRun], base: Base) -> float:
    """CPU of a bulk beside its index threads in those closed loops, mean over their measured time [s]."""
    one = replace(fit_spark.BulkRest.of(base.value), wait=0.0)
    times = [(run, t) for run in runs for t in np.linspace(*run.window(), 9)]
    return sum(one.seconds(run, float(t)) for run, t in times) / len(times)


def _search_rest(out: Outcome, runs: list[LabRun]) -> None:
    """Pauses and bytes on disk; each may be missing by itself."""
    try:
        rate, seconds, seen = fit_search.pauses(runs)
        source = f"{seen} young collections"
        out.tell("search.pause_per_cpu_second", rate, rate / 1.5, rate * 1.5, source)
        out.tell("search.pause_seconds", seconds, seconds / 1.8, seconds * 1.3, source + "; half as long once warm")
    except ObservationError as error:
        out.left |= dict.fromkeys(["search.pause_per_cpu_second", "search.pause_seconds"], str(error))
    try:
        middle, least, most, odd = fit_search.index_ratio(runs)
        source = f"after minutes of natural merges, of the nominal JSON size; left out: {', '.join(odd) or 'none'}"
        out.tell("index.bytes_per_json_byte", middle, least * 0.97, most * 1.03, source)
    except ObservationError as error:
        out.left["index.bytes_per_json_byte"] = str(error)


def _spark(out: Outcome, runs: list[LabRun], base: Base, sigma: float) -> Base:
    wider = math.exp(WITHIN * sigma / math.sqrt(len(runs)))
    warm = {"warm_amplitude": "spark.warm_amplitude", "warm_seconds": "spark.warm_work_seconds"}
    rest = fit_spark.BulkRest.of(base.value)
    prior = base.scaled("record_scale", "spark.record_cpu_seconds").named(**warm)
    idle = _idle(out, runs, rest)
    _start(out, runs, sigma)
    beside = base.value["spark.idle_cpu_cores"] if idle is None else idle
    fitted = fit_spark.fit_batches(runs, prior[0], rest, sigma=prior[1], idle=beside)
    names = [name for name in fit_spark.COLUMNS if name in LAWS]
    _take(out, fitted, names, sigma, len(runs), "phases and tasks of every batch, waits taken off")
    _scaled(out, fitted, "record_scale", ["spark.record_cpu_seconds", "spark.byte_cpu_seconds"], base.value, wider)
    _warm(out, fitted, "spark", wider, "warm-up of the same fit, cold batches included")
    _noise(out, runs)
    return base


def _idle(out: Outcome, runs: list[LabRun], rest: fit_spark.BulkRest) -> float | None:
    """CPU of Spark's process trees beside its batches: collectors, compilers, listeners, the idle Python daemon."""
    found = []
    for run in (run for run in runs if run.spark_cpu is not None):
        with contextlib.suppress(ObservationError):  # sampled over a part of the run only
            found.append(fit_spark.background_cores(run, rest))
    if not found:
        out.left["spark.idle_cpu_cores"] = f"no CPU of Spark's process tree; {remedy('spark.idle_cpu_cores')}"
        return None
    middle = max(median(found), 0.0)
    source = f"CPU of Spark's process trees less its batches' work, {len(found)} runs, compilers of young JVMs included"
    out.tell("spark.idle_cpu_cores", middle, max(min(found), 0.0), max(max(found), middle), source)
    out.background["Spark's processes beside their batches"] = middle
    return middle


def _start(out: Outcome, runs: list[LabRun], sigma: float) -> None:
    """CPU of an application's start, from the process trees of runs that started it."""
    found = fit_spark.start_cpu(runs)
    if not found:
        name = "spark.start_cpu_seconds"
        out.left[name] = f"no process tree was sampled from its first batch on; {remedy(name)}"
        return
    wider = math.exp(WITHIN * sigma / math.sqrt(len(found)))
    source = f"CPU of the process tree when its first batch was triggered, {len(found)} starts"
    out.tell("spark.start_cpu_seconds", median(found), min(found) / wider, max(found) * wider, source)


def _noise(out: Outcome, runs: list[LabRun]) -> None:
    whole, each = (
        noise.spreads(runs),
        [noise.spreads([run]) for run in runs if any(len(step) >= 5 for step in noise.settled(run))],
    )

    def tell(name: str, part: str, source: str) -> None:
        values = [x for x in (getattr(spread, part) for spread in each) if not math.isnan(x)]
        if not values:
            out.left[name] = f"no event log tells single tasks; {remedy(name)}"
            return
        out.tell(name, max(getattr(whole, part), 0.0), max(min(values), 0.0) * 0.8, max(values) * 1.2, source)

    source = f"{whole.batches} settled batches, by quartiles within one rate of one run"
    tell("spark.batch_sigma", "batch_sigma", source)
    tell("spark.batch_autocorrelation", "batch_autocorrelation", source)
    tell("spark.task_sigma", "task_sigma", source)
    tell("spark.local_commit_seconds", "commit_seconds", "walCommit and commitOffsets")
    tell("spark.commit_sigma", "commit_sigma", "walCommit and commitOffsets")
    seen = [run for run in runs if noise.has_pauses(run)]
    if not seen:
        why = "no task shows a collection within a recorded process"
        out.left |= dict.fromkeys(["spark.pause_per_cpu_second", "spark.pause_seconds"], why)
        return
    rate, seconds, count = noise.pauses(seen)
    by_run = [noise.pauses([run]) for run in seen]
    source = f"{count} tasks with a collection; those between tasks are not seen"
    out.tell("spark.pause_per_cpu_second", rate, min(p[0] for p in by_run), max(p[0] for p in by_run), source)
    out.tell("spark.pause_seconds", seconds, min(p[1] for p in by_run), max(p[1] for p in by_run), source)


def _kafka(out: Outcome, runs: list[LabRun], base: Base, sigma: float) -> Base:
    warm = {"warm_amplitude": "kafka.warm_amplitude", "warm_seconds": "kafka.warm_work_seconds"}
    fitted = fit_kafka.fit_cpu(runs, *base.named(**warm))
    names = [fit_kafka.REQUEST, fit_kafka.BYTE, fit_kafka.IDLE]
    _take(out, fitted, names, sigma, len(runs), "process CPU of the broker between scrapes")
    wider = math.exp(WITHIN * sigma / math.sqrt(len(runs)))
    _warm(out, fitted, "kafka", wider, "warm-up of the same fit")
    out.left[fit_kafka.BATCH] = f"every batch came in a request of its own; {remedy(fit_kafka.BATCH)}"
    why = "Spark's polls also ask for offsets and metadata; no counter parts them"
    out.left[fit_kafka.FETCH_BYTE] = f"{why}; {remedy(fit_kafka.FETCH_BYTE)}"
    return base


def _left(out: Outcome) -> None:
    """Names what nothing told, with what would tell it."""
    if "the data node" not in out.refused:
        out.left["search.task_sigma"] = "the scatter of bulks holds refreshes, merges and warming too"
        out.left["search.merge_amplification"] = "what minutes of small segments merge is not the long run"
    for name in LAWS:
        if name.startswith("model."):
            continue  # no law's coefficient: told by experiments left out (planner.calibrate_model)
        if name not in out.told and name not in out.left:
            block = next((b for b, start in BLOCKS.items() if name.startswith(start) and b in out.refused), None)
            why = f"{block}: {out.refused[block]}" if block else "nothing here varies it"
            out.left[name] = f"{why}; {remedy(name)}"


BLOCKS = {"the data node": ("search.", "index."), "Spark's batches": ("spark.", "sink."), "the broker": ("kafka.",)}
