"""Fit of a broker's coefficients: its CPU between scrapes shared out over requests, bytes and idling.

The producer here (librdkafka) sends each record batch in a request of its own, so a cost per batch
and one per request cannot be parted: the batch keeps its prior and the request gets the rest. The
JMX agent's own scrape, every ten seconds, is part of idling. Bytes fetched keep their prior too: what
fetches is Spark, which with every poll also asks for offsets and metadata, and no counter here tells
those from the bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from calibration.lab import LabRun
from calibration.observations import Floats, ObservationError
from calibration.regress import Block, Fit, fit

IDLE, REQUEST, BATCH = "kafka.idle_cpu_cores", "kafka.request_cpu_seconds", "kafka.batch_cpu_seconds"
BYTE, FETCH_BYTE = "kafka.byte_cpu_seconds", "kafka.fetch_byte_cpu_seconds"


def cpu_block(runs: Sequence[LabRun], prior: Mapping[str, float]) -> Block:
    """CPU of every interval between scrapes as work done in it; `work` is the broker's CPU since its first record,
    idling too: with it left out the recordings are followed worse (compilers run on while a broker waits)."""
    parts: list[tuple[str, dict[str, Floats], Floats, Floats]] = []
    for run in (r for r in runs if r.broker is not None):
        assert run.broker is not None
        counters = run.broker.counters
        t = counters["cpu_seconds"].t
        grown = {n: np.diff(np.interp(t, c.t, c.unwrapped())) for n, c in counters.items()}
        cpu = counters["cpu_seconds"].unwrapped()
        since = 0.0 if run.exported else cpu[0]  # a process that ran before counts from its own start
        parts.append((run.name, grown, (cpu[1:] + cpu[:-1]) / 2 - since, np.diff(t)))
    if not parts:
        raise ObservationError("no run has a broker's scrapes; record its JMX exporter")

    def joined(name: str) -> Floats:
        return np.concatenate([grown[name] for _, grown, _, _ in parts])

    seconds = np.concatenate([s for *_, s in parts])
    cost, requests = joined("cpu_seconds"), joined("produce_requests") + joined("fetch_requests")
    return Block(
        name="the broker's CPU",
        warmed={REQUEST: requests, BYTE: joined("bytes_in")},
        plain={IDLE: seconds},
        known=np.zeros(len(cost)),
        priced=joined("produce_requests") * prior[BATCH] + joined("bytes_out") * prior[FETCH_BYTE],
        cost=cost,
        work=np.concatenate([w for _, _, w, _ in parts]),
        weight=1 / np.sqrt(np.maximum(cost, 0.1) * seconds),
        run=tuple(name for name, _, w, _ in parts for _ in w),
    )


def fit_cpu(
    runs: Sequence[LabRun], prior: Mapping[str, float], sigma: Mapping[str, float] | None = None, seed: int = 7
) -> Fit:
    """Request, byte and idle costs with the broker's warm-up."""
    return fit(cpu_block(runs, prior), prior, warm=True, seed=seed, sigma=sigma)
