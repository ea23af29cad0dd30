"""The article's claims: each judged by this configuration's own numbers, and turned by the configuration that "
"makes it so."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from planner.claims import Claim, claims
from planner.claims_tell import as_csv, as_markdown, as_text
from planner.scenario import example_text, from_yaml


@cache
def judged(*changes: tuple[str, str]) -> dict[str, Claim]:
    text = example_text("events")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return {claim.code: claim for claim in claims(from_yaml(text))}


SMALL_DISK = ("size: 1 TiB", "size: 100 GiB")
TURNS: dict[str, tuple[str, list[tuple[str, str]], str]] = {  # code: (as it stands, a change, what it then is)
    "at-least-8k": ("false", [("data_nodes: 3", "data_nodes: 60")], "true"),
    "wrong-partitions": ("it depends", [("partition_skew: 0.2", "partition_skew: 2")], "true"),
    "partitions-later": ("it depends", [("partitioner: keyed", "partitioner: sticky")], "false"),
    "replication-saves": ("true", [("copies: 3 ", "copies: 1 "), ("min_insync: 2", "min_insync: 1")], "false"),
    "zones-1-3-ms": ("true", [("brokers: 3\n  zones: 3", "brokers: 3\n  zones: 1")], "false"),
    "exactly-once": ("true", [("ids: explicit", "ids: automatic")], "it depends"),
    "8g-is-12-gb": (
        "false",
        [("kind: emr-ec2", "kind: ec2\n  resource_manager: kubernetes"), ("kind: jvm-connector", "kind: "
        "python-foreach")],
        "true",
    ),
    "spark-eats-ram": ("it depends", [("keys: 3_000_000", "keys: 60_000_000")], "true"),
    "checkpoints-corrupt": ("it depends", [("file_manager: rename", "file_manager: abortable")], "false"),
    "100-ms": ("true", [("shuffle_partitions: 200", "shuffle_partitions: 1"), ("checkpoint: s3", "checkpoint: local"),
                        ("partitions: 12", "partitions: 1"), ("name: events\n", "name: events\noverrides: "
                         "{spark.batch_cpu_seconds: 0.01, spark.local_commit_seconds: 0.01, "
                         "spark.state_task_cpu_seconds: 0.005}\n")], "it depends"),
    "es-eats-ram": ("it depends", [("hot: 20 %", "hot: 0.1 %")], "false"),
    "read-only-at-85": ("false", [SMALL_DISK], "true"),
    "2-5-seconds": ("false", [("shuffle_partitions: 200", "shuffle_partitions: 8"), ("trigger: 10 s", "trigger: 4 s")],
                    "true"),
}  # fmt: skip


@pytest.mark.parametrize("code", TURNS)
def test_a_claim_is_turned_by_what_makes_it_so(code: str) -> None:
    now, change, then = TURNS[code]
    assert judged()[code].verdict == now, judged()[code]
    assert judged(*change)[code].verdict == then, judged(*change)[code]


def test_eight_gigabytes_are_twelve_on_kubernetes_with_python() -> None:
    claim = judged(*TURNS["8g-is-12-gb"][1])["8g-is-12-gb"]
    assert "12.03 GB" in claim.number


def test_a_small_volume_of_the_service_stops_at_80_percent() -> None:
    """elasticsearch.md B4: 20 GiB free of 100."""
    assert "80.0%" in judged(SMALL_DISK)["read-only-at-85"].number


def test_the_claim_of_three_copies_is_false_and_names_ours() -> None:
    claim = judged(("copies: 2 ", "copies: 3 "))["three-copies"]
    assert claim.verdict == "false" and "yours keeps 3 (2 replicas)" in claim.number


def test_the_first_lost_record_is_retention_after_the_block() -> None:
    """Day 9.5 and a week."""
    number = judged()["backs-up"].number
    stops, lost = (float(part.split()[0].rstrip(";")) for part in number.split("on day ")[1:])
    assert lost - stops == pytest.approx(7.0, abs=0.11)


def test_every_claim_has_a_number_a_reason_and_a_source() -> None:
    found = judged()
    assert len(found) > 30
    for claim in found.values():
        assert claim.said and claim.number and claim.why and claim.source, claim
        assert claim.verdict in ("true", "false", "it depends")
        assert "yours" in claim.number or "your" in claim.number or any(ch.isdigit() for ch in claim.number), claim


@pytest.mark.parametrize("trigger", ["as fast as possible", "available now"])
def test_a_query_without_a_trigger_is_judged_too(trigger: str) -> None:
    found = judged(("trigger: 10 s", f"trigger: {trigger}"))
    assert "at-least-8k" in found and ("2-5-seconds" in found) == (trigger == "as fast as possible")


def test_a_claim_is_about_each_flow() -> None:
    text = example_text("events")
    start = text.index("- name: events")
    end = text.index("\nkafka:")
    two = text[:end] + "\n" + text[start:end].replace("- name: events", "- name: orders") + text[end:]
    found = claims(from_yaml(two))
    assert {c.about for c in found if c.code == "three-copies"} == {"flow events", "flow orders"}


def test_claims_are_told_in_every_format(tmp_path: Path) -> None:
    scenario = from_yaml(example_text("lab"))
    found = claims(scenario)
    assert len(json.loads(as_text(scenario, found))["claims"]) == len(found)
    assert as_markdown(found).count("\n") == len(found) + 2
    assert len(as_csv(found).splitlines()) == len(found) + 1


def test_the_command_answers_the_article(root: Path) -> None:
    ask = [sys.executable, "-m", "planner", "check", "planner/data/examples/events.yaml", "--claims"]
    out = subprocess.run(ask, capture_output=True, text=True, cwd=root, timeout=60)
    assert out.returncode == 0, out.stderr
    assert "replicates everything 3 times" in out.stdout and "it depends" in out.stdout
    told = subprocess.run([*ask, "--json"], capture_output=True, text=True, cwd=root, timeout=60)
    assert {c["verdict"] for c in json.loads(told.stdout)["claims"]} == {"true", "false", "it depends"}
