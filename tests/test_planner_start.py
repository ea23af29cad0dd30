"""The quick start of a command leaves the process as it found it."""

from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import sys
from planner.start import without_blas
without_blas()
assert "scipy.linalg" not in sys.modules
from simulator import kernels
kernels.exponential(1, 2, 3, 4, 5)
assert "scipy.linalg" not in sys.modules, "numba imported it all the same"
import scipy.linalg
assert scipy.linalg.det([[2.0]]) == 2.0
"""


def test_numba_starts_without_scipy_linalg_and_who_wants_it_gets_it() -> None:
    subprocess.run([sys.executable, "-c", SCRIPT], check=True, timeout=120)
