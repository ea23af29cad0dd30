"""AWS's exports read as charges: FOCUS and CUR, CSV and Parquet, four bases, scopes, and what is refused."""

from __future__ import annotations

import csv
import gzip
import io
from decimal import Decimal
from pathlib import Path

import pytest

from planner.export_actuals import BASES, Scope
from planner.export_actuals_explorer import ask_actuals, period
from planner.export_actuals_files import read_actuals
from planner.refusal import ScenarioError

D = Decimal
FOCUS = {
    "BilledCost": "10.00", "EffectiveCost": "12.00", "ChargeCategory": "Usage", "ChargeClass": "",
    "BillingCurrency": "USD", "BillingPeriodStart": "2026-10-01T00:00:00Z", "x_UsageType": "USE1-Kafka.m7g.large",
    "x_ServiceCode": "AmazonMSK", "x_Operation": "RunBroker", "RegionId": "us-east-1", "SubAccountId": "111111111111",
    "PricingQuantity": "100", "PricingUnit": "Hours", "Tags": '{"user:team": "search"}',
}  # fmt: skip
CUR = {
    "line_item_line_item_type": "Usage", "line_item_usage_type": "BoxUsage:m7g.large",
    "line_item_product_code": "AmazonEC2", "line_item_operation": "RunInstances", "line_item_unblended_cost": "8.16",
    "line_item_net_unblended_cost": "7.00", "line_item_usage_amount": "100", "line_item_currency_code": "USD",
    "pricing_unit": "Hrs", "bill_billing_period_start_date": "2026-10-01 00:00:00.000",
    "product_region_code": "us-east-1", "line_item_usage_account_id": "111111111111",
    "resource_tags": '{"user_team": "search"}', "reservation_effective_cost": "", "reservation_net_effective_cost": "",
    "savings_plan_savings_plan_effective_cost": "", "savings_plan_total_commitment_to_date": "",
    "savings_plan_used_commitment": "", "reservation_unused_recurring_fee": "",
    "reservation_unused_amortized_upfront_fee_for_billing_period": "", "reservation_reservation_a_r_n": "",
}  # fmt: skip


def written(path: Path, base: dict[str, str], *rows: dict[str, str]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(base), lineterminator="\n")
    writer.writeheader()
    writer.writerows([base | row for row in rows])
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def total(path: Path, basis="unblended", scope=None, month="") -> Decimal:
    made = read_actuals([path], basis, scope or Scope(), month)
    return sum((c.usd for c in made.comparable), D(0))


