"""Storage: bytes that the topics and indices come to hold, and the day the fullest node is full.

The stack starts empty and fills at the mean rate (daily and weekly curves average out over days),
with its growth, until retention takes away what came first. Bytes are laid on nodes as the systems'
own allocators lay partitions and shards. Beside what is kept, a disk needs room for what lies there for
a while: merges in flight and translogs; the dates count both. What else there is (snapshots, checkpoints,
state on disk) is listed by `storage_parts.py`. Left out: what other topics and indices hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from models.coefficients import CoefficientSet
from models.elasticsearch import place_shards, watermark_bytes
from models.kafka import batch_records, leaders_of, log_bytes, record_overhead_bytes
from models.stack import Flow, Scenario
from models.storage import (
    index_life_seconds,
    indices_kept,
    merging_bytes,
    move_seconds,
    recovery_seconds,
    relieved,
    translog_bytes,
)
from models.units import DAY, GIB, MONTH
from planner.once import once
from planner.places import place

SEGMENT_BYTES = 1 * GIB  # log.segment.bytes, kafka.md B2: a segment goes when its youngest record expires
SEGMENT_ROLL_SECONDS = 7 * DAY  # log.roll.hours, kafka.md B2
HORIZON_DAYS = 3 * 365  # fuller later than this is not a date anyone plans by
CURVE_POINTS = 90
MOST_PLACED = 600  # shards placed one by one; more lie evenly


@dataclass(frozen=True)
class Fill:
    """What one system holds: at full retention now, on its fullest node, and when that node crosses each mark.

    `bytes` is what is kept, all copies; `fullest_node_bytes` and the dates count `transient_bytes` too, which merges
    and translogs need for a while. `days_to_after_loss`: the dates if a data node is lost at once and its shards are
    built anew on the others, which takes `recovery_seconds` for a full node. `curve`: (day, bytes of the fullest node).
    """

    bytes: float
    fullest_node_bytes: float
    volume_bytes: float
    marks_bytes: dict[str, float]
    days_to: dict[str, float | None]
    transient_bytes: float = 0.0
    moved_shards: int = 0
    days_to_after_loss: dict[str, float | None] = field(default_factory=dict)
    recovery_seconds: float | None = None
    curve: tuple[tuple[float, float], ...] = field(default=(), repr=False)

    @property
    def fullest_share(self) -> float:
        """Used share of the fullest node's volume once retention is full [1]."""
        return self.fullest_node_bytes / self.volume_bytes


def stored_event_bytes(flow: Flow) -> float:
    """Bytes of one event in the log: value, framing and batch header, compressed as its batches allow [bytes]."""
    load, topic, producer = flow.workload, flow.topic, flow.topic.producer
    streams = producer.count * (topic.partitions if producer.partitioner == "keyed" else 1)
    one = load.value_bytes + record_overhead_bytes(load.value_bytes, 2)
    records = batch_records(load.events_per_second / streams, producer.linger, producer.batch_size / one)
    raw = load.value_bytes + record_overhead_bytes(load.value_bytes, records)
    return raw / producer.ratio(raw * records)


def document_bytes(flow: Flow, coefficients: CoefficientSet) -> float:
    """Index bytes of one copy of one document, after natural merges [bytes]."""
    ratio = coefficients["index.bytes_per_json_byte"] * flow.index.bytes_ratio
    if flow.index.mapping == "dynamic":
        ratio *= coefficients["index.dynamic_mapping_ratio"]
    if flow.index.codec == "best_compression":
        ratio *= coefficients["index.best_compression_ratio"]
    if flow.index.codec == "zstd":
        ratio *= coefficients["index.zstd_ratio"]
    return flow.workload.json_bytes * ratio


def seconds_of_rate(flow: Flow, until: float, retention: float) -> float:
    """Events kept at a time, over the mean rate at the start [s]: retention's length, stretched by growth.

    The integral of (1 + g)^(t / month) over the last `retention` seconds, from the empty start.
    """
    start, per_second = max(0.0, until - retention), math.log1p(flow.workload.growth_per_month) / MONTH
    if abs(per_second * (until - start)) < 1e-9:
        return until - start
    return (math.exp(per_second * until) - math.exp(per_second * start)) / per_second


def topic_shares(scenario: Scenario, flow: Flow) -> list[float]:
    """Share of a topic's stored bytes on each broker, copies counted; sums to copies [1]."""
    shares = [0.0] * scenario.kafka.brokers
    placed = leaders_of(flow.topic.partitions, flow.topic.copies, scenario.kafka.brokers)
    for share, brokers in zip(flow.workload.partition_shares(flow.topic.partitions), placed, strict=True):
        for broker in brokers:
            shares[broker] += share
    return shares


