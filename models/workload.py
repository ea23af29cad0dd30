"""The workload: how many events arrive, when, and how large they are.

A rate is a mean over time; arrivals scatter around it. An event is one Kafka record on the way in
and `documents_per_event` documents (fan-out × kept share) on the way out. `size` is asked for with
what it measures, because a raw log line, the Kafka value and the indexed JSON differ up to tenfold
(Elastic's own logs track puts agent JSON at ~10 × the raw line).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, model_validator

from models.noun import Noun
from models.units import DAY, HOUR, MONTH, WEEK, Bytes, BytesPerSecond, Fraction, PerSecond, Ratio, Seconds, field


def _arrivals(value: Any) -> Any:
    return {"deterministic": 0.0, "poisson": 1.0}.get(value, value) if isinstance(value, str) else value


Dispersion = Annotated[float, BeforeValidator(_arrivals)]


class Burst(Noun):
    """A stretch of time with another rate: a campaign, a replay, a morning peak."""

    at: Seconds = field(unit="s", meaning="when it starts, from the start of the simulation", ge=0)
    duration: Seconds = field(unit="s", meaning="how long it lasts", gt=0)
    factor: Ratio = field(unit="1", meaning="the rate during it, over the usual one", ge=0, le=1000)


class Workload(Noun):
    """Events into one topic."""

    not_modelled: ClassVar[dict[str, str]] = {
        "key_cardinality": "no law here reads it; say how uneven partitions are with partition_skew",
        "schema": "the mapping's cost class is index.mapping; the codec is topic.producer.compression",
    }

    rate: PerSecond | None = field(None, unit="1/s", meaning="mean events a second at the start", gt=0, le=1e9)
    size: Bytes | None = field(
        None, unit="bytes", meaning="mean size of one event, measured as size_is says", gt=0, le=1024.0**3
    )
    bytes_per_second: BytesPerSecond | None = field(
        None, unit="bytes/s", meaning="rate × size; give any two of the three", gt=0, le=1e13
    )
    size_is: Literal["value", "raw", "json"] = field(
        "value", unit="", meaning="what size measures: the Kafka value, the raw line before it, or the indexed JSON"
    )
    value_per_raw: Ratio = field(1.0, unit="1", meaning="Kafka value bytes over raw line bytes", gt=0, le=100)
    json_per_value: Ratio = field(1.0, unit="1", meaning="indexed JSON bytes over Kafka value bytes", gt=0, le=100)
    size_cv: Ratio = field(0.0, unit="1", meaning="coefficient of variation of the event size", ge=0, le=20)
    arrivals: Dispersion = field(
        1.0,
        unit="1",
        meaning="index of dispersion of arrivals: variance over mean of the count in a short time; "
        "'deterministic' is 0, 'poisson' is 1, bursty sources lie above",
        ge=0,
        le=1e6,
    )
    partition_skew: Ratio = field(
        0.0,
        unit="1",
        meaning="Zipf exponent of the partitions' shares; 0 is even, 1 gives the k-th a share ~ 1/k",
        ge=0,
        le=5,
    )
    kept: Fraction = field(1.0, unit="1", meaning="share of events that the query's filter lets through", gt=0, le=1)
    fan_out: Ratio = field(1.0, unit="1", meaning="documents written for each event kept", gt=0, le=1000)
    daily_curve: tuple[Ratio, ...] = field(
        (), unit="1", meaning="relative rate of equal parts of a day (24 values: hours); scaled to mean 1"
    )
    weekly_curve: tuple[Ratio, ...] = field((), unit="1", meaning="relative rate of the seven days; scaled to mean 1")
    growth_per_month: Fraction = field(0.0, unit="1", meaning="growth of the rate a month, compounded", gt=-1, le=10)
    bursts: tuple[Burst, ...] = field((), unit="", meaning="stretches with another rate")
    steps: tuple[tuple[Seconds, PerSecond], ...] = field(
        (), unit="s, 1/s", meaning="a recorded or planned series: (duration, events a second) one after another"
    )
    recorded: str | None = field(None, unit="", meaning="CSV or Parquet file of a recorded series: time and rate")

    @model_validator(mode="after")
    def _complete(self) -> Workload:
        given = [name for name in ("rate", "size", "bytes_per_second") if getattr(self, name) is not None]
        if self.steps or self.recorded:
            if self.size is None or len(given) > 1:
                raise ValueError("with steps or recorded give size, and neither rate nor bytes_per_second")
            if self.steps and self.recorded:
                raise ValueError("give steps or recorded, not both")
        elif len(given) < 2:
            raise ValueError("give two of rate, size, bytes_per_second (for example rate: 5k/s and size: 800 B)")
        elif len(given) == 3 and not math.isclose(self._product(), self.bytes_per_second or 0, rel_tol=1e-6):
            raise ValueError("rate × size differs from bytes_per_second; give two of the three")
        for name, count in (("daily_curve", 1), ("weekly_curve", 7)):
            curve = getattr(self, name)
            if curve and (len(curve) % count or min(curve) < 0 or sum(curve) <= 0):
                raise ValueError(f"{name} needs {'7 values' if count == 7 else 'values'} ≥ 0, not all 0")
        if any(duration <= 0 or rate < 0 for duration, rate in self.steps):
            raise ValueError("steps need durations > 0 and rates ≥ 0")
        return self

    def _product(self) -> float:
        return (self.rate or 0.0) * (self.size or 0.0)

    @property
    def event_bytes(self) -> float:
        """Mean of what `size` measures [bytes]."""
        if self.size is not None:
            return self.size
        return (self.bytes_per_second or 0.0) / (self.rate or 1.0)

    @property
    def value_bytes(self) -> float:
        """Mean Kafka value [bytes]."""
        per_size = {"value": 1.0, "raw": self.value_per_raw, "json": 1 / self.json_per_value}
        return self.event_bytes * per_size[self.size_is]

    @property
    def json_bytes(self) -> float:
        """Mean JSON of one document sent to the index [bytes]; fan-out repeats it, it does not split it."""
        return self.value_bytes * self.json_per_value

    @property
    def documents_per_event(self) -> float:
        """Documents indexed for each event produced [1]."""
        return self.kept * self.fan_out

    @property
    def events_per_second(self) -> float:
        """Mean rate at the start, before curves and bursts [1/s]; of a series, its time mean."""
        if self.steps:
            return sum(d * r for d, r in self.steps) / sum(d for d, _ in self.steps)
        if self.rate is not None:
            return self.rate
        return (self.bytes_per_second or 0.0) / self.event_bytes

    def factor_at(self, seconds: float) -> float:
        """Rate at a time over `events_per_second`, by curves, growth and bursts [1].

        >>> w = Workload(rate=100, size=1, daily_curve=(1, 3), growth_per_month=0.1)
        >>> w.factor_at(0), w.factor_at(18 * 3600) > 1.5
        (0.5, True)
        """
        factor = float((1 + self.growth_per_month) ** (seconds / MONTH))
        for curve, period in ((self.daily_curve, DAY), (self.weekly_curve, WEEK)):
            if curve:
                part = int(seconds % period / period * len(curve))
                factor *= curve[part] * len(curve) / sum(curve)
        for burst in self.bursts:
            if burst.at <= seconds < burst.at + burst.duration:
                factor *= burst.factor
        return factor

    def corners(self, until: float) -> tuple[list[float], list[float]]:
        """The rate as steps: times at which it changes [s] and the rate from each on [1/s], to `until`.

        Growth is followed hour by hour. After the last step of a series the rate is 0.
        """
        if self.steps:
            times, rates, now = [], [], 0.0
            for duration, rate in self.steps:
                times.append(now)
                rates.append(rate)
                now += duration
            return [*times, now], [*rates, 0.0]
        marks = {0.0}
        for curve, period in ((self.daily_curve, DAY), (self.weekly_curve, WEEK)):
            if curve:
                width = period / len(curve)
                marks |= {k * width for k in range(int(until / width) + 1)}
        if self.growth_per_month:
            marks |= {k * HOUR for k in range(int(until / HOUR) + 1)}
        for burst in self.bursts:
            marks |= {burst.at, burst.at + burst.duration}
        times = sorted(t for t in marks if t <= until)
        base = self.events_per_second
        return times, [base * self.factor_at(t) for t in times]

    def partition_shares(self, partitions: int) -> list[float]:
        """Share of the events that each partition takes, largest first; sums to 1 [1]."""
        weights = [(k + 1.0) ** -self.partition_skew for k in range(partitions)]
        total = sum(weights)
        return [w / total for w in weights]
