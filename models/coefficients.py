"""Coefficients: what one unit of work costs, as dated data.

A coefficient is a measured constant of a law (CPU seconds a document, bytes a record on disk). A
set of them is one TOML file in `models/data/`, or one that `floodmark calibrate` wrote. CPU seconds
are those of the set's own reference machine; a host of another type does the same work in
`reference per-core speed / its per-core speed` of the time.

`LAWS` below is the whole list: a set may leave one out (the generic set then serves it), but none
may name one that no law reads.
"""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any, Literal

Grade = Literal["measured", "published", "vendor", "remembered", "guess"]
GRADES: tuple[Grade, ...] = ("measured", "published", "vendor", "remembered", "guess")
CODECS = ("snappy", "lz4", "zstd", "gzip")
DATA = Path(__file__).parent / "data"

LAWS: dict[str, tuple[str, str]] = {
    # name: (unit, meaning)
    "kafka.request_cpu_seconds": ("s", "broker CPU of one produce or fetch request, whatever it carries"),
    "kafka.batch_cpu_seconds": ("s", "broker CPU of one record batch appended (validate, index, purgatory)"),
    "kafka.byte_cpu_seconds": ("s/byte", "broker CPU of one byte appended as leader"),
    "kafka.follower_cpu_ratio": ("1", "follower's CPU of one byte over the leader's"),
    "kafka.fetch_byte_cpu_seconds": ("s/byte", "broker CPU of one byte served to a consumer from page cache"),
    "kafka.tls_byte_cpu_seconds": ("s/byte", "extra CPU of one encrypted byte, each side"),
    "kafka.idle_cpu_cores": ("cores", "CPU a broker burns with no traffic"),
    "kafka.warm_amplitude": ("1", "A of the warm-up law of a broker's JVM"),
    "kafka.warm_work_seconds": ("s", "w0 of it: CPU seconds since that JVM started"),
    "kafka.append_wait_seconds": ("s", "time of an append that is not CPU (locks, page cache)"),
    "spark.batch_cpu_seconds": ("s", "driver CPU of one micro-batch outside its tasks (offsets, plan, jobs)"),
    "spark.task_cpu_seconds": ("s", "CPU of one JVM task, whatever it reads"),
    "spark.python_task_cpu_seconds": ("s", "extra CPU of one task that runs a Python function"),
    "spark.record_cpu_seconds": ("s", "CPU to read and parse one record in the JVM"),
    "spark.byte_cpu_seconds": ("s/byte", "CPU to read and parse one byte in the JVM"),
    "spark.launch_seconds": ("s", "driver's serial time to launch one task"),
    "spark.state_task_cpu_seconds": ("s", "CPU of one stateful (shuffle) task beside its rows"),
    "spark.state_row_cpu_seconds": ("s", "CPU of one row shuffled and folded into state"),
    "spark.local_commit_seconds": ("s", "one atomic checkpoint write to a local disk"),
    "spark.hdfs_commit_seconds": ("s", "one atomic checkpoint write to HDFS"),
    "spark.s3_commit_seconds": ("s", "one atomic checkpoint write to S3 Standard"),
    "spark.s3express_commit_seconds": ("s", "one atomic checkpoint write to S3 Express One Zone"),
    "spark.commit_sigma": ("1", "log standard deviation of one checkpoint write"),
    "spark.warm_amplitude": ("1", "A of the warm-up law c(w) = c_inf (1 + A exp(-w/w0))"),
    "spark.warm_work_seconds": ("s", "w0 of the warm-up law: CPU seconds of work since that JVM started"),
    "spark.start_cpu_seconds": (
        "s",
        "CPU of a query's application from its start to its first batch",
    ),
    "spark.idle_cpu_cores": (
        "cores",
        "CPU an executor's JVM burns beside its batches (collector, compiler, listeners)",
    ),
    "spark.task_sigma": ("1", "log standard deviation of one task's CPU"),
    "spark.batch_sigma": ("1", "log standard deviation of a batch's common factor"),
    "spark.batch_autocorrelation": ("1", "lag-1 autocorrelation of that factor"),
    "spark.run_sigma": ("1", "log standard deviation between repeated runs on one machine"),
    "spark.pause_per_cpu_second": ("1/s", "stop-the-world pauses per CPU second of an executor"),
    "spark.pause_seconds": ("s", "mean length of such a pause"),
    "sink.python_record_cpu_seconds": ("s", "CPU of one record in a Python foreachBatch bulk sink"),
    "sink.python_bulk_cpu_seconds": ("s", "CPU of one bulk request in a Python sink"),
    "sink.jvm_record_cpu_seconds": ("s", "CPU of one record in a JVM sink (serialise, buffer)"),
    "sink.jvm_bulk_cpu_seconds": ("s", "CPU of one bulk request in a JVM sink"),
    "sink.python_overlap": ("1", "share of a Python task's JVM work that runs beside its Python work"),
    "search.bulk_cpu_seconds": ("s", "data-node CPU of one bulk request (HTTP, coordination)"),
    "search.document_cpu_seconds": ("s", "data-node CPU to index one document on its primary"),
    "search.byte_cpu_seconds": ("s/byte", "data-node CPU to index one byte of JSON on its primary"),
    "search.replica_cpu_ratio": ("1", "CPU of a replica's copy of the operation over the primary's (rho)"),
    "search.segment_replica_cpu_ratio": ("1", "the same under segment replication"),
    "search.bulk_wait_seconds": ("s", "time of one shard bulk that is not CPU (translog fsync, network stack)"),
    "search.async_translog_wait_ratio": ("1", "that wait with translog durability async, over request"),
    "search.refresh_cpu_seconds": ("s", "CPU of one refresh of one shard that had something to show"),
    "search.refresh_document_cpu_seconds": ("s", "CPU of one refreshed document"),
    "search.merge_byte_cpu_seconds": ("s/byte", "CPU of one byte merged"),
    "search.merge_amplification": ("1", "bytes merged over bytes first written, in the long run"),
    "search.task_sigma": ("1", "log standard deviation of one node's share of a bulk"),
    "search.warm_amplitude": ("1", "A of the warm-up law of a data node's JVM"),
    "search.warm_work_seconds": ("s", "w0 of it: CPU seconds of indexing since that JVM started"),
    "search.pause_per_cpu_second": ("1/s", "stop-the-world pauses per CPU second of a data node"),
    "search.pause_seconds": ("s", "mean length of such a pause"),
    "search.idle_cpu_cores": ("cores", "CPU a data node burns with no traffic"),
    "search.query_cpu_seconds": ("s", "data-node CPU of one search on one shard"),
    "index.bytes_per_json_byte": ("1", "index bytes of one copy over JSON bytes, default codec, after natural merges"),
    "index.best_compression_ratio": ("1", "index bytes with best_compression (DEFLATE/zstd) over the default codec"),
    "index.best_compression_cpu_ratio": ("1", "indexing CPU with best_compression over the default codec"),
    "index.zstd_ratio": ("1", "index bytes with OpenSearch's zstd over the default codec"),
    "index.zstd_cpu_ratio": ("1", "indexing CPU with OpenSearch's zstd over the default codec"),
    "index.dynamic_mapping_ratio": ("1", "index bytes with dynamic text+keyword mapping over an explicit one"),
    "index.dynamic_mapping_cpu_ratio": ("1", "indexing CPU with dynamic text+keyword mapping over an explicit one"),
    "index.text_mapping_cpu_ratio": ("1", "indexing CPU of prose over keywords and numbers, a byte"),
    "model.batch_time_sigma": ("1", "log standard deviation of the model's own error in a batch's time"),
    "model.latency_sigma": ("1", "the same of latency up to its 95th percentile, and of its hops"),
    "model.tail_sigma": ("1", "the same of latency's and publishing's 99th percentile and beyond"),
    "model.lag_sigma": ("1", "the same of lag"),
    "model.catch_up_sigma": ("1", "the same of the time to catch up"),
    "model.throughput_sigma": ("1", "the same of sustainable throughput"),
    "model.cpu_sigma": ("1", "the same of a process's CPU"),
    "model.bytes_sigma": ("1", "the same of bytes on disk"),
    "hosts.zone_round_trip_seconds": ("s", "round trip between two zones"),
    "hosts.local_round_trip_seconds": ("s", "round trip within a zone"),
    "hosts.smt_yield": ("1", "throughput of a core with both hardware threads busy over one"),
    "hosts.speed_residual_sigma": ("1", "log standard deviation of a CPU coefficient carried to another machine type"),
}


