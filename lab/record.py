"""Recording: what is sampled while a run goes, in the systems' own formats, one JSON a line.

Each sample of the machine says CPU and memory of every process's tree, jiffies (steal among them), CPU
pressure, and a *speed probe*: the CPU seconds that one fixed piece of work took on each core, which tells
a slower machine from a dearer program. Lines are written as they come and gzipped at the end.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import shutil
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from lab import processes
from lab.search import INDEX, Client, SearchError, visible

NODE_STATS = "/_nodes/_local/stats/indices,os,process,jvm,thread_pool,fs,http,breaker,indexing_pressure"
SAMPLE_S, SCRAPE_S, POLL_S = 5.0, 10.0, 0.2
_WORDS = random.Random(7)
PROBE = "".join(_WORDS.choices('etaoinshrdlu {}":,0123456789', k=120_000)).encode()  # about 4 ms of work


def probe() -> float:
    """CPU seconds that deflating 120 kB of fixed text took on this thread's core.

    It is CPU time and not wall: a busy core makes it later, and only a slower core makes it longer (a
    neighbour on the sibling thread, a lower clock, a colder cache).
    """
    start = time.thread_time()
    zlib.compress(PROBE, 6)
    return time.thread_time() - start


def probe_cores(cores: Iterable[int]) -> dict[str, float]:
    """The probe on each of those cores; a thread pins itself alone."""
    mine = os.sched_getaffinity(0)
    try:
        found = {}
        for core in sorted(cores):
            os.sched_setaffinity(0, {core})
            found[str(core)] = probe()
        return found
    finally:
        os.sched_setaffinity(0, mine)


def cpu_stat(text: str) -> list[str]:
    """User, nice, system, idle, iowait, irq, softirq and steal jiffies of the machine.

    >>> cpu_stat("cpu  10 0 5 100 1 0 2 3 0 0\\ncpu0 1 1")
    ['10', '0', '5', '100', '1', '0', '2', '3']
    """
    return text.splitlines()[0].split()[1:9]


def pressure(text: str) -> dict[str, float]:
    """The `some` line of /proc/pressure/cpu: shares of time [%] and total [µs] in which some task waited.

    >>> pressure("some avg10=0.73 avg60=0.38 avg300=0.62 total=48918919\\nfull avg10=0.00")["total"]
    48918919.0
    """
    pairs = (item.split("=") for item in text.splitlines()[0].split()[1:])
    return {name: float(value) for name, value in pairs}


def machine_sample(t: float, roots: Mapping[str, int], cores: Iterable[int]) -> dict[str, Any]:
    """One line of procs.jsonl; `pressure` is None where the kernel does not tell it."""
    psi = Path("/proc/pressure/cpu")
    return {
        "t": t,
        "procs": processes.usage(roots),
        "load": os.getloadavg()[0],
        "cpu_stat": cpu_stat(Path("/proc/stat").read_text()),
        "pressure": pressure(psi.read_text()) if psi.exists() else None,
        "probe": probe_cores(cores),
        "lab_cpu_seconds": time.process_time(),
    }


class Writer:
    """Files of JSON lines in a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lock = folder, threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    def line(self, name: str, text: str) -> None:
        with self.lock, (self.folder / f"{name}.jsonl").open("a") as file:
            file.write(text + "\n")

    def document(self, name: str, body: Any) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(body, indent=1))

    def compress(self) -> None:
        """Every .jsonl becomes .jsonl.gz, without a time in its header: equal content, equal bytes."""
        for path in sorted(self.folder.glob("*.jsonl")):
            with path.open("rb") as plain, gzip.GzipFile(f"{path}.gz", "wb", mtime=0) as packed:
                shutil.copyfileobj(plain, packed)
            path.unlink()


