"""A quicker start of a command that simulates: what its own process need not load, and need not do yet.

None of it changes a number; `benchmarks.start` measures what a start costs. It is for a command's process only: in a
notebook others' compiled code may want what is left out here, so the library never asks for it.
"""

from __future__ import annotations

import gc
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "simulator", "pricing", "calibration", "planner")
is_a_command = False  # planner.cli says otherwise
YOUNG = 50_000  # objects between two looks for cycles: a run's own are let go of by hand (Simulation.forget)


def rested() -> None:
    """Let Python's collector of cycles look seldom: importing makes a hundred thousand objects that all live on."""
    gc.set_threshold(YOUNG, 20, 100)


def without_registries() -> None:
    """Load kernels that lie compiled in numba's cache without numba's tables of how to compile everything else.

    Numba fills the tables (and imports scipy.linalg for one of them) before it looks into its cache, though a kernel
    found there asks only for numba's runtime. One that is not found is compiled as ever: the compiler fills the tables
    itself. A numba that is built otherwise is left alone.
    """
    if not is_a_command:
        return
    try:
        cache: Any = import_module("numba.core.caching").Cache
        runtime: Any = import_module("numba.core.runtime").rtsys
        ordinary, read = cache.load_overload, cache._load_overload
    except (ImportError, AttributeError):
        return
    _untimed()

    def load_overload(self: Any, sig: Any, target: Any) -> Any:
        try:
            runtime.initialize(target)
            found = read(self, sig, target)
        except Exception:  # what this numba's cache wants beside that: the ordinary way then, which says what is wrong
            found = None
        return ordinary(self, sig, target) if found is None else found

    cache.load_overload = load_overload


def _untimed() -> None:
    """Stop numba from noting when each of seven thousand calls into LLVM begins and ends; nobody listens."""
    ffi: Any = import_module("llvmlite.binding.ffi")
    for pair in list(getattr(getattr(ffi.lib, "_lock", None), "_cblist", ())):
        ffi.unregister_lock_callback(*pair)


def compile_bytecode() -> None:
    """Write our modules' bytecode where Python looks for it, also where Python is told not to (as in many containers).

    A folder that cannot be written to stays as it is: Python then compiles at each start, as it did before.
    """
    import compileall

    for package in PACKAGES:
        compileall.compile_dir(ROOT / package, quiet=2, maxlevels=0)
