"""What a refresh reads, a page at a time: the price list by query or by file, spot, savings plans, hardware."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pricing import refresh_rules as rules
from pricing.refresh_calls import Clients, RefreshError, asked

Page = tuple[list[Any], str, int]  # what was read, the token of the next page ('' at the end), charges not understood
Reader = Callable[[str], Page]


def products(clients: Clients, service: str, wanted: Any, region: str) -> Reader:
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


def bulk(clients: Clients, service: str, region: str) -> Reader:
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


def spot(clients: Clients) -> Reader:
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


def savings(clients: Clients, region: str) -> Reader:
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


def types(clients: Clients) -> Reader:
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
