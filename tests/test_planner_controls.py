"""Controls are the fields: each offers what its field allows, says what its field means, and moves the scenario."""

from __future__ import annotations

from typing import Any

import pytest

from models.stack import Scenario
from models.units import show
from planner.controls import FIRST, GROUPS, Control, at, controls, group_of, moved, parts
from planner.fields import extra, field_at, leaves
from planner.refusal import ScenarioError
from planner.scenario import example

BY_PATH = {c.path: c for c in controls(example())}


def test_every_plain_field_of_the_stack_has_a_control_or_stands_in_the_editor() -> None:
    """Lists and tables are text, and so is what belongs to a part that is not there or needs more than defaults."""
    lists = {leaf.path for leaf in leaves(Scenario) if leaf.path.count("[]") > leaf.path.startswith("flows[]")}
    tables = {p for p in (leaf.path for leaf in leaves(Scenario)) if _of_many(p)}
    absent = {leaf.path for leaf in leaves(Scenario)} - set(BY_PATH) - lists - tables
    ours = {p for p in absent if group_of(p) and _there(p)}
    assert ours == {"flows[].workload.bytes_per_second", "flows[].workload.recorded", "money.price_book"}


def _there(path: str) -> bool:
    *owner, _ = [part for name in path.split(".") for part in ([name[:-2], 0] if name.endswith("[]") else [name])]
    return at(example(), tuple(owner)) is not None


def _of_many(path: str) -> bool:
    _, info = field_at(Scenario, tuple(part.removesuffix("[]") for part in path.split(".")))
    text = str(info.annotation) if info else ""
    return text.startswith(("tuple", "dict"))


def test_what_stands_first_are_fields_that_exist() -> None:
    assert not FIRST - {leaf.path for leaf in leaves(Scenario)} - set(parts())
    assert {c.group for c in BY_PATH.values() if c.first} == set(GROUPS)


@pytest.mark.parametrize("path", sorted(BY_PATH))
def test_help_says_meaning_foreign_name_and_path(path: str) -> None:
    control = BY_PATH[path]
    _, info = field_at(Scenario, control.place)
    assert info is not None and str(info.description)[1:] in control.help
    assert extra(info, "foreign") in control.help and "In the file: `" in control.help


@pytest.mark.parametrize("control", [c for c in BY_PATH.values() if c.options], ids=lambda c: c.path)
def test_what_a_control_offers_its_field_takes(control: Control) -> None:
    assert control.value in control.options or control.value is None
    for option in (control.options[0], control.options[-1]):
        try:
            made = moved(example(), {control.place: option})
        except ScenarioError as error:  # together with other fields it may not go: then the message says which
            assert "=" in str(error) or "needs" in str(error)
        else:
            assert at(made, control.place) == option


@pytest.mark.parametrize("control", [c for c in BY_PATH.values() if c.kind == "quantity"], ids=lambda c: c.path)
def test_what_a_text_shows_reads_back_as_the_value(control: Control) -> None:
    if control.value is None:
        assert control.optional and control.say(None) == ""
        return
    made = at(moved(example(), {control.place: control.say(control.value)}), control.place)
    assert made == pytest.approx(control.value, rel=1e-2), "shown with three or four digits"


def test_a_text_takes_units() -> None:
    size = BY_PATH["flows[].topic.producer.batch_size"]
    assert at(moved(example(), {size.place: "64 KiB"}), size.place) == 65536
    with pytest.raises(ScenarioError, match=r"batch_size = 'much'; expected a quantity such as '8 GiB'"):
        moved(example(), {size.place: "much"})


def test_fields_that_contradict_each_other_are_refused_by_name() -> None:
    copies, brokers = BY_PATH["flows[].topic.copies"], BY_PATH["kafka.brokers"]
    with pytest.raises(ScenarioError, match=r"topic.copies = 6 exceeds kafka.brokers = 3"):
        moved(example(), {copies.place: 6})
    made = moved(example(), {copies.place: 6, brokers.place: 6})
    assert made.flows[0].topic.copies == made.kafka.brokers == 6


def test_a_stateful_operator_is_switched_off_and_on() -> None:
    place: Any = ("flows", 0, "query", "state")
    off = moved(example(), {place: False, (*place, "keys"): 5.0})
    assert off.flows[0].query.state is None
    assert not any(c.path.startswith("flows[].query.state.") for c in controls(off))
    assert moved(off, {place: True}).flows[0].query.state is not None
    assert moved(example(), {place: True}) == example()


def test_sliders_stay_while_one_is_moved() -> None:
    base = example()
    rate = next(c for c in controls(base) if c.path == "flows[].workload.rate")
    later = moved(base, {rate.place: rate.options[-1]})
    again = next(c for c in controls(later, 0, base) if c.path == "flows[].workload.rate")
    assert again.options == rate.options and again.value == rate.options[-1]


def test_stops_are_round_and_surround_the_value() -> None:
    rate = BY_PATH["flows[].workload.rate"]
    assert rate.options[0] <= rate.value / 50 and rate.options[-1] >= rate.value * 50
    assert all(len(show(x, "1/s")) <= 7 for x in rate.options)
    assert all(b > a for a, b in zip(rate.options, rate.options[1:], strict=False))


def test_machines_offered_are_sold_for_their_role() -> None:
    kafka, index = BY_PATH["kafka.machine"], BY_PATH["elasticsearch.machine"]
    assert "m7g.large" in kafka.options and not any(box.startswith(("g5", "p4")) for box in kafka.options)
    assert "r7g.large" in index.options and len(index.options) < len(BY_PATH["spark.machine"].options)


def test_a_recorded_series_has_no_rate_to_slide() -> None:
    found = {c.path: c for c in controls(example("lab"))}
    assert "flows[].workload.rate" not in found and "flows[].workload.size" in found
    assert "kafka.machine" not in found, "its brokers are on hosts given by name"


def test_controls_of_another_flow_move_that_flow() -> None:
    flow = example().flows[0]
    two = example().model_copy(update={"flows": (flow, flow.model_copy(update={"name": "other"}))})
    copies = next(c for c in controls(two, 1) if c.path == "flows[].topic.copies")
    made = moved(two, {copies.place: 2})
    assert [f.topic.copies for f in made.flows] == [3, 2]


@pytest.mark.parametrize("part", parts())
def test_every_optional_part_can_be_switched_on_and_off(part: str) -> None:
    control = BY_PATH[part]
    on = moved(example(), {control.place: True})
    assert at(on, control.place) is not None
    assert at(moved(on, {control.place: False}), control.place) is None
