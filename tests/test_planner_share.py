"""A scenario travels in a link and comes back equal; a link that is damaged, a bomb or after files is refused."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import pytest

from planner.refusal import ScenarioError
from planner.scenario import example, example_names, example_text, to_yaml
from planner.share import MOST_CHARACTERS, foreign_yaml, from_query, to_query


def packed(data: Any) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(zlib.compress(raw)).decode().rstrip("=")


@pytest.mark.parametrize("name", example_names())
def test_every_example_fits_a_link_and_comes_back_equal(name: str) -> None:
    scenario = example(name)
    text = to_query(scenario)
    assert len(text) < 2000 and text.replace("-", "a").replace("_", "a").isalnum()
    assert from_query(text) == scenario


def test_a_scenario_too_long_for_a_link_is_refused_and_told_what_to_do() -> None:
    flow = example().flows[0]
    steps = tuple((60.0 + k, 1000.0 + (k * 7919) % 997) for k in range(3000))
    load = flow.workload.model_copy(update={"rate": None, "daily_curve": (), "steps": steps})
    long = example().model_copy(update={"flows": (flow.model_copy(update={"workload": load}),)})
    with pytest.raises(ScenarioError, match="save it as YAML"):
        to_query(long)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "characters that no link"),
        ("a b", "characters that no link"),
        ("../../etc/passwd", "characters that no link"),
        ("AAAA", "damaged"),
        (packed({"name": "x"})[:-6], "damaged"),
        ("A" * (MOST_CHARACTERS + 1), "expected at most"),
        (packed(b"\xff\xfe"), "damaged"),
        (packed(b"[" * 100_000), "damaged"),
        (packed(b" " * 2_000_000), "unpacks to more"),
        (packed([1, 2]), "expected a mapping"),
        (packed({"name": "x"}), "flows is missing"),
        (packed({"name": "x", "flows": [], "nonsense": 1}), "nonsense"),
    ],
)
def test_a_bad_link_is_refused_in_our_words(text: str, why: str) -> None:
    with pytest.raises(ScenarioError, match=why):
        from_query(text)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda d: d["flows"][0]["workload"].update(recorded="/etc/passwd"), "recorded = '/etc/passwd'"),
        (lambda d: d.update(coefficients="/home/someone/secret.toml"), "coefficients = '/home/someone/secret.toml'"),
        (lambda d: d.update(money={"price_book": "/srv/prices"}), "price_book = '/srv/prices'"),
    ],
)
def test_a_link_or_text_cannot_make_the_server_read_a_file(change: Any, names: str) -> None:
    data = example().model_dump(mode="json", exclude_defaults=True)
    change(data)
    with pytest.raises(ScenarioError, match=names):
        from_query(packed(data))
    with pytest.raises(ScenarioError, match=names):
        foreign_yaml(json.dumps(data))


def test_a_file_that_the_owner_named_may_be_named_again(tmp_path: Any) -> None:
    from models.coefficients import DATA

    own = str(tmp_path / "mine.toml")
    (tmp_path / "mine.toml").write_text((DATA / "generic-2026-11.toml").read_text(encoding="utf-8"), encoding="utf-8")
    text = to_yaml(example().model_copy(update={"coefficients": own}))
    assert foreign_yaml(text, own_files={own: own}).coefficients == own
    with pytest.raises(ScenarioError, match="a page reads no files"):
        foreign_yaml(text)


def test_errors_of_a_text_name_its_lines() -> None:
    text = example_text("events").replace("partitions: 12", "partitions: 0")
    with pytest.raises(ScenarioError, match=r"topic.partitions = 0; expected 1 to 20k .*\(line \d+\)"):
        foreign_yaml(text)
    with pytest.raises(ScenarioError, match="is empty"):
        foreign_yaml("# nothing")
