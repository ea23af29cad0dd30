"""Publishing a forecast: to files by suffix, or to standard output."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from planner import tell
from planner.render import write_files
from planner.scenario import to_yaml

if TYPE_CHECKING:
    from rich.console import Console

    from planner.forecast import Forecast

FORMATS = (".json", ".html", ".csv", ".md", ".txt", ".yaml")


def publish(out: Forecast, outputs: Sequence[Path], wanted: str, console: Console) -> None:
    """Each file in its suffix's format (.yaml: the scenario as resolved); without one, standard output."""
    from planner.forecast_text import as_text, rendered
    from planner.report import as_html

    writers = {
        ".json": lambda: tell.as_json(out),
        ".html": lambda: as_html(out),
        ".csv": lambda: tell.as_csv(out),
        ".md": lambda: tell.as_markdown(out),
        ".txt": lambda: as_text(out),
        ".yaml": lambda: to_yaml(out.scenario),
    }
    write_files(outputs, writers)
    if wanted:
        print(writers[wanted](), end="")
    elif not outputs:
        console.print(rendered(out))
