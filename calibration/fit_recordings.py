"""Imported recordings as runs that the fits read.

A recording holds one stack: several brokers, several data nodes, one query. Each broker's and each node's counters make
a run of their own, since CPU is shared out process by process; the query makes one, beside the sum of its nodes, whose
time in bulks its tasks waited for. Where a recording is cut (a restart, a changed setting) each piece is one of those.
The load's steps are not known and are read from the batches: stretches of equal length, each with its own mean rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibration import kafka
from calibration.elasticsearch import IndexEnd, Node
from calibration.lab import BROKER, NODE_NEEDS, SEARCH, SPARK, Experiment, LabRun, OneNode
from calibration.observations import Batch, Counter, Curve, Gauge, ObservationError, Processes, counter
from calibration.recording import Recording

BROKER_NEEDS = {"cpu_seconds", "produce_requests", "fetch_requests", "bytes_in", "bytes_out"}
LEAST_PIECE = 60.0  # seconds: a piece of less holds no steady batch
STEP_BATCHES, STEP_SECONDS = 10, 20.0  # of a stretch whose mean rate counts as one step


def runs_of(recording: Recording, settings: Experiment, query: str | None = None) -> list[LabRun]:
    """Runs of a recording, piece by piece; raises ObservationError where no piece holds anything that can be fitted."""
    pieces = [p for p in recording.pieces() if p.seconds >= LEAST_PIECE]
    found: list[LabRun] = []
    for n, piece in enumerate(pieces, 1):
        name = recording.name if len(pieces) == 1 else f"{recording.name}, piece {n}"
        found += _piece(recording.between(piece.start, piece.end), settings, name, query)
    if not found:
        lacks = "; ".join(f"{u.system} {u.quantity}: {u.reason} {u.remedy}".strip() for u in recording.untold[:6])
        raise ObservationError(f"{recording.name}: no part of it holds what a fit reads. {lacks}")
    return found


def _piece(piece: Recording, settings: Experiment, name: str, query: str | None) -> list[LabRun]:
    batches = tuple(b for b in piece.batches(query) if b.records > 0)
    span = _span(piece, batches)
    plan = _steps(batches, span) or ((span[1] - span[0], 0.0),)
    empty = _run(name, replace(settings, name=name, plan=plan), span, piece)
    found = []
    if batches:
        nodes = [n for n in (_node(piece, entity) for entity in piece.entities("search")) if n is not None]
        seen = _with_servers(empty.processes, piece)
        found.append(
            replace(
                empty,
                processes=seen,
                batches=batches,
                tasks=tuple(piece.tasks),
                arrivals=_arrivals(piece, batches),
                first_sequence=_first(batches),
                node=_sum(nodes),
                polls=piece.polls,
                nodes=_each_node(piece),
            )
        )
    quiet = replace(settings, plan=plan, sink="none", trigger_seconds=0.0)
    for entity in piece.entities("kafka"):
        if (broker := _broker(piece, entity)) is not None:
            asked = replace(quiet, name=f"{name}, broker {entity}")
            found.append(replace(empty, experiment=asked, broker=broker))
    for entity in piece.entities("search"):
        node = _node(piece, entity)
        if node is not None and not NODE_NEEDS - set(node.counters):
            asked = replace(quiet, name=f"{name}, node {entity}")
            found.append(replace(empty, experiment=asked, node=node, index=_index(piece)))
    return found


def _run(name: str, settings: Experiment, span: tuple[float, float], piece: Recording) -> LabRun:
    return LabRun(
        experiment=settings, start=span[0], first_sequence=0, arrivals=None, warm_arrivals=None, acknowledgement={},
        polls=(), batches=(), tasks=(), processes=_processes(piece), broker=None, node=None, index=None, bulk=None,
        log_bytes=None,
    )  # fmt: skip


def _span(piece: Recording, batches: Sequence[Batch]) -> tuple[float, float]:
    """From the first batch to the last where there are any, else all that was sampled [epoch s]."""
    return (batches[0].trigger, batches[-1].end) if batches else piece.span()


def _steps(batches: Sequence[Batch], span: tuple[float, float]) -> tuple[tuple[float, float], ...]:
    """The load as stretches of equal length with the mean rate of each [s, 1/s]."""
    if len(batches) < 2:
        return ()
    usual = (span[1] - span[0]) / len(batches)
    length = max(STEP_SECONDS, STEP_BATCHES * usual)
    edges = np.linspace(span[0], span[1], max(1, int((span[1] - span[0]) / length)) + 1)
    times, records = np.array([b.trigger for b in batches]), np.array([float(b.records) for b in batches])
    counts = np.histogram(times, edges, weights=records)[0]
    return tuple(zip(np.diff(edges).tolist(), (counts / np.diff(edges)).tolist(), strict=True))


def _arrivals(piece: Recording, batches: Sequence[Batch]) -> Curve:
    """Cumulative arrivals as recorded, else as the batches cut them: what a trigger found had arrived by then."""
    known = piece.arrivals.get("arrivals")
    if known is not None and len(known.t) > 1:
        return known
    first = _first(batches)
    times, counts = [batches[0].trigger - 1e-3], [0.0]
    for b in batches:
        times.append(b.trigger)
        counts.append(float(sum(b.end_offsets.values()) - first))
    rising = np.maximum.accumulate(np.array(counts))
    return Curve(np.array(times), rising)


def _first(batches: Sequence[Batch]) -> int:
    start = batches[0].start_offsets
    return sum(start.values()) if start is not None else sum(batches[0].end_offsets.values()) - batches[0].records


def _processes(piece: Recording) -> Processes:
    """Process trees; all that look like Spark's (driver, executors, workers) are summed under its name."""
    seen = piece.processes()
    spark = [c for name, c in seen.cpu.items() if "spark" in name.lower() or "exec" in name.lower()]
    cpu = {n: c for n, c in seen.cpu.items() if c not in spark}
    resident: dict[str, Gauge] = dict(seen.resident)
    if spark:
        cpu[SPARK] = _total("Spark's processes", spark)
    return Processes(cpu, resident, seen.steal)


