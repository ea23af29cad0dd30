"""Each source says what it knows under our names and units, and no more than it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.importer import import_paths
from calibration.observations import ObservationError
from calibration.recording import Recording

SAMPLES = Path(__file__).parent / "samples"
T0 = 1795418000.0


def write(path: Path, *lines: Any) -> Path:
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n")
    return path


def scraped(tmp_path: Path, sample: str, name: str = "broker-1.prom.jsonl") -> Recording:
    """That sample's text scraped twice, ten seconds apart."""
    text = (SAMPLES / sample).read_text()
    return import_paths([write(tmp_path / name, *({"t": T0 + s, "text": text} for s in (0, 10)))])[0]


def last(r: Recording, *what: str, **labels: str) -> float:
    return float(r.one(*what, **labels).value[-1])


def test_strimzi_and_msk_name_the_same_broker_differently(tmp_path: Path) -> None:
    strimzi, msk = scraped(tmp_path, "strimzi.prom"), scraped(tmp_path, "msk_open_monitoring.prom")
    for r in (strimzi, msk):
        assert last(r, "kafka", "bytes_in") == 1e9
        assert last(r, "kafka", "bytes_in", topic="orders") == 6e8
        assert last(r, "kafka", "records_in") == 2e6
        assert last(r, "kafka", "produce_requests") == 4e4
        assert last(r, "kafka", "log_bytes", topic="orders") == 3e9
        assert last(r, "kafka", "cpu_seconds") == pytest.approx(3600.5)
        assert last(r, "kafka", "heap_used_bytes") == 7e8
        assert last(r, "kafka", "pauses") == 50
        assert last(r, "kafka", "network_idle_fraction") in (0.97, 0.95)
        assert r.entities("kafka")[0] == "broker-1" and r.one("kafka", "bytes_in").resolution == 10
    assert last(strimzi, "kafka", "requests", request="Produce") == 4e4  # over the protocol's versions
    assert last(strimzi, "kafka", "request_seconds", request="Produce", stage="total", quantile="0.99") == 0.014
    assert strimzi.setting("kafka.version") == "3.7.0"
    assert last(msk, "kafka", "request_mean_seconds", request="Produce", stage="total") == pytest.approx(0.00325)
    assert last(msk, "kafka", "lag_records", group="reader") == 42


@pytest.mark.parametrize(
    "name", ["bytesin_total", "bytesinpersec_total", "BytesInPerSec_Count", "bytesin_total 7\n%s_count"]
)
def test_a_total_under_another_name_or_under_two_counts_once(tmp_path: Path, name: str) -> None:
    prefix = "kafka_server_brokertopicmetrics_"
    text = f"{prefix}{name.replace('%s', prefix + 'bytesin')} 7\n"
    [r] = import_paths([write(tmp_path / "kafka-1.jsonl", *({"t": T0 + s, "text": text} for s in (0, 10)))])
    assert last(r, "kafka", "bytes_in", "kafka-1") == 7


def test_a_broker_that_tells_topics_only_is_told_by_their_sum(tmp_path: Path) -> None:
    """The sample's messages have no total of their own; of log sizes none has."""
    r = scraped(tmp_path, "strimzi.prom")
    assert last(r, "kafka", "records_in", "broker-1") == 2e6
    assert last(r, "kafka", "log_bytes", "broker-1") == 3.5e9


def test_an_exporters_own_process_is_nobodys_broker(tmp_path: Path) -> None:
    r = scraped(tmp_path, "kafka_exporter.prom")
    assert last(r, "kafka", "lag_records", group="reader", topic="orders") == 42
    assert last(r, "kafka", "end_offset", topic="orders") == 2100
    assert last(r, "kafka", "brokers") == 3
    assert not r.find("kafka", "cpu_seconds")
    assert any(u.quantity == "cpu_seconds" and u.system == "kafka" for u in r.untold)


