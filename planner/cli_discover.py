"""The command `discover`: the stack as it is, as a scenario file, from live systems or saved answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer


def register(app: typer.Typer) -> None:
    """Hang the command onto the application."""
    from planner.cli import guarded

    app.command()(guarded(discover))


def discover(
    files: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[FILE...]",
            help="saved answers, terraform show -json, recordings and exports; told by content",
        ),
    ] = None,
    search: Annotated[
        list[str] | None, typer.Option("--search", help="a live search cluster, https://HOST:PORT")
    ] = None,
    kafka: Annotated[list[str] | None, typer.Option("--kafka", help="live brokers, HOST:PORT[,HOST:PORT]")] = None,
    spark: Annotated[list[str] | None, typer.Option("--spark", help="a live driver's UI or history server")] = None,
    aws: Annotated[
        list[str] | None, typer.Option("--aws", help="describe live: kafka:CLUSTER, es:DOMAIN or emr:j-ID; repeatable")
    ] = None,
    prometheus: Annotated[
        list[str] | None, typer.Option("--prometheus", help="a Prometheus server, for the load it recorded")
    ] = None,
    match: Annotated[str, typer.Option("--match", help="only series with these labels, as 'cluster=\"prod\"'")] = "",
    cloudwatch: Annotated[
        list[str] | None, typer.Option("--cloudwatch", help="kafka:CLUSTER, for the load it recorded")
    ] = None,
    since: Annotated[str, typer.Option("--since", help="how far back that load is read")] = "7 d",
    region: Annotated[str | None, typer.Option("--region", "-r", help="AWS region")] = None,
    topic: Annotated[str, typer.Option("--topic", help="the topic of the flow, where there are several")] = "",
    index: Annotated[str, typer.Option("--index", help="the index or template of the flow")] = "",
    rate: Annotated[str, typer.Option("--rate", help="events a second, such as 5k/s")] = "",
    size: Annotated[str, typer.Option("--size", help="size of an event, such as 800 B")] = "",
    trigger: Annotated[str, typer.Option("--trigger", help="the query's trigger, such as 10 s")] = "",
    sink: Annotated[str, typer.Option("--sink", help="jvm-connector, jvm-foreach or python-foreach")] = "",
    stateful: Annotated[bool, typer.Option("--stateful", help="the query keeps state")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="write to this file, .yaml or .json")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="every line with its mark, as JSON")] = False,
    ca_file: Annotated[Path | None, typer.Option("--ca-file", help="PEM file of the authorities to trust")] = None,
    fingerprint: Annotated[
        list[str] | None, typer.Option("--fingerprint", help="SHA-256 of a self-signed certificate that is trusted")
    ] = None,
    sigv4: Annotated[
        list[str] | None, typer.Option("--sigv4", help="sign requests by AWS's chain: search, aoss or prometheus")
    ] = None,
    timeout: Annotated[str, typer.Option("--timeout", help="the longest that one question may take")] = "10s",
) -> None:
    """Write the as-is scenario: each line read, inferred, a default, or UNKNOWN. Exit 3 while something is unknown."""
    from planner import cli
    from planner.live import discover as asked
    from planner.render import write_files

    if not (files or search or kafka or spark or aws or prometheus or cloudwatch):
        raise typer.BadParameter("give files, or --search, --kafka, --spark, --aws, --prometheus or --cloudwatch")
    options = {"workload.rate": rate, "workload.size": size, "query.trigger": trigger, "query.sink.kind": sink,
               "region": region or "", "stateful": "yes" if stateful else ""}  # fmt: skip
    out = asked(
        files or [], search=search or (), kafka=kafka or (), spark=spark or (), aws=aws or (),
        prometheus=prometheus or (), match=match, cloudwatch=cloudwatch or (), since=since, region=region, topic=topic,
        index=index, given={key: text for key, text in options.items() if text}, ca_file=ca_file,
        fingerprint=fingerprint or (), sigv4=sigv4 or (), timeout=timeout,
    )  # fmt: skip
    writers = {".yaml": out.as_yaml, ".yml": out.as_yaml, ".json": lambda: _json(out.as_dict())}
    write_files([output] if output else [], writers)
    if as_json:
        print(_json(out.as_dict()), end="")
    elif output is None:
        print(out.as_yaml(), end="")
    _say(out.unused, [f"{line.path}: {line.source}" for line in out.unknown])
    if out.unknown:
        raise typer.Exit(cli.TARGET_BROKEN)


def _json(told: dict[str, Any]) -> str:
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def _say(unused: Iterable[str], unknown: list[str]) -> None:
    for line in unused:
        print(f"not used: {line}", file=sys.stderr)
    for line in unknown:
        print(f"unknown: {line}", file=sys.stderr)
