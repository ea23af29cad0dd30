"""A fitted coefficient set as TOML: head, domain, how it was fitted, what was left, coefficients."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibration import noise
from calibration.lab import LabRun
from models.coefficients import LAWS

if TYPE_CHECKING:
    from calibration.fit import Outcome


def domain(runs: Sequence[LabRun]) -> dict[str, tuple[float, float]]:
    """The ranges that these runs cover, by quantity."""
    asked = [run.experiment for run in runs]
    spark = [run for run in runs if run.batches]
    bulk = [e.bulk_documents for e in asked if "bulk" in (e.sink, e.kind)]
    settled = [b.records for run in spark for step in noise.settled(run) for b in step]
    values: dict[str, list[float]] = {
        "records_per_second": [rate for run in spark for _, rate in run.experiment.plan],
        "producer_records_per_second": [rate for e in asked for _, rate in e.plan],
        "records_per_batch": [float(n) for n in settled],
        "record_bytes": [e.record_bytes for e in asked],
        "partitions": [float(run.experiment.partitions) for run in spark],
        "trigger_seconds": [e.trigger_seconds for e in asked if e.trigger_seconds],
        "spark_cores": [float(e.cores) for e in asked if e.trigger_seconds],
        "bulk_documents": [float(n) for n in bulk],
        "bulk_clients": [float(e.clients) for e in asked if e.clients],
        "state_partitions": [float(e.state_partitions) for e in asked if e.state_partitions],
    }
    return {name: (min(found), max(found)) for name, found in values.items() if found}


def file_digests(paths: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of each file, of a folder's files under the folder's name."""
    found = {}
    for path in paths:
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path.parent).as_posix()
            found[name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def quoted(text: str) -> str:
    """A TOML basic string.

    >>> quoted('a "b"')
    '"a \\\\"b\\\\""'
    """
    clean = "".join(c if c.isprintable() else " " for c in text)
    return '"' + clean.replace("\\", "\\\\").replace('"', '\\"') + '"'


def table(name: str, rows: Mapping[str, Any]) -> list[str]:
    """A TOML table of texts and numbers; none where there are no rows."""
    told = [f"{quoted(key)} = {quoted(v) if isinstance(v, str) else f'{v:.6g}'}" for key, v in rows.items()]
    return ["", f"[{name}]", *told] if told else []


def to_toml(
    name: str, machine: Mapping[str, Any], base: str, made_by: str, recordings: str, runs: Sequence[LabRun],
    out: Outcome, more: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:  # fmt: skip
    """The set's text. `recordings` is a digest of what it was made from, `more` tables to stand beside [fit]."""
    lines = [
        f"# Made by: {made_by}",
        "# Do not edit: run it again.",
        "",
        "[set]",
        f"name = {quoted(name)}",
        f"as_of = {machine['as_of']}",
        f"machine = {quoted(machine['name'])}",
        f"per_core_speed = {machine['per_core_speed']}  # {machine.get('per_core_speed_grade', 'measured')}",
        f"fills_from = {quoted(base)}",
        "",
        "[domain]",
        *(f"{key} = [{low:.6g}, {high:.6g}]" for key, (low, high) in domain(runs).items()),
        "",
        "[fit]",
        f"recordings = {quoted(recordings)}",
        f"runs = [{', '.join(quoted(run.name) for run in runs)}]",
        f"per_core_speed_source = {quoted(machine.get('per_core_speed_source', 'not stated'))}",
        *table("fit.condition", {block: float(f"{fitted.condition:.3g}") for block, fitted in out.fits.items()}),
        *table("fit.background_cores", out.background),
        *table("fit.left_at_prior", dict(sorted(out.left.items()))),
    ]
    for title, rows in (more or {}).items():
        lines += table(title, rows)
    for key in (key for key in LAWS if key in out.told):
        one = out.told[key]
        lines += ["", f"[coefficients.{key}]"]
        lines += [f"{part} = {getattr(one, part):.4g}" for part in ("value", "low", "high")]
        lines += [f"unit = {quoted(LAWS[key][0])}", 'grade = "measured"', f"source = {quoted(one.source)}"]
    return "\n".join(lines) + "\n"
