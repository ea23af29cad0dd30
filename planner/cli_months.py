"""`floodmark months`: what fills, grows and gives way over months, and the date of the first."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from planner import cli


def register(app: typer.Typer) -> None:
    app.command(name="months")(months)


@cli.guarded
def months(
    scenario: cli.ScenarioFile,
    horizon: Annotated[
        str, typer.Option("--horizon", help="how far to look, such as '6 months' or '2 years'")
    ] = "1 year",
    start: Annotated[
        str | None,
        typer.Option("--start", help="date of day one, YYYY-MM-DD; default: money.month's first day, else today"),
    ] = None,
    as_json: cli.AsJson = False,
    as_html: Annotated[bool, typer.Option("--html", help="a page with the curves on standard output")] = False,
    output: cli.Output = None,
    seed: Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)] = 1,
) -> None:
    """What fills and grows over months, what gives way first, and when. Exit 3 if something critical does."""
    if as_json and as_html:
        raise typer.BadParameter("give --json or --html, not both (-o may be given several times)")
    from models.units import DAY
    from planner.forecast import coefficients_of
    from planner.months_ahead import first_of_month, months_ahead
    from planner.months_tell import FORMATS, publish
    from planner.render import refuse_suffixes
    from planner.scenario import load_scenario

    outputs: list[Path] = output or []
    refuse_suffixes(outputs, FORMATS)
    loaded, days = load_scenario(scenario), _seconds(horizon) / DAY
    begin = _date(start) or first_of_month(loaded) or datetime.datetime.now(datetime.UTC).date()
    made = months_ahead(loaded, coefficients_of(loaded), days, seed=seed, start=begin)
    publish(made, outputs, ".json" if as_json else ".html" if as_html else "", cli.console())
    if any(b.severity == "critical" for b in made.breaks):
        raise typer.Exit(cli.TARGET_BROKEN)


def _seconds(text: str) -> float:
    from models.units import parse_seconds
    from planner.refusal import ScenarioError

    try:
        return parse_seconds(text)
    except ValueError as error:
        raise ScenarioError(f"--horizon '{text}': {error}, or '1 year'") from None


def _date(text: str | None) -> datetime.date | None:
    from planner.refusal import ScenarioError

    if text is None:
        return None
    try:
        return datetime.date.fromisoformat(text)
    except ValueError:
        raise ScenarioError(f"--start '{text}'; expected a date such as 2026-12-01") from None
