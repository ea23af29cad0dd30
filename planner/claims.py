"""Claims: what a much-read article says of this stack, held against one configuration.

Each claim is answered true, false or "it depends", with the number that this configuration gives and the source
of the verdict. Nothing is simulated: numbers come from the ledgers, the fill of the disks, the bill at a batch a
trigger, and the analytic screen (which says where it must not be trusted). `floodmark forecast` says more of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from models.coefficients import CoefficientSet
from models.spark import AS_FAST_AS_POSSIBLE, AVAILABLE_NOW
from models.stack import Scenario
from planner.findings import Finding
from planner.memory import Ledger, memory
from planner.storage import Fill, index_storage, topic_storage

if TYPE_CHECKING:
    from planner.bill import MonthlyBill
    from planner.usage import Pace
    from simulator.screen import Screened

Truth = Literal["true", "false", "it depends"]
ARTICLE = "the seed article on Kafka, Spark and Elasticsearch"


@dataclass(frozen=True)
class Claim:
    """One claim and its answer. `number` is this configuration's, `why` holds anywhere."""

    code: str
    about: str
    said: str
    verdict: Truth
    number: str
    why: str
    source: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Known:
    """What the claims look at, each worked out once and only when asked for."""

    scenario: Scenario
    coefficients: CoefficientSet

    @cached_property
    def bill(self) -> MonthlyBill:
        from planner.bill import monthly_bill

        return monthly_bill(self.scenario, self.coefficients, pace=screened_pace(self.scenario, self.coefficients))

    @cached_property
    def index(self) -> Fill:
        return index_storage(self.scenario, self.coefficients)

    @cached_property
    def topic(self) -> Fill:
        return topic_storage(self.scenario)

    @cached_property
    def ledgers(self) -> dict[str, Ledger]:
        return {entry.process: entry for entry in memory(self.scenario, self.coefficients)}

    @cached_property
    def findings(self) -> list[Finding]:
        from planner.checks import check

        return check(self.scenario)

    @cached_property
    def screened(self) -> Screened | None:
        """The analytic screen; None for a query that has no steady batches."""
        from simulator.screen import screen
        from simulator.screen_numbers import numbers_of

        if any(flow.query.trigger == AVAILABLE_NOW for flow in self.scenario.flows):
            return None
        return screen(numbers_of(self.scenario, self.coefficients))


def screened_pace(scenario: Scenario, coefficients: CoefficientSet) -> dict[str, Pace]:
    """How often each flow's batches start, without a run: one a trigger, or the screen's period where there is none."""
    from planner.usage import Pace, paces
    from simulator.screen import screen
    from simulator.screen_numbers import numbers_of

    if all(flow.query.trigger != AS_FAST_AS_POSSIBLE for flow in scenario.flows):
        return paces(scenario)
    if any(flow.query.trigger == AVAILABLE_NOW for flow in scenario.flows):
        return {flow.name: Pace(0.0) for flow in scenario.flows}
    period = screen(numbers_of(scenario, coefficients)).period_seconds[0]
    return {flow.name: Pace(float(period[k])) for k, flow in enumerate(scenario.flows)}


Judge = Callable[[Known], Iterator[Claim]]


def claims(scenario: Scenario) -> list[Claim]:
    """Every claim, in the article's order. Raises ScenarioError for what cannot be placed or priced."""
    from planner.claims_kafka import JUDGES as kafka
    from planner.claims_money import JUDGES as money
    from planner.claims_search import JUDGES as search
    from planner.claims_spark import JUDGES as spark
    from planner.forecast import coefficients_of
    from planner.refusal import ScenarioError

    known = Known(scenario, coefficients_of(scenario))
    try:
        return [claim for judge in (*money, *kafka, *spark, *search) for claim in judge(known)]
    except ValueError as error:
        raise ScenarioError(f"{scenario.name}: the claims cannot be judged: {error}") from None
