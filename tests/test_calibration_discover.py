"""Discovery from saved answers, Terraform and AWS: what is read, what is left alone, and what is said to be unknown."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from calibration.discover import DiscoverError, Found, discover_document, discover_files
from planner import cli
from planner.discover import UNKNOWN, discovered
from planner.refusal import ScenarioError
from planner.scenario import load_scenario

SECRET = "s3cr3t-Value-hunter2-9f8e7d"
MSK = {
    "ClusterName": "orders",
    "Provisioned": {
        "NumberOfBrokerNodes": 6,
        "BrokerNodeGroupInfo": {
            "InstanceType": "kafka.m7g.xlarge",
            "ClientSubnets": ["a", "b", "c"],
            "StorageInfo": {
                "EbsStorageInfo": {
                    "VolumeSize": 1000,
                    "ProvisionedThroughput": {"Enabled": True, "VolumeThroughput": 250},
                }
            },
        },
        "CurrentBrokerSoftwareInfo": {"KafkaVersion": "3.9.x"},
        "EncryptionInfo": {"EncryptionInTransit": {"ClientBroker": "TLS", "InCluster": False}},
        "ClientAuthentication": {"Sasl": {"Iam": {"Enabled": True}, "Scram": {"Enabled": False}}},
    },
}
DOMAIN = {
    "DomainName": "logs",
    "EngineVersion": "OpenSearch_2.17",
    "ClusterConfig": {
        "InstanceType": "r7g.xlarge.search",
        "InstanceCount": 3,
        "DedicatedMasterEnabled": True,
        "DedicatedMasterType": "m7g.large.search",
        "DedicatedMasterCount": 3,
        "ZoneAwarenessEnabled": True,
        "ZoneAwarenessConfig": {"AvailabilityZoneCount": 3},
    },
    "EBSOptions": {"EBSEnabled": True, "VolumeSize": 600, "VolumeType": "gp3", "Throughput": 250},
    "AdvancedSecurityOptions": {"MasterUserOptions": {"MasterUserPassword": SECRET}},
}
EMR = {
    "Id": "j-1",
    "ReleaseLabel": "emr-7.5.0",
    "Configurations": [
        {
            "Classification": "spark-defaults",
            "Properties": {
                "spark.executor.instances": "4",
                "spark.executor.cores": "4",
                "spark.executor.memory": "8g",
                "spark.hadoop.fs.s3a.secret.key": SECRET,
            },
        }
    ],
    "InstanceGroups": [
        {"InstanceGroupType": "MASTER", "InstanceType": "m7g.xlarge", "RunningInstanceCount": 1},
        {"InstanceGroupType": "CORE", "InstanceType": "m7g.2xlarge", "RunningInstanceCount": 2},
    ],
}
SETTINGS = {
    "events-1": {
        "settings": {
            "index": {
                "number_of_shards": "6",
                "number_of_replicas": "1",
                "codec": "zstd",
                "refresh_interval": "5s",
                "translog": {"durability": "async"},
            }
        }
    }
}
ILM = {
    "p": {
        "policy": {
            "phases": {
                "hot": {"actions": {"rollover": {"max_age": "1d"}}},
                "delete": {"min_age": "14d", "actions": {"delete": {}}},
            }
        }
    }
}
ISM = {
    "policies": [
        {
            "_id": "p",
            "policy": {
                "states": [
                    {
                        "name": "hot",
                        "actions": [{"rollover": {"min_index_age": "12h"}}],
                        "transitions": [{"state_name": "gone", "conditions": {"min_index_age": "9d"}}],
                    },
                    {"name": "gone", "actions": [{"delete": {}}]},
                ]
            },
        }
    ]
}
TOPICS = (
    "Topic: events\tTopicId: x\tPartitionCount: 24\tReplicationFactor: 3\tConfigs: min.insync.replicas=2,"
    "retention.ms=259200000\n\tTopic: events\tPartition: 0\tLeader: 1\tReplicas: 1,2,3\tIsr: 1,2,3\n"
)
CONFIGS = (
    "Dynamic configs for topic events are:\n  retention.ms=86400000 sensitive=false synonyms={}\n"
    "All configs for broker 1 are:\n  num.io.threads=16 sensitive=false\n  num.replica.fetchers=4 sensitive=false\n"
    f"  ssl.keystore.password={SECRET} sensitive=true\n"
)
GIVEN = {"workload.rate": "5k/s", "workload.size": "800 B", "query.trigger": "10 s", "query.sink.kind": "jvm-connector"}


def found(*documents: Any) -> Found:
    told = Found()
    for number, document in enumerate(documents):
        assert discover_document(document, f"file-{number}", told), document
    return told


def value(told: Found, path: str) -> Any:
    fact = told.value(path)
    return None if fact is None else fact.value


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (
            {"ClusterInfo": MSK},
            {
                "kafka.brokers": 6,
                "kafka.machine": "m7g.xlarge",
                "kafka.volume.size": "1000 GiB",
                "kafka.volume.throughput": "250 MiB/s",
                "kafka.authentication": "iam",
                "kafka.tls_between_brokers": False,
                "kafka.version": "3.9",
                "kafka.zones": 3,
            },
        ),
        ({"ClusterInfoList": [MSK]}, {"kafka.brokers": 6}),
        (
            {"DomainStatus": DOMAIN},
            {
                "elasticsearch.data_nodes": 3,
                "elasticsearch.machine": "r7g.xlarge",
                "elasticsearch.version": "2.17",
                "elasticsearch.managers": 3,
                "elasticsearch.zones": 3,
                "elasticsearch.volume.size": "600 GiB",
            },
        ),
        (
            {"Cluster": EMR},
            {
                "spark.executors": 4,
                "spark.cores": 4,
                "spark.heap": "8 GiB",
                "spark.nodes": 2,
                "spark.machine": "m7g.2xlarge",
                "spark.driver_machine": "m7g.xlarge",
            },
        ),
        (
            SETTINGS,
            {
                "indices.events-1.primaries": 6,
                "indices.events-1.copies": 2,
                "indices.events-1.codec": "zstd",
                "indices.events-1.refresh_interval": "5 s",
                "indices.events-1.translog": "async",
            },
        ),
        (ILM, {"index_defaults.retention": "14 d", "index_defaults.rollover": "1 d"}),
        (ISM, {"index_defaults.retention": "9 d", "index_defaults.rollover": "12 h"}),
        (
            TOPICS,
            {
                "topics.events.partitions": 24,
                "topics.events.copies": 3,
                "topics.events.min_insync": 2,
                "topics.events.retention": "3 d",
            },
        ),
        (CONFIGS, {"topics.events.retention": "1 d", "kafka.io_threads": 16, "kafka.replica_fetchers": 4}),
        (
            {"ServerProperties": base64.b64encode(b"min.insync.replicas=2\nlog.retention.hours=72\n").decode()},
            {"topic_defaults.min_insync": 2, "topic_defaults.retention": "3 d"},
        ),
        ("spark.executor.cores  5\nspark.executor.memory=4096m\n", {"spark.cores": 5, "spark.heap": "4096 MiB"}),
        (
            {
                "persistent": {"cluster": {"index": {"refresh": {"fixed_interval_scheduling": {"enabled": "true"}}}}},
                "transient": {},
            },
            {"index_defaults.refresh_schedule": "fixed-rate"},
        ),
        (
            {"cluster_name": "c", "version": {"number": "3.8.0", "distribution": "opensearch"}},
            {"elasticsearch.version": "3.8", "elasticsearch.kind": "self-managed-opensearch"},
        ),
        ([{"id": "app", "name": "a", "attempts": [{"appSparkVersion": "4.1.1"}]}], {"spark.version": "4.1"}),
    ],
)
def test_each_answer_is_known_by_its_content_and_told(document: Any, expected: dict[str, Any]) -> None:
    told = found(document)
    assert {path: value(told, path) for path in expected} == expected


def terraform(version: str = "1.2", state: bool = False) -> dict[str, Any]:
    cluster = {
        "cluster_name": "orders",
        "kafka_version": "3.7.x",
        "number_of_broker_nodes": 3,
        "broker_node_group_info": [
            {
                "instance_type": "kafka.m5.large",
                "client_subnets": ["a", "b", "c"],
                "storage_info": [{"ebs_storage_info": [{"volume_size": 500}]}],
            }
        ],
    }
    topics = [
        {
            "address": f'kafka_topic.t["{name}"]',
            "mode": "managed",
            "type": "kafka_topic",
            "values": {"name": name, "partitions": 12, "replication_factor": 3, "config": {"retention.ms": "3600000"}},
        }
        for name in ("events", "clicks")
    ]
    root = {
        "resources": [
            {"address": "aws_msk_cluster.c", "mode": "managed", "type": "aws_msk_cluster", "values": cluster},
            {
                "address": "aws_db_instance.d",
                "mode": "managed",
                "type": "aws_db_instance",
                "values": {"password": SECRET},
            },
        ],
        "child_modules": [{"address": "module.t", "resources": topics}],
    }
    unknown = {
        "address": "aws_msk_cluster.c",
        "type": "aws_msk_cluster",
        "change": {"after_unknown": {"arn": True, "kafka_version": False, "client_authentication": [{"sasl": True}]}},
    }
    body = {"values": {"root_module": root}} if state else {"planned_values": {"root_module": root}}
    return {"format_version": version, **body, "resource_changes": [unknown], "variables": {"p": {"value": SECRET}}}


@pytest.mark.parametrize("state", [False, True])
def test_terraform_is_read_through_its_modules_by_an_allow_list(state: bool) -> None:
    told = found(terraform("0.2" if state else "1.2", state))
    assert value(told, "kafka.machine") == "m5.large" and value(told, "kafka.brokers") == 3
    assert value(told, "topics.clicks.retention") == "1 h"
    assert told.value("kafka.version").how == "inferred"  # 3.7 is none that a scenario knows: the nearest below
    assert any("aws_db_instance.d" in line for line in told.unused)
    assert any("unknown until apply: client_authentication" in line for line in told.unused)
    assert SECRET not in repr(told)


def test_core_and_task_groups_of_emr_are_added_up_and_fleets_are_read_by_their_first_type() -> None:
    groups = [
        {"InstanceGroupType": kind, "InstanceType": "m7g.2xlarge", "RunningInstanceCount": n, "Market": "ON_DEMAND"}
        for kind, n in (("MASTER", 1), ("CORE", 2), ("TASK", 3))
    ]
    told = found({"InstanceGroups": groups})
    assert value(told, "spark.nodes") == 5 and value(told, "spark.machine") == "m7g.2xlarge"
    types = [{"InstanceType": "r7g.xlarge", "WeightedCapacity": 4}, {"InstanceType": "r6g.xlarge"}]
    fleet = {"InstanceFleetType": "CORE", "ProvisionedOnDemandCapacity": 8, "ProvisionedSpotCapacity": 4}
    told = found({"InstanceFleets": [fleet | {"InstanceTypeSpecifications": types}]})
    assert value(told, "spark.nodes") == 3 and told.value("spark.machine").how == "inferred"  # type: ignore[union-attr]
    spark = {
        "Id": "j-1",
        "Applications": [{"Name": "Hadoop", "Version": "3.4.1"}, {"Name": "Spark", "Version": "3.5.5"}],
    }
    assert value(found({"Cluster": spark}), "spark.version") == "3.5"


def test_another_major_of_terraforms_format_is_refused() -> None:
    with pytest.raises(DiscoverError, match=r"format_version = 2.0; expected 0.x or 1.x"):
        found(terraform("2.0"))


def whole() -> Found:
    return found({"ClusterInfo": MSK}, {"DomainStatus": DOMAIN}, {"Cluster": EMR}, TOPICS, SETTINGS, ILM)


def test_the_file_marks_every_line_and_loads_once_nothing_is_unknown() -> None:
    out = discovered(whole(), GIVEN)
    assert not out.unknown and SECRET not in out.as_yaml()
    it = load_scenario_text(out.as_yaml())
    assert (it.kafka.brokers, it.flows[0].topic.partitions, it.flows[0].index.copies) == (6, 24, 2)
    marks = {line.path: line.mark for line in out.lines}
    assert marks["kafka.machine"] == "read" and marks["flows[0].index.retention"] == "inferred"
    assert marks["flows[0].workload.rate"] == "given" and marks["kafka.rack_aware_fetch"] == "default"
    assert all(f"# {line.mark}" in out.as_yaml() for line in out.lines)


def load_scenario_text(text: str):
    import yaml

    return load_scenario(yaml.safe_load(text))


def test_load_is_asked_for_and_never_invented() -> None:
    out = discovered(whole(), {})
    assert [line.path for line in out.unknown] == [
        "flows[0].workload.rate",
        "flows[0].workload.size",
        "flows[0].query.trigger",
        "flows[0].query.sink.kind",
    ]
    assert all(line.value == UNKNOWN for line in out.unknown)
    with pytest.raises(ScenarioError, match="UNKNOWN"):
        load_scenario_text(out.as_yaml())


def test_of_several_topics_one_must_be_named() -> None:
    told = found({"topics": {"a": {"0": {"replicas": [1]}}, "b": {"0": {"replicas": [1]}, "1": {"replicas": [1]}}}})
    with pytest.raises(ValueError, match=r"several topics were found \(a, b\); name one with --topic"):
        discovered(told, GIVEN)
    with pytest.raises(ValueError, match="--topic c: not among what was found: a, b"):
        discovered(told, GIVEN, topic="c")
    assert next(x for x in discovered(told, GIVEN, topic="b").lines if x.path == "flows[0].topic.partitions").value == 2


def run(*arguments: str):
    if not any(command.name == "discover" for command in cli.app.registered_commands):
        cli.register_all()
    return CliRunner().invoke(cli.app, list(arguments))


def test_files_come_packed_marked_and_recorded_and_secrets_stay_in_them(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(gzip.compress(json.dumps({"ClusterInfo": MSK}).encode()))
    (tmp_path / "b").write_bytes(json.dumps({"DomainStatus": DOMAIN}).encode("utf-16"))
    lines = [
        {"t": 1, "source": "s", "kind": "index_settings", "body": SETTINGS},
        {
            "t": 2,
            "source": "spark",
            "kind": "spark_environment",
            "body": {"sparkProperties": [["spark.executor.cores", "4"], ["spark.password", SECRET]]},
        },
    ]
    (tmp_path / "rec.jsonl").write_text("\n".join(json.dumps(x) for x in lines) + '\n{"t": 3, "sou')
    (tmp_path / "e.json").write_text(json.dumps({"Cluster": EMR}), encoding="utf-8-sig")
    (tmp_path / "t.txt").write_text(TOPICS.replace("\n", "\r\n"))
    asked = [str(tmp_path / name) for name in ("a.bin", "b", "rec.jsonl", "e.json", "t.txt")]
    given = ("--rate", "5k/s", "--size", "1 kB", "--trigger", "10 s", "--sink", "jvm-connector")
    out = run("discover", *asked, *given, "--json")
    assert out.exit_code == 0, out.stderr
    told = {line["path"]: line for line in json.loads(out.stdout)["lines"]}
    assert told["spark.cores"]["value"] == 4 and told["flows[0].index.primaries"]["mark"] == "read"
    assert SECRET not in out.stdout + out.stderr
    assert run("discover", *asked).exit_code == 3
    assert run("discover").exit_code == 2


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b'{"a": 1}', "not recognised"),
        (b'{"ClusterInfo": {"x"', "does not end or is broken"),
        (b"hello", "not recognised"),
        (b"\x1f\x8b\x08garbage", "cannot be unpacked"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, content: bytes, refusal: str) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(DiscoverError, match=refusal):
        discover_files([tmp_path / "x.json"])
    missing = run("discover", str(tmp_path / "none.json"))
    assert missing.exit_code == 1 and "none.json: No such file" in missing.stderr


def test_aws_is_asked_and_its_refusals_say_which_rights_would_do(monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto")
    boto3 = pytest.importorskip("boto3")
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(key, "testing")
    with moto.mock_aws():
        boto3.client("opensearch", region_name="eu-west-1").create_domain(
            DomainName="logs",
            EngineVersion="OpenSearch_2.17",
            ClusterConfig={"InstanceType": "r7g.xlarge.search", "InstanceCount": 3},
            EBSOptions={"EBSEnabled": True, "VolumeSize": 600},
        )
        out = run("discover", "--aws", "es:logs", "--region", "eu-west-1", "--json")
        told = {line["path"]: line["value"] for line in json.loads(out.stdout)["lines"]}
        assert told["elasticsearch.data_nodes"] == 3 and told["elasticsearch.machine"] == "r7g.xlarge"
        missing = run("discover", "--aws", "es:nothing", "--region", "eu-west-1")
        assert missing.exit_code == 1 and "es:nothing" in missing.stderr and "es:DescribeDomain" in missing.stderr
    wrong = run("discover", "--aws", "rds:x")
    assert wrong.exit_code == 1 and "expected kafka:CLUSTER" in wrong.stderr
