"""Shards while data nodes fail: copies take over, are missed for a minute, and are rebuilt.

A dead node's closed sockets are seen at once, a vanished host after its fault detection. The cluster manager
then promotes copies (one in sync, else the group of shards waits for its node), lets the missing ones be for
a minute in case the node returns, and rebuilds them on nodes that have none. Rebuilding copies a node's
stored bytes at the recovery rate, from and to volumes whose merges get what is left (`faults_recovery`); new
documents go to the copy from the start. Each change of a shard's state is kept (`story.ShardStates`), with older
indices' shards beside those of the index that is written: they share its fate.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np

from models.faults import Fault, law
from models.storage import indices_kept
from models.units import HOUR
from simulator.elasticsearch import index_ratio
from simulator.story import ShardStates

if TYPE_CHECKING:
    from simulator.faults import Director
    from simulator.faults_recovery import Transfer

Process = Generator[Any, Any, None]


class Shards:
    """Groups of shards of all flows, and the nodes that hold their copies in sync, primary first."""

    def __init__(self, director: Director) -> None:
        self.d, self.sim, self.env = director, director.sim, director.env
        search = self.sim.scenario.elasticsearch
        self.holds = [0] * search.data_nodes  # faults that keep a node down
        self.homes = [[list(on) for on in s.homes] for s in self.sim.built.shards]
        self.building: dict[tuple[int, int], int] = {}  # (flow, group): the node that a copy is rebuilt on
        self.under_way: dict[tuple[int, int], tuple[float, float, float]] = {}  # of it: bytes, from when, for how long
        self.lost_since: dict[int, float] = {}
        self.gone_for_good: set[int] = set()
        self.seen_gone: set[int] = set()  # nodes that the cluster knows to be gone
        self.relocating: dict[int, tuple[int, ...]] = {}  # by fault: shard copies of each flow on their way

    @property
    def up(self) -> list[bool]:
        return [held == 0 for held in self.holds]

    def wanted(self, f: int) -> int:
        return min(self.sim.scenario.flows[f].index.copies, len(self.up))

    # ------------------------------------------------------------ states

    def see(self) -> None:
        """Keep the states of each flow's shards, if they have changed."""
        for f, flow in enumerate(self.sim.scenario.flows):
            kept = indices_kept(flow.index.retention, flow.index.rollover)
            on = self._started(f)
            there = [kept * n for n in on]
            building = [0] * len(on)
            for (of, g), node in self.building.items():
                if of == f and self.up[node]:
                    building[node] += kept * self.sim.built.shards[f].sizes[g]
            moving = min(sum(there), sum(of[f] for of in self.relocating.values()))
            spread = [a + b for a, b in zip(there, building, strict=True)]
            left = kept * flow.index.primaries * flow.index.copies - sum(spread)
            self.d.report.see_shards(
                ShardStates(self.env.now, f, sum(there) - moving, sum(building), moving, left, tuple(spread))
            )

    def _started(self, f: int) -> list[int]:
        """Shards of the written index with a copy in sync on each node, as the cluster knows it [count]."""
        count = [0] * len(self.up)
        if not self.homes[f]:  # no fault of this run loses a node
            return [int(n) for n in self.sim.plane.m.shards_on[f]]
        for size, on in zip(self.sim.built.shards[f].sizes, self.homes[f], strict=True):
            for node in on:
                count[node] += size * (node not in self.seen_gone)
        return count

    # ------------------------------------------------------------ nodes die and come back

    def nodes_gone(self, n: int, nodes: list[int], fault: Fault, silent: bool, rebuild: bool = True) -> Process:
        """Data nodes die; the cluster notices, promotes, waits, rebuilds (unless somebody told it not to: a planned
        restart); they come back.
        """
        self.d.hurt(n, "shards")
        if math.isinf(fault.end):
            self.gone_for_good |= set(nodes)
        for node in nodes:
            self.holds[node] += 1
            if self.holds[node] == 1:
                self.lost_since[node] = self.env.now
                self.sim.plane.stop_node(node)
        self.env.process(self._notice(n, nodes, silent, rebuild))
        yield from self.d._for(n, fault)
        for node in nodes:
            self.holds[node] -= 1
            if self.holds[node] == 0:
                self.sim.plane.start_node(node, self.sim.coefficients["search.warm_amplitude"])
                self.d.note(n, f"data node {node} is back, its JVM cold")
        yield from self._rejoin(n, nodes)

    def _notice(self, n: int, nodes: list[int], silent: bool, rebuild: bool) -> Process:
        delay = law("search.fault_detection") if silent else 0.0
        delay = max(delay, self.d.manager_back - self.env.now) + self.d.promotion()
        if not self._quorum():
            self.d.note(n, "no quorum of cluster managers is left: nothing is promoted until nodes return")
        yield self.env.timeout(delay)
        self.d.noticed(n)
        self.seen_gone |= {node for node in nodes if not self.up[node]}
        if self._quorum():
            for node in nodes:
                if not self.up[node]:
                    self._promote(n, node)
        self.see()
        yield self.env.timeout(law("search.node_left_delay"))
        if self._quorum() and rebuild:
            yield from self._rebuild(n)

    def _quorum(self) -> bool:
        """Whether a majority of the master-eligible nodes is left: dedicated ones, or else the data nodes."""
        if self.sim.scenario.elasticsearch.managers:
            return True
        return sum(self.up) > len(self.up) // 2

    def _promote(self, n: int, node: int) -> None:
        """Copies on a dead node leave the in-sync sets; where it was primary the next in sync takes over."""
        red = moved = 0
        gone = 0.0
        for f, groups in enumerate(self.homes):
            shares: dict[int, float] = {}
            total = 0.0
            for g, on in enumerate(groups):
                if self.building.get((f, g)) == node:
                    del self.building[f, g]
                    self._give_up(f, g)
                if node not in on:
                    continue
                led = on[0] == node
                share = float(self.sim.plane.m.primary_share[f, g])
                total += share if led else 0.0
                alive = [y for y in on if y != node and self.up[y]]
                if not alive:
                    red += self.sim.built.shards[f].sizes[g]
                    gone += self.group_bytes(f, g) * self.gone_for_good.issuperset(on)
                    continue
                on.remove(node)
                if led:
                    on[:] = [*alive, *(y for y in on if y not in alive)]
                    shares[on[0]] = shares.get(on[0], 0.0) + share
                    moved += self.sim.built.shards[f].sizes[g]
            self._write_tables(f)
            if total > 0 and shares:
                self.sim.plane.move_pending(f, node, {y: s / total for y, s in shares.items()})
        self.sim.plane.reroute(node)
        said = f"primaries that move from data node {node} to their copies: {moved}"
        self.d.note(n, said + (f"; {red} shards have no copy left and wait for it (red)" if red else ""))
        if gone > 0:
            self.d.note(n, self._restore_told(gone))

    def _restore_told(self, size: float) -> str:
        """What bringing lost shards back from a snapshot would take; nobody does it by himself.

        The bucket is read as fast as nodes recover. Source: elasticsearch.md B5, B6 (the service's hourly snapshots).
        """
        scenario, alive = self.sim.scenario, sum(self.up)
        every = scenario.money.snapshots.every
        if every is None and scenario.elasticsearch.kind == "opensearch-service":
            every = HOUR
        if every is None or not alive:
            return f"{size / 1e9:.3g} GB had their only copy there, and no snapshot is taken (money.snapshots)"
        seconds = size / (alive * self.d.copying.node_rate())
        return (
            f"{size / 1e9:.3g} GB had their only copy there: a restore from the last snapshot would take "
            f"{seconds / 60:.3g} min on {alive} nodes, and lacks up to {every / 60:.3g} min of documents"
        )

    def _write_tables(self, f: int) -> None:
        """Tell the data plane where each group's primary and copies are."""
        m, shards = self.sim.plane.m, self.sim.built.shards[f]
        count = np.zeros(len(self.up), dtype=np.int64)
        for g, on in enumerate(self.homes[f]):
            copies = [*on[1:], *([self.building[f, g]] if (f, g) in self.building else [])]
            m.primary_node[f, g] = on[0]
            m.replica_share[f, g] = [float(y in copies) for y in range(len(self.up))]
            m.replica_threads[f, g] = m.replica_share[f, g] * m.primary_threads[f, g]
            for y in (on[0], *copies):
                count[y] += shards.sizes[g]
        m.shards_on[f] = count

    def lost_share(self, f: int) -> float:
        """Share of an index whose every copy is on nodes that never come back [1]."""
        shares = self.sim.plane.m.primary_share[f]
        return float(sum(shares[g] for g, on in enumerate(self.homes[f]) if self.gone_for_good.issuperset(on)))

    # ------------------------------------------------------------ copies are rebuilt

    def missing(self) -> list[tuple[int, int]]:
        """Groups with fewer copies in sync than wanted."""
        return [(f, g) for f, groups in enumerate(self.homes) for g, on in enumerate(groups)
                if len([y for y in on if self.up[y]]) < self.wanted(f)]  # fmt: skip

    def _rebuild(self, n: int) -> Process:
        """Each missing copy goes to the node with fewest shards that has none; all at the tier's recovery rate."""
        chosen = []
        for f, g in self.missing():
            on = self.homes[f][g]
            if (f, g) in self.building or not self.up[on[0]]:
                continue
            able = [y for y in range(len(self.up)) if self.up[y] and y not in on]
            if able:
                counts = self.sim.plane.m.shards_on[f]
                self.building[f, g] = min(able, key=lambda y: counts[y])
                chosen.append((f, g, self.building[f, g]))
                self._write_tables(f)
        if not chosen:
            return
        self.see()
        size = sum(self.group_bytes(f, g) for f, g, _ in chosen)
        alive = sum(self.up)
        seconds = size / (alive * self.d.copying.node_rate())
        self.d.note(n, f"{size / 1e9:.3g} GB of copies are rebuilt on {alive} nodes: {seconds / 60:.3g} min")
        self.d.report.stories[n].expected = self.env.now + seconds
        for f, g, _ in chosen:  # all of it, though the run may end before
            self.under_way[f, g] = (self.group_bytes(f, g), self.env.now, seconds)
            self.d.report.copy(f, "elasticsearch rebuilt", self.group_bytes(f, g))
        moves = [(self.homes[f][g][0], node, self.group_bytes(f, g)) for f, g, node in chosen]
        yield from self._copying(n, "rebuilt", moves, seconds)
        self._built(chosen)
        self._green(n)

    def _copying(self, n: int, what: str, moves: list[Transfer], seconds: float, twice: float = 0.0) -> Process:
        """Copies take their time, and volumes and cards meanwhile."""
        taken = self.d.copying.begin_copy(n, what, moves, seconds, twice)
        yield self.env.timeout(seconds)
        self.d.copying.end_copy(taken)

    def _give_up(self, f: int, g: int) -> None:
        """A rebuild ends half way: what it had not copied yet is never sent."""
        size, since, seconds = self.under_way.pop((f, g), (0.0, 0.0, 1.0))
        left = max(0.0, 1 - (self.env.now - since) / seconds) if seconds > 0 else 0.0
        self.d.report.copy(f, "elasticsearch rebuilt", -size * left)

    def _built(self, chosen: list[tuple[int, int, int]]) -> None:
        """Copies are in sync, where nothing came between."""
        for f, g, node in chosen:
            if self.building.get((f, g)) == node:
                del self.building[f, g]
                self.under_way.pop((f, g), None)
                if self.up[node]:
                    self.homes[f][g].append(node)
            self._write_tables(f)
        self.see()

    def group_bytes(self, f: int, g: int) -> float:
        """Bytes of one copy of a group of shards once the index's retention is full [bytes]."""
        flow, c = self.sim.scenario.flows[f], self.sim.coefficients
        load, share = flow.workload, float(self.sim.plane.m.primary_share[f, g])
        documents = load.events_per_second * load.documents_per_event * flow.index.retention
        return documents * share * load.json_bytes * index_ratio(flow, c)

    def _rejoin(self, n: int, nodes: list[int]) -> Process:
        """Nodes that return bring their copies along: only what was written meanwhile has to be copied, and copies that
        are being rebuilt elsewhere are given up for them.
        """
        yield self.env.timeout(self.d.promotion())
        self.seen_gone -= {node for node in nodes if self.up[node]}
        moves: list[Transfer] = []
        chosen = []
        for f, groups in enumerate(self.homes):
            for g, on in enumerate(groups):
                back = [y for y in nodes if self.up[y] and y in self.sim.built.shards[f].homes[g] and y not in on]
                if back and len(on) < self.wanted(f):
                    self._give_up(f, g)
                    self.building[f, g] = back[0]
                    chosen.append((f, g, back[0]))
                    missed = self._missed(f, g, self.lost_since[back[0]])
                    self.d.report.copy(f, "elasticsearch caught up", missed)
                    moves.append((on[0], back[0], missed))
            self._write_tables(f)
        self.see()
        size = sum(missed for _, _, missed in moves)
        yield from self._copying(n, "caught up", moves, size / (max(1, len(nodes)) * self.d.copying.node_rate()))
        self._built(chosen)
        if self.missing():
            yield from self._rebuild(n)
        self._green(n)

    def _missed(self, f: int, g: int, since: float) -> float:
        """Bytes written to a group since a time [bytes]."""
        flow = self.sim.scenario.flows[f]
        records = float(self.sim.created_between(f, since, self.env.now).sum())
        share = float(self.sim.plane.m.primary_share[f, g])
        return records * flow.workload.documents_per_event * share * flow.workload.json_bytes

    def _green(self, n: int) -> None:
        if not self.missing():
            self.d.whole(n, "every shard has all its copies (green)", "shards")
        elif math.isinf(self.d.report.stories[n].whole):
            self.d.note(n, f"{len(self.missing())} groups of shards lack a copy (yellow)")

    # ------------------------------------------------------------ relocation

    def move(self, n: int, fault: Fault) -> Process:
        """Shards are relocated, two at a time, under a throttle; each lies on both nodes until its copy is started.

        What a node holds goes where the others are; merges get what disk is left. Source: elasticsearch.md B5.
        """
        self.d.noticed(n)
        flows = self.sim.scenario.flows
        groups = range(self.sim.plane.m.primary_share.shape[1])
        of = [self.wanted(f) * sum(self.group_bytes(f, g) for g in groups) for f in range(len(flows))]
        held = sum(of)
        size = fault.bytes or held / len(self.up)
        for f, mine in enumerate(of):
            self.d.report.copy(f, "elasticsearch moved", size * mine / max(held, 1e-9))
        most = self.d.copying.node_rate()
        rate = min(fault.throttle or most, most)
        seconds = size / rate
        kept = [indices_kept(flow.index.retention, flow.index.rollover) for flow in flows]
        counts = [sum(self._started(f)) * kept[f] for f in range(len(flows))]
        total = sum(counts)  # started: none, while every node is down
        shards = min(total, max(1, math.ceil(size / (held / total) - 1e-9))) if held > 0 and total > 0 else 0
        at_once = min(int(law("search.moves_at_once")), shards)
        twice = at_once * size / max(1, shards)
        self.d.note(
            n, f"{size / 1e9:.3g} GB in {shards} shards move at {rate / 1e6:.3g} MB/s: {seconds / 60:.3g} min; "
            f"{twice / 1e9:.3g} GB lie twice meanwhile"
        )  # fmt: skip
        alive = [node for node, up in enumerate(self.up) if up]
        moves = [(alive[k], alive[(k + 1) % len(alive)], size / len(alive)) for k in range(len(alive))]
        self.d.report.stories[n].expected = self.env.now + seconds
        taken = self.d.copying.begin_copy(n, "moved", moves, seconds, twice)
        for done in range(shards):
            self._on_their_way(n, counts, min(at_once, shards - done))
            yield self.env.timeout(seconds / shards)
        self._on_their_way(n, counts, 0)
        self.d.copying.end_copy(taken)
        self.d.ended(n)
        self.d.whole(n, "the shards are where they should be")

    def _on_their_way(self, n: int, counts: list[int], moving: int) -> None:
        """So many shards relocate now, of the flow with most of them."""
        most = max(range(len(counts)), key=lambda f: counts[f])
        self.relocating[n] = tuple(moving * (f == most) for f in range(len(counts)))
        self.see()
