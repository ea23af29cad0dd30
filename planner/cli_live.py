"""The commands that ask running systems: `record`, `probe`, `sample`.

Credentials are never on the command line: they come from FLOODMARK_… variables or from AWS's own chain
(`calibration/live_login.py` says which). `register` hangs the commands onto the command of `planner.cli`.
"""

from __future__ import annotations

import functools
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from planner.live import Reach

Json = Annotated[bool, typer.Option("--json", help="JSON on standard output")]
Every = Annotated[str, typer.Option("--every", help="time from one question to the next")]
For = Annotated[str, typer.Option("--for", help="how long, such as '5 min' or '1h'")]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", help="PEM file of the authorities to trust, instead of the system's")
]
Fingerprint = Annotated[
    list[str] | None,
    typer.Option("--fingerprint", help="SHA-256 of a self-signed certificate that is trusted alone; repeatable"),
]
Sign = Annotated[
    list[str] | None,
    typer.Option("--sigv4", help="sign requests by AWS's chain: search, aoss (serverless) or prometheus; repeatable"),
]
Region = Annotated[str | None, typer.Option("--region", "-r", help="AWS region, where the chain has none")]
Timeout = Annotated[str, typer.Option("--timeout", help="the longest that one question may take")]


def register(app: typer.Typer) -> None:
    """Hang the commands onto the application."""
    from planner.cli import guarded

    for command in (record, probe, sample):
        app.command()(guarded(_told(command)))


