"""What the tests against real servers share: when they run, and the command as a user gives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab import java

ROOT = Path(__file__).parent.parent
LIVE = [
    pytest.mark.skipif(not os.environ.get("FLOODMARK_LIVE"), reason="FLOODMARK_LIVE is not set (make test-live)"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.skipif(not any(one.major >= 21 for one in java.find()), reason=f"no Java 21 or newer; {java.HOW}"),
]


def floodmark(
    *arguments: str, timeout: float = 180, code: int | None = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as a user gives it; `code` is the exit code expected, None where 0 and 3 are both answers."""
    command = [sys.executable, "-m", "planner", *arguments]
    more = {**os.environ, **(env or {})}
    done = subprocess.run(
        command, cwd=ROOT, env=more, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    assert done.returncode in ((0, 3) if code is None else (code,)), done.stdout[-2000:] + done.stderr[-4000:]
    return done
