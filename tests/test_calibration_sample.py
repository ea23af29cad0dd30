"""A sample of own documents gives back what a server of known costs was made to spend, with an honest error."""

from __future__ import annotations

import gzip
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from calibration import sample, sample_documents
from calibration.live import LiveError
from calibration.live_http import Endpoint
from calibration.sample import Pair, Server, Spent, codec_of, coefficients, index_body
from lab.documents import Documents as LabDocuments
from models.coefficients import load_set
from models.kafka import compression_ratio
from planner import sampling
from planner.refusal import ScenarioError
from planner.scenario import load_scenario, to_yaml
from planner.storage import stored_event_bytes
from tests import live_servers as servers

GENERIC = load_set("generic-2026-11")
WORDS = ["".join(random.Random(n).choices("etaoinshrdlu", k=6)) for n in range(300)]


def document(n: int) -> dict[str, Any]:
    draw = random.Random(n)
    return {"seq": n, "host": f"web-{n % 40}", "message": " ".join(draw.choices(WORDS, k=70))}


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("docs") / "docs.ndjson"
    path.write_text("".join(json.dumps(document(n)) + "\n" for n in range(2000)), encoding="utf-8")
    return path


class Node:
    """A one-node server that spends CPU by the generic set's own prices, times `scale` for the documents."""

    def __init__(self, scale: float, ratio: float, idle: float = 0.0) -> None:
        self.scale, self.ratio, self.cpu, self.refreshes, self.merged = scale, ratio, 100.0, 0, 0
        self.held: dict[str, list[bytes]] = {}
        self.deleted: list[str] = []

    def answer(self, asked: servers.Asked) -> Any:
        name = asked.path.split("/")[1]
        if asked.path.startswith("/_nodes/stats"):
            indices = {
                "refresh": {"total": self.refreshes},
                "merges": {"total_size_in_bytes": self.merged, "current": 0},
            }
            process = {"cpu": {"total_in_millis": self.cpu * 1000}}
            return {"nodes": {"n": {"process": process, "indices": indices}}}
        if asked.method == "PUT":
            self.held[name] = []
            return {"acknowledged": True}
        if asked.method == "DELETE":
            self.deleted.append(name)
            return {"acknowledged": True}
        if asked.path.endswith("/_bulk"):
            lines = asked.body.splitlines()[1::2]
            self.held[name] += lines
            per = GENERIC["search.document_cpu_seconds"]
            own = sum(per + len(line) * GENERIC["search.byte_cpu_seconds"] for line in lines) * self.scale
            self.cpu += (
                own + GENERIC["search.bulk_cpu_seconds"] + len(lines) * GENERIC["search.refresh_document_cpu_seconds"]
            )
            return {"errors": False, "items": [{"index": {"status": 201}} for _ in lines]}
        if asked.path.endswith("/_refresh"):
            self.refreshes += 1
            self.cpu += GENERIC["search.refresh_cpu_seconds"]
            merged = sum(map(len, self.held[name]))
            self.merged, self.cpu = self.merged + merged, self.cpu + merged * GENERIC["search.merge_byte_cpu_seconds"]
        if "_stats" in asked.path:
            size = sum(map(len, self.held[name])) * self.ratio
            return {"_all": {"primaries": {"docs": {"count": len(self.held[name])}, "store": {"size_in_bytes": size}}}}
        return {}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("IDLE_SECONDS", 0.05), ("STORE_CACHE_SECONDS", 0.0), ("SETTLE_SECONDS", 0.0)):
        monkeypatch.setattr(sample, name, value)


def test_planted_costs_come_back(docs: Path, hurried: None) -> None:
    node = Node(scale=1.7, ratio=0.61)
    read = sample_documents.read(docs, 10**8, 10**6)
    with servers.server({"/": node.answer}) as s, Endpoint(s.url) as endpoint:
        idle, halves = sample.measure(Server(endpoint, lambda text: None, 200), read, {"mappings": {}}, 0.5)
    found = coefficients(idle, halves, GENERIC, "explicit", "default", 1.0)
    assert found["index.bytes_per_json_byte"][0].value == pytest.approx(0.61, rel=0.01)
    for name in ("search.document_cpu_seconds", "search.byte_cpu_seconds"):
        assert found[name][0].value == pytest.approx(1.7 * GENERIC[name], rel=0.02), name
    assert sorted(node.deleted) == sorted(node.held)  # nothing is left on the server


