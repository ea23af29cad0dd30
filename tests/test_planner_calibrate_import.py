"""Exported metrics of a stack, with the scenario that says what metrics do not, are fitted as recorded runs are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calibration.fit import Base, fit_runs
from calibration.lab import LabRun
from models.coefficients import carried, load_set
from planner.backtest_scenario import scenario_of
from planner.calibrate_load import gather
from planner.refusal import ScenarioError
from planner.scenario import example

RESULTS = Path(__file__).parent.parent / "lab" / "results" / "2026-11-23-epyc-2core"
EXPORTED = ("progress.jsonl.gz", "eventlog.jsonl.gz", "kafka-1.prom.jsonl.gz", "search.nodes_stats.jsonl.gz",
            "search.index_stats.jsonl.gz", "procs.jsonl.gz")  # fmt: skip


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two equal runs' metrics without the laboratory's own files, as an operator would export them."""
    found = []
    for name in ("fit-pipe-2s", "fit-pipe-2s-again"):
        folder = tmp_path_factory.mktemp("exports") / name
        folder.mkdir()
        for file in EXPORTED:
            shutil.copy(RESULTS / name / file, folder / file)
        found.append(folder)
    return found


@pytest.fixture(scope="module")
def runs(exports: list[Path]) -> list[LabRun]:
    return list(gather(exports, example("lab"), per_core_speed=32161).runs)


def test_each_broker_and_node_is_a_run_of_its_own(runs: list[LabRun]) -> None:
    assert sum(bool(run.batches) for run in runs) == 2
    assert sum(run.broker is not None for run in runs) == 2 and sum(run.node_is_whole for run in runs) >= 2
    [first, *_] = [run for run in runs if run.batches]
    assert sum(b.records for b in first.batches) == pytest.approx(132_000, rel=0.01)
    assert first.experiment.partitions == 4 and first.experiment.trigger_seconds == 2.0
    assert max(rate for _, rate in first.experiment.plan) > 3 * min(rate for _, rate in first.experiment.plan)


def test_what_they_tell_is_what_the_recordings_tell(runs: list[LabRun]) -> None:
    """The same metrics by the other way in: costs agree with the laboratory set's within both intervals."""
    out = fit_runs(runs, Base.of(carried(load_set("generic-2026-11"), 32161.0)))
    known = load_set("lab-2026-11-23").values
    assert not out.refused
    for name in (
        "spark.batch_cpu_seconds",
        "spark.local_commit_seconds",
        "kafka.idle_cpu_cores",
        "search.query_cpu_seconds",
    ):
        one, lab = out.told[name], known[name]
        assert one.low <= lab.high and lab.low <= one.high, (name, one, lab.value)
    assert out.fits["Spark's batches"].condition <= 30


def test_todays_load_is_replayed_on_the_users_own_stack(runs: list[LabRun]) -> None:
    run = next(run for run in runs if run.batches)
    scenario = scenario_of(run)
    assert scenario.run.jvm == "warm" and scenario.spark == example("lab").spark
    steps = scenario.flows[0].workload.steps
    assert sum(seconds * rate for seconds, rate in steps) == pytest.approx(132_000, rel=0.02)


def test_without_a_scenario_exports_are_refused_with_what_it_must_say(exports: list[Path]) -> None:
    with pytest.raises(
        ScenarioError, match=r"record size, trigger, bulk size and slots; give the stack with --scenario"
    ):
        gather(exports, per_core_speed=32161)


def test_one_export_of_some_minutes_is_a_single_run(exports: list[Path]) -> None:
    with pytest.raises(ScenarioError, match="a single run says nothing"):
        gather(exports[:1], example("lab"), per_core_speed=32161)


def test_exports_without_a_machine_are_refused(exports: list[Path]) -> None:
    with pytest.raises(ScenarioError, match=r"no machine.toml beside the recordings; .*--per-core-speed"):
        gather(exports, example("lab"))
