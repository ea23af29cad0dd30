"""Topics while brokers fail: who leads, who is in sync, what is readable, what producers could not keep.

In the fluid front a partition is a curve of creation times read with a delay. A fault *closes* a partition
(nothing more is committed) and may leave it *leaderless* (it cannot be read, nor its offsets listed) until
detection, election or the broker's return. What producers hold meanwhile is flushed at once when it opens;
what outlasts their delivery timeout or does not fit into their buffers is lost, and taken out of the curve.

Left out: the flush takes no time; a producer that blocks on one partition blocks on all of them in reality.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import simpy

from models.faults import Fault, law
from models.kafka import leaders_of
from simulator.story import PartitionStates

if TYPE_CHECKING:
    from simulator.faults import Director

Process = Generator[Any, Any, None]
Place = tuple[int, int]  # flow, partition of it


class Topics:
    """The partitions of all flows, their brokers and their curves."""

    def __init__(self, director: Director) -> None:
        self.d, self.sim, self.env = director, director.sim, director.env
        kafka = self.sim.scenario.kafka
        self.homes = [
            leaders_of(flow.topic.partitions, flow.topic.copies, kafka.brokers) for flow in self.sim.scenario.flows
        ]
        self.insync = [[set(on) for on in flow] for flow in self.homes]
        self.leader: list[list[int | None]] = [[on[0] for on in flow] for flow in self.homes]
        self.holds = [0] * kafka.brokers  # faults that keep a broker down
        self.closed: dict[Place, tuple[float, float]] = {}  # since when, and what was readable then
        self.stuck = [0.0] * len(self.homes)  # share of a flow's records that goes to closed partitions, at its most
        self.waiting: list[tuple[int, simpy.Event]] = []
        self.out_since: dict[tuple[int, int, int], float] = {}  # when a copy left the in-sync set
        self.behind_readers: set[int] = set()  # flows whose log was cut below what was read of it

    @property
    def up(self) -> list[bool]:
        return [held == 0 for held in self.holds]

    def places(self) -> list[Place]:
        return [(f, p) for f, flow in enumerate(self.homes) for p in range(len(flow))]

    def see(self) -> None:
        """Keep the state of each flow's copies, if it has changed."""
        for f, flow in enumerate(self.homes):
            in_sync = sum(self.up[b] for on in self.insync[f] for b in on)
            led = [sum(lead == b for lead in self.leader[f]) for b in range(len(self.up))]
            shut = sum(flow_of == f for flow_of, _ in self.closed)
            self.d.report.see_partitions(
                PartitionStates(self.env.now, f, in_sync, sum(len(on) for on in flow) - in_sync, shut,
                                self.leader[f].count(None), tuple(led))
            )  # fmt: skip

    def serving(self) -> list[list[list[int]]] | None:
        """Each partition's brokers that work for it, leader first; None while nothing is out of order."""
        if all(self.up) and all(lead == on[0] for f, flow in enumerate(self.homes)
                                for lead, on in zip(self.leader[f], flow, strict=True)):  # fmt: skip
            return None
        out = []
        for f, flow in enumerate(self.homes):
            mine = []
            for p, on in enumerate(flow):
                lead = self.leader[f][p]
                mine.append([] if lead is None else [lead, *(b for b in on if b != lead and self.up[b])])
            out.append(mine)
        return out

    # ------------------------------------------------------------ what queries see

    def readable(self, f: int, ready: np.ndarray) -> np.ndarray:
        """What a consumer may read, closed partitions no further than when they closed."""
        for (flow, p), (_, most) in self.closed.items():
            if flow == f:
                ready[p] = min(ready[p], most)
        return ready

    def leaderless(self, f: int) -> bool:
        return None in self.leader[f]

    def led(self, f: int) -> simpy.Event:
        """An event for the moment in which every partition of a flow has a leader."""
        event = self.env.event()
        self.waiting.append((f, event))
        return event

    def _wake(self) -> None:
        for f, event in list(self.waiting):
            if not self.leaderless(f):
                self.waiting.remove((f, event))
                event.succeed()

    # ------------------------------------------------------------ opening and closing

    def close(self, f: int, p: int) -> None:
        if (f, p) not in self.closed:
            ready = self.sim.plane.committed(f, self.env.now)
            self.closed[f, p] = (self.env.now, float(ready[p]))
            shares = self.sim.queries[f].shares
            self.stuck[f] = max(self.stuck[f], sum(float(shares[q]) for flow, q in self.closed if flow == f))

    def open_if_possible(self, f: int, p: int, unsent: bool = False) -> None:
        """A partition with a leader and enough copies in sync takes records again; producers flush what they kept."""
        topic = self.sim.scenario.flows[f].topic
        least = topic.min_insync if topic.producer.acks == "all" else 1
        up = {b for b in self.insync[f][p] if self.up[b]}
        if (f, p) not in self.closed or self.leader[f][p] is None or len(up) < least or up != self.insync[f][p]:
            return
        since, _ = self.closed.pop((f, p))
        self._lose_what_producers_could_not_keep(f, p, since, unsent)
        if not any(flow == f for flow, _ in self.closed):
            self.stuck[f] = 0.0

    def _lose_what_producers_could_not_keep(self, f: int, p: int, since: float, unsent: bool) -> None:
        producer, front = self.sim.scenario.flows[f].topic.producer, self.sim.built.fronts[f]
        held = self.sim.rate_at(f, since) * self.stuck[f] * front.wire_bytes
        room = producer.count * producer.buffer_memory / held if held > 0 else math.inf
        keep = min(law("kafka.delivery_timeout"), room)
        if unsent:  # acks=0: nobody waits for an answer, what was sent to a dead leader is gone
            keep = 0.0
        why = (
            "sent to a dead leader without acks" if unsent
            else "producers gave up after delivery.timeout" if keep >= law("kafka.delivery_timeout")
            else "producers' buffers were full"
        )  # fmt: skip
        self.d.lose(f, self._cut_out(f, p, since, self.env.now - keep), why)

    def _cut_out(self, f: int, p: int, since: float, until: float) -> float:
        """Take the records created between two times out of a partition's curve [records]."""
        m, row = self.sim.plane.m, self.sim.partition_base[f] + p
        n = int(m.curve_length[row])
        times, counts = m.curve_time[row, :n], m.curve_count[row, :n]
        first, last = np.searchsorted(times, since, side="right"), np.searchsorted(times, until, side="right") - 1
        if last < first or first == 0:
            return 0.0
        lost = float(counts[last] - counts[first - 1])
        counts[first : last + 1] = counts[first - 1]
        counts[last + 1 :] -= lost
        return lost

    def _cut_next(self, f: int, p: int, since: float, records: float) -> float:
        """Take so many records out of a partition's curve, the first after a time [records]."""
        m, row = self.sim.plane.m, self.sim.partition_base[f] + p
        n = int(m.curve_length[row])
        counts = m.curve_count[row, :n]
        first = max(1, int(np.searchsorted(m.curve_time[row, :n], since, side="right")))
        before = float(counts[-1])
        counts[first:] = np.maximum(counts[first - 1], counts[first:] - records)
        return before - float(counts[-1])

    # ------------------------------------------------------------ brokers die and come back

    def broker_gone(self, n: int, brokers: list[int], fault: Fault, clean: bool = False) -> Process:
        """Brokers stop (`clean`: after handing their leaderships over), are fenced, come back and catch up."""
        stopped, places = self.env.now, self.places()
        self.d.hurt(n, "topics")
        if clean:
            yield from self._hand_over(brokers)
        for b in brokers:
            self.holds[b] += 1
        for f, p in places:
            if self.insync[f][p] & set(brokers):
                self.close(f, p)
            if self.leader[f][p] in brokers:
                self.leader[f][p] = None
        self.sim.set_front(self.env.now)
        self.see()
        fenced = law("kafka.session") + self.election() - law("kafka.leader_move")
        if not clean:
            yield self.env.timeout(min(fenced, fault.end - self.env.now))
        if clean or fault.end - stopped > fenced:
            self.d.noticed(n)
            self._fence(brokers, stopped, clean)
            self._tell(n, brokers)
        yield from self.d._for(n, fault)
        yield from self._return(n, brokers, stopped)

    def _hand_over(self, brokers: list[int]) -> Process:
        moved = [place for place in self.places() if self.leader[place[0]][place[1]] in brokers]
        for f, p in moved:
            self.close(f, p)
            self.leader[f][p] = None
        self.see()
        yield self.env.timeout(self.election())
        for f, p in moved:
            self._elect(f, p, without=brokers)

    def election(self) -> float:
        """How long a controller takes to move the leaderships of one broker [s]."""
        return law("kafka.leader_move") / self.d.controller_share

    def _fence(self, brokers: list[int], stopped: float, clean: bool) -> None:
        """The controller takes dead brokers out of the in-sync sets and elects leaders from those left."""
        for f, p in self.places():
            gone = self.insync[f][p] & set(brokers)
            left = {b for b in self.insync[f][p] - gone if self.up[b]}
            if not gone:
                continue
            if left:  # the last in sync stays so: nobody else has its records
                self.insync[f][p] = left
                self.out_since |= {(f, p, b): stopped for b in gone}
            if self.leader[f][p] is None and left:
                self._elect(f, p, without=brokers)
                if not clean:
                    self._lose_unreplicated(f, p, stopped)
            acks = self.sim.scenario.flows[f].topic.producer.acks
            self.open_if_possible(f, p, unsent=acks == "0" and not clean)
        self.sim.set_front(self.env.now)
        self._wake()
        self.see()

    def _elect(self, f: int, p: int, without: list[int]) -> None:
        able = [b for b in self.homes[f][p] if b in self.insync[f][p] and self.up[b] and b not in without]
        if able:
            self.leader[f][p] = able[0]
        else:
            self._elect_unclean(f, p, without)
        self._wake()

    def _elect_unclean(self, f: int, p: int, without: list[int]) -> None:
        """Where it is allowed, a copy that was left behind leads: what it lacks is lost, and readers of it are ahead.

        Source: kafka.md B2: unclean.leader.election.enable is true on MSK, false elsewhere.
        """
        if self.sim.scenario.kafka.kind != "msk-standard":
            return
        able = [b for b in self.homes[f][p] if self.up[b] and b not in without and (f, p, b) in self.out_since]
        if not able:
            return
        since = max(self.out_since[f, p, b] for b in able)
        newest = next(b for b in able if self.out_since[f, p, b] == since)
        self.leader[f][p], self.insync[f][p] = newest, {newest}
        query = self.sim.queries[f]
        _, committed = self.closed.get((f, p), (0.0, float(self.sim.plane.committed(f, self.env.now)[p])))
        log_end = float(self.sim.created_between(f, 0.0, since)[p])
        unread = max(0.0, committed - max(float(query.offsets[p]), log_end))
        if query.offsets[p] > log_end + 1.0:
            self.behind_readers.add(f)
        if unread > 0:
            read_until = max(since, self.sim.plane.created_span(f, *self._one(f, p, committed - unread, committed))[0])
            self.d.lose(
                f, self._cut_next(f, p, read_until - 1e-9, unread), "committed, and cut off by an unclean election"
            )

    def _one(self, f: int, p: int, start: float, end: float) -> tuple[np.ndarray, np.ndarray]:
        """Offsets that differ in one partition only."""
        a = np.zeros(len(self.homes[f]))
        b = a.copy()
        a[p], b[p] = start, end
        return a, b

    def _lose_unreplicated(self, f: int, p: int, stopped: float) -> None:
        """What a dead leader had acknowledged and no follower had: with acks=1 or 0 nobody sends it again."""
        flow, front = self.sim.scenario.flows[f], self.sim.built.fronts[f]
        if flow.topic.producer.acks == "all" or flow.topic.copies == 1:
            return
        size, speed = front.batch_records * front.wire_bytes, self._speed_of(self.homes[f][p][0])
        behind = (front.serve_cpu + front.follow_cpu + size * (front.serve_byte_cpu + front.follow_byte_cpu)) / speed
        records = self.sim.rate_at(f, stopped) * self.sim.queries[f].shares[p] * (behind + 2 * front.trip)
        self.d.lose(
            f, self._cut_next(f, p, stopped, records), "acknowledged by a leader that died before a follower had it"
        )

    def _speed_of(self, broker: int) -> float:
        place = self.sim.built.placement
        return place.sites[place.brokers[broker]].speed

    def _tell(self, n: int, brokers: list[int]) -> None:
        names = ", ".join(str(b) for b in brokers)
        shut = len(self.closed)
        offline = sum(lead is None for flow in self.leader for lead in flow)
        what = f"broker {names} is out of the in-sync sets"
        if shut:
            what += f"; {shut} partitions take no records, {offline} of them have no leader"
        self.d.note(n, what)

    def _return(self, n: int, brokers: list[int], stopped: float) -> Process:
        for b in brokers:
            self.holds[b] -= 1
        for f, p in self.places():
            if self.leader[f][p] is None:
                self._elect(f, p, without=[])
            self.open_if_possible(f, p)
        self.sim.set_front(self.env.now)
        self._wake()
        self.see()
        behind = [
            (f, p, b)
            for f, p in self.places()
            for b in self.homes[f][p]
            if b in brokers and self.up[b] and b not in self.insync[f][p]
        ]
        if behind:
            yield from self._catch_up(n, behind, stopped)
        for f, p, b in behind:
            if self.up[b]:
                self.insync[f][p].add(b)
            self.open_if_possible(f, p)
        self.see()
        self.d.whole(n, f"broker {', '.join(str(b) for b in brokers)} is in sync again", "topics")
        self.env.process(self._rebalance_leaders(n))

    def _catch_up(self, n: int, behind: list[tuple[int, int, int]], stopped: float) -> Process:
        """Followers fetch what they missed, as fast as the usual traffic leaves cards and volumes of both ends."""
        missed = 0.0
        for f, p, _ in behind:
            size = float(self.sim.created_between(f, stopped, self.env.now)[p]) * self.sim.built.fronts[f].wire_bytes
            self.d.report.copy(f, "kafka refetched", size)
            missed += size
        brokers = sorted({b for _, _, b in behind})
        leaders = sorted({lead for f, p, _ in behind if (lead := self.leader[f][p]) is not None} - set(brokers))
        sources = leaders or brokers
        cold = self._cold(stopped)
        rate = self.d.copying.broker_rate(sources, brokers, cold, None)
        told = f"; {cold:.0%} of it from the leaders' volumes" if cold > 0 else ""
        self.d.note(n, f"{missed / 1e6:.0f} MB to fetch again at {rate / 1e6:.0f} MB/s{told}")
        self.d.report.stories[n].expected = self.env.now + missed / rate
        yield from self._copied(n, "refetched", sources, brokers, missed, rate, cold)

    def _cold(self, since: float) -> float:
        """Share of what came in since a time that has left the leaders' page cache [1]. Source: kafka.md A7."""
        lasted = self.env.now - since
        return max(0.0, 1.0 - self.sim._cache_seconds / lasted) if lasted > 0 else 0.0

    def _copied(
        self, n: int, what: str, sources: list[int], targets: list[int], size: float, rate: float, cold: float
    ) -> Process:  # fmt: skip
        """Copying at a rate takes cards and volumes, and costs followers and leaders CPU, for so long."""
        if size <= 0 or rate <= 0:
            return
        waits = self.d.copying.copy_of_brokers(n, what, sources, targets, size, rate, cold)
        place, front = self.sim.built.placement, self.sim.built.fronts[0]
        added: dict[int, float] = {}
        for group, cpu in ((targets, front.follow_byte_cpu), (sources, front.serve_byte_cpu)):
            for b in group:
                site = place.brokers[b]
                added[site] = added.get(site, 0.0) + rate / len(group) * cpu / place.sites[site].speed
        self._charge(added, 1.0)
        self._hold_up(waits)
        yield self.env.timeout(size / rate)
        self._hold_up(-waits)
        self._charge(added, -1.0)

    def _hold_up(self, seconds: float) -> None:
        """Records wait longer for their copies, behind what else a full card or volume serves."""
        fronts = self.sim.built.fronts
        for f, flow in enumerate(self.sim.scenario.flows):
            if seconds and flow.topic.copies > 1:
                fronts[f] = replace(fronts[f], delay=max(0.0, fronts[f].delay + seconds))

    def _charge(self, cores: dict[int, float], sign: float) -> None:
        for site, more in cores.items():
            self.d.extra_cores[site] = self.d.extra_cores.get(site, 0.0) + sign * more
        self.sim.set_front(self.env.now)

    def _rebalance_leaders(self, n: int) -> Process:
        """At the next check the preferred leaders lead again."""
        step = law("kafka.leader_rebalance")
        yield self.env.timeout(step - self.env.now % step)
        for f, p in self.places():
            first = self.homes[f][p][0]
            if first in self.insync[f][p] and self.up[first] and self.leader[f][p] is not None:
                self.leader[f][p] = first
        self.sim.set_front(self.env.now)
        self.see()

    # ------------------------------------------------------------ slowness, moves, trips

    def broker_slow(self, n: int, fault: Fault) -> Process:
        """A broker whose cores no longer suffice falls out of the in-sync sets, after replica.lag.time.max.ms."""
        b = fault.number
        site = self.sim.built.placement.brokers[b]
        self.d._speed([site], fault.strength)
        busy = self.sim.front_cores_of(site) / self.sim.built.placement.sites[site].cores
        if busy >= 1:
            mine = [(f, p) for f, p in self.places() if b in self.insync[f][p] and self.leader[f][p] != b]
            for f, p in mine:
                self.close(f, p)
            self.d.note(n, f"broker {b} needs {busy:.0%} of its cores: its followers fall behind")
            yield self.env.timeout(min(law("kafka.lag_time_max"), fault.end - self.env.now))
            for f, p in mine:
                if len(self.insync[f][p]) > 1:
                    self.insync[f][p].discard(b)
                self.open_if_possible(f, p)
            self.see()
        self.d.noticed(n)
        yield from self.d._for(n, fault)
        self.d._speed([site], 1 / fault.strength)
        for f, p in self.places():
            if b in self.homes[f][p] and self.up[b]:
                self.insync[f][p].add(b)
                self.open_if_possible(f, p)
        self.see()
        self.d.whole(n, f"broker {b} has its speed back")

    def move(self, n: int, fault: Fault) -> Process:
        """A reassignment copies partitions under a throttle; leaders and new followers pay for it.

        What is moved lies twice until its copy is in sync, as it is moved in one go (no batches of partitions).
        """
        self.d.noticed(n)
        stored = fault.bytes or self.stored_bytes() / len(self.up)
        for f, held in enumerate(self.stored_by_flow()):
            self.d.report.copy(f, "kafka moved", stored * held / max(self.stored_bytes(), 1e-9))
        alive = [b for b, up in enumerate(self.up) if up]
        cold = self._cold(self.env.now - max(flow.topic.retention for flow in self.sim.scenario.flows))
        rate = self.d.copying.broker_rate(alive, alive, cold, fault.throttle)
        self.d.note(
            n, f"{stored / 1e9:.3g} GB move at {rate / 1e6:.3g} MB/s: {stored / rate / 60:.3g} min; "
            f"until then {stored / 1e9:.3g} GB lie twice"
        )  # fmt: skip
        self.d.report.stories[n].expected = self.env.now + stored / rate
        yield from self._copied(n, "moved", alive, alive, stored, rate, cold)
        self.d.ended(n)
        self.d.whole(n, "the partitions are where they should be")

    def stored_bytes(self) -> float:
        """All copies of all topics once retention is full [bytes]."""
        return sum(self.stored_by_flow())

    def stored_by_flow(self) -> list[float]:
        """All copies of each flow's topic once retention is full [bytes]."""
        flows = zip(self.sim.scenario.flows, self.sim.built.fronts, strict=True)
        return [f.workload.events_per_second * x.wire_bytes * f.topic.retention * f.topic.copies for f, x in flows]

    def stretch(self, trip: float) -> None:
        """A trip between brokers takes longer, and so does a record's way to the high watermark."""
        fronts = self.sim.built.fronts
        for f, flow in enumerate(self.sim.scenario.flows):
            more = trip * (1 + 2 * (flow.topic.copies > 1))
            fronts[f] = replace(fronts[f], trip=fronts[f].trip + trip, delay=max(0.0, fronts[f].delay + more))
