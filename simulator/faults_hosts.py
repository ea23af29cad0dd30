"""Faults of more than one process: zones, tiers, disks, credits, speed, trips between zones, restarts one by one."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import simpy

from models.faults import Fault, law
from models.machines import BURST_CPU_SHARE, UnknownMachine, machine

if TYPE_CHECKING:
    from simulator.faults import Director as Base
else:
    Base = object

Process = Generator[Any, Any, None]


class HostFaults(Base):
    """What `faults.Director` does to hosts, zones and whole tiers."""

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

    def _zone_slow(self, n: int, fault: Fault) -> Process:
        sites = self.sim.built.placement.sites
        yield from self._slow_hosts(n, fault, [s for s, site in enumerate(sites) if site.zone == fault.number],
                                    fault.strength)  # fmt: skip

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
        share = min(share, self._network_share(n, fault.target))
        if fault.target == "elasticsearch":
            self.copying.cap_merges(n, sustained)
        if share == 1.0 and (fault.target != "elasticsearch" or (self.copying.usual_merges <= sustained).all()):
            self.note(n, "no burst is in these forecasts: the machine's baseline is what is simulated at all times")
        yield from self._slow_hosts(n, fault, sites, share)
        self.copying.cap_merges(n, None)

    def _network_share(self, n: int, tier: str) -> float:
        """Share of its traffic that a tier's cards carry at their baseline [1]; a data node then works at that share.

        Cards of brokers and executors are told of only: what a card of theirs refuses waits at its senders, which is
        not simulated.
        """
        if tier == "spark":
            return 1.0
        into, out, _ = self.copying.of_brokers() if tier == "kafka" else self.copying.of_nodes()
        place = self.sim.built.placement
        card = self.copying.card(place.brokers if tier == "kafka" else place.nodes)
        needed = float(max(into.max(), out.max()))
        if needed > card:
            self.note(
                n, f"cards of {tier} carry {card / 1e6:.0f} MB/s at their baseline; {needed / 1e6:.0f} are wanted"
            )
        return min(1.0, card / needed) if tier == "elasticsearch" and needed > 0 else 1.0

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
