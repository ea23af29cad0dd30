"""The page's logic without a browser: what it opens on, what a control moves, A beside B, links, words for errors."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("streamlit")

from streamlit.testing.v1 import AppTest

from planner.controls import DEFAULT, at, controls
from planner.quick import quick
from planner.scenario import example, example_text
from planner.share import from_query, to_query
from planner.told import difference, main_numbers, verdict

APP = str(Path(__file__).parent.parent / "app.py")


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with no scenario on the command line; the whole forecast is not started by itself."""
    monkeypatch.setattr("sys.argv", ["app.py"])
    made = AppTest.from_file(APP, default_timeout=120)
    made.session_state["follows"] = False
    yield made


def text_of(app: AppTest) -> str:
    """All that the page's own blocks say."""
    return html.unescape(re.sub(r"<[^>]+>", " ", " ".join(block.body for block in app.html)))


def control(app: AppTest, kind: str, label: str) -> Any:
    return next(c for c in getattr(app, kind) if c.label == label)


def unfold(app: AppTest, group: str) -> AppTest:
    app.session_state[f"group-{group}"] = True
    return app.run()


def test_it_opens_on_the_example_and_says_what_the_planner_says(app: AppTest) -> None:
    app.run()
    assert not app.exception
    out = quick(example("events"))
    assert verdict(out) in text_of(app)
    for number in main_numbers(out):
        assert number.value in text_of(app) and number.label in text_of(app)


def test_every_number_has_its_source_to_hover(app: AppTest) -> None:
    app.run()
    tiles = next(block.body for block in app.html if "fm-tiles" in block.body)
    tips = re.findall(r'class="fm-tile [^"]*" data-tip="([^"]+)" tabindex="0"', tiles)
    assert len(tips) == tiles.count("fm-tile ") == len(main_numbers(quick(example())))
    assert "rests on coefficients" in tips[0] and "17 lines" in tips[-1]


def test_a_moved_slider_moves_the_scenario_and_the_answers(app: AppTest) -> None:
    app.run()
    before = text_of(app)
    control(app, "select_slider", "rate").set_value(8000.0).run()
    scenario = app.session_state["variants"]["A"].scenario
    assert scenario.flows[0].workload.rate == 8000.0
    assert verdict(quick(scenario)) in text_of(app) != before


def test_what_does_not_go_together_is_said_and_the_last_valid_stack_stays(app: AppTest) -> None:
    app.run()
    unfold(app, "Kafka")
    control(app, "number_input", "topic copies").set_value(6).run()
    assert "topic.copies = 6 exceeds kafka.brokers = 3" in text_of(app)
    assert app.session_state["variants"]["A"].scenario == example("events")
    control(app, "number_input", "brokers").set_value(6).run()
    assert "exceeds" not in text_of(app)
    assert app.session_state["variants"]["A"].scenario.flows[0].topic.copies == 6


def test_a_wrong_quantity_is_said_with_what_would_do(app: AppTest) -> None:
    app.run()
    app.session_state["more-Workload"] = True
    app.run()
    control(app, "text_input", "size cv").set_value("wide").run()
    assert "size_cv = 'wide'; expected a quantity such as '4 %'" in text_of(app)


def test_advanced_controls_and_folded_groups_are_not_drawn(app: AppTest) -> None:
    app.run()
    labels = {
        c.label for kind in ("select_slider", "number_input", "selectbox", "text_input") for c in getattr(app, kind)
    }
    assert {"rate", "size"} <= labels and not labels & {"size cv", "topic copies", "executors"}


