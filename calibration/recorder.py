"""Recorder: samples live systems into one file that a crash cannot spoil and that others may read meanwhile.

Each answer is one line of JSON, written whole, in append mode, and on the disk (fsync) before the next is
asked: a kill at any time loses at most the sample in flight, whose torn line readers pass over and the
next recorder cuts off. Each system is asked in a thread of its own, on a grid of times; one that is
slow skips grid points, and every point without an answer is a gap that the summary counts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from calibration.live import Answer, LiveError, Source, Trouble
from calibration.secrets import redact

FORMAT = 1
MOST_BYTES = 8 * 1024**3
TAIL = 1024 * 1024


class Journal:
    """A file of lines to which one process appends; see the module's words on crashes."""

    def __init__(self, path: Path, go_on: bool = False, most_bytes: int = MOST_BYTES) -> None:
        if path.suffix == ".gz":
            plainly = "record plainly and gzip it afterwards (import reads both)"
            raise LiveError("settings", f"{path}: of a gzip a crash loses more than the sample in flight; {plainly}")
        if path.exists() and not go_on:
            raise LiveError("settings", f"{path} exists; give another name, or --append to go on with it")
        if not path.absolute().parent.is_dir():
            raise LiveError("settings", f"{path}: there is no folder '{path.parent}'")
        self.path, self.most_bytes, self.lock = path, most_bytes, threading.Lock()
        self.cut = 0
        self.file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.file)
            raise LiveError("settings", f"{path}: another recording writes to it") from None
        self.size = self._whole_lines()

    def _whole_lines(self) -> int:
        """Cuts off what a crash left after the last whole line; the size then."""
        size = os.fstat(self.file).st_size
        tail = os.pread(self.file, min(size, TAIL), max(size - TAIL, 0))
        if not tail or tail.endswith(b"\n"):
            return size
        whole = size - len(tail) + tail.rfind(b"\n") + 1
        if b"\n" not in tail and size > TAIL:
            raise LiveError("settings", f"{self.path}: its last MiB has no line end; is it a recording?")
        self.cut = size - whole
        os.ftruncate(self.file, whole)
        return whole

    def write(self, line: str) -> int:
        """One line, on the disk when this returns; its bytes. Raises LiveError where the disk or the bound is full."""
        raw = line.encode("utf-8", errors="replace") + b"\n"
        with self.lock:
            if self.size + len(raw) > self.most_bytes:
                raise LiveError("too large", f"{self.path}: would pass {self.most_bytes:,} bytes (--most)")
            try:
                done = 0
                while done < len(raw):
                    done += os.write(self.file, raw[done:])
                os.fsync(self.file)
            except OSError as error:
                with contextlib.suppress(OSError):
                    os.ftruncate(self.file, self.size)
                raise LiveError("failed", f"{self.path}: {error.strerror}") from None
            self.size += len(raw)
        return len(raw)

    def close(self) -> None:
        os.close(self.file)


@dataclass
class Tally:
    """What one source gave: answers, bytes, ticks without any answer, what failed by call, clock ahead [s]."""

    answers: int = 0
    bytes: int = 0
    ticks: int = 0
    empty_ticks: int = 0
    skipped_ticks: int = 0
    longest_gap_seconds: float = 0.0
    last_answer: float | None = None
    failed: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    ahead_seconds: float | None = None

    def see(self, seen: Answer | Trouble, written: int) -> bool:
        """Counts it; whether it is trouble that was not told before."""
        self.bytes += written
        if isinstance(seen, Answer):
            if self.last_answer is not None:
                self.longest_gap_seconds = max(self.longest_gap_seconds, seen.t - self.last_answer)
            self.last_answer = seen.t
            self.answers += 1
            self.ahead_seconds = seen.ahead_seconds if seen.ahead_seconds is not None else self.ahead_seconds
            return False
        self.failed[seen.call] = self.failed.get(seen.call, 0) + 1
        new = self.troubles.get(seen.call) is None
        self.troubles[seen.call] = seen.message
        return new


