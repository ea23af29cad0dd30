"""Prometheus, CloudWatch, Kafka, Spark and search clusters, each asked as it wants to be asked."""

from __future__ import annotations

import gc
import itertools
import json
import math
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest

from calibration import live_cloudwatch, live_kafka, live_prometheus, read_cloudwatch
from calibration.formats_prometheus import RULES, VERSIONS, rules
from calibration.live import Answer, LiveError, Trouble
from calibration.live_http import Endpoint, Limits
from calibration.live_prometheus import FAMILIES, Prometheus, checked_match, prometheus_source
from calibration.live_search import search_source
from calibration.live_spark import spark_source
from calibration.live_tls import Tls
from tests import live_servers as servers

SCRAPE = 15.0
HELD = {  # families of a server that watches several stacks by exporters of several dialects, and their series
    "kafka_server_brokertopicmetrics_bytesin_total": 3,
    "kafka_server_BrokerTopicMetrics_Count": 3,
    "kafka_consumergroup_lag": 4,
    "elasticsearch_indices_indexing_index_total": 2,
    "metrics_app_1_driver_spark_streaming_q_latency_Value": 1,
    "container_cpu_usage_seconds_total": 2500,
    "node_cpu_seconds_total": 8,
    "process_cpu_seconds_total": 2,
    "go_gc_duration_seconds": 5,
}


def fake_prometheus(asked: servers.Asked) -> Any:
    """As Prometheus 2 answers: counts by name, and ranges with its limit of 11,000 points."""
    query = {name: values[0] for name, values in parse_qs(asked.query).items()}
    if asked.path.endswith("/query"):
        names = re.search(r'__name__=~"([^"]+)"', query["query"])
        assert names is not None
        rows = [
            {"metric": {"__name__": name}, "value": [time.time(), str(n)]}
            for name, n in HELD.items()
            if re.fullmatch(names[1], name)
        ]
        return {"status": "success", "data": {"resultType": "vector", "result": rows}}
    start, end, step = float(query["start"]), float(query["end"]), float(query["step"])
    if (end - start) / step > 11_000:
        return 400, json.dumps({"status": "error", "errorType": "bad_data", "error": "more than 11,000 points"})
    name = re.search(r'__name__="([^"]+)"', query["query"])
    assert name is not None
    times = [start + k * step for k in range(int((end - start) / step + 1e-6) + 1)]
    values = [[t, str(math.floor(t / SCRAPE))] for t in times]
    rows = [{"metric": {"__name__": name[1], "instance": str(n)}, "values": values} for n in range(HELD[name[1]])]
    return {"status": "success", "data": {"resultType": "matrix", "result": rows}}


@pytest.fixture
def prometheus() -> Iterator[servers.Server]:
    with servers.server({"/api/v1/": fake_prometheus}) as made:
        yield made


def test_every_exporter_s_dialect_is_found_and_nothing_else(prometheus: servers.Server) -> None:
    with Endpoint(prometheus.url) as endpoint:
        found = Prometheus(endpoint).families()
    assert set(HELD) - set(found) == {"go_gc_duration_seconds"}
    assert all(re.compile(names) for names in FAMILIES.values())


def test_every_name_that_import_reads_is_asked_for() -> None:
    """What the rules of exposition texts know by name, a live server is asked for too; a scrape's own time aside."""
    wanted = [re.compile(names, re.IGNORECASE) for names in FAMILIES.values()]
    left = [name for name in (*RULES, *VERSIONS) if not any(one.fullmatch(name) for one in wanted)]
    made = (  # names that rules are made for by their shape: Strimzi's, older Strimzi's, MSK's, without rules
        *("kafka_server_brokertopicmetrics_messagesin_total", "kafka_server_BrokerTopicMetrics_Count"),
        *("kafka_server_brokertopicmetrics_totalproducerequests_total", "kafka_network_RequestMetrics_Mean"),
        *("kafka_network_requestmetrics_totaltimems", "kafka_network_requestmetrics_totaltimems_mean"),
        *("kafka_server_replicamanager_leadercount", "kafka_server_ReplicaManager_Value"),
        *("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent", "kafka_network_SocketServer_Value"),
        *("kafka_network_socketserver_networkprocessoravgidle_percent", "kafka_network_requestmetrics_throttletimems"),
        *("metrics_a_driver_spark_streaming_q_latency_Value", "kafka_server_brokertopicmetrics_messagesinpersec_count"),
        *("metrics_app_1_driver_jvm_heap_used_Value", "metrics_app_1_driver_executor_cpuTime_Count"),
    )
    left += [name for name in made if not any(one.fullmatch(name) for one in wanted)]
    assert left == []
    assert all(rules(name) for name in made)


