"""The commands of finance: `report` and `export focus|calculator`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from planner.export_actuals import Actuals
    from planner.finance import Report

export = typer.Typer(help="The forecast for other tools: FOCUS, AWS's Pricing Calculator.", no_args_is_help=True)

File = Annotated[str, typer.Argument(metavar="SCENARIO", help="YAML file; - reads standard input")]
Months = Annotated[int, typer.Option("--months", help="how far the forecast goes", min=1, max=60)]
Simulate = Annotated[
    bool, typer.Option("--simulate/--no-simulate", help="without: a batch a trigger, nothing sent again")
]
Draws = Annotated[int, typer.Option("--draws", help="of coefficients", min=0, max=512)]
Seed = Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)]
Book = Annotated[str, typer.Option("--book", help="folder of a price book, instead of the scenario's")]
Account = Annotated[str, typer.Option("--account", help="twelve digits of the AWS account")]


def register(app: typer.Typer) -> None:
    """Hang the commands onto the application."""
    from planner.cli import guarded

    app.command()(guarded(report))
    for command in (focus, calculator):
        export.command()(guarded(command))
    app.add_typer(export, name="export")


def report(
    scenario: File,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output")] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="write to this file: .xlsx .html .md .csv .json; repeatable"),
    ] = None,
    months: Months = 12,
    against: Annotated[
        Path | None, typer.Option("--against", help="the JSON of the last report: what moved since, part by part")
    ] = None,
    actuals: Annotated[
        list[Path] | None,
        typer.Option("--actuals", help="AWS's export, FOCUS 1.0/1.2 or CUR 2.0: .csv .csv.gz .parquet, or a folder"),
    ] = None,
    explorer: Annotated[
        bool, typer.Option("--cost-explorer", help="actuals from live Cost Explorer (0.01 USD a page)")
    ] = False,
    month: Annotated[str, typer.Option("--month", help="month of the actuals, as 2026-10")] = "",
    basis: Annotated[
        str, typer.Option("--basis", help="unblended, amortised, net-unblended or net-amortised")
    ] = "unblended",
    accounts: Annotated[list[str] | None, typer.Option("--account", help="only this account's charges")] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="only charges with this tag, as team=search")] = None,
    regions: Annotated[list[str] | None, typer.Option("--region", help="only this region's charges")] = None,
    leave_after: Annotated[
        int | None, typer.Option("--leave-after", help="what leaving the machines after so many months strands", min=1)
    ] = None,
    simulate: Simulate = True,
    draws: Draws = 8,
    seed: Seed = 1,
    book: Book = "",
) -> None:
    """The report for a budget review. Exit 3 if the P90 of a month breaks targets.monthly_budget_usd."""
    from planner import cli, finance, finance_tell
    from planner.render import refuse_suffixes

    outputs = output or []
    refuse_suffixes(outputs, finance_tell.FORMATS)
    _options(actuals, explorer, month, basis)
    was = _review(against)
    charged = _actuals(actuals, explorer, month, basis, accounts, tags, regions)
    loaded = _loaded(scenario, book)
    with cli.progress() as said:
        made = finance.report(loaded, horizon=months, seed=seed, simulated=simulate, draws=draws,
                              leave_after=leave_after, said=said)  # fmt: skip
        made = finance.held_against(made, was, charged, said)
    for path in outputs:
        _write(made, path)
    if as_json:
        print(finance_tell.as_json(made), end="")
    elif not outputs:
        _print(made)
    if made.budget is not None and not made.budget[1]:
        print(f"P90 of {made.bill.range.p90_usd:,.0f} USD is over targets.monthly_budget_usd = {made.budget[0]:,.0f}",
              file=sys.stderr)  # fmt: skip
        raise typer.Exit(cli.TARGET_BROKEN)


def _options(actuals: list[Path] | None, explorer: bool, month: str, basis: str) -> None:
    from planner.export_actuals import BASES

    if basis not in BASES:
        raise typer.BadParameter(f"'{basis}'; expected {', '.join(BASES)}", param_hint="--basis")
    if actuals and explorer:
        raise typer.BadParameter("give --actuals or --cost-explorer, not both")
    if explorer and not month:
        raise typer.BadParameter("--cost-explorer needs --month, as 2026-10")


def _review(path: Path | None) -> dict[str, Any] | None:
    from planner.finance_against import load_review

    return None if path is None else load_review(path)


def _actuals(
    files: list[Path] | None, explorer: bool, month: str, basis: str, accounts: list[str] | None,
    tags: list[str] | None, regions: list[str] | None,
) -> Actuals | None:  # fmt: skip
    from planner.export_actuals import Scope

    pairs = []
    for tag in tags or []:
        key, found, value = tag.partition("=")
        if not found or not key:
            raise typer.BadParameter(f"'{tag}'; expected a key and a value, as team=search", param_hint="--tag")
        pairs.append((key, value))
    scope = Scope(frozenset(accounts or []), tuple(pairs), frozenset(regions or []))
    if files:
        from planner.export_actuals_files import read_actuals

        return read_actuals(files, basis, scope, month)  # type: ignore[arg-type]
    if explorer:
        from planner.export_actuals_explorer import ask_actuals, live_client

        return ask_actuals(live_client(), basis, scope, month)  # type: ignore[arg-type]
    if scope != Scope() or month:
        raise typer.BadParameter("--month, --account, --tag and --region say which actuals: give --actuals too")
    return None


def _loaded(scenario: str, book: str) -> Any:
    from planner.cli_money import load_with_book

    return load_with_book(scenario, book)


def _write(made: Report, path: Path) -> None:
    from planner import finance_tell

    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        from planner.export_workbook import write_workbook

        write_workbook(made, path)
        return
    if suffix == ".html":
        from planner.finance_html import as_html

        text = as_html(made)
    else:
        text = {".json": finance_tell.as_json, ".md": finance_tell.as_markdown, ".csv": finance_tell.as_csv}[suffix](
            made
        )
    path.write_text(text, encoding="utf-8", newline="\n")


def _print(made: Report) -> None:
    """The executive page and the tables, on a terminal."""
    from rich.table import Table
    from rich.text import Text

    from planner import cli
    from planner.finance_tell import executive, tables

    console = cli.console()
    console.print(Text(f"Finance report: {made.scenario.name}", "bold"))
    for what, told in executive(made):
        console.print(Text.assemble((f"{what}  ", "dim"), told))
    for title, head, rows in tables(made):
        table = Table(*(name for name, _ in head), box=None, pad_edge=False, show_edge=False, header_style="dim")
        for column, (_, number) in zip(table.columns, head, strict=True):
            column.justify = "right" if number else "left"
        for row in rows:
            table.add_row(*(Text(x) for x in row))
        console.print()
        console.print(Text(title, "bold"))
        console.print(table)


def focus(
    scenario: File,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write to this .csv file")] = None,
    account: Account = "",
    month: Annotated[
        str, typer.Option("--month", help="the first month, as 2027-01; without: the scenario's money.month")
    ] = "",
    months: Months = 12,
    simulate: Simulate = True,
    draws: Draws = 8,
    seed: Seed = 1,
    book: Book = "",
) -> None:
    """The forecast's months as a FOCUS 1.2 dataset (CSV). Average months have no dates: --month names the first."""
    from planner import finance
    from planner.export_focus import as_focus, dated, refuse_undated

    loaded = dated(_loaded(scenario, book), month)
    refuse_undated(loaded, account)
    text = as_focus(finance.report(loaded, horizon=months, seed=seed, simulated=simulate, draws=draws), account)
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8", newline="\n")


