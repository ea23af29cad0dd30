"""All scores of one run of the command, and the few figures of them that the log keeps."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy import identities, kafka_rows, machines, search_rows
from benchmarks.accuracy.folds import PRIOR, fold
from benchmarks.accuracy.lab_scores import RESULTS, SET, LabScores, recorded, score_lab
from benchmarks.accuracy.published import Row
from benchmarks.accuracy.score import Score, middle, summarise
from models.coefficients import load_set

SEEDS, QUICK_SEEDS = range(1, 9), range(1, 3)
PUBLISHED_SEEDS = range(1, 4)
FRONT_SECONDS = 10.0  # of the exact front; two million records
QUICK_RUNS = ("fit-pipe-8-partitions-4s",)
LOOP_LEFT_OUT = "fit-bulk-4x1000"
ROOT, ENGINE = Path(__file__).parents[2], ("models", "simulator", "calibration")


def engine_digest() -> str:
    """Digest of the code that these scores come from: laws, simulator and fit, line ends aside."""
    digest = hashlib.sha256()
    for folder in ENGINE:
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.name.encode() + path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class Everything:
    """Scores of the laboratory, published rows, machine pairs, and whose they are."""

    lab: LabScores
    rows: list[Row]
    pairs: list[machines.Pair]
    engine: str
    coefficients: dict[str, str]

    def figures(self) -> dict[str, str]:
        """What the log keeps: digests, and median sizes of error [%]."""
        return {"engine": self.engine} | self.coefficients | {n: f"{100 * v:.1f}" for n, v in self._errors().items()}

    def _errors(self) -> dict[str, float]:
        left = {s.quantity: s.median for s in summarise(by_step(self.lab.left_out))}
        names = ("batch time, median", "lag, most", "latency p50", "latency p99", "CPU of search", "CPU of spark")
        return {f"left out: {name}": left[name] for name in names if name in left} | {
            "published indexing, test": self._typical("throughput"),
            "published publish latency p50, test": self._typical("publish p50"),
            "published publish latency p99, test": self._typical("publish p99"),
        }

    def _typical(self, quantity: str) -> float:
        return middle(abs(r.error) for r in self.rows if r.role == "test" and r.quantity == quantity)


def by_step(scores: Sequence[Score]) -> list[Score]:
    """Scores of steps, and of the whole run where steps have none."""
    stepped = {s.quantity for s in scores if s.part != "all"}
    return [s for s in scores if s.part != "all" or s.quantity not in stepped]


def score(quick: bool = False) -> Everything:
    """Score it all; `quick` leaves out most seeds and rows and keeps each kind."""
    generic, lab_set = load_set(PRIOR), load_set(SET)
    lab = score_lab(QUICK_SEEDS if quick else SEEDS, QUICK_RUNS if quick else ())
    seeds = range(1, 2) if quick else PUBLISHED_SEEDS
    rows = [*identities.buffer_law(), *identities.asap_latency(), *kafka_rows.network_bounds()]
    rows += [*search_rows.bulk_law(), *search_rows.replica_law(), *search_rows.segment_law(generic)]
    rows += [*search_rows.storage(generic), *search_rows.by_corpus(generic, seeds, quick), *_loops(seeds, quick)]
    if not quick:
        rows += kafka_rows.latency(generic, FRONT_SECONDS, range(1, 2))
    pairs = [] if quick else machines.pairs(generic, seeds)
    digests = {PRIOR: generic.digest, SET: lab_set.digest}
    return Everything(lab, rows, pairs, engine_digest(), digests)


def _loops(seeds: Sequence[int], quick: bool) -> list[Row]:
    """The laboratory's closed loops: in sample, and four clients from a fit without them."""
    runs, group = recorded(), "laboratory, closed loop"
    rows = search_rows.lab_loops(runs, load_set(SET), "fit", f"{group}, {SET}", seeds)
    if quick:
        return rows
    with tempfile.TemporaryDirectory() as work:
        without = fold(RESULTS, runs, (LOOP_LEFT_OUT,), Path(work)).coefficients
    alone = [run for run in runs if run.name == LOOP_LEFT_OUT or run.experiment.clients == 1]
    name = f"{group}, fitted without four clients"
    left_out = search_rows.lab_loops(alone, without, "test", name, seeds)
    return rows + [row for row in left_out if row.name.startswith("4 clients")]
