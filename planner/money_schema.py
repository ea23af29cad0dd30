"""JSON Schema of the forecast's `bill`, part of `planner.forecast_schema`."""

from __future__ import annotations

from typing import Any, get_args

from planner.money_tell import COLUMNS, NUMBERS
from pricing.bill import Kind, Scaling, System
from pricing.rows import GRADES

Schema = dict[str, Any]
USD: Schema = {"type": "number", "x-unit": "USD"}
TEXT: Schema = {"type": "string"}
WORDS = {"system": list(get_args(System)), "kind": list(get_args(Kind)), "scaling": list(get_args(Scaling)),
         "grade": list(GRADES)}  # fmt: skip
UNITS = ("usd_per_million_events", "usd_per_gib", "metered_usd_per_million_events", "metered_usd_per_gib",
         "marginal_usd_per_million_events", "marginal_usd_per_gib")  # fmt: skip


def bill_schema() -> Schema:
    """The schema (JSON Schema 2020-12)."""
    sums: Schema = {"type": "object", "additionalProperties": USD}
    texts: Schema = {"type": "array", "items": TEXT}
    top: Schema = dict.fromkeys(("monthly_usd", "aws_usd", "other_usd", "p10", "p50", "p90"), USD)
    top |= {"month": _object({"label": TEXT, "hours": {"type": "number", "x-unit": "h"}}, "the month billed")}
    top |= {"price_book": _object({"digest": TEXT, "folder": TEXT, "as_of": texts}, "which prices, oldest and newest")}
    top |= {"region": TEXT, "complete": {"type": "boolean", "description": "false: a price is missing, the sum is low"}}
    top |= {"unit": {"anyOf": [_object(dict.fromkeys(UNITS, USD), "what a unit of work costs"), {"type": "null"}]}}
    top |= {"lines": {"type": "array", "items": _line()}, "gaps": {"type": "array", "items": _gap()}}
    top |= {"by_system": sums, "by_kind": sums, "by_grade": sums, "dominant": texts, "notes": texts}
    top |= {"commitments": {"type": "array", "items": _held()}}
    top |= {"currency": _object({"code": TEXT, "per_usd": {"type": "number"}, "monthly": {"type": "number"}}, "given")}
    return _object(top, "the month's bill once retention is full; P10 to P90 by joint draws")


def _object(properties: Schema, description: str) -> Schema:
    return {"type": "object", "description": description, "properties": properties, "required": list(properties),
            "additionalProperties": False}  # fmt: skip


def _line() -> Schema:
    shape: Schema = {name: {"enum": WORDS[name]} if name in WORDS else TEXT for name in COLUMNS}
    shape |= {name: {"type": "number"} for name in NUMBERS}
    return _object(shape | {"tags": {"type": "object", "additionalProperties": TEXT}}, "one line, as AWS names it")


def _gap() -> Schema:
    texts = dict.fromkeys(("system", "kind", "name", "item", "region", "driver", "reason"), TEXT)
    return _object(texts | {"quantity": {"type": "number"}}, "a line without a price")


def _held() -> Schema:
    shape: Schema = dict.fromkeys(("kind", "machine", "payment", "covers"), TEXT)
    shape |= dict.fromkeys(("hourly_commitment_usd", "upfront_usd", "saved_usd", "stranded_usd"), USD)
    shape |= {name: {"type": "number"} for name in ("count", "years", "saving", "utilisation")}
    shape |= {name: {"type": ["integer", "null"]} for name in ("owned_months", "break_even_month")}
    shape |= {name: {"type": "array", "items": USD} for name in ("cash_usd", "amortised_usd")}
    return _object(shape | {"applied": {"type": "boolean"}}, "a commitment over the rest of its term")
