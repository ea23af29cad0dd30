"""Elasticsearch recorded, and a user's documents sampled in real servers: the one given, and the laboratory's own.

`make test-live` runs this after test_live_stack.py, whose stack has to be down by then.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import parts, processes
from lab.documents import MAPPING, Documents
from lab.experiment import parse
from lab.search import HTTP
from lab.stack import Stack, kit
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


def test_brokers_with_a_certificate_of_their_own_are_read_when_it_is_named(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"type": "kafka", "set": "test", "question": "is TLS read?", "load": {"plan": [[1, 1]]}}
    with Stack(kit(), parse(asked | {"kafka": {"tls": True, "partitions": 2}}, "tls")) as stack:
        stack.start()
        assert stack.brokers is not None
        tls = {"FLOODMARK_KAFKA_PROTOCOL": "SSL"}
        record = ["record", "--kafka", stack.brokers.bootstrap, "--every", "1s", "--for", "1s", "--timeout", "5s"]
        plain = floodmark(*record, "-o", str(tmp_path / "a.jsonl"), code=1)
        assert "is it FLOODMARK_KAFKA_PROTOCOL=SSL" in plain.stderr
        strange = floodmark(*record, "-o", str(tmp_path / "a.jsonl"), code=1, env=tls)
        assert "the certificate is not trusted" in strange.stderr
        out = tmp_path / "b.jsonl"
        floodmark(*record, "--ca-file", str(stack.brokers.ca), "-o", str(out), env=tls)
    assert '"kind":"kafka_log_dirs"' in out.read_text(encoding="utf-8")


def test_own_documents_are_measured_in_the_laboratory_s_server_and_nothing_is_left(tmp_path: Path) -> None:
    docs, template, out = (tmp_path / name for name in ("docs.ndjson", "template.json", "own.toml"))
    made = Documents(600)
    docs.write_bytes(b"".join(made.make(1_795_000_000_000 + i * 5, i, i % 4) + b"\n" for i in range(20_000)))
    template.write_text(json.dumps({"template": {"settings": {"number_of_replicas": 2}, "mappings": MAPPING}}))
    done = floodmark("sample", str(docs), "--template", str(template), "--warm", "8s", "-o", str(out))
    own, generic = load_set(str(out)), load_set("generic-2026-11")
    ratio = own.values["index.bytes_per_json_byte"]
    assert 0.5 < ratio.value < 1.2 and ratio.low < ratio.value < ratio.high and ratio.grade == "measured"
    scale = own["search.byte_cpu_seconds"] / generic["search.byte_cpu_seconds"]
    assert 0.2 < scale < 10 and own["kafka.byte_cpu_seconds"] == generic["kafka.byte_cpu_seconds"]
    for codec in ("gzip", "zstd"):  # a record alone packs worse than a batch of them
        sizes, ratios = zip(*own.compression[codec], strict=True)
        assert len(sizes) >= 4 and sizes[0] < 700 and 1 < ratios[0] < ratios[-1] < 10, codec
    assert "starting the laboratory's server" in done.stderr and nothing_runs()
