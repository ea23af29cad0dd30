"""AWS's exports as charges: FOCUS 1.0 and 1.2 with AWS columns, and CUR 2.0, as CSV or Parquet, gzipped or not.

Which of them a file is, its columns say. Several files (the parts of one export) or a folder of them are one export.
Rows are read as a stream. CUR's amortised cost follows AWS's own recipe: usage under a reservation or plan counts its
effective cost, recurring fees only what was not used of them, upfront fees and the plan's negations nothing.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from planner.export_actuals import Actuals, Basis, Charge, ChargeKind, Scope, decimal, gathered, tags_from
from planner.refusal import ScenarioError
from pricing.bill import NOTHING

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".snappy.parquet", ".gz.parquet")
Row = Mapping[str, Any]
Reader = Callable[[Row], Charge]

FOCUS_NEEDED = ("BilledCost", "EffectiveCost", "ChargeCategory", "BillingCurrency", "BillingPeriodStart", "x_UsageType",
                "x_ServiceCode")  # fmt: skip
FOCUS_KINDS: dict[str, ChargeKind] = {
    "Usage": "usage", "Purchase": "commitment", "Tax": "tax", "Credit": "credit", "Adjustment": "refund",
}  # fmt: skip
CUR_NEEDED = ("line_item_line_item_type", "line_item_usage_type", "line_item_product_code", "line_item_unblended_cost",
              "line_item_usage_amount", "bill_billing_period_start_date")  # fmt: skip
# Kinds of CUR's line items. Discounts and a plan's negations take from the usage type they name, so they are usage.
CUR_KINDS: dict[str, ChargeKind] = {
    "Usage": "usage", "DiscountedUsage": "usage", "SavingsPlanCoveredUsage": "usage", "SavingsPlanNegation": "usage",
    "BundledDiscount": "usage", "EdpDiscount": "usage", "PrivateRateDiscount": "usage", "RiVolumeDiscount": "usage",
    "DistributorDiscount": "usage", "RIFee": "commitment", "Fee": "commitment", "SavingsPlanRecurringFee": "commitment",
    "SavingsPlanUpfrontFee": "commitment", "Tax": "tax", "Credit": "credit", "Refund": "refund",
}  # fmt: skip
COUNTED = ("Usage", "DiscountedUsage", "SavingsPlanCoveredUsage")  # whose amounts are usage and not money again


def read_actuals(paths: Iterable[Path], basis: Basis, scope: Scope, month: str = "") -> Actuals:
    """The charges in AWS's export files. Raises ScenarioError for a file that is none of them."""
    files = list(_files(paths))
    charges, notes = [], set[str]()
    for path in files:
        charges.append(_charges(path, basis, notes))
    name = ", ".join(path.name for path in files[:3]) + (f" and {len(files) - 3} more" if len(files) > 3 else "")
    return gathered((c for part in charges for c in part), name, basis, scope, month, notes)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.rglob("*") if p.name.endswith(SUFFIXES))
            if not found:
                raise ScenarioError(f"{path}: no {', '.join(SUFFIXES[:3])} in it")
            yield from found
        elif not path.exists():
            raise ScenarioError(f"{path}: no such file")
        elif not path.name.endswith(SUFFIXES):
            raise ScenarioError(f"{path}: expected an export of AWS as {', '.join(SUFFIXES[:3])}")
        else:
            yield path


def _charges(path: Path, basis: Basis, notes: set[str]) -> Iterator[Charge]:
    with _opened(path) as (columns, rows):
        made = reader_of(columns, path.name, basis, notes)
        for number, row in enumerate(rows, start=2):
            try:
                yield made(row)
            except ScenarioError as error:
                raise ScenarioError(f"{path.name}: row {number}: {error}") from None


def reader_of(columns: Iterable[str], name: str, basis: Basis, notes: set[str]) -> Reader:
    """What turns a row of these columns into a charge."""
    known = set(columns)
    if "line_item_usage_type" in known:
        return _needs(known, CUR_NEEDED, name, "CUR 2.0", lambda row: _of_cur(row, basis, known))
    if "BilledCost" in known:
        if not basis.startswith("net"):
            notes.add(f"FOCUS exports of AWS hold net costs only: '{basis}' is read as net, discounts taken off")
        return _needs(known, FOCUS_NEEDED, name, "FOCUS with AWS columns", lambda row: _of_focus(row, basis))
    if "lineItem/UsageType" in known or "identity/LineItemId" in known:
        raise ScenarioError(f"{name}: a legacy Cost and Usage Report; expected CUR 2.0 or FOCUS from AWS Data Exports")
    raise ScenarioError(f"{name}: neither FOCUS (BilledCost, ...) nor CUR 2.0 (line_item_usage_type, ...)")


def _needs(known: set[str], needed: Iterable[str], name: str, what: str, made: Reader) -> Reader:
    lacking = [column for column in needed if column not in known]
    if lacking:
        raise ScenarioError(f"{name}: {what} without the columns {', '.join(lacking)}; export them too")
    return made


@contextmanager
def _opened(path: Path) -> Iterator[tuple[list[str], Iterator[Row]]]:
    """An export's columns and rows while it is open; what cannot be read is one message."""
    try:
        if path.name.endswith(".parquet"):
            yield from _parquet(path)
        else:
            with path.open("rb") as file:
                plain = gzip.GzipFile(fileobj=file) if path.name.endswith(".gz") else file
                text = io.TextIOWrapper(plain, encoding="utf-8-sig", newline="")
                reader = csv.DictReader(text)
                yield list(reader.fieldnames or []), reader
    except (gzip.BadGzipFile, UnicodeDecodeError, EOFError, csv.Error) as error:
        raise ScenarioError(f"{path.name}: cannot be read as {path.suffix}: {error}") from None


