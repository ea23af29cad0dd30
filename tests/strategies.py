"""Scenarios drawn by Hypothesis: small enough for plain SimPy, wide enough to meet every branch of the data plane."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from models.coefficients import LAWS, CoefficientSet, load_set
from models.stack import Scenario
from models.units import KIB, MB, MIB
from simulator.run import Level, Plane, Simulation, _trace
from simulator.trace import Trace

GENERIC = load_set("generic-2026-11")
SHORT = "FLOODMARK_SHORT" in os.environ  # without a compiler a run costs some hundred times more
PATH_EXAMPLES = 3 if SHORT else int(os.environ.get("FLOODMARK_EXAMPLES", "40")) // 6  # of each regime and front
drawn = settings(
    max_examples=PATH_EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=list(Phase) if "FLOODMARK_SHRINK" in os.environ else [Phase.explicit, Phase.generate],  # a run is dear
)
PATIENCE = 1.0 if SHORT else 3.0  # of a drawn run, after its window [s]: latecomers are censored, on both sides alike


NOISE = ("task_sigma", "batch_sigma", "run_sigma", "commit_sigma", "pause_per_cpu_second", "idle_cpu_cores")
QUIET = {name: 0.0 for name in LAWS if name.endswith(NOISE)}
FREE = {
    name: 0.0
    for name, (unit, _) in LAWS.items()
    if unit in ("s", "s/byte") and not name.endswith(("warm_work_seconds", "round_trip_seconds"))
} | {"hosts.local_round_trip_seconds": 0.0, "hosts.zone_round_trip_seconds": 0.0}


def bare(**changed: Any) -> Scenario:
    """One partition, one broker, one executor with one slot, one data node; each on a host of 64 reference cores.

    `flow__query__trigger=2.0` changes one value of the flow, `spark={...}` a whole part.
    """
    flow: dict[str, Any] = {
        "workload": {"rate": 1000, "size": 100},
        "topic": {"partitions": 1, "copies": 1, "min_insync": 1, "producer": {"linger": 0}},
        "query": {"trigger": 1.0, "checkpoint": "local", "sink": {"kind": "jvm-foreach"}},
        "index": {"copies": 1},
    }
    told: dict[str, Any] = {
        "name": "bare",
        "flows": [flow],
        "kafka": {"kind": "self-managed", "brokers": 1, "zones": 1, "hosts": ["broker"], "tls": False},
        "spark": {"executors": 1, "cores": 1, "hosts": ["executor"]},
        "elasticsearch": {"data_nodes": 1, "hosts": ["node"]},
        "hosts": [{"name": name, "cores": 64} for name in ("broker", "executor", "node")],
        "run": {"measure": 20.0, "warm_up": 4.0},
    }
    for path, value in changed.items():
        *parts, last = path.split("__")
        if parts[:1] == ["flow"]:
            at = flow
            for part in parts[1:]:
                at = at.setdefault(part, {})
            at[last] = value
        elif isinstance(value, dict) and isinstance(told.get(last), dict):
            told[last] = told[last] | value
        else:
            told[last] = value
    return Scenario.model_validate(told)


@dataclass(frozen=True)
class Case:
    """One run: what is simulated, with which coefficients and outages, from which seed."""

    scenario: Scenario
    coefficients: CoefficientSet
    seed: int
    rate_factor: float = 1.0
    outages: tuple[tuple[float, float], ...] = ()

    def simulation(self, level: Level, exact_front: bool) -> Simulation:
        return Brief(self.scenario, self.coefficients, self.seed, level, self.rate_factor, self.outages, exact_front)

    def run(self, level: Level, exact_front: bool) -> tuple[Simulation, Trace]:
        sim = self.simulation(level, exact_front)
        sim.run()
        return sim, _trace(sim)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def __repr__(self) -> str:
        """What Hypothesis prints of a failing case: what differs from the defaults."""
        own = self.scenario.model_dump(exclude_defaults=True, mode="json")
        changed = {n: c.value for n, c in self.coefficients.values.items() if c.value != GENERIC[n]}
        return f"Case({own}, {changed}, seed={self.seed}, x{self.rate_factor}, outages={self.outages})"


class Brief(Simulation):
    """A run that waits no longer than PATIENCE for stragglers: plain SimPy has to keep up."""

    def _patience(self) -> float:
        return PATIENCE

    def _make_plane(self, level: Level) -> Plane:
        if level == "reference" and self.exact_front:  # its creation curves do not grow by themselves
            memory = self.built.memory
            room = {
                name: np.pad(getattr(memory, name), ((0, 0), (0, 40_000))) for name in ("curve_time", "curve_count")
            }
            self.built.memory = memory.resized(room)
        return super()._make_plane(level)


def of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


# Coefficients that shorten a batch, so that seconds hold many; and that make pauses, noise and state frequent.
QUICK = {
    "spark.batch_cpu_seconds": 0.02,
    "spark.task_cpu_seconds": 0.005,
    "spark.python_task_cpu_seconds": 0.01,
    "spark.s3_commit_seconds": 0.01,
    "spark.state_task_cpu_seconds": 0.004,
    "search.refresh_cpu_seconds": 0.004,
    "search.bulk_cpu_seconds": 0.002,
}  # fmt: skip


@st.composite
def coefficients(draw: st.DrawFn) -> dict[str, float]:
    changed = dict(QUICK)
    changed["spark.pause_per_cpu_second"] = draw(of(0.0, 1.0, 20.0))
    changed["search.pause_per_cpu_second"] = draw(of(0.0, 0.17, 5.0))
    changed["search.merge_byte_cpu_seconds"] = draw(of(3.4e-8, 1e-6))
    changed["kafka.batch_cpu_seconds"] = draw(of(2.5e-5, 2e-3))
    changed["search.task_sigma"] = draw(of(0.0, 0.3))
    changed["spark.task_sigma"] = draw(of(0.0, 0.13))
    return changed


def workloads(until: float) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(_constant(until), _stepped(until))


@st.composite
def _sized(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "size": draw(of(100, 500, 3000)),
        "size_cv": draw(of(0, 2)),
        "arrivals": draw(of("deterministic", "poisson", 0.4, 20)),
        "partition_skew": draw(of(0, 0, 1.2)),
        "kept": draw(of(1, 0.4)),
        "fan_out": draw(of(1, 1, 2.5)),
        "json_per_value": draw(of(1, 1, 40)),
    }


@st.composite
def _constant(draw: st.DrawFn, until: float) -> dict[str, Any]:
    bursts = draw(st.lists(of((0.3, 0.2, 5), (0.5, 0.3, 0)), max_size=1))
    shares = [{"at": at * until, "duration": long * until, "factor": factor} for at, long, factor in bursts]
    return draw(_sized()) | {"rate": draw(of(40, 400, 2500)), "bursts": shares}


@st.composite
def _stepped(draw: st.DrawFn, until: float) -> dict[str, Any]:
    rates = draw(st.lists(of(0, 300, 2000), min_size=1, max_size=4).filter(any))
    return draw(_sized()) | {"steps": [(until / len(rates), rate) for rate in rates]}


@st.composite
def topics(draw: st.DrawFn, brokers: int) -> dict[str, Any]:
    copies = draw(st.integers(1, brokers))
    producer = {
        "count": draw(of(1, 3)),
        "linger": draw(of(0, 0.005, 0.1)),
        "batch_size": draw(of(2 * KIB, 16 * KIB)),
        "partitioner": draw(of("sticky", "keyed")),
        "compression": draw(of("none", "lz4")),
        "acks": draw(of("all", "all", "1", "0")),
        "buffer_memory": draw(of(8 * KIB, 64 * KIB, 32 * MIB)),
    }
    partitions = draw(st.integers(1, 5))
    return {"partitions": partitions, "copies": copies, "min_insync": 1, "producer": producer}


@st.composite
def sinks(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "kind": draw(of("jvm-connector", "jvm-foreach", "python-foreach", "noop")),
        "bulk_entries": draw(of(10, 100, 1000)),
        "bulk_bytes": draw(of(50_000, 1 * MB, 40 * MIB)),
        "writers_per_task": draw(of(1, 1, 3)),
        "retry": {
            "attempts": draw(of(0, 1, 3)),
            "wait": draw(of(0.02, 0.3)),
            "multiplier": draw(of(1, 2)),
        },
        "refresh_per_write": draw(of(False, False, True)),
        "ids": draw(of("automatic", "explicit")),
    }


@st.composite
def queries(draw: st.DrawFn) -> dict[str, Any]:
    state = {"shuffle_partitions": draw(of(1, 3, 7)), "provider": draw(of("hdfs-backed", "rocksdb"))}
    return {
        "trigger": draw(of("asap", "available now", 0.25, 0.5, 0.5, 1.0)),
        "max_offsets_per_trigger": draw(of(None, None, 150, 1000)),
        "min_partitions": draw(of(None, None, 4, 9)),
        "state": draw(of(None, None, state)),
        "sink": draw(sinks()),
    }


def indices() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "primaries": of(1, 2, 5),
            "copies": of(1, 2, 3),
            "replication": of("document", "segment"),
            "refresh_interval": of(0.05, 0.4, 1.0),
            "refresh_schedule": of("fixed-delay", "fixed-rate"),
            "translog": of("request", "async"),
            "hottest_shard": of(1, 1, 1.9),
        }
    )


@st.composite
def flows(draw: st.DrawFn, name: str, until: float, brokers: int) -> dict[str, Any]:
    index = draw(indices())
    index["hottest_shard"] = min(index["hottest_shard"], index["primaries"])
    return {
        "name": name,
        "workload": draw(workloads(until)),
        "topic": draw(topics(brokers)),
        "query": draw(queries()),
        "index": index,
    }


@st.composite
def settings_of(draw: st.DrawFn) -> dict[str, Any]:
    """A whole scenario as its file would say it."""
    measure, warm_up = draw(of(1.5, 3.0)) / (3 if SHORT else 1), draw(of(0.0, 0.5))
    brokers = draw(st.integers(1, 3))
    out = {
        "name": "drawn",
        "flows": [draw(flows(name, measure + warm_up, brokers)) for name in ["a", "b"][: draw(of(1, 1, 2))]],
        "kafka": {
            "kind": "self-managed",
            "brokers": brokers,
            "zones": draw(of(1, 2)),
            "io_threads": draw(of(1, 8)),
        },
        "spark": {
            "executors": draw(st.integers(1, 3)),
            "cores": draw(st.integers(1, 3)),
            "background": draw(of(0, 0.5)),
        },
        "elasticsearch": {
            "kind": "self-managed-elasticsearch",
            "version": "8.15",
            "data_nodes": draw(st.integers(1, 3)),
            "heap": draw(of(256 * MIB, 8192 * MIB)),
            "write_threads": draw(of(None, 1, 2)),
            "background": draw(of(0, 0.5)),
        },
        "run": {
            "measure": measure,
            "warm_up": warm_up,
            "jvm": draw(of("warm", "cold")),
            "phase": draw(of("random", "aligned")),
        },
    }
    return out


# ---------------------------------------------------------------- regimes: what a uniform draw meets too seldom


def _any(draw: st.DrawFn, it: dict[str, Any], changed: dict[str, float]) -> None:
    pass


def _refusing(draw: st.DrawFn, it: dict[str, Any], changed: dict[str, float]) -> None:
    """Large bulks on a small heap: whole bulks are answered 429, retries run out, tasks run again."""
    it["elasticsearch"]["heap"] = 256 * MIB
    it["spark"] |= {"executors": 3, "cores": draw(of(2, 3))}
    changed["search.byte_cpu_seconds"] = draw(of(1e-9, 5e-9))
    for flow in it["flows"]:
        flow["workload"] |= {"size": 3000, "json_per_value": 100, "size_is": "value", "arrivals": "deterministic"}
        flow["topic"]["partitions"] = draw(of(4, 6))
        flow["query"]["sink"] |= {"kind": "jvm-foreach", "bulk_entries": 1000, "bulk_bytes": 16 * MIB}
        flow["query"]["sink"]["retry"] = {"attempts": draw(of(0, 1, 3)), "wait": draw(of(0.02, 0.2)), "multiplier": 2}


def _queueing(draw: st.DrawFn, it: dict[str, Any], changed: dict[str, float]) -> None:
    """A thousand shards a node behind one write thread: the write queue fills, and single shares are refused."""
    it["elasticsearch"] |= {"data_nodes": draw(of(1, 2)), "write_threads": 1, "heap": 8192 * MIB}
    it["spark"] |= {"executors": 3, "cores": 3}
    for flow in it["flows"]:
        flow["index"] |= {"primaries": 1024, "hottest_shard": 1}
        flow["query"]["sink"] |= {"kind": "jvm-foreach", "bulk_entries": 10, "writers_per_task": draw(of(3, 8))}
        flow["query"]["sink"]["retry"] = {"attempts": draw(of(0, 3)), "wait": 0.02, "multiplier": 1}


def _blocking(draw: st.DrawFn, it: dict[str, Any], changed: dict[str, float]) -> None:
    """Slow brokers and small buffers: producers block."""
    changed["kafka.batch_cpu_seconds"] = draw(of(2e-3, 8e-3))
    it["kafka"]["io_threads"] = draw(of(1, 2))
    for flow in it["flows"]:
        flow["topic"]["producer"] |= {"count": draw(of(1, 4)), "buffer_memory": draw(of(2 * KIB, 16 * KIB))}
        flow["workload"] |= {"size": draw(of(100, 1000))}


def _stateful(draw: st.DrawFn, it: dict[str, Any], changed: dict[str, float]) -> None:
    """A shuffle behind each read stage."""
    for flow in it["flows"]:
        flow["query"]["state"] = {
            "shuffle_partitions": draw(of(1, 3, 7)),
            "provider": draw(of("hdfs-backed", "rocksdb")),
        }


def _shared(draw: st.DrawFn, it: dict[str, Any], changed: dict[str, float]) -> None:
    """Everything on one or two hosts, with pauses."""
    it["hosts"] = [{"name": n, "cores": draw(of(1, 2, 3.5)), "background": draw(of(0, 0.3))} for n in ("h0", "h1")]
    for part in draw(st.lists(of("kafka", "spark", "elasticsearch"), min_size=1, max_size=3, unique=True)):
        it[part]["hosts"] = draw(of(["h0"], ["h0", "h1"]))
    changed["spark.pause_per_cpu_second"] = draw(of(1.0, 20.0))


def _crowded(draw: st.DrawFn, it: dict[str, Any], changed: dict[str, float]) -> None:
    """Many small bulks, several in flight a task, a refresh for each write."""
    for flow in it["flows"]:
        flow["query"]["sink"] |= {"kind": "jvm-connector", "bulk_entries": 10, "writers_per_task": draw(of(2, 5))}
        flow["query"]["sink"]["refresh_per_write"] = True


REGIMES = {
    "anything": _any,
    "refusing": _refusing,
    "queueing": _queueing,
    "blocking": _blocking,
    "stateful": _stateful,
    "shared": _shared,
    "crowded": _crowded,
}


@st.composite
def cases(draw: st.DrawFn, regime: str = "anything") -> Case:
    told, changed = draw(settings_of()), draw(coefficients())
    REGIMES[regime](draw, told, changed)
    until = told["run"]["warm_up"] + told["run"]["measure"]
    outages = draw(of((), (), ((0.3 * until, 0.3 * until),)))
    rate_factor, seed = draw(of(1.0, 1.0, 3.0)), draw(st.integers(0, 10_000))
    return Case(Scenario.model_validate(told), GENERIC.with_values(changed), seed, rate_factor, outages)
