"""HTTP with an end: one request takes so many seconds and bytes at most, whatever the server does.

A read timeout alone does not bound a server that sends one byte now and then, so each request as a
whole has a deadline (httpx on one event loop of our own, cancelled when time is up). Bodies are read
and unpacked up to a limit; a gzip that is cut short is an error and not a shorter answer. Requests that
only read are asked again after 429, 502, 503, 504 and broken connections, within the same deadline and
as the server's Retry-After says. Redirects are not followed: credentials go to the address given.
"""

from __future__ import annotations

import asyncio
import email.utils
import json
import random
import ssl
import threading
import time
import zlib
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import httpx

from calibration.live import LiveError, Reason
from calibration.live_login import Login, Nobody
from calibration.live_tls import Tls, context
from calibration.secrets import redact_text, without_userinfo

T = TypeVar("T")
MIB = 1024 * 1024
AGAIN = (429, 502, 503, 504)
DATE_GRAIN = 0.5  # a Date header tells whole seconds, so the middle of that second is taken
LOOPBACK = ("127.0.0.1", "localhost", "::1")
QUOTED = 200  # characters of a server's own words in an error


@dataclass(frozen=True)
class Limits:
    """Bounds of one request: seconds in all, bytes of the unpacked answer, times asked."""

    seconds: float = 10.0
    body_bytes: int = 64 * MIB
    tries: int = 3


@dataclass(frozen=True)
class Reply:
    """A whole answer: status, headers, unpacked body; `asked` and `answered` [epoch s, our clock]."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    asked: float
    answered: float

    @property
    def ahead_seconds(self) -> float | None:
        """How far the server's clock is ahead of ours [s], to about half a second; None without a Date header."""
        stated = self.headers.get("date")
        if stated is None or "age" in self.headers:  # a cache repeats an old Date
            return None
        try:
            then = email.utils.parsedate_to_datetime(stated).timestamp()
        except (ValueError, TypeError):
            return None
        return then + DATE_GRAIN - (self.asked + self.answered) / 2

    @property
    def clock_grain(self) -> float:
        """How far `ahead_seconds` may be off: half a second, and half the time that the answer took [s]."""
        return DATE_GRAIN + (self.answered - self.asked) / 2