def index_shares(scenario: Scenario, flow: Flow) -> list[float]:
    """Share of an index's bytes on each data node, copies counted [1]; unassigned copies hold nothing."""
    return node_shares(flow, scenario.elasticsearch.data_nodes)


def node_shares(flow: Flow, nodes: int) -> list[float]:
    """The same on a number of data nodes. Indices that have rolled over are placed one after another."""
    shares, held = [0.0] * nodes, placements(flow, nodes)
    if held is None:
        return [min(flow.index.copies, nodes) / nodes] * nodes
    for share, on in held:
        for node in on:
            shares[node] += share
    return shares


def placements(flow: Flow, nodes: int) -> list[tuple[float, list[int]]] | None:
    """Each shard of all indices kept: its share of the documents and its copies' nodes; None: too many to place."""
    kept = indices_kept(flow.index.retention, flow.index.rollover)
    if kept * flow.index.primaries > MOST_PLACED:
        return None
    placed = place_shards(flow.index.primaries * kept, flow.index.copies, nodes)
    return [(share / kept, on) for share, on in zip(shard_shares(flow) * kept, placed, strict=True)]


def shard_shares(flow: Flow) -> list[float]:
    """Share of the documents that each shard takes, busiest first [1]."""
    count, hottest = flow.index.primaries, flow.index.hottest_shard / flow.index.primaries
    return [hottest, *[(1 - hottest) / (count - 1)] * (count - 1)] if count > 1 else [1.0]


@once
def topic_storage(scenario: Scenario) -> Fill:
    """What the brokers come to hold; a volume that is full stops its broker."""
    volume = scenario.kafka.volume.size
    shares = [topic_shares(scenario, flow) for flow in scenario.flows]

    def at(seconds: float) -> list[float]:
        whole = [kept_log(flow, seconds) for flow in scenario.flows]
        return _summed([[s * w for s in of] for of, w in zip(shares, whole, strict=True)], scenario.kafka.brokers)

    longest = max(flow.topic.retention for flow in scenario.flows)
    marks = {"alarm": 0.85 * volume, "full": volume}  # kafka.md B6: disk < 85 %
    return _fill(at, longest, volume, marks, at, _dates(at, marks, _grows(scenario)))


def _grows(scenario: Scenario) -> bool:
    """Whether no flow's rate ever falls: then what is held never falls either."""
    return all(flow.workload.growth_per_month >= 0 for flow in scenario.flows)


def topic_node_bytes(scenario: Scenario, flow: Flow, seconds: float) -> list[float]:
    whole = kept_log(flow, seconds)
    return [share * whole for share in topic_shares(scenario, flow)]


def kept_log(flow: Flow, seconds: float) -> float:
    """One copy of the topic at a time, index files and unexpired segments included [bytes]."""
    kept = seconds_of_rate(flow, seconds, flow.topic.retention)
    rate = flow.workload.events_per_second * stored_event_bytes(flow)
    whole = log_bytes(rate, kept, 1)
    return whole + min(unexpired_bytes(flow), whole)


def unexpired_bytes(flow: Flow) -> float:
    """What one copy keeps past retention [bytes]: each partition's oldest segment waits for its last record."""
    rate = flow.workload.events_per_second * stored_event_bytes(flow)
    return min(SEGMENT_BYTES, rate / flow.topic.partitions * SEGMENT_ROLL_SECONDS) * flow.topic.partitions


def segments_per_broker(scenario: Scenario) -> float:
    """Log segments that one broker keeps open [count], at full retention."""
    found = 0.0
    for flow in scenario.flows:
        held = kept_log(flow, flow.topic.retention) * flow.topic.copies
        size = min(SEGMENT_BYTES, unexpired_bytes(flow) / flow.topic.partitions)
        found += max(held / size, flow.topic.partitions * flow.topic.copies) if size > 0 else 0.0
    return found / scenario.kafka.brokers


def shards_per_node(scenario: Scenario) -> float:
    """Shard copies of all indices kept on one data node, on the mean [count]."""
    nodes, found = scenario.elasticsearch.data_nodes, 0
    for flow in scenario.flows:
        kept = indices_kept(flow.index.retention, flow.index.rollover)
        found += kept * flow.index.primaries * min(flow.index.copies, nodes)
    return found / nodes


