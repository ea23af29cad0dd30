"""The commands about money: `bill`, `prices show|diff|verify|refresh`, `iam-policy`.

`register` hangs them onto the command of `planner.cli`. Whatever takes time to import stays inside a command.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from planner.bill import MonthlyBill
    from planner.money_bridge import Bridge
    from planner.money_months import MonthOfBill

prices = typer.Typer(help="The price book: what AWS charges, dated, offline.", no_args_is_help=True)

Region = Annotated[str, typer.Option("--region", "-r", help="AWS region, such as eu-west-1")]
Book = Annotated[str, typer.Option("--book", help="folder of a price book, or 'packaged'")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on standard output")]


def register(app: typer.Typer) -> None:
    """Hang the commands onto the application."""
    from planner.cli import guarded

    app.command()(guarded(bill))
    app.command("iam-policy")(guarded(iam_policy))
    for command in (show, diff, verify, refresh):
        prices.command()(guarded(command))
    app.add_typer(prices, name="prices")


def bill(
    scenario: Annotated[
        list[str], typer.Argument(metavar="SCENARIO...", help="YAML file; several are stacks of one account")
    ],
    as_json: AsJson = False,
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="write to this file: .json .csv .xlsx .md .txt; repeatable"),
    ] = None,
    against: Annotated[
        str, typer.Option("--against", help="a plan file, or 'plan': why the bill became another than planned")
    ] = "",
    months: Annotated[int, typer.Option("--months", help="month by month to this horizon", min=0, max=60)] = 0,
    alternatives: Annotated[bool, typer.Option("--alternatives", help="the same load on other services")] = False,
    simulate: Annotated[
        bool, typer.Option("--simulate/--no-simulate", help="without: a batch a trigger, nothing sent again")
    ] = True,
    draws: Annotated[int, typer.Option("--draws", help="of coefficients", min=0, max=512)] = 8,
    seed: Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)] = 1,
    book: Annotated[str, typer.Option("--book", help="folder of a price book, instead of the scenario's")] = "",
) -> None:
    """The month's bill line by line, as a forecast carries it. Exit 3 if it breaks targets.monthly_budget_usd."""
    from planner import cli, money_tell
    from planner.bill import billed
    from planner.render import refuse_suffixes

    outputs = output or []
    refuse_suffixes(outputs, money_tell.FORMATS)
    loaded, *others = [load_with_book(one, book) for one in scenario]
    if others and (against or months or alternatives):
        raise typer.BadParameter("--against, --months and --alternatives take one scenario")
    made = billed(loaded, *others, seed=seed, draws_of_coefficients=draws, simulated=simulate)
    bridge = _against(loaded, against, seed, simulate) if against else None
    later = _months(loaded, months, seed, simulate) if months else []
    ways_out = _alternatives(loaded) if alternatives and (as_json or outputs) else {}
    if as_json:
        print(json.dumps(_plain(made, bridge, later) | ways_out, indent=2, ensure_ascii=False, allow_nan=False))
    for path in outputs:
        _write(made, bridge, later, ways_out, path)
    if not as_json and not outputs:
        _print(made, bridge, later)
    if alternatives and not as_json and not outputs:
        from planner.money_alternatives import rendered

        cli.console().print(rendered(loaded))
    budget = loaded.targets.monthly_budget_usd
    if budget is not None and made.range.p90_usd > budget:
        print(
            f"P90 of {made.range.p90_usd:,.0f} USD is over targets.monthly_budget_usd = {budget:,.0f}", file=sys.stderr
        )
        raise typer.Exit(cli.TARGET_BROKEN)


def load_with_book(source: str, folder: str) -> Any:
    """The scenario billed from another book, whose newer machines are known before it is read."""
    from planner.money_prices import know_machines
    from planner.scenario import load_scenario, resolved, validated

    if not folder:
        return load_scenario(source)
    know_machines(folder)
    data = resolved(load_scenario(source))
    data["money"]["price_book"] = folder
    return validated(data)


def _alternatives(scenario: Any) -> dict[str, Any]:
    from planner.money_alternatives import as_dict

    return {"alternatives": as_dict(scenario)}


def _against(scenario: Any, source: str, seed: int, simulate: bool) -> Bridge:
    from planner import cli
    from planner.money_bridge import bridged, load_plan

    with cli.progress() as said:
        return bridged(scenario, load_plan(source, scenario), seed=seed, simulated=simulate, said=said)


def _months(scenario: Any, horizon: int, seed: int, simulate: bool) -> list[MonthOfBill]:
    from planner.bill import paced
    from planner.forecast import coefficients_of
    from planner.money_months import months

    return months(scenario, coefficients_of(scenario), paced(scenario, seed, simulate), horizon, seed)


