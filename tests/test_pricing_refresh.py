"""A refresh against botocore stubs with answers of the shape AWS records, and killed at every file it writes.

`Stubber` checks each call against botocore's own model of the service: names, types and required members.
"""

from __future__ import annotations

import atexit
import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import fields
from decimal import Decimal
from pathlib import Path

import pytest

boto3 = pytest.importorskip("boto3")
from botocore.stub import ANY, Stubber  # noqa: E402

import models.machines as tables  # noqa: E402
from models.machines import machines  # noqa: E402
from pricing import refresh as module  # noqa: E402
from pricing import refresh_calls as calls  # noqa: E402
from pricing import refresh_rules as rules  # noqa: E402
from pricing.commitments import offer  # noqa: E402
from pricing.iam import ACTIONS, policy  # noqa: E402
from pricing.price_book import DATA, PriceBook  # noqa: E402
from pricing.refresh import Clients, RefreshError, refresh  # noqa: E402
from pricing.refresh_sources import bulk_charges  # noqa: E402
from pricing.rows import pack, unpack  # noqa: E402

PACKAGED = PriceBook()
NOW = datetime.datetime(2026, 11, 24, 9, tzinfo=datetime.UTC)
ROOT = Path(__file__).parent.parent
REGION = "eu-central-1"


