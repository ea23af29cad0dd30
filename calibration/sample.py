"""Sample: the user's own documents indexed in a real server, and what that cost, as coefficients.

Two halves of the documents are indexed in the order a, b, b, a by bulks of one client, each time into an index of
its own, after the server's JVM was warmed with them: what still warms lies in both halves alike. Merges end by
themselves, then a flush; nothing is forced. What the
node spent less idling, bulks, refreshes and merges at their known prices is the documents' own; a refresh and a
merge are counted as the server counts them. The two halves differ by chance only, so half their difference is
the error of their mean: an interval of 90 % is 6.3 times that (Student's t with one degree of freedom).
"""

from __future__ import annotations

import json
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from calibration.live import LiveError
from calibration.live_http import Endpoint
from calibration.sample_documents import Documents, codecs, compression
from models.coefficients import CoefficientSet

T_ONE = 6.314  # Student's t, 95 % quantile, one degree of freedom
LEAST_ERROR = 0.02  # store sizes and CPU are told to a few per cent by themselves: clocks of 10 ms, segments' overhead
WARM_CPU_SECONDS, WARM_SECONDS = 25.0, 60.0
IDLE_SECONDS, SETTLE_SECONDS, STORE_CACHE_SECONDS = 4.0, 60.0, 11.0
BULK_BYTES = 5_000_000
KIB, MIB = 1024, 1024**2
RECORD_BYTES = 10  # kafka.md A1: framing of a record of some hundred bytes
LEAST_BATCHES = 8
CLASS_RATIOS = {"dynamic": ("index.dynamic_mapping_ratio", "index.dynamic_mapping_cpu_ratio")}
CODEC_RATIOS = {
    "best_compression": ("index.best_compression_ratio", "index.best_compression_cpu_ratio"),
    "zstd": ("index.zstd_ratio", "index.zstd_cpu_ratio"),
}
KEPT_SETTINGS = ("analysis", "codec", "mapping", "refresh_interval", "sort", "translog", "similarity", "merge")


@dataclass(frozen=True)
class Pair:
    """A quantity of both halves: their mean, half their difference, and the interval of 90 %."""

    one: float
    other: float

    @property
    def value(self) -> float:
        return (self.one + self.other) / 2

    @property
    def error(self) -> float:
        return abs(self.one - self.other) / 2

    @property
    def half_width(self) -> float:
        return max(T_ONE * self.error, LEAST_ERROR * self.value)

    def plain(self) -> dict[str, float]:
        low = max(self.value - self.half_width, self.value / 10)
        return {"value": self.value, "half_sample_error": self.error, "low": low, "high": self.value + self.half_width}


@dataclass(frozen=True)
class Spent:
    """What indexing one half took, from the node's own counters."""

    documents: int
    json_bytes: int
    seconds: float
    cpu_seconds: float
    bulks: int
    refreshes: float
    merged_bytes: float
    index_bytes: float

    def with_pass(self, again: Spent) -> Spent:
        """Both passes over the same documents: work and time add up, the index is the first one's."""
        summed = {f.name: getattr(self, f.name) + getattr(again, f.name) for f in fields(self)}
        return Spent(**{**summed, "index_bytes": 2 * self.index_bytes})


