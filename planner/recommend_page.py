"""Titled paragraphs as text, Markdown, one HTML page, or for a terminal; one without a title is what to know first."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from planner.look import STYLES

Paragraphs = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Page:
    """A title and its paragraphs."""

    title: str
    paragraphs: Paragraphs

    def as_text(self, width: int = 110) -> str:
        """As on a terminal, without colours."""
        told = [self.title, ""]
        for head, body in self.paragraphs:
            if head:
                told.append(head)
            for line in body:
                told += textwrap.wrap(line, width, initial_indent="  ", subsequent_indent="    ") if head else [line]
            told.append("")
        return "\n".join(told)

    def as_markdown(self) -> str:
        told = [f"# {self.title}", ""]
        for head, body in self.paragraphs:
            told += [f"## {head}", ""] if head else []
            told += [f"- {line}" for line in body] if head else [f"**{line}**" for line in body]
            told.append("")
        return "\n".join(told)

    def as_html(self) -> str:
        """One page that opens offline."""
        from planner import look_page

        body = [f"<h1>{html.escape(self.title)}</h1>"]
        for head, told in self.paragraphs:
            body.append(f"<h2>{html.escape(head)}</h2>" if head else "")
            body.append("<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in told) + "</ul>")
        return look_page.page(self.title, body)

    def rendered(self) -> Any:
        """For a terminal."""
        from rich.console import Group
        from rich.padding import Padding
        from rich.text import Text

        parts: list[Any] = [Text(self.title, style="bold")]
        for head, body in self.paragraphs:
            parts.append(Text(""))
            if head:
                parts.append(Text(head, style="bold"))
            parts += [
                Padding(Text(line), (0, 0, 0, 2)) if head else Text(line, style=STYLES["unsure"]) for line in body
            ]
        return Group(*parts)
