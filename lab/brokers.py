"""Kafka brokers: one, or three that are controllers too, each a JVM with its own folder.

A broker has three listeners on loopback: plain for brokers and tools, `CLIENTS` (plain or TLS) for load
and job, and the controller's. A JMX exporter in each answers as Strimzi's does, with the MBeans named:
a catch-all rule would make one scrape 11,500 lines.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab.java import Jdk
from lab.processes import Process, ProcessError, Registry, start

TOPIC, OUT_TOPIC = "events", "out"
PLAIN, CLIENTS, CONTROLLER, METRICS = 19092, 19192, 19292, 19392  # base ports; broker n adds n
HEAP = ("-Xms512m", "-Xmx1g")
# Strimzi's rules for the families that are read; TotalTimeMs percentiles are whole milliseconds of the broker's own.
JMX_RULES = """lowercaseOutputName: true
includeObjectNames:
  - "kafka.server:type=BrokerTopicMetrics,*"
  - "kafka.server:type=ReplicaManager,*"
  - "kafka.server:type=KafkaRequestHandlerPool,*"
  - "kafka.log:type=Log,name=Size,*"
  - "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=Produce"
  - "kafka.network:type=RequestMetrics,name=TotalTimeMs,request=FetchConsumer"
rules:
  - pattern: kafka.server<type=(.+), name=(.+)PerSec\\w*, topic=(.+)><>Count
    name: kafka_server_$1_$2_total
    type: COUNTER
    labels:
      topic: "$3"
  - pattern: kafka.server<type=(.+), name=(.+)PerSec\\w*><>Count
    name: kafka_server_$1_$2_total
    type: COUNTER
  - pattern: kafka.server<type=(.+), name=(.+)Percent\\w*><>(Count|OneMinuteRate)
    name: kafka_server_$1_$2_percent_$3
    type: GAUGE
  - pattern: kafka.server<type=(.+), name=(.+)><>Value
    name: kafka_server_$1_$2
    type: GAUGE
  - pattern: kafka.log<type=(.+), name=(.+), topic=(.+), partition=(.+)><>Value
    name: kafka_log_$1_$2
    type: GAUGE
    labels:
      topic: "$3"
      partition: "$4"
  - pattern: kafka.network<type=(.+), name=(.+), request=(.+)><>Count
    name: kafka_network_$1_$2_count_total
    type: COUNTER
    labels:
      request: "$3"
  - pattern: kafka.network<type=(.+), name=(.+), request=(.+)><>Mean
    name: kafka_network_$1_$2_mean
    type: GAUGE
    labels:
      request: "$3"
  - pattern: kafka.network<type=(.+), name=(.+), request=(.+)><>(\\d+)thPercentile
    name: kafka_network_$1_$2
    type: GAUGE
    labels:
      request: "$3"
      quantile: "0.$4"
