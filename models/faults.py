"""Faults: what breaks, when, for how long, and by which law the stack notices.

A fault is an event: a kind, a time, a duration, a target. It is written as fields or as a sentence,
`broker-lost 1 at 5 min for 2 min`; times count from the start of the simulation, as those of bursts do.
`LAWS` holds the times that detection and recovery take, each with its source: what a stack does not set
otherwise. Where a default can be changed in the field, it cannot be changed here yet.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

from pydantic import model_validator

from models.noun import Noun
from models.units import (
    HOUR,
    MB,
    MINUTE,
    Bytes,
    BytesPerSecond,
    Ratio,
    Seconds,
    field,
    parse_bytes,
    parse_bytes_per_second,
    parse_fraction,
    parse_seconds,
    show,
)

Kind = Literal[
    "broker-lost", "broker-slow", "controller-lost", "controller-slow", "partitions-moved",
    "executor-lost", "executor-slow", "executor-oom", "spot-interrupted", "driver-lost", "driver-slow",
    "checkpoint-slow", "checkpoint-failing",
    "data-node-lost", "data-node-slow", "manager-lost", "manager-slow", "index-blocked", "shards-moved",
    "zone-lost", "zone-slow", "zone-delay", "disk-full", "credits-exhausted", "rolling-restart", "outage", "burst",
]  # fmt: skip
MOMENTARY = ("driver-lost", "controller-lost", "manager-lost")
TIERS = ("kafka", "spark", "elasticsearch")
BLOCKS = ("read_only_allow_delete", "write")


@dataclass(frozen=True)
class Law:
    """A time or rate that a system's own rules give: value, unit, source, how sure."""

    value: float
    unit: str
    source: str
    grade: Literal["published", "remembered", "guess"] = "published"


LAWS: dict[str, Law] = {
    "kafka.session": Law(9.0, "s", "kafka.md B3: broker.session.timeout.ms"),
    "kafka.leader_move": Law(0.5, "s", "kafka.md B3: controlled shutdown, below a second", "remembered"),
    "kafka.lag_time_max": Law(30.0, "s", "kafka.md B2: replica.lag.time.max.ms"),
    "kafka.delivery_timeout": Law(120.0, "s", "kafka.md B1: delivery.timeout.ms"),
    "kafka.leader_rebalance": Law(300.0, "s", "kafka.md B2: leader.imbalance.check.interval.seconds"),
    "kafka.admin_timeout": Law(60.0, "s", "default.api.timeout.ms of the client that lists offsets", "remembered"),
    "kafka.election": Law(3.0, "s", "kafka.md B3: quorum fetch timeout 2 s and election timeout 1 s"),
    "kafka.fetch_response": Law(10 * 1024.0**2, "bytes", "kafka.md B2: replica.fetch.response.max.bytes; that records "
                                "wait behind one where a card or volume is full is ours", "guess"),
    "kafka.segment_bytes": Law(1024.0**3, "bytes", "kafka.md B2: log.segment.bytes"),
    "spark.network_timeout": Law(120.0, "s", "spark.md A8: spark.network.timeout; a closed socket is seen at once"),
    "spark.container": Law(30.0, "s", "spark.md A8: a new container takes 10-60 s", "remembered"),
    "spark.kill_look": Law(0.05, "s", "how often a task that outgrows its container is looked at; the kernel's killer "
                           "looks at every page", "guess"),
    "spark.most_kills": Law(3.0, "count", "spark.md C4: an application ends after max(3, 2 x executors) of them",
                            "remembered"),
    "spark.cluster": Law(600.0, "s", "a new EMR cluster in another zone, bootstrap included", "guess"),
    "spark.spot_notice": Law(120.0, "s", "aws-prices.md: spot interruption notice of two minutes"),
    "search.fault_detection": Law(30.0, "s", "follower check 3 x 10 s; a closed socket is seen at once", "remembered"),
    "search.promotion": Law(1.0, "s", "a cluster state with new primaries, published", "remembered"),
    "search.election": Law(3.0, "s", "a new cluster manager among those left", "remembered"),
    "search.node_left_delay": Law(60.0, "s", "elasticsearch.md B5: index.unassigned.node_left.delayed_timeout"),
    "search.recovery_rate": Law(40 * MB, "bytes/s", "elasticsearch.md B5, A13: indices.recovery.max_bytes_per_sec"),
    "search.primary_timeout": Law(60.0, "s", "a bulk waits 1 min for an active primary, then 503", "remembered"),
    "search.flood_poll": Law(30.0, "s", "elasticsearch.md B4: disk usage is polled (cluster.info.update.interval); "
                             "each look also lifts read_only_allow_delete where no disk is past its high mark"),
    "search.moves_at_once": Law(2.0, "count", "elasticsearch.md B5: 2 concurrent rebalances a cluster"),
}  # fmt: skip


