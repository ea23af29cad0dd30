"""What a recorded run was seen to do, in the numbers that a forecast of it is held against.

Each number belongs to a *part* of the run: a step of its plan, named by its rate, or the whole. The same functions read
a simulated run whose batches were laid into the recording's place, so both speak of the same batches, over the same
time, seen by the same polls.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.lab import LabRun, Measured, Step, lag, measured, whole_batches
from calibration.latency import latencies
from calibration.observations import Batch

LATENCIES = {"p50": "latency p50", "p90": "latency p90", "p95": "latency p95", "p99": "latency p99"}
ACKNOWLEDGED = {"p50": "publish p50", "p90": "publish p90", "p99": "publish p99"}
SERVER = re.compile(r"(kafka|search)-\d+")
BURST = 1.5  # times the rate after it: a step that leaves a backlog to catch up
CAUGHT_UP = 1.05  # of what arrives in one trigger, as planner/lag.py says it
BATCH, BATCH_P90, LAG, CATCH_UP = "batch time, median", "batch time, p90", "lag, most", "catch-up"
INDEX_BYTES, LOG_BYTES = "index bytes per JSON byte", "log bytes per record"
SUSTAINED, STATED = "sustainable throughput", "sustainable throughput, as stated"
FULL = 0.98  # of the cap: shares of partitions are rounded down, so a full batch may lack a record of each
LEAST_FULL = 8  # full batches in one step: fewer are a backlog worked off, no overload


@dataclass(frozen=True)
class Value:
    """One number of one part of a run: `part` is a rate or "all", `unit` as printed."""

    part: str
    quantity: str
    unit: str
    value: float


Values = Mapping[tuple[str, str], Value]  # by (part, quantity)


def collected(values: Sequence[Value]) -> dict[tuple[str, str], Value]:
    """By part and quantity; what was not counted (nan) is left out."""
    return {(v.part, v.quantity): v for v in values if not np.isnan(v.value)}


def step_name(step: Step) -> str:
    return f"{step.rate:.0f}/s"


def part_names(run: LabRun) -> list[str]:
    """The steps' names in order; a rate that comes again is numbered (400/s, 1600/s, 400/s #2)."""
    seen: dict[str, int] = {}
    names = []
    for step in run.steps():
        name = step_name(step)
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name} #{seen[name]}")
    return names


_SEEN: dict[int, tuple[LabRun, dict[tuple[str, str], Value]]] = {}  # a recording is asked again and again


def seen(run: LabRun) -> dict[tuple[str, str], Value]:
    """What was measured, by part and quantity."""
    if id(run) not in _SEEN:  # the run is kept with its values, so that its id stays its own
        _SEEN[id(run)] = run, _seen(run)
    return _SEEN[id(run)][1]


def forget() -> None:
    """Let go of recordings that were asked: who reads new ones again and again would keep them all."""
    _SEEN.clear()


def _seen(run: LabRun) -> dict[tuple[str, str], Value]:
    m, values = measured(run), []
    for name, part in zip(part_names(run), m.steps, strict=True):
        if run.batches:
            values += batch_values(name, part.batch_seconds_median, part.batch_seconds_p90)
            values += [Value(name, LAG, "records", part.lag_records_max)]
        values += [Value(name, f"CPU of {n}", "cores", cores) for n, cores in _by_system(part.cores).items()]
        if part.latency is not None:
            values += [Value(name, label, "s", getattr(part.latency, f"{q}_seconds")) for q, label in LATENCIES.items()]
    if m.latency is not None:
        values += [Value("all", label, "s", getattr(m.latency, f"{q}_seconds")) for q, label in LATENCIES.items()]
        values += hops_seen(run)
    if run.batches:
        values += of_batches(run, run)
    values += [Value(v.part, name, v.unit, v.value) for v in sustained(run, run) for name in (SUSTAINED, STATED)]
    return collected([*values, *_sizes(run, m)])


def _by_system(cores: Mapping[str, float]) -> dict[str, float]:
    """CPU of all brokers as one, of all data nodes as one, and of what else was recorded [cores]."""
    found: dict[str, float] = {}
    for name, used in cores.items():
        server = SERVER.fullmatch(name)
        system = server[1] if server else name
        found[system] = found.get(system, 0.0) + used
    return found