@dataclass
class Recorder:
    """Asks each source on a grid of `every` seconds for `length` seconds (None: until stopped)."""

    sources: Sequence[Source]
    journal: Journal
    every: float
    length: float | None
    tell: Callable[[str], None]
    over: threading.Event = field(default_factory=threading.Event)
    failure: LiveError | None = None
    tallies: dict[str, Tally] = field(default_factory=dict)

    def begin(self, asked: dict[str, Any]) -> list[Trouble]:
        """Asks everything once; the troubles of sources that gave nothing at all, with what each call said."""
        self.journal.write(json.dumps({"t": round(time.time(), 3), "source": "record", "kind": "header",
                                       "body": {"floodmark_recording": FORMAT, **redact(asked)}}))  # fmt: skip
        silent: list[Trouble] = []

        def ask(source: Source) -> None:
            self.tallies[source.name] = Tally()
            answers, troubles = self._tick(source, everything=True)
            if answers:
                self._tell(troubles)
            else:
                silent.extend(troubles)

        self._each(ask, join=True)
        return silent

    def _tell(self, troubles: Sequence[Trouble]) -> None:
        for text in in_words(troubles):
            self.tell(text)

    def run(self) -> dict[str, Any]:
        """Until the time is up, `over` is set or the file is full; the summary, which is the last line too."""
        began = time.monotonic()
        threads = self._each(lambda source: self._follow(source, began))
        while any(thread.is_alive() for thread in threads):
            for thread in threads:
                thread.join(0.2)
        return self.finish()

    def finish(self) -> dict[str, Any]:
        summary = {"sources": {name: asdict(tally) for name, tally in self.tallies.items()}, "bytes": self.journal.size}
        with contextlib.suppress(LiveError):
            line = {"t": round(time.time(), 3), "source": "record", "kind": "end", "body": summary}
            self.journal.write(json.dumps(redact(line)))
        for source in self.sources:
            with contextlib.suppress(Exception):  # a connection that cannot be closed in order is closed with us
                source.close()
        self.journal.close()
        if self.failure is not None:
            raise self.failure
        return summary

    def _each(self, work: Callable[[Source], None], join: bool = False) -> list[threading.Thread]:
        threads = [threading.Thread(target=work, args=(source,), daemon=True) for source in self.sources]
        for thread in threads:
            thread.start()
        for thread in threads if join else ():
            while thread.is_alive():
                thread.join(0.2)
        return threads

    def _follow(self, source: Source, began: float) -> None:
        due = began + self.every
        while not self.over.wait(max(due - time.monotonic(), 0.0)):
            if self.length is not None and due > began + self.length + 1e-6:
                return
            self._tell(self._tick(source)[1])
            late = int(max(time.monotonic() - due, 0.0) // self.every)
            self.tallies[source.name].skipped_ticks += late
            due += self.every * (1 + late)

    def _tick(self, source: Source, everything: bool = False) -> tuple[int, list[Trouble]]:
        """One tick of one source: answers, and troubles that were not seen before."""
        tally, new, answers = self.tallies[source.name], [], 0
        tally.ticks += 1
        for seen in source.sample(everything):
            try:
                written = self.journal.write(seen.line())
            except LiveError as error:
                self.failure = error
                self.over.set()
                return answers, []
            if tally.see(seen, written) and isinstance(seen, Trouble):
                new.append(seen)
            answers += isinstance(seen, Answer)
            if self.over.is_set():
                break
        tally.empty_ticks += not answers
        return answers, new


def in_words(troubles: Sequence[Trouble]) -> list[str]:
    """A line for each source and reason; calls that were refused alike are counted."""
    alike: dict[tuple[str, str], list[Trouble]] = {}
    for one in troubles:
        alike.setdefault((one.source, one.reason), []).append(one)
    return [
        f"{many[0].source}: {many[0].message}" + (f" (and {len(many) - 1} more calls alike)" if many[1:] else "")
        for many in alike.values()
    ]


def told(summary: dict[str, Any], path: Path) -> list[str]:
    """The summary in words, a line a source and a line a call that failed."""
    lines = [f"{path}: {summary['bytes']:,} bytes"]
    for name, one in summary["sources"].items():
        holes = one["empty_ticks"] + one["skipped_ticks"]
        text = f"{name}: {one['answers']:,} answers in {one['ticks']:,} ticks"
        text += f", {holes} without any (longest gap {one['longest_gap_seconds']:.0f} s)" if holes else ""
        if one["ahead_seconds"] is not None:
            side = "ahead of" if one["ahead_seconds"] > 0 else "behind"
            text += f"; its clock is {abs(one['ahead_seconds']):.1f} s {side} ours"
        lines.append(text)
        lines += [f"  {times} x {call}: {one['troubles'][call]}" for call, times in one["failed"].items()]
    return lines
