"""Notebooks: what is committed was executed in order, without an error, from the repository alone.

`make notebooks` executes them anew; here the committed files are held to what a reader relies on.
"""

from __future__ import annotations

import ast
import copy
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
BOOKS = sorted(FOLDER.glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|usr|Users|var)/")
LONGEST_CELL = 22


def cells(path: Path) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def words(cell: dict[str, Any]) -> str:
    """All text of a cell's outputs; pictures are left out."""
    found = []
    for out in cell["outputs"]:
        data = out.get("data", {"text": out.get("text", "")})
        found += ["".join(v) if isinstance(v, list) else json.dumps(v) for k, v in data.items() if k != "image/png"]
    return "\n".join(found)


def test_there_are_five():
    assert [path.name[0] for path in BOOKS] == list("12345")


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
class TestEach:
    def test_every_cell_was_executed_in_order(self, path: Path):
        counts = [cell["execution_count"] for cell in cells(path)]
        assert counts == list(range(1, len(counts) + 1))

    def test_nothing_failed_and_nothing_was_logged(self, path: Path):
        kinds = {(out["output_type"], out.get("name")) for cell in cells(path) for out in cell["outputs"]}
        assert not {kind for kind in kinds if kind[0] == "error" or kind[1] == "stderr"}

    def test_a_cell_that_ends_with_a_value_shows_it(self, path: Path):
        for cell in cells(path):
            last = ast.parse(source(cell)).body[-1]
            assert not isinstance(last, ast.Expr) or cell["outputs"], source(cell)

    def test_only_floodmark_is_imported(self, path: Path):
        nodes = [node for cell in cells(path) for node in ast.walk(ast.parse(source(cell)))]
        imports = [ast.unparse(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        assert imports == ["import floodmark as fm"]

    def test_cells_are_short(self, path: Path):
        assert max(len(source(cell).splitlines()) for cell in cells(path)) <= LONGEST_CELL

    def test_no_path_of_a_machine_is_in_them(self, path: Path):
        for cell in cells(path):
            assert not MACHINE_PATH.search(source(cell) + words(cell)), source(cell)

    def test_figures_are_seen_without_javascript(self, path: Path):
        charts = [out["data"] for cell in cells(path) for out in cell["outputs"] if "data" in out]
        charts = [data for data in charts if "application/vnd.plotly.v1+json" in data]
        assert charts
        assert all("image/png" in data for data in charts)


# --- make notebooks ARGS=--check: what a fresh execution is held to --------------------------------------------------

spec = importlib.util.spec_from_file_location("compare", FOLDER / "compare.py")
assert spec is not None and spec.loader is not None
compare = importlib.util.module_from_spec(spec)
spec.loader.exec_module(compare)


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_equal_to_itself_and_a_moved_number_is_told(path: Path):
    committed, fresh = read(path), read(path)
    assert compare.differences(committed, fresh) == []
    charts = [out["data"][compare.CHART] for cell in fresh["cells"] for out in cell.get("outputs", [])
              if compare.CHART in out.get("data", {})]  # fmt: skip
    values = next(t[axis] for t in charts[-1]["data"] for axis in "xy" if isinstance(t[axis][0], float))
    values[values.index(max(x for x in values if x is not None))] *= 1.01
    assert len(compare.differences(committed, fresh)) == 1
    assert "became" in compare.differences(committed, fresh)[0]


def cell(text: str) -> dict[str, Any]:
    told = {"cell_type": "code", "outputs": [{"output_type": "stream", "name": "stdout", "text": text}]}
    return {"cells": [copy.deepcopy(told)]}


@pytest.mark.parametrize(
    ("was", "now", "told"),
    [
        ("p99  12.4 s\n", "p99 12.4 s\n", ""),
        ("p99 12.4 s, engine 86ccb3a84d0f5531", "p99 12.5 s, engine 0f5531aa86ccb3a8", ""),
        ("3,011 USD a month", "3,012 USD a month", ""),
        ("3,011 USD a month", "3,013 USD a month", "'3,011' became '3,013'"),
        ("p99 12.4 s", "p99 12.6 s", "'12.4' became '12.6'"),
        ("4 runs", "5 runs", "'4' became '5'"),
        ("all 7 targets hold", "all 7 targets break", "words: 'all 0 targets hold' became"),
        ("1.2e-06 s", "1.4e-06 s", "'1.2e-06' became '1.4e-06'"),
        ("−5.0 %", "5.0 %", "'−5.0' became '5.0'"),
    ],
)
def test_rounding_is_forgiven_and_nothing_else_is(was: str, now: str, told: str):
    found = compare.differences(cell(was), cell(now))
    assert len(found) == bool(told) and told in "".join(found)


def test_an_output_that_is_gone_is_told():
    committed = read(BOOKS[0])
    fresh = copy.deepcopy(committed)
    shown = [c for c in fresh["cells"] if c["cell_type"] == "code" and c["outputs"]]
    shown[0]["outputs"] = []
    assert compare.differences(committed, fresh)
