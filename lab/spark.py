"""The Spark job as the laboratory runs it: started, watched, stopped and started anew on one checkpoint.

The job is one process tree (Python driver, JVM, Python workers). Its progress and its event logs are
collected over all starts; a job that failed is started anew after `restart_s`, as its keeper would do.
"""

from __future__ import annotations

import json
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.java import Jdk
from lab.processes import Process, Registry, start

UI_PORT = 19440
# Kept of the event log: who ran, the tasks, the queries. Plans, stages and accumulators are nine tenths of it.
KEPT = (
    *("LogStart", "ResourceProfileAdded", "ExecutorAdded", "BlockManagerAdded", "EnvironmentUpdate"),
    *("ApplicationStart", "ApplicationEnd", "TaskEnd", "JobStart", "JobEnd"),
    *("QueryStartedEvent", "QueryProgressEvent", "QueryIdleEvent", "QueryTerminatedEvent"),
)
DROPPED = (
    "System Properties", "Classpath Entries", "Hadoop Properties", "Metrics Properties", "Properties", "Stage Infos"
)  # fmt: skip


@dataclass
class Job:
    """`ask` is what job.py reads; `folder` holds checkpoint, event logs and progress."""

    jdk: Jdk
    python: Path
    folder: Path
    registry: Registry
    cores: Sequence[int]
    ask: Mapping[str, Any]
    process: Process | None = None
    starts: int = 0
    failures: list[str] = field(default_factory=list)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "started").unlink(missing_ok=True)
        path = self.folder / "ask.json"
        path.write_text(json.dumps(dict(self.ask) | {"folder": str(self.folder), "ui_port": UI_PORT}))
        self.starts += 1
        root = str(Path(__file__).parent.parent)  # the Python workers import from it too
        env = {
            "PYTHONPATH": root,
            "JAVA_HOME": str(self.jdk.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": str(self.python),
        }
        self.process = start(
            self.registry, "spark", [str(self.python), "-m", "lab.job", str(path)], cores=self.cores, env=env,
            log=self.folder / f"spark-{self.starts}.log", cwd=self.folder,
        )  # fmt: skip

    def wait_started(self, patience: float = 90) -> None:
        until = time.monotonic() + patience
        while not (self.folder / "started").exists():
            if self.process is not None:
                self.process.expect_alive()
            if time.monotonic() > until:
                raise TimeoutError(f"spark: no query after {patience:g} s")
            time.sleep(0.2)

    def failed(self) -> str | None:
        """Why the job ended by itself; None while it runs or was stopped by us."""
        if self.process is None or self.process.alive():
            return None
        said = [line.strip() for line in self.process.tail(2000).splitlines() if line.strip()]
        for word in ("BulkRefused: ", "query failed: "):
            named = [line for line in said if word in line]
            if named:
                return named[-1][:500]
        return (said or ["ended without a word"])[-1][:500]

    def stop(self, sign: int = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.stop(sign, patience=30)
        self.process = None

    def progress(self) -> list[dict[str, Any]]:
        """All progress so far; the line in the middle of being written is left for next time."""
        path = self.folder / "progress.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def consumed(self) -> int:
        return sum(p["numInputRows"] for p in self.progress())

    def save(self, out: Path) -> None:
        """Progress and thinned event logs of all starts, in order."""
        if (self.folder / "progress.jsonl").exists():
            shutil.copy(self.folder / "progress.jsonl", out / "progress.jsonl")
        logs = sorted(self.folder.glob("eventlog/**/*"), key=lambda p: p.stat().st_mtime)
        with (out / "eventlog.jsonl").open("w") as file:
            for path in (p for p in logs if p.is_file() and "appstatus" not in p.name and not p.name.startswith(".")):
                file.writelines(thin(path.read_text().splitlines()))


def thin(lines: Sequence[str]) -> Iterator[str]:
    """An event log without plans, accumulators, system properties and the machine's address and paths."""
    for line in lines:
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            return  # a log cut short by a kill
        if not event["Event"].endswith(KEPT):
            continue
        event.get("Task Info", {}).pop("Accumulables", None)
        for name in DROPPED:
            event.pop(name, None)
        if "Spark Properties" in event:
            event["Spark Properties"] = {k: v for k, v in event["Spark Properties"].items() if "/" not in str(v)}
        if "JVM Information" in event:
            event["JVM Information"]["Java Home"] = "jvm"
        yield json.dumps(event, separators=(",", ":")) + "\n"
