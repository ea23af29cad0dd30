"""The laboratory's own files, and samples of process trees or containers in the form that it writes.

`{"t", "procs": {name: {cpu_seconds, rss_bytes}}}` may come from anywhere; what stands beside it (jiffies,
pressure, speed probe) is read where it is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calibration.formats_kinds import Sample, epoch
from calibration.gather import Gathering, clean, number, shown
from calibration.observations import Poll

JIFFY = 0.01  # seconds, on Linux's usual USER_HZ
MICROSECOND = 1e-6
LARGEST = 1_000_000  # characters of a small result


def procs(sample: Sample, into: Gathering) -> None:
    """CPU and resident bytes of each process tree or container, and the machine's jiffies where they are there."""
    body, t = sample.body, sample.t
    if t is None:
        into.skip("samples of processes without a time")
        return
    for name, row in body["procs"].items():
        for quantity, field in (("cpu_seconds", "cpu_seconds"), ("resident_bytes", "rss_bytes")):
            value = number(row.get(field)) if isinstance(row, Mapping) else None
            if value is None:
                into.missing("process", quantity, clean(name))
            else:
                into.add("process", str(name), quantity, t, value, format="procs")
    _machine(body, t, into)
    into.file.saw("procs", t)


def _machine(body: Mapping[str, Any], t: float, into: Gathering) -> None:
    """Jiffies of /proc/stat, pressure of /proc/pressure/cpu, the speed probe by core."""

    def add(quantity: str, value: float | None, labels: Mapping[str, str] | tuple[()] = ()) -> None:
        if value is not None:
            into.add("machine", "machine", quantity, t, value, labels, format="procs")

    jiffies = [number(v) for v in body.get("cpu_stat") or []]
    if len(jiffies) == 8 and None not in jiffies:
        user, nice, system, idle, wait, irq, soft, steal = (j * JIFFY for j in jiffies if j is not None)
        add("busy_seconds", user + nice + system + irq + soft)
        for quantity, value in (("idle_seconds", idle), ("wait_seconds", wait), ("steal_seconds", steal)):
            add(quantity, value)
    add("load", number(body.get("load")))
    add("sampling_cpu_seconds", number(body.get("lab_cpu_seconds")))
    pressure = number((body.get("pressure") or {}).get("total"))
    add("pressure_seconds", pressure * MICROSECOND if pressure is not None else None)
    for core, seconds in (body.get("probe") or {}).items():
        add("probe_seconds", number(seconds), {"core": str(core)})


def visible(sample: Sample, into: Gathering) -> None:
    """`[asked, answered, {partition: [documents, highest sequence]}]`."""
    asked, answered, seen = sample.body
    try:
        pairs = {int(p): (int(pair[0]), int(pair[1])) for p, pair in seen.items()}
    except (TypeError, ValueError, IndexError):
        into.skip("looks at the index that do not give [documents, highest sequence] by partition")
        return
    highest = {p: top for p, (_, top) in pairs.items()}
    into.polls[asked, answered] = Poll(asked, answered, highest, {p: n for p, (n, _) in pairs.items()})
    into.file.saw("visible sequences", answered)


def experiment(sample: Sample, into: Gathering) -> None:
    """What was asked of the laboratory; its versions and settings become statements."""
    body = shown(sample.body)
    into.experiment = body
    into.name = clean(body["name"])
    versions = body.get("versions") or {}
    product = (body.get("search") or {}).get("product", "opensearch")
    ran = {"kafka": ("kafka", "kafka" in body or "plan" in body), "spark": ("pyspark", "job" in body)}
    ran["search"] = (product, "search" in body)
    for ours, (theirs, present) in ran.items():
        if present and theirs in versions:
            into.state(f"{ours}.version", versions[theirs], epoch(body.get("started")))
    if body.get("disturbed"):
        into.file.remark("disturbed: its maker says that other work shared the machine")
    into.file.saw("laboratory: what was asked", epoch(body.get("started")))


def document(sample: Sample, into: Gathering) -> None:
    """A small result, kept as it is."""
    base = into.file.name.rpartition("/")[2]
    if len(json.dumps(sample.body)) > LARGEST:
        into.skip("a result of more than a million characters")
        return
    into.documents[base.removesuffix(".gz")] = shown(sample.body)
    into.file.saw("laboratory: a result", None)


def events(sample: Sample, into: Gathering) -> None:
    """What was done to the stack, and what it did by itself."""
    for row in sample.body:
        if isinstance(row, Mapping):
            detail = {str(k): v for k, v in row.items() if k not in ("t", "kind")}
            into.event(epoch(row.get("t")), str(row.get("kind")), **detail)
            into.file.saw("events", epoch(row.get("t")))


def failure(sample: Sample, into: Gathering) -> None:
    """A sample that failed: a gap with its reason, or an error answer that somebody saved."""
    body = sample.body
    why = body.get("text") or body.get("error") or body.get("errorType") or "an error"
    if isinstance(why, Mapping):
        why = why.get("type") or why.get("reason") or "an error"
    status = f", status {body['status']}" if isinstance(body.get("status"), int) else ""
    into.errors.append((sample.t, clean(sample.source), clean(why)))
    into.skip(f"an error instead of an answer{status}: {clean(why)}")


def nothing(sample: Sample, into: Gathering) -> None:
    """A recording's head or end, a list that only discovery uses: known, and nothing to measure in it."""
    into.file.saw(sample.kind, sample.t)


READERS = {
    "procs": procs,
    "visible": visible,
    "lab_experiment": experiment,
    "lab_events": events,
    "error": failure,
    "header": nothing,
    "end": nothing,
    "cat_nodes": nothing,
    "cat_allocation": nothing,
    "spark_applications": nothing,
    "spark_streaming_statistics": nothing,
    "prometheus_families": nothing,
    **dict.fromkeys(("lab_producer", "lab_bulk", "lab_outcome", "lab_log_dirs", "lab_index_end"), document),
}
