"""No cost falls when load, copies, retention or zones rise; all three systems, and what stands and flows alike."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from pricing.boxes import GP3_INCLUDED_BYTES_PER_SECOND, GP3_INCLUDED_IOPS
from pricing.elasticsearch import SMALL_VOLUME_GIB, included_bytes_per_second
from pricing.kafka import MSK_INCLUDED_BYTES_PER_SECOND
from pricing.price_book import PriceBook
from pricing.shared import bill
from pricing.usage import KafkaUsage, SearchUsage, SparkUsage, Volume

BOOK = PriceBook()
MIB, MB = 2.0**20, 1e6
flows = st.floats(0, 1e15, allow_subnormal=False)
REGIONS = st.sampled_from(["us-east-1", "eu-west-1", "ap-northeast-1"])


def usd(usage) -> Decimal:
    month = bill([usage], BOOK)
    return month.monthly_usd


@st.composite
def kafkas(draw):
    kind = draw(st.sampled_from(["msk-standard", "msk-express", "msk-serverless", "self-managed"]))
    return KafkaUsage(
        kind,
        draw(REGIONS),
        "m7g.large",
        draw(st.integers(1, 30)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 5)),
        Volume("gp3", draw(st.floats(0, 16000)), draw(st.floats(0, 16000)), draw(st.floats(0, 1e9))),
        produced_bytes=draw(flows),
        consumed_bytes={"a": draw(flows), "b": draw(flows)},
        stored_bytes=draw(flows),
        tiered_bytes=draw(flows),
        moved_bytes=draw(flows),
        partitions=draw(st.integers(0, 5000)),
    )


@st.composite
def sparks(draw):
    return SparkUsage(
        draw(st.sampled_from(["emr-ec2", "emr-eks", "emr-serverless", "ec2"])),
        draw(REGIONS),
        "m7g.xlarge",
        draw(st.integers(0, 50)),
        1,
        zones=draw(st.integers(1, 4)),
        spot_share=draw(st.sampled_from([0.0, 0.5])),
        spot_fallback=draw(st.sampled_from([0.0, 0.2])),
        spot_replacement_seconds=draw(st.sampled_from([0.0, 600.0])),
        shuffle_bytes=draw(flows),
        put_requests=draw(st.floats(0, 1e10)),
        checkpoint_bytes=draw(flows),
        vcpu_hours=draw(st.floats(0, 1e5)),
        gb_hours=draw(st.floats(0, 1e5)),
    )


@st.composite
def searches(draw):
    return SearchUsage(
        draw(st.sampled_from(["opensearch-service", "self-managed"])),
        draw(REGIONS),
        "r7g.large",
        draw(st.integers(1, 30)),
        3,
        "m7g.large",
        zones=draw(st.integers(1, 4)),
        copies=draw(st.integers(1, 4)),
        volume=Volume("gp3", draw(st.floats(10, 3000)), 0, 0),
        bulk_bytes=draw(flows),
        search_bytes=draw(flows),
        replica_bytes=draw(flows),
        snapshot_bytes=draw(flows),
    )


MORE = {
    KafkaUsage: ("brokers", "zones", "copies", "produced_bytes", "stored_bytes", "tiered_bytes", "moved_bytes",
                 "partitions"),
    SparkUsage: ("executor_hosts", "zones", "shuffle_bytes", "put_requests", "checkpoint_bytes", "vcpu_hours"),
    SearchUsage: ("data_nodes", "managers", "zones", "copies", "bulk_bytes", "search_bytes", "replica_bytes",
                  "snapshot_bytes"),
}  # fmt: skip


@settings(deadline=None)
@given(usage=st.one_of(kafkas(), sparks(), searches()), data=st.data())
def test_no_cost_falls_when_anything_asked_for_rises(usage, data):
    """Rack-aware groups are left out: with fewer copies than zones, one more copy saves them traffic on MSK."""
    name = data.draw(st.sampled_from(MORE[type(usage)]))
    now = getattr(usage, name)
    more = now + data.draw(st.integers(1, 5) if isinstance(now, int) else st.floats(0, 1e13))
    assert usd(replace(usage, **{name: more})) >= usd(usage), name


@settings(deadline=None)
@given(usage=kafkas(), extra=st.floats(0, 5000), speed=st.floats(0, 5e8))
def test_a_bigger_or_faster_volume_never_costs_less(usage, extra, speed):
    volume = usage.volume
    bigger = replace(usage, volume=replace(volume, gib=volume.gib + extra))
    faster = replace(usage, volume=replace(volume, bytes_per_second=volume.bytes_per_second + speed))
    assert usd(bigger) >= usd(usage) and usd(faster) >= usd(usage)


@settings(deadline=None)
@given(usage=kafkas(), scale=st.floats(1, 10))
def test_flows_cost_in_proportion_when_no_tier_is_crossed(usage, scale):
    """Kafka's metered lines have no tiers: twice the bytes, twice the dollars."""
    scaled = replace(
        usage,
        produced_bytes=usage.produced_bytes * scale,
        consumed_bytes={k: v * scale for k, v in usage.consumed_bytes.items()},
        stored_bytes=usage.stored_bytes * scale,
        tiered_bytes=usage.tiered_bytes * scale,
        moved_bytes=usage.moved_bytes * scale,
    )

    def metered(of):
        return float(sum(x.exact_usd for x in bill([of], BOOK).lines if x.scaling == "scaling"))

    assert abs(metered(scaled) - scale * metered(usage)) <= 1e-6 * (1 + metered(scaled))


