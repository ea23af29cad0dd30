"""The kernels compiled, compiled with their bounds checked, and not compiled at all: one path in all three.

`make test` runs every test_simulator_kernels* file in each mode; here a few runs are compared between the modes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.run import simulate
from tests.strategies import GENERIC, bare

ROOT = Path(__file__).parent.parent
CALL = "import json; from tests.test_simulator_modes import told; print(json.dumps(told()))"
MODES = {
    "without a compiler": {"NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "error"},
    "with bounds checked": {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(ROOT / ".numba_cache" / "bounds")},
}


def told() -> list[Any]:
    """What two short runs, one with every producer batch, end with."""
    it = bare(
        flow__workload={"rate": 400, "size": 300},
        flow__topic={"partitions": 3, "copies": 2, "min_insync": 1},
        flow__index={"primaries": 2, "copies": 2, "refresh_interval": 0.3},
        kafka={"brokers": 2, "hosts": []},
        spark={"executors": 2, "cores": 2, "hosts": []},
        elasticsearch={"data_nodes": 2, "hosts": []},
        hosts=[],
        run={"measure": 3.0, "warm_up": 1.0, "jvm": "cold"},
    )
    out: list[Any] = []
    for level in ("fluid", "exact"):
        flow = simulate(it, GENERIC, seed=11, level=level).flows["events"]  # type: ignore[arg-type]
        out += [flow.batches["finished"].tolist(), flow.batches["records"].tolist(), flow.counts]
        out.append([flow.latency.quantile(q) for q in (0.1, 0.5, 0.99)])
    return out


@pytest.mark.parametrize("mode", MODES)
def test_the_path_is_the_same(mode: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CALL],
        cwd=ROOT,
        env=os.environ | MODES[mode],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for there, here in zip(json.loads(done.stdout), told(), strict=True):
        assert there == pytest.approx(here, rel=1e-9)
