"""Import: the laboratory's recordings give the numbers that its own reader gives, and people's files what they hold."""

from __future__ import annotations

import dataclasses
import gzip
import json
import math
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from calibration.elasticsearch import Node
from calibration.importer import import_paths, load_recordings, read_all
from calibration.kafka import Broker
from calibration.lab import LabRun, load_run, measured
from calibration.observations import ObservationError
from calibration.recording import Recording
from calibration.recording_json import dump
from planner.cli import app, register_all

RESULTS = Path(__file__).parent.parent / "lab" / "results"
FIRST, SECOND = RESULTS / "2026-11-23-epyc-2core", RESULTS / "2026-11-24-epyc-2core"
RUNS = [
    *(FIRST / f"fit-{name}" for name in ("bulk-2x1000", "kafka", "noop-agg", "pipe-8-partitions-4s")),
    *(SECOND / f"disturbed-{name}.1" for name in ("bulk-2x1000-replica", "kafka-tls", "pipe-job-killed")),
]
T0 = 1795418000.0
register_all()


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def node(s: float, documents: float | None, name: str = "n0", **more: Any) -> dict[str, Any]:
    """One node's `_nodes/stats` with few fields, s seconds after T0."""
    indices = {"indexing": {"index_total": documents}}
    pool = {"write": {"completed": 3, "rejected": 0}, "force_merge": {"completed": more.pop("force_merges", 0)}}
    body = {
        "name": name,
        "timestamp": int((T0 + s + more.pop("skew", 0)) * 1000),
        "indices": indices,
        "thread_pool": pool,
    }
    return body | {"process": {"cpu": {"total_in_millis": more.pop("cpu", s * 1000)}}} | more


def stats(s: float, *nodes: dict[str, Any]) -> dict[str, Any]:
    return {"t": T0 + s, "body": {"cluster_name": "c", "nodes": {n["name"]: n for n in nodes}}}


def _broker(r: Recording) -> Broker:
    return Broker(r.counters("kafka", "kafka-1"), r.one("kafka", "log_bytes", "kafka-1", topic="events").value[-1])


def recorded(run: LabRun, r: Recording) -> LabRun:
    """The run with everything replaced that an import also reads."""
    return dataclasses.replace(
        run,
        processes=r.processes(),
        batches=r.batches(),
        tasks=r.tasks,
        polls=r.polls,
        arrivals=r.arrivals.get("arrivals"),
        warm_arrivals=r.arrivals.get("arrivals_warm"),
        broker=_broker(r) if run.broker else None,
        node=Node(run.node.name, r.counters("search", run.node.name)) if run.node else None,
    )


