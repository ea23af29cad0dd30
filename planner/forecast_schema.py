"""JSON Schema of `forecast --json`: what a reader may rely on, with the unit of each number.

`schema_version` rises when a name goes or changes its meaning; names may be added without.
"""

from __future__ import annotations

from typing import Any

from models.coefficients import GRADES
from planner.answers import QUANTILES
from planner.fault_tell import fault_schema
from planner.money_schema import bill_schema

Schema = dict[str, Any]
DOMAINS = ["measured", "extrapolated", "never measured"]


def forecast_schema() -> Schema:
    """The schema (JSON Schema 2020-12)."""
    top = {
        "schema_version": {"const": 1},
        "scenario": _object({}, "the scenario as resolved: every default said, seconds and bytes", more=True),
        "digests": _object(
            {k: _text() for k in ("engine", "engine_version", "coefficients", "scenario", "price_book")}, "who answered"
        ),
        "run": _object(
            {
                "seed": {"type": "integer"},
                "level": {"enum": ["fluid", "exact", "reference"]},
                "repeats": {"type": "integer"},
                "draws": {"type": "integer"},
                "measured_seconds": _number("s"),
            },
            "how it was simulated",
        ),
        "verdict": _object({"holds": {"type": "boolean"}, "targets": _list(_target())}, "answers against the targets"),
        "latency": _object({"flow": _text("the flow with the longest p99")} | _latency(), "end to end, worst flow"),
        "throughput": _throughput(),
        "lag": _object({"flow": _text()} | _lag(), "of that flow"),
        "memory": _list(_ledger()),
        "storage": _object({"kafka": _fill("log_bytes"), "elasticsearch": _fill("index_bytes")}, "at full retention"),
        "stored": _list(_stored()),
        "hosts_memory": _list(_host_memory()),
        "bill": bill_schema(),
        "traffic": _object({"cross_zone_bytes_per_second": _map(_number("bytes/s"))}, "between zones, by sender"),
        "data_loss": _object({"records": _number("records")}, "lost in the first run"),
        "duplicates": _object({"documents": _number("documents")}, "written twice in the first run"),
        "faults": fault_schema(),
        "flows": _map(_flow()),
        "loads": _list(_load()),
        "warnings": _list(_finding()),
        "provenance": _provenance(),
    }
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:floodmark:forecast:1"}
    return head | _object(top, "What a scenario's stack will do.") | {"$defs": {"answer": _answer()}}


def _object(properties: Schema, description: str, more: bool = False) -> Schema:
    shape: Schema = {"type": "object", "description": description, "properties": properties}
    shape["required"] = list(properties)
    return shape if more else shape | {"additionalProperties": False}


def _number(unit: str) -> Schema:
    return {"type": ["number", "null"], "x-unit": unit}


def _text(description: str = "") -> Schema:
    return {"type": "string"} | ({"description": description} if description else {})


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _map(values: Schema) -> Schema:
    return {"type": "object", "additionalProperties": values}


def _ref() -> Schema:
    return {"$ref": "#/$defs/answer"}


def _answer() -> Schema:
    ends: Schema = {"type": ["array", "null"], "items": {"type": ["number", "null"]}, "minItems": 2, "maxItems": 2}
    error = {"value": _number("1"), "ends": _number("1")}
    shape = _object(
        {
            "value": _number("as unit says"),
            "unit": _text(),
            "sampling": ends | {"description": "90 %: another run of this length of this model"},
            "forecast": ends | {"description": "90 %: the real stack; null beside a number: no end was seen"},
            "monte_carlo": {"anyOf": [_object(error, "standard errors, as shares"), {"type": "null"}]},
            "domain": {"enum": DOMAINS},
            "lower_bound": {"type": "boolean"},
        },
        "a value with its intervals; null with unbounded: it has no end",
    )
    shape["properties"] |= {"unbounded": {"const": True}, "note": _text()}
    return shape


def _latency() -> Schema:
    curve = {"seconds": _list({"type": "number"}), "share": _list({"type": "number"})}
    return {
        "end_to_end": _object(
            {f"{name}_seconds": _ref() for name in QUANTILES}, "creation to the search that finds it"
        ),
        "by_hop": _map(_ref()),
        "curve": _object(curve, "share of records found within a time"),
    }


def _lag() -> Schema:
    answers = {name: _ref() for name in ("max_records", "max_seconds", "catch_up_seconds")}
    return answers | {"outage_seconds": _number("s")}


def _flow() -> Schema:
    batches = {
        "seconds": _ref(),
        "occupancy": _number("1") | {"description": "batch time over trigger; null without a trigger"},
        "records": _number("records"),
        "tasks": _number("count"),
        "count": {"type": "integer"},
    }
    return _object(
        {
            "latency": _object(_latency(), "end to end"),
            "lag": _object(_lag(), "records not yet read"),
            "batches": _object(batches, "micro-batches"),
            "counts": _map(_number("records or documents")),
            "outcome": _text("'running', or when and why the query failed"),
        },
        "one flow",
    )


