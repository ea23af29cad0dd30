"""Wants: what a recommendation has to keep to: the scenario's targets, and policies for what they leave out.

A looser want allows all that a stricter one does, so a looser one can never cost more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from models.stack import Flow, Scenario
from models.units import MONTH, Seconds
from models.workload import Workload
from planner.checks import not_survived

Managed = Literal["as stated", "managed", "self-managed", "either"]
System = Literal["kafka", "spark", "elasticsearch"]

HEADROOM = 1.25  # of sustainable over peak rate where the targets state none: the error of a good capacity model
# (peers.md D2: 10 to 20 % over-provisioning buys back what models of capacity get wrong)
FIRST_MONTHS = 3  # a day-1 stack lasts a quarter before its first step: nobody resizes every month

MANAGED: dict[System, str] = {"kafka": "msk-standard", "spark": "emr-ec2", "elasticsearch": "opensearch-service"}
OWN: dict[System, str] = {"kafka": "self-managed", "spark": "ec2", "elasticsearch": "self-managed-opensearch"}
MANAGERS = 3  # elasticsearch.md A14


@dataclass(frozen=True)
class Wants:
    """What holds, and within what one may choose. Peaks are rates [1/s], one a flow."""

    peaks: tuple[float, ...]
    p99: Seconds | None = None
    p50: Seconds | None = None
    catch_up: Seconds | None = None
    outage: Seconds = 600.0
    headroom: float = HEADROOM
    cpu_headroom: float = 0.0
    disk_headroom: float = 0.0
    memory_headroom: float = 0.0
    survive: tuple[str, ...] = ()
    budget: float | None = None
    months: int = 1
    regions: tuple[str, ...] = ()
    families: tuple[str, ...] = ()
    managed: Managed = "as stated"
    most_nodes: int | None = None
    topic_floor: int = 0
    index_floor: int = 0
    least_partitions: tuple[int, ...] = ()
    least_shuffles: tuple[int, ...] = ()
    least_volumes: tuple[float, float] = (0.0, 0.0)
    free_trigger: bool = True
    every_machine: bool = False

    def kinds(self, scenario: Scenario) -> dict[System, tuple[str, ...]]:
        """Who may run each system."""
        out: dict[System, tuple[str, ...]] = {}
        for system in MANAGED:
            stated = getattr(scenario, system).kind
            own = stated if stated != MANAGED[system] else OWN[system]
            out[system] = {"as stated": (stated,), "managed": (MANAGED[system],), "self-managed": (own,),
                           "either": (MANAGED[system], own)}[self.managed]  # fmt: skip
        return out

    def topic_copies(self, scenario: Scenario, kind: str) -> list[tuple[tuple[int, ...], tuple[int, ...], int]]:
        """Copies and least in-sync copies of each topic, and zones: as stated, or as many more as the losses want."""
        out = []
        for zones in _zones(scenario.kafka.zones, kind == "msk-standard", self.zone_floor):
            found = list(filter(None, (self._topic(scenario, flow, zones) for flow in scenario.flows)))
            if len(found) == len(scenario.flows):
                out.append((tuple(c for c, _ in found), tuple(i for _, i in found), zones))
                if zones >= scenario.kafka.zones:
                    break
        return out

    def _topic(self, scenario: Scenario, flow: Flow, zones: int) -> tuple[int, int] | None:
        least = self.topic_floor or flow.topic.copies
        for copies in range(least, max(least, 3) + 1):
            for insync in range(min(flow.topic.min_insync, copies), 0, -1):
                topic = flow.topic.model_copy(update={"copies": copies, "min_insync": insync})
                kafka = scenario.kafka.model_copy(update={"zones": zones})
                search = scenario.elasticsearch.model_copy(update={"data_nodes": 999})
                variant = scenario.model_copy(update={"kafka": kafka, "elasticsearch": search})
                lost = [loss for loss in ("broker", "zone") if loss in self.survive]
                other = flow.model_copy(update={"topic": topic, "index": flow.index.model_copy(update={"copies": 11})})
                if not any(not_survived(variant, other, loss) for loss in lost):
                    return copies, insync
        return None

    def index_copies(self, scenario: Scenario, kind: str) -> list[tuple[tuple[int, ...], int]]:
        """Copies of each index, and zones."""
        out = []
        for zones in _zones(scenario.elasticsearch.zones, False, self.zone_floor):
            found = tuple(filter(None, (self._index(scenario, flow, zones) for flow in scenario.flows)))
            if len(found) == len(scenario.flows):
                out.append((found, zones))
                if zones >= scenario.elasticsearch.zones:
                    break
        return out

    def _index(self, scenario: Scenario, flow: Flow, zones: int) -> int | None:
        least = self.index_floor or flow.index.copies
        for copies in range(least, max(least, 3) + 1):
            search = scenario.elasticsearch.model_copy(update={"zones": zones, "data_nodes": max(zones, copies)})
            topic = flow.topic.model_copy(update={"copies": 9, "min_insync": 1})
            kafka = scenario.kafka.model_copy(update={"zones": 6})
            variant = scenario.model_copy(update={"elasticsearch": search, "kafka": kafka})
            other = flow.model_copy(update={"index": flow.index.model_copy(update={"copies": copies}), "topic": topic})
            lost = [loss for loss in ("data-node", "zone") if loss in self.survive]
            if not any(not_survived(variant, other, loss) for loss in lost):
                return copies
        return None

    @property
    def zone_floor(self) -> bool:
        """Whether the zones that the scenario states are the least that is allowed."""
        return self.topic_floor == 0

    def managers(self, scenario: Scenario, nodes: int, zones: int) -> int:
        """Dedicated managers: as stated, or three where the loss of a zone would take the quorum."""
        stated = scenario.elasticsearch.managers
        if quorum_survives(stated, nodes, zones, self.survive):
            return stated
        return max(MANAGERS, stated + 1 - stated % 2)

    @cached_property
    def growth_to_first(self) -> int:
        """Months that the day-1 stack lasts."""
        return min(self.months, FIRST_MONTHS)


def quorum_survives(managers: int, nodes: int, zones: int, survive: Sequence[str]) -> bool:
    """Whether the eligible managers that a loss leaves are still most of them; without dedicated ones, data nodes vote.

    >>> quorum_survives(3, 6, 3, ["zone"]), quorum_survives(3, 6, 2, ["zone"]), quorum_survives(0, 3, 3, ["zone"])
    (True, False, True)
    >>> quorum_survives(0, 2, 1, ["data-node"]), quorum_survives(1, 3, 1, [])
    (False, True)
    """
    voters = managers or nodes
    quorum = voters // 2 + 1
    lost = -(-voters // zones) if "zone" in survive else 0
    if "data-node" in survive and not managers:
        lost = max(lost, 1)
    return voters - lost >= quorum


def _zones(stated: int, several: bool, floor: bool) -> list[int]:
    """Zones to try, as stated first; fewer only where the scenario's own number is no floor."""
    least = 2 if several else 1
    more = [z for z in (2, 3) if z > stated]
    fewer = [] if floor else list(range(least, stated))
    return [*fewer, *([stated] if stated >= least else []), *more]


