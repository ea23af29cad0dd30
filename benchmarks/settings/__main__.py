"""Usage: `python -m benchmarks.settings [choose]`; see the package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser("python -m benchmarks.settings", description="Recommended settings, run for real.")
    parser.add_argument("do", nargs="?", choices=("choose", "compare"), default="compare")
    if parser.parse_args(arguments).do == "choose":
        from benchmarks.settings.choose import PREDICTED, choose

        print(choose(datetime.now(UTC).date()).as_text())
        print(f"written: {PREDICTED}", file=sys.stderr)
        return 0
    from benchmarks.settings.compare import PAGE, page

    text = page()
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    print(f"written: {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