def test_a_long_past_is_read_within_the_server_s_limit_of_points_each_step_once(prometheus: servers.Server) -> None:
    with Endpoint(prometheus.url) as endpoint:
        start, step = 1_700_000_000.0, 15.0
        end = start + 30_000 * step
        answers = [
            body for _, body in Prometheus(endpoint).read('{__name__="process_cpu_seconds_total"}', start, end, step)
        ]
    times = [t for body in answers for t, _ in body["data"]["result"][0]["values"]]
    assert len(answers) == 3 and times == [start + k * step for k in range(30_001)]


def test_windows_grow_smaller_with_the_number_of_series(prometheus: servers.Server) -> None:
    assert len(live_prometheus.windows(0, 10_000, 1.0, 11_000)) == 1
    with Endpoint(prometheus.url) as endpoint:
        many = list(Prometheus(endpoint).read('{__name__="node_cpu_seconds_total"}', 0, 10_000, 1.0, series=400))
    assert len(many) == 11  # 1,000 points of 400 series an answer


def test_a_recording_of_prometheus_goes_on_where_it_was_and_leaves_large_families_out(
    prometheus: servers.Server,
) -> None:
    source = prometheus_source(Endpoint(prometheus.url), step=1.0, since=20.0)
    first = list(source.sample(everything=True))
    time.sleep(1.1)
    second = list(source.sample())
    source.close()
    trouble = [one for one in first if isinstance(one, Trouble)]
    assert [one.reason for one in trouble] == ["too large"] and "container_cpu_usage_seconds_total (2,500" in trouble[
        0
    ].message
    times: dict[str, list[float]] = {}
    for one in first + second:
        if isinstance(one, Answer) and one.kind == "prometheus_range":
            result = one.body["data"]["result"][0]
            times.setdefault(result["metric"]["__name__"], []).extend(t for t, _ in result["values"])
    assert set(times) == set(HELD) - {"go_gc_duration_seconds", "container_cpu_usage_seconds_total"}
    for seen in times.values():
        assert len(seen) >= 18 and all(b - a == 1.0 for a, b in itertools.pairwise(seen))


def test_a_refused_query_repeats_prometheus_s_own_reason() -> None:
    error = {"status": "error", "errorType": "bad_data", "error": "parse error: unexpected end"}
    with (
        servers.server({"/": (400, json.dumps(error))}) as s,
        Endpoint(s.url) as endpoint,
        pytest.raises(LiveError, match="parse error"),
    ):
        Prometheus(endpoint).families()
    with (
        servers.server({"/": {"tagline": "you know"}}) as s,
        Endpoint(s.url) as endpoint,
        pytest.raises(LiveError, match="not an answer of Prometheus"),
    ):
        Prometheus(endpoint).families()


@pytest.mark.parametrize("match", ["prod", 'a="b"} or up{', 'a="b",', '{a="b"}', "a=b"])
def test_label_matchers_cannot_break_out_of_their_braces(match: str) -> None:
    with pytest.raises(LiveError, match="expected label matchers"):
        checked_match(match)


def test_a_cluster_that_forbids_one_call_answers_the_others() -> None:
    routes = {"/": {"x": 1}, "/_cluster/settings": (403, "no"), "/_nodes/stats": (405, "no")}
    with servers.server(routes) as s:
        source = search_source(Endpoint(s.url), "logs-*,events")
        first, asked = list(source.sample(everything=True)), len(s.asked)
        second = list(source.sample())
        source.close()
        paths = [one.path for one in s.asked]
    assert {one.call for one in first if isinstance(one, Trouble)} == {"/_cluster/settings", live_search_stats()}
    assert not [one for one in second if isinstance(one, Trouble)]  # asked again in ten minutes, not at once
    assert "/logs-*,events/_stats" in paths and len(paths) - asked == 2  # what changes slowly is not asked each time