def test_a_class_that_a_forecast_multiplies_on_is_taken_off_first() -> None:
    half = Spent(1000, 500_000, 10.0, 1.0, 1, 1, 0, 400_000)
    plain = coefficients(0.0, [half, half], GENERIC, "explicit", "default", 1.0)
    dynamic = coefficients(0.0, [half, half], GENERIC, "dynamic", "zstd", 1.0)
    ratio = GENERIC["index.dynamic_mapping_ratio"] * GENERIC["index.zstd_ratio"]
    name = "index.bytes_per_json_byte"
    assert dynamic[name][0].value * ratio == pytest.approx(plain[name][0].value)
    faster = coefficients(0.0, [half, half], GENERIC, "explicit", "default", 2.0)
    assert faster["search.byte_cpu_seconds"][0].value > plain["search.byte_cpu_seconds"][0].value


def test_the_error_is_that_of_two_halves() -> None:
    pair = Pair(1.0, 1.2)
    assert (pair.value, round(pair.error, 6), round(pair.half_width, 4)) == (1.1, 0.1, 0.6314)
    assert Pair(1.0, 1.0).half_width == 0.02  # two halves that agree by luck are not certain


def test_costs_that_cannot_be_are_refused() -> None:
    half = Spent(1000, 500_000, 10.0, 0.001, 50, 10, 10**7, 400_000)
    with pytest.raises(LiveError, match="too few documents to tell"):
        coefficients(0.0, [half, half], GENERIC, "explicit", "default", 1.0)


def test_a_document_that_the_server_refuses_is_told_with_its_reason(docs: Path, hurried: None) -> None:
    node = Node(1.0, 1.0)

    def answer(asked: servers.Asked) -> Any:
        if asked.path.endswith("/_bulk"):
            error = {"type": "mapper_parsing_exception", "reason": "failed to parse field [seq]"}
            return {"errors": True, "items": [{"index": {"status": 400, "error": error}}]}
        return node.answer(asked)

    read = sample_documents.read(docs, 10**8, 10**6)
    with (
        servers.server({"/": answer}) as s,
        Endpoint(s.url) as endpoint,
        pytest.raises(LiveError, match=r"field \[seq\]"),
    ):
        sample.measure(Server(endpoint, lambda text: None), read, {}, 0.5)
    assert node.deleted


def test_documents_come_as_people_have_them(tmp_path: Path) -> None:
    lines: list[str] = []
    for n in range(1500):
        lines += [json.dumps({"index": {"_index": "a"}}), json.dumps({"_index": "a", "_source": document(n)})]
    path = tmp_path / "docs.ndjson.gz"
    path.write_bytes(gzip.compress("\r\n".join(["\ufeff{}", "not json", "", "[1]", *lines]).encode()))
    read = sample_documents.read(path, 10**8, 10**6)
    assert len(read.lines) == 1501 and json.loads(read.lines[7]) == document(6)
    assert read.passed_over == {
        "_bulk actions": 1500, "lines that are no JSON": 1, "empty lines": 1, "lines that are no object": 1
    }  # fmt: skip
    one, other = read.halves()
    assert abs(len(one.lines) - len(other.lines)) == 1 and not set(one.lines) & set(other.lines)


def test_too_few_documents_are_refused_with_what_would_do(tmp_path: Path) -> None:
    path = tmp_path / "few.ndjson"
    path.write_text('{"a": 1}\n' * 10)
    with pytest.raises(LiveError, match="10 documents of 70 bytes; a sample needs 1,000 documents and 500,000 bytes"):
        sample_documents.read(path, 10**8, 10**6)
    path.write_bytes(gzip.compress(b'{"a": 1}\n' * 1000)[:-30])
    with pytest.raises(LiveError, match="few"):
        sample_documents.read(path, 10**8, 10**6)
    with pytest.raises(LiveError, match="does not exist"):
        sample_documents.read(tmp_path / "none", 10**8, 10**6)


def test_batches_are_as_producers_frame_them(docs: Path) -> None:
    lines = sample_documents.read(docs, 10**8, 10**6).lines
    batches = list(sample_documents.batches(lines, 16 * 1024))
    assert all(len(batch) <= 16 * 1024 for batch in batches)
    overhead = (sum(map(len, batches)) - sum(map(len, lines))) / len(lines)
    assert 8 <= overhead <= 12  # kafka.md A1: a record's framing, batch header not counted
    assert list(sample_documents.batches(lines[:3], 10))[2].endswith(lines[2] + b"\x00")  # a large record goes alone


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_larger_batches_compress_better(docs: Path, codec: str) -> None:
    pytest.importorskip("pyarrow")
    lines = sample_documents.read(docs, 10**8, 10**6).lines
    small, large = (sample_documents.compression(lines, codec, size) for size in (1024, 65536))
    assert 0.9 < small < large < 6


