"""The stack and the scenario: everything that one forecast is about.

A scenario holds three clusters and the flows through them; a flow is one topic, one query and one
index. Targets are promises, each with the window it is judged over.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import model_validator

from models.elasticsearch import Index, SearchCluster
from models.faults import Fault, out_of_range
from models.hosts import Host
from models.kafka import KafkaCluster, Topic
from models.money import Money
from models.noun import Noun
from models.spark import Query, SparkCluster
from models.units import MINUTE, Fraction, Ratio, Seconds, Whole, field
from models.workload import Workload


class Flow(Noun):
    """One topic → query → index."""

    name: str = field("events", unit="", meaning="the flow's name", min_length=1)
    workload: Workload = field(unit="", meaning="what arrives")
    topic: Topic = field(Topic(), unit="", meaning="the topic it arrives in")
    query: Query = field(unit="", meaning="the query that moves it")
    index: Index = field(Index(), unit="", meaning="the index it ends in")


class Judged(Noun):
    """What a promise about latency is judged over."""

    window: Seconds | None = field(
        None, unit="s", meaning="stretch of time it is judged over; none: run.measure", gt=0, le=6 * 3600
    )
    faults: bool = field(True, unit="", meaning="whether the scenario's faults happen in it")


class Targets(Noun):
    """What the stack is held to. A target that is left out is not judged."""

    p99: Seconds | None = field(None, unit="s", meaning="99th percentile of end-to-end latency", gt=0)
    p50: Seconds | None = field(None, unit="s", meaning="median of end-to-end latency", gt=0)
    catch_up: Seconds | None = field(None, unit="s", meaning="time to catch up after an outage of the query", gt=0)
    outage: Seconds = field(10 * MINUTE, unit="s", meaning="length of that outage", gt=0, le=7 * 86400)
    throughput_headroom: Ratio | None = field(
        None, unit="1", meaning="sustainable throughput over the workload's peak rate", gt=0, le=100
    )
    survive: tuple[Literal["broker", "data-node", "zone"], ...] = field(
        (), unit="", meaning="losses after which writes are still accepted and no copy of a record is the last"
    )
    monthly_budget_usd: float | None = field(
        None, unit="USD", meaning="most that a month may cost, held against the bill's P90", gt=0
    )
    horizon: Seconds | None = field(
        None, unit="s", meaning="time from today that every disk must last, growth included", gt=0, le=10 * 366 * 86400
    )
    judged: dict[Literal["p50", "p99"], Judged] = field(
        {}, unit="", meaning="over what p50 and p99 are judged, where that is not run.measure"
    )
    cpu_headroom: Fraction | None = field(
        None, unit="1", meaning="share of the busiest host's CPU that stays free",
        ge=0, lt=1,
    )  # fmt: skip
    disk_headroom: Fraction | None = field(
        None, unit="1", meaning="share below its first mark that stays free on the fullest disk once retention is full",
        ge=0, lt=1,
    )  # fmt: skip
    memory_headroom: Fraction | None = field(
        None, unit="1", meaning="share of a host's memory that its process leaves free", ge=0, lt=1
    )
    regions: tuple[str, ...] = field((), unit="", meaning="regions to recommend in; none: money.region")
    families: tuple[str, ...] = field((), unit="", meaning="machine families to recommend; none: all that are sold")
    managed: Literal["as stated", "managed", "self-managed", "either"] = field(
        "as stated", unit="", meaning="who may run what is recommended: as the clusters' kinds say, or another"
    )
    most_nodes: Whole | None = field(
        None, unit="count", meaning="most machines of a recommended stack, of all kinds", ge=3, le=5000
    )


class Run(Noun):
    """How long is simulated, and what of it counts."""

    measure: Seconds = field(60.0, unit="s", meaning="window that the answers speak of", gt=0, le=31 * 86400)
    warm_up: Seconds = field(
        20.0, unit="s", meaning="time before it that is simulated and not counted", ge=0, le=7 * 86400
    )
    repeats: Whole = field(4, unit="count", meaning="runs with other phases and noise", ge=1, le=1000)
    jvm: Literal["warm", "cold"] = field(
        "warm", unit="", meaning="whether the JVMs have run for long when the simulation starts"
    )
    phase: Literal["random", "aligned"] = field(
        "random", unit="", meaning="where refreshes lie against triggers when the run starts"
    )


class Scenario(Noun):
    """A workload, a stack, and what is promised."""

    not_modelled: ClassVar[dict[str, str]] = {"replicas": "say copies where they belong: topic.copies, index.copies"}

    name: str = field(unit="", meaning="the scenario's name", min_length=1)
    description: str = field("", unit="", meaning="a note for its readers")
    flows: tuple[Flow, ...] = field(unit="", meaning="the flows through the clusters", min_length=1)
    kafka: KafkaCluster = field(KafkaCluster(), unit="", meaning="the brokers")
    spark: SparkCluster = field(SparkCluster(), unit="", meaning="driver and executors")
    elasticsearch: SearchCluster = field(SearchCluster(), unit="", meaning="data nodes and managers")
    hosts: tuple[Host, ...] = field(
        (), unit="", meaning="hosts by name, where processes share them or are not EC2 types"
    )
    targets: Targets = field(Targets(), unit="", meaning="what is promised")
    run: Run = field(Run(), unit="", meaning="how long is simulated")
    money: Money = field(Money(), unit="", meaning="where, when and on what terms it is paid for")
    coefficients: str = field(
        "generic-2026-11", unit="", meaning="coefficient set: a packaged name or a .toml file", min_length=1
    )
    overrides: dict[str, Ratio] = field({}, unit="", meaning="coefficients set by hand")
    faults: tuple[Fault, ...] = field(
        (), unit="", meaning="what breaks in the simulated time, as fields or as 'broker-lost 1 at 5 min for 2 min'"
    )
    tags: dict[str, str] = field(
        {}, unit="", meaning="team, environment, cost centre: they ride on every line of the bill"
    )

    @model_validator(mode="after")
    def _consistent(self) -> Scenario:
        names = [flow.name for flow in self.flows]
        if len(set(names)) < len(names):
            raise ValueError(f"flows need distinct names; got {', '.join(names)}")
        known = {host.name for host in self.hosts}
        if len(known) < len(self.hosts):
            raise ValueError("hosts need distinct names")
        for part in ("kafka", "spark", "elasticsearch"):
            for name in getattr(self, part).hosts:
                if name not in known:
                    raise ValueError(f"{part}.hosts names '{name}'; hosts has {', '.join(sorted(known)) or 'none'}")
        self._zones_agree()
        for flow in self.flows:
            if flow.topic.copies > self.kafka.brokers:
                raise ValueError(
                    f"flow '{flow.name}': topic.copies = {flow.topic.copies} exceeds "
                    f"kafka.brokers = {self.kafka.brokers}"
                )
        self._faults_can_happen()
        return self

    def _zones_agree(self) -> None:
        """Hosts by name that state their zones and a cluster's number of zones must say the same."""
        zones = {host.name: host.zone for host in self.hosts}
        for part in ("kafka", "elasticsearch"):
            cluster = getattr(self, part)
            stated = {zones[name] for name in cluster.hosts}
            if stated - {None} and len(stated) != cluster.zones:
                lie = ", ".join(sorted(zone or "none stated" for zone in stated))
                raise ValueError(f"{part}.zones = {cluster.zones}, but its hosts lie in {len(stated)} ({lie})")

    def _faults_can_happen(self) -> None:
        ends = self.run.warm_up + self.run.measure
        zones = max(self.kafka.zones, self.elasticsearch.zones, len({host.zone or "" for host in self.hosts}))
        for fault in self.faults:
            counts = self.kafka.brokers, self.spark.executors, self.elasticsearch.data_nodes, zones
            if why := out_of_range(fault, *counts, ends):
                raise ValueError(f"faults: {why}")
