"""The front in plain SimPy: producer batches, leaders' logs, followers' fetch loops, the high watermark."""

from __future__ import annotations

import bisect
import math
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import simpy

from simulator import kernels as k

if TYPE_CHECKING:
    from simulator.reference import Process, ReferencePlane


@dataclass
class Batch:
    """A producer batch: records, when its first was created, when it closed."""

    records: float
    first: float
    close: float
    blocked: float = 0.0


class Partition:
    """A leader's log: batches wait for it one after another, and are committed when all followers have them."""

    def __init__(self, front: ReferenceFront, number: int) -> None:
        m = front.plane.m
        self.number, self.flow, self.leader = number, int(m.partition_flow[number]), int(m.partition_leader[number])
        self.waiting: deque[Batch] = deque()
        self.busy = False
        self.log: list[Batch] = []
        self.total: list[float] = []  # records up to and with each batch
        self.commit_times: list[float] = []
        copies = int(m.leader_start[number + 1] - m.leader_start[number])
        self.links = [int(m.leader_link[j]) for j in range(m.leader_start[number], m.leader_start[number + 1])]
        self.fetched, self.acked = [0] * copies, [0] * copies


class ReferenceFront:
    """All producers, brokers and followers of a run."""

    def __init__(self, plane: ReferencePlane) -> None:
        m = plane.m
        self.plane, self.env = plane, plane.env
        self.partitions = [Partition(self, p) for p in range(len(m.partition_flow))]
        self.free = [int(n) for n in m.broker_threads]  # request handlers of each broker
        self.lines: list[deque[Partition]] = [deque() for _ in self.free]  # partitions that wait for one
        self.unsent = [0.0] * len(m.document_cpu)
        self.flying = [0] * len(self.unsent)  # batches handed over and not yet committed
        self.blocked: list[deque[tuple[Batch, Partition, simpy.Event]]] = [deque() for _ in self.unsent]
        self.links = [self._link_partitions(j) for j in range(len(m.link_from))]
        self.busy = [False] * len(self.links)
        for stream in range(len(m.stream_flow)):
            self.env.process(self._produce(stream))

    def _link_partitions(self, link: int) -> list[tuple[Partition, int]]:
        m = self.plane.m
        rows = range(m.link_start[link], m.link_start[link + 1])
        return [(self.partitions[int(m.link_partition[j])], int(m.link_copy[j])) for j in rows]

    # ------------------------------------------------------------ producers

    def _produce(self, stream: int) -> Process:
        """One stream of batches: each closes by size or linger, waits while buffers are full, and is handed over."""
        m, clock, number = self.plane.m, 0.0, 0
        batch: Batch | None = None
        f = int(m.stream_flow[stream])
        while True:
            drawn = self._draw(stream, f, number, clock, batch)
            if drawn is None:
                return
            batch, partition = drawn
            clock, number = batch.close, number + 1
            yield self.env.timeout(max(0.0, clock - self.env.now))
            if self.blocked[f] or not self._has_room(f, batch):
                handed_over = self.env.event()
                self.blocked[f].append((batch, partition, handed_over))
                yield handed_over
            else:
                self._hand_over(batch, partition)

    def _has_room(self, f: int, batch: Batch) -> bool:
        """Whether a closed batch fits into its producers' buffers; an empty buffer takes any."""
        m = self.plane.m
        return self.flying[f] == 0 or self.unsent[f] + batch.records * float(m.wire_bytes[f]) <= m.buffer_bytes[f]

    def _hand_over(self, batch: Batch, partition: Partition) -> None:
        f = partition.flow
        batch.blocked = self.env.now - batch.close
        self.unsent[f] += batch.records * float(self.plane.m.wire_bytes[f])
        self.flying[f] += 1
        self.plane.counts[f, k.PRODUCED] += batch.records
        partition.waiting.append(batch)
        if not partition.busy:
            partition.busy = True
            self._ask_handler(partition)

    def _draw(
        self, stream: int, f: int, number: int, clock: float, before: Batch | None
    ) -> tuple[Batch, Partition] | None:
        """The next batch after `clock`, by Poisson arrivals or by even ones (see kernels.open_batch)."""
        m, seed, share = self.plane.m, self.plane.seed, float(self.plane.m.stream_share[stream])
        rate, edge = self._rate(f, clock) * share, self._edge(f, clock)
        even, owed = self._even(f, stream, number), 1.0
        if before is not None and self._even(f, stream, number - 1):
            owed = max(0.0, before.records - rate * (clock - before.first))
        elif before is None and even:
            owed = k.uniform(seed, k.DICE_GAP + 100 * f, stream, number, 0)
        need = owed if even else owed * k.exponential(seed, k.DICE_GAP + 100 * f, stream, number, 0)
        while rate <= 0 or need > rate * (edge - clock):
            if edge == math.inf:
                return None
            need -= rate * (edge - clock) if rate > 0 else 0.0
            clock = edge
            rate, edge = self._rate(f, clock) * share, self._edge(f, clock)
        first, linger, most = clock + need / rate, float(m.linger[f]), float(m.most_records[f])
        close = first + linger
        if even:
            more = math.floor(rate * linger + 1e-9)
            if more >= most - 1:
                close, more = first + (most - 1) / rate, most - 1
        else:
            more = k.poisson(rate * linger, seed, k.DICE_COUNT + 100 * f, stream, number, 0)
            if more >= most - 1:
                close, more = first + linger * (most - 1) / (more + 1), most - 1
        return Batch(1 + more, first, close), self._choose(stream, f, number)

    def _even(self, f: int, stream: int, number: int) -> bool:
        random = float(self.plane.m.poisson_share[f])
        return random < 1 and k.uniform(self.plane.seed, k.DICE_GAP + 100 * f, stream, number, 1) >= random

    def _rate(self, f: int, time: float) -> float:
        at = self.plane.m.rate_at[f]
        return float(self.plane.m.rate[f, max(0, bisect.bisect_right(at.tolist(), time) - 1)])

    def _edge(self, f: int, time: float) -> float:
        at = self.plane.m.rate_at[f].tolist()
        later = bisect.bisect_right(at, time)
        return at[later] if later < len(at) else math.inf

    def _choose(self, stream: int, f: int, number: int) -> Partition:
        m, fixed = self.plane.m, int(self.plane.m.stream_partition[stream])
        if fixed >= 0:
            return self.partitions[fixed]
        u = k.uniform(self.plane.seed, k.DICE_STICKY + 100 * f, stream, number, 0)
        p, last = int(m.partition_base[f]), int(m.partition_base[f + 1]) - 1
        while p < last and m.partition_shares[p] < u:
            p += 1
        return self.partitions[p]

    # ------------------------------------------------------------ leaders

    def _ask_handler(self, partition: Partition) -> None:
        """The partition's next batch asks its leader for a request handler, or waits in line for one."""
        if self.free[partition.leader] > 0:
            self.free[partition.leader] -= 1
            self._append(partition)
        else:
            self.lines[partition.leader].append(partition)

    def _append(self, partition: Partition) -> None:
        m, f = self.plane.m, partition.flow
        size = partition.waiting[0].records * float(m.wire_bytes[f])
        host = self.plane.hosts[int(m.broker_host[partition.leader])]
        done = host.work(float(m.request_cpu[f]) + size * float(m.append_byte_cpu[f]))
        done.callbacks.append(lambda _: self._appended(partition))

    def _appended(self, partition: Partition) -> None:
        """A batch is in the leader's log: followers may have it, the partition's next batch may follow."""
        batch = partition.waiting.popleft()
        partition.log.append(batch)
        partition.total.append((partition.total[-1] if partition.total else 0.0) + batch.records)
        if self.plane.m.acks[partition.flow] != k.ACKS_ALL:
            self._acknowledge(partition.flow, batch, self.env.now + float(self.plane.m.append_wait[partition.flow]))
        self._draw_creation_curve(partition, batch)
        self._handler_is_free(partition.leader)
        if partition.waiting:
            self._ask_handler(partition)
        else:
            partition.busy = False
        if not partition.links:
            self._commit(partition, len(partition.log))
        for link in partition.links:
            if not self.busy[link]:
                self.busy[link] = True
                self.env.process(self._follow(link))
        self._unblock(partition.flow)

    def _handler_is_free(self, broker: int) -> None:
        self.free[broker] += 1
        if self.lines[broker]:
            self.free[broker] -= 1
            self._append(self.lines[broker].popleft())

    def _draw_creation_curve(self, partition: Partition, batch: Batch) -> None:
        """Note in the run's memory when the records of this batch were created, for latencies to be read from."""
        m, p = self.plane.m, partition.number
        g = int(m.curve_length[p])
        if g + 2 > m.curve_time.shape[1]:
            raise MemoryError("the reference keeps its creation curves in tables of fixed size; shorten the run")
        m.curve_time[p, g] = max(m.curve_time[p, g - 1], batch.first)
        m.curve_count[p, g] = m.curve_count[p, g - 1]
        m.curve_time[p, g + 1] = max(m.curve_time[p, g], batch.close)
        m.curve_count[p, g + 1] = partition.total[-1]
        m.curve_length[p] = g + 2

    # ------------------------------------------------------------ followers

    def _follow(self, link: int) -> Process:
        """A follower's fetch loop while there is something to fetch: served, carried over, appended, acknowledged."""
        m, pairs = self.plane.m, self.links[link]
        leader = self.plane.hosts[int(m.broker_host[int(m.link_from[link])])]
        follower = self.plane.hosts[int(m.broker_host[int(m.link_to[link])])]
        while True:
            upto, size, batches, f = self._take(pairs)
            if batches == 0:
                self.busy[link] = False
                return
            trip = float(m.front_trip[f])
            yield leader.work(float(m.serve_cpu[f]) + size * float(m.serve_byte_cpu[f]))
            yield self.env.timeout(trip)
            yield follower.work(batches * float(m.follow_cpu[f]) + size * float(m.follow_byte_cpu[f]))
            yield self.env.timeout(trip)
            for (partition, copy), have in zip(pairs, upto, strict=True):
                if have > partition.acked[copy]:
                    partition.acked[copy] = have
                    if min(partition.acked) > len(partition.commit_times):
                        self._commit(partition, min(partition.acked))
                        self._unblock(partition.flow)

    def _take(self, pairs: list[tuple[Partition, int]]) -> tuple[list[int], float, int, int]:
        upto, size, batches, f = [], 0.0, 0, 0
        for partition, copy in pairs:
            have, before = len(partition.log), partition.fetched[copy]
            if have > before:
                f = partition.flow
                old = partition.total[before - 1] if before else 0.0
                size += (partition.total[have - 1] - old) * float(self.plane.m.wire_bytes[f])
                batches += have - before
                partition.fetched[copy] = have
            upto.append(have)
        return upto, size, batches, f

    def _commit(self, partition: Partition, upto: int) -> None:
        """The high watermark passes batches: consumers may read them."""
        m, f = self.plane.m, partition.flow
        now = self.env.now + float(m.append_wait[f])
        for n in range(len(partition.commit_times), upto):
            partition.commit_times.append(now)
            self.plane.counts[f, k.COMMITTED] += partition.log[n].records
            if m.acks[f] == k.ACKS_ALL:
                self._acknowledge(f, partition.log[n], now)

    def _acknowledge(self, f: int, batch: Batch, time: float) -> None:
        """The producer hears of a batch: its buffer is freed, its publish latency known."""
        m = self.plane.m
        self.flying[f] -= 1
        self.unsent[f] -= batch.records * float(m.wire_bytes[f])
        if self.flying[f] == 0:
            self.unsent[f] = 0.0
        if m.F[k.WINDOW_FROM] <= batch.close < m.F[k.WINDOW_UNTIL]:
            end = time + float(m.front_trip[f]) - batch.blocked if m.acks[f] > 0 else batch.close
            tables = (m.I, m.F, k.PUBLISH_SLOPE, k.PUBLISH_STEP, f)
            k.ramp(*tables, end - batch.close, end - batch.first, batch.records, 1e-4, 0.01)

    def _unblock(self, f: int) -> None:
        """Room was made: producers that wait go on in their order, as many as fit."""
        while self.blocked[f] and self._has_room(f, self.blocked[f][0][0]):
            batch, partition, handed_over = self.blocked[f].popleft()
            self._hand_over(batch, partition)
            handed_over.succeed()

    def committed(self, p: int, time: float) -> float:
        partition = self.partitions[p]
        n = bisect.bisect_right(partition.commit_times, time)
        return partition.total[n - 1] if n else 0.0
