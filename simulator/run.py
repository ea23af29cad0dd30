"""One run of a scenario: SimPy decides, the data plane moves.

`simulate` builds the layout, starts a process for each query and for each change of the load, runs
through warm-up and the measured window, and goes on until what was created in the window has become
visible (or it is clear that it will not).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import simpy

from models.coefficients import CoefficientSet
from models.faults import Fault, law
from models.kafka import page_cache_seconds
from models.spark import AVAILABLE_NOW, warming_work
from models.stack import Scenario
from simulator import kernels as k
from simulator.faults import Director, bursts_of, outages_of, refused_by_exact_front, shards_move
from simulator.hosts import LEAST_CORES
from simulator.kafka import Front, front_of
from simulator.layout import Built, build, front_cores
from simulator.memory import Memory
from simulator.plane import CompiledPlane
from simulator.spark import Query
from simulator.trace import BATCH_FIELDS, TASK_FIELDS, FlowTrace, HostLoad, Trace, from_ramps

Level = Literal["fluid", "exact", "reference"]
Outages = Sequence[tuple[float, float]]
Enough = Callable[[list[list[tuple]]], bool]
LOOKS = 60  # samples of host load in the measured window
WARMING_SECONDS, WARMING_STEP = 600.0, 5.0  # how long, and how often, a cold broker's CPU is looked at


class Plane(Protocol):
    """What the control plane asks of a data plane, compiled or reference."""

    m: Memory

    def driver_work(self, flow: int, cpu: float) -> simpy.Event: ...
    def stage(
        self, flow: int, batch: int, cut: float, table: np.ndarray, launch: float, written: str = "nothing"
    ) -> simpy.Event: ...
    def abort(self, flow: int) -> None: ...
    def stop_executor(self, executor: int) -> None: ...
    def notice_executor(self, executor: int, counts: bool = True) -> None: ...
    def start_executor(self, executor: int, slots: int, amplitude: float) -> None: ...
    def stop_node(self, node: int) -> None: ...
    def reroute(self, node: int) -> None: ...
    def start_node(self, node: int, amplitude: float) -> None: ...
    def move_pending(self, flow: int, node: int, shares: dict[int, float]) -> None: ...
    def pending(self, flow: int, node: int) -> float: ...
    def set_speed(self, host: int, speed: float) -> None: ...
    def committed(self, flow: int, time: float) -> np.ndarray: ...
    def created_span(self, flow: int, start: np.ndarray, end: np.ndarray) -> tuple[float, float]: ...
    def sink_wait(self, flow: int) -> float: ...
    def set_cores(self, host: int, cores: float) -> None: ...
    def look(self) -> dict[str, np.ndarray]: ...
    def run_until(self, until: float) -> None: ...


class Simulation:
    """The control plane of one run."""

    def __init__(
        self,
        scenario: Scenario,
        coefficients: CoefficientSet,
        seed: int,
        level: Level,
        rate_factor: float,
        outages: Outages,
        exact_front: bool,
        settle: bool = True,
        enough: Enough | None = None,
        faults: Sequence[Fault] | None = None,
    ) -> None:
        self.enough = enough
        self.scenario, self.coefficients, self.seed, self.level = scenario, coefficients, seed, level
        self.happens = list(scenario.faults if faults is None else faults)
        if exact_front and (refused := refused_by_exact_front(self.happens)):
            raise ValueError(refused)
        self.outages, self.settle = sorted([*outages, *outages_of(self.happens)]), settle
        run = scenario.run
        self.measured_from, self.measured_until = run.warm_up, run.warm_up + run.measure
        self.last = self.measured_until + self._patience()
        window = (self.measured_from, self.measured_until)
        self.built: Built = build(
            scenario, coefficients, seed, exact_front, rate_factor, window, self.last,
            bursts_of(self.happens), shards_move(self.happens),
        )  # fmt: skip
        self.exact_front = exact_front
        self.env = simpy.Environment()
        self.plane: Plane = self._make_plane(level)
        self.partition_base = self.built.partition_base
        self.queries = [Query(self, f, flow) for f, flow in enumerate(scenario.flows)]
        self.processes: list[simpy.Process] = []
        self._front_cores: dict[int, float] = {}
        self._fronts: dict[tuple[int, float], Front] = {}  # of each flow, by its rate
        self._front_spent = dict.fromkeys(self.built.placement.brokers, 0.0)
        self._starting: dict[int, float] = {}  # threads that starting applications take on each site
        self._taken: dict[int, float] = {}  # of each site, by brokers and by what starts
        self._front_set = 0.0
        self.faults = Director(self, self.happens)
        self.batches: list[list[tuple]] = [[] for _ in scenario.flows]
        self.lags: list[list[np.ndarray]] = [[] for _ in scenario.flows]
        self.looks: list[tuple[float, dict[str, np.ndarray]]] = []
        self._goal: list[float | None] = [None] * len(scenario.flows)
        self._cache_seconds = self._cache_of_brokers()

    def _make_plane(self, level: Level) -> Plane:
        if level == "reference":
            from simulator.reference import ReferencePlane

            return ReferencePlane(self.env, self.built)
        return CompiledPlane(self.env, self.built)

    def _patience(self) -> float:
        """How long after the window the run may wait for the window's records [s]."""
        flows = self.scenario.flows
        slow = max(max(f.query.trigger, 0.0) + f.index.refresh_interval for f in flows)
        waits = max(f.query.sink.retry.wait * f.query.sink.retry.attempts for f in flows)
        measure = self.scenario.run.measure
        outage = max((length for _, length in self.outages), default=0.0)
        if any(f.query.trigger == AVAILABLE_NOW for f in flows):
            outage += 4 * measure
        outage += sum(f.duration or 0.0 for f in self.happens) / 2
        if self.happens and self.scenario.spark.restart.policy != "none":
            outage += self.scenario.spark.restart.start + self.scenario.spark.restart.longest / 2
        return max(30.0, 8 * slow, 4 * waits) + min(measure, 600.0) + 4 * outage

    def forget(self) -> None:
        """Let go of the run's tables at once: SimPy's processes and this object hold each other and would keep them."""
        del self.plane, self.built, self.queries, self.env, self.processes, self.faults

    # ------------------------------------------------------------ the story

    def run(self) -> None:
        self.processes = [self.env.process(query.run()) for query in self.queries]
        self.faults.start()
        self.env.process(self._follow_the_rate())
        self.env.process(self._look_now_and_then())
        self._measure()
        while self.settle and self.env.now < self.last and not self._all_visible():
            self.plane.run_until(min(self.last, self.env.now + 1.0))

    def _measure(self) -> None:
        """To the window's end, or until somebody who looks at the batches so far has seen enough.

        No sooner than two looks into the window, from which hosts' loads are told.
        """
        if self.enough is None:
            return self.plane.run_until(self.measured_until)
        step = max(1.0, *(flow.query.trigger for flow in self.scenario.flows))
        while self.env.now < self.measured_until and not (len(self.looks) > 1 and self.enough(self.batches)):
            self.plane.run_until(min(self.measured_until, self.env.now + step))
        self.measured_until = self.env.now

    def _all_visible(self) -> bool:
        """Whether every record created in the window can be found (or its query has failed, or writes nothing)."""
        counts = self.plane.look()["counts"]
        return sum(self._settled(f, counts[f]) for f in range(len(self.queries))) == len(self.queries)

    def _settled(self, f: int, counts: np.ndarray) -> bool:
        """The window's last record is behind the query's offsets, and all indexed until then has been refreshed."""
        query = self.queries[f]
        if query.failed is not None:
            return True
        if self._goal[f] is None and (query.offsets >= np.floor(self._created_by(f, self.measured_until)) - 1e-6).all():
            self._goal[f] = float(counts[k.INDEXED])
        goal = self._goal[f]
        shown = float(counts[k.VISIBLE]) * query.flow.workload.fan_out
        return goal is not None and (not query.costs.has_bulks or shown >= goal * (1 - 1e-9) - 1e-6)

    def _created_by(self, f: int, time: float) -> np.ndarray:
        """Records of each partition created by a time [records]."""
        memory = self.plane.m
        parts = range(self.partition_base[f], self.partition_base[f + 1])
        return np.array([k.count_at(memory.I, memory.F, p, time) for p in parts])

    def censored(self, f: int, shown: float) -> float:
        """Records kept of the window whose end the run did not see [records]."""
        query = self.queries[f]
        if not query.costs.has_bulks or (
            self._goal[f] is not None and self._settled(f, self.plane.look()["counts"][f])
        ):
            return 0.0
        expected = self._created_by(f, self.measured_until) - self._created_by(f, self.measured_from)
        return max(0.0, float(expected.sum()) * query.flow.workload.kept - shown)

    def created_between(self, f: int, start: float, end: float) -> np.ndarray:
        """Records of each partition created between two times [records]."""
        return self._created_by(f, end) - self._created_by(f, start)

    # ------------------------------------------------------------ the load

    def _follow_the_rate(self) -> Generator[Any, Any, None]:
        """Brokers' work that is not simulated event by event takes cores from its hosts: it follows the rate, and a
        cold JVM's is dearer by the warm-up law, idling counted as work (of the fluid front; the exact one simulates
        warm brokers).
        """
        marks = {t for times, _ in self.built.corners for t in times if t < self.last}
        if self.scenario.run.jvm == "cold" and not self.exact_front:
            marks |= set(np.arange(0.0, min(self.last, WARMING_SECONDS), WARMING_STEP))
        for mark in sorted(marks):
            if mark > self.env.now:
                yield self.env.timeout(mark - self.env.now)
            self.set_front(mark)

    def set_front(self, mark: float) -> None:
        """Take the brokers' work from their hosts' cores: as it is at a time, with the brokers that serve then."""
        place, before, spent = self.built.placement, self._front_cores, self._front_spent
        rates = [self.rate_at(f, mark) for f in range(len(self.queries))]
        homes = self.faults.topics.serving()
        fronts = [self._front_at(f, rate) for f, rate in enumerate(rates)]
        cores = front_cores(self.scenario, place, fronts, rates, self.exact_front, homes)
        for site, more in self.faults.extra_cores.items():
            cores[site] = cores.get(site, 0.0) + more
        for site, warm in cores.items():
            speed = place.sites[site].speed
            idle = self.coefficients["kafka.idle_cpu_cores"] * place.brokers.count(site)
            spent[site] += (before.get(site, 0.0) * speed + idle) * (mark - self._front_set)
            before[site] = warm * self._broker_stretch(site, warm * speed)
        for site in dict.fromkeys([*cores, *self._starting]):
            now = before.get(site, 0.0) + self._starting.get(site, 0.0)
            if now != self._taken.get(site):
                self.plane.set_cores(site, max(LEAST_CORES, place.sites[site].cores_left - now))
            self._taken[site] = now
        self._front_set = mark

    def _broker_stretch(self, site: int, work: float) -> float:
        """What the brokers of a site cost over warm ones for the next while, `work` being their warm CPU [1]: the
        warm-up law, taken over that while. Of several JVMs there each warms by its own part."""
        c, jvms = self.coefficients, max(1, self.built.placement.brokers.count(site))
        if self.scenario.run.jvm == "warm" or self.exact_front or work <= 0:
            return 1.0
        done, more = self._front_spent[site] / jvms, work * WARMING_STEP / jvms
        return warming_work(done, more, c["kafka.warm_amplitude"], c["kafka.warm_work_seconds"]) / more

    def _front_at(self, f: int, rate: float) -> Front:
        """A flow's batches as they are at a rate: slower records come in smaller ones, so in more requests each."""
        if rate <= 0 or self.exact_front:
            return self.built.fronts[f]
        if (f, rate) not in self._fronts:
            flow, cluster, place = self.scenario.flows[f], self.scenario.kafka, self.built.placement
            self._fronts[f, rate] = front_of(flow, cluster, rate, place, self.coefficients)
        return self._fronts[f, rate]

    def start_application(self, ready: float) -> Generator[Any, Any, None]:
        """A query's application starts on the driver's host so that it is ready at a time: one thread is busy for as
        long as its start takes, or for all that is left until then. That work warms no batch: the law counts theirs."""
        site, c = self.built.placement.driver, self.coefficients
        free = max(LEAST_CORES, min(1.0, self.built.placement.sites[site].cores_left))
        cpu = c["spark.start_cpu_seconds"] / self.built.placement.sites[site].speed
        lasts = min(cpu / free, ready - self.env.now)
        if lasts <= 0:
            return
        yield self.env.timeout(ready - lasts - self.env.now)
        self._start(site, free)
        yield self.env.timeout(max(0.0, ready - self.env.now))
        self._start(site, -free)

    def cold_amplitude(self) -> float:
        """A of the warm-up law for the tasks of a new executor [1]: it acts on what their JVM does, not on Python."""
        work = [query.jvm_share() for query in self.queries]
        return self.coefficients["spark.warm_amplitude"] * sum(work) / len(work)

    def _start(self, site: int, threads: float) -> None:
        self._starting[site] = max(0.0, self._starting.get(site, 0.0) + threads)
        self.set_front(self.env.now)

    def front_cores_of(self, site: int) -> float:
        """Cores that the front takes on a site now [threads]."""
        return self._front_cores.get(site, 0.0)

    def _look_now_and_then(self) -> Generator[Any, Any, None]:
        yield self.env.timeout(self.measured_from)
        for _ in range(LOOKS + 1):
            self.looks.append((self.env.now, self.plane.look()))
            yield self.env.timeout((self.measured_until - self.measured_from) / LOOKS)

    # ------------------------------------------------------------ what a query asks of its surroundings

    def rate_at(self, f: int, time: float) -> float:
        """Records a second that arrive at a time [1/s]."""
        times, rates = self.built.corners[f]
        return float(rates[max(0, np.searchsorted(times, time, side="right") - 1)])

    def readable(self, f: int, time: float) -> np.ndarray:
        """Records of each partition that a consumer may read at a time [records]."""
        return self.faults.topics.readable(f, self.plane.committed(f, time))

    def earliest(self, f: int, now: float) -> np.ndarray | None:
        """Offsets that the topic still has; None while nothing can have expired. A segment goes as a whole, when its
        youngest record is older than retention. Source: kafka.md B2.
        """
        retention = self.scenario.flows[f].topic.retention
        if now <= retention:
            return None
        segment = law("kafka.segment_bytes") / self.built.fronts[f].wire_bytes
        return np.floor(self._created_by(f, now - retention) / segment) * segment

    def spark_work(self) -> float:
        """CPU that the executors' hosts have done [reference s]."""
        work = self.plane.look()["host_work"]
        return float(sum(work[h] for h in set(self.built.placement.executors)))

    def in_window(self, f: int, start: np.ndarray, end: np.ndarray) -> tuple[float, float, float]:
        """When a batch's records of the window were created, first to last [s], and their share of the batch [1]."""
        low = np.clip(self._created_by(f, self.measured_from), start, end)
        high = np.maximum(low, np.clip(self._created_by(f, self.measured_until), start, end))
        share = float((high - low).sum() / (end - start).sum())
        if share <= 0:
            return *self.plane.created_span(f, start, end), 0.0
        first, last = self.plane.created_span(f, low, high)
        return max(first, self.measured_from), min(last, self.measured_until), share

    def _cache_of_brokers(self) -> float:
        """How far back in time the brokers' page cache reaches [s]."""
        total = sum(
            front.wire_bytes * flow.topic.copies * float(rates.max())
            for flow, front, (_, rates) in zip(self.scenario.flows, self.built.fronts, self.built.corners, strict=True)
        )
        memory = min(self.built.placement.sites[s].memory_bytes for s in self.built.placement.brokers)
        return page_cache_seconds(memory, self.scenario.kafka.heap, total / self.scenario.kafka.brokers)

    def cold_seconds(self, f: int, tasks: list[tuple[int, float, float]], now: float) -> np.ndarray:
        """Time that each task waits for a broker's disk, where it reads behind the page cache [s].

        The readers of one broker share its volume's throughput. Source: kafka.md A7 (mechanism only).
        """
        edge = now - self._cache_seconds
        if edge <= 0:
            return np.zeros(len(tasks))
        memory, base, wire = self.plane.m, self.partition_base[f], self.built.fronts[f].wire_bytes
        cached = np.array([k.count_at(memory.I, memory.F, base + p, edge) for p, _, _ in tasks])
        first, last = np.array([a for _, a, _ in tasks]), np.array([b for _, _, b in tasks])
        cold = np.maximum(0.0, np.minimum(last, cached) - first) * wire
        if not cold.any():
            return cold
        leaders = memory.partition_leader[[base + p for p, _, _ in tasks]]
        readers = np.array([(leaders[cold > 0] == b).sum() for b in leaders])
        return cold * readers / self.scenario.kafka.volume.throughput

    def record_batch(
        self,
        query: Query,
        number: int,
        due: float,
        began: float,
        start: np.ndarray,
        end: np.ndarray,
        lag: np.ndarray,
        tasks: int,
        sink_wait: float,
    ) -> None:
        f, now = query.number, self.env.now
        records = float((end - start).sum())
        behind = max(0.0, began - self.plane.created_span(f, start, end)[0])
        after = float((np.maximum(self.readable(f, now), end) - end).sum())
        documents = records * query.flow.workload.documents_per_event
        row = (number, due, began, now, records, documents, tasks, sink_wait, float(lag.sum()), after, behind)
        self.batches[f].append(row)
        self.lags[f].append(lag)


