"""The user's own documents: read from NDJSON as people have it, halved, and compressed as producers batch them.

One JSON object a line. Lines of `_bulk` actions are passed over, envelopes of exports (`{"_source": …}`, as
elasticdump writes) are opened; what is no object is counted and said. Halves take documents in turn, so that a
drift in the file lies in both.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.live import LiveError

LEAST_DOCUMENTS, LEAST_BYTES = 1000, 500_000  # fewer are one segment's overhead and noise
ACTIONS = ("index", "create", "update", "delete")
SNAPPY_BLOCK = 32 * 1024  # Kafka writes snappy in blocks of this (xerial's stream)
LEVELS = {"gzip": 6, "zstd": 3}  # Kafka's defaults: gzip's own, zstd's 3


@dataclass(frozen=True)
class Documents:
    """Documents as compact JSON, and lines that were passed over by why."""

    lines: tuple[bytes, ...]
    passed_over: dict[str, int]

    @property
    def mean_bytes(self) -> float:
        return sum(map(len, self.lines)) / len(self.lines)

    def halves(self) -> tuple[Documents, Documents]:
        return Documents(self.lines[::2], {}), Documents(self.lines[1::2], {})


def read(path: Path, most_bytes: int, most_documents: int) -> Documents:
    """The documents of a file, plain or gzipped, up to those bounds. Raises LiveError where they are too few."""
    found: list[bytes] = []
    passed: dict[str, int] = {}
    size = 0
    for line in _lines(path):
        document, why = _document(line)
        if document is None:
            passed[why] = passed.get(why, 0) + 1
            continue
        found.append(document)
        size += len(document)
        if size >= most_bytes or len(found) >= most_documents:
            passed["beyond the bound of a sample"] = sum(1 for rest in _lines(path)) - len(found) - sum(passed.values())
            break
    if len(found) < LEAST_DOCUMENTS or size < LEAST_BYTES:
        why = f"; passed over: {', '.join(f'{n} {name}' for name, n in passed.items())}" if passed else ""
        needs = f"{LEAST_DOCUMENTS:,} documents and {LEAST_BYTES:,} bytes, one JSON object a line"
        raise LiveError("settings", f"{path}: {len(found):,} documents of {size:,} bytes; a sample needs {needs}{why}")
    return Documents(tuple(found), {name: n for name, n in passed.items() if n})


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == b"\x1f\x8b"
            plain.seek(0)
            if not packed:
                yield from plain
                return
            with gzip.open(plain) as unpacked:
                yield from unpacked
    except FileNotFoundError:
        raise LiveError("settings", f"{path} does not exist; expected a file of one JSON document a line") from None
    except (OSError, EOFError, zlib.error) as error:
        raise LiveError("settings", f"{path}: {error}") from None


def _document(line: bytes) -> tuple[bytes | None, str]:
    """A line's document as compact JSON, or why it is none.

    >>> _document(b'{"_source": {"a": 1}}'), _document(b'{"index": {}}')[1], _document(b'[1]')[1]
    ((b'{"a":1}', ''), '_bulk actions', 'lines that are no object')
    """
    if not line.strip():
        return None, "empty lines"
    try:
        told: Any = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None, "lines that are no JSON"
    if not isinstance(told, dict):
        return None, "lines that are no object"
    if len(told) == 1 and next(iter(told)) in ACTIONS and isinstance(next(iter(told.values())), dict):
        return None, "_bulk actions"
    if isinstance(told.get("_source"), dict):
        told = told["_source"]
    return json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode("utf-8", errors="replace"), ""


def codecs() -> dict[str, str]:
    """Kafka's codecs that can be tried here; for others what would do."""
    try:
        import pyarrow
    except ImportError:
        return dict.fromkeys(("snappy", "lz4", "zstd"), "pip install 'floodmark[parquet]'") | {"gzip": ""}
    return {name: "" if name == "gzip" or pyarrow.Codec.is_available(name) else "a pyarrow with it" for name in
            ("gzip", "snappy", "lz4", "zstd")}  # fmt: skip


def compression(documents: Sequence[bytes], codec: str, batch_bytes: float) -> float:
    """Bytes before over bytes after, of record batches of about `batch_bytes` before compression [1]."""
    before = after = 0
    for batch in batches(documents, batch_bytes):
        before += len(batch)
        after += _packed(batch, codec)
    return before / after


def batches(documents: Sequence[bytes], batch_bytes: float) -> Iterator[bytes]:
    """Record batches' payloads: each value framed as a record of format 2 (length, deltas, no key, no headers)."""
    batch, first = bytearray(), True
    for document in documents:
        body = b"\x00\x02\x02\x01" + _varint(len(document)) + document + b"\x00"
        record = _varint(len(body)) + body
        if not first and len(batch) + len(record) > batch_bytes:
            yield bytes(batch)
            batch.clear()
        batch += record
        first = False
    if batch:
        yield bytes(batch)


def _varint(number: int) -> bytes:
    """A zig-zag varint, as records have.

    >>> _varint(300).hex()
    'd804'
    """
    value, out = number << 1, bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _packed(batch: bytes, codec: str) -> int:
    if codec == "gzip":
        return len(gzip.compress(batch, LEVELS["gzip"]))
    import pyarrow

    if codec == "snappy":
        blocks = (batch[i : i + SNAPPY_BLOCK] for i in range(0, len(batch), SNAPPY_BLOCK))
        return 16 + sum(4 + len(pyarrow.compress(block, codec="snappy", asbytes=True)) for block in blocks)
    level = LEVELS.get(codec)
    with_level = pyarrow.Codec(codec, compression_level=level) if level else pyarrow.Codec(codec)
    return len(with_level.compress(batch, asbytes=True))