def test_elasticsearch_exporter_speaks_of_nodes(tmp_path: Path) -> None:
    r = scraped(tmp_path, "elasticsearch_exporter.prom", "es.jsonl")
    assert r.entities("search") == ["data-0", "orders"]
    counters = r.counters("search", "data-0")
    told = {name: counters[name].total[-1] for name in ("documents", "bulks", "merge_bytes", "pauses", "cpu_seconds")}
    assert told == {"documents": 5e6, "bulks": 9000, "merge_bytes": 7e9, "pauses": 11, "cpu_seconds": 1234.5}
    assert last(r, "search", "heap_used_bytes") == 3e9 and last(r, "search", "cpu_fraction") == pytest.approx(0.42)
    assert last(r, "search", "disk_total_bytes") == 2e11 and last(r, "search", "nodes") == 3
    assert r.setting("search.version") == "8.17.4"


def test_containers_are_summed_by_pod_and_cores_by_mode_and_nothing_twice(tmp_path: Path) -> None:
    r = scraped(tmp_path, "hosts.prom", "worker-1.jsonl")
    assert last(r, "process", "cpu_seconds", "kafka-0") == 101  # not the pod's own cgroup, nor the pause container
    assert last(r, "process", "resident_bytes", "kafka-0") == 9e8
    machine = {name: c.total[-1] for name, c in r.counters("machine", "worker-1").items()}
    assert machine == {"idle_seconds": 2100, "busy_seconds": 250, "wait_seconds": 3, "steal_seconds": 7}
    assert [s.labels for s in r.find("machine", "disk_write_bytes")] == [{"device": "nvme0n1"}]
    assert [s.labels for s in r.find("machine", "network_in_bytes")] == [{"device": "eth0"}]


def test_sparks_own_servlet_names_the_query_in_its_own_case(tmp_path: Path) -> None:
    r = scraped(tmp_path, "spark_servlet.prom", "driver.jsonl")
    assert last(r, "spark", "batch_seconds", "ordersToSearch") == 1.45
    assert last(r, "spark", "records_in_per_second", "ordersToSearch") == 1000.5
    assert last(r, "spark", "heap_used_bytes", "driver") == 4e8
    assert last(r, "spark", "heap_used_bytes", "1") == 9e8 and last(r, "spark", "python_resident_bytes", "1") == 2e8
    assert r.setting("spark.version") == "3.5.1"


def test_a_scrape_without_a_time_tells_no_rate(tmp_path: Path) -> None:
    with pytest.raises(ObservationError, match=r'scrapes without a time.*wrap each as \{"t"'):
        import_paths([SAMPLES / "strimzi.prom"])
    [r] = import_paths([SAMPLES / "hosts.prom"])  # node_exporter tells the time of its own scrape
    assert r.one("machine", "idle_seconds").t.tolist() == [1795500000.0]


def test_scrapes_that_follow_each_other_in_one_file_are_told_apart(tmp_path: Path) -> None:
    text = (SAMPLES / "strimzi.prom").read_text()
    later = text.replace("_total 1.0E9", "_total 1.5E9")
    path = tmp_path / "broker-1.txt"
    path.write_text(f"2026-11-23T07:13:20Z\n{text}\nTue Nov 24 07:13:20 UTC 2026\n{later}")
    bytes_in = import_paths([path])[0].one("kafka", "bytes_in")
    assert bytes_in.t.tolist() == [T0, T0 + 86400] and bytes_in.value.tolist() == [1e9, 1.5e9]