def test_compression_is_told_with_its_half_sample_error_beside_the_law(docs: Path) -> None:
    read = sample_documents.read(docs, 10**8, 10**6)
    found = sample.compressions(read, 16 * 1024, compression_ratio)
    assert found["gzip"]["law"] == 3.5 and 0 < found["gzip"]["half_sample_error"] < 0.1 * found["gzip"]["value"]
    ratios = [point["value"] for point in found["gzip"]["points"]]
    assert len(ratios) >= 4 and ratios == sorted(ratios)  # from one record to what the sample fills


def test_a_size_of_batch_that_the_documents_cannot_fill_is_not_tried() -> None:
    few = sample_documents.Documents((b"x" * 500,) * 2000, {})
    assert sample.batch_sizes(few, 16 * 1024) == [510, 1020, 4096, 16384]
    assert sample.batch_sizes(few, 100)[0] == 510  # a batch is one record at least


@pytest.mark.parametrize(
    "template",
    [
        {
            "index_templates": [
                {"name": "t", "index_template": {"template": {"settings": {"index": {"codec": "zstd"}}}}}
            ]
        },
        {
            "t": {
                "index_patterns": ["a*"],
                "settings": {"index.codec": "zstd", "index.number_of_shards": "3"},
                "mappings": {},
            }
        },
        {"settings": {"codec": "zstd", "lifecycle": {"name": "x"}}},
    ],
)
def test_templates_are_taken_in_every_form_that_servers_answer(template: dict[str, Any]) -> None:
    body, _ = index_body(template)
    assert codec_of(body) == "zstd" and body["settings"]["index.number_of_replicas"] == 0
    assert not [name for name in body["settings"] if "lifecycle" in name]


def test_a_template_that_is_none_is_refused() -> None:
    with pytest.raises(LiveError, match="neither settings nor mappings"):
        index_body({"a": {"b": 1}, "c": 2})


