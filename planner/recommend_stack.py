"""A stack of settings: one of each system, its price, and the scenario it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from models.spark import AS_FAST_AS_POSSIBLE
from models.stack import Flow, Scenario
from models.units import show
from planner.candidates import Brokers, DataNodes, Executors


@dataclass(frozen=True)
class Stack:
    """Brokers, executors and data nodes together."""

    kafka: Brokers
    spark: Executors
    search: DataNodes

    @property
    def usd(self) -> float:
        """What the three cost a month, without what they share [USD]."""
        return self.kafka.usd + self.spark.usd + self.search.usd

    @property
    def nodes(self) -> int:
        return self.kafka.nodes + self.spark.nodes + self.search.nodes

    @property
    def key(self) -> tuple[Any, ...]:
        """What a simulation of it hangs on."""
        return (self.kafka.kind, self.kafka.row, self.kafka.min_insync, self.spark.kind, self.spark.row,
                self.spark.heap, self.search.kind, self.search.row, self.search.managers)  # fmt: skip

    @property
    def machines(self) -> tuple[str, str, str]:
        return self.kafka.row.machine, self.spark.row.machine, self.search.row.machine

    def told(self) -> str:
        """The stack in a line."""
        k, s, e = self.kafka.row, self.spark.row, self.search.row
        trigger = "/".join(show(t, "s") if t > 0 else "asap" for t in dict.fromkeys(s.triggers))
        parts = "/".join(str(p) for p in k.partitions)
        return (f"{k.brokers} x {k.machine}, {parts} partitions · {s.executors} x {s.machine}, trigger {trigger} · "
                f"{e.nodes} x {e.machine}, {'/'.join(str(p) for p in e.primaries)} primaries")  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        k, s, e = self.kafka, self.spark, self.search
        return {
            "kafka": {"kind": k.kind, "machine": k.row.machine, "brokers": k.row.brokers, "zones": k.row.zones,
                      "volume_bytes": k.volume, "partitions": list(k.row.partitions), "copies": list(k.row.copies),
                      "min_insync": list(k.min_insync), "usd": round(k.usd, 2)},
            "spark": {"kind": s.kind, "machine": s.row.machine, "executors": s.row.executors, "cores": s.row.slots,
                      "heap_bytes": s.heap, "trigger_seconds": list(s.row.triggers),
                      "shuffle_partitions": list(s.row.shuffles), "usd": round(s.usd, 2)},
            "elasticsearch": {"kind": e.kind, "machine": e.row.machine, "data_nodes": e.row.nodes,
                              "zones": e.row.zones, "managers": e.managers, "volume_bytes": e.volume,
                              "primaries": list(e.row.primaries), "copies": list(e.row.copies), "usd": round(e.usd, 2)},
            "nodes": self.nodes, "usd": round(self.usd, 2),
        }  # fmt: skip


def built(scenario: Scenario, stack: Stack, region: str) -> Scenario:
    """The scenario on that stack, validated."""
    data = scenario.model_dump()
    k, s, e = stack.kafka, stack.spark, stack.search
    data["kafka"] |= {
        "kind": k.kind,
        "machine": k.row.machine,
        "brokers": k.row.brokers,
        "zones": k.row.zones,
        "heap": k.heap,
        "hosts": (),
        "volume": data["kafka"]["volume"] | {"size": k.volume, "throughput": k.row.volume_throughput},
    }
    data["spark"] |= {"kind": s.kind, "machine": s.row.machine, "executors": s.row.executors, "cores": s.row.slots,
                      "heap": s.heap, "driver_machine": s.driver, "hosts": ()}  # fmt: skip
    disk = data["elasticsearch"]["volume"] | {"size": e.volume, "throughput": e.row.volume_throughput}
    data["elasticsearch"] |= {"kind": e.kind, "machine": e.row.machine, "data_nodes": e.row.nodes,
                              "zones": e.row.zones, "managers": e.managers, "volume": disk, "hosts": ()}  # fmt: skip
    for f, flow in enumerate(data["flows"]):
        flow["topic"] |= {"partitions": k.row.partitions[f], "copies": k.row.copies[f], "min_insync": k.min_insync[f]}
        flow["query"]["trigger"] = s.row.triggers[f] or AS_FAST_AS_POSSIBLE
        if flow["query"]["state"] is not None:
            flow["query"]["state"]["shuffle_partitions"] = s.row.shuffles[f]
        flow["index"] |= {"primaries": e.row.primaries[f], "copies": e.row.copies[f]}
    data["money"]["region"] = region
    return Scenario.model_validate(data)


def at_rates(scenario: Scenario, rates: Sequence[float]) -> Scenario:
    """The scenario with each flow at a constant rate [1/s], one a flow."""
    flows: list[Flow] = []
    for flow, rate in zip(scenario.flows, rates, strict=True):
        load = flow.workload
        constant = {"rate": rate, "size": load.event_bytes, "bytes_per_second": None, "steps": (), "recorded": None,
                    "daily_curve": (), "weekly_curve": (), "bursts": (), "growth_per_month": 0.0}  # fmt: skip
        flows.append(flow.model_copy(update={"workload": load.model_copy(update=constant)}))
    return scenario.model_copy(update={"flows": tuple(flows)})
