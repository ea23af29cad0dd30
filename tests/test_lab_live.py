"""The laboratory itself, against the real systems: only where FLOODMARK_LIVE is set, since it takes minutes.

With Java 21 or newer at hand nothing here may skip; without, `python -m lab` itself says what is missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from lab import parts, processes
from lab.brokers import METRICS
from lab.search import HTTP

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not os.environ.get("FLOODMARK_LIVE"), reason="FLOODMARK_LIVE is not set")


def lab(*arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout)


def nothing_runs() -> bool:
    return processes.Registry(parts.lab_home()).alive() == {}


@pytest.mark.parametrize("product", ["opensearch", "elasticsearch"])
def test_two_hundred_records_come_through_and_nothing_is_left(product: str) -> None:
    done = lab("up", "--check", "--search", product)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "200 of 200 records visible" in done.stdout and "opensearch 3.8.0" in done.stdout
    assert nothing_runs()


def test_three_brokers_stay_up_until_they_are_put_down() -> None:
    try:
        done = lab("up", "--brokers", "3")
        assert done.returncode == 0, done.stdout + done.stderr
        again = lab("up")
        assert again.returncode == 1 and "running already; `python -m lab down` stops them" in again.stderr
        with urllib.request.urlopen(f"http://127.0.0.1:{HTTP}/_cluster/health", timeout=20) as answer:
            assert json.load(answer)["status"] == "green"
        for n in (1, 2, 3):
            with urllib.request.urlopen(f"http://127.0.0.1:{METRICS + n}/metrics", timeout=20) as answer:
                assert b"kafka_server_brokertopicmetrics_messagesin_total" in answer.read()
    finally:
        down = lab("down")
    assert down.stdout.strip() == "stopped kafka-1, kafka-2, kafka-3, search-0" and nothing_runs()


def test_an_interrupted_run_leaves_nothing_running() -> None:
    command = [sys.executable, "-m", "lab", "up", "--check"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    registry, until = processes.Registry(parts.lab_home()), time.monotonic() + 120
    while not registry.alive() and time.monotonic() < until:
        time.sleep(0.5)
    assert registry.alive()
    run.terminate()
    assert run.wait(90) == 143
    assert nothing_runs()
