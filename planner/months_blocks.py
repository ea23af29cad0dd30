"""Months in which the index refuses writes: a full disk feeds back on what it holds, on the lag and on the topic.

The fullest data node past flood stage (or the service's own mark) blocks writes. Bulks then fail until the query's
retries are spent and it ends; a restart policy brings it back again and again, none leaves it dead. Meanwhile retention
goes on at both ends: old documents leave the index, which a block allows, until the fullest node is below its high mark
and the block is lifted by itself (not before Elasticsearch 7.4); unread records leave the topic, and are lost. Nobody
acts. Walked hour by hour, as a block decides what the next hour writes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.coefficients import CoefficientSet
from models.elasticsearch import watermark_bytes
from models.stack import Flow, Scenario
from models.storage import index_life_seconds
from models.units import HOUR
from planner.storage import document_bytes, index_at

Array = np.ndarray[Any, np.dtype[Any]]
LIFTS_ITSELF = (7, 4)  # Elasticsearch, since when a block goes with the space: elasticsearch.md B4 (version remembered)


@dataclass(frozen=True)
class Blocked:
    """What became of writes. `open` is 1 in hours that take them and have a query, else 0; `stretches` are (from, to)
    in hours, the last one's end past the horizon if it was never lifted; `dead` is the hour at which nothing was left
    that would start the query again.
    """

    open: Array
    stretches: tuple[tuple[int, int], ...]
    dead: int | None
    fullest: Array
    fullest_plain: Array


def lifts_itself(scenario: Scenario) -> bool:
    """Whether a block goes by itself once there is room."""
    search = scenario.elasticsearch
    major, minor = (int(part) for part in search.version.split("."))
    return search.kind != "self-managed-elasticsearch" or (major, minor) >= LIFTS_ITSELF


def limits_of(scenario: Scenario) -> tuple[float, float]:
    """Bytes of the fullest node from which writes stop, and below which they are taken again."""
    search = scenario.elasticsearch
    marks = watermark_bytes(search.volume.size, search.kind, search.version, search.free_space_rule)
    if search.kind != "opensearch-service":
        marks.pop("write_block")
    if marks.get("write_block", np.inf) < marks["flood"]:
        return marks["write_block"], marks["write_block"]  # the service's own: by free space alone
    return marks["flood"], marks["high"]


def blocked(
    scenario: Scenario,
    c: CoefficientSet,
    arrivals: Sequence[Array],
    able: Sequence[float],
    fullest: Array,
    plain: Array,
) -> Blocked:
    """The hours with what a block does. `arrivals` are events an hour of each flow, `able` events a second that each
    query gets through, `fullest` and `plain` the fullest node's bytes if nothing ever blocked.
    """
    hours, (stops, again) = len(fullest), limits_of(scenario)
    hit = np.flatnonzero(fullest >= stops)
    if not len(hit) or all(flow.query.sink.kind == "noop" for flow in scenario.flows):
        return Blocked(np.ones(hours), (), None, fullest, plain)
    first = int(hit[0]) + 1  # writes stop with the hour that filled the disk
    walk = _Walk(scenario, c, arrivals, able, first)
    held, raw, open_ = fullest.copy(), plain.copy(), np.ones(hours)
    found: list[tuple[int, int]] = []
    shut, since, dead = True, first, None
    restarts = scenario.spark.restart.policy != "none"
    for k in range(first, hours):
        if shut and not restarts:
            dead = first if dead is None else dead
        runs = not shut and dead is None
        open_[k] = float(runs)
        held[k], raw[k] = walk.hour(k, runs)
        if shut and held[k] < again and lifts_itself(scenario):
            shut = False
            found.append((since, k + 1))
        elif not shut and held[k] >= stops:
            shut, since = True, k + 1
    if shut:
        found.append((since, hours + 1))
    return Blocked(open_, tuple(found), dead, held, raw)


class _Walk:
    """What is indexed hour by hour, and what of it the fullest node holds."""

    def __init__(
        self, scenario: Scenario, c: CoefficientSet, arrivals: Sequence[Array], able: Sequence[float], first: int
    ) -> None:
        self.scenario, self.able, self.flows = scenario, able, scenario.flows
        self.created = [np.concatenate([[0.0], np.cumsum(a)]) for a in arrivals]
        self.written = [np.zeros(len(a) + 1) for a in arrivals]  # events indexed by the end of each hour
        for made, mine in zip(self.created, self.written, strict=True):
            mine[: first + 1] = made[: first + 1]
        self.gone = [0.0] * len(self.flows)  # events that the topic lost unread
        self.document = [0.0 if f.query.sink.kind == "noop" else f.workload.documents_per_event * document_bytes(f, c)
                         for f in self.flows]  # fmt: skip
        self.now = 0
        nodes = scenario.elasticsearch.data_nodes
        self.at: list[Callable[[float], list[float]]] = [
            index_at(scenario, c, nodes, relieve=relieve, kept=self.kept) for relieve in (True, False)
        ]
        self.still = index_at(scenario, c, nodes, transient=False, relieve=False, kept=self.kept)

    def hour(self, k: int, runs: bool) -> tuple[float, float]:
        """Bytes of the fullest node at the end of an hour: with the allocator's moves, and without.

        While nothing is written no merge runs, and a flush has emptied the translogs.
        """
        self.now, writes = k, False
        for f, flow in enumerate(self.flows):
            made, mine = self.created[f], self.written[f]
            expired = float(
                np.interp((k + 1) * HOUR - flow.topic.retention, np.arange(len(made)) * HOUR, made, left=0.0)
            )
            self.gone[f] = max(self.gone[f], expired - mine[k])
            unread = made[k + 1] - mine[k] - self.gone[f]
            mine[k + 1] = mine[k] + (min(max(0.0, unread), self.able[f] * HOUR) if runs else 0.0)
            writes |= mine[k + 1] > mine[k] and self.document[f] > 0
        if not writes:
            held = max(self.still((k + 1) * HOUR))
            return held, held
        return max(self.at[0]((k + 1) * HOUR)), max(self.at[1]((k + 1) * HOUR))

    def kept(self, flow: Flow, seconds: float) -> float:
        """One copy of what an index keeps at a time, no later than the end of the hour that is walked [bytes]."""
        f = self.flows.index(flow)
        life = index_life_seconds(flow.index.retention, flow.index.rollover)
        mine = self.written[f][: self.now + 2]
        held = np.interp([seconds, seconds - life], np.arange(len(mine)) * HOUR, mine, left=0.0)
        return float(held[0] - held[1]) * self.document[f]
