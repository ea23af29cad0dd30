"""Storage in time: how long data really lives, what lies beside it, and what an allocator does at its marks.

Data does not leave when its retention ends but with what holds it: a log segment when its youngest record has
expired, a rolled-over index when it has been closed for the whole retention. A merge needs its output's size
free before it gives its inputs back. A data node past its high mark hands shards to nodes below their low mark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from models.units import GIB, MIB

RECOVERY_BYTES_PER_SECOND = 40 * MIB  # indices.recovery.max_bytes_per_sec, elasticsearch.md B5
NODE_LEFT_SECONDS = 60.0  # index.unassigned.node_left.delayed_timeout, elasticsearch.md B5
MERGED_SEGMENT_BYTES = 5 * GIB  # max_merged_segment, elasticsearch.md B2
TRANSLOG_BYTES = 512 * MIB  # flush_threshold_size of OpenSearch and Elasticsearch 7.17, elasticsearch.md B2
TRANSLOG_BYTES_NEW = 10 * GIB  # of current Elasticsearch, never above 1 % of the disk; since 8.8 (remembered)


def index_life_seconds(retention: float, rollover: float | None) -> float:
    """How old the oldest document can get [s]: its index rolls over when `rollover` old and is kept `retention` more.

    Source: the delete phase's min_age counts from rollover in ILM and ISM (remembered).

    >>> index_life_seconds(14 * 86400, 7 * 86400) / 86400, index_life_seconds(14 * 86400, None) / 86400
    (21.0, 14.0)
    """
    return retention + (rollover or 0.0)


def indices_kept(retention: float, rollover: float | None) -> int:
    """Most indices that are there at once [count], the one that is written included.

    >>> indices_kept(14 * 86400, 86400), indices_kept(14 * 86400, None)
    (15, 1)
    """
    return 1 if not rollover else math.ceil(retention / rollover - 1e-9) + 1


def merge_threads(processors: float) -> int:
    """Merges that one shard may run at once [count]. Source: elasticsearch.md B2: max(1, min(4, p / 2)).

    >>> merge_threads(2), merge_threads(8), merge_threads(32)
    (1, 4, 4)
    """
    return max(1, min(4, int(processors / 2)))


def merging_bytes(write_index_bytes: float, shards: float, processors: float) -> float:
    """Space that merges in flight may need beside their inputs on one node [bytes], at most.

    Each written shard merges up to the largest segment, and never more than half of what it holds; Elasticsearch 9.1
    shares its merge threads over shards, which takes less. Source: elasticsearch.md B2 (space, 5 GB).

    >>> merging_bytes(100 * GIB, 2, 2) / GIB, merging_bytes(2 * GIB, 1, 2) / GIB
    (10.0, 1.0)
    """
    if shards <= 0:
        return 0.0
    return min(write_index_bytes / 2, shards * merge_threads(processors) * MERGED_SEGMENT_BYTES)


def translog_bytes(volume: float, kind: str, version: str) -> float:
    """Translog that one written shard copy keeps before it flushes [bytes], at most. Source: elasticsearch.md B2.

    >>> translog_bytes(100 * GIB, "self-managed-elasticsearch", "8.17") / GIB
    1.0
    """
    major, minor = (int(part) for part in version.split("."))
    if kind == "self-managed-elasticsearch" and (major, minor) >= (8, 8):
        return min(TRANSLOG_BYTES_NEW, 0.01 * volume)
    return TRANSLOG_BYTES


def recovery_seconds(held: float, survivors: int, disk: float, network: float | None) -> float:
    """Time until a lost node's copies are whole again elsewhere [s].

    Source: elasticsearch.md A13: 60 s + S / ((N - 1) × min(40 MB/s, disk, net)), which gives 2 TB over nine as 1.5 h.

    >>> round(recovery_seconds(2e12, 9, 250e6, None) / 3600, 2)
    1.49
    """
    if survivors < 1:
        return math.inf
    return NODE_LEFT_SECONDS + held / (survivors * min(RECOVERY_BYTES_PER_SECOND, disk, network or math.inf))


Move = tuple[int, int, int]  # which shard, from which node, to which


def moves(
    placed: Sequence[Sequence[int]],
    shard_bytes: Sequence[float],
    nodes: int,
    high: float,
    low: float,
    beside: Sequence[float] = (),
) -> tuple[list[Move], list[float]]:
    """Shards that the allocator moves off nodes past `high`, and the bytes on each node after that.

    A shard goes to the emptiest node that has no copy of it and stays below `low`; where none does it stays. `beside`
    is what each node holds that no shard is. Source: elasticsearch.md B4; which shard goes first is ours: the largest
    that fits, as it relieves most.

    >>> moves([[0], [1], [2], [0]], [50.0, 30.0, 30.0, 50.0], 3, 90.0, 85.0)
    ([(0, 0, 1)], [50.0, 80.0, 30.0])
    """
    held = list(beside) or [0.0] * nodes
    on: list[dict[int, float]] = [{} for _ in range(nodes)]
    for shard, (homes, size) in enumerate(zip(placed, shard_bytes, strict=True)):
        for node in homes:
            on[node][shard] = size
            held[node] += size
    found: list[Move] = []
    for node in sorted(range(nodes), key=lambda n: -held[n]):
        for shard, size in sorted(on[node].items(), key=lambda item: -item[1]):
            if held[node] <= high:
                break
            to = min((n for n in range(nodes) if shard not in on[n]), key=lambda n: held[n], default=None)
            if to is None or held[to] + size > low:
                continue
            held[node] -= size
            held[to] += size
            on[to][shard] = on[node].pop(shard)
            found.append((shard, node, to))
    return found, held


def relieved(
    placed: Sequence[Sequence[int]],
    shard_bytes: Sequence[float],
    nodes: int,
    high: float,
    low: float,
    beside: Sequence[float] = (),
    before: Sequence[float] | None = None,
) -> tuple[list[float], int]:
    """Bytes on each node after the allocator has moved shards off nodes past `high`, and how many it moved.

    `before` are the shards' bytes as long ago as a move takes: what has been decided since is still on its way, and
    lies on both nodes, as a source keeps its copy until the target's is started (elasticsearch.md B5).

    >>> relieved([[0], [1], [2], [0]], [50.0] * 4, 3, 90.0, 85.0)
    ([100.0, 50.0, 50.0], 0)
    >>> relieved([[0], [1], [2], [0]], [50.0, 30.0, 30.0, 50.0], 3, 90.0, 85.0)
    ([50.0, 80.0, 30.0], 1)
    >>> relieved([[0], [1], [2], [0]], [50.0, 30.0, 30.0, 50.0], 3, 90.0, 85.0, before=[44.0, 30.0, 30.0, 44.0])
    ([100.0, 80.0, 30.0], 1)
    """
    found, held = moves(placed, shard_bytes, nodes, high, low, beside)
    if before is not None and found:
        done = {(shard, source) for shard, source, _ in moves(placed, before, nodes, high, low, beside)[0]}
        for shard, source, _ in found:
            if (shard, source) not in done:
                held[source] += shard_bytes[shard]
    return held, len(found)


def move_seconds(largest: float, disk: float, network: float | None) -> float:
    """How long a shard is on its way, two at a time at a node's recovery rate [s]. Source: elasticsearch.md B5.

    >>> round(move_seconds(50 * GIB, 250e6, None) / 60)
    43
    """
    return 2 * largest / min(RECOVERY_BYTES_PER_SECOND, disk, network or math.inf)
