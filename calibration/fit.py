"""Fit: a folder of recorded runs in, a dated coefficient set out.

    python -m calibration.fit lab/results/2026-11-23-epyc-2core -o models/data/lab-2026-11-23.toml

Only runs named `fit-…` are read: what a forecast is tested on is not what it was fitted to. Each
coefficient comes from one law's equations (`fit_spark`, `fit_search`, `fit_kafka`), with an interval
from resampled observations, widened by how far two equal runs lie apart. What the runs cannot tell is
left out of the set, so that the generic value fills it, and is named in `[fit]`.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from calibration import fit_kafka, fit_search, fit_spark, noise
from calibration.lab import LabRun, load_run
from calibration.observations import ObservationError
from calibration.regress import Fit
from models.coefficients import LAWS, carried, load_set

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
    """What the runs told, by name, and by block its fit; `left` is what they could not tell, with the reason."""

    told: dict[str, Told] = field(default_factory=dict)
    fits: dict[str, Fit] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)

    def tell(self, name: str, value: float, low: float, high: float, source: str) -> None:
        if name not in LAWS:
            raise KeyError(name)
        self.told[name] = Told(value, min(low, value), max(high, value), source)


def load_runs(folder: Path) -> list[LabRun]:
    """The fit runs of a results folder, in order of name."""
    runs = [load_run(path) for path in sorted(folder.glob("fit-*")) if path.is_dir()]
    if not runs:
        raise ObservationError(f"{folder}: no folder fit-… in it; give a results folder of recorded runs")
    return runs


def repeats(runs: Sequence[LabRun]) -> float:
    """Log standard deviation between equal runs, from the runs named `…-again`."""
    by_name = {run.name: run for run in runs}
    pairs = [(by_name[n.removesuffix("-again")], r) for n, r in by_name.items() if n.endswith("-again")]
    if not pairs:
        raise ObservationError("no run was repeated (named …-again), so how far equal runs lie apart is unknown")
    return sum(noise.repeatability(one, other) for one, other in pairs) / len(pairs)


def fit_runs(runs: Sequence[LabRun], prior: dict[str, float]) -> Outcome:
    """Every coefficient that these runs tell."""
    out, prior = Outcome(), dict(prior)
    sigma = repeats(runs)
    # two runs leave one degree of freedom: chi-square 90 % is 0.51 to 16 times; the README's own bound cuts the upper
    out.tell("spark.run_sigma", sigma, sigma / 1.96, max(REPEATS / math.sqrt(2), sigma), "two equal runs an hour apart")
    _search(out, [run for run in runs if run.node is not None], prior, sigma)
    _spark(out, [run for run in runs if run.batches], prior, sigma)
    _kafka(out, [run for run in runs if run.broker is not None], prior, sigma)
    _left(out)
    return out


def _take(out: Outcome, fitted: Fit, names: Sequence[str], sigma: float, runs: int, what: str) -> None:
    """Copy coefficients of a fit, their intervals widened by the spread between runs."""
    out.fits[fitted.block] = fitted
    wider = math.exp(WITHIN * sigma / math.sqrt(runs))
    for name in names:
        if name in fitted.held:
            out.left[name] = f"the rows of {fitted.block} cannot tell it from the others"
        else:
            at = (fitted.value[name], fitted.low[name] / wider, fitted.high[name] * wider)
            out.tell(name, *at, f"{what}; {fitted.rows} observations, condition {fitted.condition:.1f}")


def _scaled(
    out: Outcome, fitted: Fit, column: str, names: Sequence[str], prior: dict[str, float], wider: float
) -> None:
    """Coefficients of which only the priors' common multiple was told."""
    scale = (fitted.value[column], fitted.low[column] / wider, fitted.high[column] * wider)
    for name in names:
        source = f"{scale[0]:.2f} times the prior's; only the sum over {' and '.join(names)} was told"
        out.tell(name, prior[name] * scale[0], prior[name] * scale[1], prior[name] * scale[2], source)