def _parquet(path: Path) -> Iterator[tuple[list[str], Iterator[Row]]]:
    try:
        import pyarrow
        import pyarrow.parquet as pq
    except ImportError:
        hint = "pip install 'floodmark[parquet]', or export CSV"
        raise ScenarioError(f"{path.name}: Parquet needs pyarrow; {hint}") from None
    try:
        with pq.ParquetFile(path) as file:
            rows = (row for batch in file.iter_batches(batch_size=10_000) for row in batch.to_pylist())
            yield list(file.schema_arrow.names), rows
    except pyarrow.ArrowInvalid as error:
        raise ScenarioError(f"{path.name}: not Parquet: {error}") from None


def _text(row: Row, *names: str) -> str:
    """The first of the columns that says something."""
    for name in names:
        value = row.get(name)
        if value not in (None, ""):
            return str(value)
    return ""


def _month(value: Any, column: str) -> str:
    """A billing period as a month: text or a timestamp.

    >>> _month("2026-10-01T00:00:00Z", "x")
    '2026-10'
    """
    text = str(value)[:7] if value else ""
    if len(text) != 7 or text[4] != "-" or not (text[:4] + text[5:]).isdigit():
        raise ScenarioError(f"{column} = {value!r}; expected a date such as 2026-10-01T00:00:00Z")
    return text


def _in_usd(row: Row, column: str) -> None:
    code = _text(row, column)
    if code not in ("", "USD"):
        raise ScenarioError(f"{column} = {code}; expected USD, which prices and forecast are in")


def _of_focus(row: Row, basis: Basis) -> Charge:
    """FOCUS: a correction of an earlier month stands apart, as a refund does."""
    _in_usd(row, "BillingCurrency")
    category = _text(row, "ChargeCategory")
    kind = FOCUS_KINDS.get(category)
    if kind is None:
        raise ScenarioError(f"ChargeCategory = '{category}'; expected one of {', '.join(FOCUS_KINDS)}")
    if _text(row, "ChargeClass") == "Correction" and kind in ("usage", "commitment"):
        kind = "refund"
    column = "EffectiveCost" if basis.endswith("amortised") else "BilledCost"
    quantity, unit = _text(row, "PricingQuantity"), _text(row, "PricingUnit")
    if not quantity:
        quantity, unit = _text(row, "ConsumedQuantity"), _text(row, "ConsumedUnit")
    return Charge(
        kind,
        _text(row, "x_ServiceCode"),
        _text(row, "x_UsageType"),
        _text(row, "x_Operation"),
        _text(row, "RegionId"),
        _text(row, "SubAccountId", "BillingAccountId"),
        decimal(quantity, "PricingQuantity") if quantity else None,
        unit,
        decimal(row.get(column), column),
        _month(row.get("BillingPeriodStart"), "BillingPeriodStart"),
        str(row.get("ChargePeriodEnd") or "") if kind == "usage" else "",
        tags_from(row.get("Tags")),
    )


def _of_cur(row: Row, basis: Basis, known: set[str]) -> Charge:
    _in_usd(row, "line_item_currency_code")
    what = _text(row, "line_item_line_item_type")
    kind = CUR_KINDS.get(what)
    if kind is None:
        raise ScenarioError(f"line_item_line_item_type = '{what}'; expected one of {', '.join(CUR_KINDS)}")
    quantity = decimal(row.get("line_item_usage_amount"), "line_item_usage_amount") if what in COUNTED else None
    return Charge(
        kind, _text(row, "line_item_product_code", "product_servicecode"), _text(row, "line_item_usage_type"),
        _text(row, "line_item_operation"), _text(row, "product_region_code", "product_region"),
        _text(row, "line_item_usage_account_id"), quantity, _text(row, "pricing_unit"), _cost(row, what, basis, known),
        _month(row.get("bill_billing_period_start_date"), "bill_billing_period_start_date"),
        str(row.get("line_item_usage_end_date") or "") if what in COUNTED else "",
        tags_from(row.get("resource_tags")),
    )  # fmt: skip


def _cost(row: Row, what: str, basis: Basis, known: set[str]) -> Decimal:
    """A line item's cost on a basis. Net columns exist only where an account has discounts."""
    net = basis.startswith("net")

    def of(*names: str) -> Decimal:
        for name in names:
            if name in known and row.get(name) not in (None, ""):
                return decimal(row[name], name)
        return NOTHING

    plain = ("line_item_net_unblended_cost", "line_item_unblended_cost") if net else ("line_item_unblended_cost",)
    if basis.endswith("unblended"):
        return of(*plain)
    pre = "net_" if net else ""
    if what == "DiscountedUsage":
        return of(f"reservation_{pre}effective_cost", "reservation_effective_cost")
    if what == "SavingsPlanCoveredUsage":
        return of(f"savings_plan_{pre}savings_plan_effective_cost", "savings_plan_savings_plan_effective_cost")
    if what == "RIFee":
        fee = "unused_amortized_upfront_fee_for_billing_period"
        return (of(f"reservation_{pre}{fee}", f"reservation_{fee}")
                + of(f"reservation_{pre}unused_recurring_fee", "reservation_unused_recurring_fee"))  # fmt: skip
    if what == "SavingsPlanRecurringFee":
        return of("savings_plan_total_commitment_to_date") - of("savings_plan_used_commitment")
    upfront = what == "Fee" and bool(_text(row, "reservation_reservation_a_r_n", "reservation_reservation_arn"))
    if what in ("SavingsPlanNegation", "SavingsPlanUpfrontFee") or upfront:
        return NOTHING
    return of(*plain)