def calculator(
    scenario: File,
    account: Account,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write to this .json file")] = None,
    push: Annotated[
        bool, typer.Option("--push", help="create the estimate in the account, and show AWS's cost beside ours")
    ] = False,
    simulate: Simulate = True,
    seed: Seed = 1,
    book: Book = "",
) -> None:
    """The month as a workload estimate of AWS's Pricing Calculator (JSON). Exit 3 if AWS refused an entry."""
    from planner import cli, finance
    from planner.export_calculator import estimate, live_client, refuse_account
    from planner.export_calculator import push as pushed

    refuse_account(account)
    client = live_client() if push else None
    made = estimate(finance.report(_loaded(scenario, book), horizon=1, seed=seed, simulated=simulate, draws=0), account)
    sent = pushed(made, client) if push else None
    told = made.as_dict() | ({} if sent is None else {"pushed": sent.as_dict()})
    text = json.dumps(told, indent=2, ensure_ascii=False) + "\n"
    if output is None:
        print(text, end="")
    else:
        output.write_text(text, encoding="utf-8", newline="\n")
    for line, why in made.left_out:
        print(f"left out: {line.name}, {line.monthly_usd:,.2f} USD: {why}", file=sys.stderr)
    refused = [] if sent is None else [b for b in sent.lines if b.aws_usd is None]
    for one in refused:
        print(f"refused: {one.entry.usage_type}: {one.status}", file=sys.stderr)
    if refused:
        raise typer.Exit(cli.TARGET_BROKEN)
