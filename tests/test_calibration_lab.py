"""The recorded laboratory runs read as what they say: values checked by eye against the files."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from calibration import elasticsearch, kafka, spark
from calibration.fit_search import index_ratio, spread_merges
from calibration.fit_spark import reads
from calibration.lab import LabRun, lag, load_run, measured, whole_batches
from calibration.latency import latencies, summary
from calibration.observations import Batch, Counter, Curve, ObservationError, Poll, counter, json_lines

RESULTS = Path(__file__).parent.parent / "lab" / "results" / "2026-11-23-epyc-2core"


@pytest.fixture(scope="module")
def pipe() -> LabRun:
    return load_run(RESULTS / "fit-pipe-2s")


@pytest.fixture(scope="module")
def bulk_runs() -> list[LabRun]:
    return [load_run(path) for path in sorted(RESULTS.glob("fit-*")) if (path / "index_end.json").exists()]


def test_the_first_batch_says_what_the_progress_file_says(pipe: LabRun) -> None:
    first = pipe.batches[0]
    assert first.trigger == pytest.approx(1795418002.073, abs=1e-6)  # 2026-11-23T07:13:22.073Z
    assert (first.seconds, first.records, first.phases["addBatch"]) == (10.138, 71, 8.281)
    assert first.records_by_partition() == {0: 27, 1: 28, 2: 9, 3: 7}
    assert len(pipe.batches) == 82


def test_a_task_says_what_the_event_log_says(pipe: LabRun) -> None:
    assert len(pipe.tasks) == 328  # 82 batches of four
    third = next(t for t in pipe.tasks if t.stage == 0 and t.index == 2)
    assert (third.launch, third.finish) == pytest.approx((1795418011.057, 1795418011.554))
    assert (third.records, third.run_seconds, third.deserialize_seconds) == (28, 0.452, 0.017)
    assert third.cpu_seconds == pytest.approx((46_438_774 + 5_184_649) * 1e-9)


def test_progress_in_the_event_log_reads_the_same(pipe: LabRun) -> None:
    """The log writes offsets as JSON in a string, the listener as an object."""
    events = json_lines(RESULTS / "fit-pipe-2s" / "eventlog.jsonl.gz")
    seen = [spark.batch(e["progress"]) for e in events if e["Event"] == spark.PROGRESS_EVENT]
    assert [(b.trigger, b.records, b.end_offsets) for b in seen] == [
        (b.trigger, b.records, b.end_offsets) for b in pipe.batches
    ]


def test_triggers_lie_on_the_epoch_grid_once_batches_are_in_time(pipe: LabRun) -> None:
    late = [b.trigger % 2.0 for b in pipe.batches[25:]]
    assert max(min(r, 2.0 - r) for r in late) < 0.02


def test_processes_count_their_children(pipe: LabRun) -> None:
    assert pipe.processes.cpu["spark"].total[0] == pytest.approx(16.31)
    assert pipe.processes.resident["spark"].value[0] == 551_501_824
    assert set(pipe.processes.cpu) == {"kafka-1", "search-0", "spark"}


def test_all_sent_records_are_counted_by_all_three_systems(pipe: LabRun) -> None:
    assert pipe.sent() == 132_000
    assert sum(b.records for b in pipe.batches) == 132_000
    assert pipe.index is not None and pipe.index.documents == 132_000
    assert pipe.broker is not None and pipe.broker.counters["records_in"].total[-1] == 132_000


def test_order_holds_within_a_partition(pipe: LabRun) -> None:
    """At each poll the documents visible are exactly those up to the highest sequence: what the latency rests on."""
    for poll in pipe.polls:
        for partition, highest in poll.highest.items():
            assert poll.documents[partition] == highest // 4 + 1


@pytest.mark.parametrize("sequence", [60_000, 60_001, 67_999, 68_003, 91_234, 131_999])
def test_latency_of_one_record_by_hand(pipe: LabRun, sequence: int) -> None:
    """Against a plain loop over the raw files: due by the plan's three rates, visible at the first answer past it."""
    i, due = sequence - 60_000, 1795418070.6253254
    for seconds, rate in ((40, 200), (40, 600), (40, 1000)):
        taken = min(i, seconds * rate)
        due, i = due + taken / rate, i - taken
    with gzip.open(RESULTS / "fit-pipe-2s" / "visible.jsonl.gz", "rt") as lines:
        answers = [(at, seen) for _, at, seen in map(json.loads, lines)]
    answered = min(at for at, seen in answers if seen.get(str(sequence % 4), [0, -1])[1] >= sequence)
    assert pipe.arrivals is not None
    when, seen = latencies(pipe.arrivals, pipe.first_sequence, 4, pipe.polls)
    assert when[sequence - 60_000] == pytest.approx(due, abs=1e-5)
    assert seen[sequence - 60_000] == pytest.approx(answered - due, abs=1e-5)