class Server:
    """One node that may be written to: indices of a name of our own, deleted at the end."""

    def __init__(self, endpoint: Endpoint, tell: Callable[[str], None], bulk_documents: int = 1000) -> None:
        self.endpoint, self.tell, self.bulk_documents = endpoint, tell, bulk_documents
        self.stem = f"floodmark-sample-{uuid.uuid4().hex[:8]}"
        self.made: list[str] = []

    def send(self, method: str, path: str, body: Any = None) -> Any:
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        return json.loads(self.endpoint.ask(method, path, None, raw).body)

    def create(self, name: str, template: Mapping[str, Any]) -> str:
        index = f"{self.stem}-{name}"
        self.send("PUT", f"/{index}", dict(template))
        self.made.append(index)
        return index

    def drop(self) -> None:
        for index in self.made:
            self.send("DELETE", f"/{index}")
        self.made.clear()

    def counters(self) -> dict[str, float]:
        """CPU [s], refreshes and merged bytes of the only node."""
        path = "/_nodes/stats/process,indices"
        nodes = list(self.endpoint.get_json(path)["nodes"].values())
        if len(nodes) != 1:
            raise LiveError("settings", f"{self.endpoint.shown}: {len(nodes)} nodes; a sample needs a server of one")
        node = nodes[0]
        return {
            "t": time.monotonic(),
            "cpu": node["process"]["cpu"]["total_in_millis"] / 1000,
            "refreshes": node["indices"]["refresh"]["total"],
            "merged": node["indices"]["merges"]["total_size_in_bytes"],
            "merging": node["indices"]["merges"]["current"],
        }

    def index(self, index: str, documents: Sequence[bytes], until: Callable[[], bool] = lambda: False) -> int:
        """Bulks one after another; how many. Raises LiveError with the first document's reason if one is refused."""
        bulks = 0
        for body in bulk_bodies(documents, self.bulk_documents):
            path = f"/{index}/_bulk"
            answer = self.send("POST", path, body)
            bulks += 1
            if answer["errors"]:
                refused = [
                    next(iter(item.values())) for item in answer["items"] if "error" in next(iter(item.values()))
                ]
                reason = refused[0]["error"].get("reason", refused[0]["error"])
                raise LiveError(
                    "failed", f"the server refused {len(refused)} of {len(answer['items'])} documents: {reason}"
                )
            if until():
                break
        return bulks

    def settled(self) -> None:
        """Until merges have ended by themselves, or the patience has."""
        until, last = time.monotonic() + SETTLE_SECONDS, -1.0
        while time.monotonic() < until:
            now = self.counters()
            if not now["merging"] and now["merged"] == last:
                return
            last = now["merged"]
            time.sleep(2.0)


def bulk_bodies(documents: Sequence[bytes], most: int) -> Sequence[bytes]:
    """Bodies of at most that many documents and some five MB."""
    found: list[bytes] = []
    part: list[bytes] = []
    size = 0
    for document in documents:
        part.append(b'{"index":{}}\n' + document + b"\n")
        size += len(part[-1])
        if len(part) >= most or size >= BULK_BYTES:
            found.append(b"".join(part))
            part, size = [], 0
    return [*found, b"".join(part)] if part else found


def index_body(template: Any) -> tuple[dict[str, Any], list[str]]:
    """Settings and mappings for a lone node from an index template as people have it, and what was left out.

    >>> index_body({"template": {"settings": {"index": {"number_of_replicas": 2, "codec": "zstd"}}}})[1]
    ['number_of_replicas']
    """
    if isinstance(template, dict) and len(template.get("index_templates", [])) == 1:
        template = template["index_templates"][0].get("index_template")
    if isinstance(template, dict) and len(template) == 1 and "settings" not in template and "mappings" not in template:
        template = next(iter(template.values()))
    if isinstance(template, dict) and isinstance(template.get("template"), dict):
        template = template["template"]
    if not isinstance(template, dict) or not (template.keys() & {"settings", "mappings"}):
        raise LiveError("settings", "the template has neither settings nor mappings; expected an index template as "
                        "GET _index_template answers, or {\"settings\": …, \"mappings\": …}")  # fmt: skip
    flat = _flat(template.get("settings") or {})
    kept = {name: value for name, value in flat.items() if name.split(".")[0] in KEPT_SETTINGS}
    left = sorted(set(flat) - set(kept))
    settings = {f"index.{name}": value for name, value in kept.items()}
    settings.setdefault("index.refresh_interval", "1s")  # without it a shard that nobody searches is not refreshed
    settings |= {"index.number_of_shards": 1, "index.number_of_replicas": 0}
    return {"settings": settings, "mappings": template.get("mappings") or {}}, left


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Settings by dotted name without `index.`, however they were nested."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        full = f"{above}.{name}" if above else name
        found |= _flat(value, full) if isinstance(value, Mapping) else {full.removeprefix("index."): value}
    return found


def codec_of(body: Mapping[str, Any]) -> str:
    """The codec class of an index's settings: default, best_compression or zstd."""
    codec = str(body.get("settings", {}).get("index.codec", "default"))
    return "zstd" if codec.startswith("zstd") else codec if codec in CODEC_RATIOS else "default"


