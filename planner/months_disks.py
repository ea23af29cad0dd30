"""Rules of months about disks: marks passed, writes that stop and go on, records that expire unread."""

from __future__ import annotations

from collections.abc import Iterator

from models.units import DAY, show
from planner.checks_shards import EFFECTS
from planner.months_ahead import STEP, Breaking
from planner.months_hours import Hours, day_of, marks_of


def index_disks(h: Hours) -> Iterator[Breaking]:
    cluster = h.scenario.elasticsearch
    answer = "403" if cluster.kind.endswith("elasticsearch") and cluster.version.startswith("6.") else "429 per item"
    for mark, limit in marks_of(h.scenario)["elasticsearch"].items():
        stops = mark in ("flood", "write_block")
        day = day_of(h.series["elasticsearch" if stops else "elasticsearch_plain"] >= limit)
        if day is not None:
            yield Breaking(
                f"disk-{mark.replace('_', '-')}",
                day,
                "critical" if stops else "info",
                "elasticsearch.volume.size",
                f"the fullest data node is {limit / cluster.volume.size:.0%} full: "
                f"{EFFECTS[mark].format(answer=answer)}",
                f"{show(limit, 'bytes')} of {show(cluster.volume.size, 'bytes')}, merges and translogs counted"
                + (f"; {deadline(h, day)}" if stops else ""),
                "more volume, less retention, fewer copies or a denser codec before that day",
                "elasticsearch.md B4",
            )


def topic_disks(h: Hours) -> Iterator[Breaking]:
    volume = h.scenario.kafka.volume.size
    for mark, limit in marks_of(h.scenario)["kafka"].items():
        day = day_of(h.series["kafka"] >= limit)
        if day is not None:
            yield Breaking(
                f"broker-disk-{mark}",
                day,
                "critical" if mark == "full" else "warning",
                "kafka.volume.size",
                "the fullest broker's disk is full: it stops" if mark == "full" else "a broker's disk passes 85 %",
                f"{show(limit, 'bytes')} of {show(volume, 'bytes')}",
                "more volume or less retention before that day",
                "kafka.md B6",
            )


def deadline(h: Hours, day: float) -> str:
    """Until when nothing is lost if reading stops on a day, in words."""
    keeps = min(load.flow.topic.retention for load in h.loads)
    return f"the topic keeps {show(keeps, 's')}: nothing is lost if it is read again by day {day + keeps / DAY:.1f}"


def blocked_writes(h: Hours) -> Iterator[Breaking]:
    """What a block does to the query, and when old documents have made room again."""
    if not h.shut.stretches:
        return
    first, until = h.shut.stretches[0]
    hours = len(h.shut.open)
    if h.shut.dead is not None:
        yield Breaking(
            "query-dead",
            h.shut.dead * STEP / DAY,
            "critical",
            "spark.restart.policy",
            "the query spends its retries on the blocked index and ends; nothing starts it again",
            f"spark.restart.policy: none; {deadline(h, h.shut.dead * STEP / DAY)}",
            "restart: {policy: supervisor}, and room on the disks before that day",
            "spark.md A8; elasticsearch.md B4",
        )
    if until <= hours:
        again = (
            "; with nothing that starts the query nothing is written" if h.shut.dead is not None
            else f"; the index fills again: {len(h.shut.stretches)} blocks within the horizon, "
                 f"{sum(min(b, hours) - a for a, b in h.shut.stretches)} hours of it"
        )  # fmt: skip
        yield Breaking(
            "writes-again",
            until * STEP / DAY,
            "info",
            "flows[0].index.retention",
            "retention has taken enough old documents away: the block is lifted",
            f"blocked since day {first * STEP / DAY:.1f}{again}",
            "less retention or more volume, so that it never comes to this",
            "elasticsearch.md B4",
        )


def lost_records(h: Hours, stops: float | None) -> Iterator[Breaking]:
    """Records that the topic's retention ends, from the first day on."""
    day = day_of(h.more["lost"] > 0.5)
    if day is None:
        return
    shut = next(((a, b) for a, b in reversed(h.shut.stretches) if a * STEP / DAY <= day), None)
    keeps = min(load.flow.topic.retention for load in h.loads)
    down = stops is not None and stops / DAY <= day + STEP / DAY
    if down:
        why = f"the brokers are down from day {(stops or 0.0) / DAY:.1f} on, and producers keep two minutes at most"
    elif shut is not None:
        since, hours = shut[0] * STEP / DAY, sum(min(b, len(h.shut.open)) - a for a, b in h.shut.stretches)
        again = f", again and again: {hours} hours of the horizon" if len(h.shut.stretches) > 1 else ""
        why = f"the index takes nothing from day {since:.1f} on{again}; the topic keeps {show(keeps, 's')}"
    else:
        why = f"the lag, and the topic keeps {show(keeps, 's')}"
    total = float(h.more["lost"].sum())
    rate = total / max(1, int((h.more["lost"] > 0.5).sum())) * DAY / STEP
    yield Breaking(
        "records-lost",
        day,
        "critical",
        "flows",
        "producers find no broker: what they cannot keep is lost" if down else "records expire before they are read",
        f"{why}; {show(rate, 'count')} a day are lost, {show(total, 'count')} within the horizon",
        "more room on the brokers" if down else "act on what stopped the reading, or longer retention",
        "kafka.md E: retention is the deadline",
    )