def _sizes(run: LabRun, m: Measured) -> list[Value]:
    """Bytes on disk and in memory, and for a run without a query what its producer saw."""
    found = []
    if m.index_bytes_per_json_byte is not None:
        found.append(Value("all", INDEX_BYTES, "", m.index_bytes_per_json_byte))
    if m.log_bytes_per_record is not None:
        found.append(Value("all", LOG_BYTES, "bytes", m.log_bytes_per_record))
    for system in ("kafka", "spark", "search") if run.batches else ():
        mine = [x for name, x in m.resident_bytes.items() if name.split("-")[0] == system and x > 0]
        found += [Value("all", f"resident bytes of {system}", "bytes", max(mine))] if mine else []
    if not run.batches and run.experiment.plan:
        found += [Value("all", n, "s", m.acknowledgement[q]) for q, n in ACKNOWLEDGED.items() if q in m.acknowledgement]
    return found


def of_batches(run: LabRun, told: LabRun) -> list[Value]:
    """Whole-run values that follow from batches: those of `told` in the place of `run`'s."""
    batches = [b for step in run.steps() for b in whole_batches(told, step)]
    if not batches:
        return []
    seconds = [b.seconds for b in batches]
    values = batch_values("all", float(np.median(seconds)), float(np.quantile(seconds, 0.9)))
    values += [Value("all", LAG, "records", max(lag(told, b)[0] for b in batches))]
    return values + [Value("all", name, "s", x) for name, x in catch_ups(told).items()]


def batch_values(part: str, median: float, p90: float) -> list[Value]:
    return [Value(part, BATCH, "s", median), Value(part, BATCH_P90, "s", p90)]


def overloads(run: LabRun) -> list[tuple[str, Step]]:
    """The steps in which full batches followed each other, with their names; none where nothing was capped."""
    cap, pairs = run.experiment.max_offsets, zip(part_names(run), run.steps(), strict=True)
    return [(name, step) for name, step in pairs if cap and len(_full(run.batches, step, cap)) >= LEAST_FULL]


def _full(batches: Sequence[Batch], step: Step, cap: int) -> list[Batch]:
    return [b for b in batches if step.start <= b.trigger <= step.end and b.records >= FULL * cap]


def carried(batches: Sequence[Batch], step: Step, cap: int) -> float:
    """Records a second from the first full batch of a step to its last, from start to start [1/s].

    Batches that never fill carry all that arrives: then it is what they read in the step; nan where fewer than two
    started in it.
    """
    mine = [b for b in batches if step.start <= b.trigger <= step.end]
    full = _full(batches, step, cap)
    if len(full) >= 2:
        mine = [b for b in mine if full[0].trigger <= b.trigger <= full[-1].trigger]
    span = mine[-1].trigger - mine[0].trigger if len(mine) > 1 else 0.0
    return sum(b.records for b in mine[:-1]) / span if span > 0 else float("nan")


def sustained(run: LabRun, told: LabRun) -> list[Value]:
    """Sustainable throughput of each overloaded step of `run`, from the batches of `told`: of itself, or simulated."""
    cap = run.experiment.max_offsets
    return [Value(name, SUSTAINED, "1/s", carried(told.batches, step, cap)) for name, step in overloads(run)]


def stops(run: LabRun) -> list[tuple[float, float]]:
    """When the job was stopped, or failed, and when it was started anew [epoch s], as it was really done.

    A start that failed before it showed a batch belongs to the outage before it (SPARK-55271 does that once after a
    restart that repeats a batch). Without a record of events, as was planned.
    """
    downs = [e.t for e in run.events if e.kind in ("job_stopped", "job_failed")]
    ups = [e.t for e in run.events if e.kind == "job_restarted"]
    if not downs:
        asked = [d for d in run.experiment.disturb if d["kind"] == "job_stop"]
        return [(run.start + d["at_s"], run.start + d["at_s"] + d["restart_after_s"]) for d in asked]
    found: list[tuple[float, float]] = []
    for down, up in zip(downs, ups, strict=False):
        if found and not any(found[-1][1] <= b.trigger <= down for b in run.batches):
            found[-1] = found[-1][0], up
        else:
            found.append((down, up))
    return found


