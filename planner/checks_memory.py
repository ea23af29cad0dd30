"""Checks of memory: what is likely to be killed, what fills its heap, and executors that fit a machine only once."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.machines import Machine, machine
from models.memory import MEMORY_MAPS_PER_SEGMENT, MOST_MEMORY_MAPS
from models.spark import NEVER, live_keys
from models.stack import Scenario
from models.units import DAY, GIB, MIB, show
from planner.findings import Finding
from planner.memory import LIKELY, Ledger, hosts, memory, until_told, yarn_bytes
from planner.memory_parts import rate_of_state
from planner.storage import segments_per_broker

POINTERS_END = 31 * GIB  # compressed object pointers, elasticsearch.md B3; spark.md C5 says 32 GB
HEAP_FULL = 0.7  # old generation after a collection from which a JVM only collects, spark.md C5 (remembered)
EKS_PODS = {"medium": 8, "large": 29, "xlarge": 58, "2xlarge": 58}  # by ENI, spark.md C6 (mem); larger ones 234


def risks(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    """Processes that are likely to pass their limit, at this load or at the workload's own peak."""
    where = {
        "broker": "kafka.heap",
        "executor": "spark.heap",
        "data node": "elasticsearch.heap",
        "driver": "spark.driver_heap",
    }
    for ledger in memory(scenario, coefficients):
        yield from _heap(ledger, where[ledger.process])
        if ledger.limit_bytes is None or not ledger.risks or ledger.holds_until is None or ledger.holds_until > 2:
            continue
        now = ledger.risks[0]
        if now.heap_probability >= LIKELY and now.probability < LIKELY:
            continue  # said by the heap
        yield Finding(
            f"memory-{ledger.process.replace(' ', '-')}",
            "critical" if now.probability > 0.5 else "warning",
            where[ledger.process],
            f"{'an' if ledger.process == 'executor' else 'a'} {ledger.process} is likely to be ended for its memory",
            f"{ledger.setting}, but {show(now.demand_bytes, 'bytes')} may be taken of "
            f"{show(ledger.limit_bytes, 'bytes')} ({ledger.limit}): {now.probability:.0%} at this load, "
            f"likely {until_told(ledger)}",
            _remedy(ledger, scenario),
            "spark.md C4, C5; elasticsearch.md B3",
        )


def _remedy(ledger: Ledger, scenario: Scenario) -> str:
    if ledger.process != "executor":
        return "a smaller heap or a larger machine" if ledger.process == "broker" else "more memory for it"
    beside = sum(e.bytes for e in ledger.entries if e.where == "native")
    return f"memory_overhead: {max(384, round(1.25 * beside / MIB / 64) * 64):.0f} MiB" + (
        ", or provider: rocksdb with bounded memory" if any("RocksDB" in e.name for e in ledger.entries) else ""
    )


def _heap(ledger: Ledger, where: str) -> Iterator[Finding]:
    live, heap = ledger.live_heap_bytes or 0.0, ledger.heap_bytes
    if heap and live > HEAP_FULL * heap:
        most = max((e for e in ledger.entries if e.where == "heap"), key=lambda e: e.bytes)
        yield Finding(
            f"heap-full-{ledger.process.replace(' ', '-')}",
            "critical" if live > heap else "warning",
            where,
            f"the {ledger.process}'s heap is full of live objects: it collects garbage, then ends: OutOfMemoryError",
            f"{show(live, 'bytes')} live of {show(heap, 'bytes')}; most is {most.name}, {show(most.bytes, 'bytes')}: "
            f"{most.formula}",
            "a larger heap, or less of that",
            most.source,
        )