def _with_servers(seen: Processes, piece: Recording) -> Processes:
    """All brokers and all data nodes as one process each, under the names that a laboratory's have."""
    cpu = dict(seen.cpu)
    for name, system in ((BROKER, "kafka"), (SEARCH, "search")):
        totals = [piece.counters(system, e).get("cpu_seconds") for e in piece.entities(system)]
        if known := [c for c in totals if c is not None]:
            cpu[name] = _total(f"CPU of {system}", known)
    return Processes(cpu, seen.resident, seen.steal)


def _each_node(piece: Recording) -> tuple[OneNode, ...]:
    """CPU and bytes on disk of every broker and data node."""
    found = []
    for system, held in (("kafka", "log_bytes"), ("search", "store_bytes")):
        for entity in piece.entities(system):
            disk = [s.gauge() for s in piece.find(system, held, entity) if not s.labels]
            cpu = piece.counters(system, entity).get("cpu_seconds")
            found.append(OneNode(system, entity, cpu, disk[0] if disk else None))
    return tuple(one for one in found if one.cpu or one.disk)


def _total(name: str, counters: Sequence[Counter]) -> Counter:
    """The sum of running totals, at the times at which all were sampled or lie between samples."""
    if len(counters) == 1:
        return counters[0]
    start, end = max(c.t[0] for c in counters), min(c.t[-1] for c in counters)
    grid = np.unique(np.concatenate([c.t for c in counters]))
    grid = grid[(grid >= start) & (grid <= end)]
    total = sum((np.interp(grid, c.t, c.unwrapped()) for c in counters), np.zeros(len(grid)))
    return counter(name, grid.tolist(), total.tolist())


def _broker(piece: Recording, entity: str) -> kafka.Broker | None:
    counters = piece.counters("kafka", entity)
    if BROKER_NEEDS - set(counters):
        return None
    return kafka.Broker(counters, 0.0)


def _node(piece: Recording, entity: str) -> Node | None:
    counters = piece.counters("search", entity)
    return Node(entity, counters) if {"bulks", "index_seconds"} <= set(counters) else None


def _sum(nodes: Sequence[Node]) -> Node | None:
    """All nodes as one: bulks and the time of their index threads, which a query's tasks wait for."""
    if not nodes:
        return None
    shared = set.intersection(*(set(n.counters) for n in nodes))
    return Node("all data nodes", {q: _total(q, [n.counters[q] for n in nodes]) for q in sorted(shared)})


def _index(piece: Recording) -> IndexEnd | None:
    """The primaries of the largest index at the end, where its statistics were taken."""
    sizes = {s.entity: float(s.value[-1]) for s in piece.find("index", "store_bytes") if len(s.value)}
    held = {s.entity: float(s.value[-1]) for s in piece.find("index", "documents_held") if len(s.value)}
    both = [(held[name], sizes[name]) for name in held if sizes.get(name, 0.0) > 0 and held[name] > 0]
    if not both:
        return None
    documents, size = max(both)
    return IndexEnd(documents=int(documents), bytes=size, merged_bytes=0.0, merges=0, refreshes=0)
