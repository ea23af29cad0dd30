"""Files as people have them: packed, cut short, in other encodings, wrapped, noisy, hostile."""

from __future__ import annotations

import gzip
import io
import json
import struct
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest

from calibration.formats import Limits, members, open_text
from calibration.formats_json import Found, documents
from calibration.formats_kinds import recognise, samples
from calibration.formats_packed import GIB, Unusable
from calibration.observations import ObservationError

LINES = ["first", "second ü", "third"]
TEXT = "\n".join(LINES) + "\n"


def text_of(path: Path, limits: Limits | None = None) -> tuple[list[str], list[str]]:
    """Lines and remarks of the one member of that path."""
    limits, remarks = limits or Limits(), []
    [lines] = [list(open_text(member, remarks, limits)) for member in members([path], limits)]
    return lines, remarks


def found(text: str) -> tuple[list[Any], Found]:
    seen = Found()
    return [value for value, _ in documents(text.split("\n"), seen)], seen


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_the_encoding_is_told_by_the_first_bytes(tmp_path: Path, coding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode(coding))
    assert text_of(path) == (LINES, [])


def test_packings_are_told_by_their_first_bytes_and_may_lie_in_each_other(tmp_path: Path) -> None:
    import bz2
    import lzma

    path, raw = tmp_path / "a", TEXT.encode()
    for packed in (gzip.compress(raw), bz2.compress(raw), lzma.compress(raw), gzip.compress(gzip.compress(raw))):
        path.write_bytes(packed)
        assert text_of(path)[0] == LINES


def test_spark_event_logs_packed_with_zstd_or_lz4_are_read(tmp_path: Path) -> None:
    zstandard, frame, block = (pytest.importorskip(name) for name in ("zstandard", "lz4.frame", "lz4.block"))
    path, raw = tmp_path / "a", TEXT.encode()
    path.write_bytes(zstandard.ZstdCompressor().compress(raw[:8]) + zstandard.ZstdCompressor().compress(raw[8:]))
    assert text_of(path)[0] == LINES
    path.write_bytes(frame.compress(raw))
    assert text_of(path)[0] == LINES

    def lz4_java(part: bytes, method: int) -> bytes:  # LZ4BlockOutputStream: its header, then the block
        data = part if method == 0x10 else block.compress(part, store_size=False)
        return b"LZ4Block" + bytes([method | 6]) + struct.pack("<iii", len(data), len(part), 0) + data

    path.write_bytes(lz4_java(raw[:8], 0x20) + lz4_java(raw[8:], 0x10) + lz4_java(b"", 0x10))
    assert text_of(path)[0] == LINES
    path.write_bytes(lz4_java(raw, 0x20)[:-3])
    assert text_of(path) == ([], ["the lz4 blocks are cut short or broken: read as far as they go"])


def test_what_a_crash_left_of_a_gzip_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    lines = [f"{i} {i * 7919 % 1000003}" for i in range(20_000)]
    path.write_bytes(gzip.compress("\n".join(lines).encode())[:-2000])
    got, remarks = text_of(path)
    assert len(got) > 15_000 and got[:-1] == lines[: len(got) - 1]
    assert remarks == ["the gzip is cut short: read as far as it goes"]
    path.write_bytes(gzip.compress(b"first\nsecond \xc3\xbc\n") + gzip.compress(b"third\n") + b"\0" * 512)
    assert text_of(path) == (LINES, [])


