"""Which Floodmark answered: the version of the package, and a digest of the code that computes.

Two forecasts with one engine digest, one coefficient digest and one seed are the same numbers.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent
ENGINE = ("models", "simulator", "pricing", "planner")


def engine_version() -> str:
    """Version of the installed package, or of the checkout if it is not installed.

    >>> engine_version().count(".") >= 1
    True
    """
    try:
        return metadata.version("floodmark")
    except metadata.PackageNotFoundError:
        import tomllib

        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        return str(project["project"]["version"])


@cache
def engine_digest() -> str:
    """Digest of all code between a scenario and its forecast, line ends aside."""
    digest = hashlib.sha256()
    for folder in ENGINE:
        for path in sorted((ROOT / folder).glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]