def failed_starts(run: LabRun, start: float, end: float) -> int:
    """Starts of the job between two times that failed before they showed a batch: each burnt a start's CPU."""
    shown = {up for _, up in stops(run)}
    ups = [e.t for e in run.events if e.kind == "job_restarted"]
    return sum(start <= up <= end for up in ups if up not in shown)


def backlogs(run: LabRun) -> list[float]:
    """When a backlog begins to be worked off [epoch s]: a stopped job's return, the end of a block or of a burst."""
    found = [back for _, back in stops(run)]
    blocks = [run.start + d["at_s"] + d["for_s"] for d in run.experiment.disturb if d["kind"] == "index_block"]
    steps = run.steps()
    return sorted([*found, *blocks, *(a.end for a, b in itertools.pairwise(steps) if 0 < b.rate * BURST <= a.rate)])


def catch_ups(run: LabRun) -> dict[str, float]:
    """Time from each backlog's beginning of the end until a batch leaves no more unread than one trigger brings [s].

    One that the recording does not see the end of is left out.
    """
    found = {}
    for n, back in enumerate(backlogs(run), 1):
        if (at := _caught_up(run, back)) is not None:
            found[CATCH_UP if n == 1 else f"{CATCH_UP} #{n}"] = at - back
    return found


def catch_up_use(run: LabRun) -> dict[str, float]:
    """Utilisation while each backlog is worked off [1]: what arrives then over what the batches carry, in records a
    second of their own time."""
    found = {}
    for n, back in enumerate(backlogs(run), 1):
        if (at := _caught_up(run, back)) is not None and run.arrivals is not None:
            mine = [b for b in run.batches if back < b.end <= at]
            mu = sum(b.records for b in mine) / sum(b.seconds for b in mine)
            arriving = (float(run.arrivals.at(at)) - float(run.arrivals.at(back))) / (at - back)
            found[CATCH_UP if n == 1 else f"{CATCH_UP} #{n}"] = arriving / mu if mu > 0 else 1.0
    return found


def _caught_up(run: LabRun, back: float) -> float | None:
    assert run.arrivals is not None
    for batch in run.batches:
        if batch.end < back or batch.end > run.arrivals.t[-1]:
            continue
        rate = float(run.arrivals.at(batch.end) - run.arrivals.at(batch.end - 1.0))
        left = float(run.arrivals.at(batch.end)) - (sum(batch.end_offsets.values()) - run.first_sequence)
        if left <= CAUGHT_UP * rate * run.experiment.trigger_seconds:
            return batch.end
    return None


def hops_seen(run: LabRun) -> list[Value]:
    """Mean time from due to the trigger of a record's batch, and from there to the poll that saw it [s]."""
    assert run.arrivals is not None
    due, latency = latencies(run.arrivals, run.first_sequence, run.experiment.partitions, run.polls)
    trigger = trigger_of(run, run.batches, len(due))
    wait = float((trigger - due).mean())
    return [
        Value("all", "mean until the trigger", "s", wait),
        Value("all", "mean from trigger to visible", "s", float(latency.mean()) - wait),
    ]


def batch_of(run: LabRun, batches: Sequence[Batch], count: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """By partition: places of its records among the `count` of the plan, and the place of each one's batch."""
    sequence = run.first_sequence + np.arange(count)
    found = {}
    for p in range(run.experiment.partitions):
        mine = np.flatnonzero(sequence % run.experiment.partitions == p)
        ends = np.array([b.end_offsets[p] for b in batches])
        found[p] = mine, np.searchsorted(ends, sequence[mine] // run.experiment.partitions, side="right")
    return found


def trigger_of(run: LabRun, batches: Sequence[Batch], count: int) -> np.ndarray:
    """Trigger time of each record's batch [epoch s]."""
    trigger, times = np.empty(count), np.array([b.trigger for b in batches])
    for mine, at in batch_of(run, batches, count).values():
        trigger[mine] = times[np.minimum(at, len(times) - 1)]
    return trigger
