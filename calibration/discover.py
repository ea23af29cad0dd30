"""Discovery: what a stack is, read from answers of its own interfaces, live or saved, each fact with its source.

A `Fact` says one setting by its path in a scenario (`kafka.brokers`), how it is known and from where. Documents are
told apart by content, as people rename files: `describe` answers of AWS, settings and templates of a search cluster,
broker and topic settings, Spark's environment, `terraform show -json` (`terraform.py`), recordings. Only what is named
here is read: these documents hold secrets in plain text. Load is never in them, so it is asked for and not invented.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from calibration.secrets import redact_text

How = Literal["read", "inferred"]
LARGEST = 64 * 1024**2  # bytes of one document, unpacked: a describe answer is kilobytes
GIB, MIB = 1024**3, 1024**2


@dataclass(frozen=True)
class Fact:
    """One setting: its path in a scenario, its value, whether it was read or follows from what was, and from where.

    A path under `topics.NAME.`, `indices.NAME.` or `groups.` speaks of that topic, index or consumer group.
    """

    path: str
    value: Any
    how: How
    source: str


@dataclass
class Found:
    """All that documents told: facts in their order, and what was there but not used, with the reason."""

    facts: list[Fact] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)

    def take(self, facts: Iterable[Fact]) -> None:
        self.facts.extend(facts)

    def value(self, path: str) -> Fact | None:
        """The fact of a path: what was read before what was inferred, the last said before what came earlier."""
        named = [fact for fact in self.facts if fact.path == path and fact.value is not None]
        return next((f for f in reversed(named) if f.how == "read"), named[-1] if named else None)

    def names(self, group: str) -> list[str]:
        """Names that facts speak of: topics, indices."""
        begins = f"{group}."
        return list(
            dict.fromkeys(f.path[len(begins) :].rpartition(".")[0] for f in self.facts if f.path.startswith(begins))
        )


class DiscoverError(ValueError):
    """A document that cannot be used: says which and why. Holds no secrets."""

    def __init__(self, message: str) -> None:
        super().__init__(redact_text(message))


Reader = Callable[[Any, str], Iterator[Fact]]


def discover_files(paths: Iterable[Path]) -> Found:
    """All settings that these files tell. Raises DiscoverError for one that cannot be opened or is of no known kind."""
    found = Found()
    for path in paths:
        if not read_file(path, found):
            raise DiscoverError(f"{path}: not recognised; no answer of an interface that is known here")
    return found


def read_file(path: Path, found: Found) -> bool:
    """Adds what one file tells; False if nothing here knows any of it. Raises DiscoverError for a broken file."""
    known = False
    for name, document in _documents(path):
        known = discover_document(document, name, found) or known
    return known


def discover_document(document: Any, name: str, found: Found) -> bool:
    """Adds what one document tells; False if nothing here knows it."""
    from calibration import discover_aws, discover_search, terraform
    from calibration.discover_kafka import KAFKA
    from calibration.discover_spark import SPARK

    if isinstance(document, dict) and terraform.is_terraform(document):
        terraform.read(document, name, found)
        return True
    known = False
    for knows, reads in (*discover_aws.AWS, *discover_search.SEARCH, *KAFKA, *SPARK):
        if knows(document):
            found.take(reads(document, name))
            known = True
    return known


def _documents(path: Path) -> Iterator[tuple[str, Any]]:
    """The JSON documents or text of a file; of a recording, each kind's last answer."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DiscoverError(f"{path}: {error.strerror}") from None
    if raw[:2] == b"\x1f\x8b":
        raw = _unzipped(path, raw)
    if len(raw) > LARGEST:
        raise DiscoverError(f"{path}: {len(raw)} bytes; expected at most {LARGEST}")
    text = _text(raw).strip()
    try:
        yield path.name, json.loads(text)
        return
    except ValueError:
        pass
    if lines := _recording(text):
        yield from ((f"{path.name} ({kind})", body) for kind, body in lines)
        return
    if (last := _last_progress(text)) is not None:
        yield path.name, last
        return
    if text.startswith(("{", "[")):
        raise DiscoverError(f"{path}: JSON that does not end or is broken; save the whole answer")
    yield path.name, text


def _unzipped(path: Path, raw: bytes) -> bytes:
    import io

    try:
        with gzip.open(io.BytesIO(raw)) as file:
            return file.read(LARGEST + 1)
    except (OSError, EOFError) as error:
        raise DiscoverError(f"{path}: cannot be unpacked: {error}") from None


def _text(raw: bytes) -> str:
    """UTF-8 or UTF-16, with or without a byte order mark."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    return raw.decode("utf-8-sig", "replace")


def _recording(text: str) -> list[tuple[str, Any]]:
    """The last answer of each source and kind of a recording's lines; empty if these are none."""
    last: dict[tuple[str, str], Any] = {}
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue  # the last line may be torn
        if isinstance(row, dict) and isinstance(row.get("kind"), str) and "body" in row:
            last[str(row.get("source", "")), row["kind"]] = row["body"]
    return [(f"{source} {kind}".strip(), body) for (source, kind), body in last.items()]


def _last_progress(text: str) -> Any:
    """The last StreamingQueryProgress of a file with one a line, amid other lines or not; None if there is none."""
    for line in reversed(text.splitlines()):
        begin = line.find('{"id"')
        try:
            row = json.loads(line[begin:]) if begin >= 0 and '"batchId"' in line else None
        except ValueError:
            continue
        if isinstance(row, Mapping) and "sources" in row:
            return row
    return None


# ---------------------------------------------------------------- small helpers of the readers


def has(*keys: str) -> Callable[[Any], bool]:
    """Whether a document is an object with all of these keys."""
    return lambda document: isinstance(document, Mapping) and all(key in document for key in keys)


def at(document: Any, *steps: str | int) -> Any:
    """A value inside a document, None where the way breaks off.

    >>> at({"a": [{"b": 1}]}, "a", 0, "b"), at({"a": None}, "a", "b")
    (1, None)
    """
    for step in steps:
        if isinstance(step, int):
            if not isinstance(document, list) or step >= len(document):
                return None
        elif not isinstance(document, Mapping) or step not in document:
            return None
        document = document[step]
    return document


def whole(value: Any) -> int | None:
    """A whole number from a number or a text; None from anything else."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return None


def seconds(value: Any, unit: float = 1.0) -> str | None:
    """A time as a scenario writes it, from a number of `unit` seconds or a text such as `30d` or `1s`; None if none.

    >>> seconds(604800000, 1e-3), seconds("30d"), seconds("1s"), seconds(-1), seconds("soon")
    ('7 d', '30 d', '1 s', None, None)
    """
    if isinstance(value, str) and (match := re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*", value)):
        names = {"ms": "ms", "s": "s", "m": "min", "h": "h", "d": "d"}
        return f"{match[1]} {names[match[2]]}"
    try:
        span = float(value) * unit
    except (TypeError, ValueError):
        return None
    if not 0 < span < 1e12:
        return None
    for name, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if span >= size and span % size == 0:
            return f"{span / size:g} {name}"
    return f"{span:g} s"


def flag(value: Any) -> bool | None:
    """True or false from JSON or from a text; None from anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(str(value).strip().lower())
