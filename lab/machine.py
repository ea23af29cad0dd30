"""The machine of a series: what machine.toml says of it, in the words that the fit reads."""

from __future__ import annotations

import os
import platform
import re
import statistics
import time
from pathlib import Path

from lab.record import probe_cores

# CoreMark a core by CPU, where a published measurement names one; grade and source go along.
SPEEDS = {
    ("AuthenticAMD", 25, range(16, 32)): (
        32161,
        "remembered",
        "median CoreMark a core of EC2 m7a (Vantage, 2025-12-10), whose CPU is of this family and model (Zen 4)",
    ),
}


def cpu(text: str) -> dict[str, str]:
    """Fields of the first processor of /proc/cpuinfo.

    >>> cpu("vendor_id\\t: AuthenticAMD\\ncpu family\\t: 25\\n\\nvendor_id\\t: x")["cpu family"]
    '25'
    """
    rows = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in rows}


def speed(said: dict[str, str]) -> tuple[int, str, str] | None:
    """CoreMark a core of that CPU, its grade and source; None where we know none."""
    for (vendor, family, models), known in SPEEDS.items():
        same = said.get("vendor_id") == vendor and int(said.get("cpu family", -1)) == family
        if same and int(said.get("model", -1)) in models:
            return known
    return None


def slug(model: str, cores: int) -> str:
    """A folder's name for a CPU.

    >>> slug("Intel(R) Xeon(R) Platinum 8488C CPU @ 2.40GHz", 4)
    'xeon-platinum-8488c-4core'
    """
    plain = re.sub(r"\((R|TM|r|tm)\)|CPU|Processor|\d+-Core|@.*|\bAMD\b|\bIntel\b", " ", model)
    return "-".join([*re.findall(r"[a-z0-9]+", plain.lower()), f"{cores}core"])


def short_name() -> str:
    """This machine's."""
    info = Path("/proc/cpuinfo")
    said = cpu(info.read_text()) if info.exists() else {}
    return slug(said.get("model name", platform.machine()), os.cpu_count() or 1)


def probes(times: int = 9) -> dict[str, float]:
    """The median speed probe of each core [CPU s]."""
    taken = [probe_cores(range(os.cpu_count() or 1)) for _ in range(times)]
    return {core: statistics.median(one[core] for one in taken) for core in taken[0]}


def describe() -> str:
    """machine.toml; a speed that no source tells is left as a line to fill in, and the fit asks for it."""
    said = cpu(Path("/proc/cpuinfo").read_text())
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = said.get("model name", platform.machine())
    family = f"family {said.get('cpu family', '?')} model {said.get('model', '?')}"
    rows = [f'name = "{os.cpu_count()} cores of {model}, {family}, {gib:.0f} GiB"']
    known = speed(said)
    if known is None:
        rows.append(
            "# per_core_speed = …  CoreMark a core of this CPU, with per_core_speed_grade and per_core_speed_source:"
        )
        rows.append("# no source is known for it here, and the fit refuses the series until these three are stated.")
    else:
        rows += [f"per_core_speed = {known[0]}", f'per_core_speed_grade = "{known[1]}"']
        rows.append(f'per_core_speed_source = "{known[2]}"')
    rows.append(f"as_of = {time.strftime('%Y-%m-%d', time.gmtime())}")
    rows.append(f'kernel = "{platform.release()}"')
    rows.append(f"avx512 = {str('avx512f' in said.get('flags', '')).lower()}")
    rows.append("\n[speed_probe_cpu_seconds]  # lab/record.py: one fixed piece of work, by core, before the series")
    rows += [f"core_{core} = {seconds:.6f}" for core, seconds in probes().items()]
    return "\n".join(rows) + "\n"
