"""The probe finds the latency that records really had, per partition, within the resolution that it states."""

from __future__ import annotations

import json
import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from calibration.live import LiveError
from calibration.live_http import Endpoint
from calibration.probe import Probe, summary
from planner.cli_live import register
from tests import live_servers as servers

COMMANDS = typer.Typer()
register(COMMANDS)
UNIT = {"date": 1e-3, "long": 1.0, "keyword": 1.0}


@dataclass(frozen=True)
class Document:
    """Created and visible [epoch s]."""

    created: float
    visible: float
    partition: int


def stream(rate: float, seconds: float, refresh: float, delays: list[float], seed: int = 1) -> list[Document]:
    """Poisson arrivals over the partitions; each is visible at the first refresh after its partition's delay."""
    draw, at, found = random.Random(seed), time.time() - 1.0, []
    until = at + seconds
    while at < until:
        at += draw.expovariate(rate)
        partition = draw.randrange(len(delays))
        found.append(Document(at, math.ceil((at + delays[partition]) / refresh) * refresh, partition))
    return found


class Index:
    """As a search server answers the probe's searches over these documents."""

    def __init__(self, documents: list[Document], kind: str = "date", failed: Callable[[int], bool] = lambda n: False):
        self.documents, self.kind, self.searches, self.failed = documents, kind, [], failed  # type: ignore[var-annotated]
        self.unit = UNIT[kind]

    def routes(self) -> dict[str, Any]:
        return {"/events/_mapping/field/": self.mapping, "/events/_search": self.search}

    def mapping(self, asked: servers.Asked) -> Any:
        name = asked.path.rsplit("/", 1)[1]
        if name not in ("created_at", "p"):
            return {"events": {"mappings": {}}}
        return {"events": {"mappings": {name: {"full_name": name, "mapping": {name: {"type": self.kind}}}}}}

    def key(self, document: Document) -> float:
        value = document.created / self.unit
        return math.floor(value) if self.kind in ("date", "long") else value

    def search(self, asked: servers.Asked) -> Any:
        body = asked.json()
        self.searches.append(body)
        assert body["size"] == 0 and "request_cache=false" in asked.query  # nothing but counts, and none from a cache
        now = time.time()
        least = body.get("query", {}).get("range", {}).get("created_at", {}).get("gte", -math.inf)
        seen = [d for d in self.documents if d.visible <= now and self.key(d) >= least]
        told = {name: self.aggregate(one, seen) for name, one in body["aggs"].items()}
        return {"_shards": {"failed": int(self.failed(len(self.searches)))}, "timed_out": False, "aggregations": told}

    def aggregate(self, one: dict[str, Any], seen: list[Document]) -> dict[str, Any]:
        if "max" in one:
            return {"value": max((self.key(d) for d in seen), default=None)}
        if "cardinality" in one:
            return {"value": len({d.partition for d in seen})}
        if "terms" in one:
            by = {p: [d for d in seen if d.partition == p] for p in {d.partition for d in seen}}
            inner = one["aggs"]["t"]
            rows = [{"key": p, "doc_count": len(ds), "t": self.aggregate(inner, ds)} for p, ds in by.items()]
            return {"buckets": rows, "sum_other_doc_count": 0}
        if "date_histogram" in one:
            width = float(one["date_histogram"]["fixed_interval"].removesuffix("ms"))
        else:
            width = one["histogram"]["interval"]
        counted = Counter(math.floor(self.key(d) / width) * width for d in seen)
        return {"buckets": [{"key": key, "doc_count": n} for key, n in counted.items()]}


def probed(index: Index, seconds: float = 2.5, partition: str = "", every: float = 0.1) -> dict[str, Any]:
    with servers.server(index.routes()) as s, Endpoint(s.url) as endpoint:
        polling = Probe(endpoint, "events", "created_at", partition, every)
        return summary(polling.run(seconds), polling)


def true_latency(index: Index, found: dict[str, Any], share: float, partition: int | None = None) -> float:
    """That quantile of what became visible while the probe looked."""
    lived = sorted(
        d.visible - d.created
        for d in index.documents
        if found["from"] < d.visible <= found["to"] and partition in (None, d.partition)
    )
    return lived[min(math.ceil(share * len(lived)) - 1, len(lived) - 1)]


