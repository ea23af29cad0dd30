"""Work in child processes: it is said how far it is, it can be ended, and its failures are told."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dashboard import jobs
from dashboard.jobs import Job, Workers
from dashboard.shelf import Shelf

HERE = "tests.test_dashboard_jobs"


def slow(seconds: float, progress: Callable[[str, int, int], None]) -> int:
    """A question that takes its time and then tells the process it was answered in."""
    for k in range(10):
        progress("counting", k, 10)
        time.sleep(seconds / 10)
    return os.getpid()


def refused(progress: Any) -> None:
    raise ValueError("kafka.brokers = 0; expected 1 to 500 [count]")


def broken(progress: Any) -> None:
    raise KeyError("a defect")


def gone(progress: Any) -> None:
    os._exit(9)


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    """Two processors, and no kernels to warm: these questions need none."""
    made = Workers(most=2)
    if hasattr(made.context, "set_forkserver_preload"):
        made.context.set_forkserver_preload([])
    yield made
    for job in list(made.jobs):
        made.cancel(job)


def until(crew: Workers, job: Job, *states: str, seconds: float = 30.0) -> Job:
    end = time.monotonic() + seconds
    while crew.look(job).state not in states:
        assert time.monotonic() < end, f"still {job.state}: {job.text}"
        time.sleep(0.02)
    return job


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_job_says_how_far_it_is_and_hands_back_its_answer(crew: Workers) -> None:
    job = crew.start(f"{HERE}:slow", 0.5)
    seen = set()
    while not crew.look(job).ended:
        seen.add(job.done)
        time.sleep(0.02)
    assert job.state == "done" and job.result not in (os.getpid(), None)
    assert job.of == 10 and len(seen) >= 3


def test_cancel_ends_the_process(crew: Workers) -> None:
    job = crew.start(f"{HERE}:slow", 60.0)
    until(crew, job, "running")
    while job.text != "counting":
        crew.look(job)
        time.sleep(0.02)
    pid = job.process.pid
    assert alive(pid)
    crew.cancel(job)
    assert job.state == "cancelled" and not alive(pid)
    assert crew.look(job).state == "cancelled" and job.result is None


def test_more_jobs_than_processors_wait_their_turn(crew: Workers) -> None:
    first, second, third = (crew.start(f"{HERE}:slow", 60.0) for _ in range(3))
    assert [j.state for j in (first, second, third)] == ["running", "running", "waiting"]
    crew.cancel(first)
    assert third.state == "running"


def test_what_is_refused_is_told_in_our_words(crew: Workers) -> None:
    job = until(crew, crew.start(f"{HERE}:refused"), *jobs.ENDED)
    assert (job.state, job.error) == ("refused", "kafka.brokers = 0; expected 1 to 500 [count]")


def test_a_defect_and_a_death_are_told_apart(crew: Workers) -> None:
    defect = until(crew, crew.start(f"{HERE}:broken"), *jobs.ENDED)
    death = until(crew, crew.start(f"{HERE}:gone"), *jobs.ENDED)
    assert defect.state == death.state == "failed"
    assert "KeyError" in defect.error and "exit 9" in death.error


def test_a_job_that_nobody_asks_after_is_ended(crew: Workers, monkeypatch: pytest.MonkeyPatch) -> None:
    job = crew.start(f"{HERE}:slow", 60.0)
    until(crew, job, "running")
    pid = job.process.pid
    crew.end_forgotten(after=3600.0)
    assert alive(pid)
    time.sleep(0.05)
    crew.end_forgotten(after=0.01)
    assert not alive(pid) and job.state == "cancelled"


def test_the_shelf_keeps_what_was_asked_last() -> None:
    shelf, asked = Shelf(most=2), []

    def question(name: str) -> Callable[[], str]:
        return lambda: asked.append(name) or name  # type: ignore[func-returns-value]

    for name in ("a", "b", "a", "c", "a", "b"):
        assert shelf.ask(name, question(name)) == name
    assert asked == ["a", "b", "c", "b"], "a was asked again and again, so b went first"