class _Loop:
    """One event loop in a thread of its own, so that plain functions in any thread can ask with a deadline."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        with self.lock:
            if self.loop is None:
                self.loop = asyncio.new_event_loop()
                threading.Thread(target=self.loop.run_forever, daemon=True, name="floodmark-http").start()
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


_LOOP = _Loop()


@dataclass
class Endpoint:
    """One address that is asked, with its login, trust and limits; connections are kept between requests."""

    url: str
    login: Login = field(default_factory=Nobody)
    tls: Tls = field(default_factory=Tls)
    limits: Limits = field(default_factory=Limits)
    system: str = ""
    ahead_seconds: float | None = None
    clock_grain: float = 0.0
    _client: httpx.AsyncClient | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def shown(self) -> str:
        return without_userinfo(self.url)

    def get_json(self, path: str, params: Mapping[str, Any] | None = None, limits: Limits | None = None) -> Any:
        """The JSON at a path. Raises LiveError."""
        return self._parsed(path, self.get(path, params, limits))

    def post_json(self, path: str, body: Any, params: Mapping[str, Any] | None = None) -> Any:
        """The JSON that a read-only POST (a search) answers. Raises LiveError."""
        return self._parsed(path, self.ask("POST", path, params, json.dumps(body).encode()))

    def get_text(self, path: str = "") -> str:
        """The text at a path. Raises LiveError."""
        return self.get(path).body.decode("utf-8", errors="replace")

    def get(self, path: str, params: Mapping[str, Any] | None = None, limits: Limits | None = None) -> Reply:
        return self.ask("GET", path, params, None, limits)

    def ask(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        body: bytes | None = None,
        limits: Limits | None = None,
    ) -> Reply:
        """One answer of status 200, within the limits. Raises LiveError for everything else."""
        bound = limits or self.limits
        url = self.url + path + (f"?{urlencode(params, doseq=True, quote_via=quote)}" if params else "")
        until = time.monotonic() + bound.seconds
        tried = 0
        while True:
            tried += 1
            left = until - time.monotonic()
            try:
                reply = self._once(method, url, path, body, left, bound)
                break
            except LiveError as error:
                wait = error.wait_seconds if error.wait_seconds is not None else min(0.25 * 2**tried, 4.0)
                wait *= 1 + random.random() / 4
                again = error.reason in ("throttled", "unreachable", "refused") and tried < bound.tries
                if not again or time.monotonic() + wait >= until:
                    raise
                time.sleep(wait)
        self.ahead_seconds, self.clock_grain = reply.ahead_seconds, reply.clock_grain
        return reply

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            _LOOP.run(client.aclose())

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> httpx.AsyncClient:
        with self._lock:
            if self._client is None:
                verify: ssl.SSLContext | bool = False
                if self.url.startswith("https:"):
                    verify = context(self.tls, self.url, self.limits.seconds)
                direct = urlsplit(self.url).hostname in LOOPBACK  # a proxy has no business with this machine's own
                self._client = httpx.AsyncClient(verify=verify, trust_env=not direct, timeout=None)
            return self._client

    def _once(self, method: str, url: str, path: str, body: bytes | None, left: float, bound: Limits) -> Reply:
        client = self._open()
        headers = {"Accept-Encoding": "gzip", "User-Agent": "floodmark"}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        headers |= self.login.headers(method, url, body)
        where = f"{self.shown}{path}"
        asked = time.time()
        try:
            reply = _LOOP.run(_fetch(client, method, url, headers, body, max(left, 0.01), bound, where))
        except TimeoutError:
            raise LiveError("slow", f"{where}: no whole answer within {bound.seconds:g} s") from None
        except httpx.HTTPError as error:
            raise _broken(where, error) from None
        except (ValueError, UnicodeError) as error:  # an answer that is no HTTP at all, a header that cannot be sent
            raise LiveError("garbage", f"{where}: {type(error).__name__}: {error}") from None
        status, headers_seen, raw = reply
        told = Reply(status, headers_seen, raw, asked, time.time())
        if status != 200:
            raise self._refusal(where, told)
        return told

    def _refusal(self, where: str, reply: Reply) -> LiveError:
        """What another status than 200 means, with the server's own words cut short."""
        status, words = reply.status, _words(reply)
        said = f"{where}: {status}{words}"
        if status == 401:
            prefix = f"FLOODMARK_{self.system.upper() or 'SEARCH'}_"
            do = f"set {prefix}USER and {prefix}PASSWORD, {prefix}API_KEY or {prefix}TOKEN, or sign with SigV4"
            return LiveError("unauthorized", f"{said}; asked with {self.login.how}; {do}")
        if status == 403:
            return LiveError("forbidden", f"{said}; asked with {self.login.how}, which may not read this")
        if status in AGAIN:
            reason: Reason = "throttled" if status in (429, 503) else "refused"
            wait = _retry_after(reply.headers)
            when = f"; it asks to wait {wait:.0f} s" if wait is not None else ""
            return LiveError(reason, said + when, wait)
        if 300 <= status < 400:
            target = without_userinfo(reply.headers.get("location", "nowhere"))
            return LiveError(
                "moved", f"{where}: {status}, moved to {target}; redirects are not followed, give that address"
            )
        if status in (404, 405, 410):
            return LiveError("missing", f"{said}; it does not have this")
        return LiveError("failed", said)

    def _parsed(self, path: str, reply: Reply) -> Any:
        try:
            return json.loads(reply.body)
        except (ValueError, RecursionError):
            start = reply.body[:60].decode("utf-8", errors="replace")
            page = "a web page" if start.lstrip().lower().startswith(("<!doctype", "<html")) else repr(start)
            raise LiveError("garbage", f"{self.shown}{path}: not JSON but {page}") from None