@once
def index_storage(scenario: Scenario, coefficients: CoefficientSet) -> Fill:
    """What the data nodes come to hold, against the engine's own marks."""
    cluster = scenario.elasticsearch
    marks = watermark_bytes(cluster.volume.size, cluster.kind, cluster.version, cluster.free_space_rule)
    longest = max(index_life_seconds(flow.index.retention, flow.index.rollover) for flow in scenario.flows)
    at = index_at(scenario, coefficients, cluster.data_nodes)
    kept = index_at(scenario, coefficients, cluster.data_nodes, transient=False)
    found = _fill(at, longest, cluster.volume.size, marks, kept, _mark_dates(scenario, coefficients, marks))
    moved = _moved(scenario, coefficients, longest, marks)
    if cluster.data_nodes < 2:
        return found if not moved else _replaced(found, moved_shards=moved)
    after = _mark_dates(scenario, coefficients, marks, 1)
    network = place(scenario, "elasticsearch").network_bytes_per_second
    lost = max(kept(longest))
    took = recovery_seconds(lost, cluster.data_nodes - 1, cluster.volume.throughput, network)
    return _replaced(found, moved_shards=moved, days_to_after_loss=after, recovery_seconds=took)


def _mark_dates(
    scenario: Scenario, coefficients: CoefficientSet, marks: dict[str, float], lost: int = 0
) -> dict[str, float | None]:
    """Days to each mark. The low and high mark are passed by what lies there; those that stop writes only after the
    allocator has moved what it can, or sooner, where the disk fills faster than shards move off it."""
    nodes, grows = scenario.elasticsearch.data_nodes - lost, _grows(scenario)
    plain = index_at(scenario, coefficients, nodes, relieve=False)
    moved = index_at(scenario, coefficients, nodes)
    early = {name: limit for name, limit in marks.items() if name in ("low", "high")}
    late = {name: limit for name, limit in marks.items() if name not in early}
    found = _dates(plain, early, grows) | _dates(moved, late, grows)
    for name, day in _dates(plain, late, grows).items():
        if day is not None and max(moved(day * DAY)) >= late[name]:
            found[name] = day
    return {name: found[name] for name in marks}


def _replaced(fill: Fill, **changed: object) -> Fill:
    from dataclasses import replace

    return replace(fill, **changed)  # type: ignore[arg-type]


def index_at(
    scenario: Scenario,
    coefficients: CoefficientSet,
    nodes: int,
    transient: bool = True,
    relieve: bool = True,
    kept: Callable[[Flow, float], float] | None = None,
) -> Callable[[float], list[float]]:
    """Bytes on each of a number of data nodes at a time, with the allocator's moves off nodes past the high mark: what
    is on its way lies on both nodes.

    `kept` gives the bytes of one copy at a time, where growth at the mean rate is not the whole story.
    """
    cluster, flows = scenario.elasticsearch, scenario.flows
    shares = [node_shares(flow, nodes) for flow in flows]
    marks = watermark_bytes(cluster.volume.size, cluster.kind, cluster.version, cluster.free_space_rule)
    placed = [placements(flow, nodes) for flow in flows]
    uneven = relieve and any(max(of) > 1.001 * min(of) for of in shares) and all(p is not None for p in placed)
    counts = [write_shards(flow, nodes) for flow in flows]
    network = place(scenario, "elasticsearch").network_bytes_per_second

    def whole_at(seconds: float) -> list[float]:
        return [kept(f, seconds) if kept else kept_index(f, coefficients, seconds) for f in flows]

    def shards_at(seconds: float) -> list[float]:
        return [share * w for p, w in zip(placed, whole_at(seconds), strict=True) for share, _ in p or []]

    homes = [on for p in placed for _, on in p or []]

    def at(seconds: float) -> list[float]:
        whole = whole_at(seconds)
        held = _summed([[s * w for s in of] for of, w in zip(shares, whole, strict=True)], nodes)
        beside = transient_bytes(scenario, coefficients, seconds, counts) if transient else [0.0] * nodes
        total = [h + b for h, b in zip(held, beside, strict=True)]
        if uneven and max(total) > marks["high"] and transient:
            sizes = shards_at(seconds)
            ago = seconds - move_seconds(max(sizes), cluster.volume.throughput, network)
            before = shards_at(ago) if ago > 0 else [0.0] * len(sizes)
            total, _ = relieved(homes, sizes, nodes, marks["high"], marks["low"], beside, before)
        return total

    return at


