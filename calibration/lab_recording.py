"""A laboratory's run from an import of it: what the folder's own reader gives, without the folder.

`floodmark import` keeps the laboratory's description of a run and its small results beside the series, so that nothing
that a fit reads is lost on the way, and no scenario has to be named for settings that the recording carries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from calibration import kafka
from calibration.elasticsearch import COUNTERS, Node, bulk_of, index_end_of
from calibration.lab import TOPIC, Event, LabRun, experiment_of, tree_seconds
from calibration.observations import ObservationError, Processes, counter
from calibration.recording import Recording

BROKER = "kafka-1"  # the one broker whose scrapes a run's own reader takes
PAUSES = ("pauses", "pause_seconds")
OURS = (  # events that the import inferred; a run's own are what was done to it
    *("restarted", "spark_application_started", "executor_added", "executor_removed", "query_started", "query_ended"),
    *("reindex", "force_merge"),
)


def carries_settings(recording: Recording) -> bool:
    """Whether a recording says itself what was asked of the stack."""
    return recording.experiment is not None


def lab_run(recording: Recording) -> LabRun:
    """The run that was imported. Raises ObservationError where its description or its results are of another shape."""
    if recording.experiment is None:
        raise ObservationError(f"{recording.name}: no experiment.json was imported with it")
    try:
        return _run(recording, recording.experiment)
    except (KeyError, TypeError, ValueError) as error:
        raise ObservationError(
            f"{recording.name}: its experiment.json or a result lacks parts ({error}); import the run's whole folder"
        ) from None


def _run(r: Recording, told: Mapping[str, Any]) -> LabRun:
    producer = _document(r, "producer.json", dict) or {}
    bulk, broker = _document(r, "bulk.json", bulk_of), _broker(r)
    logs = _document(r, "log_dirs.json", lambda d: float(sum(one["bytes"] for one in d.values())))
    arrivals = dict(r.arrivals)
    return LabRun(
        experiment=experiment_of(told),
        start=producer.get("t0", bulk.start if bulk else 0.0),
        first_sequence=int(producer.get("seq0", 0)),
        arrivals=arrivals.get("arrivals"),
        warm_arrivals=arrivals.get("arrivals_warm"),
        acknowledgement=producer.get("ack_s", {}),
        polls=r.polls,
        batches=r.batches(),
        tasks=r.tasks,
        processes=_processes(r),
        broker=broker,
        node=_node(r),
        index=_document(r, "index_end.json", index_end_of),
        bulk=bulk,
        log_bytes=logs if logs is not None else broker.log_bytes if broker else None,
        events=tuple(Event(e.t, e.kind, e.detail) for e in r.events if e.kind not in OURS),
    )


def _document(r: Recording, name: str, read: Callable[[Any], Any]) -> Any:
    return read(r.documents[name]) if name in r.documents else None


def _processes(r: Recording) -> Processes:
    """Process trees as the laboratory's own reader counts them: a child that ended takes its CPU out of the sum."""
    seen = r.processes()
    cpu = {name: counter(c.name, c.t.tolist(), tree_seconds(c.total.tolist())) for name, c in seen.cpu.items()}
    return Processes(cpu, seen.resident, seen.steal)


def _broker(r: Recording) -> kafka.Broker | None:
    if BROKER not in r.entities("kafka"):
        return None
    told = r.counters("kafka", BROKER)
    kept = {name: told[name] for name in (*kafka.QUANTITIES, *PAUSES) if name in told}
    logs = r.find("kafka", "log_bytes", BROKER, topic=TOPIC)
    return kafka.Broker(kept, float(logs[0].value[-1]) if logs else 0.0)


def _node(r: Recording) -> Node | None:
    """The only data node; of several none, as their files are several and the sum of them is no node."""
    names = [name for name in r.entities("search") if r.find("search", "cpu_seconds", name)]
    if len(names) != 1:
        return None
    told = r.counters("search", names[0])
    return Node(names[0], {name: told[name] for name in (*COUNTERS, *PAUSES) if name in told})
