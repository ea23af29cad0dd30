"""What one browser's session holds: variants of a scenario, and the forecasts that were asked for.

A *variant* (A, or B beside it) is a scenario as it was loaded, and what the controls have moved since. What they say
may be wrong together (more copies than brokers): then the variant keeps the last scenario that was valid, and why not.
"""

from __future__ import annotations

import gc
import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from dashboard.jobs import Job, Workers
from dashboard.shelf import Shelf
from planner.controls import Place, moved
from planner.forecast import Forecast
from planner.quick import quick
from planner.refusal import ScenarioError
from planner.scenario import example

SETTLED_SECONDS = 1.2  # without a move, until the whole forecast is started by itself
SLOTS = ("A", "B")


@dataclass
class Variant:
    """A scenario as loaded (`base`), what was moved since, and what that makes."""

    base: Any
    source: str
    generation: int
    moves: dict[Place, Any] = field(default_factory=dict)
    scenario: Any = None
    wrong: list[str] = field(default_factory=list)
    changed: float = 0.0  # when a control was last moved; a scenario just loaded is settled
    job: Job | None = None

    def __post_init__(self) -> None:
        self.scenario = self.scenario or self.base

    def move(self, place: Place, value: Any) -> None:
        """One control moved: the scenario that follows, or what is wrong with it."""
        self.moves[place] = value
        self.settle()

    def settle(self) -> None:
        try:
            scenario = moved(self.base, self.moves)
        except ValueError as error:
            self.wrong = getattr(error, "lines", [str(error)])
            return
        self.wrong = []
        if scenario != self.scenario:
            self.scenario, self.changed = scenario, time.monotonic()


@st.cache_resource(show_spinner=False)
def workers() -> Workers:
    """One crew for all sessions; what its children are forked from starts beside the first page."""
    made = Workers()
    threading.Thread(target=made.prepare, daemon=True, name="prepares children").start()
    return made


@st.cache_resource(show_spinner=False)
def shelf() -> Shelf:
    return Shelf()


@st.cache_resource(show_spinner=False)
def settle_memory() -> None:
    """Set aside what is loaded for good (tables of machines and prices, compiled kernels), once.

    Streamlit collects garbage after every run; through all of that it took 0.3 s of each redraw.
    """
    gc.collect()
    gc.freeze()


def key(question: str, *scenarios: Any) -> str:
    """The name that an answer is kept under: the question and all that the scenarios say."""
    told = "\n".join([question, *(s.model_dump_json() for s in scenarios)])
    return hashlib.sha256(told.encode()).hexdigest()


def variants() -> dict[str, Variant]:
    found: dict[str, Variant] = st.session_state["variants"]
    return found


def drawn() -> int:
    """How many times the board has been drawn in this session, with this one."""
    st.session_state["drawn"] = st.session_state.get("drawn", 0) + 1
    return int(st.session_state["drawn"])


def editing() -> str:
    """The slot that the controls move."""
    slot = st.session_state.get("editing") or "A"
    return slot if slot in variants() else "A"


def load(slot: str, scenario: Any, source: str) -> None:
    """A scenario into a slot; its controls start anew from it."""
    st.session_state["generation"] = st.session_state.get("generation", 0) + 1
    stop(slot)
    variants()[slot] = Variant(scenario, source, st.session_state["generation"])


def drop_b() -> None:
    stop("B")
    variants().pop("B", None)
    st.session_state["editing"] = "A"


def stop(slot: str) -> None:
    """End the slot's work, if there is some."""
    variant = variants().get(slot)
    if variant is not None and variant.job is not None:
        workers().cancel(variant.job)
        variant.job = None


def begin() -> None:
    """A session's first run: the scenarios of its link, of the command line, or the example."""
    if "variants" in st.session_state:
        return
    from dashboard.start import first_scenarios

    workers()
    st.session_state["variants"], st.session_state["editing"] = {}, "A"
    for slot, (scenario, source) in first_scenarios().items():
        load(slot, scenario, source)
    if "A" not in variants():
        load("A", example("events"), "example events")


def whole(scenario: Any) -> Forecast | None:
    """The whole forecast, if it has been made."""
    return shelf().get(key("forecast", scenario))


def answer(scenario: Any) -> Forecast:
    """The whole forecast if it has been made, else the quick answer. Raises ScenarioError."""
    found = whole(scenario)
    return found if found is not None else shelf().ask(key("quick", scenario), lambda: quick(scenario))


def ask_whole(slot: str) -> None:
    """Start the whole forecast of a slot in a process of its own, if it is not there or under way."""
    variant = variants()[slot]
    name = key("forecast", variant.scenario)
    if whole(variant.scenario) is None and (variant.job is None or variant.job.about != name):
        stop(slot)
        variant.job = workers().start("planner.forecast:forecast", variant.scenario, about=name)


def take(slot: str) -> bool:
    """Put a finished forecast on the shelf; whether there was one."""
    variant = variants()[slot]
    job = variant.job
    if job is None:
        return False
    if job.about != key("forecast", variant.scenario):  # a control has been moved since
        stop(slot)
        return False
    workers().look(job)
    if job.state == "done":
        shelf().put(job.about, job.result)
        variant.job = None
        return True
    return False


def refusal(error: Exception) -> list[str]:
    """An error's lines in the house's words."""
    return error.lines if isinstance(error, ScenarioError) else [str(error)]
