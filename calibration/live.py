"""Live: one way to ask a running system, whatever it is.

A `Source` is one system (a search cluster, a Prometheus, a Spark UI) and has `Call`s, each of which
asks one thing every so often and yields raw answers as `Answer`s: the systems' own formats, with
secrets hidden. A call that fails yields a `Trouble` and no more: what the others see goes on. The
kinds of answers are those that `floodmark import` reads from files, so that live and recorded are one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from calibration.secrets import redact, redact_exposition, redact_text

Reason = Literal[
    "unauthorized", "forbidden", "missing", "throttled", "slow", "too large", "garbage", "cut short",
    "unreachable", "tls", "moved", "refused", "failed", "settings",
]  # fmt: skip
DENIED: tuple[Reason, ...] = ("unauthorized", "forbidden", "missing")  # asking again at once will not help
NOBODY_THERE: tuple[Reason, ...] = ("unreachable", "tls", "settings")  # the next call would meet the same
SLOW_CALLS = 2  # a tick's: after so many the rest waits for the next tick
ASK_DENIED_AGAIN_SECONDS = 600.0  # rights are granted and indices made while a recording goes on


class LiveError(RuntimeError):
    """A system that did not answer as asked: says which, what came instead and what would do. Holds no secrets."""

    def __init__(self, reason: Reason, message: str, wait_seconds: float | None = None) -> None:
        self.reason: Reason = reason
        self.wait_seconds = wait_seconds
        super().__init__(redact_text(message))


@dataclass(frozen=True)
class Answer:
    """One answer as it came, at `t` [epoch s, our clock]; `body` is JSON, or else `text` is set."""

    t: float
    source: str
    kind: str
    body: Any = None
    text: str | None = None
    asked: dict[str, Any] | None = None
    ahead_seconds: float | None = None

    def line(self) -> str:
        """As a recording holds it, secrets hidden."""
        told: dict[str, Any] = {"t": round(self.t, 3), "source": self.source, "kind": self.kind}
        if self.asked is not None:
            told["asked"] = redact(self.asked)
        if self.ahead_seconds is not None:
            told["clock"] = {"ahead_s": round(self.ahead_seconds, 1)}
        if self.text is not None:
            told["text"] = redact_exposition(self.text)
        else:
            told["body"] = redact(self.body)
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False)


@dataclass(frozen=True)
class Trouble:
    """A call that gave nothing at `t` [epoch s]: why, in words without secrets."""

    t: float
    source: str
    call: str
    reason: Reason
    message: str

    def line(self) -> str:
        text = redact_text(self.message)
        told = {"t": round(self.t, 3), "source": self.source, "kind": "error", "call": self.call, "reason": self.reason}
        return json.dumps(told | {"text": text}, separators=(",", ":"), ensure_ascii=False)


@dataclass
class Call:
    """One thing that is asked: `ask` yields answers; every `every` seconds, or at each tick where that is 0."""

    name: str
    ask: Callable[[], Iterable[Answer]]
    every: float = 0.0
    due: float = 0.0


@dataclass
class Source:
    """One live system: its name in recordings, its calls, and what it can not tell."""

    name: str
    shown: str  # the address, without secrets
    calls: Sequence[Call]
    resolution: str
    cannot_tell: Sequence[str] = ()
    close: Callable[[], None] = field(default=lambda: None)

    def sample(self, everything: bool = False) -> Iterator[Answer | Trouble]:
        """Asks what is due. Never raises: a call that fails yields a Trouble, and the next one is asked.

        A system that cannot be reached, or was too slow twice, is left alone until the next tick.
        """
        slow = 0
        for call in self.calls:
            if not everything and time.monotonic() < call.due:
                continue
            began = time.monotonic()
            try:
                yield from call.ask()
                call.due = began + call.every * 0.98 if call.every else 0.0
            except LiveError as error:
                rest = ASK_DENIED_AGAIN_SECONDS if error.reason in DENIED else error.wait_seconds or 0.0
                call.due = began + rest  # else at the next tick, even of what is asked once a minute
                yield Trouble(time.time(), self.name, call.name, error.reason, str(error))
                slow += error.reason == "slow"
                if error.reason in NOBODY_THERE or slow >= SLOW_CALLS:
                    return
            except Exception as error:  # an answer of a shape that nobody foresaw must not end a night's recording
                call.due = began + call.every * 0.98  # ours to mend: the same answer would only fail again
                text = redact_text(f"{self.shown}: {type(error).__name__}: {error}")
                yield Trouble(time.time(), self.name, call.name, "failed", text)
