"""Unpacks what a machine sends that a hostile guest may have taken over: an archive of GNU tar.

Python's ``tarfile`` believes the sizes in an archive, and reads a name of a terabyte into memory.
So only single headers are read by it. Everything is written below one new folder or file of ours;
links and devices are left out; names, numbers of entries and bytes have limits.

Source: GNU tar's manual, "Basic Tar Format" (oldgnu_header, sparse members); ``tarfile``.
"""

from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from pizarra.errors import StorageFault
from pizarra.model.sentence import N_
from pizarra.model.sizes import GIB

RECORD_BYTES = 128 * tarfile.BLOCKSIZE  # of ``tar -b 128``
_BLOCK = tarfile.BLOCKSIZE
_NAME_BYTES_MAX = 64 << 10
_SPANS_MAX = 1 << 18
_ENTRIES_MAX = 1_000_000
_LEFT_OUT_MAX = 1000
_DEPTH_MAX = 100
_TIME_S_MAX = 1 << 34
_SIZE_BYTES_MAX = (1 << 63) - 1  # of off_t
_BESIDE_BYTES_MAX = 4 * GIB  # headers, names and padding of so many entries
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 1 << 20


class BadArchive(Exception):
    """What came is no archive, or is beyond a limit."""


@dataclass(slots=True, kw_only=True)
class Copied:
    """How much was copied out, and what was left out, with the reason."""

    files: int = 0
    size_bytes: int = 0
    left_out: list[str] = field(default_factory=list)

    def leave_out(self, name: str, why: str) -> None:
        """Report an entry. A name may hold codes that control a terminal, so those are escaped."""
        if len(self.left_out) < _LEFT_OUT_MAX:
            line = f"{name}: {why}"
            self.left_out.append("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    type: bytes
    size_bytes: int  # of the file, with its holes
    spans: tuple[tuple[int, int], ...]  # where its data are: offset, length
    time_s: int


class _Archive:
    """The members of an archive, one after another."""

    def __init__(self, stream: BinaryIO, limit_bytes: int) -> None:
        self._stream = stream
        self._limit_bytes = limit_bytes
        self._read_bytes = 0
        self._left_bytes = 0  # of the data of the present member, with its padding

    def members(self) -> Iterator[_Member]:
        """Up to the end of the archive. Raises BadArchive, OSError."""
        long_name = ""
        for _ in range(_ENTRIES_MAX):
            block = self._take(_BLOCK)
            if not any(block):
                self._skip(-self._read_bytes % RECORD_BYTES)
                return
            header = _header(block)
            if header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
                text = self._text(header.size)
                long_name = text if header.type == tarfile.GNUTYPE_LONGNAME else long_name
                continue
            size_bytes, spans = self._spans(block, header)
            has_data = header.type in tarfile.REGULAR_TYPES
            self._left_bytes = header.size + -header.size % _BLOCK if has_data else 0
            yield _Member(
                name=long_name or header.name,
                type=header.type,
                size_bytes=size_bytes,
                spans=spans,
                time_s=min(max(int(header.mtime), 0), _TIME_S_MAX),
            )
            long_name = ""
            self._skip(self._left_bytes)
        raise BadArchive(N_("it has too many entries"))

    def pieces(self, member: _Member) -> Iterator[tuple[int, bytes]]:
        """The data of the present member: where each piece belongs."""
        for start, length in member.spans:
            at = start
            while at < start + length:
                piece = self._take(min(_PIECE_BYTES, start + length - at))
                self._left_bytes -= len(piece)
                yield at, piece
                at += len(piece)

    def _take(self, count: int) -> bytes:
        try:
            data = self._stream.read(count)
        except OSError:
            raise BadArchive(N_("it ends too early")) from None
        if len(data) != count:
            raise BadArchive(N_("it ends too early"))
        self._read_bytes += count
        if self._read_bytes > self._limit_bytes + _BESIDE_BYTES_MAX:  # also of what is left out
            raise BadArchive(N_("it is more than the disk can hold"))
        return data

    def _skip(self, count: int) -> None:
        while count > 0:
            count -= len(self._take(min(count, _PIECE_BYTES)))

    def _text(self, size_bytes: int) -> str:
        if size_bytes > _NAME_BYTES_MAX:
            raise BadArchive(N_("a name in it is too long"))
        text = self._take(size_bytes + -size_bytes % _BLOCK)[:size_bytes]
        return os.fsdecode(text.split(b"\0")[0])

    def _spans(
        self, block: bytes, header: tarfile.TarInfo
    ) -> tuple[int, tuple[tuple[int, int], ...]]:
        """The size of a file and where its data are. Raises BadArchive."""
        if header.type != tarfile.GNUTYPE_SPARSE:
            return header.size, ((0, header.size),)
        size_bytes = _number(block[483:495])
        spans = _pairs(block[386:482])
        goes_on = block[482]
        while goes_on:
            block = self._take(_BLOCK)
            spans += _pairs(block[:504])
            goes_on = block[504]
            if len(spans) > _SPANS_MAX:
                raise BadArchive(N_("a file in it has too many holes"))
        end = 0
        for start, length in spans:
            if start < end or length < 0:
                raise BadArchive(N_("a header in it is damaged"))
            end = start + length
        if end > size_bytes or sum(length for _, length in spans) != header.size:
            raise BadArchive(N_("a header in it is damaged"))
        return size_bytes, tuple(spans)


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.TarError:
        raise BadArchive(N_("a header in it is damaged")) from None
    if not 0 <= header.size <= _SIZE_BYTES_MAX:
        raise BadArchive(N_("a header in it is damaged"))
    return header


def _number(text: bytes) -> int:
    """As tar writes numbers: in octal, or in base 256 behind a byte of 0x80."""
    try:
        number = int.from_bytes(text[1:]) if text[0] == 0x80 else int(text.strip(b"\0 ") or b"0", 8)
    except ValueError:
        raise BadArchive(N_("a header in it is damaged")) from None
    if number > _SIZE_BYTES_MAX:
        raise BadArchive(N_("a header in it is damaged"))
    return number


def _pairs(text: bytes) -> list[tuple[int, int]]:
    """Offsets and lengths of 12 bytes each; an empty pair is the end of the list."""
    pairs = [(text[at : at + 12], text[at + 12 : at + 24]) for at in range(0, len(text), 24)]
    return [(_number(one), _number(other)) for one, other in pairs if one[0] and other[0]]


@dataclass(slots=True, kw_only=True)
class Unpacking:
    """What is asked for: ``path`` of the guest, and the new name in the folder ``to``."""

    path: str
    to: int
    new: str
    copied: Copied
    limit_bytes: int  # of all that is copied
    progress: Callable[[int], None]
    root: int | None = None  # the descriptor of the new folder, once there is one


def unpack(stream: BinaryIO, wish: Unpacking) -> None:
    """Write the files of an archive that has ``path`` and all below it.

    Raises FileExistsError when the new name is there, StorageFault for a bad archive, OSError when
    the target is full.
    """
    archive = _Archive(stream, wish.limit_bytes)
    asked = [part for part in wish.path.split("/") if part not in ("", ".")]
    with ExitStack() as stack:
        try:
            for member in archive.members():
                parts = [part for part in member.name.split("/") if part not in ("", ".")]
                if parts[: len(asked)] != asked or ".." in parts or "\0" in member.name:
                    wish.copied.leave_out(member.name, "nobody asked for it")
                elif parts == asked:
                    _make_root(archive, member, wish, stack)
                else:
                    _make_below(archive, member, wish, parts[len(asked) :])
        except BadArchive as error:
            raise StorageFault(
                "The files of {path} did not come as they should: {why}.",
                "The file system in the guest may be damaged, or made to do harm.",
                path=wish.path,
                why=error,
            ) from None


def _make_root(archive: _Archive, member: _Member, wish: Unpacking, stack: ExitStack) -> None:
    """What was asked for itself. Nothing is written into a folder that was there before."""
    if member.type == tarfile.DIRTYPE:
        os.mkdir(wish.new, 0o700, dir_fd=wish.to)
        wish.root = os.open(wish.new, _FOLDER, dir_fd=wish.to)
        stack.callback(os.close, wish.root)
    else:
        _make(archive, member, wish, (wish.to, wish.new), wish.path)


def _make_below(archive: _Archive, member: _Member, wish: Unpacking, parts: list[str]) -> None:
    """One entry. A fault of it stops no other; a fault of the target stops all."""
    shown = f"{wish.path.rstrip('/')}/{'/'.join(parts)}"
    try:
        if len(parts) > _DEPTH_MAX:
            wish.copied.leave_out(shown, "too deep")
        elif wish.root is None:
            wish.copied.leave_out(shown, "its folder is missing")
        else:
            with _folder_of(wish.root, parts[:-1]) as folder:
                _make(archive, member, wish, (folder, parts[-1]), shown)
    except FileExistsError:
        wish.copied.leave_out(shown, "its name is there twice")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        wish.copied.leave_out(shown, error.strerror or str(error))


@contextmanager
def _folder_of(root: int, parts: list[str]) -> Iterator[int]:
    fd = os.dup(root)
    try:
        for part in parts:
            below = os.open(part, _FOLDER, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def _make(
    archive: _Archive, member: _Member, wish: Unpacking, place: tuple[int, str], shown: str
) -> None:
    folder, name = place
    if member.type == tarfile.DIRTYPE:
        os.mkdir(name, 0o700, dir_fd=folder)
    elif member.type in tarfile.REGULAR_TYPES:
        _write(archive, member, wish, place)
    else:
        is_link = member.type in (tarfile.SYMTYPE, tarfile.LNKTYPE)
        wish.copied.leave_out(shown, "a link" if is_link else "neither a file nor a folder")


def _write(archive: _Archive, member: _Member, wish: Unpacking, place: tuple[int, str]) -> None:
    """Holes stay holes: an empty file of a petabyte costs nothing."""
    folder, name = place
    target = os.open(name, _NEW, 0o600, dir_fd=folder)
    try:
        for at, piece in archive.pieces(member):
            wish.copied.size_bytes += len(piece)
            if wish.copied.size_bytes > wish.limit_bytes:
                raise BadArchive(N_("it is more than the disk can hold"))
            _write_all(target, piece, at)
            wish.progress(wish.copied.size_bytes)
        os.ftruncate(target, member.size_bytes)
        os.utime(target, (member.time_s, member.time_s))
        wish.copied.files += 1
    except BaseException:
        with suppress(OSError):  # no half file looks like a whole one
            os.unlink(name, dir_fd=folder)
        raise
    finally:
        os.close(target)


def _write_all(target: int, piece: bytes, at: int) -> None:
    view = memoryview(piece)
    while view:
        written = os.pwrite(target, view, at)
        view, at = view[written:], at + written
