"""One run: the stack started, warmed, loaded, disturbed, drained, recorded and stopped.

Everything has a bound: the load's length is the plan's, the drain's is `DRAIN_S`, and the whole may take
twice its estimate. A run that fails leaves no recording, since half of one reads like a whole one.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lab.brokers import TOPIC
from lab.disturb import Disturber
from lab.experiment import Experiment, folder_name, recorded
from lab.processes import ProcessError, start
from lab.record import Sampler, Writer
from lab.search import INDEX, Client, SearchError
from lab.stack import Kit, Stack

WARM_DRAIN_S, DRAIN_S, REST_S = 60.0, 180.0, 2.0
STORE_CACHE_S, MERGES_S = 11.0, 60.0  # store sizes are cached for about ten seconds; merges end by themselves
GIVE_UP_S = 5.0  # a load that far behind its own plan measures itself
ROOT = Path(__file__).parent.parent


class Run:
    """A run in progress."""

    def __init__(self, stack: Stack, writer: Writer, deadline: float) -> None:
        self.stack, self.e, self.writer, self.deadline = stack, stack.experiment, writer, deadline
        self.sampler = Sampler(writer, stack.roots, range(os.cpu_count() or 1), str(stack.kit.home))
        self.events: list[dict[str, Any]] = []
        self.disturber = Disturber(self.e.disturb, stack, self.note)
        self.sent = 0

    def note(self, kind: str, **more: Any) -> None:
        self.events.append({"t": time.time(), "kind": kind, **more})
        self.stack.kit.tell(f"    {kind} {' '.join(f'{k}={v}' for k, v in more.items())}")

    def go(self) -> None:
        getattr(self, self.e.type)()

    def pipe(self) -> None:
        """Job, warm-up, plan with its disturbances, and time to catch up."""
        servers = self.stack.servers
        self.stack.start_job()
        self.sampler.start(self.stack.brokers, servers.ports if servers else (), self.e.kafka.partitions)
        if self.e.load.warm_s:
            self.send([[self.e.load.warm_s, self.e.load.warm_rate]], "_warm")
            self.wait(self.drained, WARM_DRAIN_S)
            time.sleep(REST_S)
        self.send(self.e.load.plan, "")
        self.wait(lambda: self.drained() and self.disturber.over, DRAIN_S)
        self.rest()
        outcome = self.outcome()
        if self.stack.job is not None:
            self.stack.job.stop()
            self.stack.job.save(self.writer.folder)
        self.writer.document("outcome", outcome)
        self.writer.document("events", self.events)

    def kafka(self) -> None:
        self.sampler.start(self.stack.brokers)
        if self.e.load.warm_s:
            self.send([[self.e.load.warm_s, self.e.load.warm_rate]], "_warm")
        self.send(self.e.load.plan, "")
        self.wait(lambda: self.disturber.over, DRAIN_S)
        self.rest()
        self.writer.document("log_dirs", self.stack.brokers.log_bytes() if self.stack.brokers else {})
        self.writer.document("events", self.events)

    def bulk(self) -> None:
        servers, b = self.stack.servers, self.e.bulk
        if servers is None:
            raise ProcessError("search: a bulk run needs servers; this experiment starts none")
        self.sampler.start(ports=servers.ports)
        ask = {"size": b.size, "bulk": b.bulk, "clients": b.clients, "seconds": b.seconds, "warm_s": b.warm_s}
        path = self.ask("bulk", ask | {"ports": servers.ports, "out": str(self.writer.folder / "bulk.json")})
        self.follow("load", [sys.executable, "-m", "lab.bulk", str(path)])
        self.rest()

    def ask(self, name: str, body: dict[str, Any]) -> Path:
        path = self.stack.kit.work / f"{name}.json"
        path.write_text(json.dumps(body))
        return path

    def send(self, plan: Any, suffix: str) -> None:
        """One plan of open-loop load, followed to its end."""
        e, brokers = self.e, self.stack.brokers
        if brokers is None:
            raise ProcessError("kafka: a load needs brokers; this experiment starts none")
        names = ("size", "linger_ms", "batch_bytes", "acks", "compression", "idempotent")
        body = {name: getattr(e.load, name) for name in names}
        body |= {"plan": plan, "seq0": self.sent, "partitions": e.kafka.partitions, "bootstrap": brokers.bootstrap}
        body |= {"topic": TOPIC, "ca": str(brokers.ca) if brokers.ca else "", "give_up_s": GIVE_UP_S}
        path = self.ask(f"load{suffix}", body | {"out": str(self.writer.folder), "suffix": suffix})
        if not suffix:
            self.disturber.begin(time.time() + 1.0)  # the load needs about that long to connect
        self.follow("load", [str(self.stack.kit.python), "-m", "lab.load", str(path)])
        self.sent += json.loads((self.writer.folder / f"producer{suffix}.json").read_text())["sent"]

    def follow(self, name: str, command: list[str]) -> None:
        """A child of ours on the load's cores, waited for while disturbances take their turns."""
        kit = self.stack.kit
        process = self.stack.load = start(
            kit.registry, name, command, cores=self.e.cores.load, log=kit.work / f"{name}.log",
            env={"PYTHONPATH": str(ROOT)}, cwd=kit.work,
        )  # fmt: skip
        while process.alive():
            self.turn()
        self.stack.load = None
        kit.registry.forget(name)
        if process.popen.returncode != 0:
            raise ProcessError(f"{name} ended with code {process.popen.returncode}:\n{process.tail()}")

    def turn(self) -> None:
        """What has to be looked after at any time; a fifth of a second."""
        if time.time() > self.deadline:
            raise TimeoutError(f"{self.e.name}: took longer than twice its estimate and was stopped")
        self.disturber.turn()
        self.disturber.watch_job(self.e.spark.restart_s)
        for group in (self.stack.brokers, self.stack.servers):
            for process in list(group.running.values()) if group else []:
                process.expect_alive()
        time.sleep(0.2)

    def wait(self, until: Callable[[], bool], seconds: float) -> None:
        """Until it is so, or the time is over: the outcome then says what was missing."""
        end = time.time() + seconds
        while not until() and time.time() < end:
            self.turn()

    def drained(self) -> bool:
        """All sent records visible, or where there is no index, read and committed by the job."""
        if not self.e.needs_search:
            return self.stack.job is not None and committed(self.stack.job.progress()) >= self.sent
        seen, partitions = self.sampler.seen, self.e.kafka.partitions
        last = {s % partitions: s for s in range(max(0, self.sent - partitions), self.sent)}
        return all(seen.get(str(p), [0, -1])[1] >= s for p, s in last.items())

    def rest(self) -> None:
        """One more sample after the end, then the samplers stop, so that counters cover the whole."""
        until = time.time() + 5.5
        while time.time() < until:
            self.turn()
        self.sampler.stop()
        if self.stack.servers is not None:
            self.writer.document("index_end", index_end())

    def outcome(self) -> dict[str, Any]:
        """Expected, visible (None without an index) and committed by the job; more visible than expected is repeats."""
        visible = None
        if self.e.needs_search:
            client = Client(timeout=30)
            visible = int(client.json("GET", f"/{INDEX}/_count")["count"])
            client.close()
        done = committed(self.stack.job.progress()) if self.stack.job else None
        starts = self.stack.job.starts if self.stack.job else 0
        return {"expected": self.sent, "visible": visible, "committed": done, "job_starts": starts}