def _moved(scenario: Scenario, coefficients: CoefficientSet, seconds: float, marks: dict[str, float]) -> int:
    """Shards that the allocator moves off nodes past the high mark, at full retention [count]."""
    nodes = scenario.elasticsearch.data_nodes
    placed, sizes = [], []
    for flow in scenario.flows:
        whole, of = kept_index(flow, coefficients, seconds), placements(flow, nodes)
        if of is None:
            return 0
        placed += [on for _, on in of]
        sizes += [share * whole for share, _ in of]
    counts = [write_shards(flow, nodes) for flow in scenario.flows]
    beside = transient_bytes(scenario, coefficients, seconds, counts)
    return relieved(placed, sizes, nodes, marks["high"], marks["low"], beside)[1]


def kept_index(flow: Flow, coefficients: CoefficientSet, seconds: float) -> float:
    """One copy of all that an index keeps at a time [bytes]; with rollover just before the oldest index goes."""
    if flow.query.sink.kind == "noop":
        return 0.0
    rate = flow.workload.events_per_second * flow.workload.documents_per_event
    life = index_life_seconds(flow.index.retention, flow.index.rollover)
    return rate * document_bytes(flow, coefficients) * seconds_of_rate(flow, seconds, life)


def write_shards(flow: Flow, nodes: int) -> list[int]:
    """Shard copies of the write index on each of a number of data nodes [count]."""
    counts = [0] * nodes
    for on in place_shards(flow.index.primaries, flow.index.copies, nodes):
        for node in on:
            counts[node] += 1
    return counts


def transient_bytes(
    scenario: Scenario, coefficients: CoefficientSet, seconds: float, written: list[list[int]]
) -> list[float]:
    """What merges in flight and translogs may need on each data node for a while, at most [bytes].

    `written` are the write indices' shard copies on each node, a list a flow.
    """
    cluster = scenario.elasticsearch
    nodes = len(written[0])
    found = [0.0] * nodes
    log = translog_bytes(cluster.volume.size, cluster.kind, cluster.version)
    cores = cluster.write_threads or place(scenario, "elasticsearch").cores
    for flow, counts in zip(scenario.flows, written, strict=True):
        if flow.query.sink.kind == "noop":
            continue
        open_for = min(seconds, flow.index.rollover or flow.index.retention)
        one = kept_index(flow, coefficients, min(seconds, open_for))
        whole = sum(counts)
        raw = flow.workload.events_per_second * flow.workload.documents_per_event * flow.workload.json_bytes * seconds
        for node, shards in enumerate(counts):
            mine = one * min(flow.index.copies, nodes) * shards / whole
            found[node] += merging_bytes(mine, shards, cores) + shards * min(log, raw / flow.index.primaries)
    return found


def _summed(parts: list[list[float]], nodes: int) -> list[float]:
    return [sum(part[n] for part in parts) for n in range(nodes)]


def _fill(
    at: Callable[[float], list[float]], longest: float, volume: float, marks: dict[str, float],
    kept: Callable[[float], list[float]], days: dict[str, float | None],
) -> Fill:  # fmt: skip
    full, own = at(longest), kept(longest)
    latest = max([longest / DAY, *(day for day in days.values() if day is not None)])
    last = min(float(HORIZON_DAYS), max(1.15 * latest, 7.0))
    curve = tuple((last * k / CURVE_POINTS, max(at(last * k / CURVE_POINTS * DAY))) for k in range(CURVE_POINTS + 1))
    return Fill(sum(own), max(full), volume, marks, days, sum(full) - sum(own), curve=curve)


def _dates(at: Callable[[float], list[float]], marks: dict[str, float], grows: bool) -> dict[str, float | None]:
    """First time that the fullest node holds each mark [days], None within the horizon.

    Bytes only shrink where the rate does: then the day is found by stepping, else by halving the horizon.
    """
    if grows:
        most = max(at(HORIZON_DAYS * DAY))
        return {name: _passed(at, limit, 0.0, HORIZON_DAYS) if most >= limit else None for name, limit in marks.items()}
    held = [max(at(day * DAY)) for day in range(1, HORIZON_DAYS + 1)]
    found: dict[str, float | None] = {}
    for name, limit in marks.items():
        day = next((d for d, size in enumerate(held, 1) if size >= limit), None)
        found[name] = None if day is None else _passed(at, limit, day - 1.0, float(day))
    return found


def _passed(at: Callable[[float], list[float]], limit: float, low: float, high: float) -> float:
    """The day between two at which the fullest node comes to hold `limit`."""
    while high - low > 2e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if max(at(middle * DAY)) >= limit else (middle, high)
    return high
