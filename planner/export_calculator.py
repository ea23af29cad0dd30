"""The bill as a workload estimate of AWS's Pricing Calculator: payloads as JSON, and pushed through boto3.

An *entry* is a usage type and an amount a month; AWS prices it at its own rates, so its answer beside ours is a check
from outside. Entries go in batches of 25, the most that the service's model allows. Tiers of one item are one entry,
since AWS knows the tiers. Lines whose usage type was never read, commitments (the calculator models them otherwise),
support, people and third parties cannot be entered: they are left out by name and with their dollars.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from planner.finance import Report
from planner.refusal import ScenarioError
from pricing.bill import NOTHING, Line

BATCH = 25  # BatchCreateWorkloadEstimateUsageEntries' maximum (botocore 1.44.5, bcm-pricing-calculator)
NAME_LENGTH, GROUP_LENGTH, OPERATION_LENGTH = 64, 30, 32
ALLOWED = re.compile(r"[-a-zA-Z0-9.\-_:, /()]*")
MOST_WAITS, WAIT_SECONDS = 30, 2.0


@dataclass(frozen=True)
class Entry:
    """One usage type of the estimate, and what our bill says of it."""

    key: str
    service: str
    usage_type: str
    operation: str
    group: str
    amount: Decimal
    unit: str
    usd: Decimal
    names: tuple[str, ...]

    def payload(self, account: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "serviceCode": self.service, "usageType": self.usage_type, "operation": self.operation, "key": self.key,
            "usageAccountId": account, "amount": float(self.amount),
        }  # fmt: skip
        return told | ({"group": self.group} if self.group else {})


@dataclass(frozen=True)
class Estimate:
    """A workload estimate: its name, its entries, and the lines it has to leave out with the reason."""

    name: str
    account: str
    entries: tuple[Entry, ...]
    left_out: tuple[tuple[Line, str], ...]

    @property
    def batches(self) -> list[list[dict[str, Any]]]:
        made = [entry.payload(self.account) for entry in self.entries]
        return [made[k : k + BATCH] for k in range(0, len(made), BATCH)]

    def as_dict(self) -> dict[str, Any]:
        """What would be sent, call by call, and what is left out."""
        return {
            "create_workload_estimate": {"name": self.name, "rateType": "BEFORE_DISCOUNTS"},
            "batch_create_workload_estimate_usage": [{"usage": batch} for batch in self.batches],
            "ours": [{"key": e.key, "lines": list(e.names), "unit": e.unit, "usd": str(e.usd)} for e in self.entries],
            "left_out": [{"line": x.name, "usd": str(x.monthly_usd), "why": why} for x, why in self.left_out],
        }  # fmt: skip


def estimate(out: Report, account: str) -> Estimate:
    """The estimate of a report's month for an AWS account. Raises ScenarioError for a number that is no account."""
    refuse_account(account)
    grouped: dict[tuple[str, str, str, str], list[Line]] = {}
    left: list[tuple[Line, str]] = []
    for line in out.bill.bill.lines:
        if why := refused(line):
            left.append((line, why))
            continue
        price = line.price
        grouped.setdefault((price.service_code, price.usage_type, price.operation, line.system), []).append(line)
    entries = [_entry(number, key, lines) for number, (key, lines) in enumerate(grouped.items(), start=1)]
    return Estimate(name_of(out.scenario.name), account, tuple(entries), tuple(left))


def refuse_account(account: str) -> None:
    """Raises ScenarioError for what is no AWS account."""
    if not (account.isdigit() and len(account) == 12):
        raise ScenarioError(f"--account {account or 'is missing'}; expected the twelve digits of an AWS account")


def refused(line: Line) -> str:
    """Why a line cannot be entered, '' for one that can."""
    price = line.price
    if not line.is_aws:
        return "not AWS's"
    if line.kind == "support":
        return "support is a share of the bill, not a usage"
    if line.driver == "commitment":
        return "a commitment, not a usage"
    if not price.service_code or not price.usage_type:
        return "its usage type was never read"
    if not price.operation:
        return "its operation was never read, and the calculator asks for one"
    texts = (price.service_code, price.usage_type, price.operation)
    if len(price.operation) > OPERATION_LENGTH or not all(ALLOWED.fullmatch(text) for text in texts):
        return "its billing identity does not fit the calculator's limits"
    return ""