def committed(progress: list[dict[str, Any]]) -> int:
    """Records up to the end offsets of the last batch: a count that no restart can break."""
    if not progress:
        return 0
    ends = progress[-1]["sources"][0]["endOffset"]
    ends = json.loads(ends) if isinstance(ends, str) else ends
    return sum(ends[TOPIC].values())


def index_end() -> Any:
    """`_stats` of the index after its merges, a flush, and the ten seconds that sizes are cached."""
    client, until = Client(timeout=60), time.time() + MERGES_S
    client.json("POST", f"/{INDEX}/_flush")
    while time.time() < until:
        if not client.json("GET", f"/{INDEX}/_stats/merge")["_all"]["total"]["merges"]["current"]:
            break
        time.sleep(0.5)
    time.sleep(STORE_CACHE_S)
    found = client.json("GET", f"/{INDEX}/_stats")["_all"]
    client.close()
    return found


def perform(kit: Kit, e: Experiment, repeat: int, results: Path, *, disturbed: bool = False) -> Path:
    """One repeat of an experiment, recorded into its folder of `results`; what it was is in experiment.json."""
    name = folder_name(e, repeat, disturbed)
    if (results / name).exists():
        raise FileExistsError(f"{results / name} is there already; a recording is never overwritten")
    began, recording = time.time(), kit.home / "recording"
    shutil.rmtree(recording, ignore_errors=True)
    writer, mine = Writer(recording), os.sched_getaffinity(0)
    with Stack(kit, e) as stack:
        run = Run(stack, writer, began + 2 * e.seconds + 240)
        try:
            os.sched_setaffinity(0, set(e.cores.load))
            stack.start()
            run.go()
        except (SearchError, ProcessError, TimeoutError, OSError):
            keep_logs(kit)
            raise
        finally:
            run.sampler.abandon()
            os.sched_setaffinity(0, mine)
    said = recorded(e, repeat, disturbed) | {"started": began, "took_s": round(time.time() - began, 1)}
    writer.document("experiment", said | {"start_s": stack.took, "versions": kit.versions()})
    writer.compress()
    results.mkdir(parents=True, exist_ok=True)
    shutil.move(recording, results / name)
    return results / name


def keep_logs(kit: Kit) -> None:
    """Logs of a run that failed, for whoever looks into it."""
    to = kit.home / "failed"
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir()
    for path in kit.work.rglob("*.log"):
        shutil.copy(path, to / f"{path.parent.name}-{path.name}")
    kit.tell(f"    logs are kept in {to}")
