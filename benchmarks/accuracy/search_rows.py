"""Published indexing throughput: forecast by laws, and through the simulator.

*Per corpus*: documents differ in cost, so one row of each corpus gives `index.cpu_ratio` and all others of that
corpus, on other machines, with other copies, clients and shards, are scored with it. Rally's clients are taken to
cost nothing and to be eight where a row does not say (its tracks' default).
Remote-store rows have no counterpart in the model and serve as "no replica work" only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.accuracy.closed_loop import Loop, cpu_ratio_of, mean_throughput, throughput
from benchmarks.accuracy.published import Role, Row, row, table
from calibration.fit_search import bulk_rest
from calibration.lab import LabRun
from models.coefficients import CoefficientSet

TABLE = "es_throughput"
SERIES = {
    f"{corpus}, {kind}": [f"rs-{corpus}-{kind}-{n}c" for n in (8, 16, 24)]
    for corpus in ("so", "nyc_taxis")
    for kind in ("doc", "remote")
}
DEFAULT_CLIENTS, CODEC = "8", "codec_or_mode"
MAPPINGS = {"so": "text"}


@dataclass(frozen=True)
class Corpus:
    """One corpus: the row that its cost is fitted on, rows that coefficients were fitted on, rows to score."""

    fit: str
    known: tuple[str, ...]
    test: tuple[str, ...]


CORPORA = {
    "http_logs": Corpus("os211-http_logs-lz4", ("os211-http_logs-zstd",), ()),
    "nyc_taxis": Corpus(
        "os211-nyc_taxis-lz4",
        ("os211-nyc_taxis-zstd", "sr1-seg"),
        ("rs-nyc_taxis-doc-8c", "rs-nyc_taxis-doc-16c", "rs-nyc_taxis-doc-24c", "sr1-doc", "sr3-doc", "sr3-seg"),
    ),
    "so": Corpus(
        "rs-so-doc-8c",
        ("sr4-doc-9r", "sr4-seg-1r"),
        ("rs-so-doc-16c", "rs-so-doc-24c", "sr4-doc-1r", "sr4-seg-9r"),
    ),
}


def docs_per_second(name: str) -> float:
    return float(row(TABLE, "id", name)["throughput_docs_s"])


def loop_of(name: str) -> Loop:
    """A published row as a closed loop."""
    r = row(TABLE, "id", name)
    return Loop(
        nodes=int(r["nodes"]),
        machine=r["instance"],
        json_bytes=float(r["avg_json_bytes"]),
        primaries=int(r["primaries"]),
        copies=int(r["replicas"]) + 1,
        bulk_documents=int(r["bulk_docs"]),
        clients=int(r["clients"] or DEFAULT_CLIENTS),
        replication="segment" if r["replication"] == "segment" else "document",
        codec="zstd" if name.endswith("zstd") else "default",
        mapping=MAPPINGS.get(r["workload"], "explicit"),
        version=r["version"],
    )


def bulk_law() -> list[Row]:
    """R = a + b N of N bulk clients, from 8 and 16 clients, forecast at 24 (elasticsearch.md A2)."""
    rows = []
    for series, names in SERIES.items():
        loops = [loop_of(name) for name in names]
        seconds = [x.clients * x.bulk_documents / docs_per_second(n) for x, n in zip(loops, names, strict=True)]
        b, a = np.polyfit([x.clients for x in loops[:2]], seconds[:2], 1)
        last = loops[-1]
        forecast = last.clients * last.bulk_documents / (a + b * last.clients)
        rows.append(
            Row("bulk law from 8 and 16 clients", f"{series}, 24 clients", "test", "throughput", "docs/s", forecast,
                docs_per_second(names[-1]))
        )  # fmt: skip
    return rows


def replica_law() -> list[Row]:
    """T(r) = T0 / (1 + rho r): rho from 1 and 9 replicas of `so`, scored on what one replica costs elsewhere (A3)."""
    one, nine = docs_per_second("sr4-doc-1r"), docs_per_second("sr4-doc-9r")
    rho = (one - nine) / (9 * nine - one)
    rows = []
    for corpus in ("so", "nyc_taxis"):
        names = [f"rs-{corpus}-{kind}-24c" for kind in ("doc", "remote")]
        measured = docs_per_second(names[0]) / docs_per_second(names[1])
        rows.append(
            Row(f"replica law, rho {rho:.3f} from so with 1 and 9 replicas", f"{corpus}, 24 clients", "test",
                "one replica over none (remote store)", "1", 1 / (1 + rho), measured)
        )  # fmt: skip
    return rows


def segment_law(c: CoefficientSet) -> list[Row]:
    """Segment over document replication: the segment ratio from one pair, the other pairs scored (A4)."""
    rho = c["search.replica_cpu_ratio"]
    pairs = {
        "nyc_taxis, 40 primaries": ("sr1-seg", "sr1-doc", 1),
        "nyc_taxis, 100 primaries": ("sr3-seg", "sr3-doc", 1),
        "so, 1 replica": ("sr4-seg-1r", "sr4-doc-1r", 1),
        "so, 9 replicas": ("sr4-seg-9r", "sr4-doc-9r", 9),
    }
    gain = {name: docs_per_second(seg) / docs_per_second(doc) for name, (seg, doc, _) in pairs.items()}
    first = next(iter(pairs))
    segment = (1 + rho) / gain[first] - 1
    rows = []
    for name, (_, _, r) in pairs.items():
        role: Role = "fit" if name == first else "test"
        forecast = (1 + rho * r) / (1 + segment * r)
        rows.append(
            Row(f"segment replication, ratio {segment:.2f} from the first row", name, role,
                "segment over document replication", "1", forecast, gain[name])
        )  # fmt: skip
    return rows


def by_corpus(c: CoefficientSet, seeds: Sequence[int], quick: bool = False) -> list[Row]:
    """Published rows through the simulator, with the cost of each corpus from one row; `quick` takes one such row."""
    rows = []
    for name, corpus in [("nyc_taxis", CORPORA["nyc_taxis"])] if quick else CORPORA.items():
        loop, measured = loop_of(corpus.fit), docs_per_second(corpus.fit)
        ratio = cpu_ratio_of(loop, c, measured, seeds)
        group = f"{name}, CPU ratio {ratio:.2f} from {corpus.fit}"
        named: list[tuple[str, Role]] = [(corpus.fit, "fit")]
        if not quick:
            named += [(n, "fit") for n in corpus.known] + [(n, "test") for n in corpus.test]
        for one, role in named:
            forecast = mean_throughput(loop_of(one), c, docs_per_second(one), ratio, seeds)
            rows.append(Row(group, label(one), role, "throughput", "docs/s", forecast, docs_per_second(one)))
    return rows


def label(name: str) -> str:
    """A row in words: nodes, machine, primaries, replicas, clients."""
    r = row(TABLE, "id", name)
    codec = ", zstd" if name.endswith("zstd") else ""
    return (
        f"{name}: {r['nodes']} × {r['instance']}, {r['primaries']} primaries, {r['replicas']} replicas "
        f"({r['replication']}), {r['clients'] or DEFAULT_CLIENTS} clients{codec}"
    )


def lab_loops(runs: Sequence[LabRun], c: CoefficientSet, role: Role, group: str, seeds: Sequence[int]) -> list[Row]:
    """The laboratory's closed-loop runs through the simulator, cold as they were: 12 s pass, then 25 s count.

    What the client itself takes a bulk is taken from the run with one client and the same bulk, or the nearest.
    """
    rows = []
    for run in runs:
        if run.bulk is None:
            continue
        alone = [r for r in runs if r.experiment.clients == 1 and r.bulk is not None]
        nearest = min(alone, key=lambda r: abs(r.experiment.bulk_documents - run.experiment.bulk_documents))
        asked = run.experiment
        loop = Loop(
            1, "r5.large", asked.record_bytes, 1, 1, asked.bulk_documents, asked.clients, version="3.8", cold=True,
            one_core=True, client_seconds=bulk_rest(nearest)[1],
        )  # fmt: skip
        measured = run.bulk.documents / run.bulk.seconds
        found = [throughput(loop, c, measured, seed=s, after=12.0, seconds=37.0) for s in seeds]
        name = f"{asked.clients} clients, bulks of {asked.bulk_documents}"
        rows.append(Row(group, name, role, "throughput", "docs/s", float(np.mean(found)), measured))
    return rows


def storage(c: CoefficientSet) -> list[Row]:
    """Index bytes over JSON bytes: a local Lucene's on like documents, and the generic ratio, beside published ones."""
    http = [r for r in table("es_index_size") if r["corpus"] == "http_logs"]
    local = {
        r["codec"]: float(r["ratio_fm"])
        for r in table("es_lucene_local")
        if r["kind"] == "http" and float(r["ratio_fm"])
    }
    merged = {"default (LZ4)": local["speed"], "zstd": local["best"]}
    rows = [
        Row("local Lucene on like documents, force-merged", f"http_logs, {r['codec_or_mode']}", "test",
            "index over JSON bytes", "1", merged[r["codec_or_mode"]], float(r["ratio_index_to_json"]))
        for r in http if r["codec_or_mode"] in merged
    ]  # fmt: skip
    lz4 = [r for r in table("es_index_size") if r["corpus"] in ("http_logs", "geonames") and "efault" in r[CODEC]]
    return rows + [
        Row("generic ratio", f"{r['corpus']}, {r['engine_version']}", "fit", "index over JSON bytes", "1",
            c["index.bytes_per_json_byte"], float(r["ratio_index_to_json"]))
        for r in lz4
    ]  # fmt: skip