def live_search_stats() -> str:
    from calibration.live_search import NODE_STATS

    return NODE_STATS


def test_spark_s_finished_applications_are_passed_over() -> None:
    listed = [
        {"id": "old", "attempts": [{"completed": True}]},
        {"id": "new", "name": "orders", "attempts": [{"attemptId": "2", "completed": False}]},
    ]
    routes = {
        "/api/v1/applications": listed,
        "/api/v1/applications/new/2/allexecutors": [{"id": "1"}],
        "/metrics/executors/prometheus": (200, "metrics_executor_totalCores 2\n"),
        "/metrics/prometheus": (200, "<html>no servlet here</html>"),
    }
    with servers.server(routes) as s:
        source = spark_source(Endpoint(s.url))
        seen = list(source.sample(everything=True))
        source.close()
        none = spark_source(Endpoint(s.url), application="invoices")
        refused = next(iter(none.sample(everything=True)))
        none.close()
    assert [one.body for one in seen if isinstance(one, Answer) and one.kind == "spark_executors"] == [[{"id": "1"}]]
    assert {one.call for one in seen if isinstance(one, Trouble)} >= {"/metrics/prometheus"}
    assert isinstance(refused, Trouble) and "no application 'invoices'" in refused.message


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield live_cloudwatch.clients("eu-west-1")


def stored(client: Any, metrics: int, minutes: int) -> float:
    """Brokers' CPU and bytes, one value a minute, and what belongs to another cluster; the time of the first."""
    from datetime import UTC, datetime

    start = math.floor(time.time() / 60) * 60 - minutes * 60 - 300
    rows = []
    for cluster, broker in [("orders", n) for n in range(metrics)] + [("other", 0)]:
        dimensions = [{"Name": "Cluster Name", "Value": cluster}, {"Name": "Broker ID", "Value": str(broker)}]
        for k in range(minutes):
            at = datetime.fromtimestamp(start + 60 * k, UTC)
            rows.append(
                {"MetricName": "CpuUser", "Dimensions": dimensions, "Timestamp": at, "Value": float(k + broker)}
            )
        rows.append({"MetricName": "GlobalTopicCount", "Dimensions": dimensions, "Value": 1.0})
    for first in range(0, len(rows), 500):
        client.put_metric_data(Namespace="AWS/Kafka", MetricData=rows[first : first + 500])
    return start


def test_cloudwatch_is_read_page_by_page_as_means_of_one_cluster(aws: Any) -> None:
    start = stored(aws, metrics=7, minutes=10)
    source = live_cloudwatch.cloudwatch_source("kafka:orders", "eu-west-1", since=time.time() - start)
    answers = [one for one in source.sample(everything=True) if isinstance(one, Answer)]
    asked = {q["Id"]: q for one in answers for q in one.body["MetricDataQueries"]}
    assert len(asked) == 7 and {q["MetricStat"]["Stat"] for q in asked.values()} == {"Average"}
    values: dict[str, list[float]] = {}
    for one in answers:
        for result in one.body["MetricDataResults"]:
            broker = asked[result["Id"]]["MetricStat"]["Metric"]["Dimensions"]
            assert {"Name": "Cluster Name", "Value": "orders"} in broker
            values.setdefault(next(d["Value"] for d in broker if d["Name"] == "Broker ID"), []).extend(result["Values"])
    assert values["6"] == [6.0 + k for k in range(10)] and len(values) == 7
    assert "means of 60 s" in source.resolution and any("percentiles" in one for one in source.cannot_tell)
    assert json.loads(answers[0].line())["kind"] == "cloudwatch"  # times are numbers by then
    assert not [one for one in source.sample() if isinstance(one, Answer)]  # the next minute is not over


def test_every_metric_that_import_reads_of_cloudwatch_is_asked_for() -> None:
    for kind, (namespace, _) in live_cloudwatch.NAMESPACES.items():
        known = set(read_cloudwatch.METRICS[namespace]) | (set(read_cloudwatch.CPU) if kind == "kafka" else set())
        assert known <= set(live_cloudwatch.WANTED[kind].split()), kind


