"""The command `dashboard`: the page in a browser, served on this machine only."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).parent.parent
LOOPBACK = "127.0.0.1"


def register(app: typer.Typer) -> None:
    """Hang the command onto the application."""
    from planner.cli import guarded

    app.command()(guarded(dashboard))


def dashboard(
    scenario: Annotated[
        str | None, typer.Argument(metavar="[SCENARIO]", help="YAML file to open; without one: the packaged example")
    ] = None,
    port: Annotated[int, typer.Option("--port", "-p", help="on this machine", min=1, max=65535)] = 8501,
    address: Annotated[
        str, typer.Option("--address", help="another address lets others in, who then need no password")
    ] = LOOPBACK,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open one")] = True,
) -> None:
    """Open the dashboard in a browser: stack and workload left, what will happen in the centre."""
    from planner.refusal import ScenarioError
    from planner.scenario import load_scenario

    if find_spec("streamlit") is None:
        raise ScenarioError(
            "the dashboard needs streamlit; pip install 'floodmark[dashboard]' (or `floodmark forecast FILE "
            "-o report.html`, which needs no server)"
        )
    given = []
    if scenario is not None:
        load_scenario(scenario)  # what is wrong with it is said here, before a server starts
        given = ["--", str(Path(scenario).absolute())]
    if address != LOOPBACK:
        print(f"floodmark: serving on {address}: whoever reaches it can use it, there is no sign-in", file=sys.stderr)
    _run(command(port, address, browser, given))


def command(port: int, address: str, browser: bool, given: list[str]) -> list[str]:
    """The server's command line: loopback, no statistics, nothing watched; `.streamlit/config.toml` has the rest."""
    options = {
        "server.address": address, "server.port": str(port), "server.headless": str(not browser).lower(),
        "browser.gatherUsageStats": "false", "browser.serverAddress": address, "server.fileWatcherType": "none",
        "server.showEmailPrompt": "false",  # on its first run Streamlit asks for one, and serves nothing until answered
    }  # fmt: skip
    told = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(ROOT / "app.py"), *told, *given]


def _run(arguments: list[str]) -> None:
    """In this process where the system can do that, so that its signals are the server's own."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    if os.name == "posix":
        os.chdir(ROOT)  # where .streamlit/config.toml lies
        os.execve(arguments[0], arguments, environment)
    raise typer.Exit(subprocess.call(arguments, cwd=ROOT, env=environment))
