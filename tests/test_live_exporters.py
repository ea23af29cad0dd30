"""The exporters that people have, run beside a real stack: what they tell is what the systems themselves tell.

`make test-live` runs this. jmx_exporter speaks three dialects on three brokers of one cluster, Debian's
elasticsearch_exporter and node_exporter and Spark's PrometheusServlet answer beside it, and kafka_exporter where Go is.
FLOODMARK_KEEP_SAMPLES names a folder that is given what they said, as `tests/samples/real` has it.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import lab.stack
from calibration.importer import import_paths
from calibration.recording import Recording
from lab.brokers import METRICS
from lab.experiment import parse
from lab.record import Writer
from lab.run import Run
from lab.search import HTTP, INDEX
from lab.spark import UI_PORT
from lab.stack import Stack, kit
from tests import live_exporters as exporters
from tests.live_stack import LIVE, floodmark

RATE, SIZE = 300, 600
SEARCH = f"http://127.0.0.1:{HTTP}"
ASKED: dict[str, Any] = {
    "type": "pipe",
    "set": "test",
    "question": "do exporters tell what the systems tell?",
    "load": {"plan": [[400, RATE]], "size": SIZE},
    "kafka": {"partitions": 6, "brokers": 3, "copies": 3},
    "spark": {"trigger_ms": 1000},
}
pytestmark = LIVE


def wait(done: Any, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"{what}: not within {seconds:g} s"
        time.sleep(0.25)


def commits(stack: Stack, over: threading.Event) -> None:
    """A group that reads the topic and commits: what a lag exporter has to show."""
    from kafka import KafkaConsumer

    assert stack.brokers is not None
    with contextlib.closing(
        KafkaConsumer("events", bootstrap_servers=stack.brokers.bootstrap.split(","), group_id="reader")
    ) as consumer:
        while not over.is_set():
            consumer.poll(timeout_ms=500)
            consumer.commit()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Recording]]:
    """The stack under load; a recording of the exporters, and one of what the systems say by themselves."""
    folder = tmp_path_factory.mktemp("exporters")
    exporters.spark_metrics(folder)
    experiment, over = parse(ASKED, "exporters"), threading.Event()
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as beside:
        patch.setattr(lab.stack, "Brokers", exporters.Dialects)
        patch.setenv("SPARK_CONF_DIR", str(folder))
        stack = beside.enter_context(Stack(kit(), experiment))
        run = Run(stack, Writer(folder), time.time() + 900)
        stack.start()
        stack.start_job()

        def load() -> None:
            with contextlib.suppress(Exception):  # it is stopped in its middle at the end
                run.send(experiment.load.plan, "")

        threads = [threading.Thread(target=load, daemon=True)]
        threads += [threading.Thread(target=commits, args=(stack, over), daemon=True)]
        try:
            run.sampler.start(stack.brokers, stack.servers.ports if stack.servers else (), 6)
            metrics = start_exporters(stack, folder, beside)
            for thread in threads:
                thread.start()
            wait(lambda: sum(n for n, _ in run.sampler.seen.values()) > 3000, 120, "documents in the index")
            yield record(folder, metrics, stack)
        finally:
            over.set()
            run.sampler.abandon()
            if stack.load is not None:
                stack.load.stop()
            for thread in threads:
                thread.join(30)


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
        "kafka_exporter": (
            exporters.kafka_exporter(),
            exporters.KAFKA,
            [f"--kafka.server={server}" for server in stack.brokers.bootstrap.split(",")],
        ),
    }
    for name, (binary, port, more) in commands.items():
        if binary is None:
            continue
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
    to = os.environ.get("FLOODMARK_KEEP_SAMPLES")
    pages: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(line)
        if told["kind"] == "prometheus_text":
            page = "executors" if "metrics_executor_" in told["text"] else told["source"]
            pages.setdefault(page, []).append(line)
    for name, lines in pages.items() if to else ():
        with gzip.GzipFile(Path(to or ".") / f"{name}.jsonl.gz", "wb", mtime=0) as out:
            out.write("".join(f"{line}\n" for line in (lines[0], lines[-1])).encode())


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
    records, seconds = gained(recorded["exporters"], "kafka", "records_in", topic="events")
    assert records / seconds == pytest.approx(RATE, rel=0.12)
    size, seconds = gained(recorded["exporters"], "kafka", "bytes_in", topic="events")
    assert SIZE < size / records < SIZE + 90  # framing of small batches
    appended, seconds = gained(recorded["systems"], "kafka", "end_offset", topic="events")
    assert appended / seconds == pytest.approx(RATE, rel=0.1)


def test_elasticsearch_exporter_tells_what_nodes_stats_tells(recorded: dict[str, Recording]) -> None:
    theirs, own = recorded["exporters"], recorded["systems"]
    if not theirs.find("search", "documents"):
        pytest.skip("no elasticsearch_exporter: apt-get could not fetch prometheus-elasticsearch-exporter")
    for quantity, near in (("documents", 0.25), ("cpu_seconds", 0.25), ("index_seconds", 0.35)):
        ours, seconds = gained(own, "search", quantity)
        growth, over = gained(theirs, "search", quantity)
        assert growth / over == pytest.approx(ours / seconds, rel=near), quantity
    names = {s.entity for s in theirs.find("search", "documents")}
    assert names == {s.entity for s in own.find("search", "documents")}
    for quantity in ("refreshes", "merge_bytes", "bulks", "heap_max_bytes", "disk_total_bytes", "segments"):
        assert theirs.find("search", quantity), quantity
    assert theirs.find("index", "documents_held", INDEX) and theirs.setting("search.version")


def test_node_exporter_tells_the_machine(recorded: dict[str, Recording]) -> None:
    r = recorded["exporters"]
    if not r.find("machine", "busy_seconds"):
        pytest.skip("no node_exporter: apt-get could not fetch prometheus-node-exporter")
    busy, seconds = gained(r, "machine", "busy_seconds")
    idle, _ = gained(r, "machine", "idle_seconds")
    cores = (busy + idle + gained(r, "machine", "wait_seconds")[0] + gained(r, "machine", "steal_seconds")[0]) / seconds
    assert cores == pytest.approx(os.cpu_count() or 1, rel=0.15)
    assert r.one("machine", "memory_total_bytes").value[0] > 1e9


def test_kafka_exporter_tells_offsets_and_lag(recorded: dict[str, Recording]) -> None:
    r = recorded["exporters"]
    if not r.find("kafka", "lag_records"):
        pytest.skip("no kafka_exporter: no Go to build it, or nobody serves its modules")
    appended, seconds = gained(r, "kafka", "end_offset", topic="events")
    assert appended / seconds == pytest.approx(RATE, rel=0.3)  # it asks Kafka itself, every so often
    assert {s.labels["group"] for s in r.find("kafka", "lag_records")} == {"reader"}
    assert r.one("kafka", "brokers").value[-1] == 3


def test_spark_s_own_pages_tell_a_query_and_its_executors(recorded: dict[str, Recording]) -> None:
    r = recorded["exporters"]
    rates = r.find("spark", "records_in_per_second")
    assert rates and 0.3 * RATE < max(float(s.value.max()) for s in rates) < 30 * RATE
    assert r.find("spark", "batch_seconds") and r.find("spark", "heap_used_bytes")
    assert gained(r, "spark", "cpu_seconds", "driver")[0] > 0 or r.find("spark", "cpu_seconds")
    assert r.find("spark", "resident_bytes") or r.find("spark", "tasks_done")


def test_a_load_is_discovered_from_what_exporters_recorded(
    recorded: dict[str, Recording], tmp_path_factory: pytest.TempPathFactory
) -> None:
    from calibration.load_curve import load_of

    load = load_of(recorded["exporters"], "events")
    assert load is not None and load.rate == pytest.approx(RATE, rel=0.12) and "records in" in load.source
    assert METRICS  # the three brokers' counters are added up
