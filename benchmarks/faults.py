"""Laws of faults against the laboratory's recorded disturbances: `python -m benchmarks.faults [lab/results/FOLDER]`.

Each recorded disturbance is forecast blind, from its plan (`at_s`, `restart_after_s`, `for_s`) and the time that the
job's first start took, with several seeds; nothing is fitted to these runs. Where a job failed at its first start after
the stop (SPARK-55271, which no law foresees), a second forecast is told when it really came back: what is left then is
the law of catching up, not the luck of starting.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calibration.lab import LabRun, load_run
from models.coefficients import CoefficientSet, load_set
from models.faults import Fault
from models.spark import Restart, Retry
from models.stack import Scenario
from planner.backtest_scenario import killed, scenario_of, zero_of
from simulator.run import simulate

ROOT = Path(__file__).parent.parent
NEWEST = ROOT / "lab" / "results" / "2026-11-24-epyc-2core"
SEEDS = range(1, 7)
SET = "lab-2026-11-23"
CLIENT = Retry(attempts=15, wait=0.2, multiplier=2.0, longest=5.0)  # lab/job.py: 0.2 s doubling to 5 s, within a minute
CAUGHT_UP = 1.05


@dataclass(frozen=True)
class Seen:
    """What a disturbance did, measured or forecast: seconds, records, documents."""

    longest_gap: float
    caught_up: float
    most_lag: float
    twice: float


def faults_of(run: LabRun, back: float | None = None) -> tuple[list[Fault], Restart]:
    """The run's disturbances as faults, and who starts the job again. `back`: when its last start was asked for [s]."""
    base, first_start = run.start - zero_of(run), float(run.experiment.start_seconds.get("spark_started", 0.0))
    found, restart = [], Restart()
    for d in run.experiment.disturb:
        at = base + d["at_s"]
        if d["kind"] == "job_stop":
            away = d["restart_after_s"] if back is None else back - at
            if d["how"] == "kill":
                found.append(Fault(kind="driver-lost", at=at))
                restart = Restart(policy="supervisor", wait=away, start=first_start)
            else:
                found.append(Fault(kind="outage", target="spark", at=at, duration=away + first_start))
        elif d["kind"] == "index_block":
            by_hand = d["block"] != "write"  # no disk of the laboratory is full: the server's own look lifts this one
            found.append(Fault(kind="index-blocked", target=d["block"], at=at, duration=d["for_s"], manual=by_hand))
        elif d["kind"] == "broker_kill":
            found += [Fault.model_validate(said) for said in killed(run)]
        else:
            raise ValueError(f"{run.name}: no fault stands for {d['kind']}")
    return found, restart


def scenario_with_faults(run: LabRun, back: float | None = None) -> Scenario:
    """The run as the back-test tells it, with its disturbances as faults."""
    calm = replace(run, experiment=replace(run.experiment, disturb=()))
    it, (faults, restart) = scenario_of(calm), faults_of(run, back)
    flow = it.flows[0]
    sink = flow.query.sink.model_copy(update={"retry": CLIENT})
    flow = flow.model_copy(update={"query": flow.query.model_copy(update={"sink": sink})})
    spark = it.spark.model_copy(update={"restart": restart})
    return it.model_copy(update={"flows": (flow,), "spark": spark, "faults": tuple(faults)})


def harmed(run: LabRun) -> float:
    """When the harm begins, from the plan's first due time [s]: of a burst, its first step."""
    if run.experiment.disturb:
        return float(run.experiment.disturb[0]["at_s"])
    return float(run.experiment.plan[0][0])


def seen(run: LabRun) -> Seen:
    """What was measured."""
    assert run.arrivals is not None
    ends = np.array([b.end for b in run.batches])
    done = np.array([sum(b.end_offsets.values()) for b in run.batches]) - run.first_sequence
    began = np.array([b.trigger for b in run.batches])
    sent = run.arrivals.at(ends)
    documents = run.index.documents if run.index is not None else 0
    return _told(
        began - run.start, ends - run.start, sent - done,
        np.array([run.arrivals.at(t) for t in began]) - np.concatenate([[0.0], done[:-1]]),
        run, documents - run.sent(),
    )  # fmt: skip


