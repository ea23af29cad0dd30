"""No inert field: every field of a scenario moves something, and the table says what, which way, and why.

The table is data: {path: rows}. A row perturbs the field of a base scenario and names the output that must
move, with its sign (`+` up, `-` down, `!` either). A field that is not in the table fails; so does one
that moves nothing. `PENDING` holds those that only a later part of the forecast reads. Rows of the
bill are priced without a run.
"""

from __future__ import annotations

import atexit
import copy
import math
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from models.stack import Scenario
from planner import yaml_text
from planner.bill import monthly_bill
from planner.candidates_wants import wants_of
from planner.charts import budget
from planner.checks import check
from planner.engine import simulate
from planner.fields import leaves
from planner.forecast import Forecast, coefficients_of, forecast
from planner.limits import limits
from planner.memory import memory
from planner.money_months import months
from planner.scaling import scaling
from planner.scenario import example_text, load_scenario
from planner.storage import index_storage, topic_storage
from planner.traffic import cross_zone_bytes_per_second
from planner.usage import paces
from pricing.price_book import DATA
from pricing.rows import pack, unpack

PENDING: dict[str, str] = {}


class Row(NamedTuple):
    """One perturbation: base scenario, changes {path: value}, output, sign, source of the law."""

    base: str
    changes: dict[str, Any]
    output: str
    sign: str
    source: str


def row(base: str, changes: dict[str, Any], output: str, sign: str, source: str) -> Row:
    return Row(base, changes, output, sign, source)


M, C, D, H = "money.", "money.commitments[0].", "money.discounts[0].", "money.changes[0]."
N, V = "money.network.", "money.monitoring."

F, W, T, P, Q, S, X = ("flows[0].", "flows[0].workload.", "flows[0].topic.", "flows[0].topic.producer.",
                       "flows[0].query.", "flows[0].query.sink.", "flows[0].index.")  # fmt: skip


