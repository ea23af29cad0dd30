"""How long recommendations take, and how much memory: each question in a process of its own, against its limit.

    python -m benchmarks.buying [--only NAME]

CPU seconds of the process and its children, imports included, compiled kernels read from their cache (a first run
compiles them: it is made beforehand and not counted). The limits are those of two cores of 2025.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass

SETUP = """
import json, resource, sys, time
began = time.process_time()
def spent():
    return time.process_time() - began
def tell(**more):
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": spent(), "mb": mb} | more))
"""
FLOWS = """
from planner.scenario import example, load_scenario
data = example("events").model_dump()
base = data["flows"][0]
def flow(name, rate, size):
    made = json.loads(json.dumps(base))
    made["name"] = name
    made["workload"] |= {"rate": rate, "size": size}
    return made
data["flows"] = [base, flow("clicks", 6000.0, 400.0), flow("logs", 900.0, 1500.0)]
data["targets"]["survive"] = ["broker", "data-node", "zone"]
scenario = load_scenario(data)
"""
FIRST = """
class First(Exception):
    pass
def said(text, done, of):
    if text.startswith("first answer"):
        raise First(text)
from planner.recommend import recommend
{scenario}
try:
    recommend(scenario, progress=said)
except First as first:
    tell(said=str(first))
"""
EVENTS = 'from planner.scenario import example\nscenario = example("events")\n'
FULL = """
from planner.recommend import recommend
{scenario}
out = recommend(scenario, reasons={reasons})
tell(stacks=out.counts["screened"], simulated=out.counts["simulated"], untried=out.untried, seconds=out.seconds)
"""
UNSURE = """
from planner.recommend import recommend
from planner.recommend_unknowns import read_unknowns
from planner.recommend_uncertain import uncertain
{scenario}
unknowns = read_unknowns({{"flows[0].workload.rate": {{"low": 1500, "likely": 2500, "high": 4500}},
    "flows[0].workload.size": {{"uniform": [600, 1100]}}}}, scenario)
kept = {{}}
import planner.recommend as asked
inner = asked._answer
def answer(s, w, search, found, **more):
    kept["search"] = search
    return inner(s, w, search, found, **more)
asked._answer = answer
out = recommend(scenario, reasons=False)
before = spent()
found = uncertain(out, kept["search"], unknowns, kept["search"].builder.c, 1024, {simulated})
tell(only=spent() - before, simulated=found.simulated)
"""
MINUTES = """
from planner.engine import simulate
from planner.forecast import coefficients_of
{scenario}
run = scenario.run.model_copy(update={{"warm_up": 20.0, "measure": 6000.0}})
longer, c = scenario.model_copy(update={{"run": run}}), coefficients_of(scenario)
for seed in range(10):
    simulate(longer, c, seed=seed, level="fluid", settle=False)
tell()
"""
MOST_MB = 500.0


@dataclass(frozen=True)
class Question:
    """What is asked, by which code, within how many CPU seconds; `part` counts only that key of what it prints."""

    name: str
    code: str
    limit: float
    part: str = "cpu"


QUESTIONS = (
    Question("first answer, one flow", FIRST.format(scenario=EVENTS), 2.0),
    Question("first answer, three flows", FIRST.format(scenario=FLOWS), 2.0),
    Question("joint recommendation, one flow", FULL.format(scenario=EVENTS, reasons=False), 30.0),
    Question("the same with every reason", FULL.format(scenario=EVENTS, reasons=True), 30.0),
    Question("joint recommendation, three flows", FULL.format(scenario=FLOWS, reasons=False), 30.0),
    Question("the same with every reason, three flows", FULL.format(scenario=FLOWS, reasons=True), 30.0),
    Question(
        "1,024 draws, the 64 nearest a limit simulated", UNSURE.format(scenario=EVENTS, simulated="64"), 30.0, "only"
    ),
    Question("1,024 draws on the screen alone", UNSURE.format(scenario=EVENTS, simulated="0"), 2.0, "only"),
    Question("1,000 simulated minutes", MINUTES.format(scenario=EVENTS), 30.0),
)


def ask(question: Question) -> dict[str, float]:
    """One question in a process of its own."""
    done = subprocess.run([sys.executable, "-c", SETUP + question.code], capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def main() -> int:
    asked = argparse.ArgumentParser(
        prog="python -m benchmarks.buying", description="Recommendations against the clock."
    )
    asked.add_argument("--only", default="", help="questions whose name holds this")
    chosen = [q for q in QUESTIONS if asked.parse_args().only in q.name]
    subprocess.run([sys.executable, "-c", "from planner.engine import warm_up; warm_up()"], check=True)
    missed = 0
    for question in chosen:
        found = ask(question)
        seconds, mb = float(found[question.part]), float(found["mb"])
        kept = seconds <= question.limit and mb <= MOST_MB
        missed += not kept
        print(f"{question.name:<46}{seconds:>7.1f} CPU s of {question.limit:g} ({seconds / question.limit:.0%})"
              f"{mb:>7.0f} MB of {MOST_MB:g}{'' if kept else '   MISSED'}", flush=True)  # fmt: skip
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
