"""Claims about Elasticsearch and OpenSearch."""

from __future__ import annotations

from collections.abc import Iterator

from models.units import TIB, show
from planner.checks_shards import largest_shard
from planner.claims import Claim, Judge, Known
from planner.storage import shards_per_node

PETABYTE = 1024 * TIB


def three_copies(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        copies = flow.index.copies
        one = k.index.bytes / min(copies, k.scenario.elasticsearch.data_nodes)
        yield Claim(
            "three-copies",
            f"flow {flow.name}",
            "Elasticsearch replicates everything 3 times by default",
            "false",
            f"yours keeps {copies} ({copies - 1} replica{'s' if copies != 2 else ''}): "
            f"{show(k.index.bytes, 'bytes')} on disk, "
            f"{show(one, 'bytes')} a copy; the topic keeps {flow.topic.copies}",
            "The default is one primary and one replica: two copies. Three is Kafka on MSK, or Multi-AZ with Standby.",
            "elasticsearch.md B3, E",
        )


def eats_ram(k: Known) -> Iterator[Claim]:
    entry = k.ledgers["data node"]
    cache, hot = entry.page_cache_bytes, entry.hot_bytes or 0.0
    live = show(entry.live_heap_bytes or 0.0, "bytes")
    told = f"heap {show(entry.heap_bytes, 'bytes')}, {live} of it taken by what is known"
    if cache is not None:
        told += f"; {show(cache, 'bytes')} are page cache, searches want {show(hot, 'bytes')}"
    yield Claim(
        "es-eats-ram",
        "memory",
        "Elasticsearch eats all your RAM and asks for more",
        "it depends" if cache is not None and hot > cache else "false",
        told,
        "The heap is fixed (half of memory, below 32 GB), the rest is page cache that is given back. Segments no "
        "longer "
        "lie in the heap; mappings, bulks in flight and aggregations do.",
        "elasticsearch.md B3, E",
    )


def petabyte(k: Known) -> Iterator[Claim]:
    held = k.index.bytes
    search = sum(float(line.monthly_usd) for line in k.bill.bill.lines if line.system == "elasticsearch")
    per = search / (held / TIB) if held else 0.0
    yield Claim(
        "petabyte",
        "money",
        "petabyte-scale search needs a petabyte-scale hardware budget",
        "it depends",
        f"you come to {show(held, 'bytes')} ({held / PETABYTE:.2%} of a petabyte) for {search:,.0f} USD a month: "
        f"{per:,.0f} USD a TiB stored",
        "AWS's own guide takes some 90 i3.16xlarge for 450 TB in two copies. Tiers on S3 cut copies and hardware.",
        "elasticsearch.md E, B6",
    )


def shard_counts(k: Known) -> Iterator[Claim]:
    for flow in k.scenario.flows:
        size, _ = largest_shard(flow, k.coefficients)
        told = [f for f in k.findings if f.code.startswith("shard")]
        yield Claim(
            "shards",
            f"flow {flow.name}",
            "too many shards destroy performance, too few create hotspots",
            "true",
            f"{flow.index.primaries} primaries, {shards_per_node(k.scenario):.0f} shard copies a node, the largest "
            f"grows to "
            f"{show(size, 'bytes')}" + (f": {told[0].message}" if told else ": within what is advised"),
            "In direction. Counts: 10 to 50 GB each, a multiple of the data nodes, at most 1,000 a node, 25 a GiB "
            "of heap.",
            "elasticsearch.md B3, E",
        )


def read_only_at_85(k: Known) -> Iterator[Claim]:
    cluster, fill = k.scenario.elasticsearch, k.index
    first = min(("flood", "write_block"), key=lambda mark: fill.marks_bytes[mark])
    share = fill.marks_bytes[first] / cluster.volume.size
    dates = ", ".join(
        f"{mark.replace('_', ' ')} {'never within 3 years' if day is None else f'day {day:.1f}'}"
        for mark, day in fill.days_to.items()
        if mark != "write_block" or cluster.kind == "opensearch-service"
    )
    yield Claim(
        "read-only-at-85",
        "disks",
        "it goes read-only when the disk is 85 % full",
        "true" if share <= 0.86 else "false",
        f"your {show(cluster.volume.size, 'bytes')} volumes stop writes at {share:.1%} ({first.replace('_', ' ')}); "
        f"the fullest "
        f"node passes: {dates}",
        "85 % ends new shards there, 90 % moves shards, 95 % (or 100 GB free since 8.5) blocks writes. The AWS "
        "service blocks "
        "below the smaller of 20 % and 20 GiB free: at 80 % of a 100 GiB volume, at 98 % of a TiB.",
        "elasticsearch.md B4, E",
    )


def on_weekends(k: Known) -> Iterator[Claim]:
    days = [d for mark, d in k.index.days_to.items() if mark in ("flood", "write_block") and d is not None]
    uneven = [f.name for f in k.scenario.flows if f.workload.weekly_curve]
    told = f"day {min(days):.1f} from an empty start" if days else "no such day within three years"
    yield Claim(
        "on-weekends",
        "disks",
        "this happens on weekends when you are not watching",
        "it depends",
        told
        + (
            f"; {', '.join(uneven)} have a weekly curve, and bytes come when events do"
            if uneven
            else "; your load has no weekly curve, so every weekday is as likely"
        ),
        "Disks fill with events: the date is known weeks ahead, and so is its weekday. Two of seven days are a "
        "weekend.",
        "elasticsearch.md E; floodmark months",
    )


def named_causes(k: Known) -> Iterator[Claim]:
    stops = [f for f in k.findings if f.severity == "critical"]
    yield Claim(
        "no-known-reason",
        "Elasticsearch",
        "it randomly stops working and nobody knows why",
        "false",
        f"{len(stops)} causes are found in your configuration today"
        + (": " + "; ".join(f.message for f in stops[:3]) if stops else ""),
        "Causes have names: 429 for bytes in flight, the flood mark, memory pressure above 92 %, a lost quorum, the "
        "cap on "
        "shards, a red index.",
        "elasticsearch.md B, E",
    )


def corrupts(k: Known) -> Iterator[Claim]:
    risks = []
    for flow in k.scenario.flows:
        risks += [f"{flow.name}: one copy, so a lost node is lost documents"] if flow.index.copies == 1 else []
        risks += [f"{flow.name}: translog async loses up to 5 s"] if flow.index.translog == "async" else []
    kept = k.scenario.elasticsearch.kind == "opensearch-service" or k.scenario.money.snapshots.every is not None
    risks += [] if kept else ["no snapshot is planned (money.snapshots)"]
    yield Claim(
        "corrupts-indices",
        "Elasticsearch",
        "it corrupts indices for fun",
        "false",
        "; ".join(risks)
        if risks
        else f"{min(f.index.copies for f in k.scenario.flows)} copies, synced translog, snapshots: no loss takes one",
        "Every file carries a checksum; merges and snapshots find corruption, disks cause it. Real bugs existed and "
        "were fixed.",
        "elasticsearch.md E",
    )


JUDGES: tuple[Judge, ...] = (
    three_copies,
    eats_ram,
    petabyte,
    shard_counts,
    read_only_at_85,
    on_weekends,
    named_causes,
    corrupts,
)