def older_book() -> str:
    """A price book of another day: brokers cost half."""
    folder = Path(tempfile.mkdtemp(prefix="book-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path in DATA.glob("*.csv.gz"):
        shutil.copy(path, folder)
    rows = unpack(folder / "msk.csv.gz")
    cheaper = [r._replace(usd=str(float(r.usd) / 2)) if r.item.startswith("msk/broker/") else r for r in rows]
    (folder / "msk.csv.gz").write_bytes(pack(cheaper))
    return str(folder)


OLDER_BOOK = older_book()

TABLE: dict[str, list[Row]] = {
    "name": [row("small", {"name": "other"}, "report.title", "!", "the reader's")],
    "description": [row("small", {"description": "a note"}, "report.title", "!", "the reader's")],
    "flows[].name": [row("small", {F + "name": "other"}, "flow.names", "!", "the reader's")],
    "flows[].workload.rate": [
        row("small", {W + "rate": "2k/s"}, "batch.records", "+", "arrivals in a trigger"),
        row("small", {W + "rate": "2k/s"}, "index.bytes", "+", "rate × retention"),
    ],
    "flows[].workload.size": [
        row("small", {W + "size": "2 kB"}, "log.bytes", "+", "kafka.md A1"),
        row("small", {W + "size": "2 kB"}, "batch.seconds", "+", "spark.byte_cpu_seconds, search.byte_cpu_seconds"),
    ],
    "flows[].workload.bytes_per_second": [
        row("small", {W + "rate": None, W + "bytes_per_second": "2 MB/s"}, "batch.records", "+", "rate × size")
    ],
    "flows[].workload.size_is": [
        row("small", {W + "size_is": "raw", W + "value_per_raw": 3}, "log.bytes", "+", "es A10")
    ],
    "flows[].workload.value_per_raw": [row("raw", {W + "value_per_raw": 5}, "log.bytes", "+", "es A10")],
    "flows[].workload.json_per_value": [row("small", {W + "json_per_value": 2}, "index.bytes", "+", "es A10")],
    "flows[].workload.size_cv": [row("small", {W + "size_cv": 3}, "latency.p99", "!", "spread of a bulk's cost")],
    "flows[].workload.arrivals": [row("small", {W + "arrivals": 50}, "batch.records.spread", "+", "dispersion")],
    "flows[].workload.partition_skew": [row("small", {W + "partition_skew": 1}, "batch.seconds", "+", "spark.md L7")],
    "flows[].workload.kept": [row("small", {W + "kept": "50 %"}, "index.bytes", "-", "filter share")],
    "flows[].workload.fan_out": [row("small", {W + "fan_out": 2}, "index.bytes", "+", "linear in fan-out")],
    "flows[].workload.daily_curve": [row("small", {W + "daily_curve": [3, 1]}, "batch.records", "+", "1.5 × the mean")],
    "flows[].workload.weekly_curve": [
        row("small", {W + "weekly_curve": [3, 1, 1, 1, 1, 1, 1]}, "batch.records", "+", "7/3 of the mean")
    ],
    "flows[].workload.growth_per_month": [row("small", {W + "growth_per_month": 0.5}, "index.day", "-", "compounded")],
    "flows[].workload.bursts[].at": [row("burst", {W + "bursts[0].at": 400}, "lag.max", "-", "outside the window")],
    "flows[].workload.bursts[].duration": [row("burst", {W + "bursts[0].duration": 20}, "batch.records", "+", "")],
    "flows[].workload.bursts[].factor": [row("burst", {W + "bursts[0].factor": 20}, "lag.max", "+", "")],
    "flows[].workload.steps": [
        row("small", {W + "rate": None, W + "steps": [[80, 4000]]}, "batch.records", "+", "a planned series")
    ],
    "flows[].topic.partitions": [row("python", {T + "partitions": 24}, "batch.seconds", "+", "lab.md: tasks are dear")],
    "flows[].topic.copies": [row("small", {T + "copies": 2}, "log.bytes", "-", "kafka.md A5")],
    "flows[].topic.min_insync": [row("small", {T + "min_insync": 3}, "findings", "!", "kafka.md B2")],
    "flows[].topic.retention": [row("small", {T + "retention": "1 d"}, "log.bytes", "-", "in × retention × copies")],
    "flows[].topic.consumer_groups": [
        row("small", {T + "consumer_groups": 5}, "load.kafka network out", "+", "kafka.md A5"),
        row("small", {T + "consumer_groups": 50}, "busy.kafka", "+", "kafka.fetch_byte_cpu_seconds"),
    ],
    "flows[].topic.producer.count": [row("lz4", {P + "count": 400}, "log.bytes", "+", "kafka.md A2: smaller batches")],
    "flows[].topic.producer.linger": [
        row("small", {P + "linger": "500 ms"}, "hop.produce", "+", "kafka.md A3"),
        row("lz4", {P + "linger": "500 ms"}, "log.bytes", "-", "kafka.md A2"),
    ],
    "flows[].topic.producer.batch_size": [
        row("lz4", {P + "batch_size": "600 B", P + "linger": "500 ms"}, "log.bytes", "+", "kafka.md A2")
    ],
    "flows[].topic.producer.acks": [
        row("small", {P + "acks": "1"}, "findings", "!", "kafka.md B2"),
        row("small", {P + "acks": "1"}, "publish", "-", "kafka.md A3"),
    ],
    "flows[].topic.producer.partitioner": [row("lz4", {P + "partitioner": "keyed"}, "log.bytes", "+", "kafka.md B1")],
    "flows[].topic.producer.compression": [row("lz4", {P + "compression": "none"}, "log.bytes", "+", "kafka.md A2")],
    "flows[].topic.producer.compression_ratio": [
        row("lz4", {P + "compression_ratio": {"lz4": 9}}, "log.bytes", "-", "kafka.md A2: one's own records"),
        row("lz4", {P + "compression_ratio": {"lz4": 9}}, "load.kafka network out", "-", "kafka.md A5"),
    ],
    "flows[].topic.producer.buffer_memory": [
        row("flooded", {P + "buffer_memory": "320 MiB"}, "publish", "+", "kafka.md A4: Little")
    ],
    "flows[].query.trigger": [row("small", {Q + "trigger": "8 s"}, "latency.p50", "+", "spark.md L5")],
    "flows[].query.max_offsets_per_trigger": [row("small", {Q + "max_offsets_per_trigger": 900}, "lag.max", "+", "B4")],
    "flows[].query.min_partitions": [row("small", {Q + "min_partitions": 24}, "batch.tasks", "+", "spark.md B4")],
    "flows[].query.transform_cpu_ratio": [row("small", {Q + "transform_cpu_ratio": 50}, "batch.seconds", "+", "CPU")],
    "flows[].query.state.shuffle_partitions": [
        row("state", {Q + "state.shuffle_partitions": 200}, "batch.seconds", "+", "spark.md A4")
    ],
    "flows[].query.state.provider": [row("rows", {Q + "state.provider": "rocksdb"}, "batch.seconds", "+", "A4")],
    "flows[].query.state.keys": [row("state", {Q + "state.keys": 10_000_000}, "memory.state", "+", "A4")],
    "flows[].query.state.watermark_delay": [
        row("state", {Q + "state.watermark_delay": "10 min"}, "memory.state", "+", "A4: rate × delay")
    ],
    "flows[].query.state.new_keys": [
        row("watermark", {Q + "state.new_keys": "10 %"}, "memory.state", "-", "A4: keys opened")
    ],
    "flows[].query.state.bytes_per_key": [row("state", {Q + "state.bytes_per_key": 900}, "memory.state", "+", "A4")],
    "flows[].query.checkpoint": [row("small", {Q + "checkpoint": "local"}, "batch.seconds", "-", "A5")],
    "flows[].query.file_manager": [row("small", {Q + "file_manager": "abortable"}, "batch.seconds", "-", "A5")],
    "flows[].query.fail_on_data_loss": [
        row("expired", {Q + "fail_on_data_loss": False}, "outcome", "!", "spark.md B4")
    ],
    "flows[].query.sink.kind": [row("small", {S + "kind": "python-foreach"}, "batch.seconds", "+", "spark.md E1.5")],
    "flows[].query.sink.bulk_entries": [row("small", {S + "bulk_entries": 20}, "batch.seconds", "+", "es A7")],
    "flows[].query.sink.bulk_bytes": [row("small", {S + "bulk_bytes": "10 kB"}, "batch.seconds", "+", "spark.md A6")],
    "flows[].query.sink.writers_per_task": [
        row("bulky", {S + "writers_per_task": 8}, "batch.seconds", "-", "elasticsearch.md A2")
    ],
    "flows[].query.sink.retry.attempts": [row("refused", {S + "retry.attempts": 0}, "outcome", "!", "spark.md A6")],
    "flows[].query.sink.retry.wait": [row("refused", {S + "retry.wait": "1 s"}, "batch.seconds", "-", "spark.md A6")],
    "flows[].query.sink.retry.multiplier": [row("refused", {S + "retry.multiplier": 3}, "batch.seconds", "+", "A6")],
    "flows[].query.sink.retry.longest": [
        row("patient", {S + "retry": {"wait": 2, "multiplier": 10, "longest": 3}}, "lag.max", "-", "capped back-off")
    ],
    "flows[].query.sink.refresh_per_write": [
        row("small", {S + "refresh_per_write": True}, "hop.refresh", "-", "spark.md A6: shown at once, paid in CPU"),
        row("small", {S + "refresh_per_write": True}, "findings", "!", "spark.md A6"),
    ],
    "flows[].query.sink.connector": [
        row("spark4", {S + "connector": "elasticsearch-hadoop 8.17"}, "findings", "!", "spark.md B6")
    ],
    "flows[].topic.producer.client": [
        row("kafka4", {P + "client": "2.0"}, "findings", "!", "kafka.md B5 (KIP-896)"),
    ],
    "kafka.java": [row("kafka4", {"kafka.java": "11"}, "findings", "!", "kafka.md B5")],
    "spark.java": [row("spark4", {"spark.java": "11"}, "findings", "!", "spark.md B6")],
    "spark.scala": [row("spark4", {"spark.scala": "2.12"}, "findings", "!", "spark.md B6")],
    "flows[].query.sink.ids": [row("small", {S + "ids": "explicit"}, "findings", "!", "spark.md A6")],
    "flows[].query.sink.cpu_ratio": [row("small", {S + "cpu_ratio": 50}, "batch.seconds", "+", "CPU of the sink")],
    "flows[].index.primaries": [row("small", {X + "primaries": 1}, "index.fullest", "+", "placement of shards")],
    "flows[].index.copies": [
        row("small", {X + "copies": 1}, "index.bytes", "-", "each replica is a full copy"),
        row("small", {X + "copies": 1}, "busy.elasticsearch", "-", "elasticsearch.md A3"),
    ],
    "flows[].index.replication": [row("small", {X + "replication": "segment"}, "busy.elasticsearch", "-", "A4")],
    "flows[].index.refresh_interval": [row("small", {X + "refresh_interval": "20 s"}, "hop.refresh", "+", "B2")],
    "flows[].index.refresh_schedule": [row("small", {X + "refresh_schedule": "fixed-rate"}, "hop.refresh", "!", "B2")],
    "flows[].index.translog": [row("small", {X + "translog": "async"}, "batch.seconds", "-", "es B2")],
    "flows[].index.codec": [row("small", {X + "codec": "best_compression"}, "index.bytes", "-", "es B6")],
    "flows[].index.mapping": [row("small", {X + "mapping": "dynamic"}, "index.bytes", "+", "es D3")],
    "flows[].index.cpu_ratio": [row("small", {X + "cpu_ratio": 5}, "busy.elasticsearch", "+", "measured by the user")],
    "flows[].index.bytes_ratio": [row("small", {X + "bytes_ratio": 2}, "index.bytes", "+", "measured by the user")],
    "flows[].index.hottest_shard": [row("small", {X + "hottest_shard": 3}, "index.fullest", "+", "custom routing")],
    "flows[].index.retention": [row("small", {X + "retention": "1 d"}, "index.bytes", "-", "in × retention × copies")],
    "flows[].index.search.rate": [row("small", {X + "search.rate": "20/s"}, "busy.elasticsearch", "+", "A8")],
    "flows[].index.search.cpu": [row("searched", {X + "search.cpu": 5}, "busy.elasticsearch", "+", "A8")],
    "flows[].index.search.hot": [row("searched", {X + "search.hot": "90 %"}, "memory.hot", "+", "page cache")],
    "kafka.hosts": [row("hosted", {"kafka.hosts": ["a"]}, "busy.a", "!", "who shares cores")],
    "kafka.background": [row("small", {"kafka.background": 0.5}, "busy.kafka", "+", "measured by the user")],
    "kafka.kind": [row("small", {"kafka.kind": "self-managed"}, "findings", "!", "kafka.md B2")],
    "flows[].index.rollover": [
        row("small", {X + "rollover": "7 d"}, "index.bytes", "+", "the oldest index outlives retention"),
        row("small", {X + "rollover": "7 d"}, "findings", "!", "elasticsearch.md B3: size of a shard"),
    ],
    "kafka.version": [row("small", {"kafka.version": "4.1"}, "findings", "!", "kafka.md B5")],
    "kafka.brokers": [row("small", {"kafka.brokers": 6}, "log.fullest", "-", "kafka.md A5")],
    "kafka.machine": [row("small", {"kafka.machine": "m7g.2xlarge"}, "busy.kafka", "-", "cores and speed")],
    "kafka.zones": [
        row("small", {"kafka.zones": 1}, "traffic", "-", "kafka.md A5"),
        row("small", {"kafka.zones": 1}, "hop.produce", "-", "kafka.md D6: round trips"),
    ],
    "kafka.volume.size": [row("small", {"kafka.volume": {"size": "2 TiB"}}, "log.share", "-", "")],
    "kafka.volume.throughput": [
        row("small", {"kafka.volume": {"size": "1 TiB", "throughput": "20 MiB/s"}}, "load.kafka volume", "+", "A5")
    ],
    "kafka.io_threads": [row("flooded", {"kafka.io_threads": 1}, "publish", "+", "kafka.md C0: request queue")],
    "kafka.heap": [row("small", {"kafka.heap": "1 GiB"}, "memory.cache", "+", "kafka.md A7")],
    "kafka.replica_fetchers": [
        row("small", {"kafka.replica_fetchers": 1}, "load.kafka replica fetchers", "+", "kafka.md B2"),
    ],
    "kafka.tls_between_brokers": [
        row("small", {"kafka.tls_between_brokers": False}, "busy.kafka", "-", "kafka.tls_byte_cpu_seconds")
    ],
    "kafka.authentication": [row("small", {"kafka.authentication": "scram"}, "findings", "!", "AWS MSK guide")],
    "kafka.tls": [row("small", {"kafka.tls": False}, "busy.kafka", "-", "kafka.tls_byte_cpu_seconds")],
    "kafka.rack_aware_fetch": [row("read", {"kafka.rack_aware_fetch": True}, "traffic", "-", "kafka.md B4")],
    "spark.hosts": [row("hosted", {"spark.hosts": ["a"]}, "busy.a", "!", "who shares cores")],
    "spark.background": [row("small", {"spark.background": 0.95}, "batch.seconds", "+", "measured by the user")],
    "spark.kind": [row("spark4", {"spark.kind": "ec2"}, "findings", "!", "spark.md")],
    "spark.version": [row("small", {"spark.version": "4.1"}, "findings", "!", "spark.md: EMR releases")],
    "spark.executors": [row("busy", {"spark.executors": 1}, "batch.seconds", "+", "spark.md L7")],
    "spark.cores": [row("busy", {"spark.cores": 1}, "batch.seconds", "+", "spark.md L7")],
    "spark.heap": [row("small", {"spark.heap": "16 GiB"}, "memory.container", "+", "spark.md C1")],
    "spark.resource_manager": [
        row("python", {"spark.resource_manager": "kubernetes"}, "memory.container", "+", "spark.md C1: 0.40, 0.10")
    ],
    "spark.python_memory": [row("python", {"spark.python_memory": "2 GiB"}, "memory.container", "+", "spark.md C1")],
    "spark.off_heap": [row("small", {"spark.off_heap": "2 GiB"}, "memory.container", "+", "spark.md C1")],
    "spark.driver_heap": [row("small", {"spark.driver_heap": "8 GiB"}, "memory.driver", "+", "spark.md C3")],
    "spark.scaling.kind": [row("elastic", {"spark.scaling.kind": "managed"}, "scaling.nodes", "-", "nodes leave")],
    "spark.scaling.least": [row("elastic", {"spark.scaling.least": 3}, "scaling.held", "+", "spark.md B2")],
    "spark.scaling.most": [row("elastic", {"spark.scaling.most": 1}, "scaling.held", "-", "spark.md B2")],
    "spark.scaling.backlog_timeout": [
        row("elastic", {"spark.scaling.backlog_timeout": "20 s"}, "scaling.asked", "-", "spark.md B2")
    ],
    "spark.scaling.sustained_timeout": [
        row("elastic", {"spark.scaling.sustained_timeout": "20 s"}, "scaling.held", "!", "spark.md B2")
    ],
    "spark.scaling.idle_timeout": [
        row("elastic", {"spark.scaling.idle_timeout": "1 h"}, "scaling.held", "+", "spark.md B2")
    ],
    "spark.scaling.start": [row("elastic", {"spark.scaling.start": "2 min"}, "scaling.held", "!", "spark.md A8")],
    "spark.scaling.node_start": [
        row("nodes", {"spark.scaling.node_start": "20 min"}, "scaling.held", "!", "no published figure")
    ],
    "spark.scaling.node_idle": [
        row("nodes", {"spark.scaling.node_idle": "1 s"}, "scaling.nodes", "-", "no published figure")
    ],
    "spark.memory_overhead": [row("small", {"spark.memory_overhead": "4 GiB"}, "memory.container", "+", "spark.md C1")],
    "spark.restart.policy": [row("hurt", {"spark.restart.policy": "none"}, "outcome", "!", "spark.md A8")],
    "spark.restart.wait": [row("hurt", {"spark.restart.wait": 25}, "batch.count", "-", "down for longer")],
    "spark.restart.start": [row("hurt", {"spark.restart.start": 25}, "batch.count", "-", "down for longer")],
    "spark.restart.multiplier": [row("dying", {"spark.restart.multiplier": 1}, "batch.count", "+", "back-off")],
    "spark.restart.longest": [row("dying", {"spark.restart.longest": 4}, "batch.count", "+", "back-off")],
    "faults[].kind": [row("hurt", {"faults[0].kind": "controller-lost"}, "batch.count", "+", "kafka.md B3")],
    "faults[].at": [row("hurt", {"faults[0].at": 75}, "batch.count", "+", "fewer batches are missing")],
    "faults[].duration": [row("blocked", {"faults[0].duration": 20}, "lag.max", "+", "blocked for longer")],
    "faults[].target": [row("blocked", {"faults[0].target": "write"}, "outcome", "!", "403 instead of 429")],
    "faults[].factor": [row("surge", {"faults[0].factor": 10}, "lag.max", "+", "more arrives")],
    "faults[].delay": [row("far", {"faults[0].delay": 0.3}, "latency.p50", "+", "every bulk crosses zones")],
    "faults[].bytes": [row("moved", {"faults[0].bytes": "1 GB"}, "busy.kafka", "-", "the copying ends sooner")],
    "faults[].throttle": [row("moved", {"faults[0].throttle": "5 MB/s"}, "busy.kafka", "-", "slower copying")],
    "faults[].silent": [row("gone", {"faults[0].silent": True}, "batch.count", "-", "spark.md A8: network.timeout")],
    "faults[].manual": [row("barred", {"faults[0].manual": True}, "lag.max", "-", "es B4: lifted within 30 s")],
    "spark.machine": [row("busy", {"spark.machine": "m7g.large"}, "batch.seconds", "+", "cores and speed")],
    "spark.driver_machine": [row("small", {"spark.driver_machine": "m7i.4xlarge"}, "batch.seconds", "!", "speed")],
    "elasticsearch.hosts": [row("hosted", {"elasticsearch.hosts": ["a"]}, "busy.a", "!", "who shares cores")],
    "elasticsearch.background": [row("small", {"elasticsearch.background": 0.5}, "busy.elasticsearch", "+", "user")],
    "elasticsearch.kind": [
        row("small", {"elasticsearch.kind": "self-managed-opensearch"}, "index.block", "!", "es B4")
    ],
    "elasticsearch.version": [row("big", {"elasticsearch.version": "8.4"}, "index.day", "-", "elasticsearch.md B4")],
    "elasticsearch.data_nodes": [row("six", {"elasticsearch.data_nodes": 6}, "index.fullest", "-", "placement")],
    "elasticsearch.machine": [row("small", {"elasticsearch.machine": "r7g.2xlarge"}, "busy.elasticsearch", "-", "")],
    "elasticsearch.zones": [row("small", {"elasticsearch.zones": 1}, "traffic", "-", "zones")],
    "elasticsearch.volume.size": [row("small", {"elasticsearch.volume": {"size": "200 GiB"}}, "index.day", "-", "B4")],
    "elasticsearch.free_space_rule": [
        row("small", {"elasticsearch.free_space_rule": "larger"}, "index.block", "-", "elasticsearch.md B4, F1")
    ],
    "elasticsearch.volume.throughput": [
        row("small", {"elasticsearch.volume": {"size": "1 TiB", "throughput": "20 MiB/s"}},
            "load.elasticsearch volume", "+", "es A6")
    ],
    "elasticsearch.heap": [row("own", {"elasticsearch.heap": "2 GiB"}, "memory.in_flight", "-", "es B1")],
    "elasticsearch.write_threads": [row("bulky", {"elasticsearch.write_threads": 1}, "batch.seconds", "+", "B1")],
    "elasticsearch.tls": [row("bytes", {"elasticsearch.tls": False}, "batch.seconds", "-", "tls_byte_cpu_seconds")],
    "elasticsearch.managers": [row("small", {"elasticsearch.managers": 3}, "findings", "!", "elasticsearch.md A14")],
    "hosts[].name": [row("hosted", {"hosts[0].name": "c"}, "host.names", "!", "the reader's")],
    "hosts[].machine": [
        row("hosted", {"hosts[1].cores": None, "hosts[1].memory": None, "hosts[1].network": None,
                       "hosts[1].machine": "m7g.large"}, "batch.seconds", "!", "cores and speed")
    ],
    "hosts[].cores": [row("hosted", {"hosts[1].cores": 0.2}, "batch.seconds", "+", "processor sharing")],
    "hosts[].per_core_speed": [row("hosted", {"hosts[1].per_core_speed": 5000}, "batch.seconds", "+", "CoreMark")],
    "hosts[].memory": [row("hosted", {"hosts[1].memory": "4 GiB"}, "memory.cache", "-", "kafka.md A7")],
    "hosts[].network": [row("hosted", {"hosts[1].network": "10 MB/s"}, "load.kafka network in", "+", "kafka.md A5")],
    "hosts[].zone": [row("apart", {"hosts[0].zone": "a"}, "batch.seconds", "-", "hosts.zone_round_trip_seconds")],
    "hosts[].smt_yield": [
        row("threaded", {"hosts[1].smt_yield": 1.0}, "batch.seconds", "-", "CoreMark is that of all threads")
    ],
    "hosts[].background": [row("hosted", {"hosts[1].background": 0.8}, "batch.seconds", "+", "measured by the user")],
    "targets.p99": [row("small", {"targets.p99": "1 ms"}, "verdict", "!", "a promise")],
    "targets.p50": [row("small", {"targets.p50": "1 ms"}, "verdict", "!", "a promise")],
    "targets.catch_up": [row("small", {"targets.catch_up": "1 s"}, "verdict", "!", "a promise")],
    "targets.outage": [row("small", {"targets.outage": "2 h"}, "catch_up", "+", "spark.md A3: B / (mu - lambda)")],
    "targets.throughput_headroom": [row("small", {"targets.throughput_headroom": 100}, "verdict", "!", "a promise")],
    "targets.survive": [row("small", {"targets.survive": ["broker"]}, "verdict", "!", "a promise")],
    "targets.monthly_budget_usd": [row("small", {"targets.monthly_budget_usd": 10}, "verdict", "!", "a promise")],
    "targets.horizon": [row("small", {"targets.horizon": "3000 d"}, "verdict", "!", "a promise")],
    "targets.judged": [
        row("burst", {"targets.judged": {"p99": {"window": "10 min"}}}, "promise.p99", "-", "a burst among many")
    ],
    "targets.cpu_headroom": [
        row("small", {"targets.cpu_headroom": 0.5}, "recommend.wants", "!", "what is bought"),
        row("small", {"targets.cpu_headroom": 0.99}, "verdict", "!", "a promise"),
    ],
    "targets.disk_headroom": [
        row("small", {"targets.disk_headroom": 0.3}, "recommend.wants", "!", "what is bought"),
        row("small", {"targets.disk_headroom": 0.9}, "verdict", "!", "a promise"),
    ],
    "targets.memory_headroom": [
        row("small", {"targets.memory_headroom": 0.2}, "recommend.wants", "!", "bought"),
        row("small", {"targets.memory_headroom": 0.9}, "verdict", "!", "a promise"),
    ],
    "targets.regions": [row("small", {"targets.regions": ["eu-west-1"]}, "recommend.wants", "!", "what is bought")],
    "targets.families": [row("small", {"targets.families": ["m7g"]}, "recommend.wants", "!", "what is bought")],
    "targets.managed": [row("small", {"targets.managed": "either"}, "recommend.wants", "!", "what is bought")],
    "targets.most_nodes": [row("small", {"targets.most_nodes": 9}, "recommend.wants", "!", "what is bought")],
    "run.measure": [row("small", {"run.measure": 200}, "batch.count", "+", "")],
    "run.warm_up": [row("cold", {"run.warm_up": 300}, "batch.seconds", "-", "spark.md A8: the JVM warms")],
    "run.repeats": [row("small", {"run.repeats": 8}, "interval", "!", "Student's t")],
    "run.jvm": [row("cold", {"run.jvm": "warm"}, "batch.seconds", "-", "spark.md A8")],
    "run.phase": [row("small", {"run.phase": "aligned"}, "hop.refresh", "!", "engine.md C2: phases are locked")],
    "coefficients": [row("small", {"coefficients": "lab-2026-11-23"}, "batch.seconds", "!", "dated data")],
    "overrides": [row("small", {"overrides": {"spark.record_cpu_seconds": 1e-3}}, "batch.seconds", "+", "by hand")],
    "tags": [row("small", {"tags": {"team": "search"}}, "bill.lines", "!", "finance joins on them")],
    "elasticsearch.manager_machine": [
        row("managed", {"elasticsearch.manager_machine": "m7g.2xlarge"}, "bill.compute", "+", "price list")
    ],
    "money.region": [row("small", {M + "region": "eu-west-1"}, "bill.total", "+", "price list")],
    "money.month": [row("small", {M + "month": "2026-02"}, "bill.compute", "-", "672 hours, not 730")],
    "money.currency": [row("euro", {M + "currency": "CHF"}, "bill.currency", "!", "given")],
    "money.currency_per_usd": [row("euro", {M + "currency_per_usd": 2}, "bill.currency", "!", "given")],
    "money.price_book": [row("small", {M + "price_book": OLDER_BOOK}, "bill.total", "-", "another dated book")],
    "money.prices": [row("small", {M + "prices": {"msk/broker/kafka.m7g.large": 0.1}}, "bill.compute", "-", "given")],
    "money.load_spread": [row("small", {M + "load_spread": 1}, "bill.p90", "+", "joint draws")],
    "money.support_plan": [row("small", {M + "support_plan": "business"}, "bill.support", "+", "support plans")],
    "money.engineer_hours": [row("people", {M + "engineer_hours": 80}, "bill.other", "+", "given")],
    "money.engineer_usd_per_hour": [row("people", {M + "engineer_usd_per_hour": 90}, "bill.other", "+", "given")],
    "money.third_parties": [row("small", {M + "third_parties": {"pager": 99}}, "bill.other", "+", "given")],
    "money.spot_share": [row("small", {M + "spot_share": "50 %"}, "bill.compute", "-", "aws-prices.md B6")],
    "money.spot_interruptions": [row("spot", {M + "spot_interruptions": 9}, "bill.compute", "+", "boxes paid twice")],
    "money.spot_replacement": [row("spot", {M + "spot_replacement": "1 d"}, "bill.compute", "+", "two boxes at once")],
    "money.spot_fallback": [row("spot", {M + "spot_fallback": "50 %"}, "bill.compute", "+", "on demand instead")],
    "money.changes[].month": [row("planned", {H + "month": 3}, "bill.later", "!", "from another month on")],
    "money.changes[].set": [row("planned", {H + "set": {"spark.executors": 9}}, "bill.later", "+", "more boxes")],
    "money.changes[].why": [row("planned", {H + "why": "more load"}, "bill.steps", "!", "the reader's")],
    "money.spark_disk": [row("small", {M + "spark_disk": "1 TiB"}, "bill.storage", "+", "aws-prices.md A5")],
    "money.spark_reads_near": [row("racks", {M + "spark_reads_near": True}, "bill.transfer", "-", "KIP-392")],
    "money.kafka_controllers": [row("self", {M + "kafka_controllers": 5}, "bill.compute", "+", "KRaft quorum")],
    "money.controller_machine": [row("self", {M + "controller_machine": "m7g.2xlarge"}, "bill.compute", "+", "")],
    "money.dashboards_nodes": [row("self", {M + "dashboards_nodes": 2}, "bill.compute", "+", "")],
    "money.dashboards_machine": [
        row("boards", {M + "dashboards_machine": "m7g.2xlarge"}, "bill.compute", "+", "price list")
    ],
    "money.node_losses_per_year": [row("self", {M + "node_losses_per_year": 12}, "bill.transfer", "+", "refills")],
    "money.snapshots.every": [row("self", {M + "snapshots.every": "1 h"}, "bill.storage", "+", "elasticsearch.md B6")],
    "money.snapshots.kept": [row("snaps", {M + "snapshots.kept": "1 d"}, "bill.storage", "-", "elasticsearch.md B6")],
    "money.account.aws_usd": [row("helped", {M + "account.aws_usd": 200_000}, "bill.support", "-", "cheaper tiers")],
    "money.account.s3_standard": [row("snaps", {M + "account.s3_standard": "900 TB"}, "bill.storage", "-", "tiers")],
    "money.account.internet_out": [
        row("sending", {M + "account.internet_out": "1 TB"}, "bill.transfer", "+", "the account's 100 GB are used")
    ],
    "money.account.custom_metrics": [
        row("watched", {M + "account.custom_metrics": 20_000}, "bill.monitoring", "-", "cheaper tiers")
    ],
    "money.account.prometheus_samples": [
        row("watched", {M + "account.prometheus_samples": 80e6}, "bill.monitoring", "+", "the first 40M are used")
    ],
    "money.network.nat_gateways": [row("small", {N + "nat_gateways": 2}, "bill.transfer", "+", "aws-prices.md B5")],
    "money.network.nat_data": [row("small", {N + "nat_data": "1 TB"}, "bill.transfer", "+", "aws-prices.md B5")],
    "money.network.endpoint_zones": [row("small", {N + "endpoint_zones": 3}, "bill.transfer", "+", "B5")],
    "money.network.endpoint_data": [row("small", {N + "endpoint_data": "1 TB"}, "bill.transfer", "+", "B5")],
    "money.network.application_balancers": [row("small", {N + "application_balancers": 1}, "bill.transfer", "+", "B5")],
    "money.network.application_lcus": [row("small", {N + "application_lcus": 3}, "bill.transfer", "+", "B5")],
    "money.network.network_balancers": [row("small", {N + "network_balancers": 1}, "bill.transfer", "+", "B5")],
    "money.network.network_lcus": [row("small", {N + "network_lcus": 3}, "bill.transfer", "+", "B5")],
    "money.network.public_addresses": [row("small", {N + "public_addresses": 4}, "bill.transfer", "+", "B5")],
    "money.network.internet_out": [row("small", {N + "internet_out": "1 TB"}, "bill.transfer", "+", "B5")],
    "money.network.to_regions": [
        row("small", {N + "to_regions": {"us-west-2": "1 TB"}}, "bill.transfer", "+", "aws-prices.md B5")
    ],
    "money.monitoring.custom_metrics": [row("small", {V + "custom_metrics": 100}, "bill.monitoring", "+", "B5")],
    "money.monitoring.metrics_read": [row("small", {V + "metrics_read": 1e6}, "bill.monitoring", "+", "B5")],
    "money.monitoring.alarms": [row("small", {V + "alarms": 10}, "bill.monitoring", "+", "B5")],
    "money.monitoring.logs": [row("small", {V + "logs": "100 GB"}, "bill.monitoring", "+", "B5")],
    "money.monitoring.logs_kept": [row("watched", {V + "logs_kept": "365 d"}, "bill.monitoring", "+", "B5")],
    "money.monitoring.prometheus_samples": [row("small", {V + "prometheus_samples": 1e9}, "bill.monitoring", "+", "")],
    "money.monitoring.prometheus_stored": [
        row("small", {V + "prometheus_stored": "1 TB"}, "bill.monitoring", "+", "aws-prices.md B5")
    ],
    "money.monitoring.grafana_editors": [row("small", {V + "grafana_editors": 3}, "bill.monitoring", "+", "B5")],
    "money.monitoring.grafana_viewers": [row("small", {V + "grafana_viewers": 3}, "bill.monitoring", "+", "B5")],
    "money.commitments[].kind": [row("promised", {C + "kind": "compute-sp"}, "bill.compute", "-", "any family")],
    "money.commitments[].machine": [row("promised", {C + "machine": "r7g.2xlarge"}, "bill.compute", "+", "unused")],
    "money.commitments[].count": [row("promised", {C + "count": 1}, "bill.compute", "!", "hours bought")],
    "money.commitments[].years": [row("listed", {C + "years": 3}, "bill.compute", "-", "aws-prices.md B6")],
    "money.commitments[].payment": [row("listed", {C + "payment": "all"}, "bill.compute", "-", "A7")],
    "money.commitments[].owned_months": [row("listed", {C + "owned_months": 12}, "bill.compute", "+", "run out")],
    "money.commitments[].leaves_in_month": [row("listed", {C + "leaves_in_month": 6}, "bill.stranded", "+", "")],
    "money.commitments[].share_of_listed": [row("promised", {C + "share_of_listed": 0.9}, "bill.compute", "+", "")],
    "money.discounts[].service": [row("agreed", {D + "service": "AmazonMSK"}, "bill.total", "!", "given")],
    "money.discounts[].usage_type": [
        row("agreed", {D + "usage_type": "BoxUsage:m7g.2xlarge"}, "bill.total", "+", "one usage type of it")
    ],
    "money.discounts[].share": [row("agreed", {D + "share": "20 %"}, "bill.total", "-", "given")],
}  # fmt: skip
KINDS = ("compute", "storage", "transfer", "requests", "monitoring", "support")
FULL = ("verdict", "promise.p99", "catch_up", "interval", "report.title")  # outputs that need a whole forecast

BASE = """
name: small
flows:
- name: events
  workload: {rate: 1000/s, size: 1 kB}
  topic: {partitions: 6}
  query:
    trigger: 4 s
    sink: {kind: jvm-connector}
  index: {primaries: 3}
targets: {p99: 1 h, p50: 1 h, catch_up: 10 h, outage: 2 min, throughput_headroom: 0.01}
run: {measure: 60, warm_up: 20}
"""
ELASTIC = {W + "rate": "8k/s", Q + "trigger": "60 s", T + "partitions": 16, Q + "transform_cpu_ratio": 10,
           "spark.executors": 1, "spark.cores": 2, "spark.scaling": {"most": 4, "idle_timeout": "20 s"}}  # fmt: skip
BASES: dict[str, dict[str, Any]] = {  # on top of BASE
    "small": {},
    "raw": {W + "size_is": "raw"},
    "burst": {W + "bursts": [{"at": 30, "duration": 4, "factor": 5}]},
    "lz4": {P + "compression": "lz4"},
    "python": {S + "kind": "python-foreach"},
    "rows": {W + "rate": "4k/s", Q + "state": {"shuffle_partitions": 8}, Q + "checkpoint": "local",
             "overrides": {"spark.state_row_cpu_seconds": 5e-5}},  # a wide row, so that noise does not hide it
    "state": {Q + "state": {"shuffle_partitions": 8}, Q + "checkpoint": "local"},
    "busy": {W + "rate": "8k/s", Q + "transform_cpu_ratio": 20},
    "bulky": {W + "rate": "8k/s", S + "bulk_entries": 100},
    "flooded": {W + "rate": "60k/s", T + "partitions": 6, P + "count": 1,
                "overrides": {"kafka.batch_cpu_seconds": 0.002}},
    "refused": {W + "rate": "20k/s", S + "bulk_bytes": "20 MB", S + "bulk_entries": 50_000,
                "elasticsearch.kind": "self-managed-opensearch", "elasticsearch.heap": "256 MiB"},
    "spark4": {"spark.version": "4.1"},
    "kafka4": {"kafka.version": "4.1"},
    "elastic": ELASTIC,
    "nodes": ELASTIC | {"spark.scaling": {"kind": "managed", "most": 4, "idle_timeout": "20 s"}},
    "watermark": {Q + "state": {"shuffle_partitions": 8, "watermark_delay": "10 min"}, Q + "checkpoint": "local"},
    "six": {X + "primaries": 6},
    "searched": {X + "search.rate": "20/s"},
    "own": {"elasticsearch.kind": "self-managed-opensearch", "elasticsearch.heap": "8 GiB"},
    "big": {"elasticsearch.kind": "self-managed-elasticsearch", "elasticsearch.version": "8.17",
            "elasticsearch.volume.size": "8 TiB", W + "rate": "8k/s", X + "retention": "365 d"},
    "managed": {"elasticsearch.managers": 3},
    "euro": {M + "currency": "EUR", M + "currency_per_usd": 0.9},
    "people": {M + "engineer_hours": 40, M + "engineer_usd_per_hour": 80},
    "racks": {"kafka.rack_aware_fetch": True},
    "read": {T + "consumer_groups": 2},
    "self": {"kafka.kind": "self-managed", "elasticsearch.kind": "self-managed-opensearch"},
    "boards": {"elasticsearch.kind": "self-managed-opensearch", M + "dashboards_nodes": 1},
    "snaps": {"elasticsearch.kind": "self-managed-opensearch", M + "snapshots.every": "1 h"},
    "helped": {M + "support_plan": "business"},
    "sending": {N + "internet_out": "200 GB"},
    "watched": {V + "custom_metrics": 100, V + "prometheus_samples": 20e6, V + "logs": "1 TB"},
    "listed": {M + "commitments": [{"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 2}]},
    "promised": {"spark.driver_machine": "m7i.xlarge", M + "commitments": [
        {"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 3, "share_of_listed": 0.6}]},
    "spot": {M + "spot_share": "100 %"},
    "planned": {M + "changes": [{"month": 2, "set": {"spark.executors": 4}}]},
    "agreed": {M + "discounts": [{"service": "AmazonEC2", "share": "10 %"}]},
    "cold": {"run.jvm": "cold", "run.warm_up": 0},
    "bytes": {W + "size": "100 kB", "overrides": {"kafka.tls_byte_cpu_seconds": 1e-8}},
    "apart": {"hosts": [{"name": n, "cores": 2, "memory": "16 GiB", "network": "1 GB/s", "zone": z}
                        for n, z in (("a", "b"), ("b", "a"))],
              "kafka.kind": "self-managed", "elasticsearch.kind": "self-managed-opensearch", "kafka.zones": 1,
              "elasticsearch.zones": 1, "kafka.hosts": ["b"], "spark.hosts": ["b"], "elasticsearch.hosts": ["a"],
              "overrides": {"hosts.zone_round_trip_seconds": 0.1}},
    "threaded": {"hosts": [{"name": "a", "cores": 8}, {"name": "b", "machine": "m5.large"}],
                 "kafka.kind": "self-managed", "elasticsearch.kind": "self-managed-opensearch",
                 "kafka.hosts": ["a"], "spark.hosts": ["b"], "elasticsearch.hosts": ["a"], "spark.executors": 1},
    "hurt": {"spark.restart": {"policy": "supervisor", "wait": 5, "start": 5},
             "faults": [{"kind": "driver-lost", "at": 40}]},
    "dying": {"spark.restart": {"policy": "supervisor", "wait": 2, "start": 1, "multiplier": 4},
              "faults": [{"kind": "checkpoint-failing", "at": 30, "duration": 30}]},
    "patient": {S + "retry": {"wait": 2, "multiplier": 10},
                "faults": [{"kind": "index-blocked", "at": 30, "duration": 10}]},
    "blocked": {S + "retry": {"wait": 1, "attempts": 40},
                "faults": [{"kind": "index-blocked", "at": 30, "duration": 10}]},
    "barred": {S + "retry": {"wait": 1, "attempts": 60},
               "faults": [{"kind": "index-blocked", "at": 30, "duration": 40}]},
    "surge": {"faults": [{"kind": "burst", "at": 30, "duration": 10, "factor": 5}]},
    "far": {"faults": [{"kind": "zone-delay", "at": 10, "duration": 70, "delay": 0.05}]},
    "moved": {"faults": [{"kind": "partitions-moved", "at": 10, "bytes": "20 GB"}]},
    "gone": {W + "rate": "8k/s", Q + "transform_cpu_ratio": 20, "faults": [{"kind": "executor-lost", "at": 34}]},
    "expired": {W + "rate": "3k/s", W + "size": "100 kB", T + "partitions": 1, T + "retention": 10, S + "kind": "noop",
                "faults": [{"kind": "outage", "target": "spark", "at": 25, "duration": 40}]},
    "hosted": {"hosts": [{"name": n, "cores": 2, "memory": "16 GiB", "network": "1 GB/s"} for n in "ab"],
               "kafka.kind": "self-managed", "elasticsearch.kind": "self-managed-opensearch",
               "kafka.hosts": ["b"], "spark.hosts": ["b"], "elasticsearch.hosts": ["b"]},
}  # fmt: skip


def changed(data: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The data with values set by path; None takes the key away."""
    for path, value in changes.items():
        at: Any = data
        steps = path.replace("[", ".[").split(".") if not path.startswith("overrides.") else [path]
        for step in steps[:-1]:
            at = at[int(step[1:-1])] if step.startswith("[") else at.setdefault(step, {})
        if value is None:
            at.pop(steps[-1], None)
        else:
            at[steps[-1]] = value
    return data


def spread(path: str, value: Any) -> list[str]:
    """The paths that a change sets: a mapping sets those inside it."""
    if isinstance(value, dict):
        return [path, *(p for key, inner in value.items() for p in spread(f"{path}.{key}", inner))]
    return [path]


def scenario(base: str, changes: dict[str, Any]) -> Scenario:
    data, _ = yaml_text.parse(BASE)
    return load_scenario(changed(changed(data, copy.deepcopy(BASES[base])), changes))


def outputs(it: Scenario, level: str) -> dict[str, Any]:
    """What a scenario's parts answer, by name: one run, the laws, the checks."""
    c = coefficients_of(it)
    trace = simulate(it, c, seed=3, level=level)
    flow = next(iter(trace.flows.values()))
    batches = flow.counted(trace.measured_from, trace.measured_until)
    out: dict[str, Any] = {f"hop.{k}": v for k, v in flow.hops.items()}
    out |= {f"latency.p{q}": flow.latency.quantile(q / 100) for q in (50, 99)}
    out["batch.seconds"] = (
        float((flow.batches["finished"] - flow.batches["started"]).mean()) if len(flow.batches) else math.inf
    )
    out |= {f"batch.{k}": float(batches[k].mean()) if len(batches) else math.inf for k in ("records", "tasks")}
    out["batch.records.spread"] = float(batches["records"].std()) if len(batches) else math.inf
    out["batch.count"] = len(batches)
    out["lag.max"] = float(batches["lag_records"].max()) if len(batches) else math.inf
    out["publish"] = flow.publish.mean if flow.publish is not None else math.nan
    out["outcome"] = flow.outcome
    out["flow.names"], out["host.names"] = list(trace.flows), [h.name for h in trace.hosts]
    for host in trace.hosts:
        for key in (*(f"busy.{role}" for role in host.roles[:1]), f"busy.{host.name}"):
            out[key] = out.get(key, 0.0) + host.utilisation
    out |= {f"load.{x.name}": x.utilisation for x in limits(it, c)}
    log, index = topic_storage(it), index_storage(it, c)
    out |= {"log.bytes": log.bytes, "log.fullest": log.fullest_node_bytes, "log.share": log.fullest_share}
    out |= {"index.bytes": index.bytes, "index.fullest": index.fullest_node_bytes}
    out["index.day"] = min((d for d in index.days_to.values() if d is not None), default=math.inf)
    out["index.block"] = index.days_to["write_block"]
    broker, executor, node, driver = memory(it, c)
    out |= {"memory.cache": broker.page_cache_bytes, "memory.container": executor.reserved_bytes}
    out |= {"memory.state": executor.state_bytes, "memory.hot": node.hot_bytes}
    out["memory.driver"] = driver.reserved_bytes
    out |= {"memory.in_flight": node.in_flight_limit_bytes, "traffic": sum(cross_zone_bytes_per_second(it).values())}
    out["findings"] = sorted(f.code for f in check(it))
    if it.spark.scaling is not None:
        policy = scaling(it, c, 0.1).policies[0]
        out |= {"scaling.held": policy.held_hours, "scaling.nodes": policy.node_hours, "scaling.asked": policy.asked}
    out["recommend.wants"] = wants_of(it)
    return out


@cache
def of_base(base: str, level: str) -> dict[str, Any]:
    return outputs(scenario(base, {}), level)


def billed(it: Scenario) -> dict[str, Any]:
    """What the bill says, by name, at a batch a trigger."""
    made = monthly_bill(it, coefficients_of(it))
    told = made.as_dict()
    out = {f"bill.{kind}": usd for kind, usd in dict.fromkeys(KINDS, 0.0).items()} | {
        f"bill.{kind}": usd for kind, usd in told["by_kind"].items()
    }
    out |= {"bill.total": told["monthly_usd"], "bill.other": told["other_usd"], "bill.p90": told["p90"]}
    out |= {"bill.currency": told["currency"], "bill.lines": told["lines"]}
    if it.money.changes:
        later = months(it, coefficients_of(it), paces(it), 3)
        out["bill.later"] = [float(m.bill.monthly_usd) for m in later]
        out["bill.steps"] = [m.steps for m in later]
    out["bill.stranded"] = sum(held["stranded_usd"] for held in told["commitments"])
    return out


@cache
def billed_of_base(base: str) -> dict[str, Any]:
    return billed(scenario(base, {}))


def whole(it: Scenario) -> dict[str, Any]:
    """What only a whole forecast answers."""
    out: Forecast = forecast(it, draws_of_coefficients=0)
    assert budget(out)["data"]
    return {
        "verdict": [(t.target, t.holds) for t in out.targets],
        "promise.p99": next(t.forecast for t in out.targets if t.target == "p99"),
        "catch_up": out.lag.catch_up_seconds,
        "interval": out.latency.end_to_end["p50"].sampling,
        "report.title": (out.scenario.name, out.scenario.description, out.as_text()),
    }


@cache
def whole_of_base(base: str) -> dict[str, Any]:
    return whole(scenario(base, {}))


def test_every_field_is_in_the_table() -> None:
    known = {leaf.path for leaf in leaves(Scenario)} - {
        "flows[].workload.recorded"
    }  # becomes steps: test_planner_series
    assert known - set(TABLE) - set(PENDING) == set(), "fields whose effect nobody stated"
    assert (set(TABLE) | set(PENDING)) - known == set(), "rows without a field"
    assert not set(TABLE) & set(PENDING)


def test_a_perturbation_names_its_field() -> None:
    """So that a row cannot pass by what another field does."""
    for path, rows in TABLE.items():
        for one in rows:
            own = path.replace("[]", "[0]"), path.replace("[]", "[1]")
            keys = {inner for key, value in one.changes.items() for inner in spread(key, value)}
            assert keys & set(own), path


def case(path: str, one: Row) -> Any:
    return pytest.param(path, one, id=f"{path}-{one.output}")


ROWS = [case(path, one) for path, rows in TABLE.items() for one in rows]


@pytest.mark.parametrize(("path", "one"), ROWS)
def test_a_field_moves_what_its_law_says(path: str, one: Row) -> None:
    if one.output in FULL:
        before, after = whole_of_base(one.base), whole(scenario(one.base, one.changes))
    elif one.output.startswith("bill."):
        before, after = billed_of_base(one.base), billed(scenario(one.base, one.changes))
    else:
        level = "exact" if one.output == "publish" else "fluid"
        before, after = of_base(one.base, level), outputs(scenario(one.base, one.changes), level)
    a, b = before.get(one.output), after.get(one.output)
    told = f"{path}: {one.output} went from {a} to {b}"
    if one.sign == "+":
        assert a is not None and b is not None and b > a, told
    elif one.sign == "-":
        assert a is not None and b is not None and b < a, told
    else:
        assert a != b, told


def test_the_examples_use_what_is_modelled() -> None:
    for name in ("events", "lab"):
        assert "not_modelled" not in example_text(name)
