"""The finance report: its sums, what moved since the last review, variances against charges, the living workbook."""

from __future__ import annotations

import csv
import datetime
import io
import json
import re
import warnings
from dataclasses import replace
from decimal import Decimal
from functools import cache

import pytest
import typer
from typer.testing import CliRunner

from planner import finance_tell
from planner.cli_finance import register
from planner.export_actuals import Actuals, Charge, Scope
from planner.finance import held_against, report, review
from planner.finance_actuals import key_of, unit_of, variance
from planner.finance_against import against, load_review, total_of
from planner.finance_html import as_html
from planner.refusal import ScenarioError
from planner.scenario import from_yaml, load_scenario, resolved, to_yaml
from pricing.bill import cents
from pricing.offers import compared
from pricing.price_book import DATA, PriceBook
from pricing.rows import pack, unpack
from pricing.shared import bill as shared_bill
from pricing.usage import SparkUsage

D = Decimal
TRAP = '=HYPERLINK("http://x","y")'
TEXT = """
name: quick
flows:
- workload: {rate: 2000/s, size: 500 B, growth_per_month: 4 %}
  topic: {partitions: 6}
  query: {trigger: 10 s, sink: {kind: jvm-connector, ids: explicit}}
  index: {retention: 7 d}
elasticsearch: {volume: {size: 500 GiB}}
money: {support_plan: business}
run: {measure: 20, warm_up: 6, repeats: 2}
"""


def scenario(money=None, **parts):
    data = resolved(from_yaml(TEXT)) | parts
    data["money"] |= money or {}
    return load_scenario(data)


def made(it=None, horizon=3, **options):
    return report(it or scenario(), horizon=horizon, simulated=False, draws=0, today=datetime.date(2026, 11, 24),
                  **options)  # fmt: skip


@cache
def usual():
    return made()


