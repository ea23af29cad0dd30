"""One look: every colour can be seen on a light and on a dark page, and every face takes it from one place."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from planner import look, look_page
from planner.charts import shaded, together

ROOT = Path(__file__).parent.parent
MARKS = sorted({*look.INK, *look.JUDGED.values(), *look.SYSTEM.values(), *look.HOP.values()})


@pytest.mark.parametrize("shade", look.SHADES.values(), ids=look.SHADES)
@pytest.mark.parametrize("colour", MARKS)
def test_marks_stand_out_three_to_one(colour: str, shade: look.Shade) -> None:
    """WCAG 2.1, 1.4.11: graphics need 3:1 against what they lie on."""
    assert look.contrast(colour, shade.ground) >= 3 and look.contrast(colour, shade.card) >= 3


@pytest.mark.parametrize("shade", look.SHADES.values(), ids=look.SHADES)
def test_text_stands_out_four_and_a_half_to_one(shade: look.Shade) -> None:
    """WCAG 2.1, 1.4.3."""
    for text in (shade.text, shade.quiet):
        assert look.contrast(text, shade.ground) >= 4.5 and look.contrast(text, shade.card) >= 4.5


def test_the_served_pages_theme_is_the_look() -> None:
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
    assert theme["chartCategoricalColors"] == list(look.INK)
    for name, shade in look.SHADES.items():
        told = theme[name]
        assert (told["backgroundColor"], told["secondaryBackgroundColor"]) == (shade.ground, shade.card)
        assert told["textColor"] == shade.text and told["primaryColor"] == look.INK[0]


FACES = [path for path in [*(ROOT / "dashboard").glob("*"), *(ROOT / "planner").glob("*.py")]
         if path.suffix in (".py", ".css") and path.name != "look.py"]  # fmt: skip


@pytest.mark.parametrize("path", FACES, ids=lambda path: path.name)
def test_no_face_has_colours_of_its_own(path: Path) -> None:
    """Neither of a page nor of a terminal: both come from the look by what they mean."""
    text = path.read_text(encoding="utf-8")
    own = set(
        re.findall(r"""#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}(?=[;"'}])|"(?:bold )?(?:red|green|yellow|cyan)\"""", text)
    )
    assert not own


def test_a_page_has_both_shades_and_one_script_for_its_charts() -> None:
    figure = {"data": [{"type": "scatter", "x": [1], "y": [2]}], "layout": {"template": look.template(), "height": 1}}
    body, places = look_page.charts({"</script> & how late": figure})
    page = look_page.page("a < b", body, places, told={"text": "</script>"})
    for shade in look.SHADES.values():
        assert f"--ground:{shade.ground}" in page and json.dumps(look.template(shade), ensure_ascii=False) in page
    assert page.count("</script>") == 5 and "a &lt; b" in page
    assert json.loads(re.findall(r'id="figures" type="application/json">(.*?)</script>', page)[0]) == {
        "chart-0": {"data": figure["data"], "layout": {"height": 1}}
    }
    assert "<script" not in look_page.page("plain", ["<p>no charts</p>"]), "a page without charts carries no script"


def test_the_template_is_one_that_plotly_takes() -> None:
    graph_objects = pytest.importorskip("plotly.graph_objects")
    for shade in look.SHADES.values():
        graph_objects.layout.Template(look.template(shade))


def test_a_figure_of_variants_keeps_all_traces_and_tells_them_apart() -> None:
    line = {"type": "scatter", "name": "events", "x": [1], "y": [2], "line": {"color": look.INK[0]}}
    bar = {"type": "bar", "name": "busy", "x": [1], "y": ["host"], "marker": {"color": look.INK[0]}}
    figure = {"data": [line, bar], "layout": {"height": 1}}
    both = together({"A": figure, "B": figure})
    assert [t["name"] for t in both["data"]] == ["A: events", "A: busy", "B: events", "B: busy"]
    assert both["data"][0]["line"]["dash"] != both["data"][2]["line"]["dash"]
    assert both["data"][1]["y"] != both["data"][3]["y"], "bars of two variants stand in rows of their own"
    assert figure["data"][0]["name"] == "events", "the figures given are left as they are"
    assert shaded(figure, look.DARK)["layout"]["template"] == look.template(look.DARK)
