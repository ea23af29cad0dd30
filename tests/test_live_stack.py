"""Record, import, probe and discover against a real Kafka, Spark, OpenSearch and Prometheus, and a mock of CloudWatch.

`make test-live` runs this. Where Java 21 or newer is found nothing here may skip.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import threading
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import parts
from lab.brokers import CLIENTS, METRICS
from lab.experiment import parse
from lab.search import HTTP, INDEX, Client
from lab.spark import UI_PORT
from tests.live_stack import LIVE, floodmark, stack_at_work, wait

PROMETHEUS = 19590
BOOTSTRAP = f"127.0.0.1:{CLIENTS + 1}"
SEARCH = f"http://127.0.0.1:{HTTP}"
ASKED: dict[str, Any] = {
    "type": "pipe",
    "set": "test",
    "question": "do the readers read a stack that lives?",
    "load": {"plan": [[300, 300]], "size": 600},
    "kafka": {"partitions": 2},
    "spark": {"trigger_ms": 1000},
    "search": {"product": "opensearch"},
}
pytestmark = LIVE


def prometheus_binary() -> str:
    """Debian's Prometheus: the one installed, or its package unpacked (not installed) in the laboratory's home."""
    own = parts.lab_home() / "prometheus"
    for found in (shutil.which("prometheus"), own / "usr" / "bin" / "prometheus"):
        if found and Path(found).exists():
            return str(found)
    if shutil.which("apt-get") is None:
        pytest.skip("no Prometheus, and no apt-get to fetch one; install Prometheus and put it on the path")
    own.mkdir(exist_ok=True)
    own.chmod(0o777)  # apt drops its rights to download
    download = ["apt-get", "download", "prometheus"]
    done = subprocess.run(download, cwd=own, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:  # lists of packages that are not there yet, or old
        subprocess.run(["apt-get", "update"], capture_output=True, timeout=300)
        done = subprocess.run(download, cwd=own, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, (
        f"apt-get could not fetch prometheus; `apt-get install prometheus`: {done.stderr[-500:]}"
    )
    subprocess.run(["dpkg", "-x", str(next(own.glob("*.deb"))), str(own)], check=True, timeout=60)
    return str(own / "usr" / "bin" / "prometheus")


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


@contextlib.contextmanager
def prometheus(folder: Path) -> Iterator[str]:
    """A Prometheus that scrapes the broker's exporter each second."""
    binary = prometheus_binary()
    config = folder / "prometheus.yml"
    job = {
        "job_name": "kafka",
        "static_configs": [{"targets": [f"127.0.0.1:{METRICS + 1}"], "labels": {"cluster": "lab"}}],
    }
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    command = [binary, f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("wb") as log:
        run = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{PROMETHEUS}"], stdout=log, stderr=log)
    try:
        wait(lambda: answers(f"http://127.0.0.1:{PROMETHEUS}/-/ready"), 60, "Prometheus")
        yield f"http://127.0.0.1:{PROMETHEUS}"
    finally:
        run.terminate()
        run.wait(20)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Load → Kafka → Spark → OpenSearch, running and visible; the folder of the laboratory's own recording."""
    folder = tmp_path_factory.mktemp("pipeline")
    experiment = parse(ASKED, "live")
    with stack_at_work(experiment, folder, 600) as (_, begin), prometheus(folder):
        begin(2000)
        yield folder


@pytest.fixture(scope="module")
def looked(pipeline: Path) -> dict[str, Any]:
    """`record` and `probe` run side by side for a while, as an operator would have them."""
    out = pipeline / "rec.jsonl"
    found: dict[str, Any] = {"recording": out}

    def record() -> None:
        found["record"] = floodmark(
            "record", "--search", SEARCH, "--index", INDEX, "--kafka", BOOTSTRAP,
            "--metrics", f"kafka-1=http://127.0.0.1:{METRICS + 1}/metrics", "--spark", f"http://127.0.0.1:{UI_PORT}",
            "--prometheus", f"http://127.0.0.1:{PROMETHEUS}", "--match", 'cluster="lab"', "--since", "10s",
            "--every", "2s", "--for", "20s", "--timeout", "30s", "-o", str(out), "--json",
        )  # fmt: skip

    thread = threading.Thread(target=record)
    thread.start()
    probe = ["probe", "--search", SEARCH, "--index", INDEX, "--field", "@timestamp", "--partition-field", "p"]
    found["probe"] = json.loads(floodmark(*probe, "--every", "300ms", "--for", "20s", "--json").stdout)
    thread.join(120)
    found["lines"] = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    return found


def kinds(looked: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for line in looked["lines"]:
        found[line["source"]].add(line["kind"])
    return found


def test_every_system_of_a_real_stack_answers_the_recorder(looked: dict[str, Any]) -> None:
    seen = kinds(looked)
    assert seen["search"] >= {
        *("nodes_stats", "index_stats", "cat_shards", "root", "nodes_info", "cluster_health", "cluster_settings"),
        *("index_settings", "cat_nodes", "cat_allocation", "tasks"),
    }
    assert seen["kafka"] == {
        f"kafka_{one}" for one in ("topics", "offsets", "log_dirs", "groups", "cluster", "configs")
    }
    assert seen["kafka-1"] == {"prometheus_text"}
    assert seen["spark"] >= {"spark_applications", "spark_executors", "spark_environment", "prometheus_text"}
    assert seen["prometheus"] == {"prometheus_families", "prometheus_range"}
    failed = {name: set(one["failed"]) for name, one in json.loads(looked["record"].stdout)["sources"].items()}
    spark = failed.pop("spark")
    assert spark <= {"streaming/statistics", "/metrics/prometheus"}  # no DStreams, no servlet: listed, and no more
    assert not any(failed.values()), failed


def test_systems_agree_on_what_flowed_through_them(looked: dict[str, Any]) -> None:
    """Offsets, JMX, Prometheus and the index count the same records, each by itself."""
    by = defaultdict(list)
    for line in looked["lines"]:
        by[line["source"], line["kind"]].append(line)
    offsets = [(one["t"], sum(one["body"]["offsets"]["events"].values())) for one in by["kafka", "kafka_offsets"]]
    rate = (offsets[-1][1] - offsets[0][1]) / (offsets[-1][0] - offsets[0][0])
    assert rate == pytest.approx(300, rel=0.1)
    stats = [
        (one["t"], one["body"]["_all"]["primaries"]["indexing"]["index_total"]) for one in by["search", "index_stats"]
    ]
    indexed = (stats[-1][1] - stats[0][1]) / (stats[-1][0] - stats[0][0])
    assert 150 < indexed < 900 and stats[-1][1] <= offsets[-1][1]  # in batches, and catching up since the job's start
    assert set(by["kafka", "kafka_topics"][0]["body"]["topics"]["events"]) == {"0", "1"}
    dirs = [one["body"]["brokers"][0]["logDirs"][0]["partitions"] for one in by["kafka", "kafka_log_dirs"]]
    stored = [sum(p["size"] for p in one if p["partition"].startswith("events-")) for one in (dirs[0], dirs[-1])]
    assert 600 < (stored[1] - stored[0]) / (offsets[-1][1] - offsets[0][1]) < 760  # bytes of a record, framed
    points: dict[float, float] = {}
    for line in by["prometheus", "prometheus_range"]:
        for one in line["body"]["data"]["result"]:
            name, topic = one["metric"]["__name__"], one["metric"].get("topic")
            if name == "kafka_server_brokertopicmetrics_messagesin_total" and topic == "events":
                points |= {t: float(value) for t, value in one["values"]}
    times = sorted(points)
    assert len(times) >= 10
    assert (points[times[-1]] - points[times[0]]) / (times[-1] - times[0]) == pytest.approx(300, rel=0.15)


def test_the_recording_is_read_by_import(looked: dict[str, Any]) -> None:
    told = json.loads(floodmark("import", str(looked["recording"]), "--json").stdout)
    text = json.dumps(told)
    for quantity in ("end_offset", "log_bytes", "records_in", "cpu_seconds", "documents", "store_bytes"):
        assert quantity in text, quantity


def created_times() -> dict[tuple[int, int], float]:
    """Creation time of every document by partition and sequence [epoch s]."""
    client, found, last = Client(timeout=30), {}, -1
    while True:
        body = {"size": 10_000, "_source": ["seq", "p", "@timestamp"], "sort": ["seq"], "search_after": [last]}
        hits = [one["_source"] for one in client.json("POST", f"/{INDEX}/_search", body)["hits"]["hits"]]
        if not hits:
            client.close()
            return found
        found |= {(one["p"], one["seq"]): one["@timestamp"] / 1000 for one in hits}
        last = hits[-1]["seq"]


def test_the_probe_agrees_with_the_laboratory_s_own_polls(looked: dict[str, Any], pipeline: Path) -> None:
    """The laboratory asks for the highest sequence in each partition, the probe for counts by creation time."""
    created, probe = created_times(), looked["probe"]
    lived, before = [], {}
    for line in (pipeline / "visible.jsonl").read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            _, answered, seen = json.loads(line)
            for p, (_, highest) in seen.items():
                if p in before and probe["from"] < answered <= probe["to"]:
                    new = [s for s in range(before[p] + 1, highest + 1) if (int(p), s) in created]
                    lived += [answered - created[int(p), s] for s in new]
                before[p] = highest
    lived.sort()
    assert len(lived) > 2000 and probe["records"] > 2000 and probe["resolution_seconds"] < 4.0  # of a crowded machine
    within = 0.3 + probe["resolution_seconds"]
    for name, share in (("p50", 0.5), ("p90", 0.9)):
        assert probe["latency_seconds"][name] == pytest.approx(lived[int(share * len(lived))], abs=within), name
    assert set(probe["partitions"]) == {"0", "1"}


def test_a_search_server_keeps_nothing_of_the_probe_and_the_recorder(looked: dict[str, Any]) -> None:
    client = Client(timeout=20)
    listed = client.json("GET", "/_cat/indices?format=json")
    client.close()
    assert {one["index"] for one in listed if not one["index"].startswith(".")} == {INDEX}


def test_discover_describes_the_running_stack(looked: dict[str, Any], pipeline: Path) -> None:
    out = pipeline / "as-is.yaml"
    asked = ["--search", SEARCH, "--kafka", BOOTSTRAP, "--spark", f"http://127.0.0.1:{UI_PORT}", "--topic", "events"]
    load = ["--index", INDEX, "--rate", "300/s", "--size", "600 B", "--trigger", "1 s", "--sink", "python-foreach"]
    floodmark("discover", *asked, *load, "--timeout", "30s", "-o", str(out), code=None)
    told = yaml.safe_load(out.read_text(encoding="utf-8"))
    flow = told["flows"][0]
    assert (flow["topic"]["partitions"], flow["topic"].get("copies", 1)) == (2, 1)
    assert flow["index"]["primaries"] == 1 and told["kafka"]["brokers"] == 1
    assert told["elasticsearch"]["data_nodes"] == 1 and told["elasticsearch"]["version"].startswith("3.")
    for part in ("kafka", "elasticsearch"):  # by totalBytes of the log dirs, and by _cat/allocation
        assert told[part]["volume"]["size"].endswith(" GiB"), part


def test_a_recording_tells_discover_the_load_and_the_settings(looked: dict[str, Any]) -> None:
    asked = ["discover", str(looked["recording"]), "--index", INDEX, "--size", "600 B"]
    told = yaml.safe_load(floodmark(*asked, code=3).stdout)
    flow = told["flows"][0]
    steps = flow["workload"]["steps"]
    rate = sum(d * r for d, r in steps) / sum(d for d, _ in steps)
    assert rate == pytest.approx(300, rel=0.15) and flow["name"] == "events" and flow["topic"]["partitions"] == 2
    assert float(told["run"]["measure"].removesuffix(" s")) == pytest.approx(sum(d for d, _ in steps), rel=0.01)


def test_cloudwatch_is_recorded_beside_a_real_cluster(
    looked: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """moto stands for AWS, within this process; OpenSearch is the real one."""
    from datetime import UTC, datetime, timedelta

    import typer
    from moto import mock_aws
    from typer.testing import CliRunner

    from planner.cli_live import register

    for name, value in (("AWS_ACCESS_KEY_ID", "testing"), ("AWS_SECRET_ACCESS_KEY", "planted-aws-secret-value")):
        monkeypatch.setenv(name, value)
    commands, out = typer.Typer(), tmp_path / "rec.jsonl"
    register(commands)
    with mock_aws():
        import boto3

        client = boto3.client("cloudwatch", region_name="eu-west-1")
        at = datetime.now(UTC) - timedelta(minutes=10)
        dimensions = [{"Name": "DomainName", "Value": "orders"}, {"Name": "ClientId", "Value": "123456789012"}]
        row = {"MetricName": "CPUUtilization", "Dimensions": dimensions, "Timestamp": at, "Value": 42.5}
        client.put_metric_data(Namespace="AWS/ES", MetricData=[row])
        asked = ["record", "--search", SEARCH, "--cloudwatch", "es:orders", "--region", "eu-west-1", "--since", "1h"]
        done = CliRunner().invoke(commands, [*asked, "--every", "1s", "--for", "2s", "-o", str(out)])
    assert done.exit_code == 0, done.stderr
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    values = [
        v for one in lines if one["kind"] == "cloudwatch" for r in one["body"]["MetricDataResults"] for v in r["Values"]
    ]
    assert values == [42.5] and {"nodes_stats", "cloudwatch"} <= {one["kind"] for one in lines}
    assert "planted-aws-secret" not in out.read_text(encoding="utf-8") + done.stdout + done.stderr