def equal(one: Any, other: Any) -> bool:
    """Equal to rounding, nan to nan, whatever they hold."""
    if dataclasses.is_dataclass(one):
        return equal(vars(one), vars(other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(equal(v, other[k]) for k, v in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-6) or (math.isnan(one) and math.isnan(other))
    return bool(one == other)


@pytest.mark.parametrize("folder", RUNS, ids=lambda p: p.name)
def test_a_laboratory_run_is_imported_with_the_numbers_of_its_own_reader(folder: Path) -> None:
    [r] = import_paths([folder])
    assert (r.name, r.disturbed) == (folder.name, folder.name.startswith("disturbed"))
    if "replica" in folder.name:  # two nodes, which that reader does not take
        assert r.entities("search") == ["n0", "n1"] and len(r.counters("search", "n1")) > 12
        return
    run = load_run(folder)
    mine = recorded(run, r)
    for system, theirs in (("kafka", run.broker), ("search", run.node)):
        own = mine.broker if system == "kafka" else mine.node
        for name, counter in theirs.counters.items() if theirs else ():
            assert np.array_equal(counter.t, own.counters[name].t), name  # type: ignore[union-attr]
            assert np.allclose(counter.unwrapped(), own.counters[name].unwrapped()), name  # type: ignore[union-attr]
    assert equal(measured(run), measured(mine))
    assert len(r.tasks) == len(run.tasks) and sum(t.cpu_seconds for t in r.tasks) == pytest.approx(
        sum(t.cpu_seconds for t in run.tasks)
    )


def test_a_folder_of_runs_is_as_many_recordings_and_each_node_and_broker_is_kept(tmp_path: Path) -> None:
    lines = [{"t": T0 + s, "procs": {"a": {"cpu_seconds": s, "rss_bytes": 1}}} for s in (0, 5, 10)]
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        write(tmp_path / run / "procs.jsonl", *lines)
        write(
            tmp_path / run / "experiment.json",
            {"name": f"fit-{run}", "type": "bulk", "bulk": 1, "disturbed": run == "two"},
        )
        for n in (0, 1):
            write(
                tmp_path / run / f"search-{n}.nodes_stats.jsonl",
                *(stats(s, node(s, 9 * s, f"n{n}")) for s in (0, 5, 10)),
            )
            text = "kafka_server_brokertopicmetrics_bytesin_total 5\nprocess_cpu_seconds_total 7\n"
            write(tmp_path / run / f"kafka-{n}.prom.jsonl", {"t": T0, "text": text}, {"t": T0 + 10, "text": text})
    (tmp_path / "machine.toml").write_text('name = "m"\nas_of = 2026-11-24\nper_core_speed = 1.5\n')
    (tmp_path / "README.md").write_text("# Words\n")
    found = read_all([tmp_path])
    assert [(r.name, r.disturbed) for r in found.recordings] == [("fit-one", False), ("fit-two", True)]
    assert all(
        r.entities("search") == ["n0", "n1"] and r.entities("kafka") == ["kafka-0", "kafka-1"] for r in found.recordings
    )
    assert found.machine["per_core_speed"] == 1.5
    assert [u.file.rpartition("/")[2] for u in found.unused] == ["README.md"]
    with tarfile.open(tmp_path / "runs.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "one", "one")
        archive.add(tmp_path / "two", "two")
    packed = import_paths([tmp_path / "runs.tar.gz", tmp_path / "one"])  # equal names, and two runs all the same
    assert [(r.name, len(r.series)) for r in packed] == [
        (name, len(found.recordings[0].series)) for name in ("fit-one", "fit-two", "fit-one")
    ]


def test_samples_out_of_order_twice_with_gap_and_restart_are_put_right_and_said(tmp_path: Path) -> None:
    order = [0, 10, 20, 20, 40, 30, 50, 200, 210]
    lines = [stats(s, node(s, 100 + s if s < 200 else s - 200, skew=33)) for s in order]
    [r] = import_paths([write(tmp_path / "x.jsonl", *lines)])
    s = r.one("search", "documents", "n0")
    assert s.t.tolist() == [T0 + x for x in (0, 10, 20, 30, 40, 50, 200, 210)]
    assert s.gaps() == [(T0 + 50, T0 + 200)] and s.resets().tolist() == [T0 + 200]
    assert s.counter().increase(T0, T0 + 210) == 60  # 50 before the restart, 10 after, what lay between is lost
    told = " ".join(r.notes)
    assert "out of order" in told and "equal times" in told and "33.0 s ahead of the recorder's" in told


def test_null_and_missing_fields_are_counted_and_never_zero(tmp_path: Path) -> None:
    lines = [stats(s, node(s, None if s == 10 else 5 * s)) for s in (0, 10, 20)]
    [r] = import_paths([write(tmp_path / "x.jsonl", *lines)])
    assert r.one("search", "documents").value.tolist() == [0, 100]
    assert "search n0 documents: missing or null in 1 of 3 samples" in r.notes
    why = {u.quantity: u.reason for u in r.untold if u.system == "search"}
    assert why["merge_bytes"] == "missing or null in all of 3 samples"
    with pytest.raises(ObservationError, match="no search merge_bytes: missing or null in all of 3 samples"):
        r.one("search", "merge_bytes")


def test_a_nodes_own_clock_serves_where_the_line_states_no_time(tmp_path: Path) -> None:
    bodies = [stats(s, node(s, s))["body"] for s in (0, 10)]
    [r] = import_paths(
        [write(tmp_path / "x.json", "noise", json.dumps(bodies[0], indent=2), json.dumps(bodies[1]), "bye")]
    )
    assert r.one("search", "documents").t.tolist() == [T0, T0 + 10]


def test_a_recording_is_cut_where_the_stack_changes(tmp_path: Path) -> None:
    two = [stats(s, node(s, s, "n0"), node(s, s, "n1")) for s in (0, 10)]
    one = [stats(s, node(s, s, "n0", force_merges=s // 60)) for s in (20, 30, 60, 70)]
    write(tmp_path / "nodes.jsonl", *two, *one)

    def shards(s: float, replicas: int) -> dict[str, Any]:
        row = {"index": "orders", "shard": "0", "docs": "5", "store": "10", "node": "n0"}
        return {"t": T0 + s, "body": [row | {"prirep": "p"}, *[row | {"prirep": "r"}] * replicas]}

    write(tmp_path / "shards.jsonl", shards(0, 0), shards(30, 0), shards(40, 1))
    health = {"cluster_name": "c", "status": "green", "number_of_data_nodes": 2}
    write(
        tmp_path / "health.jsonl",
        *({"t": T0 + s, "body": health | {"number_of_nodes": n}} for s, n in ((0, 3), (10, 3))),
    )
    root = {"tagline": "x", "version": {"number": "8.1.0"}}
    write(
        tmp_path / "root.jsonl",
        {"t": T0, "body": root},
        {"t": T0 + 65, "body": root | {"version": {"number": "8.2.0"}}},
    )
    settings = {"orders": {"settings": {"index": {"refresh_interval": "1s", "creation_date": "1"}}}}
    later = json.loads(json.dumps(settings).replace("1s", "30s"))
    write(tmp_path / "settings.jsonl", {"t": T0, "body": settings}, {"t": T0 + 55, "body": later})
    [r] = import_paths([tmp_path])
    told = [(c.t - T0, c.why) for c in r.cuts]
    assert told == [
        (10, "nodes 2 → 1: n1 went"),
        (30, "force-merge on n0"),
        (30, "replica shards of orders 0 → 1"),
        (55, "index orders index.refresh_interval 1s → 30s"),
        (65, "search.version 8.1.0 → 8.2.0"),
    ]
    pieces = r.pieces()
    assert [(p.start - T0, p.end - T0) for p in pieces] == [(0, 10), (20, 30), (60, 65), (65, 70)]
    assert pieces[2].opened_by.startswith("index: index orders") or pieces[2].opened_by
    inside = r.between(pieces[0].start, pieces[0].end)
    assert not inside.cuts and inside.one("search", "documents", "n1").t.tolist() == [T0, T0 + 10]


def test_a_reindex_and_growing_partitions_cut_too(tmp_path: Path) -> None:
    def index(s: float, **by_name: tuple[int, int]) -> dict[str, Any]:
        def body(documents: int, scrolls: int) -> dict[str, Any]:
            return {
                "primaries": {"indexing": {"index_total": documents}, "docs": {"count": documents}},
                "total": {"search": {"scroll_total": scrolls}},
            }

        return {"t": T0 + s, "body": {"_all": {"primaries": {}}, "indices": {k: body(*v) for k, v in by_name.items()}}}

    lines = [
        index(0, old=(9, 0)),
        index(60, old=(9, 0)),
        index(120, old=(9, 5), new=(4, 0)),
        index(180, old=(9, 9), new=(9, 0)),
    ]
    write(tmp_path / "stats.jsonl", *lines)
    tasks = {
        "nodes": {
            "a": {"tasks": {"a:1": {"action": "indices:admin/forcemerge", "start_time_in_millis": T0 * 1000 + 5000}}}
        }
    }
    write(tmp_path / "tasks.jsonl", {"t": T0 + 20, "body": tasks}, {"t": T0 + 30, "body": tasks})
    parts = 'kafka_topic_partitions{topic="orders"} '
    write(tmp_path / "exporter.jsonl", *({"t": T0 + s, "text": f"{parts}{n}\n"} for s, n in ((0, 4), (90, 8))))
    [r] = import_paths([tmp_path])
    told = {c.why: (c.t - T0, (c.end or 0) - T0) for c in r.cuts}
    assert told["reindex by the look of it: scrolls on old while new is new and fills"] == (120, 180)
    assert told["force-merge"] == (5, 30)
    assert told["partitions of orders 4 → 8"] == (0, 90)


def test_one_bad_file_never_stops_the_others(tmp_path: Path) -> None:
    start = time.monotonic()
    write(tmp_path / "good.jsonl", *(stats(s, node(s, s)) for s in (0, 10)))
    (tmp_path / "deep.json").write_text("[" * 200_000)
    (tmp_path / "wide.json").write_text('{"nodes": {"a": [' + "1," * 10_000)
    (tmp_path / "wrong.json").write_text(
        '{"nodes": {"x": {"name": 5, "indices": 7, "jvm": []}}}\n{"batchId": 1, "durationMs": 3}'
    )
    (tmp_path / "bin").write_bytes(bytes(range(256)) * 100)
    (tmp_path / "zeros.gz").write_bytes(gzip.compress(b"\0" * 5_000_000))
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "denied.json").write_text('{"error": {"type": "security_exception"}, "status": 403}')
    (tmp_path / "cat.txt").write_text(
        "index shard prirep state docs store ip node\norders 0 p STARTED 1 1kb 1.1.1.1 n0\n"
    )
    [r] = import_paths([tmp_path])
    why = {u.file.rpartition("/")[2]: u.reason for u in r.unused}
    assert why["empty.json"] == "empty" and why["bin"].startswith("binary")
    assert why["denied.json"] == "an error instead of an answer, status 403: security_exception"
    assert "format=json" in why["cat.txt"] and why["deep.json"].startswith("neither JSON")
    assert {"wrong.json", "wide.json", "zeros.gz"} <= why.keys()
    assert r.one("search", "documents").counter().rate(T0, T0 + 10) == 1
    assert time.monotonic() - start < 15


def _mended(data: bytes, cuts: list[tuple[int, int, bytes]]) -> bytes:
    for at, length, put in cuts:
        at %= len(data) + 1
        data = data[:at] + put + data[at + length :]
    return data


PROGRESS = {"batchId": 1, "durationMs": {"triggerExecution": 5}, "timestamp": "2026-11-23T07:13:20Z", "numInputRows": 3}
RESULT = {"Id": "m", "Label": "BytesInPerSec", "Timestamps": [T0, T0 + 60], "Values": [1, 2]}
SOUND = [
    json.dumps(stats(0, node(0, 5))),
    json.dumps(PROGRESS),
    json.dumps({"t": T0, "text": 'kafka_log_log_size{topic="a",partition="0"} 5\nprocess_cpu_seconds_total 7\n'}),
    json.dumps({"MetricDataResults": [RESULT]}),
    json.dumps({"Event": "SparkListenerJobStart", "Properties": {"streaming.sql.batchId": "1"}, "Stage IDs": [1]}),
    json.dumps([T0, T0 + 1, {"0": [1, 2]}]),
    "t,rate\n1795418000,5\n1795418060,6",
]
NOISE = st.sampled_from(
    [b"", b"{", b"}", b"[", b'"', b"\\", b"\n", b"null", b"\xff", b"\x00", b"1e999", b"-", b"{}", b","]
)
CUTS = st.lists(st.tuples(st.integers(0, 999), st.integers(0, 30), NOISE))


@given(st.lists(st.sampled_from(SOUND), min_size=1, max_size=4), CUTS)
def test_whatever_a_file_has_become_it_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], cuts: list[tuple[int, int, bytes]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "mended.txt"
    path.write_bytes(_mended("\n".join(lines).encode(), cuts))
    try:
        made = import_paths([path])
    except ObservationError as error:
        assert "nothing here could be read" in str(error)
        return
    for r in made:
        assert all(np.isfinite(s.value).all() and (np.diff(s.t) > 0).all() for s in r.series)
        assert r.span()[0] <= r.span()[1]


def test_a_text_without_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("calibration.importer.BARREN", 1 << 20)
    write(tmp_path / "x.log", *["INFO nothing to see here"] * 100_000)
    with pytest.raises(ObservationError, match="1 MiB of text without one JSON document"):
        import_paths([tmp_path / "x.log"])


def test_nothing_usable_is_an_error_that_says_what_was_there(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", "hello")
    with pytest.raises(ObservationError, match=r"nothing here could be read as a recording: .*a\.txt: neither JSON"):
        import_paths([tmp_path])


def test_a_record_file_with_every_kind_in_it_is_read(tmp_path: Path) -> None:
    text = "kafka_server_brokertopicmetrics_bytesin_total 5\nprocess_cpu_seconds_total 7\n"
    lines = [
        {"t": T0, "source": "recorder", "kind": "header", "body": {"floodmark_recording": 1}},
        *({**stats(s, node(s, s)), "source": "search", "kind": "nodes_stats"} for s in (0, 10)),
        {"t": T0, "source": "kafka", "kind": "kafka_cluster", "body": {"brokers": [1]}, "clock": {"ahead_s": 61.5}},
        *({"t": T0 + s, "source": "kafka-7", "kind": "prometheus_text", "text": text} for s in (0, 10)),
        {"t": T0 + 10, "source": "search", "kind": "error", "text": "timed out after 5 s"},
        {
            "t": T0,
            "source": "search",
            "kind": "nodes_info",
            "body": {"nodes": {"a": {"name": "n0", "version": "3.8.0"}}},
        },
        {"t": T0, "source": "search", "kind": "tasks", "body": {"nodes": {}}},
        {"t": T0, "source": "prometheus", "kind": "prometheus_families", "body": {"families": {"up": 3}}},
        {"t": T0, "source": "visible", "kind": "visible", "body": [T0, T0 + 0.1, {"0": [5, 4]}]},
        '{"t": 1795418020, "source": "sea',
    ]
    [r] = import_paths([write(tmp_path / "rec.jsonl", *lines)])
    assert (
        r.entities("kafka") == ["cluster", "kafka-7"]
        and r.entities("search") == ["n0"]
        and r.polls[0].highest == {0: 4}
    )
    assert "search failed 1 time(s): timed out after 5 s" in r.notes
    assert r.setting("search.node n0 version") == "3.8.0"
    assert "the clock of kafka is 61.5 s ahead of the recorder's, whose times are taken" in r.notes
    assert [u.reason for u in r.unused] == ["an error instead of an answer: timed out after 5 s"]
    assert r.files[0].remarks == ("the last document is cut short and left out",)


SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
]


def test_secrets_planted_everywhere_appear_nowhere(tmp_path: Path) -> None:
    for i, secret in enumerate(SECRETS):
        folder = tmp_path / f"run{i}"
        folder.mkdir()
        write(folder / "nodes.jsonl", *(stats(s, node(s, s, f"n {secret}")) for s in (0, 10)))
        write(
            folder / "experiment.json",
            {"name": f"fit {secret}", "type": "bulk", "bulk": 1, "api_key": secret, "q": secret},
        )
        text = f'kafka_server_brokertopicmetrics_bytesin_total{{topic="{secret}"}} 5\nprocess_cpu_seconds_total 7\n'
        write(folder / "kafka-1.jsonl", {"t": T0, "text": text, "source": f"https://bob:{secret}@host"})
        write(
            folder / "err.json",
            {"error": f"password={secret}", "status": 500},
            {"t": T0, "kind": "error", "text": secret},
        )
        bad = {"status": "success", "warnings": [secret], "data": {"resultType": "matrix", "result": []}}
        write(folder / "warn.json", bad)
        properties = {"spark.executor.memory": secret, "spark.hadoop.fs.s3a.secret.key": secret}
        event = {"Event": "SparkListenerEnvironmentUpdate", "Spark Properties": properties}
        write(
            folder / "log",
            event,
            {"Event": "SparkListenerApplicationStart", "App Name": secret, "Timestamp": T0 * 1000},
        )
        write(folder / f"{secret.replace('/', '-')[:30]}.csv", f"t,{secret}", "1795418000,1", "1795418001,2")
        write(folder / "procs.jsonl", {"t": T0, "procs": {secret: {"cpu_seconds": 1, "rss_bytes": 1}}})
        write(folder / "junk.txt", secret, f"{{'token': '{secret}'")
    out = tmp_path / "imported.json"
    ran = CliRunner().invoke(app, ["import", str(tmp_path), "-o", str(out), "--all"])
    as_json = CliRunner().invoke(app, ["import", str(tmp_path), "--json"])
    assert (ran.exit_code, as_json.exit_code) == (0, 0), ran.output
    for secret in SECRETS:
        for shown in (ran.output, as_json.output, out.read_text()):
            assert secret not in shown
    broken = CliRunner().invoke(app, ["import", str(tmp_path / "run0" / "junk.txt")])
    assert broken.exit_code == 1 and all(secret not in broken.output for secret in SECRETS)


def test_what_was_written_is_read_back_whole(tmp_path: Path) -> None:
    folder = SECOND / "disturbed-pipe-job-killed.1"
    made = import_paths([folder])
    dump(made, tmp_path / "a.json.gz")
    [r], [back] = made, load_recordings(tmp_path / "a.json.gz")
    assert [s.name for s in back.series] == [s.name for s in r.series]
    for one, other in zip(r.series, back.series, strict=True):
        assert np.allclose(one.t, other.t, atol=1e-6) and np.array_equal(one.value, other.value)
        assert (one.kind, one.unit, one.files, one.labels) == (other.kind, other.unit, other.files, other.labels)
    assert back.batches() == r.batches() and back.tasks == r.tasks and back.polls == r.polls
    assert (back.events, back.cuts, back.files, back.unused, back.untold) == (
        r.events,
        r.cuts,
        r.files,
        r.unused,
        r.untold,
    )
    [again] = import_paths([tmp_path / "a.json.gz"])
    assert again.batches() == r.batches()
    write(tmp_path / "b.json", {"floodmark_imported": 99})
    with pytest.raises(ObservationError, match="version 99, and this reads 1"):
        load_recordings(tmp_path / "b.json")


def test_the_command_tells_what_it_read_and_takes_zips(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", *(stats(s, node(s, 7 * s)) for s in (0, 10, 20)))
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "x.jsonl", "exports/x.jsonl")
        archive.writestr("exports/notes.txt", "hello")
    ran = CliRunner().invoke(app, ["import", str(tmp_path / "x.zip")])
    assert ran.exit_code == 0
    for part in (
        "_nodes/stats, 3 samples",
        "documents +140 document",
        "every 10 s",
        "Not told",
        "exports/notes.txt: neither JSON",
    ):
        assert part in ran.stdout, part
    told = json.loads(CliRunner().invoke(app, ["import", str(tmp_path / "x.zip"), "--json"]).stdout)
    [documents] = [q for q in told["recordings"][0]["quantities"] if q["quantity"] == "documents"]
    assert (documents["increase"], documents["resolution_seconds"], documents["samples"]) == (140, 10, 3)


def test_mistakes_at_the_command_are_one_line(tmp_path: Path) -> None:
    gone = CliRunner().invoke(app, ["import", str(tmp_path / "gone")])
    assert gone.exit_code == 1 and "gone: no such file or folder" in gone.output
    write(tmp_path / "x.jsonl", stats(0, node(0, 1)))
    named = CliRunner().invoke(app, ["import", str(tmp_path / "x.jsonl"), "-o", str(tmp_path / "x.csv")])
    assert named.exit_code == 2 and "ends in .json or .json.gz" in " ".join(named.output.replace("│", " ").split())
    assert not (tmp_path / "x.csv").exists()


def test_a_larger_heap_is_another_stack_and_a_survivor_space_is_not(tmp_path: Path) -> None:
    def heap(s: float, most: float) -> dict[str, Any]:
        return stats(s, node(s, s, jvm={"mem": {"heap_max_in_bytes": most}}))

    [r] = import_paths([write(tmp_path / "x.jsonl", heap(0, 1e9), heap(10, 1.02e9), heap(20, 4e9), heap(30, 4e9))])
    assert [(c.t - T0, c.why) for c in r.cuts] == [(10, "heap of n0 1.02e+09 → 4e+09")]


def test_the_same_log_given_twice_counts_once(tmp_path: Path) -> None:
    clocks = dict.fromkeys(("Executor Run Time", "Executor CPU Time", "Executor Deserialize CPU Time"), 5)
    metrics = clocks | {"Executor Deserialize Time": 1, "JVM GC Time": 0}
    info = {"Launch Time": T0 * 1000, "Finish Time": T0 * 1000 + 50, "Executor ID": "1"}
    end = {"Event": "SparkListenerTaskEnd", "Stage ID": 1, "Task End Reason": {"Reason": "Success"}}
    started = {"Event": "SparkListenerApplicationStart", "App Name": "a", "Timestamp": T0 * 1000}
    log = write(tmp_path / "app-1", started, end | {"Task Info": info, "Task Metrics": metrics}, PROGRESS)
    with zipfile.ZipFile(tmp_path / "app-1.zip", "w") as archive:
        archive.write(log, "app-1")
    [r] = import_paths([log, tmp_path / "app-1.zip"])
    assert (len(r.tasks), len(r.batches()), len(r.events)) == (1, 1, 1)
    assert "1 tasks were there twice and count once" in r.notes


def test_systems_recorded_on_different_days_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "nodes.jsonl", *(stats(s, node(s, s)) for s in (0, 10)))
    text = "kafka_server_brokertopicmetrics_bytesin_total 5\n"
    write(tmp_path / "kafka-1.jsonl", *({"t": T0 + 86400 + s, "text": text} for s in (0, 10)))
    [r] = import_paths([tmp_path])
    assert any(note.startswith("kafka (2026-11-24 07:13:20Z") and note.endswith("do not overlap") for note in r.notes)


def test_a_long_file_goes_by_line_by_line(tmp_path: Path) -> None:
    import resource

    path = tmp_path / "procs.jsonl.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        for s in range(20_000):
            procs = {"a": {"cpu_seconds": s, "rss_bytes": 1}}
            file.write(json.dumps({"t": T0 + s, "procs": procs, "note": f"{s:04d}" * 500}) + "\n")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    [r] = import_paths([path])
    assert r.one("process", "cpu_seconds").counter().rate(T0, T0 + 19_999) == 1
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 25  # MiB, of 41 MB of text


def test_tables_of_indices_and_the_cluster_s_own_sums_are_read(tmp_path: Path) -> None:
    row = {"health": "green", "index": "orders", "pri": "3", "rep": "1", "docs.count": "1000", "docs.deleted": "7"}
    sizes = {"pri.store.size": "5000", "store.size": "10000"}
    hidden = row | {"index": ".kibana"}
    stats = {
        "cluster_name": "prod", "timestamp": 1_795_418_000_000,
        "nodes": {"count": {"total": 5, "data": 3}, "versions": ["8.17.4"]},
        "indices": {"docs": {"count": 2000}, "store": {"size_in_bytes": 10_000}},
    }  # fmt: skip
    lines = [{"t": 1_795_418_000 + 60 * k, "body": [row | sizes, hidden]} for k in range(2)]
    (tmp_path / "indices.json").write_text("\n".join(map(json.dumps, [*lines, {"t": 1_795_418_000, "body": [row]}])))
    (tmp_path / "stats.json").write_text(json.dumps(stats))
    (r,) = import_paths([tmp_path])
    found = {name: r.one("index", name, "orders").value[-1] for name in ("primaries", "replicas", "store_bytes")}
    assert found == {"primaries": 3, "replicas": 3, "store_bytes": 5000} and r.entities("index") == ["orders"]
    assert r.one("search", "data_nodes", "prod").value[0] == 3 and r.setting("search.version") == "8.17.4"
    assert any("orders store_bytes: missing or null in 1 of" in note for note in r.notes)
