"""The command `discover`: the stack as it is, as a scenario file, from live systems or saved answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from calibration.discover import Found
    from calibration.live import Source


def register(app: typer.Typer) -> None:
    """Hang the command onto the application."""
    from planner.cli import guarded

    app.command()(guarded(discover))


def discover(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[FILE...]", help="saved answers, terraform show -json, a recording; told by content"),
    ] = None,
    search: Annotated[
        list[str] | None, typer.Option("--search", help="a live search cluster, https://HOST:PORT")
    ] = None,
    kafka: Annotated[list[str] | None, typer.Option("--kafka", help="live brokers, HOST:PORT[,HOST:PORT]")] = None,
    spark: Annotated[list[str] | None, typer.Option("--spark", help="a live driver's UI or history server")] = None,
    aws: Annotated[
        list[str] | None, typer.Option("--aws", help="describe live: kafka:CLUSTER, es:DOMAIN or emr:j-ID; repeatable")
    ] = None,
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
    timeout: Annotated[str, typer.Option("--timeout", help="the longest that one question may take")] = "10s",
) -> None:
    """Write the as-is scenario: each line read, inferred, a default, or UNKNOWN. Exit 3 while something is unknown."""
    from calibration.discover import DiscoverError, discover_files
    from calibration.live import LiveError
    from planner import cli
    from planner.discover import discovered
    from planner.refusal import ScenarioError
    from planner.render import write_files

    if not (files or search or kafka or spark or aws):
        raise typer.BadParameter("give files, or --search, --kafka, --spark or --aws")
    options = {"workload.rate": rate, "workload.size": size, "query.trigger": trigger, "query.sink.kind": sink,
               "region": region or "", "stateful": "yes" if stateful else ""}  # fmt: skip
    try:
        found = discover_files(files or [])
        _live(found, _sources(search, kafka, spark, ca_file, fingerprint, timeout), aws or [], region)
        out = discovered(found, {key: text for key, text in options.items() if text}, topic, index)
    except (DiscoverError, LiveError) as error:
        raise ScenarioError(str(error)) from None
    except ValueError as error:
        raise ScenarioError(str(error)) from None
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


def _sources(
    search: list[str] | None, kafka: list[str] | None, spark: list[str] | None, ca_file: Path | None,
    fingerprint: list[str] | None, timeout: str,
) -> Iterator[Source]:  # fmt: skip
    from planner.cli_live import _Reach, _seconds

    reach = _Reach(ca_file, fingerprint or [], [], None, _seconds("--timeout", timeout, 0.1, 600))
    for url in search or []:
        from calibration.discover_live import search_calls
        from calibration.live_search import search_source

        endpoint = reach.endpoint(url, "--search", "search")
        source = search_source(endpoint)
        source.calls = [*source.calls, *search_calls(endpoint, source.name)]
        yield source
    for url in spark or []:
        from calibration.live_spark import spark_source

        yield spark_source(reach.endpoint(url, "--spark", "spark"), "spark", "")
    for text in kafka or []:
        from calibration import live_kafka

        servers = live_kafka.checked_bootstrap(text)
        yield live_kafka.kafka_source(servers, live_kafka.settings(), reach.tls, "kafka", reach.seconds)


def _live(found: Found, sources: Iterable[Source], aws: list[str], region: str | None) -> None:
    """Ask every live system once; what it refuses is listed, and a system that gave nothing is an error."""
    from calibration.discover import DiscoverError, discover_document
    from calibration.discover_live import described
    from calibration.live import Answer

    for source in sources:
        known, refused = 0, []
        try:
            for one in source.sample(everything=True):
                if isinstance(one, Answer):
                    known += discover_document(one.body, f"{source.shown} {one.kind}", found)
                else:
                    refused.append(one.message)
        finally:
            source.close()
        if not known:
            raise DiscoverError(
                f"{source.shown} told nothing: {'; '.join(dict.fromkeys(refused)) or 'no answer is known'}"
            )
        found.unused += dict.fromkeys(refused)
    for text in aws:
        for name, document in described(text, region):
            discover_document(document, name, found)