def simulate(
    scenario: Scenario,
    coefficients: CoefficientSet,
    *,
    seed: int = 1,
    level: Level = "fluid",
    rate_factor: float = 1.0,
    outages: Outages = (),
    exact_front: bool | None = None,
    settle: bool = True,
    enough: Enough | None = None,
    faults: Sequence[Fault] | None = None,
) -> Trace:
    """Run a scenario once.

    Levels: `fluid` (compiled; the producers' front is a delay), `exact` (compiled; every producer batch), `reference`
    (plain SimPy, the oracle; its front is exact unless `exact_front=False`). `rate_factor` scales every flow's rate;
    `outages` are stretches (start, length) [s] in which no query runs. `settle=False` ends with the window: what is
    not visible by then stays censored, which is enough where only throughput or lag is asked for. `enough` is shown
    all flows' batches so far (rows as BATCH_FIELDS) once a trigger, and ends the window when it says True. `faults`
    stand for the scenario's own.
    Raises ValueError for what cannot be placed or simulated.
    """
    exact = level != "fluid" if exact_front is None else exact_front
    sim = Simulation(scenario, coefficients, seed, level, rate_factor, outages, exact, settle, enough, faults)
    sim.run()
    trace = _trace(sim)
    sim.forget()
    return trace


def _trace(sim: Simulation) -> Trace:
    final = sim.plane.look()
    flows = {flow.name: _flow_trace(sim, f, final) for f, flow in enumerate(sim.scenario.flows)}
    hosts, slots, series = _loads(sim)
    return Trace(
        sim.seed,
        sim.level,
        sim.measured_from,
        sim.measured_until,
        sim.env.now,
        flows,
        hosts,
        slots,
        getattr(sim.plane, "events", 0),
        series,
        sim.faults.report,
    )


