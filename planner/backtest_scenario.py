"""A recorded run as a scenario: its settings, its due times, and nothing that was measured of it.

The laboratory's stack is the packaged example's, with the settings that the run's `experiment.json` names: brokers and
search on one core, Spark on the other, one JVM each, all cold. The load is the run's plan with its warm-up before it.
A job that was stopped is an outage of its query, as long as it was really down, and then for as long as its first start
took, which was over before anything was measured. When something was done to the stack is known, as due times are: it
is part of the question. What has no counterpart in the simulator is refused by name, and not scored.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from calibration.lab import LabRun
from models.stack import Run, Scenario
from models.workload import Workload
from planner.backtest_values import stops
from planner.refusal import ScenarioError
from planner.scenario import example

SEARCH_HOST, SPARK_HOST, NO_HOST = "core0", "core1", "unused"
NO_QUERY_TRIGGER = 3600.0  # a run without Spark: its query never fires within it
PROBE_PER_SECOND = 5.0  # the laboratory looks five times a second (lab/README.md)
RETRY_WAIT_SECONDS = 1.0  # lab/job.py waits longer from try to try, within retry_s in all


LOADS = ("rate", "bytes_per_second", "daily_curve", "weekly_curve", "bursts", "growth_per_month", "recorded", "steps")


def zero_of(run: LabRun) -> float:
    """Epoch time of the simulation's start: the trigger tick at or before the first record of the warm-up [s]."""
    first = run.warm_arrivals.t[0] if run.warm_arrivals is not None else run.start
    trigger = run.experiment.trigger_seconds or 1.0
    return float(np.floor(first / trigger) * trigger)


def load_steps(run: LabRun) -> list[tuple[float, float]]:
    """(duration, records a second) from the simulation's start: to the first record, warm-up, its pause, the plan."""
    steps, at = [], zero_of(run)
    if run.warm_arrivals is not None:
        t, count = run.warm_arrivals.t, run.warm_arrivals.count
        steps += [(float(t[0]) - at, 0.0), (float(t[-1] - t[0]), float(count[-1]) / float(t[-1] - t[0]))]
        at = float(t[-1])
    steps.append((run.start - at, 0.0))
    return [(d, r) for d, r in [*steps, *run.experiment.plan] if d > 0]


def outages(run: LabRun) -> list[tuple[float, float]]:
    """Stretches without a query as (start, length) from the simulation's start [s].

    A job is away until it was started anew, and then for as long as its first start took.
    """
    first_start = float(run.experiment.start_seconds.get("spark_started", 0.0))
    return [(stop - zero_of(run), back - stop + first_start) for stop, back in stops(run)]


def blocked(run: LabRun) -> list[str]:
    """Blocks of the index as faults of the scenario, at their planned times from the simulation's start: set by hand,
    as the laboratory does."""
    begin = run.start - zero_of(run)
    return [
        f"index-blocked {d['block']} manually at {begin + d['at_s']:.3f} s for {d['for_s']:g} s"
        for d in run.experiment.disturb
        if d["kind"] == "index_block"
    ]


def killed(run: LabRun) -> list[str]:
    """Brokers killed, as faults of the scenario: from when it was really done until it was started again, and then for
    as long as its first start took. Without a record of events, as was planned."""
    begin, start = run.start - zero_of(run), float(run.experiment.start_seconds.get("kafka_started", 0.0))
    found = []
    for d in (d for d in run.experiment.disturb if d["kind"] == "broker_kill"):
        mine = [e for e in run.events if e.details.get("broker") == d["broker"]]
        down = next((e.t - run.start for e in mine if e.kind == "broker_killed"), d["at_s"])
        up = next((e.t - run.start for e in mine if e.kind == "broker_restarted"), down + d["restart_after_s"])
        found.append(f"broker-lost {d['broker'] - 1} at {begin + down:.3f} s for {up - down + start:.3f} s")
    return found


