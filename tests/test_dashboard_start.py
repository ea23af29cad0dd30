"""The dashboard's command on a machine where Streamlit never ran: it serves at once and asks nobody for anything."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("streamlit")
ROOT = Path(__file__).parent.parent
WAIT_SECONDS = 60.0  # a busy machine starts it in ten


def test_a_first_run_serves_without_asking_for_an_email(tmp_path: Path) -> None:
    """The home is empty and a browser would be opened, which is where Streamlit asks; the terminal answers nothing."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    silent, terminal = os.openpty()
    environment = os.environ | {"HOME": str(tmp_path), "BROWSER": "/bin/true"}
    told = [sys.executable, "-m", "planner", "dashboard", "--port", str(port)]
    server = subprocess.Popen(told, cwd=ROOT, env=environment, stdin=terminal, stdout=terminal, stderr=terminal)
    try:
        assert _serves(server, port), "it waited for an answer, or ended"
    finally:
        server.terminate()
        server.wait(30)
        os.close(silent)
        os.close(terminal)


def _serves(server: subprocess.Popen[bytes], port: int) -> bool:
    end = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.2)
    return False
