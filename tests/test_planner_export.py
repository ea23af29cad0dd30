"""FOCUS rows against the specification's columns, calculator payloads against AWS's own service model."""

from __future__ import annotations

import csv
import datetime
import gzip
import io
import json
import re
from dataclasses import replace
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from planner.cli_finance import register
from planner.export_calculator import BATCH, Estimate, estimate, name_of, push
from planner.export_focus import COLUMNS, OWN, REGIONS, as_focus, dated
from planner.finance import report
from planner.refusal import ScenarioError
from planner.scenario import from_yaml, load_scenario, resolved

D = Decimal
ACCOUNT = "123456789012"
TEXT = """
name: quick
flows:
- workload: {rate: 2000/s, size: 500 B, growth_per_month: 4 %}
  topic: {partitions: 6}
  query: {trigger: 10 s, sink: {kind: jvm-connector, ids: explicit}}
  index: {retention: 7 d}
money:
  month: 2026-12
  support_plan: business
  spot_share: 50 %
  third_parties: {"=1+1": 10}
  monitoring: {custom_metrics: 12k}
  discounts: [{service: AmazonMSK, share: 10 %}]
  commitments: [{kind: ec2-ri, machine: m7g.2xlarge, count: 1}]
tags: {team: "@search"}
run: {measure: 20, warm_up: 6, repeats: 2}
"""


@cache
def made(months=2, **money):
    data = resolved(from_yaml(TEXT))
    data["money"] |= money
    return report(load_scenario(data), horizon=months, simulated=False, draws=0, today=datetime.date(2026, 11, 24))


def rows(**money):
    return list(csv.DictReader(io.StringIO(as_focus(made(**money), ACCOUNT))))


# --- FOCUS 1.2 ----------------------------------------------------------------------------------------------------

# Mandatory and never null in FOCUS 1.2 (the specification's column requirements).
NEVER_EMPTY = ("BilledCost", "BillingAccountId", "BillingAccountType", "BillingCurrency", "BillingPeriodEnd",
               "BillingPeriodStart", "ChargeCategory", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost",
               "EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit", "ProviderName",
               "PublisherName", "ServiceCategory", "ServiceName", "ServiceSubcategory")  # fmt: skip
CATEGORIES = """AI and Machine Learning, Analytics, Business Applications, Compute, Databases, Developer Tools,
Multicloud, Identity, Integration, Internet of Things, Management and Governance, Media, Migration, Mobile, Networking,
Security, Storage, Web, Other"""


def test_the_columns_are_focuss_in_alphabetical_order_and_ours_begin_with_x():
    assert len(COLUMNS) == 57 and list(COLUMNS) == sorted(COLUMNS)
    assert all(name.startswith("x_") for name in OWN)
    assert list(rows()[0]) == [*COLUMNS, *OWN]


def test_what_focus_wants_filled_is_filled_with_its_own_words():
    for row in rows():
        assert [name for name in NEVER_EMPTY if not row[name]] == []
        assert row["ServiceCategory"] in CATEGORIES.replace("\n", " ").split(", ") and row["BillingCurrency"] == "USD"
        assert row["PricingCategory"] in ("Standard", "Dynamic", "Committed", "Other")
        assert row["ChargeFrequency"] in ("One-Time", "Recurring", "Usage-Based") and row["x_Forecast"] == "true"
        assert re.fullmatch(r"\d{4}-\d\d-01T00:00:00Z", row["BillingPeriodStart"])
        json.loads(row["Tags"])
        assert row["RegionName"] == REGIONS.get(row["RegionId"], "") and row["RegionId"] != "any"


def test_a_committed_row_names_its_commitment_and_no_other_does():
    for row in rows():
        given = [bool(row[name]) for name in row if name.startswith("CommitmentDiscount")]
        assert all(given) if row["PricingCategory"] == "Committed" else not any(given)


def test_costs_are_quantity_times_price_and_add_up_to_the_months():
    found = rows()
    assert sum(D(r["EffectiveCost"]) for r in found) == sum(m.bill.monthly_usd for m in made().months)
    for r in found:
        assert abs(D(r["PricingQuantity"]) * D(r["ContractedUnitPrice"]) - D(r["ContractedCost"])) <= D("0.005")
        assert abs(D(r["PricingQuantity"]) * D(r["ListUnitPrice"]) - D(r["ListCost"])) <= D("0.005")