def test_b_is_a_copy_whose_difference_stands_beside(app: AppTest) -> None:
    app.run()
    control(app, "button", "Compare with a variant B").click().run()
    assert "B is still equal to A" in text_of(app)
    control(app, "select_slider", "rate").set_value(8000.0).run()
    a, b = (app.session_state["variants"][slot].scenario for slot in "AB")
    assert (a.flows[0].workload.rate, b.flows[0].workload.rate) == (2500.0, 8000.0)
    assert "flows[0].workload.rate" in text_of(app) and "8k/s" in text_of(app)
    for one, other in zip(main_numbers(quick(a)), main_numbers(quick(b)), strict=True):
        assert difference(one, other) in text_of(app)
    control(app, "button", "Keep B as A").click().run()
    assert list(app.session_state["variants"]) == ["A"]
    assert app.session_state["variants"]["A"].scenario == b


def test_another_example_brings_its_own_controls(app: AppTest) -> None:
    app.run()
    app.session_state["open"] = True
    app.run()
    control(app, "button", "Example: lab").click().run()
    assert app.session_state["variants"]["A"].scenario == example("lab")
    labels = {c.label for c in app.select_slider}
    assert "rate" not in labels and "size" in labels, "a recorded series has no rate to slide"


def test_a_link_opens_what_it_was_made_of(app: AppTest) -> None:
    flow = example().flows[0]
    other = example().model_copy(update={"flows": (flow.model_copy(update={"name": "clicks"}),)})
    app.query_params["a"], app.query_params["b"] = to_query(example("lab")), to_query(other)
    app.run()
    variants = app.session_state["variants"]
    assert variants["A"].scenario == example("lab") and variants["B"].scenario == other


@pytest.mark.parametrize("text", ["rubbish!", "AAAA", "x" * 7000])
def test_a_bad_link_is_said_and_the_example_opens(app: AppTest, text: str) -> None:
    app.query_params["a"] = text
    app.run()
    assert not app.exception and "The scenario in the link cannot be used" in text_of(app)
    assert app.session_state["variants"]["A"].scenario == example("events")


def test_share_puts_the_scenario_into_the_address(app: AppTest) -> None:
    app.run()
    control(app, "select_slider", "rate").set_value(8000.0).run()
    app.session_state["save"] = True
    app.run()
    control(app, "button", "Make a link").click().run()
    told = app.query_params["a"]
    text = told[0] if isinstance(told, list) else told
    assert from_query(text) == app.session_state["variants"]["A"].scenario


