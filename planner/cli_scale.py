"""`floodmark scale`: dynamic allocation and managed scaling against the load curve."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from planner import cli

if TYPE_CHECKING:
    from rich.console import RenderableType

    from planner.scaling import ScalingAnswer


def register(app: typer.Typer) -> None:
    app.command(name="scale")(scale)


@cli.guarded
def scale(
    scenario: cli.ScenarioFile,
    horizon: Annotated[str, typer.Option("--horizon", help="how long, such as '1 day' or '1 week'")] = "1 day",
    as_json: cli.AsJson = False,
    output: cli.Output = None,
    seed: Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)] = 1,
) -> None:
    """Executor-hours that spark.scaling holds, wastes and lacks against the load curve, beside fixed fleets."""
    from models.units import DAY, parse_seconds
    from planner.forecast import coefficients_of
    from planner.refusal import ScenarioError
    from planner.render import refuse_suffixes, write_files
    from planner.scaling import scaling
    from planner.scenario import load_scenario

    refuse_suffixes(output or [], (".json", ".md"))
    try:
        days = parse_seconds(horizon) / DAY
    except ValueError as error:
        raise ScenarioError(f"--horizon '{horizon}': {error}, or '1 day'") from None
    loaded = load_scenario(scenario)
    made = scaling(loaded, coefficients_of(loaded), days, seed=seed)
    writers: dict[str, Callable[[], str]] = {
        ".json": lambda: json.dumps(made.as_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        ".md": lambda: as_markdown(made),
    }
    write_files(output or [], writers)
    if as_json:
        print(writers[".json"](), end="")
    elif not output:
        cli.console().print(rendered(made))


HEAD = (
    "policy",
    "executors",
    "held h",
    "needed h",
    "wasted h",
    "missing h",
    "nodes h",
    "USD",
    "late",
    "most lag",
    "asked",
)


def rows(made: ScalingAnswer) -> list[list[str]]:
    """One row a policy."""
    from models.units import show

    return [
        [p.name, f"{p.least_held}-{p.most_held}", *(f"{h:.1f}" for h in (p.held_hours, p.needed_hours, p.wasted_hours,
         p.missing_hours, p.node_hours)), "" if p.usd is None else f"{p.usd:.2f}", f"{p.late:.0%}",
         show(p.most_lag, "count"), f"{p.asked}" + (f", {p.unused} unused" if p.unused else "")]
        for p in made.policies
    ]  # fmt: skip


def rendered(made: ScalingAnswer) -> RenderableType:
    """On a terminal: the policies beside each other, and what the stated one does."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(*HEAD, box=None, pad_edge=False, show_edge=False, header_style="dim")
    for row in rows(made):
        table.add_row(*row)
    return Group(Text(f"{made.scenario.name}, {made.days:g} days", style="bold"), table, Text(told(made)))


def told(made: ScalingAnswer) -> str:
    """The stated policy in a sentence."""
    one, most = made.policies[0], made.policies[-1]
    hours = one.node_hours / most.node_hours if most.node_hours else 1.0
    seconds = f", and cold JVMs cost {one.cold_seconds:.0f} s of task time" if one.cold_seconds > 1 else ""
    return (
        f"As stated, {one.wasted_hours:.1f} executor-hours are held for nothing and {one.missing_hours:.1f} are "
        f"missing; "
        f"nodes are paid for {hours:.0%} of the hours of a fleet for the busiest hour{seconds}."
    )


def as_markdown(made: ScalingAnswer) -> str:
    lines = ["| " + " | ".join(HEAD) + " |", "|" + "---|" * len(HEAD)]
    lines += ["| " + " | ".join(row) + " |" for row in rows(made)]
    return "\n".join([*lines, "", told(made)]) + "\n"
