"""A quicker start of a command that simulates."""

from __future__ import annotations

import sys


def without_blas() -> None:
    """Load numba's array functions without scipy.linalg, which it imports only to learn whether np.dot compiles.

    No kernel of ours multiplies matrices, and importing it takes a fifth of a second. For a command's own process
    only: in a notebook, others' compiled code may want it, so the library never calls this.
    """
    if "scipy.linalg" in sys.modules or "numba.np.arraymath" in sys.modules:
        return
    sys.modules["scipy.linalg"] = None  # type: ignore[assignment]  # importing it fails while numba asks
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        del sys.modules["scipy.linalg"]
