"""Facts every EC2 catalogue must obey, and how a name finds its box."""

from __future__ import annotations

import csv
import itertools
import statistics
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.machines as module
from models.machines import TABLE, UnknownMachine, box_name, extend, machine, machines
from models.units import GIB, MB
from pricing.build_book import facts_folder
from pricing.build_machines import machine_table, sister_family


def test_vcpu_is_cores_times_threads():
    assert [m.name for m in machines() if m.vcpu != m.cores * m.threads_per_core] == []


def test_every_graviton_vcpu_is_a_whole_core():
    assert {m.threads_per_core for m in machines() if m.architecture == "arm64"} == {1}


def test_intel_puts_two_threads_on_a_core_and_amd_stopped_with_the_seventh_generation():
    threads = {m.family: m.threads_per_core for m in machines() if m.size == "xlarge"}
    assert {threads[f] for f in ("m5", "m6i", "m7i", "c5", "r7i", "i3en", "m6a")} == {2}
    assert {threads[f] for f in ("m7a", "r7a", "c7a")} == {1}


def test_a_baseline_never_exceeds_its_peak():
    for m in machines():
        assert m.network_baseline_bytes_per_second <= m.network_peak_bytes_per_second, m.name
        assert m.ebs_baseline_bytes_per_second <= m.ebs_peak_bytes_per_second, m.name
        assert m.ebs_baseline_iops <= m.ebs_peak_iops, m.name


def test_a_bigger_size_of_a_family_never_has_less():
    by_family: dict[str, list] = {}
    for m in machines():
        by_family.setdefault(m.family, []).append(m)
    for family, sizes in by_family.items():
        ordered = sorted(sizes, key=lambda m: (m.vcpu, m.memory_bytes))
        for small, big in itertools.pairwise(ordered):
            assert big.memory_bytes >= small.memory_bytes, family
            assert big.network_baseline_bytes_per_second >= small.network_baseline_bytes_per_second, (family, big.name)
            assert big.ebs_baseline_bytes_per_second >= small.ebs_baseline_bytes_per_second, (family, big.name)
            assert big.local_bytes >= small.local_bytes, (family, big.name)


def test_memory_per_vcpu_is_the_family_letter():
    expected = {"c": 2, "m": 4, "r": 8}
    for m in machines():
        if m.family[0] in expected and m.family[1].isdigit():
            assert m.memory_bytes / GIB / m.vcpu == expected[m.family[0]], m.name


def test_names_are_family_dot_size_and_unique():
    assert all(m.name == f"{m.family}.{m.size}" for m in machines())
    assert len({m.name for m in machines()}) == len(machines()) == 491


def test_a_small_broker_sustains_far_less_than_its_brochure():
    m = machine("kafka.m7g.large")
    assert m.network_baseline_bytes_per_second == pytest.approx(117.1e6, rel=1e-3)  # "up to 12.5 Gigabit"
    assert m.network_peak_bytes_per_second / m.network_baseline_bytes_per_second > 13
    assert m.ebs_baseline_bytes_per_second == 78.75 * MB and m.ebs_peak_bytes_per_second == 1250 * MB


def test_aws_sizing_script_has_the_same_ebs_and_network_baselines():
    """msk_sizing.py of 2026-08-20 carries 78.75 MB/s EBS and 117 MB/s NIC for m7g.large, doubling with size."""
    ebs = {"m7g.large": 78.75, "m7g.xlarge": 156.25, "m7g.2xlarge": 312.5, "m7g.4xlarge": 625.0, "m5.4xlarge": 593.75}
    nic = {"m7g.large": 117, "m7g.xlarge": 234, "m7g.2xlarge": 469, "m7g.4xlarge": 937, "m7g.8xlarge": 1875}
    for name, value in ebs.items():
        assert machine(name).ebs_baseline_bytes_per_second / MB == value
    for name, value in nic.items():
        assert machine(name).network_baseline_bytes_per_second / MB == pytest.approx(value, abs=1)


def test_msk_and_opensearch_names_lead_to_their_box():
    box = machine("m7g.large")
    assert machine("kafka.m7g.large") is box and machine("express.m7g.large") is box
    assert machine("r7g.large.search").name == "r7g.large"
    assert machine("or1.large.search").memory_bytes == 16 * GIB


def test_an_unknown_machine_is_refused_with_the_nearest_right_ones():
    with pytest.raises(UnknownMachine, match=r"'m7g.lrage' is not in the table.*m7g.large"):
        machine("m7g.lrage")
    with pytest.raises(UnknownMachine, match=r"'kafka\.zz9\.large'"):
        machine("kafka.zz9.large")
    with pytest.raises(UnknownMachine):
        machine("")


