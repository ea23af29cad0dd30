"""`floodmark sample`: the laboratory's server started, the user's documents measured in it, the set written.

The laboratory is a folder of the checkout and needs Java; it is run as a command of its own. A server given with
`--search` is taken instead, and then is written to: two indices of a name of our own, deleted at the end.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.coefficients import CoefficientSet, load_set
from models.kafka import batch_records, compression_ratio, record_overhead_bytes
from models.machines import UnknownMachine
from models.machines import machine as machine_of
from models.stack import Flow, Scenario
from models.units import show
from planner.refusal import ScenarioError

if TYPE_CHECKING:
    from calibration.live_http import Endpoint

GENERIC = "generic-2026-11"
ROOT = Path(__file__).parent.parent
LAB_SEARCH = "http://127.0.0.1:19200"
MOST_BYTES = 256 * 1024 * 1024
LAB_PATIENCE = 1800  # seconds: the first start fetches the parts
PROBE = "from lab.record import probe; print(min(probe() for _ in range(40)))"


@dataclass(frozen=True)
class Sampled:
    """What the sample found: as data, as a coefficient set, and as lines for a person."""

    plain: dict[str, Any]
    toml: str
    lines: list[str]


def sampled(
    documents: Path,
    template: Path | None,
    scenario: str | None,
    endpoint: Endpoint | None,
    machine: str | None,
    most: int,
    warm_seconds: float,
    tell: Callable[[str], None],
) -> Sampled:
    """Measures the documents. Raises ScenarioError or LiveError with what would do."""
    from calibration import sample, sample_documents

    read = sample_documents.read(documents, MOST_BYTES, most)
    flow, base = _asked(scenario)
    body, left_out = sample.index_body(_template(template)) if template else sample.index_body({"mappings": {}})
    mapping = flow.index.mapping if flow is not None else ("explicit" if template else "dynamic")
    batch = _batch_bytes(flow, read.mean_bytes)
    speed, where = _speed(machine, endpoint is None, base)
    with _server(endpoint, tell) as at:
        idle, halves = sample.measure(sample.Server(at, tell), read, body, warm_seconds)
    found = sample.coefficients(idle, halves, base, mapping, sample.codec_of(body), speed / base.per_core_speed)
    packed = sample.compressions(read, batch, compression_ratio)
    name = f"sample-{documents.name.split('.')[0]}"
    head: dict[str, str | float] = {
        "name": name,
        "as_of": datetime.now(UTC).date().isoformat(),
        "machine": base.machine,
        "per_core_speed": base.per_core_speed,
        "fills_from": base.name,
    }
    cpu = sample.Pair(*(half.cpu_seconds / half.documents for half in halves))
    plain = {
        "schema_version": 1,
        "documents": len(read.lines),
        "mean_json_bytes": read.mean_bytes,
        "passed_over": read.passed_over,
        "template_left_out": left_out,
        "mapping": mapping,
        "measured_on": where,
        "per_core_speed": speed,
        "node_cpu_seconds_per_document": cpu.plain(),
        "idle_cpu_cores": idle,
        "coefficients": {key: {**pair.plain(), "source": source} for key, (pair, source) in found.items()},
        "batch_bytes": batch,
        "compression": packed,
    }
    return Sampled(plain, sample.toml(found, packed, head), _lines(plain, base, documents))


def _asked(scenario: str | None) -> tuple[Flow | None, CoefficientSet]:
    """The flow that the documents are of, and the set whose values they better."""
    from planner.scenario import load_scenario

    if scenario is None:
        return None, load_set(GENERIC)
    loaded: Scenario = load_scenario(scenario)
    return loaded.flows[0], load_set(loaded.coefficients)


def _batch_bytes(flow: Flow | None, mean_bytes: float) -> float:
    """Bytes of a producer batch before compression: the forecast's own, or a full one of Kafka's default."""
    if flow is None:
        return 16 * 1024.0
    producer, load = flow.topic.producer, flow.workload
    streams = producer.count * (flow.topic.partitions if producer.partitioner == "keyed" else 1)
    one = mean_bytes + record_overhead_bytes(mean_bytes, 2)
    records = batch_records(load.events_per_second / streams, producer.linger, producer.batch_size / one)
    return records * (mean_bytes + record_overhead_bytes(mean_bytes, records))


def _template(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ScenarioError(f"--template {path}: no such file; `GET _index_template/NAME` answers one") from None
    except (ValueError, OSError) as error:
        raise ScenarioError(f"--template {path}: not JSON: {error}") from None


def _speed(machine: str | None, ours: bool, base: CoefficientSet) -> tuple[float, str]:
    """CoreMark a second of one core of the server's machine, and its name."""
    if machine is not None:
        try:
            speed = machine_of(machine).per_core_speed(base["hosts.smt_yield"])
        except UnknownMachine as error:
            raise ScenarioError(f"--machine: {error}") from None
        if speed is None:
            raise ScenarioError(f"--machine {machine}: nobody measured its CoreMark; say a neighbour of its family")
        return speed, machine
    if not ours:
        raise ScenarioError("--search is another machine's server; say which with --machine, such as m7g.large")
    return _probed()