def _flow_trace(sim: Simulation, f: int, final: dict[str, np.ndarray]) -> FlowTrace:
    m, query = sim.plane.m, sim.queries[f]
    latency = from_ramps(
        m.slope[f], m.step[f], m.F[k.FINE_WIDTH], m.F[k.COARSE_WIDTH], sim.censored(f, final["hops"][f][0])
    )
    publish = None
    if sim.exact_front:
        publish = from_ramps(m.publish_slope[f], m.publish_step[f], 1e-4, 0.01, 0.0)
    batches = np.array(sim.batches[f], dtype=BATCH_FIELDS)
    lag = np.array(sim.lags[f]) if sim.lags[f] else np.zeros((0, query.flow.topic.partitions))
    outcome = "running" if query.failed is None else f"failed at {query.failed[0]:.1f} s: {query.failed[1]}"
    return FlowTrace(
        query.flow.name,
        latency,
        publish,
        _hops(final["hops"][f], sim.built.fronts[f].delay),
        batches,
        lag,
        _tasks(m, f),
        _accounts(sim, f, final),
        outcome,
    )


def _hops(sums: np.ndarray, front: float) -> dict[str, float]:
    """Mean seconds of each hop: to the high watermark, waiting for the trigger, in the batch, until the refresh."""
    if sums[0] <= 0:
        return {}
    before, process, refresh = (float(x / sums[0]) for x in sums[1:4])
    return {
        "produce": min(front, before),
        "trigger_wait": max(0.0, before - front),
        "process": process,
        "refresh": refresh,
    }