def test_a_discount_lies_between_list_and_contracted_cost():
    broker = next(r for r in rows() if r["x_PriceItem"] == "msk/broker/kafka.m7g.large")
    assert D(broker["ListUnitPrice"]) == D("0.204") and D(broker["ContractedUnitPrice"]) == D("0.1836")


def test_months_are_dated_and_average_ones_are_refused():
    periods = {(r["BillingPeriodStart"][:7], r["BillingPeriodEnd"][:7]) for r in rows()}
    assert periods == {("2026-12", "2027-01"), ("2027-01", "2027-02")}
    with pytest.raises(ScenarioError, match=r"money\.month"):
        as_focus(made(month="average"), ACCOUNT)
    with pytest.raises(ScenarioError, match="twelve digits"):
        as_focus(made(), "12")


def test_the_first_month_can_be_named_where_the_scenario_names_none():
    average = made(month="average").scenario
    assert dated(average, "2027-02").money.month == "2027-02" and dated(average, "") is average
    with pytest.raises(ScenarioError, match="--month 2027-13; expected a month such as 2027-01"):
        dated(average, "2027-13")


def test_a_name_from_outside_is_no_formula():
    assert not [v for r in rows() for v in r.values() if v.startswith(("=", "+", "@"))]


def test_our_own_focus_file_is_read_back_as_charges(tmp_path):
    from planner.export_actuals import Scope
    from planner.export_actuals_files import read_actuals

    path = tmp_path / "f.csv"
    path.write_text(as_focus(made(), ACCOUNT))
    back = read_actuals([path], "net-amortised", Scope(accounts=frozenset({ACCOUNT})), "2026-12")
    assert sum(c.usd for c in back.charges) == made().months[0].bill.monthly_usd


# --- the calculator -----------------------------------------------------------------------------------------------


@cache
def model():
    import botocore

    folder = Path(botocore.__file__).parent / "data" / "bcm-pricing-calculator"
    path = next(iter(folder.glob("*/service-2.json*")))
    return json.loads(gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes())["shapes"]


def sent() -> Estimate:
    return estimate(made(), ACCOUNT)


def test_every_field_keeps_to_the_service_models_maxima_and_patterns():
    shapes = model()
    entry = shapes["BatchCreateWorkloadEstimateUsageEntry"]
    assert shapes["BatchCreateWorkloadEstimateUsageEntries"]["max"] == BATCH
    for batch in sent().batches:
        assert 1 <= len(batch) <= BATCH
        for payload in batch:
            assert set(entry["required"]) <= payload.keys() <= entry["members"].keys()
            for name, value in payload.items():
                shape = shapes[entry["members"][name]["shape"]]
                if shape["type"] == "string":
                    assert len(value) <= shape["max"] and re.fullmatch(shape["pattern"], value), (name, value)
                else:
                    assert value > 0
    name = shapes["WorkloadEstimateName"]
    for text in ("orders: prod/eu", "x" * 200, "—", "quick"):
        assert len(name_of(text)) <= name["max"] and re.fullmatch(name["pattern"], name_of(text))


def test_what_cannot_be_entered_is_left_out_with_its_dollars_and_nothing_else_is():
    one = sent()
    entered = sum((e.usd for e in one.entries), D(0))
    left = sum((line.monthly_usd for line, _ in one.left_out), D(0))
    assert entered + left == made().bill.bill.monthly_usd
    whys = {line.kind: why for line, why in one.left_out}
    assert "share of the bill" in whys["support"] and whys["third-party"] == "not AWS's"


def test_tiers_of_an_item_are_one_entry_since_aws_knows_the_tiers():
    one = sent()
    metrics = [e for e in one.entries if e.usage_type == "CW:MetricMonitorUsage"]
    assert [e.amount for e in metrics] == [12_000]
    assert len({(e.service, e.usage_type, e.operation, e.group) for e in one.entries}) == len(one.entries)


