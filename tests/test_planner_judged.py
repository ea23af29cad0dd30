"""Promises with a window of their own, disks that must last, hosts in zones, fetchers, and who may connect."""

from __future__ import annotations

import math

import pytest

from planner import yaml_text
from planner.checks import check
from planner.forecast import coefficients_of, forecast
from planner.limits import broker_cpu_load, limits
from planner.refusal import ScenarioError
from planner.scenario import load_scenario

BASE = """
name: judged
flows:
- name: events
  workload: {rate: 1000/s, size: 1 kB, bursts: [{at: 30 s, duration: 4 s, factor: 20}]}
  topic: {partitions: 6}
  query: {trigger: 4 s, sink: {kind: jvm-connector}}
targets: {p99: 9 s}
run: {measure: 60, warm_up: 20, repeats: 2}
"""


def scenario(**changed):
    data, _ = yaml_text.parse(BASE)
    return load_scenario(data | changed)


def test_a_promise_is_judged_over_its_own_window_and_says_so() -> None:
    short = forecast(scenario(), draws_of_coefficients=0).targets[0]
    long = forecast(
        scenario(targets={"p99": "9 s", "judged": {"p99": {"window": "20 min"}}}), draws_of_coefficients=0
    ).targets[0]
    assert short.window == "60 s without faults" and long.window == "20 min without faults"
    assert long.forecast < short.forecast  # 4 s in 20 minutes are less than 1 % of the records


def test_a_disk_that_fills_within_the_horizon_breaks_the_promise_and_is_named() -> None:
    small = {"brokers": 3, "volume": {"size": "40 GiB"}}
    out = forecast(scenario(kafka=small, targets={"horizon": "30 d"}), draws_of_coefficients=0).targets[0]
    assert not out.holds and out.reason.startswith("kafka: full on day")
    large = {"brokers": 3, "volume": {"size": "4 TiB"}}
    wide = {"volume": {"size": "4 TiB"}}
    kept = forecast(
        scenario(kafka=large, elasticsearch=wide, targets={"horizon": "30 d"}), draws_of_coefficients=0
    ).targets[0]
    assert kept.holds and (math.isinf(float(kept.forecast)) or float(kept.forecast) >= 30 * 86400)


def test_hosts_that_state_zones_must_agree_with_the_cluster() -> None:
    hosts = [{"name": "a", "cores": 4, "zone": "eu-1a"}, {"name": "b", "cores": 4, "zone": "eu-1b"}]
    own = {"kind": "self-managed", "brokers": 2, "hosts": ["a", "b"]}
    flows = yaml_text.parse(BASE)[0]["flows"]
    flows[0]["topic"] |= {"copies": 2}
    with pytest.raises(ScenarioError, match=r"kafka.zones = 3, but its hosts lie in 2 \(eu-1a, eu-1b\)"):
        scenario(hosts=hosts, kafka=own | {"zones": 3}, flows=flows)
    assert scenario(hosts=hosts, kafka=own | {"zones": 2}, flows=flows).hosts[1].zone == "eu-1b"


def test_a_yield_of_threads_needs_a_machine_type() -> None:
    with pytest.raises(ScenarioError, match="smt_yield belongs to a machine type"):
        scenario(hosts=[{"name": "a", "cores": 4, "smt_yield": 1.3}])


def test_more_fetchers_share_the_replication_of_a_broker_pair() -> None:
    def busy(count: int) -> float:
        it = scenario(kafka={"replica_fetchers": count})
        return next(x.utilisation for x in limits(it, coefficients_of(it)) if x.name == "kafka replica fetchers")

    assert busy(1) > 1.9 * busy(2) > 0  # six partitions: one a pair and direction, then spread over two threads


@pytest.mark.parametrize(
    ("kafka", "refusal"),
    [
        ({"authentication": "iam", "tls": False}, "runs over TLS only"),
        ({"authentication": "iam", "kind": "self-managed"}, "is MSK's own"),
        ({"authentication": "kerberos"}, "kafka.authentication"),
    ],
)
def test_authentication_that_cannot_be_is_refused(kafka: dict[str, object], refusal: str) -> None:
    with pytest.raises(ScenarioError, match=refusal):
        scenario(kafka=kafka)


