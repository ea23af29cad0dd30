"""JSON out of people's files: one document a line, spread over lines, side by side, or amid log lines.

`documents` gives every JSON object or array that it finds in some lines, in order, and counts what lay
between. What opens and never closes (a line cut short, a log's bracket) costs that line, not the file:
reading starts again at the next line that is a document by itself.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from calibration.formats_packed import MIB

DEEPEST = 200  # levels; the deepest answer that is read has some ten
LONGEST = 64 * MIB  # characters of one document over several lines
RETRIES = 8  # times that lines are read again behind an opening that never closed
STARTS = 40  # places in a line at which a document is looked for
_START = re.compile(r'[{\[](?=\s*(?:["{\[\]}\-\d]|$|\'|null|true|false))')
# a string, closed or not (a pattern that must find the end would look for it again from each quote), or a bracket
_MARK = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)
_DECODER = json.JSONDecoder(strict=False)


@dataclass
class Found:
    """What a file's lines were: documents, lines of noise between, documents that were broken or too long."""

    documents: int = 0
    noise: int = 0
    broken: int = 0
    too_long: int = 0
    cut_short: bool = False


def parse(text: str) -> Any:
    """One JSON document; raises ValueError for whatever is wrong with it, depth and huge numbers too."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def python_literal(text: str) -> Any:
    """A dict as Python prints it (`print(query.lastProgress)`), which is no JSON; ValueError if it is none."""
    if len(text) > MIB:
        raise ValueError("too long")
    try:
        with warnings.catch_warnings(action="ignore"):  # of numbers that run into names
            value = ast.literal_eval(text)
    except (SyntaxError, ValueError, MemoryError, RecursionError, TypeError):
        raise ValueError("neither JSON nor a Python literal") from None
    if not isinstance(value, dict | list):
        raise ValueError("not a document")
    return value


def documents(lines: Iterable[str], found: Found) -> Iterator[tuple[Any, str]]:
    """Each document with the text before it on its line (a log's own time may be there)."""
    reader = _Reader(found)
    for line in lines:
        yield from reader.feed(line)
    yield from reader.end()


class _Reader:
    """Takes lines, gives documents; `held` are the lines of one that is still open."""

    def __init__(self, found: Found) -> None:
        self.held: list[str] = []
        self.found, self.depth, self.length, self.before, self.retries = found, 0, 0, "", 0

    def feed(self, line: str) -> Iterator[tuple[Any, str]]:
        if not self.held:
            yield from self._fresh(line)
            return
        if self._begins_anew(line):
            self.found.broken += 1
            self.held = []
            yield from self._fresh(line)
            return
        yield from self._continued(line)

    def end(self) -> Iterator[tuple[Any, str]]:
        """What is still open was none: the lines after its first are read again, some times at most."""
        while self.held:
            self.found.cut_short = len(self.held) == 1
            yield from self._again()

    def _again(self) -> Iterator[tuple[Any, str]]:
        """The lines behind an opening that never closed, read once more; after some such openings no longer."""
        again, self.held = self.held[1:], []
        self.found.broken += 1
        self.retries += 1
        for line in again if self.retries <= RETRIES else ():
            yield from self.feed(line)

    def _begins_anew(self, line: str) -> bool:
        """Whether a line is a document by itself although one is open whose first line ended in mid-word."""
        first = self.held[0].rstrip()
        if not line.startswith("{") or not first.startswith("{") or first[-1:] in "{[,:":
            return False
        try:
            return isinstance(parse(line), dict)
        except ValueError:
            return False

    def _fresh(self, line: str) -> Iterator[tuple[Any, str]]:
        text = line.strip()
        if not text:
            return
        if text[0] in "{[":
            try:
                value = parse(text)
            except ValueError:
                pass
            else:
                self.found.documents += 1
                yield value, ""
                return
        yield from self._searched(line)

    def _searched(self, line: str) -> Iterator[tuple[Any, str]]:
        at, seen = 0, 0
        for _ in range(STARTS):
            start = _START.search(line, at)
            if start is None:
                break
            end, depth = _closed(line, start.start(), 0)
            if depth > DEEPEST:
                break
            if end is None:
                self.held, self.depth, self.length = [line[start.start() :]], depth, len(line)
                self.before = line[at : start.start()]
                return
            value = _decoded(line[start.start() : end])
            if value is None:
                at = start.start() + 1 if end - start.start() < 200 else end
                continue
            seen += 1
            self.found.documents += 1
            yield value, line[at : start.start()]
            at = end
        if not seen:
            self.found.noise += 1

    def _continued(self, line: str) -> Iterator[tuple[Any, str]]:
        end, depth = _closed(line, 0, self.depth)
        self.length += len(line)
        if depth > DEEPEST or self.length > LONGEST:
            self.found.too_long += self.length > LONGEST
            self.held.append(line)
            yield from self._again()
            return
        if end is None:
            self.held.append(line)
            self.depth = depth
            return
        value = _decoded("\n".join([*self.held, line[:end]]))
        self.held = []
        if value is None:
            self.found.broken += 1
        else:
            self.found.documents += 1
            yield value, self.before
        if line[end:].strip(" ,;\t])'\""):
            yield from self._searched(line[end:])


def _closed(text: str, start: int, depth: int) -> tuple[int | None, int]:
    """Where the document that is open at `start` closes, None if not in this text, and the depth at its end."""
    deepest = depth
    for mark in _MARK.finditer(text, start):
        character = mark[0]
        if character in "{[":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > DEEPEST:
                return None, deepest
        elif character in "}]":
            depth -= 1
            if depth <= 0:
                return mark.end(), 0
    return None, depth


def _decoded(text: str) -> Any:
    """The document, or None where it is none."""
    try:
        value = parse(text)
    except ValueError:
        try:
            value = python_literal(text)
        except ValueError:
            return None
    return value if isinstance(value, dict | list) and value else None
