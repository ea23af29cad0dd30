"""Calls to AWS for a refresh: who is asked, and how a throttled call is waited out."""

from __future__ import annotations

import datetime
import io
import random
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded",
             "InternalErrorException", "InternalServerException", "ServiceUnavailable"}  # fmt: skip
STALE_TOKEN = {"ExpiredNextTokenException", "InvalidNextTokenException"}
TRIES, FIRST_WAIT, LONGEST_WAIT = 9, 0.5, 60.0
PRICING_ENDPOINT = "us-east-1"  # one of the three regions that answer for all


class RefreshError(RuntimeError):
    """A refresh that cannot go on: says what AWS answered and what would do."""


@dataclass
class Clients:
    """Who is asked, how a bulk file is read, and how a wait is waited."""

    pricing: Any
    ec2: Any
    savingsplans: Any
    lines: Callable[[str], Iterable[str]]
    sleep: Callable[[float], None] = time.sleep
    today: Callable[[], datetime.datetime] = field(default=lambda: datetime.datetime.now(datetime.UTC))


def live_clients(region: str) -> Clients:
    """Clients of real AWS, from the environment's credentials. Needs the extra `aws`."""
    try:
        import boto3
    except ImportError:
        raise RefreshError("a refresh needs boto3: pip install 'floodmark[aws]'") from None
    session = boto3.Session()  # of its own: the default one remembers whose credentials it first found
    return Clients(
        session.client("pricing", region_name=PRICING_ENDPOINT), session.client("ec2", region_name=region),
        session.client("savingsplans", region_name=PRICING_ENDPOINT), _downloaded,
    )  # fmt: skip


def _downloaded(url: str) -> Iterator[str]:
    if not url.startswith("https://"):
        raise RefreshError(f"price list file at {url[:60]}; expected an https address")
    with urllib.request.urlopen(url, timeout=60) as answer:
        yield from io.TextIOWrapper(answer, encoding="utf-8", newline="")


class StaleToken(Exception):
    """A page token that AWS no longer takes."""


def asked(clients: Clients, call: Callable[..., Any], **options: Any) -> Any:
    """One call, repeated while AWS throttles, with growing, scattered waits."""
    for attempt in range(TRIES):
        try:
            return call(**{k: v for k, v in options.items() if v not in ("", None)})
        except Exception as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code in STALE_TOKEN:
                raise StaleToken from None
            if code not in THROTTLED or attempt == TRIES - 1:
                raise _refused(call, error, code) from error
            clients.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * (0.5 + random.random() / 2))
    raise AssertionError("unreachable")


def _refused(call: Callable[..., Any], error: Exception, code: str) -> Exception:
    name = getattr(call, "__name__", "call")
    if code in ("AccessDeniedException", "UnauthorizedOperation", "AccessDenied"):
        return RefreshError(f"{name}: not allowed; `floodmark iam-policy` prints what is needed")
    if code:
        return RefreshError(f"{name}: AWS answered {code}: {error}")
    return RefreshError(f"{name}: {type(error).__name__}: {error}")
