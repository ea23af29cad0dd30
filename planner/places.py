"""Places: the machines that a scenario's processes run on, as its hosts or machine types give them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.hosts import spread
from models.machines import machine
from models.stack import Scenario

Part = Literal["kafka", "spark", "elasticsearch"]


@dataclass(frozen=True)
class Place:
    """One node of a cluster: the host it is on, and what that has. None where the scenario does not say."""

    host: str
    cores: float
    memory_bytes: float | None
    network_bytes_per_second: float | None
    shared: bool


def nodes(scenario: Scenario, part: Part) -> int:
    """How many processes a cluster has [count]."""
    sizes = {
        "kafka": scenario.kafka.brokers,
        "spark": scenario.spark.executors,
        "elasticsearch": scenario.elasticsearch.data_nodes,
    }
    return sizes[part]


def place(scenario: Scenario, part: Part) -> Place:
    """Where the first node of a cluster runs; nodes of one cluster are alike unless hosts are given by name."""
    cluster = getattr(scenario, part)
    if not cluster.hosts:
        box = machine(cluster.machine)
        return Place(box.name, box.cores, box.memory_bytes, box.network_baseline_bytes_per_second, False)
    names = [name for p in ("kafka", "spark", "elasticsearch") for name in _hosts(scenario, p)]
    host = next(h for h in scenario.hosts if h.name == cluster.hosts[0])
    shared = names.count(host.name) > 1
    if host.machine is not None:
        box = machine(host.machine)
        return Place(host.name, box.cores, box.memory_bytes, box.network_baseline_bytes_per_second, shared)
    return Place(host.name, host.cores or 1.0, host.memory, host.network, shared)


def slots(scenario: Scenario) -> int:
    """Task slots of all executors [count]."""
    return scenario.spark.executors * scenario.spark.cores


def _hosts(scenario: Scenario, part: str) -> list[str]:
    cluster = getattr(scenario, part)
    return spread(nodes(scenario, part), cluster.hosts) if cluster.hosts else []  # type: ignore[arg-type]
