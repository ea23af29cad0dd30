"""Floodmark beside the closest open peer, on the same Kafka and Elasticsearch workloads: nodes, cost, CPU time.

    python -m benchmarks.peers [--python OTHER/bin/python]

The peer is `service-capacity-modeling` (PyPI; facts/peer-netflix.md), a static sizer of single services. It is asked in
the environment of `--python` (default: this one); where it is not installed that is said and only Floodmark is run.
Each workload is one topic and one index: the peer is asked for each, Floodmark for the pipeline with Spark between.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

from planner.engine import warm_up
from planner.recommend import recommend
from planner.scenario import load_scenario

ASK = r"""
import json, sys, time
from service_capacity_modeling.capacity_planner import planner
from service_capacity_modeling.interface import (AccessPattern, CapacityDesires, DataShape, QueryPattern, certain_int)

def plan(model, pattern, shape, **extra):
    began = time.process_time()
    desires = CapacityDesires(service_tier=1, query_pattern=QueryPattern(
        access_pattern=AccessPattern.throughput, **{k: certain_int(v) for k, v in pattern.items()}),
        data_shape=DataShape(**{k: certain_int(v) for k, v in shape.items()}))
    found = planner.plan_certain(model_name=model, region="us-east-1", desires=desires, extra_model_arguments=extra)
    seconds = time.process_time() - began
    if not found:
        return {"nodes": [], "usd": None, "seconds": seconds}
    one = found[0].candidate_clusters
    nodes = {}
    for zone in one.zonal:
        key = f"{zone.cluster_type.rpartition('-')[2]} {zone.instance.name}"
        nodes[key] = nodes.get(key, 0) + zone.count
    usd = float(one.total_annual_cost) / 12
    return {"nodes": [f"{n} x {k}" for k, n in nodes.items()], "usd": usd, "seconds": seconds}

out = []
for w in json.load(sys.stdin):
    kafka = plan("org.netflix.kafka", {"estimated_read_per_second": 1, "estimated_write_per_second": 1,
        "estimated_mean_write_size_bytes": int(w["rate"] * w["size"])}, {}, cluster_type="strong", copies_per_region=3,
        retention=f"PT{w['kafka_days'] * 24}H", require_local_disks=False)
    search = plan("org.netflix.elasticsearch", {"estimated_read_per_second": 10,
        "estimated_write_per_second": int(w["rate"]), "estimated_mean_write_size_bytes": int(w["size"])},
        {"estimated_state_size_gib": max(1, int(w["rate"] * w["size"] * w["index_days"] * 86400 / 2**30))},
        copies_per_region=2)
    out.append({"kafka": kafka, "elasticsearch": search})
print(json.dumps(out))
"""
WORKLOADS: list[dict[str, Any]] = [
    {"rate": 2_000, "size": 1_000, "kafka_days": 3, "index_days": 7},
    {"rate": 10_000, "size": 800, "kafka_days": 3, "index_days": 7},
    {"rate": 40_000, "size": 500, "kafka_days": 1, "index_days": 3},
]


@dataclass(frozen=True)
class Row:
    """One answer: who, for which system, on what, at what a month, after how much CPU."""

    who: str
    system: str
    nodes: str
    usd: float | None
    seconds: float

    def show(self) -> str:
        usd = "no plan" if self.usd is None else f"{self.usd:>9,.0f} USD"
        return f"  {self.who:<26}{self.system:<15}{usd:>14}  {self.seconds:>6.2f} CPU s   {self.nodes}"


def ours(load: dict[str, Any]) -> list[Row]:
    """Floodmark's joint recommendation, self-managed as the peer's are, split by system."""
    scenario = load_scenario({
        "name": "peer",
        "flows": [{
            "workload": {"rate": load["rate"], "size": load["size"]},
            "topic": {"partitions": 12, "retention": f"{load['kafka_days']} d"},
            "query": {"trigger": "10 s", "sink": {"kind": "jvm-connector"}},
            "index": {"primaries": 3, "retention": f"{load['index_days']} d", "search": {"rate": 10}},
        }],
        "kafka": {"kind": "self-managed"}, "spark": {"kind": "ec2"},
        "elasticsearch": {"kind": "self-managed-opensearch"},
        "targets": {"p99": "1 min", "throughput_headroom": 1.5, "survive": ["zone"]},
        "run": {"measure": 60, "warm_up": 20, "repeats": 2},
    })  # fmt: skip
    began = time.process_time()
    found = recommend(scenario, reasons=False)
    spent = time.process_time() - began
    if found.scenario is None or found.bill is None:
        return [Row("floodmark", "all", "nothing holds", None, spent)]
    stack, by = found.scenario, dict.fromkeys(("kafka", "elasticsearch", "spark"), 0.0)
    for line in found.bill.bill.lines:
        if line.system in by:
            by[line.system] += float(line.monthly_usd)
    told = {
        "kafka": f"{stack.kafka.brokers} x {stack.kafka.machine}",
        "elasticsearch": f"{stack.elasticsearch.data_nodes} x {stack.elasticsearch.machine}"
        + (f", {stack.elasticsearch.managers} managers" if stack.elasticsearch.managers else ""),
        "spark": f"{stack.spark.executors} x {stack.spark.machine}",
    }
    return [Row("floodmark", system, told[system], by[system], spent if system == "kafka" else 0.0) for system in by]


def theirs(python: str) -> list[list[Row]] | str:
    """The peer's plans for all workloads, or why there are none."""
    done = subprocess.run(
        [python, "-c", ASK], input=json.dumps(WORKLOADS), capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        return done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
    return [
        [Row("service-capacity-modeling", s, ", ".join(one[s]["nodes"]), one[s]["usd"], one[s]["seconds"]) for s in one]
        for one in json.loads(done.stdout)
    ]


WHY = """
Why they differ
- Prices: the peer's are three-year all-upfront reservations of 2024 to 2026, ours on demand (floodmark bill with
  money.commitments compares both); ours hold volumes and traffic between zones, theirs hold no traffic.
- The peer keeps disks 40 % (Kafka) and 75 % (Elasticsearch) full, ours are sized by retention and the first watermark.
- The peer has no Graviton machines; its Kafka CPU law is quadratic in consumer groups and leaves out the copies.
- The peer's Elasticsearch plan always has dedicated managers and search nodes, ours has what survival of a zone needs.
- Ours simulates what it recommends: latency, lag, a zone lost. The peer's answer has no time in it."""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    asked.add_argument("--python", default=sys.executable, help="interpreter that has service-capacity-modeling")
    peer = theirs(asked.parse_args().python)
    warm_up()  # compiling is paid once and is no part of an answer
    if isinstance(peer, str):
        print(
            f"service-capacity-modeling could not be asked ({peer}); pip install service-capacity-modeling, or --python"
        )
    for number, load in enumerate(WORKLOADS):
        kept = f"{load['kafka_days']} d in Kafka, {load['index_days']} d searchable"
        print(f"{load['rate']:,}/s of {load['size']} B, {kept}")
        for row in [*(peer[number] if not isinstance(peer, str) else []), *ours(load)]:
            print(row.show())
    print(WHY)


if __name__ == "__main__":
    main()