def test_a_range_query_gives_its_targets_and_leaves_nameless_results_out(tmp_path: Path) -> None:
    def series(name: str, values: list[str], **labels: str) -> dict[str, Any]:
        rows = [[T0 + 60 * i, v] for i, v in enumerate(values)]
        return {"metric": ({"__name__": name} if name else {}) | labels, "values": rows}

    body = {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [
                series("kafka_server_brokertopicmetrics_bytesin_total", ["1", "2", "NaN"], pod="kafka-0"),
                series("kafka_server_brokertopicmetrics_bytesin_total", ["5", "7", "9"], pod="kafka-1"),
                series("process_cpu_seconds_total", ["10", "20", "30"], pod="kafka-0"),
                series("process_cpu_seconds_total", ["1", "1", "1"], pod="kafka-exporter"),
                series("kafka_log_log_size", ["10", "10", "10"], pod="kafka-0", topic="a", partition="0"),
                series("kafka_log_log_size", ["5", "5"], pod="kafka-0", topic="a", partition="1"),
                series("", ["3", "4"], pod="kafka-0"),
            ],
        },
    }
    [r] = import_paths([write(tmp_path / "query.json", json.dumps(body, indent=1))])
    assert r.one("kafka", "bytes_in", "kafka-0").value.tolist() == [1, 2]
    assert r.one("kafka", "bytes_in", "kafka-1").counter().increase(T0, T0 + 120) == 4
    assert r.one("kafka", "cpu_seconds", "kafka-0").value.tolist() == [10, 20, 30]
    assert len(r.find("kafka", "cpu_seconds")) == 1 and any("process metrics of 1 target" in n for n in r.notes)
    assert r.one("kafka", "log_bytes", "kafka-0", topic="a").value.tolist() == [15, 15]  # the third lacks a partition
    assert any("without a metric name" in u.reason for u in r.unused)


def cloudwatch(query: dict[str, Any] | None, values: list[float], **more: Any) -> dict[str, Any]:
    times = [f"2026-11-23T07:{13 + i}:00+00:00" for i in range(len(values))][::-1]
    result = {"Id": "m0", "Label": "x", "Timestamps": times, "Values": values[::-1], "StatusCode": "Complete"}
    return {"MetricDataResults": [result | more]} | ({"MetricDataQueries": [query]} if query else {})


def asked(namespace: str, metric: str, stat: str = "Average", **dimensions: str) -> dict[str, Any]:
    named = [{"Name": k.replace("_", " "), "Value": v} for k, v in dimensions.items()]
    metric_ = {"Namespace": namespace, "MetricName": metric, "Dimensions": named}
    return {"Id": "m0", "MetricStat": {"Metric": metric_, "Period": 60, "Stat": stat}}


def test_cloudwatch_tells_means_and_says_so(tmp_path: Path) -> None:
    one = asked("AWS/Kafka", "BytesInPerSec", Cluster_Name="c", Broker_ID="1")
    write(tmp_path / "a.json", cloudwatch(one, [1000.0, 3000.0]))
    rate = asked("AWS/ES", "IndexingRate", DomainName="d", NodeId="n1")
    write(tmp_path / "b.json", cloudwatch(rate, [60000.0, 120000.0]))
    [r] = import_paths([tmp_path])
    s = r.one("kafka", "bytes_in_per_second", "broker 1")
    assert (s.kind, s.period, s.value.tolist()) == ("mean", 60.0, [1000.0, 3000.0])
    with pytest.raises(ObservationError, match="a mean, not a running total"):
        s.counter()
    assert r.one("search", "documents_per_second", "n1").value.tolist() == [1000.0, 2000.0]
    assert any(u.quantity == "quantiles" and "means" in u.reason for u in r.untold)
    why = next(u.reason for u in r.untold if (u.system, u.quantity) == ("kafka", "bytes_in"))
    assert why == "only its mean rate over a period is told, no running total"


def test_a_cloudwatch_answer_needs_the_query_that_names_its_metric(tmp_path: Path) -> None:
    answer = write(tmp_path / "answer.json", cloudwatch(None, [1.0, 2.0]))
    with pytest.raises(ObservationError, match="metric nobody names; keep the MetricDataQueries"):
        import_paths([answer])
    write(tmp_path / "queries.json", [asked("AWS/Kafka", "CpuUser", Broker_ID="1")])
    with pytest.raises(ObservationError, match="nothing here could be read"):
        import_paths([tmp_path])  # half of the CPU is not the CPU
    write(tmp_path / "answer.json", cloudwatch(asked("AWS/Kafka", "BytesInPerSec", stat="Maximum"), [1.0, 2.0]))
    with pytest.raises(ObservationError, match="statistic Maximum; only Average is read"):
        import_paths([tmp_path / "answer.json"])


