"""Unpacking: what packs a file is told by its first bytes, and one packing may lie in another.

gzip (several members, a last one cut short), zstd, lz4 and Spark's own lz4 blocks, xz, bzip2. What is cut
short or broken gives what came, with a remark. Content that is none of ours is refused by name.
"""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO

from calibration.observations import ObservationError

CHUNK = 1 << 20
MIB, GIB = 1 << 20, 1 << 30


class Unusable(ObservationError):
    """A file that cannot be used; the message is the reason, and holds nothing of its content."""


def _gzip(raw: IO[bytes], remarks: list[str]) -> Iterator[bytes]:
    """Members one after another; a last one that was cut short gives what came, as a crashed writer leaves it."""
    machine, fed = zlib.decompressobj(31), b""
    while True:
        fed = fed or raw.read(CHUNK)
        if not fed:
            if not machine.eof:
                remarks.append("the gzip is cut short: read as far as it goes")
            return
        try:
            yield machine.decompress(fed, CHUNK)
        except zlib.error:
            remarks.append("the gzip is broken: read as far as it goes")
            return
        fed = machine.unconsumed_tail
        if machine.eof:
            rest = machine.unused_data.lstrip(b"\0")
            rest = rest or raw.read(CHUNK).lstrip(b"\0")
            if not rest:
                return
            if rest[:2] != b"\x1f\x8b":
                remarks.append("bytes behind the gzip's end were left out")
                return
            machine, fed = zlib.decompressobj(31), rest


def _zstd(raw: IO[bytes], remarks: list[str]) -> Iterator[bytes]:
    zstandard = _library("zstandard", "zstd")
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(raw, read_across_frames=True)
    try:
        while chunk := reader.read(CHUNK):
            yield chunk
    except zstandard.ZstdError:
        remarks.append("the zstd is cut short or broken: read as far as it goes")


def _lz4(raw: IO[bytes], remarks: list[str]) -> Iterator[bytes]:
    frame = _library("lz4.frame", "lz4")
    machine, fed = frame.LZ4FrameDecompressor(), b""
    try:
        while True:
            if machine.eof:
                fed = machine.unused_data or raw.read(CHUNK)
                if not fed:
                    return
                machine = frame.LZ4FrameDecompressor()
            elif machine.needs_input:
                fed = raw.read(CHUNK)
                if not fed:
                    remarks.append("the lz4 is cut short: read as far as it goes")
                    return
            yield machine.decompress(fed, CHUNK)
            fed = b""
    except RuntimeError:
        remarks.append("the lz4 is broken: read as far as it goes")


def _lz4_blocks(raw: IO[bytes], remarks: list[str]) -> Iterator[bytes]:
    """Spark's own lz4 (lz4-java's LZ4BlockOutputStream): 8 bytes of name, a token, two lengths, a checksum, data."""
    block = _library("lz4.block", "lz4")
    while head := raw.read(21):
        if len(head) < 21 or head[:8] != b"LZ4Block":
            remarks.append("the lz4 blocks are cut short or broken: read as far as they go")
            return
        packed, plain = struct.unpack("<ii", head[9:17])
        data = raw.read(packed) if 0 <= packed <= 64 * MIB else b""
        if len(data) != packed or not 0 <= plain <= 64 * MIB:
            remarks.append("the lz4 blocks are cut short or broken: read as far as they go")
            return
        try:
            yield data if head[8] & 0xF0 == 0x10 else block.decompress(data, uncompressed_size=plain) if plain else b""
        except block.LZ4BlockError:
            remarks.append("the lz4 blocks are broken: read as far as they go")
            return


def _stdlib(make: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor], name: str):
    def unpack(raw: IO[bytes], remarks: list[str]) -> Iterator[bytes]:
        machine, fed = make(), b""
        try:
            while not machine.eof:
                fed = raw.read(CHUNK) if machine.needs_input else b""
                if machine.needs_input and not fed:
                    remarks.append(f"the {name} is cut short: read as far as it goes")
                    return
                yield machine.decompress(fed, CHUNK)
        except (OSError, lzma.LZMAError):
            remarks.append(f"the {name} is broken: read as far as it goes")

    return unpack


def _library(module: str, packing: str):
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError:
        raise Unusable(f"{packing}-packed, and no library for it is here: pip install 'floodmark[readers]'") from None


UNPACKERS = {
    b"\x1f\x8b": _gzip,
    b"\x28\xb5\x2f\xfd": _zstd,
    b"\x04\x22\x4d\x18": _lz4,
    b"LZ4Block": _lz4_blocks,
    b"\xfd7zXZ\0": _stdlib(lambda: lzma.LZMADecompressor(memlimit=256 * MIB), "xz"),
    b"BZh": _stdlib(bz2.BZ2Decompressor, "bzip2"),
}
FOREIGN = {
    b"PK\x03\x04": "an archive in an archive; unpack it first",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"\x82SNAPPY": "packed with snappy, which is not read; set spark.io.compression.codec to zstd, or unpack it first",
    b"ZV": "packed with lzf, which is not read; set spark.io.compression.codec to zstd, or unpack it first",
    b"PAR1": "Parquet, which is not read; export JSON or CSV",
    b"ORC": "ORC, which is not read; export JSON or CSV",
    b"Obj\x01": "Avro, which is not read; export JSON or CSV",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"%PDF": "a PDF; export the numbers behind it",
    b"\x7fELF": "a program",
    b"SQLite format 3": "an SQLite file; export JSON or CSV",
    b"JFR\x00": "none of the formats that are read",
}


class _Chunks(io.RawIOBase):
    """A stream over chunks of bytes, so that one packing can lie in another."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.rest = chunks, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while len(self.rest) < size or size < 0:
            more = next(self.chunks, None)
            if more is None:
                break
            self.rest += more
        taken, self.rest = (self.rest, b"") if size < 0 else (self.rest[:size], self.rest[size:])
        return taken


def _peeked(raw: IO[bytes]) -> tuple[bytes, IO[bytes]]:
    head = raw.read(64)
    return head, _Chunks(_joined(head, raw))  # type: ignore[return-value]


def _joined(head: bytes, raw: IO[bytes]) -> Iterator[bytes]:
    yield head
    while chunk := raw.read(CHUNK):
        yield chunk


def plain(file: IO[bytes], remarks: list[str]) -> IO[bytes]:
    """The stream without its packings, three at most; refuses what is none of ours by what it is."""
    raw, head = file, b""
    for _ in range(3):
        head, raw = _peeked(raw)
        found = next((unpack for magic, unpack in UNPACKERS.items() if head.startswith(magic)), None)
        if found is None:
            break
        raw = _Chunks(found(raw, remarks))  # type: ignore[assignment]
    foreign = next((why for magic, why in FOREIGN.items() if head.startswith(magic)), None)
    if foreign is not None:
        raise Unusable(foreign)
    return raw
