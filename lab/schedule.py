"""The open-loop schedule: when each record is due, fixed before the first is sent.

A plan is a list of steps [seconds, records a second]; record i of the plan is due where the cumulative
rate passes i. Nothing the systems do moves a due time: a slow answer makes the load late and is seen,
where a load that waits for answers would hide it (coordinated omission). Standard library only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Due times of a plan, in seconds from its start."""

    plan: tuple[tuple[float, float], ...]

    @classmethod
    def of(cls, plan: Sequence[Sequence[float]]) -> Schedule:
        return cls(tuple((float(seconds), float(rate)) for seconds, rate in plan))

    @property
    def seconds(self) -> float:
        return sum(seconds for seconds, _ in self.plan)

    @property
    def records(self) -> int:
        return sum(self._steps())

    def _steps(self) -> list[int]:
        """Records of each step; a step holds whole records, so that its corner is one."""
        return [round(seconds * rate) for seconds, rate in self.plan]

    def due(self, record: int) -> float:
        """When record `record` (0 is the first) is due [s].

        >>> Schedule.of([[10, 2], [10, 4]]).due(21)
        10.25
        """
        at = 0.0
        for (seconds, rate), records in zip(self.plan, self._steps(), strict=True):
            if record < records:
                return at + record / rate
            record, at = record - records, at + seconds
        raise IndexError("the plan has no such record")

    def by(self, elapsed: float) -> int:
        """How many records are due at that time or before.

        >>> Schedule.of([[10, 2], [10, 4]]).by(10.25)
        22
        """
        count, at = 0, 0.0
        for (seconds, rate), records in zip(self.plan, self._steps(), strict=True):
            if elapsed < at:
                break
            count += min(records, int((elapsed - at) * rate + 1e-9) + 1 if rate else 0)
            at += seconds
        return count

    def due_times(self) -> Iterator[float]:
        """All due times in order, made as they are asked for."""
        at = 0.0
        for (seconds, rate), records in zip(self.plan, self._steps(), strict=True):
            yield from (at + i / rate for i in range(records))
            at += seconds

    def corners(self) -> list[tuple[float, int]]:
        """Cumulative records at the start and after each step: straight lines between are the arrivals."""
        found, at, count = [(0.0, 0)], 0.0, 0
        for (seconds, _), records in zip(self.plan, self._steps(), strict=True):
            at, count = at + seconds, count + records
            found.append((at, count))
        return found
