"""A watch told: on a terminal and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from planner.backtest_tell import percent, table
from planner.watch import Watch

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def print_watch(out: Watch, console: Console) -> None:
    """On a terminal."""
    console.print(rendered(out))


def rendered(out: Watch) -> RenderableType:
    """Quantities, laws, and when to calibrate again."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    against = f"against {out.coefficients.name} ({out.coefficients.as_of})"
    parts: list[Any] = [Text(f"{', '.join(out.runs)} ({out.day}) {against}")]
    for head, rows in ((QUANTITY_HEAD, quantity_rows(out)), (LAW_HEAD, law_rows(out))):
        shown = Table(box=None, pad_edge=False)
        for n, name in enumerate(head):
            shown.add_column(name, justify="right" if 0 < n < len(head) - 1 else "left")
        for row in rows:
            shown.add_row(*row)
        parts += [Text(), shown]
    parts += [Text(f"not watched: {law}: {why}") for law, why in out.silent.items()]
    return Group(*parts, Text(), Text(out.advice()))


QUANTITY_HEAD = ("quantity", "forecast over measured", "outside the 90 % interval", "")
LAW_HEAD = ("law", "measured over said", "90 %", "observations", "")


def quantity_rows(out: Watch) -> list[list[str]]:
    return [
        [q.quantity, percent(q.error), f"{q.outside} of {q.parts}", "DRIFTED" if q.drifted else ""]
        for q in out.quantities
    ]


def law_rows(out: Watch) -> list[list[str]]:
    return [
        [d.law, f"× {d.ratio:.2f}", f"{d.low:.2f} – {d.high:.2f}", str(d.rows),
         f"no longer true: {', '.join(d.coefficients)}" if d.beyond(out.tolerance) else ""]
        for d in out.laws
    ]  # fmt: skip


def as_markdown(out: Watch) -> str:
    """The same as a page."""
    head = f"# {', '.join(out.runs)} against {out.coefficients.name}"
    silent = [f"Not watched: {law}: {why}" for law, why in out.silent.items()]
    parts = [head, f"**{out.advice()}**", table(QUANTITY_HEAD, quantity_rows(out)), table(LAW_HEAD, law_rows(out))]
    return "\n\n".join([*parts, *silent]) + "\n"
