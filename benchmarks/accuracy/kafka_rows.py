"""Published Kafka latency through the exact front, and LinkedIn's throughput against its network cards.

The OpenMessaging runs offer 200,000 records of 1 KiB a second to 100 partitions on three i3en.2xlarge in one zone,
three copies, minimum in sync two. Confluent's run is the fit (its median publish latency gives
`kafka.append_wait_seconds`), StreamNative's are the test. Runs with a flush to disk for every message have no
counterpart in the model. End to end is publish with acks=all, which ends when the high watermark has passed a
record, and then a trip and a fetch to the consumer: the consumer's own loop is not simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.accuracy.published import Role, Row, row, table
from models.coefficients import CoefficientSet
from models.stack import Scenario
from models.units import KIB
from simulator.run import simulate
from simulator.trace import Histogram

RATE = 200_000.0
WAIT = "kafka.append_wait_seconds"
GIGABIT = 1e9 / 8
OLD_RECORD_OVERHEAD = 22.0  # bytes a record of 0.8 messages, as the table states


@dataclass(frozen=True)
class Omb:
    """One OpenMessaging run: where its numbers are, and its producers' settings."""

    file: str
    name: str
    producers: int
    batch_size: float
    acks: str


RUNS = (
    Omb("blog/results/kafka/latency/default-sync-200k.json", "Confluent, acks=all", 4, 128 * KIB, "all"),
    Omb(
        "results/latency/nosync/kafka-100-partitions-1kb-batched-1ms-1mb-ack-1-nosync.json",
        "StreamNative, acks=1", 2, 1024 * KIB, "1",
    ),
    Omb(
        "results/latency/nosync/kafka-100-partitions-1kb-batched-1ms-1mb-ack-all-nosync.json",
        "StreamNative, acks=all", 2, 1024 * KIB, "all",
    ),
)  # fmt: skip
FITTED_ON, PACKAGED_FROM = "Confluent, acks=all", "StreamNative, acks=1"  # whose median publish gave the wait
PERCENTILES = {"50pct": ("p50", 0.50), "95pct": ("p95", 0.95), "99pct": ("p99", 0.99), "999pct": ("p99.9", 0.999)}


def scenario_of(run: Omb, acks: str, seconds: float) -> Scenario:
    """The brokers and producers of a run; the query reads and writes nothing, on a host that hinders nobody."""
    producer = {
        "count": run.producers, "linger": "1 ms", "batch_size": run.batch_size, "acks": acks, "partitioner": "sticky",
    }  # fmt: skip
    idle = {"name": "idle", "cores": 16, "memory": "64 GiB", "network": "10 GB/s"}
    return Scenario(
        name=run.name,
        hosts=[idle],
        flows=[
            {
                "workload": {"rate": RATE, "size": 1 * KIB},
                "topic": {"partitions": 100, "copies": 3, "min_insync": 2, "producer": producer},
                "query": {"trigger": "2 s", "checkpoint": "local", "sink": {"kind": "noop"}},
            }
        ],
        kafka={"kind": "self-managed", "version": "3.9", "brokers": 3, "zones": 1, "tls": False, "heap": "6 GiB"}
        | {"machine": "i3en.2xlarge"},
        spark={"kind": "ec2", "executors": 1, "cores": 16, "hosts": ["idle"]},
        elasticsearch={"kind": "self-managed-opensearch", "data_nodes": 1, "zones": 1, "hosts": ["idle"]},
        run={"warm_up": 1.0, "measure": seconds},
    )  # fmt: skip


def publish(run: Omb, acks: str, c: CoefficientSet, seconds: float, seeds: Sequence[int]) -> Histogram:
    """Publish latency of a run, every producer batch simulated."""
    scenario = scenario_of(run, acks, seconds)
    traces = [simulate(scenario, c, level="exact", seed=s) for s in seeds]
    return Histogram.pooled([h for t in traces if (h := t.flows["events"].publish) is not None])


def fitted_wait(c: CoefficientSet, seconds: float, seeds: Sequence[int]) -> float:
    """`kafka.append_wait_seconds` at which Confluent's median publish latency comes out, within one per cent [s]."""
    run = next(r for r in RUNS if r.name == FITTED_ON)
    goal, low, high = measured(run, "pub_50pct"), 1e-6, 5e-3
    for _ in range(9):
        middle = 0.5 * (low + high)
        found = publish(run, run.acks, c.with_values({WAIT: middle}), seconds, seeds[:1]).quantile(0.5)
        low, high = (middle, high) if found < goal else (low, middle)
    return 0.5 * (low + high)


def measured(run: Omb, column: str) -> float:
    return float(row("kafka_omb_raw_runs", "file", run.file)[column]) / 1000


def consumer_seconds(c: CoefficientSet) -> float:
    """From the high watermark to a consumer that waits: a response and the next request on their way [s]."""
    return c["hosts.local_round_trip_seconds"] + c["kafka.request_cpu_seconds"]


def latency(c: CoefficientSet, seconds: float, seeds: Sequence[int]) -> list[Row]:
    """Publish and end-to-end quantiles of the three runs, with the packaged wait and with the fitted one."""
    fitted = fitted_wait(c, seconds, seeds)
    sets = {
        f"wait of an append {fitted * 1000:.2f} ms, from Confluent's median": c.with_values({WAIT: fitted}),
        f"generic set as packaged, wait {c[WAIT] * 1000:.2f} ms": c,
    }
    rows = []
    for group, values in sets.items():
        for run in RUNS:
            own = publish(run, run.acks, values, seconds, seeds)
            whole = own if run.acks == "all" else publish(run, "all", values, seconds, seeds)
            rows += _rows(run, group, own, whole, consumer_seconds(values), values is c)
    return rows


def _rows(run: Omb, group: str, own: Histogram, whole: Histogram, fetch: float, packaged: bool) -> list[Row]:
    rows, known = [], PACKAGED_FROM if packaged else FITTED_ON
    for column, (name, share) in PERCENTILES.items():
        role: Role = "fit" if run.name == known and name == "p50" else "test"
        published = measured(run, f"pub_{column}"), measured(run, f"e2e_{column}")
        forecast = own.quantile(share), whole.quantile(share) + fetch
        parts = (("publish", role, 0), ("end to end", "test", 1))
        rows += [
            Row(group, run.name, part_role, f"{part} {name}", "ms", 1000 * forecast[k], 1000 * published[k])
            for part, part_role, k in parts
        ]
    return rows


def network_bounds() -> list[Row]:
    """LinkedIn 2014: the busiest 1-gigabit card of each run, as records a second it lets through (kafka.md A5, D4)."""
    rows = []
    for r in table("kafka_linkedin_2014"):
        if not r["records_per_s"]:
            continue
        wire = float(r["record_bytes"]) + OLD_RECORD_OVERHEAD
        hosts, copies = 3, int(r["rf"])
        broker_in = copies / hosts if int(r["producers"]) else 0.0
        client = 1 / max(1, int(r["producers"]) or int(r["consumers"]))
        broker_out = (int(r["consumers"]) + (copies - 1 if int(r["producers"]) else 0)) / hosts
        if not int(r["producers"]):
            broker_out = 1 / hosts
        card = max(broker_in, broker_out, client)
        rows.append(
            Row("one gigabit card, followers keeping up", r["test"], "bound", "records a second at most", "1/s",
                GIGABIT / wire / card, float(r["records_per_s"]))
        )  # fmt: skip
    return rows