async def _fetch(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None,
    seconds: float,
    bound: Limits,
    where: str,
) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and unpacked body; TimeoutError when the time is up, wherever the answer then stands."""
    async with asyncio.timeout(seconds), client.stream(method, url, headers=dict(headers), content=body) as response:
        unpack = _Unpack(response.headers.get("content-encoding", "identity"), bound.body_bytes, where)
        async for chunk in response.aiter_raw():
            unpack.take(chunk)
        return response.status_code, {k.lower(): v for k, v in response.headers.items()}, unpack.whole()


class _Unpack:
    """Collects a body, unpacking gzip as it comes, and stops at the limit: a small gzip may hold gigabytes."""

    def __init__(self, coding: str, limit: int, where: str) -> None:
        self.limit, self.where, self.found = limit, where, bytearray()
        coding = coding.strip().lower()
        if coding not in ("", "identity", "gzip", "x-gzip", "deflate"):
            raise LiveError("garbage", f"{where}: answered in coding '{coding}', which was not asked for")
        self.zipped = zlib.decompressobj(47) if coding not in ("", "identity") else None

    def take(self, chunk: bytes) -> None:
        if self.zipped is not None:
            try:
                chunk = self.zipped.decompress(chunk, self.limit - len(self.found) + 1)
            except zlib.error:
                raise LiveError("garbage", f"{self.where}: said gzip and is none") from None
        self.found += chunk
        if len(self.found) > self.limit:
            size = f"{self.limit / MIB:g} MiB"
            raise LiveError("too large", f"{self.where}: more than {size}; ask for less (fewer indices, a --match)")

    def whole(self) -> bytes:
        if self.zipped is not None and not self.zipped.eof:
            raise LiveError("cut short", f"{self.where}: the gzip ends in its middle after {len(self.found)} bytes")
        return bytes(self.found)


def _words(reply: Reply) -> str:
    """The reason in an error's body as the systems phrase it, else its beginning; never a web page."""
    text = reply.body[:4000].decode("utf-8", errors="replace").strip()
    try:
        told = json.loads(reply.body)
        error = told.get("error", told.get("message", text))
        text = str(error.get("reason") or error.get("type") or error) if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError, RecursionError):
        text = "" if text.startswith("<") else text
    text = " ".join(redact_text(text).split())
    return f" ({text[:QUOTED]}{'…' if len(text) > QUOTED else ''})" if text else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that Retry-After asks to wait, given as seconds or as a date.

    >>> _retry_after({"retry-after": "3"}), _retry_after({"retry-after": "soon"})
    (3.0, None)
    """
    stated = headers.get("retry-after", "")
    try:
        return max(float(stated), 0.0)
    except ValueError:
        pass
    try:
        then = email.utils.parsedate_to_datetime(stated)
        return max(then.timestamp() - time.time(), 0.0)
    except (ValueError, TypeError):
        return None


def _broken(where: str, error: httpx.HTTPError) -> LiveError:
    """A connection that could not be made, or broke, in words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return LiveError(
                "tls",
                f"{where}: the certificate is not trusted ({cause.verify_message}); for a company's own authority give "
                "--ca-file, for a self-signed certificate --fingerprint",
            )
        if isinstance(cause, ssl.SSLError):
            return LiveError("tls", f"{where}: TLS failed ({cause.reason or 'no TLS there'}); is it http://?")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.RemoteProtocolError):
        text = str(error)
        if "peer closed connection" in text or "incomplete" in text:
            return LiveError("cut short", f"{where}: the connection was closed in the middle of the answer")
        if "disconnected" in text:
            return LiveError("unreachable", f"{where}: the connection was closed without an answer")
        return LiveError("garbage", f"{where}: does not speak HTTP as expected ({text[:120]})")
    if isinstance(error, httpx.ConnectError):
        return LiveError("unreachable", f"{where}: no connection ({error or 'refused'}); is the address right?")
    return LiveError("unreachable", f"{where}: {type(error).__name__}")
