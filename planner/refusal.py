"""Refusals: what is wrong with a scenario, one line each, with what would do.

`flows[0].topic.partitions = 0; expected 1 to 20k [count], for example 12 or '20k' (line 14)`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.noun import Noun
from planner.fields import EXAMPLES, Location, bounds, choices, extra, field_at, path_of

MOST_LINES = 20  # a reader fixes a handful at a time; the rest is counted


class ScenarioError(ValueError):
    """A scenario that cannot be used: each line names the field, the value, the unit and what would do."""

    def __init__(self, lines: Sequence[str] | str) -> None:
        self.lines = [lines] if isinstance(lines, str) else list(lines)
        shown = self.lines[:MOST_LINES]
        if len(self.lines) > MOST_LINES:
            shown.append(f"... and {len(self.lines) - MOST_LINES} more")
        super().__init__("\n".join(shown))


def house_lines(
    errors: Sequence[Mapping[str, Any]], root: type[Noun], line_of: Mapping[Location, int] | None = None
) -> list[str]:
    """Pydantic's errors in our words, each with the line of the file where that is known."""
    places = [tuple(error["loc"]) for error in errors]
    out = []
    for error, place in zip(errors, places, strict=True):
        inner = any(other != place and other[: len(place)] == place for other in places)
        if error["type"] == "too_short" and inner:
            continue  # pydantic counts what failed to validate as missing
        text = _one(error, place, root)
        line = _line(error, place, root, line_of or {})
        out.append(text + (f" (line {line})" if line else ""))
    return out


def _one(error: Mapping[str, Any], place: Location, root: type[Noun]) -> str:
    path, kind = path_of(place), error["type"]
    noun, info = field_at(root, place)
    if kind == "value_error":
        reason = str(error["ctx"]["error"])
        if isinstance(error["input"], dict) or info is None:
            return f"{path}: {reason}" if path else reason
        return f"{path} = {_shown(error['input'])}; {reason}{_unit(info)}"
    if kind == "missing":
        needed = f"{path} is missing"
        return needed + (f"; it says {info.description}{_example(info)}" if info is not None else "")
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        holds = ", ".join(noun.model_fields) if kind == "model_type" else "names and values"
        return f"{path or 'the scenario'} = {_shown(error['input'])}; expected a mapping with {holds}"
    if kind in ("tuple_type", "list_type"):
        return f"{path} = {_shown(error['input'])}; expected a list{_example(info)}"
    return f"{path} = {_shown(error['input'])}; {_expected(error, info)}"


def _expected(error: Mapping[str, Any], info: Any) -> str:
    """What would do, from the field's own metadata; pydantic's sentence where that says nothing."""
    if info is not None and (words := choices(info.annotation)):
        return f"expected one of {', '.join(words)}"
    if error["type"] == "too_short" or error["type"] == "string_too_short":
        return "expected at least one"
    if error["type"] == "string_type":
        return "expected text; put it in quotes"
    if error["type"].startswith("bool"):
        return "expected true or false"
    if info is not None and (limit := bounds(info)):
        return f"expected {limit}{_example(info)}"
    sentence = str(error["msg"]).removeprefix("Input should be ")
    return f"expected {sentence[0].lower()}{sentence[1:]}{_example(info)}"


def _example(info: Any) -> str:
    unit = extra(info, "unit") if info is not None else ""
    return f"{_unit(info)}, for example {EXAMPLES[unit]}" if unit in EXAMPLES else ""


def _unit(info: Any) -> str:
    unit = extra(info, "unit") if info is not None else ""
    return f" [{unit}]" if unit else ""


def _shown(value: Any) -> str:
    text = repr(value) if isinstance(value, str) else "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _line(error: Mapping[str, Any], place: Location, root: type[Noun], line_of: Mapping[Location, int]) -> int:
    """The line of a location, of the key that is not known there, or of what encloses it; 0 if unknown."""
    if isinstance(error["input"], dict):
        noun, _ = field_at(root, place)
        for key in error["input"]:
            if key not in noun.model_fields and (*place, key) in line_of:
                return line_of[(*place, key)]
    while place and place not in line_of:
        place = place[:-1]
    return line_of.get(place, 0)
