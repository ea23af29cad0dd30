"""Rebuilds the dated tables from the folder of facts: `python -m pricing.build_book --facts DIR`.

The same facts give the same bytes. Without `--facts` the environment's FLOODMARK_FACTS is used, then
`../shared/facts` beside the repository.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from models import machines
from pricing import build_machines

ROOT = Path(__file__).parent.parent


def facts_folder(given: str | None = None) -> Path:
    """The folder of facts; an error names what would do."""
    folder = Path(given or os.environ.get("FLOODMARK_FACTS") or ROOT.parent / "shared" / "facts")
    if not (folder / "aws" / "sources.csv").exists():
        wanted = "expected a folder holding aws/sources.csv (or set FLOODMARK_FACTS)"
        raise FileNotFoundError(f"--facts = {folder}; {wanted}")
    return folder


def built(facts: Path) -> dict[Path, bytes]:
    """Every generated table: where it goes and its bytes."""
    return {machines.TABLE: build_machines.machine_table(facts)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", help="folder of facts")
    for path, content in built(facts_folder(parser.parse_args(arguments).facts)).items():
        path.write_bytes(content)
        print(f"{path.relative_to(ROOT)}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