# --- formats ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [FOCUS, CUR], ids=["focus", "cur"])
def test_csv_gzip_and_parquet_hold_the_same_charges(base, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain, packed = written(tmp_path / "a.csv", base, {}, {}), written(tmp_path / "b.csv.gz", base, {}, {})
    columns = {k: [v, v] for k, v in base.items()}
    for name in ("BilledCost", "EffectiveCost", "line_item_unblended_cost", "line_item_usage_amount"):
        if name in columns:
            columns[name] = [float(v) for v in columns[name]]
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    found = [read_actuals([p], "amortised", Scope()) for p in (plain, packed, tmp_path / "c.parquet")]
    assert found[0].charges == found[1].charges == found[2].charges
    assert found[0].charges[0].quantity == 200 and found[0].rows == 2


def test_a_folder_of_parts_is_one_export(tmp_path):
    written(tmp_path / "1.csv", FOCUS, {})
    written(tmp_path / "2.csv.gz", FOCUS, {"BilledCost": "5"})
    assert total(tmp_path) == 15


def test_parquet_maps_of_tags_are_read(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {k: [v] for k, v in CUR.items()} | {"resource_tags": [[("user_team", "search")]]}
    table = pa.table(columns).set_column(
        list(columns).index("resource_tags"), "resource_tags",
        pa.array([[("user_team", "search")]], type=pa.map_(pa.string(), pa.string())),
    )  # fmt: skip
    pq.write_table(table, tmp_path / "a.parquet")
    assert total(tmp_path / "a.parquet", scope=Scope(tags=(("team", "search"),))) == D("8.16")


# --- bases --------------------------------------------------------------------------------------------------------


def test_focus_has_billed_and_effective_cost_and_says_that_they_are_net(tmp_path):
    path = written(tmp_path / "a.csv", FOCUS, {})
    assert [total(path, basis) for basis in BASES] == [10, 12, 10, 12]
    assert "net costs only" in read_actuals([path], "unblended", Scope()).notes[0]
    assert read_actuals([path], "net-unblended", Scope()).notes == ()


CASES = [
    # kind, columns, (unblended, amortised): AWS's CUR query library for amortised cost
    ("Usage", {}, ("8.16", "8.16")),
    ("DiscountedUsage", {"line_item_unblended_cost": "0", "reservation_effective_cost": "5.1"}, ("0", "5.1")),
    ("SavingsPlanCoveredUsage", {"savings_plan_savings_plan_effective_cost": "4.4"}, ("8.16", "4.4")),
    ("SavingsPlanNegation", {"line_item_unblended_cost": "-8.16"}, ("-8.16", "0")),
    ("RIFee", {"line_item_unblended_cost": "50", "reservation_unused_recurring_fee": "2",
               "reservation_unused_amortized_upfront_fee_for_billing_period": "1"}, ("50", "3")),
    ("SavingsPlanRecurringFee", {"line_item_unblended_cost": "9", "savings_plan_total_commitment_to_date": "9",
                                 "savings_plan_used_commitment": "7.5"}, ("9", "1.5")),
    ("Fee", {"line_item_unblended_cost": "900", "reservation_reservation_a_r_n": "arn:x"}, ("900", "0")),
    ("Fee", {"line_item_unblended_cost": "12"}, ("12", "12")),
    ("SavingsPlanUpfrontFee", {"line_item_unblended_cost": "700"}, ("700", "0")),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "columns", "costs"), CASES)
def test_curs_amortised_cost_follows_awss_recipe(kind, columns, costs, tmp_path):
    path = written(tmp_path / "a.csv", CUR, columns | {"line_item_line_item_type": kind})
    assert (total(path), total(path, "amortised")) == tuple(map(D, costs))


def test_net_costs_are_those_after_discounts(tmp_path):
    path = written(tmp_path / "a.csv", CUR, {})
    assert total(path, "net-unblended") == 7 and total(path, "net-amortised") == 7


def test_negations_and_discounts_count_dollars_and_no_hours(tmp_path):
    kinds = [{"line_item_line_item_type": f"SavingsPlan{kind}", "line_item_unblended_cost": usd}
             for kind, usd in (("CoveredUsage", "8.16"), ("Negation", "-8.16"))]  # fmt: skip
    path = written(tmp_path / "a.csv", CUR, *kinds)
    (charge,) = read_actuals([path], "unblended", Scope()).comparable
    assert charge.quantity == 100 and charge.usd == 0


# --- apart, scope, months -----------------------------------------------------------------------------------------


def test_tax_credits_and_refunds_stand_apart(tmp_path):
    rows = [{"line_item_line_item_type": k, "line_item_unblended_cost": v} for k, v in
            (("Tax", "1.5"), ("Credit", "-3"), ("Refund", "-0.25"))]  # fmt: skip
    made = read_actuals([written(tmp_path / "a.csv", CUR, {}, *rows)], "unblended", Scope())
    assert made.apart() == {"tax": D("1.5"), "credit": D("-3"), "refund": D("-0.25")}
    assert sum(c.usd for c in made.comparable) == D("8.16")


def test_a_correction_of_an_earlier_month_is_no_usage_of_this_one(tmp_path):
    made = read_actuals([written(tmp_path / "a.csv", FOCUS, {}, {"ChargeClass": "Correction", "BilledCost": "-4"})],
                        "unblended", Scope())  # fmt: skip
    assert made.apart()["refund"] == -4 and total(tmp_path / "a.csv") == 10


@pytest.mark.parametrize(("scope", "usd"), [
    (Scope(), 40), (Scope(accounts=frozenset({"222222222222"})), 10), (Scope(regions=frozenset({"eu-west-1"})), 10),
    (Scope(tags=(("team", "search"),)), 30), (Scope(frozenset({"111111111111"}), (("team", "search"),)), 20),
])  # fmt: skip
def test_a_scope_keeps_accounts_tags_and_regions_and_counts_what_lies_outside(scope, usd, tmp_path):
    path = written(tmp_path / "a.csv", FOCUS, {}, {"SubAccountId": "222222222222"}, {"RegionId": "eu-west-1"},
                   {"Tags": '{"team": "billing"}'})  # fmt: skip
    made = read_actuals([path], "unblended", scope)
    assert sum(c.usd for c in made.charges) == usd and made.outside_usd == 40 - usd


def test_several_months_need_a_name(tmp_path):
    path = written(tmp_path / "a.csv", FOCUS, {}, {"BillingPeriodStart": "2026-11-01T00:00:00Z", "BilledCost": "1"})
    with pytest.raises(ScenarioError, match="2026-10, 2026-11; name one"):
        read_actuals([path], "unblended", Scope())
    assert total(path, month="2026-11") == 1
    with pytest.raises(ScenarioError, match="no charges of 2026-09"):
        total(path, month="2026-09")


# --- refusals -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base", "row", "words"), [
    (FOCUS, {"BillingCurrency": "EUR"}, "row 2: BillingCurrency = EUR; expected USD"),
    (FOCUS, {"ChargeCategory": "Gift"}, "ChargeCategory = 'Gift'"),
    (FOCUS, {"BilledCost": "ten"}, "BilledCost = 'ten'; expected a number"),
    (FOCUS, {"BilledCost": "nan"}, "expected a finite number"),
    (CUR, {"line_item_line_item_type": "Wish"}, "line_item_line_item_type = 'Wish'"),
    (CUR, {"bill_billing_period_start_date": "October"}, "expected a date"),
    ({"a": "1"}, {}, "neither FOCUS"),
    ({"lineItem/UsageType": "1"}, {}, "legacy Cost and Usage Report"),
    ({k: v for k, v in FOCUS.items() if k != "x_UsageType"}, {}, "without the columns x_UsageType"),
])  # fmt: skip
def test_what_is_no_export_is_refused_with_the_row_and_what_would_do(base, row, words, tmp_path):
    with pytest.raises(ScenarioError, match=words):
        total(written(tmp_path / "a.csv", base, row))