def _plain(made: MonthlyBill, bridge: Bridge | None, later: list[MonthOfBill]) -> dict[str, Any]:
    out: dict[str, Any] = {"schema_version": 1, "bill": made.as_dict()}
    if bridge is not None:
        out["bridge"] = bridge.as_dict()
    if later:
        out["months"] = [month.as_dict() for month in later]
    return out


def _write(
    made: MonthlyBill, bridge: Bridge | None, later: list[MonthOfBill], ways_out: dict[str, Any], path: Path
) -> None:
    from planner import money_alternatives, money_bridge, money_months, money_tell

    suffix = path.suffix.lower()
    if suffix == ".xlsx":
        money_tell.write_xlsx(made, path, bridge, later)
        if ways_out:
            money_alternatives.add_sheet(ways_out["alternatives"], path)
        return
    if suffix == ".json":
        plain = _plain(made, bridge, later) | ways_out
        text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    elif suffix == ".md":
        text = money_tell.as_markdown(made) + (f"\n{money_bridge.as_markdown(bridge)}" if bridge else "")
        text += f"\n{money_months.as_markdown(later)}" if later else ""
        text += f"\n{money_alternatives.as_markdown(ways_out['alternatives'])}" if ways_out else ""
    else:
        text = money_tell.as_csv(made) if suffix == ".csv" else money_tell.as_text(made)
    path.write_text(text, encoding="utf-8", newline="\n")


def _print(made: MonthlyBill, bridge: Bridge | None, later: list[MonthOfBill]) -> None:
    from planner import cli, money_bridge, money_months, money_tell

    console = cli.console()
    console.print(money_tell.full(made) if bridge is None else money_tell.compact(made))
    if bridge is not None:
        console.print()
        console.print(money_bridge.rendered(bridge))
    if later:
        console.print()
        console.print(money_months.table(later))


def show(
    pattern: Annotated[str, typer.Argument(help="start of an item's name, such as msk/ or ec2/on-demand/m7g.")] = "",
    region: Region = "us-east-1",
    book: Book = "packaged",
    as_json: AsJson = False,
) -> None:
    """Print prices with unit, AWS's usage type, how sure they are, and their source."""
    from planner import cli, money_prices

    found = money_prices.rows(book, region, pattern)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        cli.console().print(money_prices.table(found))


def diff(
    old: Annotated[str, typer.Argument(help="folder of a price book, or 'packaged'")],
    new: Annotated[str, typer.Argument(help="folder of another")],
    region: Annotated[str, typer.Option("--region", "-r", help="only this region")] = "",
    as_json: AsJson = False,
) -> None:
    """What moved between two price books."""
    from planner import cli, money_prices

    moved = money_prices.moved(old, new, region)
    if as_json:
        print(json.dumps(moved, indent=2, ensure_ascii=False))
    else:
        cli.console().print(money_prices.moved_table(moved))


def verify(book: Book = "packaged", as_json: AsJson = False) -> None:
    """Hold a price book against what must be true of it. Exit 3 if something is not."""
    from planner import cli, money_prices

    told = money_prices.verified(book)
    if as_json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        for line in [*told["wrong"], told["summary"]]:
            print(line)
    if told["wrong"]:
        raise typer.Exit(cli.TARGET_BROKEN)


def refresh(
    region: Region,
    into: Annotated[Path, typer.Option("--into", help="folder that holds price books; a new one is made in it")],
    base: Annotated[str, typer.Option("--base", help="book whose other rows are kept")] = "packaged",
    only: Annotated[
        list[str] | None, typer.Option("--only", help="sources to ask: prices, spot, savings, types")
    ] = None,
    bulk: Annotated[
        list[str] | None, typer.Option("--bulk", help="services read from bulk files, such as AmazonEC2")
    ] = None,
) -> None:
    """Ask AWS for a region's prices and make a new book of them; the old one is left as it is."""
    from planner import money_prices

    made = money_prices.refreshed(region, into, base, tuple(only or ()), tuple(bulk or ()))
    print(made.summary, file=sys.stderr)
    print(made.folder)


def iam_policy(
    of: Annotated[str, typer.Argument(metavar="[prices]", help="for what")] = "prices",
) -> None:
    """Print the least-privilege IAM policy that `prices refresh` needs."""
    from pricing.iam import policy

    if of != "prices":
        raise typer.BadParameter(f"'{of}'; expected prices", param_hint="of")
    print(json.dumps(policy(), indent=2))
