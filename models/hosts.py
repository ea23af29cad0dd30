"""Hosts: what a process runs on. Cores are shared by whatever lives there.

A host is one machine (an EC2 type, or cores given by hand as in a laboratory). By default each
broker, executor and data node has a host of its own; a scenario may name hosts and put several
processes on one, and then they slow each other down.
"""

from __future__ import annotations

from pydantic import model_validator

from models.noun import Noun
from models.units import Bytes, BytesPerSecond, Fraction, PerSecond, Ratio, field


class Host(Noun):
    """A machine by name: an EC2 type, or cores and speed by hand."""

    name: str = field(unit="", meaning="the name that clusters use to be placed on it", min_length=1)
    machine: str | None = field(None, unit="", meaning="EC2 instance type")
    cores: Ratio | None = field(None, unit="cores", meaning="cores, where no machine type is given", gt=0, le=1024)
    per_core_speed: PerSecond | None = field(
        None,
        unit="1/s",
        meaning="CoreMark iterations a second of one core; default: the coefficient set's own machine",
        gt=0,
    )
    memory: Bytes | None = field(None, unit="bytes", meaning="memory, where no machine type is given", gt=0)
    network: BytesPerSecond | None = field(
        None, unit="bytes/s", meaning="network, where no machine type is given", gt=0
    )
    background: Fraction = field(
        0.0, unit="1", meaning="share of the host's cores that something else takes, as measured", ge=0, lt=1
    )
    zone: str | None = field(
        None, unit="", meaning="availability zone it is in; none: all hosts without one share a zone", min_length=1
    )
    smt_yield: Ratio | None = field(
        None,
        unit="1",
        meaning="what a core with two hardware threads is worth beside one thread alone; default: hosts.smt_yield",
        ge=1,
        le=2,
    )

    @model_validator(mode="after")
    def _machine_or_cores(self) -> Host:
        if (self.machine is None) == (self.cores is None):
            raise ValueError("give either machine or cores")
        if self.smt_yield is not None and self.machine is None:
            raise ValueError("smt_yield belongs to a machine type; cores given by hand are counted as they work")
        return self


class Volume(Noun):
    """One EBS volume of a broker or data node."""

    size: Bytes = field(unit="bytes", meaning="size of the volume of one node", gt=0, le=64 * 1024**4)
    throughput: BytesPerSecond = field(
        125 * 1024.0**2,
        unit="bytes/s",
        meaning="provisioned throughput; gp3 includes 125 MiB/s",
        gt=0,
        le=4000 * 1024.0**2,
    )


class Drive(Noun):
    """Parts of a process placement shared by all three systems."""

    hosts: tuple[str, ...] = field(
        (), unit="", meaning="names of hosts to run on, in turn; empty: a host of its own each"
    )
    background: Fraction = field(
        0.0, unit="1", meaning="measured share of the hosts' cores that work outside this model takes", ge=0, lt=1
    )


def spread(count: int, over: tuple[str, ...]) -> list[str]:
    """Host names for `count` processes, in turn.

    >>> spread(3, ("a", "b"))
    ['a', 'b', 'a']
    """
    return [over[k % len(over)] for k in range(count)]