def law(name: str) -> float:
    """The value of a law.

    >>> law("kafka.session"), law("search.node_left_delay")
    (9.0, 60.0)
    """
    return LAWS[name].value


@dataclass(frozen=True)
class Shape:
    """What a kind of fault takes: its target, whether it has a factor, and how it reads."""

    target: Literal["", "number", "tier", "block"]
    meaning: str
    factor: float | None = None  # its default
    others: tuple[str, ...] = ()  # further fields that it takes
    endless: bool = False  # it may last until the end of the run


SHAPES: dict[str, Shape] = {
    "broker-lost": Shape("number", "a broker's process or host dies, and comes back with its disk", endless=True),
    "broker-slow": Shape("number", "a broker's cores do a share of their work", 0.25),
    "controller-lost": Shape("", "the active controller dies; another is elected"),
    "controller-slow": Shape("", "the controller does a share of its work: leaders are elected later", 0.1),
    "partitions-moved": Shape("", "partitions are reassigned to other brokers under a throttle",
                              others=("bytes", "throttle")),
    "executor-lost": Shape("number", "an executor dies; its tasks run again, a new one is cold", endless=True),
    "executor-slow": Shape("number", "an executor's cores do a share of their work", 0.25),
    "executor-oom": Shape("number", "an executor outgrows its container and is killed (137, 143), and so is each that "
                          "runs the same task again, while the cause lasts"),
    "spot-interrupted": Shape("number", "an executor's spot instance is taken back after two minutes' notice",
                              endless=True),
    "driver-lost": Shape("", "the driver dies, and with it its executors; spark.restart says what follows"),
    "driver-slow": Shape("", "the driver's cores do a share of their work", 0.25),
    "checkpoint-slow": Shape("", "checkpoint writes take longer", 10.0),
    "checkpoint-failing": Shape("", "checkpoint writes fail, and the query with them"),
    "data-node-lost": Shape("number", "a data node dies; copies take over, then are rebuilt", endless=True),
    "data-node-slow": Shape("number", "a data node's cores do a share of their work", 0.25),
    "manager-lost": Shape("", "the elected cluster manager dies"),
    "manager-slow": Shape("", "the cluster manager does a share of its work: copies are promoted later", 0.1),
    "index-blocked": Shape("block", "the index refuses writes: read_only_allow_delete (429 an item; 403 before 7.7; "
                           "set manually, with room on the disks, the server lifts it when it looks) or write (403)"),
    "shards-moved": Shape("", "shards are relocated under a throttle", others=("bytes", "throttle")),
    "zone-lost": Shape("number", "everything in one zone is gone", endless=True),
    "zone-slow": Shape("number", "every host in one zone does a share of its work", 0.25),
    "zone-delay": Shape("", "a trip between zones takes longer", others=("delay",)),
    "disk-full": Shape("tier", "a disk is full: a broker stops, or the index is blocked"),
    "credits-exhausted": Shape("tier", "burst credits of CPU or EBS are gone: hosts fall to their baseline"),
    "rolling-restart": Shape("tier", "each node in turn is stopped and started; the duration is one's downtime"),
    "outage": Shape("tier", "a whole tier is stopped and started again"),
    "burst": Shape("", "events arrive at a multiple of their rate", 3.0),
}  # fmt: skip