def _told(command: Callable[..., None]) -> Callable[..., None]:
    """What a live system refused, as the message of a wrong input."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        from calibration.live import LiveError
        from calibration.secrets import redact_text
        from planner.refusal import ScenarioError

        try:
            command(*args, **kwargs)
        except LiveError as error:
            raise ScenarioError(redact_text(str(error))) from None

    return run


def record(
    search: Annotated[
        list[str] | None, typer.Option("--search", help="Elasticsearch or OpenSearch, https://HOST:PORT; repeatable")
    ] = None,
    index: Annotated[str, typer.Option("--index", help="its indices, a name or pattern")] = "_all",
    kafka: Annotated[
        list[str] | None, typer.Option("--kafka", help="brokers, HOST:PORT[,HOST:PORT]; repeatable for clusters")
    ] = None,
    prometheus: Annotated[
        list[str] | None, typer.Option("--prometheus", help="a Prometheus server; repeatable")
    ] = None,
    match: Annotated[str, typer.Option("--match", help="only series with these labels, as 'cluster=\"prod\"'")] = "",
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metrics", help="one exporter's text, [NAME=]URL, as kafka-1=http://HOST:9404/metrics; repeatable"
        ),
    ] = None,
    spark: Annotated[
        list[str] | None, typer.Option("--spark", help="a driver's UI (port 4040) or history server")
    ] = None,
    application: Annotated[str, typer.Option("--application", help="one Spark application, by id or name")] = "",
    cloudwatch: Annotated[
        list[str] | None, typer.Option("--cloudwatch", help="kafka:CLUSTER, es:DOMAIN or emr:j-ID; repeatable")
    ] = None,
    every: Every = "10s",
    length: For = "1h",
    since: Annotated[str, typer.Option("--since", help="past to read first from Prometheus and CloudWatch")] = "0s",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="the recording, FILE.jsonl")] = None,
    append: Annotated[bool, typer.Option("--append", help="go on with a recording that is there")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="begin although a system does not answer")] = False,
    most: Annotated[str, typer.Option("--most", help="bytes at which the recording ends")] = "8 GiB",
    region: Region = None,
    sigv4: Sign = None,
    ca_file: CaFile = None,
    fingerprint: Fingerprint = None,
    timeout: Timeout = "10s",
    as_json: Json = False,
) -> None:
    """Sample running systems into one file that a crash cannot spoil; `import` reads it."""
    from calibration.recorder import told
    from planner.live import NO_SOURCE, recorded, sources
    from planner.refusal import ScenarioError

    if output is None:
        raise typer.BadParameter("which file? for example -o rec.jsonl", param_hint="--output")
    spacing, span = _seconds("--every", every, 0.1, 86400), _seconds("--for", length, 0.1, 400 * 86400)
    past, patience = _seconds("--since", since, 0, 500 * 86400), _seconds("--timeout", timeout, 0.1, 600)
    asked = sources(
        _reach(ca_file, fingerprint, sigv4, region, patience), search=search or (), index=index, kafka=kafka or (),
        prometheus=prometheus or (), match=match, metrics=metrics or (), spark=spark or (), application=application,
        cloudwatch=cloudwatch or (), every=spacing, past=past,
    )  # fmt: skip
    if not asked:
        raise ScenarioError(NO_SOURCE)
    over = threading.Event()
    with _until_stopped(over):
        summary = recorded(
            asked, output, every=spacing, length=span, append=append, anyway=anyway, most=_bytes(most), tell=_say,
            over=over,
        )  # fmt: skip
    if as_json:
        print(json.dumps({"file": str(output), **summary}, indent=2, ensure_ascii=False))
    _say("\n".join(told(summary, output)))


def probe(
    search: Annotated[str, typer.Option("--search", help="Elasticsearch or OpenSearch, https://HOST:PORT")],
    index: Annotated[str, typer.Option("--index", help="index, alias or data stream that is written to")],
    field: Annotated[
        str, typer.Option("--field", help="when the record was created: a date, or a number of epoch time")
    ],
    partition_field: Annotated[
        str, typer.Option("--partition-field", help="what orders records, for latency by partition")
    ] = "",
    every: Every = "500ms",
    length: For = "5min",
    as_json: Json = False,
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="write to this file: .json .csv; repeatable")
    ] = None,
    region: Region = None,
    sigv4: Sign = None,
    ca_file: CaFile = None,
    fingerprint: Fingerprint = None,
    timeout: Timeout = "10s",
) -> None:
    """Measure real end-to-end latency on a live index, read-only and bounded: from creation to being found."""
    from calibration.probe import Probe, summary
    from planner.render import refuse_suffixes, write_files

    spacing, span = _seconds("--every", every, 0.05, 60), _seconds("--for", length, 1, 86400)
    refuse_suffixes(output or [], (".json", ".csv"))
    reach = _reach(ca_file, fingerprint, sigv4, region, _seconds("--timeout", timeout, 0.1, 600))
    with reach.endpoint(search, "--search", "search") as endpoint:
        polling = Probe(endpoint, index, field, partition_field, spacing)
        _say(f"probing {index} every {spacing:g} s for {span:g} s")
        found = summary(polling.run(span), polling)
    text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
    write_files(output or [], {".json": lambda: text, ".csv": lambda: _probe_csv(found)})
    if as_json:
        print(text, end="")
    elif not output:
        print("\n".join(_probe_lines(found)))


def _probe_lines(found: dict[str, Any]) -> list[str]:
    """The probe's answer for a person."""
    from models.units import show

    def shown(one: dict[str, Any]) -> str:
        return "  ".join(f"{name} {show(one[name], 's')}" for name in ("p50", "p90", "p99", "max"))

    spacing = found["spacing_seconds"]
    lines = [
        f"latency, creation to visible    {shown(found['latency_seconds'])}",
        f"resolution                      {show(found['resolution_seconds'], 's')} "
        f"(answers {show(spacing['median'], 's')} apart, buckets {show(found['bucket_seconds'], 's')})",
        f"records                         {found['records']:,} in {found['answers']:,} answers",
        f"searches                        {show(found['search_seconds']['median'], 's')} each",
    ]
    for name, one in found["partitions"].items():
        lines.append(f"  partition {name:<20}  {shown(one)}  of {one['records']:,}")
    return lines + [f"- {note}" for note in found["notes"]]


