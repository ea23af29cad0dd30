"""Claims told: on a terminal, as JSON, Markdown or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.stack import Scenario
from planner.claims import ARTICLE, Claim
from planner.look import STYLES
from planner.render import write_files

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {"true": STYLES["holds"], "false": STYLES["broken"], "it depends": STYLES["unsure"]}


def write_claims(
    scenario: Scenario, claims: Sequence[Claim], console: Console, as_json: bool, outputs: Sequence[Path]
) -> None:
    """To the files asked for, each in its suffix's format, or else to standard output."""
    writers: dict[str, Callable[[], str]] = {
        ".json": lambda: as_text(scenario, claims),
        ".md": lambda: as_markdown(claims),
        ".csv": lambda: as_csv(claims),
    }
    write_files(outputs, writers)
    if outputs:
        return
    if as_json:
        print(writers[".json"](), end="")
    else:
        print_claims(scenario, claims, console)


def print_claims(scenario: Scenario, claims: Sequence[Claim], console: Console) -> None:
    """One paragraph a claim: what is said, whether it is so, this configuration's number, why."""
    from rich.padding import Padding
    from rich.text import Text

    for claim in claims:
        console.print(Text.assemble((f"{claim.verdict}  ", COLOURS[claim.verdict]), (f"“{claim.said}”", "bold")))
        body = Text.assemble((f"{claim.about}: ", "dim"), claim.number)
        body.append(f"\n{claim.why}")
        body.append(f"   [{claim.source}]", style="dim")
        console.print(Padding(body, (0, 0, 0, 2)))
    console.print(f"{scenario.name}: {counted(claims)}")


def counted(claims: Sequence[Claim]) -> str:
    """How many claims have each answer."""
    verdicts = [claim.verdict for claim in claims]
    told = ", ".join(f"{verdicts.count(v)} {v}" for v in ("true", "false", "it depends"))
    return f"{len(claims)} claims of {ARTICLE}: {told}"


def as_text(scenario: Scenario, claims: Sequence[Claim]) -> str:
    """JSON."""
    told = {"schema_version": 1, "scenario": scenario.name, "claims": [claim.as_dict() for claim in claims]}
    return json.dumps(told, indent=2, ensure_ascii=False) + "\n"


def as_markdown(claims: Sequence[Claim]) -> str:
    """A table."""
    rows = ["| claim | for you | number | why | source |", "|---|---|---|---|---|"]
    for c in claims:
        cells = (f"“{c.said}” ({c.about})", c.verdict, c.number, c.why, c.source)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def as_csv(claims: Sequence[Claim]) -> str:
    """One row a claim."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Claim.__dataclass_fields__)
    writer.writerows(claim.as_dict().values() for claim in claims)
    return out.getvalue()
