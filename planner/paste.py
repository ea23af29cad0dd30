"""Ready configuration: a stack as the files that its systems read, to paste; `paste_read` reads the same stack back.

`kafka/` broker and topic settings and each flow's producers, `spark/` defaults and each query's options, `search/`
index templates, lifecycle policies and cluster settings, `terraform/` variables for MSK, EMR, OpenSearch or EC2. What a
system has no setting for (a sink's kind) stands under `floodmark.`, which all of them ignore.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from models.spark import AS_FAST_AS_POSSIBLE
from models.stack import Flow, Scenario
from models.units import GIB, KIB, MIB
from planner.refusal import ScenarioError

MANAGER = "org.apache.spark.internal.io.cloud.AbortableStreamBasedCheckpointFileManager"  # spark.md A5
RENAME = "org.apache.spark.sql.execution.streaming.FileContextBasedCheckpointFileManager"
HDFS_STATE = "org.apache.spark.sql.execution.streaming.state.HDFSBackedStateStoreProvider"
ROCKS_STATE = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"
STORES = {"s3": "s3://BUCKET", "s3-express": "s3://BUCKET--ZONE--x-s3", "hdfs": "hdfs://", "local": "file://"}
ROLLOVER_GIB = 50  # largest primary of a log index (elasticsearch.md B3: 10-50 GiB)
MASTERS = {"yarn": "yarn", "kubernetes": "k8s://API-SERVER", "standalone": "spark://MASTER:7077"}
FIXED_RATE = "cluster.index.refresh.fixed_interval_scheduling.enabled"  # OpenSearch (remembered)
RACK_SELECTOR = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


def write_paste(scenario: Scenario, folder: Path) -> list[Path]:
    """Write the files under a folder; its own older files are replaced. Returns what was written."""
    written = []
    for name, text in paste_files(scenario).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def paste_files(scenario: Scenario) -> dict[str, str]:
    """The files by their names below the folder. Raises ScenarioError for a size that a system cannot be told."""
    if any(getattr(scenario, part).hosts for part in ("kafka", "spark", "elasticsearch")):
        raise ScenarioError("hosts are given by name; expected machines: Terraform asks for types")
    files = {
        "kafka/broker.properties": _properties(
            "Broker settings (an MSK configuration, or server.properties)", _broker(scenario)
        ),
        "kafka/topics.sh": _topics(scenario),
        "spark/spark-defaults.conf": _spark_defaults(scenario),
        "search/cluster-settings.json": _json(_cluster_settings(scenario)),
        "terraform/floodmark.auto.tfvars.json": _json(_variables(scenario)),
        "terraform/variables.tf": VARIABLES,
    }
    for flow in scenario.flows:
        files[f"kafka/producer-{flow.name}.properties"] = _properties(f"Producers of '{flow.name}'", _producer(flow))
        files[f"spark/query-{flow.name}.properties"] = _properties(f"Options of the query '{flow.name}'", _query(flow))
        files[f"search/index-template-{flow.name}.json"] = _json(_template(flow, scenario))
        files[f"search/lifecycle-{flow.name}.json"] = _json(_lifecycle(flow, scenario))
    return files


def _properties(title: str, pairs: dict[str, Any]) -> str:
    return f"# {title}\n" + "".join(f"{key}={value}\n" for key, value in pairs.items())


def _json(data: Any) -> str:
    return json.dumps(data, indent=2) + "\n"


def whole(value: float, unit: float, name: str, told: str) -> int:
    """A size in whole units, as a setting takes it. Raises ScenarioError for one that is not.

    >>> whole(8 * GIB, GIB, "spark.heap", "GiB")
    8
    """
    count = value / unit
    if abs(count - round(count)) > 1e-9 * max(1.0, count):
        raise ScenarioError(f"{name} = {value:.0f} bytes; expected whole {told}: the setting has no smaller unit")
    return round(count)


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def age(seconds: float) -> str:
    """A length of time in the largest unit that says it exactly.

    >>> age(14 * 86400), age(5400), age(0.5)
    ('14d', '90m', '500ms')
    """
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= length and seconds % length == 0:
            return f"{int(seconds // length)}{unit}"
    return f"{milliseconds(seconds)}ms"


# ---------------------------------------------------------------- Kafka


def _broker(scenario: Scenario) -> dict[str, Any]:
    kafka, topics = scenario.kafka, [f.topic for f in scenario.flows]
    out = {
        "num.io.threads": kafka.io_threads,
        "default.replication.factor": max(t.copies for t in topics),
        "min.insync.replicas": max(t.min_insync for t in topics),
        "unclean.leader.election.enable": "false",
        "auto.create.topics.enable": "false",
    }
    if kafka.replica_fetchers:
        out["num.replica.fetchers"] = kafka.replica_fetchers
    if kafka.rack_aware_fetch:
        out["replica.selector.class"] = RACK_SELECTOR
    return out


def _topics(scenario: Scenario) -> str:
    told = [
        "#!/bin/sh",
        "# Topics; BOOTSTRAP holds the brokers' addresses. Partitions can be added later, never taken away.",
    ]
    for flow in scenario.flows:
        topic = flow.topic
        told.append(
            f'kafka-topics.sh --bootstrap-server "$BOOTSTRAP" --create --if-not-exists --topic {flow.name} '
            f"--partitions {topic.partitions} --replication-factor {topic.copies} "
            f"--config min.insync.replicas={topic.min_insync} --config retention.ms={milliseconds(topic.retention)}"
        )
    return "\n".join(told) + "\n"


def _producer(flow: Flow) -> dict[str, Any]:
    producer = flow.topic.producer
    return {
        "linger.ms": f"{producer.linger * 1000:g}",
        "batch.size": whole(producer.batch_size, 1, f"{flow.name}: producer.batch_size", "bytes"),
        "acks": producer.acks,
        "compression.type": producer.compression,
        "buffer.memory": whole(producer.buffer_memory, 1, f"{flow.name}: producer.buffer_memory", "bytes"),
    }


# ---------------------------------------------------------------- Spark


def _spark_defaults(scenario: Scenario) -> str:
    spark = scenario.spark
    pairs: dict[str, Any] = {
        "spark.executor.instances": spark.executors,
        "spark.executor.cores": spark.cores,
        "spark.executor.memory": f"{whole(spark.heap, KIB, 'spark.heap', 'KiB')}k",
        "spark.dynamicAllocation.enabled": "false",
        "spark.speculation": "false",
    }
    if spark.memory_overhead is not None:
        pairs["spark.executor.memoryOverhead"] = f"{whole(spark.memory_overhead, MIB, 'spark.memory_overhead', 'MiB')}m"
    pairs["spark.driver.memory"] = f"{whole(spark.driver_heap, KIB, 'spark.driver_heap', 'KiB')}k"
    if spark.python_memory is not None:
        pairs["spark.executor.pyspark.memory"] = f"{whole(spark.python_memory, MIB, 'spark.python_memory', 'MiB')}m"
    if spark.resource_manager is not None:
        pairs["spark.master"] = MASTERS[spark.resource_manager]
    if off := getattr(spark, "off_heap", 0.0):
        pairs |= {
            "spark.memory.offHeap.enabled": "true",
            "spark.memory.offHeap.size": whole(off, 1, "spark.off_heap", "bytes"),
        }
    width = max(len(key) for key in pairs) + 2
    return "# Spark defaults of the cluster\n" + "".join(f"{k:<{width}}{v}\n" for k, v in pairs.items())


def _query(flow: Flow) -> dict[str, Any]:
    """Source options, trigger, checkpoint and sink of one query; state settings are frozen into its checkpoint."""
    query, sink = flow.query, flow.query.sink
    trigger = "0 seconds" if query.trigger == AS_FAST_AS_POSSIBLE else f"{milliseconds(query.trigger)} milliseconds"
    out: dict[str, Any] = {"subscribe": flow.name, "processingTime": trigger}
    if query.max_offsets_per_trigger is not None:
        out["maxOffsetsPerTrigger"] = query.max_offsets_per_trigger
    if query.min_partitions is not None:
        out["minPartitions"] = query.min_partitions
    out["checkpointLocation"] = f"{STORES[query.checkpoint]}/checkpoints/{flow.name}"
    out["spark.sql.streaming.checkpointFileManagerClass"] = MANAGER if query.file_manager == "abortable" else RENAME
    if query.state is not None:
        rocks = query.state.provider != "hdfs-backed"
        out["spark.sql.shuffle.partitions"] = query.state.shuffle_partitions
        out["spark.sql.streaming.stateStore.providerClass"] = ROCKS_STATE if rocks else HDFS_STATE
        if rocks:
            changelog = str(query.state.provider == "rocksdb-changelog").lower()
            out["spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled"] = changelog
    out |= {"floodmark.sink.kind": sink.kind, "floodmark.sink.writersPerTask": sink.writers_per_task,
            "floodmark.sink.retryMultiplier": f"{sink.retry.multiplier:g}"}  # fmt: skip
    if sink.connector is not None:
        out["floodmark.sink.connector"] = sink.connector
    if sink.kind == "noop":
        return out
    return (
        out
        | {
            "es.resource": flow.name,
            "es.batch.size.entries": sink.bulk_entries,
            "es.batch.size.bytes": f"{whole(sink.bulk_bytes, 1, f'{flow.name}: sink.bulk_bytes', 'bytes')}b",
            "es.batch.write.retry.count": sink.retry.attempts,
            "es.batch.write.retry.wait": age(sink.retry.wait) if sink.retry.wait else "0s",
            "es.batch.write.refresh": str(sink.refresh_per_write).lower(),
        }
        | ({"es.mapping.id": "id"} if sink.ids == "explicit" else {})
    )


# ---------------------------------------------------------------- search


def _template(flow: Flow, scenario: Scenario) -> dict[str, Any]:
    index = flow.index
    settings: dict[str, Any] = {
        "number_of_shards": index.primaries,
        "number_of_replicas": index.copies - 1,
        "refresh_interval": age(index.refresh_interval),
        "translog": {"durability": index.translog},
        "codec": index.codec,
    }
    if scenario.elasticsearch.kind != "self-managed-elasticsearch":
        settings["replication"] = {"type": index.replication.upper()}
    return {"index_patterns": [f"{flow.name}-*"], "priority": 200, "template": {"settings": {"index": settings}}}


def _lifecycle(flow: Flow, scenario: Scenario) -> dict[str, Any]:
    """ISM for OpenSearch, ILM for Elasticsearch: indices roll over by age or size, and go when old."""
    kept, rolls = age(flow.index.retention), flow.index.rollover
    if scenario.elasticsearch.kind == "self-managed-elasticsearch":
        roll = {"rollover": {"max_primary_shard_size": f"{ROLLOVER_GIB}gb", "max_age": age(rolls)}} if rolls else {}
        return {
            "policy": {"phases": {"hot": {"actions": roll}, "delete": {"min_age": kept, "actions": {"delete": {}}}}}
        }
    rollover = (
        [{"rollover": {"min_primary_shard_size": f"{ROLLOVER_GIB}gb", "min_index_age": age(rolls)}}] if rolls else []
    )
    gone = [{"state_name": "delete", "conditions": {"min_rollover_age" if rolls else "min_index_age": kept}}]
    states = [
        {"name": "hot", "actions": rollover, "transitions": gone},
        {"name": "delete", "actions": [{"delete": {}}], "transitions": []},
    ]
    pattern = [{"index_patterns": [f"{flow.name}-*"], "priority": 200}]
    told = f"{flow.name}: kept {kept} after {'rollover' if rolls else 'its creation'}"
    return {"policy": {"description": told, "default_state": "hot",
                       "states": states, "ism_template": pattern}}  # fmt: skip


def _cluster_settings(scenario: Scenario) -> dict[str, Any]:
    """Forced awareness, so that the survivors of a lost zone do not rebuild its copies on their own disks."""
    search, settings = scenario.elasticsearch, {}
    if search.kind != "opensearch-service" and search.zones > 1:
        zones = ",".join(f"zone-{z + 1}" for z in range(search.zones))
        settings = {"cluster.routing.allocation.awareness.attributes": "zone",
                    "cluster.routing.allocation.awareness.force.zone.values": zones}  # fmt: skip
    rates = {f.index.refresh_schedule for f in scenario.flows}
    if len(rates) > 1:
        raise ScenarioError(
            "index.refresh_schedule differs between flows; expected one: it is a setting of the cluster"
        )
    if rates == {"fixed-rate"}:
        settings[FIXED_RATE] = "true"
    return {"persistent": settings}


# ---------------------------------------------------------------- Terraform


def _variables(scenario: Scenario) -> dict[str, Any]:
    kafka, spark, search = scenario.kafka, scenario.spark, scenario.elasticsearch
    msk = kafka.kind == "msk-standard"
    service = search.kind == "opensearch-service"
    out: dict[str, Any] = {
        "region": scenario.money.region,
        "kafka": {
            "kind": kafka.kind, "kafka_version": kafka.version,
            "instance_type": f"kafka.{kafka.machine}" if msk else kafka.machine,
            "number_of_broker_nodes": kafka.brokers, "availability_zones": kafka.zones,
            "volume_size": whole(kafka.volume.size, GIB, "kafka.volume.size", "GiB"),
            "volume_throughput": whole(kafka.volume.throughput, MIB, "kafka.volume.throughput", "MiB/s"),
            "heap_kib": whole(kafka.heap, KIB, "kafka.heap", "KiB"), "client_tls": kafka.tls,
            "in_cluster_tls": kafka.tls_between_brokers, "client_authentication": kafka.authentication,
            "java": kafka.java,
        },
        "spark": {
            "kind": spark.kind, "spark_version": spark.version, "core_instance_type": spark.machine,
            "core_instance_count": spark.executors, "master_instance_type": spark.driver_machine, "java": spark.java,
            "scala": spark.scala,
        },
        "search": {
            "kind": search.kind, "engine_version": search.version,
            "instance_type": f"{search.machine.removesuffix('.search')}.search" if service else search.machine,
            "instance_count": search.data_nodes, "availability_zones": search.zones,
            "dedicated_master_count": search.managers,
            "dedicated_master_type": f"{search.manager_machine}.search" if service else search.manager_machine,
            "volume_size": whole(search.volume.size, GIB, "elasticsearch.volume.size", "GiB"),
            "volume_throughput": whole(search.volume.throughput, MIB, "elasticsearch.volume.throughput", "MiB/s"),
            "heap_kib": None if search.heap is None else whole(search.heap, KIB, "elasticsearch.heap", "KiB"),
            "write_threads": search.write_threads, "enforce_https": search.tls,
        },
    }  # fmt: skip
    return out


VARIABLES = """# Declarations of what floodmark.auto.tfvars.json sets. Names are those of the aws_msk_cluster,
# aws_emr_cluster and aws_opensearch_domain resources where they have one; with kind "self-managed" or "ec2" they size
# aws_instance.