def shared_hosts(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    for host in hosts(scenario, memory(scenario, coefficients)):
        left = host.left_bytes
        if left is not None and left < 0:
            yield Finding(
                "host-memory",
                "critical",
                "hosts" if len(host.processes) > 1 else f"hosts ({host.host})",
                f"what runs on {host.host} needs more memory than it has",
                f"{' + '.join(host.processes)} climb to {show(host.resident_bytes, 'bytes')} of "
                f"{show(host.host_bytes or 0.0, 'bytes')}, the system's share beside it",
                "smaller heaps or a larger host",
                "spark.md C5",
            )


def executor_heap_pointers(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    if scenario.spark.heap > POINTERS_END:
        yield Finding(
            "executor-heap-pointers",
            "warning",
            "spark.heap",
            "a heap past compressed pointers holds less than one below",
            f"heap = {show(scenario.spark.heap, 'bytes')}; pointers double beyond about 31 GiB",
            "heap: 30 GiB, more executors",
            "spark.md C5",
        )


def memory_maps(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    maps = segments_per_broker(scenario) * MEMORY_MAPS_PER_SEGMENT
    if maps > 0.8 * MOST_MEMORY_MAPS:
        yield Finding(
            "broker-maps",
            "critical" if maps > MOST_MEMORY_MAPS else "warning",
            "kafka.brokers",
            "a broker runs out of memory maps and stops: OutOfMemoryError, Map failed",
            f"{maps:,.0f} maps of {MOST_MEMORY_MAPS:,} (vm.max_map_count): two for each of "
            f"{maps / MEMORY_MAPS_PER_SEGMENT:,.0f} segments",
            "vm.max_map_count: 262144, larger segments, or more brokers",
            "kafka.md B2: a cluster failed at 33,037 partitions",
        )


def endless_state(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        state = flow.query.state
        if state is None or state.watermark_delay != NEVER:
            continue
        rate = rate_of_state(flow, 1.0)
        grows = (live_keys(state, rate, DAY) - state.keys) * state.bytes_per_key
        room = scenario.spark.executors * HEAP_FULL * scenario.spark.heap
        held = state.keys * state.bytes_per_key
        days = max(0.0, room - held) / grows if state.provider == "hdfs-backed" else None
        when = f"; {show(room, 'bytes')} of the executors' heaps are full on day {days:.1f}" if days is not None else ""
        yield Finding(
            "state-never-ends",
            "critical",
            f"flows[{k}].query.state.watermark_delay",
            "state grows for ever",
            f"{show(grows, 'bytes')} of keys more each day, none ever dropped{when}",
            "a watermark on the event time, and a delay",
            "spark.md A4",
        )


def eks_room(box: Machine) -> tuple[float, float]:
    """Memory [bytes] and CPU [cores] that Kubernetes lets pods have on a machine under EKS.

    Source: spark.md C6 (karpenter's overhead guess, kube-reserved by pods, eviction 100 MiB); pods by size remembered.

    >>> memory, cpu = eks_room(machine("m5.2xlarge"))
    >>> round(memory / MIB), round(cpu, 2)
    (29317, 7.91)
    """
    pods = EKS_PODS.get(box.size, 234)
    room = box.memory_bytes * (1 - 0.075) - (64 * MIB if box.architecture == "arm64" else 0)
    shares = [0.06, 0.01, 0.005, 0.005] + [0.0025] * max(0, box.vcpu - 4)
    return room - (255 + 11 * pods) * MIB - 100 * MIB, box.vcpu - sum(shares[: box.vcpu])


def executor_fits(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    spark = scenario.spark
    if spark.hosts:
        return
    ledger = next(entry for entry in memory(scenario, coefficients) if entry.process == "executor")
    box, asked = machine(spark.machine), ledger.reserved_bytes
    room, cpu = box.memory_bytes - GIB, float(box.vcpu)
    if spark.manager == "yarn":
        room = yarn_bytes(spark.machine)
    elif spark.manager == "kubernetes":
        room, cpu = eks_room(box)
    told = (
        f"{show(asked, 'bytes')} and {spark.cores} cores an executor; {box.name} has {show(room, 'bytes')} and {cpu:g} "
        f"cores to give under {spark.manager}"
    )
    if asked > room:
        yield Finding(
            "executor-too-large",
            "critical",
            "spark.heap",
            "no executor can start",
            f"a heap of {show(spark.heap, 'bytes')} reserves {told}",
            "a smaller heap or a larger machine",
            "spark.md C1, C6",
        )
    elif spark.cores > cpu:
        late = spark.manager == "kubernetes"
        yield Finding(
            "executor-cores",
            "critical" if late else "warning",
            "spark.cores",
            "no executor can be placed" if late else "more task slots than the machine has processors",
            told,
            f"cores: {int(cpu)}",
            "spark.md C6",
        )
    else:
        yield from _fits(scenario, asked, room, cpu, told)


def _fits(scenario: Scenario, asked: float, room: float, cpu: float, told: str) -> Iterator[Finding]:
    spark, vcpu = scenario.spark, machine(scenario.spark.machine).vcpu
    by_memory, by_cores = int(room // asked), int(cpu // spark.cores)
    if min(by_memory, by_cores) >= 2:
        yield Finding(
            "executor-fits-twice",
            "info",
            "spark.machine",
            "half of each machine is paid for and not used",
            f"{told}: {min(by_memory, by_cores)} fit, one is placed",
            "a smaller machine, or an executor that fills it",
            "spark.md C6",
        )
    elif vcpu // spark.cores >= 2:
        memory_binds = by_memory < 2 <= by_cores
        half = (room / 2 - max(384 * MIB, 0.1 * spark.heap)) / GIB
        yield Finding(
            "executor-fits-once",
            "warning",
            "spark.heap" if memory_binds else "spark.cores",
            f"an executor fits the machine only once, and {vcpu - spark.cores} of its {vcpu} cores stay idle",
            f"{told}: {by_memory} fit by memory, {by_cores} by cores",
            f"heap: {half:.2g} GiB, so that two fit"
            if memory_binds
            else f"spark.kubernetes.executor.request.cores {cpu / 2 * 0.96:.1f}, or cores: {int(cpu)}",
            "spark.md C6: a 4-CPU executor fits once, not twice, on 8 vCPU of EKS",
        )
