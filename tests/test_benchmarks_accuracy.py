"""What the accuracy page says follows from recordings and published rows, and its statistics are the measured ones."""

from __future__ import annotations

import doctest
import importlib
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import (
    closed_loop,
    everything,
    folds,
    goals,
    identities,
    kafka_rows,
    lab_scores,
    machines,
    page,
    plots,
    scorings,
    search_rows,
)
from benchmarks.accuracy.__main__ import main
from benchmarks.accuracy.published import DATA, row, table
from calibration.lab import LabRun, Step, measured
from models.coefficients import load_set
from planner import backtest_baselines as baselines
from planner import backtest_forecast, backtest_scenario, backtest_values
from planner.backtest import scored
from planner.backtest_run import fitted_names
from planner.backtest_score import Score, middle, summarise
from simulator.run import simulate
from simulator.trace import Histogram

MODULES = ("planner.backtest_overload",
           "benchmarks.accuracy.identities", "benchmarks.accuracy.machines", "benchmarks.accuracy.plots",
           "planner.backtest_baselines", "planner.backtest_tell", "planner.backtest_forecast",
           "calibration.backtest", "calibration.noise", "calibration.lab", "calibration.spark")  # fmt: skip
EIGHT, PIPE, AGAIN = "fit-pipe-8-partitions-4s", "fit-pipe-2s", "fit-pipe-2s-again"


