"""The commands about money: exit codes, formats, and that a book shown, compared and verified is the book billed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest
import typer
from typer.testing import CliRunner

import models.machines as tables
from planner.cli_money import register
from planner.money_alternatives import alternatives
from planner.scenario import example
from pricing.price_book import DATA, PriceBook
from pricing.rows import pack, unpack

ROOT = Path(__file__).parent.parent
QUICK = """
name: quick
flows:
- workload: {rate: 200/s, size: 500 B}
  topic: {partitions: 2}
  query: {trigger: 2 s, sink: {kind: jvm-connector, ids: explicit}}
  index: {retention: 1 d}
"""


@pytest.fixture
def run():
    app = typer.Typer()
    register(app)
    return lambda *args, text="": CliRunner().invoke(app, [str(a) for a in args], input=text)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "quick.yaml"
    path.write_text(QUICK)
    return path


def test_the_bill_is_written_in_the_format_of_each_suffix(run, file, tmp_path):
    outputs = [tmp_path / f"bill{suffix}" for suffix in (".json", ".csv", ".xlsx", ".md", ".txt")]
    done = run("bill", file, "--no-simulate", *(x for path in outputs for x in ("-o", path)))
    assert done.exit_code == 0, done.output
    assert all(path.stat().st_size > 200 for path in outputs)
    assert json.loads(outputs[0].read_text())["bill"]["by_system"].keys() == {"kafka", "spark", "elasticsearch"}


def test_a_suffix_without_a_format_writes_nothing(run, file, tmp_path):
    done = run("bill", file, "--no-simulate", "-o", tmp_path / "a.csv", "-o", tmp_path / "b.pdf")
    assert done.exit_code == 1 and not (tmp_path / "a.csv").exists()


def test_a_budget_that_p90_breaks_is_exit_code_3(run, file):
    file.write_text(QUICK + "targets: {monthly_budget_usd: 100}\n")
    assert run("bill", file, "--no-simulate").exit_code == 3
    file.write_text(QUICK + "targets: {monthly_budget_usd: 100_000}\n")
    assert run("bill", file, "--no-simulate").exit_code == 0


def test_plan_months_and_alternatives_come_as_one_json(run):
    path = ROOT / "planner" / "data" / "examples" / "events.yaml"
    done = run("bill", path, "--no-simulate", "--against", "plan", "--months", 3, "--alternatives", "--json")
    told = json.loads(done.stdout)
    assert told.keys() == {"schema_version", "bill", "bridge", "months", "alternatives"}
    assert told["bridge"]["end_usd"] == pytest.approx(told["bridge"]["steps"][-1]["total_usd"])
    assert len(told["months"]) == 3 and len(told["alternatives"]) == 6


def test_each_way_out_says_where_it_stops_or_that_nobody_published_it():
    found = {way.option.name: way for way in alternatives(example("events"))}
    serverless = found["MSK Serverless"]
    assert serverless.option.fits and 10_000 < serverless.stops_at < 1_000_000
    assert any("6.0 times" in r for r in found["Firehose"].option.remarks)  # 850 B billed as 5 KB


def test_a_way_out_is_compared_only_where_all_of_it_has_a_price():
    found = {way.option.name: way for way in alternatives(example("events"))}
    assert found["MSK Serverless"].verdict is not None and "dearer than your kafka" in found["MSK Serverless"].compared
    assert found["Kinesis provisioned"].verdict is not None  # a week's retention is priced too
    for name in ("Lambda + SQS", "OpenSearch Serverless"):
        assert found[name].verdict is None and "not compared" in found[name].compared


def test_an_unsure_price_that_could_turn_the_answer_is_named():
    """Firehose's price is remembered: 15 % either way passes what the brokers cost at some load."""
    events = example("events")
    turned = []
    for factor in (0.8, 1.0, 1.2, 1.4):
        load = events.flows[0].workload
        flow = events.flows[0].model_copy(update={"workload": load.model_copy(update={"rate": load.rate * factor})})
        way = next(w for w in alternatives(events.model_copy(update={"flows": (flow,)})) if w.option.name == "Firehose")
        turned.append(way.verdict.turned_by)
    assert ("firehose/ingest",) in turned and () in turned


