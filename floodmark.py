"""Floodmark: what a Kafka → Spark → Elasticsearch/OpenSearch stack will do, before it is built.

    import floodmark as fm
    scenario = fm.example("events")
    forecast = fm.forecast(scenario)
    forecast.latency.p99_seconds

This module only re-exports what users may rely on; the folders behind it may move.
"""

from typing import TYPE_CHECKING, Any

from calibration.importer import import_paths as import_recordings
from calibration.importer import load_recordings
from calibration.recording import Recording
from models.coefficients import CoefficientError, CoefficientSet, load_set, packaged_sets
from models.faults import Fault
from models.machines import machine, machines
from models.stack import Flow, Run, Scenario, Targets
from models.workload import Workload
from planner.bill import MonthlyBill, billed
from planner.checks import check
from planner.compare import Comparison, compare
from planner.engine import simulate
from planner.finance import Report, held_against, review
from planner.finance import report as finance_report
from planner.findings import Finding
from planner.forecast import Forecast, forecast
from planner.forecast_schema import forecast_schema
from planner.memory import memory
from planner.refusal import ScenarioError
from planner.scenario import example, example_names, load_scenario, resolved, to_yaml
from planner.schema import scenario_schema

if TYPE_CHECKING:
    from calibration.live import LiveError
    from planner.asked import Backtest, Drills, Sweep, backtest, bridge, drill, fit, sweep
    from planner.backtest_run import held_parts, named_runs
    from planner.calibrate import Calibration, calibrate
    from planner.calibrate_load import Gathered, gather
    from planner.claims import claims
    from planner.discover import Discovered
    from planner.drill import run_drills
    from planner.fault_words import with_faults
    from planner.live import discover, probe, record, sample
    from planner.months_ahead import months_ahead
    from planner.paste import write_paste
    from planner.paste_read import read_paste
    from planner.recommend import Recommendation, recommend
    from planner.recommend_settings import SettingsAdvice, recommend_settings
    from planner.recommend_unknowns import read_unknowns
    from planner.sampling import Sampled
    from planner.scaling import scaling
    from planner.sizers import Sizers, sizers
    from planner.sweep import with_values
    from planner.watch import Watch, watch

__all__ = [
    "Backtest",
    "Calibration",
    "CoefficientError",
    "CoefficientSet",
    "Comparison",
    "Discovered",
    "Drills",
    "Fault",
    "Finding",
    "Flow",
    "Forecast",
    "Gathered",
    "LiveError",
    "MonthlyBill",
    "Recommendation",
    "Recording",
    "Report",
    "Run",
    "Sampled",
    "Scenario",
    "ScenarioError",
    "SettingsAdvice",
    "Sizers",
    "Sweep",
    "Targets",
    "Watch",
    "Workload",
    "backtest",
    "billed",
    "bridge",
    "calibrate",
    "check",
    "claims",
    "compare",
    "discover",
    "drill",
    "example",
    "example_names",
    "finance_report",
    "fit",
    "forecast",
    "forecast_schema",
    "gather",
    "held_against",
    "held_parts",
    "import_recordings",
    "load_recordings",
    "load_scenario",
    "load_set",
    "machine",
    "machines",
    "memory",
    "months_ahead",
    "named_runs",
    "packaged_sets",
    "probe",
    "read_paste",
    "read_unknowns",
    "recommend",
    "recommend_settings",
    "record",
    "resolved",
    "review",
    "run_drills",
    "sample",
    "scaling",
    "scenario_schema",
    "simulate",
    "sizers",
    "sweep",
    "to_yaml",
    "watch",
    "with_faults",
    "with_values",
    "write_paste",
]

_WHEN_ASKED = {  # they fit, and fitting needs scipy, which nobody else waits for; or load kernels of their own
    "claims": "planner.claims",
    "Backtest": "planner.asked",
    "Drills": "planner.asked",
    "Sweep": "planner.asked",
    "backtest": "planner.asked",
    "bridge": "planner.asked",
    "drill": "planner.asked",
    "fit": "planner.asked",
    "sweep": "planner.asked",
    "Sizers": "planner.sizers",
    "sizers": "planner.sizers",
    "with_values": "planner.sweep",
    "run_drills": "planner.drill",
    "with_faults": "planner.fault_words",
    "Recommendation": "planner.recommend",
    "SettingsAdvice": "planner.recommend_settings",
    "months_ahead": "planner.months_ahead",
    "read_paste": "planner.paste_read",
    "read_unknowns": "planner.recommend_unknowns",
    "recommend": "planner.recommend",
    "recommend_settings": "planner.recommend_settings",
    "write_paste": "planner.paste",
    "Discovered": "planner.discover",
    "LiveError": "calibration.live",
    "Sampled": "planner.sampling",
    "discover": "planner.live",
    "probe": "planner.live",
    "record": "planner.live",
    "sample": "planner.live",
    "scaling": "planner.scaling",
    "Calibration": "planner.calibrate",
    "Gathered": "planner.calibrate_load",
    "Watch": "planner.watch",
    "calibrate": "planner.calibrate",
    "gather": "planner.calibrate_load",
    "held_parts": "planner.backtest_run",
    "named_runs": "planner.backtest_run",
    "watch": "planner.watch",
}


def __getattr__(name: str) -> Any:
    """What is imported when it is first asked for."""
    if name not in _WHEN_ASKED:
        raise AttributeError(f"floodmark has no '{name}'")
    from importlib import import_module

    return getattr(import_module(_WHEN_ASKED[name]), name)