def progress(number: int, **more: Any) -> dict[str, Any]:
    ends = {"orders": {"0": 100 * (number + 1), "1": 50 * (number + 1)}}
    starts = {"orders": {"0": 100 * number, "1": 50 * number}} if number else None
    source = {"description": "KafkaV2[Subscribe[orders]]", "startOffset": starts, "endOffset": ends}
    return {
        "id": "q",
        "runId": "r1",
        "name": "orders",
        "timestamp": f"2026-11-23T07:13:{20 + 2 * number:02d}.000Z",
        "batchId": number,
        "numInputRows": 150,
        "durationMs": {"addBatch": 800, "triggerExecution": 900, "walCommit": 20},
        "stateOperators": [{"numRowsTotal": 7, "memoryUsedBytes": 700}, {"numRowsTotal": 1, "memoryUsedBytes": 10}],
        "sources": [source],
    } | more


def test_progress_is_read_from_listener_log_and_event_log_once_each(tmp_path: Path) -> None:
    write(tmp_path / "listener.jsonl", *(progress(n) for n in (1, 0, 1)))
    pretty = json.dumps(progress(2), indent=2)
    write(tmp_path / "driver.log", f"26/11/23 07:13:25 INFO MicroBatchExecution: query made progress: {pretty}", "bye")
    name = "org.apache.spark.sql.streaming.StreamingQueryListener$QueryProgressEvent"
    as_text = progress(1)["sources"][0] | {"endOffset": json.dumps({"orders": {"0": 200, "1": 100}})}
    start = {"Event": "SparkListenerLogStart", "Spark Version": "3.5.1"}
    write(tmp_path / "events", start, {"Event": name, "progress": progress(1, sources=[as_text])})
    [r] = import_paths([tmp_path])
    assert [b.number for b in r.batches("orders")] == [0, 1, 2]
    first, second, _ = r.batches()
    assert first.start_offsets == {0: 0, 1: 0}  # not stated, and 150 records with offsets up to 150 leave no other
    assert second.records_by_partition() == {0: 100, 1: 50}
    assert second.phases == pytest.approx({"addBatch": 0.8, "walCommit": 0.02}) and second.seconds == 0.9
    assert (second.state_rows, second.state_bytes) == (8, 710)


def test_what_old_versions_do_not_state_is_not_stated(tmp_path: Path) -> None:
    bare = progress(1, stateOperators=[], sources=[{"description": "rate", "startOffset": 4, "endOffset": 9}])
    lacking = progress(2, numInputRows=None, sources=[])
    [r] = import_paths([write(tmp_path / "p.jsonl", bare, lacking)])
    [batch] = r.batches()
    assert batch.start_offsets is None and batch.end_offsets == {} and batch.state_rows is None
    with pytest.raises(ObservationError, match="start offsets are not stated"):
        batch.records_by_partition()
    assert [u.reason for u in r.unused] == ["progress that does not state numInputRows"]


def test_a_query_over_two_topics_keeps_its_partitions_apart(tmp_path: Path) -> None:
    ends = {"a": {"0": 5}, "b": {"0": 7}}
    source = {"startOffset": {"a": {"0": 1}, "b": {"0": 2}}, "endOffset": ends}
    [r] = import_paths([write(tmp_path / "p.jsonl", progress(1, sources=[source]))])
    assert r.batches()[0].records_by_partition() == {"a-0": 4, "b-0": 5}


def task(stage: int, launch: int, **more: Any) -> dict[str, Any]:
    clocks = {"Executor Run Time": 90, "Executor CPU Time": 40_000_000, "Executor Deserialize CPU Time": 10_000_000}
    metrics = clocks | {"Executor Deserialize Time": 12, "JVM GC Time": 3, "Input Metrics": {"Records Read": 30}}
    info = {"Index": 0, "Launch Time": launch, "Finish Time": launch + 100, "Executor ID": "1"}
    return {
        "Event": "SparkListenerTaskEnd",
        "Stage ID": stage,
        "Task Type": "ResultTask",
        "Task End Reason": {"Reason": "Success"},
        "Task Info": info,
        "Task Metrics": metrics,
        "Task Executor Metrics": {"JVMHeapMemory": 5_000_000},
    } | more