def small_book() -> PriceBook:
    """The packaged book with a few boxes of three regions, so that it is written in an instant."""
    folder = Path(tempfile.mkdtemp(prefix="book-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for path in DATA.glob("*.csv.gz"):
        rows = [r for r in unpack(path) if r.region in ("any", "us-east-1", REGION, "eu-west-1")]
        kept = [r for r in rows if "7g." in r.item or r.item.rpartition("/")[2].count(".") == 0]
        (folder / path.name).write_bytes(pack(kept))
    shutil.copy(DATA / "sources.csv", folder)
    return PriceBook(folder)


BASE = small_book()


def product(service: str, usage_type: str, unit: str, usd: str, tiers=None, reserved=(), **attributes: str) -> str:
    """One entry of GetProducts' PriceList: a JSON text, prices as strings (shape: aws-prices.md C)."""
    sku = f"{service}-{usage_type}"
    ranges = tiers or [("0", "Inf", usd)]
    dimensions = {
        f"{sku}.JRTCKXETXF.{n}": {"unit": unit, "beginRange": low, "endRange": high, "description": "", "appliesTo": [],
                                  "rateCode": f"{sku}.JRTCKXETXF.{n}", "pricePerUnit": {"USD": price}}
        for n, (low, high, price) in enumerate(ranges)
    }  # fmt: skip
    listed = {"priceDimensions": dimensions, "sku": sku, "offerTermCode": "JRTCKXETXF", "termAttributes": {}}
    terms = {"OnDemand": {f"{sku}.JRTCKXETXF": listed | {"effectiveDate": "2026-11-01T00:00:00Z"}}}
    if reserved:
        terms["Reserved"] = {f"{sku}.{code}": _reservation(sku, code, *rest) for code, *rest in reserved}
    return json.dumps({
        "product": {"productFamily": "x", "sku": sku, "attributes": {"servicecode": service, "usagetype": usage_type,
                                                                     "regionCode": REGION, **attributes}},
        "serviceCode": service, "terms": terms, "version": "20261120", "publicationDate": "2026-11-20T12:00:00Z",
    })  # fmt: skip


def _reservation(sku: str, code: str, lease: str, payment: str, hourly: str, upfront: str, offering: str = "standard"):
    parts = {f"{sku}.{code}.H": {"unit": "Hrs", "pricePerUnit": {"USD": hourly}, "description": "", "appliesTo": []}}
    if upfront:
        parts[f"{sku}.{code}.Q"] = {"unit": "Quantity", "pricePerUnit": {"USD": upfront}, "description": "",
                                    "appliesTo": []}  # fmt: skip
    term = {"LeaseContractLength": lease, "OfferingClass": offering, "PurchaseOption": payment}
    return {"priceDimensions": parts, "sku": sku, "offerTermCode": code, "termAttributes": term}


BOX = {**rules.LINUX, "instanceType": "m7g.large", "operation": "RunInstances"}
ANSWERS: dict[str, list[list[str]]] = {  # pages by service and the filter that tells its queries apart
    "AmazonEC2 Compute Instance": [
        [product("AmazonEC2", "EUC1-BoxUsage:m7g.large", "Hrs", "0.1000000000", reserved=[
            ("R1", "1yr", "No Upfront", "0.0650000000", ""), ("R2", "3yr", "All Upfront", "0.0000000000", "1051.2"),
            ("R3", "1yr", "No Upfront", "0.07", "", "convertible")], **BOX)],
        [product("AmazonEC2", "EUC1-BoxUsage:m7g.xlarge", "Hrs", "0.2000000000", **BOX),
         product("AmazonEC2", "EUC1-BoxUsage:m7g.large", "Hrs", "0.15", **BOX | {"tenancy": "Dedicated"}),
         product("AmazonEC2", "EUC1-UnusedBox:m7g.large", "Hrs", "0.1", **BOX)],
    ],
    "AmazonEC2 Storage": [[product("AmazonEC2", "EUC1-EBS:VolumeUsage.gp3", "GB-Mo", "0.0952000000")]],
    "AmazonEC2 System Operation": [[product("AmazonEC2", "EUC1-EBS:VolumeP-IOPS.gp3", "IOPS-Mo", "0.006")]],
    "AmazonEC2 Provisioned Throughput": [
        [product("AmazonEC2", "EUC1-EBS:VolumeP-Throughput.gp3", "GiBps-mo", "49.1520000000")]
    ],
    "AmazonEC2 NAT Gateway": [
        [product("AmazonEC2", "EUC1-NatGateway-Hours", "Hrs", "0.052"),
         product("AmazonEC2", "EUC1-RegionalNatGateway-Hours", "Hrs", "0.9")]
    ],
    "AmazonMSK": [
        [product("AmazonMSK", "EUC1-Kafka.m7g.large", "hours", "0.2500000000", operation="RunBroker"),
         product("AmazonMSK", "EUC1-Kafka.mcu.general", "hours", "0.132"),
         product("AmazonMSK", "EUC1-Kafka.Storage.GP2", "GB-Mo", "0.119")],
    ],
    "AmazonES": [[product("AmazonES", "EUC1-ESInstance:r7g.large", "Hrs", "0.22", instanceType="r7g.large.search")]],
    "AmazonS3 Storage": [
        [product("AmazonS3", "EUC1-TimedStorage-ByteHrs", "GB-Mo", "", tiers=[
            ("0", "51200", "0.0245"), ("51200", "512000", "0.0235"), ("512000", "Inf", "0.0225")])]
    ],
    "AmazonS3 ~Retrieval-SIA": [[product("AmazonS3", "EUC1-Retrieval-SIA", "GB", "0.0100000000")]],
    "ElasticMapReduce EMR Serverless": [
        [product("ElasticMapReduce", "EUC1-EMR-SERVERLESS-ARM-vCPUHours", "vCPU-Hours", "0.0478"),
         product("ElasticMapReduce", "EUC1-EMR-SERVERLESS-MemoryGBHours", "GB-Hours", "0.0065")]
    ],
    "ElasticMapReduce ~EMR-EKS-EC2": [
        [product("ElasticMapReduce", "EUC1-EMR-EKS-EC2-vCPUHours", "vCPU-Hours", "0.01182")]
    ],
    "AmazonKinesis": [[product("AmazonKinesis", "EUC1-OnDemand-ExtendedRetention-ByteHrs", "GB-Mo", "0.12")]],
    "AWSLambda": [[product("AWSLambda", "EUC1-Request", "Requests", "0.0000002000")]],
    "AWSDataTransfer": [
        [product("AWSDataTransfer", "EUC1-DataTransfer-Regional-Bytes", "GB", "0.01"),
         product("AWSDataTransfer", "EUC1-USE1-AWS-Out-Bytes", "GB", "0.021", toRegionCode="us-east-1")],
    ],
}  # fmt: skip


def key_of(service: str, wanted: dict[str, str]) -> str:
    several = ("AmazonEC2", "AmazonS3", "ElasticMapReduce")
    return f"{service} {next(iter(wanted.values()))}" if service in several else service


def stubbed(prices=None, spot=True, savings=True, types=True, skip: int = 0):
    """Clients whose stubs expect the calls of a whole refresh, in order; `skip` pages of prices are already kept."""
    made = [boto3.client(name, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
            for name in ("pricing", "ec2", "savingsplans")]  # fmt: skip
    stubs = [Stubber(client) for client in made]
    pages = []
    for service, wanted in rules.QUERIES if prices is None else prices:
        found = ANSWERS.get(key_of(service, wanted), [[]])
        for n, page in enumerate(found):
            expect = {"ServiceCode": service, "FormatVersion": "aws_v1", "MaxResults": 100,
                      "Filters": rules.filters(service, wanted, REGION)}  # fmt: skip
            expect |= {"NextToken": f"t{n}"} if n else {}
            answer = {"FormatVersion": "aws_v1", "PriceList": page}
            answer |= {"NextToken": f"t{n + 1}"} if n + 1 < len(found) else {}
            pages.append((answer, expect))
    for answer, expect in pages[skip:]:
        stubs[0].add_response("get_products", answer, expect)
    if spot:
        stubs[1].add_response("describe_spot_price_history", SPOT, ANY_SPOT)
    if savings:
        stubs[2].add_response("describe_savings_plans_offering_rates", SAVINGS, ANY_SAVINGS)
    if types:
        stubs[1].add_response("describe_instance_types", TYPES, {"MaxResults": 100})
    for stub in stubs:
        stub.activate()
    waits: list[float] = []
    return Clients(*made, lambda url: [], waits.append, lambda: NOW), stubs, waits


ANY_SPOT = {"StartTime": ANY, "ProductDescriptions": ANY, "MaxResults": 1000}
ANY_SAVINGS = dict.fromkeys(("maxResults", "savingsPlanTypes", "products", "serviceCodes", "filters"), ANY)
ZONES = (("eu-central-1a", "0.040000", 1), ("eu-central-1a", "0.099000", 9), ("eu-central-1b", "0.050000", 2))
SPOT = {"SpotPriceHistory": [
    {"InstanceType": "m7g.large", "AvailabilityZone": zone, "SpotPrice": usd, "ProductDescription": "Linux/UNIX",
     "Timestamp": NOW - datetime.timedelta(hours=hours)}
    for zone, usd, hours in ZONES
]}  # fmt: skip
SAVINGS = {"searchResults": [
    {"savingsPlanOffering": {"offeringId": "a", "paymentOption": pay, "planType": plan, "durationSeconds": seconds,
                             "currency": "USD"},
     "rate": rate, "unit": "Hrs", "productType": "EC2", "serviceCode": "AmazonEC2",
     "usageType": "EUC1-BoxUsage:m7g.large", "operation": "RunInstances",
     "properties": [{"name": "instanceType", "value": "m7g.large"}, {"name": "region", "value": REGION},
                    {"name": "productDescription", "value": "Linux/UNIX"}, {"name": "tenancy", "value": "shared"}]}
    for plan, pay, seconds, rate in (("EC2Instance", "No Upfront", 31536000, "0.0663"),
                                     ("Compute", "All Upfront", 94608000, "0.0494"))
]}  # fmt: skip
TYPES = {"InstanceTypes": [
    {"InstanceType": name, "CurrentGeneration": True, "ProcessorInfo": {"SupportedArchitectures": ["arm64"]},
     "VCpuInfo": {"DefaultVCpus": 2, "DefaultCores": 2, "DefaultThreadsPerCore": 1}, "MemoryInfo": {"SizeInMiB": 8192},
     "EbsInfo": {"EbsOptimizedInfo": {"BaselineThroughputInMBps": 78.75, "MaximumThroughputInMBps": 1250.0,
                                      "BaselineIops": 2500, "MaximumIops": 40000}},
     "NetworkInfo": {"NetworkCards": [{"NetworkCardIndex": 0, "BaselineBandwidthInGbps": 0.937,
                                       "PeakBandwidthInGbps": 12.5}]}}
    for name in ("m7g.large", "m12g.large")
]}  # fmt: skip


@pytest.fixture
def made(tmp_path):
    clients, stubs, _ = stubbed()
    book = refresh(REGION, tmp_path, clients, BASE)
    for stub in stubs:
        stub.assert_no_pending_responses()
    return book


def usd(book: PriceBook, item: str) -> Decimal:
    return book.price(item, REGION).usd


def test_prices_come_over_with_their_identity(made):
    book = PriceBook(made.folder)
    assert usd(book, "ec2/on-demand/m7g.large") == Decimal("0.1")  # the dedicated row beside it is no price of a box
    price = book.price("msk/broker/kafka.m7g.large", REGION)
    assert (price.usd, price.unit, price.usage_type, price.operation) == (
        Decimal("0.25"), "broker-hour", "EUC1-Kafka.m7g.large", "RunBroker")  # fmt: skip
    assert price.usage_type_was_read and price.as_of == "2026-11-20" and price.grade == "published"
    assert usd(book, "opensearch/node/r7g.large.search") == Decimal("0.22")
    assert usd(book, "transfer/region-us-east-1") == Decimal("0.021")


def test_ways_out_and_serverless_kinds_are_read_too(made):
    """EMR Serverless, EMR on EKS, S3's other classes, Kinesis: nothing of the list stays at yesterday's price."""
    book = PriceBook(made.folder)
    for item, price in (("emr-serverless/vcpu-hour-arm64", "0.0478"), ("emr-serverless/gb-hour-x86", "0.0065"),
                        ("emr-on-eks/vcpu-hour", "0.01182"), ("s3/standard-ia-retrieval", "0.01"),
                        ("kinesis/ondemand-extended-retention", "0.12"), ("lambda/requests", "0.2")):  # fmt: skip
        assert usd(book, item) == Decimal(price), item
        assert book.price(item, REGION).identity == "read/read", item


def test_a_regional_nat_gateway_is_not_a_nat_gateway(made):
    assert usd(PriceBook(made.folder), "nat/hour") == Decimal("0.052")


def test_aws_sells_gp3_throughput_by_the_gibibyte(made):
    assert usd(PriceBook(made.folder), "ebs/gp3-throughput") == Decimal("49.152") / 1024


def test_tiers_follow_each_other(made):
    tiers = PriceBook(made.folder).tiers("s3/standard-storage", REGION)
    found = [(t.tier_from, t.tier_to, str(t.usd)) for t in tiers]
    assert found == [(0, 51200, "0.0245"), (51200, 512000, "0.0235"), (512000, None, "0.0225")]


def test_a_reservation_is_its_hours_and_its_upfront_spread(made):
    book = PriceBook(made.folder)
    assert usd(book, "ec2/ri-1yr-no-upfront/m7g.large") == Decimal("0.065")  # the convertible one is another product
    assert usd(book, "ec2/ri-3yr-all-upfront/m7g.large") == Decimal("0.04")  # 1051.20 over 26,280 hours
    assert offer(book, "ec2-ri", "m7g.large", REGION, 1, "no").price.identity == "read/read"


def test_savings_plans_that_the_packaged_book_lacks_can_be_held(made):
    book = PriceBook(made.folder)
    assert offer(book, "compute-sp", "m7g.large", REGION, 3, "all").price.usd == Decimal("0.0494")
    assert offer(book, "ec2-instance-sp", "m7g.large", REGION, 1, "no").price.usd == Decimal("0.0663")


def test_spot_is_the_mean_over_zones_of_the_latest(made):
    price = PriceBook(made.folder).price("ec2/spot/m7g.large", REGION)
    assert price.usd == Decimal("0.045") and price.grade == "measured"


def test_what_was_not_asked_for_is_kept(made):
    book = PriceBook(made.folder)
    for item, region in (("ec2/on-demand/m7g.large", "us-east-1"), ("ec2/on-demand/r7g.large", REGION),
                         ("support/business-minimum", "us-east-1"), ("s3/standard-storage", "eu-west-1")):  # fmt: skip
        assert book.tiers(item, region) == BASE.tiers(item, region)
    assert (made.folder / "ec2_spot.csv.gz").exists() and (made.folder / "sources.csv").exists()


def test_what_no_rule_knows_is_counted_and_new_boxes_are_named(made):
    assert made.unknown == 4  # dedicated, unused box, regional NAT, Connect's MCU
    assert made.unknown_machines == ("m12g.large",) and "m12g.large" in made.summary


def test_throttling_is_waited_out_with_growing_waits():
    clients, stubs, waits = stubbed([], spot=False, savings=False, types=False)
    for _ in range(3):
        stubs[0].add_client_error("get_products", "ThrottlingException", "Rate exceeded", 400)
    stubs[0].add_response("get_products", {"FormatVersion": "aws_v1", "PriceList": []}, {"ServiceCode": "AmazonMSK"})
    assert module.asked(clients, clients.pricing.get_products, ServiceCode="AmazonMSK")["PriceList"] == []
    assert len(waits) == 3 and waits[0] >= 0.25 and waits[2] > waits[0]


def test_throttling_without_end_is_an_error():
    clients, stubs, _ = stubbed([], spot=False, savings=False, types=False)
    for _ in range(calls.TRIES):
        stubs[0].add_client_error("get_products", "ThrottlingException", "Rate exceeded", 400)
    with pytest.raises(RefreshError, match="ThrottlingException"):
        module.asked(clients, clients.pricing.get_products, ServiceCode="AmazonMSK")


def test_a_refusal_says_which_policy_is_needed():
    clients, stubs, _ = stubbed([], spot=False, savings=False, types=False)
    stubs[0].add_client_error("get_products", "AccessDeniedException", "no", 400)
    with pytest.raises(RefreshError, match="iam-policy"):
        module.asked(clients, clients.pricing.get_products, ServiceCode="AmazonMSK")


def test_a_page_token_that_expired_starts_its_source_anew(tmp_path):
    (tmp_path / "s").mkdir()
    asked = []

    def read(token):
        asked.append(token)
        if asked == ["", "t1"]:
            raise calls.StaleToken
        return [[token]], {"": "t1", "t1": ""}[token], 0

    module._read_all(tmp_path / "s", read)
    assert asked == ["", "t1", "", "t1"] and module._pages(tmp_path / "s") == [[""], ["t1"]]


class Killed(BaseException):
    """A process that ends here: nothing after it runs."""


def test_killed_at_any_file_it_leaves_the_old_book_whole_and_goes_on(tmp_path, monkeypatch):
    """Every rename a refresh makes is tried as its last act, just before and just after it."""
    whole = refresh(REGION, tmp_path / "whole", stubbed()[0], BASE).digest
    acts = ("replace", "rename")
    real = {name: getattr(os, name) for name in acts}
    before, number = BASE.digest, 0
    while True:
        into, count = tmp_path / f"k{number}", [0]

        def dying(name, at=number, count=count):
            def act(*args):
                here = count[0]
                count[0] += 1
                if here == at // 2 and at % 2 == 0:
                    raise Killed
                real[name](*args)
                if here == at // 2:
                    raise Killed

            return act

        for name in acts:
            monkeypatch.setattr(os, name, dying(name))
        try:
            refresh(REGION, into, stubbed()[0], BASE)
            killed = False
        except Killed:
            killed = True
        for name in acts:
            monkeypatch.setattr(os, name, real[name])
        assert PriceBook(BASE.folder).digest == before
        books = [p for p in into.iterdir() if not p.name.startswith(".")] if into.exists() else []
        assert all(PriceBook(p).digest == whole for p in books)
        if not killed:
            break
        if not books:
            kept = len(list(into.glob(".refresh-*/prices-*/*.json")))
            rest = stubbed(skip=kept, spot=not list(into.glob(".refresh-*/spot/*.json")),
                           savings=not list(into.glob(".refresh-*/savings/*.json")),
                           types=not list(into.glob(".refresh-*/types/*.json")))  # fmt: skip
            assert refresh(REGION, into, rest[0], BASE).digest == whole
            for stub in rest[1]:
                stub.assert_no_pending_responses()
        number += 1
    assert number > 30  # pages of all sources and the book itself


def test_killed_by_the_system_it_leaves_the_old_book_whole(tmp_path):
    """SIGKILL while the new tables are being written: the base is the same and no half book stands in the folder."""
    script = textwrap.dedent(
        f"""
        import os, signal, sys
        sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests")!r}]
        import pricing.refresh as module
        from test_pricing_refresh import BASE, REGION, stubbed
        from pathlib import Path
        real, left = module.pack, [2]
        def pack(rows):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(rows)
        module.pack = pack
        module.refresh(REGION, Path({str(tmp_path)!r}), stubbed()[0], BASE)
        """
    )
    before = BASE.digest
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    assert PriceBook(BASE.folder).digest == before
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == []
    again = stubbed([], spot=False, savings=False, types=False)[0]  # every page is kept: nothing is asked again
    assert refresh(REGION, tmp_path, again, BASE).folder.name == "2026-11-24-eu-central-1"


def test_pages_for_another_base_or_another_day_are_not_used(tmp_path):
    clients = stubbed()[0]
    work = module._work_folder(tmp_path, REGION, clients, {"base": "a"})
    (work / "spot").mkdir()
    assert module._work_folder(tmp_path, REGION, clients, {"base": "a"}) == work and (work / "spot").exists()
    assert not (module._work_folder(tmp_path, REGION, clients, {"base": "b"}) / "spot").exists()
    (work / "spot").mkdir()
    clients.today = lambda: NOW + datetime.timedelta(days=2)
    assert not (module._work_folder(tmp_path, REGION, clients, {"base": "b"}) / "spot").exists()


def test_hardware_as_moto_has_it_agrees_with_the_table_of_machines(tmp_path, monkeypatch):
    """DescribeInstanceTypes is one of the calls that moto answers with real data."""
    moto = pytest.importorskip("moto")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    with moto.mock_aws():
        clients = module.live_clients("us-east-1")
        clients.today = lambda: NOW
        made = refresh("us-east-1", tmp_path, clients, BASE, only=("types",))
    types = tables._read(made.folder / "instance_types.csv")
    known = [m for m in machines() if m.name in types]
    for box in known:
        for field in fields(box):
            one, other = getattr(box, field.name), getattr(types[box.name], field.name)
            if field.name not in ("source", "as_of"):  # the table rounds 39.375 MB/s to 39.38
                assert one == (pytest.approx(other, rel=1e-3) if isinstance(one, float) else other), (box.name, field)
    assert len(known) > 400 and len(types) > len(known)  # types that the packaged table leaves out
    assert made.fresh == 0 and made.digest != BASE.digest  # no price was asked for; the hardware is in the digest


BULK = """\
"FormatVersion","v1.0"
"Disclaimer","as AWS says"
"Publication Date","2026-11-19T22:00:00Z"
"Version","20261119220000"
"OfferCode","AmazonEC2"
"SKU","OfferTermCode","RateCode","TermType","EffectiveDate","StartingRange","EndingRange","Unit","PricePerUnit","Currency","LeaseContractLength","PurchaseOption","OfferingClass","serviceCode","Operating System","Tenancy","Pre Installed S/W","CapacityStatus","usageType","operation"
"A","JRTCKXETXF","A.J.1","OnDemand","2026-11-01","0","Inf","Hrs","0.1000000000","USD","","","","AmazonEC2","Linux","Shared","NA","Used","EUC1-BoxUsage:m7g.large","RunInstances"
"A","R","A.R.1","Reserved","2026-11-01","","","Hrs","0.0200000000","USD","1yr","Partial Upfront","standard","AmazonEC2","Linux","Shared","NA","Used","EUC1-BoxUsage:m7g.large","RunInstances"
"B","JRTCKXETXF","B.J.1","OnDemand","2026-11-01","0","Inf","Hrs","0.1900000000","USD","","","","AmazonEC2","Windows","Shared","NA","Used","EUC1-BoxUsage:m7g.large","RunInstances:0002"
"A","R","A.R.2","Reserved","2026-11-01","","","Quantity","262.8","USD","1yr","Partial Upfront","standard","AmazonEC2","Linux","Shared","NA","Used","EUC1-BoxUsage:m7g.large","RunInstances"
"""  # noqa: E501


def test_a_bulk_file_says_the_same_as_the_query(tmp_path):
    others = [(s, w) for s, w in rules.QUERIES if s != "AmazonEC2"]
    clients, stubs, _ = stubbed(others, spot=False, savings=False, types=False)
    arn = "arn:aws:pricing:::price-list/aws/AmazonEC2/USD/20261119220000/eu-central-1"
    listed = {
        "PriceLists": [{"PriceListArn": arn, "RegionCode": REGION, "CurrencyCode": "USD", "FileFormats": ["csv"]}]
    }
    wanted = {"ServiceCode": "AmazonEC2", "EffectiveDate": NOW, "RegionCode": REGION, "CurrencyCode": "USD"}
    stubs[0].add_response("list_price_lists", listed, wanted)
    stubs[0].add_response(
        "get_price_list_file_url", {"Url": "https://x/a.csv"}, {"PriceListArn": arn, "FileFormat": "csv"}
    )
    clients.lines = lambda url: BULK.splitlines(keepends=True)
    made = refresh(REGION, tmp_path, clients, BASE, only=("prices",), bulk=("AmazonEC2",))
    book = PriceBook(made.folder)
    assert usd(book, "ec2/on-demand/m7g.large") == Decimal("0.1")
    assert usd(book, "ec2/ri-1yr-partial-upfront/m7g.large") == Decimal("0.05")  # 0.02 + 262.80 / 8,760
    assert book.price("ec2/on-demand/m7g.large", REGION).as_of == "2026-11-19"


def test_a_file_that_is_no_price_list_is_refused():
    with pytest.raises(RefreshError, match="header"):
        list(bulk_charges(["<html>\n", "moved\n"]))


def test_an_answer_without_a_known_price_writes_nothing(tmp_path):
    nothing = {"SpotPriceHistory": []}
    clients, stubs, _ = stubbed([], spot=False, savings=False, types=False)
    stubs[1].add_response("describe_spot_price_history", nothing, ANY_SPOT)
    with pytest.raises(RefreshError, match="nothing was written"):
        refresh(REGION, tmp_path, clients, BASE, only=("spot",))
    assert [p.name for p in tmp_path.iterdir() if not p.name.startswith(".")] == []


def test_the_policy_allows_what_is_called_and_nothing_else():
    """Least privilege, both ways: every client call in the source has its action, every action its call."""
    folder = Path(module.__file__).parent
    source = "\n".join(path.read_text() for path in sorted(folder.glob("refresh*.py")))
    called = {name for name in ACTIONS if f".{name}" in source}
    clients = {line.split("clients.", 1)[1] for line in source.splitlines() if "clients.pricing." in line
               or "clients.ec2." in line or "clients.savingsplans." in line}  # fmt: skip
    names = {part.split(".", 1)[1].split(",")[0].split("(")[0].strip() for part in clients}
    assert called == set(ACTIONS) == names
    assert policy()["Statement"][0]["Action"] == sorted(set(ACTIONS.values()))


def test_every_rule_speaks_of_an_item_the_book_has_in_the_books_unit():
    for rule in rules.RULES:
        item = rule.item.format("m7g.large" if "opensearch" not in rule.item else "r7g.large")
        item = item.replace("emr/ec2/m7g.large", "emr/ec2/m7g.xlarge")
        units = {price.unit for price in PACKAGED.tiers(item, "us-east-1")}
        assert units == {rule.unit}, item


# In the book, but their usage types were never read: a refresh leaves their old rows, and their lines say unknown.
NEVER_READ = {
    "msk/standard-throughput", "msk/connect", "msk/private-gb", "msk/replicator-hour", "msk/replicator-region-gb",
    "msk/replicator-zone-gb", "opensearch/cold-storage", "opensearch/ultrawarm-managed-storage",
    "opensearch/ingestion-ocu-hour", "fargate-eks/gb-hour", "fargate-eks/vcpu-hour", "glue/dpu-hour-flex",
    "glue/dpu-hour-interactive", "amp/collector", "cloudwatch/alarm-highres", "cloudwatch/api",
    "cloudwatch/logs-ia-in", "cloudwatch/stream-update", "kinesis/extended-retention-provisioned",
    "lambda/ephemeral-storage", "s3/express-onezone-get-select-other", "s3/express-onezone-put-copy-post-list",
    "s3/glacier-ir-get-select-other", "s3/glacier-ir-put-copy-post-list", "s3/glacier-ir-retrieval",
    "s3/standard-ia-lifecycle-transition", "transfer/internet-free",
}  # fmt: skip


def test_every_price_of_aws_that_a_bill_can_have_is_asked_for():
    kinds = "|".join(re.escape(rule.item).replace(re.escape("{0}"), ".+") for rule in rules.RULES)
    derived = r"(ec2|opensearch)/(ri|sp|compute-sp|spot)[-/].+|transfer/region-.+"  # read by other calls or attributes
    asked = re.compile(f"({kinds}|{derived})$")
    left = {
        item for name in ("msk", "ec2", "emr", "opensearch", "services")
        for (item, region), found in PACKAGED.table(name).items()
        if region == "us-east-1" and found[0].service_code and found[0].unit != "USD" and not asked.match(item)
        and not item.startswith("support/") and "/q" not in item
    }  # fmt: skip
    assert left == NEVER_READ
    assert all("unknown" in PACKAGED.tiers(item, "us-east-1")[0].identity for item in NEVER_READ)


def test_a_rule_finds_again_what_the_book_says_it_is():
    """Rows of the packaged book whose usage type is known fall under the rule of their own item."""
    missed = []
    for name in ("msk", "ec2", "emr", "opensearch", "services"):
        for (item, region), rows in PACKAGED.table(name).items():
            if (
                region not in ("us-east-1", "eu-west-1")
                or not rows[0].usage_type
                or item.startswith(("support", "msk/q"))
            ):
                continue
            row = rows[0]
            told = {"operation": row.operation, "toRegionCode": item.rpartition("region-")[2]}
            charge = rules.Charge(row.service_code, row.usage_type, row.operation, told, "", {}, row.unit, "0", "Inf",
                                  row.usd, "")  # fmt: skip
            found = rules.rule_of(charge, region)
            if found is None or found[1] != item:
                missed.append((item, row.usage_type, found and found[1]))
    assert missed == []
