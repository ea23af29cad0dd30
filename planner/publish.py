"""Publishing a forecast: to files by suffix, or to standard output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from planner import tell
from planner.render import write_files
from planner.scenario import to_yaml

if TYPE_CHECKING:
    from rich.console import Console

    from planner.forecast import Forecast

FORMATS = (".json", ".html", ".csv", ".md", ".txt", ".yaml")


def publish(out: Forecast, outputs: Sequence[Path], wanted: str, console: Callable[[], Console]) -> None:
    """Each file in its suffix's format (.yaml: the scenario as resolved); without one, standard output."""
    writers: dict[str, Callable[[], str]] = {
        ".json": lambda: tell.as_json(out),
        ".html": lambda: _as_html(out),
        ".csv": lambda: tell.as_csv(out),
        ".md": lambda: tell.as_markdown(out),
        ".txt": out.as_text,
        ".yaml": lambda: to_yaml(out.scenario),
    }
    write_files(outputs, writers)
    if wanted:
        print(writers[wanted](), end="")
    elif not outputs:
        from planner.forecast_text import rendered

        console().print(rendered(out))


def _as_html(out: Forecast) -> str:
    from planner.report import as_html

    return as_html(out)
