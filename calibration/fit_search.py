"""Fit of a data node's coefficients from its own counters.

The node's process CPU in each sampling interval is shared out over what it did in it: documents and
bulks indexed, segments refreshed, bytes merged, searches answered, and idling. Its JVM warms too: a
document costs twice as much in the first seconds of load as a minute later, so the warm-up is fitted
along, with w the node's CPU seconds since its first document.

A merge is counted when it ends; here its bytes are laid evenly over the time it took. Refreshed
documents and indexed documents are the same documents: the refresh thread's own time, in intervals
without a merge, parts them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.elasticsearch import BulkResult, Node
from calibration.lab import LabRun
from calibration.observations import Counter, Floats, ObservationError
from calibration.regress import Block, Fit, fit

IDLE, QUERY, BULK = "search.idle_cpu_cores", "search.query_cpu_seconds", "search.bulk_cpu_seconds"
DOCUMENT, BYTE = "search.document_cpu_seconds", "search.byte_cpu_seconds"
REFRESH, REFRESH_DOCUMENT = "search.refresh_cpu_seconds", "search.refresh_document_cpu_seconds"
MERGE = "search.merge_byte_cpu_seconds"


def spread_merges(node: Node) -> Counter:
    """Bytes merged, each merge laid evenly over the seconds it took until it was counted."""
    ended, seconds = node.counters["merge_bytes"], node.counters["merge_seconds"]
    total = np.zeros(len(ended.t))
    steps = zip(ended.t[1:], np.diff(ended.unwrapped()), np.diff(seconds.unwrapped()), strict=True)
    for at, merged, took in steps:
        if merged > 0:
            total += merged * np.clip((ended.t - (at - max(took, 1e-3))) / max(took, 1e-3), 0.0, 1.0)
    return Counter("merged bytes, spread", ended.t, total)


@dataclass(frozen=True)
class Windows:
    """What one node did between samples: start and end [epoch s], and the growth of each counter."""

    run: str
    start: Floats
    end: Floats
    work: Floats
    record_bytes: float
    growth: Mapping[str, Floats]


def windows(run: LabRun) -> Windows:
    """A run's node, interval by interval; `work` is its CPU since its first document, at each middle."""
    if run.node is None:
        raise ObservationError(f"{run.name}: no _nodes/stats in it")
    counters = dict(run.node.counters) | {"merge_spread": spread_merges(run.node)}
    t, cpu = counters["cpu_seconds"].t, counters["cpu_seconds"].unwrapped()
    started = int(np.argmax(counters["documents"].unwrapped() > 0))
    middle = (cpu[1:] + cpu[:-1]) / 2
    growth = {name: np.diff(c.unwrapped()) for name, c in counters.items()}
    work = np.maximum(middle - cpu[max(started - 1, 0)], 0.0)
    work = middle if run.exported else work
    return Windows(run.name, t[:-1], t[1:], work, run.experiment.record_bytes, growth)


def cpu_block(runs: Sequence[LabRun], prior: Mapping[str, float]) -> Block:
    """CPU of every interval as work done in it; `prior` prices refreshes, and one document against one byte.

    Documents of two sizes are too few to part a cost per document from one per byte, so `index_scale` multiplies the
    prior's cost of both. A search whose shard did not change since is answered from the request cache and counts as
    idling; the laboratory's own polls are the only searches here.
    """
    parts = [windows(run) for run in runs if run.node is not None]

    def joined(name: str) -> Floats:
        return np.concatenate([w.growth[name] for w in parts])

    documents, refreshes = joined("documents"), joined("refreshes")
    bytes_each = np.concatenate([np.full(len(w.start), w.record_bytes) for w in parts])
    seconds = np.concatenate([w.end - w.start for w in parts])
    return Block(
        name="the data node's CPU",
        warmed={
            BULK: joined("bulks"),
            "index_scale": documents * (prior[DOCUMENT] + bytes_each * prior[BYTE]),
            MERGE: joined("merge_spread"),
            QUERY: joined("queries") * (refreshes > 0),
        },
        plain={IDLE: seconds},
        known=np.zeros(len(seconds)),
        priced=refreshes * prior[REFRESH] + documents * prior[REFRESH_DOCUMENT],
        cost=joined("cpu_seconds"),
        work=np.concatenate([w.work for w in parts]),
        weight=1 / np.sqrt(np.maximum(joined("cpu_seconds"), 0.1) * seconds),
        run=tuple(w.run for w in parts for _ in w.start),
    )


