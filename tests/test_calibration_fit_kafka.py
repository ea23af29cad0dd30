"""Broker counters of runs simulated with known coefficients: the fit gives those back, warm-up included."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.fit import Base
from calibration.fit_kafka import BYTE, IDLE, REQUEST, fit_cpu
from calibration.kafka import Broker
from calibration.lab import Experiment, LabRun
from calibration.observations import Processes, counter
from models.coefficients import load_set
from models.stack import Scenario
from planner.scenario import example
from simulator.hosts import place
from simulator.kafka import front_of
from simulator.run import simulate

TRUE = {
    "kafka.request_cpu_seconds": 6e-5, "kafka.batch_cpu_seconds": 2e-5, "kafka.byte_cpu_seconds": 3e-9,
    "kafka.idle_cpu_cores": 0.07, "kafka.warm_amplitude": 20.0, "kafka.warm_work_seconds": 3.0,
    "kafka.fetch_byte_cpu_seconds": 1e-12,
}  # fmt: skip
STEP, RATES = 60.0, (500.0, 5000.0, 20000.0)
SET = load_set("lab-2026-11-23").with_values(TRUE)


def scenario_of(partitions: int, linger: float) -> Scenario:
    """A broker on a host of its own, fed and never read."""
    told = example("lab").model_dump(exclude_unset=True)
    flow = told["flows"][0]
    flow["workload"] |= {"size": 500, "steps": [(STEP, rate) for rate in RATES]}
    flow["topic"] |= {"partitions": partitions}
    flow["topic"]["producer"] |= {"linger": linger}
    flow["query"] |= {"trigger": 3600.0, "sink": {"kind": "noop"}}
    flow["index"] |= {"search": {"rate": 0}}
    told["hosts"] = [*told["hosts"], told["hosts"][0] | {"name": "unused"}]
    told["elasticsearch"] |= {"hosts": ["unused"]}
    told["run"] = {"jvm": "cold", "warm_up": 0.0, "measure": STEP * len(RATES), "repeats": 1}
    return Scenario.model_validate(told)


def recorded(partitions: int, linger: float) -> LabRun:
    """What a broker's exporter would have said of it, a scrape at each look of the simulator."""
    scenario = scenario_of(partitions, linger)
    trace = simulate(scenario, SET, seed=3, level="reference", exact_front=False)
    t = np.concatenate([[0.0], trace.series["time"]])
    place_of = {h.name: k for k, h in enumerate(trace.hosts)}
    cores = trace.series["utilisation"][:, place_of["core0"]]
    cpu = np.concatenate([[0.0], np.cumsum(cores * np.diff(t))])
    flow, placement = scenario.flows[0], place(scenario, SET)
    fronts = [front_of(flow, scenario.kafka, rate, placement, SET) for rate in RATES]
    step = np.minimum((0.5 * (t[1:] + t[:-1]) / STEP).astype(int), len(RATES) - 1)
    requests = [RATES[k] / fronts[k].batch_records for k in step]
    sent = [RATES[k] * fronts[k].wire_bytes for k in step]

    def total(per_second: list[float]) -> np.ndarray:
        return np.concatenate([[0.0], np.cumsum(np.array(per_second) * np.diff(t))])

    grown = {
        "cpu_seconds": cpu, "produce_requests": total(requests), "bytes_in": total(sent),
        "bytes_out": np.zeros(len(t)), "fetch_requests": np.zeros(len(t)),
    }  # fmt: skip
    counters = {n: counter(n, t.tolist(), x.tolist()) for n, x in grown.items()}
    name = f"ref-kafka-{partitions}-{linger:g}"
    plan = tuple((STEP, rate) for rate in RATES)
    asked = Experiment(name, "kafka", 500.0, partitions, plan, 0, 0, 0.0, 1, "none", 1000, 0, 0)
    nothing = Processes({}, {}, counter("steal", [0.0, 1.0], [0.0, 0.0]))
    return LabRun(
        experiment=asked, start=0.0, first_sequence=0, arrivals=None, warm_arrivals=None, acknowledgement={}, polls=(),
        batches=(), tasks=(), processes=nothing, broker=Broker(counters, 0.0), node=None, index=None, bulk=None,
        log_bytes=None,
    )  # fmt: skip


def test_a_brokers_costs_come_back_from_its_counters() -> None:
    runs = [recorded(4, 0.005), recorded(16, 0.005), recorded(4, 0.05)]
    base = Base.of(load_set("generic-2026-11").values)
    value, sigma = base.named(warm_amplitude="kafka.warm_amplitude", warm_seconds="kafka.warm_work_seconds")
    found = fit_cpu(runs, value | {"kafka.batch_cpu_seconds": 2e-5, "kafka.fetch_byte_cpu_seconds": 1e-12}, sigma)
    assert found.condition < 30 and not found.held
    for name in (REQUEST, IDLE):
        slack = 0.02 * TRUE[name]  # nothing scatters here but the looks, so intervals are narrower than those tell
        assert found.low[name] - slack <= TRUE[name] <= found.high[name] + slack, name
        assert found.value[name] == pytest.approx(TRUE[name], rel=0.05), name
    assert found.value[BYTE] == pytest.approx(TRUE[BYTE], rel=0.4)
    excess = [w * np.log1p(a) for a, w in ((found.value["warm_amplitude"], found.value["warm_seconds"]), (20.0, 3.0))]
    assert excess[0] == pytest.approx(excess[1], rel=0.25)  # what warming costs in all
