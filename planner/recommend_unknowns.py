"""Unknowns: inputs that are not sure, as intervals or distributions, correlated where the user says so.

An `uncertain:` block, in the scenario file or one of its own, gives a law for each field by its path:

    uncertain:
      flows[0].workload.rate: {low: 1500/s, likely: 2500/s, high: 5000/s}    # 5 %, 50 %, 95 %
      flows[0].workload.size: {uniform: [600 B, 1100 B]}
      correlated: [{between: [flows[0].workload.rate, flows[0].workload.size], by: 0.6}]

Causes are drawn, effects follow: a drawn rate moves bytes, batches and disk together. Coefficients bring intervals of
their own (`coefficients: false` keeps them central). Draws are scrambled Sobol points, one dimension an unknown, made
normal and correlated by a Gaussian copula.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from models.coefficients import CoefficientSet
from models.stack import Scenario
from planner.fields import leaves
from planner.refusal import ScenarioError, house_lines
from planner.uncertainty import FURTHEST, Z, carried, drawn_values

Array = np.ndarray[Any, np.dtype[Any]]
LAWS = {"uniform": 2, "triangular": 3, "normal": 2, "lognormal": 2}
KEYS = ("low", "likely", "high")
LEAST_EIGENVALUE = 1e-9  # of a correlation matrix: below, the correlations contradict each other


@dataclass(frozen=True)
class Unknown:
    """One field's law: its name and numbers in the field's own unit."""

    path: str
    law: str
    numbers: tuple[float, ...]

    def at(self, normals: Array) -> Array:
        """Values at standard normal draws."""
        from scipy.special import ndtr
        from scipy.stats import triang

        z = np.clip(normals, -FURTHEST, FURTHEST)
        if self.law == "interval":
            low, likely, high = self.numbers
            return _two_sided(low, likely, high, z)
        share = ndtr(z)
        if self.law == "uniform":
            return np.asarray(self.numbers[0] + share * (self.numbers[1] - self.numbers[0]))
        if self.law == "triangular":
            low, top, high = self.numbers
            return np.asarray(triang.ppf(share, (top - low) / (high - low), low, high - low))
        if self.law == "normal":
            return np.asarray(self.numbers[0] + z * self.numbers[1])
        return np.asarray(self.numbers[0] * np.exp(z * self.numbers[1]))


def _two_sided(low: float, likely: float, high: float, z: Array) -> Array:
    """5, 50 and 95 % as given, on logarithms where all are positive, a spread of its own on each side."""
    edge = np.where(z < 0, low, high)
    if low > 0:
        return np.asarray(likely * np.exp(np.abs(z) / Z * np.log(edge / likely)))
    return np.asarray(likely + np.abs(z) / Z * (edge - likely))


@dataclass(frozen=True)
class Unknowns:
    """What is not sure: fields' laws, their correlations, and whether coefficients are drawn too."""

    inputs: tuple[Unknown, ...] = ()
    correlated: tuple[tuple[str, str, float], ...] = ()
    coefficients: bool = True


@dataclass(frozen=True)
class World:
    """One draw: the scenario and coefficients in it, and its normals by unknown."""

    scenario: Scenario
    coefficients: CoefficientSet


def read_unknowns(source: Path | Mapping[str, Any], scenario: Scenario) -> Unknowns:
    """The unknowns of a file or mapping (with or without the `uncertain:` above it). Raises ScenarioError."""
    from planner import yaml_text

    data: Any = source
    if isinstance(source, Path):
        data, _ = yaml_text.parse(source.read_text(encoding="utf-8"), source.name)
    data = dict((data or {}).get("uncertain", data) or {})
    pairs, own = data.pop("correlated", []), data.pop("coefficients", True)
    inputs = tuple(_unknown(path, law, scenario) for path, law in sorted(data.items()))
    if not isinstance(own, bool):
        raise ScenarioError(f"uncertain.coefficients = {own!r}; expected true or false")
    correlated = tuple(_pair(pair, {x.path for x in inputs}) for pair in pairs)
    found = Unknowns(inputs, correlated, own)
    _root(found)
    return found


