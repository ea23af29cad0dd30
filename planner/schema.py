"""JSON Schema of a scenario, for editors: units, bounds, meanings, and quantities as text.

Pydantic writes the schema of the numbers kept inside; a person writes `8 GiB`. So each quantity also
takes text of the right shape, and an editor that knows the schema shows the meaning, the unit and
the foreign setting's name while the file is typed. Bounds of a text are left to `floodmark check`.
"""

from __future__ import annotations

from typing import Any

from models.stack import Scenario
from planner.fields import EXAMPLES

SCENARIO_SCHEMA_ID = "urn:floodmark:scenario:1"
_NUMBER = r"^\s*[-+]?(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?\s*"
PATTERNS = {
    "bytes": _NUMBER + r"([bB]|bytes?|[kKmMgGtT]([iI]?[bB])?)?\s*$",
    "s": _NUMBER + r"(us|µs|ms|s|sec|seconds?|m|min|minutes?|h|hours?|d|days?|w|weeks?|months?|years?)?\s*$",
    "1/s": _NUMBER + r"(k|K|m|M|g|G|million|billion)?\s*[a-z]*\s*(/\s*[a-z]+)?\s*$",
    "bytes/s": _NUMBER + r"([bB]|[kKmMgGtT]([iI]?[bB])?)?\s*(/\s*[a-z]+)?\s*$",
    "count": _NUMBER + r"(k|K|m|M|g|G|million|billion)?\s*$",
    "1": _NUMBER + r"%?\s*$",
}
BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
WORDS = {  # texts that a field takes beside a quantity; the parsers in models/ know them
    "trigger": ["as fast as possible", "asap", "available now"],
    "arrivals": ["deterministic", "poisson"],
    "watermark_delay": ["never"],
}


def scenario_schema() -> dict[str, Any]:
    """The schema of a scenario file (JSON Schema 2020-12)."""
    schema = Scenario.model_json_schema()
    for noun in [schema, *schema.get("$defs", {}).values()]:
        for name, prop in noun.get("properties", {}).items():
            _speak(name, prop)
    faults = schema["properties"]["faults"]
    faults["items"] = {"anyOf": [faults["items"], {"type": "string", "examples": ["broker-lost 1 at 5 min for 2 min"]}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": SCENARIO_SCHEMA_ID} | schema


def _speak(name: str, prop: dict[str, Any]) -> None:
    """Let a quantity be text, and tell unit, foreign name and source where an editor shows them."""
    unit = prop.pop("unit", "")
    foreign, source = prop.pop("foreign", ""), prop.pop("source", "")
    versions = prop.pop("by_version", {})
    prop.pop("advanced", None)
    notes = [f"[{unit}]" if unit else "", f"foreign name: {foreign}" if foreign else ""]
    notes += ["defaults: " + ", ".join(f"{v} {d}" for v, d in versions.items()) if versions else ""]
    notes += [f"source: {source}" if source else ""]
    prop["description"] = "; ".join(part for part in [prop.get("description", ""), *notes] if part)
    if unit:
        prop["x-unit"] = unit
    for shape in [prop, *prop.get("anyOf", [])]:
        _take_text(name, shape, unit)


def _take_text(name: str, shape: dict[str, Any], unit: str) -> None:
    for bound, keyword in BOUNDS.items():  # pydantic leaves these as they are inside an optional field
        if bound in shape:
            shape[keyword] = shape.pop(bound)
    if shape.get("type") in ("number", "integer") and unit in PATTERNS:
        shape["type"] = [shape["type"], "string"]
        pattern = PATTERNS[unit]
        shape["pattern"] = f"({pattern})|(^({'|'.join(WORDS[name])})$)" if name in WORDS else pattern
        shape.setdefault("examples", [EXAMPLES[unit].split(" or ")[-1].strip("'")])
    if isinstance(shape.get("items"), dict):
        _take_text(name, shape["items"], unit)
    if isinstance(shape.get("additionalProperties"), dict):
        _take_text(name, shape["additionalProperties"], unit)
    for part in shape.get("prefixItems", []):
        part["type"] = ["number", "string"]
