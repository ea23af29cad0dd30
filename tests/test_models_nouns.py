"""Nouns: bounds, units, foreign names and refusals, as a person meets them."""

from __future__ import annotations

import math
from typing import get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from models.hosts import Host
from models.kafka import KafkaCluster, Producer, Topic
from models.noun import Noun
from models.spark import Query, Sink, SparkCluster
from models.stack import Scenario
from models.units import GIB, KIB, parse_bytes, parse_per_second, parse_seconds, show
from models.workload import Workload
from planner.fields import bounds, extra, leaves, noun_in, nouns

UNITS = {"", "s", "bytes", "bytes/s", "1/s", "1", "count", "cores", "USD", "s, 1/s"}


@pytest.mark.parametrize("noun", nouns(Scenario), ids=lambda n: n.__name__)
def test_every_field_says_its_unit_and_meaning(noun: type[Noun]) -> None:
    for name, info in noun.model_fields.items():
        assert info.description, f"{noun.__name__}.{name} has no meaning"
        assert extra(info, "unit") in UNITS, f"{noun.__name__}.{name}"
        data = info.json_schema_extra
        assert isinstance(data, dict) and "unit" in data


@pytest.mark.parametrize("leaf", list(leaves(Scenario)), ids=lambda leaf: leaf.path)
def test_every_quantity_has_a_lower_bound(leaf) -> None:
    by_name = get_origin(leaf.info.annotation) is dict
    if leaf.unit in ("", "s, 1/s") or by_name or leaf.name in ("trigger", "steps") or "curve" in leaf.name:
        return  # words, and lists checked by their noun
    assert bounds(leaf.info), f"{leaf.path} takes any number"


def test_an_unknown_key_is_answered_with_the_nearest_right_one() -> None:
    with pytest.raises(ValidationError, match="did you mean 'partitions'"):
        Topic.model_validate({"partition": 3})


def test_a_foreign_name_is_answered_with_ours() -> None:
    with pytest.raises(ValidationError, match="Floodmark's name for it is 'max_offsets_per_trigger'"):
        Query.model_validate({"trigger": 1, "sink": {"kind": "noop"}, "maxOffsetsPerTrigger": 10})
    with pytest.raises(ValidationError, match=r"'linger'"):
        Producer.model_validate({"linger.ms": 5})


@pytest.mark.parametrize("noun", [n for n in nouns(Scenario) if n.not_modelled], ids=lambda n: n.__name__)
def test_what_no_law_reads_is_refused_with_its_reason(noun: type[Noun]) -> None:
    for key, why in noun.not_modelled.items():
        with pytest.raises(ValidationError, match="is not modelled"):
            noun.model_validate({key: 1})
        assert key not in noun.model_fields and len(why) > 10


def test_foreign_names_are_said_once_in_a_noun() -> None:
    for noun in nouns(Scenario):
        names = [extra(info, "foreign") for info in noun.model_fields.values()]
        named = [name for name in names if name]
        assert len(named) == len(set(named)), noun.__name__


def test_both_spellings_of_one_load_mean_the_same() -> None:
    a = Workload.model_validate({"rate": "1k/s", "size": "500 B"})
    b = Workload.model_validate({"rate": 1000, "bytes_per_second": "500 kB/s"})
    c = Workload.model_validate({"size": 500, "bytes_per_second": 500_000})
    assert a.event_bytes == b.event_bytes == c.event_bytes == 500
    assert a.events_per_second == b.events_per_second == c.events_per_second == 1000


def test_three_spellings_that_disagree_are_refused() -> None:
    with pytest.raises(ValidationError, match="differs from bytes_per_second"):
        Workload.model_validate({"rate": 1000, "size": 500, "bytes_per_second": 1})


def test_raw_lines_values_and_documents_are_told_apart() -> None:
    raw = Workload(rate=1, size=100, size_is="raw", value_per_raw=4, json_per_value=2)
    doc = Workload(rate=1, size=800, size_is="json", value_per_raw=4, json_per_value=2)
    assert (raw.value_bytes, raw.json_bytes) == (doc.value_bytes, doc.json_bytes) == (400, 800)


def test_no_write_is_accepted_when_more_must_be_in_sync_than_exist() -> None:
    with pytest.raises(ValidationError, match="no write would be accepted"):
        Topic(copies=1, min_insync=2)


def test_msk_wants_brokers_in_multiples_of_zones() -> None:
    with pytest.raises(ValidationError, match="multiple of zones"):
        KafkaCluster(brokers=4, zones=3)
    assert KafkaCluster(kind="self-managed", brokers=4, zones=3).brokers == 4


def test_spark_refuses_a_heap_below_its_reserve() -> None:
    with pytest.raises(ValidationError, match="450 MiB or more"):
        SparkCluster(heap=400 * 1024**2)


def test_a_host_is_a_machine_or_cores() -> None:
    with pytest.raises(ValidationError, match="either machine or cores"):
        Host(name="a")
    with pytest.raises(ValidationError, match="either machine or cores"):
        Host(name="a", machine="m7g.large", cores=2)


def test_a_sink_has_no_default_kind() -> None:
    with pytest.raises(ValidationError):
        Sink.model_validate({})


def test_a_trigger_takes_the_words_of_spark() -> None:
    def query(trigger: object) -> float:
        return Query.model_validate({"trigger": trigger, "sink": {"kind": "noop"}}).trigger

    assert query("as fast as possible") == 0 and query("available-now") == -1 and query("2 s") == 2
    with pytest.raises(ValidationError):
        query("-3 s")


@given(st.floats(1e-3, 1e12))
def test_a_quantity_reads_back_as_it_is_shown(value: float) -> None:
    """To the three digits that are shown."""
    for text, read in ((show(value, "bytes"), parse_bytes), (show(value, "1/s"), parse_per_second)):
        assert read(text) == pytest.approx(value, rel=0.006), text
    if value < 1e8:
        assert parse_seconds(show(value, "s")) == pytest.approx(value, rel=0.006)


@pytest.mark.parametrize("text", ["", "GiB", "8 XiB", "1e999", "nan", "inf", "--3", "8 GiB GiB", None, True, [], {}])
def test_what_is_no_quantity_is_refused(text: object) -> None:
    with pytest.raises(ValueError, match=r"expected|finite"):
        parse_bytes(text)


def test_jvm_letters_are_binary_and_si_is_not() -> None:
    assert parse_bytes("8g") == 8 * GIB and parse_bytes("1 kB") == 1000 and parse_bytes("1k") == KIB


def test_lists_of_nouns_are_found_by_the_walk() -> None:
    paths = [leaf.path for leaf in leaves(Scenario)]
    assert "flows[].topic.producer.linger" in paths and "flows[].workload.bursts[].factor" in paths
    assert len(paths) == len(set(paths)) > 90
    assert all(noun_in(leaf.info.annotation) is None for leaf in leaves(Scenario))
    assert get_origin(Scenario.model_fields["flows"].annotation) is tuple


def test_shares_of_partitions_sum_to_one() -> None:
    for skew in (0.0, 0.5, 1.0, 5.0):
        shares = Workload(rate=1, size=1, partition_skew=skew).partition_shares(17)
        assert math.isclose(sum(shares), 1.0) and shares == sorted(shares, reverse=True)
