"""What a calibration reads: recordings gathered from folders and imports, the machine they were made on, and refusals.

A folder with an `experiment.json` is one run; a folder of such folders is a results folder, of which the runs named
`fit-…` are taken. Everything else goes through the importer; an imported run of the laboratory carries its settings,
and all other metrics need a scenario for what they do not show. What ran beside other work, and what is named a test,
is passed over and said.
"""

from __future__ import annotations

import gzip
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration.fit_needs import refusals
from calibration.fit_set import file_digests
from calibration.lab import LabRun, load_run
from calibration.observations import ObservationError
from models.coefficients import load_set
from models.machines import UnknownMachine, machine
from planner.refusal import ScenarioError

if TYPE_CHECKING:
    from models.stack import Scenario

SPEED_HINT = (
    "expected CoreMark iterations a second of one core; give --machine with the nearest EC2 type (--machine m7a.large) "
    "or --per-core-speed with the machine's own CoreMark"
)


@dataclass(frozen=True)
class Gathered:
    """Runs to fit, where they came from, their machine; `skipped` names what was not taken, with why."""

    runs: tuple[LabRun, ...]
    machine: Mapping[str, Any]
    files: Mapping[str, str]
    versions: Mapping[str, str]
    skipped: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Sixteen hex digits over all files that were read."""
        told = "\n".join(f"{name} {digest}" for name, digest in sorted(self.files.items()))
        return hashlib.sha256(told.encode()).hexdigest()[:16]


def gather(
    paths: Sequence[Path], scenario: Scenario | None = None, machine_type: str = "", per_core_speed: float = 0.0
) -> Gathered:
    """Runs from folders, imports and exported files. Raises ScenarioError for what cannot be read or fitted."""
    if not paths:
        raise ScenarioError("nothing to calibrate from; give a folder of recorded runs or exported metrics")
    skipped: dict[str, str] = {}
    runs: list[LabRun] = []
    for path in paths:
        if not path.exists():
            raise ScenarioError(f"{path}: does not exist; give a folder of recorded runs, or files of exported metrics")
    folders = {path: run_folders(path, skipped) for path in paths}
    try:
        for _, found in folders.items():
            runs += [load_run(folder) for folder in found]
        loose = [path for path in paths if not folders[path] and not _holds_runs(path)]
        runs += _imported(loose, scenario) if loose else []
    except ObservationError as error:
        raise ScenarioError([f"cannot be read: {line}" for line in str(error).splitlines()]) from None
    runs = _usable(runs, skipped)
    if lines := refusals(runs):
        raise ScenarioError([f"refused: {line}" for line in [*lines, *_left_out(skipped)]])
    host = machine_of(paths, runs, machine_type, per_core_speed)
    files = file_digests([f for found in folders.values() for f in found] + loose)
    versions = {n: v for run in runs for n, v in run.experiment.versions.items()}
    return Gathered(tuple(runs), host, files, versions, skipped)


def load_loose(paths: Sequence[Path], scenario: Scenario | None) -> list[LabRun]:
    """Every run in some paths, whatever it is named and however short: to watch, not to fit."""
    found: list[LabRun] = []
    try:
        for path in paths:
            if not path.exists():
                raise ScenarioError(f"{path}: does not exist; give a folder of a recorded run, or exported metrics")
            if (path / "experiment.json").is_file():
                found.append(load_run(path))
            elif path.is_dir() and (inside := sorted(p.parent for p in path.glob("*/experiment.json"))):
                found += [load_run(folder) for folder in inside]
            else:
                found += _imported([path], scenario)
    except ObservationError as error:
        raise ScenarioError([f"cannot be read: {line}" for line in str(error).splitlines()]) from None
    return found


def _left_out(skipped: Mapping[str, str]) -> list[str]:
    return [f"not taken: {name}: {why}" for name, why in skipped.items()]


def _holds_runs(path: Path) -> bool:
    """Whether a folder holds recorded runs, all of which were passed over."""
    return path.is_dir() and any((inside / "experiment.json").is_file() for inside in path.iterdir())


def run_folders(path: Path, skipped: dict[str, str]) -> list[Path]:
    """The run folders in a path: itself, or of a results folder those to fit."""
    if (path / "experiment.json").is_file():
        return [path]
    if not path.is_dir():
        return []
    runs = [p for p in sorted(path.iterdir()) if (p / "experiment.json").is_file()]
    for run in runs:
        if not run.name.startswith("fit-"):
            skipped[run.name] = "not named fit-…: what a forecast is tested on is not fitted to"
    return [run for run in runs if run.name.startswith("fit-")]


def _usable(runs: Sequence[LabRun], skipped: dict[str, str]) -> list[LabRun]:
    for run in runs:
        if run.experiment.disturbed:
            skipped[run.name] = "recorded beside other work (disturbed)"
        elif run.experiment.set == "test":
            skipped[run.name] = "of the test set: what a forecast is tested on is not fitted to"
    return [run for run in runs if run.name not in skipped]


def _imported(paths: Sequence[Path], scenario: Scenario | None) -> list[LabRun]:
    """Runs from exported metrics, by the importer; the scenario says what metrics do not."""
    from calibration.fit_recordings import runs_of
    from calibration.lab_recording import carries_settings, lab_run
    from planner.calibrate_settings import settings_of

    try:
        from calibration.importer import import_paths, load_recordings
    except ImportError:
        raise ScenarioError(
            f"{', '.join(map(str, paths))}: no experiment.json in it, and this version reads no other recordings"
        ) from None
    written = [p for p in paths if p.is_file() and is_import(p)]
    recordings = [r for p in written for r in load_recordings(p)]
    for path in (p for p in paths if p not in written):
        recordings += import_paths([path])  # each is a stack of its own: what lies together was told together
    found = [lab_run(one) for one in recordings if carries_settings(one)]
    bare = [one for one in recordings if not carries_settings(one)]
    if bare and scenario is None:
        raise ScenarioError(
            f"{', '.join(one.name for one in bare)}: no experiment.json; exported metrics do not say record size, "
            "trigger, bulk size and slots; give the stack with --scenario FILE"
        )
    settings = settings_of(scenario) if scenario is not None and bare else None
    return found + [run for one in bare if settings is not None for run in runs_of(one, settings)]


def is_import(path: Path) -> bool:
    """Whether a file is what `floodmark import -o` wrote, by its first characters."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if packed else path.open("rb") as file:
            return b'"floodmark_imported"' in file.read(4096)
    except (OSError, EOFError):
        return False


