"""Opening what people send: files, folders and archives, packed or not, in whatever encoding.

A `Member` is one file of the input; `open_text` gives its lines. Packing is told by the first bytes
(gzip, zstd, lz4 and Spark's own lz4 blocks, xz, bzip2), so is the encoding (UTF-8 with or without a mark,
UTF-16). A packed file that was cut short gives what came. Everything is bounded: bytes after unpacking,
how much they may exceed what is stored, the length of a line, the number of files.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO

from calibration.observations import ObservationError

CHUNK = 1 << 20
MIB, GIB = 1 << 20, 1 << 30


class Unusable(ObservationError):
    """A file that cannot be used; the message is the reason, and holds nothing of its content."""


@dataclass
class Limits:
    """How much an import may take: bytes after unpacking, their ratio to what is stored, a line, a document, files."""

    file_bytes: int = 8 * GIB
    total_bytes: int = 32 * GIB
    ratio: float = 300.0  # JSON of metrics packs 10 to 100 times; a gzip of zeros 1,000 times
    ratio_from: int = 256 * MIB
    line_characters: int = 64 * MIB
    files: int = 20_000
    seen_bytes: int = field(default=0, init=False)


@dataclass(frozen=True)
class Member:
    """One file of the input: `name` as it is told, `folder` it lies in, `stored` bytes, and how to open it."""

    name: str
    stored: int
    open: Callable[[], IO[bytes]]

    @property
    def folder(self) -> str:
        return str(PurePosixPath(self.name).parent)

    @property
    def base(self) -> str:
        """The file's name without packing suffixes."""
        base = PurePosixPath(self.name).name
        for suffix in (".gz", ".zst", ".zstd", ".lz4", ".xz", ".bz2"):
            base = base.removesuffix(suffix)
        return base


def members(paths: list[Path], limits: Limits) -> Iterator[Member]:
    """Every file of the given files, folders, zips and tars; those of an archive in its order."""
    count = 0
    for path in paths:
        for member in _of(path):
            count += 1
            if count > limits.files:
                raise ObservationError(f"more than {limits.files:,} files; give the folder that holds the recordings")
            yield member


def _of(path: Path) -> Iterator[Member]:
    if path.is_dir():
        yield from _folder(path)
    elif not path.exists():
        raise FileNotFoundError(2, "no such file or folder", str(path))
    elif not path.is_file():
        yield Member(path.name, 0, lambda: path.open("rb"))  # a pipe, such as <(zcat old.gz)
    elif zipfile.is_zipfile(path):
        yield from _zip(path)
    elif _is_tar(path):
        yield from _tar(path)
    else:
        yield Member(path.name, path.stat().st_size, lambda: path.open("rb"))