def _search(out: Outcome, runs: list[LabRun], prior: dict[str, float], sigma: float) -> None:
    wider = math.exp(WITHIN * sigma / math.sqrt(len(runs)))
    refresh = fit_search.fit_refresh(runs, prior)
    names = [fit_search.REFRESH, fit_search.REFRESH_DOCUMENT]
    _take(out, refresh, names, sigma, len(runs), "refresh threads' time in intervals without a merge")
    prior |= {name: refresh.value[name] for name in names}
    cpu = fit_search.fit_cpu(runs, prior)
    names = [fit_search.BULK, fit_search.MERGE, fit_search.IDLE, fit_search.QUERY]
    _take(out, cpu, names, sigma, len(runs), "process CPU of the node by interval")
    _scaled(out, cpu, "index_scale", [fit_search.DOCUMENT, fit_search.BYTE], prior, wider)
    for ours, theirs in (("search.warm_amplitude", "warm_amplitude"), ("search.warm_work_seconds", "warm_seconds")):
        at = cpu.value[theirs], cpu.low[theirs] / wider, cpu.high[theirs] * wider
        out.tell(ours, *at, "warm-up of the same fit, work since the first document")
    alone = [fit_search.bulk_rest(run)[0] for run in runs if run.bulk is not None and run.experiment.clients == 1]
    if not alone:
        raise ObservationError("no closed-loop run with one client, so the wait of a bulk is not told")
    rest = sum(alone) / len(alone)
    cpu_part = min(cpu.value[fit_search.BULK], rest)
    source = "`took` of one client's bulks less its index threads' time and the bulk's own CPU"
    out.tell("search.bulk_wait_seconds", rest - cpu_part, (rest - cpu_part) / 4, max(alone), source)
    prior["bulk rest"] = rest
    rate, seconds, seen = fit_search.pauses(runs)
    source = f"{seen} young collections, heap 1 GiB, G1"
    out.tell("search.pause_per_cpu_second", rate, rate / 1.5, rate * 1.5, source)
    out.tell("search.pause_seconds", seconds, seconds / 1.8, seconds * 1.3, source + "; half as long once warm")
    middle, least, most, odd = fit_search.index_ratio(runs)
    source = f"after minutes of natural merges, of the nominal JSON size; left out: {', '.join(odd) or 'none'}"
    out.tell("index.bytes_per_json_byte", middle, least * 0.97, most * 1.03, source)


def _spark(out: Outcome, runs: list[LabRun], prior: dict[str, float], sigma: float) -> None:
    wider = math.exp(WITHIN * sigma / math.sqrt(len(runs)))
    fitted = fit_spark.fit_batches(runs, prior, prior["bulk rest"])
    names = [name for name in fit_spark.COLUMNS if name in LAWS]
    _take(out, fitted, names, sigma, len(runs), "phases and tasks of every batch, waits taken off")
    _scaled(out, fitted, "record_scale", ["spark.record_cpu_seconds", "spark.byte_cpu_seconds"], prior, wider)
    for ours, theirs in (("spark.warm_amplitude", "warm_amplitude"), ("spark.warm_work_seconds", "warm_seconds")):
        at = fitted.value[theirs], fitted.low[theirs] / wider, fitted.high[theirs] * wider
        out.tell(ours, *at, "warm-up of the same fit, cold batches included")
    _noise(out, runs)


def _noise(out: Outcome, runs: list[LabRun]) -> None:
    whole, each = noise.spreads(runs), [noise.spreads([run]) for run in runs if len(noise.settled(run)[0]) >= 5]

    def tell(name: str, part: str, source: str) -> None:
        values = [getattr(spread, part) for spread in each]
        out.tell(name, max(getattr(whole, part), 0.0), max(min(values), 0.0) * 0.8, max(values) * 1.2, source)

    source = f"{whole.batches} settled batches, by quartiles within one rate of one run"
    tell("spark.batch_sigma", "batch_sigma", source)
    tell("spark.batch_autocorrelation", "batch_autocorrelation", source)
    tell("spark.task_sigma", "task_sigma", source)
    tell("spark.local_commit_seconds", "commit_seconds", "walCommit and commitOffsets")
    tell("spark.commit_sigma", "commit_sigma", "walCommit and commitOffsets")
    rate, seconds, count = noise.pauses(runs)
    by_run = [noise.pauses([run]) for run in runs]
    source = f"{count} tasks with a collection, heap 1 GiB; those between tasks are not seen"
    out.tell("spark.pause_per_cpu_second", rate, min(p[0] for p in by_run), max(p[0] for p in by_run), source)
    out.tell("spark.pause_seconds", seconds, min(p[1] for p in by_run), max(p[1] for p in by_run), source)


def _kafka(out: Outcome, runs: list[LabRun], prior: dict[str, float], sigma: float) -> None:
    fitted = fit_kafka.fit_cpu(runs, prior)
    names = [fit_kafka.REQUEST, fit_kafka.BYTE, fit_kafka.IDLE]
    _take(out, fitted, names, sigma, len(runs), "process CPU of the broker between scrapes")
    wider = math.exp(WITHIN * sigma / math.sqrt(len(runs)))
    for ours, theirs in (("kafka.warm_amplitude", "warm_amplitude"), ("kafka.warm_work_seconds", "warm_seconds")):
        at = fitted.value[theirs], fitted.low[theirs] / wider, fitted.high[theirs] * wider
        out.tell(ours, *at, "warm-up of the same fit")
    out.left[fit_kafka.BATCH] = "every batch came in a request of its own"
    out.left[fit_kafka.FETCH_BYTE] = "Spark's polls also ask for offsets and metadata; no counter parts them"


def _left(out: Outcome) -> None:
    out.left["search.task_sigma"] = "bulks scatter by 0.30 to 0.43, refreshes, merges and warming included"
    out.left["search.merge_amplification"] = "2.5 to 3.1 after four minutes of small segments is not the long run"
    for name in LAWS:
        if name not in out.told and name not in out.left:
            out.left[name] = "nothing here varies it"


