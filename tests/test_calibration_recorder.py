"""A recording survives what happens to recordings: kills, refusals, gaps, wrong clocks, planted secrets, full disks."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from calibration.live import Answer, Call, LiveError, Source
from calibration.recorder import Journal, Recorder
from planner.cli_live import register
from tests import live_servers as servers

COMMANDS = typer.Typer()
register(COMMANDS)
ROOT = Path(__file__).parent.parent
PLANTED = (
    *("hunter2-planted", "AKIAPLANTEDPLANTED12", "eyJhbGciOiJub25l.eyJwbGFudGVkIjoxfQ.c2ln", "jaas-planted"),
    *("uri-planted", "label-planted", "arg-planted", "conf-planted", "env-planted-password"),
)
NODES: dict[str, Any] = {
    "nodes": {
        "a1": {
            "name": "n0",
            "roles": ["data"],
            "attributes": {"db_url": "postgres://svc:uri-planted@db/x", "password": "hunter2-planted"},
            "process": {"cpu": {"total_in_millis": 5}},
        }
    }
}
SEARCH: dict[str, Any] = {
    "/_nodes/stats": NODES,
    "/_nodes": {"nodes": {"a1": {"jvm": {"input_arguments": ["-Djavax.net.ssl.keyStorePassword=arg-planted"]}}}},
    "/_cat": [{"index": "events", "store": "12", "node": "n0"}],
    "/_all/_stats": {"_all": {"primaries": {"docs": {"count": 3}}}},
    "/_all/_settings": {"events": {"settings": {"index.remote.secret_key": "conf-planted"}}},
    "/_cluster/settings": {"persistent": {"note": "AKIAPLANTEDPLANTED12", "auth": "Bearer " + PLANTED[2]}},
    "/_cluster/health": {"status": "green"},
    "/_tasks": {"nodes": {}},
    "/": {"version": {"number": "3.8.0", "distribution": "opensearch"}},
}
TEXT = 'kafka_server_brokertopicmetrics_bytesin_total{token="label-planted",job="x"} 12.0\nup 1\n'
SPARK: dict[str, Any] = {
    "/api/v1/applications": [{"id": "app-1", "name": "q", "attempts": [{"completed": False}]}],
    "/api/v1/applications/app-1/allexecutors": [{"id": "driver", "maxMemory": 5}],
    "/api/v1/applications/app-1/environment": {
        "sparkProperties": [["spark.kafka.sasl.jaas.config", "x required password='jaas-planted';"], ["spark.a", "b"]]
    },
    "/api/v1/applications/app-1/streaming": (404, "no streaming listener attached to q"),
    "/metrics/": (200, TEXT),
}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def record(*arguments: str, env: dict[str, str] | None = None, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "planner", "record", *arguments]
    more = {**os.environ, **(env or {})}
    return subprocess.run(command, cwd=ROOT, env=more, capture_output=True, text=True, timeout=timeout)


def test_a_recording_holds_every_system_in_its_own_words_and_no_planted_secret(tmp_path: Path) -> None:
    out = tmp_path / "rec.jsonl"
    env = {"FLOODMARK_SEARCH_USER": "ops", "FLOODMARK_SEARCH_PASSWORD": "env-planted-password"}
    with (
        servers.server({**SEARCH, "/_cat/nodes": (403, "user ops with env-planted-password may not")}) as s,
        servers.server(SPARK) as spark,
        servers.server({"/metrics": (200, TEXT)}) as exporter,
    ):
        done = record(
            "--search", s.url, "--spark", spark.url, "--metrics", f"kafka-1={exporter.url}/metrics", "--every", "300ms",
            "--for", "1s", "-o", str(out), "--json", env=env,
        )  # fmt: skip
        assert s.asked[0].headers["Authorization"].startswith("Basic ")
    assert done.returncode == 0, done.stderr
    kinds = {(line["source"], line["kind"]) for line in lines(out)}
    assert {("search", "nodes_stats"), ("search", "cat_shards"), ("search", "cluster_settings")} <= kinds
    assert {("kafka-1", "prometheus_text"), ("spark", "spark_executors"), ("spark", "prometheus_text")} <= kinds
    assert lines(out)[0]["kind"] == "header" and lines(out)[-1]["kind"] == "end"
    stats = [line["body"]["nodes"]["a1"] for line in lines(out) if line["kind"] == "nodes_stats"]
    assert len(stats) == 4 and stats[0]["process"]["cpu"]["total_in_millis"] == 5
    everything = out.read_text(encoding="utf-8") + done.stdout + done.stderr
    assert [secret for secret in PLANTED if secret in everything] == []
    told = json.loads(done.stdout)["sources"]
    assert told["search"]["failed"] == {"/_cat/nodes": 1}  # listed, not asked again at once, and the rest went on
    assert "may not read this" in done.stderr and told["search"]["empty_ticks"] == 0
    assert told["spark"]["failed"] == {"streaming/statistics": 1}  # Structured Streaming has none


def test_a_killed_recording_loses_at_most_the_sample_in_flight(tmp_path: Path) -> None:
    out = tmp_path / "rec.jsonl"
    with servers.server({"/metrics": (200, TEXT * 2000)}) as s:
        arguments = ["--metrics", f"{s.url}/metrics", "--every", "100ms", "--for", "60s", "-o", str(out)]
        command = [sys.executable, "-m", "planner", "record", *arguments]
        run = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            _until(lambda: out.exists() and len(s.asked) > 8)
            meanwhile = out.read_text(encoding="utf-8")  # others read it while it grows
        finally:
            run.kill()
            run.wait(10)
        answered = len(s.asked)
        whole = [
            json.loads(line) for line in out.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"
        ]
        assert all(json.loads(line) for line in meanwhile.splitlines(keepends=True) if line.endswith("\n"))
        assert answered - 1 <= sum(line["kind"] == "prometheus_text" for line in whole) <= answered
        with out.open("a", encoding="utf-8") as file:
            file.write('{"t": 12, "torn')  # what a kill in the middle of a write leaves
        again = record(*arguments[:4], "--for", "300ms", "-o", str(out), "--append")
    assert again.returncode == 0 and "cut off 15 bytes" in again.stderr
    assert [line["kind"] for line in lines(out)].count("header") == 2


def _until(done: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_stopped_recording_ends_in_order(tmp_path: Path) -> None:
    out = tmp_path / "rec.jsonl"
    with servers.server({"/metrics": (200, TEXT)}) as s:
        command = [sys.executable, "-m", "planner", "record", "--metrics", f"{s.url}/metrics", "--every", "100ms"]
        run = subprocess.Popen([*command, "-o", str(out)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        _until(lambda: out.exists() and len(s.asked) > 3)
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=10)[1]
    assert run.returncode == 0 and lines(out)[-1]["kind"] == "end" and "Traceback" not in said


def test_a_system_that_gives_nothing_is_told_at_once_and_leaves_no_file(tmp_path: Path) -> None:
    out = tmp_path / "rec.jsonl"
    denied = {"/": (401, "who are you")}
    with servers.server(denied) as s, servers.server({"/metrics": (200, TEXT)}) as good:
        both = ("--search", s.url, "--metrics", f"m={good.url}/metrics", "--for", "200ms", "--every", "100ms")
        done = record(*both, "-o", str(out))
        assert done.returncode == 1 and not out.exists()
        assert "search gave nothing" in done.stderr and done.stderr.count("FLOODMARK_SEARCH_USER") == 1
        assert "(and 10 more calls alike)" in done.stderr
        anyway = record(*both, "-o", str(out), "--anyway")
    assert anyway.returncode == 0 and {line["source"] for line in lines(out)} == {"record", "search", "m"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--search", "https://bob:hunter2-planted@h:9200", "-o", "x.jsonl"], "would show them to everyone"),
        (["--search", "http://127.0.0.1:9", "-o", "x.jsonl.gz"], "record plainly and gzip it afterwards"),
        (["-o", "x.jsonl"], "nothing to record"),
        (["--kafka", "broker", "-o", "x.jsonl"], "expected HOST:PORT"),
        (["--cloudwatch", "rds:db", "-o", "x.jsonl"], "expected kafka:CLUSTER"),
        (["--prometheus", "http://p", "--match", "prod", "-o", "x.jsonl"], "expected label matchers"),
        (["--search", "http://h", "--fingerprint", "12", "-o", "x.jsonl"], "64 hex digits"),
        (["--search", "http://h", "--every", "fast", "-o", "x.jsonl"], "expected a quantity"),
        (["--search", "http://h"], "which file"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    arguments: list[str], words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(COMMANDS, ["record", *arguments])
    said = " ".join(done.stderr.replace("│", " ").split())
    assert done.exit_code in (1, 2) and words in said and "hunter2" not in said
    assert not list(tmp_path.iterdir())


class Clocked:
    """A source of one call whose answers are scripted."""

    def __init__(self, script: Iterator[Any]) -> None:
        self.script = script

    def ask(self) -> list[Answer]:
        one = next(self.script)
        if isinstance(one, Exception):
            raise one
        return [Answer(time.time(), "s", "root", {"n": one}, ahead_seconds=-30.0 if one == 3 else None)]


def run_script(tmp_path: Path, *script: Any, ticks: int = 6, **more: Any) -> tuple[dict[str, Any], Path, list[str]]:
    said: list[str] = []
    source = Source("s", "s", [Call("c", Clocked(iter(script)).ask)], "")
    out = tmp_path / "rec.jsonl"
    recorder = Recorder([source], Journal(out, **more), 0.05, 0.05 * ticks, said.append)
    recorder.begin({})
    return recorder.run(), out, said


def test_gaps_and_a_wrong_clock_are_counted_and_told(tmp_path: Path) -> None:
    slow = LiveError("slow", "s: no whole answer within 1 s")
    summary, out, said = run_script(tmp_path, 1, slow, slow, 2, 3, 4, 5)
    tally = summary["sources"]["s"]
    assert (tally["answers"], tally["empty_ticks"], tally["failed"]) == (5, 2, {"c": 2})
    assert tally["longest_gap_seconds"] > 0.12 and tally["ahead_seconds"] == -30.0
    assert said == ["s: s: no whole answer within 1 s"]  # once, though it failed twice
    assert [line["kind"] for line in lines(out)].count("error") == 2


def test_an_answer_of_a_shape_that_nobody_foresaw_does_not_end_the_recording(tmp_path: Path) -> None:
    summary, _, said = run_script(tmp_path, 1, KeyError("password=hunter2-planted"), 2, 3, 4, 5, 6)
    assert summary["sources"]["s"]["answers"] == 6 and "KeyError" in said[0] and "hunter2" not in said[0]


def test_a_full_disk_ends_the_recording_with_whole_lines(tmp_path: Path) -> None:
    with pytest.raises(LiveError, match="--most"):
        run_script(tmp_path, *range(20), most_bytes=250)
    assert lines(tmp_path / "rec.jsonl")[-1]["body"] == {"n": 1}


def test_two_recordings_never_share_a_file(tmp_path: Path) -> None:
    first = Journal(tmp_path / "a.jsonl")
    with pytest.raises(LiveError, match="exists"):
        Journal(tmp_path / "a.jsonl")
    with pytest.raises(LiveError, match="another recording"):
        Journal(tmp_path / "a.jsonl", go_on=True)
    first.close()
    with pytest.raises(LiveError, match="no folder"):
        Journal(tmp_path / "no" / "a.jsonl")
