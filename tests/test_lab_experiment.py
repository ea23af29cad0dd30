"""Experiments are data: each file is checked before anything starts, and the design tells the costs apart."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.lab import read_experiment
from lab.experiment import SINKS, Experiment, ExperimentError, folder_name, parse, read, read_all, recorded
from lab.record import Writer
from lab.series import plan

TABLES = ("load", "kafka", "spark", "search", "bulk", "cores")
BASE: dict[str, Any] = {"type": "pipe", "set": "fit", "question": "q", "load": {"plan": [[10, 100]]}}


@pytest.fixture(scope="module")
def experiments() -> list[Experiment]:
    return read_all()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"type": "stream"}, r"type = 'stream'; expected one of pipe, kafka, bulk"),
        ({"set": "train"}, r"set = 'train'; expected one of fit, test, anchor"),
        ({"rate": 5}, r"rate: no such field; known are name, type"),
        ({"load": {"plan": [[10, 100]], "lingre_ms": 5}}, r"load\.lingre_ms: no such field"),
        ({"load": {"plan": [[10, 100]], "size": "800"}}, r"load\.size = '800'; expected int"),
        ({"load": {"plan": [[10, 100]], "size": True}}, r"load\.size = True; expected int"),
        ({"load": {"plan": [[10, 100]], "size": [800]}}, r"load\.size = \[800\]; expected int"),
        ({"load": {}}, r"load\.plan is empty; expected \[\[seconds, records a second\]"),
        ({"load": {"plan": [[0, 100]]}}, r"load\.plan has \[0, 100\]; expected \[seconds above 0"),
        ({"load": {"plan": [[10, 100]], "size": 100}}, r"load\.size = 100 bytes; expected 330 bytes or more"),
        ({"load": {"plan": [[10, 100]], "acks": "2"}}, r"load\.acks = '2'; expected one of all, 1, 0"),
        ({"kafka": {"brokers": 2}}, r"kafka\.brokers = 2; expected one of 1, 3"),
        ({"kafka": {"copies": 3}}, r"kafka\.copies = 3; expected one of 1"),
        ({"search": {"replicas": 1}}, r"search\.replicas = 1 on search\.nodes = 1; expected fewer replicas than nodes"),
        ({"search": {"codec": "zstd"}}, r"search\.codec = 'zstd'; expected one of default, best_compression"),
        ({"spark": {"agg": True}}, r"spark\.agg = true with spark\.sink = 'bulk'; expected \"noop\""),
        ({"disturb": [{"kind": "flood", "at_s": 1}]}, r"disturb\.kind = 'flood'; expected one of broker_kill"),
        ({"disturb": [{"kind": "job_stop"}]}, r"disturb\.at_s: job_stop takes at_s, how"),
        ({"disturb": [{"kind": "job_stop", "at_s": 11}]}, r"at_s = 11 s, after the plan's end at 10 s"),
        ({"disturb": [{"kind": "broker_kill", "at_s": 1, "broker": 2}]}, r"broker = 2; expected one of 1"),
        ({"spark": {"sink": "noop"}, "disturb": [{"kind": "index_block", "at_s": 1}]}, r"this run has no index"),
    ],
)
def test_a_wrong_experiment_is_refused_with_what_would_do(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ExperimentError, match=f"^x: .*{said}"):
        parse(BASE | change, "x")


def test_an_experiment_must_say_its_set_and_its_question() -> None:
    for missing in ("set", "question"):
        with pytest.raises(ExperimentError, match=f"x: {missing} is missing"):
            parse({k: v for k, v in BASE.items() if k != missing}, "x")


def test_a_broken_file_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("type = ")
    with pytest.raises(ExperimentError, match=r"a\.toml: not TOML"):
        read(tmp_path / "a.toml")


def test_every_fit_run_and_a_third_of_the_test_runs_are_repeated(experiments: list[Experiment]) -> None:
    fit = [e for e in experiments if e.set == "fit"]
    test = [e for e in experiments if e.set == "test"]
    assert len(fit) >= 30 and all(e.repeats >= 3 for e in fit)
    assert sum(e.repeats >= 3 for e in test) >= len(test) / 3
    assert [e.set for e in experiments].count("anchor") == 1


def test_fit_and_test_share_no_setting(experiments: list[Experiment]) -> None:
    """A test run differs from every fit run in something other than its name."""

    def asked(e: Experiment) -> dict[str, Any]:
        return {k: v for k, v in recorded(e, 1, False).items() if k not in ("name", "experiment", "set", "question")}

    pairs = itertools.product([e for e in experiments if e.set == "fit"], [e for e in experiments if e.set == "test"])
    assert all(asked(a) != asked(b) for a, b in pairs)


def test_fit_runs_have_no_disturbance(experiments: list[Experiment]) -> None:
    assert all(not e.disturb for e in experiments if e.set == "fit")
    kinds = {d["kind"] for e in experiments for d in e.disturb}
    assert kinds == {"broker_kill", "job_stop", "search_kill", "index_block"}


def test_the_design_tells_the_costs_of_a_batch_apart(experiments: list[Experiment]) -> None:
    """CPU a second = batches + tasks + bulks + records + bytes: their columns over the fit runs are independent."""
    rows = []
    for e in experiments:
        if e.set == "fit" and e.type == "pipe" and not e.spark.agg:
            for _, rate in e.load.plan:
                a_second = 1000 / e.spark.trigger_ms
                tasks = a_second * e.kafka.partitions
                bulks = max(rate / e.spark.bulk, tasks) if e.spark.sink == "bulk" else 0.0
                documents = rate if e.spark.sink == "bulk" else 0.0
                rows.append([a_second, tasks, bulks, rate, rate * e.load.size, documents])
    columns = np.array(rows)
    condition = np.linalg.cond(columns / np.linalg.norm(columns, axis=0))
    assert len(rows) > 30 and condition < 40


def test_equal_runs_could_not_tell_them_apart() -> None:
    """What the design is for: 800-byte records on four partitions at a two-second trigger leave columns dependent."""
    rows = np.array([[0.5, 2.0, 2.0, rate, rate * 800.0, rate] for rate in (200, 600, 1000)])
    assert np.linalg.cond(rows / np.linalg.norm(rows, axis=0)) > 1e12


def test_one_factor_at_a_time_leaves_the_rest_alone(experiments: list[Experiment]) -> None:
    by_name = {e.name: e for e in experiments}
    base, other = by_name["kafka-500b"], by_name["kafka-tls"]
    assert other.kafka.tls and not base.kafka.tls and other.load == base.load
    base, other = by_name["noop-agg-4"], by_name["noop-agg-rocksdb"]
    assert (base.spark.state, other.spark.state) == ("hdfs", "rocksdb") and other.load == base.load


AXES = [
    # what is varied, the run that it is held against, the run that differs in nothing else, the settings that differ
    ("rate", "pipe-2s", "pipe-load-ladder", {"load.plan"}),
    ("size", "pipe-2s", "pipe-400b", {"load.size"}),
    ("linger and batch", "kafka-500b", "kafka-linger-50", {"load.linger_ms", "load.batch_bytes"}),
    ("batch", "kafka-linger-50", "kafka-linger-50-16k", {"load.batch_bytes"}),
    ("compression", "kafka-500b", "kafka-lz4", {"load.compression"}),
    ("acks", "kafka-3-copies-acks-all", "kafka-3-copies-acks-1", {"load.acks"}),
    ("acks", "kafka-3-copies-acks-all", "kafka-3-copies-acks-0", {"load.acks"}),
    ("partitions", "kafka-500b", "kafka-16-partitions", {"kafka.partitions"}),
    ("partitions", "noop-4-partitions", "noop-16-partitions", {"kafka.partitions"}),
    ("trigger", "pipe-2s", "pipe-10s", {"spark.trigger_ms"}),
    ("cap", "pipe-overload-2400", "pipe-overload-7000", {"load.plan", "spark.max_offsets"}),
    ("shuffle partitions", "noop-agg-4-4s", "noop-agg-16", {"spark.shuffle"}),
    ("shuffle partitions", "noop-agg-4", "noop-agg-1", {"spark.shuffle"}),
    ("state store", "noop-agg-4", "noop-agg-rocksdb", {"spark.state"}),
    ("bulk size", "pipe-2s", "pipe-bulk-100", {"spark.bulk"}),
    ("bulk size", "bulk-1x1000", "bulk-1x200", {"bulk.bulk"}),
    ("writers", "pipe-bulk-250", "pipe-2-writers", {"spark.writers"}),
    ("writers", "bulk-1x1000", "bulk-4x1000", {"bulk.clients"}),
    ("replicas", "bulk-2x1000", "bulk-2x1000-replica", {"search.nodes", "search.replicas"}),
    ("refresh", "bulk-2x1000", "bulk-2x1000-refresh-30s", {"search.refresh"}),
    ("codec", "bulk-2x1000", "bulk-2x1000-best-compression", {"search.codec"}),
    ("product", "bulk-2x1000", "bulk-2x1000-elasticsearch", {"search.product"}),
    ("cores", "pipe-2s", "pipe-2-cores", {"spark.cores", "cores.spark"}),
    ("cores", "kafka-500b", "kafka-500b-2-cores", {"cores.broker"}),
    ("write threads", "bulk-2x1000", "bulk-2x1000-2-cores", {"cores.search"}),
    ("TLS", "kafka-500b", "kafka-tls", {"kafka.tls"}),
]


def settings(e: Experiment) -> dict[str, Any]:
    """Every setting that can move what a run measures, by its place."""
    told = asdict(e)
    flat = {f"{table}.{name}": value for table in TABLES for name, value in told[table].items()}
    return flat | {"type": told["type"], "disturb": told["disturb"]}


@pytest.mark.parametrize(("axis", "base", "other", "differ"), AXES)
def test_each_axis_is_varied_alone(
    experiments: list[Experiment], axis: str, base: str, other: str, differ: set[str]
) -> None:
    by_name = {e.name: settings(e) for e in experiments}
    one, two = by_name[base], by_name[other]
    assert {name for name in one if one[name] != two[name]} == differ, axis


def test_copies_are_told_apart_from_brokers(experiments: list[Experiment]) -> None:
    """Three brokers that copy nothing beside three that do: the same plan, so the rest is replication."""
    by_name = {e.name: e for e in experiments}
    alone, copied = by_name["kafka-3-brokers-1-copy"], by_name["kafka-3-copies-acks-all"]
    assert alone.load == copied.load and (alone.kafka.brokers, alone.kafka.copies, copied.kafka.copies) == (3, 1, 3)


def test_every_sink_is_run(experiments: list[Experiment]) -> None:
    assert {e.spark.sink for e in experiments if e.type == "pipe"} == set(SINKS)


def test_a_series_opens_and_closes_each_round_with_the_anchor(experiments: list[Experiment]) -> None:
    runs = plan(experiments)
    anchors = [i for i, one in enumerate(runs) if one.experiment.set == "anchor"]
    assert len(anchors) == 6 and anchors[0] == 0 and anchors[-1] == len(runs) - 1
    names = [folder_name(one.experiment, one.repeat) for one in runs]
    assert len(set(names)) == len(names)


def test_repeats_lie_hours_apart(experiments: list[Experiment]) -> None:
    """From one repeat of a fit run to the next lies at least an hour of other runs."""
    runs, clock = plan(experiments), 0.0
    began: dict[str, list[float]] = {}
    for one in runs:
        began.setdefault(one.experiment.name, []).append(clock)
        clock += one.experiment.seconds
    gaps = [b - a for e in experiments if e.set == "fit" for a, b in itertools.pairwise(began[e.name])]
    assert np.median(gaps) > 3600


def test_only_runs_on_a_quiet_machine_are_called_fit(experiments: list[Experiment]) -> None:
    one = next(e for e in experiments if e.set == "fit")
    assert folder_name(one, 2).startswith("fit-")
    assert folder_name(one, 2, disturbed=True).startswith("disturbed-")


def test_an_unknown_name_is_no_empty_series(experiments: list[Experiment]) -> None:
    with pytest.raises(ExperimentError, match="pipe-2sec: no such experiment"):
        plan(experiments, ["pipe-2sec"])


def test_the_readers_read_what_was_asked(experiments: list[Experiment], tmp_path: Path) -> None:
    """calibration's reader finds in experiment.json what the TOML said."""
    for e in experiments:
        Writer(tmp_path / e.name).document("experiment", recorded(e, 1, False))
        seen = read_experiment(tmp_path / e.name / "experiment.json")
        if e.type == "bulk":
            assert (seen.clients, seen.bulk_documents, seen.record_bytes) == (e.bulk.clients, e.bulk.bulk, e.bulk.size)
            continue
        assert (seen.plan, seen.partitions, seen.record_bytes) == (e.load.plan, e.kafka.partitions, e.load.size)
        if e.type == "pipe":
            assert seen.trigger_seconds == pytest.approx(e.spark.trigger_ms / 1000)
            assert (seen.sink, seen.cores, seen.bulk_documents) == (e.spark.sink, e.spark.cores, e.spark.bulk)
            assert seen.state_partitions == (e.spark.shuffle if e.spark.agg else 0)
