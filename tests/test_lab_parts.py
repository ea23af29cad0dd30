"""Parts are what was pinned or nothing starts; Java is found or its installation told; processes end by their ids."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from lab import java, parts, processes
from lab.brokers import properties
from lab.search import jvm_options, node_settings


def test_every_file_is_pinned_by_a_checksum() -> None:
    pins = parts.read_pins()
    found = parts.read_parts(pins)
    assert set(found) == {"kafka", "spark_kafka", "opensearch", "elasticsearch", "jmx_exporter"}
    for part in found.values():
        assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in part.sha256.values())
        assert all(artifact.count(":") >= 2 for artifact in part.artifacts)
    assert len(found["kafka"].sha256) == 93
    rows = parts.requirements(pins).splitlines()
    assert [row.split("==")[0] for row in rows] == ["pyspark", "py4j", "confluent-kafka"]
    assert all("--hash=sha256:" in row for row in rows)


def test_a_pom_takes_what_is_named_and_its_dependencies_only_where_asked() -> None:
    found = parts.read_parts(parts.read_pins())
    assert "<exclusion>" not in parts.pom(found["kafka"])
    assert parts.pom(found["opensearch"]).count("<type>zip</type>") == 1
    assert parts.pom(found["spark_kafka"]).count("<exclusion>") == 4


def test_a_changed_missing_or_added_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    (tmp_path / "c.jar").write_bytes(b"c")
    digest = parts.sha256(tmp_path / "a.jar")
    assert parts.differences(tmp_path, {"a.jar": digest, "c.jar": parts.sha256(tmp_path / "c.jar")}) == []
    told = parts.differences(tmp_path, {"a.jar": "0" * 64, "b.jar": digest})
    assert told == ["b.jar is missing", "c.jar is not pinned", f"a.jar has SHA-256 {digest}, pinned is {'0' * 64}"]


def test_without_maven_the_laboratory_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    part = parts.Part("x", "1", ("g:a:1",), False, {"a-1.jar": "0" * 64})
    with pytest.raises(parts.PartError, match="Maven is missing; install it: apt-get install maven"):
        parts.fetch(part, tmp_path, "plugin")


def test_a_zip_is_unpacked_once_with_its_modes(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as z:
        z.writestr("s-1/", "")
        entry = zipfile.ZipInfo("s-1/bin/run")
        entry.external_attr = 0o755 << 16
        z.writestr(entry, "#!/bin/sh\n")
    folder = parts.unpack(tmp_path / "s.zip", tmp_path / "out")
    assert folder.name == "s-1" and (folder / "bin" / "run").stat().st_mode & 0o111
    (folder / "bin" / "run").write_text("mine")
    assert (parts.unpack(tmp_path / "s.zip", tmp_path / "out") / "bin" / "run").read_text() == "mine"


def test_the_oldest_java_that_will_do_is_taken(tmp_path: Path) -> None:
    for name, version in (("b", "25.0.3"), ("a", "17.0.15"), ("c", "1.8.0_402")):
        (tmp_path / name / "bin").mkdir(parents=True)
        (tmp_path / name / "bin" / "java").touch()
        (tmp_path / name / "release").write_text(f'JAVA_VERSION="{version}"\n')
    jdks = [java.Jdk(8, tmp_path / "c"), java.Jdk(17, tmp_path / "a"), java.Jdk(25, tmp_path / "b")]
    assert set(jdks) <= set(java.find([str(tmp_path)]))
    assert java.pick(jdks, "Kafka", 17, 21).major == 17
    assert java.pick(jdks, "OpenSearch", 21).major == 25
    with pytest.raises(
        java.NoJava, match=r"Spark needs Java 18 to 21; found 8 in .*install one: `apt-get install openj"
    ):
        java.pick(jdks, "Spark", 18, 21)


def test_three_brokers_vote_and_listen_on_loopback_only(tmp_path: Path) -> None:
    said = [properties(n, 3, tmp_path, None, "") for n in (1, 2, 3)]
    assert len({s["controller.quorum.voters"] for s in said}) == 1
    assert said[0]["controller.quorum.voters"].count("@") == 3
    ports = [p for s in said for p in re.findall(r":(\d+)", s["listeners"])]
    assert len(set(ports)) == len(ports) == 9
    assert all(host == "127.0.0.1" for s in said for host in re.findall(r"//([^:]+):", s["listeners"]))
    secret = properties(1, 1, tmp_path, tmp_path / "k.p12", "pw")
    assert "CLIENTS:SSL" in secret["listener.security.protocol.map"]


def test_a_node_has_as_many_processors_as_cores_and_loopback_only(tmp_path: Path) -> None:
    one = node_settings("opensearch", 0, 1, 1, tmp_path)
    assert (one["node.processors"], one["network.host"], one["discovery.type"]) == (1, "127.0.0.1", "single-node")
    two = node_settings("elasticsearch", 1, 2, 2, tmp_path)
    assert two["cluster.initial_master_nodes"] == ["n0", "n1"] and two["xpack.security.enabled"] is False


def test_a_server_of_another_user_writes_beside_nothing(tmp_path: Path) -> None:
    said = jvm_options("-Xms4g\n-Xmx4g\n-XX:HeapDumpPath=data\n-Xlog:gc*:file=logs/gc.log:utctime\n", tmp_path)
    assert "-Xms4g" not in said and said.count("-Xmx1g") == 1
    assert f"HeapDumpPath={tmp_path}" in said and f"file={tmp_path}/gc.log" in said


needs_linux = pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset and setpriv are Linux's")


@needs_linux
def test_a_process_ends_with_its_children_and_no_other(tmp_path: Path) -> None:
    registry = processes.Registry(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    try:
        mine = processes.start(registry, "it", [sys.executable, "-c", code], cores=[0], log=tmp_path / "log")
        until = time.monotonic() + 10
        while len(tree := processes.tree(mine.pid, processes.all_stats())) < 2 and time.monotonic() < until:
            time.sleep(0.05)
        assert len(tree) == 2 and set(registry.alive()) == {"it"}
        with pytest.raises(processes.ProcessError, match="it is running already"):
            processes.start(registry, "it", ["true"], cores=[0], log=tmp_path / "log")
        mine.stop()
        states = [s.state for pid in tree if (s := processes.stat(pid)) is not None]
        assert set(states) <= {"Z"} and registry.alive() == {}
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@needs_linux
def test_an_id_that_another_process_inherited_is_left_alone(tmp_path: Path) -> None:
    registry = processes.Registry(tmp_path)
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"])
    try:
        seen = processes.stat(other.pid)
        assert seen is not None
        registry.add("kafka-1", other.pid, seen.started - 1)
        assert registry.stop_all() == []
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@needs_linux
def test_a_process_that_ended_is_told_with_its_log(tmp_path: Path) -> None:
    code = "import sys; print('no such broker'); sys.exit(3)"
    mine = processes.start(
        processes.Registry(tmp_path), "it", [sys.executable, "-c", code], cores=[0], log=tmp_path / "log"
    )
    mine.popen.wait(20)
    with pytest.raises(processes.ProcessError, match=r"it ended with code 3; its log ends:\nno such broker"):
        mine.expect_alive()
