"""Refresh: a new price book from live AWS, a region at a time; the old one is never touched.

Each answer's rows are kept as a *page* in a work folder the moment they are read, so a refresh that is stopped goes on
where it was. When all sources are read, the base book with the new rows is written beside and renamed into place in
one step: a reader sees the old books, or the old and the new one, never half of it. AWS's throttling is waited out.

Prices come from GetProducts or, for services named in `bulk`, from a price list file; spot from its history; rates of
savings plans and hardware from their own calls. What no rule understands is counted and said.
"""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import random
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pricing import refresh_rules as rules
from pricing.price_book import PriceBook, table_of
from pricing.rows import Row, pack, unpack

SOURCES = ("prices", "spot", "savings", "types")
THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded",
             "InternalErrorException", "InternalServerException", "ServiceUnavailable"}  # fmt: skip
STALE_TOKEN = {"ExpiredNextTokenException", "InvalidNextTokenException"}
TRIES, FIRST_WAIT, LONGEST_WAIT = 9, 0.5, 60.0
STALE_SECONDS = 24 * 3600  # pages older than this belong to another day's prices
PRICING_ENDPOINT = "us-east-1"  # one of the three regions that answer for all


class RefreshError(RuntimeError):
    """A refresh that cannot go on: says what AWS answered and what would do."""


@dataclass
class Clients:
    """Who is asked, how a bulk file is read, and how a wait is waited."""

    pricing: Any
    ec2: Any
    savingsplans: Any
    lines: Callable[[str], Iterable[str]]
    sleep: Callable[[float], None] = time.sleep
    today: Callable[[], datetime.datetime] = field(default=lambda: datetime.datetime.now(datetime.UTC))


class Made(NamedTuple):
    """The new book, its digest, how many rows are new, changed, and not understood, and boxes no table knows."""

    folder: Path
    digest: str
    fresh: int
    unknown: int
    unknown_machines: tuple[str, ...]

    @property
    def summary(self) -> str:
        told = f"{self.fresh:,} rows read, {self.unknown:,} charges that no rule knows; book {self.digest}"
        if self.unknown_machines:
            names = ", ".join(self.unknown_machines[:8])
            told += f"; {len(self.unknown_machines)} boxes are new, read from this book's instance_types.csv: {names}"
        return told


def live_clients(region: str) -> Clients:
    """Clients of real AWS, from the environment's credentials. Needs the extra `aws`."""
    try:
        import boto3
    except ImportError:
        raise RefreshError("a refresh needs boto3: pip install 'floodmark[aws]'") from None
    return Clients(
        boto3.client("pricing", region_name=PRICING_ENDPOINT), boto3.client("ec2", region_name=region),
        boto3.client("savingsplans", region_name=PRICING_ENDPOINT), _downloaded,
    )  # fmt: skip


def _downloaded(url: str) -> Iterator[str]:
    if not url.startswith("https://"):
        raise RefreshError(f"price list file at {url[:60]}; expected an https address")
    with urllib.request.urlopen(url, timeout=60) as answer:
        yield from io.TextIOWrapper(answer, encoding="utf-8", newline="")


def refresh(
    region: str, into: Path, clients: Clients, base: PriceBook | None = None, only: Sequence[str] = (),
    bulk: Sequence[str] = (),
) -> Made:  # fmt: skip
    """A new book in `into`: the base book with the region's rows as AWS answers them today."""
    if unknown := set(only) - set(SOURCES):
        raise RefreshError(f"--only {', '.join(sorted(unknown))}; expected of {', '.join(SOURCES)}")
    base = base or PriceBook()
    wanted = tuple(only or SOURCES)
    work = _work_folder(into, region, clients, {"base": base.digest, "wanted": list(wanted), "bulk": list(bulk)})
    for name, read in _plan(region, clients, bulk, wanted):
        _read_all(work / name, read)
    return _finished(work, into, region, base, clients, wanted)


Page = tuple[list[Any], str, int]  # what was read, the token of the next page ('' at the end), charges not understood
Reader = Callable[[str], Page]


def _plan(region: str, clients: Clients, bulk: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[str, Reader]]:
    """The sources to read, each with a reader of one page."""
    if "prices" in wanted:
        for number, (service, filters) in enumerate(rules.QUERIES):
            if service not in bulk:
                yield f"prices-{number:02d}-{service}", _products(clients, service, filters, region)
        for service in bulk:
            yield f"bulk-{service}", _bulk(clients, service, region)
    if "spot" in wanted:
        yield "spot", _spot(clients)
    if "savings" in wanted:
        yield "savings", _savings(clients, region)
    if "types" in wanted:
        yield "types", _types(clients)