def test_prices_are_shown_with_unit_grade_and_source(run):
    done = run("prices", "show", "msk/broker/kafka.m7g.large", "-r", "eu-west-1", "--json")
    (row,) = json.loads(done.stdout)
    assert row["usd"] == "0.2275" and row["unit"] == "broker-hour" and row["source"] and row["as_of"]
    assert run("prices", "show", "no/such", "-r", "eu-west-1").exit_code == 1
    assert run("prices", "show", "msk/", "-r", "eu-west-9").exit_code == 1  # a quota holds anywhere: no price list
    text = run("prices", "show", "msk/serverless").stdout
    assert "msk/serverless-partition" in text  # a name to copy is not cut short


@pytest.fixture
def other(tmp_path):
    """A book in which one price rose by a tenth and one is gone."""
    folder = tmp_path / "book"
    shutil.copytree(DATA, folder)
    rows = [r for r in unpack(DATA / "msk.csv.gz") if (r.item, r.region) != ("msk/connect", "us-east-1")]
    dearer = ("msk/standard-storage", "us-east-1")
    rows = [r._replace(usd=str(float(r.usd) * 1.1)) if (r.item, r.region) == dearer else r for r in rows]
    (folder / "msk.csv.gz").write_bytes(pack(rows))
    return folder


def test_two_books_differ_by_what_moved(run, other):
    told = json.loads(run("prices", "diff", "packaged", other, "--json").stdout)
    assert [(x["item"], round(x["change"], 6)) for x in told["changed"]] == [("msk/standard-storage", 0.1)]
    assert told["gone"] == [["msk/connect", "us-east-1"]] and told["new"] == []
    assert json.loads(run("prices", "diff", "packaged", other, "-r", "eu-west-1", "--json").stdout)["changed"] == []
    text = run("prices", "diff", "packaged", other).stdout
    assert "+10.0%" in text and "gone: msk/connect in us-east-1" in text


def test_a_price_that_is_billed_under_another_name_or_unit_is_told(run, other):
    """The same dollars under another usage type join no invoice any more."""
    rows = [r._replace(usage_type="X-Kafka") if (r.item, r.region) == ("msk/standard-storage", "eu-west-1") else r
            for r in unpack(DATA / "msk.csv.gz")]  # fmt: skip
    (other / "msk.csv.gz").write_bytes(pack(rows))
    (row,) = json.loads(run("prices", "diff", "packaged", other, "--json").stdout)["renamed"]
    assert row["item"] == "msk/standard-storage" and "X-Kafka" in row["is"] and "X-Kafka" not in row["was"]
    assert "other identity" in run("prices", "diff", "packaged", other).stdout


def test_alternatives_are_written_where_the_bill_is(run, file, tmp_path):
    for name in ("x.json", "x.md", "x.xlsx"):
        assert run("bill", file, "--no-simulate", "--alternatives", "-o", tmp_path / name).exit_code in (0, 3)
    told = json.loads((tmp_path / "x.json").read_text())["alternatives"]
    assert [way["name"] for way in told][-1] == "OpenSearch Serverless"
    assert "| MSK Serverless |" in (tmp_path / "x.md").read_text()
    sheet = openpyxl.load_workbook(tmp_path / "x.xlsx")["alternatives"]
    assert sheet["A2"].value == told[0]["name"] and sheet["B2"].value == round(told[0]["monthly_usd"], 2)


