"""Watch: do the laws still say what is measured? Each law's cost with a set's coefficients beside what was seen.

A law is an equation that a fit was made from (a batch's driver, its tasks, a node's CPU between samples). A `Drift` is
the median of measured over said, with an interval from resampled observations: 1.3 means that the law now says three
tenths too little. What one equation mixes it cannot tell apart; it names its coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration import fit_kafka, fit_search, fit_spark, noise
from calibration.lab import LabRun
from calibration.observations import ObservationError
from calibration.regress import NINETY, Block, predicted, resampled

LEAST_ROWS = 8
DRAWS = 200


@dataclass(frozen=True)
class Drift:
    """One law: measured over said, its 90 % interval, and how many observations told it."""

    law: str
    coefficients: tuple[str, ...]
    ratio: float
    low: float
    high: float
    rows: int

    def beyond(self, tolerance: float) -> bool:
        """Whether it is off by more than a share, and surely so: its whole interval lies beyond one."""
        off = abs(np.log(self.ratio)) > np.log1p(tolerance)
        return bool(off and not self.low <= 1.0 <= self.high)


def drifts(runs: Sequence[LabRun], value: Mapping[str, float]) -> tuple[list[Drift], dict[str, str]]:
    """Each law's drift in these runs under the coefficients `value`, and the laws they say nothing of, with why."""
    found: list[Drift] = []
    silent: dict[str, str] = {}
    for law, tell in LAWS_WATCHED.items():
        try:
            found += tell(law, runs, value)
        except ObservationError as error:
            silent[law] = str(error).splitlines()[0]
    return found, silent


def drift_of(law: str, names: Sequence[str], block: Block, value: Mapping[str, float], seed: int = 7) -> Drift:
    """Of one block of equations. Raises ObservationError where too few rows tell it."""
    if block.rows < LEAST_ROWS:
        raise ObservationError(f"{law}: {block.rows} observations; {LEAST_ROWS} are needed")
    ratio = block.cost / np.maximum(predicted(block, value), 1e-9)
    dice = np.random.default_rng(seed)
    again = [float(np.median(ratio[resampled(block.run, dice).astype(int)])) for _ in range(DRAWS)]
    low, high = np.quantile(again, NINETY)
    return Drift(law, tuple(names), float(np.median(ratio)), float(low), float(high), block.rows)


def _spark(law: str, runs: Sequence[LabRun], value: Mapping[str, float]) -> list[Drift]:
    mine = [run for run in runs if run.batches]
    if not mine:
        raise ObservationError("no query's batches were recorded")
    rest = fit_spark.BulkRest.of(value)
    own = value["spark.record_cpu_seconds"], value["spark.byte_cpu_seconds"]
    block = fit_spark.equations(mine, *own, rest, value["spark.idle_cpu_cores"])
    known = {**value, "record_scale": 1.0, "warm_amplitude": value["spark.warm_amplitude"],
             "warm_seconds": value["spark.warm_work_seconds"]}  # fmt: skip
    drives = block.warmed["spark.batch_cpu_seconds"] > 0
    works = block.warmed["spark.task_cpu_seconds"] > 0
    parts = {
        "a batch's driver": (drives & ~works, ("spark.batch_cpu_seconds", "spark.launch_seconds")),
        "a batch's tasks": (works & ~drives, ("spark.task_cpu_seconds", "spark.record_cpu_seconds", "sink.…")),
        "a whole batch": (
            works & drives,
            ("spark.batch_cpu_seconds", "spark.task_cpu_seconds", "spark.record_cpu_seconds"),
        ),
    }
    return [
        drift_of(name, names, block.take(np.flatnonzero(rows).astype(float)), known)
        for name, (rows, names) in parts.items()
        if rows.sum() >= LEAST_ROWS
    ]


def _search(law: str, runs: Sequence[LabRun], value: Mapping[str, float]) -> list[Drift]:
    mine = [run for run in runs if run.node_is_whole]
    if not mine:
        raise ObservationError("no data node's counters were recorded")
    known = {**value, "index_scale": 1.0, "warm_amplitude": value["search.warm_amplitude"],
             "warm_seconds": value["search.warm_work_seconds"]}  # fmt: skip
    names = (fit_search.DOCUMENT, fit_search.BYTE, fit_search.BULK, fit_search.REFRESH, fit_search.IDLE)
    return [drift_of(law, names, fit_search.cpu_block(mine, value), known)]


def _kafka(law: str, runs: Sequence[LabRun], value: Mapping[str, float]) -> list[Drift]:
    mine = [run for run in runs if run.broker is not None]
    if not mine:
        raise ObservationError("no broker's counters were recorded")
    known = {**value, "warm_amplitude": value["kafka.warm_amplitude"],
             "warm_seconds": value["kafka.warm_work_seconds"]}  # fmt: skip
    names = (fit_kafka.REQUEST, fit_kafka.BYTE, fit_kafka.IDLE)
    return [drift_of(law, names, fit_kafka.cpu_block(mine, value), known)]


def _commit(law: str, runs: Sequence[LabRun], value: Mapping[str, float]) -> list[Drift]:
    mine = [run for run in runs if run.batches]
    if not mine:
        raise ObservationError("no query's batches were recorded")
    seen = noise.commit_seconds(mine)
    ratio = seen / value["spark.local_commit_seconds"]
    dice = np.random.default_rng(7)
    again = [float(np.mean(dice.choice(ratio, len(ratio)))) for _ in range(DRAWS)]
    low, high = np.quantile(again, NINETY)
    return [Drift(law, ("spark.local_commit_seconds",), float(np.mean(ratio)), float(low), float(high), len(ratio))]


def _index(law: str, runs: Sequence[LabRun], value: Mapping[str, float]) -> list[Drift]:
    middle, least, most, _ = fit_search.index_ratio([run for run in runs if run.index is not None])
    base = value["index.bytes_per_json_byte"]
    return [Drift(law, ("index.bytes_per_json_byte",), middle / base, least / base, most / base, 1)]


Teller = Callable[[str, Sequence[LabRun], Mapping[str, float]], list[Drift]]
LAWS_WATCHED: dict[str, Teller] = {
    "a batch": _spark,
    "a checkpoint write": _commit,
    "a data node's CPU": _search,
    "index bytes": _index,
    "a broker's CPU": _kafka,
}
