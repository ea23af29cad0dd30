"""Ready configuration read back: the same stack as the scenario it was written from.

What the files do not say (the workload, targets, money, coefficients) comes from a base scenario with the same flows.
A file that is missing, a key that is not known and a value that does not fit are errors that name file and key.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.stack import Scenario
from models.units import GIB, KIB, MIB, parse_seconds
from planner.paste import FIXED_RATE, MANAGER, MASTERS, RACK_SELECTOR, RENAME, ROCKS_STATE, STORES
from planner.refusal import ScenarioError, house_lines

SIZES = {"b": 1.0, "k": KIB, "m": MIB, "g": GIB, "": 1.0}
IGNORED = {"default.replication.factor", "min.insync.replicas", "unclean.leader.election.enable",
           "auto.create.topics.enable", "spark.dynamicAllocation.enabled", "spark.speculation", "subscribe",
           "es.resource", "spark.memory.offHeap.enabled"}  # fmt: skip


def read_paste(folder: Path, base: Scenario) -> Scenario:
    """The base scenario with the stack that the folder's files describe. Raises ScenarioError."""
    data = base.model_dump()
    _terraform(_load(folder, "terraform/floodmark.auto.tfvars.json"), data)
    _brokers(_pairs(folder, "kafka/broker.properties"), data)
    _topics(_text(folder, "kafka/topics.sh"), data)
    _executors(_pairs(folder, "spark/spark-defaults.conf"), data)
    settings = _load(folder, "search/cluster-settings.json")["persistent"]
    for flow in data["flows"]:
        name = flow["name"]
        _producer(_pairs(folder, f"kafka/producer-{name}.properties"), flow["topic"]["producer"])
        _query(_pairs(folder, f"spark/query-{name}.properties"), flow["query"], f"spark/query-{name}.properties")
        _index(_load(folder, f"search/index-template-{name}.json"), flow["index"])
        flow["index"] |= _kept(_load(folder, f"search/lifecycle-{name}.json"), name)
        flow["index"]["refresh_schedule"] = "fixed-rate" if FIXED_RATE in settings else "fixed-delay"
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(house_lines(error.errors(include_url=False), Scenario)) from None


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ScenarioError(f"{folder / name} is missing; `floodmark paste` writes it") from None


def _load(folder: Path, name: str) -> Any:
    try:
        return json.loads(_text(folder, name))
    except json.JSONDecodeError as error:
        raise ScenarioError(f"{folder / name}: line {error.lineno}: {error.msg}") from None


