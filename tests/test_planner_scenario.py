"""Scenario files: what is read, and how what is wrong is said."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.units import GIB
from planner import yaml_text
from planner.refusal import MOST_LINES, ScenarioError
from planner.scenario import example, example_names, example_text, from_yaml, load_scenario, resolved, to_yaml

MINIMAL = """
name: small
flows:
- workload: {rate: 100/s, size: 500 B}
  query:
    trigger: 2 s
    sink: {kind: jvm-connector}
"""


def refusal(text: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        from_yaml(text)
    return str(caught.value)


@pytest.mark.parametrize("name", example_names())
def test_examples_load_and_survive_a_round_trip(name: str) -> None:
    scenario = example(name)
    assert from_yaml(to_yaml(scenario)) == scenario
    assert scenario.name == name


def test_the_examples_named_in_the_help_are_there() -> None:
    assert example_names() == ["events", "lab"]
    with pytest.raises(ScenarioError, match="did you mean 'events'"):
        example_text("event")


def test_resolved_says_every_default() -> None:
    flat = resolved(from_yaml(MINIMAL))
    assert flat["flows"][0]["topic"]["producer"]["acks"] == "all" and flat["kafka"]["brokers"] == 3


def test_a_scenario_comes_from_a_file_a_text_a_mapping_or_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(MINIMAL)
    mapping = {
        "name": "small",
        "flows": [
            {
                "workload": {"rate": "100/s", "size": "500 B"},
                "query": {"trigger": "2 s", "sink": {"kind": "jvm-connector"}},
            }
        ],
    }
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(MINIMAL.encode())))
    assert load_scenario(path) == load_scenario(str(path)) == load_scenario(MINIMAL) == load_scenario(mapping)
    assert load_scenario("-") == load_scenario(path)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_with_a_mark_is_read(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(MINIMAL.replace("small", "kühl").encode(codec))
    assert load_scenario(path).name == "kühl"


def test_latin_1_is_refused_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(MINIMAL.replace("small", "kühl").encode("latin-1"))
    with pytest.raises(ScenarioError, match=r"a.yaml: byte 0xfc is not utf-8 \(line 2\); save it as UTF-8"):
        load_scenario(path)


def test_a_refusal_names_field_value_bounds_unit_example_and_line() -> None:
    text = MINIMAL.replace("  query:", "  topic: {partitions: 0}\n  query:")
    assert refusal(text) == "flows[0].topic.partitions = 0; expected 1 to 20k [count], for example 12 or '20k' (line 5)"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("partitions: 12", "partitions: 1_000_000"), "flows[0].topic.partitions = 1000000; expected 1 to 20k"),
        (("partitions: 12", "partitions: -4"), "flows[0].topic.partitions = -4; expected 1 to 20k"),
        (("partitions: 12", "partitions: 1.5"), "flows[0].topic.partitions = 1.5; expected a whole number"),
        (("brokers: 3", "brokers: 0"), "kafka.brokers = 0; expected 1 to 500"),
        (("rate: 2500/s", "rate: .nan"), "flows[0].workload.rate = nan; must be finite"),
        (("rate: 2500/s", "rate: .inf"), "flows[0].workload.rate = inf; must be finite"),
        (("rate: 2500/s", "rate: -1"), "flows[0].workload.rate = -1"),
        (("rate: 2500/s", "rate: 1e99"), "flows[0].workload.rate = '1e99'; expected more than 0/s and at most 1G/s"),
        (("rate: 2500/s", "rate: 2500/fortnight"), "'/fortnight' is not known here"),
        (("size: 850 B", "size: 850 Bq"), "unit 'bq' is not known here"),
        (("size: 850 B", "size: [850]"), "flows[0].workload.size = [850]; expected a quantity"),
        (("heap: 8 GiB", "heap: null"), "spark.heap = nothing; expected a quantity"),
        (("kind: jvm-connector", "kind: connector"), "expected one of jvm-connector, jvm-foreach"),
        (("p99: 10 s", "p99: yes"), "targets.p99 = 'yes'"),
        (("machine: r7g.large", "machine: r7g.lage"), "elasticsearch.machine = 'r7g.lage' is not in the table"),
        (("trigger: 10 s", "triger: 10 s"), "unknown key 'triger'; did you mean 'trigger'?"),
        (("  trigger: 10 s\n", "  {}\n"), ""),
        (("copies: 3 ", "copies: 9 "), "topic.copies = 9 exceeds kafka.brokers = 3"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(change: tuple[str, str], line: str) -> None:
    text = example_text("events")
    assert change[0] in text
    assert line in refusal(text.replace(*change, 1))


def test_every_wrong_field_is_named_at_once() -> None:
    text = example_text("events").replace("brokers: 3", "brokers: 0").replace("executors: 2", "executors: 0")
    assert len(refusal(text).splitlines()) == 2


def test_a_thousand_errors_are_counted_and_not_printed() -> None:
    error = ScenarioError([f"line {k}" for k in range(1000)])
    assert str(error).splitlines()[-1] == f"... and {1000 - MOST_LINES} more"


def test_what_is_missing_is_told_with_its_meaning() -> None:
    said = refusal(MINIMAL.replace("    trigger: 2 s\n", ""))
    assert said.startswith("flows[0].query.trigger is missing") and "[s]" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("name: [1\n", "not YAML"),
        ("\tname: x\n", "not YAML"),
        ("a: 1\n---\nb: 2\n", "not YAML"),
        ("name: x\nname: y\n", "name is given twice (lines 1 and 2)"),
        ("- 1\n", "expected a mapping with name"),
        ("42", "expected a mapping with name"),
        ("? [a]\n: 1\n", "a key must be a word"),
        ("a: &a [*a]\n", "without end"),
        ("a: !!python/object/apply:os.system [ls]\n", "is no plain YAML"),
        ("a: " + "[" * 2000, "nested too deep"),
        ("[" * 100 + "]" * 100, "without end"),
        ("a: 1\x00b\n", "not YAML"),
    ],
)
def test_broken_yaml_is_one_line(text: str, said: str) -> None:
    message = refusal(text)
    assert said in message and len(message) < 500


def test_aliases_may_not_blow_up() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 9))
    assert "too large" in refusal(bomb)


def test_aliases_may_share_a_query() -> None:
    text = MINIMAL.replace("  query:", "  name: a\n  query: &q") + (
        "- workload: {rate: 1/s, size: 1}\n  name: b\n  query: {<<: *q, trigger: 5 s}\n"
    )
    a, b = from_yaml(text).flows
    assert a.query.sink == b.query.sink and (a.query.trigger, b.query.trigger) == (2.0, 5.0)


def test_words_that_older_yaml_would_turn_stay_words() -> None:
    data, _ = yaml_text.parse("a: on\nb: no\nc: 12:30\nd: 2026-11-24\ne: 0777\nf: true\ng: 12\nh: 1.5\ni: ~\n")
    assert data == {
        "a": "on",
        "b": "no",
        "c": "12:30",
        "d": "2026-11-24",
        "e": "0777",
        "f": True,
        "g": 12,
        "h": 1.5,
        "i": None,
    }


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12,
))  # fmt: skip
def test_plain_data_survives_yaml(data: object) -> None:
    read, _ = yaml_text.parse(yaml_text.dump(data))
    assert read == data


@given(st.text(max_size=200))
def test_no_text_ends_in_a_traceback(text: str) -> None:
    try:
        from_yaml(text)
    except ScenarioError as error:
        assert str(error)


@pytest.mark.parametrize(
    ("path", "said"), [("absent.yaml", "no scenario file"), (".", "Is a directory"), ("a\0b", "cannot read")]
)
def test_a_path_that_cannot_be_read_is_one_line(path: str, said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load_scenario(path)


def test_a_coefficient_that_no_law_reads_is_refused() -> None:
    assert "did you mean 'spark.record_cpu_seconds'" in refusal(
        MINIMAL + "overrides: {spark.record_cpu_second: 1e-5}\n"
    )
    assert "no coefficient set 'lab'" in refusal(MINIMAL + "coefficients: lab\n")


def test_defaults_are_what_the_round_trip_leaves_out() -> None:
    text = to_yaml(from_yaml(MINIMAL))
    assert "brokers" not in text and from_yaml(text).spark.heap == 8 * GIB
