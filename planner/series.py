"""Recorded series: how many events arrived, from a CSV or Parquet file, as steps of a workload.

The file has a `time` column (seconds, epoch seconds or dates) and either `rate` (events a second,
from each time until the next) or a cumulative count (`count`, `sent`, `offset`). Other spellings that
recorders use are known. A gap, a step back, a NaN or a negative number is refused with its row:
a forecast on a hole in the data would be a guess that looks like a measurement.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING

from planner.refusal import ScenarioError

if TYPE_CHECKING:
    import pandas as pd

TIME = ("time", "t", "timestamp", "ts", "seconds")
RATE = ("rate", "events_per_second", "records_per_second", "per_second")
COUNT = ("count", "sent", "cumulative", "total", "offset", "offsets")
GAP_FACTOR = 5.0  # a step of more than five usual steps is a hole, not a step
FEWEST_FOR_GAPS = 10  # below this the usual step is not known; corners of a plan may lie anywhere
MOST_ROWS = 1_000_000  # a year at 30 s is 1,051,200; coarsen beyond

Steps = list[tuple[float, float]]


def read_steps(path: Path) -> Steps:
    """(duration [s], rate [1/s]) one after another, from a recorded file. Raises ScenarioError."""
    frame = _table(path)
    time, value, cumulative = _columns(frame, path)
    seconds, numbers = _seconds(frame[time], path), _numbers(frame[value], path)
    _check(seconds, numbers, path, value, cumulative)
    gaps = [b - a for a, b in itertools.pairwise(seconds)]
    _refuse_holes(seconds, gaps, path)
    if cumulative:
        rates = [(b - a) / d for (a, b), d in zip(itertools.pairwise(numbers), gaps, strict=True)]
    else:
        rates = numbers[:-1]  # the last row says when the one before it ended
    if not any(rate > 0 for rate in rates):
        raise ScenarioError(f"{path.name}: no event in the whole series; expected a rate above 0 somewhere")
    return _merged(list(zip(gaps, rates, strict=True)))


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise ScenarioError(f"workload.recorded = '{path}'; no such file (the path is relative to the scenario)")
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            frame = pd.read_parquet(path)
        elif path.suffix.lower() == ".csv":
            frame = pd.read_csv(path, nrows=MOST_ROWS + 1, skipinitialspace=True)
        else:
            raise ScenarioError(f"workload.recorded = '{path.name}'; expected a .csv or .parquet file")
    except ImportError:
        raise ScenarioError(f"{path.name}: reading Parquet needs pyarrow: pip install pyarrow, or give a CSV") from None
    except (ValueError, OSError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        if isinstance(error, ScenarioError):
            raise
        if isinstance(error, pd.errors.EmptyDataError):
            raise ScenarioError(
                f"{path.name} is empty; expected the columns time and rate, and 2 rows or more"
            ) from None
        raise ScenarioError(f"{path.name}: cannot be read as a table: {str(error).splitlines()[0]}") from None
    if len(frame) > MOST_ROWS:
        raise ScenarioError(f"{path.name}: more than {MOST_ROWS:,} rows; average it to coarser steps")
    if len(frame) < 2:
        raise ScenarioError(f"{path.name}: {len(frame)} rows; expected 2 or more (a series has a start and an end)")
    return frame


def _columns(frame: pd.DataFrame, path: Path) -> tuple[str, str, bool]:
    """Names of the time and value columns, and whether the value is a cumulative count."""
    names = {str(c).strip().lower(): str(c) for c in frame.columns}
    time = next((names[n] for n in TIME if n in names), None)
    rates = [names[n] for n in RATE if n in names]
    counts = [names[n] for n in COUNT if n in names]
    if time is None or len(rates) + len(counts) != 1:
        raise ScenarioError(
            f"{path.name}: columns {', '.join(names)}; expected 'time' (or {', '.join(TIME[1:])}) and one of "
            f"'rate' (events a second) or a cumulative 'count' (or {', '.join(COUNT[1:])})"
        )
    return time, (rates or counts)[0], not rates


def _seconds(column: pd.Series[float], path: Path) -> list[float]:
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column.dtype):
        return [float(x) for x in column]
    try:
        stamps = pd.to_datetime(column, utc=True)
    except (ValueError, TypeError) as error:
        raise ScenarioError(f"{path.name}: {column.name}: neither seconds nor dates: {error}") from None
    if bool(stamps.isna().any()):
        row = int(stamps.isna().to_numpy().argmax())
        raise ScenarioError(f"{path.name}: row {row + 2}: no time; expected one in every row")
    start = stamps.iloc[0]
    return [float((stamp - start).total_seconds()) for stamp in stamps]


def _numbers(column: pd.Series[float], path: Path) -> list[float]:
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
        odd = column[pd.to_numeric(column, errors="coerce").isna()]
        first = repr(odd.iloc[0]) if len(odd) else str(column.dtype)
        raise ScenarioError(f"{path.name}: {column.name} holds {first}; expected numbers")
    return [float(x) for x in column]


def _check(seconds: list[float], numbers: list[float], path: Path, value: str, cumulative: bool) -> None:
    for row, (t, x) in enumerate(zip(seconds, numbers, strict=True), start=2):  # row 1 is the header
        if not math.isfinite(t) or not math.isfinite(x):
            raise ScenarioError(f"{path.name}: row {row}: time {t}, {value} {x}; expected finite numbers (fill or cut)")
        if x < 0:
            raise ScenarioError(f"{path.name}: row {row}: {value} = {x:g}; expected 0 or more")
        if row > 2 and t <= seconds[row - 3]:
            raise ScenarioError(
                f"{path.name}: row {row}: time {t:g} s is not after {seconds[row - 3]:g} s; sort by time, drop repeats"
            )
        if cumulative and row > 2 and x < numbers[row - 3]:
            raise ScenarioError(
                f"{path.name}: row {row}: {value} falls from {numbers[row - 3]:g} to {x:g}; a cumulative count "
                "only rises: cut at the reset, or give the column as 'rate'"
            )


def _refuse_holes(seconds: list[float], gaps: list[float], path: Path) -> None:
    if len(gaps) < FEWEST_FOR_GAPS:
        return
    usual = sorted(gaps)[len(gaps) // 2]
    for row, gap in enumerate(gaps, start=2):
        if gap > GAP_FACTOR * usual:
            raise ScenarioError(
                f"{path.name}: a gap of {gap:g} s after row {row} (time {seconds[row - 2]:g} s) where rows usually "
                f"lie {usual:g} s apart; fill it, or cut the series there"
            )


def _merged(steps: Steps) -> Steps:
    """Neighbours of one rate as one step: plans at a constant rate stay short."""
    out: Steps = []
    for duration, rate in steps:
        if out and out[-1][1] == rate:
            out[-1] = (out[-1][0] + duration, rate)
        else:
            out.append((duration, rate))
    return out
