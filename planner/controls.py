"""Controls: a scenario's fields as a page offers them, made from the same metadata as errors and glossary.

A *control* is one field of one scenario: its label, its help (meaning, unit, bounds, the foreign setting's name,
defaults by version, source), its kind and what it offers. What stands first and what is folded away is decided here,
once, for every page; which values are allowed is decided by the fields themselves. `moved` is the scenario with some
of them moved.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from models.noun import Noun
from models.stack import Scenario
from models.units import show
from planner.control_steps import SPAN, STEPS, stops, words
from planner.fields import bounds, choices, extra, field_at, leaves, noun_in, path_of
from planner.scenario import validated

Kind = Literal["slider", "number", "choice", "switch", "quantity", "text"]
Place = tuple[str | int, ...]

GROUPS = {
    "Workload": ("flows[].workload",),
    "Kafka": ("flows[].topic", "kafka"),
    "Spark": ("flows[].query", "spark"),
    "Search": ("flows[].index", "elasticsearch"),
    "Promises": ("targets",),
    "Money": ("money",),
    "Run": ("run", "coefficients", "flows[].name", "name", "description"),
}
FIRST = {  # what most plans turn on; the rest is folded
    "flows[].workload.rate", "flows[].workload.size", "flows[].workload.growth_per_month",
    "flows[].workload.partition_skew", "flows[].topic.partitions", "flows[].topic.copies", "flows[].topic.retention",
    "flows[].topic.producer.compression", "kafka.brokers", "kafka.machine", "kafka.volume.size",
    "flows[].query.trigger", "flows[].query.max_offsets_per_trigger", "flows[].query.state",
    "flows[].query.state.shuffle_partitions", "flows[].query.sink.kind", "flows[].query.sink.refresh_per_write",
    "spark.executors", "spark.cores", "spark.heap", "spark.machine", "flows[].index.primaries", "flows[].index.copies",
    "flows[].index.refresh_interval", "flows[].index.retention", "flows[].index.mapping",
    "elasticsearch.data_nodes", "elasticsearch.machine", "elasticsearch.volume.size", "targets.p99",
    "targets.catch_up", "targets.throughput_headroom", "targets.monthly_budget_usd", "money.region", "money.month",
    "money.spot_share", "money.load_spread", "run.measure", "run.repeats", "coefficients", "name",
}  # fmt: skip
FOLDERS = ("money.price_book",)  # read on the machine that serves a page: never typed there
SERIES = ("rate", "size", "bytes_per_second", "steps", "recorded")  # alternatives of each other in a workload
DEFAULT = "its own default"  # of a choice: what stands where the field says nothing
TRIGGERS = {0.0: "as fast as possible", -1.0: "available now"}
SYSTEMS = {"topic": "topic", "kafka": "brokers", "query": "query", "spark": "Spark", "index": "index",
           "elasticsearch": "nodes"}  # fmt: skip
PERCENT = ("growth_per_month", "spot_share", "load_spread", "background", "kept", "hot")


@dataclass(frozen=True)
class Control:
    """One field of one scenario, as a page offers it. `value` is what the scenario says now."""

    path: str
    place: Place
    label: str
    help: str
    kind: Kind
    value: Any
    group: str
    first: bool
    unit: str = ""
    options: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    optional: bool = False

    def say(self, value: Any) -> str:
        """A value of this control as a person reads and writes it."""
        if value is None:
            return ""
        if self.path.endswith("query.trigger") and float(value) in TRIGGERS:
            return TRIGGERS[float(value)]
        if isinstance(value, bool | str):
            return str(value)
        if self.unit == "1" and self.place[-1] in PERCENT:
            return f"{value * 100:.6g} %"
        return show(float(value), self.unit)


def controls(
    scenario: Scenario, flow: int = 0, about: Scenario | None = None, only: Collection[str] = tuple(GROUPS)
) -> list[Control]:
    """The controls of a scenario with the fields of one of its flows, in the order of their groups (`only` some).

    Sliders have their stops about the values of `about`, so that they stay while one of them is moved.
    """
    paths = [path for group in GROUPS if group in only for path in _paths_of(group)]
    return [c for path in paths if (c := _control(scenario, path, flow, about or scenario)) is not None]


@cache
def _paths_of(group: str) -> list[str]:
    return [path for path in _paths() if group_of(path) == group]


@cache
def _paths() -> list[str]:
    """All paths, each optional part before what it is made of."""
    found: list[str] = []
    for leaf in leaves(Scenario):
        found += [part for part in parts() if leaf.path.startswith(f"{part}.") and part not in found]
        found.append(leaf.path)
    return found


@cache
def parts() -> tuple[str, ...]:
    """Paths of the nouns that may be there or not, and can be with nothing but defaults: each is a switch."""
    return tuple(_parts(Scenario, ""))


def _parts(root: type[Noun], prefix: str) -> Iterator[str]:
    for name, info in root.model_fields.items():
        noun, path = noun_in(info.annotation), f"{prefix}.{name}" if prefix else name
        if noun is None:
            continue
        if _optional(info.annotation) and not any(f.is_required() for f in noun.model_fields.values()):
            yield path
        yield from _parts(noun, path + ("[]" if get_origin(info.annotation) is tuple else ""))


def group_of(path: str) -> str | None:
    """The group that a path stands in; None for what only the YAML editor offers.

    >>> group_of("flows[].topic.copies"), group_of("hosts[].cores")
    ('Kafka', None)
    """
    for group, prefixes in GROUPS.items():
        if any(path == p or path.startswith(f"{p}.") for p in prefixes):
            return group
    return None


def _control(scenario: Scenario, path: str, flow: int, about: Scenario) -> Control | None:
    group, place = group_of(path), _place(path, flow)
    _, info = field_at(Scenario, place)
    if group is None or info is None or not _offered(scenario, path, place, info):
        return None
    kind, value = _kind(path, info), at(scenario, place)
    value = value is not None if path in parts() else value
    limit = {k: getattr(m, k) for m in info.metadata for k in ("ge", "gt", "le", "lt") if hasattr(m, k)}
    low, high = limit.get("ge", limit.get("gt")), limit.get("le", limit.get("lt"))
    options: tuple[Any, ...] = ()
    if kind == "slider":
        there = at(about, place)
        options = stops(path, extra(info, "unit"), value if there is None else there, low, high)
        options = options if value is None or value in options else tuple(sorted({*options, value}))
    elif kind == "choice":
        found = (True, False) if _plain_type(info.annotation) is bool else words(scenario, path, info.annotation, value)
        options = (DEFAULT, *found) if _optional(info.annotation) else found
    return Control(
        path, place, _label(place), help_of(path_of(place), info), kind, value, group, path in FIRST,
        extra(info, "unit"), options, low, high, _optional(info.annotation),
    )  # fmt: skip


def _place(path: str, flow: int) -> Place:
    """
    >>> _place("flows[].topic.copies", 1)
    ('flows', 1, 'topic', 'copies')
    """
    place: list[str | int] = []
    for part in path.split("."):
        place.append(part.removesuffix("[]"))
        if part.endswith("[]"):
            place.append(flow)
    return tuple(place)


def at(scenario: Any, place: Place) -> Any:
    """The value at a place, None where an optional noun on the way is not there."""
    value = scenario
    for part in place:
        if value is None:
            return None
        value = value[part] if isinstance(part, int) else getattr(value, part)
    return value


def _offered(scenario: Scenario, path: str, place: Place, info: FieldInfo) -> bool:
    """Whether a control here would move something, and can be one: no lists, no tables, no part that is not there."""
    if path.count("[]") > 1 or get_origin(info.annotation) in (tuple, dict) or path in FOLDERS:
        return False
    if not path.startswith("flows[]") and "[]" in path:
        return False
    name, owner = str(place[-1]), at(scenario, place[:-1])
    if owner is None:
        return False
    if name in SERIES and place[-2] == "workload":
        return at(scenario, place) is not None and name not in ("steps", "recorded")
    on_hosts = name == "machine" and bool(getattr(owner, "hosts", ()))
    return not on_hosts


def _optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


def _plain_type(annotation: Any) -> Any:
    """The type inside Optional and Annotated."""
    if _optional(annotation):
        return _plain_type(next(a for a in get_args(annotation) if a is not type(None)))
    return _plain_type(annotation.__origin__) if hasattr(annotation, "__metadata__") else annotation


def _kind(path: str, info: FieldInfo) -> Kind:
    plain, unit = _plain_type(info.annotation), extra(info, "unit")
    if path in parts() or (plain is bool and not _optional(info.annotation)):
        return "switch"
    if plain is bool:
        return "choice"
    if choices(info.annotation) or path.endswith("machine") or path in ("coefficients", "money.region"):
        return "choice"
    if plain is str:
        return "text"
    may_miss = _optional(info.annotation) and not path.startswith("flows[].workload.")
    if plain is int and not may_miss:
        return "number"
    return "slider" if not may_miss and (path in STEPS or (path in FIRST and unit in SPAN)) else "quantity"


def help_of(path: str, info: FieldInfo) -> str:
    """What a field means, in which unit and bounds, what the systems call it, their defaults, its source."""
    unit, foreign, source = extra(info, "unit"), extra(info, "foreign"), extra(info, "source")
    data = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    versions, meaning = data.get("by_version"), str(info.description)
    parts = [f"{meaning[:1].upper()}{meaning[1:]}."]
    if limit := bounds(info):
        parts.append(f"{limit[:1].upper()}{limit[1:]}." if unit in ("", "count") else f"{limit} [{unit}].")
    if foreign:
        parts.append(f"Its own name: `{foreign}`.")
    if isinstance(versions, dict) and versions:
        parts.append("Defaults: " + ", ".join(f"{version} {value}" for version, value in versions.items()) + ".")
    if source:
        parts.append(f"Source: {source}.")
    return " ".join([*parts, f"In the file: `{path}`"])


def _label(place: Place) -> str:
    """A field's name as a label, after its system's name where a group holds two.

    >>> _label(("flows", 0, "topic", "copies")), _label(("kafka", "volume", "size")), _label(("kafka", "brokers"))
    ('topic copies', 'brokers volume size', 'brokers')
    """
    names = [str(part) for part in place if not isinstance(part, int)]
    names = names[1:] if names[0] == "flows" and len(names) > 1 else names
    head = [SYSTEMS[names[0]]] if names[0] in SYSTEMS else []
    rest = names[1:] if len(names) > 1 and (head or names[0] in ("workload", "targets", "money", "run")) else names
    return " ".join(rest if rest[0] in head else [*head, *rest]).replace("_", " ")


def moved(scenario: Scenario, changes: Mapping[Place, Any]) -> Scenario:
    """The scenario with other values at some places, as a person writes them. Raises ScenarioError."""
    if not changes:
        return scenario
    data = scenario.model_dump(mode="json", exclude_defaults=True)
    for place in sorted(changes, key=len):
        if not any(changes.get(place[:k]) is False for k in range(1, len(place))):  # of a part that is switched off
            _put(data, place, changes[place])
    return validated(data)


def _put(data: Any, place: Place, value: Any) -> None:
    is_part = ".".join(f"{p}" for p in place if isinstance(p, str)) in {p.replace("[]", "") for p in parts()}
    for part in place[:-1]:
        if isinstance(part, str) and data.get(part) is None:
            data[part] = {}
        data = data[part]
    last: Any = place[-1]
    if not is_part:
        data[last] = value
    elif value:
        data[last] = data.get(last) or {}
    else:
        data.pop(last, None)
