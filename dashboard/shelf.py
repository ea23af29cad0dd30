"""Answers kept by the question: equal scenarios have equal forecasts, whoever asks, so all sessions share a shelf."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any


class Shelf:
    """The answers used last, at most so many."""

    def __init__(self, most: int = 48) -> None:
        self.most, self.kept, self.lock = most, OrderedDict[str, Any](), threading.Lock()

    def get(self, name: str) -> Any | None:
        with self.lock:
            if name in self.kept:
                self.kept.move_to_end(name)
            return self.kept.get(name)

    def put(self, name: str, answer: Any) -> None:
        with self.lock:
            self.kept[name] = answer
            self.kept.move_to_end(name)
            while len(self.kept) > self.most:
                self.kept.popitem(last=False)

    def ask(self, name: str, question: Callable[[], Any]) -> Any:
        """The answer kept under a name, or the question's, kept from now on."""
        found = self.get(name)
        if found is None:
            found = question()
            self.put(name, found)
        return found