def test_iam_bounds_connections() -> None:
    flows = yaml_text.parse(BASE)[0]["flows"]
    flows[0]["topic"] |= {"producer": {"count": 4000}}
    codes = {f.code: f for f in check(scenario(kafka={"authentication": "iam"}, flows=flows))}
    assert codes["iam-connections"].severity == "critical" and "4002 connections" in codes["iam-connections"].evidence
    assert "iam-connections" not in {f.code for f in check(scenario(kafka={"authentication": "iam"}))}
    assert "iam-connections" not in {f.code for f in check(scenario(flows=flows))}
    assert "authentication-unpriced" in {f.code for f in check(scenario(kafka={"authentication": "mtls"}))}


def test_brokers_bound_the_rate_though_the_fluid_front_never_refuses() -> None:
    """A broker of 0.4 cores beside a query with cores to spare: what is sustainable is what its CPU does."""
    hosts = [{"name": "a", "cores": 0.4}, {"name": "b", "cores": 32}]
    own = {"kind": "self-managed", "brokers": 1, "hosts": ["a"], "tls": False}
    flows = yaml_text.parse(BASE)[0]["flows"]
    flows[0]["workload"] = {"rate": "1000/s", "size": "1 kB"}
    flows[0]["topic"] |= {"copies": 1, "min_insync": 1, "producer": {"partitioner": "keyed", "count": 20}}
    search = {"kind": "self-managed-opensearch", "data_nodes": 1, "hosts": ["b"]}
    it = scenario(
        hosts=hosts, flows=flows, kafka=own, elasticsearch=search, spark={"hosts": ["b"], "executors": 4, "cores": 4}
    )
    found = forecast(it, draws_of_coefficients=0).throughput
    assert found.evidence.startswith("kafka cpu is full before the query is")
    busiest = broker_cpu_load(
        it, coefficients_of(it), found.sustainable_events_per_second / found.offered_events_per_second
    )
    assert busiest.utilisation == pytest.approx(1.0, rel=0.02)


def test_the_level_is_chosen_by_how_busy_the_brokers_are() -> None:
    flows = yaml_text.parse(BASE)[0]["flows"]
    flows[0]["workload"] = {"rate": "1000/s", "size": "1 kB"}
    calm, busy = scenario(flows=flows), scenario(flows=flows, kafka={"background": 0.8})
    assert forecast(calm, draws_of_coefficients=0).level == "fluid"
    assert forecast(busy, draws_of_coefficients=0).level == "exact"
    told = forecast(busy, draws_of_coefficients=0, level="fluid")
    assert "brokers-busy" in {warning.code for warning in told.warnings}


def test_a_promise_may_leave_the_faults_out() -> None:
    broken = {"faults": ["driver-lost at 30 s for 20 s"], "spark": {"restart": {"policy": "supervisor"}}}
    with_them = forecast(scenario(**broken), draws_of_coefficients=0).targets[0]
    without = forecast(
        scenario(**broken, targets={"p99": "9 s", "judged": {"p99": {"faults": False}}}), draws_of_coefficients=0
    ).targets[0]
    assert with_them.window == "60 s with its faults" and without.window == "60 s without faults"
    assert with_them.forecast > without.forecast


def test_headroom_is_judged_on_the_fullest_and_named() -> None:
    wanted = {"cpu_headroom": 0.3, "disk_headroom": 0.2, "memory_headroom": 0.1}
    calm = {t.target: t for t in forecast(scenario(targets=wanted), draws_of_coefficients=0).targets}
    assert set(calm) == set(wanted) and calm["cpu_headroom"].holds
    busy = scenario(targets=wanted, elasticsearch={"background": 0.9, "volume": {"size": "60 GiB"}})
    told = {t.target: t for t in forecast(busy, draws_of_coefficients=0).targets}
    assert not told["cpu_headroom"].holds and told["cpu_headroom"].reason.startswith("elasticsearch")
    assert not told["disk_headroom"].holds and "first mark" in told["disk_headroom"].reason
    assert calm["memory_headroom"].holds == (float(calm["memory_headroom"].forecast) >= 0.1)