def test_without_java_it_says_what_to_install(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab.java import NoJava, pick

    with pytest.raises(NoJava) as caught:
        pick([], "OpenSearch", 21)
    said = f"lab up: {caught.value}"
    monkeypatch.setattr(
        sampling, "_run", lambda command, seconds: subprocess.CompletedProcess(command, 1, "0.004", said)
    )
    with pytest.raises(
        ScenarioError, match="OpenSearch needs Java 21 or newer; found none; install one: `apt-get install"
    ):
        sampling.sampled(docs, None, None, None, "m7g.large", 100_000, 1.0, lambda text: None)


def test_another_machine_s_server_has_to_be_named(docs: Path) -> None:
    with pytest.raises(ScenarioError, match="say which with --machine"):
        sampling.sampled(docs, None, None, Endpoint("http://127.0.0.1:9"), None, 100_000, 1.0, lambda text: None)


def test_the_set_it_writes_is_one_that_a_forecast_reads(docs: Path, hurried: None, tmp_path: Path) -> None:
    node = Node(scale=1.3, ratio=0.7)
    with servers.server({"/": node.answer}) as s, Endpoint(s.url) as endpoint:
        found = sampling.sampled(docs, None, None, endpoint, "m7g.large", 100_000, 0.5, lambda text: None)
    out = tmp_path / "own.toml"
    out.write_text(found.toml, encoding="utf-8")
    own = load_set(str(out))
    expected = 0.7 / GENERIC["index.dynamic_mapping_ratio"]  # without a template the mapping is dynamic
    assert own["index.bytes_per_json_byte"] == pytest.approx(expected, rel=0.01)
    assert own["spark.byte_cpu_seconds"] == GENERIC["spark.byte_cpu_seconds"]
    assert own.values["search.byte_cpu_seconds"].grade == "measured"
    assert found.plain["coefficients"]["index.bytes_per_json_byte"]["half_sample_error"] < 0.01


RATIOS = """
[compression.zstd]
points = [[600, 1.2], [4096, 2.0], [65536, 4.0]]
"""
WITH_ZSTD = {
    "name": "own",
    "flows": [
        {
            "workload": {"rate": "2k/s", "size": "600 B"},
            "topic": {"producer": {"compression": "zstd"}},
            "query": {"trigger": "2 s", "sink": {"kind": "python-foreach"}},
        }
    ],
}


def own_set(folder: Path, ratios: str) -> str:
    head = f'[set]\nname = "own"\nas_of = "2026-11-24"\nmachine = "m7g.large"\nfills_from = "{GENERIC.name}"\n'
    path = folder / "own.toml"
    path.write_text(f"{head}per_core_speed = {GENERIC.per_core_speed}\n{ratios}")
    return str(path)


def test_ratios_of_own_records_move_the_log_and_a_scenario_s_own_word_wins(tmp_path: Path) -> None:
    generic = load_scenario(WITH_ZSTD)
    own = load_scenario(WITH_ZSTD | {"coefficients": own_set(tmp_path, RATIOS)})
    producer = own.flows[0].topic.producer
    assert (producer.ratio(100), producer.ratio(16384), producer.ratio(1e9)) == (1.2, pytest.approx(3.0), 4.0)
    ratio = stored_event_bytes(own.flows[0]) / stored_event_bytes(generic.flows[0])
    assert abs(ratio - 1) > 0.02
    said = json.loads(json.dumps(WITH_ZSTD | {"coefficients": own_set(tmp_path, RATIOS)}))
    said["flows"][0]["topic"]["producer"]["compression_ratio"] = {"zstd": 9}
    assert load_scenario(said).flows[0].topic.producer.ratio(16384) == 9
    assert load_scenario(to_yaml(own)) == own


def zstd_run(rate: float, ratios: dict[str, Any]) -> float:
    """Stored bytes of a record of the recorded run kafka-1000b-8-partitions-zstd at a rate [bytes]."""
    producer = {"count": 1, "partitioner": "keyed", "linger": "20 ms", "compression": "zstd"}
    flow = WITH_ZSTD["flows"][0] | {
        "workload": {"rate": rate, "size": 1000, "arrivals": "deterministic"},
        "topic": {"partitions": 8, "producer": producer | {"compression_ratio": ratios}},
    }
    return stored_event_bytes(load_scenario({"name": "zstd", "flows": [flow]}).flows[0])


def test_with_the_ratios_of_its_own_documents_a_recorded_zstd_log_is_forecast() -> None:
    """The run is of the test set: nothing was fitted to it, and the laboratory's documents are made here anew.

    270,000 records of 1,000 bytes were stored in 373.05 bytes each; the law of clickstream JSON says 307.
    """
    pytest.importorskip("pyarrow")
    run = Path(__file__).parent.parent / "lab/results/2026-11-24-epyc-2core/test-kafka-1000b-8-partitions-zstd.1"
    sizes = json.loads((run / "log_dirs.json").read_text(encoding="utf-8"))
    sent = {3000: 10 * 3000 + 20 * 3000, 9000: 20 * 9000}  # warm-up and two steps
    stored = sum(one["bytes"] for one in sizes.values()) / sum(sent.values())
    made = LabDocuments(1000)
    own = sample_documents.Documents(tuple(made.make(1_795_514_956_628 + 2 * i, 8 * i, 0) for i in range(3000)), {})
    points = sample.compressions(own, 16 * 1024, compression_ratio)["zstd"]["points"]
    own_ratios = {"zstd": [[point["batch_bytes"], point["value"]] for point in points]}

    def forecast(ratios: dict[str, Any]) -> float:
        return sum(n * zstd_run(rate, ratios) for rate, n in sent.items()) / sum(sent.values())

    assert forecast(own_ratios) == pytest.approx(stored, rel=0.03)
    assert abs(forecast({}) / stored - 1) > 0.15


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ("[compression.zst]\npoints = [[1, 2]]", r"\[compression\.zst\]; expected one of snappy, lz4, zstd, gzip"),
        ("[compression.zstd]\nvalue = 3", r"\[compression\.zstd\] lacks points"),
        ("[compression.zstd]\npoints = [[9, 2], [4, 3]]", r"compression_ratio\.zstd = .*rising batch bytes"),
    ],
)
def test_a_set_with_ratios_that_are_none_is_refused(tmp_path: Path, ratios: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load_scenario(WITH_ZSTD | {"coefficients": own_set(tmp_path, ratios)})