def _tasks(m: Memory, f: int) -> np.ndarray:
    rows = m.task_log[: m.I[k.N_LOG]]
    rows = rows[rows[:, 0] == f]
    out = np.zeros(len(rows), dtype=TASK_FIELDS)
    for n, name in enumerate(("batch", "partition", "executor", "started", "finished")):
        out[name] = rows[:, n + 1]
    return out


def _accounts(sim: Simulation, f: int, final: dict[str, np.ndarray]) -> dict[str, float]:
    """What became of the records and documents, in one row: what went in equals what came out and what is pending."""
    query, counts, now = sim.queries[f], final["counts"][f], sim.env.now
    lost = sim.faults.lost(f)
    cut = float(query.offsets.sum()) - query.skipped
    committed = float(sim.readable(f, now).sum())
    parts = range(sim.partition_base[f], sim.partition_base[f + 1])
    exact = sim.exact_front
    produced = (
        float(counts[k.PRODUCED])
        if exact
        else float(sum(k.count_at(sim.plane.m.I, sim.plane.m.F, p, now) for p in parts)) + lost - query.skipped
    )
    load = query.flow.workload
    return {
        "produced": produced,
        "committed": committed,
        "cut": cut,
        "pending": produced - cut - lost,
        "kept": cut * load.kept,
        "filtered": cut * (1 - load.kept),
        "indexed_documents": float(counts[k.INDEXED]),
        "visible_records": float(counts[k.VISIBLE]),
        "rejected_items": float(counts[k.REJECTED]),
        "duplicated_documents": float(counts[k.DUPLICATED]),
        "lost": lost,
        "lost_documents": float(counts[k.INDEXED]) * sim.faults.shards.lost_share(f),
    }


