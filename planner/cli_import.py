"""The command `import`: exported files in, a recording out, and what could not be used."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from calibration.importer import Imported
    from calibration.recording import FileRead, Recording, Series

FORMATS = (".json", ".json.gz")
WIDTH = 108
MILLISECOND = 1e-3  # to which Spark tells times
MOST_LINES = 60  # of one list in the summary; --json and -o hold all


def register(app: typer.Typer) -> None:
    """Hang the command onto the application."""
    from planner.cli import guarded

    app.command("import")(guarded(import_))


def import_(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER|ZIP|FILE...", help="exports of one stack; - reads standard input"),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="write the recording here: .json or .json.gz"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the summary as JSON on standard output")] = False,
    all_: Annotated[bool, typer.Option("--all", help="every file and series in the summary, however many")] = False,
) -> None:
    """Read exported metrics of a running stack: tells by content what each file is, and what nobody told."""
    from calibration.importer import read_all
    from calibration.observations import ObservationError
    from planner.refusal import ScenarioError

    if output is not None and not output.name.endswith(FORMATS):
        raise typer.BadParameter(f"'{output.name}'; expected a name that ends in .json or .json.gz", param_hint="-o")
    try:
        found = read_all(paths)
    except ObservationError as error:
        raise ScenarioError(str(error)) from None
    if output is not None:
        _write(found, output)
    if as_json:
        print(json.dumps(summary(found), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        most = sys.maxsize if all_ else MOST_LINES
        print("\n\n".join(_text(r, most) for r in found.recordings) + _rest(found, most))


def _write(found: Imported, output: Path) -> None:
    from calibration.recording_json import dump
    from planner.version import engine_version

    dump(found.recordings, output, engine_version(), found.machine)
    print(f"wrote {output}; next: floodmark calibrate {output} --name NAME", file=sys.stderr)


# JSON ----------------------------------------------------------------------------------------------


def summary(found: Imported) -> dict[str, Any]:
    """What was read, without the values themselves."""
    from dataclasses import asdict

    return {
        "schema_version": 1,
        "machine": found.machine,
        "recordings": [_one(r) for r in found.recordings],
        "files": [asdict(f) for f in found.files],
        "unused": [asdict(u) for u in found.unused],
    }


def _one(r: Recording) -> dict[str, Any]:
    from dataclasses import asdict

    start, end = r.span()
    return {
        "name": r.name,
        "disturbed": r.disturbed,
        "start": start,
        "end": end,
        "files": [asdict(f) for f in r.files],
        "quantities": [_quantity(s) for s in r.series],
        "queries": [
            {"name": q.name, "id": q.id, "batches": len(q.batches), "starts": len(q.runs), "records": _records(q)}
            | {"resolution_seconds": MILLISECOND}
            for q in r.queries
        ],
        "tasks": len(r.tasks),
        "polls": len(r.polls),
        "arrivals": {name: float(curve.count[-1] - curve.count[0]) for name, curve in r.arrivals.items()},
        "stated": [asdict(s) for s in r.stated],
        "events": [asdict(e) for e in r.events],
        "cuts": [asdict(c) for c in r.cuts],
        "pieces": [{**asdict(p), "seconds": p.seconds} for p in r.pieces()],
        "untold": [asdict(u) for u in r.untold],
        "unused": [asdict(u) for u in r.unused],
        "notes": list(r.notes),
    }


def _records(query: Any) -> int:
    return sum(b.records for b in query.batches)


def _quantity(s: Series) -> dict[str, Any]:
    value = s.counter().unwrapped() if s.kind == "counter" else s.value
    resolution = s.resolution
    return {
        "system": s.system,
        "entity": s.entity,
        "quantity": s.quantity,
        "labels": dict(s.labels),
        "unit": s.unit,
        "kind": s.kind,
        "format": s.format,
        "samples": len(s.t),
        "start": float(s.t[0]),
        "end": float(s.t[-1]),
        "resolution_seconds": resolution if resolution == resolution else None,
        "increase": float(value[-1] - value[0]) if s.kind == "counter" else None,
        "mean": float(value.mean()) if s.kind != "counter" else None,
        "gaps": s.gaps(),
        "resets": s.resets().tolist(),
    }


# text ----------------------------------------------------------------------------------------------


def _text(r: Recording, most: int) -> str:
    from calibration.finish import clock

    start, end = r.span()
    said = " (disturbed: other work shared the machine)" if r.disturbed else ""
    parts = [f"{r.name}{said}: {clock(start)} to {clock(end)}, {_length(end - start)}"]
    parts.append(_block("Files", [_file(f) for f in r.files], most))
    parts.append(_block("Quantities", _quantities(r), most))
    parts.append(_block("Stated", [f"{s.key} = {s.value}" for s in r.stated], most))
    parts.append(_block("Events", [_event(e) for e in r.events], most))
    parts.append(_block("Cut", [_cut(c) for c in r.cuts], most))
    pieces = [f"{clock(p.start)} +{_length(p.seconds)}, after {p.opened_by}" for p in r.pieces()]
    parts.append(_block("Pieces between cuts", pieces if r.cuts else [], most))
    parts.append(_block("Gaps and restarts", _breaks(r), most))
    parts.append(
        _block("Not told", [f"{u.system} {u.quantity}: {u.reason}{_remedy(u.remedy)}" for u in r.untold], most)
    )
    parts.append(_block("Not used", [f"{u.file}: {u.reason}" for u in r.unused], most))
    parts.append(_block("Notes", list(r.notes), most))
    return "\n".join(filter(None, parts))


def _rest(found: Imported, most: int) -> str:
    told = [f"{f.name}: {f.format}" for f in found.files]
    text = _block("Beside the recordings", told, most)
    left = _block("Not used", [f"{u.file}: {u.reason}" for u in found.unused], most)
    return "".join(f"\n\n{part}" for part in (text, left) if part)


def _block(title: str, lines: Iterable[str], most: int) -> str:
    told = list(lines)
    if not told:
        return ""
    more = [f"  ... and {len(told) - most} more (--all)"] if len(told) > most else []
    return "\n".join([title, *(f"  {line}" for line in told[:most]), *more])


def _remedy(text: str) -> str:
    return f" (would: {text})" if text else ""


def _file(f: FileRead) -> str:
    from calibration.finish import clock

    when = f", {clock(f.start)} +{_length(f.end - f.start)}" if f.start is not None and f.end is not None else ""
    remarks = f" [{'; '.join(f.remarks)}]" if f.remarks else ""
    return f"{f.name}: {f.format}, {f.samples:,} samples{when}{remarks}"


def _event(e: Any) -> str:
    from calibration.finish import clock

    detail = ", ".join(f"{k} {v}" for k, v in e.detail.items() if v not in ("", None))
    return f"{clock(e.t)} {e.kind}" + (f": {detail}" if detail else "")


def _cut(c: Any) -> str:
    from calibration.finish import clock

    return f"{clock(c.t)}" + (f" to {clock(c.end)}" if c.end is not None else "") + f" {c.system}: {c.why}"


def _length(seconds: float) -> str:
    """A length as people say it.

    >>> _length(42.4), _length(5400), _length(200000)
    ('42 s', '1.5 h', '2.3 d')
    """
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size or (unit == "h" and seconds >= size):
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _quantities(r: Recording) -> list[str]:
    """By system, source and spacing what was told, each with what it came to."""
    groups: dict[tuple[str, str, str], dict[str, list[Series]]] = {}
    for s in r.series:
        groups.setdefault((s.system, s.format, _every(s)), {}).setdefault(s.quantity, []).append(s)
    lines: list[str] = []
    for (system, source, every), quantities in sorted(groups.items()):
        entities = sorted({s.entity for each in quantities.values() for s in each})
        whose = ", ".join(entities[:6]) + (f" and {len(entities) - 6} more" if len(entities) > 6 else "")
        lines.append(f"{system}: {whose} ({source}, {every})")
        told = "; ".join(f"{name} {_came_to(each)}" for name, each in sorted(quantities.items()))
        lines += textwrap.wrap(told, WIDTH, initial_indent="    ", subsequent_indent="    ", break_long_words=False)
    return lines + _others(r)


def _others(r: Recording) -> list[str]:
    """What is no series: batches, tasks, looks at the index, arrivals."""
    lines = []
    for q in r.queries:
        restarts = f", {len(q.runs)} starts" if len(q.runs) > 1 else ""
        batches = f"{len(q.batches)} batches, {_records(q):,} records{restarts}"
        lines.append(f"spark query {q.name or q.id}: {batches}, to the ms")
    if r.tasks:
        lines.append(f"spark tasks: {len(r.tasks):,}, to the ms")
    if r.polls:
        spacing = sorted(b.answered - a.answered for a, b in zip(r.polls, r.polls[1:], strict=False))
        every = f", every {spacing[len(spacing) // 2]:.2f} s" if spacing else ""
        lines.append(f"visible sequences: {len(r.polls):,} looks{every}")
    for name, curve in r.arrivals.items():
        count, seconds = curve.count[-1] - curve.count[0], float(curve.t[-1] - curve.t[0])
        lines.append(f"arrivals {name}: {count:,.0f} records over {_length(seconds)}")
    return lines


def _every(s: Series) -> str:
    """The spacing of samples, rounded so that neighbours agree."""
    if s.period is not None:
        return f"means of {s.period:g} s"
    return f"every {s.resolution:.2g} s" if s.resolution == s.resolution else "one sample"


def _came_to(series: list[Series]) -> str:
    """Of running totals the growth, of values the mean, over those without labels where there are such."""
    bare = [s for s in series if not s.labels] or series
    unit = "" if bare[0].unit == "1" else f" {bare[0].unit}"
    if bare[0].kind == "counter":
        return f"+{sum(float(s.counter().unwrapped()[-1] - s.value[0]) for s in bare):,.6g}{unit}"
    means = [float(s.value.mean()) for s in bare]
    low, high = f"{min(means):,.4g}", f"{max(means):,.4g}"
    return f"~{low}{unit}" if low == high else f"~{low} to {high}{unit}"


def _breaks(r: Recording) -> list[str]:
    """Gaps and counter resets, once for all quantities of an entity that share them."""
    from calibration.finish import clock

    found: dict[tuple[str, str, str], int] = {}
    for s in r.series:
        for a, b in s.gaps():
            what = f"no samples from {clock(a)} for {_length(b - a)}"
            found[s.system, s.entity, what] = found.get((s.system, s.entity, what), 0) + 1
        for t in s.resets():
            what = f"counters restart before {clock(float(t))}"
            found[s.system, s.entity, what] = found.get((s.system, s.entity, what), 0) + 1
    return [f"{system} {entity}: {what} ({n} quantities)" for (system, entity, what), n in found.items()]