def peak_of(load: Workload) -> float:
    """Highest rate of a workload, growth left out [1/s]: its curves' tops together, its highest burst on them."""
    if load.steps:
        return max(rate for _, rate in load.steps)
    rate: float = load.events_per_second
    for curve in (load.daily_curve, load.weekly_curve):
        if curve:
            rate *= max(curve) * len(curve) / sum(curve)
    return float(rate * max([1.0, *(burst.factor for burst in load.bursts)]))


def growth_of(scenario: Scenario, months: float) -> float:
    """Factor on the fastest-growing flow's rate after so many months [1]; load that shrinks is bought for today."""
    return max(1.0, *(float((1 + f.workload.growth_per_month) ** months) for f in scenario.flows))


def wants_of(scenario: Scenario, **given: Any) -> Wants:
    """The wants of a scenario's targets; `given` overrides fields by name."""
    t = scenario.targets
    wants = Wants(
        tuple(peak_of(f.workload) for f in scenario.flows), t.p99, t.p50, t.catch_up, t.outage,
        t.throughput_headroom or HEADROOM, t.cpu_headroom or 0.0, t.disk_headroom or 0.0, t.memory_headroom or 0.0,
        tuple(t.survive), t.monthly_budget_usd, max(1, round((t.horizon or MONTH) / MONTH)),
        tuple(t.regions) or (scenario.money.region,), tuple(t.families), t.managed, t.most_nodes,
        least_partitions=(0,) * len(scenario.flows),
    )  # fmt: skip
    return replace(wants, **{k: v for k, v in given.items() if v is not None})


__all__ = ["Wants", "growth_of", "peak_of", "quorum_survives", "wants_of"]
