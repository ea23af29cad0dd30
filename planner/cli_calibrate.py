"""The commands about truth: `calibrate`, `backtest`, `watch`.

`register` hangs them onto the command of `planner.cli`. Whatever takes time to import stays inside a command.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from models.stack import Scenario
    from planner.watch import Watch

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output")]
Paths = Annotated[
    list[Path], typer.Argument(metavar="RECORDING...", help="folders of recorded runs, or exported metrics")
]
ScenarioFile = Annotated[
    str, typer.Option("--scenario", help="the stack that exported metrics came from (recorded runs say it themselves)")
]
MachineType = Annotated[
    str, typer.Option("--machine", help="EC2 type of the recordings' machine, such as m7a.large, where no file says it")
]
Speed = Annotated[
    float, typer.Option("--per-core-speed", help="CoreMark a core of that machine, instead of --machine", min=0.0)
]
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def register(app: typer.Typer) -> None:
    """Hang the commands onto the application."""
    from planner.cli import guarded

    for command in (calibrate, backtest, watch):
        app.command()(guarded(command))


def calibrate(
    recordings: Paths,
    name: Annotated[str, typer.Option("--name", help="of the set: letters, digits, . _ -")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="TOML file of the set; default: NAME.toml")
    ] = None,
    scenario: ScenarioFile = "",
    holdout: Annotated[
        str, typer.Option("--holdout", help="last part of each recording that is forecast blind; 0: none")
    ] = "25%",
    machine: MachineType = "",
    per_core_speed: Speed = 0.0,
    prior: Annotated[str, typer.Option("--prior", help="set that is the prior and fills what is not told")] = (
        "generic-2026-11"
    ),
    residuals: Annotated[
        Path | None, typer.Option("--residuals", help="HTML file of the residuals; default: beside the set")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the files")] = False,
    as_json: AsJson = False,
) -> None:
    """Fit a coefficient set to recordings, and say what they cannot tell. Exit 3 if today does not replay with it."""
    from planner import calibrate_tell as tell
    from planner import cli
    from planner.calibrate import calibrate as fitted
    from planner.calibrate_load import gather
    from planner.refusal import ScenarioError

    if not NAME.fullmatch(name):
        raise typer.BadParameter(f"'{name}'; expected letters, digits, . _ -, at most 64", param_hint="--name")
    target = output or Path(f"{name}.toml")
    page = residuals or target.with_name(f"{target.stem}-residuals.html")
    for path, suffix in ((target, ".toml"), (page, ".html")):
        _writable(path, suffix, force)
    share = _share(holdout)
    gathered = gather(recordings, _scenario(scenario), machine, per_core_speed)
    made_by = f"floodmark calibrate {' '.join(p.as_posix() for p in recordings)} --name {name}"
    with tempfile.TemporaryDirectory() as work, cli.progress() as said:
        out = fitted(
            gathered, name, prior=prior, holdout=share, made_by=made_by, work=Path(work), progress=said
        )  # fmt: skip
    target.write_text(out.text, encoding="utf-8", newline="\n")
    page.write_text(tell.residual_page(out), encoding="utf-8", newline="\n")
    if as_json:
        print(tell.as_json(out), end="")
    else:
        tell.print_calibration(out, cli.console())
    print(f"wrote {target} and {page}; next: coefficients: {target} in a scenario", file=sys.stderr)
    if not out.anchored:
        print(
            "unanchored: until today's load replays as measured, every what-if with this set says so", file=sys.stderr
        )
        raise typer.Exit(cli.TARGET_BROKEN)
    if not out.outcome.told:
        raise ScenarioError("nothing was told")


def _writable(path: Path, suffix: str, force: bool) -> None:
    from planner.refusal import ScenarioError

    if path.suffix.lower() != suffix:
        raise ScenarioError(f"{path}: expected a file ending in {suffix}")
    if not path.absolute().parent.is_dir():
        raise ScenarioError(f"{path}: no folder '{path.parent}'")
    if path.exists() and not force:
        raise ScenarioError(f"{path} exists; --force overwrites it")


def _share(text: str) -> float:
    """A share as a person writes it: 25%, 0.25, 0."""
    from models.units import parse_fraction

    try:
        value = parse_fraction(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}': {error}", param_hint="--holdout") from None
    if not 0 <= value <= 0.9:
        raise typer.BadParameter(f"'{text}'; expected 0 to 90 %", param_hint="--holdout")
    return float(value)


def _scenario(path: str) -> Scenario | None:
    from planner.scenario import load_scenario

    return load_scenario(path) if path else None


def backtest(
    recordings: Annotated[
        list[Path], typer.Argument(metavar="RECORDING...", help="run folders, or a results folder with fit-… runs")
    ],
    coefficients: Annotated[
        str, typer.Option("--set", help="forecast with this set; default: one fitted to what lies before")
    ] = "",
    holdout: Annotated[
        str, typer.Option("--holdout", help="last part of each recording that is forecast blind")
    ] = "25%",
    machine: MachineType = "",
    per_core_speed: Speed = 0.0,
    draws: Annotated[int, typer.Option("--draws", help="of coefficients, for the interval", min=2, max=256)] = 8,
    seeds: Annotated[int, typer.Option("--seeds", help="runs of each forecast", min=1, max=64)] = 4,
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="write to this file: .md .json; repeatable")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Forecast recorded runs blind, and score them beside baselines: the last part of each, or runs with --set."""
    import json

    from planner import backtest_tell as tell
    from planner.backtest_run import held_parts, named_runs
    from planner.render import write_files

    share = _share(holdout)
    if coefficients:
        found = named_runs(recordings, coefficients, range(1, seeds + 1), draws)
    else:
        found = held_parts(recordings, share, machine, per_core_speed, range(1, seeds + 1), draws)

    def plain() -> str:
        return json.dumps(tell.as_dict(found), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    write_files(output or [], {".md": lambda: tell.as_markdown(found), ".json": plain})
    if as_json:
        print(plain(), end="")
    elif not output:
        print(tell.as_markdown(found), end="")


def watch(
    recordings: Paths,
    coefficients: Annotated[str, typer.Option("--set", help="the coefficient set in use: a name, or a .toml file")],
    scenario: ScenarioFile = "",
    tolerance: Annotated[str, typer.Option("--tolerance", help="by how much a law or a quantity may be off")] = "20%",
    every: Annotated[
        str, typer.Option("--every", help="look again and again, such as '10 min', until a law is no longer true")
    ] = "",
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="write to this file: .md .json; repeatable")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Today's metrics against today's forecast: what drifted, which law is no longer true. Exit 3 if one is not."""
    import time

    from planner import cli
    from planner.watch import watch as watched

    pause, share, stack = _pause(every), _share(tolerance) or 0.01, _scenario(scenario)
    while True:
        out = watched(recordings, coefficients, share, stack)
        _tell_watch(out, output or [], as_json)
        if out.drifted:
            raise typer.Exit(cli.TARGET_BROKEN)
        if not pause:
            return
        time.sleep(pause)


def _tell_watch(out: Watch, outputs: list[Path], as_json: bool) -> None:
    import json

    from planner import cli
    from planner.render import write_files
    from planner.watch_tell import as_markdown, print_watch

    def plain() -> str:
        return json.dumps(out.as_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    write_files(outputs, {".md": lambda: as_markdown(out), ".json": plain})
    if as_json:
        print(plain(), end="", flush=True)
    elif not outputs:
        print_watch(out, cli.console())


def _pause(text: str) -> float:
    """Seconds between two looks; 0 where one is enough."""
    from models.units import parse_seconds

    if not text:
        return 0.0
    try:
        seconds = parse_seconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}': {error}", param_hint="--every") from None
    if not 1 <= seconds <= 7 * 86400:
        raise typer.BadParameter(f"'{text}'; expected 1 s to 7 d", param_hint="--every")
    return seconds
