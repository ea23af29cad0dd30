"""Copying because of faults: what it may take of cards and volumes, what that leaves, and a record of it.

A broker that returns fetches what it missed from the leaders; a reassignment moves partitions; lost copies of shards
are rebuilt, returned ones caught up, shards relocated. All of it crosses the cards of both ends, is read from one
volume and written to another. It gets what the usual traffic leaves of the narrowest of them (Kafka limits it only
where a throttle is set; a data node takes at most 40 MB/s). Meanwhile merges get what is left of a data node's volume,
brokers spend CPU on it (`faults_kafka`), and records wait behind the responses of a full card or volume of a broker.

Left out: a bulk does not wait for a full card of a data node; the CPU of a data node's copying (no published figure).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.faults import law
from models.machines import machine
from simulator.elasticsearch import index_ratio
from simulator.story import Recovery

if TYPE_CHECKING:
    from simulator.faults import Director

LEAST_SHARE = 0.05  # of a card or volume: what copying gets where the usual traffic leaves nothing
LEAST_MERGES = 0.1  # of a volume's merges: what they keep
FULL = 0.95  # of a card or volume: from here on records wait
Transfer = tuple[int, int, float]  # from node, to node, bytes
BACK = 0.5  # on the mean, half of what is ahead has gone


class Copying:
    """What copies take of brokers' and data nodes' cards and volumes."""

    def __init__(self, director: Director) -> None:
        self.d, self.sim = director, director.sim
        self.usual_merges = self.sim.plane.m.merge_rate.copy()
        self.merge_caps: dict[int, float] = {}  # by fault: what credits leave of each volume
        self.volume_taken = np.zeros(self.sim.scenario.elasticsearch.data_nodes)

    # ------------------------------------------------------------ capacities

    def card(self, sites: Sequence[int]) -> float:
        """The narrowest card of some hosts [bytes/s]."""
        return min(self.sim.built.placement.sites[s].network_bytes_per_second for s in sites)

    def volume(self, tier: str) -> float:
        """What one node's volume sustains [bytes/s]: its own throughput, and the machine's to EBS."""
        cluster = getattr(self.sim.scenario, tier)
        most = cluster.volume.throughput
        return float(most if cluster.hosts else min(most, machine(cluster.machine).ebs_baseline_bytes_per_second))

    # ------------------------------------------------------------ usual traffic

    def of_brokers(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bytes a second into and out of each broker's card and onto its volume now. Source: kafka.md A5."""
        topics = self.d.topics
        count = len(topics.up)
        into, out, written = np.zeros(count), np.zeros(count), np.zeros(count)
        for f, flow in enumerate(self.sim.scenario.flows):
            rate = self.sim.rate_at(f, self.sim.env.now) * self.sim.built.fronts[f].wire_bytes
            readers = 1 + flow.topic.consumer_groups
            for p, on in enumerate(topics.homes[f]):
                lead, mine = topics.leader[f][p], rate * float(self.sim.queries[f].shares[p])
                if lead is None:
                    continue
                followers = [b for b in on if b != lead and topics.up[b]]
                out[lead] += mine * (readers + len(followers))
                for b in (lead, *followers):
                    into[b] += mine
                    written[b] += mine
        return into, out, written

    def of_nodes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Bytes a second into and out of each data node's card and onto its volume now, merges apart.

        A primary takes in documents and sends them to its copies; each copy writes translog and segment.
        Source: elasticsearch.md A6, B1.
        """
        m, c = self.sim.plane.m, self.sim.coefficients
        count = len(self.usual_merges)
        into, out, written = np.zeros(count), np.zeros(count), np.zeros(count)
        for f, flow in enumerate(self.sim.scenario.flows):
            if flow.query.sink.kind == "noop":
                continue
            raw = self.sim.rate_at(f, self.sim.env.now) * flow.workload.documents_per_event * flow.workload.json_bytes
            for g, share in enumerate(m.primary_share[f]):
                first, copies = int(m.primary_node[f, g]), m.replica_share[f, g]
                into[first] += raw * share
                out[first] += raw * share * float(copies.sum())
                into += raw * share * copies
                written[first] += raw * share * (1 + index_ratio(flow, c))
                written += raw * share * copies * (1 + index_ratio(flow, c))
        return into, out, written

    # ------------------------------------------------------------ brokers

    def broker_rate(self, sources: list[int], targets: list[int], cold: float, throttle: float | None) -> float:
        """Bytes a second that brokers can copy from some to others [bytes/s].

        `cold` is the share that lies behind the sources' page cache and is read from their volumes. Without a throttle
        it is what the usual traffic leaves; a throttle holds for each broker.
        """
        into, out, written = self.of_brokers()
        place = self.sim.built.placement
        card, disk = self.card(place.brokers), self.volume("kafka")

        def left(most: float, used: float) -> float:
            return max(LEAST_SHARE * most, most - used)

        takes = sum(min(left(card, into[b]), left(disk, written[b])) for b in targets)
        gives = sum(
            min(left(card, out[b]), left(disk, written[b]) / cold if cold > 0 else np.inf) for b in sources
        )  # fmt: skip
        most = min(takes, gives)
        return float(most if throttle is None else min(most, throttle * min(len(sources), len(targets))))

    def copy_of_brokers(
        self, n: int, what: str, sources: list[int], targets: list[int], size: float, rate: float, cold: float
    ) -> float:
        """Keep a record of a copy between brokers; how long records wait behind its responses [s].

        A full card or volume serves one response of a follower's fetch before a record's own, half of it on the mean.
        """
        into, out, written = self.of_brokers()
        place, count = self.sim.built.placement, len(into)
        more_in, more_out, more_disk = np.zeros(count), np.zeros(count), np.zeros(count)
        more_in[targets] += rate / len(targets)
        more_disk[targets] += rate / len(targets)
        more_out[sources] += rate / len(sources)
        more_disk[sources] += cold * rate / len(sources)
        card, disk = self.card(place.brokers), self.volume("kafka")
        used = (np.maximum(into + more_in, out + more_out) / card, (written + more_disk) / disk)
        seen = sorted({*sources, *targets})
        self._record(
            n, "kafka", what, size, rate, [place.sites[place.brokers[b]].name for b in seen],
            [u[seen] for u in used], [(np.maximum(into, out) / card)[seen], (written / disk)[seen]],
        )  # fmt: skip
        waits = [
            BACK * law("kafka.fetch_response") / most
            for share, most in zip(used, (card, disk), strict=True)
            if share.max() >= FULL
        ]
        return max(waits, default=0.0)

    # ------------------------------------------------------------ data nodes

    def node_rate(self) -> float:
        """Bytes a second that a data node may recover [bytes/s]: the setting, or what its volume and card have left.

        Each node both gives and takes, and a volume counts reading and writing together. Merges give way to it.
        Source: elasticsearch.md A13.
        """
        into, out, written = self.of_nodes()
        card, disk = self.card(self.sim.built.placement.nodes), self.volume("elasticsearch")
        free = min(card - float(np.maximum(into, out).max()), (disk - float(written.max())) / 2)
        return min(law("search.recovery_rate"), max(LEAST_SHARE * min(card, disk), free))

    def begin_copy(
        self, n: int, what: str, moves: Sequence[Transfer], seconds: float, twice: float = 0.0
    ) -> np.ndarray:
        """Data nodes begin to copy; what it takes of each volume, for `end_copy` [bytes/s]."""
        count = len(self.usual_merges)
        sent, got = np.zeros(count), np.zeros(count)
        for source, target, size in moves:
            sent[source] += size
            got[target] += size
        size = float(got.sum())
        if size <= 0 or seconds <= 0:
            return np.zeros(count)
        into, out, written = self.of_nodes()
        place = self.sim.built.placement
        card, disk = self.card(place.nodes), self.volume("elasticsearch")
        taken = (sent + got) / seconds
        seen = [int(d) for d in np.flatnonzero(taken)]
        used = (np.maximum(into + got / seconds, out + sent / seconds) / card, (written + taken) / disk)
        self._record(
            n, "elasticsearch", what, size, size / seconds, [place.sites[place.nodes[d]].name for d in seen],
            [u[seen] for u in used], [(np.maximum(into, out) / card)[seen], (written / disk)[seen]], twice,
        )  # fmt: skip
        self._take(taken)
        return taken

    def end_copy(self, taken: np.ndarray) -> None:
        self._take(-taken)

    def _take(self, rates: np.ndarray) -> None:
        self.volume_taken = np.maximum(0.0, self.volume_taken + rates)
        self.set_merges()

    def cap_merges(self, n: int, most: float | None) -> None:
        """Credits of a volume are gone, or (None) back."""
        if most is None:
            self.merge_caps.pop(n, None)
        else:
            self.merge_caps[n] = most
        self.set_merges()

    def set_merges(self) -> None:
        """Merges get what copying and credits leave of each volume."""
        most = np.minimum(self.usual_merges, min(self.merge_caps.values(), default=np.inf))
        self.sim.plane.m.merge_rate[:] = np.maximum(LEAST_MERGES * most, most - self.volume_taken)

    # ------------------------------------------------------------ the record

    def _record(
        self, n: int, system: str, what: str, size: float, rate: float, hosts: list[str],
        used: list[np.ndarray], before: list[np.ndarray], twice: float = 0.0,
    ) -> None:  # fmt: skip
        now = self.sim.env.now
        names = tuple(dict.fromkeys(hosts))
        shares = []
        for k, row in enumerate((*used, *before)):  # cards are the host's, volumes each process's own
            of = [[float(x) for x, host in zip(row, hosts, strict=True) if host == name] for name in names]
            shares.append(tuple(sum(x) if k % 2 == 0 else max(x) for x in of))
        until = now + size / rate if rate > 0 else now
        self.d.report.recoveries.append(Recovery(n, system, what, now, until, size, rate, names, *shares, twice))
