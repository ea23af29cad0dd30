"""Static checks: each has one configuration that trips it and one that does not."""

from __future__ import annotations

import pytest

from models.stack import Scenario
from planner.checks import RULES, check
from planner.scenario import example_text, from_yaml


def codes(*changes: tuple[str, str]) -> set[str]:
    text = example_text("events")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return {finding.code for finding in check(from_yaml(text))}


TRIPS = {  # code: (a change that trips it, a change that clears it)
    "topic-one-copy": ([("copies: 3 ", "copies: 1 "), ("min_insync: 2", "min_insync: 1")], []),
    "topic-no-spare": ([("min_insync: 2", "min_insync: 3")], []),
    "topic-last-copy": ([("min_insync: 2", "min_insync: 1")], []),
    "producer-acks": ([("acks: all", "acks: '1'")], []),
    "msk-unclean-election": ([], [("kind: msk-standard", "kind: self-managed")]),
    "broker-partitions": ([("partitions: 12", "partitions: 1200")], []),
    "batches-too-small": ([], [("linger: 5 ms", "linger: 2 s")]),
    "broker-page-cache": ([("machine: m7g.large", "machine: m7g.large\n  heap: 6.999 GiB")], []),
    "shuffle-partitions": ([], [("shuffle_partitions: 200", "shuffle_partitions: 8")]),
    "checkpoint-rename": ([], [("file_manager: rename", "file_manager: abortable")]),
    "uncapped-backlog": ([], [("trigger: 10 s", "trigger: 10 s\n    max_offsets_per_trigger: 100k")]),
    "refresh-per-write": ([], [("refresh_per_write: true", "refresh_per_write: false")]),
    "automatic-ids": ([("ids: explicit", "ids: automatic")], []),
    "bulk-refused": ([("bulk_bytes: 1 MB", "bulk_bytes: 20 MB"), ("entries: 1000", "entries: 50000")], []),
    "idle-slots": ([("partitions: 12", "partitions: 4")], []),
    "ragged-waves": ([], [("partitions: 12", "partitions: 16")]),
    "executor-too-large": ([("heap: 8 GiB", "heap: 30 GiB")], []),
    "executor-cores": ([("cores: 4", "cores: 12")], []),
    "executor-fits-twice": ([], [("machine: m7g.2xlarge", "machine: m7g.xlarge")]),
    "index-one-copy": ([("copies: 2 ", "copies: 1 ")], []),
    "index-unassigned": ([("copies: 2 ", "copies: 4 ")], []),
    "index-uneven": ([("primaries: 3", "primaries: 4")], []),
    "translog-async": ([("mapping: dynamic", "translog: async\n    mapping: dynamic")], []),
    "heap-not-yours": ([("data_nodes: 3", "data_nodes: 3\n  heap: 4 GiB")], []),
    "heap-pointers": (
        [("kind: opensearch-service", "kind: self-managed-opensearch\n  heap: 40 GiB"), ("r7g.large", "r7g.4xlarge")],
        [("kind: opensearch-service", "kind: self-managed-opensearch\n  heap: 30 GiB"), ("r7g.large", "r7g.4xlarge")],
    ),
    "heap-half": (
        [("kind: opensearch-service", "kind: self-managed-opensearch\n  heap: 12 GiB")],
        [("kind: opensearch-service", "kind: self-managed-opensearch\n  heap: 8 GiB")],
    ),
    "managers-none": ([], [("data_nodes: 3", "data_nodes: 3\n  managers: 3")]),
    "managers-even": ([("data_nodes: 3", "data_nodes: 3\n  managers: 2")], []),
    "disk-index": ([], [("size: 1 TiB", "size: 4 TiB"), ("growth_per_month: 5 %", "growth_per_month: 0")]),
    "disk-topic": ([], [("size: 1.5 TiB", "size: 4 TiB"), ("growth_per_month: 5 %", "growth_per_month: 0")]),
    "state-heap": ([("keys: 3_000_000", "keys: 50_000_000")], []),
    "emr-version": ([('version: "3.5"', 'version: "4.1"')], []),
    "kafka-4-clients": ([('version: "3.9"', 'version: "4.1"')], []),
    "hot-set": ([], [("hot: 20 %", "hot: 0.1 %")]),
    "not-survived": ([("min_insync: 2", "min_insync: 3")], []),
}


@pytest.mark.parametrize("code", TRIPS)
def test_a_rule_trips_and_clears(code: str) -> None:
    trips, clears = TRIPS[code]
    assert code in codes(*trips)
    assert code not in codes(*clears)


def test_every_rule_has_its_pair() -> None:
    scenario = from_yaml(example_text("events"))
    assert {f.code for f in check(scenario)} <= set(TRIPS)
    assert len(RULES) == len(set(RULES))


def test_findings_come_worst_first_with_evidence_source_and_remedy(events: Scenario) -> None:
    found = check(events)
    order = ["critical", "warning", "info"]
    assert [order.index(f.severity) for f in found] == sorted(order.index(f.severity) for f in found)
    for f in found:
        assert f.evidence and f.remedy and f.source and f.where.split("[")[0].split(".")[0] in Scenario.model_fields


@pytest.fixture
def events() -> Scenario:
    return from_yaml(example_text("events"))