def _loads(sim: Simulation) -> tuple[list[HostLoad], float, dict[str, np.ndarray]]:
    """Each host's load over the window: its jobs', and what background took of its cores at each look."""
    times = np.array([t for t, _ in sim.looks])
    place, spark, threads = sim.built.placement, sim.scenario.spark, sim.plane.m.node_threads
    cores = np.array([site.cores for site in place.sites])
    left = np.array([look["host_cores"] for _, look in sim.looks[:-1]])
    use = (_per_second(sim, "host_busy", times) + cores - left) / cores
    slots = _per_second(sim, "slot_seconds", times).mean(axis=0) / spark.cores
    writes = _per_second(sim, "write_seconds", times).mean(axis=0) / threads
    permits = {h: (float(spark.cores), float(slots[e])) for e, h in enumerate(place.executors)}
    permits |= {h: (float(threads[n]), float(writes[n])) for n, h in enumerate(place.nodes) if h not in permits}
    loads = [
        HostLoad(
            site.name,
            tuple(dict.fromkeys(site.roles)),
            site.zone,
            site.cores,
            float(use[:, h].mean()),
            float(use[:, h].max()),
            *permits.get(h, (0.0, 0.0)),
        )
        for h, site in enumerate(place.sites)
    ]
    return loads, float(slots.mean()), {"time": times[1:], "utilisation": use}


def _per_second(sim: Simulation, account: str, times: np.ndarray) -> np.ndarray:
    """Growth of an account between looks, a second."""
    values = np.array([look[account] for _, look in sim.looks])
    return np.diff(values, axis=0) / np.diff(times)[:, None]
