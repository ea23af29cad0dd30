"""The command `recommend`: which stack to buy, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

MANAGED = "as stated, managed, self-managed or either"
Repeated = list[str] | None


def register(app: typer.Typer) -> None:
    """Hang the command onto the application."""
    from planner.cli import guarded

    app.command()(guarded(recommend))


def recommend(
    scenario: Annotated[str, typer.Argument(metavar="SCENARIO", help="YAML file; - reads standard input")],
    p99: Annotated[str, typer.Option("--p99", help="99th percentile of latency, such as 10s")] = "",
    catch_up: Annotated[str, typer.Option("--catch-up", help="time to catch up after the outage")] = "",
    outage: Annotated[str, typer.Option("--outage", help="length of that outage")] = "",
    headroom: Annotated[
        float | None, typer.Option("--headroom", help="sustainable rate over the peak", min=0.1)
    ] = None,
    budget: Annotated[
        float | None, typer.Option("--budget", help="USD a month: P90 of the dearest month", min=1)
    ] = None,
    survive: Annotated[Repeated, typer.Option("--survive", help="zone, broker, data-node or none; repeatable")] = None,
    months: Annotated[int | None, typer.Option("--months", help="of growth to last", min=1, max=60)] = None,
    regions: Annotated[Repeated, typer.Option("--regions", "-r", help="allowed regions, comma-separated")] = None,
    families: Annotated[Repeated, typer.Option("--families", help="allowed families, comma-separated")] = None,
    managed: Annotated[bool | None, typer.Option("--managed/--self-managed", help="who runs the systems")] = None,
    either: Annotated[bool, typer.Option("--either", help="managed or self-managed, whatever is cheaper")] = False,
    max_nodes: Annotated[int | None, typer.Option("--max-nodes", help="most machines of all kinds", min=3)] = None,
    keep: Annotated[str, typer.Option("--keep", help="scenario of what runs today: the way from there")] = "",
    output: Annotated[
        list[Path] | None,
        typer.Option("--output", "-o", help="write to this file: .json .md .html .txt, .yaml the stack; repeatable"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on standard output")] = False,
    unsure: Annotated[
        str, typer.Option("--uncertain", help="file of unknowns, or 'coefficients' for theirs alone; see docs")
    ] = "",
    draws: Annotated[int, typer.Option("--draws", help="worlds drawn with --uncertain", min=2, max=8192)] = 256,
    simulated: Annotated[
        int, typer.Option("--simulated", help="worlds near a limit that are simulated; 0: the screen alone", min=0)
    ] = 64,
    paste: Annotated[Path | None, typer.Option("--paste", help="write ready configuration into this folder")] = None,
    trials: Annotated[int, typer.Option("--trials", help="stacks that may be simulated", min=1, max=5000)] = 40,
    settings_only: Annotated[
        bool,
        typer.Option("--settings-only", help="keep the machines: search partitions, trigger, cap, bulk, writers"),
    ] = False,
    reasons: Annotated[bool, typer.Option("--reasons/--no-reasons", help="runner-up, growth, price of targets")] = True,
    seed: Annotated[int, typer.Option("--seed", help="of all dice", min=0, max=2**31 - 1)] = 1,
) -> None:
    """Which stack to buy: the cheapest that keeps its promises, and why not another. Exit 3 if none does."""
    from planner import cli
    from planner.render import refuse_suffixes, write_files
    from planner.scenario import load_scenario

    refuse_suffixes(output or [], dict.fromkeys((".json", ".md", ".html", ".txt", ".yaml")))
    wanted: dict[str, Any] = {"headroom": headroom, "budget": budget, "months": months, "most_nodes": max_nodes}
    wanted |= {"p99": _seconds("--p99", p99), "catch_up": _seconds("--catch-up", catch_up)}
    wanted |= {"outage": _seconds("--outage", outage), "survive": _losses(survive)}
    loaded = load_scenario(scenario)
    wanted |= {"regions": _regions(loaded, regions), "families": _families(families)}
    wanted["managed"] = "either" if either else {True: "managed", False: "self-managed", None: None}[managed]
    today = load_scenario(keep) if keep else None
    only = settings_only or all(getattr(loaded, part).hosts for part in ("kafka", "spark", "elasticsearch"))
    unknowns = None if only and not unsure else _unknowns(unsure, scenario, loaded)
    ask, told = _of_settings(unknowns, settings_only) if only else _of_machines(unknowns, draws, simulated)
    with cli.progress() as said:
        out = ask(loaded, seed=seed, trials=trials, reasons=reasons, today=today, progress=said, **wanted)
    page = told.page(out)
    write_files(output or [], {
        ".json": lambda: told.as_json(out), ".md": page.as_markdown, ".html": page.as_html, ".txt": page.as_text,
        ".yaml": lambda: told.as_yaml(out),
    })  # fmt: skip
    if paste is not None and out.scenario is not None:
        from planner.paste import write_paste

        write_paste(out.scenario, paste)
    if as_json:
        print(told.as_json(out), end="")
    elif not output:
        cli.console().print(page.rendered())
    if out.interrupted:
        raise typer.Exit(cli.INTERRUPTED)
    if not out.holds:
        raise typer.Exit(cli.TARGET_BROKEN)


def _of_machines(unknowns: Any, draws: int, simulated: int) -> tuple[Any, Any]:
    """What answers which machines to buy, and what tells it."""
    from functools import partial

    from planner import recommend_text
    from planner.recommend import recommend as asked

    return partial(asked, unknowns=unknowns, draws=draws, simulated=simulated), recommend_text


def _of_settings(unknowns: Any, asked_for: bool) -> tuple[Any, Any]:
    """What answers which settings to take on machines that are there, and what tells it."""
    from planner import recommend_settings_text
    from planner.recommend_settings import recommend_settings
    from planner.refusal import ScenarioError

    if unknowns is not None:
        why = "--settings-only searches settings" if asked_for else "all hosts are named, so settings are searched"
        raise ScenarioError(
            f"--uncertain: {why} at the central values; its forecast brings the coefficients' intervals"
        )
    return recommend_settings, recommend_settings_text


def _unknowns(unsure: str, source: str, scenario: Any) -> Any:
    """From a file of their own, from the scenario's `uncertain:` block, or none."""
    from planner import yaml_text
    from planner.recommend_unknowns import Unknowns, read_unknowns
    from planner.refusal import ScenarioError

    if unsure == "coefficients":
        return Unknowns()
    if unsure:
        if not Path(unsure).is_file():
            raise ScenarioError(
                f"--uncertain {unsure}: no such file; expected one with laws by path, or 'coefficients'"
            )
        return read_unknowns(Path(unsure), scenario)
    if source == "-" or not Path(source).is_file():
        return None
    data, _ = yaml_text.parse(Path(source).read_text(encoding="utf-8-sig"), source)
    return read_unknowns({"uncertain": data["uncertain"]}, scenario) if "uncertain" in (data or {}) else None