@pytest.mark.parametrize("name", ["a.txt", "a.csv.gz", "a.parquet"])
def test_a_file_of_another_kind_is_one_message(name, tmp_path):
    (tmp_path / name).write_bytes(b"PK\x03\x04 not what the name says")
    with pytest.raises(ScenarioError):
        total(tmp_path / name)


def test_a_scope_that_keeps_nothing_says_what_there_is(tmp_path):
    with pytest.raises(ScenarioError, match="accounts 111111111111; regions us-east-1"):
        total(written(tmp_path / "a.csv", FOCUS, {}), scope=Scope(accounts=frozenset({"999999999999"})))


# --- Cost Explorer ------------------------------------------------------------------------------------------------


def group(first, second, usd, amount=None, unit="Hrs", metric="UnblendedCost"):
    metrics = {metric: {"Amount": usd, "Unit": "USD"}}
    if amount is not None:
        metrics["UsageQuantity"] = {"Amount": amount, "Unit": unit}
    return {"Keys": [first, second], "Metrics": metrics}


def answer(*groups, token=""):
    told = {
        "ResultsByTime": [{"TimePeriod": period("2026-10"), "Total": {}, "Groups": list(groups), "Estimated": False}]
    }
    return told | ({"NextPageToken": token} if token else {})


def asked(metrics, groups, records, scope=(), **more):
    dimensions = [records, *scope]
    return {"TimePeriod": {"Start": "2026-10-01", "End": "2026-11-01"}, "Granularity": "MONTHLY", "Metrics": metrics,
            "GroupBy": [{"Type": "DIMENSION", "Key": key} for key in groups],
            "Filter": {"And": dimensions} if len(dimensions) > 1 else records} | more  # fmt: skip