def _unknown(path: str, law: Any, scenario: Scenario) -> Unknown:
    known = {leaf.path for leaf in leaves(Scenario)}
    plain = re.sub(r"\[\d+\]", "[]", path)
    if plain not in known:
        near = difflib.get_close_matches(plain, known, n=1)
        hint = f"; did you mean {near[0].replace('[]', '[0]')}?" if near else ""
        raise ScenarioError(f"uncertain: {path} is no field of a scenario{hint}")
    if not isinstance(law, dict):
        raise ScenarioError(
            f"uncertain: {path} = {law!r}; expected {{low: …, likely: …, high: …}} or {{uniform: [a, b]}}"
        )
    if set(law) == set(KEYS):
        numbers = tuple(_value(scenario, path, law[key]) for key in KEYS)
        if not numbers[0] <= numbers[1] <= numbers[2]:
            raise ScenarioError(f"uncertain: {path}: low, likely, high = {numbers}; expected them in this order")
        return Unknown(path, "interval", numbers)
    name = next(iter(law), "")
    if len(law) != 1 or name not in LAWS:
        near = difflib.get_close_matches(name, [*LAWS, *KEYS], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ScenarioError(
            f"uncertain: {path} has {', '.join(map(str, law))}; expected low, likely and high, or one of "
            f"{', '.join(LAWS)}{hint}"
        )
    values = law[name]
    if not isinstance(values, list) or len(values) != LAWS[name]:
        raise ScenarioError(f"uncertain: {path}.{name} = {values!r}; expected a list of {LAWS[name]}")
    spread = name == "lognormal"  # its second number is a log standard deviation, of no unit
    return Unknown(
        path, name, tuple(float(v) if spread and k else _value(scenario, path, v) for k, v in enumerate(values))
    )


def _value(scenario: Scenario, path: str, value: Any) -> float:
    """A value as the field itself reads it."""
    read = _get(with_values(scenario, {path: value}), path)
    if isinstance(read, bool) or not isinstance(read, int | float):
        raise ScenarioError(f"uncertain: {path} = {value!r}; expected a field that holds a number")
    return float(read)


def _pair(pair: Any, known: set[str]) -> tuple[str, str, float]:
    if not isinstance(pair, dict) or set(pair) != {"between", "by"} or len(pair["between"]) != 2:
        raise ScenarioError(f"uncertain.correlated has {pair!r}; expected {{between: [path, path], by: -1 to 1}}")
    a, b = pair["between"]
    for path in (a, b):
        if path not in known:
            raise ScenarioError(f"uncertain.correlated names {path}, which has no law of its own here")
    if not -1 <= float(pair["by"]) <= 1:
        raise ScenarioError(f"uncertain.correlated: by = {pair['by']}; expected -1 to 1")
    return a, b, float(pair["by"])


def _root(unknowns: Unknowns) -> Array:
    """The matrix that makes independent normals correlated. Raises ScenarioError where correlations contradict."""
    names = [x.path for x in unknowns.inputs]
    matrix = np.eye(len(names))
    for a, b, by in unknowns.correlated:
        matrix[names.index(a), names.index(b)] = matrix[names.index(b), names.index(a)] = by
    if len(names) and np.linalg.eigvalsh(matrix).min() < -LEAST_EIGENVALUE:
        raise ScenarioError("uncertain.correlated: the correlations contradict each other; expected smaller ones")
    return np.linalg.cholesky(matrix + 1e-10 * np.eye(len(names))) if len(names) else matrix


def draw(unknowns: Unknowns, scenario: Scenario, coefficients: CoefficientSet, count: int, seed: int) -> tuple[
    list[World], dict[str, Array]
]:  # fmt: skip
    """So many worlds (rounded up to a power of two), and each unknown's normals in them."""
    from scipy.stats import norm, qmc

    names = [x.path for x in unknowns.inputs]
    owned = sorted(coefficients.values) if unknowns.coefficients else []
    groups = carried(scenario, coefficients) if unknowns.coefficients else []
    dimensions = [*names, *owned, *(f"machines of {g[0].split('.')[0]}" for g in groups)]
    power = max(1, math.ceil(math.log2(max(2, count))))
    points = qmc.Sobol(max(1, len(dimensions)), scramble=True, rng=np.random.default_rng(seed)).random_base2(power)
    normals = np.clip(norm.ppf(np.clip(points, 1e-9, 1 - 1e-9)), -FURTHEST, FURTHEST)
    if names:
        normals[:, : len(names)] = normals[:, : len(names)] @ _root(unknowns).T
    values = {x.path: x.at(normals[:, k]) for k, x in enumerate(unknowns.inputs)}
    worlds = []
    for n in range(len(normals)):
        drawn = with_values(scenario, {path: float(v[n]) for path, v in values.items()})
        worlds.append(World(drawn, _coefficients(coefficients, owned, groups, normals[n, len(names) :])))
    return worlds, {name: normals[:, k] for k, name in enumerate(dimensions)}


def _coefficients(
    c: CoefficientSet, owned: Sequence[str], groups: Sequence[tuple[str, ...]], z: Array
) -> CoefficientSet:
    if not owned:
        return c
    changed = {name: drawn_values(c, name, float(z[k])) for k, name in enumerate(owned)}
    for g, group in enumerate(groups):
        factor = math.exp(c["hosts.speed_residual_sigma"] * float(z[len(owned) + g]))
        changed |= {n: v * factor for n, v in changed.items() if n.startswith(group) and "cpu_seconds" in n}
    return c.with_values(changed)


def with_values(scenario: Scenario, values: Mapping[str, Any]) -> Scenario:
    """The scenario with fields set by path, validated again; whole fields are rounded. Raises ScenarioError."""
    if not values:
        return scenario
    data = scenario.model_dump()
    for path, value in values.items():
        *heads, last = re.findall(r"[^.\[\]]+", path)
        at: Any = data
        try:
            for head in heads:
                at = at[int(head)] if head.isdigit() else at[head]
            old = at[last]
        except (KeyError, IndexError, TypeError):
            raise ScenarioError(f"uncertain: {path} is not in this scenario") from None
        at[last] = round(value) if isinstance(old, int) and isinstance(value, float) else value
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise ScenarioError(
            [f"uncertain: {line}" for line in house_lines(error.errors(include_url=False), Scenario)]
        ) from None


def _get(scenario: Scenario, path: str) -> Any:
    at: Any = scenario
    for head in re.findall(r"[^.\[\]]+", path):
        at = at[int(head)] if head.isdigit() else getattr(at, head)
    return at
