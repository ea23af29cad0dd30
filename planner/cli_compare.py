"""The commands that set stacks beside each other: `compare` and `sweep`."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from planner.compare import Comparison
    from planner.sweep import Cell

AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output")]
Seed = Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)]


def register(app: typer.Typer) -> None:
    """Hang the commands onto the application."""
    from planner.cli import guarded

    for command in (compare, sweep):
        app.command()(guarded(command))


def compare(
    scenarios: Annotated[
        list[str], typer.Argument(metavar="A.yaml B.yaml...", help="each further one against the first")
    ],
    as_json: AsJson = False,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="write to this file: .json .csv .md (a pull request's comment) .txt"),
    ] = None,
    max_increase: Annotated[
        str, typer.Option("--max-increase", help="a gate: exit 3 if the bill grows by more, such as 5%")
    ] = "",
    draws: Annotated[int, typer.Option("--draws", help="of coefficients", min=0, max=512)] = 8,
    seed: Seed = 1,
) -> None:
    """What moves between stacks, in seconds, GiB and dollars, with the same dice for all. Exit 3 if a promise that
    held breaks, or the bill grows past --max-increase."""
    if len(scenarios) < 2:
        raise typer.BadParameter("give two scenarios or more: the first is what the others are held against")
    if scenarios.count("-") > 1:
        raise typer.BadParameter("standard input can be read once; give the other scenario as a file")
    from planner import cli
    from planner.compare import compare as compared
    from planner.compare_tell import as_csv, as_markdown, rendered
    from planner.compare_tell import as_json as json_of
    from planner.render import plain_text, refuse_suffixes, write_files
    from planner.scenario import load_scenario

    gate = _share(max_increase)
    found: list[Comparison] = []
    writers = {".json": lambda: json_of(found), ".csv": lambda: as_csv(found), ".md": lambda: as_markdown(found),
               ".txt": lambda: plain_text(rendered(found))}  # fmt: skip
    refuse_suffixes(output or [], writers)
    loaded = [load_scenario(path) for path in scenarios]
    with cli.progress() as said:
        found += compared(loaded, seed=seed, draws_of_coefficients=draws, progress=said)
    write_files(output or [], writers)
    if as_json:
        print(json_of(found), end="")
    elif not output:
        cli.console().print(rendered(found))
    if reasons := _gated(found, gate):
        print("\n".join(f"floodmark: {reason}" for reason in reasons), file=sys.stderr)
        raise typer.Exit(cli.TARGET_BROKEN)


def _share(text: str) -> float | None:
    """A share from `5%` or `0.05`; None where no gate was asked for."""
    from models.units import parse_fraction

    if not text:
        return None
    try:
        share = parse_fraction(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}': {error}", param_hint="--max-increase") from None
    if share < 0:
        raise typer.BadParameter(f"'{text}'; expected 0 or more, such as 5%", param_hint="--max-increase")
    return share


def _gated(found: Sequence[Comparison], gate: float | None) -> list[str]:
    """Why the comparison does not pass: promises that broke, and bills that grew too much."""
    reasons = [f"{one.after.scenario.name}: breaks {', '.join(one.broken)}" for one in found if one.broken]
    for one in found if gate is not None else ():
        if one.cost.change > (gate or 0.0) * one.cost.before:
            grown = f"{one.cost.before:,.0f} to {one.cost.after:,.0f} USD a month, {one.cost.relative:+.1%}"
            reasons.append(f"{one.after.scenario.name}: {grown}; --max-increase allows {gate:.1%}")
    return reasons


def sweep(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="YAML file; - reads standard input")],
    setting: Annotated[list[str], typer.Option("--set", help="path=v1,v2,...: values of a field; several make a grid")],
    as_json: AsJson = False,
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="write to this file: .csv .json .html (plots)")
    ] = None,
    level: Annotated[str, typer.Option("--level", help="fluid or exact")] = "fluid",
    workers: Annotated[int, typer.Option("--workers", help="processes on this machine", min=1, max=256)] = 1,
    dask: Annotated[str, typer.Option("--dask", help="scheduler of a Dask cluster, such as tcp://host:8786")] = "",
    keep: Annotated[
        Path | None, typer.Option("--keep", help="folder of finished runs: a sweep goes on from it")
    ] = None,
    seed: Seed = 1,
) -> None:
    """Simulate and price a scenario over a grid of values of any of its fields."""
    if level not in ("fluid", "exact"):
        raise typer.BadParameter(f"'{level}'; expected fluid or exact", param_hint="--level")
    from planner import cli
    from planner.refusal import ScenarioError
    from planner.render import refuse_suffixes, write_files
    from planner.scenario import load_scenario
    from planner.sweep import axis, swept

    cells: list[Cell] = []
    writers = {".csv": lambda: _csv(cells), ".json": lambda: _json(cells), ".html": lambda: _html(cells)}
    refuse_suffixes(output or [], writers)
    axes: dict[str, list[Any]] = {}
    for one in setting:
        path, values = axis(one)
        if path in axes:
            raise ScenarioError(f"--set {path} is given twice; put all its values into one")
        axes[path] = values
    try:
        cells += swept(load_scenario(scenario), axes, seed=seed, level=level, workers=workers, folder=keep, dask=dask)
    except ValueError as error:
        raise ScenarioError(str(error)) from None
    write_files(output or [], writers)
    if as_json:
        print(_json(cells), end="")
    elif not output:
        cli.console().print(_table(cells))


def _table(cells: Sequence[Cell]) -> Any:
    from rich.table import Table

    from models.units import show

    table = Table(box=None, pad_edge=False, header_style="bold")
    for path in cells[0].values:
        table.add_column(path.rsplit(".", 1)[-1], justify="right")
    for name in ("p50", "p99", "batch", "most lag", "busiest", "USD a month"):
        table.add_column(name, justify="left" if name == "busiest" else "right")
    for cell in cells:
        values, out = [str(v) for v in cell.values.values()], cell.answers
        if cell.refused:
            table.add_row(*values, "refused:", *[""] * 3, cell.refused, "")
            continue
        times = [show(float(out[name]), "s") for name in ("p50_seconds", "p99_seconds", "batch_seconds")]
        busiest = f"{out['busiest']} {float(out['busiest_share']):.0%}"
        table.add_row(
            *values, *times, show(float(out["most_lag_records"]), "count"), busiest, f"{out['monthly_usd']:,.0f}"
        )
    return table


def _csv(cells: Sequence[Cell]) -> str:
    import csv
    import io

    from planner.export_cells import inert

    plain = [{k: inert(v) if isinstance(v, str) else v for k, v in cell.row().items()} for cell in cells]
    out, rows = io.StringIO(), plain
    writer = csv.DictWriter(out, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _json(cells: Sequence[Cell]) -> str:
    from planner.answers import finite

    def plain(value: Any) -> Any:
        return finite(value) if isinstance(value, float) else value

    rows = [{key: plain(value) for key, value in cell.row().items()} for cell in cells]
    return json.dumps({"schema_version": 1, "rows": rows}, indent=2, ensure_ascii=False) + "\n"


def _html(cells: Sequence[Cell]) -> str:
    from planner.sweep_plot import page

    return page(cells)
