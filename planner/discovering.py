"""Discovery put together: settings from systems and saved answers, and the load from recordings and from metrics.

A file may tell settings, load, or both: each is given to both readers, and one that neither knows is refused.
Prometheus and CloudWatch are asked for their past, which is read as any recording is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.discover import DiscoverError, Fact, Found, discover_document, read_file
from calibration.live import Answer, LiveError
from planner.discover import Discovered, discovered
from planner.refusal import ScenarioError

if TYPE_CHECKING:
    from calibration.live import Source
    from calibration.load_curve import Load
    from calibration.recording import Recording
    from planner.live import Reach

NOT_KNOWN = (
    "not recognised; expected answers of aws kafka|opensearch|emr describe-…, terraform show -json, _cluster/settings, "
    "_settings, _index_template, ILM or ISM policies, _nodes, kafka-configs.sh or kafka-topics.sh --describe, Spark's "
    "environment or StreamingQueryProgress, a recording, or exported metrics and a CSV of time and rate for the load"
)


def found_in(
    files: Sequence[Path], sources: Iterable[Source], aws: Sequence[str], region: str | None, given: Mapping[str, str],
    topic: str = "", index: str = "", past: Iterable[Source] = (),
) -> Discovered:  # fmt: skip
    """The as-is stack. `sources` are asked for settings, `past` for the load of their past.

    Raises DiscoverError, LiveError or ValueError, naming what would do.
    """
    from calibration.discover_live import described
    from calibration.observations import ObservationError

    found = Found()
    recordings = [one for path in files for one in _file(path, found)]
    for source in sources:
        _ask(source, found)
    for text in aws:
        for name, document in described(text, region):
            discover_document(document, name, found)
    for source in past:
        recordings += _past(source, found)
    try:
        load = _told_by(recordings, found, topic)
    except ObservationError as error:
        raise DiscoverError(str(error)) from None
    return discovered(found, given, topic or (load.topic if load else ""), index, load)


@contextmanager
def told() -> Iterator[None]:
    """What systems and documents refused, as the message of a wrong input."""
    from calibration.secrets import redact_text

    try:
        yield
    except ScenarioError:
        raise
    except (DiscoverError, LiveError, ValueError) as error:
        raise ScenarioError(redact_text(str(error))) from None


def asked_of(reach: Reach, search: Sequence[str], kafka: Sequence[str], spark: Sequence[str]) -> Iterator[Source]:
    """The systems to ask for settings; of a search cluster its templates and life cycles too."""
    from planner.live import sources

    for url in search:
        from calibration.discover_live import search_calls
        from calibration.live_search import search_source

        endpoint = reach.endpoint(url, "--search", "search")
        source = search_source(endpoint)
        source.calls = [*source.calls, *search_calls(endpoint, source.name)]
        yield source
    yield from sources(reach, kafka=kafka, spark=spark)


def _file(path: Path, found: Found) -> list[Recording]:
    """What a file tells of settings goes into `found`; the recordings that can be read from it. Refuses a stranger."""
    from calibration.importer import import_paths
    from calibration.observations import ObservationError

    if not path.exists():
        raise DiscoverError(f"{path}: No such file or directory")
    broken: DiscoverError | None = None
    try:
        known = read_file(path, found)
    except DiscoverError as error:
        known, broken = False, error
    try:
        recordings = import_paths([path])
    except ObservationError:
        recordings = []
    if not known and not recordings:
        raise broken or DiscoverError(f"{path}: {NOT_KNOWN}")
    return recordings


def _ask(source: Source, found: Found) -> None:
    """Asks a live system once; what it refuses is listed, and a system that gave nothing is an error."""
    known, refused = 0, []
    try:
        for one in source.sample(everything=True):
            if isinstance(one, Answer):
                known += discover_document(one.body, f"{source.shown} {one.kind}", found)
            else:
                refused.append(one.message)
    finally:
        source.close()
    if not known:
        raise DiscoverError(f"{source.shown} told nothing: {'; '.join(dict.fromkeys(refused)) or 'no answer is known'}")
    found.unused += dict.fromkeys(refused)


def _past(source: Source, found: Found) -> list[Recording]:
    """A source's past as recordings, by way of a file that only its owner can read and that is gone afterwards."""
    from calibration.importer import import_paths
    from calibration.observations import ObservationError

    refused: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{source.name.replace('/', '-')}.jsonl"
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
            for one in source.sample(everything=True):
                out.write(one.line() + "\n")
                refused += [] if isinstance(one, Answer) else [one.message]
        source.close()
        try:
            made = import_paths([path])
        except ObservationError as error:
            why = "; ".join(dict.fromkeys(refused)) or str(error)
            raise DiscoverError(f"{source.shown} told nothing of its past: {why}") from None
    found.unused += dict.fromkeys(refused)
    return made


def _told_by(recordings: Sequence[Recording], found: Found, topic: str) -> Load | None:
    """The first load that a recording tells; the query's trigger and the size of records as facts beside it."""
    from calibration.load_curve import load_of, record_bytes_of, stored_bytes_of, trigger_of

    load: Load | None = None
    wanted = topic or _only_topic(found)
    for one in recordings:
        found.take(_seen(one))
        seen = load_of(one, wanted) or (load_of(one) if not topic else None)
        if seen is not None and seen.seconds > 0 and seen.rate > 0:
            if load is None:
                load = seen
            else:
                found.unused.append(f"{seen.source}: the load is taken from {load.source}")
        if trigger := trigger_of(one):
            why = f"{one.name}: {trigger[1]} batches begin that far apart on the median, and end before the next"
            found.take([Fact("query.trigger", f"{trigger[0]:g} s", "inferred", why)])
        if size := record_bytes_of(one):
            found.take(
                [Fact("workload.size", f"{size:.0f} B", "read", f"{one.name}: producers' own bytes over records")]
            )
        if stored := stored_bytes_of(one, load.topic if load else wanted):
            found.take([Fact("stored.bytes", stored, "read", f"{one.name}: bytes in over records in")])
    return load


def _seen(recording: Recording) -> Iterator[Fact]:
    """What exported metrics show of a stack that nobody described: versions, and whom they speak of."""
    from calibration.discover_aws import kafka_version
    from calibration.discover_search import version_facts
    from calibration.discover_spark import spark_version

    name = recording.name
    for system, told in (("kafka", kafka_version), ("search", version_facts), ("spark", spark_version)):
        version = recording.setting(f"{system}.version")
        if version is not None:
            yield from told(str(version), f"{name}: {system}.version")
    if len(recording.queries) == 1 and recording.queries[0].batches:
        parts = len(recording.queries[0].batches[-1].end_offsets)
        why = f"{name}: the query's offsets are of so many"
        yield Fact("topic_defaults.partitions", parts or None, "inferred", why)
    for path, system, quantity in (
        ("kafka.brokers", "kafka", "records_in"),
        ("elasticsearch.data_nodes", "search", "documents"),
    ):
        seen = {s.entity for s in recording.find(system, quantity)}
        if seen:
            yield Fact(path, len(seen), "inferred", f"{name}: {', '.join(sorted(seen)[:6])} were recorded")


def _only_topic(found: Found) -> str:
    """The topic of the facts, where there is just one; of several the load is sought by the recording's own."""
    names = {name.split(".producer")[0] for name in found.names("topics")}
    return names.pop() if len(names) == 1 else ""