def foreseen(run: LabRun, c: CoefficientSet, seeds: Sequence[int], back: float | None = None) -> list[Seen]:
    """The same of simulated runs, one a seed."""
    it, base, found = scenario_with_faults(run, back), run.start - zero_of(run), []
    for seed in seeds:
        flow = simulate(it, c, seed=seed).flows["events"]
        rows = flow.batches
        found.append(
            _told(rows["started"] - base, rows["finished"] - base, rows["lag_after"], rows["lag_records"], run,
                  flow.counts["duplicated_documents"])
        )  # fmt: skip
    return found


def _told(began: Any, ended: Any, left: Any, lag: Any, run: LabRun, twice: float) -> Seen:
    """From batches: times from the plan's first due time, records left unread at their end, unread at their start."""
    at, plan = harmed(run), run.experiment.plan
    until = sum(seconds for seconds, _ in plan)
    inside = (ended > at) & (ended < until)
    gaps = np.diff(ended[(ended > at - 10) & (ended < until)])
    over = at + (plan[1][0] if not run.experiment.disturb else 0.0)
    rate = plan[-1][1]
    fine = (left <= CAUGHT_UP * rate * run.experiment.trigger_seconds) & (ended > over) & (began > at)
    if run.experiment.disturb and gaps.max() > 2 * run.experiment.trigger_seconds:
        fine &= ended > ended[int(np.argmax(np.diff(ended) * inside[1:])) + 1] - 1e-9  # not before the gap is over
    return Seen(
        float(gaps.max()), float(ended[np.argmax(fine)] - at) if fine.any() else float("inf"),
        float(lag[inside].max()), twice,
    )  # fmt: skip


def came_back(run: LabRun) -> float | None:
    """When the job's last start was asked for, from the simulation's start [s]; None where the first one held."""
    starts = [e.t for e in run.events if e.kind == "job_restarted"]
    return starts[-1] - zero_of(run) if len(starts) > 1 else None


def main(folder: Path) -> None:
    c = load_set(SET)
    print(f"{'run':24}{'':12}{'longest gap':>14}{'caught up':>14}{'most lag':>14}{'twice':>10}")
    for path in sorted(folder.glob("test-pipe-*")):
        run = load_run(path)
        if not run.experiment.disturb and "burst" not in path.name:
            continue
        try:
            told = {"blind": foreseen(run, c, SEEDS)}
        except ValueError as error:
            print(f"{path.name:24}not forecast: {error}")
            continue
        if (back := came_back(run)) is not None:
            told["told when"] = foreseen(run, c, SEEDS, back)
        measured = seen(run)
        _row(path.name, "measured", measured)
        for name, many in told.items():
            middle = Seen(*(float(np.median([getattr(s, f) for s in many])) for f in Seen.__dataclass_fields__))
            _row("", name, middle)
            _row("", "", Seen(*_errors(middle, measured)), percent=True)


def _errors(forecast: Seen, measured: Seen) -> list[float]:
    pairs = [(getattr(forecast, f), getattr(measured, f)) for f in Seen.__dataclass_fields__]
    return [(a / b - 1) if b else float("nan") for a, b in pairs]


def _row(run: str, what: str, told: Seen, percent: bool = False) -> None:
    if percent:
        cells = [f"{x:+.0%}" if np.isfinite(x) else "" for x in vars(told).values()]
    else:
        cells = [f"{told.longest_gap:.1f} s", f"{told.caught_up:.1f} s", f"{told.most_lag:.0f}", f"{told.twice:.0f}"]
    print(f"{run:24}{what:12}" + "".join(f"{cell:>14}" for cell in cells[:3]) + f"{cells[3]:>10}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else NEWEST)