@cache
def rich():
    """Tags and names that a spreadsheet could take for formulas, a commitment, people, a third party, gaps' absence."""
    it = scenario({
        "third_parties": {TRAP: 10.0, "+1": 2.5}, "engineer_hours": 5.0, "engineer_usd_per_hour": 90.0,
        "monitoring": {"custom_metrics": 12_000.0}, "month": "2026-12", "currency": "EUR", "currency_per_usd": 0.9,
        "commitments": [{"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 2}],
        "discounts": [{"service": "AmazonMSK", "share": 0.1}],
    }, tags={"team": "@search", "cost": "=1+1"})  # fmt: skip
    return made(it, leave_after=6)


# --- sums ---------------------------------------------------------------------------------------------------------


def test_the_horizon_is_the_sum_of_its_months_and_its_range_is_not():
    out = usual()
    assert out.total_usd == sum(m.bill.monthly_usd for m in out.months)
    added = [sum(getattr(m.range, name) for m in out.months) for name in ("p10_usd", "p90_usd")]
    assert out.range.p10_usd == pytest.approx(added[0], rel=0.02)  # one load and one set of prices for all months
    assert out.range.p10_usd < float(out.total_usd) < out.range.p90_usd


def test_every_form_has_the_same_total():
    out = rich()
    total = sum((line.monthly_usd for m in out.months for line in m.bill.lines), D(0))
    rows = list(csv.DictReader(io.StringIO(finance_tell.as_csv(out))))
    assert sum(D(row["monthly_usd"]) for row in rows) == total == D(finance_tell.as_dict(out)["total"]["usd"])
    page = finance_tell.as_markdown(out)
    assert f"{total:,.2f}" in page and f"{out.bill.monthly_usd:,.2f}" in page
    assert f"{total:,.2f}" in as_html(out)


def test_a_machine_step_that_the_load_needs_is_on_the_first_page():
    slow = scenario(flows=[resolved(from_yaml(TEXT))["flows"][0] | {}])
    flow = slow.flows[0]
    load = flow.workload.model_copy(update={"rate": 60_000.0, "growth_per_month": 0.5})
    out = made(slow.model_copy(update={"flows": (flow.model_copy(update={"workload": load}),)}), 6)
    needed = [m for m in out.months if m.headroom is not None and m.headroom.needed]
    assert needed and any(what == "machines" for what, _ in finance_tell.executive(out))
    shares = [m.headroom.share for m in out.months]
    assert shares == sorted(shares) and shares[-1] > shares[0]


def test_a_planned_change_is_billed_from_its_month_and_leaves_the_commitment():
    change = {"month": 3, "set": {"spark.machine": "m7g.4xlarge", "spark.executors": 1}, "why": "one bigger box"}
    said = {"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 2}
    plain = made(scenario({"commitments": [said]}), 4)
    out = made(scenario({"commitments": [said], "changes": [change]}), 4)
    assert [m.bill for m in out.months[:2]] == [m.bill for m in plain.months[:2]]
    assert out.months[2].steps == ("spark.machine becomes m7g.4xlarge, spark.executors becomes 1 (one bigger box)",)
    assert any("m7g.4xlarge" in x.name for x in out.months[2].bill.lines)
    assert out.bill.commitments[0].plan.utilisation == 1  # an RI covers the larger size of its family


def test_a_change_of_family_strands_what_the_plan_still_costs():
    change = {"month": 5, "set": {"spark.machine": "r7g.2xlarge", "spark.driver_machine": "r7g.xlarge"}}
    said = {"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 2}
    held = made(scenario({"commitments": [said], "changes": [change]}), 1).bill.commitments[0].plan
    assert held.stranded_usd == cents(held.hourly_commitment_usd * 730 * 8)  # months 5 to 12
    assert held.months[3].wanted > 0 == held.months[4].wanted


def test_a_change_to_what_is_not_there_is_refused():
    with pytest.raises(ScenarioError, match=r"month 2: the scenario has no spark\.boxes"):
        made(scenario({"changes": [{"month": 2, "set": {"spark.boxes": 3}}]}))


# --- commitments compared -----------------------------------------------------------------------------------------


def test_every_way_to_commit_is_compared_as_cash_and_amortised():
    out = made(horizon=12)
    search = next(one for one in out.commitments if one.machine.endswith(".search"))
    names = [c.name for c in search.choices]
    assert names[0] == "on demand" and len(names) == 7  # on demand, two terms x three payments
    upfront = next(c for c in search.choices if c.name == "opensearch-ri 1 yr, all upfront")
    assert upfront.cash_usd[0] > 0 == sum(upfront.cash_usd[1:])
    assert abs(upfront.total_usd - upfront.total_cash_usd) <= D("0.06")  # twelve months are its whole term
    monthly = next(c for c in search.choices if c.name == "opensearch-ri 1 yr, no upfront")
    assert len(set(monthly.cash_usd)) == 1 and monthly.cash_usd == monthly.amortised_usd
    assert search.best.total_usd == min(c.total_usd for c in search.choices)
    assert not any(one.machine.startswith("kafka") for one in out.commitments)


def test_what_aws_sells_and_the_book_cannot_price_is_said():
    box = next(one for one in made().commitments if one.machine == "m7g.2xlarge")
    assert box.missing == () and any(c.name.startswith("compute-sp") for c in box.choices)  # read in us-east-1
    elsewhere = compared([shared_bill([SparkUsage("ec2", "eu-west-1", "m7g.2xlarge", 3)], PriceBook())], PriceBook())
    assert any("compute-sp" in text and "share_of_listed" in text for text in elsewhere[0].missing)


def test_an_unsure_rate_that_could_turn_the_best_option_is_named():
    box = next(one for one in made(horizon=12).commitments if one.machine == "m7g.2xlarge")
    derived = [c for c in box.choices if c.spread]
    assert derived and set(box.turned_by) <= {c.name for c in box.choices} - {box.best.name}


def test_leaving_a_machine_early_costs_the_rest_of_the_term():
    box = next(one for one in rich().commitments if one.machine.endswith(".search"))
    monthly = next(c for c in box.choices if c.name == "opensearch-ri 1 yr, no upfront")
    assert monthly.stranded_usd == cents(monthly.plan.hourly_commitment_usd * 730 * 6)


# --- since the last review ----------------------------------------------------------------------------------------


def reviewed(out):
    return json.loads(json.dumps(review(out)))


def test_the_same_review_again_moved_by_nothing():
    found = against(usual(), reviewed(usual()))
    assert [p.added_usd for p in found.parts] == [0, 0, 0, 0] and found.fields == () and found.notes == ()


def test_each_part_of_a_change_is_run_again_and_they_add_up_to_the_cent(tmp_path):
    """Then: another rate, half the price of brokers, another coefficient, and a total that another engine made."""
    book = tmp_path / "then"
    book.mkdir()
    for path in DATA.glob("*.csv.gz"):
        (book / path.name).write_bytes(path.read_bytes())
    half = [
        r._replace(usd="0.102") if r.item == "msk/broker/kafka.m7g.large" else r for r in unpack(DATA / "msk.csv.gz")
    ]
    (book / "msk.csv.gz").write_bytes(pack(half))
    flow = resolved(from_yaml(TEXT))["flows"][0]
    flow["workload"] |= {"rate": 1500.0}
    data = resolved(scenario({"price_book": str(book)}, flows=[flow]))
    then = made(load_scenario(data | {"overrides": {"search.merge_amplification": 9.0},
                                      "elasticsearch": data["elasticsearch"] | {"kind": "self-managed-opensearch"},
                                      "money": data["money"] | {"snapshots": {"every": 3600.0}}}))  # fmt: skip
    was = reviewed(then) | {"monthly_usd": str(then.bill.monthly_usd - 7)}
    now = made(scenario({"snapshots": {"every": 3600.0}}))
    found = against(now, was)
    by = {p.name: p for p in found.parts}
    assert found.was_usd + total_of(found.parts) == found.is_usd == now.bill.monthly_usd
    assert by["engine"].added_usd == 7
    assert by["coefficients"].added_usd < 0  # merges write less: snapshots hold less
    assert cents(by["prices"].added_usd / D("1.1")) == pytest.approx(D("223.38"), abs=D("0.02"))  # 2,190 h x 0.102
    assert by["scenario"].added_usd != 0 and by["prices"].effects[0].name == "MSK broker kafka.m7g.large"
    assert ("flows[0].workload.rate", "1500.0", "2000.0") in found.fields


def test_a_book_that_is_gone_lives_on_in_the_reviews_rows():
    was = reviewed(usual())
    was["prices"]["digest"] = "0" * 12
    for row in was["prices"]["rows"]:
        if row["item"] == "msk/broker/kafka.m7g.large":
            row["usd"] = "0.3"
    was["monthly_usd"] = str(usual().bill.monthly_usd + cents(D("210.24") * D("1.1")))  # 2,190 h x 0.096, support
    found = against(usual(), was)
    assert [p.name for p in found.parts if abs(p.added_usd) > D("0.01")] == ["prices"]
    assert "is not here" in found.notes[0]


@pytest.mark.parametrize(("text", "words"), [
    ("{}", "it has no 'review'"), ("[1]", "it has no 'review'"), ("not json", "not JSON"),
    ('{"review": {"scenario": {}}}', "its review lacks coefficients"),
])  # fmt: skip
def test_a_file_that_is_no_report_is_refused(text, words, tmp_path):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ScenarioError, match=words):
        load_review(tmp_path / "x.json")


def test_an_earlier_scenario_that_todays_engine_cannot_read_is_said_to_be_one():
    was = reviewed(usual())
    was["scenario"]["kafka"]["zookeepers"] = 3
    with pytest.raises(ScenarioError, match=r"today's engine cannot read the earlier scenario.*zookeepers"):
        against(usual(), was)


# --- against actuals ----------------------------------------------------------------------------------------------


def charge(service, usage, quantity, unit, usd, kind="usage", region="us-east-1"):
    amount = None if quantity is None else D(str(quantity))
    return Charge(kind, service, usage, "", region, "", amount, unit, D(str(usd)), "2026-12")


def charged(*charges, basis="unblended", outside=0):
    return Actuals("test", basis, "2026-12", Scope(), charges, D(outside), len(charges))


def found_in(out, *charges, **more):
    v = held_against(out, charged=charged(*charges, **more)).actuals
    parts = sum((v.part(n) for n in ("quantity_usd", "rate_usd", "new_usd", "unexplained_usd")), D(0))
    assert v.actual_usd - v.forecast_usd == parts
    assert all(r.variance_usd == r.quantity_usd + r.rate_usd + r.new_usd + r.unexplained_usd for r in v.rows)
    assert all(x == cents(x) for r in v.rows for x in (r.quantity_usd, r.rate_usd, r.new_usd, r.unexplained_usd))
    return v, {r.key.usage_type: r for r in v.rows}


def test_an_invoice_that_is_the_forecast_varies_by_nothing():
    """Each line charged as forecast, tiers together; only lines without a usage type are left over."""
    out = made(scenario({"month": "2026-12", "support_plan": "none"}))
    lines = [x for x in out.months[0].bill.lines if x.price.usage_type]
    stated = made(scenario({"month": "2026-12", "support_plan": "none"})).bill.bill.lines
    charges = [charge(x.price.service_code, x.price.usage_type, x.quantity, x.price.unit, x.monthly_usd)
               for x in stated if x.price.usage_type]  # fmt: skip
    v, _ = found_in(out, *charges)
    assert lines and {r.state for r in v.rows} <= {"matched", "unexplained"}
    assert v.part("rate_usd") == v.part("quantity_usd") == v.part("new_usd") == 0
    unread = sum((x.monthly_usd for x in stated if not x.price.usage_type), D(0))
    assert v.part("unexplained_usd") == -unread


def test_a_variance_is_rate_and_quantity():
    """The forecast's December: 3 brokers x 744 h at 0.204. Charged: 2,000 h at 0.25."""
    v, rows = found_in(usual(), charge("AmazonMSK", "USE1-Kafka.m7g.large", 2000, "Hrs", "500"))
    row = rows["kafka.m7g.large"]
    assert (row.forecast_usd, row.actual_usd) == (D("455.33"), 500)
    assert row.quantity_usd == D("-47.33") and row.rate_usd == 500 - D("455.33") + D("47.33")
    assert row.state == "matched" and not row.unexplained_usd
    assert any(r.state == "removed" and r.new_usd == -r.forecast_usd for r in v.rows)


def test_a_usage_type_that_the_book_knows_is_new_and_another_is_unexplained_never_spread():
    _, rows = found_in(usual(), charge("AmazonEC2", "NatGateway-Hours", 744, "Hrs", "33.48"),
                       charge("AmazonEC2", "Wormhole-Bytes", 5, "GB", "9.99"))  # fmt: skip
    assert rows["natgateway-hours"].state == "new" and rows["natgateway-hours"].new_usd == D("33.48")
    assert rows["wormhole-bytes"].state == "unexplained" and rows["wormhole-bytes"].unexplained_usd == D("9.99")


def test_units_that_cannot_be_compared_are_unexplained():
    _, rows = found_in(usual(), charge("AmazonMSK", "USE1-Kafka.m7g.large", 3, "broker-months", "500"))
    row = rows["kafka.m7g.large"]
    assert row.state == "unexplained" and row.unexplained_usd == row.variance_usd and "cannot be compared" in row.told


def test_every_unit_that_a_joined_price_has_is_known():
    """Else a forecast line could never be compared with its charge."""
    units = {r.unit for name in ("services", "msk", "opensearch", "emr", "ec2") for r in unpack(DATA / f"{name}.csv.gz")
             if r.usage_type}  # fmt: skip
    assert [unit for unit in sorted(units) if unit_of(unit) is None] == []


@pytest.mark.parametrize(("ours", "theirs"), [
    ("broker-hour", "hours"), ("hour", "Hrs"), ("GB-month", "GB-Mo"), ("GB-month", "GB-Months"), ("GB", "GB"),
    ("request", "Requests"), ("LCU-hour", "LCU-Hrs"), ("metric-month", "Metrics"), ("alarm-metric-month", "Alarms"),
    ("IOPS-month", "IOPS-Mo"), ("vCPU-hour", "vCPU-Hours"), ("cluster-hour (standard support)", "Hours"),
])  # fmt: skip
def test_the_words_of_price_lists_reports_and_exports_are_one_unit(ours, theirs):
    assert unit_of(ours) == unit_of(theirs) is not None


def test_throughput_that_ebs_counts_by_the_gib_is_compared_by_the_mb():
    assert unit_of("GiBps-mo") == (unit_of("MB/s-month")[0], 1024)


def test_transfer_meets_whatever_service_it_is_invoiced_under():
    _, rows = found_in(usual(), charge("AmazonEC2", "USE1-DataTransfer-Regional-Bytes", 100, "GB", "1"),
                       charge("AmazonMSK", "DataTransfer-Regional-Bytes", 100, "GB", "1"))  # fmt: skip
    row = rows["datatransfer-regional-bytes"]
    assert row.state == "matched" and row.actual_usd == 2 and row.actual_quantity == 200


def test_the_same_usage_type_of_emr_and_of_ec2_are_two():
    assert key_of("ElasticMapReduce", "BoxUsage:m7g.xlarge", "us-east-1") != key_of(
        "AmazonEC2", "BoxUsage:m7g.xlarge", "us-east-1"
    )


def test_on_an_amortised_basis_a_commitment_meets_the_machines_own_usage_type():
    out = rich()
    _, cash = found_in(out)
    v, spread = found_in(out, basis="amortised")
    assert "heavyusage:m7g.2xlarge" in cash and "heavyusage:m7g.2xlarge" not in spread
    box = next(r for r in v.rows if r.key.family == "AmazonEC2" and r.key.usage_type == "boxusage:m7g.2xlarge")
    assert cash["heavyusage:m7g.2xlarge"].forecast_usd == box.forecast_usd


def test_tax_credits_refunds_and_people_are_not_in_the_comparison():
    v, _ = found_in(rich(), charge("AmazonMSK", "USE1-Kafka.m7g.large", 2232, "Hrs", "409.80"),
                    charge("AmazonMSK", "Tax", None, "", "20", "tax"),
                    charge("AmazonMSK", "Credit", None, "", "-50", "credit"),
                    outside=12)  # fmt: skip
    assert v.actual_usd == D("409.80") and v.invoiced_usd == D("379.80")
    assert v.forecast_usd == sum(x.monthly_usd for x in v.forecast.lines if x.is_aws)
    assert v.as_dict()["apart"] == {"tax": "20.00", "credit": "-50.00", "refund": "0.00"}
    assert v.as_dict()["outside_scope_usd"] == "12.00"


def test_cents_of_single_roundings_are_shown_and_not_lost():
    charges = [charge("AmazonEC2", f"Odd{k}", 1, "GB", "0.004") for k in range(5)]
    v, rows = found_in(usual(), *charges)
    assert v.actual_usd == D("0.02") and rows[""].told
    assert any(r.key.family == "rounding" and r.unexplained_usd == D("0.02") for r in v.rows)


# --- the workbook -------------------------------------------------------------------------------------------------


def workbook_of(out, path):
    from planner.export_workbook import write_workbook

    write_workbook(out, path)
    return path


def recomputed(path):
    """Every cell as the `formulas` package computes it: {(sheet, cell): value}."""
    import formulas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = formulas.ExcelModel().loads(str(path)).finish()
        solution = model.calculate()
    found = {}
    for key, ranges in solution.items():
        match = re.fullmatch(r"'?\[[^\]]+\]([^'!]+)'?!([A-Z]+\d+)", str(key))
        if match:
            found[match[1], match[2]] = ranges.value[0, 0]
    return found


def labelled(path, sheet, label, column="B"):
    import openpyxl

    for row in openpyxl.load_workbook(path)[sheet].iter_rows(max_col=1):
        if row[0].value == label:
            return f"{column}{row[0].row}"
    raise AssertionError(label)


def usd_of(value) -> Decimal:
    return cents(D(repr(float(value))))


def test_the_workbook_recomputed_has_the_bills_totals_to_the_cent(tmp_path):
    for name, out in (("usual", usual()), ("rich", rich())):
        path = workbook_of(out, tmp_path / f"{name}.xlsx")
        cells = recomputed(path)
        bill = out.bill.bill
        assert usd_of(cells["SUMMARY", labelled(path, "Summary", "total")]) == bill.monthly_usd
        assert usd_of(cells["SUMMARY", labelled(path, "Summary", "AWS")]) == bill.aws_usd
        for system, usd in bill.by_system.items():
            assert usd_of(cells["SUMMARY", labelled(path, "Summary", f"system: {system}")]) == usd
        last = len(out.months) + 2
        assert usd_of(cells["MONTHS", f"D{last}"]) == out.total_usd
        for number, month in enumerate(out.months):
            assert usd_of(cells["MONTHS", f"D{number + 2}"]) == month.bill.monthly_usd


def test_changing_one_quantity_changes_the_totals_and_the_support_that_follows(tmp_path):
    import openpyxl

    out = usual()
    path = workbook_of(out, tmp_path / "x.xlsx")
    book = openpyxl.load_workbook(path)
    sheet = book["Lines"]
    row = next(r for r in range(2, 60) if sheet.cell(r, 3).value == "MSK broker kafka.m7g.large")
    sheet.cell(row, 4).value = float(sheet.cell(row, 4).value) * 3
    book.save(path)
    cells = recomputed(path)
    total = usd_of(cells["SUMMARY", labelled(path, "Summary", "total")])
    more = out.bill.bill.lines[0].monthly_usd * 2
    assert total == out.bill.monthly_usd + more + cents(more / 10)  # business support is a tenth of the first 10,000


def test_no_text_from_outside_is_a_formula_in_any_form(tmp_path):
    import openpyxl

    out = rich()
    path = workbook_of(out, tmp_path / "x.xlsx")
    texts, ours = set(), set()
    for sheet in openpyxl.load_workbook(path):
        for cell in (c for row in sheet.iter_rows() for c in row if c.value is not None):
            (ours if cell.data_type == "f" else texts).add(cell.value)
    assert {TRAP, "+1", "@search", "=1+1"} <= texts
    assert all(re.match(r"=(ROUND|SUM|SUMIF|IF|MAX|MIN|Lines!|Months!|Summary!|[A-Z]\d)", text) for text in ours)
    table = [v for row in csv.reader(io.StringIO(finance_tell.as_csv(out))) for v in row]
    assert not [v for v in table if v.startswith(("=", "@", "+"))] and f"'{TRAP}" in table
    page = as_html(out)
    assert TRAP not in page and "<script" not in page and "http://" not in page.replace("=HYPERLINK(&quot;http://", "")


def test_reviews_and_variances_are_sheets_whose_sums_are_formulas(tmp_path):
    out = held_against(usual(), reviewed(usual()) | {"monthly_usd": "1000.00"},
                       charged(charge("AmazonMSK", "USE1-Kafka.m7g.large", 2000, "Hrs", "500")))  # fmt: skip
    path = workbook_of(out, tmp_path / "x.xlsx")
    cells = recomputed(path)
    last = labelled(path, "Since last review", "all of it")
    assert usd_of(cells["SINCE LAST REVIEW", last]) == out.bill.monthly_usd - 1000
    assert usd_of(cells["SINCE LAST REVIEW", last.replace("B", "C")]) == out.bill.monthly_usd
    whole = labelled(path, "Against actuals", "all", "J")
    assert usd_of(cells["AGAINST ACTUALS", whole]) == out.actuals.actual_usd - out.actuals.forecast_usd
    unexplained = labelled(path, "Against actuals", "all", "N")
    assert usd_of(cells["AGAINST ACTUALS", unexplained]) == out.actuals.part("unexplained_usd")


# --- the command --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    app = typer.Typer()
    register(app)
    path = tmp_path / "quick.yaml"
    path.write_text(TEXT)
    return lambda *args, file=path: CliRunner().invoke(
        app, [str(a) for a in (args[0], file, "--no-simulate", "--draws", 0, *args[1:])]
    )


def test_the_report_is_written_in_each_format_and_taken_up_again(run, tmp_path):
    outputs = [tmp_path / f"r{suffix}" for suffix in finance_tell.FORMATS]
    done = run("report", "--months", 2, *(x for path in outputs for x in ("-o", path)))
    assert done.exit_code == 0, done.output
    assert all(path.stat().st_size > 2000 for path in outputs)
    again = run("report", "--months", 2, "--against", outputs[0], "--json")
    told = json.loads(again.stdout)
    assert [p["added_usd"] for p in told["against"]["parts"]] == ["0.00"] * 4
    assert told["review"]["monthly_usd"] == told["against"]["is_usd"]


def test_a_broken_budget_is_exit_code_3_and_wrong_options_are_2(run, tmp_path):
    tight = tmp_path / "tight.yaml"
    tight.write_text(TEXT + "targets: {monthly_budget_usd: 100}\n")
    assert run("report", "--months", 1, "--json", file=tight).exit_code == 3
    assert run("report", "--basis", "gross").exit_code == 2
    assert run("report", "--cost-explorer").exit_code == 2
    assert run("report", "--tag", "team=x").exit_code == 2
    assert run("report", "--actuals", tmp_path / "no.csv").exit_code == 1
    assert run("report", "-o", tmp_path / "x.pdf").exit_code == 1


def test_a_scenario_written_out_makes_the_same_report():
    again = made(from_yaml(to_yaml(scenario())))
    assert finance_tell.as_dict(again) == finance_tell.as_dict(usual())
    assert replace(usual(), seed=2).total_usd == usual().total_usd


def test_variance_needs_no_report():
    v = variance(usual().bill.bill, charged(), PriceBook(), "us-east-1")
    assert v.actual_usd == 0 and v.part("new_usd") + v.part("unexplained_usd") == -v.forecast_usd
