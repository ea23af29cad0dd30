"""Against actuals: each difference between a forecast bill and what AWS charged, by usage type.

Forecast lines and charges meet on AWS's billing identity (service, region, usage type), never on names. A variance is
split into *quantity* (more or less used, at the forecast price), *rate* (another price for what was used), *new or
removed* (only one side has it, and the price book knows what it is) and *unexplained* (a usage type that no price row
knows, a line whose usage type was never read, units that cannot be compared). Nothing is spread over other lines: the
parts of all rows are the whole difference to the cent.

The forecast is billed for the month of the charges, with its own hours. On an amortised basis a commitment's hours are
charged under the machine's own usage type, so the forecast's commitment lines are put there too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from planner.export_actuals import Actuals, Charge
from pricing.bill import CENT, NOTHING, Bill, Line, cents
from pricing.build_compute import PREFIXES
from pricing.price_book import MissingPrice, PriceBook

State = Literal["matched", "new", "removed", "unexplained"]
REGIONS = {prefix: region for region, prefix in PREFIXES.items() if prefix} | {"USE1": "us-east-1"}

# Units as price lists, CUR, FOCUS and this book write them; EBS throughput in GiB/s is remembered.
# Units meet under one usage type only, so that words of one meaning there (a metric asked for, a metric kept) are one.
COMMON: dict[str, tuple[str, ...]] = {
    "hour": ("hour", "hr", "broker-hour", "cluster-hour", "effective hour", "address-hour", "endpoint-az-hour",
             "partition-hour", "auth-scheme-hour", "attachment-hour", "cluster-hour surcharge", "shard-hour",
             "shardhour", "consumer-shard-hour", "consumershardhour"),
    "LCU-hour": ("lcu-hour", "nlcu-hour", "lcu-hr", "nlcu-hr"),
    "vCPU-hour": ("vcpu-hour", "vcpu-hr", "vcpu-hour uplift"),
    "GB-hour": ("gb-hour", "gb-hr", "gb-hour uplift"), "OCU-hour": ("ocu-hour", "ocu-hr"),
    "DPU-hour": ("dpu-hour", "dpu-hr"), "GB-second": ("gb-second", "lambda-gb-second", "second"),
    "put unit": ("25 kb unit", "putrequest"), "sample": ("sample", "sample processed"),
    "GB": ("gb", "gigabyte", "gb written", "gb retrieved", "gb scanned"), "GB-month": ("gb-month", "gb-mo"),
    "IOPS-month": ("iops-month", "iops-mo"), "MB/s-month": ("mb/s-month", "mibps-mo"), "request": ("request",),
    "metric": ("metric", "metric-month", "metric requested"), "alarm": ("alarm", "alarm-metric-month"),
    "user-month": ("user-month", "user"), "USD": ("usd of charges", "dollar", "month"),
}  # fmt: skip
UNITS = {text: (unit, 1) for unit, texts in COMMON.items() for text in texts} | {
    "gibps-mo": ("MB/s-month", 1024), "million requests": ("request", 1_000_000),
}  # fmt: skip
TRANSFER = ("datatransfer-", "aws-out-bytes", "aws-in-bytes")


class Key(NamedTuple):
    """What forecast and charges are joined on."""

    family: str
    region: str
    usage_type: str


@dataclass(frozen=True)
class Row:
    """One usage type on both sides, and the parts of its variance [USD to the cent]."""

    key: Key
    names: tuple[str, ...]
    state: State
    forecast_quantity: Decimal | None
    forecast_usd: Decimal
    actual_quantity: Decimal | None
    actual_usd: Decimal
    unit: str
    quantity_usd: Decimal
    rate_usd: Decimal
    new_usd: Decimal
    unexplained_usd: Decimal
    told: str

    @property
    def variance_usd(self) -> Decimal:
        return self.actual_usd - self.forecast_usd

    def as_dict(self) -> dict[str, Any]:
        numbers = (
            "forecast_usd",
            "actual_usd",
            "variance_usd",
            "quantity_usd",
            "rate_usd",
            "new_usd",
            "unexplained_usd",
        )
        quantities = {n: None if getattr(self, n) is None else str(getattr(self, n))
                      for n in ("forecast_quantity", "actual_quantity")}  # fmt: skip
        return {"service": self.key.family, "region": self.key.region, "usage_type": self.key.usage_type,
                "lines": list(self.names), "state": self.state, "unit": self.unit, "told": self.told, **quantities,
                **{name: str(getattr(self, name)) for name in numbers}}  # fmt: skip


@dataclass(frozen=True)
class Variance:
    """All rows, dearest variance first, and what stands apart from the comparison."""

    actuals: Actuals
    forecast: Bill
    rows: tuple[Row, ...]

    @property
    def forecast_usd(self) -> Decimal:
        return sum((r.forecast_usd for r in self.rows), NOTHING)

    @property
    def actual_usd(self) -> Decimal:
        return sum((r.actual_usd for r in self.rows), NOTHING)

    def part(self, name: str) -> Decimal:
        """Sum of one part (`quantity_usd`, `rate_usd`, `new_usd`, `unexplained_usd`) over all rows."""
        return sum((getattr(r, name) for r in self.rows), NOTHING)

    @property
    def invoiced_usd(self) -> Decimal:
        """All charges in the scope, tax, credits and refunds included."""
        return self.actual_usd + sum((cents(usd) for usd in self.actuals.apart().values()), NOTHING)

    def as_dict(self) -> dict[str, Any]:
        a = self.actuals
        parts = {n: str(self.part(n)) for n in ("quantity_usd", "rate_usd", "new_usd", "unexplained_usd")}
        return {
            "source": a.source, "month": a.month, "basis": a.basis, "scope": a.scope.told, "notes": list(a.notes),
            "forecast_usd": str(self.forecast_usd), "actual_usd": str(self.actual_usd),
            "variance_usd": str(self.actual_usd - self.forecast_usd), "parts": parts,
            "apart": {kind: str(cents(usd)) for kind, usd in a.apart().items()},
            "invoiced_usd": str(self.invoiced_usd), "outside_scope_usd": str(cents(a.outside_usd)),
            "rows": [row.as_dict() for row in self.rows],
        }  # fmt: skip


def variance(forecast: Bill, actuals: Actuals, book: PriceBook, region: str) -> Variance:
    """The forecast's AWS lines against the charges; people and third parties are on nobody's AWS invoice."""
    amortised = actuals.basis.endswith("amortised")
    lines: dict[Key, list[Line]] = {}
    for line in forecast.lines:
        if line.is_aws:
            lines.setdefault(key_of_line(line, book, amortised), []).append(line)
    charges: dict[Key, list[Charge]] = {}
    for charge in actuals.comparable:
        charges.setdefault(key_of(charge.service, charge.usage_type, charge.region or region), []).append(charge)
    known = known_keys(book, {k.region for k in charges} | {region})
    rows = [_row(key, lines.get(key, []), charges.get(key, []), known) for key in dict.fromkeys((*lines, *charges))]
    total = cents(sum((c.usd for c in actuals.comparable), NOTHING))
    if odd := total - sum((r.actual_usd for r in rows), NOTHING):
        rows.append(_rounding(odd, len(charges)))
    return Variance(actuals, forecast, tuple(sorted(rows, key=lambda r: (-abs(r.variance_usd), r.key))))


def key_of(service: str, usage_type: str, region: str) -> Key:
    """A billing identity to join on: the usage type without its region's prefix, transfer apart from its service.

    Invoices put transfer under the service that caused it, price lists under AWSDataTransfer.

    >>> key_of("AmazonEC2", "EU-BoxUsage:m7g.large", "eu-west-1")
    Key(family='AmazonEC2', region='eu-west-1', usage_type='boxusage:m7g.large')
    >>> key_of("AmazonMSK", "USE1-DataTransfer-Regional-Bytes", "us-east-1").family
    'transfer'
    """
    prefix, _, rest = usage_type.partition("-")
    if prefix in REGIONS and rest:
        region, usage_type = REGIONS[prefix], rest
    bare = usage_type.lower()
    family = "transfer" if bare.startswith(TRANSFER[:1]) or bare.endswith(TRANSFER[1:]) else service
    return Key(family, region, bare)


def key_of_line(line: Line, book: PriceBook, amortised: bool) -> Key:
    price = line.price
    if not price.usage_type and not (amortised and line.driver == "commitment"):
        return Key(price.service_code or "unknown service", price.region, "")
    if amortised and line.driver == "commitment":
        kind, _, machine = price.item.rpartition("/")
        listed = f"{'opensearch/node' if kind.startswith('opensearch') else 'ec2/on-demand'}/{machine}"
        try:
            price = book.price(listed, price.region)
        except MissingPrice:
            return Key(price.service_code or "unknown service", price.region, price.usage_type.lower())
    return key_of(price.service_code, price.usage_type, price.region)


def known_keys(book: PriceBook, regions: Iterable[str]) -> Mapping[Key, str]:
    """Every usage type that the book has a price of, with the item it is."""
    from pricing.price_book import TABLES

    wanted = {*regions, "any"}
    found: dict[Key, str] = {}
    for table in sorted({*TABLES.values(), "services"}):
        for (item, region), rows in book.table(table).items():
            if region in wanted and rows[0].usage_type:
                for where in [region] if region != "any" else sorted(wanted - {"any"}):
                    found.setdefault(key_of(rows[0].service_code, rows[0].usage_type, where), item)
    return found


def unit_of(text: str) -> tuple[str, int] | None:
    """A unit in common words and how many of it one is; None for one that is not known.

    >>> unit_of("Hrs"), unit_of("GB-Mo"), unit_of("GB-Months"), unit_of("Requests"), unit_of("furlongs")
    (('hour', 1), ('GB-month', 1), ('GB-month', 1), ('request', 1), None)
    """
    plain = text.partition(" (")[0].partition(";")[0].strip().lower()
    return UNITS.get(plain) or UNITS.get(plain.removesuffix("s"))


def _row(key: Key, lines: list[Line], charges: list[Charge], known: Mapping[Key, str]) -> Row:
    names = tuple(dict.fromkeys(x.name for x in lines))
    forecast = sum((x.monthly_usd for x in lines), NOTHING)
    actual = cents(sum((c.usd for c in charges), NOTHING))
    q0, unit0 = _quantity_of_lines(lines)
    q1, unit1 = _quantity_of_charges(charges)
    unit = unit0 or unit1

    def row(
        state: State, told: str, quantity: Decimal = NOTHING, rate: Decimal = NOTHING, new: Decimal = NOTHING
    ) -> Row:
        left = actual - forecast - quantity - rate - new
        return Row(key, names, state, q0, forecast, q1, actual, unit, quantity, rate, new, left, told)

    if not key.usage_type:
        return row("unexplained", "forecast under a usage type that was never read: it cannot be joined")
    if lines and not charges:
        return row("removed", "forecast and not charged", new=actual - forecast)
    if charges and not lines:
        if key in known:
            return row("new", f"charged and not forecast; the price book knows it as {known[key]}", new=actual)
        return row("unexplained", "no line has this usage type, and the price book does not know it")
    if q0 is None or q1 is None or not q0 or unit0 != unit1:
        why = f"forecast in {unit0 or 'no one unit'}, charged in {unit1 or 'no one unit'}"
        return row("unexplained", f"quantities cannot be compared: {why}")
    price = sum((x.exact_usd for x in lines), NOTHING) / q0
    moved = cents((q1 - q0) * price)
    rate = actual - forecast - moved
    told = "a cent of rounding" if rate and abs(rate) <= CENT else ""
    return row("matched", told, quantity=moved, rate=rate)


def _quantity_of_lines(lines: list[Line]) -> tuple[Decimal | None, str]:
    return _together([(x.quantity, x.price.unit) for x in lines])


def _quantity_of_charges(charges: list[Charge]) -> tuple[Decimal | None, str]:
    """Of charges that count something; fees and negations of the same usage type count nothing."""
    return _together([(c.quantity, c.unit) for c in charges if c.quantity is not None])


def _together(parts: list[tuple[Decimal, str]]) -> tuple[Decimal | None, str]:
    """A sum in one common unit; nothing where a unit is not known or they differ."""
    total, common = NOTHING, ""
    for quantity, text in parts:
        found = unit_of(text)
        if found is None or (common and found[0] != common):
            return None, "" if found is None else f"{common} and {found[0]}"
        common = found[0]
        total += quantity * found[1]
    return (total, common) if parts else (None, "")


def _rounding(odd: Decimal, count: int) -> Row:
    key = Key("rounding", "", "")
    told = f"cents: {count} usage types rounded one by one against their sum"
    return Row(key, (), "unexplained", None, NOTHING, None, odd, "", NOTHING, NOTHING, NOTHING, odd, told)
