"""Recorded series: steps of a workload from a file, or a refusal that names the row."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.refusal import ScenarioError
from planner.scenario import from_yaml
from planner.series import read_steps

TEN = "\n".join(f"{60 * k},{100 + k}" for k in range(12))


def steps(tmp_path: Path, text: str, name: str = "a.csv") -> list[tuple[float, float]]:
    path = tmp_path / name
    path.write_text(text)
    return read_steps(path)


def test_a_rate_holds_until_the_next_row(tmp_path: Path) -> None:
    assert steps(tmp_path, "time,rate\n0,10\n60,30\n90,0\n") == [(60, 10), (30, 30)]


def test_a_count_becomes_its_slope(tmp_path: Path) -> None:
    assert steps(tmp_path, "t,sent\n1795418070.5,0\n1795418110.5,8000\n1795418150.5,32000\n") == [(40, 200), (40, 600)]


def test_dates_are_times(tmp_path: Path) -> None:
    text = "timestamp,count\n2026-11-23T10:00:00Z,5\n2026-11-23T10:01:00Z,65\n2026-11-23T10:03:00Z,65\n"
    assert steps(tmp_path, text) == [(60, 1), (120, 0)]


def test_neighbours_of_one_rate_are_one_step(tmp_path: Path) -> None:
    assert steps(tmp_path, "time,rate\n" + "\n".join(f"{k},7" for k in range(1000))) == [(999, 7)]


def test_the_arrivals_of_a_recorded_run_are_its_plan(root: Path) -> None:
    """experiment.json of fit-pipe-2s: 40 s each at 200, 600 and 1,000 a second."""
    run = root / "lab" / "results" / "2026-11-23-epyc-2core" / "fit-pipe-2s" / "arrivals.csv"
    assert [(round(d, 3), round(r, 3)) for d, r in read_steps(run)] == [(40, 200), (40, 600), (40, 1000)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a.csv is empty; expected the columns time and rate"),
        ("time,rate\n", "0 rows; expected 2 or more"),
        ("time,rate\n0,1\n", "1 rows; expected 2 or more"),
        ("when,rate\n0,1\n1,1\n", "columns when, rate; expected 'time'"),
        ("time,speed\n0,1\n1,1\n", "columns time, speed; expected"),
        ("time,rate,count\n0,1,1\n1,1,2\n", "columns time, rate, count; expected"),
        ("time,rate\n0,1\n1,-1\n2,1\n", "row 3: rate = -1; expected 0 or more"),
        ("time,rate\n0,1\n1,\n2,1\n", "row 3: time 1.0, rate nan; expected finite"),
        ("time,rate\n0,1\n,3\n2,1\n", "row 3: time nan"),
        ("time,rate\n0,1\n1,x\n2,1\n", "rate holds 'x'; expected numbers"),
        ("time,rate\n0,1\n1,inf\n2,1\n", "row 3"),
        ("time,rate\n0,1\n2,1\n1,1\n", "row 4: time 1 s is not after 2 s"),
        ("time,rate\n0,1\n1,1\n1,1\n", "row 4: time 1 s is not after 1 s"),
        ("time,count\n0,5\n1,9\n2,3\n", "row 4: count falls from 9 to 3"),
        ("time,rate\n0,0\n1,0\n2,0\n", "no event in the whole series"),
        ("time,rate\nyesterday,1\ntoday,1\n", "neither seconds nor dates"),
        (f"time,rate\n{TEN}\n3600,5\n3660,5\n", "a gap of 2940 s after row 13"),
    ],
)
def test_what_is_no_series_is_refused_with_its_row(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        steps(tmp_path, text)
    assert said in str(caught.value) and "a.csv" in str(caught.value)


def test_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"expected a \.csv or \.parquet file"):
        steps(tmp_path, "x", "a.xlsx")
    with pytest.raises(ScenarioError, match="no such file"):
        read_steps(tmp_path / "absent.csv")
    with pytest.raises(ScenarioError, match="cannot be read as a table"):
        steps(tmp_path, "x", "a.parquet")


def test_parquet_reads_like_csv(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import pandas as pd

    pd.DataFrame({"time": [0.0, 60.0, 90.0], "rate": [10.0, 30.0, 0.0]}).to_parquet(tmp_path / "a.parquet")
    assert read_steps(tmp_path / "a.parquet") == [(60, 10), (30, 30)]


def test_a_scenario_finds_its_series_beside_itself(tmp_path: Path) -> None:
    steps(tmp_path, "time,rate\n0,10\n60,30\n90,0\n", "load.csv")
    text = (
        "name: x\nflows:\n- workload: {recorded: load.csv, size: 1 kB, arrivals: deterministic}\n"
        "  query: {trigger: 1 s, sink: {kind: noop}}\n"
    )
    load = from_yaml(text, folder=tmp_path).flows[0].workload
    assert load.steps == ((60, 10), (30, 30)) and load.recorded is None and load.arrivals == 0
    assert load.events_per_second == pytest.approx((60 * 10 + 30 * 30) / 90)
