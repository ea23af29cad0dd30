"""What a control offers to choose from: the stops of a slider, the words of a choice.

Stops are round values as people say them (decades for rates, powers of two for bytes, clock times), about the present
one, which is always among them. They only ease the hand: a field takes any value within its bounds, typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from models.coefficients import packaged_sets
from models.machines import machines
from models.stack import Scenario
from models.units import DAY, GIB, HOUR, KIB, MIB, MINUTE, TIB
from planner.bill import book_of
from planner.fields import choices

DECADE = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
TIMES = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 45.0,
    MINUTE, 90.0, 2 * MINUTE, 3 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR,
    8 * HOUR, 12 * HOUR, DAY, 2 * DAY, 3 * DAY, 4 * DAY, 5 * DAY, 7 * DAY, 10 * DAY, 14 * DAY, 21 * DAY, 30 * DAY,
    45 * DAY, 60 * DAY, 90 * DAY, 180 * DAY, 365 * DAY, 2 * 365 * DAY,
)  # fmt: skip
PERCENT_GROWTH = (-10, -5, -2, 0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30)
STEPS: dict[str, tuple[float, ...]] = {  # sliders whose stops the unit alone does not tell
    "flows[].workload.growth_per_month": tuple(x / 100 for x in PERCENT_GROWTH),
    "flows[].workload.partition_skew": tuple(x / 10 for x in range(21)),
    "flows[].query.trigger": (0.0, *(t for t in TIMES if 0.5 <= t <= HOUR)),
    "money.spot_share": tuple(x / 20 for x in range(21)),
    "money.load_spread": tuple(x / 20 for x in range(21)),
    "run.measure": tuple(t for t in TIMES if 10 <= t <= 6 * HOUR),
}
SPAN = {"1/s": 100.0, "bytes/s": 100.0, "bytes": 100.0, "s": 200.0}  # a slider's ends over and under its value


def stops(path: str, unit: str, value: float | None, low: float | None, high: float | None) -> tuple[float, ...]:
    """The stops of a slider within its field's bounds, the present value among them.

    >>> stops("flows[].index.refresh_interval", "s", 1.0, 0.01, 86400)[:4]
    (0.01, 0.02, 0.05, 0.1)
    """
    found = STEPS.get(path) or _series(unit, value)
    inside = {x for x in found if (low is None or x >= low) and (high is None or x <= high)}
    return tuple(sorted(inside | ({float(value)} if value is not None else set())))


def _series(unit: str, value: float | None) -> tuple[float, ...]:
    found: tuple[float, ...]
    if unit == "s":
        found = TIMES
    elif unit in ("bytes", "bytes/s"):
        found = tuple(_binary())
    else:
        found = tuple(m * 10.0**k for k in range(10) for m in DECADE)
    if value is None or value <= 0:
        return found
    return tuple(x for x in found if value / SPAN[unit] <= x <= value * SPAN[unit])


def _binary() -> Iterator[float]:
    for scale in (1.0, KIB, MIB, GIB, TIB):
        for k in range(10):
            yield scale * 2.0**k
            yield scale * 1.5 * 2.0**k


def words(scenario: Scenario, path: str, annotation: Any, value: Any) -> tuple[Any, ...]:
    """What a choice offers, the present value among it."""
    if path == "coefficients":
        found: tuple[Any, ...] = tuple(packaged_sets())
    elif path == "money.region":
        found = book_of(scenario.money).regions("transfer/zones")
    elif path.endswith("machine"):
        found = boxes(path, scenario)
    else:
        found = choices(annotation)
    return found if value in found or value is None else (value, *found)


def boxes(path: str, scenario: Scenario) -> tuple[str, ...]:
    """Machines that a role can be bought as in the scenario's region, in the order of the machine table."""
    prefix, suffix = "ec2/on-demand/", ""
    if path == "kafka.machine" and scenario.kafka.kind == "msk-standard":
        prefix = "msk/broker/kafka."
    if path.startswith("spark.") and scenario.spark.kind == "emr-ec2":
        prefix = "emr/ec2/"
    if path.startswith("elasticsearch.") and scenario.elasticsearch.kind == "opensearch-service":
        prefix, suffix = "opensearch/node/", ".search"
    return _sold(prefix, suffix, scenario.money.region, scenario.money.price_book)


@lru_cache(maxsize=64)
def _sold(prefix: str, suffix: str, region: str, folder: str) -> tuple[str, ...]:
    from models.money import Money

    book = book_of(Money(region=region, price_book=folder))
    sold = {item.removeprefix(prefix).removesuffix(suffix) for item in book.items(region, prefix)}
    return tuple(box.name for box in machines() if box.name in sold and box.current)
