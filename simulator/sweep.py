"""Many runs: jobs in, one small result each out, in their order, however they are spread.

A job is a scenario with its coefficients, seed, level and rate factor. Every draw in the simulator belongs to
an address, so a job gives the same numbers here, in another process or on another day; a folder may keep them
by a digest of all that moves them (the simulator's own source too), and a sweep that was interrupted goes on
where it stopped. Jobs travel in chunks of at least half a second of work (engine.md D5). Most sweeps need no
second process: a hundred candidates take some seconds in this one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.stack import Scenario
from simulator.run import Level, simulate
from simulator.trace import Trace

Result = dict[str, Any]
Measure = Callable[[Trace], Result]
CHUNK_SECONDS = 0.5
QUANTILES = (0.5, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True)
class Job:
    """One run to make."""

    scenario: Scenario
    coefficients: CoefficientSet
    seed: int = 1
    level: Level = "fluid"
    rate_factor: float = 1.0
    outages: tuple[tuple[float, float], ...] = ()

    def digest(self) -> str:
        """All that moves this job's result, as one name."""
        values = sorted((name, c.value) for name, c in self.coefficients.values.items())
        told = [self.scenario.model_dump_json(), values, self.coefficients.per_core_speed, self.seed, self.level]
        told += [self.rate_factor, self.outages, engine_digest()]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Refused:
    """A job that cannot be run, and why; its neighbours run on."""

    reason: str


@cache
def engine_digest() -> str:
    """The source of simulator and models, as one name: a changed engine reads no old results."""
    root, digest = Path(__file__).parent.parent, hashlib.sha256()
    for folder in ("models", "simulator"):
        for path in sorted((root / folder).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def summary(trace: Trace) -> Result:
    """What most sweeps ask of a run: latency, batches and lag of each flow, load of each host."""
    flows = {name: _flow_summary(trace, name) for name in trace.flows}
    hosts = {host.name: {"utilisation": host.utilisation, "permits_busy": host.permits_busy} for host in trace.hosts}
    return {"flows": flows, "hosts": hosts, "slots_busy": trace.slots_busy}


def _flow_summary(trace: Trace, name: str) -> Result:
    flow = trace.flows[name]
    batches = flow.counted(trace.measured_from, trace.measured_until)
    lasted = batches["finished"] - batches["started"]
    return {
        "quantiles": {str(q): flow.latency.quantile(q) for q in QUANTILES},
        "mean": flow.latency.mean,
        "batches": len(batches),
        "batch_seconds": float(np.mean(lasted)) if len(batches) else math.nan,
        "most_lag_records": float(batches["lag_records"].max()) if len(batches) else math.nan,
        "hops": dict(flow.hops),
        "outcome": flow.outcome,
    }


def sweep(
    jobs: Iterable[Job],
    *,
    workers: int = 1,
    measure: Measure = summary,
    folder: Path | str | None = None,
    chunk_seconds: float = CHUNK_SECONDS,
    dask: str = "",
) -> list[Result | Refused]:
    """One result a job, in the jobs' order.

    `workers` over 1 spreads chunks over processes (joblib's loky); `measure` then must be a function that a process
    can import. What it returns must be JSON if a `folder` is to keep it: there each job is one small file. `dask` is
    the address of a Dask scheduler whose workers run the chunks instead (extra `dask`); they need this checkout.
    """
    todo = list(jobs)
    if workers < 1:
        raise ValueError(f"workers = {workers}; expected 1 or more")
    where = None if folder is None else Path(folder)
    if where is not None:
        where.mkdir(parents=True, exist_ok=True)
    done: dict[int, Result | Refused] = {}
    for n, job in enumerate(todo):
        if (kept := _kept(where, job, measure)) is not None:
            done[n] = kept
    left = [n for n in range(len(todo)) if n not in done]
    if left and (workers > 1 or dask):
        first = left.pop(0)  # one run here tells how many make a chunk
        began = time.perf_counter()
        done[first] = _one(todo[first], measure, where)
        size = chunk_size(time.perf_counter() - began, chunk_seconds, len(left), workers)
        done |= _spread(todo, left, size, workers, measure, where, dask)
    else:
        done |= {n: _one(todo[n], measure, where) for n in left}
    return [done[n] for n in range(len(todo))]


def chunk_size(run_seconds: float, chunk_seconds: float, jobs: int, workers: int) -> int:
    """Jobs of one chunk: enough for `chunk_seconds` of work, but no worker left without any [count].

    >>> chunk_size(0.1, 0.5, 100, 2), chunk_size(0.01, 0.5, 10, 2), chunk_size(3.0, 0.5, 10, 2)
    (5, 5, 1)
    """
    enough = math.ceil(chunk_seconds / max(run_seconds, 1e-6) - 1e-9)
    return max(1, min(enough, math.ceil(jobs / workers)))


def _spread(
    jobs: Sequence[Job], left: list[int], size: int, workers: int, measure: Measure, folder: Path | None, dask: str
) -> dict[int, Result | Refused]:
    import joblib  # only sweeps over processes need it

    chunks = [left[k : k + size] for k in range(0, len(left), size)]
    work = [joblib.delayed(_chunk)([jobs[n] for n in chunk], measure, folder) for chunk in chunks]
    if dask:
        with _cluster(dask), joblib.parallel_config(backend="dask"):
            made = joblib.Parallel()(work)
    else:
        made = joblib.Parallel(n_jobs=workers, backend="loky")(work)
    return {
        n: result for chunk, results in zip(chunks, made, strict=True) for n, result in zip(chunk, results, strict=True)
    }


def _cluster(address: str) -> Any:
    """A client of a Dask scheduler. Raises ValueError where Dask is not installed or nobody answers."""
    try:
        from distributed import Client
    except ImportError:
        raise ValueError("dask: the package is not installed; pip install 'floodmark[dask]'") from None
    try:
        return Client(address, timeout=10, set_as_default=True)
    except (OSError, ValueError, TimeoutError) as error:
        raise ValueError(
            f"dask = '{address}': no scheduler answers ({error}); expected such as tcp://host:8786"
        ) from None


def _chunk(jobs: list[Job], measure: Measure, folder: Path | None) -> list[Result | Refused]:
    return [_one(job, measure, folder) for job in jobs]


def _one(job: Job, measure: Measure, folder: Path | None) -> Result | Refused:
    """Run a job, and keep what it gave before anything else happens."""
    try:
        trace = simulate(
            job.scenario,
            job.coefficients,
            seed=job.seed,
            level=job.level,
            rate_factor=job.rate_factor,
            outages=job.outages,
        )
    except (ValueError, MemoryError) as error:
        return Refused(f"{job.scenario.name}: {error}")
    result = measure(trace)
    if folder is not None:
        _keep(_path(folder, job, measure), result)
    return result


def _path(folder: Path, job: Job, measure: Measure) -> Path:
    return folder / f"{job.digest()}-{measure.__module__.rsplit('.', 1)[-1]}.{measure.__qualname__}.json"


def _kept(folder: Path | None, job: Job, measure: Measure) -> Result | None:
    """A job's result from an earlier sweep; a file that was cut short counts as none."""
    if folder is None:
        return None
    try:
        found: Result = json.loads(_path(folder, job, measure).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return found


def _keep(path: Path, result: Result) -> None:
    """Write beside, then rename: a reader sees a whole file or none."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(name, path)
