"""Coefficient sets that somebody brings to a page: judged, kept in a folder of the page's own, named by their content.

A set is data, but it may name another to fill its gaps from. That one must come with the package: a path would be read
on the machine that serves.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from pathlib import Path

from models.coefficients import load_set, packaged_sets
from planner.refusal import ScenarioError

MOST_BYTES = 2 * 1024 * 1024


def kept_set(raw: bytes, name: str, folder: Path) -> str:
    """The path under which a set is kept, to stand as a scenario's `coefficients`. Raises ScenarioError for none."""
    if len(raw) > MOST_BYTES:
        raise ScenarioError(f"{name}: {len(raw):,} bytes; expected at most {MOST_BYTES:,}")
    try:
        head = tomllib.loads(raw.decode("utf-8")).get("set")
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"{name} is not TOML: {error}") from None
    if not isinstance(head, dict):
        raise ScenarioError(f"{name}: no [set]; expected a coefficient set, as `floodmark calibrate` writes one")
    base = head.get("fills_from")
    if base is not None and base not in packaged_sets():
        raise ScenarioError(f"{name}: fills_from = '{base}'; expected a packaged set: {', '.join(packaged_sets())}")
    path = folder / hashlib.sha256(raw).hexdigest()[:16] / f"{_plain(name)}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)
    try:
        load_set(str(path))
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        path.unlink()
        raise ScenarioError(f"{name}: {str(error).replace(str(path), name)}") from None
    return str(path)


def _plain(name: str) -> str:
    """A file's name without folders, suffix and odd characters.

    >>> _plain("../orders prod.toml"), _plain(".toml")
    ('orders-prod', 'set')
    """
    return re.sub(r"[^A-Za-z0-9_-]+", "-", re.split(r"[/\\]", name)[-1].removesuffix(".toml")).strip("-")[:60] or "set"
