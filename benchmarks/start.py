"""What a start of the command costs, stage by stage, and which simulations a forecast is made of: `make bench`.

Each figure is the least of several child processes, kernels and bytecode ready (`floodmark warmup`), as CPU time and as
wall time. Wall time is only the goal's on an idle core; CPU time hardly moves while others work.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from benchmarks.speed import Figure
from planner import engine
from planner.scenario import EXAMPLES, example, example_text
from simulator.trace import Trace

GOAL = "1.5 on an idle core"
STAGES = (
    ("python alone", ["-c", "pass"], ""),
    ("floodmark --version", ["-m", "planner", "--version"], ""),
    ("floodmark check events", ["-m", "planner", "check", "-", "--json"], ""),
    ("floodmark forecast lab, --json", ["-m", "planner", "forecast", "LAB", "--json"], GOAL),
    ("floodmark forecast events, as text", ["-m", "planner", "forecast", "-"], GOAL),
    ("floodmark forecast events, --json", ["-m", "planner", "forecast", "-", "--json"], GOAL),
)
LAB = str(EXAMPLES / "lab.yaml")


def stage(arguments: list[str], repeats: int) -> tuple[float, float]:
    """Least CPU and wall time of a child process [s]."""
    text = example_text("events").encode()
    command = [sys.executable, *(LAB if word == "LAB" else word for word in arguments)]
    cpu, wall = float("inf"), float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert child.stdin is not None
        child.stdin.write(text)
        child.stdin.close()
        _, _, used = os.wait4(child.pid, 0)
        child.returncode = 0  # it was waited for here
        wall = min(wall, time.perf_counter() - began)
        cpu = min(cpu, used.ru_utime + used.ru_stime)
    return cpu, wall


def simulations() -> Counter[str]:
    """The runs of a forecast of the events example, by the question that they answer."""
    from planner.forecast import forecast

    asked: Counter[str] = Counter()
    ordinary = engine._simulate

    def counted(scenario: Any, *args: Any, **options: Any) -> Trace:
        asked[_question(scenario, options)] += 1
        return ordinary(scenario, *args, **options)

    engine._simulate = counted
    try:
        forecast(example("events"))
    finally:
        engine._simulate = ordinary
    return asked


def _question(scenario: Any, options: dict[str, Any]) -> str:
    if options.get("outages"):
        return "time to catch up after the outage"
    if "rate_factor" in options:
        return "highest rate that is sustained"
    return "latency, lag and load"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    subprocess.run([sys.executable, "-m", "planner", "warmup"], check=True, stderr=subprocess.DEVNULL)
    figures = []
    for what, arguments, goal in STAGES:
        cpu, wall = stage(arguments, asked.repeats)
        figures += [Figure(f"{what}, warm", cpu, "CPU s"), Figure(f"{what}, warm", wall, "wall s", goal)]
    figures += [Figure(f"simulations of events: {what}", count, "") for what, count in simulations().items()]
    if asked.json:
        print(json.dumps([figure.__dict__ for figure in figures], indent=1))
    else:
        print("\n".join(figure.show() for figure in figures))


if __name__ == "__main__":
    main()