def _read_all(folder: Path, read: Reader) -> None:
    """Every page of a source that is not there yet; a token that AWS no longer takes starts the source anew."""
    folder.mkdir(exist_ok=True)
    number, token = _reached(folder)
    while token is not None:
        try:
            found, following, unknown = read(token)
        except _Stale:
            if number == 0:
                raise RefreshError(f"{folder.name}: AWS refuses the token of its own first page") from None
            shutil.rmtree(folder)
            folder.mkdir()
            number, token = 0, ""
            continue
        _keep(folder / f"{number:06d}.json", {"found": found, "next": following, "unknown": unknown})
        number, token = number + 1, following or None


def _reached(folder: Path) -> tuple[int, str | None]:
    """How many pages are kept, and the token of the next one; None when all are."""
    kept = sorted(folder.glob("*.json"))
    if not kept:
        return 0, ""
    return len(kept), json.loads(kept[-1].read_text(encoding="utf-8"))["next"] or None


def _keep(path: Path, data: Any) -> None:
    """Write a file so that it is there whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(data), encoding="utf-8")
    os.replace(part, path)


class _Stale(Exception):
    """A page token that AWS no longer takes."""


def asked(clients: Clients, call: Callable[..., Any], **options: Any) -> Any:
    """One call, repeated while AWS throttles, with growing, scattered waits."""
    for attempt in range(TRIES):
        try:
            return call(**{k: v for k, v in options.items() if v not in ("", None)})
        except Exception as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
            if code in STALE_TOKEN:
                raise _Stale from None
            if code not in THROTTLED or attempt == TRIES - 1:
                raise _refused(call, error, code) from error
            clients.sleep(min(LONGEST_WAIT, FIRST_WAIT * 2**attempt) * (0.5 + random.random() / 2))
    raise AssertionError("unreachable")


def _refused(call: Callable[..., Any], error: Exception, code: str) -> Exception:
    name = getattr(call, "__name__", "call")
    if code in ("AccessDeniedException", "UnauthorizedOperation", "AccessDenied"):
        return RefreshError(f"{name}: not allowed; `floodmark iam-policy` prints what is needed")
    if code:
        return RefreshError(f"{name}: AWS answered {code}: {error}")
    return RefreshError(f"{name}: {type(error).__name__}: {error}")


def _products(clients: Clients, service: str, wanted: Any, region: str) -> Reader:
    def read(token: str) -> Page:
        answer = asked(
            clients, clients.pricing.get_products, ServiceCode=service, FormatVersion="aws_v1", MaxResults=100,
            Filters=rules.filters(service, wanted, region), NextToken=token,
        )  # fmt: skip
        found, unknown = rules.rows(rules.charges(answer["PriceList"]), region)
        return [list(row) for row in found], answer.get("NextToken", ""), unknown

    return read


# Columns of a bulk file (CSV) and the names that GetProducts gives the same attributes (remembered).
BULK_ATTRIBUTES = {"Operating System": "operatingSystem", "Tenancy": "tenancy", "Pre Installed S/W": "preInstalledSw",
                   "CapacityStatus": "capacitystatus", "operation": "operation", "Software Type": "softwareType",
                   "To Region Code": "toRegionCode"}  # fmt: skip


def _bulk(clients: Clients, service: str, region: str) -> Reader:
    """The whole file is one page: it is read as a stream and never held."""

    def read(token: str) -> Page:
        today = clients.today()
        lists = asked(clients, clients.pricing.list_price_lists, ServiceCode=service, EffectiveDate=today,
                      RegionCode=region, CurrencyCode="USD")["PriceLists"]  # fmt: skip
        if not lists:
            raise RefreshError(f"AWS has no price list file of {service} for {region}")
        arn = lists[0]["PriceListArn"]
        url = asked(clients, clients.pricing.get_price_list_file_url, PriceListArn=arn, FileFormat="csv")["Url"]
        found, unknown = rules.rows(bulk_charges(clients.lines(url)), region)
        return [list(row) for row in found], "", unknown

    return read


def bulk_charges(lines: Iterable[str]) -> Iterator[rules.Charge]:
    """The charges of a price list file: some lines about the file, a header, then one line a charge."""
    reader, head, about = csv.reader(lines), [], dict[str, str]()
    for line in reader:
        if line and line[0] == "SKU":
            head = line
            break
        about[line[0]] = line[1] if len(line) > 1 else ""
    if not head:
        raise RefreshError("price list file has no header that starts with SKU; expected AWS's CSV format")
    for line in reader:
        row = dict(zip(head, line, strict=False))
        if row.get("Currency", "USD") != "USD":
            continue
        term = {"kind": row["TermType"], "code": row["OfferTermCode"], "OfferingClass": row.get("OfferingClass", ""),
                "LeaseContractLength": row.get("LeaseContractLength", ""),
                "PurchaseOption": row.get("PurchaseOption", "")}  # fmt: skip
        attributes = {ours: row[theirs] for theirs, ours in BULK_ATTRIBUTES.items() if row.get(theirs)}
        yield rules.Charge(
            row["serviceCode"], row["usageType"], row["operation"], attributes, row["SKU"], term, row["Unit"],
            row["StartingRange"], row["EndingRange"], row["PricePerUnit"], about.get("Publication Date", "")[:10],
        )  # fmt: skip


def _spot(clients: Clients) -> Reader:
    def read(token: str) -> Page:
        answer = asked(
            clients, clients.ec2.describe_spot_price_history, StartTime=clients.today(), NextToken=token,
            ProductDescriptions=["Linux/UNIX", "Linux/UNIX (Amazon VPC)"], MaxResults=1000,
        )  # fmt: skip
        found = sorted(answer["SpotPriceHistory"], key=lambda x: x["Timestamp"], reverse=True)
        return (
            [[x["InstanceType"], x["AvailabilityZone"], x["SpotPrice"]] for x in found],
            answer.get("NextToken", ""),
            0,
        )

    return read


def _savings(clients: Clients, region: str) -> Reader:
    def read(token: str) -> Page:
        answer = asked(
            clients, clients.savingsplans.describe_savings_plans_offering_rates, nextToken=token, maxResults=1000,
            savingsPlanTypes=["EC2Instance", "Compute"], products=["EC2"], serviceCodes=["AmazonEC2"],
            filters=[{"name": "region", "values": [region]}, {"name": "tenancy", "values": ["shared"]},
                     {"name": "productDescription", "values": ["Linux/UNIX"]}],
        )  # fmt: skip
        made = rules.savings_rows(answer["searchResults"], region, f"{clients.today():%Y-%m-%d}")
        return [list(row) for row in made], answer.get("nextToken", ""), 0

    return read


def _types(clients: Clients) -> Reader:
    def read(token: str) -> Page:
        answer = asked(clients, clients.ec2.describe_instance_types, MaxResults=100, NextToken=token)
        return [_instance(x) for x in answer["InstanceTypes"]], answer.get("NextToken", ""), 0

    return read


def _instance(x: dict[str, Any]) -> dict[str, str]:
    """One instance type's hardware, under the machine table's columns; what AWS leaves out is empty."""
    cpu, ebs = x.get("VCpuInfo", {}), x.get("EbsInfo", {}).get("EbsOptimizedInfo", {})
    cards = x.get("NetworkInfo", {}).get("NetworkCards", [{}])
    chip, store = x.get("ProcessorInfo", {}), x.get("InstanceStorageInfo", {})
    disks = store.get("Disks", [])
    family, _, size = x["InstanceType"].partition(".")
    return {
        "instance_type": x["InstanceType"], "family": family, "size": size,
        "arch": "arm64" if "arm64" in chip.get("SupportedArchitectures", []) else "x86_64",
        "manufacturer": str(chip.get("Manufacturer", "")), "clock_ghz": str(chip.get("SustainedClockSpeedInGhz", 0)),
        "vcpu": str(cpu.get("DefaultVCpus", "")), "cores": str(cpu.get("DefaultCores", "")),
        "threads_per_core": str(cpu.get("DefaultThreadsPerCore", "")), "memory_gib": _gib(x.get("MemoryInfo", {})),
        "net_baseline_gbps": _all(cards, "BaselineBandwidthInGbps"),
        "net_peak_gbps": _all(cards, "PeakBandwidthInGbps"),
        "ebs_baseline_MBps": str(ebs.get("BaselineThroughputInMBps", "")),
        "ebs_peak_MBps": str(ebs.get("MaximumThroughputInMBps", "")),
        "ebs_baseline_iops": str(ebs.get("BaselineIops", "")), "ebs_peak_iops": str(ebs.get("MaximumIops", "")),
        "max_ebs_attachments": str(x.get("EbsInfo", {}).get("MaximumEbsAttachments", 0)),
        "local_disk_count": str(sum(int(d["Count"]) for d in disks)),
        "local_disk_gb_each": str(disks[0]["SizeInGB"] if disks else 0),
        "local_disk_kind": _disk_kind(disks[0], store) if disks else "",
        "burstable": str(bool(x.get("BurstablePerformanceSupported"))),
        "current_generation": str(bool(x.get("CurrentGeneration"))),
    }  # fmt: skip


def _disk_kind(disk: dict[str, Any], store: dict[str, Any]) -> str:
    kind = str(disk.get("Type", ""))
    return kind if store.get("NvmeSupport") == "unsupported" else f"{kind}-nvme"


def _gib(memory: dict[str, Any]) -> str:
    return str(memory["SizeInMiB"] / 1024) if "SizeInMiB" in memory else ""


def _all(cards: Sequence[dict[str, Any]], name: str) -> str:
    """What all network cards of a box have together; empty where AWS does not say it of one."""
    known = [float(card[name]) for card in cards if name in card]
    return str(sum(known)) if known and len(known) == len(cards) else ""


def _work_folder(into: Path, region: str, clients: Clients, asked_for: dict[str, Any]) -> Path:
    """The folder of a refresh's pages: the one that was begun for the same question today, else a new one."""
    into.mkdir(parents=True, exist_ok=True)
    work = into / f".refresh-{region}"
    about, now = work / "about.json", clients.today().timestamp()
    if about.is_file():
        said = json.loads(about.read_text(encoding="utf-8"))
        if said["asked_for"] == asked_for and 0 <= now - said["begun"] < STALE_SECONDS:
            return work
    if work.exists():
        shutil.rmtree(work)
    work.mkdir()
    _keep(about, {"asked_for": asked_for, "begun": now})
    return work


