"""What real exporters said (tests/samples/real) is read as what it means, and its arithmetic holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from calibration.importer import import_paths
from calibration.load_curve import load_of, stored_bytes_of
from calibration.recording import Recording
from models.kafka import record_overhead_bytes

REAL = Path(__file__).parent / "samples" / "real"
SIZE, CORES = 600, 2
JMX = {"jmx_exporter-laboratory": "kafka-1", "jmx_exporter-no-rules": "kafka-2", "jmx_exporter-strimzi": "kafka-3"}


def read(*names: str) -> Recording:
    (found,) = import_paths([REAL / f"{name}.jsonl.gz" for name in names])
    return found


def gained(r: Recording, system: str, quantity: str, entity: str | None = None, **labels: str) -> float:
    found = [s for s in r.find(system, quantity, entity, **labels) if labels or not s.labels]
    assert found, f"no {system} {quantity}"
    return sum(float(s.value[-1] - s.value[0]) for s in found)


@pytest.mark.parametrize(("name", "broker"), JMX.items())
def test_a_broker_is_told_in_each_dialect_of_jmx_exporter(name: str, broker: str) -> None:
    r = read(name)
    start, end = r.span()
    assert r.entities("kafka") == [broker]
    for quantity in ("records_in", "bytes_in", "bytes_out", "produce_requests", "fetch_requests"):
        assert gained(r, "kafka", quantity, broker) > 0, quantity
    assert gained(r, "kafka", "replication_bytes_in", broker) > 1.5 * gained(r, "kafka", "bytes_in", broker)
    assert 0 < gained(r, "kafka", "cpu_seconds", broker) < CORES * (end - start)
    for quantity, least in (("heap_used_bytes", 1e7), ("heap_max_bytes", 1e9), ("resident_bytes", 4e8)):
        assert r.one("kafka", quantity, broker).value.min() > least, quantity
    assert r.one("kafka", "log_bytes", broker, topic="events").value[-1] > 1e7
    assert r.one("kafka", "leaders", broker).value[-1] == 2 and r.one("kafka", "partitions", broker).value[-1] == 6


@pytest.mark.parametrize("name", JMX)
def test_a_record_is_stored_in_its_size_and_its_framing(name: str) -> None:
    """Small batches of 600-byte records: between a record alone in its batch and sixteen together (kafka.md A1)."""
    stored = stored_bytes_of(read(name), "events")
    assert stored is not None
    assert SIZE + record_overhead_bytes(SIZE, 16) < stored < SIZE + record_overhead_bytes(SIZE, 1) + 1


def test_three_dialects_are_one_cluster() -> None:
    r = read(*JMX)
    load = load_of(r)
    assert load is not None and load.topic == "events"
    rates = [gained(r, "kafka", "records_in", b) / (r.one("kafka", "records_in", b).t[-1]
             - r.one("kafka", "records_in", b).t[0]) for b in JMX.values()]  # fmt: skip
    assert load.rate == pytest.approx(sum(rates), rel=0.35)  # two samples each, of stretches that differ
    assert r.entities("kafka") == sorted(JMX.values())


def test_request_times_come_in_the_dialects_that_export_them() -> None:
    assert read("jmx_exporter-laboratory").find("kafka", "request_seconds", request="Produce", quantile="0.99")
    for name in ("jmx_exporter-laboratory", "jmx_exporter-no-rules"):
        (mean,) = read(name).find("kafka", "request_mean_seconds", request="Produce")
        assert mean.labels["stage"] == "total" and 0 < mean.value[-1] < 1
    assert not read("jmx_exporter-strimzi").find("kafka", "request_mean_seconds")  # its rules leave RequestMetrics out


def test_elasticsearch_exporter_is_told_by_node_and_by_index() -> None:
    r = read("elasticsearch_exporter")
    start, end = r.span()
    assert r.setting("search.version") == "3.8.0" and "n0" in r.entities("search")
    documents = gained(r, "search", "documents", "n0")
    assert documents > 1000 and 0 < gained(r, "search", "cpu_seconds", "n0") < CORES * (end - start)
    assert 0 < gained(r, "search", "bulks", "n0") < documents
    assert r.one("index", "documents_held", "events").value[-1] == r.one("search", "documents_held", "n0").value[-1]
    told = {s.quantity for s in r.find("search", entity="n0")}
    assert told >= {
        *("index_seconds", "refreshes", "refresh_seconds", "merges", "merge_bytes", "merge_seconds", "queries"),
        *("heap_used_bytes", "heap_max_bytes", "old_used_bytes", "pauses", "pause_seconds", "segments", "store_bytes"),
        *("write_threads", "write_queue", "bulks_rejected", "disk_total_bytes", "disk_available_bytes", "cpu_fraction"),
    }
    assert any(u.quantity == "pressure_rejections" for u in r.untold)  # and it says what it cannot tell


def test_node_exporter_s_cores_add_up() -> None:
    r = read("node_exporter")
    seconds = sum(gained(r, "machine", f"{what}_seconds") for what in ("busy", "idle", "wait", "steal"))
    start, end = r.span()
    assert seconds / (end - start) == pytest.approx(CORES, rel=0.02)
    total, available = (r.one("machine", f"memory_{what}_bytes").value[-1] for what in ("total", "available"))
    assert total > available > 1e9 and r.one("machine", "load").value[-1] > 1
    assert {s.labels["device"] for s in r.find("machine", "network_in_bytes")}.isdisjoint({"lo"})


def test_spark_s_page_of_executors_tells_the_driver_of_a_local_job() -> None:
    r = read("spark-executors")
    assert r.entities("spark") == ["driver"] and r.setting("spark.version") == "4.1.1"
    assert r.one("spark", "resident_bytes", "driver").value[-1] > r.one("spark", "heap_used_bytes", "driver").value[-1]
    assert gained(r, "spark", "tasks_done", "driver") > 0


def test_spark_s_servlet_tells_a_named_query() -> None:
    """200 rows a second from the rate source, counted in windows every two seconds."""
    r = read("spark-servlet")
    assert set(r.entities("spark")) == {"driver", "ordersToSearch"}
    told = {s.quantity: float(s.value[-1]) for s in r.find("spark", entity="ordersToSearch")}
    assert told["records_in_per_second"] == pytest.approx(200, rel=0.02)
    assert told["records_done_per_second"] > told["records_in_per_second"] and 0 < told["batch_seconds"] < 2
    assert 1 <= told["state_rows"] <= 20 and told["state_bytes"] > 0
    assert 0 < gained(r, "spark", "cpu_seconds", "driver") < r.span()[1] - r.span()[0]
    assert r.one("spark", "heap_max_bytes", "driver").value[-1] > r.one("spark", "heap_used_bytes", "driver").value[-1]


def test_no_page_holds_a_path_or_an_address_of_the_machine_that_said_it() -> None:
    import gzip

    for path in REAL.glob("*.gz"):
        text = gzip.decompress(path.read_bytes()).decode()
        assert not [word for word in ("/var/cache", "/root", "/home/", "nodename=", "192.168.") if word in text], path