def test_it_finds_the_latency_that_records_had_in_each_partition() -> None:
    index = Index(stream(400, 6, refresh=0.4, delays=[0.05, 0.05, 0.9]))
    found = probed(index, partition="p")
    assert found["resolution_seconds"] < 0.35
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        for partition in (0, 2):
            off = found["partitions"][str(partition)][name] - true_latency(index, found, share, partition)
            assert -0.06 < off < found["resolution_seconds"] + 0.06, (name, partition)
        assert (
            -0.06
            < found["latency_seconds"][name] - true_latency(index, found, share)
            < found["resolution_seconds"] + 0.06
        )
    slow, fast = found["partitions"]["2"]["p50"], found["partitions"]["0"]["p50"]
    assert 0.6 < slow - fast < 1.1


def test_without_a_partition_field_late_records_of_a_slow_partition_are_still_seen() -> None:
    """The newest timestamp alone would hide them: a third of the records comes 0.9 s behind the newest."""
    index = Index(stream(400, 6, refresh=0.2, delays=[0.05, 0.05, 0.9]))
    found = probed(index)
    assert found["latency_seconds"]["p90"] > 0.85 > 0.6 > found["newest_behind_seconds"]["median"]


def test_a_burst_after_silence_is_not_taken_for_slowness() -> None:
    now = time.time()
    index = Index([Document(now - 40, now - 39, 0), *(Document(now + 1.0, now + 1.1, 0) for _ in range(50))])
    assert probed(index, 2.0)["latency_seconds"]["max"] < 0.5


@pytest.mark.parametrize("kind", ["long"])
def test_whole_seconds_of_epoch_time_are_known_as_such_and_told_in_the_resolution(kind: str) -> None:
    found = probed(Index(stream(300, 6, refresh=0.2, delays=[0.05]), kind))
    assert found["bucket_seconds"] == 1.0 and found["resolution_seconds"] > 0.5
    assert -0.5 < found["latency_seconds"]["p50"] < 0.9


def test_answers_of_some_shards_only_are_left_out() -> None:
    index = Index(stream(300, 6, refresh=0.2, delays=[0.05]), failed=lambda n: n % 3 == 0)
    found = probed(index)
    assert any("not every shard" in note for note in found["notes"]) and found["latency_seconds"]["max"] < 1.0


def test_the_load_on_the_server_is_bounded() -> None:
    index = Index(stream(300, 6, refresh=0.2, delays=[0.05]))
    answer = index.search

    def slow(asked: servers.Asked) -> Any:
        time.sleep(0.15)
        return answer(asked)

    routes = {**index.routes(), "/events/_search": slow}
    with servers.server(routes) as s, Endpoint(s.url) as endpoint:
        polling = Probe(endpoint, "events", "created_at", every=0.1)
        found = summary(polling.run(3.0), polling)
    assert found["answers"] <= 6 and any("spaced wider than 0.1 s" in note for note in found["notes"])
    window = [body["query"]["range"]["created_at"]["gte"] for body in index.searches if "query" in body]
    assert min(window) > (time.time() - 130) * 1000  # the last minutes only, whatever the index holds


@pytest.mark.parametrize(
    ("field", "kind", "words"),
    [
        ("created", "date", "no such field"),
        ("created_at", "keyword", "is keyword; expected a date"),
        ("created_at", "long", "no epoch time of today"),
    ],
)
def test_a_field_that_holds_no_time_is_refused(field: str, kind: str, words: str) -> None:
    index = Index([Document(7.0, 0.0, 0)], kind)
    with servers.server(index.routes()) as s, Endpoint(s.url) as endpoint, pytest.raises(LiveError, match=words):
        Probe(endpoint, "events", field)


def test_an_index_that_nobody_writes_to_is_told_as_that() -> None:
    with pytest.raises(LiveError, match=r"no record became visible in \d+ answers; the newest is 60 s old"):
        probed(Index([Document(time.time() - 60, 0.0, 0)]), 0.5)


def test_the_command_prints_what_its_json_says(tmp_path: Path) -> None:
    index, out = Index(stream(300, 8, refresh=0.2, delays=[0.05, 0.05])), tmp_path / "probe.json"
    with servers.server(index.routes()) as s:
        asked = ["probe", "--search", s.url, "--index", "events", "--field", "created_at", "--partition-field", "p"]
        done = CliRunner().invoke(COMMANDS, [*asked, "--every", "100ms", "--for", "1500ms", "--json", "-o", str(out)])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads(out.read_text()) and set(found["partitions"]) == {"0", "1"}


def test_a_probe_that_is_stopped_tells_what_it_saw() -> None:
    index, left = Index(stream(300, 8, refresh=0.2, delays=[0.05])), [25]

    def stop(gained: int, remaining: float) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    with servers.server(index.routes()) as s, Endpoint(s.url) as endpoint:
        polling = Probe(endpoint, "events", "created_at", every=0.05)
        found = summary(polling.run(60, stop), polling)
    assert found["answers"] == 25 and "stopped before its time" in found["notes"]