def _probed() -> tuple[float, str]:
    """This machine's speed by the laboratory's probe, over that of the newest machine whose CoreMark is known."""
    import tomllib

    known = sorted(ROOT.glob("lab/results/*/machine.toml"))
    if not known:
        raise ScenarioError(
            "no lab/results/*/machine.toml to compare this machine with; say --machine, such as m7g.large"
        )
    reference = tomllib.loads(known[-1].read_text(encoding="utf-8"))
    seconds = float(_run([sys.executable, "-c", PROBE], 60).stdout)
    usual = min(reference["speed_probe_cpu_seconds"].values())
    return reference["per_core_speed"] * usual / seconds, f"this machine, by a speed probe over {reference['name']}"


@contextmanager
def _server(endpoint: Endpoint | None, tell: Callable[[str], None]) -> Iterator[Endpoint]:
    """The server to write to; the laboratory's is started, and stopped again if we started it."""
    from calibration.live_http import Endpoint as Address
    from calibration.live_http import Limits

    if endpoint is not None:
        with endpoint:
            yield endpoint
        return
    if not (ROOT / "lab" / "__main__.py").exists():
        raise ScenarioError(
            "the laboratory is not part of this installation; give --search URL of a test server, or a checkout"
        )
    tell("starting the laboratory's server (python -m lab up)")
    started = _run([sys.executable, "-m", "lab", "up"], LAB_PATIENCE)
    running = "running already" in started.stderr
    if started.returncode != 0 and not running:
        raise ScenarioError((started.stderr.strip() or started.stdout.strip())[-1500:])
    try:
        with Address(LAB_SEARCH, limits=Limits(seconds=60.0)) as at:
            yield at
    finally:
        if not running:
            _run([sys.executable, "-m", "lab", "down"], 120)


def _run(command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds, stdin=subprocess.DEVNULL)


def _lines(plain: dict[str, Any], base: CoefficientSet, documents: Path) -> list[str]:
    """The answer for a person: value, error, and what the base set said."""
    lines = [
        f"{documents.name}: {plain['documents']:,} documents of {plain['mean_json_bytes']:.0f} bytes, "
        f"mapping {plain['mapping']}, on {plain['measured_on']}"
    ]
    for name, one in plain["coefficients"].items():
        share = one["half_sample_error"] / one["value"]
        lines.append(f"  {name:<32} {one['value']:<11.4g} ± {share:.1%} (half samples)   {base.name}: {base[name]:.4g}")
    cpu = plain["node_cpu_seconds_per_document"]
    error = cpu["half_sample_error"] / cpu["value"]
    lines.append(f"  {'node CPU a document, all in':<32} {cpu['value'] * 1e6:.1f} µs     ± {error:.1%}")
    for codec, one in plain["compression"].items():
        lines.append(f"  compression, {codec:<6} at {plain['batch_bytes'] / 1024:.3g} KiB      {_ratio(one)}")
    if plain["passed_over"]:
        lines.append("  passed over: " + ", ".join(f"{n:,} {why}" for why, n in plain["passed_over"].items()))
    if plain["template_left_out"]:
        lines.append("  template settings that a lone node cannot have: " + ", ".join(plain["template_left_out"]))
    last = "`-o sample.toml` writes the set; a scenario reads it with `coefficients: sample.toml`"
    return [*lines, f"{last}, the ratios of compression too"]


def _ratio(one: dict[str, Any]) -> str:
    """A codec's ratio at the forecast's batch, the law's, and how it runs with the size of batches."""
    if "lacks" in one:
        return f"needs {one['lacks']}"
    curve = ", ".join(f"{p['value']:.2f} at {show(p['batch_bytes'], 'bytes')}" for p in one["points"])
    return f"{one['value']:.2f} ± {one['half_sample_error']:.2f}   law: {one['law']:.2f}   ({curve})"
