"""Parts: the pinned pieces of the stack, fetched by Maven and pip and checked by SHA-256.

A part of `pins.toml` names its artifacts by coordinates and each file by its checksum. A file that is
missing, other than pinned, or not listed stops everything: a stack of unknown parts is no measurement.
All of it lies in the laboratory's home, outside the checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

PINS = Path(__file__).parent / "pins.toml"
MAVEN = "apt-get install maven (Debian, Ubuntu), dnf install maven (Fedora, RHEL) or brew install maven"


class PartError(RuntimeError):
    """A part that could not be fetched, or is not what was pinned."""


@dataclass(frozen=True)
class Part:
    """Maven artifacts `group:artifact:version[:type]`; `transitive` takes what they depend on too."""

    name: str
    version: str
    artifacts: tuple[str, ...]
    transitive: bool
    sha256: Mapping[str, str]


def read_pins(path: Path = PINS) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_parts(pins: Mapping[str, Any]) -> dict[str, Part]:
    """The Maven parts by name."""
    return {
        name: Part(name, raw["version"], tuple(raw["artifacts"]), raw.get("transitive", False), raw["sha256"])
        for name, raw in pins["part"].items()
    }


def lab_home() -> Path:
    """FLOODMARK_LAB_HOME, else ~/.cache/floodmark-lab; for root /var/cache/floodmark-lab.

    The search servers run as a user of their own, and may not enter root's home folder.
    """
    default = "/var/cache/floodmark-lab" if os.geteuid() == 0 else "~/.cache/floodmark-lab"
    home = Path(os.environ.get("FLOODMARK_LAB_HOME", default)).expanduser().absolute()
    home.mkdir(parents=True, exist_ok=True)
    closed = [p for p in (home, *home.parents) if not p.stat().st_mode & 0o001]
    if os.geteuid() == 0 and closed:
        raise PartError(f"FLOODMARK_LAB_HOME = {home}: {closed[-1]} is closed to other users, and the search servers "
                        "run as one; choose a folder that all may enter, or chmod o+x it")  # fmt: skip
    return home


def pom(part: Part) -> str:
    """A Maven project whose dependencies are the part's artifacts."""
    stop = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
    rows = []
    for artifact in part.artifacts:
        group, name, version, *kind = map(escape, artifact.split(":"))
        row = f"<groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version>"
        row += f"<type>{kind[0]}</type>" if kind else ""
        rows.append(f"  <dependency>{row}{'' if part.transitive else stop}</dependency>")
    head = '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    own = f"<groupId>floodmark.lab</groupId><artifactId>{part.name}</artifactId><version>1</version>"
    return f"{head}{own}\n<dependencies>\n" + "\n".join(rows) + "\n</dependencies></project>\n"


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(folder: Path, pinned: Mapping[str, str]) -> list[str]:
    """What is missing, other than pinned, or not listed, by file name."""
    seen = {p.name for p in folder.iterdir() if p.is_file()} if folder.is_dir() else set()
    found = [f"{name} is missing" for name in sorted(set(pinned) - seen)]
    found += [f"{name} is not pinned" for name in sorted(seen - set(pinned))]
    for name in sorted(seen & set(pinned)):
        got = sha256(folder / name)
        if got != pinned[name]:
            found.append(f"{name} has SHA-256 {got}, pinned is {pinned[name]}")
    return found


def fetch(part: Part, home: Path, plugin: str, tell: Callable[[str], None] = print) -> Path:
    """The part's folder, fetched if it is not there, checked in either case."""
    folder = home / "parts" / f"{part.name}-{part.version}"
    if differences(folder, part.sha256):
        tell(f"fetching {part.name} {part.version}")
        download(part, folder, plugin)
        wrong = differences(folder, part.sha256)
        if wrong:
            raise PartError(f"{part.name} {part.version}: {'; '.join(wrong[:4])}; nothing of it is started")
    return folder


def download(part: Part, folder: Path, plugin: str) -> None:
    """Asks Maven for the part's files."""
    if shutil.which("mvn") is None:
        raise PartError(f"Maven is missing; install it: {MAVEN}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    project = folder.parent / f"{part.name}.pom.xml"
    project.write_text(pom(part), encoding="utf-8")
    command = ["mvn", "-q", "-B", "-f", str(project), f"{plugin}:copy-dependencies", "-DincludeScope=runtime"]
    done = subprocess.run([*command, f"-DoutputDirectory={folder}"], capture_output=True, text=True, timeout=900)
    if done.returncode != 0:
        raise PartError(f"Maven could not fetch {part.name} {part.version}:\n{(done.stdout + done.stderr)[-1500:]}")


def unpack(archive: Path, to: Path) -> Path:
    """A server's zip unpacked once; the folder that it holds."""
    with zipfile.ZipFile(archive) as z:
        top = z.namelist()[0].split("/")[0]
        if not (to / top / ".unpacked").exists():
            z.extractall(to)
            for entry in z.infolist():
                mode = entry.external_attr >> 16
                if mode and not entry.is_dir():
                    (to / top).parent.joinpath(entry.filename).chmod(mode & 0o755)
            (to / top / ".unpacked").touch()
    return to / top


def python(pins: Mapping[str, Any], home: Path, tell: Callable[[str], None] = print) -> Path:
    """The Python of the laboratory's own environment, with pyspark and confluent-kafka as pinned."""
    own, made = home / "venv" / "bin" / "python", home / "venv" / "made.txt"
    wanted = requirements(pins)
    if own.exists() and made.exists() and made.read_text() == wanted:
        return own
    tell("making the laboratory's Python environment (pyspark is 450 MB)")
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(home / "venv")], check=True)
    file = home / "requirements.txt"
    file.write_text(wanted)
    command = [str(own), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--require-hashes"]
    done = subprocess.run([*command, "-r", str(file)], capture_output=True, text=True, timeout=1800)
    if done.returncode != 0:
        raise PartError(f"pip could not install {', '.join(pins['python'])}:\n{(done.stdout + done.stderr)[-1500:]}")
    made.write_text(wanted)
    return own


def requirements(pins: Mapping[str, Any]) -> str:
    """pip's requirements with a checksum for each file that any machine may be served."""
    rows = []
    for name, raw in pins["python"].items():
        hashes = " ".join(f"--hash=sha256:{h}" for h in raw["sha256"].values())
        rows.append(f"{name}=={raw['version']} {hashes}\n")
    return "".join(rows)
