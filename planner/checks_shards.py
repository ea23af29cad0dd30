"""Checks of shards: how many, how large, how full their disks get, what each mark does, their managers' quorum."""

from __future__ import annotations

from collections.abc import Iterator

from models.coefficients import CoefficientSet
from models.stack import Flow, Scenario
from models.storage import indices_kept
from models.units import DAY, GIB, show
from planner.findings import Finding
from planner.memory import data_node_heap
from planner.places import place
from planner.storage import document_bytes, index_storage, seconds_of_rate, shard_shares, shards_per_node

MOST_DOCUMENTS = 2_147_483_519  # of one Lucene index, elasticsearch.md B3
LARGE_SHARD, SMALL_SHARD = 50 * GIB, 1 * GIB  # elasticsearch.md B3: 10-50 GB; smaller than 1 GiB is ours
SHARDS_A_NODE = 1000  # cluster.max_shards_per_node, elasticsearch.md B3
SHARDS_A_GIB = 25  # of heap, AWS's advice, elasticsearch.md B3
VCPU_A_SHARD = 1.5  # of a shard that is written, AWS's advice, elasticsearch.md A14


def largest_shard(flow: Flow, coefficients: CoefficientSet) -> tuple[float, float]:
    """Bytes and documents of the largest shard before its index rolls over, or at full retention [bytes, count]."""
    alive = flow.index.rollover or flow.index.retention
    seconds = seconds_of_rate(flow, alive, alive)
    documents = flow.workload.events_per_second * flow.workload.documents_per_event * seconds * max(shard_shares(flow))
    return documents * document_bytes(flow, coefficients), documents


