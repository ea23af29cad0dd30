"""The forecast: its answers against closed forms and against its own runs, its intervals, its verdict."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import floodmark as fm
from models.coefficients import load_set
from models.stack import Scenario
from planner import forecast_parts
from planner.answers import Answer
from planner.domain import measured_ranges, watched
from planner.engine import simulate
from planner.forecast_schema import forecast_schema
from planner.scenario import example, from_yaml, validated
from planner.student import quantile
from planner.tell import answers, as_csv, as_json, as_markdown
from planner.throughput import WINDOWS, Tried, _closed_in, _regression, bottleneck, lag_grows, steady
from planner.uncertainty import FURTHEST, Z, answer, draws, t_factor


@pytest.fixture(scope="module")
def lab() -> Scenario:
    return example("lab")


@pytest.fixture(scope="module")
def out(lab: Scenario) -> fm.Forecast:
    promised = lab.targets.model_copy(update={"p99": 60.0, "p50": 0.01, "survive": ("broker",)})
    return fm.forecast(lab.model_copy(update={"targets": promised}), seed=5)


def test_the_json_is_as_its_schema_says(out: fm.Forecast) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    data = json.loads(as_json(out))
    jsonschema.Draft202012Validator.check_schema(forecast_schema())
    errors = list(jsonschema.Draft202012Validator(forecast_schema()).iter_errors(data))
    assert [f"{list(e.path)}: {e.message}" for e in errors] == []


def test_the_json_holds_what_was_asked_for(out: fm.Forecast) -> None:
    data = out.as_dict()
    assert data["schema_version"] == 1
    for name in ("p50", "p90", "p95", "p99", "p999"):
        assert data["latency"]["end_to_end"][f"{name}_seconds"]["unit"] == "s"
    assert data["throughput"]["sustainable_events_per_second"]["value"] > 0
    assert set(data["lag"]) >= {"max_records", "max_seconds", "catch_up_seconds"}
    assert data["data_loss"] == {"records": 0.0} and data["duplicates"]["documents"] == 0.0
    assert all(
        set(w) == {"code", "severity", "where", "message", "evidence", "remedy", "source"} for w in data["warnings"]
    )
    assert from_yaml(json.dumps(data["scenario"])) == out.scenario  # JSON is YAML: the answer repeats the question


def test_same_seed_same_answers_and_another_seed_others(lab: Scenario) -> None:
    quick = lab.model_copy(update={"run": lab.run.model_copy(update={"repeats": 2})})
    one, two, other = (fm.forecast(quick, seed=s, draws_of_coefficients=2) for s in (1, 1, 2))
    assert as_json(one) == as_json(two)
    assert one.latency.p50_seconds != other.latency.p50_seconds


def test_quantiles_rise(out: fm.Forecast) -> None:
    values = [a.value for a in out.latency.end_to_end.values()]
    assert values == sorted(values)


def test_hops_add_up_to_the_mean(out: fm.Forecast) -> None:
    """Each repeat's hops are means over the same records as its histogram."""
    for trace in out.traces:
        flow = trace.flows["events"]
        assert sum(flow.hops.values()) == pytest.approx(flow.latency.mean, rel=0.03)


def test_the_real_stack_is_less_certain_than_one_run(out: fm.Forecast) -> None:
    for _, name, a in answers(out):
        if a.sampling is not None and a.forecast is not None:
            assert a.forecast.low <= a.sampling.low <= a.value <= a.sampling.high <= a.forecast.high, name


def test_the_verdict_follows_the_targets(out: fm.Forecast) -> None:
    told = {t.target: t for t in out.targets}
    assert told["p99"].holds and told["p99"].sure
    assert not told["p50"].holds and told["p50"].sure
    assert not told["survive broker"].holds  # one copy
    assert not out.holds


