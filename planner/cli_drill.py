"""`floodmark drill`: the bad days of a stack."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli import TARGET_BROKEN, AsJson, Output, ScenarioFile, console, guarded, progress


def register(app: typer.Typer) -> None:
    app.command("drill")(guarded(drill))


def drill(
    scenario: ScenarioFile,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME...]", help="drills to run; see --list")] = None,
    every: Annotated[bool, typer.Option("--all", help="all drills")] = False,
    listed: Annotated[bool, typer.Option("--list", help="what drills there are")] = False,
    as_json: AsJson = False,
    output: Output = None,
    runs: Annotated[int, typer.Option("--runs", help="of each drill, under dice of their own", min=1, max=50)] = 3,
    seed: Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)] = 1,
) -> None:
    """Run the bad days on a scenario's stack: what holds, what is lost, and how long until all is green. Exit 3 if
    one does not hold.
    """
    from planner.drill import drills, run_drills
    from planner.drill_tell import as_csv, as_html, as_markdown, drill_table, summary
    from planner.drill_tell import as_json as json_text
    from planner.render import refuse_suffixes, write_files
    from planner.scenario import load_scenario

    if not (names or every or listed):
        raise typer.BadParameter("name drills, or give --all (--list says which there are)")
    if names and every:
        raise typer.BadParameter("give names or --all, not both")
    refuse_suffixes(output or [], (".json", ".md", ".csv", ".html"))
    loaded = load_scenario(scenario)
    if listed:
        for one in drills(loaded).values():
            print(f"{one.name:24}{one.meaning}")
        return
    with progress() as said:
        results = run_drills(loaded, names or (), seed, said, runs)
    writers = {
        ".json": lambda: json_text(loaded, results, seed),
        ".md": lambda: as_markdown(loaded, results),
        ".csv": lambda: as_csv(results),
        ".html": lambda: as_html(loaded, results),
    }
    write_files(output or [], writers)
    if as_json:
        print(writers[".json"](), end="")
    elif not output:
        out = console()
        out.print(drill_table(results))
        out.print(summary(results))
    if not all(result.holds for result in results):
        raise typer.Exit(TARGET_BROKEN)
