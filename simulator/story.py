"""What faults leave behind in a run: a story each, a timeline, and what was lost by which cause."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

from models.faults import Fault


@dataclass(frozen=True)
class Happening:
    """One thing that happened: when, by which fault (its number; -1: a query's own), and what."""

    time: float
    fault: int
    what: str


@dataclass
class Story:
    """What became of one fault; times are infinite where the run did not see them."""

    fault: Fault
    noticed: float = math.inf
    ended: float = math.inf  # its cause is gone
    whole: float = math.inf  # every copy back, every process up
    expected: float = math.inf  # when the rebuilding under way will make it so
    broken: set[str] = field(default_factory=set)  # parts that are not whole yet


@dataclass
class Down:
    """A stretch in which a query did not run, and why."""

    since: float
    why: str
    until: float = math.inf


@dataclass(frozen=True)
class ShardStates:
    """Shard copies of one flow's indices from a moment on, by state [count]; together all that are wanted.

    `relocating` ones are read and written meanwhile, `initializing` ones being copied, `unassigned` ones lie nowhere.
    `on_node` counts started, relocating and initializing copies on each data node.
    """

    time: float
    flow: int
    started: int
    initializing: int
    relocating: int
    unassigned: int
    on_node: tuple[int, ...]


@dataclass(frozen=True)
class PartitionStates:
    """Copies of one flow's topic from a moment on: in sync and not [count], and partitions [count] that take no records
    (`closed`), of them those without a leader. `led_by` counts the partitions that each broker leads.
    """

    time: float
    flow: int
    in_sync: int
    out_of_sync: int
    closed: int
    leaderless: int
    led_by: tuple[int, ...]


@dataclass
class Recovery:
    """Bytes that nodes copy because of a fault, from when to when, and what that takes of each of their hosts.

    `network` and `volume` are shares [1] of a host's card (the busier direction) and volume, by host: with the usual
    traffic and without this copying (`before`), and of the copying alone. `at_a_time` is what lies twice on disks while
    it is copied [bytes].
    """

    fault: int
    system: str
    what: str
    since: float
    until: float
    bytes: float
    rate: float
    hosts: tuple[str, ...]
    network: tuple[float, ...]
    volume: tuple[float, ...]
    network_before: tuple[float, ...]
    volume_before: tuple[float, ...]
    twice_bytes: float = 0.0


@dataclass
class FaultReport:
    """All that faults did in one run: downs, losses (records by cause), restarts and documents lost, by flow.

    `copied` are bytes between nodes for a flow's sake: "kafka refetched" and "elasticsearch caught up" are what copies
    missed while they were away, sent later instead; "… moved" and "elasticsearch rebuilt" come on top. `before` holds a
    flow's counts (rejected items, duplicated and indexed documents) at each fault's beginning, by its number.
    """

    stories: list[Story] = field(default_factory=list)
    timeline: list[Happening] = field(default_factory=list)
    downs: list[list[Down]] = field(default_factory=list)
    losses: list[dict[str, float]] = field(default_factory=list)
    restarts: list[int] = field(default_factory=list)
    copied: list[dict[str, float]] = field(default_factory=list)
    before: dict[int, list[dict[str, float]]] = field(default_factory=dict)
    shards: list[ShardStates] = field(default_factory=list)
    partitions: list[PartitionStates] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)

    def see_shards(self, seen: ShardStates) -> None:
        """Keep a state that is not the flow's last one; the last of one moment counts."""
        _keep(self.shards, seen)

    def see_partitions(self, seen: PartitionStates) -> None:
        """The same of a topic."""
        _keep(self.partitions, seen)

    def copy(self, flow: int, what: str, size: float) -> None:
        """Bytes that nodes send each other for a flow; negative where a copy is given up half way."""
        if size:
            self.copied[flow][what] = self.copied[flow].get(what, 0.0) + size


def _keep(rows: list[Any], seen: Any) -> None:
    mine = [n for n in range(max(0, len(rows) - 64), len(rows)) if rows[n].flow == seen.flow]
    last = rows[mine[-1]] if mine else None
    if last is not None and replace(last, time=seen.time) == seen:
        return
    if last is not None and last.time == seen.time:
        rows[mine[-1]] = seen
    else:
        rows.append(seen)