def test_p99_is_a_lower_bound_where_no_pause_process_was_fitted(lab: Scenario) -> None:
    """Fitted on the laboratory for the laboratory; a set's own guess, or another kind of stack, is not."""
    few = lab.run.model_copy(update={"measure": 20.0, "repeats": 1})
    short = lab.model_copy(update={"run": few, "targets": lab.targets.model_copy(update={"p99": 1e4})})
    fitted = fm.forecast(short, draws_of_coefficients=2)
    guessed = fm.forecast(
        short.model_copy(update={"overrides": {"spark.pause_seconds": 0.02}}), draws_of_coefficients=2
    )
    tails = [{name: a.lower_bound for name, a in f.latency.end_to_end.items()} for f in (fitted, guessed)]
    assert not any(tails[0].values())
    assert tails[1] == {"p50": False, "p90": False, "p95": False, "p99": True, "p999": True}
    assert "≥" in guessed.as_text() and "≥" not in fitted.as_text().partition("latency")[2].partition("throughput")[0]
    assert [f.targets[0].sure for f in (fitted, guessed)] == [True, False]
    p99 = next(line for line in as_csv(guessed).splitlines() if "end_to_end.p99_" in line)
    assert p99.endswith(",yes") and as_csv(fitted).count(",yes") == 0
    assert [sum(w.code == "tail-lower-bound" for w in f.warnings) for f in (fitted, guessed)] == [0, 1]
    assert forecast_parts._pauses_unknown(load_set("generic-2026-11"), "never measured")


def test_without_targets_nothing_is_broken(lab: Scenario) -> None:
    quick = lab.model_copy(update={"run": lab.run.model_copy(update={"repeats": 1})})
    told = fm.forecast(quick, draws_of_coefficients=0)
    assert told.holds and told.targets == []
    assert told.latency.end_to_end["p50"].forecast is None and told.latency.end_to_end["p50"].sampling is None


def test_the_ledger_lists_what_was_read_and_nothing_else(out: fm.Forecast) -> None:
    names = {row["name"] for rows in out.provenance["ledger"].values() for row in rows}
    assert {"spark.local_commit_seconds", "sink.python_record_cpu_seconds", "index.bytes_per_json_byte"} <= names
    assert "spark.s3_commit_seconds" not in names and "sink.jvm_record_cpu_seconds" not in names


def test_a_scenario_outside_what_was_measured_is_extrapolated(lab: Scenario) -> None:
    c = load_set("lab-2026-11-23")
    inside = {r["quantity"]: r["domain"] for r in measured_ranges(lab, c)}
    assert set(inside.values()) == {"measured"}
    flow = lab.flows[0]
    wide = flow.model_copy(update={"topic": flow.topic.model_copy(update={"partitions": 64})})
    outside = {r["quantity"]: r["domain"] for r in measured_ranges(lab.model_copy(update={"flows": (wide,)}), c)}
    assert outside["partitions"] == "extrapolated" and outside["record_bytes"] == "measured"


def test_watching_a_set_changes_no_value() -> None:
    c = load_set("lab-2026-11-23")
    seen, read = watched(c)
    assert seen["index.zstd_ratio"] == c["index.zstd_ratio"] and read == {"index.zstd_ratio"}


def test_periodic_batches_without_cost_wait_half_a_trigger() -> None:
    """engine.md A4: gated micro-batch, mean D/2 + s0; here s0 is known from the run itself."""
    text = (
        "name: gated\nflows:\n- workload: {rate: 200/s, size: 100 B, arrivals: deterministic}\n"
        "  topic: {partitions: 1}\n  query: {trigger: 10 s, checkpoint: local, sink: {kind: jvm-connector}}\n"
        "  index: {primaries: 1, copies: 1, refresh_interval: 10 ms}\nrun: {measure: 100, warm_up: 20}\n"
    )
    told = fm.forecast(from_yaml(text), draws_of_coefficients=0)
    hops = {name: a.value for name, a in told.latency.by_hop.items()}
    assert hops["produce"] + hops["trigger_wait"] == pytest.approx(5.0, rel=0.03)
    assert told.latency.p50_seconds == pytest.approx(5.0 + hops["process"] + hops["refresh"], rel=0.05)


# ---------------------------------------------------------------- intervals


def test_students_t_is_the_tables() -> None:
    """Two-sided 90 %: 6.314, 2.353, 1.860 for 1, 3, 8 degrees of freedom (any table)."""
    assert [round(t_factor(n), 3) for n in (2, 4, 9)] == [6.314, 2.353, 1.860]


