"""What faults leave behind in a run: a story each, a timeline, and what was lost by which cause."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

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

    def copy(self, flow: int, what: str, size: float) -> None:
        """Bytes that nodes send each other for a flow; negative where a copy is given up half way."""
        if size:
            self.copied[flow][what] = self.copied[flow].get(what, 0.0) + size
