"""Import: exported files in, recordings out. What each file is, its content tells, not its name.

Folders that hold a laboratory's experiment.json are recordings of their own; all other files given
together are of one stack. Nothing is read whole: files go by line by line. What cannot be used is
listed with its reason, and one bad file never stops the others.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

from calibration import read_cloudwatch, read_csv, read_kafka, read_lab, read_prometheus, read_search, read_spark
from calibration.finish import recording
from calibration.formats import Limits, Member, holds_several, members, open_text
from calibration.formats_json import Found, documents
from calibration.formats_kinds import EXPOSITION, Sample, epoch, samples
from calibration.formats_packed import Unusable
from calibration.gather import File, Gathering, number
from calibration.observations import ObservationError
from calibration.recording import FileRead, Recording, Unused

Reader = Callable[[Sample, Gathering], None]
READERS: dict[str, Reader] = {
    **read_search.READERS,
    **read_kafka.READERS,
    **read_spark.READERS,
    **read_prometheus.READERS,
    **read_cloudwatch.READERS,
    **read_lab.READERS,
}
BARREN = 256 << 20  # characters
HEAD = 64  # lines that tell what a text is
_WHEN = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?|\b1\d{9}(?:\.\d+|\d{3})?\b")


@dataclass(frozen=True)
class Imported:
    """All recordings of an import, and what belongs to none of them."""

    recordings: tuple[Recording, ...]
    files: tuple[FileRead, ...] = ()
    unused: tuple[Unused, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict)


def import_paths(paths: Iterable[Path | str], limits: Limits | None = None) -> list[Recording]:
    """The recordings in these files, folders and archives; refuses if there is nothing usable in them."""
    return list(read_all(paths, limits).recordings)


def read_all(paths: Iterable[Path | str], limits: Limits | None = None) -> Imported:
    """The same, with the files that belong to no recording."""
    limits, given = limits or Limits(), [Path(p) for p in paths]
    groups: dict[tuple[int, str], Gathering] = {}
    for n, path in enumerate(given):
        runs = _runs(path, limits)
        for member in members([path], limits):
            run = next((run for run in runs if _inside(member.name, run)), None)
            place = (n, run) if run is not None else (-1, "")
            name = _called(given[0]) if run is None else run.rpartition("/")[2]
            read_member(member, groups.setdefault(place, Gathering(name)), limits)
    return _imported(groups)


def _called(path: Path) -> str:
    """What a recording is called that nobody named: its folder or file, without what packs it."""
    name = "standard input" if str(path) == "-" else path.name or path.resolve().name
    return name if path.is_dir() else File(name).entity


def _runs(path: Path, limits: Limits) -> list[str]:
    """Folders of single runs, deepest first: those with an experiment.json."""
    listed = members([path], limits) if holds_several(path) else ()
    found = {member.folder for member in listed if member.base == "experiment.json"}
    return sorted(found, key=len, reverse=True)


def _inside(name: str, folder: str) -> bool:
    return folder == "." or name.startswith(f"{folder}/")


def _imported(groups: dict[tuple[int, str], Gathering]) -> Imported:
    made, files, unused, machine = [], [], [], {}  # type: ignore[var-annotated]
    for into in groups.values():
        machine |= into.memory.get("machine", {})
        made += into.memory.get("imported", [])
        one = recording(into)
        if one.series or one.queries or one.polls or one.arrivals or one.tasks:
            made.append(one)
        else:
            files += one.files
            unused += one.unused
    if not made:
        why = "; ".join(f"{u.file}: {u.reason}" for u in unused[:8]) or "no file in it"
        more = f"; and {len(unused) - 8} more" if len(unused) > 8 else ""
        raise ObservationError(f"nothing here could be read as a recording: {why}{more}")
    return Imported(tuple(made), tuple(files), tuple(unused), machine)


def read_member(member: Member, into: Gathering, limits: Limits) -> None:
    """One file, whatever it is."""
    file = into.begin(member.name)
    remarks: list[str] = []
    try:
        lines = open_text(member, remarks, limits)
        head = list(islice(lines, HEAD))
        _styled(head, chain(head, lines), member, into)
    except Unusable as error:
        into.skip(str(error))
    except OSError as error:
        into.skip(f"cannot be read: {error.strerror or type(error).__name__}")
    for remark in remarks:
        file.remark(remark)
    if not file.samples and not file.skipped:
        into.skip("none of the formats that are read")


def _styled(head: list[str], lines: Iterator[str], member: Member, into: Gathering) -> None:
    """By what the first lines look like: a table, an exposition text, or JSON in some wrapping."""
    told = [line.strip() for line in head if line.strip()]
    if not told:
        into.skip("empty")
        return
    json_like = sum(line[0] in "{[" for line in told)
    points = sum(bool(EXPOSITION.match(line)) for line in told)
    if points >= 2 and points > json_like:
        _exposition(lines, into)
    elif not json_like and read_csv.looks_like(told):
        read_csv.read(lines, into)
    elif "prirep" in told[0] and not json_like:
        into.skip("a table as _cat prints it; ask with ?format=json&bytes=b")
    elif member.base.endswith(".toml"):
        _machine(lines, into)
    else:
        _json(lines, into)


def _json(lines: Iterator[str], into: Gathering) -> None:
    found, unknown = Found(), 0
    for value, before in documents(_while_useful(lines, found), found):
        used = value in ([], {})
        _clock(value, into)
        if used:
            into.file.saw("an empty list", None)
        for sample in samples(value):
            used = True
            _take(_timed(sample, before), into)
        unknown += not used
    file = into.file
    if unknown:
        into.file.skipped["JSON of none of the shapes that are read"] += unknown
    if found.noise and found.documents:
        file.remark(f"{found.noise} line(s) around the JSON are passed over")
    if found.cut_short:
        file.remark("the last document is cut short and left out")
    broken = found.broken - found.cut_short
    if broken > 0:
        file.remark(f"{broken} document(s) are broken or nested too deeply, and left out")
    if found.too_long:
        into.skip("documents longer than 64 MiB; export a shorter time")
    if not found.documents:
        into.skip("neither JSON, exposition text nor a table of time and load")


def _while_useful(lines: Iterator[str], found: Found) -> Iterator[str]:
    """The lines, until so many of them held nothing that no document is to be expected (an endless log)."""
    barren = 0
    for line in lines:
        barren = barren + len(line) + 1 if not found.documents else 0
        if barren > BARREN:
            raise Unusable(f"{BARREN >> 20} MiB of text without one JSON document; left out")
        yield line


def _clock(value: Any, into: Gathering) -> None:
    """A recorder's own word on how far the clock of whom it asked was ahead."""
    clock = value.get("clock") if isinstance(value, dict) else None
    ahead = number(clock.get("ahead_s")) if isinstance(clock, dict) else None
    if ahead is not None:
        into.skew(str(value.get("source") or "a source"), ahead)


