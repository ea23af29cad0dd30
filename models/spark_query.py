"""A streaming query: its trigger, its state, and the sink that it writes to."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator

from models.noun import Noun
from models.units import MB, MIB, Bytes, Count, Fraction, Ratio, Seconds, Whole, field, parse_seconds

AS_FAST_AS_POSSIBLE = 0.0
AVAILABLE_NOW = -1.0


def _trigger(value: Any) -> float:
    words = {"as fast as possible": AS_FAST_AS_POSSIBLE, "asap": AS_FAST_AS_POSSIBLE, "available now": AVAILABLE_NOW}
    if isinstance(value, str) and value.strip().lower().replace("-", " ") in words:
        return words[value.strip().lower().replace("-", " ")]
    if isinstance(value, int | float) and value in (AS_FAST_AS_POSSIBLE, AVAILABLE_NOW):
        return float(value)
    seconds = parse_seconds(value)
    if not 0.001 <= seconds <= 86400:
        raise ValueError("expected 1 ms to 1 day, 'as fast as possible' or 'available now'")
    return seconds


Trigger = Annotated[float, BeforeValidator(_trigger)]
NEVER = -1.0  # a watermark that never lets a key go


def _watermark(value: Any) -> float:
    if isinstance(value, str) and value.strip().lower() == "never":
        return NEVER
    if isinstance(value, int | float) and value == NEVER:
        return NEVER
    seconds = parse_seconds(value)
    if not 0 < seconds <= 366 * 86400:
        raise ValueError("expected more than 0 to 366 days, or 'never'")
    return seconds


Watermark = Annotated[float, BeforeValidator(_watermark)]


def _connector(value: Any) -> str:
    if isinstance(value, str) and re.fullmatch(r"(elasticsearch|opensearch)-hadoop \d+\.\d+", value.strip()):
        return value.strip()
    raise ValueError("expected a connector and its version: 'elasticsearch-hadoop 8.17' or 'opensearch-hadoop 2.0'")


Connector = Annotated[str, BeforeValidator(_connector)]


class Retry(Noun):
    """What a bulk client does with items answered 429 or 503."""

    attempts: Whole = field(
        3,
        unit="count",
        meaning="times the rejected items are sent again",
        foreign="es.batch.write.retry.count",
        ge=0,
        le=1000,
        source="spark.md A6",
    )
    wait: Seconds = field(
        10.0,
        unit="s",
        meaning="sleep before sending them again",
        foreign="es.batch.write.retry.wait",
        ge=0,
        le=3600,
        source="spark.md A6",
    )
    multiplier: Ratio = field(1.0, unit="1", meaning="growth of that sleep from try to try; 1 is fixed", ge=1, le=10)
    longest: Seconds = field(
        600.0,
        unit="s",
        meaning="where that growth ends",
        foreign="max_backoff",
        gt=0,
        le=3600,
        source="elasticsearch-py helpers.streaming_bulk: 600 s (remembered)",
    )


class Sink(Noun):
    """How documents reach the index. There is no default kind: its cost differs tenfold between them."""

    not_modelled: ClassVar[dict[str, str]] = {
        "es.nodes.wan.only": "bulks go to data nodes in turn; pinning to a primary's node is not modelled",
    }

    kind: Literal["jvm-connector", "jvm-foreach", "python-foreach", "noop"] = field(
        unit="", meaning="es-hadoop or opensearch-hadoop; a JVM or Python foreachBatch; or nothing written"
    )
    bulk_entries: Whole = field(
        1000,
        unit="count",
        meaning="documents of a bulk",
        foreign="es.batch.size.entries",
        ge=1,
        le=100_000,
        source="spark.md A6",
    )
    bulk_bytes: Bytes = field(
        1 * MB,
        unit="bytes",
        meaning="bytes of a bulk; whichever is reached first sends it",
        foreign="es.batch.size.bytes",
        gt=0,
        le=100 * MIB,
        source="spark.md A6",
    )
    writers_per_task: Whole = field(1, unit="count", meaning="bulks that one task keeps in flight", ge=1, le=64)
    retry: Retry = field(Retry(), unit="", meaning="what happens to rejected items")
    refresh_per_write: bool = field(
        False,
        unit="",
        meaning="the index is refreshed whenever a task closes",
        foreign="es.batch.write.refresh",
        by_version={"es-hadoop": "true", "opensearch-hadoop": "true"},
        source="spark.md A6",
    )
    ids: Literal["automatic", "explicit"] = field(
        "automatic",
        unit="",
        meaning="who gives a document its _id; explicit ones make a repeated write harmless",
        foreign="es.mapping.id",
    )
    cpu_ratio: Ratio = field(1.0, unit="1", meaning="this sink's CPU over the coefficient set's", gt=0, le=1000)
    connector: Connector | None = field(
        None,
        unit="",
        meaning="the connector and its version, such as 'elasticsearch-hadoop 8.17' or 'opensearch-hadoop 2.0'; "
        "none: not checked",
        source="spark.md B6",
    )


class State(Noun):
    """A stateful operator: a windowed aggregate, a deduplication."""

    shuffle_partitions: Whole = field(
        200,
        unit="count",
        meaning="partitions of the shuffle and of the state store",
        foreign="spark.sql.shuffle.partitions",
        ge=1,
        le=20_000,
        by_version={"3.5": "200", "4.1": "200"},
        source="spark.md B2; frozen into the checkpoint",
    )
    provider: Literal["hdfs-backed", "rocksdb", "rocksdb-changelog"] = field(
        "hdfs-backed",
        unit="",
        meaning="state store",
        foreign="spark.sql.streaming.stateStore.providerClass",
        by_version={"3.5": "hdfs-backed", "4.1": "hdfs-backed"},
        source="spark.md A4",
    )
    keys: Count = field(
        100_000.0,
        unit="count",
        meaning="live keys at the start; with a watermark_delay they follow from it",
        ge=0,
        le=1e12,
    )
    watermark_delay: Watermark | None = field(
        None,
        unit="s",
        meaning="how long a key is kept after its event: keys then follow the rate; 'never' keeps every key; "
        "none: keys stay as stated",
        foreign="withWatermark",
        ge=NEVER,
        source="spark.md A4: state rows = active keys × (window + delay)",
    )
    new_keys: Fraction = field(
        1.0, unit="1", meaning="share of the events that open a key of their own, with a watermark_delay", gt=0, le=1
    )
    bytes_per_key: Bytes = field(
        213.0, unit="bytes", meaning="state of one key", gt=0, source="spark.md A4: (long, long), two versions"
    )


class Query(Noun):
    """One streaming query from a topic to an index."""

    not_modelled: ClassVar[dict[str, str]] = {
        "continuous": "continuous processing is experimental in Spark and reports no progress (spark.md B3)",
        "real_time": "real-time mode cannot use foreachBatch, so no connector (spark.md B3)",
        "minOffsetsPerTrigger": "waiting for a minimum of offsets is not modelled",
    }

    trigger: Trigger = field(
        unit="s", meaning="processing-time trigger, 'as fast as possible' or 'available now'", foreign="processingTime"
    )
    max_offsets_per_trigger: Whole | None = field(
        None,
        unit="count",
        meaning="most records of one batch; none: the whole backlog",
        foreign="maxOffsetsPerTrigger",
        ge=1,
        source="spark.md B4",
    )
    min_partitions: Whole | None = field(
        None,
        unit="count",
        meaning="least number of read tasks; large partitions are split",
        foreign="minPartitions",
        ge=1,
        le=20_000,
        source="spark.md B4",
    )
    transform_cpu_ratio: Ratio = field(
        1.0, unit="1", meaning="CPU of reading, parsing and your logic over that of parsing alone", gt=0, le=1000
    )
    state: State | None = field(None, unit="", meaning="a stateful operator, if there is one")
    checkpoint: Literal["local", "hdfs", "s3", "s3-express"] = field(
        "s3", unit="", meaning="where offsets, commits and state go", foreign="checkpointLocation"
    )
    file_manager: Literal["rename", "abortable"] = field(
        "rename",
        unit="",
        meaning="how a checkpoint file is made atomic",
        foreign="spark.sql.streaming.checkpointFileManagerClass",
        source="spark.md A5: on S3 a rename is PUT + COPY + DELETE",
    )
    fail_on_data_loss: bool = field(
        True,
        unit="",
        meaning="offsets that the topic no longer has end the query; else they are skipped, and lost",
        foreign="failOnDataLoss",
        source="spark.md B4",
    )
    sink: Sink = field(unit="", meaning="how documents reach the index")
