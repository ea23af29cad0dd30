"""Fields: the nouns of a scenario walked by path, as their metadata tells them.

A *path* is how a person points into the YAML file (`flows[0].topic.partitions`); a *location* is
the same as pydantic keeps it (`("flows", 0, "topic", "partitions")`). Error messages, the glossary,
the JSON Schema and the table of what each field moves are all read off these fields.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from models.noun import Noun
from models.units import show

Location = tuple[str | int, ...]

EXAMPLES = {
    "bytes": "'8 GiB' or '800 B'",
    "s": "'2 s' or '200 ms'",
    "1/s": "'50k/s' or '3M/h'",
    "bytes/s": "'250 MiB/s'",
    "count": "12 or '20k'",
    "cores": "4",
    "1": "0.04 or '4 %'",
}


@dataclass(frozen=True)
class Leaf:
    """One field that holds a value, not a noun: where it is, its metadata and the noun it belongs to."""

    path: str
    info: FieldInfo
    owner: type[Noun]
    name: str

    @property
    def unit(self) -> str:
        return extra(self.info, "unit")


def extra(info: FieldInfo, key: str) -> str:
    """A text of a field's metadata ('unit', 'foreign', 'source'), '' where there is none."""
    data = info.json_schema_extra
    return str(data.get(key, "")) if isinstance(data, dict) else ""


def path_of(location: Location) -> str:
    """A location as a person writes it.

    >>> path_of(("flows", 0, "topic", "partitions"))
    'flows[0].topic.partitions'
    """
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def noun_in(annotation: Any) -> type[Noun] | None:
    """The noun that an annotation holds, through optional and tuple; None where it holds plain values."""
    if isinstance(annotation, type) and issubclass(annotation, Noun):
        return annotation
    if get_origin(annotation) in (tuple, Union, types.UnionType):
        for part in get_args(annotation):
            found = noun_in(part)
            if found is not None:
                return found
    return None


def choices(annotation: Any) -> tuple[str, ...]:
    """The words that a field takes, () where it is not a choice.

    >>> choices(tuple[Literal["a", "b"], ...])
    ('a', 'b')
    """
    if get_origin(annotation) is Literal:
        return tuple(str(word) for word in get_args(annotation))
    for part in get_args(annotation):
        if found := choices(part):
            return found
    return ()


def field_at(root: type[Noun], location: Location) -> tuple[type[Noun], FieldInfo | None]:
    """The innermost noun on the way to a location, and the field that the location ends in, if it is one."""
    noun, info = root, None
    for part in location:
        if isinstance(part, int):
            continue
        found = noun.model_fields.get(part)
        if found is None:
            return noun, info
        info = found
        noun = noun_in(info.annotation) or noun
    return noun, info


def leaves(root: type[Noun], prefix: str = "") -> Iterator[Leaf]:
    """Every field that holds a value, depth first, in the order it is declared; `[]` marks a list of nouns."""
    for name, info in root.model_fields.items():
        path = f"{prefix}.{name}" if prefix else name
        inner = noun_in(info.annotation)
        if inner is None:
            yield Leaf(path, info, root, name)
        else:
            yield from leaves(inner, path + ("[]" if get_origin(info.annotation) is tuple else ""))


def nouns(root: type[Noun]) -> list[type[Noun]]:
    """The noun and all it is made of, each once, outermost first."""
    found = [root]
    for noun in found:
        for info in noun.model_fields.values():
            inner = noun_in(info.annotation)
            if inner is not None and inner not in found:
                found.append(inner)
    return found


def bounds(info: FieldInfo) -> str:
    """The bounds of a field in words, '' where it has none.

    >>> from models.kafka import Topic
    >>> bounds(Topic.model_fields["partitions"]), bounds(Topic.model_fields["retention"])
    ('1 to 20k', 'more than 0 ms')
    """
    limit = {
        k: getattr(m, k) for m in info.metadata for k in ("ge", "gt", "le", "lt") if getattr(m, k, None) is not None
    }
    unit = extra(info, "unit")
    low = show(limit.get("ge", limit.get("gt", 0)), unit)
    high = show(limit.get("le", limit.get("lt", 0)), unit)
    above, below = "gt" in limit, "lt" in limit
    if not limit:
        return ""
    if "ge" in limit and "le" in limit:
        return f"{low} to {high}"
    parts = [f"more than {low}" if above else f"{low} or more"] if above or "ge" in limit else []
    parts += [f"less than {high}" if below else f"at most {high}"] if below or "le" in limit else []
    return " and ".join(parts)
