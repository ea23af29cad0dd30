"""Score every forecast that there is a measurement for, and write `docs/accuracy.md`.

Usage: `python -m benchmarks.accuracy` scores all of it in two minutes or so and logs the scoring; with `--quick` it
takes few seeds and one experiment, prints the page and writes nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.accuracy import page, scorings
from benchmarks.accuracy.everything import Everything, score
from benchmarks.accuracy.page_test import PLOTS, plots

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.accuracy", description="Forecasts beside measurements.")
    parser.add_argument("--quick", action="store_true", help="few seeds and one experiment; print, write nothing")
    asked = parser.parse_args(arguments)
    found: Everything = score(asked.quick)
    if asked.quick:
        print(page.text(found, scorings.read()))
        return 0
    log = scorings.append(found.figures(), datetime.now(UTC).date())
    PLOTS.mkdir(exist_ok=True)
    for name, svg in plots(found.lab.test).items():
        (PLOTS / name).write_text(svg, encoding="utf-8", newline="\n")
    PAGE.write_text(page.text(found, log), encoding="utf-8")
    print(page.headline(found))
    print(f"written: {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