APART = {"Dimensions": {"Key": "RECORD_TYPE", "Values": ["Credit", "Refund", "Tax"]}}


def test_cost_explorer_is_asked_page_by_page_for_usage_and_for_what_stands_apart():
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("ce", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    usage = (["UnblendedCost", "UsageQuantity"], ["SERVICE", "USAGE_TYPE"], {"Not": APART})
    scope = Scope(frozenset({"111111111111"}), (("team", "search"),), frozenset({"us-east-1"}))
    told = [{"Dimensions": {"Key": "LINKED_ACCOUNT", "Values": ["111111111111"]}},
            {"Dimensions": {"Key": "REGION", "Values": ["us-east-1"]}},
            {"Tags": {"Key": "team", "Values": ["search"]}}]  # fmt: skip
    kafka = "Amazon Managed Streaming for Apache Kafka"
    with Stubber(client) as stub:
        first = answer(group(kafka, "USE1-Kafka.m7g.large", "446.76", "2190"), token="n")
        stub.add_response("get_cost_and_usage", first,
                          asked(*usage, told))  # fmt: skip
        stub.add_response("get_cost_and_usage", answer(group("Odd Service", "Odd", "1", "1", "N/A")),
                          asked(*usage, told, NextPageToken="n"))  # fmt: skip
        stub.add_response("get_cost_and_usage", answer(group("Tax", kafka, "3.5")),
                          asked(["UnblendedCost"], ["RECORD_TYPE", "SERVICE"], APART, told))  # fmt: skip
        made = ask_actuals(client, "unblended", scope, "2026-10")
        stub.assert_no_pending_responses()
    assert [(c.kind, c.service, c.usd) for c in made.charges] == [
        ("usage", "AmazonMSK", D("446.76")), ("usage", "Odd Service", 1), ("tax", "AmazonMSK", D("3.5"))]  # fmt: skip
    assert made.charges[0].quantity == 2190 and "Odd Service" in made.notes[0]


def test_cost_explorers_refusal_is_one_message():
    import boto3
    from botocore.stub import Stubber

    client = boto3.client("ce", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_client_error("get_cost_and_usage", "DataUnavailableException", "not yet")
        with pytest.raises(ScenarioError, match=r"Cost Explorer: .*DataUnavailable"):
            ask_actuals(client, "amortised", Scope(), "2026-10")


@pytest.mark.parametrize("month", ["2026", "2026-13", "October"])
def test_a_month_that_is_none_is_refused(month):
    with pytest.raises(ScenarioError, match="expected a month"):
        period(month)


def test_tags_that_are_no_json_tag_nothing(tmp_path):
    path = written(tmp_path / "a.csv", FOCUS, {"Tags": "{broken"})
    with pytest.raises(ScenarioError, match="nothing lies in the scope"):
        total(path, scope=Scope(tags=(("team", "search"),)))


def test_a_month_that_has_not_ended_is_said_and_not_scaled(tmp_path):
    base = CUR | {"line_item_usage_end_date": "2026-10-17 05:00:00.000"}
    made = read_actuals([written(tmp_path / "a.csv", base, {})], "unblended", Scope())
    assert "end on 2026-10-17" in made.notes[0] and made.charges[0].usd == D("8.16")
    whole = written(tmp_path / "b.csv", base, {"line_item_usage_end_date": "2026-11-01 00:00:00.000"})
    assert read_actuals([whole], "unblended", Scope()).notes == ()
