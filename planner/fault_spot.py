"""Executors on the spot market: taken back at the rate that their machine's are, as faults of the run.

Times are exponential with the rate of `money.spot_interruptions`, or of the middle of the spot advisor's band; each
executor has dice of its own. A run of minutes sees none as a rule: a month of one executor has a few hundredths.
"""

from __future__ import annotations

from models.faults import Fault, law
from models.machines import box_name
from models.stack import Scenario
from models.units import MONTH
from simulator import kernels as k

DICE_SPOT, DICE_BAND = 50, 51  # streams that the kernels do not use


def interruptions_per_month(scenario: Scenario) -> float:
    """Share of spot executors that is taken back in a month [1]; 0 where nobody published one and none is stated."""
    from planner.bill import book_of
    from pricing.spark import interruption_band

    money = scenario.money
    if money.spot_interruptions is not None:
        return money.spot_interruptions
    band = interruption_band(book_of(money), box_name(scenario.spark.machine), money.region)
    return sum(band) / 2 if band is not None else 0.0


def drawn_interruptions(scenario: Scenario, draws: int, seed: int) -> list[float | None]:
    """Share of spot executors taken back in a month, a draw each [1]: one from each equal slice of the advisor's band.

    A rate that the scenario states is not drawn; None where there is nothing to draw.
    """
    from planner.bill import book_of
    from pricing.spark import interruption_band

    money = scenario.money
    stated = money.spot_interruptions is not None or not money.spot_share
    band = None if stated else interruption_band(book_of(money), box_name(scenario.spark.machine), money.region)
    if band is None:
        return [money.spot_interruptions] * draws
    order = sorted(range(draws), key=lambda n: k.exponential(seed, DICE_BAND, 0, n, 0))  # another order than the load's
    return [band[0] + (band[1] - band[0]) * (slot + 0.5) / draws for slot in order]


def spot_faults(scenario: Scenario, seed: int) -> tuple[Fault, ...]:
    """Interruptions of a run's spot executors: each ends after its notice, and is replaced after a time."""
    share, found = scenario.money.spot_share, []
    until = scenario.run.warm_up + scenario.run.measure
    often = interruptions_per_month(scenario) / MONTH if share > 0 else 0.0
    for e in range(round(scenario.spark.executors * share) if often > 0 else 0):
        at, n = 0.0, 0
        while (at := at + k.exponential(seed, DICE_SPOT, e, n, 0) / often) < until:
            lasts = law("spark.spot_notice") + max(1.0, scenario.money.spot_replacement)
            found.append(Fault(kind="spot-interrupted", at=at, target=str(e), duration=lasts))
            n += 1
    return tuple(found)
