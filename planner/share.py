"""Scenarios that travel in a link: small, checked, and unable to reach a file of whoever opens them.

A link carries what differs from the defaults as compressed JSON. A scenario that comes from a link, an upload or an
editor in a page is *foreign*: it may not name files (recorded series, coefficient sets, price books), because they
would be read on the machine that serves the page.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

from models.stack import Scenario
from planner import yaml_text
from planner.fields import Location, path_of
from planner.refusal import ScenarioError
from planner.scenario import validated

MOST_CHARACTERS = 6000  # of a link's scenario: browsers and proxies take addresses of 8 kB
MOST_BYTES = 256 * 1024  # of it once unpacked: a few kB that unpack to more are an attack
WORDS = re.compile(r"^[A-Za-z0-9_-]+$")  # base64 for addresses, the padding left off


def to_query(scenario: Scenario) -> str:
    """The scenario as the text of a link. Raises ScenarioError for one that is too long, or that names files."""
    data = scenario.model_dump(mode="json", exclude_defaults=True)
    if files_named(data):
        raise ScenarioError("a link cannot carry a coefficient file or a price book; save the scenario as YAML instead")
    packed = zlib.compress(json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode(), 9)
    text = base64.urlsafe_b64encode(packed).decode().rstrip("=")
    if len(text) > MOST_CHARACTERS:
        raise ScenarioError(
            f"{scenario.name}: {len(text):,} characters in a link; expected at most {MOST_CHARACTERS:,}: "
            "save it as YAML instead"
        )
    return text


def from_query(text: str) -> Scenario:
    """The scenario in a link. Raises ScenarioError for one that is damaged, too long, wrong, or names files."""
    if len(text) > MOST_CHARACTERS:
        raise ScenarioError(f"the link: {len(text):,} characters; expected at most {MOST_CHARACTERS:,}")
    return foreign(_unpacked(text))


def _unpacked(text: str) -> Any:
    if not WORDS.match(text):
        raise ScenarioError("the link is damaged: its scenario holds characters that no link of ours has")
    try:
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        unpacker = zlib.decompressobj()
        raw = unpacker.decompress(packed, MOST_BYTES)
        if unpacker.unconsumed_tail:
            raise ScenarioError(f"the link unpacks to more than {MOST_BYTES:,} bytes")
        if not unpacker.eof:
            raise ScenarioError("the link is damaged: its end is missing")
        return json.loads(raw.decode("utf-8"))
    except (binascii.Error, zlib.error, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ScenarioError(f"the link is damaged: {type(error).__name__}") from None


def foreign_yaml(text: str, name: str = "scenario", own_files: Mapping[str, str] | None = None) -> Scenario:
    """The scenario in a YAML text that someone else wrote. `own_files` are names that it may have after all, each with
    the path that it stands for."""
    data, lines = yaml_text.parse(text, name)
    if data is None:
        raise ScenarioError(f"{name} is empty; start from an example")
    if isinstance(data, dict):
        data.pop("uncertain", None)  # laws of unknowns, which `recommend` reads
    return foreign(data, lines, own_files)


def foreign(
    data: Any, lines: Mapping[Location, int] | None = None, own_files: Mapping[str, str] | None = None
) -> Scenario:
    """The scenario that plain data describes, if it names no file but those given."""
    own = own_files or {}
    if wrong := [line for name, line in files_named(data, lines) if name not in own]:
        raise ScenarioError(wrong)
    if isinstance(data, dict) and isinstance(data.get("coefficients"), str):
        data = data | {"coefficients": own.get(data["coefficients"], data["coefficients"])}
    return validated(data, lines=lines)


def portable(scenario: Scenario, own_files: Mapping[str, str]) -> Scenario:
    """The scenario as it is saved for another machine: a set that was brought here has its own name again."""
    said = {path: name for name, path in own_files.items() if name != path}
    if scenario.coefficients not in said:
        return scenario
    return scenario.model_copy(update={"coefficients": said[scenario.coefficients]})


def files_named(data: Any, lines: Mapping[Location, int] | None = None) -> list[tuple[str, str]]:
    """Each file that the data names, and a line that says what would do instead."""
    if not isinstance(data, dict):
        return []
    why = "a page reads no files of its machine; start it with `floodmark dashboard FILE`, or"
    return [
        (name, f"{path_of(at)} = '{name}'; {why} {remedy}" + (f" (line {lines[at]})" if lines and at in lines else ""))
        for at, name, remedy in _named(data)
    ]


def _named(data: dict[str, Any]) -> Iterator[tuple[Location, str, str]]:
    flows, money = data.get("flows"), data.get("money")
    for k, flow in enumerate(flows if isinstance(flows, list) else []):
        load = flow.get("workload") if isinstance(flow, dict) else None
        if isinstance(load, dict) and load.get("recorded") is not None:
            yield ("flows", k, "workload", "recorded"), str(load["recorded"]), "give the series as steps"
    if str(data.get("coefficients", "")).endswith(".toml"):
        yield ("coefficients",), str(data["coefficients"]), "open the set as a file, or name a packaged one"
    if isinstance(money, dict) and money.get("price_book", "packaged") != "packaged":
        yield ("money", "price_book"), str(money["price_book"]), "leave it at 'packaged'"