class Fault(Noun):
    """Something breaks at a time, for a while."""

    not_modelled: ClassVar[dict[str, str]] = {
        "probability": "a fault happens when it says; how often it does is the reader's to judge"
    }

    kind: Kind = field(unit="", meaning="what breaks")
    at: Seconds = field(unit="s", meaning="when, from the start of the simulation", ge=0, le=7 * 86400)
    duration: Seconds | None = field(
        None, unit="s", meaning="how long the cause lasts; none: for good", gt=0, le=7 * 86400
    )
    target: str = field(
        "", unit="", meaning="which one: a number from 0, a tier (kafka, spark, elasticsearch) or a block"
    )
    factor: Ratio | None = field(
        None,
        unit="1",
        meaning="share of its speed that a slow part keeps, or multiple of a rate or time",
        gt=0,
        le=1000,
    )
    delay: Seconds | None = field(None, unit="s", meaning="added to a trip between zones", gt=0, le=60)
    bytes: Bytes | None = field(None, unit="bytes", meaning="what is moved; none: what a node holds", gt=0)
    throttle: BytesPerSecond | None = field(
        None, unit="bytes/s", meaning="most that the move may take of each node; none: the system's own", gt=0
    )
    silent: bool = field(
        False, unit="", meaning="a host vanishes without closing its connections: timeouts notice it, not sockets"
    )
    manual: bool = field(
        False,
        unit="",
        meaning="a block is set by hand while no disk is past its high mark: the server's own look at the disks lifts "
        "read_only_allow_delete",
    )

    @model_validator(mode="before")
    @classmethod
    def _from_sentence(cls, data: Any) -> Any:
        return parse_fault(data) if isinstance(data, str) else data

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Fault:
        shape = SHAPES[self.kind]
        if wrong := wrong_target(self.kind, self.target):
            raise ValueError(wrong)
        for name, takes in (
            ("factor", shape.factor is not None),
            *((name, name in shape.others) for name in ("delay", "bytes", "throttle")),
            ("silent", self.kind in ("executor-lost", "data-node-lost", "zone-lost")),
            ("manual", self.kind == "index-blocked"),
        ):
            if getattr(self, name) and not takes:
                raise ValueError(f"{self.kind} takes no {name}")
        if self.kind == "zone-delay" and self.delay is None:
            raise ValueError("zone-delay needs a delay, such as 'zone-delay by 20 ms at 5 min for 2 min'")
        momentary = self.kind in MOMENTARY
        if self.duration is None and not (shape.endless or momentary or "bytes" in shape.others):
            raise ValueError(f"{self.kind} needs a duration, such as '{self.kind} at 5 min for 2 min'")
        if self.kind.endswith("-slow") and self.kind != "checkpoint-slow" and self.strength >= 1:
            raise ValueError(
                f"{self.kind}: factor = {self.strength:g} leaves it as fast; expected below 1, such as 0.25"
            )
        return self

    @property
    def number(self) -> int:
        """Which broker, executor, node or zone [index]."""
        return int(self.target or 0)

    @property
    def strength(self) -> float:
        """Its factor, or the kind's usual one [1]."""
        usual = SHAPES[self.kind].factor
        return self.factor if self.factor is not None else usual if usual is not None else 1.0

    @property
    def end(self) -> float:
        """When the cause is gone [s]; infinite if never."""
        momentary = self.kind in MOMENTARY
        return self.at + self.duration if self.duration is not None else self.at if momentary else float("inf")

    def __str__(self) -> str:
        """The sentence that parses back to it."""
        words = [self.kind, self.target]
        words += [f"to {self.factor:g}" if self.factor is not None else ""]
        words += [f"by {show(self.delay, 's')}" if self.delay is not None else ""]
        words += [f"of {show(self.bytes, 'bytes')}" if self.bytes is not None else ""]
        words += [f"under {show(self.throttle, 'bytes/s')}" if self.throttle is not None else ""]
        words += ["silently" if self.silent else "", "manually" if self.manual else "", f"at {exactly(self.at)}"]
        words += [f"for {exactly(self.duration)}" if self.duration is not None else ""]
        return " ".join(word for word in words if word)


def exactly(seconds: float) -> str:
    """A time that parses back to itself.

    >>> exactly(300.0), exactly(61.5), exactly(7200.0)
    ('5 min', '61.5 s', '2 h')
    """
    for scale, name in ((HOUR, "h"), (MINUTE, "min")):
        if seconds >= scale and seconds % scale == 0:
            return f"{seconds / scale:g} {name}"
    return f"{seconds!r} s".replace(".0 s", " s")


