"""The way from today's stack to another: steps with duration, extra nodes, load, rollback, and the doors that shut.

Durations are laws where there is one (bytes to move over the speed of moving them) and figures from memory elsewhere;
each says which. A *one-way door* is a step that cannot be taken back as it was taken. Commitments bought for the
new stack are held to what is sure to run: no more hours of a machine than nine of ten months use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from models.coefficients import CoefficientSet
from models.machines import box_name, machine
from models.stack import Scenario
from models.units import HOUR, MB, MIB, MINUTE, show
from planner.storage import index_storage, topic_storage

RECOVERY_DELAY, RECOVERY_BYTES = 60.0, 40 * MB  # elasticsearch.md A13: 60 s + S / ((N-1) x min(40 MB/s, disk, net))
REBUILD_BYTES = 250 * MIB  # a broker's rebuild (peers.md D4: MSK rebuilds at 250 MiB/s)
BROKER_RESTART = 2 * MINUTE  # peers.md D4: restart p99 of 2 s for up to 2 min, a broker
MSK_BROKER_CHANGE = 15 * MINUTE  # a broker of another type, rolling (remembered)
EMR_START = 10 * MINUTE  # a cluster, until YARN hands out containers (remembered)
VOLUME_HOURS = 6 * HOUR  # EBS lets a volume change again after six hours (remembered)
LEAST_SHARE = 0.10  # quantile of node hours that commitments may reach


@dataclass(frozen=True)
class Move:
    """One step: what, how long [s], how many nodes more while it lasts, what it loads, the way back, and whether it is
    a door that shuts."""

    what: str
    seconds: float
    extra_nodes: int
    load: str
    rollback: str
    one_way: bool
    basis: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def told(self) -> str:
        door = "ONE WAY: " if self.one_way else ""
        extra = f", {self.extra_nodes} nodes more meanwhile" if self.extra_nodes else ""
        return f"{door}{self.what}: {show(self.seconds, 's')}{extra}; {self.load}; back: {self.rollback} [{self.basis}]"


@dataclass(frozen=True)
class Migration:
    """The steps in their order, and the commitments that may go with the new stack."""

    moves: tuple[Move, ...]
    impossible: tuple[str, ...]

    @property
    def unchanged(self) -> bool:
        return not self.moves and not self.impossible

    def as_dict(self) -> dict[str, Any]:
        return {"unchanged": self.unchanged, "steps": [m.as_dict() for m in self.moves],
                "impossible": list(self.impossible)}  # fmt: skip

    def lines(self) -> list[str]:
        if self.unchanged:
            return ["today's stack is the recommended one: nothing changes"]
        told = [f"{n}. {move.told()}" for n, move in enumerate(self.moves, 1)]
        return [*told, *(f"not in place: {reason}" for reason in self.impossible)]


def migration(today: Scenario, then: Scenario, coefficients: CoefficientSet) -> Migration:
    """The way from one stack to another: disks first, then what stands on them, the query last."""
    moves: list[Move] = []
    impossible: list[str] = []
    _kafka(today, then, moves, impossible)
    _search(today, then, coefficients, moves, impossible)
    _spark(today, then, moves)
    order = {"disk": 0, "nodes": 1, "machines": 2}
    return Migration(tuple(sorted(moves, key=lambda m: order.get(m.what.split(" ")[1] if " " in m.what else "", 3))),
                     tuple(impossible))  # fmt: skip


def _kafka(today: Scenario, then: Scenario, moves: list[Move], impossible: list[str]) -> None:
    a, b = today.kafka, then.kafka
    held = topic_storage(today).bytes
    if a.kind != b.kind:
        moves.append(
            Move(
                f"Kafka cluster moved from {a.kind} to {b.kind} by mirroring",
                held / REBUILD_BYTES + HOUR,
                b.brokers,
                "every byte is produced twice while both run",
                "point clients back at the old one while it still mirrors",
                False,
                "bytes held at 250 MiB/s, and an hour to switch (remembered)",
            )
        )
        return
    _volume("Kafka disk", a.volume.size, b.volume.size, a.brokers, moves, impossible)
    if b.brokers > a.brokers:
        share = held * (1 - a.brokers / b.brokers)
        moves.append(
            Move(
                f"Kafka nodes from {a.brokers} to {b.brokers}, partitions reassigned",
                share / REBUILD_BYTES,
                0,
                f"{show(share, 'bytes')} move between brokers; throttle it below what the disks have left",
                "reassign back, then remove brokers",
                False,
                "kafka.md B5: bytes moved at 250 MiB/s",
            )
        )
    elif b.brokers < a.brokers:
        share = held * (a.brokers - b.brokers) / a.brokers
        moves.append(Move(f"Kafka nodes from {a.brokers} to {b.brokers}: empty brokers first, then remove them",
                          share / REBUILD_BYTES, 0, f"{show(share, 'bytes')} move to the brokers that stay",
                          "add brokers and reassign", False, "bytes moved at 250 MiB/s"))  # fmt: skip
    if a.machine != b.machine:
        moves.append(Move(f"Kafka machines from {a.machine} to {b.machine}, a broker at a time",
                          MSK_BROKER_CHANGE * b.brokers, 0, "one broker less at any time: the rest carry its load",
                          "the same way back", False, "15 min a broker (remembered)"))  # fmt: skip
    for old, new in _pairs(today, then):
        p, q = old.topic, new.topic
        if q.partitions > p.partitions:
            moves.append(Move(f"topic {old.name}: partitions from {p.partitions} to {q.partitions}", MINUTE, 0,
                              "a key's later records go to another partition: order by key breaks once",
                              "none: partitions cannot shrink", True, "kafka.md B5"))  # fmt: skip
        elif q.partitions < p.partitions:
            impossible.append(
                f"topic {old.name}: {p.partitions} partitions cannot become {q.partitions}; a new topic could"
            )
        if q.copies != p.copies:
            more = q.copies > p.copies
            seconds = held / max(1, p.copies) * abs(q.copies - p.copies) / b.brokers / REBUILD_BYTES
            moves.append(Move(f"topic {old.name}: copies from {p.copies} to {q.copies}", seconds if more else MINUTE, 0,
                              "followers fetch all that is kept" if more else "none", "reassign with the old number",
                              False, "copies need their disk first; bytes at 250 MiB/s a broker"))  # fmt: skip


def _search(
    today: Scenario, then: Scenario, coefficients: CoefficientSet, moves: list[Move], impossible: list[str]
) -> None:
    a, b = today.elasticsearch, then.elasticsearch
    held = index_storage(today, coefficients).bytes
    service = b.kind == "opensearch-service"
    changed = a.machine != b.machine or a.data_nodes != b.data_nodes or a.managers != b.managers or a.zones != b.zones
    if a.kind != b.kind:
        moves.append(Move(f"search cluster moved from {a.kind} to {b.kind} by snapshot and replay",
                          2 * held / (b.data_nodes * RECOVERY_BYTES) + HOUR, b.data_nodes + b.managers,
                          "the query writes to both while the topic's retention reaches back", "the old cluster, until "
                          "it is deleted", False, "bytes at 40 MB/s a node, twice (elasticsearch.md A13)"))  # fmt: skip
    elif changed and service:
        move = held / (min(a.data_nodes, b.data_nodes) * _speed(a.machine))
        moves.append(
            Move(
                f"search nodes from {a.data_nodes} x {a.machine} to {b.data_nodes} x {b.machine}, blue/green",
                move + 20 * MINUTE,
                b.data_nodes + b.managers,
                f"{show(held, 'bytes')} are copied to new nodes; writes go on",
                "cancel before the copy ends; after it, another blue/green",
                False,
                "bytes at 40 MB/s a node (elasticsearch.md A13), and 20 min to start (remembered)",
            )
        )
    elif changed:
        share = held if a.machine != b.machine else held * abs(1 - a.data_nodes / max(a.data_nodes, b.data_nodes))
        seconds = RECOVERY_DELAY + share / (max(1, min(a.data_nodes, b.data_nodes)) * _speed(b.machine))
        extra = b.data_nodes if a.machine != b.machine else 0
        moves.append(Move(f"search nodes from {a.data_nodes} x {a.machine} to {b.data_nodes} x {b.machine}: add, move "
                          "shards, drain", seconds, extra, f"{show(share, 'bytes')} of shards move",
                          "exclude the new nodes and move back", False, "elasticsearch.md A13"))  # fmt: skip
    if not changed or not service:
        _volume("search disk", a.volume.size, b.volume.size, a.data_nodes, moves, impossible)
    for old, new in _pairs(today, then):
        p, q = old.index, new.index
        if p.primaries != q.primaries:
            moves.append(
                Move(
                    f"index {old.name}: primaries from {p.primaries} to {q.primaries} in the template",
                    MINUTE,
                    0,
                    "none: the next index has them; older ones only by reindexing or split and shrink",
                    "the template's old number, from the next index",
                    True,
                    "elasticsearch.md B3",
                )
            )
        if p.copies != q.copies:
            seconds = RECOVERY_DELAY + held / max(1, p.copies) / (b.data_nodes * _speed(b.machine))
            moves.append(Move(f"index {old.name}: copies from {p.copies} to {q.copies}",
                              seconds if q.copies > p.copies else MINUTE, 0, "new copies are built from the primaries"
                              if q.copies > p.copies else "none", "number_of_replicas as before", False,
                              "needs its disk first; elasticsearch.md A13"))  # fmt: skip


def _spark(today: Scenario, then: Scenario, moves: list[Move]) -> None:
    a, b = today.spark, then.spark
    if (a.kind, a.machine, a.executors, a.cores, a.heap, a.driver_machine) != (
        b.kind, b.machine, b.executors, b.cores, b.heap, b.driver_machine,
    ):  # fmt: skip
        moves.append(
            Move(
                f"Spark from {a.executors} x {a.machine} to {b.executors} x {b.machine}: start the new cluster, "
                "stop the query, start it there on the same checkpoint",
                EMR_START,
                b.executors + 1,
                "an outage of the query of some minutes, then catching up",
                "start the query on the old cluster, on the same checkpoint",
                False,
                "10 min to start (remembered)",
            )
        )
    for old, new in _pairs(today, then):
        p, q = old.query, new.query
        if p.state and q.state and p.state.shuffle_partitions != q.state.shuffle_partitions:
            moves.append(
                Move(
                    f"query {old.name}: shuffle partitions from {p.state.shuffle_partitions} to "
                    f"{q.state.shuffle_partitions} on a new checkpoint",
                    5 * MINUTE,
                    0,
                    "state is lost: what it remembered is counted again",
                    "the old checkpoint, as long as the topic keeps what it has not read",
                    True,
                    "spark.md B2: frozen into the checkpoint",
                )
            )
        if p.trigger != q.trigger:
            moves.append(
                Move(
                    f"query {old.name}: trigger from {show(p.trigger, 's')} to {show(q.trigger, 's')}",
                    MINUTE,
                    0,
                    "a restart",
                    "the old trigger",
                    False,
                    "a setting",
                )
            )


def _volume(what: str, old: float, new: float, count: int, moves: list[Move], impossible: list[str]) -> None:
    if new > old:
        moves.append(
            Move(
                f"{what} from {show(old, 'bytes')} to {show(new, 'bytes')} on each of {count} nodes, in place",
                VOLUME_HOURS,
                0,
                "none that is noticed",
                "none: a volume cannot shrink",
                True,
                "EBS; six hours until it can be changed again (remembered)",
            )
        )
    elif new < old:
        impossible.append(
            f"{what}: {show(old, 'bytes')} cannot become {show(new, 'bytes')}; only new nodes have smaller ones"
        )


def _pairs(today: Scenario, then: Scenario) -> list[tuple[Any, Any]]:
    new = {f.name: f for f in then.flows}
    return [(f, new[f.name]) for f in today.flows if f.name in new]


def _speed(name: str) -> float:
    """Bytes a second at which a node takes shards [bytes/s]."""
    box = machine(name)
    return min(RECOVERY_BYTES, box.ebs_baseline_bytes_per_second, box.network_baseline_bytes_per_second)


def most_committed(hours: Sequence[float], month_hours: float = 730.0) -> int:
    """Whole nodes that a commitment may cover: no more than P10 of the node hours that months come to [count].

    >>> most_committed([730.0] * 9 + [2190.0]), most_committed([1460.0, 1460.0, 2920.0])
    (1, 2)
    """
    if not hours:
        return 0
    ordered = sorted(hours)
    at = LEAST_SHARE * (len(ordered) - 1)
    low = math.floor(at)
    p10 = ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])
    return math.floor(p10 / month_hours + 1e-9)


def commitments(months: Sequence[Scenario], wanted: Callable[[str], bool] = lambda name: True) -> dict[str, int]:
    """For each machine, how many nodes may be committed for over the months given (one scenario a month)."""
    hours: dict[str, list[float]] = {}
    for number, scenario in enumerate(months):
        for name, count in _counts(scenario).items():
            hours.setdefault(name, [0.0] * number).append(count * 730.0)
        for name in hours:
            hours[name] += [0.0] * (number + 1 - len(hours[name]))
    found = {name: most_committed(each) for name, each in hours.items() if wanted(name)}
    return {name: count for name, count in found.items() if count}


def _counts(scenario: Scenario) -> dict[str, int]:
    k, s, e = scenario.kafka, scenario.spark, scenario.elasticsearch
    found: dict[str, int] = {}
    rows = [(s.machine, s.executors), (s.driver_machine, 1)]
    rows += [(k.machine, k.brokers)] if k.kind == "self-managed" else []  # MSK sells no reservation
    ending = ".search" if e.kind == "opensearch-service" else ""
    rows += [(f"{box_name(e.machine)}{ending}", e.data_nodes)]
    for name, count in rows:
        found[name] = found.get(name, 0) + count
    return found
