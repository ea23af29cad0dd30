"""Results in a notebook: each shows what the terminal shows, is a tidy table, and draws every chart that it names."""

from __future__ import annotations

from datetime import date
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

import floodmark as fm
from calibration.watch import Drift
from planner.watch import Watch

EVENTS = fm.example("events")
POLICY = {"kind": "dynamic-allocation", "least": 1, "most": 8}
DRIFT = Drift("a batch's tasks", ("spark.task_cpu_seconds",), 1.4, 1.3, 1.5, 50)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    short = fm.forecast(EVENTS, draws_of_coefficients=2)
    louder = fm.with_values(EVENTS, {"flows[0].workload.rate": "3000/s"})
    report = fm.finance_report(EVENTS, simulated=False, draws=0, horizon=3)
    before = fm.review(fm.finance_report(louder, simulated=False, draws=0, horizon=1))
    return {
        "forecast": short, "bill": short.bill, "report": report,
        "moved": fm.held_against(report, before).against,
        "compare": fm.compare([EVENTS, louder], draws_of_coefficients=2)[0],
        "drills": fm.drill(EVENTS, "broker-lost", "zone-lost"),
        "sweep": fm.sweep(EVENTS, {"flows[0].query.trigger": ["5 s", "10 s"]}),
        "sizers": fm.sizers(EVENTS),
        "months": fm.months_ahead(EVENTS, days=60),
        "scaling": fm.scaling(fm.with_values(EVENTS, {"spark.scaling": POLICY}), days=0.25),
        "watch": Watch(fm.load_set("lab-2026-11-23"), ("today",), date(2026, 11, 24), [], [DRIFT], {}, 0.2),
    }  # fmt: skip


NAMES = ("forecast", "bill", "report", "moved", "compare", "drills", "sweep", "sizers", "months", "scaling", "watch")


@pytest.mark.parametrize("name", NAMES)
def test_every_chart_draws(results: dict[str, Any], name: str):
    result = results[name]
    assert result.charts()
    for chart in result.charts():
        figure = result.plot(chart)
        assert isinstance(figure, go.Figure)
        assert len(figure.data) > 0, chart


@pytest.mark.parametrize("name", NAMES)
def test_a_table_is_tidy(results: dict[str, Any], name: str):
    table = results[name].to_frame()
    assert isinstance(table, pd.DataFrame)
    assert len(table) > 0
    assert table.columns.is_unique
    assert all(isinstance(column, str) for column in table.columns)


@pytest.mark.parametrize("name", NAMES)
def test_words_and_colours_say_the_same(results: dict[str, Any], name: str):
    import html
    import re

    bundle = results[name]._repr_mimebundle_()
    bare = html.unescape(re.sub("<[^>]+>", "", bundle["text/html"]))
    assert bare.split() == bundle["text/plain"].split()
    assert "\x1b" not in bundle["text/plain"]


def test_months_are_a_row_a_day_with_the_disks_of_the_same_hours(results: dict[str, Any]):
    months, table = results["months"], results["months"].to_frame()
    assert table["day"].tolist() == list(range(1, 61)) and "date" not in table, "an average month has no dates"
    assert table["kafka"].iloc[-1] == months.series["kafka"][-24:].max()
    dated = fm.months_ahead(EVENTS, days=3, start=date(2026, 12, 31)).to_frame()
    assert [str(day.date()) for day in dated["date"]] == ["2026-12-31", "2027-01-01", "2027-01-02"]


def test_the_tables_are_the_bill_to_the_cent(results: dict[str, Any]):
    bill = results["bill"]
    assert bill.to_frame()["usd_a_month"].sum() == pytest.approx(float(bill.monthly_usd), abs=0.005)
    moved = results["moved"]
    table = moved.to_frame()
    assert table["quantity_usd"].sum() + table["price_usd"].sum() == pytest.approx(
        float(moved.is_usd - moved.was_usd), abs=0.005
    )


def test_a_chart_that_there_is_not_names_the_nearest(results: dict[str, Any]):
    with pytest.raises(fm.ScenarioError, match="no chart 'Latencies'; did you mean 'Latency'"):
        results["forecast"].plot("Latencies")


def peers() -> Any:
    """The workload of peers.md D1: 100 MiB/s on the mean, 200 at the peak, two groups, three copies, a day."""
    return fm.with_values(EVENTS, {
        "flows[0].workload.rate": "102400/s", "flows[0].workload.size": "1 KiB",
        "flows[0].workload.daily_curve": [2.0] * 6 + [2 / 3] * 18,
        "flows[0].topic.partitions": 300, "flows[0].topic.retention": "1 d", "flows[0].topic.consumer_groups": 1,
        "flows[0].topic.producer.compression": "none", "flows[0].topic.producer.partitioner": "sticky",
        "flows[0].topic.producer.count": 12, "flows[0].topic.producer.linger": "20 ms",
        "flows[0].topic.producer.batch_size": "128 KiB", "flows[0].query.sink.kind": "noop",
        "flows[0].query.state": None, "spark.executors": 12, "kafka.machine": "m7g.2xlarge",
        "kafka.volume.size": "6 TiB", "kafka.volume.throughput": "312 MiB/s",
    })  # fmt: skip


def test_the_rules_answer_as_they_are_published():
    """peers.md D1: script 9 brokers of 8 vCPU, equation 1 at 80 % three; AKalculator 40 vCPU, here by zones."""
    found = fm.sizers(peers()).to_frame()
    assert found["brokers"].tolist() == [9, 3, 6]
    assert found["vcpu"].tolist() == [72, 24, 48]
    assert found["brokers_usd"][0] == pytest.approx(5361, abs=1)


def test_rules_in_bytes_are_blind_to_batches():
    """Keyed records in 300 partitions come a record a request: the rules' answers stay, two clusters are full."""
    wide = {"flows[0].topic.producer.buffer_memory": "512 MiB"}
    sticky = fm.sizers(fm.with_values(peers(), wide)).to_frame()
    keyed = fm.sizers(fm.with_values(peers(), wide | {"flows[0].topic.producer.partitioner": "keyed"})).to_frame()
    assert sticky["brokers"].tolist() == keyed["brokers"].tolist()
    assert sticky["holds"].all()
    assert (keyed["busiest"] > sticky["busiest"]).all()
    assert keyed["holds"].tolist() == [True, False, False]


def test_a_machine_that_the_script_does_not_know_is_refused():
    with pytest.raises(fm.ScenarioError, match=r"kafka\.machine = i3en\.large; the script knows"):
        fm.sizers(fm.with_values(EVENTS, {"kafka.machine": "i3en.large", "kafka.kind": "self-managed"}))
