"""The JSON Schema that editors use agrees with what the loader takes."""

from __future__ import annotations

import pytest

from models.stack import Scenario
from planner import yaml_text
from planner.fields import leaves
from planner.scenario import example_names, example_text, from_yaml, to_yaml
from planner.schema import PATTERNS, scenario_schema

jsonschema = pytest.importorskip("jsonschema")


def errors(data: object) -> list[str]:
    validator = jsonschema.Draft202012Validator(scenario_schema())
    return [f"{'.'.join(map(str, e.path))}: {e.message}" for e in validator.iter_errors(data)]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(scenario_schema())


@pytest.mark.parametrize("name", example_names())
def test_examples_pass_as_written_and_as_kept(name: str) -> None:
    text = example_text(name)
    for data in (yaml_text.parse(text)[0], yaml_text.parse(to_yaml(from_yaml(text)))[0]):
        assert errors(data) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("brokers: 3", "brokers: 0"), ("size: 850 B", "size: 850 X"), ("trigger: 10 s", "trigger: soon"),
     ("p99: 10 s", "p100: 10 s"), ("acks: all", "acks: most")],
)  # fmt: skip
def test_what_the_loader_refuses_an_editor_underlines(old: str, new: str) -> None:
    text = example_text("events").replace(old, new, 1)
    assert errors(yaml_text.parse(text)[0])


def test_every_field_is_described_with_its_unit() -> None:
    schema = scenario_schema()
    nouns = {"Scenario": schema, **schema["$defs"]}
    for leaf in leaves(Scenario):
        prop = nouns[leaf.owner.__name__]["properties"][leaf.name]
        assert prop["description"].startswith(leaf.info.description or "?")
        if leaf.unit:
            assert prop["x-unit"] == leaf.unit


def test_every_unit_of_a_quantity_has_a_pattern() -> None:
    assert {leaf.unit for leaf in leaves(Scenario)} - {"", "s, 1/s", "cores", "USD"} <= set(PATTERNS)
