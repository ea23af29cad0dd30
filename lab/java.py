"""Java development kits on this machine, and which of them a part may run on.

Kafka 4 and Spark 4 take Java 17 or 21; OpenSearch 3 and Elasticsearch 9 need 21 or newer. A machine may
have several; each part gets the oldest that it may run on, since that is what it was tested with.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PLACES = ("/usr/lib/jvm", "/opt", "/Library/Java/JavaVirtualMachines")
HOW = (
    "install one: `apt-get install openjdk-21-jdk-headless` (Debian 13, Ubuntu 24.04), `dnf install "
    "java-21-openjdk-headless` (Fedora, RHEL), `brew install openjdk@21`, or unpack an Eclipse Temurin 21 under /opt; "
    "JAVA_HOME is looked at too"
)


class NoJava(RuntimeError):
    """No Java that would do: says what was found and how to install one."""


@dataclass(frozen=True, order=True)
class Jdk:
    major: int
    home: Path

    @property
    def java(self) -> str:
        return str(self.home / "bin" / "java")


def major(release: str) -> int | None:
    """The major version in the text of a JDK's `release` file.

    >>> major('IMPLEMENTOR="Eclipse Adoptium"\\nJAVA_VERSION="25.0.3"')
    25
    >>> major('JAVA_VERSION="1.8.0_402"')
    8
    """
    found = re.search(r'^JAVA_VERSION="(?:1\.)?(\d+)', release, re.MULTILINE)
    return int(found[1]) if found else None


def find(places: Iterable[str] = PLACES) -> list[Jdk]:
    """All JDKs, oldest first, each once."""
    homes = [Path(p) for place in places for p in sorted(Path(place).glob("*")) if Path(place).is_dir()]
    homes += [home / "Contents" / "Home" for home in homes]
    if os.environ.get("JAVA_HOME"):
        homes.append(Path(os.environ["JAVA_HOME"]))
    if shutil.which("java"):
        homes.append(Path(os.path.realpath(shutil.which("java") or "")).parent.parent)
    found: dict[Path, Jdk] = {}
    for home in homes:
        release = home / "release"
        if release.is_file() and (home / "bin" / "java").exists():
            version = major(release.read_text(encoding="utf-8", errors="replace"))
            if version:
                found[home.resolve()] = Jdk(version, home.resolve())
    return sorted(found.values())


def pick(jdks: list[Jdk], part: str, least: int, most: int = 99) -> Jdk:
    """The oldest JDK from `least` to `most`; refuses with what was found and how to install one."""
    for jdk in jdks:
        if least <= jdk.major <= most:
            return jdk
    seen = ", ".join(f"{j.major} in {j.home}" for j in jdks) or "none"
    wanted = f"{least} or newer" if most == 99 else f"{least} to {most}"
    raise NoJava(f"{part} needs Java {wanted}; found {seen}; {HOW}")
