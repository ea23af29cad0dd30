"""The stack of one run: brokers, search servers and job as the experiment asks, in a folder of their own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lab import java, parts
from lab.brokers import OUT_TOPIC, TOPIC, Brokers
from lab.experiment import Experiment
from lab.processes import ProcessError, Registry
from lab.search import Servers
from lab.spark import Job


@dataclass
class Kit:
    """All that has to be at hand before anything starts: parts, Java, Python."""

    home: Path
    pins: Mapping[str, Any]
    folders: Mapping[str, Path]
    python: Path
    kafka_java: java.Jdk
    search_java: java.Jdk
    tell: Callable[[str], None] = print

    @property
    def registry(self) -> Registry:
        return Registry(self.home)

    @property
    def work(self) -> Path:
        return self.home / "work"

    def versions(self) -> dict[str, str]:
        found = {name: raw["version"] for name, raw in self.pins["part"].items()}
        found |= {name: raw["version"] for name, raw in self.pins["python"].items()}
        return found | {"java_kafka_spark": str(self.kafka_java.major), "java_search": str(self.search_java.major)}


def kit(tell: Callable[[str], None] = print) -> Kit:
    """Finds Java and fetches what is missing; each refusal says how to install what lacks."""
    jdks = java.find()
    kafka_java, search_java = java.pick(jdks, "Kafka and Spark", 17, 21), java.pick(jdks, "OpenSearch", 21)
    home, pins = parts.lab_home(), parts.read_pins()
    folders = {}
    for name, part in parts.read_parts(pins).items():
        folder = parts.fetch(part, home, pins["dependency_plugin"], tell)
        if name in ("opensearch", "elasticsearch"):
            folder = parts.unpack(next(folder.glob("*.zip")), home / "servers")
        folders[name] = folder
    return Kit(home, pins, folders, parts.python(pins, home, tell), kafka_java, search_java, tell)


@dataclass
class Stack:
    """What runs for one experiment; `close` stops it all, whatever happened."""

    kit: Kit
    experiment: Experiment
    brokers: Brokers | None = None
    servers: Servers | None = None
    job: Job | None = None
    load: Any = None
    took: dict[str, float] = field(default_factory=dict)
    outlives: bool = False

    def __enter__(self) -> Stack:
        alive = self.kit.registry.alive()
        if alive:
            raise ProcessError(f"{', '.join(sorted(alive))} running already; `python -m lab down` stops them")
        shutil.rmtree(self.kit.work, ignore_errors=True)
        self.kit.work.mkdir(parents=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def timed(self, name: str, work: Callable[[], Any]) -> None:
        began = time.monotonic()
        work()
        self.took[name] = round(time.monotonic() - began, 2)

    def start(self) -> None:
        """Servers first, then brokers with their topic; the job is started apart, when there is load to warm it."""
        e = self.experiment
        if e.needs_search:
            self.start_servers()
        if e.needs_kafka:
            self.start_brokers()
        if self.servers is not None:
            self.timed("search_ready", self.servers.wait_ready)
            self.timed("index_created", lambda: self.servers and self.servers.create_index(asdict(e.search)))

    def start_servers(self) -> None:
        e, k = self.experiment, self.kit
        self.servers = Servers(
            e.search.product, k.search_java, k.folders[e.search.product], k.work / "search", k.registry,
            e.search.nodes, e.cores.search, self.outlives,
        )  # fmt: skip
        self.timed("search_started", self.servers.start)

    def start_brokers(self) -> None:
        e, k = self.experiment, self.kit
        agent = next(k.folders["jmx_exporter"].glob("*.jar"))
        self.brokers = brokers = Brokers(
            k.kafka_java, k.folders["kafka"], agent, k.work / "kafka", k.registry,
            e.kafka.brokers, e.cores.broker, e.kafka.tls, self.outlives,
        )  # fmt: skip
        self.timed("kafka_started", brokers.start)
        ask = (e.kafka.partitions, e.kafka.copies, e.kafka.min_insync)
        self.timed("topic_created", lambda: brokers.create_topic(TOPIC, *ask))
        if e.type == "pipe" and e.spark.sink == "kafka":
            brokers.create_topic(OUT_TOPIC, *ask)

    def start_job(self) -> None:
        e, k, brokers = self.experiment, self.kit, self.brokers
        if brokers is None:
            raise ProcessError("spark: a job needs brokers; this experiment starts none")
        ask = {
            "job": asdict(e.spark),
            "bootstrap": brokers.bootstrap,
            "topic": TOPIC,
            "out_topic": OUT_TOPIC,
            "ca": str(brokers.ca) if brokers.ca else "",
            "search_ports": self.servers.ports if self.servers else [],
            "ids": e.search.ids,
            "jars": [str(jar) for jar in sorted(k.folders["spark_kafka"].glob("*.jar"))],
        }
        self.job = job = Job(k.kafka_java, k.python, k.work / "spark", k.registry, e.cores.spark, ask)
        job.start()
        self.timed("spark_started", job.wait_started)

    def roots(self) -> dict[str, int]:
        """Process ids by the names of the recordings."""
        found: dict[str, int] = {}
        for name, group in (("kafka", self.brokers), ("search", self.servers)):
            for n, process in dict(group.running if group else {}).items():
                found[f"{name}-{n}"] = process.pid
        if self.job is not None and self.job.process is not None:
            found["spark"] = self.job.process.pid
        if self.load is not None:
            found["load"] = self.load.pid
        return found

    def close(self) -> None:
        """Clients before servers; one that will not stop does not keep the others running."""
        stops = [p.stop for p in (self.load, self.job, self.servers, self.brokers) if p is not None]
        failures = []
        for stop in stops:
            try:
                stop()
            except (OSError, subprocess.SubprocessError) as error:
                failures.append(error)
        self.kit.registry.stop_all()
        if failures:
            raise failures[0]
