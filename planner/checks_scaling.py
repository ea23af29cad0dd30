"""Checks of executors that come and go."""

from __future__ import annotations

import math
from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.stack import Scenario
from models.units import show
from planner.findings import Finding


def never_idle(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    """With a task in every batch an executor is never idle for as long as the timeout."""
    scaling = scenario.spark.scaling
    if scaling is None:
        return
    for k, flow in enumerate(scenario.flows):
        if 0 <= flow.query.trigger < scaling.idle_timeout:
            yield Finding(
                "scaling-never-in", "warning", "spark.scaling.idle_timeout",
                "executors are added and hardly ever let go: each batch gives them a task",
                f"flows[{k}].query.trigger = {show(flow.query.trigger, 's')}, idle_timeout = "
                f"{show(scaling.idle_timeout, 's')}", "an idle_timeout below the trigger, or a fixed number of "
                "executors",
                "spark.md B2: with batches under 60 s executors never look idle",
            )  # fmt: skip


def bounded_by_partitions(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    scaling, spark = scenario.spark.scaling, scenario.spark
    if scaling is None:
        return
    tasks = max(
        max(f.topic.partitions, f.query.min_partitions or 0, f.query.state.shuffle_partitions if f.query.state else 0)
        for f in scenario.flows
    )
    useful = math.ceil(tasks / spark.cores)
    if scaling.most > useful:
        yield Finding(
            "scaling-bounded", "info", "spark.scaling.most", "more executors than tasks can use are never asked for",
            f"most = {scaling.most}; {tasks} tasks of the widest stage on {spark.cores} cores each use {useful}",
            f"most: {useful}, or more partitions", "spark.md L7; apache/spark#19233",
        )  # fmt: skip


def too_slow(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    scaling = scenario.spark.scaling
    if scaling is None:
        return
    comes = scaling.backlog_timeout + scaling.start + (scaling.node_start if scaling.kind == "managed" else 0.0)
    for k, flow in enumerate(scenario.flows):
        trigger = flow.query.trigger
        if trigger > 0 and comes > 3 * trigger:
            yield Finding(
                "scaling-late", "info", "spark.scaling.start", "what a burst asks for comes batches later",
                f"{show(comes, 's')} from waiting tasks to a running executor, {comes / trigger:.0f} triggers of "
                f"flows[{k}]", "executors kept for the burst (least), or a longer trigger", "spark.md A8, B2",
            )  # fmt: skip


def emr_s_default(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    if scenario.spark.kind == "emr-ec2" and scenario.spark.scaling is None:
        yield Finding(
            "scaling-emr-default", "info", "spark.scaling", "EMR turns dynamic allocation on unless it is told not to",
            f"scaling is not stated: the forecast keeps {scenario.spark.executors} executors",
            "spark.dynamicAllocation.enabled=false, or state scaling", "spark.md B2: on by default on EMR since 4.4.0",
        )  # fmt: skip
