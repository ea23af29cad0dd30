"""Hours that the rules of months look at, and the marks of the disks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models.coefficients import CoefficientSet
from models.elasticsearch import watermark_bytes
from models.stack import Scenario
from models.units import DAY
from planner.months_ahead import STEP, Array, Capacity, Load
from planner.months_blocks import Blocked


@dataclass(frozen=True)
class Hours:
    """What the rules look at. `level` is each hour's greatest rate over the mean rate of the scenario [1]."""

    scenario: Scenario
    c: CoefficientSet
    loads: Sequence[Load]
    series: dict[str, Array]
    capacity: Sequence[Capacity]
    shut: Blocked
    more: dict[str, Array] = field(default_factory=dict)

    @property
    def mean_level(self) -> Array:
        return np.asarray(self.series["rate"] / self._own)

    @property
    def level(self) -> Array:
        return np.asarray(self.series["rate_peak"] / self._own)

    @property
    def _own(self) -> float:
        return sum(load.flow.workload.events_per_second for load in self.loads)


def day_of(mask: Array) -> float | None:
    """Day at the end of the first hour in which it holds; None if it never does."""
    hit = np.flatnonzero(mask)
    return float(hit[0] + 1) * STEP / DAY if len(hit) else None


def marks_of(scenario: Scenario) -> dict[str, dict[str, float]]:
    """Marks of both systems' volumes [bytes]."""
    kafka, search = scenario.kafka.volume.size, scenario.elasticsearch
    marks = watermark_bytes(search.volume.size, search.kind, search.version, search.free_space_rule)
    if search.kind != "opensearch-service":
        marks.pop("write_block")
    return {"kafka": {"alarm": 0.85 * kafka, "full": kafka}, "elasticsearch": marks}
