"""Drills and faults as a user meets them: words, tables, exit codes, and what the bad days do to a small stack."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from models.stack import Scenario
from planner import cli
from planner.drill import DrillResult, beyond_memory, drills, run_drills, together
from planner.drill_tell import as_csv, as_html, as_markdown, drill_table, row, summary
from planner.fault_spot import spot_faults
from planner.fault_words import with_faults
from planner.forecast import coefficients_of, run_seed
from planner.refusal import ScenarioError
from planner.scenario import load_scenario

SMALL = """
name: small
flows:
- workload: {rate: 500/s, size: 500 B}
  topic: {partitions: 6, copies: 3, min_insync: 2}
  query:
    trigger: 5 s
    sink: {kind: jvm-connector, refresh_per_write: false}
  index: {primaries: 3, copies: 2, retention: 1 h}
spark: {executors: 2, cores: 2, restart: {policy: supervisor, wait: 10 s, start: 20 s}}
targets: {catch_up: 10 min}
run: {measure: 60, warm_up: 20, repeats: 1}
"""
cli.register_all()


def small(**changed: object) -> Scenario:
    return load_scenario(SMALL).model_copy(update=changed)


@cache
def done(name: str) -> DrillResult:
    (result,) = run_drills(small(), [name])
    return result


def test_every_drill_is_a_fault_that_this_stack_can_have() -> None:
    for drill in drills(small()).values():
        assert drill.fault(30.0).at == 30.0, drill.name
        assert drill.meaning


def test_a_name_that_there_is_not_is_refused_with_the_nearest() -> None:
    with pytest.raises(ScenarioError, match="did you mean 'broker-lost'"):
        run_drills(small(), ["broker-los"])


def test_three_copies_and_a_supervisor_hold() -> None:
    for name in ("broker-lost", "driver-lost", "executor-lost", "data-node-lost"):
        result = done(name)
        assert result.holds, (name, result.why)
        assert result.lost_records == 0 and math.isfinite(result.green_seconds) and result.worst_seconds < 300


def test_a_query_that_nobody_restarts_does_not_hold() -> None:
    it = small()
    lone = it.model_copy(update={"spark": it.spark.model_copy(update={"restart": type(it.spark.restart)()})})
    (result,) = run_drills(lone, ["driver-lost"])
    assert not result.holds and "spark.restart.policy: none" in result.why
    assert math.isinf(result.worst_seconds)


def test_a_promise_of_catching_up_is_held_against_the_drill() -> None:
    it = small()
    hasty = it.model_copy(update={"targets": it.targets.model_copy(update={"catch_up": 1.0})})
    (result,) = run_drills(hasty, ["outage-spark"])
    assert not result.holds and "promised 1 s" in result.why


def test_the_backlog_beyond_memory_is_longer_than_the_page_cache_reaches() -> None:
    """Three m7g.large of 8 GiB, heap 6 GiB: 1 GiB of cache a broker at 500 x ~570 B x 3 copies / 3."""
    it = small()
    cache_seconds = 1024**3 / (500 * 571)
    assert beyond_memory(it) == pytest.approx(1.5 * cache_seconds, rel=0.05)


def test_under_several_dice_a_drill_holds_if_it_does_under_all_of_them() -> None:
    (several,) = run_drills(small(), ["data-node-lost"], runs=3)
    each = [run_drills(small(), ["data-node-lost"], seed=run_seed(1, n))[0] for n in range(3)]
    assert (several.runs, several.held) == (3, sum(one.holds for one in each))
    assert several.worst_seconds in {one.worst_seconds for one in each}
    assert several.green_seconds == max(one.green_seconds for one in each)
    told = several.spread["green_seconds"].sampling
    assert told is not None and told.low < told.high
    assert "to" in row(several)[5] and "each under 3 seeds" in summary([several])
    assert several.as_dict()["over_runs"]["green_seconds"]["sampling"] == [told.low, told.high]


def test_one_broken_run_breaks_the_drill_and_says_how_often() -> None:
    good = run_drills(small(), ["broker-lost"])[0]
    bad = replace(good, holds=False, held=0, why="made up")
    both = together(small(), coefficients_of(small()), [good, bad, good])
    assert not both.holds and both.held == 2
    assert both.why == "in 1 of 3 runs: made up"


def test_the_table_says_what_each_drill_did() -> None:
    results = [done("broker-lost"), done("driver-lost")]
    assert [cell[1] for cell in map(row, results)] == ["holds", "holds"]
    assert drill_table(results).row_count == 2 and summary(results) == "all 2 drills hold"
    page = as_markdown(small(), results)
    assert page.count("\n| ") == 3 and "## driver-lost" in page
    assert as_csv(results).splitlines()[0].startswith("drill,what,holds,why,worst_latency_seconds")
    page = as_html(small(), results)
    assert "driver-lost" in page and page.count("<h3>Shards in time</h3>") == 2


def test_the_command_writes_what_is_asked_and_exits_by_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    run = CliRunner().invoke(cli.app, ["drill", str(path), "driver-lost", "-o", str(tmp_path / "x.json")])
    assert run.exit_code == 0, run.output
    told = json.loads((tmp_path / "x.json").read_text())
    assert told["holds"] and told["drills"][0]["drill"] == "driver-lost"
    assert told["drills"][0]["faults"]["events"][0]["timeline"]
    path.write_text(SMALL.replace("policy: supervisor", "policy: none"))
    assert CliRunner().invoke(cli.app, ["drill", str(path), "driver-lost"]).exit_code == cli.TARGET_BROKEN
    assert CliRunner().invoke(cli.app, ["drill", str(path)]).exit_code == cli.WRONG_USAGE
    assert CliRunner().invoke(cli.app, ["drill", str(path), "drivr-lost"]).exit_code == cli.WRONG_INPUT
    listed = CliRunner().invoke(cli.app, ["drill", str(path), "--list"])
    assert listed.exit_code == 0 and "checkpoint-slow" in listed.output


def test_a_fault_on_the_command_line_lengthens_the_window_unless_it_is_given() -> None:
    it = with_faults(small(), ["broker-lost at 5 min for 2 min"])
    assert it.run.warm_up + it.run.measure == pytest.approx(420 + 300)
    with pytest.raises(ScenarioError, match=r"lengthen run\.measure"):
        with_faults(small(), ["broker-lost at 5 min for 2 min"], stretch=False)
    with pytest.raises(ScenarioError, match="did you mean 'broker-lost'"):
        with_faults(small(), ["broker-lots at 5 min for 2 min"])
    with pytest.raises(ScenarioError, match="there are 3 brokers"):
        with_faults(small(), ["broker-lost 7 at 5 min for 2 min"])


def test_a_forecast_tells_what_its_faults_did(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    words = ["--fault", "driver-lost at 40 s", "--draws", "0", "--json"]
    run = CliRunner().invoke(cli.app, ["forecast", str(path), *words])
    told = json.loads(run.stdout)
    (event,) = told["faults"]["events"]
    assert event["kind"] == "driver-lost" and event["downtime_seconds"] == pytest.approx(30.0)
    assert told["faults"]["restarts"] == 1 and told["faults"]["alive"]
    assert 30 < event["green_after_seconds"] < 200
    assert told["scenario"]["faults"][0]["at"] == 40.0
    files = ["-o", str(tmp_path / "x.html"), "-o", str(tmp_path / "x.md"), "-o", str(tmp_path / "x.txt")]
    assert CliRunner().invoke(cli.app, ["forecast", str(path), *words[:4], *files]).exit_code in (0, 3)
    for name in ("x.html", "x.md", "x.txt"):
        assert "the query died: the driver died" in (tmp_path / name).read_text(), name


def test_a_scenario_takes_faults_as_sentences_and_gives_its_line() -> None:
    it = load_scenario(SMALL + "faults: [broker-lost 1 at 30 s for 20 s, {kind: burst, at: 25, duration: 5}]\n")
    assert [fault.kind for fault in it.faults] == ["broker-lost", "burst"]
    with pytest.raises(ScenarioError, match=r"did you mean 'burst'.*line"):
        load_scenario(SMALL + "faults:\n- brst at 30 s for 20 s\n")


def test_spot_executors_are_taken_back_at_their_band_s_rate() -> None:
    """Ten executors at half a loss a month each, over six hours: 10 x 0.5 x 6 / 730 on the mean of many seeds."""
    it = small()
    run = it.run.model_copy(update={"measure": 6 * 3600.0, "warm_up": 0.0})
    money = it.money.model_copy(update={"spot_share": 1.0, "spot_interruptions": 0.5})
    it = small(run=run, money=money, spark=it.spark.model_copy(update={"executors": 10}))
    counts = [len(spot_faults(it, seed)) for seed in range(4000)]
    expected = 10 * 0.5 * 6 / 730
    assert sum(counts) / 4000 == pytest.approx(expected, abs=4 * math.sqrt(expected / 4000))
    assert spot_faults(it.model_copy(update={"money": small().money}), 1) == ()


def test_a_spot_interruption_costs_no_attempt_and_is_replaced() -> None:
    result = done("spot-interrupted")
    assert result.holds and result.answers.results[0].noticed == result.answers.results[0].fault.at
