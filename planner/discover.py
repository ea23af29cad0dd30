"""The as-is scenario: facts that were discovered, laid out as a scenario file, each line marked.

A line says `read` with its source, `inferred` with what it follows from, or `default` where nobody said anything and
Floodmark's own default stands. What only the user knows (load, trigger, sink) is given by options or stands as UNKNOWN,
which `floodmark forecast` refuses until it is filled in. The load of a recording becomes a daily and weekly curve where
it saw all hours, else the steps that were seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import yaml

from calibration.discover import Fact, Found
from models.elasticsearch import Index, SearchCluster
from models.kafka import KafkaCluster, Topic, record_overhead_bytes
from models.noun import Noun
from models.spark import SparkCluster
from models.units import DAY, HOUR, show

if TYPE_CHECKING:
    from calibration.load_curve import Load

Mark = Literal["read", "inferred", "default", "given", "unknown"]
UNKNOWN = "UNKNOWN"
ASKED = {  # what no interface tells, and how to say it
    "workload.rate": "--rate, such as 5k/s, or a recording of it, --prometheus, --cloudwatch",
    "workload.size": "--size, such as 800 B",
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


MOST_STEPS = 60
FRAMED_TOGETHER = 16  # records of a batch, where only the mean size of one as stored is known: kafka.md A1


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


def discovered(
    found: Found, given: Mapping[str, str], topic: str = "", index: str = "", load: Load | None = None
) -> Discovered:
    """Lay facts out as a scenario of one flow: the topic and index named, or the only ones that there are; its load.

    Raises ValueError where several topics or indices are there and none is named, naming them.
    """
    lines = [_line("name", found.value("name"), "discovered")]
    subscribed = found.value("query.topic")
    topic = topic or (str(subscribed.value) if subscribed else "")
    lines += _flow(
        found, given, _chosen(found, "topics", topic, "--topic"), _chosen(found, "indices", index, "--index"), load
    )
    for part, noun, fields in PARTS:
        lines += [_of_part(found, part, noun, name) for name in fields]
    lines.append(_line("money.region", None, given["region"], "given") if "region" in given else None)
    lines += _window(load) if load is not None and "workload.rate" not in given else []
    whole = [line for line in lines if line is not None]
    return Discovered(tuple(whole), (*found.unused, *_left_out(found, given, load)))


def _chosen(found: Found, group: str, named: str, option: str) -> str:
    names = found.names(group)
    short = sorted({name.split(".producer")[0] for name in names})
    if named and not short:
        return named
    if named:
        if named not in short:
            raise ValueError(f"{option} {named}: not among what was found: {', '.join(short) or 'none'}")
        return named
    if len(short) > 1:
        raise ValueError(f"several {group} were found ({', '.join(short[:12])}); name one with {option}")
    return short[0] if short else ""


def _flow(
    found: Found, given: Mapping[str, str], topic: str, index: str, load: Load | None = None
) -> list[Line | None]:
    lines: list[Line | None] = [_line("flows[0].name", None, topic or "events", "default" if not topic else "inferred")]
    lines += [_asked("workload.rate", given)] if load is None or "workload.rate" in given else _load(load)
    lines.append(_size(found, given, topic))
    for name in ("partitions", "copies", "min_insync", "retention", "producer.compression"):
        fact = found.value(f"topics.{topic}.{name}") or found.value(f"topic_defaults.{name}")
        lines.append(_line(f"flows[0].topic.{name}", fact, _default(Topic, name)))
    lines.append(_asked("query.trigger", given, found.value("query.trigger")))
    shuffle = found.value("query.shuffle_partitions")
    for name in ("checkpoint", "file_manager"):
        if fact := found.value(f"query.{name}"):
            lines.append(_line(f"flows[0].query.{name}", fact, None))
    if given.get("stateful") or found.value("query.stateful"):
        lines.append(_line("flows[0].query.state.shuffle_partitions", shuffle, 200))
        lines.append(_line("flows[0].query.state.provider", found.value("query.provider"), "hdfs-backed"))
    lines.append(_asked("query.sink.kind", given, found.value("query.sink.kind")))
    for name in ("primaries", "copies", "refresh_interval", "refresh_schedule", "codec", "translog", "replication",
                 "mapping", "retention", "rollover"):  # fmt: skip
        fact = found.value(f"indices.{index}.{name}") or found.value(f"index_defaults.{name}")
        lines.append(_line(f"flows[0].index.{name}", fact, _default(Index, name)))
    return lines


def _asked(name: str, given: Mapping[str, str], fact: Fact | None = None) -> Line:
    if name in given:
        return Line(f"flows[0].{name}", given[name], "given", "by an option")
    if fact is not None:
        return Line(f"flows[0].{name}", fact.value, fact.how, fact.source)
    return Line(f"flows[0].{name}", UNKNOWN, "unknown", f"no interface tells it; give {ASKED[name]}")


def _load(load: Load) -> list[Line | None]:
    """A curve where all hours of the day were seen, and of the week where all its days were; else steps."""
    days, whole = load.seconds / DAY, load.by_hour()
    if whole is None:
        parts = [[round(d, 3), float(f"{rate:.4g}")] for d, rate in load.steps(MOST_STEPS)]
        why = f"{load.source}: {show(load.rate, '1/s')} on the mean over {show(load.seconds, 's')}"
        return [Line("flows[0].workload.steps", parts, "read", f"{why}; [seconds, events a second]")]
    mean = sum(whole) / len(whole)
    why = f"{load.source}: mean of {days:.3g} days, of which the busiest minute had {show(load.peak(), '1/s')}"
    lines: list[Line | None] = [Line("flows[0].workload.rate", f"{mean:.4g}/s", "read", why)]
    hours = "hours of the day, UTC, by their mean rate"
    lines.append(Line("flows[0].workload.daily_curve", _relative(whole), "read", hours))
    if days >= 7 and (week := load.by_day()) is not None:
        lines.append(Line("flows[0].workload.weekly_curve", _relative(week), "read", "days from Monday, UTC"))
    return lines


def _relative(rates: list[float]) -> list[float]:
    """Rates over their mean, three digits."""
    mean = sum(rates) / len(rates)
    return [float(f"{rate / mean:.3g}") for rate in rates]


def _window(load: Load) -> list[Line | None]:
    """What of recorded steps is forecast: all, up to an hour; a curve leaves that to the reader."""
    if load.by_hour() is not None:
        return []
    span = min(load.seconds, HOUR)
    why = "the recorded load" + (", its first hour" if span < load.seconds else "")
    return [
        Line("run.warm_up", "0 s", "inferred", "the recorded load begins at once"),
        Line("run.measure", f"{span:.4g} s", "inferred", why),
    ]


def _size(found: Found, given: Mapping[str, str], topic: str) -> Line:
    """An event's size: given, told by producers, or what is stored where nothing compresses it; else unknown."""
    line = _asked("workload.size", given, found.value("workload.size"))
    stored, codec = found.value("stored.bytes"), found.value(f"topics.{topic}.producer.compression")
    if line.mark != "unknown" or stored is None:
        return line
    if codec is not None and codec.value == "none":
        size = stored.value - record_overhead_bytes(stored.value, FRAMED_TOGETHER)
        why = f"{stored.source}: {stored.value:.4g} B as stored, uncompressed, less the framing"
        return Line(line.path, f"{size:.0f} B", "inferred", why)
    why = f"stored in {stored.value:.4g} B each, compressed or not; give {ASKED['workload.size']}, before compression"
    return Line(line.path, UNKNOWN, "unknown", why)


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


def _left_out(found: Found, given: Mapping[str, str], load: Load | None) -> list[str]:
    """Settings that were read and have no place in the file: shuffle partitions of a stateless query, a second load."""
    left = []
    fact = found.value("query.shuffle_partitions")
    if fact is not None and not (given.get("stateful") or found.value("query.stateful")):
        left.append(f"{fact.source}: {fact.path} = {fact.value} holds only for stateful queries (--stateful)")
    if load is not None and "workload.rate" in given:
        left.append(f"{load.source}: {show(load.rate, '1/s')} on the mean; --rate was given")
    return left


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