def refresh_block(runs: Sequence[LabRun]) -> Block:
    """The refresh thread's time in intervals in which no merge ran (a merge counts as refresh there)."""
    parts = [(w, (w.growth["merge_spread"] == 0) & (w.growth["refreshes"] > 0)) for w in map(windows, runs)]
    cost = np.concatenate([w.growth["refresh_seconds"][calm] for w, calm in parts])
    return Block(
        name="refreshes",
        warmed={
            REFRESH: np.concatenate([w.growth["refreshes"][calm] for w, calm in parts]),
            REFRESH_DOCUMENT: np.concatenate([w.growth["documents"][calm] for w, calm in parts]),
        },
        plain={},
        known=np.zeros(len(cost)),
        priced=np.zeros(len(cost)),
        cost=cost,
        work=np.concatenate([w.work[calm] for w, calm in parts]),
        weight=1 / np.maximum(cost, 0.05),
        run=tuple(w.run for w, calm in parts for _ in range(int(calm.sum()))),
    )


def fit_cpu(
    runs: Sequence[LabRun], prior: Mapping[str, float], sigma: Mapping[str, float] | None = None, seed: int = 7
) -> Fit:
    """Bulk, index, refresh and merge costs, idling and searches, given what a refresh costs (`prior`)."""
    return fit(cpu_block(runs, prior), {"index_scale": 1.0, **prior}, warm=True, seed=seed, sigma=sigma)


def fit_refresh(
    runs: Sequence[LabRun], prior: Mapping[str, float], sigma: Mapping[str, float] | None = None, seed: int = 7
) -> Fit:
    """CPU of a refresh and of a refreshed document: the thread's time where its core had time to spare."""
    return fit(refresh_block(runs), prior, warm=True, seed=seed, sigma=sigma)


def background_cores(runs: Sequence[LabRun], cpu: Fit) -> float:
    """CPU of the node that the fitted laws do not explain, mean over all intervals [cores]."""
    block = cpu.residual_ratio
    seconds = sum(float((w.end - w.start).sum()) for w in map(windows, runs))
    return float((cpu.fitted * (block - 1)).sum()) / seconds


def bulk_rest(run: LabRun) -> tuple[float, float]:
    """Of one client's mean bulk: what the server took beside its index threads, and what the client saw beyond [s].

    The first is fsync, coordination and queueing; the second the network, HTTP and the client's own parsing.
    """
    bulk, node = _bulk(run), run.node
    if node is None or run.experiment.clients != 1:
        raise ObservationError(f"{run.name}: needs _nodes/stats and one client; with more, bulks wait for each other")
    end = min(bulk.end, float(node.counters["bulks"].t[-1]))
    index = node.counters["index_seconds"].increase(bulk.start, end) / node.counters["bulks"].increase(bulk.start, end)
    return bulk.took_seconds - index, bulk.mean_seconds - bulk.took_seconds


def _bulk(run: LabRun) -> BulkResult:
    if run.bulk is None:
        raise ObservationError(f"{run.name}: no bulk result in it")
    return run.bulk


def pauses(runs: Sequence[LabRun]) -> tuple[float, float, int]:
    """Stop-the-world collections a CPU second of the node and their mean length [1/s, s], and how many were seen."""
    counters = [run.node.counters for run in runs if run.node is not None]
    total = {n: sum(float(c[n].unwrapped()[-1] - c[n].total[0]) for c in counters) for n in ("pauses", "pause_seconds")}
    cpu = sum(float(c["cpu_seconds"].unwrapped()[-1] - c["cpu_seconds"].total[0]) for c in counters)
    if total["pauses"] < 10:
        raise ObservationError(f"{total['pauses']:.0f} collections seen; ten are needed to state their mean")
    return total["pauses"] / cpu, total["pause_seconds"] / total["pauses"], int(total["pauses"])


def merge_amplification(run: LabRun) -> float:
    """Bytes merged over bytes the index holds at the end, in this run's few minutes: below its long-run value [1]."""
    if run.index is None:
        raise ObservationError(f"{run.name}: no index_end.json in it")
    return run.index.merged_bytes / run.index.bytes


def index_ratio(runs: Sequence[LabRun]) -> tuple[float, float, float, list[str]]:
    """Index bytes over JSON bytes: median, least and greatest over runs, and runs left out.

    A store read while merged segments still lie beside their sources is up to twice too large; a run that is off
    the median by more than a quarter is left out and named.
    """
    ratio = {r.name: r.index.bytes / r.index.documents / r.experiment.record_bytes for r in runs if r.index is not None}
    if not ratio:
        raise ObservationError("no run has index_end.json; index a sample and flush it")
    middle = float(np.median(list(ratio.values())))
    kept = [v for v in ratio.values() if abs(v / middle - 1) <= 0.25]
    return float(np.median(kept)), min(kept), max(kept), [n for n, v in ratio.items() if abs(v / middle - 1) > 0.25]