def _finished(work: Path, into: Path, region: str, base: PriceBook, clients: Clients, wanted: Sequence[str]) -> Made:
    """The new book written aside and renamed into place; the pages are then thrown away."""
    date = f"{clients.today():%Y-%m-%d}"
    fresh, unknown = _gathered(work, region, date)
    if not fresh and set(wanted) != {"types"}:
        raise RefreshError(f"AWS answered with no price of {region} that a rule knows; nothing was written")
    aside = into / f".new-{region}"
    if aside.exists():
        shutil.rmtree(aside)
    aside.mkdir()
    _write_tables(aside, base, fresh)
    types = _pages(work / "types")
    if types:
        _write_types(aside / "instance_types.csv", types, date)
    folder = _free(into, f"{date}-{region}")
    os.rename(aside, folder)
    shutil.rmtree(work)
    return Made(folder, PriceBook(folder).digest, len(fresh), unknown, _not_in_table(types))


def _gathered(work: Path, region: str, date: str) -> tuple[list[Row], int]:
    rows, unknown = [], 0
    for folder in sorted(p for p in work.iterdir() if p.is_dir()):
        for page in sorted(folder.glob("*.json")):
            unknown += json.loads(page.read_text(encoding="utf-8"))["unknown"]
        if folder.name.startswith(("prices", "bulk", "savings")):
            rows += [Row(*(str(x) for x in row)) for row in _pages(folder)]
    rows += rules.spot_rows([(b, z, u) for b, z, u in _pages(work / "spot")], region, date)
    return list({(row.item, row.region, row.tier_from): row for row in rows}.values()), unknown