def test_a_cluster_without_metrics_is_told_with_its_name(aws: Any) -> None:
    stored(aws, metrics=1, minutes=1)
    source = live_cloudwatch.cloudwatch_source("kafka:odrers", "eu-west-1")
    first = next(iter(source.sample(everything=True)))
    assert isinstance(first, Trouble) and "Cluster Name = odrers" in first.message


@pytest.mark.parametrize(
    ("code", "reason", "words"),
    [
        ("Throttling", "throttled", "Throttling"),
        ("AccessDenied", "forbidden", "cloudwatch:GetMetricData"),
        ("ExpiredToken", "unauthorized", "log in again"),
    ],
)
def test_aws_s_refusals_are_told_in_words(code: str, reason: str, words: str) -> None:
    from botocore.exceptions import ClientError

    error = ClientError({"Error": {"Code": code, "Message": "no AKIAPLANTEDPLANTED12"}}, "GetMetricData")
    refusal = live_cloudwatch.refusal(error, "cloudwatch kafka:orders")
    assert refusal.reason == reason and words in str(refusal) and "AKIAPLANTED" not in str(refusal)


def test_more_metrics_than_one_call_takes_are_asked_in_several(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[dict[str, Any]] = []

    class Pages:
        def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
            calls.append(asked)
            yield {"MetricDataResults": [], "Messages": []}

    class Client:
        def get_paginator(self, name: str) -> Pages:
            return Pages()

    watch = live_cloudwatch.CloudWatch(Client(), live_cloudwatch.target("es:d"), period=60)
    one = {"Namespace": "AWS/ES", "MetricName": "CPUUtilization", "Dimensions": []}
    watch.metrics = [one] * 1100
    now = math.floor(time.time() / 60) * 60.0
    list(watch.read(now - 86400, now))
    sizes = [len(call["MetricDataQueries"]) for call in calls]
    minutes = [(call["EndTime"] - call["StartTime"]).total_seconds() / 60 for call in calls]
    assert set(sizes) == {500, 100} and all(n * m <= 100_800 for n, m in zip(sizes, minutes, strict=True))
    assert sum(minutes) == 3 * 24 * 60


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_broker_is_told_in_bounded_time() -> None:
    pytest.importorskip("kafka")
    source = live_kafka.kafka_source(["127.0.0.1:9"], live_kafka.settings({}), Tls(), seconds=1.0)
    began = time.monotonic()
    seen = next(iter(source.sample(everything=True)))
    source.close()
    assert isinstance(seen, Trouble) and "127.0.0.1:9: no connection" in seen.message and time.monotonic() - began < 4
    gc.collect()  # kafka-python leaves the sockets of a failed start to the collector


def endless_frames(connection: socket.socket) -> None:
    """Frames of a length below zero, as fast as it goes."""
    for _ in range(2000):
        connection.sendall(b"\x00\x00\xff\xff" + b"x" * 65535)


def huge_frame(connection: socket.socket) -> None:
    """Two gibibytes are announced, and do not come."""
    connection.sendall(b"\x7f\xff\xff\xff")
    time.sleep(1)


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("behave", [servers.silent, servers.garbage, servers.hangs_up, endless_frames, huge_frame])
def test_what_is_no_kafka_gets_a_clear_word_in_bounded_time(behave: Callable[[socket.socket], None]) -> None:
    pytest.importorskip("kafka")
    with servers.hostile(behave) as url:
        at = url.removeprefix("http://")
        source = live_kafka.kafka_source([at], live_kafka.settings({}), Tls(), seconds=0.6)
        began = time.monotonic()
        seen = list(source.sample(everything=True))
        source.close()
    assert time.monotonic() - began < 4 and len(seen) == 1
    assert isinstance(seen[0], Trouble) and "takes connections and does not speak Kafka" in seen[0].message
    gc.collect()


@pytest.mark.parametrize(
    ("behave", "reason"),
    [
        (servers.silent, "slow"), (servers.dripping_body, "slow"), (servers.garbage, "unreachable"),
        (servers.hangs_up, "unreachable"), (servers.endless, "too large"), (servers.web_page, "garbage"),
        (servers.cut_gzip, "garbage"), (servers.cut_body, "garbage"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_no_cloudwatch_gets_a_clear_word_in_bounded_time(
    behave: Callable[[socket.socket], None], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("boto3")
    for name, value in (("ACCESS_KEY_ID", "testing"), ("SECRET_ACCESS_KEY", "planted-aws-secret")):
        monkeypatch.setenv(f"AWS_{name}", value)
    with servers.hostile(behave) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH", url)
        source = live_cloudwatch.cloudwatch_source("kafka:orders", "eu-west-1", seconds=0.2)
        began = time.monotonic()
        seen = next(iter(source.sample(everything=True)))
        source.close()
    assert time.monotonic() - began < 12
    assert isinstance(seen, Trouble) and seen.reason == reason and "cloudwatch" in seen.message, seen
    assert "planted-aws-secret" not in seen.line()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"FLOODMARK_KAFKA_USER": "u"}, "needs FLOODMARK_KAFKA_USER and FLOODMARK_KAFKA_PASSWORD"),
        ({"FLOODMARK_KAFKA_PROTOCOL": "TLS"}, "expected one of PLAINTEXT, SSL"),
        ({"FLOODMARK_KAFKA_MECHANISM": "GSSAPI"}, "expected one of PLAIN, SCRAM"),
    ],
)
def test_a_kafka_login_that_cannot_be_meant_is_refused(env: dict[str, str], words: str) -> None:
    with pytest.raises(LiveError, match=words):
        live_kafka.settings(env)


def test_a_kafka_login_is_sasl_over_tls_unless_said_otherwise() -> None:
    env = {"FLOODMARK_KAFKA_USER": "u", "FLOODMARK_KAFKA_PASSWORD": "planted-kafka-pw"}
    found = live_kafka.settings(env)
    assert (found["security_protocol"], found["sasl_mechanism"]) == ("SASL_SSL", "PLAIN")
    assert "planted-kafka-pw" not in str(LiveError("failed", f"x {env}"))


def test_a_slow_prometheus_is_left_for_the_next_tick() -> None:
    def slow(asked: servers.Asked) -> Any:
        if asked.path.endswith("query_range"):
            time.sleep(0.4)
        return fake_prometheus(asked)

    with servers.server({"/api/v1/": slow}) as s:
        source = prometheus_source(Endpoint(s.url, limits=Limits(seconds=0.2)), step=1.0, since=5)
        began = time.monotonic()
        seen = list(source.sample(everything=True))
        source.close()
    assert [one.reason for one in seen if isinstance(one, Trouble)] == ["too large", "slow"]
    assert time.monotonic() - began < 2  # not once a family


def test_what_failed_once_is_asked_at_the_next_tick_even_if_it_is_asked_once_a_minute() -> None:
    """Seen on a real Spark UI: its first answer took 12 s, and the next 60 s of the recording had no executors."""
    listed = [{"id": "a", "attempts": [{"completed": False}]}]
    replies = [(500, "{}"), listed]
    routes = {
        "/api/v1/applications": lambda asked: replies.pop(0),
        "/api/v1/applications/a/allexecutors": [{"id": "1"}],
        "/metrics/": (200, "x 1\n"),
    }
    with servers.server(routes) as s:
        source = spark_source(Endpoint(s.url))
        first, second = list(source.sample(everything=True)), list(source.sample())
        source.close()
    assert [one.kind for one in first if isinstance(one, Answer)] == ["prometheus_text"] * 2
    assert {"spark_applications", "spark_executors"} <= {one.kind for one in second if isinstance(one, Answer)}


@pytest.mark.parametrize(("behave", "calls"), [(servers.hangs_up, 1), (servers.silent, 2)])
def test_a_system_that_is_not_there_is_not_asked_eleven_things(behave: Any, calls: int) -> None:
    with servers.hostile(behave) as url:
        source = search_source(Endpoint(url, limits=Limits(seconds=0.3, tries=1)))
        seen = list(source.sample(everything=True))
        source.close()
    assert len(seen) == calls
