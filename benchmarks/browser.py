"""A running dashboard and a real headless Chromium on it: for the bench and for the browser tests.

The server is a child on a free loopback port, ended by its own process id. The browser may speak to nothing but that
port: every other request is refused and noted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from planner.cli_dashboard import ROOT, command

FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]  # fmt: skip
START_SECONDS = float(os.environ.get("FLOODMARK_BROWSER_SECONDS", 120))  # a fresh checkout compiles its kernels first
DRAWN = "Number(document.querySelector('.fm-drawn')?.dataset.times || 0)"
IDLE = "document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'"


def chromium() -> str | None:
    """Where a Chromium is installed, None where none is (or Playwright is not)."""
    found = os.environ.get("FLOODMARK_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return None
    return found


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@contextlib.contextmanager
def served(*given: str) -> Iterator[str]:
    """The dashboard's address, as `floodmark dashboard` would serve it."""
    port = free_port()
    arguments = command(port, "127.0.0.1", False, ["--", *given] if given else [])
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with Path(os.environ.get("FLOODMARK_SERVER_LOG", os.devnull)).open("ab") as log:
        server = subprocess.Popen(arguments, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/_stcore/health", server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(10)
            server.kill()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with {server.returncode}")
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(address, timeout=1).close()
            return
        time.sleep(0.1)
    raise TimeoutError(f"{address} does not answer")


@dataclass
class Browser:
    """One Chromium; `strangers` are the addresses off the server that a page asked for."""

    browser: Any
    address: str
    strangers: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def page(self, path: str = "/", **options: Any) -> Any:
        """A page in a context of its own: no cookie or storage is shared with another."""
        context = self.browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        context.route("**/*", self._guard)
        page = context.new_page()
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", lambda socket: self._socket(socket.url))
        page.goto(self.address + path)
        page.wait_for_selector(".fm-drawn", state="attached", timeout=START_SECONDS * 1000)
        idle(page)
        return page

    def _socket(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.address).netloc:
            self.strangers.append(url)

    def _guard(self, route: Any) -> None:
        wanted, own = urlsplit(route.request.url), urlsplit(self.address)
        if wanted.scheme in ("data", "blob") or wanted.netloc == own.netloc:
            route.continue_()
        else:
            self.strangers.append(route.request.url)
            route.abort()


@contextlib.contextmanager
def browser(address: str) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox", *FLAGS])
        try:
            yield Browser(opened, address)
        finally:
            opened.close()


def idle(page: Any, timeout: float = START_SECONDS) -> None:
    """Until the script has run to its end."""
    page.wait_for_function(IDLE, timeout=timeout * 1000)


def act(page: Any, action: Callable[[], Any], timeout: float = START_SECONDS) -> None:
    """Do something that makes the page draw its board anew, and wait until all of it is there."""
    before = page.evaluate(DRAWN)
    action()
    page.wait_for_function(f"before => {DRAWN} > before", arg=before, timeout=timeout * 1000)
    idle(page, timeout)


def main() -> None:
    """Serve until interrupted: python -m benchmarks.browser [FILE]."""
    with served(*sys.argv[1:]) as address, contextlib.suppress(KeyboardInterrupt):
        print(address, flush=True)
        time.sleep(3600)


if __name__ == "__main__":
    main()
