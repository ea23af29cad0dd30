"""Exporters that tests run beside a real stack: jmx_exporter in three dialects, and Debian's."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

from lab import parts
from lab.brokers import HEAP, JMX_RULES, METRICS, Brokers
from lab.processes import start

ELASTICSEARCH, NODE = 19691, 19692  # ports
# What MSK's Open Monitoring shows: jmx_exporter's names where no rule says otherwise, the MBean's own in labels.
NO_RULES = "includeObjectNames:\n{names}rules:\n  - pattern: '.*'\n"
LOWER_CASE = "lowercaseOutputName: true\nlowercaseOutputLabelNames: true\n"
NAMES = [line.strip() for line in JMX_RULES.splitlines() if line.startswith('  - "kafka')]


def rules(dialect: str) -> str:
    """The exporter's settings: `strimzi` as the laboratory has them, `msk` without rules, `lower` all in lower case.

    FLOODMARK_JMX_RULES names a file that stands in for `lower`: published rules, to see what they make of a broker.
    """
    if dialect == "strimzi":
        return JMX_RULES
    bare = NO_RULES.format(names="".join(f"  {name}\n" for name in NAMES))
    published = os.environ.get("FLOODMARK_JMX_RULES")
    if dialect == "lower" and published:
        return Path(published).read_text(encoding="utf-8")
    return bare if dialect == "msk" else LOWER_CASE + bare


class Dialects(Brokers):
    """Three brokers of one cluster, each with an exporter of another dialect."""

    spoken = ("strimzi", "msk", "lower")

    def start_one(self, n: int) -> None:
        settings = self.folder / f"jmx-{n}.yml"
        settings.write_text(rules(self.spoken[(n - 1) % len(self.spoken)]))
        options = [*HEAP, f"-javaagent:{self.agent}=127.0.0.1:{METRICS + n}:{settings}"]
        command = self.java("kafka.Kafka", str(self.folder / f"server{n}.properties"), options=options)
        log = self.folder / f"kafka-{n}.log"
        self.running[n] = start(self.registry, f"kafka-{n}", command, cores=self.cores, log=log, cwd=self.folder)


def spark_metrics(folder: Path) -> None:
    """Spark's PrometheusServlet and the metrics of streaming queries, as a cluster's own settings switch them on."""
    (folder / "metrics.properties").write_text(
        "*.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet\n"
        "*.sink.prometheusServlet.path=/metrics/prometheus\n"
        "driver.source.jvm.class=org.apache.spark.metrics.source.JvmSource\n"
    )
    (folder / "spark-defaults.conf").write_text(
        "spark.sql.streaming.metricsEnabled true\nspark.ui.prometheus.enabled true\n"
        "spark.executor.processTreeMetrics.enabled true\n"
    )


def debian(package: str, binary: str) -> Path | None:
    """A command of Debian's: the one installed, or its package unpacked (not installed) in the laboratory's home."""
    if found := shutil.which(binary):
        return Path(found)
    own = parts.lab_home() / "exporters" / package
    if not (own / "usr" / "bin" / binary).exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            return None
        own.mkdir(parents=True, exist_ok=True)
        own.chmod(0o777)  # apt drops its rights to download
        done = subprocess.run(["apt-get", "download", package], cwd=own, capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            return None
        subprocess.run(["dpkg", "-x", str(next(own.glob("*.deb"))), str(own)], check=True, timeout=60)
    return own / "usr" / "bin" / binary


def answers(url: str) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return bool(answer.status == 200)
    return False


@contextlib.contextmanager
def running(command: Sequence[str], log: Path) -> Iterator[None]:
    """A command that runs meanwhile."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)
