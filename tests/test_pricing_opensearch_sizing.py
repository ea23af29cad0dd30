"""AWS's storage rule on AWS's own worked example, and against Floodmark's bytes with each difference named."""

from __future__ import annotations

import pytest

from models.coefficients import load_set
from models.elasticsearch import watermark_bytes
from models.units import GIB
from planner.scenario import example
from planner.storage import index_storage
from pricing.opensearch_sizing import LINUX, OVERHEAD, SERVICE, minimum_bytes


def test_the_rule_is_1_45_times_source_times_copies():
    assert pytest.approx(1.45, abs=0.003) == OVERHEAD / LINUX / SERVICE


def test_awss_worked_example():
    """AWS's guide: 66 GB of source and one replica need 191 GB."""
    assert minimum_bytes(66 * GIB, 2, 3) / GIB == pytest.approx(191, abs=0.5)


def test_the_service_keeps_at_most_20_gib_of_a_node():
    large = minimum_bytes(1e15, 2, 10)
    assert large - 1e15 * 2 * OVERHEAD / LINUX == pytest.approx(200 * GIB)


def test_floodmark_differs_by_the_measured_ratio_and_by_what_linux_keeps():
    """Same source, same copies: ours is the rule times index bytes a JSON byte, over the rule's overhead."""
    it, c = example("events"), load_set("generic-2026-11")
    flow = it.flows[0]
    ratio = c["index.bytes_per_json_byte"] * c["index.dynamic_mapping_ratio"]
    held = index_storage(it, c).bytes
    source = held / flow.index.copies / ratio
    rule = minimum_bytes(source, flow.index.copies, it.elasticsearch.data_nodes)
    assert rule == pytest.approx(held / ratio * OVERHEAD / LINUX + 3 * 20 * GIB)
    block = watermark_bytes(1024 * GIB, "opensearch-service", "2.19")["write_block"]
    assert 1024 * GIB - block == 20 * GIB  # the same 20 GiB that the rule leaves free