def _timed(sample: Sample, before: str) -> Sample:
    """A log line's own time, where the document states none."""
    when = _WHEN.search(before) if sample.t is None and before else None
    return Sample(sample.kind, sample.body, epoch(when[0].replace(",", ".")), sample.source) if when else sample


def _take(sample: Sample, into: Gathering) -> None:
    """One answer to its reader; an answer of another shape than its kind's costs itself only."""
    if sample.kind == "imported":
        from calibration.recording_json import from_json

        into.memory.setdefault("imported", []).extend(from_json(sample.body))
        into.file.saw("an import's own output", None)
        return
    try:
        READERS[sample.kind](sample, into)
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, OverflowError):
        into.skip(f"{sample.kind} of another shape than expected")


def _exposition(lines: Iterator[str], into: Gathering) -> None:
    """Scrapes one after another in one file, with lines of time between them where somebody wrote those."""
    held: list[str] = []
    seen: set[str] = set()
    t: float | None = None

    def flush() -> None:
        if held:
            _take(Sample("prometheus_text", "\n".join(held), t), into)
        held.clear()
        seen.clear()

    for line in lines:
        if not EXPOSITION.match(line):
            at = _date(line)
            if at is not None:
                flush()
                t = at
            continue
        key = line if line.startswith("#") else line.rpartition(" ")[0]
        if key in seen and (line.startswith("#") or not any(k.startswith("#") for k in seen)):
            flush()
            t = None
        seen.add(key)
        held.append(line)
        if len(held) > 1_000_000:
            raise Unusable("a scrape of more than a million lines")
    flush()


def _date(line: str) -> float | None:
    """The time in a line that holds nothing else, as `date`, `date +%s` or `date -Is` print it."""
    text = line.strip().strip("#=- ")
    if (at := epoch(text)) is not None:
        return at
    try:
        return datetime.strptime(text, "%a %b %d %H:%M:%S UTC %Y").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _machine(lines: Iterator[str], into: Gathering) -> None:
    """The laboratory's machine.toml: what the machine is."""
    text = "\n".join(islice(lines, 1000))
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        into.skip("TOML that cannot be read")
        return
    if not {"name", "as_of"} <= told.keys():
        into.skip("TOML, and no machine of the laboratory")
        return
    into.memory["machine"] = {k: v for k, v in told.items() if isinstance(v, str | int | float)}
    into.file.saw("laboratory: the machine", None)


def load_recordings(path: Path | str) -> list[Recording]:
    """What `floodmark import -o` wrote."""
    from calibration.recording_json import load

    return load(Path(path))
