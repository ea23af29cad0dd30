"""All scores of one run of the command, and the few figures of them that the log keeps."""

from __future__ import annotations

import hashlib
import math
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accuracy import identities, kafka_rows, machines, search_rows
from benchmarks.accuracy.folds import PRIOR, fold
from benchmarks.accuracy.goals import with_tiers
from benchmarks.accuracy.lab_scores import SET, LabScores, flat, machine, recorded, score_lab, tested
from benchmarks.accuracy.page_test import batches, by_step, headline_scores
from benchmarks.accuracy.published import Row
from models.coefficients import load_set
from planner.backtest_score import coverage, middle, summarise
from planner.backtest_values import SUSTAINED

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


def commit() -> str:
    """The commit that these scores come from; a `+` where a file of the engine differs from it, "" outside git."""
    if told := os.environ.get("FLOODMARK_COMMIT", ""):
        return told
    try:
        head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
        folders = [*ENGINE, "planner", "benchmarks"]
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", *folders], cwd=ROOT, capture_output=True, text=True
        )
    except OSError:
        return ""
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


@dataclass(frozen=True)
class Everything:
    """Scores of the laboratory, published rows, machine pairs, and whose they are."""

    lab: LabScores
    rows: list[Row]
    loops: list[Row]
    pairs: list[machines.Pair]
    engine: str
    coefficients: dict[str, str]

    def figures(self) -> dict[str, str]:
        """What the log keeps: commit, digests, and median sizes of error [%]."""
        errors = {n: f"{100 * v:.1f}" for n, v in self._errors().items() if not math.isnan(v)}
        test = [one for one in self.lab.test if one.scores]
        counts = {"test runs": str(len(test)), "test batches": str(batches(test))} if test else {}
        return {"commit": commit(), "engine": self.engine} | self.coefficients | counts | errors

    def _errors(self) -> dict[str, float]:
        left = {s.quantity: s.median for s in summarise(by_step(flat(self.lab.left_out)))}
        known = {run.name: run for run in tested()}
        test = {s.quantity: s.median for s in summarise(with_tiers(headline_scores(self.lab.test), known, recorded()))}
        whole = coverage(flat(self.lab.test))
        names = ("batch time, median", "lag, most", "latency p50", "latency p99", "CPU of search", "CPU of spark")
        more = (*names, "catch-up", "CPU of kafka", "log bytes per record", "index bytes per JSON byte")
        more += tuple(q for q in test if q.startswith((SUSTAINED, "resident bytes", "heap bytes")))
        return (
            {f"left out: {name}": left[name] for name in names if name in left}
            | {f"test: {name}": test[name] for name in more if name in test}
            | ({"test: share inside 90 %": whole.share} if whole else {})
            | {
                "published indexing, test": self._typical("throughput"),
                "published publish latency p50, test": self._typical("publish p50"),
                "published publish latency p99, test": self._typical("publish p99"),
            }
        )

    def _typical(self, quantity: str) -> float:
        return middle(abs(r.error) for r in self.rows if r.role == "test" and r.quantity == quantity)


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
    loops = [] if quick else test_loops(seeds)
    return Everything(lab, rows, loops, pairs, engine_digest(), digests)


def test_loops(seeds: Sequence[int]) -> list[Row]:
    """The test set's closed loops with the packaged set; what a client takes comes from the fit runs with one."""
    alone = [run for run in recorded() if run.bulk is not None and run.experiment.clients == 1]
    runs = [run for run in tested() if run.bulk is not None]
    rows = search_rows.lab_loops([*alone, *runs], load_set(SET), "test", "test set, closed loop", seeds) if runs else []
    return [row for row in rows if not row.name.startswith("1 clients")]


def _loops(seeds: Sequence[int], quick: bool) -> list[Row]:
    """The laboratory's closed loops: in sample, and four clients from a fit without them."""
    runs, group = recorded(), "laboratory, closed loop"
    rows = search_rows.lab_loops(runs, load_set(SET), "fit", f"{group}, {SET}", seeds)
    if quick:
        return rows
    with tempfile.TemporaryDirectory() as work:
        without = fold(runs, (LOOP_LEFT_OUT,), machine(), Path(work)).coefficients
    alone = [run for run in runs if run.name == LOOP_LEFT_OUT or run.experiment.clients == 1]
    name = f"{group}, fitted without four clients"
    left_out = search_rows.lab_loops(alone, without, "test", name, seeds)
    return rows + [row for row in left_out if row.name.startswith("4 clients")]
