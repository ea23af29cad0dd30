"""What the tests against real servers share: when they run, and the command as a user gives it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import java
from lab.experiment import Experiment
from lab.record import Writer
from lab.run import Run
from lab.stack import Stack, kit

ROOT = Path(__file__).parent.parent
LIVE = [
    pytest.mark.skipif(not os.environ.get("FLOODMARK_LIVE"), reason="FLOODMARK_LIVE is not set (make test-live)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not any(one.major >= 21 for one in java.find()), reason=f"no Java 21 or newer; {java.HOW}"),
]


def floodmark(
    *arguments: str, timeout: float = 180, code: int | None = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a user gives it; `code` is the exit code expected, None where 0 and 3 are both answers."""
    command = [sys.executable, "-m", "planner", *arguments]
    more = {**os.environ, **(env or {})}
    done = subprocess.run(
        command, cwd=ROOT, env=more, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    assert done.returncode in ((0, 3) if code is None else (code,)), done.stdout[-2000:] + done.stderr[-4000:]
    return done


def wait(done: Callable[[], object], seconds: float, what: str) -> None:
    """Until it is so; fails after so many seconds."""
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, f"{what}: not within {seconds:g} s"
        time.sleep(0.25)


@contextlib.contextmanager
def stack_at_work(
    experiment: Experiment, folder: Path, seconds: float
) -> Iterator[tuple[Stack, Callable[[int], None]]]:
    """An experiment's stack with its job and its sampler, for so many seconds at most, and what begins its load: that
    waits until so many documents can be found. The load is stopped in its middle at the end."""
    with Stack(kit(), experiment) as stack:
        run = Run(stack, Writer(folder), time.time() + seconds)
        stack.start()
        stack.start_job()

        def send() -> None:
            with contextlib.suppress(Exception):
                run.send(experiment.load.plan, "")

        thread = threading.Thread(target=send, daemon=True)

        def begin(documents: int) -> None:
            thread.start()
            wait(lambda: sum(n for n, _ in run.sampler.seen.values()) > documents, 120, "documents in the index")

        try:
            ports = stack.servers.ports if stack.servers else ()
            run.sampler.start(stack.brokers, ports, experiment.kafka.partitions)
            yield stack, begin
        finally:
            run.sampler.abandon()
            if stack.load is not None:
                stack.load.stop()
            if thread.is_alive():
                thread.join(30)
