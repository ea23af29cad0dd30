"""Faults in the simulated time: processes that act between two moves of the data plane.

A fault begins exactly when it says, in the middle of a batch if need be; the stack notices it after its own
timeouts, works around it, and recovers when the cause is gone. Each fault leaves a *story*: when it began,
when it was noticed, when its cause ended, when the systems were whole again. What was lost, and by what, is
kept by cause; duplicates are counted by the data plane, document by document.

This file keeps the story and the blocks of the index; topics, shards, copying, Spark and hosts have files of their own
(`faults_*.py`). Brokers are a law here, not processes: only the fluid front knows their faults (`faults_kafka.py`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from models.faults import Fault, law
from simulator import kernels as k
from simulator.faults_hosts import HostFaults
from simulator.faults_kafka import Topics
from simulator.faults_recovery import Copying
from simulator.faults_search import Shards
from simulator.faults_spark import SparkFaults
from simulator.story import FaultReport, Happening, Story

if TYPE_CHECKING:
    from simulator.run import Simulation

Process = Generator[Any, Any, None]
MOVES_SHARDS = ("data-node-lost", "zone-lost", "rolling-restart", "outage")
OF_BROKERS = ("broker-lost", "broker-slow", "controller-lost", "controller-slow", "partitions-moved")
OF_ZONES = ("zone-lost", "zone-slow", "zone-delay")
DICE_LOOK = 73  # stream of the moment at which a server looks at its disks next


def bursts_of(faults: Sequence[Fault]) -> list[tuple[float, float, float]]:
    """Stretches with another rate: from, to, factor."""
    return [(f.at, f.end, f.strength) for f in faults if f.kind == "burst"]


def shards_move(faults: Sequence[Fault]) -> bool:
    """Whether a data node may be lost."""
    return any(f.kind in MOVES_SHARDS and f.target not in ("kafka", "spark") for f in faults)


def refused_by_exact_front(faults: Sequence[Fault]) -> str:
    """Why the exact front cannot run these faults, '' if it can: its brokers do not die."""
    for f in faults:
        if f.kind in OF_BROKERS or f.target == "kafka" or f.kind in OF_ZONES:
            return f"'{f}' touches brokers, which only the fluid front lets fail; use level 'fluid'"
    return ""


class Director(SparkFaults, HostFaults):
    """Runs the faults of one simulation."""

    def __init__(self, sim: Simulation, faults: Sequence[Fault]) -> None:
        self.sim, self.faults, self.env = sim, sorted(faults, key=lambda f: f.at), sim.env
        flows = len(sim.scenario.flows)
        self.report = FaultReport([Story(f) for f in self.faults], [], [[] for _ in range(flows)],
                                  [{} for _ in range(flows)], [0] * flows, [{} for _ in range(flows)])  # fmt: skip
        self.checkpoint_factor, self.checkpoints_failing = 1.0, 0
        self.blocks: list[int] = []
        self.no_cluster_until = 0.0
        self.executors_up = [True] * sim.scenario.spark.executors
        self.stopped = [False] * flows
        self.extra_cores: dict[int, float] = {}
        self.manager_back = 0.0
        self.controller_share = self.manager_share = 1.0  # of their work that the two do
        self.kills = 0  # of executors, for their memory
        self.topics = Topics(self)
        self.shards = Shards(self)
        self.copying = Copying(self)

    def start(self) -> None:
        if self.faults:
            self.topics.see()
            self.shards.see()
        for number, fault in enumerate(self.faults):
            self.env.process(self._run(number, fault))

    def _run(self, n: int, fault: Fault) -> Process:
        yield self.env.timeout(fault.at - self.env.now)
        self.note(n, str(fault))
        self.report.before[n] = self._counts()
        act = getattr(self, f"_{fault.kind.replace('-', '_')}")
        yield from act(n, fault)

    def _counts(self) -> list[dict[str, float]]:
        """Of each flow what was sent again, doubled and indexed so far [documents]."""
        names = {"rejected_items": k.REJECTED, "duplicated_documents": k.DUPLICATED, "indexed_documents": k.INDEXED}
        return [{name: float(of[at]) for name, at in names.items()} for of in self.sim.plane.counts]

    # ------------------------------------------------------------ telling

    def note(self, n: int, what: str) -> None:
        self.report.timeline.append(Happening(self.env.now, n, what))

    def noticed(self, n: int) -> None:
        self.report.stories[n].noticed = min(self.report.stories[n].noticed, self.env.now)

    def ended(self, n: int) -> None:
        self.report.stories[n].ended = self.env.now

    def hurt(self, n: int, part: str) -> None:
        """A part of the stack is no longer whole because of a fault."""
        self.report.stories[n].broken.add(part)
        self.report.stories[n].whole = math.inf

    def whole(self, n: int, what: str = "", part: str = "") -> None:
        """A part is whole again; the fault's story ends with the last of them."""
        story = self.report.stories[n]
        story.broken.discard(part)
        if not story.broken:
            story.whole = self.env.now
        if what:
            self.note(n, what)

    def lose(self, flow: int, records: float, cause: str) -> None:
        if records > 0:
            losses = self.report.losses[flow]
            losses[cause] = losses.get(cause, 0.0) + records

    def lost(self, flow: int) -> float:
        """Records of a flow that never reach its index [records]."""
        return float(sum(self.report.losses[flow].values()))

    def _for(self, n: int, fault: Fault) -> Process:
        """Wait until the cause is gone; for good, if it never goes."""
        yield self.env.timeout(max(0.0, fault.end - self.env.now)) if math.isfinite(fault.end) else self.env.event()
        self.ended(n)

    # ------------------------------------------------------------ brokers

    def _broker_lost(self, n: int, fault: Fault) -> Process:
        yield from self.topics.broker_gone(n, [fault.number], fault)

    def _broker_slow(self, n: int, fault: Fault) -> Process:
        yield from self.topics.broker_slow(n, fault)

    def _controller_lost(self, n: int, fault: Fault) -> Process:
        yield self.env.timeout(law("kafka.election"))
        self.noticed(n)
        self.ended(n)
        self.whole(n, "another controller is elected; records flowed meanwhile")

    def _controller_slow(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self.controller_share *= fault.strength
        yield from self._for(n, fault)
        self.controller_share /= fault.strength
        self.whole(n, "the controller has its speed back")

    def _partitions_moved(self, n: int, fault: Fault) -> Process:
        yield from self.topics.move(n, fault)

    # ------------------------------------------------------------ data nodes

    def _data_node_lost(self, n: int, fault: Fault) -> Process:
        yield from self.shards.nodes_gone(n, [fault.number], fault, silent=fault.silent)

    def _data_node_slow(self, n: int, fault: Fault) -> Process:
        yield from self._slow_hosts(n, fault, [self.sim.built.placement.nodes[fault.number]], fault.strength)

    def _manager_lost(self, n: int, fault: Fault) -> Process:
        self.manager_back = self.env.now + law("search.election")
        yield self.env.timeout(law("search.election"))
        self.noticed(n)
        self.ended(n)
        self.whole(n, "another cluster manager is elected; bulks went on meanwhile")

    def _manager_slow(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self.manager_share *= fault.strength
        yield from self._for(n, fault)
        self.manager_share /= fault.strength
        self.whole(n, "the cluster manager has its speed back")

    def promotion(self) -> float:
        """How long a cluster state with new primaries takes to be published [s]."""
        return law("search.promotion") / self.manager_share

    def _shards_moved(self, n: int, fault: Fault) -> Process:
        yield from self.shards.move(n, fault)

    def _index_blocked(self, n: int, fault: Fault) -> Process:
        block = fault.target or "read_only_allow_delete"
        code = self._block_code(block)
        self._block(code)
        self.noticed(n)
        looked = self._next_look(n) if fault.manual and block != "write" and self._lifts_blocks() else math.inf
        if looked < (fault.duration or math.inf):
            yield self.env.timeout(looked)
            self.ended(n)
        else:
            yield from self._for(n, fault)
        self._unblock(code)
        by_itself = looked < (fault.duration or math.inf)
        why = ": the server looked at its disks, and none is past its high mark" if by_itself else ""
        self.whole(n, f"the block is lifted{why}")

    def _next_look(self, n: int) -> float:
        """Until a server looks at its disks next [s]: at any moment of the interval, as nobody knows when it began."""
        return law("search.flood_poll") * float(k.uniform(self.sim.seed, DICE_LOOK, n, 0, 0))

    def _lifts_blocks(self) -> bool:
        """Whether the server takes read_only_allow_delete away where disks have room: all but Elasticsearch before 7.4.

        Source: elasticsearch.md B4 (auto-released below high); DiskThresholdMonitor of both, which runs when the disks'
        usage has been gathered; 7.4 as the first version remembered.
        """
        return self._version() >= (7, 4)

    def _version(self) -> tuple[int, int]:
        """The server's version as Elasticsearch counts; OpenSearch is newer than any that differs here."""
        search = self.sim.scenario.elasticsearch
        major, minor = (int(part) for part in search.version.split("."))
        return (major, minor) if search.kind == "self-managed-elasticsearch" else (99, 0)

    def _block(self, code: int) -> None:
        self.blocks.append(code)
        self.sim.plane.m.index_block[:] = max(self.blocks)

    def _unblock(self, code: int) -> None:
        self.blocks.remove(code)
        self.sim.plane.m.index_block[:] = max(self.blocks, default=0)

    def _block_code(self, block: str) -> int:
        return k.BLOCK_FATAL if block == "write" or self._version() < (7, 7) else k.BLOCK_RETRIED


def outages_of(faults: Sequence[Fault]) -> list[tuple[float, float]]:
    """Stretches (start, length) in which no query runs, by faults that stop Spark cleanly."""
    return [(f.at, f.duration or 0.0) for f in faults if f.kind == "outage" and f.target == "spark"]
