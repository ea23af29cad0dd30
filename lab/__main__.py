"""`python -m lab up | run | down | list | pin`: the laboratory's command."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import parts
from lab.experiment import ExperimentError, read_all
from lab.java import NoJava
from lab.parts import PartError
from lab.processes import ProcessError, Registry
from lab.search import SearchError


def up(asked: argparse.Namespace) -> int:
    """Starts Kafka and search servers and leaves them; with --check, sends 200 records through all and stops."""
    from lab import check
    from lab.stack import Stack, kit

    found = kit()
    if asked.check:
        print(", ".join(f"{name} {version}" for name, version in found.versions().items()))
        outcome = check.check(found, asked.search, asked.brokers)
        steps = ", ".join(f"{name} {seconds:g} s" for name, seconds in outcome["start_s"].items())
        print(f"  {outcome['visible']} of {outcome['expected']} records visible; {steps}")
        print(f"the laboratory runs: {outcome['seconds']:g} s, all stopped")
        return 0
    stack = Stack(found, check.smoke(asked.search, asked.brokers), outlives=True).__enter__()
    try:
        stack.start()
    except BaseException:
        stack.close()
        raise
    brokers, servers = stack.brokers, stack.servers
    assert brokers is not None and servers is not None
    print(f"Kafka {brokers.bootstrap} (topic events), metrics {brokers.metrics_url(1)}")
    print(f"{asked.search} http://127.0.0.1:{servers.ports[0]} (index events); `python -m lab down` stops all")
    return 0


def down(asked: argparse.Namespace) -> int:
    """Stops what the laboratory left running, by the ids it noted."""
    stopped = Registry(parts.lab_home()).stop_all()
    print(f"stopped {', '.join(stopped)}" if stopped else "nothing of the laboratory was running")
    return 0


def run(asked: argparse.Namespace) -> int:
    """Runs a series, or the experiments named."""
    from lab import series
    from lab.stack import kit

    plan = series.plan(read_all(), asked.names, asked.sets, asked.rounds, anchors=not asked.no_anchors)
    print(f"{len(plan)} runs, about {series.seconds(plan) / 3600:.1f} h; results in {asked.results}")
    return series.perform(kit(), plan, asked.results, disturbed=asked.disturbed)


def listing(asked: argparse.Namespace) -> int:
    """The experiments, what each tells apart, and about how long it takes."""
    for e in read_all():
        print(f"{e.set:6} {e.type:5} {e.name:28} {e.repeats} x {e.seconds:4.0f} s  {e.question}")
    return 0


def pin(asked: argparse.Namespace) -> int:
    """Prints the checksums of what Maven gives for the artifacts of pins.toml now: to be read before they are kept."""
    pins = parts.read_pins()
    for part in parts.read_parts(pins).values():
        folder = parts.lab_home() / "pin" / part.name
        parts.download(part, folder, pins["dependency_plugin"])
        print(f"[part.{part.name}.sha256]")
        print("\n".join(f'"{p.name}" = "{parts.sha256(p)}"' for p in sorted(folder.iterdir())))
    return 0


def parser() -> argparse.ArgumentParser:
    from lab.series import default_results

    top = argparse.ArgumentParser(prog="python -m lab", description="A real small Kafka, Spark and OpenSearch.")
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, work: Any) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=work.__doc__)
        made.set_defaults(work=work)
        return made

    one = command("up", up)
    one.add_argument("--check", action="store_true", help="200 records through the whole stack, then stop")
    one.add_argument("--search", choices=("opensearch", "elasticsearch"), default="opensearch")
    one.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    command("down", down)
    one = command("run", run)
    one.add_argument("names", nargs="*", help="experiments by name; all if none is named")
    one.add_argument(
        "--set", dest="sets", action="append", choices=("fit", "test"), help="only experiments of that set"
    )
    one.add_argument("--rounds", type=int, nargs="+", help="only these repeats, as 1 or 2 3")
    one.add_argument("--results", type=Path, default=default_results(), help="folder of the series")
    one.add_argument("--no-anchors", action="store_true", help="without the speed anchors around each round")
    one.add_argument("--disturbed", action="store_true", help="other work shares the machine: never fitted to")
    command("list", listing)
    command("pin", pin)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Errors that say what to do are told in one line; SIGTERM stops what was started, as Ctrl-C does."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if not hasattr(os, "sched_setaffinity"):
        print(
            "the laboratory needs Linux (it pins processes to cores); all else of Floodmark runs without it",
            file=sys.stderr,
        )
        return 2
    asked = parser().parse_args(arguments)
    try:
        return int(asked.work(asked))
    except (ExperimentError, NoJava, PartError, ProcessError, SearchError, FileExistsError, TimeoutError) as error:
        print(f"lab {asked.command}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