def machine_of(paths: Sequence[Path], runs: Sequence[LabRun], machine_type: str, speed: float) -> dict[str, Any]:
    """The recordings' machine: as given by hand, else machine.toml beside the runs. Refuses one without a speed."""
    told: dict[str, Any] = {"as_of": _day(runs), "name": "the recordings' machine"}
    file = next(
        (p for path in paths for p in (path / "machine.toml", path.parent / "machine.toml") if p.is_file()), None
    )
    if file is not None:
        try:
            told |= tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ScenarioError(f"{file}: not TOML: {error}") from None
    else:
        told |= _imported_machine(paths)
    if machine_type:
        told |= _by_type(machine_type)
    if speed:
        told |= {"per_core_speed": speed, "per_core_speed_grade": "measured", "per_core_speed_source": "given by hand"}
    found = told.get("per_core_speed")
    if found is None:
        where = f"{file}: per_core_speed is missing" if file else "no machine.toml beside the recordings"
        raise ScenarioError(f"{where}; {SPEED_HINT}")
    if not isinstance(found, int | float) or isinstance(found, bool) or not 100 < found < 1e7:
        raise ScenarioError(f"per_core_speed = {found!r}; {SPEED_HINT}")
    return told


def _imported_machine(paths: Sequence[Path]) -> dict[str, Any]:
    """The machine that an import was told of beside its recordings; empty where none was."""
    from calibration.recording_json import machine as told

    written = [path for path in paths if path.is_file() and is_import(path)]
    return next((found for path in written if (found := told(path))), {})


def _by_type(name: str) -> dict[str, Any]:
    try:
        known = machine(name)
    except UnknownMachine as error:
        raise ScenarioError(str(error).replace("machine", "--machine", 1)) from None
    source = f"CoreMark of EC2 {name} in models/data/machines.csv"
    speed = known.per_core_speed(load_set("generic-2026-11")["hosts.smt_yield"])
    if speed is None:
        raise ScenarioError(f"--machine {name}: nobody published its CoreMark; give --per-core-speed")
    return {"name": f"EC2 {name}", "per_core_speed": round(speed), "per_core_speed_grade": "published",
            "per_core_speed_source": source}  # fmt: skip


def _day(runs: Sequence[LabRun]) -> date:
    """The day of the latest recording."""
    return datetime.fromtimestamp(max(run.window()[1] for run in runs), UTC).date()
