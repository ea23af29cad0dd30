"""An imported run of the laboratory is the run itself: nothing that a fit reads is lost, and nobody is asked."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.importer import import_paths
from calibration.lab import load_run
from calibration.lab_recording import lab_run
from calibration.observations import ObservationError
from calibration.recording import Recording
from calibration.recording_json import dump, load
from planner.calibrate_load import gather
from planner.refusal import ScenarioError

RESULTS = Path(__file__).parent.parent / "lab/results/2026-11-23-epyc-2core"


def differences(one: Any, other: Any, where: str = "") -> list[str]:
    """Places at which two runs differ; names of counters say only who read them."""
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        skip = {"run", "state_rows", "state_bytes"}  # of batches: the folder's own reader does not tell them
        skip |= {"batch", "query", "executor"} if type(one).__name__ == "Task" else set()  # nor whose a task was
        fields = [f.name for f in dataclasses.fields(one) if not (f.name == "name" and "t" in vars(one))]
        parts = [(name, getattr(one, name), getattr(other, name)) for name in fields if name not in skip]
        return [line for name, a, b in parts for line in differences(a, b, f"{where}.{name}")]
    if isinstance(one, np.ndarray):
        same = one.shape == other.shape and np.allclose(one, other, rtol=1e-9, atol=2e-6)
        return [] if same else [f"{where}: {one.shape} {other.shape}"]
    if isinstance(one, dict):
        keys = [f"{where}: {sorted(map(str, set(one) ^ set(other)))}"] if set(one) != set(other) else []
        return keys + [
            line for key in one if key in other for line in differences(one[key], other[key], f"{where}[{key}]")
        ]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{where}: {len(one)} and {len(other)}"]
        pairs = enumerate(zip(one, other, strict=True))
        return [line for k, (a, b) in pairs for line in differences(a, b, f"{where}[{k}]")][:5]
    if isinstance(one, float) and isinstance(other, int | float):
        return [] if other == pytest.approx(one, rel=1e-9, abs=2e-6) else [f"{where}: {one} {other}"]
    return [] if one == other else [f"{where}: {one!r} {other!r}"]


@pytest.mark.parametrize("name", ["fit-kafka", "fit-bulk-1x200", "fit-noop-agg"])
def test_what_was_imported_is_what_the_folder_s_own_reader_reads(name: str, tmp_path: Path) -> None:
    dump(import_paths([RESULTS / name]), tmp_path / "rec.json.gz")
    assert differences(load_run(RESULTS / name), lab_run(load(tmp_path / "rec.json.gz")[0])) == []


def test_settings_and_machine_ride_in_an_import_so_calibrate_asks_for_neither(tmp_path: Path) -> None:
    path = tmp_path / "rec.json.gz"
    told = {"name": "a box", "per_core_speed": 32161, "as_of": "2026-11-23"}
    dump(import_paths([RESULTS / "fit-kafka", RESULTS / "fit-bulk-1x200"]), path, machine=told)
    gathered = gather([path])
    assert [run.name for run in gathered.runs] == ["fit-kafka", "fit-bulk-1x200"]
    assert gathered.machine["per_core_speed"] == 32161 and gathered.machine["name"] == "a box"


def test_exported_metrics_still_need_the_stack_that_they_came_from(tmp_path: Path) -> None:
    r = import_paths([RESULTS / "fit-kafka"])[0]
    dump([dataclasses.replace(r, experiment=None)], tmp_path / "rec.json.gz")
    with pytest.raises(ScenarioError, match=r"fit-kafka: no experiment.json; exported metrics do not say record size"):
        gather([tmp_path / "rec.json.gz"])


def test_half_a_run_is_refused_with_what_would_do() -> None:
    with pytest.raises(ObservationError, match="import the run's whole folder"):
        lab_run(Recording("x", experiment={"name": "x"}))
    with pytest.raises(ObservationError, match=r"x: no experiment.json"):
        lab_run(Recording("x"))
