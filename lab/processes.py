"""Processes that the laboratory started: pinned, logged, measured by tree, and stopped by their own ids.

Each is remembered with its id and the kernel's start time of it in `running.json` of the laboratory's
home, so that `down` finds what an interrupted run left, and never ends a process that merely inherited
an id. A process's *tree* is all its descendants: Spark's JVM and Python workers belong to the job.
Linux only: /proc, taskset and setpriv.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

JIFFY = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SERVER_USER = 7719  # a user id of the search servers' own: they refuse to run as root


class ProcessError(RuntimeError):
    """A process that did not start, or ended early: names it and gives the end of its log."""


@dataclass(frozen=True)
class Stat:
    """/proc/PID/stat: parent, CPU seconds of itself (without children), resident bytes, start [jiffies]."""

    parent: int
    cpu_seconds: float
    rss_bytes: int
    started: int
    state: str


def parse_stat(text: str) -> Stat:
    """The name may hold spaces and brackets, so fields count from the last bracket.

    >>> parse_stat("7 (a ) b) S 1 0 0 0 0 0 0 0 0 0 150 50 0 0 0 0 0 0 999 0 10").parent
    1
    """
    rest = text[text.rindex(")") + 2 :].split()
    return Stat(int(rest[1]), (int(rest[11]) + int(rest[12])) * JIFFY, int(rest[21]) * PAGE, int(rest[19]), rest[0])


def stat(pid: int) -> Stat | None:
    """None if there is no such process (any more)."""
    try:
        return parse_stat(Path(f"/proc/{pid}/stat").read_text())
    except (OSError, ValueError):
        return None


def all_stats() -> dict[int, Stat]:
    found = {int(p.name): stat(int(p.name)) for p in Path("/proc").iterdir() if p.name.isdigit()}
    return {pid: s for pid, s in found.items() if s is not None}


def tree(root: int, stats: Mapping[int, Stat]) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for pid, s in stats.items():
        children.setdefault(s.parent, []).append(pid)
    found, ahead = [], [root]
    while ahead:
        pid = ahead.pop()
        if pid in stats:
            found.append(pid)
            ahead += children.get(pid, [])
    return found


@dataclass
class Process:
    """A running process by its name in the recordings: kafka-1, search-0, spark, load."""

    name: str
    popen: subprocess.Popen[bytes]
    log: Path
    started: int
    registry: Registry

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def tail(self, lines: int = 12) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def expect_alive(self) -> None:
        if not self.alive():
            raise ProcessError(f"{self.name} ended with code {self.popen.returncode}; its log ends:\n{self.tail()}")

    def stop(self, sign: int = signal.SIGTERM, patience: float = 20.0) -> None:
        """Asks, waits, then ends the tree that it had; each by its own id."""
        mine = {pid: s.started for pid, s in _tree_of(self.pid).items()}
        if self.alive():
            self.popen.send_signal(sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(patience)
        end(mine)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        self.registry.forget(self.name)

    def kill(self) -> None:
        """At once, as a crash is."""
        self.stop(signal.SIGKILL, patience=5)


def _tree_of(root: int) -> dict[int, Stat]:
    stats = all_stats()
    return {pid: stats[pid] for pid in tree(root, stats)}


def end(pids: Mapping[int, int], patience: float = 3.0) -> None:
    """Ends those processes that are still the same (id and start time), the stubborn ones by SIGKILL."""
    for sign, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
        left = [pid for pid, started in pids.items() if _same(pid, started)]
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)
        until = time.monotonic() + wait
        while left and time.monotonic() < until:
            time.sleep(0.05)
            left = [pid for pid in left if _same(pid, pids[pid])]
        if not left:
            return


def _same(pid: int, started: int) -> bool:
    now = stat(pid)
    return now is not None and now.started == started and now.state != "Z"


class Registry:
    """`running.json`: what runs now, by name."""

    def __init__(self, home: Path) -> None:
        self.path = home / "running.json"

    def read(self) -> dict[str, dict[str, Any]]:
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def alive(self) -> dict[str, dict[str, Any]]:
        return {name: entry for name, entry in self.read().items() if _same(entry["pid"], entry["started"])}

    def add(self, name: str, pid: int, started: int, **more: Any) -> None:
        self._write(self.read() | {name: {"pid": pid, "started": started, **more}})

    def forget(self, name: str) -> None:
        self._write({n: entry for n, entry in self.read().items() if n != name})

    def _write(self, entries: dict[str, Any]) -> None:
        partial = self.path.with_suffix(".tmp")
        partial.write_text(json.dumps(entries, indent=1))
        partial.replace(self.path)

    def stop_all(self) -> list[str]:
        """Stops what an earlier command left running; the names of what was still there."""
        alive = self.alive()
        for name in sorted(alive, key=lambda n: n.startswith("kafka")):  # brokers last, as they outlive their clients
            mine = {pid: s.started for pid, s in _tree_of(alive[name]["pid"]).items()}
            with contextlib.suppress(ProcessLookupError):
                os.kill(alive[name]["pid"], signal.SIGTERM)
            _wait_gone(alive[name]["pid"], alive[name]["started"], 15)
            end(mine)
        if self.path.exists():
            self.path.unlink()
        return sorted(alive)


def _wait_gone(pid: int, started: int, seconds: float) -> None:
    until = time.monotonic() + seconds
    while _same(pid, started) and time.monotonic() < until:
        time.sleep(0.1)


def start(
    registry: Registry,
    name: str,
    command: Sequence[str],
    *,
    cores: Iterable[int],
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    user: int | None = None,
    outlives: bool = False,
) -> Process:
    """Starts a command pinned to cores, in a session of its own, its output in `log`.

    Unless it `outlives` us, the kernel ends it if we die: nothing is left running by a crash of ours.
    """
    if name in registry.alive():
        raise ProcessError(f"{name} is running already; `python -m lab down` stops what was left running")
    wrap = ["taskset", "-c", ",".join(map(str, sorted(set(cores))))]
    privileges = [] if outlives else ["--pdeathsig", "TERM"]
    privileges += [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user is not None else []
    wrap += ["setpriv", *privileges] if privileges else []
    for tool in ("taskset", "setpriv"):
        if shutil.which(tool) is None:
            raise ProcessError(f"{tool} is missing; install util-linux (the laboratory runs on Linux only)")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        popen = subprocess.Popen(
            [*wrap, *command], stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True, cwd=cwd,
            env={**os.environ, **(env or {})},
        )  # fmt: skip
    seen = stat(popen.pid)
    process = Process(name, popen, log, seen.started if seen else 0, registry)
    registry.add(name, process.pid, process.started, log=str(log))
    return process


def usage(roots: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """CPU seconds since start and resident bytes of each process's tree; one that is gone is left out.

    CPU of a child that has ended is lost with it: a pool of workers that comes and goes is undercounted.
    """
    stats = all_stats()
    found = {}
    for name, root in roots.items():
        mine = tree(root, stats)
        if mine:
            found[name] = {
                "cpu_seconds": sum(stats[p].cpu_seconds for p in mine),
                "rss_bytes": sum(stats[p].rss_bytes for p in mine),
            }
    return found
