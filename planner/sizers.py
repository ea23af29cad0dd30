"""Three published sizing rules for Kafka's brokers, given the same scenario, and what the simulation says of each.

None of the three simulates anything: each turns megabytes a second into machines by a multiplier that stands for what
goes wrong. AWS's script multiplies ingress by its own factors and plans at half utilisation; AWS's blog takes the
tightest of three pipes at 80 %; AKalculator gives a vCPU so many MiB/s. Here each answer is put into the scenario as
its number of brokers, and the stack is simulated. Spark and the index stay as the scenario has them: no rule here
speaks of them.
Source: peers.md A and D1 (msk_sizing.py of 2026-08-20; AWS, "Best practices for right-sizing your Apache Kafka
clusters", equation 1, its 80 % remembered; AKalculator's page of assumptions).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from models.machines import Machine, box_name, machine
from models.stack import Scenario
from models.units import HOUR, MIB
from planner.forecast import coefficients_of
from planner.lag import peak_rate
from planner.refusal import ScenarioError
from planner.shown import Shown
from planner.storage import stored_event_bytes
from pricing import msk_sizing

BLOG_SHARE = 0.8  # of the tightest pipe; remembered
CORE_IN, CORE_OUT = 5 * MIB, 15 * MIB  # bytes/s that AKalculator gives a vCPU, in and out
BROKERS = ("kafka", "broker")
FULL = 0.98  # of a host, volume or card


@dataclass(frozen=True)
class Sized:
    """One rule's answer, and the same number of brokers simulated at the scenario's peak.

    `busiest` is the fullest of a broker's CPU, network and volume there [1]. It `holds` if a broker can be gone for
    five minutes, as the drill has it, and nothing was full before that: brokers are a law in the simulation
    (docs/model.md) that does not slow down at 100 %, so that a drill alone would pass a cluster that is full.
    """

    rule: str
    brokers: int
    vcpu: int
    bound_by: str
    brokers_usd: float
    busiest: float
    busiest_what: str
    holds: bool
    why: str


@dataclass(frozen=True)
class Sizers(Shown):
    """The rules' answers for one scenario, and what they were given."""

    scenario: Scenario
    need: msk_sizing.Need
    sized: tuple[Sized, ...]


def sizers(scenario: Scenario, *, seed: int = 1) -> Sizers:
    """All rules on a scenario on MSK Standard brokers. Raises ScenarioError where AWS's script does not know them."""
    name = f"kafka.{scenario.kafka.machine.removeprefix('kafka.')}" if scenario.kafka.machine else ""
    if name not in msk_sizing.brokers():
        known = ", ".join(sorted(n for n in msk_sizing.brokers() if "Express" not in n))
        raise ScenarioError(f"kafka.machine = {scenario.kafka.machine}; the script knows {known}")
    need = need_of(scenario)
    box = machine(box_name(name))
    found = []
    for rule, brokers, why in rules(scenario, need, name, box):
        found.append(_simulated(scenario, rule, brokers, box, why, msk_sizing.brokers()[name].usd_per_hour, seed))
    return Sizers(scenario, need, tuple(found))


def need_of(scenario: Scenario) -> msk_sizing.Need:
    """What a scenario asks of the brokers, in the words of the script: bytes as they lie in the log, all topics."""
    mean = peak = out = 0.0
    for f, flow in enumerate(scenario.flows):
        size = stored_event_bytes(flow)
        mean += flow.workload.events_per_second * size
        peak += peak_rate(scenario, f) * size
        out += peak_rate(scenario, f) * size * (1 + flow.topic.consumer_groups)
    replicas = sum(flow.topic.partitions * flow.topic.copies for flow in scenario.flows)
    hours = max(flow.topic.retention for flow in scenario.flows) / HOUR
    return msk_sizing.Need(mean / MIB, peak / MIB, out / peak, replicas, hours, hours)


def rules(scenario: Scenario, need: msk_sizing.Need, name: str, box: Machine) -> Iterator[tuple[str, int, str]]:
    """Each rule's name, brokers of that machine, and what bound it."""
    answer = msk_sizing.size(msk_sizing.brokers()[name], need)
    yield "AWS script, half utilisation", answer.brokers, answer.bottleneck
    copies = max(flow.topic.copies for flow in scenario.flows)
    pipes = {
        "volume": scenario.kafka.volume.throughput / copies,
        "EBS network": box.ebs_baseline_bytes_per_second / copies,
        "network": box.network_baseline_bytes_per_second / (need.fan_out + copies - 1),
    }
    tight = min(pipes, key=lambda pipe: pipes[pipe])
    yield "AWS blog, equation 1 at 80 %", _at_least(need.peak_mib_per_second * MIB / (BLOG_SHARE * pipes[tight])), tight
    cores = max(need.peak_mib_per_second * MIB / CORE_IN, need.peak_mib_per_second * MIB * need.fan_out / CORE_OUT)
    yield "AKalculator, a vCPU for 5 MiB/s in", _at_least(cores / box.vcpu), "vCPU"


def _at_least(brokers: float) -> int:
    """Whole brokers in multiples of three, one for each zone, as MSK sells them."""
    return max(1, math.ceil(brokers / msk_sizing.BROKER_STEP)) * msk_sizing.BROKER_STEP


def _simulated(
    scenario: Scenario, rule: str, brokers: int, box: Machine, why: str, usd_an_hour: float, seed: int
) -> Sized:
    """That many brokers in the scenario: how full they are at the peak, and the day that one dies."""
    from planner.drill import drills, run_drill
    from planner.engine import simulate
    from planner.throughput import loads

    cluster = scenario.kafka.model_copy(update={"brokers": brokers})
    stack = scenario.model_copy(update={"kafka": cluster})
    c = coefficients_of(stack)
    factor = max(peak_rate(stack, f) / flow.workload.events_per_second for f, flow in enumerate(stack.flows))
    trace = simulate(stack, c, seed=seed, rate_factor=factor)
    mine = [load for load in loads(trace, stack, c, factor) if load.name.startswith(BROKERS)]
    worst = max(mine, key=lambda load: load.utilisation)
    lost = run_drill(stack, c, drills(stack)["broker-lost"], seed)
    usd = brokers * usd_an_hour * msk_sizing.HOURS
    full = worst.utilisation > FULL
    told = f"{worst.name} is full at the peak, before anything breaks" if full else lost.why
    holds = lost.holds and not full
    return Sized(rule, brokers, brokers * box.vcpu, why, usd, worst.utilisation, worst.name, holds, told)