def test_the_packaged_book_holds_and_a_damaged_one_does_not(run, other):
    assert run("prices", "verify").exit_code == 0
    rows = [r._replace(usd="0.9") if (r.item, r.region) == ("ec2/on-demand/m7g.large", "us-east-1") else r
            for r in unpack(other / "ec2.csv.gz")]  # fmt: skip
    (other / "ec2.csv.gz").write_bytes(pack(rows))
    done = run("prices", "verify", "--book", other)
    assert done.exit_code == 3 and "m7g.large in us-east-1" in done.stdout


def test_a_bill_from_another_book_names_it(run, file, other):
    file.write_text(QUICK + f"money: {{price_book: {other}}}\n")
    told = json.loads(run("bill", file, "--no-simulate", "--json").stdout)["bill"]
    assert told["price_book"]["digest"] == PriceBook(other).digest != PriceBook().digest


def test_another_book_is_named_on_the_command_line_and_its_new_machines_are_known(run, file, other, monkeypatch):
    """The book's hardware is in its digest, and a type that only it knows can be billed."""
    monkeypatch.setenv(tables.MORE_TABLES, "")
    rows = tables.TABLE.read_text().splitlines()
    new = next(r for r in rows if r.startswith("m7g.2xlarge,")).replace("m7g.2xlarge,m7g,", "m77g.2xlarge,m77g,")
    bare = PriceBook(other).digest
    (other / "instance_types.csv").write_text("\n".join([rows[0], new]) + "\n")
    sold = [r._replace(item=r.item.replace("/m7g.", "/m77g."), usd="1") for r in unpack(other / "ec2.csv.gz")
            if r.item == "ec2/on-demand/m7g.2xlarge"]  # fmt: skip
    (other / "ec2.csv.gz").write_bytes(pack([*unpack(other / "ec2.csv.gz"), *sold]))
    file.write_text(QUICK + "spark: {kind: ec2, machine: m77g.2xlarge}\n")
    assert run("bill", file, "--no-simulate").exit_code == 1  # the packaged table does not know it
    told = json.loads(run("bill", file, "--no-simulate", "--json", "--book", other).stdout)["bill"]
    assert any("m77g.2xlarge" in line["name"] for line in told["lines"])
    assert told["price_book"]["digest"] == PriceBook(other).digest != bare
    monkeypatch.delenv(tables.MORE_TABLES)
    tables._by_name.cache_clear()
    tables.machines.cache_clear()


def test_a_workbook_holds_bridge_and_months_where_they_were_asked_for(run, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    path = ROOT / "planner" / "data" / "examples" / "events.yaml"
    done = run("bill", path, "--no-simulate", "--against", "plan", "--months", 3, "-o", tmp_path / "x.xlsx")
    assert done.exit_code == 0, done.output
    book = openpyxl.load_workbook(tmp_path / "x.xlsx")
    assert book.sheetnames == ["lines", "sums", "notes", "bridge", "months"]
    bridge = list(book["bridge"].iter_rows(min_row=2, values_only=True))
    assert bridge[0][2] + sum(row[1] for row in bridge[1:]) == pytest.approx(bridge[-1][2])
    assert [row[0] for row in book["months"].iter_rows(min_row=2, values_only=True)] == [1, 2, 3]


def test_the_policy_is_printed(run):
    told = json.loads(run("iam-policy").stdout)
    assert "pricing:GetProducts" in told["Statement"][0]["Action"] and told["Version"] == "2012-10-17"
    assert run("iam-policy", "all").exit_code == 2


def test_refreshing_without_credentials_is_one_message(run, tmp_path, monkeypatch):
    pytest.importorskip("boto3")
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    done = run("prices", "refresh", "-r", "us-east-1", "--into", tmp_path / "books")
    assert done.exit_code == 1 and "NoCredentialsError" in done.output


def test_the_command_starts_without_what_only_a_bill_needs():
    code = (
        "import sys, planner.cli, planner.cli_money as m; m.register(planner.cli.app); print([x for x in sys.modules])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    assert not [name for name in ("numpy", "boto3", "openpyxl", "pricing.bill", "rich.table") if f"'{name}'" in loaded]
