"""A recording says what the machine and the systems did, in files that the readers read."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calibration.lab import load_run, measured, read_processes
from calibration.observations import json_lines
from calibration.spark import read_event_log
from lab import job, machine, processes
from lab.brokers import JMX_RULES
from lab.disturb import Disturber
from lab.experiment import parse
from lab.record import Every, Sampler, Writer, cpu_stat, machine_sample, pressure, probe, probe_cores
from lab.run import committed
from lab.search import SearchError
from lab.spark import thin

RESULTS = Path(__file__).parent.parent / "lab" / "results"
OURS = sorted(p.parent for p in RESULTS.glob("*/*/experiment.json") if '"versions"' in p.read_text(encoding="utf-8"))
needs_linux = pytest.mark.skipif(not Path("/proc/stat").exists(), reason="/proc is Linux's")


@needs_linux
def test_a_sample_holds_cpu_memory_steal_pressure_and_speed() -> None:
    said = machine_sample(5.0, {"me": os.getpid(), "gone": 2**30}, sorted(os.sched_getaffinity(0)))
    assert set(said["procs"]) == {"me"}  # what is gone is left out, not 0
    assert said["procs"]["me"]["cpu_seconds"] == pytest.approx(time.process_time(), rel=0.2, abs=0.2)
    assert said["procs"]["me"]["rss_bytes"] > 10_000_000
    assert len(said["cpu_stat"]) == 8 and all(v.isdigit() for v in said["cpu_stat"])
    assert all(0.0005 < seconds < 0.1 for seconds in said["probe"].values())


@needs_linux
def test_the_speed_probe_is_cpu_time_and_repeats() -> None:
    """Other work on the core stretches its wall time, not its CPU time: half of nine agree within a third."""
    taken = sorted(probe() for _ in range(9))
    assert taken[6] / taken[2] < 1.33


@needs_linux
def test_a_probe_gives_the_thread_its_cores_back() -> None:
    before = os.sched_getaffinity(0)
    probe_cores(before)
    assert os.sched_getaffinity(0) == before


def test_steal_is_the_eighth_field() -> None:
    assert cpu_stat("cpu  357236 1 25918 555567 1375 2 226 622 0 0\n")[7] == "622"
    assert pressure("some avg10=99.72 avg60=95.57 avg300=71.78 total=616283648")["avg10"] == 99.72


def test_lines_are_packed_and_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        writer = Writer(tmp_path / name)
        for i in range(3):
            writer.line("procs", json.dumps({"t": i}))
        writer.compress()
    assert list(json_lines(tmp_path / "a" / "procs.jsonl.gz")) == [{"t": 0}, {"t": 1}, {"t": 2}]
    assert (tmp_path / "a" / "procs.jsonl.gz").read_bytes()[10:] == (tmp_path / "b" / "procs.jsonl.gz").read_bytes()[
        10:
    ]
    assert not (tmp_path / "a" / "procs.jsonl").exists()


@needs_linux
def test_the_readers_read_the_samples(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for t in (0.0, 5.0):
        writer.line("procs", json.dumps(machine_sample(t, {"spark": os.getpid()}, [])))
    writer.compress()
    seen = read_processes(tmp_path / "procs.jsonl.gz")
    assert set(seen.cpu) == {"spark"} and seen.cpu["spark"].increase(0.0, 5.0) >= 0


def test_a_sampler_keeps_its_grid_and_tells_its_failure() -> None:
    calls: list[float] = []

    def work(due: float) -> None:
        calls.append(due)
        if len(calls) == 2:
            time.sleep(0.07)  # longer than the grid: points are passed over, not made up for
        if len(calls) == 4:
            raise SearchError("gone")

    every = Every(0.02, work)
    every.start()
    every.join(5)
    steps = [round((b - a) / 0.02) for a, b in itertools.pairwise(calls)]
    assert len(calls) == 4 and steps[1] >= 4 and all(step >= 1 for step in steps)
    with pytest.raises(SearchError, match="gone"):
        every.finish()


def test_an_event_log_keeps_tasks_and_loses_the_machine(tmp_path: Path) -> None:
    task = {
        "Event": "SparkListenerTaskEnd", "Stage ID": 0, "Task Type": "ResultTask",
        "Task End Reason": {"Reason": "Success"},
        "Task Info": {"Index": 2, "Launch Time": 1000, "Finish Time": 1500, "Accumulables": [{"ID": 1}]},
        "Task Metrics": {"Executor Run Time": 400, "Executor CPU Time": 9, "Executor Deserialize CPU Time": 1,
                         "Executor Deserialize Time": 5, "JVM GC Time": 0, "Input Metrics": {"Records Read": 7}},
    }  # fmt: skip
    environment = {
        "Event": "SparkListenerEnvironmentUpdate", "JVM Information": {"Java Home": "/usr/lib/x", "Java Version": "17"},
        "Spark Properties": {"spark.master": "local[1]", "spark.jars": "/home/someone/a.jar"},
        "System Properties": {"user.home": "/home/someone"}, "Classpath Entries": {"/home/someone/b.jar": "x"},
    }  # fmt: skip
    plan = {"Event": "org.apache.spark.sql.execution.ui.SparkListenerSQLExecutionStart", "physicalPlanDescription": "x"}
    log = [json.dumps(e) for e in (environment, plan, task)] + ['{"Event":"SparkListenerTa']  # cut by a kill
    kept = list(thin(log))
    assert len(kept) == 2 and "someone" not in "".join(kept) and "Accumulables" not in "".join(kept)
    (tmp_path / "eventlog.jsonl").write_text("".join(kept))
    assert [t.records for t in read_event_log(tmp_path / "eventlog.jsonl")] == [7]


def test_what_the_job_committed_is_its_last_end_offset() -> None:
    """Counts of batches would miss one whose progress was lost with the job; offsets do not."""
    line = {"numInputRows": 5, "sources": [{"endOffset": {"events": {"0": 30, "1": 31}}}]}
    assert committed([line, line]) == 61 and committed([]) == 0
    line["sources"][0]["endOffset"] = '{"events":{"0":1,"1":2}}'  # type: ignore[index]
    assert committed([line]) == 3


def test_a_node_does_not_tell_the_machines_folders(tmp_path: Path) -> None:
    sampler = Sampler(Writer(tmp_path), dict, [], hide="/home/someone/.cache/lab")
    node = Node((200, {"fs": {"data": [{"path": "/home/someone/.cache/lab/work/node0"}]}}), (503, {}))
    for _ in range(2):  # an answer, and a refusal, which leaves a gap and no line
        sampler.get(node, "search.nodes_stats", "/_nodes/_local/stats")  # type: ignore[arg-type]
    lines = list(json_lines(tmp_path / "search.nodes_stats.jsonl"))
    assert [line["body"]["fs"]["data"][0]["path"] for line in lines] == ["lab/work/node0"]


class Node:
    """A search node that gives prepared answers."""

    def __init__(self, *answers: tuple[int, Any] | Exception) -> None:
        self.answers, self.sent = list(answers), []

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self.sent.append(body)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer[0], json.dumps(answer[1]).encode()


def bulk_answer(*statuses: int) -> tuple[int, Any]:
    items = [{"index": {"status": s} | ({"error": {"type": "x"}} if s >= 300 else {})} for s in statuses]
    return 200, {"errors": any(s >= 300 for s in statuses), "items": items}


def test_only_what_was_refused_with_429_is_sent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.time, "sleep", lambda _: None)
    node = Node(bulk_answer(201, 429, 201), SearchError("no answer"), bulk_answer(201))
    job.send(node, [b"a", b"b", b"c"], retry_s=60)  # type: ignore[arg-type]
    assert node.sent == [b"abc", b"b", b"b"]


def test_a_write_block_fails_the_batch_and_a_lasting_429_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job.time, "sleep", lambda _: None)
    with pytest.raises(job.BulkRefused, match="document: 403"):
        job.send(Node(bulk_answer(201, 403)), [b"a", b"b"], retry_s=60)  # type: ignore[arg-type]
    with pytest.raises(job.BulkRefused, match=r"2 documents refused for 0\.1 s"):
        job.send(Node(bulk_answer(429, 429)), [b"a", b"b"], retry_s=0.1)  # type: ignore[arg-type]


def test_a_bulk_holds_as_many_documents_as_asked() -> None:
    assert [len(c) for c in job.chunks(iter([b"x"] * 7), 3)] == [3, 3, 1]


class Recorder:
    """A stack whose acts are only noted."""

    def __init__(self) -> None:
        self.acts: list[str] = []
        self.why: str | None = None
        self.job = self

    def stop(self, sign: int = 0) -> None:
        self.acts.append(f"stop {sign}" if sign else "stop")

    def start(self) -> None:
        self.acts.append("start")
        self.why = None

    def failed(self) -> str | None:
        return self.why


def test_disturbances_come_in_their_order_and_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, stack, notes = [100.0], Recorder(), []
    monkeypatch.setattr("lab.disturb.time.time", lambda: clock[0])
    note: Callable[..., None] = lambda kind, **_: notes.append((kind, clock[0]))  # noqa: E731
    raw = {"type": "pipe", "set": "test", "question": "q", "load": {"plan": [[60, 1]]}}
    raw["disturb"] = [{"kind": "job_stop", "at_s": 10, "how": "kill", "restart_after_s": 20.0}]
    disturber = Disturber(parse(raw, "x").disturb, stack, note)
    disturber.begin(clock[0])
    for clock[0] in (105.0, 110.0, 120.0, 129.9, 130.0):
        disturber.turn()
        disturber.watch_job(5.0)
    assert notes == [("job_stopped", 110.0), ("job_restarted", 130.0)] and stack.acts == ["stop 9", "start"]
    stack.why = "query failed: 403"
    for clock[0] in (140.0, 144.0, 145.0):
        disturber.watch_job(5.0)
        disturber.turn()
    assert notes[2:] == [("job_failed", 140.0), ("job_restarted", 145.0)] and disturber.over


def test_the_exporter_names_the_families_that_are_read() -> None:
    for name in ("BrokerTopicMetrics", "type=Log,name=Size", "request=Produce"):
        assert name in JMX_RULES


def test_a_machine_without_a_known_speed_says_so() -> None:
    assert machine.speed({"vendor_id": "AuthenticAMD", "cpu family": "25", "model": "17"}) is not None
    assert machine.speed({"vendor_id": "AuthenticAMD", "cpu family": "25", "model": "1"}) is None
    assert machine.speed({}) is None


@needs_linux
def test_a_tree_is_all_descendants() -> None:
    stat = processes.Stat
    stats = {1: stat(0, 0, 0, 0, "S"), 2: stat(1, 0, 0, 0, "S"), 3: stat(2, 0, 0, 0, "S"), 4: stat(1, 0, 0, 0, "S")}
    assert sorted(processes.tree(2, stats)) == [2, 3]
    assert sorted(processes.tree(1, stats)) == [1, 2, 3, 4]
    assert processes.tree(9, stats) == []


@pytest.mark.parametrize("folder", OURS, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_every_recording_of_the_laboratory_reads(folder: Path) -> None:
    """calibration reads it, all sent records are accounted for, and a disturbed one is never called fit."""
    run, said = load_run(folder), json.loads((folder / "experiment.json").read_text())
    assert folder.name == said["name"]
    assert said["disturbed"] == folder.name.startswith("disturbed-")
    seen = measured(run)
    assert seen.name == said["name"] and set(seen.resident_bytes) >= set(run.processes.cpu) - {"load"}
    if said["type"] == "pipe":
        outcome = json.loads((folder / "outcome.json").read_text())
        assert outcome["committed"] >= outcome["expected"] == run.sent()  # a retried produce may repeat a record
        assert outcome["visible"] is None or outcome["visible"] >= outcome["expected"]
    for path in folder.glob("*.gz"):
        text = gzip.decompress(path.read_bytes()).decode()
        assert not re.search(r"/(root|home|var/cache|Users)/", text), f"{path.name} names a folder of the machine"
    with gzip.open(folder / "procs.jsonl.gz", "rt") as lines:
        for line in map(json.loads, lines):
            assert line["probe"] and line["cpu_stat"] and "pressure" in line


def test_a_sampler_that_failed_leaves_no_thread_and_no_connection(tmp_path: Path) -> None:
    """One of its threads ended by an error; the others stop too, and every client is closed."""
    sampler = Sampler(Writer(tmp_path), dict, [])

    def fail(due: float) -> None:
        raise ValueError("planted")

    sampler.threads = [Every(0.05, fail), Every(0.05, lambda due: None)]
    closed: list[str] = []

    class Closing:
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    sampler.nodes, sampler.looker = [Closing("node")], Closing("looker")  # type: ignore[list-item, assignment]
    threads = list(sampler.threads)
    for thread in threads:
        thread.start()
    with pytest.raises(ValueError, match="planted"):
        sampler.stop()
    assert closed == ["node", "looker"] and not any(thread.is_alive() for thread in threads)
    sampler.abandon()  # again, and without a word
