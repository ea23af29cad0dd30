"""Heavy work in child processes: a question of the planner's each, with progress, that Cancel really ends.

A *job* is one question with its arguments, asked in a process of its own: `cancel` kills that process. Children are
forked from one that has everything imported and compiled (`dashboard.preload`), so a job starts in some hundredths of a
second. Only as many run at once as there are processors; the others wait. A job that nobody asks after for a while
(the browser is gone) is ended too.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import threading
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal

State = Literal["waiting", "running", "done", "refused", "failed", "cancelled"]
FORGOTTEN_SECONDS = 180.0  # a hidden browser tab asks once a minute
ENDED: tuple[State, ...] = ("done", "refused", "failed", "cancelled")


@dataclass
class Job:
    """One question under way. `question` is 'module:function' of the planner; `about` names it for the page."""

    question: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    about: str
    state: State = "waiting"
    text: str = "waiting for a processor"
    done: int = 0
    of: int = 0
    result: Any = None
    error: str = ""
    started: float = 0.0
    asked: float = field(default_factory=time.monotonic)
    process: Any = None
    pipe: Connection | None = None

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class Workers:
    """The children of one server."""

    def __init__(self, most: int | None = None) -> None:
        methods = multiprocessing.get_all_start_methods()
        self.context: Any = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
        if "forkserver" in methods:
            self.context.set_forkserver_preload(["dashboard.preload"])
        self.most = most or max(1, os.cpu_count() or 1)
        self.jobs: list[Job] = []
        self.lock = threading.RLock()
        threading.Thread(target=self._keep_house, daemon=True, name="ends forgotten jobs").start()

    def prepare(self) -> None:
        """Start the process that children are forked from, so that the first job need not wait for it."""
        self._start_process(os.getpid, ())

    def start(self, question: str, *arguments: Any, about: str = "", **options: Any) -> Job:
        """A new job; it runs as soon as a processor is free."""
        job = Job(question, arguments, options, about)
        with self.lock:
            self.jobs.append(job)
            self._start_waiting()
        return job

    def look(self, job: Job) -> Job:
        """The job as it stands now: its messages read, its end noticed, those that waited for it started."""
        with self.lock:
            job.asked = time.monotonic()
            self._read(job)
            self._start_waiting()
        return job

    def cancel(self, job: Job) -> None:
        """End the job's process, now."""
        with self.lock:
            if not job.ended:
                job.state, job.text = "cancelled", "cancelled"
                self._close(job)
            self._start_waiting()

    def running(self) -> int:
        return sum(job.state == "running" for job in self.jobs)

    def _start_waiting(self) -> None:
        self.jobs = [job for job in self.jobs if not job.ended]
        for job in self.jobs:
            self._read(job)
            if job.state == "waiting" and self.running() < self.most:
                ours, theirs = self.context.Pipe(duplex=False)
                job.pipe, job.state, job.text, job.started = ours, "running", "starting", time.monotonic()
                job.process = self._start_process(work, (theirs, job.question, job.arguments, job.options))
                theirs.close()

    def _start_process(self, target: Any, arguments: tuple[Any, ...]) -> Any:
        process = self.context.Process(target=target, args=arguments, daemon=True)
        process.start()
        return process

    def _read(self, job: Job) -> None:
        if job.state != "running" or job.pipe is None:
            return
        try:
            while job.pipe is not None and job.pipe.poll():
                self._take(job, *job.pipe.recv())
        except (EOFError, OSError):
            if not job.ended:
                job.process.join(1.0)
                job.state, job.error = "failed", f"the process ended by itself (exit {job.process.exitcode})"
                self._close(job)

    def _take(self, job: Job, kind: str, said: Any) -> None:
        if kind == "said":
            job.text, job.done, job.of = said
            return
        job.state = kind  # type: ignore[assignment]
        job.result, job.error = (said, "") if kind == "done" else (None, said)
        self._close(job)

    def _close(self, job: Job) -> None:
        if job.pipe is not None:
            job.pipe.close()
            job.pipe = None
        if job.process is not None:
            job.process.kill()
            job.process.join(5.0)

    def end_forgotten(self, after: float = FORGOTTEN_SECONDS) -> None:
        """End the jobs that nobody has asked after for so many seconds."""
        with self.lock:
            for job in [j for j in self.jobs if time.monotonic() - j.asked > after]:
                self.cancel(job)

    def _keep_house(self) -> None:
        while True:
            time.sleep(5.0)
            self.end_forgotten()


def work(pipe: Connection, question: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
    """What a child does: ask, say how far it is, hand back the answer or why there is none."""
    if hasattr(os, "nice"):
        os.nice(5)  # the page's own answers come first
    module, _, name = question.partition(":")

    def said(text: str, done: int, of: int) -> None:
        pipe.send(("said", (text, done, of)))

    try:
        answer = getattr(importlib.import_module(module), name)(*arguments, progress=said, **options)
        pipe.send(("done", answer))
    except ValueError as error:  # ScenarioError and CoefficientError: the house's own words
        pipe.send(("refused", str(error)))
    except BrokenPipeError:
        return
    except Exception:
        pipe.send(("failed", traceback.format_exc(limit=3)))
