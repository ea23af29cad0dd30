"""The bill of a scenario: its range, budget, commitments, gaps, exports, bridge and months."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
from decimal import Decimal
from functools import cache

import pytest

from models.coefficients import load_set
from planner import money_tell
from planner.bill import MonthlyBill, billed, monthly_bill
from planner.forecast import coefficients_of, forecast
from planner.money_bridge import PlanFile, assumed, bridged, load_plan, look
from planner.money_months import months, remarks
from planner.money_notes import notes_of
from planner.money_schema import bill_schema
from planner.refusal import ScenarioError
from planner.scenario import example, from_yaml, load_scenario, resolved
from planner.usage import paces
from pricing.price_book import DATA, PriceBook
from pricing.rows import pack, unpack

C = load_set("generic-2026-11")
QUICK = """
name: quick
flows:
- workload: {rate: 200/s, size: 500 B}
  topic: {partitions: 2}
  query: {trigger: 2 s, max_offsets_per_trigger: 10k, sink: {kind: jvm-connector, ids: explicit}}
  index: {retention: 1 d}
run: {measure: 20, warm_up: 6, repeats: 2}
"""


def quick(money=None, **parts):
    data = resolved(from_yaml(QUICK)) | parts
    return load_scenario(data | {"money": money or {}})


def bill(money=None, **parts) -> MonthlyBill:
    return monthly_bill(quick(money, **parts), C)


@cache
def whole():
    it = quick(targets={"monthly_budget_usd": 1000.0, "p99": 60.0})
    return forecast(it, draws_of_coefficients=2)


# --- the forecast carries it --------------------------------------------------------------------------------------


def test_a_forecast_and_the_command_say_the_same_bill():
    assert billed(whole().scenario, draws_of_coefficients=2).as_dict() == whole().as_dict()["bill"]


def test_the_bill_and_its_book_are_in_the_forecast():
    told = whole().as_dict()
    assert told["digests"]["price_book"] == told["bill"]["price_book"]["digest"] == PriceBook().digest
    assert told["bill"]["monthly_usd"] == pytest.approx(sum(x["monthly_usd"] for x in told["bill"]["lines"]))
    text = whole().as_text()
    assert f"{whole().bill.monthly_usd:,.0f} USD a month" in text and "most of it: " in text


def test_the_schema_tells_every_name_of_the_bill():
    jsonschema = pytest.importorskip("jsonschema")
    money = {"commitments": [{"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 1}], "prices": {"nat/hour": 1}}
    for made in (whole().bill, bill(money), monthly_bill(example("lab"), C)):
        jsonschema.validate(made.as_dict(), bill_schema())


def test_a_budget_is_judged_on_p90_and_is_sure_only_if_p10_agrees():
    spread = {"load_spread": 5.0}
    flow = resolved(from_yaml(QUICK))["flows"][0]
    flow["workload"] |= {"rate": 30_000.0}
    made = bill(spread, flows=[flow])
    low, high = made.range.p10_usd, made.range.p90_usd
    assert low < float(made.monthly_usd) < high
    from planner.verdict import _budget_of_money

    class Out:
        bill = made

    verdicts = [_budget_of_money(Out, budget) for budget in (low * 0.9, (low + high) / 2, high * 1.1)]
    assert [(v.holds, v.sure) for v in verdicts] == [(False, True), (False, False), (True, True)]
    assert "most of it" in verdicts[0].reason


def test_a_broken_budget_breaks_the_forecast():
    target = next(t for t in whole().targets if t.target == "monthly_budget_usd")
    assert not target.holds and not whole().holds and "USD at P90" in str(target.forecast)


def test_the_same_seed_says_the_same_range_and_another_seed_another():
    it = quick({"load_spread": 1.0, "spot_share": 0.5})
    a, b, c = (monthly_bill(it, C, seed=seed).range for seed in (1, 1, 2))
    assert a == b != c


def test_next_events_cost_less_than_the_average_one_on_boxes_that_stand_anyway():
    made = bill()
    assert 0 < made.marginal[0] < made.unit.usd_per_million_events
    assert made.marginal[0] == pytest.approx(made.unit.metered_usd_per_million_events, rel=1)


# Events: 2,500/s x 730 h x 1.0246 (5 % growth within the month) = 6.73 G, 850 B of JSON each: 5,330 GB, two thirds of
# it to another zone, billed on both sides. A batch every 10 s is 262,800; each writes 2 + 200 x 1.1 files by PUT and
# COPY. EMR's disks: 16 GiB a vCPU of two 2xlarge and one xlarge.
EVENTS = """\
kafka|MSK broker kafka.m7g.large|2190|0.204|446.76
kafka|MSK broker storage (provisioned GP2-priced)|4608|0.1|460.80
kafka|Data transfer between zones: producers|5849|0.01|58.49
kafka|Data transfer between zones: consumer group query|5849|0.01|58.49
spark|EC2 m7g.2xlarge on demand (Spark executors)|1460|0.3264|476.54
spark|EC2 m7g.xlarge on demand (Spark driver and masters)|730|0.1632|119.14
spark|EMR on EC2 m7g.2xlarge (executors)|1460|0.0816|119.14
spark|EMR on EC2 m7g.xlarge (driver and masters)|730|0.0408|29.78
spark|EBS gp3 storage (Spark)|320|0.08|25.60
spark|EBS gp3 storage (boot volumes)|60|0.08|4.80
spark|S3 standard PUT, COPY, POST, LIST (checkpoints)|116683200|0.000005|583.42
spark|S3 standard GET and others (checkpoints)|116683200|0.0000004|46.67
spark|S3 standard storage (checkpoints) (0 to 51,200 GB-month)|3|0.023|0.07
elasticsearch|OpenSearch r7g.large.search (data nodes)|2190|0.178|389.82
elasticsearch|OpenSearch gp3 storage (data nodes)|3072|0.122|374.78
elasticsearch|Data transfer between zones: bulk requests|7107|0.01|71.07
elasticsearch|Data transfer between zones: search answers|555|0.01|5.55
"""


def test_bill_of_the_example_for_finance():
    """At a batch a trigger, line by line; the overrun of the trigger that a run shows takes batches away."""
    made = billed(example("events"), simulated=False).bill
    rows = (f"{x.system}|{x.name}|{x.quantity:.0f}|{x.price.usd:f}|{x.monthly_usd}" for x in made.lines)
    assert "\n".join(rows) + "\n" == EVENTS
    flow = example("events").flows[0]
    growth = (1.05 - 1) / math.log(1.05)  # mean of 1.05^t over a month
    gb = 2500 * 730 * 3600 * growth * flow.workload.json_bytes / 2**30
    bulks = next(x for x in made.lines if "bulk" in x.name)
    assert float(bulks.quantity) == pytest.approx(gb * 2 / 3 * 2, rel=1e-9)


# --- terms --------------------------------------------------------------------------------------------------------


def test_a_price_book_of_last_quarter_makes_last_quarters_bill_again(tmp_path):
    for path in DATA.glob("*.csv.gz"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    rows = [r._replace(usd="0.5") if r.item == "msk/broker/kafka.m7g.large" else r for r in unpack(DATA / "msk.csv.gz")]
    (tmp_path / "msk.csv.gz").write_bytes(pack(rows))
    now, then = bill(), bill({"price_book": str(tmp_path)})
    assert then.monthly_usd - now.monthly_usd == Decimal("648.24")  # 2,190 h x (0.50 - 0.204)
    assert then.bill.book_digest != now.bill.book_digest


@pytest.mark.parametrize(("money", "words"), [
    ({"region": "xx-moon-1"}, "is not in the price book"),
    ({"price_book": "/nowhere"}, "expected 'packaged' or a folder"),
    ({"commitments": [{"kind": "ec2-ri", "machine": "kafka.m7g.large", "count": 1}]}, "MSK sells no reserved"),
    ({"commitments": [{"kind": "compute-sp", "machine": "r7g.large", "count": 1}]}, "give share_of_listed"),
])  # fmt: skip
def test_what_cannot_be_priced_is_refused_with_what_would_do(money, words):
    with pytest.raises(ScenarioError, match=words):
        bill(money)


@pytest.mark.parametrize(("money", "words"), [
    ({"engineer_hours": 3}, "engineer_usd_per_hour"), ({"currency_per_usd": 2}, "currency"),
    ({"month": "2026-13"}, "money.month"), ({"third_parties": {"a": -1}}, "third_parties"),
])  # fmt: skip
def test_money_that_contradicts_itself_is_refused(money, words):
    with pytest.raises(ScenarioError, match=words):
        quick(money)


def test_a_commitment_is_paid_used_or_not_and_its_hours_leave_the_on_demand_lines():
    two = {"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 2, "payment": "all"}
    plain, held, idle = bill(), bill({"commitments": [two]}), bill({"commitments": [two | {"machine": "r7g.2xlarge"}]})
    assert held.monthly_usd < plain.monthly_usd < idle.monthly_usd
    used, unused = held.commitments[0], idle.commitments[0]
    assert used.plan.utilisation == 1 and unused.plan.utilisation == 0
    assert used.plan.break_even_month == 8  # 1 yr all upfront at 0.617 of on demand is earned back in 7.4 months
    assert unused.plan.break_even_month is None and unused.plan.saved_usd < 0


def test_leaving_the_machine_strands_what_the_term_still_costs():
    said = {"kind": "opensearch-ri", "machine": "r7g.large.search", "count": 3, "leaves_in_month": 7}
    plan = bill({"commitments": [said]}).commitments[0].plan
    assert plan.stranded_usd == (plan.hourly_commitment_usd * 730 * 6).quantize(Decimal("0.01"))


def test_support_is_a_share_of_what_is_paid_after_discounts_and_commitments():
    def support(**money):
        made = bill({"support_plan": "business", "account": {"aws_usd": 5000}} | money).bill
        return made.by_kind["support"], sum(x.monthly_usd for x in made.lines if x.kind != "support")

    plain, charged = support()
    less, lower = support(discounts=[{"service": "AmazonMSK", "share": "50 %"}])
    assert lower < charged and plain - less == pytest.approx((charged - lower) / 10, abs=Decimal("0.01"))


def test_a_missing_price_is_a_gap_with_its_quantity_and_a_sum_that_says_so():
    made = bill({"region": "ap-south-1"})
    assert not made.bill.complete and any("gp3" in gap.item for gap in made.bill.gaps)
    assert "at least" in money_tell.headline(made) and any("not priced" in note for note in made.notes)


def test_what_is_not_stated_is_said_to_be_left_out():
    assert "monitoring" in bill().notes[0] and "people" in bill().notes[0]
    it = quick(
        {"monitoring": {"alarms": 1}, "support_plan": "business", "engineer_hours": 1, "engineer_usd_per_hour": 1}
    )
    assert not any("left" in n or "nothing is stated" in n for n in notes_of(it, monthly_bill(it, C).bill, PriceBook()))


def test_a_fault_that_the_run_does_not_see_the_end_of_is_said_with_the_window_that_would():
    """The rebuilding starts 91 s after a node is gone: a run that has ended by then bills none of it."""
    faults = ["data-node-lost 0 at 20 s"]
    short = bill(faults=faults, elasticsearch={"data_nodes": 3})
    told = next(note for note in short.notes if "data-node-lost" in note)
    assert "ends at 26 s" in told and "run.measure = 5.23 min" in told
    long = bill(faults=faults, elasticsearch={"data_nodes": 3}, run={"measure": 400, "warm_up": 6})
    assert not any("data-node-lost" in note for note in long.notes + bill().notes)


def test_stacks_of_one_account_share_its_tiers_and_pay_support_once():
    """Production and staging: the second one's metrics start where the first one's ended, and support is one line."""
    watched = {"monitoring": {"custom_metrics": 9000}, "support_plan": "business"}
    one = quick(watched)
    staging = quick(watched).model_copy(update={"name": "staging"})
    alone, both = billed(one, simulated=False), billed(one, staging, simulated=False)
    metrics = [(dict(x.tags)["stack"], x.quantity) for x in both.bill.lines if x.price.item == "cloudwatch/metric"]
    assert metrics == [("quick", 9000), ("staging", 1000), ("staging", 8000)]
    support = [x for x in both.bill.lines if x.kind == "support"]
    assert sum(x.quantity for x in support) == both.bill.aws_usd - both.bill.by_kind["support"]
    assert alone.monthly_usd < both.monthly_usd < 2 * alone.monthly_usd
    assert both.range.p90_usd - both.range.p10_usd > alone.range.p90_usd - alone.range.p10_usd


# --- exports ------------------------------------------------------------------------------------------------------

TRAP = '=HYPERLINK("http://x","y")'


@cache
def tagged() -> MonthlyBill:
    it = quick({"third_parties": {TRAP: 10.0, "+1": 2.5}})
    return monthly_bill(it.model_copy(update={"tags": {"team": "@search", "cost": "=1+1"}}), C)


def test_every_format_has_the_same_lines_and_cents(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    made = tagged()
    total = made.monthly_usd
    table = list(csv.DictReader(io.StringIO(money_tell.as_csv(made))))
    assert sum(Decimal(row["monthly_usd"]) for row in table) == total
    money_tell.write_xlsx(made, tmp_path / "x.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["lines"]
    head = [cell.value for cell in sheet[1]]
    column = head.index("monthly_usd")
    cells = [row[column].value for row in sheet.iter_rows(min_row=2)]
    assert sum(Decimal(str(value)) for value in cells) == total and len(cells) == len(table) == len(made.bill.lines)
    assert sum(Decimal(str(x["monthly_usd"])) for x in json.loads(money_tell.as_json(made))["lines"]) == total
    assert f"| total | {total:,.2f} |" in money_tell.as_markdown(made)


def test_text_in_a_spreadsheet_is_never_a_formula(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    money_tell.write_xlsx(tagged(), tmp_path / "x.xlsx")
    found = set()
    for sheet in openpyxl.load_workbook(tmp_path / "x.xlsx"):
        for row in sheet.iter_rows():
            for cell in row:
                assert cell.data_type != "f", cell.value
                found.add(cell.value)
    assert {TRAP, "+1", "@search", "=1+1"} <= found
    values = [value for row in csv.reader(io.StringIO(money_tell.as_csv(tagged()))) for value in row]
    assert not [v for v in values if v.startswith(("=", "@", "+"))] and f"'{TRAP}" in values


def test_tags_ride_on_every_line():
    assert all(dict(x.tags) == {"team": "@search", "cost": "=1+1"} for x in tagged().bill.lines)


def test_people_and_third_parties_are_not_awss():
    made = bill({"third_parties": {"pager": 10}, "engineer_hours": 10, "engineer_usd_per_hour": 100})
    assert made.bill.other_usd == Decimal("1010.00") and made.bill.aws_usd == bill().bill.aws_usd


# --- why 2k became 12k --------------------------------------------------------------------------------------------


@cache
def events_bridge():
    it = example("events")
    return bridged(it, load_plan("plan", it), simulated=False)


def test_two_thousand_became_twelve_by_named_causes():
    """The story: 'around $2k to like $12k'. Each cause adds; together they are the whole difference, to the cent."""
    made = events_bridge()
    assert 1_700 < made.start.monthly_usd < 2_300 and 10_500 < made.end.monthly_usd < 13_500
    assert all(step.added_usd > 0 for step in made.steps) and len(made.steps) >= 12
    assert made.start.monthly_usd + sum(step.added_usd for step in made.steps) == made.end.monthly_usd
    assert sum(e.price_usd for e in made.effects) == 0  # no list price moved: it is all quantity


def test_three_copies_alone_do_not_explain_it():
    made = events_bridge()
    copies = sum(s.added_usd for s in made.steps if "copies" in s.cause)
    assert copies < (made.end.monthly_usd - made.start.monthly_usd) / 10


def test_what_the_plan_had_forgotten_ends_at_the_scenarios_own_bill():
    made, own = events_bridge(), monthly_bill(example("events"), C)
    assert own.monthly_usd in [step.total_usd for step in made.steps]


def test_a_plan_that_names_what_is_not_there_is_refused():
    it = example("events")
    with pytest.raises(ScenarioError, match=r"no flows\[3\]"):
        assumed(resolved(it), PlanFile(name="x", plan={"flows[3].topic.copies": 1}))
    with pytest.raises(ScenarioError, match="packaged plans are for events"):
        load_plan("plan", example("lab"))


def test_a_plan_without_causes_ends_at_the_scenario():
    it = quick()
    made = bridged(it, PlanFile(name="quick", plan={"kafka.zones": 1}), simulated=False)
    assert [s.cause for s in made.steps] == ["all else: kafka.zones"]
    assert made.end.monthly_usd == monthly_bill(it, coefficients_of(it)).monthly_usd
    assert look(assumed(resolved(it), PlanFile(name="x", plan={"kafka.zones": 1})), "kafka.zones") == 1


# --- month by month -----------------------------------------------------------------------------------------------


def after(it, horizon: int):
    return months(it, C, paces(it), horizon)


def test_load_grows_disks_fill_and_are_enlarged_before_they_are_full():
    it = example("events")
    made = after(it, 12)
    assert made[11].events == pytest.approx(made[0].events * 1.05**11)
    assert all(m.full["kafka"] <= 0.85 and m.full["elasticsearch"] <= 0.85 for m in made)
    assert any("disks enlarged" in step for m in made for step in m.steps)
    quiet = [(a, b) for a, b in itertools.pairwise(made) if not b.steps]
    assert quiet and all(b.bill.monthly_usd > a.bill.monthly_usd for a, b in quiet)  # only the metered part grows
    assert all(m.range.p10_usd < m.range.p50_usd < m.range.p90_usd for m in made)


def test_a_months_disks_are_enlarged_by_the_rule_that_the_scenario_says_and_hold_what_rolled_over():
    """AWS blocks writes below 20 GiB free, or below 20 % by its newer text; a rollover keeps one index more."""

    def disks(rule, **index):
        flow = resolved(from_yaml(QUICK))["flows"][0]
        flow["workload"] |= {"rate": 20_000.0}
        flow["index"] |= {"retention": "5 d", **index}
        made = after(quick(flows=[flow], elasticsearch={"free_space_rule": rule}), 1)[0]
        return made.scenario.elasticsearch.volume.size, made.full["elasticsearch"]

    small, large = disks("smaller"), disks("larger")
    assert large[0] > small[0] and large[1] < small[1]  # 85 % for the low mark, 80 % for the block
    assert disks("smaller", rollover="5 d")[0] == pytest.approx(2 * small[0], rel=0.1)


def test_a_commitment_that_runs_out_raises_the_month_after():
    said = {"kind": "ec2-ri", "machine": "m7g.2xlarge", "count": 2, "owned_months": 10}
    made = after(quick({"commitments": [said]}), 4)
    assert made[1].bill.monthly_usd < made[2].bill.monthly_usd == made[3].bill.monthly_usd
    assert made[2].steps == ("ec2-ri of m7g.2xlarge has run out",)


def test_dated_months_have_their_own_hours():
    made = after(quick({"month": "2026-12"}), 3)
    assert [m.bill.month.label for m in made] == ["2026-12", "2027-01", "2027-02"]
    assert made[2].bill.monthly_usd < made[1].bill.monthly_usd


@pytest.mark.parametrize("horizon", [0, 61])
def test_a_horizon_that_nobody_plans_by_is_refused(horizon):
    with pytest.raises(ScenarioError, match="1 to 60"):
        after(quick(), horizon)


def test_a_disk_larger_than_its_node_takes_asks_for_other_nodes():
    """r7g.large.search takes 1.5 TiB; fourteen days of two copies need 2.1 TiB of its 85 %."""
    made = after(example("events"), 3)
    assert "r7g.large takes 1.5 TiB at most" in made[0].needed and made[1].needed
    assert [bool(text) for text in remarks(made)] == [True, False, False]  # told once


def test_a_month_whose_peak_is_too_much_says_what_is_full():
    flow = resolved(from_yaml(QUICK))["flows"][0]
    flow["workload"] |= {"rate": 60_000.0, "daily_curve": [1.0, 3.0]}
    flow["query"] |= {"max_offsets_per_trigger": None}
    made = after(quick(flows=[flow]), 2)
    room = made[0].headroom
    assert room.needed and room.binding and "a step of machines is needed" in made[0].warning
    steady = after(quick(flows=[flow | {"workload": flow["workload"] | {"daily_curve": []}}]), 1)[0].headroom
    assert room.share == pytest.approx(steady.share * 1.5, rel=0.3)  # the daily peak, not the mean