def _probe_csv(found: dict[str, Any]) -> str:
    """One row a partition, after one for all."""
    rows = [("(all)", found["records"], found["latency_seconds"])]
    rows += [(name, one["records"], one) for name, one in found["partitions"].items()]
    head = "partition,records,p50_seconds,p90_seconds,p99_seconds,max_seconds,resolution_seconds"
    lines = [head]
    for name, records, one in rows:
        values = ",".join(f"{one[key]:.3f}" for key in ("p50", "p90", "p99", "max"))
        lines.append(f'"{name}",{records},{values},{found["resolution_seconds"]:.3f}')
    return "\n".join(lines) + "\n"


def sample(
    documents: Annotated[
        Path, typer.Argument(metavar="DOCS.ndjson", help="one JSON document a line, plain or gzipped")
    ],
    template: Annotated[
        Path | None,
        typer.Option("--template", help="index template (JSON) of the real index; without: dynamic mapping"),
    ] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="whose mapping class, coefficients and batches are meant")
    ] = None,
    search: Annotated[
        str | None, typer.Option("--search", help="a one-node server to write to, instead of the laboratory's own")
    ] = None,
    machine: Annotated[
        str | None,
        typer.Option("--machine", help="machine type that the server runs on; without: this one, by a speed probe"),
    ] = None,
    most: Annotated[int, typer.Option("--documents", help="at most so many documents", min=1000)] = 100_000,
    warm: Annotated[str, typer.Option("--warm", help="the longest warm-up of the server")] = "60s",
    output: Annotated[
        list[Path] | None, typer.Option("--output", "-o", help="write: .toml (coefficient set) .json; repeatable")
    ] = None,
    ca_file: CaFile = None,
    fingerprint: Fingerprint = None,
    as_json: Json = False,
) -> None:
    """Index your own documents in a real server: bytes, CPU and compression, as coefficients with their error."""
    from planner.render import refuse_suffixes, write_files
    from planner.sampling import sampled

    refuse_suffixes(output or [], (".toml", ".json"))
    reach = _reach(ca_file, fingerprint, None, None, 60.0)
    endpoint = reach.endpoint(search, "--search", "search") if search else None
    found = sampled(documents, template, scenario, endpoint, machine, most, _seconds("--warm", warm, 1, 600), _say)
    text = json.dumps(found.plain, indent=2, ensure_ascii=False) + "\n"
    write_files(output or [], {".toml": lambda: found.toml, ".json": lambda: text})
    if as_json:
        print(text, end="")
    elif not output:
        print("\n".join(found.lines))


def _reach(
    ca_file: Path | None, fingerprint: list[str] | None, sigv4: list[str] | None, region: str | None, seconds: float
) -> Reach:
    """How systems are reached; a service that cannot be signed for is a wrong option."""
    from planner.live import SERVICES, Reach

    if unknown := [one for one in sigv4 or [] if one not in SERVICES]:
        raise typer.BadParameter(f"'{unknown[0]}'; expected one of {', '.join(SERVICES)}", param_hint="--sigv4")
    return Reach(ca_file, fingerprint or (), sigv4 or (), region, seconds)


def _seconds(option: str, text: str, least: float, most: float) -> float:
    """A duration as a person writes it, within bounds."""
    from models.units import parse_seconds, show

    try:
        value = parse_seconds(text)
    except ValueError as error:
        raise typer.BadParameter(f"'{text}'; {error}", param_hint=option) from None
    if not least <= value <= most:
        expected = f"{show(least, 's')} to {show(most, 's')}"
        raise typer.BadParameter(f"'{text}'; expected {expected}", param_hint=option)
    return value


def _bytes(text: str) -> int:
    from models.units import parse_bytes

    try:
        return int(parse_bytes(text))
    except ValueError as error:
        raise typer.BadParameter(f"'{text}'; {error}", param_hint="--most") from None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def _until_stopped(over: Any) -> Iterator[None]:
    """Ctrl-C and SIGTERM end a recording in order: its last line is the summary."""
    before = {sign: signal.signal(sign, lambda *_: over.set()) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
