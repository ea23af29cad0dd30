"""The house holds: imports point down, packages are this checkout's, nothing written here is out of date."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "models": set(),
    "simulator": {"models"},
    "pricing": {"models"},
    "calibration": {"models"},
    "planner": {"models", "simulator", "pricing", "calibration"},
    "dashboard": {"planner"},
}
TOP = {"floodmark": {"models", "simulator", "pricing", "calibration", "planner"}}
HEAVY = ("numpy", "pandas", "numba", "plotly", "scipy", "simpy", "pydantic", "rich")


def imported(path: Path) -> set[str]:
    """First names of all that a file imports, at its top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_imports_point_down(folder: str) -> None:
    ours = {*MAY_IMPORT, "floodmark", "lab", "benchmarks", "tests"}
    for path in (ROOT / folder).rglob("*.py"):
        wrong = (imported(path) & ours) - MAY_IMPORT[folder] - {folder}
        assert not wrong, f"{path.relative_to(ROOT)} imports {', '.join(sorted(wrong))}"


def test_the_public_module_only_re_exports() -> None:
    tree = ast.parse((ROOT / "floodmark.py").read_text(encoding="utf-8"))
    kinds = {type(node) for node in tree.body}
    assert kinds <= {ast.Expr, ast.Import, ast.ImportFrom, ast.Assign, ast.If, ast.FunctionDef}
    import floodmark

    for name in floodmark.__all__:
        assert getattr(floodmark, name) is not None


@pytest.mark.parametrize("package", [*MAY_IMPORT, "floodmark"])
def test_packages_lie_in_this_checkout(package: str) -> None:
    module = importlib.import_module(package)
    assert Path(str(module.__file__)).is_relative_to(ROOT)


def test_the_packages_shipped_are_the_folders() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert set(project["tool"]["setuptools"]["packages"]) == set(MAY_IMPORT)
    assert project["project"]["scripts"]["floodmark"] == "planner.cli:main"


def test_the_command_starts_without_the_heavy_packages() -> None:
    code = f"import sys, planner.cli; print([m for m in {HEAVY!r} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "[]"


def test_the_glossary_is_current() -> None:
    from planner.glossary import glossary_text

    page = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    assert page == glossary_text(), "write it anew: make glossary"


def test_links_in_the_documents_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_no_text_names_a_machine_of_its_makers() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], capture_output=True, cwd=ROOT, check=True).stdout.split(b"\0")
    for name in filter(None, tracked):
        path = ROOT / name.decode()
        if path.suffix in (".py", ".md", ".yaml", ".toml", "") and path.is_file() and path.parent.name != "tests":
            assert "/work/" not in path.read_text(encoding="utf-8", errors="replace"), path.name