def domain(runs: Sequence[LabRun]) -> dict[str, tuple[float, float]]:
    """The ranges that these runs cover, by quantity."""
    asked = [run.experiment for run in runs]
    spark = [run for run in runs if run.batches]
    bulk = [e.bulk_documents for e in asked if "bulk" in (e.sink, e.kind)]
    settled = [b.records for run in spark for step in noise.settled(run) for b in step]
    values: dict[str, list[float]] = {
        "records_per_second": [rate for run in spark for _, rate in run.experiment.plan],
        "producer_records_per_second": [rate for e in asked for _, rate in e.plan],
        "records_per_batch": [float(n) for n in settled],
        "record_bytes": [e.record_bytes for e in asked],
        "partitions": [float(e.partitions) for e in asked if e.plan],
        "trigger_seconds": [e.trigger_seconds for e in asked if e.trigger_seconds],
        "spark_cores": [float(e.cores) for e in asked if e.trigger_seconds],
        "bulk_documents": [float(n) for n in bulk],
        "bulk_clients": [float(e.clients) for e in asked if e.clients],
        "state_partitions": [float(e.state_partitions) for e in asked if e.state_partitions],
    }
    return {name: (min(found), max(found)) for name, found in values.items() if found}


def digest(folder: Path) -> str:
    """A hash over the fit runs' files, so that a set says what it was made from."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("fit-*/*")):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return total.hexdigest()[:16]


def to_toml(name: str, machine: dict[str, Any], base: str, folder: Path, runs: Sequence[LabRun], out: Outcome) -> str:
    """The set as TOML: head, domain, how it was fitted, coefficients."""
    lines = [
        f"# Made by: python -m calibration.fit {folder.as_posix()} -o models/data/{name}.toml",
        "# Do not edit: run it again.",
        "",
        "[set]",
        f'name = "{name}"',
        f"as_of = {machine['as_of']}",
        f'machine = "{machine["name"]}"',
        f"per_core_speed = {machine['per_core_speed']}  # {machine['per_core_speed_grade']}",
        f'fills_from = "{base}"',
        "",
        "[domain]",
        *(f"{key} = [{low:.6g}, {high:.6g}]" for key, (low, high) in domain(runs).items()),
        "",
        "[fit]",
        f'recordings = "{digest(folder)}"',
        f"runs = [{', '.join(chr(34) + run.name + chr(34) for run in runs)}]",
        f'per_core_speed_source = "{machine["per_core_speed_source"]}"',
        "",
        "[fit.condition]",
        *(f'"{block}" = {fitted.condition:.3g}' for block, fitted in out.fits.items()),
        "",
        "[fit.left_at_prior]",
        *(f'"{key}" = "{reason}"' for key, reason in sorted(out.left.items())),
    ]
    for key in (key for key in LAWS if key in out.told):
        one = out.told[key]
        lines += ["", f"[coefficients.{key}]"]
        lines += [f"{part} = {getattr(one, part):.4g}" for part in ("value", "low", "high")]
        lines += [f'unit = "{LAWS[key][0]}"', 'grade = "measured"', f'source = "{one.source}"']
    return "\n".join(lines) + "\n"


def report(out: Outcome) -> str:
    """Fitted values with intervals, condition numbers, and what was left."""
    lines = [f"{'coefficient':36s} {'value':>10s} {'low':>10s} {'high':>10s}  unit"]
    for key, one in out.told.items():
        lines.append(f"{key:36s} {one.value:10.4g} {one.low:10.4g} {one.high:10.4g}  {LAWS[key][0]}")
    for block, fitted in out.fits.items():
        warm = fitted.value.get("warm_amplitude"), fitted.value.get("warm_seconds")
        warmed = f"; warm-up A {warm[0]:.3g}, w0 {warm[1]:.3g} CPU s" if warm[0] is not None else ""
        lines.append(f"{block}: condition {fitted.condition:.1f}, {fitted.rows} observations{warmed}")
    lines += [f"left at the prior: {key}: {reason}" for key, reason in sorted(out.left.items())]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m calibration.fit", description="Fit a coefficient set to recorded runs.")
    parser.add_argument("folder", type=Path, help="results folder with fit-… runs and machine.toml")
    parser.add_argument("-o", "--output", type=Path, required=True, help="TOML file to write; its stem names the set")
    parser.add_argument("--prior", default="generic-2026-11", help="set that is the prior and fills what is not told")
    asked = parser.parse_args(arguments)
    try:
        machine = tomllib.loads((asked.folder / "machine.toml").read_text(encoding="utf-8"))
        runs = load_runs(asked.folder)
        base = load_set(asked.prior)
        prior = {n: c.value for n, c in carried(base, machine["per_core_speed"]).items()}
        out = fit_runs(runs, prior)
    except (ObservationError, OSError) as error:
        print(f"refused: {error}", file=sys.stderr)
        return 1
    asked.output.write_text(to_toml(asked.output.stem, machine, asked.prior, asked.folder, runs, out), encoding="utf-8")
    print(report(out), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