def test_students_t_is_scipys() -> None:
    special = pytest.importorskip("scipy.special")
    for freedom in (1, 2, 3, 4, 7, 30, 99, 100, 299, 300, 5000):
        assert quantile(0.95, freedom) == pytest.approx(float(special.stdtrit(freedom, 0.95)), rel=2e-6)


def test_the_sampling_interval_holds_the_next_run_nine_times_in_ten() -> None:
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(2000):
        runs = np.exp(rng.normal(1.0, 0.2, 5))
        told = answer(list(runs[:4]), [], "s", "measured")
        assert told.sampling is not None
        inside += told.sampling.low <= runs[4] <= told.sampling.high
    assert inside / 2000 == pytest.approx(0.90, abs=4 * math.sqrt(0.09 / 2000))


def test_a_run_without_end_is_said() -> None:
    told = answer([math.inf, math.inf, 2.0], [2.0, 2.0], "s", "measured")
    assert math.isinf(told.value) and told.as_dict()["value"] is None and told.as_dict()["unbounded"]
    some = answer([2.0, 2.1, 2.2], [2.0, math.inf, 2.1, math.inf], "s", "measured")
    assert some.forecast is not None and math.isinf(some.forecast.high) and "2 of 4 draws" in some.note


def test_nothing_counted_is_not_zero() -> None:
    told = answer([math.nan, math.nan], [], "s", "measured")
    assert math.isnan(told.value) and told.as_dict()["value"] is None and told.note == "nothing was counted"


def test_draws_keep_to_their_intervals(lab: Scenario) -> None:
    """Nine in ten within low and high, all within what 2.5 standard deviations reach."""
    c = load_set("generic-2026-11")
    drawn = draws(c, lab, 64, seed=1)
    names = [n for n, k in c.values.items() if 0 < k.low < k.value < k.high and n != "hosts.smt_yield"]
    names = [n for n in names if "cpu_seconds" not in n]  # those also carry the machine's residual
    inside = [c.values[n].low <= d[n] <= c.values[n].high for n in names for d in drawn]
    assert np.mean(inside) == pytest.approx(0.90, abs=0.02)
    for n in names:
        reach = (c.values[n].high / c.values[n].value) ** (FURTHEST / Z)
        assert max(d[n] for d in drawn) <= c.values[n].value * reach * 1.0001
    assert draws(c, lab, 4, seed=1)[0].values == draws(c, lab, 4, seed=1)[0].values


def test_a_coefficient_without_an_interval_is_not_drawn(lab: Scenario) -> None:
    exact = lab.model_copy(update={"overrides": {"spark.launch_seconds": 0.001}})
    from planner.forecast import coefficients_of

    assert {d["spark.launch_seconds"] for d in draws(coefficients_of(exact), exact, 8, seed=1)} == {0.001}


# ---------------------------------------------------------------- throughput


def test_the_slope_is_least_squares() -> None:
    rng = np.random.default_rng(2)
    x = np.arange(40.0)
    y = 3 * x + rng.normal(0, 5, 40)
    slope, error = _regression(x, y)
    fit, covariance = np.polyfit(x, y, 1, cov="unscaled")
    rest = y - np.polyval(fit, x)
    assert slope == pytest.approx(fit[0])
    assert error == pytest.approx(math.sqrt(covariance[0, 0] * (rest**2).sum() / 38))


def test_the_sustainable_rate_holds_and_a_fifth_more_does_not(out: fm.Forecast, lab: Scenario) -> None:
    """Over ten times the batches; with the same dice, as runs differ by their own luck (spark.run_sigma)."""
    c = load_set(lab.coefficients)
    mean = lab.flows[0].workload.events_per_second
    factor = float(out.throughput.sustainable.note.split("held at ")[1].split(",")[0])
    for times, grows in ((0.97, False), (1.2, True)):
        long = steady(lab, 1000.0, 300.0)
        trace = simulate(long, c, seed=out.seed, rate_factor=factor * times, settle=False)
        assert lag_grows(trace, "events", mean * factor * times, 300.0).grows is grows, times


