"""The as-is scenario: facts that were discovered, laid out as a scenario file, each line marked.

A line says `read` with its source, `inferred` with what it follows from, or `default` where nobody said anything and
Floodmark's own default stands. What only the user knows (load, trigger, sink) is given by options or stands as UNKNOWN,
which `floodmark forecast` refuses until it is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from calibration.discover import Fact, Found
from models.elasticsearch import Index, SearchCluster
from models.kafka import KafkaCluster, Topic
from models.noun import Noun
from models.spark import SparkCluster

Mark = Literal["read", "inferred", "default", "given", "unknown"]
UNKNOWN = "UNKNOWN"
ASKED = {  # what no interface tells, and how to say it
    "workload.rate": "--rate, such as 5k/s", "workload.size": "--size, such as 800 B",
    "query.trigger": "--trigger, such as 10 s",
    "query.sink.kind": "--sink jvm-connector, jvm-foreach or python-foreach",
}  # fmt: skip
PARTS: tuple[tuple[str, type[Noun], tuple[str, ...]], ...] = (
    ("kafka", KafkaCluster, ("kind", "version", "brokers", "zones", "machine", "volume.size", "volume.throughput",
                             "io_threads", "replica_fetchers", "tls", "tls_between_brokers", "authentication",
                             "rack_aware_fetch")),
    ("spark", SparkCluster, ("kind", "version", "executors", "cores", "heap", "memory_overhead", "machine",
                             "driver_machine")),
    ("elasticsearch", SearchCluster, ("kind", "version", "data_nodes", "zones", "machine", "volume.size",
                                      "volume.throughput", "heap", "write_threads", "managers", "manager_machine")),
)  # fmt: skip
NEEDED = {"kafka.machine", "kafka.brokers", "kafka.volume.size", "elasticsearch.machine", "elasticsearch.data_nodes",
          "elasticsearch.volume.size", "spark.machine", "spark.executors", "spark.cores"}  # fmt: skip


@dataclass(frozen=True)
class Line:
    """One setting of the file: its path, its value, its mark and what that rests on."""

    path: str
    value: Any
    mark: Mark
    source: str

    def as_dict(self) -> dict[str, Any]:
        return {"path": self.path, "value": self.value, "mark": self.mark, "source": self.source}


@dataclass(frozen=True)
class Discovered:
    """The scenario's lines, what is unknown, and what was there but not used."""

    lines: tuple[Line, ...]
    unused: tuple[str, ...]

    @property
    def unknown(self) -> list[Line]:
        return [line for line in self.lines if line.mark == "unknown"]

    def as_dict(self) -> dict[str, Any]:
        counts: dict[str, int] = {}
        for line in self.lines:
            counts[line.mark] = counts.get(line.mark, 0) + 1
        lines = [line.as_dict() for line in self.lines]
        return {"schema_version": 1, "marks": counts, "lines": lines, "unused": list(self.unused)}

    def as_yaml(self) -> str:
        """The scenario file, a comment on each line."""
        head = [
            "# The stack as it is found. read: stated by a system; inferred: follows from what was read; default:",
            "# nobody said, Floodmark's default stands; given: by an option; UNKNOWN: only you know, fill it in.",
        ]
        return "\n".join([*head, "", *_emitted(_nested(self.lines))]) + "\n"


def discovered(found: Found, given: Mapping[str, str], topic: str = "", index: str = "") -> Discovered:
    """Lay facts out as a scenario of one flow: the topic and index named, or the only ones that there are.

    Raises ValueError where several topics or indices are there and none is named, naming them.
    """
    lines = [_line("name", found.value("name"), "discovered")]
    lines += _flow(
        found, given, _chosen(found, "topics", topic, "--topic"), _chosen(found, "indices", index, "--index")
    )
    for part, noun, fields in PARTS:
        lines += [_of_part(found, part, noun, name) for name in fields]
    lines.append(_line("money.region", None, given["region"], "given") if "region" in given else None)
    whole = [line for line in lines if line is not None]
    return Discovered(tuple(whole), (*found.unused, *_left_out(found)))


def _chosen(found: Found, group: str, named: str, option: str) -> str:
    names = found.names(group)
    short = sorted({name.split(".producer")[0] for name in names})
    if named:
        if named not in short:
            raise ValueError(f"{option} {named}: not among what was found: {', '.join(short) or 'none'}")
        return named
    if len(short) > 1:
        raise ValueError(f"several {group} were found ({', '.join(short[:12])}); name one with {option}")
    return short[0] if short else ""


