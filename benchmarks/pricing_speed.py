"""How many candidates a second are priced: `python -m benchmarks.pricing_speed`.

A *candidate* is the example's stack with other machines and counts for brokers, executors and data nodes, its flows
kept: what a search over stacks prices. Measured in CPU time of one process, best of several rounds; no ratio to
another machine is made up. The whole path is said beside it: usage derived anew from the scenario, then priced.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace

from planner.bill import book_of, monthly_bill
from planner.forecast import coefficients_of
from planner.scenario import example
from planner.usage import flowing, paces, used
from pricing.shared import AnyUsage, bill
from pricing.usage import KafkaUsage, SearchUsage, SparkUsage

ROUNDS, CANDIDATES = 5, 4000
BOXES = ("m7g.large", "m7g.xlarge", "m7g.2xlarge", "m7g.4xlarge")
NODES = ("r7g.large", "r7g.xlarge", "r7g.2xlarge", "m7g.2xlarge")


def candidates() -> list[tuple[AnyUsage, ...]]:
    """Distinct stacks for the example's flows."""
    scenario = example("events")
    month = used(scenario, coefficients_of(scenario), paces(scenario))
    kafka = next(x for x in month.usages if isinstance(x, KafkaUsage))
    spark = next(x for x in month.usages if isinstance(x, SparkUsage))
    search = next(x for x in month.usages if isinstance(x, SearchUsage))
    brokers = [replace(kafka, machine=m, brokers=n) for m in BOXES for n in (3, 6, 9, 12)]
    executors = [replace(spark, machine=m, executor_hosts=float(n)) for m in BOXES[1:] for n in range(2, 7)]
    nodes = [replace(search, machine=m, data_nodes=n) for m in NODES for n in (3, 6, 9, 12, 15)]
    return list(itertools.islice(itertools.product(brokers, executors, nodes), CANDIDATES))


def a_second(work: Callable[[], int]) -> float:
    """Most pieces of work a CPU second over the rounds [1/s]."""
    best = 0.0
    for _ in range(ROUNDS):
        started = time.process_time()
        done = work()
        best = max(best, done / (time.process_time() - started))
    return best


def measured() -> dict[str, float]:
    """The figures, by name."""
    scenario = example("events")
    coefficients, book, stacks = coefficients_of(scenario), book_of(scenario.money), candidates()
    pace, flows = paces(scenario), flowing(scenario)
    bill(stacks[0], book)

    def priced() -> int:
        for stack in stacks:
            bill(stack, book)
        return len(stacks)

    def derived() -> int:
        for _ in range(1000):
            bill(used(scenario, coefficients, pace, flows=flows).usages, book)
        return 1000

    def ranged() -> int:
        for _ in range(20):
            monthly_bill(scenario, coefficients)
        return 20

    return {
        "candidates_priced_per_cpu_second": a_second(priced),
        "usages_derived_and_priced_per_cpu_second": a_second(derived),
        "milliseconds_of_a_forecasts_bill_with_range": 1000 / a_second(ranged),
    }


def main() -> None:
    found = measured()
    if "--json" in sys.argv:
        print(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        print(f"{name.replace('_', ' ')}: {value:,.1f}")


if __name__ == "__main__":
    main()
