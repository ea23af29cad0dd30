"""The glossary: every field of a scenario, written from its own metadata.

`floodmark glossary > docs/glossary.md` makes the page; a test holds it current.
"""

from __future__ import annotations

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from models.coefficients import LAWS
from models.noun import Noun
from models.stack import Scenario
from models.units import show
from planner.fields import bounds, choices, extra, noun_in, nouns

HEAD = """# Glossary

Every field of a scenario: its unit, default, bounds and meaning, and the setting of Kafka, Spark or Elasticsearch
it stands for. Written by `floodmark glossary` from the fields themselves; do not edit. *copies* counts all copies,
the leader or primary included. *latency* is from the creation of an event to the first search that can return it.
"""


def glossary_text() -> str:
    """The whole page, in Markdown."""
    return "\n".join([HEAD, *(_section(noun) for noun in nouns(Scenario)), _coefficients()])


def _section(noun: type[Noun]) -> str:
    first = (noun.__doc__ or "").strip().splitlines()[0]
    rows = [_row(name, info) for name, info in noun.model_fields.items()]
    refused = [f"- `{key}`: {why}" for key, why in noun.not_modelled.items()]
    lines = [
        f"## {noun.__name__}",
        "",
        first,
        "",
        "| field | unit | default | allowed | meaning |",
        "|---|---|---|---|---|",
    ]
    lines += [*rows, ""]
    if refused:
        lines += ["Not modelled, and refused:", "", *refused, ""]
    return "\n".join(lines)


def _row(name: str, info: FieldInfo) -> str:
    inner = noun_in(info.annotation)
    link = f"[{inner.__name__}](#{inner.__name__.lower()})" if inner else ""
    allowed = link or ", ".join(choices(info.annotation)) or bounds(info)
    foreign, source = extra(info, "foreign"), extra(info, "source")
    data = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    versions = data.get("by_version") or {}
    notes = [info.description or "", f"`{foreign}`" if foreign else ""]
    if isinstance(versions, dict) and versions:
        notes.append("foreign default " + ", ".join(f"{value} ({version})" for version, value in versions.items()))
    notes.append(f"source {source}" if source else "")
    text = "; ".join(note for note in notes if note).replace("|", "\\|")
    return f"| `{name}` | {extra(info, 'unit')} | {_default(info)} | {allowed} | {text} |"


def _default(info: FieldInfo) -> str:
    value = info.default
    if value is PydanticUndefined:
        return "**required**"
    if isinstance(value, Noun):
        return "its defaults"
    if value is None or value in ((), "", {}):
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return show(value, extra(info, "unit"))
    return str(value)


def _coefficients() -> str:
    rows = [f"| `{name}` | {unit} | {meaning} |" for name, (unit, meaning) in LAWS.items()]
    return "\n".join(
        [
            "## Coefficients",
            "",
            "What one unit of work costs; values with sources are in `models/data/*.toml`.",
            "",
            "| coefficient | unit | meaning |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )
