"""Faults of Spark: queries that die and live again, executors lost, slow or killed for their memory, the checkpoint.

A lost executor's tasks hang until the driver notices and then run again, with an attempt used up; the fourth failed
attempt ends the query. Whoever starts it again decides the downtime; offsets that were planned are read again.
"""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from models.faults import Fault, law
from simulator.story import Down

if TYPE_CHECKING:
    from simulator.faults import Director as Base
    from simulator.spark import Query
else:
    Base = object

Process = Generator[Any, Any, None]


class SparkFaults(Base):
    """What `faults.Director` does to queries and executors."""

    def query_died(self, query: Query, why: str) -> None:
        self.report.downs[query.number].append(Down(self.env.now, why))
        self.note(-1, f"{query.flow.name}: the query died: {why}")

    def query_stopped(self, query: Query) -> None:
        self.stopped[query.number] = True
        self.report.downs[query.number].append(Down(self.env.now, "stopped"))

    def query_lives(self, query: Query) -> None:
        f = query.number
        self.stopped[f] = False
        self.report.downs[f][-1].until = self.env.now
        self.report.restarts[f] = query.restarts
        for e, up in enumerate(self.executors_up):  # a new application brings new executors, as cold as itself
            if not up:
                self._executor_up(e, 0.0)
            self.sim.plane.m.exec_amplitude[e] = 0.0
        self.note(-1, f"{query.flow.name}: the query runs again")

    def cluster_back(self) -> float:
        """When there is a cluster to start on [s]."""
        return self.no_cluster_until

    def _kill_queries(self, why: str) -> None:
        for query, process in zip(self.sim.queries, self.sim.processes, strict=True):
            if process.is_alive and not self.stopped[query.number] and query.failed is None:
                process.interrupt(why)

    def _driver_lost(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self._kill_queries("the driver died")
        self.ended(n)
        yield self.env.timeout(0)
        self.whole(n)

    def _checkpoint_slow(self, n: int, fault: Fault) -> Process:
        self.checkpoint_factor *= fault.strength
        self.noticed(n)
        yield from self._for(n, fault)
        self.checkpoint_factor /= fault.strength
        self.whole(n, "checkpoint writes take their usual time")

    def _checkpoint_failing(self, n: int, fault: Fault) -> Process:
        self.checkpoints_failing += 1
        self.noticed(n)
        yield from self._for(n, fault)
        self.checkpoints_failing -= 1
        self.whole(n, "the checkpoint store takes writes again")

    @property
    def checkpoint_fails(self) -> bool:
        return self.checkpoints_failing > 0

    # ------------------------------------------------------------ executors

    def _executor_lost(self, n: int, fault: Fault) -> Process:
        yield from self._lose_executor(n, fault, 0.0, law("spark.network_timeout") if fault.silent else 0.0, True)

    def _spot_interrupted(self, n: int, fault: Fault) -> Process:
        self.noticed(n)
        self.note(n, f"notice: executor {fault.number} ends in {law('spark.spot_notice'):.0f} s")
        yield from self._lose_executor(n, fault, law("spark.spot_notice"), 0.0, False)

    def _lose_executor(self, n: int, fault: Fault, notice: float, seen_after: float, counts: bool) -> Process:
        """Tasks on it hang until the driver notices, then run again elsewhere; a cold replacement takes its place."""
        e = fault.number
        yield self.env.timeout(notice)
        if not self.executors_up[e]:
            self.whole(n)
            return
        self.hurt(n, f"executor {e}")
        self._executor_down(e)
        yield self.env.timeout(seen_after)
        self.noticed(n)
        self.sim.plane.notice_executor(e, counts)
        self.note(n, f"the driver knows that executor {e} is gone; its tasks run again elsewhere")
        back = max(law("spark.container"), (fault.end - self.env.now) if math.isfinite(fault.end) else 0.0)
        if not math.isfinite(fault.end):
            self.ended(n)
        yield self.env.timeout(back)
        if math.isfinite(fault.end):
            self.ended(n)
        if not self.executors_up[e]:
            self._executor_up(e, self.sim.cold_amplitude())
        self.whole(n, f"executor {e} is replaced, cold", f"executor {e}")

    def _executor_slow(self, n: int, fault: Fault) -> Process:
        yield from self._slow_hosts(n, fault, [self.sim.built.placement.executors[fault.number]], fault.strength)

    def _driver_slow(self, n: int, fault: Fault) -> Process:
        yield from self._slow_hosts(n, fault, [self.sim.built.placement.driver], fault.strength)

    def _executor_oom(self, n: int, fault: Fault) -> Process:
        """A task outgrows its container, is run again elsewhere and outgrows that one too, until the cause is gone.

        The task is the one that the executor has run longest; each batch's task of that number does the same, as a
        restart replays the same records. It is killed each time when it has run for as long as the first time.
        """
        running, look = getattr(self.sim.plane, "running", None), law("spark.kill_look")
        if running is None:
            raise ValueError(f"'{fault}': the reference model does not know which task an executor runs; use 'fluid'")
        self.noticed(n)
        poison: tuple[int, int] | None = None
        grown, killed = 0.0, 0
        while self.env.now < fault.end:
            for flow, number, e, since in running():
                if poison is None and e == fault.number and self.env.now - since >= look:
                    poison, grown = (flow, number), self.env.now - since
                if poison == (flow, number) and self.executors_up[e] and self.env.now - since >= grown - 1e-9:
                    self._kill_for_memory(n, e)
                    killed += 1
                    break
            yield self.env.timeout(min(look, max(1e-6, fault.end - self.env.now)))
        self.ended(n)
        told = f"; {killed} executors were killed" if killed else ": no task of it ran, nothing was killed"
        self.whole(n, f"tasks fit into their containers again{told}", "memory")

    def _kill_for_memory(self, n: int, e: int) -> None:
        """The resource manager ends a container; a closed socket tells the driver at once, and its tasks run elsewhere.

        Too many of them end the application. Source: spark.md C4.
        """
        self.hurt(n, "memory")
        self.hurt(n, f"executor {e}")
        self.kills += 1
        self.note(n, f"executor {e} outgrows its container and is killed (137 or 143); its tasks run again elsewhere")
        self._executor_down(e)
        self.sim.plane.notice_executor(e, True)
        self.env.process(self._replace(n, e))
        if self.kills >= max(law("spark.most_kills"), 2 * len(self.executors_up)):
            self._kill_queries(f"{self.kills} executors were killed for their memory, more than the application bears")
            self.kills = 0

    def _replace(self, n: int, e: int) -> Process:
        yield self.env.timeout(law("spark.container"))
        if not self.executors_up[e]:
            self._executor_up(e, self.sim.cold_amplitude())
        self.whole(n, f"executor {e} is replaced, cold", f"executor {e}")

    def _executor_down(self, e: int) -> None:
        self.executors_up[e] = False
        self.sim.plane.stop_executor(e)

    def _executor_up(self, e: int, amplitude: float) -> None:
        self.executors_up[e] = True
        self.sim.plane.start_executor(e, self.sim.scenario.spark.cores, amplitude)