def test_the_one_saving_of_another_copy_is_follower_fetch_that_finds_a_copy_near():
    two = KafkaUsage(
        "msk-standard", "us-east-1", "m7g.large", 3, 3, 2, consumed_bytes={"a": 3e12},
        rack_aware_groups=frozenset({"a"}),
    )  # fmt: skip
    assert usd(replace(two, copies=3)) < usd(two)


def test_gp3_allowances_step_exactly_at_their_edges():
    def ebs(iops: float, speed: float) -> Decimal:
        return usd(KafkaUsage("self-managed", "us-east-1", "m7g.large", 1, 1, 1, Volume("gp3", 100, iops, speed)))

    free = ebs(0, 0)
    assert ebs(GP3_INCLUDED_IOPS, GP3_INCLUDED_BYTES_PER_SECOND) == free
    assert ebs(GP3_INCLUDED_IOPS + 1000, 0) - free == Decimal("5.00")
    assert ebs(0, GP3_INCLUDED_BYTES_PER_SECOND + 100 * MB) - free == Decimal("4.00")


def test_msk_throughput_is_paid_above_the_included_250_mib_a_second():
    def msk(speed: float) -> Decimal:
        return usd(KafkaUsage("msk-standard", "us-east-1", "m7g.4xlarge", 3, volume=Volume("gp3", 100, 0, speed)))

    assert msk(MSK_INCLUDED_BYTES_PER_SECOND) == msk(0)
    assert msk(MSK_INCLUDED_BYTES_PER_SECOND + 100 * MIB) - msk(0) == Decimal("24.00")  # 3 x 100 x 0.08


def test_a_larger_opensearch_volume_may_cost_less_only_at_its_throughput_allowance():
    """Past 170 GB the included throughput doubles: the named step at which more storage saves money."""

    def search(gib: float) -> Decimal:
        return usd(
            SearchUsage("opensearch-service", "us-east-1", "r7g.large", 1, volume=Volume("gp3", gib, 0, 250 * MB))
        )

    assert included_bytes_per_second(SMALL_VOLUME_GIB + 1) == 2 * included_bytes_per_second(SMALL_VOLUME_GIB)
    assert search(SMALL_VOLUME_GIB) - search(SMALL_VOLUME_GIB + 1) == Decimal("7.88")  # 125 x 0.064 - 0.122
    assert search(200) > search(SMALL_VOLUME_GIB + 1)
