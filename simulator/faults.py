"""Faults in the simulated time: processes that act between two moves of the data plane.

A fault begins exactly when it says, in the middle of a batch if need be; the stack notices it after its own
timeouts, works around it, and recovers when the cause is gone. Each fault leaves a *story*: when it began,
when it was noticed, when its cause ended, when the systems were whole again. What was lost, and by what, is
kept by cause; duplicates are counted by the data plane, document by document.

Brokers are a law here, not processes: only the fluid front knows their faults (`faults_kafka.py`).
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import simpy

from models.faults import Fault, law
from models.machines import BURST_CPU_SHARE, UnknownMachine, machine
from simulator import kernels as k
from simulator.faults_kafka import Topics
from simulator.faults_search import Shards
from simulator.story import Down, FaultReport, Happening, Story

if TYPE_CHECKING:
    from simulator.run import Simulation
    from simulator.spark import Query

Process = Generator[Any, Any, None]
MOVES_SHARDS = ("data-node-lost", "zone-lost", "rolling-restart", "outage")
OF_BROKERS = ("broker-lost", "broker-slow", "controller-lost", "partitions-moved")  # and of zones, tiers, disks


def bursts_of(faults: Sequence[Fault]) -> list[tuple[float, float, float]]:
    """Stretches with another rate: from, to, factor."""
    return [(f.at, f.end, f.strength) for f in faults if f.kind == "burst"]


def shards_move(faults: Sequence[Fault]) -> bool:
    """Whether a data node may be lost."""
    return any(f.kind in MOVES_SHARDS and f.target not in ("kafka", "spark") for f in faults)


def refused_by_exact_front(faults: Sequence[Fault]) -> str:
    """Why the exact front cannot run these faults, '' if it can: its brokers do not die."""
    for f in faults:
        if f.kind in OF_BROKERS or f.target == "kafka" or f.kind in ("zone-lost", "zone-delay"):
            return f"'{f}' touches brokers, which only the fluid front lets fail; use level 'fluid'"
    return ""


class Director:
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
        self.topics = Topics(self)
        self.shards = Shards(self)

    def start(self) -> None:
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

    # ------------------------------------------------------------ queries

    def query_died(self, query: Query, why: str) -> None:
        self.report.downs[query.number].append(Down(self.env.now, why))
        self.note(-1, f"{query.flow.name}: the query died: {why}")

    def query_stopped(self, query: Query) -> None:
        self.stopped[query.number] = True
        self.report.downs[query.number].append(Down(self.env.now, "stopped"))

    def query_lives(self, query: Query) -> None:
        f = query.number
        self.stopped[f] = False
        self.report.downs[f][-1].until = self.env.now
        self.report.restarts[f] = query.restarts
        for e, up in enumerate(self.executors_up):  # a new application brings new executors, as cold as itself
            if not up:
                self._executor_up(e, 0.0)
            self.sim.plane.m.exec_amplitude[e] = 0.0
        self.note(-1, f"{query.flow.name}: the query runs again")

    def cluster_back(self) -> float:
        """When there is a cluster to start on [s]."""
        return self.no_cluster_until

    def _kill_queries(self, why: str) -> None:
        for query, process in zip(self.sim.queries, self.sim.processes, strict=True):
            if process.is_alive and not self.stopped[query.number] and query.failed is None:
                process.interrupt(why)

    def _driver_lost(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self._kill_queries("the driver died")
        self.ended(n)
        yield self.env.timeout(0)
        self.whole(n)

    def _checkpoint_slow(self, n: int, fault: Fault) -> Process:
        self.checkpoint_factor *= fault.strength
        self.noticed(n)
        yield from self._for(n, fault)
        self.checkpoint_factor /= fault.strength
        self.whole(n, "checkpoint writes take their usual time")

    def _checkpoint_failing(self, n: int, fault: Fault) -> Process:
        self.checkpoints_failing += 1
        self.noticed(n)
        yield from self._for(n, fault)
        self.checkpoints_failing -= 1
        self.whole(n, "the checkpoint store takes writes again")

    @property
    def checkpoint_fails(self) -> bool:
        return self.checkpoints_failing > 0

    # ------------------------------------------------------------ executors

    def _executor_lost(self, n: int, fault: Fault) -> Process:
        yield from self._lose_executor(n, fault, 0.0, law("spark.network_timeout") if fault.silent else 0.0, True)

    def _spot_interrupted(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self.note(n, f"notice: executor {fault.number} ends in {law('spark.spot_notice'):.0f} s")
        yield from self._lose_executor(n, fault, law("spark.spot_notice"), 0.0, False)

    def _lose_executor(self, n: int, fault: Fault, notice: float, seen_after: float, counts: bool) -> Process:
        """Tasks on it hang until the driver notices, then run again elsewhere; a cold replacement takes its place."""
        e = fault.number
        yield self.env.timeout(notice)
        if not self.executors_up[e]:
            self.whole(n)
            return
        self.hurt(n, f"executor {e}")
        self._executor_down(e)
        yield self.env.timeout(seen_after)
        self.noticed(n)
        self.sim.plane.notice_executor(e, counts)
        self.note(n, f"the driver knows that executor {e} is gone; its tasks run again elsewhere")
        back = max(law("spark.container"), (fault.end - self.env.now) if math.isfinite(fault.end) else 0.0)
        if not math.isfinite(fault.end):
            self.ended(n)
        yield self.env.timeout(back)
        if math.isfinite(fault.end):
            self.ended(n)
        if not self.executors_up[e]:
            self._executor_up(e, self.sim.coefficients["spark.warm_amplitude"])
        self.whole(n, f"executor {e} is replaced, cold", f"executor {e}")

    def _executor_down(self, e: int) -> None:
        self.executors_up[e] = False
        self.sim.plane.stop_executor(e)

    def _executor_up(self, e: int, amplitude: float) -> None:
        self.executors_up[e] = True
        self.sim.plane.start_executor(e, self.sim.scenario.spark.cores, amplitude)

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

    def _shards_moved(self, n: int, fault: Fault) -> Process:
        yield from self.shards.move(n, fault)

    def _index_blocked(self, n: int, fault: Fault) -> Process:
        code = self._block_code(fault.target or "read_only_allow_delete")
        self._block(code)
        self.noticed(n)
        yield from self._for(n, fault)
        self._unblock(code)
        self.whole(n, "the block is lifted")

    def _block(self, code: int) -> None:
        self.blocks.append(code)
        self.sim.plane.m.index_block[:] = max(self.blocks)

    def _unblock(self, code: int) -> None:
        self.blocks.remove(code)
        self.sim.plane.m.index_block[:] = max(self.blocks, default=0)

    def _block_code(self, block: str) -> int:
        search = self.sim.scenario.elasticsearch
        major, minor = (int(part) for part in search.version.split("."))
        old = search.kind == "self-managed-elasticsearch" and (major, minor) < (7, 7)
        return k.BLOCK_FATAL if block == "write" or old else k.BLOCK_RETRIED

    # ------------------------------------------------------------ zones, tiers, disks, credits

    def _zone_lost(self, n: int, fault: Fault) -> Process:
        place, zone = self.sim.built.placement, fault.number
        here = {s for s, site in enumerate(place.sites) if site.zone == zone}
        executors = [e for e, site in enumerate(place.executors) if site in here]
        parts: list[simpy.Process] = []
        if place.driver in here or len(executors) == len(place.executors):
            self._zone_of_driver(n)
        else:
            parts += [self.env.process(self._executor_of_zone(n, e, fault)) for e in executors]
        brokers = [b for b, site in enumerate(place.brokers) if site in here]
        nodes = [d for d, site in enumerate(place.nodes) if site in here]
        if brokers:
            parts.append(self.env.process(self.topics.broker_gone(n, brokers, fault)))
        if nodes:
            parts.append(self.env.process(self.shards.nodes_gone(n, nodes, fault, silent=True)))
        yield self.env.all_of(parts) if parts else self.env.timeout(0)
        if not parts:
            self.noticed(n)
            self.whole(n)

    def _zone_of_driver(self, n: int) -> None:
        """With the driver the application is gone. EMR on EC2 lies in one zone: a new cluster takes its time."""
        if self.sim.scenario.spark.kind == "emr-ec2":
            self.no_cluster_until = max(self.no_cluster_until, self.env.now + law("spark.cluster"))
            self.note(n, f"Spark was there: a new cluster in another zone takes {law('spark.cluster') / 60:.0f} min")
        self._kill_queries("its zone is lost, and the driver with it")

    def _executor_of_zone(self, n: int, e: int, fault: Fault) -> Process:
        one = Fault(kind="executor-lost", at=fault.at, target=str(e), duration=fault.duration)
        yield from self._lose_executor(n, one, 0.0, law("spark.network_timeout"), True)

    def _zone_delay(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self._stretch_trips(fault.delay or 0.0)
        yield from self._for(n, fault)
        self._stretch_trips(-(fault.delay or 0.0))
        self.whole(n, "trips between zones take their usual time")

    def _stretch_trips(self, delay: float) -> None:
        """Add a delay to each one-way trip by the share of them that cross zones. Source: simulator.hosts.mean_trip."""
        place, m, scenario = self.sim.built.placement, self.sim.plane.m, self.sim.scenario
        out = self._crossing(place.executors, place.nodes)
        m.half_trip += delay * out
        inside = self._crossing(place.nodes, place.nodes)
        for f, flow in enumerate(scenario.flows):
            trips = 0 if scenario.elasticsearch.data_nodes == 1 else 1 if flow.index.copies == 1 else 2
            m.bulk_wait[f] += delay * inside * trips * 2
        self.topics.stretch(delay * self._crossing(place.brokers, place.brokers))

    def _crossing(self, sources: list[int], targets: list[int]) -> float:
        sites = self.sim.built.placement.sites
        pairs = [(a, b) for a in sources for b in targets]
        return sum(sites[a].zone != sites[b].zone for a, b in pairs) / len(pairs)

    def _disk_full(self, n: int, fault: Fault) -> Process:
        if fault.target == "kafka":
            self.note(n, "broker 0 cannot write its log and stops")
            yield from self.topics.broker_gone(n, [0], fault)
            return
        if fault.target == "spark":
            self._kill_queries("the driver's disk is full")
            self.noticed(n)
            yield from self._for(n, fault)
            self.whole(n)
            return
        poll = law("search.flood_poll") / 2  # on the mean, before the block and before its release
        yield self.env.timeout(poll)
        told = {"kind": "index-blocked", "target": "read_only_allow_delete", "duration": (fault.duration or 0.0) + poll}
        blocked = fault.model_copy(update=told)
        yield from self._index_blocked(n, blocked)

    def _credits_exhausted(self, n: int, fault: Fault) -> Process:
        """CPU of burstable machines falls to its baseline share; volumes to what the machine sustains."""
        part, place = getattr(self.sim.scenario, fault.target), self.sim.built.placement
        sites = {"kafka": place.brokers, "spark": place.executors, "elasticsearch": place.nodes}[fault.target]
        share, sustained = 1.0, math.inf
        try:
            box = machine(part.machine) if not part.hosts else None
        except UnknownMachine:
            box = None
        if box is not None:
            share = BURST_CPU_SHARE.get(box.size, 1.0) if box.burstable else 1.0
            sustained = box.ebs_baseline_bytes_per_second
        self.noticed(n)
        before = self.sim.plane.m.merge_rate.copy()
        if fault.target == "elasticsearch":
            self.sim.plane.m.merge_rate[:] = before.clip(max=sustained)
        if share == 1.0 and (fault.target != "elasticsearch" or (before <= sustained).all()):
            self.note(n, "no burst is in these forecasts: the machine's baseline is what is simulated at all times")
        yield from self._slow_hosts(n, fault, sites, share)
        self.sim.plane.m.merge_rate[:] = before

    def _slow_hosts(self, n: int, fault: Fault, sites: list[int], share: float) -> Process:
        self.noticed(n)
        self._speed(sites, share)
        yield from self._for(n, fault)
        self._speed(sites, 1 / share)
        self.whole(n, "its speed is back")

    def _speed(self, sites: list[int], factor: float) -> None:
        for site in dict.fromkeys(sites):
            self.sim.built.placement.sites[site].speed *= factor
            self.sim.plane.set_speed(site, self.sim.built.placement.sites[site].speed)
        self.sim.set_front(self.env.now)

    def _rolling_restart(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self.hurt(n, "rolling")
        down = fault.duration or 0.0
        if fault.target == "spark":
            for e in range(len(self.executors_up)):
                one = Fault(kind="spot-interrupted", at=self.env.now, target=str(e), duration=down)
                yield from self._lose_executor(n, one, 0.0, 0.0, False)
        elif fault.target == "kafka":
            for b in range(self.sim.scenario.kafka.brokers):
                one = Fault(kind="broker-lost", at=self.env.now, target=str(b), duration=down)
                yield from self.topics.broker_gone(n, [b], one, clean=True)
        else:
            for d in range(self.sim.scenario.elasticsearch.data_nodes):
                one = Fault(kind="data-node-lost", at=self.env.now, target=str(d), duration=down)
                yield from self.shards.nodes_gone(n, [d], one, silent=False, rebuild=False)
        self.ended(n)
        self.whole(n, f"every node of {fault.target} has been restarted", "rolling")

    def _outage(self, n: int, fault: Fault) -> Process:
        if fault.target == "kafka":
            yield from self.topics.broker_gone(n, list(range(self.sim.scenario.kafka.brokers)), fault)
        elif fault.target == "elasticsearch":
            nodes = list(range(self.sim.scenario.elasticsearch.data_nodes))
            yield from self.shards.nodes_gone(n, nodes, fault, silent=False)
        else:  # stopped between two batches, as an operator does: Query sits it out
            self.noticed(n)
            yield from self._for(n, fault)
            self.whole(n)

    def _burst(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        yield from self._for(n, fault)
        self.whole(n, "the rate is the usual one again")


def outages_of(faults: Sequence[Fault]) -> list[tuple[float, float]]:
    """Stretches (start, length) in which no query runs, by faults that stop Spark cleanly."""
    return [(f.at, f.duration or 0.0) for f in faults if f.kind == "outage" and f.target == "spark"]
