"""The load of a recording: what was counted, over the right time, in the form that a scenario takes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

import floodmark as fm
from calibration.load_curve import DAY, HOUR, Load, load_of, record_bytes_of, stored_bytes_of, trigger_of
from calibration.observations import Batch, ObservationError
from calibration.recording import Query, Recording, Series
from planner import cli
from planner.scenario import load_scenario
from tests import live_servers as servers

MINUTE = timedelta(minutes=1)
MONDAY = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
LAB = Path(__file__).parent.parent / "lab/results/2026-11-23-epyc-2core"


def counted(t: Any, total: Any, broker: str = "b1", quantity: str = "records_in", **labels: str) -> Series:
    unit = "byte" if quantity.startswith("bytes") else "record"
    at = np.asarray(t, dtype=float)
    return Series("kafka", broker, quantity, unit, "counter", at, np.asarray(total, dtype=float), labels, format="jmx")


def daily(t: float) -> float:
    """1,000 records/s on the mean, highest at 15 h UTC, a third less on Sundays."""
    hour, weekday = t % DAY / HOUR, datetime.fromtimestamp(t, UTC).weekday()
    return 1000 * (1 + 0.5 * math.sin((hour - 9) / 24 * 2 * math.pi)) * (0.67 if weekday == 6 else 1.0)


def week_of_counts(days: float) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(MONDAY, MONDAY + days * DAY + 1, 300.0)
    rates = np.array([daily(x + 150) for x in t[:-1]])
    return t, np.concatenate([[5e6], 5e6 + np.cumsum(rates * 300)])


def test_brokers_are_added_up_over_restarts_and_no_event_is_lost() -> None:
    t = np.arange(0, 601, 10.0) + MONDAY
    whole, other = 100 * (t - MONDAY), 50 * (t - MONDAY)
    restarted = np.where(other > 15_000, other - 15_000, other)  # the second broker's counter begins anew at 300 s
    load = load_of(Recording("r", (counted(t, whole, topic="a"), counted(t, restarted, "b2", topic="a"))), "a")
    assert load is not None and load.topic == "a"
    assert load.rate == pytest.approx(150, rel=0.02)
    steps = load.steps(7)
    assert len(steps) == 7 and sum(d * r for d, r in steps) == pytest.approx(float(load.count[-1] - load.count[0]))


def test_silence_is_bridged_evenly_and_said() -> None:
    t = np.concatenate([np.arange(0, 300, 10.0), np.arange(900, 1200, 10.0)]) + MONDAY
    load = load_of(Recording("r", (counted(t, 20 * (t - MONDAY), topic="a"),)))
    assert load is not None and load.rate == pytest.approx(20) and "610 s without samples are bridged" in load.source


def test_a_week_gives_the_hours_of_the_day_and_the_days_from_monday() -> None:
    load = load_of(Recording("r", (counted(*week_of_counts(7), topic="a"),)))
    assert load is not None
    hours, days = load.by_hour(), load.by_day()
    assert hours is not None and days is not None
    assert int(np.argmax(hours)) in (14, 15) and max(hours) / min(hours) == pytest.approx(3.0, rel=0.05)
    assert days[6] / days[0] == pytest.approx(0.67, rel=0.01) and days[0] == pytest.approx(1000, rel=0.01)
    assert load.peak(600) == pytest.approx(1500, rel=0.01)


def test_half_a_day_gives_no_curve() -> None:
    load = load_of(Recording("r", (counted(*week_of_counts(0.5), topic="a"),)))
    assert load is not None and load.by_hour() is None and load.by_day() is None


def test_of_several_topics_one_must_be_named_and_kafka_s_own_do_not_count() -> None:
    t = np.arange(0, 100, 10.0)
    own = [counted(t, t, topic=name) for name in ("__consumer_offsets", "orders")]
    assert (found := load_of(Recording("r", tuple(own)))) is not None and found.topic == "orders"
    with pytest.raises(ObservationError, match=r"several topics were recorded \(audit, orders\); name one"):
        load_of(Recording("r", (*own, counted(t, t, topic="audit"))))
    assert load_of(Recording("r", (*own, counted(t, 3 * t, topic="audit"))), "audit").rate == 3  # type: ignore[union-attr]


def test_offsets_stand_once_where_a_broker_was_recorded_twice() -> None:
    """By its own page and by a Prometheus that scrapes it: its counter would count twice."""
    t = np.arange(0, 100, 10.0)
    twice = [counted(t, 30 * t, name, topic="a") for name in ("kafka-1", "127.0.0.1:9404")]
    load = load_of(Recording("r", (*twice, counted(t, 30 * t, "cluster", "end_offset", topic="a"))))
    assert load is not None and load.rate == pytest.approx(30) and "end offsets" in load.source


def test_means_of_a_period_keep_their_counts() -> None:
    t = np.arange(0, 600, 60.0)
    rows = [
        Series("kafka", f"broker {n}", "records_in_per_second", "record/s", "mean", t, 100.0 * n + t / 60, period=60.0)
        for n in (1, 2)
    ]
    load = load_of(Recording("r", tuple(rows)))
    assert load is not None and load.seconds == 600 and load.rate == pytest.approx(300 + 2 * 4.5)
    assert "means of 60 s" in load.source


def batches(spacing: float, length: float, n: int = 20) -> Recording:
    made = [
        Batch(k, MONDAY + k * spacing, length, {}, 100, {0: 100 * k}, {0: 100 * (k + 1)}) for k in range(n)
    ]  # fmt: skip
    return Recording("r", queries=(Query("q", "1", tuple(made)),))


def test_a_trigger_is_the_spacing_of_batches_that_rest() -> None:
    assert trigger_of(batches(2.0, 1.2)) == (2.0, 19)
    assert trigger_of(batches(2.0, 2.0)) is None  # back to back: the trigger may be anything below
    assert trigger_of(batches(2.0, 1.2, n=4)) is None
    load = load_of(batches(2.0, 1.2))
    assert load is not None and load.rate == pytest.approx(50) and "offsets of 20 batches" in load.source


def test_sizes_are_told_apart_from_what_is_stored() -> None:
    t = np.arange(0, 100, 10.0)
    sent = [
        Series("producer", "p", name, "x", "counter", t, k * t)
        for name, k in (("records", 5.0), ("record_bytes", 4000.0))
    ]
    assert record_bytes_of(Recording("r", tuple(sent))) == 800
    stored = (counted(t, 5 * t, topic="a"), counted(t, 1500 * t, quantity="bytes_in", topic="a"))
    assert stored_bytes_of(Recording("r", stored), "a") == 300
    assert record_bytes_of(Recording("r", stored)) is None


# as a user asks ------------------------------------------------------------------------------------


def ask(*arguments: str) -> Result:
    if not any(command.name == "discover" for command in cli.app.registered_commands):
        cli.register_all()
    return CliRunner().invoke(cli.app, ["discover", *arguments])


def test_a_recorded_run_becomes_the_load_of_a_scenario_that_can_be_forecast(tmp_path: Path) -> None:
    out = tmp_path / "as-is.yaml"
    done = ask(str(LAB / "fit-pipe-2s"), "--size", "800 B", "--sink", "python-foreach", "-o", str(out))
    assert done.exit_code == 3 and "spark.machine" in done.stderr  # what no recording tells is still asked for
    told = yaml.safe_load(out.read_text(encoding="utf-8"))
    flow = told["flows"][0]
    assert flow["query"]["trigger"] == "2 s" and "rate" not in flow["workload"]
    plan = json.loads((LAB / "fit-pipe-2s" / "experiment.json").read_text(encoding="utf-8"))["plan"]
    assert sum(d * r for d, r in flow["workload"]["steps"]) == pytest.approx(sum(d * r for d, r in plan), rel=1e-3)
    assert flow["workload"]["steps"] == plan and told["kafka"]["brokers"] == 1 and flow["topic"]["partitions"] == 4
    assert told["run"]["measure"] == f"{sum(d for d, _ in plan)} s"
    for path, value in (("machine", "m7g.large"), ("volume", {"size": "100 GiB"})):
        told["kafka"][path] = told["elasticsearch"][path] = told["spark"][path] = value
    del told["spark"]["volume"]
    told["kafka"] |= {"zones": 1}
    told["spark"] |= {"executors": 1, "cores": 2, "kind": "ec2"}
    told["elasticsearch"] |= {"data_nodes": 1, "zones": 1}
    flow["topic"] |= {"copies": 1, "min_insync": 1}
    flow["index"] |= {"copies": 1}
    scenario = load_scenario(told)
    assert scenario.flows[0].workload.events_per_second == pytest.approx(sum(d * r for d, r in plan) / 120)


def test_a_csv_of_a_week_becomes_a_daily_and_a_weekly_curve(tmp_path: Path) -> None:
    t, count = week_of_counts(7.01)
    rows = [f"{a:.0f},{n:.0f}" for a, n in zip(t, count, strict=True)]
    (tmp_path / "load.csv").write_text("\n".join(["time,count", *rows]))
    told = yaml.safe_load(ask(str(tmp_path / "load.csv")).stdout)["flows"][0]["workload"]
    assert float(told["rate"].removesuffix("/s")) == pytest.approx(953, rel=0.01)
    assert len(told["daily_curve"]) == 24 and len(told["weekly_curve"]) == 7
    assert told["weekly_curve"].index(min(told["weekly_curve"])) == 6
    assert sum(told["daily_curve"]) / 24 == pytest.approx(1, abs=0.005)


def test_a_rate_that_is_given_wins_and_what_was_recorded_is_said(tmp_path: Path) -> None:
    (tmp_path / "load.csv").write_text("time,rate\n" + "".join(f"{MONDAY + 60 * k:.0f},500\n" for k in range(30)))
    done = ask(str(tmp_path / "load.csv"), "--rate", "2k/s")
    assert yaml.safe_load(done.stdout)["flows"][0]["workload"]["rate"] == "2k/s"
    assert "500/s on the mean; --rate was given" in done.stderr


def prometheus(asked: servers.Asked) -> Any:
    """A server whose one family grows by 40 records a second on each of two brokers."""
    from urllib.parse import parse_qs

    query = {name: values[0] for name, values in parse_qs(asked.query).items()}
    name = "kafka_server_brokertopicmetrics_messagesin_total"
    if asked.path.endswith("/query"):
        rows = [{"metric": {"__name__": name}, "value": [time.time(), "2"]}] if "messagesin" in query["query"] else []
        return {"status": "success", "data": {"resultType": "vector", "result": rows}}
    start, end, step = (float(query[key]) for key in ("start", "end", "step"))
    times = [start + k * step for k in range(int((end - start) / step + 1e-6) + 1)]
    rows = [
        {
            "metric": {"__name__": name, "topic": "orders", "pod": f"kafka-{n}"},
            "values": [[t, str(40 * t)] for t in times],
        }
        for n in (0, 1)
    ]
    return {"status": "success", "data": {"resultType": "matrix", "result": rows}}


def test_the_past_of_a_prometheus_becomes_the_load() -> None:
    with servers.server({"/api/v1/": prometheus}) as s:
        told = fm.discover(prometheus=s.url, since="2 d", given={"workload.size": "600 B"})
    lines = {line.path: line for line in told.lines}
    assert lines["flows[0].workload.rate"].value == "80/s" and lines["flows[0].name"].value == "orders"
    assert set(lines["flows[0].workload.daily_curve"].value) == {1.0}
    assert lines["kafka.brokers"].value == 2 and lines["kafka.brokers"].mark == "inferred"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    moto = pytest.importorskip("moto")
    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "testing")):
        monkeypatch.setenv(name, value)
    with moto.mock_aws():
        import boto3

        yield boto3.client("cloudwatch", region_name="eu-west-1")


def test_the_past_of_cloudwatch_becomes_the_load(aws: Any) -> None:
    now = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=8)
    dimensions = [{"Name": "Cluster Name", "Value": "orders"}, {"Name": "Broker ID", "Value": "1"}]
    rows = [
        {
            "MetricName": "MessagesInPerSec",
            "Dimensions": dimensions,
            "Timestamp": now - timedelta(minutes=k),
            "Value": 250.0,
        }
        for k in range(60)
    ]
    aws.put_metric_data(Namespace="AWS/Kafka", MetricData=rows)
    done = ask("--cloudwatch", "kafka:orders", "--region", "eu-west-1", "--since", "2 h")
    steps = yaml.safe_load(done.stdout)["flows"][0]["workload"]["steps"]
    assert {rate for _, rate in steps} == {250.0} and sum(d for d, _ in steps) == pytest.approx(3600)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["--prometheus", "http://127.0.0.1:9"],
            "told nothing of its past: http://127.0.0.1:9/api",
        ),
        (["--prometheus", "http://me:secret-pw@127.0.0.1:9"], "FLOODMARK_PROMETHEUS_USER"),
        (["--cloudwatch", "orders"], "expected kafka:CLUSTER"),
        (["--since", "soon", "--prometheus", "http://127.0.0.1:9"], "since = 'soon'"),
        (["--sigv4", "s3", "--search", "http://127.0.0.1:9"], "sigv4 = 's3'; expected one of search, aoss, prometheus"),
        ([], "give files, or --search"),
    ],
)
def test_what_cannot_be_asked_is_said_with_what_would_do(arguments: list[str], words: str) -> None:
    done = ask(*arguments)
    assert done.exit_code in (1, 2) and words in " ".join(done.stderr.split()).replace("│ ", "")
    assert "secret-pw" not in done.stderr


def test_a_load_has_a_length() -> None:
    load = Load(np.array([0.0, 10.0]), np.array([0.0, 100.0]), "x")
    assert (load.rate, load.between(0, 5), load.peak()) == (10.0, 50.0, 10.0)
