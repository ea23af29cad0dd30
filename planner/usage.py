"""Usage: a scenario and its runs as a month that AWS would meter.

Metered quantities are the integral of the workload's curve over the month (`planner.usage_month`). What the runs showed
is a flow's *pace* (`planner.usage_pace`); without a run it is the trigger's. Each system's part is in
`planner.usage_parts`, executors that come and go in `planner.usage_scaling`.

Where it stops being true: the pace is that of the simulated window, so a query that overruns its trigger at the peak
and not at night makes more batches than are billed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from models.coefficients import CoefficientSet
from models.money import Money
from models.stack import Scenario
from models.units import HOUR, MONTH
from planner.storage import seconds_of_rate, stored_event_bytes
from planner.usage_month import month_of, seconds_at_mean
from planner.usage_pace import Pace, pace_of, paces
from planner.usage_parts import (
    Flowing,
    batches,
    checkpoint_bytes,
    checkpoint_files,
    hosts_usage,
    kafka_usage,
    mean_index_life,
    primary_bytes,
    search_usage,
    shared_usage,
    snapshots_of,
    spark_usage,
)
from pricing.shared import AnyUsage
from pricing.usage import Account, Month

__all__ = [
    "Flowing", "Pace", "Used", "batches", "checkpoint_bytes", "checkpoint_files", "flowing", "kafka_usage",
    "mean_index_life", "month_of", "pace_of", "paces", "primary_bytes", "search_usage", "seconds_at_mean",
    "snapshots_of", "spark_usage", "used",
]  # fmt: skip


@dataclass(frozen=True)
class Used:
    """A month of the whole stack, as the price list is asked for it."""

    usages: tuple[AnyUsage, ...]
    month: Month
    rest: Account
    events: float
    payload_bytes: float


def flowing(scenario: Scenario, number: int | None = None) -> list[Flowing]:
    """Every flow's month. With a number the stack started empty that many months ago; without, retention is full."""
    found = []
    for flow in scenario.flows:
        topic, index = flow.topic.retention, mean_index_life(flow)
        until = (topic, index) if number is None else ((number + 0.5) * MONTH,) * 2
        found.append(
            Flowing(
                flow,
                flow.workload.events_per_second * seconds_at_mean(flow, scenario.money, number or 0, scenario.faults),
                stored_event_bytes(flow),
                seconds_of_rate(flow, until[0], topic),
                seconds_of_rate(flow, until[1], index),
                month_of(scenario.money, number or 0).hours * HOUR,
            )
        )
    return found


def used(
    scenario: Scenario,
    coefficients: CoefficientSet,
    pace: Mapping[str, Pace],
    *,
    number: int | None = None,
    load: float = 1.0,
    flows: Sequence[Flowing] | None = None,
) -> Used:
    """The month of the stack at `load` times its events; `flows` are given where a caller has them already."""
    flows = flows if flows is not None else flowing(scenario, number)
    if load != 1.0:
        flows = [replace(f, events=f.events * load, topic_seconds=f.topic_seconds * load,
                         index_seconds=f.index_seconds * load) for f in flows]  # fmt: skip
        pace = {name: one.at(load) for name, one in pace.items()}
    month, tags = month_of(scenario.money, number or 0), tuple(scenario.tags.items())
    parts: list[AnyUsage] = [kafka_usage(scenario, flows, tags, pace)]
    parts += spark_usage(scenario, flows, pace, month, tags)
    parts.append(search_usage(scenario, flows, coefficients, pace, month, tags))
    parts += hosts_usage(scenario, tags)
    parts.append(shared_usage(scenario.money, tags))
    events = sum(f.events for f in flows)
    payload = sum(f.events * f.flow.workload.value_bytes for f in flows)
    return Used(tuple(parts), month, _account(scenario.money), events, payload)


def _account(money: Money) -> Account:
    rest = money.account
    return Account(rest.aws_usd, rest.s3_standard, rest.internet_out, rest.custom_metrics, rest.prometheus_samples)
