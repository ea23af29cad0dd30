"""A back-test states what was measured, in the same words, and says where a baseline is nearer."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from calibration.backtest import cut_time, held_out, split, until
from calibration.lab import LabRun, load_run
from calibration.observations import Batch, Curve
from models.coefficients import load_set
from planner import backtest
from planner.backtest_forecast import interval
from planner.backtest_scenario import outages, scenario_of, unlike
from planner.backtest_score import Score, coverage
from planner.backtest_tell import pairs
from planner.backtest_values import backlogs, catch_ups, failed_starts, overloads, part_names, seen, stops, sustained
from planner.backtest_ways import from_batches, from_records
from planner.cli import app, register_all
from planner.uncertainty import MODEL, model_law, model_sigma

RECORDINGS = Path(__file__).parent.parent / "lab" / "results"
FIT, TEST = RECORDINGS / "2026-11-23-epyc-2core", RECORDINGS / "2026-11-24-epyc-2core"


@pytest.fixture(scope="module")
def pipe() -> LabRun:
    return load_run(FIT / "fit-pipe-2s")


@pytest.fixture(scope="module")
def killed() -> LabRun:
    return load_run(TEST / "test-pipe-job-killed.1")


# ---------------------------------------------------------------- the run as a question


def test_a_stopped_job_is_an_outage_until_it_really_came_back(killed: LabRun) -> None:
    """Its first start after the kill failed (SPARK-55271): the outage lasts until the second, and its start."""
    [(down, back)] = stops(killed)
    assert down - killed.start == pytest.approx(30.4, abs=0.2) and back - killed.start == pytest.approx(76.4, abs=0.3)
    [(_, length)] = outages(killed)
    assert length == pytest.approx(back - down + killed.experiment.start_seconds["spark_started"])
    assert not unlike(killed) and scenario_of(killed).flows[0].query.sink.kind == "python-foreach"


def test_without_events_an_outage_is_as_planned(killed: LabRun) -> None:
    [(down, back)] = stops(replace(killed, events=()))
    assert (down - killed.start, back - down) == (30, 20)


def test_what_no_scenario_can_say_is_refused_by_name() -> None:
    blocked, bulk = (load_run(TEST / f"test-{n}.1") for n in ("pipe-flood-stage", "bulk-3x500-1200b"))
    assert "closed-loop" in unlike(bulk)[0]
    for reason in unlike(blocked):  # empty once the simulator has the fault
        assert reason.startswith("index_block")


def test_a_burst_leaves_a_backlog_and_its_steps_are_told_apart() -> None:
    run = load_run(TEST / "test-pipe-burst.1")
    assert part_names(run) == ["400/s", "1600/s", "400/s #2"]
    assert backlogs(run) == [run.steps()[1].end]
    assert 0 < catch_ups(run)["catch-up"] < 10


def test_catching_up_ends_with_the_first_batch_that_leaves_a_triggers_worth(killed: LabRun) -> None:
    """By hand: 100/s, back at 40 s; a batch to 48 s leaves 300 unread, one to 51 s leaves 150."""
    curve = Curve(np.array([0.0, 200.0]), np.array([0.0, 20_000.0]))
    batches = (
        Batch(0, 41.0, 7.0, {}, 4500, {0: 0}, {0: 4500}),
        Batch(1, 48.0, 3.0, {}, 450, {0: 4500}, {0: 4950}),
    )
    asked = replace(
        killed.experiment, trigger_seconds=2.0, disturb=({"kind": "job_stop", "at_s": 10, "restart_after_s": 30},)
    )
    run = replace(killed, experiment=asked, arrivals=curve, start=0.0, first_sequence=0, batches=batches, events=())
    assert catch_ups(run) == {"catch-up": pytest.approx(11.0)}


# ---------------------------------------------------------------- the last part held out


def test_what_is_held_out_is_not_in_what_is_fitted(pipe: LabRun) -> None:
    at = cut_time(pipe, 0.25)
    early = until(pipe, at)
    assert early.experiment.plan == ((40.0, 200.0), (40.0, 600.0), (10.0, 1000.0))
    assert max(b.end for b in early.batches) <= at and max(t.finish for t in early.tasks) <= at
    assert early.index is None and early.polls == ()
    assert early.node is not None and early.node.counters["cpu_seconds"].t[-2] < at
    whole, before = split(pipe, at)
    assert part_names(whole)[before:] == ["1000/s #2"] and len(whole.batches) == len(pipe.batches)


def test_closed_loops_stay_whole_when_a_set_is_held_out(pipe: LabRun) -> None:
    loop = load_run(FIT / "fit-bulk-1x1000")
    early, late = held_out([pipe, loop], 0.25)
    assert early[1] is loop and [run.name for run, _ in late] == ["fit-pipe-2s"]


# ---------------------------------------------------------------- kinds of extrapolation


def test_knobs_load_and_disturbances_are_told_apart(pipe: LabRun, killed: LabRun) -> None:
    assert set(backtest.kinds_of(pipe, [pipe]).values()) == {backtest.WITHIN}
    other = replace(pipe, experiment=replace(pipe.experiment, partitions=6))
    assert set(backtest.kinds_of(other, [pipe]).values()) == {backtest.KNOBS}
    assert backtest.off_the_knobs(other, [pipe]) == ["partitions = 6"]
    faster = replace(pipe, experiment=replace(pipe.experiment, plan=((40.0, 500.0), (40.0, 2000.0))))
    assert backtest.kinds_of(faster, [pipe]) == {
        "500/s": backtest.WITHIN,
        "2000/s": backtest.LOAD,
        "all": backtest.LOAD,
    }
    assert set(backtest.kinds_of(killed, [pipe]).values()) == {backtest.DISTURBED}


# ---------------------------------------------------------------- overload


def overloaded(pipe: LabRun, seconds: float, records: int = 1200) -> LabRun:
    """The run under a load of 2,000/s in batches of at most 1,200, one every `seconds`."""
    asked = replace(pipe.experiment, plan=((20.0, 500.0), (60.0, 2000.0)), trigger_seconds=0.1, max_offsets=1200)
    calm = [Batch(n, pipe.start + n, 0.5, {}, 500, {0: 500 * n}, {0: 500 * n + 500}) for n in range(20)]
    busy = [
        Batch(20 + n, pipe.start + 20 + n * seconds, seconds, {}, records, {0: n}, {0: n + records})
        for n in range(int(60 / seconds))
    ]
    return replace(pipe, experiment=asked, batches=(*calm, *busy), events=())


def test_what_full_batches_carry_from_start_to_start_is_sustainable(pipe: LabRun) -> None:
    run = overloaded(pipe, seconds=0.8)
    assert [name for name, _ in overloads(run)] == ["2000/s"]
    [one] = sustained(run, run)
    assert (one.part, one.value) == ("2000/s", pytest.approx(1500.0))
    assert not overloads(pipe) and not sustained(pipe, pipe)


def test_batches_that_never_fill_carry_what_arrives(pipe: LabRun) -> None:
    """A forecast that keeps up has no full batch, and is not left out for it: it carries the load."""
    run, easy = overloaded(pipe, seconds=0.8), overloaded(pipe, seconds=0.1, records=200)
    [one] = sustained(run, easy)
    assert one.value == pytest.approx(2000.0)


def test_overload_is_of_the_kind_load_whatever_its_knobs(pipe: LabRun) -> None:
    found = backtest.kinds_of(overloaded(pipe, seconds=0.8), [pipe])
    assert found == {"500/s": backtest.KNOBS, "2000/s": backtest.LOAD, "all": backtest.LOAD}


def test_a_killed_broker_is_lost_until_it_was_started_and_up_again(pipe: LabRun) -> None:
    asked = replace(
        pipe.experiment, brokers=3, copies=3, min_insync=2, start_seconds={"kafka_started": 6.0},
        disturb=({"kind": "broker_kill", "at_s": 30.0, "broker": 2, "restart_after_s": 25.0},),
    )  # fmt: skip
    scenario = scenario_of(replace(pipe, experiment=asked, events=()))
    begin = scenario.run.warm_up
    [fault] = scenario.faults
    assert (fault.kind, fault.number) == ("broker-lost", 1) and fault.at == pytest.approx(begin + 30.0, abs=1e-3)
    assert fault.end - fault.at == pytest.approx(31.0, abs=1e-3)
    assert scenario.kafka.brokers == 3 and scenario.flows[0].topic.copies == 3


# ---------------------------------------------------------------- partial forecasts


def test_the_path_alone_gives_the_latency_back(pipe: LabRun) -> None:
    """From its own batches and tasks a run's latency comes out within a few per cent: refresh, polls and order."""
    scores = {s.quantity: s for s in from_batches(pipe)}
    assert abs(scores["latency p50"].error) < 0.06 and abs(scores["latency p99"].error) < 0.10


