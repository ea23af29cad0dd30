"""Experiments: what a run asks of the stack, read from one TOML file and checked before anything starts.

A `pipe` is load → Kafka → Spark → sink; `kafka` is load → Kafka alone; `bulk` is closed-loop clients on
the search servers alone. `set` is named before anything is fitted: what is in "test" is never fitted
to, and an "anchor" only tells how fast the machine was. The fields are those of the tables below; one
that is not there is refused, so that a misspelt setting cannot quietly be a default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from lab.documents import SMALLEST
from lab.schedule import Schedule

FOLDER = Path(__file__).parent / "experiments"
TYPES, SETS = ("pipe", "kafka", "bulk"), ("fit", "test", "anchor")
SINKS, STATES = ("bulk", "noop", "kafka"), ("hdfs", "rocksdb")
PRODUCTS, CODECS = ("opensearch", "elasticsearch"), ("default", "best_compression")
COMPRESSIONS = ("none", "gzip", "snappy", "lz4", "zstd")
KINDS = {  # disturbance: its fields beyond at_s and kind, with defaults
    "broker_kill": {"broker": 1, "restart_after_s": 20.0},
    "job_stop": {"how": "kill", "restart_after_s": 20.0},
    "search_kill": {"node": 0, "restart_after_s": 20.0},
    "index_block": {"block": "read_only_allow_delete", "for_s": 20.0},
}
BLOCKS = ("write", "read_only_allow_delete")


class ExperimentError(ValueError):
    """An experiment that cannot be run: names the file, the field, the value, and what would do."""


@dataclass(frozen=True)
class LoadPlan:
    """`plan` is [[seconds, records a second], …] after `warm_s` seconds at `warm_rate`; `size` in bytes of JSON."""

    plan: tuple[tuple[float, float], ...] = ()
    warm_s: float = 0.0
    warm_rate: float = 0.0
    size: int = 800
    linger_ms: float = 5.0
    batch_bytes: int = 16384
    acks: str = "all"
    compression: str = "none"
    idempotent: bool = False


@dataclass(frozen=True)
class KafkaAsk:
    """`copies` counts all of them; `tls` is between clients and brokers."""

    brokers: int = 1
    partitions: int = 4
    copies: int = 1
    min_insync: int = 1
    tls: bool = False


@dataclass(frozen=True)
class SparkAsk:
    """One query; `max_offsets` caps a batch (0: no cap), `writers` are concurrent bulks a task.

    `restart_s` is how long whoever watches the job takes to start it anew after it failed.
    """

    cores: int = 1
    trigger_ms: int = 2000
    sink: str = "bulk"
    max_offsets: int = 0
    bulk: int = 1000
    writers: int = 1
    agg: bool = False
    shuffle: int = 4
    state: str = "hdfs"
    retry_s: float = 60.0
    restart_s: float = 5.0


@dataclass(frozen=True)
class SearchAsk:
    """`replicas` are copies beyond the primary; `ids` = "offset" makes a repeated batch write no duplicates."""

    product: str = "opensearch"
    nodes: int = 1
    shards: int = 1
    replicas: int = 0
    refresh: str = "1s"
    codec: str = "default"
    ids: str = "auto"


@dataclass(frozen=True)
class BulkAsk:
    """Closed loop: `clients` at once, each waiting for its answer."""

    clients: int = 1
    bulk: int = 1000
    seconds: float = 25.0
    size: int = 800
    warm_s: float = 12.0


@dataclass(frozen=True)
class Cores:
    """Which processor each process is pinned to."""

    broker: tuple[int, ...] = (0,)
    search: tuple[int, ...] = (0,)
    spark: tuple[int, ...] = (1,)
    load: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Experiment:
    """One experiment file."""

    name: str
    type: str
    set: str
    question: str
    repeats: int = 3
    load: LoadPlan = field(default_factory=LoadPlan)
    kafka: KafkaAsk = field(default_factory=KafkaAsk)
    spark: SparkAsk = field(default_factory=SparkAsk)
    search: SearchAsk = field(default_factory=SearchAsk)
    bulk: BulkAsk = field(default_factory=BulkAsk)
    cores: Cores = field(default_factory=Cores)
    disturb: tuple[Mapping[str, Any], ...] = ()

    @property
    def needs_kafka(self) -> bool:
        return self.type in ("pipe", "kafka")

    @property
    def needs_search(self) -> bool:
        return self.type == "bulk" or (self.type == "pipe" and self.spark.sink == "bulk")

    @property
    def schedule(self) -> Schedule:
        return Schedule(self.load.plan)

    @property
    def seconds(self) -> float:
        """About how long a run takes, start and stop of the stack (some 75 s, measured) included [s]."""
        work = self.bulk.seconds + self.bulk.warm_s if self.type == "bulk" else self.schedule.seconds + self.load.warm_s
        return 75.0 + work


DEFAULT_CORES = {
    "pipe": Cores(),
    "kafka": Cores(broker=(0,), load=(1,)),
    "bulk": Cores(search=(0,), load=(1,)),
}


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _fits(value: Any, wanted: Any) -> bool:
    """Whether a TOML value is of that type; a whole number will do for a float, and true for nothing but bool."""
    if get_origin(wanted) is tuple:
        return isinstance(value, list | tuple) and all(_fits(item, get_args(wanted)[0]) for item in value)
    if wanted is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is wanted


def _fill(kind: type, raw: Mapping[str, Any], where: str, **given: Any) -> Any:
    """A dataclass from a TOML table; refuses unknown fields and wrong types by name."""
    known = {f.name: f for f in fields(kind)}
    hints = get_type_hints(kind)
    unknown = sorted(set(raw) - set(known))
    if unknown:
        raise ExperimentError(f"{where}{unknown[0]}: no such field; known are {', '.join(known)}")
    for name, value in raw.items():
        if name not in given and not _fits(value, hints[name]):
            wanted = getattr(hints[name], "__name__", hints[name])
            raise ExperimentError(f"{where}{name} = {value!r}; expected {wanted}")
    return kind(**{name: _tuples(value) for name, value in raw.items()} | given)


def parse(raw: Mapping[str, Any], name: str) -> Experiment:
    """An experiment from its TOML tables; the file's stem is its name."""
    kind = raw.get("type")
    if kind not in TYPES:
        raise ExperimentError(f"{name}: type = {kind!r}; expected one of {', '.join(TYPES)}")
    where = f"{name}: "
    cores = asdict(DEFAULT_CORES[kind]) | dict(raw.get("cores", {}))
    tables: dict[str, Any] = {
        "load": _fill(LoadPlan, raw.get("load", {}), f"{where}load."),
        "kafka": _fill(KafkaAsk, raw.get("kafka", {}), f"{where}kafka."),
        "spark": _fill(SparkAsk, raw.get("spark", {}), f"{where}spark."),
        "search": _fill(SearchAsk, raw.get("search", {}), f"{where}search."),
        "bulk": _fill(BulkAsk, raw.get("bulk", {}), f"{where}bulk."),
        "cores": _fill(Cores, cores, f"{where}cores."),
        "disturb": tuple(_disturbance(item, where) for item in raw.get("disturb", ())),
    }
    for missing in {"set", "question"} - set(raw):
        raise ExperimentError(f'{where}{missing} is missing; set = "fit" or "test" and what the run tells apart')
    made = _fill(Experiment, {k: v for k, v in raw.items() if k not in tables} | {"name": name}, where, **tables)
    check(made)
    return made