def unlike(run: LabRun) -> list[str]:
    """What of this run no scenario can say yet, a line each; empty where it can be forecast."""
    asked, found = run.experiment, []
    if isinstance(asked.stack, Scenario):
        return []
    if asked.kind == "bulk":
        found.append("closed-loop clients: a scenario's load does not wait for answers (benchmarks forecast them)")
    for d in asked.disturb:
        if d["kind"] not in ("job_stop", "index_block", "broker_kill"):
            found.append(f"{d['kind']}: one node of one host, and no other to take over")
    if asked.sink == "kafka":
        found.append("a second topic as the sink")
    if asked.nodes > 1:
        found.append(f"{asked.brokers} brokers and {asked.nodes} data nodes that share one core")
    if asked.cores > 1:
        found.append("Spark on two cores, one of them shared")
    return found


def scenario_of(run: LabRun, window: tuple[float, float] | None = None) -> Scenario:
    """The run as a scenario; `window` is the measured part in epoch seconds, all of the plan by default.

    A run that writes nothing had no data node: its node stands on a host of its own. Raises ScenarioError for what no
    scenario can say.
    """
    if reasons := unlike(run):
        raise ScenarioError([f"{run.name} cannot be forecast: {reason}" for reason in reasons])
    asked = run.experiment
    start, end = window or run.window()
    if isinstance(asked.stack, Scenario):
        return _own(asked.stack, run, start, end)
    told: dict[str, Any] = example("lab").model_dump(exclude_unset=True)
    _flow(told["flows"][0], run)
    if asked.sink != "bulk":
        told["elasticsearch"] |= {"hosts": [NO_HOST]}
    told["hosts"] = [*told["hosts"], told["hosts"][0] | {"name": NO_HOST}]
    told["spark"] |= {"cores": asked.cores}
    told["kafka"] |= {"tls": asked.tls, "brokers": asked.brokers}
    if faults := [*blocked(run), *killed(run)]:
        told["faults"] = faults
    told["run"] = {"jvm": "cold", "warm_up": start - zero_of(run), "measure": end - start, "repeats": 1}
    return Scenario.model_validate(told | {"name": run.name})


def _own(stack: Scenario, run: LabRun, start: float, end: float) -> Scenario:
    """The user's own stack under the load that was recorded; its JVMs had run before."""
    flow = stack.flows[0]
    load = Workload.model_validate(
        flow.workload.model_dump(exclude_unset=True, exclude=set(LOADS)) | {"size": flow.workload.event_bytes}
        | {"steps": load_steps(run)}
    )  # fmt: skip
    told = Run(jvm="warm", warm_up=start - zero_of(run), measure=end - start, repeats=1)
    flows = (flow.model_copy(update={"workload": load}), *stack.flows[1:])
    return stack.model_copy(update={"flows": flows, "run": told, "name": run.name})


def _flow(flow: dict[str, Any], run: LabRun) -> None:
    """A run's settings laid over the example's flow."""
    asked = run.experiment
    flow["workload"] |= {"size": asked.record_bytes, "steps": load_steps(run)}
    flow["topic"] |= {"partitions": asked.partitions, "copies": asked.copies, "min_insync": asked.min_insync}
    flow["topic"]["producer"] |= {
        "linger": asked.linger_seconds,
        "batch_size": asked.batch_bytes,
        "compression": asked.compression,
        "acks": asked.acks,
    }
    flow["query"] |= {"trigger": asked.trigger_seconds or NO_QUERY_TRIGGER}
    if asked.max_offsets:
        flow["query"] |= {"max_offsets_per_trigger": asked.max_offsets}
    if asked.state_partitions:
        flow["query"]["state"] = {"shuffle_partitions": asked.state_partitions}
    if asked.sink == "bulk":
        tries = max(1, round(asked.retry_seconds / RETRY_WAIT_SECONDS))
        flow["query"]["sink"] |= {
            "bulk_entries": asked.bulk_documents,
            "writers_per_task": asked.writers,
            "retry": {"attempts": tries, "wait": RETRY_WAIT_SECONDS},
            "ids": "explicit" if asked.ids == "offset" else "automatic",
        }
        codec = {"codec": asked.codec} if asked.codec != "default" else {}
        flow["index"] |= {"refresh_interval": asked.refresh_seconds, **codec}
    else:
        flow["query"]["sink"] = {"kind": "noop"}
        flow["index"] |= {"search": {"rate": 0}}
