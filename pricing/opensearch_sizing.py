"""AWS's own storage rule for OpenSearch Service, as a named policy beside Floodmark's bytes.

Source x (1 + replicas) x 1.45: a tenth of indexing overhead, 5 % that Linux keeps, a fifth that the service keeps, of
which it never takes more than 20 GiB of a node. It is no forecast: the source is raw bytes, taken as large as the
index. Floodmark multiplies by the measured index bytes of a JSON byte instead and holds nodes against the service's
write block, so the two differ by that ratio and by the 20 GiB.
"""

from __future__ import annotations

from models.units import GIB

POLICY = "aws-opensearch-storage"
OVERHEAD, LINUX, SERVICE = 1.1, 0.95, 0.80
SERVICE_MOST_GIB = 20


def minimum_bytes(source_bytes: float, copies: int, nodes: int) -> float:
    """Storage of the whole cluster that the rule asks for [bytes]; `copies` counts the primary.

    Source: AWS, sizing OpenSearch Service domains (elasticsearch.md A14): 1.1 / 0.95 / 0.8 = 1.45, and for large
    volumes 1.1 / 0.95 and 20 GiB a node.

    >>> round(minimum_bytes(100 * GIB, 1, 3) / GIB), round(minimum_bytes(66 * GIB, 2, 3) / GIB)
    (145, 191)
    >>> round(minimum_bytes(10_000 * GIB, 2, 3) / GIB)
    23218
    """
    held = source_bytes * copies * OVERHEAD / LINUX
    return min(held / SERVICE, held + SERVICE_MOST_GIB * GIB * nodes)
