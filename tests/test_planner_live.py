"""From Python as from the shell: record, probe, sample and discover, and no secret in anything that they give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import floodmark as fm
from calibration.live import LiveError
from planner.live import several, spell
from tests import live_servers as servers
from tests.test_calibration_recorder import PLANTED, SEARCH, SPARK, TEXT

NODE = {
    "name": "n0", "version": "3.8.0", "roles": ["data", "ingest"], "jvm": {"mem": {"heap_max_in_bytes": 1 << 30}},
    "thread_pool": {"write": {"size": 4}},
}  # fmt: skip
ALLOCATION = [{"shards": "3", "disk.total": str(100 << 30), "node": "n0"}, {"shards": "1", "node": "UNASSIGNED"}]
WHOLE = SEARCH | {"/_nodes": {"nodes": {"a1": NODE}}, "/_cat/allocation": ALLOCATION}


def test_a_recording_is_made_and_read_from_python(tmp_path: Path) -> None:
    said: list[str] = []
    with servers.server({"/metrics": (200, TEXT)}) as exporter:
        url = f"kafka-1={exporter.url}/metrics"
        found = fm.record(tmp_path / "rec.jsonl", metrics=url, every=0.2, length="600 ms", tell=said.append)
    assert found["sources"]["kafka-1"]["answers"] == 4 and "recording kafka-1 every 0.2 s" in said[0]
    (recording,) = fm.import_recordings([tmp_path / "rec.jsonl"])
    assert len(recording.one("kafka", "bytes_in", "kafka-1").t) == 4
    assert not [secret for secret in PLANTED if secret in (tmp_path / "rec.jsonl").read_text(encoding="utf-8")]


def test_a_live_cluster_is_discovered_from_python_and_no_secret_with_it() -> None:
    with servers.server(WHOLE) as s, servers.server(SPARK) as spark:
        told = fm.discover(search=s.url, spark=[spark.url])
    lines = {line.path: line for line in told.lines}
    expected = {"data_nodes": 1, "write_threads": 4, "version": "3.8", "kind": "self-managed-opensearch"}
    assert {name: lines[f"elasticsearch.{name}"].value for name in expected} == expected
    assert lines["elasticsearch.volume.size"].value == "100 GiB" and lines["elasticsearch.heap"].mark == "read"
    everything = told.as_yaml() + json.dumps(told.as_dict()) + repr(told)
    assert not [secret for secret in PLANTED if secret in everything]
    assert {line.path for line in told.unknown} >= {"flows[0].workload.rate", "elasticsearch.machine"}


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda: fm.record("/nowhere/rec.jsonl"), "nothing to record; give search"),
        (lambda: fm.record("rec.jsonl", search="http://127.0.0.1:9", every="soon"), "every = 'soon'"),
        (
            lambda: fm.record("rec.jsonl", search="http://127.0.0.1:9", sigv4="s3"),
            "sigv4 = 's3'; expected one of search",
        ),
        (lambda: fm.probe("http://127.0.0.1:9", "events", "t", length=0.1), "length = 0.1; expected 1 s to"),
        (lambda: fm.sample("docs.ndjson", warm="1 d"), "warm = '1 d'; expected 1 s to 10 min"),
        (lambda: fm.discover(since="yesterday"), "since = 'yesterday'"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(ask: Any, words: str) -> None:
    with pytest.raises(fm.ScenarioError, match=words):
        ask()


def test_a_secret_of_an_address_or_of_the_environment_is_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOODMARK_SEARCH_API_KEY", "planted-api-key-value")
    routes = {"/": (401, "who is ApiKey planted-api-key-value? password=planted-in-answer")}
    with servers.server(routes) as s, pytest.raises(LiveError) as caught:
        fm.probe(s.url, "events", "created", length=1)
    assert "planted" not in str(caught.value) and "401" in str(caught.value)
    with pytest.raises(LiveError) as address:
        fm.probe("http://ops:planted-pw@127.0.0.1:9", "events", "created", length=1)
    assert "planted" not in str(address.value)


def test_one_text_or_several_and_times_as_people_write_them() -> None:
    assert several("a") == ["a"] and several(("a", "b")) == ["a", "b"] and several("") == [] and several(None) == []
    assert spell("every", "200 ms", 0.1, 1) == 0.2 and spell("every", 1, 0.1, 1) == 1.0
