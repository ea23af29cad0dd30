"""Scenario files: YAML in, a validated Scenario out, and back.

A scenario comes from a file, from standard input (`-`), from a text or from a mapping. What is wrong
with it is said line by line in one `ScenarioError`. A recorded series that it names (CSV or Parquet,
relative to the file) is read here and becomes `workload.steps`, so that a Scenario holds all that a
forecast depends on and can be cached by its value.
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from models.coefficients import CoefficientError, load_set
from models.machines import UnknownMachine, extend, machine
from models.stack import Run, Scenario
from models.units import parse_seconds, show
from planner import yaml_text
from planner.fields import Location
from planner.refusal import ScenarioError, house_lines
from planner.series import read_steps

EXAMPLES = Path(__file__).parent / "data" / "examples"


def load_scenario(source: str | Path | Mapping[str, Any]) -> Scenario:
    """The scenario in a file, on standard input (`-`), in a YAML text of several lines, or in a mapping.

    Raises ScenarioError, a line for each thing that is wrong.
    """
    if isinstance(source, Mapping):
        return validated(dict(source))
    if isinstance(source, str) and "\n" in source:
        return from_yaml(source)
    if str(source) == "-":
        return from_yaml(_decoded(sys.stdin.buffer.read(yaml_text.MOST_BYTES + 1), "standard input"), "standard input")
    path = Path(source)
    return from_yaml(_decoded(_read(path), path.name), path.name, path.parent)


def from_yaml(text: str, name: str = "scenario", folder: Path | None = None) -> Scenario:
    """The scenario in a YAML text; files it names are sought in `folder`, by default the working directory."""
    data, lines = yaml_text.parse(text, name)
    if data is None:
        raise ScenarioError(f"{name} is empty; `floodmark init` writes one to start from")
    if isinstance(data, dict):
        data.pop("uncertain", None)  # laws of unknowns: `recommend` reads them, a scenario is one world
    return validated(data, folder or Path("."), lines)


def validated(data: Any, folder: Path = Path("."), lines: Mapping[Location, int] | None = None) -> Scenario:
    """The scenario that plain data describes, its recorded series read."""
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(house_lines(error.errors(include_url=False), Scenario, lines)) from None
    scenario = _with_own_coefficients(scenario, folder)
    _know_machines_of(scenario)
    if wrong := unknown_names(scenario):
        raise ScenarioError(wrong)
    return _with_recordings(_with_own_compression(scenario), folder)


def unknown_names(scenario: Scenario) -> list[str]:
    """Machines and coefficients that the scenario names and no table has, each with the nearest right one."""
    named = [("kafka.machine", scenario.kafka.machine), ("spark.machine", scenario.spark.machine)]
    named += [("spark.driver_machine", scenario.spark.driver_machine)]
    named += [("elasticsearch.machine", scenario.elasticsearch.machine)]
    named += [("elasticsearch.manager_machine", scenario.elasticsearch.manager_machine)]
    named += [(f"hosts[{k}].machine", host.machine) for k, host in enumerate(scenario.hosts) if host.machine]
    wrong = []
    for path, name in named:
        try:
            machine(name)
        except UnknownMachine as error:
            wrong.append(str(error).replace("machine", path, 1))
    try:
        load_set(scenario.coefficients).with_values(dict(scenario.overrides))
    except CoefficientError as error:
        wrong.append(f"coefficients, overrides: {error}")
    return wrong


def _with_recordings(scenario: Scenario, folder: Path) -> Scenario:
    flows = []
    for flow in scenario.flows:
        load = flow.workload
        if load.recorded is not None:
            steps = tuple(read_steps(folder / load.recorded))
            load = type(load).model_validate(
                load.model_dump(exclude_unset=True, exclude={"recorded"}) | {"steps": steps}
            )
            flow = flow.model_copy(update={"workload": load})
        flows.append(flow)
    return scenario.model_copy(update={"flows": tuple(flows)})


def _know_machines_of(scenario: Scenario) -> None:
    """A price book made from live AWS brings the boxes that are newer than the packaged table."""
    table = Path(scenario.money.price_book) / "instance_types.csv"
    if table.is_file():
        try:
            extend(table)
        except ValueError as error:
            raise ScenarioError(f"money.price_book: {error}") from None


def _with_own_coefficients(scenario: Scenario, folder: Path) -> Scenario:
    """A coefficient file is sought beside the scenario, as a recorded series is."""
    name = scenario.coefficients
    if name.endswith(".toml") and not Path(name).is_absolute() and (folder / name).is_file():
        return scenario.model_copy(update={"coefficients": str(folder / name)})
    return scenario


def _with_own_compression(scenario: Scenario) -> Scenario:
    """The producers' ratios from the coefficient set, where it was made from one's own records and they state none."""
    measured = load_set(scenario.coefficients).compression
    if not measured:
        return scenario
    flows = []
    for flow in scenario.flows:
        told = flow.topic.producer.model_dump(exclude_unset=True)
        told["compression_ratio"] = measured | told.get("compression_ratio", {})
        try:
            producer = type(flow.topic.producer).model_validate(told)
        except ValidationError as error:
            raise ScenarioError(house_lines(error.errors(include_url=False), type(flow.topic.producer))) from None
        flows.append(flow.model_copy(update={"topic": flow.topic.model_copy(update={"producer": producer})}))
    return scenario.model_copy(update={"flows": tuple(flows)})


def with_horizon(scenario: Scenario, horizon: str | None) -> Scenario:
    """The scenario measured over another length of time, as a person writes it ('10 min')."""
    if horizon is None:
        return scenario
    try:
        seconds = parse_seconds(horizon)
    except ValueError as error:
        raise ScenarioError(f"--horizon '{horizon}': {error}") from None
    try:
        run = Run.model_validate(scenario.run.model_dump() | {"measure": seconds})
    except ValidationError:
        from planner.forecast import LONGEST

        most = f"expected more than 0 s and at most {show(LONGEST, 's')} [s], for example '10 min'"
        raise ScenarioError(f"--horizon '{horizon}'; {most} (`floodmark months` looks further)") from None
    return scenario.model_copy(update={"run": run})


def resolved(scenario: Scenario) -> dict[str, Any]:
    """Everything that the scenario says, defaults filled in, as plain data in seconds and bytes."""
    return scenario.model_dump(mode="json")


def to_yaml(scenario: Scenario) -> str:
    """The scenario as YAML: what differs from the defaults, in seconds and bytes. `from_yaml` reads it back equal."""
    return yaml_text.dump(scenario.model_dump(mode="json", exclude_defaults=True))


def example_names() -> list[str]:
    """Names of the packaged examples."""
    return sorted(p.stem for p in EXAMPLES.glob("*.yaml"))


def example_text(name: str) -> str:
    """A packaged example as its commented YAML text. Raises ScenarioError for a name that is not there."""
    path = EXAMPLES / f"{name}.yaml"
    if name not in example_names():
        near = difflib.get_close_matches(name, example_names(), n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(example_names())}"
        raise ScenarioError(f"no example '{name}'; {hint}")
    return path.read_text(encoding="utf-8")


def example(name: str = "events") -> Scenario:
    """A packaged example: `events` (an event pipeline on AWS) or `lab` (a recorded laboratory run)."""
    return from_yaml(example_text(name), f"{name}.yaml", EXAMPLES)


def _read(path: Path) -> bytes:
    try:
        if path.is_file() and path.stat().st_size > yaml_text.MOST_BYTES:
            raise ScenarioError(f"{path}: {path.stat().st_size:,} bytes; expected at most {yaml_text.MOST_BYTES:,}")
        return path.read_bytes()
    except FileNotFoundError:
        hint = f"; `floodmark init --example {path.stem}` writes one" if path.stem in example_names() else ""
        raise ScenarioError(f"no scenario file '{path}'{hint}") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise ScenarioError(f"cannot read '{path}': {getattr(error, 'strerror', None) or error}") from None


def _decoded(raw: bytes, name: str) -> str:
    for mark, codec in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if raw.startswith(mark):
            return _as(raw, codec, name)
    return _as(raw, "utf-8", name)


def _as(raw: bytes, codec: str, name: str) -> str:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ScenarioError(
            f"{name}: byte 0x{raw[error.start]:02x} is not {codec} (line {line}); save it as UTF-8"
        ) from None
