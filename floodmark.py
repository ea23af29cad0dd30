"""Floodmark: what a Kafka → Spark → Elasticsearch/OpenSearch stack will do, before it is built.

    import floodmark as fm
    scenario = fm.example("events")
    forecast = fm.forecast(scenario)
    forecast.latency.p99_seconds

This module only re-exports what users may rely on; the folders behind it may move.
"""

from calibration.importer import import_paths as import_recordings
from calibration.importer import load_recordings
from calibration.recording import Recording
from models.coefficients import CoefficientError, CoefficientSet, load_set, packaged_sets
from models.machines import machine, machines
from models.stack import Flow, Run, Scenario, Targets
from models.workload import Workload
from planner.bill import MonthlyBill, billed
from planner.checks import check
from planner.engine import simulate
from planner.finance import Report
from planner.finance import report as finance_report
from planner.findings import Finding
from planner.forecast import Forecast, forecast
from planner.forecast_schema import forecast_schema
from planner.refusal import ScenarioError
from planner.scenario import example, example_names, load_scenario, resolved, to_yaml
from planner.schema import scenario_schema

__all__ = [
    "CoefficientError",
    "CoefficientSet",
    "Finding",
    "Flow",
    "Forecast",
    "MonthlyBill",
    "Recording",
    "Report",
    "Run",
    "Scenario",
    "ScenarioError",
    "Targets",
    "Workload",
    "billed",
    "check",
    "example",
    "example_names",
    "finance_report",
    "forecast",
    "forecast_schema",
    "import_recordings",
    "load_recordings",
    "load_scenario",
    "load_set",
    "machine",
    "machines",
    "packaged_sets",
    "resolved",
    "scenario_schema",
    "simulate",
    "to_yaml",
]
