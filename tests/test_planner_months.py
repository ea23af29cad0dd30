"""Months ahead: dates against closed forms and against stepping, and what moves them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from models.stack import Scenario
from models.units import DAY, GIB, HOUR, MIB, MONTH
from planner.forecast import coefficients_of
from planner.months_ahead import Breaking, MonthsAhead, load_of, months_ahead
from planner.months_tell import as_csv, as_html, as_json, as_markdown, as_text, headline
from planner.refusal import ScenarioError
from planner.scenario import example_text, from_yaml
from planner.storage import document_bytes, index_storage, topic_storage

BASE = """
name: ahead
flows:
- workload: {rate: 2000/s, size: 1 kB}
  topic: {partitions: 8, retention: 2 d}
  query:
    trigger: 4 s
    checkpoint: local
    sink: {kind: jvm-connector, ids: explicit}
  index: {primaries: 3, retention: 20 d}
kafka: {volume: {size: 4 TiB}}
elasticsearch: {volume: {size: 2 TiB}}
"""


@cache
def ahead(days: float = 90.0, *changes: tuple[str, str]) -> MonthsAhead:
    scenario = stack(*changes)
    return months_ahead(scenario, coefficients_of(scenario), days, start=date(2026, 12, 1))


def stack(*changes: tuple[str, str]) -> Scenario:
    text = BASE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return from_yaml(text)


def found(out: MonthsAhead, code: str) -> Breaking:
    return next(b for b in out.breaks if b.code == code)


GROWS = ("size: 1 kB}", "size: 1 kB, growth_per_month: 30 %}")
FULL = ("volume: {size: 2 TiB}", "volume: {size: 1 TiB}")


def test_without_curves_the_dates_are_those_of_the_fill() -> None:
    out = ahead(90.0, GROWS, FULL)
    c = coefficients_of(out.scenario)
    fill, log = index_storage(out.scenario, c), topic_storage(out.scenario)
    for mark in ("low", "high", "flood"):
        assert found(out, f"disk-{mark}").day == pytest.approx(fill.days_to[mark] or 0.0, abs=0.05), mark
    assert out.series["kafka"][60 * 24 - 1] == pytest.approx(
        max(held for day, held in log.curve if day <= 60.5 and day > 0), rel=0.1
    )


def test_a_campaign_brings_the_date_forward() -> None:
    """Ten times the load for two days, before the disk was nearly full."""
    plain = ahead(90.0, FULL)
    burst = ("size: 1 kB}", "size: 1 kB, bursts: [{at: 5 d, duration: 2 d, factor: 10}]}")
    assert found(ahead(90.0, FULL, burst), "disk-flood").day < found(plain, "disk-flood").day - 3
    assert found(ahead(90.0, FULL, burst), "disk-flood").day > 5


def test_growth_passes_capacity_on_the_day_that_logarithms_say() -> None:
    big = ("size: 1 kB}", "size: 1 kB, growth_per_month: 100 %}")
    out = ahead(400.0, big, ("index: {primaries: 3, retention: 20 d}", "index: {primaries: 3, retention: 1 h}"),
                ("retention: 2 d", "retention: 1 h"))  # fmt: skip
    able = out.capacity[0].per_second
    on_paper = math.log(able / 2000) / math.log(2) * MONTH / DAY
    assert found(out, "peak-over-capacity").day == pytest.approx(on_paper, abs=0.1)
    assert found(out, "lag-for-good").day == pytest.approx(on_paper, abs=1.1)
    assert found(out, "records-lost").day > on_paper


def test_records_are_lost_one_retention_after_the_block() -> None:
    out = ahead(90.0, FULL)
    stops = found(out, "disk-flood").day
    assert found(out, "records-lost").day == pytest.approx(stops + 2.0, abs=0.1)
    assert out.first is not None and out.first.code == "disk-flood"
    assert f"nothing is lost if it is read again by day {stops + 2.0:.1f}" in out.first.evidence
    assert found(out, "query-dead").day == pytest.approx(stops, abs=0.05)  # no policy starts it again
    assert out.series["unread"][-1] == pytest.approx(2000 * 2 * DAY, rel=1e-3)
    assert "disk-write-block" not in {b.code for b in out.breaks}  # at 98 %, where nothing is written any more


def test_a_full_broker_takes_nothing_in_from_then_on() -> None:
    """Its disk stays full, the index drains, and what arrives is lost at the producers at once."""
    out = ahead(60.0, ("volume: {size: 4 TiB}", "volume: {size: 300 GiB}"))
    full = found(out, "broker-disk-full").day
    assert found(out, "records-lost").day == pytest.approx(full, abs=0.06)
    assert "producers keep two minutes" in found(out, "records-lost").evidence
    hours = round(full * 24)
    assert out.series["kafka"][hours:] == pytest.approx(np.full(60 * 24 - hours, 300 * GIB))
    assert out.series["lost"].sum() == pytest.approx(2000 * (60 * DAY - full * DAY), rel=0.01)
    assert out.series["elasticsearch"][-1] < 0.1 * out.series["elasticsearch"][hours]


SUPERVISED = ("kafka: {volume", "spark: {restart: {policy: supervisor}}\nkafka: {volume")


def test_a_blocked_index_drains_by_retention_and_fills_again() -> None:
    """Hour by hour in the plainest loop: writes stop at 95 %, go on below 90 %, at what the query gets through, of what
    the topic still keeps; old documents go after twenty days throughout."""
    out = ahead(60.0, FULL, SUPERVISED)
    one = document_bytes(out.scenario.flows[0], coefficients_of(out.scenario))
    able, arrives = out.capacity[0].per_second * HOUR, 2000 * HOUR
    written: list[float] = []
    read, lost, shut, held, blocked = 0.0, 0.0, False, [], []
    for hour in range(60 * 24):
        created = arrives * (hour + 1)
        expired = max(0.0, created - arrives * 48)
        lost += max(0.0, expired - read)
        read = max(read, expired)
        took = 0.0 if shut else min(able, created - read)
        read += took
        written.append(took)
        kept = sum(written[-20 * 24 :]) * one * 2 / 3  # two copies on three nodes
        beside = 2 * (5 * GIB + 512 * MIB) if kept > 20 * GIB else kept / 2  # of two written shards on each
        held.append(kept + beside * (took > 0))
        blocked.append(shut)
        limit = 1024 * GIB
        shut = held[-1] >= 0.95 * limit if not shut else held[-1] >= 0.90 * limit
    assert out.series["elasticsearch"][24:] == pytest.approx(held[24:], rel=0.02)
    assert sum(blocked) > 24 and found(out, "writes-again").day * 24 == pytest.approx(
        next(h for h in range(1, len(blocked)) if blocked[h - 1] and not blocked[h]), abs=2
    )
    assert out.series["lost"].sum() == pytest.approx(lost, rel=0.05)
    assert "query-dead" not in {b.code for b in out.breaks}


def test_old_elasticsearch_stays_blocked() -> None:
    old = ("elasticsearch: {volume", "elasticsearch: {kind: self-managed-elasticsearch, version: '7.3', volume")
    out = ahead(60.0, FULL, SUPERVISED, old)
    assert "writes-again" not in {b.code for b in out.breaks} and found(out, "records-lost")
    assert out.series["unread"][-1] == pytest.approx(2000 * 2 * DAY, rel=1e-3)


def test_a_weekly_curve_shows_in_every_week() -> None:
    curve = ("size: 1 kB}", "size: 1 kB, weekly_curve: [1, 1, 1, 1, 1, 2, 3]}")
    out = ahead(28.0, curve)
    weeks = out.series["rate"].reshape(4, -1)
    assert np.allclose(weeks, weeks[0])
    assert weeks[0].max() / weeks[0].min() == pytest.approx(3.0)
    assert weeks[0].mean() == pytest.approx(2000)


def test_arrivals_of_an_hour_are_the_integral_of_the_rate() -> None:
    """Curve, growth and a burst of ten minutes, against ten-second steps."""
    flow = stack(("size: 1 kB}", "size: 1 kB, daily_curve: [1, 3, 2, 2], growth_per_month: 40 %, "
                  "bursts: [{at: 30 h, duration: 10 min, factor: 6}]}")).flows[0]  # fmt: skip
    load = load_of(flow, 72)
    for hour in (0, 17, 30, 31, 71):
        fine = [flow.workload.factor_at(hour * HOUR + t + 5) * 2000 for t in range(0, 3600, 10)]
        assert load.mean[hour] == pytest.approx(np.mean(fine), rel=2e-3), hour
        assert load.peak[hour] == pytest.approx(max(fine), rel=2e-3), hour


def test_a_recorded_series_goes_on_at_its_mean() -> None:
    flow = stack(("rate: 2000/s, size: 1 kB", "size: 1 kB, steps: [[6 h, 1000/s], [6 h, 3000/s]]")).flows[0]
    load = load_of(flow, 48)
    assert list(load.mean[:12]) == pytest.approx([1000.0] * 6 + [3000.0] * 6)
    assert load.mean[12:] == pytest.approx(np.full(36, 2000.0))


def test_more_volume_never_breaks_earlier() -> None:
    small, large = ahead(90.0, FULL), ahead(90.0)
    assert all(b.day >= found(small, b.code).day - 1e-9 for b in large.breaks if b.code.startswith("disk-"))


def test_state_without_a_watermark_fills_the_heap_on_its_day() -> None:
    """2,000 keys a second of 213 B over two executors of 8 GiB, 70 % of them: 3.3 days."""
    state = (
        "    trigger: 4 s",
        "    trigger: 4 s\n    state: {shuffle_partitions: 8, keys: 0, watermark_delay: never}",
    )
    out = ahead(20.0, state)
    assert found(out, "state-full").day == pytest.approx(0.7 * 8 * 1024**3 * 2 / (2000 * 213) / DAY, abs=0.05)


def test_ebs_credits_of_small_brokers_are_spent() -> None:
    """3 × 60 MB/s on three m7g.large, whose 78.8 MB/s baseline carries no more, nor does half an hour
    a day of 1.25 GB/s. Against stepping the bucket hour by hour."""
    heavy = ("rate: 2000/s, size: 1 kB", "rate: 100000/s, size: 1 kB")
    wide = ("kafka: {volume: {size: 4 TiB}}", "kafka: {volume: {size: 60 TiB, throughput: 500 MiB/s}}")
    out = ahead(20.0, heavy, wide, ("partitions: 8", "partitions: 48"))
    day = found(out, "kafka-ebs-credits").day
    from models.machines import machine
    from planner.limits import limits

    box = machine("m7g.large")
    base, peak = box.ebs_baseline_bytes_per_second, box.ebs_peak_bytes_per_second
    used = next(x for x in limits(out.scenario, coefficients_of(out.scenario)) if x.name == "kafka volume").utilisation
    left, hours = (peak - base) * 1800, 0
    while left >= 0:
        left += (base - min(used * base, peak, 500 * 1024**2)) * HOUR
        hours += 1
    assert day == pytest.approx(hours / 24, abs=0.05)


def test_network_credits_of_small_brokers_are_spent() -> None:
    """m7g.large sustains 117 MB/s of 1.56 GB/s; five minutes of the difference is what the bucket holds. Against
    stepping it hour by hour; a machine whose peak is sustained has none."""
    heavy = ("rate: 2000/s, size: 1 kB", "rate: 140000/s, size: 1 kB")
    wide = ("kafka: {volume: {size: 4 TiB}}", "kafka: {volume: {size: 60 TiB, throughput: 500 MiB/s}}")
    out = ahead(20.0, heavy, wide, ("partitions: 8", "partitions: 48"))
    from models.credits import network_bucket
    from models.machines import machine
    from planner.limits import limits

    card = network_bucket(machine("m7g.large"))
    assert card is not None and network_bucket(machine("m7g.16xlarge")) is None
    for way in ("in", "out"):
        used = next(x for x in limits(out.scenario, coefficients_of(out.scenario)) if x.name == f"kafka network {way}")
        left, hours = card.size, 0
        while left >= 0:
            left += (card.baseline - min(used.utilisation * card.baseline, card.peak)) * HOUR
            hours += 1
        assert found(out, f"kafka-network-{way}-credits").day == pytest.approx(hours / 24, abs=0.05)


def test_rolled_over_shards_reach_the_cap_on_their_day() -> None:
    """72 indices a day of 3 × 2 shards over three nodes: the thousandth on a node is there in a week."""
    index = ("index: {primaries: 3, retention: 20 d}", "index: {primaries: 3, retention: 20 d, rollover: 20 min}")
    assert found(ahead(20.0, index), "shards-cap").day == pytest.approx(500 / 72, abs=0.1)


def test_what_is_broken_from_the_start_is_not_the_first_to_break() -> None:
    scenario = from_yaml(example_text("events"))
    out = months_ahead(scenario, coefficients_of(scenario), 30, start=date(2026, 12, 1))
    assert "batches-late" in {b.code for b in out.already}
    assert out.first is not None and out.first.code == "disk-flood"
    assert "2026-12-10" in headline(out)


@pytest.mark.parametrize(("rate", "partitions"), [("1/s", 64), ("100/s", 1)])
def test_a_trickle_as_fast_as_possible_is_carried_too(rate: str, partitions: int) -> None:
    """Batches of a record or none, under a cap that they never reach."""
    told = ahead(3.0, ("rate: 2000/s", f"rate: {rate}"), ("partitions: 8", f"partitions: {partitions}"),
                 ("trigger: 4 s", "trigger: asap\n    max_offsets_per_trigger: 1000"))  # fmt: skip
    assert told.capacity[0].per_second > 0 and told.series["unread"].max() < 1e5


def test_a_horizon_that_is_none_is_refused() -> None:
    scenario = stack()
    with pytest.raises(ScenarioError, match="expected 1 to"):
        months_ahead(scenario, coefficients_of(scenario), 0.1)


def test_months_are_told_in_every_format() -> None:
    out = ahead(90.0, FULL)
    told = json.loads(as_json(out))
    assert told["first"]["date"] and len(told["days"]["kafka"]) == 90 and told["marks_bytes"]["elasticsearch"]["flood"]
    assert len(as_csv(out).splitlines()) == 91
    assert "First to break" in as_markdown(out) and "First to break" in as_text(out)
    page = as_html(out)
    assert "Fullest data node" in page and "<script src" not in page


def test_the_command_exits_with_3_when_something_breaks(tmp_path: Path, root: Path) -> None:
    path = tmp_path / "ahead.yaml"
    path.write_text(BASE.replace("size: 2 TiB", "size: 1 TiB"), encoding="utf-8")
    ask = [sys.executable, "-m", "planner", "months", str(path), "--horizon", "60 d", "--start", "2026-12-01"]
    out = subprocess.run(ask, capture_output=True, text=True, cwd=root, timeout=120)
    assert out.returncode == 3, out.stderr
    assert "First to break" in out.stdout
    wrong = subprocess.run([*ask[:-1], "1.12.2026"], capture_output=True, text=True, cwd=root, timeout=60)
    assert wrong.returncode == 1 and "expected a date such as 2026-12-01" in wrong.stderr
    wrong = subprocess.run([*ask[:-3], "soon"], capture_output=True, text=True, cwd=root, timeout=60)
    assert wrong.returncode == 1 and "--horizon 'soon'" in wrong.stderr


def test_a_small_flow_is_not_held_to_its_neighbour_s_peak() -> None:
    """Beside a flow whose growth ends at ten times the load, another gets through about what it does alone."""
    start = BASE.index("- workload")
    flow, rest = BASE[start : BASE.index("kafka:")], BASE[BASE.index("kafka:") :]
    small = flow.replace("- workload: {rate: 2000/s", "- name: small\n  workload: {rate: 50/s")
    both = from_yaml("name: two\nflows:\n" + flow.replace(*GROWS) + small + rest)
    alone = from_yaml("name: one\nflows:\n" + small + rest)
    told = {c.flow: c.per_second for c in months_ahead(both, coefficients_of(both), 60).capacity}
    lone = months_ahead(alone, coefficients_of(alone), 60).capacity[0].per_second
    assert 0.5 * lone < told["small"] <= 1.2 * lone
