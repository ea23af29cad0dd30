"""Stacks beside each other: paired differences, the gate, the comment, and sweeps that are the same however spread."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from models.stack import Scenario
from planner import cli, fault_spot, yaml_text
from planner.compare import compare, compared
from planner.compare_tell import LONGEST, MARKER, as_csv, as_json, as_markdown
from planner.forecast import forecast
from planner.refusal import ScenarioError
from planner.scenario import load_scenario, to_yaml
from planner.sweep import axis, swept, with_values

BASE = """
name: base
flows:
- name: events
  workload: {rate: 1000/s, size: 1 kB}
  topic: {partitions: 6}
  query:
    trigger: 4 s
    state: {shuffle_partitions: 100}
    sink: {kind: jvm-connector}
  index: {primaries: 3}
targets: {p99: 10 s}
run: {measure: 40, warm_up: 12, repeats: 2}
"""
Q = "flows[0].query."


def scenario(**changed: object) -> Scenario:
    data, _ = yaml_text.parse(BASE)
    return load_scenario(data | changed)


@pytest.fixture(scope="module")
def leaner():
    return compare(
        [scenario(), with_values(scenario(name="leaner"), {Q + "state.shuffle_partitions": 8})], draws_of_coefficients=4
    )[0]


def test_the_same_stack_twice_differs_in_nothing() -> None:
    one = compare([scenario(), scenario(name="again")], draws_of_coefficients=2)[0]
    assert all(row.change == 0 for row in one.moved), [row for row in one.moved if row.change]
    assert not one.lines and not one.came and not one.went
    assert one.moved[0].difference.low == one.moved[0].difference.high == 0


def test_paired_intervals_are_narrower_than_two_values_would_suggest(leaner) -> None:
    batch = next(row for row in leaner.moved if row.name == "batch")
    assert batch.change < 0 and batch.difference.high < 0 and batch.share == 1.0
    spread = [
        np.std(
            [t.flows["events"].batches["finished"][-1] - t.flows["events"].batches["started"][-1] for t in out.drawn]
        )
        for out in (leaner.before, leaner.after)
    ]
    assert batch.difference.high - batch.difference.low < 2 * 1.645 * np.hypot(*spread) * 1.5


def test_money_is_compared_line_by_line_with_its_interval(leaner) -> None:
    cost = leaner.cost
    assert cost.change < 0 and cost.difference.low <= cost.change <= cost.difference.high
    assert any("checkpoints" in line.name for line in leaner.lines)
    assert sum(line.change for line in leaner.lines) == pytest.approx(cost.change, abs=0.5)


def test_other_dice_are_told_apart() -> None:
    one, other = (
        forecast(scenario(), draws_of_coefficients=0, seed=1),
        forecast(scenario(), draws_of_coefficients=0, seed=2),
    )
    assert not compared(one, other).paired and compared(one, one).paired


def test_a_comment_carries_its_marker_and_stays_within_what_a_host_takes(leaner) -> None:
    text = as_markdown([leaner])
    assert text.startswith(MARKER) and "monthly cost" in text and "paired" in text
    hostile = with_values(scenario(), {"name": "a | <img src=x> b" + "x" * 200})
    other = compared(leaner.before, forecast(hostile, draws_of_coefficients=4))
    many = as_markdown([other] * 200)
    assert len(many) <= LONGEST and "<img" not in many and "Cut at" in many


def test_json_and_csv_hold_every_quantity(leaner) -> None:
    told = json.loads(as_json([leaner]))["comparisons"][0]
    assert {row["name"] for row in told["moved"]} == {row.name for row in leaner.moved}
    assert len(as_csv([leaner]).splitlines()) == 1 + len(leaner.moved) + len(leaner.lines)


def write(path: Path, it: Scenario) -> str:
    path.write_text(to_yaml(it), encoding="utf-8")
    return str(path)


def run(*arguments: str):
    if not any(command.name == "compare" for command in cli.app.registered_commands):
        cli.register_all()
    return CliRunner().invoke(cli.app, list(arguments))


def test_the_gate_refuses_a_bill_that_grows_and_lets_one_that_shrinks(tmp_path: Path) -> None:
    small = write(tmp_path / "a.yaml", scenario())
    large = write(tmp_path / "b.yaml", with_values(scenario(name="large"), {"elasticsearch.data_nodes": 6}))
    comment = tmp_path / "c.md"
    refused = run("compare", small, large, "--draws", "0", "--max-increase", "5%", "-o", str(comment))
    assert refused.exit_code == 3 and "allows 5.0%" in refused.stderr and comment.read_text().startswith(MARKER)
    assert run("compare", large, small, "--draws", "0", "--max-increase", "0", "-o", str(comment)).exit_code == 0
    assert run("compare", small, "--draws", "0").exit_code == 2
    assert run("compare", small, large, "--max-increase", "much").exit_code == 2


def test_the_shipped_workflow_is_yaml_and_calls_what_there_is() -> None:
    flow = yaml.safe_load((Path(__file__).parent.parent / "docs" / "github" / "floodmark-compare.yml").read_text())
    steps = flow["jobs"]["compare"]["steps"]
    told = next(step["run"] for step in steps if step.get("id") == "compare")
    assert "--max-increase" in told and MARKER in next(s["run"] for s in steps if "gh api" in s.get("run", ""))


# ---------------------------------------------------------------- sweeps

AXES = {Q + "trigger": ["2 s", "4 s"], "spark.executors": [1, 0, 2]}


def test_a_sweep_answers_every_cell_and_says_why_one_is_no_stack() -> None:
    cells = swept(scenario(), AXES)
    assert [tuple(cell.values.values()) for cell in cells][:3] == [("2 s", 1), ("2 s", 0), ("2 s", 2)]
    assert [bool(cell.refused) for cell in cells] == [False, True, False] * 2
    assert "spark.executors = 0" in cells[1].refused
    plain = forecast(with_values(scenario(), {Q + "trigger": "2 s", "spark.executors": 2}), draws_of_coefficients=0)
    assert cells[2].answers["monthly_usd"] == pytest.approx(float(plain.bill.monthly_usd), rel=1e-3)


def test_a_sweep_is_the_same_over_processes_and_goes_on_from_its_folder(tmp_path: Path) -> None:
    axes = {"spark.executors": [1, 2]}
    alone = swept(scenario(), axes)
    assert swept(scenario(), axes, workers=2, folder=tmp_path) == alone
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")}
    assert len(kept) == 4 and swept(scenario(), axes, folder=tmp_path) == alone
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.json")} == kept


def test_a_sweep_sees_the_interruptions_that_a_forecast_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spot executors, taken back many times a minute: p99 of a cell is the forecast's, not the calm one."""
    monkeypatch.setattr(fault_spot, "interruptions_per_month", lambda _: 60_000.0)
    run = scenario().run.model_copy(update={"measure": 300.0, "repeats": 2})  # a notice of two minutes comes first
    plain = scenario().model_copy(update={"run": run})
    stack = plain.model_copy(update={"money": plain.money.model_copy(update={"spot_share": 1.0})})
    (cell,), (calm,) = (swept(it, {Q + "trigger": ["2 s"]}) for it in (stack, plain))
    told = forecast(with_values(stack, {Q + "trigger": "2 s"}), draws_of_coefficients=0)
    assert cell.answers["p99_seconds"] > 1.05 * float(calm.answers["p99_seconds"])
    runs = [trace.flows[told.worst.name].latency.quantile(0.99) for trace in told.traces]
    assert cell.answers["p99_seconds"] == pytest.approx(sum(runs) / len(runs), rel=1e-9)


@pytest.mark.filterwarnings("ignore")  # of Dask's own
def test_a_sweep_is_the_same_over_a_dask_cluster() -> None:
    distributed = pytest.importorskip("distributed")
    axes = {"spark.executors": [1, 2]}
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None, scheduler_port=0
    ) as cluster:
        assert swept(scenario(), axes, dask=cluster.scheduler_address) == swept(scenario(), axes)


@pytest.mark.parametrize(
    ("setting", "refusal"),
    [("spark.executors", "expected path=value"), ("=3", "expected path=value"), ("a=[", "cannot read")],
)
def test_settings_that_cannot_be_read_are_refused(setting: str, refusal: str) -> None:
    with pytest.raises(ScenarioError, match=refusal):
        axis(setting)


@pytest.mark.parametrize(
    ("path", "refusal"), [("spark.executers", "did you mean 'executors'"), ("flows[3].name", "no such place")]
)
def test_paths_that_are_no_field_are_refused_with_the_nearest(path: str, refusal: str) -> None:
    with pytest.raises(ScenarioError, match=refusal):
        swept(scenario(), {path: [1]})
