"""Recommended settings and the runner-up as experiments of the laboratory, and what each is predicted to do."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.settings.planned import PLAN, predicted
from planner.forecast import coefficients_of
from planner.recommend_settings import Choice, Held, Setting, SettingsAdvice, recommend_settings
from planner.recommend_settings_text import answers
from planner.scenario import load_scenario
from planner.version import engine_digest

HERE = Path(__file__).parent
SCENARIO, PREDICTED = HERE / "data" / "orders.yaml", HERE / "data" / "predicted.json"
EXPERIMENTS = HERE.parents[1] / "lab" / "experiments"
NAMES = {"best": "pipe-recommended", "runner": "pipe-runner-up"}
QUESTIONS = {
    "best": "settings: what `floodmark recommend --settings-only` takes for 900 records/s, then an overload",
    "runner": "settings: the runner-up of that recommendation, under the same load",
}


def choose(day: date, seed: int = 1) -> SettingsAdvice:
    """Recommend, write both experiments, and what is predicted of them. Raises RuntimeError if nothing holds."""
    scenario = load_scenario(str(SCENARIO))
    out = recommend_settings(scenario, seed=seed)
    if out.best is None or out.runner is None:
        raise RuntimeError(f"{SCENARIO.name}: no settings and runner-up hold:\n{out.as_text()}")
    said: dict[str, Any] = {"predicted_on": day.isoformat(), "seed": seed, "engine": engine_digest(),
                            "coefficients": coefficients_of(scenario).name, "runs": {}}  # fmt: skip
    for part, name in NAMES.items():
        held: Held = getattr(out, part)
        path = EXPERIMENTS / f"{name}.toml"
        path.write_text(toml(held.choice, scenario.flows[0].workload.event_bytes, QUESTIONS[part]), encoding="utf-8")
        at_peak = out.answer if part == "best" else out.runner_answer
        said["runs"][name] = {"settings": held.choice[0].as_dict(), "outcome": held.outcome.as_dict(),
                              "at_the_peak": answers(at_peak) if at_peak is not None else None,
                              "recording": predicted(path, coefficients_of(scenario))}  # fmt: skip
    PREDICTED.write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")
    return out


def toml(choice: Choice, size: float, question: str) -> str:
    """One experiment file of a choice: its rate for latency, then an overload for what it carries."""
    mine: Setting = choice[0]
    plan = ", ".join(f"[{seconds}, {rate}]" for seconds, rate in PLAN)
    cap = f"max_offsets = {mine.cap}\n" if mine.cap else ""
    return (
        f'type = "pipe"\nset = "test"\nrepeats = 1\nquestion = "{question}"\n\n'
        f"[load]\nplan = [{plan}]\nwarm_s = 60\nwarm_rate = 1000\nsize = {size:.0f}\n\n"
        f"[kafka]\npartitions = {mine.partitions}\n\n"
        f"[spark]\ntrigger_ms = {mine.trigger * 1000:.0f}\n{cap}bulk = {mine.bulk}\nwriters = {mine.writers}\n"
    )
