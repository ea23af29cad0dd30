"""Regress: from work done and time or CPU spent to seconds a unit of work, with an interval or a refusal.

A `Block` is one set of equations: each row says how much work of each kind was done (a batch, a task,
a record) and what it cost. Work of a cold JVM costs more: rows carry `work`, the CPU seconds since
that JVM's first work, and their cost is times 1 + A exp(-work / w0), fitted along. Residuals are
weighed by Huber's rule, since pauses and merges hit single rows.

What the rows cannot tell apart shows in the condition number of the scaled columns. While it is over
`CONDITION_LIMIT` the column most entangled is left at its prior and named. What is left is told by the rows under the
prior: each coefficient's prior is lognormal with its own interval, the rows' noise is what a fit without it leaves, and
neighbouring rows that err together count as fewer. Where rows say much the prior moves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from scipy.optimize import least_squares

from calibration.observations import Floats, ObservationError

CONDITION_LIMIT = 30.0  # beyond, a coefficient's interval is wider than the coefficient in practice (Belsley 1980)
ROWS_PER_UNKNOWN = 5  # fewer and a robust fit has nothing to be robust with
HUBER = 1.345  # standard deviations: 95 % efficient where nothing was hit (Huber 1981)
MOST_ALIKE = 0.8  # of neighbouring rows' autocorrelation: beyond, a series says nothing of its own length
NINETY = (0.05, 0.95)


@dataclass(frozen=True)
class Block:
    """Equations: cost = known + plain @ a + (1 + A exp(-work / w0)) (priced + warmed @ b), one row an observation.

    `known` is time that needs no coefficient, `priced` warm work whose coefficient is given. `run` labels the
    rows' runs, in which they are in order of time; residuals are multiplied by `weight`.
    """

    name: str
    warmed: Mapping[str, Floats]
    plain: Mapping[str, Floats]
    known: Floats
    priced: Floats
    cost: Floats
    work: Floats
    weight: Floats
    run: tuple[str, ...]

    @property
    def rows(self) -> int:
        return len(self.cost)

    def take(self, rows: Floats) -> Block:
        """The block of those rows (with repeats, for a resample)."""
        at = rows.astype(int)
        return replace(
            self,
            warmed={n: c[at] for n, c in self.warmed.items()},
            plain={n: c[at] for n, c in self.plain.items()},
            known=self.known[at],
            priced=self.priced[at],
            cost=self.cost[at],
            work=self.work[at],
            weight=self.weight[at],
            run=tuple(self.run[i] for i in at),
        )

    def without(self, column: str, value: float) -> Block:
        """The block with that column held at a value."""
        warmed, plain = dict(self.warmed), dict(self.plain)
        if column in warmed:
            return replace(self, warmed=warmed, priced=self.priced + warmed.pop(column) * value)
        return replace(self, plain=plain, known=self.known + plain.pop(column) * value)


@dataclass(frozen=True)
class Fit:
    """What a block told: value and 90 % interval by coefficient, the condition number, what it could not tell.

    `warm_amplitude` and `warm_seconds` are A and w0, with their intervals in `low` and `high` under those names.
    """

    block: str
    value: Mapping[str, float]
    low: Mapping[str, float]
    high: Mapping[str, float]
    condition: float
    held: Mapping[str, float]
    rows: int
    residual_ratio: Floats
    correlation: Mapping[tuple[str, str], float]
    fitted: Floats
    run: tuple[str, ...]


def scaled_condition(columns: Sequence[Floats]) -> float:
    """Condition number of the columns, each scaled to length one (Belsley, Kuh, Welsch 1980) [1].

    >>> round(scaled_condition([np.array([1.0, 0]), np.array([0, 5.0])]), 6)
    1.0
    """
    matrix = np.column_stack(columns)
    lengths = np.linalg.norm(matrix, axis=0)
    if not lengths.all():
        return math.inf
    singular = np.linalg.svd(matrix / lengths, compute_uv=False)
    return float(singular[0] / singular[-1]) if singular[-1] > 0 else math.inf


@dataclass(frozen=True)
class Prior:
    """Rows that the prior adds: the logarithm of each coefficient over its prior value, over its log spread."""

    value: Floats
    sigma: Floats
    noise: float

    @staticmethod
    def of(names: Sequence[str], value: Mapping[str, float], sigma: Mapping[str, float], noise: float) -> Prior:
        """Coefficients without a prior get an endless spread."""
        centre = np.array([value.get(n, 1.0) if n in sigma else 1.0 for n in names])
        return Prior(np.maximum(centre, 1e-15), np.array([sigma.get(n, math.inf) for n in names]), noise)

    def rows(self, theta: Floats) -> Floats:
        return np.log(np.maximum(theta, self.value * 1e-4) / self.value) / self.sigma


def fit(
    block: Block, prior: Mapping[str, float], warm: bool, draws: int = 80, seed: int = 7,
    sigma: Mapping[str, float] | None = None,
) -> Fit:  # fmt: skip
    """Robust least squares with intervals from resampled rows, or a refusal that says what to record.

    `sigma` is the priors' log standard deviation; what has none is told by the rows alone. A coefficient that comes
    out as nothing is held at its prior and the rest is fitted again, so that the whole still adds up with the prior in
    it.
    """
    block, held = _tell_apart(block, prior)
    while True:
        names = [*block.warmed, *block.plain] + (["warm_amplitude", "warm_seconds"] if warm else [])
        _enough(block, names)
        best, soft = _solve(block, names, warm, None), None
        if sigma:
            soft = Prior.of(names, prior, sigma, _noise(block, best, names, warm))
            best = _solve(block, names, warm, best, soft)
        nothing = _nothing(block, best, names)
        if nothing is None:
            break
        held[nothing] = prior[nothing]
        block = block.without(nothing, prior[nothing])
    generator = np.random.default_rng(seed)
    spread = np.array(
        [_solve(block.take(resampled(block.run, generator)), names, warm, best, soft) for _ in range(draws)]
    )
    low, high = np.quantile(spread, NINETY, axis=0)
    low = np.maximum(low, best / 50)  # work is never free: a resample without it says only that few rows have it
    fitted = _predict(block, best, names, warm)
    columns = [c * block.weight for c in (*block.warmed.values(), *block.plain.values())]
    with np.errstate(invalid="ignore"):
        between = np.corrcoef(spread.T)
    return Fit(
        block=block.name,
        value=dict(zip(names, best.tolist(), strict=True)),
        low=dict(zip(names, np.minimum(low, best).tolist(), strict=True)),
        high=dict(zip(names, np.maximum(high, best).tolist(), strict=True)),
        condition=scaled_condition(columns),
        held=held,
        rows=block.rows,
        residual_ratio=block.cost / np.maximum(fitted, 1e-9),
        correlation={(a, b): float(between[i, j]) for i, a in enumerate(names) for j, b in enumerate(names) if i < j},
        fitted=fitted,
        run=block.run,
    )


def _noise(block: Block, theta: Floats, names: list[str], warm: bool) -> float:
    """Standard deviation of a weighed residual, by its median, for rows that err independently; more where neighbours
    err together: n rows of lag-1 autocorrelation r count as n (1 - r) / (1 + r).
    """
    left = (_predict(block, theta, names, warm) - block.cost) * block.weight
    clipped = np.clip(left, *np.quantile(left, [0.02, 0.98]))
    alike = float(np.corrcoef(clipped[1:], clipped[:-1])[0, 1]) if np.ptp(clipped) > 0 else 0.0
    alike = min(max(alike, 0.0), MOST_ALIKE)
    return 1.4826 * float(np.median(np.abs(left))) * math.sqrt((1 + alike) / (1 - alike)) + 1e-12


def _tell_apart(block: Block, prior: Mapping[str, float]) -> tuple[Block, dict[str, float]]:
    held: dict[str, float] = {}
    while True:
        columns = {**block.warmed, **block.plain}
        empty = [n for n, c in columns.items() if not np.any(c)]
        if not empty and scaled_condition([c * block.weight for c in columns.values()]) <= CONDITION_LIMIT:
            return block, held
        name = empty[0] if empty else _most_entangled(columns, block.weight)
        held[name] = prior[name]
        block = block.without(name, prior[name])


def _most_entangled(columns: Mapping[str, Floats], weight: Floats) -> str:
    """The column with the largest part in the flattest direction."""
    names = list(columns)
    matrix = np.column_stack([c * weight for c in columns.values()])
    _, _, directions = np.linalg.svd(matrix / np.linalg.norm(matrix, axis=0))
    return names[int(np.argmax(np.abs(directions[-1])))]


def _nothing(block: Block, theta: Floats, names: list[str]) -> str | None:
    """A column whose whole part in the cost is less than a thousandth."""
    columns, total = {**block.warmed, **block.plain}, float(np.sum(block.cost))
    parts = {n: v * float(np.sum(columns[n])) for n, v in zip(names, theta, strict=True) if n in columns}
    least = min(parts, key=lambda n: parts[n], default=None)
    return least if least is not None and parts[least] < 1e-3 * total else None


def _enough(block: Block, names: list[str]) -> None:
    needed = ROWS_PER_UNKNOWN * len(names)
    if block.rows < needed:
        raise ObservationError(
            f"{block.name}: {block.rows} observations for {len(names)} unknowns ({', '.join(names)}); "
            f"record at least {needed}, at two or more rates"
        )


def _predict(block: Block, theta: Floats, names: list[str], warm: bool) -> Floats:
    value = dict(zip(names, theta, strict=True))
    warmed = sum((c * value[n] for n, c in block.warmed.items()), np.zeros(block.rows))
    plain = sum((c * value[n] for n, c in block.plain.items()), np.zeros(block.rows))
    factor = 1 + value["warm_amplitude"] * np.exp(-block.work / max(value["warm_seconds"], 1e-6)) if warm else 1.0
    return cast(Floats, block.known + plain + factor * (block.priced + warmed))


def predicted(block: Block, value: Mapping[str, float], warm: bool = True) -> Floats:
    """Each row's cost with given coefficients [the cost's unit]; `warm_amplitude` and `warm_seconds` among them."""
    names = [*block.warmed, *block.plain, *(("warm_amplitude", "warm_seconds") if warm else ())]
    return _predict(block, np.array([value[n] for n in names]), names, warm)


def _solve(block: Block, names: list[str], warm: bool, start: Floats | None, prior: Prior | None = None) -> Floats:
    """Coefficients >= 0 by Huber's loss, scaled so that each starts near one; a prior's rows count as they are."""
    scale = _starting(block, names)
    spread = float(np.median(np.abs(block.cost * block.weight))) * 0.1 + 1e-12

    def residual(relative: Floats) -> Floats:
        rows = (_predict(block, relative * scale, names, warm) - block.cost) * block.weight
        return rows if prior is None else np.concatenate([rows / prior.noise, prior.rows(relative * scale)])

    first = np.ones(len(names)) if start is None else np.maximum(start / scale, 1e-3)
    loss, width = ("huber", spread) if prior is None else (_half_huber(block.rows), 1.0)
    found = least_squares(residual, first, bounds=(0, np.inf), loss=loss, f_scale=width, max_nfev=400)
    return cast(Floats, found.x * scale)


def _half_huber(rows: int) -> Callable[[Floats], Floats]:
    """Huber's rule for the first rows and none for the others, as scipy wants it: rho of z, its slope and bend."""

    def rho(z: Floats) -> Floats:
        out = np.array([z, np.ones_like(z), np.zeros_like(z)])
        far = np.flatnonzero(z[:rows] > HUBER**2)
        root = np.sqrt(z[far])
        out[:, far] = 2 * HUBER * root - HUBER**2, HUBER / root, -0.5 * HUBER / root**3
        return out

    return rho


def _starting(block: Block, names: list[str]) -> Floats:
    """Plain non-negative shares of the cost as a first guess."""
    columns = {**block.warmed, **block.plain}
    total = float(np.sum(block.cost - block.known - block.priced)) / max(len(columns), 1)
    guess = {n: max(max(total, 1e-9) / float(np.sum(c)), 1e-12) for n, c in columns.items()}
    return np.array([guess.get(n, 3.0 if n == "warm_amplitude" else 10.0) for n in names])


def resampled(run: tuple[str, ...], generator: np.random.Generator, length: int = 6) -> Floats:
    """Rows drawn in stretches of `length` within each run, as many as it has: neighbours are alike."""
    labels = np.array(run)
    chosen = []
    for label in dict.fromkeys(run):
        mine = np.flatnonzero(labels == label)
        size = min(length, len(mine))
        starts = generator.integers(0, len(mine) - size + 1, size=math.ceil(len(mine) / size))
        chosen.append(np.concatenate([mine[s : s + size] for s in starts])[: len(mine)])
    return np.concatenate(chosen).astype(float)
