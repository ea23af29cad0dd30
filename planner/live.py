"""Asking running systems from Python, as the commands do: record, probe, sample, discover.

Credentials are no arguments: they come from FLOODMARK_… variables or from AWS's own chain. Times are seconds or texts
such as '5 min'. What a system refused is a `LiveError`, what was asked wrongly a `ScenarioError`; neither holds a
secret.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from planner.refusal import ScenarioError

if TYPE_CHECKING:
    from calibration.live import Source
    from calibration.live_http import Endpoint
    from planner.discover import Discovered
    from planner.sampling import Sampled

SERVICES = {"search": "es", "aoss": "aoss", "prometheus": "aps"}
MOST_BYTES = 8 * 1024**3
POINTS_OF_LOAD = 2000  # of a past that is asked for its load
NO_SOURCE = "nothing to record; give search, kafka, prometheus, metrics, spark or cloudwatch"
Told = Callable[[str], None]
Texts = str | Sequence[str]


class Reach:
    """How systems are reached: trust, signing and patience. Raises ScenarioError for an unknown service."""

    def __init__(
        self,
        ca_file: Path | str | None = None,
        fingerprints: Texts = (),
        signed: Texts = (),
        region: str | None = None,
        seconds: float = 10.0,
    ) -> None:
        from calibration.live_tls import Tls

        unknown = [one for one in several(signed) if one not in SERVICES]
        if unknown:
            raise ScenarioError(f"sigv4 = '{unknown[0]}'; expected one of {', '.join(SERVICES)}")
        self.tls = Tls(Path(ca_file) if ca_file else None, tuple(several(fingerprints)))
        self.signed, self.region, self.seconds = several(signed), region, seconds

    def endpoint(self, url: str, option: str, system: str) -> Endpoint:
        """An address with the login that the environment or AWS's chain has for that system."""
        from calibration.live_http import Endpoint, Limits
        from calibration.live_login import checked, login, sigv4

        at = checked(url, option, system)
        service = next(
            (SERVICES[one] for one in self.signed if one == system or (one, system) == ("aoss", "search")), None
        )
        who = login(system) if service is None else sigv4(service, self.region)
        return Endpoint(at, who, self.tls, Limits(seconds=self.seconds), system)


class Named:
    """Names of sources, each once: search, search-2, …"""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}

    def __call__(self, name: str) -> str:
        self.seen[name] = self.seen.get(name, 0) + 1
        return name if self.seen[name] == 1 else f"{name}-{self.seen[name]}"


def several(texts: Texts | None) -> list[str]:
    """One text or several as a list."""
    return [texts] if isinstance(texts, str) and texts else list(texts or ())


def name_and_url(text: str) -> tuple[str, str]:
    """`kafka-1=http://…` or just the address, whose host and port then are the name."""
    name, equals, url = text.partition("=")
    if equals and "/" not in name and ":" not in name:
        return name, url
    return urlsplit(text).netloc.rpartition("@")[2] or "metrics", text


def sources(
    reach: Reach,
    *,
    search: Texts = (),
    index: str = "_all",
    kafka: Texts = (),
    prometheus: Texts = (),
    match: str = "",
    metrics: Texts = (),
    spark: Texts = (),
    application: str = "",
    cloudwatch: Texts = (),
    every: float = 10.0,
    past: float = 0.0,
) -> list[Source]:
    """The systems to ask, each by its own reader and with a name of its own. Asks nobody yet."""
    found: list[Source] = []
    named = Named()
    for url in several(search):
        from calibration.live_search import search_source

        found.append(search_source(reach.endpoint(url, "--search", "search"), index, named("search")))
    for url in several(prometheus):
        from calibration.live_prometheus import prometheus_source

        at = reach.endpoint(url, "--prometheus", "prometheus")
        found.append(prometheus_source(at, max(every, 1.0), past, match, named("prometheus")))
    for text in several(metrics):
        from calibration.live_prometheus import exposition_source

        name, url = name_and_url(text)
        found.append(exposition_source(reach.endpoint(url, "--metrics", "metrics"), named(name)))
    for url in several(spark):
        from calibration.live_spark import spark_source

        found.append(spark_source(reach.endpoint(url, "--spark", "spark"), named("spark"), application))
    for text in several(kafka):
        from calibration import live_kafka

        servers = live_kafka.checked_bootstrap(text)
        login = live_kafka.settings(region=reach.region)
        found.append(live_kafka.kafka_source(servers, login, reach.tls, named("kafka"), reach.seconds))
    for text in several(cloudwatch):
        from calibration.live_cloudwatch import cloudwatch_source

        found.append(cloudwatch_source(text, reach.region, past, reach.seconds))
    return found