class Every(threading.Thread):
    """Calls `work` on a grid of times until stopped; a call that takes too long skips grid points."""

    def __init__(self, seconds: float, work: Callable[[float], None]) -> None:
        super().__init__(daemon=True)
        self.seconds, self.work, self.over = seconds, work, threading.Event()
        self.failure: Exception | None = None

    def run(self) -> None:
        due = time.time()
        while not self.over.is_set():
            try:
                self.work(due)
            except Exception as error:  # kept for the run to raise: a thread's own end would go unseen
                self.failure = error
                return
            due += self.seconds * max(1, -(-(time.time() - due) // self.seconds))
            self.over.wait(max(due - time.time(), 0.0))

    def finish(self) -> None:
        self.over.set()
        self.join(30)
        if self.failure is not None:
            raise self.failure


class Sampler:
    """What is sampled beside a run; `roots` is asked each time, as processes come and go."""

    def __init__(
        self, writer: Writer, roots: Callable[[], Mapping[str, int]], cores: Iterable[int], hide: str = ""
    ) -> None:
        self.writer, self.roots, self.cores = writer, roots, sorted(cores)
        self.hide = hide  # this machine's folder, told as "lab" in what nodes say of their disks
        self.brokers: Any = None
        self.nodes: list[Client] = []
        self.looker: Client | None = None
        self.threads: list[Every] = []
        self.seen: dict[str, list[int]] = {}  # the last answer of the index: documents and highest sequence

    def start(self, brokers: Any = None, ports: Iterable[int] = (), partitions: int = 0) -> None:
        """Samples the machine, and the systems that are given; polls visibility where there are partitions."""
        self.brokers, self.nodes = brokers, [Client(port) for port in ports]
        self.threads.append(Every(SAMPLE_S, self.sample))
        if brokers is not None:
            self.threads.append(Every(SCRAPE_S, self.scrape))
        if self.nodes and partitions:
            self.looker = looker = Client(self.nodes[0].port, timeout=5)
            self.threads.append(Every(POLL_S, lambda _: self.poll(looker, partitions)))
        for thread in self.threads:
            thread.start()

    def sample(self, due: float) -> None:
        self.writer.line("procs", json.dumps(machine_sample(time.time(), self.roots(), self.cores)))
        for n, client in enumerate(self.nodes):
            # one node's answer keeps the name that the readers know; of several, each node tells of itself
            name = "search" if len(self.nodes) == 1 else f"search-{n}"
            self.get(client, f"{name}.nodes_stats", NODE_STATS)
        if self.nodes:
            self.get(self.nodes[0], "search.index_stats", f"/{INDEX}/_stats")
            self.get(self.nodes[0], "search.cat_shards", f"/_cat/shards/{INDEX}?format=json")

    def get(self, client: Client, name: str, path: str) -> None:
        """An answer as it came; a node that does not answer leaves a gap."""
        try:
            status, body = client.ask("GET", path)
        except SearchError:
            return
        if status == 200:
            text = body.decode().strip()
            text = text.replace(self.hide, "lab") if self.hide else text
            self.writer.line(name, f'{{"t":{time.time()!r},"body":{text}}}')

    def scrape(self, due: float) -> None:
        for n in range(1, self.brokers.count + 1):
            text = self.brokers.scrape(n)
            if text is not None:
                self.writer.line(f"kafka-{n}.prom", json.dumps({"t": time.time(), "text": text}))

    def poll(self, client: Client, partitions: int) -> None:
        asked = time.time()
        try:
            seen = visible(client, partitions)
        except SearchError:
            return  # no answer is a gap: the next one tells
        self.seen = seen
        self.writer.line("visible", json.dumps([asked, time.time(), seen]))

    def stop(self) -> None:
        """All end and all is closed, then the first failure is raised."""
        threads, self.threads = self.threads, []
        failed: list[Exception] = []
        for thread in threads:
            thread.over.set()
        for thread in threads:
            try:
                thread.finish()
            except Exception as error:
                failed.append(error)
        for client in [*self.nodes, *([self.looker] if self.looker else [])]:
            client.close()
        if failed:
            raise failed[0]

    def abandon(self) -> None:
        """Stops without a word about what failed: something else has, and is being told."""
        with contextlib.suppress(Exception):
            self.stop()