def test_a_rolling_event_log_knows_each_tasks_batch_over_its_files(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    folder = tmp_path / "eventlog_v2_app-1"
    folder.mkdir()
    properties = {"streaming.sql.batchId": "41", "sql.streaming.queryId": "q", "spark.secret": "x"}
    settings = {"spark.executor.memory": "8g", "my.password": "x"}
    first = [
        {"Event": "SparkListenerLogStart", "Spark Version": "4.0.0"},
        {"Event": "SparkListenerEnvironmentUpdate", "Spark Properties": settings},
        {"Event": "SparkListenerJobStart", "Job ID": 0, "Stage IDs": [7], "Properties": properties},
    ]
    second = [task(7, 1795418000000), task(8, 1795418001000), task(9, 1795418002000, **{"Task Metrics": None})]
    for name, events in (("events_1_app-1.zstd", first), ("events_2_app-1.zstd", second)):
        text = "\n".join(json.dumps(e) for e in events)
        (folder / name).write_bytes(zstandard.ZstdCompressor().compress(text.encode()))
    (folder / "appstatus_app-1").write_bytes(b"")
    [r] = import_paths([tmp_path])
    assert [(t.batch, t.query, t.executor) for t in r.tasks] == [(41, "q", "1"), (None, "", "1")]
    assert r.tasks[0].cpu_seconds == pytest.approx(0.05) and r.tasks[0].seconds == pytest.approx(0.1)
    assert r.one("spark", "heap_used_bytes", "1").value.tolist() == [5e6, 5e6]
    assert r.setting("spark.executor.memory") == "8g" and all("password" not in s.key for s in r.stated)
    assert {u.reason for u in r.unused} == {"empty", "tasks without launch, finish, run or CPU time"}


def test_a_real_event_log_holds_what_its_sheet_counts(facts: Path) -> None:
    """Spark 4.3: 1,240 tasks of which two were killed, 209 progress events of four queries (facts: spark D2, D0)."""
    [r] = import_paths([facts / "benchmarks" / "spark_eventlog_e4.json.gz"])
    assert len(r.tasks) == 1238 and sum(len(q.batches) for q in r.queries) == 209
    assert [q.name for q in r.queries] == ["rate_100", "rate_1000", "rate_10000", "warm"]
    ids = {q.id: {b.number for b in q.batches} for q in r.queries}
    orphans = [t for t in r.tasks if t.batch not in ids[t.query]]
    assert len(orphans) == 2  # of the batch that ran when its query was stopped, which tells no progress


def test_a_rolling_upgrade_is_one_change_of_version(tmp_path: Path) -> None:
    def scrape(s: float, broker: str, version: str) -> dict[str, Any]:
        text = f'kafka_server_app_info{{version="{version}"}} 1\nkafka_server_brokertopicmetrics_bytesin_total {s}\n'
        return {"t": T0 + s, "source": broker, "text": text}

    old = [scrape(0, "kafka-0", "3.6.1"), scrape(0, "kafka-1", "3.6.1"), scrape(10, "kafka-0", "3.7.0")]
    new = [scrape(10, "kafka-1", "3.6.1"), scrape(20, "kafka-0", "3.7.0"), scrape(20, "kafka-1", "3.7.0")]
    [r] = import_paths([write(tmp_path / "rec.jsonl", *old, *new)])
    assert [(c.t - T0, c.why) for c in r.cuts] == [(10, "kafka.version 3.6.1 → 3.7.0")]


def test_librdkafka_tells_batches_and_waits(tmp_path: Path) -> None:
    def stats(t: int, sent: int) -> dict[str, Any]:
        window = {"sum": 6000, "cnt": 2}
        return {
            "name": "rdkafka#producer-1", "client_id": "load", "type": "producer", "time": t, "ts": 123456,
            "txmsgs": sent, "tx": sent // 10, "txmsg_bytes": sent * 100, "tx_bytes": sent * 110, "msg_cnt": 3,
            "brokers": {"b": {"rtt": window, "int_latency": {"sum": 0, "cnt": 0}}},
            "topics": {"orders": {"batchsize": window, "batchcnt": {"sum": 40, "cnt": 2}}},
        }  # fmt: skip

    [r] = import_paths([write(tmp_path / "s.jsonl", stats(1795418000, 100), stats(1795418010, 300))])
    assert r.one("producer", "records", "load").counter().rate(T0, T0 + 10) == 20
    assert last(r, "producer", "batch_bytes") == 3000 and last(r, "producer", "batch_records") == 20
    assert last(r, "producer", "round_trip_seconds") == pytest.approx(0.003)
    assert not r.find("producer", "queue_seconds")  # an empty window tells nothing


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("time,records_per_second\n2026-11-23T07:13:20Z,10\n2026-11-23T07:14:20Z,20\n", [10, 20]),
        ("1795418000,10\n1795418060,20\n", [10, 20]),
        ('Zeit;Rate/min\n"2026-11-23 07:13:20";1.200,5\n"2026-11-23 07:14:20";600\n', [20.008333, 10]),
        ("timestamp\tcpu_percent\tmsgs/s\n1795418000000\t50\t10\n1795418060000\t51\t20\n", [10, 20]),
    ],
)
def test_a_table_of_time_and_rate_is_read_as_spreadsheets_write_it(
    tmp_path: Path, text: str, rates: list[float]
) -> None:
    path = tmp_path / "load.csv"
    path.write_text(text, encoding="utf-16")
    [r] = import_paths([path])
    s = r.one("producer", "records_per_second")
    assert s.t.tolist() == [T0, T0 + 60] and s.value == pytest.approx(rates)


