"""The front: what less money, less latency or more resilience would make of the stack; no point is beaten in all three.

Each point is a joint stack, found by the same search under other wants and simulated. Resilience counts what may be
lost at once while writes go on: nothing, a broker or a data node, a whole zone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from planner.candidates import Builder
from planner.candidates_wants import Wants
from planner.recommend_search import Found, Search
from planner.recommend_stack import Stack

LEVELS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("nothing lost", (), 1),
    ("a broker or a data node lost", ("broker", "data-node"), 2),
    ("a zone lost", ("broker", "data-node", "zone"), 2),
)
FACTORS = (0.5, 2.0)  # on the promised p99


@dataclass(frozen=True)
class Point:
    """One point of the front: its price, its simulated p99, what it survives."""

    stack: Stack
    usd: float
    p99: float
    survives: str
    level: int

    def as_dict(self) -> dict[str, Any]:
        return {"usd": round(self.usd, 2), "p99_seconds": self.p99, "survives": self.survives,
                "stack": self.stack.as_dict()}  # fmt: skip

    def beaten_by(self, other: Point) -> bool:
        """Whether another is no worse in anything and better in something."""
        mine, theirs = (self.usd, self.p99, -self.level), (other.usd, other.p99, -other.level)
        return theirs != mine and all(b <= a for a, b in zip(mine, theirs, strict=True))


def level_of(wants: Wants) -> int:
    """Which of the levels the wants ask for."""
    return 2 if "zone" in wants.survive else 1 if wants.survive else 0


def front(search: Search, found: Found, trials: int, said: Callable[[str, int, int], None]) -> list[Point]:
    """Points around the recommended stack: half and twice the p99, and the other levels of resilience."""
    wants, best, outcome = search.wants, found.best, found.outcome
    if best is None or outcome is None:
        return []
    points = [Point(best, best.usd, outcome.p99, LEVELS[level_of(wants)][0], level_of(wants))]
    asked: list[tuple[int, Wants]] = []
    if wants.p99 is not None:
        asked += [(level_of(wants), replace(wants, p99=wants.p99 * factor)) for factor in FACTORS]
    for level, (_, losses, copies) in enumerate(LEVELS):
        if level != level_of(wants):
            floor = copies if level < level_of(wants) else 0
            asked.append((level, replace(wants, survive=losses, topic_floor=floor, index_floor=floor)))
    for n, (level, other) in enumerate(asked):
        said(f"front: {LEVELS[level][0]}", n, len(asked))
        if (point := _point(search, other, level, trials)) is not None:
            points.append(point)
    kept = [p for p in points if not any(p.beaten_by(q) for q in points)]
    return sorted({p.stack.key: p for p in kept}.values(), key=lambda p: p.usd)


def _point(search: Search, wants: Wants, level: int, trials: int) -> Point | None:
    old = search.builder
    builder = Builder(old.scenario, old.c, wants, old.prices.region, old.growth, old)
    other = Search(builder, search.trials, wants)
    answer: Found = other.solve(trials)
    if answer.interrupted:
        raise KeyboardInterrupt
    if answer.best is None or answer.outcome is None:
        return None
    return Point(answer.best, answer.best.usd, answer.outcome.p99, LEVELS[level][0], level)