def _entry(number: int, key: tuple[str, str, str, str], lines: Sequence[Line]) -> Entry:
    service, usage_type, operation, system = key
    amount = sum((x.quantity for x in lines), NOTHING)
    usd = sum((x.monthly_usd for x in lines), NOTHING)
    names = tuple(dict.fromkeys(x.name for x in lines))
    group = re.sub(r"[^a-zA-Z0-9-]", "-", system)[:GROUP_LENGTH]
    return Entry(f"L{number:04d}", service, usage_type, operation, group, amount, lines[0].price.unit, usd, names)


def name_of(text: str) -> str:
    """A scenario's name as the calculator takes it.

    >>> name_of("orders: prod/eu"), name_of("—")
    ('orders-prod-eu', 'floodmark')
    """
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", text).strip("-")[:NAME_LENGTH]
    return plain or "floodmark"


@dataclass(frozen=True)
class Beside:
    """One entry as AWS priced it, or why it did not."""

    entry: Entry
    aws_usd: Decimal | None
    status: str

    @property
    def apart_usd(self) -> Decimal | None:
        return None if self.aws_usd is None else self.aws_usd - self.entry.usd


@dataclass(frozen=True)
class Pushed:
    """An estimate that AWS has: its id and each entry's cost beside ours."""

    id: str
    lines: tuple[Beside, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "workload_estimate_id": self.id,
            "lines": [{"key": b.entry.key, "lines": list(b.entry.names), "usage_type": b.entry.usage_type,
                       "ours_usd": str(b.entry.usd), "aws_usd": None if b.aws_usd is None else str(b.aws_usd),
                       "apart_usd": None if b.apart_usd is None else str(b.apart_usd), "status": b.status}
                      for b in self.lines],
        }  # fmt: skip


def live_client() -> Any:
    """The calculator of real AWS, from the environment's credentials. Needs the extra `aws`."""
    try:
        import boto3
    except ImportError:
        raise ScenarioError("pushing an estimate needs boto3: pip install 'floodmark[aws]'") from None
    return boto3.Session().client("bcm-pricing-calculator", region_name="us-east-1")


def push(made: Estimate, client: Any, token: str = "") -> Pushed:
    """Create the estimate, enter its usage batch by batch, and read what AWS makes of each entry."""
    from pricing.refresh import Clients, RefreshError, asked

    waits = Clients(None, None, None, lambda url: ())
    token = token or str(uuid.uuid4())
    refusals: dict[str, str] = {}
    try:
        created = asked(waits, client.create_workload_estimate, name=made.name, rateType="BEFORE_DISCOUNTS",
                        clientToken=token)  # fmt: skip
        where = created["id"]
        ids: dict[str, str] = {}
        for number, batch in enumerate(made.batches):
            answer = asked(waits, client.batch_create_workload_estimate_usage, workloadEstimateId=where, usage=batch,
                           clientToken=f"{token}-{number}")  # fmt: skip
            refusals |= {e["key"]: f"{e.get('errorCode', '')}: {e.get('errorMessage', '')}" for e in
                         answer.get("errors", [])}  # fmt: skip
            ids |= {item["id"]: item["key"] for item in answer.get("items", []) if "id" in item and "key" in item}
        costs = _costs(client, waits, where, ids)
    except RefreshError as error:
        raise ScenarioError(f"pricing calculator: {error}") from None
    return Pushed(where, tuple(_beside(entry, costs.get(entry.key), refusals.get(entry.key, ""))
                               for entry in made.entries))  # fmt: skip


def _beside(entry: Entry, found: tuple[Decimal, str] | None, refusal: str) -> Beside:
    if refusal:
        return Beside(entry, None, refusal)
    return Beside(entry, found[0], found[1]) if found else Beside(entry, None, "AWS gave it no cost")


def _costs(client: Any, waits: Any, where: str, ids: dict[str, str]) -> dict[str, tuple[Decimal, str]]:
    """Cost and status of each entry, once AWS has worked out the estimate."""
    from pricing.refresh import asked

    for _ in range(MOST_WAITS):
        if asked(waits, client.get_workload_estimate, identifier=where).get("status") != "UPDATING":
            break
        waits.sleep(WAIT_SECONDS)
    found, token = {}, ""
    while True:
        answer = asked(waits, client.list_workload_estimate_usage, workloadEstimateId=where, nextToken=token)
        for item in answer.get("items", []):
            key = ids.get(item.get("id", ""))
            if key and "cost" in item:
                found[key] = (Decimal(repr(item["cost"])), str(item.get("status", "")))
        token = answer.get("nextToken", "")
        if not token:
            return found