def test_a_column_that_may_be_rate_or_total_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "load.csv"
    path.write_text("t,value\n1795418000,10\n1795418060,20\n")
    with pytest.raises(ObservationError, match="call it records_per_second or total"):
        import_paths([path])
    path.write_text("t,total\n1795418000,10\n1795418060,20\n")
    assert import_paths([path])[0].arrivals["load"].count.tolist() == [10, 20]


def test_admin_answers_tell_sizes_offsets_and_copies(tmp_path: Path) -> None:
    parts = [{"partition": f"orders-{p}", "size": 100 * p, "offsetLag": 0, "isFuture": False} for p in (1, 2)]
    brokers = [{"broker": 1, "logDirs": [{"logDir": "/data", "partitions": parts}]}]
    configs = {"topic orders": {"retention.ms": "1", "sasl.jaas.config": "x"}}
    lines = [
        {"t": T0, "kind": "kafka_log_dirs", "body": {"version": 1, "brokers": brokers}},
        {"t": T0, "kind": "kafka_offsets", "body": {"offsets": {"orders": {"0": 5, "1": 6}}, "earliest": {}}},
        {"t": T0, "kind": "kafka_topics", "body": {"topics": {"orders": {"0": {"replicas": [1, 2, 3]}}}}},
        {"t": T0, "kind": "kafka_configs", "body": {"configs": configs}},
        {"t": T0, "kind": "kafka_cluster", "body": {"clusterId": "c", "brokers": [{"id": 1}, {"id": 2}, {"id": 3}]}},
    ]
    [r] = import_paths([write(tmp_path / "rec.jsonl", *lines)])
    assert last(r, "kafka", "log_bytes", "broker 1", topic="orders") == 300
    assert last(r, "kafka", "end_offset", topic="orders") == 11 and last(r, "kafka", "brokers") == 3
    assert r.setting("kafka.topic orders copies") == 3 and r.setting("kafka.topic orders retention.ms") == "1"
    assert all("jaas" not in s.key for s in r.stated)


def test_topics_that_come_and_go_neither_add_nor_take_growth(tmp_path: Path) -> None:
    """Topic a is deleted, b is new: together 30 + 20 records, not the fall of a nor a jump of b's first value."""
    name = "kafka_server_brokertopicmetrics_messagesin_total"

    def scrape(s: float, **topics: int) -> dict[str, Any]:
        return {"t": T0 + s, "text": "".join(f'{name}{{topic="{k}"}} {v}\n' for k, v in topics.items())}

    lines = [scrape(0, a=100), scrape(10, a=120, b=5), scrape(20, a=130, b=10), scrape(30, b=20)]
    [r] = import_paths([write(tmp_path / "kafka-1.prom.jsonl", *lines)])
    total = r.one("kafka", "records_in")
    assert np.diff(total.value).tolist() == [25, 15, 10]
