"""Answers worked out once for a scenario and a set, though many ask: storage and memory, by forecast and checks alike.

Kept by identity, as scenarios and sets do not change, and a set that notes its readers must be read: another object is
asked anew.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
MOST = 16  # scenarios under way at one time; older ones are asked anew


def once(ask: Callable[P, R]) -> Callable[P, R]:
    """The same question, its last answers kept as long as what they were asked of lives.

    >>> class Thing: ...
    >>> asked, thing = [], Thing()
    >>> tell = once(lambda x: asked.append(x) or len(asked))
    >>> tell(thing), tell(thing), tell(Thing())
    (1, 1, 2)
    """
    kept: dict[tuple[int, ...], tuple[tuple[weakref.ref[object], ...], R]] = {}

    @wraps(ask)
    def answer(*args: P.args, **options: P.kwargs) -> R:
        key = tuple(map(id, args))
        found = kept.get(key)
        if found is not None and not options and all(ref() is x for ref, x in zip(found[0], args, strict=True)):
            return found[1]
        made = ask(*args, **options)
        if not options:
            if len(kept) >= MOST:
                kept.clear()
            kept[key] = (tuple(weakref.ref(x) for x in args), made)
        return made

    return answer