def test_laws_give_batch_times_from_their_records(pipe: LabRun) -> None:
    scores = from_records(pipe, load_set("lab-2026-11-23"))
    assert [s.part for s in scores] == ["200/s", "600/s", "1000/s", "all"]
    assert all(abs(s.error) < 0.25 for s in scores)


# ---------------------------------------------------------------- intervals and baselines


def test_the_models_own_error_widens_an_interval() -> None:
    low, high = interval(10.0, 0.0, 0.1, 1.645)
    wide = interval(10.0, 0.2, 0.1, 1.645)
    assert low == pytest.approx(10 * math.exp(-0.1645)) and wide[0] < low and wide[1] > high
    assert interval(10.0, math.nan, 0.1, 1.645) == pytest.approx((low, high))


@pytest.mark.parametrize("name", ["generic-2026-11", "lab-2026-11-23"])
def test_every_quantity_with_an_interval_has_its_own_error(name: str) -> None:
    c = load_set(name)
    for start, law in MODEL.items():
        assert 0 < model_sigma(c, start) < 1 and law in c.values
    assert model_law("resident bytes of spark") == ""
    assert model_law("latency p99") != model_law("latency p50")


def test_the_generic_set_says_of_the_models_error_what_the_laboratory_told() -> None:
    generic, lab = load_set("generic-2026-11"), load_set("lab-2026-11-23")
    for law in set(MODEL.values()):
        if generic.values[law].grade == "measured":
            assert generic[law] == pytest.approx(lab[law], rel=0.03), law