@pytest.fixture(scope="module")
def runs() -> dict[str, LabRun]:
    return {run.name: run for run in lab_scores.recorded()}


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_words_hold(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0 and result.failed == 0


# ---------------------------------------------------------------- the recorded run as a scenario


@pytest.mark.parametrize("name", [PIPE, EIGHT, "fit-noop-2s", "fit-noop-agg"])
def test_the_scenario_offers_what_was_sent(runs: dict[str, LabRun], name: str) -> None:
    run = runs[name]
    scenario = backtest_scenario.scenario_of(run)
    steps = scenario.flows[0].workload.steps
    assert sum(seconds * rate for seconds, rate in steps) == pytest.approx(run.sent(), rel=1e-9)
    assert scenario.run.warm_up + backtest_scenario.zero_of(run) == pytest.approx(run.start)
    assert backtest_scenario.zero_of(run) % run.experiment.trigger_seconds == pytest.approx(0.0, abs=1e-6)


def test_a_run_without_index_had_no_data_node_beside_its_broker(runs: dict[str, LabRun]) -> None:
    assert backtest_scenario.scenario_of(runs["fit-noop-2s"]).elasticsearch.hosts == (backtest_scenario.NO_HOST,)
    assert backtest_scenario.scenario_of(runs[PIPE]).elasticsearch.hosts == (backtest_scenario.SEARCH_HOST,)


def test_the_poll_adds_half_its_spacing_to_every_latency() -> None:
    exact = Histogram(np.array([0.999, 1.0]), np.array([0.0, 100.0]), 0.0, 1.0)
    poller = backtest_forecast.Poller(spacing=0.2, response=0.02)
    assert poller.quantile(exact, 0.5) == pytest.approx(1.0 + 0.1 + 0.01, abs=2e-3)
    assert poller.quantile(exact, 0.99) == pytest.approx(1.0 + 0.198 + 0.01, abs=3e-3)


def test_hops_seen_add_up_to_the_latency_seen(runs: dict[str, LabRun]) -> None:
    whole = measured(runs[PIPE]).latency
    assert whole is not None
    assert sum(v.value for v in backtest_values.hops_seen(runs[PIPE])) == pytest.approx(whole.mean_seconds, rel=1e-9)


def test_records_wait_half_a_trigger_for_it(runs: dict[str, LabRun]) -> None:
    """Theory and measurement agree on the one hop that configuration alone gives."""
    for name in (PIPE, AGAIN, EIGHT):
        wait = backtest_values.hops_seen(runs[name])[0].value
        assert wait == pytest.approx(runs[name].experiment.trigger_seconds / 2, rel=0.01)


def test_forecast_and_measurement_speak_of_the_same_batches(runs: dict[str, LabRun]) -> None:
    """A simulated run's batches, read as recorded ones, tile its offsets and cover what was sent."""
    run = runs[PIPE]
    trace = simulate(backtest_scenario.scenario_of(run), load_set(lab_scores.SET), seed=3)
    batches = backtest_forecast.batches_of(run, trace)
    assert all(b.start_offsets is not None for b in batches)
    assert [b.start_offsets[0] for b in batches[1:]] == [b.end_offsets[0] for b in batches[:-1]]
    assert batches[-1].end_offsets[0] == pytest.approx(run.sent(), abs=2 * run.experiment.partitions)


# ---------------------------------------------------------------- left out, and what must be beaten


@pytest.fixture(scope="module")
def without_eight(runs: dict[str, LabRun], tmp_path_factory: pytest.TempPathFactory) -> folds.Fold:
    return folds.fold(list(runs.values()), (EIGHT,), lab_scores.machine(), tmp_path_factory.mktemp("fold"))


def test_equal_runs_leave_together(runs: dict[str, LabRun]) -> None:
    groups = folds.groups(list(runs.values()))
    assert (PIPE, AGAIN) in groups and (EIGHT,) in groups


def test_a_fold_does_not_know_what_was_left_out(without_eight: folds.Fold) -> None:
    domain = without_eight.coefficients.domain
    assert domain["partitions"] == (4, 4) and domain["record_bytes"] == (500, 800)  # 500: the producer alone
    assert "sink.python_bulk_cpu_seconds" in without_eight.leaks  # with one bulk a task, tasks and bulks are one


def test_eight_partitions_are_forecast_from_four_where_a_line_is_not(
    runs: dict[str, LabRun], without_eight: folds.Fold
) -> None:
    """Tasks are dear: a batch of as many records takes twice as long on eight partitions. A line through records on
    four partitions misses that by two fifths; laws with a cost per task do not."""
    run = runs[EIGHT]
    others = [r for r in runs.values() if r.name != EIGHT]
    scores = scored(run, without_eight.coefficients, list(runs.values()), others, (1, 2)).scores
    first = next(s for s in scores if s.part == "300/s" and s.quantity == "batch time, median")
    assert abs(first.error) < 0.25
    assert first.error_of(first.ten_lines) < -0.35
    assert abs(next(s for s in scores if s.part == "all" and s.quantity == "latency p50").error) < 0.15


def test_the_line_is_fitted_on_other_runs_only(runs: dict[str, LabRun]) -> None:
    run, others = runs[EIGHT], [r for r in runs.values() if r.name != EIGHT]
    key = ("300/s", "batch time, median")
    line = baselines.line([runs[PIPE], runs[AGAIN]])
    assert line is not None
    assert baselines.ten_lines(run, others)[key].value == pytest.approx(line[0] + line[1] * 300 * 4)
    assert baselines.ten_lines(run, list(runs.values()))[key].value != baselines.ten_lines(run, others)[key].value
    assert baselines.ten_lines(runs["fit-noop-agg"], [run]) == {}  # a line through bulks says nothing of state


def test_nothing_was_seen_before_the_first_step(runs: dict[str, LabRun]) -> None:
    every = list(runs.values())
    last = baselines.last_values(runs[PIPE], every)
    assert {part for part, _ in last} == {"600/s", "1000/s"}
    assert (
        last["600/s", "batch time, median"].value
        == backtest_values.seen(runs[PIPE])["200/s", "batch time, median"].value
    )
    assert ("200/s", "batch time, median") in baselines.last_values(runs[AGAIN], every)


def test_errors_without_constants_are_larger() -> None:
    score = Score("run", "all", "latency p50", "s", forecast=2.2, measured=2.0, constant=1.5)
    assert score.error == pytest.approx(0.1) and score.bare_error == pytest.approx(0.4)
    [row_] = summarise([score, Score("run", "1/s", "latency p50", "s", 1.8, 2.0, 1.5)])
    assert row_.median == pytest.approx(0.1) and row_.bias == pytest.approx(0.0) and row_.bare == pytest.approx(0.4)
    assert np.isnan(middle([]))


# ---------------------------------------------------------------- published rows


def test_the_rows_are_those_of_the_fact_sheets(facts: Path) -> None:
    for path in DATA.glob("*.csv"):
        ours = path.read_text(encoding="utf-8").splitlines()
        theirs = (facts / "benchmarks" / path.name).read_text(encoding="utf-8").splitlines()
        assert ours[0] == theirs[0] and set(ours) <= set(theirs), path.name


def test_saturated_producers_wait_as_little_says() -> None:
    rows = identities.buffer_law()
    assert len(rows) == 6 and all(abs(r.error) < 0.02 for r in rows)


def test_a_query_without_trigger_waits_one_to_two_of_its_batches() -> None:
    rows = [r for r in identities.asap_latency() if not r.name.endswith("p99")]
    assert len(rows) == 6 and all(abs(r.error) < 0.05 for r in rows)


def test_bulk_clients_beyond_those_fitted_are_forecast_within_a_tenth() -> None:
    rows = search_rows.bulk_law()
    assert len(rows) == 4 and all(r.role == "test" and abs(r.error) < 0.10 for r in rows)


def test_what_nine_replicas_cost_tells_what_one_costs() -> None:
    assert all(abs(r.error) < 0.20 for r in search_rows.replica_law())


def test_no_row_is_both_fitted_and_tested() -> None:
    for corpus in search_rows.CORPORA.values():
        assert not {corpus.fit, *corpus.known} & set(corpus.test)
        for name in (corpus.fit, *corpus.known, *corpus.test):
            assert float(row(search_rows.TABLE, "id", name)["throughput_docs_s"]) > 0


def test_one_network_card_bounds_all_but_producers_that_wait_for_no_follower() -> None:
    over = [r for r in kafka_rows.network_bounds() if r.measured > r.forecast]
    assert [r.name for r in over] == ["3 producers (3 hosts), 3x async replication"]


def test_one_client_has_the_throughput_of_its_own_round_trip() -> None:
    """X = B / R with R the CPU of a bulk, its documents and their refresh on one core, and its wait (A2)."""
    c = load_set(lab_scores.SET)
    still = ("task_sigma", "pause_per_cpu_second", "refresh_cpu_seconds", "merge_byte_cpu_seconds")
    c = c.with_values({f"search.{name}": 1e-12 for name in still})
    loop = closed_loop.Loop(1, "r5.large", 800.0, 1, 1, 1000, 1, one_core=True)
    document = c["search.document_cpu_seconds"] + 800 * c["search.byte_cpu_seconds"]
    cpu = c["search.bulk_cpu_seconds"] + 1000 * (document + c["search.refresh_document_cpu_seconds"])
    seconds = cpu / (1 - c["search.idle_cpu_cores"]) + c["search.bulk_wait_seconds"]
    assert closed_loop.throughput(loop, c, 1000 / seconds) == pytest.approx(1000 / seconds, rel=0.03)


def test_the_cost_of_a_corpus_comes_back_from_its_throughput() -> None:
    c, loop = load_set(folds.PRIOR), search_rows.loop_of("rs-so-doc-8c")
    made = closed_loop.throughput(loop, c, 30_000.0, cpu_ratio=1.5)
    assert closed_loop.cpu_ratio_of(loop, c, made, (1,)) == pytest.approx(1.5, rel=0.06)


def test_confluent_gives_the_wait_and_streamnative_does_not() -> None:
    names = {run.name for run in kafka_rows.RUNS}
    assert {kafka_rows.FITTED_ON, kafka_rows.PACKAGED_FROM} <= names
    for run in kafka_rows.RUNS:
        assert 1e-3 < kafka_rows.measured(run, "pub_50pct") < kafka_rows.measured(run, "e2e_99pct") < 0.02


def test_three_pairs_say_little_about_a_spread() -> None:
    value, low, high = machines.sigma([0.1, -0.2, 0.15])
    assert value == pytest.approx(np.sqrt(0.0725 / 3)) and low < value / 1.5 and high > 2 * value


def test_every_published_row_has_a_source() -> None:
    for path in DATA.glob("*.csv"):
        assert all(r["source"] for r in table(path.stem)), path.name


# ---------------------------------------------------------------- page and log


def test_a_scoring_that_says_the_same_is_logged_once(tmp_path: Path) -> None:
    path, day = tmp_path / "log.csv", date(2026, 11, 24)
    scorings.append({"engine": "a", "error": "7.2"}, day, path)
    text = path.read_text()
    assert len(scorings.append({"engine": "a", "error": "7.2"}, date(2026, 11, 25), path)) == 1
    assert path.read_text() == text
    log = scorings.append({"engine": "b", "error": "7.0", "new": "1"}, day, path)
    assert [r["engine"] for r in scorings.read(path)] == ["a", "b"] and log[0].get("new", "") == ""


def test_the_quick_command_tells_every_kind_of_row_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    page_file = lab_scores.RESULTS.parents[2] / "docs" / "accuracy.md"
    before = page_file.read_bytes()
    assert main(["--quick"]) == 0
    told = capsys.readouterr().out
    assert page_file.read_bytes() == before
    for heading in ("left out of the fit", "in sample", "test rows", "Identities", "Bounds", "Scorings", "misses"):
        assert heading in told
    assert f"### {EIGHT}, left out" in told and "os211-nyc_taxis-lz4" in told


def test_the_page_is_the_last_scoring() -> None:
    told = (lab_scores.RESULTS.parents[2] / "docs" / "accuracy.md").read_text(encoding="utf-8")
    last = scorings.read()[-1]
    assert page.log_text(scorings.read()) in told
    assert last["engine"] and everything.engine_digest()


def test_no_test_run_was_fitted_to_and_the_first_blind_score_is_logged() -> None:
    fitted_to = fitted_names(lab_scores.SET)
    assert fitted_to and not any(name.startswith("test-") for name in fitted_to)
    assert not {run.name for run in lab_scores.tested()} & set(fitted_to)
    first = next(row for row in scorings.read() if row.get("test: batch time, median"))
    assert first["commit"] == "4206975" and float(first["test: share inside 90 %"]) < 80  # before anything was mended


def test_a_plot_marks_what_lies_outside_its_interval() -> None:
    inside, outside = plots.Point(1.0, 1.1, "a", 0.8, 1.4), plots.Point(2.0, 5.0, "b", 4.0, 6.0, inside=False)
    svg = plots.scatter([inside, outside], "measured [s]", "forecast [s]")
    assert svg.startswith("<svg") and svg.count('fill="white" stroke=') == 1 and "measured [s]" in svg
    assert plots.scatter([], "x", "y") == ""


# ---------------------------------------------------------------- goals


def told(quantity: str, *errors: float, run: str = "", repeat: float | None = None) -> list[Score]:
    return [Score(run, "all", quantity, "s", 1.0 + error, 1.0, repeat=repeat) for error in errors]


def test_a_goal_is_reached_by_the_median_and_not_by_the_best() -> None:
    assert goals.judged(told("batch time, median", 0.02, 0.09, 0.4), {}).words == "10 %: reached"
    assert goals.judged(told("batch time, median", 0.02, 0.11, 0.4), {}).words == "10 %: MISSED"
    assert goals.judged(told("CPU of spark", 0.5), {}).reached is None


def test_no_goal_is_claimed_that_equal_runs_do_not_reach() -> None:
    verdict = goals.judged(told("latency p50", 0.01, repeat=0.2), {})
    assert verdict.reached is None and verdict.words == "15 %: not claimed, equal runs differ by 20 %"


def test_catching_up_is_judged_by_how_busy_the_stack_is(
    monkeypatch: pytest.MonkeyPatch, runs: dict[str, LabRun]
) -> None:
    """Trigger 2 s. Of 10 s one trigger is 20 %; at utilisation 0.75 the 15 % become 60 %."""
    mine = {"a": runs[PIPE]}
    at = [Score("a", "all", "catch-up", "s", 11.9, 10.0)]
    monkeypatch.setattr(goals, "catch_up_use", lambda run: {"catch-up": 0.3})
    assert goals.judged(at, mine).words == "15 % (1 of 1 within one trigger at utilisation ≤ 0.5): reached"
    late = [Score("a", "all", "catch-up", "s", 15.5, 10.0)]
    assert goals.judged(late, mine).reached is False
    monkeypatch.setattr(goals, "catch_up_use", lambda run: {"catch-up": 0.75})
    assert goals.judged(late, mine).words == "15 % (1 of 1 within 15 % × μ/(μ-λ) above it): reached"


def test_sustainable_throughput_has_the_goal_of_its_kind_of_load(runs: dict[str, LabRun]) -> None:
    fitted = list(runs.values())
    scores = [Score(PIPE, "2000/s", "sustainable throughput", "1/s", 1.12 * x, x) for x in (1400.0, 2100.0, 3200.0)]
    named = goals.with_tiers(scores, runs, fitted)
    assert [s.quantity for s in named] == [f"sustainable throughput, at {t}" for t in ("1.5×", "2×", "3×")]
    assert [goals.judged([s], runs).reached for s in named] == [False, True, True]


def test_the_ten_lines_know_the_cap(runs: dict[str, LabRun]) -> None:
    """They are no straw man under overload: full batches carry n / (a + b n), the rest waits."""
    one = baselines.closed_form(0.3, 4e-4, Step(0.0, 70.0, 3000.0), 0.1, 1200.0)
    assert one.carried == pytest.approx(1200 / 0.78) and one.late > 30
