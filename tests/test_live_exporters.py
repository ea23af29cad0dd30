"""The exporters that people have, run beside a real stack: what they tell is what the systems themselves tell.

`make test-live` runs this. jmx_exporter speaks three dialects on three brokers of one cluster, Debian's
elasticsearch_exporter and node_exporter and Spark's PrometheusServlet answer beside it.
FLOODMARK_KEEP_SAMPLES names a folder that is given what they said, as `tests/samples/real` has it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lab.stack
from calibration.importer import import_paths
from calibration.load_curve import load_of
from calibration.recording import Recording
from lab import parts
from lab.experiment import parse
from lab.search import HTTP, INDEX
from lab.spark import UI_PORT
from lab.stack import Stack
from tests import live_exporters as exporters
from tests.live_stack import LIVE, floodmark, stack_at_work, wait

RATE, SIZE = 300, 600
SEARCH = f"http://127.0.0.1:{HTTP}"
SIDES = ("exporters", "systems")
HARDWARE = re.compile(r"(?:# (?:HELP|TYPE) )?node_(?:network_(?:info|address)|uname|dmi|disk_info|nvme|os_info)")
ASKED: dict[str, Any] = {
    "type": "pipe",
    "set": "test",
    "question": "do exporters tell what the systems tell?",
    "load": {"plan": [[400, RATE]], "size": SIZE},
    "kafka": {"partitions": 6, "brokers": 3, "copies": 3},
    "spark": {"trigger_ms": 1000},
}
pytestmark = LIVE


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Recording]]:
    """The stack under load; a recording of the exporters, and one of what the systems say by themselves."""
    folder = tmp_path_factory.mktemp("exporters")
    exporters.spark_metrics(folder)
    experiment = parse(ASKED, "exporters")
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as beside:
        patch.setattr(lab.stack, "Brokers", exporters.Dialects)
        patch.setenv("SPARK_CONF_DIR", str(folder))
        stack, begin = beside.enter_context(stack_at_work(experiment, folder, 900))
        metrics = start_exporters(stack, folder, beside)
        begin(3000)
        yield record(folder, metrics, stack)


def start_exporters(stack: Stack, folder: Path, beside: contextlib.ExitStack) -> dict[str, str]:
    """Their pages by name; those that can be had here."""
    assert stack.brokers is not None
    found = {f"kafka-{n}": stack.brokers.metrics_url(n) for n in (1, 2, 3)}
    commands: dict[str, tuple[Path | None, int, list[str]]] = {
        "elasticsearch_exporter": (
            exporters.debian("prometheus-elasticsearch-exporter", "prometheus-elasticsearch-exporter"),
            exporters.ELASTICSEARCH,
            [f"--es.uri={SEARCH}", "--es.all", "--es.indices"],
        ),
        "node_exporter": (exporters.debian("prometheus-node-exporter", "prometheus-node-exporter"), exporters.NODE, []),
    }
    for name, (binary, port, more) in commands.items():
        assert binary is not None, f"no {name}: `apt-get install prometheus-{name.replace('_', '-')}`"
        command = [str(binary), *more, f"--web.listen-address=127.0.0.1:{port}"]
        beside.enter_context(exporters.running(command, folder / f"{name}.log"))
        found[name] = f"http://127.0.0.1:{port}/metrics"
        log = folder / f"{name}.log"
        wait(lambda url=found[name]: exporters.answers(url), 30, f"{name}: {log.read_text(errors='replace')[-500:]}")
    return found


def record(folder: Path, metrics: dict[str, str], stack: Stack) -> dict[str, Recording]:
    """Both recordings, made side by side."""
    asked = [word for name, url in metrics.items() for word in ("--metrics", f"{name}={url}")]
    asked += ["--spark", f"http://127.0.0.1:{UI_PORT}"]
    own = ["--search", SEARCH, "--index", INDEX, "--kafka", stack.brokers.bootstrap if stack.brokers else ""]
    length = ["--every", "2s", "--for", "24s", "--timeout", "30s"]

    def one(name: str, words: list[str]) -> None:
        floodmark("record", *words, *length, "-o", str(folder / f"{name}.jsonl"), timeout=240)

    threads = [threading.Thread(target=one, args=pair) for pair in (("exporters", asked), ("systems", own))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    keep(folder / "exporters.jsonl")
    return {name: import_paths([folder / f"{name}.jsonl"])[0] for name in ("exporters", "systems")}


def keep(path: Path) -> None:
    """The first and the last page of each exporter, for tests that have no servers; secrets were hidden on the way."""
    to, home = os.environ.get("FLOODMARK_KEEP_SAMPLES"), str(parts.lab_home())
    pages: dict[str, list[dict[str, Any]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told["kind"] == "prometheus_text":
            page = "spark-executors" if "metrics_executor_" in told["text"] else told["source"]
            kept = [one for one in told["text"].replace(home, "lab").split("\n") if not HARDWARE.match(one)]
            pages.setdefault(page, []).append(told | {"text": "\n".join(kept)})
    for name, told in pages.items() if to else ():
        lines = [json.dumps(one, separators=(",", ":"), ensure_ascii=False) for one in (told[0], told[-1])]
        with gzip.GzipFile(Path(to or ".") / f"{name}.jsonl.gz", "wb", mtime=0) as out:
            out.write("".join(f"{line}\n" for line in lines).encode())


def both(r: dict[str, Recording], system: str, quantity: str, **labels: str) -> tuple[float, float]:
    """A running total's rate as exporters and as the systems tell it, over the time that both cover [1/s]."""
    found = [[s for s in r[name].find(system, quantity, **labels) if labels or not s.labels] for name in SIDES]
    assert all(found), f"no {system} {quantity}: {sorted({s.name for s in r['exporters'].series})[:60]}"
    start = max(s.t[0] for side in found for s in side)
    end = min(s.t[-1] for side in found for s in side)
    assert end - start > 5, (quantity, start, end)
    rates = [sum(s.counter().increase(start, end) for s in side) / (end - start) for side in found]
    return rates[0], rates[1]