def test_coverage_counts_runs_and_not_their_numbers() -> None:
    def told(run: str, measured: float) -> Score:
        return Score(run, "all", "x", "s", 1.0, measured, low=0.5, high=2.0)

    scores = [told("a", 1.0), told("a", 1.0), told("a", 1.0), told("b", 5.0)]
    found = coverage(scores)
    assert found is not None and (found.runs, found.rows, found.share) == (2, 4, 0.5)
    assert found.low == pytest.approx(0.0253, abs=1e-3)  # Clopper-Pearson, 1 of 2 at 90 %
    assert found.width == pytest.approx(math.log(4.0))
    assert found.score == pytest.approx(math.log(4.0) + 20 * math.log(2.5) / 4)
    assert coverage([Score("a", "all", "x", "s", 1.0, 1.0)]) is None


def test_a_baseline_that_is_nearer_is_said() -> None:
    mine = [
        Score("a", "1/s", "x", "s", 1.3, 1.0, last=1.1, ten_lines=2.0),
        Score("b", "1/s", "x", "s", 1.1, 1.0, last=1.05),
    ]
    rows = {row[0]: row for row in pairs(mine)}
    assert rows["x, last value"][1] == "0 of 2" and rows["x, last value"][4] == "last value"
    assert rows["x, a + b·n"][1] == "1 of 1" and rows["x, a + b·n"][4] == "forecast"


def test_seen_is_what_the_files_say(pipe: LabRun) -> None:
    values = seen(pipe)
    assert values["all", "index bytes per JSON byte"].value == pytest.approx(0.727, abs=1e-3)
    assert {"batch time, median", "CPU of spark", "latency p99"} <= {q for p, q in values if p == "1000/s"}


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def command() -> CliRunner:
    register_all()
    return CliRunner()


def test_a_named_run_is_forecast_with_a_set_that_never_saw_it(command: CliRunner, tmp_path: Path) -> None:
    run, page = TEST / "test-pipe-3-partitions-600b-1s.1", tmp_path / "page.md"
    asked = ["backtest", str(run), "--set", "lab-2026-11-23", "--seeds", "2", "--draws", "4", "--json", "-o", str(page)]
    result = command.invoke(app, asked)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    [one] = told["runs"]
    half = next(s for s in one["scores"] if (s["part"], s["quantity"]) == ("500/s", "batch time, median"))
    assert abs(half["error"]) < 0.25 and half["low"] < half["forecast"] < half["high"]
    assert set(one["given_more"]) == {"batch time from measured records", "latency from measured batch times"}
    assert told["coverage"]["runs"] == 1
    assert "## Beside the baselines, paired by run" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([str(FIT / "fit-pipe-2s"), "--set", "lab-2026-11-23"], "was fitted to all of fit-pipe-2s"),
        ([str(FIT / "fit-pipe-2s"), "--set", "lab-2026-11-32"], "did you mean 'lab-2026-11-23'"),
        ([str(FIT / "README.md"), "--set", "lab-2026-11-23"], "no folder of a recorded run"),
        ([str(FIT / "fit-pipe-2s")], "a single run says nothing"),
    ],
)
def test_wrong_asks_are_refused_in_a_sentence(command: CliRunner, arguments: list[str], words: str) -> None:
    result = command.invoke(app, ["backtest", *arguments])
    assert result.exit_code == 1 and words in result.stderr and "Traceback" not in result.stderr


def test_a_start_that_failed_burnt_its_cpu_too(killed: LabRun) -> None:
    start = killed.start
    assert failed_starts(killed, start, start + 120) == 1  # at 51 s; the one at 76 s showed batches
    assert (
        failed_starts(killed, start + 60, start + 120) == 0 and failed_starts(replace(killed, events=()), 0, 9e9) == 0
    )
