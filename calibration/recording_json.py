"""Recordings as one JSON document, plain or gzipped, and back.

Series of one sampling share their times, so times are kept once each and referred to by number. Strings
have passed the redaction before they come here, and pass it again on the way out.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from calibration.observations import Batch, Curve, Floats, ObservationError, Poll, Task
from calibration.recording import Cut, Event, FileRead, Query, Recording, Series, Stated, Untold, Unused
from calibration.secrets import redact as redact_value

VERSION = 1
_TASK = [f.name for f in fields(Task)]
_PLAIN: dict[str, type] = {
    "stated": Stated,
    "events": Event,
    "cuts": Cut,
    "files": FileRead,
    "unused": Unused,
    "untold": Untold,
}


def to_json(
    recordings: Sequence[Recording], engine: str = "", machine: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """All recordings as JSON values."""
    made = [_one(r) for r in recordings]
    return {"floodmark_imported": VERSION, "engine": engine, "machine": dict(machine or {}), "recordings": made}


def _one(r: Recording) -> dict[str, Any]:
    times: dict[bytes, int] = {}
    axes: list[list[float]] = []

    def axis(t: Floats) -> int:
        raw = np.asarray(t, dtype=float).tobytes()
        if raw not in times:
            times[raw] = len(axes)
            axes.append([round(float(x), 6) for x in t])
        return times[raw]

    series = [
        {
            "system": s.system,
            "entity": s.entity,
            "quantity": s.quantity,
            "unit": s.unit,
            "kind": s.kind,
            "labels": dict(s.labels),
            "period": s.period,
            "files": list(s.files),
            "format": s.format,
            "resolution_seconds": _finite(s.resolution),
            "gaps": s.gaps(),
            "resets": s.resets().tolist(),
            "time": axis(s.t),
            "value": [_short(float(v)) for v in s.value],
        }
        for s in r.series
    ]
    plain = {name: [asdict(x) for x in getattr(r, name)] for name in _PLAIN}
    words = {
        "name": r.name,
        **plain,
        "notes": list(r.notes),
        "experiment": r.experiment,
        "documents": dict(r.documents),
    }
    return redact_value(words) | {
        "disturbed": r.disturbed,
        "span": list(r.span()),
        "pieces": [asdict(p) for p in r.pieces()],
        "times": axes,
        "series": series,
        "queries": [_query(q) for q in r.queries],
        "tasks": {name: [getattr(t, name) for t in r.tasks] for name in _TASK},
        "polls": [[p.asked, p.answered, p.highest, p.documents] for p in r.polls],
        "arrivals": {name: [c.t.tolist(), c.count.tolist()] for name, c in r.arrivals.items()},
    }


def _short(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _query(q: Query) -> dict[str, Any]:
    return {"name": q.name, "id": q.id, "files": list(q.files), "batches": [asdict(b) for b in q.batches]}


def dump(
    recordings: Sequence[Recording], path: Path, engine: str = "", machine: Mapping[str, Any] | None = None
) -> None:
    """Writes .json or .json.gz."""
    text = json.dumps(to_json(recordings, engine, machine), ensure_ascii=False, allow_nan=False)
    raw = text.encode() + b"\n"
    if path.suffix == ".gz":
        raw = gzip.compress(raw, 6, mtime=0)
    path.write_bytes(raw)


def load(path: Path) -> list[Recording]:
    """The recordings of such a file; refuses what is none."""
    return from_json(_body(path))


def machine(path: Path) -> dict[str, Any]:
    """The machine that a file's recordings were made on, as the laboratory described it; empty where nobody did."""
    return dict(_body(path).get("machine") or {})


def _body(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    try:
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        body = json.loads(raw)
    except (ValueError, OSError, EOFError, RecursionError):
        raise ObservationError(f"{path.name}: not an imported recording; make one with floodmark import -o") from None
    if not isinstance(body, dict) or body.get("floodmark_imported") != VERSION:
        found = body.get("floodmark_imported") if isinstance(body, dict) else None
        what = f"version {found}, and this reads {VERSION}" if found else "not an imported recording"
        raise ObservationError(f"{path.name}: {what}; make one with floodmark import -o")
    return body


def from_json(body: Mapping[str, Any]) -> list[Recording]:
    """Recordings from JSON values; refuses where something in them is missing."""
    try:
        return [_recording(raw) for raw in body["recordings"]]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ObservationError(
            f"an imported recording that lacks parts ({type(error).__name__}); import it again"
        ) from None


def _recording(raw: Mapping[str, Any]) -> Recording:
    axes = [np.asarray(t, dtype=float) for t in raw["times"]]
    series = [
        Series(
            system=s["system"],
            entity=s["entity"],
            quantity=s["quantity"],
            unit=s["unit"],
            kind=s["kind"],
            t=axes[s["time"]],
            value=np.asarray(s["value"], dtype=float),
            labels=s["labels"],
            period=s["period"],
            files=tuple(s["files"]),
            format=s["format"],
        )
        for s in raw["series"]
    ]
    plain = {name: tuple(kind(**_tuples(x)) for x in raw[name]) for name, kind in _PLAIN.items()}
    columns = [raw["tasks"][name] for name in _TASK]
    return Recording(
        name=raw["name"],
        series=tuple(series),
        queries=tuple(
            Query(q["name"], q["id"], tuple(map(_batch, q["batches"])), tuple(q["files"])) for q in raw["queries"]
        ),
        tasks=tuple(Task(*row) for row in zip(*columns, strict=True)),
        polls=tuple(Poll(a, b, _partitions(high), _partitions(held)) for a, b, high, held in raw["polls"]),
        arrivals={name: Curve(np.asarray(t), np.asarray(n)) for name, (t, n) in raw["arrivals"].items()},
        notes=tuple(raw["notes"]),
        disturbed=raw["disturbed"],
        experiment=raw["experiment"],
        documents=raw["documents"],
        **plain,
    )


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) and k == "remarks" else v for k, v in row.items()}


def _partitions(found: Mapping[str, int] | None) -> dict[Any, int]:
    return {int(k) if k.isdigit() else k: v for k, v in (found or {}).items()}


def _batch(raw: Mapping[str, Any]) -> Batch:
    offsets = {
        name: raw[name] if raw[name] is None else _partitions(raw[name]) for name in ("start_offsets", "end_offsets")
    }
    return Batch(**{**raw, **offsets})
