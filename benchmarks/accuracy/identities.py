"""Identities: both sides come from one run's own numbers. They check a law's arithmetic and are no accuracy."""

from __future__ import annotations

from benchmarks.accuracy.published import Row, table
from models.kafka import record_overhead_bytes, saturated_publish_seconds
from models.units import KIB, MIB

BUFFER = 32 * MIB  # buffer.memory of both benchmarks, Java's default (kafka.md B1)
VALUE = 1 * KIB
SATURATED = 0.95  # achieved over offered, below which a run is saturated
WINDOW_SECONDS = 1800.0
SHARES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}


def producers(workload: str) -> int:
    """Producers of an OMB workload, from its name.

    >>> producers("100-partitions-200K-rate-4-producer"), producers("1 topic / 100 partitions / 2 producer / 1Kb")
    (4, 2)
    """
    words = workload.replace("-", " ").split()
    return int(words[words.index("producer") - 1])


def buffer_law() -> list[Row]:
    """Mean publish latency of saturated producers: buffer over their own throughput (Little; kafka.md A4)."""
    rows = []
    for r in table("kafka_omb_raw_runs"):
        if "throughput" not in r["file"]:
            continue
        each = float(r["publish_rate_mean"]) / producers(r["workload"])
        wire = VALUE + record_overhead_bytes(VALUE, 1000)
        forecast = saturated_publish_seconds(BUFFER, each * wire)
        name = f"{r['dataset']}: {r['file'].rsplit('/', 1)[-1].removesuffix('.json')}"
        rows.append(
            Row("buffer law from the run's own throughput", name, "identity", "mean publish latency", "s", forecast,
                float(r["pub_Avg"]) / 1000)
        )  # fmt: skip
    return rows


def asap_latency() -> list[Row]:
    """Latency of a query without trigger, from the run's own batch count: uniform on T to 2 T (spark.md A2)."""
    found = table("spark_published_benchmarks")
    rows = []
    for benchmark in dict.fromkeys(r["benchmark"] for r in found):
        values = {r["metric"]: float(r["value"]) for r in found if r["benchmark"] == benchmark}
        period = WINDOW_SECONDS / values["batches_in_1800s"]
        for name, share in SHARES.items():
            rows.append(
                Row("latency as fast as possible, from the run's own batches", f"{benchmark}, {name}", "identity",
                    f"latency {name}", "s", period * (1 + share), values[f"e2e_latency_{name}"] / 1000)
            )  # fmt: skip
    return rows