def test_archives_give_their_files_and_foreign_ones_a_reason(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x/events_10_a", "ten")
        archive.writestr("x/events_2_a", "two")
        archive.writestr("x/.DS_Store", "no")
    assert [m.name for m in members([tmp_path / "a.zip"], Limits())] == ["x/events_2_a", "x/events_10_a"]
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("y/a.txt")
        info.size = 3
        archive.addfile(info, io.BytesIO(b"abc"))
    assert text_of(tmp_path / "a.tar.gz")[0] == ["abc"]
    for head, reason in ((b"PAR1xx", "Parquet"), (b"\x82SNAPPY\0", "snappy"), (b"\x89PNG\r\n", "a picture")):
        (tmp_path / "b").write_bytes(head + b"\0" * 100)
        with pytest.raises(Unusable, match=reason):
            text_of(tmp_path / "b")


def test_a_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_text("x")
    assert [m.base for m in members([tmp_path], Limits())] == ["a"]


def test_bombs_endless_lines_and_binary_are_refused_within_bounds(tmp_path: Path) -> None:
    start = time.monotonic()
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress((b"0" * 1000 + b"\n") * 20_000, 1))
    with pytest.raises(Unusable, match="unpacks to more than 100 times its size"):
        text_of(path, Limits(ratio=100, ratio_from=4 << 20))
    path.write_bytes(gzip.compress(b"x" * (20 << 20), 1))
    with pytest.raises(Unusable, match="a line longer than 4 MiB"):
        text_of(path, Limits(line_characters=4 << 20))
    with pytest.raises(Unusable, match="larger than 0 GiB"):
        text_of(path, Limits(file_bytes=GIB // 1000))
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(Unusable, match="binary"):
        text_of(path)
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for i in range(30):
            archive.writestr(f"{i}", "x")
    with pytest.raises(ObservationError, match="more than 20 files"):
        list(members([tmp_path / "many.zip"], Limits(files=20)))
    assert time.monotonic() - start < 20


def test_documents_are_found_wherever_they_lie() -> None:
    assert found('{"a":1}\n{"b":2}')[0] == [{"a": 1}, {"b": 2}]
    assert found('{\n "a": [1,\n 2]\n}\n{"x":3}{"y":4} tail')[0] == [{"a": [1, 2]}, {"x": 3}, {"y": 4}]
    log = '26/11/23 INFO MicroBatchExecution: made progress: {\n  "id" : "{[",\n "s":[]\n}\n26/11/23 INFO [main] bye'
    assert found(log)[0] == [{"id": "{[", "s": []}]
    shell = "$ curl x\nHTTP/1.1 200 OK\ncontent-type: application/json\n\n" + '{"nodes":{"a":1}}\nreal 0.1s'
    values, seen = found(shell)
    assert values == [{"nodes": {"a": 1}}] and seen.noise == 4
    assert found("{'a': 1or 2}")[0] == []  # Python warns of such a number
    assert found("{'id': 'a', 'name': None, 'on': True}")[0] == [{"id": "a", "name": None, "on": True}]


def test_a_broken_document_costs_itself_only() -> None:
    values, seen = found('{"t":1,"bo\n{"t":2}\n{"t":3}\n{"t":4')
    assert values == [{"t": 2}, {"t": 3}] and seen.broken == 2 and seen.cut_short
    values, seen = found('list [\n{"t":1}\n{"t":2}')
    assert values == [{"t": 1}, {"t": 2}] and not seen.cut_short


def test_an_opening_that_never_closes_does_not_swallow_a_long_file(monkeypatch: pytest.MonkeyPatch) -> None:
    import calibration.formats_json as formats_json

    monkeypatch.setattr(formats_json, "LONGEST", 2000)
    values, seen = found("\n".join(["settings {", *(f'{{"t": {i}}}' for i in range(1000))]))
    assert [v["t"] for v in values] == list(range(1000)) and seen.too_long == 1


def test_nesting_and_numbers_without_end_are_refused_in_time() -> None:
    start = time.monotonic()
    for text in (
        "[" * 3_000_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '{"a": 1' + "0" * 100_000 + "}",
        "{" * 5000 + "\n" * 5000,
    ):
        assert found(text)[0] == []
    assert time.monotonic() - start < 10


def test_an_answer_is_known_in_any_envelope() -> None:
    body = {"cluster_name": "c", "nodes": {"x": {"name": "n0", "indices": {}}}}
    wrapped = [
        {"t": 1795418000, "body": body},
        {"timestamp": "2026-11-23T07:13:20Z", "response": {"status": 200, "data": body}},
        {"statusCode": 200, "time": 1795418000000, "body": json.dumps(body)},
        [{"@timestamp": "2026-11-23 07:13:20", "_source": {"payload": [body]}}],
    ]
    for value in wrapped:
        [sample] = samples(value)
        assert (sample.kind, sample.t, sample.body) == ("nodes_stats", 1795418000.0, body)
    [bare] = samples(body)
    assert bare.t is None


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("index_stats", {"_shards": {}, "_all": {"primaries": {}, "total": {}}, "indices": {}}),
        ("cat_shards", [{"index": "a", "shard": "0", "prirep": "p"}]),
        ("cat_indices", [{"health": "green", "index": "a", "pri": "1", "rep": "0", "docs.count": "5"}]),
        ("cat_allocation", [{"shards": "5", "disk.total": "100", "node": "n0"}]),
        ("cluster_stats", {"cluster_name": "c", "nodes": {"count": {"total": 3}, "versions": ["8.17.4"]}}),
        ("spark_environment", {"runtime": {}, "sparkProperties": [["spark.executor.cores", "4"]]}),
        ("spark_applications", [{"id": "app-1", "name": "q", "attempts": []}]),
        ("progress", {"id": "x", "batchId": 1, "durationMs": {}, "sources": []}),
        ("eventlog", {"Event": "SparkListenerTaskEnd"}),
        ("prometheus_range", {"status": "success", "data": {"resultType": "matrix", "result": []}}),
        ("cloudwatch", {"MetricDataResults": []}),
        ("procs", {"t": 1, "procs": {"a": {}}}),
        ("librdkafka", {"client_id": "a", "type": "producer", "brokers": {}, "topics": {"o": {}}}),
        ("kafka_log_dirs", {"version": 1, "brokers": [{"broker": 1, "logDirs": []}]}),
        ("kafka_topics", {"topics": {"a": {"0": {"replicas": [1]}}}}),
        ("error", {"error": {"type": "security_exception"}, "status": 401}),
        (None, {"hello": "world"}),
        (None, [1, 2, 3]),
    ],
)
def test_each_system_is_known_by_the_shape_of_its_answer(kind: str | None, value: Any) -> None:
    assert recognise(value) == kind
