"""The quick answer is the whole one with less in it; what a page says is what the forecast holds."""

from __future__ import annotations

import math

import pytest

from planner.breaks import breaks
from planner.forecast import Forecast, forecast
from planner.quick import quick
from planner.scenario import example
from planner.told import changed_fields, main_numbers, verdict
from planner.told_parts import answer_rows, bill_beside, bill_lines, bill_table, memory_rows


@pytest.fixture(scope="module")
def fast() -> Forecast:
    return quick(example())


@pytest.fixture(scope="module")
def slow() -> Forecast:
    once = example().model_copy(update={"run": example().run.model_copy(update={"repeats": 1})})
    return forecast(once, draws_of_coefficients=0)


def test_the_quick_answer_is_the_first_run_of_the_whole_one(fast: Forecast, slow: Forecast) -> None:
    assert fast.latency.p99_seconds == slow.latency.p99_seconds
    assert fast.lag.max_records.value == slow.lag.max_records.value
    assert fast.storage == slow.storage and fast.memory == slow.memory
    assert fast.bill.monthly_usd == slow.bill.monthly_usd


def test_the_screened_rate_lies_as_near_the_simulated_one_as_it_says(fast: Forecast, slow: Forecast) -> None:
    assert fast.throughput.sustainable.value == pytest.approx(slow.throughput.sustainable.value, rel=0.43)
    assert "screened" in fast.throughput.sustainable.note


def test_what_the_quick_answer_left_out_is_not_judged(fast: Forecast, slow: Forecast) -> None:
    assert {t.target for t in slow.targets} - {t.target for t in fast.targets} == {"catch_up"}
    told = next(n for n in main_numbers(fast) if n.label.startswith("catch-up"))
    assert math.isnan(told.number) and told.beside == "with the whole forecast" and told.judged == ""


def test_the_verdict_names_what_is_broken_what_comes_next_and_the_money(slow: Forecast) -> None:
    said = verdict(slow)
    broken = [t for t in slow.targets if not t.holds]
    assert said.startswith(f"{len(broken)} of {len(slow.targets)} targets") and said.count("\n") == 0
    assert "p99 31" in said and "flood stage on day 10" in said and f"{slow.bill.monthly_usd:,.0f} USD a month" in said


def test_breaks_come_in_the_order_of_time_with_the_disks_own_dates(slow: Forecast) -> None:
    found = breaks(slow)
    assert [b.days for b in found] == sorted(b.days for b in found)
    days = {d for fill in slow.storage.values() for d in fill.days_to.values() if d is not None}
    assert days <= {b.days for b in found}
    grown = next(b for b in found if "outgrows" in b.what)
    months = grown.days * 86400 / (730 * 3600)
    peak = slow.throughput.peak_events_per_second * 1.05**months
    assert peak == pytest.approx(slow.throughput.sustainable.value, rel=1e-6)


def test_every_number_of_a_page_has_a_source(slow: Forecast) -> None:
    assert all(n.source and n.value for n in main_numbers(slow))
    assert all(row[1].source for row in answer_rows(slow)[1])
    assert all(row[4].text and row[5].text for row in memory_rows(slow)[1])


def test_tables_of_a_bill_add_up_to_it(slow: Forecast) -> None:
    head, rows = bill_table(slow.bill)
    cells = [float(c.text.replace(",", "") or 0) for row in rows[:-1] for c in row[1:-1]]
    assert sum(cells) == pytest.approx(float(slow.bill.monthly_usd), abs=len(cells) / 2)
    assert rows[-1][-1].text == f"{slow.bill.monthly_usd:,.0f}" and len(head) == len(rows[0])
    lines = bill_lines(slow.bill)[1]
    assert sum(float(row[5].text.replace(",", "")) for row in lines) == pytest.approx(float(slow.bill.monthly_usd))
    same = bill_beside(slow.bill, slow.bill)[1]
    assert all(row[-1].text == "" for row in same), "a bill differs from itself in nothing"


def test_changed_fields_are_told_in_the_units_of_people() -> None:
    a = example()
    flow = a.flows[0]
    b = a.model_copy(update={
        "flows": (flow.model_copy(update={"topic": flow.topic.model_copy(update={"retention": 86400.0})}),),
        "kafka": a.kafka.model_copy(update={"heap": 4 * 2.0**30, "tls": not a.kafka.tls}),
    })  # fmt: skip
    assert changed_fields(a, b) == [
        ("flows[0].topic.retention", "7 d", "24 h"), ("kafka.heap", "6 GiB", "4 GiB"),
        ("kafka.tls", str(a.kafka.tls), str(b.kafka.tls)),
    ]  # fmt: skip
    assert changed_fields(a, a) == []