def test_latency_of_a_run_mixes_its_steps_by_records(pipe: LabRun) -> None:
    seen = measured(pipe)
    assert seen.latency is not None
    parts = [s.latency for s in seen.steps if s.latency is not None]
    assert [p.records for p in parts] == [8_000, 24_000, 40_000]
    mixed = sum(p.mean_seconds * p.records for p in parts) / 72_000
    assert seen.latency.mean_seconds == pytest.approx(mixed)
    assert seen.latency.max_seconds == max(p.max_seconds for p in parts)


def test_a_two_second_trigger_costs_about_its_half_and_the_batch_and_the_refresh(pipe: LabRun) -> None:
    """Mean latency lies between trigger / 2 + half a batch and trigger / 2 + a batch + a refresh + a poll."""
    for step in measured(pipe).steps:
        assert step.latency is not None
        assert 1.0 + step.batch_seconds_median / 2 < step.latency.mean_seconds
        assert step.latency.mean_seconds < 1.0 + step.batch_seconds_median + 1.0 + 0.3


def test_pooling_partitions_understates_the_tail() -> None:
    """Two partitions, one visible at once and one late: the pooled count would call half of the late ones early."""
    arrivals = Curve(np.array([0.0, 10.0]), np.array([0.0, 100.0]))
    polls = [Poll(t, t, {0: min(98, 10 * int(t)), 1: 99 if t >= 20 else -1}, {}) for t in np.arange(0.0, 22.0)]
    _, latency = latencies(arrivals, 0, 2, polls)
    late = latency[1::2]
    assert late.min() >= 20 - 10 and latency[::2].max() <= 1.1
    assert summary(latency, polls, 0, 22).p99_seconds > 19


def test_records_that_never_became_visible_are_refused() -> None:
    arrivals = Curve(np.array([0.0, 1.0]), np.array([0.0, 10.0]))
    polls = [Poll(0.0, 0.1, {}, {}), Poll(2.0, 2.1, {0: 7}, {})]
    _, latency = latencies(arrivals, 0, 1, polls)
    with pytest.raises(ObservationError, match="2 of 10 records were never seen"):
        summary(latency, polls, 0.0, 2.0)


def test_whole_batches_hold_one_rate_only(pipe: LabRun) -> None:
    for step in pipe.steps():
        records = [b.records for b in whole_batches(pipe, step)]
        assert len(records) >= 18
        assert max(abs(n - 2 * step.rate) for n in records) <= 0.05 * 2 * step.rate


def test_lag_before_a_commit_is_what_came_since_the_batch_before_was_cut(pipe: LabRun) -> None:
    batch = whole_batches(pipe, pipe.steps()[2])[0]
    records, age = lag(pipe, batch)
    assert records == pytest.approx(1000 * (2.0 + batch.seconds), rel=0.02)
    assert age == pytest.approx(2.0 + batch.seconds, rel=0.02)


def test_log_bytes_per_record_are_framing_arithmetic() -> None:
    """61 bytes a batch and about 9 a record (facts: kafka A1): 500-byte records, 30 a batch at 30,000 a second."""
    run = load_run(RESULTS / "fit-kafka")
    assert run.log_bytes == 95368793 + 95373765 + 95378540 + 95375582
    seen = measured(run).log_bytes_per_record
    assert seen is not None and 500 + 61 / 30 + 8 < seen < 500 + 61 / 4 + 20


def test_closed_loop_clients_obey_their_own_law(bulk_runs: list[LabRun]) -> None:
    """X = N B / R: what is missing is the client's own time between two bulks, most where there is one client."""
    loops = [run for run in bulk_runs if run.bulk is not None]
    assert len(loops) == 4
    for run in loops:
        assert run.bulk is not None
        bound = run.experiment.clients * run.experiment.bulk_documents / run.bulk.mean_seconds
        assert 0.92 * bound < run.bulk.documents / run.bulk.seconds < 1.01 * bound


