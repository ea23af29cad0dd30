"""Disturbances: what is done to the stack in the middle of a run, at times fixed beforehand.

Each is a pair of acts, the harm and its end. `events.json` tells when each was really done, and when a
job failed by itself and was started anew.
"""

from __future__ import annotations

import heapq
import itertools
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lab.search import INDEX, Client


class Disturber:
    """Acts when their time has come; `turn` is called often by the run's loop and returns at once if none is due."""

    def __init__(self, disturbances: Sequence[Mapping[str, Any]], stack: Any, note: Callable[..., None]) -> None:
        self.stack, self.note = stack, note
        self.order = itertools.count()
        self.due: list[tuple[float, int, Callable[[], None]]] = []
        self.job_down = False
        self.waiting = [dict(d) for d in disturbances]

    def begin(self, t0: float) -> None:
        """`at_s` counts from the plan's first due time."""
        for d in self.waiting:
            self.later(t0 + d["at_s"], getattr(self, d["kind"]), d)

    def later(self, at: float, act: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self.due, (at, next(self.order), lambda: act(*arguments)))

    def turn(self) -> None:
        while self.due and self.due[0][0] <= time.time():
            heapq.heappop(self.due)[2]()

    @property
    def over(self) -> bool:
        return not self.due

    def broker_kill(self, d: Mapping[str, Any]) -> None:
        self.note("broker_killed", broker=d["broker"])
        self.stack.brokers.running.pop(d["broker"]).kill()
        self.later(time.time() + d["restart_after_s"], self.broker_start, d["broker"])

    def broker_start(self, broker: int) -> None:
        self.stack.brokers.start_one(broker)
        self.note("broker_restarted", broker=broker)

    def job_stop(self, d: Mapping[str, Any]) -> None:
        self.job_down = True
        self.note("job_stopped", how=d["how"])
        self.stack.job.stop(signal.SIGKILL if d["how"] == "kill" else signal.SIGTERM)
        self.later(time.time() + d["restart_after_s"], self.job_start)

    def job_start(self) -> None:
        self.stack.job.start()
        self.job_down = False
        self.note("job_restarted")

    def watch_job(self, restart_s: float) -> None:
        """Starts a job anew that failed by itself, after `restart_s`."""
        why = None if self.job_down or self.stack.job is None else self.stack.job.failed()
        if why is not None:
            self.job_down = True
            self.note("job_failed", why=why)
            self.stack.job.stop()
            self.later(time.time() + restart_s, self.job_start)

    def search_kill(self, d: Mapping[str, Any]) -> None:
        self.note("node_killed", node=d["node"])
        self.stack.servers.running.pop(d["node"]).kill()
        self.later(time.time() + d["restart_after_s"], self.search_start, d["node"])

    def search_start(self, node: int) -> None:
        self.stack.servers.start_one(node)
        self.note("node_restarted", node=node)

    def index_block(self, d: Mapping[str, Any]) -> None:
        self.set_block(d["block"], True)
        self.note("index_blocked", block=d["block"])
        self.later(time.time() + d["for_s"], self.index_unblock, d["block"])

    def index_unblock(self, block: str) -> None:
        self.set_block(block, None)
        self.note("index_unblocked", block=block)

    def set_block(self, block: str, value: bool | None) -> None:
        client = Client(timeout=30)
        client.json("PUT", f"/{INDEX}/_settings", {"index.blocks": {block: value}})
        client.close()
