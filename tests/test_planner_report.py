"""The HTML report stands alone in one file and says what the other tellings say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

import floodmark as fm
from planner.charts import figures
from planner.report import as_html
from planner.scenario import example


@pytest.fixture(scope="module")
def out() -> fm.Forecast:
    lab = example("lab")
    run = lab.run.model_copy(update={"repeats": 2})
    evil = {"description": "</script><script>alert(1)</script> & <b>", "run": run}
    return fm.forecast(lab.model_copy(update=evil), draws_of_coefficients=2)


@pytest.fixture(scope="module")
def page(out: fm.Forecast) -> str:
    return as_html(out)


class Parts(HTMLParser):
    """Addresses that the page would load, ids it has, and its scripts' text."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.scripts: dict[str, str] = {}
        self.inside: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.loads += [v for k, v in attrs if k in ("src", "href") and v]
        self.ids += [named["id"]] if named.get("id") else []  # type: ignore[list-item]
        self.inside = (named.get("id") or "") if tag == "script" else None

    def handle_data(self, data: str) -> None:
        if self.inside is not None:
            self.scripts[self.inside] = self.scripts.get(self.inside, "") + data


@pytest.fixture(scope="module")
def parts(page: str) -> Parts:
    parser = Parts()
    parser.feed(page)
    return parser


def test_it_loads_nothing(parts: Parts) -> None:
    assert parts.loads == []
    assert "@import" not in "".join(v for k, v in parts.scripts.items() if k)


def test_what_the_scenario_says_is_text_and_no_markup(page: str) -> None:
    assert "<script>alert(1)" not in page and "&lt;script&gt;alert(1)" in page


def test_the_whole_forecast_is_inside(parts: Parts, out: fm.Forecast) -> None:
    assert json.loads(parts.scripts["forecast"]) == json.loads(json.dumps(out.as_dict()))


def test_every_chart_has_its_place_and_data(parts: Parts, out: fm.Forecast) -> None:
    drawn = json.loads(parts.scripts["figures"])
    assert set(drawn) <= set(parts.ids) and len(drawn) == len(figures(out)) == 8
    for figure in drawn.values():
        assert figure["data"] and figure["layout"]["xaxis"]["title"]["text"]


def test_plotly_takes_every_figure(out: fm.Forecast) -> None:
    """Against Plotly's own validation of names and values."""
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for figure in figures(out).values():
        graph_objects.Figure(figure)


def test_the_charts_are_the_run(out: fm.Forecast) -> None:
    drawn = figures(out)
    batches = out.traces[0].flows["events"].batches
    assert len(drawn["Batches"]["data"][0]["x"]) == len(batches)
    cells = drawn["Lag by partition"]["data"][0]["z"]
    assert len(cells) == 4 and sum(row[3] for row in cells) == batches["lag_records"][3]
    curve = drawn["Latency"]["data"][0]
    assert curve["x"] == sorted(curve["x"]) and curve["y"][-1] == pytest.approx(1.0, abs=0.01)
    hops = sum(bar["x"][0] for bar in drawn["Where the latency goes"]["data"])
    assert hops == pytest.approx(sum(t.flows["events"].latency.mean for t in out.traces) / 2, rel=0.05)


def test_ends_that_nobody_saw_are_gaps(page: str) -> None:
    assert not re.search(r"[:\[,](NaN|-?Infinity)[,\]}]", page.rsplit('id="figures"', 1)[1])