def gained(r: Recording, system: str, quantity: str, entity: str | None = None, **labels: str) -> tuple[float, float]:
    """Growth of a running total over all entities, and over how many seconds."""
    found = [s for s in r.find(system, quantity, entity, **labels) if labels or not s.labels]
    totals = [s.counter().unwrapped() for s in found]
    assert found, f"no {system} {quantity} {entity or ''}: {sorted({s.name for s in r.series})[:60]}"
    return sum(float(t[-1] - t[0]) for t in totals), max(float(s.t[-1] - s.t[0]) for s in found)


@pytest.mark.parametrize("broker", ["kafka-1", "kafka-2", "kafka-3"])
def test_each_dialect_of_jmx_exporter_tells_a_broker(recorded: dict[str, Recording], broker: str) -> None:
    r = recorded["exporters"]
    for quantity in ("bytes_in", "records_in", "produce_requests", "fetch_requests", "cpu_seconds"):
        growth, seconds = gained(r, "kafka", quantity, broker)
        assert growth > 0 and seconds > 15, (broker, quantity)
    assert r.find("kafka", "log_bytes", broker, topic="events")
    assert r.one("kafka", "heap_used_bytes", broker).value.min() > 1e6


def test_three_dialects_together_count_what_was_appended(recorded: dict[str, Recording]) -> None:
    """Kafka's own end offsets are asked beside; the load may be catching up, so neither is held against its plan."""
    r = recorded["exporters"]
    offsets = recorded["systems"].one("kafka", "end_offset", topic="events")
    series = r.find("kafka", "records_in", topic="events")
    start = max(offsets.t[0], *(s.t[0] for s in series))
    end = min(offsets.t[-1], *(s.t[-1] for s in series))
    assert end - start > 5
    counted = sum(s.counter().increase(start, end) for s in series)
    assert counted == pytest.approx(offsets.counter().increase(start, end), rel=0.15)
    exported, _ = gained(r, "kafka", "records_in", topic="events")
    size, _ = gained(r, "kafka", "bytes_in", topic="events")
    assert SIZE < size / exported < SIZE + 90  # framing of small batches


def test_elasticsearch_exporter_tells_what_nodes_stats_tells(recorded: dict[str, Recording]) -> None:
    theirs, own = recorded["exporters"], recorded["systems"]
    for quantity in ("documents", "cpu_seconds", "index_seconds"):
        exported, told = both(recorded, "search", quantity)
        assert exported == pytest.approx(told, rel=0.25), quantity
    names = {s.entity for s in theirs.find("search", "documents")}
    assert names == {s.entity for s in own.find("search", "documents")}
    for quantity in ("refreshes", "merge_bytes", "bulks", "heap_max_bytes", "disk_total_bytes", "segments"):
        assert theirs.find("search", quantity), quantity
    assert theirs.find("index", "documents_held", INDEX) and theirs.setting("search.version")


def test_node_exporter_tells_the_machine(recorded: dict[str, Recording]) -> None:
    r = recorded["exporters"]
    busy, seconds = gained(r, "machine", "busy_seconds")
    idle, _ = gained(r, "machine", "idle_seconds")
    cores = (busy + idle + gained(r, "machine", "wait_seconds")[0] + gained(r, "machine", "steal_seconds")[0]) / seconds
    assert cores == pytest.approx(os.cpu_count() or 1, rel=0.15)
    assert r.one("machine", "memory_total_bytes").value[0] > 1e9


def test_spark_s_own_pages_tell_a_query_and_its_executors(recorded: dict[str, Recording]) -> None:
    r = recorded["exporters"]
    dialects = {s.format for s in r.find("spark")}
    assert {"Spark PrometheusServlet", "Spark executors"} <= dialects, dialects
    rates = r.find("spark", "records_in_per_second")
    assert rates and max(float(s.value.max()) for s in rates) > 0
    assert r.find("spark", "batch_seconds") and r.find("spark", "heap_used_bytes")
    assert r.find("spark", "resident_bytes") and r.find("spark", "tasks_done")


def test_a_load_is_discovered_from_what_exporters_recorded(recorded: dict[str, Recording]) -> None:
    load = load_of(recorded["exporters"], "events")
    offsets = load_of(recorded["systems"], "events")
    assert load is not None and offsets is not None and "records in" in load.source and "end offsets" in offsets.source
    start, end = max(load.t[0], offsets.t[0]), min(load.t[-1], offsets.t[-1])
    assert load.between(start, end) == pytest.approx(offsets.between(start, end), rel=0.15)
