"""Where each process runs, and what its host can do.

A site is a host with the processes on it. Its cores are threads' worth of throughput (a core with two
hardware threads is worth `smt_yield`), its speed is that of one thread alone relative to the machine
whose CPU seconds the coefficients are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from models.coefficients import CoefficientSet
from models.hosts import Drive, Host, spread
from models.machines import machine
from models.stack import Scenario
from models.units import GB, GIB

LEAST_CORES = 0.02  # of a host whose background leaves nothing: overload must show as slowness, not divide by zero


@dataclass
class Site:
    """One host: capacity, speed, memory, zone, and who lives there."""

    name: str
    cores: float
    processors: int
    speed: float
    memory_bytes: float
    network_bytes_per_second: float
    zone: int
    background: float = 0.0
    background_cores: float = 0.0
    roles: list[str] = field(default_factory=list)

    @property
    def cores_left(self) -> float:
        """Threads' worth that the model's own jobs may use [threads]."""
        return max(LEAST_CORES, self.cores * (1 - self.background) - self.background_cores)


@dataclass
class Placement:
    """All sites, and the site of each broker, executor, data node and of the driver (indices)."""

    sites: list[Site]
    brokers: list[int]
    executors: list[int]
    nodes: list[int]
    driver: int


def place(scenario: Scenario, coefficients: CoefficientSet) -> Placement:
    """Put every process on a host; processes that name no host get one each.

    Raises models.machines.UnknownMachine, or ValueError where a machine's speed was never measured.
    """
    zones = sorted({host.zone or "" for host in scenario.hosts})
    sites = [_named(host, zones.index(host.zone or ""), coefficients) for host in scenario.hosts]
    index = {site.name: k for k, site in enumerate(sites)}

    def settle(part: Drive, role: str, count: int, machine_name: str, zones: int) -> list[int]:
        if part.hosts:
            chosen = [index[name] for name in spread(count, part.hosts)]
        else:
            chosen = list(range(len(sites), len(sites) + count))
            sites.extend(site_of_machine(f"{role}-{k}", machine_name, k % zones, coefficients) for k in range(count))
        for k in chosen:
            sites[k].roles.append(role)
            sites[k].background = 1 - (1 - sites[k].background) * (1 - part.background / chosen.count(k))
        return chosen

    kafka, spark, search = scenario.kafka, scenario.spark, scenario.elasticsearch
    brokers = settle(kafka, "kafka", kafka.brokers, kafka.machine, kafka.zones)
    executors = settle(spark, "spark", spark.executors, spark.machine, 1)
    nodes = settle(search, "elasticsearch", search.data_nodes, search.machine, search.zones)
    if spark.hosts:
        driver = executors[0]
    else:
        driver = len(sites)
        sites.append(site_of_machine("driver", spark.driver_machine, 0, coefficients))
    sites[driver].roles.append("driver")
    return Placement(sites, brokers, executors, nodes, driver)


def site_of_machine(
    name: str, machine_name: str, zone: int, coefficients: CoefficientSet, smt_yield: float | None = None
) -> Site:
    box = machine(machine_name)
    smt = smt_yield or coefficients["hosts.smt_yield"]
    speed = box.per_core_speed(smt)
    if speed is None:
        raise ValueError(
            f"machine = '{machine_name}' has no measured CoreMark; choose one that has, or give hosts by hand"
        )
    return Site(
        name,
        box.capacity_threads(smt),
        box.vcpu,
        speed / coefficients.per_core_speed,
        box.memory_bytes,
        box.network_baseline_bytes_per_second,
        zone,
    )


def _named(host: Host, zone: int, coefficients: CoefficientSet) -> Site:
    if host.machine is not None:
        site = site_of_machine(host.name, host.machine, zone, coefficients, host.smt_yield)
        site.background = host.background
        return site
    cores = host.cores or 1.0
    speed = (host.per_core_speed or coefficients.per_core_speed) / coefficients.per_core_speed
    return Site(
        host.name,
        cores,
        max(1, int(cores)),
        speed,
        host.memory or 8 * GIB,
        host.network or 1.25 * GB,
        zone,
        host.background,
    )


def mean_trip(placement: Placement, sources: list[int], targets: list[int], coefficients: CoefficientSet) -> float:
    """Mean one-way time between two groups of processes [s]; none on one host."""
    total = 0.0
    for a in sources:
        for b in targets:
            if a != b:
                near = placement.sites[a].zone == placement.sites[b].zone
                total += coefficients["hosts.local_round_trip_seconds" if near else "hosts.zone_round_trip_seconds"]
    return total / (2 * len(sources) * len(targets))
