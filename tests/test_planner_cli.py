"""The command: exit codes, streams, formats, and how it behaves in a pipe."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from planner.scenario import example_text, from_yaml

ROOT = Path(__file__).parent.parent
QUICK = """
name: quick
flows:
- workload: {rate: 200/s, size: 500 B}
  topic: {partitions: 2}
  query: {trigger: 2 s, max_offsets_per_trigger: 10k, sink: {kind: jvm-connector, ids: explicit}}
  index: {retention: 1 d}
run: {measure: 20, warm_up: 6, repeats: 2}
"""


def floodmark(*args: str, text: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as a shell runs it."""
    return subprocess.run(
        [sys.executable, "-m", "planner", *args], input=text, capture_output=True, text=True, cwd=ROOT, timeout=280,
        env=os.environ | {"COLUMNS": "100"} | env,
    )  # fmt: skip


@pytest.fixture(scope="module")
def told() -> subprocess.CompletedProcess[str]:
    return floodmark("forecast", "-", "--json", "--draws", "2", text=QUICK)


def test_the_version_is_the_projects() -> None:
    done = floodmark("--version")
    assert done.returncode == 0 and done.stdout.startswith("floodmark 0.")


def test_data_is_on_standard_output_and_all_else_is_not(told: subprocess.CompletedProcess[str]) -> None:
    assert told.returncode == 0 and told.stderr == ""
    assert json.loads(told.stdout)["scenario"]["name"] == "quick"


def test_a_broken_target_is_exit_3_and_still_an_answer() -> None:
    done = floodmark("forecast", "-", "--json", "--draws", "0", text=QUICK + "targets: {p99: 1 ms}\n")
    assert done.returncode == 3
    assert json.loads(done.stdout)["verdict"]["holds"] is False


def test_bad_input_is_exit_1_and_one_line() -> None:
    done = floodmark("forecast", "-", text=QUICK.replace("partitions: 2", "partitions: 0"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("floodmark: flows[0].topic.partitions = 0; expected 1 to 20k [count]")
    assert "(line 5)" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "line",
    ["forecast", "forecast a --bogus", "sing", "forecast a --seed x", "forecast a --seed -1", "schema poem",
     "forecast a --json --html", "forecast a --level fast"],
)  # fmt: skip
def test_wrong_usage_is_exit_2(line: str) -> None:
    done = floodmark(*line.split())
    assert (done.returncode, done.stdout) == (2, "") and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("forecast", "absent.yaml"), "no scenario file 'absent.yaml'"),
        (("check", "/"), "Is a directory"),
        (("forecast", "-", "--horizon", "9 parsecs"), "unit 'parsecs' is not known here"),
        (("forecast", "-", "--horizon", "40 d"), "--horizon '40 d'; expected more than 0 s and at most 6 h [s]"),
        (("forecast", "-", "-o", "a.docx"), "no format for '.docx'; expected .json, .html"),
        (("forecast", "-", "-o", "nowhere/a.json"), "no folder 'nowhere'"),
        (("init", "--example", "evnts"), "did you mean 'events'?"),
    ],
)
def test_what_cannot_be_done_is_said(args: tuple[str, ...], said: str) -> None:
    done = floodmark(*args, text=QUICK)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_init_writes_a_scenario_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    assert floodmark("init", "-o", str(path)).returncode == 0
    assert path.read_text() == example_text("events") and from_yaml(path.read_text()).name == "events"
    again = floodmark("init", "--example", "lab", "-o", str(path))
    assert again.returncode == 1 and "--force" in again.stderr
    assert floodmark("init", "--example", "lab", "-o", str(path), "--force").returncode == 0
    assert floodmark("init", "--example", "lab").stdout == path.read_text()


def test_check_tells_what_is_critical_by_its_exit() -> None:
    assert floodmark("check", "-", text=QUICK).returncode == 0
    worse = QUICK.replace("index: {retention: 1 d}", "index: {retention: 1 d, copies: 1}")
    done = floodmark("check", "-", "--json", text=worse)
    assert done.returncode == 3
    assert json.loads(done.stdout)["findings"][0]["code"] == "index-one-copy"


def test_every_format_of_a_forecast_is_written(tmp_path: Path) -> None:
    names = [tmp_path / f"a{suffix}" for suffix in (".json", ".html", ".csv", ".md", ".txt", ".yaml")]
    outputs = [arg for name in names for arg in ("-o", str(name))]
    done = floodmark("forecast", "-", "--draws", "0", *outputs, text=QUICK)
    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads(names[0].read_text())["schema_version"] == 1
    assert names[1].read_text().startswith("<!doctype html>")
    assert names[2].read_text().startswith("flow,answer,value")
    assert "# Forecast: quick" in names[3].read_text() and "latency" in names[4].read_text()
    assert from_yaml(names[5].read_text()).name == "quick"


def test_the_schemas_are_json() -> None:
    for of in ("scenario", "forecast"):
        assert json.loads(floodmark("schema", of).stdout)["$id"] == f"urn:floodmark:{of}:1"


def test_colours_are_for_terminals() -> None:
    assert "\x1b" not in floodmark("check", "-", text=QUICK).stdout
    assert "\x1b[36m" in floodmark("check", "-", text=QUICK, FORCE_COLOR="1").stdout  # cyan: info
    plain = floodmark("check", "-", text=QUICK, FORCE_COLOR="1", NO_COLOR="1").stdout
    assert "\x1b[3" not in plain  # bold and dim are no colours


def test_a_terminal_without_arrows_gets_text_all_the_same() -> None:
    automatic = QUICK.replace("jvm-connector, ids: explicit", "jvm-connector")
    done = floodmark("check", "-", text=automatic, PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "a task that is run again writes twice" in done.stdout


def test_a_closed_pipe_is_silent() -> None:
    command = [sys.executable, "-m", "planner", "glossary"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()  # before it has written: the pipe's buffer would take a short answer
        assert process.stderr.read() == b""
        assert process.wait() == 141


def test_an_interrupt_is_exit_130() -> None:
    command = [sys.executable, "-m", "planner", "forecast", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin is not None and process.stderr is not None
        time.sleep(1.5)  # it now waits for standard input
        process.send_signal(signal.SIGINT)
        assert b"Traceback" not in process.stderr.read()
        assert process.wait() == 130


def test_completion_is_offered() -> None:
    assert "--install-completion" in floodmark("--help").stdout


def test_warmup_leaves_standard_output_alone() -> None:
    done = floodmark("warmup")
    assert (done.returncode, done.stdout) == (0, "") and "kernels ready" in done.stderr
