"""Sweeps: the same numbers however they are spread, kept by what moves them, going on where they stopped."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import simulator.sweep as sweeps
from models.coefficients import load_set
from models.stack import Scenario
from simulator.run import simulate
from simulator.sweep import Job, Refused, chunk_size, summary, sweep
from simulator.trace import Trace

GENERIC = load_set("generic-2026-11")


def scenario(rate: float = 2000.0, measure: float = 10.0) -> Scenario:
    return Scenario(
        name="sweep",
        flows=[
            {
                "workload": {"rate": rate, "size": 500.0},
                "topic": {"partitions": 4},
                "query": {"trigger": 1.0, "checkpoint": "hdfs", "sink": {"kind": "jvm-connector"}},
            }
        ],
        run={"measure": measure, "warm_up": 2.0},
    )


def jobs(count: int = 6) -> list[Job]:
    return [Job(scenario(), GENERIC, seed=s, rate_factor=1 + 0.5 * (s % 2)) for s in range(count)]


def p99(trace: Trace) -> dict[str, float]:
    """A measure of one's own."""
    return {"p99": trace.flows["events"].latency.quantile(0.99)}


def test_a_sweep_tells_what_single_runs_tell() -> None:
    found = sweep(jobs(2), measure=p99)
    for job, result in zip(jobs(2), found, strict=True):
        trace = simulate(job.scenario, GENERIC, seed=job.seed, rate_factor=job.rate_factor)
        assert result == p99(trace)


def test_two_processes_tell_the_same_in_the_same_order() -> None:
    alone = sweep(jobs())
    assert sweep(jobs(), workers=2, chunk_seconds=0.01) == alone
    assert len({result["flows"]["events"]["mean"] for result in alone}) == 6


def test_a_sweep_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = sweep(jobs(3), folder=tmp_path)
    ran = []
    monkeypatch.setattr(sweeps, "simulate", lambda *a, **kw: ran.append(kw["seed"]) or simulate(*a, **kw))
    assert sweep(jobs(5), folder=tmp_path)[:3] == first
    assert ran == [3, 4]
    assert len(list(tmp_path.iterdir())) == 5


def test_a_file_that_was_cut_short_is_run_again(tmp_path: Path) -> None:
    first = sweep(jobs(1), folder=tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:20])
    assert sweep(jobs(1), folder=tmp_path) == first
    assert json.loads(path.read_text()) == first[0]


def test_whatever_moves_a_result_moves_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    base = Job(scenario(), GENERIC)
    changed = [
        Job(scenario(rate=2001.0), GENERIC),
        Job(scenario(), GENERIC.with_values({"spark.task_cpu_seconds": 0.02})),
        Job(scenario(), GENERIC, seed=2),
        Job(scenario(), GENERIC, level="exact"),
        Job(scenario(), GENERIC, rate_factor=1.1),
        Job(scenario(), GENERIC, outages=((3.0, 1.0),)),
    ]
    names = {job.digest() for job in [base, *changed]}
    assert len(names) == 7
    assert Job(scenario(), GENERIC).digest() == base.digest()
    monkeypatch.setattr(sweeps, "engine_digest", lambda: "another engine")
    assert base.digest() not in names


def test_measures_do_not_read_each_others_files(tmp_path: Path) -> None:
    (whole,) = sweep(jobs(1), folder=tmp_path)
    (small,) = sweep(jobs(1), folder=tmp_path, measure=p99)
    assert set(small) == {"p99"}
    assert small["p99"] == whole["flows"]["events"]["quantiles"]["0.99"]


def test_a_job_that_cannot_run_says_why_and_stops_no_other(tmp_path: Path) -> None:
    long = scenario(rate=1e6, measure=31 * 86400.0)
    bad, good = sweep([Job(long, GENERIC, level="exact"), jobs(1)[0]], folder=tmp_path)
    assert isinstance(bad, Refused) and "producer batches" in bad.reason
    assert not isinstance(good, Refused)
    assert len(list(tmp_path.iterdir())) == 1  # refusals are not kept: another engine may take the job


def test_chunks_carry_half_a_second_of_work() -> None:
    assert chunk_size(0.025, 0.5, 1000, 2) == 20
    assert chunk_size(0.025, 0.5, 10, 2) == 5
    assert chunk_size(2.0, 0.5, 1000, 2) == 1


def test_no_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="workers = 0"):
        sweep(jobs(1), workers=0)


def test_a_summary_names_every_flow_and_host() -> None:
    trace = simulate(scenario(), GENERIC)
    told = summary(trace)
    assert set(told["hosts"]) == {host.name for host in trace.hosts}
    events = told["flows"]["events"]
    assert events["outcome"] == "running" and events["batches"] == 10
    assert 0 < events["quantiles"]["0.5"] < events["quantiles"]["0.99"] < math.inf
