"""A cluster is anchored node by node: a total that comes out right does not excuse one node that does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.lab import LabRun, OneNode, load_run
from calibration.observations import Counter, Gauge
from models.coefficients import load_set
from models.stack import Scenario
from planner.calibrate import replayed, why_unanchored
from planner.calibrate_nodes import by_node, worst
from planner.scenario import example

PIPE = Path(__file__).parent.parent / "lab" / "results" / "2026-11-23-epyc-2core" / "fit-pipe-2s"
LAB = load_set("lab-2026-11-23")
BROKERS = ("b1", "b2")


@pytest.fixture(scope="module")
def run() -> LabRun:
    """A recorded load as if exported from a stack with two brokers on hosts of their own."""
    told = example("lab").model_dump(exclude_unset=True)
    told["hosts"] = [*told["hosts"], *(told["hosts"][0] | {"name": name} for name in BROKERS)]
    told["kafka"] |= {"brokers": 2, "hosts": list(BROKERS)}
    recorded = load_run(PIPE)
    return replace(
        recorded, experiment=replace(recorded.experiment, set="exported", stack=Scenario.model_validate(told))
    )


def as_recorded(run: LabRun, cores: tuple[float, float], grown: tuple[float, float] | None = None) -> LabRun:
    """The run with each broker's CPU, and what its disk grew by, as somebody's metrics would say it."""
    start, end = run.window()
    t = np.linspace(start, end, 20)
    nodes = []
    for k, name in enumerate(BROKERS):
        disk = Gauge(f"{name} log", t, np.linspace(1e9, 1e9 + grown[k], 20)) if grown else None
        nodes.append(OneNode("kafka", name, Counter(f"{name} CPU", t, 7.0 + cores[k] * (t - start)), disk))
    return replace(run, nodes=tuple(nodes))


@pytest.fixture(scope="module")
def forecast(run: LabRun) -> list[float]:
    """What each broker is forecast to use [cores]."""
    found = by_node(as_recorded(run, (1.0, 1.0)), LAB, [1, 2])
    return [told for told, _ in found["CPU of kafka, node by node"]]


def test_nodes_are_paired_by_rank_as_they_share_no_names(run: LabRun, forecast: list[float]) -> None:
    [pairs] = by_node(as_recorded(run, (0.1, 0.4)), LAB, [1, 2]).values()
    assert pairs == [(pytest.approx(max(forecast)), pytest.approx(0.4)), (pytest.approx(min(forecast)), 0.1)]


def test_a_right_total_with_a_skewed_node_is_unanchored(run: LabRun, forecast: list[float]) -> None:
    busiest, other = max(forecast), min(forecast)
    even = {m.quantity: m for m in replayed([as_recorded(run, (busiest, other))], LAB)}
    skewed = {m.quantity: m for m in replayed([as_recorded(run, (1.6 * busiest, 0.4 * other))], LAB)}
    assert even["CPU of kafka, node by node"].holds and even["CPU of kafka, node by node"].parts == 2
    match = skewed["CPU of kafka, node by node"]
    assert not match.holds and "CPU of kafka, node by node" in why_unanchored([match])


def test_disks_that_grow_as_forecast_match_and_a_shrinking_one_says_nothing(run: LabRun) -> None:
    nothing = by_node(as_recorded(run, (0.1, 0.1), (1e8, -1e8)), LAB, [1])
    assert "disk of kafka, node by node" not in nothing
    pairs = by_node(as_recorded(run, (0.1, 0.1), (1e8, 1e8)), LAB, [1])["disk of kafka, node by node"]
    records = sum(seconds * rate for seconds, rate in run.experiment.plan)
    assert 2 * pairs[0][0] == pytest.approx(records * run.experiment.record_bytes, rel=0.1)  # and framing
    assert worst(pairs) == pytest.approx(pairs[0][0] / 1e8 - 1)


def test_single_nodes_and_laboratory_runs_are_matched_as_systems_only(run: LabRun) -> None:
    assert not by_node(replace(run, experiment=replace(run.experiment, set="fit")), LAB, [1])
    assert not by_node(run, LAB, [1])
