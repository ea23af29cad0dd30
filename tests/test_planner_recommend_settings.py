"""Settings on machines that are there: held against every other setting, other dice, and the numbers of the whole."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from models.stack import Scenario
from planner import cli
from planner import recommend_settings_search as searched
from planner.candidates_wants import wants_of
from planner.forecast import coefficients_of
from planner.recommend_settings import (
    Setting,
    SettingsAdvice,
    applied,
    choice_of,
    least_cap,
    recommend_settings,
)
from planner.recommend_settings_search import SettingsSearch
from planner.recommend_stack import at_rates
from planner.recommend_trial import Trials
from planner.refusal import ScenarioError
from planner.scenario import example, load_scenario, to_yaml
from planner.uncertainty import model_sigma
from simulator.screen_numbers import numbers_of

cli.register_all()
FEW = {"PARTITIONS": (1, 4), "TRIGGERS": (1.0, 2.0, 5.0), "BULKS": (250, 1000), "WRITERS": (1,)}


@pytest.fixture(autouse=True)
def few_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid that can be gone through setting by setting."""
    for name, values in FEW.items():
        monkeypatch.setattr(searched, name, values)


def orders(flows: int = 1, **targets: Any) -> Scenario:
    """The laboratory's two cores under 600 records/s, set badly: ten-second batches of small bulks."""
    data = example("lab").model_dump(exclude_unset=True)
    flow = data["flows"][0]
    flow["workload"] = {"rate": 600.0 / flows, "size": 1000.0, "size_is": "value", "arrivals": "deterministic"}
    flow["query"] |= {"trigger": 10.0, "sink": flow["query"]["sink"] | {"bulk_entries": 250}}
    data["flows"] = [flow | {"name": f"events{k}" if flows > 1 else "events"} for k in range(flows)]
    data["targets"] = {"p99": 4.0, "catch_up": 90.0, "outage": 30.0, "throughput_headroom": 1.2} | targets
    data["run"] = {"jvm": "warm", "warm_up": 20.0, "measure": 60.0, "repeats": 2}
    return load_scenario(data)


@cache
def advised(p99: float = 4.0) -> SettingsAdvice:
    return recommend_settings(orders(p99=p99), reasons=False)


def test_no_setting_that_takes_less_keeps_the_targets() -> None:
    """Every setting of the grid simulated without a screen: what takes a hundredth less of the machines breaks one."""
    found = advised()
    assert found.best is not None and found.untried == 0
    scenario, wants, c = found.given, found.wants, coefficients_of(found.given)
    trials = Trials(scenario, c, wants.peaks, found.seed, tail=model_sigma(c, "latency p99"))
    search = SettingsSearch(scenario, c, wants, wants.peaks, trials)
    less = [held for held in map(search.hold, [(s,) for s in search.of_flow(0)])
            if held.outcome.cores < found.best.outcome.cores - 0.012 * found.cores]  # fmt: skip
    assert less, "nothing takes less: the test tells nothing"
    assert not [held.choice for held in less if held.outcome.holds]


def test_settings_hold_under_other_dice() -> None:
    found = advised()
    assert found.best is not None and found.scenario is not None
    trials = Trials(found.given, coefficients_of(found.given), found.wants.peaks, seed=4711)
    assert trials.hold("again", "again", found.scenario, found.wants).holds


def test_nothing_but_settings_changes() -> None:
    found = advised()
    assert found.scenario is not None
    assert choice_of(found.scenario) != choice_of(found.given)
    assert applied(found.scenario, choice_of(found.given)) == found.given


def test_what_was_recommended_is_kept_when_asked_again() -> None:
    found = advised()
    assert found.best is not None and found.scenario is not None
    again = recommend_settings(found.scenario, reasons=False)
    assert again.best is not None
    assert again.best.choice == found.best.choice
    assert "nothing has to be changed" in again.as_text()


def test_a_looser_promise_never_takes_more() -> None:
    tight, loose = advised(4.0), advised(8.0)
    assert tight.best is not None and loose.best is not None
    assert loose.best.outcome.cores <= tight.best.outcome.cores + 0.01 * tight.cores


