"""Opening what people send: files, folders and archives, packed or not, in whatever encoding.

A `Member` is one file of the input; `open_text` gives its lines. Packing (`formats_packed.py`) and encoding
(UTF-8 with or without a mark, UTF-16) are told by the first bytes. Everything is bounded: bytes after
unpacking, how much they may exceed what is stored, the length of a line, the number of files.
"""

from __future__ import annotations

import codecs
import contextlib
import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from calibration.formats_packed import CHUNK, GIB, MIB, Unusable, plain
from calibration.observations import ObservationError


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


def holds_several(path: Path) -> bool:
    """Whether it is a folder or an archive."""
    return path.is_dir() or (path.is_file() and (zipfile.is_zipfile(path) or _is_tar(path)))


def _of(path: Path) -> Iterator[Member]:
    if str(path) == "-":
        yield Member("standard input", 0, lambda: os.fdopen(os.dup(0), "rb"))
    elif path.is_dir():
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
                yield Member(_told(path, file), found.st_size if found else 0, partial(file.open, "rb"))
    for error in closed:
        yield Member(_told(path, Path(str(error.filename))), 0, partial(_raise, error))


def _told(path: Path, file: Path) -> str:
    return str(PurePosixPath(path.name or path.resolve().name, *file.relative_to(path).parts))


def _same(file: IO[bytes]) -> IO[bytes]:
    return file


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
                    yield Member(info.filename, info.compress_size, partial(_entry, archive, info))
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
                    yield Member(info.name, info.size, partial(_same, file))
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise ObservationError(f"{path.name}: a broken tar ({type(error).__name__}); pack it again") from None


def unpacked(member: Member, remarks: list[str], limits: Limits) -> Iterator[bytes]:
    """The plain bytes of a member in chunks; `remarks` gets what was wrong with its packing. Raises `Unusable`."""
    try:
        file = member.open()
    except OSError as error:
        raise Unusable(f"cannot be opened: {error.strerror or type(error).__name__}") from None
    with contextlib.closing(file):
        yield from _bounded(plain(file, remarks), member, limits)


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
