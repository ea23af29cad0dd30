"""A laboratory run before it is run: its plan as a run without recordings, forecast as the back-test forecasts one.

What the plan cannot know is taken from the recordings that there are: how long the pause after the warm-up lasts, how
far apart the probe's answers come and how long each takes.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from calibration.lab import LabRun, load_run, read_experiment
from calibration.observations import Counter, Curve, Poll, Processes
from lab.experiment import read, recorded
from models.coefficients import CoefficientSet
from planner.backtest_forecast import Poller, batches_of, foreseen, interval
from planner.backtest_scenario import outages, scenario_of
from planner.engine import simulate
from planner.uncertainty import Z, model_law, model_sigma

PLAN = ((65, 900), (25, 6000))  # [s, records/s]: what was asked for, then more than can be carried
RESULTS = Path(__file__).parents[2] / "lab" / "results"
EARLIER = ("fit-pipe-2s", "fit-pipe-2s-again", "fit-pipe-8-partitions-4s")  # pipes that nothing was done to
SEEDS, DRAWS = tuple(range(1, 9)), 12


def planned(path: Path) -> LabRun:
    """An experiment file as a run that has not been run: due times and probes, nothing measured."""
    experiment = read(path)
    with tempfile.TemporaryDirectory() as work:
        said = Path(work) / "experiment.json"
        said.write_text(json.dumps(recorded(experiment, 1, False)), encoding="utf-8")
        asked = read_experiment(said)
    pause, spacing, response = usual()
    warm = asked.warm_seconds
    start = warm + pause
    end = start + sum(seconds for seconds, _ in asked.plan)
    answered = np.arange(start, end, spacing)
    corners = np.concatenate([[0.0], np.cumsum([seconds for seconds, _ in asked.plan])])
    counts = np.concatenate([[0.0], np.cumsum([seconds * rate for seconds, rate in asked.plan])])
    polls = tuple(Poll(float(t) - response, float(t), {}, {}) for t in answered)
    nothing = Processes({}, {}, Counter("steal", np.zeros(2), np.zeros(2)))
    return LabRun(
        asked, start, int(warm * asked.warm_rate), Curve(start + corners, counts),
        Curve(np.array([0.0, warm]), np.array([0.0, warm * asked.warm_rate])), {}, polls, (), (), nothing,
        None, None, None, None, None,
    )  # fmt: skip


@cache
def usual() -> tuple[float, float, float]:
    """Medians over earlier pipes: pause after the warm-up, spacing and response of the probe [s]."""
    found = []
    for run in (load_run(RESULTS / "2026-11-23-epyc-2core" / name) for name in EARLIER):
        poller = Poller.of(run)
        assert run.warm_arrivals is not None
        found.append((run.start - float(run.warm_arrivals.t[-1]), poller.spacing, poller.response))
    pause, spacing, response = np.median(np.array(found), axis=0)
    return float(pause), float(spacing), float(response)


def predicted(path: Path, c: CoefficientSet) -> list[dict[str, Any]]:
    """What a recording of an experiment is going to show, each value with its 90 % interval."""
    run = planned(path)
    trace = simulate(scenario_of(run), c, seed=SEEDS[0], outages=outages(run))
    run = replace(run, batches=batches_of(run, trace))  # an overloaded step is told by its batches
    forecast = foreseen(run, c, SEEDS, DRAWS)
    rows = []
    for (part, quantity), value in forecast.values.items():
        row: dict[str, Any] = {"part": part, "quantity": quantity, "unit": value.unit, "value": round(value.value, 6)}
        if model_law(quantity):
            spread = forecast.spread((part, quantity))
            row["interval"] = [round(x, 6) for x in interval(value.value, spread, model_sigma(c, quantity), Z)]
        rows.append(row)
    return rows