"""


def properties(broker: int, brokers: int, data: Path, keystore: Path | None, password: str) -> dict[str, str]:
    """server.properties of broker `broker` (1 is the first) of `brokers`."""
    voters = ",".join(f"{n}@127.0.0.1:{CONTROLLER + n}" for n in range(1, brokers + 1))
    ports = {"PLAINTEXT": PLAIN + broker, "CLIENTS": CLIENTS + broker}
    listeners = [f"{name}://127.0.0.1:{port}" for name, port in ports.items()]
    kinds = f"PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:{'SSL' if keystore else 'PLAINTEXT'}"
    found = {
        "process.roles": "broker,controller",
        "node.id": str(broker),
        "controller.quorum.voters": voters,
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "listeners": ",".join([*listeners, f"CONTROLLER://127.0.0.1:{CONTROLLER + broker}"]),
        "advertised.listeners": ",".join(listeners),
        "listener.security.protocol.map": kinds,
        "log.dirs": str(data),
        "offsets.topic.replication.factor": str(brokers),
        "transaction.state.log.replication.factor": str(brokers),
        "transaction.state.log.min.isr": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
    }
    if keystore:
        found |= {
            "ssl.keystore.type": "PKCS12",
            "ssl.keystore.location": str(keystore),
            "ssl.keystore.password": password,
            "ssl.key.password": password,
        }
    return found


@dataclass
class Brokers:
    """The brokers of one run; `folder` holds their settings, data and logs."""

    jdk: Jdk
    jars: Path
    agent: Path
    folder: Path
    registry: Registry
    count: int
    cores: Sequence[int]
    tls: bool = False
    outlives: bool = False
    running: dict[int, Process] = field(default_factory=dict)
    password: str = field(default_factory=lambda: secrets.token_hex(12), repr=False)

    @property
    def bootstrap(self) -> str:
        """Where load and job connect."""
        return ",".join(f"127.0.0.1:{CLIENTS + n}" for n in range(1, self.count + 1))

    @property
    def tools(self) -> str:
        return ",".join(f"127.0.0.1:{PLAIN + n}" for n in range(1, self.count + 1))

    @property
    def ca(self) -> Path | None:
        return self.folder / "ca.pem" if self.tls else None

    def java(self, *arguments: str, options: Sequence[str] = ()) -> list[str]:
        return [self.jdk.java, *options, "-cp", f"{self.folder}:{self.jars}/*", *arguments]

    def prepare(self) -> None:
        """Settings, keys and formatted data folders; a fresh cluster each time."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "jmx.yml").write_text(JMX_RULES)
        (self.folder / "log4j2.properties").write_text(
            "rootLogger.level=WARN\nrootLogger.appenderRef.out.ref=OUT\nappender.out.type=Console\n"
            "appender.out.name=OUT\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%d %p %c %m%n\n"
        )
        keystore = self._keys() if self.tls else None
        cluster = self._tool("kafka.tools.StorageTool", "random-uuid").split()[-1]
        for n in range(1, self.count + 1):
            settings = properties(n, self.count, self.folder / f"data{n}", keystore, self.password)
            path = self.folder / f"server{n}.properties"
            path.write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
            self._tool("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(path))

    def _tool(self, *arguments: str, timeout: float = 60) -> str:
        command = ["taskset", "-c", ",".join(map(str, self.cores)), *self.java(*arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise ProcessError(f"{arguments[0]} {arguments[1]} failed: {(done.stdout + done.stderr)[-800:]}")
        return done.stdout

    def _keys(self) -> Path:
        """A key of the brokers' own, and its certificate as what clients trust."""
        store, tool = self.folder / "broker.p12", str(self.jdk.home / "bin" / "keytool")
        common = ["-keystore", str(store), "-storetype", "PKCS12", "-storepass", self.password, "-alias", "broker"]
        subject = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-ext", "bc:c=ca:true", "-validity", "30"]
        make = [tool, "-genkeypair", "-keyalg", "RSA", "-keysize", "2048", *common, *subject]
        export = [tool, "-exportcert", "-rfc", *common, "-file", str(self.folder / "ca.pem")]
        for command in (make, export):
            subprocess.run(command, check=True, capture_output=True, timeout=60)
        return store

    def start(self) -> None:
        self.prepare()
        for n in range(1, self.count + 1):
            self.start_one(n)

    def start_one(self, n: int) -> None:
        options = [*HEAP, f"-javaagent:{self.agent}=127.0.0.1:{METRICS + n}:{self.folder / 'jmx.yml'}"]
        command = self.java("kafka.Kafka", str(self.folder / f"server{n}.properties"), options=options)
        log = self.folder / f"kafka-{n}.log"
        self.running[n] = start(
            self.registry, f"kafka-{n}", command, cores=self.cores, log=log, cwd=self.folder, outlives=self.outlives
        )

    def create_topic(self, topic: str, partitions: int, copies: int, min_insync: int = 1, patience: float = 60) -> None:
        """Creates a topic once the brokers answer; a broker that ended is told with its log."""
        until = time.monotonic() + patience
        ask = ["org.apache.kafka.tools.TopicCommand", "--bootstrap-server", self.tools, "--create", "--topic", topic]
        ask += ["--partitions", str(partitions), "--replication-factor", str(copies)]
        ask += ["--config", f"min.insync.replicas={min_insync}"]
        self.wait_listening(until)
        while True:
            try:
                self._tool(*ask, timeout=30)
                return
            except (ProcessError, subprocess.TimeoutExpired) as error:
                if time.monotonic() > until:
                    raise ProcessError(f"topic {topic} could not be created in {patience:g} s: {error}") from None
                time.sleep(1)

    def wait_listening(self, until: float) -> None:
        """Until each broker's exporter answers: it starts first, so brokers follow within seconds."""
        for n, process in self.running.items():
            while self.scrape(n) is None:
                process.expect_alive()
                if time.monotonic() > until:
                    raise ProcessError(f"kafka-{n} does not answer; its log ends:\n{process.tail()}")
                time.sleep(0.25)

    def scrape(self, n: int) -> str | None:
        """One scrape of a broker's exporter; None if it does not answer."""
        with contextlib.suppress(OSError), urllib.request.urlopen(self.metrics_url(n), timeout=5) as answer:
            text: str = answer.read().decode()
            return "".join(line for line in text.splitlines(True) if not line.startswith("#"))
        return None

    def metrics_url(self, n: int) -> str:
        return f"http://127.0.0.1:{METRICS + n}/metrics"

    def log_bytes(self) -> dict[str, dict[str, int]]:
        """Bytes of the topic's log segments by data folder and partition, as log dirs tell them."""
        found = {}
        for n in range(1, self.count + 1):
            for partition in sorted((self.folder / f"data{n}").glob(f"{TOPIC}-*")):
                size = sum(f.stat().st_size for f in partition.glob("*.log"))
                found[f"lab/kafka/data{n}/{partition.name}"] = {"bytes": size}
        return found

    def stop(self) -> None:
        for n in sorted(self.running, reverse=True):
            self.running.pop(n).stop()
