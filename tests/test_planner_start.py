"""The quick start of a command: the same kernels, the same numbers, and a library that is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND = """
import sys
from planner import start
start.is_a_command = True
from planner.engine import simulate
from simulator import kernels
print(kernels.exponential(1, 2, 3, 4, 5))
print("numba.np.arraymath" in sys.modules, "scipy.linalg" in sys.modules)
"""
LIBRARY = """
import planner.engine
from numba.core.caching import Cache
print(Cache.load_overload.__module__)
"""


def said(script: str, **env: str) -> list[str]:
    """What a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=280, cwd=ROOT,
        env=os.environ | env,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_a_cached_kernel_needs_none_of_numbas_tables_and_says_the_same(tmp_path: Path) -> None:
    first = said(COMMAND, NUMBA_CACHE_DIR=str(tmp_path))  # nothing is cached: compiled, with all tables
    second = said(COMMAND, NUMBA_CACHE_DIR=str(tmp_path))
    assert first[1].startswith("True") and second[1] == "False False"
    assert first[0] == second[0] and float(first[0]) > 0


def test_the_library_leaves_numba_as_it_is() -> None:
    assert said(LIBRARY) == ["numba.core.caching"]


def test_warmup_writes_bytecode_where_python_may_not(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "noun.py").write_text("x = 1\n", encoding="utf-8")
    script = f"import pathlib, planner.start as s; s.ROOT = pathlib.Path({str(tmp_path)!r}); s.compile_bytecode()"
    said(script, PYTHONDONTWRITEBYTECODE="1", PYTHONPYCACHEPREFIX="")
    assert list((tmp_path / "models" / "__pycache__").glob("noun.*.pyc"))