def _load() -> Schema:
    kinds = {"enum": ["host", "permits", "network", "volume"]}
    return _object({"name": _text(), "kind": kinds, "utilisation": _number("1"), "evidence": _text()}, "how busy")


def _throughput() -> Schema:
    return _object(
        {
            "offered_events_per_second": _number("1/s"),
            "peak_events_per_second": _number("1/s"),
            "sustainable_events_per_second": _ref(),
            "headroom": _number("1"),
            "bottleneck": _load(),
            "loads": _list(_load()),
            "evidence": _text(),
        },
        "the highest constant rate whose lag does not grow",
    )


def _fill(name: str) -> Schema:
    sizes = {key: _number("bytes") for key in (name, "fullest_node_bytes", "volume_bytes")}
    marks = {"marks_bytes": _map(_number("bytes")), "days_to": _map(_number("days"))}
    marks |= {"days_to_after_loss": _map(_number("days")) | {"description": "with one data node lost at once"}}
    marks |= {"transient_bytes": _number("bytes") | {"description": "of merges and translogs, at most; in the dates"}}
    marks |= {"moved_shards": _number("count"), "recovery_seconds": _number("s")}
    curve = {"days": _list({"type": "number"}), "fullest_node_bytes": _list({"type": "number"})}
    marks |= {"curve": _object(curve, "the fullest node from an empty start")}
    return _object(sizes | {"fullest_share": _number("1")} | marks, "what it comes to hold")


def _ledger() -> Schema:
    part = {name: _text() for name in ("name", "where", "formula", "source", "grade")} | {"bytes": _number("bytes")}
    sizes = {name: _number("bytes") for name in ("demand_bytes", "limit_bytes", "live_heap_bytes")}
    risk = sizes | {name: _number("1") for name in ("load", "probability", "heap_probability")}
    told: Schema = {"process": _text(), "count": {"type": "integer"}, "setting": _text("as its owner wrote it")}
    names = ("heap", "reserved", "resident", "resident_least", "live_heap", "limit", "host", "page_cache")
    told |= {f"{name}_bytes": _number("bytes") for name in names}
    told |= {"limit": _text("who ends the process"), "holds_until": _number("1")}
    told |= {"entries": _list(_object(part, "a part: where it lies, how it is known"))}
    told |= {"risks": _list(_object(risk, "at a multiple of the load"))}
    return _object(told, "one process of each kind; bytes", more=True)


def _stored() -> Schema:
    texts = {name: _text() for name in ("system", "what", "formula", "source")}
    tier = {"enum": ["disk", "store", "bucket", "local"]}
    sizes = {name: _number("bytes") for name in ("bytes", "one_copy_bytes")}
    return _object(texts | sizes | {"tier": tier, "copies": {"type": "integer"}}, "a part of what is stored")


def _host_memory() -> Schema:
    sizes = {name: _number("bytes") for name in ("resident_bytes", "host_bytes", "left_bytes")}
    return _object(
        {"host": _text(), "count": {"type": "integer"}, "processes": _list(_text())} | sizes, "what one host carries"
    )


def _target() -> Schema:
    either = {"type": ["number", "string", "null"]}
    texts = {name: _text() for name in ("target", "unit", "window", "reason")}
    flags = {"holds": {"type": "boolean"}, "sure": {"type": "boolean", "description": "the whole interval agrees"}}
    return _object(texts | flags | {"promised": either, "forecast": either}, "one promise")


def _finding() -> Schema:
    texts = {name: _text() for name in ("code", "where", "message", "evidence", "remedy", "source")}
    return _object(texts | {"severity": {"enum": ["critical", "warning", "info"]}}, "a warning")


def _provenance() -> Schema:
    row = {name: _number("as unit says") for name in ("value", "low", "high")}
    row |= {name: _text() for name in ("name", "unit", "source", "measured_on", "as_of")}
    head = {name: _text() for name in ("set", "as_of", "machine", "digest", "anchor")}
    head |= {"per_core_speed": _number("1/s"), "anchored": {"type": ["boolean", "null"]}}
    ends = {"type": ["array", "null"], "items": {"type": "number"}}
    ranges = {"quantity": _text(), "scenario": ends, "measured": ends, "domain": {"enum": DOMAINS}}
    return _object(
        {
            "coefficients": _object(head, "the set"),
            "overrides": _map(_number("as the coefficient's")),
            "domain": {"enum": DOMAINS},
            "ranges": _list(_object(ranges, "a quantity against where it was measured")),
            "ledger": _object(
                {grade: _list(_object(row, "a coefficient that was read")) for grade in GRADES}, "by grade"
            ),
        },
        "what the numbers rest on",
    )
