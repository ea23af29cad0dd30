"""Headroom: what the fullest of each kind leaves free, held against the shares that the targets promise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from models.units import show
from planner.answers import Promise

if TYPE_CHECKING:
    from planner.forecast import Forecast

CLOSE = 0.1  # of the promised share: nearer than this the forecast cannot tell


def headrooms(out: Forecast) -> list[Promise]:
    """The promises about CPU, disks and memory that the scenario makes; what it does not state is not judged."""
    wanted = {"cpu_headroom": _cpu, "disk_headroom": _disk, "memory_headroom": _memory}
    found = []
    for name, left in wanted.items():
        promised = getattr(out.scenario.targets, name)
        if promised is not None:
            free, window, reason = left(out)
            sure = abs(free - promised) > CLOSE
            found.append(Promise(name, promised, free, "1", free >= promised, sure, window, reason))
    return found


def _cpu(out: Forecast) -> tuple[float, str, str]:
    """Share of the busiest host's cores that is left."""
    hosts = [load for load in out.loads if load.kind == "host"]
    most = max(hosts, key=lambda load: load.utilisation)
    return 1 - most.utilisation, show(out.scenario.run.measure, "s"), f"{most.name}: {most.evidence}"


def _disk(out: Forecast) -> tuple[float, str, str]:
    """Share below its first mark that the fullest node's disk leaves free once retention is full."""
    left = {}
    for part, fill in out.storage.items():
        first = min(fill.marks_bytes, key=lambda mark: fill.marks_bytes[mark])
        held = f"{show(fill.fullest_node_bytes, 'bytes')} of {show(fill.marks_bytes[first], 'bytes')}"
        left[f"{part}: {held} at its first mark ({first})"] = 1 - fill.fullest_node_bytes / fill.marks_bytes[first]
    least = min(left, key=lambda reason: left[reason])
    return left[least], "full retention", least


def _memory(out: Forecast) -> tuple[float, str, str]:
    """Share of a host's memory that its process does not reserve; hosts whose memory nobody stated are not judged."""
    left = {
        f"{x.process}: {show(x.reserved_bytes, 'bytes')} reserved of {show(x.host_bytes, 'bytes')}": 1
        - x.reserved_bytes / x.host_bytes
        for x in out.memory
        if x.host_bytes
    }
    if not left:
        return math.nan, "static", "not judged: no host says how much memory it has"
    least = min(left, key=lambda reason: left[reason])
    return left[least], "static", least