def _flow(found: Found, given: Mapping[str, str], topic: str, index: str) -> list[Line | None]:
    lines: list[Line | None] = [_line("flows[0].name", None, topic or "events", "default" if not topic else "inferred")]
    for name in ("workload.rate", "workload.size"):
        lines.append(_asked(name, given))
    for name in ("partitions", "copies", "min_insync", "retention", "producer.compression"):
        fact = found.value(f"topics.{topic}.{name}") or found.value(f"topic_defaults.{name}")
        lines.append(_line(f"flows[0].topic.{name}", fact, _default(Topic, name)))
    lines.append(_asked("query.trigger", given))
    shuffle = found.value("query.shuffle_partitions")
    for name in ("checkpoint", "file_manager"):
        if fact := found.value(f"query.{name}"):
            lines.append(_line(f"flows[0].query.{name}", fact, None))
    if given.get("stateful"):
        lines.append(_line("flows[0].query.state.shuffle_partitions", shuffle, 200))
        lines.append(_line("flows[0].query.state.provider", found.value("query.provider"), "hdfs-backed"))
    lines.append(_asked("query.sink.kind", given))
    for name in ("primaries", "copies", "refresh_interval", "refresh_schedule", "codec", "translog", "replication",
                 "mapping", "retention", "rollover"):  # fmt: skip
        fact = found.value(f"indices.{index}.{name}") or found.value(f"index_defaults.{name}")
        lines.append(_line(f"flows[0].index.{name}", fact, _default(Index, name)))
    return lines


def _asked(name: str, given: Mapping[str, str]) -> Line:
    if name in given:
        return Line(f"flows[0].{name}", given[name], "given", "by an option")
    return Line(f"flows[0].{name}", UNKNOWN, "unknown", f"no interface tells it; give {ASKED[name]}")


def _of_part(found: Found, part: str, noun: type[Noun], name: str) -> Line | None:
    path = f"{part}.{name}"
    fact = found.value(path)
    if fact is None and path == "spark.executors" and (nodes := found.value("spark.nodes")):
        fact = Fact(path, nodes.value, "inferred", f"{nodes.source}: one executor a node")
    if fact is None and path in NEEDED:
        return Line(path, UNKNOWN, "unknown", "nothing that was read says it; fill it in")
    return _line(path, fact, _default(noun, name))


def _line(path: str, fact: Fact | None, default: Any, mark: Mark = "default") -> Line | None:
    if fact is not None:
        return Line(path, fact.value, fact.how, fact.source)
    return None if default is None else Line(path, default, mark, "nobody said" if mark == "default" else "")


def _default(noun: type[Noun], name: str) -> Any:
    """A field's default as a file writes it; None for those that have none or are better left to the kind."""
    if "." in name:
        return None
    value = noun.model_fields[name].default
    return value if isinstance(value, (str, int, bool)) else None


def _left_out(found: Found) -> list[str]:
    """Settings that were read and have no place in the file: other topics, shuffle partitions of a stateless query."""
    return [
        f"{fact.source}: {fact.path} = {fact.value} holds only for stateful queries (--stateful)"
        for fact in [found.value("query.shuffle_partitions")] if fact is not None
    ]  # fmt: skip


def _nested(lines: tuple[Line, ...]) -> dict[str, Any]:
    root: dict[str, Any] = {}
    for line in lines:
        at = root
        *steps, last = line.path.split(".")
        for step in steps:
            at = at.setdefault(step, {})
        at[last] = line
    return root


def _emitted(tree: Mapping[str, Any], depth: int = 0) -> list[str]:
    """YAML by hand, as no emitter keeps a comment on each line: keys are our own field names, scalars are dumped."""
    out = []
    for key, value in tree.items():
        pad = "  " * depth
        if isinstance(value, Line):
            text = yaml.safe_dump(value.value, default_flow_style=True, allow_unicode=True, width=10_000)
            scalar = text.removesuffix("...\n").strip()
            left = f"{pad}{key}: {scalar}"
            why = " ".join(value.source.split())[:150]
            out.append(f"{left:<44} # {value.mark}" + (f": {why}" if why else ""))
        elif key == "flows[0]":
            inner = _emitted(value, depth + 1)
            out += [f"{pad}flows:", f"{pad}- {inner[0].lstrip()}", *inner[1:]]
        else:
            out += [f"{pad}{key}:", *_emitted(value, depth + 1)]
    return out