def measure(
    server: Server, documents: Documents, body: Mapping[str, Any], seconds: float = WARM_SECONDS
) -> tuple[float, list[Spent]]:
    """Idle CPU [cores], and what each half took. The server's indices are deleted at the end, whatever happens."""
    try:
        _warm(server, documents, body, seconds)
        before = server.counters()
        time.sleep(IDLE_SECONDS)
        after = server.counters()
        idle = (after["cpu"] - before["cpu"]) / (after["t"] - before["t"])
        one, other = documents.halves()
        passes = [_half(server, f"{n}", half, body, n < 2) for n, half in enumerate((one, other, other, one))]
        return idle, [passes[0].with_pass(passes[3]), passes[1].with_pass(passes[2])]
    finally:
        server.drop()


def _warm(server: Server, documents: Documents, body: Mapping[str, Any], seconds: float) -> None:
    server.tell(f"warming the server with the documents, up to {seconds:g} s")
    index, began = server.create("warm", body), time.monotonic()
    first = server.counters()["cpu"]

    def enough() -> bool:
        return time.monotonic() - began > seconds or server.counters()["cpu"] - first > WARM_CPU_SECONDS

    while not enough():
        server.index(index, documents.lines, enough)
    server.drop()


def _half(server: Server, name: str, half: Documents, body: Mapping[str, Any], sized: bool) -> Spent:
    """One pass over one half; where `sized`, its index is weighed too."""
    server.tell(f"pass {int(name) + 1} of 4: {len(half.lines):,} documents of {half.mean_bytes:.0f} bytes")
    index = server.create(name, body)
    before = server.counters()
    bulks = server.index(index, half.lines)
    server.send("POST", f"/{index}/_refresh")
    server.settled()
    after = server.counters()
    stored = _stored(server, index, len(half.lines)) if sized else 0.0
    return Spent(
        documents=len(half.lines),
        json_bytes=sum(map(len, half.lines)),
        seconds=after["t"] - before["t"],
        cpu_seconds=after["cpu"] - before["cpu"],
        bulks=bulks,
        refreshes=after["refreshes"] - before["refreshes"],
        merged_bytes=after["merged"] - before["merged"],
        index_bytes=stored,
    )


def _stored(server: Server, index: str, documents: int) -> float:
    """Bytes of an index after a flush, once the server's cache of sizes is past [bytes]."""
    server.send("POST", f"/{index}/_flush")
    time.sleep(STORE_CACHE_SECONDS)
    told = server.endpoint.get_json(f"/{index}/_stats/store,docs")["_all"]["primaries"]
    if told["docs"]["count"] < documents:  # nested documents count too, so more may be there
        raise LiveError("failed", f"{told['docs']['count']:,} of {documents:,} documents are in the index")
    return float(told["store"]["size_in_bytes"])


def document_scale(spent: Spent, idle_cores: float, c: CoefficientSet, speed: float) -> float:
    """The documents' own CPU over what the set says of documents of that size [1].

    `speed` is this machine's per-core speed over the set's. Raises LiveError where nothing is left for them.
    """
    per_document = c["search.document_cpu_seconds"] + spent.json_bytes / spent.documents * c["search.byte_cpu_seconds"]
    beside = spent.bulks * c["search.bulk_cpu_seconds"] + spent.refreshes * c["search.refresh_cpu_seconds"]
    beside += spent.documents * c["search.refresh_document_cpu_seconds"]
    beside += spent.merged_bytes * c["search.merge_byte_cpu_seconds"]
    own = (spent.cpu_seconds - idle_cores * spent.seconds) * speed - beside
    if own <= 0:
        said = (
            f"the node spent {spent.cpu_seconds:.2f} CPU seconds, less than its bulks, refreshes and merges should cost"
        )
        raise LiveError("failed", f"{said}: too few documents to tell, or another machine than was said")
    return own / (spent.documents * per_document)