variable "region" { type = string }

variable "kafka" {
  type = object({
    kind                   = string
    kafka_version          = string
    instance_type          = string
    number_of_broker_nodes = number
    availability_zones     = number
    volume_size            = number # GiB of each broker
    volume_throughput      = number # MiB/s; MSK: provisioned_throughput where above 250
    heap_kib               = number # KAFKA_HEAP_OPTS of a self-managed broker; MSK sets its own
    client_tls             = bool
    in_cluster_tls         = bool   # null: the kind's own
    client_authentication  = string # none, scram, mtls, iam
    java                   = string # null: the version's own
  })
}

variable "spark" {
  type = object({
    kind                 = string
    spark_version        = string # EMR: the release that has it
    core_instance_type   = string
    core_instance_count  = number # one executor each
    master_instance_type = string # the driver
    java                 = string # null: the release's own
    scala                = string
  })
}

variable "search" {
  type = object({
    kind                  = string
    engine_version        = string
    instance_type         = string
    instance_count        = number
    availability_zones    = number # zone_awareness_config.availability_zone_count
    dedicated_master_count = number # 0: dedicated_master_enabled = false
    dedicated_master_type = string
    volume_size           = number # GiB of each data node, gp3
    volume_throughput     = number # MiB/s
    heap_kib              = number # null: half the memory
    write_threads         = number # null: the node's processors
    enforce_https         = bool   # null: the kind's own
  })
}
"""
