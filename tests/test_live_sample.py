"""Elasticsearch recorded, and a user's documents sampled in real servers: the one given, and the laboratory's own.

`make test-live` runs this after test_live_stack.py, whose stack has to be down by then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import parts, processes
from lab.documents import MAPPING, Documents
from lab.search import HTTP
from models.coefficients import load_set
from tests.live_stack import LIVE, ROOT, floodmark

pytestmark = LIVE
SEARCH = f"http://127.0.0.1:{HTTP}"


def nothing_runs() -> bool:
    return processes.Registry(parts.lab_home()).alive() == {}


@pytest.fixture
def elasticsearch() -> Iterator[str]:
    command = [sys.executable, "-m", "lab"]
    started = subprocess.run(
        [*command, "up", "--search", "elasticsearch"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert started.returncode == 0, started.stderr[-2000:]
    try:
        yield SEARCH
    finally:
        subprocess.run([*command, "down"], cwd=ROOT, capture_output=True, timeout=120)


def test_elasticsearch_is_recorded(elasticsearch: str, tmp_path: Path) -> None:
    rec = tmp_path / "rec.jsonl"
    floodmark("record", "--search", elasticsearch, "--every", "1s", "--for", "2s", "-o", str(rec))
    lines = [json.loads(line) for line in rec.read_text(encoding="utf-8").splitlines()]
    assert [one["kind"] for one in lines].count("nodes_stats") == 3
    assert [one["call"] for one in lines if one["kind"] == "error"] == ["/"]  # these servers have no GET /
    told = json.loads(floodmark("import", str(rec), "--json").stdout)
    assert "cpu_seconds" in json.dumps(told)


def test_own_documents_are_measured_in_the_laboratory_s_server_and_nothing_is_left(tmp_path: Path) -> None:
    docs, template, out = (tmp_path / name for name in ("docs.ndjson", "template.json", "own.toml"))
    made = Documents(600)
    docs.write_bytes(b"".join(made.make(1_795_000_000_000 + i * 5, i, i % 4) + b"\n" for i in range(8000)))
    template.write_text(json.dumps({"template": {"settings": {"number_of_replicas": 2}, "mappings": MAPPING}}))
    done = floodmark("sample", str(docs), "--template", str(template), "--warm", "8s", "-o", str(out))
    own, generic = load_set(str(out)), load_set("generic-2026-11")
    ratio = own.values["index.bytes_per_json_byte"]
    assert 0.5 < ratio.value < 1.2 and ratio.low < ratio.value < ratio.high and ratio.grade == "measured"
    scale = own["search.byte_cpu_seconds"] / generic["search.byte_cpu_seconds"]
    assert 0.2 < scale < 10 and own["kafka.byte_cpu_seconds"] == generic["kafka.byte_cpu_seconds"]
    assert "starting the laboratory's server" in done.stderr and nothing_runs()