@settings(max_examples=200, deadline=None)
@given(limit=st.floats(0.3, 40.0), guess=st.floats(0.5, 30.0), open_from=st.floats(0.3, 1.0), ceiling=st.floats(5, 50))
def test_the_bracket_holds_the_limit_and_little_is_simulated_at_length(
    limit: float, guess: float, open_from: float, ceiling: float
) -> None:
    """Short runs that leave open what lies just below the limit; long ones that never do."""
    long = []

    def tried(factor: float, window: tuple[int, int]) -> Tried:
        short = window == WINDOWS[0]
        if not short:
            long.append(factor)
        left_open = short and open_from * limit < factor < 1.02 * limit
        return Tried(None, factor > limit, not left_open, "")  # type: ignore[arg-type]

    low, high, known = _closed_in(tried, ceiling, min(guess, ceiling))
    assert low <= limit and low <= ceiling and (low == 0 or not known[low].grows)
    assert math.isinf(high) or high > limit
    near = limit / 2.5 < min(guess, ceiling) < 1.3 * limit
    assert not near or low >= min(ceiling, limit) / 1.15  # six tests reach that far from a guess that is not wild
    assert len(long) <= 6 and len(set(long)) == len(long)


def test_the_bottleneck_is_what_is_full(out: fm.Forecast) -> None:
    found = out.throughput.loads
    assert [load.utilisation for load in found] == sorted((load.utilisation for load in found), reverse=True)
    assert out.throughput.bottleneck == bottleneck(found) and out.throughput.bottleneck.utilisation > 0.85


def test_a_full_network_card_binds_before_the_query(lab: Scenario) -> None:
    data = lab.model_dump(mode="json")
    data["hosts"][0]["network"] = 2e6  # bytes a second
    quick = validated(data | {"run": {"repeats": 1, "measure": 40, "warm_up": 10}})
    told = fm.forecast(quick, draws_of_coefficients=0).throughput
    assert told.bottleneck.kind == "network" and told.bottleneck.utilisation == pytest.approx(1.0, abs=0.1)


def test_a_cap_binds_at_its_own_rate(lab: Scenario) -> None:
    """Spark takes at most the cap each trigger: 500 records every 2 s are 250 a second, whatever is idle."""
    flow = lab.flows[0]
    query = flow.query.model_copy(update={"max_offsets_per_trigger": 500})
    capped = lab.model_copy(update={"flows": (flow.model_copy(update={"query": query}),)})
    told = fm.forecast(capped, draws_of_coefficients=0).throughput
    assert told.sustainable_events_per_second == pytest.approx(250, rel=0.05)
    assert told.bottleneck.name == "events maxOffsetsPerTrigger"


@pytest.mark.parametrize("rate", ["1/h", "300k/s"])
def test_capacity_does_not_depend_on_what_is_offered(rate: str) -> None:
    text = (
        "name: x\nflows:\n- workload: {rate: RATE, size: 1 kB}\n  topic: {partitions: 6}\n"
        "  query: {trigger: 4 s, checkpoint: local, sink: {kind: jvm-connector}}\n  index: {primaries: 3}\n"
        "run: {measure: 30, repeats: 1}\n"
    )
    usual, other = (fm.forecast(from_yaml(text.replace("RATE", r)), draws_of_coefficients=0) for r in ("2k/s", rate))
    expected = usual.throughput.sustainable_events_per_second
    assert other.throughput.sustainable_events_per_second == pytest.approx(expected, rel=0.2)


def test_a_trigger_of_a_day_is_refused(lab: Scenario) -> None:
    flow = lab.flows[0]
    slow = flow.model_copy(update={"query": flow.query.model_copy(update={"trigger": 86400.0})})
    with pytest.raises(fm.ScenarioError, match=r"flows\[0\]\.query\.trigger = 24 h; expected at most"):
        fm.forecast(lab.model_copy(update={"flows": (slow,)}))