def _pages(folder: Path) -> list[Any]:
    found: list[Any] = []
    for page in sorted(folder.glob("*.json")):
        found += json.loads(page.read_text(encoding="utf-8"))["found"]
    return found


def _write_tables(folder: Path, base: PriceBook, fresh: Sequence[Row]) -> None:
    """Each table of the base, rows of the items read anew replaced; the rest is the same bytes."""
    replaced: dict[str, list[Row]] = {}
    for row in fresh:
        replaced.setdefault(table_of(row.item), []).append(row)
    for path in sorted(base.folder.glob("*.csv*")):
        name = path.name.removesuffix(".csv.gz")
        new = replaced.pop(name, []) if path.name.endswith(".csv.gz") else []
        if not new:
            shutil.copyfile(path, folder / path.name)
            continue
        keys = {(row.item, row.region) for row in new}
        kept = [row for row in unpack(path) if (row.item, row.region) not in keys]
        (folder / path.name).write_bytes(pack([*kept, *new]))
    for name, new in replaced.items():
        (folder / f"{name}.csv.gz").write_bytes(pack(new))


def _write_types(path: Path, types: Sequence[dict[str, str]], as_of: str) -> None:
    """Hardware as a machine table; a CoreMark is borrowed from the packaged table's same family or sister."""
    from pricing.build_machines import COLUMNS, with_coremark

    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in sorted(types, key=lambda r: r["instance_type"]):
            writer.writerow(with_coremark(row) | {"source": "EC2 DescribeInstanceTypes", "as_of": as_of})


def _free(into: Path, name: str) -> Path:
    """A folder of that name that is not there yet; a second book of a day gets a number."""
    number, folder = 1, into / name
    while folder.exists():
        number += 1
        folder = into / f"{name}-{number}"
    return folder


def _not_in_table(types: Sequence[dict[str, str]]) -> tuple[str, ...]:
    """Instance types that no machine of the packaged table describes: the new book's own table has them."""
    from models.machines import machines

    known = {m.name for m in machines()}
    return tuple(sorted(row["instance_type"] for row in types if row["instance_type"] not in known))