def _pairs(folder: Path, name: str) -> dict[str, str]:
    """Keys and values of a properties file; Spark parts them by space."""
    found: dict[str, str] = {}
    for number, line in enumerate(_text(folder, name).splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        key, value = re.split(r"\s*=\s*|\s+", line, maxsplit=1) if re.search(r"[=\s]", line) else (line, "")
        if key in found:
            raise ScenarioError(f"{name}: line {number}: {key} is set twice")
        found[key] = value
    return found


def _size(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([bkmg]?)b?", text.strip().lower())
    if match is None:
        raise ScenarioError(f"'{text}' is no size; expected a number with b, k, m or g, such as 8g")
    return float(match[1]) * SIZES[match[2]]


def _seconds(text: str) -> float:
    return float(
        parse_seconds(re.sub(r"(?<=\d)(?=[a-z])", " ", text.replace("milliseconds", "ms").replace("seconds", "s")))
    )


def _unknown(pairs: dict[str, str], known: set[str], name: str) -> None:
    for key in pairs:
        if key not in known | IGNORED:
            raise ScenarioError(f"{name}: {key} is not a setting that a stack is read from")


def _terraform(found: dict[str, Any], data: dict[str, Any]) -> None:
    try:
        k, s, e = found["kafka"], found["spark"], found["search"]
        data["money"]["region"] = found["region"]
        data["kafka"] |= {
            "kind": k["kind"],
            "version": k["kafka_version"],
            "machine": k["instance_type"].removeprefix("kafka."),
            "brokers": k["number_of_broker_nodes"],
            "zones": k["availability_zones"],
            "heap": k["heap_kib"] * KIB,
            "tls": k["client_tls"],
            "tls_between_brokers": k["in_cluster_tls"],
            "authentication": k["client_authentication"],
            "java": k["java"],
            "hosts": (),
            "volume": {"size": k["volume_size"] * GIB, "throughput": k["volume_throughput"] * MIB},
        }
        data["spark"] |= {
            "kind": s["kind"],
            "version": s["spark_version"],
            "machine": s["core_instance_type"],
            "executors": s["core_instance_count"],
            "driver_machine": s["master_instance_type"],
            "java": s["java"],
            "scala": s["scala"],
            "hosts": (),
        }
        data["elasticsearch"] |= {
            "kind": e["kind"],
            "version": e["engine_version"],
            "machine": e["instance_type"].removesuffix(".search"),
            "data_nodes": e["instance_count"],
            "zones": e["availability_zones"],
            "managers": e["dedicated_master_count"],
            "hosts": (),
            "manager_machine": e["dedicated_master_type"].removesuffix(".search"),
            "heap": None if e["heap_kib"] is None else e["heap_kib"] * KIB,
            "write_threads": e["write_threads"],
            "tls": e["enforce_https"],
            "volume": {"size": e["volume_size"] * GIB, "throughput": e["volume_throughput"] * MIB},
        }
    except KeyError as error:
        raise ScenarioError(f"terraform/floodmark.auto.tfvars.json: {error.args[0]} is missing") from None  # fmt: skip


def _brokers(pairs: dict[str, str], data: dict[str, Any]) -> None:
    _unknown(pairs, {"num.io.threads", "num.replica.fetchers", "replica.selector.class"}, "kafka/broker.properties")
    if "num.io.threads" in pairs:
        data["kafka"]["io_threads"] = int(pairs["num.io.threads"])
    fetchers = pairs.get("num.replica.fetchers")
    data["kafka"]["replica_fetchers"] = int(fetchers) if fetchers else None
    data["kafka"]["rack_aware_fetch"] = pairs.get("replica.selector.class") == RACK_SELECTOR


def _topics(text: str, data: dict[str, Any]) -> None:
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] != ["kafka-topics.sh"]:
            continue
        said = {a: b for a, b in itertools.pairwise(words) if a.startswith("--") and a != "--config"}
        said |= dict(words[n + 1].split("=", 1) for n, word in enumerate(words) if word == "--config")
        found[said["--topic"]] = said
    for flow in data["flows"]:
        if flow["name"] not in found:
            raise ScenarioError(f"kafka/topics.sh creates no topic '{flow['name']}'")
        said = found[flow["name"]]
        flow["topic"] |= {
            "partitions": int(said["--partitions"]),
            "copies": int(said["--replication-factor"]),
            "min_insync": int(said["min.insync.replicas"]),
            "retention": int(said["retention.ms"]) / 1000,
        }


def _executors(pairs: dict[str, str], data: dict[str, Any]) -> None:
    spark = data["spark"]
    sizes = {"spark.executor.memory": "heap", "spark.executor.memoryOverhead": "memory_overhead",
             "spark.driver.memory": "driver_heap", "spark.executor.pyspark.memory": "python_memory",
             "spark.memory.offHeap.size": "off_heap"}  # fmt: skip
    counts = {"spark.executor.instances": "executors", "spark.executor.cores": "cores"}
    _unknown(pairs, {*sizes, *counts, "spark.master"}, "spark/spark-defaults.conf")
    spark |= {"memory_overhead": None, "python_memory": None, "off_heap": 0.0}
    starts = {start.split(":")[0]: name for name, start in MASTERS.items()}
    spark["resource_manager"] = starts[pairs["spark.master"].split(":")[0]] if "spark.master" in pairs else None
    spark |= {field: int(pairs[key]) for key, field in counts.items() if key in pairs}
    spark |= {field: _size(pairs[key]) for key, field in sizes.items() if key in pairs}


def _producer(pairs: dict[str, str], producer: dict[str, Any]) -> None:
    known = {"linger.ms", "batch.size", "acks", "compression.type", "buffer.memory"}
    _unknown(pairs, known, "kafka/producer-….properties")
    producer |= {"linger": float(pairs["linger.ms"]) / 1000, "batch_size": float(pairs["batch.size"]),
                 "acks": pairs["acks"], "compression": pairs["compression.type"],
                 "buffer_memory": float(pairs["buffer.memory"])}  # fmt: skip


def _query(pairs: dict[str, str], query: dict[str, Any], name: str) -> None:
    state = "spark.sql.streaming.stateStore."
    changelog = f"{state}rocksdb.changelogCheckpointing.enabled"
    known = {
        "processingTime",
        "maxOffsetsPerTrigger",
        "minPartitions",
        "checkpointLocation",
        "spark.sql.streaming.checkpointFileManagerClass",
        "spark.sql.shuffle.partitions",
        f"{state}providerClass",
        changelog,
        "floodmark.sink.kind",
        "floodmark.sink.connector",
        "floodmark.sink.writersPerTask",
        "floodmark.sink.retryMultiplier",
        "es.batch.size.entries",
        "es.batch.size.bytes",
        "es.batch.write.retry.count",
        "es.batch.write.retry.wait",
        "es.batch.write.refresh",
        "es.mapping.id",
    }
    _unknown(pairs, known, name)
    trigger = _seconds(pairs["processingTime"]) if not pairs["processingTime"].startswith("0 ") else 0.0
    query |= {"trigger": trigger, "checkpoint": _store(pairs["checkpointLocation"], name)}
    for key, field in (("maxOffsetsPerTrigger", "max_offsets_per_trigger"), ("minPartitions", "min_partitions")):
        query[field] = int(pairs[key]) if key in pairs else None
    manager = pairs["spark.sql.streaming.checkpointFileManagerClass"]
    query["file_manager"] = {MANAGER: "abortable", RENAME: "rename"}[manager]
    if "spark.sql.shuffle.partitions" in pairs:
        rocks = pairs[f"{state}providerClass"] == ROCKS_STATE
        kind = "rocksdb-changelog" if pairs.get(changelog) == "true" else "rocksdb"
        query["state"] = (query["state"] or {}) | {
            "shuffle_partitions": int(pairs["spark.sql.shuffle.partitions"]),
            "provider": kind if rocks else "hdfs-backed",
        }
    sink = query["sink"]
    sink |= {"kind": pairs["floodmark.sink.kind"], "writers_per_task": int(pairs["floodmark.sink.writersPerTask"])}
    sink["connector"] = pairs.get("floodmark.sink.connector")
    sink["retry"]["multiplier"] = float(pairs["floodmark.sink.retryMultiplier"])
    if sink["kind"] != "noop":
        sink |= {"bulk_entries": int(pairs["es.batch.size.entries"]), "bulk_bytes": _size(pairs["es.batch.size.bytes"]),
                 "refresh_per_write": pairs["es.batch.write.refresh"] == "true",
                 "ids": "explicit" if "es.mapping.id" in pairs else "automatic"}  # fmt: skip
        sink["retry"] |= {"attempts": int(pairs["es.batch.write.retry.count"]),
                          "wait": _seconds(pairs["es.batch.write.retry.wait"])}  # fmt: skip


def _store(location: str, name: str) -> str:
    if location.startswith("s3"):
        return "s3-express" if "--x-s3" in location else "s3"
    found = [store for store, start in STORES.items() if location.startswith(start)]
    if not found:
        raise ScenarioError(f"{name}: checkpointLocation = {location}; expected s3://, hdfs:// or file://")
    return found[0]


def _index(found: dict[str, Any], index: dict[str, Any]) -> None:
    settings = found["template"]["settings"]["index"]
    index |= {
        "primaries": settings["number_of_shards"],
        "copies": settings["number_of_replicas"] + 1,
        "refresh_interval": _seconds(settings["refresh_interval"]),
        "translog": settings["translog"]["durability"],
        "codec": settings["codec"],
        "replication": settings.get("replication", {"type": "DOCUMENT"})["type"].lower(),
    }


def _kept(found: dict[str, Any], name: str) -> dict[str, Any]:
    """Retention and rollover of a lifecycle policy, ISM's or ILM's [s]."""
    policy = found["policy"]
    if "phases" in policy:
        rolls = policy["phases"]["hot"]["actions"].get("rollover", {}).get("max_age")
        kept = policy["phases"]["delete"]["min_age"]
        return {"retention": _seconds(kept), "rollover": _seconds(rolls) if rolls else None}
    rolls = next(
        (a["rollover"]["min_index_age"] for s in policy["states"] for a in s["actions"] if "rollover" in a), None
    )
    for state in policy["states"]:
        for transition in state["transitions"]:
            if transition["state_name"] == "delete":
                kept = next(iter(transition["conditions"].values()))
                return {"retention": _seconds(kept), "rollover": _seconds(rolls) if rolls else None}
    raise ScenarioError(f"search/lifecycle-{name}.json deletes nothing: no retention can be read from it")