def test_a_file_on_the_command_line_opens(app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from planner.scenario import example_text

    path = tmp_path / "mine.yaml"
    path.write_text(example_text("events").replace("name: events\ndesc", "name: mine\ndesc"), encoding="utf-8")
    monkeypatch.setattr("sys.argv", ["app.py", str(path)])
    app.run()
    assert app.session_state["variants"]["A"].scenario.name == "mine"
    path.write_text("name: mine\nflows: []\n", encoding="utf-8")
    again = AppTest.from_file(APP, default_timeout=120)
    again.run()
    assert "mine.yaml cannot be used" in text_of(again) and "flows" in text_of(again)


VIEWS = ["Overview", "Latency", "Batches", "Load", "Memory", "Storage", "Bill", "Findings", "Rests on"]


@pytest.mark.parametrize("b", [False, True], ids=["A", "A beside B"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_draws_and_every_number_of_it_hovers_to_its_source(app: AppTest, view: str, b: bool) -> None:
    app.session_state["view"] = view
    if b:
        app.query_params["a"], app.query_params["b"] = to_query(example()), to_query(example("lab"))
    app.run()
    assert not app.exception
    assert len(text_of(app)) > 500
    bodies = [block.body for block in app.html]
    assert not [bare for body in bodies for bare in without_source(body)]
    assert sum(body.count("data-tip") for body in bodies) > 10


class Numbers(HTMLParser):
    """The texts with digits that lie in no element with a source; headings, columns' heads and notes are no answers."""

    PLAIN = ("h1", "h3", "th", "style", "code")

    def __init__(self) -> None:
        super().__init__()
        self.inside: list[tuple[str, bool]] = []
        self.bare: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        plain = (named.get("class") or "").startswith(("quiet", "fm-at"))
        told = "data-tip" in named or tag in self.PLAIN or plain
        if tag != "br":
            self.inside.append((tag, told))

    def handle_endtag(self, tag: str) -> None:
        while self.inside and self.inside.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if re.search(r"\d", data) and not any(told for _, told in self.inside):
            self.bare.append(data)


def without_source(body: str) -> list[str]:
    parser = Numbers()
    parser.feed(body)
    return parser.bare


def test_the_committed_text_of_a_user_is_never_markup(app: AppTest) -> None:
    evil = example().model_copy(update={"description": "<img src=x onerror=alert(1)>", "name": "<b>x"})
    app.query_params["a"] = to_query(evil)
    app.run()
    bodies = " ".join(block.body for block in app.html)
    assert "<img src=x" not in bodies and "&lt;img src=x" in bodies and "<b>x" not in bodies


def test_a_file_with_something_unknown_is_kept_to_be_filled_in(app: AppTest) -> None:
    app.run()
    text = example_text("events").replace("rate: 2500/s", "rate: UNKNOWN")

    def opened(text: str) -> None:
        from dashboard import files

        files._open_text(text, "found.yaml")

    page = AppTest.from_function(opened, args=(text,), default_timeout=120)
    page.session_state["variants"], page.session_state["editing"] = app.session_state["variants"], "A"
    page.run()
    assert page.session_state["draft"] == ("found.yaml", text)
    (title, lines), *_ = page.session_state["refused"]
    assert title == "found.yaml was not opened" and any("rate" in line and "UNKNOWN" in line for line in lines)


def test_a_set_that_is_brought_is_judged_and_fills_from_the_package_alone(tmp_path: Path) -> None:
    from models.coefficients import DATA, load_set
    from planner.own_sets import kept_set
    from planner.refusal import ScenarioError
    from planner.share import portable

    raw = (DATA / "lab-2026-11-23.toml").read_bytes()
    path = kept_set(raw, "../orders prod.toml", tmp_path)
    assert Path(path).name == "orders-prod.toml" and Path(path).is_relative_to(tmp_path)
    assert load_set(path).digest == load_set("lab-2026-11-23").digest
    own = example().model_copy(update={"coefficients": path})
    assert portable(own, {"orders-prod.toml": path}).coefficients == "orders-prod.toml"
    evil = re.sub(rb'fills_from = ".*?"', f'fills_from = "{path}"'.encode(), raw)
    assert evil != raw
    for text, why in ((evil, "expected a packaged set"), (b"name: x", "is not TOML"), (b"x = 1", "no .set."),
                      (raw.replace(b"[coefficients.", b"[coefficients.x", 1), "no law reads")):  # fmt: skip
        with pytest.raises(ScenarioError, match=why):
            kept_set(text, "mine.toml", tmp_path)


@pytest.mark.parametrize("group", ["Workload", "Kafka", "Spark", "Search", "Promises", "Money", "Run"])
def test_every_control_of_a_group_draws(app: AppTest, group: str) -> None:
    app.session_state[f"more-{group}"] = True
    unfold(app, group)
    assert not app.exception
    drawn = sum(len(getattr(app, k)) for k in ("select_slider", "number_input", "selectbox", "text_input", "toggle"))
    assert drawn >= len(controls(example(), only=(group,)))


def test_what_a_version_decides_may_be_said_and_left_to_it_again(app: AppTest) -> None:
    app.session_state["more-Kafka"] = True
    unfold(app, "Kafka")
    maybe = next(c for c in controls(example(), only=("Kafka",)) if c.options[:2] == (DEFAULT, True))
    for said, told in ((True, True), (DEFAULT, None)):
        control(app, "selectbox", maybe.label).set_value(said).run()
        assert at(app.session_state["variants"]["A"].scenario, maybe.place) is told


def test_no_control_names_a_file_or_folder_of_the_server() -> None:
    offered = {c.path for c in controls(example())}
    assert "money.region" in offered and not offered & {"money.price_book", "flows[].workload.recorded"}