def _disturbance(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind = raw.get("kind")
    if kind not in KINDS:
        raise ExperimentError(f"{where}disturb.kind = {kind!r}; expected one of {', '.join(KINDS)}")
    unknown = sorted(set(raw) - set(KINDS[kind]) - {"kind", "at_s"})
    if unknown or "at_s" not in raw:
        raise ExperimentError(
            f"{where}disturb.{unknown[0] if unknown else 'at_s'}: {kind} takes at_s, {', '.join(KINDS[kind])}"
        )
    return {"kind": kind, **KINDS[kind], **raw}


def _among(where: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ExperimentError(f"{where} = {value!r}; expected one of {', '.join(map(str, allowed))}")


def _least(where: str, value: float, least: float, unit: str = "") -> None:
    if value < least:
        raise ExperimentError(f"{where} = {value:g}{unit}; expected {least:g}{unit} or more")


def check(e: Experiment) -> None:
    """What types alone cannot say; raises at the first field that is wrong."""
    name = e.name
    _among(f"{name}: set", e.set, SETS)
    _least(f"{name}: repeats", e.repeats, 1)
    _among(f"{name}: search.product", e.search.product, PRODUCTS)
    _among(f"{name}: search.codec", e.search.codec, CODECS)
    _among(f"{name}: search.ids", e.search.ids, ("auto", "offset"))
    if e.search.replicas >= e.search.nodes:
        said = f"{name}: search.replicas = {e.search.replicas} on search.nodes = {e.search.nodes}"
        raise ExperimentError(f"{said}; expected fewer replicas than nodes, or they stay unassigned")
    if e.type == "bulk":
        for field_name, least in (("clients", 1), ("bulk", 1), ("seconds", 1), ("size", SMALLEST)):
            _least(f"{name}: bulk.{field_name}", getattr(e.bulk, field_name), least)
        return
    _check_kafka(e)
    if e.type == "pipe":
        _check_spark(e)
    _check_disturbances(e)


def _check_kafka(e: Experiment) -> None:
    name = e.name
    if not e.load.plan:
        raise ExperimentError(f"{name}: load.plan is empty; expected [[seconds, records a second], …]")
    for step in e.load.plan:
        if len(step) != 2 or step[0] <= 0 or step[1] < 0:
            raise ExperimentError(
                f"{name}: load.plan has {list(step)}; expected [seconds above 0, records/s of 0 or more]"
            )
    _least(f"{name}: load.size", e.load.size, SMALLEST, " bytes")
    _among(f"{name}: load.acks", e.load.acks, ("all", "1", "0"))
    _among(f"{name}: load.compression", e.load.compression, COMPRESSIONS)
    _among(f"{name}: kafka.brokers", e.kafka.brokers, (1, 3))
    _least(f"{name}: kafka.partitions", e.kafka.partitions, 1)
    for field_name in ("copies", "min_insync"):
        most = e.kafka.brokers if field_name == "copies" else e.kafka.copies
        _among(f"{name}: kafka.{field_name}", getattr(e.kafka, field_name), tuple(range(1, most + 1)))


def _check_spark(e: Experiment) -> None:
    name, job = e.name, e.spark
    _among(f"{name}: spark.sink", job.sink, SINKS)
    _among(f"{name}: spark.state", job.state, STATES)
    for field_name, least in (("cores", 1), ("trigger_ms", 0), ("bulk", 1), ("writers", 1), ("shuffle", 1)):
        _least(f"{name}: spark.{field_name}", getattr(job, field_name), least)
    if job.agg and job.sink != "noop":
        why = "an aggregate's rows carry no sequence, so their visibility cannot be measured"
        raise ExperimentError(f'{name}: spark.agg = true with spark.sink = {job.sink!r}; expected "noop": {why}')


def _check_disturbances(e: Experiment) -> None:
    for d in e.disturb:
        where = f"{e.name}: disturb {d['kind']}"
        _least(f"{where}.at_s", d["at_s"], 0, " s")
        if d["at_s"] > e.schedule.seconds:
            raise ExperimentError(f"{where}.at_s = {d['at_s']} s, after the plan's end at {e.schedule.seconds:g} s")
        if d["kind"] == "broker_kill":
            _among(f"{where}.broker", d["broker"], tuple(range(1, e.kafka.brokers + 1)))
        elif d["kind"] == "job_stop":
            _among(f"{where}.how", d["how"], ("kill", "stop"))
        elif not e.needs_search:
            raise ExperimentError(f'{where}: this run has no index; expected sink = "bulk"')
        elif d["kind"] == "index_block":
            _among(f"{where}.block", d["block"], BLOCKS)
        else:
            _among(f"{where}.node", d["node"], tuple(range(e.search.nodes)))
        if d["kind"] == "job_stop" and e.type != "pipe":
            raise ExperimentError(f'{where}: this run has no job; expected type = "pipe"')


def read(path: Path) -> Experiment:
    """One experiment file."""
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")), path.stem)
    except tomllib.TOMLDecodeError as error:
        raise ExperimentError(f"{path.name}: not TOML: {error}") from None


def read_all(folder: Path = FOLDER) -> list[Experiment]:
    """All experiments, by name."""
    return [read(path) for path in sorted(folder.glob("*.toml"))]


def recorded(e: Experiment, repeat: int, disturbed: bool) -> dict[str, Any]:
    """What experiment.json says: the names that the readers know first, then all that was asked.

    `size`, `partitions`, `job`, `clients`, `bulk` are those of the recordings of 2026-11-23.
    """
    said: dict[str, Any] = {"name": folder_name(e, repeat, disturbed), "type": e.type, "set": e.set, "repeat": repeat,
                            "disturbed": disturbed, "experiment": e.name, "question": e.question}  # fmt: skip
    if e.type == "bulk":
        said |= asdict(e.bulk)
    else:
        load = asdict(e.load)
        said |= {"partitions": e.kafka.partitions, "kafka": asdict(e.kafka), **load}
    if e.type == "pipe":
        said["job"] = asdict(e.spark)
    if e.needs_search:
        said["search"] = asdict(e.search)
    return said | {"pinned": asdict(e.cores), "disturb": [dict(d) for d in e.disturb]}


def folder_name(e: Experiment, repeat: int, disturbed: bool = False) -> str:
    """The run's folder: the fit reads `fit-…` only, so a run beside other work is not called that."""
    return f"{'disturbed' if disturbed else e.set}-{e.name}.{repeat}"