def test_the_runner_up_is_another_setting_that_holds() -> None:
    found = advised()
    assert found.best is not None and found.runner is not None
    assert found.runner.outcome.holds
    assert [replace(s, cap=None) for s in found.runner.choice] != [replace(s, cap=None) for s in found.best.choice]


def test_the_cap_keeps_batches_short_after_an_outage() -> None:
    """No other cap makes batches shorter by more than it makes catching up longer."""
    found = advised()
    assert found.best is not None
    free, best = next(h for h in found.caps if h.choice[0].cap is None).outcome, found.best.outcome
    assert best.longest_batch < free.longest_batch and best.catch_up > free.catch_up
    for other in (h.outcome for h in found.caps if h.outcome.holds):
        assert other.longest_batch / best.longest_batch >= best.catch_up / other.catch_up
    peak = found.wants.peaks[0] * found.best.choice[0].trigger
    assert found.best.choice[0].cap is None or found.best.choice[0].cap >= peak


def test_a_cap_is_so_many_batches_of_the_peak() -> None:
    assert least_cap(900.0, Setting(4, 2.0, None, 1000, 1), 1.5) == 2700
    assert least_cap(3.0, Setting(48, 1.0, None, 1000, 1), 1.5) == 48  # each partition gets a record at least


def test_numbers_put_together_are_the_whole_scenarios() -> None:
    """With two flows, each set on its own: every number that the screen gets is that of the scenario so set."""
    scenario = orders(flows=2)
    c, wants = coefficients_of(scenario), wants_of(scenario)
    search = SettingsSearch(scenario, c, wants, wants.peaks, Trials(scenario, c, wants.peaks, 1))
    choice = (Setting(1, 1.0, 900, 1000, 2), Setting(4, 5.0, None, 250, 1))
    made, whole = search._joined([choice]), numbers_of(at_rates(applied(scenario, choice), wants.peaks), c)
    assert set(made) == set(whole)
    for name, value in whole.items():
        np.testing.assert_allclose(made[name], value, rtol=1e-12, err_msg=name)


def test_each_flow_has_a_trigger_of_its_own() -> None:
    """Flows share machines, not values: among what is looked at are settings whose flows differ."""
    scenario = orders(flows=2)
    c, wants = coefficients_of(scenario), wants_of(scenario)
    search = SettingsSearch(scenario, c, wants, wants.peaks, Trials(scenario, c, wants.peaks, 1))
    assert any(a.trigger != b.trigger for a, b in search.choices()[0])


def test_triggers_stay_where_no_latency_is_promised() -> None:
    found = recommend_settings(orders(p99=None), reasons=False, trials=6)
    assert found.best is not None
    assert found.best.choice[0].trigger == found.now.choice[0].trigger == 10.0
    assert "triggers stay as they are" in found.as_text()


def test_what_chooses_machines_is_refused() -> None:
    with pytest.raises(ScenarioError, match="most_nodes = 5; it chooses machines"):
        recommend_settings(orders(), most_nodes=5)
    with pytest.raises(ScenarioError, match="pp99 is no want; did you mean p99"):
        recommend_settings(orders(), pp99=5)


def test_promises_that_no_setting_keeps_say_what_was_short() -> None:
    found = recommend_settings(orders(p99=0.2), trials=4)
    assert not found.holds
    assert "p99" in found.as_text() and "of 200 ms promised" in found.as_text()


def test_the_command_takes_settings_where_all_hosts_are_named(tmp_path: Path) -> None:
    file, to = tmp_path / "orders.yaml", tmp_path / "next.yaml"
    file.write_text(to_yaml(orders()), encoding="utf-8")
    ran = CliRunner().invoke(cli.app, ["recommend", str(file), "--no-reasons", "-o", str(to)])
    assert ran.exit_code == 0, ran.output
    found = advised()
    assert found.best is not None
    assert choice_of(load_scenario(str(to))) == found.best.choice
    refused = CliRunner().invoke(cli.app, ["recommend", str(file), "--families", "m7g"])
    assert refused.exit_code != 0
    assert "it chooses machines" in refused.output
