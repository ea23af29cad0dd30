"""The command `paste`: a scenario's stack as ready configuration, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Hang the command onto the application."""
    from planner.cli import guarded

    app.command()(guarded(paste))


def paste(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="YAML file; - reads standard input")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="of the configuration files")],
    read: Annotated[
        bool, typer.Option("--read", help="read the folder: SCENARIO on the stack that it describes")
    ] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="with --read: write the scenario here")] = None,
) -> None:
    """Write broker, Spark, index and Terraform settings of a scenario's stack; --read makes a scenario of them."""
    from planner.paste import write_paste
    from planner.paste_read import read_paste
    from planner.scenario import load_scenario, to_yaml

    loaded = load_scenario(scenario)
    if not read:
        for path in write_paste(loaded, folder):
            print(path)
        return
    text = to_yaml(read_paste(folder, loaded))
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8")
        print(f"wrote {output}; next: floodmark forecast {output}", file=sys.stderr)
