"""Rebuilds the dated tables from the folder of facts: `python -m pricing.build_book --facts DIR`.

The same facts give the same bytes. Without `--facts` the environment's FLOODMARK_FACTS is used, then
`../shared/facts` beside the repository.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from models import machines
from pricing import build_compute, build_machines, build_services
from pricing.rows import Row, pack

ROOT = Path(__file__).parent.parent
DATA = Path(__file__).parent / "data"


def facts_folder(given: str | None = None) -> Path:
    """The folder of facts; an error names what would do."""
    folder = Path(given or os.environ.get("FLOODMARK_FACTS") or ROOT.parent / "shared" / "facts")
    if not (folder / "aws" / "sources.csv").exists():
        wanted = "expected a folder holding aws/sources.csv (or set FLOODMARK_FACTS)"
        raise FileNotFoundError(f"--facts = {folder}; {wanted}")
    return folder


TABLES: dict[str, tuple[Callable[[Path], Iterator[Row]], ...]] = {
    "ec2": (build_compute.ec2_rows,),
    "ec2_commitments": (build_compute.ec2_commitment_rows, build_compute.payment_rows, build_compute.extra_plan_rows),
    "ec2_spot": (build_compute.spot_rows,),
    "emr": (build_compute.emr_rows, build_compute.extra("emr_serverless")),
    "msk": (build_compute.msk_rows, build_compute.msk_quota_rows),
    "opensearch": (build_compute.opensearch_rows, build_services.storage_rows, build_compute.extra("opensearch")),
    "opensearch_reserved": (build_compute.opensearch_reserved_rows,),
    "services": (
        build_services.ebs_rows,
        build_services.s3_rows,
        build_services.network_rows,
        build_services.observability_rows,
        build_services.support_rows,
        build_services.alternative_rows,
        build_compute.extra("kinesis", "firehose"),
    ),
}


def built(facts: Path) -> dict[Path, bytes]:
    """Every generated table: where it goes and its bytes."""
    tables = {machines.TABLE: build_machines.machine_table(facts), DATA / "sources.csv": source_table(facts)}
    tables[DATA / "msk_sizing.csv"] = (facts / "benchmarks" / "kafka_msk_broker_specs.csv").read_bytes()
    for name, makers in TABLES.items():
        rows = [_clean(row) for make in makers for row in make(facts)]
        tables[DATA / f"{name}.csv.gz"] = pack(rows)
    return tables


def _clean(row: Row) -> Row:
    return row._replace(source=_public(row.source))


def _public(source: str) -> str:
    """A source as a reader can use it: a bare file number is only 'a third-party file'.

    >>> _public("github files 70166746446, 19045611250 (Terraform comment)")
    'a third-party file on GitHub (Terraform comment)'
    """
    return re.sub(r"github files? \d+(, \d+)*", "a third-party file on GitHub", source)


# These facts describe how a source was met; a reader needs what it is.
REWORDED = {
    "opensearch-tool-2026-10": "a third-party copy of AWS's AmazonES offer file, us-east-1, 2026-10-05",
    "memory": "from memory, not read anywhere",
    "derived": "computed: us-east-1 price times the regional ratio of a sister type or of EBS gp3",
}


EXTRA_SOURCES = (
    (
        "pkb-441d2f9",
        "github GoogleCloudPlatform/PerfKitBenchmarker perfkitbenchmarker/providers/aws/"
        "aws_dpb_emr_serverless_prices.py, commit 441d2f97, generated from aws.amazon.com/emr/pricing",
        "about 2023 (no date in the file)",
    ),
    (
        "clarchy-2026-10-01",
        "github namratabhatia21/Clarchy src/clarchy/data/prices/aws.yaml, commit 24812aa5, drawn from AWS's Price List "
        "and Savings Plan offer files of us-east-1",
        "2026-10-01",
    ),
    (
        "msk-notes-2026-08-12",
        "a project's notes on GitHub of the Price List of ap-southeast-1, collected through the Pricing API",
        "2026-08-12",
    ),
    ("vantage-2026-10-01", "a capture of instances.vantage.sh kept as a test fixture on GitHub", "2026-10-01"),
)


def source_table(facts: Path) -> bytes:
    """What each source slug means, for the reader of a bill."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["source", "what", "as_of"])
    for row in build_machines.read_rows(facts / "aws" / "sources.csv"):
        if not row["source"].startswith("github file"):
            writer.writerow([row["source"], REWORDED.get(row["source"], row["what"]), row["as_of"]])
    writer.writerows(EXTRA_SOURCES)
    return out.getvalue().encode()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--facts", help="folder of facts")
    for path, content in built(facts_folder(parser.parse_args(arguments).facts)).items():
        path.write_bytes(content)
        print(f"{path.relative_to(ROOT)}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
