"""Calibration refuses what tells nothing, names what to record, and writes a set that a forecast can read."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.backtest import divided, until
from calibration.fit_needs import refusals
from calibration.lab import LabRun, load_run
from calibration.observations import Counter
from models.coefficients import LAWS, load_set
from planner.calibrate_load import gather, machine_of
from planner.cli import app, register_all
from planner.refusal import ScenarioError

RESULTS = Path(__file__).parent.parent / "lab" / "results" / "2026-11-23-epyc-2core"
NAMES = ("fit-pipe-2s", "fit-pipe-2s-again")


@pytest.fixture(scope="module")
def pipes() -> list[LabRun]:
    return [load_run(RESULTS / name) for name in NAMES]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A results folder of two equal runs, to be spoilt."""
    for name in NAMES:
        shutil.copytree(RESULTS / name, tmp_path / "results" / name)
    shutil.copy(RESULTS / "machine.toml", tmp_path / "results" / "machine.toml")
    return tmp_path / "results"


def _rewrite(path: Path, keep: list[str]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write("\n".join(keep) + "\n")


def _lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines()


# ---------------------------------------------------------------- what cannot be fitted


def test_sound_recordings_are_not_refused(pipes: list[LabRun]) -> None:
    assert refusals(pipes) == []


def test_a_single_run_says_nothing_of_how_runs_differ(pipes: list[LabRun]) -> None:
    assert any("a single run" in line and "record the same load again" in line for line in refusals(pipes[:1]))


def test_a_constant_load_is_refused_with_the_rates_to_record(pipes: list[LabRun]) -> None:
    first = [until(run, run.start + 40) for run in pipes]
    assert [r.experiment.plan for r in first] == [((40.0, 200.0),)] * 2
    assert any("constant" in line and "two rates" in line for line in refusals(first))


def test_a_hole_in_the_samples_is_refused_with_its_length(copied: Path) -> None:
    path = copied / NAMES[0] / "procs.jsonl.gz"
    lines = _lines(path)
    start = load_run(copied / NAMES[0]).start
    _rewrite(path, [line for line in lines if not start + 30 < json.loads(line)["t"] < start + 75])
    with pytest.raises(ScenarioError, match=r"fit-pipe-2s: CPU of kafka-1 has a hole of \d+ s \(usually 5 s\)"):
        gather([copied])


def test_garbage_is_refused_by_file_and_line(copied: Path) -> None:
    path = copied / NAMES[0] / "progress.jsonl.gz"
    lines = _lines(path)
    _rewrite(path, [*lines[:5], "{not json", *lines[5:]])
    with pytest.raises(ScenarioError, match=r"cannot be read: progress.jsonl.gz, line 6: not JSON"):
        gather([copied])
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ScenarioError, match="gzip is cut short"):
        gather([copied])


def test_impossible_numbers_are_garbage_too(pipes: list[LabRun]) -> None:
    cpu = pipes[0].processes.cpu["spark"]
    for total, words in ((cpu.total * 1e5, "cores; expected seconds"), (np.full_like(cpu.total, 3.0), "never changes")):
        spoilt = {**pipes[0].processes.cpu, "spark": Counter("spark", cpu.t, total)}
        run = replace(pipes[0], processes=replace(pipes[0].processes, cpu=spoilt))
        assert any(words in line for line in refusals([run, pipes[1]])), words
    backwards = replace(pipes[0].batches[30], seconds=-1.0)
    run = replace(pipes[0], batches=(*pipes[0].batches[:30], backwards, *pipes[0].batches[31:]))
    assert any("StreamingQueryProgress" in line for line in refusals([run, pipes[1]]))


def test_tests_and_disturbed_runs_are_not_fitted(copied: Path) -> None:
    for name, change in (("test-x.1", {}), ("fit-y.1", {"disturbed": True}), ("fit-z.1", {"set": "test"})):
        shutil.copytree(copied / NAMES[0], copied / name)
        told = json.loads((copied / name / "experiment.json").read_text()) | {"name": name} | change
        (copied / name / "experiment.json").write_text(json.dumps(told))
    found = gather([copied])
    assert [run.name for run in found.runs] == list(NAMES)
    assert set(found.skipped) == {"test-x.1", "fit-y.1", "fit-z.1"}


def test_a_machine_without_a_speed_is_refused_and_a_type_will_do(copied: Path, pipes: list[LabRun]) -> None:
    text = (copied / "machine.toml").read_text().splitlines()
    kept = [line for line in text if not line.startswith("per_core_speed =")]
    (copied / "machine.toml").write_text("\n".join(kept))
    with pytest.raises(ScenarioError, match=r"per_core_speed is missing.*--machine m7a.large"):
        machine_of([copied], pipes, "", 0.0)
    assert machine_of([copied], pipes, "m7a.large", 0.0)["per_core_speed"] == pytest.approx(32161, rel=0.1)
    with pytest.raises(ScenarioError, match=r"did you mean|m7a\.large"):
        machine_of([copied], pipes, "m7a.lage", 0.0)
    with pytest.raises(ScenarioError, match=r"per_core_speed = 3\.0; expected CoreMark"):
        machine_of([copied], pipes, "", 3.0)


def test_a_plan_is_cut_where_it_is_told() -> None:
    assert divided(((40, 200), (40, 600)), 40) == (((40, 200),), ((40, 600),))
    assert divided(((40, 200),), 100) == (((40, 200),), ())


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def command() -> CliRunner:
    register_all()
    return CliRunner()


def test_a_calibration_is_written_told_and_readable(command: CliRunner, copied: Path) -> None:
    target = copied.parent / "mine.toml"
    asked = ["calibrate", str(copied), "--name", "mine", "-o", str(target), "--holdout", "0", "--json"]
    result = command.invoke(app, asked)
    assert result.exit_code in (0, 3), result.output
    told = json.loads(result.stdout)
    assert told["name"] == "mine" and told["anchored"] == (result.exit_code == 0)
    assert set(told["told"]) & set(told["left_at_prior"]) == set()
    assert set(told["told"]) | set(told["left_at_prior"]) == set(LAWS)
    assert all(block["condition"] <= 30 for block in told["blocks"].values())
    assert any("two rates" in why or "other" in why for why in told["left_at_prior"].values())
    fitted = load_set(str(target))
    for name, one in told["told"].items():
        assert fitted[name] == pytest.approx(one["value"], rel=1e-3) and one["low"] <= one["value"] <= one["high"], name
    page = (copied.parent / "mine-residuals.html").read_text(encoding="utf-8")
    assert "residual by size" in page and "fit-pipe-2s-again" in page
    again = command.invoke(app, asked)
    assert again.exit_code == 1 and "--force overwrites it" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--name", "x"], "nowhere: does not exist"),
        ([str(RESULTS), "--name", "a/b"], "expected letters, digits"),
        ([str(RESULTS), "--name", "x", "--holdout", "95%"], "expected 0 to 90 %"),
        ([str(RESULTS), "--name", "x", "-o", "x.yaml"], "expected a file ending in .toml"),
        ([str(RESULTS / "README.md"), "--name", "x"], "README.md"),
        (
            [str(RESULTS.parent / "2026-11-24-epyc-2core"), "--name", "x"],
            "not taken: test-pipe-burst.1: not named fit-",
        ),
    ],
)
def test_wrong_asks_are_told_in_a_sentence(command: CliRunner, arguments: list[str], words: str) -> None:
    result = command.invoke(app, ["calibrate", *arguments])
    assert result.exit_code in (1, 2) and words in result.stderr.replace("\n", " ").replace("│", "").replace("  ", " ")
    assert "Traceback" not in result.stderr
