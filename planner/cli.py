"""The command `floodmark`: questions asked from a shell.

Data goes to standard output, all else to standard error. Exit codes: 0 the targets hold, 1 something
is wrong with the input, 2 wrong usage, 3 a target is broken, 130 interrupted, 141 the reader of a pipe
went away. Imports that cost time (numpy, numba, plotly, rich) stay inside the commands that need them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from rich.console import Console

OK, WRONG_INPUT, WRONG_USAGE, TARGET_BROKEN, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 130, 141
PIPED_WIDTH = 110  # columns when nobody's terminal says otherwise

app = typer.Typer(
    name="floodmark",
    help="What a Kafka → Spark → Elasticsearch/OpenSearch stack will do, before it is built.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ScenarioFile = Annotated[str, typer.Argument(metavar="SCENARIO", help="YAML file; - reads standard input")]
Output = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", help="write to this file, in the format of its suffix; repeatable"),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output")]

Command = TypeVar("Command", bound=Callable[..., None])


def guarded(command: Command) -> Command:
    """A command whose known failures are one message and an exit code, never a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from models.coefficients import CoefficientError
        from planner.refusal import ScenarioError

        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except (ScenarioError, CoefficientError) as error:
            print(f"floodmark: {error}", file=sys.stderr)
            raise typer.Exit(WRONG_INPUT) from None
        except KeyboardInterrupt:
            print("floodmark: interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the exit does not flush again
            raise typer.Exit(PIPE_CLOSED) from None
        except OSError as error:
            print(f"floodmark: {error.filename or 'output'}: {error.strerror or error}", file=sys.stderr)
            raise typer.Exit(WRONG_INPUT) from None

    return run  # type: ignore[return-value]


def _version(wanted: bool) -> None:
    if wanted:
        from planner.version import engine_version

        print(f"floodmark {engine_version()}")
        raise typer.Exit(OK)


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="print the version and leave")
    ] = False,
) -> None:
    """What a Kafka → Spark → Elasticsearch/OpenSearch stack will do, before it is built."""


@app.command()
@guarded
def init(
    example: Annotated[str, typer.Option("--example", "-e", help="events (AWS) or lab (a recorded run)")] = "events",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write to this file")] = None,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file")] = False,
) -> None:
    """Write a commented scenario to start from."""
    from planner.refusal import ScenarioError
    from planner.scenario import example_text

    text = example_text(example)
    if output is None:
        print(text, end="")
        return
    if output.exists() and not force:
        raise ScenarioError(f"{output} exists; --force overwrites it")
    output.write_text(text, encoding="utf-8")
    print(f"wrote {output}; next: floodmark forecast {output}", file=sys.stderr)


@app.command()
@guarded
def forecast(
    scenario: ScenarioFile,
    as_json: AsJson = False,
    as_html: Annotated[bool, typer.Option("--html", help="the HTML report on standard output")] = False,
    output: Output = None,
    seed: Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)] = 1,
    horizon: Annotated[
        str | None, typer.Option("--horizon", help="length of the measured window, such as '10 min'")
    ] = None,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", help="such as 'broker-lost at 5 min for 2 min'; repeatable")
    ] = None,
    level: Annotated[str, typer.Option("--level", help="auto, fluid, exact or reference")] = "auto",
    draws: Annotated[int, typer.Option("--draws", help="of coefficients; 0: no forecast interval", min=0, max=512)] = 8,
) -> None:
    """What will happen, and whether the targets hold. Exit 3 if one is broken."""
    if as_json and as_html:
        raise typer.BadParameter("give --json or --html, not both (-o may be given several times)")
    if level not in ("auto", "fluid", "exact", "reference"):
        raise typer.BadParameter(f"'{level}'; expected auto, fluid, exact or reference", param_hint="--level")
    from planner.fault_words import with_faults
    from planner.forecast import forecast as answered
    from planner.publish import FORMATS, publish
    from planner.render import refuse_suffixes
    from planner.scenario import load_scenario, with_horizon

    refuse_suffixes(output or [], FORMATS)
    loaded = with_horizon(load_scenario(scenario), horizon)
    if fault:
        loaded = with_faults(loaded, fault, stretch=horizon is None)
    with progress() as said:
        out = answered(loaded, seed=seed, level=level, draws_of_coefficients=draws, progress=said)  # type: ignore[arg-type]
    wanted = ".json" if as_json else ".html" if as_html else ""
    publish(out, output or [], wanted, console)
    if not out.holds:
        raise typer.Exit(TARGET_BROKEN)