def recorded(
    asked: Sequence[Source],
    output: Path,
    *,
    every: float,
    length: float | None,
    append: bool = False,
    anyway: bool = False,
    most: int = MOST_BYTES,
    tell: Told,
    over: threading.Event | None = None,
) -> dict[str, Any]:
    """Asks everything once, then on a grid of times into `output`; the summary. `over` ends it in order.

    Raises ScenarioError where a system gave nothing at the start, since an hour later is late to learn of a typo.
    """
    from calibration.recorder import Journal, Recorder

    recorder = Recorder(asked, Journal(output, append, most), every, length, tell)
    recorder.over = over or recorder.over
    if recorder.journal.cut:
        tell(f"{output}: cut off {recorder.journal.cut} bytes of a line that a crash left unfinished")
    _begin(recorder, asked, output, anyway, append, tell)
    return recorder.run()


def _begin(recorder: Any, asked: Sequence[Source], output: Path, anyway: bool, append: bool, tell: Told) -> None:
    from calibration.recorder import in_words
    from planner.version import engine_version

    of = [{"name": one.name, "at": one.shown, "resolution": one.resolution, "cannot_tell": list(one.cannot_tell)}
          for one in asked]  # fmt: skip
    silent = recorder.begin({"floodmark": engine_version(), "every_s": recorder.every, "sources": of})
    dead = {one.source for one in silent}
    if dead and not anyway:
        recorder.journal.close()
        if not append:
            output.unlink()
        said = in_words(silent)
        lines = [
            f"{', '.join(sorted(dead))} gave nothing, so nothing was recorded (--anyway begins all the same)",
            *said,
        ]
        raise ScenarioError("\n".join(lines[:8]))
    working = [one.name for one in asked if one.name not in dead]
    span = f"for {recorder.length:g} s" if recorder.length else "until stopped"
    tell(f"recording {', '.join(working)} every {recorder.every:g} s {span} into {output}; Ctrl-C ends it in order")


# from Python ---------------------------------------------------------------------------------------


def record(
    output: Path | str,
    *,
    search: Texts = (),
    index: str = "_all",
    kafka: Texts = (),
    prometheus: Texts = (),
    match: str = "",
    metrics: Texts = (),
    spark: Texts = (),
    application: str = "",
    cloudwatch: Texts = (),
    every: float | str = 10.0,
    length: float | str = "1h",
    since: float | str = 0.0,
    append: bool = False,
    anyway: bool = False,
    region: str | None = None,
    sigv4: Texts = (),
    ca_file: Path | str | None = None,
    fingerprint: Texts = (),
    timeout: float | str = 10.0,
    tell: Told = lambda text: None,
) -> dict[str, Any]:
    """Samples running systems into one file, as `floodmark record` does; what each source gave, by its name.

    `import_recordings([output])` reads it. Raises LiveError or ScenarioError.
    """
    reach = Reach(ca_file, fingerprint, sigv4, region, spell("timeout", timeout, 0.1, 600))
    spacing, past = spell("every", every, 0.1, 86400), spell("since", since, 0, 500 * 86400)
    asked = sources(
        reach, search=search, index=index, kafka=kafka, prometheus=prometheus, match=match, metrics=metrics,
        spark=spark, application=application, cloudwatch=cloudwatch, every=spacing, past=past,
    )  # fmt: skip
    if not asked:
        raise ScenarioError(NO_SOURCE)
    span = spell("length", length, 0.1, 400 * 86400)
    return recorded(asked, Path(output), every=spacing, length=span, append=append, anyway=anyway, tell=tell)


