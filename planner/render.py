"""Rendering of findings: for a terminal, as JSON, Markdown or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from models.stack import Scenario
from planner import look
from planner.export_cells import inert
from planner.findings import Finding
from planner.refusal import ScenarioError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

COLOURS = {severity: look.STYLES[severity] for severity in ("critical", "warning", "info")}


def write_findings(
    scenario: Scenario, findings: Sequence[Finding], console: Console, as_json: bool, outputs: Sequence[Path]
) -> None:
    """To the files asked for, each in its suffix's format, or else to standard output."""
    writers: dict[str, Callable[[], str]] = {
        ".json": lambda: json.dumps(_plain(scenario, findings), indent=2, ensure_ascii=False) + "\n",
        ".md": lambda: findings_markdown(findings),
        ".csv": lambda: findings_csv(findings),
    }
    write_files(outputs, writers)
    if outputs:
        return
    if as_json:
        print(writers[".json"](), end="")
    else:
        print_findings(findings, console)
        console.print(f"{scenario.name}: {_counted(findings)}")


def write_files(outputs: Sequence[Path], writers: Mapping[str, Callable[[], str]]) -> None:
    """Each file in the format of its suffix. Raises ScenarioError for a suffix that has none, before writing any."""
    refuse_suffixes(outputs, writers)
    for path in outputs:
        path.write_text(writers[path.suffix.lower()](), encoding="utf-8", newline="\n")


def refuse_suffixes(outputs: Sequence[Path], formats: Collection[str]) -> None:
    """Raises ScenarioError for a file whose suffix is no format, or whose folder is not there."""
    for path in outputs:
        if path.suffix.lower() not in formats:
            raise ScenarioError(f"--output {path}: no format for '{path.suffix}'; expected {', '.join(formats)}")
        if not path.absolute().parent.is_dir():
            raise ScenarioError(f"--output {path}: no folder '{path.parent}'")


def print_findings(findings: Sequence[Finding], console: Console) -> None:
    """One paragraph a finding: what, where, how it is known, what to do."""
    for finding in findings:
        for part in finding_lines(finding):
            console.print(part)


def finding_lines(finding: Finding) -> list[RenderableType]:
    """A finding as rich renders it: a headline, and an indented paragraph."""
    from rich.padding import Padding
    from rich.text import Text

    head = Text.assemble((finding.severity, COLOURS[finding.severity]), "  ", (finding.message, "bold"))
    body = Text(f"{finding.where} ({finding.code}): {finding.evidence}")
    body.append(f"\n→ {finding.remedy}", style=look.STYLES["remedy"])
    body.append(f"   [{finding.source}]" if finding.source else "", style="dim")
    return [head, Padding(body, (0, 0, 0, 2))]


def plain_text(part: RenderableType, width: int = 110) -> str:
    """What rich would print on a terminal of that width, without colours."""
    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(part)
    return out.getvalue()


def _counted(findings: Sequence[Finding]) -> str:
    if not findings:
        return "nothing found"
    kinds = [f.severity for f in findings]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in COLOURS if kind in kinds)


def _plain(scenario: Scenario, findings: Sequence[Finding]) -> dict[str, object]:
    return {"schema_version": 1, "scenario": scenario.name, "findings": [f.as_dict() for f in findings]}


def findings_markdown(findings: Sequence[Finding]) -> str:
    """A Markdown table, worst first."""
    rows = ["| severity | what | where | evidence | remedy | source |", "|---|---|---|---|---|---|"]
    for f in findings:
        cells = (f.severity, f.message, f"`{f.where}`", f.evidence, f.remedy, f.source)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def findings_csv(findings: Sequence[Finding]) -> str:
    """One row a finding."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(Finding.__dataclass_fields__)
    writer.writerows([inert(str(value)) for value in f.as_dict().values()] for f in findings)
    return out.getvalue()