def out_of_range(fault: Fault, brokers: int, executors: int, nodes: int, zones: int, ends: float) -> str:
    """Why a fault cannot happen on this stack or within this run, '' if it can."""
    counts = {"broker": brokers, "executor": executors, "spot": executors, "data": nodes, "zone": zones}
    have = counts.get(fault.kind.split("-")[0])
    if SHAPES[fault.kind].target == "number" and have is not None and fault.number >= have:
        what = {"data": "data nodes", "spot": "executors"}.get(fault.kind.split("-")[0], f"{fault.kind.split('-')[0]}s")
        return f"'{fault}': there are {have} {what}, counted from 0"
    if fault.at >= ends:
        return f"'{fault}' comes after the run, which ends at {exactly(ends)}: lengthen run.measure (--horizon)"
    return ""


def wrong_target(kind: str, target: str) -> str:
    """What is wrong with a target, '' if nothing."""
    shape = SHAPES[kind].target
    if shape == "number":
        return (
            "" if target == "" or target.isdigit() else f"{kind} {target}: expected a number from 0, such as '{kind} 1'"
        )
    known = {"": (), "tier": TIERS, "block": BLOCKS}[shape]
    if target in known or (target == "" and shape in ("", "block")):
        return ""
    if not known:
        return f"{kind} takes no target; got '{target}'"
    near = difflib.get_close_matches(target, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"
    return f"{kind} {target}: {hint}" if target else f"{kind} needs one of {', '.join(known)}"


GRAMMAR = "KIND [TARGET] [to FACTOR] [by DELAY] [of BYTES] [under RATE] [silently] [manually] at TIME [for TIME]"
ADVERBS = {"silently": "silent", "manually": "manual"}
PREPOSITIONS = {"at": "at", "for": "duration", "to": "factor", "by": "delay", "of": "bytes", "under": "throttle"}


def parse_fault(text: str) -> dict[str, Any]:
    """The fields of a fault written as a sentence. Raises ValueError with the nearest right one.

    >>> parse_fault("broker-lost 1 at 5 min for 2 min")
    {'kind': 'broker-lost', 'target': '1', 'at': 300.0, 'duration': 120.0}
    >>> parse_fault("burst x3 at 10 s for 1 min")["factor"]
    3.0
    """
    words = text.split()
    if not words:
        raise ValueError(f"an empty fault; expected {GRAMMAR}")
    out: dict[str, Any] = {"kind": _kind(words[0])}
    said = {word.lower() for word in words[1:]}
    out |= {name: True for word, name in ADVERBS.items() if word in said}
    rest = [word for word in words[1:] if word.lower() not in ADVERBS]
    parts = re.split(rf"(?:^|\s)({'|'.join(PREPOSITIONS)})\s", " ".join(rest))
    target, pairs = parts[0].strip(), list(zip(parts[1::2], parts[2::2], strict=True))
    if (times := re.fullmatch(r"(.*?)\s*[x×](\d+(?:\.\d+)?)", target)) is not None:
        target, out["factor"] = times[1], float(times[2])
    if target:
        out["target"] = target
    for word, value in pairs:
        name = PREPOSITIONS[word]
        if name in out:
            raise ValueError(f"'{text}': '{word}' is said twice")
        out[name] = _quantity(name, value, text)
    if "at" not in out:
        raise ValueError(f"'{text}' says no time; expected {GRAMMAR}, such as '{out['kind']} at 5 min for 2 min'")
    return out


def _kind(word: str) -> str:
    kinds = get_args(Kind)
    name = word.lower().replace("_", "-")
    if name not in kinds:
        near = difflib.get_close_matches(name, kinds, n=1, cutoff=0.4)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(kinds)}"
        raise ValueError(f"no fault '{word}'; {hint}")
    return name


def _quantity(name: str, value: str, text: str) -> float:
    parsers = {"factor": parse_fraction, "bytes": parse_bytes, "throttle": parse_bytes_per_second}
    try:
        return parsers.get(name, parse_seconds)(value)
    except ValueError as error:
        raise ValueError(f"'{text}': {name} = '{value.strip()}'; {error}") from None
