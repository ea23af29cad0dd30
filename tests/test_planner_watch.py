"""A watch names the law that stopped being true, and is quiet where nothing moved."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibration.watch import Drift
from models.coefficients import load_set
from planner.cli import app, register_all
from planner.watch import QuantityDrift, Watch

RESULTS = Path(__file__).parent.parent / "lab" / "results" / "2026-11-23-epyc-2core"


@pytest.fixture(scope="module")
def command() -> CliRunner:
    register_all()
    return CliRunner()


def test_the_runs_a_set_was_made_from_do_not_drift(command: CliRunner) -> None:
    """Both of two equal runs, which differ by 17 %: the slower alone has a driver a fifth dearer than the set says."""
    runs = [str(RESULTS / name) for name in ("fit-pipe-2s", "fit-pipe-2s-again")]
    result = command.invoke(app, ["watch", *runs, "--set", "lab-2026-11-23", "--json"])
    told = json.loads(result.stdout)
    assert result.exit_code == 0, told
    assert {law["law"] for law in told["laws"]} >= {"a batch's tasks", "a data node's CPU", "a broker's CPU"}
    assert not any(law["broken"] for law in told["laws"]) and told["advice"].startswith(
        ("no drift", "calibrate again in")
    )


def test_a_sink_that_became_dearer_is_named(command: CliRunner, tmp_path: Path) -> None:
    """The same recording against a set in which Python tasks cost a third of what they did."""
    text = Path("models/data/lab-2026-11-23.toml")
    text = (RESULTS.parents[2] / text).read_text(encoding="utf-8")
    lines, inside = [], False
    for line in text.splitlines():
        inside = line.startswith("[coefficients.spark.python_task") if line.startswith("[") else inside
        if inside and line.split(" ")[0] in ("value", "low", "high"):
            line = f"{line.split(' ')[0]} = {float(line.split('=')[1]) / 4:.4g}"
        lines.append(line)
    cheap = tmp_path / "cheap.toml"
    cheap.write_text("\n".join(lines).replace('name = "lab-2026-11-23"', 'name = "cheap"'), encoding="utf-8")
    result = command.invoke(app, ["watch", str(RESULTS / "fit-pipe-2s-again"), "--set", str(cheap)])
    assert result.exit_code == 3
    assert "a batch's tasks" in result.stdout and "no longer true" in result.stdout and "again now" in result.stdout


def test_a_pace_says_when_to_calibrate_again() -> None:
    c = replace(load_set("lab-2026-11-23"), as_of="2026-11-01")
    slow = Drift("a batch's tasks", ("x",), 1.10, 1.05, 1.15, 50)
    seen = Watch(c, ("r",), date(2026, 11, 11), [], [slow], {}, 0.20)
    assert not seen.drifted
    assert seen.calibrate_in_days == pytest.approx(10 * 1.913 - 10, rel=0.01)  # ln 1.2 / ln 1.1 = 1.913 of the age
    still = replace(seen, laws=[replace(slow, low=0.99)])
    assert still.calibrate_in_days is None and "no drift" in still.advice()


def test_a_quantity_drifts_when_most_of_it_lies_outside_and_far() -> None:
    assert QuantityDrift("x", -0.4, 3, 4, 0.2).drifted
    assert not QuantityDrift("x", -0.4, 1, 4, 0.2).drifted
    assert not QuantityDrift("x", -0.1, 4, 4, 0.2).drifted


def test_nothing_to_watch_is_said(command: CliRunner, tmp_path: Path) -> None:
    result = command.invoke(app, ["watch", str(tmp_path / "none"), "--set", "lab-2026-11-23"])
    assert result.exit_code == 1 and "does not exist" in result.stderr


@pytest.mark.parametrize("pause", ["0.1 s", "soon", "8 d"])
def test_a_pause_that_is_none_is_refused(command: CliRunner, pause: str) -> None:
    asked = ["watch", str(RESULTS / "fit-pipe-2s"), "--set", "lab-2026-11-23", "--every", pause]
    result = command.invoke(app, asked)
    assert result.exit_code == 2 and "--every" in result.stderr