def test_an_index_read_in_the_middle_of_a_merge_is_left_out(bulk_runs: list[LabRun]) -> None:
    middle, least, most, odd = index_ratio(bulk_runs)
    assert odd == ["fit-bulk-1x1000"]  # 324 MB where its equals held 208 MB: a cached size, taken as a merge ended
    assert middle == pytest.approx(0.727, abs=0.002) and (least, most) == pytest.approx((0.687, 0.733), abs=0.001)


def test_spread_merges_keep_their_bytes(pipe: LabRun) -> None:
    assert pipe.node is not None
    spread, ended = spread_merges(pipe.node), pipe.node.counters["merge_bytes"].unwrapped()
    assert spread.total[-1] == pytest.approx(ended[-1] - ended[0])
    assert (np.diff(spread.total) >= -1e-6).all()


@pytest.mark.parametrize(("name", "rate"), [("fit-pipe-2s", 1000), ("fit-noop-2s", 8000), ("fit-noop-agg", 4000)])
def test_a_task_that_reads_to_the_end_of_a_topic_waits_for_fetch_max_wait(name: str, rate: float) -> None:
    """Half a second in each reading task of the batch after the load stops; none in the tasks after a shuffle."""
    run = load_run(RESULTS / name)
    stop = run.steps()[-1]
    tasks = spark.tasks_of(run.batches, run.tasks)
    usual = np.median([t.seconds for b in whole_batches(run, stop) for t in tasks[b.number] if reads(run, t)])
    last = [b for b in run.batches if b.trigger <= stop.end + 2.1 and b.records > 0][-1]
    waited = [t.seconds - usual for t in tasks[last.number] if reads(run, t)]
    assert sorted(waited)[len(waited) // 2] > 0.3
    others = [t.seconds for t in tasks[last.number] if not reads(run, t)]
    assert max(others, default=0.0) < 0.1


def test_a_restarted_counter_goes_on() -> None:
    cut = counter("bytes in", [0.0, 10.0, 20.0, 30.0], [100.0, 200.0, 30.0, 90.0])
    assert cut.increase(0.0, 30.0) == pytest.approx(100 + 30 + 60)
    with pytest.raises(ObservationError, match=r"bytes in: asked for 25\.0\.\.40\.0 s"):
        cut.increase(25.0, 40.0)
    with pytest.raises(ObservationError, match="2 times but 1 values"):
        Counter("x", np.array([0.0, 1.0]), np.array([1.0]))


def test_what_is_not_stated_is_refused_not_zero(tmp_path: Path) -> None:
    batch = Batch(7, 0.0, 1.0, {}, 5, None, {0: 100})
    with pytest.raises(ObservationError, match="batch 7: start offsets are not stated"):
        batch.records_by_partition()
    with pytest.raises(ObservationError, match=r"states no process\.cpu\.total_in_millis"):
        elasticsearch.dig({"process": {"cpu": {"total_in_millis": None}}}, ("process", "cpu", "total_in_millis"))
    lines = [json.dumps({"t": t, "text": f"process_cpu_seconds_total {t}\n"}) for t in (0.0, 10.0)]
    (tmp_path / "scrapes.jsonl").write_text("\n".join(lines))
    with pytest.raises(ObservationError, match="fewer than two scrapes state bytes_in"):
        kafka.read_broker(tmp_path / "scrapes.jsonl", "events")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ObservationError, match=r"no experiment\.json"):
        load_run(tmp_path)


def test_a_line_cut_by_a_crash_is_left_out_but_a_broken_middle_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('\ufeff{"a": 1}\r\n{"a": 2}\r\n{"a"', encoding="utf-8")
    assert list(json_lines(path)) == [{"a": 1}, {"a": 2}]
    path.write_text('{"a": 1}\n{"a"\n{"a": 2}\n')
    with pytest.raises(ObservationError, match="line 2"):
        list(json_lines(path))
    path.write_bytes(gzip.compress(b'{"a": 1}\n')[:-6])
    with pytest.raises(ObservationError, match="cut short"):
        list(json_lines(path))


def test_exposition_text_keeps_labels_and_skips_noise() -> None:
    text = '# HELP a\na{topic="x\\"y",p="0"} 1e3 1700000000\nb NaN_\nc 2\n\x00garbage line here'
    assert [(p.name, p.value) for p in kafka.parse_exposition(text)] == [("a", 1000.0), ("c", 2.0)]
