"""Executors that come and go, as the bill meets them: hosts held on the mean, by walking the scaling policy.

Under dynamic allocation executors come and go on nodes that stay, so the most that there may be are paid all month.
Under managed scaling nodes come and go too: the policy is walked over a day (a week where the load has one) at half to
four times the load, so that a larger month holds more. Where it stops being true: the walk starts from the scenario's
own number of executors, and several queries in one application are not walked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.refusal import ScenarioError
from planner.usage_pace import Hosted, Pace

LOADS = (0.5, 1.0, 2.0, 4.0)  # multiples of the load that the policy is walked at
Hosts = tuple[tuple[float, float], ...]


def hosts_by_scaling(scenario: Scenario, coefficients: CoefficientSet, seed: int = 1) -> Hosts:
    """Executors' hosts on the mean over a day or week at multiples of the load; nothing where none is paid by the
    policy (nothing is stated, hosts are named, the policy cannot be walked)."""
    said = scenario.spark.scaling
    if said is None or scenario.spark.hosts:
        return ()
    if said.kind != "managed":
        return ((1.0, float(said.most)),)
    from planner.scaling import paid_executors

    found, most = [], 0.0
    for load in LOADS:
        try:
            most = max(most, paid_executors(_at(scenario, load), coefficients, seed=seed))
        except ScenarioError:
            return ()
        found.append((load, most))
    return tuple(found)


def _at(scenario: Scenario, load: float) -> Scenario:
    """The scenario at a multiple of its load."""
    flow = scenario.flows[0]
    said = flow.workload
    more = {name: value * load for name in ("rate", "bytes_per_second") if (value := getattr(said, name)) is not None}
    workload = said.model_copy(update={**more, "steps": tuple((t, rate * load) for t, rate in said.steps)})
    return scenario.model_copy(update={"flows": (flow.model_copy(update={"workload": workload}), *scenario.flows[1:])})


def with_hosts(
    pace: Mapping[str, Pace], scenario: Scenario, coefficients: CoefficientSet, seed: int = 1
) -> dict[str, Pace]:
    """The paces with the hosts that the scaling policy holds."""
    held = hosts_by_scaling(scenario, coefficients, seed)
    return {name: _hosted(one, held) for name, one in pace.items()}


def _hosted(pace: Pace, hosts: Hosts) -> Hosted:
    return Hosted(**{f.name: getattr(pace, f.name) for f in fields(Pace)}, hosts=hosts)


def held_as(pace: Mapping[str, Pace], other: Mapping[str, Pace]) -> dict[str, Pace]:
    """The paces with the hosts of others of the same flows."""
    found = {}
    for name, one in pace.items():
        like = other[name]
        found[name] = _hosted(one, like.hosts) if isinstance(like, Hosted) else one
    return found


def hosts_told(scenario: Scenario, pace: Mapping[str, Pace]) -> Iterator[str]:
    """What a reader must know of executors that come and go."""
    said, spark = scenario.spark.scaling, scenario.spark
    if said is None or spark.hosts:
        return
    hosts = next(iter(pace.values())).hosts_at(1.0)
    if hosts is None:
        yield (
            f"executors come and go (spark.scaling), but this policy cannot be walked ahead: spark.executors = "
            f"{spark.executors} are billed all month"
        )
    elif said.kind == "managed":
        yield f"{hosts:.4g} executors' nodes are held on the mean by managed scaling, of {said.least} to {said.most}"
    else:
        yield (
            f"executors come and go on nodes that stay: room for {hosts:.4g} is billed all month (spark.scaling.most); "
            "kind = 'managed' gives nodes back"
        )