def shard_sizes(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    for k, flow in enumerate(scenario.flows):
        if flow.query.sink.kind == "noop":
            continue
        size, documents = largest_shard(flow, coefficients)
        over = show(flow.index.rollover or flow.index.retention, "s")
        told = f"{show(size, 'bytes')} and {show(documents, 'count')} documents in the largest shard after {over}"
        where = f"flows[{k}].index." + ("rollover" if flow.index.rollover else "primaries")
        if documents > MOST_DOCUMENTS:
            yield Finding(
                "shard-documents",
                "critical",
                where,
                "a shard reaches Lucene's last document number and takes no more",
                f"{told}; the end is {MOST_DOCUMENTS:,}",
                "roll over earlier, or more primaries",
                "elasticsearch.md B3",
            )
        if size > LARGE_SHARD:
            need = -(-size * flow.index.primaries // (0.7 * LARGE_SHARD))
            yield Finding(
                "shard-too-large",
                "warning",
                where,
                "shards grow past the size that moves and recovers in good time",
                f"{told}; 10 to 50 GB are advised",
                f"rollover at a younger age, or primaries: {need:.0f}",
                "elasticsearch.md B3",
            )
        elif size < SMALL_SHARD and flow.index.primaries * indices_kept(flow.index.retention, flow.index.rollover) > 5:
            yield Finding(
                "shard-too-small",
                "info",
                where,
                "many small shards: each has a fixed cost and a refresh of its own",
                told,
                "fewer primaries, or an older rollover",
                "elasticsearch.md B3, D3 (5): refresh is paid by segment",
            )


def shard_counts(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    cluster, held = scenario.elasticsearch, shards_per_node(scenario)
    heap, cores = data_node_heap(scenario), place(scenario, "elasticsearch").cores
    most = SHARDS_A_NODE
    if cluster.kind == "opensearch-service" and heap is not None:
        most = int(min(4000.0, max(1.0, heap // (16 * GIB)) * SHARDS_A_NODE))
    told = f"{held:.0f} shard copies on a data node, of all indices kept"
    if held > most:
        yield Finding(
            "shards-cap",
            "critical",
            "elasticsearch.data_nodes",
            "the cluster refuses the next index",
            f"{told}; the cap is {most:,} a node",
            "fewer primaries, an older rollover, or more nodes",
            "elasticsearch.md B3",
        )
    elif heap is not None and held > SHARDS_A_GIB * heap / GIB:
        yield Finding(
            "shards-heap",
            "warning",
            "elasticsearch.data_nodes",
            "more shards than the heap is advised to carry",
            f"{told}; {SHARDS_A_GIB} a GiB of {show(heap, 'bytes')} are {SHARDS_A_GIB * heap / GIB:.0f}",
            "fewer primaries, an older rollover, or more heap",
            "elasticsearch.md B3 (AWS; Elastic withdrew its rule)",
        )
    written = (
        sum(
            f.index.primaries * min(f.index.copies, cluster.data_nodes)
            for f in scenario.flows
            if f.query.sink.kind != "noop"
        )
        / cluster.data_nodes
    )
    if written * VCPU_A_SHARD > 2 * cores and written > 1:
        yield Finding(
            "shards-active",
            "info",
            "elasticsearch.data_nodes",
            "more shards are written at once than a node has cores",
            f"{written:.2g} written shard copies a node, {cores:g} cores; AWS counts {VCPU_A_SHARD} vCPU each",
            "fewer primaries, or more cores",
            "elasticsearch.md A14",
        )


EFFECTS = {
    "low": "no replica and no moved shard is placed there any more; primaries of new indices still are",
    "high": "the allocator moves shards off the node",
    "flood": "every index with a shard on the node becomes read_only_allow_delete: writes get {answer}; it is lifted "
    "below the high mark",
    "write_block": "the service itself blocks writes to the whole domain (403 cluster_block_exception) until there is "
    "more free space",
}


def watermarks(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    """What each mark does on this volume, with its date, where it is passed."""
    cluster, fill = scenario.elasticsearch, index_storage(scenario, coefficients)
    major, minor = (int(part) for part in cluster.version.split("."))
    old = cluster.kind == "self-managed-elasticsearch" and (major, minor) < (7, 7)
    volume = show(cluster.volume.size, "bytes")
    for mark, day in fill.days_to.items():
        if day is None or (mark == "write_block" and cluster.kind != "opensearch-service"):
            continue
        at, stops = fill.marks_bytes[mark], mark in ("flood", "write_block")
        after = fill.days_to_after_loss.get(mark)
        lost = f"; day {after:.1f} with one data node lost" if after is not None else ""
        moves = f"; {fill.moved_shards} shards can move" if mark == "high" else ""
        if mark == "high" and not fill.moved_shards:
            moves = "; no other node stays below its low mark, so nothing moves"
        answer = "403" if old else "429 per item"
        yield Finding(
            f"mark-{mark.replace('_', '-')}",
            "warning" if stops else "info",
            "elasticsearch.volume.size",
            f"{at / cluster.volume.size:.0%} used: {EFFECTS[mark].format(answer=answer)}",
            f"{show(at, 'bytes')} of {volume} on the fullest node on day {day:.1f}{lost}{moves}",
            "more volume, less retention or fewer copies before that day",
            "elasticsearch.md B4" + (" (AWS's two texts disagree: free_space_rule)" if mark == "write_block" else ""),
        )


def quorum(scenario: Scenario, _: CoefficientSet) -> Iterator[Finding]:
    """Managers and controllers: a majority must be left."""
    search = scenario.elasticsearch
    groups = [("elasticsearch.managers", "managers", search.managers, search.zones)]
    if scenario.kafka.kind == "self-managed":
        groups.append(
            ("money.kafka_controllers", "controllers", scenario.money.kafka_controllers, scenario.kafka.zones)
        )
    for where, what, count, zones in groups:
        if count in (1, 2):
            yield Finding(
                f"{what}-lone",
                "critical" if count == 1 else "warning",
                where,
                f"the loss of one of the {what} stops the cluster",
                f"{count} {what}: the quorum is {count // 2 + 1}",
                f"three {what}",
                "elasticsearch.md A14, kafka.md B3",
            )
        elif count >= 3 and zones < 3:
            most = -(-count // zones)
            yield Finding(
                f"{what}-zones",
                "warning",
                where,
                f"the loss of one zone takes the {what}' quorum",
                f"{count} {what} over {zones} zones: {most} in one, {count - most} left, quorum {count // 2 + 1}",
                "three zones",
                "elasticsearch.md A14",
            )


def recovery(scenario: Scenario, coefficients: CoefficientSet) -> Iterator[Finding]:
    fill, search = index_storage(scenario, coefficients), scenario.elasticsearch
    copies = min(flow.index.copies for flow in scenario.flows)
    if fill.recovery_seconds is not None and copies > 1 and fill.recovery_seconds > DAY / 6:
        yield Finding(
            "recovery-long",
            "info",
            "elasticsearch.data_nodes",
            "a lost data node leaves its shards with a copy less for long",
            f"{show(fill.recovery_seconds, 's')} to build {show(fill.bytes / search.data_nodes, 'bytes')} "
            f"anew on {search.data_nodes - 1} nodes at 40 MB/s each",
            "smaller nodes and more of them, or a higher indices.recovery.max_bytes_per_sec",
            "elasticsearch.md A13, B5",
        )