def _folder(path: Path) -> Iterator[Member]:
    """Regular files only: a pipe in a folder would wait for ever. Hidden ones and linked folders are left out."""
    closed: list[OSError] = []
    for place, folders, names in os.walk(path, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted((n for n in names if not n.startswith(".")), key=_natural):
            file = Path(place) / name
            try:
                found = file.stat()
            except OSError:
                found = None  # a link that leads nowhere: opening it says so
            if found is None or stat.S_ISREG(found.st_mode):
                yield Member(_told(path, file), found.st_size if found else 0, lambda file=file: file.open("rb"))
    for error in closed:
        yield Member(_told(path, Path(str(error.filename))), 0, lambda error=error: _raise(error))


def _told(path: Path, file: Path) -> str:
    return str(PurePosixPath(path.name or path.resolve().name, *file.relative_to(path).parts))


def _raise(error: OSError) -> IO[bytes]:
    raise error


def _natural(name: str) -> list[tuple[int, str]]:
    """So that events_2_ comes before events_10_.

    >>> sorted(["events_10_a", "events_2_a"], key=_natural)
    ['events_2_a', 'events_10_a']
    """
    parts, digits = [], ""
    for character in name:
        if character.isdigit():
            digits += character
            continue
        if digits:
            parts.append((int(digits[:18]), ""))
            digits = ""
        parts.append((-1, character))
    return [*parts, (int(digits[:18]), "")] if digits else parts


def _zip(path: Path) -> Iterator[Member]:
    try:
        with zipfile.ZipFile(path) as archive:
            for info in sorted(archive.infolist(), key=lambda i: _natural(i.filename)):
                if not info.is_dir() and not PurePosixPath(info.filename).name.startswith("."):
                    yield Member(info.filename, info.compress_size, lambda info=info: _entry(archive, info))
    except zipfile.BadZipFile as error:
        raise ObservationError(f"{path.name}: a broken zip ({error}); pack it again") from None


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    if info.flag_bits & 1:
        raise Unusable("it is encrypted; unpack it first")
    try:
        return archive.open(info)
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise Unusable(f"the zip cannot give it ({type(error).__name__}); pack it again") from None


def _is_tar(path: Path) -> bool:
    try:
        return tarfile.is_tarfile(path)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return False


def _tar(path: Path) -> Iterator[Member]:
    """Files of a tar, packed or not, read in one pass: each must be read before the next."""
    try:
        with tarfile.open(path, "r|*") as archive:
            for info in archive:
                file = archive.extractfile(info) if info.isreg() else None
                if file is not None and not PurePosixPath(info.name).name.startswith("."):
                    yield Member(info.name, info.size, lambda file=file: file)
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ObservationError(f"{path.name}: a broken tar ({type(error).__name__}); pack it again") from None


# unpacking -----------------------------------------------------------------------------------------


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


def unpacked(member: Member, remarks: list[str], limits: Limits) -> Iterator[bytes]:
    """The plain bytes of a member in chunks; `remarks` gets what was wrong with its packing. Raises `Unusable`."""
    try:
        file = member.open()
    except OSError as error:
        raise Unusable(f"cannot be opened: {error.strerror or type(error).__name__}") from None
    with contextlib.closing(file):
        raw: IO[bytes] = file
        for _ in range(3):
            head, raw = _peeked(raw)
            found = next((unpack for magic, unpack in UNPACKERS.items() if head.startswith(magic)), None)
            if found is None:
                break
            raw = _Chunks(found(raw, remarks))  # type: ignore[assignment]
        foreign = next((why for magic, why in FOREIGN.items() if head.startswith(magic)), None)
        if foreign is not None:
            raise Unusable(foreign)
        yield from _bounded(raw, member, limits)


def _bounded(raw: IO[bytes], member: Member, limits: Limits) -> Iterator[bytes]:
    seen = 0
    try:
        while chunk := raw.read(CHUNK):
            seen += len(chunk)
            limits.seen_bytes += len(chunk)
            if seen > limits.ratio_from and member.stored and seen > limits.ratio * member.stored:
                raise Unusable(
                    f"unpacks to more than {limits.ratio:.0f} times its size, as no recording does; left out"
                )
            if seen > limits.file_bytes:
                raise Unusable(f"larger than {limits.file_bytes / GIB:.0f} GiB unpacked; give a shorter part of it")
            if limits.seen_bytes > limits.total_bytes:
                raise ObservationError(
                    f"more than {limits.total_bytes / GIB:.0f} GiB unpacked in all; give fewer files"
                )
            yield chunk
    except (zipfile.BadZipFile, zlib.error, tarfile.TarError, EOFError) as error:
        raise Unusable(f"its archive is broken there ({type(error).__name__}); pack it again") from None


# text ----------------------------------------------------------------------------------------------


def coding(head: bytes) -> str:
    """The encoding that the first bytes tell.

    >>> coding("{}".encode("utf-16")), coding("{}".encode("utf-16-be")), coding(b"{}")
    ('utf-16', 'utf-16-be', 'utf-8-sig')
    """
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    even, odd = head[:256:2].count(0), head[1:256:2].count(0)
    if len(head) >= 4 and odd > len(head[:256]) / 4 and even < odd / 4:
        return "utf-16-le"
    if len(head) >= 4 and even > len(head[:256]) / 4 and odd < even / 4:
        return "utf-16-be"
    return "utf-8-sig"


def lines(chunks: Iterator[bytes], limits: Limits) -> Iterator[str]:
    """Lines of text without their ends; refuses binary content and a line without end."""
    first = next(chunks, b"")
    name = coding(first)
    if name == "utf-8-sig" and b"\0" in first[:4096]:
        raise Unusable("binary, and none of the packings that are read")
    decoder, rest, parts = codecs.getincrementaldecoder(name)(errors="replace"), 0, []
    chunk: bytes | None = first
    while chunk is not None:
        *whole, last = decoder.decode(chunk).split("\n")
        if whole:
            parts.append(whole[0])
            yield _line("".join(parts))
            for line in whole[1:]:
                yield _line(line)
            parts, rest = [], 0
        parts.append(last)
        rest += len(last)
        if rest > limits.line_characters:
            raise Unusable(f"a line longer than {limits.line_characters / MIB:.0f} MiB; export it in shorter pieces")
        chunk = next(chunks, None)
    tail = "".join([*parts, decoder.decode(b"", True)])
    if tail:
        yield _line(tail)


def _line(text: str) -> str:
    return text.rstrip("\r").lstrip("\ufeff")


def open_text(member: Member, remarks: list[str], limits: Limits) -> Iterator[str]:
    """The lines of a member, unpacked and decoded."""
    return lines(unpacked(member, remarks, limits), limits)