@app.command()
@guarded
def check(
    scenario: ScenarioFile,
    as_json: AsJson = False,
    output: Output = None,
    claims: Annotated[
        bool, typer.Option("--claims", help="a much-read article's claims instead, each judged for this scenario")
    ] = False,
) -> None:
    """Validate a scenario and hold it against what the field knows. Exit 3 if a finding is critical."""
    from planner.checks import check as held
    from planner.render import write_findings
    from planner.scenario import load_scenario

    loaded = load_scenario(scenario)
    if claims:
        from planner.claims import claims as judged
        from planner.claims_tell import write_claims

        write_claims(loaded, judged(loaded), console(), as_json, output or [])
        return
    findings = held(loaded)
    write_findings(loaded, findings, console(), as_json, output or [])
    if any(finding.severity == "critical" for finding in findings):
        raise typer.Exit(TARGET_BROKEN)


@app.command()
@guarded
def schema(
    of: Annotated[str, typer.Argument(metavar="[scenario|forecast]", help="whose JSON Schema")] = "scenario",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write to this file")] = None,
) -> None:
    """Print the JSON Schema of a scenario file or of `forecast --json`."""
    import json

    from planner.forecast_schema import forecast_schema
    from planner.schema import scenario_schema

    if of not in ("scenario", "forecast"):
        raise typer.BadParameter(f"'{of}' has no schema; expected scenario or forecast", param_hint="of")
    text = json.dumps(scenario_schema() if of == "scenario" else forecast_schema(), indent=2, ensure_ascii=False)
    if output is None:
        print(text)
    else:
        output.write_text(text + "\n", encoding="utf-8")


@app.command()
@guarded
def warmup() -> None:
    """Compile the kernels and Floodmark's own modules, so that the next forecast starts at once."""
    from planner.engine import warm_up
    from planner.start import compile_bytecode

    compile_bytecode()
    print(f"kernels ready after {warm_up():.1f} s", file=sys.stderr)


@app.command()
@guarded
def glossary() -> None:
    """Print the glossary of all fields, as docs/glossary.md holds it."""
    from planner.glossary import glossary_text

    print(glossary_text(), end="")


@contextlib.contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A line on standard error that says how far the work is, on a terminal; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield lambda text, done, of: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    parts = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("simulating", total=None)
        yield lambda text, done, of: bar.update(task, description=text, completed=done, total=of if of > 1 else None)


def console() -> Console:
    """Standard output for people: colours on a terminal (NO_COLOR turns them off), plain text in a pipe."""
    from rich.console import Console

    class Piped(Console):
        """Rich leaves with 1 when the pipe closes; our exit code for that is the shell's own."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no arrows gets question marks
    return Piped(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPED_WIDTH, highlight=False)


def register_all() -> None:
    """Hang the commands of every planner.cli_* module onto the application."""
    import importlib
    import pkgutil

    import planner

    for found in pkgutil.iter_modules(planner.__path__):
        if found.name.startswith("cli_"):
            importlib.import_module(f"planner.{found.name}").register(app)


def main() -> None:
    """Entry point of the command."""
    from planner import start

    start.rested()
    start.is_a_command = True  # so that planner.engine loads numba without what only compiling needs
    register_all()
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
