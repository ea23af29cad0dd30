"""Live describe calls: what AWS says of a cluster or domain, and what a search cluster says beside its metrics.

Read-only: kafka:ListClustersV2, kafka:DescribeConfigurationRevision, es:DescribeDomain, elasticmapreduce:Describe* and
List*. Credentials come from boto3's own chain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from calibration import live_aws
from calibration.live import Call, LiveError
from calibration.live_cloudwatch import Target, refusal, target
from calibration.live_http import Endpoint
from calibration.live_search import answered

RIGHTS = (
    "needs kafka:ListClustersV2, kafka:DescribeConfigurationRevision, es:DescribeDomain or elasticmapreduce:Describe*"
)


def search_calls(endpoint: Endpoint, name: str) -> list[Call]:
    """Templates and life cycles of a search cluster; of the two policies one product has each."""

    def call(kind: str, path: str) -> Call:
        return Call(path, lambda: [answered(endpoint, name, kind, path)])

    return [
        call("index_template", "/_index_template"), call("ilm_policy", "/_ilm/policy"),
        call("ism_policies", "/_plugins/_ism/policies"),
    ]  # fmt: skip


def described(text: str, region: str | None) -> Iterator[tuple[str, Any]]:
    """Names and answers of the describe calls of `kafka:CLUSTER`, `es:DOMAIN` or `emr:j-ID`. Raises LiveError."""
    wanted = target(text)
    try:
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        raise LiveError("settings", "--aws needs boto3: pip install 'floodmark[aws]'") from None
    try:
        yield from {"kafka": _kafka, "es": _domain, "emr": _emr}[wanted.kind](wanted, region)
    except (BotoCoreError, ClientError) as error:
        told = refusal(error, wanted.shown)
        said = " ".join(str(told).split("; needs")[0].split())
        rights = f"; {RIGHTS}" if told.reason in ("forbidden", "failed") else ""
        raise LiveError(told.reason, f"{said}{rights}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # a body that is none of AWS's
        said = f"{wanted.shown}: not an answer of AWS ({type(error).__name__}); is a proxy in between?"
        raise LiveError("garbage", said) from None


def _client(service: str, region: str | None) -> Any:
    return live_aws.client(service, region)


def _kafka(wanted: Target, region: str | None) -> Iterator[tuple[str, Any]]:
    client = _client("kafka", region)
    pages = client.get_paginator("list_clusters_v2").paginate(ClusterNameFilter=wanted.name)
    found = [one for page in pages for one in page["ClusterInfoList"] if one.get("ClusterName") == wanted.name]
    if not found:
        raise LiveError("missing", f"{wanted.shown}: no MSK cluster of that name in this region")
    yield f"{wanted.shown} list-clusters-v2", {"ClusterInfo": found[0]}
    software = found[0].get("Provisioned", {}).get("CurrentBrokerSoftwareInfo", {})
    if arn := software.get("ConfigurationArn"):
        revision = client.describe_configuration_revision(Arn=arn, Revision=software["ConfigurationRevision"])
        yield f"{wanted.shown} configuration", {"ServerProperties": revision["ServerProperties"].decode("utf-8")}


def _domain(wanted: Target, region: str | None) -> Iterator[tuple[str, Any]]:
    answer = _client("opensearch", region).describe_domain(DomainName=wanted.name)
    yield f"{wanted.shown} describe-domain", {"DomainStatus": answer["DomainStatus"]}


def _emr(wanted: Target, region: str | None) -> Iterator[tuple[str, Any]]:
    client = _client("emr", region)
    cluster = client.describe_cluster(ClusterId=wanted.name)["Cluster"]
    yield f"{wanted.shown} describe-cluster", {"Cluster": cluster}
    if cluster.get("InstanceCollectionType") == "INSTANCE_FLEET":
        pages = client.get_paginator("list_instance_fleets").paginate(ClusterId=wanted.name)
        yield (
            f"{wanted.shown} instance-fleets",
            {"InstanceFleets": [f for page in pages for f in page["InstanceFleets"]]},
        )
        return
    pages = client.get_paginator("list_instance_groups").paginate(ClusterId=wanted.name)
    yield (
        f"{wanted.shown} instance-groups",
        {"InstanceGroups": [one for page in pages for one in page["InstanceGroups"]]},
    )