def coefficients(
    idle: float, halves: Sequence[Spent], c: CoefficientSet, mapping: str, codec: str, speed: float
) -> dict[str, tuple[Pair, str]]:
    """Coefficient name: both halves' values in the base set's machine seconds, and where they come from.

    Class ratios (dynamic mapping, codec) of the base set are taken off, since a forecast multiplies them on again.
    """
    size, cpu = 1.0, 1.0
    for table, word in ((CLASS_RATIOS, mapping), (CODEC_RATIOS, codec)):
        if word in table:
            size, cpu = size * c[table[word][0]], cpu * c[table[word][1]]
    one, other = halves
    ratio = Pair(*(half.index_bytes / half.json_bytes / size for half in (one, other)))
    scale = Pair(*(document_scale(half, idle, c, speed) / cpu for half in (one, other)))
    count, mean = (one.documents + other.documents) // 2, one.json_bytes / one.documents  # each was indexed twice
    source = f"own documents: {count:,} of {mean:.0f} bytes, mapping {mapping}, codec {codec}"
    found = {"index.bytes_per_json_byte": (ratio, f"{source}; after natural merges and a flush")}
    for name in ("search.document_cpu_seconds", "search.byte_cpu_seconds"):
        value = Pair(c[name] * scale.one, c[name] * scale.other)
        found[name] = (value, f"{source}; {scale.value:.2f} times the base set's; only the sum of both was told")
    return found


def batch_sizes(documents: Documents, batch_bytes: float) -> list[float]:
    """Sizes of batch at which compression is tried: one record, the forecast's, Kafka's default and beyond [bytes].

    A half has to fill a size `LEAST_BATCHES` times, or chance decides; the smallest is of one record each.
    """
    one = documents.mean_bytes + RECORD_BYTES
    most = len(documents.lines) * one / 2 / LEAST_BATCHES
    sizes = {one, 2 * one, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, max(batch_bytes, one)}
    return sorted(round(size) for size in sizes if one <= size <= max(most, one))


def compressions(documents: Documents, batch_bytes: float, law: Callable[[str, float], float]) -> dict[str, Any]:
    """By codec: both halves' ratio at that batch size and the law's, and the points of `batch_sizes`; or what would
    let it be told.
    """
    found: dict[str, Any] = {}
    one, other = documents.halves()
    sizes = batch_sizes(documents, batch_bytes)
    for codec, lacks in codecs().items():
        if lacks:
            found[codec] = {"lacks": lacks}
            continue
        pairs = {
            size: Pair(compression(one.lines, codec, size), compression(other.lines, codec, size))
            for size in {*sizes, batch_bytes}
        }
        points = [{"batch_bytes": size, **pairs[size].plain()} for size in sizes]
        found[codec] = pairs[batch_bytes].plain() | {"law": law(codec, batch_bytes), "points": points}
    return found


def toml(found: Mapping[str, tuple[Pair, str]], packed: Mapping[str, Any], head: Mapping[str, str | float]) -> str:
    """A coefficient set that fills from its base; `[compression]` goes into producers that state no ratio."""
    lines = ["# Made by: floodmark sample. A scenario reads it with `coefficients: FILE`.", "", "[set]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in head.items()]
    lines += ["", "[domain]"]
    for name, (pair, source) in found.items():
        told = pair.plain()
        unit = "s/byte" if name.endswith("byte_cpu_seconds") else "s" if name.endswith("seconds") else "1"
        lines += ["", f"[coefficients.{name}]"]
        lines += [f"{key} = {_digits(told[key])}" for key in ("value", "low", "high")]
        lines += [f'unit = "{unit}"', 'grade = "measured"', f"source = {json.dumps(source)}"]
        lines += [f"half_sample_error = {_digits(told['half_sample_error'])}"]
    for codec, one in packed.items():
        if "lacks" not in one:
            lines += ["", f"[compression.{codec}]  # bytes before over bytes after; points are [batch bytes, ratio]"]
            lines += [f"points = [{', '.join(_point(point, 'value') for point in one['points'])}]"]
            lines += [f"half_sample_errors = [{', '.join(_point(p, 'half_sample_error') for p in one['points'])}]"]
    return "\n".join(lines) + "\n"


def _point(point: Mapping[str, float], name: str) -> str:
    return f"[{_digits(point['batch_bytes'], 7)}, {_digits(point[name])}]"


def _digits(value: float, figures: int = 4) -> str:
    """Significant digits as TOML has floats.

    >>> _digits(0.00012345678), _digits(3.0)
    ('0.0001235', '3.0')
    """
    text = f"{value:.{figures}g}" if math.isfinite(value) else "nan"
    return text if any(mark in text for mark in ".en") else f"{text}.0"