def _seconds(option: str, text: str) -> float | None:
    from models.units import parse_seconds

    if not text:
        return None
    try:
        value = float(parse_seconds(text))
    except ValueError as error:
        raise typer.BadParameter(f"'{text}'; {error}", param_hint=option) from None
    if value <= 0:
        raise typer.BadParameter(f"'{text}'; expected more than 0 s", param_hint=option)
    return value


def _split(values: Repeated) -> tuple[str, ...]:
    return tuple(part.strip() for value in values or () for part in value.split(",") if part.strip())


def _losses(values: Repeated) -> tuple[str, ...] | None:
    import difflib

    known = ("broker", "data-node", "zone")
    found = _split(values)
    if not found:
        return None
    if found == ("none",):
        return ()
    for loss in found:
        if loss not in known:
            near = difflib.get_close_matches(loss, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected {', '.join(known)} or none"
            raise typer.BadParameter(f"'{loss}'; {hint}", param_hint="--survive")
    return found


def _regions(scenario: Any, values: Repeated) -> tuple[str, ...] | None:
    import difflib

    from planner.bill import book_of

    found = _split(values)
    if not found:
        return None
    known = book_of(scenario.money).regions("transfer/zones")
    for region in found:
        if region not in known:
            near = difflib.get_close_matches(region, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the price book has {', '.join(known)}"
            raise typer.BadParameter(f"'{region}'; {hint}", param_hint="--regions")
    return found


def _families(values: Repeated) -> tuple[str, ...] | None:
    import difflib

    from models.machines import machines

    found = _split(values)
    if not found:
        return None
    known = sorted({m.family for m in machines()})
    for family in found:
        if family not in known:
            near = difflib.get_close_matches(family, known, n=3)
            raise typer.BadParameter(f"'{family}'; expected {', '.join(near or known)}", param_hint="--families")
    return found