def test_a_core_is_worth_more_than_half_of_what_two_threads_make_it():
    """One thread alone on an m7i core outruns an m7g core, though CoreMark a vCPU says the opposite."""
    intel, graviton = machine("m7i.xlarge"), machine("m7g.xlarge")
    assert intel.coremark / intel.vcpu < graviton.coremark / graviton.vcpu
    assert intel.per_core_speed(1.3) > graviton.per_core_speed(1.3)
    assert graviton.per_core_speed(1.3) == graviton.per_core_speed(1.0)


@given(smt_yield=st.floats(1, 2), index=st.integers(0, 490))
def test_speed_times_capacity_is_the_whole_box(smt_yield, index):
    m = machines()[index]
    speed = m.per_core_speed(smt_yield)
    if speed is None:
        assert m.coremark is None
    else:
        assert speed * m.capacity_threads(smt_yield) == pytest.approx(m.coremark)


@pytest.mark.parametrize("bad", [0.5, 2.5, -1.0, float("nan")])
def test_an_smt_yield_outside_one_to_two_is_refused(bad):
    with pytest.raises(ValueError, match="smt_yield"):
        machine("m7i.large").capacity_threads(bad)


def test_a_core_of_every_measured_family_is_alike_in_all_sizes():
    """CoreMark a vCPU spreads by at most a third within a family (i7ie is the worst): near linear in vCPU."""
    for family in {m.family for m in machines()}:
        rates = [m.coremark / m.vcpu for m in machines() if m.family == family and m.coremark_basis == "measured"]
        assert not rates or max(rates) / min(rates) < 1.34, family


def test_sister_families_agree_so_borrowing_a_coremark_is_fair():
    """Where a family and its `d` sister were both measured, medians a vCPU agree within 3 %."""

    def rate(family: str) -> float:
        return statistics.median(m.coremark / m.vcpu for m in machines() if m.family == family)

    measured = {m.family for m in machines() if m.coremark_basis == "measured"}
    pairs = [(f, sister_family(f)) for f in measured if sister_family(f) in measured]
    assert len(pairs) >= 8
    assert all(abs(rate(f) / rate(s) - 1) < 0.03 for f, s in pairs), pairs


def test_a_borrowed_coremark_says_so():
    assert machine("r6id.xlarge").coremark_basis == "derived" and "r6i.xlarge" in machine("r6id.xlarge").coremark_source
    assert machine("m7g.large").coremark_basis == "measured" and "2025" in machine("m7g.large").coremark_source


def test_box_names_are_left_alone_when_plain():
    assert all(box_name(m.name) == m.name for m in machines())


def test_reading_the_table_pulls_in_no_heavy_package():
    code = "import sys, models.machines as m; m.machine('m7g.large'); print([x for x in HEAVY if x in sys.modules])"
    code = code.replace("HEAVY", "('pandas', 'numpy')")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_table_is_rebuilt_byte_for_byte():
    try:
        facts = facts_folder()
    except FileNotFoundError:
        pytest.skip("the folder of facts is not here")
    assert machine_table(facts) == TABLE.read_bytes()


def test_every_row_names_its_source_and_date():
    with TABLE.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["source"] and row["as_of"] and row["coremark_source"] for row in rows)


# --- further tables -----------------------------------------------------------------------------------------------


@pytest.fixture
def further(tmp_path, monkeypatch):
    """A table as a refreshed book has it: a new family, a known type with other figures, a type half told."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = {row["instance_type"]: row for row in csv.DictReader(file)}
    like = rows["m7g.xlarge"]
    new = like | {"instance_type": "m77g.xlarge", "family": "m77g"}
    wrong = rows["m7g.large"] | {"vcpu": "64"}
    half = like | {"instance_type": "m78g.xlarge", "cores": ""}
    path = tmp_path / "instance_types.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(like), lineterminator="\n")
        writer.writeheader()
        writer.writerows([new, wrong, half])
    monkeypatch.setenv(module.MORE_TABLES, "")
    yield path
    monkeypatch.delenv(module.MORE_TABLES)
    module._by_name.cache_clear()
    machines.cache_clear()


def test_a_further_table_adds_new_types_and_moves_no_known_one(further):
    before = machine("m7g.large")
    assert extend(further) == 1 and extend(further) == 0
    assert machine("m77g.xlarge").cores == 4 and machine("kafka.m77g.xlarge").family == "m77g"
    assert machine("m7g.large") == before and "m77g.xlarge" in {m.name for m in machines()}
    with pytest.raises(UnknownMachine):
        machine("m78g.xlarge")  # nobody told its cores


def test_processes_started_from_here_know_it_too(further):
    extend(further)
    code = "from models.machines import machine; print(machine('m77g.xlarge').name)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "m77g.xlarge\n"


def test_a_file_of_another_shape_is_refused(tmp_path):
    path = tmp_path / "instance_types.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="lacks the columns"):
        extend(path)
