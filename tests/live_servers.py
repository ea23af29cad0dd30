"""Servers on loopback for tests of the live side: one that answers by path, and one that behaves badly."""

from __future__ import annotations

import gzip
import http.server
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Route = Callable[["Asked"], Any]


class Asked:
    """One request as a route sees it."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.headers, self.body = method, headers, body
        self.path, _, self.query = path.partition("?")

    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """Answers every method by the longest route that the path starts with; a route gives JSON, or (status, text)."""

    def __init__(self, routes: dict[str, Any], clock_ahead: float = 0.0, tls: Path | None = None) -> None:
        self.routes, self.clock_ahead, self.asked = routes, clock_ahead, []  # type: ignore[var-annotated]
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None: ...

            def date_time_string(self, timestamp: float | None = None) -> str:
                return super().date_time_string(int((timestamp or time.time()) + outer.clock_ahead))

            def do_GET(self) -> None:
                size = int(self.headers.get("Content-Length") or 0)
                asked = Asked(self.command, self.path, dict(self.headers), self.rfile.read(size))
                outer.asked.append(asked)
                status, body, more = outer.answer(asked)
                if "gzip" in self.headers.get("Accept-Encoding", ""):
                    body, more = gzip.compress(body, mtime=0), {**more, "Content-Encoding": "gzip"}
                self.send_response(status)
                for name, value in {**more, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_PUT = do_DELETE = do_GET

        self.httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        scheme = "http"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self.httpd.socket = context.wrap_socket(self.httpd.socket, server_side=True)
            self.httpd.handle_error = lambda *_: None  # type: ignore[method-assign]
            scheme = "https"
        self.port = self.httpd.server_address[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}"

    def answer(self, asked: Asked) -> tuple[int, bytes, dict[str, str]]:
        match = max((r for r in self.routes if asked.path.startswith(r)), key=len, default=None)
        found = {"error": f"no handler for {asked.path}"} if match is None else self.routes[match]
        found = found(asked) if callable(found) else found
        status, more = (200 if match is not None else 404), {}
        if isinstance(found, tuple):
            status, found, *rest = found
            more = rest[0] if rest else {}
        return status, found.encode() if isinstance(found, str) else json.dumps(found).encode(), more


@contextmanager
def server(routes: dict[str, Any], **more: Any) -> Iterator[Server]:
    """A server that runs meanwhile."""
    made = Server(routes, **more)
    thread = threading.Thread(target=made.httpd.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.httpd.shutdown()
        made.httpd.server_close()
        thread.join(5)


@contextmanager
def hostile(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server whose every connection is handled by `behave`; its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.settimeout(0.05)
    over = threading.Event()

    def one(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(2)
            try:
                connection.recv(65536)
                behave(connection)
            except OSError:
                pass

    def accept() -> None:
        while not over.is_set():
            try:
                connection, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            threading.Thread(target=one, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        over.set()
        thread.join(5)
        listening.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


def silent(connection: socket.socket) -> None:
    """Takes the request and says nothing."""
    time.sleep(1.5)


def dripping_head(connection: socket.socket) -> None:
    """Headers, a byte at a time, for ever."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
    for _ in range(60):
        connection.sendall(b"a")
        time.sleep(0.05)


def dripping_body(connection: socket.socket) -> None:
    """A body, a byte at a time: no single read is slow."""
    connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
    for _ in range(60):
        connection.sendall(b" ")
        time.sleep(0.05)


def endless(connection: socket.socket) -> None:
    """A body without an end, as fast as it goes."""
    connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(100_000):
        connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")


def bomb(connection: socket.socket) -> None:
    """A small gzip of half a gigabyte of zeros."""
    packed = gzip.compress(b"\0" * (1 << 26), 9, mtime=0)
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)


def cut_gzip(connection: socket.socket) -> None:
    """A gzip that ends in its middle, its length said truly."""
    packed = gzip.compress(json.dumps({"nodes": list(range(5000))}).encode(), mtime=0)[:900]
    connection.sendall(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed)


def cut_body(connection: socket.socket) -> None:
    """Fewer bytes than were promised."""
    connection.sendall(HEAD + b'Content-Length: 500\r\n\r\n{"nodes": ')


def garbage(connection: socket.socket) -> None:
    """No HTTP."""
    connection.sendall(b"\x16\x03\x01 SSH-2.0-OpenSSH_9.2\r\n\r\n")


def web_page(connection: socket.socket) -> None:
    """A log-in page with status 200, as proxies give."""
    page = b"<!DOCTYPE html><html><body>Please log in</body></html>"
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)


def hangs_up(connection: socket.socket) -> None:
    """Closes without a word."""