class CoefficientError(ValueError):
    """A coefficient set that cannot be used: names the file, the coefficient and what would do."""


@dataclass(frozen=True)
class Coefficient:
    """One measured constant: `value` within [`low`, `high`] (90 %), its unit, where from, and how sure."""

    name: str
    value: float
    low: float
    high: float
    unit: str
    source: str
    measured_on: str
    as_of: str
    grade: Grade


@dataclass(frozen=True)
class CoefficientSet:
    """A dated set: the coefficients by name, and the machine whose CPU seconds they are.

    `per_core_speed` is CoreMark iterations a second of one thread alone on a core of that machine.
    `domain` holds the ranges that were measured ({quantity: (low, high)}); outside them a forecast
    says `extrapolated`. `anchored` says whether the load that a calibration was made from came out as measured when it
    was replayed, and `anchor` why; None where nobody tried (a packaged set of laws, no set of one's own stack).
    `compression` holds ratios of one's own records by codec, (batch bytes, ratio): a scenario that names the set and
    states no `producer.compression_ratio` takes them over.
    """

    name: str
    as_of: str
    machine: str
    per_core_speed: float
    values: dict[str, Coefficient]
    domain: dict[str, tuple[float, float]]
    digest: str
    anchored: bool | None = None
    anchor: str = ""
    compression: dict[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.values[name].value

    def with_values(self, changed: dict[str, float]) -> CoefficientSet:
        """The same set with some values replaced (a draw, or a user's override)."""
        from dataclasses import replace

        values = dict(self.values)
        for name, value in changed.items():
            values[name] = replace(values[_known(name, "override")], value=value)
        return replace(self, values=values, digest=_digest(values))

    def by_grade(self) -> dict[Grade, list[Coefficient]]:
        return {grade: [c for c in self.values.values() if c.grade == grade] for grade in GRADES}


def _known(name: str, where: str) -> str:
    if name not in LAWS:
        near = difflib.get_close_matches(name, LAWS, n=1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise CoefficientError(f"{where}: no law reads a coefficient '{name}'{hint}")
    return name


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CoefficientError(f"coefficient set {path} does not exist") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CoefficientError(f"coefficient set {path} is not TOML: {error}") from None


def _coefficient(name: str, row: dict[str, Any], where: str, head: dict[str, Any]) -> Coefficient:
    unit = LAWS[_known(name, where)][0]
    missing = [key for key in ("value", "low", "high", "unit", "source", "grade") if key not in row]
    if missing:
        raise CoefficientError(f"{where}: {name} lacks {', '.join(missing)}")
    if row["unit"] != unit:
        raise CoefficientError(f"{where}: {name} is in '{row['unit']}'; expected '{unit}'")
    value, low, high = float(row["value"]), float(row["low"]), float(row["high"])
    if not low <= value <= high:
        raise CoefficientError(f"{where}: {name} = {value} lies outside its own interval {low}..{high}")
    if row["grade"] not in GRADES:
        raise CoefficientError(f"{where}: {name} has grade '{row['grade']}'; expected one of {', '.join(GRADES)}")
    measured_on = str(row.get("measured_on", head.get("machine", "")))
    as_of = row.get("as_of", head["as_of"])
    return Coefficient(name, value, low, high, unit, str(row["source"]), measured_on, _day(as_of), row["grade"])


def _day(value: Any) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)


def _flat(table: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{group}.{key}": row for group, rows in table.items() for key, row in rows.items()}


@cache
def load_set(name: str) -> CoefficientSet:
    """The set of that name in the package, or the one at that path; generic values fill what it lacks.

    Raises CoefficientError, naming file, coefficient and what would do.
    """
    path = Path(name) if name.endswith(".toml") else DATA / f"{name}.toml"
    if not path.exists() and not name.endswith(".toml"):
        near = difflib.get_close_matches(name, packaged_sets(), n=1)
        hint = f"; did you mean '{near[0]}'?" if near else f"; the package has {', '.join(packaged_sets())}"
        raise CoefficientError(f"no coefficient set '{name}'{hint}")
    raw = _read(path)
    head = raw.get("set", {})
    for key in ("name", "as_of", "machine", "per_core_speed"):
        if key not in head:
            raise CoefficientError(f"{path.name}: [set] lacks {key}")
    values = {n: _coefficient(n, row, path.name, head) for n, row in _flat(raw.get("coefficients", {})).items()}
    base = head.get("fills_from")
    if base:
        values = carried(load_set(base), float(head["per_core_speed"])) | values
    lacking = [n for n in LAWS if n not in values]
    if lacking:
        raise CoefficientError(f"{path.name}: lacks {', '.join(lacking)} and names no set to fill from")
    domain = {key: (float(low), float(high)) for key, (low, high) in raw.get("domain", {}).items()}
    return CoefficientSet(
        head["name"],
        _day(head["as_of"]),
        head["machine"],
        float(head["per_core_speed"]),
        values,
        domain,
        _digest(values),
        *_anchor(raw.get("anchor", {})),
        _ratios(raw.get("compression", {}), path.name),
    )


def _ratios(told: dict[str, Any], where: str) -> dict[str, tuple[tuple[float, float], ...]]:
    """(batch bytes, ratio) by codec, as `floodmark sample` writes them; `Producer` judges the points themselves."""
    found = {}
    for codec, row in told.items():
        if codec not in CODECS:
            raise CoefficientError(f"{where}: [compression.{codec}]; expected one of {', '.join(CODECS)}")
        points = row.get("points") if isinstance(row, dict) else None
        try:
            found[codec] = tuple((float(size), float(ratio)) for size, ratio in points or ())
        except (TypeError, ValueError):
            found[codec] = ()
        if not found[codec]:
            raise CoefficientError(f"{where}: [compression.{codec}] lacks points = [[batch bytes, ratio], …]")
    return found


def _anchor(told: dict[str, Any]) -> tuple[bool | None, str]:
    """What `floodmark calibrate` wrote of its replay."""
    return (told["anchored"] == "yes" if "anchored" in told else None), str(told.get("why", ""))


def _digest(values: dict[str, Coefficient]) -> str:
    """Sixteen hex digits that change when any value or interval does."""
    told = repr(sorted((name, c.value, c.low, c.high) for name, c in values.items()))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def carried(source: CoefficientSet, per_core_speed: float) -> dict[str, Coefficient]:
    """The values of another set, its CPU seconds turned into those of a machine of this per-core speed.

    What is CPU (`…cpu_seconds`, `…cpu_cores`, the warm-up's work) scales with speed, what is counted per CPU second
    scales against it; ratios, waits and sigmas stay.
    """
    from dataclasses import replace

    factor = source.per_core_speed / per_core_speed
    out = {}
    for name, c in source.values.items():
        cpu = name.endswith(("cpu_seconds", "cpu_cores", "warm_work_seconds"))
        scale = factor if cpu else 1 / factor if name.endswith("per_cpu_second") else 1.0
        out[name] = replace(c, value=c.value * scale, low=c.low * scale, high=c.high * scale)
    return out


def packaged_sets() -> list[str]:
    """Names of the coefficient sets that come with the package."""
    return sorted(p.stem for p in DATA.glob("*.toml"))
