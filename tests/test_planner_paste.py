"""Ready configuration: what the files say, and that the same stack comes back from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models.stack import Scenario
from planner.paste import paste_files, write_paste
from planner.paste_read import read_paste
from planner.refusal import ScenarioError
from planner.scenario import example, load_scenario

OTHER: dict[str, Any] = {  # a stack that differs from the examples wherever a file can say so
    "kafka": {
        "kind": "self-managed",
        "version": "4.1",
        "brokers": 4,
        "zones": 2,
        "machine": "r7g.xlarge",
        "volume": {"size": "750 GiB", "throughput": "300 MiB/s"},
        "io_threads": 16,
        "heap": "5 GiB",
        "replica_fetchers": 3,
        "tls": True,
        "tls_between_brokers": True,
        "authentication": "mtls",
        "rack_aware_fetch": True,
    },
    "spark": {
        "kind": "ec2",
        "version": "4.0",
        "executors": 5,
        "cores": 3,
        "heap": "5000 MiB",
        "machine": "c7g.xlarge",
        "memory_overhead": "900 MiB",
        "driver_machine": "m7g.large",
        "driver_heap": "3 GiB",
        "resource_manager": "kubernetes",
        "python_memory": "512 MiB",
        "off_heap": "1 GiB",
    },
    "elasticsearch": {
        "kind": "self-managed-elasticsearch",
        "version": "8.15",
        "data_nodes": 5,
        "zones": 1,
        "machine": "r7i.xlarge",
        "volume": {"size": "640 GiB", "throughput": "200 MiB/s"},
        "heap": "12 GiB",
        "write_threads": 3,
        "managers": 3,
        "manager_machine": "m7g.xlarge",
        "tls": True,
    },
}


def other(base: Scenario) -> Scenario:
    """The events example on another stack, with other settings of topic, query and index."""
    data = base.model_dump() | OTHER
    for flow in data["flows"]:
        flow["topic"] |= {"partitions": 21, "copies": 2, "min_insync": 1, "retention": "36 h"}
        flow["topic"]["producer"] |= {"linger": "20 ms", "batch_size": "64 KiB", "acks": "1", "compression": "zstd"}
        flow["query"] |= {"trigger": "7500 ms", "max_offsets_per_trigger": 90_000, "min_partitions": 42,
                          "checkpoint": "hdfs", "file_manager": "abortable"}  # fmt: skip
        flow["query"]["state"] |= {"shuffle_partitions": 15, "provider": "rocksdb-changelog"}
        flow["query"]["sink"] |= {
            "bulk_entries": 2500,
            "bulk_bytes": "3 MiB",
            "refresh_per_write": False,
            "ids": "automatic",
            "retry": {"attempts": 9, "wait": "2500 ms", "multiplier": 2},
        }
        flow["index"] |= {"primaries": 10, "copies": 3, "refresh_interval": "2500 ms", "translog": "async",
                          "codec": "best_compression", "retention": "10 d", "rollover": "12 h"}  # fmt: skip
    data["money"]["region"] = "eu-west-1"
    return load_scenario(data)


@pytest.mark.parametrize("wanted", ["events", "other"])
def test_the_files_read_back_give_the_same_stack(tmp_path: Path, wanted: str) -> None:
    """Read over a base whose stack differs in every setting, so that nothing comes from the base by chance."""
    events = example("events")
    scenario, base = (events, other(events)) if wanted == "events" else (other(events), events)
    write_paste(scenario, tmp_path)
    back = read_paste(tmp_path, base)
    for part in ("kafka", "spark", "elasticsearch"):
        assert getattr(back, part) == getattr(scenario, part), part
    for mine, given in zip(back.flows, scenario.flows, strict=True):
        assert mine == given
    assert back.money.region == scenario.money.region


def test_copies_are_told_as_each_system_counts_them() -> None:
    """Kafka's replication factor counts all copies, Elasticsearch's number_of_replicas the extra ones."""
    files = paste_files(example("events"))
    assert "--replication-factor 3 " in files["kafka/topics.sh"]
    settings = json.loads(files["search/index-template-events.json"])["template"]["settings"]["index"]
    assert settings["number_of_replicas"] == 1
    assert settings["number_of_shards"] == 3


def test_service_names_carry_their_prefixes_and_suffixes() -> None:
    said = json.loads(paste_files(example("events"))["terraform/floodmark.auto.tfvars.json"])
    assert said["kafka"]["instance_type"] == "kafka.m7g.large"
    assert said["search"]["instance_type"] == "r7g.large.search"
    assert said["kafka"]["volume_size"] == 1536


def test_a_self_managed_cluster_over_zones_forces_awareness() -> None:
    base = example("events")
    search = base.elasticsearch.model_copy(update={"kind": "self-managed-opensearch"})
    settings = json.loads(
        paste_files(base.model_copy(update={"elasticsearch": search}))["search/cluster-settings.json"]
    )
    forced = settings["persistent"]["cluster.routing.allocation.awareness.force.zone.values"]
    assert forced.count("zone") == 3


def test_a_size_that_a_setting_cannot_say_is_refused_by_name() -> None:
    base = example("events")
    odd = base.kafka.volume.model_copy(update={"size": 1.5e12})
    with pytest.raises(ScenarioError, match=r"kafka.volume.size = 1500000000000 bytes; expected whole GiB"):
        paste_files(base.model_copy(update={"kafka": base.kafka.model_copy(update={"volume": odd})}))


def test_hosts_by_name_have_no_terraform() -> None:
    with pytest.raises(ScenarioError, match="expected machines"):
        paste_files(example("lab"))


def test_a_file_that_is_missing_or_says_more_is_named(tmp_path: Path) -> None:
    base = example("events")
    write_paste(base, tmp_path)
    defaults = tmp_path / "spark" / "spark-defaults.conf"
    defaults.write_text(defaults.read_text() + "spark.executor.memori 8g\n")
    with pytest.raises(ScenarioError, match=r"spark.executor.memori is not a setting"):
        read_paste(tmp_path, base)
    defaults.unlink()
    with pytest.raises(ScenarioError, match="is missing"):
        read_paste(tmp_path, base)


def test_an_edited_setting_is_what_comes_back(tmp_path: Path) -> None:
    base = example("events")
    write_paste(base, tmp_path)
    defaults = tmp_path / "spark" / "spark-defaults.conf"
    text = defaults.read_text().replace(f"{8 * 1024 * 1024}k", "12g")
    assert "12g" in text
    defaults.write_text(text)
    assert read_paste(tmp_path, base).spark.heap == 12 * 1024**3
