"""YAML text in and out: the safe subset that a scenario is written in.

Loaded: mappings, lists and scalars of YAML 1.2's habit. Two keys of one name are refused (YAML
parsers keep the last in silence), `on`, `off`, `yes`, `no` and `12:30` stay text, a date stays text,
and each key's line is kept for the error messages. Aliases may be used (two flows share a query) but
may not blow the text up or contain themselves.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from planner.fields import Location, path_of
from planner.refusal import ScenarioError

MOST_BYTES = 8 * 1024 * 1024  # a scenario of a thousand flows stays below 1 MiB
MOST_VALUES = 200_000  # after aliases are written out
TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null")}
MOST_DEPTH = 40  # a scenario is nested six deep


class _Loader(yaml.SafeLoader):
    """SafeLoader whose plain scalars are only what YAML 1.2 calls numbers, booleans and null."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), "tTfF")
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(?:0|[1-9][0-9_]*)$"), "-+0123456789")
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^(?:[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf)|\.(?:nan|NaN))$"),
    "-+.0123456789",
)


def parse(text: str, name: str = "scenario") -> tuple[Any, dict[Location, int]]:
    """The data of a YAML text, and the line of each key and list item. Raises ScenarioError."""
    if len(text) > MOST_BYTES:
        raise ScenarioError(f"{name}: {len(text):,} characters; expected at most {MOST_BYTES:,}")
    lines: dict[Location, int] = {}
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        data = None if node is None else _plain(loader, node, (), lines, [MOST_VALUES])
    except yaml.YAMLError as error:
        raise ScenarioError(f"{name}: not YAML{_where(error)}") from None
    except RecursionError:
        raise ScenarioError(f"{name}: nested too deep; a scenario is nested six deep") from None
    except ValueError as error:  # a number with thousands of digits
        raise ScenarioError(f"{name}: {error}") if not isinstance(error, ScenarioError) else error from None
    return data, lines


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f": {problem}" + (f" (line {mark.line + 1}, column {mark.column + 1})" if mark else "")


def _plain(loader: _Loader, node: yaml.Node, at: Location, lines: dict[Location, int], left: list[int]) -> Any:
    left[0] -= 1
    if left[0] < 0 or len(at) > MOST_DEPTH:
        raise ScenarioError(f"{path_of(at)[:80]}: too large or nested without end (line {node.start_mark.line + 1})")
    if node.tag not in TAGS:
        raise ScenarioError(f"{path_of(at)}: '{node.tag}' is no plain YAML (line {node.start_mark.line + 1})")
    if isinstance(node, yaml.MappingNode):
        return _mapping(loader, node, at, lines, left)
    if isinstance(node, yaml.SequenceNode):
        items = []
        for k, item in enumerate(node.value):
            lines[(*at, k)] = item.start_mark.line + 1
            items.append(_plain(loader, item, (*at, k), lines, left))
        return items
    return loader.construct_object(node)


def _mapping(
    loader: _Loader, node: yaml.MappingNode, at: Location, lines: dict[Location, int], left: list[int]
) -> dict[str, Any]:
    own = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
    loader.flatten_mapping(node)
    data: dict[str, Any] = {}
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise ScenarioError(f"{path_of(at) or 'scenario'}: a key must be a word (line {line})")
        key = str(key_node.value)
        place = (*at, key)
        if own.count(key) > 1 and key in data:
            raise ScenarioError(f"{path_of(place)} is given twice (lines {lines[place]} and {line}); keep one")
        lines[place] = line
        data[key] = _plain(loader, value, place, lines, left)
    return data


def dump(data: Any) -> str:
    """Plain data as YAML that `parse` reads back equal, keys in their order."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, default_flow_style=False, width=110)