def many(count: int) -> Estimate:
    """An estimate of more entries than a batch takes."""
    first = sent().entries[0]

    return Estimate("quick", ACCOUNT, tuple(replace(first, key=f"L{k:04d}") for k in range(count)), ())


def test_batches_are_of_25_at_most():
    assert [len(b) for b in many(60).batches] == [25, 25, 10]
    assert [p["key"] for b in many(60).batches for p in b] == [f"L{k:04d}" for k in range(60)]


def ident(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def test_aws_prices_each_entry_beside_ours_and_its_refusals_are_told_item_by_item():
    import boto3
    from botocore.stub import ANY, Stubber

    one = many(27)
    client = boto3.client("bcm-pricing-calculator", region_name="us-east-1", aws_access_key_id="x",
                          aws_secret_access_key="x")  # fmt: skip
    base = {"serviceCode": "AmazonMSK", "usageType": "x", "operation": "y"}
    with Stubber(client) as stub:
        stub.add_response("create_workload_estimate", {"id": ident(0)},
                          {"name": "quick", "rateType": "BEFORE_DISCOUNTS", "clientToken": ANY})  # fmt: skip
        for number, batch in enumerate(one.batches):
            items = [base | {"id": ident(int(p["key"][1:]) + 1), "key": p["key"]} for p in batch if p["key"] != "L0003"]
            errors = (
                [{"key": "L0003", "errorCode": "NOT_FOUND", "errorMessage": "no such usage type"}] if not number else []
            )
            stub.add_response("batch_create_workload_estimate_usage", {"items": items, "errors": errors},
                              {"workloadEstimateId": ident(0), "usage": batch, "clientToken": ANY})  # fmt: skip
        stub.add_response("get_workload_estimate", {"id": ident(0), "status": "VALID"}, {"identifier": ident(0)})
        costs = [base | {"id": ident(k + 1), "cost": 409.8, "status": "VALID"} for k in range(27) if k not in (3, 26)]
        stub.add_response("list_workload_estimate_usage", {"items": costs[:20], "nextToken": "n"},
                          {"workloadEstimateId": ident(0)})  # fmt: skip
        stub.add_response("list_workload_estimate_usage", {"items": costs[20:]},
                          {"workloadEstimateId": ident(0), "nextToken": "n"})  # fmt: skip
        found = push(one, client)
        stub.assert_no_pending_responses()
    by = {b.entry.key: b for b in found.lines}
    assert by["L0003"].aws_usd is None and "no such usage type" in by["L0003"].status
    assert by["L0026"].aws_usd is None and "no cost" in by["L0026"].status
    assert by["L0000"].aws_usd == D("409.8") and by["L0000"].apart_usd == D("409.8") - one.entries[0].usd


def test_a_refused_call_is_one_message():
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("bcm-pricing-calculator", region_name="us-east-1", aws_access_key_id="x",
                          aws_secret_access_key="x")  # fmt: skip
    with Stubber(client) as stub:
        stub.add_client_error("create_workload_estimate", "ServiceQuotaExceededException", "too many estimates")
        with pytest.raises(ScenarioError, match=r"pricing calculator: .*ServiceQuotaExceeded"):
            push(sent(), client)


# --- commands -----------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    app = typer.Typer()
    register(app)
    path = tmp_path / "quick.yaml"
    path.write_text(TEXT)
    return lambda *args: CliRunner().invoke(app, ["export", args[0], str(path), "--no-simulate", *map(str, args[1:])])


def test_exports_come_from_the_shell(run, tmp_path):
    done = run("focus", "--months", 1, "-o", tmp_path / "f.csv")
    assert done.exit_code == 0 and (tmp_path / "f.csv").read_text().startswith("AvailabilityZone,BilledCost,")
    done = run("calculator", "--account", ACCOUNT, "-o", tmp_path / "c.json")
    told = json.loads((tmp_path / "c.json").read_text())
    assert done.exit_code == 0 and told["create_workload_estimate"]["name"] == "quick"
    assert "left out" in done.output and len(told["left_out"]) >= 2
    assert run("calculator", "--account", "12").exit_code == 1