def test_catching_up_takes_backlog_over_spare_rate(lab: Scenario) -> None:
    """spark.md A3: B / (mu - lambda), for JVMs warm at once and batches of one size.

    Without a cap a backlog's batches are larger than those at capacity, so cheaper a record, and it takes less.
    """
    flow, seconds = lab.flows[0], []
    for most in (8000, None):
        capped = flow.model_copy(update={"query": flow.query.model_copy(update={"max_offsets_per_trigger": most})})
        warm = lab.model_copy(update={"flows": (capped,), "overrides": {"spark.warm_amplitude": 0.0}})
        told = fm.forecast(warm, draws_of_coefficients=0)
        lam, mu = told.throughput.peak_events_per_second, told.throughput.sustainable_events_per_second
        seconds.append((told.lag.catch_up_seconds, 600 * lam / (mu - lam)))
    (capped_took, capped_law), (took, law) = seconds
    assert capped_took == pytest.approx(capped_law, rel=0.15)
    assert 0.5 * law < took < law and took < capped_took


def test_every_draw_has_caught_up_when_it_is_as_it_was_before_the_outage(
    out: fm.Forecast, lab: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Held against the central stack's batches, a draw with longer ones would never be seen to catch up."""
    asked = []

    def catch_up(*args: Any) -> tuple[float, str]:
        asked.append(args[4]["events"])
        return 1.0, ""

    monkeypatch.setattr(forecast_parts, "catch_up_seconds", catch_up)
    traces = [*out.traces[:2], *out.drawn[:3]]
    sets = draws(load_set(lab.coefficients), lab, 3, 5)
    forecast_parts.caught_up(lab, sets[0], sets, 5, traces[:2], traces[2:], "measured")
    lasted = []
    for trace in traces:
        batches = trace.flows["events"].counted(trace.measured_from, trace.measured_until)
        lasted.append(batches["finished"] - batches["started"])
    assert asked == [np.median(np.concatenate(lasted[:2])), *(np.median(own) for own in lasted[2:])]
    assert len(set(asked)) == 4


def test_a_cold_start_catches_up_later(lab: Scenario) -> None:
    """One backlog's extra work is w0 ln(1 + A s), s the JVM's share: 5 of the laboratory's CPU seconds with Python's
    records, 14 if the JVM did it all; longer by what arrives meanwhile, and in whole batches."""
    cold, warm = (
        fm.forecast(lab.model_copy(update={"overrides": changed}), draws_of_coefficients=0)
        for changed in ({}, {"spark.warm_amplitude": 0.0})
    )
    assert 2.0 < cold.lag.catch_up_seconds - warm.lag.catch_up_seconds < 10.0


# ---------------------------------------------------------------- telling


def test_every_telling_has_the_same_number(out: fm.Forecast) -> None:
    p50 = out.latency.p50_seconds
    row = next(line for line in as_csv(out).splitlines() if "end_to_end.p50" in line)
    assert float(row.split(",")[2]) == p50 == out.as_dict()["latency"]["end_to_end"]["p50_seconds"]["value"]
    assert f"{p50:.3g} s" in out.as_text() and f"{p50:.3g} s" in as_markdown(out)


def test_a_notebook_shows_the_same_text(out: fm.Forecast) -> None:
    assert out._repr_mimebundle_()["text/plain"] == out.as_text()


def test_an_answer_is_a_number_for_those_who_want_one() -> None:
    assert float(Answer(2.5, "s")) == 2.5


def test_two_flows_are_told_apart(lab: Scenario) -> None:
    data: dict[str, Any] = lab.model_dump(mode="json")
    second = json.loads(json.dumps(data["flows"][0])) | {"name": "second"}
    second["query"]["trigger"] = 6.0
    data["flows"].append(second)
    data["run"] |= {"repeats": 2}
    told = fm.forecast(validated(data), draws_of_coefficients=0)
    assert set(told.flows) == {"events", "second"}
    assert told.latency.p99_seconds == max(f.latency.p99_seconds for f in told.flows.values())
    assert "second: latency" in told.as_text()


def test_a_horizon_of_days_is_refused(lab: Scenario) -> None:
    long = lab.model_copy(update={"run": lab.run.model_copy(update={"measure": 7 * 86400.0})})
    with pytest.raises(fm.ScenarioError, match=r"run\.measure = 7 d; expected at most 6 h"):
        fm.forecast(long)