def probe(
    search: str,
    index: str,
    field: str,
    *,
    partition_field: str = "",
    every: float | str = 0.5,
    length: float | str = 300.0,
    region: str | None = None,
    sigv4: Texts = (),
    ca_file: Path | str | None = None,
    fingerprint: Texts = (),
    timeout: float | str = 10.0,
) -> dict[str, Any]:
    """Real end-to-end latency of a live index, as `floodmark probe --json` tells it. Read-only. Raises LiveError."""
    from calibration.probe import Probe, summary

    reach = Reach(ca_file, fingerprint, sigv4, region, spell("timeout", timeout, 0.1, 600))
    spacing, span = spell("every", every, 0.05, 60), spell("length", length, 1, 86400)
    with reach.endpoint(search, "--search", "search") as endpoint:
        polling = Probe(endpoint, index, field, partition_field, spacing)
        return summary(polling.run(span), polling)


def sample(
    documents: Path | str,
    *,
    template: Path | str | None = None,
    scenario: str | None = None,
    search: str | None = None,
    machine: str | None = None,
    most: int = 100_000,
    warm: float | str = 60.0,
    ca_file: Path | str | None = None,
    fingerprint: Texts = (),
    tell: Told = lambda text: None,
) -> Sampled:
    """Own documents indexed in a real server; `.toml` is the coefficient set, `.plain` the data, `.lines` the words."""
    from planner.sampling import sampled

    reach = Reach(ca_file, fingerprint, seconds=60.0)
    endpoint = reach.endpoint(search, "--search", "search") if search else None
    shape = Path(template) if template else None
    return sampled(Path(documents), shape, scenario, endpoint, machine, most, spell("warm", warm, 1, 600), tell)


def discover(
    files: Sequence[Path | str] = (),
    *,
    search: Texts = (),
    kafka: Texts = (),
    spark: Texts = (),
    aws: Texts = (),
    prometheus: Texts = (),
    match: str = "",
    cloudwatch: Texts = (),
    since: float | str = "7 d",
    region: str | None = None,
    topic: str = "",
    index: str = "",
    given: Mapping[str, str] | None = None,
    ca_file: Path | str | None = None,
    fingerprint: Texts = (),
    sigv4: Texts = (),
    timeout: float | str = 10.0,
) -> Discovered:
    """The as-is stack from live systems, saved answers and recordings; `.as_yaml()` is the scenario file.

    The load is that of recordings, or of the past `since` that Prometheus or CloudWatch kept. `given` holds what only
    you know by path: {"workload.rate": "5k/s", "query.trigger": "10 s"}. Raises ScenarioError.
    """
    from planner.discovering import asked_of, found_in, told

    past = spell("since", since, 60, 500 * 86400)
    every = max(60.0, past / POINTS_OF_LOAD)
    with told():
        reach = Reach(ca_file, fingerprint, sigv4, region, spell("timeout", timeout, 0.1, 600))
        kept = sources(reach, prometheus=prometheus, match=match, cloudwatch=cloudwatch, every=every, past=past)
        return found_in(
            [Path(path) for path in files], asked_of(reach, several(search), several(kafka), several(spark)),
            several(aws), region, dict(given or {}), topic, index, kept,
        )  # fmt: skip


def spell(name: str, value: float | str, least: float, most: float) -> float:
    """A time as seconds or as a person writes it, within bounds [s]. Raises ScenarioError."""
    from models.units import parse_seconds, show

    expected = f"expected {show(least, 's')} to {show(most, 's')}"
    try:
        seconds = parse_seconds(value)
    except ValueError as error:
        raise ScenarioError(f"{name} = {value!r}: {error}; {expected}") from None
    if not least <= seconds <= most:
        raise ScenarioError(f"{name} = {value!r}; {expected}")
    return seconds
